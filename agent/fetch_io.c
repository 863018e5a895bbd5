/* agent/fetch_io.c -- libcurl's multi interface, driven by libevent, one handle per exchange.
 *
 * In order: what comes in, what libcurl wants of libevent, ends, setting up an exchange,
 * names, the public calls. libcurl only collects while it works; done() is called from the event
 * `ended`, when nothing of libcurl is on the stack, so it may start and cancel what it likes.
 *
 *     fetch_start -> (resolve_io) -> curl_multi_add_handle … -> ended list -> done()
 */
#include "agent/fetch_io.h"

#include <bsd/sys/queue.h>
#include <curl/curl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/check/check_tcp_io.h"
#include "base/curl_io.h"
#include "base/buf.h"
#include "base/mem.h"

#define FETCH_BUFFER 8192L /* libcurl's, per exchange */
#define FETCH_REDIRECTS 10L
#define FETCH_LINE_MAX 256
#define FETCH_TEXT_MAX 1024

struct fetch {
	TAILQ_ENTRY(fetch) link; /* of all, or of those that ended */
	struct fetcher *fetcher;
	struct resolve *resolve;
	CURL *easy;
	bool added, ended;
	char *host; /* of the URL, without brackets */
	char *port;
	struct curl_slist *headers, *addresses, *connect_to;
	struct buf body, line, trailer, trailer_text;
	size_t keep_max;
	uint64_t body_len;
	const char *trailer_name, *trailer_text_name;
	char error[FETCH_TEXT_MAX]; /* "": none */
	char curl_error[CURL_ERROR_SIZE];
	void (*done)(void *, const struct fetch_result *);
	void *arg;
};

TAILQ_HEAD(fetch_list, fetch);

struct fetcher {
	struct event_base *base;
	struct resolver *resolver;
	struct curl_io *curl; /* NULL: no exchange yet */
	struct event *ended_event;
	struct fetch_list all, ended;
};

/* ---- what comes in ---- */

static size_t
fetch_on_body(char *p, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;
	size_t n = size * count;
	struct str bytes = str_mem(p, n);

	f->body_len += n;
	if (bytes.n > f->keep_max)
		bytes = str_skip(bytes, bytes.n - f->keep_max);
	/* Up to twice what is kept, so that bytes are moved seldom. */
	if (f->body.n + bytes.n > 2 * f->keep_max) {
		size_t keep = f->keep_max - bytes.n;

		buf_drop_front(&f->body, f->body.n - (keep < f->body.n ? keep : f->body.n));
	}
	buf_add(&f->body, bytes);
	return f->body_len > FETCH_READ_MAX ? 0 : n;
}

static void
fetch_take_header(const char *name, struct str key, struct str value, struct buf *out)
{
	if (name == NULL || !str_eq_nocase(key, str_of(name)))
		return;
	buf_clear(out);
	buf_add(out, value);
}

/* Lines of headers and trailers; of each answer of a row of redirects in turn. */
static size_t
fetch_on_header(char *p, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;
	struct str text = str_mem(p, size * count), key;

	while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	if (str_starts(text, STR("HTTP/"))) {
		str_cut(&text, ' ');
		buf_clear(&f->line);
		buf_add(&f->line, str_trim(text));
		return size * count;
	}
	key = str_cut(&text, ':');
	text = str_trim(text);
	fetch_take_header(f->trailer_name, key, text, &f->trailer);
	fetch_take_header(f->trailer_text_name, key, text, &f->trailer_text);
	return size * count;
}

/* libcurl opens sockets that programs we run would inherit. */
static curl_socket_t
fetch_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)arg;
	(void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* ---- ends ---- */

static void
fetch_end(struct fetch *f)
{
	struct fetcher *r = f->fetcher;

	TAILQ_REMOVE(&r->all, f, link);
	TAILQ_INSERT_TAIL(&r->ended, f, link);
	f->ended = true;
	event_active(r->ended_event, EV_TIMEOUT, 0);
}

static void
fetch_free(struct fetch *f)
{
	TAILQ_REMOVE(f->ended ? &f->fetcher->ended : &f->fetcher->all, f, link);
	resolve_cancel(f->resolve);
	if (f->added)
		curl_multi_remove_handle(curl_io_multi(f->fetcher->curl), f->easy);
	curl_easy_cleanup(f->easy);
	curl_slist_free_all(f->headers);
	curl_slist_free_all(f->addresses);
	curl_slist_free_all(f->connect_to);
	buf_done(&f->body);
	buf_done(&f->line);
	buf_done(&f->trailer);
	buf_done(&f->trailer_text);
	curl_free(f->host);
	curl_free(f->port);
	free(f);
}

/* In the words of Go's clients, which Consul's users match. */
static void
fetch_explain(struct fetch *f, CURLcode code)
{
	char why[128];
	long number = 0;

	curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &number);
	if (code == CURLE_COULDNT_CONNECT && number != 0) {
		check_errno_text((int)number, why, sizeof why);
		snprintf(f->error, sizeof f->error, "dial tcp %.256s:%.8s: connect: %s", f->host,
		    f->port, why);
	} else if (code == CURLE_GOT_NOTHING) {
		snprintf(f->error, sizeof f->error, "EOF");
	} else if (code == CURLE_TOO_MANY_REDIRECTS) {
		snprintf(f->error, sizeof f->error, "stopped after %ld redirects", FETCH_REDIRECTS);
	} else {
		snprintf(f->error, sizeof f->error, "%s",
		    f->curl_error[0] != '\0' ? f->curl_error : curl_easy_strerror(code));
	}
}

/* What libcurl is done with. */
static void
fetcher_reap(void *arg)
{
	struct fetcher *r = arg;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(curl_io_multi(r->curl), &left)) != NULL) {
		struct fetch *f;
		CURLcode code = m->data.result;
		long status = 0;

		if (m->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&f) != CURLE_OK)
			continue;
		curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
		/* An answer that was cut, by us or by the server, is judged by its status. */
		if (code != CURLE_OK &&
		    (status == 0 || code == CURLE_TOO_MANY_REDIRECTS || f->line.n == 0))
			fetch_explain(f, code);
		fetch_end(f);
	}
}

static void
fetcher_on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct fetcher *r = arg;
	struct fetch *f;

	(void)fd;
	(void)what;
	while ((f = TAILQ_FIRST(&r->ended)) != NULL) {
		struct fetch_result result = { .line = buf_str(&f->line),
			.body = buf_str(&f->body),
			.body_len = f->body_len,
			.trailer = buf_str(&f->trailer),
			.trailer_text = buf_str(&f->trailer_text),
			.error = f->error[0] != '\0' ? f->error : NULL };
		void (*done)(void *, const struct fetch_result *) = f->done;
		long status = 0;

		if (result.error == NULL)
			curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
		result.status = (int)status;
		if (result.body.n > f->keep_max)
			result.body = str_skip(result.body, result.body.n - f->keep_max);
		f->done = NULL; /* fetch_cancel() from within is late */
		if (done != NULL)
			done(f->arg, &result);
		fetch_free(f);
	}
}

/* ---- setting up ---- */

static bool
fetcher_open(struct fetcher *r)
{
	if (r->curl != NULL)
		return true;
	/* OpenSSL 1.1 and later set themselves up */
	r->curl = curl_io_new(r->base, CURL_GLOBAL_NOTHING, fetcher_reap, r);
	if (r->curl == NULL)
		return false;
	curl_multi_setopt(curl_io_multi(r->curl), CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	return true;
}

static void
fetch_add_header(struct fetch *f, struct str key, struct str value)
{
	struct buf line;
	struct curl_slist *longer;

	buf_init(&line, 64 * 1024);
	buf_add(&line, key);
	/* libcurl's spelling for a header without a value */
	buf_add(&line, value.n == 0 ? STR(";") : STR(": "));
	buf_add(&line, value);
	buf_addc(&line, '\0');
	/* A line of its own is all a value may be. */
	if (!line.full && memchr(line.p, '\n', line.n) == NULL &&
	    memchr(line.p, '\r', line.n) == NULL &&
	    (longer = curl_slist_append(f->headers, line.p)) != NULL)
		f->headers = longer;
	buf_done(&line);
}

static bool
request_has_header(const struct fetch_request *q, struct str name)
{
	for (size_t i = 0; i < q->header_count; i++)
		if (str_eq_nocase(q->headers[i].key, name))
			return true;
	return false;
}

static void
fetch_set_headers(struct fetch *f, const struct fetch_request *q)
{
	struct curl_slist *longer;

	for (size_t i = 0; i < q->header_count; i++)
		fetch_add_header(f, q->headers[i].key, q->headers[i].value);
	if (!request_has_header(q, STR("Connection")) && !q->http2)
		fetch_add_header(f, STR("Connection"), STR("close"));
	/* Headers that libcurl would add of its own: without a value they are left out. */
	if (!request_has_header(q, STR("Expect")) &&
	    (longer = curl_slist_append(f->headers, "Expect:")) != NULL)
		f->headers = longer;
	if (!request_has_header(q, STR("Content-Type")) &&
	    (longer = curl_slist_append(f->headers, "Content-Type:")) != NULL)
		f->headers = longer;
	curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers);
}

static void
fetch_set_method(struct fetch *f, const struct fetch_request *q)
{
	char *method = str_dup(q->method.n > 0 ? q->method : STR("GET"));

	if (q->body.n > 0 || strcmp(method, "POST") == 0) {
		curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
		curl_easy_setopt(f->easy, CURLOPT_COPYPOSTFIELDS, q->body.n > 0 ? q->body.p : "");
	} else if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(f->easy, CURLOPT_NOBODY, 1L);
	}
	/* POST turns into GET at a redirect, as browsers and Go do it; others stay. */
	if (strcmp(method, "POST") != 0 && strcmp(method, "HEAD") != 0 &&
	    (q->body.n > 0 || strcmp(method, "GET") != 0))
		curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, method);
	free(method);
}

static void
fetch_set_tls(struct fetch *f, const struct fetch_request *q)
{
	if (q->tls_skip_verify) {
		curl_easy_setopt(f->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(f->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

/* Another name for TLS: the URL gets it, the connection goes where it went, and the Host header
 * says what it said. */
static void
fetch_set_server_name(struct fetch *f, const struct fetch_request *q, CURLU *url)
{
	char *name = str_dup(q->server_name), text[600];
	bool literal = strchr(f->host, ':') != NULL;

	snprintf(text, sizeof text,
	    literal ? "%.255s:%.8s:[%.255s]:%.8s" : "%.255s:%.8s:%.255s:%.8s", name, f->port,
	    f->host, f->port);
	if (curl_url_set(url, CURLUPART_HOST, name, 0) == CURLUE_OK) {
		f->connect_to = curl_slist_append(NULL, text);
		curl_easy_setopt(f->easy, CURLOPT_CONNECT_TO, f->connect_to);
		snprintf(
		    text, sizeof text, literal ? "[%.255s]:%.8s" : "%.255s:%.8s", f->host, f->port);
		if (!request_has_header(q, STR("Host")))
			fetch_add_header(f, STR("Host"), str_of(text));
	}
	free(name);
}

/* The URL taken apart: host and port; false: it is none. */
static bool
fetch_set_url(struct fetch *f, const struct fetch_request *q)
{
	CURLU *url = curl_url();
	char *text = str_dup(q->url), *whole = NULL;
	bool web = str_eq_nocase(str_head(q->url, q->url.n < 7 ? 0 : 7), STR("http://")) ||
		   str_eq_nocase(str_head(q->url, q->url.n < 8 ? 0 : 8), STR("https://"));
	bool ok = web && url != NULL && strlen(text) == q->url.n &&
		  curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_HOST, &f->host, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_PORT, &f->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
	size_t n = ok ? strlen(f->host) : 0;

	if (n >= 2 && f->host[0] == '[') { /* an IPv6 address: without its brackets */
		memmove(f->host, f->host + 1, n - 2);
		f->host[n - 2] = '\0';
	}
	if (ok && q->server_name.n > 0)
		fetch_set_server_name(f, q, url);
	ok = ok && curl_url_get(url, CURLUPART_URL, &whole, 0) == CURLUE_OK &&
	     curl_easy_setopt(f->easy, CURLOPT_URL, whole) == CURLE_OK;
	curl_free(whole);
	curl_url_cleanup(url);
	free(text);
	return ok;
}

static void
fetch_set(struct fetch *f, const struct fetch_request *q)
{
	long version = (long)CURL_HTTP_VERSION_1_1;

	if (q->http2)
		version = str_starts(q->url, STR("https:"))
			      ? (long)CURL_HTTP_VERSION_2TLS
			      : (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
	curl_easy_setopt(f->easy, CURLOPT_PRIVATE, f);
	curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, fetch_on_body);
	curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(f->easy, CURLOPT_HEADERFUNCTION, fetch_on_header);
	curl_easy_setopt(f->easy, CURLOPT_HEADERDATA, f);
	curl_easy_setopt(f->easy, CURLOPT_OPENSOCKETFUNCTION, fetch_on_open);
	curl_easy_setopt(f->easy, CURLOPT_ERRORBUFFER, f->curl_error);
	curl_easy_setopt(f->easy, CURLOPT_HTTP_VERSION, version);
	curl_easy_setopt(f->easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(f->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(f->easy, CURLOPT_BUFFERSIZE, FETCH_BUFFER);
	curl_easy_setopt(f->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(f->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(f->easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A redirect to another name is resolved by a thread: do not wait for it. */
	curl_easy_setopt(f->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(f->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(f->easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(f->easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
	curl_easy_setopt(
	    f->easy, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(f->easy, CURLOPT_FOLLOWLOCATION, q->follow ? 1L : 0L);
	curl_easy_setopt(f->easy, CURLOPT_MAXREDIRS, FETCH_REDIRECTS);
	if (q->unix_path.n > 0) {
		char *path = str_dup(q->unix_path);

		curl_easy_setopt(f->easy, CURLOPT_UNIX_SOCKET_PATH, path);
		free(path);
	}
	fetch_set_method(f, q);
	fetch_set_tls(f, q);
	fetch_set_headers(f, q);
}

/* ---- names ---- */

static void
fetch_go(struct fetch *f)
{
	if (curl_multi_add_handle(curl_io_multi(f->fetcher->curl), f->easy) == CURLM_OK) {
		f->added = true;
		return;
	}
	snprintf(f->error, sizeof f->error, "out of memory");
	fetch_end(f);
}

static void
fetch_resolved(void *arg, const struct addr *addrs, size_t count, const char *why)
{
	struct fetch *f = arg;
	char address[ADDR_TEXT_MAX];
	struct buf row;

	f->resolve = NULL;
	if (count == 0) {
		snprintf(f->error, sizeof f->error, "dial tcp: lookup %.512s: %s", f->host, why);
		fetch_end(f);
		return;
	}
	buf_init(&row, 4096);
	buf_addf(&row, "%s:%s:", f->host, f->port);
	for (size_t i = 0; i < count; i++)
		buf_addf(&row, addrs[i].family == ADDR_V6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "",
		    addr_format_ip(&addrs[i], address));
	buf_addc(&row, '\0');
	f->addresses = row.full ? NULL : curl_slist_append(NULL, row.p);
	buf_done(&row);
	curl_easy_setopt(f->easy, CURLOPT_RESOLVE, f->addresses);
	fetch_go(f);
}

/* ---- the public calls ---- */

struct fetch *
fetch_start(struct fetcher *r, const struct fetch_request *q)
{
	struct fetch *f = mem_new(struct fetch);
	struct resolve *resolve;
	struct addr literal;

	f->fetcher = r;
	f->done = q->done;
	f->arg = q->arg;
	f->keep_max = q->keep_max;
	f->trailer_name = q->trailer;
	f->trailer_text_name = q->trailer_text;
	buf_init(&f->body, 2 * q->keep_max);
	buf_init(&f->line, FETCH_LINE_MAX);
	buf_init(&f->trailer, FETCH_LINE_MAX);
	buf_init(&f->trailer_text, FETCH_TEXT_MAX);
	TAILQ_INSERT_TAIL(&r->all, f, link);
	if (fetcher_open(r))
		f->easy = curl_easy_init();
	if (f->easy == NULL) {
		snprintf(f->error, sizeof f->error, "out of memory");
		fetch_end(f);
		return f;
	}
	if (!fetch_set_url(f, q)) {
		snprintf(f->error, sizeof f->error, "unsupported URL: http or https is needed");
		fetch_end(f);
		return f;
	}
	fetch_set(f, q);
	if (q->unix_path.n > 0 || addr_parse_ip(str_of(f->host), &literal)) {
		fetch_go(f);
		return f;
	}
	resolve = resolve_start(r->resolver, str_of(f->host), fetch_resolved, f);
	if (resolve != NULL)
		f->resolve = resolve;
	return f;
}

void
fetch_cancel(struct fetch *f)
{
	if (f == NULL)
		return;
	if (f->ended)
		f->done = NULL; /* freed where the ended ones are */
	else
		fetch_free(f);
}

struct fetcher *
fetcher_new(struct event_base *base, struct resolver *resolver)
{
	struct fetcher *r = mem_new(struct fetcher);

	r->base = base;
	r->resolver = resolver;
	r->ended_event = event_new(base, -1, 0, fetcher_on_ended, r);
	TAILQ_INIT(&r->all);
	TAILQ_INIT(&r->ended);
	return r;
}

void
fetcher_free(struct fetcher *r)
{
	struct fetch *f;

	if (r == NULL)
		return;
	while ((f = TAILQ_FIRST(&r->all)) != NULL || (f = TAILQ_FIRST(&r->ended)) != NULL)
		fetch_free(f);
	curl_io_free(r->curl);
	event_free(r->ended_event);
	free(r);
}

/* agent/cmd/client.c -- see client.h. */
#include "agent/cmd/client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

#define ADDRESS_DEFAULT "127.0.0.1:8500"

const struct flag client_flags_table[] = {
	{ "http-addr", "ADDRESS", offsetof(struct client_flags, http_addr),
	    "Where the agent listens: HOST:PORT, a URL, or unix://PATH. Also MUSTER_HTTP_ADDR or "
	    "CONSUL_HTTP_ADDR in the environment. Default: " ADDRESS_DEFAULT "." },
	{ "ca-file", "FILE", offsetof(struct client_flags, ca_file),
	    "With https://: who may have signed the agent's certificate. Also MUSTER_CACERT or "
	    "CONSUL_CACERT." },
	{ "ca-path", "FOLDER", offsetof(struct client_flags, ca_path),
	    "The same as a folder of files. Also MUSTER_CAPATH or CONSUL_CAPATH." },
	{ "client-cert", "FILE", offsetof(struct client_flags, client_cert),
	    "Our certificate for an agent that asks for one. Also MUSTER_CLIENT_CERT or "
	    "CONSUL_CLIENT_CERT." },
	{ "client-key", "FILE", offsetof(struct client_flags, client_key),
	    "Its key. Also MUSTER_CLIENT_KEY or CONSUL_CLIENT_KEY." },
	{ "tls-server-name", "NAME", offsetof(struct client_flags, tls_server_name),
	    "The name that must be in the agent's certificate; the host of -http-addr unless given. "
	    "Also MUSTER_TLS_SERVER_NAME or CONSUL_TLS_SERVER_NAME." },
	{ "datacenter", "NAME", offsetof(struct client_flags, datacenter),
	    "Accepted as Consul's; there is one datacenter." },
	{ "stale", NULL, offsetof(struct client_flags, stale),
	    "Keys and sessions: any server's copy will do, a leader or not. Everything else is the "
	    "agent's own anyway." },
	{ "token", "TOKEN", offsetof(struct client_flags, token),
	    "Accepted as Consul's; there is no access control." },
	{ 0 },
};

struct http_client {
	CURL *curl; /* owned */
	struct buf url, answer;
	FILE *file; /* where a good answer goes, or the body comes from; NULL: `answer`; borrowed */
	uint64_t index; /* of the last answer's X-Consul-Index */
	char *address;  /* owned: as a person knows it */
	char *prefix;   /* owned: of every URL */
	struct curl_slist *connect_to; /* owned: where the name of the certificate is */
	char error[CURL_ERROR_SIZE];
};

/* What a flag says, else the environment; what is empty says nothing. NULL: nobody says anything. */
static const char *
setting(const char *flag, const char *name)
{
	static const char *const prefixes[] = { "MUSTER", "CONSUL" };

	if (flag != NULL && flag[0] != '\0')
		return flag;
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
		char full[64];
		const char *value;

		snprintf(full, sizeof full, "%s_%s", prefixes[i], name);
		value = getenv(full);
		if (value != NULL && value[0] != '\0')
			return value;
	}
	return NULL;
}

/* CONSUL_HTTP_SSL and the like, as Go reads a truth value. */
static bool
setting_is(const char *name, bool unset)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	const char *value = setting(NULL, name);

	for (size_t i = 0; value != NULL && i < sizeof yes / sizeof yes[0]; i++)
		if (strcmp(value, yes[i]) == 0)
			return true;
	return value == NULL && unset;
}

static long
answer_status(const struct http_client *c)
{
	long status = 0;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t
answer_take(char *p, size_t size, size_t n, void *arg)
{
	struct http_client *c = arg;

	if (c->file != NULL && answer_status(c) < 300)
		return fwrite(p, size, n, c->file) * size;
	buf_add(&c->answer, str_mem(p, size * n));
	return c->answer.full ? 0 : size * n;
}

void
http_client_index(struct str line, uint64_t *index)
{
	static const struct str name = STR("X-Consul-Index:");

	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	if (line.n > name.n && str_eq_nocase(str_head(line, name.n), name))
		str_u64(str_trim(str_skip(line, name.n)), UINT64_MAX, index);
}

static size_t
header_take(char *p, size_t size, size_t n, void *arg)
{
	struct http_client *c = arg;

	http_client_index(str_mem(p, size * n), &c->index);
	return size * n;
}

/* A port is there: after the last colon, which is not one of an IPv6 address. */
static bool
has_port(struct str address)
{
	size_t colon = str_find_last(address, ':'), bracket = str_find_last(address, ']');

	if (colon == address.n)
		return false;
	if (bracket < address.n)
		return colon > bracket;
	return str_find(address, ':') == colon;
}

/* The name in the certificate stands in the URL, and libcurl is told where that is. `port` is for
 * hosts without one. */
static void
client_prefix(struct http_client *c, struct str host, const char *port, bool tls, const char *name,
    struct buf *prefix)
{
	size_t colon = has_port(host) ? str_find_last(host, ':') : host.n;
	struct buf to;

	port = colon < host.n ? "" : port;
	if (!tls || name == NULL) {
		buf_addf(prefix, "%s://" STR_FMT "%s", tls ? "https" : "http", STR_ARG(host), port);
		return;
	}
	buf_addf(prefix, "https://%s" STR_FMT "%s", name,
	    STR_ARG(str_skip(host, colon)), port);
	buf_init(&to, PATH_URL_MAX);
	buf_addf(&to, "::" STR_FMT "%s%c", STR_ARG(host), port, '\0');
	c->connect_to = to.full ? NULL : curl_slist_append(NULL, to.p);
	buf_done(&to);
	curl_easy_setopt(c->curl, CURLOPT_CONNECT_TO, c->connect_to);
}

/* Where the scheme is left out CONSUL_HTTP_SSL says it; it makes http:// https://, too. */
static int
client_point(
    struct http_client *c, const struct client_flags *flags, struct str address, struct err *err)
{
	bool tls = setting_is("HTTP_SSL", false), given;
	struct buf prefix;

	buf_init(&prefix, PATH_URL_MAX);
	given = str_starts(address, STR("http://")) || str_starts(address, STR("https://"));
	if (str_starts(address, STR("unix://"))) {
		char *path = str_dup(str_skip(address, 7));

		curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, path);
		free(path);
		buf_add(&prefix, STR("http://unix"));
	} else if (!given && memmem(address.p, address.n, "://", 3) != NULL) {
		buf_done(&prefix);
		return err_set(err, ERR_INPUT,
		    "\"" STR_FMT "\" is no address of an agent: HOST:PORT, http://HOST:PORT, "
		    "https://HOST:PORT or unix://PATH",
		    STR_ARG(address));
	} else {
		tls = tls || str_starts(address, STR("https://"));
		if (given)
			address = str_skip(address, str_find(address, '/') + 2);
		while (address.n > 0 && address.p[address.n - 1] == '/')
			address.n--;
		client_prefix(c, address, given ? "" : tls ? ":8501" : ":8500", tls,
		    setting(flags->tls_server_name, "TLS_SERVER_NAME"), &prefix);
	}
	c->prefix = str_dup(buf_str(&prefix));
	buf_done(&prefix);
	return 0;
}

static void
client_tls(struct http_client *c, const struct client_flags *flags)
{
	const struct {
		CURLoption option;
		const char *value;
	} rows[] = {
		{ CURLOPT_CAINFO, setting(flags->ca_file, "CACERT") },
		{ CURLOPT_CAPATH, setting(flags->ca_path, "CAPATH") },
		{ CURLOPT_SSLCERT, setting(flags->client_cert, "CLIENT_CERT") },
		{ CURLOPT_SSLKEY, setting(flags->client_key, "CLIENT_KEY") },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].value != NULL)
			curl_easy_setopt(c->curl, rows[i].option, rows[i].value);
	if (!setting_is("HTTP_SSL_VERIFY", true)) {
		curl_easy_setopt(c->curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c->curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

int
http_client_new(const struct client_flags *flags, struct http_client **out, struct err *err)
{
	struct http_client *c = mem_new(struct http_client);
	const char *address = setting(flags->http_addr, "HTTP_ADDR");
	int rc;

	curl_global_init(CURL_GLOBAL_DEFAULT);
	c->curl = curl_easy_init();
	if (c->curl == NULL) {
		free(c);
		return err_set(err, ERR_MEMORY, "libcurl does not start");
	}
	c->address = str_dup(address == NULL ? STR(ADDRESS_DEFAULT) : str_of(address));
	buf_init(&c->url, PATH_URL_MAX);
	buf_init(&c->answer, CLIENT_BYTES_MAX);
	rc = client_point(c, flags, str_of(c->address), err);
	if (rc < 0) {
		http_client_free(c);
		return rc;
	}
	client_tls(c, flags);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_PATH_AS_IS, 1L); /* "a/../b" is not "b" */
	curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, (long)CLIENT_CONNECT_SECONDS);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, (long)CLIENT_SECONDS);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, answer_take);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, header_take);
	curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, c);
	*out = c;
	return 0;
}

void
http_client_free(struct http_client *c)
{
	if (c == NULL)
		return;
	curl_easy_cleanup(c->curl);
	curl_slist_free_all(c->connect_to);
	buf_done(&c->url);
	buf_done(&c->answer);
	free(c->address);
	free(c->prefix);
	free(c);
}

static int
failure_tell(const struct http_client *c, CURLcode code, struct err *err)
{
	long number = 0;

	switch (code) {
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &number);
		return err_set(err, ERR_IO,
		    "no agent answers at %s: %s; is it running there? (-http-addr, or "
		    "MUSTER_HTTP_ADDR in the environment, says where)",
		    c->address, number != 0 ? strerror((int)number) : c->error);
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(err, ERR_IO, "the host of %s is not known", c->address);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, ERR_IO, "the agent at %s does not answer", c->address);
	case CURLE_WRITE_ERROR:
		return err_set(err, ERR_LIMIT, "the answer of the agent at %s is over %d MiB",
		    c->address, CLIENT_BYTES_MAX >> 20);
	default:
		return err_set(err, ERR_IO, "asking the agent at %s: %s", c->address,
		    c->error[0] != '\0' ? c->error : curl_easy_strerror(code));
	}
}

/* What the agent has answered, as an error when it is one. */
static int
answer_judge(const struct http_client *c, struct err *err)
{
	struct str text = str_trim(buf_str(&c->answer));
	long status = answer_status(c);

	if (status >= 300 && status < 400)
		return err_set(err, ERR_REFUSED,
		    "Unexpected response code: %ld (a path, and so a key, cannot have //, /./ or "
		    "/../ in it)",
		    status);
	if (status < 400)
		return 0;
	while (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	return err_set(err, status == 404 ? ERR_NOT_FOUND : ERR_REFUSED,
	    "Unexpected response code: %ld (" STR_FMT ")", status, STR_ARG(text));
}

/* The method, and what belongs to it, are set. */
static int
client_perform(struct http_client *c, struct str path, struct err *err)
{
	struct curl_slist *headers =
	    curl_slist_append(NULL, "Content-Type: application/octet-stream");
	CURLcode code;

	buf_clear(&c->url);
	buf_clear(&c->answer);
	http_client_url(c, path, &c->url);
	if (c->url.full || headers == NULL) {
		curl_slist_free_all(headers);
		return err_set(err, ERR_LIMIT, "the request is too long");
	}
	c->error[0] = '\0';
	c->index = 0;
	curl_easy_setopt(c->curl, CURLOPT_URL, c->url.p);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	return code != CURLE_OK ? failure_tell(c, code, err) : answer_judge(c, err);
}

int
http_client_ask(struct http_client *c, const char *method, struct str path, struct str body,
    struct buf *out, struct err *err)
{
	int rc;

	if (strcmp(method, "GET") == 0) {
		curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
	} else {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.n == 0 ? "" : body.p);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)body.n);
	}
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	rc = client_perform(c, path, err);
	if (rc == 0 && out != NULL) {
		buf_clear(out);
		buf_add(out, buf_str(&c->answer));
	}
	return rc;
}

/* A transfer goes on for as long as it moves. */
static void
client_bulk(struct http_client *c, FILE *file)
{
	c->file = file;
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, file == NULL ? (long)CLIENT_SECONDS : 0L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, file == NULL ? 0L : 1L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, file == NULL ? 0L : (long)CLIENT_SECONDS);
}

int
http_client_save(
    struct http_client *c, struct str path, FILE *file, uint64_t *index, struct err *err)
{
	int rc;

	client_bulk(c, file);
	rc = http_client_ask(c, "GET", path, STR_NONE, NULL, err);
	client_bulk(c, NULL);
	if (rc == 0 && (fflush(file) != 0 || ferror(file)))
		rc = err_errno(err, "writing the file");
	if (rc == 0)
		*index = c->index;
	return rc;
}

int
http_client_follow(struct http_client *c, struct str path, FILE *file, struct err *err)
{
	int rc;

	c->file = file;
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 0L);
	rc = http_client_ask(c, "GET", path, STR_NONE, NULL, err);
	client_bulk(c, NULL);
	return rc;
}

int
http_client_wait(
    struct http_client *c, struct str path, struct buf *out, uint64_t *index, struct err *err)
{
	int rc;

	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 0L);
	rc = http_client_ask(c, "GET", path, STR_NONE, out, err);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, (long)CLIENT_SECONDS);
	*index = c->index;
	return rc;
}

static size_t
body_give(char *p, size_t size, size_t n, void *arg)
{
	FILE *file = arg;
	size_t got = fread(p, size, n, file);

	return ferror(file) ? CURL_READFUNC_ABORT : got * size;
}

int
http_client_send(struct http_client *c, struct str path, FILE *file, struct err *err)
{
	int rc;

	client_bulk(c, file);
	c->file = NULL; /* what comes back is no file */
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, "PUT");
	curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, body_give);
	curl_easy_setopt(c->curl, CURLOPT_READDATA, file);
	rc = client_perform(c, path, err);
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 0L);
	client_bulk(c, NULL);
	return ferror(file) ? err_errno(err, "reading the file") : rc;
}

int
http_client_get_any(
    struct http_client *c, struct str path, long status, json_t **out, struct err *err)
{
	int rc = http_client_ask(c, "GET", path, STR_NONE, NULL, err);

	if (rc == ERR_REFUSED && answer_status(c) == status)
		rc = 0;
	if (rc == 0 && json_read_wide(buf_str(&c->answer), out, err) < 0)
		rc = err_wrap(err, "the answer of %s is no JSON", c->address);
	return rc;
}

int
http_client_get_json(struct http_client *c, struct str path, json_t **out, struct err *err)
{
	return http_client_get_any(c, path, 200, out, err);
}

CURL *
http_client_handle(const struct http_client *c)
{
	return curl_easy_duphandle(c->curl);
}

void
http_client_url(const struct http_client *c, struct str path, struct buf *url)
{
	buf_addf(url, "%s" STR_FMT "%c", c->prefix, STR_ARG(path), '\0');
}

const char *
http_client_address(const struct http_client *c)
{
	return c->address;
}

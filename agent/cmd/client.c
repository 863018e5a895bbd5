/* agent/cmd/client.c -- see client.h. */
#include "agent/cmd/client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

#define ADDRESS_DEFAULT "127.0.0.1:8500"
#define URL_BYTES_MAX (64 * 1024)

const struct flag client_flags_table[] = {
	{ "http-addr", "ADDRESS", offsetof(struct client_flags, http_addr),
	    "Where the agent listens: HOST:PORT, a URL, or unix://PATH. Also MUSTER_HTTP_ADDR or "
	    "CONSUL_HTTP_ADDR in the environment. Default: " ADDRESS_DEFAULT "." },
	{ "datacenter", "NAME", offsetof(struct client_flags, datacenter),
	    "Accepted as Consul's; there is one datacenter." },
	{ "stale", NULL, offsetof(struct client_flags, stale),
	    "Accepted as Consul's; every answer is the agent's own." },
	{ "token", "TOKEN", offsetof(struct client_flags, token),
	    "Accepted as Consul's; there is no access control." },
	{ 0 },
};

struct http_client {
	CURL *curl; /* owned */
	struct buf url, answer;
	char *address; /* owned: as a person knows it */
	char *prefix;  /* owned: of every URL */
	char error[CURL_ERROR_SIZE];
};

static const char *
address_wanted(const struct client_flags *flags)
{
	static const char *const names[] = { "MUSTER_HTTP_ADDR", "CONSUL_HTTP_ADDR" };

	if (flags->http_addr != NULL && flags->http_addr[0] != '\0')
		return flags->http_addr;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *value = getenv(names[i]);

		if (value != NULL && value[0] != '\0')
			return value;
	}
	return ADDRESS_DEFAULT;
}

static size_t
answer_take(char *p, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	buf_add(b, str_mem(p, size * n));
	return b->full ? 0 : size * n;
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

static int
client_point(struct http_client *c, struct str address, struct err *err)
{
	struct buf prefix;

	buf_init(&prefix, URL_BYTES_MAX);
	if (str_starts(address, STR("unix://"))) {
		char *path = str_dup(str_skip(address, 7));

		curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, path);
		free(path);
		buf_add(&prefix, STR("http://unix"));
	} else if (str_starts(address, STR("http://")) || str_starts(address, STR("https://"))) {
		while (address.n > 0 && address.p[address.n - 1] == '/')
			address.n--;
		buf_add(&prefix, address);
	} else if (memmem(address.p, address.n, "://", 3) != NULL) {
		buf_done(&prefix);
		return err_set(err, ERR_INPUT,
		    "\"" STR_FMT "\" is no address of an agent: HOST:PORT, http://HOST:PORT or "
		    "unix://PATH",
		    STR_ARG(address));
	} else {
		buf_addf(&prefix, "http://" STR_FMT "%s", STR_ARG(address),
		    has_port(address) ? "" : ":8500");
	}
	c->prefix = str_dup(buf_str(&prefix));
	buf_done(&prefix);
	return 0;
}

int
http_client_new(const struct client_flags *flags, struct http_client **out, struct err *err)
{
	struct http_client *c = mem_new(struct http_client);
	int rc;

	curl_global_init(CURL_GLOBAL_DEFAULT);
	c->curl = curl_easy_init();
	if (c->curl == NULL) {
		free(c);
		return err_set(err, ERR_MEMORY, "libcurl does not start");
	}
	c->address = str_dup(str_of(address_wanted(flags)));
	buf_init(&c->url, URL_BYTES_MAX);
	buf_init(&c->answer, CLIENT_BYTES_MAX);
	rc = client_point(c, str_of(c->address), err);
	if (rc < 0) {
		http_client_free(c);
		return rc;
	}
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, (long)CLIENT_CONNECT_SECONDS);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, (long)CLIENT_SECONDS);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, answer_take);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &c->answer);
	*out = c;
	return 0;
}

void
http_client_free(struct http_client *c)
{
	if (c == NULL)
		return;
	curl_easy_cleanup(c->curl);
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

int
http_client_ask(struct http_client *c, const char *method, struct str path, struct str body,
    struct buf *out, struct err *err)
{
	struct curl_slist *headers =
	    curl_slist_append(NULL, "Content-Type: application/octet-stream");
	CURLcode code;
	long status = 0;

	buf_clear(&c->url);
	buf_clear(&c->answer);
	buf_addf(&c->url, "%s" STR_FMT "%c", c->prefix, STR_ARG(path), '\0');
	if (c->url.full || headers == NULL) {
		curl_slist_free_all(headers);
		return err_set(err, ERR_LIMIT, "the request is too long");
	}
	c->error[0] = '\0';
	curl_easy_setopt(c->curl, CURLOPT_URL, c->url.p);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	if (strcmp(method, "GET") == 0) {
		curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
	} else {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.n == 0 ? "" : body.p);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)body.n);
	}
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
	code = curl_easy_perform(c->curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK)
		return failure_tell(c, code, err);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 400) {
		struct str text = str_trim(buf_str(&c->answer));

		while (text.n > 0 && text.p[text.n - 1] == '\n')
			text.n--;
		return err_set(err, status == 404 ? ERR_NOT_FOUND : ERR_REFUSED,
		    "Unexpected response code: %ld (" STR_FMT ")", status, STR_ARG(text));
	}
	if (out != NULL) {
		buf_clear(out);
		buf_add(out, buf_str(&c->answer));
	}
	return 0;
}

int
http_client_get_json(struct http_client *c, struct str path, json_t **out, struct err *err)
{
	int rc = http_client_ask(c, "GET", path, STR_NONE, NULL, err);

	if (rc == 0 && json_read(buf_str(&c->answer), out, err) < 0)
		rc = err_wrap(err, "the answer of %s is no JSON", c->address);
	return rc;
}

void
path_add(struct buf *b, struct str part)
{
	static const char plain[] = "-._~";

	for (size_t i = 0; i < part.n; i++) {
		char ch = part.p[i], low = chr_lower(ch);

		if ((low >= 'a' && low <= 'z') || chr_digit(ch) ||
		    (ch != '\0' && strchr(plain, ch) != NULL))
			buf_addc(b, ch);
		else
			buf_addf(b, "%%%02X", (unsigned char)ch);
	}
}

/* agent/http/conn_head.c -- request line and headers (RFC 9112 2-5), read in place.
 *
 * Stricter than it need be wherever two readers could see two requests in the same bytes
 * (smuggling): one Content-Length, "chunked" alone as transfer coding and never both, no folded
 * lines, no blank before a colon, no control characters. Texts and statuses are those of Go's
 * net/http, which Consul's clients know.
 */
#include "agent/http/conn_private.h"

#include <assert.h>

/* tchar of RFC 9110 5.6.2, one bit per byte below 128 */
static const uint32_t token_bits[4] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff };

/* Cuts a token off that ends with `end`, which is none of its bytes; false: there is none. */
static bool
token_cut(struct str *rest, char end, struct str *token)
{
	struct str s = *rest;
	size_t n = 0;

	for (; n < s.n; n++) {
		unsigned c = (unsigned char)s.p[n];

		if (c >= 128 || (token_bits[c / 32] >> c % 32 & 1) == 0)
			break;
	}
	if (n == 0 || n == s.n || s.p[n] != end)
		return false;
	*token = str_head(s, n);
	*rest = str_skip(s, n + 1);
	return true;
}

/* Any of eight bytes below 0x20, or 0x7f; or, in the company of one, others. */
static bool
any_control(const char *p)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	uint64_t v, del;

	memcpy(&v, p, sizeof v);
	del = v ^ ones * 0x7f;
	return (((v - ones * 0x20) & ~v) | ((del - ones) & ~del)) & highs;
}

static bool
is_field_value(struct str s)
{
	size_t i = 0;

	while (s.n - i >= 8 && !any_control(s.p + i))
		i += 8;
	if (i > 0 && s.n - i < 8 && !any_control(s.p + s.n - 8))
		return true; /* with some bytes looked at twice */
	for (; i < s.n; i++) {
		unsigned c = (unsigned char)s.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

size_t
http_head_end(struct str data, size_t *scanned)
{
	size_t i = *scanned;

	for (;;) {
		const char *nl = i < data.n ? memchr(data.p + i, '\n', data.n - i) : NULL;
		struct str after;

		if (nl == NULL)
			break;
		i = (size_t)(nl - data.p) + 1;
		after = str_skip(data, i);
		if (str_starts(after, STR("\n")))
			return i + 1;
		if (str_starts(after, STR("\r\n")))
			return i + 2;
		if (after.n < 2) {
			*scanned = i - 1; /* look at this line's end again */
			return 0;
		}
	}
	*scanned = data.n;
	return 0;
}

/* One line without its end; *rest moves on. */
static struct str
line_next(struct str *rest)
{
	struct str line = str_cut(rest, '\n');

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static enum http_method
method_of(struct str s)
{
	static const struct {
		struct str text;
		enum http_method method;
	} known[] = {
		{ STR("GET"), HTTP_GET },
		{ STR("PUT"), HTTP_PUT },
		{ STR("POST"), HTTP_POST },
		{ STR("DELETE"), HTTP_DELETE },
		{ STR("HEAD"), HTTP_HEAD },
		{ STR("OPTIONS"), HTTP_OPTIONS },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (str_eq(s, known[i].text))
			return known[i].method;
	return HTTP_OTHER;
}

static bool
escapes_valid(struct str s)
{
	for (size_t i = str_find(s, '%'); i < s.n; i++) {
		if (s.p[i] != '%')
			continue;
		for (size_t k = 1; k <= 2; k++) {
			char c = i + k < s.n ? chr_lower(s.p[i + k]) : '\0';

			if (!chr_digit(c) && !(c >= 'a' && c <= 'f'))
				return false;
		}
		i += 2;
	}
	return true;
}

/* Sets target, path and query. Absolute URLs (of proxies) lose their scheme and authority. */
static bool
target_read(struct str target, struct http_request *rq)
{
	struct str rest = target;
	size_t scheme = 0;

	rq->target = target;
	if (!is_field_value(target) || target.n == 0)
		return false;
	if (str_eq(target, STR("*")) && rq->method == HTTP_OPTIONS) {
		rq->path = target;
		rq->query = STR_NONE;
		return true;
	}
	if (target.p[0] != '/') {
		if (target.n >= 7 && str_eq_nocase(str_head(target, 7), STR("http://")))
			scheme = 7;
		else if (target.n >= 8 && str_eq_nocase(str_head(target, 8), STR("https://")))
			scheme = 8;
		else
			return false;
		rest = str_skip(rest, scheme);
		while (rest.n > 0 && rest.p[0] != '/' && rest.p[0] != '?')
			rest = str_skip(rest, 1);
	}
	rq->path = str_cut(&rest, '?');
	rq->query = rest;
	if (rq->path.n == 0)
		rq->path = STR("/");
	return escapes_valid(rq->path);
}

static int
request_line_read(struct str line, struct http_request *rq, const char **why)
{
	struct str version = line, method, target;

	*why = "Bad Request";
	if (!token_cut(&version, ' ', &method))
		return 400;
	target = str_cut(&version, ' ');
	if (version.n != 8 || !str_starts(version, STR("HTTP/")) || !chr_digit(version.p[5]) ||
	    version.p[6] != '.' || !chr_digit(version.p[7]))
		return 400;
	if (version.p[5] != '1') {
		*why = "HTTP Version Not Supported: unsupported protocol version";
		return 505;
	}
	rq->method_text = method;
	rq->method = method_of(method);
	rq->version_minor = (unsigned)(version.p[7] - '0');
	rq->keep_alive = rq->version_minor >= 1;
	return target_read(target, rq) ? 0 : 400;
}

/* What has been seen of the headers that frame the message. */
struct seen {
	unsigned hosts, lengths, codings;
	struct str length;
};

static int
header_connection(struct str value, struct http_request *rq)
{
	while (value.p != NULL) {
		struct str option = str_trim(str_cut(&value, ','));

		if (str_eq_nocase(option, STR("close"))) {
			rq->keep_alive = false;
			return 0; /* whatever else it says */
		}
		if (str_eq_nocase(option, STR("keep-alive")) && rq->version_minor == 0)
			rq->keep_alive = true;
	}
	return 0;
}

static int
header_length(struct str value, struct seen *seen, struct http_framing *f, const char **why)
{
	*why = "Bad Request";
	if (seen->lengths++ > 0 && !str_eq(value, seen->length))
		return 400;
	seen->length = value;
	return str_u64(value, INT64_MAX, &f->length) ? 0 : 400;
}

static int
header_coding(struct str value, struct seen *seen, struct http_framing *f, const char **why)
{
	f->chunked = true;
	if (seen->codings++ > 0) {
		*why = "Bad Request: too many transfer encodings";
		return 400;
	}
	*why = "Unsupported transfer encoding";
	return str_eq_nocase(value, STR("chunked")) ? 0 : 501;
}

static int
header_read(const struct http_header *h, struct http_request *rq, struct seen *seen,
    struct http_framing *f, const char **why)
{
	switch (h->name.n) {
	case 4:
		if (!str_eq_nocase(h->name, STR("Host")))
			return 0;
		*why = "Bad Request: too many Host headers";
		return seen->hosts++ > 0 ? 400 : 0;
	case 6:
		if (!str_eq_nocase(h->name, STR("Expect")) || h->value.n == 0)
			return 0;
		f->expects_continue = true;
		*why = "Expectation Failed";
		return str_eq_nocase(h->value, STR("100-continue")) ? 0 : 417;
	case 10:
		if (!str_eq_nocase(h->name, STR("Connection")))
			return 0;
		return header_connection(h->value, rq);
	case 14:
		if (!str_eq_nocase(h->name, STR("Content-Length")))
			return 0;
		return header_length(h->value, seen, f, why);
	case 17:
		if (!str_eq_nocase(h->name, STR("Transfer-Encoding")))
			return 0;
		return header_coding(h->value, seen, f, why);
	default:
		return 0;
	}
}

static int
framing_check(const struct http_request *rq, const struct seen *seen, struct http_framing *f,
    const char **why)
{
	*why = "Bad Request";
	if (f->chunked && (seen->lengths > 0 || rq->version_minor == 0))
		return 400; /* somebody else would have read another length */
	*why = "Bad Request: missing required Host header";
	if (seen->hosts == 0 && rq->version_minor >= 1)
		return 400;
	if (rq->version_minor == 0)
		f->expects_continue = false;
	return 0;
}

int
http_head_read(struct str head, struct http_request *rq, struct http_framing *f, const char **why)
{
	struct seen seen = { 0 };
	struct str rest = head;
	int status;

	*f = (struct http_framing){ 0 };
	rq->header_count = 0;
	rq->header_lines = STR_NONE;
	status = request_line_read(line_next(&rest), rq, why);
	if (status != 0)
		return status;
	for (;;) {
		struct str value = line_next(&rest), name;
		struct http_header *h;

		if (value.n == 0)
			break;
		*why = "Bad Request";
		if (!token_cut(&value, ':', &name) || !is_field_value(value))
			return 400;
		*why = "Request Header Fields Too Large";
		if (rq->header_count == HTTP_HEADERS_MAX)
			return 431;
		h = &rq->headers[rq->header_count++];
		*h = (struct http_header){ name, str_trim(value) };
		status = header_read(h, rq, &seen, f, why);
		if (status != 0)
			return status;
	}
	return framing_check(rq, &seen, f, why);
}

void
http_head_again(struct str head, struct http_request *rq)
{
	struct str rest = head;
	const char *why;
	int status = request_line_read(line_next(&rest), rq, &why);

	assert(status == 0);
	rq->header_count = 0;
	rq->header_lines = rest;
}

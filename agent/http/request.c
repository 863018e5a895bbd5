/* agent/http/request.c -- reading a request's headers and parameters, beginning a reply.
 *
 * Parameters follow Go's url.ParseQuery, which Consul uses. Nothing is copied unless it holds
 * an escape.
 */
#include "agent/http/http.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct str
http_method_text(enum http_method method)
{
	switch (method) {
	case HTTP_GET:
		return STR("GET");
	case HTTP_PUT:
		return STR("PUT");
	case HTTP_POST:
		return STR("POST");
	case HTTP_DELETE:
		return STR("DELETE");
	case HTTP_HEAD:
		return STR("HEAD");
	case HTTP_OPTIONS:
		return STR("OPTIONS");
	case HTTP_OTHER:
		break;
	}
	return STR_NONE;
}

/* Without the end of a line, of which its newline is cut off already. */
static struct str
line_value(struct str s)
{
	if (s.n > 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return str_trim(s);
}

struct str
request_header(const struct http_request *rq, struct str name)
{
	struct str lines = rq->header_lines;

	for (size_t i = 0; i < rq->header_count; i++)
		if (str_eq_nocase(rq->headers[i].name, name))
			return rq->headers[i].value;
	while (lines.n > 0) {
		struct str value = str_cut(&lines, '\n');

		if (str_eq_nocase(str_cut(&value, ':'), name))
			return line_value(value);
	}
	return STR_NONE;
}

bool
request_param_nth(const struct http_request *rq, struct str name, size_t n, struct str *out)
{
	for (size_t i = 0; i < rq->param_count; i++) {
		if (!str_eq(rq->params[i].name, name) || n-- > 0)
			continue;
		*out = rq->params[i].value;
		return true;
	}
	return false;
}

bool
request_has(const struct http_request *rq, struct str name)
{
	struct str value;

	return request_param_nth(rq, name, 0, &value);
}

struct str
request_param(const struct http_request *rq, struct str name)
{
	struct str value = STR_NONE;

	request_param_nth(rq, name, 0, &value);
	return value;
}

struct str
request_consistency(const struct http_request *rq)
{
	if (rq->param_count == 0)
		return STR("leader");
	if (request_has(rq, STR("consistent")))
		return STR("consistent");
	return request_has(rq, STR("stale")) ? STR("stale") : STR("leader");
}

struct str
request_asker(const struct http_request *rq)
{
	struct str named = request_header(rq, STR("X-Forwarded-For"));
	struct addr a = rq->peer, said;
	char text[ADDR_TEXT_MAX];

	if (rq->node.n > 0)
		named = request_param(rq, STR(HTTP_ASKER_PARAM));
	if (addr_parse_ip(str_trim(str_cut(&named, ',')), &said))
		a = said;
	if (a.family != ADDR_V4 && a.family != ADDR_V6)
		return STR_NONE;
	return arena_dup(rq->arena, str_of(addr_format_ip(&a, text)));
}

static int
hex_value(char c)
{
	if (chr_digit(c))
		return c - '0';
	c = chr_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
percent_decode(struct arena *arena, struct str in, bool plus, struct str *out)
{
	size_t n = 0;
	char *p;

	if (str_find(in, '%') == in.n && (!plus || str_find(in, '+') == in.n)) {
		*out = in;
		return true;
	}
	p = arena_alloc(arena, in.n);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			int high = in.n - i > 2 ? hex_value(in.p[i + 1]) : -1;
			int low = in.n - i > 2 ? hex_value(in.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		p[n++] = c;
	}
	*out = str_mem(p, n);
	return true;
}

static size_t
query_part_end(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '&' || s.p[i] == ';')
			return i;
	return s.n;
}

bool
request_params_read(struct http_request *rq)
{
	struct str rest = rq->query;

	rq->param_count = 0;
	while (rest.n > 0) {
		size_t n = query_part_end(rest);
		struct str value = str_head(rest, n), name;

		rest = str_skip(rest, n < rest.n ? n + 1 : n);
		if (value.n == 0)
			continue;
		if (rq->param_count == HTTP_QUERY_PARAMS_MAX)
			return false;
		name = str_cut(&value, '=');
		if (percent_decode(rq->arena, name, true, &name) &&
		    percent_decode(rq->arena, value, true, &value))
			rq->params[rq->param_count++] = (struct http_header){ name, value };
	}
	return true;
}

void
reply_init(struct http_reply *rp, struct buf *body, bool pretty)
{
	buf_clear(body);
	*rp = (struct http_reply){ .status = 200, .body = body };
	jw_init(&rp->json, body, pretty);
}

struct jw *
reply_json(struct http_reply *rp)
{
	rp->content_type = "application/json";
	return &rp->json;
}

void
reply_error(struct http_reply *rp, int status, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	if (rp->stream != NULL)
		rp->stream->free(rp->stream);
	rp->stream = NULL;
	buf_clear(rp->body);
	jw_init(&rp->json, rp->body, rp->json.pretty);
	rp->status = status;
	rp->content_type = "text/plain; charset=utf-8";
	rp->indexed = rp->hash_blocking = rp->lasting = false;
	rp->shared = NULL;
	rp->later = 0;
	rp->read_count = 0;
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (p = buf_reserve(rp->body, (size_t)n + 1)) == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf_commit(rp->body, (size_t)n);
}

void
reply_header(struct http_reply *rp, struct str name, struct str value)
{
	assert(rp->extra_count < sizeof rp->extra / sizeof rp->extra[0]);
	rp->extra[rp->extra_count++] = (struct http_header){ name, value };
}

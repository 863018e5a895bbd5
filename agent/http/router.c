/* agent/http/router.c -- the longest row that fits, and what is said when none does.
 *
 * As Go's ServeMux under Consul: paths are compared decoded; an exact row beats a prefix, the
 * longest prefix beats shorter ones; a path that is not clean is redirected before anything
 * else, and "/v1/kv" is redirected to "/v1/kv/" when only that is there.
 */
#include "agent/http/router.h"

struct router_match {
	const struct route *row; /* the first row with the path; NULL: none */
	size_t len;              /* of its path, without '*' */
	bool exact;
	bool slash; /* the path with a '/' after it would match */
};

#define GROUP_AT (sizeof "/v1/" - 1) /* where the paths of most endpoints begin to differ */

/* From this row on, the first that may fit. What is looked at is no final '*'. */
static const struct route *
row_near(const struct route *r, struct str path)
{
	if (path.n > GROUP_AT)
		while (r->path.n > GROUP_AT + 1 && r->path.p[GROUP_AT] != path.p[GROUP_AT])
			r++;
	return r;
}

static struct router_match
router_match(const struct route *table, struct str path)
{
	struct router_match m = { 0 };
	const struct route *r = row_near(table, path);

	for (; r->path.p != NULL; r = row_near(r + 1, path)) {
		struct str want = r->path;
		bool prefix;

		if (want.n > path.n + sizeof "/*" - 1)
			continue;
		prefix = want.n > 0 && want.p[want.n - 1] == '*';
		if (prefix)
			want.n--;
		if (!prefix && str_eq(path, want))
			return (struct router_match){ r, want.n, true, false };
		if (!prefix)
			continue;
		if (str_starts(path, want) && (m.row == NULL || want.n > m.len)) {
			m.row = r;
			m.len = want.n;
		} else if (want.n == path.n + 1 && want.p[path.n] == '/' &&
			   str_starts(want, path)) {
			m.slash = true;
		}
	}
	return m;
}

/* Lexically shortest: no empty, "." or ".." segments; a final slash stays. */
static bool
path_clean(struct arena *arena, struct str path, struct str *out)
{
	char *p = arena_alloc(arena, path.n + 2);
	struct str rest = path;
	size_t n = 0;

	if (p == NULL)
		return false;
	p[n++] = '/';
	while (rest.p != NULL) {
		struct str part = str_cut(&rest, '/');

		if (part.n == 0 || str_eq(part, STR(".")))
			continue;
		if (str_eq(part, STR(".."))) {
			while (n > 1 && p[--n - 1] != '/')
				;
			continue;
		}
		memcpy(p + n, part.p, part.n);
		n += part.n;
		p[n++] = '/';
	}
	if (n > 1 && (path.n == 0 || path.p[path.n - 1] != '/'))
		n--;
	*out = str_mem(p, n);
	return true;
}

static bool
path_is_clean(struct str path)
{
	if (path.n == 0 || path.p[0] != '/')
		return false;
	for (size_t i = 0; i + 1 < path.n; i++) {
		struct str after;
		size_t dots = 0;

		if (path.p[i] != '/')
			continue;
		after = str_skip(path, i + 1);
		while (dots < after.n && after.p[dots] == '.')
			dots++;
		if (after.p[0] == '/')
			return false;
		if ((dots == 1 || dots == 2) && (dots == after.n || after.p[dots] == '/'))
			return false;
	}
	return true;
}

/* A path as a URL shows it: what Go's URL.EscapedPath leaves alone stays. */
static struct str
location(struct arena *arena, struct str path, bool slash, struct str query)
{
	static const char hex[] = "0123456789ABCDEF";
	char *p = arena_alloc(arena, 3 * path.n + 1 + 1 + query.n);
	size_t n = 0;

	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < path.n; i++) {
		unsigned char c = (unsigned char)path.p[i];
		bool plain = chr_digit((char)c) ||
			     (chr_lower((char)c) >= 'a' && chr_lower((char)c) <= 'z') ||
			     (c != '\0' && strchr("-_.~$&+,/:;=@", c) != NULL);

		if (plain) {
			p[n++] = (char)c;
			continue;
		}
		p[n++] = '%';
		p[n++] = hex[c >> 4];
		p[n++] = hex[c & 15];
	}
	if (slash)
		p[n++] = '/';
	if (query.n > 0) {
		p[n++] = '?';
		memcpy(p + n, query.p, query.n);
		n += query.n;
	}
	return str_mem(p, n);
}

static struct str
methods_allowed(const struct route *row, struct arena *arena)
{
	static const struct {
		enum http_method method;
		const char *text;
	} names[] = {
		{ HTTP_GET, ",GET" },
		{ HTTP_PUT, ",PUT" },
		{ HTTP_POST, ",POST" },
		{ HTTP_DELETE, ",DELETE" },
	};
	const char *text[4] = { "", "", "", "" };
	unsigned methods = 0;

	for (const struct route *r = row; r->path.p != NULL && str_eq(r->path, row->path); r++)
		methods |= r->method;
	for (size_t i = 0; i < 4; i++)
		if ((methods & names[i].method) != 0)
			text[i] = names[i].text;
	return arena_fmt(arena, "OPTIONS%s%s%s%s", text[0], text[1], text[2], text[3]);
}

enum routed
router_find(const struct route *table, struct http_request *rq, struct str *out)
{
	struct router_match m;
	struct str path, clean;

	if (!percent_decode(rq->arena, rq->path, false, &path))
		return ROUTED_NOT_FOUND;
	if (str_eq(path, STR("*"))) {
		*out = STR("OPTIONS,GET,PUT,DELETE");
		return ROUTED_OPTIONS;
	}
	if (!path_is_clean(path)) {
		if (!path_clean(rq->arena, path, &clean))
			return ROUTED_NOT_FOUND;
		*out = location(rq->arena, clean, false, rq->query);
		return ROUTED_MOVED;
	}
	m = router_match(table, path);
	if (!m.exact && m.slash) {
		*out = location(rq->arena, path, true, rq->query);
		return ROUTED_MOVED;
	}
	if (m.row == NULL)
		return ROUTED_NOT_FOUND;
	rq->tail = str_skip(path, m.len);
	for (const struct route *r = m.row; r->path.p != NULL && str_eq(r->path, m.row->path);
	     r++) {
		if (r->method != rq->method)
			continue;
		rq->route = r;
		return ROUTED;
	}
	*out = methods_allowed(m.row, rq->arena);
	return rq->method == HTTP_OPTIONS ? ROUTED_OPTIONS : ROUTED_METHOD;
}

enum routed
router_again(const struct route *row, struct http_request *rq)
{
	struct str path, want = row->path;

	if (!percent_decode(rq->arena, rq->path, false, &path))
		return ROUTED_NOT_FOUND;
	rq->tail = str_skip(path, want.n > 0 && want.p[want.n - 1] == '*' ? want.n - 1 : path.n);
	rq->route = row;
	return ROUTED;
}

/* Paths to rows: what Go's ServeMux and Consul's wrapper answer, as recorded. */
#include "agent/http/router.h"
#include "tests/unit/test.h"

static void
handler(struct api *api, const struct http_request *rq, struct http_reply *rp)
{
	(void)api;
	(void)rq;
	(void)rp;
}

static const struct route table[] = {
	{ HTTP_GET, STR("/"), handler, 0, "" },
	{ HTTP_GET, STR("/v1/agent/service/*"), handler, 0, "" },
	{ HTTP_PUT, STR("/v1/agent/service/register"), handler, 0, "" },
	{ HTTP_PUT, STR("/v1/agent/service/deregister/*"), handler, 0, "" },
	{ HTTP_GET, STR("/v1/catalog/nodes"), handler, 0, "" },
	{ HTTP_GET, STR("/v1/kv/*"), handler, 0, "" },
	{ HTTP_PUT, STR("/v1/kv/*"), handler, 0, "" },
	{ HTTP_DELETE, STR("/v1/kv/*"), handler, 0, "" },
	{ 0 },
};

static struct arena arena;
static struct http_request rq;
static struct str out;

static enum routed
find(enum http_method method, const char *target)
{
	struct str path = str_of(target);
	struct str rest = path;

	arena_reset(&arena);
	out = STR_NONE;
	rq = (struct http_request){ .method = method, .target = path, .arena = &arena };
	rq.path = str_cut(&rest, '?');
	rq.query = rest;
	return router_find(table, &rq, &out);
}

static void
the_longest_row_wins(void **unused)
{
	(void)unused;
	assert_int_equal(find(HTTP_GET, "/"), ROUTED);
	assert_ptr_equal(rq.route, &table[0]);
	assert_int_equal(find(HTTP_GET, "/v1/agent/service/web"), ROUTED);
	assert_str(rq.tail, "web");
	assert_int_equal(find(HTTP_PUT, "/v1/agent/service/register"), ROUTED);
	assert_ptr_equal(rq.route, &table[2]);
	assert_int_equal(find(HTTP_GET, "/v1/agent/service/register"), ROUTED_METHOD);
	assert_str(out, "OPTIONS,PUT");
	assert_int_equal(find(HTTP_PUT, "/v1/agent/service/deregister/pg/pa"), ROUTED);
	assert_str(rq.tail, "pg/pa");
	assert_int_equal(find(HTTP_DELETE, "/v1/kv/"), ROUTED);
	assert_ptr_equal(rq.route, &table[7]);
	assert_str(rq.tail, "");
}

static void
tails_are_decoded(void **unused)
{
	(void)unused;
	assert_int_equal(find(HTTP_GET, "/v1/kv/a%20b+c?raw"), ROUTED);
	assert_str(rq.tail, "a b+c");
	assert_int_equal(find(HTTP_GET, "/v1/%6bv/x"), ROUTED);
	assert_str(rq.tail, "x");
}

static void
unknown_paths_are_not_found(void **unused)
{
	(void)unused;
	assert_int_equal(find(HTTP_GET, "/nothing"), ROUTED_NOT_FOUND);
	assert_int_equal(find(HTTP_GET, "/v1"), ROUTED_NOT_FOUND);
	assert_int_equal(find(HTTP_GET, "/v1/"), ROUTED_NOT_FOUND);
	assert_int_equal(find(HTTP_GET, "/V1/catalog/nodes"), ROUTED_NOT_FOUND);
	assert_int_equal(find(HTTP_GET, "/v1/catalog/nodes/"), ROUTED_NOT_FOUND);
}

static void
methods_are_listed(void **unused)
{
	(void)unused;
	assert_int_equal(find(HTTP_POST, "/v1/kv/a"), ROUTED_METHOD);
	assert_str(out, "OPTIONS,GET,PUT,DELETE");
	assert_int_equal(find(HTTP_HEAD, "/v1/catalog/nodes"), ROUTED_METHOD);
	assert_str(out, "OPTIONS,GET");
	assert_int_equal(find(HTTP_OPTIONS, "/v1/kv/a"), ROUTED_OPTIONS);
	assert_str(out, "OPTIONS,GET,PUT,DELETE");
	assert_int_equal(find(HTTP_OPTIONS, "*"), ROUTED_OPTIONS);
}

static void
moves_to(const char *from, const char *to)
{
	assert_int_equal(find(HTTP_GET, from), ROUTED_MOVED);
	assert_str(out, to);
}

static void
unclean_paths_move(void **unused)
{
	(void)unused;
	moves_to("//v1/catalog/nodes", "/v1/catalog/nodes");
	moves_to("/v1//catalog/nodes?index=1", "/v1/catalog/nodes?index=1");
	moves_to("/v1/kv/a/c/../b", "/v1/kv/a/b");
	moves_to("/v1/kv/a//b/", "/v1/kv/a/b/");
	moves_to("/v1/kv/./a", "/v1/kv/a");
	moves_to("/v1/kv/a/.", "/v1/kv/a");
	moves_to("/v1/kv/a/..", "/v1/kv");
	moves_to("/../../x", "/x");
	moves_to("/..", "/");
	moves_to("/v1/kv/a%2F%2Fb", "/v1/kv/a/b");
	moves_to("/v1/kv//a%20b\"%3Cc", "/v1/kv/a%20b%22%3Cc");
	moves_to("/v1/kv", "/v1/kv/");
	moves_to("/v1/kv?keys", "/v1/kv/?keys");
	assert_int_equal(find(HTTP_GET, "/v1/kv/a..b/.c/..d/..."), ROUTED);
	assert_str(rq.tail, "a..b/.c/..d/...");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_row_wins),
		cmocka_unit_test(tails_are_decoded),
		cmocka_unit_test(unknown_paths_are_not_found),
		cmocka_unit_test(methods_are_listed),
		cmocka_unit_test(unclean_paths_move),
	};
	int rc;

	arena_init(&arena, 64 * 1024);
	rc = cmocka_run_group_tests_name("router", tests, NULL, NULL);
	arena_done(&arena);
	return rc;
}

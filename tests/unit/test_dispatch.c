/* From requests to replies, without sockets: what Consul answers around its handlers. */
#include "agent/http/dispatch.h"
#include "tests/unit/records_stub.h"
#include "tests/unit/test.h"

struct store { /* all that dispatch() wants of it */
	struct index_clock clock;
};

struct index_clock *
store_index(const struct store *s)
{
	return (struct index_clock *)(uintptr_t)&s->clock;
}

struct watches *
store_watches(const struct store *s)
{
	(void)s;
	return NULL; /* nothing is kept here */
}

static uint64_t index_now;

static void
list_get(struct api *api, const struct http_request *rq, struct http_reply *rp)
{
	struct jw *w = reply_json(rp);

	(void)api;
	(void)rq;
	rp->indexed = true;
	rp->index = index_now;
	jw_array(w);
	jw_str(w, STR("dc1"));
	jw_array_end(w);
}

static void
failing_put(struct api *api, const struct http_request *rq, struct http_reply *rp)
{
	(void)api;
	jw_array(reply_json(rp));
	reply_error(rp, 400, "Missing \"" STR_FMT "\"", STR_ARG(rq->tail));
}

static void
greedy_get(struct api *api, const struct http_request *rq, struct http_reply *rp)
{
	(void)api;
	(void)rq;
	for (int i = 0; i < 1000; i++)
		buf_add(rp->body, STR("0123456789"));
	reply_json(rp);
}

static const struct route table[] = {
	{ HTTP_GET, STR("/v1/list"), list_get, ROUTE_BLOCKS | ROUTE_CATALOG, "" },
	{ HTTP_GET, STR("/v1/local"), list_get, 0, "" },
	{ HTTP_PUT, STR("/v1/fail/*"), failing_put, 0, "" },
	{ HTTP_GET, STR("/v1/greedy"), greedy_get, 0, "" },
	{ 0 },
};

static struct store store;
static struct api api = { .store = &store, .ready = true };
static struct arena arena;
static struct http_header params[HTTP_QUERY_PARAMS_MAX];
static struct http_request rq;
static struct http_reply rp;
static struct dispatched d;
static struct buf body;

static void
ask(enum http_method method, const char *text, const char *target)
{
	struct str rest = str_of(target);

	arena_reset(&arena);
	rq = (struct http_request){ .method = method,
		.method_text = str_of(text),
		.target = rest,
		.params = params,
		.arena = &arena,
		.now = { .mono = 5 } };
	rq.path = str_cut(&rest, '?');
	rq.query = rest;
	assert_true(request_params_read(&rq));
	dispatch(table, &api, &rq, &body, &rp, &d);
}

static struct str
header(const char *name)
{
	for (size_t i = 0; i < rp.extra_count; i++)
		if (str_eq(rp.extra[i].name, str_of(name)))
			return rp.extra[i].value;
	return STR_NONE;
}

static void
handlers_are_asked(void **unused)
{
	(void)unused;
	ask(HTTP_GET, "GET", "/v1/local");
	assert_int_equal(rp.status, 200);
	assert_str(buf_str(&body), "[\"dc1\"]");
	assert_false(d.changes);
	ask(HTTP_GET, "GET", "/v1/local?pretty");
	assert_str(buf_str(&body), "[\n    \"dc1\"\n]\n");
	ask(HTTP_PUT, "PUT", "/v1/fail/x%20y?pretty");
	assert_int_equal(rp.status, 400);
	assert_str(buf_str(&body), "Missing \"x y\"");
	assert_true(d.changes);
	ask(HTTP_GET, "GET", "/v1/greedy");
	assert_int_equal(rp.status, 500);
}

static void
what_is_not_routed_is_answered(void **unused)
{
	(void)unused;
	ask(HTTP_GET, "GET", "/nothing");
	assert_int_equal(rp.status, 404);
	assert_null(rp.content_type);
	assert_int_equal(body.n, 0);
	ask(HTTP_OTHER, "PATCH", "/v1/list");
	assert_int_equal(rp.status, 405);
	assert_str(buf_str(&body), "method PATCH not allowed");
	assert_string_equal(rp.content_type, "text/plain; charset=utf-8");
	assert_str(header("Allow"), "OPTIONS,GET");
	ask(HTTP_OPTIONS, "OPTIONS", "/v1/fail/x");
	assert_int_equal(rp.status, 200);
	assert_str(header("Allow"), "OPTIONS,PUT");
	assert_int_equal(body.n, 0);
	ask(HTTP_GET, "GET", "//v1/list?a=1&b=<");
	assert_int_equal(rp.status, 301);
	assert_string_equal(rp.content_type, "text/html; charset=utf-8");
	assert_str(header("Location"), "/v1/list?a=1&b=<");
	assert_str(
	    buf_str(&body), "<a href=\"/v1/list?a=1&amp;b=&lt;\">Moved Permanently</a>.\n\n");
	ask(HTTP_PUT, "PUT", "/v1/fail/a//b");
	assert_int_equal(rp.status, 301);
	assert_null(rp.content_type);
	assert_int_equal(body.n, 0);
}

static void
the_catalog_waits_until_it_is_ready(void **unused)
{
	(void)unused;
	api.ready = false;
	ask(HTTP_GET, "GET", "/v1/list");
	assert_int_equal(rp.status, 500);
	assert_str(buf_str(&body), "No cluster leader");
	ask(HTTP_GET, "GET", "/v1/local");
	assert_int_equal(rp.status, 200);
	api.ready = true;
	ask(HTTP_GET, "GET", "/v1/list?stale&consistent");
	assert_int_equal(rp.status, 400);
	ask(HTTP_GET, "GET", "/v1/list?index=abc");
	assert_str(buf_str(&body), "Invalid index");
	ask(HTTP_GET, "GET", "/v1/local?index=abc&wait=5&stale&consistent");
	assert_int_equal(rp.status, 200); /* means nothing there */
}

static void
unchanged_answers_are_held(void **unused)
{
	(void)unused;
	index_init(&store.clock, 3, 0);
	index_now = 9 << INDEX_TAG_BITS | 3;
	ask(HTTP_GET, "GET", "/v1/list?index=36867&wait=10s"); /* the same */
	assert_true(d.hold);
	assert_in_range(d.terms.until, 10 * NSEC_SEC, 11 * NSEC_SEC);
	index_now = 10 << INDEX_TAG_BITS | 3;
	ask(HTTP_GET, "GET", "/v1/list?index=36867&wait=10s");
	assert_false(d.hold);
	ask(HTTP_GET, "GET", "/v1/list");
	assert_false(d.hold);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handlers_are_asked),
		cmocka_unit_test(what_is_not_routed_is_answered),
		cmocka_unit_test(the_catalog_waits_until_it_is_ready),
		cmocka_unit_test(unchanged_answers_are_held),
	};
	int rc;

	rng_init(&api.rng, 42);
	arena_init(&arena, 64 * 1024);
	buf_init(&body, 4096);
	rc = cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
	arena_done(&arena);
	buf_done(&body);
	return rc;
}

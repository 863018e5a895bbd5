/* Watches: parameters to requests, and which answers are news. */
#include "agent/watch_plan.h"
#include "tests/unit/test.h"

static struct arena arena;
static struct watch_plan plan;
static struct watch_state state;
static struct err err;

static int
setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 1 << 20);
	watch_state_init(&state);
	err = (struct err){ 0 };
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	watch_state_done(&state);
	arena_done(&arena);
	return 0;
}

static int
read_params(const char *text, bool handled)
{
	json_t *v = NULL;
	int rc;

	assert_int_equal(json_read(str_of(text), &v, NULL), 0);
	rc = watch_plan_read(&plan, &arena, v, handled, &err);
	json_decref(v);
	return rc;
}

static void
assert_path(const char *params, const char *path)
{
	assert_int_equal(read_params(params, false), 0);
	assert_str(plan.path, path);
}

static void
each_type_is_a_request(void **unused)
{
	(void)unused;
	assert_path("{\"type\":\"key\",\"key\":\"a/b c\"}", "/v1/kv/a/b%20c");
	assert_path(
	    "{\"type\":\"keyprefix\",\"prefix\":\"a/\",\"stale\":true}", "/v1/kv/a/?recurse&stale");
	assert_path("{\"type\":\"services\"}", "/v1/catalog/services");
	assert_path("{\"type\":\"nodes\",\"datacenter\":\"dc1\"}", "/v1/catalog/nodes?dc=dc1");
	assert_path(
	    "{\"type\":\"service\",\"service\":\"a/b\",\"tag\":[\"x\",\"y\"],\"passingonly\":"
	    "true}",
	    "/v1/health/service/a%2Fb?tag=x&tag=y&passing=1");
	assert_path(
	    "{\"type\":\"service\",\"service\":\"a\",\"tag\":\"x\"}", "/v1/health/service/a?tag=x");
	assert_path("{\"type\":\"checks\"}", "/v1/health/state/any");
	assert_path("{\"type\":\"checks\",\"service\":\"a\"}", "/v1/health/checks/a");
	assert_path("{\"type\":\"checks\",\"state\":\"critical\"}", "/v1/health/state/critical");
	assert_path("{\"type\":\"event\",\"name\":\"go\"}", "/v1/event/list?name=go");
}

static void
mistakes_are_named(void **unused)
{
	static const char *const rows[][2] = {
		{ "[]", "must be an object" },
		{ "{}", "Watch type not specified" },
		{ "{\"type\":\"moon\"}", "Unsupported watch type: moon" },
		{ "{\"type\":\"key\"}", "Must specify a single key to watch" },
		{ "{\"type\":\"nodes\",\"colour\":1}", "Invalid parameters: [colour]" },
		{ "{\"type\":\"nodes\"}", "Must define a watch handler" },
		{ "{\"type\":\"nodes\",\"args\":[]}", "must be a list of strings" },
		{ "{\"type\":\"nodes\",\"args\":[1]}", "must be a list of strings" },
		{ "{\"type\":\"nodes\",\"handler\":7}", "Watch handler must be a string" },
		{ "{\"type\":\"nodes\",\"args\":[\"a\"],\"handler\":\"b\"}",
		    "Only one watch handler" },
		{ "{\"type\":\"nodes\",\"handler_type\":\"smoke\"}", "'smoke' not recognized" },
		{ "{\"type\":\"nodes\",\"handler_type\":\"http\"}", "Requires 'path'" },
		{ "{\"type\":\"checks\",\"service\":\"a\",\"state\":\"any\"}",
		    "service and state" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(read_params(rows[i][0], true), ERR_INPUT);
		if (strstr(err.text, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], err.text);
	}
}

static void
handlers_are_programs_lines_or_urls(void **unused)
{
	(void)unused;
	assert_int_equal(read_params("{\"type\":\"nodes\",\"args\":[\"a\",\"b c\"]}", true), 0);
	assert_int_equal(plan.arg_count, 2);
	assert_str(plan.args[1], "b c");
	assert_int_equal(read_params("{\"type\":\"nodes\",\"handler\":\"a | b\"}", true), 0);
	assert_str(plan.line, "a | b");
	assert_int_equal(
	    read_params(
		"{\"type\":\"nodes\",\"handler_type\":\"http\",\"http_handler_config\":[{"
		"\"path\":\"http://h/\",\"timeout\":\"2s\",\"header\":{\"X\":[\"1\",\"2\"]}}]}",
		true),
	    0);
	assert_str(plan.url, "http://h/");
	assert_str(plan.method, "POST");
	assert_true(plan.timeout == 2 * NSEC_SEC);
	assert_int_equal(plan.header_count, 2);
	assert_str(plan.headers[1].value, "2");
}

static bool
answer(int status, uint64_t index, const char *body)
{
	return watch_state_answer(&plan, &state, status, index, str_of(body));
}

static void
assert_next(const char *path)
{
	struct buf b;

	buf_init(&b, 1 << 16);
	watch_state_path(&plan, &state, &b);
	assert_str(buf_str(&b), path);
	buf_done(&b);
}

static void
only_other_content_is_news(void **unused)
{
	(void)unused;
	assert_path("{\"type\":\"services\",\"stale\":true}", "/v1/catalog/services?stale");
	assert_next("/v1/catalog/services?stale");
	assert_true(answer(200, 7, "{}"));
	assert_str(buf_str(&state.last), "{}\n");
	assert_next("/v1/catalog/services?stale&index=7");
	assert_false(answer(200, 7, "{}")); /* its time was over */
	assert_false(answer(200, 9, "{}")); /* moved, and says the same */
	assert_true(answer(200, 10, "{\"a\":[]}"));
	assert_false(answer(500, 11, "No cluster leader"));
	assert_next("/v1/catalog/services?stale&index=10");
	assert_true(answer(200, 3, "{}")); /* another history: from the start */
	assert_next("/v1/catalog/services?stale");
}

static void
a_key_is_given_alone_or_null(void **unused)
{
	(void)unused;
	assert_path("{\"type\":\"key\",\"key\":\"a\"}", "/v1/kv/a");
	assert_true(answer(404, 1, ""));
	assert_str(buf_str(&state.last), "null\n");
	assert_true(answer(200, 2, "[{\"Key\":\"a\",\"Flags\":18446744073709551615}]"));
	assert_str(buf_str(&state.last), "{\"Key\":\"a\",\"Flags\":18446744073709551615}\n");
	assert_false(answer(200, 3, "nonsense"));
}

static void
of_events_only_new_ones_are_given(void **unused)
{
	(void)unused;
	assert_path("{\"type\":\"event\"}", "/v1/event/list");
	/* the index of an event is both halves of its id, one laid over the other */
	assert_true(answer(200, 3, "[{\"ID\":\"00000000-0000-0001-0000-000000000002\"}]"));
	assert_true(answer(200, 12,
	    "[{\"ID\":\"00000000-0000-0001-0000-000000000002\"},"
	    "{\"ID\":\"00000000-0000-0004-0000-000000000008\"}]"));
	assert_str(buf_str(&state.last), "[{\"ID\":\"00000000-0000-0004-0000-000000000008\"}]\n");
}

static void
failures_wait_longer_and_longer(void **unused)
{
	(void)unused;
	assert_path("{\"type\":\"nodes\"}", "/v1/catalog/nodes");
	assert_true(watch_state_failed(&state) == 5 * NSEC_SEC);
	assert_true(watch_state_failed(&state) == 20 * NSEC_SEC);
	for (int i = 0; i < 200; i++)
		assert_true(watch_state_failed(&state) <= 180 * NSEC_SEC);
	answer(200, 1, "[]");
	assert_true(watch_state_failed(&state) == 5 * NSEC_SEC);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_type_is_a_request),
		TEST(mistakes_are_named),
		TEST(handlers_are_programs_lines_or_urls),
		TEST(only_other_content_is_news),
		TEST(a_key_is_given_alone_or_null),
		TEST(of_events_only_new_ones_are_given),
		TEST(failures_wait_longer_and_longer),
	};

	return cmocka_run_group_tests_name("watch_plan", tests, NULL, NULL);
}

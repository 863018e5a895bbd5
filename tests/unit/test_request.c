/* Headers, parameters and replies: what Go's url.ParseQuery would have read. */
#include "agent/http/http.h"
#include "tests/unit/test.h"

static struct arena arena;
static struct http_header params[HTTP_QUERY_PARAMS_MAX];
static struct http_request rq;

static bool
query(const char *text)
{
	arena_reset(&arena);
	rq = (struct http_request){ .query = str_of(text), .params = params, .arena = &arena };
	return request_params_read(&rq);
}

static void
parameters_are_found_by_name(void **unused)
{
	struct str v;

	(void)unused;
	assert_true(query("stale&tag=a&tag=b&index=&x=1=2"));
	assert_int_equal(rq.param_count, 5);
	assert_true(request_has(&rq, STR("stale")));
	assert_false(request_has(&rq, STR("STALE")));
	assert_str(request_param(&rq, STR("tag")), "a");
	assert_true(request_param_nth(&rq, STR("tag"), 1, &v));
	assert_str(v, "b");
	assert_false(request_param_nth(&rq, STR("tag"), 2, &v));
	assert_true(request_has(&rq, STR("index")));
	assert_str(request_param(&rq, STR("x")), "1=2");
	assert_str(request_param(&rq, STR("none")), "");
}

static void
escapes_are_decoded_and_wrong_ones_left_out(void **unused)
{
	(void)unused;
	assert_true(query("note=some+note%21&bad=%zz&%61b=c;d=%C3%a9&&cut=%4"));
	assert_int_equal(rq.param_count, 3);
	assert_str(request_param(&rq, STR("note")), "some note!");
	assert_str(request_param(&rq, STR("ab")), "c");
	assert_str(request_param(&rq, STR("d")), "\xc3\xa9");
}

static void
too_many_parameters_are_refused(void **unused)
{
	char text[2 * HTTP_QUERY_PARAMS_MAX + 4] = "";

	(void)unused;
	for (int i = 0; i < HTTP_QUERY_PARAMS_MAX; i++)
		strcat(text, "a&");
	assert_true(query(text));
	strcat(text, "a");
	assert_false(query(text));
}

static void
paths_keep_their_plus(void **unused)
{
	struct str out;

	(void)unused;
	arena_reset(&arena);
	assert_true(percent_decode(&arena, STR("a+b%20c%2f"), false, &out));
	assert_str(out, "a+b c/");
	assert_false(percent_decode(&arena, STR("%"), false, &out));
	assert_false(percent_decode(&arena, STR("a%1"), false, &out));
	assert_false(percent_decode(&arena, STR("%g0"), false, &out));
}

static void
headers_have_no_case(void **unused)
{
	struct http_header headers[] = { { STR("X-Consul-Token"), STR("t") } };

	(void)unused;
	rq = (struct http_request){ .headers = headers, .header_count = 1 };
	assert_str(request_header(&rq, STR("x-consul-token")), "t");
	assert_str(request_header(&rq, STR("x-consul")), "");
}

static void
who_asks_is_told_by_a_proxy_or_a_carrier(void **unused)
{
	struct http_header named = { STR("x-forwarded-for"), STR(" 192.0.2.7 , 10.0.0.1") };

	(void)unused;
	assert_true(query("_asker=192.0.2.9"));
	assert_str(request_asker(&rq), ""); /* over a unix socket */
	assert_true(addr_parse_ip(STR("127.0.0.5"), &rq.peer));
	assert_str(request_asker(&rq), "127.0.0.5"); /* a client's own parameter is no matter */
	rq.headers = &named;
	rq.header_count = 1;
	assert_str(request_asker(&rq), "192.0.2.7");
	named.value = STR("somebody");
	assert_str(request_asker(&rq), "127.0.0.5");
	named.value = STR("2001:DB8::1");
	assert_str(request_asker(&rq), "2001:db8::1");
	/* carried: there is no peer */
	rq.header_count = 0;
	rq.peer = (struct addr){ 0 };
	rq.node = STR("n2");
	assert_str(request_asker(&rq), "192.0.2.9");
	assert_true(query("_asker=&near=_ip"));
	rq.node = STR("n2");
	assert_str(request_asker(&rq), "");
}

static void
an_error_throws_the_body_away(void **unused)
{
	struct http_reply rp;
	struct buf body;

	(void)unused;
	buf_init(&body, 4096);
	reply_init(&rp, &body, true);
	rp.indexed = true;
	jw_array(reply_json(&rp));
	jw_str(&rp.json, STR("half"));
	reply_error(&rp, 500, "CheckID \"%s\" is unknown", "x");
	assert_int_equal(rp.status, 500);
	assert_str(buf_str(&body), "CheckID \"x\" is unknown");
	assert_string_equal(rp.content_type, "text/plain; charset=utf-8");
	assert_false(rp.indexed);
	buf_done(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_are_found_by_name),
		cmocka_unit_test(escapes_are_decoded_and_wrong_ones_left_out),
		cmocka_unit_test(too_many_parameters_are_refused),
		cmocka_unit_test(paths_keep_their_plus),
		cmocka_unit_test(headers_have_no_case),
		cmocka_unit_test(who_asks_is_told_by_a_proxy_or_a_carrier),
		cmocka_unit_test(an_error_throws_the_body_away),
	};
	int rc;

	arena_init(&arena, 64 * 1024);
	rc = cmocka_run_group_tests_name("request", tests, NULL, NULL);
	arena_done(&arena);
	return rc;
}

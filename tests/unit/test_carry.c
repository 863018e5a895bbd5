/* Requests and answers as bytes: there and back, every piece of them, and what is none. */
#include "agent/http/carry.h"
#include "tests/unit/test.h"

static const struct http_position at = { { { 1, 2 } }, { 3, 4 }, UINT64_MAX };
static struct arena arena;
static struct buf bytes, body;
static struct str records;

static int
setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 1 << 20);
	buf_init(&bytes, 1 << 20);
	buf_init(&body, 1 << 20);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	arena_done(&arena);
	buf_done(&bytes);
	buf_done(&body);
	return 0;
}

static void
a_request_arrives_as_it_was(void **unused)
{
	static const enum http_method methods[] = { HTTP_GET, HTTP_PUT, HTTP_DELETE, HTTP_POST };
	struct http_request sent = { .path = STR("/v1/kv/a%20b"),
		.query = STR("cas=1&flags=2"),
		.body = str_mem("\0\xff", 2) };
	struct http_request got = { .arena = &arena };

	(void)unused;
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		sent.method = methods[i];
		buf_clear(&bytes);
		carry_request_write(&bytes, &sent, STR("n2"), &at, NULL);
		assert_int_equal(carry_request_read(buf_str(&bytes), &got, NULL), 0);
		assert_memory_equal(&got.asks, &at, sizeof at);
		assert_int_equal(got.method, methods[i]);
		assert_true(got.method_text.n > 0);
		assert_str(got.path, "/v1/kv/a%20b");
		assert_str(got.query, "cas=1&flags=2");
		assert_str(got.node, "n2");
		assert_true(str_eq(got.body, sent.body));
	}
}

static void
reply_fill(struct http_reply *rp)
{
	reply_init(rp, &body, false);
	rp->status = 404;
	rp->indexed = true;
	rp->leaderless = true;
	rp->index = UINT64_MAX;
	rp->contact_ms = 1234;
	rp->content_type = "text/plain";
	reply_header(rp, STR("X-One"), STR("1"));
	reply_header(rp, STR("X-Two"), STR(""));
	buf_add(rp->body, str_mem("a\0b", 3));
}

static void
an_answer_arrives_as_it_was(void **unused)
{
	struct http_reply sent, got;
	struct buf there;

	(void)unused;
	reply_fill(&sent);
	carry_answer_write(&bytes, &sent, STR_NONE);
	buf_init(&there, 100);
	reply_init(&got, &there, false);
	assert_int_equal(carry_answer_read(buf_str(&bytes), &arena, &got, &records, NULL), 0);
	assert_int_equal(got.status, 404);
	assert_true(got.indexed && got.leaderless);
	assert_true(got.index == UINT64_MAX && got.contact_ms == 1234);
	assert_string_equal(got.content_type, "text/plain");
	assert_int_equal(got.extra_count, 2);
	assert_str(got.extra[0].name, "X-One");
	assert_str(got.extra[0].value, "1");
	assert_str(got.extra[1].name, "X-Two");
	assert_true(str_eq(buf_str(&there), str_mem("a\0b", 3)));
	/* without type, headers, body */
	reply_init(&sent, &body, false);
	buf_clear(&bytes);
	carry_answer_write(&bytes, &sent, STR_NONE);
	reply_init(&got, &there, false);
	assert_int_equal(carry_answer_read(buf_str(&bytes), &arena, &got, &records, NULL), 0);
	assert_true(got.status == 200 && got.content_type == NULL && got.extra_count == 0);
	assert_false(got.indexed);
	buf_done(&there);
}

static void
pieces_and_more_are_none(void **unused)
{
	struct http_request sent = {
		.method = HTTP_PUT, .path = STR("/v1/kv/a"), .query = STR("x"), .body = STR("body")
	};
	struct http_request got = { .arena = &arena };
	struct http_reply rp, in;
	struct err err = { 0 };
	struct buf there;

	(void)unused;
	carry_request_write(&bytes, &sent, STR("n2"), &at, NULL);
	for (size_t n = 0; n < bytes.n; n++)
		assert_int_equal(
		    carry_request_read(str_head(buf_str(&bytes), n), &got, &err), ERR_INPUT);
	buf_addc(&bytes, 'x');
	assert_int_equal(carry_request_read(buf_str(&bytes), &got, NULL), ERR_INPUT);
	bytes.n--;
	bytes.p[0] = 3;
	assert_int_equal(carry_request_read(buf_str(&bytes), &got, &err), ERR_REFUSED);
	bytes.p[0] = 1;
	bytes.p[1] = 6; /* no method */
	assert_int_equal(carry_request_read(buf_str(&bytes), &got, NULL), ERR_INPUT);

	reply_fill(&rp);
	buf_clear(&bytes);
	carry_answer_write(&bytes, &rp, STR_NONE);
	buf_init(&there, 100);
	for (size_t n = 0; n < bytes.n; n++) {
		reply_init(&in, &there, false);
		assert_int_equal(
		    carry_answer_read(str_head(buf_str(&bytes), n), &arena, &in, &records, &err), ERR_INPUT);
	}
	reply_init(&in, &there, false);
	bytes.p[1] = 0;
	bytes.p[2] = 99; /* no status */
	assert_int_equal(carry_answer_read(buf_str(&bytes), &arena, &in, &records, NULL), ERR_INPUT);
	buf_done(&there);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_request_arrives_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_arrives_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(pieces_and_more_are_none, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

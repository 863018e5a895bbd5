/* The copy of prepared queries at an agent without keys: what it asks, when, and what it makes of
 * the answers. */
#include "agent/http/query_copy.h"

#include "agent/http/carry.h"
#include "tests/unit/test.h"

#define Q1 "aaaaaaaa-0000-4000-8000-000000000001"

static struct query_copy *copy;
static struct now now;
static uint64_t number;

static int
setup(void **unused)
{
	(void)unused;
	now = (struct now){ 1000 * NSEC_SEC, 1800000000000 };
	copy = query_copy_new(now);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	query_copy_free(copy);
	return 0;
}

/* What stands behind the '?' of the request that is due; "" when none is. */
static const char *
asks(void)
{
	static char query[256];
	struct http_request rq = { .version_minor = 0 };
	struct buf b;

	query[0] = '\0';
	buf_init(&b, 4096);
	if (query_copy_asks(copy, now, STR("n9"), &b)) {
		assert_int_equal(carry_request_read(buf_str(&b), &rq, NULL), 0);
		assert_str(rq.path, "/v1/query");
		assert_str(rq.node, "n9");
		assert_int_equal(rq.method, HTTP_GET);
		snprintf(query, sizeof query, STR_FMT, STR_ARG(rq.query));
		query_copy_asked(copy, ++number);
	}
	buf_done(&b);
	return query;
}

static void
answer(int status, uint64_t index, const char *text)
{
	struct cluster_action act = { .kind = CLUSTER_ANSWER, .request = number };
	struct http_reply reply;
	struct buf body, bytes;

	buf_init(&body, 65536);
	buf_init(&bytes, 65536);
	reply_init(&reply, &body, false);
	reply.status = status;
	reply.indexed = true;
	reply.index = index;
	buf_add(&body, str_of(text));
	carry_answer_write(&bytes, &reply, STR_NONE);
	act.bytes = buf_str(&bytes);
	assert_true(query_copy_answer(copy, now, &act));
	buf_done(&bytes);
	buf_done(&body);
}

static bool
knows(const char *name)
{
	bool by_id;

	return query_resolve(query_copy_queries(copy), str_of(name), &by_id) != NULL;
}

static void
it_follows_change_by_change(void **unused)
{
	(void)unused;
	assert_string_equal(asks(), "stale");
	assert_int_equal(query_copy_deadline(copy), NSEC_NEVER); /* one at a time */
	assert_string_equal(asks(), "");
	answer(200, 7,
	    "[{\"ID\":\"" Q1 "\",\"Name\":\"one\",\"Template\":{\"Type\":\"\"},\"Service\":{"
	    "\"Service\":\"web\",\"Tags\":null,\"NodeMeta\":{\"a\":\"b\"}},\"DNS\":{\"TTL\":\"\"},"
	    "\"CreateIndex\":3,\"ModifyIndex\":7}]");
	assert_true(knows("one") && knows(Q1));
	assert_int_equal(query_first(query_copy_queries(copy))->info.modify, 7);
	assert_int_equal(query_copy_deadline(copy), now.mono + QUERY_COPY_PAUSE);
	assert_string_equal(asks(), "");
	now.mono += QUERY_COPY_PAUSE;
	assert_string_equal(asks(), "stale&wait=5m&index=7");
	answer(200, 7, "[]"); /* the wait is over, nothing has changed */
	assert_true(knows("one"));
	now.mono += QUERY_COPY_PAUSE;
	assert_string_equal(asks(), "stale&wait=5m&index=7");
	answer(200, 9, "[]");
	assert_false(knows("one"));
}

static void
errors_leave_the_copy_and_are_asked_again_later_and_later(void **unused)
{
	struct cluster_action none = { .kind = CLUSTER_ANSWER, .code = ERR_STATE };
	nsec wait = QUERY_COPY_RETRY;

	(void)unused;
	asks();
	answer(200, 7, "[{\"ID\":\"" Q1 "\",\"Name\":\"one\"}]");
	now.mono += QUERY_COPY_PAUSE;
	for (int i = 0; i < 8; i++) {
		assert_string_equal(asks(), "stale&wait=5m&index=7");
		if (i == 0)
			answer(500, 0, "No cluster leader");
		else if (i == 1)
			answer(200, 8, "{");
		else if (i == 2)
			answer(200, 8, "[{\"Name\":\"no id\"}]");
		else if (i == 3)
			answer(200, 8, "[{\"ID\":\"" Q1 "\"},{\"ID\":\"" Q1 "\"}]");
		else {
			none.request = number;
			assert_true(query_copy_answer(copy, now, &none));
		}
		assert_true(knows("one"));
		assert_int_equal(query_copy_deadline(copy), now.mono + wait);
		now.mono += wait;
		wait = nsec_min(2 * wait, QUERY_COPY_RETRY_MAX);
	}
	asks();
	answer(200, 8, "[]");
	assert_int_equal(query_copy_deadline(copy), now.mono + QUERY_COPY_PAUSE);
}

static void
answers_to_others_are_left_alone(void **unused)
{
	struct cluster_action act = { .kind = CLUSTER_ANSWER, .request = 0 };

	(void)unused;
	assert_false(query_copy_answer(copy, now, &act));
	asks();
	act.request = number + 1;
	assert_false(query_copy_answer(copy, now, &act));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_follows_change_by_change, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    errors_leave_the_copy_and_are_asked_again_later_and_later, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_to_others_are_left_alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* /v1/kv as a client meets it: one key, prefixes, conditions, locks, limits, and what waits. */
#include "agent/http/carry.h"
#include "tests/unit/api_fixture.h"

static void
a_key_comes_back_with_all_that_belongs_to_it(void **unused)
{
	(void)unused;
	assert_answer("PUT /v1/kv/a/b?flags=7", "hello", 200, "true");
	assert_answer("GET /v1/kv/a/b", "", 200,
	    "[{\"LockIndex\":0,\"Key\":\"a/b\",\"Flags\":7,\"Value\":\"aGVsbG8=\","
	    "\"CreateIndex\":1,\"ModifyIndex\":1}]");
	assert_true(reply.indexed && reply.index_keys && reply.index == 1);
	assert_answer("PUT /v1/kv/a/b", "", 200, "true");
	assert_answer("GET /v1/kv/a/b", "", 200,
	    "[{\"LockIndex\":0,\"Key\":\"a/b\",\"Flags\":0,\"Value\":null,"
	    "\"CreateIndex\":1,\"ModifyIndex\":2}]");
	assert_answer("GET /v1/kv/a/b?raw", "", 200, "");
	assert_string_equal(reply.content_type, "text/plain");
	assert_int_equal(reply.extra_count, 2);
	/* the same once more is no change */
	assert_answer("PUT /v1/kv/a/b", "", 200, "true");
	ask("GET /v1/kv/a/b", "");
	assert_int_equal(reply.index, 2);
}

static void
absence_is_404_with_an_index(void **unused)
{
	(void)unused;
	assert_answer("GET /v1/kv/none", "", 404, "");
	assert_true(reply.indexed && reply.index > 0 && reply.content_type == NULL);
	assert_answer("GET /v1/kv/none?raw", "", 404, "");
	assert_answer("GET /v1/kv/none?recurse", "", 404, "");
	assert_answer("GET /v1/kv/none?keys", "", 404, "");
	assert_answer("GET /v1/kv/?keys", "", 200, "[]"); /* all of nothing is something */
	assert_answer("GET /v1/kv/?recurse", "", 404, "");
	assert_answer("DELETE /v1/kv/none", "", 200, "true");
	assert_answer("DELETE /v1/kv/none?cas=7", "", 200, "true");
}

static void
flags_are_exact_64_bit_numbers(void **unused)
{
	static const char *const all[] = { "0", "3304740253564472344", "16210313421097356768",
		"9223372036854775808", "18446744073709551615" };

	(void)unused;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		assert_answer(line_of("PUT /v1/kv/f?flags=%s", all[i]), "x", 200, "true");
		ask("GET /v1/kv/f", "");
		assert_non_null(memmem(body.p, body.n, line_of("\"Flags\":%s,", all[i]),
		    strlen(line_of("\"Flags\":%s,", all[i]))));
	}
	assert_answer("PUT /v1/kv/f?flags=18446744073709551616", "x", 500,
	    "strconv.ParseUint: parsing \"18446744073709551616\": value out of range");
	assert_answer(
	    "PUT /v1/kv/f?flags=-1", "x", 500, "strconv.ParseUint: parsing \"-1\": invalid syntax");
	assert_answer(
	    "PUT /v1/kv/f?flags=", "x", 500, "strconv.ParseUint: parsing \"\": invalid syntax");
	assert_answer("PUT /v1/kv/f?flags=1%0a", "x", 500,
	    "strconv.ParseUint: parsing \"1\\n\": invalid syntax");
}

static void
prefixes_are_texts_not_folders(void **unused)
{
	(void)unused;
	ask("PUT /v1/kv/foo1", "1");
	ask("PUT /v1/kv/foo2/x", "2");
	ask("PUT /v1/kv/foo2/y", "2");
	ask("PUT /v1/kv/bar", "3");
	assert_answer("GET /v1/kv/foo?keys", "", 200, "[\"foo1\",\"foo2/x\",\"foo2/y\"]");
	assert_int_equal(reply.index, 3);
	assert_answer("GET /v1/kv/foo?keys&separator=/", "", 200, "[\"foo1\",\"foo2/\"]");
	assert_answer("GET /v1/kv/foo2?keys&separator=/", "", 200, "[\"foo2/\"]");
	assert_answer("GET /v1/kv/foo2/?keys&separator=/", "", 200, "[\"foo2/x\",\"foo2/y\"]");
	assert_answer("GET /v1/kv/foo2/x?keys&separator=x", "", 200, "[\"foo2/x\"]");
	assert_answer("GET /v1/kv/f?keys&seperator=oo", "", 200, "[\"foo\"]");
	assert_answer(
	    "GET /v1/kv/foo?keys&separator=", "", 200, "[\"foo1\",\"foo2/x\",\"foo2/y\"]");
	assert_answer("GET /v1/kv/foo1?recurse", "", 200,
	    "[{\"LockIndex\":0,\"Key\":\"foo1\",\"Flags\":0,\"Value\":\"MQ==\","
	    "\"CreateIndex\":1,\"ModifyIndex\":1}]");
	/* a deletion shows in the index of its prefix, and in no other's */
	assert_answer("DELETE /v1/kv/foo2/y", "", 200, "true");
	ask("GET /v1/kv/foo?recurse", "");
	assert_int_equal(reply.index, 5);
	ask("GET /v1/kv/bar?recurse", "");
	assert_int_equal(reply.index, 4);
	assert_answer("DELETE /v1/kv/foo?recurse", "", 200, "true");
	assert_answer("GET /v1/kv/?keys", "", 200, "[\"bar\"]");
	assert_int_equal(reply.index, 6);
	assert_answer("DELETE /v1/kv/?recurse=true", "", 200, "true");
	assert_answer("GET /v1/kv/?keys=true", "", 200, "[]");
}

/* A listing of names moves on when a name comes or goes; within a folded one nothing is read. */
static void
folded_names_hide_what_is_below(void **unused)
{
	(void)unused;
	ask("PUT /v1/kv/d/a", "1");
	ask("PUT /v1/kv/d/b", "1");
	assert_answer("GET /v1/kv/?keys&separator=/", "", 200, "[\"d/\"]");
	assert_int_equal(reply.index, 1);
	ask("PUT /v1/kv/e", "1");
	assert_answer("GET /v1/kv/?keys&separator=/", "", 200, "[\"d/\",\"e\"]");
	assert_int_equal(reply.index, 3);
	ask("DELETE /v1/kv/d/a", "");
	assert_answer("GET /v1/kv/?keys&separator=/", "", 200, "[\"d/\",\"e\"]");
	assert_int_equal(reply.index, 4);
}

static void
conditions_hold_or_nothing_is_written(void **unused)
{
	(void)unused;
	assert_answer("PUT /v1/kv/c?cas=0", "1", 200, "true");
	assert_answer("PUT /v1/kv/c?cas=0", "2", 200, "false");
	assert_answer("PUT /v1/kv/c?cas=1&flags=9", "3", 200, "true");
	assert_answer("PUT /v1/kv/c?cas=1", "4", 200, "false");
	assert_answer("GET /v1/kv/c?raw", "", 200, "3");
	assert_int_equal(reply.index, 3);
	assert_answer("DELETE /v1/kv/c?cas=1", "", 200, "false");
	assert_answer("DELETE /v1/kv/c?cas=3", "", 200, "true");
	assert_answer("GET /v1/kv/c", "", 404, "");
	assert_answer(
	    "PUT /v1/kv/c?cas=x", "1", 500, "strconv.ParseUint: parsing \"x\": invalid syntax");
	assert_answer(
	    "PUT /v1/kv/c?acquire=a&cas=0", "1", 400, "Conflicting flags: acquire=a&cas=0");
	assert_answer("PUT /v1/kv/c?release=a%20b&x&cas=0&acquire=%2F", "1", 400,
	    "Conflicting flags: acquire=%2F&cas=0&release=a+b&x=");
	assert_answer(
	    "DELETE /v1/kv/c?recurse&cas=0", "", 400, "Conflicting flags: cas=0&recurse=");
}

/* A lock: what the holder sees, an ordinary write to it, its end. */
static void
an_ordinary_write_keeps_the_lock_and_resets_its_count(void **unused)
{
	const char *s, *t;

	(void)unused;
	s = new_session("{\"LockDelay\":\"0s\"}");
	t = new_session("{\"LockDelay\":\"0s\"}");
	assert_answer(line_of("PUT /v1/kv/l?acquire=%s", s), "1", 200, "true");
	assert_answer("GET /v1/kv/l", "", 200,
	    line_of("[{\"LockIndex\":1,\"Key\":\"l\",\"Flags\":0,\"Value\":\"MQ==\",\"Session\":"
		    "\"%s\",\"CreateIndex\":3,\"ModifyIndex\":3}]",
		s));
	assert_answer(line_of("PUT /v1/kv/l?acquire=%s", t), "2", 200, "false");
	assert_answer(line_of("PUT /v1/kv/l?release=%s", t), "2", 200, "false");
	assert_answer("PUT /v1/kv/l", "3", 200, "true");
	assert_answer("GET /v1/kv/l", "", 200,
	    line_of("[{\"LockIndex\":0,\"Key\":\"l\",\"Flags\":0,\"Value\":\"Mw==\",\"Session\":"
		    "\"%s\",\"CreateIndex\":3,\"ModifyIndex\":6}]",
		s));
	assert_answer(line_of("PUT /v1/kv/l?acquire=%s", s), "4", 200, "true");
	assert_answer(line_of("PUT /v1/kv/l?release=%s", s), "5", 200, "true");
	assert_answer("GET /v1/kv/l", "", 200,
	    "[{\"LockIndex\":0,\"Key\":\"l\",\"Flags\":0,\"Value\":\"NQ==\","
	    "\"CreateIndex\":3,\"ModifyIndex\":8}]");
	assert_answer(line_of("PUT /v1/kv/l?acquire=%s", t), "6", 200, "true");
	assert_answer(line_of("PUT /v1/session/destroy/%s", t), "", 200, "true");
	assert_answer("GET /v1/kv/l", "", 200,
	    "[{\"LockIndex\":1,\"Key\":\"l\",\"Flags\":0,\"Value\":\"Ng==\","
	    "\"CreateIndex\":3,\"ModifyIndex\":10}]");
}

static void
locks_want_a_session_that_is_there(void **unused)
{
	static char line[3000];

	(void)unused;
	assert_answer("PUT /v1/kv/l?acquire=nope", "1", 500,
	    "raft apply failed: failed session lookup: index error: UUID must be 36 characters");
	assert_answer("PUT /v1/kv/l?acquire=", "1", 500, "raft apply failed: missing session");
	assert_answer("PUT /v1/kv/l?release=", "1", 500, "raft apply failed: missing session");
	assert_answer("PUT /v1/kv/l?acquire=00000000-0000-0000-0000-00000000abcd", "1", 500,
	    "raft apply failed: invalid session \"00000000-0000-0000-0000-00000000abcd\"");
	memset(line, 'x', sizeof line - 1);
	memcpy(line, "PUT /v1/kv/l?acquire=", strlen("PUT /v1/kv/l?acquire="));
	assert_status(line, "1", 500);
	assert_answer("GET /v1/kv/l", "", 404, "");
}

static void
a_held_key_stays_closed_for_the_lock_delay(void **unused)
{
	const char *s, *t;

	(void)unused;
	s = new_session("{\"LockDelay\":\"2s\"}");
	t = new_session("");
	assert_answer(line_of("PUT /v1/kv/l?acquire=%s", s), "1", 200, "true");
	assert_answer(line_of("PUT /v1/session/destroy/%s", s), "", 200, "true");
	assert_answer(line_of("PUT /v1/kv/l?acquire=%s", t), "2", 200, "false");
	now.mono += 2 * NSEC_SEC;
	assert_answer(line_of("PUT /v1/kv/l?acquire=%s", t), "2", 200, "true");
}

static void
limits_are_said(void **unused)
{
	static char value[KEYS_VALUE_MAX + 1], line[KEYS_KEY_MAX + 100];

	(void)unused;
	ask_bytes(STR("PUT /v1/kv/big"), str_mem(value, KEYS_VALUE_MAX));
	assert_int_equal(reply.status, 200);
	ask_bytes(STR("PUT /v1/kv/big"), str_mem(value, KEYS_VALUE_MAX + 1));
	assert_int_equal(reply.status, 413);
	assert_str(buf_str(&body),
	    "Request body(524289 bytes) too large, max size: 524288 bytes. See "
	    "https://www.consul.io/docs/agent/options.html#kv_max_value_size.");
	memset(line, 'k', sizeof line);
	memcpy(line, "PUT /v1/kv/", strlen("PUT /v1/kv/"));
	ask_bytes(str_mem(line, strlen("PUT /v1/kv/") + KEYS_KEY_MAX), STR("x"));
	assert_int_equal(reply.status, 200);
	ask_bytes(str_mem(line, strlen("PUT /v1/kv/") + KEYS_KEY_MAX + 1), STR("x"));
	assert_int_equal(reply.status, 400);
	assert_answer("PUT /v1/kv/", "x", 400, "Missing key name");
	assert_answer("GET /v1/kv/", "", 400, "Missing key name");
	assert_answer("DELETE /v1/kv/", "", 400, "Missing key name");
	assert_answer("GET /v1/kv/a?dc=nowhere", "", 500, "No path to datacenter");
	assert_answer("PUT /v1/kv/a?dc=nowhere", "", 500, "No path to datacenter");
	assert_answer("DELETE /v1/kv/a?dc=nowhere", "", 500, "No path to datacenter");
}

static void
any_bytes_make_a_key(void **unused)
{
	(void)unused;
	assert_answer("PUT /v1/kv/%00%01%ff", "x", 200, "true");
	assert_answer("PUT /v1/kv/a+b%20c%25", "x", 200, "true");
	assert_answer("GET /v1/kv/a?keys", "", 200, "[\"a+b c%\"]");
	assert_answer("GET /v1/kv/%00%01%ff?raw", "", 200, "x");
	assert_answer("GET /v1/kv/%00?keys", "", 200, "[\"\\u0000\\u0001\\ufffd\"]");
}

static void
reads_wait_for_the_leader_but_stale_ones(void **unused)
{
	(void)unused;
	ask("PUT /v1/kv/a", "x");
	cluster_fake.must_ask = true;
	assert_status("GET /v1/kv/a", "", 200);
	assert_int_equal(cluster_fake.reads, 1);
	assert_int_equal(runs, 2);
	assert_status("GET /v1/kv/a?consistent", "", 200);
	assert_int_equal(cluster_fake.reads, 2);
	cluster_fake.status = (struct cluster_status){ .last_contact = 1234 * NSEC_MS };
	assert_status("GET /v1/kv/a", "", 200);
	assert_true(!reply.leaderless && reply.contact_ms == 0); /* the leader was asked just now */
	assert_status("GET /v1/kv/a?stale", "", 200);
	assert_int_equal(cluster_fake.reads, 3);
	assert_int_equal(runs, 1);
	assert_true(reply.leaderless && reply.contact_ms == 1234);
	assert_status("GET /v1/kv/a?max_stale=2s", "", 200);
	assert_int_equal(cluster_fake.reads, 3);
	assert_status("GET /v1/kv/a?max_stale=1s", "", 200);
	assert_int_equal(cluster_fake.reads, 4);
}

static void
without_a_leader_nothing_but_stale_is_answered(void **unused)
{
	(void)unused;
	ask("PUT /v1/kv/a", "x");
	cluster_fake.must_ask = true;
	cluster_fake.error = CLUSTER_NO_LEADER;
	cluster_fake.code = ERR_STATE;
	assert_answer("GET /v1/kv/a", "", 500, "No cluster leader");
	assert_false(reply.indexed);
	assert_answer("PUT /v1/kv/a", "y", 500, "No cluster leader");
	assert_answer("DELETE /v1/kv/a", "y", 500, "No cluster leader");
	assert_answer("GET /v1/kv/a?stale&raw", "", 200, "x");
	cluster_fake.error = "too much";
	cluster_fake.code = ERR_LIMIT;
	assert_answer("PUT /v1/kv/a", "y", 429, "too much");
	cluster_fake.error = "";
	assert_status("PUT /v1/kv/a", "y", 429);
	cluster_fake.code = ERR_INPUT;
	assert_status("PUT /v1/kv/a", "y", 400);
}

static void
a_blocked_query_goes_on_with_the_copy_that_is_here(void **unused)
{
	struct http_request again = { .woken = true };

	(void)unused;
	ask("PUT /v1/kv/a", "x");
	cluster_fake.must_ask = true;
	assert_status("GET /v1/kv/a?index=1&wait=1m", "", 200);
	assert_true(dispatched.hold);
	assert_int_equal(reply.read_count, 1);
	assert_int_equal(reply.reads[0].kind, WATCH_KEY);
	assert_str(reply.reads[0].name, "a");
	assert_int_equal(cluster_fake.reads, 1);
	run(&again, STR("GET /v1/kv/a?index=1&wait=1m"), STR_NONE);
	assert_int_equal(cluster_fake.reads, 1);
	assert_true(dispatched.hold);
	/* an index of the future waits, whoever gave it (RULES 12) */
	assert_status("GET /v1/kv/a?index=9000000000000000&wait=1m", "", 200);
	assert_true(dispatched.hold);
	assert_status("GET /v1/kv/?recurse&index=1&wait=1m", "", 200);
	assert_int_equal(reply.reads[0].kind, WATCH_KEY_PREFIX);
	assert_true(dispatched.hold);
	assert_status("GET /v1/kv/a?wait=1m", "", 200);
	assert_false(dispatched.hold);
}

static void
who_holds_no_keys_asks_a_server(void **unused)
{
	struct http_reply other = { .status = 404, .indexed = true, .index = 42 };
	struct buf bytes, none;

	(void)unused;
	buf_init(&bytes, 1000);
	buf_init(&none, 0);
	other.body = &none;
	cluster_fake.no_copy = true;
	carry_answer_write(&bytes, &other, STR_NONE);
	cluster_fake.http_answer = buf_str(&bytes);
	assert_answer("GET /v1/kv/a?index=7&wait=10s", "", 404, "");
	assert_true(reply.indexed && reply.index == 42);
	assert_int_equal(cluster_fake.asks, 1);
	assert_int_equal(cluster_fake.reads, 0);
	assert_false(dispatched.hold);
	cluster_fake.http_answer = STR("nonsense");
	assert_int_equal(cluster_fake.repeatable, 1);
	assert_status("PUT /v1/kv/a", "x", 500);
	assert_int_equal(cluster_fake.repeatable, 1); /* a write is not done twice */
	/* what makes no sense is not carried */
	assert_status("GET /v1/kv/a?index=x", "", 400);
	assert_int_equal(cluster_fake.asks, 2);
	/* nor what has been carried once */
	carried_from = STR("n2");
	assert_answer("GET /v1/kv/a", "", 500, "No cluster leader");
	assert_int_equal(cluster_fake.asks, 2);
	buf_done(&bytes);
}

static void
other_agents_ask_for_keys_only(void **unused)
{
	(void)unused;
	carried_from = STR("n2");
	assert_status("PUT /v1/kv/a", "x", 200);
	assert_status("GET /v1/agent/self", "", 400);
	assert_status("PUT /v1/agent/leave", "", 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_key_comes_back_with_all_that_belongs_to_it, setup, teardown),
		cmocka_unit_test_setup_teardown(absence_is_404_with_an_index, setup, teardown),
		cmocka_unit_test_setup_teardown(flags_are_exact_64_bit_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(prefixes_are_texts_not_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(folded_names_hide_what_is_below, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    conditions_hold_or_nothing_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    an_ordinary_write_keeps_the_lock_and_resets_its_count, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    locks_want_a_session_that_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_held_key_stays_closed_for_the_lock_delay, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_are_said, setup, teardown),
		cmocka_unit_test_setup_teardown(any_bytes_make_a_key, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    reads_wait_for_the_leader_but_stale_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    without_a_leader_nothing_but_stale_is_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_blocked_query_goes_on_with_the_copy_that_is_here, setup, teardown),
		cmocka_unit_test_setup_teardown(who_holds_no_keys_asks_a_server, setup, teardown),
		cmocka_unit_test_setup_teardown(other_agents_ask_for_keys_only, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

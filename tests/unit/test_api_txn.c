/* /v1/txn as a client meets it: results and errors in order, keys all or none, catalog beside. */
#include <stdlib.h>

#include "tests/unit/api_fixture.h"

#define TXN "PUT /v1/txn"

static bool
says(const char *text)
{
	return memmem(body.p, body.n, text, strlen(text)) != NULL;
}

static void
writes_answer_entries_without_values(void **unused)
{
	(void)unused;
	assert_answer(TXN,
	    "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\",\"Value\":\"MQ==\",\"Flags\":"
	    "18446744073709551615}},{\"KV\":{\"Verb\":\"get\",\"Key\":\"a\"}},"
	    "{\"KV\":{\"Verb\":\"delete\",\"Key\":\"b\"}}]",
	    200,
	    "{\"Results\":[{\"KV\":{\"LockIndex\":0,\"Key\":\"a\",\"Flags\":18446744073709551615,"
	    "\"Value\":null,\"CreateIndex\":1,\"ModifyIndex\":1}},"
	    "{\"KV\":{\"LockIndex\":0,\"Key\":\"a\",\"Flags\":18446744073709551615,"
	    "\"Value\":\"MQ==\",\"CreateIndex\":1,\"ModifyIndex\":1}}],\"Errors\":null}");
	assert_int_equal(cluster_fake.writes, 1);
}

static void
one_that_fails_undoes_all(void **unused)
{
	(void)unused;
	ask("PUT /v1/kv/a", "0");
	assert_answer(TXN,
	    "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\",\"Value\":\"MQ==\"}},"
	    "{\"KV\":{\"Verb\":\"check-index\",\"Key\":\"a\",\"Index\":1}},"
	    "{\"KV\":{\"Verb\":\"explode\",\"Key\":\"a\"}}]",
	    409,
	    "{\"Results\":null,\"Errors\":[{\"OpIndex\":1,\"What\":\"failed index check for key "
	    "\\\"a\\\", current modify index 2 != 1\"},{\"OpIndex\":2,\"What\":\"unknown KV verb "
	    "\\\"explode\\\"\"}]}");
	assert_answer("GET /v1/kv/a?raw", "", 200, "0");
}

static void
reads_are_answered_from_the_copy(void **unused)
{
	(void)unused;
	ask("PUT /v1/kv/t/a", "1");
	ask("PUT /v1/kv/t/b", "");
	assert_answer(TXN,
	    "[{\"KV\":{\"Verb\":\"get-tree\",\"Key\":\"t/\"}},"
	    "{\"KV\":{\"Verb\":\"get\",\"Key\":\"t/b\"}},"
	    "{\"KV\":{\"Verb\":\"check-not-exists\",\"Key\":\"x\"}}]",
	    200,
	    "{\"Results\":[{\"KV\":{\"LockIndex\":0,\"Key\":\"t/a\",\"Flags\":0,\"Value\":\"MQ==\","
	    "\"CreateIndex\":1,\"ModifyIndex\":1}},{\"KV\":{\"LockIndex\":0,\"Key\":\"t/b\","
	    "\"Flags\":0,\"Value\":null,\"CreateIndex\":2,\"ModifyIndex\":2}},{\"KV\":{"
	    "\"LockIndex\":0,\"Key\":\"t/b\",\"Flags\":0,\"Value\":null,\"CreateIndex\":2,"
	    "\"ModifyIndex\":2}}],\"Errors\":null,\"Index\":2,\"LastContact\":0,"
	    "\"KnownLeader\":true}");
	assert_int_equal(cluster_fake.writes, 2);
	assert_int_equal(reply.extra_count, 2);
	assert_false(reply.indexed);
	cluster_fake.must_ask = true;
	assert_status(TXN, "[{\"KV\":{\"Verb\":\"get\",\"Key\":\"t/a\"}}]", 200);
	assert_int_equal(cluster_fake.reads, 1);
	cluster_fake.status.last_contact = 7 * NSEC_MS;
	assert_status(TXN "?stale", "[{\"KV\":{\"Verb\":\"get\",\"Key\":\"t/a\"}}]", 200);
	assert_true(says("\"LastContact\":7000000,"));
	assert_answer(TXN, "[]", 200,
	    "{\"Results\":[],\"Errors\":null,\"Index\":2,\"LastContact\":0,\"KnownLeader\":true}");
	assert_answer(TXN, "[{},{\"KV\":{\"Verb\":\"get\",\"Key\":\"none\"}}]", 409,
	    "{\"Results\":null,\"Errors\":[{\"OpIndex\":0,\"What\":\"key \\\"none\\\" doesn't "
	    "exist\"}],\"Index\":2,\"LastContact\":0,\"KnownLeader\":true}");
}

/* A tree ends where an entry is not of it: each of these follows one. */
static void
results_stand_in_the_order_of_the_operations(void **unused)
{
	(void)unused;
	ask("PUT /v1/kv/t/a", "1");
	ask("PUT /v1/kv/t/b", "2");
	assert_status("PUT /v1/catalog/register", "{\"Node\":\"x\",\"Address\":\"10.9.0.1\"}", 200);
	assert_status(TXN,
	    "[{\"KV\":{\"Verb\":\"get-tree\",\"Key\":\"t/\"}},"
	    "{\"Node\":{\"Verb\":\"get\",\"Node\":{\"Node\":\"x\"}}},"
	    "{\"KV\":{\"Verb\":\"get-tree\",\"Key\":\"t/\"}},"
	    "{\"KV\":{\"Verb\":\"set\",\"Key\":\"t/c\",\"Value\":\"Mw==\"}},"
	    "{\"KV\":{\"Verb\":\"get\",\"Key\":\"t/c\"}},"
	    "{\"Node\":{\"Verb\":\"get\",\"Node\":{\"Node\":\"x\"}}}]",
	    200);
	{
		static const char *const order[] = { "\"Key\":\"t/a\"", "\"Key\":\"t/b\"",
			"\"Node\":\"x\"", "\"Key\":\"t/a\"", "\"Key\":\"t/b\"",
			"\"Key\":\"t/c\",\"Flags\":0,\"Value\":null",
			"\"Key\":\"t/c\",\"Flags\":0,\"Value\":\"Mw==\"", "\"Node\":\"x\"" };
		struct str rest = buf_str(&body);

		for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
			const char *at = memmem(rest.p, rest.n, order[i], strlen(order[i]));

			assert_non_null(at);
			rest = str_skip(rest, (size_t)(at - rest.p) + strlen(order[i]));
		}
		assert_null(memmem(rest.p, rest.n, "\"Key\"", 5));
	}
}

static void
bodies_that_are_none_are_refused(void **unused)
{
	static char many[64 * 65], large[512 * 1024 + 2];
	size_t n = 0;

	(void)unused;
	assert_answer(TXN, "[{", 400, "Failed to parse body: unexpected EOF");
	assert_answer(TXN, "", 400, "Failed to parse body: EOF");
	assert_answer(TXN, "{}", 400,
	    "Failed to parse body: json: cannot unmarshal object into Go value of type api.TxnOps");
	assert_answer(TXN, "[{\"KV\":{\"Value\":\"%%%\"}}]", 400,
	    "Failed to parse body: illegal base64 data at input byte 0");
	assert_answer(TXN, "[{\"KV\":{\"Value\":\"MQ==MQ\"}}]", 400,
	    "Failed to parse body: illegal base64 data at input byte 2");
	assert_answer(TXN, "[{\"Session\":{}}]", 400,
	    "Failed to parse body: json: unknown field \"Session\"");
	assert_status(TXN, "[{\"KV\":{\"Flags\":18446744073709551616}}]", 400);
	assert_status(TXN, "[{\"KV\":{\"Flags\":-1}}]", 400);
	assert_status(TXN, "[{\"KV\":{\"Key\":18446744073709551615}}]", 400);
	many[n++] = '[';
	for (size_t i = 0; i < 65; i++)
		n += (size_t)snprintf(many + n, sizeof many - n,
		    "%s{\"KV\":{\"Verb\":\"delete\","
		    "\"Key\":\"k\"}}",
		    i == 0 ? "" : ",");
	snprintf(many + n, sizeof many - n, "]");
	assert_answer(TXN, many, 413, "Transaction contains too many operations (65 > 64)");
	memset(large, ' ', sizeof large - 1);
	assert_status(TXN, large, 413);
}

static void
the_catalog_takes_part(void **unused)
{
	(void)unused;
	assert_status(TXN,
	    "[{\"Node\":{\"Verb\":\"set\",\"Node\":{\"Node\":\"x\",\"Address\":\"10.9.0.1\"}}},"
	    "{\"Service\":{\"Verb\":\"set\",\"Node\":\"x\",\"Service\":{\"Service\":\"web\","
	    "\"Port\":80,\"Tags\":[\"t\"]}}},"
	    "{\"Check\":{\"Verb\":\"set\",\"Check\":{\"Node\":\"x\",\"CheckID\":\"c\",\"Name\":"
	    "\"c\",\"Status\":\"passing\",\"ServiceID\":\"web\"}}},"
	    "{\"Service\":{\"Verb\":\"get\",\"Node\":\"x\",\"Service\":{\"ID\":\"web\"}}}]",
	    200);
	assert_true(says("{\"Results\":[{\"Node\":{\"ID\":\"\",\"Node\":\"x\""));
	assert_true(says("\"Tags\":[\"t\"]"));
	assert_true(says("{\"Check\":{\"Node\":\"x\",\"CheckID\":\"c\""));
	assert_int_equal(cluster_fake.writes, 1); /* all in one */
	assert_status("GET /v1/health/service/web?passing", "", 200);
	assert_true(says("\"CheckID\":\"c\""));
	/* what is deleted before is not there any more */
	assert_answer(TXN,
	    "[{\"Service\":{\"Verb\":\"delete\",\"Node\":\"x\",\"Service\":{\"ID\":\"web\"}}},"
	    "{\"Check\":{\"Verb\":\"get\",\"Check\":{\"Node\":\"x\",\"CheckID\":\"c\"}}}]",
	    409,
	    "{\"Results\":null,\"Errors\":[{\"OpIndex\":1,\"What\":\"check \\\"c\\\" on node "
	    "\\\"x\\\" doesn't exist\"}]}");
	assert_status("GET /v1/catalog/service/web", "", 200);
	assert_true(says("web"));
	assert_answer(TXN, "[{\"Node\":{\"Verb\":\"delete\",\"Node\":{\"Node\":\"x\"}}}]", 200,
	    "{\"Results\":[],\"Errors\":null}");
	assert_answer("GET /v1/catalog/node/x", "", 200, "null");
}

static void
errors_of_keys_and_catalog_stand_together(void **unused)
{
	(void)unused;
	assert_answer(TXN,
	    "[{\"KV\":{\"Verb\":\"cas\",\"Key\":\"a\",\"Index\":9,\"Value\":\"MQ==\"}},"
	    "{\"Service\":{\"Verb\":\"set\",\"Node\":\"no\",\"Service\":{\"Service\":\"web\"}}},"
	    "{\"Node\":{\"Verb\":\"get\",\"Node\":{\"Node\":\"no\"}}},"
	    "{\"Check\":{\"Verb\":\"fix\",\"Check\":{\"Node\":\"n1\",\"CheckID\":\"c\"}}},"
	    "{\"KV\":{\"Verb\":\"set\",\"Key\":\"b\",\"Value\":\"MQ==\"}}]",
	    409,
	    "{\"Results\":null,\"Errors\":[{\"OpIndex\":0,\"What\":\"failed to set key \\\"a\\\", "
	    "index is stale\"},{\"OpIndex\":1,\"What\":\"Missing node registration\"},"
	    "{\"OpIndex\":2,\"What\":\"node \\\"no\\\" doesn't exist\"},"
	    "{\"OpIndex\":3,\"What\":\"unknown Check verb \\\"fix\\\"\"}]}");
	assert_int_equal(cluster_fake.writes, 0);
	assert_answer("GET /v1/kv/b", "", 404, "");
	/* keys that fail keep the catalog as it is */
	assert_status(TXN,
	    "[{\"Node\":{\"Verb\":\"set\",\"Node\":{\"Node\":\"x\",\"Address\":\"10.9.0.1\"}}},"
	    "{\"KV\":{\"Verb\":\"get\",\"Key\":\"none\"}}]",
	    409);
	assert_answer("GET /v1/catalog/node/x", "", 200, "null");
	assert_int_equal(cluster_fake.writes, 1);
}

static void
compare_and_set_goes_by_the_index_shown(void **unused)
{
	const char *at;
	unsigned long long index;

	(void)unused;
	assert_status(TXN,
	    "[{\"Node\":{\"Verb\":\"cas\",\"Node\":{\"Node\":\"x\",\"Address\":\"10.9.0.1\"}}}]",
	    200);
	at = memmem(body.p, body.n, "\"ModifyIndex\":", strlen("\"ModifyIndex\":"));
	assert_non_null(at);
	index = strtoull(at + strlen("\"ModifyIndex\":"), NULL, 10);
	assert_status(TXN,
	    "[{\"Node\":{\"Verb\":\"cas\",\"Node\":{\"Node\":\"x\",\"Address\":\"10.9.0.2\"}}}]",
	    409);
	assert_true(says("failed to set node \\\"x\\\", index is stale"));
	assert_status(TXN,
	    line_of("[{\"Node\":{\"Verb\":\"cas\",\"Node\":{\"Node\":\"x\",\"Address\":"
		    "\"10.9.0.2\",\"ModifyIndex\":%llu}}}]",
		index),
	    200);
	assert_status(TXN,
	    line_of("[{\"Node\":{\"Verb\":\"delete-cas\",\"Node\":{\"Node\":\"x\","
		    "\"ModifyIndex\":%llu}}}]",
		index),
	    409);
	assert_true(says("failed to delete node \\\"x\\\", index is stale"));
	/* of an agent's own records there is none (RULES 5) */
	assert_status("GET /v1/catalog/node/n1", "", 200);
	at = memmem(body.p, body.n, "\"ModifyIndex\":", strlen("\"ModifyIndex\":"));
	index = strtoull(at + strlen("\"ModifyIndex\":"), NULL, 10);
	assert_status(TXN,
	    line_of("[{\"Node\":{\"Verb\":\"delete-cas\",\"Node\":{\"Node\":\"n1\","
		    "\"ModifyIndex\":%llu}}}]",
		index),
	    409);
	assert_true(says("failed to delete node \\\"n1\\\", it is an agent's own"));
}

static void
without_a_leader_nothing_is_written(void **unused)
{
	(void)unused;
	cluster_fake.error = CLUSTER_NO_LEADER;
	cluster_fake.code = ERR_STATE;
	assert_answer(
	    TXN, "[{\"KV\":{\"Verb\":\"delete\",\"Key\":\"a\"}}]", 500, "No cluster leader");
	options.bootstrap = false;
	assert_answer(TXN, "[{\"Node\":{\"Verb\":\"delete\",\"Node\":{\"Node\":\"x\"}}}]", 500,
	    "No cluster leader");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    writes_answer_entries_without_values, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_fails_undoes_all, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_are_answered_from_the_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    results_stand_in_the_order_of_the_operations, setup, teardown),
		cmocka_unit_test_setup_teardown(bodies_that_are_none_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(the_catalog_takes_part, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    errors_of_keys_and_catalog_stand_together, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    compare_and_set_goes_by_the_index_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    without_a_leader_nothing_is_written, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

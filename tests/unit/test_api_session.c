/* /v1/session as a client meets it: what a body may say, what must be there, renewing, ending. */
#include "tests/unit/api_fixture.h"

/* The only session, behind "[{" and its id. */
static void
assert_session(const char *id, const char *rest)
{
	assert_answer(line_of("GET /v1/session/info/%s", id), "", 200,
	    line_of("[{\"ID\":\"%s\",%s}]", id, rest));
}

static void
a_session_has_consuls_defaults(void **unused)
{
	const char *s;

	(void)unused;
	s = new_session("");
	assert_session(s,
	    "\"Name\":\"\",\"Node\":\"n1\",\"LockDelay\":15000000000,\"Behavior\":\"release\","
	    "\"TTL\":\"\",\"NodeChecks\":[\"serfHealth\"],\"ServiceChecks\":null,"
	    "\"CreateIndex\":1,\"ModifyIndex\":1");
	assert_true(reply.indexed && reply.index == 1);
	s = new_session("{}");
	assert_status(line_of("GET /v1/session/info/%s", s), "", 200);
	assert_int_equal(reply.index, 2);
}

/* As python-consul, libkv, Patroni, the npm client and the Go client say it. */
static void
every_clients_spelling_is_taken(void **unused)
{
	static const struct {
		const char *sent, *rest;
	} rows[] = {
		{ "{\"name\":\"p\",\"checks\":[],\"lockdelay\":\"0.001s\",\"behavior\":\"delete\","
		  "\"ttl\":\"10.0s\"}",
		    "\"Name\":\"p\",\"Node\":\"n1\",\"LockDelay\":1000000,\"Behavior\":\"delete\","
		    "\"TTL\":\"10.0s\",\"NodeChecks\":[],\"ServiceChecks\":null" },
		{ "{\"Behavior\":\"delete\",\"LockDelay\":\"1ms\",\"TTL\":\"1m30s\"}",
		    "\"Name\":\"\",\"Node\":\"n1\",\"LockDelay\":1000000,\"Behavior\":\"delete\","
		    "\"TTL\":\"1m30s\",\"NodeChecks\":[\"serfHealth\"],\"ServiceChecks\":null" },
		{ "{\"LockDelay\":15,\"TTL\":\"0s\"}",
		    "\"Name\":\"\",\"Node\":\"n1\",\"LockDelay\":15000000000,\"Behavior\":"
		    "\"release\",\"TTL\":\"0s\",\"NodeChecks\":[\"serfHealth\"],\"ServiceChecks\":"
		    "null" },
		{ "{\"LockDelay\":5000000000,\"TTL\":\"86400s\",\"NodeChecks\":[]}",
		    "\"Name\":\"\",\"Node\":\"n1\",\"LockDelay\":5000000000,\"Behavior\":"
		    "\"release\",\"TTL\":\"86400s\",\"NodeChecks\":[],\"ServiceChecks\":null" },
		{ "{\"Node\":\"N1\",\"LockDelay\":\"2m\",\"Checks\":[\"serfHealth\"],"
		  "\"NodeChecks\":[],\"ServiceChecks\":[]}",
		    "\"Name\":\"\",\"Node\":\"n1\",\"LockDelay\":120000000000,\"Behavior\":"
		    "\"release\",\"TTL\":\"\",\"NodeChecks\":[],\"ServiceChecks\":[]" },
		{ "{\"NodeChecks\":[\"serfHealth\"],\"ServiceChecks\":[{\"ID\":\"serfHealth\","
		  "\"Namespace\":\"\"}]}",
		    "\"Name\":\"\",\"Node\":\"n1\",\"LockDelay\":15000000000,\"Behavior\":"
		    "\"release\",\"TTL\":\"\",\"NodeChecks\":[\"serfHealth\"],\"ServiceChecks\":[{"
		    "\"ID\":\"serfHealth\",\"Namespace\":\"\"}]" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *s = new_session(rows[i].sent);

		assert_session(s, line_of("%s,\"CreateIndex\":%zu,\"ModifyIndex\":%zu",
				      rows[i].rest, i + 1, i + 1));
	}
}

static void
what_makes_no_session_is_refused_in_consuls_words(void **unused)
{
	static const struct {
		const char *sent;
		int status;
		const char *text;
	} rows[] = {
		{ "{", 400, "Request decode failed: unexpected EOF" },
		{ "{\"X\":1}", 400, "Request decode failed: json: unknown field \"X\"" },
		{ "{\"LockDelay\":\"long\"}", 400,
		    "Request decode failed: time: invalid duration \"long\"" },
		{ "{\"TTL\":\"soon\"}", 500,
		    "Session TTL 'soon' invalid: time: invalid duration \"soon\"" },
		{ "{\"TTL\":\"9s\"}", 500,
		    "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]" },
		{ "{\"TTL\":\"86401s\"}", 500,
		    "Invalid Session TTL '86401000000000', must be between [10s=24h0m0s]" },
		{ "{\"Behavior\":\"explode\"}", 500, "Invalid Behavior setting 'explode'" },
		{ "{\"Node\":\"none\"}", 500, "apply failed: Missing node registration" },
		{ "{\"Checks\":[\"none\"]}", 500,
		    "apply failed: Missing check 'none' registration" },
		{ "{\"ServiceChecks\":[{\"ID\":\"none\"}]}", 500,
		    "apply failed: Missing check 'none' registration" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_answer("PUT /v1/session/create", rows[i].sent, rows[i].status, rows[i].text);
	assert_answer("PUT /v1/session/create?dc=nowhere", "{}", 500, "No path to datacenter");
	assert_int_equal(cluster_fake.writes, 0);
	api.ready = false; /* nothing is known of checks yet */
	assert_answer("PUT /v1/session/create", "{}", 500, "No cluster leader");
}

static void
texts_and_checks_have_limits(void **unused)
{
	static char sent[SESSION_TEXT_MAX + 100];
	size_t n = strlen("{\"Name\":\"");

	(void)unused;
	memset(sent, 'n', sizeof sent);
	memcpy(sent, "{\"Name\":\"", n);
	memcpy(sent + n + SESSION_TEXT_MAX, "\"}", 3);
	assert_status("PUT /v1/session/create", sent, 200);
	memcpy(sent + n + SESSION_TEXT_MAX, "n\"}", 4);
	assert_status("PUT /v1/session/create", sent, 429);
}

static void
a_critical_check_allows_no_session(void **unused)
{
	(void)unused;
	assert_status("PUT /v1/catalog/register",
	    "{\"Node\":\"a\",\"Address\":\"10.9.0.1\",\"Checks\":[{\"CheckID\":\"good\",\"Name\":"
	    "\"g\",\"Status\":\"passing\"},{\"CheckID\":\"bad\",\"Name\":\"b\",\"Status\":"
	    "\"critical\"}]}",
	    200);
	assert_answer("PUT /v1/session/create",
	    "{\"Node\":\"a\",\"NodeChecks\":[\"good\",\"bad\"]}", 500,
	    "apply failed: Check 'bad' is in critical state");
	/* the older list is added to the default, which an external node has not */
	assert_answer("PUT /v1/session/create", "{\"Node\":\"a\",\"Checks\":[\"good\"]}", 500,
	    "apply failed: Missing check 'serfHealth' registration");
	new_session("{\"Node\":\"a\",\"NodeChecks\":[\"good\"]}");
}

static void
sessions_are_listed_by_node(void **unused)
{
	const char *s;

	(void)unused;
	assert_status("PUT /v1/catalog/register", "{\"Node\":\"a\",\"Address\":\"10.9.0.1\"}", 200);
	assert_answer("GET /v1/session/list", "", 200, "[]");
	assert_true(reply.indexed && reply.index > 0);
	assert_int_equal(reply.reads[0].kind, WATCH_SESSIONS);
	s = new_session("{\"Node\":\"a\",\"Checks\":[]}");
	assert_answer("GET /v1/session/node/n1", "", 200, "[]");
	assert_status("GET /v1/session/node/A", "", 200);
	assert_non_null(memmem(body.p, body.n, s, UUID_TEXT_LEN));
	assert_int_equal(reply.reads[0].kind, WATCH_SESSION_NODE);
	assert_str(reply.reads[0].name, "a");
	assert_status("GET /v1/session/list", "", 200);
	assert_non_null(memmem(body.p, body.n, s, UUID_TEXT_LEN));
	assert_answer("GET /v1/session/node/", "", 400, "Missing node name");
	assert_answer("GET /v1/session/node/none", "", 200, "[]");
}

static void
ending_is_true_for_what_is_gone_too(void **unused)
{
	const char *s;

	(void)unused;
	s = new_session("");
	assert_answer(line_of("PUT /v1/session/destroy/%s", s), "", 200, "true");
	assert_answer(line_of("PUT /v1/session/destroy/%s", s), "", 200, "true");
	assert_answer(line_of("GET /v1/session/info/%s", s), "", 200, "[]");
	assert_true(reply.indexed && reply.index == 2);
	assert_answer("PUT /v1/session/destroy/", "", 400, "Missing session");
	assert_answer("PUT /v1/session/destroy/abc", "", 500,
	    "apply failed: failed session lookup: index error: UUID must be 36 characters");
	assert_answer("GET /v1/session/info/abc", "", 500,
	    "failed session lookup: index error: UUID must be 36 characters");
	assert_answer("GET /v1/session/info/", "", 400, "Missing session");
}

static void
renewing_asks_the_leader(void **unused)
{
	const char *s;

	(void)unused;
	s = new_session("{\"TTL\":\"15s\",\"Name\":\"r\"}");
	assert_answer(line_of("PUT /v1/session/renew/%s", s), "", 200,
	    line_of("[{\"ID\":\"%s\",\"Name\":\"r\",\"Node\":\"n1\",\"LockDelay\":15000000000,"
		    "\"Behavior\":\"release\",\"TTL\":\"15s\",\"NodeChecks\":[\"serfHealth\"],"
		    "\"ServiceChecks\":null,\"CreateIndex\":1,\"ModifyIndex\":1}]",
		s));
	assert_false(reply.indexed);
	assert_int_equal(cluster_fake.renewals, 1);
	assert_answer("PUT /v1/session/renew/00000000-0000-0000-0000-00000000abcd", "", 404,
	    "Session id '00000000-0000-0000-0000-00000000abcd' not found");
	assert_int_equal(cluster_fake.reads, 0);
	/* the leader has it, we not yet: our copy is waited for */
	cluster_fake.renew_only_at_leader = true;
	assert_status("PUT /v1/session/renew/00000000-0000-0000-0000-00000000abcd", "", 404);
	assert_int_equal(cluster_fake.reads, 1);
	assert_int_equal(runs, 3);
	assert_answer("PUT /v1/session/renew/", "", 400, "Missing session");
	assert_answer("PUT /v1/session/renew/abc", "", 500,
	    "failed session lookup: index error: UUID must be 36 characters");
	cluster_fake.error = CLUSTER_NO_LEADER;
	cluster_fake.code = ERR_STATE;
	assert_answer(line_of("PUT /v1/session/renew/%s", s), "", 500, "No cluster leader");
}

static void
a_deregistered_node_takes_its_sessions_along(void **unused)
{
	const char *a, *b, *other;

	(void)unused;
	assert_status("PUT /v1/catalog/register", "{\"Node\":\"x\",\"Address\":\"10.9.0.1\"}", 200);
	a = new_session("{\"Node\":\"x\",\"Checks\":[],\"LockDelay\":\"0s\"}");
	b = new_session("{\"Node\":\"x\",\"Checks\":[]}");
	other = new_session("");
	assert_answer(line_of("PUT /v1/kv/l?acquire=%s", a), "1", 200, "true");
	assert_answer("PUT /v1/catalog/deregister", "{\"Node\":\"x\",\"ServiceID\":\"none\"}", 200,
	    "true"); /* not the node */
	assert_int_equal(runs, 2);
	assert_answer("PUT /v1/catalog/deregister", "{\"Node\":\"x\"}", 200, "true");
	assert_int_equal(runs, 4);
	assert_answer(line_of("GET /v1/session/info/%s", a), "", 200, "[]");
	assert_answer(line_of("GET /v1/session/info/%s", b), "", 200, "[]");
	assert_status(line_of("GET /v1/session/info/%s", other), "", 200);
	assert_true(body.n > 2);
	assert_answer(line_of("PUT /v1/kv/l?acquire=%s", other), "2", 200, "true");
	assert_answer("PUT /v1/catalog/deregister", "{\"Node\":\"x\"}", 200, "true");
	assert_int_equal(runs, 2);
	/* without a leader the node stays, and so do they */
	assert_status("PUT /v1/catalog/register", "{\"Node\":\"x\",\"Address\":\"10.9.0.1\"}", 200);
	a = new_session("{\"Node\":\"x\",\"Checks\":[]}");
	cluster_fake.error = CLUSTER_NO_LEADER;
	cluster_fake.code = ERR_STATE;
	assert_answer("PUT /v1/catalog/deregister", "{\"Node\":\"x\"}", 500, CLUSTER_NO_LEADER);
	assert_status("GET /v1/catalog/node/x", "", 200);
	assert_true(body.n > 4);
	assert_status(line_of("GET /v1/session/info/%s?stale", a), "", 200);
	assert_true(body.n > 2);
}

/* Whose agent holds no keys gets its session on its own node, not on the server's. */
static void
a_carried_request_is_of_the_node_that_asks(void **unused)
{
	const char *s;

	(void)unused;
	assert_status(
	    "PUT /v1/catalog/register", "{\"Node\":\"n2\",\"Address\":\"10.9.0.2\"}", 200);
	carried_from = STR("n2");
	s = new_session("{\"Checks\":[]}");
	assert_status(line_of("GET /v1/session/info/%s", s), "", 200);
	assert_non_null(memmem(body.p, body.n, "\"Node\":\"n2\"", strlen("\"Node\":\"n2\"")));
}

static unsigned pulled;

static void
catch_pull(void *arg, struct now at, const struct uuid *agent)
{
	(void)arg;
	(void)at;
	assert_true(uuid_eq(agent, &identity.id));
	pulled++;
}

/* What an agent has registered just now may not have come to the server that it asks. */
static void
an_error_waits_for_news_of_the_agent_that_asks(void **unused)
{
	static const char sent[] = "{\"Node\":\"n1\",\"NodeChecks\":[\"c\"]}";
	struct http_request again = { .woken = true };
	struct digest here;

	(void)unused;
	assert_true(store_digest_of(api.store, &identity.id, &here));
	carried_from = STR("n1");
	carried_asks = (struct http_position){ identity.id, here.epoch, here.number };
	assert_status("PUT /v1/session/create", sent, 500);
	assert_false(dispatched.hold); /* all that it had is here */
	pulled = 0;
	api.ops.pull = catch_pull;
	carried_asks.number++;
	assert_status("PUT /v1/session/create", sent, 500);
	assert_true(dispatched.hold);
	assert_true(dispatched.terms.until == now.mono + NSEC_SEC);
	assert_int_equal(reply.read_count, 2);
	assert_int_equal(pulled, 1);
	run(&again, STR("PUT /v1/session/create"), str_of(sent));
	assert_true(dispatched.hold);
	assert_int_equal(pulled, 1); /* it has been asked */
	assert_status("PUT /v1/catalog/register",
	    "{\"Node\":\"n1\",\"SkipNodeUpdate\":true,\"Check\":{\"CheckID\":\"c\",\"Name\":\"c\","
	    "\"Status\":\"passing\"}}",
	    200);
	carried_from = STR("n1");
	run(&again, STR("PUT /v1/session/create"), str_of(sent));
	assert_false(dispatched.hold);
	assert_true(reply.later != 0); /* the cluster is asked now */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_session_has_consuls_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(every_clients_spelling_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_makes_no_session_is_refused_in_consuls_words, setup, teardown),
		cmocka_unit_test_setup_teardown(texts_and_checks_have_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_critical_check_allows_no_session, setup, teardown),
		cmocka_unit_test_setup_teardown(sessions_are_listed_by_node, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    ending_is_true_for_what_is_gone_too, setup, teardown),
		cmocka_unit_test_setup_teardown(renewing_asks_the_leader, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_deregistered_node_takes_its_sessions_along, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_carried_request_is_of_the_node_that_asks, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    an_error_waits_for_news_of_the_agent_that_asks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* /v1/query as a client meets it: definitions, templates, what is found, and what is refused in
 * Consul's words; access control that is not there. */
#include "tests/unit/api_fixture.h"

#define UUID_NONE "00000000-0000-4000-8000-000000000000"

static const char *
new_query(const char *sent)
{
	static char ids[8][UUID_TEXT_LEN + 1];
	static unsigned at;
	char *id = ids[at++ % 8];

	assert_status("POST /v1/query", sent, 200);
	assert_int_equal(body.n, strlen("{\"ID\":\"\"}") + UUID_TEXT_LEN);
	memcpy(id, body.p + strlen("{\"ID\":\""), UUID_TEXT_LEN);
	id[UUID_TEXT_LEN] = '\0';
	return id;
}

static void
service_add(const char *id, const char *tag)
{
	struct str tags[] = { str_of(tag) };
	struct service_info s = { .id = str_of(id),
		.name = STR("web"),
		.tags = tags,
		.tag_count = 1,
		.tags_set = true,
		.port = 80,
		.weight_passing = 1,
		.weight_warning = 1 };

	assert_true(store_put_service(api.store, now, &identity.id, &s, NULL) >= 0);
}

/* How often a text stands in the last answer. */
static unsigned
times(const char *text)
{
	const char *at = body.p, *end = body.p + body.n;
	unsigned n = 0;

	while ((at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
		at += strlen(text);
		n++;
	}
	return n;
}

static void
a_definition_is_given_back_whole(void **unused)
{
	const char *id;

	(void)unused;
	assert_answer("GET /v1/query", "", 200, "[]");
	assert_true(reply.indexed && reply.index == 1);
	id = new_query("{\"name\":\"q\",\"Service\":{\"Service\":\"web\"}}");
	assert_answer(line_of("GET /v1/query/%s", id), "", 200,
	    line_of("[{\"ID\":\"%s\",\"Name\":\"q\",\"Session\":\"\",\"Token\":\"\",\"Template\":{"
		    "\"Type\":\"\",\"Regexp\":\"\",\"RemoveEmptyTags\":false},\"Service\":{"
		    "\"Service\":\"web\",\"Failover\":{\"NearestN\":0,\"Datacenters\":null},"
		    "\"OnlyPassing\":false,\"IgnoreCheckIDs\":null,\"Near\":\"\",\"Tags\":null,"
		    "\"NodeMeta\":null,\"ServiceMeta\":null,\"Connect\":false},\"DNS\":{\"TTL\":"
		    "\"\"},\"CreateIndex\":1,\"ModifyIndex\":1}]",
		id));
	assert_int_equal(reply.reads[0].kind, WATCH_QUERIES);
	assert_answer(line_of("PUT /v1/query/%s", id),
	    "{\"Name\":\"q\",\"Token\":\"t\",\"Template\":{\"Type\":\"name_prefix_match\","
	    "\"Regexp\":\"^(.*)$\",\"RemoveEmptyTags\":true},\"Service\":{\"Service\":\"db\","
	    "\"Failover\":{\"NearestN\":2,\"Datacenters\":[\"dc2\"]},\"OnlyPassing\":true,"
	    "\"IgnoreCheckIDs\":[\"c\"],\"Near\":\"_agent\",\"Tags\":[],\"NodeMeta\":{\"b\":\"1\","
	    "\"a\":\"2\"},\"ServiceMeta\":{},\"Connect\":true},\"DNS\":{\"TTL\":\"10s\"}}",
	    200, "");
	assert_answer("GET /v1/query", "", 200,
	    line_of("[{\"ID\":\"%s\",\"Name\":\"q\",\"Session\":\"\",\"Token\":\"t\","
		    "\"Template\":{\"Type\":\"name_prefix_match\",\"Regexp\":\"^(.*)$\","
		    "\"RemoveEmptyTags\":true},\"Service\":{\"Service\":\"db\",\"Failover\":{"
		    "\"NearestN\":2,\"Datacenters\":[\"dc2\"]},\"OnlyPassing\":true,"
		    "\"IgnoreCheckIDs\":[\"c\"],\"Near\":\"_agent\",\"Tags\":[],\"NodeMeta\":{"
		    "\"a\":\"2\",\"b\":\"1\"},\"ServiceMeta\":{},\"Connect\":true},\"DNS\":{"
		    "\"TTL\":\"10s\"},\"CreateIndex\":1,\"ModifyIndex\":2}]",
		id));
	assert_true(reply.indexed && reply.index == 2);
	assert_answer(line_of("DELETE /v1/query/%s", id), "", 200, "");
	assert_answer(line_of("GET /v1/query/%s", id), "", 404, "Query not found");
	assert_answer("GET /v1/query", "", 200, "[]");
	assert_int_equal(reply.index, 3);
}

static void
what_is_no_definition_is_refused(void **unused)
{
	static const struct {
		const char *sent;
		int status;
		const char *text;
	} rows[] = {
		{ "{", 400, "Request decode failed: unexpected EOF" },
		{ "{\"Service\":{\"X\":1}}", 400,
		    "Request decode failed: json: unknown field \"X\"" },
		{ "{\"ID\":\"" UUID_NONE "\"}", 500,
		    "ID must be empty when creating a new prepared query" },
		{ "{\"Service\":{\"Service\":\"web\"}}", 500,
		    "Invalid prepared query: Must be bound to a session" },
		{ "{\"Name\":\"q\"}", 500,
		    "Invalid prepared query: Must provide a Service name to query" },
		{ "{\"Name\":\"q\",\"Token\":\"<hidden>\"}", 500,
		    "Invalid prepared query: Bad Token '<hidden>', it looks like a query "
		    "definition with a redacted token was submitted" },
		{ "{\"Name\":\"q\",\"Service\":{\"Service\":\"w\",\"Failover\":{\"NearestN\":-1}}"
		  "}",
		    500, "Invalid prepared query: Bad NearestN '-1', must be >= 0" },
		{ "{\"Name\":\"q\",\"Service\":{\"Service\":\"w\"},\"DNS\":{\"TTL\":\"no\"}}", 500,
		    "Invalid prepared query: Bad DNS TTL 'no': time: invalid duration \"no\"" },
		{ "{\"Name\":\"q\",\"Service\":{\"Service\":\"w\"},\"DNS\":{\"TTL\":\"-1s\"}}", 500,
		    "Invalid prepared query: DNS TTL '-1000000000', must be >=0" },
		{ "{\"Name\":\"q\",\"Service\":{\"Service\":\"w\",\"NodeMeta\":{\"\":\"v\"}}}", 500,
		    "Invalid prepared query: Couldn't load metadata pair ('', 'v'): Key cannot be "
		    "blank" },
		{ "{\"Name\":\"q\",\"Template\":{\"Type\":\"x\"},\"Service\":{\"Service\":\"w\"}}",
		    500, "failed compiling template: Bad Template.Type 'x'" },
		{ "{\"Name\":\"q\",\"Template\":{\"Type\":\"name_prefix_match\",\"Regexp\":\"(\"},"
		  "\"Service\":{\"Service\":\"w\"}}",
		    500,
		    "failed compiling template: Bad Regexp: error parsing regexp: missing closing "
		    "): `(`" },
		{ "{\"Name\":\"q\",\"Session\":\"x\",\"Service\":{\"Service\":\"w\"}}", 500,
		    "invalid session: index error: UUID must be 36 characters" },
		{ "{\"Name\":\"q\",\"Session\":\"" UUID_NONE "\",\"Service\":{\"Service\":\"w\"}}",
		    500, "invalid session \"" UUID_NONE "\"" },
		{ "{\"Name\":\"taken\",\"Service\":{\"Service\":\"w\"}}", 500,
		    "name 'taken' aliases an existing query name" },
	};

	(void)unused;
	new_query("{\"Name\":\"Taken\",\"Service\":{\"Service\":\"web\"}}");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_answer("POST /v1/query", rows[i].sent, rows[i].status, rows[i].text);
	assert_answer("GET /v1/query/x", "", 500,
	    "failed prepared query lookup: index error: UUID must be 36 characters");
	assert_answer("DELETE /v1/query/x", "", 500,
	    "Prepared Query lookup failed: failed prepared query lookup: index error: UUID must be "
	    "36 characters");
	assert_answer("DELETE /v1/query/" UUID_NONE, "", 500,
	    "Cannot modify non-existent prepared query: '" UUID_NONE "'");
	assert_answer("PUT /v1/query/" UUID_NONE,
	    "{\"Name\":\"q\",\"Service\":{\"Service\":\"web\"}}", 500,
	    "Cannot modify non-existent prepared query: '" UUID_NONE "'");
	assert_answer("PUT /v1/query/" UUID_NONE, "", 500,
	    "Invalid prepared query: Must be bound to a session");
	assert_answer("PUT /v1/query/q/execute", "{}", 405, "method PUT not allowed");
	assert_str(reply.extra[0].value, "OPTIONS,GET");
}

static void
limits_are_told(void **unused)
{
	char *big = malloc(QUERY_BODY_MAX + 1024);
	int n = snprintf(big, 128, "{\"Name\":\"q\",\"Service\":{\"Service\":\"");

	(void)unused;
	memset(big + n, 'x', QUERY_BODY_MAX);
	strcpy(big + n + QUERY_BODY_MAX, "\"}}");
	assert_status("POST /v1/query", big, 429);
	assert_answer("GET /v1/query", "", 200, "[]");
	free(big);
}

static void
a_session_takes_its_queries_along(void **unused)
{
	const char *s, *q;

	(void)unused;
	s = new_session("");
	q = new_query(line_of("{\"Session\":\"%s\",\"Service\":{\"Service\":\"web\"}}", s));
	assert_status(line_of("GET /v1/query/%s", q), "", 200);
	assert_status(line_of("PUT /v1/session/destroy/%s", s), "", 200);
	assert_status(line_of("GET /v1/query/%s", q), "", 404);
}

static void
executing_gives_instances(void **unused)
{
	const char *id;

	(void)unused;
	service_add("w1", "blue");
	service_add("w2", "green");
	service_add("w3", "blue");
	id = new_query("{\"Name\":\"q\",\"Service\":{\"Service\":\"web\",\"Tags\":[\"!green\"]},"
		       "\"DNS\":{\"TTL\":\"5s\"}}");
	assert_status("GET /v1/query/Q/execute", "", 200);
	assert_true(str_starts(buf_str(&body), STR("{\"Service\":\"web\",\"Nodes\":[{\"Node\":{")));
	assert_true(str_ends(buf_str(&body),
	    STR("],\"DNS\":{\"TTL\":\"5s\"},\"Datacenter\":\"dc1\",\"Failovers\":0,\"Index\":0,"
		"\"LastContact\":0,\"KnownLeader\":true,\"ConsistencyLevel\":\"leader\","
		"\"NotModified\":false}")));
	assert_int_equal(times("\"ID\":\"w1\"") + times("\"ID\":\"w3\""), 2);
	assert_int_equal(times("\"ID\":\"w2\""), 0);
	assert_status(line_of("GET /v1/query/%s/execute?limit=1", id), "", 200);
	assert_int_equal(times("\"Checks\""), 1);
	assert_status("GET /v1/query/q/execute?limit=-1&near=_agent", "", 200);
	assert_int_equal(times("\"Checks\""), 2);
	assert_answer("GET /v1/query/q/execute?limit=x", "", 500,
	    "Bad limit: strconv.Atoi: parsing \"x\": invalid syntax");
	assert_answer("GET /v1/query/r/execute", "", 404, "Query not found");
	assert_answer("GET /v1/query/q/execute?dc=dc2", "", 500, "No path to datacenter");
	assert_false(reply.indexed); /* nothing to wait for */
}

static void
nothing_found_is_an_empty_list(void **unused)
{
	(void)unused;
	new_query("{\"Name\":\"q\",\"Service\":{\"Service\":\"nothing\"}}");
	assert_status("GET /v1/query/q/execute", "", 200);
	assert_int_equal(times("\"Nodes\":[]"), 1);
	assert_false(dispatched.hold);
}

/* The agent that carries the request here has registered something that has not come here yet. */
static void
what_is_on_its_way_is_waited_for(void **unused)
{
	(void)unused;
	new_query("{\"Name\":\"q\",\"Service\":{\"Service\":\"web\"}}");
	carried_from = STR("n2");
	carried_asks = (struct http_position){ .agent = { { 7 } }, .epoch = { 1, 1 }, .number = 1 };
	assert_status("GET /v1/query/q/execute", "", 200);
	assert_true(dispatched.hold);
	assert_int_equal(reply.reads[0].kind, WATCH_SERVICE_HEALTH);
	service_add("w1", "blue");
	assert_status("GET /v1/query/q/execute", "", 200);
	assert_false(dispatched.hold);
}

static void
templates_answer_for_many_names(void **unused)
{
	const char *id;

	(void)unused;
	id = new_query("{\"Name\":\"geo-\",\"Template\":{\"Type\":\"name_prefix_match\",\"Regexp\":"
		       "\"^geo-(.*?)(-([^-]+))?$\",\"RemoveEmptyTags\":true},\"Service\":{"
		       "\"Service\":\"${match(1)}\",\"Tags\":[\"${match(3)}\"],\"NodeMeta\":{},"
		       "\"Near\":\"_agent\"}}");
	service_add("w1", "blue");
	service_add("w2", "green");
	assert_status("GET /v1/query/geo-web/execute", "", 200);
	assert_int_equal(times("\"Checks\""), 2);
	assert_status("GET /v1/query/geo-web-green/execute", "", 200);
	assert_int_equal(times("\"Checks\""), 1);
	assert_int_equal(times("\"ID\":\"w2\""), 1);
	assert_status("GET /v1/query/geo-web-green/explain", "", 200);
	assert_int_equal(times("{\"Query\":{\"ID\""), 1);
	assert_int_equal(times("\"Service\":{\"Service\":\"web\""), 1);
	assert_int_equal(times("\"Tags\":[\"green\"]"), 1);
	assert_int_equal(times("\"Name\":\"geo-\""), 1);
	assert_answer(line_of("GET /v1/query/%s/execute", id), "", 500,
	    "prepared query templates can only be resolved up by name, not by ID");
	assert_answer("GET /v1/query/x/explain", "", 404, "Query not found");
}

static void
access_control_is_not_there(void **unused)
{
	(void)unused;
	assert_answer("GET /v1/acl/tokens", "", 401, "ACL support disabled");
	assert_answer("PUT /v1/acl/bootstrap", "", 401, "ACL support disabled");
	assert_answer("PUT /v1/acl/token", "{}", 401, "ACL support disabled");
	assert_answer("DELETE /v1/acl/token/x", "", 401, "ACL support disabled");
	assert_answer("PUT /v1/acl/token/x/clone", "", 401, "ACL support disabled");
	assert_answer("GET /v1/acl/policy/name/x", "", 401, "ACL support disabled");
	assert_answer("POST /v1/acl/login", "", 401, "ACL support disabled");
	assert_answer("PUT /v1/agent/token/default", "", 401, "ACL support disabled");
	assert_answer("PUT /v1/acl/token/self", "", 405, "method PUT not allowed");
	assert_str(reply.extra[0].value, "OPTIONS,GET");
	assert_answer("GET /v1/acl/nothing", "", 404, "");
	assert_answer("GET /v1/acl/tokens/x", "", 404, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_definition_is_given_back_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_definition_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_session_takes_its_queries_along, setup, teardown),
		cmocka_unit_test_setup_teardown(executing_gives_instances, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_found_is_an_empty_list, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_on_its_way_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(templates_answer_for_many_names, setup, teardown),
		cmocka_unit_test_setup_teardown(access_control_is_not_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The endpoints about the pool as a client meets them: members, join, leave, events, keyring. The
 * pool is one that does what the test says; answers that come later are caught where the server
 * would send them. */
#include "agent/http/api_pool.h"
#include "agent/http/dispatch.h"
#include "agent/identity.h"
#include "tests/unit/pool_fake.h"
#include "tests/unit/test.h"

static struct options options;
static struct identity identity;
static struct api api;
static struct pool pool;
static struct now now = { 1000 * NSEC_SEC, 1800000000000 };

static struct arena arena;
static struct buf body;
static struct http_reply reply;
static struct dispatched dispatched;
static unsigned changes;

/* what came later */
static uint64_t finished;
static int finished_status;
static struct buf finished_body;

static char joining[64]; /* the last target, and its ticket */
static uint64_t ticket;

static void
count_change(void *arg)
{
	(void)arg;
	changes++;
}

static void
catch_finish(void *arg, uint64_t t, const struct http_reply *r)
{
	(void)arg;
	finished = t;
	finished_status = r->status;
	buf_clear(&finished_body);
	buf_add(&finished_body, buf_str(r->body));
}

static void
catch_join(void *arg, struct now at, struct str target, uint64_t t)
{
	(void)arg;
	(void)at;
	snprintf(joining, sizeof joining, STR_FMT, STR_ARG(target));
	ticket = t;
}

static void
catch_leave(void *arg, struct now at, uint64_t t)
{
	(void)arg;
	(void)at;
	ticket = t;
}

static void
member_put(const char *name, const char *wire, const char *address, enum serf_state state)
{
	struct pool_member *m = &pool.members[pool.count++];
	static const char meta[] = "\xff\x82\xa2"
				   "dc\xa3"
				   "dc1\xa4"
				   "role\xa4"
				   "node";

	*m = (struct pool_member){ .name = str_of(name),
		.wire_name = str_of(wire),
		.meta = str_mem(meta, sizeof meta - 1),
		.vsn = wire_vsn_ours,
		.state = state };
	assert_true(addr_parse(str_of(address), 8301, &m->addr));
}

static int
setup(void **unused)
{
	struct store_config config = { .limits = owner_limits_default };
	struct local_config local = { .services_max = 4 };
	struct events_config events = { .node = STR("n1") };

	(void)unused;
	options =
	    (struct options){ .datacenter = STR("dc1"), .node_name = STR("n1"), .serf_port = 8301 };
	assert_true(addr_parse_ip(STR("10.0.0.1"), &options.advertise_addr));
	identity = (struct identity){ .id = { { 1 } }, .cluster = { { 2 } }, .epoch = { 1, 1 } };
	config.self = identity.id;
	config.cluster = identity.cluster;
	config.epoch = identity.epoch;
	pool = (struct pool){ .coordinates = coordinates_new(1) };
	member_put("n1", "n1", "10.0.0.1:8301", SERF_ALIVE);
	api = (struct api){ .options = &options,
		.identity = &identity,
		.ready = true,
		.changed = count_change,
		.pool = &pool,
		.ops = { .finish = catch_finish, .join = catch_join, .leave = catch_leave } };
	rng_init(&api.rng, 42);
	api.store = store_new(&config, now);
	local.store = api.store;
	local.self = identity.id;
	api.local = local_new(&local);
	events.local = api.local;
	api.events = events_new(&events);
	arena_init(&arena, 1 << 22);
	buf_init(&body, 1 << 22);
	buf_init(&finished_body, 1 << 22);
	changes = 0;
	finished = 0;
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	api_pool_done(&api);
	coordinates_free(pool.coordinates);
	events_free(api.events);
	local_free(api.local);
	store_free(api.store);
	buf_done(&finished_body);
	buf_done(&body);
	arena_done(&arena);
	return 0;
}

static enum http_method
method_of(struct str text)
{
	static const struct {
		const char *text;
		enum http_method method;
	} rows[] = { { "GET", HTTP_GET }, { "PUT", HTTP_PUT }, { "POST", HTTP_POST },
		{ "DELETE", HTTP_DELETE } };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (str_eq(text, str_of(rows[i].text)))
			return rows[i].method;
	return HTTP_OTHER;
}

/* "GET /v1/…"; then the request's body. The answer is left in `reply` and `body`. */
static void
ask(const char *line, const char *sent)
{
	static struct http_header params[HTTP_QUERY_PARAMS_MAX];
	struct http_request req = {
		.body = str_of(sent), .arena = &arena, .params = params, .now = now
	};
	struct str rest = str_of(line);

	req.method_text = str_cut(&rest, ' ');
	req.method = method_of(req.method_text);
	req.target = rest;
	req.path = str_cut(&rest, '?');
	req.query = rest;
	assert_true(request_params_read(&req));
	dispatch(http_routes, &api, &req, &body, &reply, &dispatched);
}

static void
assert_answer(const char *line, const char *sent, int status, const char *text)
{
	ask(line, sent);
	if (reply.status != status)
		print_error("%s: " STR_FMT "\n", line, STR_ARG(buf_str(&body)));
	assert_int_equal(reply.status, status);
	assert_int_equal(reply.later, 0);
	assert_str(buf_str(&body), text);
}

static void
assert_later(uint64_t t, int status, const char *text)
{
	assert_int_equal(finished, t);
	assert_int_equal(finished_status, status);
	assert_str(buf_str(&finished_body), text);
}

static bool
says(const char *text)
{
	return memmem(body.p, body.n, text, strlen(text)) != NULL;
}

static void
members_are_listed_in_every_state(void **unused)
{
	(void)unused;
	member_put("n1", "n1~aabbccdd", "10.0.0.2:8302", SERF_FAILED);
	member_put("n3", "n3", "[fd00::3]:8301", SERF_LEFT);
	assert_answer("GET /v1/agent/members", "", 200,
	    "[{\"Name\":\"n1\",\"Addr\":\"10.0.0.1\",\"Port\":8301,\"Tags\":{\"dc\":\"dc1\","
	    "\"role\":\"node\"},\"Status\":1,\"ProtocolMin\":1,\"ProtocolMax\":5,"
	    "\"ProtocolCur\":2,\"DelegateMin\":2,\"DelegateMax\":5,\"DelegateCur\":4},"
	    "{\"Name\":\"n1\",\"Addr\":\"10.0.0.2\",\"Port\":8302,\"Tags\":{\"dc\":\"dc1\","
	    "\"role\":\"node\"},\"Status\":4,\"ProtocolMin\":1,\"ProtocolMax\":5,"
	    "\"ProtocolCur\":2,\"DelegateMin\":2,\"DelegateMax\":5,\"DelegateCur\":4},"
	    "{\"Name\":\"n3\",\"Addr\":\"fd00::3\",\"Port\":8301,\"Tags\":{\"dc\":\"dc1\","
	    "\"role\":\"node\"},\"Status\":3,\"ProtocolMin\":1,\"ProtocolMax\":5,"
	    "\"ProtocolCur\":2,\"DelegateMin\":2,\"DelegateMax\":5,\"DelegateCur\":4}]");
	assert_answer("GET /v1/agent/members?wan=1&segment", "", 200, "[]");
	assert_answer(
	    "GET /v1/agent/members?segment=x", "", 500, "Network segments are not supported");
	options.server = true; /* knows itself in the federation */
	ask("GET /v1/agent/members?wan", "");
	assert_true(says("[{\"Name\":\"n1\",\"Addr\":\"10.0.0.1\""));
	ask("GET /v1/agent/self", "");
	assert_true(says("\"Coord\":{\"Vec\":[0,0,0,0,0,0,0,0],\"Error\":1.5,\"Adjustment\":0,"
			 "\"Height\":0.00001}"));
	assert_true(says("\"Member\":{\"Name\":\"n1\""));
	assert_true(says("\"serf_lan\":{\"event_time\":\"12\",\"failed\":\"1\","
			 "\"health_score\":\"3\",\"left\":\"1\",\"member_time\":\"11\","
			 "\"members\":\"3\",\"query_time\":\"13\"}"));
	assert_true(says("\"ready\":\"true\""));
	api.ready = false;
	ask("GET /v1/agent/self", "");
	assert_true(says("\"ready\":\"false\""));
}

static void
without_a_pool_there_is_only_us(void **unused)
{
	(void)unused;
	api.pool = NULL;
	api.ops.join = NULL;
	api.ops.leave = NULL;
	ask("GET /v1/agent/members", "");
	assert_true(says("[{\"Name\":\"n1\",\"Addr\":\"10.0.0.1\",\"Port\":8301,\"Tags\":{"));
	assert_answer("PUT /v1/agent/join/10.0.0.2", "", 500, "This agent is in no pool");
	assert_answer("PUT /v1/agent/leave", "", 500, "This agent is in no pool");
	assert_answer("PUT /v1/agent/force-leave/n2", "", 500, "This agent is in no pool");
	assert_answer("PUT /v1/event/fire/x", "", 500, "This agent is in no pool");
	assert_answer("GET /v1/operator/keyring", "", 500, "This agent is in no pool");
	assert_answer("GET /v1/event/list", "", 200, "[]");
	api.events = (events_free(api.events), NULL);
	assert_answer("GET /v1/event/list", "", 200, "[]");
}

static void
joining_answers_when_it_is_done(void **unused)
{
	uint64_t first;

	(void)unused;
	ask("PUT /v1/agent/join/10.0.0.2%3A8301", "");
	assert_string_equal(joining, "10.0.0.2:8301");
	assert_int_not_equal(reply.later, 0);
	assert_int_equal(reply.later, ticket);
	first = ticket;
	ask("PUT /v1/agent/join/127.0.0.1:1", "");
	assert_int_not_equal(ticket, first);
	api_joined(&api, ticket, 0, STR("127.0.0.1:1: Connection refused"));
	assert_later(ticket, 500, "127.0.0.1:1: Connection refused");
	api_joined(&api, first, 2, STR_NONE);
	assert_later(first, 200, "");
	assert_answer("PUT /v1/agent/join/", "", 400, "Missing address");
	assert_answer(
	    "PUT /v1/agent/join/10.0.0.2?wan=1", "", 500, "WAN federation is not supported");
	ask("PUT /v1/agent/leave", "");
	assert_int_equal(reply.later, ticket);
	api_left(&api, ticket);
	assert_later(ticket, 200, "");
}

static void
only_a_member_is_forced_to_leave(void **unused)
{
	(void)unused;
	member_put("n2", "n2", "10.0.0.2:8301", SERF_FAILED);
	assert_answer(
	    "PUT /v1/agent/force-leave/nobody", "", 500, "agent: No node found with name 'nobody'");
	assert_int_equal(changes, 0);
	assert_answer("PUT /v1/agent/force-leave/n2", "", 200, "");
	assert_string_equal(pool.name, "n2");
	assert_false(pool.prune);
	assert_int_equal(changes, 1); /* the pool's actions are carried out */
	assert_answer("PUT /v1/agent/force-leave/n2?prune", "", 200, "");
	assert_true(pool.prune);
	pool.refusal = "\"n1\" is this agent";
	assert_answer("PUT /v1/agent/force-leave/n1", "", 500, "\"n1\" is this agent");
}

/* What the pool was given comes back as an event of that Lamport time. */
static void
deliver(uint64_t ltime)
{
	struct serf_event e = { .ltime = ltime,
		.name = str_of(pool.name),
		.payload = str_mem(pool.payload, pool.payload_n) };

	api_event(&api, now, &e);
}

static void
events_are_fired_and_listed(void **unused)
{
	uint64_t index;

	(void)unused;
	ask("PUT /v1/event/fire/deploy", "v2");
	assert_int_equal(reply.status, 200);
	assert_true(says("\",\"Name\":\"deploy\",\"Payload\":\"djI=\",\"NodeFilter\":\"\","
			 "\"ServiceFilter\":\"\",\"TagFilter\":\"\",\"Version\":1,\"LTime\":0}"));
	assert_string_equal(pool.name, "consul:event:deploy");
	assert_answer("GET /v1/event/list", "", 200, "[]");
	assert_int_equal(reply.index, 1);
	changes = 0;
	deliver(7);
	assert_int_equal(changes, 1);
	ask("GET /v1/event/list", "");
	assert_true(says("\"Name\":\"deploy\",\"Payload\":\"djI=\""));
	assert_true(says("\"LTime\":7}]"));
	assert_false(reply.indexed);
	assert_int_equal(reply.extra_count, 1);
	assert_str(reply.extra[0].name, "X-Consul-Index");
	index = reply.index;
	assert_int_equal(index, user_event_index(events_at(api.events, 0)));

	ask("PUT /v1/event/fire/other", "");
	assert_true(says("\"Payload\":null"));
	deliver(8);
	ask("GET /v1/event/list?name=deploy", "");
	assert_false(says("other"));
	assert_int_equal(reply.index, index); /* of the last one listed */
	ask("GET /v1/event/list", "");
	assert_int_not_equal(reply.index, index);
	assert_answer("GET /v1/event/list?name=none", "", 200, "[]");
}

/* A blocked list is held while its index is the same, and reads the scope that events touch. */
static void
the_list_blocks_while_nothing_is_new(void **unused)
{
	const struct watch_key key = { WATCH_EVENTS, STR_NONE };
	char line[80];
	uint64_t before;

	(void)unused;
	ask("GET /v1/event/list?index=1&wait=1m", "");
	assert_true(dispatched.hold);
	assert_int_equal(reply.read_count, 1);
	assert_int_equal(reply.reads[0].kind, WATCH_EVENTS);
	before = watch_index(store_watches(api.store), key);
	ask("PUT /v1/event/fire/deploy", "");
	deliver(1);
	assert_true(watch_index(store_watches(api.store), key) > before);
	ask("GET /v1/event/list?index=1&wait=1m", "");
	assert_false(dispatched.hold);
	snprintf(line, sizeof line, "GET /v1/event/list?index=%llu&wait=1m",
	    (unsigned long long)reply.index);
	ask(line, "");
	assert_true(dispatched.hold);
}

static void
bad_events_have_consuls_words(void **unused)
{
	char large[SERF_EVENT_SIZE_MAX + 1];

	(void)unused;
	assert_answer("PUT /v1/event/fire/", "", 400, "Missing name");
	assert_answer("PUT /v1/event/fire/x?node=(", "", 500,
	    "Invalid node filter: error parsing regexp: missing closing ): `(`");
	assert_answer("PUT /v1/event/fire/x?service=(", "", 500,
	    "Invalid service filter: error parsing regexp: missing closing ): `(`");
	assert_answer("PUT /v1/event/fire/x?service=a&tag=(", "", 500,
	    "Invalid tag filter: error parsing regexp: missing closing ): `(`");
	assert_answer("PUT /v1/event/fire/x?tag=a", "", 500,
	    "Cannot provide tag filter without service filter");
	assert_answer("PUT /v1/event/fire/x?dc=nowhere", "", 500, "No path to datacenter");
	memset(large, 'x', sizeof large - 1);
	large[sizeof large - 1] = '\0';
	assert_answer("PUT /v1/event/fire/x", large, 500,
	    "user event exceeds configured limit of 512 bytes before encoding");
	pool.refusal = "too many events at once";
	assert_answer("PUT /v1/event/fire/x", "", 500, "too many events at once");
}

#define KEY "AAECAwQFBgcICQoLDA0ODw=="
#define OTHER_KEY "AQECAwQFBgcICQoLDA0ODw=="

static void
the_keyring_is_listed_over_all_agents(void **unused)
{
	struct str keys[2] = { STR(OTHER_KEY), STR(KEY) };
	struct serf_key_response both = { true, STR_NONE, STR(KEY), keys, 2 };
	struct serf_key_response one = { true, STR_NONE, STR(OTHER_KEY), keys, 1 };
	uint64_t t;

	(void)unused;
	ask("GET /v1/operator/keyring?relay-factor=2", "");
	assert_int_equal(pool.op, SERF_KEY_LIST);
	t = reply.later;
	assert_int_not_equal(t, 0);
	api_keys(&api, pool.id, STR("n1"), &both);
	api_keys(&api, pool.id, STR("n2"), &one);
	api_keys(&api, pool.id + 5, STR("n2"), &one); /* nobody's */
	assert_int_equal(finished, 0);
	api_keys_done(&api, pool.id, 2);
	assert_later(t, 200,
	    "[{\"WAN\":false,\"Datacenter\":\"dc1\",\"Segment\":\"\",\"Keys\":{\"" KEY
	    "\":1,\"" OTHER_KEY "\":2},\"PrimaryKeys\":{\"" KEY "\":1,\"" OTHER_KEY
	    "\":1},\"NumNodes\":2}]");
	finished = 0;
	api_keys_done(&api, pool.id, 2); /* once */
	assert_int_equal(finished, 0);
}

static void
the_keyring_is_changed_on_all_agents(void **unused)
{
	static const struct {
		const char *line;
		enum serf_key_op op;
	} rows[] = { { "POST /v1/operator/keyring", SERF_KEY_INSTALL },
		{ "PUT /v1/operator/keyring", SERF_KEY_USE },
		{ "DELETE /v1/operator/keyring", SERF_KEY_REMOVE } };
	struct serf_key_response good = { .result = true };
	struct serf_key_response bad = { .message = STR("no such key") };

	(void)unused;
	for (size_t i = 0; i < 3; i++) {
		ask(rows[i].line, "{\"Key\":\"" KEY "\"}");
		assert_int_not_equal(reply.later, 0);
		assert_int_equal(pool.op, rows[i].op);
		assert_int_equal(pool.payload_n, 16);
		assert_int_equal(pool.payload[15], 15);
		api_keys(&api, pool.id, STR("n1"), &good);
		api_keys_done(&api, pool.id, 1);
		assert_later(reply.later, 200, "");
	}
	ask("PUT /v1/operator/keyring", "{\"key\":\"" KEY "\"}");
	api_keys(&api, pool.id, STR("n1"), &good);
	api_keys(&api, pool.id, STR("n2"), &bad);
	api_keys_done(&api, pool.id, 2);
	assert_later(reply.later, 500,
	    "2 errors occurred:\n\t* dc1 (LAN) error: 1/2 nodes reported failure\n"
	    "\t* n2: no such key\n\n");
	ask("PUT /v1/operator/keyring", "{\"Key\":\"" KEY "\"}");
	api_keys(&api, pool.id, STR("n1"), &good);
	api_keys_done(&api, pool.id, 3);
	assert_later(reply.later, 500,
	    "1 error occurred:\n\t* dc1 (LAN) error: 1/3 nodes reported success\n\n");
}

static void
bad_keyring_requests_are_refused(void **unused)
{
	(void)unused;
	assert_answer("POST /v1/operator/keyring", "", 400, "Request decode failed: EOF");
	assert_answer("POST /v1/operator/keyring", "{\"Kex\":1}", 400,
	    "Request decode failed: json: unknown field \"Kex\"");
	assert_answer("POST /v1/operator/keyring", "{\"Key\":\"?\"}", 500,
	    "1 error occurred:\n\t* dc1 (LAN) error: illegal base64 data in the key\n\n");
	assert_answer("GET /v1/operator/keyring?relay-factor=6", "", 400,
	    "Invalid relay-factor: invalid relay factor: 6, must be in range [0, 5]");
	assert_answer("GET /v1/operator/keyring?relay-factor=x", "", 400,
	    "Error parsing relay factor: strconv.Atoi: parsing \"x\": invalid syntax");
	assert_answer("GET /v1/operator/keyring?local-only=x", "", 400,
	    "Error parsing local-only: strconv.ParseBool: parsing \"x\": invalid syntax");
	assert_answer("PUT /v1/operator/keyring?local-only=1", "{\"Key\":\"" KEY "\"}", 400,
	    "Invalid use of local-only: local-only can only be set for list requests");
	pool.refusal = "a key has 16, 24 or 32 bytes, this one has 1";
	assert_answer("POST /v1/operator/keyring", "{\"Key\":\"QQ==\"}", 500,
	    "1 error occurred:\n\t* dc1 (LAN) error: a key has 16, 24 or 32 bytes, this one has "
	    "1\n\n");
	pool.refusal = NULL;
	for (size_t i = 0; i < API_KEYRINGS_MAX; i++)
		ask("GET /v1/operator/keyring", "");
	assert_int_not_equal(reply.later, 0);
	assert_answer(
	    "GET /v1/operator/keyring", "", 429, "Too many keyring requests are under way");
	api_keys_done(&api, pool.id, 0);
	ask("GET /v1/operator/keyring", "");
	assert_int_not_equal(reply.later, 0);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(members_are_listed_in_every_state),
		test(without_a_pool_there_is_only_us),
		test(joining_answers_when_it_is_done),
		test(only_a_member_is_forced_to_leave),
		test(events_are_fired_and_listed),
		test(the_list_blocks_while_nothing_is_new),
		test(bad_events_have_consuls_words),
		test(the_keyring_is_listed_over_all_agents),
		test(the_keyring_is_changed_on_all_agents),
		test(bad_keyring_requests_are_refused),
	};

	return cmocka_run_group_tests_name("api_pool", tests, NULL, NULL);
}

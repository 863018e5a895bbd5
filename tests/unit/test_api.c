/* The endpoints as a client meets them: table of routes, handlers, store and local services
 * together, without sockets. Requests are lines, answers are status and body.
 */
#include "agent/http/api.h"
#include "agent/http/dispatch.h"
#include "agent/identity.h"
#include "tests/unit/test.h"

static struct options options;
static struct identity identity;
static struct api api;
static struct now now = { 1000 * NSEC_SEC, 1800000000000 };

static struct arena arena;
static struct buf body;
static struct http_reply reply;
static struct dispatched dispatched;
static unsigned changes;

static void
count_change(void *arg)
{
	(void)arg;
	changes++;
}

/* Carries out what the cluster wants, whose disk is memory. True: *answer is the one to `request`,
 * good until the next turn. */
static bool
cluster_turn(uint64_t request, struct cluster_action *answer)
{
	struct fsm *fsm = cluster_fsm(api.cluster);
	struct cluster_status status;
	uint64_t stored = 0;

	while (cluster_action_next(api.cluster, answer)) {
		if (answer->kind == CLUSTER_RAFT && answer->raft.kind == RAFT_CORE_APPEND)
			stored = answer->raft.entry.index;
		if (answer->kind != CLUSTER_ANSWER || answer->request != request)
			continue;
		status = cluster_status(api.cluster, now);
		store_cluster_take(api.store, now, &status.cluster, fsm_external_epoch(fsm),
		    fsm_external(fsm), true);
		return true;
	}
	cluster_durable(api.cluster, now, stored);
	cluster_tick(api.cluster, now);
	return false;
}

/* A cluster of one: it leads once its actions are carried out. */
static void
cluster_found(const struct cluster_config *alone)
{
	struct cluster_action act;

	assert_int_equal(cluster_new(alone, NULL, 1, now, &api.cluster, NULL), 0);
	for (int turn = 0; turn < 10; turn++)
		cluster_turn(0, &act);
}

static int
setup(void **unused)
{
	struct node_info node = {
		.name = STR("n1"), .address = STR("10.0.0.1"), .datacenter = STR("dc1")
	};
	struct service_info self = { .id = STR("consul"),
		.name = STR("consul"),
		.port = 8300,
		.weight_passing = 1,
		.weight_warning = 1 };
	struct store_config config = { .limits = owner_limits_default };
	struct local_config local = { .services_max = 4 };
	struct cluster_config cluster = { .self = { { 1 } }, .server = true, .bootstrap = true };
	char id[UUID_TEXT_LEN + 1];

	(void)unused;
	options = (struct options){ .server = true,
		.bootstrap = true,
		.datacenter = STR("dc1"),
		.node_name = STR("n1"),
		.server_port = 8300,
		.serf_port = 8301 };
	assert_true(addr_parse_ip(STR("10.0.0.1"), &options.advertise_addr));
	identity = (struct identity){ .id = { { 1 } }, .cluster = { { 2 } }, .epoch = { 1, 1 } };
	config.self = identity.id;
	config.epoch = identity.epoch;
	api = (struct api){
		.options = &options, .identity = &identity, .ready = true, .changed = count_change
	};
	rng_init(&api.rng, 42);
	api.store = store_new(&config, now);
	store_member(api.store, now, &identity.id, STORE_MEMBER_ALIVE, 0);
	local.store = api.store;
	local.self = identity.id;
	api.local = local_new(&local);
	cluster_found(&cluster);
	node.id = str_of(uuid_format(&identity.id, id));
	assert_true(local_node_set(api.local, now, &node, NULL) >= 0);
	assert_true(local_service_put(api.local, now, &self, NULL, 0, true, LOCAL_SELF, NULL) >= 0);
	store_baseline_end(api.store, now);
	arena_init(&arena, 1 << 22);
	buf_init(&body, 1 << 22);
	changes = 0;
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	cluster_free(api.cluster);
	local_free(api.local);
	store_free(api.store);
	buf_done(&body);
	arena_done(&arena);
	return 0;
}

static enum http_method
method_of(struct str text)
{
	return str_eq(text, STR("PUT")) ? HTTP_PUT : HTTP_GET;
}

static void
run(const char *line, const char *sent, struct http_request req)
{
	static struct http_header params[HTTP_QUERY_PARAMS_MAX];
	struct str rest = str_of(line);

	req.body = str_of(sent);
	req.arena = &arena;
	req.params = params;
	req.now = now;

	req.method_text = str_cut(&rest, ' ');
	req.method = method_of(req.method_text);
	req.target = rest;
	req.path = str_cut(&rest, '?');
	req.query = rest;
	assert_true(request_params_read(&req));
	dispatch(http_routes, &api, &req, &body, &reply, &dispatched);
}

/* "GET /v1/…"; then the request's body. The answer is left in `reply` and `body`. What waits for the
 * cluster is run again with its answer, as the server does it. */
static void
ask(const char *line, const char *sent)
{
	run(line, sent, (struct http_request){ 0 });
	for (int turn = 0; turn < 20 && reply.later != 0; turn++) {
		struct cluster_action act;

		if (cluster_turn(reply.later & ~HTTP_TICKET_CLUSTER, &act))
			run(line, sent,
			    (struct http_request){ .answer = &act, .keep = reply.keep });
	}
	assert_true(reply.later == 0);
}

static void
assert_answer(const char *line, const char *sent, int status, const char *text)
{
	ask(line, sent);
	if (reply.status != status)
		print_error("%s: " STR_FMT "\n", line, STR_ARG(buf_str(&body)));
	assert_int_equal(reply.status, status);
	assert_str(buf_str(&body), text);
}

/* Whether the last answer's body holds a text. */
static bool
says(const char *text)
{
	return memmem(body.p, body.n, text, strlen(text)) != NULL;
}

static void
put(const char *line, const char *sent)
{
	ask(line, sent);
	if (reply.status != 200)
		print_error("%s: " STR_FMT "\n", line, STR_ARG(buf_str(&body)));
	assert_int_equal(reply.status, 200);
}

static void
absence_has_four_forms(void **unused)
{
	(void)unused;
	assert_answer("GET /v1/catalog/service/none", "", 200, "[]");
	assert_answer("GET /v1/catalog/node/none", "", 200, "null");
	assert_answer(
	    "GET /v1/catalog/node-services/none", "", 200, "{\"Node\":null,\"Services\":null}");
	assert_answer("GET /v1/health/service/none", "", 200, "[]");
	assert_answer("GET /v1/health/checks/none", "", 200, "[]");
	assert_answer("GET /v1/health/node/none", "", 200, "[]");
	assert_answer("GET /v1/health/state/sunny", "", 200, "[]");
	assert_true(reply.indexed && reply.index > 0);
	put("PUT /v1/catalog/register", "{\"Node\":\"a\",\"Address\":\"10.9.0.1\"}");
	ask("GET /v1/catalog/node/a", "");
	assert_true(says("\"Services\":{}}"));
	ask("GET /v1/catalog/node-services/a", "");
	assert_true(says("\"Services\":null}"));
	assert_answer("GET /v1/agent/services", "", 200, "{}");
	assert_false(reply.indexed);
}

static void
errors_have_consuls_status_and_words(void **unused)
{
	(void)unused;
	assert_answer("GET /v1/catalog/service/", "", 400, "Missing service name");
	assert_answer("GET /v1/catalog/node/", "", 400, "Missing node name");
	assert_answer("GET /v1/health/checks/", "", 400, "Missing service name");
	assert_answer("GET /v1/health/service/x?dc=nowhere", "", 500, "No path to datacenter");
	assert_answer(
	    "GET /v1/health/service/x?passing=maybe", "", 400, "Invalid value for ?passing");
	assert_answer("GET /v1/catalog/nodes?stale&consistent", "", 400,
	    "Cannot specify ?stale with ?consistent, conflicting semantics.");
	assert_answer("GET /v1/catalog/nodes?filter=Nope==x", "", 500,
	    "Failed to create boolean expression evaluator: Selector \"Nope\" is not valid");
	assert_answer("GET /v1/agent/service/x", "", 404, "unknown service ID: x");
	assert_answer("PUT /v1/agent/service/register", "", 400, "Request decode failed: EOF");
	assert_answer("PUT /v1/agent/service/register", "{}", 400, "Missing service name");
	assert_answer("PUT /v1/agent/service/register", "{\"Name\":\"w\",\"Address\":\"::\"}", 400,
	    "Invalid service address");
	assert_answer("PUT /v1/agent/service/register",
	    "{\"Name\":\"w\",\"Check\":{\"Name\":\"x\"}}", 400,
	    "Invalid check: TTL must be > 0 for TTL checks");
	assert_answer("PUT /v1/agent/service/deregister/", "", 500, "ServiceID missing");
	assert_answer("PUT /v1/agent/check/deregister/", "", 500, "CheckID missing");
	assert_answer("PUT /v1/agent/check/register",
	    "{\"Name\":\"c\",\"TTL\":\"1s\",\"ServiceID\":\"no\"}", 500,
	    "ServiceID \"no\" does not exist");
	assert_answer(
	    "PUT /v1/agent/check/pass/no", "", 500, "CheckID \"no\" does not have associated TTL");
	assert_answer(
	    "PUT /v1/agent/check/update/no", "{\"Output\":\"x\"}", 400, "Invalid check status: ''");
	assert_answer("PUT /v1/agent/maintenance", "", 400, "Missing value for enable");
	assert_answer(
	    "PUT /v1/agent/maintenance?enable=x", "", 400, "Invalid value for enable: \"x\"");
	assert_answer("PUT /v1/agent/service/maintenance/no?enable=true", "", 404,
	    "No service registered with ID \"no\"");
	assert_answer("PUT /v1/catalog/register", "{\"Node\":\"a\"}", 500,
	    "Must provide address if SkipNodeUpdate is not set");
	assert_answer("PUT /v1/catalog/register",
	    "{\"Node\":\"a\",\"Address\":\"b\",\"Datacenter\":\"dc9\"}", 500,
	    "No path to datacenter");
	assert_answer(
	    "PUT /v1/catalog/deregister", "{\"ServiceID\":\"x\"}", 500, "Must provide node");
	assert_answer("GET /v1/agent/service/register", "", 405, "method GET not allowed");
	assert_int_equal(changes, 0);
}

static void
without_a_leader_external_writes_fail_and_reads_go_on(void **unused)
{
	struct cluster *cluster = api.cluster;

	(void)unused;
	options.bootstrap = false;
	api.cluster = NULL;
	assert_answer("PUT /v1/catalog/register", "{\"Node\":\"a\",\"Address\":\"b\"}", 500,
	    "No cluster leader");
	assert_answer("GET /v1/status/leader", "", 200, "\"\"");
	assert_answer("GET /v1/status/peers", "", 200, "[]");
	ask("GET /v1/catalog/nodes", "");
	assert_int_equal(reply.status, 200);
	options.bootstrap = true;
	api.cluster = cluster;
	assert_answer("GET /v1/status/leader", "", 200, "\"10.0.0.1:8300\"");
	assert_answer("GET /v1/status/peers", "", 200, "[\"10.0.0.1:8300\"]");
}

static void
a_registration_is_seen_everywhere(void **unused)
{
	(void)unused;
	put("PUT /v1/agent/service/register",
	    "{\"Name\":\"web\",\"ID\":\"w/1\",\"Port\":80,\"Tags\":[\"a\",\"B\"],"
	    "\"Check\":{\"TTL\":\"60s\"}}");
	assert_int_equal(body.n, 0);
	assert_null(reply.content_type);
	assert_int_equal(changes, 1);
	assert_answer("GET /v1/catalog/services", "", 200, "{\"consul\":[],\"web\":[\"B\",\"a\"]}");
	ask("GET /v1/catalog/service/WEB?tag=b&tag=A", "");
	assert_true(says("\"ServiceID\":\"w/1\""));
	assert_answer("GET /v1/catalog/service/web?tag=a&tag=c", "", 200, "[]");
	assert_answer("GET /v1/health/service/web?passing", "", 200, "[]");
	put("PUT /v1/agent/check/pass/service:w%2F1?note=up", "");
	ask("GET /v1/health/service/web?passing=1", "");
	assert_true(says("\"CheckID\":\"serfHealth\""));
	assert_true(says("\"Output\":\"up\""));
	ask("GET /v1/agent/checks", "");
	assert_true(says("{\"service:w/1\":{\"Node\":\"n1\""));
	put("PUT /v1/agent/service/deregister/w/1", "");
	assert_answer("GET /v1/agent/checks", "", 200, "{}");
	assert_answer("GET /v1/catalog/service/web", "", 200, "[]");
}

/* Run again with the cluster's answer, and with nothing where its body was. */
static void
answered_without_body(const char *line, const char *sent)
{
	struct cluster_action act;

	run(line, sent, (struct http_request){ 0 });
	assert_true(reply.later != 0);
	for (int turn = 0; !cluster_turn(reply.later & ~HTTP_TICKET_CLUSTER, &act); turn++)
		assert_true(turn < 20);
	run(line, "", (struct http_request){ .answer = &act, .keep = reply.keep });
	assert_int_equal(reply.later, 0);
	assert_int_equal(reply.status, 200);
	assert_str(buf_str(&body), "true");
}

static void
a_write_to_the_catalog_is_read_once(void **unused)
{
	const char lost = FSM_FALSE;
	const struct cluster_action act = { .kind = CLUSTER_ANSWER, .bytes = { &lost, 1 } };

	(void)unused;
	answered_without_body("PUT /v1/catalog/register",
	    "{\"Node\":\"a\",\"Address\":\"10.9.0.1\",\"Service\":{\"Service\":\"db\"}}");
	answered_without_body(
	    "PUT /v1/catalog/deregister", "{\"Node\":\"a\",\"ServiceID\":\"db\"}");
	/* but for another plan, and to know whose sessions end */
	run("PUT /v1/catalog/register", "{\"Node\":\"a\",\"Address\":\"10.9.0.2\"}",
	    (struct http_request){ 0 });
	run("PUT /v1/catalog/register", "",
	    (struct http_request){ .answer = &act, .keep = reply.keep });
	assert_int_equal(reply.status, 400);
	run("PUT /v1/catalog/deregister", "{\"Node\":\"a\"}", (struct http_request){ 0 });
	assert_true(reply.keep.whole);
}

static void
node_meta_selects_and_near_sorts(void **unused)
{
	(void)unused;
	put("PUT /v1/catalog/register",
	    "{\"Node\":\"a\",\"Address\":\"1\",\"NodeMeta\":{\"k\":\"1\"},"
	    "\"Service\":{\"Service\":\"web\",\"Tags\":[\"t\"]}}");
	put("PUT /v1/catalog/register",
	    "{\"Node\":\"z\",\"Address\":\"2\",\"NodeMeta\":{\"k\":\"2\",\"c\":\"a:b\"},"
	    "\"Service\":{\"Service\":\"web\"}}");
	ask("GET /v1/catalog/service/web?node-meta=k:2&node-meta=c:a:b", "");
	assert_true(says("\"Node\":\"z\"") && !says("\"Node\":\"a\""));
	assert_answer("GET /v1/catalog/services?node-meta=k:1", "", 200, "{\"web\":[\"t\"]}");
	assert_answer("GET /v1/catalog/services?node-meta=k:9", "", 200, "{}");
	assert_int_equal(reply.read_count, 2);
	ask("GET /v1/catalog/nodes?near=z", "");
	assert_int_equal(strncmp(body.p, "[{\"ID\":\"\",\"Node\":\"z\"", 20), 0);
	ask("GET /v1/catalog/nodes?near=_agent", "");
	assert_non_null(memmem(body.p, 80, "\"Node\":\"n1\"", 11));
	ask("GET /v1/catalog/nodes", "");
	assert_int_equal(strncmp(body.p, "[{\"ID\":\"\",\"Node\":\"a\"", 20), 0);
}

static void
the_content_hash_blocks_and_comes_back(void **unused)
{
	char hash[17], line[100];

	(void)unused;
	put("PUT /v1/agent/service/register", "{\"Name\":\"web\",\"Port\":1}");
	ask("GET /v1/agent/service/web", "");
	assert_true(reply.hash_blocking && !reply.indexed && !dispatched.hold);
	assert_in_range(reply.hash.n, 1, 16);
	snprintf(hash, sizeof hash, STR_FMT, STR_ARG(reply.hash));
	assert_str(reply.extra[0].name, "X-Consul-ContentHash");
	snprintf(line, sizeof line, "GET /v1/agent/service/web?hash=%s&wait=1s", hash);
	ask(line, "");
	assert_true(dispatched.hold);
	assert_int_equal(reply.reads[0].kind, WATCH_AGENT_SERVICE);
	put("PUT /v1/agent/service/register", "{\"Name\":\"web\",\"Port\":2}");
	ask(line, "");
	assert_false(dispatched.hold);
	put("PUT /v1/agent/service/register", "{\"Name\":\"web\",\"Port\":1}");
	ask("GET /v1/agent/service/web", "");
	assert_str(reply.hash, hash);
}

static void
the_agents_own_entry_is_hidden_and_protected(void **unused)
{
	(void)unused;
	assert_answer("GET /v1/agent/services", "", 200, "{}");
	assert_answer("GET /v1/agent/service/consul", "", 404, "unknown service ID: consul");
	assert_answer("PUT /v1/agent/service/register", "{\"Name\":\"consul\"}", 400,
	    "The service \"consul\" is the agent's own");
	ask("PUT /v1/agent/service/deregister/consul", "");
	assert_int_equal(reply.status, 400);
	ask("GET /v1/health/service/consul?passing", "");
	assert_true(says("\"Port\":8300"));
}

static void
maintenance_is_a_check_with_a_reason(void **unused)
{
	(void)unused;
	put("PUT /v1/agent/service/register", "{\"Name\":\"web\"}");
	put("PUT /v1/agent/service/maintenance/web?enable=True&reason=work", "");
	put("PUT /v1/agent/service/maintenance/web?enable=true&reason=other", "");
	ask("GET /v1/agent/checks", "");
	assert_true(says("\"_service_maintenance:web\":{"));
	assert_true(says("\"Status\":\"critical\",\"Notes\":\"work\",\"Output\":\"\","));
	assert_true(says("\"Type\":\"maintenance\",\"Interval\":\"\",\"Timeout\":\"\""));
	assert_answer("GET /v1/health/service/web?passing", "", 200, "[]");
	assert_answer("GET /v1/agent/health/service/id/web?format=text", "", 503, "maintenance");
	put("PUT /v1/agent/service/maintenance/web?enable=false", "");
	put("PUT /v1/agent/maintenance?enable=1", "");
	ask("GET /v1/agent/checks", "");
	assert_true(says("\"_node_maintenance\":{") && !says("_service_maintenance"));
	put("PUT /v1/agent/maintenance?enable=0", "");
	assert_answer("GET /v1/agent/checks", "", 200, "{}");
}

static void
health_by_name_is_the_worst_of_all(void **unused)
{
	(void)unused;
	assert_answer("GET /v1/agent/health/service/name/web", "", 404, "[]");
	assert_answer("GET /v1/agent/health/service/name/web?format=text", "", 404,
	    "ServiceName web Not Found");
	assert_answer("GET /v1/agent/health/service/id/web", "", 404,
	    "{\"AggregatedStatus\":\"critical\",\"Service\":null,\"Checks\":null}");
	put("PUT /v1/agent/service/register",
	    "{\"Name\":\"web\",\"ID\":\"1\",\"Check\":{\"TTL\":\"9s\",\"Status\":\"passing\"}}");
	assert_answer("GET /v1/agent/health/service/name/web?format=text", "", 200, "passing");
	put("PUT /v1/agent/service/register",
	    "{\"Name\":\"web\",\"ID\":\"2\",\"Check\":{\"TTL\":\"9s\",\"Status\":\"warning\"}}");
	assert_answer("GET /v1/agent/health/service/name/web?format=text", "", 429, "warning");
	assert_string_equal(reply.content_type, "text/plain");
	put("PUT /v1/agent/check/fail/service:1", "");
	ask("GET /v1/agent/health/service/name/web", "");
	assert_int_equal(reply.status, 503);
	assert_int_equal(strncmp(body.p, "[{\"AggregatedStatus\":\"critical\"", 30), 0);
}

static void
over_the_limit_of_services_is_429(void **unused)
{
	char registration[40];

	(void)unused;
	for (int i = 0; i < 10; i++) {
		snprintf(registration, sizeof registration, "{\"Name\":\"s%d\"}", i);
		ask("PUT /v1/agent/service/register", registration);
		if (reply.status != 200)
			break;
	}
	assert_int_equal(reply.status, 429);
	assert_true(says("limit"));
}

static void
an_equal_registration_moves_no_index(void **unused)
{
	uint64_t index;

	(void)unused;
	put("PUT /v1/catalog/register",
	    "{\"Node\":\"a\",\"Address\":\"1\",\"Service\":{\"Service\":\"web\"}}");
	ask("GET /v1/health/service/web", "");
	index = reply.index;
	now.wall_ms += 5000;
	put("PUT /v1/catalog/register",
	    "{\"Address\":\"1\",\"Service\":{\"Service\":\"web\",\"Tags\":null},\"Node\":\"a\"}");
	ask("GET /v1/health/service/web", "");
	assert_int_equal(reply.index, index);
	put("PUT /v1/catalog/register",
	    "{\"Node\":\"a\",\"Address\":\"1\",\"Service\":{\"Service\":\"db\"}}");
	ask("GET /v1/health/service/web", "");
	assert_int_equal(reply.index, index);
	put("PUT /v1/catalog/deregister", "{\"Node\":\"a\"}");
	ask("GET /v1/health/service/web", "");
	assert_true(reply.index > index);
}

static void
cached_reads_say_so_the_second_time(void **unused)
{
	(void)unused;
	ask("GET /v1/health/service/web?cached", "");
	assert_int_equal(reply.extra_count, 1);
	assert_str(reply.extra[0].value, "MISS");
	ask("GET /v1/health/service/web?cached", "");
	assert_str(reply.extra[0].value, "HIT");
	assert_str(reply.extra[1].name, "Age");
	ask("GET /v1/health/service/web", "");
	assert_int_equal(reply.extra_count, 0);
}

static void
filters_choose_in_every_list(void **unused)
{
	(void)unused;
	put("PUT /v1/catalog/register",
	    "{\"Node\":\"a\",\"Address\":\"1\",\"NodeMeta\":{\"k\":\"1\"},"
	    "\"Service\":{\"Service\":\"web\",\"ID\":\"w1\",\"Tags\":[\"t\"]},"
	    "\"Checks\":[{\"CheckID\":\"c1\",\"Status\":\"critical\",\"ServiceID\":\"w1\"},"
	    "{\"CheckID\":\"c2\",\"Status\":\"passing\"},"
	    "{\"CheckID\":\"c3\",\"Status\":\"warning\"}]}");
	put("PUT /v1/catalog/register",
	    "{\"Node\":\"b\",\"Address\":\"2\",\"Service\":{\"Service\":\"web\",\"ID\":\"w2\"}}");
	put("PUT /v1/agent/service/register",
	    "{\"Name\":\"db\",\"Port\":5,\"Check\":{\"TTL\":\"60s\"}}");
	ask("GET /v1/catalog/nodes?filter=Meta.k==1", "");
	assert_true(says("\"Node\":\"a\"") && !says("\"b\"") && !says("n1"));
	assert_true(reply.indexed);
	assert_answer(
	    "GET /v1/catalog/services?filter=NodeMeta.k==1", "", 200, "{\"web\":[\"t\"]}");
	assert_int_equal(reply.read_count, 2);
	assert_answer("GET /v1/catalog/services?filter=ServicePort==5", "", 200, "{\"db\":[]}");
	ask("GET /v1/catalog/service/web?filter=ServiceTags+is+empty", "");
	assert_true(says("\"w2\"") && !says("\"w1\""));
	ask("GET /v1/catalog/node/a?filter=ID==x", "");
	assert_true(says("\"Services\":{}}"));
	ask("GET /v1/catalog/node-services/a?filter=ID==x", "");
	assert_true(says("\"Services\":[]}"));
	ask("GET /v1/catalog/node-services/a?filter=t+in+Tags", "");
	assert_true(says("\"w1\""));
	ask("GET /v1/health/node/a?filter=ServiceName==web", "");
	assert_true(says("\"c1\"") && !says("\"c2\""));
	ask("GET /v1/health/checks/web?filter=Node==a+and+t+in+ServiceTags", "");
	assert_true(says("\"c1\""));
	assert_answer("GET /v1/health/checks/web?filter=Node==b", "", 200, "[]");
	ask("GET /v1/health/state/any?filter=CheckID==c2", "");
	assert_true(says("\"c2\"") && !says("\"c1\""));
	ask("GET /v1/health/service/web?filter=Checks.Status==critical", "");
	assert_true(says("\"w1\"") && !says("\"w2\""));
	ask("GET /v1/health/service/web?filter=Checks.Status!=critical", ""); /* any of them */
	assert_true(says("\"w1\"") && !says("\"w2\""));
	ask("GET /v1/health/service/web?filter=Checks.CheckID==c3", ""); /* the node's second */
	assert_true(says("\"w1\"") && !says("\"w2\""));
	ask("GET /v1/health/service/web?filter=Checks+is+empty+and+Node.Node==b", "");
	assert_true(says("\"w2\"") && !says("\"w1\""));
	ask("GET /v1/agent/services?filter=Port==5", "");
	assert_true(says("{\"db\":{"));
	assert_answer("GET /v1/agent/services?filter=Port==6", "", 200, "{}");
	ask("GET /v1/agent/checks?filter=ServiceName==db+and+Node==n1", "");
	assert_true(says("{\"service:db\":{"));
	assert_answer("GET /v1/agent/checks?filter=Type!=ttl", "", 200, "{}");
}

static void
a_bad_filter_is_an_error_also_of_nothing(void **unused)
{
	static const char *const paths[] = { "/v1/catalog/nodes", "/v1/catalog/services",
		"/v1/catalog/service/no", "/v1/catalog/node/no", "/v1/catalog/node-services/no",
		"/v1/health/node/no", "/v1/health/checks/no", "/v1/health/service/no",
		"/v1/health/state/no", "/v1/agent/services", "/v1/agent/checks" };
	char line[100];

	(void)unused;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		snprintf(line, sizeof line, "GET %s?filter=Nope+is+empty", paths[i]);
		assert_answer(line, "", 500,
		    "Failed to create boolean expression evaluator: Selector \"Nope\" is not "
		    "valid");
		assert_false(reply.indexed);
		snprintf(line, sizeof line, "GET %s?filter=", paths[i]);
		ask(line, "");
		assert_int_equal(reply.status, 200);
	}
	assert_answer("GET /v1/catalog/service/?filter=x", "", 400, "Missing service name");
	assert_answer("GET /v1/health/node/a?filter=x&dc=far", "", 500, "No path to datacenter");
}

/* Go's client reads agent/self as a map of maps. */
static void
self_is_a_map_of_maps(void **unused)
{
	const char *key;
	json_t *self, *member;

	(void)unused;
	ask("GET /v1/agent/self", "");
	assert_int_equal(json_read(buf_str(&body), &self, NULL), 0);
	json_object_foreach (self, key, member)
		assert_true(json_is_object(member));
	assert_str(json_member_str(json_object_get(self, "Config"), "NodeName"), "n1");
	json_decref(self);
}

static void
pretty_answers_parse_to_the_same(void **unused)
{
	static const char *const paths[] = { "/v1/agent/self", "/v1/catalog/node/n1",
		"/v1/health/state/any", "/v1/agent/members", "/v1/catalog/datacenters" };
	char line[100];

	(void)unused;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		json_t *plain, *pretty;

		snprintf(line, sizeof line, "GET %s", paths[i]);
		ask(line, "");
		assert_int_equal(json_read(buf_str(&body), &plain, NULL), 0);
		snprintf(line, sizeof line, "GET %s?pretty", paths[i]);
		ask(line, "");
		assert_int_equal(body.p[body.n - 1], '\n');
		assert_int_equal(json_read(buf_str(&body), &pretty, NULL), 0);
		assert_true(json_equal(plain, pretty));
		json_decref(plain);
		json_decref(pretty);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(absence_has_four_forms),
		TEST(errors_have_consuls_status_and_words),
		TEST(without_a_leader_external_writes_fail_and_reads_go_on),
		TEST(a_registration_is_seen_everywhere),
		TEST(a_write_to_the_catalog_is_read_once),
		TEST(node_meta_selects_and_near_sorts),
		TEST(the_content_hash_blocks_and_comes_back),
		TEST(the_agents_own_entry_is_hidden_and_protected),
		TEST(maintenance_is_a_check_with_a_reason),
		TEST(health_by_name_is_the_worst_of_all),
		TEST(over_the_limit_of_services_is_429),
		TEST(an_equal_registration_moves_no_index),
		TEST(cached_reads_say_so_the_second_time),
		TEST(filters_choose_in_every_list),
		TEST(a_bad_filter_is_an_error_also_of_nothing),
		TEST(self_is_a_map_of_maps),
		TEST(pretty_answers_parse_to_the_same),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}

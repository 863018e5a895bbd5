/* ?near= and /v1/coordinate as a client meets them, over a catalog of agents here and there; and
 * when an agent tells its coordinate. */
#include "agent/pool/coordinate_publish.h"
#include "agent/http/api.h"
#include "agent/http/dispatch.h"
#include "agent/identity.h"
#include "kv/delta.h"
#include "tests/unit/store_fixture.h"

static struct options options;
static struct identity identity;
static struct fix fix;
static struct api api;
static struct arena arena;
static struct buf body;
static struct http_reply reply;

/* An agent of its own with one instance of "web", `ms` milliseconds from the middle of the network
 * (below zero: it has not told). */
static void
agent_add(uint8_t number, const char *name, double ms)
{
	struct uuid id = { { number, 7 } };
	struct store_config config = { .self = id,
		.cluster = fix_cluster,
		.epoch = { 1, 5 },
		.limits = owner_limits_default };
	struct node_info node = { .name = str_of(name), .address = STR("10.0.0.9") };
	struct service_info web = { .id = STR("web"), .name = STR("web") };
	struct coordinate_info at = { .vec = { ms / 1000 }, .error = 0.5, .height = 1e-5 };
	struct store *s = store_new(&config, fix.now);
	struct store_needs needs;
	struct buf b;

	buf_init(&b, 65536);
	store_put_node(s, fix.now, &id, &node, NULL);
	store_put_service(s, fix.now, &id, &web, NULL);
	coordinate_pack(&b, &at);
	if (ms >= 0)
		store_put(s, fix.now, &id, RECORD_COORDINATE, STR_NONE, buf_str(&b), NULL);
	store_baseline_end(s, fix.now);
	buf_clear(&b);
	delta_range(store_owner(s, &id), 0, 65536, &b);
	store_member(fix.store, fix.now, &id, STORE_MEMBER_ALIVE, 0);
	assert_int_equal(store_range(fix.store, fix.now, buf_str(&b), &needs, NULL), 0);
	buf_done(&b);
	store_free(s);
}

static int
setup(void **unused)
{
	(void)unused;
	fix = fix_new();
	options = (struct options){ .datacenter = STR("dc1"), .node_name = STR("here") };
	api = (struct api){
		.store = fix.store, .options = &options, .identity = &identity, .ready = true
	};
	arena_init(&arena, 1 << 22);
	buf_init(&body, 1 << 22);
	agent_add(1, "away", 90);
	agent_add(2, "beside", 2);
	agent_add(3, "Dumb", -1);
	agent_add(4, "close", 5);
	agent_add(5, "equal", 5);
	agent_add(6, "here", 0);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	store_free(fix.store);
	buf_done(&body);
	arena_done(&arena);
	return 0;
}

static void
ask(const char *target)
{
	static struct http_header params[HTTP_QUERY_PARAMS_MAX];
	struct dispatched dispatched;
	struct http_request req = { .method = HTTP_GET,
		.method_text = STR("GET"),
		.target = str_of(target),
		.arena = &arena,
		.params = params,
		.now = fix.now };
	struct str rest = req.target;

	req.path = str_cut(&rest, '?');
	req.query = rest;
	assert_true(request_params_read(&req));
	dispatch(http_routes, &api, &req, &body, &reply, &dispatched);
}

/* The names after "Node":" in the last answer, in order. */
static const char *
names(void)
{
	static char out[512];
	static const char mark[] = "\"Node\":\"";
	const char *at = body.p, *end = body.p + body.n;
	size_t n = 0;

	while (at != NULL && (at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)) != NULL) {
		const char *stop;

		at += sizeof mark - 1;
		stop = memchr(at, '"', (size_t)(end - at));
		assert_true(stop != NULL && n + (size_t)(stop - at) + 2 < sizeof out);
		if (n > 0 && (size_t)(stop - at) <= n &&
		    memcmp(out + n - (stop - at), at, (size_t)(stop - at)) == 0)
			continue; /* a check repeats its node */
		if (n > 0)
			out[n++] = ' ';
		memcpy(out + n, at, (size_t)(stop - at));
		n += (size_t)(stop - at);
	}
	out[n] = '\0';
	return out;
}

static void
near_sorts_by_distance_and_puts_the_unknown_last(void **unused)
{
	static const char *const lists[] = { "/v1/catalog/nodes?", "/v1/catalog/service/web?",
		"/v1/health/service/web?", "/v1/health/service/web?passing&",
		"/v1/health/state/passing?" };
	char target[128];

	(void)unused;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		ask(lists[i]);
		assert_string_equal(names(), "away beside close Dumb equal here");
		snprintf(target, sizeof target, "%snear=_agent", lists[i]);
		ask(target);
		assert_string_equal(names(), "here beside close equal away Dumb");
		snprintf(target, sizeof target, "%snear=away", lists[i]);
		ask(target);
		assert_string_equal(names(), "away close equal beside here Dumb");
		snprintf(target, sizeof target, "%snear=BESIDE", lists[i]);
		ask(target);
		assert_string_equal(names(), "beside here close equal away Dumb");
	}
}

static void
near_what_is_not_known_keeps_the_order(void **unused)
{
	(void)unused;
	ask("/v1/catalog/nodes?near=nobody");
	assert_string_equal(names(), "away beside close Dumb equal here");
	ask("/v1/catalog/nodes?near=Dumb"); /* itself first, as it is surely nearest */
	assert_string_equal(names(), "Dumb away beside close equal here");
	ask("/v1/catalog/service/none?near=away");
	assert_str(buf_str(&body), "[]");
}

static void
coordinates_are_listed_as_consul_does(void **unused)
{
	(void)unused;
	ask("/v1/coordinate/nodes");
	assert_int_equal(reply.status, 200);
	assert_true(reply.indexed && reply.index > 1);
	assert_string_equal(names(), "away beside close equal here");
	ask("/v1/coordinate/node/away");
	assert_str(buf_str(&body),
	    "[{\"Node\":\"away\",\"Segment\":\"\",\"Coord\":{\"Vec\":[0.09,0,0,0,0,0,0,0],"
	    "\"Error\":0.5,\"Adjustment\":0,\"Height\":0.00001}}]");
	ask("/v1/coordinate/nodes?segment=other");
	assert_str(buf_str(&body), "[]");
	ask("/v1/coordinate/nodes?dc=other");
	assert_int_equal(reply.status, 500);
}

static void
a_node_without_a_coordinate_is_404(void **unused)
{
	static const char *const targets[] = { "/v1/coordinate/node/nobody",
		"/v1/coordinate/node/Dumb", "/v1/coordinate/node/",
		"/v1/coordinate/node/away?segment=x" };

	(void)unused;
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		ask(targets[i]);
		assert_int_equal(reply.status, 404);
		assert_int_equal(body.n, 0);
		assert_false(reply.indexed);
	}
}

static void
a_coordinate_out_of_range_is_as_none(void **unused)
{
	(void)unused;
	agent_add(9, "far", 2e7);
	ask("/v1/coordinate/nodes");
	assert_string_equal(names(), "away beside close equal here");
	ask("/v1/catalog/nodes?near=far");
	assert_string_equal(names(), "far away beside close Dumb equal here");
}

static void
datacenters_show_their_servers(void **unused)
{
	(void)unused;
	ask("/v1/coordinate/datacenters");
	assert_str(
	    buf_str(&body), "[{\"Datacenter\":\"dc1\",\"AreaID\":\"wan\",\"Coordinates\":[]}]");
}

/* Telling. */

static void
observe(struct coordinates *c, int count, double ms)
{
	struct serf_coordinate there = { .error = 0.5, .height = 1e-5, .vec = { 0.05 } };

	for (int i = 0; i < count; i++)
		coordinates_observe(c, STR("a"), (nsec)(ms * 1e6), &there);
}

/* Looks at each deadline until `until`; returns how often it was told. */
static int
told_until(struct coordinate_publish *p, nsec until, const struct coordinates *c, size_t members)
{
	struct coordinate_info info;
	nsec at;
	int count = 0;

	while ((at = coordinate_publish_deadline(p)) <= until) {
		assert_false(coordinate_publish(p, at - 1, c, members, &info));
		if (coordinate_publish(p, at, c, members, &info)) {
			assert_true(info.vec[0] == coordinates_ours(c)->vec[0]);
			count++;
		}
		assert_true(coordinate_publish_deadline(p) > at);
	}
	return count;
}

static void
a_coordinate_is_told_when_it_has_moved(void **unused)
{
	struct coordinates *c = coordinates_new(1);
	struct coordinate_publish p;

	(void)unused;
	coordinate_publish_init(&p, 3, 0, NULL);
	assert_true(coordinate_publish_deadline(&p) >= 15 * NSEC_SEC);
	assert_int_equal(told_until(&p, NSEC_HOUR, c, 3), 0); /* nobody has answered yet */
	observe(c, 30, 100);
	assert_int_equal(told_until(&p, NSEC_HOUR + 13 * NSEC_SEC, c, 3), 1);
	assert_int_equal(told_until(&p, 2 * NSEC_HOUR, c, 3), 0);
	observe(c, 1, 100); /* a step that changes little */
	assert_int_equal(told_until(&p, 3 * NSEC_HOUR, c, 3), 0);
	observe(c, 50, 300);
	assert_int_equal(told_until(&p, 3 * NSEC_HOUR + 13 * NSEC_SEC, c, 3), 1);
	coordinates_free(c);
}

/* However much it moves. */
static void
a_coordinate_is_told_seldom(void **unused)
{
	static const struct {
		size_t members;
		int least, most;
	} rows[] = { { 30, 50, 65 }, { 1000, 13, 15 } };

	(void)unused;
	for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
		struct coordinates *c = coordinates_new(1);
		struct coordinate_publish p;
		int count = 0;

		coordinate_publish_init(&p, 3, 0, NULL);
		for (nsec at = 0; at < NSEC_HOUR; at += NSEC_SEC) {
			observe(c, 1, at / NSEC_MIN % 2 == 0 ? 10 : 5000);
			count += told_until(&p, at, c, rows[r].members);
		}
		assert_in_range(count, rows[r].least, rows[r].most);
		coordinates_free(c);
	}
}

static void
what_was_told_before_a_restart_counts(void **unused)
{
	struct coordinates *c = coordinates_new(1);
	struct coordinate_publish p;
	struct coordinate_info last;
	struct serf_coordinate at;

	(void)unused;
	observe(c, 30, 100);
	last = coordinate_to_info(coordinates_ours(c));
	coordinates_free(c);
	c = coordinates_new(1);
	at = coordinate_of_info(&last);
	assert_true(coordinates_begin(c, &at));
	assert_memory_equal(coordinates_ours(c), &at, sizeof at);
	coordinate_publish_init(&p, 3, 0, &last);
	observe(c, 1, 100);
	assert_int_equal(told_until(&p, NSEC_HOUR, c, 3), 0);
	at.vec[2] = 1e9;
	assert_false(coordinates_begin(c, &at));
	coordinates_free(c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(near_sorts_by_distance_and_puts_the_unknown_last),
		TEST(near_what_is_not_known_keeps_the_order),
		TEST(coordinates_are_listed_as_consul_does),
		TEST(a_node_without_a_coordinate_is_404),
		TEST(a_coordinate_out_of_range_is_as_none),
		TEST(datacenters_show_their_servers),
		cmocka_unit_test(a_coordinate_is_told_when_it_has_moved),
		cmocka_unit_test(a_coordinate_is_told_seldom),
		cmocka_unit_test(what_was_told_before_a_restart_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

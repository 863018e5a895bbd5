/* Requests of other agents at a server: answered, parked, held, let go; no socket is among them. */
#include "agent/http/carry.h"
#include "agent/http/server_io.h"
#include "agent/loop.h"
#include "kv/watch.h"
#include "tests/unit/cluster_fake.h"
#include "tests/unit/records_stub.h"
#include "tests/unit/test.h"

struct store { /* all that the server wants of it */
	struct watches *watches;
	struct index_clock clock;
};

struct watches *
store_watches(const struct store *s)
{
	return s->watches;
}

struct index_clock *
store_index(const struct store *s)
{
	return (struct index_clock *)(uintptr_t)&s->clock;
}

static struct store store;
static struct options options = { .node_name = STR("n1"), .datacenter = STR("dc1") };
static struct api api;
static struct event_base *base;
static struct http_server *server;
static struct arena arena;
static struct buf body;
static struct http_reply answer;
static struct str records;
static uint64_t requests;

#define KEY ((struct watch_key){ WATCH_KEY, STR("a") })

static void
key_get(struct api *a, const struct http_request *rq, struct http_reply *rp)
{
	jw_str(reply_json(rp), rq->node);
	rp->indexed = rp->index_keys = true;
	rp->reads[0] = KEY;
	rp->read_count = 1;
	rp->index = watch_index(a->store->watches, KEY);
}

static void
key_put(struct api *a, const struct http_request *rq, struct http_reply *rp)
{
	if (rq->answer == NULL)
		rp->later =
		    cluster_read(a->cluster, rq->now, CLUSTER_DEFAULT) | HTTP_TICKET_CLUSTER;
	else
		jw_u64(reply_json(rp), rq->body.n);
}

static void
own_get(struct api *a, const struct http_request *rq, struct http_reply *rp)
{
	(void)a;
	(void)rq;
	reply_json(rp);
}

const struct route http_routes[] = {
	{ HTTP_GET, STR("/v1/key"), key_get, ROUTE_BLOCKS | ROUTE_KEYS, "" },
	{ HTTP_PUT, STR("/v1/key"), key_put, ROUTE_KEYS, "" },
	{ HTTP_GET, STR("/v1/own"), own_get, 0, "" },
	{ 0 },
};

static int
setup(void **unused)
{
	struct http_server_config config = { .limits = http_limits_default };
	struct err err = { 0 };

	(void)unused;
	base = loop_base_new(&err);
	assert_non_null(base);
	store.watches = watches_new();
	index_init(&store.clock, 7, 1000000);
	api = (struct api){ .store = &store, .options = &options, .ready = true };
	api.cluster = cluster_fake_new(store.watches);
	rng_init(&api.rng, 42);
	watch_touch(store.watches, KEY, 5, true);
	assert_int_equal(http_server_new(base, &api, &config, NULL, 0, &server, &err), 0);
	arena_init(&arena, 1 << 20);
	buf_init(&body, 1 << 20);
	requests = 0;
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	http_server_free(server);
	watches_free(store.watches);
	cluster_free(api.cluster);
	event_base_free(base);
	buf_done(&body);
	arena_done(&arena);
	return 0;
}

/* Gives the request's number. */
static uint64_t
carry(enum http_method method, const char *path, const char *query, const char *sent)
{
	struct http_request rq = {
		.method = method, .path = str_of(path), .query = str_of(query), .body = str_of(sent)
	};
	struct buf bytes;

	buf_init(&bytes, 1 << 20);
	carry_request_write(
	    &bytes, &rq, STR("n2"), &(struct http_position){ { { 2 } }, { 1, 1 }, 7 },
	    NULL);
	http_server_carry(server, loop_now(), ++requests, buf_str(&bytes));
	buf_done(&bytes);
	return requests;
}

/* What was served last, and to what. */
static void
assert_served(uint64_t request, int status, const char *text)
{
	assert_true(cluster_fake.served_request == request);
	reply_init(&answer, &body, false);
	assert_int_equal(
	    carry_answer_read(buf_str(&cluster_fake.served), &arena, &answer, &records, NULL), 0);
	assert_str(buf_str(&body), text);
	assert_int_equal(answer.status, status);
}

static void
answers_go_back_where_they_came_from(void **unused)
{
	(void)unused;
	carry(HTTP_GET, "/v1/key", "", "");
	assert_served(1, 200, "\"n2\"");
	assert_true(answer.indexed && answer.index == 5);
	assert_string_equal(answer.content_type, "application/json");
	carry(HTTP_GET, "/v1/none", "", "");
	assert_served(2, 404, "");
	carry(HTTP_DELETE, "/v1/key", "", "");
	assert_served(3, 405, "method DELETE not allowed");
	carry(HTTP_GET, "/v1/own", "", "");
	assert_served(4, 400, "This is not to be asked of another agent");
	carry(HTTP_GET, "/v1/key", "index=x", "");
	assert_served(5, 400, "Invalid index");
	http_server_carry(server, loop_now(), ++requests, STR("nonsense"));
	assert_served(6, 400, "carried in version 110, this program knows version 2");
	assert_int_equal(cluster_fake.serves, 6);
	assert_int_equal(http_server_stats(server).carried, 0);
}

static void
a_blocked_one_wakes_with_the_change(void **unused)
{
	(void)unused;
	carry(HTTP_GET, "/v1/key", "index=5&wait=10m", "");
	carry(HTTP_GET, "/v1/key", "index=5&wait=10m", "");
	assert_int_equal(http_server_stats(server).parked, 2);
	assert_int_equal(cluster_fake.serves, 0);
	http_server_carry_drop(server, 1);
	http_server_carry_drop(server, 77); /* nobody's */
	assert_int_equal(http_server_stats(server).parked, 1);
	watch_touch(store.watches, KEY, 6, true);
	http_server_wake(server);
	assert_int_equal(cluster_fake.serves, 1);
	assert_served(2, 200, "\"n2\"");
	assert_true(answer.index == 6);
	assert_int_equal(http_server_stats(server).carried, 0);
}

static void
a_wait_ends_in_its_time(void **unused)
{
	nsec end = loop_now().mono + 20 * NSEC_SEC;

	(void)unused;
	carry(HTTP_GET, "/v1/key", "index=5&wait=20ms", "");
	assert_int_equal(http_server_stats(server).parked, 1);
	while (cluster_fake.serves == 0) {
		assert_true(loop_now().mono < end);
		event_base_loop(base, EVLOOP_ONCE);
	}
	assert_served(1, 200, "\"n2\"");
	assert_true(answer.index == 5);
}

static void
one_that_asks_the_cluster_is_run_again(void **unused)
{
	struct cluster_action act;

	(void)unused;
	carry(HTTP_PUT, "/v1/key", "", "four");
	carry(HTTP_PUT, "/v1/key", "", "seventy");
	assert_int_equal(http_server_stats(server).asked, 2);
	http_server_carry_drop(server, 1);
	assert_int_equal(cluster_fake.cancels, 1);
	while (cluster_action_next(api.cluster, &act))
		http_server_resume(server, loop_now(), &act);
	assert_int_equal(cluster_fake.serves, 1);
	assert_served(2, 200, "7");
	assert_int_equal(http_server_stats(server).asked, 0);
	assert_int_equal(http_server_stats(server).carried, 0);
}

static void
a_stop_leaves_nobody_waiting(void **unused)
{
	(void)unused;
	carry(HTTP_GET, "/v1/key", "index=5&wait=10m", "");
	carry(HTTP_PUT, "/v1/key", "", "x");
	assert_false(http_server_stopping(server));
	assert_int_equal(cluster_fake.serves, 2);
	assert_served(2, 500, "The agent is stopping");
	assert_int_equal(http_server_stats(server).carried, 0);
}

static void
what_waits_at_the_end_is_freed(void **unused)
{
	(void)unused;
	carry(HTTP_GET, "/v1/key", "index=5&wait=10m", "");
	carry(HTTP_PUT, "/v1/key", "", "x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    answers_go_back_where_they_came_from, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_blocked_one_wakes_with_the_change, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wait_ends_in_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    one_that_asks_the_cluster_is_run_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stop_leaves_nobody_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waits_at_the_end_is_freed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

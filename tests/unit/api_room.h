/* tests/unit/api_room.h -- an agent as the endpoints of keys see it: store, services of its own and a
 * cluster that decides at once, without sockets. For unit tests (api_fixture.h) and fuzzers alike.
 */
#ifndef TESTS_UNIT_API_ROOM_H
#define TESTS_UNIT_API_ROOM_H

#include <assert.h>

#include "agent/http/api.h"
#include "agent/http/dispatch.h"
#include "agent/identity.h"
#include "tests/unit/cluster_fake.h"

static struct options options;
static struct identity identity;
static struct api api;
static struct now now;
static struct arena arena;
static struct buf body;

#define API_ROOM_ARENA_MAX (16 << 20)
#define API_ROOM_BODY_MAX (64 << 20) /* of an answer */

static inline void
api_room_open(size_t services_max, bool scripts)
{
	struct node_info node = {
		.name = STR("n1"), .address = STR("10.0.0.1"), .datacenter = STR("dc1")
	};
	struct store_config config = { .limits = owner_limits_default };
	struct local_config local = { .services_max = services_max, .scripts_enabled = scripts };
	char id[UUID_TEXT_LEN + 1];
	bool good;

	now = (struct now){ 1000 * NSEC_SEC, 1800000000000 };
	options = (struct options){ .server = true,
		.bootstrap = true,
		.datacenter = STR("dc1"),
		.node_name = STR("n1"),
		.server_port = 8300,
		.serf_port = 8301,
		.enable_script_checks = scripts };
	good = addr_parse_ip(STR("10.0.0.1"), &options.advertise_addr);
	identity = (struct identity){ .id = { { 1 } }, .cluster = { { 2 } }, .epoch = { 1, 1 } };
	config.self = identity.id;
	config.epoch = identity.epoch;
	api = (struct api){ .options = &options, .identity = &identity, .ready = true };
	rng_init(&api.rng, 42);
	api.store = store_new(&config, now);
	store_member(api.store, now, &identity.id, STORE_MEMBER_ALIVE, 0);
	local.store = api.store;
	local.self = identity.id;
	api.local = local_new(&local);
	api.cluster = cluster_fake_new(store_watches(api.store));
	node.id = str_of(uuid_format(&identity.id, id));
	good = good && local_node_set(api.local, now, &node, NULL) >= 0;
	assert(good);
	store_baseline_end(api.store, now);
	arena_init(&arena, API_ROOM_ARENA_MAX);
	buf_init(&body, API_ROOM_BODY_MAX);
}

static inline void
api_room_close(void)
{
	cluster_free(api.cluster);
	local_free(api.local);
	store_free(api.store);
	buf_done(&body);
	arena_done(&arena);
}

static inline enum http_method
method_of(struct str text)
{
	static const struct {
		struct str text;
		enum http_method method;
	} methods[] = {
		{ STR("GET"), HTTP_GET },
		{ STR("PUT"), HTTP_PUT },
		{ STR("DELETE"), HTTP_DELETE },
		{ STR("POST"), HTTP_POST },
	};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (str_eq(text, methods[i].text))
			return methods[i].method;
	return HTTP_OTHER;
}

/* "METHOD TARGET" with a body, into a request that says the rest; false: too many parameters. */
static inline bool
request_of_line(struct http_request *req, struct str line, struct str sent)
{
	static struct http_header params[HTTP_QUERY_PARAMS_MAX];
	struct str rest = line;

	req->body = sent;
	req->arena = &arena;
	req->params = params;
	req->now = now;
	req->method_text = str_cut(&rest, ' ');
	req->method = method_of(req->method_text);
	req->target = rest;
	req->path = str_cut(&rest, '?');
	req->query = rest;
	return request_params_read(req);
}

/* What the log has decided shows, as the agent sees to it. */
static inline void
external_take(void)
{
	struct fsm *fsm = cluster_fsm(api.cluster);

	store_cluster_take(api.store, now, &identity.cluster, fsm_external_epoch(fsm),
	    fsm_external(fsm), true);
}

#endif

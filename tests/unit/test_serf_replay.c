/* Exchanges recorded between real agents, given to cores in the place of those they were sent to:
 * nothing is refused, and who had left, failed or come back for the real agents has for ours. */
#include <dirent.h>
#include <stdlib.h>

#include "tests/unit/test.h"
#include "tests/unit/vector.h"

#include "gossip/serf.h"

#define CORES 8

struct core {
	const char *name;
	struct serf *serf;
	size_t events, queries;
};

struct replay {
	struct arena arena;
	struct core cores[CORES];
	size_t count;
	nsec now;
	struct frame_config frame;
	char what[4200];
};

static const struct addr here = { .family = ADDR_V4, .port = 1, .bytes = { 127, 0, 0, 99 } };

static struct core *
core_of(struct replay *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->cores[i].name, name) == 0)
			return &r->cores[i];
	fail_msg("%s: nobody is called %s", r->what, name);
	return NULL;
}

static void
drain(struct core *c)
{
	struct serf_action a;

	while (serf_action_next(c->serf, &a)) {
		c->events += a.kind == SERF_TELL_EVENT;
		c->queries += a.kind == SERF_TELL_QUERY;
	}
}

static void
core_add(struct replay *r, const char *name, const char *at)
{
	struct serf_config config = { .name = str_of(name), .advertise = here, .replay = true };

	assert_true(r->count < CORES);
	if (at != NULL)
		assert_true(addr_parse(str_of(at), 0, &config.advertise));
	r->cores[r->count] = (struct core){ name, serf_new(&config, r->count, r->now), 0, 0 };
	drain(&r->cores[r->count++]);
}

static void
news(struct replay *r, struct core *c, struct str name, struct str meta, enum swim_state state)
{
	struct swim_member m = {
		.name = name, .meta = meta, .addr = here, .vsn = wire_vsn_ours, .state = state
	};

	if (str_eq(name, str_of(c->name)))
		return; /* SWIM refutes that */
	serf_news(c->serf, r->now, &m);
	drain(c);
}

/* All know each other before; `dead` had died. */
static void
cores_meet(struct replay *r, const char *dead)
{
	for (size_t i = 0; i < r->count; i++)
		for (size_t k = 0; k < r->count; k++) {
			struct str name = str_of(r->cores[k].name);

			if (str_eq(name, STR("initiator")))
				continue;
			news(r, &r->cores[i], name, STR(""), SWIM_ALIVE);
			if (dead != NULL && str_eq(name, str_of(dead)))
				news(r, &r->cores[i], name, STR(""), SWIM_DEAD);
		}
}

static void
message(struct replay *r, struct core *c, const struct wire_message *m)
{
	struct err err;

	if (m->type == WIRE_USER) {
		if (serf_input(c->serf, r->now, &here, m->u.user, &err) < 0)
			fail_msg("%s: %s", r->what, err.text);
		drain(c);
	} else if (m->type == WIRE_ALIVE) {
		news(r, c, m->u.alive.node, m->u.alive.meta, SWIM_ALIVE);
	} else if (m->type == WIRE_DEAD) {
		news(r, c, m->u.claim.node, STR(""),
		    str_eq(m->u.claim.node, m->u.claim.from) ? SWIM_LEFT : SWIM_DEAD);
	}
}

static void
datagram(struct replay *r, struct core *c, struct str bytes)
{
	struct frame_walk walk;
	struct wire_message m;
	struct str opened, part;

	assert_int_equal(frame_open(&r->frame, &r->arena, bytes, &opened, NULL), 0);
	frame_walk_init(&walk, &r->arena, opened);
	while (frame_walk_next(&walk, &part)) {
		assert_int_equal(wire_read(&r->arena, part, &m, NULL), 0);
		message(r, c, &m);
	}
}

static void
stream(struct replay *r, struct core *c, bool answer, struct str bytes)
{
	struct stream_in *s = stream_in_new(&r->frame, answer);
	struct stream_request q;
	struct err err;

	assert_int_equal(stream_in_feed(s, bytes, &q, NULL), 1);
	if (q.type == WIRE_PUSH_PULL) {
		const struct stream_push_pull *p = &q.u.push_pull;

		for (size_t i = 0; i < p->node_count; i++)
			news(r, c, p->nodes[i].name, p->nodes[i].meta,
			    p->nodes[i].state < 2 ? SWIM_ALIVE : SWIM_DEAD);
		if (serf_state_merge(c->serf, r->now, &here, answer, p->user_state, &err) < 0)
			fail_msg("%s: %s", r->what, err.text);
		drain(c);
	}
	stream_in_free(s);
}

static void
replay_init(struct replay *r, const char *path, json_t *root, const char *dead)
{
	const char *name;
	json_t *at;

	memset(r, 0, sizeof *r);
	arena_init(&r->arena, 256 * 1024 * 1024);
	r->now = NSEC_SEC;
	r->frame = (struct frame_config){
		.verify_incoming = true, .verify_outgoing = true, .compress = true
	};
	r->frame.keys = vector_keys(&r->arena, json_object_get(root, "keys"));
	json_object_foreach (json_object_get(root, "nodes"), name, at)
		core_add(r, name, json_string_value(at));
	core_add(r, "initiator", NULL);
	snprintf(r->what, sizeof r->what, "%s", path);
	cores_meet(r, dead);
}

static void
replay_done(struct replay *r)
{
	for (size_t i = 0; i < r->count; i++) {
		assert_int_equal(serf_stats(r->cores[i].serf).malformed, 0);
		assert_int_equal(serf_stats(r->cores[i].serf).dropped, 0);
		serf_free(r->cores[i].serf);
	}
	keyring_free(r->frame.keys);
	arena_done(&r->arena);
}

static void
replay_steps(struct replay *r, json_t *root)
{
	json_t *s;
	size_t i;

	json_array_foreach (json_object_get(root, "steps"), i, s) {
		struct core *c = core_of(r, json_string_value(json_object_get(s, "to")));
		const char *role = json_string_value(json_object_get(s, "role"));
		struct str bytes = vector_bytes(&r->arena, s, "hex");

		r->now = NSEC_SEC +
			 (nsec)(json_number_value(json_object_get(s, "t_ms")) * (double)NSEC_MS);
		if (strcmp(json_string_value(json_object_get(s, "proto")), "udp") == 0)
			datagram(r, c, bytes);
		else
			stream(r, c, strcmp(role, "server") == 0, bytes);
	}
}

static void
nothing_real_agents_send_is_refused(void **unused)
{
	const char *src = getenv("MUSTER_SRC");
	const struct dirent *entry;
	char path[4096];
	size_t count = 0;
	DIR *dir;

	(void)unused;
	snprintf(path, sizeof path, "%s/tests/gossip/vectors/exchanges", src == NULL ? ".." : src);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		struct replay r;
		json_t *root;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "exchanges/%s", entry->d_name);
		root = vector_load(path);
		replay_init(&r, path, root, NULL);
		replay_steps(&r, root);
		replay_done(&r);
		json_decref(root);
		count++;
	}
	closedir(dir);
	assert_int_equal(count, 30);
}

static const struct {
	const char *exchange, *dead, *at, *about, *state;
	size_t events, queries; /* that `at` was told of */
} results[] = {
	{ "plain-b-leave", NULL, "alpha", "beta", "left", 0, 0 },
	{ "plain-b-leave", NULL, "gamma", "beta", "left", 0, 0 },
	{ "plain-kill9-c", NULL, "alpha", "gamma", "failed", 0, 0 },
	{ "plain-kill9-c", NULL, "beta", "gamma", "failed", 0, 0 },
	{ "five-kill9-n4", NULL, "n1", "n4", "failed", 0, 0 },
	{ "plain-start-b-again", "beta", "alpha", "beta", "alive", 0, 0 },
	{ "plain-start-b-again", "beta", "gamma", "beta", "alive", 0, 0 },
	{ "plain-start-b-join-a", NULL, "initiator", "alpha", "alive", 0, 0 },
	{ "nocomp-start-c-join-b", NULL, "initiator", "alpha", "alive", 2, 0 }, /* from the ring */
	{ "nocomp-force-leave", "gamma", "alpha", "gamma", "left", 0, 0 },
	{ "nocomp-force-leave", "gamma", "beta", "gamma", "left", 0, 0 },
	{ "plain-event", NULL, "alpha", "beta", "alive", 1, 0 },
	{ "enc-event-coalesce", NULL, "beta", "alpha", "alive", 1, 0 },
	{ "plain-query-ack", NULL, "beta", "alpha", "alive", 0, 1 },
	{ "plain-relay-query", NULL, "gamma", "alpha", "alive", 0, 1 },
};

static void
what_the_real_agents_saw_is_seen(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
		struct serf_member m;
		struct replay r;
		struct core *c;
		char path[128];
		json_t *root;

		snprintf(path, sizeof path, "exchanges/%s.json", results[i].exchange);
		root = vector_load(path);
		replay_init(&r, path, root, results[i].dead);
		replay_steps(&r, root);
		c = core_of(&r, results[i].at);
		assert_true(serf_member_find(c->serf, str_of(results[i].about), &m));
		if (strcmp(serf_state_name(m.state), results[i].state) != 0 ||
		    c->events != results[i].events || c->queries != results[i].queries)
			fail_msg("%s: %s has %s as %s, %zu events, %zu queries", path,
			    results[i].at, results[i].about, serf_state_name(m.state), c->events,
			    c->queries);
		replay_done(&r);
		json_decref(root);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_real_agents_send_is_refused),
		cmocka_unit_test(what_the_real_agents_saw_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

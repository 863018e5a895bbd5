/* tests/unit/test_pool_members.c -- who is who in the pool: names, ids, addresses; who is refused;
 * who is forgotten; what serf carries. */
#include "tests/unit/pool_fixture.h"

#include "base/arena.h"
#include "base/rng.h"
#include "gossip/serf_wire.h"

static void
name_is(struct world *w, unsigned node, const char *name)
{
	snprintf(w->nodes[node].name, sizeof w->nodes[node].name, "%s", name);
}

static void
wire_is(struct world *w, unsigned at, unsigned about, const char *wire, const char *shown)
{
	struct pool_member m;

	assert_true(pool_member_by_id(w->nodes[at].pool, &w->nodes[about].id, &m));
	assert_str(m.wire_name, wire);
	assert_str(m.name, shown);
	assert_int_equal(m.state, SERF_ALIVE);
}

/* --- names --- */

static void
who_joins_gives_way_to_who_has_the_name(void **unused)
{
	struct world *w = world_new();

	(void)unused;
	name_is(w, C, "a");
	w->nodes[C].id.b[0] = 1; /* the lower id: it is the joiner who gives way */
	world_start(w, A);
	world_start(w, B);
	world_join(w, B, A);
	world_start(w, C);
	world_join(w, C, B);
	world_run(w, 5 * NSEC_SEC);
	for (unsigned at = A; at <= C; at++) {
		wire_is(w, at, A, "a", "a");
		wire_is(w, at, C, "a~01112233", "a");
	}
	assert_int_equal(pool_stats(w->nodes[C].pool).renamed, 1);
	assert_int_equal(pool_stats(w->nodes[A].pool).renamed, 0);
	assert_true(world_told(w, C, "name taken name=a by id=10112233-"));
	assert_string_equal(w->nodes[A].name, "a");
	world_free(w);
}

static void
of_two_that_join_each_other_one_gives_way(void **unused)
{
	(void)unused;
	for (unsigned late = 0; late < 6; late++) { /* ms between the two joins */
		struct world *w = world_new();

		name_is(w, B, "a");
		world_start(w, A);
		world_start(w, B);
		pool_join(w->nodes[A].pool, w->now, &w->nodes[B].addr);
		world_drain(w, A);
		world_run(w, late * NSEC_MS);
		pool_join(w->nodes[B].pool, w->now, &w->nodes[A].addr);
		world_drain(w, B);
		world_run(w, 10 * NSEC_SEC);
		assert_int_equal(
		    pool_stats(w->nodes[A].pool).renamed + pool_stats(w->nodes[B].pool).renamed, 1);
		assert_string_equal(world_state(w, A, B), "alive");
		assert_string_equal(world_state(w, B, A), "alive");
		world_free(w);
	}
}

static void
when_two_pools_meet_the_higher_id_gives_way(void **unused)
{
	struct world *w = world_new();

	(void)unused;
	name_is(w, D, "a");
	for (unsigned i = A; i <= D; i++)
		world_start(w, i);
	world_join(w, B, A);
	world_join(w, D, C);
	world_run(w, 2 * NSEC_SEC);
	world_join(w, C, B); /* neither of the two called "a" takes part */
	world_run(w, 60 * NSEC_SEC);
	assert_int_equal(pool_stats(w->nodes[A].pool).renamed, 0);
	assert_int_equal(pool_stats(w->nodes[D].pool).renamed, 1);
	for (unsigned at = A; at <= D; at++) {
		wire_is(w, at, A, "a", "a");
		wire_is(w, at, D, "a~13112233", "a");
	}
	world_free(w);
}

static void
renamed_agent_is_found_by_all_its_names(void **unused)
{
	struct world *w = world_new();
	struct pool_member m;

	(void)unused;
	name_is(w, B, "a");
	world_start(w, A);
	world_start(w, B);
	world_join(w, B, A);
	world_run(w, NSEC_SEC);
	assert_true(pool_member_find(w->nodes[A].pool, STR("a~11112233"), &m));
	assert_true(uuid_eq(&m.id, &w->nodes[B].id));
	assert_true(pool_member_find(w->nodes[A].pool, STR("a"), &m)); /* the lowest id */
	assert_true(uuid_eq(&m.id, &w->nodes[A].id));
	assert_true(
	    pool_member_find(w->nodes[A].pool, STR("11112233-0000-0000-0000-000000000000"), &m));
	assert_true(uuid_eq(&m.id, &w->nodes[B].id));
	assert_str(pool_wire_name(w->nodes[B].pool), "a~11112233");
	assert_false(pool_member_find(w->nodes[A].pool, STR("z"), &m));
	world_kill(w, B); /* it comes back, first by its own name */
	world_run(w, NSEC_SEC / 2);
	world_start(w, B);
	world_service(w, B, "web");
	world_join(w, B, A);
	world_run(w, 5 * NSEC_SEC);
	wire_is(w, A, B, "a~11112233", "a");
	wire_is(w, B, A, "a", "a");
	world_free(w);
}

/* RULES 1. */

/* The disk of b was copied to c: c, which starts later, takes a new id. */
static void
copy_of(struct world *w, const char *name)
{
	world_run(w, 70 * NSEC_SEC); /* b is not young any more */
	name_is(w, C, name);
	w->nodes[C].id = w->nodes[B].id;
	w->nodes[C].epoch = w->nodes[B].epoch;
	world_start(w, C);
	world_service(w, C, "db");
	world_join(w, C, A);
	world_run(w, 6 * NSEC_SEC);
	assert_int_equal(w->nodes[C].clones, 1);
	assert_true(world_told(w, C, "id in use name=b addr=10.0.0.2:8301"));
	world_kill(w, C);
	w->nodes[C].id.b[0] = 0x99;
	world_start(w, C);
	world_service(w, C, "web");
	world_join(w, C, A);
	world_run(w, 60 * NSEC_SEC);
	for (unsigned i = A; i <= C; i++) {
		assert_string_equal(world_state(w, i, B), "alive");
		assert_string_equal(world_state(w, i, C), "alive");
	}
	assert_int_equal(world_shown(w, A, B), SHOWN);
	assert_int_equal(w->nodes[B].clones, 0);
	assert_int_equal(w->nodes[A].clones, 0);
	assert_in_range(w->nodes[B].epochs, 0, 8);
}

static void
copied_disk_is_noticed(void **unused)
{
	struct world *w = world_of(2);

	(void)unused;
	copy_of(w, "c");
	assert_int_equal(world_shown(w, A, C), SHOWN);
	assert_int_equal(world_shown(w, B, C), SHOWN);
	world_free(w);
}

static void
copied_disk_with_the_name_is_noticed(void **unused)
{
	struct world *w = world_of(2);

	(void)unused;
	copy_of(w, "b");
	wire_is(w, A, C, "b~99112233", "b");
	world_free(w);
}

/* When c looks whether b lives, b stands still and is suspected; it goes on right after. */
static void
copied_disk_is_noticed_though_the_first_is_suspected_just_then(void **unused)
{
	struct world *w = world_of(2);

	(void)unused;
	world_run(w, 70 * NSEC_SEC);
	w->nodes[C].id = w->nodes[B].id;
	w->nodes[C].epoch = w->nodes[B].epoch;
	world_start(w, C);
	world_join(w, C, A);
	world_run(w, 2 * NSEC_SEC);
	for (unsigned i = A; i <= C; i += 2) {
		world_cut(w, i, B, true);
		world_cut(w, B, i, true);
	}
	world_run(w, 3500 * NSEC_MS);
	assert_string_equal(world_state(w, C, B), "alive"); /* to serf, a suspect is */
	assert_int_equal(w->nodes[C].clones, 0);
	for (unsigned i = A; i <= C; i += 2) {
		world_cut(w, i, B, false);
		world_cut(w, B, i, false);
	}
	world_run(w, 7 * NSEC_SEC);
	assert_int_equal(w->nodes[C].clones, 1);
	world_free(w);
}

static void
who_moved_under_a_new_name_is_no_clone(void **unused)
{
	struct world *w = world_of(3);

	(void)unused;
	world_run(w, 5 * NSEC_SEC);
	world_kill(w, C);
	w->nodes[C].silent = true;
	w->nodes[C].addr.bytes[3] = 77;
	name_is(w, C, "new");
	world_start(w, C);
	world_service(w, C, "web");
	world_join(w, C, A);
	world_run(w, 60 * NSEC_SEC);
	assert_int_equal(w->nodes[C].clones, 0);
	assert_int_equal(world_shown(w, A, C), SHOWN);
	wire_is(w, A, C, "new", "new");
	world_free(w);
}

static void
restored_disk_begins_above_what_others_hold(void **unused)
{
	struct world *w = world_of(3);

	(void)unused;
	for (unsigned i = 0; i < 3; i++) {
		world_kill(w, C);
		world_start(w, C);
		world_service(w, C, "web");
		world_join(w, C, A);
		world_run(w, 2 * NSEC_SEC);
	}
	world_kill(w, C);
	w->nodes[C].epoch -= 3;
	world_start(w, C);
	world_service(w, C, "web");
	world_service(w, C, "db");
	world_join(w, C, A);
	world_until_service(w, 3, C, "db");
	assert_int_equal(w->nodes[C].epochs, 1);
	assert_int_equal(w->nodes[C].clones, 0);
	world_free(w);
}

static void
tags_that_do_not_fit_are_left_out(void **unused)
{
	struct world *w = world_new();
	char large[600];
	struct serf_tag more[] = { { STR("rack"), { large, sizeof large } } };
	struct pool_member m;

	(void)unused;
	memset(large, 'x', sizeof large);
	w->nodes[A].more = more;
	w->nodes[A].more_count = 1;
	world_start(w, A);
	assert_true(world_told(w, A, "tags left out"));
	assert_true(pool_member_by_id(w->nodes[A].pool, &w->nodes[A].id, &m));
	assert_true(m.muster);
	world_free(w);
}

/* --- addresses --- */

static void
same_id_at_a_new_address_is_taken_over(void **unused)
{
	struct world *w = world_of(4);
	struct pool_member m;

	(void)unused;
	world_kill(w, C);
	w->nodes[C].silent = true; /* nobody refuses there: it counts as alive still */
	w->nodes[C].addr.bytes[3] = 77;
	world_start(w, C);
	world_service(w, C, "web");
	world_join(w, C, A);
	world_run(w, 2 * NSEC_SEC);
	for (unsigned at = A; at <= D; at++) {
		assert_true(pool_member_by_id(w->nodes[at].pool, &w->nodes[C].id, &m));
		assert_int_equal(m.state, SERF_ALIVE);
		assert_int_equal(m.addr.bytes[3], 77);
	}
	assert_int_equal(pool_stats(w->nodes[A].pool).taken_over, 1);
	assert_int_equal(pool_stats(w->nodes[C].pool).renamed, 0);
	assert_int_equal(world_shown(w, B, C), SHOWN);
	world_free(w);
}

static void
dead_holder_of_a_name_gives_it_up(void **unused)
{
	struct world *w = world_of(3);

	(void)unused;
	world_kill(w, C);
	world_until_shown(w, 4 * NSEC_SEC, 3, C, HIDDEN);
	w->nodes[C].id.b[0] = 0x77; /* its disk is lost, and it has another address */
	w->nodes[C].addr.bytes[3] = 77;
	world_start(w, C);
	world_service(w, C, "web");
	world_join(w, C, A);
	world_run(w, 3 * NSEC_SEC);
	wire_is(w, A, C, "c", "c");
	wire_is(w, B, C, "c", "c");
	assert_int_equal(world_shown(w, B, C), SHOWN);
	world_free(w);
}

static void
live_id_at_the_address_of_a_failed_one_replaces_it(void **unused)
{
	struct world *w = world_of(3);
	struct uuid old = w->nodes[C].id;
	struct pool_member m;

	(void)unused;
	world_kill(w, C);
	world_until_shown(w, 4 * NSEC_SEC, 3, C, HIDDEN);
	w->nodes[C].id.b[0] = 0x77;
	name_is(w, C, "new");
	world_start(w, C);
	world_service(w, C, "web");
	world_join(w, C, A);
	world_until_shown(w, 3 * NSEC_SEC, 3, C, SHOWN);
	assert_true(pool_member_by_id(w->nodes[A].pool, &old, &m));
	assert_int_equal(m.state, SERF_LEFT);
	assert_int_equal(pool_member_count(w->nodes[A].pool, SERF_LEFT), 1);
	assert_int_equal(pool_member_count(w->nodes[A].pool, SERF_FAILED), 0);
	assert_null(catalog_node_find(store_catalog(w->nodes[A].store), STR("c")));
	world_free(w);
}

/* --- who may not be in our pool --- */

static const char *const consul_tags[] = { "role=consul", "dc=dc1", "id=x", "build=1.10.3:abc",
	NULL };
static const char *const serf_tags[] = { "role=web", NULL };

static void
pool_of_consul_agents_is_not_joined(void **unused)
{
	struct world *w = world_new();
	uint8_t room[WIRE_META_MAX];
	struct wire_node_state fake = world_fake_node(w, F, room, consul_tags);

	(void)unused;
	w->nodes[F].fake = &fake;
	w->nodes[F].fake_count = 1;
	world_start(w, A);
	world_join(w, A, F);
	assert_int_equal(w->nodes[A].joins_failed, 1);
	assert_non_null(strstr(
	    w->nodes[A].join_text, "\"f\" at 10.0.0.6:8301 is a Consul server, version 1.10.3"));
	assert_int_equal(pool_member_count(w->nodes[A].pool, SERF_NONE), 1);
	assert_int_equal(pool_stats(w->nodes[A].pool).refused_members, 1);
	world_free(w);
}

static void
consul_agent_does_not_get_in(void **unused)
{
	struct world *w = world_new();
	uint8_t room[WIRE_META_MAX], bytes[WIRE_PACKET_BUDGET];
	struct wire_node_state fake = world_fake_node(w, F, room, consul_tags);
	struct stream_request request = { .type = WIRE_PUSH_PULL }, answer;
	struct wire_message alive = { .type = WIRE_ALIVE };
	struct writer m = wr_of(bytes, sizeof bytes);
	struct arena arena;

	(void)unused;
	world_start(w, A);
	arena_init(&arena, 1 << 20);
	request.u.push_pull.join = true;
	request.u.push_pull.nodes = &fake;
	request.u.push_pull.node_count = 1;
	assert_true(
	    pool_request(w->nodes[A].pool, w->now, &w->nodes[F].addr, &request, &arena, &answer));
	assert_int_equal(answer.type, WIRE_ERROR);
	arena_done(&arena);
	alive.u.alive = (struct wire_alive){
		.incarnation = 1,
		.node = fake.name,
		.addr = fake.addr,
		.meta = fake.meta,
		.vsn = wire_vsn_ours,
		.vsn_whole = true,
		.addr_ok = true,
	};
	wire_write(&m, &alive);
	pool_input(w->nodes[A].pool, w->now, &w->nodes[F].addr, wr_done(&m));
	world_drain(w, A);
	assert_int_equal(pool_member_count(w->nodes[A].pool, SERF_NONE), 1);
	assert_int_equal(pool_stats(w->nodes[A].pool).refused_members, 2);
	world_free(w);
}

static void
other_datacenter_is_refused_on_both_sides(void **unused)
{
	struct world *w = world_new();

	(void)unused;
	w->nodes[B].dc = "dc2";
	world_start(w, A);
	world_start(w, B);
	world_join(w, B, A);
	assert_int_equal(w->nodes[B].joins_failed, 1);
	assert_non_null(strstr(w->nodes[B].join_text,
	    "\"b\" at 10.0.0.2:8301 belongs to datacenter \"dc2\", this agent to \"dc1\""));
	world_run(w, 5 * NSEC_SEC);
	assert_int_equal(pool_member_count(w->nodes[A].pool, SERF_NONE), 1);
	assert_int_equal(pool_member_count(w->nodes[B].pool, SERF_NONE), 1);
	world_free(w);
}

static void
plain_serf_agent_is_a_member_and_hears_nothing_of_the_catalog(void **unused)
{
	struct world *w = world_new();
	uint8_t room[WIRE_META_MAX];
	struct wire_node_state fake = world_fake_node(w, F, room, serf_tags);
	struct pool_member m;

	(void)unused;
	w->nodes[F].fake = &fake;
	w->nodes[F].fake_count = 1;
	w->nodes[A].awaits = true;
	world_start(w, A);
	world_join(w, A, F);
	assert_int_equal(w->nodes[A].joins_ok, 1);
	assert_true(w->nodes[A].ready); /* nobody there has a catalog */
	assert_true(pool_member_find(w->nodes[A].pool, STR("f"), &m));
	assert_false(m.muster);
	world_start(w, B);
	world_join(w, B, A);
	world_service(w, A, "web");
	world_service(w, B, "web");
	world_run(w, 3 * NSEC_SEC);
	assert_int_equal(world_shown(w, A, B), SHOWN);
	assert_true(w->nodes[A].user_0xc5 > 0);
	assert_int_equal(w->nodes[F].fake_heard_muster, 0);
	world_free(w);
}

/* --- forced out, forgotten --- */

static void
forced_out_is_left_everywhere(void **unused)
{
	struct world *w = world_of(3);
	struct err err;

	(void)unused;
	world_kill(w, C);
	world_until_shown(w, 4 * NSEC_SEC, 3, C, HIDDEN);
	assert_int_equal(
	    pool_force_leave(w->nodes[A].pool, w->now, STR("z"), false, &err), ERR_NOT_FOUND);
	assert_int_equal(
	    pool_force_leave(w->nodes[A].pool, w->now, STR("a"), false, &err), ERR_REFUSED);
	assert_int_equal(pool_force_leave(w->nodes[A].pool, w->now, STR("c"), false, &err), 0);
	world_drain(w, A);
	world_until_shown(w, 2 * NSEC_SEC, 3, C, NOT_THERE);
	assert_string_equal(world_state(w, B, C), "left");
	world_free(w);
}

static void
pruned_is_forgotten_with_a_certificate(void **unused)
{
	struct world *w = world_of(3);

	(void)unused;
	w->nodes[D].silent = true;
	world_kill(w, C);
	world_until_shown(w, 4 * NSEC_SEC, 3, C, HIDDEN);
	assert_int_equal(pool_force_leave(w->nodes[A].pool, w->now, STR("c"), true, NULL), 0);
	world_drain(w, A);
	world_run(w, 2 * NSEC_SEC);
	assert_string_equal(world_state(w, A, C), "-");
	assert_string_equal(world_state(w, B, C), "-");
	assert_int_equal(world_shown(w, B, C), NOT_THERE);
	/* It lives after all, with the epoch that was certified dead. */
	w->nodes[C].epoch--;
	world_start(w, C);
	world_service(w, C, "web");
	world_join(w, C, B);
	world_run(w, 3 * NSEC_SEC);
	assert_int_equal(w->nodes[C].epochs, 1);
	assert_string_equal(world_state(w, A, C), "alive");
	world_free(w);
}

static void
who_is_gone_for_days_is_reaped(void **unused)
{
	struct world *w = world_new();

	(void)unused;
	w->reap = 2 * NSEC_MIN;
	for (unsigned i = A; i <= C; i++) {
		world_start(w, i);
		world_service(w, i, "web");
		world_join(w, i, A);
	}
	world_run(w, NSEC_SEC);
	world_kill(w, C);
	world_run(w, NSEC_MIN);
	assert_int_equal(world_shown(w, A, C), HIDDEN);
	world_run(w, 2 * NSEC_MIN);
	assert_string_equal(world_state(w, A, C), "-");
	assert_int_equal(world_shown(w, A, C), NOT_THERE);
	world_free(w);
}

/* --- what serf carries --- */

static void
events_reach_everybody_once(void **unused)
{
	struct world *w = world_of(4);

	(void)unused;
	assert_int_equal(
	    pool_event_fire(w->nodes[B].pool, w->now, STR("deploy"), STR("42"), NULL), 0);
	world_drain(w, B);
	world_run(w, 2 * NSEC_SEC);
	for (unsigned i = A; i <= D; i++) {
		const char *story = w->nodes[i].story.p;
		const char *at = memmem(
		    story, w->nodes[i].story.n, "event deploy 42", strlen("event deploy 42"));

		assert_non_null(at);
		assert_null(memmem(at + 1, w->nodes[i].story.n - (size_t)(at + 1 - story),
		    "event deploy 42", strlen("event deploy 42")));
	}
	world_free(w);
}

static void
keys_are_installed_everywhere_and_packets_keep_their_size(void **unused)
{
	struct world *w = world_new();
	uint64_t id;

	(void)unused;
	w->encrypt = true;
	for (unsigned i = A; i <= C; i++) {
		world_start(w, i);
		for (unsigned k = 0; k < 100; k++) {
			char name[64];

			snprintf(name, sizeof name, "service-%u-of-many-%u", k, i);
			world_service(w, i, name);
		}
		world_service(w, i, "web");
		world_join(w, i, A);
	}
	world_run(w, 3 * NSEC_SEC);
	assert_int_equal(world_shown(w, A, C), SHOWN);
	assert_int_equal(pool_keys(w->nodes[A].pool, w->now, SERF_KEY_INSTALL,
			     STR("fedcba9876543210"), &id, NULL),
	    0);
	world_drain(w, A);
	world_run(w, 5 * NSEC_SEC);
	assert_int_equal(w->nodes[A].key_answers, 3);
	assert_int_equal(w->nodes[A].key_done, 1);
	for (unsigned i = A; i <= C; i++) {
		assert_int_equal(keyring_count(w->nodes[i].keys), 2);
		assert_int_equal(w->nodes[i].keys_saved, 1);
		assert_in_range(w->nodes[i].largest, 1, 1400 + 5); /* CRC apart, as memberlist */
	}
	world_free(w);
}

static void
without_a_keyring_nobody_is_asked_for_keys(void **unused)
{
	struct world *w = world_of(2);
	uint64_t id;

	(void)unused;
	assert_int_equal(
	    pool_keys(w->nodes[A].pool, w->now, SERF_KEY_LIST, STR_NONE, &id, NULL), ERR_REFUSED);
	world_drain(w, A);
	world_run(w, 2 * NSEC_SEC);
	assert_int_equal(w->nodes[A].key_done, 0);
	world_free(w);
}

static void
query_without_an_answer_is_over(void **unused)
{
	struct world *w = world_of(2);
	struct serf_ask ask = { .name = STR("load"), .timeout = NSEC_SEC };
	uint64_t id;

	(void)unused;
	assert_int_equal(pool_query(w->nodes[A].pool, w->now, &ask, &id, NULL), 0);
	world_drain(w, A);
	world_run(w, 2 * NSEC_SEC);
	assert_true(world_told(w, A, "query over 0 of"));
	world_free(w);
}

static void
tags_change_everywhere(void **unused)
{
	struct world *w = world_of(3);
	struct serf_tag more[] = { { STR("rack"), STR("r7") } };
	struct serf_meta meta = { .dc = STR("dc1"),
		.build = STR("2.0"),
		.server = true,
		.port = 8300,
		.more = more,
		.more_count = 1 };
	struct pool_member m;
	char large[600];
	struct err err;

	(void)unused;
	assert_int_equal(pool_meta_set(w->nodes[B].pool, w->now, &meta, NULL), 0);
	world_drain(w, B);
	world_run(w, 2 * NSEC_SEC);
	assert_true(pool_member_by_id(w->nodes[C].pool, &w->nodes[B].id, &m));
	assert_true(m.server && m.muster);
	memset(large, 'x', sizeof large);
	more[0].value = str_mem(large, sizeof large);
	assert_int_equal(pool_meta_set(w->nodes[B].pool, w->now, &meta, &err), ERR_LIMIT);
	world_free(w);
}

static void
distances_are_learned(void **unused)
{
	struct world *w = world_of(3);
	const struct coordinates *c = pool_coordinates(w->nodes[A].pool);

	(void)unused;
	world_run(w, 30 * NSEC_SEC);
	assert_non_null(coordinates_of(c, STR("b")));
	assert_in_range(
	    coordinate_distance(coordinates_ours(c), coordinates_of(c, STR("b"))), 1, 50 * NSEC_MS);
	world_free(w);
}

static size_t
external_at(struct world *w, unsigned at, unsigned of)
{
	const struct owner *o = store_owner(w->nodes[at].store, &w->nodes[of].cluster);

	return o == NULL ? 0 : owner_count(o);
}

static void
external_records_are_kept_while_a_member_speaks_of_their_owner(void **unused)
{
	struct world *w = world_of(3);
	struct world_node *c = &w->nodes[C];
	struct node_info info = { .name = STR("printer"), .address = STR("10.9.9.9") };

	(void)unused;
	assert_int_equal(store_put_node(c->store, w->now, &c->cluster, &info, NULL), 1);
	pool_changed(c->pool, w->now);
	world_drain(w, C);
	world_run(w, NSEC_SEC);
	assert_int_equal(external_at(w, A, C), 1);
	world_kill(w, C);
	world_run(
	    w, 70 * NSEC_SEC); /* failed is still known; an unknown owner's would be dropped */
	assert_int_equal(external_at(w, A, C), 1);
	pool_force_leave(w->nodes[A].pool, w->now, STR("c"), false, NULL);
	world_drain(w, A);
	world_run(w, NSEC_SEC);
	assert_int_equal(external_at(w, A, C), 0);
	assert_int_equal(external_at(w, B, C), 0);
	world_free(w);
}

static void
garbage_is_dropped(void **unused)
{
	struct world *w = world_of(2);
	struct stream_request request = { .type = WIRE_USER }, answer;
	struct arena arena;
	uint8_t bytes[64];
	struct rng rng;

	(void)unused;
	rng_init(&rng, 7);
	arena_init(&arena, 1 << 20);
	for (unsigned i = 0; i < 20000; i++) {
		size_t n = rng_below(&rng, sizeof bytes);

		for (size_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)rng_u32(&rng);
		if (n > 1 && i % 3 == 0) {
			bytes[0] = WIRE_USER;
			bytes[1] = SERF_MUSTER;
		}
		pool_input(w->nodes[A].pool, w->now, &w->nodes[B].addr, str_mem(bytes, n));
		if (n > 0 && i % 2 == 0)
			bytes[0] = SERF_MUSTER;
		request.u.user = str_mem(bytes, n);
		pool_request(
		    w->nodes[A].pool, w->now, &w->nodes[B].addr, &request, &arena, &answer);
		arena_reset(&arena);
		pool_stream_end(w->nodes[A].pool, w->now, rng_u32(&rng), false, &request);
		world_drain(w, A);
	}
	arena_done(&arena);
	world_run(w, 5 * NSEC_SEC);
	assert_string_equal(world_state(w, A, B), "alive");
	assert_int_equal(world_shown(w, A, B), SHOWN);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_joins_gives_way_to_who_has_the_name),
		cmocka_unit_test(of_two_that_join_each_other_one_gives_way),
		cmocka_unit_test(when_two_pools_meet_the_higher_id_gives_way),
		cmocka_unit_test(renamed_agent_is_found_by_all_its_names),
		cmocka_unit_test(copied_disk_is_noticed),
		cmocka_unit_test(copied_disk_with_the_name_is_noticed),
		cmocka_unit_test(copied_disk_is_noticed_though_the_first_is_suspected_just_then),
		cmocka_unit_test(who_moved_under_a_new_name_is_no_clone),
		cmocka_unit_test(restored_disk_begins_above_what_others_hold),
		cmocka_unit_test(tags_that_do_not_fit_are_left_out),
		cmocka_unit_test(same_id_at_a_new_address_is_taken_over),
		cmocka_unit_test(dead_holder_of_a_name_gives_it_up),
		cmocka_unit_test(live_id_at_the_address_of_a_failed_one_replaces_it),
		cmocka_unit_test(pool_of_consul_agents_is_not_joined),
		cmocka_unit_test(consul_agent_does_not_get_in),
		cmocka_unit_test(other_datacenter_is_refused_on_both_sides),
		cmocka_unit_test(plain_serf_agent_is_a_member_and_hears_nothing_of_the_catalog),
		cmocka_unit_test(forced_out_is_left_everywhere),
		cmocka_unit_test(pruned_is_forgotten_with_a_certificate),
		cmocka_unit_test(who_is_gone_for_days_is_reaped),
		cmocka_unit_test(events_reach_everybody_once),
		cmocka_unit_test(keys_are_installed_everywhere_and_packets_keep_their_size),
		cmocka_unit_test(without_a_keyring_nobody_is_asked_for_keys),
		cmocka_unit_test(query_without_an_answer_is_over),
		cmocka_unit_test(tags_change_everywhere),
		cmocka_unit_test(distances_are_learned),
		cmocka_unit_test(external_records_are_kept_while_a_member_speaks_of_their_owner),
		cmocka_unit_test(garbage_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Members and intents as stories of a few agents; see serf_net.h for their network. */
#include <stdlib.h>

#include "gossip/serf_meta.h"
#include "tests/unit/serf_net.h"

static struct net *net;

static int
three(void **unused)
{
	(void)unused;
	net = net_new();
	for (unsigned i = A; i <= C; i++)
		net_start(net, i, "node");
	net_join(net, B, A);
	net_join(net, C, B);
	return 0;
}

static int
done(void **unused)
{
	(void)unused;
	net_free(net);
	return 0;
}

static void
agents_meet(void **unused)
{
	struct serf_member m = { 0 };

	(void)unused;
	net_story(net, "a: member-join a\n"
		       "b: member-join b\n"
		       "c: member-join c\n"
		       "a: member-join b\n"
		       "b: member-join a\n"
		       "c: member-join b\n"
		       "b: member-join c\n"
		       "a: member-join c\n"
		       "c: member-join a\n");
	assert_true(serf_member_next(net->nodes[B].serf, m.name, &m));
	assert_str(m.name, "a");
	assert_true(serf_member_next(net->nodes[B].serf, m.name, &m));
	assert_true(serf_member_next(net->nodes[B].serf, m.name, &m));
	assert_str(m.name, "c");
	assert_true(m.ltime > 0);
	assert_false(serf_member_next(net->nodes[B].serf, m.name, &m));
	assert_int_equal(serf_member_count(net->nodes[B].serf, SERF_ALIVE), 3);
	assert_int_equal(net->queue_count, 0); /* gossip has come to rest */
}

static void
a_leave_is_left_and_a_death_is_failed(void **unused)
{
	(void)unused;
	net_forget_story(net);
	serf_leave(net->nodes[B].serf, net->now);
	net_drain(net, B);
	net_story(net, "a: member-leave b\n"
		       "c: member-leave b\n"
		       "b: member-leave b\n");
	assert_string_equal(net_state(net, A, B), "left");
	net_kill(net, C);
	net_story(net, "a: member-failed c\nb: member-failed c\n"); /* b is up still */
	assert_string_equal(net_state(net, A, C), "failed");
}

static void
who_comes_back_is_alive_and_stays_so(void **unused)
{
	(void)unused;
	net_kill(net, C);
	net_start(net, C, "node");
	net_forget_story(net);
	net_join(net, C, A);
	net_story(net, "a: member-join c\n"
		       "c: member-join a\n"
		       "b: member-join c\n"
		       "c: member-join b\n");
	serf_leave(net->nodes[B].serf, net->now);
	net_drain(net, B);
	assert_string_equal(net_state(net, C, B), "left");
	net_start(net, B, "node"); /* leave and rejoin, with a clock that begins anew */
	net_join(net, B, A);
	assert_string_equal(net_state(net, A, B), "alive");
	net_push_pull(net, A, C, false);
	net_push_pull(net, C, B, false);
	net_run(net, NSEC_SEC);
	for (unsigned i = A; i <= C; i++)
		assert_string_equal(net_state(net, i, B), "alive");
}

/* A peer that missed the return still lists the name as left: its push/pull must not win. */
static void
old_news_of_a_leave_does_not_take_the_returned(void **unused)
{
	(void)unused;
	serf_leave(net->nodes[B].serf, net->now);
	net_drain(net, B);
	net->cut[B][C] = net->cut[C][B] = net->cut[A][C] = net->cut[C][A] = true;
	net_start(net, B, "node");
	net_join(net, B, A);
	assert_string_equal(net_state(net, A, B), "alive");
	assert_string_equal(net_state(net, C, B), "left");
	net_push_pull(net, C, A, false);
	assert_string_equal(net_state(net, A, B), "alive");
	net_push_pull(net, C, B, false);
	assert_string_equal(net_state(net, B, B), "alive");
}

static void
intents_about_oneself_are_refuted(void **unused)
{
	struct serf_message m = { .type = SERF_LEAVE, .u.intent = { 70, STR("b"), false } };

	(void)unused;
	net_give(net, A, &m);
	assert_string_equal(net_state(net, A, B), "leaving");
	net_run(net, 20 * NSEC_MS);
	for (unsigned i = A; i <= C; i++)
		assert_string_equal(net_state(net, i, B), "alive");
	assert_int_equal(serf_stats(net->nodes[B].serf).refutations, 1);
	assert_int_equal(serf_clocks(net->nodes[C].serf).member, 72);
	assert_int_equal(serf_force_leave(net->nodes[A].serf, net->now, STR("b"), true, NULL), 0);
	net_drain(net, A);
	net_run(net, 20 * NSEC_MS);
	for (unsigned i = A; i <= C; i++)
		assert_string_equal(net_state(net, i, B), "alive");
	assert_int_equal(serf_stats(net->nodes[B].serf).refutations, 2);
	net_kill(net, B); /* the prune was refuted, too */
	assert_string_equal(net_state(net, A, B), "failed");
	assert_int_equal(serf_force_leave(net->nodes[A].serf, net->now, STR("b"), false, NULL), 0);
	net_drain(net, A);
	assert_string_equal(net_state(net, A, B), "left");
}

/* Who left is told with the time of the last intent; to win over it the leave is newer by one. */
static void
left_members_of_a_peer_win_over_equal_times(void **unused)
{
	struct serf_message join = { .type = SERF_JOIN, .u.intent = { 30, STR("c"), false } };
	struct serf_status status = { STR("c"), 30 };
	struct str left = STR("c");
	struct serf_message m = { .type = SERF_PUSH_PULL,
		.u.push_pull = { .ltime = 31,
		    .status = &status,
		    .status_count = 1,
		    .left = &left,
		    .left_count = 1 } };
	uint8_t room[256];
	struct writer w = wr_of(room, sizeof room);
	struct addr from = { .family = ADDR_V4 };
	struct serf_member c;

	(void)unused;
	net_kill(net, C);
	net_give(net, A, &join);
	serf_write(&w, &m);
	assert_int_equal(
	    serf_state_merge(net->nodes[A].serf, net->now, &from, false, wr_done(&w), NULL), 0);
	assert_true(serf_member_find(net->nodes[A].serf, STR("c"), &c));
	assert_int_equal(c.state, SERF_LEFT);
	assert_int_equal(c.ltime, 31);
}

static void
force_leave_turns_failed_into_left(void **unused)
{
	struct err err;

	(void)unused;
	net_kill(net, C);
	net_forget_story(net);
	assert_int_equal(serf_force_leave(net->nodes[A].serf, net->now, STR("c"), false, &err), 0);
	net_drain(net, A);
	net_run(net, NSEC_SEC);
	net_story(net, "a: member-leave c\nb: member-leave c\n");
	assert_string_equal(net_state(net, B, C), "left");
	assert_int_equal(
	    serf_force_leave(net->nodes[A].serf, net->now, STR("x"), false, &err), ERR_NOT_FOUND);
	assert_int_equal(
	    serf_force_leave(net->nodes[A].serf, net->now, STR("a"), false, &err), ERR_REFUSED);
}

/* Push/pulls between others make them know a later time of the leave than whoever prunes it. */
static void
a_prune_reaches_who_heard_more_of_the_leave(void **unused)
{
	struct serf_message told = { .type = SERF_LEAVE, .u.intent = { 0, STR("c"), false } };

	(void)unused;
	net_kill(net, C);
	assert_int_equal(serf_force_leave(net->nodes[A].serf, net->now, STR("c"), false, NULL), 0);
	net_drain(net, A);
	net_run(net, NSEC_SEC);
	assert_string_equal(net_state(net, B, C), "left");
	net->cut[B][A] = net->cut[A][B] = true;
	told.u.intent.ltime = serf_clocks(net->nodes[B].serf).member + 20;
	net_give(net, B, &told);
	net_run(net, NSEC_SEC);
	net->cut[B][A] = net->cut[A][B] = false;
	assert_int_equal(serf_force_leave(net->nodes[A].serf, net->now, STR("c"), true, NULL), 0);
	net_drain(net, A);
	net_run(net, NSEC_SEC);
	assert_string_equal(net_state(net, A, C), "-");
	assert_string_equal(net_state(net, B, C), "-");
}

static void
what_was_pruned_is_not_revived_by_old_gossip(void **unused)
{
	struct serf_message old = { .type = SERF_JOIN, .u.intent = { 3, STR("c"), false } };

	(void)unused;
	net->cut[B][A] = net->cut[A][B] = true;
	net_kill(net, C);
	net_forget_story(net);
	assert_int_equal(serf_force_leave(net->nodes[A].serf, net->now, STR("c"), true, NULL), 0);
	net_drain(net, A);
	net_run(net, NSEC_SEC);
	net_story(net, "a: member-leave c\na: member-reap c\n");
	assert_string_equal(net_state(net, A, C), "-");
	assert_string_equal(net_state(net, B, C), "failed"); /* did not hear of it */
	net_give(net, A, &old);
	net_run(net, NSEC_HOUR);
	net_push_pull(net, B, A, false);
	assert_string_equal(net_state(net, A, C), "-");
	assert_string_equal(net_state(net, B, C), "left"); /* learned from the certificate */
	net->cut[B][A] = net->cut[A][B] = false;
	net_start(net, C, "node"); /* itself it may come back */
	net_join(net, C, A);
	net_push_pull(net, A, B, false);
	net_run(net, NSEC_SEC);
	assert_string_equal(net_state(net, A, C), "alive");
	assert_string_equal(net_state(net, B, C), "alive");
}

static void
intents_wait_for_unknown_members(void **unused)
{
	struct serf_message leave = { .type = SERF_LEAVE, .u.intent = { 9, STR("d"), false } };
	struct serf_message join = { .type = SERF_JOIN, .u.intent = { 8, STR("e"), false } };
	struct serf_member m;

	(void)unused;
	net_give(net, A, &leave);
	net_give(net, A, &join);
	assert_int_equal(serf_member_count(net->nodes[A].serf, SERF_NONE), 3);
	net_start(net, D, "node");
	net_start(net, E, "node");
	net_member_alive(net, A, D);
	net_member_alive(net, A, E);
	assert_string_equal(net_state(net, A, D), "leaving");
	assert_true(serf_member_find(net->nodes[A].serf, STR("e"), &m));
	assert_int_equal(m.ltime, 8);
	leave.u.intent = (struct serf_intent){ 20, STR("f"), false };
	net_give(net, A, &leave);
	net_run(net, 6 * NSEC_MIN); /* forgotten by then */
	net_start(net, F, "node");
	net_member_alive(net, A, F);
	assert_string_equal(net_state(net, A, F), "alive");
}

/* An old intent met a new life, and nothing newer came to end it. */
static void
who_is_alive_for_long_has_not_left(void **unused)
{
	struct serf_message leave = { .type = SERF_LEAVE, .u.intent = { 9, STR("d"), false } };

	(void)unused;
	for (unsigned i = A; i <= C; i++)
		net->cut[i][D] = net->cut[D][i] = true;
	net_give(net, A, &leave);
	net_start(net, D, "node");
	net_member_alive(net, A, D);
	assert_string_equal(net_state(net, A, D), "leaving");
	net_run(net, 9 * NSEC_SEC);
	assert_string_equal(net_state(net, A, D), "leaving");
	net_run(net, 2 * NSEC_SEC);
	assert_string_equal(net_state(net, A, D), "alive");
	net->cut[A][D] = net->cut[D][A] = false;
	net_kill(net, D);
	assert_string_equal(net_state(net, A, D), "failed"); /* and is not taken for left */
}

/* A state tells of who left with a time that is newer by one; whoever comes back is newer yet. */
static void
a_join_is_newer_than_the_leave_as_others_tell_it(void **unused)
{
	struct serf_member b;

	(void)unused;
	serf_leave(net->nodes[B].serf, net->now);
	net_drain(net, B);
	net_run(net, 10 * NSEC_SEC);
	assert_true(serf_member_find(net->nodes[A].serf, STR("b"), &b));
	assert_int_equal(b.state, SERF_LEFT);
	net_start(net, D, "node"); /* hears of b from a, as having left */
	net_push_pull(net, D, A, true);
	net_start(net, B, "node");
	net_join(net, B, C);
	net_run(net, NSEC_SEC);
	net_member_alive(net, D, B);
	assert_string_equal(net_state(net, D, B), "alive");
}

/* Its join was heard, SWIM has not said yet that it is back: what is told of it is no leave. */
static void
who_is_about_to_be_back_is_not_told_as_left(void **unused)
{
	struct serf_message join = { .type = SERF_JOIN, .u.intent = { 40, STR("b"), false } };

	(void)unused;
	serf_leave(net->nodes[B].serf, net->now);
	net_drain(net, B);
	net_run(net, 10 * NSEC_SEC);
	assert_string_equal(net_state(net, A, B), "left");
	net->cut[A][C] = net->cut[C][A] = true;
	net_start(net, B, "node");
	net_member_alive(net, C, B);
	net_give(net, A, &join);
	net_give(net, C, &join);
	assert_string_equal(net_state(net, A, B), "left");
	net_push_pull(net, A, C, false);
	assert_string_equal(net_state(net, C, B), "alive");
}

static void
tables_are_bounded(void **unused)
{
	struct serf_message m = { .type = SERF_JOIN };
	unsigned before = net->nodes[A].broadcasts;
	char name[16];

	(void)unused;
	for (unsigned i = 0; i < 5000; i++) {
		m.u.intent.ltime = i + 10;
		snprintf(name, sizeof name, "n%u", i);
		m.u.intent.node = str_of(name);
		net->cut[A][B] = net->cut[A][C] = true;
		net_give(net, A, &m);
	}
	assert_int_equal(net->nodes[A].broadcasts - before, 5000);
	assert_int_equal(serf_stats(net->nodes[A].serf).dropped, 5000 - 4096);
	m.u.intent.ltime = UINT64_MAX; /* would stop the clock for ever */
	net_give(net, A, &m);
	assert_int_equal(serf_clocks(net->nodes[A].serf).member, 5010);
	m.type = SERF_LEAVE;
	m.u.intent = (struct serf_intent){ UINT64_MAX, STR("a"), true };
	net_give(net, A, &m);
	assert_string_equal(net_state(net, A, A), "alive");
}

static void
the_gone_are_tried_again_and_reaped_after_three_days(void **unused)
{
	(void)unused;
	net_kill(net, C);
	serf_leave(net->nodes[B].serf, net->now);
	net_drain(net, B);
	net_kill(net, B);
	net_forget_story(net);
	net_run(net, 71 * NSEC_HOUR);
	assert_int_equal(net->nodes[A].reconnects, 71 * 120);
	net_story(net, "");
	net_run(net, 2 * NSEC_HOUR);
	net_story(net, "a: member-reap c\na: member-reap b\n");
	assert_int_equal(serf_member_count(net->nodes[A].serf, SERF_NONE), 1);
	assert_int_equal(serf_stats(net->nodes[A].serf).reaped, 2);
	net_member_alive(net, A, C); /* links that come back after days, without any join */
	net_member_alive(net, A, B);
	assert_string_equal(net_state(net, A, C), "alive");
	assert_string_equal(net_state(net, A, B), "alive");
}

static void
new_name_is_a_new_member(void **unused)
{
	struct serf_member m;

	(void)unused;
	net_forget_story(net);
	serf_rename(net->nodes[B].serf, net->now, STR("b2"));
	assert_false(serf_member_find(net->nodes[B].serf, STR("b"), &m));
	assert_true(serf_member_find(net->nodes[B].serf, STR("b2"), &m));
	assert_int_equal(m.state, SERF_ALIVE);
	assert_int_equal(serf_member_count(net->nodes[B].serf, SERF_ALIVE), 3);
	net_drain(net, B);
	net_story(net, "b: member-join b2\n");
	serf_rename(net->nodes[B].serf, net->now, STR("c")); /* the name of another here */
	assert_int_equal(serf_member_count(net->nodes[B].serf, SERF_ALIVE), 2);
	net_drain(net, B);
}

static void
new_tags_are_an_update(void **unused)
{
	struct serf_action a;
	struct err err;
	char big[WIRE_META_MAX + 1] = { 0 };

	(void)unused;
	net_forget_story(net);
	assert_int_equal(
	    serf_meta_set(net->nodes[B].serf, net->now, STR("\xff\x81\xa4role\xa3web"), NULL), 0);
	assert_true(serf_action_next(net->nodes[B].serf, &a));
	assert_int_equal(a.kind, SERF_DO_META);
	assert_str(a.bytes, "\xff\x81\xa4role\xa3web");
	net_drain(net, B);
	net_start(net, D, "web");
	net->nodes[D].swim.name = STR("b"); /* the same by SWIM */
	net->nodes[D].swim.addr = net->nodes[B].swim.addr;
	net_member_alive(net, A, D);
	net_story(net, "b: member-update b\nd: member-join d\na: member-update b\n");
	assert_int_equal(
	    serf_meta_set(net->nodes[B].serf, net->now, str_mem(big, sizeof big), &err), ERR_LIMIT);
}

static void
two_with_one_name_are_told_with_both_ids(void **unused)
{
	struct swim_member other = net->nodes[B].swim;

	(void)unused;
	other.addr.bytes[3] = 99;
	other.meta = net->nodes[C].swim.meta;
	net_forget_story(net);
	serf_conflict(net->nodes[B].serf, net->now, &net->nodes[B].swim, &other);
	net_drain(net, B);
	net_run(net, 10 * NSEC_SEC);
	net_story(net,
	    "b: two agents are called \"b\": 10.0.0.2:7946 with id b and 10.0.0.99:7946 with id c; "
	    "give one of them another name\n"
	    "b: 2 of 2 agents that answered know \"b\" at our address\n");
	serf_conflict(net->nodes[A].serf, net->now, &net->nodes[B].swim, &other);
	net_drain(net, A);
	net_run(net, 10 * NSEC_SEC);
	net_story(net,
	    "a: two agents are called \"b\": 10.0.0.2:7946 with id b and 10.0.0.99:7946 with id c; "
	    "give one of them another name\n");
}

static void
muster_bytes_pass(void **unused)
{
	struct serf_message m = { .type = SERF_MUSTER, .u.muster = STR("delta") };
	struct buf out;
	struct addr from = { .family = ADDR_V4 };

	(void)unused;
	net_forget_story(net);
	net_give(net, A, &m);
	buf_init(&out, 1024 * 1024);
	serf_state_write(net->nodes[A].serf, STR("digest"), &out);
	assert_int_equal(
	    serf_state_merge(net->nodes[B].serf, net->now, &from, false, buf_str(&out), NULL), 0);
	net_drain(net, B);
	net_story(net, "a: delta\nb: digest\n");
	buf_done(&out);
}

static void
what_is_no_message_is_refused(void **unused)
{
	static const struct str bad[] = { { "", 0 }, { "\x0b\x80", 2 }, { "\x02\x80", 2 },
		{ "\x00\x81", 2 }, { "\x07\x80", 2 }, { "\x03\xc1", 2 } };
	struct addr from = { .family = ADDR_V4 };
	struct err err;

	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(
		    serf_input(net->nodes[A].serf, net->now, &from, bad[i], &err), ERR_INPUT);
	assert_int_equal(
	    serf_state_merge(net->nodes[A].serf, net->now, &from, false, STR("\x00\x80"), &err),
	    ERR_INPUT);
	assert_int_equal(
	    serf_state_merge(net->nodes[A].serf, net->now, &from, false, STR(""), &err), 0);
	assert_int_equal(serf_stats(net->nodes[A].serf).malformed, 7);
}

static struct str
meta_of(uint8_t *room, const struct serf_tag *tags, size_t count)
{
	struct writer w = wr_of(room, WIRE_META_MAX);

	serf_tags_write(&w, tags, count);
	return wr_done(&w);
}

static void
a_pool_of_consul_agents_is_refused_in_words(void **unused)
{
	struct serf_tag tags[] = { { STR("role"), STR("consul") }, { STR("dc"), STR("dc1") },
		{ STR("build"), STR("1.10.11:abc") } };
	struct swim_member m = { .name = STR("srv"),
		.addr = { .family = ADDR_V4, .port = 8301, .bytes = { 10, 0, 0, 9 } } };
	struct serf_meta meta = { .server = true,
		.muster = 1,
		.port = 8300,
		.expect = 3,
		.dc = STR("dc1"),
		.id = STR("11111111-2222-3333-4444-555555555555"),
		.build = STR("1.2.0:muster") };
	struct serf_meta got;
	uint8_t room[WIRE_META_MAX];
	struct writer w = wr_of(room, sizeof room);
	struct arena arena;
	struct err err;

	(void)unused;
	m.meta = meta_of(room, tags, 3);
	assert_int_equal(serf_meta_check(&m, STR("dc1"), &err), ERR_REFUSED);
	assert_string_equal(err.text,
	    "\"srv\" at 10.0.0.9:8301 is a Consul server, version 1.10.11: muster does not join a "
	    "pool of Consul agents, it replaces them; give addresses of muster agents");
	m.meta = meta_of(room, tags, 2); /* anybody may call itself so */
	assert_int_equal(serf_meta_check(&m, STR("dc1"), &err), 0);
	assert_int_equal(serf_meta_write(&w, &meta, &err), 0);
	m.meta = wr_done(&w);
	assert_int_equal(serf_meta_check(&m, STR("dc1"), &err), 0);
	assert_int_equal(serf_meta_check(&m, STR("dc2"), &err), ERR_REFUSED);
	arena_init(&arena, 65536);
	assert_int_equal(serf_meta_read(&arena, m.meta, &got, &err), 0);
	assert_true(got.server && got.muster == 1 && got.port == 8300 && got.expect == 3);
	assert_str(got.id, "11111111-2222-3333-4444-555555555555");
	assert_int_equal(got.name.n + got.cluster.n, 0);
	assert_int_equal(got.raft.version, 0);
	meta.raft = (struct serf_raft){ 1, 0xfedcba9876543210, { { 7, 8, 9 } }, true };
	w = wr_of(room, sizeof room);
	assert_int_equal(serf_meta_write(&w, &meta, &err), 0);
	assert_int_equal(serf_meta_read(&arena, wr_done(&w), &got, &err), 0);
	assert_true(got.raft.version == 1 && got.raft.id == 0xfedcba9876543210 && got.raft.formed);
	assert_true(uuid_eq(&got.raft.cluster, &meta.raft.cluster));
	meta.server = false;
	meta.name = STR("srv"); /* also of who is no server */
	meta.cluster = STR("99999999-2222-3333-4444-555555555555");
	w = wr_of(room, sizeof room);
	assert_int_equal(serf_meta_write(&w, &meta, &err), 0);
	assert_int_equal(serf_meta_read(&arena, wr_done(&w), &got, &err), 0);
	assert_int_equal(got.raft.version, 0);
	assert_str(got.name, "srv");
	assert_str(got.cluster, "99999999-2222-3333-4444-555555555555");
	arena_done(&arena);
	w = wr_of(room, 100);
	assert_int_equal(serf_meta_write(&w, &meta, &err), ERR_LIMIT);
}

static void
a_broken_raft_tag_is_none(void **unused)
{
	static const struct {
		const char *value;
		unsigned version;
	} rows[] = {
		{ "1.ff.00000000-0000-0000-0000-000000000000.0", 1 },
		{ "2.ff.00000000-0000-0000-0000-000000000000.1.more", 2 },
		{ "1.FF.00000000-0000-0000-0000-000000000000.0", 0 },
		{ "1.fffffffffffffffff.00000000-0000-0000-0000-000000000000.0", 0 },
		{ "1.ff.00000000.0", 0 },
		{ "x.ff.00000000-0000-0000-0000-000000000000.0", 0 },
		{ "1..00000000-0000-0000-0000-000000000000.0", 0 },
		{ "1", 0 },
		{ "", 0 },
	};
	uint8_t room[WIRE_META_MAX];
	struct serf_meta got;
	struct arena arena;

	(void)unused;
	arena_init(&arena, 65536);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct serf_tag tag = { STR("raft"), str_of(rows[i].value) };

		assert_int_equal(serf_meta_read(&arena, meta_of(room, &tag, 1), &got, NULL), 0);
		assert_int_equal(got.raft.version, rows[i].version);
	}
	arena_done(&arena);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, three, done)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(agents_meet),
		STORY(a_leave_is_left_and_a_death_is_failed),
		STORY(who_comes_back_is_alive_and_stays_so),
		STORY(old_news_of_a_leave_does_not_take_the_returned),
		STORY(intents_about_oneself_are_refuted),
		STORY(left_members_of_a_peer_win_over_equal_times),
		STORY(force_leave_turns_failed_into_left),
		STORY(a_prune_reaches_who_heard_more_of_the_leave),
		STORY(what_was_pruned_is_not_revived_by_old_gossip),
		STORY(intents_wait_for_unknown_members),
		STORY(who_is_alive_for_long_has_not_left),
		STORY(a_join_is_newer_than_the_leave_as_others_tell_it),
		STORY(who_is_about_to_be_back_is_not_told_as_left),
		STORY(tables_are_bounded),
		STORY(the_gone_are_tried_again_and_reaped_after_three_days),
		STORY(new_name_is_a_new_member),
		STORY(new_tags_are_an_update),
		STORY(two_with_one_name_are_told_with_both_ids),
		STORY(muster_bytes_pass),
		STORY(what_is_no_message_is_refused),
		cmocka_unit_test(a_pool_of_consul_agents_is_refused_in_words),
		cmocka_unit_test(a_broken_raft_tag_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

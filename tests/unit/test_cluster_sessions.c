/* What ends a session, and what does not (RULES 7). */
#include "base/cursor.h"
#include "base/log.h"
#include "kv/delta.h"
#include "tests/unit/cluster_one.h"

static const struct uuid one_cluster = { { 9 } }; /* of external records, as one_store() has it */

struct room {
	struct one one;
	struct store *peer; /* another agent's, whose node is "p" */
};

/* Records come over as they do between agents. */
static void
peer_sends(struct room *r)
{
	struct store_needs needs;
	struct buf b;

	buf_init(&b, 1 << 20);
	delta_range(store_owner(r->peer, &one_peer), 0, 1 << 20, &b);
	if (b.n > 0)
		assert_int_equal(
		    store_range(r->one.store, r->one.now, buf_str(&b), &needs, NULL), 0);
	buf_done(&b);
	cluster_store_changed(r->one.cluster, r->one.now);
	one_drain(&r->one);
}

static void
peer_check(struct room *r, const char *status) /* NULL: deregistered */
{
	struct check_info info = { .id = STR("c"), .name = STR("c"), .status = str_of(status) };

	if (status == NULL)
		store_remove_check(r->peer, r->one.now, &one_peer, STR_NONE, STR("c"));
	else
		store_put_check(r->peer, r->one.now, &one_peer, &info, NULL);
	peer_sends(r);
}

static void
peer_is(struct room *r, bool alive, bool left)
{
	struct cluster_member m = { .agent = one_peer,
		.alive = alive,
		.left = left,
		.version = 1,
		.since = r->one.now.mono };

	store_member(r->one.store, r->one.now, &one_peer,
	    left    ? STORE_MEMBER_GONE
	    : alive ? STORE_MEMBER_ALIVE
		    : STORE_MEMBER_FAILED,
	    0);
	one_member(&r->one, &m);
}

static void
others_are(struct room *r, unsigned count, bool alive)
{
	for (unsigned i = 0; i < count; i++) {
		struct cluster_member m = { .agent = { { (uint8_t)(50 + i) } },
			.alive = alive,
			.version = 1,
			.since = r->one.now.mono };

		one_member(&r->one, &m);
	}
}

/* A leader alone, synced for long, with a peer whose check passes. */
static struct room
room_new(void)
{
	struct room r = { .one = one_new(
			      (struct cluster_config){ .server = true, .bootstrap = true }) };
	struct store_config config = { .self = one_peer,
		.cluster = one_cluster,
		.epoch = { 1, 5 },
		.limits = owner_limits_default };
	struct cluster_member self = {
		.agent = one_self, .server = true, .alive = true, .version = 1
	};
	struct node_info node = { .name = STR("p"), .address = STR("10.0.0.2") };

	one_drain(&r.one);
	one_member(&r.one, &self);
	r.peer = store_new(&config, r.one.now);
	store_put_node(r.peer, r.one.now, &one_peer, &node, NULL);
	store_baseline_end(r.peer, r.one.now);
	peer_is(&r, true, false);
	peer_check(&r, "passing");
	others_are(&r, 3, true);
	cluster_synced(r.one.cluster, r.one.now);
	one_run(&r.one, 11 * NSEC_SEC);
	return r;
}

static void
room_free(struct room *r)
{
	store_free(r->peer);
	one_free(&r->one);
}

static const struct uuid an_id = { { 7, 7 } };

static void
session(struct room *r, const char *node, nsec ttl, const char *check)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	char room[64];
	struct writer w = wr_of(room, sizeof room);
	uint64_t request;

	if (check != NULL) {
		wr_varint(&w, strlen(check));
		wr_bytes(&w, str_of(check));
	}
	op->command = FSM_SESSION_CREATE;
	op->session = (struct session_info){ .id = an_id,
		.node = str_of(node),
		.ttl = ttl,
		.node_checks = { .count = check != NULL, .bytes = wr_done(&w) } };
	request = cluster_write(r->one.cluster, r->one.now, op);
	one_drain(&r->one);
	assert_int_equal(one_answer(&r->one, request)->code, 0);
	free(op);
}

static bool
lasts(struct room *r)
{
	return session_find(fsm_sessions(cluster_fsm(r->one.cluster)), &an_id) != NULL;
}

/* Checks. */

static void
a_critical_check_ends_it(void **unused)
{
	struct room r = room_new();

	(void)unused;
	session(&r, "p", 0, "c");
	one_run(&r.one, 30 * NSEC_SEC);
	assert_true(lasts(&r));
	peer_check(&r, "warning");
	one_run(&r.one, 5 * NSEC_SEC);
	assert_true(lasts(&r));
	peer_check(&r, "critical");
	one_run(&r.one, NSEC_SEC);
	assert_false(lasts(&r));
	room_free(&r);
}

static void
a_critical_check_that_it_does_not_watch_does_not(void **unused)
{
	struct room r = room_new();

	(void)unused;
	session(&r, "p", 0, NULL);
	peer_check(&r, "critical");
	one_run(&r.one, NSEC_MIN);
	assert_true(lasts(&r));
	room_free(&r);
}

static void
a_check_that_was_seen_and_goes_ends_it(void **unused)
{
	struct room r = room_new();

	(void)unused;
	session(&r, "p", 0, "c");
	one_run(&r.one, 2 * NSEC_SEC);
	peer_check(&r, NULL);
	one_run(&r.one, NSEC_SEC);
	assert_false(lasts(&r));
	room_free(&r);
}

static void
absence_ends_it_after_ten_minutes_only(void **unused)
{
	struct room r = room_new();

	(void)unused;
	session(&r, "p", 0, "not-heard-of-yet");
	one_run(&r.one, 9 * NSEC_MIN);
	assert_true(lasts(&r));
	one_run(&r.one, 2 * NSEC_MIN);
	assert_false(lasts(&r));
	session(&r, "nowhere", 0, NULL);
	one_run(&r.one, 9 * NSEC_MIN);
	assert_true(lasts(&r));
	one_run(&r.one, 2 * NSEC_MIN);
	assert_false(lasts(&r));
	room_free(&r);
}

/* The check's recovery may still be on its way to the leader when the session is there. */
static void
news_on_its_way_is_waited_for(void **unused)
{
	struct room r = room_new();

	(void)unused;
	peer_check(&r, "critical");
	session(&r, "p", 0, "c");
	one_run(&r.one, 500 * NSEC_MS);
	assert_true(lasts(&r));
	peer_check(&r, "passing");
	one_run(&r.one, NSEC_MIN);
	assert_true(lasts(&r));
	room_free(&r);
}

/* Nodes. */

static void
a_leave_ends_it(void **unused)
{
	struct room r = room_new();

	(void)unused;
	session(&r, "p", 0, NULL);
	one_run(&r.one, 2 * NSEC_SEC);
	peer_is(&r, false, true);
	one_run(&r.one, NSEC_SEC);
	assert_false(lasts(&r));
	room_free(&r);
}

static void
a_reaped_node_ends_it(void **unused)
{
	struct room r = room_new();

	(void)unused;
	session(&r, "p", 0, NULL);
	one_run(&r.one, 2 * NSEC_SEC);
	cluster_member_gone(r.one.cluster, r.one.now, &one_peer);
	one_run(&r.one, NSEC_SEC);
	assert_false(lasts(&r));
	room_free(&r);
}

static void
a_death_ends_it_once_it_has_lasted(void **unused)
{
	struct room r = room_new();

	(void)unused;
	session(&r, "p", 0, CATALOG_SERF_CHECK);
	one_run(&r.one, 2 * NSEC_SEC);
	peer_is(&r, false, false);
	one_run(&r.one, 24 * NSEC_SEC); /* suspicion 10 s, and 15 s */
	assert_true(lasts(&r));
	peer_is(&r, true, false);
	one_run(&r.one, 5 * NSEC_SEC);
	peer_is(&r, false, false); /* another death, counted from its own beginning */
	one_run(&r.one, 24 * NSEC_SEC);
	assert_true(lasts(&r));
	one_run(&r.one, 7 * NSEC_SEC);
	assert_false(lasts(&r));
	room_free(&r);
}

static void
a_death_that_it_does_not_watch_does_not(void **unused)
{
	struct room r = room_new();

	(void)unused;
	session(&r, "p", 0, "c");
	one_run(&r.one, 2 * NSEC_SEC);
	peer_is(&r, false, false);
	one_run(&r.one, 5 * NSEC_MIN);
	assert_true(lasts(&r));
	room_free(&r);
}

static void
who_sees_most_failed_ends_nothing(void **unused)
{
	struct room r = room_new();

	(void)unused;
	session(&r, "p", 0, CATALOG_SERF_CHECK);
	one_run(&r.one, 2 * NSEC_SEC);
	peer_is(&r, false, false);
	others_are(&r, 3, false);
	one_run(&r.one, 5 * NSEC_MIN);
	assert_true(lasts(&r));
	others_are(&r, 3, true);
	one_run(&r.one, 6 * NSEC_SEC);
	assert_false(lasts(&r));
	room_free(&r);
}

static void
a_leader_that_is_not_synced_ends_nothing(void **unused)
{
	struct room r = { .one = one_new(
			      (struct cluster_config){ .server = true, .bootstrap = true }) };
	struct node_info node = { .name = STR("self"), .address = STR("10.0.0.1") };
	struct check_info check = { .id = STR("c"), .name = STR("c"), .status = STR("critical") };

	(void)unused;
	one_drain(&r.one);
	others_are(&r, 1, true); /* who is alone has nobody to hear from */
	store_put_node(r.one.store, r.one.now, &one_self, &node, NULL);
	store_put_check(r.one.store, r.one.now, &one_self, &check, NULL);
	session(&r, "self", 0, "c");
	one_run(&r.one, NSEC_MIN);
	assert_true(lasts(&r));
	cluster_synced(r.one.cluster, r.one.now);
	one_run(&r.one, 9 * NSEC_SEC); /* not before the longest suspicion is over */
	assert_true(lasts(&r));
	one_run(&r.one, 7 * NSEC_SEC);
	assert_false(lasts(&r));
	room_free(&r);
}

/* A single server whose check is as given; it is synced at once. */
static struct room
room_alone(const char *status)
{
	struct room r = { .one = one_new(
			      (struct cluster_config){ .server = true, .bootstrap = true }) };
	struct node_info node = { .name = STR("self"), .address = STR("10.0.0.1") };
	struct check_info check = { .id = STR("c"), .name = STR("c"), .status = str_of(status) };

	one_drain(&r.one);
	store_put_node(r.one.store, r.one.now, &one_self, &node, NULL);
	store_put_check(r.one.store, r.one.now, &one_self, &check, NULL);
	cluster_synced(r.one.cluster, r.one.now);
	session(&r, "self", 0, "c");
	return r;
}

static void
alone_check(struct room *r, const char *status)
{
	struct check_info check = { .id = STR("c"), .name = STR("c"), .status = str_of(status) };

	store_put_check(r->one.store, r->one.now, &one_self, &check, NULL);
	cluster_store_changed(r->one.cluster, r->one.now);
	one_run(&r->one, NSEC_SEC);
}

static void
who_is_alone_ends_it_at_once_when_a_check_turns_critical(void **unused)
{
	struct room r = room_alone("passing");

	(void)unused;
	one_run(&r.one, NSEC_SEC);
	assert_true(lasts(&r));
	alone_check(&r, "critical");
	assert_false(lasts(&r));
	room_free(&r);
}

/* After a start checks are critical until they have run: that gives no lock away. */
static void
who_is_alone_waits_for_a_check_that_starts_critical(void **unused)
{
	struct room r = room_alone("critical"), stays = room_alone("critical");

	(void)unused;
	one_run(&r.one, 9 * NSEC_SEC);
	assert_true(lasts(&r));
	alone_check(&r, "passing");
	one_run(&r.one, NSEC_MIN);
	assert_true(lasts(&r));
	room_free(&r);

	one_run(&stays.one, 9 * NSEC_SEC);
	assert_true(lasts(&stays));
	one_run(&stays.one, 7 * NSEC_SEC);
	assert_false(lasts(&stays));
	room_free(&stays);
}

static void
an_external_node_that_is_deregistered_ends_it(void **unused)
{
	struct room r = room_new();
	struct node_info node = { .name = STR("printer"), .address = STR("10.0.0.9") };

	(void)unused;
	store_put_node(r.one.store, r.one.now, &one_cluster, &node, NULL);
	store_member(r.one.store, r.one.now, &one_cluster, STORE_MEMBER_ALIVE, 0);
	session(&r, "printer", 0, NULL);
	one_run(&r.one, NSEC_MIN);
	assert_true(lasts(&r));
	store_remove_node(r.one.store, r.one.now, STR("printer"));
	cluster_store_changed(r.one.cluster, r.one.now);
	one_run(&r.one, NSEC_SEC);
	assert_false(lasts(&r));
	room_free(&r);
}

/* TTLs. */

static void
a_ttl_ends_it_between_once_and_twice(void **unused)
{
	struct room r = room_new();
	uint64_t request;

	(void)unused;
	session(&r, "p", 10 * NSEC_SEC, NULL);
	one_run(&r.one, 9 * NSEC_SEC);
	for (int round = 0; round < 5; round++) {
		request = cluster_renew(r.one.cluster, r.one.now, &an_id);
		one_drain(&r.one);
		assert_int_equal(one_answer(&r.one, request)->bytes[0], 1);
		one_run(&r.one, 9 * NSEC_SEC);
		assert_true(lasts(&r));
	}
	one_run(&r.one, 11 * NSEC_SEC);
	assert_false(lasts(&r));
	request = cluster_renew(r.one.cluster, r.one.now, &an_id);
	one_drain(&r.one);
	assert_int_equal(one_answer(&r.one, request)->code, 0);
	assert_int_equal(one_answer(&r.one, request)->bytes[0], 0);
	room_free(&r);
}

static void
a_leader_that_was_stopped_gives_the_full_ttl_again(void **unused)
{
	struct room r = room_new();

	(void)unused;
	session(&r, "p", 10 * NSEC_SEC, NULL);
	r.one.now.mono += NSEC_MIN; /* nothing happened meanwhile, not even its timer */
	one_run(&r.one, 9 * NSEC_SEC);
	assert_true(lasts(&r));
	one_run(&r.one, 11 * NSEC_SEC);
	assert_false(lasts(&r));
	room_free(&r);
}

/* As when somebody sets the clock, or it is put right after a start. */
static void
a_clock_that_is_set_changes_no_ttl_and_no_leader(void **unused)
{
	static const int64_t jumps[] = { 86400000, -2 * 86400000, 1, -86400000 }; /* ms */
	struct room r = room_new();
	uint64_t request;

	(void)unused;
	session(&r, "p", 10 * NSEC_SEC, NULL);
	for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
		one_run(&r.one, 5 * NSEC_SEC);
		r.one.now.wall_ms += jumps[i];
		cluster_tick(r.one.cluster, r.one.now);
		one_drain(&r.one);
		one_run(&r.one, 4 * NSEC_SEC);
		assert_true(lasts(&r));
		assert_true(cluster_status(r.one.cluster, r.one.now).leader);
		request = cluster_renew(r.one.cluster, r.one.now, &an_id);
		one_drain(&r.one);
		assert_int_equal(one_answer(&r.one, request)->bytes[0], 1);
	}
	r.one.now.wall_ms -= 86400000;
	one_run(&r.one, 21 * NSEC_SEC);
	assert_false(lasts(&r));
	room_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_critical_check_ends_it),
		cmocka_unit_test(a_critical_check_that_it_does_not_watch_does_not),
		cmocka_unit_test(a_check_that_was_seen_and_goes_ends_it),
		cmocka_unit_test(absence_ends_it_after_ten_minutes_only),
		cmocka_unit_test(news_on_its_way_is_waited_for),
		cmocka_unit_test(a_leave_ends_it),
		cmocka_unit_test(a_reaped_node_ends_it),
		cmocka_unit_test(a_death_ends_it_once_it_has_lasted),
		cmocka_unit_test(a_death_that_it_does_not_watch_does_not),
		cmocka_unit_test(who_sees_most_failed_ends_nothing),
		cmocka_unit_test(a_leader_that_is_not_synced_ends_nothing),
		cmocka_unit_test(who_is_alone_ends_it_at_once_when_a_check_turns_critical),
		cmocka_unit_test(who_is_alone_waits_for_a_check_that_starts_critical),
		cmocka_unit_test(an_external_node_that_is_deregistered_ends_it),
		cmocka_unit_test(a_ttl_ends_it_between_once_and_twice),
		cmocka_unit_test(a_leader_that_was_stopped_gives_the_full_ttl_again),
		cmocka_unit_test(a_clock_that_is_set_changes_no_ttl_and_no_leader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

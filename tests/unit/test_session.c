/* Sessions: the table, its deadlines, and whom a change wakes. */
#include "tests/unit/fsm_fixture.h"

static void
a_session_ends_between_one_and_two_ttls(void **unused)
{
	struct run r;
	struct sessions *s;
	struct uuid id, got;

	(void)unused;
	run_init(&r);
	s = fsm_sessions(r.fsm);
	assert_true(uuid_parse(STR(S1), &id));
	r.now = 5 * NSEC_SEC;
	sessions_lead(s, r.now);
	run_session(&r, S1, SESSION_TTL_MIN, 0, SESSION_RELEASE);
	assert_true(sessions_deadline(s) > r.now + SESSION_TTL_MIN);
	assert_true(sessions_deadline(s) < r.now + 2 * SESSION_TTL_MIN);
	r.now += 10 * NSEC_SEC;
	assert_false(session_expired_next(s, r.now, &got));
	assert_non_null(session_renew(s, &id, r.now));
	assert_true(sessions_deadline(s) > r.now + SESSION_TTL_MIN);
	r.now = sessions_deadline(s);
	assert_true(session_expired_next(s, r.now, &got));
	assert_true(uuid_eq(&got, &id));
	assert_false(session_expired_next(s, r.now, &got));
	assert_null(session_renew(s, &id, r.now)); /* its end is on the way */
	assert_true(session_expired_next(s, r.now + SESSION_END_RETRY, &got));
	sessions_follow(s);
	assert_true(sessions_deadline(s) == NSEC_NEVER);
	sessions_lead(s, r.now); /* a new leader: in full again */
	assert_true(sessions_deadline(s) > r.now + SESSION_TTL_MIN);
	assert_non_null(session_renew(s, &id, r.now));
	run_end(&r, S1);
	assert_true(sessions_deadline(s) == NSEC_NEVER);
	run_done(&r);
}

static void
the_table_gives_back_what_was_created(void **unused)
{
	struct run r;
	struct session *one;
	struct reader checks;
	struct str check;
	struct uuid id;

	(void)unused;
	run_init(&r);
	assert_int_equal(run_session(&r, S1, 0, 120 * NSEC_SEC, SESSION_DELETE), FSM_TRUE);
	assert_int_equal(run_session(&r, S1, 0, 0, SESSION_DELETE), FSM_ERROR);
	one = session_first(fsm_sessions(r.fsm));
	assert_non_null(one);
	assert_str(one->info.name, "name");
	assert_true(one->info.lock_delay == 120 * NSEC_SEC && one->info.create == 1);
	assert_true(one->info.service_checks.null && !one->info.node_checks.null);
	checks = rd_of(one->info.node_checks.bytes);
	assert_true(session_check_next(&checks, &check));
	assert_str(check, "serfHealth");
	assert_false(session_check_next(&checks, &check));
	assert_ptr_equal(session_node_first(fsm_sessions(r.fsm), STR("n1")), one);
	assert_null(session_node_next(fsm_sessions(r.fsm), one));
	assert_null(session_node_first(fsm_sessions(r.fsm), STR("n2")));
	assert_true(uuid_parse(STR(S2), &id));
	assert_true(session_index(fsm_sessions(r.fsm), &id) == 1);
	run_end(&r, S1);
	assert_int_equal(session_count(fsm_sessions(r.fsm)), 0);
	assert_true(sessions_index(fsm_sessions(r.fsm)) == 3);
	run_done(&r);
}

static void
only_readers_of_the_session_wake(void **unused)
{
	struct run r;
	struct uuid id;
	struct waiter list = { 0 }, node = { 0 }, other = { 0 }, one = { 0 };
	struct watch_key keys[] = { { WATCH_SESSIONS, STR("") }, { WATCH_SESSION_NODE, STR("n1") },
		{ WATCH_SESSION_NODE, STR("n2") }, { WATCH_SESSION, STR_NONE } };
	unsigned woken = 0;

	(void)unused;
	run_init(&r);
	assert_true(uuid_parse(STR(S1), &id));
	keys[3].name = str_mem(id.b, sizeof id.b);
	watch_wait(r.watches, &list, &keys[0], 1);
	watch_wait(r.watches, &node, &keys[1], 1);
	watch_wait(r.watches, &other, &keys[2], 1);
	watch_wait(r.watches, &one, &keys[3], 1);
	run_session(&r, S1, 0, 0, SESSION_DELETE);
	for (struct waiter *w; (w = watch_ready_next(r.watches)) != NULL; woken++)
		assert_ptr_not_equal(w, &other);
	assert_int_equal(woken, 3);
	watch_cancel(r.watches, &other);
	run_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_ends_between_one_and_two_ttls),
		cmocka_unit_test(the_table_gives_back_what_was_created),
		cmocka_unit_test(only_readers_of_the_session_wake),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}

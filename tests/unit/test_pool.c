/* tests/unit/test_pool.c -- an agent's part in the pool: joining, the catalog, leaving, dying,
 * coming back. */
#include "tests/unit/pool_fixture.h"

static void
two_join_and_see_each_other(void **unused)
{
	struct world *w = world_new();

	(void)unused;
	world_start(w, A);
	world_start(w, B);
	assert_true(w->nodes[A].ready);
	world_join(w, B, A);
	assert_int_equal(w->nodes[B].joins_ok, 1);
	assert_string_equal(world_state(w, A, B), "alive");
	assert_string_equal(world_state(w, B, A), "alive");
	world_free(w);
}

static void
records_of_each_are_with_all(void **unused)
{
	struct world *w = world_of(4);
	nsec took;

	(void)unused;
	world_service(w, C, "db");
	took = world_until_service(w, 4, C, "db");
	assert_in_range(took, 0, 5 * NSEC_MS); /* pushed, not repaired */
	world_free(w);
}

static void
nobody_is_joined_where_nobody_listens(void **unused)
{
	struct world *w = world_new();

	(void)unused;
	world_start(w, A);
	world_join(w, A, B);
	assert_int_equal(w->nodes[A].joins_failed, 1);
	assert_string_equal(w->nodes[A].join_text, "10.0.0.2:8301: nobody listens there");
	w->nodes[B].silent = true;
	world_join(w, A, B);
	world_run(w, 11 * NSEC_SEC);
	assert_int_equal(w->nodes[A].joins_failed, 2);
	assert_string_equal(w->nodes[A].join_text, "10.0.0.2:8301: it did not answer in time");
	world_free(w);
}

/* --- leaving --- */

static void
who_leaves_is_out_within_a_second(void **unused)
{
	struct world *w = world_of(4);
	nsec took, from;

	(void)unused;
	from = w->now.mono;
	pool_leave(w->nodes[B].pool, w->now);
	world_drain(w, B);
	took = world_until_shown(w, NSEC_SEC, 4, B, NOT_THERE);
	assert_in_range(took, 1, NSEC_SEC);
	world_run(w, 3 * NSEC_SEC);
	assert_true(w->nodes[B].left);
	assert_true(w->nodes[B].left_at - from >= NSEC_SEC); /* and still answered */
	assert_true(w->nodes[B].left_at - from <= 3 * NSEC_SEC);
	world_kill(w, B);
	world_run(w, 30 * NSEC_SEC);
	assert_string_equal(world_state(w, A, B), "left");
	assert_string_equal(world_state(w, D, B), "left");
	assert_false(world_told(w, A, "member-failed b"));
	world_free(w);
}

static void
who_is_alone_leaves_at_once(void **unused)
{
	struct world *w = world_new();

	(void)unused;
	world_start(w, A);
	pool_leave(w->nodes[A].pool, w->now);
	world_drain(w, A);
	assert_true(w->nodes[A].left);
	world_free(w);
}

static void
who_left_comes_back_with_what_it_has(void **unused)
{
	struct world *w = world_of(3);

	(void)unused;
	pool_leave(w->nodes[B].pool, w->now);
	world_drain(w, B);
	world_run(w, 3 * NSEC_SEC);
	world_kill(w, B);
	world_run(w, 5 * NSEC_SEC);
	world_start(w, B);
	world_service(w, B, "web");
	world_join(w, B, A);
	world_until_shown(w, 5 * NSEC_SEC, 3, B, SHOWN);
	assert_string_equal(world_state(w, C, B), "alive");
	world_free(w);
}

/* --- dying --- */

static void
killed_process_is_hidden_soon(void **unused)
{
	struct world *w = world_of(5);

	(void)unused;
	world_kill(w, C);
	world_until_shown(w, 4 * NSEC_SEC, 5, C, HIDDEN);
	assert_true(world_told(w, A, "member-failed c"));
	world_free(w);
}

static void
silent_host_is_hidden_later(void **unused)
{
	struct world *w = world_of(5);

	(void)unused;
	w->nodes[C].silent = true;
	world_kill(w, C);
	world_run(w, 2 * NSEC_SEC);
	assert_int_equal(world_shown(w, A, C), SHOWN);
	world_until_shown(w, 20 * NSEC_SEC, 5, C, HIDDEN);
	world_free(w);
}

static void
restart_without_a_word_shows_again_at_once(void **unused)
{
	struct world *w = world_of(4);

	(void)unused;
	world_kill(w, C);
	world_until_shown(w, 4 * NSEC_SEC, 4, C, HIDDEN);
	world_start(w, C);
	world_service(w, C, "web");
	world_join(w, C, B);
	world_until_shown(w, 2 * NSEC_SEC, 4, C, SHOWN);
	world_free(w);
}

static bool
dips(struct world *w, const void *arg)
{
	(void)arg;
	return world_shown(w, A, C) != SHOWN || world_shown(w, B, C) != SHOWN;
}

static void
quick_restart_hides_nothing(void **unused)
{
	struct world *w = world_of(4);

	(void)unused;
	world_run(w, 2 * NSEC_SEC);
	world_kill(w, C);
	world_never(w, 100 * NSEC_MS, dips, NULL, "hidden before anybody knows");
	world_start(w, C);
	world_service(w, C, "web");
	world_join(w, C, A);
	world_never(w, 20 * NSEC_SEC, dips, NULL, "hidden when it came back");
	assert_string_equal(world_state(w, D, C), "alive");
	world_free(w);
}

static void
announced_restart_hides_nothing(void **unused)
{
	struct world *w = world_of(4);

	(void)unused;
	pool_restarting(w->nodes[C].pool, w->now);
	world_drain(w, C);
	world_run(w, 10 * NSEC_MS);
	world_kill(w, C);
	world_never(w, 20 * NSEC_SEC, dips, NULL, "hidden in its grace");
	world_start(w, C);
	world_service(w, C, "web");
	world_join(w, C, A);
	world_never(w, 20 * NSEC_SEC, dips, NULL, "hidden when it came back");
	world_free(w);
}

static void
announced_restart_that_does_not_come_hides(void **unused)
{
	struct world *w = world_of(4);

	(void)unused;
	pool_restarting(w->nodes[C].pool, w->now);
	world_drain(w, C);
	world_run(w, 10 * NSEC_MS);
	world_kill(w, C);
	world_until_shown(w, 40 * NSEC_SEC, 4, C, HIDDEN);
	assert_in_range(w->now.mono, 29 * NSEC_SEC, 45 * NSEC_SEC);
	world_free(w);
}

/* Back before anybody missed it: the grace is used up all the same. */
static void
death_after_a_quick_restart_hides_soon(void **unused)
{
	struct world *w = world_of(4);

	(void)unused;
	pool_restarting(w->nodes[C].pool, w->now);
	world_drain(w, C);
	world_run(w, 10 * NSEC_MS);
	world_kill(w, C);
	world_run(w, 50 * NSEC_MS);
	world_start(w, C);
	world_service(w, C, "web");
	world_join(w, C, A);
	world_run(w, 3 * NSEC_SEC);
	assert_int_equal(world_shown(w, A, C), SHOWN);
	world_kill(w, C);
	world_until_shown(w, 5 * NSEC_SEC, 4, C, HIDDEN);
	world_free(w);
}

static void
blip_is_over_within_seconds(void **unused)
{
	struct world *w = world_of(5);

	(void)unused;
	for (unsigned i = 0; i < 5; i++)
		if (i != C)
			world_cut(w, C, i, true);
	world_until_shown(w, 60 * NSEC_SEC, 2, C, HIDDEN); /* by a and b */
	world_service(w, C, "late");
	world_service(w, A, "later");
	for (unsigned i = 0; i < 5; i++)
		if (i != C)
			world_cut(w, C, i, false);
	world_until_service(w, 5, C, "late");
	world_until_service(w, 5, A, "later");
	world_free(w);
}

/* RULES 16: who answers on TCP is not dead. */
static void
who_answers_on_streams_is_alive(void **unused)
{
	struct world *w = world_of(2);

	(void)unused;
	w->udp_cut[A][B] = w->udp_cut[B][A] = true;
	world_run(w, NSEC_MIN);
	assert_false(world_told(w, A, "member-failed b"));
	assert_int_equal(world_shown(w, A, B), SHOWN);
	world_free(w);
}

/* RULES 16: it is more likely that we are cut off than that all the others died at once. */
static void
who_is_cut_off_keeps_showing_the_others(void **unused)
{
	struct world *w = world_of(5);

	(void)unused;
	for (unsigned i = B; i <= E; i++)
		world_cut(w, A, i, true);
	world_run(w, NSEC_MIN);
	assert_string_equal(world_state(w, A, B), "failed");
	assert_true(world_told(w, A, "cut off"));
	for (unsigned i = C; i <= E; i++)
		assert_int_equal(world_shown(w, A, i), SHOWN);
	assert_int_equal(world_shown(w, B, A), HIDDEN);
	for (unsigned i = B; i <= E; i++)
		world_cut(w, A, i, false);
	world_run(w, 5 * NSEC_SEC);
	assert_int_equal(world_shown(w, B, A), SHOWN);
	assert_string_equal(world_state(w, A, B), "alive");
	world_free(w);
}

/* One after the other is found dead, more slowly than one half within a suspicion time. */
static void
who_is_alone_keeps_them_from_the_first_on(void **unused)
{
	struct world *w = world_of(6);

	(void)unused;
	world_run(w, NSEC_MIN);
	for (unsigned i = B; i <= F; i++)
		world_cut(w, A, i, true);
	for (int i = 0; i < 60; i++) {
		world_run(w, 3 * NSEC_SEC);
		for (unsigned m = B; m <= F; m++)
			assert_int_equal(world_shown(w, A, m), SHOWN);
	}
	assert_true(world_told(w, A, "cut off"));
	for (unsigned m = B; m <= F; m++)
		assert_string_equal(world_state(w, A, m), "failed");
	world_free(w);
}

/* Most are killed at once, but their hosts say so: nothing is cut off, nothing dead is shown. */
static void
who_is_refused_is_not_kept(void **unused)
{
	struct world *w = world_of(5);

	(void)unused;
	world_run(w, NSEC_MIN);
	for (unsigned i = B; i <= D; i++)
		world_kill(w, i);
	for (unsigned i = B; i <= D; i++)
		world_until_shown(w, 10 * NSEC_SEC, 1, i, HIDDEN);
	world_run(w, NSEC_MIN);
	assert_false(world_told(w, A, "cut off"));
	for (unsigned i = B; i <= D; i++)
		assert_int_equal(world_shown(w, E, i), HIDDEN);
	world_free(w);
}

/* --- readiness (RULES 13) --- */

static void
ready_after_one_whole_exchange(void **unused)
{
	struct world *w = world_of(2);

	(void)unused;
	w->nodes[C].awaits = true;
	world_start(w, C);
	world_run(w, NSEC_SEC);
	assert_false(pool_ready(w->nodes[C].pool));
	world_join(w, C, A);
	world_until_ready(w, NSEC_SEC, C);
	assert_int_equal(world_shown(w, C, A), SHOWN);
	assert_int_equal(world_shown(w, C, B), SHOWN);
	world_free(w);
}

static void
ready_after_a_wait_when_nobody_is_there(void **unused)
{
	struct world *w = world_new();

	(void)unused;
	w->nodes[A].awaits = true;
	world_start(w, A);
	world_join(w, A, B);
	world_run(w, 9 * NSEC_SEC);
	assert_false(pool_ready(w->nodes[A].pool));
	world_until_ready(w, NSEC_SEC, A);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_join_and_see_each_other),
		cmocka_unit_test(records_of_each_are_with_all),
		cmocka_unit_test(nobody_is_joined_where_nobody_listens),
		cmocka_unit_test(who_leaves_is_out_within_a_second),
		cmocka_unit_test(who_is_alone_leaves_at_once),
		cmocka_unit_test(who_left_comes_back_with_what_it_has),
		cmocka_unit_test(killed_process_is_hidden_soon),
		cmocka_unit_test(silent_host_is_hidden_later),
		cmocka_unit_test(restart_without_a_word_shows_again_at_once),
		cmocka_unit_test(quick_restart_hides_nothing),
		cmocka_unit_test(announced_restart_hides_nothing),
		cmocka_unit_test(announced_restart_that_does_not_come_hides),
		cmocka_unit_test(death_after_a_quick_restart_hides_soon),
		cmocka_unit_test(blip_is_over_within_seconds),
		cmocka_unit_test(who_answers_on_streams_is_alive),
		cmocka_unit_test(who_is_cut_off_keeps_showing_the_others),
		cmocka_unit_test(who_is_alone_keeps_them_from_the_first_on),
		cmocka_unit_test(who_is_refused_is_not_kept),
		cmocka_unit_test(ready_after_one_whole_exchange),
		cmocka_unit_test(ready_after_a_wait_when_nobody_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

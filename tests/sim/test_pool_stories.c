/* Stories of whole agents: what DESIGN.md and issue 3 promise, each by hand. See story.h; those of
 * disks and names are in test_pool_disks.c. */
#include <stdlib.h>

#include "tests/sim/story.h"
#include "tests/unit/test.h"

/* The tests. */

static void
a_change_reaches_all_at_once(void **unused)
{
	(void)unused;
	struct story *s = story_begin(30, 1);

	for (size_t k = 0; k < 20; k++) {
		story_service(s, k, k % 5, k % 3 != 0);
		story_run(s, 5 * NSEC_MS); /* one way through the network */
		if (!pool_check_agreed(&s->check, NULL))
			story_fail(s, "not after 5 ms");
		story_run(s, 200 * NSEC_MS);
	}
	story_end(s);
}

static void
a_lost_push_is_repaired(void **unused)
{
	(void)unused;
	struct story *s = story_begin(30, 2);

	for (size_t k = 0; k < 10; k++) {
		s->sim->dry_from = k;
		s->sim->dry_count = 60;
		story_service(s, k, 7, true);
		s->sim->dry_count = 0;
		story_agree(s, 3 * NSEC_SEC);
	}
	story_end(s);
}

/* Not even an announcement gets out: what is left is repair. */
static void
a_lost_push_and_silence_is_repaired(void **unused)
{
	(void)unused;
	struct story *s = story_begin(5, 3);

	for (size_t k = 0; k < 5; k++) {
		for (size_t j = 0; j < 5; j++)
			net_cut(&s->sim->net, k, j, j != k);
		story_service(s, k, 7, true);
		story_run(s, 400 * NSEC_MS);
		net_uncut(&s->sim->net);
		pool_check_weather(&s->check);
		story_agree(s, 12 * NSEC_SEC);
	}
	story_end(s);
}

static void
twenty_blips_in_a_row(void **unused)
{
	(void)unused;
	struct story *s = story_begin(5, 4);
	nsec longest = 0;

	for (size_t k = 0; k < 20; k++) {
		nsec took;

		story_cut_off(s, B, true);
		story_runs(s, 10 * NSEC_SEC);
		story_service(s, B, k % 6, k % 2 == 0);
		story_service(s, C, k % 5, k % 3 == 0);
		story_runs(s, 10 * NSEC_SEC);
		story_cut_off(s, B, false);
		took = story_agree(s, 5 * NSEC_SEC);
		longest = took > longest ? took : longest;
		story_runs(s, 10 * NSEC_SEC);
	}
	print_message("blips of 20 s: right after %.2f s at most\n", (double)longest / NSEC_SEC);
	story_end(s);
}

static void
two_against_three(void **unused)
{
	(void)unused;
	nsec longest = 0;

	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct story *s = story_begin(5, seed);
		nsec took;

		pool_check_weather(&s->check);
		for (size_t i = A; i <= B; i++)
			for (size_t j = C; j <= E; j++)
				net_cut_both(&s->sim->net, i, j, true);
		for (size_t k = 0; k < 60; k++) {
			story_service(s, k % 5, k % 7, k % 4 != 0);
			story_runs(s, NSEC_SEC);
		}
		/* Each side answers for itself: what is registered there shows there. */
		assert_true(pool_check_answers(s->sim, A, B));
		assert_true(pool_check_answers(s->sim, D, E));
		net_uncut(&s->sim->net);
		pool_check_weather(&s->check);
		took = story_agree(s, 10 * NSEC_SEC);
		longest = took > longest ? took : longest;
		story_end(s);
	}
	print_message("2 | 3: equal after %.2f s at most\n", (double)longest / NSEC_SEC);
}

/* An upgrade of all hosts, one after the other, while services come and go elsewhere. */
static void
upgrades_are_not_seen(void **unused)
{
	(void)unused;
	struct story *s = story_begin(10, 5);

	for (size_t i = 0; i < 10; i++) {
		pool_check_disturbed(&s->check, i);
		pool_check_upgrade(&s->check, i);
		assert_true(s->check.upgrades[i].on);
		pool_sim_stop(s->sim, i);
		for (size_t k = 0; k < 20 + i * 20; k++) {
			story_service(s, (i + 1 + k % 9) % 10, k % 5, k % 4 != 0);
			story_run(s, 100 * NSEC_MS);
		}
		s->check.disturbed[i] = s->sim->net.now;
		pool_sim_start(s->sim, i, 2 * NSEC_SEC);
		for (size_t k = 0; k < 100; k++)
			story_run(s, 30 * NSEC_MS);
		story_agree(s, 5 * NSEC_SEC);
		assert_true(s->check.upgrades[i].on);
	}
	story_runs(s, POOL_DIP_AFTER);
	story_end(s);
}

/* It says that it stops in one datagram to each, and cannot say it again. */
static void
word_of_an_upgrade_may_be_lost(void **unused)
{
	(void)unused;
	struct story *s = story_begin(30, 19);

	for (size_t i = 0; i < 5; i++) {
		pool_check_disturbed(&s->check, i);
		pool_check_upgrade(&s->check, i);
		s->sim->dry_from = i;
		s->sim->dry_count = 3;
		pool_sim_stop(s->sim, i);
		s->sim->dry_count = 0;
		story_runs(s, 10 * NSEC_SEC);
		s->check.disturbed[i] = s->sim->net.now;
		pool_sim_start(s->sim, i, 0);
		story_agree(s, 5 * NSEC_SEC);
	}
	story_end(s);
}

static void
two_upgrades_in_a_row_are_not_seen(void **unused)
{
	(void)unused;
	struct story *s = story_begin(10, 20);

	for (int k = 0; k < 2; k++) {
		s->check.disturbed[C] = s->sim->net.now;
		pool_sim_start(s->sim, C, 0);
		story_runs(s, 500 * NSEC_MS);
		pool_check_disturbed(&s->check, C);
		pool_check_upgrade(&s->check, C);
		pool_sim_stop(s->sim, C);
		story_runs(s, 500 * NSEC_MS);
	}
	story_runs(s, 20 * NSEC_SEC);
	story_end(s);
}

/* Who does not come back within the grace is hidden after all. */
static void
an_upgrade_that_never_ends_is_hidden(void **unused)
{
	(void)unused;
	struct pool_sim_config config = story_config(5, 6);
	struct story *s;

	config.restart_grace = 20 * NSEC_SEC;
	s = story_begin_with(&config);
	pool_check_disturbed(&s->check, C);
	pool_sim_stop(s->sim, C);
	story_runs(s, 19 * NSEC_SEC);
	for (size_t i = 0; i < 5; i++)
		assert_true(i == C || pool_check_answers(s->sim, i, C));
	story_runs(s, 8 * NSEC_SEC);
	assert_true(pool_check_hidden(s->sim, C));
	story_end(s);
}

static int
nsec_cmp(const void *a, const void *b)
{
	nsec x = *(const nsec *)a, y = *(const nsec *)b;

	return x < y ? -1 : x > y;
}

static nsec
until_hidden(struct story *s, size_t i)
{
	nsec start = s->sim->net.now;

	while (!pool_check_hidden(s->sim, i)) {
		if (s->sim->net.now - start > 60 * NSEC_SEC)
			story_fail(s, "never hidden");
		story_run(s, 10 * NSEC_MS);
	}
	return s->sim->net.now - start;
}

static void
the_killed_are_hidden_soon(void **unused)
{
	(void)unused;
	struct story *s = story_begin(30, 7);
	nsec took[20];

	for (size_t k = 0; k < 20; k++) {
		size_t victim = k + 3;

		pool_check_disturbed(&s->check, victim);
		story_runs(s, (nsec)(k * 137 % 1000) * NSEC_MS);
		pool_sim_crash(s->sim, victim);
		took[k] = until_hidden(s, victim);
		pool_sim_start(s->sim, victim, 0);
		story_agree(s, 10 * NSEC_SEC);
		story_runs(s, NSEC_SEC);
	}
	qsort(took, 20, sizeof took[0], nsec_cmp);
	print_message("kill -9: hidden after %.2f s p50, %.2f s max\n", (double)took[10] / NSEC_SEC,
	    (double)took[19] / NSEC_SEC);
	assert_true(took[10] <= 2 * NSEC_SEC);
	assert_true(took[19] <= 4 * NSEC_SEC);
	story_end(s);
}

static void
who_leaves_is_gone_within_a_second(void **unused)
{
	(void)unused;
	struct story *s = story_begin(30, 8);

	for (size_t victim = 3; victim < 13; victim++) {
		pool_check_disturbed(&s->check, victim);
		pool_sim_leave(s->sim, victim);
		assert_true(until_hidden(s, victim) <= NSEC_SEC);
		story_runs(s, 3 * NSEC_SEC);
	}
	story_agree(s, 5 * NSEC_SEC);
	for (size_t i = 0; i < 3; i++) /* not hidden but gone */
		assert_null(catalog_node_find(
		    store_catalog(s->sim->hosts[i].store), str_of(s->sim->hosts[3].name)));
	story_end(s);
}

static void
who_left_may_come_back(void **unused)
{
	(void)unused;
	struct story *s = story_begin(5, 9);

	for (int k = 0; k < 5; k++) {
		pool_check_disturbed(&s->check, C);
		pool_sim_leave(s->sim, C);
		story_runs(s, (8 + k) * NSEC_SEC);
		assert_null(s->sim->hosts[C].pool);
		pool_sim_start(s->sim, C, k % 2 * NSEC_SEC);
		story_agree(s, 5 * NSEC_SEC);
	}
	story_end(s);
}

static void
the_pruned_stay_pruned(void **unused)
{
	(void)unused;
	struct story *s = story_begin(5, 10);

	pool_check_disturbed(&s->check, B);
	pool_sim_crash(s->sim, B);
	until_hidden(s, B);
	pool_check_weather(&s->check);
	for (size_t i = A; i <= C; i++) /* d and e do not hear of it until later */
		for (size_t j = D; j <= E; j++)
			net_cut_both(&s->sim->net, i, j, true);
	pool_check_pruned(&s->check, &s->sim->hosts[B].disk.id);
	pool_sim_force_leave(s->sim, A, STR("b"), true);
	story_runs(s, 30 * NSEC_SEC);
	net_uncut(&s->sim->net);
	pool_check_weather(&s->check);
	story_runs(s, 90 * NSEC_SEC); /* every push/pull has been round */
	story_agree(s, 0);
	for (size_t i = A; i <= E; i++)
		assert_true(i == B || catalog_node_find(
					  store_catalog(s->sim->hosts[i].store), STR("b")) == NULL);
	story_end(s);
}

/* Pruned while it was only cut off: it lives, hears that it is dead, and begins anew. */
static void
the_living_cannot_be_pruned(void **unused)
{
	(void)unused;
	struct story *s = story_begin(5, 11);

	story_cut_off(s, B, true);
	story_runs(s, 40 * NSEC_SEC);
	pool_sim_force_leave(s->sim, A, STR("b"), true);
	story_runs(s, 10 * NSEC_SEC);
	assert_true(pool_check_hidden(s->sim, B));
	story_cut_off(s, B, false);
	story_agree(s, 15 * NSEC_SEC);
	story_end(s);
}

static void
halves_find_each_other_after_the_reap(void **unused)
{
	(void)unused;
	struct pool_sim_config config = story_config(5, 12);
	struct story *s;

	config.reap = 10 * NSEC_SEC;
	s = story_begin_with(&config);
	pool_check_weather(&s->check);
	for (size_t i = A; i <= B; i++)
		for (size_t j = C; j <= E; j++)
			net_cut_both(&s->sim->net, i, j, true);
	story_runs(s, 60 * NSEC_SEC);
	assert_null(catalog_node_find(store_catalog(s->sim->hosts[A].store), STR("d")));
	net_uncut(&s->sim->net);
	pool_check_weather(&s->check);
	story_agree(s, 40 * NSEC_SEC);
	story_end(s);
}

/* All at once. */

static void
thirty_start_at_once(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct pool_sim_config config = story_config(30, seed);
		struct story *s = test_calloc(1, sizeof *s);

		s->sim = pool_sim_new(&config);
		pool_check_init(&s->check, s->sim);
		for (size_t i = 0; i < 30; i++)
			for (size_t k = 0; k < 20; k++)
				story_service(s, i, k, true);
		pool_sim_start_all(s->sim);
		story_agree(s, 20 * NSEC_SEC);
		for (size_t i = 0; i < 30; i++)
			assert_true(s->sim->hosts[i].ready);
		story_end(s);
	}
}

/* Who joins has the whole catalog before it is ready (RULES 13). */
static void
who_joins_is_ready_with_all(void **unused)
{
	(void)unused;
	struct story *s = story_begin(30, 18);
	nsec start;

	story_crash(s, 9);
	pool_sim_wipe(s->sim, 9);
	pool_sim_start(s->sim, 9, 0);
	start = s->sim->net.now;
	while (!s->sim->hosts[9].ready && s->sim->net.now - start < 10 * NSEC_SEC)
		story_run(s, NSEC_MS);
	print_message(
	    "a joiner is ready after %.3f s\n", (double)(s->sim->net.now - start) / NSEC_SEC);
	assert_true(s->sim->net.now - start < 2 * NSEC_SEC);
	for (size_t j = 0; j < 30; j++)
		assert_true(pool_check_answers(s->sim, 9, j));
	story_agree(s, 5 * NSEC_SEC);
	story_end(s);
}

/* Loss and delay alone are no reason to hide anybody. */
static void
bad_weather_hides_nobody(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct story *s = story_begin(30, seed);

		s->sim->net.loss = 50;
		s->sim->net.twice = 50;
		s->sim->net.latency_max = 200 * NSEC_MS;
		for (size_t k = 0; k < 120; k++) {
			story_service(s, k % 30, k % 7, k % 4 != 0);
			story_run(s, NSEC_SEC);
		}
		for (size_t i = 0; i < 30; i++)
			assert_int_equal(pool_stats(s->sim->hosts[i].pool).swim.deaths, 0);
		story_agree(s, 10 * NSEC_SEC);
		story_end(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_reaches_all_at_once),
		cmocka_unit_test(a_lost_push_is_repaired),
		cmocka_unit_test(a_lost_push_and_silence_is_repaired),
		cmocka_unit_test(twenty_blips_in_a_row),
		cmocka_unit_test(two_against_three),
		cmocka_unit_test(upgrades_are_not_seen),
		cmocka_unit_test(two_upgrades_in_a_row_are_not_seen),
		cmocka_unit_test(word_of_an_upgrade_may_be_lost),
		cmocka_unit_test(an_upgrade_that_never_ends_is_hidden),
		cmocka_unit_test(the_killed_are_hidden_soon),
		cmocka_unit_test(who_leaves_is_gone_within_a_second),
		cmocka_unit_test(who_left_may_come_back),
		cmocka_unit_test(the_pruned_stay_pruned),
		cmocka_unit_test(the_living_cannot_be_pruned),
		cmocka_unit_test(halves_find_each_other_after_the_reap),
		cmocka_unit_test(thirty_start_at_once),
		cmocka_unit_test(who_joins_is_ready_with_all),
		cmocka_unit_test(bad_weather_hides_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

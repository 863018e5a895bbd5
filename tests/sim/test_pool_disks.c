/* Stories of disks that are older, copied or new, of addresses and of names (RULES 1, 3). */
#include <stdio.h>

#include "tests/sim/story.h"
#include "tests/unit/test.h"

static void
an_older_disk_is_no_older_truth(void **unused)
{
	(void)unused;
	struct story *s = story_begin(5, 13);

	pool_sim_backup(s->sim, C);
	for (int k = 0; k < 3; k++) {
		story_crash(s, C);
		story_service(s, C, 4, k % 2 == 0);
		pool_sim_start(s->sim, C, 0);
		story_agree(s, 5 * NSEC_SEC);
	}
	story_crash(s, C);
	pool_sim_restore(s->sim, C);
	pool_sim_start(s->sim, C, 0);
	story_agree(s, 10 * NSEC_SEC);
	story_service(s, C, 5, true);
	story_agree(s, 2 * NSEC_SEC);
	story_end(s);
}

static void
a_new_id_at_an_old_address_replaces(void **unused)
{
	(void)unused;
	struct story *s = story_begin(5, 14);
	struct uuid old = s->sim->hosts[C].disk.id;
	struct pool_member m;

	story_crash(s, C);
	pool_sim_wipe(s->sim, C);
	pool_sim_start(s->sim, C, 0);
	story_agree(s, 5 * NSEC_SEC);
	story_runs(s, 30 * NSEC_SEC);
	for (size_t i = A; i <= E; i++)
		assert_false(
		    pool_member_by_id(s->sim->hosts[i].pool, &old, &m) && m.state == SERF_ALIVE);
	story_end(s);
}

static void
an_old_id_at_a_new_address_is_the_same(void **unused)
{
	(void)unused;
	struct story *s = story_begin(5, 15);

	for (int k = 0; k < 3; k++) {
		pool_check_disturbed(&s->check, C);
		pool_sim_crash(s->sim, C);
		story_runs(s, k * 4 * NSEC_SEC);
		pool_sim_move(s->sim, C);
		pool_sim_start(s->sim, C, 0);
		story_agree(s, 5 * NSEC_SEC);
	}
	story_end(s);
}

/* A host's disk is copied to another: two with one id, one of which becomes somebody else. */
static void
a_cloned_disk_becomes_two(void **unused)
{
	(void)unused;
	struct story *s = story_begin(5, 16);

	pool_check_mixed(&s->check, C);
	pool_check_mixed(&s->check, D);
	story_crash(s, D);
	pool_check_disturbed(&s->check, C);
	pool_sim_clone(s->sim, C, D);
	pool_sim_start(s->sim, D, 0);
	story_agree(s, 20 * NSEC_SEC);
	assert_true(s->sim->clones >= 1);
	story_end(s);
}

static void
one_name_for_two_is_a_warning(void **unused)
{
	(void)unused;
	struct pool_sim_config config = story_config(5, 17);
	struct story *s = test_calloc(1, sizeof *s);

	s->sim = pool_sim_new(&config);
	pool_check_init(&s->check, s->sim);
	snprintf(s->sim->hosts[D].display, sizeof s->sim->hosts[D].display, "%s", "c");
	pool_sim_start_all(s->sim);
	story_agree(s, 40 * NSEC_SEC);
	story_runs(s, 60 * NSEC_SEC);
	story_agree(s, 0);
	story_end(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_older_disk_is_no_older_truth),
		cmocka_unit_test(a_new_id_at_an_old_address_replaces),
		cmocka_unit_test(an_old_id_at_a_new_address_is_the_same),
		cmocka_unit_test(a_cloned_disk_becomes_two),
		cmocka_unit_test(one_name_for_two_is_a_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* How long a suspect has: memberlist's figures for the LAN, confirmations, hurry. */
#include "gossip/suspicion.h"
#include "tests/unit/test.h"

#define MS(d) ((int)((d) / NSEC_MS))

static void
shortest_wait_grows_with_the_pool(void **unused)
{
	(void)unused;
	assert_int_equal(MS(suspicion_min(4, 0, NSEC_SEC)), 4000);
	assert_int_equal(MS(suspicion_min(4, 3, NSEC_SEC)), 4000);
	assert_int_equal(MS(suspicion_min(4, 10, NSEC_SEC)), 4000);
	assert_int_equal(MS(suspicion_min(4, 30, NSEC_SEC)), 5908); /* log10: 1.477 */
	assert_int_equal(MS(suspicion_min(4, 100, NSEC_SEC)), 8000);
	assert_int_equal(MS(suspicion_min(4, 1000, NSEC_SEC)), 12000);
}

static void
small_pools_have_nobody_to_confirm(void **unused)
{
	(void)unused;
	assert_int_equal(suspicion_k(4, 1), 0);
	assert_int_equal(suspicion_k(4, 3), 0);
	assert_int_equal(suspicion_k(4, 4), 2);
	assert_int_equal(suspicion_k(4, 1000), 2);
	assert_int_equal(suspicion_k(1, 1000), 0);
	assert_int_equal(suspicion_k(1000, 5000), SUSPICION_ACCUSERS_MAX);
}

static void
confirmations_shorten_the_wait(void **unused)
{
	(void)unused;
	struct suspicion s;

	suspicion_start(&s, 100 * NSEC_SEC, STR("a"), 2, 4 * NSEC_SEC, 6);
	assert_int_equal(MS(suspicion_deadline(&s)), 124000);
	assert_false(suspicion_confirm(&s, STR("a"))); /* began it */
	assert_int_equal(MS(suspicion_deadline(&s)), 124000);
	assert_true(suspicion_confirm(&s, STR("b")));
	assert_int_equal(MS(suspicion_deadline(&s)), 111381);
	assert_false(suspicion_confirm(&s, STR("b")));
	assert_true(suspicion_confirm(&s, STR("c")));
	assert_int_equal(MS(suspicion_deadline(&s)), 104000);
	assert_false(suspicion_confirm(&s, STR("d"))); /* k are enough */
	assert_int_equal(MS(suspicion_deadline(&s)), 104000);
}

static void
without_k_the_wait_is_the_shortest(void **unused)
{
	(void)unused;
	struct suspicion s;

	suspicion_start(&s, 0, STR("a"), 0, 4 * NSEC_SEC, 6);
	assert_int_equal(MS(suspicion_deadline(&s)), 4000);
	assert_false(suspicion_confirm(&s, STR("b")));
}

static void
hurry_ends_it_and_calm_takes_it_back(void **unused)
{
	(void)unused;
	struct suspicion s;

	suspicion_start(&s, 0, STR("a"), 2, 4 * NSEC_SEC, 6);
	suspicion_hurry(&s, NSEC_SEC);
	suspicion_hurry(&s, 2 * NSEC_SEC); /* the earlier one stands */
	assert_int_equal(MS(suspicion_deadline(&s)), 1000);
	suspicion_calm(&s);
	assert_int_equal(MS(suspicion_deadline(&s)), 24000);
	suspicion_hurry(&s, 60 * NSEC_SEC); /* never later than without */
	assert_int_equal(MS(suspicion_deadline(&s)), 24000);
}

static void
standing_still_does_not_count(void **unused)
{
	(void)unused;
	struct suspicion s;

	suspicion_start(&s, 0, STR("a"), 2, 4 * NSEC_SEC, 6);
	suspicion_shift(&s, 10 * NSEC_SEC);
	assert_int_equal(MS(suspicion_deadline(&s)), 34000);
	suspicion_hurry(&s, 12 * NSEC_SEC);
	suspicion_shift(&s, NSEC_SEC);
	assert_int_equal(MS(suspicion_deadline(&s)), 13000);
	suspicion_calm(&s);
	suspicion_shift(&s, NSEC_SEC);
	assert_int_equal(s.hurry, NSEC_NEVER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shortest_wait_grows_with_the_pool),
		cmocka_unit_test(small_pools_have_nobody_to_confirm),
		cmocka_unit_test(confirmations_shorten_the_wait),
		cmocka_unit_test(without_k_the_wait_is_the_shortest),
		cmocka_unit_test(hurry_ends_it_and_calm_takes_it_back),
		cmocka_unit_test(standing_still_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

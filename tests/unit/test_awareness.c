/* The score of our own health: its bounds, and what it stretches. */
#include "gossip/awareness.h"
#include "tests/unit/test.h"

static void
score_stays_between_its_bounds(void **unused)
{
	(void)unused;
	struct awareness a = { .max = 8 };

	awareness_add(&a, -1);
	assert_int_equal(a.score, 0);
	awareness_add(&a, 3);
	assert_int_equal(a.score, 3);
	awareness_add(&a, 100);
	assert_int_equal(a.score, 7);
	awareness_add(&a, -2);
	assert_int_equal(a.score, 5);
	awareness_add(&a, INT32_MIN);
	assert_int_equal(a.score, 0);
}

static void
spans_grow_with_the_score(void **unused)
{
	(void)unused;
	struct awareness a = { .max = 8 };

	assert_int_equal(awareness_scale(&a, NSEC_SEC), NSEC_SEC);
	awareness_add(&a, 7);
	assert_int_equal(awareness_scale(&a, NSEC_SEC), 8 * NSEC_SEC);
}

static void
without_a_bound_it_stays_off(void **unused)
{
	(void)unused;
	struct awareness a = { 0 };

	awareness_add(&a, 5);
	assert_int_equal(a.score, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(score_stays_between_its_bounds),
		cmocka_unit_test(spans_grow_with_the_score),
		cmocka_unit_test(without_a_bound_it_stays_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

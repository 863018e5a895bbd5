/* Indexes rise whatever the clock does, stay under the ceiling and carry their agent's tag. */
#include "tests/unit/test.h"

#include "kv/index.h"

#define NOW_MS (INDEX_EPOCH_MS + 1000000)

static void
follows_the_clock_and_counts_within_a_millisecond(void **unused)
{
	struct index_clock c;

	(void)unused;
	index_init(&c, 0x123, 0);
	index_ceiling_set(&c, index_ceiling_wanted(&c, NOW_MS));
	assert_true(index_next(&c, NOW_MS) == (1000000ull << 12 | 0x123));
	assert_true(index_next(&c, NOW_MS) == (1000001ull << 12 | 0x123));
	assert_true(index_next(&c, NOW_MS - 5000) == (1000002ull << 12 | 0x123));
	assert_true(index_next(&c, NOW_MS + 9) == (1000009ull << 12 | 0x123));
	assert_true(index_next(&c, -1) == (1000010ull << 12 | 0x123));
}

static void
starts_above_the_ceiling_on_disk(void **unused)
{
	struct index_clock c;
	uint64_t wanted;

	(void)unused;
	index_init(&c, 1, 5000000);
	wanted = index_ceiling_wanted(&c, NOW_MS); /* the clock went back */
	assert_true(wanted == 5000000 + INDEX_RESERVE_MS);
	assert_true(index_next(&c, NOW_MS) >> 12 == 5000001);
	index_ceiling_set(&c, wanted);
	assert_true(index_ceiling_wanted(&c, NOW_MS) == 0);
	assert_true(index_next(&c, NOW_MS) >> 12 == 5000002);
}

static void
does_not_jump_over_the_ceiling(void **unused)
{
	struct index_clock c;
	int64_t late = NOW_MS + 2 * INDEX_RESERVE_MS;

	(void)unused;
	index_init(&c, 1, 0);
	index_ceiling_set(&c, index_ceiling_wanted(&c, NOW_MS));
	(void)index_next(&c, NOW_MS);
	assert_true(index_next(&c, late) >> 12 == 1000001);
	index_ceiling_set(&c, index_ceiling_wanted(&c, late));
	assert_true(index_next(&c, late) >> 12 == 1000000 + 2 * INDEX_RESERVE_MS);
	index_ceiling_set(&c, 7); /* never lowered */
	assert_true(index_next(&c, late + 1) >> 12 == 1000001 + 2 * INDEX_RESERVE_MS);
}

static void
a_new_ceiling_is_wanted_in_time(void **unused)
{
	struct index_clock c;

	(void)unused;
	index_init(&c, 1, 0);
	index_ceiling_set(&c, index_ceiling_wanted(&c, NOW_MS));
	assert_true(index_ceiling_wanted(&c, NOW_MS + INDEX_RESERVE_MS / 2) == 0);
	assert_true(index_ceiling_wanted(&c, NOW_MS + INDEX_RESERVE_MS / 2 + 1) ==
		    1000001 + INDEX_RESERVE_MS + INDEX_RESERVE_MS / 2);
}

static void
stays_exact_in_a_double(void **unused)
{
	struct index_clock c;
	uint64_t a, b;

	(void)unused;
	index_init(&c, 0xffff, 0); /* only 12 bits count */
	index_ceiling_set(&c, UINT64_MAX);
	a = index_next(&c, INT64_MAX);
	b = index_next(&c, INT64_MAX);
	assert_true(a < b && b < (1ull << 53));
	assert_true(index_is_ours(&c, a));
	assert_false(index_is_ours(&c, a - 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_clock_and_counts_within_a_millisecond),
		cmocka_unit_test(starts_above_the_ceiling_on_disk),
		cmocka_unit_test(does_not_jump_over_the_ceiling),
		cmocka_unit_test(a_new_ceiling_is_wanted_in_time),
		cmocka_unit_test(stays_exact_in_a_double),
	};

	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}

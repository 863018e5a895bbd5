/* Slices: comparing, cutting, numbers. */
#include "tests/unit/test.h"

static void
order_is_by_byte_and_prefix_first(void **unused)
{
	(void)unused;
	assert_true(str_cmp(STR("ab"), STR("abc")) < 0);
	assert_true(str_cmp(STR("b"), STR("abc")) > 0);
	assert_int_equal(str_cmp(STR(""), STR_NONE), 0);
	assert_true(str_eq_nocase(STR("WeB"), STR("web")));
	assert_false(str_eq_nocase(STR("we\xc3\x84"), STR("we\xc3\xa4"))); /* ASCII only */
}

static void
cut_visits_every_part(void **unused)
{
	struct str rest = STR("a,,b");

	(void)unused;
	assert_str(str_cut(&rest, ','), "a");
	assert_str(str_cut(&rest, ','), "");
	assert_non_null(rest.p);
	assert_str(str_cut(&rest, ','), "b");
	assert_null(rest.p);
}

static void
numbers_have_limits(void **unused)
{
	uint64_t v = 7;

	(void)unused;
	assert_true(str_u64(STR("18446744073709551615"), UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	v = 7;
	assert_false(str_u64(STR("18446744073709551616"), UINT64_MAX, &v));
	assert_false(str_u64(STR("65536"), 65535, &v));
	assert_false(str_u64(STR(""), 9, &v));
	assert_false(str_u64(STR("-1"), 9, &v));
	assert_true(v == 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_by_byte_and_prefix_first),
		cmocka_unit_test(cut_visits_every_part),
		cmocka_unit_test(numbers_have_limits),
	};

	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}

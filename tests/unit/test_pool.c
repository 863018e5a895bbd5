/* tests/unit/test_pool.c -- an agent's part in the pool: joining, the catalog, leaving, dying. */
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_join_and_see_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

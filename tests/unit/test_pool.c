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

static bool
all_show(struct world *w, const void *arg)
{
	unsigned count = *(const unsigned *)arg;

	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < count; j++)
			if (world_shown(w, i, j) != SHOWN)
				return false;
	return true;
}

static struct world *
world_of(unsigned count)
{
	struct world *w = world_new();

	for (unsigned i = 0; i < count; i++) {
		world_start(w, i);
		world_service(w, i, "web");
		if (i > 0)
			world_join(w, i, A);
	}
	world_until(w, 5 * NSEC_SEC, all_show, &count, "all catalogs alike");
	return w;
}

static void
records_of_each_are_with_all(void **unused)
{
	struct world *w = world_of(4);

	(void)unused;
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_join_and_see_each_other),
		cmocka_unit_test(records_of_each_are_with_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

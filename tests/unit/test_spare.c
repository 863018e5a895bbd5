/* Blocks that are kept: never more than were asked for, and each for one user at a time. */
#include "base/spare.h"
#include "tests/unit/test.h"

static void
the_last_given_is_taken_first(void **unused)
{
	struct spare s;
	char *a, *b;

	(void)unused;
	spare_init(&s, 40, 2);
	a = spare_take(&s);
	b = spare_take(&s);
	memset(a, 'a', 40);
	memset(b, 'b', 40);
	assert_ptr_not_equal(a, b);
	spare_give(&s, a);
	spare_give(&s, b);
	if (SPARE_KEEPS) {
		assert_ptr_equal(spare_take(&s), b);
		assert_ptr_equal(spare_take(&s), a);
		spare_give(&s, a);
		spare_give(&s, b);
	}
	spare_give(&s, NULL);
	spare_done(&s);
	assert_null(s.first);
}

static void
no_more_are_kept_than_asked_for(void **unused)
{
	struct spare s;
	void *all[5];

	(void)unused;
	spare_init(&s, 8, 3);
	for (size_t i = 0; i < 5; i++)
		all[i] = spare_take(&s);
	for (size_t i = 0; i < 5; i++)
		spare_give(&s, all[i]);
	assert_int_equal(s.count, SPARE_KEEPS ? 3 : 0);
	spare_done(&s);
	assert_int_equal(s.count, 0);
	spare_give(&s, mem_alloc(8)); /* after the end nothing is */
	assert_null(s.first);
}

static void
a_buffer_gives_its_block_back_unless_it_has_grown(void **unused)
{
	struct spare s;
	struct buf b;

	(void)unused;
	spare_init(&s, 64, 4);
	buf_init_spare(&b, 1024, &s);
	assert_int_equal(b.n, 0);
	buf_add(&b, STR("short"));
	assert_str(buf_str(&b), "short");
	buf_done_spare(&b, &s);
	assert_int_equal(s.count, SPARE_KEEPS ? 1 : 0);
	assert_int_equal(b.room, 0);
	buf_init_spare(&b, 1024, &s);
	assert_int_equal(s.count, 0);
	assert_int_equal(b.n, 0);
	for (int i = 0; i < 65; i++)
		buf_addc(&b, 'x');
	assert_int_equal(b.n, 65);
	buf_done_spare(&b, &s);
	assert_int_equal(s.count, 0);
	buf_init(&b, 1024);
	buf_done_spare(&b, &s); /* never had one */
	assert_int_equal(s.count, 0);
	spare_done(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_given_is_taken_first),
		cmocka_unit_test(no_more_are_kept_than_asked_for),
		cmocka_unit_test(a_buffer_gives_its_block_back_unless_it_has_grown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

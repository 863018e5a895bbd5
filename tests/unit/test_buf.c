/* Buffers and arenas: caps hold, and what did not fit leaves no trace. */
#include "base/arena.h"
#include "base/buf.h"
#include "tests/unit/test.h"

static void
a_buffer_keeps_its_cap(void **unused)
{
	struct buf b;

	(void)unused;
	buf_init(&b, 10);
	buf_add(&b, STR("12345678"));
	buf_add(&b, STR("abc"));
	assert_true(b.full);
	buf_addc(&b, 'x');
	assert_str(buf_str(&b), "12345678");
	buf_clear(&b);
	buf_addf(&b, "%d-%s", 42, "ok");
	assert_str(buf_str(&b), "42-ok");
	buf_drop_front(&b, 3);
	assert_str(buf_str(&b), "ok");
	buf_done(&b);
}

static void
a_buffer_over_the_stack_never_grows(void **unused)
{
	char room[4];
	struct buf b;

	(void)unused;
	buf_over(&b, room, sizeof room);
	buf_add(&b, STR("1234"));
	assert_false(b.full);
	assert_ptr_equal(b.p, room);
	buf_addc(&b, '5');
	assert_true(b.full);
	assert_str(buf_str(&b), "1234");
}

static void
long_formats_fit(void **unused)
{
	struct buf b;

	(void)unused;
	buf_init(&b, 4096);
	buf_addf(&b, "%0300d", 7);
	assert_int_equal(b.n, 300);
	buf_add_i64(&b, INT64_MIN);
	assert_str(str_skip(buf_str(&b), 300), "-9223372036854775808");
	buf_done(&b);
}

static void
an_arena_keeps_its_cap(void **unused)
{
	struct arena a;

	(void)unused;
	arena_init(&a, 4096);
	assert_non_null(arena_alloc(&a, 3000));
	assert_null(arena_alloc(&a, 3000));
	assert_null(arena_alloc(&a, 1)); /* full sticks */
	assert_true(a.used <= a.cap);
	arena_reset(&a);
	assert_str(arena_fmt(&a, "%s:%d", "web", 80), "web:80");
	assert_str(arena_dup(&a, STR("x")), "x");
	arena_done(&a);
	assert_int_equal(a.used, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buffer_keeps_its_cap),
		cmocka_unit_test(a_buffer_over_the_stack_never_grows),
		cmocka_unit_test(long_formats_fit),
		cmocka_unit_test(an_arena_keeps_its_cap),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}

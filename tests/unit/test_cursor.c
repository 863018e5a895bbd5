/* The cursor: nothing is read past the end, nothing written past the room, failure sticks. */
#include "base/cursor.h"
#include "tests/unit/test.h"

static void
every_truncation_is_short_and_sticks(void **unused)
{
	const char bytes[] = "\x12\x34\x00\x00\x00\x05hello";

	(void)unused;
	for (size_t n = 0; n < sizeof bytes - 1; n++) {
		struct reader r = rd_of(str_mem(bytes, n));

		rd_be16(&r);
		rd_str(&r, rd_be32(&r));
		assert_int_equal(r.state, RD_SHORT);
		assert_int_equal(rd_u8(&r), 0);
		assert_null(rd_take(&r, 0));
	}
}

static void
a_window_ends_where_it_ends(void **unused)
{
	struct reader r = rd_of(STR("abcdef"));
	struct reader w = rd_window(&r, 2);

	(void)unused;
	assert_int_equal(rd_be16(&w), 'a' << 8 | 'b');
	rd_u8(&w);
	assert_int_equal(w.state, RD_SHORT);
	assert_str(rd_str(&r, 4), "cdef");
	assert_int_equal(rd_left(&r), 0);
}

static void
varints_come_back(void **unused)
{
	const uint64_t values[] = { 0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX };
	uint8_t room[10];

	(void)unused;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct writer w = wr_of(room, sizeof room);
		struct reader r;

		wr_varint(&w, values[i]);
		assert_false(w.full);
		assert_int_equal(w.pos, varint_len(values[i]));
		r = rd_of(wr_done(&w));
		assert_true(rd_varint(&r) == values[i]);
		assert_true(rd_ok(&r));
	}
}

static void
long_varints_are_bad(void **unused)
{
	const struct str bad[] = { STR("\x80\x00"), STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02") };

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		struct reader r = rd_of(bad[i]);

		rd_varint(&r);
		assert_int_equal(r.state, RD_BAD);
	}
}

static void
a_full_writer_writes_nothing_more(void **unused)
{
	uint8_t room[3] = { 0 };
	struct writer w = wr_of(room, sizeof room);

	(void)unused;
	wr_be16(&w, 0x0102);
	wr_be16(&w, 0x0304);
	assert_true(w.full);
	wr_u8(&w, 9);
	assert_int_equal(w.pos, 2);
	assert_int_equal(room[2], 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_truncation_is_short_and_sticks),
		cmocka_unit_test(a_window_ends_where_it_ends),
		cmocka_unit_test(varints_come_back),
		cmocka_unit_test(long_varints_are_bad),
		cmocka_unit_test(a_full_writer_writes_nothing_more),
	};

	return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}

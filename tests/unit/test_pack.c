/* msgpack's dialect: every width in, the shortest out; and headers that lie cost nothing. */
#include "gossip/pack.h"
#include "tests/unit/test.h"

#define BYTES(literal) str_mem(literal, sizeof(literal) - 1)

static struct reader
rd(struct str s)
{
	return rd_of(s);
}

static void
integers_of_any_width_and_sign_are_taken(void **unused)
{
	static const struct {
		struct str in;
		uint64_t v;
	} cases[] = {
		{ { "\x07", 1 }, 7 },
		{ { "\xcc\x07", 2 }, 7 },
		{ { "\xcd\x01\x2c", 3 }, 300 },
		{ { "\xd1\x01\x2c", 3 }, 300 },
		{ { "\xd2\x00\x00\x01\x2c", 5 }, 300 },
		{ { "\xd3\x00\x00\x00\x00\x00\x00\x01\x2c", 9 }, 300 },
		{ { "\xce\xff\xff\xff\xff", 5 }, UINT32_MAX },
		{ { "\xcf\x00\x00\x00\x00\x00\x00\x00\x09", 9 }, 9 },
		{ { "\xc0", 1 }, 0 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct reader r = rd(cases[i].in);

		assert_int_equal(pack_take_uint(&r, UINT32_MAX), cases[i].v);
		assert_true(rd_ok(&r) && rd_left(&r) == 0);
		for (size_t n = 0; n < cases[i].in.n; n++) {
			r = rd(str_head(cases[i].in, n));
			assert_int_equal(pack_take_uint(&r, UINT32_MAX), 0);
			assert_int_equal(r.state, RD_SHORT);
		}
	}
}

static void
integers_out_of_range_are_refused(void **unused)
{
	struct reader r;

	(void)unused;
	r = rd(BYTES("\xcf\x00\x00\x00\x01\x00\x00\x00\x00"));
	assert_int_equal(pack_take_uint(&r, UINT32_MAX), 0);
	assert_int_equal(r.state, RD_BAD);
	r = rd(BYTES("\xff"));
	pack_take_uint(&r, UINT32_MAX);
	assert_int_equal(r.state, RD_BAD);
	r = rd(BYTES("\xff"));
	assert_int_equal(pack_take_int(&r, INT64_MIN, INT64_MAX), -1);
	r = rd(BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")); /* not minus one */
	assert_int_equal(pack_take_int(&r, INT64_MIN, INT64_MAX), 0);
	assert_int_equal(r.state, RD_BAD);
	r = rd(BYTES("\xff")); /* nor the largest number of all */
	pack_take_uint(&r, UINT64_MAX);
	assert_int_equal(r.state, RD_BAD);
	r = rd(BYTES("\xa1x"));
	pack_take_uint(&r, UINT64_MAX);
	assert_int_equal(r.state, RD_BAD);
}

static void
integers_come_back_in_their_shortest_form(void **unused)
{
	static const int64_t values[] = { 0, 127, 128, 255, 256, 65535, 65536, 4294967295,
		4294967296, INT64_MAX, -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN,
		INT64_C(-2147483649), INT64_MIN };
	static const size_t sizes[] = { 1, 1, 2, 2, 3, 3, 5, 5, 9, 9, 1, 1, 2, 2, 3, 3, 5, 5, 9,
		9 };

	(void)unused;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		uint8_t room[16];
		struct writer w = wr_of(room, sizeof room);
		struct reader r;

		pack_put_int(&w, values[i]);
		assert_int_equal(w.pos, sizes[i]);
		r = rd(wr_done(&w));
		assert_true(pack_take_int(&r, INT64_MIN, INT64_MAX) == values[i]);
		assert_true(rd_ok(&r));
	}
}

static void
strings_of_any_form_are_taken(void **unused)
{
	static const struct str cases[] = { { "\xa3web", 4 }, { "\xd9\x03web", 5 },
		{ "\xda\x00\x03web", 6 }, { "\xdb\x00\x00\x00\x03web", 8 }, { "\xc4\x03web", 5 },
		{ "\xc5\x00\x03web", 6 }, { "\xc6\x00\x00\x00\x03web", 8 },
		{ "\x93\x77\x65\x62", 4 }, { "\xdc\x00\x03\x77\xcc\x65\xd0\x62", 8 } };
	struct arena arena;
	struct reader r;
	bool nil = true;

	(void)unused;
	arena_init(&arena, 4096);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		r = rd(cases[i]);
		assert_str(pack_take_bytes(&r, &arena, 3, &nil), "web");
		assert_false(nil);
		r = rd(cases[i]);
		pack_take_bytes(&r, &arena, 2, NULL);
		assert_int_equal(r.state, RD_BAD); /* longer than its field */
	}
	r = rd(BYTES("\xc0"));
	assert_int_equal(pack_take_bytes(&r, &arena, 3, &nil).n, 0);
	assert_true(nil);
	r = rd(BYTES("\x93\x77\x65\x62")); /* without an arena an array has nowhere to go */
	pack_take_bytes(&r, NULL, 3, NULL);
	assert_int_equal(r.state, RD_BAD);
	arena_done(&arena);
}

static void
headers_that_claim_billions_cost_nothing(void **unused)
{
	static const struct str cases[] = { { "\xdd\xff\xff\xff\xff", 5 },
		{ "\xdf\xff\xff\xff\xff", 5 }, { "\xdc\xff\xff", 3 }, { "\xde\xff\xff\x01", 4 },
		{ "\xdb\xff\xff\xff\xffx", 6 }, { "\xc6\xff\xff\xff\xff", 5 },
		{ "\xc9\xff\xff\xff\xff\x01", 6 } };
	struct arena arena;

	(void)unused;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct reader r = rd(cases[i]);

		pack_skip(&r, SIZE_MAX);
		assert_int_equal(r.state, RD_SHORT);
		r = rd(cases[i]);
		pack_take_bytes(&r, &arena, SIZE_MAX, NULL);
		assert_false(rd_ok(&r));
		r = rd(cases[i]);
		pack_take_map(&r);
		pack_take_array(&r);
		assert_false(rd_ok(&r));
	}
	assert_int_equal(arena.used, 0);
	arena_done(&arena);
}

static void
a_count_is_believed_only_when_it_can_be_true(void **unused)
{
	struct reader r;

	(void)unused;
	r = rd(BYTES("\x92\x01\x01"));
	assert_int_equal(pack_take_array(&r), 2);
	r = rd(BYTES("\x93\x01\x01"));
	assert_int_equal(pack_take_array(&r), 0);
	assert_int_equal(r.state, RD_SHORT);
	r = rd(BYTES("\x82\x01\x02\x03\x04"));
	assert_int_equal(pack_take_map(&r), 2);
	r = rd(BYTES("\x82\x01\x02\x03"));
	assert_int_equal(pack_take_map(&r), 0);
	assert_int_equal(r.state, RD_SHORT);
}

static void
nesting_has_a_limit(void **unused)
{
	char deep[4096];
	struct reader r;

	(void)unused;
	memset(deep, '\x91', sizeof deep);
	deep[PACK_DEPTH_MAX] = '\x01';
	r = rd(str_mem(deep, PACK_DEPTH_MAX + 1));
	pack_skip(&r, SIZE_MAX);
	assert_true(rd_ok(&r) && rd_left(&r) == 0);
	deep[PACK_DEPTH_MAX] = '\x91';
	r = rd(str_mem(deep, sizeof deep));
	pack_skip(&r, SIZE_MAX);
	assert_int_equal(r.state, RD_BAD);
	for (size_t i = 0; i < sizeof deep; i += 2) { /* maps in maps */
		deep[i] = '\x81';
		deep[i + 1] = '\xc0';
	}
	r = rd(str_mem(deep, sizeof deep));
	pack_skip(&r, SIZE_MAX);
	assert_int_equal(r.state, RD_BAD);
}

static void
everything_msgpack_knows_is_skipped(void **unused)
{
	static const struct str cases[] = { { "\xc0", 1 }, { "\xc2", 1 }, { "\xc3", 1 },
		{ "\x7f", 1 }, { "\xe0", 1 }, { "\xca\0\0\0\0", 5 }, { "\xcb\0\0\0\0\0\0\0\0", 9 },
		{ "\xd4\1x", 3 }, { "\xd8\1xxxxxxxxxxxxxxxx", 18 }, { "\xc7\2\1xx", 5 },
		{ "\xc8\0\2\1xx", 6 }, { "\xc9\0\0\0\2\1xx", 8 }, { "\x82\1\2\xa1k\x90", 6 },
		{ "\x92\xc4\1x\xa0", 5 }, { "\xd9\1x", 3 } };

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct reader r = rd(cases[i]);

		pack_skip(&r, SIZE_MAX);
		assert_true(rd_ok(&r) && rd_left(&r) == 0);
		r = rd(cases[i]);
		pack_skip(&r, cases[i].n);
		assert_true(rd_ok(&r));
		if (cases[i].n > 1) { /* it is there, but larger than allowed */
			r = rd(cases[i]);
			pack_skip(&r, cases[i].n - 1);
			assert_int_equal(r.state, RD_BAD);
		}
		for (size_t n = 0; n < cases[i].n; n++) {
			r = rd(str_head(cases[i], n));
			pack_skip(&r, SIZE_MAX);
			assert_int_equal(r.state, RD_SHORT);
		}
	}
	struct reader never = rd(BYTES("\xc1"));
	pack_skip(&never, SIZE_MAX);
	assert_int_equal(never.state, RD_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_of_any_width_and_sign_are_taken),
		cmocka_unit_test(integers_out_of_range_are_refused),
		cmocka_unit_test(integers_come_back_in_their_shortest_form),
		cmocka_unit_test(strings_of_any_form_are_taken),
		cmocka_unit_test(headers_that_claim_billions_cost_nothing),
		cmocka_unit_test(a_count_is_believed_only_when_it_can_be_true),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(everything_msgpack_knows_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

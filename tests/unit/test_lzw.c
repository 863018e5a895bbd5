/* LZW back and forth, and streams of codes that mean harm. */
#include "gossip/lzw.h"

#include <stdlib.h>

#include "base/rng.h"
#include "tests/unit/test.h"

static void
round_trip(struct str in)
{
	struct buf packed, plain;
	size_t length;

	buf_init(&packed, LZW_PACKED_MAX(in.n));
	buf_init(&plain, in.n);
	lzw_pack(in, &packed);
	assert_false(packed.full);
	assert_int_equal(lzw_length(buf_str(&packed), in.n, &length, NULL), 0);
	assert_int_equal(length, in.n);
	assert_int_equal(lzw_unpack(buf_str(&packed), &plain, NULL), 0);
	assert_true(str_eq(buf_str(&plain), in));
	buf_done(&packed);
	buf_done(&plain);
}

static void
all_kinds_of_bytes_come_back(void **unused)
{
	static char bytes[200 * 1000];
	struct rng rng;

	(void)unused;
	rng_init(&rng, 7);
	for (unsigned alphabet = 1; alphabet <= 256; alphabet *= 4) {
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (char)rng_below(&rng, alphabet);
		for (size_t n = 0; n < 40; n++)
			round_trip(str_mem(bytes, n));
		for (size_t n = 3700; n < 3900; n++) /* around the first full table */
			round_trip(str_mem(bytes, n));
		round_trip(str_mem(bytes, sizeof bytes));
	}
}

static void
a_bomb_stops_at_the_cap(void **unused)
{
	static char zeros[8 * 1024 * 1024];
	struct buf packed, plain;
	size_t length;

	(void)unused;
	buf_init(&packed, LZW_PACKED_MAX(sizeof zeros));
	lzw_pack(str_mem(zeros, sizeof zeros), &packed);
	assert_true(packed.n < 64 * 1024); /* eight MiB in a datagram */
	assert_int_equal(lzw_length(buf_str(&packed), 64 * 1024, &length, NULL), ERR_LIMIT);
	buf_init(&plain, 64 * 1024);
	assert_int_equal(lzw_unpack(buf_str(&packed), &plain, NULL), ERR_LIMIT);
	assert_int_equal(plain.n, 0);
	assert_true(plain.room <= 64 * 1024);
	buf_done(&plain);
	buf_done(&packed);
}

static void
codes_out_of_nowhere_are_refused(void **unused)
{
	struct rng rng;

	(void)unused;
	for (unsigned code = 258; code < 512;
	     code++) { /* first after a clear: no entry can be meant */
		uint32_t bits = 256 | code << 9 | 257u << 18;
		uint8_t in[] = { (uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
			(uint8_t)(bits >> 24) };
		size_t length;

		assert_int_equal(lzw_length(str_mem(in, 4), 1000, &length, NULL), ERR_INPUT);
	}
	rng_init(&rng, 3);
	for (unsigned round = 0; round < 20000;
	     round++) { /* noise, in memory that ends where it ends */
		size_t n = rng_below(&rng, 300), length;
		uint8_t *noise = malloc(n + 1);
		struct buf out;
		int rc;

		for (size_t i = 0; i < n; i++)
			noise[i] = (uint8_t)rng_below(&rng, 256);
		buf_init(&out, 4096);
		rc = lzw_length(str_mem(noise, n), 4096, &length, NULL);
		assert_int_equal(lzw_unpack(str_mem(noise, n), &out, NULL), rc);
		if (rc == 0)
			assert_int_equal(out.n, length);
		buf_done(&out);
		free(noise);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_kinds_of_bytes_come_back),
		cmocka_unit_test(a_bomb_stops_at_the_cap),
		cmocka_unit_test(codes_out_of_nowhere_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

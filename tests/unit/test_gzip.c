/* tests/unit/test_gzip.c -- who takes gzip, and that what was packed is the same again. */
#include "agent/http/gzip.h"

#include <zlib.h>

#include "base/rng.h"
#include "tests/unit/test.h"

static void
clients_say_what_they_take(void **unused)
{
	static const struct {
		const char *value;
		bool taken;
	} rows[] = {
		{ "gzip", true },
		{ "GZip", true },
		{ "deflate, gzip;q=1.0, *;q=0.5", true },
		{ "gzip ; q=0.001", true },
		{ "gzip;q=0", false },
		{ "gzip;Q=0", false },
		{ "gzip; q=0.000", false },
		{ "deflate, br", false },
		{ "*", false },
		{ "gzipped", false },
		{ "identity", false },
		{ "", false },
		{ ",,;;,", false },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct http_header header = { STR("accept-encoding"), str_of(rows[i].value) };
		struct http_request rq = { .headers = &header, .header_count = 1 };

		if (gzip_accepted(&rq) != rows[i].taken)
			fail_msg("\"%s\"", rows[i].value);
	}
}

static void
unpack(struct str packed, char *out, size_t cap, size_t *n)
{
	z_stream z = { 0 };

	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)packed.p;
	z.avail_in = (uInt)packed.n;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)cap;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	*n = cap - z.avail_out;
	inflateEnd(&z);
}

static void
what_was_packed_is_the_same_again(void **unused)
{
	static char text[100000], back[200000];
	struct gzip *g = gzip_new();
	struct buf out;

	(void)unused;
	buf_init(&out, GZIP_BYTES_MAX);
	for (size_t n = 1400; n < sizeof text; n = n * 3 / 2) {
		size_t got;

		for (size_t i = 0; i < n; i++)
			text[i] = "{\"Node\":\"x\",\"ID\":12}"[(i + n) % 20];
		assert_true(gzip_pack(g, str_mem(text, n), &out));
		assert_true(out.n < n / 4);
		unpack(buf_str(&out), back, sizeof back, &got);
		assert_int_equal(got, n);
		assert_memory_equal(back, text, n);
	}
	buf_done(&out);
	gzip_free(g);
}

static void
what_does_not_shrink_stays(void **unused)
{
	static char noise[20000];
	struct gzip *g = gzip_new();
	struct rng rng;
	struct buf out;

	(void)unused;
	rng_init(&rng, 42);
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)rng_u32(&rng);
	buf_init(&out, GZIP_BYTES_MAX);
	assert_false(gzip_pack(g, str_mem(noise, sizeof noise), &out));
	memset(noise, 'x', sizeof noise);
	assert_true(gzip_pack(g, str_mem(noise, sizeof noise), &out)); /* as if nothing had been */
	buf_done(&out);
	gzip_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_say_what_they_take),
		cmocka_unit_test(what_was_packed_is_the_same_again),
		cmocka_unit_test(what_does_not_shrink_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_base64.c -- the RFC's own vectors, every length, and what is no base64. */
#include "tests/unit/test.h"

#include "base/base64.h"
#include "base/rng.h"

#define BAD(text)                      \
	{                              \
		text, sizeof(text) - 1 \
	}

static struct buf out;

static void
the_vectors_of_the_rfc(void **unused)
{
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbe", "+/++" } };

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		buf_init(&out, 1024);
		base64_put(&out, str_of(rows[i][0]));
		assert_str(buf_str(&out), rows[i][1]);
		buf_clear(&out);
		assert_true(base64_get(&out, str_of(rows[i][1])));
		assert_str(buf_str(&out), rows[i][0]);
		buf_done(&out);
	}
}

static void
every_length_comes_back(void **unused)
{
	struct rng rng;
	char bytes[100];

	(void)unused;
	rng_init(&rng, 5);
	for (size_t n = 0; n <= sizeof bytes; n++) {
		struct buf text;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)(uint8_t)rng_u32(&rng);
		buf_init(&text, 1024);
		buf_init(&out, 1024);
		base64_put(&text, str_mem(bytes, n));
		assert_int_equal(text.n, BASE64_LEN(n));
		assert_true(base64_get(&out, buf_str(&text)));
		assert_true(str_eq(buf_str(&out), str_mem(bytes, n)));
		buf_done(&text);
		buf_done(&out);
	}
}

static void
what_is_no_base64_is_refused(void **unused)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = { BAD("Z"), BAD("Zg"), BAD("Zg="), BAD("Zg==="), BAD("Zg==Zg=="), BAD("=g=="),
		BAD("Z==="), BAD("Zh=="), BAD("Zm9="), BAD("Zg=a"), BAD("Z g="), BAD("Zm9-"),
		BAD("Zm9v "), BAD("Zm\0v"), BAD("====") };

	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		buf_init(&out, 1024);
		if (base64_get(&out, str_mem(bad[i].p, bad[i].n)))
			fail_msg("%zu: %s", i, bad[i].p);
		buf_done(&out);
	}
	buf_init(&out, 1024);
	assert_true(base64_get(&out, STR("Zm9v\r\nYmFy\n")));
	assert_str(buf_str(&out), "foobar");
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors_of_the_rfc),
		cmocka_unit_test(every_length_comes_back),
		cmocka_unit_test(what_is_no_base64_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Base64 both ways: RFC 4648's own examples, and every wrong form. */
#include "base/base64.h"
#include "tests/unit/test.h"

static const struct {
	const char *plain, *text;
} examples[] = { /* RFC 4648 section 10 */
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }
};

static void
examples_go_both_ways(void **unused)
{
	char room[64], out[64];
	struct buf b;
	size_t n;

	(void)unused;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		buf_over(&b, room, sizeof room);
		base64_encode(&b, str_of(examples[i].plain));
		assert_str(buf_str(&b), examples[i].text);
		assert_int_equal(BASE64_LEN(strlen(examples[i].plain)), b.n);
		assert_true(base64_decode(buf_str(&b), out, sizeof out, &n));
		assert_str(str_mem(out, n), examples[i].plain);
	}
}

static void
every_byte_goes_both_ways(void **unused)
{
	uint8_t all[256], out[256];
	char room[BASE64_LEN(256)];
	struct buf b;
	size_t n = 0;

	(void)unused;
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (uint8_t)i;
	for (size_t len = 0; len <= sizeof all; len++) {
		buf_over(&b, room, sizeof room);
		base64_encode(&b, str_mem(all, len));
		assert_false(b.full);
		assert_true(base64_decode(buf_str(&b), out, len, &n));
		assert_int_equal(n, len);
		assert_memory_equal(out, all, len);
		if (len > 0)
			assert_false(base64_decode(buf_str(&b), out, len - 1, &n)); /* no room */
	}
}

static void
other_forms_are_refused(void **unused)
{
	static const char *const wrong[] = { "Z", "Zg",
		"Zg=", "Zg===", "Z===", "====", "=Zg=", "Zm8=Zm8=", "Zg==Zg==", "Zm9-", "Zm 9v",
		"Zm9v=", "Zg=g", "Zg==\n=" };
	char out[64];
	size_t n;

	(void)unused;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (base64_decode(str_of(wrong[i]), out, sizeof out, &n))
			fail_msg("taken: %s", wrong[i]);
	assert_true(base64_decode(STR("Zm\r\n9v\n"), out, sizeof out, &n)); /* line ends are not */
	assert_str(str_mem(out, n), "foo");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_go_both_ways),
		cmocka_unit_test(every_byte_goes_both_ways),
		cmocka_unit_test(other_forms_are_refused),
	};

	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}

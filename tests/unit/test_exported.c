/* Keys as files, keys of answers, and numbers of the command line. */
#include "agent/cmd/exported.h"
#include "base/json.h"
#include "tests/unit/test.h"

#define ENTRY(key, flags, value)                                                    \
	"{\"LockIndex\":0,\"Key\":\"" key "\",\"Flags\":" flags ",\"Value\":" value \
	",\"CreateIndex\":1,\"ModifyIndex\":2}"

static int
read_text(const char *text, struct pair_entry **list, size_t *count, struct arena *arena)
{
	struct err err = { 0 };
	int rc = exported_read(arena, str_of(text), list, count, &err);

	assert_true(rc == 0 || err.text[0] != '\0');
	return rc;
}

static void
what_is_written_is_read(void **unused)
{
	static const char answer[] = "[" ENTRY(
	    "a/\\u0000b", "18446744073709551615", "\"AP8=\"") "," ENTRY("c", "0", "null") "]";
	struct pair_entry *list = NULL, p;
	struct arena arena;
	size_t count = 0;
	struct buf b;
	json_t *v = NULL;

	(void)unused;
	arena_init(&arena, 1 << 20);
	buf_init(&b, 1 << 20);
	assert_int_equal(json_read_wide(str_of(answer), &v, NULL), 0);
	assert_int_equal(exported_write(&b, v, NULL), 0);
	assert_str(buf_str(&b), "[\n\t{\n\t\t\"key\": \"a/\\u0000b\",\n"
				"\t\t\"flags\": 18446744073709551615,\n\t\t\"value\": \"AP8=\"\n"
				"\t},\n\t{\n\t\t\"key\": \"c\",\n\t\t\"flags\": 0,\n"
				"\t\t\"value\": \"\"\n\t}\n]\n");
	buf_addc(&b, '\0');
	assert_int_equal(read_text(b.p, &list, &count, &arena), 0);
	assert_int_equal(count, 2);
	assert_true(list[0].flags == UINT64_MAX && str_eq(list[0].value, str_mem("\0\xff", 2)));
	assert_true(str_eq(list[0].key, str_mem("a/\0b", 4)));
	assert_true(list[1].flags == 0 && list[1].value.n == 0);
	assert_int_equal(pair_read(&arena, json_array_get(v, 0), &p, NULL), 0);
	assert_true(p.flags == UINT64_MAX && p.create == 1 && p.modify == 2 && p.session.n == 0);
	assert_int_equal(pair_read(&arena, v, &p, NULL), ERR_INPUT);
	json_decref(v);
	buf_clear(&b);
	assert_int_equal(exported_write(&b, NULL, NULL), 0);
	assert_str(buf_str(&b), "[]\n");
	buf_done(&b);
	arena_done(&arena);
}

static void
files_of_others(void **unused)
{
	static const char *const bad[] = { "", "{}", "null", "[1]", "[{}]", "[{\"key\":\"\"}]",
		"[{\"key\":\"/a\"}]", "[{\"key\":1}]", "[{\"key\":\"a\",\"flags\":-1}]",
		"[{\"key\":\"a\",\"flags\":1.5}]", "[{\"key\":\"a\",\"flags\":\"1\"}]",
		"[{\"key\":\"a\",\"flags\":18446744073709551616}]",
		"[{\"key\":\"a\",\"value\":\"x\"}]", "[{\"key\":\"a\",\"value\":5}]" };
	struct pair_entry *list = NULL;
	struct arena arena;
	size_t count = 0;

	(void)unused;
	arena_init(&arena, 1 << 20);
	assert_int_equal(read_text("[]", &list, &count, &arena), 0);
	assert_int_equal(count, 0);
	assert_int_equal(read_text("[{\"Key\":\"a\",\"FLAGS\":null,\"value\":null,\"x\":[]}]",
			     &list, &count, &arena),
	    0);
	assert_true(count == 1 && list[0].flags == 0 && list[0].value.n == 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_true(read_text(bad[i], &list, &count, &arena) < 0);
	arena_done(&arena);
}

static void
numbers_have_64_bits(void **unused)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t n;
	} cases[] = {
		{ "0", true, 0 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "0xffffffffffffffff", true, UINT64_MAX },
		{ "0X1f", true, 31 },
		{ "010", true, 10 },
		{ "18446744073709551616", false, 0 },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "0x", false, 0 },
		{ "1e3", false, 0 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t n = 7;

		assert_int_equal(
		    pair_number("n", cases[i].text, &n, NULL), cases[i].good ? 0 : ERR_INPUT);
		assert_true(n == (cases[i].good ? cases[i].n : 7));
	}
}

static void
data_comes_from_where_the_word_says(void **unused)
{
	struct err err = { 0 };
	struct buf b;

	(void)unused;
	buf_init(&b, 1 << 20);
	assert_int_equal(pair_data("word", &b, &err), 0);
	assert_str(buf_str(&b), "word");
	assert_int_equal(pair_data("@/no/such/file", &b, &err), ERR_IO);
	buf_clear(&b);
	assert_int_equal(pair_data("@/proc/self/comm", &b, &err), 0);
	assert_str(buf_str(&b), "test_exported\n");
	assert_str(pair_key("/a/b"), "a/b");
	assert_str(pair_key("a"), "a");
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(files_of_others),
		cmocka_unit_test(numbers_have_64_bits),
		cmocka_unit_test(data_comes_from_where_the_word_says),
	};

	return cmocka_run_group_tests_name("exported", tests, NULL, NULL);
}

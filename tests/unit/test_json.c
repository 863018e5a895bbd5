/* JSON: Go's tolerance on the way in, Go's escapes on the way out. */
#include "base/json.h"
#include "tests/unit/test.h"

static void
broken_utf8_and_surrogates_are_repaired(void **unused)
{
	struct err err;
	json_t *v;

	(void)unused;
	assert_int_equal(json_read(STR("[\"a\xff\", \"\\ud83d\", \"\\ud83d\\ude00\"]"), &v, &err), 0);
	assert_str(json_text(json_array_get(v, 0)), "a\xef\xbf\xbd");
	assert_str(json_text(json_array_get(v, 1)), "\xef\xbf\xbd");
	assert_str(json_text(json_array_get(v, 2)), "\xf0\x9f\x98\x80");
	json_decref(v);
}

static void
depth_is_bounded(void **unused)
{
	char deep[JSON_DEPTH_MAX + 2];
	struct err err;
	json_t *v;

	(void)unused;
	memset(deep, '[', sizeof deep);
	assert_int_equal(json_read(str_mem(deep, sizeof deep), &v, &err), ERR_LIMIT);
	assert_int_equal(json_read(STR("\"[[["), &v, &err), ERR_INPUT);
	assert_int_equal(json_read(STR(""), &v, &err), ERR_INPUT);
	assert_int_equal(json_read(STR("{} x"), &v, &err), ERR_INPUT);
	assert_int_equal(json_read(STR("\"\\"), &v, &err), ERR_INPUT);
}

static void
strings_are_escaped_as_go_does(void **unused)
{
	struct buf b;

	(void)unused;
	buf_init(&b, 1000);
	json_put_str(&b, STR("a\"\\\n\x01<&>\xe2\x80\xa8\xc3\xa4\xff"));
	assert_str(buf_str(&b),
	    "\"a\\\"\\\\\\n\\u0001\\u003c\\u0026\\u003e\\u2028\xc3\xa4\\ufffd\"");
	buf_done(&b);
}

static void
pretty_has_four_blanks_and_compact_none(void **unused)
{
	struct buf b;
	struct jw w;

	(void)unused;
	buf_init(&b, 1000);
	for (int pretty = 0; pretty < 2; pretty++) {
		buf_clear(&b);
		jw_init(&w, &b, pretty);
		jw_object(&w);
		jw_ku64(&w, "a", 1);
		jw_key(&w, STR("b"));
		jw_array(&w);
		jw_bool(&w, true);
		jw_null(&w);
		jw_array_end(&w);
		jw_key(&w, STR("c"));
		jw_object(&w);
		jw_object_end(&w);
		jw_object_end(&w);
		assert_str(buf_str(&b), pretty ?
		        "{\n    \"a\": 1,\n    \"b\": [\n        true,\n        null\n    ],\n"
		        "    \"c\": {}\n}" :
		        "{\"a\":1,\"b\":[true,null],\"c\":{}}");
	}
	buf_done(&b);
}

static void
the_first_value_ends_where_go_ends_it(void **unused)
{
	static const struct {
		const char *text, *first, *error;
	} cases[] = {
		{ "{\"a\":[1,{}]}{\"b\":2}", "{\"a\":[1,{}]}", NULL },
		{ " \n[]\r\n\t ", "[]", NULL },
		{ "-1.5e+3 x", "-1.5e+3", NULL },
		{ "\"a\\\"\\u00e9\"]", "\"a\\\"\\u00e9\"", NULL },
		{ "null", "null", NULL },
		{ "", NULL, "EOF" },
		{ " \n", NULL, "EOF" },
		{ "{\"Node\":", NULL, "unexpected EOF" },
		{ "{\"Name\": \"x\",", NULL, "unexpected EOF" },
		{ "\"\\u12", NULL, "unexpected EOF" },
		{ "1.", NULL, "unexpected EOF" },
		{ "nope", NULL, "invalid character 'o' in literal null (expecting 'u')" },
		{ "'a'", NULL, "invalid character '\\'' looking for beginning of value" },
		{ "{a:1}", NULL, "invalid character 'a' looking for beginning of object key string" },
		{ "{\"a\" 1}", NULL, "invalid character '1' after object key" },
		{ "{\"a\":1 2}", NULL, "invalid character '2' after object key:value pair" },
		{ "[1 2]", NULL, "invalid character '2' after array element" },
		{ "[1,]", NULL, "invalid character ']' looking for beginning of value" },
		{ "{\"a\":1,}", NULL,
		    "invalid character '}' looking for beginning of object key string" },
		{ "\"a\nb\"", NULL, "invalid character '\\n' in string literal" },
		{ "\"\\x\"", NULL, "invalid character 'x' in string escape code" },
		{ "-x", NULL, "invalid character 'x' in numeric literal" },
	};
	char deep[JSON_DEPTH_MAX + 1];
	struct str first;
	struct err err;

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int rc = json_scan(str_of(cases[i].text), &first, &err);

		if (cases[i].error == NULL) {
			assert_int_equal(rc, 0);
			assert_str(first, cases[i].first);
		} else {
			assert_int_equal(rc, ERR_INPUT);
			assert_str(str_of(err.text), cases[i].error);
		}
	}
	memset(deep, '[', sizeof deep);
	assert_int_equal(json_scan(str_mem(deep, sizeof deep), &first, &err), ERR_LIMIT);
}

static void
no_truncation_is_a_whole_value(void **unused)
{
	const struct str text = STR("{\"a\":[1,-2.5e1,\"x\\u0041\",true,null],\"b\":{}}");
	struct str first;

	(void)unused;
	for (size_t n = 0; n <= text.n; n++) /* every truncation */
		assert_int_equal(json_scan(str_head(text, n), &first, NULL) == 0, n == text.n);
}

static void
raw_json_keeps_its_place(void **unused)
{
	struct buf b;
	struct jw w;

	(void)unused;
	buf_init(&b, 1000);
	for (int pretty = 0; pretty < 2; pretty++) {
		buf_clear(&b);
		jw_init(&w, &b, pretty);
		jw_object(&w);
		jw_key(&w, STR("r"));
		jw_raw(&w, STR("{\"a\":[1,true,\"<\"],\"b\":{}}"));
		jw_ku64(&w, "z", 1);
		jw_object_end(&w);
		assert_str(buf_str(&b), pretty ?
		        "{\n    \"r\": {\n        \"a\": [\n            1,\n            true,\n"
		        "            \"\\u003c\"\n        ],\n        \"b\": {}\n    },\n    \"z\": 1\n}" :
		        "{\"r\":{\"a\":[1,true,\"<\"],\"b\":{}},\"z\":1}");
	}
	buf_done(&b);
}

/* The texts are Go's: json.Marshal of these values. */
static void
numbers_are_the_shortest_that_mean_the_same(void **unused)
{
	static const struct {
		double v;
		const char *text;
	} rows[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ -1.5, "-1.5" },
		{ 0.1, "0.1" },
		{ 1e-5, "0.00001" },
		{ 0.000001, "0.000001" },
		{ 0.00000123, "0.00000123" },
		{ 9.99e-7, "9.99e-7" },
		{ -1e-9, "-1e-9" },
		{ 1.2345e-10, "1.2345e-10" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 123456789.25, "123456789.25" },
		{ 1e20, "100000000000000000000" },
		{ 1e21, "1e+21" },
		{ 1.5e300, "1.5e+300" },
		{ 5e-324, "5e-324" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
	};
	struct buf b;
	struct jw w;

	(void)unused;
	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		buf_clear(&b);
		jw_init(&w, &b, false);
		jw_f64(&w, rows[i].v);
		assert_str(buf_str(&b), rows[i].text);
	}
	buf_clear(&b);
	jw_init(&w, &b, false);
	jw_array(&w);
	jw_f64(&w, 1.0 / rows[0].v);
	jw_f64(&w, rows[0].v / rows[0].v);
	jw_array_end(&w);
	assert_str(buf_str(&b), "[null,null]");
	buf_done(&b);
}

static void
whole_numbers_may_have_64_bits(void **unused)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t n;
	} cases[] = {
		{ "0", true, 0 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", true, (uint64_t)INT64_MAX + 1 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "-1", false, 0 },
		{ "1.5", false, 0 },
		{ "1e3", false, 0 },
		{ "\"5\"", false, 0 },
		{ "null", false, 0 },
	};
	static const char *const broken[] = { "18446744073709551616", "018446744073709551615",
		"-18446744073709551615", "18446744073709551615x" };
	struct err err;
	json_t *v;

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t n = 77;

		assert_int_equal(json_read_wide(str_of(cases[i].text), &v, &err), 0);
		assert_int_equal(json_u64(v, &n), cases[i].good);
		assert_true(n == (cases[i].good ? cases[i].n : 77));
		json_decref(v);
	}
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
		assert_int_equal(json_read_wide(str_of(broken[i]), &v, &err), ERR_INPUT);
	assert_int_equal(json_read_wide(STR("{\"a\":[18446744073709551615,-2.5],"
					    "\"18446744073709551615\":\"18446744073709551615\"}"),
			     &v, &err),
	    0);
	assert_str(json_member_str(v, "18446744073709551615"), "18446744073709551615");
	json_decref(v);
	assert_int_equal(json_read(STR("18446744073709551615"), &v, &err), ERR_INPUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_utf8_and_surrogates_are_repaired),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(strings_are_escaped_as_go_does),
		cmocka_unit_test(pretty_has_four_blanks_and_compact_none),
		cmocka_unit_test(the_first_value_ends_where_go_ends_it),
		cmocka_unit_test(no_truncation_is_a_whole_value),
		cmocka_unit_test(raw_json_keeps_its_place),
		cmocka_unit_test(numbers_are_the_shortest_that_mean_the_same),
		cmocka_unit_test(whole_numbers_may_have_64_bits),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}

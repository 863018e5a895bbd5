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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_utf8_and_surrogates_are_repaired),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(strings_are_escaped_as_go_does),
		cmocka_unit_test(pretty_has_four_blanks_and_compact_none),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}

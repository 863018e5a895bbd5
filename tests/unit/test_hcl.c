/* tests/unit/test_hcl.c -- HCL 1 as JSON, and where it is wrong. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "agent/hcl.h"

static void
reads_as(const char *text, const char *json)
{
	struct err err = { 0 };
	json_t *v = NULL;
	char *shown;

	if (hcl_read(STR("a.hcl"), str_of(text), &v, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	shown = json_dumps(v, JSON_COMPACT);
	assert_string_equal(shown, json);
	free(shown);
	json_decref(v);
}

static void
fails_as(const char *text, const char *sentence)
{
	struct err err = { 0 };
	json_t *v = NULL;

	assert_true(hcl_read(STR("a.hcl"), str_of(text), &v, &err) < 0);
	assert_null(v);
	assert_string_equal(err.text, sentence);
}

static void
values(void **unused)
{
	(void)unused;
	reads_as("", "{}");
	reads_as("\xef\xbb\xbf# only a comment", "{}");
	reads_as("a = 1 b = -2 c = 0x1f d = 017 e = 1.5 f = -1e3 g = true h = false",
	    "{\"a\":1,\"b\":-2,\"c\":31,\"d\":15,\"e\":1.5,\"f\":-1000.0,\"g\":true,\"h\":false}");
	reads_as("a = [1, \"x\", [true], {b = 2},]\nc = []", "{\"a\":[1,\"x\",[true],{\"b\":2}],\"c\":[]}");
	reads_as("m = { a = 1, \"b c\": 2\n d = 3 }", "{\"m\":{\"a\":1,\"b c\":2,\"d\":3}}");
	reads_as("{\"a\": {\"b\": [1, 2]}, \"c\": \"x\"}", "{\"a\":{\"b\":[1,2]},\"c\":\"x\"}");
	reads_as("a.b-c_d = 1", "{\"a.b-c_d\":1}");
}

static void
comments(void **unused)
{
	(void)unused;
	reads_as("# x\n// y\n/* z\n * = { */ a /* b */ = /**/ 1 # c\nb = 2//", "{\"a\":1,\"b\":2}");
}

static void
texts(void **unused)
{
	(void)unused;
	reads_as("a = \"q\\\" b\\\\ n\\n t\\t \\u00e9 \\x41 \\101 \\U0001F600\"",
	    "{\"a\":\"q\\\" b\\\\ n\\n t\\t \xc3\xa9 A A \xf0\x9f\x98\x80\"}");
	reads_as("a = \"${f(\"x\")}\"", "{\"a\":\"${f(\\\"x\\\")}\"}");
	reads_as("a = <<EOF\n one\n  two\nEOF\nb = 1", "{\"a\":\" one\\n  two\\n\",\"b\":1}");
	reads_as("a = <<-EOF\r\n  one\r\n    two\n  EOF\n", "{\"a\":\"one\\r\\n  two\\n\"}");
	reads_as("a = <<-E\n one\n   E", "{\"a\":\" one\\n\"}"); /* a line has less: all stay */
	reads_as("a = [<<E\nE\n, 1]", "{\"a\":[\"\",1]}");
}

static void
blocks(void **unused)
{
	(void)unused;
	reads_as("a { b = 1 }", "{\"a\":[{\"b\":1}]}");
	reads_as("a { b = 1 } c = 2 a { b = 3 }", "{\"a\":[{\"b\":1},{\"b\":3}],\"c\":2}");
	reads_as("a \"x\" y { b = 1 }", "{\"a\":[{\"x\":[{\"y\":[{\"b\":1}]}]}]}");
	reads_as("a = 1 a = 2", "{\"a\":[1,2]}");
	reads_as("a = [{b = 1}] a { b = 2 }", "{\"a\":[{\"b\":1},{\"b\":2}]}");
}

static void
mistakes(void **unused)
{
	(void)unused;
	fails_as("a = 1\nb = ", "a.hcl:2: the file ends where a value must stand");
	fails_as("a = web", "a.hcl:1: a text must stand in quotes");
	fails_as("\n\na { b = 1", "a.hcl:3: the file ends where '}' must stand");
	fails_as("a = [1 2]", "a.hcl:1: '2' where ',' or ']' must stand");
	fails_as("a = \"x\ny\"", "a.hcl:1: this text has no closing quote");
	fails_as("a = \"\\q\"", "a.hcl:1: unknown escape in a text");
	fails_as("a = \"\\ud800\"", "a.hcl:1: this escape is no character");
	fails_as("a = \"\\777\"", "a.hcl:1: this escape is larger than a byte");
	fails_as("a = \"\\xff\"", "a.hcl:1: this text is not UTF-8");
	fails_as("\na = <<EOF\nx\n", "a.hcl:2: the mark that ends this text is missing");
	fails_as("a = <<\nx\n", "a.hcl:1: << must be followed by a mark, such as EOF, alone on its line");
	fails_as("\n/* x\n", "a.hcl:2: this comment has no end");
	fails_as("a = 12x", "a.hcl:1: this is no number");
	fails_as("a = 99999999999999999999", "a.hcl:1: this is no number");
	fails_as("a = 1e999", "a.hcl:1: this is no number");
	fails_as("a 1", "a.hcl:1: '1' where '=' or '{' must stand");
	fails_as("a }", "a.hcl:1: '}' where '=' or '{' must stand");
	fails_as("}", "a.hcl:1: '}' where a key must stand");
	fails_as("\"\" = 1", "a.hcl:1: a key may not be empty");
	fails_as("\"\\x00\" = 1", "a.hcl:1: this key is not UTF-8 text");
	fails_as("{} x", "a.hcl:1: 'x' where the end must stand");
	fails_as("a = \001", "a.hcl:1: byte 0x01 where a value must stand");
	fails_as("a b c d e f g h i j { }", "a.hcl:1: too many labels");
}

static void
depth_is_bounded(void **unused)
{
	char text[2 * HCL_DEPTH_MAX + 16] = "a = ";
	struct err err = { 0 };
	json_t *v = NULL;

	(void)unused;
	memset(text + 4, '[', HCL_DEPTH_MAX);
	memset(text + 4 + HCL_DEPTH_MAX, ']', HCL_DEPTH_MAX);
	assert_int_equal(hcl_read(STR("a"), str_of(text), &v, &err), 0);
	json_decref(v);
	v = NULL;
	memset(text + 4, '[', HCL_DEPTH_MAX + 1);
	assert_int_equal(hcl_read(STR("a"), str_of(text), &v, &err), ERR_LIMIT);
	assert_string_equal(err.text, "a:1: nested too deep");
	assert_null(v);
}

/* Whatever is cut off, the rest is read or refused, never overrun. */
static void
every_truncation(void **unused)
{
	static const char text[] = "# c\na { b = [1, \"x\\u00e9${y}\", <<-E\n q\n E\n] } /* d */ "
				   "c \"l\" { d: -1.5 }";

	(void)unused;
	for (size_t n = 0; n < sizeof text; n++) {
		char *copy = malloc(n == 0 ? 1 : n);
		struct err err = { 0 };
		json_t *v = NULL;

		memcpy(copy, text, n);
		if (hcl_read(STR("a"), str_mem(copy, n), &v, &err) < 0)
			assert_true(err.text[0] != '\0' && v == NULL);
		json_decref(v);
		free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(comments),
		cmocka_unit_test(texts),
		cmocka_unit_test(blocks),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(every_truncation),
	};

	return cmocka_run_group_tests_name("hcl", tests, NULL, NULL);
}

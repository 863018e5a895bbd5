/* Regular expressions in Go's syntax: what matches, what is refused and in which words, and that
 * no pattern can keep the agent busy.
 */
#include "agent/regexp.h"
#include "tests/unit/test.h"

#define STEPS 100000

static struct arena arena;

static int
setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 8 << 20);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	arena_done(&arena);
	return 0;
}

static enum regexp_answer
answer(struct str pattern, struct str text)
{
	struct regexp *re = NULL;
	uint64_t steps = STEPS;
	struct err err;

	if (regexp_new(&arena, pattern, &re, &err) != 0) {
		print_error(STR_FMT ": %s\n", STR_ARG(pattern), err.text);
		fail();
	}
	return regexp_match(re, text, &steps);
}

static void
matching_is_gos(void **unused)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{ "", "", true }, { "", "x", true }, { "b", "abc", true }, { "^b", "abc", false },
		{ "^web-[0-9]+$", "web-17", true }, { "^web-\\d{2,3}$", "web-1", false },
		{ "a|b|", "zzz", true }, { "(?i)PASS", "passing", true },
		{ "(?i:p)ASS", "Pass", false }, { "a(?i)b|C", "c", true },
		{ "x*?y+?z??", "yz", true }, { "a$", "a\n", false }, { "(?m)^b$", "a\nb\nc", true },
		{ "a.b", "a\nb", false }, { "(?s)a.b", "a\nb", true },
		{ "a.b",
		    "a\xc3\xa9"
		    "b",
		    true },
		{ "[^a]", "\n", true }, { "\\s", "\v", false }, { "\\S", "\v", true },
		{ "[\\s]", "\t", true }, { "[\\S]", "\v", true }, { "\\v", "\v", true },
		{ "\\v", "\n", false }, { "[[:alpha:]_]+$", "ab_", true },
		{ "^[[:^digit:]]$", "1", false }, { "^[]a-]+$", "]-a", true },
		{ "[a\\-z]", "b", false }, { "[a\\-z]", "-", true },
		{ "\\Qa.b\\E+", "a.bbb", true }, { "\\Qa.b", "axb", false },
		{ "^\\x41\\x{e9}\\101$",
		    "A\xc3\xa9"
		    "A",
		    true },
		{ "^\\0$", "x", false }, { "\\pL", "\xce\xb1", true }, { "\\p{Greek}", "a", false },
		{ "\\P{^Greek}", "\xce\xb1", true }, { "(?P<name>a)(b)", "ab", true },
		{ "a{,2}", "a{,2}", true }, { "a{x}", "a{x}", true }, { "a{01}", "a", false },
		{ "\\bfoo\\b", "a foo b", true }, { "\\bfoo\\b", "afoob", false },
		{ "\\Afoo\\z", "foo", true }, { "^*a", "ba", true }, { "\\.", "x", false },
		{ "\\_", "_", true }, { "#", "#", true }, { " a b", " a b", true },
		{ "\xce\xb1", "x\xce\xb1", true },
		{ "a.b",
		    "a\xff"
		    "b",
		    false }, /* no UTF-8: nothing matches it */
	};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		enum regexp_answer got = answer(str_of(cases[i].pattern), str_of(cases[i].text));

		if (got != (cases[i].matches ? REGEXP_YES : REGEXP_NO)) {
			print_error("\"%s\" on \"%s\"\n", cases[i].pattern, cases[i].text);
			fail();
		}
	}
	assert_int_equal(answer(STR("^\\x00\\0$"), STR("\0\0")), REGEXP_YES);
	assert_int_equal(answer(STR("^a\0b$"), STR("a\0b")), REGEXP_YES);
}

static void
refusals_are_in_gos_words(void **unused)
{
	static const struct {
		const char *pattern, *why;
	} cases[] = {
		{ "(", "missing closing ): `(`" },
		{ "a)b", "unexpected ): `a)b`" },
		{ "x[a", "missing closing ]: `[a`" },
		{ "[]", "missing closing ]: `[]`" },
		{ "[a-", "missing closing ]: `[a-`" },
		{ "[z-a]", "invalid character class range: `z-a`" },
		{ "[[:foo:]]", "invalid character class range: `[:foo:]`" },
		{ "\\p{Foo.}", "invalid character class range: `\\p{Foo.}`" },
		{ "\\p{Greek", "invalid character class range: `\\p{Greek`" },
		{ "[a-\\d]", "invalid escape sequence: `\\d`" },
		{ "*a", "missing argument to repetition operator: `*`" },
		{ "(+?)", "missing argument to repetition operator: `+?`" },
		{ "a|{2}", "missing argument to repetition operator: `{2}`" },
		{ "a**", "invalid nested repetition operator: `**`" },
		{ "a++", "invalid nested repetition operator: `++`" },
		{ "a{2}{3}", "invalid nested repetition operator: `{2}{3}`" },
		{ "a{1001}", "invalid repeat count: `{1001}`" },
		{ "a{99999999999999999999}", "invalid repeat count: `{99999999999999999999}`" },
		{ "a{3,2}", "invalid repeat count: `{3,2}`" },
		{ "a\\", "trailing backslash at end of expression: ``" },
		{ "[\\", "trailing backslash at end of expression: ``" },
		{ "(a)\\1", "invalid escape sequence: `\\1`" },
		{ "\\8", "invalid escape sequence: `\\8`" },
		{ "\\K", "invalid escape sequence: `\\K`" },
		{ "\\Z", "invalid escape sequence: `\\Z`" },
		{ "\\C", "invalid escape sequence: `\\C`" },
		{ "\\E", "invalid escape sequence: `\\E`" },
		{ "\\xg", "invalid escape sequence: `\\x`" },
		{ "\\x{110000}", "invalid escape sequence: `\\x{110000`" },
		{ "a(?=b)", "invalid or unsupported Perl syntax: `(?=`" },
		{ "(?<!b)", "invalid or unsupported Perl syntax: `(?<`" },
		{ "(?>b)", "invalid or unsupported Perl syntax: `(?>`" },
		{ "(?R)", "invalid or unsupported Perl syntax: `(?R`" },
		{ "(?i-)", "invalid or unsupported Perl syntax: `(?i-)`" },
		{ "(?x)", "invalid or unsupported Perl syntax: `(?x`" },
		{ "(?P<n", "invalid named capture: `(?P<n`" },
		{ "(?P<n-m>a)", "invalid named capture: `(?P<n-m>`" },
		{ "(*ACCEPT)", "missing argument to repetition operator: `*`" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char want[160];
		struct regexp *re = NULL;
		struct err err;

		snprintf(want, sizeof want, "error parsing regexp: %s", cases[i].why);
		if (regexp_new(&arena, str_of(cases[i].pattern), &re, &err) != ERR_INPUT) {
			print_error("%s was taken\n", cases[i].pattern);
			fail();
		}
		assert_str(str_of(err.text), want);
		assert_null(re);
	}
}

static void
what_pcre2_refuses_has_its_words(void **unused)
{
	struct regexp *re;
	struct err err;

	(void)unused;
	assert_int_equal(regexp_new(&arena, STR("\\p{Foo}"), &re, &err), ERR_INPUT);
	assert_int_equal(strncmp(err.text, "error parsing regexp: unknown property", 38), 0);
	assert_int_equal(regexp_new(&arena, STR("\xff"), &re, &err), ERR_INPUT);
	assert_str(str_of(err.text), "error parsing regexp: invalid UTF-8");
	assert_int_equal(regexp_new(&arena, STR("((a{1000}){1000}){1000}"), &re, &err), ERR_INPUT);
}

static void
sizes_are_limited(void **unused)
{
	static char longest[REGEXP_BYTES_MAX + 1], nested[700];
	struct arena small;
	struct regexp *re;
	struct err err;

	(void)unused;
	memset(longest, '.', sizeof longest);
	assert_int_equal(
	    regexp_new(&arena, str_mem(longest, sizeof longest), &re, &err), ERR_LIMIT);
	memset(nested, '(', 300);
	memset(nested + 300, ')', 300);
	assert_int_equal(regexp_new(&arena, str_mem(nested, 600), &re, &err), ERR_INPUT);
	arena_init(&small, 400);
	assert_int_equal(regexp_new(&small, STR("a"), &re, &err), ERR_MEMORY);
	arena_done(&small);
}

static void
backtracking_ends_with_the_steps(void **unused)
{
	struct str text = STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");
	struct regexp *re;
	uint64_t steps = STEPS;

	(void)unused;
	assert_int_equal(regexp_new(&arena, STR("^(a|aa)+$"), &re, NULL), 0);
	assert_int_equal(regexp_match(re, text, &steps), REGEXP_GIVEN_UP);
	assert_int_equal(steps, 0);
	assert_int_equal(regexp_match(re, STR("a"), &steps), REGEXP_GIVEN_UP);
	steps = 50;
	assert_int_equal(regexp_match(re, STR("aa"), &steps), REGEXP_YES);
	assert_in_range(steps, 20, 49);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(matching_is_gos),
		TEST(refusals_are_in_gos_words),
		TEST(what_pcre2_refuses_has_its_words),
		TEST(sizes_are_limited),
		TEST(backtracking_ends_with_the_steps),
	};

	return cmocka_run_group_tests_name("regexp", tests, NULL, NULL);
}

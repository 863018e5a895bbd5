/* tests/unit/test_duration.c -- spans as Go reads and prints them. */
#include "tests/unit/test.h"

#include "agent/duration.h"

static void
reads_what_go_reads(void **unused)
{
	static const struct {
		const char *text;
		nsec want;
	} rows[] = {
		{ "0", 0 }, { "-0", 0 }, { "+0", 0 }, { "0s", 0 }, { "5s", 5 * NSEC_SEC },
		{ "30s", 30 * NSEC_SEC }, { "1478s", 1478 * NSEC_SEC }, { "-5s", -5 * NSEC_SEC },
		{ "+5s", 5 * NSEC_SEC }, { "5.0s", 5 * NSEC_SEC }, { "5.6s", 5600 * NSEC_MS },
		{ "5.s", 5 * NSEC_SEC }, { ".5s", 500 * NSEC_MS }, { "1.0s", NSEC_SEC },
		{ "1.004s", 1004 * NSEC_MS }, { "100.00100s", 100 * NSEC_SEC + NSEC_MS },
		{ "10ns", 10 }, { "11us", 11 * NSEC_US }, { "12\xc2\xb5s", 12 * NSEC_US },
		{ "12\xce\xbcs", 12 * NSEC_US }, { "13ms", 13 * NSEC_MS }, { "15m", 15 * NSEC_MIN },
		{ "16h", 16 * NSEC_HOUR }, { "3h30m", 3 * NSEC_HOUR + 30 * NSEC_MIN },
		{ "10.5s4m", 4 * NSEC_MIN + 10500 * NSEC_MS }, { "1.5h", 90 * NSEC_MIN },
		{ "39h9m14.425s", 39 * NSEC_HOUR + 9 * NSEC_MIN + 14425 * NSEC_MS },
		{ "9223372036854775807ns", INT64_MAX }, { "0.000000001s", 1 },
		{ "0.00000000000000000001h", 0 }, { "0.3333333333333333333h", 20 * NSEC_MIN },
		{ "0.100000000000000000000h", 6 * NSEC_MIN },
		{ "0.830103483285477580700h", 2988372539827 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		nsec got = 77;
		struct err err = { 0 };

		if (duration_parse(str_of(rows[i].text), &got, &err) != 0 || got != rows[i].want)
			fail_msg("%s: %lld, want %lld (%s)", rows[i].text, (long long)got,
			    (long long)rows[i].want, err.text);
	}
}

static void
refuses_in_the_words_of_go(void **unused)
{
	static const char *const rows[][2] = {
		{ "", "time: invalid duration \"\"" },
		{ "3", "time: missing unit in duration \"3\"" },
		{ "-", "time: invalid duration \"-\"" },
		{ "s", "time: invalid duration \"s\"" },
		{ ".", "time: invalid duration \".\"" },
		{ ".s", "time: invalid duration \".s\"" },
		{ "often", "time: invalid duration \"often\"" },
		{ "1d", "time: unknown unit \"d\" in duration \"1d\"" },
		{ "1s2", "time: missing unit in duration \"1s2\"" },
		{ "1 s", "time: unknown unit \" s\" in duration \"1 s\"" },
		{ "9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\"" },
		{ "2562048h", "time: invalid duration \"2562048h\"" },
		{ "2562047h47m16.854775808s",
		    "time: invalid duration \"2562047h47m16.854775808s\"" },
		{ "99999999999999999999s", "time: invalid duration \"99999999999999999999s\"" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		nsec got = 77;
		struct err err = { 0 };

		assert_int_equal(duration_parse(str_of(rows[i][0]), &got, &err), ERR_INPUT);
		assert_string_equal(err.text, rows[i][1]);
		assert_int_equal(got, 77);
	}
}

static void
prints_as_go_prints(void **unused)
{
	static const struct {
		nsec d;
		const char *want;
	} rows[] = {
		{ 0, "0s" }, { 1, "1ns" }, { 1100, "1.1\xc2\xb5s" }, { 2200 * NSEC_US, "2.2ms" },
		{ 3300 * NSEC_MS, "3.3s" }, { 4 * NSEC_MIN + 5 * NSEC_SEC, "4m5s" },
		{ 4 * NSEC_MIN + 5001 * NSEC_MS, "4m5.001s" }, { NSEC_MIN, "1m0s" },
		{ 5 * NSEC_HOUR + 6 * NSEC_MIN + 7001 * NSEC_MS, "5h6m7.001s" },
		{ NSEC_HOUR, "1h0m0s" }, { 8 * NSEC_MIN + 1, "8m0.000000001s" },
		{ -90 * NSEC_SEC, "-1m30s" }, { 999999999, "999.999999ms" },
		{ INT64_MAX, "2562047h47m16.854775807s" },
		{ INT64_MIN, "-2562047h47m16.854775808s" },
	};
	char text[DURATION_TEXT_MAX];

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(duration_format(rows[i].d, text), rows[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_go_reads),
		cmocka_unit_test(refuses_in_the_words_of_go),
		cmocka_unit_test(prints_as_go_prints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

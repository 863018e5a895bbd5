/* The checker itself: histories that are linearizable, and each kind of violation, found and told.
 */
#include "tests/unit/test.h"

#include "tests/linear/check.h"

#define REPORT_MAX 65536

static struct buf report;

static enum search_verdict
verdict(const char *text)
{
	struct history h;
	struct check_result r = { 0 };
	struct err err = { 0 };
	int rc;

	history_init(&h);
	buf_done(&report);
	buf_init(&report, REPORT_MAX);
	rc = history_read(&h, str_of(text), &err);
	if (rc == 0)
		rc = check_history(&h, &r, &report, &err);
	if (rc < 0)
		print_error("%s\n", err.text);
	assert_int_equal(rc, 0);
	history_done(&h);
	return r.verdict;
}

static void
linear(const char *text)
{
	if (verdict(text) != SEARCH_LINEAR) {
		print_error(STR_FMT, STR_ARG(buf_str(&report)));
		fail();
	}
}

static void
violation(const char *text)
{
	assert_int_equal(verdict(text), SEARCH_VIOLATION);
	assert_true(report.n > 0);
}

static bool
told(const char *words)
{
	return memmem(report.p, report.n, words, strlen(words)) != NULL;
}

static void
one_after_the_other(void **unused)
{
	(void)unused;
	linear("# nothing\n");
	linear("a k 1 2 get = none\n"
	       "a k 3 4 put v1 = ok\n"
	       "b k 5 6 get = v1 7 0 -\n"
	       "a k 7 8 delete = ok\n"
	       "b k 9 10 get = none\n"
	       "b k 11 12 put v2 = ok\n"
	       "b k 13 14 get = v2 9 0 -\n");
}

static void
a_read_beside_a_write_sees_either(void **unused)
{
	(void)unused;
	linear("a k 1 9 put v1 = ok\nb k 2 3 get = none\nb k 4 5 get = v1 7 0 -\n");
	linear("a k 1 9 put v1 = ok\nb k 2 3 get = v1 7 0 -\n");
	/* but not first the new, then the old */
	violation("a k 1 9 put v1 = ok\nb k 2 3 get = v1 7 0 -\nc k 4 5 get = none\n");
	assert_true(told("the key is there"));
}

static void
a_stale_read(void **unused)
{
	(void)unused;
	violation("a k 1 2 put v1 = ok\n"
		  "a k 3 4 put v2 = ok\n"
		  "b k 5 6 get = v1 7 0 -\n");
	assert_true(
	    told("key k: no order explains the answers (3 operations, 2 of them in order)"));
	assert_true(
	    told("then the key holds v2, an index above 0, LockIndex 0; what may come next\n"
		 "  b        0.000000 ..   0.000000  get = v1, index 7   <- the key holds "
		 "another value"));
	/* its last return and the first invoke may meet: that is at the same time */
	linear("a k 1 2 put v1 = ok\na k 3 5 put v2 = ok\nb k 5 6 get = v1 7 0 -\n");
}

static void
a_lost_write(void **unused)
{
	(void)unused;
	violation("a k 1 2 put v1 = ok\nb k 3 4 get = none\n");
	violation("a k 1 2 put v1 = ok\na k 1 2 put v2 = ok\na k 3 4 delete = ok\n"
		  "b k 5 6 get = v2 9 0 -\n");
}

static void
a_write_out_of_nowhere(void **unused)
{
	(void)unused;
	violation("a k 1 2 put v1 = ok\nb k 3 4 get = v9 7 0 -\n");
}

static void
an_unknown_write_happens_later_or_never(void **unused)
{
	(void)unused;
	linear("a k 1 ? put v1\nb k 5 6 get = none\nb k 7 8 get = v1 3 0 -\n");
	linear("a k 1 ? put v1\nb k 5 6 get = none\n");
	linear("a k 1 ? put v1\nb k 2 3 put v2 = ok\nb k 5 6 get = v2 3 0 -\n"
	       "b k 7 8 get = v1 4 0 -\n");
	violation("a k 1 ? put v1\nb k 2 3 get = v1 4 0 -\nb k 5 6 put v2 = ok\n"
		  "b k 7 8 get = v1 9 0 -\n");                 /* not twice */
	violation("b k 1 2 get = v1 4 0 -\na k 3 ? put v1\n"); /* nor before it was asked for */
}

static void
compare_and_set(void **unused)
{
	(void)unused;
	linear("a k 1 2 cas 0 v1 = yes\na k 3 4 get = v1 7 0 -\na k 5 6 cas 7 v2 = yes\n"
	       "b k 7 8 cas 7 v3 = no\nb k 9 10 cas 0 v4 = no\nb k 11 12 get = v2 9 0 -\n");
	/* twice with one index */
	violation("a k 1 2 put v1 = ok\na k 3 4 get = v1 7 0 -\n"
		  "a k 5 9 cas 7 v2 = yes\nb k 5 9 cas 7 v3 = yes\n");
	assert_true(told("the index was not the key's"));
	violation("a k 1 5 cas 0 v1 = yes\nb k 2 6 cas 0 v2 = yes\n");
	/* refused without a reason */
	violation("a k 1 2 put v1 = ok\na k 3 4 get = v1 7 0 -\na k 5 6 cas 7 v2 = no\n");
	/* the index of a write that nobody has read */
	linear("a k 1 2 put v1 = ok\nb k 3 4 cas 5 v2 = yes\nb k 5 6 get = v2 8 0 -\n");
	linear("a k 1 2 put v1 = ok\nb k 3 4 cas 5 v2 = no\nb k 5 6 get = v1 8 0 -\n");
	/* a refused one did nothing */
	violation("a k 1 2 put v1 = ok\na k 3 4 cas 0 v2 = no\na k 5 6 get = v2 8 0 -\n");
}

static void
compare_and_delete(void **unused)
{
	(void)unused;
	linear("a k 1 2 put v1 = ok\na k 3 4 get = v1 7 0 -\nb k 5 6 delete-cas 6 = no\n"
	       "a k 7 8 delete-cas 7 = yes\na k 9 10 get = none\nb k 11 12 delete-cas 7 = yes\n");
	violation("a k 1 2 put v1 = ok\na k 3 4 get = v1 7 0 -\na k 5 6 delete-cas 7 = yes\n"
		  "a k 7 8 get = v1 7 0 -\n");
}

static void
an_index_that_runs_backwards(void **unused)
{
	(void)unused;
	violation("a k 1 2 put v1 = ok\na k 3 4 get = v1 7 0 -\na k 5 6 put v2 = ok\n"
		  "a k 7 8 get = v2 6 0 -\n");
	assert_true(told("another ModifyIndex"));
	violation("a k 1 2 put v1 = ok\na k 3 4 get = v1 7 0 -\nb k 5 6 get = v1 8 0 -\n");
	violation("a k 1 2 put v1 = ok\na k 3 4 get = v1 7 0 -\na k 5 6 delete = ok\n"
		  "a k 7 8 put v2 = ok\na k 9 10 get = v2 7 0 -\n");
}

static void
a_delete_that_did_nothing_may_have_come_first(void **unused)
{
	(void)unused;
	linear("a k 1 9 delete = ok\nb k 2 3 put v1 = ok\nc k 10 11 get = none\n");
	linear("a k 1 9 delete = ok\nb k 2 3 put v1 = ok\nc k 10 11 get = v1 3 0 -\n");
}

static void
locks(void **unused)
{
	(void)unused;
	linear("a k 1 2 acquire s1 v1 = yes\nb k 3 4 acquire s2 v2 = no\n"
	       "b k 5 6 get = v1 7 1 s1\na k 7 8 release s1 v3 = yes\na k 9 10 release s1 v4 = no\n"
	       "b k 11 12 acquire s2 v5 = yes\nb k 13 14 get = v5 9 2 s2\n");
	/* the holder again: LockIndex stays; an ordinary write: it is 0, the session stays */
	linear("a k 1 2 acquire s1 v1 = yes\na k 3 4 acquire s1 v2 = yes\na k 5 6 get = v2 7 1 s1\n"
	       "b k 7 8 put v3 = ok\nb k 9 10 get = v3 8 0 s1\n");
	violation("a k 1 2 acquire s1 v1 = yes\na k 3 4 get = v1 7 0 s1\n");
	violation("a k 1 2 acquire s1 v1 = no\n");
	violation("a k 1 2 acquire s1 v1 = yes\nb k 3 4 get = v1 7 1 -\n");
}

static void
a_key_with_two_sessions(void **unused)
{
	(void)unused;
	violation("a k 1 5 acquire s1 v1 = yes\nb k 2 6 acquire s2 v2 = yes\n");
	assert_true(told("another session held the key"));
	violation("a k 1 2 acquire s1 v1 = yes\nb k 3 4 get = v1 7 1 s1\n"
		  "c k 5 6 get = v1 7 1 s2\na k 7 8 release s1 v2 = yes\n");
	/* unless the first gave it back in between, known or not */
	linear("a k 1 2 acquire s1 v1 = yes\na k 3 ? release s1 v2\nb k 4 5 acquire s2 v3 = yes\n"
	       "b k 6 7 get = v3 9 2 s2\n");
}

static void
ends_of_sessions(void **unused)
{
	(void)unused;
	linear("a k 1 2 acquire s1 v1 = yes\na * 3 4 end s1 release 0 = ok\n"
	       "b k 5 6 acquire s2 v2 = yes\nb k 7 8 get = v2 9 2 s2\n"
	       "a k 9 10 acquire s1 v3 = invalid\n");
	linear("a k 1 2 acquire s1 v1 = yes\na * 3 4 end s1 delete 0 = ok\nb k 5 6 get = none\n"
	       "b k 7 8 acquire s2 v2 = yes\nb k 9 10 get = v2 9 1 s2\n");
	/* both keys of a session, of which one is forgotten */
	violation(
	    "a k 1 2 acquire s1 v1 = yes\na l 1 2 acquire s1 v1 = yes\n"
	    "a * 3 4 end s1 release 0 = ok\nb k 5 6 get = v1 9 1 -\nb l 5 6 get = v1 8 1 s1\n");
	assert_true(told("key l:") && !told("key k:"));
	violation("a k 1 2 acquire s1 v1 = yes\na * 3 4 end s1 release 0 = ok\n"
		  "a k 5 6 acquire s1 v2 = yes\n");
	violation("a k 1 2 acquire s1 v1 = invalid\n");
	/* a TTL of 10, last renewed at 5: not before 15 */
	linear("a k 1 2 acquire s1 v1 = yes\na * 15 ? end s1 release 0\n"
	       "b k 10 16 acquire s2 v2 = yes\n");
	violation("a k 1 2 acquire s1 v1 = yes\na * 15 ? end s1 release 0\n"
		  "b k 10 14 acquire s2 v2 = yes\n");
}

static void
lock_delay(void **unused)
{
	(void)unused;
	linear("a k 1 2 acquire s1 v1 = yes\na * 3 4 end s1 release 10 = ok\n"
	       "b k 5 6 acquire s2 v2 = no\nb k 12 14 acquire s2 v3 = yes\n"
	       "b k 15 16 get = v3 9 2 s2\n");
	violation("a k 1 2 acquire s1 v1 = yes\na * 3 4 end s1 release 10 = ok\n"
		  "b k 5 6 acquire s2 v2 = yes\n");
	assert_true(told("the lock delay was not over"));
}

static void
keys_do_not_mix(void **unused)
{
	(void)unused;
	linear("a k 1 2 put v1 = ok\na l 3 4 get = none\nb k 5 6 get = v1 7 0 -\n");
	violation("a k 1 2 put v1 = ok\na l 3 4 put v2 = ok\nb l 5 6 get = v1 7 0 -\n");
	assert_true(told("key l:"));
}

static void
lines_that_are_none(void **unused)
{
	static const char *const bad[] = { "x", "a k 1 2 get",
		"a k 1 2 get =", "a k 2 1 get = none", "a k 1 2 get = v1 7",
		"a k 1 2 get = v1 0 0 -", "a k 1 2 put = ok", "a k 1 2 put v1 = so",
		"a k 1 ? put v1 = ok", "a k x 2 put v1 = ok", "a k 1 2 put v1 = ok ok",
		"a k 1 2 cas v1 = yes", "a k 1 2 end s1 release 0 = ok", "a * 1 2 put v1 = ok",
		"a * 1 2 end s1 keep 0 = ok", "a k 1 2 put v1 = invalid", "a k 1 2 sing = ok",
		"a k 1 2  get = none" };
	(void)unused;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct history h;
		struct err err;

		history_init(&h);
		if (history_read(&h, str_of(bad[i]), &err) != ERR_INPUT) {
			print_error("taken: %s\n", bad[i]);
			fail();
		}
		assert_non_null(strstr(err.text, "line 1: "));
		history_done(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(a_read_beside_a_write_sees_either),
		cmocka_unit_test(a_stale_read),
		cmocka_unit_test(a_lost_write),
		cmocka_unit_test(a_write_out_of_nowhere),
		cmocka_unit_test(an_unknown_write_happens_later_or_never),
		cmocka_unit_test(compare_and_set),
		cmocka_unit_test(compare_and_delete),
		cmocka_unit_test(an_index_that_runs_backwards),
		cmocka_unit_test(a_delete_that_did_nothing_may_have_come_first),
		cmocka_unit_test(locks),
		cmocka_unit_test(a_key_with_two_sessions),
		cmocka_unit_test(ends_of_sessions),
		cmocka_unit_test(lock_delay),
		cmocka_unit_test(keys_do_not_mix),
		cmocka_unit_test(lines_that_are_none),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	buf_done(&report);
	return rc;
}

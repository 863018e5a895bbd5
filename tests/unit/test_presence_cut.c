/* Being cut off from the others, as against others being dead. */
#include "tests/unit/presence_fixture.h"

static void
losing_more_than_half_at_once_is_our_own_fault(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 2);
	tale_word(&t, "b", PRESENCE_FAILED);
	assert_false(presence_cut_off(t.p));
	tale_at(&t, 4);
	tale_word(&t, "c", PRESENCE_FAILED);
	assert_true(presence_cut_off(t.p));
	tale_at(&t, 30);
	tale_word(&t, "d", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n2 b failed\n4 a kept\n4 b kept\n4 c kept\n30 d kept\n");
	assert_int_equal(presence_stats(t.p).kept, 4);
	assert_int_equal(presence_stats(t.p).cut_offs, 1);
	tale_at(&t, 100); /* contact: two of four */
	tale_word(&t, "ad", PRESENCE_ALIVE);
	tale_told(&t, "100 a alive\n100 d alive\n");
	tale_at(&t, 200);
	tale_told(&t, "105 b failed\n105 c failed\n");
	assert_false(presence_cut_off(t.p));
	assert_true(presence_deadline(t.p) == NSEC_NEVER);
	presence_free(t.p);
}

static void
presuming_to_be_cut_off_ends_by_itself(void **unused)
{
	struct tale t = tale_of(NULL, "abc");

	(void)unused;
	tale_word(&t, "abc", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n0 b failed\n0 a kept\n0 b kept\n0 c kept\n");
	tale_at(&t, 1000);
	tale_told(&t, "600 a failed\n600 b failed\n600 c failed\n");
	presence_free(t.p);
}

static void
half_is_not_more_than_half(void **unused)
{
	struct tale t = tale_of(NULL, "abc");

	(void)unused;
	tale_word(&t, "ab", PRESENCE_FAILED); /* we and c are left: two of four */
	tale_told(&t, "0 a failed\n0 b failed\n");
	presence_free(t.p);
}

static void
one_of_two_is_simply_dead(void **unused)
{
	struct tale t = tale_of(NULL, "a");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n");
	presence_free(t.p);
}

static void
losing_them_slowly_is_no_cut(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 3);
	tale_word(&t, "b", PRESENCE_FAILED);
	tale_at(&t, 6);
	tale_word(&t, "c", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n3 b failed\n6 c failed\n");
	presence_free(t.p);
}

static void
announced_restarts_are_no_loss_of_contact(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_restarts(&t, 'b', 30 * NSEC_SEC);
	tale_word(&t, "abc", PRESENCE_FAILED);
	assert_false(presence_cut_off(t.p));
	tale_told(&t, "0 c failed\n");
	presence_free(t.p);
}

static void
contact_that_is_lost_again_was_none(void **unused)
{
	struct tale t = tale_of(NULL, "ab");

	(void)unused;
	tale_word(&t, "ab", PRESENCE_FAILED);
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 22);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n0 a kept\n0 b kept\n20 a alive\n22 a kept\n");
	tale_at(&t, 500);
	tale_told(&t, "");
	tale_word(&t, "ab", PRESENCE_ALIVE);
	tale_at(&t, 599);
	assert_false(presence_cut_off(t.p));
	tale_told(&t, "500 a alive\n500 b alive\n");
	presence_free(t.p);
}

static void
who_is_cut_off_still_hears_of_leaves(void **unused)
{
	struct tale t = tale_of(NULL, "ab");

	(void)unused;
	tale_word(&t, "ab", PRESENCE_FAILED);
	tale_word(&t, "ab", PRESENCE_REAPED);
	tale_told(&t, "0 a failed\n0 a kept\n0 b kept\n0 a gone\n0 b gone\n");
	assert_false(presence_cut_off(t.p));
	presence_free(t.p);
}

static void
what_was_never_seen_alive_is_not_lost(void **unused)
{
	struct tale t = tale_of(NULL, "a");

	(void)unused;
	tale_word(&t, "xyz", PRESENCE_FAILED);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "0 x failed\n0 y failed\n0 z failed\n0 a failed\n");
	presence_free(t.p);
}

static void
who_is_refused_is_dead_and_no_sign_of_a_cut(void **unused)
{
	struct tale t = tale_of(NULL, "ab");

	(void)unused;
	tale_refused(&t, 'a');
	tale_refused(&t, 'x');                /* nobody knows it */
	tale_word(&t, "ab", PRESENCE_FAILED); /* b alone is not enough */
	tale_told(&t, "0 a failed\n0 b failed\n");
	assert_false(presence_cut_off(t.p));
	presence_free(t.p);
}

static void
a_refusal_ends_being_cut_off(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_word(&t, "bcd", PRESENCE_FAILED);
	tale_told(&t, "0 b failed\n0 c failed\n0 b kept\n0 c kept\n0 d kept\n");
	tale_at(&t, 10);
	tale_refused(&t, 'c');
	tale_refused(&t, 'a');
	tale_word(&t, "a", PRESENCE_FAILED); /* dead, whatever else is */
	tale_at(&t, 100);
	tale_told(&t, "10 c failed\n10 a failed\n15 b failed\n15 d failed\n");
	presence_free(t.p);
}

static void
a_refusal_of_its_last_life_does_not_count(void **unused)
{
	struct tale t = tale_of(NULL, "ab");

	(void)unused;
	tale_refused(&t, 'a');
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_word(&t, "ab", PRESENCE_FAILED);
	assert_true(presence_cut_off(t.p));
	presence_free(t.p);
}

static void
silence_is_being_cut_off_from_the_first_failure_on(void **unused)
{
	struct tale t = tale_of(NULL, "abcdefgh");

	(void)unused;
	presence_heard(t.p, t.now);
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 28);
	tale_word(&t, "b", PRESENCE_FAILED);
	tale_told(&t, "20 a kept\n28 b kept\n");
	tale_at(&t, 60);
	presence_heard(t.p, t.now);
	tale_at(&t, 61);
	presence_heard(t.p, t.now);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "61 a alive\n61 a kept\n");
	tale_at(&t, 100);
	tale_told(&t, "65 a failed\n65 b failed\n");
	presence_heard(t.p, t.now);
	tale_word(&t, "c", PRESENCE_FAILED); /* others are heard: it is dead */
	tale_told(&t, "100 c failed\n");
	presence_free(t.p);
}

static void
being_cut_off_ends_when_all_are_back(void **unused)
{
	struct tale t = tale_of(NULL, "ab");

	(void)unused;
	tale_word(&t, "ab", PRESENCE_FAILED);
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_ALIVE);
	assert_true(presence_cut_off(t.p));
	tale_word(&t, "b", PRESENCE_ALIVE);
	assert_false(presence_cut_off(t.p));
	assert_true(presence_deadline(t.p) == NSEC_NEVER);
	presence_free(t.p);
}

static void
the_silence_of_the_only_other_says_nothing(void **unused)
{
	struct tale t = tale_of(NULL, "a");

	(void)unused;
	presence_heard(t.p, t.now);
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "20 a failed\n");
	presence_free(t.p);
}

static void
silence_says_nothing_of_who_is_refused_or_was_never_there(void **unused)
{
	struct tale t = tale_of(NULL, "abc");

	(void)unused;
	presence_heard(t.p, t.now);
	tale_at(&t, 20);
	tale_word(&t, "x", PRESENCE_FAILED);
	tale_refused(&t, 'a');
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "20 x failed\n20 a failed\n");
	assert_false(presence_cut_off(t.p));
	presence_free(t.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losing_more_than_half_at_once_is_our_own_fault),
		cmocka_unit_test(presuming_to_be_cut_off_ends_by_itself),
		cmocka_unit_test(half_is_not_more_than_half),
		cmocka_unit_test(one_of_two_is_simply_dead),
		cmocka_unit_test(losing_them_slowly_is_no_cut),
		cmocka_unit_test(announced_restarts_are_no_loss_of_contact),
		cmocka_unit_test(contact_that_is_lost_again_was_none),
		cmocka_unit_test(who_is_cut_off_still_hears_of_leaves),
		cmocka_unit_test(what_was_never_seen_alive_is_not_lost),
		cmocka_unit_test(who_is_refused_is_dead_and_no_sign_of_a_cut),
		cmocka_unit_test(a_refusal_ends_being_cut_off),
		cmocka_unit_test(a_refusal_of_its_last_life_does_not_count),
		cmocka_unit_test(silence_is_being_cut_off_from_the_first_failure_on),
		cmocka_unit_test(being_cut_off_ends_when_all_are_back),
		cmocka_unit_test(the_silence_of_the_only_other_says_nothing),
		cmocka_unit_test(silence_says_nothing_of_who_is_refused_or_was_never_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

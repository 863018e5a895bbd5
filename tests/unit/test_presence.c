/* Words about members, and restarts that are announced: when services are shown and when not. */
#include "tests/unit/presence_fixture.h"

static void
life_and_death_show_at_once(void **unused)
{
	struct tale t = tale_new(NULL);

	(void)unused;
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_told(&t, "0 a alive\n");
	tale_at(&t, 10);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "10 a failed\n");
	assert_true(presence_deadline(t.p) == NSEC_NEVER);
	tale_at(&t, 11);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_told(&t, "11 a alive\n");
	tale_word(&t, "a", PRESENCE_LEFT);
	tale_told(&t, "11 a gone\n");
	assert_true(t.certificate_until == t.now + CERTIFICATE);
	assert_string_equal(t.why, "left");
	assert_int_equal(presence_stats(t.p).members, 0);
	presence_free(t.p);
}

static void
words_about_us_say_nothing(void **unused)
{
	struct tale t = tale_new(NULL);

	(void)unused;
	tale_word(&t, "s", PRESENCE_FAILED);
	tale_word(&t, "s", PRESENCE_LEFT);
	tale_told(&t, "");
	presence_free(t.p);
}

static void
words_may_come_in_any_order(void **unused)
{
	struct tale t = tale_new(NULL);

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC); /* nobody knows it */
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_word(&t, "b", PRESENCE_LEFT);
	tale_word(&t, "b", PRESENCE_REAPED);
	tale_word(&t, "a", PRESENCE_REAPED);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_told(&t, "0 a failed\n0 b gone\n0 b gone\n0 a gone\n0 a alive\n");
	presence_free(t.p);
}

static void
what_was_not_fetched_yet_keeps_its_order(void **unused)
{
	struct tale t = tale_new(NULL);
	struct uuid a = tale_id('a'), b = tale_id('b');

	(void)unused;
	presence_member(t.p, t.now, &a, PRESENCE_ALIVE);
	presence_member(t.p, t.now, &b, PRESENCE_ALIVE);
	presence_member(t.p, t.now, &a, PRESENCE_LEFT);
	presence_member(t.p, t.now, &a, PRESENCE_ALIVE);
	presence_member(t.p, t.now, &b, PRESENCE_FAILED);
	tale_drain(&t);
	tale_told(&t, "0 a gone\n0 b failed\n0 a alive\n");
	presence_member(t.p, t.now, &a, PRESENCE_LEFT); /* never fetched: freed all the same */
	presence_free(t.p);
}

static void
an_announced_restart_hides_nothing(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_at(&t, 3);
	tale_word(&t, "a", PRESENCE_FAILED);
	assert_int_equal(presence_stats(t.p).kept, 1);
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 100);
	tale_told(&t, "");
	assert_int_equal(presence_stats(t.p).restarts, 1);
	assert_int_equal(presence_stats(t.p).kept, 0);
	presence_free(t.p);
}

static void
a_restart_that_does_not_end_hides_after_its_grace(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_at(&t, 3);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 40);
	tale_told(&t, "30 a failed\n");
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 41);
	tale_word(&t, "a", PRESENCE_FAILED); /* the grace is used up */
	tale_told(&t, "40 a alive\n41 a failed\n");
	presence_free(t.p);
}

static void
who_announced_a_restart_has_not_left(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_at(&t, 3);
	tale_word(&t, "aa", PRESENCE_LEFT); /* of its former life, and late */
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_told(&t, "");
	tale_word(&t, "a", PRESENCE_LEFT); /* back, and leaves in good order */
	tale_told(&t, "20 a gone\n");
	tale_restarts(&t, 'b', 30 * NSEC_SEC);
	tale_word(&t, "b", PRESENCE_LEFT);
	tale_restarts(&t, 'c', 30 * NSEC_SEC);
	tale_word(&t, "c", PRESENCE_FAILED);
	tale_word(&t, "c", PRESENCE_LEFT);
	tale_word(&t, "d", PRESENCE_FAILED);
	tale_restarts(&t, 'd', 30 * NSEC_SEC);
	tale_word(&t, "d", PRESENCE_LEFT);
	tale_word(&t, "d", PRESENCE_REAPED); /* pruned */
	tale_told(&t, "20 d failed\n20 d alive\n20 d gone\n");
	tale_at(&t, 40);
	t.now += 60 * NSEC_SEC; /* we stood still, and the first word after it is of life */
	tale_word(&t, "b", PRESENCE_ALIVE);
	tale_told(&t, "100 b gone\n100 c gone\n100 b alive\n");
	assert_int_equal(presence_stats(t.p).members, 1);
	presence_free(t.p);
}

/* It came back and stops again before we have seen that it was back. */
static void
a_second_restart_may_come_before_the_end_of_the_first_is_seen(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");
	struct uuid b = tale_id('b');

	(void)unused;
	for (const char *name = "ab"; *name != '\0'; name++) {
		tale_restarts(&t, *name, 30 * NSEC_SEC);
		tale_at(&t, name[0] == 'a' ? 3 : 103);
		tale_word(&t, (char[]){ *name, '\0' }, PRESENCE_FAILED);
		tale_at(&t, name[0] == 'a' ? 10 : 110);
		tale_restarts(&t, *name, 30 * NSEC_SEC);
		tale_at(&t, name[0] == 'a' ? 12 : 112);
		tale_word(&t, (char[]){ *name, '\0' }, PRESENCE_ALIVE);
		if (*name == 'b')
			presence_returned(t.p, &b); /* a life after that */
		tale_at(&t, name[0] == 'a' ? 13 : 113);
		tale_word(&t, (char[]){ *name, '\0' }, PRESENCE_FAILED);
		tale_at(&t, name[0] == 'a' ? 100 : 200);
	}
	tale_told(&t, "40 a failed\n113 b failed\n");
	presence_free(t.p);
}

static void
a_grace_is_used_up_by_coming_back(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_at(&t, 3);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 5);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 10);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "10 a failed\n");
	presence_free(t.p);
}

static void
an_announcement_may_come_after_the_failure(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 1);
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_told(&t, "0 a failed\n1 a alive\n");
	tale_at(&t, 40);
	tale_told(&t, "30 a failed\n");
	tale_restarts(&t, 'a', 30 * NSEC_SEC); /* said again, long after */
	tale_told(&t, "");
	presence_free(t.p);
}

static void
a_grace_has_a_longest(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 48 * NSEC_HOUR);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_restarts(&t, 'b', INT64_MAX);
	tale_word(&t, "b", PRESENCE_FAILED);
	tale_at(&t, 3600);
	tale_told(&t, "600 a failed\n600 b failed\n");
	presence_free(t.p);
}

static void
members_have_a_limit(void **unused)
{
	struct tale t = tale_new(NULL);
	struct presence_show show;

	(void)unused;
	for (uint32_t i = 0; i < PRESENCE_MEMBERS_MAX + 3; i++) {
		struct uuid id = { { 0 } };

		memcpy(id.b + 4, &i, sizeof i);
		presence_member(t.p, t.now, &id, PRESENCE_ALIVE);
		assert_int_equal(presence_next(t.p, &show), i < PRESENCE_MEMBERS_MAX);
	}
	assert_int_equal(presence_stats(t.p).members, PRESENCE_MEMBERS_MAX);
	assert_int_equal(presence_stats(t.p).refused, 3);
	presence_free(t.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life_and_death_show_at_once),
		cmocka_unit_test(words_about_us_say_nothing),
		cmocka_unit_test(words_may_come_in_any_order),
		cmocka_unit_test(what_was_not_fetched_yet_keeps_its_order),
		cmocka_unit_test(an_announced_restart_hides_nothing),
		cmocka_unit_test(a_restart_that_does_not_end_hides_after_its_grace),
		cmocka_unit_test(who_announced_a_restart_has_not_left),
		cmocka_unit_test(a_second_restart_may_come_before_the_end_of_the_first_is_seen),
		cmocka_unit_test(a_grace_is_used_up_by_coming_back),
		cmocka_unit_test(an_announcement_may_come_after_the_failure),
		cmocka_unit_test(a_grace_has_a_longest),
		cmocka_unit_test(members_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_user.c -- who an agent that was started as root may become. */
#include "tests/unit/test.h"

#include <unistd.h>

#include "agent/user_io.h"

static enum user_way
way(unsigned mode)
{
	struct stat st = { .st_mode = S_IFSOCK | mode };

	return user_way(&st);
}

static void
the_socket_says_who_may_be_who(void **unused)
{
	(void)unused;
	assert_int_equal(user_way(NULL), USER_ALONE);
	assert_int_equal(way(0660), USER_GROUP);
	assert_int_equal(way(0600), USER_STAYS);
	assert_int_equal(way(0640), USER_STAYS); /* to read is not enough */
	assert_int_equal(way(0620), USER_STAYS);
	assert_int_equal(way(0666), USER_ALONE);
	assert_int_equal(way(0664), USER_GROUP);
}

static void
nobody_is_asked_for_nothing_happens(void **unused)
{
	struct options o = { .docker = STR("off") };
	struct err err = { 0 };
	uid_t before = geteuid();

	(void)unused;
	assert_int_equal(user_become(&o, &err), 0);
	assert_int_equal(geteuid(), before);
}

static void
a_user_that_is_not_there_is_named(void **unused)
{
	struct options o = { .docker = STR("off"), .user = STR("nobody-of-that-name") };
	struct err err = { 0 };

	(void)unused;
	if (geteuid() != 0) { /* then -user means nothing */
		assert_int_equal(user_become(&o, &err), 0);
		return;
	}
	assert_true(user_become(&o, &err) < 0);
	assert_string_equal(err.text, "-user: \"nobody-of-that-name\" is not known on this host");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_socket_says_who_may_be_who),
		cmocka_unit_test(nobody_is_asked_for_nothing_happens),
		cmocka_unit_test(a_user_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

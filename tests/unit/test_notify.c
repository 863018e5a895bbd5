/* tests/unit/test_notify.c -- what the service manager is told, and when. */
#include "tests/unit/test.h"

#include "agent/notify.h"

/* All messages that wait, between bars; line ends as commas. */
static const char *
told(struct notify *n)
{
	static char text[1024];
	struct str message;
	size_t used = 0;

	text[0] = '\0';
	while (notify_message_next(n, &message))
		used += (size_t)snprintf(
		    text + used, sizeof text - used, STR_FMT "|", STR_ARG(message));
	for (char *p = text; *p != '\0'; p++)
		*p = *p == '\n' ? ',' : *p;
	return text;
}

static void
ready_is_said_once_and_not_before(void **unused)
{
	struct notify *n = notify_new(0, 0);

	(void)unused;
	assert_string_equal(told(n), "STATUS=Waits for what runs here and for other agents.|");
	assert_true(notify_deadline(n) == NSEC_NEVER);
	notify_tick(n, NSEC_HOUR);
	assert_string_equal(told(n), "");
	notify_ready(n, 1);
	assert_string_equal(told(n), "READY=1,STATUS=Ready, 1 member at first.|");
	notify_ready(n, 2);
	assert_string_equal(told(n), "");
	notify_free(n);
}

static void
a_reload_is_framed(void **unused)
{
	struct notify *n = notify_new(0, 0);

	(void)unused;
	notify_ready(n, 3);
	(void)told(n);
	notify_reloading(n, 5 * NSEC_SEC);
	notify_reloaded(n);
	assert_string_equal(told(n), "RELOADING=1,MONOTONIC_USEC=5000000|READY=1|");
	notify_reloaded(n);
	assert_string_equal(told(n), "");
	notify_free(n);
}

static void
a_reload_before_the_agent_is_ready_claims_nothing(void **unused)
{
	struct notify *n = notify_new(0, 0);

	(void)unused;
	(void)told(n);
	notify_reloading(n, 1);
	notify_reloaded(n);
	assert_string_equal(told(n), "");
	notify_ready(n, 2);
	assert_string_equal(told(n), "READY=1,STATUS=Ready, 2 members at first.|");
	notify_free(n);
}

static void
the_end_is_told_once_and_stays_the_end(void **unused)
{
	struct notify *n = notify_new(0, 0);

	(void)unused;
	notify_ready(n, 1);
	notify_reloading(n, 1);
	(void)told(n);
	notify_stopping(n);
	notify_reloaded(n);
	notify_stopping(n);
	notify_ready(n, 1);
	assert_string_equal(told(n), "STOPPING=1,STATUS=Stops.|");
	notify_free(n);
}

static void
signs_of_life_come_twice_within_the_time(void **unused)
{
	struct notify *n = notify_new(NSEC_SEC, 10 * NSEC_SEC);

	(void)unused;
	(void)told(n);
	assert_true(notify_deadline(n) == NSEC_SEC);
	notify_tick(n, NSEC_SEC);
	assert_string_equal(told(n), "WATCHDOG=1|");
	assert_true(notify_deadline(n) == 6 * NSEC_SEC);
	notify_tick(n, 6 * NSEC_SEC - 1);
	assert_string_equal(told(n), "");
	notify_tick(n, 7 * NSEC_SEC); /* late: the next one counts from then */
	assert_string_equal(told(n), "WATCHDOG=1|");
	assert_true(notify_deadline(n) == 12 * NSEC_SEC);
	notify_free(n);
}

static void
what_nobody_takes_is_bounded(void **unused)
{
	struct notify *n = notify_new(0, 2);
	struct str message;
	int count = 0;

	(void)unused;
	for (nsec now = 0; now < 100; now++)
		notify_tick(n, now);
	notify_stopping(n);
	while (notify_message_next(n, &message))
		count++;
	assert_int_equal(count, NOTIFY_QUEUE_MAX);
	notify_free(n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_is_said_once_and_not_before),
		cmocka_unit_test(a_reload_is_framed),
		cmocka_unit_test(a_reload_before_the_agent_is_ready_claims_nothing),
		cmocka_unit_test(the_end_is_told_once_and_stays_the_end),
		cmocka_unit_test(signs_of_life_come_twice_within_the_time),
		cmocka_unit_test(what_nobody_takes_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_flush_io.c -- files reach the disk while the loop goes on. */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/flush_io.h"

struct told {
	struct event_base *base;
	unsigned times;
	int error;
};

static void
on_done(void *arg, int error)
{
	struct told *t = arg;

	t->times++;
	t->error = error;
	event_base_loopbreak(t->base);
}

static void
a_flush_is_told_in_the_loop(void **unused)
{
	struct told told = { .base = event_base_new(), .error = -1 };
	struct flush *f = flush_new(told.base, on_done, &told);
	char path[] = "/tmp/muster-flush-XXXXXX";
	int fd = mkstemp(path);

	(void)unused;
	assert_true(fd >= 0);
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(write(fd, "x", 1), 1);
		assert_true(flush_start(f, fd));
		assert_true(flush_busy(f));
		assert_false(flush_start(f, fd)); /* one at a time */
		assert_int_equal(told.times, i - 1);
		event_base_dispatch(told.base);
		assert_int_equal(told.times, i);
		assert_int_equal(told.error, 0);
		assert_false(flush_busy(f));
	}
	event_base_dispatch(told.base); /* nothing is watched at rest: returns at once */
	flush_free(f);
	close(fd);
	unlink(path);
	event_base_free(told.base);
}

static void
what_cannot_be_synced_says_why(void **unused)
{
	struct told told = { .base = event_base_new() };
	struct flush *f = flush_new(told.base, on_done, &told);
	int ends[2];

	(void)unused;
	assert_int_equal(pipe(ends), 0);
	assert_true(flush_start(f, ends[1]));
	close(ends[1]); /* ours may go at once */
	event_base_dispatch(told.base);
	assert_int_equal(told.error, EINVAL); /* a pipe has no disk */
	assert_false(flush_start(f, -1));
	flush_free(f);
	close(ends[0]);
	event_base_free(told.base);
}

static void
freeing_waits_and_tells_nobody(void **unused)
{
	struct told told = { .base = event_base_new() };
	struct flush *f = flush_new(told.base, on_done, &told);
	char path[] = "/tmp/muster-flush-XXXXXX";
	int fd = mkstemp(path);

	(void)unused;
	assert_true(flush_start(f, fd));
	flush_free(f);
	assert_int_equal(event_base_loop(told.base, EVLOOP_NONBLOCK), 1); /* nothing is left */
	assert_int_equal(told.times, 0);
	close(fd);
	unlink(path);
	event_base_free(told.base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flush_is_told_in_the_loop),
		cmocka_unit_test(what_cannot_be_synced_says_why),
		cmocka_unit_test(freeing_waits_and_tells_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

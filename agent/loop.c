/* agent/loop.c -- the thin layer over libevent: a precise base, both clocks, one-shot timers.
 *
 * A timer that is armed with the deadline it has already does nothing, so whoever drives a core
 * may arm after every step.
 */
#include "agent/loop.h"

#include <time.h>

#include "base/mem.h"

struct loop_timer {
	struct event *event; /* owned */
	nsec deadline;       /* NSEC_NEVER: not armed */
	void (*fire)(void *);
	void *arg;
};

struct event_base *
loop_base_new(struct err *err)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config != NULL && event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
		base = event_base_new_with_config(config);
	if (config != NULL)
		event_config_free(config);
	if (base == NULL)
		err_set(err, ERR_IO, "cannot make an event loop");
	return base;
}

static int64_t
loop_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NSEC_SEC + ts.tv_nsec;
}

struct now
loop_now(void)
{
	return (struct now){ loop_clock(CLOCK_MONOTONIC), loop_clock(CLOCK_REALTIME) / NSEC_MS };
}

nsec
loop_mono(void)
{
	return loop_clock(CLOCK_MONOTONIC);
}

static void
loop_timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;

	(void)fd;
	(void)what;
	t->deadline = NSEC_NEVER;
	t->fire(t->arg);
}

struct loop_timer *
loop_timer_new(struct event_base *base, void (*fire)(void *), void *arg)
{
	struct loop_timer *t = mem_new(struct loop_timer);

	t->deadline = NSEC_NEVER;
	t->fire = fire;
	t->arg = arg;
	t->event = event_new(base, -1, 0, loop_timer_fired, t);
	return t;
}

void
loop_timer_arm(struct loop_timer *t, nsec deadline)
{
	nsec wait;
	struct timeval tv;

	if (deadline == t->deadline)
		return;
	t->deadline = deadline;
	if (deadline == NSEC_NEVER) {
		event_del(t->event);
		return;
	}
	wait = deadline - loop_mono();
	if (wait < 0)
		wait = 0;
	wait += NSEC_US - 1; /* never early: libevent counts microseconds */
	tv.tv_sec = wait / NSEC_SEC;
	tv.tv_usec = wait % NSEC_SEC / NSEC_US;
	event_add(t->event, &tv);
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	if (t->event != NULL)
		event_free(t->event);
	free(t);
}

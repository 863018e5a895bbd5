/* base/task_io.c -- a thread that works, an eventfd that says when it has. */
#include "base/task_io.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"

#define TASK_STACK (256 * 1024) /* bytes; at least PTHREAD_STACK_MIN, and room for sanitizers */

struct task {
	void (*run)(void *arg);
	void (*done)(void *arg);
	void *arg;
	struct event *event;
	int ring;
	bool busy;
	pthread_t thread;
};

static void *
task_thread(void *arg)
{
	struct task *t = arg;
	const uint64_t one = 1;

	t->run(t->arg);
	while (write(t->ring, &one, sizeof one) < 0 && errno == EINTR)
		;
	return NULL;
}

static void
task_on_ring(evutil_socket_t fd, short what, void *arg)
{
	struct task *t = arg;
	uint64_t rung;

	(void)what;
	if (read(fd, &rung, sizeof rung) != sizeof rung || !t->busy) {
		event_add(t->event, NULL);
		return;
	}
	pthread_join(t->thread, NULL);
	t->busy = false;
	t->done(t->arg);
}

struct task *
task_new(struct event_base *base, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
	struct task *t = mem_new(struct task);

	t->run = run;
	t->done = done;
	t->arg = arg;
	t->ring = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->event = t->ring < 0 ? NULL : event_new(base, t->ring, EV_READ, task_on_ring, t);
	if (t->event == NULL) {
		task_free(t);
		return NULL;
	}
	return t;
}

void
task_free(struct task *t)
{
	if (t == NULL)
		return;
	if (t->busy)
		pthread_join(t->thread, NULL);
	if (t->event != NULL)
		event_free(t->event);
	if (t->ring >= 0)
		close(t->ring);
	free(t);
}

/* Signals are the loop's: the thread is born with all of them blocked. */
static int
task_thread_new(struct task *t)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(
	    &attr, TASK_STACK > (size_t)PTHREAD_STACK_MIN ? TASK_STACK : PTHREAD_STACK_MIN);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&t->thread, &attr, task_thread, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

bool
task_start(struct task *t)
{
	if (t->busy || event_add(t->event, NULL) < 0)
		return false;
	if (task_thread_new(t) != 0) {
		event_del(t->event);
		return false;
	}
	t->busy = true;
	return true;
}

bool
task_busy(const struct task *t)
{
	return t->busy;
}

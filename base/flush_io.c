/* base/flush_io.c -- a thread that syncs, an eventfd that says so. */
#include "base/flush_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"

#define FLUSH_STACK (64 * 1024) /* bytes; at least PTHREAD_STACK_MIN, and room for sanitizers */

struct flush {
	void (*done)(void *arg, int error);
	void *arg;
	struct event *event;
	int ring;
	bool busy;
	pthread_t thread;
	int fd, error; /* the thread's until it has rung */
};

static void *
flush_run(void *arg)
{
	struct flush *f = arg;
	const uint64_t one = 1;

	f->error = fdatasync(f->fd) == 0 ? 0 : errno;
	while (write(f->ring, &one, sizeof one) < 0 && errno == EINTR)
		;
	return NULL;
}

static int
flush_join(struct flush *f)
{
	pthread_join(f->thread, NULL);
	close(f->fd);
	f->busy = false;
	return f->error;
}

static void
flush_on_ring(evutil_socket_t fd, short what, void *arg)
{
	struct flush *f = arg;
	uint64_t rung;

	(void)what;
	if (read(fd, &rung, sizeof rung) == sizeof rung && f->busy)
		f->done(f->arg, flush_join(f));
	else
		event_add(f->event, NULL);
}

struct flush *
flush_new(struct event_base *base, void (*done)(void *arg, int error), void *arg)
{
	struct flush *f = mem_new(struct flush);

	f->done = done;
	f->arg = arg;
	f->ring = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->event = f->ring < 0 ? NULL : event_new(base, f->ring, EV_READ, flush_on_ring, f);
	if (f->event == NULL) {
		flush_free(f);
		return NULL;
	}
	return f;
}

void
flush_free(struct flush *f)
{
	if (f == NULL)
		return;
	if (f->busy)
		flush_join(f);
	if (f->event != NULL)
		event_free(f->event);
	if (f->ring >= 0)
		close(f->ring);
	free(f);
}

/* Signals are the loop's: the thread is born with all of them blocked. */
static int
flush_thread(struct flush *f)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(
	    &attr, FLUSH_STACK > (size_t)PTHREAD_STACK_MIN ? FLUSH_STACK : PTHREAD_STACK_MIN);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&f->thread, &attr, flush_run, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

bool
flush_start(struct flush *f, int fd)
{
	if (f->busy)
		return false;
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (f->fd < 0)
		return false;
	if (event_add(f->event, NULL) < 0 || flush_thread(f) != 0) {
		event_del(f->event);
		close(f->fd);
		return false;
	}
	f->busy = true;
	return true;
}

bool
flush_busy(const struct flush *f)
{
	return f->busy;
}

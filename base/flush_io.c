/* base/flush_io.c -- fdatasync() as a task, on a descriptor of its own. */
#include "base/flush_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/task_io.h"

struct flush {
	void (*done)(void *arg, int error);
	void *arg;
	struct task *task;
	int fd, error; /* the thread's while the task is busy */
};

static void
flush_run(void *arg)
{
	struct flush *f = arg;

	f->error = fdatasync(f->fd) == 0 ? 0 : errno;
}

static void
flush_on_done(void *arg)
{
	struct flush *f = arg;

	close(f->fd);
	f->fd = -1;
	f->done(f->arg, f->error);
}

struct flush *
flush_new(struct event_base *base, void (*done)(void *arg, int error), void *arg)
{
	struct flush *f = mem_new(struct flush);

	f->done = done;
	f->arg = arg;
	f->fd = -1;
	f->task = task_new(base, flush_run, flush_on_done, f);
	if (f->task == NULL) {
		free(f);
		return NULL;
	}
	return f;
}

void
flush_free(struct flush *f)
{
	if (f == NULL)
		return;
	task_free(f->task);
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

bool
flush_start(struct flush *f, int fd)
{
	if (task_busy(f->task))
		return false;
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (f->fd < 0)
		return false;
	if (task_start(f->task))
		return true;
	close(f->fd);
	f->fd = -1;
	return false;
}

bool
flush_busy(const struct flush *f)
{
	return task_busy(f->task);
}

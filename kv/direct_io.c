/* kv/direct_io.c -- see the header. */
#include "kv/direct_io.h"

#include <errno.h>
#include <libaio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/mem.h"

struct direct_io {
	io_context_t context;
	int ring;
	struct iocb cb;
	enum { NOTHING, ON_ITS_WAY, ENDED } state;
	size_t n; /* bytes of it */
	int rc;   /* once it has ended */
};

struct direct_io *
direct_io_new(int ring)
{
	struct direct_io *d = mem_new(struct direct_io);
	int rc = io_setup(1, &d->context);

	if (rc < 0) {
		free(d);
		errno = -rc;
		return NULL;
	}
	d->ring = ring;
	return d;
}

void
direct_io_free(struct direct_io *d)
{
	if (d == NULL)
		return;
	io_destroy(d->context);
	free(d);
}

/* False: it is on its way still. */
static bool
reap(struct direct_io *d, bool wait)
{
	struct timespec none = { 0 };
	struct io_event e;
	int n;

	do
		n = io_getevents(d->context, wait, 1, &e, wait ? NULL : &none);
	while (n == -EINTR);
	if (n == 0)
		return false;
	if (n < 0)
		d->rc = n;
	else if (e.res == d->n)
		d->rc = 0;
	else
		d->rc = (long)e.res < 0 ? (int)e.res : -EIO; /* or a part of it only */
	d->state = ENDED;
	return true;
}

int
direct_io_start(struct direct_io *d, int fd, uint64_t at, const void *p, size_t n)
{
	struct iocb *cb = &d->cb;
	int rc;

	io_prep_pwrite(cb, fd, (void *)(uintptr_t)p, n, (long long)at);
	io_set_eventfd(cb, d->ring);
	cb->aio_rw_flags = RWF_DSYNC | RWF_NOWAIT;
	rc = io_submit(d->context, 1, &cb);
	if (rc < 0)
		return rc;
	d->n = n;
	d->state = ON_ITS_WAY;
	if (!reap(d, false) || d->rc == 0)
		return 0;
	d->state = NOTHING; /* what could not be begun */
	return d->rc;
}

bool
direct_io_ended(struct direct_io *d, bool wait, int *rc)
{
	if (d->state == NOTHING || (d->state == ON_ITS_WAY && !reap(d, wait)))
		return false;
	d->state = NOTHING;
	*rc = d->rc;
	return true;
}

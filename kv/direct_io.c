/* kv/direct_io.c -- see the header. */
#include "kv/direct_io.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/mem.h"

struct direct_io {
	struct io_uring uring;
	enum { NOTHING, ON_ITS_WAY, ENDED } state;
	size_t n;   /* bytes of it */
	int rc;     /* once it has ended */
	int broken; /* why nothing can be handed over any more; 0: it can */
};

struct direct_io *
direct_io_new(int ring)
{
	struct direct_io *d = mem_new(struct direct_io);
	int rc = io_uring_queue_init(1, &d->uring, 0);

	if (rc == 0) {
		rc = io_uring_register_eventfd(&d->uring, ring);
		if (rc == 0)
			return d;
		io_uring_queue_exit(&d->uring);
	}
	free(d);
	errno = -rc;
	return NULL;
}

void
direct_io_free(struct direct_io *d)
{
	if (d == NULL)
		return;
	io_uring_queue_exit(&d->uring);
	free(d);
}

/* False: it is on its way still. */
static bool
reap(struct direct_io *d, bool wait)
{
	struct io_uring_cqe *cqe;
	int rc;

	do
		rc = wait ? io_uring_wait_cqe(&d->uring, &cqe) : io_uring_peek_cqe(&d->uring, &cqe);
	while (rc == -EINTR || (wait && rc == -EAGAIN));
	if (rc == -EAGAIN)
		return false;
	if (rc == 0) {
		if (cqe->res >= 0 && (size_t)cqe->res != d->n)
			rc = -EIO; /* a part of it only */
		else if (cqe->res < 0)
			rc = cqe->res;
		io_uring_cqe_seen(&d->uring, cqe);
	}
	d->rc = rc;
	d->state = ENDED;
	return true;
}

int
direct_io_start(struct direct_io *d, int fd, uint64_t at, const void *p, size_t n)
{
	struct io_uring_sqe *sqe;
	int rc;

	if (d->broken != 0)
		return d->broken;
	sqe = io_uring_get_sqe(&d->uring); /* of one; the one before has ended */
	io_uring_prep_write(sqe, fd, p, (unsigned)n, at);
	sqe->rw_flags = RWF_DSYNC;
	rc = io_uring_submit(&d->uring);
	if (rc != 1) /* what was not taken would go with the next one */
		return d->broken = rc < 0 ? rc : -EIO;
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

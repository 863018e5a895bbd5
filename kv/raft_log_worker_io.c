/* kv/raft_log_worker_io.c -- one batch that is carried out, one that gathers, and who carries.
 *
 * The loop fills `waiting`; when nobody carries a batch it becomes the current one. If that is no
 * more than records for a place where zeros are, the kernel carries it, and the loop has the log
 * until it rings. Else, and where the kernel fails, the thread does and has the log. `carrier`
 * changes under the lock only, and whoever it names alone looks at log and current batch.
 *
 * A vote goes before the log of its batch: terms and votes only move forward, so having the newer
 * one early is safe, and no entry is on disk before its term. Results are put under the lock, then
 * the eventfd rings.
 */
#include "kv/raft_log_worker_io.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/nsec.h"
#include "kv/direct_io.h"
#include "kv/raft_log_priv.h"

#define RETRY (200 * NSEC_MS) /* after the disk failed */

#define PAUSE 256 /* batches that go to the thread after the kernel failed at one */

struct op {
	enum segment_kind kind;
	struct raft_log_entry e; /* its bytes are the batch's */
};

struct batch {
	struct op *ops;
	size_t count, cap;
	struct buf bytes;
	bool has_vote;
	struct raft_vote vote;
	uint64_t drop;   /* 0: nothing to drop */
	uint64_t ticket; /* newest in it; 0: it is empty */
};

struct raft_log_worker {
	uint64_t next, term, ticket; /* the loop's */
	void (*done)(void *, const struct raft_log_done *);
	void *arg;
	struct event *event;
	int ring;                 /* eventfd */
	struct direct_io *direct; /* the loop's; NULL: there is none here */
	pthread_t thread;

	/* The carrier's; NOBODY: the loop's. */
	struct raft_log *log;
	struct raft_vote_file *vote;
	struct batch current;
	size_t at, byte; /* of it, the log has what is before them already */
	uint64_t finished;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	enum { NOBODY, KERNEL, THREAD } carrier;
	struct batch waiting;
	bool submitted, stop;
	unsigned pause; /* batches that the thread carries unasked */
	struct raft_log_done result;
	struct err err;
};

static void
batch_clear(struct batch *b)
{
	b->count = 0;
	b->has_vote = false;
	b->drop = b->ticket = 0;
	if (b->bytes.room > 1u << 20)
		buf_done(&b->bytes);
	buf_clear(&b->bytes);
}

/* Into the log's queue; the loop has checked order and size already. */
static int
batch_queue(struct raft_log_worker *w, struct err *err)
{
	const struct batch *b = &w->current;
	int rc = 0;

	while (w->at < b->count) {
		const struct op *op = &b->ops[w->at];
		struct raft_log_entry e = op->e;

		if (op->kind == SEGMENT_ENTRY) {
			e.bytes = str_mem(e.bytes.n == 0 ? NULL : b->bytes.p + w->byte, e.bytes.n);
			rc = raft_log_append(w->log, &e, err);
		} else if (op->kind == SEGMENT_TRUNCATE) {
			rc = raft_log_truncate(w->log, e.index, err);
		} else {
			rc = raft_log_reset(w->log, e.index, e.term, err);
		}
		if (rc < 0)
			return rc;
		w->byte += op->e.bytes.n;
		w->at++;
	}
	return 0;
}

/* Under the lock, by whom the current batch is no more than memory: the one that waits takes its
 * place. */
static void
take(struct raft_log_worker *w)
{
	struct batch swap = w->waiting;

	batch_clear(&w->current);
	w->waiting = w->current;
	w->current = swap;
	w->at = w->byte = 0;
	w->submitted = false;
}

/* Under the lock: how far it is. With code 0 the current batch is durable. */
static void
result_put(struct raft_log_worker *w, int code, const struct err *err)
{
	if (code == 0)
		w->finished = w->current.ticket;
	else
		w->err = *err;
	w->result.ticket = w->finished;
	w->result.durable = raft_log_durable(w->log);
	w->result.code = code;
}

/* ---- the thread ---- */

/* Says how it stands. With code 0 it lets go of the log, unless there is more and the kernel would
 * not have it anyway. */
static void
say(struct raft_log_worker *w, int code, const struct err *err)
{
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	result_put(w, code, err);
	if (code == 0) {
		w->carrier = NOBODY;
		if (w->submitted &&
		    (w->direct == NULL || w->pause > 0 || !raft_log_can_direct(w->log))) {
			take(w);
			w->carrier = THREAD;
			w->pause -= w->pause > 0;
		}
	}
	pthread_mutex_unlock(&w->lock);
	while (write(w->ring, &one, sizeof one) < 0 && errno == EINTR)
		;
}

/* Sleeps for a while; false: stop. */
static bool
retry_wait(struct raft_log_worker *w)
{
	struct timespec until;
	bool go;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += RETRY;
	until.tv_sec += until.tv_nsec / NSEC_SEC;
	until.tv_nsec %= NSEC_SEC;
	pthread_mutex_lock(&w->lock);
	while (!w->stop && pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
		;
	go = !w->stop;
	pthread_mutex_unlock(&w->lock);
	return go;
}

/* One try at what is left of a batch; what succeeded is not done twice. */
static int
carry_out(struct raft_log_worker *w, struct err *err)
{
	struct batch *b = &w->current;
	int rc = 0;

	if (b->has_vote) {
		rc = raft_vote_write(w->vote, &b->vote, err);
		if (rc < 0)
			return rc;
		b->has_vote = false;
	}
	rc = batch_queue(w, err);
	if (rc == 0 && raft_log_waiting(w->log))
		rc = raft_log_flush(w->log, err);
	if (rc == 0 && b->drop > 0)
		rc = raft_log_drop_prefix(w->log, b->drop, err);
	return rc;
}

/* Until it is done, or stopping and tried once more. */
static int
insist(struct raft_log_worker *w)
{
	struct err err = { 0 };
	bool go = true;
	int rc, said = 0;

	for (;;) {
		rc = carry_out(w, &err);
		if (rc == 0 || rc != said)
			say(w, rc, &err);
		said = rc;
		if (rc == 0 || !go)
			return rc;
		go = retry_wait(w);
	}
}

/* The next batch to carry out; with `stop` what waits, asked for or not. False: no more. */
static bool
more(struct raft_log_worker *w)
{
	bool there;

	pthread_mutex_lock(&w->lock);
	while (w->carrier != THREAD && !w->stop)
		pthread_cond_wait(&w->wake, &w->lock);
	if (w->carrier != THREAD && w->waiting.ticket > 0) {
		take(w);
		w->carrier = THREAD;
	}
	there = w->carrier == THREAD;
	pthread_mutex_unlock(&w->lock);
	return there;
}

static void *
work(void *arg)
{
	struct raft_log_worker *w = arg;

	while (more(w) && insist(w) == 0)
		;
	return NULL;
}

/* ---- the loop ---- */

static void
thread_give(struct raft_log_worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->carrier = THREAD;
	pthread_mutex_unlock(&w->lock);
	pthread_cond_signal(&w->wake); /* behind the lock: the thread would wake to wait for it */
}

/* The kernel did not get it done: the thread has to, and says why not if it cannot either. */
static void
kernel_failed(struct raft_log_worker *w)
{
	raft_log_direct_end(w->log, false);
	pthread_mutex_lock(&w->lock);
	w->pause = PAUSE;
	pthread_mutex_unlock(&w->lock);
}

/* Hands the current batch to the kernel. */
static bool
kernel_give(struct raft_log_worker *w)
{
	const struct batch *b = &w->current;
	struct raft_log_direct out;

	if (w->direct == NULL || b->has_vote || b->drop > 0 || b->bytes.n > RAFT_LOG_DIRECT_MAX ||
	    batch_queue(w, NULL) < 0 || !raft_log_direct_begin(w->log, &out))
		return false;
	if (direct_io_start(w->direct, out.handle, out.at, out.p, out.n) == 0)
		return true;
	kernel_failed(w);
	return false;
}

/* Somebody is to carry out what waits; nobody is busy with the one before. */
static void
carry_on(struct raft_log_worker *w)
{
	bool pause;

	pthread_mutex_lock(&w->lock);
	take(w);
	w->carrier = KERNEL;
	pause = w->pause > 0;
	w->pause -= pause;
	pthread_mutex_unlock(&w->lock);
	if (pause || !kernel_give(w))
		thread_give(w);
}

/* The kernel's write has ended. */
static void
kernel_ended(struct raft_log_worker *w, int rc)
{
	if (rc < 0) {
		kernel_failed(w);
		thread_give(w);
		return;
	}
	raft_log_direct_end(w->log, true);
	pthread_mutex_lock(&w->lock);
	result_put(w, 0, NULL);
	w->carrier = NOBODY;
	pthread_mutex_unlock(&w->lock);
}

static bool
kernel_carries(struct raft_log_worker *w)
{
	bool is;

	pthread_mutex_lock(&w->lock);
	is = w->carrier == KERNEL;
	pthread_mutex_unlock(&w->lock);
	return is;
}

static void
rung(evutil_socket_t fd, short what, void *arg)
{
	struct raft_log_worker *w = arg;
	struct raft_log_done done;
	struct err err;
	uint64_t count;
	bool go;
	int rc;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		return;
	if (kernel_carries(w) && direct_io_ended(w->direct, false, &rc))
		kernel_ended(w, rc);
	pthread_mutex_lock(&w->lock);
	done = w->result;
	if (done.code != 0)
		err = w->err;
	go = w->carrier == NOBODY && w->submitted;
	pthread_mutex_unlock(&w->lock);
	if (go) /* first, so that the disk has work while the answers are made */
		carry_on(w);
	done.text = done.code == 0 ? "" : err.text;
	w->done(w->arg, &done);
}

static int
thread_start(struct raft_log_worker *w)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static void
worker_free(struct raft_log_worker *w)
{
	if (w->event != NULL)
		event_free(w->event);
	direct_io_free(w->direct);
	if (w->ring >= 0)
		close(w->ring);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	buf_done(&w->waiting.bytes);
	buf_done(&w->current.bytes);
	free(w->waiting.ops);
	free(w->current.ops);
	free(w);
}

struct raft_log_worker *
raft_log_worker_start(struct event_base *base, struct raft_log *log, struct raft_vote_file *vote,
    void (*done)(void *, const struct raft_log_done *), void *arg, struct err *err)
{
	struct raft_log_worker *w = mem_new(struct raft_log_worker);
	pthread_condattr_t attr;

	w->log = log;
	w->vote = vote;
	w->done = done;
	w->arg = arg;
	w->next = log->next;
	w->term = log->term;
	buf_init(&w->waiting.bytes, RAFT_LOG_WORKER_WAITING);
	buf_init(&w->current.bytes, RAFT_LOG_WORKER_WAITING);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	w->ring = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->ring >= 0) {
		w->direct = direct_io_new(w->ring); /* NULL: the thread writes it all */
		w->event = event_new(base, w->ring, EV_READ | EV_PERSIST, rung, w);
	}
	if (w->event == NULL || event_add(w->event, NULL) < 0 || (errno = thread_start(w)) != 0) {
		err_errno(err, "kv: cannot start the log's thread");
		worker_free(w);
		return NULL;
	}
	return w;
}

int
raft_log_worker_stop(struct raft_log_worker *w, struct err *err)
{
	int rc;

	if (w == NULL)
		return 0;
	if (kernel_carries(w) && direct_io_ended(w->direct, true, &rc))
		kernel_ended(w, rc);
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	rc = w->result.code;
	if (rc == 0 && w->result.ticket < w->ticket)
		rc = err_set(err, ERR_STATE, "kv: the log stopped before all was written");
	else if (rc != 0)
		err_set(err, rc, "%s", w->err.text);
	worker_free(w);
	return rc;
}

/* Adds to the waiting batch; only the loop calls this. */
static uint64_t
wait_add(struct raft_log_worker *w, enum segment_kind kind, const struct raft_log_entry *e,
    struct err *err)
{
	struct batch *b = &w->waiting;
	bool fits;

	pthread_mutex_lock(&w->lock);
	fits = e->bytes.n <= RAFT_LOG_WORKER_WAITING - b->bytes.n &&
	       b->count < RAFT_LOG_WORKER_WAITING / SEGMENT_RECORD;
	if (fits) {
		buf_add(&b->bytes, e->bytes);
		fits = !b->bytes.full;
		b->bytes.full = false;
	}
	if (fits) {
		b->ops = mem_grow(b->ops, b->count, &b->cap, sizeof *b->ops);
		b->ops[b->count++] = (struct op){ kind, *e };
		b->ticket = ++w->ticket;
	}
	pthread_mutex_unlock(&w->lock);
	if (!fits)
		err_set(err, ERR_MEMORY, "kv: too much waits for the disk already");
	return fits ? w->ticket : 0;
}

uint64_t
raft_log_worker_append(struct raft_log_worker *w, const struct raft_log_entry *e, struct err *err)
{
	uint64_t ticket;

	if (e->index != w->next || e->term < w->term || e->bytes.n > SEGMENT_BODY_MAX) {
		err_set(err, e->bytes.n > SEGMENT_BODY_MAX ? ERR_LIMIT : ERR_CONFLICT,
		    "kv: log entry %" PRIu64 " of %zu bytes after %" PRIu64, e->index, e->bytes.n,
		    w->next - 1);
		return 0;
	}
	ticket = wait_add(w, SEGMENT_ENTRY, e, err);
	if (ticket > 0) {
		w->next = e->index + 1;
		w->term = e->term;
	}
	return ticket;
}

uint64_t
raft_log_worker_truncate(struct raft_log_worker *w, uint64_t from, struct err *err)
{
	struct raft_log_entry e = { .index = from };
	uint64_t ticket;

	if (from == 0 || from > w->next) {
		err_set(err, ERR_CONFLICT, "kv: cut at %" PRIu64 ", the log ends at %" PRIu64, from,
		    w->next - 1);
		return 0;
	}
	ticket = wait_add(w, SEGMENT_TRUNCATE, &e, err);
	if (ticket > 0) {
		w->next = from;
		w->term = 0;
	}
	return ticket;
}

uint64_t
raft_log_worker_reset(struct raft_log_worker *w, uint64_t next, uint64_t term, struct err *err)
{
	struct raft_log_entry e = { .index = next, .term = term };
	uint64_t ticket;

	if (next == 0) {
		err_set(err, ERR_CONFLICT, "kv: log entries begin at 1");
		return 0;
	}
	ticket = wait_add(w, SEGMENT_RESET, &e, err);
	if (ticket > 0) {
		w->next = next;
		w->term = term;
	}
	return ticket;
}

uint64_t
raft_log_worker_vote(struct raft_log_worker *w, const struct raft_vote *v)
{
	pthread_mutex_lock(&w->lock);
	w->waiting.has_vote = true;
	w->waiting.vote = *v;
	w->waiting.ticket = ++w->ticket;
	pthread_mutex_unlock(&w->lock);
	return w->ticket;
}

uint64_t
raft_log_worker_drop_prefix(struct raft_log_worker *w, uint64_t up_to)
{
	pthread_mutex_lock(&w->lock);
	if (up_to > w->waiting.drop)
		w->waiting.drop = up_to;
	w->waiting.ticket = ++w->ticket;
	pthread_mutex_unlock(&w->lock);
	return w->ticket;
}

void
raft_log_worker_submit(struct raft_log_worker *w)
{
	bool go;

	pthread_mutex_lock(&w->lock);
	w->submitted = w->waiting.ticket > 0;
	go = w->submitted && w->carrier == NOBODY;
	pthread_mutex_unlock(&w->lock);
	if (go)
		carry_on(w);
}

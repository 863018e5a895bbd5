/* kv/raft_log_worker_io.c -- one thread, one lock, two batches that change places.
 *
 * The loop fills `waiting` under the lock; the thread swaps it with its own empty one and works
 * without the lock. A vote goes before the log of its batch: terms and votes only move forward,
 * so having the newer one early is safe, and no entry is on disk before its term. Results are
 * put under the lock, then the eventfd rings.
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
#include "kv/raft_log_priv.h"

#define RETRY (200 * NSEC_MS) /* after the disk failed */

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
	uint64_t ticket; /* newest in it */
};

struct raft_log_worker {
	struct raft_log *log;        /* the thread's */
	struct raft_vote_file *vote; /* the thread's */
	uint64_t next, term, ticket; /* the loop's */
	void (*done)(void *, const struct raft_log_done *);
	void *arg;
	struct event *event;
	int ring; /* eventfd */
	pthread_t thread;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	struct batch waiting;
	bool submitted, stop;
	struct raft_log_done result;
	struct err err;
};

static void
batch_clear(struct batch *b)
{
	b->count = 0;
	b->has_vote = false;
	b->drop = 0;
	if (b->bytes.room > 1u << 20)
		buf_done(&b->bytes);
	buf_clear(&b->bytes);
}

/* Into the log's queue; the loop has checked order and size already. */
static int
batch_queue(struct raft_log *log, const struct batch *b, size_t *at, size_t *byte, struct err *err)
{
	int rc = 0;

	while (*at < b->count) {
		const struct op *op = &b->ops[*at];
		struct raft_log_entry e = op->e;

		if (op->kind == SEGMENT_ENTRY) {
			e.bytes = str_mem(e.bytes.n == 0 ? NULL : b->bytes.p + *byte, e.bytes.n);
			rc = raft_log_append(log, &e, err);
		} else if (op->kind == SEGMENT_TRUNCATE) {
			rc = raft_log_truncate(log, e.index, err);
		} else {
			rc = raft_log_reset(log, e.index, e.term, err);
		}
		if (rc < 0)
			return rc;
		*byte += op->e.bytes.n;
		++*at;
	}
	return 0;
}

static void
say(struct raft_log_worker *w, uint64_t ticket, int code, const struct err *err)
{
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	w->result.ticket = ticket;
	w->result.durable = raft_log_durable(w->log);
	w->result.code = code;
	if (code != 0)
		w->err = *err;
	pthread_mutex_unlock(&w->lock);
	while (write(w->ring, &one, sizeof one) < 0 && errno == EINTR)
		;
}

/* Sleeps until there is more or, with `retry`, a while. False: stop. */
static bool
more(struct raft_log_worker *w, bool retry)
{
	struct timespec until;
	bool go;

	pthread_mutex_lock(&w->lock);
	if (retry && !w->stop) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += RETRY;
		until.tv_sec += until.tv_nsec / NSEC_SEC;
		until.tv_nsec %= NSEC_SEC;
		while (!w->stop && pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
			;
	} else {
		while (!w->submitted && !w->stop)
			pthread_cond_wait(&w->wake, &w->lock);
	}
	go = !w->stop;
	pthread_mutex_unlock(&w->lock);
	return go;
}

static void
take(struct raft_log_worker *w, struct batch *mine)
{
	struct batch swap;

	pthread_mutex_lock(&w->lock);
	swap = w->waiting;
	w->waiting = *mine;
	*mine = swap;
	w->submitted = false;
	pthread_mutex_unlock(&w->lock);
}

/* One try at what is left of a batch; what succeeded is not done twice. */
static int
carry_out(struct raft_log_worker *w, struct batch *b, size_t *at, size_t *byte, struct err *err)
{
	int rc = 0;

	if (b->has_vote) {
		rc = raft_vote_write(w->vote, &b->vote, err);
		if (rc < 0)
			return rc;
		b->has_vote = false;
	}
	rc = batch_queue(w->log, b, at, byte, err);
	if (rc == 0 && raft_log_waiting(w->log))
		rc = raft_log_flush(w->log, err);
	if (rc == 0 && b->drop > 0)
		rc = raft_log_drop_prefix(w->log, b->drop, err);
	return rc;
}

/* Until it is done, or stopping and tried once more. */
static int
insist(struct raft_log_worker *w, struct batch *b, uint64_t finished)
{
	size_t at = 0, byte = 0;
	struct err err = { 0 };
	bool go = true;
	int rc, said = 0;

	for (;;) {
		rc = carry_out(w, b, &at, &byte, &err);
		if (rc == 0 || rc != said)
			say(w, rc == 0 ? b->ticket : finished, rc, &err);
		said = rc;
		if (rc == 0 || !go)
			return rc;
		go = more(w, true);
	}
}

static void *
work(void *arg)
{
	struct raft_log_worker *w = arg;
	struct batch mine = { 0 };
	uint64_t finished = 0;
	bool go;

	buf_init(&mine.bytes, RAFT_LOG_WORKER_WAITING);
	do {
		go = more(w, false);
		batch_clear(&mine);
		take(w, &mine);
		if (mine.ticket > finished) {
			if (insist(w, &mine, finished) < 0)
				break;
			finished = mine.ticket;
		}
	} while (go);
	buf_done(&mine.bytes);
	free(mine.ops);
	return NULL;
}

static void
rung(evutil_socket_t fd, short what, void *arg)
{
	struct raft_log_worker *w = arg;
	struct raft_log_done done;
	struct err err;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		return;
	pthread_mutex_lock(&w->lock);
	done = w->result;
	if (done.code != 0)
		err = w->err;
	pthread_mutex_unlock(&w->lock);
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
	if (w->ring >= 0)
		close(w->ring);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	buf_done(&w->waiting.bytes);
	free(w->waiting.ops);
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
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	w->ring = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->ring >= 0)
		w->event = event_new(base, w->ring, EV_READ | EV_PERSIST, rung, w);
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
	pthread_mutex_lock(&w->lock);
	w->submitted = true;
	pthread_mutex_unlock(&w->lock);
	pthread_cond_signal(&w->wake); /* behind the lock: the thread would wake to wait for it */
}

/* kv/raft_disk_io.c -- actions in their order: to the log's worker, or held.
 *
 * What waits behind the installation of a snapshot must not overtake it: the log begins anew only
 * once the snapshot is durable, else a crash between the two would lose what the old log held.
 * Held too is what the worker has no room for, and all while a new log's files cannot be made.
 *
 * The worker tells how far the log is durable at the time of its answer; the loop may have cut the
 * log since. `cut` keeps such news from vouching for entries that only have the same index.
 */
#include <stdlib.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/mem.h"
#include "kv/raft_disk_priv.h"

void
disk_op_free(struct disk_op *op)
{
	if (op == NULL)
		return;
	fsm_snapshot_free(op->state);
	free(op->bytes);
	free(op);
}

static char *
bytes_copy(struct str s)
{
	char *p = mem_alloc(s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

static struct disk_op *
disk_op_new(struct fsm *fsm, const struct raft_core_action *a)
{
	struct disk_op *op = mem_new(struct disk_op);

	op->kind = a->kind;
	op->index = a->index;
	if (a->kind == RAFT_CORE_APPEND) {
		op->entry = a->entry;
		op->bytes = bytes_copy(a->entry.bytes);
		op->entry.bytes.p = op->bytes;
	} else if (a->kind == RAFT_CORE_INSTALLED || a->kind == RAFT_CORE_SNAPSHOT) {
		op->meta = a->meta;
		op->index = a->meta.index;
		op->bytes = bytes_copy(a->meta.config);
		op->meta.config.p = op->bytes;
		op->entry.term = a->meta.term;
		op->state = fsm == NULL ? NULL : fsm_snapshot_new(fsm);
	}
	return op;
}

void
disk_retry_later(struct raft_disk *d)
{
	const struct timeval after = { .tv_sec = RAFT_DISK_RETRY / NSEC_SEC };

	evtimer_add(d->retry, &after);
}

/* ---- to the worker ---- */

static void
disk_cut(struct raft_disk *d, uint64_t ticket, uint64_t from)
{
	if (d->cut_ticket == 0 || from < d->cut)
		d->cut = from;
	d->cut_ticket = ticket;
	if (d->durable >= from)
		d->durable = from - 1;
}

uint64_t
disk_reset(struct raft_disk *d, uint64_t next, uint64_t term, struct err *err)
{
	uint64_t ticket = raft_log_worker_reset(d->worker, next, term, err);

	if (ticket > 0) {
		d->ticket = ticket;
		disk_cut(d, ticket, next);
	}
	return ticket;
}

/* False: err says why not. */
static bool
disk_queue(struct raft_disk *d, enum raft_core_action_kind kind, uint64_t index,
    const struct raft_log_entry *e, struct err *err) /* INSTALLED: e has its term */
{
	uint64_t ticket;

	switch (kind) {
	case RAFT_CORE_APPEND:
		ticket = raft_log_worker_append(d->worker, e, err);
		if (ticket > 0)
			d->bytes += e->bytes.n;
		break;
	case RAFT_CORE_TRUNCATE:
		ticket = raft_log_worker_truncate(d->worker, index, err);
		if (ticket > 0)
			disk_cut(d, ticket, index);
		break;
	case RAFT_CORE_INSTALLED:
		return disk_reset(d, index + 1, e->term, err) > 0;
	default: /* DROP: never more than a snapshot covers */
		if (d->snapshot == NULL)
			return true;
		ticket = raft_log_worker_drop_prefix(
		    d->worker, index < d->snapshot->index ? index : d->snapshot->index);
		break;
	}
	if (ticket > 0)
		d->ticket = ticket;
	return ticket > 0;
}

/* False: it has to wait. */
static bool
disk_queued(struct raft_disk *d, enum raft_core_action_kind kind, uint64_t index,
    const struct raft_log_entry *e)
{
	struct err err;

	err_none(&err);
	if (d->broken || disk_queue(d, kind, index, e, &err))
		return true;
	if (err.code == ERR_MEMORY)
		return false;
	log_error(
	    "raft", "the log and what it was told do not agree, nothing is written: %s", err.text);
	d->broken = true;
	return true;
}

static bool
disk_stored(const struct raft_disk *d, const struct raft_snapshot_meta *m)
{
	const struct disk_snapshot *s = d->snapshot;

	return s != NULL && s->index == m->index && s->term == m->term;
}

static bool
disk_holding(const struct raft_disk *d)
{
	return d->worker == NULL || !TAILQ_EMPTY(&d->held) || (d->take.active && d->take.install);
}

static void
disk_hold(struct raft_disk *d, struct disk_op *op)
{
	d->held_bytes += op->entry.bytes.n + sizeof *op;
	TAILQ_INSERT_TAIL(&d->held, op, link);
}

static void
disk_unhold(struct raft_disk *d, struct disk_op *op)
{
	d->held_bytes -= op->entry.bytes.n + sizeof *op;
	TAILQ_REMOVE(&d->held, op, link);
}

void
disk_release(struct raft_disk *d)
{
	struct disk_op *op;

	while (d->worker != NULL && !(d->take.active && d->take.install) &&
	       (op = TAILQ_FIRST(&d->held)) != NULL) {
		if (op->kind == RAFT_CORE_INSTALLED && !disk_stored(d, &op->meta)) {
			if (d->take.active) { /* an ordinary one, which is of no use any more */
				d->take.cancelled = true;
				return;
			}
			disk_unhold(d, op);
			disk_take_begin(d, op, true);
			return;
		}
		if (!disk_queued(d, op->kind, op->index, &op->entry))
			return;
		disk_unhold(d, op);
		disk_op_free(op);
	}
}

/* ---- actions ---- */

void
raft_disk_vote(struct raft_disk *d, const struct raft_vote *vote)
{
	d->vote = *vote;
	d->votes++;
	if (d->worker != NULL)
		d->ticket = raft_log_worker_vote(d->worker, &d->vote);
	else if (d->config.files == NULL)
		d->tell_votes = true;
}

static void
disk_log(struct raft_disk *d, struct fsm *fsm, const struct raft_core_action *a)
{
	bool stored = a->kind == RAFT_CORE_INSTALLED && disk_stored(d, &a->meta);

	if (disk_holding(d) || a->kind == RAFT_CORE_INSTALLED ||
	    !disk_queued(d, a->kind, a->index, &a->entry)) {
		disk_hold(d, disk_op_new(stored ? NULL : fsm, a));
		disk_release(d);
	}
}

static void
disk_snapshot(struct raft_disk *d, struct fsm *fsm, const struct raft_core_action *a)
{
	if (disk_holding(d) || d->take.active) {
		d->stored = 0;
		d->tell_stored = true;
		return;
	}
	disk_take_begin(d, disk_op_new(fsm, a), false);
}

/* In memory a snapshot is the state's use of its entries; bytes are made when a server wants them.
 */
static void
disk_memory(struct raft_disk *d, struct fsm *fsm, const struct raft_core_action *a)
{
	struct disk_snapshot *s;

	switch (a->kind) {
	case RAFT_CORE_APPEND:
		d->durable = a->entry.index;
		d->tell_durable = true;
		break;
	case RAFT_CORE_TRUNCATE:
		if (d->durable >= a->index)
			d->durable = a->index - 1;
		break;
	case RAFT_CORE_INSTALLED:
		d->durable = a->meta.index;
		d->tell_durable = true;
		break;
	case RAFT_CORE_SNAPSHOT:
		s = mem_new(struct disk_snapshot);
		s->uses = 1;
		s->index = a->meta.index;
		s->term = a->meta.term;
		s->state = fsm_snapshot_new(fsm);
		buf_init(&s->bytes, FSM_RESTORE_MAX);
		disk_snapshot_set(d, s);
		d->stored = s->index;
		d->tell_stored = true;
		break;
	default:
		break;
	}
}

void
raft_disk_act(struct raft_disk *d, struct fsm *fsm, const struct raft_core_action *a)
{
	switch (a->kind) {
	case RAFT_CORE_TRUNCATE:
	case RAFT_CORE_APPEND:
	case RAFT_CORE_INSTALLED:
	case RAFT_CORE_DROP:
		if (d->config.files == NULL)
			disk_memory(d, fsm, a);
		else
			disk_log(d, fsm, a);
		break;
	case RAFT_CORE_SNAPSHOT:
		if (d->config.files == NULL)
			disk_memory(d, fsm, a);
		else
			disk_snapshot(d, fsm, a);
		break;
	default:
		break;
	}
}

/* ---- a turn's end, and the worker's answers ---- */

static void
disk_mark_add(struct raft_disk *d)
{
	struct disk_mark *m;

	if (d->ticket == d->marked)
		return;
	m = mem_new(struct disk_mark);
	*m = (struct disk_mark){ .ticket = d->ticket, .votes = d->votes, .bytes = d->bytes };
	TAILQ_INSERT_TAIL(&d->marks, m, link);
	d->marked = d->ticket;
}

void
raft_disk_turn(struct raft_disk *d)
{
	if (d->worker != NULL && d->ticket != d->marked) {
		disk_mark_add(d);
		raft_log_worker_submit(d->worker);
	}
	if (d->tell_votes) {
		d->tell_votes = false;
		d->votes_durable = d->votes;
		d->config.voted(d->config.arg);
	}
	if (d->tell_durable) {
		d->tell_durable = false;
		d->config.durable(d->config.arg, d->durable);
	}
	if (d->tell_stored) {
		d->tell_stored = false;
		d->config.stored(d->config.arg, d->stored);
	}
}

void
disk_failing(struct raft_disk *d, bool failing, struct str why)
{
	bool news = failing != d->failing;

	d->failing = failing;
	if (news && d->config.failing != NULL)
		d->config.failing(d->config.arg, failing ? why : STR_NONE);
}

static void
disk_said(struct raft_disk *d, const struct raft_log_done *done)
{
	if (done->code != 0 && !d->failing)
		log_error("raft",
		    "the log cannot be written; nothing acknowledged is lost, trying again: %s",
		    done->text);
	else if (done->code == 0 && d->failing)
		log_info("raft", "the log can be written again");
	disk_failing(d, done->code != 0, str_of(done->text));
}

void
disk_worker_done(void *arg, const struct raft_log_done *done)
{
	struct raft_disk *d = arg;
	uint64_t votes = d->votes_durable, durable = done->durable, life = d->lives;
	struct disk_mark *m;

	disk_said(d, done);
	while ((m = TAILQ_FIRST(&d->marks)) != NULL && m->ticket <= done->ticket) {
		d->votes_durable = m->votes;
		d->bytes_durable = m->bytes;
		TAILQ_REMOVE(&d->marks, m, link);
		free(m);
	}
	if (done->ticket >= d->cut_ticket)
		d->cut_ticket = 0;
	else if (durable >= d->cut)
		durable = d->cut - 1;
	disk_release(d);
	if (d->votes_durable > votes)
		d->config.voted(d->config.arg);
	if (d->lives != life)
		return; /* another log has begun in the meantime */
	if (durable > d->durable) {
		d->durable = durable;
		d->config.durable(d->config.arg, durable);
	}
	raft_disk_turn(d);
}

/* ---- questions ---- */

uint64_t
raft_disk_votes(const struct raft_disk *d)
{
	return d->votes;
}

uint64_t
raft_disk_votes_durable(const struct raft_disk *d)
{
	return d->votes_durable;
}

bool
raft_disk_crowded(const struct raft_disk *d)
{
	return d->held_bytes + (d->bytes - d->bytes_durable) > RAFT_DISK_CROWDED;
}

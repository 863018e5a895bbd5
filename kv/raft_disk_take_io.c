/* kv/raft_disk_take_io.c -- a snapshot of the state machine, stored piece by piece.
 *
 * The loop makes a piece of bytes, a task writes it, and so on: neither waits for the other, and
 * only the loop touches the state machine. What a snapshot covers that was installed from a leader
 * must get to the disk, so that one is tried until it is there; an ordinary one is given up, and
 * the core will want another.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "kv/raft_disk_priv.h"

#define TAKE_PIECE_MAX (1536u * 1024 * 1024) /* bytes; sessions and marks are one piece */

void
disk_snapshot_unuse(struct disk_snapshot *s)
{
	if (s == NULL || --s->uses > 0)
		return;
	raft_snapshot_close(s->file);
	fsm_snapshot_free(s->state);
	buf_done(&s->bytes);
	free(s);
}

void
disk_snapshot_set(struct raft_disk *d, struct disk_snapshot *s)
{
	disk_snapshot_unuse(d->snapshot);
	d->snapshot = s;
}

/* ---- in the task ---- */

static void
take_run(void *arg)
{
	struct raft_disk *d = arg;
	struct disk_take *t = &d->take;

	if (t->piece.full) {
		t->rc = err_set(
		    &t->err, ERR_LIMIT, "kv: a snapshot's piece is over %u bytes", TAKE_PIECE_MAX);
		return;
	}
	if (t->writer == NULL)
		t->writer = raft_snapshot_begin(d->config.files, &t->op->meta, &t->err);
	t->rc =
	    t->writer == NULL ? ERR_IO : raft_snapshot_add(t->writer, buf_str(&t->piece), &t->err);
	if (t->rc < 0 || !t->last)
		return;
	t->rc = raft_snapshot_commit(t->writer, &t->err);
	t->writer = NULL;
	if (t->rc == 0) /* read back whole, as a start would */
		t->rc = raft_snapshot_open(d->config.files, &t->stored, NULL, NULL, &t->err);
}

/* ---- in the loop ---- */

static void
take_free(struct raft_disk *d)
{
	struct disk_take *t = &d->take;

	raft_snapshot_abort(t->writer);
	t->writer = NULL;
	buf_done(&t->piece);
	buf_init(&t->piece, TAKE_PIECE_MAX);
	disk_op_free(t->op);
	t->op = NULL;
	t->active = t->ready = false;
}

static void
take_start(struct raft_disk *d)
{
	if (task_start(d->take.task))
		d->take.ready = false;
	else
		disk_retry_later(d);
}

static void
take_piece(struct raft_disk *d)
{
	struct disk_take *t = &d->take;

	buf_clear(&t->piece);
	t->last = !fsm_snapshot_next(t->op->state, RAFT_DISK_PIECE, &t->piece);
	t->ready = true;
	take_start(d);
}

static void
take_say(struct raft_disk *d)
{
	struct disk_take *t = &d->take;

	if (t->rc < 0 && !d->take_failing)
		log_error("raft",
		    "a snapshot cannot be written; nothing acknowledged is lost, trying again: %s",
		    t->err.text);
	else if (t->rc == 0 && d->take_failing)
		log_info("raft", "snapshots can be written again");
	d->take_failing = t->rc < 0;
}

static void
take_end(struct raft_disk *d, uint64_t index)
{
	uint64_t term = d->take.op->meta.term;
	bool install = d->take.install;
	struct err err = { 0 };

	take_free(d);
	if (index > 0 && install && d->worker != NULL &&
	    disk_reset(d, index + 1, term, &err) == 0) {
		log_error("raft", "the log cannot begin anew behind a snapshot: %s", err.text);
		d->broken = true;
	}
	d->stored = index;
	d->tell_stored = true;
	disk_release(d);
	raft_disk_turn(d);
}

static void
take_failed(struct raft_disk *d)
{
	struct disk_take *t = &d->take;

	raft_snapshot_abort(t->writer);
	t->writer = NULL;
	if (!t->install) {
		take_end(d, 0);
		return;
	}
	fsm_snapshot_rewind(t->op->state);
	disk_retry_later(d);
}

static void
take_stored(struct raft_disk *d)
{
	struct disk_take *t = &d->take;
	struct disk_snapshot *s = mem_new(struct disk_snapshot);

	s->uses = 1;
	s->file = t->stored;
	s->index = raft_snapshot_meta(t->stored)->index;
	s->term = raft_snapshot_meta(t->stored)->term;
	buf_init(&s->bytes, 0);
	t->stored = NULL;
	disk_snapshot_set(d, s);
	take_end(d, t->op->index);
}

static void
take_done(void *arg)
{
	struct raft_disk *d = arg;
	struct disk_take *t = &d->take;

	if (t->rc < 0 || t->last)
		take_say(d);
	if (t->rc < 0)
		take_failed(d);
	else if (t->last)
		take_stored(d);
	else if (t->cancelled)
		take_end(d, 0);
	else
		take_piece(d);
}

void
disk_take_begin(struct raft_disk *d, struct disk_op *op, bool install)
{
	d->take.active = true;
	d->take.install = install;
	d->take.cancelled = false;
	d->take.op = op;
	take_piece(d);
}

void
disk_take_retry(struct raft_disk *d)
{
	if (!d->take.active || task_busy(d->take.task))
		return;
	if (d->take.ready)
		take_start(d);
	else
		take_piece(d);
}

/* ---- life ---- */

int
disk_take_open(struct raft_disk *d, struct err *err)
{
	buf_init(&d->take.piece, TAKE_PIECE_MAX);
	d->take.task = task_new(d->config.base, take_run, take_done, d);
	return d->take.task == NULL ? err_errno(err, "kv: cannot write snapshots") : 0;
}

void
disk_take_close(struct raft_disk *d)
{
	task_free(d->take.task);
	d->take.task = NULL;
	raft_snapshot_close(d->take.stored);
	d->take.stored = NULL;
	take_free(d);
}

void
disk_take_drop(struct raft_disk *d)
{
	struct err err = { 0 };

	if (!d->take.active)
		return;
	disk_take_close(d);
	if (disk_take_open(d, &err) < 0)
		log_error("raft", "%s", err.text);
}

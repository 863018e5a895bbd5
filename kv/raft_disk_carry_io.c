/* kv/raft_disk_carry_io.c -- snapshots on their way out to a server, and in from one.
 *
 * Each has a task of its own, which reads or writes one piece at a time. What comes in goes to a
 * file "incoming-N", which is no part of Raft's state: it is removed when it has been read, and by
 * the next start.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/mem.h"
#include "kv/raft_disk_priv.h"

/* ---- out ---- */

struct raft_disk_source {
	struct disk_snapshot *snapshot;
	void (*piece)(void *arg, struct str, bool last, const struct err *);
	void *arg;
	struct task *task;
	uint64_t at, size;
	/* The task's while it is busy. */
	char *bytes;
	size_t n;
	int rc;
	struct err err;
};

static void
source_run(void *arg)
{
	struct raft_disk_source *s = arg;

	if (s->snapshot->file != NULL)
		s->rc = raft_snapshot_read(s->snapshot->file, s->at, s->bytes, s->n, &s->err);
	else if (s->n > 0)
		memcpy(s->bytes, s->snapshot->bytes.p + s->at, s->n);
}

static void
source_done(void *arg)
{
	struct raft_disk_source *s = arg;

	s->at += s->n;
	s->piece(s->arg, str_mem(s->bytes, s->n), s->at == s->size, s->rc < 0 ? &s->err : NULL);
}

/* In memory: bytes of the state, once for all who want them. */
static bool
snapshot_bytes(struct disk_snapshot *s)
{
	if (s->state == NULL)
		return true;
	while (fsm_snapshot_next(s->state, RAFT_DISK_PIECE, &s->bytes))
		;
	if (s->bytes.full) {
		fsm_snapshot_rewind(s->state);
		buf_done(&s->bytes);
		buf_init(&s->bytes, FSM_RESTORE_MAX);
		return false;
	}
	fsm_snapshot_free(s->state);
	s->state = NULL;
	return true;
}

struct raft_disk_source *
raft_disk_source_new(struct raft_disk *d, uint64_t index,
    void (*piece)(void *arg, struct str, bool last, const struct err *), void *arg)
{
	struct disk_snapshot *snapshot = d->snapshot;
	struct raft_disk_source *s;

	if (snapshot == NULL || snapshot->index != index ||
	    (snapshot->file == NULL && !snapshot_bytes(snapshot)))
		return NULL;
	s = mem_new(struct raft_disk_source);
	s->snapshot = snapshot;
	snapshot->uses++;
	s->size = snapshot->file == NULL ? snapshot->bytes.n : raft_snapshot_size(snapshot->file);
	s->piece = piece;
	s->arg = arg;
	s->bytes = mem_alloc(RAFT_DISK_PIECE);
	s->task = task_new(d->config.base, source_run, source_done, s);
	if (s->task == NULL) {
		raft_disk_source_free(s);
		return NULL;
	}
	return s;
}

bool
raft_disk_source_next(struct raft_disk_source *s)
{
	uint64_t left = s->size - s->at;

	s->n = left < RAFT_DISK_PIECE ? (size_t)left : RAFT_DISK_PIECE;
	return task_start(s->task);
}

void
raft_disk_source_free(struct raft_disk_source *s)
{
	if (s == NULL)
		return;
	task_free(s->task);
	disk_snapshot_unuse(s->snapshot);
	free(s->bytes);
	free(s);
}

/* ---- in ---- */

struct raft_disk_sink {
	struct files *files; /* NULL: in memory */
	void (*news)(void *arg, const struct err *);
	void *arg;
	struct task *task;
	char name[32];
	int handle;
	uint64_t size; /* of all that came */
	uint64_t at;   /* of what is aside; later: of what was read */
	struct buf waiting;
	bool ended, whole, failed;
	/* The task's while it is busy. */
	struct buf writing;
	int rc;
};

static void
sink_run(void *arg)
{
	struct raft_disk_sink *s = arg;

	s->rc = s->files->write(s->files, s->handle, s->at, s->writing.p, s->writing.n);
}

static void sink_go(struct raft_disk_sink *);

static void
sink_fail(struct raft_disk_sink *s, int rc)
{
	struct err err = { 0 };

	s->failed = true;
	files_err(&err, s->name, "cannot keep a snapshot that comes in", rc);
	s->news(s->arg, &err);
}

static void
sink_done(void *arg)
{
	struct raft_disk_sink *s = arg;

	if (s->rc < 0) {
		sink_fail(s, s->rc);
		return;
	}
	s->at += s->writing.n;
	buf_clear(&s->writing);
	sink_go(s);
	s->news(s->arg, NULL);
}

/* The next piece, or the end. */
static void
sink_go(struct raft_disk_sink *s)
{
	struct buf swap;

	if (s->failed || task_busy(s->task))
		return;
	if (s->waiting.n == 0 && s->ended) {
		s->whole = true;
		s->at = 0;
		return;
	}
	if (s->waiting.n == 0)
		return;
	swap = s->writing;
	s->writing = s->waiting;
	s->waiting = swap;
	if (!task_start(s->task)) { /* no thread can be had: rather late than never */
		sink_run(s);
		s->failed = s->rc < 0;
		s->at += s->writing.n;
		buf_clear(&s->writing);
	}
}

struct raft_disk_sink *
raft_disk_sink_new(
    struct raft_disk *d, void (*news)(void *arg, const struct err *), void *arg, struct err *err)
{
	struct raft_disk_sink *s = mem_new(struct raft_disk_sink);

	s->files = d->config.files;
	s->news = news;
	s->arg = arg;
	s->handle = -1;
	buf_init(&s->waiting, s->files == NULL ? FSM_RESTORE_MAX : 2 * RAFT_DISK_SINK_WAITING);
	buf_init(&s->writing, 2 * RAFT_DISK_SINK_WAITING);
	if (s->files == NULL)
		return s;
	snprintf(s->name, sizeof s->name, DISK_INCOMING "%" PRIu64, ++d->incoming);
	s->handle = s->files->open(s->files, s->name, FILES_NEW);
	if (s->handle < 0)
		files_err(err, s->name, "cannot create", s->handle);
	else
		s->task = task_new(d->config.base, sink_run, sink_done, s);
	if (s->task == NULL) {
		if (s->handle >= 0)
			err_errno(err, "kv: cannot take a snapshot in");
		raft_disk_sink_free(s);
		return NULL;
	}
	return s;
}

int
raft_disk_sink_add(struct raft_disk_sink *s, struct str piece, struct err *err)
{
	if (s->ended || s->failed || piece.n > FSM_RESTORE_MAX - s->size)
		return err_set(err, ERR_LIMIT, "kv: a snapshot of more than %u bytes comes in",
		    FSM_RESTORE_MAX);
	buf_add(&s->waiting, piece);
	if (s->waiting.full)
		return err_set(err, ERR_MEMORY, "kv: a snapshot comes in too fast");
	s->size += piece.n;
	if (s->files != NULL)
		sink_go(s);
	return 0;
}

bool
raft_disk_sink_full(const struct raft_disk_sink *s)
{
	return s->files != NULL && s->waiting.n >= RAFT_DISK_SINK_WAITING;
}

void
raft_disk_sink_end(struct raft_disk_sink *s)
{
	s->ended = true;
	if (s->files == NULL)
		s->whole = true;
	else
		sink_go(s);
}

bool
raft_disk_sink_whole(const struct raft_disk_sink *s)
{
	return s->whole && !s->failed;
}

int
raft_disk_sink_read(void *sink, size_t want, struct buf *out, struct err *err)
{
	struct raft_disk_sink *s = sink;
	size_t n = want < s->size - s->at ? want : (size_t)(s->size - s->at);
	char *room = buf_reserve(out, n);
	int rc = 0;

	if (room == NULL && n > 0)
		return err_set(err, ERR_MEMORY, "kv: no memory for a snapshot's piece");
	if (n == 0)
		return 0;
	if (s->files == NULL)
		memcpy(room, s->waiting.p + s->at, n);
	else
		rc = s->files->read(s->files, s->handle, s->at, room, n);
	if (rc < 0)
		return files_err(err, s->name, "cannot read", rc);
	buf_commit(out, n);
	s->at += n;
	return 0;
}

void
raft_disk_sink_free(struct raft_disk_sink *s)
{
	if (s == NULL)
		return;
	task_free(s->task);
	if (s->handle >= 0) {
		s->files->close(s->files, s->handle);
		s->files->unlink(s->files, s->name);
	}
	buf_done(&s->waiting);
	buf_done(&s->writing);
	free(s);
}

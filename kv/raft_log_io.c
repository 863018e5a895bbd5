/* kv/raft_log_io.c -- the writing half: queue, flush, next segment, drop.
 *
 * What keeps a crash harmless:
 *   - a batch is written behind the last synced one; of what was acknowledged only the block that
 *     it begins in is written again, with the same bytes;
 *   - after a failure the queue only grows, so the next attempt writes the same bytes to the same
 *     place and perhaps more behind: what a crash finds is never a mixture of two histories;
 *   - a new segment is made aside, synced, renamed, and its folder synced before any record
 *     goes into it; its head says where the previous one ended, which seals that one;
 *   - zeros are written ahead of the records, where a new segment holds zeros anyway;
 *   - segments are unlinked one at a time, oldest first, so no hole appears.
 */
#include "kv/raft_log_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kv/raft_log_priv.h"

#define OUT_KEEP (1u << 20) /* memory for records on their way that is kept between flushes */

void
log_name(char *out, uint64_t sequence)
{
	snprintf(out, LOG_NAME_LEN + 1, "log-%016" PRIx64, sequence);
}

struct log_segment *
log_segment_add(struct raft_log *log, uint64_t sequence, uint64_t nonce)
{
	struct log_segment *s;

	log->segments =
	    mem_grow(log->segments, log->segment_count, &log->segment_cap, sizeof *log->segments);
	s = &log->segments[log->segment_count++];
	*s = (struct log_segment){ .sequence = sequence, .nonce = nonce };
	return s;
}

/* Entries from `from` on count no more. */
static void
log_account_cut(struct raft_log *log, uint64_t from)
{
	for (size_t i = 0; i < log->segment_count; i++) {
		struct log_segment *s = &log->segments[i];

		if (s->first >= from)
			s->first = s->last = 0;
		else if (s->last >= from)
			s->last = from - 1;
	}
}

void
log_account(struct raft_log *log, enum segment_kind kind, uint64_t index, uint64_t term)
{
	struct log_segment *s = &log->segments[log->segment_count - 1];

	switch (kind) {
	case SEGMENT_ENTRY:
		if (s->first == 0)
			s->first = index;
		s->last = index;
		log->disk_next = index + 1;
		log->disk_term = term;
		break;
	case SEGMENT_TRUNCATE:
		log_account_cut(log, index);
		log->disk_next = index;
		log->disk_term = 0;
		break;
	case SEGMENT_RESET:
		log_account_cut(log, 0);
		log->disk_next = index;
		log->disk_term = term;
		break;
	}
}

struct raft_log *
raft_log_open(struct files *files, const struct raft_log_config *config, struct err *err)
{
	struct raft_log *log = mem_new(struct raft_log);

	log->files = files;
	log->raft_id = config->raft_id;
	log->segment_size = config->segment_size == 0 ? RAFT_LOG_SEGMENT : config->segment_size;
	log->handle = log->direct = -1;
	log->disk_next = 1;
	log->cut = UINT64_MAX;
	buf_init(&log->bytes, RAFT_LOG_QUEUE);
	if (log_load(log, config, err) < 0) {
		raft_log_close(log);
		return NULL;
	}
	return log;
}

static void
log_segment_leave(struct raft_log *log)
{
	if (log->handle >= 0)
		log->files->close(log->files, log->handle);
	if (log->direct >= 0)
		log->files->close(log->files, log->direct);
	log->handle = log->direct = -1;
}

void
raft_log_close(struct raft_log *log)
{
	if (log == NULL)
		return;
	raft_log_forget(log);
	log_segment_leave(log);
	buf_done(&log->bytes);
	log_out_free(log);
	free(log->segments);
	free(log->ops);
	free(log);
}

const struct raft_log_entry *
raft_log_entries(const struct raft_log *log, size_t *count)
{
	*count = log->entry_count;
	return log->entries;
}

void
raft_log_forget(struct raft_log *log)
{
	for (size_t i = 0; i < log->held_count; i++)
		free(log->held[i]);
	free(log->held);
	free(log->entries);
	log->held = NULL;
	log->entries = NULL;
	log->held_count = log->held_cap = log->entry_count = log->entry_cap = 0;
}

uint64_t
raft_log_first(const struct raft_log *log)
{
	for (size_t i = 0; i < log->segment_count; i++)
		if (log->segments[i].first > 0)
			return log->segments[i].first;
	return log->disk_next;
}

uint64_t
raft_log_last(const struct raft_log *log)
{
	return log->next - 1;
}

uint64_t
raft_log_durable(const struct raft_log *log)
{
	return (log->cut < log->disk_next ? log->cut : log->disk_next) - 1;
}

uint64_t
raft_log_torn(const struct raft_log *log)
{
	return log->torn;
}

bool
raft_log_waiting(const struct raft_log *log)
{
	return log->op_count > 0;
}

static int
queue_add(struct raft_log *log, const struct log_op *op, struct str bytes, struct err *err)
{
	/* Without a body a record still takes memory; each counts as much as its head. */
	if (bytes.n > RAFT_LOG_QUEUE - log->bytes.n ||
	    log->op_count >= RAFT_LOG_QUEUE / SEGMENT_RECORD)
		return err_set(
		    err, ERR_MEMORY, "kv: %zu bytes wait for the disk already", log->bytes.n);
	buf_add(&log->bytes, bytes);
	if (log->bytes.full) {
		log->bytes.full = false;
		return err_set(err, ERR_MEMORY, "kv: no memory for a log entry");
	}
	log->ops = mem_grow(log->ops, log->op_count, &log->op_cap, sizeof *log->ops);
	log->ops[log->op_count++] = *op;
	return 0;
}

int
raft_log_append(struct raft_log *log, const struct raft_log_entry *e, struct err *err)
{
	struct log_op op = { SEGMENT_ENTRY, e->type, e->term, e->index, e->bytes.n };
	int rc;

	if (e->index != log->next || e->term < log->term)
		return err_set(err, ERR_CONFLICT,
		    "kv: log entry %" PRIu64 " of term %" PRIu64 " after %" PRIu64
		    " of term %" PRIu64,
		    e->index, e->term, log->next - 1, log->term);
	if (e->bytes.n > SEGMENT_BODY_MAX)
		return err_set(err, ERR_LIMIT, "kv: log entry of %zu bytes, at most %u", e->bytes.n,
		    SEGMENT_BODY_MAX);
	rc = queue_add(log, &op, e->bytes, err);
	if (rc < 0)
		return rc;
	log->next = e->index + 1;
	log->term = e->term;
	return 0;
}

int
raft_log_truncate(struct raft_log *log, uint64_t from, struct err *err)
{
	struct log_op op = { SEGMENT_TRUNCATE, 0, 0, from, 0 };
	int rc;

	if (from == 0)
		return err_set(err, ERR_CONFLICT, "kv: log entries begin at 1");
	if (from >= log->next)
		return 0;
	rc = queue_add(log, &op, STR_NONE, err);
	if (rc < 0)
		return rc;
	log->next = from;
	log->term = 0;
	if (from < log->cut)
		log->cut = from;
	return 0;
}

int
raft_log_reset(struct raft_log *log, uint64_t next, uint64_t term, struct err *err)
{
	struct log_op op = { SEGMENT_RESET, 0, term, next, 0 };
	int rc;

	if (next == 0)
		return err_set(err, ERR_CONFLICT, "kv: log entries begin at 1");
	rc = queue_add(log, &op, STR_NONE, err);
	if (rc < 0)
		return rc;
	log->next = next;
	log->term = term;
	if (next < log->cut)
		log->cut = next;
	return 0;
}

void
log_segment_opened(struct raft_log *log, const char *name)
{
	struct files *f = log->files;

	if (log->size % LOG_BLOCK == 0)
		log->direct = f->open(f, name, FILES_DIRECT);
}

/* Makes the next file and turns to it. Until that is done the current one stays in use. */
int
log_segment_begin(struct raft_log *log, size_t need, struct err *err)
{
	struct files *f = log->files;
	const struct log_segment *last =
	    log->segment_count > 0 ? &log->segments[log->segment_count - 1] : NULL;
	struct segment_head head = { .sequence = last == NULL ? 1 : last->sequence + 1,
		.raft_id = log->raft_id,
		.start = log->disk_next,
		.start_term = log->disk_term,
		.prev_nonce = last == NULL ? 0 : last->nonce,
		.prev_end = last == NULL ? 0 : (uint32_t)log->end,
		.size = log->segment_size };
	uint8_t bytes[SEGMENT_HEAD];
	char name[LOG_NAME_LEN + 1];
	int h, rc;

	if (need > log->segment_size - SEGMENT_HEAD)
		head.size = (uint32_t)LOG_BLOCKS(SEGMENT_HEAD + need);
	os_random(&head.nonce, sizeof head.nonce);
	segment_head_write(bytes, &head);
	log_name(name, head.sequence);
	h = f->open(f, LOG_ASIDE, FILES_NEW);
	if (h < 0)
		return files_err(err, name, "cannot create", h);
	rc = f->allocate(f, h, head.size);
	if (rc == 0)
		rc = f->write(f, h, 0, bytes, sizeof bytes);
	if (rc == 0)
		rc = f->sync(f, h);
	if (rc == 0)
		rc = f->rename(f, LOG_ASIDE, name);
	if (rc == 0)
		rc = f->sync_dir(f);
	if (rc < 0) {
		f->close(f, h);
		return files_err(err, name, "cannot make room for the log", rc);
	}
	log_segment_leave(log);
	log->handle = h;
	log->size = head.size;
	log->end = log->zeroed = SEGMENT_HEAD;
	memcpy(log->tail, bytes, sizeof bytes);
	log_segment_opened(log, name);
	log_segment_add(log, head.sequence, head.nonce);
	return 0;
}

/* To the end of the segment's file at most. */
static int
log_write_at(struct raft_log *log, uint64_t at, const void *p, size_t n)
{
	struct files *f = log->files;
	int rc = -EINVAL;

	if (n > log->size - at)
		n = log->size - at;
	if (log->direct >= 0)
		rc = f->write(f, log->direct, at, p, n);
	if (rc == -EINVAL && log->direct >= 0) { /* it could be opened so, yet not be written so */
		f->close(f, log->direct);
		log->direct = -1;
	}
	return log->direct >= 0 ? rc : f->write(f, log->handle, at, p, n);
}

/* What a file system keeps of a place that was never written changes with the first write to it,
 * and each sync would have to write that too. So it has to once for as many bytes as these. Without
 * them it is as well. */
static void
log_zeros_ahead(struct raft_log *log)
{
	static _Alignas(LOG_BLOCK) char zeros[64u << 10];
	uint64_t at = log->out.at + log->out.n;

	if (at < log->size && log_write_at(log, at, zeros, sizeof zeros) == 0)
		log->zeroed = at + sizeof zeros < log->size ? at + sizeof zeros : log->size;
}

static int
log_write(struct raft_log *log)
{
	int rc = log_write_at(log, log->out.at, log->out.p, log->out.n);

	if (rc == 0 && !log_out_is_where_zeros_are(log))
		log_zeros_ahead(log);
	return rc < 0 ? rc : log->files->sync(log->files, log->handle);
}

/* What has become durable leaves the queue. */
static void
queue_drop(struct raft_log *log, size_t ops)
{
	size_t bytes = 0;

	for (size_t i = 0; i < ops; i++) {
		const struct log_op *op = &log->ops[i];

		log_account(log, op->kind, op->index, op->term);
		bytes += op->n;
	}
	buf_drop_front(&log->bytes, bytes);
	log->op_count -= ops;
	if (log->op_count == 0)
		log->cut = UINT64_MAX;
	else if (ops > 0)
		memmove(log->ops, log->ops + ops, log->op_count * sizeof *log->ops);
	if (log->out.room > OUT_KEEP)
		log_out_free(log);
	if (log->op_count == 0 && log->bytes.room > OUT_KEEP)
		buf_done(&log->bytes);
}

int
raft_log_flush(struct raft_log *log, struct err *err)
{
	char name[LOG_NAME_LEN + 1];

	while (log->op_count > 0) {
		size_t need = segment_record_size(log->ops[0].n);
		int rc = 0;

		if (log->handle < 0 || need > log->size - log->end)
			rc = log_segment_begin(log, need, err);
		if (rc < 0)
			return rc;
		if (!log_out_make(log, SIZE_MAX))
			return err_set(err, ERR_MEMORY, "kv: no memory to write the log");
		rc = log_write(log);
		if (rc < 0) {
			log_name(name, log->segments[log->segment_count - 1].sequence);
			return files_err(err, name, "cannot write the log", rc);
		}
		log_out_written(log);
		queue_drop(log, log->out.ops);
	}
	return 0;
}

bool
raft_log_can_direct(const struct raft_log *log)
{
	return log->direct >= 0;
}

bool
raft_log_direct_begin(struct raft_log *log, struct raft_log_direct *out)
{
	if (log->direct < 0 || log->op_count == 0 || !log_out_make(log, RAFT_LOG_DIRECT_MAX) ||
	    log->out.ops < log->op_count || !log_out_is_where_zeros_are(log))
		return false;
	*out = (struct raft_log_direct){ log->direct, log->out.at, log->out.p, log->out.n };
	return true;
}

void
raft_log_direct_end(struct raft_log *log, bool durable)
{
	if (!durable)
		return;
	log_out_written(log);
	queue_drop(log, log->out.ops);
}

int
raft_log_drop_prefix(struct raft_log *log, uint64_t up_to, struct err *err)
{
	struct files *f = log->files;
	char name[LOG_NAME_LEN + 1];

	while (log->segment_count > 1 && log->segments[0].last <= up_to) {
		int rc;

		log_name(name, log->segments[0].sequence);
		rc = f->unlink(f, name);
		if (rc == 0 || rc == -ENOENT)
			rc = f->sync_dir(f);
		if (rc < 0)
			return files_err(err, name, "cannot remove", rc);
		log->segment_count--;
		memmove(
		    log->segments, log->segments + 1, log->segment_count * sizeof *log->segments);
	}
	return 0;
}

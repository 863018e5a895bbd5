/* kv/raft_log_out.c -- the blocks that a batch is written as.
 *
 * Records follow each other without a gap, and blocks do not: the first block of a batch holds the
 * end of the one before it, which is written once more, and the last one is filled up with zeros,
 * where zeros are anyway. (The page cache would hand the disk the same blocks.)
 */
#include <stdlib.h>
#include <string.h>

#include "kv/raft_log_priv.h"

/* What it held is gone. */
static bool
out_reserve(struct log_out *out, size_t n)
{
	if (n <= out->room)
		return true;
	free(out->p);
	out->p = aligned_alloc(LOG_BLOCK, LOG_BLOCKS(n));
	out->room = out->p == NULL ? 0 : LOG_BLOCKS(n);
	return out->p != NULL;
}

void
log_out_free(struct raft_log *log)
{
	free(log->out.p);
	log->out = (struct log_out){ 0 };
}

bool
log_out_make(struct raft_log *log, size_t most)
{
	const struct log_segment *s = &log->segments[log->segment_count - 1];
	struct log_out *out = &log->out;
	size_t room = log->size - log->end, before = log->end % LOG_BLOCK, bytes_at = 0;
	struct writer w;

	if (room > most)
		room = most;
	out->records = out->ops = 0;
	for (; out->ops < log->op_count; out->ops++) {
		size_t need = segment_record_size(log->ops[out->ops].n);

		if (need > room - out->records)
			break;
		out->records += need;
	}
	out->at = log->end - before;
	out->n = LOG_BLOCKS(before + out->records);
	if (out->n > log->size - out->at) /* a segment of odd size ends within a block */
		out->n = log->size - out->at;
	if (out->ops == 0 || !out_reserve(out, out->n))
		return false;
	memcpy(out->p, log->tail, before);
	w = wr_of(out->p + before, out->records);
	for (size_t i = 0; i < out->ops; i++) {
		const struct log_op *op = &log->ops[i];
		struct segment_record r = { op->kind, op->type, op->term, op->index,
			(uint32_t)log->end, str_mem(log->bytes.p + bytes_at, op->n) };

		if (op->n == 0)
			r.bytes = STR_NONE;
		segment_record_write(&w, s->nonce, log->end + w.pos, &r);
		bytes_at += op->n;
	}
	memset(out->p + before + out->records, 0, out->n - before - out->records);
	return true;
}

bool
log_out_is_where_zeros_are(const struct raft_log *log)
{
	return log->out.at + log->out.n <= log->zeroed;
}

void
log_out_written(struct raft_log *log)
{
	const struct log_out *out = &log->out;
	size_t at;

	if (out->at + out->n > log->zeroed)
		log->zeroed = out->at + out->n;
	log->end += out->records;
	at = (log->end - log->end % LOG_BLOCK) - out->at; /* of the block that it ends in */
	memcpy(log->tail, out->p + at, log->end % LOG_BLOCK);
}

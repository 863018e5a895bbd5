/* kv/raft_log_priv.h -- the inside of raft_log*.c.
 *
 *     raft_log_io.c           queue, flush, next segment, drop
 *     raft_log_out.c          the blocks that a batch is written as
 *     raft_log_load_io.c      what a start finds
 *
 * Two positions: the queue's end (`next`, `term`: what the caller sees) and the disk's
 * (`disk_next`, `disk_term`: all of that is synced). Terms are 0 where they are not known.
 */
#ifndef KV_RAFT_LOG_PRIV_H
#define KV_RAFT_LOG_PRIV_H

#include "base/buf.h"
#include "kv/raft_log_io.h"

#define LOG_NAME_LEN 20 /* "log-" and 16 hex digits */
#define LOG_ASIDE "log.tmp"
#define LOG_BLOCK 4096 /* writes begin and end at multiples of it, as O_DIRECT wants it */
#define LOG_BLOCKS(n) (((n) + LOG_BLOCK - 1) & ~(uint64_t)(LOG_BLOCK - 1))

struct log_segment {
	uint64_t sequence, nonce;
	uint64_t first, last; /* entries in it that still count; first 0: none */
};

struct log_op { /* a record that waits */
	enum segment_kind kind;
	uint16_t type;
	uint64_t term, index;
	size_t n; /* bytes of it in the queue */
};

struct log_out { /* a batch on its way to the disk: whole blocks, at a block's begin in memory */
	char *p; /* owned, aligned to LOG_BLOCK */
	size_t n, room;
	uint64_t at;         /* where it goes */
	size_t ops, records; /* of the queue in it; their bytes */
};

struct raft_log {
	struct files *files; /* borrowed */
	uint64_t raft_id;
	uint32_t segment_size;

	struct log_segment *segments; /* oldest first; the last one is written to */
	size_t segment_count, segment_cap;
	int handle; /* of the last segment; -1: none */
	int direct; /* the same past the page cache; -1: cannot be had */
	uint32_t size;
	uint64_t end;    /* of its records */
	uint64_t zeroed; /* up to here it was written since it was opened, with zeros behind `end` */
	char tail[LOG_BLOCK]; /* what the block of `end` holds before it */
	uint64_t disk_next, disk_term;

	uint64_t next, term;
	uint64_t cut; /* lowest index that a waiting record takes away; UINT64_MAX: none */
	struct log_op *ops;
	size_t op_count, op_cap;
	struct buf bytes; /* of the waiting records, one after another */
	struct log_out out;

	uint64_t torn;
	struct raft_log_entry *entries; /* found by raft_log_open() */
	size_t entry_count, entry_cap;
	char **held; /* the files their bytes lie in */
	size_t held_count, held_cap;
};

void log_name(char *out, uint64_t sequence); /* LOG_NAME_LEN + 1 bytes */

/* What a record that is on disk does to segments, disk_next and disk_term. */
void log_account(struct raft_log *, enum segment_kind, uint64_t index, uint64_t term);

struct log_segment *log_segment_add(struct raft_log *, uint64_t sequence, uint64_t nonce);
int log_segment_begin(struct raft_log *, size_t need, struct err *); /* the next file */
void log_segment_opened(struct raft_log *, const char *name); /* handle, size and end are known */
int log_load(struct raft_log *, const struct raft_log_config *, struct err *);

/* raft_log_out.c */

/* Encodes the queue's records, oldest first, as long as they fit into the segment and into `most`
 * bytes. False: no memory, or not one fits. */
bool log_out_make(struct raft_log *, size_t most);
bool log_out_is_where_zeros_are(const struct raft_log *);
void log_out_written(struct raft_log *); /* all of it is durable */
void log_out_free(struct raft_log *);

#endif

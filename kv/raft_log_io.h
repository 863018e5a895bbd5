/* kv/raft_log_io.h -- the Raft log on disk: append, cut, drop; one sync for all that waits.
 *
 * Files "log-<sequence>", 16 hex digits each, hold records (kv/segment.h) in the order in which
 * things happened; nothing written is ever changed. That entries were cut off is a record too,
 * so a conflict is as safe against a crash as an append. Old segments are unlinked whole, oldest
 * first, once a snapshot covers them.
 *
 * Appending only queues; raft_log_flush() writes the queue with one write and one sync (more only
 * where a segment ends, and now and then zeros ahead), in whole blocks of 4 KiB. After a failure, a
 * full disk say, the queue is kept, what was acknowledged stays, and the next flush tries again.
 * One thread at a time.
 */
#ifndef KV_RAFT_LOG_IO_H
#define KV_RAFT_LOG_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "kv/file_io.h"
#include "kv/segment.h"

#define RAFT_LOG_SEGMENT (8u << 20) /* bytes of a segment; one big entry may make it larger */
#define RAFT_LOG_QUEUE (128u << 20) /* bytes that may wait for a flush */
#define RAFT_LOG_DIRECT_MAX (256u << 10)

struct raft_log;

struct raft_log_entry {
	uint64_t index, term;
	uint16_t type;
	struct str bytes;
};

struct raft_log_config {
	uint64_t raft_id;
	uint32_t segment_size;   /* 0: RAFT_LOG_SEGMENT */
	uint64_t snapshot_index; /* last entry in the newest snapshot; 0: there is none */
	uint64_t snapshot_term;
};

/* Reads what is there, cuts a torn tail, syncs the rest. NULL with a sentence: ERR_INPUT names
 * file and offset of damage, or says that entries are missing. Entries that contradict the
 * snapshot, or end before it, are forgotten. */
struct raft_log *raft_log_open(struct files *, const struct raft_log_config *, struct err *);
void raft_log_close(struct raft_log *); /* flushes nothing; NULL is fine */

/* What was found, oldest first, from raft_log_first() on. Borrowed until raft_log_forget(),
 * which gives the memory back: the owner of the state machine has it then. */
const struct raft_log_entry *raft_log_entries(const struct raft_log *, size_t *count);
void raft_log_forget(struct raft_log *);

uint64_t raft_log_first(const struct raft_log *);   /* oldest entry there is, else the next one */
uint64_t raft_log_last(const struct raft_log *);    /* newest one, queued ones too */
uint64_t raft_log_durable(const struct raft_log *); /* newest one of what has been synced */
uint64_t raft_log_torn(const struct raft_log *);    /* bytes cut off when it was opened */

/* Queue. ERR_CONFLICT: not the next index, or an older term. ERR_LIMIT: too large.
 * ERR_MEMORY: too much waits already. */
int raft_log_append(struct raft_log *, const struct raft_log_entry *, struct err *);
int raft_log_truncate(struct raft_log *, uint64_t from, struct err *); /* `from` on is no more */
/* Nothing before counts: a snapshot up to next - 1, already durable, came in from a leader. */
int raft_log_reset(struct raft_log *, uint64_t next, uint64_t term, struct err *);
bool raft_log_waiting(const struct raft_log *);

/* 0: the whole queue is durable. ERR_IO: not all of it is; nothing is lost; call again. */
int raft_log_flush(struct raft_log *, struct err *);

/* The whole queue, up to RAFT_LOG_DIRECT_MAX bytes, as one write that somebody else makes: `handle`
 * is one of FILES_DIRECT, place, length and memory are multiples of 4 KiB, and nothing about the
 * file but these bytes has to change for them to last. Nothing else may be asked of the log until
 * it is told how that ended; borrowed until then. What did not become durable stays in the queue,
 * for raft_log_flush(). False: it cannot be done so, or nothing waits. */
struct raft_log_direct {
	int handle;
	uint64_t at;
	const void *p;
	size_t n;
};

bool raft_log_can_direct(const struct raft_log *); /* false: never, in this segment */
bool raft_log_direct_begin(struct raft_log *, struct raft_log_direct *out);
void raft_log_direct_end(struct raft_log *, bool durable);

/* Unlinks segments that hold only entries up to `up_to`, which a durable snapshot must cover. */
int raft_log_drop_prefix(struct raft_log *, uint64_t up_to, struct err *);

#endif

/* kv/raft_log_worker_io.h -- the Raft log, for which the event loop does not wait.
 *
 * The loop queues (copying the bytes) and goes on. A batch of nothing but records the kernel writes
 * by itself (kv/direct_io.h). Where it cannot, and all else, a thread does: the newest vote, then
 * the log with one sync, then old segments go. An eventfd tells the loop. While one batch is on its
 * way to the disk the next one gathers, so many writers share a sync without any of them waiting
 * for a timer.
 *
 * All calls below are the loop's thread's. Tickets number what was queued, 1, 2, 3 …; done up to
 * a ticket means everything up to it is durable. When the disk fails the thread says so once,
 * keeps everything in order and tries again until it succeeds.
 */
#ifndef KV_RAFT_LOG_WORKER_IO_H
#define KV_RAFT_LOG_WORKER_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "kv/raft_log_io.h"
#include "kv/raft_vote_io.h"

#define RAFT_LOG_WORKER_WAITING (64u << 20) /* bytes that may wait for the disk */

struct event_base;
struct raft_log_worker;

struct raft_log_done {
	uint64_t ticket;  /* durable up to here */
	uint64_t durable; /* newest durable entry, as raft_log_durable() */
	int code;         /* 0, or why what waits is not durable yet */
	const char *text; /* of the code; borrowed during the call */
};

/* `done` runs in the loop. Log and vote (may be NULL: no vote is ever queued) are the worker's
 * until raft_log_worker_stop(), which writes what waits, once, and ends it. */
struct raft_log_worker *raft_log_worker_start(struct event_base *, struct raft_log *,
    struct raft_vote_file *, void (*done)(void *arg, const struct raft_log_done *), void *arg,
    struct err *);
int raft_log_worker_stop(struct raft_log_worker *, struct err *); /* frees it; NULL is fine */

/* A ticket, or 0 with a sentence in err: as in raft_log_io.h. */
uint64_t raft_log_worker_append(
    struct raft_log_worker *, const struct raft_log_entry *, struct err *);
uint64_t raft_log_worker_truncate(struct raft_log_worker *, uint64_t from, struct err *);
uint64_t raft_log_worker_reset(
    struct raft_log_worker *, uint64_t next, uint64_t term, struct err *);
uint64_t raft_log_worker_vote(struct raft_log_worker *, const struct raft_vote *);
uint64_t raft_log_worker_drop_prefix(struct raft_log_worker *, uint64_t up_to);

/* All that was queued since goes to the disk next; call it once at the end of a turn. */
void raft_log_worker_submit(struct raft_log_worker *);

#endif

/* kv/raft_disk_priv.h -- the inside of raft_disk*_io.c.
 *
 *     raft_disk_io.c          actions in their order: to the log's worker, or held
 *     raft_disk_open_io.c     what a start finds; a new log's files
 *     raft_recover_io.c       recovery by peers.json
 *     raft_disk_take_io.c     snapshots taken and stored
 *     raft_disk_carry_io.c    snapshots on their way out and in
 */
#ifndef KV_RAFT_DISK_PRIV_H
#define KV_RAFT_DISK_PRIV_H

#include <bsd/sys/queue.h>

#include "base/task_io.h"
#include "kv/raft_disk_io.h"
#include "kv/raft_log_worker_io.h"

#define DISK_INCOMING "incoming-" /* and a number: snapshots that come in */

struct disk_snapshot { /* a stored one; whoever reads it holds a use */
	unsigned uses;
	uint64_t index, term;
	struct raft_snapshot *file; /* NULL: in memory */
	struct fsm_snapshot *state; /* in memory, until somebody wants bytes */
	struct buf bytes;           /* in memory, since then */
};

struct disk_op { /* held: in its order behind a snapshot that is being stored */
	TAILQ_ENTRY(disk_op) link;
	enum raft_core_action_kind kind;
	struct raft_log_entry entry; /* its bytes are ours */
	uint64_t index;
	struct fsm_snapshot *state; /* INSTALLED */
	struct raft_snapshot_meta meta;
	char *bytes; /* of the entry or the configuration */
};

struct disk_mark { /* what was queued up to a ticket of the worker */
	TAILQ_ENTRY(disk_mark) link;
	uint64_t ticket, votes, bytes;
};

struct disk_take { /* a snapshot on its way to the disk */
	bool active, install, cancelled, last;
	bool ready;         /* a piece is there that could not be handed to a task yet */
	struct disk_op *op; /* state and meta */
	struct task *task;
	/* The task's while it is busy. */
	struct buf piece;
	struct raft_snapshot_writer *writer;
	struct raft_snapshot *stored;
	struct err err;
	int rc;
};

struct raft_disk {
	struct raft_disk_config config;
	struct raft_vote vote;
	struct raft_vote_file *vote_file;
	struct raft_log *log;
	struct raft_log_worker *worker; /* NULL: not started, or a new log's files are due */
	bool founding;                  /* they are */
	TAILQ_HEAD(, disk_op) held;
	size_t held_bytes;

	uint64_t votes, votes_durable, bytes, bytes_durable; /* counted from the start on */
	uint64_t ticket, marked;                             /* newest; of the newest mark */
	TAILQ_HEAD(, disk_mark) marks;
	uint64_t cut_ticket, cut; /* until that ticket is durable, nothing from `cut` on is */
	uint64_t durable;         /* as last told */

	struct disk_take take;
	struct disk_snapshot *snapshot; /* the newest; NULL: none */
	struct event *retry;
	uint64_t incoming; /* files so far */
	uint64_t lives;    /* logs so far */

	bool tell_votes, tell_stored, tell_durable; /* at the next turn */
	uint64_t stored;                            /* to tell; 0: it failed */
	bool failing, take_failing, broken;         /* said so */
};

/* raft_disk_io.c */
void disk_release(struct raft_disk *); /* what was held goes on */
void disk_op_free(struct disk_op *);
void disk_worker_done(void *arg, const struct raft_log_done *);
void disk_retry_later(struct raft_disk *);
void disk_failing(struct raft_disk *, bool failing, struct str why); /* says so, once */
uint64_t disk_reset(struct raft_disk *, uint64_t next, uint64_t term, struct err *);

/* raft_disk_open_io.c */
void disk_found_try(struct raft_disk *);

/* raft_recover_io.c */
int disk_recover(struct raft_disk *, const struct raft_core_found *, struct err *);

/* raft_disk_take_io.c */
int disk_take_open(struct raft_disk *, struct err *);
void disk_take_close(struct raft_disk *);
void disk_take_begin(struct raft_disk *, struct disk_op *, bool install); /* takes the op */
void disk_take_drop(struct raft_disk *);                                  /* waits for its task */
void disk_take_retry(struct raft_disk *);
void disk_snapshot_set(struct raft_disk *, struct disk_snapshot *);
void disk_snapshot_unuse(struct disk_snapshot *); /* NULL is fine */

#endif

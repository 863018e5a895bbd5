/* kv/raft_disk_io.h -- what one server's Raft keeps: vote, log and snapshots in one folder.
 *
 * raft_disk_open() reads what is there; whoever owns the core starts it from that, then calls
 * raft_disk_start(). Each action of the core (kv/raft_core.h) that is the disk's goes to
 * raft_disk_act(), in its order, and raft_disk_turn() follows once all are in. Log and vote are
 * written by a worker (raft_log_worker_io.h), snapshots by tasks in pieces, so that the loop never
 * waits for the disk. Without a folder all is in memory and durable at once.
 *
 * A full disk: said once, nothing that was acknowledged is lost, all goes on when there is room.
 * Damage ahead of a torn tail: raft_disk_open() names file and offset, and Raft does not start.
 *
 * All calls are the loop's. The functions given are called from the loop, never from
 * raft_disk_act().
 *
 * A lost quorum: who writes a file `peers.json` (RAFT_DISK_PEERS) into the folder before a start
 * sets a new configuration; see raft_peers.h.
 */
#ifndef KV_RAFT_DISK_IO_H
#define KV_RAFT_DISK_IO_H

#include "kv/raft_core.h"
#include "kv/raft_vote_io.h"

#define RAFT_DISK_PEERS "peers.json"
#define RAFT_DISK_PEERS_USED "peers.json.used"
#define RAFT_DISK_PEERS_MAX (1024 * 1024)         /* bytes of it */
#define RAFT_DISK_ANEW 0x80000000u                /* of the vote's flags: ours */
#define RAFT_DISK_CROWDED (48u << 20)             /* bytes that wait for the disk */
#define RAFT_DISK_PIECE (256u * 1024)             /* bytes of a snapshot at a time */
#define RAFT_DISK_SINK_WAITING (4u * 1024 * 1024) /* bytes that came and are not aside yet */
#define RAFT_DISK_RETRY NSEC_SEC                  /* after a snapshot could not be written */

struct event_base;
struct raft_disk;

struct raft_disk_config {
	struct event_base *base;
	struct files *files;     /* borrowed; NULL: in memory */
	struct watches *watches; /* of the state machine that is read; may be NULL */
	void *arg;
	void (*durable)(void *arg, uint64_t index); /* raft_core_durable() is due */
	void (*stored)(void *arg, uint64_t index);  /* raft_core_snapshot_stored() is due */
	void (*voted)(void *arg);                   /* raft_disk_votes_durable() has grown */
	/* The log cannot be written, and why; empty: it can again. NULL: nobody asks. */
	void (*failing)(void *arg, struct str why);
};

struct raft_disk_found {
	bool there; /* false: a new server, nothing else is set */
	struct raft_vote vote;
	struct raft_core_found found; /* borrowed until raft_disk_start() */
	struct fsm *fsm;              /* the caller's; the snapshot is in it */
};

int raft_disk_open(const struct raft_disk_config *, struct now, struct raft_disk **out,
    struct raft_disk_found *, struct err *);
/* What was found is not needed any more: writing begins. */
int raft_disk_start(struct raft_disk *, struct err *);
/* Writes what waits; ERR_IO with a sentence when the disk does not take it. NULL is fine. */
int raft_disk_close(struct raft_disk *, struct err *);

/* VOTE: with the identity that belongs to it. */
void raft_disk_vote(struct raft_disk *, const struct raft_vote *);
/* TRUNCATE, APPEND, SNAPSHOT, INSTALLED, DROP; others are passed over. `fsm` is as it is at
 * this action. */
void raft_disk_act(struct raft_disk *, struct fsm *, const struct raft_core_action *);
/* A new log: files of an older one go, those of this one are made. */
void raft_disk_founded(struct raft_disk *, const struct raft_vote *);
void raft_disk_turn(struct raft_disk *);

/* What is sent behind a vote waits until raft_disk_votes_durable() has reached what
 * raft_disk_votes() was then. */
uint64_t raft_disk_votes(const struct raft_disk *);
uint64_t raft_disk_votes_durable(const struct raft_disk *);
/* More waits for the disk than it should: messages of other servers had better be dropped. */
bool raft_disk_crowded(const struct raft_disk *);

/* The data of the newest stored snapshot, on its way to another server. One piece at a time:
 * raft_disk_source_next(), and piece() follows from the loop; err is set, or NULL. */
struct raft_disk_source;
/* NULL: that is not the newest stored one any more, or there is none. */
struct raft_disk_source *raft_disk_source_new(struct raft_disk *, uint64_t index,
    void (*piece)(void *arg, struct str, bool last, const struct err *), void *arg);
bool raft_disk_source_next(struct raft_disk_source *); /* false: no thread now, try again later */
void raft_disk_source_free(struct raft_disk_source *); /* NULL is fine */

/* Data that comes in, kept aside. news() follows from the loop when there is room again, when all
 * is aside after raft_disk_sink_end() (at once: only _whole() tells), and when it failed. */
struct raft_disk_sink;
struct raft_disk_sink *raft_disk_sink_new(
    struct raft_disk *, void (*news)(void *arg, const struct err *), void *arg, struct err *);
/* ERR_LIMIT: over FSM_RESTORE_MAX. */
int raft_disk_sink_add(struct raft_disk_sink *, struct str, struct err *);
bool raft_disk_sink_full(const struct raft_disk_sink *);
void raft_disk_sink_end(struct raft_disk_sink *);
bool raft_disk_sink_whole(const struct raft_disk_sink *); /* ended, all of it aside */
/* For raft_core_install(), once it is whole; from the beginning on. Nothing added: the end. */
int raft_disk_sink_read(void *sink, size_t want, struct buf *, struct err *);
void raft_disk_sink_free(struct raft_disk_sink *); /* NULL is fine */

#endif

/* kv/raft_core.h -- one server's Raft, as a core without I/O: libraft stepped by hand, its messages
 * as bytes, and the state machine (kv/fsm.h) that it drives.
 *
 * After every call that feeds it: drain raft_core_action_next(), carry the actions out in their
 * order, re-arm the one timer with raft_core_deadline(). What an action points to is borrowed until
 * the next call that feeds. A SEND must not leave before every VOTE that came ahead of it is
 * durable; APPEND and TRUNCATE may go to the disk behind it, raft_core_durable() says how far they
 * are. The same core runs in memory (-dev): then all is durable at once.
 *
 * Libraft is called from raft_core*.c alone. Memory that crosses that border is said there.
 *
 * Reads (RULES 11): the leader answers one when it has applied an entry of its own term, and a
 * majority has said "my term is still T" to a question asked after the read came. All reads that
 * wait share one question.
 */
#ifndef KV_RAFT_CORE_H
#define KV_RAFT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/nsec.h"
#include "base/str.h"
#include "base/uuid.h"
#include "kv/fsm.h"
#include "kv/raft_log_io.h"
#include "kv/raft_snapshot_io.h"

#define RAFT_CORE_SERVERS_MAX 64
#define RAFT_CORE_WAITING_MAX 65536                     /* submits and reads without an answer */
#define RAFT_CORE_WAITING_BYTES (64 * 1024 * 1024)      /* of operations that are not committed */
#define RAFT_CORE_MESSAGE_MAX (8 * 1024 * 1024)         /* bytes of one SEND */
#define RAFT_CORE_OP_MAX (RAFT_CORE_MESSAGE_MAX - 1024) /* bytes of an operation */
#define RAFT_CORE_ENTRY_TRAIL 8192                      /* entries kept behind a snapshot */

enum raft_core_role { RAFT_CORE_VOTER, RAFT_CORE_NON_VOTER };

struct raft_core_server {
	uint64_t id;       /* Raft id (RULES 9), never 0 */
	struct uuid agent; /* whose it is; where that is now, gossip knows */
	enum raft_core_role role;
};

struct raft_core_config {
	uint64_t id; /* ours */
	struct uuid agent, cluster;
	struct fsm *fsm;       /* borrowed; restored from the snapshot in raft_core_found already */
	nsec election_timeout; /* 0: 1 s */
	nsec heartbeat;        /* 0: 100 ms */
	uint64_t snapshot_entries, snapshot_bytes; /* applied since the last: take one. 0: 65,536
						    * and 64 MiB */
	uint64_t trail;                            /* entries kept behind a snapshot. 0:
						    * RAFT_CORE_ENTRY_TRAIL */
	bool notes;                                /* libraft's own lines as NOTE */
};

struct raft_core_found { /* on the disk; nothing: all zero */
	uint64_t term, voted_for;
	const struct raft_snapshot_meta *snapshot; /* NULL: none */
	const struct raft_log_entry *entries; /* the oldest may lie before the snapshot's end */
	size_t count;
};

enum raft_core_action_kind {
	RAFT_CORE_VOTE,          /* term, voted_for */
	RAFT_CORE_TRUNCATE,      /* index: it and all behind it are no more */
	RAFT_CORE_APPEND,        /* entry */
	RAFT_CORE_SEND,          /* peer, bytes: to the server's raft_core_input() */
	RAFT_CORE_SEND_SNAPSHOT, /* peer, bytes, index: those, then the data of the snapshot with
				  * this index, to its raft_core_install(). While one is on its way
				  * to a peer another need not be sent; without one of this index:
				  * none */
	RAFT_CORE_SNAPSHOT,  /* meta: take one of the fsm as it now is (fsm_snapshot_new() before
			      * the next call), store it, then raft_core_snapshot_stored() */
	RAFT_CORE_INSTALLED, /* meta: what raft_core_install() brought is durable (SNAPSHOT asked
			      * for it): the log on disk begins anew behind it (raft_log_reset) */
	RAFT_CORE_DROP,      /* index: entries up to it are not needed any more */
	RAFT_CORE_ANSWER,    /* request, code, index, bytes: see raft_core_submit() and _read() */
	RAFT_CORE_CHANGED,   /* role, leader, term or configuration are not what they were */
	RAFT_CORE_APPLIED,   /* entries have been applied: blocked readers may be due */
	RAFT_CORE_STOPPED,   /* text: the log cannot go on here (RULES 14); nothing happens now */
	RAFT_CORE_NOTE,      /* text: for the log, debug */
};

struct raft_core_action {
	enum raft_core_action_kind kind;
	uint64_t term, voted_for, index, peer, request;
	struct raft_log_entry entry;
	struct raft_snapshot_meta meta;
	struct str bytes, text;
	int code;
};

struct raft_core;

struct raft_core *raft_core_new(const struct raft_core_config *, uint64_t seed, struct now);
void raft_core_free(struct raft_core *); /* NULL is fine */
/* Before anything else, once. Negative: the disk's state contradicts itself. */
int raft_core_start(struct raft_core *, struct now, const struct raft_core_found *, struct err *);
/* The configuration that begins a log: an entry of index 1 and term 1, with this server as the only
 * voter, to be made durable and given to raft_core_start() (RULES 8). The bytes are added. */
struct raft_log_entry raft_core_first_entry(const struct raft_core_config *, struct buf *bytes);

/* Configurations in a log that does not run, for recovery (raft_peers.h). */
bool raft_core_entry_is_config(const struct raft_log_entry *);
bool raft_core_config_read(
    struct str, struct raft_core_server out[RAFT_CORE_SERVERS_MAX], size_t *count);
/* The bytes are added. ERR_INPUT: no voter, or a server twice. */
int raft_core_config_entry(uint64_t index, uint64_t term, const struct raft_core_server *,
    size_t count, struct buf *bytes, struct raft_log_entry *out, struct err *);

/* Bytes from another server, whose id the transport has made sure of. Negative: broken, of another
 * cluster or of a stranger: dropped, counted. */
int raft_core_input(struct raft_core *, struct now, uint64_t from, struct str, struct err *);
/* A SEND_SNAPSHOT's bytes and the data, whole. The data is fed to the fsm in this call; read() that
 * returns 0 without having added something is at the end of it. A snapshot that is not needed
 * any more is not read. SNAPSHOT then asks for a copy on the disk. */
int raft_core_install(struct raft_core *, struct now, uint64_t from, struct str bytes,
    int (*read)(void *arg, size_t want, struct buf *, struct err *), void *arg, struct err *);
/* Entries up to `index` are on the disk. What a TRUNCATE or INSTALLED that is still on its way
 * there takes away does not count, nor does what the log held before it: as long as one waits,
 * say at most its index - 1 (of INSTALLED: its index). */
void raft_core_durable(struct raft_core *, struct now, uint64_t index);
void raft_core_snapshot_stored(struct raft_core *, struct now, uint64_t index); /* 0: it failed */
void raft_core_tick(struct raft_core *, struct now);
nsec raft_core_deadline(const struct raft_core *); /* monotonic */
bool raft_core_action_next(struct raft_core *, struct raft_core_action *out);

/* At the leader. The answer comes as ANSWER with this request number: code 0 with the result's
 * bytes (kv/fsm.h) and the key index; ERR_REFUSED "not the leader": it was certainly not done;
 * ERR_STATE: leadership was lost, it may be done later. At once: ERR_REFUSED, ERR_LIMIT. */
int raft_core_submit(struct raft_core *, struct now, uint64_t request, struct str op, struct err *);
/* At the leader: ANSWER with code 0 and the Raft index that a reader must have applied. */
int raft_core_read(struct raft_core *, struct now, uint64_t request, struct err *);
/* At the leader: this server has been answered, and waits to hear that so far is committed. Not a
 * call that feeds: what actions point to stays. */
void raft_core_hasten(struct raft_core *, uint64_t id);
/* A copy that is not the leader's asks to be told when it has applied so far: code 0. */
int raft_core_wait(struct raft_core *, uint64_t request, uint64_t raft_index, struct err *);
void raft_core_forget(struct raft_core *, uint64_t request); /* nobody waits any more */

/* At the leader, one at a time: adds a non-voter, makes it a voter once it has caught up, or takes
 * a server out. ANSWER says when it is committed. ERR_CONFLICT: one is under way. */
int raft_core_add(struct raft_core *, struct now, uint64_t request, uint64_t id,
    const struct uuid *agent, struct err *);
int raft_core_promote(struct raft_core *, struct now, uint64_t request, uint64_t id, struct err *);
int raft_core_remove(struct raft_core *, struct now, uint64_t request, uint64_t id, struct err *);
/* Leadership goes to this voter, 0: to whoever is nearest. CHANGED tells. */
int raft_core_transfer(struct raft_core *, struct now, uint64_t id, struct err *);

struct raft_core_status {
	bool leader, candidate, stopped;
	bool removed;             /* was a server, and is taken out: a new log, a new id */
	bool led_long;            /* an entry of the own term is applied */
	bool in_step;             /* led_long; or applied are an entry of the leader's term and
				   * all that the first leader of this life said was committed */
	uint64_t term, leader_id; /* 0: unknown */
	uint64_t last, commit, applied; /* Raft indexes */
	uint64_t snapshot;              /* index of the last one */
	nsec contact;                   /* when the leader was last heard (leader: now); 0: never */
	uint64_t dropped;               /* bad messages */
	size_t waiting;
};
struct raft_core_status raft_core_status(const struct raft_core *, struct now);
/* The newest configuration, in the order of ids. */
size_t raft_core_servers(
    const struct raft_core *, struct raft_core_server out[RAFT_CORE_SERVERS_MAX]);
/* At the leader: how far a server's log is known to be durable, and when it last answered. */
bool raft_core_progress(const struct raft_core *, uint64_t id, uint64_t *match, nsec *heard);
/* At the leader: a server whose log ends below what it acknowledged, to be taken out (RULES 9); it
 * gets nothing any more. 0: none. CHANGED tells. */
uint64_t raft_core_forgetful(const struct raft_core *);

#endif

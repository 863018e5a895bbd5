/* kv/raft_core_priv.h -- what the parts of the Raft core share; not for others.
 *
 * How a call goes: core_begin() takes the time and frees what the last actions pointed to; then
 * one or more core_step(), each a raft_step() whose update is taken over at once; core_settle()
 * applies what has been committed and tells what changed. Operations and reads only queue;
 * core_flush() hands what has gathered to libraft as one batch, at the latest when the actions
 * are drained.
 *
 * Libraft (0.22) keeps terms of entries, not entries: these are in struct core_log, whose first
 * and last index are always those of libraft's trail.
 */
#ifndef KV_RAFT_CORE_PRIV_H
#define KV_RAFT_CORE_PRIV_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <raft.h>

#include "base/buf.h"
#include "base/spare.h"
#include "kv/raft_core.h"
#include "kv/raft_wire.h"

#define CORE_INFLIGHT_MIN 4 /* entries on their way to one server */
#define CORE_INFLIGHT_MAX 4096
#define CORE_INFLIGHT_BYTES (16 * 1024 * 1024) /* about, by the mean size of entries */
#define CORE_INSTALL_TIMEOUT (10 * NSEC_SEC)   /* of a snapshot on its way: then it is sent anew */
#define CORE_CHUNK (1024 * 1024)               /* an APPEND is closed when it has so many bytes */
#define CORE_TRAIL_BYTES (16 * 1024 * 1024)    /* of entries kept behind a snapshot */
#define CORE_WAITERS_KEPT 128 /* blocks of memory, for the next requests */
#define CORE_SNAPSHOT_ENTRIES 65536
#define CORE_SNAPSHOT_BYTES (64 * 1024 * 1024)
#define CORE_TELL (5 * NSEC_MS)      /* for entries to tell what is committed */
#define CORE_SNAPSHOT_RETRY NSEC_SEC /* after the disk could not keep one */
#define CORE_CONFIG_MAX (16 * 1024)  /* bytes of a configuration of 64 servers, as libraft's */

/* The log in memory. */

struct core_entry {
	uint64_t term;
	uint16_t type;
	uint32_t size;
	char *bytes; /* owned */
};

struct core_log { /* a ring: entry i is at ring[i & (cap - 1)] */
	struct core_entry *ring;
	size_t cap;
	uint64_t first, last; /* first == last + 1: empty */
	size_t bytes;
};

void core_log_init(struct core_log *, uint64_t first);
void core_log_done(struct core_log *);
void core_log_add(struct core_log *, struct core_entry);                       /* takes the bytes */
const struct core_entry *core_log_at(const struct core_log *, uint64_t index); /* NULL: not kept */
struct raft_log_entry core_log_entry(const struct core_log *, uint64_t index); /* borrowed */
struct core_entry core_log_pop(struct core_log *);    /* the newest, handed out */
void core_log_drop(struct core_log *, uint64_t upto); /* and frees them */
/* How many entries up to `index` may be kept behind it: `max`, and CORE_TRAIL_BYTES. */
unsigned core_log_trailing(const struct core_log *, uint64_t index, uint64_t max);

/* Who waits for what. */

enum core_wait { CORE_WAIT_OP, CORE_WAIT_READ, CORE_WAIT_APPLIED };

struct core_waiter {
	RB_ENTRY(core_waiter) by_request;
	RB_ENTRY(core_waiter) by_index;               /* APPLIED */
	TAILQ_ENTRY(core_waiter) entry;               /* OP, READ */
	TAILQ_HEAD(core_waiters, core_waiter) * list; /* it is in */
	enum core_wait kind;
	uint64_t request, index, term;
	size_t bytes; /* OP: counted in op_bytes */
};
RB_HEAD(core_requests, core_waiter);
RB_HEAD(core_indexes, core_waiter);

struct core_pending { /* an operation not yet handed to libraft */
	struct core_entry entry;
	struct core_waiter *waiter; /* NULL: forgotten */
};

struct core_queued {
	struct raft_core_action action;
	char *owned; /* what it points to; NULL: somebody else's */
};

struct core_meta { /* a snapshot's; config is owned */
	uint64_t index, term, config_index;
	char *config;
	size_t config_size;
};

struct core_peer {
	uint64_t id;
	nsec heard;              /* 0: never */
	uint64_t yes;            /* the last question it said yes to */
	uint64_t snapshot_index; /* of the one sent to it last, */
	nsec snapshot_until;     /* which may be on its way so long */
	uint64_t asked;          /* the newest question put to it, */
	uint64_t asked_match;    /* and how far its log was known to be durable then */
	bool doubted;            /* it rejected what it had acknowledged */
	bool sent;               /* entries behind sent_index, and no answer came since */
	uint64_t sent_index;
	uint64_t told; /* how far the log is committed, as it was told by us */
	bool hasten;   /* somebody waits there to hear more */
};

struct core_stand {    /* TIMEOUT_NOW, not taken yet */
	uint64_t from; /* 0: none */
	uint64_t term, index, index_term;
};

struct raft_core {
	struct raft_core_config config;
	struct raft raft;
	struct raft_tracer tracer;
	nsec now;
	raft_time ms;
	bool started, stopped;

	struct core_log log;
	uint64_t applied, applied_term;
	bool led_by;           /* a leader was heard in this life */
	uint64_t led_first;    /* the commit index that it told first */
	uint64_t config_index; /* of the configuration that is applied, and its bytes */
	struct buf config_bytes;
	uint64_t since_entries; /* applied since the last snapshot */
	uint64_t since_bytes;

	struct core_queued *actions;
	size_t head, count, action_cap;
	char **grave; /* entries that actions may still point to */
	size_t graves, grave_cap;

	struct core_meta snapshot; /* the last one that is durable */
	struct core_meta taking;   /* index 0: none */
	struct core_meta installing;
	struct raft_configuration install_config; /* libraft's, until it is durable */
	bool install_asked;                       /* SNAPSHOT has been said for it */
	nsec snapshot_retry;                      /* 0: at once */

	unsigned short seen_state;
	uint64_t seen_term, seen_leader, seen_config;
	bool led_long, applied_some, applying, changed;
	nsec contact; /* follower */
	struct core_stand stand;
	struct core_peer peers[RAFT_CORE_SERVERS_MAX];
	size_t peer_count;

	struct core_requests requests;
	struct core_indexes applied_waits;
	struct core_waiters ops, reads, asked;
	struct spare spare_waiters;
	size_t waiting, op_bytes;
	struct core_pending *pending;
	size_t pending_count, pending_cap;
	struct raft_entry *batch; /* for a SUBMIT */
	size_t batch_cap;
	const struct raft_entry *received; /* of the APPEND being fed */
	bool batch_taken;                  /* the update has its entries: their batch is ours */
	bool outdated;                     /* it is of an older term */
	struct buf result;

	uint64_t question; /* the newest one */
	bool asking, doubts;
	uint64_t forgetful;  /* a server's id; 0: none */
	uint64_t gone_index; /* of a committed configuration without us; 0: none known */
	bool was_server, removed;
	uint64_t read_index;
	nsec ask_again;
	nsec tell_due; /* 0: nobody is to be told what is committed */

	uint64_t change_request, change_index, promotee; /* index 0: none; promotee: catching up */
	bool change_waits;

	uint64_t dropped;
	struct buf send; /* scratch */
};

/* raft_core.c */
void core_begin(struct raft_core *, struct now);
struct raft_core_action *core_say(struct raft_core *, enum raft_core_action_kind);
void core_own(struct raft_core *, char *bytes); /* of the action said last */
void core_bury(struct raft_core *, char *bytes);
void core_stop(struct raft_core *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void core_send(struct raft_core *, struct raft_wire *, uint64_t to); /* from and cluster: ours */
struct core_peer *core_peer(struct raft_core *, uint64_t id);        /* NULL: too many */
void core_meta_set(
    struct core_meta *, uint64_t index, uint64_t term, uint64_t config_index, struct str config);
void core_meta_clear(struct core_meta *);
struct raft_snapshot_meta core_meta_of(const struct raft_core *, const struct core_meta *);

/* raft_core_config.c */
#define CORE_ADDRESS_SIZE (UUID_TEXT_LEN + 1 + 16 + 1)
char *core_address(const struct uuid *, uint64_t id, char out[CORE_ADDRESS_SIZE]);
bool core_address_parse(struct str, uint64_t id, struct uuid *out);
/* Libraft's own decoding trusts its input, so nothing that fails here may reach it. */
bool core_config_valid(struct str);
int core_config_decode(struct str, struct raft_configuration *); /* valid ones; libraft's codes */
const struct raft_server *core_server(const struct raft_core *, uint64_t id);
bool core_is_voter(const struct raft_core *, uint64_t id);
size_t core_voters(const struct raft_core *);
bool core_sole_voter(const struct raft_core *);

/* raft_core_step.c */
int core_step(struct raft_core *, struct raft_event *); /* libraft's code; 0: all taken over */
void core_leader_forget(struct raft_core *);
int core_submit_entry(struct raft_core *, unsigned short type, char *bytes, size_t n);
void core_settle(struct raft_core *);

/* raft_core_apply.c */
void core_apply(struct raft_core *);
void core_flush(struct raft_core *);
int core_wait_new(
    struct raft_core *, enum core_wait, uint64_t request, struct core_waiter **, struct err *);
void core_wait_end(struct raft_core *, struct core_waiter *, int code, struct str bytes);
void core_wait_free(struct raft_core *, struct core_waiter *);
void core_waiters_fail(struct raft_core *); /* leadership is lost */
void core_waiters_free(struct raft_core *);
void core_applied_answer(struct raft_core *);

/* raft_core_snapshot.c */
void core_snapshot_settle(struct raft_core *);
void core_snapshot_now(struct raft_core *, struct raft_core_action *);
nsec core_snapshot_deadline(const struct raft_core *);
void core_installing(struct raft_core *, const struct raft_snapshot_metadata *);

/* raft_core_input.c */
int core_wire_read(struct raft_core *, uint64_t from, struct str, struct raft_wire *, struct err *);
const char *core_sender(const struct raft_core *, uint64_t id, char out[CORE_ADDRESS_SIZE]);
void core_stand(struct raft_core *); /* for leadership, when told to and the disk is level */

/* raft_core_read.c */
void core_read_flush(struct raft_core *);
void core_read_tick(struct raft_core *);
void core_asked(struct raft_core *, const struct raft_wire *);
void core_said_yes(struct raft_core *, const struct raft_wire *);
void core_doubt(struct raft_core *, struct core_peer *);

/* raft_core_tell.c */
void core_told(struct raft_core *, uint64_t id, uint64_t commit);
void core_tell_settle(struct raft_core *);
void core_tell_tick(struct raft_core *);

/* raft_core_member.c */
void core_change_settle(struct raft_core *);
void core_change_applied(struct raft_core *, uint64_t index, uint64_t term);
void core_change_lost(struct raft_core *);
void core_config_seen(struct raft_core *, uint64_t newest); /* its index */
void core_who(struct raft_core *); /* asks, when no leader was heard in time */
void core_who_asks(struct raft_core *, const struct raft_wire *);
void core_gone(struct raft_core *, const struct raft_wire *);

static inline bool
core_leads(const struct raft_core *c)
{
	return c->started && !c->stopped && c->raft.state == RAFT_LEADER;
}

#endif

/* tests/sim/raft_sim.h -- Raft servers with disks and a network as data, and what must hold.
 *
 * Each server is a raft_core with its state machine, driven as a shell drives it: nothing is
 * sent before the votes ahead of it are durable, the log goes to the disk in batches, snapshots
 * beside it. A crash loses what the disk had not reported, or any end of it. After every action
 * the checker looks: one leader in a term, one vote in a term, entries of the same index and
 * term are the same, what was committed stays, and so on; the first thing that is broken is in
 * `broken` and ends the run.
 */
#ifndef TESTS_SIM_RAFT_SIM_H
#define TESTS_SIM_RAFT_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rng.h"
#include "kv/raft_core.h"

#define RAFT_SIM_SERVERS 5

struct raft_sim_config {
	uint64_t seed;
	bool trace;
	nsec delay_min, delay_max; /* of a message */
	unsigned loss, twice;      /* of 1000 messages */
	nsec sync_min, sync_max;   /* of the disk */
	unsigned sync_fails;       /* of 1000 snapshots */
	uint64_t snapshot_entries, trail;
	size_t value_size; /* of what is written; 0: a few bytes */
};

enum raft_sim_op_kind { SIM_SET, SIM_TRUNCATE, SIM_RESET, SIM_VOTE, SIM_DROP };
struct raft_sim_disk_op {
	enum raft_sim_op_kind kind;
	uint64_t index, term, voted_for;
	uint16_t type;
	struct buf bytes;
};

struct raft_sim_log { /* entries first … first + count - 1 */
	struct raft_sim_disk_op *entries;
	size_t count, cap;
	uint64_t first;
};

struct raft_sim_snapshot {
	struct raft_snapshot_meta meta; /* config points into config */
	struct buf config, data;
};

struct raft_sim_message {
	size_t from, to;
	uint64_t from_id, to_id;
	uint64_t vote_ticket; /* may leave when this one is durable */
	nsec at;
	bool with_data;
	struct buf bytes, data;
};

struct raft_sim_server {
	uint64_t id; /* of its log; another one after a wipe */
	struct uuid agent;
	struct raft_core *core; /* NULL: down */
	struct fsm *fsm;
	/* the disk */
	uint64_t term, voted_for;
	struct raft_sim_log log;
	struct raft_sim_snapshot snapshot; /* index 0: none */
	/* on its way to it */
	struct raft_sim_disk_op *queue;
	size_t queued, queue_cap, batch; /* batch: how many are being synced */
	uint64_t ticket, done;           /* of the newest queued, and durable */
	nsec synced_at;
	struct raft_sim_snapshot storing;
	nsec stored_at; /* 0: none */
	struct raft_sim_message *outbox;
	size_t out, out_cap;
	/* what the checker knows of this life */
	struct raft_sim_log view; /* disk and queue */
	uint64_t seen_applied, seen_commit, seen_term;
};

struct raft_sim_request {
	enum { SIM_WRITE, SIM_READ, SIM_CHANGE, SIM_WAIT } kind;
	size_t server;
	uint64_t floor; /* READ: newest index acknowledged before it was asked; WAIT: for it */
	uint64_t key;   /* WRITE */
	bool open;
	int code;
	uint64_t index;
};

struct raft_sim_entry { /* what is known for ever */
	uint64_t term, hash;
};

struct raft_sim_seen { /* an entry on a disk or on the wire */
	uint64_t index, term, hash;
};

struct raft_sim_leader {
	uint64_t term, id;
};

struct raft_sim_vote {
	uint64_t id, term, to;
};

struct raft_sim_state { /* of the state machine, in a snapshot */
	uint64_t index, hash;
};

struct raft_sim {
	struct raft_sim_config config;
	nsec now;
	struct rng rng;
	struct uuid cluster;
	struct raft_sim_server servers[RAFT_SIM_SERVERS];
	bool cut[RAFT_SIM_SERVERS][RAFT_SIM_SERVERS]; /* from, to */
	struct raft_sim_message *wire;
	size_t wired, wire_cap;
	struct raft_sim_request *requests; /* number n is at n - 1 */
	size_t request_count, request_cap;
	uint64_t acknowledged;            /* newest index */
	struct raft_sim_entry *committed; /* index n is at n - 1 */
	size_t committed_count, committed_cap;
	struct raft_sim_seen *entries; /* all ever written: a table of open addresses */
	size_t entry_count, entry_cap; /* cap: a power of two */
	struct raft_sim_leader *leaders;
	size_t leader_count, leader_cap;
	struct raft_sim_vote *votes;
	size_t vote_count, vote_cap;
	struct raft_sim_state *states;
	size_t state_count, state_cap;
	uint64_t next_id;
	char broken[512]; /* empty: nothing is */
	struct {
		uint64_t messages, elections, installs, snapshots, crashes, truncates, changes;
	} seen;
};

struct raft_sim *raft_sim_new(const struct raft_sim_config *);
void raft_sim_free(struct raft_sim *);

void raft_sim_found(struct raft_sim *, size_t server); /* gives it the first entry, durable */
void raft_sim_start(struct raft_sim *, size_t server);
void raft_sim_crash(struct raft_sim *, size_t server);
void raft_sim_wipe(struct raft_sim *, size_t server); /* a down one: an empty disk, a new id */
void raft_sim_run(struct raft_sim *, nsec span);      /* ends early when something is broken */
/* Runs until it holds, at most so long. */
bool raft_sim_until(struct raft_sim *, nsec span, bool (*holds)(struct raft_sim *, void *), void *);

/* Requests: 0 when refused at once. A write sets the key of this number, once and for ever:
 * the same number again is a repeat (RULES 10). */
uint64_t raft_sim_write(struct raft_sim *, size_t server, uint64_t key, struct err *);
uint64_t raft_sim_read(struct raft_sim *, size_t server, struct err *);
/* Until this server has applied what is acknowledged now. */
uint64_t raft_sim_wait(struct raft_sim *, size_t server, struct err *);
void raft_sim_forget(struct raft_sim *, uint64_t request);
enum raft_sim_change { SIM_ADD, SIM_PROMOTE, SIM_REMOVE };
uint64_t raft_sim_change(
    struct raft_sim *, size_t server, enum raft_sim_change, size_t of, struct err *);

size_t raft_sim_leading(const struct raft_sim *); /* RAFT_SIM_SERVERS: none; the newest term's */
bool raft_sim_has(const struct raft_sim *, size_t server, uint64_t key);
bool raft_sim_set_once(const struct raft_sim *, size_t server, uint64_t key);
/* All who run and are the leader's servers have applied the same and hold the same. */
bool raft_sim_agreed(struct raft_sim *, void *);
void raft_sim_drain(struct raft_sim *, size_t server); /* after a call to its core */
void raft_sim_fail(struct raft_sim *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void raft_sim_say(struct raft_sim *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct now raft_sim_now(const struct raft_sim *);

#endif

/* tests/sim/pool_sim.h -- whole agents and a bad network in one process, on virtual time, from one
 * seed (RULES 20).
 *
 * A host has a name, an address, a disk (id, epoch, Lamport clocks), what runs on it (model.h) and,
 * while its agent runs, a struct pool over a struct store. Its clocks are its own: monotonic ones
 * begin anywhere, wall clocks may jump. Hosts are named "a", "b", … (beyond 26: "n26", …).
 * Datagrams are delayed, lost, doubled; streams are connections that can be refused, cut, too late
 * or broken, and what they carry goes through gossip/stream.h's bytes. Processes are paused,
 * killed, upgraded, started from older, copied or empty disks, moved, and leave.
 *
 * What happens is told in trace lines: "  1.520 b: member-failed a". One seed gives one run.
 */
#ifndef TESTS_SIM_POOL_SIM_H
#define TESTS_SIM_POOL_SIM_H

#include "agent/pool/pool.h"
#include "base/buf.h"
#include "tests/sim/model.h"
#include "tests/sim/net.h"

#define POOL_SIM_EPOCH (1000 * NSEC_SEC) /* pool_sim_new()'s moment; traces count from here */
#define POOL_SIM_HOSTS_MAX 4096
#define POOL_SIM_WALL 1700000000000 /* wall clocks' milliseconds at virtual time 0 */

struct pool_sim_config {
	size_t hosts;
	uint64_t seed;
	nsec latency_min, latency_max; /* at first; what counts is net.h's */
	unsigned loss, twice;
	bool silent_hosts; /* a dead process is met with silence, not refusal */
	bool trace, notes; /* notes: SWIM's debug lines too */
	bool framed;       /* datagrams and streams are compressed, as in the field */
	size_t overhead;   /* of encryption, which is not there: the budget knows of it */
	struct swim_profile profile;
	nsec reap;             /* 0: as in the field, 72 h */
	nsec restart_grace;    /* 0: 30 s */
	size_t tombstones_max; /* 0: owner_limits_default's. Few: floors rise at once */
	struct spread_config spread;
};
extern const struct pool_sim_config pool_sim_lan; /* 1 to 5 ms, nothing lost */

struct pool_disk {
	struct uuid id;
	uint64_t epoch, index_ceiling;
	struct serf_clocks clocks;
};

struct pool_host {
	char name[16];    /* of the slot, in traces and on tests' tongues */
	char display[16]; /* what its agent is configured with: the same, unless two are */
	struct addr addr;
	struct pool_disk disk, backup;
	bool has_backup;
	struct model model; /* what runs here, whatever becomes of the agent */
	struct pool *pool;  /* NULL: not running */
	struct store *store;
	struct epoch epoch; /* of this life */
	unsigned life;      /* how often it was started */
	bool paused, host_down, leaving, ready, baseline;
	nsec since;   /* of its start */
	nsec gone_at; /* when it last stopped */
	int64_t wall_ahead_ms;
	nsec mono_ahead;
	/* private */
	struct pool_stream *streams;
	size_t stream_count, stream_cap;
	nsec tick_at;
	struct rng rng;
	struct pool_event *inbox, *inbox_last;
	size_t inbox_bytes;
};

struct pool_sim {
	struct pool_sim_config config;
	struct net net;
	struct pool_host *hosts;
	struct uuid cluster;
	struct buf trace;
	nsec trace_from;
	bool no_rejoin; /* nobody tries addresses of its own accord any more */
	bool dry;       /* the next few datagrams of `dry_from` are lost: RULES 20's lost push */
	size_t dry_from;
	unsigned dry_count;
	uint64_t datagrams, datagram_bytes, streams, stream_bytes, lost, refused;
	uint64_t over_budget, over_streams, epochs, clones, joined, join_failed;
	/* Called for each datagram on its way out (before it is framed), and for each stream's
	 * request and answer (framed), with its length on the wire; may be NULL. */
	void (*on_sent)(struct pool_sim *, size_t from, struct str message, size_t n, bool stream);
	void (*on_drained)(struct pool_sim *, size_t i); /* after each step of an agent */
	void *arg;
};

struct pool_sim *pool_sim_new(const struct pool_sim_config *); /* nobody runs yet */
void pool_sim_free(struct pool_sim *);
void pool_sim_run(struct pool_sim *, nsec span);
struct now pool_sim_now(const struct pool_sim *, size_t i); /* by this host's clocks */

/* A fresh process on this host's disk; joins anybody who runs, retrying. Its baseline ends after
 * `reconciles`. */
void pool_sim_start(struct pool_sim *, size_t i, nsec reconciles);
void pool_sim_start_all(struct pool_sim *);
void pool_sim_crash(struct pool_sim *, size_t i); /* kill -9 */
void pool_sim_stop(struct pool_sim *, size_t i);  /* a signal: it says that it will be back */
void pool_sim_leave(struct pool_sim *, size_t i); /* in good order; ends with POOL_LEFT */
void pool_sim_pause(struct pool_sim *, size_t i); /* SIGSTOP */
void pool_sim_resume(struct pool_sim *, size_t i);
void pool_sim_heal(struct pool_sim *);              /* no cuts, all hosts up, everybody resumed */
void pool_sim_changed(struct pool_sim *, size_t i); /* the store was written to */
void pool_sim_force_leave(struct pool_sim *, size_t i, struct str name, bool prune);

/* Only while it is not running. */
void pool_sim_move(struct pool_sim *, size_t i);   /* another address */
void pool_sim_wipe(struct pool_sim *, size_t i);   /* an empty disk: a new id */
void pool_sim_backup(struct pool_sim *, size_t i); /* any time: a copy of the disk is kept */
void pool_sim_restore(struct pool_sim *, size_t i);
void pool_sim_clone(struct pool_sim *, size_t from, size_t to);

size_t pool_sim_index(const struct pool_sim *, struct str name); /* SIZE_MAX: unknown */
bool pool_sim_live(const struct pool_sim *, size_t i);           /* runs, and is not leaving */
bool pool_sim_awake(const struct pool_sim *, size_t i);          /* and is not paused */
void pool_sim_tell(struct pool_sim *, size_t i, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct str pool_sim_trace(const struct pool_sim *);
void pool_sim_trace_begin(struct pool_sim *); /* empty, and this moment is 0.000 */

#endif

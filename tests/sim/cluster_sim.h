/* tests/sim/cluster_sim.h -- servers and agents that keep keys together, with their disks, gossip
 * and a bad network, in one process, on virtual time, from one seed (RULES 20).
 *
 * A host is an agent: a cluster core over a store, driven as a shell drives it; a server has a disk
 * besides. Members and their records are learned with delay, connections keep order and break,
 * processes crash, pause, and come back with an empty Raft folder. Clients write keys that may be
 * created once, read back what they wrote, and hold sessions. What must hold is looked at
 * whenever something happens; the first thing that does not is in `broken`.
 *
 * Parts of it: cluster_sim.c (hosts, time), cluster_sim_disk.c, cluster_sim_net.c (messages and
 * gossip), cluster_sim_client.c (clients and what must hold).
 */
#ifndef TESTS_SIM_CLUSTER_SIM_H
#define TESTS_SIM_CLUSTER_SIM_H

#include "agent/server/cluster.h"
#include "base/buf.h"
#include "tests/sim/net.h"

#define CLUSTER_SIM_HOSTS 9
#define CLUSTER_SIM_CLIENTS 24
#define CLUSTER_SIM_START (1000 * NSEC_SEC)
#define CLUSTER_SIM_SUSPICION (5 * NSEC_SEC)
#define CLUSTER_SIM_BYTES ((size_t)64 * 1024 * 1024)

struct cluster_sim_config {
	uint64_t seed;
	size_t hosts, servers; /* the first `servers` hosts are servers */
	unsigned expect;       /* 0: the first has -bootstrap */
	size_t clients;
	nsec sync_min, sync_max;   /* of a disk */
	nsec learn_max;            /* from a change of a member to who hears it, about */
	uint64_t snapshot_entries; /* 0: as in the field */
	bool trace;
};

/* Disk (cluster_sim_disk.c). */
enum csim_op_kind { CSIM_SET, CSIM_TRUNCATE, CSIM_RESET, CSIM_VOTE, CSIM_DROP };
struct csim_op {
	enum csim_op_kind kind;
	uint64_t index, term;
	uint16_t type;
	struct raft_vote vote;
	struct buf bytes;
};
struct csim_snapshot {
	struct raft_snapshot_meta meta; /* index 0: none */
	struct buf config, data;
};
struct csim_disk {
	struct raft_vote vote;
	struct csim_op *log; /* entries first … */
	size_t count, cap;
	uint64_t first;
	struct csim_snapshot snapshot, storing;
	struct csim_op *queue;
	size_t queued, queue_cap, batch;
	uint64_t ticket, done, vote_ticket;
};

struct csim_tags {
	struct uuid cluster;
	uint64_t raft_id;
	bool formed;
};

struct csim_http { /* a carried request that is being answered */
	uint64_t asked, read;
	char key[24];
};
#define CSIM_HTTP_MAX 64

struct csim_host {
	char name[8];
	struct uuid agent;
	struct csim_disk disk;
	struct cluster *cluster; /* NULL: down */
	struct store *store;
	unsigned life;
	bool server, paused, left, critical;
	struct csim_tags tags;
	nsec leading_since; /* 0: not */
	nsec resumed;
	nsec critical_at; /* when its check was critical, or going, last; 0: never */
	struct csim_view {
		bool told, alive, left;
		struct csim_tags tags;
		unsigned life;
		nsec heard, since;
	} views[CLUSTER_SIM_HOSTS];
	struct csim_http http[CSIM_HTTP_MAX];
	/* private */
	nsec tick_at;
	struct csim_event *inbox, **inbox_end;
	struct csim_message *outbox;
	size_t out, out_cap;
};

struct csim_connection { /* one way */
	unsigned generation;
	nsec last;
	bool hold; /* broken, and the sender does not know yet */
};

enum csim_step { CSIM_IDLE, CSIM_WRITES, CSIM_READS, CSIM_CREATES, CSIM_RENEWS, CSIM_DESTROYS };
struct csim_client {
	size_t host;
	unsigned life; /* of the host, when it asked */
	enum csim_step step;
	uint64_t request;
	nsec since;
	unsigned number; /* of its newest write */
	char acked[24];  /* newest key that was acknowledged; empty: none through this host */
	char key[24];    /* being written or read */
	bool must;       /* the read must find it */
	/* its session */
	struct uuid session;
	nsec renewed,
	    maybe; /* when the newest renewal that counts was asked; that may count, ended */
	nsec created;
	bool lasting, timed, renews;
};

enum csim_fate { CSIM_UNKNOWN, CSIM_ACKED, CSIM_NEVER };
struct csim_key {
	char key[24];
	enum csim_fate fate;
};

struct cluster_sim {
	struct cluster_sim_config config;
	struct net net;
	struct csim_host hosts[CLUSTER_SIM_HOSTS];
	struct csim_connection ways[CLUSTER_SIM_HOSTS][CLUSTER_SIM_HOSTS];
	struct csim_client clients[CLUSTER_SIM_CLIENTS];
	bool calm; /* clients start nothing new */
	struct csim_key *keys;
	size_t key_count, key_cap;
	struct uuid formed; /* the one cluster */
	uint64_t take_out;  /* the request; its answer is nobody's */
	char broken[512];
	uint64_t acked, failed, read_back, sessions, ended, expired, messages, resets, installs;
	uint64_t carried;
};

struct cluster_sim *cluster_sim_new(const struct cluster_sim_config *); /* nobody runs */
void cluster_sim_free(struct cluster_sim *);
void cluster_sim_run(struct cluster_sim *, nsec span); /* ends early when something is broken */

void cluster_sim_start(struct cluster_sim *, size_t host);
void cluster_sim_crash(struct cluster_sim *, size_t host); /* kill -9, at any point of its disk */
void cluster_sim_pause(struct cluster_sim *, size_t host);
void cluster_sim_resume(struct cluster_sim *, size_t host);
void cluster_sim_wipe(struct cluster_sim *, size_t host); /* its Raft folder; while it is down */
/* Its agent has another id from now on, its Raft folder stays; while it is down. */
void cluster_sim_rename(struct cluster_sim *, size_t host);
void cluster_sim_leave(struct cluster_sim *, size_t host);        /* for good; it stops */
void cluster_sim_reset(struct cluster_sim *, size_t a, size_t b); /* their connection breaks */
void cluster_sim_check_set(struct cluster_sim *, size_t host, bool critical);
void cluster_sim_stop(struct cluster_sim *, size_t host); /* it is asked to; crash it then */
/* An operator takes a server out of the configuration. */
void cluster_sim_take_out(struct cluster_sim *, size_t host, uint64_t raft_id);
void cluster_sim_heal(struct cluster_sim *);

bool cluster_sim_up(const struct cluster_sim *, size_t host);
size_t cluster_sim_leader(const struct cluster_sim *); /* who takes writes; SIZE_MAX: nobody */
/* Everybody agrees, all servers hold the same, every acknowledged key is there, none that was
 * refused is, nobody waits. */
bool cluster_sim_settled(struct cluster_sim *, char *why, size_t n);

void cluster_sim_say(struct cluster_sim *, size_t host, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void cluster_sim_fail(struct cluster_sim *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif

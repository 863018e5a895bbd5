/* tests/sim/cluster_sim_priv.h -- what the files of the cluster simulator share. */
#ifndef TESTS_SIM_CLUSTER_SIM_PRIV_H
#define TESTS_SIM_CLUSTER_SIM_PRIV_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/cluster_sim.h"

enum csim_event_kind {
	CSIM_TICK,
	CSIM_MESSAGE,
	CSIM_SYNCED,
	CSIM_STORED,
	CSIM_LOST,
	CSIM_GOSSIP,
	CSIM_CLIENT,
};

struct csim_message {
	size_t from, to;
	unsigned generation;
	uint64_t ticket; /* leaves when this one is durable */
	bool with_data;
	struct buf bytes, data;
};

struct csim_event {
	struct net_event net;
	enum csim_event_kind kind;
	size_t host, other; /* CLIENT: other is the client */
	unsigned life;
	struct csim_message message;
	struct csim_event *next; /* in an inbox */
};

/* cluster_sim.c */
struct csim_event *csim_post(struct cluster_sim *, enum csim_event_kind, size_t host, nsec at);
void csim_drain(struct cluster_sim *, size_t host);
struct now csim_now(const struct cluster_sim *);
nsec csim_between(struct cluster_sim *, nsec min, nsec max);
bool csim_one_in(struct cluster_sim *, uint32_t n);

/* cluster_sim_disk.c */
void csim_disk_init(struct csim_disk *);
void csim_disk_done(struct csim_disk *);
void csim_disk_raft(struct cluster_sim *, size_t host, const struct cluster_action *);
void csim_disk_found(struct cluster_sim *, size_t host, const struct raft_vote *);
void csim_disk_synced(struct cluster_sim *, size_t host);
void csim_disk_stored(struct cluster_sim *, size_t host);
void csim_disk_crash(struct cluster_sim *, size_t host);
void csim_disk_wipe(struct csim_disk *);
/* What a start finds; free(*entries) afterwards. NULL: nothing. */
struct cluster_disk *csim_disk_read(struct cluster_sim *, size_t host, struct cluster_disk *,
    struct raft_log_entry **entries, struct watches *);

/* cluster_sim_net.c */
void csim_send(struct cluster_sim *, size_t host, const struct cluster_action *, bool with_data);
void csim_send_flush(struct cluster_sim *, size_t host);
void csim_message(struct cluster_sim *, struct csim_event *);
void csim_lost(struct cluster_sim *, size_t host, size_t other);
void csim_gone(struct cluster_sim *, size_t host); /* its process is no more */
void csim_gossip(struct cluster_sim *, size_t host);
void csim_records(struct cluster_sim *, size_t host); /* puts its own into its store */

/* cluster_sim_client.c */
void csim_client(struct cluster_sim *, size_t client);
void csim_answer(struct cluster_sim *, size_t host, const struct cluster_action *);
void csim_asked(struct cluster_sim *, size_t host, const struct cluster_action *);
void csim_dropped(struct cluster_sim *, size_t host, const struct cluster_action *);
void csim_host_gone(struct cluster_sim *, size_t host);
void csim_check_entry(struct cluster_sim *, size_t host, const struct raft_log_entry *);
void csim_check_tags(struct cluster_sim *, size_t host);
void csim_check_sessions(struct cluster_sim *, size_t host);

#endif

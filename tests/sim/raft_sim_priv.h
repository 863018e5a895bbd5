/* tests/sim/raft_sim_priv.h -- between raft_sim.c, which moves, and raft_sim_check.c, which looks.
 */
#ifndef TESTS_SIM_RAFT_SIM_PRIV_H
#define TESTS_SIM_RAFT_SIM_PRIV_H

#include "tests/sim/raft_sim.h"

#define DATA_MAX (64u << 20)

nsec raft_sim_between(struct raft_sim *, nsec min, nsec max);
bool raft_sim_chance(struct raft_sim *, unsigned of_1000);

uint64_t raft_sim_hash(uint16_t type, struct str bytes);
void raft_sim_log_add(struct raft_sim_log *, const struct raft_sim_disk_op *); /* copies */
void raft_sim_log_cut(struct raft_sim_log *, uint64_t from);
void raft_sim_log_drop(struct raft_sim_log *, uint64_t upto);
void raft_sim_log_reset(struct raft_sim_log *, uint64_t next);
void raft_sim_log_copy(struct raft_sim_log *to, const struct raft_sim_log *from);
void raft_sim_log_done(struct raft_sim_log *);
static inline uint64_t
raft_sim_log_last(const struct raft_sim_log *l)
{
	return l->first + l->count - 1;
}

void raft_sim_snapshot_done(struct raft_sim_snapshot *); /* and fit for another */
void raft_sim_disk_queue(
    struct raft_sim *, struct raft_sim_server *, const struct raft_sim_disk_op *, struct str bytes);
void raft_sim_disk_synced(struct raft_sim *, size_t server);
void raft_sim_disk_stored(struct raft_sim *, size_t server);
void raft_sim_disk_lost(struct raft_sim *, struct raft_sim_server *); /* a crash */

void raft_sim_message_done(struct raft_sim_message *);
void raft_sim_outbox_put(
    struct raft_sim *, size_t server, const struct raft_core_action *, bool with_data);
void raft_sim_outbox_flush(struct raft_sim *, size_t server);
void raft_sim_deliver(struct raft_sim *, size_t at);
size_t raft_sim_slot(const struct raft_sim *, uint64_t id); /* RAFT_SIM_SERVERS: nobody's */

/* An entry is on the disk; a message leaves; a call to the core has been carried out. */
void raft_sim_check_entry(struct raft_sim *, size_t server, const struct raft_log_entry *);
void raft_sim_check_send(struct raft_sim *, size_t server, struct str bytes);
void raft_sim_check_state(struct raft_sim *, uint64_t index, struct str data);
void raft_sim_check(struct raft_sim *, size_t server);

#endif

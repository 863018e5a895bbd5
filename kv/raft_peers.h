/* kv/raft_peers.h -- peers.json: a new configuration for a log whose quorum is lost for good.
 *
 * The file goes into the folder `raft` of every server that is left, the same on each, while all of
 * them are stopped. It is a JSON array, as Consul's:
 *
 *     [ { "id": "adf4238a-882b-9ddc-4a9d-5b6758e4159e", "address": "10.1.0.1:8300" },
 *       { "id": "8b6dda82-3103-11e7-93ae-92361f002671", "non_voter": true } ]
 *
 * `id` is the agent's id; who is not named is out. Addresses are looked up in the pool, so
 * `address` is not needed. A start appends the configuration to the log and renames the file.
 *
 * The new entry's term is above all terms that elections can have reached (the next multiple of
 * 2^20), the same on every server: logs that end differently then differ from the entry on, and
 * the longest of them wins by Raft's own rules. So what the longest log holds counts as committed,
 * as it does in Consul.
 */
#ifndef KV_RAFT_PEERS_H
#define KV_RAFT_PEERS_H

#include "kv/raft_core.h"

struct raft_peer {
	struct uuid agent;
	bool non_voter;
};

/* ERR_INPUT names what is wrong: no such JSON, an id that is none or stands twice, no voter. */
int raft_peers_read(
    struct str json, struct raft_peer out[RAFT_CORE_SERVERS_MAX], size_t *count, struct err *);
/* The Raft ids come from the log's newest configuration. ERR_INPUT: it does not know one of them.
 */
int raft_peers_servers(const struct raft_peer *, size_t count, const struct raft_core_server *known,
    size_t known_count, struct raft_core_server *out, struct err *);
uint64_t raft_peers_term(uint64_t newest); /* of the entry, when no term is above `newest` */

#endif

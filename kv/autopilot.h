/* kv/autopilot.h -- how the leader looks after the servers: Consul's configuration of its
 * autopilot, replicated with the keys.
 *
 * What decides here: whether dead servers are removed at all (cleanup_dead_servers), how many must
 * remain (min_quorum, RULES 17), and from when on a server counts as unhealthy. The rest is
 * Consul's and kept for who asks.
 */
#ifndef KV_AUTOPILOT_H
#define KV_AUTOPILOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/nsec.h"

#define AUTOPILOT_TAG_MAX 128 /* bytes of a tag's name */

struct autopilot {
	bool cleanup_dead_servers, disable_upgrade_migration;
	nsec last_contact_threshold, server_stabilization_time;
	uint64_t max_trailing_logs, min_quorum;
	char redundancy_zone_tag[AUTOPILOT_TAG_MAX + 1], upgrade_version_tag[AUTOPILOT_TAG_MAX + 1];
	uint64_t create, modify; /* key indexes; 0: never set, these are the defaults */
};

extern const struct autopilot autopilot_default;

/* All but the indexes. Reading fails the reader on what is out of range. */
void autopilot_write(const struct autopilot *, struct buf *);
void autopilot_read(struct reader *, struct autopilot *out);

/* With the indexes, for a snapshot; false: broken, or newer than `index`. */
void autopilot_save(const struct autopilot *, struct buf *);
bool autopilot_load(struct autopilot *, struct reader *, uint64_t index);

#endif

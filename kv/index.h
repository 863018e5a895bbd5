/* kv/index.h -- the numbers that clients see as X-Consul-Index (RULES 12).
 *
 * An index is 41 bits of max(last + 1, milliseconds since 2020) above 12 bits of agent tag,
 * hence below 2^53 (exact in JavaScript and Lua). A ceiling is reserved on disk ahead of use, so
 * no index runs backwards over a restart, whatever the clock does.
 */
#ifndef KV_INDEX_H
#define KV_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#define INDEX_TAG_BITS 12
#define INDEX_EPOCH_MS 1577836800000 /* 2020-01-01T00:00:00Z */
#define INDEX_RESERVE_MS (10 * 60 * 1000) /* how far ahead a ceiling is asked for */

struct index_clock {
	uint64_t last;    /* the 41-bit part given last */
	uint64_t ceiling; /* 41-bit part; none above it is given before the disk has a new one */
	uint16_t tag;     /* 12 bits */
};

/* `ceiling` is the one on disk, 0 for a new data directory: the first index is above it. */
void index_init(struct index_clock *, uint16_t tag, uint64_t ceiling);

/* The next index. Where the clock would pass the ceiling it rises by one instead: callers keep
 * the ceiling well ahead by index_ceiling_wanted(), and sync and set the first one before any
 * client is answered. */
uint64_t index_next(struct index_clock *, int64_t wall_ms);

/* The ceiling that should be synced to disk now, or 0: enough is reserved. Once it is there,
 * index_ceiling_set(). */
uint64_t index_ceiling_wanted(const struct index_clock *, int64_t wall_ms);
void index_ceiling_set(struct index_clock *, uint64_t ceiling);

/* Whether an index a client came with was given by an agent of this tag. */
bool index_is_ours(const struct index_clock *, uint64_t index);

#endif

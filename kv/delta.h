/* kv/delta.h -- anti-entropy as bytes: digests out, what the other lacks back (RULES 1, 2).
 *
 * Scuttlebutt reconciliation (van Renesse et al., 2008): each side shows {owner: epoch, number,
 * hash}; for every owner where the other is behind, a range is written. Encodings are the
 * payload of gossip messages; gossip/ does not look inside.
 */
#ifndef KV_DELTA_H
#define KV_DELTA_H

#include "base/buf.h"
#include "base/cursor.h"
#include "kv/owner.h"
#include "kv/store.h"

void digest_write(struct writer *, const struct digest *);
bool digest_read(struct reader *, struct digest *out);
#define DIGEST_SIZE_MAX (16 + 4 * 10)

/* All digests of a store, sorted by owner id. */
void delta_digests(const struct store *, struct buf *out);

/* One range of an owner from `after` on, as store_range() reads it; stops adding records once
 * `out` holds more than `bytes_max` and then ends the range at the last number written, so a
 * large state goes in several pieces. Returns the number the range reaches. A whole state (from
 * below the floor) is never cut. */
uint64_t delta_range(const struct owner *, uint64_t after, size_t bytes_max, struct buf *out);
/* The head of an encoded range. */
bool delta_range_head(struct reader *, struct uuid *owner, struct owner_range *out);
void delta_range_head_write(struct writer *, const struct uuid *owner, const struct owner_range *);

/* Reads the other side's digests and appends to `out`, each with a varint length before it, the
 * ranges it lacks; `behind` receives how many owners it has more of than we. ERR_INPUT when
 * malformed. */
int delta_answer(const struct store *, struct str digests, size_t bytes_max, struct buf *out,
    size_t *behind, struct err *);

#endif

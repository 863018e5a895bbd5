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

/* Owner id, epoch, number, hash and flags; unknown flags are passed over. */
void digest_write(struct writer *, const struct digest *);
bool digest_read(struct reader *, struct digest *out);
#define DIGEST_SIZE_MAX (16 + 4 * 10)

/* All digests of a store, sorted by owner id. */
void delta_digests(const struct store *, struct buf *out);

/* One range of an owner from `after` on, as store_range() reads it; stops adding records once
 * `out` holds more than `bytes_max` and then ends the range at the last number written, so a
 * large state goes in several pieces. Returns the number the range reaches. A whole state (from
 * 0, or from below the floor) is never cut. Writes nothing and returns `after` when there is
 * nothing to give: none is newer, or it takes a whole state and ours is not exact. A range that
 * does not fit in `out` leaves it as it was, but `full`. */
uint64_t delta_range(const struct owner *, uint64_t after, size_t bytes_max, struct buf *out);
/* The same with a varint length before it, as delta_answer() gives it. */
uint64_t delta_range_framed(const struct owner *, uint64_t after, size_t bytes_max,
    struct buf *out);

/* The same, never longer than makes `out` hold `bytes_max`; not even a whole state, which is
 * then left out. For datagrams. */
uint64_t delta_range_within(const struct owner *, uint64_t after, size_t bytes_max,
    struct buf *out);

/* The head of an encoded range. The reader holds this one range and nothing else. True only when
 * all of it is well formed: every record it counts is there, none more, all numbered as the head
 * says. So what is applied next, record_read() by record_read(), cannot break off half-way. */
bool delta_range_head(struct reader *, struct uuid *owner, struct owner_range *out);
void delta_range_head_write(struct writer *, const struct uuid *owner, const struct owner_range *);
#define DELTA_RANGE_HEAD_MAX (16 + 8 * 10)

/* What another agent's digest says beside what we hold (number 0: it has never heard of the
 * owner). Digests that a certificate keeps away or that jump are EVEN (RULES 6, 18). */
enum delta_verdict {
	DELTA_EVEN,
	DELTA_BEHIND,     /* we lack something */
	DELTA_DIFFERS,    /* equal numbers, unequal hashes: the owner's own word is wanted (RULES 1) */
	DELTA_GIVE,       /* they lack what follows their number */
	DELTA_GIVE_WHOLE,
};
enum delta_verdict delta_compare(const struct store *, const struct digest *theirs);

/* Which owners an exchange is about: by the first six bits of their ids, or those named. */
#define DELTA_BUCKETS 64
static inline unsigned
delta_bucket(const struct uuid *id)
{
	return id->b[0] >> 2;
}
struct delta_scope {
	uint64_t buckets; /* a bit for each */
	bool listed;      /* only owners that are in the digests */
};

/* Reads the other side's digests (sorted, none twice) and appends to `out`, each with a varint
 * length before it, the ranges it lacks, until `out` holds more than `bytes_max`; `behind`
 * receives how many owners it has more of than we. Where numbers are equal and hashes are not,
 * the owner's own word counts: only who writes for it gives its whole state (RULES 1). ERR_INPUT
 * when malformed, and then `out` is as it was; ERR_LIMIT when a range did not fit in `out`. */
int delta_answer(const struct store *, struct str digests, size_t bytes_max, struct buf *out,
    size_t *behind, struct err *);
/* The same within a scope; `more` receives whether there is more to give. A range for which `out`
 * has no room left is left for another time, or for ever when it is too large by itself. */
int delta_answer_in(const struct store *, const struct delta_scope *, struct str digests,
    size_t bytes_max, struct buf *out, bool *more, struct err *);

#endif

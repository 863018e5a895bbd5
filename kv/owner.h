/* kv/owner.h -- everything one owner has published: epoch, number, floor, newest state.
 *
 * One writer per record: the agent that accepted it (or the cluster as the one virtual owner).
 * The writer calls owner_put() and owner_remove(), which number the changes; everybody else
 * feeds what arrives to owner_push() (single records) and the owner_range_*() calls. Rules:
 * RULES.md 1 (epochs), 2 (gaps, ranges, tombstones), 14 (opaque records), 15 (limits).
 * No I/O, no clock.
 *
 * The digest's hash is the sum, modulo 2^64, of record_hash() over the live records: it can be
 * kept up to date with each change, and tombstones, whose life is each holder's own affair,
 * do not count.
 *
 * A replica's state equals its owner's at the same number only when it is `exact`: a record
 * pushed over a gap, or the first pieces of a long range, leave it between two states until its
 * number has caught up. Hashes are compared between exact ones only, and only an exact one can
 * give a whole state.
 *
 * What a call hands out in a struct owner_change is also fetched when only a number is new:
 * then before == after, the same blob. `change` may be NULL where nobody wants to know, and is
 * zeroed when nothing changed; owner_change_done() takes it either way.
 */
#ifndef KV_OWNER_H
#define KV_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"
#include "base/uuid.h"
#include "kv/record.h"

struct epoch {
	uint64_t counter; /* one more at each start of the owner; 0: none seen */
	uint64_t nonce;   /* random; equal counters with unequal nonces mean a cloned disk */
};

/* < 0, 0, > 0: which is older. Counters decide. Equal counters with unequal nonces are two
 * histories of a cloned disk; until one takes a new id, everybody shows the same one of them. */
int epoch_cmp(const struct epoch *, const struct epoch *);

struct digest {
	struct uuid owner;
	struct epoch epoch;
	uint64_t number; /* the last change applied */
	uint64_t hash;   /* of the live records */
	bool exact;      /* the owner's very state at `number`; else the hash says nothing */
};

struct owner_limits {
	size_t records_max;    /* live ones */
	size_t bytes_max;      /* keys and bodies of live ones */
	size_t tombstones_max; /* beyond it the oldest go and the floor rises */
};
extern const struct owner_limits owner_limits_default;

/* One record as an owner holds it; borrowed, valid until the owner's next change. */
struct owner_record {
	uint16_t kind;
	bool gone;
	uint64_t number;
	struct str key;
	struct blob *body; /* NULL for a tombstone */
};

/* What a call changed, for whoever keeps indexes over the records. `before` and `after` are
 * the bodies (NULL: absent); the caller owns one reference to each and ends with
 * owner_change_done(). */
struct owner_change {
	uint16_t kind;
	struct str key;       /* owned copy */
	uint64_t number;      /* of the record after the change */
	struct blob *before, *after;
};
void owner_change_done(struct owner_change *);

struct owner;

struct owner *owner_new(const struct uuid *id, const struct owner_limits *);
void owner_free(struct owner *); /* NULL is fine */

const struct uuid *owner_id(const struct owner *);
struct digest owner_digest(const struct owner *);
uint64_t owner_floor(const struct owner *);
size_t owner_count(const struct owner *); /* live records */
size_t owner_bytes(const struct owner *);
bool owner_find(const struct owner *, uint16_t kind, struct str key, struct owner_record *out);

/* Writer. Between owner_epoch_begin() and owner_baseline_end() changes belong to the baseline:
 * all its records carry number 1. Afterwards each change takes the next number. */
void owner_epoch_begin(struct owner *, struct epoch); /* numbers start anew; records stay */
void owner_baseline_end(struct owner *);              /* number becomes 1 */

/* Stores a body. 1 and *change filled: it is new or different; 0: equal, nothing happened;
 * ERR_LIMIT: over the limits, refused (the owner refuses, never the receiver: RULES 15). */
int owner_put(struct owner *, uint16_t kind, struct str key, struct str body,
    struct owner_change *change, struct err *);
int owner_remove(struct owner *, uint16_t kind, struct str key, struct owner_change *change);

/* Numbers an unchanged record anew, so that a mask on its old version ends (RULES 5).
 * 1, or 0 when there is no such record. */
int owner_assert(struct owner *, uint16_t kind, struct str key, struct owner_change *change);

/* Virtual owner: its numbers are given from outside (Raft indexes). Must rise. From then on all
 * changes carry this number until it is set again: one log entry may change several records. */
void owner_number_set(struct owner *, uint64_t number);

bool owner_is_writer(const struct owner *); /* whether owner_epoch_begin() was ever called */

/* Reader, single record: used at once when its number is newer than what is held for its key.
 * OWNER_GAP: used (or not), but a number before it is missing: ask the sender for the range.
 * OWNER_OTHER_EPOCH: of a newer epoch than ours, not used: ask for its whole state. What is of an
 * older epoch, or was known, is OWNER_STALE. */
enum owner_pushed { OWNER_STALE, OWNER_APPLIED, OWNER_GAP, OWNER_OTHER_EPOCH };
enum owner_pushed owner_push(struct owner *, struct epoch, const struct record *,
    struct owner_change *change, bool *changed);

/* A range: the newest state of all that is numbered in (after, upto], tombstones included. From 0
 * to the head it is a whole state. */
struct owner_range {
	struct epoch epoch;
	uint64_t after, upto, floor;
	uint64_t head;  /* the last number the sender knows of; beyond upto: there is more */
	uint64_t hash;  /* the sender's, at its head */
	uint64_t count; /* records that follow on the wire (delta.h fills it in) */
};

/* Reader: gives a range's records one by one to owner_range_apply() after owner_range_begin()
 * said OWNER_RANGE_APPLY, then owner_range_end() moves the number. OWNER_RANGE_STAGE: this is
 * the whole state of a new epoch, from below the floor, or of an equal number with another hash;
 * collect it (owner_stage_add), then owner_stage_swap() replaces everything in one step.
 * OWNER_RANGE_REFUSE: after is beyond our number, or a whole state is needed and this is none:
 * ask again from owner_wanted(). OWNER_RANGE_OLD: nothing in it is news. */
enum owner_ranged { OWNER_RANGE_APPLY, OWNER_RANGE_STAGE, OWNER_RANGE_REFUSE, OWNER_RANGE_OLD };
enum owner_ranged owner_range_begin(struct owner *, const struct owner_range *);
uint64_t owner_wanted(const struct owner *, struct epoch); /* `after` of what to ask for */
/* True: *change is filled in. */
bool owner_range_apply(struct owner *, const struct record *, struct owner_change *change);
void owner_range_end(struct owner *, const struct owner_range *);

int owner_stage_add(struct owner *, const struct record *, struct err *);
/* Swaps the staged state in. The changes must then be drained with owner_stage_change() until it
 * is false, before anything else is changed. */
void owner_stage_swap(struct owner *, const struct owner_range *);
bool owner_stage_change(struct owner *, struct owner_change *change);

/* A baseline of a new epoch with this hash is announced: when what is held has the same hash,
 * only takes the label (epoch, number 1, every record numbered 1, masks on them have ended) and
 * returns true; also when the epoch is not new. False: its whole state is needed. */
bool owner_relabel(struct owner *, struct epoch, uint64_t hash);

/* Sender: walks the records numbered in (after, number], in order of number. When after is
 * below the floor the range starts at 0 and holds the whole state. The cursor, like the records,
 * is good until the owner's next change; to go on later ask for a new range: one near the end
 * is found at once. */
struct owner_range owner_range_for(const struct owner *, uint64_t after);
bool owner_range_next(const struct owner *, const struct owner_range *, uint64_t *cursor,
    struct owner_record *out); /* *cursor starts at 0 */

/* Drops tombstones numbered up to `number` (at most the owner's) and raises the floor to it. */
void owner_floor_raise(struct owner *, uint64_t number);

#endif

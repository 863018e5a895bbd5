/* kv/owner_private.h -- what owner.c and owner_range.c share. For nobody else. */
#ifndef KV_OWNER_PRIVATE_H
#define KV_OWNER_PRIVATE_H

#include "kv/owner.h"
#include "kv/owner_set.h"

/* Invariants: floor <= number <= seen; of everything numbered up to `number` the latest state
 * is in `held`, but for tombstones up to `floor`. */
struct owner {
	struct uuid id;
	struct owner_limits limits;
	struct epoch epoch;
	uint64_t number, floor;
	uint64_t seen; /* the highest number heard of: a push with a gap, a sender's head */
	bool writer;   /* owner_epoch_begin() was called here */
	bool baseline; /* between owner_epoch_begin() and owner_baseline_end() */
	bool given;    /* owner_number_set(): changes do not count numbers up */
	struct owner_set held;

	bool staging; /* a whole state is being collected */
	struct owner_set stage;

	bool draining;            /* a swap's changes are not yet all fetched */
	bool relabelled;          /* that swap brought another epoch */
	struct owner_set old;     /* what was held before and has not been looked at yet */
	struct owner_item *fresh; /* then: the next of `held` that may be new */
};

/* Fills in *c (NULL is fine): takes `before`, adds a reference to `after`. */
void owner_change_set(struct owner_change *c, uint16_t kind, struct str key, uint64_t number,
    struct blob *before, struct blob *after);

/* Takes in a record from outside when it is newer than what is held for its key. True when that
 * changed more than a tombstone's number; then *change is filled in. */
bool owner_use(struct owner *, const struct record *, struct owner_change *change);

void owner_number_follow(struct owner *); /* moves on over records pushed ahead */
void owner_tombstones_trim(struct owner *);

#endif

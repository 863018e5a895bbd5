/* gossip/broadcast.h -- what is yet to be told, to whomever the next packet goes.
 *
 * A message is put into packets until it has been sent `limit` times in all, not per target. Next
 * in turn is what was sent the fewest times; among those the longest that still fits; among those
 * the newest. A message about a name replaces the one about the same name.
 *
 *     n = broadcast_take(b, room, parts, max);   the bytes stay valid until
 *     broadcast_sent(b, limit);                  counts what was taken, ends what is through
 */
#ifndef GOSSIP_BROADCAST_H
#define GOSSIP_BROADCAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define BROADCAST_PART 2 /* bytes that each message of a compound costs beside its own */

struct broadcast;

struct broadcast *broadcast_new(size_t count_max); /* beyond it the most sent is ended early */
void broadcast_free(struct broadcast *);           /* NULL is fine */

/* Copies. `name` empty: replaces nothing. `done_id` non-zero: broadcast_done_next() gives it back
 * when the message is through, replaced or pushed out. */
void broadcast_add(struct broadcast *, struct str name, struct str bytes, uint64_t done_id);
void broadcast_forget(struct broadcast *, struct str name);
bool broadcast_done_next(struct broadcast *, uint64_t *done_id);

/* At most `max` messages, together with BROADCAST_PART each at most *room, which shrinks. */
size_t broadcast_take(struct broadcast *, size_t *room, struct str *parts, size_t max);
void broadcast_sent(struct broadcast *, unsigned limit);

size_t broadcast_count(const struct broadcast *);
size_t broadcast_bytes(const struct broadcast *);

/* How often a message is sent in a pool of n: mult x ceil(log10(n + 1)). */
unsigned broadcast_limit(unsigned mult, size_t n);

#endif

/* kv/owner_set.h -- the records of one owner in two orders. Private to owner*.c.
 *
 * By (kind, key): a hash table of pointers. By number: a list; several may share a number (a
 * baseline's all have 1). A record is one allocation with its key inside, besides its body.
 * The set keeps the sums that digests and limits need up to date.
 */
#ifndef KV_OWNER_SET_H
#define KV_OWNER_SET_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/str.h"

struct owner_item {
	TAILQ_ENTRY(owner_item) link; /* by number, lowest first */
	struct blob *body;            /* one reference; NULL: a tombstone */
	uint64_t number;
	uint32_t slot_hash; /* of (kind, key), for the table */
	uint16_t kind;
	uint16_t key_len;
	bool seen; /* by the swap that brought it in: not new */
	char key[];
};

struct owner_set {
	TAILQ_HEAD(owner_items, owner_item) order;
	struct owner_item *hint;   /* where the last one went in; NULL: unknown */
	struct owner_item **slots; /* owned; linear probing, at most 3/4 full */
	size_t slot_count;         /* 0 or a power of two */
	size_t live, gone;         /* records and tombstones */
	size_t bytes;              /* keys and bodies of the live ones */
	uint64_t hash;             /* sum of record_hash() over the live ones */
};

static inline struct str
owner_item_key(const struct owner_item *i)
{
	return str_mem(i->key, i->key_len);
}

void owner_set_init(struct owner_set *);
void owner_set_done(struct owner_set *); /* frees all; fit for owner_set_init() again */

void owner_set_move(struct owner_set *to, struct owner_set *from); /* `to` is empty, then `from` */

struct owner_item *owner_set_find(const struct owner_set *, uint16_t kind, struct str key);

/* Writes one version: takes `body` (NULL: a tombstone) and returns the body that was there
 * before, which the caller then owns. key.n is at most RECORD_KEY_MAX. */
struct blob *owner_set_put(
    struct owner_set *, uint16_t kind, struct str key, uint64_t number, struct blob *body);

/* Moving whole items between sets: taken out it belongs to the caller. */
void owner_set_take(struct owner_set *, struct owner_item *);
void owner_set_add(struct owner_set *, struct owner_item *); /* its key must not be there */
void owner_item_free(struct owner_item *);

/* Other bytes (takes them) for a live record, under the same number. */
void owner_set_rebody(struct owner_set *, struct owner_item *, struct blob *body);

/* The first item numbered above `number`; NULL: none. Looks from the end, since that is where
 * what others lack is found. */
struct owner_item *owner_set_after(const struct owner_set *, uint64_t number);

void owner_set_drop_gone(struct owner_set *, uint64_t upto);    /* tombstones numbered up to it */
void owner_set_number_all(struct owner_set *, uint64_t number); /* all the same */

#endif

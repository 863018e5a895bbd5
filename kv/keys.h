/* kv/keys.h -- the key tree, as part of the replicated state machine.
 *
 * An entry is immutable: a change puts a new one in its place, so whoever holds a reference (a
 * snapshot being streamed, the results of a transaction) reads on undisturbed. Changes happen
 * between keys_begin() and keys_commit(), which wakes who waits, or keys_rollback(), which
 * leaves everything as it was.
 *
 * Indexes. A key that is there answers its ModifyIndex; a prefix answers the highest among what
 * is there and its tombstones; never less than the floor, which is the highest tombstone that
 * was dropped. So an index never runs backwards, and deletions show. Tombstones are dropped when
 * the log says so (keys_reap) or, the older half of them, when there are KEYS_TOMBSTONES_MAX.
 *
 * Lock delay. Each key that a session lost when it ended is closed until the delay is over. How
 * long is the leader's clock's matter (keys_delays_passed); every lock operation carries what
 * the leader found, so that all servers decide alike.
 */
#ifndef KV_KEYS_H
#define KV_KEYS_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/nsec.h"
#include "base/str.h"
#include "base/uuid.h"
#include "kv/session.h"
#include "kv/watch.h"

#define KEYS_VALUE_MAX (512 * 1024)
#define KEYS_KEY_MAX (32 * 1024)
#define KEYS_TOMBSTONES_MAX 65536

struct key_entry {
	RB_ENTRY(key_entry) link;
	LIST_ENTRY(key_entry) held_link; /* in its session's list, while in the tree */
	struct blob *value;              /* owned use */
	uint64_t create, modify, lock_index, flags;
	struct uuid session; /* when held */
	uint32_t refs;
	uint32_t key_n;
	bool held;
	char key[];
};

static inline struct str
key_name(const struct key_entry *e)
{
	return str_mem(e->key, e->key_n);
}

struct key_entry *key_ref(struct key_entry *);
void key_unref(struct key_entry *); /* NULL is fine */

struct keys;

/* Both borrowed; watches may be NULL. */
struct keys *keys_new(struct sessions *, struct watches *);
void keys_free(struct keys *);
void keys_watches_set(struct keys *, struct watches *);

/* Reading. The entry is borrowed until the next change. */
struct key_entry *key_find(const struct keys *, struct str key); /* NULL: none */
struct key_entry *key_prefix_first(const struct keys *, struct str prefix);
struct key_entry *key_prefix_next(const struct keys *, struct str prefix, struct key_entry *);
/* The first entry after all that begin with `folded`: for ?separator. NULL past the prefix. */
struct key_entry *key_prefix_skip(const struct keys *, struct str prefix, struct str folded);
size_t keys_count(const struct keys *);
uint64_t keys_bytes(const struct keys *); /* of keys and values */

/* X-Consul-Index of a read; at least 1. `most` is the highest ModifyIndex among the entries that
 * the reader met below the prefix anyway, 0 for none. */
uint64_t key_index(const struct keys *, struct str key);
uint64_t key_prefix_index(const struct keys *, struct str prefix, uint64_t most);

enum kv_verb {
	KV_NONE, /* an operation of another kind in a transaction: nothing */
	KV_SET,
	KV_CAS,
	KV_LOCK,
	KV_UNLOCK,
	KV_GET,
	KV_GET_TREE,
	KV_CHECK_INDEX,
	KV_CHECK_SESSION,
	KV_CHECK_NOT_EXISTS,
	KV_DELETE,
	KV_DELETE_TREE,
	KV_DELETE_CAS,
	KV_UNKNOWN, /* `value` holds the word; fails with its name */
	KV_VERBS
};

struct kv_op {
	enum kv_verb verb;
	struct str key;   /* or a prefix */
	struct str value;
	uint64_t flags;
	uint64_t index;     /* cas and checks */
	struct str session; /* as the client wrote it */
};

enum kv_outcome {
	KV_DONE,
	KV_STALE,      /* cas, delete-cas: another index */
	KV_HELD,       /* lock: by another session */
	KV_DELAYED,    /* lock: its lock delay */
	KV_NOT_HELD,   /* unlock */
	KV_ABSENT,     /* a key that must be there */
	KV_PRESENT,    /* a key that must not */
	KV_INDEX_NOT,  /* check-index */
	KV_SESSION_NOT, /* check-session */
	KV_SESSION_MISSING,
	KV_SESSION_BAD,     /* no UUID */
	KV_SESSION_UNKNOWN,
	KV_VERB_UNKNOWN,
};

/* Changes come between these. Index: of everything changed until the end. */
void keys_begin(struct keys *, uint64_t index);
void keys_commit(struct keys *);
void keys_rollback(struct keys *);

/* One operation. `passed`: lock delays that began at or below this index are over. Gives the
 * entry that the operation leaves or read (borrowed until the end of the change), else NULL. */
enum kv_outcome keys_apply(struct keys *, const struct kv_op *, uint64_t passed,
    struct key_entry **out);

/* A session ends: its keys are released or deleted and closed for its delay. Between begin and
 * commit; not to be rolled back. The session itself stays, holding nothing. */
void keys_session_end(struct keys *, nsec now, struct session *);

/* The stamp for a lock on `key`: every delay that began at or below it is over for this key. */
uint64_t keys_delays_passed(const struct keys *, nsec now, struct str key, uint64_t applied);
/* The highest index such that all delays that began at or below it are over. */
uint64_t keys_delays_over(const struct keys *, nsec now, uint64_t applied);
/* Drops tombstones and delays up to these; the first becomes the floor. */
void keys_reap(struct keys *, uint64_t tombstones, uint64_t delays);
size_t keys_tombstone_count(const struct keys *);
size_t keys_closed_count(const struct keys *);

/* For snapshots: everything that is not an entry, in the order of keys. */
struct key_mark {
	struct str key;
	uint64_t index;
	nsec delay;
};
struct keys_floors {
	uint64_t tombstones; /* the highest dropped */
	uint64_t restored;   /* no read answers less: the last restore */
};
struct keys_floors keys_floors(const struct keys *);
void keys_floors_set(struct keys *, struct keys_floors);
size_t keys_marks(const struct keys *, bool closed, struct key_mark **out); /* free() the array */
/* False: twice, or a session that is not there. Marks may come in any order. */
bool keys_load_entry(struct keys *, const struct kv_op *, uint64_t create, uint64_t modify,
    uint64_t lock_index, const struct uuid *session);
bool keys_load_mark(struct keys *, nsec now, bool closed, const struct key_mark *);
void keys_load_done(struct keys *);

#endif

/* kv/keys_priv.h -- what the files of the key tree share: keys.c, keys_mark.c, keys_apply.c. */
#ifndef KV_KEYS_PRIV_H
#define KV_KEYS_PRIV_H

#include "kv/keys.h"

RB_HEAD(key_tree, key_entry);

/* Something remembered about a key by the index it happened at: a deletion, or the begin of a
 * lock delay. In two orders: by key, and by index (the queue; new ones at its end). */
struct mark {
	RB_ENTRY(mark) link;
	TAILQ_ENTRY(mark) queue_link;
	uint64_t index;
	nsec delay, due; /* of a lock delay; due by this server's clock */
	uint32_t key_n;
	char key[];
};

RB_HEAD(mark_tree, mark);
TAILQ_HEAD(mark_queue, mark);

struct marks {
	struct mark_tree tree;
	struct mark_queue queue;
	size_t count;
};

struct change { /* one entry in place of another; either may be NULL */
	struct key_entry *old, *now; /* owned uses */
};

struct keys {
	struct key_tree tree;
	struct marks tombs, closed;
	struct sessions *sessions; /* borrowed */
	struct watches *watches;   /* borrowed; may be NULL */
	struct keys_floors floors;
	struct change *changes; /* since keys_begin(), in order */
	size_t change_count, change_cap;
	uint64_t index; /* of the change under way */
	size_t count;
	uint64_t bytes;
};

void marks_init(struct marks *);
void marks_done(struct marks *);
struct mark *mark_find(const struct marks *, struct str key);
struct mark *mark_set(struct marks *, struct str key, uint64_t index); /* new or renewed */
void mark_drop(struct marks *, struct mark *); /* NULL is fine */
void marks_sort(struct marks *);               /* the queue, after loading */
uint64_t marks_reap(struct marks *, uint64_t index); /* the highest dropped; 0: none */
/* The highest index below a prefix, at least `most`. */
uint64_t marks_most(const struct marks *, struct str prefix, uint64_t most);
struct mark *marks_first(const struct marks *, struct str from); /* in key order */
struct mark *marks_next(struct mark *);

/* Puts `now` (takes a use; may be NULL) in place of `old` (may be NULL), and notes it. */
void keys_change(struct keys *, struct key_entry *old, struct key_entry *now);
struct key_entry *key_entry_new(struct str key, struct blob *value /* takes */);

#endif

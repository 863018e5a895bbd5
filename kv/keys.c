/* kv/keys.c -- the ordered tree: reading, replacing entries, committing and undoing, loading.
 *
 * Invariants: an entry with `held` is in the list of its session, which exists; a key has a
 * tombstone only while it is not there; floors only rise.
 */
#include "kv/keys.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kv/keys_priv.h"

static int
entry_cmp(const struct key_entry *a, const struct key_entry *b)
{
	return str_cmp(key_name(a), key_name(b));
}

RB_GENERATE_INTERNAL(key_tree, key_entry, link, entry_cmp, static __attribute__((unused)))

struct key_entry *
key_entry_new(struct str key, struct blob *value)
{
	struct key_entry *e = mem_zalloc(sizeof *e + key.n);

	e->key_n = (uint32_t)key.n;
	if (key.n > 0)
		memcpy(e->key, key.p, key.n);
	e->value = value;
	e->refs = 1;
	return e;
}

struct key_entry *
key_ref(struct key_entry *e)
{
	e->refs++;
	return e;
}

void
key_unref(struct key_entry *e)
{
	if (e == NULL || --e->refs > 0)
		return;
	blob_unref(e->value);
	free(e);
}

struct keys *
keys_new(struct sessions *sessions, struct watches *watches)
{
	struct keys *k = mem_new(struct keys);

	RB_INIT(&k->tree);
	marks_init(&k->tombs);
	marks_init(&k->closed);
	k->sessions = sessions;
	k->watches = watches;
	return k;
}

void
keys_watches_set(struct keys *k, struct watches *watches)
{
	k->watches = watches;
}

static void
entry_out(struct keys *k, struct key_entry *e)
{
	RB_REMOVE(key_tree, &k->tree, e);
	if (e->held)
		LIST_REMOVE(e, held_link);
	k->count--;
	k->bytes -= e->key_n + blob_str(e->value).n;
}

static void
entry_in(struct keys *k, struct key_entry *e)
{
	RB_INSERT(key_tree, &k->tree, e);
	if (e->held) {
		struct session *s = session_find(k->sessions, &e->session);

		assert(s != NULL);
		LIST_INSERT_HEAD(&s->keys, e, held_link);
	}
	k->count++;
	k->bytes += e->key_n + blob_str(e->value).n;
}

void
keys_free(struct keys *k)
{
	struct key_entry *e;

	if (k == NULL)
		return;
	assert(k->change_count == 0);
	while ((e = RB_ROOT(&k->tree)) != NULL) {
		entry_out(k, e);
		key_unref(e);
	}
	marks_done(&k->tombs);
	marks_done(&k->closed);
	free(k->changes);
	free(k);
}

/* The first entry that is not before `key`, or with `after`, not one that begins with it. */
static struct key_entry *
entry_from(const struct keys *k, struct str key, bool after)
{
	struct key_entry *e = RB_ROOT(&k->tree), *best = NULL;

	while (e != NULL) {
		int c = str_cmp(key, key_name(e));

		if (c <= 0 && after && str_starts(key_name(e), key))
			c = 1;
		if (c <= 0)
			best = e;
		e = c <= 0 ? RB_LEFT(e, link) : RB_RIGHT(e, link);
	}
	return best;
}

static struct key_entry *
below(struct key_entry *e, struct str prefix)
{
	return e != NULL && str_starts(key_name(e), prefix) ? e : NULL;
}

struct key_entry *
key_find(const struct keys *k, struct str key)
{
	struct key_entry *e = entry_from(k, key, false);

	return e != NULL && e->key_n == key.n ? below(e, key) : NULL;
}

struct key_entry *
key_prefix_first(const struct keys *k, struct str prefix)
{
	return below(entry_from(k, prefix, false), prefix);
}

struct key_entry *
key_prefix_next(const struct keys *k, struct str prefix, struct key_entry *e)
{
	(void)k;
	return below(RB_NEXT(key_tree, NULL, e), prefix);
}

struct key_entry *
key_prefix_skip(const struct keys *k, struct str prefix, struct str folded)
{
	return below(entry_from(k, folded, true), prefix);
}

size_t
keys_count(const struct keys *k)
{
	return k->count;
}

uint64_t
keys_bytes(const struct keys *k)
{
	return k->bytes;
}

static uint64_t
most_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t
key_index(const struct keys *k, struct str key)
{
	const struct key_entry *e = key_find(k, key);
	const struct mark *tomb = e == NULL ? mark_find(&k->tombs, key) : NULL;
	uint64_t own = e != NULL ? e->modify : tomb != NULL ? tomb->index : k->floors.tombstones;

	return most_of(most_of(own, k->floors.restored), 1);
}

uint64_t
key_prefix_index(const struct keys *k, struct str prefix, uint64_t most)
{
	most = most_of(most, most_of(k->floors.tombstones, k->floors.restored));
	return most_of(marks_most(&k->tombs, prefix, most), 1);
}

void
keys_begin(struct keys *k, uint64_t index)
{
	assert(k->change_count == 0);
	k->index = index;
}

void
keys_change(struct keys *k, struct key_entry *old, struct key_entry *now)
{
	k->changes =
	    mem_grow(k->changes, k->change_count, &k->change_cap, sizeof *k->changes);
	if (old != NULL)
		entry_out(k, old);
	if (now != NULL)
		entry_in(k, key_ref(now));
	k->changes[k->change_count++] = (struct change){ old, now };
}

static void
changes_forget(struct keys *k)
{
	for (size_t i = 0; i < k->change_count; i++) {
		key_unref(k->changes[i].old);
		key_unref(k->changes[i].now);
	}
	k->change_count = 0;
	if (k->change_cap > 1024) { /* a tree was deleted */
		free(k->changes);
		k->changes = NULL;
		k->change_cap = 0;
	}
}

/* Drops the older half: the floor goes in long strides, for at each of them who polls a quiet
 * prefix is answered once for nothing. */
static void
tombstones_bound(struct keys *k)
{
	const struct mark *m;
	size_t i = 0;

	if (k->tombs.count <= KEYS_TOMBSTONES_MAX)
		return;
	m = TAILQ_FIRST(&k->tombs.queue);
	for (; i < k->tombs.count - KEYS_TOMBSTONES_MAX / 2; i++)
		m = TAILQ_NEXT(m, queue_link);
	keys_reap(k, m->index, 0);
}

void
keys_commit(struct keys *k)
{
	for (size_t i = 0; i < k->change_count; i++) {
		const struct change *c = &k->changes[i];
		struct str key = key_name(c->now != NULL ? c->now : c->old);
		/* of several changes a later one may be of the same key */
		const struct key_entry *e = k->change_count == 1 ? c->now : key_find(k, key);

		if (e == NULL)
			mark_set(&k->tombs, key, k->index);
		else
			mark_drop(&k->tombs, mark_find(&k->tombs, key));
		if (e != NULL && e->held)
			mark_drop(&k->closed, mark_find(&k->closed, key));
		if (k->watches == NULL)
			continue;
		watch_touch(k->watches, (struct watch_key){ WATCH_KEY, key }, k->index, false);
		watch_touch_prefixes(k->watches, WATCH_KEY_PREFIX, key, k->index);
	}
	changes_forget(k);
	tombstones_bound(k);
}

void
keys_rollback(struct keys *k)
{
	for (size_t i = k->change_count; i-- > 0;) {
		struct change *c = &k->changes[i];

		if (c->now != NULL) {
			entry_out(k, c->now);
			key_unref(c->now);
		}
		if (c->old != NULL)
			entry_in(k, key_ref(c->old));
	}
	changes_forget(k);
}

uint64_t
keys_delays_passed(const struct keys *k, nsec now, struct str key, uint64_t applied)
{
	const struct mark *m = mark_find(&k->closed, key);

	return m == NULL || m->due <= now ? applied : m->index - 1;
}

uint64_t
keys_delays_over(const struct keys *k, nsec now, uint64_t applied)
{
	const struct mark *m;

	TAILQ_FOREACH(m, &k->closed.queue, queue_link)
		if (m->due > now)
			return m->index - 1;
	return applied;
}

void
keys_reap(struct keys *k, uint64_t tombstones, uint64_t delays)
{
	uint64_t highest = marks_reap(&k->tombs, tombstones);

	k->floors.tombstones = most_of(k->floors.tombstones, highest);
	marks_reap(&k->closed, delays);
}

size_t
keys_tombstone_count(const struct keys *k)
{
	return k->tombs.count;
}

size_t
keys_closed_count(const struct keys *k)
{
	return k->closed.count;
}

struct keys_floors
keys_floors(const struct keys *k)
{
	return k->floors;
}

void
keys_floors_set(struct keys *k, struct keys_floors f)
{
	k->floors.tombstones = most_of(k->floors.tombstones, f.tombstones);
	k->floors.restored = most_of(k->floors.restored, f.restored);
}

size_t
keys_marks(const struct keys *k, bool closed, struct key_mark **out)
{
	const struct marks *m = closed ? &k->closed : &k->tombs;
	struct key_mark *all = m->count == 0 ? NULL : mem_alloc(m->count * sizeof *all);
	size_t n = 0;

	for (struct mark *one = marks_first(m, STR_NONE); one != NULL; one = marks_next(one))
		all[n++] = (struct key_mark){ str_mem(one->key, one->key_n), one->index, one->delay };
	*out = all;
	return n;
}

bool
keys_load_entry(struct keys *k, const struct kv_op *op, uint64_t create, uint64_t modify,
    uint64_t lock_index, const struct uuid *session)
{
	struct key_entry *e;

	if (key_find(k, op->key) != NULL ||
	    (session != NULL && session_find(k->sessions, session) == NULL))
		return false;
	e = key_entry_new(op->key, op->value.n == 0 ? NULL : blob_new(op->value));
	e->create = create;
	e->modify = modify;
	e->lock_index = lock_index;
	e->flags = op->flags;
	e->held = session != NULL;
	if (session != NULL)
		e->session = *session;
	entry_in(k, e);
	return true;
}

bool
keys_load_mark(struct keys *k, nsec now, bool closed, const struct key_mark *m)
{
	struct marks *all = closed ? &k->closed : &k->tombs;
	struct mark *one;

	if (mark_find(all, m->key) != NULL || (!closed && key_find(k, m->key) != NULL))
		return false;
	one = mark_set(all, m->key, m->index);
	one->delay = m->delay;
	one->due = now + m->delay;
	return true;
}

void
keys_load_done(struct keys *k)
{
	marks_sort(&k->tombs);
	marks_sort(&k->closed);
}

/* kv/owner_range.c -- many records at once: ranges in and out, whole states, floors (RULES 1, 2).
 *
 * Parts: tombstones; the sender; a range taken in; a whole state staged and swapped; labels.
 *
 * Why a range may be cut short, be old, doubled or out of order, and yet nothing is lost or comes
 * back: records only ever give way to higher numbers of their own key; `number` moves only over
 * what is surely held; and what lies at or below the floor comes in whole states alone.
 */
#include <assert.h>
#include <stdlib.h>

#include "kv/owner.h"
#include "kv/owner_private.h"

/* Tombstones. */

void
owner_floor_raise(struct owner *o, uint64_t number)
{
	assert(!o->draining);
	if (number > o->number)
		number = o->number;
	if (number <= o->floor)
		return;
	owner_set_drop_gone(&o->held, number);
	o->floor = number;
}

/* Over the limit the older half goes, so that the walk past all the live records between them is
 * made once in many removals. */
void
owner_tombstones_trim(struct owner *o)
{
	size_t drop = o->held.gone - o->limits.tombstones_max / 2;
	const struct owner_item *i;
	uint64_t number = 0;

	if (o->held.gone <= o->limits.tombstones_max)
		return;
	TAILQ_FOREACH (i, &o->held.order, link) {
		if (i->body != NULL)
			continue;
		number = i->number;
		if (--drop == 0)
			break;
	}
	owner_floor_raise(o, number);
}

/* The sender. */

struct owner_range
owner_range_for(const struct owner *o, uint64_t after)
{
	struct owner_range r = {
		.epoch = o->epoch,
		.after = after,
		.upto = o->number,
		.floor = o->floor,
		.head = o->seen,
		.hash = o->held.hash,
	};

	if (r.after < r.floor)
		r.after = 0;
	if (r.after > r.upto)
		r.after = r.upto;
	return r;
}

bool
owner_range_next(
    const struct owner *o, const struct owner_range *r, uint64_t *cursor, struct owner_record *out)
{
	const struct owner_item *i = (const struct owner_item *)(uintptr_t)*cursor;

	i = i == NULL ? owner_set_after(&o->held, r->after) : TAILQ_NEXT(i, link);
	if (i == NULL || i->number > r->upto)
		return false;
	*cursor = (uintptr_t)i;
	*out = (struct owner_record){
		.kind = i->kind,
		.gone = i->body == NULL,
		.number = i->number,
		.key = owner_item_key(i),
		.body = i->body,
	};
	return true;
}

/* A range taken in. */

static void
owner_stage_begin(struct owner *o)
{
	owner_set_done(&o->stage); /* one begun before that was never whole */
	o->staging = true;
}

/* Of our own epoch: everything the range says is above our number, or it is no news; but for a
 * whole state at our very number with another hash (RULES 1), which can only mean that we hold
 * something else than its owner wrote. */
static enum owner_ranged
owner_range_sort(const struct owner *o, const struct owner_range *r, bool whole)
{
	if (r->upto <= o->number) {
		bool wrong = whole && !o->writer && r->upto == o->number && o->seen <= o->number &&
			     r->hash != o->held.hash;

		return wrong ? OWNER_RANGE_STAGE : OWNER_RANGE_OLD;
	}
	if (r->after > o->number)
		return OWNER_RANGE_REFUSE;
	if (r->floor > o->number) /* tombstones we never saw have been dropped */
		return whole ? OWNER_RANGE_STAGE : OWNER_RANGE_REFUSE;
	return OWNER_RANGE_APPLY;
}

enum owner_ranged
owner_range_begin(struct owner *o, const struct owner_range *r)
{
	bool whole = r->after == 0 && r->upto == r->head && r->floor <= r->upto;
	int order = epoch_cmp(&r->epoch, &o->epoch);
	enum owner_ranged as;

	assert(!o->draining);
	if (order < 0 || r->epoch.counter == 0 || r->upto == 0)
		return OWNER_RANGE_OLD;
	if (order > 0)
		as = whole ? OWNER_RANGE_STAGE : OWNER_RANGE_REFUSE;
	else
		as = owner_range_sort(o, r, whole);
	if (as == OWNER_RANGE_STAGE)
		owner_stage_begin(o);
	return as;
}

uint64_t
owner_wanted(const struct owner *o, struct epoch epoch)
{
	return epoch_cmp(&epoch, &o->epoch) > 0 ? 0 : o->number;
}

bool
owner_range_apply(struct owner *o, const struct record *r, struct owner_change *change)
{
	assert(!o->draining);
	return owner_use(o, r, change);
}

void
owner_range_end(struct owner *o, const struct owner_range *r)
{
	assert(!o->draining && epoch_cmp(&r->epoch, &o->epoch) == 0 && r->after <= o->number);
	if (o->seen < r->head)
		o->seen = r->head;
	if (o->number < r->upto)
		o->number = r->upto;
	if (o->seen < o->number)
		o->seen = o->number;
	owner_number_follow(o);
	owner_tombstones_trim(o);
}

/* A whole state staged and swapped. */

int
owner_stage_add(struct owner *o, const struct record *r, struct err *err)
{
	const struct owner_item *i = owner_set_find(&o->stage, r->kind, r->key);

	if (!o->staging)
		return err_set(err, ERR_STATE, "no whole state is being collected");
	if (r->key.n > RECORD_KEY_MAX)
		return err_set(err, ERR_INPUT, "a key of %zu bytes; the limit is %d", r->key.n,
		    RECORD_KEY_MAX);
	if (i != NULL && i->number >= r->number)
		return 0;
	blob_unref(owner_set_put(
	    &o->stage, r->kind, r->key, r->number, r->gone ? NULL : blob_new(r->body)));
	return 0;
}

/* Moves what was pushed ahead of a staged state of the same epoch over into it. */
static void
owner_stage_keep_ahead(struct owner *o, uint64_t upto)
{
	struct owner_item *i, *next, *staged;

	for (i = owner_set_after(&o->held, upto); i != NULL; i = next) {
		next = TAILQ_NEXT(i, link);
		staged = owner_set_find(&o->stage, i->kind, owner_item_key(i));
		if (staged != NULL) {
			owner_set_take(&o->stage, staged);
			owner_item_free(staged);
		}
		owner_set_take(&o->held, i);
		owner_set_add(&o->stage, i);
		i->seen = true;
	}
}

void
owner_stage_swap(struct owner *o, const struct owner_range *r)
{
	const struct owner_item *last;
	bool same = epoch_cmp(&r->epoch, &o->epoch) == 0;

	assert(!o->draining);
	if (!o->staging)
		return;
	if (same)
		owner_stage_keep_ahead(o, r->upto);
	owner_set_done(&o->old);
	owner_set_move(&o->old, &o->held);
	owner_set_move(&o->held, &o->stage);
	o->epoch = r->epoch;
	o->number = o->seen = r->upto;
	o->floor = r->floor;
	last = TAILQ_LAST(&o->held.order, owner_items);
	if (last != NULL && last->number > o->seen)
		o->seen = last->number;
	owner_number_follow(o);
	owner_tombstones_trim(o);
	o->staging = false;
	o->draining = true;
	o->relabelled = !same;
	o->fresh = TAILQ_FIRST(&o->held.order);
}

/* What has become of one item; false when nothing that anyone would see. Equal bytes stay the
 * blob they were. */
static bool
owner_stage_compare(
    struct owner *o, struct owner_item *was, struct owner_item *is, struct owner_change *change)
{
	struct blob *after = NULL;

	if (is != NULL) {
		is->seen = true;
		if (was->body != NULL && is->body != NULL &&
		    str_eq(blob_str(was->body), blob_str(is->body)))
			owner_set_rebody(&o->held, is, blob_ref(was->body));
		after = is->body;
	}
	if (was->body == after && (after == NULL || (is->number == was->number && !o->relabelled)))
		return false;
	owner_change_set(change, was->kind, owner_item_key(was),
	    is == NULL ? was->number : is->number, was->body == NULL ? NULL : blob_ref(was->body),
	    after);
	return true;
}

/* First what was there before, each item against what has taken its place, then what is new. */
bool
owner_stage_change(struct owner *o, struct owner_change *change)
{
	struct owner_item *was, *is;
	bool told = false;

	if (change != NULL)
		*change = (struct owner_change){ 0 };
	while (!told && (was = TAILQ_FIRST(&o->old.order)) != NULL) {
		is = owner_set_find(&o->held, was->kind, owner_item_key(was));
		told = owner_stage_compare(o, was, is, change);
		owner_set_take(&o->old, was);
		owner_item_free(was);
	}
	while (!told && (is = o->fresh) != NULL) {
		o->fresh = TAILQ_NEXT(is, link);
		told = !is->seen && is->body != NULL;
		if (told)
			owner_change_set(
			    change, is->kind, owner_item_key(is), is->number, NULL, is->body);
	}
	if (!told) {
		o->draining = false;
		owner_set_done(&o->old);
	}
	return told;
}

/* Labels. */

bool
owner_relabel(struct owner *o, struct epoch epoch, uint64_t hash)
{
	assert(!o->draining);
	if (epoch_cmp(&epoch, &o->epoch) <= 0)
		return true;
	if (o->held.hash != hash)
		return false;
	owner_set_drop_gone(&o->held, UINT64_MAX);
	owner_set_number_all(&o->held, 1);
	o->epoch = epoch;
	o->number = o->floor = o->seen = 1;
	return true;
}

/* kv/owner.c -- one owner's records: made and read, written here, pushed from elsewhere.
 *
 * Parts: changes; life; reading; the writer; single records from other agents. Ranges, whole
 * states and tombstones' ends are in owner_range.c, the two orders in owner_set.c.
 */
#include "kv/owner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kv/owner_private.h"

/* One host's share of a large cluster is a few thousand records; these are for what has gone
 * wrong, and for one agent that stands for many external nodes. */
const struct owner_limits owner_limits_default = {
	.records_max = 256 * 1024,
	.bytes_max = (size_t)64 * 1024 * 1024,
	.tombstones_max = 16 * 1024,
};

/* Changes. */

void
owner_change_set(struct owner_change *c, uint16_t kind, struct str key, uint64_t number,
    struct blob *before, struct blob *after)
{
	char *copy;

	if (c == NULL) {
		blob_unref(before);
		return;
	}
	copy = str_dup(key);
	*c = (struct owner_change){
		.kind = kind,
		.key = str_mem(copy, key.n),
		.number = number,
		.before = before,
		.after = after == NULL ? NULL : blob_ref(after),
	};
}

void
owner_change_done(struct owner_change *c)
{
	free((void *)(uintptr_t)c->key.p);
	blob_unref(c->before);
	blob_unref(c->after);
	memset(c, 0, sizeof *c);
}

static void
owner_change_none(struct owner_change *c)
{
	if (c != NULL)
		memset(c, 0, sizeof *c);
}

/* Life. */

struct owner *
owner_new(const struct uuid *id, const struct owner_limits *limits)
{
	struct owner *o = mem_new(struct owner);

	o->id = *id;
	o->limits = *limits;
	owner_set_init(&o->held);
	owner_set_init(&o->stage);
	owner_set_init(&o->old);
	return o;
}

void
owner_free(struct owner *o)
{
	if (o == NULL)
		return;
	owner_set_done(&o->held);
	owner_set_done(&o->stage);
	owner_set_done(&o->old);
	free(o);
}

/* Reading. */

int
epoch_cmp(const struct epoch *a, const struct epoch *b)
{
	if (a->counter != b->counter)
		return a->counter < b->counter ? -1 : 1;
	return a->nonce == b->nonce ? 0 : a->nonce < b->nonce ? -1 : 1;
}

const struct uuid *
owner_id(const struct owner *o)
{
	return &o->id;
}

struct digest
owner_digest(const struct owner *o)
{
	return (struct digest){
		.owner = o->id,
		.epoch = o->epoch,
		.number = o->number,
		.hash = o->held.hash,
		.exact = o->seen <= o->number,
	};
}

uint64_t
owner_floor(const struct owner *o)
{
	return o->floor;
}

size_t
owner_count(const struct owner *o)
{
	return o->held.live;
}

size_t
owner_bytes(const struct owner *o)
{
	return o->held.bytes;
}

bool
owner_is_writer(const struct owner *o)
{
	return o->writer;
}

bool
owner_find(const struct owner *o, uint16_t kind, struct str key, struct owner_record *out)
{
	const struct owner_item *i = owner_set_find(&o->held, kind, key);

	if (i == NULL)
		return false;
	*out = (struct owner_record){
		.kind = kind,
		.gone = i->body == NULL,
		.number = i->number,
		.key = owner_item_key(i),
		.body = i->body,
	};
	return true;
}

/* The writer. */

void
owner_epoch_begin(struct owner *o, struct epoch epoch)
{
	assert(!o->draining);
	owner_set_drop_gone(&o->held, UINT64_MAX);
	owner_set_number_all(&o->held, 1);
	o->epoch = epoch;
	o->number = o->floor = o->seen = 0;
	o->writer = true;
	o->baseline = true;
	o->given = false;
}

/* The floor is 1 from here: whoever is below it lacks the baseline, so takes the whole state. */
void
owner_baseline_end(struct owner *o)
{
	if (!o->baseline)
		return;
	o->baseline = false;
	o->number = o->floor = o->seen = 1;
}

void
owner_number_set(struct owner *o, uint64_t number)
{
	assert(!o->draining && !o->baseline && number >= o->number);
	o->given = true;
	o->number = o->seen = number;
}

static uint64_t
owner_number_next(struct owner *o)
{
	if (o->baseline)
		return 1;
	if (!o->given)
		o->number++;
	if (o->seen < o->number)
		o->seen = o->number;
	return o->number;
}

/* Whether a record may grow from `old` (NULL: not there) to these sizes. */
static int
owner_put_allowed(
    const struct owner *o, const struct blob *old, struct str key, struct str body, struct err *err)
{
	size_t bytes = o->held.bytes + body.n + (old == NULL ? key.n : 0);

	if (key.n > RECORD_KEY_MAX)
		return err_set(
		    err, ERR_LIMIT, "a key of %zu bytes; the limit is %d", key.n, RECORD_KEY_MAX);
	if (body.n > RECORD_BODY_MAX)
		return err_set(err, ERR_LIMIT, "a registration of %zu bytes; the limit is %d",
		    body.n, RECORD_BODY_MAX);
	if (old == NULL && o->held.live >= o->limits.records_max)
		return err_set(err, ERR_LIMIT, "%zu registrations are held; the limit is %zu",
		    o->held.live, o->limits.records_max);
	bytes -= old == NULL ? 0 : old->n;
	if (bytes > o->limits.bytes_max)
		return err_set(err, ERR_LIMIT,
		    "registrations would hold %zu bytes; the limit is %zu", bytes,
		    o->limits.bytes_max);
	return 0;
}

int
owner_put(struct owner *o, uint16_t kind, struct str key, struct str body,
    struct owner_change *change, struct err *err)
{
	const struct owner_item *i = owner_set_find(&o->held, kind, key);
	struct blob *old = i == NULL ? NULL : i->body, *fresh;
	uint64_t number;
	int rc;

	assert(!o->draining);
	owner_change_none(change);
	if (old != NULL && str_eq(blob_str(old), body))
		return 0;
	rc = owner_put_allowed(o, old, key, body, err);
	if (rc < 0)
		return rc;
	number = owner_number_next(o);
	fresh = blob_new(body);
	old = owner_set_put(&o->held, kind, key, number, fresh);
	owner_change_set(change, kind, key, number, old, fresh);
	return 1;
}

/* In a baseline nothing has been told yet, so nobody needs a tombstone. */
int
owner_remove(struct owner *o, uint16_t kind, struct str key, struct owner_change *change)
{
	struct owner_item *i = owner_set_find(&o->held, kind, key);
	uint64_t number;

	assert(!o->draining);
	owner_change_none(change);
	if (i == NULL || i->body == NULL)
		return 0;
	number = owner_number_next(o);
	owner_change_set(change, kind, key, number, blob_ref(i->body), NULL);
	if (o->baseline) {
		owner_set_take(&o->held, i);
		owner_item_free(i);
		return 1;
	}
	blob_unref(owner_set_put(&o->held, kind, key, number, NULL));
	owner_tombstones_trim(o);
	return 1;
}

int
owner_assert(struct owner *o, uint16_t kind, struct str key, struct owner_change *change)
{
	const struct owner_item *i = owner_set_find(&o->held, kind, key);
	struct blob *body;
	uint64_t number;

	assert(!o->draining);
	owner_change_none(change);
	if (i == NULL || i->body == NULL)
		return 0;
	body = blob_ref(i->body);
	number = owner_number_next(o);
	blob_unref(owner_set_put(&o->held, kind, key, number, body));
	owner_change_set(change, kind, key, number, blob_ref(body), body);
	return 1;
}

/* Single records from other agents. */

/* At or below the floor the record may have been deleted and its tombstone dropped: it must not
 * come back. Above, whatever is newer than what is held for its key is good. Equal bytes keep
 * the blob that indexes point into. */
bool
owner_use(struct owner *o, const struct record *r, struct owner_change *change)
{
	const struct owner_item *i = owner_set_find(&o->held, r->kind, r->key);
	struct blob *before, *after = NULL;

	owner_change_none(change);
	if (r->number <= o->floor || r->key.n > RECORD_KEY_MAX)
		return false;
	if (i != NULL && i->number >= r->number)
		return false;
	if (!r->gone) {
		bool equal = i != NULL && i->body != NULL && str_eq(blob_str(i->body), r->body);

		after = equal ? blob_ref(i->body) : blob_new(r->body);
	}
	before = owner_set_put(&o->held, r->kind, r->key, r->number, after);
	if (before == NULL && after == NULL)
		return false;
	owner_change_set(change, r->kind, r->key, r->number, before, after);
	return true;
}

/* Every number is one change of one record, so a run of records held from `number` on means that
 * nothing is missing in it: a push that came late closes its gap by itself. */
void
owner_number_follow(struct owner *o)
{
	const struct owner_item *i;

	if (o->seen <= o->number)
		return;
	for (i = owner_set_after(&o->held, o->number); i != NULL; i = TAILQ_NEXT(i, link)) {
		if (i->number > o->number + 1)
			break;
		o->number = i->number;
	}
}

enum owner_pushed
owner_push(struct owner *o, struct epoch epoch, const struct record *r, struct owner_change *change,
    bool *changed)
{
	int order = epoch_cmp(&epoch, &o->epoch);

	assert(!o->draining);
	owner_change_none(change);
	*changed = false;
	if (order > 0)
		return OWNER_OTHER_EPOCH;
	if (order < 0 || epoch.counter == 0)
		return OWNER_STALE;
	*changed = owner_use(o, r, change);
	if (r->number > o->seen)
		o->seen = r->number;
	if (r->number <= o->number)
		return *changed ? OWNER_APPLIED : OWNER_STALE;
	if (r->number - 1 > o->number)
		return OWNER_GAP;
	o->number = r->number;
	owner_number_follow(o);
	owner_tombstones_trim(o);
	return OWNER_APPLIED;
}

/* kv/store_remote.c -- records that other agents send: pushed, in ranges, as whole states.
 *
 * Parts: what is let in; single records; ranges; announced baselines. Each call is one catalog
 * step, so a whole state that replaces another shows at once or not at all (RULES 1, 2).
 */
#include "kv/delta.h"
#include "kv/store_priv.h"

/* An epoch or a number further ahead than this is no news but an error (RULES 18). */
#define JUMP_MAX ((uint64_t)1 << 32)

/* What is let in. */

static bool
is_jump(const struct owner *o, struct epoch epoch, uint64_t number)
{
	struct digest have = owner_digest(o);
	uint64_t from = epoch.counter == have.epoch.counter ? have.number : 0;

	return (epoch.counter > have.epoch.counter &&
		   epoch.counter - have.epoch.counter > JUMP_MAX) ||
	       (number > from && number - from > JUMP_MAX);
}

/* Whose records these are, when they are welcome; `bytes` of them. */
static struct store_member *
welcome(struct store *s, struct now now, const struct uuid *id, struct epoch epoch, uint64_t number,
    size_t bytes)
{
	struct store_member *m = store_member_for(s, now, id, epoch);

	if (m == NULL) {
		s->stats.stale++;
		return NULL;
	}
	if (is_jump(m->owner, epoch, number)) {
		s->stats.refused++;
		return NULL;
	}
	if (m->state == MEMBER_UNKNOWN && s->unknown_bytes + bytes > s->config.unknown_bytes_max) {
		s->stats.unknown_dropped++;
		return NULL;
	}
	return m;
}

/* The change is in its owner; the catalog looks at it when it may show. Takes the change. */
static void
take_in(struct store *s, struct catalog_step *step, const struct store_member *m,
    struct owner_change *change)
{
	s->stats.applied++;
	if (m->state != MEMBER_UNKNOWN)
		catalog_record_changed(step, &m->id, change->kind, change->key);
	owner_change_done(change);
}

static void
ask(struct store_needs *needs, const struct owner *o, struct epoch epoch)
{
	needs->range = true;
	needs->after = owner_wanted(o, epoch);
	needs->whole = epoch.counter != owner_digest(o).epoch.counter ||
		       epoch.nonce != owner_digest(o).epoch.nonce;
}

/* Single records. */

void
store_push(struct store *s, struct now now, const struct uuid *owner, struct epoch epoch,
    const struct record *r, struct store_needs *needs)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);
	struct store_member *m =
	    welcome(s, now, owner, epoch, r->number, r->key.n + r->body.n + STORE_RECORD_COST);
	struct owner_change change;
	enum owner_pushed pushed;
	size_t cost;
	bool changed;

	*needs = (struct store_needs){ 0 };
	if (m == NULL)
		return;
	cost = store_member_cost(m);
	pushed = owner_push(m->owner, epoch, r, &change, &changed);
	s->unknown_bytes += store_member_cost(m) - cost;
	if (changed)
		take_in(s, &step, m, &change);
	if (pushed == OWNER_STALE && !changed)
		s->stats.stale++;
	if (pushed == OWNER_GAP)
		s->stats.gaps++;
	if (pushed == OWNER_GAP || pushed == OWNER_OTHER_EPOCH)
		ask(needs, m->owner, epoch);
}

/* Ranges. */

static void
range_apply(struct store *s, struct catalog_step *step, struct store_member *m,
    const struct owner_range *range, struct reader *r)
{
	struct owner_change change;
	struct record record;

	while (record_read(r, &record))
		if (owner_range_apply(m->owner, &record, &change))
			take_in(s, step, m, &change);
	owner_range_end(m->owner, range);
}

static int
range_stage(struct store *s, struct catalog_step *step, struct store_member *m,
    const struct owner_range *range, struct reader *r, struct err *err)
{
	struct digest before = owner_digest(m->owner);
	struct owner_change change;
	struct record record;

	while (record_read(r, &record)) {
		int rc = owner_stage_add(m->owner, &record, err);

		if (rc < 0)
			return rc;
	}
	s->stats.whole_transfers++;
	if (before.number == range->upto && before.epoch.counter == range->epoch.counter)
		s->stats.hash_mismatch++;
	owner_stage_swap(m->owner, range);
	if (m->state != MEMBER_UNKNOWN) /* first where all the rest belongs now */
		catalog_record_changed(step, &m->id, RECORD_NODE, STR_NONE);
	while (owner_stage_change(m->owner, &change))
		take_in(s, step, m, &change);
	return 0;
}

int
store_range(
    struct store *s, struct now now, struct str bytes, struct store_needs *needs, struct err *err)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);
	struct reader r = rd_of(bytes);
	struct owner_range range;
	struct store_member *m;
	struct uuid owner;
	size_t cost;
	int rc = 0;

	*needs = (struct store_needs){ 0 };
	if (!delta_range_head(&r, &owner, &range))
		return err_set(err, ERR_INPUT, "malformed range of %zu bytes", bytes.n);
	m = welcome(s, now, &owner, range.epoch, range.head > range.upto ? range.head : range.upto,
	    bytes.n + range.count * STORE_RECORD_COST);
	if (m == NULL)
		return 0;
	cost = store_member_cost(m);
	switch (owner_range_begin(m->owner, &range)) {
	case OWNER_RANGE_APPLY:
		range_apply(s, &step, m, &range, &r);
		if (range.head > owner_digest(m->owner).number)
			ask(needs, m->owner, range.epoch);
		break;
	case OWNER_RANGE_STAGE:
		rc = range_stage(s, &step, m, &range, &r, err);
		break;
	case OWNER_RANGE_REFUSE:
		s->stats.gaps++;
		ask(needs, m->owner, range.epoch);
		break;
	case OWNER_RANGE_OLD:
		s->stats.stale++;
	}
	s->unknown_bytes += store_member_cost(m) - cost;
	return rc;
}

/* Announced baselines. */

void
store_baseline(struct store *s, struct now now, const struct uuid *owner, struct epoch epoch,
    uint64_t hash, struct store_needs *needs)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);
	struct store_member *m = welcome(s, now, owner, epoch, 1, 0);
	struct epoch before;

	*needs = (struct store_needs){ 0 };
	if (m == NULL)
		return;
	before = owner_digest(m->owner).epoch;
	if (!owner_relabel(m->owner, epoch, hash)) {
		ask(needs, m->owner, epoch);
		return;
	}
	if (before.counter != owner_digest(m->owner).epoch.counter)
		catalog_epoch_changed(&step, owner);
}

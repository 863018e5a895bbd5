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

/* Beyond what is held: an owner never heard of may be at any number, since the virtual owner's are
 * Raft indexes; but counters of epochs start at 1. */
bool
store_is_jump(const struct owner *o, struct epoch epoch, uint64_t number)
{
	struct digest have = { 0 };

	if (o != NULL)
		have = owner_digest(o);
	if (epoch.counter > have.epoch.counter && epoch.counter - have.epoch.counter > JUMP_MAX)
		return true;
	return have.epoch.counter > 0 && number > have.number && number - have.number > JUMP_MAX;
}

bool
store_takes(const struct store *s, const struct uuid *id, struct epoch epoch, uint64_t number)
{
	const struct store_member *m = store_member_find(s, id);

	if (epoch.counter == 0 || (m != NULL && m->owner == s->self))
		return false;
	if (m != NULL && epoch.counter <= m->gone_at.counter)
		return false;
	return !store_is_jump(m == NULL ? NULL : m->owner, epoch, number);
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
	if (store_is_jump(m->owner, epoch, number)) {
		s->stats.refused++;
		return NULL;
	}
	store_member_heard(m, epoch);
	if (m->state == MEMBER_UNKNOWN && s->unknown_bytes + bytes > s->config.unknown_bytes_max) {
		s->stats.unknown_dropped++;
		return NULL;
	}
	return m;
}

void
store_heard(struct store *s, const struct uuid *id, struct epoch epoch)
{
	struct store_member *m = store_member_find(s, id);

	if (m != NULL && m->owner != NULL && !store_is_jump(m->owner, epoch, 0))
		store_member_heard(m, epoch);
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
	else
		s->version++;
	if (pushed == OWNER_GAP)
		s->stats.gaps++;
	if (pushed == OWNER_GAP || pushed == OWNER_OTHER_EPOCH)
		ask(needs, m->owner, epoch);
}

/* All at once, when nothing before them is missing. */
static bool
run_apply(struct store *s, struct catalog_step *step, struct store_member *m,
    const struct owner_range *range, struct str records)
{
	struct reader r = rd_of(records);
	struct owner_change change;
	struct record record;

	if (owner_range_begin(m->owner, range) != OWNER_RANGE_APPLY)
		return false;
	while (record_read(&r, &record))
		if (owner_range_apply(m->owner, &record, &change))
			take_in(s, step, m, &change);
	owner_range_end(m->owner, range);
	s->version++;
	return true;
}

/* One by one, each guarded by its own number. */
static void
run_push(struct store *s, struct catalog_step *step, struct store_member *m, struct epoch epoch,
    struct str records, struct store_needs *needs)
{
	struct reader r = rd_of(records);
	enum owner_pushed pushed = OWNER_STALE;
	struct owner_change change;
	struct record record;
	bool changed, any = false;

	while (record_read(&r, &record)) {
		pushed = owner_push(m->owner, epoch, &record, &change, &changed);
		any |= changed || pushed == OWNER_APPLIED || pushed == OWNER_GAP;
		if (changed)
			take_in(s, step, m, &change);
	}
	s->version += any;
	s->stats.stale += !any;
	s->stats.gaps += pushed == OWNER_GAP;
	if (pushed == OWNER_GAP || pushed == OWNER_OTHER_EPOCH)
		ask(needs, m->owner, epoch);
}

void
store_push_run(struct store *s, struct now now, const struct uuid *owner, struct epoch epoch,
    uint64_t after, struct str records, struct store_needs *needs)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);
	struct owner_range range = { .epoch = epoch, .after = after, .floor = after };
	struct reader r = rd_of(records);
	struct store_member *m;
	struct record record;
	struct epoch have;
	size_t cost;

	*needs = (struct store_needs){ 0 };
	for (; record_read(&r, &record); range.count++)
		range.upto = range.head = record.number;
	if (range.count == 0 || after == 0)
		return;
	m = welcome(s, now, owner, epoch, range.upto, records.n + range.count * STORE_RECORD_COST);
	if (m == NULL)
		return;
	cost = store_member_cost(m);
	have = owner_digest(m->owner).epoch;
	if (epoch_cmp(&epoch, &have) != 0 || !run_apply(s, &step, m, &range, records))
		run_push(s, &step, m, epoch, records, needs);
	s->unknown_bytes += store_member_cost(m) - cost;
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

/* A piece that overtook the one before it: its records are used as if they had been pushed. */
static void
range_ahead(struct store *s, struct catalog_step *step, struct store_member *m,
    const struct owner_range *range, struct reader *r)
{
	struct epoch have = owner_digest(m->owner).epoch;
	struct owner_change change;
	struct record record;
	bool changed;

	if (epoch_cmp(&range->epoch, &have) != 0)
		return;
	s->version++;
	while (record_read(r, &record)) {
		owner_push(m->owner, range->epoch, &record, &change, &changed);
		if (changed)
			take_in(s, step, m, &change);
	}
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
		s->version++;
		range_apply(s, &step, m, &range, &r);
		if (range.head > owner_digest(m->owner).number)
			ask(needs, m->owner, range.epoch);
		break;
	case OWNER_RANGE_STAGE:
		s->version++;
		rc = range_stage(s, &step, m, &range, &r, err);
		break;
	case OWNER_RANGE_REFUSE:
		s->stats.gaps++;
		range_ahead(s, &step, m, &range, &r);
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
	struct epoch before, after;

	*needs = (struct store_needs){ 0 };
	if (m == NULL)
		return;
	before = owner_digest(m->owner).epoch;
	if (!owner_relabel(m->owner, epoch, hash)) {
		ask(needs, m->owner, epoch);
		return;
	}
	after = owner_digest(m->owner).epoch;
	if (epoch_cmp(&before, &after) == 0)
		return;
	s->version++;
	if (m->state != MEMBER_UNKNOWN)
		catalog_epoch_changed(&step, owner);
}

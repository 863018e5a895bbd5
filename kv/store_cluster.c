/* kv/store_cluster.c -- the virtual owner at a server: the log's table taken into the store (RULES
 * 4).
 *
 * The store holds a copy like any other agent's. It is brought up to date as by a range that has
 * come from elsewhere, so all guards of ranges hold: what gossip has brought already is no news.
 */
#include "kv/store_priv.h"

static void
take_change(
    struct store *s, struct catalog_step *step, const struct uuid *id, struct owner_change *change)
{
	s->stats.applied++;
	s->version++;
	catalog_record_changed(step, id, change->kind, change->key);
	owner_change_done(change);
}

static struct record
record_of(const struct owner_record *r)
{
	return (struct record){
		.kind = r->kind,
		.gone = r->gone,
		.number = r->number,
		.key = r->key,
		.body = r->gone ? STR_NONE : blob_str(r->body),
	};
}

static void
take_range(struct store *s, struct catalog_step *step, const struct uuid *id,
    const struct owner *from, const struct owner_range *range)
{
	struct owner_change change;
	struct owner_record r;
	struct record record;
	uint64_t cursor = 0;

	while (owner_range_next(from, range, &cursor, &r)) {
		record = record_of(&r);
		if (owner_range_apply(s->cluster, &record, &change))
			take_change(s, step, id, &change);
	}
	owner_range_end(s->cluster, range);
	s->version++;
}

static void
take_whole(struct store *s, struct catalog_step *step, const struct uuid *id,
    const struct owner *from, const struct owner_range *range)
{
	struct owner_change change;
	struct owner_record r;
	struct record record;
	uint64_t cursor = 0;

	while (owner_range_next(from, range, &cursor, &r)) {
		record = record_of(&r);
		(void)owner_stage_add(s->cluster, &record, NULL); /* the log has looked at it */
	}
	owner_stage_swap(s->cluster, range);
	while (owner_stage_change(s->cluster, &change))
		take_change(s, step, id, &change);
	s->version++;
}

/* All of it, or what is numbered above what we have. */
static struct owner_range
range_of(const struct store *s, struct epoch epoch, const struct owner *from)
{
	struct digest have = owner_digest(s->cluster), is = owner_digest(from);
	bool same = epoch_cmp(&have.epoch, &epoch) == 0;
	bool differs = have.number == is.number && have.hash != is.hash && have.exact;
	struct owner_range range = owner_range_for(from, same && !differs ? have.number : 0);

	range.epoch = epoch;
	return range;
}

static void
cluster_begin(struct store *s, struct now now, const struct uuid *id)
{
	store_cluster(s, now, id, true);
	s->cluster = store_member_find(s, id)->owner;
	s->config.cluster = *id;
	s->cluster_taken = true;
	s->cluster_silent = true;
}

/* From here on changes are news; what is there already digests tell of. */
static void
silent_set(struct store *s, bool silent)
{
	if (s->cluster_silent && !silent)
		s->cluster_news = (struct store_news){
			.number = owner_digest(s->cluster).number,
			.count = SIZE_MAX,
		};
	if (s->cluster_news.number == 0)
		s->cluster_news.number = 1;
	s->cluster_silent = silent;
}

void
store_cluster_take(struct store *s, struct now now, const struct uuid *id, struct epoch epoch,
    const struct owner *from, bool tell)
{
	struct catalog_step step;
	struct owner_range range;

	if (s->cluster == NULL)
		cluster_begin(s, now, id);
	if (!store_cluster_is_taken(s, id))
		return;
	silent_set(s, !tell);
	step = catalog_step(s->catalog, now.wall_ms);
	range = range_of(s, epoch, from);
	switch (owner_range_begin(s->cluster, &range)) {
	case OWNER_RANGE_APPLY:
		take_range(s, &step, id, from, &range);
		break;
	case OWNER_RANGE_STAGE:
		take_whole(s, &step, id, from, &range);
		break;
	case OWNER_RANGE_REFUSE:
	case OWNER_RANGE_OLD:
		break; /* gossip was faster */
	}
}

const struct owner *
store_cluster_owner(const struct store *s)
{
	return s->cluster;
}

bool
store_cluster_is_taken(const struct store *s, const struct uuid *id)
{
	return s->cluster_taken && uuid_eq(id, &s->config.cluster);
}

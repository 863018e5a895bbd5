/* agent/http/carry_records.c -- see carry_records.h. */
#include "agent/http/carry_records.h"

#include "kv/delta.h"

struct http_position
carry_position(const struct store *store, const struct uuid *owner)
{
	struct http_position p = { .agent = *owner };
	struct digest have;

	if (store_digest_of(store, owner, &have)) {
		p.epoch = have.epoch;
		p.number = have.number;
	}
	return p;
}

struct str
carry_records_for(const struct store *store, const struct http_request *rq, struct buf *out)
{
	const struct owner *o = store_cluster_owner(store);
	const struct http_position *sees = &rq->sees;
	uint64_t after = 0;
	struct epoch epoch;

	if (!rq->wants_records)
		return STR_NONE;
	if (o != NULL) {
		epoch = owner_digest(o).epoch;
		if (uuid_eq(owner_id(o), &sees->agent) && epoch_cmp(&epoch, &sees->epoch) == 0)
			after = sees->number;
		delta_range(o, after, CARRY_RECORDS_MAX, out);
	}
	return out->n > 0 ? buf_str(out) : STR("");
}

bool
carry_records_take(
    struct store *store, struct now now, const struct uuid *cluster, struct str records)
{
	struct store_needs unused; /* what is missing still comes by gossip */

	if (!uuid_zero(cluster))
		store_cluster(store, now, cluster, true);
	return store_range(store, now, records, &unused, NULL) == 0;
}

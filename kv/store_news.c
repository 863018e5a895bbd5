/* kv/store_news.c -- what others are told of the store: our own changes, and digests.
 *
 * Parts: news, in order of number, each once; digests of all owners.
 */
#include "kv/store_priv.h"

/* News. */

static bool
news_next(const struct owner *o, struct store_news *news, uint64_t *after, struct owner_record *out)
{
	struct owner_range range = { .after = news->number - 1, .upto = UINT64_MAX };
	struct owner_record r;
	uint64_t cursor = 0;
	size_t count = 0;

	if (news->number == 0) /* no baseline yet */
		return false;
	if (news->count == SIZE_MAX)
		range.after++;
	while (owner_range_next(o, &range, &cursor, &r)) {
		if (r.number == news->number && count++ < news->count)
			continue;
		*after = r.number == news->number ? r.number - 1 : news->number;
		if (*after < owner_floor(o)) /* tombstones in between are dropped already */
			*after = owner_floor(o);
		news->count = r.number == news->number ? count : 1;
		news->number = r.number;
		*out = r;
		return true;
	}
	return false;
}

bool
store_news_next(struct store *s, struct uuid *owner, uint64_t *after, struct owner_record *out)
{
	if (news_next(s->self, &s->self_news, after, out))
		*owner = s->config.self;
	else if (s->cluster != NULL && !s->cluster_silent &&
		 news_next(s->cluster, &s->cluster_news, after, out))
		*owner = s->config.cluster;
	else
		return false;
	return true;
}

bool
store_baseline_next(struct store *s, struct uuid *owner, struct epoch *epoch, uint64_t *hash)
{
	bool own = s->self_news.baseline;
	struct store_news *news = own ? &s->self_news : &s->cluster_news;

	if (!news->baseline)
		return false;
	news->baseline = false;
	*owner = own ? s->config.self : s->config.cluster;
	*epoch = owner_digest(own ? s->self : s->cluster).epoch;
	*hash = news->hash;
	return true;
}

/* Digests. */

/* Owners that membership does not know are not told of: nobody should be asked for more. Nor what
 * a certificate keeps away: nobody should ask for it (RULES 6). */
static bool
digest_told(const struct store_member *m, struct digest *out)
{
	if (m->state != MEMBER_ALIVE && m->state != MEMBER_FAILED)
		return false;
	*out = owner_digest(m->owner);
	return out->epoch.counter > m->gone_at.counter && out->number > 0;
}

bool
store_digest_next(const struct store *s, size_t *cursor, struct digest *out)
{
	struct store_member *m = (struct store_member *)*cursor;

	while ((m = store_member_next(s, m)) != NULL) {
		*cursor = (uintptr_t)m;
		if (digest_told(m, out))
			return true;
	}
	return false;
}

bool
store_digest_of(const struct store *s, const struct uuid *id, struct digest *out)
{
	const struct store_member *m = store_member_find(s, id);
	struct digest d;

	if (m == NULL || !digest_told(m, &d))
		return false;
	*out = d;
	return true;
}

uint64_t
store_version(const struct store *s)
{
	return s->version;
}

/* kv/spread_repair.c -- anti-entropy: a hash, then hashes of buckets, then digests, then ranges.
 *
 *     a --SUMMARY--> b             equal: silence
 *     a <--BUCKETS-- b             or at once DIGESTS, where all of b's fit a datagram
 *     a --DIGESTS--> b             of the buckets that differ; by stream when they do not fit
 *     a <--RANGES, WANT-- b        what a lacks, what b lacks
 *
 * Every side may begin anew at any step: nothing is remembered between messages. (Scuttlebutt
 * reconciliation, van Renesse et al., 2008, over a hash tree two levels deep.)
 *
 * Parts: hashes; sending; taking; what rides in push/pull; the timer.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "kv/spread_priv.h"

/* Hashes. A bucket's is a sum, so it could be kept up to date; made anew it is cheap enough, since
 * that is only done when a hash is needed and something has changed. */

static void
sums_add(struct spread_sums *sums, const struct digest *d)
{
	uint8_t room[DIGEST_SIZE_MAX];
	struct writer w = wr_of(room, sizeof room);
	struct digest plain = *d;

	plain.exact = true; /* says how we came to be there, not where */
	digest_write(&w, &plain);
	sums->bucket[delta_bucket(&d->owner)] += XXH3_64bits(room, w.pos);
	sums->bytes += w.pos;
}

const struct spread_sums *
spread_sums(struct spread *s)
{
	uint8_t room[8 * DELTA_BUCKETS];
	struct writer w = wr_of(room, sizeof room);
	struct digest d;
	size_t cursor = 0;

	if (s->sums.valid && s->sums.version == store_version(s->store))
		return &s->sums;
	s->sums = (struct spread_sums){ .valid = true, .version = store_version(s->store) };
	while (store_digest_next(s->store, &cursor, &d))
		sums_add(&s->sums, &d);
	for (size_t i = 0; i < DELTA_BUCKETS; i++)
		wr_be64(&w, s->sums.bucket[i]);
	s->sums.all = XXH3_64bits(room, w.pos);
	return &s->sums;
}

/* Sending. */

void
spread_compare(struct spread *s, const struct uuid *peer)
{
	struct writer w = spread_begin(s, SPREAD_M_SUMMARY);

	wr_be64(&w, spread_sums(s)->all);
	spread_send(s, peer, wr_done(&w));
	s->stats.repairs++;
}

static void
buckets_write(struct spread *s, struct writer *w)
{
	const struct spread_sums *sums = spread_sums(s);

	for (size_t i = 0; i < DELTA_BUCKETS; i++)
		wr_be64(w, sums->bucket[i]);
}

/* The digests of these buckets; by stream when they do not fit a datagram. */
static void
digests_send(struct spread *s, const struct uuid *peer, uint64_t buckets)
{
	struct writer w = spread_begin(s, SPREAD_M_DIGESTS);
	struct digest d;
	size_t cursor = 0;

	wr_be64(&w, buckets);
	while (store_digest_next(s->store, &cursor, &d))
		if (buckets >> delta_bucket(&d.owner) & 1)
			digest_write(&w, &d);
	if (w.full)
		spread_ask_buckets(s, peer, buckets);
	else
		spread_send(s, peer, wr_done(&w));
}

/* Taking. */

/* An exchange with this peer is under way: none need be begun. */
static void
compare_over(struct spread *s, const struct uuid *peer)
{
	struct spread_peer *p = spread_peer_find(s, peer);

	if (p != NULL)
		p->compare_at = NSEC_NEVER;
}

bool
spread_summary_take(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct str message)
{
	uint64_t theirs = rd_be64(r);
	const struct spread_sums *sums = spread_sums(s);
	struct writer w;

	(void)now;
	(void)message;
	if (!rd_ok(r))
		return false;
	compare_over(s, sender);
	if (theirs == sums->all)
		return true;
	if (SPREAD_HEAD + 8 + sums->bytes <= s->config.datagram_max) {
		digests_send(s, sender, UINT64_MAX);
		return true;
	}
	w = spread_begin(s, SPREAD_M_BUCKETS);
	buckets_write(s, &w);
	spread_send(s, sender, wr_done(&w));
	return true;
}

static uint64_t
buckets_differ(struct spread *s, struct reader *r)
{
	const struct spread_sums *sums = spread_sums(s);
	uint64_t buckets = 0;

	for (size_t i = 0; i < DELTA_BUCKETS; i++)
		if (rd_be64(r) != sums->bucket[i])
			buckets |= (uint64_t)1 << i;
	return buckets;
}

bool
spread_buckets_take(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct str message)
{
	uint64_t buckets = buckets_differ(s, r);

	(void)now;
	(void)message;
	if (!rd_ok(r))
		return false;
	compare_over(s, sender);
	if (buckets != 0)
		digests_send(s, sender, buckets);
	return true;
}

/* What we hold in these buckets and they do not tell of. Both lists are sorted. */
static void
give_unheard(struct spread *s, struct spread_giving *g, uint64_t buckets, struct reader theirs)
{
	struct digest ours, d;
	bool more = digest_read(&theirs, &d);
	size_t cursor = 0;

	while (store_digest_next(s->store, &cursor, &ours)) {
		struct digest unheard = { .owner = ours.owner };

		while (more && uuid_cmp(&d.owner, &ours.owner) < 0)
			more = digest_read(&theirs, &d);
		if (more && uuid_eq(&d.owner, &ours.owner))
			continue;
		if (buckets >> delta_bucket(&ours.owner) & 1)
			spread_giving_owner(s, g, &unheard);
	}
}

bool
spread_digests_take(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct str message)
{
	uint64_t buckets = rd_be64(r);
	struct spread_giving g;
	struct reader again;
	struct digest d;

	(void)message;
	if (!rd_ok(r) || !spread_digests_ok(*r, true))
		return false;
	compare_over(s, sender);
	again = *r;
	spread_giving_begin(s, &g, sender);
	while (rd_left(r) > 0 && digest_read(r, &d))
		if (spread_digest_take(s, now, sender, &d) >= DELTA_GIVE)
			spread_giving_owner(s, &g, &d);
	give_unheard(s, &g, buckets, again);
	spread_giving_end(s, &g);
	return true;
}

/* What rides in push/pull. */

void
spread_digest_write(struct spread *s, struct now now, struct buf *out)
{
	const size_t n = SPREAD_HEAD + 8 * DELTA_BUCKETS;
	char *room = buf_reserve(out, n);
	struct writer w;

	if (room == NULL)
		return;
	w = wr_of(room, n);
	spread_head_write(s, &w, SPREAD_M_STATE);
	buckets_write(s, &w);
	buf_commit(out, w.pos);
	spread_certificates_write(s, now, out);
}

/* Both sides read the other's state: the one with the lower id begins, the other looks later
 * whether that did it. */
static void
state_take(struct spread *s, struct now now, const struct uuid *sender, uint64_t buckets)
{
	struct spread_peer *p = spread_peer_find(s, sender);

	if (buckets == 0 || p == NULL)
		return;
	if (uuid_cmp(&s->config.self, sender) < 0)
		digests_send(s, sender, buckets);
	else if (p->compare_at == NSEC_NEVER)
		spread_compare_at(s, p, now.mono + SPREAD_SOON);
}

void
spread_digest_read(struct spread *s, struct now now, struct str bytes)
{
	struct reader r = rd_of(bytes), certificates, ahead;
	struct uuid sender;
	uint64_t buckets;
	uint8_t kind;

	spread_step_begin(s);
	if (!spread_head_read(&r, &kind, &sender) || kind != SPREAD_M_STATE) {
		s->stats.malformed++;
		return;
	}
	buckets = buckets_differ(s, &r);
	certificates = ahead = r;
	if (!spread_certificates_ok(&ahead)) {
		s->stats.malformed++;
		return;
	}
	spread_certificates_take(s, now, &certificates);
	state_take(s, now, &sender, buckets);
	spread_step_end(s, now);
}

/* The timer. */

nsec
spread_repair_pause(struct spread *s)
{
	nsec quarter = s->config.repair_interval / 4;

	return s->config.repair_interval - quarter + quarter / 500 * (nsec)rng_below(&s->rng, 1000);
}

void
spread_repair_soon(struct spread *s, struct now now)
{
	s->repair_at = nsec_min(s->repair_at, now.mono + SPREAD_SOON);
}

void
spread_repair_tick(struct spread *s, struct now now)
{
	struct spread_peer *p;

	if (s->repair_at > now.mono)
		return;
	s->repair_at = now.mono + spread_repair_pause(s);
	p = spread_peer_random(s, NULL);
	if (p != NULL)
		spread_compare(s, &p->id);
}

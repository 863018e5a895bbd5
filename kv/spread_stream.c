/* kv/spread_stream.c -- what is too much for datagrams: requests and answers of streams.
 *
 *     we --SYNC: our digests-->          peer
 *     we <--ANSWER: ranges, its lacks--  peer     again while it has more
 *     we --GIVE: ranges-->               peer     again while it lacks more
 *     we <--GIVEN--                      peer
 *
 * Parts: the queue; requests out; answers in; requests in.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "kv/spread_priv.h"

#define FLAG_LISTED 1
#define FLAG_MORE 1

/* The queue. */

void
spread_ask_free(struct spread *s, struct spread_ask *a)
{
	TAILQ_REMOVE(&s->asks, a, link);
	s->ask_count--;
	s->ask_running -= a->phase != SPREAD_QUEUED;
	buf_done(&a->lacks);
	free(a);
}

static bool
is_all(const struct spread_ask *a)
{
	return a->scope.buckets == UINT64_MAX && !a->scope.listed;
}

bool
spread_ask_all_pending(const struct spread *s)
{
	const struct spread_ask *a;

	TAILQ_FOREACH (a, &s->asks, link)
		if (is_all(a))
			return true;
	return false;
}

/* The one that waits for this peer, or a new one; NULL: there are too many. */
static struct spread_ask *
ask_for(struct spread *s, const struct uuid *peer)
{
	struct spread_ask *a;

	TAILQ_FOREACH (a, &s->asks, link)
		if (a->phase == SPREAD_QUEUED && uuid_eq(&a->peer, peer))
			return a;
	if (s->ask_count >= SPREAD_ASKS_MAX)
		return NULL;
	a = mem_new(struct spread_ask);
	a->peer = *peer;
	a->scope.listed = true;
	a->until = NSEC_NEVER;
	buf_init(&a->lacks, SPREAD_STREAM_CAP);
	TAILQ_INSERT_TAIL(&s->asks, a, link);
	s->ask_count++;
	return a;
}

void
spread_ask_buckets(struct spread *s, const struct uuid *peer, uint64_t buckets)
{
	struct spread_ask *a = ask_for(s, peer);

	if (a == NULL)
		return;
	for (size_t i = 0; i < a->owner_count; i++)
		buckets |= (uint64_t)1 << delta_bucket(&a->owners[i]);
	a->owner_count = 0;
	a->scope.listed = false;
	a->scope.buckets |= buckets;
}

void
spread_ask_all(struct spread *s, const struct uuid *peer)
{
	spread_ask_buckets(s, peer, UINT64_MAX);
}

/* A whole exchange that is about to come brings this owner too. */
void
spread_ask_owner(struct spread *s, const struct uuid *peer, const struct uuid *owner)
{
	struct spread_ask *a = spread_ask_all_pending(s) ? NULL : ask_for(s, peer);

	if (a == NULL)
		return;
	for (size_t i = 0; i < a->owner_count; i++)
		if (uuid_eq(&a->owners[i], owner))
			return;
	if (!a->scope.listed || a->owner_count == SPREAD_ASK_OWNERS)
		spread_ask_buckets(s, peer, (uint64_t)1 << delta_bucket(owner));
	else
		a->owners[a->owner_count++] = *owner;
}

void
spread_asks_forget(struct spread *s, const struct uuid *peer)
{
	struct spread_ask *a, *next;

	for (a = TAILQ_FIRST(&s->asks); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->phase != SPREAD_QUEUED || !uuid_eq(&a->peer, peer))
			continue;
		s->sync_owed |= is_all(a);
		spread_ask_free(s, a);
	}
}

static bool
is_running(const struct spread *s, const struct uuid *peer)
{
	const struct spread_ask *a;

	TAILQ_FOREACH (a, &s->asks, link)
		if (a->phase != SPREAD_QUEUED && uuid_eq(&a->peer, peer))
			return true;
	return false;
}

/* Requests out. */

static void
ask_head(struct spread *s, struct buf *b, enum spread_message kind)
{
	char *room = buf_reserve(b, SPREAD_HEAD);
	struct writer w = wr_of(room, SPREAD_HEAD);

	if (room == NULL)
		return;
	spread_head_write(s, &w, kind);
	buf_commit(b, w.pos);
}

static void
ask_send(struct spread *s, struct now now, struct spread_ask *a, struct str bytes)
{
	struct spread_action *action = spread_emit(s, SPREAD_ASK, &a->peer, bytes);

	a->id = ++s->ask_last;
	a->until = action == NULL ? now.mono : now.mono + SPREAD_ASK_SPAN;
	if (action != NULL)
		action->ask = a->id;
	s->stats.asks++;
}

static int
owner_order(const void *a, const void *b)
{
	return uuid_cmp(a, b);
}

static void
ask_digests(struct spread *s, struct spread_ask *a, struct buf *out)
{
	struct digest d;
	size_t cursor = 0;

	if (a->scope.listed) {
		qsort(a->owners, a->owner_count, sizeof *a->owners, owner_order);
		for (size_t i = 0; i < a->owner_count; i++) {
			d = spread_held(s, &a->owners[i]);
			spread_digest_add(out, &d);
		}
		return;
	}
	while (store_digest_next(s->store, &cursor, &d))
		if (a->scope.buckets >> delta_bucket(&d.owner) & 1)
			spread_digest_add(out, &d);
}

static void
ask_sync(struct spread *s, struct now now, struct spread_ask *a)
{
	char head[9];
	struct writer w = wr_of(head, sizeof head);
	struct buf b;

	buf_init(&b, SPREAD_STREAM_CAP);
	ask_head(s, &b, SPREAD_M_SYNC);
	wr_be64(&w, a->scope.listed ? UINT64_MAX : a->scope.buckets);
	wr_u8(&w, a->scope.listed ? FLAG_LISTED : 0);
	buf_add(&b, wr_done(&w));
	spread_certificates_write(s, now, &b);
	ask_digests(s, a, &b);
	a->phase = SPREAD_SYNCING;
	ask_send(s, now, a, buf_str(&b));
	buf_done(&b);
}

/* Ranges of what the peer lacks, from where we were on, until it is enough for one request. */
static void
ask_ranges(struct spread *s, struct spread_ask *a, struct buf *out)
{
	struct reader r = rd_of(buf_str(&a->lacks));
	struct digest theirs;

	if (a->lacks_pos > 0)
		rd_take(&r, a->lacks_pos);
	while (out->n <= SPREAD_STREAM_MAX && rd_left(&r) > 0 && digest_read(&r, &theirs)) {
		const struct owner *o = store_owner(s->store, &theirs.owner);
		enum delta_verdict verdict = delta_compare(s->store, &theirs);
		uint64_t after = verdict == DELTA_GIVE ? theirs.number : 0, upto;

		if (a->lacks_after > after)
			after = a->lacks_after;
		if (verdict >= DELTA_GIVE) {
			upto = delta_range_framed(o, after, SPREAD_STREAM_MAX, out);
			if (out->full) { /* for another time, or never */
				out->full = false;
				s->stats.held_back++;
			} else if (upto > after && upto < owner_digest(o).number) {
				a->lacks_after = upto;
				return;
			}
		}
		a->lacks_after = 0;
		a->lacks_pos = a->lacks.n - rd_left(&r);
	}
}

/* False: there is nothing (more) to give. */
static bool
ask_give(struct spread *s, struct now now, struct spread_ask *a)
{
	struct buf b;
	bool any;

	buf_init(&b, SPREAD_STREAM_CAP);
	ask_head(s, &b, SPREAD_M_GIVE);
	ask_ranges(s, a, &b);
	any = b.n > SPREAD_HEAD;
	if (any) {
		a->phase = SPREAD_GIVING;
		ask_send(s, now, a, buf_str(&b));
	}
	buf_done(&b);
	return any;
}

void
spread_asks_start(struct spread *s, struct now now)
{
	struct spread_ask *a;

	TAILQ_FOREACH (a, &s->asks, link) {
		if (s->ask_running >= SPREAD_ASKS_RUNNING)
			return;
		if (a->phase != SPREAD_QUEUED || is_running(s, &a->peer))
			continue;
		s->ask_running++;
		ask_sync(s, now, a);
	}
}

/* Answers in. */

static void
ask_done(struct spread *s, struct spread_ask *a)
{
	if (is_all(a)) {
		s->synced = true;
		s->sync_owed = false;
		s->sync_failures = 0;
		s->sync_at = NSEC_NEVER;
		spread_emit(s, SPREAD_SYNCED, &a->peer, STR_NONE);
	}
	spread_ask_free(s, a);
}

/* A whole comparison is tried again, later and with another peer; the rest is left to repair. */
static void
ask_failed(struct spread *s, struct now now, struct spread_ask *a)
{
	if (is_all(a)) {
		unsigned shift = s->sync_failures < 4 ? s->sync_failures++ : 4;
		nsec pause = (NSEC_SEC / 2 << shift) + (nsec)rng_below(&s->rng, 500) * NSEC_MS;

		s->sync_owed = true;
		s->sync_at = now.mono + pause;
	}
	spread_repair_soon(s, now);
	spread_ask_free(s, a);
}

static void
ask_next(struct spread *s, struct now now, struct spread_ask *a)
{
	if (ask_give(s, now, a))
		return;
	if (!a->more || ++a->rounds >= SPREAD_ASK_ROUNDS) {
		ask_done(s, a);
		return;
	}
	ask_sync(s, now, a);
}

static bool
ranges_take(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    enum spread_via via)
{
	struct str range;
	uint64_t before = store_version(s->store);

	while (spread_range_next(r, &range))
		spread_range_take(s, now, sender, range, via);
	return store_version(s->store) != before;
}

/* True: well formed, and taken in. */
static bool
answer_take(struct spread *s, struct now now, struct spread_ask *a, struct reader *r)
{
	struct reader certificates, ahead;
	struct digest d;
	uint64_t lacks;
	uint8_t flags = rd_u8(r);
	size_t from;
	bool progress;

	certificates = *r;
	if (!spread_certificates_ok(r))
		return false;
	lacks = rd_varint(r);
	ahead = *r;
	for (uint64_t n = 0; n < lacks; n++)
		if (!digest_read(&ahead, &d))
			return false;
	if (!rd_ok(r) || !spread_ranges_ok(ahead))
		return false;
	spread_certificates_take(s, now, &certificates);
	buf_clear(&a->lacks);
	a->lacks_pos = 0;
	a->lacks_after = 0;
	for (from = r->pos; r->pos < ahead.pos && digest_read(r, &d); from = r->pos)
		buf_add(&a->lacks, str_mem(r->base + from, r->pos - from));
	progress = ranges_take(s, now, &a->peer, &ahead, s->synced ? SPREAD_STREAM : SPREAD_FIRST);
	a->more = progress && (flags & FLAG_MORE);
	return true;
}

static struct spread_ask *
ask_find(struct spread *s, uint64_t id)
{
	struct spread_ask *a;

	TAILQ_FOREACH (a, &s->asks, link)
		if (a->phase != SPREAD_QUEUED && a->id == id)
			return a;
	return NULL;
}

void
spread_answer(struct spread *s, struct now now, uint64_t ask, struct str bytes, bool failed)
{
	struct spread_ask *a = ask_find(s, ask);
	struct reader r = rd_of(bytes);
	struct uuid sender;
	bool ok = false;
	uint8_t kind;

	spread_step_begin(s);
	if (a == NULL)
		return;
	if (!failed && spread_head_read(&r, &kind, &sender)) {
		if (a->phase == SPREAD_SYNCING && kind == SPREAD_M_ANSWER)
			ok = answer_take(s, now, a, &r);
		else
			ok = a->phase == SPREAD_GIVING && kind == SPREAD_M_GIVEN;
	}
	if (!failed && !ok)
		s->stats.malformed++;
	if (ok)
		ask_next(s, now, a);
	else
		ask_failed(s, now, a);
	spread_step_end(s, now);
}

void
spread_asks_tick(struct spread *s, struct now now)
{
	struct spread_ask *a, *next;
	const struct spread_peer *p;

	for (a = TAILQ_FIRST(&s->asks); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->phase != SPREAD_QUEUED && a->until <= now.mono)
			ask_failed(s, now, a);
	}
	if (s->sync_at > now.mono)
		return;
	s->sync_at = NSEC_NEVER; /* without a peer: when one comes */
	p = spread_peer_random(s, NULL);
	if (p != NULL)
		spread_ask_all(s, &p->id);
}

nsec
spread_asks_deadline(const struct spread *s)
{
	const struct spread_ask *a;
	nsec at = s->sync_at;

	TAILQ_FOREACH (a, &s->asks, link)
		at = nsec_min(at, a->until);
	return at;
}

/* Requests in. */

/* Of what they tell, what we hold less of; where only the hash differs, the owner's own word. */
static uint64_t
lacks_write(struct spread *s, const struct uuid *sender, struct reader theirs, struct buf *out)
{
	struct digest d;
	uint64_t n = 0;

	while (rd_left(&theirs) > 0 && digest_read(&theirs, &d)) {
		enum delta_verdict verdict;
		struct digest have;

		if (spread_is_self(s, &d.owner, d.epoch, d.number))
			continue;
		verdict = delta_compare(s->store, &d);
		if (verdict != DELTA_BEHIND &&
		    !(verdict == DELTA_DIFFERS && uuid_eq(&d.owner, sender)))
			continue;
		have = spread_held(s, &d.owner);
		if (verdict == DELTA_DIFFERS)
			have.number = 0;
		spread_digest_add(out, &have);
		n++;
	}
	return n;
}

static void
answer_write(struct spread *s, struct now now, bool more, uint64_t lack_count, struct str lacks,
    struct str ranges, struct buf *out)
{
	char room[10];
	struct writer w = wr_of(room, sizeof room);

	ask_head(s, out, SPREAD_M_ANSWER);
	buf_addc(out, more ? FLAG_MORE : 0);
	spread_certificates_write(s, now, out);
	wr_varint(&w, lack_count);
	buf_add(out, wr_done(&w));
	buf_add(out, lacks);
	buf_add(out, ranges);
}

static int
sync_answer(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct buf *answer, struct err *err)
{
	struct delta_scope scope = { .buckets = rd_be64(r) };
	struct reader certificates;
	struct buf ranges, lacks;
	struct spread_peer *p = spread_peer_find(s, sender);
	uint64_t lack_count;
	size_t before = answer->n;
	bool more = false;
	int rc;

	scope.listed = rd_u8(r) & FLAG_LISTED;
	certificates = *r;
	if (!spread_certificates_ok(r) || !spread_digests_ok(*r, true))
		return err_set(err, ERR_INPUT, "a malformed request to compare");
	spread_certificates_take(s, now, &certificates);
	buf_init(&ranges, SPREAD_STREAM_CAP);
	buf_init(&lacks, SPREAD_STREAM_CAP);
	lack_count = lacks_write(s, sender, *r, &lacks);
	rc = delta_answer_in(s->store, &scope, str_mem(r->base + r->pos, rd_left(r)),
	    SPREAD_STREAM_MAX, &ranges, &more, err);
	if (rc == 0)
		answer_write(s, now, more, lack_count, buf_str(&lacks), buf_str(&ranges), answer);
	buf_done(&ranges);
	buf_done(&lacks);
	if (rc == 0 && answer->full) {
		buf_clear(answer);
		answer->n = before;
		rc = err_set(err, ERR_LIMIT, "an answer of over %zu bytes", answer->cap);
	}
	if (p != NULL && !scope.listed && scope.buckets == UINT64_MAX)
		p->compare_at = NSEC_NEVER;
	return rc;
}

static int
give_answer(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct buf *answer, struct err *err)
{
	if (!spread_ranges_ok(*r))
		return err_set(err, ERR_INPUT, "a malformed gift of ranges");
	ranges_take(s, now, sender, r, SPREAD_STREAM);
	ask_head(s, answer, SPREAD_M_GIVEN);
	return 0;
}

int
spread_request(
    struct spread *s, struct now now, struct str bytes, struct buf *answer, struct err *err)
{
	struct reader r = rd_of(bytes);
	struct uuid sender;
	uint8_t kind;
	int rc;

	spread_step_begin(s);
	if (!spread_head_read(&r, &kind, &sender))
		kind = 0;
	if (kind == SPREAD_M_SYNC)
		rc = sync_answer(s, now, &sender, &r, answer, err);
	else if (kind == SPREAD_M_GIVE)
		rc = give_answer(s, now, &sender, &r, answer, err);
	else
		rc = err_set(err, ERR_INPUT, "a request of unknown kind %d", (int)kind);
	s->stats.malformed += rc == ERR_INPUT;
	spread_step_end(s, now);
	return rc;
}

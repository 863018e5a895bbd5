/* kv/spread_wire.c -- the shapes of spread's messages, and the table of the datagrams.
 *
 * Every message: kind (1), sender's id (16), body; the bodies are told in spread_priv.h. A body is
 * looked through whole before anything of it is taken in.
 */
#include "kv/spread_priv.h"

/* Whether this very word was heard just now. `kept`: else it will be known from now on. */
static bool
spread_said(struct spread *s, struct now now, const struct spread_said *word, bool *kept)
{
	struct spread_said *room = NULL;

	for (size_t i = 0; i < SPREAD_SAID_MAX; i++) {
		struct spread_said *said = &s->said[i];

		if (said->until <= now.mono)
			room = said;
		else if (said->epoch == word->epoch && said->ms == word->ms &&
			 uuid_eq(&said->by, &word->by))
			return true;
	}
	if (room != NULL) {
		*room = *word;
		room->until = now.mono + SPREAD_SAID_KEEP;
	}
	*kept = room != NULL;
	return false;
}

/* A peer's word is passed on at first sight, as it came: who says it does not stay to repeat it,
 * and whoever missed it hides a host that is being upgraded. What could not be remembered is not
 * passed on: it would go round for ever. */
static bool
spread_restarting_take(struct spread *s, struct now now, const struct uuid *sender,
    struct reader *r, struct str message)
{
	struct spread_said word = { .by = *sender };
	struct spread_action *a;
	bool pass = false;

	word.ms = rd_varint(r);
	word.epoch = rd_varint(r);
	if (!rd_ok(r))
		return false;
	if (spread_said(s, now, &word, &pass))
		return true;
	pass = pass && spread_peer_find(s, sender) != NULL;
	for (unsigned i = 0; pass && i < s->config.fanout; i++) {
		const struct spread_peer *p = spread_peer_random(s, sender);

		if (p != NULL)
			spread_send(s, &p->id, message);
	}
	a = spread_emit(s, SPREAD_RESTARTS, sender, STR_NONE);
	if (a != NULL)
		a->epoch = word.epoch;
	if (a != NULL)
		a->span = word.ms > SPREAD_RESTART_MAX / NSEC_MS ? SPREAD_RESTART_MAX
								 : (nsec)word.ms * NSEC_MS;
	return true;
}

static bool
spread_certificates_message_take(struct spread *s, struct now now, const struct uuid *sender,
    struct reader *r, struct str message)
{
	struct reader ahead = *r;

	(void)sender;
	(void)message;
	if (!spread_certificates_ok(&ahead))
		return false;
	spread_certificates_take(s, now, r);
	return true;
}

static const struct spread_kind kinds[] = {
	{ SPREAD_M_PUSH, spread_push_take },
	{ SPREAD_M_BASELINE, spread_baseline_take },
	{ SPREAD_M_ANNOUNCE, spread_announce_take },
	{ SPREAD_M_WANT, spread_want_take },
	{ SPREAD_M_RANGE, spread_ranges_take },
	{ SPREAD_M_TOO_MUCH, spread_too_much_take },
	{ SPREAD_M_SUMMARY, spread_summary_take },
	{ SPREAD_M_BUCKETS, spread_buckets_take },
	{ SPREAD_M_DIGESTS, spread_digests_take },
	{ SPREAD_M_RESTARTING, spread_restarting_take },
	{ SPREAD_M_CERTIFICATES, spread_certificates_message_take },
};

const struct spread_kind *
spread_kind_find(uint8_t kind)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].kind == kind)
			return &kinds[i];
	return NULL;
}

/* Heads, ids, epochs. */

void
spread_head_write(const struct spread *s, struct writer *w, enum spread_message kind)
{
	wr_u8(w, (uint8_t)kind);
	spread_id_write(w, &s->config.self);
}

bool
spread_head_read(struct reader *r, uint8_t *kind, struct uuid *sender)
{
	*kind = rd_u8(r);
	*sender = spread_id_read(r);
	return rd_ok(r);
}

struct writer
spread_begin(struct spread *s, enum spread_message kind)
{
	struct writer w = wr_of(s->room, s->config.datagram_max);

	spread_head_write(s, &w, kind);
	return w;
}

void
spread_id_write(struct writer *w, const struct uuid *id)
{
	wr_bytes(w, str_mem(id->b, sizeof id->b));
}

struct uuid
spread_id_read(struct reader *r)
{
	struct uuid id = { { 0 } };
	const uint8_t *b = rd_take(r, sizeof id.b);

	if (b != NULL)
		memcpy(id.b, b, sizeof id.b);
	return id;
}

void
spread_epoch_write(struct writer *w, const struct epoch *e)
{
	wr_varint(w, e->counter);
	wr_be64(w, e->nonce);
}

struct epoch
spread_epoch_read(struct reader *r)
{
	struct epoch e;

	e.counter = rd_varint(r);
	e.nonce = rd_be64(r);
	return e;
}

/* Lists. */

bool
spread_group_read(struct reader *r, struct spread_group *out)
{
	struct spread_group g = { .after = 0 };
	struct reader records;
	struct record record;

	if (rd_left(r) == 0)
		return false;
	g.owner = spread_id_read(r);
	g.epoch = spread_epoch_read(r);
	g.after = rd_varint(r);
	g.records = rd_str(r, rd_be16(r));
	if (!rd_ok(r))
		return false;
	records = rd_of(g.records);
	for (g.last = g.after; record_read(&records, &record); g.last = record.number)
		if (record.number <= g.after || record.number < g.last)
			rd_fail(r);
	if (!rd_ok(&records) || rd_left(&records) > 0 || g.last == g.after || g.after == 0 ||
	    g.epoch.counter == 0)
		rd_fail(r);
	if (!rd_ok(r))
		return false;
	*out = g;
	return true;
}

bool
spread_digests_ok(struct reader r, bool sorted)
{
	struct digest d, last;

	for (size_t n = 0; rd_left(&r) > 0; n++) {
		if (!digest_read(&r, &d))
			return false;
		if (sorted && n > 0 && uuid_cmp(&last.owner, &d.owner) >= 0)
			return false;
		last = d;
	}
	return rd_ok(&r);
}

bool
spread_range_next(struct reader *r, struct str *out)
{
	uint64_t n;

	if (rd_left(r) == 0)
		return false;
	n = rd_varint(r);
	if (n > rd_left(r))
		rd_fail(r);
	else
		*out = rd_str(r, (size_t)n);
	return rd_ok(r);
}

bool
spread_ranges_ok(struct reader r)
{
	struct owner_range range;
	struct uuid owner;
	struct str one;

	while (spread_range_next(&r, &one)) {
		struct reader inner = rd_of(one);

		if (!delta_range_head(&inner, &owner, &range))
			return false;
	}
	return rd_ok(&r);
}

void
spread_digest_add(struct buf *out, const struct digest *d)
{
	char *room = buf_reserve(out, DIGEST_SIZE_MAX);
	struct writer w;

	if (room == NULL)
		return;
	w = wr_of(room, DIGEST_SIZE_MAX);
	digest_write(&w, d);
	buf_commit(out, w.pos);
}

/* Certificates (RULES 6). When there are many, a stretch of them from a random one on. */

static size_t
certificate_count(const struct spread *s, struct now now)
{
	struct store_certificate c;
	size_t cursor = 0, n = 0;

	while (store_certificate_next(s->store, now, &cursor, &c))
		n += c.left >= SPREAD_CERTIFICATE_LEFT_MIN;
	return n;
}

#define CERTIFICATE_MAX (16 + 10 + 8 + 10)

static void
certificate_write(struct writer *w, const struct store_certificate *c)
{
	spread_id_write(w, &c->id);
	spread_epoch_write(w, &c->epoch);
	wr_varint(w, (uint64_t)(c->left / NSEC_SEC));
}

void
spread_certify(struct spread *s, struct now now, const struct uuid *to, const struct uuid *owner,
    struct epoch epoch)
{
	const struct spread_peer *p = spread_peer_find(s, owner);
	struct store_certificate c;
	struct writer w;

	if (!store_certificate_of(s->store, now, owner, &c) || c.epoch.counter < epoch.counter ||
	    c.left < SPREAD_CERTIFICATE_LEFT_MIN)
		return;
	w = spread_begin(s, SPREAD_M_CERTIFICATES);
	wr_varint(&w, 1);
	certificate_write(&w, &c);
	spread_send(s, p != NULL && p->state == SPREAD_UP ? owner : to, wr_done(&w));
}

void
spread_certificates_write(struct spread *s, struct now now, struct buf *out)
{
	size_t n = certificate_count(s, now), skip = 0, cursor = 0;
	size_t left = n < SPREAD_CERTIFICATES ? n : SPREAD_CERTIFICATES;
	struct store_certificate c;
	char *room = buf_reserve(out, 10 + left * CERTIFICATE_MAX);
	struct writer w;

	if (room == NULL)
		return;
	w = wr_of(room, 10 + left * CERTIFICATE_MAX);
	if (n > left)
		skip = rng_below(&s->rng, (uint32_t)(n - left + 1));
	wr_varint(&w, left);
	while (left > 0 && store_certificate_next(s->store, now, &cursor, &c)) {
		if (c.left < SPREAD_CERTIFICATE_LEFT_MIN)
			continue;
		if (skip > 0) {
			skip--;
			continue;
		}
		certificate_write(&w, &c);
		left--;
	}
	buf_commit(out, w.pos);
}

static bool
certificate_read(struct reader *r, struct store_certificate *out)
{
	uint64_t seconds;

	out->id = spread_id_read(r);
	out->epoch = spread_epoch_read(r);
	seconds = rd_varint(r);
	out->left = seconds > STORE_CERTIFICATE_SPAN / NSEC_SEC ? STORE_CERTIFICATE_SPAN
								: (nsec)seconds * NSEC_SEC;
	return rd_ok(r);
}

bool
spread_certificates_ok(struct reader *r)
{
	uint64_t n = rd_varint(r);
	struct store_certificate c;

	if (n > SPREAD_CERTIFICATES)
		rd_fail(r);
	for (; n > 0 && rd_ok(r); n--)
		certificate_read(r, &c);
	return rd_ok(r);
}

void
spread_certificates_take(struct spread *s, struct now now, struct reader *r)
{
	struct store_certificate c;

	for (uint64_t n = rd_varint(r); n > 0 && certificate_read(r, &c); n--) {
		struct spread_action *a;

		if (!store_certificate(s->store, now, &c) || c.epoch.counter <= s->buried)
			continue;
		s->buried = c.epoch.counter;
		a = spread_emit(s, SPREAD_BURIED, &c.id, STR_NONE);
		if (a != NULL)
			a->epoch = c.epoch.counter;
	}
}

/* dns/prepared.c -- answers by question.
 *
 * In order: questions, giving an answer, the store. Of all answers the oldest goes first when there
 * are too many bytes, but for those that were used since they last were the oldest.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/rng.h"
#include "dns/message.h"
#include "dns/prepared.h"

#define PLACES 4096     /* a power of two */
#define SEEN_WAYS 8     /* questions that share a place without pushing each other out */
#define OPTION_SUBNET 8 /* RFC 7871 6; of all options the only one that an answer shows */
#define FLAG_AD 0x0020
#define FLAGS_KEPT (DNS_FLAG_RD | DNS_FLAG_CD)

/* Questions. */

/* The name in lower case; false: too long, or it is no plain row of labels. */
static bool
key_name(struct reader *r, struct writer *w, bool *capitals)
{
	struct reader name = *r;
	const uint8_t *p;
	uint8_t n, *to;

	do {
		n = rd_u8(r);
		(void)rd_take(r, n);
		if (!rd_ok(r) || n > NAME_LABEL_MAX)
			return false;
	} while (n > 0);
	p = rd_take(&name, r->pos - name.pos);
	to = wr_room(w, name.pos - DNS_HEADER_BYTES);
	if (p == NULL || to == NULL)
		return false;
	*capitals = name_lower_copy(to, p, name.pos - DNS_HEADER_BYTES);
	return true;
}

/* The OPT record and nothing behind it. */
static bool
key_opt(struct reader *r, uint16_t *size, uint32_t *ttl)
{
	uint8_t owner = rd_u8(r);
	uint16_t type = rd_be16(r);

	*size = rd_be16(r);
	*ttl = rd_be32(r);
	if (rd_be16(r) != rd_left(r) || owner != 0 || type != RR_OPT)
		return false;
	while (rd_ok(r) && rd_left(r) > 0) {
		uint16_t code = rd_be16(r);

		(void)rd_take(r, rd_be16(r));
		if (code == OPTION_SUBNET)
			return false;
	}
	return rd_ok(r);
}

bool
prepared_key_read(struct str packet, struct prepared_key *out)
{
	struct reader r = rd_of(packet);
	struct writer w = wr_of(out->bytes, sizeof out->bytes);
	uint16_t flags, counts[4], type, class, size = 0;
	uint32_t ttl = 0;

	(void)rd_be16(&r);
	flags = rd_be16(&r);
	for (size_t i = 0; i < 4; i++)
		counts[i] = rd_be16(&r);
	if ((flags & ~(FLAGS_KEPT | FLAG_AD)) != 0 || counts[0] != 1 || counts[1] != 0 ||
	    counts[2] != 0 || counts[3] > 1)
		return false;
	out->capitals = false;
	(void)wr_room(&w, 12);
	if (!key_name(&r, &w, &out->capitals))
		return false;
	type = rd_be16(&r);
	class = rd_be16(&r);
	out->question_n = r.pos - DNS_HEADER_BYTES;
	out->edns = counts[3] == 1;
	if (!rd_ok(&r) || (out->edns ? !key_opt(&r, &size, &ttl) : rd_left(&r) != 0))
		return false;
	out->type = type;
	out->n = w.pos;
	w = wr_of(out->bytes, 12);
	wr_be16(&w, (uint16_t)((flags & FLAGS_KEPT) | out->edns));
	wr_be16(&w, type);
	wr_be16(&w, class);
	wr_be16(&w, size);
	wr_be32(&w, ttl);
	return true;
}

struct str
prepared_query(const struct prepared_key *key, struct str packet, uint8_t room[PREPARED_QUERY_MAX])
{
	struct writer w = wr_of(room, PREPARED_QUERY_MAX);

	wr_be16(&w, 0);
	wr_bytes(&w, str_head(str_skip(packet, 2), DNS_HEADER_BYTES - 2));
	wr_bytes(&w, str_mem(key->bytes + 12, key->n - 12));
	wr_bytes(&w, str_mem(key->bytes + 2, 4)); /* type and class */
	if (key->edns) {
		wr_u8(&w, 0);
		wr_be16(&w, RR_OPT);
		wr_bytes(&w, str_mem(key->bytes + 6, 6)); /* size; version and flags */
		wr_be16(&w, 0);
	}
	return wr_done(&w);
}

/* Giving an answer. */

size_t
prepared_write(const struct prepared_answer *a, const struct prepared_key *key, struct str packet,
    size_t begin, uint32_t serial, void *room, size_t cap)
{
	const uint8_t *from = a->bytes + a->key_n, *ring = from + a->head_n;
	size_t first = a->total - begin < a->window ? a->total - begin : a->window;
	struct writer w = wr_of(room, cap);

	if (key->capitals && !a->any_case)
		return 0;
	wr_bytes(&w, str_head(packet, 2));
	wr_bytes(&w, str_mem(from + 2, DNS_HEADER_BYTES - 2));
	wr_bytes(&w, str_head(str_skip(packet, DNS_HEADER_BYTES), key->question_n));
	wr_bytes(&w, str_mem(from + w.pos, a->head_n - w.pos));
	if (a->window > 0) {
		wr_bytes(&w, str_mem(ring + begin * a->unit, first * a->unit));
		wr_bytes(&w, str_mem(ring, (a->window - first) * a->unit));
	}
	wr_bytes(&w, str_mem(ring + a->total * a->unit, a->tail_n));
	if (w.full)
		return 0;
	if (a->serial_at > 0) {
		struct writer at = wr_of((uint8_t *)room + a->serial_at, 4);

		wr_be32(&at, serial);
	}
	return w.pos;
}

/* The store. */

LIST_HEAD(prepared_place, prepared_answer);

struct prepared {
	const struct marks *marks;
	uint64_t seed;
	struct rng rng;
	size_t bytes, bytes_max;
	TAILQ_HEAD(prepared_ages, prepared_answer) by_age; /* the oldest first */
	struct prepared_place places[PLACES];
	/* Of hashes: bits that do not say the place. In each place the newest first. */
	uint32_t seen[PREPARED_SEEN / SEEN_WAYS][SEEN_WAYS];
};

struct prepared *
prepared_new(const struct marks *marks, uint64_t seed, size_t bytes_max)
{
	struct prepared *p = mem_new(struct prepared);

	p->marks = marks;
	p->seed = seed;
	rng_init(&p->rng, seed);
	p->bytes_max = bytes_max;
	TAILQ_INIT(&p->by_age);
	return p;
}

static size_t
answer_bytes(const struct prepared_answer *a)
{
	return sizeof *a + a->key_n + a->head_n + a->total * a->unit + a->tail_n;
}

static struct prepared_place *
place_of(struct prepared *p, uint64_t hash)
{
	return &p->places[hash & (PLACES - 1)];
}

static void
answer_drop(struct prepared *p, struct prepared_answer *a)
{
	TAILQ_REMOVE(&p->by_age, a, age);
	LIST_REMOVE(a, chain);
	p->bytes -= answer_bytes(a);
	free(a);
}

void
prepared_free(struct prepared *p)
{
	if (p == NULL)
		return;
	while (!TAILQ_EMPTY(&p->by_age))
		answer_drop(p, TAILQ_FIRST(&p->by_age));
	free(p);
}

static uint64_t
key_hash(const struct prepared *p, const char *key, size_t n, unsigned variant)
{
	return XXH3_64bits_withSeed(key, n, p->seed + variant);
}

static struct prepared_answer *
answer_find(struct prepared *p, const char *key, size_t n, unsigned variant, uint64_t hash)
{
	struct prepared_answer *a;

	LIST_FOREACH (a, place_of(p, hash), chain)
		if (a->hash == hash && a->variant == variant && a->key_n == n &&
		    memcmp(a->bytes, key, n) == 0)
			return a;
	return NULL;
}

static bool
is_fresh(const struct prepared *p, const struct prepared_answer *a)
{
	return a->mark_all == marks_read(&p->marks->all) &&
	       (a->slot == MARKS || a->mark == marks_read(&p->marks->of[a->slot]));
}

static struct prepared_answer *
fresh_find(struct prepared *p, const struct prepared_key *key, unsigned variant)
{
	uint64_t hash = key_hash(p, key->bytes, key->n, variant);
	struct prepared_answer *a = answer_find(p, key->bytes, key->n, variant, hash);

	if (a == NULL || !is_fresh(p, a))
		return NULL;
	a->used = true;
	return a;
}

size_t
prepared_answer(struct prepared *p, const struct prepared_key *key, struct str packet,
    uint32_t serial, void *room, size_t cap, unsigned *variant, bool *cut)
{
	struct prepared_answer *a = fresh_find(p, key, 0);

	*variant = 0;
	if (a != NULL && a->variants > 1) {
		*variant = rng_below(&p->rng, a->variants);
		if (*variant > 0)
			a = fresh_find(p, key, *variant);
	}
	if (a == NULL || a->uses == 1)
		return 0;
	if (a->uses != PREPARED_ALWAYS)
		a->uses--;
	*cut = a->cut;
	return prepared_write(a, key, packet,
	    a->total > 1 ? rng_below(&p->rng, (uint32_t)a->total) : 0, serial, room, cap);
}

/* Whether it is there; it is from now on. */
static bool
seen_take(uint32_t place[SEEN_WAYS], uint32_t tag)
{
	for (unsigned i = 0; i < SEEN_WAYS; i++)
		if (place[i] == tag)
			return true;
	memmove(place + 1, place, (SEEN_WAYS - 1) * sizeof *place);
	place[0] = tag;
	return false;
}

bool
prepared_is_worth(struct prepared *p, const struct prepared_key *key, unsigned variant)
{
	uint64_t hash = key_hash(p, key->bytes, key->n, variant);
	bool seen =
	    seen_take(p->seen[hash % (PREPARED_SEEN / SEEN_WAYS)], (uint32_t)(hash >> 32) | 1);

	return seen || answer_find(p, key->bytes, key->n, variant, hash) != NULL;
}

void
prepared_add(struct prepared *p, struct prepared_answer *a)
{
	const char *key = (const char *)a->bytes;
	struct prepared_answer *old;

	a->hash = key_hash(p, key, a->key_n, a->variant);
	a->used = false;
	old = answer_find(p, key, a->key_n, a->variant, a->hash);
	if (old != NULL)
		answer_drop(p, old);
	TAILQ_INSERT_TAIL(&p->by_age, a, age);
	LIST_INSERT_HEAD(place_of(p, a->hash), a, chain);
	p->bytes += answer_bytes(a);
	while (p->bytes > p->bytes_max) {
		old = TAILQ_FIRST(&p->by_age);
		if (old->used && old != a) {
			old->used = false;
			TAILQ_REMOVE(&p->by_age, old, age);
			TAILQ_INSERT_TAIL(&p->by_age, old, age);
		} else {
			answer_drop(p, old);
		}
	}
}

size_t
prepared_bytes(const struct prepared *p)
{
	return p->bytes;
}

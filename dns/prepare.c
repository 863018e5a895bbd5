/* dns/prepare.c -- dns_answer() once for many who will ask the same.
 *
 * The question is answered as it is asked most plainly, and what varies is found in the answer.
 * What does not have the expected shape is answered and not kept.
 */
#include "dns/prepare.h"

#include <assert.h>

#include "base/mem.h"
#include "dns/answer_impl.h"

/* Records of addresses in an answer: a pointer to the question's name, type, class, TTL, length. */
#define RING_HEAD 12
#define POINTER_TO_QUESTION 0xc00c

struct shape {
	size_t head_n, unit, total, window, tail_n;
};

static size_t
address_bytes(uint16_t type)
{
	return type == RR_A ? 4 : 16;
}

/* Whether records of such addresses and nothing else are the answer section. */
static bool
ring_read(struct str packet, size_t head_n, uint16_t type, struct shape *out)
{
	struct reader r = rd_of(packet);
	uint16_t count;

	(void)rd_take(&r, 6);
	count = rd_be16(&r);
	r = rd_of(packet);
	(void)rd_take(&r, head_n);
	for (unsigned i = 0; i < count; i++) {
		uint16_t owner = rd_be16(&r), got = rd_be16(&r), len;

		(void)rd_take(&r, 6);
		len = rd_be16(&r);
		(void)rd_take(&r, len);
		if (owner != POINTER_TO_QUESTION || got != type || len != address_bytes(type))
			return false;
	}
	out->head_n = head_n;
	out->unit = RING_HEAD + address_bytes(type);
	out->window = count;
	out->tail_n = rd_left(&r);
	return rd_ok(&r) && count > 0;
}

static size_t
addresses_count(const struct picks *set)
{
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++)
		count += set->items[i].ip.family != ADDR_NONE;
	return count;
}

/* All addresses, as records like the one that is there. */
static void
ring_write(struct writer *w, const struct picks *set, const uint8_t *like, size_t unit)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct addr *ip = &set->items[i].ip;

		if (ip->family == ADDR_NONE)
			continue;
		wr_bytes(w, str_mem(like, RING_HEAD));
		wr_bytes(w, str_mem(ip->bytes, unit - RING_HEAD));
	}
}

/* What is kept where, of an answer that may be kept. False: it may not. */
static bool
shape_find(const struct dns_responder *r, const struct prepared_key *key, struct str packet,
    struct shape *out)
{
	size_t head_n = DNS_HEADER_BYTES + key->question_n;
	uint16_t asked = key->type;

	*out = (struct shape){ .head_n = packet.n };
	if (!r->facts.keeps || packet.n > PREPARED_PACKET_MAX || packet.n < head_n)
		return false;
	if (!r->facts.turns || r->picks.count < 2)
		return true;
	if ((asked != RR_A && asked != RR_AAAA) || !ring_read(packet, head_n, asked, out))
		return false;
	out->total = addresses_count(&r->picks);
	return out->window <= out->total && out->total * out->unit <= PREPARED_RING_MAX;
}

/* Letters as asked may be put into an answer whose other names do not lean on the question's. */
static bool
answers_any_case(const struct dns_responder *r, struct str packet)
{
	struct reader at = rd_of(packet);
	uint16_t flags, answers;

	(void)rd_be16(&at);
	flags = rd_be16(&at);
	(void)rd_be16(&at);
	answers = rd_be16(&at);
	return !r->config->disable_compression && (flags & 0xf) == DNS_NOERROR && answers > 0 &&
	       r->facts.slot != MARKS && r->facts.serial_at == 0;
}

static struct prepared_answer *
answer_keep(const struct dns_responder *r, const struct prepared_key *key, struct str packet,
    const struct shape *shape)
{
	size_t n = key->n + shape->head_n + shape->total * shape->unit + shape->tail_n;
	struct prepared_answer *a = mem_alloc(sizeof *a + n);
	const struct marks *marks = catalog_marks(r->catalog);
	struct writer w = wr_of(a->bytes, n);

	*a = (struct prepared_answer){
		.slot = r->facts.slot,
		.mark = r->facts.slot == MARKS ? 0 : marks_read(&marks->of[r->facts.slot]),
		.mark_all = marks_read(&marks->all),
		.variants = 1,
		.cut = r->facts.cut,
		.any_case = answers_any_case(r, packet),
		.key_n = key->n,
		.head_n = shape->head_n,
		.tail_n = shape->tail_n,
		.unit = shape->unit,
		.total = shape->total,
		.window = shape->window,
		.serial_at = r->facts.serial_at,
	};
	wr_bytes(&w, str_mem(key->bytes, key->n));
	wr_bytes(&w, str_head(packet, shape->head_n));
	if (shape->total > 0)
		ring_write(&w, &r->picks, (const uint8_t *)packet.p + shape->head_n, shape->unit);
	wr_bytes(&w, str_skip(packet, packet.n - shape->tail_n));
	return a;
}

static void
variants_set(struct prepared_answer *a, size_t cut_from)
{
	static_assert(ANSWER_TURNS_MAX == PREPARED_VARIANTS_MAX, "each has its turn");
	if (cut_from <= PREPARED_VARIANTS_MAX) {
		a->variants = cut_from == 0 ? 1 : (unsigned)cut_from;
		return;
	}
	a->variants = PREPARED_VARIANTS_MAX;
	a->uses = PREPARED_USES;
}

size_t
dns_prepare(struct dns_responder *r, struct now now, struct str packet, unsigned variant,
    void *room, size_t cap, struct prepared_answer **out)
{
	uint8_t plain[PREPARED_QUERY_MAX];
	struct prepared_key key;
	struct dns_stats before = r->stats;
	struct shape shape;
	bool as_is;
	size_t n;

	*out = NULL;
	if (!prepared_key_read(packet, &key))
		return dns_answer(r, now, packet, false, room, cap);
	r->begin = variant;
	n = dns_answer(r, now, prepared_query(&key, packet, plain), false, room, cap);
	r->begin = ANSWER_ANYWHERE;
	if (n > 0 && shape_find(r, &key, str_mem(room, n), &shape)) {
		*out = answer_keep(r, &key, str_mem(room, n), &shape);
		(*out)->variant = variant;
		variants_set(*out, r->facts.cut_from);
		if (key.capitals && !(*out)->any_case) { /* the next asker's letters are others */
			free(*out);
			*out = NULL;
		}
	}
	as_is = n > 0 && !key.capitals && (*out == NULL || (*out)->variants == 1 || variant > 0);
	if (!as_is) {
		r->stats = before; /* it is one query */
		return dns_answer(r, now, packet, false, room, cap);
	}
	memcpy(room, packet.p, 2);
	return n;
}

/* dns/forward.c -- in order: queries, answers, addresses of names elsewhere. */
#include "dns/forward.h"

#include <string.h>

#define FLAG_AD 0x0020
#define FLAGS_ASKED (DNS_FLAG_RD | FLAG_AD | DNS_FLAG_CD)
#define RR_IXFR 251
#define OPTION_COOKIE 10
#define OPTION_KEEPALIVE 11

/* Queries. */

static void
question_put(struct writer *w, uint16_t id, uint16_t flags, bool edns, const struct name *name,
    uint16_t type)
{
	wr_be16(w, id);
	wr_be16(w, flags);
	wr_be16(w, 1);
	wr_be32(w, 0);
	wr_be16(w, edns);
	wr_bytes(w, str_mem(name->bytes, name->n));
	wr_be16(w, type);
	wr_be16(w, DNS_CLASS_IN);
}

static void
options_put(struct writer *w, struct str options)
{
	struct reader r = rd_of(options);
	size_t length_at = w->pos;

	wr_be16(w, 0);
	while (rd_left(&r) > 0 && rd_ok(&r)) {
		uint16_t code = rd_be16(&r), len = rd_be16(&r);
		struct str data = rd_str(&r, len);

		if (!rd_ok(&r) || code == OPTION_COOKIE || code == OPTION_KEEPALIVE)
			continue;
		wr_be16(w, code);
		wr_be16(w, len);
		wr_bytes(w, data);
	}
	if (!w->full)
		wr_patch_be16(w, length_at, (uint16_t)(w->pos - length_at - 2));
}

bool
forward_takes(const struct dns_query *q)
{
	return q->opcode == DNS_OPCODE_QUERY && q->class == DNS_CLASS_IN && q->type != RR_AXFR &&
	       q->type != RR_IXFR;
}

size_t
forward_query(const struct dns_query *q, uint16_t id, uint8_t room[FORWARD_QUERY_MAX])
{
	struct writer w = wr_of(room, FORWARD_QUERY_MAX);

	question_put(&w, id, q->flags & FLAGS_ASKED, q->edns, &q->name, q->type);
	if (q->edns) {
		wr_u8(&w, 0);
		wr_be16(&w, RR_OPT);
		wr_be16(&w, FORWARD_EDNS_SIZE);
		wr_be32(&w, q->edns_do ? 0x8000 : 0);
		options_put(&w, q->edns_options);
	}
	return w.full ? 0 : w.pos;
}

size_t
forward_question(
    const struct name *name, uint16_t type, uint16_t id, uint8_t room[FORWARD_QUERY_MAX])
{
	struct writer w = wr_of(room, FORWARD_QUERY_MAX);

	question_put(&w, id, DNS_FLAG_RD, false, name, type);
	return w.pos;
}

/* Answers. */

/* The end of the question behind the header; 0: there is not exactly one, or it is not whole. */
static size_t
question_read(struct str packet, uint16_t *id, uint16_t *flags, struct name *name, uint16_t *type,
    uint16_t *class)
{
	struct reader r = rd_of(packet);
	uint16_t count;

	*id = rd_be16(&r);
	*flags = rd_be16(&r);
	count = rd_be16(&r);
	(void)rd_take(&r, 6);
	if (count != 1 || !name_read(&r, packet, name))
		return 0;
	*type = rd_be16(&r);
	*class = rd_be16(&r);
	return rd_ok(&r) ? r.pos : 0;
}

bool
forward_matches(struct str query, struct str answer)
{
	uint16_t id[2], flags[2], type[2], class[2];
	struct name name[2];

	return question_read(query, &id[0], &flags[0], &name[0], &type[0], &class[0]) > 0 &&
	       question_read(answer, &id[1], &flags[1], &name[1], &type[1], &class[1]) > 0 &&
	       id[0] == id[1] && (flags[1] & DNS_FLAG_QR) != 0 &&
	       (flags[1] & DNS_OPCODE_MASK) == 0 && type[0] == type[1] && class[0] == class[1] &&
	       name_eq(&name[0], &name[1]);
}

static size_t
limit_of(const struct dns_query *q, bool tcp, size_t cap)
{
	size_t limit = DNS_MESSAGE_MAX;

	if (!tcp)
		limit =
		    q->edns && q->edns_size > DNS_UDP_PLAIN_MAX ? q->edns_size : DNS_UDP_PLAIN_MAX;
	return limit < cap ? limit : cap;
}

/* The question alone, with flags and code of what there was. */
static size_t
answer_empty(const struct dns_query *q, uint16_t flags, bool cut, void *room, size_t cap)
{
	struct dns_writer w;

	dns_begin(&w, room, cap < DNS_MESSAGE_MAX ? cap : DNS_MESSAGE_MAX, q, flags & 0xfff0,
	    flags & 0xf, true);
	if (w.w.full)
		return 0;
	if (q->edns)
		(void)dns_put_opt(&w, FORWARD_EDNS_SIZE, 0, STR_NONE);
	return dns_end(&w, cut).n;
}

size_t
forward_answer(const struct dns_query *q, struct str answer, bool tcp, void *room, size_t cap)
{
	struct writer w = wr_of(room, limit_of(q, tcp, cap));
	uint16_t id, flags, type, class;
	struct name name;
	size_t end = question_read(answer, &id, &flags, &name, &type, &class);

	if (end !=
	    (size_t)DNS_HEADER_BYTES + q->name.n + 4) /* its name is as long as ours, plain */
		return 0;
	flags = (uint16_t)((flags & ~(DNS_FLAG_RD | DNS_FLAG_CD)) | DNS_FLAG_QR | DNS_FLAG_RA |
			   (q->flags & (DNS_FLAG_RD | DNS_FLAG_CD)));
	if (answer.n > w.cap)
		return answer_empty(q, flags & (uint16_t)~DNS_FLAG_TC, true, room, w.cap);
	wr_be16(&w, q->id);
	wr_be16(&w, flags);
	wr_bytes(&w, str_head(str_skip(answer, 4), DNS_HEADER_BYTES - 4));
	wr_bytes(&w, str_mem(q->name.bytes, q->name.n));
	wr_bytes(&w, str_skip(answer, w.pos));
	return w.full ? 0 : w.pos;
}

size_t
forward_failed(const struct dns_query *q, void *room, size_t cap)
{
	uint16_t flags = (uint16_t)(DNS_FLAG_QR | DNS_FLAG_RA | DNS_SERVFAIL |
				    (q->flags & (DNS_FLAG_RD | DNS_FLAG_CD)));

	return answer_empty(q, flags, false, room, cap);
}

/* Addresses of names elsewhere. */

/* The next record of the answer section, if it is one that is used. */
static bool
record_read(struct reader *r, struct str answer, struct chased_record *out)
{
	uint16_t class, len;
	struct reader data;
	const uint8_t *p;

	if (!name_read(r, answer, &out->owner))
		return false;
	out->type = rd_be16(r);
	class = rd_be16(r);
	(void)rd_be32(r);
	len = rd_be16(r);
	data = *r;
	if (rd_take(r, len) == NULL || class != DNS_CLASS_IN)
		return false;
	switch (out->type) {
	case RR_A:
	case RR_AAAA:
		out->ip = (struct addr){ .family = out->type == RR_A ? ADDR_V4 : ADDR_V6 };
		p = rd_take(&data, out->type == RR_A ? 4 : 16);
		if (p == NULL || len != (out->type == RR_A ? 4 : 16))
			return false;
		memcpy(out->ip.bytes, p, len);
		return true;
	case RR_CNAME:
		return name_read(&data, answer, &out->target) && data.pos == r->pos;
	default:
		return false;
	}
}

void
chased_read(struct chased *c, struct str answer)
{
	struct reader r = rd_of(answer);
	uint16_t flags, count;

	c->count = 0;
	(void)rd_be16(&r);
	flags = rd_be16(&r);
	(void)rd_be16(&r);
	count = rd_be16(&r);
	(void)rd_be32(&r);
	if ((flags & 0xf) != DNS_NOERROR)
		return;
	if (!name_read(&r, answer, &c->of[0].owner))
		return;
	(void)rd_be32(&r);
	for (unsigned i = 0; i < count && rd_ok(&r) && c->count < CHASED_RECORDS_MAX; i++)
		c->count += record_read(&r, answer, &c->of[c->count]);
}

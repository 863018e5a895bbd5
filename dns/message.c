/* dns/message.c -- a query taken apart.
 *
 * What is refused, and how, follows the recorded peer: one question and at most one record in
 * the answer and authority sections (NOTIFY, IXFR), two in the additional one; bytes after the
 * last record do not matter, and a section may end early at a record's border.
 */
#include "dns/message.h"

#define ECS_CODE 8 /* RFC 7871 6 */

/* The client subnet option must make sense (RFC 7871 7.1.2), as the peer insists. */
static bool
subnet_valid(struct str data)
{
	struct reader r = rd_of(data);
	uint16_t family = rd_be16(&r);
	uint8_t source = rd_u8(&r);
	uint8_t scope = rd_u8(&r);
	size_t address = rd_left(&r);

	if (!rd_ok(&r))
		return false;
	switch (family) {
	case 0:
		return source == 0;
	case 1:
		return source <= 32 && scope <= 32 && address <= 4;
	case 2:
		return source <= 128 && scope <= 128 && address <= 16;
	default:
		return false;
	}
}

/* The next option of an OPT record; false at the end or when it is cut short. */
static bool
option_next(struct reader *r, uint16_t *code, struct str *data)
{
	uint16_t len;
	const uint8_t *p;

	if (rd_left(r) == 0)
		return false;
	*code = rd_be16(r);
	len = rd_be16(r);
	p = rd_take(r, len);
	if (p == NULL)
		return false;
	*data = str_mem(p, len);
	return true;
}

static bool
opt_read(struct dns_query *q, uint16_t class, uint32_t ttl, struct str data)
{
	struct reader r = rd_of(data);
	struct str option;
	uint16_t code;

	while (option_next(&r, &code, &option))
		if (code == ECS_CODE && !subnet_valid(option))
			return false;
	if (!rd_ok(&r))
		return false;
	q->edns = true;
	q->edns_size = class;
	q->edns_version = (uint8_t)(ttl >> 16);
	q->edns_do = (ttl & 0x8000) != 0;
	q->edns_options = data;
	return true;
}

/* One record after the question; only OPT in the additional section is of interest. */
static bool
record_read(struct reader *r, struct str packet, struct dns_query *q, bool additional)
{
	struct name owner;
	uint16_t type, class, len;
	uint32_t ttl;
	const uint8_t *data;

	if (!name_read(r, packet, &owner))
		return false;
	type = rd_be16(r);
	class = rd_be16(r);
	ttl = rd_be32(r);
	len = rd_be16(r);
	data = rd_take(r, len);
	if (data == NULL)
		return false;
	if (!additional || type != RR_OPT)
		return true;
	return opt_read(q, class, ttl, str_mem(data, len));
}

enum dns_read
dns_query_read(struct str packet, struct dns_query *out)
{
	struct reader r = rd_of(packet);
	struct dns_query q = { .id = rd_be16(&r) };
	uint16_t answers, authorities, additionals;

	q.flags = rd_be16(&r);
	q.opcode = (q.flags & DNS_OPCODE_MASK) >> 11;
	q.qdcount = rd_be16(&r);
	answers = rd_be16(&r);
	authorities = rd_be16(&r);
	additionals = rd_be16(&r);
	if (!rd_ok(&r) || (q.flags & DNS_FLAG_QR) != 0)
		return DNS_READ_DROP;
	*out = q;
	if (q.opcode != DNS_OPCODE_QUERY && q.opcode != DNS_OPCODE_NOTIFY)
		return DNS_READ_OPCODE;
	if (q.qdcount != 1 || answers > 1 || authorities > 1 || additionals > 2)
		return DNS_READ_BAD;
	if (rd_left(&r) == 0)
		return DNS_READ_EMPTY;

	if (!name_read(&r, packet, &q.name))
		return DNS_READ_BAD;
	q.type = rd_be16(&r);
	q.class = rd_be16(&r);
	if (!rd_ok(&r))
		return DNS_READ_BAD;
	for (unsigned i = 0; i < (unsigned)answers + authorities + additionals; i++) {
		bool additional = i >= (unsigned)answers + authorities;

		if (rd_left(&r) == 0)
			break;
		if (!record_read(&r, packet, &q, additional))
			return DNS_READ_BAD;
	}
	*out = q;
	return DNS_READ_OK;
}

struct str
dns_query_subnet(const struct dns_query *q, uint8_t room[DNS_ECS_BYTES])
{
	struct reader r = rd_of(q->edns_options);
	struct str data;
	uint16_t code;

	while (option_next(&r, &code, &data)) {
		if (code != ECS_CODE)
			continue;
		struct reader d = rd_of(data);
		struct writer w = wr_of(room, DNS_ECS_BYTES);
		uint16_t family = rd_be16(&d);
		uint8_t source = rd_u8(&d);
		size_t bytes = (source + 7u) / 8;

		(void)rd_u8(&d); /* the scope: for answers to fill in */
		wr_be16(&w, ECS_CODE);
		wr_be16(&w, (uint16_t)(4 + bytes));
		wr_be16(&w, family);
		wr_u8(&w, source);
		wr_u8(&w, 0);
		for (size_t i = 0; i < bytes; i++) {
			uint8_t b = rd_u8(&d); /* zeroes when the query left them out */

			if (i + 1 == bytes && source % 8 != 0)
				b &= (uint8_t)(0xff << (8 - source % 8));
			wr_u8(&w, b);
		}
		return wr_done(&w);
	}
	return STR_NONE;
}

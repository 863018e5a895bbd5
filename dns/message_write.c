/* dns/message_write.c -- an answer built in one buffer.
 *
 * In order: names with compression, the message's frame, the records, marks. Every dns_put_*
 * either writes its record whole or leaves the message as it was.
 */
#include <assert.h>

#include "dns/message.h"

#define POINTER 0xc000
#define POINTER_REACH 0x4000 /* 14 bits of offset */

/* Whether the name that stands at `at` (written by us, perhaps ending in a pointer) spells `name`
 * from its byte `from` on. */
static bool
spells(const struct dns_writer *w, size_t at, const struct name *name, size_t from)
{
	const uint8_t *base = w->w.base;

	while (at < w->w.pos) {
		if ((base[at] & 0xc0) == 0xc0) {
			if (at + 1 >= w->w.pos)
				return false;
			at = (size_t)(base[at] & 0x3f) << 8 | base[at + 1];
			continue;
		}
		if (base[at] != name->bytes[from])
			return false;
		if (base[at] == 0)
			return true;
		if (memcmp(base + at + 1, name->bytes + from + 1, base[at]) != 0)
			return false;
		from += 1u + base[at];
		at += 1u + base[at];
	}
	return false;
}

static uint16_t
name_find(const struct dns_writer *w, const struct name *name, size_t from)
{
	for (unsigned i = 0; i < w->offset_count; i++)
		if (spells(w, w->offsets[i], name, from))
			return w->offsets[i];
	return 0;
}

/* Writes a name; with `shorten` its known tail becomes a pointer. New tails are remembered. */
static void
put_name(struct dns_writer *w, const struct name *name, bool shorten)
{
	bool known = !w->compress;

	for (size_t at = 0; name->bytes[at] != 0; at += 1u + name->bytes[at]) {
		if (!known) {
			uint16_t found = name_find(w, name, at);

			if (found != 0 && shorten) {
				wr_be16(&w->w, POINTER | found);
				return;
			}
			if (found != 0)
				known = true; /* and so are all shorter tails */
			else if (w->w.pos < POINTER_REACH && w->offset_count < DNS_OFFSETS_MAX)
				w->offsets[w->offset_count++] = (uint16_t)w->w.pos;
		}
		wr_bytes(&w->w, str_mem(name->bytes + at, 1u + name->bytes[at]));
	}
	wr_u8(&w->w, 0);
}

void
dns_begin(struct dns_writer *w, void *room, size_t cap, const struct dns_query *q, uint16_t flags,
    enum dns_rcode rcode, bool compress)
{
	*w = (struct dns_writer){
		.w = wr_of(room, cap < DNS_MESSAGE_MAX ? cap : DNS_MESSAGE_MAX),
		.flags = flags,
		.rcode = rcode,
		.compress = compress,
	};
	wr_be16(&w->w, q->id);
	wr_be16(&w->w, 0);
	wr_be16(&w->w, 1);
	wr_be16(&w->w, 0);
	wr_be32(&w->w, 0);
	put_name(w, &q->name, true);
	wr_be16(&w->w, q->type);
	wr_be16(&w->w, q->class);
}

size_t
dns_bare_answer(void *room, size_t cap, uint16_t id, uint16_t flags, enum dns_rcode rcode)
{
	struct writer w = wr_of(room, cap);

	wr_be16(&w, id);
	wr_be16(&w, (uint16_t)(flags | rcode));
	wr_be32(&w, 0);
	wr_be32(&w, 0);
	return w.full ? 0 : w.pos;
}

/* Opens a record: all up to its data's length, which record_close() fills in. */
static size_t
record_open(struct dns_writer *w, enum dns_section section, const struct name *owner, uint16_t type,
    uint32_t ttl)
{
	assert(section >= w->section);
	w->section = (unsigned char)section;
	put_name(w, owner, true);
	wr_be16(&w->w, type);
	wr_be16(&w->w, DNS_CLASS_IN);
	wr_be32(&w->w, ttl);
	wr_be16(&w->w, 0);
	return w->w.pos;
}

static bool
record_close(struct dns_writer *w, enum dns_section section, size_t data, struct dns_mark before)
{
	if (w->w.full || w->w.pos - data > UINT16_MAX || w->counts[section] == UINT16_MAX) {
		dns_rewind(w, before);
		return false;
	}
	wr_patch_be16(&w->w, data - 2, (uint16_t)(w->w.pos - data));
	w->counts[section]++;
	return true;
}

bool
dns_put_a(struct dns_writer *w, enum dns_section section, const struct name *owner, uint32_t ttl,
    const uint8_t ip[4])
{
	struct dns_mark before = dns_mark(w);
	size_t data = record_open(w, section, owner, RR_A, ttl);

	wr_bytes(&w->w, str_mem(ip, 4));
	return record_close(w, section, data, before);
}

bool
dns_put_aaaa(struct dns_writer *w, enum dns_section section, const struct name *owner, uint32_t ttl,
    const uint8_t ip[16])
{
	struct dns_mark before = dns_mark(w);
	size_t data = record_open(w, section, owner, RR_AAAA, ttl);

	wr_bytes(&w->w, str_mem(ip, 16));
	return record_close(w, section, data, before);
}

bool
dns_put_ip(struct dns_writer *w, enum dns_section section, const struct name *owner, uint32_t ttl,
    const struct addr *ip)
{
	return ip->family == ADDR_V6 ? dns_put_aaaa(w, section, owner, ttl, ip->bytes)
				     : dns_put_a(w, section, owner, ttl, ip->bytes);
}

bool
dns_put_ip_at(struct dns_writer *w, enum dns_section section, uint16_t at, uint32_t ttl,
    const struct addr *ip)
{
	struct dns_mark before = dns_mark(w);
	bool v6 = ip->family == ADDR_V6;
	size_t data;

	assert(section >= w->section && at != 0 && at < POINTER_REACH);
	w->section = (unsigned char)section;
	wr_be16(&w->w, POINTER | at);
	wr_be16(&w->w, v6 ? RR_AAAA : RR_A);
	wr_be16(&w->w, DNS_CLASS_IN);
	wr_be32(&w->w, ttl);
	wr_be16(&w->w, 0);
	data = w->w.pos;
	wr_bytes(&w->w, str_mem(ip->bytes, v6 ? 16 : 4));
	return record_close(w, section, data, before);
}

bool
dns_put_srv(struct dns_writer *w, enum dns_section section, const struct name *owner, uint32_t ttl,
    uint16_t priority, uint16_t weight, uint16_t port, const struct name *target)
{
	struct dns_mark before = dns_mark(w);
	size_t data = record_open(w, section, owner, RR_SRV, ttl);
	size_t at;

	wr_be16(&w->w, priority);
	wr_be16(&w->w, weight);
	wr_be16(&w->w, port);
	at = w->w.pos;
	put_name(w, target, false);
	w->target_at = w->compress && at < POINTER_REACH ? (uint16_t)at : 0;
	return record_close(w, section, data, before);
}

bool
dns_put_name(struct dns_writer *w, enum dns_section section, const struct name *owner,
    uint16_t type, uint32_t ttl, const struct name *target)
{
	struct dns_mark before = dns_mark(w);
	size_t data = record_open(w, section, owner, type, ttl);

	put_name(w, target, true);
	return record_close(w, section, data, before);
}

bool
dns_put_txt(struct dns_writer *w, enum dns_section section, const struct name *owner, uint32_t ttl,
    struct str text)
{
	struct dns_mark before = dns_mark(w);
	size_t data = record_open(w, section, owner, RR_TXT, ttl);

	do {
		size_t n = text.n < 255 ? text.n : 255;

		wr_u8(&w->w, (uint8_t)n);
		wr_bytes(&w->w, str_head(text, n));
		text.n -= n;
		if (text.n > 0)
			text.p += n;
	} while (text.n > 0 && !w->w.full);
	return record_close(w, section, data, before);
}

bool
dns_put_soa(struct dns_writer *w, enum dns_section section, const struct name *owner, uint32_t ttl,
    const struct name *mname, const struct name *rname, const uint32_t numbers[5])
{
	struct dns_mark before = dns_mark(w);
	size_t data = record_open(w, section, owner, RR_SOA, ttl);

	put_name(w, mname, true);
	put_name(w, rname, true);
	for (size_t i = 0; i < 5; i++)
		wr_be32(&w->w, numbers[i]);
	return record_close(w, section, data, before);
}

bool
dns_put_opt(struct dns_writer *w, uint16_t size, uint16_t flags, struct str options)
{
	struct dns_mark before = dns_mark(w);
	size_t data;

	w->section = DNS_ADDITIONAL;
	wr_u8(&w->w, 0);
	wr_be16(&w->w, RR_OPT);
	wr_be16(&w->w, size);
	wr_be16(&w->w, 0); /* extended rcode, version */
	wr_be16(&w->w, flags);
	wr_be16(&w->w, 0);
	data = w->w.pos;
	wr_bytes(&w->w, options);
	return record_close(w, DNS_ADDITIONAL, data, before);
}

struct dns_mark
dns_mark(const struct dns_writer *w)
{
	struct dns_mark mark = {
		.pos = w->w.pos, .offset_count = w->offset_count, .section = w->section
	};

	memcpy(mark.counts, w->counts, sizeof mark.counts);
	return mark;
}

void
dns_rewind(struct dns_writer *w, struct dns_mark mark)
{
	w->w.pos = mark.pos;
	w->w.full = false;
	w->offset_count = mark.offset_count;
	w->section = mark.section;
	memcpy(w->counts, mark.counts, sizeof w->counts);
}

struct str
dns_end(struct dns_writer *w, bool truncated)
{
	uint16_t flags = (uint16_t)(w->flags | (truncated ? DNS_FLAG_TC : 0) | w->rcode);

	wr_patch_be16(&w->w, 2, flags);
	for (size_t i = 0; i < 3; i++)
		wr_patch_be16(&w->w, 6 + 2 * i, w->counts[i]);
	return wr_done(&w->w);
}

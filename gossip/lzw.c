/* gossip/lzw.c -- packing and unpacking, both around one rule of how codes are counted.
 *
 * Codes 0..255 are literals, 256 clears the table, 257 ends; entries begin at 258. Both sides count
 * `high`: after every data code it grows by one, and the width follows it, so they agree on widths
 * without saying so. The unpacker needs no strings of its own: an entry is the previous string and
 * the byte after it, which stand next to each other in the output already; it keeps where and how
 * long. Source: Go's compress/lzw by behaviour; every vector is reproduced to the byte.
 */
#include "gossip/lzw.h"

#include <string.h>

enum {
	LZW_CLEAR = 256,
	LZW_END = 257,
	LZW_WIDTH_MIN = 9,
	LZW_WIDTH_MAX = 12,
	LZW_CODES = 1 << LZW_WIDTH_MAX,
	LZW_SLOTS = 1 << 13, /* of the packer's hash table: at most half are used */
	LZW_FREE = 0,
};

/* --- packing --- */

struct lzw_bits {
	char *p; /* room for all of it was reserved */
	size_t n;
	uint32_t bits;
	unsigned count, width, high;
};

static void
lzw_emit(struct lzw_bits *b, unsigned code)
{
	b->bits |= (uint32_t)code << b->count;
	b->count += b->width;
	while (b->count >= 8) {
		b->p[b->n++] = (char)b->bits;
		b->bits >>= 8;
		b->count -= 8;
	}
}

/* After a data code: true while the table has room for one more entry. */
static bool
lzw_grow(struct lzw_bits *b)
{
	b->high++;
	if (b->high == 1u << b->width)
		b->width++;
	if (b->high < LZW_CODES - 1)
		return true;
	lzw_emit(b, LZW_CLEAR);
	b->width = LZW_WIDTH_MIN;
	b->high = LZW_END;
	return false;
}

/* A slot holds prefix code and byte (20 bits) over the entry's code (12); codes are never 0. */
static uint32_t *
lzw_slot(uint32_t *slots, uint32_t key)
{
	uint32_t at = (key * 2654435761u) >> (32 - 13);

	while (slots[at] != LZW_FREE && slots[at] >> 12 != key)
		at = (at + 1) % LZW_SLOTS;
	return &slots[at];
}

void
lzw_pack(struct str in, struct buf *out)
{
	struct lzw_bits b = { .width = LZW_WIDTH_MIN, .high = LZW_END };
	uint32_t slots[LZW_SLOTS] = { 0 };
	unsigned code;

	b.p = buf_reserve(out, LZW_PACKED_MAX(in.n));
	if (b.p == NULL)
		return;
	lzw_emit(&b, LZW_CLEAR);
	code = in.n > 0 ? (uint8_t)in.p[0] : LZW_END;
	for (size_t i = 1; i < in.n; i++) {
		uint8_t byte = (uint8_t)in.p[i];
		uint32_t key = (uint32_t)code << 8 | byte, *slot = lzw_slot(slots, key);

		if (*slot != LZW_FREE) {
			code = *slot & (LZW_CODES - 1);
			continue;
		}
		lzw_emit(&b, code);
		code = byte;
		if (lzw_grow(&b))
			*slot = key << 12 | b.high;
		else
			memset(slots, 0, sizeof slots);
	}
	if (in.n > 0) {
		lzw_emit(&b, code);
		lzw_grow(&b);
	}
	lzw_emit(&b, LZW_END);
	if (b.count > 0)
		b.p[b.n++] = (char)b.bits;
	buf_commit(out, b.n);
}

/* --- unpacking --- */

struct lzw_codes { /* reads codes and keeps their widths */
	const uint8_t *p;
	size_t n, at;
	uint32_t bits;
	unsigned count, width, high;
	bool fresh; /* no string since the last clear (or the table is full): nothing to extend */
};

static struct lzw_codes
lzw_codes_of(struct str in)
{
	return (
	    struct lzw_codes){ (const uint8_t *)in.p, in.n, 0, 0, 0, LZW_WIDTH_MIN, LZW_END, true };
}

static bool
lzw_next(struct lzw_codes *c, unsigned *code)
{
	while (c->count < c->width) {
		if (c->at == c->n)
			return false;
		c->bits |= (uint32_t)c->p[c->at++] << c->count;
		c->count += 8;
	}
	*code = c->bits & ((1u << c->width) - 1);
	c->bits >>= c->width;
	c->count -= c->width;
	return true;
}

/* After a data code: the next one may be wider; a full table stays as it is. */
static void
lzw_count(struct lzw_codes *c)
{
	c->fresh = false;
	if (++c->high < 1u << c->width)
		return;
	if (c->width < LZW_WIDTH_MAX) {
		c->width++;
	} else {
		c->high--;
		c->fresh = true;
	}
}

static void
lzw_restart(struct lzw_codes *c)
{
	c->width = LZW_WIDTH_MIN;
	c->high = LZW_END;
	c->fresh = true;
}

/* The one walk over the codes. With `out` NULL only lengths are followed. */
static int
lzw_walk(struct str in, struct buf *out, size_t max, size_t *length, struct err *err)
{
	struct lzw_codes c = lzw_codes_of(in);
	size_t begin = out != NULL ? out->n : 0, total = 0;
	size_t last = 0, last_n = 0; /* the previous string, in what was unpacked */
	uint32_t where[LZW_CODES];
	uint16_t size[LZW_CODES];
	unsigned code;

	for (;;) {
		size_t from, n;

		if (!lzw_next(&c, &code))
			return err_set(err, ERR_INPUT, "compressed data without an end");
		if (code == LZW_END)
			break;
		if (code == LZW_CLEAR) {
			lzw_restart(&c);
			continue;
		}
		if (!c.fresh) { /* its last byte is the first one of the string to come */
			where[c.high] = (uint32_t)last;
			size[c.high] = (uint16_t)(last_n + 1);
		}
		if (code > c.high) /* all up to high are entries: high only grows with one */
			return err_set(
			    err, ERR_INPUT, "compressed data with an unknown code %u", code);
		from = code < LZW_CLEAR ? 0 : where[code];
		n = code < LZW_CLEAR ? 1 : size[code];
		if (n > max - total)
			return err_set(
			    err, ERR_LIMIT, "compressed data unpacks to more than %zu bytes", max);
		if (out != NULL) {
			char *p = buf_reserve(out, n);

			if (p == NULL)
				return err_set(
				    err, ERR_LIMIT, "compressed data unpacks to too much");
			if (code < LZW_CLEAR)
				p[0] = (char)code;
			else
				for (size_t i = 0; i < n; i++) /* may overlap what it writes */
					p[i] = out->p[begin + from + i];
			buf_commit(out, n);
		}
		last = total;
		last_n = n;
		total += n;
		lzw_count(&c);
	}
	*length = total;
	return 0;
}

int
lzw_unpack(struct str in, struct buf *out, struct err *err)
{
	size_t before = out->n, max = out->cap - out->n, length;
	int rc = out->full ? err_set(err, ERR_LIMIT, "no room for compressed data")
			   : lzw_walk(in, out, max < UINT32_MAX ? max : UINT32_MAX, &length, err);

	if (rc < 0)
		out->n = before;
	return rc;
}

int
lzw_length(struct str in, size_t max, size_t *length, struct err *err)
{
	return lzw_walk(in, NULL, max < UINT32_MAX ? max : UINT32_MAX, length, err);
}

/* base/cursor.h -- the one way in and out for bytes of a wire format.
 *
 * A reader never passes its end and a writer never passes its room. The first failure sticks:
 * every later call returns zero or NULL and does nothing, so a parser reads straight down the
 * page and asks rd_ok() once, at the end. A writer that ran out of room says so in `full`.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

enum rd_state { RD_OK, RD_SHORT, RD_BAD }; /* SHORT: more bytes could help; BAD: none could */

struct reader {
	const uint8_t *base; /* borrowed */
	size_t pos, len;     /* pos <= len, always */
	enum rd_state state;
};

static inline struct reader
rd_of(struct str s)
{
	return (struct reader){ (const uint8_t *)s.p, 0, s.n, RD_OK };
}

static inline bool
rd_ok(const struct reader *r)
{
	return r->state == RD_OK;
}

static inline size_t
rd_left(const struct reader *r)
{
	return r->state == RD_OK ? r->len - r->pos : 0;
}

static inline void
rd_fail(struct reader *r) /* the bytes are wrong, not too few */
{
	if (r->state == RD_OK)
		r->state = RD_BAD;
}

static inline const uint8_t * /* n bytes, or NULL from the first failure on */
rd_take(struct reader *r, size_t n)
{
	if (r->state == RD_OK && n > r->len - r->pos)
		r->state = RD_SHORT;
	if (r->state != RD_OK)
		return NULL;
	r->pos += n;
	return r->base + r->pos - n;
}

static inline struct str
rd_str(struct reader *r, size_t n) /* n bytes as a slice of the input */
{
	const uint8_t *p = rd_take(r, n);

	return p == NULL ? STR_NONE : str_mem(p, n);
}

static inline struct reader
rd_window(struct reader *r, size_t n) /* a reader that cannot leave the next n bytes */
{
	const uint8_t *p = rd_take(r, n);

	return (struct reader){ p, 0, p == NULL ? 0 : n, r->state };
}

static inline uint8_t
rd_u8(struct reader *r)
{
	const uint8_t *p = rd_take(r, 1);

	return p == NULL ? 0 : p[0];
}

static inline uint16_t
rd_be16(struct reader *r) /* network order; zero after a failure */
{
	const uint8_t *p = rd_take(r, 2);

	return p == NULL ? 0 : (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t
rd_be32(struct reader *r)
{
	const uint8_t *p = rd_take(r, 4);

	return p == NULL ? 0
	                 : (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t
rd_be64(struct reader *r)
{
	const uint8_t *p = rd_take(r, 8);

	return p == NULL ? 0
			 : (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
			       (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 |
			       (uint64_t)p[5] << 16 | (uint64_t)p[6] << 8 | p[7];
}

uint64_t rd_varint_long(struct reader *r);

/* Unsigned LEB128 (7 bits a byte, low first), at most 10 bytes; shortest form only. */
static inline uint64_t
rd_varint(struct reader *r)
{
	if (r->state == RD_OK && r->pos < r->len && r->base[r->pos] < 0x80) /* mostly */
		return r->base[r->pos++];
	return rd_varint_long(r);
}

struct writer {
	uint8_t *base; /* borrowed */
	size_t pos, cap;
	bool full; /* something did not fit; sticks */
};

static inline struct writer
wr_of(void *room, size_t cap)
{
	return (struct writer){ room, 0, cap, false };
}

static inline struct str
wr_done(const struct writer *w) /* what was written, borrowed from the room */
{
	return str_mem(w->base, w->pos);
}

static inline uint8_t * /* room for n bytes, or NULL when they do not fit */
wr_room(struct writer *w, size_t n)
{
	if (w->full || n > w->cap - w->pos) {
		w->full = true;
		return NULL;
	}
	w->pos += n;
	return w->base + w->pos - n;
}

static inline void
wr_bytes(struct writer *w, struct str s)
{
	uint8_t *p = wr_room(w, s.n);

	if (p != NULL && s.n > 0)
		memcpy(p, s.p, s.n);
}

static inline void
wr_u8(struct writer *w, uint8_t v)
{
	uint8_t *p = wr_room(w, 1);

	if (p != NULL)
		p[0] = v;
}

static inline void
wr_be16(struct writer *w, uint16_t v)
{
	uint8_t *p = wr_room(w, 2);

	if (p != NULL) {
		p[0] = (uint8_t)(v >> 8);
		p[1] = (uint8_t)v;
	}
}

static inline void
wr_be32(struct writer *w, uint32_t v)
{
	uint8_t *p = wr_room(w, 4);

	if (p != NULL) {
		p[0] = (uint8_t)(v >> 24);
		p[1] = (uint8_t)(v >> 16);
		p[2] = (uint8_t)(v >> 8);
		p[3] = (uint8_t)v;
	}
}

static inline void
wr_be64(struct writer *w, uint64_t v)
{
	uint8_t *p = wr_room(w, 8);

	if (p != NULL) {
		p[0] = (uint8_t)(v >> 56);
		p[1] = (uint8_t)(v >> 48);
		p[2] = (uint8_t)(v >> 40);
		p[3] = (uint8_t)(v >> 32);
		p[4] = (uint8_t)(v >> 24);
		p[5] = (uint8_t)(v >> 16);
		p[6] = (uint8_t)(v >> 8);
		p[7] = (uint8_t)v;
	}
}

void wr_varint(struct writer *w, uint64_t v);

/* Length of v as a varint: 1 to 10. */
size_t varint_len(uint64_t v);

/* Overwrites 16 bits written before (a count, a length). `at` must lie in what was written. */
static inline void
wr_patch_be16(struct writer *w, size_t at, uint16_t v)
{
	if (at + 2 <= w->pos) {
		w->base[at] = (uint8_t)(v >> 8);
		w->base[at + 1] = (uint8_t)v;
	}
}

#endif

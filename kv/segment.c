/* kv/segment.c -- head, records, and the verdict over what a crash left.
 *
 * Head, 512 bytes: "mustlog1", sequence, raft id, nonce, start, start term, previous nonce (64
 * bits each), previous end, size (32 bits each), zeros, XXH3 of all before it.
 *
 * Record, a multiple of 8 bytes: length of the body (32 bits), magic (8), kind (8), type (16),
 * term, index (64), batch (32), check of these 28 bytes (32), XXH3 of the padded body (64), the
 * body, zeros, an end mark (8 bits) that shows a write that stopped short. The head's check makes
 * the length trustworthy when the body is not: without it one could not say which sectors should be
 * there. Both are seeded with nonce and place; the body's also with the head's, so no part passes
 * in another's company. All big-endian.
 */
#include "kv/segment.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define RECORD_MAGIC 0xa7
#define RECORD_END 0x7a
#define HEAD_CHECKED 28 /* bytes of a record that its 32-bit check covers */

static const char head_magic[] = "mustlog1";

void
segment_head_write(uint8_t *out, const struct segment_head *h)
{
	struct writer w = wr_of(out, SEGMENT_HEAD);

	memset(out, 0, SEGMENT_HEAD);
	wr_bytes(&w, str_mem(head_magic, 8));
	wr_be64(&w, h->sequence);
	wr_be64(&w, h->raft_id);
	wr_be64(&w, h->nonce);
	wr_be64(&w, h->start);
	wr_be64(&w, h->start_term);
	wr_be64(&w, h->prev_nonce);
	wr_be32(&w, h->prev_end);
	wr_be32(&w, h->size);
	w.pos = SEGMENT_HEAD - 8;
	wr_be64(&w, XXH3_64bits(out, SEGMENT_HEAD - 8));
}

bool
segment_head_read(struct str s, struct segment_head *out)
{
	struct reader r = rd_of(s), sum;
	struct str magic = rd_str(&r, 8);
	struct segment_head h;

	if (s.n != SEGMENT_HEAD || !str_eq(magic, str_mem(head_magic, 8)))
		return false;
	sum = rd_of(s);
	rd_take(&sum, SEGMENT_HEAD - 8);
	if (rd_be64(&sum) != XXH3_64bits(s.p, SEGMENT_HEAD - 8))
		return false;
	h.sequence = rd_be64(&r);
	h.raft_id = rd_be64(&r);
	h.nonce = rd_be64(&r);
	h.start = rd_be64(&r);
	h.start_term = rd_be64(&r);
	h.prev_nonce = rd_be64(&r);
	h.prev_end = rd_be32(&r);
	h.size = rd_be32(&r);
	if (!rd_ok(&r) || h.sequence == 0 || h.start == 0)
		return false;
	*out = h;
	return true;
}

void
segment_record_write(struct writer *w, uint64_t nonce, uint64_t at, const struct segment_record *r)
{
	size_t padded = SEGMENT_PAD(r->bytes.n);
	uint8_t *p = wr_room(w, SEGMENT_RECORD + padded);
	struct writer head;
	uint64_t sum;

	if (p == NULL)
		return;
	head = wr_of(p, SEGMENT_RECORD);
	wr_be32(&head, (uint32_t)r->bytes.n);
	wr_u8(&head, RECORD_MAGIC);
	wr_u8(&head, (uint8_t)r->kind);
	wr_be16(&head, r->type);
	wr_be64(&head, r->term);
	wr_be64(&head, r->index);
	wr_be32(&head, r->batch);
	sum = XXH3_64bits_withSeed(p, HEAD_CHECKED, nonce + at);
	wr_be32(&head, (uint32_t)sum);
	memset(p + SEGMENT_RECORD + padded - 8, 0, 7);
	p[SEGMENT_RECORD + padded - 1] = RECORD_END;
	if (r->bytes.n > 0)
		memcpy(p + SEGMENT_RECORD, r->bytes.p, r->bytes.n);
	wr_be64(&head, XXH3_64bits_withSeed(p + SEGMENT_RECORD, padded, sum));
}

/* What the bytes at a place are. */
enum shape {
	SHAPE_WHOLE,
	SHAPE_NO_HEAD, /* the first 40 bytes are no head of a record at this place */
	SHAPE_NO_ROOM, /* a good head, but the file ends before its body does */
	SHAPE_NO_BODY, /* a good head, another body */
};

/* `extent` is how many bytes should be there, as far as that can be told. */
static enum shape
record_parse(
    struct str file, uint64_t nonce, uint64_t at, struct segment_record *out, size_t *extent)
{
	struct reader r = rd_of(file);
	const uint8_t *head;
	uint64_t sum, body_sum;
	size_t n, padded;
	uint32_t check;

	*extent = SEGMENT_RECORD;
	rd_take(&r, at);
	head = rd_take(&r, 0);
	n = rd_be32(&r);
	if (rd_u8(&r) != RECORD_MAGIC || head == NULL)
		return SHAPE_NO_HEAD;
	out->kind = (enum segment_kind)rd_u8(&r);
	out->type = rd_be16(&r);
	out->term = rd_be64(&r);
	out->index = rd_be64(&r);
	out->batch = rd_be32(&r);
	check = rd_be32(&r);
	body_sum = rd_be64(&r);
	if (!rd_ok(&r))
		return SHAPE_NO_HEAD;
	sum = XXH3_64bits_withSeed(head, HEAD_CHECKED, nonce + at);
	if (check != (uint32_t)sum)
		return SHAPE_NO_HEAD;
	padded = SEGMENT_PAD(n);
	*extent = SEGMENT_RECORD + padded;
	if (padded > rd_left(&r)) {
		*extent = SEGMENT_RECORD + rd_left(&r);
		return SHAPE_NO_ROOM;
	}
	out->bytes = str_mem(head + SEGMENT_RECORD, n);
	return XXH3_64bits_withSeed(head + SEGMENT_RECORD, padded, sum) == body_sum ? SHAPE_WHOLE
										    : SHAPE_NO_BODY;
}

static bool
all_zero(struct str s)
{
	return s.n == 0 || (s.p[0] == 0 && memcmp(s.p, s.p + 1, s.n - 1) == 0);
}

/* Whether a sector's share of these bytes is all zeros: it never reached the disk. A body may
 * hold such zeros itself; then damage elsewhere in the last batch passes for a torn tail. */
static bool
lacks_sector(struct str file, uint64_t at, size_t n)
{
	uint64_t end = at + n < file.n ? at + n : file.n;

	while (at < end) {
		uint64_t next = (at / SEGMENT_SECTOR + 1) * SEGMENT_SECTOR;

		if (next > end)
			next = end;
		if (all_zero(str_mem(file.p + at, (size_t)(next - at))))
			return true;
		at = next;
	}
	return false;
}

/* Whether a batch that began after `at` is in the file: then the one before it was synced. */
static bool
later_batch(const struct segment_scan *s, size_t dirt_end)
{
	struct segment_record r;
	size_t extent;

	for (uint64_t at = s->at + 8; at + SEGMENT_RECORD <= dirt_end + 8; at += 8)
		if (record_parse(s->file, s->nonce, at, &r, &extent) != SHAPE_NO_HEAD &&
		    r.batch > s->at)
			return true;
	return false;
}

void
segment_scan_init(struct segment_scan *s, struct str file, uint64_t nonce, uint64_t sealed)
{
	*s = (struct segment_scan){
		.file = file, .nonce = nonce, .at = SEGMENT_HEAD, .sealed = sealed
	};
	if (sealed > 0 && sealed <= file.n) /* what is behind is nobody's */
		s->file.n = sealed;
}

static enum segment_verdict
damaged(struct segment_scan *s, const char *why)
{
	s->why = why;
	return SEGMENT_DAMAGED;
}

enum segment_verdict
segment_next(struct segment_scan *s, struct segment_record *out)
{
	struct segment_record r = { 0 };
	size_t extent, dirt_end;
	enum shape shape;

	if (s->sealed > s->file.n)
		return damaged(s, "the file is shorter than the next segment says");
	if (s->at >= s->file.n)
		return SEGMENT_END;
	shape = record_parse(s->file, s->nonce, s->at, &r, &extent);
	if (shape == SHAPE_WHOLE) {
		if (r.kind < SEGMENT_ENTRY || r.kind > SEGMENT_RESET)
			return damaged(s, "a record of a kind that is not known here");
		s->at += extent;
		*out = r;
		return SEGMENT_OK;
	}
	if (s->sealed > 0)
		return damaged(s, "a record with a wrong checksum");
	dirt_end = segment_dirt_end(s->file);
	if (dirt_end <= s->at)
		return SEGMENT_END;
	if (later_batch(s, dirt_end))
		return damaged(
		    s, "a record with a wrong checksum, good ones of a later write behind it");
	if (dirt_end < s->at + extent || lacks_sector(s->file, s->at, extent))
		return SEGMENT_TORN;
	return damaged(s, "a record that is complete but has a wrong checksum");
}

size_t
segment_dirt_end(struct str file)
{
	size_t n = file.n;

	while (n >= 8 && memcmp(file.p + n - 8, "\0\0\0\0\0\0\0", 8) == 0)
		n -= 8;
	while (n > 0 && file.p[n - 1] == 0)
		n--;
	return n;
}

/* kv/record.c -- a record's bytes and its hash. Nothing here knows what a body means.
 *
 * Wire form, in order: varint kind * 2 + gone, varint number, varint length and key, varint
 * length and body. A number is never 0; a tombstone's body is empty.
 */
#include "kv/record.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t
record_head(const struct record *r) /* the first varint */
{
	return (uint64_t)r->kind << 1 | r->gone;
}

void
record_write(struct writer *w, const struct record *r)
{
	wr_varint(w, record_head(r));
	wr_varint(w, r->number);
	wr_varint(w, r->key.n);
	wr_bytes(w, r->key);
	wr_varint(w, r->body.n);
	wr_bytes(w, r->body);
}

size_t
record_size(const struct record *r)
{
	return varint_len(record_head(r)) + varint_len(r->number) + varint_len(r->key.n) +
	       r->key.n + varint_len(r->body.n) + r->body.n;
}

/* A length and that many bytes, at most `max`. */
static struct str
record_bytes(struct reader *rd, size_t max)
{
	uint64_t n = rd_varint(rd);

	if (n > max) {
		rd_fail(rd);
		return STR_NONE;
	}
	return rd_str(rd, (size_t)n);
}

bool
record_read(struct reader *rd, struct record *out)
{
	struct record r = { 0 };
	uint64_t head;

	if (rd_left(rd) == 0)
		return false;
	head = rd_varint(rd);
	r.kind = (uint16_t)(head >> 1);
	r.gone = head & 1;
	r.number = rd_varint(rd);
	r.key = record_bytes(rd, RECORD_KEY_MAX);
	r.body = record_bytes(rd, r.gone ? 0 : RECORD_BODY_MAX);
	if (rd_ok(rd) && (head >> 1 > UINT16_MAX || r.number == 0))
		rd_fail(rd);
	if (!rd_ok(rd))
		return false;
	*out = r;
	return true;
}

/* Each step's hash is the next one's seed, so a byte that moves from key to body changes it. */
uint64_t
record_hash(const struct record *r)
{
	uint64_t h = XXH3_64bits_withSeed(r->key.p, r->key.n, r->kind);

	return XXH3_64bits_withSeed(r->body.p, r->body.n, h);
}

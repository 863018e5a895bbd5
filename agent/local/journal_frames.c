/* agent/local/journal_frames.c -- entries (a tree by kind and key), frames (their bytes). */
#include "agent/local/journal_frames.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

#define JOURNAL_MARK 0x9d4a

/* ---- entries ---- */

static int
entry_cmp(const struct journal_entry *a, const struct journal_entry *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return str_cmp(journal_entry_key(a), journal_entry_key(b));
}

RB_GENERATE_INTERNAL(journal_tree, journal_entry, link, entry_cmp, static __attribute__((unused)))

static struct journal_entry *
entry_new(uint16_t kind, struct str key, struct str value)
{
	struct journal_entry *e = mem_alloc(sizeof *e + key.n + value.n);

	*e = (struct journal_entry){ .kind = kind, .key_len = key.n, .value_len = value.n };
	if (key.n > 0)
		memcpy(e->bytes, key.p, key.n);
	if (value.n > 0)
		memcpy(e->bytes + key.n, value.p, value.n);
	return e;
}

struct journal_entry *
journal_entry_find(const struct journal_entries *all, uint16_t kind, struct str key)
{
	struct journal_entry *e = RB_ROOT(&all->tree);

	while (e != NULL) {
		int c = kind != e->kind ? (kind < e->kind ? -1 : 1)
					: str_cmp(key, journal_entry_key(e));

		if (c == 0)
			break;
		e = c < 0 ? RB_LEFT(e, link) : RB_RIGHT(e, link);
	}
	return e;
}

struct journal_entry *
journal_entry_next(const struct journal_entries *all, const struct journal_entry *e)
{
	struct journal_tree *tree = (struct journal_tree *)(uintptr_t)&all->tree;

	return e == NULL ? RB_MIN(journal_tree, tree)
			 : RB_NEXT(journal_tree, tree, (struct journal_entry *)(uintptr_t)e);
}

static size_t
entry_size(const struct journal_entry *e) /* bytes of a frame that holds only this */
{
	return JOURNAL_FRAME_HEAD + 3 + varint_len(e->key_len) + e->key_len +
	       varint_len(e->value_len) + e->value_len;
}

static void
entry_remove(struct journal_entries *all, struct journal_entry *e)
{
	RB_REMOVE(journal_tree, &all->tree, e);
	all->live -= entry_size(e);
	free(e);
}

static void
entry_set(struct journal_entries *all, uint16_t kind, struct str key, struct str value)
{
	struct journal_entry *old = journal_entry_find(all, kind, key);
	struct journal_entry *e = entry_new(kind, key, value);

	if (old != NULL)
		entry_remove(all, old);
	RB_INSERT(journal_tree, &all->tree, e);
	all->live += entry_size(e);
}

void
journal_entries_clear(struct journal_entries *all)
{
	struct journal_entry *e;

	while ((e = RB_MIN(journal_tree, &all->tree)) != NULL)
		entry_remove(all, e);
}

/* ---- frames ---- */

void
journal_frame_begin(struct buf *b)
{
	buf_clear(b);
	buf_reserve(b, JOURNAL_FRAME_HEAD);
	buf_commit(b, JOURNAL_FRAME_HEAD);
}

void
journal_frame_end(struct buf *b)
{
	struct writer w = wr_of(b->p, JOURNAL_FRAME_HEAD);
	struct str payload = str_skip(buf_str(b), JOURNAL_FRAME_HEAD);

	wr_be16(&w, JOURNAL_MARK);
	wr_be32(&w, (uint32_t)payload.n);
	wr_be64(&w, XXH3_64bits(payload.p, payload.n));
}

void
journal_frame_op(struct buf *b, enum journal_op op, uint16_t kind, struct str key, struct str value)
{
	size_t room = 3 + 10 + key.n + 10 + value.n;
	char *p = buf_reserve(b, room);
	struct writer w = wr_of(p, room);

	if (p == NULL)
		return;
	wr_u8(&w, (uint8_t)op);
	wr_be16(&w, kind);
	wr_varint(&w, key.n);
	wr_bytes(&w, key);
	if (op == JOURNAL_PUT) {
		wr_varint(&w, value.n);
		wr_bytes(&w, value);
	}
	buf_commit(b, w.pos);
}

bool
journal_frame_read(struct reader *r, struct str *payload)
{
	uint16_t mark = rd_be16(r);
	uint32_t n = rd_be32(r);
	uint64_t hash = rd_be64(r);
	struct str s;

	if (mark != JOURNAL_MARK || n > JOURNAL_FRAME_MAX)
		rd_fail(r);
	s = rd_str(r, n);
	if (!rd_ok(r) || XXH3_64bits(s.p, s.n) != hash)
		return false;
	*payload = s;
	return true;
}

/* With NULL it only looks whether the payload is well formed. */
static bool
payload_walk(struct journal_entries *all, struct str payload)
{
	struct reader r = rd_of(payload);

	while (rd_left(&r) > 0) {
		uint8_t op = rd_u8(&r);
		uint16_t kind = rd_be16(&r);
		struct str key = rd_str(&r, rd_varint(&r)), value = STR_NONE;
		struct journal_entry *e;

		if (op == JOURNAL_PUT)
			value = rd_str(&r, rd_varint(&r));
		else if (op != JOURNAL_DELETE)
			rd_fail(&r);
		if (!rd_ok(&r))
			return false;
		if (all == NULL)
			continue;
		if (op == JOURNAL_PUT)
			entry_set(all, kind, key, value);
		else if ((e = journal_entry_find(all, kind, key)) != NULL)
			entry_remove(all, e);
	}
	return rd_ok(&r);
}

bool
journal_frame_apply(struct journal_entries *all, struct str payload)
{
	return payload_walk(NULL, payload) && payload_walk(all, payload);
}

bool
journal_frame_follows(struct str file, size_t at)
{
	for (at++; at + JOURNAL_FRAME_HEAD <= file.n; at++) {
		struct reader r = rd_of(str_skip(file, at));
		struct str payload;

		if (journal_frame_read(&r, &payload) && payload_walk(NULL, payload))
			return true;
	}
	return false;
}

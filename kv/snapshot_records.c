/* kv/snapshot_records.c -- see snapshot_records.h. */
#include "kv/snapshot_records.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cursor.h"
#include "base/mem.h"

struct snap_records {
	struct buf left; /* what is not read yet begins at `at` */
	size_t at;
	XXH3_state_t *hash; /* of all bytes before `at` */
	uint64_t count;
	bool begun, ended, broken;
};

struct snap_records *
snap_records_new(void)
{
	struct snap_records *s = mem_new(struct snap_records);

	buf_init(&s->left, 2 * SNAP_RECORD_MAX);
	s->hash = XXH3_createState();
	if (s->hash == NULL)
		abort();
	XXH3_64bits_reset(s->hash);
	return s;
}

void
snap_records_free(struct snap_records *s)
{
	if (s == NULL)
		return;
	buf_done(&s->left);
	XXH3_freeState(s->hash);
	free(s);
}

void
snap_records_feed(struct snap_records *s, struct str piece)
{
	buf_drop_front(&s->left, s->at);
	s->at = 0;
	buf_add(&s->left, piece);
	s->broken = s->broken || s->left.full;
}

/* What stands before `to` is read. */
static void
records_advance(struct snap_records *s, size_t to)
{
	XXH3_64bits_update(s->hash, s->left.p + s->at, to - s->at);
	s->at = to;
}

static enum snap_next
records_begin(struct snap_records *s)
{
	struct reader r = rd_of(buf_str(&s->left));
	struct str magic = rd_str(&r, sizeof SNAP_MAGIC - 1);
	uint8_t version = rd_u8(&r);

	if (!rd_ok(&r))
		return SNAP_MORE;
	if (!str_eq(magic, STR(SNAP_MAGIC)) || version != SNAP_VERSION)
		return SNAP_BROKEN;
	s->begun = true;
	records_advance(s, r.pos);
	return SNAP_GOT;
}

static bool
records_end(const struct snap_records *s, struct str body)
{
	struct reader r = rd_of(body);

	return rd_be64(&r) == s->count && rd_be64(&r) == XXH3_64bits_digest(s->hash) && rd_ok(&r) &&
	       rd_left(&r) == 0;
}

static enum snap_next
records_one(struct snap_records *s, uint8_t *kind, struct str *body)
{
	struct reader r = rd_of(str_skip(buf_str(&s->left), s->at));
	uint8_t k = rd_u8(&r);
	uint64_t n = rd_varint(&r);
	struct str b;

	if (n > SNAP_RECORD_MAX)
		rd_fail(&r);
	b = rd_str(&r, (size_t)n);
	if (r.state != RD_OK)
		return r.state == RD_BAD ? SNAP_BROKEN : SNAP_MORE;
	if (s->ended || (s->count == 0) != (k == SNAP_HEAD))
		return SNAP_BROKEN;
	if (k == SNAP_END) {
		s->ended = records_end(s, b);
		s->at += r.pos;
		return s->ended && s->at == s->left.n ? SNAP_MORE : SNAP_BROKEN;
	}
	records_advance(s, s->at + r.pos);
	s->count++;
	*kind = k;
	*body = b;
	return SNAP_GOT;
}

enum snap_next
snap_records_next(struct snap_records *s, uint8_t *kind, struct str *body)
{
	enum snap_next got = SNAP_GOT;

	if (!s->broken && !s->begun)
		got = s->left.n == 0 ? SNAP_MORE : records_begin(s);
	if (!s->broken && got == SNAP_GOT)
		got = s->at == s->left.n ? SNAP_MORE : records_one(s, kind, body);
	s->broken = s->broken || got == SNAP_BROKEN;
	return s->broken ? SNAP_BROKEN : got;
}

bool
snap_records_whole(const struct snap_records *s)
{
	return !s->broken && s->ended && s->at == s->left.n;
}

uint64_t
snap_records_count(const struct snap_records *s)
{
	return s->count;
}

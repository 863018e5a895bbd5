/* kv/fsm_snapshot.c -- the whole state as bytes, in pieces, and back.
 *
 * "mkvs", version, then records: kind, varint length, body. Sessions come first, then entries in
 * the order of keys, then marks and agents, and an end with the number of records and a hash of
 * every byte before it: a cut anywhere is seen. Equal states give equal bytes.
 *
 * Entries are immutable, so a snapshot takes a use of each at the beginning and writes them later;
 * the rest is small and is written out at once.
 */
#include <assert.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"
#include "kv/fsm_priv.h"

#define SNAP_VERSION 1
#define SNAP_MAGIC "mkvs"
#define SNAP_SMALL_MAX (1024u * 1024 * 1024) /* bytes of all but the entries */
#define SNAP_RECORD_MAX (FSM_RESULT_MAX + 4096)

enum snap_kind { SNAP_HEAD = 1, SNAP_SESSION, SNAP_ENTRY, SNAP_TOMBSTONE, SNAP_CLOSED, SNAP_AGENT,
	SNAP_END };

struct fsm_snapshot {
	struct buf before, after; /* of the entries */
	struct key_entry **entries;
	size_t count, at; /* at: the next one */
	int stage;        /* before, entries, after, done */
	uint64_t records;
	XXH3_state_t *hash;
};

struct snap_to {
	struct fsm_snapshot *s;
	struct buf *b;
	enum snap_kind kind;
};

static void
record_add(void *to, struct str body)
{
	struct snap_to *t = to;

	buf_addc(t->b, (char)t->kind);
	fsm_add_varint(t->b, body.n);
	buf_add(t->b, body);
	t->s->records++;
}

static void
head_write(struct fsm_snapshot *s, const struct fsm *f)
{
	struct keys_floors floors = keys_floors(f->keys);
	struct snap_to to = { s, &s->before, SNAP_HEAD };
	struct buf b;

	buf_init(&b, 4096);
	fsm_add_varint(&b, f->raft);
	fsm_add_varint(&b, f->base);
	fsm_add_varint(&b, f->restores);
	fsm_add_varint(&b, floors.tombstones);
	fsm_add_varint(&b, floors.restored);
	fsm_add_varint(&b, sessions_index(f->sessions));
	buf_add(&s->before, STR(SNAP_MAGIC));
	buf_addc(&s->before, SNAP_VERSION);
	record_add(&to, buf_str(&b));
	buf_done(&b);
}

static void
sessions_write(struct fsm_snapshot *s, const struct fsm *f)
{
	struct snap_to to = { s, &s->before, SNAP_SESSION };
	struct buf b;

	buf_init(&b, SNAP_RECORD_MAX);
	for (struct session *one = session_first(f->sessions); one != NULL;
	     one = session_next(f->sessions, one)) {
		buf_clear(&b);
		fsm_add_session(&b, &one->info);
		fsm_add_varint(&b, one->info.create);
		fsm_add_varint(&b, one->info.modify);
		record_add(&to, buf_str(&b));
	}
	buf_done(&b);
}

static void
marks_write(struct fsm_snapshot *s, const struct fsm *f, bool closed)
{
	struct snap_to to = { s, &s->after, closed ? SNAP_CLOSED : SNAP_TOMBSTONE };
	struct key_mark *all;
	size_t n = keys_marks(f->keys, closed, &all);
	struct buf b;

	buf_init(&b, SNAP_RECORD_MAX);
	for (size_t i = 0; i < n; i++) {
		buf_clear(&b);
		fsm_add_varint(&b, all[i].index);
		fsm_add_varint(&b, (uint64_t)all[i].delay);
		buf_add(&b, all[i].key);
		record_add(&to, buf_str(&b));
	}
	buf_done(&b);
	free(all);
}

struct fsm_snapshot *
fsm_snapshot_new(struct fsm *f)
{
	struct fsm_snapshot *s = mem_new(struct fsm_snapshot);
	struct snap_to agents = { s, &s->after, SNAP_AGENT };

	buf_init(&s->before, SNAP_SMALL_MAX);
	buf_init(&s->after, SNAP_SMALL_MAX);
	s->hash = XXH3_createState();
	if (s->hash == NULL)
		abort();
	XXH3_64bits_reset(s->hash);
	head_write(s, f);
	sessions_write(s, f);
	s->entries = mem_alloc((keys_count(f->keys) + 1) * sizeof(struct key_entry *));
	for (struct key_entry *e = key_prefix_first(f->keys, STR_NONE); e != NULL;
	     e = key_prefix_next(f->keys, STR_NONE, e))
		s->entries[s->count++] = key_ref(e);
	marks_write(s, f, false);
	marks_write(s, f, true);
	replies_write(f->replies, &agents, record_add);
	return s;
}

void
fsm_snapshot_free(struct fsm_snapshot *s)
{
	if (s == NULL)
		return;
	for (size_t i = s->at; i < s->count; i++)
		key_unref(s->entries[i]);
	free(s->entries);
	buf_done(&s->before);
	buf_done(&s->after);
	XXH3_freeState(s->hash);
	free(s);
}

static void
out_add(struct fsm_snapshot *s, struct str bytes, struct buf *out)
{
	if (bytes.n == 0)
		return;
	buf_add(out, bytes);
	XXH3_64bits_update(s->hash, bytes.p, bytes.n);
}

static void
end_write(struct fsm_snapshot *s, struct buf *out)
{
	uint8_t room[2 + 16];
	struct writer w = wr_of(room, sizeof room);

	wr_u8(&w, SNAP_END);
	wr_varint(&w, 16);
	wr_be64(&w, s->records);
	wr_be64(&w, XXH3_64bits_digest(s->hash));
	buf_add(out, wr_done(&w));
}

bool
fsm_snapshot_next(struct fsm_snapshot *s, size_t want, struct buf *out)
{
	size_t from = out->n;
	struct buf body, record;
	struct snap_to to = { s, &record, SNAP_ENTRY };

	if (s->stage == 0) {
		out_add(s, buf_str(&s->before), out);
		s->stage = 1;
		return true;
	}
	buf_init(&body, SNAP_RECORD_MAX);
	buf_init(&record, SNAP_RECORD_MAX);
	while (s->at < s->count && out->n - from < want && !out->full) {
		buf_clear(&body);
		buf_clear(&record);
		txn_entry_add(&body, s->entries[s->at], true);
		record_add(&to, buf_str(&body));
		out_add(s, buf_str(&record), out);
		key_unref(s->entries[s->at++]);
	}
	buf_done(&body);
	buf_done(&record);
	if (s->at < s->count)
		return true;
	if (s->stage == 1 && out->n - from > 0)
		return true; /* the rest by itself */
	if (s->stage == 1) {
		out_add(s, buf_str(&s->after), out);
		end_write(s, out);
		s->stage = 2;
	}
	return false;
}

struct fsm_load {
	struct fsm *fresh;
	struct buf left; /* the beginning of a record that is not here yet */
	XXH3_state_t *hash;
	nsec now;
	uint64_t records;
	bool begun, headed, ended, failed;
};

struct fsm_load *
fsm_load_new(nsec now)
{
	struct fsm_load *l = mem_new(struct fsm_load);

	l->fresh = fsm_new(NULL);
	l->now = now;
	buf_init(&l->left, 2 * SNAP_RECORD_MAX);
	l->hash = XXH3_createState();
	if (l->hash == NULL)
		abort();
	XXH3_64bits_reset(l->hash);
	return l;
}

void
fsm_load_free(struct fsm_load *l)
{
	if (l == NULL)
		return;
	fsm_free(l->fresh);
	buf_done(&l->left);
	XXH3_freeState(l->hash);
	free(l);
}

static bool
head_load(struct fsm_load *l, struct reader *r)
{
	struct fsm *f = l->fresh;
	struct keys_floors floors;

	f->raft = rd_varint(r);
	f->base = rd_varint(r);
	f->restores = rd_varint(r);
	floors.tombstones = rd_varint(r);
	floors.restored = rd_varint(r);
	sessions_index_raise(f->sessions, rd_varint(r));
	keys_floors_set(f->keys, floors);
	l->headed = true;
	return f->raft < UINT64_MAX / 4 && f->base < UINT64_MAX / 4;
}

static bool
entry_load(struct fsm_load *l, struct reader *r)
{
	struct txn_entry e;
	struct kv_op op = { 0 };

	if (!txn_entry_read(r, &e) || !e.has_value)
		return false;
	op.key = e.key;
	op.value = e.value;
	op.flags = e.flags;
	return e.modify <= fsm_index(l->fresh) && e.create <= e.modify &&
	       keys_load_entry(l->fresh->keys, &op, e.create, e.modify, e.lock_index,
	           e.held ? &e.session : NULL);
}

static bool
session_load_one(struct fsm_load *l, struct reader *r)
{
	struct session_info info;

	session_read(r, &info);
	if (!rd_ok(r))
		return false;
	info.create = rd_varint(r);
	info.modify = rd_varint(r);
	return rd_ok(r) && session_load(l->fresh->sessions, &info);
}

static bool
mark_load(struct fsm_load *l, struct reader *r, bool closed)
{
	struct key_mark m = { .index = rd_varint(r) };
	uint64_t delay = rd_varint(r);

	m.key = rd_str(r, rd_left(r));
	m.delay = (nsec)delay;
	return rd_ok(r) && m.key.n <= KEYS_KEY_MAX && delay < INT64_MAX / 4 && m.index > 0 &&
	       m.index <= fsm_index(l->fresh) &&
	       keys_load_mark(l->fresh->keys, l->now, closed, &m);
}

static bool
record_load(struct fsm_load *l, uint8_t kind, struct reader r)
{
	bool ok = false;

	if (l->ended || l->headed == (kind == SNAP_HEAD))
		return false;
	switch (kind) {
	case SNAP_HEAD:
		ok = head_load(l, &r);
		break;
	case SNAP_SESSION:
		ok = session_load_one(l, &r);
		break;
	case SNAP_ENTRY:
		ok = entry_load(l, &r);
		break;
	case SNAP_TOMBSTONE:
	case SNAP_CLOSED:
		ok = mark_load(l, &r, kind == SNAP_CLOSED);
		break;
	case SNAP_AGENT:
		return replies_read(l->fresh->replies, str_mem(r.base, r.len));
	case SNAP_END:
		ok = rd_be64(&r) == l->records && rd_be64(&r) == XXH3_64bits_digest(l->hash);
		l->ended = true;
		break;
	default:
		break;
	}
	return ok && rd_ok(&r) && rd_left(&r) == 0;
}

static bool
begin_load(struct fsm_load *l, struct reader *r)
{
	struct str magic = rd_str(r, sizeof SNAP_MAGIC - 1);
	uint8_t version = rd_u8(r);

	if (!rd_ok(r))
		return true; /* not all here */
	l->begun = true;
	return str_eq(magic, STR(SNAP_MAGIC)) && version == SNAP_VERSION;
}

/* Takes what is whole from the front; false: broken. */
static bool
records_load(struct fsm_load *l, struct reader *r)
{
	size_t taken = r->pos;

	if (!l->begun && !begin_load(l, r))
		return false;
	while (l->begun && rd_ok(r)) {
		uint8_t kind;
		uint64_t n;
		struct reader body;

		XXH3_64bits_update(l->hash, r->base + taken, r->pos - taken);
		taken = r->pos;
		kind = rd_u8(r);
		n = rd_varint(r);
		if (n > SNAP_RECORD_MAX)
			rd_fail(r);
		body = rd_window(r, (size_t)n);
		if (!rd_ok(r))
			break;
		if (!record_load(l, kind, body))
			return false;
		l->records++;
	}
	if (r->state == RD_BAD)
		return false;
	r->pos = taken;
	return true;
}

int
fsm_load_feed(struct fsm_load *l, struct str piece, struct err *err)
{
	struct reader r;

	buf_add(&l->left, piece);
	if (l->left.n == 0)
		return 0;
	r = rd_of(buf_str(&l->left));
	if (l->failed || l->left.full || !records_load(l, &r)) {
		l->failed = true;
		return err_set(err, ERR_INPUT, "the snapshot is damaged after %llu records",
		    (unsigned long long)l->records);
	}
	buf_drop_front(&l->left, r.pos);
	return 0;
}

int
fsm_load_finish(struct fsm_load *l, struct fsm *f, struct err *err)
{
	if (l->failed || !l->ended || l->left.n > 0) {
		l->failed = true;
		return err_set(err, ERR_INPUT, "the snapshot is cut after %llu records",
		    (unsigned long long)l->records);
	}
	l->failed = true; /* once only */
	keys_load_done(l->fresh->keys);
	fsm_take(f, l->now, l->fresh);
	return 0;
}

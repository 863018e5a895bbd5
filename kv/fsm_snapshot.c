/* kv/fsm_snapshot.c -- the whole state as bytes, in pieces, and back (snapshot_records.h).
 *
 * Sessions and queries come first, then entries in the order of keys, then marks, agents, the
 * autopilot's configuration, and external records in the order of their numbers. Equal states give
 * equal bytes.
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
#include "kv/snapshot_records.h"

#define SNAP_SMALL_MAX (1024u * 1024 * 1024) /* bytes of all but the entries */

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

static void
external_head_add(void *to, struct str body)
{
	struct snap_to *t = to;

	t->kind = SNAP_EXTERNALS;
	record_add(t, body);
	t->kind = SNAP_EXTERNAL;
}

static void
autopilot_write_record(struct fsm_snapshot *s, const struct fsm *f)
{
	struct snap_to to = { s, &s->after, SNAP_AUTOPILOT };
	struct buf b;

	if (f->autopilot.modify == 0)
		return; /* the defaults */
	buf_init(&b, 4096);
	autopilot_save(&f->autopilot, &b);
	record_add(&to, buf_str(&b));
	buf_done(&b);
}

/* Parts of a restore under way, in pieces of the log's size. */
static void
staged_write(struct fsm_snapshot *s, const struct fsm *f)
{
	struct snap_to to = { s, &s->after, SNAP_STAGED };
	struct str left = buf_str(&f->staged);
	struct buf b;

	buf_init(&b, FSM_RESTORE_PART + 4096);
	while (left.n > 0) {
		struct str piece =
		    str_head(left, left.n < FSM_RESTORE_PART ? left.n : FSM_RESTORE_PART);

		buf_clear(&b);
		fsm_add_varint(&b, f->staged_id);
		fsm_add_varint(&b, f->staged_total);
		fsm_add_varint(&b, f->staged_index);
		buf_add(&b, piece);
		record_add(&to, buf_str(&b));
		left = str_skip(left, piece.n);
	}
	buf_done(&b);
}

struct fsm_snapshot *
fsm_snapshot_new(struct fsm *f)
{
	struct fsm_snapshot *s = mem_new(struct fsm_snapshot);
	struct snap_to queries = { s, &s->before, SNAP_QUERY };
	struct snap_to agents = { s, &s->after, SNAP_AGENT };
	struct snap_to external = { s, &s->after, SNAP_EXTERNAL };

	buf_init(&s->before, SNAP_SMALL_MAX);
	buf_init(&s->after, SNAP_SMALL_MAX);
	s->hash = XXH3_createState();
	if (s->hash == NULL)
		abort();
	XXH3_64bits_reset(s->hash);
	head_write(s, f);
	sessions_write(s, f);
	fsm_query_save(f->queries, &queries, record_add);
	s->entries = mem_alloc((keys_count(f->keys) + 1) * sizeof(struct key_entry *));
	for (struct key_entry *e = key_prefix_first(f->keys, STR_NONE); e != NULL;
	     e = key_prefix_next(f->keys, STR_NONE, e))
		s->entries[s->count++] = key_ref(e);
	marks_write(s, f, false);
	marks_write(s, f, true);
	replies_write(f->replies, &agents, record_add);
	autopilot_write_record(s, f);
	staged_write(s, f);
	external_save(f, &external, external_head_add, record_add);
	return s;
}

void
fsm_snapshot_free(struct fsm_snapshot *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++)
		key_unref(s->entries[i]);
	free(s->entries);
	buf_done(&s->before);
	buf_done(&s->after);
	XXH3_freeState(s->hash);
	free(s);
}

void
fsm_snapshot_rewind(struct fsm_snapshot *s)
{
	s->records -= s->at;
	s->at = 0;
	s->stage = 0;
	XXH3_64bits_reset(s->hash);
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
		s->at++;
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
	struct snap_records *records;
	nsec now;
	bool failed;
};

struct fsm_load *
fsm_load_new(nsec now)
{
	struct fsm_load *l = mem_new(struct fsm_load);

	l->fresh = fsm_new(NULL);
	l->now = now;
	l->records = snap_records_new();
	return l;
}

void
fsm_load_free(struct fsm_load *l)
{
	if (l == NULL)
		return;
	fsm_free(l->fresh);
	snap_records_free(l->records);
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
	       m.index <= fsm_index(l->fresh) && keys_load_mark(l->fresh->keys, l->now, closed, &m);
}

static bool
staged_load(struct fsm *f, struct reader *r)
{
	uint64_t id = rd_varint(r), total = rd_varint(r), index = rd_varint(r);
	struct str piece = rd_str(r, rd_left(r));

	if (!rd_ok(r) || piece.n == 0 || total > FSM_RESTORE_MAX || index > fsm_index(f) ||
	    piece.n >= total - f->staged.n ||
	    (f->staged.n > 0 && (id != f->staged_id || total != f->staged_total)))
		return false;
	f->staged_id = id;
	f->staged_total = total;
	f->staged_index = index;
	buf_add(&f->staged, piece);
	return !f->staged.full;
}

static bool
record_load(struct fsm_load *l, uint8_t kind, struct str body)
{
	struct reader r = rd_of(body);
	bool ok = false;

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
		return replies_read(l->fresh->replies, body);
	case SNAP_AUTOPILOT:
		ok = autopilot_load(&l->fresh->autopilot, &r, fsm_index(l->fresh));
		break;
	case SNAP_QUERY:
		ok = fsm_query_load(l->fresh->queries, &r, fsm_index(l->fresh));
		break;
	case SNAP_STAGED:
		ok = staged_load(l->fresh, &r);
		break;
	case SNAP_EXTERNALS:
		ok = external_load_begin(l->fresh, &r);
		break;
	case SNAP_EXTERNAL:
		ok = external_load(l->fresh, &r);
		break;
	default:
		break;
	}
	return ok && rd_ok(&r) && rd_left(&r) == 0;
}

int
fsm_load_feed(struct fsm_load *l, struct str piece, struct err *err)
{
	enum snap_next got = SNAP_GOT;
	struct str body;
	uint8_t kind;

	snap_records_feed(l->records, piece);
	while (!l->failed && (got = snap_records_next(l->records, &kind, &body)) == SNAP_GOT)
		l->failed = !record_load(l, kind, body);
	l->failed = l->failed || got == SNAP_BROKEN;
	if (!l->failed)
		return 0;
	return err_set(err, ERR_INPUT, "the snapshot is damaged after %llu records",
	    (unsigned long long)snap_records_count(l->records));
}

int
fsm_load_finish(struct fsm_load *l, struct fsm *f, struct err *err)
{
	if (l->failed || !snap_records_whole(l->records)) {
		l->failed = true;
		return err_set(err, ERR_INPUT, "the snapshot is cut after %llu records",
		    (unsigned long long)snap_records_count(l->records));
	}
	l->failed = true; /* once only */
	keys_load_done(l->fresh->keys);
	external_load_end(l->fresh);
	fsm_take(f, l->now, l->fresh);
	return 0;
}

/* kv/snapshot_file.c -- see snapshot_file.h. */
#include "kv/snapshot_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "kv/fsm_priv.h"

#define MAGIC "muster-snapshot\n"
#define HEAD_MAX 4096 /* bytes of the head itself */
#define BEFORE_HEAD (sizeof MAGIC - 1 + 1 + 4)
#define CHECK_PIECE (1024 * 1024)

static void
text_add(struct buf *b, struct str text)
{
	text = str_head(text, text.n < SNAPSHOT_FILE_TEXT_MAX ? text.n : SNAPSHOT_FILE_TEXT_MAX);
	fsm_add_varint(b, text.n);
	buf_add(b, text);
}

void
snapshot_head_write(struct buf *out, const struct snapshot_head *h)
{
	uint8_t room[BEFORE_HEAD];
	struct writer w = wr_of(room, sizeof room);
	struct buf head;
	size_t from = out->n;

	buf_init(&head, HEAD_MAX);
	fsm_add_varint(&head, h->index);
	fsm_add_varint(&head, h->raft_index);
	fsm_add_varint(&head, (uint64_t)h->wall_ms);
	buf_add(&head, str_mem(h->cluster.b, sizeof h->cluster.b));
	text_add(&head, h->node);
	text_add(&head, h->datacenter);
	text_add(&head, h->build);
	wr_bytes(&w, STR(MAGIC));
	wr_u8(&w, SNAPSHOT_FILE_VERSION);
	wr_be32(&w, (uint32_t)head.n);
	buf_add(out, wr_done(&w));
	buf_add(out, buf_str(&head));
	if (!out->full)
		fsm_add_be64(out, XXH3_64bits(out->p + from, out->n - from));
	buf_done(&head);
}

enum scan_state {
	SCAN_HEAD,
	SCAN_STATE,
	SCAN_NOT_OURS,
	SCAN_CONSUL,
	SCAN_VERSION,
	SCAN_HEAD_BROKEN,
	SCAN_BROKEN
};

struct snapshot_scan {
	enum scan_state state;
	struct buf start; /* until the head is whole; then what its texts point into */
	struct snapshot_head head;
	size_t head_bytes;
	unsigned version;
	struct snap_records *records;
};

struct snapshot_scan *
snapshot_scan_new(void)
{
	struct snapshot_scan *s = mem_new(struct snapshot_scan);

	s->records = snap_records_new();
	buf_init(&s->start, SIZE_MAX / 2);
	return s;
}

void
snapshot_scan_free(struct snapshot_scan *s)
{
	if (s == NULL)
		return;
	snap_records_free(s->records);
	buf_done(&s->start);
	free(s);
}

static bool
head_parse(struct snapshot_scan *s, struct str bytes)
{
	struct reader r = rd_of(bytes);
	struct snapshot_head *h = &s->head;

	h->index = rd_varint(&r);
	h->raft_index = rd_varint(&r);
	h->wall_ms = (int64_t)(rd_varint(&r) & INT64_MAX);
	h->cluster = fsm_read_uuid(&r);
	h->node = fsm_read_text(&r, SNAPSHOT_FILE_TEXT_MAX);
	h->datacenter = fsm_read_text(&r, SNAPSHOT_FILE_TEXT_MAX);
	h->build = fsm_read_text(&r, SNAPSHOT_FILE_TEXT_MAX);
	return rd_ok(&r) && rd_left(&r) == 0;
}

/* What the first bytes say, as far as they are here; SCAN_HEAD: more are needed. */
static enum scan_state
head_scan(struct snapshot_scan *s)
{
	struct str all = buf_str(&s->start), magic = STR(MAGIC);
	struct reader r = rd_of(all);
	size_t n = all.n < magic.n ? all.n : magic.n;
	struct str head;
	uint64_t hash;
	uint32_t len;

	if (str_starts(all, STR("\x1f\x8b")))
		return SCAN_CONSUL;
	if (!str_eq(str_head(all, n), str_head(magic, n)))
		return SCAN_NOT_OURS;
	rd_take(&r, magic.n);
	s->version = rd_u8(&r);
	if (rd_ok(&r) && s->version != SNAPSHOT_FILE_VERSION)
		return SCAN_VERSION;
	len = rd_be32(&r);
	if (len > HEAD_MAX)
		return SCAN_HEAD_BROKEN;
	head = rd_str(&r, len);
	s->head_bytes = r.pos + 8;
	hash = rd_be64(&r);
	if (!rd_ok(&r))
		return SCAN_HEAD;
	if (hash != XXH3_64bits(all.p, s->head_bytes - 8) || !head_parse(s, head))
		return SCAN_HEAD_BROKEN;
	return SCAN_STATE;
}

void
snapshot_scan_feed(struct snapshot_scan *s, struct str piece)
{
	if (s->state == SCAN_STATE) {
		snap_records_feed(s->records, piece);
		return;
	}
	if (s->state != SCAN_HEAD)
		return;
	buf_add(&s->start, piece);
	s->state = head_scan(s);
	if (s->state == SCAN_STATE)
		snap_records_feed(s->records, str_skip(buf_str(&s->start), s->head_bytes));
}

bool
snapshot_scan_next(struct snapshot_scan *s, struct snapshot_record *out)
{
	enum snap_next got;
	struct str body;
	uint8_t kind;

	if (s->state != SCAN_STATE)
		return false;
	got = snap_records_next(s->records, &kind, &body);
	if (got == SNAP_BROKEN || (got == SNAP_GOT && kind >= SNAP_KINDS))
		s->state = SCAN_BROKEN;
	if (got != SNAP_GOT || s->state == SCAN_BROKEN)
		return false;
	*out = (struct snapshot_record){ .kind = (enum snap_kind)kind, .bytes = body.n };
	if (kind == SNAP_ENTRY) {
		struct reader r = rd_of(body);
		struct txn_entry e;

		if (txn_entry_read(&r, &e))
			out->key = e.key;
	}
	return true;
}

int
snapshot_scan_finish(const struct snapshot_scan *s, struct err *err)
{
	switch (s->state) {
	case SCAN_NOT_OURS:
		return err_set(err, ERR_INPUT, "this is no snapshot of muster");
	case SCAN_CONSUL:
		return err_set(err, ERR_INPUT,
		    "this is a snapshot of Consul, not of muster: take its keys over with kv "
		    "export "
		    "and kv import");
	case SCAN_VERSION:
		return err_set(err, ERR_INPUT,
		    "a snapshot of version %u, this program knows version %d", s->version,
		    SNAPSHOT_FILE_VERSION);
	case SCAN_HEAD_BROKEN:
		return err_set(err, ERR_INPUT, "the snapshot is damaged in its head");
	case SCAN_HEAD:
		return err_set(err, ERR_INPUT,
		    s->start.n == 0 ? "the snapshot is empty" : "the snapshot is cut in its head");
	case SCAN_BROKEN:
		return err_set(err, ERR_INPUT, "the snapshot is damaged after %llu records",
		    (unsigned long long)snap_records_count(s->records));
	case SCAN_STATE:
		break;
	}
	if (snap_records_whole(s->records))
		return 0;
	return err_set(err, ERR_INPUT, "the snapshot is cut after %llu records",
	    (unsigned long long)snap_records_count(s->records));
}

const struct snapshot_head *
snapshot_scan_head(const struct snapshot_scan *s)
{
	return s->state == SCAN_STATE || s->state == SCAN_BROKEN ? &s->head : NULL;
}

size_t
snapshot_scan_head_bytes(const struct snapshot_scan *s)
{
	return s->head_bytes;
}

int
snapshot_file_check(struct str file, struct str *state, struct err *err)
{
	struct snapshot_scan *s = snapshot_scan_new();
	struct snapshot_record record;
	struct str rest = file;
	int rc;

	while (rest.n > 0) {
		struct str piece = str_head(rest, rest.n < CHECK_PIECE ? rest.n : CHECK_PIECE);

		snapshot_scan_feed(s, piece);
		while (snapshot_scan_next(s, &record))
			;
		rest = str_skip(rest, piece.n);
	}
	rc = snapshot_scan_finish(s, err);
	if (rc == 0)
		*state = str_skip(file, snapshot_scan_head_bytes(s));
	snapshot_scan_free(s);
	return rc;
}

/* kv/txn.c -- runs a transaction, writes its results or its errors.
 *
 * Every operation runs even after one has failed, so that all errors are told; what the earlier
 * ones did is visible to the later ones. Names in texts are quoted as Go's %q does it.
 */
#include "kv/txn.h"

#include <inttypes.h>

#include "base/json.h"

static const struct {
	enum kv_verb verb;
	bool reads;
	const char *name;
} txn_verbs[] = {
	{ KV_SET, false, "set" },
	{ KV_CAS, false, "cas" },
	{ KV_LOCK, false, "lock" },
	{ KV_UNLOCK, false, "unlock" },
	{ KV_GET, true, "get" },
	{ KV_GET_TREE, true, "get-tree" },
	{ KV_CHECK_INDEX, true, "check-index" },
	{ KV_CHECK_SESSION, true, "check-session" },
	{ KV_CHECK_NOT_EXISTS, true, "check-not-exists" },
	{ KV_DELETE, false, "delete" },
	{ KV_DELETE_TREE, false, "delete-tree" },
	{ KV_DELETE_CAS, false, "delete-cas" },
};

enum kv_verb
txn_verb(struct str name)
{
	for (size_t i = 0; i < sizeof txn_verbs / sizeof txn_verbs[0]; i++)
		if (str_eq(name, str_of(txn_verbs[i].name)))
			return txn_verbs[i].verb;
	return KV_UNKNOWN;
}

bool
txn_verb_reads(enum kv_verb verb)
{
	for (size_t i = 0; i < sizeof txn_verbs / sizeof txn_verbs[0]; i++)
		if (txn_verbs[i].verb == verb)
			return txn_verbs[i].reads;
	return verb == KV_NONE || verb == KV_UNKNOWN; /* these change nothing either */
}

/* Bytes of the well-formed UTF-8 character at the front, or 0. */
static size_t
utf8_len(struct str s)
{
	for (size_t n = 2; n <= 4 && n <= s.n; n++)
		if (utf8_valid(str_head(s, n)))
			return n;
	return 0;
}

void
txn_quote(struct buf *out, struct str s)
{
	static const char escapes[] = "abtnvfr"; /* 7 … 13 */

	buf_addc(out, '"');
	while (s.n > 0) {
		unsigned char c = (unsigned char)s.p[0];
		size_t n = 1;

		if (c == '"' || c == '\\')
			buf_addf(out, "\\%c", c);
		else if (c >= 7 && c <= 13)
			buf_addf(out, "\\%c", escapes[c - 7]);
		else if (c >= 0x20 && c < 0x7f)
			buf_addc(out, (char)c);
		else if (c >= 0x80 && (n = utf8_len(s)) > 0)
			buf_add(out, str_head(s, n));
		else
			buf_addf(out, "\\x%02x", c);
		s = str_skip(s, n > 0 ? n : 1);
	}
	buf_addc(out, '"');
}

static void
about(struct buf *out, const char *before, struct str key, const char *after)
{
	buf_add(out, str_of(before));
	txn_quote(out, key);
	buf_add(out, str_of(after));
}

static void
what_stale(struct buf *out, const struct kv_op *op)
{
	about(out,
	    op->verb == KV_DELETE_CAS ? "failed to delete key " : "failed to set key ", op->key,
	    ", index is stale");
}

static void
what_absent(struct buf *out, const struct kv_op *op)
{
	about(out,
	    op->verb == KV_GET           ? "key "
	    : op->verb == KV_CHECK_INDEX ? "failed to check index, key "
	                                 : "failed to check session, key ",
	    op->key, " doesn't exist");
}

static void
what_session_differs(struct buf *out, const struct kv_op *op, const struct key_entry *e)
{
	char id[UUID_TEXT_LEN + 1] = "";

	if (e != NULL && e->held)
		uuid_format(&e->session, id);
	about(out, "failed session check for key ", op->key, ", current session ");
	txn_quote(out, str_of(id));
	about(out, " != ", op->session, "");
}

void
txn_what(struct buf *out, const struct kv_op *op, enum kv_outcome why, const struct key_entry *e)
{
	switch (why) {
	case KV_DONE:
		break;
	case KV_STALE:
		what_stale(out, op);
		break;
	case KV_HELD:
		about(out, "failed to lock key ", op->key, ", lock is already held");
		break;
	case KV_DELAYED:
		about(out, "failed to lock key ", op->key, " due to lock delay");
		break;
	case KV_NOT_HELD:
		about(out, "failed to unlock key ", op->key,
		    ", lock isn't held, or is held by another session");
		break;
	case KV_ABSENT:
		what_absent(out, op);
		break;
	case KV_PRESENT:
		about(out, "key ", op->key, " exists");
		break;
	case KV_INDEX_NOT:
		about(out, "failed index check for key ", op->key, ", current modify index ");
		buf_addf(out, "%" PRIu64 " != %" PRIu64, e == NULL ? 0 : e->modify, op->index);
		break;
	case KV_SESSION_NOT:
		what_session_differs(out, op, e);
		break;
	case KV_SESSION_MISSING:
		buf_add(out, STR("missing session"));
		break;
	case KV_SESSION_BAD:
		buf_add(out, STR("failed session lookup: index error: UUID must be 36 characters"));
		break;
	case KV_SESSION_UNKNOWN:
		about(out, "invalid session ", op->session, "");
		break;
	case KV_VERB_UNKNOWN:
		about(out, "unknown KV verb ", op->value, "");
		break;
	}
}

static void
add_varint(struct buf *out, uint64_t v)
{
	uint8_t room[10];
	struct writer w = wr_of(room, sizeof room);

	wr_varint(&w, v);
	buf_add(out, wr_done(&w));
}

static void
add_text(struct buf *out, struct str s)
{
	add_varint(out, s.n);
	buf_add(out, s);
}

void
txn_entry_add(struct buf *out, const struct key_entry *e, bool with_value)
{
	add_text(out, key_name(e));
	buf_addc(out, with_value);
	if (with_value)
		add_text(out, blob_str(e->value));
	add_varint(out, e->create);
	add_varint(out, e->modify);
	add_varint(out, e->lock_index);
	add_varint(out, e->flags);
	buf_addc(out, e->held);
	if (e->held)
		buf_add(out, str_mem(e->session.b, sizeof e->session.b));
}

static struct str
read_text(struct reader *r, size_t max)
{
	uint64_t n = rd_varint(r);

	if (n > max)
		rd_fail(r);
	return rd_str(r, (size_t)n);
}

bool
txn_entry_read(struct reader *r, struct txn_entry *out)
{
	struct txn_entry e = { 0 };
	uint8_t flag;

	e.key = read_text(r, KEYS_KEY_MAX);
	flag = rd_u8(r);
	e.has_value = flag == 1;
	if (flag > 1)
		rd_fail(r);
	if (e.has_value)
		e.value = read_text(r, KEYS_VALUE_MAX);
	e.create = rd_varint(r);
	e.modify = rd_varint(r);
	e.lock_index = rd_varint(r);
	e.flags = rd_varint(r);
	flag = rd_u8(r);
	e.held = flag == 1;
	if (flag > 1)
		rd_fail(r);
	if (e.held) {
		const uint8_t *id = rd_take(r, sizeof e.session.b);

		if (id != NULL)
			memcpy(e.session.b, id, sizeof e.session.b);
	}
	if (rd_ok(r))
		*out = e;
	return rd_ok(r);
}

bool
txn_error_read(struct reader *r, struct txn_error *out)
{
	uint32_t at = rd_be32(r);
	struct str what = read_text(r, KEYS_KEY_MAX * 8);

	if (rd_ok(r))
		*out = (struct txn_error){ at, what };
	return rd_ok(r);
}

static void
patch_count(struct buf *out, size_t at, uint32_t count)
{
	struct writer w = wr_of(out->p + at, 4);

	if (!out->full)
		wr_be32(&w, count);
}

static void
error_add(struct buf *errors, size_t at, const struct kv_op *op, enum kv_outcome why,
    const struct key_entry *e)
{
	uint8_t room[4];
	struct writer w = wr_of(room, sizeof room);
	struct buf what;

	buf_init(&what, KEYS_KEY_MAX * 8);
	txn_what(&what, op, why, e);
	wr_be32(&w, (uint32_t)at);
	buf_add(errors, wr_done(&w));
	add_text(errors, buf_str(&what));
	buf_done(&what);
}

static uint32_t
tree_add(struct keys *k, struct str prefix, struct buf *out)
{
	uint32_t n = 0;

	for (struct key_entry *e = key_prefix_first(k, prefix); e != NULL && !out->full;
	     e = key_prefix_next(k, prefix, e), n++)
		txn_entry_add(out, e, true);
	return n;
}

bool
txn_run(struct keys *k, const struct kv_op *ops, size_t count, uint64_t passed, struct buf *out)
{
	size_t at = out->n;
	uint32_t results = 0, failed = 0;
	struct buf errors;

	buf_init(&errors, out->cap);
	buf_add(out, STR("\0\0\0\0"));
	for (size_t i = 0; i < count; i++) {
		struct key_entry *e;
		enum kv_outcome why = keys_apply(k, &ops[i], passed, &e);

		if (why != KV_DONE) {
			error_add(&errors, i, &ops[i], why, e);
			failed++;
		} else if (ops[i].verb == KV_GET_TREE) {
			results += tree_add(k, ops[i].key, out);
		} else if (e != NULL) {
			txn_entry_add(out, e, ops[i].verb == KV_GET);
			results++;
		}
	}
	if (failed > 0) {
		out->n = out->full ? out->n : at + 4;
		buf_add(out, buf_str(&errors));
	}
	patch_count(out, at, failed > 0 ? failed : results);
	buf_done(&errors);
	return failed == 0;
}

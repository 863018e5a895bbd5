/* kv/raft_wire.c -- the codec of Raft's messages.
 *
 * Parts: the head all share; the body of each kind; entries; reading it all.
 */
#include "kv/raft_wire.h"

#define HEAD_SIZE (2 + 16 + 8 + 8 + 8)
#define BODY_MAX 40 /* bytes of a body's fixed fields */
#define ENTRY_HEAD 14

#define FLAG_DISRUPT 1
#define FLAG_PRE_VOTE 2
#define FLAG_GRANTED 4

static void
body_write(struct writer *w, const struct raft_wire *m)
{
	uint8_t flags =
	    (uint8_t)((m->disrupt ? FLAG_DISRUPT : 0) | (m->pre_vote ? FLAG_PRE_VOTE : 0) |
		      (m->granted ? FLAG_GRANTED : 0));

	switch (m->kind) {
	case RAFT_WIRE_APPEND:
		wr_be64(w, m->index);
		wr_be64(w, m->index_term);
		wr_be64(w, m->commit);
		wr_be32(w, (uint32_t)m->count);
		break;
	case RAFT_WIRE_APPENDED:
		wr_be64(w, m->rejected);
		wr_be64(w, m->index);
		break;
	case RAFT_WIRE_VOTE:
		wr_be64(w, m->index);
		wr_be64(w, m->index_term);
		wr_u8(w, flags);
		break;
	case RAFT_WIRE_VOTED:
		wr_u8(w, flags);
		break;
	case RAFT_WIRE_SNAPSHOT:
		wr_be64(w, m->index);
		wr_be64(w, m->index_term);
		wr_be64(w, m->config_index);
		wr_be32(w, (uint32_t)m->config.n);
		break;
	case RAFT_WIRE_TIMEOUT_NOW:
		wr_be64(w, m->index);
		wr_be64(w, m->index_term);
		break;
	case RAFT_WIRE_ASK:
		wr_be64(w, m->question);
		break;
	case RAFT_WIRE_WHO:
		break;
	case RAFT_WIRE_GONE:
		wr_be64(w, m->config_index);
		break;
	case RAFT_WIRE_YES:
		wr_be64(w, m->question);
		wr_be64(w, m->index);
		break;
	}
}

void
raft_wire_write(struct buf *out, const struct raft_wire *m)
{
	char room[HEAD_SIZE + BODY_MAX];
	struct writer w = wr_of(room, sizeof room);

	wr_u8(&w, RAFT_WIRE_VERSION);
	wr_u8(&w, (uint8_t)m->kind);
	wr_bytes(&w, str_mem(m->cluster.b, sizeof m->cluster.b));
	wr_be64(&w, m->from);
	wr_be64(&w, m->to);
	wr_be64(&w, m->term);
	body_write(&w, m);
	buf_add(out, wr_done(&w));
	if (m->kind == RAFT_WIRE_SNAPSHOT)
		buf_add(out, m->config);
}

size_t
raft_wire_entry_size(const struct raft_log_entry *e)
{
	return ENTRY_HEAD + e->bytes.n;
}

void
raft_wire_entry_write(struct buf *out, const struct raft_log_entry *e)
{
	char room[ENTRY_HEAD];
	struct writer w = wr_of(room, sizeof room);

	wr_be64(&w, e->term);
	wr_be16(&w, e->type);
	wr_be32(&w, (uint32_t)e->bytes.n);
	buf_add(out, wr_done(&w));
	buf_add(out, e->bytes);
}

bool
raft_wire_entry(struct reader *r, uint64_t *index, struct raft_log_entry *out)
{
	struct raft_log_entry e = { 0 };

	if (rd_left(r) == 0)
		return false;
	e.term = rd_be64(r);
	e.type = rd_be16(r);
	e.bytes = rd_str(r, rd_be32(r));
	if (!rd_ok(r))
		return false;
	e.index = (*index)++;
	*out = e;
	return true;
}

static void
entries_read(struct reader *r, struct raft_wire *m)
{
	size_t start = r->pos;
	uint64_t index = m->index + 1, term = m->index_term;
	struct raft_log_entry e;

	if (m->count > RAFT_WIRE_ENTRIES_MAX)
		rd_fail(r);
	for (size_t i = 0; i < m->count && rd_ok(r); i++) {
		if (!raft_wire_entry(r, &index, &e)) {
			if (rd_ok(r))
				r->state = RD_SHORT;
			return;
		}
		if (e.term < term || e.term == 0 || e.term > m->term)
			rd_fail(r);
		term = e.term;
	}
	if (rd_ok(r))
		m->entries = str_mem(r->base + start, r->pos - start);
}

static void
body_read(struct reader *r, struct raft_wire *m)
{
	uint8_t flags = 0;

	switch (m->kind) {
	case RAFT_WIRE_APPEND:
		m->index = rd_be64(r);
		m->index_term = rd_be64(r);
		m->commit = rd_be64(r);
		m->count = rd_be32(r);
		entries_read(r, m);
		break;
	case RAFT_WIRE_APPENDED:
		m->rejected = rd_be64(r);
		m->index = rd_be64(r);
		break;
	case RAFT_WIRE_VOTE:
		m->index = rd_be64(r);
		m->index_term = rd_be64(r);
		flags = rd_u8(r);
		break;
	case RAFT_WIRE_VOTED:
		flags = rd_u8(r);
		break;
	case RAFT_WIRE_SNAPSHOT:
		m->index = rd_be64(r);
		m->index_term = rd_be64(r);
		m->config_index = rd_be64(r);
		m->config = rd_str(r, rd_be32(r));
		break;
	case RAFT_WIRE_TIMEOUT_NOW:
		m->index = rd_be64(r);
		m->index_term = rd_be64(r);
		break;
	case RAFT_WIRE_ASK:
		m->question = rd_be64(r);
		break;
	case RAFT_WIRE_WHO:
		break;
	case RAFT_WIRE_GONE:
		m->config_index = rd_be64(r);
		break;
	case RAFT_WIRE_YES:
		m->question = rd_be64(r);
		m->index = rd_be64(r);
		break;
	default:
		rd_fail(r);
	}
	m->disrupt = (flags & FLAG_DISRUPT) != 0;
	m->pre_vote = (flags & FLAG_PRE_VOTE) != 0;
	m->granted = (flags & FLAG_GRANTED) != 0;
}

/* What libraft takes for granted: an index has a term and no number is about to overflow. */
static bool
plausible(const struct raft_wire *m)
{
	bool paired = (m->index == 0) == (m->index_term == 0);

	if (m->from == 0 || m->from == m->to || m->term == 0 || m->term > RAFT_WIRE_JUMP_MAX ||
	    m->index > RAFT_WIRE_JUMP_MAX || m->index_term > m->term ||
	    m->commit > RAFT_WIRE_JUMP_MAX || m->rejected > RAFT_WIRE_JUMP_MAX)
		return false;
	switch (m->kind) {
	case RAFT_WIRE_APPEND:
	case RAFT_WIRE_VOTE:
	case RAFT_WIRE_TIMEOUT_NOW:
		return paired;
	case RAFT_WIRE_SNAPSHOT:
		return paired && m->index != 0 && m->config_index != 0 &&
		       m->config_index <= m->index;
	case RAFT_WIRE_APPENDED:
	case RAFT_WIRE_VOTED:
	case RAFT_WIRE_ASK:
	case RAFT_WIRE_YES:
	case RAFT_WIRE_WHO:
	case RAFT_WIRE_GONE:
		return true;
	}
	return false;
}

int
raft_wire_read(struct str bytes, struct raft_wire *out, struct err *err)
{
	struct reader r = rd_of(bytes);
	struct raft_wire m = { 0 };
	uint8_t version = rd_u8(&r);
	struct str cluster;

	if (rd_ok(&r) && version != RAFT_WIRE_VERSION)
		return err_set(
		    err, ERR_REFUSED, "a Raft message of version %u is not known here", version);
	m.kind = rd_u8(&r);
	cluster = rd_str(&r, sizeof m.cluster.b);
	m.from = rd_be64(&r);
	m.to = rd_be64(&r);
	m.term = rd_be64(&r);
	if (rd_ok(&r)) {
		memcpy(m.cluster.b, cluster.p, sizeof m.cluster.b);
		body_read(&r, &m);
	}
	if (!rd_ok(&r) || !plausible(&m))
		return err_set(err, ERR_INPUT,
		    "a Raft message of %zu bytes is broken near byte %zu", bytes.n, r.pos);
	*out = m;
	return 0;
}

/* agent/server/cluster_wire.c -- see cluster_wire.h. */
#include "agent/server/cluster_wire.h"

#include "base/cursor.h"

static void
uuid_write(struct writer *w, const struct uuid *id)
{
	wr_bytes(w, str_mem(id->b, sizeof id->b));
}

static struct uuid
uuid_read(struct reader *r)
{
	const uint8_t *p = rd_take(r, sizeof(struct uuid));
	struct uuid id = { { 0 } };

	if (p != NULL)
		memcpy(id.b, p, sizeof id.b);
	return id;
}

/* A number of `count` known ones that begin with `first`. */
static uint8_t
kind_read(struct reader *r, uint8_t first, uint8_t last)
{
	uint8_t kind = rd_u8(r);

	if (kind < first || kind > last)
		rd_fail(r);
	return kind;
}

void
cluster_wire_write(struct buf *out, const struct cluster_wire *m)
{
	uint8_t head[CLUSTER_WIRE_HEAD];
	struct writer w = wr_of(head, sizeof head);

	wr_u8(&w, CLUSTER_WIRE_VERSION);
	wr_u8(&w, (uint8_t)m->kind);
	switch (m->kind) {
	case WIRE_RAFT:
		uuid_write(&w, &m->cluster);
		wr_be64(&w, m->from);
		wr_be64(&w, m->to);
		wr_u8(&w, m->open);
		break;
	case WIRE_CALL:
		wr_be64(&w, m->number);
		wr_u8(&w, (uint8_t)m->call);
		wr_be64(&w, m->seen);
		break;
	case WIRE_REPLY:
		wr_be64(&w, m->number);
		wr_u8(&w, (uint8_t)m->status);
		wr_be64(&w, m->index);
		uuid_write(&w, &m->cluster);
		wr_be64(&w, m->term);
		uuid_write(&w, &m->leader);
		break;
	case WIRE_CANCEL:
		wr_be64(&w, m->number);
		break;
	case WIRE_WHO:
		break;
	case WIRE_LEADER:
		uuid_write(&w, &m->cluster);
		wr_be64(&w, m->term);
		uuid_write(&w, &m->leader);
		break;
	}
	buf_add(out, wr_done(&w));
	buf_add(out, m->rest);
}

int
cluster_wire_read(struct str bytes, struct cluster_wire *out, struct err *err)
{
	struct reader r = rd_of(bytes);
	struct cluster_wire m = { 0 };

	if (rd_u8(&r) != CLUSTER_WIRE_VERSION)
		return err_set(err, ERR_INPUT, "a message of a version that is not known here");
	m.kind = (enum cluster_wire_kind)kind_read(&r, WIRE_RAFT, WIRE_LEADER);
	switch (m.kind) {
	case WIRE_RAFT:
		m.cluster = uuid_read(&r);
		m.from = rd_be64(&r);
		m.to = rd_be64(&r);
		m.open = kind_read(&r, 0, 1) == 1;
		break;
	case WIRE_CALL:
		m.number = rd_be64(&r);
		m.call = (enum cluster_call)kind_read(&r, CALL_WRITE, CALL_HTTP);
		m.seen = rd_be64(&r);
		break;
	case WIRE_REPLY:
		m.number = rd_be64(&r);
		m.status = (enum cluster_reply)kind_read(&r, REPLY_OK, REPLY_FAILED);
		m.index = rd_be64(&r);
		m.cluster = uuid_read(&r);
		m.term = rd_be64(&r);
		m.leader = uuid_read(&r);
		break;
	case WIRE_CANCEL:
		m.number = rd_be64(&r);
		break;
	case WIRE_WHO:
		break;
	case WIRE_LEADER:
		m.cluster = uuid_read(&r);
		m.term = rd_be64(&r);
		m.leader = uuid_read(&r);
		break;
	}
	m.rest = rd_str(&r, rd_left(&r));
	if (m.kind != WIRE_RAFT && m.kind != WIRE_CALL && m.kind != WIRE_REPLY && m.rest.n > 0)
		rd_fail(&r);
	if (!rd_ok(&r))
		return err_set(err, ERR_INPUT,
		    "a broken message between agents, kind %d, %zu bytes", (int)m.kind, bytes.n);
	*out = m;
	return 0;
}

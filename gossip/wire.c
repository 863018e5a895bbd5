/* gossip/wire.c -- memberlist's messages as tables of fields, and the layouts that are not maps.
 *
 * In order: one table per message; reading and writing a message by its type; compound; the
 * pieces of streams (nodes, heads); the compressed map. Keys stand in ascending order because
 * that is how senders emit them. Limits: names and metas by wire.h, everything else by the bytes
 * that are there.
 */
#include "gossip/wire.h"

#include "gossip/pack.h"

#define ERROR_TEXT_MAX 1024 /* bytes of an error's text that we take */
#define PAIRS_MAX 16        /* keys of a compressed message's map */
#define SKIP_MAX 4096       /* bytes of an unknown one's value */

const struct wire_vsn wire_vsn_ours = { 1, 5, 2, 2, 5, 4 };

#define AT(type, member) .at = offsetof(struct type, member)
#define MORE(type, member) .more = offsetof(struct type, member)

static const struct pack_field ping_fields[] = {
	{ PACK_KEY("Node"), PACK_TEXT, AT(wire_ping, node), .max = WIRE_NAME_MAX },
	{ PACK_KEY("SeqNo"), PACK_U32, AT(wire_ping, seq) },
	{ PACK_KEY("SourceAddr"), PACK_IP, true, AT(wire_ping, source) },
	{ PACK_KEY("SourceNode"), PACK_TEXT, true, AT(wire_ping, source_node),
	    .max = WIRE_NAME_MAX },
	{ PACK_KEY("SourcePort"), PACK_U16, true, AT(wire_ping, source.port) },
};

static const struct pack_field indirect_fields[] = {
	{ PACK_KEY("Nack"), PACK_BOOL, AT(wire_indirect_ping, nack) },
	{ PACK_KEY("Node"), PACK_TEXT, AT(wire_indirect_ping, node), .max = WIRE_NAME_MAX },
	{ PACK_KEY("Port"), PACK_U16, AT(wire_indirect_ping, target.port) },
	{ PACK_KEY("SeqNo"), PACK_U32, AT(wire_indirect_ping, seq) },
	{ PACK_KEY("SourceAddr"), PACK_IP, true, AT(wire_indirect_ping, source) },
	{ PACK_KEY("SourceNode"), PACK_TEXT, true, AT(wire_indirect_ping, source_node),
	    .max = WIRE_NAME_MAX },
	{ PACK_KEY("SourcePort"), PACK_U16, true, AT(wire_indirect_ping, source.port) },
	{ PACK_KEY("Target"), PACK_IP, AT(wire_indirect_ping, target) },
};

static const struct pack_field ack_fields[] = {
	{ PACK_KEY("Payload"), PACK_BYTES, AT(wire_ack, payload), MORE(wire_ack, payload_nil) },
	{ PACK_KEY("SeqNo"), PACK_U32, AT(wire_ack, seq) },
};

static const struct pack_field nack_fields[] = {
	{ PACK_KEY("SeqNo"), PACK_U32, AT(wire_nack, seq) },
};

static const struct pack_field claim_fields[] = {
	{ PACK_KEY("From"), PACK_TEXT, AT(wire_claim, from), .max = WIRE_NAME_MAX },
	{ PACK_KEY("Incarnation"), PACK_U32, AT(wire_claim, incarnation) },
	{ PACK_KEY("Node"), PACK_TEXT, AT(wire_claim, node), .max = WIRE_NAME_MAX },
};

static const struct pack_field alive_fields[] = {
	{ PACK_KEY("Addr"), PACK_IP, AT(wire_alive, addr), MORE(wire_alive, addr_ok) },
	{ PACK_KEY("Incarnation"), PACK_U32, AT(wire_alive, incarnation) },
	{ PACK_KEY("Meta"), PACK_BYTES, AT(wire_alive, meta), MORE(wire_alive, meta_nil),
	    .max = WIRE_META_MAX },
	{ PACK_KEY("Node"), PACK_TEXT, AT(wire_alive, node), .max = WIRE_NAME_MAX },
	{ PACK_KEY("Port"), PACK_U16, AT(wire_alive, addr.port) },
	{ PACK_KEY("Vsn"), PACK_FIXED, AT(wire_alive, vsn), MORE(wire_alive, vsn_whole), .max = 6 },
};

static const struct pack_field node_fields[] = {
	{ PACK_KEY("Addr"), PACK_IP, AT(wire_node_state, addr), MORE(wire_node_state, addr_ok) },
	{ PACK_KEY("Incarnation"), PACK_U32, AT(wire_node_state, incarnation) },
	{ PACK_KEY("Meta"), PACK_BYTES, AT(wire_node_state, meta), MORE(wire_node_state, meta_nil),
	    .max = WIRE_META_MAX },
	{ PACK_KEY("Name"), PACK_TEXT, AT(wire_node_state, name), .max = WIRE_NAME_MAX },
	{ PACK_KEY("Port"), PACK_U16, AT(wire_node_state, addr.port) },
	{ PACK_KEY("State"), PACK_U32, AT(wire_node_state, state), .max = INT32_MAX },
	{ PACK_KEY("Vsn"), PACK_FIXED, AT(wire_node_state, vsn), MORE(wire_node_state, vsn_whole),
	    .max = 6 },
};

struct wire_error {
	struct str text;
};
static const struct pack_field error_fields[] = {
	{ PACK_KEY("Error"), PACK_TEXT, AT(wire_error, text), .max = ERROR_TEXT_MAX },
};

static const struct pack_field push_pull_fields[] = {
	{ PACK_KEY("Join"), PACK_BOOL, AT(wire_push_pull_head, join) },
	{ PACK_KEY("Nodes"), PACK_U32, AT(wire_push_pull_head, nodes), .max = INT32_MAX },
	{ PACK_KEY("UserStateLen"), PACK_U32, AT(wire_push_pull_head, user_state_n),
	    .max = INT32_MAX },
};

struct wire_user_head {
	uint32_t n;
};
static const struct pack_field user_fields[] = {
	{ PACK_KEY("UserMsgLen"), PACK_U32, AT(wire_user_head, n), .max = INT32_MAX },
};

/* The table of a type whose body is one map, and where in the union it goes. */
static struct pack_table
wire_table(enum wire_type type)
{
	switch (type) {
	case WIRE_PING:
		return PACK_TABLE(ping_fields);
	case WIRE_INDIRECT_PING:
		return PACK_TABLE(indirect_fields);
	case WIRE_ACK:
		return PACK_TABLE(ack_fields);
	case WIRE_SUSPECT:
	case WIRE_DEAD:
		return PACK_TABLE(claim_fields);
	case WIRE_ALIVE:
		return PACK_TABLE(alive_fields);
	case WIRE_NACK:
		return PACK_TABLE(nack_fields);
	case WIRE_ERROR:
		return PACK_TABLE(error_fields);
	default:
		return (struct pack_table){ NULL, 0 };
	}
}

int
wire_read(struct arena *arena, struct str bytes, struct wire_message *out, struct err *err)
{
	struct reader r = rd_of(bytes);
	struct pack_table table;
	struct wire_message m;

	memset(&m, 0, sizeof m);
	m.type = rd_u8(&r);
	table = wire_table(m.type);
	if (!rd_ok(&r))
		return err_set(err, ERR_INPUT, "a message without a type");
	if (m.type == WIRE_USER)
		m.u.user = rd_str(&r, rd_left(&r));
	else if (table.count == 0)
		return err_set(err, ERR_INPUT, "message type %d is not one of a packet", m.type);
	else
		pack_take_fields(&r, arena, table, &m.u);
	if (m.type == WIRE_INDIRECT_PING && m.u.indirect.target.family == ADDR_NONE)
		rd_fail(&r);
	if (!rd_ok(&r))
		return err_set(err, ERR_INPUT, "message of type %d is malformed at byte %zu of %zu",
		    m.type, r.pos, r.len);
	*out = m;
	return 0;
}

void
wire_write(struct writer *w, const struct wire_message *m)
{
	struct pack_table table = wire_table(m->type);

	wr_u8(w, (uint8_t)m->type);
	if (m->type == WIRE_USER)
		wr_bytes(w, m->u.user);
	else if (table.count > 0)
		pack_put_fields(w, table, &m->u);
	else
		w->full = true; /* not a message of its own */
}

/* --- compound: type, count, lengths, parts --- */

int
wire_compound_read(struct str bytes, struct str *parts, size_t max, size_t *count,
    size_t *truncated, struct err *err)
{
	struct reader r = rd_of(bytes), lengths;
	uint8_t type = rd_u8(&r), announced = rd_u8(&r);
	size_t n = 0;

	lengths = rd_window(&r, (size_t)announced * 2);
	if (!rd_ok(&r) || type != WIRE_COMPOUND)
		return err_set(
		    err, ERR_INPUT, "a compound of %zu bytes is cut in its head", bytes.n);
	if (announced > max)
		return err_set(err, ERR_LIMIT, "a compound of %u parts", announced);
	while (n < announced) {
		struct str part = rd_str(&r, rd_be16(&lengths));

		if (!rd_ok(&r))
			break;
		parts[n++] = part;
	}
	*count = n;
	*truncated = announced - n;
	return 0;
}

void
wire_compound_write(struct writer *w, const struct str *parts, size_t count)
{
	if (count > WIRE_COMPOUND_MAX) {
		w->full = true;
		return;
	}
	wr_u8(w, WIRE_COMPOUND);
	wr_u8(w, (uint8_t)count);
	for (size_t i = 0; i < count; i++) {
		if (parts[i].n > UINT16_MAX)
			w->full = true;
		wr_be16(w, (uint16_t)parts[i].n);
	}
	for (size_t i = 0; i < count; i++)
		wr_bytes(w, parts[i]);
}

/* --- pieces of streams --- */

void
wire_node_read(struct reader *r, struct arena *arena, struct wire_node_state *out)
{
	*out = (struct wire_node_state){ 0 };
	pack_take_fields(r, arena, PACK_TABLE(node_fields), out);
}

void
wire_node_write(struct writer *w, const struct wire_node_state *node)
{
	pack_put_fields(w, PACK_TABLE(node_fields), node);
}

void
wire_push_pull_head_read(struct reader *r, struct wire_push_pull_head *out)
{
	*out = (struct wire_push_pull_head){ 0 };
	pack_take_fields(r, NULL, PACK_TABLE(push_pull_fields), out);
}

void
wire_push_pull_head_write(struct writer *w, const struct wire_push_pull_head *head)
{
	pack_put_fields(w, PACK_TABLE(push_pull_fields), head);
}

uint32_t
wire_user_head_read(struct reader *r)
{
	struct wire_user_head head = { 0 };

	pack_take_fields(r, NULL, PACK_TABLE(user_fields), &head);
	return head.n;
}

void
wire_user_head_write(struct writer *w, uint32_t n)
{
	pack_put_fields(w, PACK_TABLE(user_fields), &(struct wire_user_head){ n });
}

/* --- the compressed map --- */

/* By hand rather than by table: on a stream it arrives in pieces, and what is not Buf must stay
 * small so that looking again at every piece stays cheap. */
struct str
wire_compressed_read(struct reader *r)
{
	size_t pairs = pack_take_map(r);
	struct str lzw = STR_NONE;

	if (pairs > PAIRS_MAX)
		rd_fail(r);
	while (pairs-- > 0 && rd_ok(r)) {
		struct str key = pack_take_bytes(r, NULL, PACK_SMALL_MAX, NULL);

		if (str_eq(key, STR("Algo"))) {
			if (pack_take_uint(r, UINT8_MAX) != 0) /* 0: LZW, the only one there is */
				rd_fail(r);
		} else if (str_eq(key, STR("Buf"))) {
			lzw = pack_take_bytes(r, NULL, UINT32_MAX, NULL);
		} else {
			pack_skip(r, SKIP_MAX);
		}
	}
	return rd_ok(r) ? lzw : STR_NONE;
}

void
wire_compressed_write(struct writer *w, struct str lzw)
{
	wr_u8(w, WIRE_COMPRESSED);
	pack_put_map(w, 2);
	pack_put_bytes(w, STR("Algo"));
	pack_put_uint(w, 0);
	pack_put_bytes(w, STR("Buf"));
	pack_put_bytes(w, lzw);
}

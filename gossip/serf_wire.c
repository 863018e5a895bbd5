/* gossip/serf_wire.c -- serf's messages as tables of fields; by hand what nests.
 *
 * In order: tables, the flat messages, push/pull state, conflict response, relay, filters; then
 * reading and writing by type. What nests (a push/pull's ring of events, tags, a relay's address)
 * is first taken as one value of known extent and then read inside it, so nothing depends on the
 * order of keys. Lists are counted before the arena gives room for them. Our own key "mu" in the
 * push/pull state sorts behind all of serf's.
 */
#include "gossip/serf_wire.h"

#include "gossip/pack.h"

#define MESSAGE_MAX (4 * 1024) /* bytes of a key answer's text */

#define AT(type, member) .at = offsetof(struct type, member)
#define MORE(type, member) .more = offsetof(struct type, member)

static const struct pack_field leave_fields[] = {
	{ PACK_KEY("LTime"), PACK_U64, AT(serf_intent, ltime) },
	{ PACK_KEY("Node"), PACK_TEXT, AT(serf_intent, node), .max = WIRE_NAME_MAX },
	{ PACK_KEY("Prune"), PACK_BOOL, AT(serf_intent, prune) },
};

static const struct pack_field join_fields[] = {
	{ PACK_KEY("LTime"), PACK_U64, AT(serf_intent, ltime) },
	{ PACK_KEY("Node"), PACK_TEXT, AT(serf_intent, node), .max = WIRE_NAME_MAX },
};

static const struct pack_field event_fields[] = {
	{ PACK_KEY("CC"), PACK_BOOL, AT(serf_event, cc) },
	{ PACK_KEY("LTime"), PACK_U64, AT(serf_event, ltime) },
	{ PACK_KEY("Name"), PACK_TEXT, AT(serf_event, name) },
	{ PACK_KEY("Payload"), PACK_BYTES, AT(serf_event, payload), MORE(serf_event, payload_nil) },
};

static const struct pack_field slot_event_fields[] = {
	{ PACK_KEY("Name"), PACK_TEXT, AT(serf_event, name) },
	{ PACK_KEY("Payload"), PACK_BYTES, AT(serf_event, payload), MORE(serf_event, payload_nil) },
};

static const struct pack_field query_fields[] = {
	{ PACK_KEY("Addr"), PACK_IP, AT(serf_query, source) },
	{ PACK_KEY("Filters"), PACK_LIST, AT(serf_query, filters), MORE(serf_query, filter_count),
	    .max = SERF_FILTERS_MAX },
	{ PACK_KEY("Flags"), PACK_U32, AT(serf_query, flags) },
	{ PACK_KEY("ID"), PACK_U32, AT(serf_query, id) },
	{ PACK_KEY("LTime"), PACK_U64, AT(serf_query, ltime) },
	{ PACK_KEY("Name"), PACK_TEXT, AT(serf_query, name) },
	{ PACK_KEY("Payload"), PACK_BYTES, AT(serf_query, payload), MORE(serf_query, payload_nil) },
	{ PACK_KEY("Port"), PACK_U16, AT(serf_query, source.port) },
	{ PACK_KEY("RelayFactor"), PACK_U8, AT(serf_query, relay_factor) },
	{ PACK_KEY("SourceNode"), PACK_TEXT, AT(serf_query, source_node), .max = WIRE_NAME_MAX },
	{ PACK_KEY("Timeout"), PACK_I64, AT(serf_query, timeout_ns) },
};

static const struct pack_field response_fields[] = {
	{ PACK_KEY("Flags"), PACK_U32, AT(serf_response, flags) },
	{ PACK_KEY("From"), PACK_TEXT, AT(serf_response, from), .max = WIRE_NAME_MAX },
	{ PACK_KEY("ID"), PACK_U32, AT(serf_response, id) },
	{ PACK_KEY("LTime"), PACK_U64, AT(serf_response, ltime) },
	{ PACK_KEY("Payload"), PACK_BYTES, AT(serf_response, payload),
	    MORE(serf_response, payload_nil) },
};

struct key_request {
	struct str key;
};
static const struct pack_field key_fields[] = {
	{ PACK_KEY("Key"), PACK_TEXT, AT(key_request, key) },
};

static const struct pack_field key_response_fields[] = {
	{ PACK_KEY("Keys"), PACK_LIST, AT(serf_key_response, keys),
	    MORE(serf_key_response, key_count), .max = SERF_FILTERS_MAX },
	{ PACK_KEY("Message"), PACK_TEXT, AT(serf_key_response, message), .max = MESSAGE_MAX },
	{ PACK_KEY("PrimaryKey"), PACK_TEXT, AT(serf_key_response, primary) },
	{ PACK_KEY("Result"), PACK_BOOL, AT(serf_key_response, result) },
};

struct conflict_map {
	struct serf_member_map m;
	struct str tags;
};
static const struct pack_field conflict_fields[] = {
	{ PACK_KEY("Addr"), PACK_IP, AT(conflict_map, m.addr) },
	{ PACK_KEY("DelegateCur"), PACK_U8, AT(conflict_map, m.vsn.dcur) },
	{ PACK_KEY("DelegateMax"), PACK_U8, AT(conflict_map, m.vsn.dmax) },
	{ PACK_KEY("DelegateMin"), PACK_U8, AT(conflict_map, m.vsn.dmin) },
	{ PACK_KEY("Name"), PACK_TEXT, AT(conflict_map, m.name), .max = WIRE_NAME_MAX },
	{ PACK_KEY("Port"), PACK_U16, AT(conflict_map, m.addr.port) },
	{ PACK_KEY("ProtocolCur"), PACK_U8, AT(conflict_map, m.vsn.pcur) },
	{ PACK_KEY("ProtocolMax"), PACK_U8, AT(conflict_map, m.vsn.pmax) },
	{ PACK_KEY("ProtocolMin"), PACK_U8, AT(conflict_map, m.vsn.pmin) },
	{ PACK_KEY("Status"), PACK_U32, AT(conflict_map, m.status), .max = INT32_MAX },
	{ PACK_KEY("Tags"), PACK_VALUE, AT(conflict_map, tags) },
};

struct push_pull_map {
	uint64_t ltime, event_ltime, query_ltime;
	struct str events, status, muster;
	struct str *left;
	size_t left_count;
	bool muster_nil;
};
static const struct pack_field push_pull_fields[] = {
	{ PACK_KEY("EventLTime"), PACK_U64, AT(push_pull_map, event_ltime) },
	{ PACK_KEY("Events"), PACK_VALUE, AT(push_pull_map, events) },
	{ PACK_KEY("LTime"), PACK_U64, AT(push_pull_map, ltime) },
	{ PACK_KEY("LeftMembers"), PACK_LIST, AT(push_pull_map, left),
	    MORE(push_pull_map, left_count), .max = SERF_MEMBERS_MAX },
	{ PACK_KEY("QueryLTime"), PACK_U64, AT(push_pull_map, query_ltime) },
	{ PACK_KEY("StatusLTimes"), PACK_VALUE, AT(push_pull_map, status) },
	{ PACK_KEY("mu"), PACK_BYTES, AT(push_pull_map, muster), MORE(push_pull_map, muster_nil) },
};

struct slot_map {
	struct str events;
	uint64_t ltime;
};
static const struct pack_field slot_fields[] = {
	{ PACK_KEY("Events"), PACK_VALUE, AT(slot_map, events) },
	{ PACK_KEY("LTime"), PACK_U64, AT(slot_map, ltime) },
};

struct relay_head {
	struct str dest_addr, dest_name;
};
static const struct pack_field relay_fields[] = {
	{ PACK_KEY("DestAddr"), PACK_VALUE, AT(relay_head, dest_addr) },
	{ PACK_KEY("DestName"), PACK_TEXT, AT(relay_head, dest_name), .max = WIRE_NAME_MAX },
};

struct relay_dest {
	struct addr addr;
	struct str zone; /* of an IPv6 address; nobody can use another host's */
};
static const struct pack_field dest_fields[] = {
	{ PACK_KEY("IP"), PACK_IP, AT(relay_dest, addr) },
	{ PACK_KEY("Port"), PACK_U16, AT(relay_dest, addr.port) },
	{ PACK_KEY("Zone"), PACK_TEXT, AT(relay_dest, zone), .max = WIRE_NAME_MAX },
};

/* The table of a message that is flat, and where in the union it goes. */
static struct pack_table
flat_table(enum serf_type type)
{
	switch (type) {
	case SERF_LEAVE:
		return PACK_TABLE(leave_fields);
	case SERF_JOIN:
		return PACK_TABLE(join_fields);
	case SERF_USER_EVENT:
		return PACK_TABLE(event_fields);
	case SERF_QUERY:
		return PACK_TABLE(query_fields);
	case SERF_QUERY_RESPONSE:
		return PACK_TABLE(response_fields);
	case SERF_KEY_REQUEST:
		return PACK_TABLE(key_fields);
	case SERF_KEY_RESPONSE:
		return PACK_TABLE(key_response_fields);
	default:
		return (struct pack_table){ NULL, 0 };
	}
}

/* --- push/pull state --- */

/* An array of the arena for what `r` announces; fails `r` above `max` or without room. */
static void *
array_for(struct arena *arena, struct reader *r, size_t count, size_t max, size_t size)
{
	void *p = NULL;

	if (rd_ok(r) && count <= max)
		p = arena_alloc(arena, count * size);
	if (p == NULL)
		rd_fail(r);
	return p;
}

static void
status_read(struct arena *arena, struct reader *r, struct serf_push_pull *out)
{
	size_t n = pack_take_map(r);

	out->status = array_for(arena, r, n, SERF_MEMBERS_MAX, sizeof *out->status);
	for (size_t i = 0; i < n && rd_ok(r); i++) {
		out->status[i].node = pack_take_bytes(r, arena, WIRE_NAME_MAX, NULL);
		out->status[i].ltime = pack_take_uint(r, UINT64_MAX);
	}
	out->status_count = n;
}

/* One filled slot; `budget` events are left for the whole ring. */
static void
slot_read(struct arena *arena, struct reader *r, size_t *budget, struct serf_event_slot *out)
{
	struct slot_map m = { 0 };
	struct reader in;

	pack_take_fields(r, arena, PACK_TABLE(slot_fields), &m);
	if (m.events.n == 0)
		m.events = STR("\xc0");
	in = rd_of(m.events);
	out->ltime = m.ltime;
	out->count = pack_take_array(&in);
	out->events = array_for(arena, &in, out->count, *budget, sizeof *out->events);
	for (size_t i = 0; i < out->count && rd_ok(&in); i++)
		pack_take_fields(&in, arena, PACK_TABLE(slot_event_fields), &out->events[i]);
	if (!rd_ok(&in))
		rd_fail(r);
	else
		*budget -= out->count;
}

static void
ring_read(struct arena *arena, struct reader *r, struct serf_push_pull *out)
{
	size_t n = pack_take_array(r), filled = 0, budget = SERF_RING_MAX;
	struct reader ahead = *r;

	if (n > SERF_RING_MAX)
		rd_fail(r);
	for (size_t i = 0; i < n && rd_ok(&ahead); i++) {
		if (pack_take_nil(&ahead))
			continue;
		pack_skip(&ahead, SIZE_MAX);
		filled++;
	}
	if (!rd_ok(&ahead))
		rd_fail(r);
	out->slots = array_for(arena, r, filled, SERF_RING_MAX, sizeof *out->slots);
	for (size_t i = 0; i < n && rd_ok(r); i++)
		if (!pack_take_nil(r))
			slot_read(arena, r, &budget, &out->slots[out->slot_count++]);
	out->ring = n;
}

static void
push_pull_read(struct arena *arena, struct reader *r, struct serf_push_pull *out)
{
	struct push_pull_map m = { 0 };
	struct reader in;

	pack_take_fields(r, arena, PACK_TABLE(push_pull_fields), &m);
	out->ltime = m.ltime;
	out->event_ltime = m.event_ltime;
	out->query_ltime = m.query_ltime;
	out->left = m.left;
	out->left_count = m.left_count;
	out->muster = m.muster;
	if (m.status.n > 0) {
		in = rd_of(m.status);
		status_read(arena, &in, out);
		if (!rd_ok(&in))
			rd_fail(r);
	}
	if (m.events.n > 0) {
		in = rd_of(m.events);
		ring_read(arena, &in, out);
		if (!rd_ok(&in))
			rd_fail(r);
	}
}

static void
slot_write(struct writer *w, const struct serf_event_slot *slot)
{
	pack_put_map(w, 2);
	pack_put_bytes(w, STR("Events"));
	pack_put_array(w, slot->count);
	for (size_t i = 0; i < slot->count; i++)
		pack_put_fields(w, PACK_TABLE(slot_event_fields), &slot->events[i]);
	pack_put_bytes(w, STR("LTime"));
	pack_put_uint(w, slot->ltime);
}

static void
ring_write(struct writer *w, const struct serf_push_pull *p)
{
	size_t next = 0;

	if (p->ring == 0) {
		pack_put_nil(w);
		return;
	}
	pack_put_array(w, p->ring);
	for (size_t i = 0; i < p->ring; i++) {
		if (next < p->slot_count && p->slots[next].ltime % p->ring == i)
			slot_write(w, &p->slots[next++]);
		else
			pack_put_nil(w);
	}
	if (next < p->slot_count)
		w->full = true; /* slots that are not in the ring's order */
}

static void
push_pull_write(struct writer *w, const struct serf_push_pull *p)
{
	pack_put_map(w, p->muster.n > 0 ? 7 : 6);
	pack_put_bytes(w, STR("EventLTime"));
	pack_put_uint(w, p->event_ltime);
	pack_put_bytes(w, STR("Events"));
	ring_write(w, p);
	pack_put_bytes(w, STR("LTime"));
	pack_put_uint(w, p->ltime);
	pack_put_bytes(w, STR("LeftMembers"));
	pack_put_array(w, p->left_count);
	for (size_t i = 0; i < p->left_count; i++)
		pack_put_bytes(w, p->left[i]);
	pack_put_bytes(w, STR("QueryLTime"));
	pack_put_uint(w, p->query_ltime);
	pack_put_bytes(w, STR("StatusLTimes"));
	pack_put_map(w, p->status_count);
	for (size_t i = 0; i < p->status_count; i++) {
		pack_put_bytes(w, p->status[i].node);
		pack_put_uint(w, p->status[i].ltime);
	}
	if (p->muster.n > 0) {
		pack_put_bytes(w, STR("mu"));
		pack_put_bytes(w, p->muster);
	}
}

/* --- conflict response, relay --- */

static void
conflict_read(struct arena *arena, struct reader *r, struct serf_member_map *out, bool *nil)
{
	struct conflict_map c = { 0 };
	struct reader in;

	*nil = pack_take_nil(r);
	if (*nil)
		return;
	pack_take_fields(r, arena, PACK_TABLE(conflict_fields), &c);
	*out = c.m;
	in = rd_of(c.tags);
	if (c.tags.n > 0 && serf_tag_map_read(arena, &in, &out->tags, &out->tag_count, NULL) < 0)
		rd_fail(r);
}

static void
conflict_write(struct writer *w, const struct serf_member_map *m)
{
	struct conflict_map c = { *m, STR_NONE };

	pack_put_fields(w, PACK_TABLE(conflict_fields), &c);
	serf_tag_map_write(w, m->tags, m->tag_count);
}

static void
relay_read(struct arena *arena, struct reader *r, struct serf_relay *out)
{
	struct relay_head head = { 0 };
	struct relay_dest dest = { 0 };
	struct reader in;

	pack_take_fields(r, arena, PACK_TABLE(relay_fields), &head);
	in = rd_of(head.dest_addr);
	pack_take_fields(&in, arena, PACK_TABLE(dest_fields), &dest);
	if (!rd_ok(&in) || dest.addr.family == ADDR_NONE)
		rd_fail(r);
	out->dest = dest.addr;
	out->dest_name = head.dest_name;
	out->inner = rd_str(r, rd_left(r));
}

static void
relay_write(struct writer *w, const struct serf_relay *relay)
{
	struct relay_dest dest = { relay->dest, STR("") };

	pack_put_map(w, 2);
	pack_put_bytes(w, STR("DestAddr"));
	pack_put_fields(w, PACK_TABLE(dest_fields), &dest);
	pack_put_bytes(w, STR("DestName"));
	pack_put_bytes(w, relay->dest_name);
	wr_bytes(w, relay->inner);
}

/* --- all types --- */

int
serf_read(struct arena *arena, struct str bytes, struct serf_message *out, struct err *err)
{
	struct reader r = rd_of(bytes);
	struct pack_table table;
	struct serf_message m;

	memset(&m, 0, sizeof m);
	m.type = rd_u8(&r);
	table = flat_table(m.type);
	if (m.type == SERF_PUSH_PULL)
		push_pull_read(arena, &r, &m.u.push_pull);
	else if (m.type == SERF_CONFLICT_RESPONSE)
		conflict_read(arena, &r, &m.u.conflict, &m.nil);
	else if (m.type == SERF_RELAY)
		relay_read(arena, &r, &m.u.relay);
	else if (m.type == SERF_MUSTER)
		m.u.muster = rd_str(&r, rd_left(&r));
	else if (table.count > 0)
		pack_take_fields(&r, arena, table, &m.u);
	else
		return err_set(err, ERR_INPUT, "serf message of unknown type %d", m.type);
	if (arena->full)
		return err_set(
		    err, ERR_LIMIT, "serf message of type %d takes too much room", m.type);
	if (!rd_ok(&r))
		return err_set(err, ERR_INPUT,
		    "serf message of type %d is malformed at byte %zu of %zu", m.type, r.pos,
		    r.len);
	*out = m;
	return 0;
}

void
serf_write(struct writer *w, const struct serf_message *m)
{
	struct pack_table table = flat_table(m->type);

	wr_u8(w, (uint8_t)m->type);
	if (m->type == SERF_PUSH_PULL)
		push_pull_write(w, &m->u.push_pull);
	else if (m->type == SERF_CONFLICT_RESPONSE && m->nil)
		pack_put_nil(w);
	else if (m->type == SERF_CONFLICT_RESPONSE)
		conflict_write(w, &m->u.conflict);
	else if (m->type == SERF_RELAY)
		relay_write(w, &m->u.relay);
	else if (m->type == SERF_MUSTER)
		wr_bytes(w, m->u.muster);
	else if (table.count > 0)
		pack_put_fields(w, table, &m->u);
	else
		w->full = true; /* no message of serf's */
}

/* --- filters of a query: a byte, 0 for names and 1 for a tag, and what it is about --- */

enum { FILTER_NODES = 0, FILTER_TAG = 1 };

static const struct pack_field filter_fields[] = {
	{ PACK_KEY("Expr"), PACK_TEXT, AT(serf_filter, expr) },
	{ PACK_KEY("Tag"), PACK_TEXT, AT(serf_filter, tag_name) },
};

int
serf_filter_read(struct arena *arena, struct str bytes, struct serf_filter *out, struct err *err)
{
	struct reader r = rd_of(bytes);
	uint8_t type = rd_u8(&r);
	struct serf_filter f = { .tag = type == FILTER_TAG };

	if (rd_ok(&r) && type > FILTER_TAG)
		return err_set(err, ERR_INPUT, "a filter of unknown type %u", type);
	if (f.tag) {
		pack_take_fields(&r, arena, PACK_TABLE(filter_fields), &f);
	} else {
		f.node_count = pack_take_array(&r);
		f.nodes = array_for(arena, &r, f.node_count, SERF_FILTERS_MAX, sizeof *f.nodes);
		for (size_t i = 0; i < f.node_count && rd_ok(&r); i++)
			f.nodes[i] = pack_take_bytes(&r, arena, WIRE_NAME_MAX, NULL);
	}
	if (!rd_ok(&r))
		return err_set(
		    err, ERR_INPUT, "a filter is malformed at byte %zu of %zu", r.pos, r.len);
	*out = f;
	return 0;
}

void
serf_filter_write(struct writer *w, const struct serf_filter *f)
{
	wr_u8(w, f->tag ? FILTER_TAG : FILTER_NODES);
	if (f->tag) {
		pack_put_fields(w, PACK_TABLE(filter_fields), f);
		return;
	}
	pack_put_array(w, f->node_count);
	for (size_t i = 0; i < f->node_count; i++)
		pack_put_bytes(w, f->nodes[i]);
}

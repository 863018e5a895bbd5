/* tests/unit/vector.c -- loading vectors, and decoded messages as JSON in their form. */
#include "tests/unit/vector.h"

#include <stdlib.h>

#include "gossip/pack.h"
#include "tests/unit/test.h"

json_t *
vector_load(const char *path)
{
	const char *src = getenv("MUSTER_SRC");
	char full[4096];
	json_error_t error;
	json_t *root;

	snprintf(full, sizeof full, "%s/tests/gossip/vectors/%s", src == NULL ? ".." : src, path);
	root = json_load_file(full, JSON_ALLOW_NUL, &error);
	if (root == NULL)
		fail_msg("%s: %s", full, error.text);
	return root;
}

static uint8_t
hex_digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

struct str
vector_hex(struct arena *arena, const char *hex)
{
	size_t n = strlen(hex) / 2;
	uint8_t *p = arena_alloc(arena, n);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
	return str_mem(p, n);
}

struct str
vector_bytes(struct arena *arena, const json_t *o, const char *member)
{
	const char *hex = json_string_value(json_object_get(o, member));

	return hex == NULL ? STR_NONE : vector_hex(arena, hex);
}

json_t *
vector_hex_json(struct str s)
{
	char *hex = malloc(2 * s.n + 1);
	json_t *j;

	for (size_t i = 0; i < s.n; i++)
		snprintf(hex + 2 * i, 3, "%02x", (uint8_t)s.p[i]);
	j = json_stringn(hex, 2 * s.n);
	free(hex);
	return j;
}

struct keyring *
vector_keys(struct arena *arena, const json_t *keys)
{
	struct keyring *ring;
	size_t i;
	json_t *key;

	if (json_array_size(keys) == 0)
		return NULL;
	ring = keyring_new();
	json_array_foreach (keys, i, key)
		assert_int_equal(
		    keyring_install(ring, vector_hex(arena, json_string_value(key)), NULL), 0);
	return ring;
}

/* --- values --- */

static json_t *
text(struct str s)
{
	json_t *j = json_stringn(s.p == NULL ? "" : s.p, s.n);

	assert_non_null(j);
	return j;
}

static json_t *
bytes(struct str s, bool nil)
{
	return nil ? json_null() : json_pack("{so}", "$hex", vector_hex_json(s));
}

static json_t *
ip(const struct addr *a)
{
	return bytes(str_mem(a->bytes, a->family == ADDR_V4 ? 4 : 16), a->family == ADDR_NONE);
}

static json_t *
number(uint64_t v)
{
	char digits[24];

	if (v <= (uint64_t)1 << 53)
		return json_integer((json_int_t)v);
	snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
	return json_pack("{ss}", "$u64", digits);
}

static json_t *
vsn(const struct wire_vsn *v, bool whole)
{
	return bytes(str_mem(v, sizeof *v), !whole);
}

static json_t *
tag_map(const struct serf_tag *tags, size_t count)
{
	json_t *o = json_object();

	for (size_t i = 0; i < count; i++)
		json_object_setn_new(o, tags[i].key.p, tags[i].key.n, text(tags[i].value));
	return o;
}

json_t *
vector_tags_json(struct arena *arena, struct str meta)
{
	struct serf_tag *tags;
	size_t count;

	assert_int_equal(serf_tags_read(arena, meta, &tags, &count, NULL), 0);
	return tag_map(tags, count);
}

/* --- memberlist's messages --- */

static void
source_fields(json_t *o, const struct addr *source, struct str node)
{
	if (source->family != ADDR_NONE)
		json_object_set_new(o, "SourceAddr", ip(source));
	if (node.n > 0)
		json_object_set_new(o, "SourceNode", text(node));
	if (source->port != 0)
		json_object_set_new(o, "SourcePort", json_integer(source->port));
}

static json_t *
message_fields(const struct wire_message *m)
{
	json_t *o = json_object();

	switch (m->type) {
	case WIRE_PING:
		json_object_set_new(o, "Node", text(m->u.ping.node));
		json_object_set_new(o, "SeqNo", number(m->u.ping.seq));
		source_fields(o, &m->u.ping.source, m->u.ping.source_node);
		break;
	case WIRE_INDIRECT_PING:
		json_object_set_new(o, "Nack", json_boolean(m->u.indirect.nack));
		json_object_set_new(o, "Node", text(m->u.indirect.node));
		json_object_set_new(o, "Port", json_integer(m->u.indirect.target.port));
		json_object_set_new(o, "SeqNo", number(m->u.indirect.seq));
		json_object_set_new(o, "Target", ip(&m->u.indirect.target));
		source_fields(o, &m->u.indirect.source, m->u.indirect.source_node);
		break;
	case WIRE_ACK:
		json_object_set_new(o, "Payload", bytes(m->u.ack.payload, m->u.ack.payload_nil));
		json_object_set_new(o, "SeqNo", number(m->u.ack.seq));
		break;
	case WIRE_NACK:
		json_object_set_new(o, "SeqNo", number(m->u.nack.seq));
		break;
	case WIRE_SUSPECT:
	case WIRE_DEAD:
		json_object_set_new(o, "From", text(m->u.claim.from));
		json_object_set_new(o, "Incarnation", number(m->u.claim.incarnation));
		json_object_set_new(o, "Node", text(m->u.claim.node));
		break;
	case WIRE_ALIVE:
		json_object_set_new(o, "Addr", ip(&m->u.alive.addr));
		json_object_set_new(o, "Incarnation", number(m->u.alive.incarnation));
		json_object_set_new(o, "Meta", bytes(m->u.alive.meta, m->u.alive.meta_nil));
		json_object_set_new(o, "Node", text(m->u.alive.node));
		json_object_set_new(o, "Port", json_integer(m->u.alive.addr.port));
		json_object_set_new(o, "Vsn", vsn(&m->u.alive.vsn, m->u.alive.vsn_whole));
		break;
	default:
		json_object_set_new(o, "Error", text(m->u.error));
	}
	return o;
}

static json_t *
coordinate_json(const struct serf_coordinate *c)
{
	json_t *vec = json_array();

	for (size_t i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		json_array_append_new(vec, json_real(c->vec[i]));
	return json_pack("{sf sf sf so}", "Adjustment", c->adjustment, "Error", c->error, "Height",
	    c->height, "Vec", vec);
}

static const char *
message_name(enum wire_type type)
{
	static const char *const names[] = { "ping", "indirect-ping", "ack", "suspect", "alive",
		"dead", "push-pull", "compound", "user", "compressed", "encrypted", "nack", "crc",
		"error" };

	return names[type];
}

json_t *
vector_message_json(struct arena *arena, const struct wire_message *m, bool named)
{
	struct serf_coordinate c;
	struct serf_message serf;
	json_t *o = json_object();

	if (m->type == WIRE_USER && named) {
		assert_int_equal(serf_read(arena, m->u.user, &serf, NULL), 0);
		json_object_set_new(o, "user", vector_serf_json(arena, &serf, named));
		return o;
	}
	if (named)
		json_object_set_new(o, "name", json_string(message_name(m->type)));
	else
		json_object_set_new(o, "type", json_integer(m->type));
	if (m->type == WIRE_USER) {
		json_object_set_new(o, "user", vector_hex_json(m->u.user));
		return o;
	}
	json_object_set_new(o, "fields", message_fields(m));
	if (m->type == WIRE_ALIVE)
		json_object_set_new(o, "serf_tags", vector_tags_json(arena, m->u.alive.meta));
	if (m->type == WIRE_ACK && serf_coordinate_read(m->u.ack.payload, &c, NULL) == 0)
		json_object_set_new(o, "coordinate", coordinate_json(&c));
	return o;
}

/* --- serf's --- */

static json_t *
slots_json(const struct serf_push_pull *p)
{
	json_t *slots = json_object();
	char index[24];

	if (p->ring == 0)
		return json_null();
	for (size_t i = 0; i < p->slot_count; i++) {
		json_t *events = json_array();

		for (size_t e = 0; e < p->slots[i].count; e++)
			json_array_append_new(
			    events, json_pack("{so so}", "Name", text(p->slots[i].events[e].name),
					"Payload",
					bytes(p->slots[i].events[e].payload,
					    p->slots[i].events[e].payload_nil)));
		snprintf(index, sizeof index, "%zu", (size_t)(p->slots[i].ltime % p->ring));
		json_object_set_new(slots, index,
		    json_pack("{so so}", "LTime", number(p->slots[i].ltime), "Events", events));
	}
	return json_pack("{si so}", "ring", (int)p->ring, "slots", slots);
}

static json_t *
push_pull_fields(const struct serf_push_pull *p)
{
	json_t *status = json_object(), *left = json_array();

	for (size_t i = 0; i < p->status_count; i++)
		json_object_setn_new(
		    status, p->status[i].node.p, p->status[i].node.n, number(p->status[i].ltime));
	for (size_t i = 0; i < p->left_count; i++)
		json_array_append_new(left, text(p->left[i]));
	return json_pack("{so so so so so so}", "EventLTime", number(p->event_ltime), "Events",
	    slots_json(p), "LTime", number(p->ltime), "LeftMembers", left, "QueryLTime",
	    number(p->query_ltime), "StatusLTimes", status);
}

static json_t *
query_fields(const struct serf_query *q)
{
	json_t *filters = q->filter_count == 0 ? json_null() : json_array();
	json_t *o = json_pack("{so so so so so so}", "Addr", ip(&q->source), "Flags",
	    number(q->flags), "ID", number(q->id), "LTime", number(q->ltime), "Name", text(q->name),
	    "Payload", bytes(q->payload, q->payload_nil));

	for (size_t i = 0; i < q->filter_count; i++)
		json_array_append_new(filters, bytes(q->filters[i], false));
	json_object_set_new(o, "Filters", filters);
	json_object_set_new(o, "Port", json_integer(q->source.port));
	json_object_set_new(o, "RelayFactor", json_integer(q->relay_factor));
	json_object_set_new(o, "SourceNode", text(q->source_node));
	json_object_set_new(o, "Timeout", json_integer(q->timeout_ns));
	return o;
}

static json_t *
key_response_fields(const struct serf_key_response *k)
{
	json_t *keys = k->key_count == 0 ? json_null() : json_array();

	for (size_t i = 0; i < k->key_count; i++)
		json_array_append_new(keys, text(k->keys[i]));
	return json_pack("{so so so sb}", "Keys", keys, "Message", text(k->message), "PrimaryKey",
	    text(k->primary), "Result", k->result);
}

static json_t *
conflict_fields(const struct serf_member_map *m)
{
	json_t *o = json_pack("{so si si si so si}", "Addr", ip(&m->addr), "DelegateCur",
	    m->vsn.dcur, "DelegateMax", m->vsn.dmax, "DelegateMin", m->vsn.dmin, "Name",
	    text(m->name), "Port", m->addr.port);

	json_object_set_new(o, "ProtocolCur", json_integer(m->vsn.pcur));
	json_object_set_new(o, "ProtocolMax", json_integer(m->vsn.pmax));
	json_object_set_new(o, "ProtocolMin", json_integer(m->vsn.pmin));
	json_object_set_new(o, "Status", json_integer(m->status));
	json_object_set_new(o, "Tags", tag_map(m->tags, m->tag_count));
	return o;
}

static json_t *
serf_fields(const struct serf_message *m)
{
	const struct serf_event *e = &m->u.event;
	const struct serf_response *r = &m->u.response;
	json_t *o;

	switch (m->type) {
	case SERF_LEAVE:
	case SERF_JOIN:
		o = json_pack(
		    "{so so}", "LTime", number(m->u.intent.ltime), "Node", text(m->u.intent.node));
		if (m->type == SERF_LEAVE)
			json_object_set_new(o, "Prune", json_boolean(m->u.intent.prune));
		return o;
	case SERF_PUSH_PULL:
		return push_pull_fields(&m->u.push_pull);
	case SERF_USER_EVENT:
		return json_pack("{sb so so so}", "CC", e->cc, "LTime", number(e->ltime), "Name",
		    text(e->name), "Payload", bytes(e->payload, e->payload_nil));
	case SERF_QUERY:
		return query_fields(&m->u.query);
	case SERF_QUERY_RESPONSE:
		return json_pack("{so so so so so}", "Flags", number(r->flags), "From",
		    text(r->from), "ID", number(r->id), "LTime", number(r->ltime), "Payload",
		    bytes(r->payload, r->payload_nil));
	case SERF_CONFLICT_RESPONSE:
		return m->nil ? json_null() : conflict_fields(&m->u.conflict);
	case SERF_KEY_REQUEST:
		return json_pack("{so}", "Key", bytes(m->u.key, false));
	default:
		return key_response_fields(&m->u.key_response);
	}
}

json_t *
vector_serf_json(struct arena *arena, const struct serf_message *m, bool named)
{
	static const char *const names[] = { "leave", "join", "push-pull", "user-event", "query",
		"query-response", "conflict-response", "key-request", "key-response", "relay" };
	const struct serf_relay *relay = &m->u.relay;
	json_t *o = json_object();

	(void)arena;
	assert_true(m->type <= SERF_RELAY);
	if (named)
		json_object_set_new(o, "name", json_string(names[m->type]));
	else
		json_object_set_new(o, "type", json_integer(m->type));
	if (m->type != SERF_RELAY) {
		json_object_set_new(o, "fields", serf_fields(m));
		return o;
	}
	json_object_set_new(o, "header",
	    json_pack("{s{so si ss} so}", "DestAddr", "IP", ip(&relay->dest), "Port",
		relay->dest.port, "Zone", "", "DestName", text(relay->dest_name)));
	json_object_set_new(o, "inner", vector_hex_json(relay->inner));
	return o;
}

json_t *
vector_filter_json(const struct serf_filter *f)
{
	json_t *nodes = json_array();

	for (size_t i = 0; i < f->node_count; i++)
		json_array_append_new(nodes, text(f->nodes[i]));
	if (!f->tag)
		return json_pack("{si so}", "type", 0, "nodes", nodes);
	json_decref(nodes);
	return json_pack("{si so so}", "type", 1, "Expr", text(f->expr), "Tag", text(f->tag_name));
}

/* --- streams --- */

static json_t *
node_json(const struct wire_node_state *n)
{
	json_t *o = json_pack("{so so so so}", "Addr", ip(&n->addr), "Incarnation",
	    number(n->incarnation), "Meta", bytes(n->meta, n->meta_nil), "Name", text(n->name));

	json_object_set_new(o, "Port", json_integer(n->addr.port));
	json_object_set_new(o, "State", json_integer(n->state));
	json_object_set_new(o, "Vsn", vsn(&n->vsn, n->vsn_whole));
	return o;
}

static json_t *
push_pull_json(struct arena *arena, const struct stream_push_pull *p, bool named)
{
	json_t *nodes = json_array(), *o = json_object();
	struct serf_message serf;

	for (size_t i = 0; i < p->node_count; i++)
		json_array_append_new(nodes, node_json(&p->nodes[i]));
	json_object_set_new(o, "header",
	    json_pack("{sb si si}", "Join", p->join, "Nodes", (int)p->node_count, "UserStateLen",
		(int)p->user_state.n));
	json_object_set_new(o, "nodes", nodes);
	if (!named) {
		json_object_set_new(o, "type", json_integer(WIRE_PUSH_PULL));
		json_object_set_new(o, "user_state", vector_hex_json(p->user_state));
	} else if (p->user_state.n > 0) {
		assert_int_equal(serf_read(arena, p->user_state, &serf, NULL), 0);
		json_object_set_new(o, "serf", vector_serf_json(arena, &serf, named));
	}
	return o;
}

json_t *
vector_stream_json(struct arena *arena, const struct stream_request *q, bool named)
{
	struct wire_message m = { .type = q->type };

	if (q->type == WIRE_PUSH_PULL)
		return push_pull_json(arena, &q->u.push_pull, named);
	if (q->type == WIRE_USER)
		return json_pack("{si s{si} so}", "type", WIRE_USER, "header", "UserMsgLen",
		    (int)q->u.user.n, "user", vector_hex_json(q->u.user));
	if (q->type == WIRE_PING)
		m.u.ping = q->u.ping;
	else if (q->type == WIRE_ACK)
		m.u.ack = q->u.ack;
	else
		m.u.error = q->u.error;
	return vector_message_json(arena, &m, named);
}

void
vector_expect(const char *name, json_t *got, const json_t *want)
{
	if (!json_equal(got, want)) {
		char *a = json_dumps(got, JSON_SORT_KEYS), *b = json_dumps(want, JSON_SORT_KEYS);

		print_error("%s:\ngot  %s\nwant %s\n", name, a, b);
		free(a);
		free(b);
		fail();
	}
	json_decref(got);
}

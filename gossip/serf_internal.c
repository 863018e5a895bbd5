/* gossip/serf_internal.c -- queries that agents answer themselves: conflicts, keys, ping.
 *
 * Whoever learns that another address claims its name asks the pool which one it knows; serf then
 * stops the loser, we only say what was found. Key queries change the keyring of every agent.
 */
#include "gossip/serf_private.h"

/* --- name conflicts --- */

static struct str
member_id(struct arena *arena, struct str meta)
{
	struct serf_tag *tags;
	size_t count;

	if (serf_tags_read(arena, meta, &tags, &count, NULL) == 0)
		for (size_t i = 0; i < count; i++)
			if (str_eq(tags[i].key, STR("id")))
				return tags[i].value;
	return STR("unknown");
}

static void
conflict_tell(struct serf *s, struct str name, struct str text)
{
	struct serf_action *a = text.p == NULL ? NULL : serf_act(s, SERF_TELL_CONFLICT);

	if (a == NULL)
		return;
	a->peer_name = arena_dup(&s->out, name);
	a->bytes = text;
}

void
serf_conflict(
    struct serf *s, nsec now, const struct swim_member *ours, const struct swim_member *other)
{
	char here[ADDR_TEXT_MAX], there[ADDR_TEXT_MAX];
	struct serf_ask ask = { .name = STR(SERF_INTERNAL "conflict"), .payload = ours->name };
	struct str ids[2];
	struct arena arena;
	uint64_t id;

	serf_begin(s, now);
	arena_init(&arena, SERF_READ_BYTES);
	ids[0] = member_id(&arena, ours->meta);
	ids[1] = member_id(&arena, other->meta);
	conflict_tell(s, ours->name,
	    arena_fmt(&s->out,
		"two agents are called \"" STR_FMT "\": %s with id " STR_FMT
		" and %s with id " STR_FMT "; give one of them another name",
		STR_ARG(ours->name), addr_format(&ours->addr, here), STR_ARG(ids[0]),
		addr_format(&other->addr, there), STR_ARG(ids[1])));
	arena_done(&arena);
	if (!str_eq(ours->name, s->self->m.name) || s->conflict_next > now)
		return;
	s->conflict_next = now + SERF_CONFLICT_GAP;
	serf_ask_start(s, ASK_CONFLICT, &ask, &id, NULL);
}

/* Our idea of the member, unless it is us. */
static void
conflict_query(struct serf *s, const struct serf_query *q)
{
	const struct member *m = serf_members_find(s, q->payload);
	struct serf_message answer = { .type = SERF_CONFLICT_RESPONSE, .nil = m == NULL };
	struct serf_member_map *map = &answer.u.conflict;
	uint8_t room[SERF_MESSAGE_MAX];
	struct arena arena;
	struct str bytes;

	if (m == s->self)
		return;
	arena_init(&arena, SERF_READ_BYTES);
	if (m != NULL) {
		map->name = m->m.name;
		map->addr = m->m.addr;
		map->vsn = m->m.vsn;
		map->status = (int)m->m.state;
		if (serf_tags_read(&arena, m->m.meta, &map->tags, &map->tag_count, NULL) < 0)
			map->tag_count = 0;
	}
	if (serf_encode(&answer, room, sizeof room, &bytes, NULL) == 0)
		serf_answer(s, q, bytes);
	arena_done(&arena);
}

static void
conflict_answer(struct serf *s, struct ask *a, const struct serf_message *m)
{
	const struct addr *self = &s->self->m.addr;

	if (m->type == SERF_CONFLICT_RESPONSE && !m->nil && addr_eq_ip(&m->u.conflict.addr, self) &&
	    m->u.conflict.addr.port == self->port)
		a->agree++;
}

void
serf_internal_over(struct serf *s, const struct ask *a)
{
	conflict_tell(s, s->self->m.name,
	    arena_fmt(&s->out,
		"%zu of %zu agents that answered know \"" STR_FMT "\" at our address", a->agree,
		a->answers.count, STR_ARG(s->self->m.name)));
}

/* --- keys --- */

static const struct {
	const char *name;
	int (*change)(struct keyring *, struct str key, struct err *); /* NULL: list */
} key_ops[] = {
	[SERF_KEY_INSTALL] = { SERF_INTERNAL "install-key", keyring_install },
	[SERF_KEY_USE] = { SERF_INTERNAL "use-key", keyring_use },
	[SERF_KEY_REMOVE] = { SERF_INTERNAL "remove-key", keyring_remove },
	[SERF_KEY_LIST] = { SERF_INTERNAL "list-keys", NULL },
};
#define KEY_OPS (sizeof key_ops / sizeof key_ops[0])

static struct str /* RFC 4648 4 */
key_text(struct arena *arena, struct str key)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 4 * ((key.n + 2) / 3);
	char *text = arena_alloc(arena, n + 1);

	if (text == NULL)
		return STR_NONE;
	for (size_t i = 0, o = 0; i < key.n; i += 3) {
		uint32_t group = 0;

		for (size_t k = 0; k < 3; k++)
			group = group << 8 | (i + k < key.n ? (uint8_t)key.p[i + k] : 0);
		for (size_t k = 0; k < 4; k++, o++)
			text[o] = i + k > key.n ? '=' : digits[group >> (18 - 6 * k) & 63];
	}
	return str_mem(text, n);
}

static void
key_list(struct serf *s, struct arena *arena, struct serf_key_response *out)
{
	size_t n = keyring_count(s->config.keys);

	out->result = true;
	out->keys = arena_array(arena, struct str, n);
	for (size_t i = 0; out->keys != NULL && i < n; i++)
		out->keys[out->key_count++] = key_text(arena, keyring_key(s->config.keys, i));
	if (out->key_count > 0)
		out->primary = out->keys[0];
}

/* As many keys as fit; what is left out is said. */
static void
key_answer(struct serf *s, struct arena *arena, const struct serf_query *q,
    struct serf_key_response *response)
{
	struct serf_message m = { .type = SERF_KEY_RESPONSE };
	uint8_t room[SERF_QUERY_SIZE_MAX];
	size_t all = response->key_count, max;
	struct str bytes;

	serf_answer_room(s, q, &max);
	for (;;) {
		m.u.key_response = *response;
		if (serf_encode(&m, room, max, &bytes, NULL) == 0)
			break;
		if (response->key_count == 0)
			return;
		response->key_count--;
		response->message =
		    arena_fmt(arena, "%zu of %zu keys fit here", response->key_count, all);
	}
	serf_answer(s, q, bytes);
}

static void
key_query(struct serf *s, enum serf_key_op op, const struct serf_query *q)
{
	struct serf_key_response response = { 0 };
	struct err err = { 0 };
	struct serf_message m;
	struct arena arena;

	arena_init(&arena, SERF_READ_BYTES);
	if (serf_read(&arena, q->payload, &m, NULL) < 0 || m.type != SERF_KEY_REQUEST) {
		s->stats.malformed++;
		response.message = STR("the key request is malformed");
	} else if (s->config.keys == NULL || keyring_count(s->config.keys) == 0) {
		response.message = STR("this agent has no keyring: it does not encrypt");
	} else if (op == SERF_KEY_LIST) {
		key_list(s, &arena, &response);
	} else if (key_ops[op].change(s->config.keys, m.u.key, &err) < 0) {
		response.message = str_of(err.text);
	} else {
		response.result = true;
		serf_act(s, SERF_DO_KEYS_SAVE);
	}
	key_answer(s, &arena, q, &response);
	arena_done(&arena);
}

int
serf_key_start(
    struct serf *s, nsec now, enum serf_key_op op, struct str key, uint64_t *id, struct err *err)
{
	uint8_t room[SERF_QUERY_SIZE_MAX];
	struct serf_message m = { .type = SERF_KEY_REQUEST, .u.key = key };
	struct serf_ask ask = { .name = str_of(key_ops[op].name) };

	serf_begin(s, now);
	if (op != SERF_KEY_LIST && key.n != 16 && key.n != 24 && key.n != 32)
		return err_set(
		    err, ERR_INPUT, "a key has 16, 24 or 32 bytes, this one has %zu", key.n);
	if (serf_encode(&m, room, sizeof room, &ask.payload, err) < 0)
		return ERR_LIMIT;
	return serf_ask_start(s, ASK_KEYS, &ask, id, err);
}

static void
key_tell(struct serf *s, const struct ask *a, struct str from, const struct serf_message *m)
{
	const struct serf_key_response *got = &m->u.key_response;
	struct serf_action *tell;
	struct str *keys;

	if (m->type != SERF_KEY_RESPONSE) {
		s->stats.malformed++;
		return;
	}
	keys = arena_array(&s->out, struct str, got->key_count);
	tell = got->key_count > 0 && keys == NULL ? NULL : serf_act(s, SERF_TELL_KEYS);
	if (tell == NULL)
		return;
	for (size_t i = 0; i < got->key_count; i++)
		keys[i] = arena_dup(&s->out, got->keys[i]);
	tell->id = a->id;
	tell->peer_name = arena_dup(&s->out, from);
	tell->keys = (struct serf_key_response){ .result = got->result,
		.message = arena_dup(&s->out, got->message),
		.primary = arena_dup(&s->out, got->primary),
		.keys = keys,
		.key_count = got->key_count };
}

/* --- both ways --- */

void
serf_internal_query(struct serf *s, const struct serf_query *q)
{
	if (str_eq(q->name, STR(SERF_INTERNAL "ping")))
		return; /* the ack was all */
	if (str_eq(q->name, STR(SERF_INTERNAL "conflict"))) {
		conflict_query(s, q);
		return;
	}
	for (size_t i = 0; i < KEY_OPS; i++)
		if (str_eq(q->name, str_of(key_ops[i].name))) {
			key_query(s, (enum serf_key_op)i, q);
			return;
		}
	s->stats.dropped++;
}

void
serf_internal_answer(struct serf *s, struct ask *a, struct str from, struct str payload)
{
	struct serf_message m;
	struct arena arena;

	arena_init(&arena, SERF_READ_BYTES);
	if (serf_read(&arena, payload, &m, NULL) < 0)
		s->stats.malformed++;
	else if (a->kind == ASK_CONFLICT)
		conflict_answer(s, a, &m);
	else
		key_tell(s, a, from, &m);
	arena_done(&arena);
}

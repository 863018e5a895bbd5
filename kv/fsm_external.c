/* kv/fsm_external.c -- steps as bytes, and what they do (see fsm_external.h).
 *
 * Parts: steps; the table; conditions and limits; doing. Whether steps may be done is looked at
 * before the first of them is, so nothing is ever taken back; an index that changes nothing moves
 * no number, and nobody is told.
 */
#include "kv/fsm_external.h"

#include <stdlib.h>

#include "base/mem.h"
#include "kv/entity.h"
#include "kv/fsm_priv.h"

/* Steps. */

static void
add(struct buf *b, struct str s)
{
	fsm_add_varint(b, s.n);
	buf_add(b, s);
}

int
fsm_step_add(struct buf *b, const struct fsm_step *s, struct err *err)
{
	if (s->key.n > RECORD_KEY_MAX)
		return err_set(
		    err, ERR_LIMIT, "names and ids have at most %d bytes", RECORD_KEY_MAX - 1);
	if (s->body.n > RECORD_BODY_MAX)
		return err_set(
		    err, ERR_LIMIT, "more than %d bytes in one registration", RECORD_BODY_MAX);
	buf_addc(b, (char)s->verb);
	fsm_add_varint(b, s->kind);
	add(b, s->key);
	if (s->verb == FSM_PUT)
		add(b, s->body);
	if (s->verb == FSM_IF_AT)
		fsm_add_varint(b, s->number);
	if (b->full)
		return err_set(err, ERR_LIMIT, "more than %d bytes in one operation", (int)b->cap);
	return 0;
}

bool
fsm_step_next(struct reader *r, struct fsm_step *out, unsigned *unknown)
{
	struct fsm_step s = { 0 };
	uint64_t kind;
	uint8_t verb;

	if (rd_left(r) == 0)
		return false;
	verb = rd_u8(r);
	if (rd_ok(r) && (verb < FSM_PUT || verb >= FSM_STEP_VERBS)) {
		*unknown = verb;
		rd_fail(r);
	}
	s.verb = (enum fsm_step_verb)verb;
	kind = rd_varint(r);
	if (kind > UINT16_MAX)
		rd_fail(r);
	s.kind = (uint16_t)kind;
	s.key = fsm_read_text(r, RECORD_KEY_MAX);
	if (s.verb == FSM_PUT)
		s.body = fsm_read_text(r, RECORD_BODY_MAX);
	if (s.verb == FSM_IF_AT)
		s.number = rd_varint(r);
	if (!rd_ok(r))
		return false;
	*out = s;
	return true;
}

bool
external_steps_read(struct reader *r, struct str *steps, unsigned *unknown)
{
	struct str bytes = fsm_read_text(r, FSM_STEPS_BYTES_MAX);
	struct reader each = rd_of(bytes);
	struct fsm_step s;
	size_t n = 0;

	while (rd_ok(r) && fsm_step_next(&each, &s, unknown))
		n++;
	if (!rd_ok(&each) || rd_left(&each) > 0 || n > FSM_STEPS_MAX)
		rd_fail(r);
	*steps = bytes;
	return rd_ok(r);
}

/* The table. */

#define EXTERNAL_EPOCH ((struct epoch){ 1, 0 }) /* who publishes gives another one (RULES 19) */

struct owner *
external_table_new(void)
{
	return owner_new(&(struct uuid){ { 0 } }, &owner_limits_default);
}

const struct owner *
fsm_external(const struct fsm *f)
{
	return f->external;
}

struct epoch
fsm_external_epoch(const struct fsm *f)
{
	return (struct epoch){ f->restores + 1, 0 };
}

/* Conditions and limits. */

static bool
record_live(const struct owner *o, uint16_t kind, struct str key, struct owner_record *r)
{
	return owner_find(o, kind, key, r) && !r->gone;
}

bool
external_may(const struct fsm *f, struct str steps)
{
	struct reader r = rd_of(steps);
	struct owner_record record;
	struct fsm_step s;
	unsigned unused;

	while (fsm_step_next(&r, &s, &unused)) {
		bool live = record_live(f->external, s.kind, s.key, &record);

		if (s.verb == FSM_IF_LIVE && !live)
			return false;
		if (s.verb == FSM_IF_AT && (live ? record.number : 0) != s.number)
			return false;
	}
	return true;
}

/* As if nothing were removed, so that it can only say too early that there is no room. */
bool
external_fits(const struct fsm *f, struct str steps)
{
	const struct owner_limits *most = &owner_limits_default;
	size_t count = owner_count(f->external), bytes = owner_bytes(f->external);
	struct reader r = rd_of(steps);
	struct owner_record record;
	struct fsm_step s;
	unsigned unused;

	while (fsm_step_next(&r, &s, &unused)) {
		if (s.verb != FSM_PUT)
			continue;
		if (!record_live(f->external, s.kind, s.key, &record))
			count++, bytes += s.key.n;
		bytes += s.body.n;
	}
	return count <= most->records_max && bytes <= most->bytes_max;
}

/* Doing. */

static void
put(struct fsm *f, uint64_t index, const struct fsm_step *s)
{
	struct owner_record r;

	if (record_live(f->external, s->kind, s->key, &r) && str_eq(blob_str(r.body), s->body))
		return;
	owner_number_set(f->external, index);
	(void)owner_put(f->external, s->kind, s->key, s->body, NULL, NULL); /* external_fits() */
}

static void
remove_one(struct fsm *f, uint64_t index, uint16_t kind, struct str key)
{
	struct owner_record r;

	if (!record_live(f->external, kind, key, &r))
		return;
	owner_number_set(f->external, index);
	owner_remove(f->external, kind, key, NULL);
}

/* Whether a check's record says that it is of this service. */
static bool
check_is_of(const struct owner_record *r, struct str service_id)
{
	struct check_info info;
	void *arrays = NULL;
	bool is = check_unpack_owned(&arrays, blob_str(r->body), &info, NULL) == 0 &&
		  str_eq(info.service_id, service_id);

	free(arrays);
	return is;
}

/* Removes what is on a node: all services and checks, or the checks of one service. The keys are
 * collected first, for what is removed moves in the order. */
static void
remove_on_node(struct fsm *f, uint64_t index, struct str node, const struct str *service_id)
{
	const struct owner_range all = { .upto = UINT64_MAX };
	struct key_of {
		uint16_t kind;
		size_t at, n;
	} *keys = NULL;
	size_t count = 0, room = 0;
	struct owner_record r;
	uint64_t cursor = 0;
	struct buf names;

	buf_init(&names, owner_bytes(f->external) + 1);
	while (owner_range_next(f->external, &all, &cursor, &r)) {
		if (r.gone || (r.kind != RECORD_SERVICE && r.kind != RECORD_CHECK) ||
		    !str_starts(r.key, node) || r.key.n == node.n || r.key.p[node.n] != '\0')
			continue;
		if (service_id != NULL && (r.kind != RECORD_CHECK || !check_is_of(&r, *service_id)))
			continue;
		keys = mem_grow(keys, count, &room, sizeof *keys);
		keys[count++] = (struct key_of){ r.kind, names.n, r.key.n };
		buf_add(&names, r.key);
	}
	for (size_t i = 0; i < count; i++)
		remove_one(f, index, keys[i].kind, str_mem(names.p + keys[i].at, keys[i].n));
	buf_done(&names);
	free(keys);
}

static void
remove_service(struct fsm *f, uint64_t index, struct str key)
{
	size_t at = str_find(key, '\0');
	struct str id = at < key.n ? str_skip(key, at + 1) : STR_NONE;

	if (id.n > 0)
		remove_on_node(f, index, str_head(key, at), &id);
	remove_one(f, index, RECORD_SERVICE, key);
}

void
external_do(struct fsm *f, uint64_t index, struct str steps)
{
	struct reader r = rd_of(steps);
	struct fsm_step s;
	unsigned unused;

	while (fsm_step_next(&r, &s, &unused)) {
		switch (s.verb) {
		case FSM_PUT:
			put(f, index, &s);
			break;
		case FSM_REMOVE:
			remove_one(f, index, s.kind, s.key);
			break;
		case FSM_REMOVE_NODE:
			remove_on_node(f, index, s.key, NULL);
			remove_one(f, index, RECORD_NODE, s.key);
			break;
		case FSM_REMOVE_SERVICE:
			remove_service(f, index, s.key);
			break;
		case FSM_IF_AT:
		case FSM_IF_LIVE:
		case FSM_STEP_VERBS:
			break;
		}
	}
}

/* In snapshots: the number of the last change, then the live records in the order of their numbers.
 * Tombstones are not: who is behind takes the whole. */

void
external_save(const struct fsm *f, void *to, void (*head)(void *to, struct str),
    void (*each)(void *to, struct str))
{
	const struct owner_range all = { .upto = UINT64_MAX };
	struct owner_record r;
	uint64_t cursor = 0;
	struct buf b;

	if (owner_digest(f->external).number == 0)
		return; /* never written */
	buf_init(&b, RECORD_KEY_MAX + RECORD_BODY_MAX + 64);
	fsm_add_varint(&b, owner_digest(f->external).number);
	head(to, buf_str(&b));
	while (owner_range_next(f->external, &all, &cursor, &r)) {
		if (r.gone)
			continue;
		buf_clear(&b);
		fsm_add_varint(&b, r.kind);
		fsm_add_varint(&b, r.number);
		add(&b, r.key);
		buf_add(&b, blob_str(r.body));
		each(to, buf_str(&b));
	}
	buf_done(&b);
}

static struct owner_range
whole(uint64_t number)
{
	return (struct owner_range){
		.epoch = EXTERNAL_EPOCH, .upto = number, .floor = number, .head = number
	};
}

bool
external_load_begin(struct fsm *f, struct reader *r)
{
	struct owner_range range = whole(rd_varint(r));

	if (!rd_ok(r) || range.upto == 0 || range.upto > fsm_index(f) || f->external_loading != 0)
		return false;
	f->external_loading = range.upto;
	return owner_range_begin(f->external, &range) == OWNER_RANGE_STAGE;
}

bool
external_load(struct fsm *f, struct reader *r)
{
	struct record record = { 0 };
	uint64_t kind = rd_varint(r);

	record.kind = (uint16_t)kind;
	record.number = rd_varint(r);
	record.key = fsm_read_text(r, RECORD_KEY_MAX);
	record.body = rd_str(r, rd_left(r));
	return rd_ok(r) && kind <= UINT16_MAX && record.number > 0 &&
	       record.number <= f->external_loading && record.body.n <= RECORD_BODY_MAX &&
	       owner_stage_add(f->external, &record, NULL) == 0;
}

void
external_load_end(struct fsm *f)
{
	struct owner_range range = whole(f->external_loading);

	if (f->external_loading == 0)
		return;
	owner_stage_swap(f->external, &range);
	while (owner_stage_change(f->external, NULL))
		;
	f->external_loading = 0;
}

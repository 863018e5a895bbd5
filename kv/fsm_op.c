/* kv/fsm_op.c -- operations as bytes. Reading checks every limit, for it is the log's guard. */
#include <stdlib.h>

#include "kv/fsm_priv.h"

#define WRITE_ROOM 64 /* of an operation's head, or of a key's fields, but for its texts */
#define HEAD_BYTES (2 + 8 + 16 + 8 + 8 + 8)

static void
add(struct buf *b, struct str s)
{
	fsm_add_varint(b, s.n);
	buf_add(b, s);
}

void
fsm_add_varint(struct buf *b, uint64_t v)
{
	uint8_t room[10];
	struct writer w = wr_of(room, sizeof room);

	wr_varint(&w, v);
	buf_add(b, wr_done(&w));
}

void
fsm_add_be64(struct buf *b, uint64_t v)
{
	uint8_t room[8];
	struct writer w = wr_of(room, sizeof room);

	wr_be64(&w, v);
	buf_add(b, wr_done(&w));
}

void
fsm_add_session(struct buf *b, const struct session_info *s)
{
	size_t n = session_write_len(s);
	char *p = buf_reserve(b, n);
	struct writer w = wr_of(p, p == NULL ? 0 : n);

	session_write(&w, s);
	if (p != NULL)
		buf_commit(b, w.pos);
}

void
fsm_op_init(struct fsm_op *op, enum fsm_command command)
{
	memset(op, 0, offsetof(struct fsm_op, kv[1]));
	op->command = command;
}

void
fsm_op_copy(struct fsm_op *to, const struct fsm_op *from)
{
	size_t more = from->kv_count < 2             ? 0
		      : from->kv_count > TXN_OPS_MAX ? TXN_OPS_MAX - 1
						     : from->kv_count - 1;

	memcpy(to, from, offsetof(struct fsm_op, kv[1]));
	memcpy(to->kv + 1, from->kv + 1, more * sizeof *to->kv);
}

static size_t
text_len(struct str s)
{
	return varint_len(s.n) + s.n;
}

static void
text_write(struct writer *w, struct str s)
{
	wr_varint(w, s.n);
	wr_bytes(w, s);
}

/* Room for what is written in one go; NULL when there is none, and then the writer has none. */
static struct writer
room(struct buf *b, size_t n)
{
	char *p = buf_reserve(b, n);

	return wr_of(p, p == NULL ? 0 : n);
}

static void
kv_write(struct buf *b, const struct kv_op *op)
{
	size_t n = 1 + text_len(op->key) + text_len(op->value) + varint_len(op->flags) +
		   varint_len(op->index) + text_len(op->session);
	struct writer w = room(b, n);

	wr_u8(&w, (uint8_t)op->verb);
	text_write(&w, op->key);
	text_write(&w, op->value);
	wr_varint(&w, op->flags);
	wr_varint(&w, op->index);
	text_write(&w, op->session);
	buf_commit(b, w.pos);
}

static void
head_write(struct buf *b, const struct fsm_op *op)
{
	struct writer w = room(b, HEAD_BYTES);

	wr_u8(&w, FSM_VERSION);
	wr_u8(&w, (uint8_t)op->command);
	wr_be64(&w, op->stamp);
	wr_bytes(&w, str_mem(op->agent.b, sizeof op->agent.b));
	wr_be64(&w, op->epoch.counter);
	wr_be64(&w, op->epoch.nonce);
	wr_be64(&w, op->request);
	buf_commit(b, w.pos);
}

static void
kvs_write(struct buf *b, const struct fsm_op *op)
{
	buf_addc(b, (char)op->kv_count);
	for (size_t i = 0; i < op->kv_count; i++)
		kv_write(b, &op->kv[i]);
}

struct str
fsm_read_text(struct reader *r, size_t max)
{
	uint64_t n = rd_varint(r);

	if (n > max)
		rd_fail(r);
	return rd_str(r, (size_t)n);
}

struct uuid
fsm_read_uuid(struct reader *r)
{
	struct uuid id = { { 0 } };
	const uint8_t *p = rd_take(r, sizeof id.b);

	if (p != NULL)
		memcpy(id.b, p, sizeof id.b);
	return id;
}

static void
kv_read(struct reader *r, struct kv_op *op, unsigned *unknown)
{
	uint8_t verb = rd_u8(r);

	if (verb >= KV_VERBS) {
		*unknown = verb;
		rd_fail(r);
	}
	op->verb = (enum kv_verb)(verb < KV_VERBS ? verb : 0);
	op->key = fsm_read_text(r, KEYS_KEY_MAX);
	op->value = fsm_read_text(r, KEYS_VALUE_MAX);
	op->flags = rd_varint(r);
	op->index = rd_varint(r);
	op->session = fsm_read_text(r, SESSION_TEXT_MAX);
}

static void
kvs_read(struct reader *r, struct fsm_op *op, unsigned *unknown)
{
	uint8_t n = rd_u8(r);

	if (n > TXN_OPS_MAX)
		rd_fail(r);
	for (op->kv_count = 0; op->kv_count < n && rd_ok(r); op->kv_count++)
		kv_read(r, &op->kv[op->kv_count], unknown);
}

static int
kv_fits(const struct kv_op *op, struct err *err)
{
	if (op->key.n > KEYS_KEY_MAX)
		return err_set(err, ERR_LIMIT, "the key has %zu bytes, at most %d are kept", op->key.n,
		    KEYS_KEY_MAX);
	if (op->value.n > KEYS_VALUE_MAX)
		return err_set(err, ERR_LIMIT, "the value has %zu bytes, at most %d are kept",
		    op->value.n, KEYS_VALUE_MAX);
	if (op->session.n > SESSION_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "the session id has %zu bytes", op->session.n);
	return 0;
}

static void
body_write(struct buf *b, const struct fsm_op *op)
{
	switch (op->command) {
	case FSM_KV:
		kv_write(b, &op->kv[0]);
		break;
	case FSM_TXN:
		kvs_write(b, op);
		break;
	case FSM_SESSION_CREATE:
		fsm_add_session(b, &op->session);
		break;
	case FSM_SESSION_END:
		buf_add(b, str_mem(op->session.id.b, sizeof op->session.id.b));
		buf_addc(b, (char)op->cause);
		break;
	case FSM_REAP:
		fsm_add_varint(b, op->reap_tombstones);
		fsm_add_varint(b, op->reap_delays);
		break;
	case FSM_RESTORE:
		fsm_add_be64(b, op->restore_id);
		fsm_add_varint(b, op->restore_at);
		fsm_add_varint(
		    b, op->restore_total == 0 ? op->snapshot.n : op->restore_total);
		add(b, op->snapshot);
		break;
	case FSM_AUTOPILOT:
		buf_addc(b, op->cas);
		fsm_add_varint(b, op->cas_index);
		autopilot_write(&op->autopilot, b);
		break;
	case FSM_EXTERNAL_TXN:
		kvs_write(b, op);
		add(b, op->steps);
		break;
	case FSM_EXTERNAL:
		add(b, op->steps);
		break;
	case FSM_QUERY:
		buf_addc(b, (char)op->query_verb);
		buf_add(b, str_mem(op->query_id.b, sizeof op->query_id.b));
		add(b, op->query);
		break;
	case FSM_COMMANDS:
		break;
	}
}

int
fsm_op_write(struct buf *b, const struct fsm_op *op, struct err *err)
{
	size_t at = b->n, n = WRITE_ROOM;
	struct fsm_op check;
	struct str own;
	int code = 0;

	if (op->kv_count > TXN_OPS_MAX)
		return err_set(err, ERR_LIMIT, "%zu operations, at most %d go together",
		    op->kv_count, TXN_OPS_MAX);
	for (size_t i = 0; i < (op->command == FSM_KV ? 1 : op->kv_count) && code == 0; i++) {
		code = kv_fits(&op->kv[i], err);
		n += WRITE_ROOM + op->kv[i].key.n + op->kv[i].value.n + op->kv[i].session.n;
	}
	if (code != 0)
		return code;
	if (n <= b->cap - b->n) /* it may need less, and fit */
		buf_reserve(b, n);
	head_write(b, op);
	body_write(b, op);
	if (b->full) {
		b->n = at;
		return err_set(err, ERR_MEMORY, "no room for the operation");
	}
	own = str_mem(b->p + at, b->n - at);
	if (own.n > FSM_RESTORE_MAX + 4096)
		code = err_set(err, ERR_LIMIT, "the operation is too large");
	else if (op->command == FSM_SESSION_CREATE && fsm_op_read(own, &check, err) != 0)
		code = err_set(err, ERR_LIMIT, "the session's texts or checks are over a limit");
	else if (op->command == FSM_AUTOPILOT && fsm_op_read(own, &check, err) != 0)
		code = err_set(err, ERR_LIMIT, "a time of the autopilot is out of range");
	else if (op->steps.n > 0 && fsm_op_read(own, &check, err) != 0)
		code = err_set(err, ERR_LIMIT, "too many records in one operation");
	else if (op->command == FSM_QUERY && op->query.n > QUERY_BODY_MAX)
		code = err_set(
		    err, ERR_LIMIT, "a query has at most %d bytes", QUERY_BODY_MAX);
	if (code != 0)
		b->n = at;
	return code;
}

static void
body_read(struct reader *r, struct fsm_op *op, unsigned *unknown)
{
	uint8_t n;

	switch (op->command) {
	case FSM_KV:
		op->kv_count = 1;
		kv_read(r, &op->kv[0], unknown);
		break;
	case FSM_TXN:
		kvs_read(r, op, unknown);
		break;
	case FSM_SESSION_CREATE:
		session_read(r, &op->session);
		break;
	case FSM_SESSION_END:
		op->session.id = fsm_read_uuid(r);
		n = rd_u8(r);
		op->cause = (enum fsm_cause)n;
		if (n >= FSM_CAUSES)
			*unknown = n;
		break;
	case FSM_REAP:
		op->reap_tombstones = rd_varint(r);
		op->reap_delays = rd_varint(r);
		break;
	case FSM_RESTORE:
		op->restore_id = rd_be64(r);
		op->restore_at = rd_varint(r);
		op->restore_total = rd_varint(r);
		op->snapshot = fsm_read_text(r, FSM_RESTORE_MAX);
		if (op->restore_total > FSM_RESTORE_MAX || op->restore_at > op->restore_total ||
		    op->snapshot.n > op->restore_total - op->restore_at)
			rd_fail(r);
		break;
	case FSM_AUTOPILOT:
		n = rd_u8(r);
		if (n > 1)
			rd_fail(r);
		op->cas = n == 1;
		op->cas_index = rd_varint(r);
		autopilot_read(r, &op->autopilot);
		break;
	case FSM_EXTERNAL_TXN:
		kvs_read(r, op, unknown);
		external_steps_read(r, &op->steps, unknown);
		break;
	case FSM_EXTERNAL:
		external_steps_read(r, &op->steps, unknown);
		break;
	case FSM_QUERY:
		n = rd_u8(r);
		op->query_verb = (enum fsm_query_verb)n;
		if (n >= FSM_QUERY_VERBS)
			*unknown = n;
		op->query_id = fsm_read_uuid(r);
		op->query = fsm_read_text(r, QUERY_BODY_MAX);
		break;
	case FSM_COMMANDS:
		break;
	}
}

static bool
command_known(uint8_t command)
{
	return (command >= FSM_KV && command <= FSM_EXTERNAL_TXN) || command == FSM_QUERY;
}

int
fsm_op_read(struct str bytes, struct fsm_op *op, struct err *err)
{
	struct reader r = rd_of(bytes);
	uint8_t version = rd_u8(&r), command = rd_u8(&r);
	unsigned unknown = UINT32_MAX;

	if (!rd_ok(&r))
		return err_set(err, ERR_INPUT, "an operation of %zu bytes is none", bytes.n);
	if (version != FSM_VERSION)
		return err_set(err, ERR_REFUSED,
		    "an operation of version %u, this program knows version %d", version, FSM_VERSION);
	if (!command_known(command))
		return err_set(err, ERR_REFUSED, "command %u is not known here", command);
	fsm_op_init(op, (enum fsm_command)command);
	op->stamp = rd_be64(&r);
	op->agent = fsm_read_uuid(&r);
	op->epoch.counter = rd_be64(&r);
	op->epoch.nonce = rd_be64(&r);
	op->request = rd_be64(&r);
	body_read(&r, op, &unknown);
	if (unknown != UINT32_MAX)
		return err_set(err, ERR_REFUSED, "command %u with the kind %u is not known here",
		    command, unknown);
	if (!rd_ok(&r) || rd_left(&r) > 0)
		return err_set(err, ERR_INPUT, "broken operation (command %u, %zu bytes)", command,
		    bytes.n);
	return 0;
}

enum fsm_command
fsm_op_command(struct str bytes)
{
	uint8_t command = bytes.n < 2 ? 0 : (uint8_t)bytes.p[1];

	return command_known(command) ? (enum fsm_command)command : FSM_COMMANDS;
}

/* The leader's judgement stands at a fixed place, so the bytes need not be written again. */
bool
fsm_stamp(const struct fsm *f, nsec now, char *bytes, size_t n)
{
	struct fsm_op *op = f->scratch;
	uint64_t stamp = fsm_index(f);
	struct writer w;

	if (fsm_op_read(str_mem(bytes, n), op, NULL) != 0)
		return false;
	for (size_t i = 0; i < op->kv_count; i++) {
		uint64_t one = op->kv[i].verb != KV_LOCK
		                   ? stamp
		                   : keys_delays_passed(f->keys, now, op->kv[i].key, stamp);

		stamp = one < stamp ? one : stamp;
	}
	w = wr_of(bytes + 2, 8);
	wr_be64(&w, stamp);
	return true;
}

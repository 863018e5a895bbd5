/* kv/fsm.c -- one operation in, one result out.
 *
 * Invariants: the state is a function of the operations applied and nothing else; an index given
 * is above every index given before, over restores and new logs too.
 */
#include "kv/fsm.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kv/fsm_priv.h"

#define RESULT_KEEP 4096 /* bytes of room for a result that are kept between operations */

struct fsm *
fsm_new(struct watches *watches)
{
	struct fsm *f = mem_new(struct fsm);

	f->watches = watches;
	f->sessions = sessions_new(watches);
	f->keys = keys_new(f->sessions, watches);
	f->queries = queries_new(watches);
	f->replies = replies_new();
	f->autopilot = autopilot_default;
	f->external = external_table_new();
	buf_init(&f->staged, FSM_RESTORE_MAX);
	f->scratch = mem_new(struct fsm_op);
	buf_init(&f->result, FSM_RESULT_MAX); /* the same on every server, whatever a caller's cap */
	return f;
}

void
fsm_free(struct fsm *f)
{
	if (f == NULL)
		return;
	keys_free(f->keys);
	sessions_free(f->sessions);
	queries_free(f->queries);
	replies_free(f->replies);
	owner_free(f->external);
	buf_done(&f->staged);
	buf_done(&f->result);
	free(f->scratch);
	free(f);
}

struct keys *
fsm_keys(struct fsm *f)
{
	return f->keys;
}

struct sessions *
fsm_sessions(struct fsm *f)
{
	return f->sessions;
}

struct queries *
fsm_queries(struct fsm *f)
{
	return f->queries;
}

const struct autopilot *
fsm_autopilot(const struct fsm *f)
{
	return &f->autopilot;
}

uint64_t
fsm_raft_index(const struct fsm *f)
{
	return f->raft;
}

uint64_t
fsm_index(const struct fsm *f)
{
	return f->base + f->raft;
}

uint64_t
fsm_restores(const struct fsm *f)
{
	return f->restores;
}

bool
fsm_used(const struct fsm *f)
{
	return f->used;
}

void
fsm_skip(struct fsm *f, uint64_t raft)
{
	if (raft > f->raft)
		f->raft = raft;
}

void
fsm_renumber(struct fsm *f, uint64_t raft)
{
	uint64_t given = fsm_index(f);

	f->restores++;
	f->raft = raft;
	if (f->base + raft < given)
		f->base = given - raft;
}

static void
kv_one(struct fsm *f, const struct fsm_op *op, struct buf *result)
{
	struct key_entry *e;
	enum kv_outcome why = keys_apply(f->keys, &op->kv[0], op->stamp, &e);

	switch (why) {
	case KV_DONE:
		buf_addc(result, FSM_TRUE);
		break;
	case KV_STALE:
	case KV_HELD:
	case KV_DELAYED:
	case KV_NOT_HELD:
		buf_addc(result, FSM_FALSE);
		break;
	case KV_ABSENT:
	case KV_PRESENT:
	case KV_INDEX_NOT:
	case KV_SESSION_NOT:
	case KV_SESSION_MISSING:
	case KV_SESSION_BAD:
	case KV_SESSION_UNKNOWN:
	case KV_VERB_UNKNOWN:
		buf_addc(result, FSM_ERROR);
		txn_what(result, &op->kv[0], why, e);
		break;
	}
	keys_commit(f->keys);
}

static void
txn(struct fsm *f, const struct fsm_op *op, struct buf *result)
{
	size_t at = result->n;

	buf_addc(result, FSM_RESULTS);
	if (txn_run(f->keys, op->kv, op->kv_count, op->stamp, result) && !result->full) {
		keys_commit(f->keys);
		return;
	}
	keys_rollback(f->keys);
	if (!result->full) {
		result->p[at] = FSM_ERRORS;
		return;
	}
	result->n = at;
	result->full = false;
	buf_addc(result, FSM_ERROR);
	buf_add(result, STR("the results of the transaction are too large"));
}

/* Refused before anything is done; true: the result says so. */
static bool
external_refused(struct fsm *f, const struct fsm_op *op, struct buf *result)
{
	if (!external_may(f, op->steps)) {
		buf_addc(result, FSM_FALSE);
		return true;
	}
	if (external_fits(f, op->steps))
		return false;
	buf_addc(result, FSM_ERROR);
	buf_add(result, STR("no more registrations of nodes that are no agents are kept"));
	return true;
}

static void
external(struct fsm *f, const struct fsm_op *op, uint64_t index, struct buf *result)
{
	size_t at = result->n;

	if (external_refused(f, op, result))
		return;
	if (op->command == FSM_EXTERNAL)
		buf_addc(result, FSM_TRUE);
	else
		txn(f, op, result);
	if (result->p[at] == FSM_TRUE || result->p[at] == FSM_RESULTS)
		external_do(f, index, op->steps);
}

static void
session_end(struct fsm *f, nsec now, const struct uuid *id, uint64_t index)
{
	struct session *s = session_find(f->sessions, id);

	if (s == NULL)
		return;
	keys_session_end(f->keys, now, s);
	keys_commit(f->keys);
	session_remove(f->sessions, index, s);
	queries_session_end(f->queries, index, id);
}

void
fsm_take(struct fsm *f, nsec now, struct fsm *from)
{
	struct fsm old = *f;

	f->keys = from->keys;
	f->sessions = from->sessions;
	f->queries = from->queries;
	f->replies = from->replies;
	f->autopilot = from->autopilot;
	f->external = from->external;
	f->staged = from->staged;
	f->staged_id = from->staged_id;
	f->staged_total = from->staged_total;
	f->staged_index = from->staged_index;
	f->raft = from->raft;
	f->base = from->base;
	f->restores = from->restores;
	f->used = true;
	from->keys = old.keys;
	from->sessions = old.sessions;
	from->queries = old.queries;
	from->replies = old.replies;
	from->external = old.external;
	from->staged = old.staged;
	keys_watches_set(f->keys, f->watches);
	sessions_watches_set(f->sessions, f->watches);
	queries_watches_set(f->queries, f->watches);
	if (sessions_leading(old.sessions))
		sessions_lead(f->sessions, now);
	for (enum watch_kind kind = WATCH_KEY; kind < WATCH_KINDS && f->watches != NULL; kind++)
		watch_touch_kind(f->watches, kind, fsm_index(f));
}

/* The state becomes the snapshot's, under indexes above all that either side has given. */
static int
restore(struct fsm *f, nsec now, uint64_t raft, struct str snapshot, struct err *err)
{
	struct fsm *fresh = fsm_new(NULL);
	struct fsm_load *load = fsm_load_new(now);
	uint64_t given = fsm_index(f), restores = f->restores, base = f->base;
	int code = 0;

	while (code == 0 && snapshot.n > 0) {
		size_t n = snapshot.n < 1 << 20 ? snapshot.n : 1 << 20;

		code = fsm_load_feed(load, str_head(snapshot, n), err);
		snapshot = str_skip(snapshot, n);
	}
	if (code == 0)
		code = fsm_load_finish(load, fresh, err);
	fsm_load_free(load);
	if (code == 0) {
		given = fsm_index(fresh) > given ? fsm_index(fresh) : given;
		fresh->raft = raft;
		fresh->base = base + raft > given ? base : given + 1 - raft;
		fresh->restores = (fresh->restores > restores ? fresh->restores : restores) + 1;
		keys_floors_set(fresh->keys,
		    (struct keys_floors){ fsm_index(fresh), fsm_index(fresh) });
		sessions_index_raise(fresh->sessions, fsm_index(fresh));
		queries_index_raise(fresh->queries, fsm_index(fresh));
		replies_clear(fresh->replies);
		owner_number_set(fresh->external, fsm_index(fresh));
		if (fresh->autopilot.modify != 0)
			fresh->autopilot.modify = fsm_index(fresh);
		fsm_take(f, now, fresh);
	}
	fsm_free(fresh);
	return code;
}

/* One part after the other, and with the last one the restore. Its bytes are in snapshots, for a
 * server that comes in between must be able to go on. */
static void
restore_part(struct fsm *f, nsec now, uint64_t raft, const struct fsm_op *op, struct buf *result)
{
	struct err err = { 0 };
	struct buf all;

	if (op->restore_at == 0) {
		buf_done(&f->staged);
		buf_init(&f->staged, FSM_RESTORE_MAX);
		f->staged_id = op->restore_id;
		f->staged_total = op->restore_total;
	}
	if (op->restore_id != f->staged_id || op->restore_at != f->staged.n ||
	    op->restore_total != f->staged_total) {
		buf_addc(result, FSM_FALSE);
		return;
	}
	buf_add(&f->staged, op->snapshot);
	f->staged_index = f->base + raft;
	if (f->staged.n < f->staged_total && !f->staged.full) {
		buf_addc(result, FSM_TRUE);
		return;
	}
	all = f->staged;
	buf_init(&f->staged, FSM_RESTORE_MAX);
	if (restore(f, now, raft, buf_str(&all), &err) == 0) {
		buf_addc(result, FSM_TRUE);
	} else {
		buf_addc(result, FSM_ERROR);
		buf_add(result, str_of(err.text));
	}
	buf_done(&all);
}

static void
staged_reap(struct fsm *f, uint64_t mark)
{
	if (f->staged.n > 0 && f->staged_index <= mark) {
		buf_done(&f->staged);
		buf_init(&f->staged, FSM_RESTORE_MAX);
	}
}

static bool
autopilot_set(struct fsm *f, const struct fsm_op *op, uint64_t index)
{
	uint64_t create = f->autopilot.create;

	if (op->cas && op->cas_index != f->autopilot.modify)
		return false;
	f->autopilot = op->autopilot;
	f->autopilot.create = create == 0 ? index : create;
	f->autopilot.modify = index;
	return true;
}

static void
command(struct fsm *f, nsec now, uint64_t raft, const struct fsm_op *op, struct buf *result)
{
	uint64_t index = f->base + raft;

	keys_begin(f->keys, index);
	switch (op->command) {
	case FSM_KV:
		kv_one(f, op, result);
		break;
	case FSM_TXN:
		txn(f, op, result);
		break;
	case FSM_SESSION_CREATE:
		if (session_add(f->sessions, now, index, &op->session)) {
			buf_addc(result, FSM_TRUE);
			break;
		}
		buf_addc(result, FSM_ERROR);
		buf_add(result, STR("the session id is taken"));
		break;
	case FSM_SESSION_END:
		session_end(f, now, &op->session.id, index);
		buf_addc(result, FSM_TRUE);
		break;
	case FSM_REAP:
		keys_reap(f->keys, op->reap_tombstones < index ? op->reap_tombstones : index - 1,
		    op->reap_delays);
		staged_reap(f, op->reap_tombstones);
		buf_addc(result, FSM_TRUE);
		break;
	case FSM_RESTORE:
		restore_part(f, now, raft, op, result);
		break;
	case FSM_AUTOPILOT:
		buf_addc(result, autopilot_set(f, op, index) ? FSM_TRUE : FSM_FALSE);
		break;
	case FSM_EXTERNAL:
	case FSM_EXTERNAL_TXN:
		external(f, op, index, result);
		break;
	case FSM_QUERY:
		fsm_query_apply(f, op, index, result);
		break;
	case FSM_COMMANDS:
		break;
	}
}

int
fsm_apply(struct fsm *f, nsec now, uint64_t raft, struct str bytes, struct buf *result,
    struct err *err)
{
	struct fsm_op *op = f->scratch;
	struct buf *own = &f->result;
	int code;

	if (raft <= f->raft)
		return err_set(err, ERR_STATE, "entry %" PRIu64 " comes after entry %" PRIu64, raft,
		    f->raft);
	code = fsm_op_read(bytes, op, err);
	if (code != 0)
		return code;
	buf_clear(own);
	if (!replies_repeat(f->replies, op, own)) {
		command(f, now, raft, op, own);
		replies_keep(f->replies, op, f->base + raft, buf_str(own));
	}
	f->raft = raft;
	f->used = true;
	buf_add(result, buf_str(own));
	if (own->room > RESULT_KEEP)
		buf_done(own);
	return 0;
}

bool
fsm_reap_wanted(struct fsm *f, nsec now, struct fsm_op *op)
{
	uint64_t mark = f->reap_mark, delays = keys_delays_over(f->keys, now, fsm_index(f));

	if (f->reap_at != 0 && now < f->reap_at)
		return false;
	f->reap_at = now + FSM_TOMBSTONE_LIFE;
	f->reap_mark = fsm_index(f);
	if (mark == 0 || (keys_tombstone_count(f->keys) == 0 && keys_closed_count(f->keys) == 0 &&
			     f->staged.n == 0))
		return false;
	fsm_op_init(op, FSM_REAP);
	op->reap_tombstones = mark;
	op->reap_delays = delays;
	return true;
}

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

struct fsm *
fsm_new(struct watches *watches)
{
	struct fsm *f = mem_new(struct fsm);

	f->watches = watches;
	f->sessions = sessions_new(watches);
	f->keys = keys_new(f->sessions, watches);
	f->replies = replies_new();
	return f;
}

void
fsm_free(struct fsm *f)
{
	if (f == NULL)
		return;
	keys_free(f->keys);
	sessions_free(f->sessions);
	replies_free(f->replies);
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

static void
session_end(struct fsm *f, nsec now, const struct uuid *id, uint64_t index)
{
	struct session *s = session_find(f->sessions, id);

	if (s == NULL)
		return;
	keys_session_end(f->keys, now, s);
	keys_commit(f->keys);
	session_remove(f->sessions, index, s);
}

void
fsm_take(struct fsm *f, nsec now, struct fsm *from)
{
	struct fsm old = *f;

	f->keys = from->keys;
	f->sessions = from->sessions;
	f->replies = from->replies;
	f->raft = from->raft;
	f->base = from->base;
	f->restores = from->restores;
	from->keys = old.keys;
	from->sessions = old.sessions;
	from->replies = old.replies;
	keys_watches_set(f->keys, f->watches);
	sessions_watches_set(f->sessions, f->watches);
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
		replies_clear(fresh->replies);
		fsm_take(f, now, fresh);
	}
	fsm_free(fresh);
	return code;
}

static void
command(struct fsm *f, nsec now, uint64_t raft, const struct fsm_op *op, struct buf *result)
{
	uint64_t index = f->base + raft;
	struct err err = { 0 };

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
		buf_addc(result, FSM_TRUE);
		break;
	case FSM_RESTORE:
		if (restore(f, now, raft, op->snapshot, &err) == 0) {
			buf_addc(result, FSM_TRUE);
			break;
		}
		buf_addc(result, FSM_ERROR);
		buf_add(result, str_of(err.text));
		break;
	}
}

int
fsm_apply(struct fsm *f, nsec now, uint64_t raft, struct str bytes, struct buf *result,
    struct err *err)
{
	struct fsm_op *op;
	struct buf own;
	int code;

	if (raft <= f->raft)
		return err_set(err, ERR_STATE, "entry %" PRIu64 " comes after entry %" PRIu64, raft,
		    f->raft);
	op = mem_alloc(sizeof *op);
	buf_init(&own, FSM_RESULT_MAX); /* the same on every server, whatever the caller's cap */
	code = fsm_op_read(bytes, op, err);
	if (code == 0) {
		if (!replies_repeat(f->replies, op, &own)) {
			command(f, now, raft, op, &own);
			replies_keep(f->replies, op, f->base + raft, buf_str(&own));
		}
		f->raft = raft;
		buf_add(result, buf_str(&own));
	}
	buf_done(&own);
	free(op);
	return code;
}

bool
fsm_reap_wanted(struct fsm *f, nsec now, struct fsm_op *op)
{
	uint64_t mark = f->reap_mark, delays = keys_delays_over(f->keys, now, fsm_index(f));

	if (f->reap_at != 0 && now < f->reap_at)
		return false;
	f->reap_at = now + FSM_TOMBSTONE_LIFE;
	f->reap_mark = fsm_index(f);
	if (mark == 0 || (keys_tombstone_count(f->keys) == 0 && keys_closed_count(f->keys) == 0))
		return false;
	memset(op, 0, sizeof *op);
	op->command = FSM_REAP;
	op->reap_tombstones = mark;
	op->reap_delays = delays;
	return true;
}

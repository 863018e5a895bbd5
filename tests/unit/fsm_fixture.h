/* tests/unit/fsm_fixture.h -- a state machine fed by hand: one call, one entry of the log. */
#ifndef TESTS_UNIT_FSM_FIXTURE_H
#define TESTS_UNIT_FSM_FIXTURE_H

#include <stdlib.h>

#include "base/mem.h"
#include "kv/fsm.h"
#include "tests/unit/test.h"

#define S1 "11111111-1111-4111-8111-111111111111"
#define S2 "22222222-2222-4222-8222-222222222222"
#define FSM_RUN_MAX ((size_t)256 * 1024 * 1024)

struct run {
	struct watches *watches;
	struct fsm *fsm;
	struct keys *keys; /* of fsm; refreshed by run_op() */
	struct buf result;
	uint64_t raft;
	nsec now;
};

static inline void
run_init(struct run *r)
{
	*r = (struct run){ .watches = watches_new() };
	r->fsm = fsm_new(r->watches);
	r->keys = fsm_keys(r->fsm);
	buf_init(&r->result, FSM_RUN_MAX);
}

static inline void
run_done(struct run *r)
{
	fsm_free(r->fsm);
	watches_free(r->watches);
	buf_done(&r->result);
}

/* Gives the status; the rest of the result stays in r->result. As a leader would. */
static inline int
run_op(struct run *r, const struct fsm_op *op)
{
	struct buf b;
	struct err err = { 0 };

	buf_init(&b, FSM_RUN_MAX);
	buf_clear(&r->result);
	assert_int_equal(fsm_op_write(&b, op, &err), 0);
	assert_true(fsm_stamp(r->fsm, r->now, b.p, b.n));
	assert_int_equal(
	    fsm_apply(r->fsm, r->now, ++r->raft, buf_str(&b), &r->result, &err), 0);
	buf_done(&b);
	r->keys = fsm_keys(r->fsm);
	assert_true(r->result.n > 0);
	return r->result.p[0];
}

static inline int
run_kv(struct run *r, struct kv_op kv)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	int status;

	op->command = FSM_KV;
	op->kv[0] = kv;
	op->kv_count = 1;
	status = run_op(r, op);
	free(op);
	return status;
}

static inline int
run_put(struct run *r, const char *key, const char *value)
{
	return run_kv(r, (struct kv_op){ KV_SET, str_of(key), str_of(value), 0, 0, STR_NONE });
}

static inline int
run_lock(struct run *r, enum kv_verb verb, const char *key, const char *session)
{
	return run_kv(r, (struct kv_op){ verb, str_of(key), STR("v"), 0, 0, str_of(session) });
}

static inline int
run_delete(struct run *r, const char *key)
{
	return run_kv(r, (struct kv_op){ KV_DELETE, str_of(key), STR_NONE, 0, 0, STR_NONE });
}

static inline int
run_session(struct run *r, const char *id, nsec ttl, nsec delay, enum session_behavior behavior)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	int status;

	op->command = FSM_SESSION_CREATE;
	assert_true(uuid_parse(str_of(id), &op->session.id));
	op->session.name = STR("name");
	op->session.node = STR("n1");
	op->session.ttl = ttl;
	op->session.ttl_text = ttl == 0 ? STR_NONE : STR("10.0s");
	op->session.lock_delay = delay;
	op->session.behavior = behavior;
	op->session.node_checks = (struct session_checks){ false, 1, STR("\012serfHealth") };
	op->session.service_checks.null = true;
	status = run_op(r, op);
	free(op);
	return status;
}

static inline int
run_end(struct run *r, const char *id)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	int status;

	op->command = FSM_SESSION_END;
	assert_true(uuid_parse(str_of(id), &op->session.id));
	status = run_op(r, op);
	free(op);
	return status;
}

static inline struct key_entry *
run_key(struct run *r, const char *key)
{
	return key_find(r->keys, str_of(key));
}

/* The whole state as bytes; equal states give equal bytes. */
static inline void
run_snapshot(struct run *r, size_t want, struct buf *out)
{
	struct fsm_snapshot *s = fsm_snapshot_new(r->fsm);

	while (fsm_snapshot_next(s, want, out))
		;
	fsm_snapshot_free(s);
	assert_false(out->full);
}

static inline int
run_load(struct run *r, struct str bytes, size_t piece)
{
	struct fsm_load *l = fsm_load_new(r->now);
	struct err err = { 0 };
	int code = 0;

	while (code == 0 && bytes.n > 0) {
		size_t n = piece < bytes.n ? piece : bytes.n;

		code = fsm_load_feed(l, str_head(bytes, n), &err);
		bytes = str_skip(bytes, n);
	}
	if (code == 0)
		code = fsm_load_finish(l, r->fsm, &err);
	fsm_load_free(l);
	r->keys = fsm_keys(r->fsm);
	return code;
}

#endif

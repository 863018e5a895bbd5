/* The state machine: operations as bytes, repeats, snapshots, restore, what is refused. */
#include "tests/unit/fsm_fixture.h"

static void
op_bytes(struct buf *b, const struct fsm_op *op)
{
	buf_clear(b);
	assert_int_equal(fsm_op_write(b, op, NULL), 0);
}

static int
apply(struct run *r, struct str bytes)
{
	struct err err;
	int code;

	buf_clear(&r->result);
	code = fsm_apply(r->fsm, r->now, r->raft + 1, bytes, &r->result, &err);
	if (code == 0)
		r->raft++;
	return code;
}

static void
every_truncation_is_refused(void **unused)
{
	static const enum fsm_command commands[] = { FSM_KV, FSM_TXN, FSM_SESSION_CREATE,
		FSM_SESSION_END, FSM_REAP, FSM_RESTORE, FSM_QUERY };
	struct fsm_op *op = mem_new(struct fsm_op), *back = mem_new(struct fsm_op);
	struct run r;
	struct buf b, again;

	(void)unused;
	run_init(&r);
	buf_init(&b, 4096);
	buf_init(&again, 4096);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		op->command = commands[i];
		op->kv_count = commands[i] == FSM_TXN ? 2 : 1;
		op->kv[0] =
		    (struct kv_op){ KV_LOCK, STR("key"), STR("value"), UINT64_MAX, 300, STR(S1) };
		op->kv[1] = op->kv[0];
		op->session.name = STR("n");
		op->session.ttl = SESSION_TTL_MIN;
		op->session.node_checks = (struct session_checks){ false, 1, STR("\001x") };
		op->reap_delays = 4711;
		op->snapshot = STR("abc");
		op->query_verb = FSM_QUERY_UPDATE;
		op->query = STR("no definition");
		op_bytes(&b, op);
		assert_int_equal(fsm_op_read(buf_str(&b), back, NULL), 0);
		op_bytes(&again, back);
		assert_true(str_eq(buf_str(&again), buf_str(&b)));
		for (size_t n = 0; n < b.n; n++) {
			char *cut = malloc(n + 1); /* so that a sanitizer sees its end */

			memcpy(cut, b.p, n);
			assert_int_equal(apply(&r, str_mem(cut, n)), ERR_INPUT);
			free(cut);
		}
		buf_addc(&b, 0);
		assert_int_equal(apply(&r, buf_str(&b)), ERR_INPUT);
	}
	assert_true(fsm_index(r.fsm) == 0);
	buf_done(&b);
	buf_done(&again);
	free(op);
	free(back);
	run_done(&r);
}

static void
the_unknown_stops_with_its_number(void **unused)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	struct run r;
	struct buf b, result;
	struct err err;

	(void)unused;
	run_init(&r);
	buf_init(&b, 4096);
	buf_init(&result, 4096);
	op->command = FSM_KV;
	op->kv[0].verb = KV_SET;
	op_bytes(&b, op);
	b.p[1] = 77;
	assert_int_equal(fsm_apply(r.fsm, 0, 1, buf_str(&b), &result, &err), ERR_REFUSED);
	assert_non_null(strstr(err.text, "77"));
	b.p[0] = 9;
	assert_int_equal(fsm_apply(r.fsm, 0, 1, buf_str(&b), &result, &err), ERR_REFUSED);
	assert_non_null(strstr(err.text, "version 9"));
	op_bytes(&b, op);
	b.p[50] = 99; /* the verb */
	assert_int_equal(fsm_apply(r.fsm, 0, 1, buf_str(&b), &result, &err), ERR_REFUSED);
	assert_non_null(strstr(err.text, "99"));
	op_bytes(&b, op);
	assert_int_equal(fsm_apply(r.fsm, 0, 1, buf_str(&b), &result, &err), 0);
	assert_int_equal(fsm_apply(r.fsm, 0, 1, buf_str(&b), &result, &err), ERR_STATE);
	buf_done(&b);
	buf_done(&result);
	free(op);
	run_done(&r);
}

static int
request(struct run *r, uint64_t counter, uint64_t number, const char *value)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	int status;

	op->command = FSM_KV;
	op->agent.b[0] = 7;
	op->epoch = (struct epoch){ counter, counter };
	op->request = number;
	op->kv[0] = (struct kv_op){ KV_CAS, str_of(value), str_of(value), 0, 0, STR_NONE };
	status = run_op(r, op);
	free(op);
	return status;
}

static void
a_repeat_is_answered_from_memory(void **unused)
{
	struct run r;
	char key[16];

	(void)unused;
	run_init(&r);
	assert_int_equal(request(&r, 1, 2, "b"), FSM_TRUE);
	assert_int_equal(request(&r, 1, 1, "a"), FSM_TRUE); /* out of order, but within */
	assert_int_equal(request(&r, 1, 2, "b"), FSM_TRUE); /* done again it would be false */
	assert_int_equal(request(&r, 1, 3, "b"), FSM_FALSE);
	assert_int_equal(request(&r, 2, 1, "c"), FSM_TRUE); /* a new epoch counts anew */
	assert_int_equal(request(&r, 1, 9, "d"), FSM_PAST);
	assert_null(run_key(&r, "d"));
	for (unsigned i = 2; i <= FSM_WINDOW + 1; i++) {
		snprintf(key, sizeof key, "k%u", i);
		assert_int_equal(request(&r, 2, i, key), FSM_TRUE);
	}
	assert_int_equal(request(&r, 2, 1, "c"), FSM_PAST);
	assert_int_equal(request(&r, 2, 2, "k2"), FSM_TRUE);
	run_done(&r);
}

static void
fill(struct run *r)
{
	run_session(r, S1, SESSION_TTL_MIN, 5 * NSEC_SEC, SESSION_RELEASE);
	run_session(r, S2, 0, 0, SESSION_DELETE);
	run_put(r, "gone", "");
	run_put(r, "", "the empty key");
	run_lock(r, KV_LOCK, "l", S1);
	run_lock(r, KV_LOCK, "m", S1);
	run_end(r, S1);
	run_lock(r, KV_LOCK, "n", S2);
	run_delete(r, "gone");
	request(r, 3, 1, "x");
	request(r, 3, 2, "x");
}

static void
a_snapshot_gives_the_same_state_back(void **unused)
{
	struct run a, b;
	struct buf first, second;

	(void)unused;
	run_init(&a);
	run_init(&b);
	buf_init(&first, FSM_RUN_MAX);
	buf_init(&second, FSM_RUN_MAX);
	fill(&a);
	run_snapshot(&a, 1, &first);
	for (size_t n = 0; n < first.n; n++) /* cut anywhere: refused, nothing changes */
		assert_int_equal(run_load(&b, str_head(buf_str(&first), n), 64), ERR_INPUT);
	for (size_t n = 0; n < first.n; n++) { /* one bit wrong anywhere: refused */
		first.p[n] ^= 4;
		assert_int_equal(run_load(&b, buf_str(&first), 1 << 20), ERR_INPUT);
		first.p[n] ^= 4;
	}
	assert_int_equal(keys_count(b.keys), 0);
	assert_int_equal(run_load(&b, buf_str(&first), 3), 0);
	run_snapshot(&b, 1 << 20, &second);
	assert_true(str_eq(buf_str(&first), buf_str(&second)));
	assert_true(fsm_index(b.fsm) == fsm_index(a.fsm));
	b.raft = fsm_raft_index(b.fsm);
	assert_int_equal(request(&b, 3, 1, "x"), FSM_TRUE);          /* results are in snapshots */
	assert_int_equal(run_lock(&b, KV_LOCK, "m", S2), FSM_FALSE); /* and lock delays */
	run_end(&b, S2);
	assert_null(run_key(&b, "n"));
	buf_done(&first);
	buf_done(&second);
	run_done(&a);
	run_done(&b);
}

static void
writes_do_not_disturb_a_snapshot_under_way(void **unused)
{
	struct run a;
	struct buf first, second;
	struct fsm_snapshot *s;

	(void)unused;
	run_init(&a);
	buf_init(&first, FSM_RUN_MAX);
	buf_init(&second, FSM_RUN_MAX);
	fill(&a);
	run_snapshot(&a, 1, &first);
	s = fsm_snapshot_new(a.fsm);
	for (unsigned i = 0; fsm_snapshot_next(s, 1, &second); i++)
		run_put(&a, i % 2 == 0 ? "l" : "x", i % 3 == 0 ? "1" : "2");
	assert_true(str_eq(buf_str(&first), buf_str(&second)));
	for (unsigned stop = 0; stop < 3; stop++) { /* again, from wherever it is */
		fsm_snapshot_rewind(s);
		buf_clear(&second);
		for (unsigned i = 0; fsm_snapshot_next(s, 1, &second) && (stop == 2 || i <= stop);
		     i++)
			;
	}
	fsm_snapshot_free(s);
	assert_true(str_eq(buf_str(&first), buf_str(&second)));
	fsm_snapshot_free(fsm_snapshot_new(a.fsm)); /* given up at once */
	buf_done(&first);
	buf_done(&second);
	run_done(&a);
}

static void
a_restore_goes_on_above_all_indexes(void **unused)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	struct run a, b;
	struct buf bytes;
	struct waiter w = { 0 };
	struct watch_key key = { WATCH_KEY, STR("x") };
	uint64_t before;

	(void)unused;
	run_init(&a);
	run_init(&b);
	buf_init(&bytes, FSM_RUN_MAX);
	fill(&a);
	run_snapshot(&a, 64, &bytes);
	request(&b, 3, 1, "y");
	watch_wait(b.watches, &w, &key, 1);
	before = key_index(b.keys, STR("x"));
	sessions_lead(fsm_sessions(b.fsm), 0);
	op->command = FSM_RESTORE;
	op->snapshot = buf_str(&bytes);
	assert_int_equal(run_op(&b, op), FSM_TRUE);
	assert_ptr_equal(watch_ready_next(b.watches), &w);
	assert_true(fsm_index(b.fsm) > fsm_index(a.fsm));
	assert_true(fsm_restores(b.fsm) == 1);
	assert_true(key_index(b.keys, STR("x")) > before);
	assert_null(run_key(&b, "y"));
	assert_int_equal(request(&b, 3, 1, "z"), FSM_TRUE); /* forwarding results are cleared */
	assert_true(run_key(&b, "z")->modify == fsm_index(b.fsm));
	op->snapshot = STR("no snapshot");
	assert_int_equal(run_op(&b, op), FSM_ERROR);
	before = fsm_index(b.fsm);
	fsm_renumber(b.fsm, 0);
	assert_true(fsm_index(b.fsm) == before && fsm_raft_index(b.fsm) == 0);
	free(op);
	buf_done(&bytes);
	run_done(&a);
	run_done(&b);
}

static int
restore_part(struct run *r, uint64_t id, struct str all, size_t at, size_t n)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	int status;

	op->command = FSM_RESTORE;
	op->restore_id = id;
	op->restore_at = at;
	op->restore_total = all.n;
	op->snapshot = str_head(str_skip(all, at), n);
	status = run_op(r, op);
	free(op);
	return status;
}

static void
a_restore_in_parts_is_done_by_the_last(void **unused)
{
	struct run a, b, c;
	struct buf bytes, between;
	struct fsm_load *load = fsm_load_new(0);
	size_t half;

	(void)unused;
	run_init(&a);
	run_init(&b);
	run_init(&c);
	buf_init(&bytes, FSM_RUN_MAX);
	buf_init(&between, FSM_RUN_MAX);
	fill(&a);
	run_snapshot(&a, 64, &bytes);
	half = bytes.n / 2;
	run_put(&b, "old", "1");
	assert_int_equal(restore_part(&b, 7, buf_str(&bytes), half, 10), FSM_FALSE); /* no first */
	assert_int_equal(restore_part(&b, 7, buf_str(&bytes), 0, half), FSM_TRUE);
	assert_int_equal(restore_part(&b, 8, buf_str(&bytes), half, 10), FSM_FALSE); /* not its own */
	assert_int_equal(restore_part(&b, 7, buf_str(&bytes), half + 1, 10), FSM_FALSE); /* a gap */
	assert_non_null(run_key(&b, "old"));
	/* a server that is sent a snapshot now goes on as the others do */
	run_snapshot(&b, 64, &between);
	assert_int_equal(fsm_load_feed(load, buf_str(&between), NULL), 0);
	assert_int_equal(fsm_load_finish(load, c.fsm, NULL), 0);
	c.raft = b.raft;
	assert_int_equal(restore_part(&b, 7, buf_str(&bytes), half, bytes.n - half), FSM_TRUE);
	assert_int_equal(restore_part(&c, 7, buf_str(&bytes), half, bytes.n - half), FSM_TRUE);
	assert_null(run_key(&b, "old"));
	assert_non_null(run_key(&b, "x"));
	buf_clear(&bytes);
	buf_clear(&between);
	run_snapshot(&b, 64, &bytes);
	run_snapshot(&c, 64, &between);
	assert_true(str_eq(buf_str(&bytes), buf_str(&between)));
	fsm_load_free(load);
	buf_done(&between);
	buf_done(&bytes);
	run_done(&a);
	run_done(&b);
	run_done(&c);
}

static void
a_restore_that_is_given_up_is_dropped(void **unused)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	struct str all = STR("twenty bytes, or so..");
	struct run r;

	(void)unused;
	run_init(&r);
	assert_int_equal(restore_part(&r, 9, all, 0, 10), FSM_TRUE);
	assert_false(fsm_reap_wanted(r.fsm, r.now, op));
	r.now += FSM_TOMBSTONE_LIFE;
	assert_true(fsm_reap_wanted(r.fsm, r.now, op));
	assert_int_equal(run_op(&r, op), FSM_TRUE);
	assert_int_equal(restore_part(&r, 9, all, 10, 5), FSM_FALSE);
	free(op);
	run_done(&r);
}

static void
the_leader_reaps_what_is_old(void **unused)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	struct run r;

	(void)unused;
	run_init(&r);
	fill(&r);
	assert_false(fsm_reap_wanted(r.fsm, r.now, op));
	r.now += FSM_TOMBSTONE_LIFE;
	run_delete(&r, "x");
	assert_true(fsm_reap_wanted(r.fsm, r.now, op));
	assert_int_equal(run_op(&r, op), FSM_TRUE);
	assert_int_equal(keys_tombstone_count(r.keys), 1); /* x: younger than that */
	assert_int_equal(keys_closed_count(r.keys), 0);
	free(op);
	run_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(the_unknown_stops_with_its_number),
		cmocka_unit_test(a_repeat_is_answered_from_memory),
		cmocka_unit_test(a_snapshot_gives_the_same_state_back),
		cmocka_unit_test(writes_do_not_disturb_a_snapshot_under_way),
		cmocka_unit_test(a_restore_goes_on_above_all_indexes),
		cmocka_unit_test(a_restore_in_parts_is_done_by_the_last),
		cmocka_unit_test(a_restore_that_is_given_up_is_dropped),
		cmocka_unit_test(the_leader_reaps_what_is_old),
	};

	return cmocka_run_group_tests_name("fsm", tests, NULL, NULL);
}

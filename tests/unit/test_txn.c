/* Transactions: all or nothing, with Consul's words. */
#include "tests/unit/fsm_fixture.h"

#define KV(verb, key, value, index, session) \
	((struct kv_op){ verb, STR(key), STR(value), 0, index, STR(session) })

/* Runs them; gives the status and puts each result or error on a line of `out`. */
static int
run_txn(struct run *r, const struct kv_op *ops, size_t count, char *out, size_t room)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	struct reader in;
	struct txn_entry e;
	struct txn_error error;
	size_t n = 0;
	uint32_t left;
	int status;

	op->command = FSM_TXN;
	memcpy(op->kv, ops, count * sizeof *ops);
	op->kv_count = count;
	status = run_op(r, op);
	free(op);
	in = rd_of(str_skip(buf_str(&r->result), 1));
	out[0] = '\0';
	for (left = rd_be32(&in); left > 0; left--) {
		if (status == FSM_RESULTS) {
			assert_true(txn_entry_read(&in, &e));
			n += (size_t)snprintf(out + n, room - n, STR_FMT "=" STR_FMT " %d\n",
			    STR_ARG(e.key), STR_ARG(e.has_value ? e.value : STR("null")),
			    (int)e.lock_index);
		} else {
			assert_true(txn_error_read(&in, &error));
			n += (size_t)snprintf(out + n, room - n, "%u: " STR_FMT "\n", error.op_index,
			    STR_ARG(error.what));
		}
	}
	assert_true(rd_ok(&in) && rd_left(&in) == 0);
	return status;
}

static void
results_have_values_only_where_read(void **unused)
{
	struct run r;
	char out[1024];
	const struct kv_op ops[] = { KV(KV_SET, "a", "1", 0, ""), KV(KV_NONE, "", "", 0, ""),
		KV(KV_CAS, "t/b", "2", 0, ""), KV(KV_GET, "a", "", 0, ""),
		KV(KV_GET_TREE, "t/", "", 0, ""), KV(KV_LOCK, "l", "", 0, S1),
		KV(KV_CHECK_SESSION, "l", "", 0, S1), KV(KV_UNLOCK, "l", "", 0, S1),
		KV(KV_CHECK_NOT_EXISTS, "no", "", 0, ""), KV(KV_DELETE, "a", "", 0, ""),
		KV(KV_CHECK_INDEX, "l", "", 2, ""), KV(KV_DELETE_TREE, "t", "", 0, "") };

	(void)unused;
	run_init(&r);
	run_session(&r, S1, 0, 0, SESSION_RELEASE);
	assert_int_equal(run_txn(&r, ops, sizeof ops / sizeof *ops, out, sizeof out), FSM_RESULTS);
	assert_string_equal(out,
	    "a=null 0\nt/b=null 0\na=1 0\nt/b=2 0\nl=null 1\nl=null 1\nl=null 1\nl=null 1\n");
	assert_int_equal(keys_count(r.keys), 1);
	assert_int_equal(run_txn(&r, ops, 0, out, sizeof out), FSM_RESULTS);
	run_done(&r);
}

static void
every_error_is_told_and_nothing_is_done(void **unused)
{
	struct run r;
	char out[4096];
	struct buf before, after;
	struct waiter w = { 0 };
	struct watch_key all = { WATCH_KEY_PREFIX, STR("") };
	const struct kv_op ops[] = { KV(KV_SET, "a", "1", 0, ""), KV(KV_SET, "b", "1", 0, ""),
		KV(KV_CHECK_INDEX, "a", "", 1, ""), KV(KV_CHECK_NOT_EXISTS, "b", "", 0, ""),
		KV(KV_GET, "n\"o\001\xff\xc3\xa9", "", 0, ""), KV(KV_CAS, "a", "", 1, ""),
		KV(KV_DELETE_CAS, "a", "", 1, ""), KV(KV_LOCK, "l", "", 0, S2),
		KV(KV_UNLOCK, "a", "", 0, S2), KV(KV_CHECK_SESSION, "l", "", 0, S2),
		KV(KV_CHECK_SESSION, "no", "", 0, S2), KV(KV_CHECK_INDEX, "no", "", 1, ""),
		KV(KV_UNKNOWN, "a", "explode", 0, ""), KV(KV_LOCK, "a", "", 0, "nope"),
		KV(KV_DELETE_TREE, "", "", 0, ""), KV(KV_LOCK, "d", "", 0, S2) };

	(void)unused;
	run_init(&r);
	run_put(&r, "a", "0");
	run_session(&r, S1, 0, 0, SESSION_RELEASE);
	run_lock(&r, KV_LOCK, "l", S1);
	run_end(&r, S1);
	run_session(&r, S1, 0, NSEC_SEC, SESSION_DELETE);
	run_lock(&r, KV_LOCK, "d", S1);
	run_end(&r, S1);
	run_session(&r, S1, 0, NSEC_SEC, SESSION_RELEASE);
	run_session(&r, S2, 0, 0, SESSION_RELEASE);
	run_lock(&r, KV_LOCK, "l", S1);
	buf_init(&before, FSM_RUN_MAX);
	buf_init(&after, FSM_RUN_MAX);
	run_snapshot(&r, 4096, &before);
	watch_wait(r.watches, &w, &all, 1);
	assert_int_equal(run_txn(&r, ops, sizeof ops / sizeof *ops, out, sizeof out), FSM_ERRORS);
	assert_string_equal(out,
	    "2: failed index check for key \"a\", current modify index 11 != 1\n"
	    "3: key \"b\" exists\n"
	    "4: key \"n\\\"o\\x01\\xff\xc3\xa9\" doesn't exist\n"
	    "5: failed to set key \"a\", index is stale\n"
	    "6: failed to delete key \"a\", index is stale\n"
	    "7: failed to lock key \"l\", lock is already held\n"
	    "8: failed to unlock key \"a\", lock isn't held, or is held by another session\n"
	    "9: failed session check for key \"l\", current session \"" S1 "\" != \"" S2 "\"\n"
	    "10: failed to check session, key \"no\" doesn't exist\n"
	    "11: failed to check index, key \"no\" doesn't exist\n"
	    "12: unknown KV verb \"explode\"\n"
	    "13: failed session lookup: index error: UUID must be 36 characters\n"
	    "15: failed to lock key \"d\" due to lock delay\n");
	assert_null(watch_ready_next(r.watches));
	watch_cancel(r.watches, &w);
	run_snapshot(&r, 4096, &after);
	assert_int_equal(before.n, after.n);
	assert_memory_equal(before.p + 9, after.p + 9, before.n - 9 - 16); /* but for its index */
	run_end(&r, S1); /* the lists of the sessions were put back too */
	assert_false(run_key(&r, "l")->held);
	buf_done(&before);
	buf_done(&after);
	run_done(&r);
}

static void
verbs_are_case_sensitive(void **unused)
{
	(void)unused;
	assert_int_equal(txn_verb(STR("delete-cas")), KV_DELETE_CAS);
	assert_int_equal(txn_verb(STR("Set")), KV_UNKNOWN);
	assert_int_equal(txn_verb(STR("get-or-empty")), KV_UNKNOWN);
	assert_true(txn_verb_reads(KV_GET) && txn_verb_reads(KV_UNKNOWN));
	assert_false(txn_verb_reads(KV_LOCK));
}

static void
more_than_64_are_refused(void **unused)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	struct buf b;

	(void)unused;
	buf_init(&b, 4096);
	op->command = FSM_TXN;
	op->kv_count = TXN_OPS_MAX + 1;
	assert_int_equal(fsm_op_write(&b, op, NULL), ERR_LIMIT);
	op->kv_count = TXN_OPS_MAX;
	assert_int_equal(fsm_op_write(&b, op, NULL), 0);
	buf_done(&b);
	free(op);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_have_values_only_where_read),
		cmocka_unit_test(every_error_is_told_and_nothing_is_done),
		cmocka_unit_test(verbs_are_case_sensitive),
		cmocka_unit_test(more_than_64_are_refused),
	};

	return cmocka_run_group_tests_name("txn", tests, NULL, NULL);
}

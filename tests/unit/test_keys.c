/* The key tree: what Consul's recorded answers say about indexes, locks and deletions. */
#include "tests/unit/fsm_fixture.h"

static void
writes_move_what_changes(void **unused)
{
	struct run r;
	struct key_entry *e;

	(void)unused;
	run_init(&r);
	assert_true(key_index(r.keys, STR("a")) == 1); /* never 0: clients would spin */
	assert_int_equal(run_put(&r, "a", "1"), FSM_TRUE);
	assert_int_equal(run_put(&r, "a", "1"), FSM_TRUE); /* the same moves nothing */
	assert_true(run_key(&r, "a")->modify == 1);
	run_kv(&r, (struct kv_op){ KV_SET, STR("a"), STR("1"), UINT64_MAX, 0, STR_NONE });
	e = run_key(&r, "a");
	assert_true(e->create == 1 && e->modify == 3 && e->flags == UINT64_MAX);
	run_put(&r, "a", "");
	assert_true(run_key(&r, "a")->flags == 0); /* a plain write resets flags */
	assert_true(key_index(r.keys, STR("a")) == 4);
	run_delete(&r, "a");
	run_put(&r, "a", "x");
	assert_true(run_key(&r, "a")->create == 6);
	run_done(&r);
}

static void
cas_needs_the_index(void **unused)
{
	struct run r;
	struct kv_op cas = { KV_CAS, STR("c"), STR("1"), 0, 0, STR_NONE };
	struct kv_op gone = { KV_DELETE_CAS, STR("c"), STR_NONE, 0, 7, STR_NONE };

	(void)unused;
	run_init(&r);
	assert_int_equal(run_kv(&r, gone), FSM_TRUE); /* not there: true */
	assert_int_equal(run_kv(&r, cas), FSM_TRUE);
	assert_int_equal(run_kv(&r, cas), FSM_FALSE); /* 0: only when it is not there */
	cas.index = 1;
	assert_int_equal(run_kv(&r, cas), FSM_FALSE);
	cas.index = 2;
	cas.value = STR("2");
	assert_int_equal(run_kv(&r, cas), FSM_TRUE);
	assert_int_equal(run_kv(&r, gone), FSM_FALSE);
	gone.index = run_key(&r, "c")->modify;
	assert_int_equal(run_kv(&r, gone), FSM_TRUE);
	assert_null(run_key(&r, "c"));
	cas.index = 9; /* of a key that is not there */
	assert_int_equal(run_kv(&r, cas), FSM_FALSE);
	run_done(&r);
}

static void
locks_have_one_holder(void **unused)
{
	struct run r;
	struct key_entry *e;

	(void)unused;
	run_init(&r);
	run_session(&r, S1, 0, 0, SESSION_RELEASE);
	run_session(&r, S2, 0, 15 * NSEC_SEC, SESSION_RELEASE);
	assert_int_equal(run_lock(&r, KV_UNLOCK, "l", S1), FSM_FALSE); /* not there */
	assert_int_equal(run_lock(&r, KV_LOCK, "l", S1), FSM_TRUE);
	assert_int_equal(run_lock(&r, KV_LOCK, "l", S1), FSM_TRUE);
	assert_true(run_key(&r, "l")->lock_index == 1);
	assert_int_equal(run_lock(&r, KV_LOCK, "l", S2), FSM_FALSE);
	assert_int_equal(run_lock(&r, KV_UNLOCK, "l", S2), FSM_FALSE);
	run_put(&r, "l", "2"); /* an ordinary write: LockIndex 0, Session stays */
	e = run_key(&r, "l");
	assert_true(e->lock_index == 0 && e->held);
	assert_int_equal(run_lock(&r, KV_UNLOCK, "l", S1), FSM_TRUE);
	assert_int_equal(run_lock(&r, KV_LOCK, "l", S2), FSM_TRUE); /* no delay after a release */
	assert_true(run_key(&r, "l")->lock_index == 1);
	assert_int_equal(run_lock(&r, KV_LOCK, "m", ""), FSM_ERROR);
	assert_str(str_skip(buf_str(&r.result), 1), "missing session");
	run_lock(&r, KV_LOCK, "m", "nope");
	assert_str(str_skip(buf_str(&r.result), 1),
	    "failed session lookup: index error: UUID must be 36 characters");
	run_lock(&r, KV_LOCK, "m", "00000000-0000-0000-0000-00000000abcd");
	assert_str(str_skip(buf_str(&r.result), 1),
	    "invalid session \"00000000-0000-0000-0000-00000000abcd\"");
	run_delete(&r, "l"); /* of a held key */
	assert_int_equal(run_end(&r, S2), FSM_TRUE);
	assert_int_equal(keys_closed_count(r.keys), 0);
	run_done(&r);
}

static void
the_end_of_a_session_closes_its_keys(void **unused)
{
	struct run r;

	(void)unused;
	run_init(&r);
	run_session(&r, S1, 0, 2 * NSEC_SEC, SESSION_RELEASE);
	run_session(&r, S2, 0, 0, SESSION_DELETE);
	run_lock(&r, KV_LOCK, "a", S1);
	run_lock(&r, KV_LOCK, "b", S2);
	assert_int_equal(run_end(&r, S1), FSM_TRUE);
	assert_int_equal(run_end(&r, S1), FSM_TRUE); /* of one that is gone */
	assert_true(!run_key(&r, "a")->held && run_key(&r, "a")->lock_index == 1);
	assert_true(run_key(&r, "a")->modify == 5);
	assert_int_equal(run_lock(&r, KV_LOCK, "a", S2), FSM_FALSE);
	r.now += 2 * NSEC_SEC;
	assert_int_equal(run_lock(&r, KV_LOCK, "a", S2), FSM_TRUE);
	assert_true(run_key(&r, "a")->lock_index == 2);
	assert_int_equal(keys_closed_count(r.keys), 0);
	run_end(&r, S2);
	assert_null(run_key(&r, "a"));
	assert_null(run_key(&r, "b"));
	run_done(&r);
}

static void
prefixes_see_deletions_and_never_go_back(void **unused)
{
	struct run r;
	struct kv_op tree = { KV_DELETE_TREE, STR("t/"), STR_NONE, 0, 0, STR_NONE };
	uint64_t before;

	(void)unused;
	run_init(&r);
	run_put(&r, "t/a", "1");
	run_put(&r, "t/b", "2");
	run_put(&r, "u", "3");
	run_kv(&r, tree);
	assert_null(key_prefix_first(r.keys, STR("t")));
	assert_true(key_prefix_index(r.keys, STR("t"), 0) == 4);
	assert_true(key_prefix_index(r.keys, STR("u"), 3) == 3);
	assert_int_equal(keys_tombstone_count(r.keys), 2);
	keys_reap(r.keys, 4, 0);
	before = key_prefix_index(r.keys, STR("t"), 0);
	assert_true(before == 4 && keys_tombstone_count(r.keys) == 0);
	run_put(&r, "t/a", "1");
	assert_true(key_prefix_index(r.keys, STR("t"), run_key(&r, "t/a")->modify) == 5);
	run_done(&r);
}

static void
tombstones_are_bounded(void **unused)
{
	struct run r;
	char key[32];

	(void)unused;
	run_init(&r);
	for (unsigned i = 0; i <= KEYS_TOMBSTONES_MAX; i++) {
		snprintf(key, sizeof key, "k%u", i);
		run_put(&r, key, "");
		run_delete(&r, key);
	}
	assert_in_range(keys_tombstone_count(r.keys), 1, KEYS_TOMBSTONES_MAX);
	assert_true(key_index(r.keys, STR("k0")) >= 2);
	run_done(&r);
}

static void
folding_skips_a_whole_directory(void **unused)
{
	struct run r;
	struct key_entry *e;

	(void)unused;
	run_init(&r);
	run_put(&r, "d/b", "");
	run_put(&r, "d/c", "");
	run_put(&r, "dd", "");
	run_put(&r, "e", "");
	e = key_prefix_skip(r.keys, STR("d"), STR("d/"));
	assert_str(key_name(e), "dd");
	assert_null(key_prefix_skip(r.keys, STR("d"), STR("dd")));
	run_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_move_what_changes),
		cmocka_unit_test(cas_needs_the_index),
		cmocka_unit_test(locks_have_one_holder),
		cmocka_unit_test(the_end_of_a_session_closes_its_keys),
		cmocka_unit_test(prefixes_see_deletions_and_never_go_back),
		cmocka_unit_test(tombstones_are_bounded),
		cmocka_unit_test(folding_skips_a_whole_directory),
	};

	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}

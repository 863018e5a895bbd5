/* External records in the state machine: steps, conditions, transactions with keys, snapshots, and
 * the store that takes them (RULES 4, 5, 19). */
#include "kv/fsm_external.h"

#include "kv/entity.h"
#include "kv/store.h"
#include "tests/unit/fsm_fixture.h"

static struct run r;
static struct buf steps;

static int
setup(void **unused)
{
	(void)unused;
	run_init(&r);
	r.raft = 10; /* entries of Raft's own came before */
	buf_init(&steps, FSM_STEPS_BYTES_MAX);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	run_done(&r);
	buf_done(&steps);
	return 0;
}

static void
step(enum fsm_step_verb verb, uint16_t kind, struct str key, const char *body, uint64_t number)
{
	struct fsm_step s = {
		.verb = verb, .kind = kind, .key = key, .body = str_of(body), .number = number
	};

	assert_int_equal(fsm_step_add(&steps, &s, NULL), 0);
}

/* The steps as one operation; then there are none. */
static int
decide(void)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	int status;

	op->command = FSM_EXTERNAL;
	op->steps = buf_str(&steps);
	status = run_op(&r, op);
	buf_clear(&steps);
	free(op);
	return status;
}

#define ON(node, id) str_mem(node "\0" id, sizeof(node "\0" id) - 1)

static uint64_t
number_of(const struct fsm *f, uint16_t kind, struct str key) /* 0: not there */
{
	struct owner_record found;

	return owner_find(fsm_external(f), kind, key, &found) && !found.gone ? found.number : 0;
}

static void
check_put(struct str key, const char *service_id)
{
	struct check_info info = {
		.id = STR("c"), .name = STR("c"), .service_id = str_of(service_id)
	};
	struct fsm_step s = { .verb = FSM_PUT, .kind = RECORD_CHECK, .key = key };
	struct buf body;

	buf_init(&body, RECORD_BODY_MAX);
	check_pack(&body, &info);
	s.body = buf_str(&body);
	assert_int_equal(fsm_step_add(&steps, &s, NULL), 0);
	buf_done(&body);
}

static void
records_have_the_number_of_their_entry(void **unused)
{
	(void)unused;
	assert_true(owner_digest(fsm_external(r.fsm)).number == 0); /* nothing was ever there */
	step(FSM_PUT, RECORD_NODE, STR("a"), "1", 0);
	step(FSM_PUT, RECORD_SERVICE, ON("a", "s"), "2", 0);
	assert_int_equal(decide(), FSM_TRUE);
	assert_true(number_of(r.fsm, RECORD_NODE, STR("a")) == 11);
	assert_true(number_of(r.fsm, RECORD_SERVICE, ON("a", "s")) == 11);
	/* what is equal is no news */
	step(FSM_PUT, RECORD_NODE, STR("a"), "1", 0);
	assert_int_equal(decide(), FSM_TRUE);
	assert_true(owner_digest(fsm_external(r.fsm)).number == 11);
	step(FSM_REMOVE, RECORD_NODE, STR("none"), NULL, 0);
	assert_int_equal(decide(), FSM_TRUE);
	assert_true(owner_digest(fsm_external(r.fsm)).number == 11);
	step(FSM_PUT, RECORD_NODE, STR("a"), "3", 0);
	assert_int_equal(decide(), FSM_TRUE);
	assert_true(number_of(r.fsm, RECORD_NODE, STR("a")) == 14);
	assert_true(number_of(r.fsm, RECORD_SERVICE, ON("a", "s")) == 11);
}

static void
a_condition_that_does_not_hold_keeps_all_from_being_done(void **unused)
{
	(void)unused;
	step(FSM_IF_AT, RECORD_NODE, STR("a"), NULL, 0);
	step(FSM_PUT, RECORD_NODE, STR("a"), "1", 0);
	assert_int_equal(decide(), FSM_TRUE);
	step(FSM_PUT, RECORD_NODE, STR("b"), "1", 0);
	step(FSM_IF_AT, RECORD_NODE, STR("a"), NULL, 0); /* it is there now */
	assert_int_equal(decide(), FSM_FALSE);
	assert_true(number_of(r.fsm, RECORD_NODE, STR("b")) == 0);
	step(FSM_PUT, RECORD_NODE, STR("b"), "1", 0);
	step(FSM_IF_AT, RECORD_NODE, STR("a"), NULL, 12);
	assert_int_equal(decide(), FSM_FALSE);
	step(FSM_IF_LIVE, RECORD_NODE, STR("b"), NULL, 0);
	step(FSM_PUT, RECORD_NODE, STR("b"), "1", 0); /* not yet there when it is looked at */
	assert_int_equal(decide(), FSM_FALSE);
	step(FSM_IF_AT, RECORD_NODE, STR("a"), NULL, 11);
	step(FSM_IF_LIVE, RECORD_NODE, STR("a"), NULL, 0);
	step(FSM_REMOVE, RECORD_NODE, STR("a"), NULL, 0);
	assert_int_equal(decide(), FSM_TRUE);
	step(FSM_IF_LIVE, RECORD_NODE, STR("a"), NULL, 0);
	assert_int_equal(decide(), FSM_FALSE); /* a tombstone is nothing */
}

static void
large_removals_take_what_hangs_on_it(void **unused)
{
	(void)unused;
	step(FSM_PUT, RECORD_NODE, STR("a"), "1", 0);
	step(FSM_PUT, RECORD_NODE, STR("ab"), "1", 0);
	step(FSM_PUT, RECORD_SERVICE, ON("a", "s"), "1", 0);
	step(FSM_PUT, RECORD_SERVICE, ON("a", "t"), "1", 0);
	step(FSM_PUT, RECORD_SERVICE, ON("ab", "s"), "1", 0);
	check_put(ON("a", "c"), "s");
	check_put(ON("a", "d"), "t");
	check_put(ON("ab", "c"), "s");
	step(FSM_PUT, RECORD_CHECK, ON("a", "odd"), "no check", 0);
	assert_int_equal(decide(), FSM_TRUE);
	step(FSM_REMOVE_SERVICE, RECORD_SERVICE, ON("a", "s"), NULL, 0);
	assert_int_equal(decide(), FSM_TRUE);
	assert_true(number_of(r.fsm, RECORD_SERVICE, ON("a", "s")) == 0);
	assert_true(number_of(r.fsm, RECORD_CHECK, ON("a", "c")) == 0);
	assert_true(number_of(r.fsm, RECORD_CHECK, ON("a", "d")) != 0);
	assert_true(number_of(r.fsm, RECORD_CHECK, ON("ab", "c")) != 0);
	assert_int_equal(owner_count(fsm_external(r.fsm)), 7);
	step(FSM_REMOVE_NODE, RECORD_NODE, STR("a"), NULL, 0);
	assert_int_equal(decide(), FSM_TRUE);
	assert_int_equal(owner_count(fsm_external(r.fsm)), 3);
	assert_true(number_of(r.fsm, RECORD_NODE, STR("ab")) != 0);
}

static int
transact(struct kv_op kv)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	int status;

	op->command = FSM_EXTERNAL_TXN;
	op->kv[0] = kv;
	op->kv_count = 1;
	op->steps = buf_str(&steps);
	status = run_op(&r, op);
	buf_clear(&steps);
	free(op);
	return status;
}

static void
a_transaction_is_done_in_both_or_in_none(void **unused)
{
	struct kv_op set = { .verb = KV_SET, .key = STR("k"), .value = STR("v") };
	struct kv_op stale = { .verb = KV_CAS, .key = STR("k"), .index = 5 };

	(void)unused;
	step(FSM_PUT, RECORD_NODE, STR("a"), "1", 0);
	assert_int_equal(transact(stale), FSM_ERRORS);
	assert_true(number_of(r.fsm, RECORD_NODE, STR("a")) == 0);
	step(FSM_PUT, RECORD_NODE, STR("a"), "1", 0);
	step(FSM_IF_LIVE, RECORD_NODE, STR("none"), NULL, 0);
	assert_int_equal(transact(set), FSM_FALSE);
	assert_null(run_key(&r, "k"));
	step(FSM_PUT, RECORD_NODE, STR("a"), "1", 0);
	assert_int_equal(transact(set), FSM_RESULTS);
	assert_true(number_of(r.fsm, RECORD_NODE, STR("a")) == 13);
	assert_true(run_key(&r, "k")->modify == 13);
}

static void
a_snapshot_brings_all_of_it_back(void **unused)
{
	struct run other;
	struct buf one, two;

	(void)unused;
	for (unsigned i = 0; i < 100; i++) {
		char key[8];

		snprintf(key, sizeof key, "n%u", i % 40);
		step(i % 7 == 6 ? FSM_REMOVE : FSM_PUT, RECORD_NODE, str_of(key),
		    i % 7 == 6 ? NULL : key, 0);
		assert_int_equal(decide(), FSM_TRUE);
	}
	step(FSM_REMOVE, RECORD_NODE, STR("n1"), NULL, 0); /* the last number is no record's */
	assert_int_equal(decide(), FSM_TRUE);
	buf_init(&one, FSM_RUN_MAX);
	buf_init(&two, FSM_RUN_MAX);
	run_snapshot(&r, 100, &one);
	for (size_t piece = 1; piece < 10000; piece *= 7) {
		struct digest here = owner_digest(fsm_external(r.fsm)), there;

		run_init(&other);
		assert_int_equal(run_load(&other, buf_str(&one), piece), 0);
		there = owner_digest(fsm_external(other.fsm));
		assert_true(here.number == there.number && here.hash == there.hash && there.exact);
		buf_clear(&two);
		run_snapshot(&other, 1000, &two);
		assert_true(str_eq(buf_str(&one), buf_str(&two)));
		/* and both go on alike */
		other.raft = fsm_raft_index(other.fsm);
		run_done(&other);
	}
	for (size_t n = 0; n < one.n; n += 3) { /* cut, or changed */
		run_init(&other);
		assert_int_not_equal(run_load(&other, str_head(buf_str(&one), n), 64), 0);
		one.p[n] = (char)(one.p[n] ^ 1);
		assert_int_not_equal(run_load(&other, buf_str(&one), 64), 0);
		one.p[n] = (char)(one.p[n] ^ 1);
		assert_int_equal(owner_count(fsm_external(other.fsm)), 0);
		run_done(&other);
	}
	buf_done(&one);
	buf_done(&two);
}

static void
broken_steps_are_refused(void **unused)
{
	static const char deep[RECORD_KEY_MAX + 1];
	struct fsm_op *op = mem_new(struct fsm_op);
	struct buf bytes;

	(void)unused;
	buf_init(&bytes, FSM_RUN_MAX);
	op->command = FSM_EXTERNAL;
	step(FSM_PUT, RECORD_NODE, STR("a"), "body", 0);
	step(FSM_IF_AT, RECORD_NODE, STR("a"), NULL, 300);
	op->steps = buf_str(&steps);
	assert_int_equal(fsm_op_write(&bytes, op, NULL), 0);
	assert_int_equal(fsm_op_read(buf_str(&bytes), op, NULL), 0);
	for (size_t n = 0; n < bytes.n; n++)
		assert_int_equal(fsm_op_read(str_head(buf_str(&bytes), n), op, NULL), ERR_INPUT);
	op->command = FSM_EXTERNAL;
	op->steps = STR("\1\1\1a"); /* a body is missing */
	assert_int_equal(fsm_op_write(&bytes, op, NULL), ERR_LIMIT);
	buf_clear(&bytes);
	bytes.n = 0;
	op->steps = buf_str(&steps);
	assert_int_equal(fsm_op_write(&bytes, op, NULL), 0);
	bytes.p[bytes.n - steps.n] =
	    FSM_STEP_VERBS; /* of a newer version: the log stops (RULES 14) */
	assert_int_equal(fsm_op_read(buf_str(&bytes), op, NULL), ERR_REFUSED);
	assert_int_equal(
	    fsm_step_add(&steps,
		&(struct fsm_step){ .verb = FSM_REMOVE, .key = str_mem(deep, sizeof deep) }, NULL),
	    ERR_LIMIT);
	buf_done(&bytes);
	free(op);
}

/* The store. */

static const struct uuid self = { { 1 } }, cluster = { { 9 } };

static struct store *
store_begin(struct now now)
{
	const struct store_config config = { .self = self,
		.epoch = { 1, 1 },
		.limits = owner_limits_default,
		.unknown_bytes_max = 1 << 20 };
	struct store *s = store_new(&config, now);

	store_baseline_end(s, now);
	return s;
}

static void
take(struct store *s, struct now now, bool tell)
{
	store_cluster_take(s, now, &cluster, fsm_external_epoch(r.fsm), fsm_external(r.fsm), tell);
}

static void
node_put(const char *name)
{
	struct node_info info = { .name = str_of(name), .address = STR("10.0.0.1") };
	struct fsm_step s = { .verb = FSM_PUT, .kind = RECORD_NODE, .key = str_of(name) };
	struct buf body;

	buf_init(&body, RECORD_BODY_MAX);
	node_pack(&body, &info);
	s.body = buf_str(&body);
	assert_int_equal(fsm_step_add(&steps, &s, NULL), 0);
	buf_done(&body);
	assert_int_equal(decide(), FSM_TRUE);
}

static unsigned
news(struct store *s)
{
	struct owner_record told;
	struct uuid owner;
	uint64_t after;
	unsigned n = 0;

	while (store_news_next(s, &owner, &after, &told))
		n += uuid_eq(&owner, &cluster);
	return n;
}

static bool
shows(const struct store *s, const char *name)
{
	return catalog_node_find(store_catalog(s), str_of(name)) != NULL;
}

static void
the_store_shows_what_is_decided_and_one_server_tells(void **unused)
{
	struct now now = { NSEC_SEC, 1800000000000 };
	struct store *leader = store_begin(now), *other = store_begin(now);
	struct digest a, b;

	(void)unused;
	node_put("a");
	take(leader, now, true);
	take(other, now, false);
	assert_true(shows(leader, "a") && shows(other, "a"));
	assert_true(catalog_node_find(store_catalog(other), STR("a"))->modify_index == 11);
	assert_int_equal(news(other), 0);
	news(leader);
	node_put("b");
	take(leader, now, true);
	take(other, now, false);
	assert_int_equal(news(leader), 1);
	assert_int_equal(news(other), 0);
	assert_true(store_digest_of(leader, &cluster, &a) && store_digest_of(other, &cluster, &b));
	assert_true(a.number == b.number && a.hash == b.hash && epoch_cmp(&a.epoch, &b.epoch) == 0);
	/* the next leader tells only what comes from then on */
	take(other, now, true);
	assert_int_equal(news(other), 0);
	step(FSM_REMOVE_NODE, RECORD_NODE, STR("a"), NULL, 0);
	assert_int_equal(decide(), FSM_TRUE);
	take(other, now, true);
	assert_int_equal(news(other), 1);
	assert_false(shows(other, "a"));
	store_free(leader);
	store_free(other);
}

static void
a_restore_is_a_new_epoch(void **unused)
{
	struct now now = { NSEC_SEC, 1800000000000 };
	struct store *s = store_begin(now);
	struct fsm_op *op = mem_new(struct fsm_op);
	struct digest before, after;
	struct buf snapshot;

	(void)unused;
	buf_init(&snapshot, FSM_RUN_MAX);
	node_put("a");
	run_snapshot(&r, 1000, &snapshot);
	node_put("b");
	take(s, now, true);
	assert_true(shows(s, "b") && store_digest_of(s, &cluster, &before));
	op->command = FSM_RESTORE;
	op->snapshot = buf_str(&snapshot);
	assert_int_equal(run_op(&r, op), FSM_TRUE);
	take(s, now, true);
	assert_true(shows(s, "a") && !shows(s, "b"));
	assert_true(store_digest_of(s, &cluster, &after));
	assert_true(
	    after.epoch.counter == before.epoch.counter + 1 && after.number > before.number);
	node_put("c");
	take(s, now, true);
	assert_true(shows(s, "a") && shows(s, "c"));
	fsm_renumber(r.fsm, 0); /* a new log, which may lack the end of the old one */
	take(s, now, true);
	assert_true(store_digest_of(s, &cluster, &before));
	assert_true(before.epoch.counter == after.epoch.counter + 1);
	free(op);
	buf_done(&snapshot);
	store_free(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(records_have_the_number_of_their_entry),
		TEST(a_condition_that_does_not_hold_keeps_all_from_being_done),
		TEST(large_removals_take_what_hangs_on_it),
		TEST(a_transaction_is_done_in_both_or_in_none),
		TEST(a_snapshot_brings_all_of_it_back),
		TEST(broken_steps_are_refused),
		TEST(the_store_shows_what_is_decided_and_one_server_tells),
		TEST(a_restore_is_a_new_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

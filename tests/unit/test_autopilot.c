/* The autopilot's configuration in the log and in snapshots. */
#include "tests/unit/fsm_fixture.h"

static int
set(struct run *r, const struct autopilot *a, bool cas, uint64_t index)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	int status;

	op->command = FSM_AUTOPILOT;
	op->autopilot = *a;
	op->cas = cas;
	op->cas_index = index;
	status = run_op(r, op);
	free(op);
	return status;
}

static struct autopilot
other(void)
{
	struct autopilot a = autopilot_default;

	a.cleanup_dead_servers = false;
	a.disable_upgrade_migration = true;
	a.last_contact_threshold = 5 * NSEC_SEC;
	a.server_stabilization_time = 20 * NSEC_SEC;
	a.max_trailing_logs = UINT64_MAX;
	a.min_quorum = 3;
	strcpy(a.redundancy_zone_tag, "zone");
	strcpy(a.upgrade_version_tag, "version");
	return a;
}

static void
assert_other(const struct autopilot *a)
{
	assert_false(a->cleanup_dead_servers);
	assert_true(a->disable_upgrade_migration);
	assert_true(a->last_contact_threshold == 5 * NSEC_SEC);
	assert_true(a->server_stabilization_time == 20 * NSEC_SEC);
	assert_true(a->max_trailing_logs == UINT64_MAX && a->min_quorum == 3);
	assert_string_equal(a->redundancy_zone_tag, "zone");
	assert_string_equal(a->upgrade_version_tag, "version");
}

static void
it_is_set_with_and_without_a_condition(void **unused)
{
	struct autopilot wanted = other();
	const struct autopilot *a;
	struct run r;
	uint64_t first;

	(void)unused;
	run_init(&r);
	a = fsm_autopilot(r.fsm);
	assert_true(a->cleanup_dead_servers && a->modify == 0 && a->max_trailing_logs == 250);
	assert_int_equal(set(&r, &wanted, true, 7), FSM_FALSE);
	assert_true(a->cleanup_dead_servers);
	assert_int_equal(set(&r, &wanted, true, 0), FSM_TRUE); /* nobody has set it */
	assert_other(a);
	first = a->modify;
	assert_true(first == fsm_index(r.fsm) && a->create == first);
	assert_int_equal(set(&r, &autopilot_default, true, first - 1), FSM_FALSE);
	assert_other(a);
	assert_int_equal(set(&r, &autopilot_default, false, 0), FSM_TRUE);
	assert_true(a->cleanup_dead_servers && a->create == first && a->modify > first);
	run_done(&r);
}

static void
it_is_in_snapshots(void **unused)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	struct autopilot wanted = other();
	struct fsm_load *load = fsm_load_new(0);
	struct buf bytes;
	struct run a, b;

	(void)unused;
	run_init(&a);
	run_init(&b);
	buf_init(&bytes, FSM_RUN_MAX);
	set(&a, &wanted, false, 0);
	run_snapshot(&a, 64, &bytes);
	assert_int_equal(fsm_load_feed(load, buf_str(&bytes), NULL), 0);
	assert_int_equal(fsm_load_finish(load, b.fsm, NULL), 0);
	assert_other(fsm_autopilot(b.fsm));
	assert_true(fsm_autopilot(b.fsm)->modify == fsm_autopilot(a.fsm)->modify);
	/* a restore is a change: who had read it before does not write over it */
	b.raft = fsm_raft_index(b.fsm);
	op->command = FSM_RESTORE;
	op->snapshot = buf_str(&bytes);
	assert_int_equal(run_op(&b, op), FSM_TRUE);
	assert_other(fsm_autopilot(b.fsm));
	assert_true(fsm_autopilot(b.fsm)->modify == fsm_index(b.fsm));
	free(op);
	fsm_load_free(load);
	buf_done(&bytes);
	run_done(&a);
	run_done(&b);
}

static void
broken_operations_are_refused(void **unused)
{
	struct fsm_op *op = mem_new(struct fsm_op), *got = mem_new(struct fsm_op);
	struct err err = { 0 };
	struct buf b;

	(void)unused;
	buf_init(&b, 4096);
	op->command = FSM_AUTOPILOT;
	op->autopilot = other();
	op->cas = true;
	op->cas_index = 9;
	assert_int_equal(fsm_op_write(&b, op, &err), 0);
	assert_int_equal(fsm_op_read(buf_str(&b), got, &err), 0);
	assert_other(&got->autopilot);
	assert_true(got->cas && got->cas_index == 9);
	for (size_t n = 0; n < b.n; n++)
		assert_int_not_equal(fsm_op_read(str_mem(b.p, n), got, &err), 0);
	op->autopilot.last_contact_threshold = -1;
	assert_int_equal(fsm_op_write(&b, op, &err), ERR_LIMIT);
	buf_done(&b);
	free(op);
	free(got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_set_with_and_without_a_condition),
		cmocka_unit_test(it_is_in_snapshots),
		cmocka_unit_test(broken_operations_are_refused),
	};

	return cmocka_run_group_tests_name("autopilot", tests, NULL, NULL);
}

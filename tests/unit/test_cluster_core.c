/* A cluster core by itself: a cluster of one, founding, requests without a leader, messages. */
#include "base/log.h"
#include "kv/raft_wire.h"
#include "tests/unit/cluster_one.h"

/* A cluster of one. */

static void
one_server_takes_a_write_at_once(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = true, .bootstrap = true });
	uint64_t request;

	(void)unused;
	one_drain(&o);
	assert_int_equal(o.founded, 1);
	assert_true(o.formed);
	assert_true(uuid_eq(&o.leader, &one_self));
	request = one_put(&o, "a", "1");
	one_drain(&o);
	assert_non_null(one_answer(&o, request));
	assert_int_equal(one_answer(&o, request)->code, 0);
	assert_int_equal(one_answer(&o, request)->bytes[0], FSM_TRUE);
	assert_non_null(key_find(fsm_keys(cluster_fsm(o.cluster)), STR("a")));
	assert_true(o.applied > 0);
	assert_true(cluster_may_stop(o.cluster));
	one_free(&o);
}

static void
a_write_is_answered_once_it_is_on_the_disk(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = true, .bootstrap = true });
	uint64_t request;

	(void)unused;
	one_drain(&o);
	o.slow_disk = true;
	request = one_put(&o, "a", "1");
	one_drain(&o);
	assert_null(one_answer(&o, request));
	cluster_durable(o.cluster, o.now, o.last);
	one_drain(&o);
	assert_int_equal(one_answer(&o, request)->code, 0);
	one_free(&o);
}

static void
a_write_is_refused_while_the_disk_takes_none(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = true, .bootstrap = true });
	uint64_t request, read;

	(void)unused;
	one_drain(&o);
	cluster_disk_failing(o.cluster, o.now, STR("no room"));
	request = one_put(&o, "a", "1");
	read = cluster_read(o.cluster, o.now, CLUSTER_DEFAULT);
	one_drain(&o);
	assert_int_equal(one_answer(&o, request)->code, ERR_STATE);
	assert_str(str_mem(one_answer(&o, request)->bytes, one_answer(&o, request)->n),
	    "raft apply failed: no room");
	assert_int_equal(one_answer(&o, read)->code, 0);
	cluster_disk_failing(o.cluster, o.now, STR_NONE);
	request = one_put(&o, "a", "1");
	one_drain(&o);
	assert_int_equal(one_answer(&o, request)->code, 0);
	one_free(&o);
}

/* The write that met the full disk first hears of it too, not that leadership was lost. */
static void
a_write_on_its_way_to_a_disk_that_takes_none_is_told_why(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = true, .bootstrap = true });
	struct cluster_wire call = { .kind = WIRE_CALL, .number = 5, .call = CALL_WRITE }, m;
	struct fsm_op *op = mem_new(struct fsm_op);
	const struct one_answer *a;
	uint64_t first, second;
	struct buf b;

	(void)unused;
	one_drain(&o);
	o.slow_disk = true;
	first = one_put(&o, "a", "1");
	*op = (struct fsm_op){
		.command = FSM_KV, .kv_count = 1, .agent = one_peer, .epoch = { 1, 1 }, .request = 1
	};
	op->kv[0] = (struct kv_op){ KV_SET, STR("b"), STR("2"), 0, 0, STR_NONE };
	buf_init(&b, 4096);
	assert_int_equal(fsm_op_write(&b, op, NULL), 0);
	free(op);
	call.rest = buf_str(&b);
	one_input(&o, &one_peer, &call, 0);
	buf_done(&b);
	cluster_disk_failing(o.cluster, o.now, STR("no room"));
	one_run(&o, 900 * NSEC_MS);
	assert_null(one_answer(&o, first)); /* it may be over soon */
	one_run(&o, 200 * NSEC_MS);
	a = one_answer(&o, first);
	assert_non_null(a);
	assert_int_equal(a->code, ERR_STATE);
	assert_str(str_mem(a->bytes, a->n),
	    "raft apply failed: no room; it may be done once that is over");
	assert_true(one_sent(&o, &one_peer, WIRE_REPLY, &m));
	assert_int_equal(m.number, 5);
	assert_int_equal(m.status, REPLY_FAILED);
	assert_str(m.rest, "raft apply failed: no room; it may be done once that is over");
	o.slow_disk = false; /* there is room, and both are done */
	cluster_disk_failing(o.cluster, o.now, STR_NONE);
	second = one_put(&o, "c", "3");
	one_drain(&o);
	assert_int_equal(one_answer(&o, second)->code, 0);
	assert_int_equal(keys_count(fsm_keys(cluster_fsm(o.cluster))), 3);
	one_free(&o);
}

static void
reads_are_answered(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = true, .bootstrap = true });
	uint64_t stale, other, consistent;

	(void)unused;
	one_drain(&o);
	stale = cluster_read(o.cluster, o.now, CLUSTER_STALE);
	other = cluster_read(o.cluster, o.now, CLUSTER_DEFAULT);
	consistent = cluster_read(o.cluster, o.now, CLUSTER_CONSISTENT);
	one_drain(&o);
	assert_int_equal(one_answer(&o, stale)->code, 0);
	assert_int_equal(one_answer(&o, other)->code, 0);
	assert_int_equal(one_answer(&o, consistent)->code, 0);
	one_free(&o);
}

static void
a_place_to_join_is_tried_first(void **unused)
{
	struct one o =
	    one_new((struct cluster_config){ .server = true, .bootstrap = true, .joins = true });

	(void)unused;
	one_drain(&o);
	one_run(&o, 9 * NSEC_SEC);
	assert_int_equal(o.founded, 0);
	cluster_synced(o.cluster, o.now);
	one_drain(&o);
	assert_int_equal(o.founded, 1);
	one_free(&o);
	o = one_new((struct cluster_config){ .server = true, .bootstrap = true, .joins = true });
	one_run(&o, 11 * NSEC_SEC);
	assert_int_equal(o.founded, 1);
	one_free(&o);
}

static void
nobody_founds_beside_a_formed_cluster(void **unused)
{
	struct one o =
	    one_new((struct cluster_config){ .server = true, .bootstrap = true, .joins = true });
	struct cluster_member m = { .agent = one_peer,
		.cluster = { { 7 } },
		.raft_id = 5,
		.server = true,
		.alive = true,
		.formed = true,
		.version = 1 };

	(void)unused;
	one_drain(&o);
	one_member(&o, &m);
	cluster_synced(o.cluster, o.now);
	one_run(&o, NSEC_MIN);
	assert_int_equal(o.founded, 0);
	one_free(&o);
}

/* Without a leader. */

static void
without_a_leader_a_request_fails_within_seconds(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = true, .expect = 3 });
	uint64_t write = one_put(&o, "a", "1");
	uint64_t read = cluster_read(o.cluster, o.now, CLUSTER_DEFAULT);
	uint64_t stale = cluster_read(o.cluster, o.now, CLUSTER_STALE);
	uint64_t cancelled = cluster_read(o.cluster, o.now, CLUSTER_DEFAULT);

	(void)unused;
	one_drain(&o);
	assert_int_equal(one_answer(&o, stale)->code, 0);
	cluster_cancel(o.cluster, cancelled);
	one_run(&o, 3 * NSEC_SEC);
	assert_null(one_answer(&o, write));
	one_run(&o, 4 * NSEC_SEC);
	assert_int_equal(one_answer(&o, write)->code, ERR_STATE);
	assert_string_equal(one_answer(&o, write)->bytes, CLUSTER_NO_LEADER);
	assert_int_equal(one_answer(&o, read)->code, ERR_STATE);
	assert_null(one_answer(&o, cancelled));
	one_free(&o);
}

/* An agent without a copy. */

static struct cluster_member
server_member(const struct uuid *agent)
{
	return (struct cluster_member){ .agent = *agent,
		.cluster = { { 7 } },
		.raft_id = 5,
		.server = true,
		.alive = true,
		.formed = true,
		.version = 1 };
}

static void
an_agent_finds_the_leader_and_asks_it(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = false });
	struct cluster_member peer = server_member(&one_peer), third = server_member(&one_third);
	struct cluster_wire m, call;
	uint64_t write;

	(void)unused;
	one_member(&o, &peer);
	one_member(&o, &third);
	write = one_put(&o, "a", "1");
	one_run(&o, 200 * NSEC_MS);
	assert_true(one_sent(&o, &one_peer, WIRE_WHO, &m));
	one_input(&o, &one_peer,
	    &(struct cluster_wire){
		.kind = WIRE_LEADER, .cluster = { { 7 } }, .term = 3, .leader = one_third },
	    0);
	assert_true(one_sent(&o, &one_third, WIRE_CALL, &call));
	assert_int_equal(call.call, CALL_WRITE);
	/* not the leader any more: nobody is, then the other one is */
	one_input(&o, &one_third,
	    &(struct cluster_wire){ .kind = WIRE_REPLY,
		.number = call.number,
		.status = REPLY_REFUSED,
		.cluster = { { 7 } },
		.term = 4 },
	    0);
	assert_true(uuid_eq(&o.leader, &(struct uuid){ { 0 } }));
	one_input(&o, &one_peer,
	    &(struct cluster_wire){
		.kind = WIRE_LEADER, .cluster = { { 7 } }, .term = 4, .leader = one_peer },
	    0);
	assert_true(one_sent(&o, &one_peer, WIRE_CALL, &m));
	assert_int_equal(m.number, call.number);
	assert_true(str_eq(m.rest, call.rest)); /* the same number: done at most once */
	one_input(&o, &one_peer,
	    &(struct cluster_wire){ .kind = WIRE_REPLY,
		.number = m.number,
		.index = 12,
		.cluster = { { 7 } },
		.term = 4,
		.leader = one_peer,
		.rest = str_mem("\0", 1) },
	    0);
	assert_int_equal(one_answer(&o, write)->code, 0);
	assert_int_equal(one_answer(&o, write)->index, 12);
	/* what it reads from now on is no older */
	cluster_ask_http(o.cluster, o.now, STR("GET /v1/kv/a"));
	one_drain(&o);
	assert_true(one_sent(&o, &one_peer, WIRE_CALL, &m));
	assert_int_equal(m.seen, 12);
	one_free(&o);
}

/* A server that stood in a newer term may never be heard of again. */
static void
a_term_that_came_to_nothing_does_not_hide_the_leader(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = false });
	struct cluster_member peer = server_member(&one_peer), third = server_member(&one_third);
	struct cluster_wire m = { .kind = WIRE_LEADER, .cluster = { { 7 } } };

	(void)unused;
	one_member(&o, &peer);
	one_member(&o, &third);
	m.term = 12;
	one_input(&o, &one_peer, &m, 0);
	m.term = 10;
	m.leader = one_third;
	one_input(&o, &one_third, &m, 0);
	assert_true(uuid_eq(&o.leader, &one_third));
	m.term = 9;
	m.leader = one_peer;
	one_input(&o, &one_peer, &m, 0);
	assert_true(uuid_eq(&o.leader, &one_third));
	one_free(&o);
}

static void
a_lost_connection_asks_again_only_what_reads(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = false });
	struct cluster_member peer = server_member(&one_peer), third = server_member(&one_third);
	uint64_t get, put;
	struct cluster_wire m;

	(void)unused;
	one_member(&o, &peer);
	one_member(&o, &third);
	one_input(&o, &one_peer,
	    &(struct cluster_wire){
		.kind = WIRE_LEADER, .cluster = { { 7 } }, .term = 3, .leader = one_peer },
	    0);
	get = cluster_ask_http(o.cluster, o.now, STR("GET /v1/kv/a"));
	cluster_repeatable(o.cluster, get);
	put = cluster_ask_http(o.cluster, o.now, STR("PUT /v1/snapshot"));
	one_drain(&o);
	cluster_lost(o.cluster, o.now, &one_peer);
	one_run(&o, NSEC_SEC);
	assert_int_equal(one_answer(&o, put)->code, ERR_STATE);
	assert_null(one_answer(&o, get));
	assert_true(one_sent(&o, &one_third, WIRE_CALL, &m));
	assert_true(str_eq(m.rest, STR("GET /v1/kv/a")));
	one_free(&o);
}

static void
reads_of_one_moment_share_a_call(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = false });
	struct cluster_member peer = server_member(&one_peer);
	uint64_t reads[3], later;
	struct cluster_wire m;
	size_t calls = 0;

	(void)unused;
	one_member(&o, &peer);
	one_input(&o, &one_peer,
	    &(struct cluster_wire){
		.kind = WIRE_LEADER, .cluster = { { 7 } }, .term = 3, .leader = one_peer },
	    0);
	o.sent_count = 0;
	for (size_t i = 0; i < 3; i++)
		reads[i] = cluster_read(o.cluster, o.now, CLUSTER_DEFAULT);
	one_drain(&o);
	later = cluster_read(o.cluster, o.now, CLUSTER_DEFAULT); /* the call has left */
	one_drain(&o);
	for (size_t i = 0; i < o.sent_count; i++)
		calls += cluster_wire_read(str_mem(o.sent[i].bytes, o.sent[i].n), &m, NULL) == 0 &&
			 m.kind == WIRE_CALL;
	assert_int_equal(calls, 2);
	cluster_cancel(o.cluster, reads[0]); /* who asked first does not wait any more */
	one_input(&o, &one_peer,
	    &(struct cluster_wire){ .kind = WIRE_REPLY,
		.number = reads[0],
		.index = 5,
		.cluster = { { 7 } },
		.term = 3,
		.leader = one_peer },
	    0);
	assert_null(one_answer(&o, reads[0]));
	assert_int_equal(one_answer(&o, reads[1])->code, 0);
	assert_int_equal(one_answer(&o, reads[2])->index, 5);
	assert_null(one_answer(&o, later));
	one_free(&o);
}

/* Others ask. */

static void
a_call_is_served_once(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = true, .bootstrap = true });
	struct cluster_wire call = { .kind = WIRE_CALL, .number = 77, .call = CALL_READ }, m;

	(void)unused;
	one_drain(&o);
	one_input(&o, &one_peer, &call, 0);
	assert_true(one_sent(&o, &one_peer, WIRE_REPLY, &m));
	assert_int_equal(m.number, 77);
	assert_int_equal(m.status, REPLY_OK);
	call = (struct cluster_wire){
		.kind = WIRE_CALL, .number = 78, .call = CALL_HTTP, .rest = STR("GET /")
	};
	one_input(&o, &one_peer, &call, 0);
	one_input(&o, &one_peer, &call, 0);
	assert_int_equal(o.asked, 1);
	cluster_served(o.cluster, o.now, o.asked_request, STR("200"));
	one_drain(&o);
	assert_true(one_sent(&o, &one_peer, WIRE_REPLY, &m));
	assert_true(str_eq(m.rest, STR("200")));
	call.number = 79;
	one_input(&o, &one_peer, &call, 0);
	one_input(&o, &one_peer, &(struct cluster_wire){ .kind = WIRE_CANCEL, .number = 79 }, 0);
	assert_int_equal(o.dropped, 1);
	one_free(&o);
}

static void
what_no_agent_may_ask_for_never_gets_into_the_log(void **unused)
{
	struct one o = one_new((struct cluster_config){ .server = true, .bootstrap = true });
	struct fsm_op *op = mem_new(struct fsm_op);
	struct cluster_wire call = { .kind = WIRE_CALL, .call = CALL_WRITE, .number = 1 }, m;
	struct buf b;

	(void)unused;
	one_drain(&o);
	call.rest = STR("rubbish");
	one_input(&o, &one_peer, &call, 0);
	assert_true(one_sent(&o, &one_peer, WIRE_REPLY, &m));
	assert_int_equal(m.status, REPLY_INPUT);
	op->command = FSM_SESSION_END;
	op->cause = FSM_EXPIRED;
	op->agent = one_peer;
	op->epoch = (struct epoch){ 1, 1 };
	op->request = 1;
	for (int round = 0; round < 2; round++) {
		buf_init(&b, 1 << 20);
		assert_int_equal(fsm_op_write(&b, op, NULL), 0);
		call.rest = buf_str(&b);
		call.number++;
		one_input(&o, &one_peer, &call, 0);
		buf_done(&b);
		assert_true(one_sent(&o, &one_peer, WIRE_REPLY, &m));
		assert_int_equal(m.number, call.number);
		assert_int_equal(m.status, REPLY_INPUT);
		op->cause = FSM_DESTROYED; /* that it may, but not for somebody else */
		op->agent = one_third;
	}
	free(op);
	one_free(&o);
}

/* After a start. */

#define BACK_SELF 11 /* Raft ids */
#define BACK_PEER 12

/* A server that comes back with a log of two entries: both voters, then key "a". */
static struct one
one_back(void)
{
	const struct raft_core_server servers[] = { { BACK_SELF, one_self, RAFT_CORE_VOTER },
		{ BACK_PEER, one_peer, RAFT_CORE_VOTER } };
	struct one o = { .now = { 100 * NSEC_SEC, 1700000000000 } };
	struct cluster_config config = {
		.server = true,
		.self = one_self,
		.epoch = { 1, 78 },
		.suspicion_max = 10 * NSEC_SEC,
	};
	struct raft_log_entry entries[2] = { { 0 } };
	struct fsm_op *op = mem_new(struct fsm_op);
	struct cluster_disk disk = { .vote = { .term = 1,
					 .raft_id = BACK_SELF,
					 .cluster_id = { { 7 } },
					 .flags = 1 | 2 /* formed, open */ } };
	struct cluster_member peer = server_member(&one_peer);
	struct buf b, kv;

	buf_init(&b, 4096);
	buf_init(&kv, 4096);
	assert_int_equal(raft_core_config_entry(1, 1, servers, 2, &b, &entries[0], NULL), 0);
	*op = (struct fsm_op){ .command = FSM_KV, .kv_count = 1 };
	op->kv[0] = (struct kv_op){ KV_SET, STR("a"), STR("1"), 0, 0, STR_NONE };
	assert_int_equal(fsm_op_write(&kv, op, NULL), 0);
	free(op);
	entries[1] = (struct raft_log_entry){
		.index = 2, .term = 1, .type = 1 /* a command */, .bytes = buf_str(&kv)
	};
	disk.found = (struct raft_core_found){ .term = 1, .entries = entries, .count = 2 };
	disk.fsm = fsm_new(NULL);
	o.last = 2;
	o.store = one_store(o.now);
	config.store = o.store;
	config.watches = store_watches(o.store);
	assert_int_equal(cluster_new(&config, &disk, 42, o.now, &o.cluster, NULL), 0);
	buf_done(&b);
	buf_done(&kv);
	one_drain(&o);
	peer.raft_id = BACK_PEER;
	one_member(&o, &peer);
	return o;
}

/* The leader of term 2 is heard. */
static void
back_leader(struct one *o, uint64_t index, uint64_t index_term, uint64_t commit, size_t count)
{
	struct raft_wire raft = { .kind = RAFT_WIRE_APPEND,
		.cluster = { { 7 } },
		.from = BACK_PEER,
		.to = BACK_SELF,
		.term = 2,
		.index = index,
		.index_term = index_term,
		.commit = commit,
		.count = count };
	struct cluster_wire m = { .kind = WIRE_RAFT,
		.cluster = { { 7 } },
		.from = BACK_PEER,
		.to = BACK_SELF,
		.open = true };
	struct buf b;

	buf_init(&b, 4096);
	raft_wire_write(&b, &raft);
	for (size_t i = 0; i < count; i++)
		raft_wire_entry_write(
		    &b, &(struct raft_log_entry){
			    .index = index + 1 + i, .term = 2, .type = 2 /* a barrier */ });
	m.rest = buf_str(&b);
	one_input(o, &one_peer, &m, 0);
	buf_done(&b);
}

static void
a_copy_is_read_stale_once_it_is_in_step(void **unused)
{
	struct one o = one_back();

	(void)unused;
	assert_false(cluster_readable(o.cluster, o.now, CLUSTER_STALE));
	assert_false(cluster_status(o.cluster, o.now).in_step);
	back_leader(&o, 2, 1, 0, 0); /* it has committed nothing of its own yet */
	assert_false(cluster_readable(o.cluster, o.now, CLUSTER_STALE));
	back_leader(&o, 2, 1, 0, 1);
	assert_false(cluster_readable(o.cluster, o.now, CLUSTER_STALE));
	back_leader(&o, 3, 2, 3, 0);
	assert_true(cluster_readable(o.cluster, o.now, CLUSTER_STALE));
	assert_true(cluster_status(o.cluster, o.now).in_step);
	assert_int_equal(keys_count(fsm_keys(cluster_fsm(o.cluster))), 1);
	one_free(&o);
}

/* What the first leader had committed counts, also where an entry of its term comes before. */
static void
a_copy_is_in_step_with_all_that_was_committed(void **unused)
{
	struct one o = one_back();

	(void)unused;
	back_leader(&o, 2, 1, 4, 1);
	assert_false(cluster_readable(o.cluster, o.now, CLUSTER_STALE));
	back_leader(&o, 3, 2, 4, 1);
	assert_true(cluster_readable(o.cluster, o.now, CLUSTER_STALE));
	one_free(&o);
}

static void
without_a_leader_a_copy_is_read_as_it_is(void **unused)
{
	struct one o = one_back();
	uint64_t read;

	(void)unused;
	back_leader(&o, 2, 1, 2, 0); /* and then no more */
	assert_int_equal(keys_count(fsm_keys(cluster_fsm(o.cluster))), 1);
	read = cluster_read(o.cluster, o.now, CLUSTER_STALE);
	one_run(&o, NSEC_SEC);
	assert_null(one_answer(&o, read)); /* there may be a leader */
	one_run(&o, 8 * NSEC_SEC);
	assert_non_null(one_answer(&o, read));
	assert_int_equal(one_answer(&o, read)->code, 0);
	assert_false(cluster_status(o.cluster, o.now).in_step);
	one_run(&o, 5 * NSEC_SEC);
	assert_true(cluster_status(o.cluster, o.now).in_step);
	assert_true(cluster_readable(o.cluster, o.now, CLUSTER_STALE));
	one_free(&o);
}

/* Messages. */

static void
every_message_survives_its_truncations(void **unused)
{
	struct cluster_wire m = { .cluster = { { 7, 8 } },
		.leader = { { 3 } },
		.from = 5,
		.to = 6,
		.open = true,
		.number = 9,
		.index = 10,
		.term = 11,
		.seen = 12,
		.call = CALL_HTTP,
		.status = REPLY_UNSURE };
	struct cluster_wire back;
	struct buf b;

	(void)unused;
	for (int kind = WIRE_RAFT; kind <= WIRE_LEADER; kind++) {
		m.kind = (enum cluster_wire_kind)kind;
		m.rest = kind <= WIRE_REPLY ? STR("abc") : STR_NONE;
		buf_init(&b, 1024);
		cluster_wire_write(&b, &m);
		assert_int_equal(cluster_wire_read(buf_str(&b), &back, NULL), 0);
		assert_int_equal(back.kind, kind);
		assert_true(str_eq(back.rest, m.rest));
		for (size_t n = 0; n + m.rest.n < b.n; n++)
			assert_int_equal(
			    cluster_wire_read(str_head(buf_str(&b), n), &back, NULL), ERR_INPUT);
		buf_done(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_server_takes_a_write_at_once),
		cmocka_unit_test(a_write_is_answered_once_it_is_on_the_disk),
		cmocka_unit_test(a_write_is_refused_while_the_disk_takes_none),
		cmocka_unit_test(a_write_on_its_way_to_a_disk_that_takes_none_is_told_why),
		cmocka_unit_test(reads_are_answered),
		cmocka_unit_test(a_place_to_join_is_tried_first),
		cmocka_unit_test(nobody_founds_beside_a_formed_cluster),
		cmocka_unit_test(without_a_leader_a_request_fails_within_seconds),
		cmocka_unit_test(an_agent_finds_the_leader_and_asks_it),
		cmocka_unit_test(a_term_that_came_to_nothing_does_not_hide_the_leader),
		cmocka_unit_test(a_lost_connection_asks_again_only_what_reads),
		cmocka_unit_test(reads_of_one_moment_share_a_call),
		cmocka_unit_test(a_call_is_served_once),
		cmocka_unit_test(what_no_agent_may_ask_for_never_gets_into_the_log),
		cmocka_unit_test(a_copy_is_read_stale_once_it_is_in_step),
		cmocka_unit_test(a_copy_is_in_step_with_all_that_was_committed),
		cmocka_unit_test(without_a_leader_a_copy_is_read_as_it_is),
		cmocka_unit_test(every_message_survives_its_truncations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What nobody pushed: announcements, wants, comparisons, streams. */
#include <stdio.h>
#include <stdlib.h>

#include "kv/spread_priv.h"
#include "tests/unit/spread_net.h"
#include "tests/unit/test.h"

static struct net *
pool(size_t count)
{
	struct net *net = net_new(count, 11);

	net_start_all(net);
	assert_true(net_run_until_equal(net, 60 * NSEC_SEC, NULL));
	net_run(net, 12 * NSEC_SEC);
	return net;
}

static void
put_many(struct net *net, size_t node, int from, int to)
{
	char key[16];

	for (int i = from; i < to; i++) {
		snprintf(key, sizeof key, "key-%d", i);
		net_put(net, node, key, "0123456789012345678901234567890123456789");
	}
}

static void
equal_pools_are_quiet(void **unused)
{
	struct net *net = pool(30);
	uint64_t bytes = 0;

	(void)unused;
	for (size_t i = 0; i < 30; i++)
		net->nodes[i].bytes_out = net->nodes[i].datagrams_out = net->nodes[i].streams = 0;
	net_run(net, 100 * NSEC_SEC);
	for (size_t i = 0; i < 30; i++) {
		bytes += net->nodes[i].bytes_out;
		assert_in_range(net->nodes[i].datagrams_out, 15, 27); /* one in 5 s, about */
		assert_int_equal(net->nodes[i].streams, 0);
	}
	assert_true(bytes / 30 / 20 <= 60);
	net_free(net);
}

/* The push is lost to one; the announcement a moment later makes it ask. */
static void
a_lost_push_is_asked_for_after_the_announcement(void **unused)
{
	struct net *net = pool(4);

	(void)unused;
	net_cut(net, 0, 3, true);
	net_put(net, 0, "web", "80");
	net_changed(net, 0);
	net_run(net, 2 * NSEC_MS);
	assert_string_equal(net_get(net, 1, 0, "web"), "80");
	assert_string_equal(net_get(net, 3, 0, "web"), "");
	net_run(net, 110 * NSEC_MS); /* from 1 or 2 */
	assert_string_equal(net_get(net, 3, 0, "web"), "80");
	net_free(net);
}

/* Everything that was told at once is lost: the gap is seen at the next push, and asked for. */
static void
a_gap_is_asked_for_at_once(void **unused)
{
	struct net *net = pool(2);
	uint64_t streams = net->nodes[1].streams;

	(void)unused;
	net_cut(net, 0, 1, true);
	put_many(net, 0, 0, 100);
	net_changed(net, 0);
	net_cut(net, 0, 1, false);
	net_put(net, 0, "last", "1");
	net_changed(net, 0);
	net_run(net, NSEC_MS);
	assert_string_equal(net_get(net, 1, 0, "last"), "1"); /* used over the gap */
	assert_string_equal(net_get(net, 1, 0, "key-0"), "");
	net_run(net, 3 * NSEC_MS);
	assert_true(net_equal(net));
	assert_int_equal(spread_stats(net->nodes[1].spread).wanted, 1); /* one in flight */
	assert_int_equal(net->nodes[1].streams, streams);
	net_free(net);
}

static void
a_want_that_got_no_answer_is_tried_elsewhere_and_given_up(void **unused)
{
	struct net *net = pool(3);
	struct uuid stranger = { { 0xab } };
	struct digest d = { .owner = stranger, .epoch = { 1, 1 }, .number = 9 };
	char room[200];
	struct writer w = wr_of(room, sizeof room);

	(void)unused;
	wr_u8(&w, SPREAD_M_ANNOUNCE);
	spread_id_write(&w, &net->nodes[1].id);
	digest_write(&w, &d);
	net_input(net, 0, wr_done(&w));
	net_input(net, 0, wr_done(&w));
	assert_int_equal(net->nodes[0].spread->want_count, 1);
	net_run(net, 4 * NSEC_SEC); /* 0.25, 0.5, 1 and 2 s */
	assert_int_equal(net->nodes[0].spread->want_count, 0);
	assert_int_equal(spread_stats(net->nodes[0].spread).wanted, SPREAD_WANT_TRIES);
	net_free(net);
}

/* A pool of many owners: one that differs costs a hash of buckets, not all digests. */
static void
one_owner_of_many_is_found_by_buckets(void **unused)
{
	struct net *net = pool(2);
	struct digest d;
	uint64_t bytes;

	(void)unused;
	/* 300 more owners that both know; then one changes on one side only. */
	for (int i = 0; i < 300; i++) {
		struct uuid id = { { (uint8_t)(i * 7), (uint8_t)i, (uint8_t)(i >> 8), 1 } };
		struct store_needs needs;

		for (size_t n = 0; n < 2; n++) {
			store_member(net->nodes[n].store, net->now, &id, STORE_MEMBER_ALIVE, 0);
			d = (struct digest){ .hash = 0 };
			store_baseline(net->nodes[n].store, net->now, &id, (struct epoch){ 1, 1 },
			    d.hash, &needs);
			assert_false(needs.range);
		}
		if (i == 77) {
			struct record r = { NET_KIND, false, 2, STR("k"), STR("v") };

			store_push(
			    net->nodes[0].store, net->now, &id, (struct epoch){ 1, 1 }, &r, &needs);
		}
	}
	assert_false(net_equal(net));
	net->nodes[0].bytes_out = net->nodes[1].bytes_out = 0;
	net->nodes[1].streams = 0;
	net_run(net, 7 * NSEC_SEC);
	assert_true(net_equal(net));
	bytes = net->nodes[0].bytes_out + net->nodes[1].bytes_out;
	assert_true(bytes < 3000);
	assert_int_equal(net->nodes[1].streams, 0);
	net_free(net);
}

static void
who_was_cut_off_catches_up_when_it_is_back(void **unused)
{
	struct net *net = pool(5);
	nsec took;

	(void)unused;
	for (size_t i = 0; i < 4; i++)
		net_cut(net, i, 4, true);
	net_run(net, 3 * NSEC_SEC);
	for (size_t i = 0; i < 4; i++)
		net_part(net, i, 4, STORE_MEMBER_FAILED);
	put_many(net, 0, 0, 50);
	net_changed(net, 0);
	put_many(net, 4, 0, 5);
	net_changed(net, 4);
	net_run(net, 20 * NSEC_SEC);
	for (size_t i = 0; i < 4; i++)
		net_cut(net, i, 4, false);
	for (size_t i = 0; i < 4; i++)
		net_meet(net, i, 4);
	assert_true(net_run_until_equal(net, 10 * NSEC_SEC, &took));
	assert_true(took < NSEC_SEC);
	net_free(net);
}

/* A newcomer takes all in one exchange, and gives what it has. */
static void
a_newcomer_syncs_by_one_stream(void **unused)
{
	struct net *net = net_new(6, 3);
	uint64_t streams = 0;
	nsec took;

	(void)unused;
	for (size_t i = 0; i < 6; i++) {
		net_start(net, i);
		put_many(net, i, 0, 300);
		store_baseline_end(net->nodes[i].store, net->now);
		net_changed(net, i);
	}
	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < i; j++)
			net_meet(net, i, j);
	assert_true(!net_equal(net));
	net_run(net, 20 * NSEC_SEC);
	for (size_t i = 0; i < 6; i++)
		net->nodes[i].streams = 0;
	for (size_t i = 0; i < 5; i++)
		net_meet(net, i, 5);
	assert_true(net_run_until_equal(net, 10 * NSEC_SEC, &took));
	assert_true(took < NSEC_SEC);
	assert_int_equal(net->nodes[5].synced, 1);
	assert_int_equal(net->nodes[5].streams, 2); /* SYNC, GIVE */
	for (size_t i = 0; i < 5; i++)
		streams += net->nodes[i].streams;
	assert_true(streams <= 5);
	net_free(net);
}

static void
large_states_go_in_several_answers(void **unused)
{
	struct net *net = net_new(2, 3);
	char *body = malloc(400001), key[16];

	(void)unused;
	memset(body, 'x', 400000);
	body[400000] = '\0';
	net_start_all(net);
	net_run(net, NSEC_SEC);
	net_cut(net, 0, 1, true);
	for (int i = 0; i < 30; i++) { /* 12 MB on each side */
		snprintf(key, sizeof key, "key-%d", i);
		net_put(net, 0, key, body);
		net_put(net, 1, key, body);
	}
	net_changed(net, 0);
	net_changed(net, 1);
	net_cut(net, 0, 1, false);
	net->nodes[0].streams = net->nodes[1].streams = net->nodes[0].synced = 0;
	spread_sync(net->nodes[0].spread, net->now, &net->nodes[1].id);
	net_drain(net, 0);
	assert_true(net_run_until_equal(net, 2 * NSEC_SEC, NULL));
	net_run(net, 100 * NSEC_MS);
	assert_int_equal(net->nodes[0].synced, 1);
	assert_true(net->nodes[0].streams >= 6); /* three of 4 MiB each way */
	free(body);
	net_free(net);
}

/* Neither an announcement nor the next comparison is waited for. */
static void
what_a_peer_has_newer_is_pulled(void **unused)
{
	struct net *net = net_new(2, 3);
	const struct uuid stranger = { { 250 } };

	(void)unused;
	net_start_all(net);
	net_run(net, 10 * NSEC_SEC);
	net->loss = 1000; /* of datagrams */
	net_put(net, 1, "key", "new");
	net_changed(net, 1);
	net->nodes[0].streams = 0;
	spread_pull(net->nodes[0].spread, net->now, &stranger);
	net_drain(net, 0);
	net_run(net, 20 * NSEC_MS);
	assert_int_equal(net->nodes[0].streams, 0);
	assert_false(net_equal(net));
	spread_pull(net->nodes[0].spread, net->now, &net->nodes[1].id);
	net_drain(net, 0);
	net_run(net, 20 * NSEC_MS);
	assert_true(net_equal(net));
	net_free(net);
}

static void
a_failed_sync_is_tried_with_another_peer(void **unused)
{
	struct net *net = net_new(3, 3);

	(void)unused;
	net_start_all(net);
	net_run(net, 10 * NSEC_SEC);
	net->nodes[0].synced = 0;
	net_cut(net, 0, 1, true);
	spread_sync(net->nodes[0].spread, net->now, &net->nodes[1].id);
	net_drain(net, 0);
	net_run(net, 10 * NSEC_SEC);
	assert_true(net->nodes[0].synced >= 1);
	net_free(net);
}

static void
few_streams_at_once_and_one_for_a_peer(void **unused)
{
	struct net *net = net_new(40, 3);
	struct spread *s;

	(void)unused;
	net_start_all(net);
	net_run(net, 10 * NSEC_SEC);
	s = net->nodes[0].spread;
	for (size_t i = 1; i < 40; i++) {
		spread_sync(s, net->now, &net->nodes[i].id);
		spread_sync(s, net->now, &net->nodes[i].id);
		assert_true(s->ask_running <= SPREAD_ASKS_RUNNING);
	}
	assert_true(s->ask_count <= SPREAD_ASKS_MAX);
	net->nodes[0].synced = 0;
	net_drain(net, 0);
	net_run(net, NSEC_SEC);
	assert_in_range(net->nodes[0].synced, 39, 43);
	assert_int_equal(s->ask_count, 0);
	net_free(net);
}

/* Only the owner's word counts where numbers are equal and hashes are not (RULES 1). */
static void
a_wrong_copy_is_replaced_by_its_owner(void **unused)
{
	struct net *net = pool(3);
	struct record r = { NET_KIND, false, 2, STR("wrong"), STR("x") };
	struct store_needs needs;
	nsec took;

	(void)unused;
	net_cut(net, 0, 1, true);
	net_put(net, 0, "right", "1");
	net_changed(net, 0);
	net_cut(net, 0, 1, false);
	store_push(net->nodes[1].store, net->now, &net->nodes[0].id,
	    spread_held(net->nodes[0].spread, &net->nodes[0].id).epoch, &r, &needs);
	assert_string_equal(net_get(net, 1, 0, "wrong"), "x");
	assert_true(net_run_until_equal(net, 30 * NSEC_SEC, &took));
	assert_string_equal(net_get(net, 1, 0, "wrong"), "");
	assert_string_equal(net_get(net, 1, 0, "right"), "1");
	net_free(net);
}

static void
push_pull_states_repair_too(void **unused)
{
	struct net *net = net_new(2, 3);
	struct buf state;

	(void)unused;
	net->spread.repair_interval = NSEC_HOUR;
	net->spread.announce_after = NSEC_HOUR;
	net_start_all(net);
	net_run(net, 10 * NSEC_SEC);
	net_cut(net, 0, 1, true);
	net_put(net, 0, "web", "80");
	net_changed(net, 0);
	net_cut(net, 0, 1, false);
	net_run(net, 10 * NSEC_SEC);
	assert_string_equal(net_get(net, 1, 0, "web"), "");
	for (size_t i = 0; i < 2; i++) {
		buf_init(&state, 4096);
		spread_digest_write(net->nodes[i].spread, net->now, &state);
		assert_in_range(state.n, 500, 700);
		spread_digest_read(net->nodes[1 - i].spread, net->now, buf_str(&state));
		net_drain(net, 1 - i);
		buf_done(&state);
	}
	net_run(net, 2 * NSEC_SEC);
	assert_string_equal(net_get(net, 1, 0, "web"), "80");
	net_free(net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_pools_are_quiet),
		cmocka_unit_test(a_lost_push_is_asked_for_after_the_announcement),
		cmocka_unit_test(a_gap_is_asked_for_at_once),
		cmocka_unit_test(a_want_that_got_no_answer_is_tried_elsewhere_and_given_up),
		cmocka_unit_test(one_owner_of_many_is_found_by_buckets),
		cmocka_unit_test(who_was_cut_off_catches_up_when_it_is_back),
		cmocka_unit_test(a_newcomer_syncs_by_one_stream),
		cmocka_unit_test(large_states_go_in_several_answers),
		cmocka_unit_test(what_a_peer_has_newer_is_pulled),
		cmocka_unit_test(a_failed_sync_is_tried_with_another_peer),
		cmocka_unit_test(few_streams_at_once_and_one_for_a_peer),
		cmocka_unit_test(a_wrong_copy_is_replaced_by_its_owner),
		cmocka_unit_test(push_pull_states_repair_too),
	};

	return cmocka_run_group_tests_name("spread: repair", tests, NULL, NULL);
}

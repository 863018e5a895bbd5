/* The tree: who gets which bytes, how often, and what is not pushed at all. */
#include <stdio.h>
#include <stdlib.h>

#include "kv/spread_priv.h"
#include "tests/unit/spread_net.h"
#include "tests/unit/test.h"

static struct net *
pool(size_t count, unsigned direct_max)
{
	struct net *net = net_new(count, 7);

	net->spread.direct_max = direct_max;
	net_start_all(net);
	assert_true(net_run_until_equal(net, 60 * NSEC_SEC, NULL));
	net_run(net, 2 * NSEC_SEC);
	for (size_t i = 0; i < count; i++)
		net->nodes[i].payloads = 0;
	return net;
}

static uint64_t
payloads(const struct net *net, uint64_t *most)
{
	uint64_t sum = 0;

	*most = 0;
	for (size_t i = 0; i < net->count; i++) {
		sum += net->nodes[i].payloads;
		*most = net->nodes[i].payloads > *most ? net->nodes[i].payloads : *most;
	}
	return sum;
}

static void
assert_everywhere(const struct net *net, size_t owner, const char *key, const char *want)
{
	for (size_t i = 0; i < net->count; i++)
		if (net->nodes[i].store != NULL)
			assert_string_equal(net_get(net, i, owner, key), want);
}

static void
each_gets_it_once_in_a_small_pool(void **unused)
{
	struct net *net = pool(30, 0);
	uint64_t most;

	(void)unused;
	net_put(net, 3, "web", "80");
	net_changed(net, 3);
	assert_int_equal(spread_stats(net->nodes[3].spread).pushed, 29);
	net_run(net, NSEC_MS);
	assert_everywhere(net, 3, "web", "80");
	assert_int_equal(payloads(net, &most), 29);
	assert_int_equal(most, 1);
	net_free(net);
}

static void
each_gets_it_once_in_a_tree(void **unused)
{
	struct net *net = pool(120, 8);
	uint64_t most, before;

	(void)unused;
	before = spread_stats(net->nodes[3].spread).pushed;
	net_put(net, 3, "web", "80");
	net_changed(net, 3);
	assert_int_equal(spread_stats(net->nodes[3].spread).pushed - before, 8);
	net_run(net, 3 * NSEC_MS); /* three levels */
	assert_everywhere(net, 3, "web", "80");
	assert_int_equal(payloads(net, &most), 119);
	assert_int_equal(most, 1);
	net_free(net);
}

static void
nobody_is_reached_through_a_doubtful_peer(void **unused)
{
	struct net *net = pool(40, 4);
	uint64_t most;

	(void)unused;
	/* A third stands still, and the others have begun to doubt it. */
	for (size_t i = 0; i < 40; i++)
		for (size_t j = 0; j < 40; j += 3) {
			if (i % 3 != 0)
				spread_peer(net->nodes[i].spread, net->now, &net->nodes[j].id,
				    SPREAD_DOUBTFUL);
			net->cut[j * 40 + i] = true; /* nothing comes from it */
		}
	net_put(net, 1, "web", "80");
	net_changed(net, 1);
	net_run(net, 5 * NSEC_MS);
	assert_everywhere(net, 1, "web", "80"); /* those in doubt are still told */
	assert_int_equal(payloads(net, &most), 39);
	net_free(net);
}

static void
who_was_left_out_by_a_dead_branch_is_soon_told(void **unused)
{
	struct net *net = pool(60, 4);
	nsec took;

	(void)unused;
	for (size_t dead = 10; dead < 20; dead++)
		net_stop(net, dead);
	net_put(net, 1, "web", "80");
	net_changed(net, 1);
	assert_true(net_run_until_equal(net, 5 * NSEC_SEC, &took));
	assert_everywhere(net, 1, "web", "80");
	assert_true(took < NSEC_SEC);
	net_free(net);
}

static void
a_thousand_records_at_once(void **unused)
{
	struct net *net = pool(5, 0);
	struct spread_stats before = spread_stats(net->nodes[0].spread);
	uint64_t most;
	char key[16];

	(void)unused;
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "key-%d", i);
		net_put(net, 0, key, "0123456789012345678901234567890123456789");
	}
	net_changed(net, 0);
	net_run(net, 5 * NSEC_MS);
	assert_true(net_equal(net));
	assert_everywhere(net, 0, "key-999", "0123456789012345678901234567890123456789");
	/* About 55 bytes each: as few datagrams as hold them. */
	assert_in_range(payloads(net, &most), 4 * 35, 4 * 50);
	assert_in_range(spread_stats(net->nodes[0].spread).pushed - before.pushed, 4 * 35, 4 * 50);
	net_free(net);
}

/* Overwritten before they were told: no gap, nobody asks. */
static void
numbers_that_were_overwritten_leave_no_gap(void **unused)
{
	struct net *net = pool(3, 0);
	uint64_t wanted = spread_stats(net->nodes[1].spread).wanted;

	(void)unused;
	net_put(net, 0, "a", "1");
	net_put(net, 0, "a", "2");
	net_put(net, 0, "b", "1");
	net_put(net, 0, "a", "3");
	net_changed(net, 0);
	net_run(net, NSEC_MS);
	assert_true(net_equal(net));
	assert_int_equal(spread_stats(net->nodes[1].spread).wanted, wanted);
	net_free(net);
}

static void
a_large_record_is_announced_at_once_and_fetched(void **unused)
{
	struct net *net = pool(4, 0);
	char *body = malloc(100001);

	(void)unused;
	memset(body, 'x', 100000);
	body[100000] = '\0';
	net_put(net, 0, "before", "1");
	net_put(net, 0, "large", body);
	net_put(net, 0, "after", "1");
	net_changed(net, 0);
	net_run(net, NSEC_MS);
	assert_everywhere(net, 0, "before", "1");
	assert_everywhere(net, 0, "after", "1"); /* over the gap */
	assert_string_equal(net_get(net, 1, 0, "large"), "");
	net_run(net, 20 * NSEC_MS);
	assert_true(net_equal(net));
	assert_int_equal(strlen(net_get(net, 1, 0, "large")), 255);
	free(body);
	net_free(net);
}

static void
above_the_budget_it_is_announced_and_fetched(void **unused)
{
	struct net *net = net_new(4, 5);
	char key[16];

	(void)unused;
	net->spread.push_rate = 1000;
	net->spread.push_burst = 8000;
	net_start_all(net);
	assert_true(net_run_until_equal(net, 10 * NSEC_SEC, NULL));
	for (int i = 0; i < 400; i++) {
		snprintf(key, sizeof key, "key-%d", i);
		net_put(net, 0, key, "0123456789012345678901234567890123456789");
	}
	net_changed(net, 0);
	assert_true(spread_stats(net->nodes[0].spread).held_back > 0);
	net_run(net, 50 * NSEC_MS);
	assert_true(net_equal(net));
	net_free(net);
}

/* One entry of the Raft log may change several records under one number: they go together, and
 * numbers between such entries are no gaps. */
static void
records_of_one_number_stay_together(void **unused)
{
	struct net *net = pool(3, 0);
	char key[16];

	(void)unused;
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof key, "n%d", i);
		store_put(net->nodes[0].store, net->now, &net_cluster, NET_KIND, str_of(key),
		    STR("0123456789012345678901234567890123456789"), NULL);
	}
	net_changed(net, 0);
	net_run(net, 50 * NSEC_MS);
	assert_true(net_equal(net));
	net_free(net);
}

/* A baseline is told by its hash: who holds the same takes the label, without one record sent. */
static void
the_same_baseline_costs_a_hash(void **unused)
{
	struct net *net = pool(3, 0);
	struct spread_stats before;
	struct digest d;

	(void)unused;
	net_put(net, 0, "web", "80");
	net_changed(net, 0);
	net_run(net, NSEC_SEC);
	before = spread_stats(net->nodes[1].spread);
	store_epoch_begin(net->nodes[0].store, net->now, (struct epoch){ 2, 5 });
	net_changed(net, 0);
	net_run(net, NSEC_MS);
	d = spread_held(net->nodes[1].spread, &net->nodes[0].id);
	assert_int_equal(d.epoch.counter, 2);
	assert_int_equal(d.number, 1);
	assert_string_equal(net_get(net, 1, 0, "web"), "80");
	assert_int_equal(spread_stats(net->nodes[1].spread).wanted, before.wanted);
	net_put(net, 0, "web", "81");
	net_changed(net, 0);
	net_run(net, NSEC_MS);
	assert_string_equal(net_get(net, 1, 0, "web"), "81");
	net_free(net);
}

static void
another_baseline_is_fetched_whole(void **unused)
{
	struct net *net = pool(3, 0);

	(void)unused;
	net_put(net, 0, "old", "1");
	net_put(net, 0, "web", "80");
	net_changed(net, 0);
	net_run(net, NSEC_SEC);
	net_stop(net, 0);
	net_start(net, 0);
	net_meet(net, 0, 1);
	net_meet(net, 0, 2);
	net_put(net, 0, "web", "81");
	net_changed(net, 0); /* nothing is told before the baseline ends */
	net_run(net, NSEC_SEC);
	assert_string_equal(net_get(net, 1, 0, "old"), "1");
	assert_string_equal(net_get(net, 1, 0, "web"), "80");
	store_baseline_end(net->nodes[0].store, net->now);
	net_changed(net, 0);
	net_run(net, 5 * NSEC_MS);
	assert_string_equal(net_get(net, 1, 0, "old"), "");
	assert_string_equal(net_get(net, 2, 0, "web"), "81");
	net_free(net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_gets_it_once_in_a_small_pool),
		cmocka_unit_test(each_gets_it_once_in_a_tree),
		cmocka_unit_test(nobody_is_reached_through_a_doubtful_peer),
		cmocka_unit_test(who_was_left_out_by_a_dead_branch_is_soon_told),
		cmocka_unit_test(a_thousand_records_at_once),
		cmocka_unit_test(numbers_that_were_overwritten_leave_no_gap),
		cmocka_unit_test(a_large_record_is_announced_at_once_and_fetched),
		cmocka_unit_test(above_the_budget_it_is_announced_and_fetched),
		cmocka_unit_test(records_of_one_number_stay_together),
		cmocka_unit_test(the_same_baseline_costs_a_hash),
		cmocka_unit_test(another_baseline_is_fetched_whole),
	};

	return cmocka_run_group_tests_name("spread: push", tests, NULL, NULL);
}

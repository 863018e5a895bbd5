/* Spreading: life, peers, what is said of ourselves, certificates, bad input. */
#include "kv/spread_priv.h"
#include "tests/unit/spread_net.h"
#include "tests/unit/test.h"

static struct net *
pool(size_t count)
{
	struct net *net = net_new(count, 1);

	net_start_all(net);
	assert_true(net_run_until_equal(net, 10 * NSEC_SEC, NULL));
	net_run(net, 2 * NSEC_SEC);
	return net;
}

static void
a_change_is_everywhere_after_one_way(void **unused)
{
	struct net *net = pool(5);

	(void)unused;
	for (size_t i = 0; i < 5; i++)
		net->nodes[i].payloads = 0;
	net_put(net, 0, "web", "80");
	net_changed(net, 0);
	net_run(net, net->delay_max);
	for (size_t i = 1; i < 5; i++) {
		assert_string_equal(net_get(net, i, 0, "web"), "80");
		assert_int_equal(net->nodes[i].payloads, 1);
	}
	net_remove(net, 0, "web");
	net_changed(net, 0);
	net_run(net, net->delay_max);
	assert_string_equal(net_get(net, 3, 0, "web"), "");
	net_free(net);
}

static void
peers_are_sorted_and_down_ones_forgotten(void **unused)
{
	struct net *net = pool(5);
	struct spread *s = net->nodes[0].spread;

	(void)unused;
	assert_int_equal(s->peer_count, 4);
	assert_int_equal(s->up_count, 4);
	for (size_t i = 1; i < 4; i++)
		assert_true(uuid_cmp(&s->peers[i - 1].id, &s->peers[i].id) < 0);
	spread_peer(s, net->now, &net->nodes[2].id, SPREAD_DOUBTFUL);
	assert_int_equal(s->up_count, 3);
	spread_peer(s, net->now, &net->nodes[2].id, SPREAD_DOWN);
	spread_peer(s, net->now, &net->nodes[3].id, SPREAD_DOWN);
	spread_peer(s, net->now, &net->nodes[3].id, SPREAD_DOWN);
	spread_peer(s, net->now, &net->nodes[0].id, SPREAD_UP); /* ourselves */
	assert_int_equal(s->peer_count, 2);
	assert_int_equal(s->up_count, 2);
	assert_null(spread_peer_find(s, &net->nodes[2].id));
	net_free(net);
}

/* Also by an agent that holds external records already; the others are only greeted. */
static void
the_first_peer_is_compared_with_whole(void **unused)
{
	struct net *net = net_new(5, 1);
	const struct uuid cluster = net_cluster;

	(void)unused;
	for (size_t i = 0; i < 5; i++) {
		net_start(net, i);
		if (i == 4)
			store_put(net->nodes[i].store, net->now, &cluster, NET_KIND, STR("x"),
			    STR("1"), NULL);
		store_baseline_end(net->nodes[i].store, net->now);
		net_changed(net, i);
	}
	for (size_t i = 0; i < 4; i++)
		net_meet(net, i, 4);
	net_run(net, NSEC_SEC);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(net->nodes[i].synced, 1);
	net_free(net);
}

/* What was fetched stays until the next call that feeds. */
static void
actions_are_borrowed_until_the_next_call(void **unused)
{
	struct net *net = pool(3);
	struct spread *s = net->nodes[0].spread;
	struct spread_action first, second;

	(void)unused;
	net_put(net, 0, "web", "80");
	spread_changed(s, net->now);
	assert_true(spread_action_next(s, &first));
	assert_true(spread_action_next(s, &second));
	assert_false(uuid_eq(&first.peer, &second.peer));
	assert_int_equal(first.bytes.n, second.bytes.n);
	assert_int_equal(first.bytes.p[0], SPREAD_M_PUSH);
	assert_int_equal(second.bytes.p[0], SPREAD_M_PUSH);
	assert_false(spread_action_next(s, &first));
	net_free(net);
}

static void
stopping_is_told_to_all(void **unused)
{
	struct net *net = pool(5);

	(void)unused;
	spread_peer(net->nodes[0].spread, net->now, &net->nodes[4].id, SPREAD_DOUBTFUL);
	spread_restarting(net->nodes[0].spread, net->now, 30 * NSEC_SEC);
	net_drain(net, 0);
	net_run(net, NSEC_MS);
	for (size_t i = 1; i < 5; i++) {
		assert_int_equal(net->nodes[i].restarts, 1);
		assert_int_equal(net->nodes[i].restart_span, 30 * NSEC_SEC);
	}
	spread_restarting(net->nodes[0].spread, net->now, 30 * NSEC_HOUR);
	net_drain(net, 0);
	net_run(net, NSEC_MS);
	assert_int_equal(net->nodes[1].restart_span, SPREAD_RESTART_MAX);
	net_free(net);
}

/* Two upgrades in a row: the second one's word is no copy of the first one's. */
static void
the_next_life_stops_too(void **unused)
{
	struct net *net = pool(5);

	(void)unused;
	for (uint64_t epoch = 2; epoch < 5; epoch++) {
		spread_restarting(net->nodes[0].spread, net->now, 30 * NSEC_SEC);
		net_drain(net, 0);
		net_run(net, 100 * NSEC_MS);
		for (size_t i = 1; i < 5; i++)
			assert_int_equal(net->nodes[i].restarts, epoch - 1);
		store_epoch_begin(net->nodes[0].store, net->now, (struct epoch){ epoch, epoch });
	}
	net_free(net);
}

static void
say_digest(struct net *net, size_t to, const struct uuid *from, const struct digest *d)
{
	char room[200];
	struct writer w = wr_of(room, sizeof room);

	wr_u8(&w, SPREAD_M_ANNOUNCE);
	spread_id_write(&w, from);
	digest_write(&w, d);
	net_input(net, to, wr_done(&w));
}

static void
another_nonce_under_our_counter_is_a_clone(void **unused)
{
	struct net *net = pool(2);
	struct digest d = spread_held(net->nodes[0].spread, &net->nodes[0].id);

	(void)unused;
	say_digest(net, 0, &net->nodes[1].id, &d);
	assert_int_equal(net->nodes[0].cloned, 0);
	d.epoch.nonce++;
	say_digest(net, 0, &net->nodes[1].id, &d);
	say_digest(net, 0, &net->nodes[1].id, &d);
	assert_int_equal(net->nodes[0].cloned, 1);
	assert_int_equal(net->nodes[0].buried, 0);
	net_free(net);
}

/* Our disk was put back to an older copy: others know a later epoch of ours. */
static void
a_later_epoch_of_ours_asks_for_a_new_one(void **unused)
{
	struct net *net = pool(2);
	struct digest d = spread_held(net->nodes[0].spread, &net->nodes[0].id);

	(void)unused;
	d.epoch = (struct epoch){ 9, 1 };
	say_digest(net, 0, &net->nodes[1].id, &d);
	say_digest(net, 0, &net->nodes[1].id, &d);
	assert_int_equal(net->nodes[0].buried, 1);
	assert_int_equal(net->nodes[0].buried_epoch, 9);
	d.epoch.counter = UINT64_MAX;
	say_digest(net, 0, &net->nodes[1].id, &d);
	assert_int_equal(net->nodes[0].buried, 1);
	net_free(net);
}

/* A forged or torn message made others hold a number of ours that we never gave: they would take
 * what we say from now on for old. */
static void
a_number_we_never_gave_asks_for_a_new_epoch(void **unused)
{
	struct net *net = pool(2);
	struct digest d;

	(void)unused;
	net_put(net, 0, "web", "80");
	net_changed(net, 0);
	net_run(net, NSEC_SEC);
	d = spread_held(net->nodes[0].spread, &net->nodes[0].id);
	say_digest(net, 0, &net->nodes[1].id, &d);
	assert_int_equal(net->nodes[0].buried, 0);
	d.number += 1000;
	say_digest(net, 0, &net->nodes[1].id, &d);
	say_digest(net, 0, &net->nodes[1].id, &d);
	assert_int_equal(net->nodes[0].buried, 1);
	assert_int_equal(net->nodes[0].buried_epoch, d.epoch.counter);
	net_free(net);
}

static nsec
certificate_left(const struct net *net, size_t node)
{
	struct store_certificate c;
	size_t cursor = 0;

	return store_certificate_next(net->nodes[node].store, net->now, &cursor, &c) ? c.left : 0;
}

static void
exchange_states(struct net *net, size_t from, size_t to)
{
	struct buf b;

	buf_init(&b, 65536);
	spread_digest_write(net->nodes[from].spread, net->now, &b);
	spread_digest_read(net->nodes[to].spread, net->now, buf_str(&b));
	net_drain(net, to);
	buf_done(&b);
}

/* 3 is pruned where 0 is; 2, who was away, still has it. */
static void
a_certificate_keeps_the_dead_away(void **unused)
{
	struct net *net = pool(4);
	struct digest d;

	(void)unused;
	net_put(net, 3, "web", "80");
	net_changed(net, 3);
	net_run(net, NSEC_SEC);
	net_stop(net, 3);
	for (size_t i = 0; i < 2; i++)
		net_part(net, i, 3, STORE_MEMBER_GONE);
	net_part(net, 2, 3, STORE_MEMBER_FAILED);
	assert_string_equal(net_get(net, 0, 3, "web"), "");
	assert_string_equal(net_get(net, 2, 3, "web"), "80");
	exchange_states(net, 0, 2);
	assert_string_equal(net_get(net, 2, 3, "web"), "");
	assert_int_equal(certificate_left(net, 2) / NSEC_MIN, 60);
	net_run(net, 30 * NSEC_SEC);
	assert_null(store_owner(net->nodes[0].store, &net->nodes[3].id));
	assert_null(store_owner(net->nodes[1].store, &net->nodes[3].id));
	assert_false(store_digest_of(net->nodes[2].store, &net->nodes[3].id, &d));
	assert_true(net_equal(net));
	net_free(net);
}

/* Whoever compares with one that holds a certificate is told at once, without push/pull. */
static void
a_comparison_brings_the_certificate(void **unused)
{
	struct net *net = pool(4);

	(void)unused;
	net_put(net, 3, "web", "80");
	net_changed(net, 3);
	net_run(net, NSEC_SEC);
	net_stop(net, 3);
	net_part(net, 0, 2, STORE_MEMBER_FAILED);
	net_part(net, 1, 2, STORE_MEMBER_FAILED);
	net_part(net, 2, 3, STORE_MEMBER_FAILED);
	net_cut(net, 0, 2, true);
	net_cut(net, 1, 2, true);
	for (size_t i = 0; i < 2; i++)
		net_part(net, i, 3, STORE_MEMBER_GONE);
	net_run(net, 10 * NSEC_SEC);
	assert_string_equal(net_get(net, 2, 3, "web"), "80");
	for (size_t i = 0; i < 2; i++) {
		net_cut(net, i, 2, false);
		net_meet(net, i, 2);
	}
	net_run(net, NSEC_SEC);
	assert_string_equal(net_get(net, 2, 3, "web"), "");
	assert_true(net_equal(net));
	net_free(net);
}

/* Who was pruned and lives hears it as soon as it says anything. */
static void
the_living_hear_of_their_death_when_they_speak(void **unused)
{
	struct net *net = pool(3);

	(void)unused;
	net_part(net, 0, 2, STORE_MEMBER_GONE);
	net_meet(net, 0, 2);
	assert_int_equal(net->nodes[2].buried, 0);
	net_put(net, 2, "web", "80");
	net_changed(net, 2);
	net_run(net, 10 * NSEC_MS);
	assert_int_equal(net->nodes[2].buried, 1);
	net_free(net);
}

static void
who_hears_of_its_death_begins_anew(void **unused)
{
	struct net *net = pool(3);

	(void)unused;
	net_put(net, 2, "web", "80");
	net_changed(net, 2);
	net_run(net, NSEC_SEC);
	net_part(net, 0, 2, STORE_MEMBER_GONE);
	assert_string_equal(net_get(net, 0, 2, "web"), "");
	net_meet(net, 0, 2);
	exchange_states(net, 0, 2);
	assert_string_equal(net_get(net, 0, 2, "web"), "");
	assert_int_equal(net->nodes[2].buried, 1);
	assert_int_equal(net->nodes[2].buried_epoch, 1);
	exchange_states(net, 0, 2);
	assert_int_equal(net->nodes[2].buried, 1);
	store_epoch_begin(net->nodes[2].store, net->now, (struct epoch){ 2, 22 });
	net_changed(net, 2);
	net_run(net, 10 * NSEC_MS);
	assert_string_equal(net_get(net, 0, 2, "web"), "80");
	assert_string_equal(net_get(net, 1, 2, "web"), "80");
	net_free(net);
}

static void
a_certificate_is_not_renewed_by_going_round(void **unused)
{
	struct net *net = pool(3);
	nsec end;

	(void)unused;
	net_stop(net, 2);
	net_part(net, 0, 2, STORE_MEMBER_GONE); /* for an hour */
	end = net->now.mono + NSEC_HOUR;
	net_part(net, 1, 2, STORE_MEMBER_FAILED);
	for (int i = 0; i < 58; i++) {
		net_run(net, NSEC_MIN);
		exchange_states(net, i & 1, !(i & 1));
		for (size_t n = 0; n < 2; n++)
			assert_true(net->now.mono + certificate_left(net, n) <= end);
	}
	assert_true(certificate_left(net, 1) > 0);
	net_run(net, 3 * NSEC_MIN);
	exchange_states(net, 0, 1);
	exchange_states(net, 1, 0);
	assert_int_equal(certificate_left(net, 0) + certificate_left(net, 1), 0);
	net_free(net);
}

/* Bad input. */

#define SAMPLES_MAX 400
static char samples[SAMPLES_MAX][1400];
static size_t sample_n[SAMPLES_MAX], sample_count;

static void
sample(struct str bytes)
{
	if (sample_count == SAMPLES_MAX || bytes.n > sizeof samples[0])
		return;
	memcpy(samples[sample_count], bytes.p, bytes.n);
	sample_n[sample_count++] = bytes.n;
}

/* Both ends by hand, so that every datagram is seen. */
static void
collect(struct net *net)
{
	struct spread_action a;

	for (int round = 0; round < 6; round++)
		for (size_t i = 0; i < 2; i++) {
			struct str bytes[64];
			size_t n = 0;

			while (n < 64 && spread_action_next(net->nodes[i].spread, &a)) {
				if (a.kind != SPREAD_SEND)
					continue;
				sample(a.bytes);
				bytes[n++] = a.bytes;
			}
			for (size_t k = 0; k < n; k++)
				spread_input(net->nodes[1 - i].spread, net->now, bytes[k]);
		}
}

static void
every_truncation_of_every_message_is_dropped(void **unused)
{
	struct net *net = pool(2), *other = pool(2);
	struct spread_action lost;
	uint64_t kinds = 0;

	(void)unused;
	sample_count = 0;
	net_put(net, 0, "web", "80");
	spread_changed(net->nodes[0].spread, net->now);
	collect(net);
	store_epoch_begin(net->nodes[0].store, net->now, (struct epoch){ 2, 2 });
	spread_changed(net->nodes[0].spread, net->now);
	collect(net);
	net_put(net, 0, "web", "81");
	spread_changed(net->nodes[0].spread, net->now);
	while (spread_action_next(net->nodes[0].spread, &lost))
		;
	spread_compare(net->nodes[1].spread, &net->nodes[0].id);
	collect(net);
	spread_restarting(net->nodes[0].spread, net->now, NSEC_SEC);
	net->now.mono += 200 * NSEC_MS;
	spread_tick(net->nodes[0].spread, net->now);
	collect(net);
	for (size_t i = 0; i < sample_count; i++)
		kinds |= (uint64_t)1 << samples[i][0];
	for (unsigned k = SPREAD_M_PUSH; k <= SPREAD_M_RESTARTING; k++)
		if (k != SPREAD_M_TOO_MUCH && k != SPREAD_M_BUCKETS && k != SPREAD_M_WANT &&
		    (kinds >> k & 1) == 0)
			fail_msg("no sample of kind %u", k);
	for (size_t i = 0; i < sample_count; i++)
		for (size_t n = 0; n < sample_n[i]; n++) {
			struct spread *s = other->nodes[0].spread;
			uint64_t before = spread_stats(s).malformed;

			net_input(other, 0, str_mem(samples[i], n));
			/* Lists without anything in them are well formed. */
			if (spread_stats(s).malformed == before && n > SPREAD_HEAD + 8)
				assert_true(samples[i][0] == SPREAD_M_DIGESTS ||
					    samples[i][0] == SPREAD_M_ANNOUNCE ||
					    samples[i][0] == SPREAD_M_WANT ||
					    samples[i][0] == SPREAD_M_PUSH);
		}
	assert_true(spread_stats(other->nodes[0].spread).malformed > 100);
	net_free(net);
	net_free(other);
}

static void
random_bytes_do_no_harm(void **unused)
{
	struct net *net = pool(2);
	struct rng rng;
	char bytes[1400];

	(void)unused;
	rng_init(&rng, 4);
	for (int i = 0; i < 20000; i++) {
		size_t n = rng_below(&rng, sizeof bytes);

		for (size_t k = 0; k < n; k++)
			bytes[k] = (char)rng_u32(&rng);
		if (n > 0)
			bytes[0] = (char)rng_below(&rng, 12);
		net_input(net, 0, str_mem(bytes, n));
	}
	assert_true(spread_stats(net->nodes[0].spread).malformed > 10000);
	assert_true(net->nodes[0].spread->want_count <= SPREAD_WANTS_MAX);
	net_run(net, 10 * NSEC_SEC);
	net_put(net, 0, "web", "80");
	net_changed(net, 0);
	net_run(net, NSEC_SEC);
	assert_string_equal(net_get(net, 1, 0, "web"), "80");
	net_free(net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_is_everywhere_after_one_way),
		cmocka_unit_test(peers_are_sorted_and_down_ones_forgotten),
		cmocka_unit_test(the_first_peer_is_compared_with_whole),
		cmocka_unit_test(actions_are_borrowed_until_the_next_call),
		cmocka_unit_test(stopping_is_told_to_all),
		cmocka_unit_test(the_next_life_stops_too),
		cmocka_unit_test(another_nonce_under_our_counter_is_a_clone),
		cmocka_unit_test(a_later_epoch_of_ours_asks_for_a_new_one),
		cmocka_unit_test(a_number_we_never_gave_asks_for_a_new_epoch),
		cmocka_unit_test(a_certificate_keeps_the_dead_away),
		cmocka_unit_test(a_comparison_brings_the_certificate),
		cmocka_unit_test(the_living_hear_of_their_death_when_they_speak),
		cmocka_unit_test(who_hears_of_its_death_begins_anew),
		cmocka_unit_test(a_certificate_is_not_renewed_by_going_round),
		cmocka_unit_test(every_truncation_of_every_message_is_dropped),
		cmocka_unit_test(random_bytes_do_no_harm),
	};

	return cmocka_run_group_tests_name("spread", tests, NULL, NULL);
}

/* Asking whether others live, one core fed by hand: pings and what follows silence, acks by every
 * way, nacks and our own health, probes for others, refusals, touches, standing still.
 */
#include "tests/unit/swim_fixture.h"

/* Only the round runs: a probe each second. */
static struct swim_profile
probing_profile(void)
{
	struct swim_profile p = calm_profile();

	p.probe_interval = NSEC_SEC;
	return p;
}

/* Knows b to e; the next thing to come is a ping. */
static struct one *
one_probing(const char *names)
{
	struct swim_profile p = probing_profile();
	struct one *o = one_new(&p);

	for (; *names != '\0'; names++)
		one_alive(o, (const char[]){ *names, '\0' }, 1);
	one_hush(o);
	return o;
}

static void
one_pass_to_ping(struct one *o)
{
	while (o->told.n == 0)
		one_pass(o, swim_deadline(o->swim) - o->now);
}

/* Rounds. */

static void
answered_ping_is_news_of_the_distance(void **unused)
{
	(void)unused;
	struct one *o = one_probing("b");

	one_pass_to_ping(o);
	one_told(o, "b: ping b, alive me 1, alive b 1\n"); /* what is queued rides along */
	o->now += 7 * NSEC_MS;
	one_ack(o, "b", o->seq);
	one_told(o, "b answers after 7 ms\n");
	one_ack(o, "b", o->seq);
	one_told(o, "");
	one_pass(o, 900 * NSEC_MS);
	one_told(o, ""); /* nobody else was asked */
	one_free(o);
}

static void
silence_asks_others_and_the_stream_then_accuses(void **unused)
{
	(void)unused;
	struct one *o = one_probing("b");

	one_pass_to_ping(o);
	one_hush(o);
	one_pass(o, 499 * NSEC_MS);
	one_told(o, "");
	o->quiet = true;
	one_pass(o, NSEC_MS);
	assert_int_equal(swim_stats(o->swim).suspicions, 0);
	o->quiet = false;
	one_pass(o, 500 * NSEC_MS);
	one_state(o, "b", "suspect 1");
	assert_int_equal(swim_awareness(o->swim), 1); /* nobody could send a nack */
	one_free(o);
}

static void
others_are_asked_with_nack_if_they_can(void **unused)
{
	(void)unused;
	struct swim_profile p = probing_profile();
	struct one *o = one_new(&p);
	struct wire_alive c = alive_of("c", 1);
	struct addr b = at("b");

	one_alive(o, "b", 1);
	one_alive(o, "d", 1);
	one_dead(o, "d", 1, "d"); /* of no help */
	c.vsn.pmax = 3;           /* knows streams, no nacks */
	one_alive_as(o, c);
	one_hush(o);
	swim_refused(o->swim, o->now, &b); /* then they are asked at once */
	one_told(o,
	    "b: ping b, alive me 1, alive c 1, alive b 1, dead d 1 by d\n"
	    "c: ping b for me without nack, alive me 1, alive c 1, alive b 1, dead d 1 by d\n"
	    "b: stream ping until 1000 ms\n");
	one_free(o);
}

static void
ack_by_a_helper_counts(void **unused)
{
	(void)unused;
	struct one *o = one_probing("b");

	one_pass_to_ping(o);
	one_pass(o, 600 * NSEC_MS);
	one_hush(o);
	one_ack(o, "c", o->seq); /* from c, who was asked */
	one_told(o, "");         /* says nothing about the distance */
	one_pass(o, 390 * NSEC_MS);
	one_state(o, "b", "alive 1");
	one_free(o);
}

static void
stream_answer_counts_at_the_end(void **unused)
{
	(void)unused;
	struct one *o = one_probing("b");
	uint32_t seq;

	one_pass_to_ping(o);
	seq = o->seq;
	one_pass(o, 600 * NSEC_MS);
	swim_stream_ack(o->swim, o->now, seq);
	one_pass(o, 390 * NSEC_MS);
	one_state(o, "b", "alive 1");
	assert_int_equal(swim_stats(o->swim).probes_failed, 0);
	one_free(o);
}

static void
missing_nacks_say_that_we_are_slow(void **unused)
{
	(void)unused;
	for (unsigned nacks = 0; nacks <= 3; nacks++) {
		struct one *o = one_probing("bcde");

		one_pass_to_ping(o);
		one_pass(o, 600 * NSEC_MS);
		for (unsigned i = 0; i < nacks; i++)
			one_nack(o, "c", o->seq);
		one_nack(o, "c", o->seq + 1);
		one_pass(o, 400 * NSEC_MS);
		assert_int_equal(swim_stats(o->swim).suspicions, 1);
		assert_int_equal(swim_awareness(o->swim), 3 - nacks);
		one_free(o);
	}
}

static void
whoever_is_slow_asks_more_slowly(void **unused)
{
	(void)unused;
	struct one *o = one_probing("b");

	one_suspect(o, "me", 1, "x");
	one_suspect(o, "me", 2, "x");
	assert_int_equal(swim_awareness(o->swim), 2);
	one_hush(o);
	one_pass_to_ping(o);
	one_pass(o, 2900 * NSEC_MS);
	one_state(o, "b", "alive 1");
	one_pass(o, 100 * NSEC_MS);
	one_state(o, "b", "suspect 1");
	one_free(o);
}

static void
every_member_once_in_a_round(void **unused)
{
	(void)unused;
	struct one *o = one_probing("bcdefgh");
	unsigned pings[256] = { 0 };

	one_pass_to_ping(o);
	for (int i = 0; i < 70; i++) {
		struct addr peer = at_host((uint8_t)o->told.p[0]);

		pings[peer.bytes[3]]++;
		one_hush(o);
		one_ack(o, (const char[]){ (char)peer.bytes[3], '\0' }, o->seq);
		one_hush(o);
		one_pass_to_ping(o);
	}
	for (const char *name = "bcdefgh"; *name != '\0'; name++)
		assert_in_range(pings[(uint8_t)*name], 9, 11);
	one_free(o);
}

/* For others. */

static void
ping_is_answered(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_message m = { .type = WIRE_PING };
	struct addr from = at_host(50);

	m.u.ping = (struct wire_ping){ .seq = 7, .node = STR("me") };
	one_feed(o, &from, &m);
	one_told(o, "50: ack 7\n");
	m.u.ping.node = STR_NONE; /* for anybody */
	one_feed(o, &from, &m);
	one_told(o, "50: ack 7\n");
	m.u.ping.node = STR("you");
	one_feed(o, &from, &m);
	one_told(o, "");
	m.u.ping.node = STR("me");
	m.u.ping.source = at_host(60); /* behind a translation of addresses */
	one_feed(o, &from, &m);
	one_told(o, "60: ack 7\n");
	swim_payload_set(o->swim, STR("here"));
	one_feed(o, &from, &m);
	one_told(o, "60: ack 7 with here\n");
	one_free(o);
}

static void
what_is_queued_rides_only_to_members(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_message m = { .type = WIRE_PING };
	struct addr from = at_host(50);

	one_alive(o, "b", 1);
	one_hush(o);
	m.u.ping = (struct wire_ping){ .seq = 7 };
	one_feed(o, &from, &m);
	one_told(o, "50: ack 7\n"); /* who asks in another's name must not get a flood sent there */
	m.u.ping.source = at("b");
	one_feed(o, &from, &m);
	one_told(o, "b: ack 7, alive me 1, alive b 1\n");
	one_free(o);
}

static struct wire_message
ask_of(uint32_t seq, bool nack)
{
	struct wire_message m = { .type = WIRE_INDIRECT_PING };

	m.u.indirect = (struct wire_indirect_ping){
		.seq = seq,
		.node = STR("b"),
		.target = at("b"),
		.nack = nack,
	};
	return m;
}

static void
probe_for_another_brings_ack_or_nack(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_message with = ask_of(30, true), without = ask_of(31, false);
	struct addr asker = at_host(50), b = at("b");

	one_feed(o, &asker, &with);
	one_told(o, "b: ping b\n");
	one_ack(o, "b", o->seq);
	one_told(o, "50: ack 30\n");
	one_feed(o, &asker, &with);
	one_hush(o);
	one_pass(o, 499 * NSEC_MS);
	one_told(o, "");
	one_pass(o, NSEC_MS);
	one_told(o, "50: nack 30\n");
	one_ack(o, "b", o->seq); /* too late */
	one_told(o, "");
	one_feed(o, &asker, &without);
	one_hush(o);
	one_pass(o, NSEC_SEC);
	one_told(o, "");
	one_feed(o, &asker, &with);
	one_hush(o);
	swim_refused(o->swim, o->now, &b); /* no need to wait */
	one_told(o, "50: nack 30\n");
	with.u.indirect.source = at_host(60);
	with.u.indirect.target.port = 0; /* then ours */
	one_feed(o, &asker, &with);
	one_told(o, "b: ping b\n");
	one_ack(o, "b", o->seq);
	one_told(o, "60: ack 30\n");
	one_free(o);
}

static void
probes_for_others_are_limited(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_message m = ask_of(30, true);
	struct addr asker = at_host(50);

	o->quiet = true;
	for (int i = 0; i < 1000; i++)
		one_feed(o, &asker, &m);
	assert_int_equal(swim_stats(o->swim).packets_out, 256);
	assert_int_equal(swim_stats(o->swim).dropped, 1000 - 256);
	one_pass(o, NSEC_SEC);
	one_feed(o, &asker, &m);
	assert_int_equal(swim_stats(o->swim).packets_out, 256 + 256 + 1);
	one_free(o);
}

/* Refusals. */

static void
refusal_starts_a_check_at_once(void **unused)
{
	(void)unused;
	struct one *o = one_probing("b");
	struct addr b = at("b"), nobody = at("x");

	one_pass(o, 1); /* away from the moment of the start */
	swim_refused(o->swim, o->now, &nobody);
	one_told(o, "");
	swim_refused(o->swim, o->now, &b);
	one_drain(o);
	assert_non_null(memmem(o->told.p, o->told.n, "b: ping b", 9));
	assert_non_null(memmem(o->told.p, o->told.n, "b: stream ping", 14));
	one_hush(o);
	swim_refused(o->swim, o->now, &b); /* of that ping: under way already */
	one_told(o, "");
	one_free(o);
}

static void
refusal_and_all_nacks_are_a_verdict(void **unused)
{
	(void)unused;
	struct one *o = one_probing("bcde");
	struct addr b = at("b");

	swim_refused(o->swim, o->now, &b);
	one_hush(o);
	one_nack(o, "c", o->seq);
	one_nack(o, "d", o->seq);
	one_state(o, "b", "alive 1");
	one_nack(o, "e", o->seq);
	one_state(o, "b", "suspect 1");
	one_free(o);
}

/* b refuses us, and `accuser` says it is suspect. */
static struct one *
one_refused_and_accused(const char *accuser)
{
	struct one *o = one_probing("bcde");
	struct addr b = at("b");

	swim_refused(o->swim, o->now, &b);
	one_suspect(o, "b", 1, accuser);
	one_hush(o);
	return o;
}

static void
refused_here_and_accused_elsewhere_is_one_more_round(void **unused)
{
	(void)unused;
	struct one *o = one_refused_and_accused("c");

	one_pass(o, 999 * NSEC_MS);
	one_state(o, "b", "suspect 1");
	one_pass(o, NSEC_MS);
	one_state(o, "b", "dead 1");
	one_free(o);
}

static void
an_accuser_nobody_knows_is_none(void **unused)
{
	(void)unused;
	struct one *o = one_refused_and_accused("x");

	o->quiet = true;
	one_pass(o, 3 * NSEC_SEC);
	one_state(o, "b", "suspect 1");
	one_free(o);
}

static void
an_answer_in_the_last_round_leaves_the_ordinary_wait(void **unused)
{
	(void)unused;
	struct one *o = one_refused_and_accused("c");

	one_ack(o, "d", o->seq); /* through d */
	one_pass(o, 1500 * NSEC_MS);
	one_state(o, "b", "suspect 1");
	one_free(o);
}

static void
a_packet_of_its_own_leaves_the_ordinary_wait(void **unused)
{
	(void)unused;
	struct one *o = one_refused_and_accused("c");

	one_nack(o, "b", 0);
	one_told(o, "b: suspect b 1 by me\n"); /* it lives, and should say so */
	one_pass(o, 1500 * NSEC_MS);
	one_state(o, "b", "suspect 1");
	one_free(o);
}

static void
old_refusals_do_not_count(void **unused)
{
	(void)unused;
	struct one *o = one_probing("bcde");
	struct addr b = at("b");

	swim_refused(o->swim, o->now, &b);
	one_hush(o);
	one_ack(o, "c", o->seq); /* it was in the way of a restart */
	o->quiet = true;
	one_suspect(o, "b", 1, "c");
	one_pass(o, 3 * NSEC_SEC);
	one_state(o, "b", "suspect 1");
	one_free(o);
}

/* Touches and nudges. */

static void
idle_agents_touch_the_others_in_turn(void **unused)
{
	(void)unused;
	struct swim_profile p = calm_profile();
	struct one *o;

	p.touch_interval = 400 * NSEC_MS;
	o = one_new(&p);
	one_pass(o, 10 * NSEC_SEC);
	one_told(o, ""); /* nobody there */
	one_alive(o, "b", 1);
	one_hush(o);
	one_pass(o, 1200 * NSEC_MS);
	one_told(o, "b: touch\nb: touch\nb: touch\n");
	assert_int_equal(o->bytes_max, 9); /* the smallest packet there is */
	one_free(o);
}

static void
whoever_is_heard_though_dead_is_told(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);

	one_alive(o, "b", 3);
	one_dead(o, "b", 3, "c");
	one_hush(o);
	one_nack(o, "b", 0);
	one_told(o, "b: dead b 3 by me\n");
	one_nack(o, "b", 0);
	one_told(o, ""); /* not more than once a second */
	one_pass(o, NSEC_SEC);
	one_nack(o, "b", 0);
	one_told(o, "b: dead b 3 by me\n");
	one_alive(o, "b", 4);
	one_told(o, "news b alive 4\nb: push/pull\n"); /* what did it miss? */
	one_nack(o, "b", 0);
	one_told(o, "");
	one_free(o);
}

static void
whoever_left_is_told_when_it_should_be_gone(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);

	one_alive(o, "b", 3);
	one_dead(o, "b", 3, "b");
	one_hush(o);
	one_pass(o, 3 * NSEC_SEC);
	one_nack(o, "b", 0); /* it stays up for a while */
	one_told(o, "");
	one_pass(o, 3 * NSEC_SEC);
	one_nack(o, "b", 0);
	one_told(o, "b: dead b 3 by b\n");
	one_free(o);
}

static void
an_unknown_pinger_makes_us_look_around(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_message m = { .type = WIRE_PING };
	struct addr from = at("z");

	one_alive(o, "b", 1);
	m.u.ping = (struct wire_ping){ .seq = 7, .node = STR("me"), .source_node = STR("z") };
	one_hush(o);
	one_feed(o, &from, &m);
	one_told(o, "z: push/pull\nz: ack 7\n"); /* it knows whom we lack */
	one_pass(o, 2 * NSEC_SEC);
	one_told(o, "b: push/pull\n"); /* then with somebody we know */
	one_free(o);
}

/* Standing still. */

static void
standing_still_condemns_nobody(void **unused)
{
	(void)unused;
	struct one *o = one_probing("bcd");

	one_suspect(o, "b", 1, "c");
	one_suspect(o, "d", 1, "c");
	one_pass_to_ping(o);
	one_hush(o);
	o->now += 60 * NSEC_SEC; /* far beyond every end */
	one_alive(o, "b", 2);    /* waited in the socket */
	swim_tick(o->swim, o->now);
	one_state(o, "b", "alive 2");
	one_state(o, "c", "alive 1");
	one_state(o, "d", "suspect 1"); /* its refutation may still be on its way */
	assert_int_equal(swim_awareness(o->swim), 1);
	assert_int_equal(swim_stats(o->swim).deaths, 0);
	one_free(o);
}

/* The upper layer's messages. */

static void
messages_are_sent_to_their_limit_and_told_of(void **unused)
{
	(void)unused;
	struct swim_profile p = calm_profile();
	struct one *o;
	uint64_t id = 0;

	p.gossip_interval = 200 * NSEC_MS;
	o = one_new(&p);
	one_alive(o, "b", 1);
	one_pass(o, 2 * NSEC_SEC);
	one_hush(o);
	assert_int_equal(swim_broadcast(o->swim, o->now, STR("event"), 5, NULL), 0);
	assert_int_equal(
	    swim_broadcast_in(o->swim, o->now, SWIM_INTENTS, STR("intent"), 6, NULL), 0);
	one_pass(o, 100 * NSEC_MS);
	one_told(o, "b: user intent, user event\n"); /* at once, intents first */
	one_pass(o, NSEC_SEC);
	one_told(o, "b: user intent, user event\n"
		    "b: user intent, user event\n"
		    "b: user intent, user event\n");
	assert_true(swim_broadcast_done(o->swim, &id));
	assert_int_equal(id, 6);
	assert_true(swim_broadcast_done(o->swim, &id));
	assert_int_equal(id, 5);
	assert_false(swim_broadcast_done(o->swim, &id));
	one_free(o);
}

static void
messages_that_fit_no_packet_are_refused(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	char bytes[1400] = "";
	struct addr b = at("b");
	struct err err;

	assert_int_equal(swim_broadcast(o->swim, o->now, str_mem(bytes, 1396), 0, &err), ERR_LIMIT);
	assert_string_equal(err.text, "1396 bytes do not fit a packet: at most 1395");
	assert_int_equal(swim_broadcast(o->swim, o->now, str_mem(bytes, 1395), 0, &err), 0);
	assert_int_equal(swim_send(o->swim, o->now, &b, str_mem(bytes, 1398)), ERR_LIMIT);
	assert_int_equal(swim_send(o->swim, o->now, &b, str_mem(bytes, 1397)), 0);
	one_hush(o);
	assert_int_equal(o->bytes_max, 1398);
	one_free(o);
}

static void
what_is_sent_is_what_comes_in(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct addr b = at("b");
	struct wire_message m = { .type = WIRE_USER };

	one_alive(o, "b", 1);
	one_hush(o);
	swim_send(o->swim, o->now, &b, STR("hello"));
	one_told(o, "b: user hello\n");
	m.u.user = STR("hello yourself");
	one_feed(o, &b, &m);
	one_told(o, "b: user in hello yourself\n");
	one_free(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answered_ping_is_news_of_the_distance),
		cmocka_unit_test(silence_asks_others_and_the_stream_then_accuses),
		cmocka_unit_test(others_are_asked_with_nack_if_they_can),
		cmocka_unit_test(ack_by_a_helper_counts),
		cmocka_unit_test(stream_answer_counts_at_the_end),
		cmocka_unit_test(missing_nacks_say_that_we_are_slow),
		cmocka_unit_test(whoever_is_slow_asks_more_slowly),
		cmocka_unit_test(every_member_once_in_a_round),
		cmocka_unit_test(ping_is_answered),
		cmocka_unit_test(what_is_queued_rides_only_to_members),
		cmocka_unit_test(probe_for_another_brings_ack_or_nack),
		cmocka_unit_test(probes_for_others_are_limited),
		cmocka_unit_test(refusal_starts_a_check_at_once),
		cmocka_unit_test(refusal_and_all_nacks_are_a_verdict),
		cmocka_unit_test(refused_here_and_accused_elsewhere_is_one_more_round),
		cmocka_unit_test(an_accuser_nobody_knows_is_none),
		cmocka_unit_test(an_answer_in_the_last_round_leaves_the_ordinary_wait),
		cmocka_unit_test(a_packet_of_its_own_leaves_the_ordinary_wait),
		cmocka_unit_test(old_refusals_do_not_count),
		cmocka_unit_test(idle_agents_touch_the_others_in_turn),
		cmocka_unit_test(whoever_is_heard_though_dead_is_told),
		cmocka_unit_test(whoever_left_is_told_when_it_should_be_gone),
		cmocka_unit_test(an_unknown_pinger_makes_us_look_around),
		cmocka_unit_test(standing_still_condemns_nobody),
		cmocka_unit_test(messages_are_sent_to_their_limit_and_told_of),
		cmocka_unit_test(messages_that_fit_no_packet_are_refused),
		cmocka_unit_test(what_is_sent_is_what_comes_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

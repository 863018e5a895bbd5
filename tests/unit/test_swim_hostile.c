/* Input that nobody well-meaning sends: floods of names, huge tags, incarnations at the top, cut
 * and mutated packets, our own name from strangers. Dropped and counted; the pool goes on.
 */
#include "base/rng.h"
#include "tests/unit/swim_fixture.h"

static struct wire_alive
stranger(unsigned i, char name[16])
{
	struct wire_alive a = alive_of("x", 1);

	snprintf(name, 16, "x%u", i);
	a.node = str_of(name);
	a.addr.bytes[1] = 1;
	a.addr.bytes[2] = (uint8_t)(i >> 8);
	a.addr.bytes[3] = (uint8_t)i;
	return a;
}

static void
flood_of_names_stays_within_the_limit(void **unused)
{
	(void)unused;
	struct swim_config config = {
		.name = STR("me"),
		.advertise = at("me"),
		.profile = swim_lan,
		.members_max = 1000,
	};
	struct one *o = one_new(NULL);
	uint64_t sent;
	char name[16];

	swim_free(o->swim);
	o->swim = swim_new(&config, 1, o->now);
	o->quiet = true;
	one_alive(o, "b", 1);
	for (unsigned i = 0; i < 10000; i++)
		one_alive_as(o, stranger(i, name));
	assert_int_equal(swim_count(o->swim), 1000);
	assert_int_equal(swim_stats(o->swim).dropped, 10000 - 998);
	one_state(o, "b", "alive 1");
	sent = swim_stats(o->swim).bytes_out;
	one_pass(o, 10 * NSEC_SEC); /* gossip keeps its pace: 5 ticks of 3 packets, a few ahead */
	assert_true(swim_stats(o->swim).bytes_out - sent < 10 * 3 * 5 * 3 * 1400);
	one_alive(o, "b", 2);
	one_state(o, "b", "alive 2");
	for (unsigned i = 0; i < 998; i++) /* the dead make room when their time is over */
		one_dead(o, stranger(i, name).node.p, 1, "b");
	one_pass(o, NSEC_HOUR);
	assert_true(swim_count(o->swim) < 100);
	assert_true(swim_buried(o->swim) <= 1024);
	one_alive(o, "c", 1);
	one_state(o, "c", "alive 1");
	assert_true(o->bytes_max <= 1400);
	one_free(o);
}

static void
the_buried_are_limited(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	char name[16];

	o->quiet = true;
	for (unsigned i = 0; i < 3000; i++) {
		struct wire_alive a = stranger(i, name);

		one_alive_as(o, a);
		swim_forget(o->swim, o->now, a.node);
	}
	assert_int_equal(swim_count(o->swim), 1);
	assert_int_equal(swim_buried(o->swim), 1024);
	one_free(o);
}

static void
huge_tags_are_refused(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	static const size_t sizes[] = { 512, 513, 60000, 1 << 20 };

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t room = sizes[i] + 4096;
		uint8_t *bytes = malloc(room);
		char *meta = calloc(1, sizes[i]);
		struct wire_message m = { .type = WIRE_ALIVE };
		struct addr from = at("b");
		struct writer w;

		assert_non_null(bytes);
		assert_non_null(meta);
		w = wr_of(bytes, room);
		m.u.alive = alive_of("b", (uint32_t)i + 1);
		m.u.alive.meta = str_mem(meta, sizes[i]);
		wire_write(&w, &m);
		swim_input(o->swim, o->now, &from, wr_done(&w));
		one_hush(o);
		free(bytes);
		free(meta);
	}
	one_state(o, "b", "alive 1");
	one_free(o);
}

static void
long_names_are_refused(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_alive a = alive_of("b", 1);
	char name[600];

	memset(name, 'n', sizeof name);
	a.node = str_mem(name, 513);
	one_alive_as(o, a);
	assert_int_equal(swim_count(o->swim), 1);
	a.node = str_mem(name, 512);
	one_alive_as(o, a);
	assert_int_equal(swim_count(o->swim), 2);
	one_free(o);
}

static void
leaps_to_the_top_of_incarnations_are_dropped(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	const uint32_t top = UINT32_MAX;
	struct wire_alive me = alive_of("me", top);

	one_alive(o, "b", 5);
	one_hush(o);
	one_suspect(o, "b", top, "c");
	one_dead(o, "b", top, "c");
	one_alive(o, "b", top);
	one_alive(o, "n", top);
	one_suspect(o, "me", top, "c");
	one_dead(o, "me", top - 1, "c");
	one_alive_as(o, me);
	one_told(o, "");
	one_state(o, "b", "alive 5");
	one_state(o, "n", "unknown");
	one_state(o, "me", "alive 1");
	assert_int_equal(swim_stats(o->swim).dropped, 7);
	/* high, and yet there is room above it */
	one_suspect(o, "me", 0xf0000000u, "c");
	one_state(o, "me", "alive 4026531841");
	one_suspect(o, "me", 0xf0000001u, "c");
	one_state(o, "me", "alive 4026531842");
	one_free(o);
}

static void
claims_about_unknown_names_leave_no_trace(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	char name[16];

	for (unsigned i = 0; i < 1000; i++) {
		stranger(i, name);
		one_suspect(o, name, i, "c");
		one_dead(o, name, i, "c");
		one_dead(o, name, i, name);
	}
	one_told(o, "");
	assert_int_equal(swim_count(o->swim), 1);
	assert_int_equal(swim_buried(o->swim), 0);
	assert_int_equal(swim_stats(o->swim).bytes_out, 0);
	one_free(o);
}

static void
strangers_with_our_name_do_not_move_us(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_alive me = alive_of("me", 100);

	me.addr = at_host(66);
	for (int i = 0; i < 1000; i++) {
		me.incarnation++;
		one_alive_as(o, me);
	}
	one_told(o, "conflict about me, also at 66\n"); /* once a second */
	one_state(o, "me", "alive 1");
	assert_int_equal(swim_awareness(o->swim), 0);
	one_free(o);
}

/* An alive about b with an address and versions of so many bytes, as a broken peer writes it. */
static void
one_raw_alive(struct one *o, size_t addr_n, size_t vsn_n)
{
	uint8_t room[256];
	struct writer w = wr_of(room, sizeof room);
	struct addr from = at("b");

	wr_u8(&w, WIRE_ALIVE);
	wr_u8(&w, 0x85);
	wr_bytes(&w, STR("\xa4"
			 "Addr"));
	wr_u8(&w, (uint8_t)(0xa0 + addr_n));
	wr_bytes(&w, str_mem("\x0a\x00\x00\x62"
			     "::::::::::::::::::",
			 addr_n));
	wr_bytes(&w, STR("\xab"
			 "Incarnation\x01\xa4Node\xa1"
			 "b\xa4Port\xcd\x1f\x0a\xa3Vsn"));
	wr_u8(&w, (uint8_t)(0xa0 + vsn_n));
	wr_bytes(&w, str_mem("\x01\x05\x02\x02\x05\x04", vsn_n));
	swim_input(o->swim, o->now, &from, wr_done(&w));
	one_hush(o);
}

static void
short_versions_and_odd_addresses_are_dropped(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);

	for (size_t n = 0; n < 6; n++)
		one_raw_alive(o, 4, n);
	for (size_t n = 0; n < 18; n++)
		if (n != 4 && n != 16)
			one_raw_alive(o, n, 6);
	assert_int_equal(swim_count(o->swim), 1);
	assert_int_equal(swim_stats(o->swim).dropped + swim_stats(o->swim).malformed, 6 + 16);
	one_raw_alive(o, 4, 6); /* what was wrong with them was what we think it was */
	one_state(o, "b", "alive 1");
	one_free(o);
}

static void
compounds_without_end_are_cut(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	uint8_t a[8192], b[8192], *in = a, *out = b, *other;
	struct wire_message m = { .type = WIRE_ALIVE };
	struct addr from = at("b");
	struct writer w = wr_of(in, sizeof a);
	struct str part;

	m.u.alive = alive_of("b", 1);
	wire_write(&w, &m);
	part = wr_done(&w);
	for (int depth = 0; depth < 500; depth++) {
		w = wr_of(out, sizeof a);
		wire_compound_write(&w, &part, 1);
		part = wr_done(&w);
		other = in;
		in = out;
		out = other;
	}
	swim_input(o->swim, o->now, &from, part);
	one_state(o, "b", "unknown");
	assert_true(swim_stats(o->swim).malformed > 0);
	one_free(o);
}

static void
actions_nobody_drains_are_limited(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	char bytes[60001];
	struct addr from = at("b");
	struct swim_action a;
	size_t drained = 0;

	memset(bytes, 'u', sizeof bytes);
	bytes[0] = WIRE_USER;
	for (int i = 0; i < 1000; i++)
		swim_input(o->swim, o->now, &from, str_mem(bytes, sizeof bytes));
	while (swim_action_next(o->swim, &a))
		drained++;
	assert_in_range(drained, 100, 300);
	assert_true(swim_stats(o->swim).dropped > 600);
	swim_input(o->swim, o->now, &from,
	    str_mem("\x08"
		    "again",
		6));
	one_told(o, "b: user in again\n");
	one_free(o);
}

/* Messages of every kind, mutated: nothing but counters may grow without end. */

static size_t
sample(struct rng *rng, uint8_t *room, size_t cap)
{
	static const char *const names[] = { "me", "b", "c", "d", "q" };
	struct wire_message m = { .type = (enum wire_type)rng_below(rng, 6) };
	const char *name = names[rng_below(rng, 5)], *from = names[rng_below(rng, 5)];
	struct writer w = wr_of(room, cap);

	switch (m.type) {
	case WIRE_PING:
		m.u.ping = (struct wire_ping){ rng_u32(rng), str_of(name), at(from), str_of(from) };
		break;
	case WIRE_INDIRECT_PING:
		m.u.indirect = (struct wire_indirect_ping){ rng_u32(rng), str_of(name), at(name),
			true, at(from), str_of(from) };
		break;
	case WIRE_ACK:
		m.u.ack = (struct wire_ack){ rng_u32(rng), str_of(name), false };
		break;
	case WIRE_SUSPECT:
	case WIRE_DEAD:
		m.u.claim = (struct wire_claim){ rng_below(rng, 4), str_of(name), str_of(from) };
		break;
	default:
		m.type = WIRE_ALIVE;
		m.u.alive = alive_of(name, rng_below(rng, 4));
		break;
	}
	wire_write(&w, &m);
	return w.pos;
}

static void
mutated_packets_do_no_harm(void **unused)
{
	(void)unused;
	struct swim_profile p = swim_lan;
	struct one *o = one_new(&p);
	struct rng rng;

	rng_init(&rng, 1);
	o->quiet = true;
	for (int i = 0; i < 100000; i++) {
		uint8_t bytes[1024];
		size_t n = sample(&rng, bytes, sizeof bytes);
		struct addr from = at_host((uint8_t)rng_u32(&rng));

		for (uint32_t flips = rng_below(&rng, 4); flips > 0; flips--)
			bytes[rng_below(&rng, (uint32_t)n)] = (uint8_t)rng_u32(&rng);
		if (rng_below(&rng, 8) == 0)
			n = rng_below(&rng, (uint32_t)n + 1);
		o->now += 20 * NSEC_US; /* 50,000 a second */
		swim_input(o->swim, o->now, &from, str_mem(bytes, n));
		if (swim_deadline(o->swim) <= o->now)
			swim_tick(o->swim, o->now);
		one_drain(o);
	}
	assert_int_equal(swim_stats(o->swim).packets_in, 100000);
	assert_true(swim_stats(o->swim).malformed > 1000);
	assert_true(swim_count(o->swim) < 5000); /* names of one changed byte */
	assert_true(o->bytes_max <= 1400);
	{
		struct swim_member me;

		assert_true(swim_member_find(o->swim, STR("me"), &me));
		assert_int_equal(me.state, SWIM_ALIVE);
	}
	one_free(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flood_of_names_stays_within_the_limit),
		cmocka_unit_test(the_buried_are_limited),
		cmocka_unit_test(huge_tags_are_refused),
		cmocka_unit_test(long_names_are_refused),
		cmocka_unit_test(leaps_to_the_top_of_incarnations_are_dropped),
		cmocka_unit_test(claims_about_unknown_names_leave_no_trace),
		cmocka_unit_test(strangers_with_our_name_do_not_move_us),
		cmocka_unit_test(short_versions_and_odd_addresses_are_dropped),
		cmocka_unit_test(compounds_without_end_are_cut),
		cmocka_unit_test(actions_nobody_drains_are_limited),
		cmocka_unit_test(mutated_packets_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

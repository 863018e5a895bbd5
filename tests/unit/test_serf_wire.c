/* Serf's messages as hostile peers write them, and ours that real agents never send. What they
 * do send is in test_vectors.c. */
#include "gossip/serf_wire.h"

#include <math.h>
#include <stdlib.h>

#include "gossip/pack.h"
#include "tests/unit/test.h"

#define ROOM (4 * 1024 * 1024)

static struct arena arena;
static uint8_t *room;

static int
set_up(void **unused)
{
	(void)unused;
	arena_init(&arena, 8 * 1024 * 1024);
	room = malloc(ROOM);
	return 0;
}

static int
tear_down(void **unused)
{
	(void)unused;
	arena_done(&arena);
	free(room);
	return 0;
}

static struct str
written(const struct serf_message *m)
{
	struct writer w = wr_of(room, ROOM);

	serf_write(&w, m);
	assert_false(w.full);
	return wr_done(&w);
}

static void
our_key_rides_in_the_push_pull_state(void **unused)
{
	struct serf_event event = { .name = STR("deploy"), .payload = STR("v1") };
	struct serf_event_slot slot = { .ltime = 513, .events = &event, .count = 1 };
	struct str left = STR("gone"), bytes;
	struct serf_message m = { .type = SERF_PUSH_PULL,
		.u.push_pull = { .ltime = 3,
		    .event_ltime = 514,
		    .query_ltime = 1,
		    .left = &left,
		    .left_count = 1,
		    .slots = &slot,
		    .slot_count = 1,
		    .ring = 512,
		    .muster = STR("digest") } };
	struct serf_message got;

	(void)unused;
	assert_int_equal(serf_read(&arena, written(&m), &got, NULL), 0);
	assert_str(got.u.push_pull.muster, "digest");
	assert_int_equal(got.u.push_pull.ring, 512);
	assert_int_equal(got.u.push_pull.slot_count, 1);
	assert_int_equal(got.u.push_pull.slots[0].ltime, 513);
	assert_str(got.u.push_pull.slots[0].events[0].name, "deploy");
	assert_str(got.u.push_pull.left[0], "gone");
	slot.ltime = 514; /* two slots against the ring's order cannot be written */
	m.u.push_pull.slots = (struct serf_event_slot[]){ slot, { .ltime = 1 } };
	m.u.push_pull.slot_count = 2;
	struct writer w = wr_of(room, ROOM);
	serf_write(&w, &m);
	assert_true(w.full);
	m = (struct serf_message){ .type = SERF_MUSTER, .u.muster = STR("delta") };
	bytes = written(&m);
	assert_str(bytes, "\xc5"
			  "delta");
	assert_int_equal(serf_read(&arena, bytes, &got, NULL), 0);
	assert_str(got.u.muster, "delta");
}

static void
what_serf_tolerates_in_a_push_pull_is_tolerated(void **unused)
{
	struct serf_message m;

	(void)unused;
	assert_int_equal(serf_read(&arena, STR("\x02\x80"), &m, NULL), 0);
	assert_int_equal(m.u.push_pull.ring, 0);
	assert_int_equal(serf_read(&arena,
			     STR("\x02\x83\xa6"
				 "Events\xc0\xac"
				 "StatusLTimes\xc0\xab"
				 "LeftMembers\xc0 and bytes behind it"),
			     &m, NULL),
	    0);
	assert_int_equal(m.u.push_pull.status_count, 0);
	assert_int_equal(serf_read(&arena,
			     STR("\x02\x81\xa6"
				 "Events\x92\xc0\x81\xa5LTime\x01"),
			     &m, NULL),
	    0);
	assert_int_equal(m.u.push_pull.ring, 2);
	assert_int_equal(m.u.push_pull.slots[0].ltime, 1);
	assert_int_equal(m.u.push_pull.slots[0].count, 0);
}

static void
lists_that_claim_billions_are_refused(void **unused)
{
	static const struct str cases[] = {
		{ "\x02\x81\xa6"
		  "Events\xdd\xff\xff\xff\xff\xc0",
		    15 },
		{ "\x02\x81\xa6"
		  "Events\x91\x81\xa6"
		  "Events\xdd\xff\xff\xff\xff",
		    23 },
		{ "\x02\x81\xac"
		  "StatusLTimes\xdf\xff\xff\xff\xff",
		    20 },
		{ "\x02\x81\xab"
		  "LeftMembers\xdd\xff\xff\xff\xff",
		    19 },
		{ "\x04\x81\xa7"
		  "Filters\xdd\xff\xff\xff\xff",
		    15 },
		{ "\x08\x81\xa4"
		  "Keys\xdd\xff\xff\xff\xff",
		    12 },
		{ "\x06\x81\xa4"
		  "Tags\xdf\xff\xff\xff\xff",
		    12 },
		{ "\x09\xdf\xff\xff\xff\xff", 6 },
	};
	struct serf_message m;

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(serf_read(&arena, cases[i], &m, NULL), ERR_INPUT);
	assert_int_equal(arena.used, 0);
}

/* count times `element` as the one list of a push/pull's `key`. */
static struct str
list_of(struct str key, size_t count, struct str element, bool map)
{
	struct writer w = wr_of(room, ROOM);

	wr_u8(&w, SERF_PUSH_PULL);
	pack_put_map(&w, 1);
	pack_put_bytes(&w, key);
	if (map)
		pack_put_map(&w, count);
	else
		pack_put_array(&w, count);
	for (size_t i = 0; i < count; i++)
		wr_bytes(&w, element);
	assert_false(w.full);
	return wr_done(&w);
}

static void
lists_have_limits(void **unused)
{
	struct serf_message m;
	struct str slot = STR("\x81\xa6"
			      "Events\x92\x80\x80");

	(void)unused;
	assert_int_equal(
	    serf_read(&arena, list_of(STR("Events"), SERF_RING_MAX, STR("\xc0"), false), &m, NULL),
	    0);
	assert_int_equal(
	    serf_read(
		&arena, list_of(STR("Events"), SERF_RING_MAX + 1, STR("\xc0"), false), &m, NULL),
	    ERR_INPUT);
	assert_int_equal(
	    serf_read(&arena, list_of(STR("Events"), SERF_RING_MAX / 2, slot, false), &m, NULL), 0);
	assert_int_equal(
	    serf_read(&arena, list_of(STR("Events"), SERF_RING_MAX / 2 + 1, slot, false), &m, NULL),
	    ERR_INPUT);
	arena_done(&arena);
	arena_init(&arena, 8 * 1024 * 1024);
	assert_int_equal(
	    serf_read(&arena,
		list_of(STR("LeftMembers"), SERF_MEMBERS_MAX + 1, STR("\xa1x"), false), &m, NULL),
	    ERR_INPUT);
	assert_int_equal(
	    serf_read(&arena,
		list_of(STR("StatusLTimes"), SERF_MEMBERS_MAX + 1, STR("\xa1x\x01"), true), &m,
		NULL),
	    ERR_INPUT);
	assert_int_equal(
	    serf_read(&arena,
		list_of(STR("StatusLTimes"), SERF_MEMBERS_MAX, STR("\xa1x\x01"), true), &m, NULL),
	    0);
	arena_done(&arena);
	arena_init(&arena, 4096); /* the caller's cap holds, whatever else is allowed */
	assert_int_equal(
	    serf_read(&arena, list_of(STR("StatusLTimes"), 1000, STR("\xa1x\x01"), true), &m, NULL),
	    ERR_LIMIT);
}

static void
nodes_with_too_many_tags_are_refused(void **unused)
{
	struct writer w = wr_of(room, ROOM);
	struct serf_tag *tags, two[] = { { STR("b"), STR("2") }, { STR("a"), STR("1") } };
	size_t count;

	(void)unused;
	wr_u8(&w, 255);
	pack_put_map(&w, 10000);
	for (unsigned i = 0; i < 10000; i++)
		wr_bytes(&w, STR("\xa1k\xa1v"));
	assert_int_equal(serf_tags_read(&arena, wr_done(&w), &tags, &count, NULL), ERR_LIMIT);
	assert_int_equal(
	    serf_tags_read(&arena, str_mem(room, ROOM / 4), &tags, &count, NULL), ERR_LIMIT);
	assert_int_equal(serf_tags_read(&arena, str_mem(room, WIRE_META_MAX), &tags, &count, NULL),
	    ERR_INPUT); /* ten thousand announced, a hundred there */
	assert_int_equal(
	    serf_tags_read(&arena, STR("\xff\xdf\xff\xff\xff\xff"), &tags, &count, NULL),
	    ERR_INPUT);
	assert_int_equal(
	    serf_tags_read(&arena, STR("\xff\x81\xa1k\x01"), &tags, &count, NULL), ERR_INPUT);
	w = wr_of(room, ROOM);
	serf_tags_write(&w, two, 2);
	assert_str(wr_done(&w), "\xff\x82\xa1"
				"a\xa1"
				"1\xa1"
				"b\xa1"
				"2");
	two[1].key = STR("b");
	serf_tags_write(&w, two, 2);
	assert_true(w.full);
}

static void
coordinates_are_numbers(void **unused)
{
	struct serf_coordinate c = { .error = 1.5, .height = 1e-5, .vec = { 1, -2, 3 } }, got;
	struct writer w = wr_of(room, ROOM);
	double *fields[] = { &c.adjustment, &c.error, &c.height, &c.vec[7] };

	(void)unused;
	serf_coordinate_write(&w, &c);
	assert_int_equal(serf_coordinate_read(wr_done(&w), &got, NULL), 0);
	assert_memory_equal(&c, &got, sizeof c);
	for (size_t n = 0; n < w.pos; n++)
		assert_int_equal(serf_coordinate_read(str_mem(room, n), &got, NULL), ERR_INPUT);
	for (size_t i = 0; i < 8; i++) {
		double before = *fields[i % 4];

		*fields[i % 4] = i < 4 ? NAN : -INFINITY;
		w = wr_of(room, ROOM);
		serf_coordinate_write(&w, &c);
		assert_int_equal(serf_coordinate_read(wr_done(&w), &got, NULL), ERR_INPUT);
		*fields[i % 4] = before;
	}
	assert_int_equal(
	    serf_coordinate_read(STR("\x01\x81\xa3Vec\x91\x01"), &got, NULL), ERR_INPUT);
	assert_int_equal(serf_coordinate_read(STR("\x02\x80"), &got, NULL), ERR_INPUT);
}

static void
filters_of_tags_come_back(void **unused)
{
	struct serf_filter f = { .tag = true, .tag_name = STR("role"), .expr = STR("^web") }, got;
	struct writer w = wr_of(room, ROOM);

	(void)unused;
	serf_filter_write(&w, &f);
	assert_int_equal(serf_filter_read(&arena, wr_done(&w), &got, NULL), 0);
	assert_true(got.tag);
	assert_str(got.tag_name, "role");
	assert_str(got.expr, "^web");
	assert_int_equal(serf_filter_read(&arena, STR("\x02\x90"), &got, NULL), ERR_INPUT);
	assert_int_equal(serf_filter_read(&arena, STR("\x00\x90"), &got, NULL), 0);
}

static void
relays_need_an_address(void **unused)
{
	struct serf_message m = { .type = SERF_RELAY,
		.u.relay = { .dest = { .family = ADDR_V6, .port = 1 },
		    .dest_name = STR("a"),
		    .inner = STR("x") } };
	struct serf_message got;

	(void)unused;
	assert_int_equal(serf_read(&arena, written(&m), &got, NULL), 0);
	assert_int_equal(got.u.relay.dest.family, ADDR_V6);
	assert_str(got.u.relay.inner, "x");
	m.u.relay.dest.family = ADDR_NONE;
	assert_int_equal(serf_read(&arena, written(&m), &got, NULL), ERR_INPUT);
	assert_int_equal(serf_read(&arena,
			     STR("\x09\x81\xa8"
				 "DestName\xa1x"),
			     &got, NULL),
	    ERR_INPUT);
	assert_int_equal(serf_read(&arena, STR("\x06\xc0"), &got, NULL), 0);
	assert_true(got.nil);
}

static void
unknown_types_are_refused(void **unused)
{
	struct serf_message m;

	(void)unused;
	for (unsigned type = SERF_RELAY + 1; type < 256; type++) {
		uint8_t bytes[] = { (uint8_t)type, 0x80 };

		assert_int_equal(serf_read(&arena, str_mem(bytes, 2), &m, NULL),
		    type == SERF_MUSTER ? 0 : ERR_INPUT);
	}
	assert_int_equal(serf_read(&arena, STR_NONE, &m, NULL), ERR_INPUT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(our_key_rides_in_the_push_pull_state),
		TEST(what_serf_tolerates_in_a_push_pull_is_tolerated),
		TEST(lists_that_claim_billions_are_refused),
		TEST(lists_have_limits),
		TEST(nodes_with_too_many_tags_are_refused),
		TEST(coordinates_are_numbers),
		TEST(filters_of_tags_come_back),
		TEST(relays_need_an_address),
		TEST(unknown_types_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Messages as no real agent writes them, and as hostile ones do. What real agents write is in
 * test_vectors.c. */
#include "gossip/wire.h"

#include "gossip/pack.h"
#include "tests/unit/test.h"

static struct arena arena;
static uint8_t room[2 * 1024 * 1024];

static int
set_up(void **unused)
{
	(void)unused;
	arena_init(&arena, 64 * 1024);
	return 0;
}

static int
tear_down(void **unused)
{
	(void)unused;
	arena_done(&arena);
	return 0;
}

static struct wire_alive
an_alive(void)
{
	return (struct wire_alive){
		.incarnation = 7,
		.node = STR("web-1"),
		.addr = { .family = ADDR_V4, .port = 8301, .bytes = { 10, 0, 0, 1 } },
		.meta = STR("\xff\x80"),
		.vsn = wire_vsn_ours,
		.vsn_whole = true,
	};
}

/* A map by hand, in whatever order and form a case wants. */
static struct str
map_of(enum wire_type type, size_t pairs, struct str body)
{
	struct writer w = wr_of(room, sizeof room);

	wr_u8(&w, (uint8_t)type);
	pack_put_map(&w, pairs);
	wr_bytes(&w, body);
	return wr_done(&w);
}
#define MAP_OF(type, pairs, literal) map_of(type, pairs, str_mem(literal, sizeof(literal) - 1))

static void
keys_come_in_any_order_and_unknown_ones_pass(void **unused)
{
	struct wire_message m;

	(void)unused;
	assert_int_equal(
	    wire_read(&arena,
		MAP_OF(WIRE_SUSPECT, 5,
		    "\xa4Node\xa1"
		    "a\xa3New\x82\x01\x93\x01\x02\xc0\xa1x\xcb\0\0\0\0\0\0\0\0\xabIncarnation\xd1"
		    "\x01\x2c\xa4"
		    "From\xc4\x01"
		    "b\xa0\xc7\x01\x05x"),
		&m, NULL),
	    0);
	assert_str(m.u.claim.node, "a");
	assert_str(m.u.claim.from, "b");
	assert_int_equal(m.u.claim.incarnation, 300);
}

static void
missing_keys_are_zero_and_bytes_behind_do_not_count(void **unused)
{
	struct wire_message m;

	(void)unused;
	assert_int_equal(wire_read(&arena,
			     MAP_OF(WIRE_ALIVE, 1,
				 "\xa4Node\xa1"
				 "arest"),
			     &m, NULL),
	    0);
	assert_str(m.u.alive.node, "a");
	assert_true(m.u.alive.meta_nil);
	assert_false(m.u.alive.vsn_whole || m.u.alive.addr_ok);
	assert_int_equal(wire_read(&arena, str_mem("\x02\xc0", 2), &m, NULL), 0);
	assert_true(m.u.ack.payload_nil && m.u.ack.seq == 0);
}

static void
a_version_array_that_is_too_short_says_so(void **unused)
{
	struct writer w = wr_of(room, sizeof room);
	struct wire_message m;

	(void)unused;
	assert_int_equal(
	    wire_read(&arena, MAP_OF(WIRE_ALIVE, 1, "\xa3Vsn\xa3\1\5\2"), &m, NULL), 0);
	assert_false(m.u.alive.vsn_whole);
	assert_int_equal(m.u.alive.vsn.pmax, 5);
	assert_int_equal(m.u.alive.vsn.dcur, 0);
	wire_write(&w, &m); /* on from us it has all six: old agents crash on fewer */
	assert_int_equal(wire_read(&arena, wr_done(&w), &m, NULL), 0);
	assert_true(m.u.alive.vsn_whole);
	assert_int_equal(
	    wire_read(&arena, MAP_OF(WIRE_ALIVE, 1, "\xa3Vsn\x96\1\5\2\2\5\4"), &m, NULL), 0);
	assert_true(m.u.alive.vsn_whole && m.u.alive.vsn.dcur == 4);
	assert_int_equal(
	    wire_read(&arena, MAP_OF(WIRE_ALIVE, 1, "\xa3Vsn\xa8\1\5\2\2\5\4\x9\x9"), &m, NULL), 0);
	assert_true(m.u.alive.vsn_whole && m.u.alive.vsn.dcur == 4);
}

static void
addresses_have_4_or_16_bytes(void **unused)
{
	struct wire_message m;

	(void)unused;
	assert_int_equal(wire_read(&arena,
			     MAP_OF(WIRE_ALIVE, 1,
				 "\xa4"
				 "Addr\xa3"
				 "abc"),
			     &m, NULL),
	    0);
	assert_false(m.u.alive.addr_ok);
	assert_int_equal(m.u.alive.addr.family, ADDR_NONE);
	assert_int_equal(wire_read(&arena,
			     MAP_OF(WIRE_INDIRECT_PING, 1,
				 "\xa6Target\xa3"
				 "abc"),
			     &m, NULL),
	    ERR_INPUT);
	assert_int_equal(wire_read(&arena,
			     MAP_OF(WIRE_INDIRECT_PING, 1,
				 "\xa6Target\xa4"
				 "abcd"),
			     &m, NULL),
	    0);
}

static void
names_and_metas_have_limits(void **unused)
{
	static char big[1024 * 1024];
	struct wire_message m = { .type = WIRE_ALIVE }, got;

	(void)unused;
	memset(big, 'x', sizeof big);
	for (int name = 0; name < 2; name++) {
		size_t max = name ? WIRE_NAME_MAX : WIRE_META_MAX;
		size_t sizes[] = { max, max + 1, sizeof big };

		for (size_t i = 0; i < 3; i++) {
			struct writer w = wr_of(room, sizeof room);

			m.u.alive = an_alive();
			*(name ? &m.u.alive.node : &m.u.alive.meta) = str_mem(big, sizes[i]);
			wire_write(&w, &m);
			assert_false(w.full);
			assert_int_equal(
			    wire_read(&arena, wr_done(&w), &got, NULL), i == 0 ? 0 : ERR_INPUT);
		}
	}
	assert_int_equal(arena.used, 0);
}

static void
headers_that_claim_billions_are_refused_without_room_for_them(void **unused)
{
	static const uint8_t types[] = { WIRE_PING, WIRE_INDIRECT_PING, WIRE_ACK, WIRE_SUSPECT,
		WIRE_ALIVE, WIRE_DEAD, WIRE_NACK, WIRE_ERROR };
	static const struct str bodies[] = { { "\xdf\xff\xff\xff\xff", 5 },
		{ "\xdd\xff\xff\xff\xff", 5 }, { "\x81\xa4Node\xdb\xff\xff\xff\xff", 11 },
		{ "\x81\xa3Xxx\xdd\xff\xff\xff\xff", 10 },
		{ "\x81\xa4Meta\xdd\x00\x10\x00\x00", 11 },
		{ "\x81\xa7Payload\xdd\xff\xff\xff\xff", 14 }, { "\xde\xff\xff\xa1x\x01", 6 } };
	struct wire_message m;

	(void)unused;
	for (size_t t = 0; t < sizeof types; t++)
		for (size_t b = 0; b < sizeof bodies / sizeof bodies[0]; b++) {
			struct writer w = wr_of(room, sizeof room);

			wr_u8(&w, types[t]);
			wr_bytes(&w, bodies[b]);
			assert_int_equal(wire_read(&arena, wr_done(&w), &m, NULL), ERR_INPUT);
		}
	assert_int_equal(arena.used, 0);
}

static void
depth_bombs_are_refused(void **unused)
{
	static uint8_t bomb[64 * 1024];
	struct wire_message m;

	(void)unused;
	memset(bomb, 0x91, sizeof bomb);
	memcpy(bomb, "\x04\x81\xa1x", 4);
	assert_int_equal(wire_read(&arena, str_mem(bomb, sizeof bomb), &m, NULL), ERR_INPUT);
	memset(bomb + 4, 0x81, sizeof bomb - 4);
	assert_int_equal(wire_read(&arena, str_mem(bomb, sizeof bomb), &m, NULL), ERR_INPUT);
}

static void
unknown_types_are_refused(void **unused)
{
	struct wire_message m;

	(void)unused;
	for (unsigned type = 0; type < 256; type++) {
		uint8_t bytes[] = { (uint8_t)type, 0x80 };
		bool known = type <= WIRE_DEAD || type == WIRE_USER || type == WIRE_NACK ||
			     type == WIRE_ERROR;

		if (type == WIRE_INDIRECT_PING)
			known = false; /* needs a target */
		assert_int_equal(
		    wire_read(&arena, str_mem(bytes, 2), &m, NULL), known ? 0 : ERR_INPUT);
	}
	assert_int_equal(wire_read(&arena, STR_NONE, &m, NULL), ERR_INPUT);
}

static void
compounds_with_cut_tables_are_refused(void **unused)
{
	struct str parts[4];
	size_t count = 99, truncated = 99;

	(void)unused;
	assert_int_equal(
	    wire_compound_read(STR("\x07"), parts, 4, &count, &truncated, NULL), ERR_INPUT);
	assert_int_equal(wire_compound_read(str_mem("\x07\x02\x00\x01\x00", 5), parts, 4, &count,
			     &truncated, NULL),
	    ERR_INPUT);
	assert_int_equal(wire_compound_read(str_mem("\x07\x05\0\0\0\0\0\0\0\0\0\0", 12), parts, 4,
			     &count, &truncated, NULL),
	    ERR_LIMIT);
	assert_int_equal(count, 99); /* untouched */
	assert_int_equal(wire_compound_read(str_mem("\x07\x03\x00\x01\xff\xff\x00\x01xyz", 11),
			     parts, 4, &count, &truncated, NULL),
	    0);
	assert_int_equal(count, 1);
	assert_int_equal(truncated, 2);
	assert_str(parts[0], "x");
}

static void
a_compressed_map_stays_small_around_its_data(void **unused)
{
	(void)unused;
	for (size_t unknown = 14; unknown < 16; unknown++) {
		struct writer w = wr_of(room, sizeof room);
		struct reader r;

		pack_put_map(&w, 2 + unknown);
		pack_put_bytes(&w, STR("Algo"));
		pack_put_uint(&w, 0);
		for (size_t i = 0; i < unknown; i++)
			wr_bytes(&w, STR("\xa1x\x01"));
		pack_put_bytes(&w, STR("Buf"));
		pack_put_bytes(&w, STR("lzw"));
		r = rd_of(wr_done(&w));
		assert_str(wire_compressed_read(&r), unknown == 14 ? "lzw" : "");
		assert_int_equal(r.state, unknown == 14 ? RD_OK : RD_BAD);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_come_in_any_order_and_unknown_ones_pass),
		TEST(missing_keys_are_zero_and_bytes_behind_do_not_count),
		TEST(a_version_array_that_is_too_short_says_so),
		TEST(addresses_have_4_or_16_bytes),
		TEST(names_and_metas_have_limits),
		TEST(headers_that_claim_billions_are_refused_without_room_for_them),
		TEST(depth_bombs_are_refused),
		TEST(unknown_types_are_refused),
		TEST(compounds_with_cut_tables_are_refused),
		TEST(a_compressed_map_stays_small_around_its_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Layers of a datagram: what does not belong to the pool, and what grows when it is opened. */
#include "gossip/frame.h"

#include "base/rng.h"
#include "gossip/lzw.h"
#include "gossip/wire.h"
#include "tests/unit/test.h"

static struct arena arena;
static struct keyring *ring, *other;
static const struct frame_config plain = { 0 };
static struct frame_config secret;

static int
set_up(void **unused)
{
	(void)unused;
	arena_init(&arena, 64 * 1024 * 1024);
	ring = keyring_new();
	other = keyring_new();
	keyring_install(ring, STR("0123456789abcdef"), NULL);
	keyring_install(other, STR("fedcba9876543210"), NULL);
	secret =
	    (struct frame_config){ .keys = ring, .verify_incoming = true, .verify_outgoing = true };
	return 0;
}

static int
tear_down(void **unused)
{
	(void)unused;
	arena_done(&arena);
	keyring_free(ring);
	keyring_free(other);
	return 0;
}

/* A compressed message around `in`, in the arena. */
static struct str
compressed(struct str in)
{
	size_t room_n = WIRE_COMPRESSED_ROOM(LZW_PACKED_MAX(in.n));
	struct writer w = wr_of(arena_alloc(&arena, room_n), room_n);
	struct buf lzw;

	buf_init(&lzw, LZW_PACKED_MAX(in.n));
	lzw_pack(in, &lzw);
	wire_compressed_write(&w, buf_str(&lzw));
	buf_done(&lzw);
	return wr_done(&w);
}

static struct str
compound(const struct str *parts, size_t count)
{
	size_t room_n = 64 * 1024;
	struct writer w = wr_of(arena_alloc(&arena, room_n), room_n);

	wire_compound_write(&w, parts, count);
	assert_false(w.full);
	return wr_done(&w);
}

static int
open_as(const struct frame_config *c, struct str packet)
{
	struct str out;

	return frame_open(c, &arena, packet, &out, NULL);
}

static void
a_packet_of_another_pool_is_refused(void **unused)
{
	struct frame_config stranger = secret, rollout = secret, blue = plain;
	struct buf packet;
	struct str out;

	(void)unused;
	stranger.keys = other;
	rollout.verify_incoming = false;
	blue.label = STR("blue");
	buf_init(&packet, 4096);
	assert_int_equal(frame_seal(&secret, STR("\x08hello"), true, &packet, NULL), 0);
	assert_int_equal(frame_open(&secret, &arena, buf_str(&packet), &out, NULL), 0);
	assert_str(out, "\x08hello");
	assert_int_equal(open_as(&stranger, buf_str(&packet)), ERR_REFUSED);
	assert_int_equal(open_as(&blue, buf_str(&packet)), ERR_REFUSED);
	assert_int_equal(open_as(&secret, STR("\x08hello")), ERR_REFUSED);
	assert_int_equal(frame_open(&rollout, &arena, STR("\x08hello"), &out, NULL), 0);
	assert_str(out, "\x08hello");
	assert_int_equal(frame_open(&rollout, &arena, buf_str(&packet), &out, NULL), 0);
	assert_str(out, "\x08hello");
	buf_clear(&packet);
	rollout.verify_outgoing = false;
	assert_int_equal(frame_seal(&rollout, STR("\x08hello"), false, &packet, NULL), 0);
	assert_str(buf_str(&packet), "\x08hello");
	assert_int_equal(frame_overhead(&rollout), 0);
	assert_int_equal(frame_overhead(&secret), 29);
	assert_int_equal(frame_overhead(&blue), 6);
	buf_done(&packet);
}

static void
labels_that_are_cut_or_empty_are_refused(void **unused)
{
	struct frame_config blue = { .label = STR("blue") };

	(void)unused;
	assert_int_equal(open_as(&blue, str_mem("\xf4", 1)), ERR_INPUT);
	assert_int_equal(open_as(&blue, str_mem("\xf4\x00\x08x", 4)), ERR_INPUT);
	assert_int_equal(open_as(&plain, str_mem("\xf4\x00\x08x", 4)), ERR_INPUT);
	assert_int_equal(open_as(&blue, str_mem("\xf4\x04"
						"blu",
					    5)),
	    ERR_INPUT);
	assert_int_equal(open_as(&blue, str_mem("\xf4\x04"
						"blue",
					    6)),
	    ERR_INPUT); /* nothing in it */
	assert_int_equal(open_as(&blue, str_mem("\xf4\x04"
						"blue\x08x",
					    8)),
	    0);
	assert_int_equal(open_as(&blue, str_mem("\xf4\x03"
						"red\x08x",
					    7)),
	    ERR_REFUSED);
	assert_int_equal(open_as(&blue, str_mem("\x08x", 2)), ERR_REFUSED);
}

static void
a_bomb_of_gigabytes_is_refused(void **unused)
{
	static char zeros[4 * 1024 * 1024];
	struct str bomb = compressed(str_mem(zeros, sizeof zeros));
	size_t used = arena.used;

	(void)unused;
	assert_true(bomb.n < WIRE_PACKET_MAX);
	zeros[0] = WIRE_USER;
	assert_int_equal(open_as(&plain, bomb), ERR_LIMIT);
	assert_int_equal(arena.used, used); /* refused before there was room for it */
	assert_int_equal(open_as(&plain, compressed(str_mem(zeros, FRAME_UNPACKED_MAX))), 0);
	assert_int_equal(
	    open_as(&plain, compressed(str_mem(zeros, FRAME_UNPACKED_MAX + 1))), ERR_LIMIT);
	assert_int_equal(open_as(&plain, compressed(compressed(str_mem(zeros, 60000)))), 0);
	assert_int_equal(
	    open_as(&plain, compressed(compressed(str_mem(zeros, FRAME_UNPACKED_MAX)))), ERR_LIMIT);
}

static void
layers_upon_layers_are_refused(void **unused)
{
	struct str m = STR("\x08hello");

	(void)unused;
	for (unsigned i = 0; i < FRAME_DEPTH_MAX; i++)
		m = compressed(m);
	assert_int_equal(open_as(&plain, m), 0);
	assert_int_equal(open_as(&plain, compressed(m)), ERR_LIMIT);
}

static void
parts_are_walked_through_all_layers(void **unused)
{
	struct str inner[] = { STR("\x08"
				   "b1"),
		STR("\x08"
		    "b2") };
	struct str parts[] = { STR("\x08"
				   "a"),
		compressed(compound(inner, 2)),
		STR("\x08"
		    "c"),
		compressed(STR("\x08"
			       "d")),
		str_mem("\x09\x80", 2),
		STR("\x08"
		    "e") };
	static const char *const want[] = { "\x08"
					    "a",
		"\x08"
		"b1",
		"\x08"
		"b2",
		"\x08"
		"c",
		"\x08"
		"d",
		"\x08"
		"e" };
	struct frame_walk walk;
	struct str message;
	size_t n = 0;

	(void)unused;
	frame_walk_init(&walk, &arena, compound(parts, 6));
	while (frame_walk_next(&walk, &message))
		assert_str(message, want[n++]);
	assert_int_equal(n, 6);
	assert_int_equal(walk.refused, 1);
	assert_int_equal(walk.truncated, 0);
	frame_walk_init(&walk, &arena,
	    STR("\x08"
		"a"));
	assert_true(frame_walk_next(&walk, &message));
	assert_false(frame_walk_next(&walk, &message));
}

static void
compounds_in_compounds_end(void **unused)
{
	struct str m = STR("\x08"
			   "x"),
		   message;
	struct frame_walk walk;
	size_t n = 0;

	(void)unused;
	for (unsigned i = 0; i < FRAME_DEPTH_MAX; i++)
		m = compound(&m, 1);
	frame_walk_init(&walk, &arena, m);
	assert_true(frame_walk_next(&walk, &message));
	assert_str(message, "\x08"
			    "x");
	m = compound(&m, 1);
	frame_walk_init(&walk, &arena, m);
	while (frame_walk_next(&walk, &message))
		n++;
	assert_int_equal(n, 0);
	assert_int_equal(walk.refused, 1);
}

static void
all_parts_share_one_limit(void **unused)
{
	static char zeros[10 * 1024];
	struct str part = compressed(str_mem(zeros, sizeof zeros)), parts[100], all, message;
	struct frame_walk walk;
	size_t n = 0;

	(void)unused;
	for (size_t i = 0; i < 100; i++)
		parts[i] = part;
	all = compound(parts, 100);
	frame_walk_init(&walk, &arena, all);
	while (frame_walk_next(&walk, &message))
		n++;
	assert_true(n > 0 && n == (FRAME_UNPACKED_MAX - all.n) / sizeof zeros);
	assert_int_equal(walk.refused, 100 - n);
}

static void
cut_compounds_give_what_is_whole(void **unused)
{
	struct frame_walk walk;
	struct str message;

	(void)unused;
	frame_walk_init(&walk, &arena,
	    str_mem("\x07\x03\x00\x02\x00\x02\xff\xff\x08"
		    "a\x08"
		    "b\x08",
		13));
	assert_true(frame_walk_next(&walk, &message) && frame_walk_next(&walk, &message));
	assert_str(message, "\x08"
			    "b");
	assert_false(frame_walk_next(&walk, &message));
	assert_int_equal(walk.truncated, 1);
	frame_walk_init(&walk, &arena, str_mem("\x07\x80\x00\x02", 4));
	assert_false(frame_walk_next(&walk, &message));
	assert_int_equal(walk.refused, 1);
	frame_walk_init(&walk, &arena, str_mem("\x07", 1));
	assert_false(frame_walk_next(&walk, &message));
}

static void
a_checksum_covers_every_bit(void **unused)
{
	struct buf packet;

	(void)unused;
	buf_init(&packet, 4096);
	assert_int_equal(frame_seal(&plain, STR("\x08hello"), true, &packet, NULL), 0);
	for (size_t bit = 8; bit < packet.n * 8; bit++) {
		packet.p[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(open_as(&plain, buf_str(&packet)), ERR_INPUT);
		packet.p[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_int_equal(open_as(&plain, str_mem(packet.p, 5)), ERR_INPUT);
	buf_done(&packet);
}

static void
what_gets_longer_is_not_compressed(void **unused)
{
	struct frame_config c = { .compress = true };
	static char zeros[1400] = { WIRE_USER };
	struct buf packet;

	(void)unused;
	buf_init(&packet, 4096);
	assert_int_equal(frame_seal(&c, STR("\x08hello"), false, &packet, NULL), 0);
	assert_str(buf_str(&packet), "\x08hello");
	buf_clear(&packet);
	assert_int_equal(frame_seal(&c, str_mem(zeros, sizeof zeros), false, &packet, NULL), 0);
	assert_true(packet.n < 200 && packet.p[0] == WIRE_COMPRESSED);
	buf_done(&packet);
	buf_init(&packet, 100);
	assert_int_equal(
	    frame_seal(&plain, str_mem(zeros, sizeof zeros), false, &packet, NULL), ERR_LIMIT);
	buf_done(&packet);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_of_another_pool_is_refused),
		TEST(labels_that_are_cut_or_empty_are_refused),
		TEST(a_bomb_of_gigabytes_is_refused),
		TEST(layers_upon_layers_are_refused),
		TEST(parts_are_walked_through_all_layers),
		TEST(compounds_in_compounds_end),
		TEST(all_parts_share_one_limit),
		TEST(cut_compounds_give_what_is_whole),
		TEST(a_checksum_covers_every_bit),
		TEST(what_gets_longer_is_not_compressed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Streams in pieces, and heads that announce what never comes. */
#include "gossip/stream.h"

#include <stdlib.h>

#include "gossip/lzw.h"
#include "gossip/pack.h"
#include "tests/unit/test.h"

static const struct frame_config plain = { 0 };

/* All at once; the stream is freed. */
static int
feed(const struct frame_config *c, bool answer, struct str bytes)
{
	struct stream_in *s = stream_in_new(c, answer);
	struct stream_request q;
	int rc = stream_in_feed(s, bytes, &q, NULL);

	stream_in_free(s);
	return rc;
}

static struct buf
compressed(struct str in)
{
	struct buf lzw, out;
	struct writer w;

	buf_init(&lzw, LZW_PACKED_MAX(in.n));
	buf_init(&out, WIRE_COMPRESSED_ROOM(LZW_PACKED_MAX(in.n)));
	lzw_pack(in, &lzw);
	w = wr_of(buf_reserve(&out, WIRE_COMPRESSED_ROOM(lzw.n)), WIRE_COMPRESSED_ROOM(lzw.n));
	wire_compressed_write(&w, buf_str(&lzw));
	buf_commit(&out, w.pos);
	buf_done(&lzw);
	return out;
}

static int
feed_compressed(struct str in)
{
	struct buf packed = compressed(in);
	int rc = feed(&plain, false, buf_str(&packed));

	buf_done(&packed);
	return rc;
}

static struct stream_request
a_push_pull(struct wire_node_state *nodes, size_t count, struct str state)
{
	for (size_t i = 0; i < count; i++)
		nodes[i] = (struct wire_node_state){ .name = STR("web-1"),
			.addr = { .family = ADDR_V4, .port = 8301, .bytes = { 10, 0, 0, 1 } },
			.meta = STR("\xff\x80"),
			.incarnation = (uint32_t)i,
			.state = (unsigned)i % 4,
			.vsn = wire_vsn_ours,
			.vsn_whole = true };
	return (struct stream_request){ .type = WIRE_PUSH_PULL,
		.u.push_pull = {
		    .join = true, .nodes = nodes, .node_count = count, .user_state = state } };
}

static void
requests_come_back_through_every_layer(void **unused)
{
	struct keyring *ring = keyring_new();
	struct wire_node_state nodes[100];
	struct stream_request q = a_push_pull(nodes, 100, STR("state")), got;

	(void)unused;
	keyring_install(ring, STR("0123456789abcdef"), NULL);
	for (unsigned layers = 0; layers < 16; layers++) {
		struct frame_config c = { .keys = layers & 1 ? ring : NULL,
			.verify_incoming = true,
			.verify_outgoing = true,
			.compress = layers & 2,
			.label = layers & 4 ? STR("blue") : STR_NONE };
		bool answer = layers & 8;
		struct stream_in *s = stream_in_new(&c, answer);
		struct buf bytes;

		buf_init(&bytes, 1024 * 1024);
		assert_int_equal(stream_write(&c, &q, answer, &bytes, NULL), 0);
		for (size_t i = 0; i < bytes.n; i++)
			assert_int_equal(stream_in_feed(s, str_mem(bytes.p + i, 1), &got, NULL),
			    i + 1 == bytes.n);
		assert_int_equal(got.u.push_pull.node_count, 100);
		assert_int_equal(got.u.push_pull.nodes[99].incarnation, 99);
		assert_str(got.u.push_pull.nodes[50].name, "web-1");
		assert_str(got.u.push_pull.user_state, "state");
		assert_int_equal(stream_in_feed(s, STR("x"), &got, NULL), ERR_STATE);
		stream_in_free(s);
		buf_done(&bytes);
	}
	keyring_free(ring);
	stream_in_free(NULL);
}

static void
streams_of_another_pool_are_refused(void **unused)
{
	struct keyring *ring = keyring_new(), *other = keyring_new();
	struct frame_config secret = {
		.keys = ring, .verify_incoming = true, .verify_outgoing = true
	};
	struct frame_config stranger = secret, blue = { .label = STR("blue") }, rollout = secret;
	struct stream_request q = { .type = WIRE_USER, .u.user = STR("hello") };
	struct buf sealed, open, labelled;

	(void)unused;
	keyring_install(ring, STR("0123456789abcdef"), NULL);
	keyring_install(other, STR("fedcba9876543210"), NULL);
	stranger.keys = other;
	rollout.verify_incoming = false;
	buf_init(&sealed, 4096);
	buf_init(&open, 4096);
	buf_init(&labelled, 4096);
	assert_int_equal(stream_write(&secret, &q, false, &sealed, NULL), 0);
	assert_int_equal(stream_write(&plain, &q, false, &open, NULL), 0);
	assert_int_equal(stream_write(&blue, &q, false, &labelled, NULL), 0);
	assert_int_equal(feed(&secret, false, buf_str(&sealed)), 1);
	assert_int_equal(feed(&stranger, false, buf_str(&sealed)), ERR_REFUSED);
	assert_int_equal(feed(&plain, false, buf_str(&sealed)), ERR_REFUSED);
	assert_int_equal(feed(&secret, false, buf_str(&open)), ERR_REFUSED);
	assert_int_equal(feed(&rollout, false, buf_str(&open)), 1);
	assert_int_equal(feed(&blue, false, buf_str(&labelled)), 1);
	assert_int_equal(feed(&plain, false, buf_str(&labelled)), ERR_REFUSED);
	assert_int_equal(feed(&blue, false, buf_str(&open)), ERR_REFUSED);
	assert_int_equal(feed(&blue, true, buf_str(&open)), 1); /* answers carry no label */
	sealed.p[3] ^= 1; /* the length is authenticated: one bit less is another frame */
	assert_true(feed(&secret, false, buf_str(&sealed)) <= 0);
	buf_done(&sealed);
	buf_done(&open);
	buf_done(&labelled);
	keyring_free(ring);
	keyring_free(other);
}

/* A push/pull's head by hand. */
static struct str
head_of(uint64_t nodes, uint64_t state, uint8_t room[64])
{
	struct writer w = wr_of(room, 64);

	wr_u8(&w, WIRE_PUSH_PULL);
	pack_put_map(&w, 3);
	pack_put_bytes(&w, STR("Join"));
	pack_put_bool(&w, false);
	pack_put_bytes(&w, STR("Nodes"));
	pack_put_uint(&w, nodes);
	pack_put_bytes(&w, STR("UserStateLen"));
	pack_put_uint(&w, state);
	return wr_done(&w);
}

static void
push_pulls_that_announce_more_than_they_carry_are_refused(void **unused)
{
	uint8_t room[64];

	(void)unused;
	assert_int_equal(feed(&plain, false, head_of(0, 0, room)), 1);
	assert_int_equal(feed(&plain, false, head_of(STREAM_NODES_MAX, 0, room)), 0);
	assert_int_equal(feed(&plain, false, head_of(STREAM_NODES_MAX + 1, 0, room)), ERR_LIMIT);
	assert_int_equal(feed(&plain, false, head_of(0, STREAM_BLOB_MAX, room)), 0);
	assert_int_equal(feed(&plain, false, head_of(0, STREAM_BLOB_MAX + 1, room)), ERR_LIMIT);
	assert_int_equal(feed(&plain, false, head_of(UINT32_MAX, 0, room)), ERR_INPUT);
	assert_int_equal(feed(&plain, false, head_of(0, UINT64_MAX, room)), ERR_INPUT);
	/* inside another layer nothing more can come: too little is wrong at once */
	assert_int_equal(feed_compressed(head_of(0, 0, room)), 1);
	assert_int_equal(feed_compressed(head_of(1, 0, room)), ERR_INPUT);
	assert_int_equal(feed_compressed(head_of(0, 1, room)), ERR_INPUT);
	assert_int_equal(feed_compressed(head_of(STREAM_NODES_MAX, 0, room)), ERR_INPUT);
	assert_int_equal(
	    feed_compressed(head_of(STREAM_NODES_MAX, STREAM_BLOB_MAX, room)), ERR_INPUT);
}

static void
user_messages_that_announce_more_than_they_carry_are_refused(void **unused)
{
	uint8_t room[64];
	struct writer w;

	(void)unused;
	for (uint32_t n = 0; n < 3; n++) {
		w = wr_of(room, sizeof room);
		wr_u8(&w, WIRE_USER);
		wire_user_head_write(&w, n);
		wr_u8(&w, 'x');
		assert_int_equal(feed(&plain, false, wr_done(&w)), n < 2 ? 1 : 0);
		assert_int_equal(feed_compressed(wr_done(&w)), n < 2 ? 1 : ERR_INPUT);
	}
	w = wr_of(room, sizeof room);
	wr_u8(&w, WIRE_USER);
	wire_user_head_write(&w, STREAM_BLOB_MAX + 1);
	assert_int_equal(feed(&plain, false, wr_done(&w)), ERR_LIMIT);
}

static void
frames_have_a_length_we_can_bear(void **unused)
{
	struct keyring *ring = keyring_new();
	struct frame_config c = { .keys = ring, .verify_incoming = true };

	(void)unused;
	keyring_install(ring, STR("0123456789abcdef"), NULL);
	assert_int_equal(feed(&c, false, str_mem("\x0a\xff\xff\xff\xff", 5)), ERR_LIMIT);
	assert_int_equal(feed(&c, false, str_mem("\x0a\x01\x40\x00\x01", 5)), ERR_LIMIT);
	assert_int_equal(feed(&c, false, str_mem("\x0a\x01\x40\x00\x00", 5)), 0);
	assert_int_equal(feed(&c, false, str_mem("\x0a\x00\x00\x00\x1c", 5)), ERR_INPUT);
	assert_int_equal(feed(&c, false, str_mem("\x0a\x00\x00\x00\x00", 5)), ERR_INPUT);
	keyring_free(ring);
}

static void
a_bomb_stops_at_the_limit(void **unused)
{
	size_t n = STREAM_UNPACKED_MAX + 1;
	char *zeros = calloc(1, n);
	uint8_t room[64];
	struct str head = head_of(0, STREAM_BLOB_MAX, room);

	(void)unused;
	memcpy(zeros, head.p, head.n);
	assert_int_equal(feed_compressed(str_mem(zeros, n)), ERR_LIMIT);
	assert_int_equal(feed_compressed(str_mem(zeros, n - 1)), 1);
	free(zeros);
}

static void
a_plain_body_without_end_is_refused(void **unused)
{
	struct stream_in *s = stream_in_new(&plain, false);
	static char meta[1024 * 1024];
	struct stream_request q;
	uint8_t room[64];
	size_t fed = 0;
	int rc;

	(void)unused;
	/* small nodes, without end in sight, 100 MB of them */
	rc = stream_in_feed(s, head_of(STREAM_NODES_MAX, 0, room), &q, NULL);
	for (size_t i = 0; i + 512 <= sizeof meta; i += 512) {
		struct writer w = wr_of(meta + i, 512);

		pack_put_map(&w, 1);
		pack_put_bytes(&w, STR("X"));
		wr_u8(&w, 0xda);
		wr_be16(&w, 512 - 6);
	}
	for (; rc == 0 && fed < 100u * 1024 * 1024; fed += sizeof meta)
		rc = stream_in_feed(s, str_mem(meta, sizeof meta), &q, NULL);
	assert_int_equal(rc, ERR_LIMIT);
	assert_true(fed <= STREAM_UNPACKED_MAX + 2 * sizeof meta);
	stream_in_free(s);
}

static void
one_map_has_a_limit(void **unused)
{
	static char big[STREAM_HEAD_MAX + 100];
	struct writer w = wr_of(big, sizeof big);

	(void)unused;
	wr_u8(&w, WIRE_PING); /* an unknown key whose value does not end */
	pack_put_map(&w, 1);
	pack_put_bytes(&w, STR("X"));
	wr_u8(&w, 0xdb);
	wr_be32(&w, UINT32_MAX);
	assert_int_equal(feed(&plain, false, wr_done(&w)), 0);
	assert_int_equal(feed(&plain, false, str_mem(big, sizeof big)), ERR_INPUT);
	big[0] = WIRE_USER;
	assert_int_equal(feed(&plain, false, str_mem(big, sizeof big)), ERR_INPUT);
	big[0] = WIRE_PUSH_PULL;
	assert_int_equal(feed(&plain, false, str_mem(big, sizeof big)), ERR_INPUT);
	big[0] = WIRE_COMPRESSED;
	assert_int_equal(feed(&plain, false, str_mem(big, sizeof big)), ERR_INPUT);
}

static void
types_that_no_stream_carries_are_refused(void **unused)
{
	(void)unused;
	for (unsigned type = 0; type < 256; type++) {
		uint8_t bytes[] = { (uint8_t)type };
		bool known = type == WIRE_PUSH_PULL || type == WIRE_PING || type == WIRE_ACK ||
			     type == WIRE_USER || type == WIRE_ERROR || type == WIRE_COMPRESSED ||
			     type == WIRE_LABEL;

		assert_int_equal(feed(&plain, false, str_mem(bytes, 1)), known ? 0
									 : type == WIRE_ENCRYPTED
									     ? ERR_REFUSED
									     : ERR_INPUT);
	}
	assert_int_equal(feed_compressed(STR("\x04\x80")), ERR_INPUT);
	assert_int_equal(feed_compressed(STR("\x09\x80")), ERR_INPUT);
	assert_int_equal(feed_compressed(STR_NONE), ERR_INPUT);
}

static void
other_algorithms_are_refused(void **unused)
{
	(void)unused;
	assert_int_equal(feed(&plain, false,
			     STR("\x09\x82\xa4"
				 "Algo\x01\xa3"
				 "Buf\xa0")),
	    ERR_INPUT);
	assert_int_equal(feed(&plain, false,
			     STR("\x09\x82\xa4"
				 "Algo\xc0\xa3"
				 "Buf\x91\x01")),
	    ERR_INPUT);
	assert_int_equal(feed(&plain, false,
			     STR("\x09\x81\xa4"
				 "Algo\xc0")),
	    ERR_INPUT);
}

static void
what_is_too_large_is_not_written(void **unused)
{
	size_t n = STREAM_BLOB_MAX + 1;
	char *big = calloc(1, n);
	struct stream_request q = { .type = WIRE_USER, .u.user = str_mem(big, n) };
	struct buf out;

	(void)unused;
	buf_init(&out, SIZE_MAX / 2);
	assert_int_equal(stream_write(&plain, &q, false, &out, NULL), ERR_LIMIT);
	q = a_push_pull(NULL, 0, str_mem(big, n));
	assert_int_equal(stream_write(&plain, &q, false, &out, NULL), ERR_LIMIT);
	q.type = WIRE_ALIVE;
	assert_int_equal(stream_write(&plain, &q, false, &out, NULL), ERR_INPUT);
	assert_int_equal(out.n, 0);
	buf_done(&out);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_come_back_through_every_layer),
		cmocka_unit_test(streams_of_another_pool_are_refused),
		cmocka_unit_test(push_pulls_that_announce_more_than_they_carry_are_refused),
		cmocka_unit_test(user_messages_that_announce_more_than_they_carry_are_refused),
		cmocka_unit_test(frames_have_a_length_we_can_bear),
		cmocka_unit_test(a_bomb_stops_at_the_limit),
		cmocka_unit_test(a_plain_body_without_end_is_refused),
		cmocka_unit_test(one_map_has_a_limit),
		cmocka_unit_test(types_that_no_stream_carries_are_refused),
		cmocka_unit_test(other_algorithms_are_refused),
		cmocka_unit_test(what_is_too_large_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

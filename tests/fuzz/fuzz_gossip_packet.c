/* Arbitrary bytes as a datagram, plain and (so that the inside of encryption is reached) as what
 * a key opened; each message of it as memberlist's and serf's. What is read must come out again
 * and be read the same; nothing may be unpacked beyond the limit. */
#include "gossip/frame.h"
#include "gossip/lzw.h"
#include "gossip/serf_wire.h"
#include "gossip/wire.h"
#include "tests/fuzz/fuzz.h"

#define ROOM (1024 * 1024)

static uint8_t first[ROOM], second[ROOM];

/* Writing what was read, reading it, writing it again: the same bytes twice. */
static void
fuzz_message(struct arena *arena, const struct wire_message *m)
{
	struct writer a = wr_of(first, sizeof first), b = wr_of(second, sizeof second);
	struct wire_message again;

	wire_write(&a, m);
	FUZZ_ASSERT(!a.full && wire_read(arena, wr_done(&a), &again, NULL) == 0);
	wire_write(&b, &again);
	FUZZ_ASSERT(str_eq(wr_done(&a), wr_done(&b)));
}

static void
fuzz_serf(struct arena *arena, struct str bytes)
{
	struct writer a = wr_of(first, sizeof first), b = wr_of(second, sizeof second);
	struct serf_message m, again;
	struct serf_filter filter;

	serf_filter_read(arena, bytes, &filter, NULL);
	if (serf_read(arena, bytes, &m, NULL) < 0)
		return;
	serf_write(&a, &m);
	if (a.full || serf_read(arena, wr_done(&a), &again, NULL) < 0)
		return; /* slots out of order, a tag twice, an arena that is full */
	serf_write(&b, &again);
	FUZZ_ASSERT(str_eq(wr_done(&a), wr_done(&b)));
}

static void
fuzz_part(struct arena *arena, struct str part)
{
	struct serf_coordinate coordinate;
	struct wire_message m;
	struct serf_tag *tags;
	size_t count;

	if (wire_read(arena, part, &m, NULL) < 0)
		return;
	fuzz_message(arena, &m);
	if (m.type == WIRE_USER)
		fuzz_serf(arena, m.u.user);
	else if (m.type == WIRE_ALIVE)
		serf_tags_read(arena, m.u.alive.meta, &tags, &count, NULL);
	else if (m.type == WIRE_ACK)
		serf_coordinate_read(m.u.ack.payload, &coordinate, NULL);
}

static void
fuzz_packet(const struct frame_config *c, struct str packet)
{
	struct frame_walk walk;
	struct str opened, part;
	struct arena arena;
	size_t sum = 0;

	arena_init(&arena, ROOM);
	if (frame_open(c, &arena, packet, &opened, NULL) == 0) {
		frame_walk_init(&walk, &arena, opened);
		while (frame_walk_next(&walk, &part)) {
			sum += part.n;
			fuzz_part(&arena, part);
		}
	}
	FUZZ_ASSERT(sum <= 2 * FRAME_UNPACKED_MAX);
	arena_done(&arena);
}

/* Packed and unpacked, any bytes are the same. */
static void
fuzz_lzw(struct str in)
{
	struct buf packed, plain;

	buf_over(&packed, first, sizeof first);
	buf_over(&plain, second, sizeof second);
	lzw_pack(in, &packed);
	FUZZ_ASSERT(!packed.full && lzw_unpack(buf_str(&packed), &plain, NULL) == 0);
	FUZZ_ASSERT(str_eq(buf_str(&plain), in));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t nonce[12];
	struct str in = str_mem(data, size);
	struct frame_config plain = { 0 }, secret = { .verify_incoming = true }, blue = { 0 };
	struct buf sealed;

	if (size > 65000)
		return 0;
	fuzz_packet(&plain, in);
	blue.label = STR("blue");
	fuzz_packet(&blue, in);
	secret.keys = keyring_new();
	keyring_install(secret.keys, STR("0123456789abcdef"), NULL);
	fuzz_packet(&secret, in);
	buf_init(&sealed, ROOM);
	if (keyring_seal(secret.keys, size % 2, nonce, in, STR_NONE, &sealed, NULL) == 0)
		fuzz_packet(&secret, buf_str(&sealed));
	buf_done(&sealed);
	keyring_free(secret.keys);
	fuzz_lzw(in);
	return 0;
}

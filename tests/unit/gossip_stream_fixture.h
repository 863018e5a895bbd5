/* tests/unit/gossip_stream_fixture.h -- streams of the pool over real sockets on loopback. */
#ifndef TESTS_UNIT_GOSSIP_STREAM_FIXTURE_H
#define TESTS_UNIT_GOSSIP_STREAM_FIXTURE_H

#include "tests/unit/gossip_io_room.h"

#define KEY_1 "0123456789abcdef"
#define KEY_2 "fedcba9876543210"
#define MIB (1024 * 1024)
#define SOON (5 * NSEC_SEC)
#define COARSE (20 * NSEC_MS) /* libevent's clock is, and may be early by it */

static inline struct stream_request
push_pull(struct str user_state)
{
	struct stream_request q = { .type = WIRE_PUSH_PULL };

	q.u.push_pull.user_state = user_state;
	return q;
}

static inline struct stream_request
ping(uint32_t seq)
{
	struct stream_request q = { .type = WIRE_PING };

	q.u.ping = (struct wire_ping){ .seq = seq, .node = STR("b") };
	return q;
}

/* Bytes that no compression makes shorter, the same for each n. */
static inline struct str
noise(char *room, size_t n)
{
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		room[i] = (char)(x >> 24);
	}
	return str_mem(room, n);
}

static inline uint64_t
sum_of(struct str s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s.n; i++)
		sum = sum * 31 + (uint8_t)s.p[i];
	return sum;
}

static inline void
two_sides(struct world *w, struct side **a, struct side **b)
{
	*a = side_begin(w, 0, "127.0.0.1:0");
	*b = side_begin(w, 1, "127.0.0.2:0");
	(*a)->out = push_pull(STR("asks"));
	(*b)->answer = push_pull(STR("answers"));
}

static inline const struct closed *
over(struct side *s, uint64_t id)
{
	until(s->world, side_closed(s, id) != NULL);
	return side_closed(s, id);
}

/* Nothing is left of any stream, on either side. */
static inline void
nothing_left(struct side *s)
{
	struct gossip_io_stats now;

	until(s->world,
	    gossip_io_stats(s->io).streams_now == 0 && gossip_io_stats(s->io).opens_now == 0);
	now = gossip_io_stats(s->io);
	assert_int_equal(now.bytes_now, 0);
}

static inline struct str
request_bytes(const struct side *s, const struct stream_request *q, struct buf *out)
{
	buf_init(out, 64 * MIB);
	assert_int_equal(stream_write(&s->frame, q, false, out, NULL), 0);
	return buf_str(out);
}

#define io_test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

#endif

/* tests/unit/gossip_io_room.h -- shells of the pool on loopback addresses, in one loop.
 *
 * Each side notes what its shell tells it. Sides are stepped together: until() turns the loop until
 * something is so, and fails when it is not so in time.
 */
#ifndef TESTS_UNIT_GOSSIP_IO_ROOM_H
#define TESTS_UNIT_GOSSIP_IO_ROOM_H

#include "tests/unit/test.h"

#include "base/buf.h"
#include "gossip/gossip_io.h"

#define SIDES_MAX 4
#define CLOSED_MAX 2048
#define UNTIL_MAX (20 * NSEC_SEC) /* a busy machine under sanitizers is slow */

struct closed {
	uint64_t id;
	enum gossip_why why;
	enum wire_type type; /* of the answer */
	size_t nodes, user_n;
	bool answered;
};

struct side {
	struct world *world;
	struct gossip_io *io;
	struct addr at;
	struct frame_config frame;
	struct keyring *keys; /* owned */
	bool sending;         /* inside gossip_io_send() or gossip_io_open() */
	/* datagrams */
	struct buf heard; /* messages, a '|' behind each */
	size_t messages, message_bytes, turns, in_turn, in_turn_max;
	struct addr from; /* of the last message or request */
	struct addr refused[16];
	size_t refused_count;
	/* streams: what to send, what to answer */
	struct stream_request out, answer;
	bool out_none, answer_none;
	size_t requests, opened, opens_most;
	enum wire_type request_type;
	struct str user_state; /* how long the last request's was; bytes checked by sum */
	uint64_t user_sum;
	char error[256];
	struct closed closed[CLOSED_MAX];
	size_t closed_count;
};

struct world {
	struct event_base *base;
	struct event *tick;
	struct side sides[SIDES_MAX];
	size_t ticks;
	nsec stream_time; /* for sides begun from now on; 0: the usual */
	size_t bytes_max;
};

int world_setup(void **state);
int world_teardown(void **state);

nsec world_now(void);
void world_turn(struct world *);
#define until(world, condition)                                                                \
	do {                                                                                   \
		nsec end_ = world_now() + UNTIL_MAX;                                           \
		while (!(condition)) {                                                         \
			if (world_now() > end_) {                                              \
				print_error("%s:%d: never: %s\n", __FILE__, __LINE__,          \
				    #condition);                                               \
				fail();                                                        \
			}                                                                      \
			world_turn(world);                                                     \
		}                                                                              \
	} while (0)
void world_rest(struct world *, nsec); /* turns for so long: to see that nothing comes */

/* Begins side i at an address with or without port. */
struct side *side_begin(struct world *, size_t i, const char *at);
void side_key(struct side *, const char *key); /* 16 bytes; the first is primary; verifies both ways */
void side_send(struct side *, const struct addr *peer, struct str message, bool crc);
void side_open(struct side *, uint64_t id, const struct addr *peer, bool want_answer, nsec time_max);
const struct closed *side_closed(const struct side *, uint64_t id); /* NULL: not yet */
size_t side_closed_times(const struct side *, uint64_t id);

struct addr parsed(const char *);
struct addr dead_address(int type, const char *ip); /* a port where nobody listens */
int client(const struct addr *to, int type, const char *from_ip); /* NULL: any; non-blocking */
void client_send(struct world *, int fd, struct str); /* all of it; fails when it is cut off */
/* Reads until the end or a reset; < 0: reset. */
ssize_t client_read_all(struct world *, int fd, struct buf *out);
bool client_is_closed(int fd); /* the other side ended or reset it; takes what came before */

#endif

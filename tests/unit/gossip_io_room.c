/* tests/unit/gossip_io_room.c -- sides that note what they are told. */
#include "tests/unit/gossip_io_room.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define HEARD_MAX (16 * 1024 * 1024)

/* --- the world --- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct world *w = arg;

	(void)fd;
	(void)what;
	w->ticks++;
}

int
world_setup(void **state)
{
	struct world *w = mem_new(struct world);
	const struct timeval often = { 0, 5000 };

	w->base = event_base_new();
	assert_non_null(w->base);
	w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
	assert_int_equal(event_add(w->tick, &often), 0);
	*state = w;
	return 0;
}

int
world_teardown(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < SIDES_MAX; i++) {
		gossip_io_free(w->sides[i].io);
		keyring_free(w->sides[i].keys);
		buf_done(&w->sides[i].heard);
	}
	event_free(w->tick);
	event_base_free(w->base);
	free(w);
	return 0;
}

nsec
world_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_SEC + t.tv_nsec;
}

void
world_turn(struct world *w)
{
	(void)event_base_loop(w->base, EVLOOP_ONCE);
}

void
world_rest(struct world *w, nsec span)
{
	nsec end = world_now() + span;

	while (world_now() < end)
		world_turn(w);
}

/* --- what the shell tells --- */

static void
on_message(void *arg, const struct addr *from, struct str message)
{
	struct side *s = arg;

	assert_false(s->sending);
	s->messages++;
	s->message_bytes += message.n;
	s->from = *from;
	buf_add(&s->heard, message);
	buf_addc(&s->heard, '|');
	if (++s->in_turn > s->in_turn_max)
		s->in_turn_max = s->in_turn;
}

static void
on_turn_done(void *arg)
{
	struct side *s = arg;

	s->turns++;
	s->in_turn = 0;
}

static void
on_refused(void *arg, const struct addr *peer)
{
	struct side *s = arg;

	assert_false(s->sending);
	if (s->refused_count < 16)
		s->refused[s->refused_count] = *peer;
	s->refused_count++;
}

static uint64_t
sum_of(struct str s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s.n; i++)
		sum = sum * 31 + (uint8_t)s.p[i];
	return sum;
}

static bool
on_request(void *arg, const struct addr *from, const struct stream_request *q, struct arena *arena,
    struct stream_request *answer)
{
	struct side *s = arg;
	struct str user = q->type == WIRE_PUSH_PULL ? q->u.push_pull.user_state
			  : q->type == WIRE_USER    ? q->u.user
						    : STR_NONE;

	(void)arena;
	s->requests++;
	s->from = *from;
	s->request_type = q->type;
	s->user_state.n = user.n;
	s->user_sum = sum_of(user);
	if (s->answer_none)
		return false;
	*answer = s->answer;
	if (q->type == WIRE_PING) {
		*answer = (struct stream_request){ .type = WIRE_ACK };
		answer->u.ack = (struct wire_ack){ .seq = q->u.ping.seq, .payload_nil = true };
	}
	return true;
}

static bool
on_opened(void *arg, uint64_t id, struct arena *arena, struct stream_request *out)
{
	struct side *s = arg;
	size_t now = gossip_io_stats(s->io).opens_now;

	(void)id;
	(void)arena;
	assert_false(s->sending);
	s->opened++;
	if (now > s->opens_most)
		s->opens_most = now;
	*out = s->out;
	return !s->out_none;
}

static void
on_closed(void *arg, uint64_t id, enum gossip_why why, const struct stream_request *answer)
{
	struct side *s = arg;
	struct closed *c = &s->closed[s->closed_count];

	assert_false(s->sending);
	assert_true(s->closed_count < CLOSED_MAX);
	*c = (struct closed){ .id = id, .why = why };
	s->closed_count++;
	if (answer == NULL)
		return;
	c->answered = true;
	c->type = answer->type;
	if (answer->type == WIRE_PUSH_PULL) {
		c->nodes = answer->u.push_pull.node_count;
		c->user_n = answer->u.push_pull.user_state.n;
		s->user_sum = sum_of(answer->u.push_pull.user_state);
	} else if (answer->type == WIRE_ERROR) {
		snprintf(s->error, sizeof s->error, STR_FMT, STR_ARG(answer->u.error));
	}
}

/* --- sides --- */

struct addr
parsed(const char *text)
{
	struct addr at;

	assert_true(addr_parse(str_of(text), 0, &at));
	return at;
}

struct side *
side_begin(struct world *w, size_t i, const char *at)
{
	struct side *s = &w->sides[i];
	struct err err = { 0 };
	struct gossip_io_config config = { .base = w->base,
		.bind = parsed(at),
		.frame = &s->frame,
		.stream_time = w->stream_time,
		.bytes_max = w->bytes_max,
		.arg = s,
		.message = on_message,
		.turn_done = on_turn_done,
		.refused = on_refused,
		.request = on_request,
		.opened = on_opened,
		.closed = on_closed };

	s->world = w;
	buf_init(&s->heard, HEARD_MAX);
	if (gossip_io_new(&config, &s->io, &err) != 0) {
		print_error("%s\n", err.text);
		fail();
	}
	s->at = gossip_io_address(s->io);
	assert_int_not_equal(s->at.port, 0);
	return s;
}

void
side_key(struct side *s, const char *key)
{
	if (s->keys == NULL)
		s->keys = keyring_new();
	assert_int_equal(keyring_install(s->keys, str_of(key), NULL), 0);
	s->frame.keys = s->keys;
	s->frame.verify_incoming = s->frame.verify_outgoing = true;
}

void
side_send(struct side *s, const struct addr *peer, struct str message, bool crc)
{
	s->sending = true;
	gossip_io_send(s->io, peer, message, crc);
	s->sending = false;
}

void
side_open(struct side *s, uint64_t id, const struct addr *peer, bool want_answer, nsec time_max)
{
	s->sending = true;
	gossip_io_open(s->io, id, peer, want_answer, time_max);
	s->sending = false;
}

const struct closed *
side_closed(const struct side *s, uint64_t id)
{
	for (size_t i = 0; i < s->closed_count; i++)
		if (s->closed[i].id == id)
			return &s->closed[i];
	return NULL;
}

size_t
side_closed_times(const struct side *s, uint64_t id)
{
	size_t count = 0;

	for (size_t i = 0; i < s->closed_count; i++)
		count += s->closed[i].id == id;
	return count;
}

/* --- plain sockets --- */

struct addr
dead_address(int type, const char *ip)
{
	struct addr at = parsed(ip);
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&at, &sa);
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_true(addr_from_sockaddr((struct sockaddr *)&sa, &at));
	(void)close(fd);
	return at;
}

int
client(const struct addr *to, int type, const char *from_ip)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd = socket(to->family == ADDR_V6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (from_ip != NULL) {
		struct addr from = parsed(from_ip);

		len = addr_to_sockaddr(&from, &sa);
		assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	}
	len = addr_to_sockaddr(to, &sa);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

void
client_send(struct world *w, int fd, struct str bytes)
{
	nsec end = world_now() + UNTIL_MAX;

	while (bytes.n > 0) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

		assert_true(n > 0 || errno == EAGAIN);
		assert_true(world_now() < end);
		if (n > 0)
			bytes = str_skip(bytes, (size_t)n);
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
	}
}

ssize_t
client_read_all(struct world *w, int fd, struct buf *out)
{
	nsec end = world_now() + UNTIL_MAX;
	char room[65536];

	for (;;) {
		ssize_t n = recv(fd, room, sizeof room, MSG_DONTWAIT);

		if (n == 0)
			return (ssize_t)out->n;
		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n > 0)
			buf_add(out, str_mem(room, (size_t)n));
		else
			world_turn(w);
		assert_true(world_now() < end);
	}
}

bool
client_is_closed(int fd)
{
	char room[4096];
	ssize_t n;

	do
		n = recv(fd, room, sizeof room, MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || errno != EAGAIN;
}

/* tests/unit/test_dns_io.c -- the listeners, over real sockets on loopback.
 *
 * Client and server share one thread: a client's step is followed by turns of the loop.
 */
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dns/dns_io.h"
#include "tests/unit/dns_room.h"

#define WAIT_MS 5000

static unsigned threads; /* of the listeners */

struct world {
	struct dns_room room;
	struct event_base *base;
	struct dns_io *io;
	struct addr at;
};

static struct addr
parsed(const char *text)
{
	struct addr at;

	assert_true(addr_parse(str_of(text), 0, &at));
	return at;
}

static int
listen_at(struct event_base *base, struct dns_responder *responder, const struct addr *at,
    unsigned count, struct dns_io **out, struct err *err)
{
	const struct dns_io_config config = { .listen = at, .count = 1, .threads = count };

	return dns_io_new(base, responder, &config, out, err);
}

static void
listen_on(struct world *w, const char *text)
{
	struct addr at = parsed(text);
	struct err err;

	assert_int_equal(listen_at(w->base, w->room.responder, &at, threads, &w->io, &err), 0);
	w->at = dns_io_address(w->io, 0);
	assert_int_not_equal(w->at.port, 0);
}

static int
setup(void **state)
{
	static struct world w;

	dns_room_init(&w.room);
	dns_room_many(&w.room, "web", 1000);
	(void)dns_room_ask(&w.room, (struct dns_ask){ "n1.node.consul", RR_A, 0, false });
	w.base = event_base_new();
	w.io = NULL;
	*state = &w;
	return w.base == NULL;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	dns_io_free(w->io);
	event_base_free(w->base);
	dns_room_done(&w->room);
	return 0;
}

static void
turn(struct world *w)
{
	(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static int
client(struct world *w, int type, const char *ip)
{
	struct sockaddr_storage sa;
	struct addr to = parsed(ip);
	socklen_t len;
	int fd;

	to.port = w->at.port;
	len = addr_to_sockaddr(&to, &sa);
	fd = socket(sa.ss_family, type, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* Bytes, the end (0), or -1 when nothing comes. */
static ssize_t
receive(struct world *w, int fd, void *out, size_t cap)
{
	for (int i = 0; i < WAIT_MS; i++) {
		ssize_t n;

		turn(w);
		n = recv(fd, out, cap, 0);
		if (n >= 0)
			return n;
		if (errno == ECONNRESET)
			return 0;
		if (errno != EAGAIN)
			return -1;
		(void)usleep(1000);
	}
	return -1;
}

static void
receive_all(struct world *w, int fd, uint8_t *out, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t more = receive(w, fd, out + got, n - got);

		assert_true(more > 0);
		got += (size_t)more;
	}
}

/* A length and a message; returns the message's length. */
static size_t
receive_message(struct world *w, int fd, uint8_t out[DNS_MESSAGE_MAX])
{
	uint8_t length[2];
	size_t n;

	receive_all(w, fd, length, 2);
	n = (size_t)length[0] << 8 | length[1];
	receive_all(w, fd, out, n);
	return n;
}

/* Sends all of it, turning the loop while the server is behind. */
static void
send_all(struct world *w, int fd, struct str bytes)
{
	while (bytes.n > 0) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

		if (n > 0)
			bytes = str_skip(bytes, (size_t)n);
		else if (errno != EAGAIN)
			fail_msg("send: error %d", errno); /* never as long as it takes */
		turn(w);
	}
}

static struct str
framed(struct dns_ask ask, uint8_t room[514])
{
	struct str packet = dns_room_packet(&ask, room + 2);

	room[0] = (uint8_t)(packet.n >> 8);
	room[1] = (uint8_t)packet.n;
	return str_mem(room, packet.n + 2);
}

static const struct dns_ask small = { "n1.node.consul", RR_A, 0, true };
static const struct dns_ask large = { "web.service.consul", RR_A, 0, true };

static void
expect_small(struct world *w, int fd)
{
	static uint8_t room[DNS_MESSAGE_MAX];
	char text[4096];
	size_t n = receive_message(w, fd, room);

	assert_true(dns_room_show(str_mem(room, n), text, sizeof text));
	assert_int_equal(dns_room_count(text, "an n1.node.consul. 0 A 127.0.0.1"), 1);
}

/* Clients connect, so a reply from another address than the one asked would not reach them. */
static void
udp_answers_from_the_address_asked(void **state)
{
	static const char *const addresses[] = { "127.0.0.1", "127.0.0.2", "127.1.2.3" };
	struct world *w = *state;
	uint8_t packet_room[512], room[512];
	struct str packet = dns_room_packet(&small, packet_room);

	listen_on(w, "0.0.0.0:0");
	for (size_t i = 0; i < 3; i++) {
		int fd = client(w, SOCK_DGRAM, addresses[i]);

		assert_int_equal(send(fd, packet.p, packet.n, 0), packet.n);
		assert_true(receive(w, fd, room, sizeof room) > (ssize_t)packet.n);
		(void)close(fd);
	}
}

static void
udp_over_ipv6(void **state)
{
	struct world *w = *state;
	uint8_t packet_room[512], room[512];
	struct str packet = dns_room_packet(&small, packet_room);
	struct addr at = parsed("[::]:0");
	static const char *const addresses[] = { "[::1]", "127.0.0.2" };

	if (listen_at(w->base, w->room.responder, &at, threads, &w->io, NULL) != 0) {
		print_message("no IPv6 here\n");
		return;
	}
	w->at = dns_io_address(w->io, 0);
	for (size_t i = 0; i < 2; i++) {
		int fd = client(w, SOCK_DGRAM, addresses[i]);

		assert_int_equal(send(fd, packet.p, packet.n, 0), packet.n);
		assert_true(receive(w, fd, room, sizeof room) > (ssize_t)packet.n);
		(void)close(fd);
	}
}

static void
udp_in_batches(void **state)
{
	struct world *w = *state;
	uint8_t packet_room[512], room[512];
	char odd[100] = { 0 };
	bool came[100] = { false };
	struct str packet = dns_room_packet(&small, packet_room);
	int fd;

	listen_on(w, "127.0.0.1:0");
	fd = client(w, SOCK_DGRAM, "127.0.0.1");
	for (int i = 0; i < 100; i++) {
		packet_room[0] = (uint8_t)i;
		assert_int_equal(send(fd, packet.p, packet.n, 0), packet.n);
		assert_int_equal(send(fd, odd, (size_t)i % 12, 0), i % 12); /* no answer to these */
	}
	for (int i = 0; i < 100; i++) { /* threads and the loop may overtake each other */
		assert_true(receive(w, fd, room, sizeof room) > (ssize_t)packet.n);
		assert_in_range(room[0], 0, 99);
		assert_false(came[room[0]]);
		came[room[0]] = true;
	}
	(void)close(fd);
}

/* 40 answers of 16 KiB each are more than the room for one batch. */
static void
udp_large_answers(void **state)
{
	struct world *w = *state;
	struct dns_ask ask = { "web.service.consul", RR_A, 65535, false };
	static uint8_t room[DNS_MESSAGE_MAX];
	uint8_t packet_room[512];
	struct str packet = dns_room_packet(&ask, packet_room);
	int fd, size = 4 << 20;

	listen_on(w, "127.0.0.1:0");
	fd = client(w, SOCK_DGRAM, "127.0.0.1");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	for (int i = 0; i < 40; i++)
		assert_int_equal(send(fd, packet.p, packet.n, 0), packet.n);
	for (int i = 0; i < 5; i++) /* the client's buffer may lose the others */
		assert_true(receive(w, fd, room, sizeof room) > 16000);
	(void)close(fd);
}

static void
tcp_pipelined(void **state)
{
	struct world *w = *state;
	uint8_t bytes[514];
	struct str query = framed(small, bytes);
	int fd;

	listen_on(w, "127.0.0.1:0");
	fd = client(w, SOCK_STREAM, "127.0.0.1");
	for (int i = 0; i < 50; i++)
		send_all(w, fd, query);
	for (int i = 0; i < 50; i++)
		expect_small(w, fd);
	for (int i = 0; i < 3; i++)
		for (size_t k = 0; k < query.n; k++) /* a byte at a time */
			send_all(w, fd, str_head(str_skip(query, k), 1));
	(void)shutdown(fd, SHUT_WR); /* what was asked before is answered */
	for (int i = 0; i < 3; i++)
		expect_small(w, fd);
	assert_int_equal(receive(w, fd, bytes, 1), 0);
	(void)close(fd);
}

/* The longest message there can be, in small pieces: malformed, hence FORMERR; then a good one. */
static void
tcp_a_message_of_64_kib(void **state)
{
	struct world *w = *state;
	static uint8_t message[2 + DNS_MESSAGE_MAX];
	uint8_t bytes[514];
	int fd;

	memset(message, 1, sizeof message);
	message[0] = message[1] = 0xff;
	message[4] = 0; /* a query */
	listen_on(w, "127.0.0.1:0");
	dns_io_tcp_idle(w->io, NSEC_HOUR); /* a busy machine takes its time for so many steps */
	fd = client(w, SOCK_STREAM, "127.0.0.1");
	for (size_t i = 0; i < sizeof message; i++)
		send_all(w, fd, str_mem(message + i, 1));
	assert_int_equal(receive_message(w, fd, message), DNS_HEADER_BYTES);
	assert_int_equal(message[3] & 15, DNS_FORMERR);
	send_all(w, fd, framed(small, bytes));
	expect_small(w, fd);
	(void)close(fd);
}

/* Who asks without reading is not read from either; once it reads, it has all answers. */
static void
tcp_answers_wait_for_their_reader(void **state)
{
	enum { COUNT = 600 };
	struct world *w = *state;
	static uint8_t room[DNS_MESSAGE_MAX];
	uint8_t bytes[514];
	struct str query = framed(large, bytes);
	size_t sent = 0, got = 0;
	int fd;

	listen_on(w, "127.0.0.1:0");
	fd = client(w, SOCK_STREAM, "127.0.0.1");
	for (int stuck = 0; sent < COUNT * query.n && stuck < 20;) {
		size_t at = sent % query.n;
		ssize_t n = send(fd, query.p + at, query.n - at, MSG_NOSIGNAL);

		turn(w);
		stuck = n > 0 ? 0 : stuck + 1;
		sent += n > 0 ? (size_t)n : 0;
	}
	for (; got < sent / query.n; got++)
		assert_true(receive_message(w, fd, room) > 16000);
	assert_true(got > 10);
	(void)close(fd);
}

/* A byte now and then is no progress: only a whole message is. */
static void
tcp_slow_clients_are_closed(void **state)
{
	struct world *w = *state;
	uint8_t bytes[514], byte;
	struct str query = framed(small, bytes);
	bool closed = false;
	int fd;

	listen_on(w, "127.0.0.1:0");
	dns_io_tcp_idle(w->io, 100 * NSEC_MS);
	fd = client(w, SOCK_STREAM, "127.0.0.1");
	send_all(w, fd, query);
	expect_small(w, fd);
	for (size_t i = 0; i < query.n - 1 && !closed; i++) {
		send_all(w, fd, str_head(str_skip(query, i), 1));
		(void)usleep(10 * 1000);
		turn(w);
		closed = recv(fd, &byte, 1, 0) == 0 || errno == ECONNRESET;
	}
	assert_true(closed);
	(void)close(fd);
}

static void
tcp_nonsense_is_closed(void **state)
{
	struct world *w = *state;
	uint8_t byte;
	int fd;

	listen_on(w, "127.0.0.1:0");
	fd = client(w, SOCK_STREAM, "127.0.0.1");
	send_all(w, fd, STR("\0\3abc"));
	assert_int_equal(receive(w, fd, &byte, 1), 0);
	(void)close(fd);
	fd = client(w, SOCK_STREAM, "127.0.0.1");
	send_all(
	    w, fd, STR("GET / HTTP/1.1\r\n\r\n")); /* the length of a message that never comes */
	turn(w);
	(void)close(fd);
	turn(w);
}

/* More idle connections than there may be: the newest are served. */
static void
tcp_too_many_connections(void **state)
{
	enum { COUNT = DNS_TCP_PER_CLIENT_MAX + 40 };
	struct world *w = *state;
	struct rlimit files = { 4096, 4096 };
	int fds[COUNT];
	uint8_t bytes[514];

	(void)setrlimit(RLIMIT_NOFILE, &files);
	listen_on(w, "127.0.0.1:0");
	for (size_t i = 0; i < COUNT; i++) {
		fds[i] = client(w, SOCK_STREAM, "127.0.0.1");
		turn(w);
	}
	send_all(w, fds[COUNT - 1], framed(small, bytes));
	expect_small(w, fds[COUNT - 1]);
	assert_int_equal(receive(w, fds[0], bytes, 1), 0);
	for (size_t i = 0; i < COUNT; i++)
		(void)close(fds[i]);
}

static void
ports_in_use_are_named(void **state)
{
	struct world *w = *state;
	struct dns_io *other;
	struct err err;

	listen_on(w, "127.0.0.1:0");
	assert_int_equal(listen_at(w->base, w->room.responder, &w->at, threads, &other, &err), ERR_IO);
	assert_non_null(strstr(err.text, "127.0.0.1:"));
	assert_non_null(strstr(err.text, "in use"));
}

#define io_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		io_test(udp_answers_from_the_address_asked),
		io_test(udp_over_ipv6),
		io_test(udp_in_batches),
		io_test(udp_large_answers),
		io_test(tcp_pipelined),
		io_test(tcp_a_message_of_64_kib),
		io_test(tcp_answers_wait_for_their_reader),
		io_test(tcp_slow_clients_are_closed),
		io_test(tcp_nonsense_is_closed),
		io_test(tcp_too_many_connections),
		io_test(ports_in_use_are_named),
	};

	for (; threads <= 2; threads++) {
		int failed = cmocka_run_group_tests(tests, NULL, NULL);

		if (failed != 0)
			return failed;
	}
	return 0;
}

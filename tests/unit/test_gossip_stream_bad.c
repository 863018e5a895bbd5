/* Streams to peers, and from clients, that do not behave. */
#include "tests/unit/gossip_stream_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

/* --- ours, and peers that do not behave --- */

static void
a_dead_port_is_refused(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	struct addr dead = dead_address(SOCK_STREAM, "127.0.0.3");

	two_sides(w, &a, &b);
	side_open(a, 1, &dead, true, SOON);
	assert_int_equal(over(a, 1)->why, GOSSIP_REFUSED);
	assert_int_equal(a->opened, 0);
	assert_int_equal(side_closed_times(a, 1), 1);
	nothing_left(a);
}

/* Fails inside connect() already; is told from the loop all the same. */
static void
what_has_no_way_is_broken(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0");
	struct addr elsewhere = parsed("198.51.100.1:8301");

	side_open(a, 1, &elsewhere, true, SOON);
	assert_int_equal(a->closed_count, 0);
	assert_int_equal(over(a, 1)->why, GOSSIP_BROKEN);
	nothing_left(a);
}

static void
what_is_no_longer_wanted_is_closed(void **state)
{
	struct world *w = *state;
	struct side *a, *b;

	two_sides(w, &a, &b);
	a->out_none = true;
	side_open(a, 1, &b->at, true, SOON);
	assert_int_equal(over(a, 1)->why, GOSSIP_DONE);
	assert_false(side_closed(a, 1)->answered);
	assert_int_equal(b->requests, 0);
}

/* A peer played by the test: what it answers to a ping before it closes, or -1 for the listener. */
static int
played_peer(struct world *w, struct side *a, int listener, uint64_t id, bool want_answer)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct addr at;
	int fd = -1;

	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	assert_true(addr_from_sockaddr((struct sockaddr *)&sa, &at));
	side_open(a, id, &at, want_answer, SOON);
	until(w, (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
	return fd;
}

static int
played_listener(void)
{
	struct addr at = parsed("127.0.0.4");
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&at, &sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void
peers_that_answer_badly(void **state)
{
	static const struct {
		struct str answer;
		bool want;
		enum gossip_why why;
	} cases[] = {
		{ STR_NONE, true, GOSSIP_DONE },
		{ STR_NONE, false, GOSSIP_DONE },
		{ STR("not for me"), false, GOSSIP_DONE },
		{ STR("HTTP/1.1 400 Bad Request\r\n\r\n"), true, GOSSIP_BROKEN },
		{ STR("\x02\x82"), true, GOSSIP_BROKEN },             /* an ack that is cut */
		{ STR("\x0a\x7f\xff\xff\xff"), true, GOSSIP_BROKEN }, /* 2 GiB are announced */
		/* a push/pull of 2^31 nodes, one of 100 MB of state */
		{ STR("\x06\x83\xa4Join\xc2\xa5Nodes\xce\x7f\xff\xff\xff\xacUserStateLen\0"), true,
		    GOSSIP_BROKEN },
		{ STR("\x06\x83\xa4Join\xc2\xa5Nodes\0\xacUserStateLen\xce\x06\0\0\0"), true,
		    GOSSIP_BROKEN },
	};
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0");
	int listener = played_listener();

	a->out = ping(1);
	for (uint64_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int fd = played_peer(w, a, listener, i, cases[i].want);
		char room[256];

		until(w, recv(fd, room, sizeof room, 0) > 0);
		if (!cases[i].want) /* all is said, and the peer may know */
			until(w, recv(fd, room, sizeof room, 0) == 0);
		if (cases[i].answer.n > 0)
			client_send(w, fd, cases[i].answer);
		(void)shutdown(fd, SHUT_WR);
		assert_int_equal(over(a, i)->why, cases[i].why);
		assert_false(side_closed(a, i)->answered);
		(void)close(fd);
	}
	nothing_left(a);
	assert_true(gossip_io_stats(a->io).streams_broken >= 5);
	(void)close(listener);
}

/* A connection that was there is no refusal, whatever becomes of it. */
static void
peers_that_reset(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0");
	struct linger at_once = { 1, 0 };
	char *large = mem_alloc(10 * MIB);
	int listener = played_listener();

	for (uint64_t i = 0; i < 2; i++) {
		int fd;

		a->out = push_pull(noise(large, i == 0 ? 10 : 10 * MIB)); /* before, within */
		fd = played_peer(w, a, listener, i, true);
		until(w, a->opened == i + 1);
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		(void)close(fd);
		assert_int_equal(over(a, i)->why, GOSSIP_BROKEN);
	}
	nothing_left(a);
	free(large);
	(void)close(listener);
}

static void
peers_that_are_silent(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0");
	char *large = mem_alloc(10 * MIB);
	int listener = played_listener(), fds[3];
	nsec begun = world_now();
	struct addr at;
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	assert_true(addr_from_sockaddr((struct sockaddr *)&sa, &at));
	for (uint64_t i = 0; i < 3; i++) { /* no answer; not even read; no end */
		a->out = i == 1 ? push_pull(noise(large, 10 * MIB)) : ping(1);
		side_open(a, i, &at, i < 2, 200 * NSEC_MS);
		until(w, (fds[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
		until(w, a->opened == i + 1);
	}
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(over(a, i)->why, GOSSIP_TIMEOUT);
		(void)close(fds[i]);
	}
	assert_true(world_now() - begun >= 200 * NSEC_MS - COARSE);
	nothing_left(a);
	free(large);
	(void)close(listener);
}

/* A host that drops what would connect: a listener whose queue is full does that. */
static void
connecting_takes_too_long(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0");
	int listener = played_listener(), fds[8];
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct addr at;

	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	assert_true(addr_from_sockaddr((struct sockaddr *)&sa, &at));
	for (size_t i = 0; i < 8; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fds[i], (struct sockaddr *)&sa, len);
	}
	world_rest(w, 50 * NSEC_MS);
	side_open(a, 1, &at, true, 300 * NSEC_MS);
	assert_int_equal(over(a, 1)->why, GOSSIP_TIMEOUT);
	assert_int_equal(a->opened, 0);
	for (size_t i = 0; i < 8; i++)
		(void)close(fds[i]);
	(void)close(listener);
}

/* --- of others, and clients that do not behave --- */

static void
a_byte_at_a_time(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	struct buf bytes, answer;
	struct str left;
	int fd;

	two_sides(w, &a, &b);
	fd = client(&b->at, SOCK_STREAM, NULL);
	left = request_bytes(a, &a->out, &bytes);
	for (; left.n > 0; left = str_skip(left, 1)) {
		assert_int_equal(b->requests, 0);
		client_send(w, fd, str_head(left, 1));
		world_turn(w);
	}
	buf_init(&answer, MIB);
	assert_true(client_read_all(w, fd, &answer) > 7);
	assert_memory_equal(answer.p + answer.n - 7, "answers", 7);
	assert_int_equal(b->requests, 1);
	(void)close(fd);
	nothing_left(b);
	assert_int_equal(gossip_io_stats(b->io).streams_broken, 0);
	buf_done(&bytes);
	buf_done(&answer);
}

/* Who says that it will send no more still gets its answer, and a large one at its own pace. */
static void
half_closed_streams_are_answered(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	struct buf bytes, answer;
	char *large = mem_alloc(8 * MIB);
	int fd;

	two_sides(w, &a, &b);
	b->answer = push_pull(noise(large, 8 * MIB));
	fd = client(&b->at, SOCK_STREAM, NULL);
	client_send(w, fd, request_bytes(a, &a->out, &bytes));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	until(w, b->requests == 1);
	world_rest(w, 100 * NSEC_MS);
	buf_init(&answer, 16 * MIB);
	assert_true(client_read_all(w, fd, &answer) > 8 * MIB);
	assert_memory_equal(answer.p + answer.n - 8 * MIB, large, 8 * MIB);
	(void)close(fd);
	nothing_left(b);
	/* Without a whole request there is nothing to answer. */
	fd = client(&b->at, SOCK_STREAM, NULL);
	client_send(w, fd, str_head(buf_str(&bytes), bytes.n - 1));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	buf_clear(&answer);
	assert_int_equal(client_read_all(w, fd, &answer), 0);
	assert_int_equal(gossip_io_stats(b->io).streams_broken, 1);
	assert_int_equal(b->requests, 1);
	(void)close(fd);
	free(large);
	buf_done(&bytes);
	buf_done(&answer);
}

/* What comes behind the request does not harm the answer. */
static void
more_than_a_request(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	struct buf bytes, answer;
	char *large = mem_alloc(3 * MIB);
	int fd;

	two_sides(w, &a, &b);
	fd = client(&b->at, SOCK_STREAM, NULL);
	request_bytes(a, &a->out, &bytes);
	buf_add(&bytes, noise(large, 3 * MIB));
	client_send(w, fd, buf_str(&bytes));
	buf_init(&answer, MIB);
	assert_true(client_read_all(w, fd, &answer) > 7);
	assert_memory_equal(answer.p + answer.n - 7, "answers", 7);
	assert_int_equal(b->requests, 1);
	(void)close(fd);
	free(large);
	buf_done(&bytes);
	buf_done(&answer);
}

static void
slow_and_silent_clients_are_closed(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	struct buf bytes, answer;
	char *large = mem_alloc(8 * MIB);
	struct str left;
	int silent, slow, deaf, stays;
	nsec begun = world_now();

	w->stream_time = NSEC_SEC;
	two_sides(w, &a, &b);
	silent = client(&b->at, SOCK_STREAM, NULL);
	slow = client(&b->at, SOCK_STREAM, NULL);
	deaf = client(&b->at, SOCK_STREAM, NULL);
	stays = client(&b->at, SOCK_STREAM, NULL);
	left = request_bytes(a, &a->out, &bytes);
	client_send(w, stays, left); /* takes its answer and does not close */
	buf_init(&answer, MIB);
	assert_true(client_read_all(w, stays, &answer) > 7);
	b->answer = push_pull(noise(large, 8 * MIB));
	client_send(w, deaf, left); /* does not take its answer */
	until(w, b->requests == 2);
	assert_int_equal(gossip_io_stats(b->io).streams_now, 4);
	for (; left.n > 1 && !client_is_closed(slow); left = str_skip(left, 1)) {
		(void)send(slow, left.p, 1, MSG_NOSIGNAL);
		world_rest(w, 20 * NSEC_MS);
	}
	until(w, client_is_closed(slow) && client_is_closed(silent));
	nothing_left(b);
	assert_true(world_now() - begun >= NSEC_SEC - COARSE);
	assert_true(world_now() - begun < 8 * NSEC_SEC); /* the usual time would take longer */
	assert_int_equal(b->requests, 2);
	assert_int_equal(gossip_io_stats(b->io).streams_broken, 3);
	(void)close(silent);
	(void)close(slow);
	(void)close(deaf);
	(void)close(stays);
	free(large);
	buf_done(&bytes);
	buf_done(&answer);
}

/* What a client that speaks our mode reads as our answer. */
static void
expect_error(struct world *w, const struct side *b, int fd, const char *part)
{
	struct stream_in *in = stream_in_new(&b->frame, true);
	struct stream_request answer;
	struct buf bytes;
	char text[256];
	ssize_t n;

	buf_init(&bytes, MIB);
	n = client_read_all(w, fd, &bytes);
	assert_true(n > 0);
	assert_int_equal(stream_in_feed(in, buf_str(&bytes), &answer, NULL), 1);
	assert_int_equal(answer.type, WIRE_ERROR);
	snprintf(text, sizeof text, STR_FMT, STR_ARG(answer.u.error));
	if (strstr(text, part) == NULL) {
		print_error("\"%s\" is not in \"%s\"\n", part, text);
		fail();
	}
	stream_in_free(in);
	buf_done(&bytes);
}

static void
malformed_requests_are_told_why(void **state)
{
	static const struct {
		struct str bytes;
		const char *part;
	} cases[] = {
		{ STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "type 71" },
		{ STR("\x07\x01\0\1\x08"), "type 7" },
		{ STR("\x00\xc1"), "malformed" },
		{ STR("\x0a\0\0\1\0"), "no keys" },
		{ STR("\xf4\3redabc"), "label" },
		{ STR("\x09\x82\xa4"
		      "Algo\7\xa3"
		      "Buf\xa1x"),
		    "compressed" },
		{ STR("\x06\x83\xa4Join\xc2\xa5Nodes\xce\x7f\xff\xff\xff\xacUserStateLen\0"),
		    "2147483647 nodes" },
		{ STR("\x06\x83\xa4Join\xc2\xa5Nodes\0\xacUserStateLen\xce\x06\0\0\0"),
		    "100663296 bytes" },
		{ STR("\x08\x81\xaaUserMsgLen\xce\x7f\xff\xff\xff"), "2147483647 bytes" },
	};
	struct world *w = *state;
	struct side *a, *b;
	int fd;

	two_sides(w, &a, &b);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		fd = client(&b->at, SOCK_STREAM, NULL);
		client_send(w, fd, cases[i].bytes);
		expect_error(w, b, fd, cases[i].part);
		(void)close(fd);
	}
	nothing_left(b);
	assert_int_equal(b->requests, 0);
	assert_int_equal(gossip_io_stats(b->io).streams_broken, sizeof cases / sizeof cases[0]);
	b->frame.label = STR("red"); /* which answers do not repeat */
	fd = client(&b->at, SOCK_STREAM, NULL);
	client_send(w, fd, STR("\xf4\3red\xff"));
	expect_error(w, b, fd, "type 255");
	(void)close(fd);
	b->frame.label = STR_NONE;
	side_open(a, 1, &b->at, true, SOON);
	assert_true(over(a, 1)->answered);
}

/* A body of 100 MB is refused by its head; who goes on sending it is cut off soon. */
static void
a_body_of_100_mb_is_not_taken(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	char *chunk = mem_zalloc(MIB);
	nsec begun = world_now();
	size_t sent = 0, most = 0;
	int fd;

	two_sides(w, &a, &b);
	fd = client(&b->at, SOCK_STREAM, NULL);
	client_send(w, fd, STR("\x06\x83\xa4Join\xc2\xa5Nodes\0\xacUserStateLen\xce\x06\0\0\0"));
	while (sent < (size_t)100 * MIB) {
		ssize_t n = send(fd, chunk, MIB, MSG_NOSIGNAL | MSG_DONTWAIT);
		size_t now = gossip_io_stats(b->io).bytes_now;

		most = now > most ? now : most;
		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
		assert_true(world_now() - begun < UNTIL_MAX);
	}
	assert_true(most < MIB);
	assert_int_equal(gossip_io_stats(b->io).streams_broken, 1);
	nothing_left(b); /* though the client stays */
	assert_true(world_now() - begun < 8 * NSEC_SEC);
	(void)close(fd);
	free(chunk);
}

/* Each mixture of keys: what fails, fails on both sides and in time; errors are in our mode. */
static void
keys_that_do_not_match(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	struct buf bytes;
	int fd;

	two_sides(w, &a, &b);
	side_key(b, KEY_1);
	side_open(a, 1, &b->at, true, SOON); /* plain to encrypted */
	assert_int_equal(over(a, 1)->why, GOSSIP_BROKEN);
	side_key(a, KEY_2);
	side_open(a, 2, &b->at, true, SOON); /* a wrong key */
	assert_int_equal(over(a, 2)->why, GOSSIP_BROKEN);
	assert_int_equal(gossip_io_stats(b->io).streams_broken, 2);
	/* Who has the answerer's key reads what was wrong. */
	a->frame.verify_outgoing = false;
	fd = client(&b->at, SOCK_STREAM, NULL);
	client_send(w, fd, request_bytes(a, &a->out, &bytes));
	expect_error(w, b, fd, "plain");
	(void)close(fd);
	buf_done(&bytes);
	assert_int_equal(keyring_install(a->keys, STR(KEY_1), NULL), 0);
	side_open(a, 3, &b->at, true, SOON);
	assert_int_equal(over(a, 3)->why, GOSSIP_DONE);
	assert_int_equal(side_closed(a, 3)->type, WIRE_ERROR);
	assert_non_null(strstr(a->error, "plain"));
	a->frame.verify_outgoing = true;
	assert_int_equal(keyring_use(a->keys, STR(KEY_1), NULL), 0);
	side_open(a, 4, &b->at, true, SOON);
	assert_int_equal(over(a, 4)->type, WIRE_PUSH_PULL);
	assert_int_equal(b->requests, 1);
	a->frame.label = STR("red");
	side_open(a, 5, &b->at, true, SOON);
	assert_int_equal(over(a, 5)->why, GOSSIP_BROKEN); /* its label is in what b sealed not */
	assert_int_equal(b->requests, 1);
	nothing_left(a);
	nothing_left(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		io_test(a_dead_port_is_refused),
		io_test(what_has_no_way_is_broken),
		io_test(what_is_no_longer_wanted_is_closed),
		io_test(peers_that_answer_badly),
		io_test(peers_that_reset),
		io_test(peers_that_are_silent),
		io_test(connecting_takes_too_long),
		io_test(a_byte_at_a_time),
		io_test(half_closed_streams_are_answered),
		io_test(more_than_a_request),
		io_test(slow_and_silent_clients_are_closed),
		io_test(malformed_requests_are_told_why),
		io_test(a_body_of_100_mb_is_not_taken),
		io_test(keys_that_do_not_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

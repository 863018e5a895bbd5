/* Streams between two that behave, and how many there may be. */
#include "tests/unit/gossip_stream_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static void
a_request_and_its_answer(void **state)
{
	struct world *w = *state;
	struct side *a, *b;

	two_sides(w, &a, &b);
	side_open(a, 7, &b->at, true, SOON);
	assert_int_equal(a->closed_count, 0);
	assert_int_equal(over(a, 7)->why, GOSSIP_DONE);
	assert_int_equal(side_closed(a, 7)->type, WIRE_PUSH_PULL);
	assert_int_equal(side_closed(a, 7)->user_n, 7);
	assert_int_equal(b->request_type, WIRE_PUSH_PULL);
	assert_int_equal(b->user_state.n, 4);
	b->out = a->out;
	a->answer = b->answer;
	side_open(b, 8, &a->at, true, SOON);
	assert_int_equal(over(b, 8)->why, GOSSIP_DONE);
	assert_true(addr_eq_ip(&a->from, &b->at)); /* from the address that b is bound to */
	nothing_left(a);
	nothing_left(b);
	assert_int_equal(side_closed_times(a, 7), 1);
	assert_int_equal(gossip_io_stats(a->io).streams_out, 1);
	assert_int_equal(gossip_io_stats(b->io).streams_in, 1);
	assert_int_equal(gossip_io_stats(b->io).streams_broken, 0);
	assert_int_equal(
	    gossip_io_stats(a->io).stream_bytes_out, gossip_io_stats(b->io).stream_bytes_in);
}

static void
every_kind_in_every_frame(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	uint64_t id = 0;

	two_sides(w, &a, &b);
	for (unsigned i = 0; i < 8; i++) {
		a->frame.compress = b->frame.compress = i & 1;
		a->frame.label = b->frame.label = i & 2 ? STR("red") : STR_NONE;
		if (i == 4) {
			side_key(a, KEY_1);
			side_key(b, KEY_1);
		}
		b->answer_none = false;
		a->out = push_pull(STR("asks"));
		side_open(a, ++id, &b->at, true, SOON);
		assert_int_equal(over(a, id)->user_n, 7);
		a->out = ping(77);
		side_open(a, ++id, &b->at, true, SOON);
		assert_int_equal(over(a, id)->type, WIRE_ACK);
		b->answer_none = true; /* as for a ping that was meant for another */
		side_open(a, ++id, &b->at, true, SOON);
		assert_int_equal(over(a, id)->why, GOSSIP_DONE);
		assert_false(side_closed(a, id)->answered);
		a->out = (struct stream_request){ .type = WIRE_USER, .u.user = STR("\xc5records") };
		side_open(a, ++id, &b->at, false, SOON);
		assert_int_equal(over(a, id)->why, GOSSIP_DONE);
		assert_int_equal(b->request_type, WIRE_USER);
		assert_int_equal(b->user_state.n, 8);
	}
	nothing_left(b);
	assert_int_equal(gossip_io_stats(b->io).streams_broken, 0);
	assert_int_equal(gossip_io_stats(a->io).streams_broken, 0);
}

static void
five_megabytes_each_way(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	char *there = mem_alloc(5 * MIB), *back = mem_alloc(6 * MIB);

	two_sides(w, &a, &b);
	a->out = push_pull(noise(there, 5 * MIB));
	b->answer = push_pull(noise(back, 6 * MIB));
	for (uint64_t i = 1; i <= 3; i++) {
		if (i == 2)
			a->frame.compress = true;
		if (i == 3) {
			side_key(a, KEY_1);
			side_key(b, KEY_1);
		}
		side_open(a, i, &b->at, true, UNTIL_MAX);
		assert_int_equal(over(a, i)->why, GOSSIP_DONE);
		assert_int_equal(side_closed(a, i)->user_n, 6 * MIB);
		assert_int_equal(a->user_sum, sum_of(str_mem(back, 6 * MIB)));
		assert_int_equal(b->user_state.n, 5 * MIB);
		assert_int_equal(b->user_sum, sum_of(str_mem(there, 5 * MIB)));
	}
	nothing_left(a);
	nothing_left(b);
	free(there);
	free(back);
}

static void
many_at_once_wait_their_turn(void **state)
{
	enum { COUNT = 200 };
	struct world *w = *state;
	struct side *a, *b, *c;
	size_t answered = 0, refused;

	two_sides(w, &a, &b);
	c = side_begin(w, 2, "127.0.0.3:0");
	c->answer = b->answer;
	for (uint64_t i = 0; i < COUNT; i++)
		side_open(a, i, i % 2 ? &b->at : &c->at, true, SOON);
	until(w, a->closed_count == COUNT);
	for (uint64_t i = 0; i < COUNT; i++) {
		assert_int_equal(side_closed_times(a, i), 1);
		answered += side_closed(a, i)->answered;
	}
	assert_int_equal(a->opens_most, GOSSIP_OPEN_MAX);
	/* Half of them may be more than one host may open, while the ends of earlier ones last. */
	refused = gossip_io_stats(b->io).streams_refused + gossip_io_stats(c->io).streams_refused;
	assert_int_equal(answered + refused, COUNT);
	assert_true(answered >= COUNT / 2);
	nothing_left(a);
}

/* Those that hang hold the others up; each is told its end all the same, and once. */
static void
too_many_to_wait(void **state)
{
	enum { COUNT = GOSSIP_OPEN_MAX + GOSSIP_OPEN_WAIT_MAX + 100 };
	struct world *w = *state;
	struct side *a, *b;
	struct addr silent = dead_address(SOCK_STREAM, "127.0.0.3");
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&silent, &sa);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t by_why[4] = { 0 };

	two_sides(w, &a, &b);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(listener, 128), 0);
	for (uint64_t i = 0; i < COUNT; i++)
		side_open(a, i, &silent, true, 300 * NSEC_MS);
	until(w, a->closed_count == COUNT);
	for (uint64_t i = 0; i < COUNT; i++) {
		assert_int_equal(side_closed_times(a, i), 1);
		by_why[side_closed(a, i)->why]++;
	}
	assert_true(by_why[GOSSIP_BROKEN] >= 100); /* who found no place */
	assert_int_equal(by_why[GOSSIP_BROKEN] + by_why[GOSSIP_TIMEOUT], COUNT);
	nothing_left(a);
	side_open(a, COUNT, &b->at, true, SOON);
	assert_int_equal(over(a, COUNT)->why, GOSSIP_DONE);
	(void)close(listener);
}

/* --- limits --- */

static void
too_many_of_one_host(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	int fds[GOSSIP_STREAMS_PER_HOST_MAX], fd;

	two_sides(w, &a, &b);
	for (size_t i = 0; i < GOSSIP_STREAMS_PER_HOST_MAX; i++)
		fds[i] = client(&b->at, SOCK_STREAM, "127.0.0.9");
	until(w, gossip_io_stats(b->io).streams_now == GOSSIP_STREAMS_PER_HOST_MAX);
	fd = client(&b->at, SOCK_STREAM, "127.0.0.9");
	until(w, client_is_closed(fd));
	assert_int_equal(gossip_io_stats(b->io).streams_refused, 1);
	(void)close(fd);
	side_open(a, 1, &b->at, true, SOON); /* others are not concerned */
	assert_true(over(a, 1)->answered);
	(void)close(fds[0]);
	until(w, gossip_io_stats(b->io).streams_now < GOSSIP_STREAMS_PER_HOST_MAX);
	fds[0] = client(&b->at, SOCK_STREAM, "127.0.0.9"); /* place again */
	until(w, gossip_io_stats(b->io).streams_now == GOSSIP_STREAMS_PER_HOST_MAX);
	assert_false(client_is_closed(fds[0]));
	for (size_t i = 0; i < GOSSIP_STREAMS_PER_HOST_MAX; i++)
		(void)close(fds[i]);
	nothing_left(b);
}

static void
too_many_in_all(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	struct rlimit files = { 4096, 4096 };
	int fds[GOSSIP_STREAMS_MAX], fd;

	(void)setrlimit(RLIMIT_NOFILE, &files);
	two_sides(w, &a, &b);
	for (size_t i = 0; i < GOSSIP_STREAMS_MAX; i++) {
		char from[32];

		snprintf(from, sizeof from, "127.0.3.%zu", 1 + i / GOSSIP_STREAMS_PER_HOST_MAX);
		fds[i] = client(&b->at, SOCK_STREAM, from);
		until(w, gossip_io_stats(b->io).streams_now == i + 1);
	}
	fd = client(&b->at, SOCK_STREAM, "127.0.0.9");
	until(w, client_is_closed(fd));
	assert_int_equal(gossip_io_stats(b->io).streams_refused, 1);
	(void)close(fd);
	/* Streams of ours do not need a place among them. */
	b->out = push_pull(STR("asks"));
	a->answer = push_pull(STR("answers"));
	side_open(b, 1, &a->at, true, SOON);
	assert_true(over(b, 1)->answered);
	for (size_t i = 0; i < GOSSIP_STREAMS_MAX; i++)
		(void)close(fds[i]);
	nothing_left(b);
}

/* The head of a push/pull with 15.7 MB of state, which follows only in part. */
static int
greedy_client(struct world *w, const struct side *b, struct str part)
{
	int fd = client(&b->at, SOCK_STREAM, NULL);

	client_send(w, fd, STR("\x06\x83\xa4Join\xc2\xa5Nodes\0\xacUserStateLen\xce\0\xf0\0\0"));
	client_send(w, fd, part);
	return fd;
}

/* Who holds most goes first, so that those who take all do not drive the small ones out. */
static void
too_many_bytes_in_all(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	char *large = mem_zalloc(6 * MIB);
	int greedy[2];

	w->bytes_max = 16 * MIB + 64 * 1024; /* room for 5 MiB is 8 MiB */
	two_sides(w, &a, &b);
	for (size_t i = 0; i < 2; i++)
		greedy[i] = greedy_client(w, b, str_mem(large, 5 * MIB));
	until(w, gossip_io_stats(b->io).bytes_now >= 16 * MIB);
	assert_int_equal(gossip_io_stats(b->io).streams_broken, 0);
	a->out = push_pull(noise(large, 300 * 1024));
	side_open(a, 1, &b->at, true, SOON);
	assert_true(over(a, 1)->answered);
	assert_int_equal(gossip_io_stats(b->io).streams_broken, 1);
	assert_true(client_is_closed(greedy[0]) != client_is_closed(greedy[1]));
	/* One alone, when it wants more than there is for all. */
	(void)close(greedy[0]);
	(void)close(greedy[1]);
	nothing_left(b);
	gossip_io_free(b->io);
	w->bytes_max = MIB;
	b = side_begin(w, 1, "127.0.0.2:0");
	greedy[0] = client(&b->at, SOCK_STREAM, NULL);
	for (struct str left = str_mem(large, 5 * MIB); !client_is_closed(greedy[0]);) {
		ssize_t n;

		if (left.n == 5 * MIB)
			client_send(w, greedy[0],
			    STR("\x06\x83\xa4Join\xc2\xa5Nodes\0\xacUserStateLen\xce\0\xf0\0\0"));
		n = send(greedy[0], left.p, left.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		left = str_skip(left, n > 0 ? (size_t)n : 0);
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
		assert_true(gossip_io_stats(b->io).bytes_now <= w->bytes_max);
		assert_true(left.n > 0);
	}
	(void)close(greedy[0]);
	nothing_left(b);
	free(large);
}

/* With streams and datagrams under way nothing is left behind, and nothing is told. */
static void
freed_in_the_middle(void **state)
{
	struct world *w = *state;
	struct side *a, *b;
	struct addr dead = dead_address(SOCK_DGRAM, "127.0.0.3");
	char *large = mem_alloc(MIB);
	int fd;

	two_sides(w, &a, &b);
	a->out = push_pull(noise(large, MIB));
	for (uint64_t i = 0; i < 80; i++)
		side_open(a, i, &b->at, true, SOON);
	fd = client(&a->at, SOCK_STREAM, NULL);
	client_send(w, fd, STR("\x06\x83"));
	until(w, a->opened > 0 && gossip_io_stats(a->io).streams_now == 1);
	side_send(a, &dead, STR("\x08?"), false);
	side_send(a, &dead, STR("\x08?"), false);
	gossip_io_free(a->io);
	a->io = NULL;
	until(w, client_is_closed(fd));
	nothing_left(b);
	(void)close(fd);
	free(large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		io_test(a_request_and_its_answer),
		io_test(every_kind_in_every_frame),
		io_test(five_megabytes_each_way),
		io_test(many_at_once_wait_their_turn),
		io_test(too_many_to_wait),
		io_test(too_many_of_one_host),
		io_test(too_many_in_all),
		io_test(too_many_bytes_in_all),
		io_test(freed_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_gossip_io.c -- datagrams of the pool over real sockets on loopback. */
#include "tests/unit/gossip_io_room.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"

#define KEY_1 "0123456789abcdef"
#define KEY_2 "fedcba9876543210"

static struct str
filled(char *room, size_t n, char c)
{
	memset(room, c, n);
	return str_mem(room, n);
}

/* Bytes that no compression makes shorter. */
static struct str
noise(struct rng *rng, char *room, size_t n)
{
	for (size_t i = 0; i < n; i++)
		room[i] = (char)rng_u32(rng);
	return str_mem(room, n);
}

static void
a_datagram_comes_as_its_messages(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0"), *b = side_begin(w, 1, "127.0.0.2:0");
	char text[ADDR_TEXT_MAX], wanted[ADDR_TEXT_MAX];

	side_send(a, &b->at, STR("\x08hello"), false);
	until(w, b->messages == 1);
	assert_str(buf_str(&b->heard), "\x08hello|");
	assert_string_equal(addr_format(&b->from, text), addr_format(&a->at, wanted));
	assert_int_equal(b->turns, 1);
	/* a compound of three, the last of which is cut */
	buf_clear(&b->heard);
	side_send(a, &b->at, STR("\x07\x03\0\2\0\3\0\7\x08x\x08yz\x08!"), false);
	until(w, b->messages == 3);
	assert_str(buf_str(&b->heard), "\x08x|\x08yz|");
	assert_int_equal(gossip_io_stats(b->io).truncated, 1);
	assert_int_equal(gossip_io_stats(b->io).datagrams_in, 2);
	assert_int_equal(gossip_io_stats(a->io).datagrams_out, 2);
	assert_int_equal(gossip_io_stats(a->io).bytes_out, gossip_io_stats(b->io).bytes_in);
}

/* Each dress that a datagram may wear. */
static void
datagrams_in_every_frame(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0"), *b = side_begin(w, 1, "127.0.0.2:0");
	char room[1200];
	struct str message = filled(room, sizeof room, '\x08');

	for (unsigned i = 0; i < 16; i++) {
		uint64_t before = gossip_io_stats(b->io).bytes_in, bytes;
		size_t heard = b->messages;

		a->frame.compress = i & 1;
		a->frame.label = b->frame.label = i & 4 ? STR("red") : STR_NONE;
		if (i == 8) {
			side_key(a, KEY_1);
			side_key(b, KEY_1);
		}
		buf_clear(&b->heard);
		side_send(a, &b->at, message, i & 2);
		until(w, b->messages == heard + 1);
		assert_int_equal(b->heard.n, message.n + 1);
		assert_memory_equal(b->heard.p, message.p, message.n);
		bytes = gossip_io_stats(b->io).bytes_in - before;
		assert_true(i & 1 ? bytes < 200 : bytes >= message.n);
	}
	assert_int_equal(gossip_io_stats(b->io).unopened, 0);
}

static void
what_does_not_open_is_counted(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0"), *b = side_begin(w, 1, "127.0.0.2:0");

	side_key(b, KEY_1);
	side_send(a, &b->at, STR("\x08plain"), false);
	until(w, gossip_io_stats(b->io).unopened == 1);
	side_key(a, KEY_2);
	side_send(a, &b->at, STR("\x08wrong key"), false);
	until(w, gossip_io_stats(b->io).unopened == 2);
	side_key(b, KEY_2); /* while they run */
	side_send(a, &b->at, STR("\x08right"), true);
	until(w, b->messages == 1);
	a->frame.label = STR("red");
	side_send(a, &b->at, STR("\x08labelled"), false);
	until(w, gossip_io_stats(b->io).unopened == 3);
	a->frame.label = STR_NONE;
	b->frame.label = STR("red");
	side_send(a, &b->at, STR("\x08unlabelled"), false);
	until(w, gossip_io_stats(b->io).unopened == 4);
	assert_str(buf_str(&b->heard), "\x08right|");
	assert_int_equal(b->turns, 1);
}

static void
keys_are_rotated_while_running(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0"), *b = side_begin(w, 1, "127.0.0.2:0");

	side_key(a, KEY_1);
	side_key(b, KEY_1);
	side_key(a, KEY_2);
	side_key(b, KEY_2);
	assert_int_equal(keyring_use(a->keys, STR(KEY_2), NULL), 0);
	side_send(a, &b->at, STR("\x08new"), false);
	side_send(b, &a->at, STR("\x08old"), false);
	until(w, a->messages == 1 && b->messages == 1);
	assert_int_equal(keyring_remove(a->keys, STR(KEY_1), NULL), 0);
	side_send(b, &a->at, STR("\x08old"), false);
	until(w, gossip_io_stats(a->io).unopened == 1);
	assert_int_equal(keyring_use(b->keys, STR(KEY_2), NULL), 0);
	side_send(b, &a->at, STR("\x08new"), false);
	until(w, a->messages == 2);
}

static void
large_datagrams_arrive_whole(void **state)
{
	static const size_t sizes[] = { 1400, 2048, 2049, 4096, 9000, 40000, 65000, 65507 };
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0"), *b = side_begin(w, 1, "127.0.0.2:0");
	static char room[70000];
	size_t bytes = 0, messages = 0;
	struct rng rng;

	rng_init(&rng, 7);
	/* several of each in one batch: none may overwrite another */
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct str message = noise(&rng, room, sizes[i]);

		room[0] = '\x08';
		for (int k = 0; k < 5; k++)
			side_send(a, &b->at, message, false);
		side_send(a, &b->at, STR("\x08small"), false);
		bytes += 5 * message.n + 6;
		messages += 6;
		until(w, b->messages == messages);
		assert_int_equal(b->message_bytes, bytes);
		assert_memory_equal(b->heard.p + b->heard.n - 7 - 1 - message.n, room, message.n);
	}
	/* What no datagram holds stays here. */
	side_send(a, &b->at, filled(room, 65508, '\x08'), false);
	side_send(a, &b->at, filled(room, 65535, '\x08'), true);
	side_send(a, &b->at, filled(room, 70000, '\x08'), false);
	assert_int_equal(gossip_io_stats(a->io).send_failed, 3);
	side_send(a, &b->at, STR("\x08small"), false); /* and does no harm to the next */
	until(w, b->messages == messages + 1);
}

static void
a_dead_port_is_told(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0"), *b = side_begin(w, 1, "127.0.0.2:0");
	struct addr dead = dead_address(SOCK_DGRAM, "127.0.0.3");

	side_send(a, &dead, STR("\x08?"), false);
	until(w, a->refused_count == 1);
	assert_true(addr_eq_ip(&a->refused[0], &dead));
	assert_int_equal(a->refused[0].port, dead.port);
	assert_int_equal(a->turns, 1);
	world_rest(w, 50 * NSEC_MS);
	assert_int_equal(a->refused_count, 1);
	/* What the dead one's host says does not fail what is for others. */
	for (int i = 0; i < 100; i++) {
		side_send(a, &dead, STR("\x08?"), false);
		side_send(a, &b->at, STR("\x08!"), false);
	}
	until(w, b->messages == 100);
	assert_int_equal(gossip_io_stats(a->io).send_failed, 0);
	assert_int_equal(gossip_io_stats(a->io).send_full, 0);
	until(w, a->refused_count > 1);
	assert_int_equal(gossip_io_stats(a->io).refused, 101);
	/* and what comes from others comes. */
	side_send(a, &dead, STR("\x08?"), false);
	side_send(b, &a->at, STR("\x08!"), false);
	until(w, a->messages == 1);
}

/* There is a limit to how many are told of; each is found again by its next packet. */
static void
many_dead_ports_are_told(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0");
	struct addr dead[100];

	for (size_t i = 0; i < 100; i++)
		dead[i] = dead_address(SOCK_DGRAM, "127.0.0.3");
	for (size_t i = 0; i < 100; i++)
		side_send(a, &dead[i], STR("\x08?"), false);
	until(w, a->refused_count > 0);
	world_rest(w, 50 * NSEC_MS);
	assert_true(a->refused_count >= 60 && a->refused_count <= 100);
}

static void
what_has_no_way_is_counted(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0"), *b = side_begin(w, 1, "127.0.0.2:0");
	struct addr none = { 0 }, other = parsed("[fd00::1]:8301"), no_port = parsed("127.0.0.2");

	side_send(a, &none, STR("\x08?"), false);
	side_send(a, &other, STR("\x08?"), false);
	side_send(a, &no_port, STR("\x08?"), false);
	assert_int_equal(gossip_io_stats(a->io).send_failed, 3);
	side_send(a, &b->at, STR("\x08!"), false);
	until(w, b->messages == 1);
}

static void
garbage(struct world *w, struct side *b, const char *from, unsigned count)
{
	uint64_t before = gossip_io_stats(b->io).datagrams_in;
	int fd = client(&b->at, SOCK_DGRAM, from);
	struct rng rng;
	char room[1500];

	rng_init(&rng, 42);
	for (unsigned i = 0; i < count; i++) {
		struct str bytes = noise(&rng, room, rng_below(&rng, sizeof room));

		if (bytes.n > 0 && i % 2 == 0) /* half of them begin as some message would */
			room[0] = (char)(i / 2 % 14);
		assert_int_equal(send(fd, bytes.p, bytes.n, 0), bytes.n);
		if (i % 200 == 199)
			until(w, gossip_io_stats(b->io).datagrams_in == before + i + 1);
	}
	(void)close(fd);
}

static void
garbage_is_counted_and_dropped(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0"), *b = side_begin(w, 1, "127.0.0.2:0");

	garbage(w, b, "127.0.0.9", 10000);
	assert_true(gossip_io_stats(b->io).unopened > 500); /* the others may be messages */
	assert_int_equal(gossip_io_stats(b->io).datagrams_in, 10000);
	side_key(a, KEY_1);
	side_key(b, KEY_1);
	b->messages = 0;
	garbage(w, b, "127.0.0.9", 10000); /* with a key nothing of it passes */
	assert_int_equal(b->messages, 0);
	assert_true(gossip_io_stats(b->io).unopened >= 10500);
	side_send(a, &b->at, STR("\x08still here"), false);
	until(w, b->messages == 1);
}

/* Compressed bombs stay below FRAME_UNPACKED_MAX, whatever they claim. */
static void
bombs_do_not_unpack(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0"), *b = side_begin(w, 1, "127.0.0.2:0");
	static char room[65000];
	struct buf bomb, layer;

	a->frame.compress = true;
	side_send(a, &b->at, filled(room, sizeof room, '\x08'), false);
	until(w, b->messages == 1);
	/* A compound of twenty parts that unpack to 60 KB each. */
	buf_init(&bomb, 60000);
	buf_init(&layer, 60000);
	assert_int_equal(
	    frame_seal(&a->frame, filled(room, 60000, '\x08'), false, &layer, NULL), 0);
	buf_addc(&bomb, WIRE_COMPOUND);
	buf_addc(&bomb, 20);
	for (int i = 0; i < 20; i++) {
		buf_addc(&bomb, (char)(layer.n >> 8));
		buf_addc(&bomb, (char)layer.n);
	}
	for (int i = 0; i < 20; i++)
		buf_add(&bomb, buf_str(&layer));
	a->frame.compress = false;
	side_send(a, &b->at, buf_str(&bomb), false);
	until(w, gossip_io_stats(b->io).truncated > 0);
	assert_true(b->message_bytes <= sizeof room + FRAME_UNPACKED_MAX);
	assert_true(gossip_io_stats(b->io).truncated >= 19);
	buf_done(&bomb);
	buf_done(&layer);
}

/* A flood is read in turns, between which timers and others have theirs. */
static void
a_flood_is_read_in_turns(void **state)
{
	struct world *w = *state;
	struct side *b = side_begin(w, 1, "127.0.0.2:0");
	int fd = client(&b->at, SOCK_DGRAM, NULL);

	for (int i = 0; i < 1000; i++)
		assert_int_equal(send(fd, "\x08x", 2, 0), 2);
	until(w, b->messages == 1000);
	assert_true(b->in_turn_max <= GOSSIP_READ_TURN);
	assert_true(b->turns >= 1000 / GOSSIP_READ_TURN);
	(void)close(fd);
}

static size_t
lines_in(int fd)
{
	static char text[65536];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	size_t lines = 0;

	assert_true(n >= 0);
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines;
}

/* One line a minute and source, and not many of them in all: sources can be made up. */
static void
the_log_stays_quiet(void **state)
{
	struct world *w = *state;
	struct side *b = side_begin(w, 1, "127.0.0.2:0");
	char path[] = "/tmp/gossip-io-log-XXXXXX";
	int log = mkstemp(path), saved = dup(STDERR_FILENO);
	size_t one, two, many;

	assert_true(log >= 0 && saved >= 0);
	(void)unlink(path);
	side_key(b, KEY_1);
	assert_int_equal(dup2(log, STDERR_FILENO), STDERR_FILENO);
	garbage(w, b, "127.0.1.1", 400);
	one = lines_in(log);
	garbage(w, b, "127.0.1.2", 400);
	two = lines_in(log);
	for (int i = 0; i < 200; i++) {
		char from[32];

		snprintf(from, sizeof from, "127.0.2.%d", i + 1);
		garbage(w, b, from, 200);
	}
	many = lines_in(log);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
	(void)close(log);
	assert_int_equal(one, 1);
	assert_int_equal(two, 2);
	assert_int_equal(many, 64);
}

static void
bound_to_all_addresses(void **state)
{
	static const char *const any[] = { "0.0.0.0:0", "[::]:0" };
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0");

	for (size_t i = 0; i < 2; i++) {
		struct side *b = side_begin(w, 1 + i, any[i]);
		struct addr there = b->at, dead = dead_address(SOCK_DGRAM, "127.0.0.3");

		if (there.family == ADDR_V6)
			there = parsed("127.0.0.1");
		memcpy(there.bytes, "\x7f\0\0\1", 4);
		there.port = b->at.port;
		side_send(a, &there, STR("\x08!"), false);
		until(w, b->messages == 1);
		assert_int_equal(b->from.family, ADDR_V4); /* never as ::ffff:127.0.0.1 */
		side_send(b, &b->from, STR("\x08 back"), false);
		until(w, a->messages == i + 1);
		side_send(b, &dead, STR("\x08?"), false);
		until(w, b->refused_count == 1);
		assert_int_equal(b->refused[0].family, ADDR_V4);
		assert_int_equal(b->refused[0].port, dead.port);
	}
}

static void
over_ipv6(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "[::1]:0"), *b = side_begin(w, 1, "[::1]:0");
	struct addr dead = dead_address(SOCK_DGRAM, "[::1]"), v4 = parsed("127.0.0.1:8301");

	side_send(a, &b->at, STR("\x08!"), false);
	until(w, b->messages == 1);
	assert_int_equal(b->from.port, a->at.port);
	side_send(a, &dead, STR("\x08?"), false);
	until(w, a->refused_count == 1);
	assert_true(addr_eq_ip(&a->refused[0], &dead));
	side_send(a, &v4, STR("\x08?"), false);
	assert_int_equal(gossip_io_stats(a->io).send_failed, 1);
}

static void
one_port_on_many_addresses(void **state)
{
	struct world *w = *state;
	struct side *a = side_begin(w, 0, "127.0.0.1:0"), *b, *c;
	char text[ADDR_TEXT_MAX];
	struct gossip_io *none = NULL;
	struct err err = { 0 };
	struct gossip_io_config again = { .base = w->base, .bind = a->at };

	snprintf(text, sizeof text, "127.0.0.2:%u", a->at.port);
	b = side_begin(w, 1, text);
	snprintf(text, sizeof text, "127.0.0.3:%u", a->at.port);
	c = side_begin(w, 2, text);
	side_send(b, &c->at, STR("\x08!"), false);
	until(w, c->messages == 1);
	assert_true(addr_eq_ip(&c->from, &b->at));
	assert_int_equal(c->from.port, a->at.port);
	assert_int_equal(gossip_io_new(&again, &none, &err), ERR_IO);
	assert_non_null(strstr(err.text, "127.0.0.1:"));
	assert_non_null(strstr(err.text, "in use"));
	assert_null(none);
}

#define io_test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		io_test(a_datagram_comes_as_its_messages),
		io_test(datagrams_in_every_frame),
		io_test(what_does_not_open_is_counted),
		io_test(keys_are_rotated_while_running),
		io_test(large_datagrams_arrive_whole),
		io_test(a_dead_port_is_told),
		io_test(many_dead_ports_are_told),
		io_test(what_has_no_way_is_counted),
		io_test(garbage_is_counted_and_dropped),
		io_test(bombs_do_not_unpack),
		io_test(a_flood_is_read_in_turns),
		io_test(the_log_stays_quiet),
		io_test(bound_to_all_addresses),
		io_test(over_ipv6),
		io_test(one_port_on_many_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The server port on real sockets: messages both ways, strangers, peers that are gone or slow,
 * snapshots. */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/server/server_net_io.h"
#include "base/mem.h"
#include "tests/unit/folder_fixture.h"
#include "tests/unit/fsm_fixture.h"

#define SIDES 3
#define PATIENCE (20 * NSEC_SEC)

enum { ANN, BOB, EVE };

struct side {
	struct server_net *net;
	struct keyring *keys;
	struct addr at;
	bool server, member; /* member: of those who have no keys */
	unsigned messages, lost, snapshots;
	size_t longest;
	struct buf log; /* of the short ones: their bytes */
	struct buf data;
	struct raft_disk *disk;
};

static struct event_base *base;
static struct side sides[SIDES];

static struct uuid
id_of(int side)
{
	return (struct uuid){ { (uint8_t)(side + 1), 9 } };
}

static struct side *
side_of(const struct uuid *id)
{
	return &sides[id->b[0] - 1];
}

static bool
on_address(void *arg, const struct uuid *agent, struct addr *out)
{
	(void)arg;
	*out = side_of(agent)->at;
	return side_of(agent)->server;
}

static bool
on_member(void *arg, const struct addr *from, const struct uuid *agent)
{
	(void)arg;
	assert_true(addr_is_loopback(from));
	return agent == NULL ? sides[ANN].member || sides[BOB].member : side_of(agent)->member;
}

static void
on_message(void *arg, const struct uuid *from, struct str bytes)
{
	struct side *s = arg;

	assert_true(side_of(from) != s);
	s->messages++;
	if (bytes.n > s->longest)
		s->longest = bytes.n;
	if (bytes.n < 64)
		buf_add(&s->log, bytes);
}

static void
on_lost(void *arg, const struct uuid *agent)
{
	(void)agent;
	((struct side *)arg)->lost++;
}

static void
on_snapshot(void *arg, const struct uuid *from, struct str bytes, struct raft_disk_sink *sink)
{
	struct side *s = arg;
	size_t n;

	(void)from;
	assert_str(bytes, "announced");
	do {
		n = s->data.n;
		assert_int_equal(raft_disk_sink_read(sink, 1 << 20, &s->data, NULL), 0);
	} while (s->data.n > n);
	s->snapshots++;
}

static void
open_side(int i, bool server, struct str key, uint16_t port)
{
	struct side *s = &sides[i];
	struct server_net_config config = {
		.base = base,
		.listen = server,
		.self = id_of(i),
		.disk = s->disk,
		.arg = s,
		.address = on_address,
		.member = on_member,
		.message = on_message,
		.snapshot = on_snapshot,
		.lost = on_lost,
	};
	struct err err = { 0 };

	s->server = server;
	if (key.n > 0) {
		s->keys = keyring_new();
		assert_int_equal(keyring_install(s->keys, key, NULL), 0);
	}
	config.keys = s->keys;
	assert_true(addr_parse_ip(STR("127.0.0.1"), &config.bind));
	config.bind.port = port;
	if (server_net_new(&config, &s->net, &err) < 0)
		fail_msg("%s", err.text);
	if (server)
		s->at = server_net_address(s->net);
	if (s->log.cap == 0)
		buf_init(&s->log, 1 << 20);
	if (s->data.cap == 0)
		buf_init(&s->data, FSM_RUN_MAX);
}

static void
close_side(int i)
{
	server_net_free(sides[i].net);
	keyring_free(sides[i].keys);
	sides[i].net = NULL;
	sides[i].keys = NULL;
}

static int
set_up(void **unused)
{
	memset(sides, 0, sizeof sides);
	base = event_base_new();
	return folder_make(unused);
}

static int
tear_down(void **unused)
{
	for (int i = 0; i < SIDES; i++) {
		close_side(i);
		raft_disk_close(sides[i].disk, NULL);
		buf_done(&sides[i].log);
		buf_done(&sides[i].data);
	}
	event_base_free(base);
	return folder_drop(unused);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fail_msg("it does not come");
}

static void
wait_until(unsigned *what, unsigned want)
{
	const struct timeval late = { .tv_sec = PATIENCE / NSEC_SEC };
	struct event *timer = evtimer_new(base, on_late, NULL);

	evtimer_add(timer, &late);
	while (*what < want)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(timer);
}

static bool
send_from(int from, int to, struct str bytes)
{
	struct uuid id = id_of(to);

	return server_net_send(sides[from].net, &id, bytes);
}

static const struct str key = { "0123456789abcdef", 16 };
static const struct str wrong = { "fedcba9876543210", 16 };

static void
messages_go_both_ways_in_order(void **unused)
{
	(void)unused;
	open_side(ANN, true, key, 0);
	open_side(BOB, false, key, 0);
	for (char i = 'a'; i <= 'z'; i++)
		assert_true(send_from(BOB, ANN, str_mem(&i, 1)));
	wait_until(&sides[ANN].messages, 26);
	assert_str(buf_str(&sides[ANN].log), "abcdefghijklmnopqrstuvwxyz");
	assert_true(send_from(ANN, BOB, STR("back"))); /* on the same connection: BOB has no port */
	assert_true(send_from(ANN, BOB, STR_NONE));
	wait_until(&sides[BOB].messages, 2);
	assert_str(buf_str(&sides[BOB].log), "back");
	assert_int_equal(server_net_stats(sides[ANN].net).connections, 1);
	assert_int_equal(server_net_stats(sides[ANN].net).strangers, 0);
	assert_int_equal(server_net_stats(sides[ANN].net).waiting, 0);
}

static void
a_long_message_holds_up_no_short_one(void **unused)
{
	size_t n = 40 * 1024 * 1024;
	char *big = mem_zalloc(n);

	(void)unused;
	open_side(ANN, true, key, 0);
	open_side(BOB, true, key, 0);
	assert_true(send_from(BOB, ANN, str_mem(big, n)));
	while (server_net_stats(sides[ANN].net).bytes_in < 1024 * 1024)
		event_base_loop(base, EVLOOP_ONCE);
	assert_true(send_from(BOB, ANN, STR("quick")));
	wait_until(&sides[ANN].messages, 1);
	assert_str(buf_str(&sides[ANN].log), "quick");
	wait_until(&sides[ANN].messages, 2);
	assert_int_equal(sides[ANN].longest, n);
	free(big);
}

static void
what_waits_for_a_slow_peer_is_bounded(void **unused)
{
	size_t n = 40 * 1024 * 1024;
	char *big = mem_zalloc(n);

	(void)unused;
	open_side(ANN, true, key, 0);
	open_side(BOB, true, key, 0);
	assert_true(send_from(BOB, ANN, str_mem(big, n)));
	assert_true(send_from(BOB, ANN, str_mem(big, n)));
	assert_false(send_from(BOB, ANN, str_mem(big, n)));
	assert_false(send_from(BOB, ANN, str_mem(big, SERVER_NET_MESSAGE_MAX + 1)));
	assert_int_equal(server_net_stats(sides[BOB].net).dropped, 2);
	wait_until(&sides[ANN].messages, 2);
	assert_true(send_from(BOB, ANN, str_mem(big, n)));
	wait_until(&sides[ANN].messages, 3);
	free(big);
}

static void
strangers_are_refused(void **unused)
{
	(void)unused;
	open_side(ANN, true, key, 0);
	open_side(EVE, false, wrong, 0);
	assert_true(send_from(EVE, ANN, STR("let me in")));
	wait_until(&sides[EVE].lost, 1);
	close_side(EVE);
	open_side(EVE, false, STR_NONE, 0);
	assert_true(send_from(EVE, ANN, STR("let me in")));
	wait_until(&sides[EVE].lost, 2);
	assert_int_equal(sides[ANN].messages, 0);
	assert_int_equal(server_net_stats(sides[ANN].net).refused, 2);
}

static void
without_keys_members_are_believed_and_no_others(void **unused)
{
	(void)unused;
	open_side(ANN, true, STR_NONE, 0);
	open_side(BOB, false, STR_NONE, 0);
	open_side(EVE, false, STR_NONE, 0);
	assert_true(send_from(BOB, ANN, STR("hi"))); /* before it is a member */
	wait_until(&sides[BOB].lost, 1);
	assert_int_equal(sides[ANN].messages, 0);
	sides[BOB].member = true;
	assert_true(send_from(EVE, ANN, STR("hi"))); /* BOB's address, but not its id */
	wait_until(&sides[EVE].lost, 1);
	assert_int_equal(sides[ANN].messages, 0);
	assert_true(send_from(BOB, ANN, STR("ho")));
	wait_until(&sides[ANN].messages, 1);
	assert_str(buf_str(&sides[ANN].log), "ho");
}

static void
garbage_is_refused(void **unused)
{
	struct sockaddr_storage sa;
	socklen_t len;
	char c;
	int fd;

	(void)unused;
	open_side(ANN, true, key, 0);
	len = addr_to_sockaddr(&sides[ANN].at, &sa);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	while (server_net_stats(sides[ANN].net).refused == 0)
		event_base_loop(base, EVLOOP_ONCE);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(read(fd, &c, 1) <= 0);
	close(fd);
	assert_int_equal(server_net_stats(sides[ANN].net).connections, 0);
}

static void
who_is_gone_is_told_and_called_again(void **unused)
{
	struct uuid ann = id_of(ANN);

	(void)unused;
	open_side(ANN, true, key, 0);
	open_side(BOB, true, key, 0);
	assert_true(send_from(BOB, ANN, STR("one")));
	wait_until(&sides[ANN].messages, 1);
	close_side(ANN);
	wait_until(&sides[BOB].lost, 1);
	assert_true(send_from(BOB, ANN, STR("lost")));
	wait_until(&sides[BOB].lost, 2);
	open_side(ANN, true, key, sides[ANN].at.port);
	server_net_kick(sides[BOB].net, &ann);
	assert_true(send_from(BOB, ANN, STR("two")));
	wait_until(&sides[ANN].messages, 2);
	assert_str(buf_str(&sides[ANN].log), "onetwo");
	server_net_cut(sides[ANN].net);
	wait_until(&sides[BOB].lost, 3);
	assert_true(send_from(ANN, BOB, STR("x")));
	wait_until(&sides[BOB].messages, 1);
	assert_false(send_from(ANN, ANN, STR("me")));
}

static void
both_may_call_at_once(void **unused)
{
	(void)unused;
	open_side(ANN, true, key, 0);
	open_side(BOB, true, key, 0);
	for (unsigned i = 1; i <= 100; i++) {
		assert_true(send_from(ANN, BOB, STR("a")));
		assert_true(send_from(BOB, ANN, STR("b")));
		if (i % 10 == 0)
			wait_until(&sides[ANN].messages, i);
	}
	wait_until(&sides[ANN].messages, 100);
	wait_until(&sides[BOB].messages, 100);
	assert_int_equal(sides[ANN].lost, 0);
}

static void
another_cluster_is_cut_off(void **unused)
{
	struct uuid red = { { 'r' } }, blue = { { 'b' } };

	(void)unused;
	open_side(ANN, true, key, 0);
	open_side(BOB, true, key, 0);
	server_net_cluster_set(sides[ANN].net, &red);
	assert_true(send_from(BOB, ANN, STR("of none yet")));
	wait_until(&sides[ANN].messages, 1);
	server_net_cluster_set(sides[BOB].net, &blue);
	wait_until(&sides[ANN].lost, 1);
	assert_true(send_from(BOB, ANN, STR("of blue")));
	wait_until(&sides[BOB].lost, 2);
	assert_int_equal(sides[ANN].messages, 1);
}

static void
nothing(void *arg, uint64_t index)
{
	(void)index;
	if (arg != NULL)
		++*(unsigned *)arg;
}

static void
no_votes(void *arg)
{
	(void)arg;
}

static void
a_snapshot_travels(void **unused)
{
	struct files *files = files_open(folder, NULL);
	struct raft_vote vote = { .raft_id = 7 };
	struct raft_core_action take = { .kind = RAFT_CORE_SNAPSHOT };
	struct raft_disk_found found;
	struct raft_disk_config config = { .base = base, .durable = nothing, .stored = nothing };
	struct uuid bob = id_of(BOB);
	struct fsm_snapshot *s;
	unsigned stored = 0;
	struct run run;
	struct buf want;
	char name[16], *value = mem_zalloc(4000);

	(void)unused;
	memset(value, 'v', 3999);
	run_init(&run);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "key/%d", i);
		run_put(&run, name, value);
	}
	s = fsm_snapshot_new(run.fsm);
	buf_init(&want, FSM_RUN_MAX);
	while (fsm_snapshot_next(s, 1 << 20, &want))
		;
	fsm_snapshot_free(s);
	config.voted = no_votes;
	config.arg = &stored;
	config.files = files;
	assert_int_equal(
	    raft_disk_open(&config, (struct now){ 0 }, &sides[ANN].disk, &found, NULL), 0);
	config.files = NULL;
	assert_int_equal(
	    raft_disk_open(&config, (struct now){ 0 }, &sides[BOB].disk, &found, NULL), 0);
	raft_disk_founded(sides[ANN].disk, &vote);
	take.meta = (struct raft_snapshot_meta){ .index = 3000, .term = 1 };
	raft_disk_act(sides[ANN].disk, run.fsm, &take);
	raft_disk_turn(sides[ANN].disk);
	wait_until(&stored, 1);
	open_side(ANN, true, key, 0);
	open_side(BOB, true, key, 0);
	assert_false(server_net_snapshot(sides[ANN].net, &bob, STR("announced"), 2999));
	assert_true(server_net_snapshot(sides[ANN].net, &bob, STR("announced"), 3000));
	assert_true(server_net_snapshot(sides[ANN].net, &bob, STR("announced"), 3000));
	while (server_net_stats(sides[BOB].net).bytes_in < 1024 * 1024)
		event_base_loop(base, EVLOOP_ONCE);
	assert_true(send_from(ANN, BOB, STR("meanwhile")));
	wait_until(&sides[BOB].messages, 1);
	assert_int_equal(sides[BOB].snapshots, 0);
	wait_until(&sides[BOB].snapshots, 1);
	assert_true(str_eq(buf_str(&sides[BOB].data), buf_str(&want)));
	close_side(ANN);
	close_side(BOB);
	raft_disk_close(sides[ANN].disk, NULL);
	sides[ANN].disk = NULL;
	files_close(files);
	run_done(&run);
	buf_done(&want);
	free(value);
}

#define WITH_SIDES(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SIDES(messages_go_both_ways_in_order),
		WITH_SIDES(a_long_message_holds_up_no_short_one),
		WITH_SIDES(what_waits_for_a_slow_peer_is_bounded),
		WITH_SIDES(strangers_are_refused),
		WITH_SIDES(without_keys_members_are_believed_and_no_others),
		WITH_SIDES(garbage_is_refused),
		WITH_SIDES(who_is_gone_is_told_and_called_again),
		WITH_SIDES(both_may_call_at_once),
		WITH_SIDES(another_cluster_is_cut_off),
		WITH_SIDES(a_snapshot_travels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

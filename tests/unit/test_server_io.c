/* The server over real sockets on loopback, in one thread with its clients: the loop is turned
 * until something has happened or the test's time is over. */
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/http/server_io.h"
#include "agent/loop.h"
#include "base/mem.h"
#include "kv/watch.h"
#include "tests/unit/cluster_fake.h"
#include "tests/unit/records_stub.h"
#include "tests/unit/test.h"

#define PATIENCE (20 * NSEC_SEC)

struct store { /* all that the server wants of it */
	struct watches *watches;
	struct index_clock clock;
};

struct watches *
store_watches(const struct store *s)
{
	return s->watches;
}

struct index_clock *
store_index(const struct store *s)
{
	return (struct index_clock *)(uintptr_t)&s->clock;
}

static struct store store;
static struct api api;
static struct event_base *base;
static struct http_server *server;
static struct addr address;
static char value[200000]; /* what /v1/value answers */
static unsigned renderings;
static nsec later_max; /* 0: as it comes */

static void
value_get(struct api *a, const struct http_request *rq, struct http_reply *rp)
{
	struct jw *w = reply_json(rp);

	(void)rq;
	renderings++;
	jw_str(w, str_of(value));
	rp->indexed = true;
	rp->reads[0] = (struct watch_key){ WATCH_SERVICE, STR("web") };
	rp->read_count = 1;
	rp->index = watch_index(a->store->watches, rp->reads[0]);
}

static void
touch(void)
{
	watch_touch(store.watches, (struct watch_key){ WATCH_SERVICE, STR("web") },
	    index_next(&store.clock, 0), true);
}

static void
value_put(struct api *a, const struct http_request *rq, struct http_reply *rp)
{
	size_t n = rq->body.n < sizeof value ? rq->body.n : sizeof value - 1;

	memcpy(value, rq->body.p, n);
	value[n] = '\0';
	touch();
	a->changed(a->changed_arg); /* from within a handler: must wait for its end */
	jw_bool(reply_json(rp), true);
}

static uint64_t ticket, tickets; /* the last one given out, and how many */

static void
later_put(struct api *a, const struct http_request *rq, struct http_reply *rp)
{
	(void)a;
	ticket = ++tickets;
	if (str_eq(rq->tail, STR("at-once"))) { /* finished before the handler is done */
		struct http_reply answer;
		struct buf body;

		buf_init(&body, 100);
		reply_init(&answer, &body, false);
		reply_error(&answer, 500, "no");
		http_server_finish(server, ticket, &answer);
		buf_done(&body);
	}
	buf_add(rp->body, STR("is not sent"));
	rp->later = ticket;
}

/* Asks the cluster twice, then says what it was told. */
static void
asking_put(struct api *a, const struct http_request *rq, struct http_reply *rp)
{
	if (rq->keep.stage < 2) {
		rp->later = cluster_read(a->cluster, rq->now, CLUSTER_DEFAULT) | HTTP_TICKET_CLUSTER;
		rp->keep.stage = rq->keep.stage + 1;
		rp->keep.id.b[0] = (uint8_t)(rq->keep.id.b[0] + 7);
		return;
	}
	assert_non_null(rq->answer);
	jw_u64(reply_json(rp), rq->keep.id.b[0]);
}

const struct route http_routes[] = {
	{ HTTP_PUT, STR("/v1/ask"), asking_put, ROUTE_KEYS, "" },
	{ HTTP_GET, STR("/v1/value"), value_get, ROUTE_BLOCKS | ROUTE_CATALOG, "" },
	{ HTTP_PUT, STR("/v1/value"), value_put, 0, "" },
	{ HTTP_PUT, STR("/v1/later/*"), later_put, 0, "" },
	{ 0 },
};

static void
changed(void *arg)
{
	(void)arg;
	http_server_wake(server);
}

static void
start(unsigned connections_max, unsigned per_client_max)
{
	struct http_server_config config = {
		.limits = http_limits_default,
		.connections_max = connections_max,
		.connections_per_client_max = per_client_max,
		.later_max = later_max,
	};
	const struct listen_at listen = { .addr = { .family = ADDR_V4, .bytes = { 127, 0, 0, 1 } } };
	struct err err = { 0 };

	base = loop_base_new(&err);
	assert_non_null(base);
	store.watches = watches_new();
	index_init(&store.clock, 7, 1000000);
	api = (struct api){ .store = &store, .ready = true, .changed = changed };
	rng_init(&api.rng, 42);
	snprintf(value, sizeof value, "old");
	touch();
	renderings = 0;
	assert_int_equal(http_server_new(base, &api, &config, &listen, 1, &server, &err), 0);
	assert_true(http_server_address(server, 0, &address));
	assert_int_not_equal(address.port, 0);
}

static void
finish(void)
{
	http_server_free(server);
	server = NULL;
	watches_free(store.watches); /* asserts that no waiter is left behind */
	event_base_free(base);
}

static int
dial(void)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&address, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

/* With the loop turned, so that the queue of the listener does not run over. */
static int
dial_quietly(void)
{
	int fd = dial();

	event_base_loop(base, EVLOOP_NONBLOCK);
	return fd;
}

static void
say(int fd, const char *text)
{
	struct str rest = str_of(text);

	while (rest.n > 0) {
		ssize_t n = send(fd, rest.p, rest.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			rest = str_skip(rest, (size_t)n);
		else if (n < 0 && errno != EAGAIN)
			fail_msg("send: %s", strerror(errno));
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
}

/* One turn of the loop, waiting at most a moment for something to do. */
static void
turn(void)
{
	const struct timeval most = { .tv_usec = 20000 };

	event_base_loopexit(base, &most);
	event_base_loop(base, EVLOOP_ONCE);
}

/* Turns the loop until `text` has come, or the connection's end when it is NULL. What came is
 * appended to *got. */
static void
hear(int fd, struct buf *got, const char *text)
{
	nsec end = loop_now().mono + PATIENCE;

	for (;;) {
		char piece[65536];
		ssize_t n = recv(fd, piece, sizeof piece, MSG_DONTWAIT);

		if (n > 0)
			buf_add(got, str_mem(piece, (size_t)n));
		if (n == 0 && text == NULL)
			return;
		if (text != NULL && got->n > 0 &&
		    memmem(got->p, got->n, text, strlen(text)) != NULL)
			return;
		if (n == 0 || loop_now().mono > end)
			fail_msg("waited for \"%s\", got \"%.*s\"", text, (int)got->n, got->p);
		if (n < 0)
			turn();
	}
}

static void
expect(int fd, const char *text)
{
	struct buf got;

	buf_init(&got, 1024 * 1024);
	hear(fd, &got, text);
	buf_done(&got);
}

static void
until_parked(size_t count)
{
	nsec end = loop_now().mono + PATIENCE;

	while (http_server_stats(server).parked != count) {
		assert_true(loop_now().mono < end);
		turn();
	}
}

static void
until_connections(size_t count)
{
	nsec end = loop_now().mono + PATIENCE;

	while (http_server_stats(server).connections != count) {
		assert_true(loop_now().mono < end);
		turn();
	}
}

#define HOST "Host: a\r\n"

/* A blocking query for what is there now. */
static void
say_blocking(int fd, const char *wait)
{
	char text[256];

	snprintf(text, sizeof text, "GET /v1/value?index=%llu&wait=%s HTTP/1.1\r\n" HOST "\r\n",
	    (unsigned long long)watch_index(
		store.watches, (struct watch_key){ WATCH_SERVICE, STR("web") }),
	    wait);
	say(fd, text);
}

static void
requests_are_answered_on_one_connection(void **unused)
{
	int fd;

	(void)unused;
	start(0, 0);
	fd = dial();
	say(fd, "GET /v1/value HTTP/1.1\r\n" HOST "\r\nGET /none HTTP/1.1\r\n" HOST "\r\n");
	expect(fd, "404 Not Found");
	say(fd, "PUT /v1/value HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nnew");
	expect(fd, "\r\n\r\ntrue");
	say(fd, "GET /v1/value HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	expect(fd, "\r\n\r\n\"new\"");
	expect(fd, NULL);
	close(fd);
	assert_int_equal(http_server_stats(server).requests, 4);
	assert_int_equal(http_server_stats(server).errors, 1);
	finish();
}

static void
a_change_wakes_those_who_wait(void **unused)
{
	int fds[20], writer;

	(void)unused;
	start(0, 0);
	memset(value, 'x', sizeof value - 1); /* more than a socket takes in one go */
	for (size_t i = 0; i < 20; i++) {
		fds[i] = dial();
		say_blocking(fds[i], "60s");
	}
	until_parked(20);
	writer = dial();
	renderings = 0;
	say(writer, "PUT /v1/value HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nnew");
	expect(writer, "\r\n\r\ntrue");
	for (size_t i = 0; i < 20; i++)
		expect(fds[i], "\r\n\r\n\"new\"");
	assert_int_equal(renderings, 1); /* the same question: one answer for all */
	assert_int_equal(http_server_stats(server).parked, 0);
	assert_int_equal(http_server_stats(server).woken, 20);

	/* large answers, shared and sent in pieces */
	for (size_t i = 0; i < 20; i++)
		say_blocking(fds[i], "60s");
	until_parked(20);
	memset(value, 'y', sizeof value - 1);
	touch();
	http_server_wake(server);
	for (size_t i = 0; i < 20; i++)
		expect(fds[i], "yyyy\"");
	for (size_t i = 0; i < 20; i++)
		close(fds[i]);
	close(writer);
	finish();
}

static void
a_wait_ends_with_the_same_index(void **unused)
{
	nsec began;
	int fd;

	(void)unused;
	start(0, 0);
	fd = dial();
	began = loop_now().mono;
	say_blocking(fd, "50ms");
	expect(fd, "\r\n\r\n\"old\"");
	assert_true(loop_now().mono - began >= 50 * NSEC_MS);
	assert_int_equal(renderings, 2);
	close(fd);
	until_connections(0);
	finish();
}

static void
another_change_leaves_them_parked(void **unused)
{
	int fd;

	(void)unused;
	start(0, 0);
	fd = dial();
	say_blocking(fd, "60s");
	until_parked(1);
	watch_touch(store.watches, (struct watch_key){ WATCH_SERVICE, STR("db") },
	    index_next(&store.clock, 0), true);
	http_server_wake(server);
	assert_int_equal(http_server_stats(server).parked, 1);
	assert_int_equal(renderings, 1);
	close(fd);
	finish();
}

static void
a_change_that_is_not_shown_wakes_nobody(void **unused)
{
	uint64_t before, after;
	char text[64];
	int fds[20];

	(void)unused;
	start(0, 0);
	for (size_t i = 0; i < 20; i++) {
		fds[i] = dial();
		say_blocking(fds[i], i == 0 ? "300ms" : "60s");
	}
	until_parked(20);
	before = watch_index(store.watches, (struct watch_key){ WATCH_SERVICE, STR("web") });
	renderings = 0;
	for (unsigned n = 1; n <= 2; n++) {
		touch();
		http_server_wake(server);
		assert_int_equal(http_server_stats(server).parked, 20);
		assert_int_equal(http_server_stats(server).woken, 20 * n);
		assert_int_equal(renderings, 2 * n); /* two questions */
	}
	after = watch_index(store.watches, (struct watch_key){ WATCH_SERVICE, STR("web") });
	assert_true(after > before);
	snprintf(text, sizeof text, "X-Consul-Index: %llu\r\n", (unsigned long long)after);
	expect(fds[0], text); /* its time is over: the index has gone on */
	assert_int_equal(http_server_stats(server).parked, 19);
	strcpy(value, "seen");
	touch();
	http_server_wake(server);
	for (size_t i = 1; i < 20; i++)
		expect(fds[i], "\r\n\r\n\"seen\"");
	assert_int_equal(renderings, 2 * 2 + 1 + 1);
	for (size_t i = 0; i < 20; i++)
		close(fds[i]);
	until_connections(0);
	finish();
}

static void
a_client_that_goes_ends_its_wait(void **unused)
{
	int fd;

	(void)unused;
	start(0, 0);
	fd = dial();
	say_blocking(fd, "10m");
	until_parked(1);
	close(fd);
	until_connections(0);
	assert_int_equal(http_server_stats(server).parked, 0);
	/* also one that has sent more than we read ahead */
	fd = dial();
	say_blocking(fd, "10m");
	until_parked(1);
	say(fd, "GET /v1/value HTTP/1.1\r\n" HOST "\r\n");
	turn();
	say(fd, "GET /v1/value HTTP/1.1\r\n" HOST "\r\n");
	turn();
	close(fd);
	until_connections(0);
	finish();
}

static void
hundreds_of_waiting_clients_are_small(void **unused)
{
	static int fds[400];
	size_t before, parked, idle;

	(void)unused;
	start(0, 0);
	for (size_t i = 0; i < 400; i++)
		fds[i] = dial_quietly();
	until_connections(400);
	before = mallinfo2().uordblks;
	for (size_t i = 0; i < 400; i++)
		say_blocking(fds[i], "60s");
	until_parked(400);
	parked = (mallinfo2().uordblks - before) / 400;
	strcpy(value, "changed");
	touch();
	http_server_wake(server);
	until_parked(0);
	for (size_t i = 0; i < 400; i++)
		close(fds[i]);
	until_connections(0);
	idle = (before - mallinfo2().uordblks) / 400;
	print_message("heap: %zu bytes idle, %zu more parked\n", idle, parked);
	assert_true(idle + parked <= 4096); /* a sanitizer's heap counts as nothing */
	finish();
}

static void
too_many_are_told_so(void **unused)
{
	int fds[4], over;

	(void)unused;
	start(0, 4);
	for (size_t i = 0; i < 4; i++)
		fds[i] = dial();
	until_connections(4);
	over = dial();
	say(over, "GET /v1/value HTTP/1.1\r\n" HOST "\r\n");
	expect(over, "Too many connections from your address");
	expect(over, NULL);
	close(over);
	until_connections(4);
	assert_int_equal(http_server_stats(server).refused, 1);
	close(fds[0]);
	until_connections(3);
	fds[0] = dial();
	say(fds[0], "GET /v1/value HTTP/1.1\r\n" HOST "\r\n");
	expect(fds[0], "\"old\"");
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
	finish();

	start(1, 0);
	fds[0] = dial();
	until_connections(1);
	over = dial();
	expect(over, "Too many connections to this agent");
	close(over);
	close(fds[0]);
	finish();
}

static void
a_body_too_large_is_refused_and_read_over(void **unused)
{
	struct buf got;
	char *big = mem_zalloc(1024 * 1024 + 1);
	int fd;

	(void)unused;
	start(0, 0);
	memset(big, 'x', 1024 * 1024);
	buf_init(&got, 4096);
	fd = dial();
	say(fd, "PUT /v1/value HTTP/1.1\r\n" HOST "Content-Length: 10485760\r\n\r\n");
	for (int i = 0; i < 10; i++)
		say(fd, big); /* a client that looks only when it has sent all */
	hear(fd, &got, NULL);
	assert_true(str_starts(buf_str(&got), STR("HTTP/1.1 413 ")));
	assert_true(str_ends(buf_str(&got),
	    STR("Request body(10485760 bytes) too large, max size: 4194304 bytes.")));
	buf_done(&got);
	free(big);
	close(fd);
	until_connections(0);
	finish();
}

static void
say_later(int fd, const char *tail)
{
	char text[256];

	snprintf(text, sizeof text,
	    "PUT /v1/later/%s HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", tail);
	say(fd, text);
}

static void
until_held(size_t count)
{
	nsec end = loop_now().mono + PATIENCE;

	while (http_server_stats(server).held != count) {
		assert_true(loop_now().mono < end);
		turn();
	}
}

static void
finish_ticket(uint64_t t, const char *json)
{
	struct http_reply answer;
	struct buf body;

	buf_init(&body, 100);
	reply_init(&answer, &body, false);
	jw_raw(reply_json(&answer), str_of(json));
	http_server_finish(server, t, &answer);
	buf_done(&body);
}

static bool
holds(const struct buf *b, const char *text)
{
	return memmem(b->p, b->n, text, strlen(text)) != NULL;
}

static void
an_answer_may_come_later(void **unused)
{
	int first, second;
	uint64_t of_first;
	struct buf got;

	(void)unused;
	start(0, 0);
	tickets = 0;
	first = dial();
	second = dial();
	say_later(first, "a");
	until_held(1);
	of_first = ticket;
	say(first, "GET /v1/value HTTP/1.1\r\n" HOST "\r\n"); /* waits for its turn */
	say_later(second, "b");
	until_held(2);
	finish_ticket(ticket, "[2]");
	expect(second, "\r\n\r\n[2]");
	assert_int_equal(http_server_stats(server).held, 1);
	finish_ticket(of_first + 1000, "[0]"); /* nobody's */
	finish_ticket(of_first, "[1]");
	buf_init(&got, 4096);
	hear(first, &got, "\"old\"");
	assert_true(holds(&got, "\r\n\r\n[1]HTTP/1.1 200"));
	assert_false(holds(&got, "is not sent"));
	buf_done(&got);
	finish_ticket(of_first, "[3]"); /* it was answered */
	say_later(first, "at-once");
	expect(first, "500 Internal Server Error");
	assert_int_equal(http_server_stats(server).held, 0);
	close(first);
	close(second);
	finish();
}

static void
a_client_that_goes_is_not_waited_for(void **unused)
{
	int fd;

	(void)unused;
	start(0, 0);
	fd = dial();
	say_later(fd, "a");
	until_held(1);
	close(fd);
	until_connections(0);
	assert_int_equal(http_server_stats(server).held, 0);
	finish_ticket(ticket, "[1]");
	finish();
}

static void
an_answer_that_does_not_come_is_an_error(void **unused)
{
	int fd;

	(void)unused;
	later_max = 50 * NSEC_MS;
	start(0, 0);
	later_max = 0;
	fd = dial();
	say_later(fd, "a");
	expect(fd, "The agent has not found an answer in time");
	assert_int_equal(http_server_stats(server).held, 0);
	say_later(fd, "at-once"); /* the connection lives on */
	expect(fd, "\r\n\r\nno");
	close(fd);
	finish();
}

static void
until_asked(size_t count)
{
	nsec end = loop_now().mono + PATIENCE;

	while (http_server_stats(server).asked != count) {
		assert_true(loop_now().mono < end);
		turn();
	}
}

static void
resume_all(void)
{
	struct cluster_action act;

	while (cluster_action_next(api.cluster, &act))
		http_server_resume(server, loop_now(), &act);
}

#define ASK "PUT /v1/ask HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"

static void
the_clusters_answer_runs_the_request_again(void **unused)
{
	int fds[20];
	struct cluster_action nobodys = { .kind = CLUSTER_ANSWER, .request = 99999 };

	(void)unused;
	start(0, 0);
	api.cluster = cluster_fake_new(store.watches);
	for (size_t i = 0; i < 20; i++) {
		fds[i] = dial();
		say(fds[i], ASK ASK); /* the second waits for its turn */
	}
	until_asked(20);
	http_server_resume(server, loop_now(), &nobodys);
	resume_all(); /* all stages of both: what is asked on the way is answered too */
	for (size_t i = 0; i < 20; i++)
		expect(fds[i], "\r\n\r\n14");
	assert_int_equal(cluster_fake.reads, 80);
	assert_int_equal(cluster_fake.cancels, 0);
	assert_int_equal(http_server_stats(server).asked, 0);
	assert_int_equal(http_server_stats(server).requests, 40);
	for (size_t i = 0; i < 20; i++)
		close(fds[i]);
	finish();
	cluster_free(api.cluster);
}

static void
who_goes_cancels_what_the_cluster_was_asked(void **unused)
{
	int fd;

	(void)unused;
	start(0, 0);
	api.cluster = cluster_fake_new(store.watches);
	fd = dial();
	say(fd, ASK);
	until_asked(1);
	close(fd);
	until_connections(0);
	assert_int_equal(cluster_fake.cancels, 1);
	assert_int_equal(http_server_stats(server).asked, 0);
	resume_all();
	finish();
	cluster_free(api.cluster);
}

static void
a_cluster_that_does_not_answer_is_an_error(void **unused)
{
	int fd;

	(void)unused;
	later_max = 50 * NSEC_MS;
	start(0, 0);
	later_max = 0;
	api.cluster = cluster_fake_new(store.watches);
	fd = dial();
	say(fd, ASK);
	expect(fd, "The agent has not found an answer in time");
	assert_int_equal(cluster_fake.cancels, 1);
	close(fd);
	finish();
	cluster_free(api.cluster);
}

static void
too_many_held_requests_are_told_so(void **unused)
{
	static int fds[HTTP_LATER_HELD_MAX];
	int over;

	(void)unused;
	start(0, 0);
	for (size_t i = 0; i < HTTP_LATER_HELD_MAX; i++) {
		fds[i] = dial_quietly();
		say_later(fds[i], "a");
	}
	until_held(HTTP_LATER_HELD_MAX);
	over = dial();
	say_later(over, "a");
	expect(over, "Too many requests wait for this agent");
	for (size_t i = 0; i < HTTP_LATER_HELD_MAX; i++)
		close(fds[i]);
	close(over);
	until_held(0);
	finish();
}

static void
stopping_answers_what_waits(void **unused)
{
	int parked, idle, held;
	nsec end;

	(void)unused;
	start(0, 0);
	idle = dial();
	parked = dial();
	say_blocking(parked, "10m");
	until_parked(1);
	held = dial();
	say_later(held, "a");
	until_held(1);
	end = loop_now().mono + PATIENCE;
	while (http_server_stopping(server)) {
		assert_true(loop_now().mono < end);
		turn();
	}
	expect(parked, "Connection: close");
	expect(held, "The agent is stopping");
	expect(idle, NULL);
	close(parked);
	close(held);
	close(idle);
	finish();
}

static void
a_port_in_use_is_named(void **unused)
{
	struct http_server_config config = { .limits = http_limits_default };
	struct http_server *other = NULL;
	struct err err = { 0 };
	char want[128], text[ADDR_TEXT_MAX];
	struct listen_at listen = { 0 };

	(void)unused;
	start(0, 0);
	listen.addr = address;
	assert_int_equal(http_server_new(base, &api, &config, &listen, 1, &other, &err), ERR_IO);
	snprintf(want, sizeof want, "http: cannot listen on %s: Address already in use",
	    addr_format(&address, text));
	assert_string_equal(err.text, want);
	assert_null(other);
	finish();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_answered_on_one_connection),
		cmocka_unit_test(a_change_wakes_those_who_wait),
		cmocka_unit_test(a_wait_ends_with_the_same_index),
		cmocka_unit_test(another_change_leaves_them_parked),
		cmocka_unit_test(a_change_that_is_not_shown_wakes_nobody),
		cmocka_unit_test(a_client_that_goes_ends_its_wait),
		cmocka_unit_test(hundreds_of_waiting_clients_are_small),
		cmocka_unit_test(too_many_are_told_so),
		cmocka_unit_test(a_body_too_large_is_refused_and_read_over),
		cmocka_unit_test(an_answer_may_come_later),
		cmocka_unit_test(a_client_that_goes_is_not_waited_for),
		cmocka_unit_test(an_answer_that_does_not_come_is_an_error),
		cmocka_unit_test(the_clusters_answer_runs_the_request_again),
		cmocka_unit_test(who_goes_cancels_what_the_cluster_was_asked),
		cmocka_unit_test(a_cluster_that_does_not_answer_is_an_error),
		cmocka_unit_test(too_many_held_requests_are_told_so),
		cmocka_unit_test(stopping_answers_what_waits),
		cmocka_unit_test(a_port_in_use_is_named),
	};

	return cmocka_run_group_tests_name("server_io", tests, NULL, NULL);
}

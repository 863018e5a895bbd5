/* dns/dns_tcp_io.c -- messages with a length before them, many on one connection (RFC 7766).
 *
 * In order: time, connections and their limits, answers out, queries in, accepting.
 *
 * A connection reads until its answers do not leave at once; then it waits until they have. The
 * list of connections is in the order of their last progress (a whole message taken in, or all
 * answers taken away), so its head is the next to be closed: by time, or because a newcomer
 * needs its place. A connection with nothing half done holds no buffer. What other name servers are
 * asked for is answered when they have answered, later questions meanwhile (RFC 7766 7).
 */
#include "dns/dns_tcp_io.h"

#include <assert.h>
#include <bsd/sys/queue.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "dns/dns_io.h"
#include "dns/dns_query_log.h"
#include "dns/message.h"

#define BACKLOG 256
#define ACCEPTS_A_TURN 32
#define READS_A_TURN 4      /* then others in the loop have their turn */
#define ACCEPT_PAUSE_MS 100 /* when the process has no descriptors left */
#define READ_BYTES (64 * 1024)
#define IN_MAX (2 + DNS_MESSAGE_MAX + READ_BYTES)
#define OUT_MAX (4 * 65536) /* answers waiting on one connection */
#define CONN_ASKS_MAX 32 /* questions of one that others are asked for; it is read on after them \
			  */

struct tcp_ask {
	LIST_ENTRY(tcp_ask) link;
	struct conn *conn;
	struct recurse_ask *ask;
};

struct conn {
	TAILQ_ENTRY(conn) link;
	struct dns_tcp *tcp;
	struct addr peer;
	int fd;
	struct event *readable, *writable; /* owned */
	nsec deadline;
	struct buf in;             /* a message's beginning */
	struct buf out;            /* answers the peer has not taken yet */
	size_t held;               /* bytes of both, as counted in tcp->held */
	LIST_HEAD(, tcp_ask) asks; /* owned */
	size_t ask_count;
	bool ended; /* the peer sends no more */
};

struct listener {
	struct dns_tcp *tcp;
	int fd;
	struct event *readable; /* owned */
};

struct dns_tcp {
	struct event_base *base;
	struct dns_responder *responder;
	const struct dns_shared *shared;
	struct listener **listeners; /* owned */
	size_t listener_count, listener_cap;
	TAILQ_HEAD(conns, conn) conns;
	size_t conn_count;
	nsec idle;
	size_t held;          /* bytes in all connections' buffers */
	struct event *timer;  /* owned: the head's deadline */
	struct event *resume; /* owned: accepts again after a pause */
	uint8_t *scratch;     /* owned: READ_BYTES, then room for an answer with its length */
};

static struct now
now_read(void)
{
	struct timespec mono, wall;

	(void)clock_gettime(CLOCK_MONOTONIC, &mono);
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	return (struct now){ .mono = mono.tv_sec * NSEC_SEC + mono.tv_nsec,
		.wall_ms = wall.tv_sec * 1000 + wall.tv_nsec / NSEC_MS };
}

static void
timer_arm(struct dns_tcp *tcp, nsec now)
{
	const struct conn *first = TAILQ_FIRST(&tcp->conns);
	nsec wait = first == NULL ? 0 : first->deadline - now;
	struct timeval tv;

	if (first == NULL) {
		(void)event_del(tcp->timer);
		return;
	}
	if (wait < 0)
		wait = 0;
	wait += NSEC_MS; /* not a moment too early */
	tv.tv_sec = wait / NSEC_SEC;
	tv.tv_usec = wait % NSEC_SEC / NSEC_US;
	(void)event_add(tcp->timer, &tv);
}

/* Its time begins anew. */
static void
conn_progress(struct conn *c, nsec now)
{
	c->deadline = now + c->tcp->idle;
	TAILQ_REMOVE(&c->tcp->conns, c, link);
	TAILQ_INSERT_TAIL(&c->tcp->conns, c, link);
}

static void
conn_count_bytes(struct conn *c)
{
	size_t held = c->in.room + c->out.room;

	c->tcp->held += held - c->held;
	c->held = held;
}

static void
ask_free(struct tcp_ask *t)
{
	LIST_REMOVE(t, link);
	t->conn->ask_count--;
	free(t);
}

static void
conn_close(struct conn *c)
{
	struct dns_tcp *tcp = c->tcp;

	while (!LIST_EMPTY(&c->asks)) {
		recurse_cancel(LIST_FIRST(&c->asks)->ask);
		ask_free(LIST_FIRST(&c->asks));
	}
	TAILQ_REMOVE(&tcp->conns, c, link);
	tcp->conn_count--;
	event_free(c->readable);
	event_free(c->writable);
	(void)close(c->fd);
	tcp->held -= c->held;
	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dns_tcp *tcp = arg;
	nsec now = now_read().mono;
	struct conn *c;

	(void)fd;
	(void)what;
	while ((c = TAILQ_FIRST(&tcp->conns)) != NULL && c->deadline <= now)
		conn_close(c);
	timer_arm(tcp, now);
}

/* Sends what waits; false when the connection is broken. */
static bool
conn_flush(struct conn *c)
{
	while (c->out.n > 0) {
		ssize_t n = send(c->fd, c->out.p, c->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		buf_drop_front(&c->out, (size_t)n);
	}
	buf_done(&c->out);
	buf_init(&c->out, OUT_MAX);
	return true;
}

/* An answer with its length before it: sent at once, or what is left of it put aside. */
static bool
conn_send(struct conn *c, struct str bytes)
{
	while (c->out.n == 0 && bytes.n > 0) {
		ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			return false;
		if (n < 0)
			break;
		bytes = str_skip(bytes, (size_t)n);
	}
	if (bytes.n > 0)
		buf_add(&c->out, bytes);
	return !c->out.full;
}

/* An answer of n bytes, behind two for its length. */
static bool
answer_send(struct conn *c, uint8_t *room, size_t n)
{
	struct writer w = wr_of(room, 2);

	wr_be16(&w, (uint16_t)n);
	if (atomic_load_explicit(c->tcp->shared->logs, memory_order_relaxed))
		dns_query_log(str_mem(room + 2, n), &c->peer, "tcp", 0);
	return conn_send(c, str_mem(room, n + 2));
}

static void on_other_answer(void *arg, struct str answer);

/* After the responder was silent; *n: the answer is there at once. False: it meant to be. */
static bool
conn_ask(struct conn *c, struct str query, uint8_t *room, size_t *n)
{
	struct recurse *r = c->tcp->shared->recurse;
	struct tcp_ask *t;

	if (!recurse_wanted(r))
		return false;
	t = mem_new(struct tcp_ask);
	t->conn = c;
	LIST_INSERT_HEAD(&c->asks, t, link);
	c->ask_count++;
	*n = recurse_ask(r, query, true, room, DNS_MESSAGE_MAX, on_other_answer, t, &t->ask);
	if (t->ask == NULL)
		ask_free(t);
	return true;
}

/* The next whole message in `bytes`, taken off; false: none. */
static bool
message_next(struct str *bytes, struct str *out)
{
	struct reader r = rd_of(*bytes);
	uint16_t len = rd_be16(&r);
	const uint8_t *p = rd_take(&r, len);

	if (p == NULL)
		return false;
	*out = str_mem(p, len);
	*bytes = str_skip(*bytes, 2u + len);
	return true;
}

/* Answers the whole messages in `bytes` until the peer does not keep up; what was not used stays
 * in *bytes. False when the connection is to be closed. */
static bool
conn_answer(struct conn *c, struct now now, struct str *bytes)
{
	struct dns_tcp *tcp = c->tcp;
	uint8_t *room = tcp->scratch + READ_BYTES;
	struct str query;

	while (c->out.n == 0 && c->ask_count < CONN_ASKS_MAX && message_next(bytes, &query)) {
		size_t n = dns_answer(tcp->responder, now, query, true, room + 2, DNS_MESSAGE_MAX);

		if (n == 0 && !conn_ask(c, query, room + 2, &n))
			return false; /* nothing a client would send: no use in going on */
		if (n > 0 && !answer_send(c, room, n))
			return false;
		conn_progress(c, now.mono);
	}
	return true;
}

/* What is left over becomes the beginning of the next message. */
static void
conn_keep(struct conn *c, struct str rest)
{
	if (rest.p == c->in.p) {
		return;
	} else if (c->in.n > 0) {
		buf_drop_front(&c->in, c->in.n - rest.n);
		if (rest.n > 0)
			return;
		buf_done(&c->in);
		buf_init(&c->in, IN_MAX);
	} else if (rest.n > 0) {
		buf_add(&c->in, rest);
	}
}

/* Answers from the buffer when a message has begun there, else from the bytes just read. */
static bool
conn_take(struct conn *c, struct now now, struct str bytes)
{
	if (c->in.n > 0) {
		buf_add(&c->in, bytes);
		bytes = buf_str(&c->in);
	}
	if (c->in.full || !conn_answer(c, now, &bytes))
		return false;
	conn_keep(c, bytes);
	return !c->in.full;
}

/* After each step: what to wait for now. False when the connection has nothing left to do, or holds
 * too much. */
static bool
conn_settle(struct conn *c)
{
	conn_count_bytes(c);
	if (c->tcp->held > DNS_TCP_BYTES_MAX && c->held > 0)
		return false;
	if (c->out.n > 0) {
		(void)event_del(c->readable);
		return event_add(c->writable, NULL) == 0;
	}
	if (c->ended && c->ask_count == 0)
		return false;
	(void)event_del(c->writable);
	if (c->ended || c->ask_count >= CONN_ASKS_MAX)
		return event_del(c->readable) == 0;
	return event_add(c->readable, NULL) == 0;
}

static void
conn_end_turn(struct conn *c, bool keep, nsec now)
{
	struct dns_tcp *tcp = c->tcp;

	if (!keep || !conn_settle(c))
		conn_close(c);
	timer_arm(tcp, now);
}

/* What another name server was asked for. */
static void
on_other_answer(void *arg, struct str answer)
{
	struct tcp_ask *t = arg;
	struct conn *c = t->conn;
	uint8_t *room = c->tcp->scratch + READ_BYTES;
	struct now now = now_read();
	bool keep = true;

	ask_free(t);
	if (answer.n > 0) {
		memcpy(room + 2, answer.p, answer.n);
		keep = answer_send(c, room, answer.n);
	}
	if (keep)
		conn_progress(c, now.mono);
	if (keep && c->out.n == 0)
		keep = conn_take(c, now, STR_NONE); /* messages that waited meanwhile */
	conn_end_turn(c, keep, now.mono);
}

static void
on_conn_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct now now = now_read();
	bool keep = true;

	(void)what;
	for (int turn = 0;
	     turn < READS_A_TURN && keep && c->out.n == 0 && c->ask_count < CONN_ASKS_MAX; turn++) {
		ssize_t n = recv(fd, c->tcp->scratch, READ_BYTES, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			keep = errno == EAGAIN || errno == EWOULDBLOCK;
			break;
		}
		if (n == 0) {
			c->ended = true;
			break;
		}
		keep = conn_take(c, now, str_mem(c->tcp->scratch, (size_t)n));
		if (n < READ_BYTES)
			break;
	}
	conn_end_turn(c, keep, now.mono);
}

static void
on_conn_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct now now = now_read();
	bool keep = conn_flush(c);

	(void)fd;
	(void)what;
	if (keep && c->out.n == 0) {
		conn_progress(c, now.mono);
		keep = conn_take(c, now, STR_NONE); /* messages that waited meanwhile */
	}
	conn_end_turn(c, keep, now.mono);
}

static void
conn_new(struct dns_tcp *tcp, int fd, const struct addr *peer, nsec now)
{
	struct conn *c = mem_new(struct conn);
	int on = 1;

	c->tcp = tcp;
	c->peer = *peer;
	c->fd = fd;
	c->deadline = now + tcp->idle;
	buf_init(&c->in, IN_MAX);
	buf_init(&c->out, OUT_MAX);
	LIST_INIT(&c->asks);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->readable = event_new(tcp->base, fd, EV_READ | EV_PERSIST, on_conn_readable, c);
	c->writable = event_new(tcp->base, fd, EV_WRITE | EV_PERSIST, on_conn_writable, c);
	assert(c->readable != NULL && c->writable != NULL);
	TAILQ_INSERT_TAIL(&tcp->conns, c, link);
	tcp->conn_count++;
	if (event_add(c->readable, NULL) != 0)
		conn_close(c);
}

/* At a limit the connection that was quiet for the longest time goes, of the same client when that
 * has too many. */
static void
conns_make_place(struct dns_tcp *tcp, const struct addr *peer)
{
	struct conn *c, *oldest = NULL;
	size_t of_peer = 0;

	TAILQ_FOREACH (c, &tcp->conns, link) {
		if (!addr_eq_ip(&c->peer, peer))
			continue;
		oldest = oldest == NULL ? c : oldest;
		of_peer++;
	}
	if (of_peer >= DNS_TCP_PER_CLIENT_MAX)
		conn_close(oldest);
	else if (tcp->conn_count >= DNS_TCP_CONNECTIONS_MAX)
		conn_close(TAILQ_FIRST(&tcp->conns));
}

/* Without descriptors the listeners rest, or the loop would spin on what cannot be accepted. */
static void
accept_pause(struct dns_tcp *tcp)
{
	const struct timeval pause = { 0, ACCEPT_PAUSE_MS * 1000 };

	for (size_t i = 0; i < tcp->listener_count; i++)
		(void)event_del(tcp->listeners[i]->readable);
	(void)event_add(tcp->resume, &pause);
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct dns_tcp *tcp = arg;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < tcp->listener_count; i++)
		(void)event_add(tcp->listeners[i]->readable, NULL);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;
	struct dns_tcp *tcp = listener->tcp;
	nsec now = now_read().mono;

	(void)what;
	for (int turn = 0; turn < ACCEPTS_A_TURN; turn++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof sa;
		struct addr peer;
		int got = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			accept_pause(tcp);
			break;
		}
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (got < 0)
			continue; /* that connection is gone already: the next */
		if (!addr_from_sockaddr((const struct sockaddr *)&sa, &peer)) {
			(void)close(got);
			continue;
		}
		conns_make_place(tcp, &peer);
		conn_new(tcp, got, &peer, now);
	}
	timer_arm(tcp, now);
}

struct dns_tcp *
dns_tcp_new(
    struct event_base *base, struct dns_responder *responder, const struct dns_shared *shared)
{
	struct dns_tcp *tcp = mem_new(struct dns_tcp);

	tcp->base = base;
	tcp->responder = responder;
	tcp->shared = shared;
	tcp->idle = DNS_TCP_IDLE;
	TAILQ_INIT(&tcp->conns);
	tcp->timer = evtimer_new(base, on_timer, tcp);
	tcp->resume = evtimer_new(base, on_resume, tcp);
	assert(tcp->timer != NULL && tcp->resume != NULL);
	tcp->scratch = mem_alloc(READ_BYTES + 2 + DNS_MESSAGE_MAX);
	return tcp;
}

void
dns_tcp_free(struct dns_tcp *tcp)
{
	if (tcp == NULL)
		return;
	while (!TAILQ_EMPTY(&tcp->conns))
		conn_close(TAILQ_FIRST(&tcp->conns));
	for (size_t i = 0; i < tcp->listener_count; i++) {
		if (tcp->listeners[i]->readable != NULL)
			event_free(tcp->listeners[i]->readable);
		(void)close(tcp->listeners[i]->fd);
		free(tcp->listeners[i]);
	}
	event_free(tcp->timer);
	event_free(tcp->resume);
	free(tcp->listeners);
	free(tcp->scratch);
	free(tcp);
}

void
dns_tcp_idle(struct dns_tcp *tcp, nsec idle)
{
	tcp->idle = idle;
}

int
dns_tcp_add(struct dns_tcp *tcp, int fd, struct err *err)
{
	struct listener *listener = mem_new(struct listener);

	listener->tcp = tcp;
	listener->fd = fd;
	tcp->listeners = mem_grow(
	    tcp->listeners, tcp->listener_count, &tcp->listener_cap, sizeof tcp->listeners[0]);
	tcp->listeners[tcp->listener_count++] = listener;
	if (listen(fd, BACKLOG) != 0)
		return err_errno(err, "dns: listen");
	listener->readable = event_new(tcp->base, fd, EV_READ | EV_PERSIST, on_accept, listener);
	if (listener->readable == NULL || event_add(listener->readable, NULL) != 0)
		return err_set(err, ERR_IO, "dns: cannot watch the TCP socket");
	return 0;
}

/* agent/server/server_conn_io.c -- a connection: bytes in and out, records to messages and back.
 *
 * Out: records are made only as the kernel takes what went before, so what waits stays where it is
 * counted; small messages, long ones and a snapshot take turns. In: a snapshot that comes in faster
 * than the disk takes it pauses the reading, and TCP holds the peer back.
 */
#include "agent/server/server_net_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "base/log.h"
#include "base/mem.h"

/* ---- out ---- */

/* 1: a record of this lane was made; 0: it has nothing to send now. */
static int
lane_send(struct net_conn *c, enum net_lane lane, struct err *err)
{
	struct net_message *m;
	struct str piece;
	bool end;
	int rc;

	if (lane == LANE_SNAPSHOT)
		return snap_send(c, err);
	m = net_waiting(c->peer, lane);
	if (m == NULL)
		return 0;
	piece = str_skip(buf_str(&m->bytes), m->at);
	end = piece.n <= SERVER_STREAM_RECORD_MAX;
	if (!end)
		piece.n = SERVER_STREAM_RECORD_MAX;
	rc = server_stream_send(c->stream,
	    lane == LANE_SMALL ? SERVER_STREAM_MESSAGE : SERVER_STREAM_BULK, piece, end, err);
	if (rc < 0)
		return rc;
	m->at += piece.n;
	if (end)
		net_sent(c->peer, lane);
	return 1;
}

/* What the stream has to say, to the kernel's side. */
static void
conn_flush(struct net_conn *c)
{
	struct buf *out = server_stream_out(c->stream);

	if (out->n == 0 || c->dead)
		return;
	c->net->stats.bytes_out += out->n;
	if (bufferevent_write(c->bev, out->p, out->n) < 0)
		conn_end(c, "no memory to send");
	else
		buf_clear(out);
}

void
conn_fill(struct net_conn *c)
{
	unsigned idle = 0;
	struct err err = { 0 };

	while (
	    !c->dead && c->ready && c->peer->speaker == c && idle < LANE_COUNT &&
	    evbuffer_get_length(bufferevent_get_output(c->bev)) + server_stream_out(c->stream)->n <
		NET_OUT_HIGH) {
		int rc = lane_send(c, c->lane, &err);

		if (rc < 0) {
			conn_end(c, err.text);
			return;
		}
		idle = rc == 0 ? idle + 1 : 0;
		c->lane = (c->lane + 1) % LANE_COUNT;
	}
	conn_flush(c);
}

bool
conn_idle(const struct net_conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev)) == 0;
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct net_conn *c = arg;

	(void)bev;
	if (!c->dead)
		conn_fill(c);
}

/* ---- in ---- */

static int
conn_message(struct net_conn *c, const struct server_stream_said *said, struct err *err)
{
	struct server_net *n = c->net;
	struct buf *part = &c->parts[said->type == SERVER_STREAM_BULK];
	struct str whole = said->bytes;

	if (!said->end || part->n > 0) {
		buf_add(part, said->bytes);
		if (part->full)
			return err_set(err, ERR_LIMIT, "a message that is too long");
		whole = buf_str(part);
	}
	if (!said->end)
		return 0;
	n->stats.messages_in++;
	n->config.message(n->config.arg, &c->peer->id, whole);
	if (part->room > SERVER_STREAM_RECORD_MAX)
		buf_done(part);
	buf_clear(part);
	return 0;
}

static void
conn_ready(struct net_conn *c)
{
	struct net_peer *p = net_peer_for(c->net, server_stream_peer(c->stream));
	struct net_conn *old = p->taken;

	c->ready = true;
	event_del(c->timer);
	if (!c->caller) {
		c->net->stats.strangers--;
		c->peer = p;
		p->taken = c;
		if (old != NULL) /* the peer would not call if it still had that one */
			conn_end(old, "another took its place");
	}
	net_peer_ready(p, c);
	conn_fill(c);
}

static int
conn_hello(struct net_conn *c, struct err *err)
{
	const struct server_net_config *config = &c->net->config;

	if (config->keys == NULL && !c->verified &&
	    !config->member(config->arg, &c->from, server_stream_peer(c->stream)))
		return err_set(err, ERR_REFUSED, "it is not the member that it names");
	return server_stream_accept(c->stream, err);
}

static int
conn_told(struct net_conn *c, const struct server_stream_said *said, struct err *err)
{
	if (said->event == SERVER_STREAM_HELLO)
		return conn_hello(c, err);
	if (said->event == SERVER_STREAM_READY) {
		conn_ready(c);
		return 0;
	}
	if (said->type == SERVER_STREAM_MESSAGE || said->type == SERVER_STREAM_BULK)
		return conn_message(c, said, err);
	return snap_record(c, said, err) ? 0 : ERR_INPUT;
}

/* The next bytes of the kernel's side. False: there are none. */
static bool
conn_feed(struct net_conn *c, int *rc, struct err *err)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t n = evbuffer_get_contiguous_space(in);

	if (n == 0)
		return false;
	if (n > SERVER_STREAM_RECORD_MAX)
		n = SERVER_STREAM_RECORD_MAX;
	c->net->stats.bytes_in += n;
	*rc = server_stream_input(c->stream, str_mem(evbuffer_pullup(in, (ev_ssize_t)n), n), err);
	evbuffer_drain(in, n);
	return true;
}

static void
conn_pump(struct net_conn *c)
{
	struct server_stream_said said;
	struct err err = { 0 };
	int rc = 0;

	while (!c->dead && !c->paused && rc >= 0) {
		rc = server_stream_next(c->stream, &said, &err);
		if (rc > 0)
			rc = conn_told(c, &said, &err);
		else if (rc == 0 && !conn_feed(c, &rc, &err))
			break;
	}
	if (rc < 0 && !c->dead) {
		if (!c->ready && !c->caller)
			net_complain(c->net, &c->from, err.text);
		conn_end(c, err.text);
		return;
	}
	conn_flush(c);
}

static void
on_readable(struct bufferevent *bev, void *arg)
{
	struct net_conn *c = arg;

	(void)bev;
	if (!c->dead)
		conn_pump(c);
}

void
conn_resume(struct net_conn *c)
{
	if (c->dead || !c->paused)
		return;
	c->paused = false;
	bufferevent_enable(c->bev, EV_READ);
	conn_pump(c);
}

/* ---- life ---- */

static void
conn_options(struct net_conn *c)
{
	int fd = bufferevent_getfd(c->bev), on = 1, idle = 5, interval = 3, count = 3;
	unsigned silence = SERVER_NET_SILENCE_MAX / NSEC_MS;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof silence);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct net_conn *c = arg;
	int error = EVUTIL_SOCKET_ERROR();

	(void)bev;
	if (c->dead)
		return;
	if (what & BEV_EVENT_CONNECTED) {
		conn_options(c);
		conn_flush(c);
		return;
	}
	if ((what & BEV_EVENT_EOF) && c->ready)
		conn_end(c, "closed by the peer");
	else if (what & BEV_EVENT_EOF)
		conn_end(c, "closed by the peer in the handshake: it has another key, no key, or "
			    "does not know us");
	else if (c->caller && c->net->tls.out != NULL && !c->ready)
		conn_end(c, conn_tls_why(c));
	else
		conn_end(c, error == 0 ? "broken" : evutil_socket_error_to_string(error));
}

static void
on_handshake_late(evutil_socket_t fd, short what, void *arg)
{
	struct net_conn *c = arg;

	(void)fd;
	(void)what;
	conn_end(c, "no answer in time");
}

static struct server_stream *
stream_new(struct server_net *n, const struct uuid *call)
{
	struct str keys[SERVER_STREAM_KEYS_MAX];
	struct server_stream_config config = {
		.caller = call != NULL,
		.self = n->config.self,
		.cluster = n->cluster,
		.keys = keys,
	};

	if (call != NULL)
		config.peer = *call;
	if (n->config.keys != NULL)
		config.key_count = keyring_count(n->config.keys);
	if (config.key_count > SERVER_STREAM_KEYS_MAX)
		config.key_count = SERVER_STREAM_KEYS_MAX;
	for (size_t i = 0; i < config.key_count; i++)
		keys[i] = keyring_key(n->config.keys, i);
	os_random(config.nonce, sizeof config.nonce);
	return server_stream_new(&config);
}

static void
conn_callbacks(struct net_conn *c)
{
	bufferevent_setcb(c->bev, on_readable, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_WRITE, NET_OUT_LOW, 0);
}

void
conn_listen_to(struct net_conn *c)
{
	conn_callbacks(c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

struct net_conn *
conn_new(struct server_net *n, int fd, const struct addr *from, const struct uuid *call)
{
	const struct timeval late = { .tv_sec = SERVER_NET_HANDSHAKE_TIME / NSEC_SEC };
	struct net_conn *c = mem_new(struct net_conn);

	c->net = n;
	c->from = *from;
	c->caller = call != NULL;
	c->stream = stream_new(n, call);
	buf_init(&c->parts[LANE_SMALL], SERVER_NET_SMALL);
	buf_init(&c->parts[LANE_BULK], SERVER_NET_MESSAGE_MAX);
	buf_init(&c->announce, RAFT_CORE_MESSAGE_MAX);
	c->bev = c->caller && n->tls.out != NULL
		     ? conn_tls_new(c, fd)
		     : bufferevent_socket_new(n->config.base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->timer = evtimer_new(n->config.base, on_handshake_late, c);
	if (c->bev == NULL || c->timer == NULL)
		abort(); /* no memory */
	evtimer_add(c->timer, &late);
	n->stats.connections++;
	TAILQ_INSERT_TAIL(&n->conns, c, link);
	if (!c->caller) {
		n->stats.strangers++;
		conn_options(c);
	}
	if (c->caller)
		conn_callbacks(c);
	else if (n->tls.in != NULL)
		conn_sniff(c);
	else
		conn_listen_to(c);
	return c;
}

bool
conn_connect(struct net_conn *c)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&c->from, &sa);

	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return bufferevent_socket_connect(c->bev, (struct sockaddr *)&sa, (int)len) == 0;
}

void
conn_end(struct net_conn *c, const char *why)
{
	struct net_peer *p = c->peer;

	if (c->dead)
		return;
	c->dead = true;
	log_debug("raft", "a connection ended ready=%d: %s", c->ready, why);
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	event_del(c->timer);
	if (c->sniff != NULL)
		event_del(c->sniff);
	if (!c->caller && !c->ready)
		c->net->stats.strangers--;
	TAILQ_REMOVE(&c->net->conns, c, link);
	TAILQ_INSERT_TAIL(&c->net->dead, c, link);
	c->net->stats.connections--;
	if (p != NULL)
		net_peer_ended(p, c, why);
	net_reap_later(c->net);
}

void
conn_free(struct net_conn *c)
{
	snap_in_done(c);
	TAILQ_REMOVE(&c->net->dead, c, link);
	if (c->sniff != NULL)
		event_free(c->sniff);
	bufferevent_free(c->bev);
	event_free(c->timer);
	server_stream_free(c->stream);
	buf_done(&c->parts[LANE_SMALL]);
	buf_done(&c->parts[LANE_BULK]);
	buf_done(&c->announce);
	free(c);
}

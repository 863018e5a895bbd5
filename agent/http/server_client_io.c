/* agent/http/server_client_io.c -- one client's socket: reading, answering, parking, sending.
 *
 * One read per event, one send() or sendmsg() per reply. While a query is parked the socket is still
 * watched, so that a client that goes away is noticed and its wait ends.
 */
#include "agent/http/server_private.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/http/dispatch.h"
#include "base/mem.h"

#define SLICES_MAX 4
#define SHARED_BODY_MIN 4096 /* smaller ones are copied with their head */

static void client_event(evutil_socket_t fd, short what, void *arg);

struct client *
client_new(struct http_server *s, int fd, const struct addr *peer, struct now now)
{
	struct client *c = mem_new(struct client);

	c->server = s;
	c->fd = fd;
	c->conn = http_conn_new(s->work, peer, now);
	LIST_INSERT_HEAD(&s->clients, c, link);
	s->stats.connections++;
	return c;
}

void
client_free(struct client *c)
{
	struct http_server *s = c->server;

	server_unpark(s, &c->parked);
	server_due_clear(c);
	if (c->mask != 0)
		event_del(&c->event);
	if (c->peer != NULL)
		peer_leave(s, c->peer);
	if (c->refused)
		s->refused_now--;
	LIST_REMOVE(c, link);
	s->stats.connections--;
	client_tls_free(c);
	http_conn_free(c->conn);
	close(c->fd);
	free(c);
}

/* A request is answered that began then: with all that it waited for. */
static void
client_timed(const struct client *c, const struct route *route, nsec began)
{
	struct metrics *m = c->server->api->metrics;

	if (m != NULL && route != NULL)
		metrics_time(m, (size_t)(route - http_routes), loop_mono() - began);
}

/* The next answer is that of the last query of this wake, which asked for the same; false: it is
 * not known. */
static bool
share_answer(struct client *c, const struct http_request *rq, struct now now)
{
	struct answer_share *share = &c->server->share;
	struct http_reply rp;

	if (!share->valid || rq->method != HTTP_GET || !str_eq(rq->target, buf_str(&share->target)))
		return false;
	c->server->stats.shared++;
	if (server_nothing_new(c->parked, &share->reply, share->hash)) {
		server_park(c->server, &c->parked, &share->reply, 0);
		return true;
	}
	if (share->blob == NULL && share->reply.body->n > SHARED_BODY_MIN)
		share->blob = blob_new(buf_str(share->reply.body));
	client_timed(c, c->parked->keep.route, c->parked->keep.began);
	rp = share->reply;
	rp.shared = share->blob;
	rp.packed = share->packed;
	server_gzip(c->server, rq, &rp);
	http_conn_reply(c->conn, now, &rp, rp.shared);
	server_unpark(c->server, &c->parked);
	return true;
}

/* The names of the scopes, which are the request's, are copied. */
static bool
share_reads(struct answer_share *share)
{
	struct http_reply *rp = &share->reply;
	size_t at = 0;

	buf_clear(&share->names);
	for (size_t i = 0; i < rp->read_count; i++)
		buf_add(&share->names, rp->reads[i].name);
	if (share->names.full)
		return false;
	for (size_t i = 0; i < rp->read_count; i++) {
		size_t n = rp->reads[i].name.n;

		rp->reads[i].name = str_mem(share->names.p + at, n);
		at += n;
	}
	return true;
}

static void
share_offer(struct http_server *s, const struct http_request *rq, const struct http_reply *rp,
    uint64_t hash)
{
	struct answer_share *share = &s->share;

	if (!s->in_wake || rq->method != HTTP_GET || rp->extra_count > 0 || rp->stream != NULL ||
	    rp->content_type == NULL || strcmp(rp->content_type, "application/json") != 0)
		return; /* headers and types may point into the request's arena */
	buf_clear(&share->target);
	buf_add(&share->target, rq->target);
	share->reply = *rp;
	share->reply.content_type = "application/json";
	share->reply.packed = NULL;
	share->hash = hash;
	share->blob = rp->shared != NULL ? blob_ref(rp->shared) : NULL;
	share->valid = !share->target.full && share_reads(share);
}

static void
client_answer(struct client *c, struct http_request *rq, struct now now, bool ended)
{
	nsec began = c->parked != NULL      ? c->parked->keep.began
		     : rq->keep.began != 0 ? rq->keep.began
					   : now.mono;
	struct http_server *s = c->server;
	bool rerun = c->parked != NULL && c->parked->ticket == 0;
	struct http_reply rp;
	struct dispatched d;
	uint64_t hash = 0;

	if (c->parked == NULL && rq->answer == NULL)
		s->stats.requests++;
	if (s->stopping)
		http_conn_stop(c->conn);
	if (rerun && !ended && share_answer(c, rq, now))
		return;
	server_share_forget(s);
	dispatch(http_routes, s->api, rq, &s->body, &rp, &d);
	s->wake_wanted = s->wake_wanted || d.changes;
	rp.keep.began = began;
	if (rq->route != NULL) /* else the answer was kept, with its route */
		rp.keep.route = rq->route;
	if (rerun)
		hash = answer_hash(&rp);
	if (!ended && !s->stopping &&
	    (d.hold || (rerun && server_nothing_new(c->parked, &rp, hash)))) {
		server_park(s, &c->parked, &rp, d.terms.until);
		c->parked->client = c;
		if (!d.hold)
			share_offer(s, rq, &rp, hash);
		return;
	}
	if (rp.later != 0 && server_may_hold(s, &rp)) {
		server_unpark(s, &c->parked);
		server_hold(s, &c->parked, &rp, now);
		c->parked->client = c;
		return;
	}
	if (rp.later != 0)
		reply_error(&rp, 429, "Too many requests wait for this agent");
	if (rp.status >= 400)
		s->stats.errors++;
	share_offer(s, rq, &rp, hash);
	client_timed(c, rp.keep.route, began);
	if (rp.stream != NULL)
		rp.stream->owner = c;
	server_gzip(s, rq, &rp);
	http_conn_reply(c->conn, now, &rp, rp.shared);
	server_unpark(s, &c->parked);
}

static ssize_t
client_write(struct client *c, const struct str *slices, size_t count)
{
	struct iovec iov[SLICES_MAX];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = count };

	if (c->tls != NULL)
		return client_tls_write(c, slices, count);
	if (count == 1) /* most answers; nothing to gather, and the cheaper call */
		return send(c->fd, slices[0].p, slices[0].n, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (size_t i = 0; i < count; i++) {
		/* iovec knows no const; the kernel only reads */
		iov[i].iov_base = (void *)(uintptr_t)slices[i].p;
		iov[i].iov_len = slices[i].n;
	}
	return sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends until all is gone or the socket is full: 1 all gone, 0 not, -1 the connection is dead. */
static int
client_send(struct client *c, struct now now)
{
	struct str slices[SLICES_MAX];
	size_t count;

	while ((count = http_conn_output(c->conn, slices, SLICES_MAX)) > 0) {
		size_t wanted = 0;
		ssize_t n = client_write(c, slices, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
		for (size_t i = 0; i < count; i++)
			wanted += slices[i].n;
		http_conn_sent(c->conn, now, (size_t)n);
		if ((size_t)n < wanted && c->tls == NULL) /* TLS sends a record at a time */
			return 0;
	}
	return 1;
}

/* Serves what is buffered; false: the connection is dead. */
static bool
client_serve(struct client *c, struct now now)
{
	struct http_request *rq;
	size_t served;
	int sent;

	do {
		served = 0;
		while (c->parked == NULL && (rq = http_conn_request(c->conn, now)) != NULL) {
			client_answer(c, rq, now, false);
			served++;
		}
		sent = client_send(c, now);
	} while (served > 0 && sent > 0 && c->parked == NULL);
	return sent >= 0;
}

static short
client_mask(const struct client *c)
{
	struct str slice;
	short mask = 0;

	if (client_tls_handshaking(c))
		return client_tls_mask(c);
	if (http_conn_wants_input(c->conn))
		mask |= EV_READ;
	else if (c->parked != NULL && c->server->early_close)
		mask |= EV_CLOSED;
	if (http_conn_output(c->conn, &slice, 1) > 0)
		mask |= EV_WRITE;
	if (c->tls != NULL && (mask & EV_READ) != 0)
		mask |= client_tls_mask(c);
	return mask;
}

void
client_watch(struct client *c)
{
	short mask = client_mask(c);

	if (mask == c->mask)
		return;
	if (c->mask != 0)
		event_del(&c->event);
	c->mask = mask;
	if (mask == 0)
		return;
	event_assign(
	    &c->event, c->server->base, c->fd, (short)(mask | EV_PERSIST), client_event, c);
	event_add(&c->event, NULL);
}

static nsec
client_deadline(const struct client *c)
{
	nsec deadline = http_conn_deadline(c->conn);

	if (client_tls_handshaking(c))
		return client_tls_deadline(c);
	return c->parked == NULL ? deadline : nsec_min(deadline, c->parked->until);
}

void
client_go_on(struct client *c, struct now now)
{
	bool begun = !client_tls_handshaking(c);

	if ((begun && !client_serve(c, now)) || http_conn_closed(c->conn)) {
		client_free(c);
		return;
	}
	if (begun && !c->shut && http_conn_half_closed(c->conn)) {
		if (c->tls != NULL)
			client_tls_shut(c);
		shutdown(c->fd, SHUT_WR);
		c->shut = true;
	}
	http_conn_settle(c->conn);
	client_watch(c);
	server_due_set(c, client_deadline(c));
}

void
client_rerun(struct client *c, struct now now, bool ended)
{
	struct http_request *rq = http_conn_request(c->conn, now);

	if (rq != NULL) {
		rq->woken = true;
		client_answer(c, rq, now, ended);
	}
	client_go_on(c, now);
}

void
client_resume(struct client *c, struct now now, const struct cluster_action *answer)
{
	struct http_request *rq = http_conn_request(c->conn, now);
	struct http_keep keep = server_unhold(c->server, &c->parked);

	if (rq != NULL) {
		rq->answer = answer;
		rq->keep = keep;
		client_answer(c, rq, now, false);
	}
	client_go_on(c, now);
}

void
client_finish(
    struct client *c, struct now now, int status, const char *content_type, struct str body)
{
	struct http_server *s = c->server;
	struct http_request *rq = http_conn_request(c->conn, now);
	struct http_keep keep = c->parked->keep;
	struct http_reply rp;

	server_unpark(c->server, &c->parked);
	if (s->stopping)
		http_conn_stop(c->conn);
	if (status >= 400)
		s->stats.errors++;
	if (rq != NULL) {
		server_share_forget(s);
		reply_init(&rp, &s->body, false);
		rp.status = status;
		rp.content_type = content_type;
		buf_add(rp.body, body);
		client_timed(c, keep.route, keep.began);
		http_conn_reply(c->conn, now, &rp, NULL);
	}
	client_go_on(c, now);
}

/* Whatever waits is answered without what it waited for. */
void
client_end_wait(struct client *c, struct now now, struct str why)
{
	if (c->parked->ticket == 0)
		client_rerun(c, now, true);
	else
		client_finish(c, now, 500, "text/plain; charset=utf-8", why);
}

void
client_expired(struct client *c, struct now now)
{
	if (client_deadline(c) > now.mono) {
		server_due_set(c, client_deadline(c));
	} else if (c->parked != NULL && c->parked->until <= now.mono) {
		client_end_wait(c, now, STR("The agent has not found an answer in time"));
	} else if (client_tls_handshaking(c)) {
		c->server->stats.timeouts++;
		c->server->stats.handshakes_bad++;
		client_free(c);
	} else {
		c->server->stats.timeouts++;
		http_conn_tick(c->conn, now);
		client_go_on(c, now);
	}
}

/* False: nothing can be read any more, and nobody is there to be told. */
static bool
client_read(struct client *c, struct now now)
{
	struct http_server *s = c->server;
	ssize_t n = c->tls != NULL
			? client_tls_read(c, s->read_bytes, sizeof s->read_bytes)
			: recv(c->fd, s->read_bytes, sizeof s->read_bytes, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
	if (n == 0 && c->parked != NULL)
		return false; /* a client that waits no more */
	if (n == 0)
		http_conn_eof(c->conn, now);
	else
		http_conn_input(c->conn, now, str_mem(s->read_bytes, (size_t)n));
	return true;
}

static void
client_event(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	struct http_server *s = c->server;
	struct now now = loop_now();
	bool readable = (what & EV_READ) != 0 ||
			(c->tls != NULL && (what & client_tls_mask(c)) != 0);

	(void)fd;
	server_turn_begin(s);
	if (client_tls_handshaking(c))
		client_tls_ready(c);
	else if ((what & EV_CLOSED) != 0 || (readable && !client_read(c, now)))
		client_free(c);
	else
		client_go_on(c, now);
	server_turn_end(s);
}

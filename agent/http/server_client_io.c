/* agent/http/server_client_io.c -- one client's socket: reading, answering, parking, sending.
 *
 * One read per event, one sendmsg() per reply. While a query is parked the socket is still
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

static void
client_unpark(struct client *c)
{
	struct http_server *s = c->server;

	if (c->parked == NULL)
		return;
	if (c->parked->ticket != 0) {
		server_ticket_drop(s, c->parked);
	} else {
		watch_cancel(store_watches(s->api->store), &c->parked->waiter);
		s->stats.parked--;
	}
	free(c->parked);
	c->parked = NULL;
}

void
client_free(struct client *c)
{
	struct http_server *s = c->server;

	client_unpark(c);
	server_due_clear(c);
	if (c->mask != 0)
		event_del(&c->event);
	if (c->peer != NULL)
		peer_leave(s, c->peer);
	if (c->refused)
		s->refused_now--;
	LIST_REMOVE(c, link);
	s->stats.connections--;
	http_conn_free(c->conn);
	close(c->fd);
	free(c);
}

/* Parks the query just answered "nothing new", on the scopes its handler has read. */
static void
client_park(struct client *c, const struct http_reply *rp, nsec until)
{
	struct http_server *s = c->server;

	if (c->parked == NULL) {
		c->parked = mem_new(struct parked);
		c->parked->client = c;
		c->parked->until = until;
		s->stats.parked++;
	}
	watch_wait(store_watches(s->api->store), &c->parked->waiter, rp->reads, rp->read_count);
}

/* Holds the request whose answer comes under a ticket. */
static void
client_hold(struct client *c, uint64_t ticket, nsec until)
{
	c->parked = mem_new(struct parked);
	c->parked->client = c;
	c->parked->until = until;
	c->parked->ticket = ticket;
	server_ticket_put(c->server, c->parked);
}

static void
share_forget(struct http_server *s)
{
	s->share.valid = false;
	blob_unref(s->share.blob);
	s->share.blob = NULL;
}

/* The reply that the last query of this wake got, when it asked for the same. */
static bool
share_reply(struct client *c, const struct http_request *rq, struct now now)
{
	struct answer_share *share = &c->server->share;

	if (!share->valid || rq->method != HTTP_GET || !str_eq(rq->target, buf_str(&share->target)))
		return false;
	if (share->blob == NULL && share->reply.body->n > SHARED_BODY_MIN)
		share->blob = blob_new(buf_str(share->reply.body));
	http_conn_reply(c->conn, now, &share->reply, share->blob);
	c->server->stats.shared++;
	return true;
}

static void
share_offer(struct http_server *s, const struct http_request *rq, const struct http_reply *rp)
{
	if (!s->in_wake || rq->method != HTTP_GET || rp->extra_count > 0 ||
	    rp->content_type == NULL || strcmp(rp->content_type, "application/json") != 0)
		return; /* headers and types may point into the request's arena */
	buf_clear(&s->share.target);
	buf_add(&s->share.target, rq->target);
	s->share.reply = *rp;
	s->share.reply.content_type = "application/json";
	s->share.valid = !s->share.target.full;
}

static void
client_answer(struct client *c, struct http_request *rq, struct now now, bool ended)
{
	struct http_server *s = c->server;
	struct http_reply rp;
	struct dispatched d;

	if (c->parked == NULL)
		s->stats.requests++;
	if (s->stopping)
		http_conn_stop(c->conn);
	if (c->parked != NULL && share_reply(c, rq, now)) {
		client_unpark(c);
		return;
	}
	share_forget(s);
	dispatch(http_routes, s->api, rq, &s->body, &rp, &d);
	s->wake_wanted = s->wake_wanted || d.changes;
	if (d.hold && !ended && !s->stopping) {
		client_park(c, &rp, d.terms.until);
		return;
	}
	if (rp.later != 0 && s->stats.held < HTTP_LATER_HELD_MAX) {
		client_unpark(c);
		client_hold(c, rp.later, now.mono + s->config.later_max);
		return;
	}
	if (rp.later != 0)
		reply_error(&rp, 429, "Too many requests wait for this agent");
	if (rp.status >= 400)
		s->stats.errors++;
	share_offer(s, rq, &rp);
	http_conn_reply(c->conn, now, &rp, NULL);
	client_unpark(c);
}

/* Sends until all is gone or the socket is full: 1 all gone, 0 not, -1 the connection is dead. */
static int
client_send(struct client *c, struct now now)
{
	struct str slices[SLICES_MAX];
	struct iovec iov[SLICES_MAX];
	size_t count;

	while ((count = http_conn_output(c->conn, slices, SLICES_MAX)) > 0) {
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = count };
		size_t wanted = 0;
		ssize_t n;

		for (size_t i = 0; i < count; i++) {
			/* iovec knows no const; the kernel only reads */
			iov[i].iov_base = (void *)(uintptr_t)slices[i].p;
			iov[i].iov_len = slices[i].n;
			wanted += slices[i].n;
		}
		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
		http_conn_sent(c->conn, now, (size_t)n);
		if ((size_t)n < wanted)
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

	if (http_conn_wants_input(c->conn))
		mask |= EV_READ;
	else if (c->parked != NULL && c->server->early_close)
		mask |= EV_CLOSED;
	if (http_conn_output(c->conn, &slice, 1) > 0)
		mask |= EV_WRITE;
	return mask;
}

static void
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

	return c->parked == NULL ? deadline : nsec_min(deadline, c->parked->until);
}

void
client_go_on(struct client *c, struct now now)
{
	if (!client_serve(c, now) || http_conn_closed(c->conn)) {
		client_free(c);
		return;
	}
	if (!c->shut && http_conn_half_closed(c->conn)) {
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

	if (rq != NULL)
		client_answer(c, rq, now, ended);
	client_go_on(c, now);
}

void
client_finish(
    struct client *c, struct now now, int status, const char *content_type, struct str body)
{
	struct http_server *s = c->server;
	struct http_request *rq = http_conn_request(c->conn, now);
	struct http_reply rp;

	client_unpark(c);
	if (s->stopping)
		http_conn_stop(c->conn);
	if (status >= 400)
		s->stats.errors++;
	if (rq != NULL) {
		share_forget(s);
		reply_init(&rp, &s->body, false);
		rp.status = status;
		rp.content_type = content_type;
		buf_add(rp.body, body);
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
	ssize_t n = recv(c->fd, s->read_bytes, sizeof s->read_bytes, MSG_DONTWAIT);

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

	(void)fd;
	server_turn_begin(s);
	if ((what & EV_CLOSED) != 0 || ((what & EV_READ) != 0 && !client_read(c, now)))
		client_free(c);
	else
		client_go_on(c, now);
	server_turn_end(s);
}

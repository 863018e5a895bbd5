/* agent/http/server_io.c -- the server: its turns, deadlines, wakes and its end.
 *
 * Answers that were put off are queued as they come and given at the end of a turn, since they
 * may come before the handler that waits for them has returned.
 *
 * Deadlines: a tree of clients by the moment they are due, and one timer for the first of them.
 * A deadline that moves away is not moved in the tree (that would cost on every request); when
 * the old one comes the client is put back with its real one.
 */
#include "agent/http/server_private.h"

#include <assert.h>
#include <stddef.h>
#include <unistd.h>

#include "agent/http/gzip.h"
#include "base/log.h"
#include "base/mem.h"

#define BODY_BYTES_MAX (512 * 1024 * 1024) /* one answer; 50,000 instances take some 50 MB */
#define BODY_KEEP_MAX (256 * 1024)         /* room kept between answers */

static int
client_cmp(const struct client *a, const struct client *b)
{
	if (a->due != b->due)
		return a->due < b->due ? -1 : 1;
	return (uintptr_t)a < (uintptr_t)b ? -1 : (uintptr_t)a > (uintptr_t)b;
}

RB_GENERATE_INTERNAL(client_tree, client, due_link, client_cmp, static __attribute__((unused)))

void
server_due_clear(struct client *c)
{
	if (c->timed)
		RB_REMOVE(client_tree, &c->server->due, c);
	c->timed = false;
}

void
server_due_set(struct client *c, nsec deadline)
{
	if (c->timed && c->due <= deadline)
		return;
	server_due_clear(c);
	if (deadline == NSEC_NEVER)
		return;
	c->due = deadline;
	c->timed = true;
	RB_INSERT(client_tree, &c->server->due, c);
}

static void
server_timer_arm(struct http_server *s)
{
	struct client *first = RB_MIN(client_tree, &s->due);
	nsec due = first == NULL ? NSEC_NEVER : first->due;

	loop_timer_arm(s->timer, nsec_min(due, server_carried_deadline(s)));
}

void
server_share_forget(struct http_server *s)
{
	s->share.valid = false;
	blob_unref(s->share.blob);
	blob_unref(s->share.packed);
	s->share.blob = s->share.packed = NULL;
}

static void
wake_run(struct http_server *s)
{
	struct watches *watches = store_watches(s->api->store);
	struct waiter *w = watch_ready_next(watches);
	struct now now;

	if (w == NULL)
		return; /* mostly: a clock costs more than that */
	now = loop_now();
	s->in_wake = true;
	for (; w != NULL; w = watch_ready_next(watches)) {
		char *at = (char *)w - offsetof(struct parked, waiter);
		struct parked *p = (void *)at;

		s->stats.woken++;
		if (p->carried != NULL)
			carried_rerun(s, p->carried, now, false);
		else
			client_rerun(p->client, now, false);
	}
	s->in_wake = false;
	server_share_forget(s);
}

static void
finish_run(struct http_server *s)
{
	struct finished *f = STAILQ_FIRST(&s->finished);
	struct now now;

	if (f == NULL)
		return;
	now = loop_now();
	for (; f != NULL; f = STAILQ_FIRST(&s->finished)) {
		struct parked *p = server_ticket_find(s, f->ticket);

		STAILQ_REMOVE_HEAD(&s->finished, link);
		if (p != NULL && p->client != NULL)
			client_finish(
			    p->client, now, f->status, f->content_type, str_mem(f->body, f->n));
		free(f);
	}
}

void
server_turn_begin(struct http_server *s)
{
	assert(!s->in_turn);
	s->in_turn = true;
}

void
server_turn_end(struct http_server *s)
{
	while (s->wake_wanted || !STAILQ_EMPTY(&s->finished)) {
		finish_run(s);
		if (!s->wake_wanted)
			continue;
		s->wake_wanted = false;
		wake_run(s);
	}
	s->in_turn = false;
	if (s->body.room > BODY_KEEP_MAX)
		buf_done(&s->body);
	if (s->packed.room > BODY_KEEP_MAX)
		buf_done(&s->packed);
	server_timer_arm(s);
}

void
http_server_wake(struct http_server *s)
{
	s->wake_wanted = true;
	if (s->in_turn)
		return; /* from within a handler: when it is done */
	server_turn_begin(s);
	server_turn_end(s);
}

void
http_server_finish(struct http_server *s, uint64_t ticket, const struct http_reply *rp)
{
	struct str body = buf_str(rp->body);
	struct finished *f = mem_zalloc(sizeof *f + body.n);

	f->ticket = ticket;
	f->status = rp->status;
	f->content_type = rp->content_type;
	f->n = body.n;
	if (body.n > 0)
		memcpy(f->body, body.p, body.n);
	STAILQ_INSERT_TAIL(&s->finished, f, link);
	if (s->in_turn)
		return; /* the handler of this ticket may not be done yet */
	server_turn_begin(s);
	server_turn_end(s);
}

void
http_server_resume(struct http_server *s, struct now now, const struct cluster_action *answer)
{
	struct parked *p = server_ticket_find(s, answer->request | HTTP_TICKET_CLUSTER);

	if (p == NULL)
		return;
	server_turn_begin(s);
	if (p->carried != NULL)
		carried_resume(s, p->carried, now, answer);
	else
		client_resume(p->client, now, answer);
	server_turn_end(s);
}

void
http_server_stream_kick(struct http_server *s, struct http_stream *stream)
{
	if (stream->owner == NULL)
		return; /* its request is still being answered */
	server_turn_begin(s);
	client_go_on(stream->owner, loop_now());
	server_turn_end(s);
}

static void
server_due(void *arg)
{
	struct http_server *s = arg;
	struct now now = loop_now();
	struct client *c;

	server_turn_begin(s);
	while ((c = RB_MIN(client_tree, &s->due)) != NULL && c->due <= now.mono) {
		server_due_clear(c);
		client_expired(c, now);
	}
	server_carried_due(s, now);
	server_turn_end(s);
}

int
http_server_new(struct event_base *base, struct api *api, const struct http_server_config *config,
    const struct listen_at *listen, size_t count, struct http_server **out, struct err *err)
{
	struct http_server *s = mem_new(struct http_server);
	int rc;

	s->base = base;
	s->api = api;
	s->config = *config;
	if (s->config.later_max == 0)
		s->config.later_max = HTTP_LATER_MAX;
	if (s->config.handshake_max == 0)
		s->config.handshake_max = HTTP_HANDSHAKE_MAX;
	http_server_tls(s, config->tls);
	s->spare_fd = -1;
	s->work = http_work_new(
	    &config->limits, http_routes, config->response_headers, config->response_header_count);
	s->timer = loop_timer_new(base, server_due, s);
	s->resume = loop_timer_new(base, server_accept_resume, s);
	s->handshake_timer = loop_timer_new(base, server_handshakes, s);
	s->early_close = (event_base_get_features(base) & EV_FEATURE_EARLY_CLOSE) != 0;
	LIST_INIT(&s->clients);
	RB_INIT(&s->due);
	RB_INIT(&s->peers);
	RB_INIT(&s->tickets);
	RB_INIT(&s->carried);
	RB_INIT(&s->carried_due);
	TAILQ_INIT(&s->handshakes);
	TAILQ_INIT(&s->handshakes_ready);
	STAILQ_INIT(&s->finished);
	spare_init(&s->spare_parked, sizeof(struct parked), PARKED_KEPT);
	buf_init(&s->body, BODY_BYTES_MAX);
	buf_init(&s->share.target, config->limits.head_max);
	buf_init(&s->packed, GZIP_BYTES_MAX);
	buf_init(&s->share.names, config->limits.head_max);
	rc = server_listen(s, listen, count, err);
	if (rc != 0) {
		http_server_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

bool
http_server_address(const struct http_server *s, size_t n, struct addr *out)
{
	if (n >= s->listener_count)
		return false;
	*out = s->listeners[n].at.addr;
	return true;
}

void
http_server_tls(struct http_server *s, struct ssl_ctx_st *tls)
{
	struct ssl_ctx_st *old = s->tls;

	s->tls = tls_ref(tls);
	tls_unref(old);
}

bool
http_server_stopping(struct http_server *s)
{
	struct now now = loop_now();
	struct client *c, *next;

	if (s->stopping)
		return !LIST_EMPTY(&s->clients);
	s->stopping = true;
	server_listeners_close(s);
	server_turn_begin(s);
	for (c = LIST_FIRST(&s->clients); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		http_conn_stop(c->conn);
		if (c->parked != NULL)
			client_end_wait(c, now, STR("The agent is stopping"));
		else
			client_go_on(c, now);
	}
	server_carried_stop(s, now);
	server_turn_end(s);
	return !LIST_EMPTY(&s->clients);
}

void
http_server_free(struct http_server *s)
{
	struct finished *f;
	struct client *c;

	if (s == NULL)
		return;
	server_listeners_close(s);
	while ((c = LIST_FIRST(&s->clients)) != NULL)
		client_free(c);
	server_carried_free(s);
	while ((f = STAILQ_FIRST(&s->finished)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->finished, link);
		free(f);
	}
	server_share_forget(s);
	spare_done(&s->spare_parked);
	gzip_free(s->gzip);
	buf_done(&s->packed);
	buf_done(&s->share.target);
	buf_done(&s->share.names);
	buf_done(&s->body);
	loop_timer_free(s->timer);
	loop_timer_free(s->resume);
	loop_timer_free(s->handshake_timer);
	tls_unref(s->tls);
	http_work_free(s->work);
	free(s->listeners);
	free(s);
}

struct http_server_stats
http_server_stats(const struct http_server *s)
{
	return s->stats;
}

/* agent/http/server_carry.c -- requests of other agents, run as if their clients were here.
 *
 * Its bytes are all that is kept of one while it waits; it is read anew whenever it runs.
 */
#include "agent/http/server_private.h"

#include <stdlib.h>

#include "agent/http/carry.h"
#include "agent/http/carry_records.h"
#include "agent/http/dispatch.h"
#include "base/mem.h"

#define CARRY_ARENA_MAX HTTP_LARGE_BYTES_MAX

struct carry_room {
	struct http_request request;
	struct http_header params[HTTP_QUERY_PARAMS_MAX];
	struct arena arena;
};

static int
carried_cmp(const struct carried *a, const struct carried *b)
{
	return a->request < b->request ? -1 : a->request > b->request;
}

static int
carried_due_cmp(const struct carried *a, const struct carried *b)
{
	if (a->due != b->due)
		return a->due < b->due ? -1 : 1;
	return carried_cmp(a, b);
}

RB_GENERATE_INTERNAL(carried_tree, carried, link, carried_cmp, static __attribute__((unused)))
RB_GENERATE_INTERNAL(
    carried_due_tree, carried, due_link, carried_due_cmp, static __attribute__((unused)))

static void
carried_due_clear(struct http_server *s, struct carried *c)
{
	if (c->timed)
		RB_REMOVE(carried_due_tree, &s->carried_due, c);
	c->timed = false;
}

static void
carried_due_set(struct http_server *s, struct carried *c)
{
	if (c->timed && c->due == c->parked->until)
		return;
	carried_due_clear(s, c);
	c->due = c->parked->until;
	c->timed = true;
	RB_INSERT(carried_due_tree, &s->carried_due, c);
}

static void
carried_free(struct http_server *s, struct carried *c)
{
	server_unpark(s, &c->parked);
	carried_due_clear(s, c);
	RB_REMOVE(carried_tree, &s->carried, c);
	s->stats.carried--;
	free(c);
}

/* What goes out in pieces elsewhere is carried whole, or not at all. */
static void
carried_collect(struct http_reply *rp)
{
	struct http_stream *stream = rp->stream;

	if (stream == NULL)
		return;
	rp->stream = NULL;
	while (stream->next(stream, HTTP_STREAM_WANT, rp->body) && rp->body->n <= CLUSTER_HTTP_MAX)
		;
	stream->free(stream);
	if (rp->body->full || rp->body->n > CLUSTER_HTTP_MAX)
		reply_error(rp, 500, "The answer is over %d MiB: ask a server for it",
		    CLUSTER_HTTP_MAX >> 20);
}

/* The request's bytes are read again: what was read of them is gone by now. */
static struct str
carried_records(const struct http_server *s, const struct carried *c, struct buf *out)
{
	struct http_request rq = { 0 };

	if (carry_request_read(str_mem(c->bytes, c->n), &rq, NULL) != 0)
		return STR_NONE;
	return carry_records_for(s->api->store, &rq, out);
}

/* Gives the answer, and is done with it. */
static void
carried_served(struct http_server *s, struct carried *c, struct now now, struct http_reply *rp)
{
	struct buf bytes, records;

	carried_collect(rp);
	buf_init(&bytes, CLUSTER_HTTP_MAX);
	buf_init(&records, CARRY_RECORDS_MAX + 4096);
	carry_answer_write(&bytes, rp, carried_records(s, c, &records));
	buf_done(&records);
	if (bytes.full) {
		struct http_reply error;
		struct buf body;

		buf_init(&body, 1024);
		reply_init(&error, &body, false);
		reply_error(&error, 500, "The answer is too large to be carried");
		buf_clear(&bytes);
		carry_answer_write(&bytes, &error, STR_NONE);
		buf_done(&body);
	}
	if (rp->status >= 400)
		s->stats.errors++;
	cluster_served(s->api->cluster, now, c->request, buf_str(&bytes));
	buf_done(&bytes);
	carried_free(s, c);
	if (s->api->changed != NULL)
		s->api->changed(s->api->changed_arg); /* the answer is to be sent */
}

/* The request as it came; NULL with an error reply when it is none. */
static struct http_request *
carried_request(
    struct http_server *s, const struct carried *c, struct now now, struct http_reply *rp)
{
	struct carry_room *room = s->carry_room;
	struct err err = { 0 };

	if (room == NULL) {
		room = s->carry_room = mem_new(struct carry_room);
		arena_init(&room->arena, CARRY_ARENA_MAX);
	}
	arena_reset(&room->arena);
	room->request =
	    (struct http_request){ .params = room->params, .arena = &room->arena, .now = now };
	if (carry_request_read(str_mem(c->bytes, c->n), &room->request, &err) == 0 &&
	    request_params_read(&room->request))
		return &room->request;
	reply_init(rp, &s->body, false);
	reply_error(rp, 400, "%s", err.code != 0 ? err.text : "too many query parameters");
	return NULL;
}

static void
carried_run(
    struct http_server *s, struct carried *c, struct now now, struct http_request *rq, bool ended)
{
	struct dispatched d;
	struct http_reply rp;

	server_share_forget(s);
	dispatch(http_routes, s->api, rq, &s->body, &rp, &d);
	s->wake_wanted = s->wake_wanted || d.changes;
	if (d.hold && !ended && !s->stopping) {
		server_park(s, &c->parked, &rp, d.terms.until);
	} else if (rp.later != 0 && server_may_hold(s, &rp)) {
		server_unpark(s, &c->parked);
		server_hold(s, &c->parked, &rp, now);
	} else {
		if (rp.later != 0)
			reply_error(&rp, 429, "Too many requests wait for this agent");
		carried_served(s, c, now, &rp);
		return;
	}
	c->parked->carried = c;
	carried_due_set(s, c);
}

void
http_server_carry(struct http_server *s, struct now now, uint64_t request, struct str bytes)
{
	struct carried *c = mem_zalloc(sizeof *c + bytes.n);
	struct http_request *rq;
	struct http_reply rp;

	c->request = request;
	c->n = bytes.n;
	if (bytes.n > 0)
		memcpy(c->bytes, bytes.p, bytes.n);
	if (RB_INSERT(carried_tree, &s->carried, c) != NULL) {
		free(c); /* it is here already */
		return;
	}
	s->stats.carried++;
	s->stats.requests++;
	server_turn_begin(s);
	rq = carried_request(s, c, now, &rp);
	if (rq != NULL)
		carried_run(s, c, now, rq, false);
	else
		carried_served(s, c, now, &rp);
	server_turn_end(s);
}

void
http_server_carry_drop(struct http_server *s, uint64_t request)
{
	struct carried key = { .request = request };
	struct carried *found = RB_FIND(carried_tree, &s->carried, &key);

	if (found != NULL)
		carried_free(s, found);
}

void
carried_rerun(struct http_server *s, struct carried *c, struct now now, bool ended)
{
	struct http_reply rp;
	struct http_request *rq = carried_request(s, c, now, &rp);

	if (rq == NULL) {
		carried_served(s, c, now, &rp);
		return;
	}
	rq->woken = true;
	carried_run(s, c, now, rq, ended);
}

void
carried_resume(
    struct http_server *s, struct carried *c, struct now now, const struct cluster_action *answer)
{
	struct http_keep keep = server_unhold(s, &c->parked);
	struct http_reply rp;
	struct http_request *rq = carried_request(s, c, now, &rp);

	if (rq == NULL) {
		carried_served(s, c, now, &rp);
		return;
	}
	rq->answer = answer;
	rq->keep = keep;
	carried_run(s, c, now, rq, false);
}

/* Whatever it waits for is not waited for any longer. */
static void
carried_end(struct http_server *s, struct carried *c, struct now now, const char *why)
{
	struct http_reply rp;

	if (c->parked->ticket == 0) {
		carried_rerun(s, c, now, true);
		return;
	}
	server_share_forget(s);
	reply_init(&rp, &s->body, false);
	reply_error(&rp, 500, "%s", why);
	carried_served(s, c, now, &rp);
}

nsec
server_carried_deadline(const struct http_server *s)
{
	struct carried_due_tree *tree = (struct carried_due_tree *)(uintptr_t)&s->carried_due;
	const struct carried *first = RB_MIN(carried_due_tree, tree);

	return first == NULL ? NSEC_NEVER : first->due;
}

void
server_carried_due(struct http_server *s, struct now now)
{
	struct carried *c;

	while ((c = RB_MIN(carried_due_tree, &s->carried_due)) != NULL && c->due <= now.mono)
		carried_end(s, c, now, "The agent has not found an answer in time");
}

void
server_carried_stop(struct http_server *s, struct now now)
{
	struct carried *c;

	while ((c = RB_MIN(carried_tree, &s->carried)) != NULL)
		carried_end(s, c, now, "The agent is stopping");
}

void
server_carried_free(struct http_server *s)
{
	struct carried *c;

	while ((c = RB_MIN(carried_tree, &s->carried)) != NULL)
		carried_free(s, c);
	if (s->carry_room != NULL)
		arena_done(&s->carry_room->arena);
	free(s->carry_room);
}

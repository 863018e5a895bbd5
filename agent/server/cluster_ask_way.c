/* agent/server/cluster_ask_way.c -- a request's way: to the leader wherever it is, again to the
 * next one where that is allowed, and back. Who the leader is, an agent without a copy asks.
 */
#include "agent/server/cluster_ask_priv.h"

#define ASK_DOUBT NSEC_SEC                /* without a reply for so long: is it still the leader? */
#define ASK_OVERDUE (2 * NSEC_SEC)        /* then it is sent again */
#define ASK_CARRIED_AGAIN (30 * NSEC_SEC) /* the server may have taken our connection for lost */
#define ASK_WHO_IDLE (30 * NSEC_SEC)      /* who the leader is, when nothing is asked */

static bool
write_in_window(const struct cluster *c, const struct cluster_ask *a)
{
	const struct cluster_ask *oldest = TAILQ_FIRST(&c->writes);

	return a->write - oldest->write < FSM_WINDOW;
}

static void
ask_lead(struct cluster *c, struct cluster_ask *a)
{
	struct err err;
	int code;

	if (!c->leading)
		return;
	err_none(&err);
	code = cluster_lead(c, a->number, a->call, &c->config.self, buf_str(&a->bytes), &err);
	switch (code) {
	case 0:
		ask_move(c, a, ASK_LOCAL);
		return;
	case ERR_REFUSED:
	case ERR_CONFLICT:
	case ERR_STATE:
		ask_again(c, a, false);
		return;
	case ERR_LIMIT:
	case ERR_MEMORY:
		ask_end(c, a, ERR_LIMIT, 0, str_of(err.text));
		return;
	case ERR_IO:
		ask_end(c, a, ERR_STATE, 0, str_of(err.text));
		return;
	default:
		ask_end(c, a, ERR_INPUT, 0, str_of(err.text));
	}
}

/* Reads that come before a call for one has left share it. */
static bool
ask_joins(const struct cluster *c, const struct cluster_ask *a)
{
	return a->call == CALL_READ && c->round_note != NULL &&
	       uuid_eq(&c->round_note->act.agent, &a->to);
}

static void
ask_send(struct cluster *c, struct cluster_ask *a, const struct uuid *to)
{
	a->to = *to;
	a->sent = c->turn.mono;
	ask_move(c, a, ASK_SENT);
	a->round = ask_joins(c, a) ? c->round : a->number;
	if (a->round != a->number)
		return;
	cluster_send(c, to,
	    &(struct cluster_wire){
		.kind = WIRE_CALL,
		.number = a->number,
		.call = a->call,
		.seen = c->index_seen,
		.rest = buf_str(&a->bytes),
	    });
	if (a->call != CALL_READ)
		return;
	c->round_note = TAILQ_LAST(&c->notes, cluster_notes);
	c->round = a->number;
}

/* The next server after the one asked last, round and round. */
static struct cluster_peer *
server_next(struct cluster *c)
{
	struct cluster_peer key = { .m = { .agent = c->who } }, *p, *from;

	from = RB_NFIND(cluster_peers, &c->peers, &key);
	if (from != NULL && uuid_eq(&from->m.agent, &c->who))
		from = RB_NEXT(cluster_peers, &c->peers, from);
	for (int round = 0; round < 2; round++) {
		for (p = round == 0 ? from : RB_MIN(cluster_peers, &c->peers); p != NULL;
		     p = RB_NEXT(cluster_peers, &c->peers, p))
			if (cluster_server_usable(p) && !uuid_zero(&p->m.cluster) &&
			    !uuid_eq(&p->m.agent, &c->config.self)) {
				c->who = p->m.agent;
				return p;
			}
	}
	return NULL;
}

void
ask_dispatch(struct cluster *c, struct cluster_ask *a)
{
	const struct cluster_peer *p;

	if (a->write != 0 && !write_in_window(c, a))
		return;
	if (c->leader_known && uuid_eq(&c->leader, &c->config.self)) {
		ask_lead(c, a);
		return;
	}
	if (c->leader_known && (a->call != CALL_HTTP || !a->unsure)) {
		ask_send(c, a, &c->leader);
		return;
	}
	if (a->call != CALL_HTTP) /* any server has something to show, be it old */
		return;
	p = server_next(c);
	if (p != NULL)
		ask_send(c, a, &p->m.agent);
}

void
cluster_ask_pump(struct cluster *c)
{
	struct cluster_ask *a, *next;
	struct cluster_ask_list all;

	c->pump = false;
	/* what comes back to the list meanwhile has its turn later */
	TAILQ_INIT(&all);
	TAILQ_CONCAT(&all, &c->waiting, link);
	for (a = TAILQ_FIRST(&all); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		TAILQ_REMOVE(&all, a, link);
		TAILQ_INSERT_TAIL(&c->waiting, a, link);
		ask_dispatch(c, a);
	}
	if (!TAILQ_EMPTY(&c->waiting) && c->retry_at == 0)
		c->retry_at = c->turn.mono + ASK_RETRY;
}

/* ---- what comes back ---- */

bool
cluster_ask_answer(struct cluster *c, const struct raft_core_action *r)
{
	struct cluster_ask *a = ask_find(c, r->request);
	struct uuid session = { { 0 } };
	struct str bytes;
	uint64_t index;

	if (a == NULL || a->state != ASK_LOCAL)
		return a != NULL;
	switch (r->code) {
	case 0:
		if (a->call == CALL_RENEW)
			memcpy(session.b, a->bytes.p, sizeof session.b);
		bytes = cluster_lead_done(c, a->call, &session, r, &index);
		ask_decided(c, a, index, bytes);
		break;
	case ERR_REFUSED:
	case ERR_CONFLICT:
		ask_again(c, a, false);
		break;
	case ERR_STATE:
		ask_again(c, a, true);
		break;
	case ERR_LIMIT:
	case ERR_MEMORY:
		ask_end(c, a, ERR_LIMIT, 0, r->bytes);
		break;
	default:
		ask_end(c, a, ERR_INPUT, 0, r->bytes);
		break;
	}
	return true;
}

static void
ask_replied(struct cluster *c, struct cluster_ask *a, const struct cluster_wire *m)
{
	switch (m->status) {
	case REPLY_OK:
		if (a->call == CALL_HTTP)
			ask_end(c, a, 0, m->index, m->rest);
		else
			ask_decided(c, a, m->index, m->rest);
		break;
	case REPLY_REFUSED:
		ask_again(c, a, a->call == CALL_HTTP); /* another server next time */
		break;
	case REPLY_UNSURE:
		ask_again(c, a, true);
		break;
	case REPLY_LIMIT:
		ask_end(c, a, ERR_LIMIT, 0, STR("too many requests wait at the leader"));
		break;
	case REPLY_INPUT:
		ask_end(c, a, ERR_INPUT, 0, m->rest);
		break;
	case REPLY_FAILED:
		ask_end(c, a, ERR_STATE, 0, m->rest);
		break;
	}
}

static void
asked_lost(struct cluster *c, struct cluster_ask_list *list, const struct uuid *agent)
{
	struct cluster_ask *a, *next;

	for (a = TAILQ_FIRST(list); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (uuid_eq(&a->to, agent))
			ask_unsure(c, a);
	}
}

/* Who asked first may have gone; the others of its round wait still. */
static void
round_replied(struct cluster *c, const struct uuid *from, const struct cluster_wire *m)
{
	struct cluster_ask *a, *next;

	for (a = TAILQ_FIRST(&c->sent); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->call == CALL_READ && a->round == m->number && uuid_eq(&a->to, from))
			ask_replied(c, a, m);
	}
}

void
cluster_ask_reply(struct cluster *c, const struct uuid *from, const struct cluster_wire *m)
{
	struct cluster_ask *a = ask_find(c, m->number);

	if (a == NULL || a->call == CALL_READ)
		round_replied(c, from, m);
	else if (a->state == ASK_SENT && uuid_eq(&a->to, from))
		ask_replied(c, a, m);
}

void
cluster_ask_lost(struct cluster *c, const struct uuid *agent)
{
	asked_lost(c, &c->sent, agent);
	asked_lost(c, &c->carried, agent);
	if (!c->config.server && c->leader_known && uuid_eq(&c->leader, agent)) {
		cluster_leader_set(c, false, NULL);
		c->who_at = 0;
	}
}

void
cluster_ask_local_lost(struct cluster *c)
{
	struct cluster_ask *a;

	while ((a = TAILQ_FIRST(&c->local)) != NULL)
		ask_again(c, a, true);
}

void
cluster_ask_local_fail(struct cluster *c, struct str why)
{
	struct cluster_ask *a, *next;

	for (a = TAILQ_FIRST(&c->local); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (a->call != CALL_WRITE)
			continue;
		raft_core_forget(c->raft, a->number);
		ask_end(c, a, ERR_STATE, 0, why);
	}
}

/* What was sent to who leads no more goes to who does. */
void
cluster_ask_led(struct cluster *c)
{
	struct cluster_ask *a, *next;

	for (a = TAILQ_FIRST(&c->sent); c->leader_known && a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (!uuid_eq(&a->to, &c->leader))
			ask_again(c, a, true);
	}
	c->pump = true;
}

/* ---- time ---- */

/* An agent without a copy does not hear of elections: it asks. */
static nsec
who_moment(const struct cluster *c)
{
	const struct cluster_ask *oldest = TAILQ_FIRST(&c->sent);
	bool doubt = oldest != NULL && c->turn.mono - oldest->sent >= ASK_DOUBT;

	if (c->config.server || c->peer_count == 0)
		return NSEC_NEVER;
	if (!TAILQ_EMPTY(&c->waiting))
		return c->who_at + ASK_RETRY;
	if (doubt || !c->leader_known)
		return c->who_at + ASK_DOUBT;
	if (oldest != NULL)
		return nsec_min(oldest->sent + ASK_DOUBT, c->who_at + ASK_WHO_IDLE);
	return c->who_at + ASK_WHO_IDLE;
}

static void
who_ask(struct cluster *c)
{
	const struct cluster_peer *p;
	bool calm = c->leader_known && TAILQ_EMPTY(&c->waiting) && TAILQ_EMPTY(&c->sent);

	if (who_moment(c) > c->turn.mono)
		return;
	c->who_at = c->turn.mono;
	p = calm ? cluster_peer_find(c, &c->leader) : NULL; /* one connection for who is idle */
	if (p == NULL)
		p = server_next(c);
	if (p != NULL)
		cluster_send(c, &p->m.agent, &(struct cluster_wire){ .kind = WIRE_WHO });
}

/* A call whose reply is overdue goes out once more: its number makes it the same one. Lists are
 * in the order of sending. */
static void
sent_again(struct cluster *c)
{
	struct cluster_ask *a;
	struct uuid to;

	while ((a = TAILQ_FIRST(&c->sent)) != NULL && c->turn.mono - a->sent >= ASK_OVERDUE)
		ask_again(c, a, true);
	while (
	    (a = TAILQ_FIRST(&c->carried)) != NULL && c->turn.mono - a->sent >= ASK_CARRIED_AGAIN) {
		to = a->to;
		if (a->repeatable)
			ask_send(c, a, &to);
		else
			ask_move(c, a, ASK_SENT); /* behind the others; it is not sent */
		a->sent = c->turn.mono;
	}
}

void
cluster_ask_tick(struct cluster *c)
{
	struct cluster_ask *a;

	while ((a = ask_first_due(c)) != NULL && a->due <= c->turn.mono) {
		if (a->state == ASK_LOCAL && c->raft != NULL)
			raft_core_forget(c->raft, a->number);
		a->unsure = a->unsure || a->state != ASK_WAITING;
		ask_fail(c, a);
	}
	sent_again(c);
	who_ask(c);
	if (c->retry_at != 0 && c->retry_at <= c->turn.mono) {
		c->retry_at = 0;
		c->pump = c->pump || !TAILQ_EMPTY(&c->waiting);
	}
}

nsec
cluster_ask_deadline(const struct cluster *c)
{
	struct cluster_ask *a = ask_first_due(c);
	nsec due = a == NULL ? NSEC_NEVER : a->due;

	if (c->retry_at != 0)
		due = nsec_min(due, c->retry_at);
	if ((a = TAILQ_FIRST(&c->sent)) != NULL)
		due = nsec_min(due, a->sent + ASK_OVERDUE);
	if ((a = TAILQ_FIRST(&c->carried)) != NULL)
		due = nsec_min(due, a->sent + ASK_CARRIED_AGAIN);
	return nsec_min(due, who_moment(c));
}

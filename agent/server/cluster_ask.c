/* agent/server/cluster_ask.c -- requests of this agent: taken to the leader wherever it is, again to the
 * next one where that is allowed, answered once (RULES 10, 11).
 *
 * A request waits for a leader up to ASK_HOLD, as Consul's rpc_hold_timeout lets it ride out a
 * change of leaders; then the client hears that there is none. A write keeps its number however
 * often it is sent, and the state machine does it once. No more than FSM_WINDOW numbers are on
 * their way, counted from the oldest without an answer, so each repeat is still known there.
 *
 * Parts: the table; ends; taking it to the leader; what comes back; time; requests.
 */
#include <stdlib.h>

#include "agent/server/cluster_priv.h"
#include "base/cursor.h"
#include "base/mem.h"

#define ASK_HOLD (5 * NSEC_SEC)           /* without a leader */
#define ASK_PATIENCE (10 * NSEC_SEC)      /* with one, in all */
#define ASK_HTTP_PATIENCE (11 * NSEC_MIN) /* a blocking query waits 10 minutes and a sixteenth */
#define ASK_RETRY (100 * NSEC_MS)
#define ASK_DOUBT NSEC_SEC                /* without a reply for so long: is it still the leader? */
#define ASK_OVERDUE (2 * NSEC_SEC)        /* then it is sent again */
#define ASK_CARRIED_AGAIN (30 * NSEC_SEC) /* the server may have taken our connection for lost */
#define ASK_WHO_IDLE (30 * NSEC_SEC)      /* who the leader is, when nothing is asked */
#define ASK_LOST_TEXT "raft apply failed: leadership lost while committing log" /* Consul's */

/* The table. */

static int
number_cmp(const struct cluster_ask *a, const struct cluster_ask *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}

static int
due_cmp(const struct cluster_ask *a, const struct cluster_ask *b)
{
	return a->due != b->due ? (a->due < b->due ? -1 : 1) : number_cmp(a, b);
}

RB_GENERATE_INTERNAL(
    cluster_asks, cluster_ask, by_number, number_cmp, static __attribute__((unused)))
RB_GENERATE_INTERNAL(cluster_dues, cluster_ask, by_due, due_cmp, static __attribute__((unused)))

static struct cluster_ask *
ask_find(const struct cluster *c, uint64_t number)
{
	struct cluster_ask key = { .number = number };

	return RB_FIND(cluster_asks, (struct cluster_asks *)(uintptr_t)&c->asks, &key);
}

/* Carried requests may be many, and are long on their way: they have a list of their own. */
static struct cluster_ask_list *
ask_list(struct cluster *c, const struct cluster_ask *a)
{
	switch (a->state) {
	case ASK_WAITING:
		return &c->waiting;
	case ASK_LOCAL:
		return &c->local;
	case ASK_SENT:
		return a->call == CALL_HTTP ? &c->carried : &c->sent;
	case ASK_APPLYING:
		break;
	}
	return &c->applying;
}

static void
ask_due(struct cluster *c, struct cluster_ask *a, nsec due)
{
	RB_REMOVE(cluster_dues, &c->dues, a);
	a->due = due;
	RB_INSERT(cluster_dues, &c->dues, a);
}

static void
ask_move(struct cluster *c, struct cluster_ask *a, enum ask_state state)
{
	bool slow = a->call == CALL_HTTP && state == ASK_SENT;
	nsec hold = state == ASK_WAITING ? ASK_HOLD : slow ? ASK_HTTP_PATIENCE : ASK_PATIENCE;

	TAILQ_REMOVE(ask_list(c, a), a, link);
	a->state = state;
	TAILQ_INSERT_TAIL(ask_list(c, a), a, link);
	ask_due(c, a, a->since + hold);
}

static void
ask_free(struct cluster *c, struct cluster_ask *a)
{
	TAILQ_REMOVE(ask_list(c, a), a, link);
	if (a->write != 0) {
		TAILQ_REMOVE(&c->writes, a, write_link);
		c->pump = c->pump || !TAILQ_EMPTY(&c->waiting); /* the window may have moved */
	}
	RB_REMOVE(cluster_asks, &c->asks, a);
	RB_REMOVE(cluster_dues, &c->dues, a);
	c->ask_count--;
	c->ask_bytes -= a->bytes.n;
	buf_done_spare(&a->bytes, &c->spare_rooms);
	buf_done(&a->result);
	spare_give(&c->spare_asks, a);
}

/* Ends. */

static void
ask_end(struct cluster *c, struct cluster_ask *a, int code, uint64_t index, struct str bytes)
{
	struct cluster_note *n = cluster_note(c, CLUSTER_ANSWER);

	n->act.request = a->number;
	n->act.code = code;
	n->act.index = index;
	buf_add(&n->bytes, bytes);
	if (code == 0 && index > c->index_seen)
		c->index_seen = index;
	ask_free(c, a);
}

/* A copy that holds nothing yet, of a cluster that may hold much, is not old but wrong. */
static bool
stale_readable(const struct cluster *c)
{
	return c->fsm != NULL && (fsm_used(c->fsm) || (c->vote.flags & CLUSTER_FORMED) == 0);
}

static void
read_stale(struct cluster *c, struct cluster_ask *a)
{
	ask_end(c, a, 0, fsm_index(c->fsm), STR_NONE);
}

static void
ask_fail(struct cluster *c, struct cluster_ask *a)
{
	char text[ERR_TEXT_MAX + 64];

	if (a->stale && stale_readable(c)) {
		read_stale(c, a);
		return;
	}
	if (a->call != CALL_WRITE || !a->unsure) {
		ask_end(c, a, ERR_STATE, 0, STR(CLUSTER_NO_LEADER));
		return;
	}
	if (c->disk_why.n > 0)
		cluster_disk_text(c, text, sizeof text);
	ask_end(c, a, ERR_STATE, 0, c->disk_why.n > 0 ? str_of(text) : STR(ASK_LOST_TEXT));
}

/* What the state machine says about a repeat that it cannot answer. */
static void
ask_result(struct cluster *c, struct cluster_ask *a, struct str result)
{
	if (a->call != CALL_WRITE)
		ask_end(c, a, 0, a->index, result);
	else if (result.n > 0 && result.p[0] == FSM_PAST)
		ask_end(c, a, ERR_STATE, 0, STR(ASK_LOST_TEXT));
	else if (result.n > 0 && result.p[0] == FSM_LOST)
		ask_end(c, a, ERR_STATE, 0,
		    STR("it was done, but its results were too large to be kept over a change of "
			"leaders"));
	else
		ask_end(c, a, 0, a->index, result);
}

/* Decided: answered once it is applied here. Where no copy is, no later request is answered from
 * before it (cluster_serve.c waits for index_seen). */
static void
ask_decided(struct cluster *c, struct cluster_ask *a, uint64_t index, struct str result)
{
	struct cluster_ask *before;

	a->index = index;
	if (c->fsm == NULL || fsm_index(c->fsm) >= index) {
		ask_result(c, a, result);
		return;
	}
	buf_add(&a->result, result);
	ask_move(c, a, ASK_APPLYING);
	TAILQ_REMOVE(&c->applying, a, link); /* in the order of indexes */
	before = TAILQ_LAST(&c->applying, cluster_ask_list);
	while (before != NULL && before->index > index)
		before = TAILQ_PREV(before, cluster_ask_list, link);
	if (before == NULL)
		TAILQ_INSERT_HEAD(&c->applying, a, link);
	else
		TAILQ_INSERT_AFTER(&c->applying, before, a, link);
}

void
cluster_ask_applied(struct cluster *c)
{
	struct cluster_ask *a;

	while ((a = TAILQ_FIRST(&c->applying)) != NULL && a->index <= fsm_index(c->fsm))
		ask_result(c, a, buf_str(&a->result));
}

/* Once more, when there is a leader again. */
static void
ask_again(struct cluster *c, struct cluster_ask *a, bool unsure)
{
	a->unsure = a->unsure || unsure;
	ask_move(c, a, ASK_WAITING);
	if (c->retry_at == 0 || c->retry_at > c->turn.mono + ASK_RETRY)
		c->retry_at = c->turn.mono + ASK_RETRY;
}

static void
ask_unsure(struct cluster *c, struct cluster_ask *a)
{
	if (a->call != CALL_HTTP || a->repeatable)
		ask_again(c, a, true);
	else
		ask_end(c, a, ERR_STATE, 0, STR(CLUSTER_NO_LEADER));
}

/* Taking it to the leader. */

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

static void
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

/* What comes back. */

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

/* Time. */

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

	while ((a = RB_MIN(cluster_dues, &c->dues)) != NULL && a->due <= c->turn.mono) {
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
	struct cluster_ask *a = RB_MIN(cluster_dues, (struct cluster_dues *)(uintptr_t)&c->dues);
	nsec due = a == NULL ? NSEC_NEVER : a->due;

	if (c->retry_at != 0)
		due = nsec_min(due, c->retry_at);
	if ((a = TAILQ_FIRST(&c->sent)) != NULL)
		due = nsec_min(due, a->sent + ASK_OVERDUE);
	if ((a = TAILQ_FIRST(&c->carried)) != NULL)
		due = nsec_min(due, a->sent + ASK_CARRIED_AGAIN);
	return nsec_min(due, who_moment(c));
}

/* Requests. */

static struct cluster_ask *
ask_new(struct cluster *c, struct now now, enum cluster_call call, struct str bytes)
{
	struct cluster_ask *a = spare_take(&c->spare_asks);

	*a = (struct cluster_ask){ .write = 0 };
	c->turn = now;
	a->number = ++c->numbers;
	a->call = call;
	a->state = ASK_WAITING;
	a->since = now.mono;
	a->due = now.mono + ASK_HOLD;
	buf_init_spare(&a->bytes, CLUSTER_HTTP_MAX, &c->spare_rooms);
	buf_init(&a->result, FSM_RESULT_MAX);
	buf_add(&a->bytes, bytes);
	RB_INSERT(cluster_asks, &c->asks, a);
	RB_INSERT(cluster_dues, &c->dues, a);
	TAILQ_INSERT_TAIL(&c->waiting, a, link);
	c->ask_count++;
	c->ask_bytes += a->bytes.n;
	return a;
}

static uint64_t
ask_begin(struct cluster *c, struct cluster_ask *a)
{
	uint64_t number = a->number;

	if (a->bytes.full || c->ask_count > CLUSTER_ASKED_MAX || c->ask_bytes > CLUSTER_BYTES_MAX)
		ask_end(c, a, ERR_LIMIT, 0, STR("too many requests wait for the leader"));
	else
		ask_dispatch(c, a);
	if (c->retry_at == 0 && !TAILQ_EMPTY(&c->waiting))
		c->retry_at = c->turn.mono + ASK_RETRY;
	return number;
}

uint64_t
cluster_write(struct cluster *c, struct now now, const struct fsm_op *op)
{
	struct cluster_ask *a = ask_new(c, now, CALL_WRITE, STR_NONE);
	struct err err;
	uint64_t number = a->number;

	err_none(&err);
	if (op != c->scratch)
		fsm_op_copy(c->scratch, op);
	c->scratch->agent = c->config.self;
	c->scratch->epoch = c->config.epoch;
	c->scratch->request = c->write_numbers + 1;
	if (fsm_op_write(&a->bytes, c->scratch, &err) < 0) {
		c->ask_bytes += a->bytes.n;
		ask_end(c, a, err.code == ERR_LIMIT ? ERR_LIMIT : ERR_INPUT, 0, str_of(err.text));
		return number;
	}
	c->ask_bytes += a->bytes.n;
	a->write = ++c->write_numbers;
	TAILQ_INSERT_TAIL(&c->writes, a, write_link);
	return ask_begin(c, a);
}

uint64_t
cluster_read(struct cluster *c, struct now now, enum cluster_read mode)
{
	struct cluster_ask *a = ask_new(c, now, CALL_READ, STR_NONE);
	uint64_t number = a->number;

	a->stale = mode == CLUSTER_STALE;
	if (!a->stale || !stale_readable(c) || !cluster_in_step(c, now))
		return ask_begin(c, a);
	read_stale(c, a);
	return number;
}

/* The only voter needs to ask nobody whether it leads still. */
bool
cluster_readable(const struct cluster *c, struct now now, enum cluster_read mode)
{
	if (mode == CLUSTER_STALE)
		return stale_readable(c) && cluster_in_step(c, now);
	return c->leading && cluster_server_alone(c) && cluster_server_votes(c);
}

uint64_t
cluster_ask_http(struct cluster *c, struct now now, struct str request)
{
	return ask_begin(c, ask_new(c, now, CALL_HTTP, request));
}

void
cluster_repeatable(struct cluster *c, uint64_t request)
{
	struct cluster_ask *a = ask_find(c, request);

	if (a != NULL)
		a->repeatable = true;
}

uint64_t
cluster_renew(struct cluster *c, struct now now, const struct uuid *session)
{
	return ask_begin(c, ask_new(c, now, CALL_RENEW, str_mem(session->b, sizeof session->b)));
}

uint64_t
cluster_remove(struct cluster *c, struct now now, uint64_t raft_id)
{
	uint8_t id[sizeof raft_id];
	struct writer w = wr_of(id, sizeof id);

	wr_be64(&w, raft_id);
	return ask_begin(c, ask_new(c, now, CALL_REMOVE, wr_done(&w)));
}

void
cluster_cancel(struct cluster *c, uint64_t request)
{
	struct cluster_ask *a = ask_find(c, request);
	struct cluster_note *n;

	if (a == NULL) { /* answered already, but not yet told */
		TAILQ_FOREACH (n, &c->notes, link)
			if (n->act.kind == CLUSTER_ANSWER && n->act.request == request) {
				cluster_note_drop(c, n);
				return;
			}
		return;
	}
	if (a->state == ASK_LOCAL && c->raft != NULL)
		raft_core_forget(c->raft, request);
	if (a->state == ASK_SENT && a->call == CALL_HTTP)
		cluster_send(
		    c, &a->to, &(struct cluster_wire){ .kind = WIRE_CANCEL, .number = a->number });
	ask_free(c, a);
}

void
cluster_ask_free(struct cluster *c)
{
	struct cluster_ask *a;

	while ((a = RB_MIN(cluster_asks, &c->asks)) != NULL)
		ask_free(c, a);
}

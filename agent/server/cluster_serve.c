/* agent/server/cluster_serve.c -- what a leader does for an agent, itself included, and what any server
 * does for agents that hold no copy.
 *
 * A call that is known already is not done twice; once it was answered it may come again, and
 * then the state machine knows a write (RULES 10). What only a leader may do is refused by
 * others, with the leader's name.
 *
 * Parts: leading; the table; calls; answers; agents that hold no copy; who is lost.
 */
#include <stdlib.h>

#include "agent/server/cluster_priv.h"
#include "base/cursor.h"
#include "base/mem.h"

#define SERVE_BEHIND_MAX                                                        \
	NSEC_SEC /* how long an asker waits for us to catch up with what it saw \
		  */

/* Leading. */

/* Only what an agent may want: what would stop the log everywhere never gets into it. */
static bool
write_allowed(struct cluster *c, const struct uuid *agent, struct str bytes, struct err *err)
{
	struct fsm_op *op = c->scratch;

	/* Ours, and from no message: cluster_write() has made it. The Raft core reads it in any case. */
	if (agent == &c->config.self && fsm_op_command(bytes) == FSM_KV)
		return true;
	if (fsm_op_read(bytes, op, err) < 0)
		return false;
	if (op->request != 0 && uuid_eq(&op->agent, agent) && op->command != FSM_REAP &&
	    (op->command != FSM_SESSION_END || op->cause == FSM_DESTROYED))
		return true;
	err_set(err, ERR_INPUT, "an operation that no agent may ask for");
	return false;
}

int
cluster_lead(struct cluster *c, uint64_t number, enum cluster_call call, const struct uuid *agent,
    struct str bytes, struct err *err)
{
	struct reader r = rd_of(bytes);
	uint64_t id;

	if (!c->leading)
		return err_set(err, ERR_REFUSED, "not the leader");
	switch (call) {
	case CALL_WRITE:
		if (c->disk_why.n > 0 && cluster_server_alone(c))
			return err_set(err, ERR_IO, "raft apply failed: " STR_FMT,
			    STR_ARG(buf_str(&c->disk_why)));
		if (!write_allowed(c, agent, bytes, err))
			return ERR_INPUT;
		if (fsm_op_command(bytes) >= FSM_EXTERNAL &&
		    cluster_server_level(c) < FSM_LEVEL_EXTERNAL)
			return err_set(err, ERR_IO,
			    "not every server is of a version that takes this yet");
		return raft_core_submit(c->raft, c->turn, number, bytes, err);
	case CALL_READ:
	case CALL_RENEW:
		return raft_core_read(c->raft, c->turn, number, err);
	case CALL_REMOVE:
		id = rd_be64(&r);
		if (!rd_ok(&r) || id == 0)
			return err_set(err, ERR_INPUT, "no id of a server");
		return cluster_server_remove(c, number, id, err);
	case CALL_HTTP:
		break;
	}
	return err_set(err, ERR_INPUT, "nothing that a leader does");
}

struct str
cluster_lead_done(struct cluster *c, enum cluster_call call, const struct uuid *session,
    const struct raft_core_action *a, uint64_t *index)
{
	bool there;

	*index = call == CALL_WRITE ? a->index : fsm_index(c->fsm);
	if (call == CALL_WRITE)
		return a->bytes;
	if (call != CALL_RENEW)
		return STR_NONE;
	/* The barrier has said that we lead still: no other's clock runs for this session. */
	there = session_renew(fsm_sessions(c->fsm), session, c->turn.mono) != NULL;
	return there ? STR("\1") : str_mem("\0", 1);
}

/* The table. */

static int
call_cmp(const struct cluster_serve *a, const struct cluster_serve *b)
{
	int order = uuid_cmp(&a->agent, &b->agent);

	if (order != 0)
		return order;
	return a->call_number < b->call_number ? -1 : a->call_number > b->call_number;
}

static int
number_cmp(const struct cluster_serve *a, const struct cluster_serve *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}

RB_GENERATE_INTERNAL(
    cluster_calls, cluster_serve, by_call, call_cmp, static __attribute__((unused)))
RB_GENERATE_INTERNAL(
    cluster_serves, cluster_serve, by_number, number_cmp, static __attribute__((unused)))

static struct cluster_serve *
serve_find(const struct cluster *c, uint64_t number)
{
	struct cluster_serve key = { .number = number };

	return RB_FIND(cluster_serves, (struct cluster_serves *)(uintptr_t)&c->serves, &key);
}

static struct cluster_serve *
serve_new(struct cluster *c, const struct uuid *from, const struct cluster_wire *m)
{
	struct cluster_serve *s = mem_new(struct cluster_serve);

	s->agent = *from;
	s->call_number = m->number;
	s->number = ++c->numbers;
	s->call = m->call;
	buf_init(&s->bytes, CLUSTER_HTTP_MAX);
	RB_INSERT(cluster_calls, &c->calls, s);
	RB_INSERT(cluster_serves, &c->serves, s);
	c->serve_count++;
	return s;
}

static void
serve_free(struct cluster *c, struct cluster_serve *s)
{
	if (s->behind)
		TAILQ_REMOVE(&c->behind, s, link);
	RB_REMOVE(cluster_calls, &c->calls, s);
	RB_REMOVE(cluster_serves, &c->serves, s);
	c->serve_count--;
	buf_done(&s->bytes);
	free(s);
}

/* Calls. */

static void
reply(struct cluster *c, const struct uuid *to, uint64_t call_number, enum cluster_reply status,
    uint64_t index, struct str rest)
{
	cluster_send(c, to,
	    &(struct cluster_wire){
		.kind = WIRE_REPLY,
		.number = call_number,
		.status = status,
		.index = index,
		.cluster = c->leader_cluster,
		.term = c->leader_term,
		.leader = c->leader,
		.rest = rest,
	    });
}

static enum cluster_reply
reply_status(int code)
{
	switch (code) {
	case 0:
		return REPLY_OK;
	case ERR_REFUSED:
	case ERR_CONFLICT: /* a change of servers is under way: again, soon */
		return REPLY_REFUSED;
	case ERR_STATE:
		return REPLY_UNSURE;
	case ERR_LIMIT:
	case ERR_MEMORY:
		return REPLY_LIMIT;
	case ERR_IO:
		return REPLY_FAILED;
	default:
		return REPLY_INPUT;
	}
}

static void
lead_call(struct cluster *c, const struct uuid *from, const struct cluster_wire *m)
{
	struct cluster_serve *s = serve_new(c, from, m);
	struct reader r = rd_of(m->rest);
	const uint8_t *id;
	struct err err = { 0 };
	int code;

	if (m->call == CALL_RENEW) {
		id = rd_take(&r, sizeof s->session.b);
		if (id != NULL)
			memcpy(s->session.b, id, sizeof s->session.b);
	}
	code = cluster_lead(c, s->number, m->call, from, m->rest, &err);
	if (code == 0)
		return; /* the answer comes as one of Raft's actions */
	reply(c, from, m->number, reply_status(code), 0,
	    reply_status(code) >= REPLY_INPUT ? str_of(err.text) : STR_NONE);
	serve_free(c, s);
}

static void
http_ask(struct cluster *c, struct cluster_serve *s, struct str bytes)
{
	struct cluster_note *n = cluster_note(c, CLUSTER_ASKED);

	n->act.agent = s->agent;
	n->act.request = s->number;
	buf_add(&n->bytes, bytes);
}

/* An asker never goes back behind what it has seen. */
static void
http_call(struct cluster *c, const struct uuid *from, const struct cluster_wire *m)
{
	struct cluster_serve *s = serve_new(c, from, m);

	if (m->seen <= fsm_index(c->fsm)) {
		http_ask(c, s, m->rest);
		return;
	}
	s->behind = true;
	s->seen = m->seen;
	s->due = c->turn.mono + SERVE_BEHIND_MAX;
	buf_add(&s->bytes, m->rest);
	TAILQ_INSERT_TAIL(&c->behind, s, link);
}

void
cluster_serve_call(struct cluster *c, const struct uuid *from, const struct cluster_wire *m)
{
	struct cluster_serve key = { .agent = *from, .call_number = m->number };

	if (RB_FIND(cluster_calls, &c->calls, &key) != NULL)
		return; /* on its way already */
	if (c->fsm == NULL || c->stopping || m->rest.n > CLUSTER_HTTP_MAX)
		reply(c, from, m->number, REPLY_REFUSED, 0, STR_NONE);
	else if (c->serve_count >= CLUSTER_SERVED_MAX)
		reply(c, from, m->number, REPLY_LIMIT, 0, STR_NONE);
	else if (m->call == CALL_HTTP)
		http_call(c, from, m);
	else
		lead_call(c, from, m);
}

/* Answers. */

static void
serve_hasten(struct cluster *c, const struct uuid *agent)
{
	const struct cluster_peer *p = cluster_peer_find(c, agent);

	if (p != NULL && p->m.raft_id != 0 && c->raft != NULL)
		raft_core_hasten(c->raft, p->m.raft_id);
}

bool
cluster_serve_answer(struct cluster *c, const struct raft_core_action *a)
{
	struct cluster_serve *s = serve_find(c, a->request);
	struct str rest = STR_NONE;
	uint64_t index = 0;

	if (s == NULL)
		return false;
	if (a->code == 0)
		rest = cluster_lead_done(c, s->call, &s->session, a, &index);
	else if (reply_status(a->code) == REPLY_INPUT)
		rest = a->bytes;
	reply(c, &s->agent, s->call_number, reply_status(a->code), index, rest);
	if (a->code == 0) /* a server waits until it has applied so far itself */
		serve_hasten(c, &s->agent);
	serve_free(c, s);
	return true;
}

void
cluster_served(struct cluster *c, struct now now, uint64_t request, struct str answer)
{
	struct cluster_serve *s = serve_find(c, request);

	c->turn = now;
	if (s == NULL || s->call != CALL_HTTP)
		return;
	reply(c, &s->agent, s->call_number, REPLY_OK, fsm_index(c->fsm), answer);
	serve_free(c, s);
}

/* Agents that hold no copy. */

void
cluster_serve_applied(struct cluster *c)
{
	struct cluster_serve *s, *next;

	for (s = TAILQ_FIRST(&c->behind); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->seen > fsm_index(c->fsm))
			continue;
		TAILQ_REMOVE(&c->behind, s, link);
		s->behind = false;
		http_ask(c, s, buf_str(&s->bytes));
		buf_done(&s->bytes);
		buf_init(&s->bytes, CLUSTER_HTTP_MAX);
	}
}

void
cluster_serve_tick(struct cluster *c)
{
	struct cluster_serve *s;

	while ((s = TAILQ_FIRST(&c->behind)) != NULL && s->due <= c->turn.mono) {
		reply(c, &s->agent, s->call_number, REPLY_REFUSED, 0, STR_NONE);
		serve_free(c, s);
	}
}

nsec
cluster_serve_deadline(const struct cluster *c)
{
	const struct cluster_serve *s = TAILQ_FIRST(&c->behind);

	return s == NULL ? NSEC_NEVER : s->due;
}

/* Who is lost. */

static void
serve_drop(struct cluster *c, struct cluster_serve *s)
{
	if (s->call == CALL_HTTP && !s->behind)
		cluster_note(c, CLUSTER_DROPPED)->act.request = s->number;
	else if (s->call != CALL_HTTP && c->raft != NULL)
		raft_core_forget(c->raft, s->number);
	serve_free(c, s);
}

void
cluster_serve_cancel(struct cluster *c, const struct uuid *from, uint64_t call_number)
{
	struct cluster_serve key = { .agent = *from, .call_number = call_number };
	struct cluster_serve *s = RB_FIND(cluster_calls, &c->calls, &key);

	if (s != NULL)
		serve_drop(c, s);
}

void
cluster_serve_lost(struct cluster *c, const struct uuid *agent)
{
	struct cluster_serve key = { .agent = *agent };
	struct cluster_serve *s = RB_NFIND(cluster_calls, &c->calls, &key), *next;

	for (; s != NULL && uuid_eq(&s->agent, agent); s = next) {
		next = RB_NEXT(cluster_calls, &c->calls, s);
		serve_drop(c, s);
	}
}

/* Our Raft core is no more: nobody knows what becomes of what it had. */
void
cluster_serve_local_lost(struct cluster *c)
{
	struct cluster_serve *s, *next;

	RB_FOREACH_SAFE (s, cluster_serves, &c->serves, next) {
		if (s->call == CALL_HTTP)
			continue;
		reply(c, &s->agent, s->call_number, REPLY_UNSURE, 0, STR_NONE);
		serve_free(c, s);
	}
}

void
cluster_serve_local_fail(struct cluster *c, struct str why)
{
	struct cluster_serve *s, *next;

	RB_FOREACH_SAFE (s, cluster_serves, &c->serves, next) {
		if (s->call != CALL_WRITE)
			continue;
		reply(c, &s->agent, s->call_number, REPLY_FAILED, 0, why);
		raft_core_forget(c->raft, s->number);
		serve_free(c, s);
	}
}

void
cluster_serve_free(struct cluster *c)
{
	struct cluster_serve *s;

	while ((s = RB_MIN(cluster_serves, &c->serves)) != NULL)
		serve_free(c, s);
}

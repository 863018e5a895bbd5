/* agent/server/cluster_ask.c -- requests of this agent: taken to the leader wherever it is, again
 * to the next one where that is allowed, answered once (RULES 10, 11).
 *
 * A request waits for a leader up to ASK_HOLD, as Consul's rpc_hold_timeout lets it ride out a
 * change of leaders; then the client hears that there is none. A write keeps its number however
 * often it is sent, and the state machine does it once. No more than FSM_WINDOW numbers are on
 * their way, counted from the oldest without an answer, so each repeat is still known there.
 *
 *     cluster_ask.c           what may be asked
 *     cluster_ask_way.c       to the leader and back
 *     cluster_ask_table.c     where each is, and how it ends
 */
#include "agent/server/cluster_ask_priv.h"
#include "base/cursor.h"

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
	if (!a->stale || !ask_stale_readable(c) || !cluster_in_step(c, now))
		return ask_begin(c, a);
	ask_read_stale(c, a);
	return number;
}

/* The only voter needs to ask nobody whether it leads still. */
bool
cluster_readable(const struct cluster *c, struct now now, enum cluster_read mode)
{
	if (mode == CLUSTER_STALE)
		return ask_stale_readable(c) && cluster_in_step(c, now);
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

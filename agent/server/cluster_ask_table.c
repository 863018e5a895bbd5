/* agent/server/cluster_ask_table.c -- where each request is, for how long, and how it ends. */
#include <stdlib.h>

#include "agent/server/cluster_ask_priv.h"
#include "base/mem.h"

#define ASK_HOLD (5 * NSEC_SEC)           /* without a leader */
#define ASK_PATIENCE (10 * NSEC_SEC)      /* with one, in all */
#define ASK_HTTP_PATIENCE (11 * NSEC_MIN) /* a blocking query waits 10 minutes and a sixteenth */
#define ASK_LOST_TEXT "raft apply failed: leadership lost while committing log" /* Consul's */

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

struct cluster_ask *
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

void
ask_move(struct cluster *c, struct cluster_ask *a, enum ask_state state)
{
	bool slow = a->call == CALL_HTTP && state == ASK_SENT;
	nsec hold = state == ASK_WAITING ? ASK_HOLD : slow ? ASK_HTTP_PATIENCE : ASK_PATIENCE;

	TAILQ_REMOVE(ask_list(c, a), a, link);
	a->state = state;
	TAILQ_INSERT_TAIL(ask_list(c, a), a, link);
	ask_due(c, a, a->since + hold);
}

struct cluster_ask *
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

void
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

void
cluster_ask_free(struct cluster *c)
{
	struct cluster_ask *a;

	while ((a = RB_MIN(cluster_asks, &c->asks)) != NULL)
		ask_free(c, a);
}

struct cluster_ask *
ask_first_due(const struct cluster *c)
{
	return RB_MIN(cluster_dues, (struct cluster_dues *)(uintptr_t)&c->dues);
}

/* ---- ends ---- */

void
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
bool
ask_stale_readable(const struct cluster *c)
{
	return c->fsm != NULL && (fsm_used(c->fsm) || (c->vote.flags & CLUSTER_FORMED) == 0);
}

void
ask_read_stale(struct cluster *c, struct cluster_ask *a)
{
	ask_end(c, a, 0, fsm_index(c->fsm), STR_NONE);
}

void
ask_fail(struct cluster *c, struct cluster_ask *a)
{
	char text[ERR_TEXT_MAX + 64];

	if (a->stale && ask_stale_readable(c)) {
		ask_read_stale(c, a);
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
void
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
void
ask_again(struct cluster *c, struct cluster_ask *a, bool unsure)
{
	a->unsure = a->unsure || unsure;
	ask_move(c, a, ASK_WAITING);
	if (c->retry_at == 0 || c->retry_at > c->turn.mono + ASK_RETRY)
		c->retry_at = c->turn.mono + ASK_RETRY;
}

void
ask_unsure(struct cluster *c, struct cluster_ask *a)
{
	if (a->call != CALL_HTTP || a->repeatable)
		ask_again(c, a, true);
	else
		ask_end(c, a, ERR_STATE, 0, STR(CLUSTER_NO_LEADER));
}

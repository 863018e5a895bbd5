/* kv/raft_core_apply.c -- operations on their way: taken, batched, applied, answered.
 *
 * Everything that is committed is applied in the call that learns of it, so between calls
 * `applied` and libraft's commit index are equal (but while a snapshot is being installed).
 *
 * Parts: applying; who waits; submitting.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kv/raft_core_priv.h"

#define RESULT_ROOM (1024 * 1024) /* bytes; more is given back */
#define NOT_LEADER "not the leader"

static int
request_cmp(const struct core_waiter *a, const struct core_waiter *b)
{
	return a->request < b->request ? -1 : a->request > b->request;
}

static int
index_cmp(const struct core_waiter *a, const struct core_waiter *b)
{
	return a->index != b->index ? (a->index < b->index ? -1 : 1) : request_cmp(a, b);
}

RB_GENERATE_INTERNAL(
    core_requests, core_waiter, by_request, request_cmp, static __attribute__((unused)))
RB_GENERATE_INTERNAL(core_indexes, core_waiter, by_index, index_cmp, static __attribute__((unused)))

/* Applying. */

/* Says to libraft that a configuration is committed; the bytes were valid when they came. */
static void
config_committed(struct raft_core *c, uint64_t index, const struct core_entry *e)
{
	struct raft_event ev = { .type = RAFT_CONFIGURATION };

	buf_clear(&c->config_bytes);
	buf_add(&c->config_bytes, str_mem(e->bytes, e->size));
	c->config_index = index;
	ev.configuration.index = index;
	if (core_config_decode(buf_str(&c->config_bytes), &ev.configuration.conf) != 0) {
		core_stop(c, "the configuration in entry %" PRIu64 " is broken", index);
		return;
	}
	core_step(c, &ev);
}

/* The waiter of this entry, if it is ours: those are in the order of their entries. */
static struct core_waiter *
waiter_at(struct raft_core *c, uint64_t index, uint64_t term)
{
	struct core_waiter *w = TAILQ_FIRST(&c->ops);

	return w != NULL && w->index == index && w->term == term ? w : NULL;
}

static void
result_shrink(struct raft_core *c)
{
	buf_done(&c->result);
	buf_init(&c->result, FSM_RESULT_MAX + 1);
}

static bool
apply_one(struct raft_core *c, uint64_t index)
{
	struct core_entry e = *core_log_at(&c->log, index);
	struct core_waiter *w;
	struct err err;

	if (e.type == RAFT_COMMAND) {
		err_none(&err);
		buf_clear(&c->result);
		if (fsm_apply(c->config.fsm, c->now, index, str_mem(e.bytes, e.size), &c->result,
			&err) != 0) {
			core_stop(c, "entry %" PRIu64 " cannot be applied: %s", index, err.text);
			return false;
		}
		if ((w = waiter_at(c, index, e.term)) != NULL)
			core_wait_end(c, w, 0, buf_str(&c->result));
		if (c->result.room > RESULT_ROOM)
			result_shrink(c);
	} else {
		fsm_skip(c->config.fsm, index);
	}
	c->applied = index;
	c->applied_term = e.term;
	c->applied_some = true;
	c->since_entries++;
	c->since_bytes += e.size;
	if (e.type == RAFT_CHANGE) {
		core_change_applied(c, index, e.term);
		config_committed(c, index, &e);
	}
	return !c->stopped;
}

void
core_apply(struct raft_core *c)
{
	if (c->installing.index != 0 || c->applying)
		return;
	c->applying = true;
	while (!c->stopped && c->applied < c->raft.commit_index && c->applied < c->log.last)
		if (!apply_one(c, c->applied + 1))
			break;
	c->applying = false;
	core_applied_answer(c);
}

/* Who waits. */

int
core_wait_new(struct raft_core *c, enum core_wait kind, uint64_t request, struct core_waiter **out,
    struct err *err)
{
	struct core_waiter *w;

	if (c->waiting == RAFT_CORE_WAITING_MAX)
		return err_set(
		    err, ERR_LIMIT, "%d requests wait for Raft already", RAFT_CORE_WAITING_MAX);
	w = spare_take(&c->spare_waiters);
	*w = (struct core_waiter){ .kind = kind, .request = request };
	if (RB_INSERT(core_requests, &c->requests, w) != NULL) {
		spare_give(&c->spare_waiters, w);
		return err_set(err, ERR_CONFLICT, "request %" PRIu64 " waits already", request);
	}
	c->waiting++;
	*out = w;
	return 0;
}

void
core_wait_free(struct raft_core *c, struct core_waiter *w)
{
	RB_REMOVE(core_requests, &c->requests, w);
	if (w->list != NULL)
		TAILQ_REMOVE(w->list, w, entry);
	else if (w->kind == CORE_WAIT_APPLIED)
		RB_REMOVE(core_indexes, &c->applied_waits, w);
	c->op_bytes -= w->bytes;
	c->waiting--;
	spare_give(&c->spare_waiters, w);
}

void
core_wait_end(struct raft_core *c, struct core_waiter *w, int code, struct str bytes)
{
	static const char statuses[] = { FSM_TRUE, FSM_FALSE }; /* at their own places */
	struct raft_core_action *a = core_say(c, RAFT_CORE_ANSWER);

	a->request = w->request;
	a->code = code;
	switch (w->kind) {
	case CORE_WAIT_OP:
		a->index = fsm_index(c->config.fsm);
		break;
	case CORE_WAIT_READ:
		a->index = c->read_index;
		break;
	case CORE_WAIT_APPLIED:
		a->index = w->index;
		break;
	}
	if (bytes.n == 1 && (unsigned char)bytes.p[0] < sizeof statuses) {
		a->bytes = str_mem(&statuses[(unsigned char)bytes.p[0]], 1);
	} else if (bytes.n > 0) {
		char *own = str_dup(bytes);

		a->bytes = str_mem(own, bytes.n);
		core_own(c, own);
	}
	core_wait_free(c, w);
}

void
core_waiters_fail(struct raft_core *c)
{
	struct core_waiter *w;

	for (size_t i = 0; i < c->pending_count; i++) {
		free(c->pending[i].entry.bytes);
		if (c->pending[i].waiter != NULL)
			core_wait_end(c, c->pending[i].waiter, ERR_REFUSED, STR(NOT_LEADER));
	}
	c->pending_count = 0;
	while ((w = TAILQ_FIRST(&c->ops)) != NULL)
		core_wait_end(c, w, ERR_STATE, STR("leadership was lost: it may be done later"));
	while ((w = TAILQ_FIRST(&c->asked)) != NULL || (w = TAILQ_FIRST(&c->reads)) != NULL)
		core_wait_end(c, w, ERR_REFUSED, STR(NOT_LEADER));
	c->asking = false;
	core_change_lost(c);
	while (c->stopped && (w = RB_MIN(core_indexes, &c->applied_waits)) != NULL)
		core_wait_end(c, w, ERR_STATE, STR("Raft has stopped here"));
}

void
core_waiters_free(struct raft_core *c)
{
	struct core_waiter *w;

	for (size_t i = 0; i < c->pending_count; i++)
		free(c->pending[i].entry.bytes);
	free(c->pending);
	while ((w = RB_ROOT(&c->requests)) != NULL)
		core_wait_free(c, w);
	spare_done(&c->spare_waiters);
}

void
core_applied_answer(struct raft_core *c)
{
	struct core_waiter *w;

	while ((w = RB_MIN(core_indexes, &c->applied_waits)) != NULL && w->index <= c->applied)
		core_wait_end(c, w, 0, STR_NONE);
}

int
raft_core_wait(struct raft_core *c, uint64_t request, uint64_t raft_index, struct err *err)
{
	struct core_waiter *w;
	int code;

	if (c->stopped)
		return err_set(err, ERR_STATE, "Raft has stopped here");
	if ((code = core_wait_new(c, CORE_WAIT_APPLIED, request, &w, err)) != 0)
		return code;
	w->index = raft_index;
	RB_INSERT(core_indexes, &c->applied_waits, w);
	core_applied_answer(c);
	return 0;
}

void
raft_core_forget(struct raft_core *c, uint64_t request)
{
	struct core_waiter like = { .request = request };
	struct core_waiter *w = RB_FIND(core_requests, &c->requests, &like);

	if (c->change_waits && c->change_request == request)
		c->change_request = 0;
	if (w == NULL)
		return;
	for (size_t i = 0; i < c->pending_count; i++)
		if (c->pending[i].waiter == w)
			c->pending[i].waiter = NULL; /* it is done, and nobody is told */
	core_wait_free(c, w);
}

/* Submitting. */

int
raft_core_submit(
    struct raft_core *c, struct now now, uint64_t request, struct str op, struct err *err)
{
	struct core_waiter *w;
	struct core_entry e = { 0, RAFT_COMMAND, (uint32_t)op.n, NULL };
	int code;

	if (!core_leads(c) || raft_transferee(&c->raft) != 0)
		return err_set(err, ERR_REFUSED, NOT_LEADER);
	if (op.n == 0 || op.n > RAFT_CORE_OP_MAX)
		return err_set(err, ERR_LIMIT, "an operation of %zu bytes: at most %d are taken",
		    op.n, RAFT_CORE_OP_MAX);
	if (c->op_bytes + op.n > RAFT_CORE_WAITING_BYTES)
		return err_set(
		    err, ERR_LIMIT, "too many bytes wait to be committed: %zu", c->op_bytes);
	core_begin(c, now);
	e.bytes = str_dup(op);
	if (!fsm_stamp(c->config.fsm, c->now, e.bytes, op.n)) {
		free(e.bytes);
		return err_set(err, ERR_INPUT, "%zu bytes that are no operation", op.n);
	}
	if ((code = core_wait_new(c, CORE_WAIT_OP, request, &w, err)) != 0) {
		free(e.bytes);
		return code;
	}
	w->bytes = op.n;
	c->op_bytes += op.n;
	c->pending = mem_grow(c->pending, c->pending_count, &c->pending_cap, sizeof *c->pending);
	c->pending[c->pending_count++] = (struct core_pending){ e, w };
	return 0;
}

static void
flush_ops(struct raft_core *c)
{
	struct raft_event ev = { .type = RAFT_SUBMIT };
	uint64_t next = c->log.last + 1;
	size_t n = c->pending_count;

	if (n > c->batch_cap) {
		c->batch_cap = n;
		c->batch = mem_realloc(c->batch, n * sizeof *c->batch);
	}
	for (size_t i = 0; i < n; i++) {
		struct core_pending *p = &c->pending[i];

		c->batch[i] = (struct raft_entry){ c->raft.current_term, RAFT_COMMAND,
			{ p->entry.bytes, p->entry.size }, p->entry.bytes };
		if (p->waiter == NULL)
			continue;
		p->waiter->index = next + i;
		p->waiter->term = c->raft.current_term;
		p->waiter->list = &c->ops;
		TAILQ_INSERT_TAIL(&c->ops, p->waiter, entry);
	}
	c->pending_count = 0;
	ev.submit.entries = c->batch;
	ev.submit.n = (unsigned)n;
	if (core_step(c, &ev) != 0) /* nothing came between: we lead, and memory does not fail */
		core_stop(c, "operations were not taken");
}

void
core_flush(struct raft_core *c)
{
	if (c->pending_count > 0 && core_leads(c)) {
		flush_ops(c);
		core_settle(c);
	}
	if (!TAILQ_EMPTY(&c->reads))
		core_read_flush(c);
}

/* kv/fsm_replies.c -- the last results of each agent, so that a write sent twice is done once.
 *
 * Per agent the results of its current epoch in the order of request numbers, the newest
 * FSM_WINDOW of them. Numbers may arrive in any order within the window; at or below the highest
 * number that fell out of it nothing is done any more. Equal results share their bytes.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "kv/fsm_priv.h"

struct reply {
	uint64_t request;
	struct blob *result; /* owned use; NULL: too large to keep */
};

struct agent {
	RB_ENTRY(agent) link;
	struct uuid id;
	struct epoch epoch;
	uint64_t floor; /* the highest request that fell out */
	uint64_t index; /* of the last one kept */
	struct reply *all;
	size_t from, count, cap; /* all[from … from + count) */
};

RB_HEAD(agents, agent);

struct replies {
	struct agents agents;
	size_t count;
};

static int
agent_cmp(const struct agent *a, const struct agent *b)
{
	return uuid_cmp(&a->id, &b->id);
}

RB_GENERATE_INTERNAL(agents, agent, link, agent_cmp, static __attribute__((unused)))

struct replies *
replies_new(void)
{
	struct replies *r = mem_new(struct replies);

	RB_INIT(&r->agents);
	return r;
}

static void
agent_empty(struct agent *a)
{
	for (size_t i = 0; i < a->count; i++)
		blob_unref(a->all[a->from + i].result);
	free(a->all);
	a->all = NULL;
	a->from = a->count = a->cap = 0;
	a->floor = 0;
}

static void
agent_drop(struct replies *r, struct agent *a)
{
	RB_REMOVE(agents, &r->agents, a);
	r->count--;
	agent_empty(a);
	free(a);
}

void
replies_clear(struct replies *r)
{
	struct agent *a;

	while ((a = RB_MIN(agents, &r->agents)) != NULL)
		agent_drop(r, a);
}

void
replies_free(struct replies *r)
{
	if (r == NULL)
		return;
	replies_clear(r);
	free(r);
}

static struct agent *
agent_find(const struct replies *r, const struct uuid *id)
{
	struct agent *a = RB_ROOT(&r->agents);

	while (a != NULL) {
		int c = uuid_cmp(id, &a->id);

		if (c == 0)
			break;
		a = c < 0 ? RB_LEFT(a, link) : RB_RIGHT(a, link);
	}
	return a;
}

/* Position of the first that is not below `request`; mostly the end. */
static size_t
reply_at(const struct agent *a, uint64_t request)
{
	size_t i = a->from + a->count;

	while (i > a->from && a->all[i - 1].request >= request)
		i--;
	return i;
}

bool
replies_repeat(const struct replies *r, const struct fsm_op *op, struct buf *result)
{
	const struct agent *a = op->request == 0 ? NULL : agent_find(r, &op->agent);
	int age = a == NULL ? 1 : epoch_cmp(&op->epoch, &a->epoch);
	size_t i;

	if (a == NULL || age > 0)
		return false;
	i = reply_at(a, op->request);
	if (age == 0 && i < a->from + a->count && a->all[i].request == op->request) {
		if (a->all[i].result == NULL)
			buf_addc(result, FSM_LOST);
		else
			buf_add(result, blob_str(a->all[i].result));
		return true;
	}
	if (age == 0 && op->request > a->floor)
		return false;
	buf_addc(result, FSM_PAST);
	return true;
}

static void
reply_insert(struct agent *a, uint64_t request, struct str result)
{
	struct blob *before = a->count == 0 ? NULL : a->all[a->from + a->count - 1].result, *b = NULL;
	size_t i;

	if (a->count == FSM_WINDOW) {
		a->floor = a->all[a->from].request;
		blob_unref(a->all[a->from].result);
		a->from++;
		a->count--;
	}
	if (a->from + a->count == a->cap && a->cap >= 2 * FSM_WINDOW) {
		memmove(a->all, a->all + a->from, a->count * sizeof *a->all);
		a->from = 0;
	}
	a->all = mem_grow(a->all, a->from + a->count, &a->cap, sizeof *a->all);
	if (result.n <= FSM_RESULT_KEPT_MAX)
		b = before != NULL && str_eq(blob_str(before), result) ? blob_ref(before)
		                                                       : blob_new(result);
	i = reply_at(a, request);
	memmove(a->all + i + 1, a->all + i, (a->from + a->count - i) * sizeof *a->all);
	a->all[i] = (struct reply){ request, b };
	a->count++;
}

static struct agent *
agent_add(struct replies *r, const struct uuid *id)
{
	struct agent *a, *oldest = NULL;

	if (r->count >= FSM_AGENTS_MAX) {
		RB_FOREACH(a, agents, &r->agents)
			if (oldest == NULL || a->index < oldest->index)
				oldest = a;
		agent_drop(r, oldest);
	}
	a = mem_new(struct agent);
	a->id = *id;
	RB_INSERT(agents, &r->agents, a);
	r->count++;
	return a;
}

void
replies_keep(struct replies *r, const struct fsm_op *op, uint64_t index, struct str result)
{
	struct agent *a;

	if (op->request == 0)
		return;
	a = agent_find(r, &op->agent);
	if (a == NULL)
		a = agent_add(r, &op->agent);
	if (epoch_cmp(&op->epoch, &a->epoch) != 0)
		agent_empty(a);
	a->epoch = op->epoch;
	a->index = index;
	reply_insert(a, op->request, result);
}

void
replies_write(const struct replies *r, void *to, void (*each)(void *to, struct str record))
{
	struct agent *a;

	RB_FOREACH(a, agents, &((struct replies *)(uintptr_t)r)->agents) {
		struct buf b;

		buf_init(&b, FSM_RESULT_MAX);
		buf_add(&b, str_mem(a->id.b, sizeof a->id.b));
		fsm_add_be64(&b, a->epoch.counter);
		fsm_add_be64(&b, a->epoch.nonce);
		fsm_add_varint(&b, a->floor);
		fsm_add_varint(&b, a->index);
		fsm_add_varint(&b, a->count);
		for (size_t i = 0; i < a->count; i++) {
			const struct reply *one = &a->all[a->from + i];

			fsm_add_varint(&b, one->request);
			fsm_add_varint(&b, one->result == NULL ? 0 : one->result->n + 1);
			buf_add(&b, blob_str(one->result));
		}
		each(to, buf_str(&b));
		buf_done(&b);
	}
}

bool
replies_read(struct replies *r, struct str record)
{
	struct reader in = rd_of(record);
	struct uuid id = fsm_read_uuid(&in);
	struct epoch epoch = { rd_be64(&in), 0 };
	uint64_t floor, index, count, last = 0;
	struct agent *a;

	epoch.nonce = rd_be64(&in);
	floor = rd_varint(&in);
	index = rd_varint(&in);
	count = rd_varint(&in);
	if (!rd_ok(&in) || count > FSM_WINDOW || agent_find(r, &id) != NULL ||
	    r->count >= FSM_AGENTS_MAX)
		return false;
	a = agent_add(r, &id);
	a->epoch = epoch;
	a->index = index;
	for (uint64_t i = 0; i < count && rd_ok(&in); i++) {
		uint64_t request = rd_varint(&in), n = rd_varint(&in);
		struct str result = rd_str(&in, (size_t)(n == 0 ? 0 : n - 1));
		bool fits = n <= FSM_RESULT_KEPT_MAX + 1 && request > last && request > floor;

		if (!fits || !rd_ok(&in))
			return false;
		last = request;
		reply_insert(a, request, result);
		if (n == 0) {
			blob_unref(a->all[a->from + a->count - 1].result);
			a->all[a->from + a->count - 1].result = NULL;
		}
	}
	a->floor = floor;
	return rd_ok(&in) && rd_left(&in) == 0;
}

/* tests/sim/raft_sim_disk.c -- a server's disk: what is durable, what is on its way, what a crash
 * leaves.
 */
#include "tests/sim/raft_sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/sim/raft_sim_priv.h"

/* Logs. */

void
raft_sim_log_add(struct raft_sim_log *l, const struct raft_sim_disk_op *op)
{
	struct raft_sim_disk_op copy = *op;

	assert(op->index == l->first + l->count);
	buf_init(&copy.bytes, DATA_MAX);
	buf_add(&copy.bytes, buf_str(&op->bytes));
	l->entries = mem_grow(l->entries, l->count, &l->cap, sizeof *l->entries);
	l->entries[l->count++] = copy;
}

void
raft_sim_log_cut(struct raft_sim_log *l, uint64_t from)
{
	while (l->count > 0 && raft_sim_log_last(l) >= from)
		buf_done(&l->entries[--l->count].bytes);
}

void
raft_sim_log_drop(struct raft_sim_log *l, uint64_t upto)
{
	size_t n = 0;

	while (n < l->count && l->first + n <= upto)
		buf_done(&l->entries[n++].bytes);
	if (n > 0)
		memmove(l->entries, l->entries + n, (l->count - n) * sizeof *l->entries);
	l->count -= n;
	l->first += n;
}

void
raft_sim_log_done(struct raft_sim_log *l)
{
	raft_sim_log_cut(l, 0);
	free(l->entries);
	*l = (struct raft_sim_log){ .first = 1 };
}

void
raft_sim_log_reset(struct raft_sim_log *l, uint64_t next)
{
	raft_sim_log_cut(l, 0);
	l->first = next;
}

void
raft_sim_log_copy(struct raft_sim_log *to, const struct raft_sim_log *from)
{
	raft_sim_log_done(to);
	to->first = from->first;
	for (size_t i = 0; i < from->count; i++)
		raft_sim_log_add(to, &from->entries[i]);
}

/* The disk. */

void
raft_sim_snapshot_done(struct raft_sim_snapshot *s)
{
	buf_done(&s->config);
	buf_done(&s->data);
	*s = (struct raft_sim_snapshot){ 0 };
	buf_init(&s->config, DATA_MAX);
	buf_init(&s->data, DATA_MAX);
}

static void
disk_do(struct raft_sim *sim, struct raft_sim_server *s, const struct raft_sim_disk_op *op)
{
	switch (op->kind) {
	case SIM_SET:
		raft_sim_check_entry(sim, (size_t)(s - sim->servers),
		    &(struct raft_log_entry){ op->index, op->term, op->type, buf_str(&op->bytes) });
		raft_sim_log_add(&s->log, op);
		break;
	case SIM_TRUNCATE:
		raft_sim_log_cut(&s->log, op->index);
		break;
	case SIM_RESET:
		raft_sim_log_reset(&s->log, op->index);
		break;
	case SIM_VOTE:
		s->term = op->term;
		s->voted_for = op->voted_for;
		break;
	case SIM_DROP:
		raft_sim_log_drop(&s->log, op->index);
		break;
	}
}

static void
queue_drop(struct raft_sim_server *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_done(&s->queue[i].bytes);
	s->queued -= n;
	if (s->queued > 0)
		memmove(s->queue, s->queue + n, s->queued * sizeof *s->queue);
}

static void
disk_begin(struct raft_sim *sim, struct raft_sim_server *s)
{
	if (s->batch > 0 || s->queued == 0)
		return;
	s->batch = s->queued;
	s->synced_at = sim->now + raft_sim_between(sim, sim->config.sync_min, sim->config.sync_max);
}

void
raft_sim_disk_queue(struct raft_sim *sim, struct raft_sim_server *s,
    const struct raft_sim_disk_op *op, struct str bytes)
{
	struct raft_sim_disk_op copy = *op;

	buf_init(&copy.bytes, DATA_MAX);
	buf_add(&copy.bytes, bytes);
	s->queue = mem_grow(s->queue, s->queued, &s->queue_cap, sizeof *s->queue);
	s->queue[s->queued++] = copy;
	s->ticket++;
	switch (op->kind) {
	case SIM_SET:
		raft_sim_log_add(&s->view, &copy);
		break;
	case SIM_TRUNCATE:
		raft_sim_log_cut(&s->view, op->index);
		break;
	case SIM_RESET:
		raft_sim_log_reset(&s->view, op->index);
		break;
	case SIM_DROP:
		raft_sim_log_drop(&s->view, op->index);
		break;
	case SIM_VOTE:
		break;
	}
	disk_begin(sim, s);
}

/* A batch is durable. What is still queued may take some of it back: see raft_core_durable(). */
void
raft_sim_disk_synced(struct raft_sim *sim, size_t i)
{
	struct raft_sim_server *s = &sim->servers[i];
	uint64_t durable;

	for (size_t k = 0; k < s->batch; k++)
		disk_do(sim, s, &s->queue[k]);
	s->done += s->batch;
	queue_drop(s, s->batch);
	s->batch = 0;
	durable = raft_sim_log_last(&s->log);
	for (size_t k = 0; k < s->queued; k++) {
		const struct raft_sim_disk_op *op = &s->queue[k];

		if ((op->kind == SIM_TRUNCATE || op->kind == SIM_RESET) && durable >= op->index)
			durable = op->index - 1;
	}
	disk_begin(sim, s);
	raft_sim_outbox_flush(sim, i);
	raft_core_durable(s->core, raft_sim_now(sim), durable);
	raft_sim_drain(sim, i);
}

void
raft_sim_disk_stored(struct raft_sim *sim, size_t i)
{
	struct raft_sim_server *s = &sim->servers[i];
	uint64_t index = s->storing.meta.index;

	s->stored_at = 0;
	if (raft_sim_chance(sim, sim->config.sync_fails)) {
		index = 0;
		raft_sim_snapshot_done(&s->storing);
	} else {
		raft_sim_snapshot_done(&s->snapshot);
		s->snapshot = s->storing;
		s->storing = (struct raft_sim_snapshot){ 0 };
		raft_sim_snapshot_done(&s->storing);
	}
	raft_sim_say(sim, "%zu: snapshot %" PRIu64 " stored", i, index);
	raft_core_snapshot_stored(s->core, raft_sim_now(sim), index);
	raft_sim_drain(sim, i);
}

/* Of what was not reported durable any beginning may be there: a vote goes ahead of its batch. */
void
raft_sim_disk_lost(struct raft_sim *sim, struct raft_sim_server *s)
{
	size_t kept;

	kept = s->queued == 0 ? 0 : rng_below(&sim->rng, (uint32_t)s->queued + 1);
	for (size_t k = 0; k < s->queued; k++)
		if (k < kept || (s->queue[k].kind == SIM_VOTE && kept > 0))
			disk_do(sim, s, &s->queue[k]);
	queue_drop(s, s->queued);
	s->batch = 0;
	if (s->stored_at != 0 && raft_sim_chance(sim, 500)) {
		raft_sim_snapshot_done(&s->snapshot);
		s->snapshot = s->storing;
		s->storing = (struct raft_sim_snapshot){ 0 };
	}
	raft_sim_snapshot_done(&s->storing);
	s->stored_at = 0;
}

/* tests/sim/raft_sim_net.c -- messages: kept until votes are durable, lost, late, twice. */
#include "tests/sim/raft_sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/sim/raft_sim_priv.h"

void
raft_sim_message_done(struct raft_sim_message *m)
{
	buf_done(&m->bytes);
	buf_done(&m->data);
}

static void
wire_put(struct raft_sim *sim, struct raft_sim_message *m)
{
	bool again = raft_sim_chance(sim, sim->config.twice);

	sim->seen.messages++;
	raft_sim_check_send(sim, m->from, buf_str(&m->bytes));
	if (sim->cut[m->from][m->to] || raft_sim_chance(sim, sim->config.loss)) {
		raft_sim_message_done(m);
		return;
	}
	m->at = sim->now + raft_sim_between(sim, sim->config.delay_min, sim->config.delay_max);
	sim->wire = mem_grow(sim->wire, sim->wired, &sim->wire_cap, sizeof *sim->wire);
	sim->wire[sim->wired++] = *m;
	if (again) {
		struct raft_sim_message copy = *m;

		buf_init(&copy.bytes, DATA_MAX);
		buf_init(&copy.data, DATA_MAX);
		buf_add(&copy.bytes, buf_str(&m->bytes));
		buf_add(&copy.data, buf_str(&m->data));
		copy.at += raft_sim_between(sim, 0, 20 * sim->config.delay_max);
		sim->wire = mem_grow(sim->wire, sim->wired, &sim->wire_cap, sizeof *sim->wire);
		sim->wire[sim->wired++] = copy;
	}
}

void
raft_sim_outbox_flush(struct raft_sim *sim, size_t i)
{
	struct raft_sim_server *s = &sim->servers[i];
	size_t n = 0;

	while (n < s->out && s->outbox[n].vote_ticket <= s->done)
		wire_put(sim, &s->outbox[n++]);
	if (n == 0)
		return;
	s->out -= n;
	memmove(s->outbox, s->outbox + n, s->out * sizeof *s->outbox);
}

size_t
raft_sim_slot(const struct raft_sim *sim, uint64_t id)
{
	size_t i = 0;

	while (i < RAFT_SIM_SERVERS && sim->servers[i].id != id)
		i++;
	return i;
}

void
raft_sim_outbox_put(
    struct raft_sim *sim, size_t i, const struct raft_core_action *a, bool with_data)
{
	struct raft_sim_server *s = &sim->servers[i];
	struct raft_sim_message m = { .from = i,
		.to = raft_sim_slot(sim, a->peer),
		.from_id = s->id,
		.to_id = a->peer,
		.with_data = with_data };

	if (m.to == RAFT_SIM_SERVERS || (with_data && s->snapshot.meta.index != a->index))
		return;
	buf_init(&m.bytes, DATA_MAX);
	buf_init(&m.data, DATA_MAX);
	buf_add(&m.bytes, a->bytes);
	if (with_data)
		buf_add(&m.data, buf_str(&s->snapshot.data));
	for (size_t k = s->queued; k > 0 && m.vote_ticket == 0; k--)
		if (s->queue[k - 1].kind == SIM_VOTE)
			m.vote_ticket = s->done + k;
	s->outbox = mem_grow(s->outbox, s->out, &s->out_cap, sizeof *s->outbox);
	s->outbox[s->out++] = m;
	raft_sim_outbox_flush(sim, i);
}

struct pieces {
	struct str left;
	struct rng *rng;
};

static int
piece_read(void *arg, size_t want, struct buf *out, struct err *err)
{
	struct pieces *p = arg;
	size_t n = 1 + rng_below(p->rng, 4000);

	(void)want;
	(void)err;
	if (n > p->left.n)
		n = p->left.n;
	buf_add(out, str_head(p->left, n));
	p->left = str_skip(p->left, n);
	return 0;
}

void
raft_sim_deliver(struct raft_sim *sim, size_t at)
{
	struct raft_sim_message m = sim->wire[at];
	struct raft_sim_server *s = &sim->servers[m.to];
	struct pieces p = { buf_str(&m.data), &sim->rng };
	struct err err = { 0 };

	sim->wire[at] = sim->wire[--sim->wired];
	if (s->core != NULL && s->id == m.to_id && !sim->cut[m.from][m.to]) {
		if (m.with_data) {
			if (raft_core_install(s->core, raft_sim_now(sim), m.from_id,
				buf_str(&m.bytes), piece_read, &p, &err) == 0) {
				sim->seen.installs++;
				s->seen_applied = fsm_raft_index(s->fsm);
			}
		} else {
			raft_core_input(
			    s->core, raft_sim_now(sim), m.from_id, buf_str(&m.bytes), &err);
		}
		raft_sim_drain(sim, m.to);
	}
	raft_sim_message_done(&m);
}

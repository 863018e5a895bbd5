/* tests/sim/raft_sim_check.c -- what must hold after every action; see raft_sim.h. */
#include <inttypes.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"
#include "kv/raft_wire.h"
#include "tests/sim/raft_sim_priv.h"

uint64_t
raft_sim_hash(uint16_t type, struct str bytes)
{
	return XXH3_64bits_withSeed(bytes.p == NULL ? "" : bytes.p, bytes.n, type);
}

/* Log matching: one index and one term, one entry, among those that were seen elsewhere or are on
 * a disk. A term whose vote was lost with what it wrote may come again. */
static struct raft_sim_seen *
seen_at(struct raft_sim *sim, uint64_t index, uint64_t term)
{
	size_t mask = sim->entry_cap - 1;
	size_t k = (size_t)((index * 0x9e3779b97f4a7c15u) ^ (term * 0xc2b2ae3d27d4eb4fu)) & mask;

	while (sim->entries[k].index != 0 &&
	       (sim->entries[k].index != index || sim->entries[k].term != term))
		k = (k + 1) & mask;
	return &sim->entries[k];
}

static void
seen_grow(struct raft_sim *sim)
{
	struct raft_sim_seen *old = sim->entries;
	size_t cap = sim->entry_cap;

	sim->entry_cap = cap == 0 ? 1024 : 2 * cap;
	sim->entries = mem_zalloc(sim->entry_cap * sizeof *sim->entries);
	for (size_t k = 0; k < cap; k++)
		if (old[k].index != 0)
			*seen_at(sim, old[k].index, old[k].term) = old[k];
	free(old);
}

void
raft_sim_check_entry(struct raft_sim *sim, size_t i, const struct raft_log_entry *e)
{
	uint64_t hash = raft_sim_hash(e->type, e->bytes);
	struct raft_sim_seen *seen;

	if (2 * sim->entry_count >= sim->entry_cap)
		seen_grow(sim);
	seen = seen_at(sim, e->index, e->term);
	if (seen->index == 0) {
		*seen = (struct raft_sim_seen){ e->index, e->term, hash };
		sim->entry_count++;
	} else if (seen->hash != hash) {
		raft_sim_fail(
		    sim, "%zu: entry %" PRIu64 " of term %" PRIu64 " is two", i, e->index, e->term);
	}
}

/* One vote in a term, over restarts. */
void
raft_sim_check_send(struct raft_sim *sim, size_t i, struct str bytes)
{
	struct raft_wire m;
	struct raft_log_entry e;
	struct reader r;
	uint64_t index;
	struct err err;

	if (raft_wire_read(bytes, &m, &err) != 0) {
		raft_sim_fail(sim, "%zu: sends what cannot be read: %s", i, err.text);
		return;
	}
	if (bytes.n > RAFT_CORE_MESSAGE_MAX)
		raft_sim_fail(sim, "%zu: sends %zu bytes", i, bytes.n);
	r = rd_of(m.entries);
	index = m.index + 1;
	while (m.kind == RAFT_WIRE_APPEND && raft_wire_entry(&r, &index, &e))
		raft_sim_check_entry(sim, i, &e);
	if (m.kind == RAFT_WIRE_VOTE && !m.pre_vote)
		m.to = m.from; /* it has its own */
	else if (m.kind != RAFT_WIRE_VOTED || m.pre_vote || !m.granted)
		return;
	for (size_t k = 0; k < sim->vote_count; k++) {
		if (sim->votes[k].id != m.from || sim->votes[k].term != m.term)
			continue;
		if (sim->votes[k].to != m.to)
			raft_sim_fail(sim, "%zu: votes twice in term %" PRIu64, i, m.term);
		return;
	}
	sim->votes = mem_grow(sim->votes, sim->vote_count, &sim->vote_cap, sizeof *sim->votes);
	sim->votes[sim->vote_count].id = m.from;
	sim->votes[sim->vote_count].term = m.term;
	sim->votes[sim->vote_count++].to = m.to;
}

/* One state at one index. */
void
raft_sim_check_state(struct raft_sim *sim, uint64_t index, struct str data)
{
	uint64_t hash = raft_sim_hash(0, data);

	for (size_t k = 0; k < sim->state_count; k++) {
		if (sim->states[k].index != index)
			continue;
		if (sim->states[k].hash != hash)
			raft_sim_fail(sim, "two states at entry %" PRIu64, index);
		return;
	}
	sim->states = mem_grow(sim->states, sim->state_count, &sim->state_cap, sizeof *sim->states);
	sim->states[sim->state_count].index = index;
	sim->states[sim->state_count++].hash = hash;
}

static void
leader_check(struct raft_sim *sim, size_t i, const struct raft_core_status *st)
{
	for (size_t k = sim->leader_count; k > 0; k--) {
		if (sim->leaders[k - 1].term != st->term)
			continue;
		if (sim->leaders[k - 1].id != sim->servers[i].id)
			raft_sim_fail(sim, "%zu: term %" PRIu64 " has two leaders", i, st->term);
		return;
	}
	sim->leaders =
	    mem_grow(sim->leaders, sim->leader_count, &sim->leader_cap, sizeof *sim->leaders);
	sim->leaders[sim->leader_count].term = st->term;
	sim->leaders[sim->leader_count++].id = sim->servers[i].id;
	sim->seen.elections++;
	raft_sim_say(sim, "%zu: leads term %" PRIu64, i, st->term);
}

/* What is applied is committed: the same entries everywhere, for ever. */
static void
applied_check(struct raft_sim *sim, size_t i, uint64_t applied)
{
	struct raft_sim_server *s = &sim->servers[i];

	for (uint64_t n = s->seen_applied + 1; n <= applied; n++) {
		const struct raft_sim_disk_op *op;
		struct raft_sim_entry e;

		if (n < s->view.first)
			continue; /* in a snapshot, whose state is checked */
		if (n > raft_sim_log_last(&s->view)) {
			if (applied != fsm_raft_index(s->fsm))
				raft_sim_fail(sim, "%zu: applied %" PRIu64 " without it", i, n);
			continue; /* being installed */
		}
		op = &s->view.entries[n - s->view.first];
		e = (struct raft_sim_entry){ op->term,
			raft_sim_hash(op->type, buf_str(&op->bytes)) };
		while (sim->committed_count < n) {
			sim->committed = mem_grow(sim->committed, sim->committed_count,
			    &sim->committed_cap, sizeof *sim->committed);
			sim->committed[sim->committed_count++] = (struct raft_sim_entry){ 0, 0 };
		}
		if (sim->committed[n - 1].term == 0)
			sim->committed[n - 1] = e;
		else if (sim->committed[n - 1].term != e.term ||
			 sim->committed[n - 1].hash != e.hash)
			raft_sim_fail(sim, "%zu: entry %" PRIu64 " was committed as another", i, n);
	}
	s->seen_applied = applied;
}

void
raft_sim_check(struct raft_sim *sim, size_t i)
{
	struct raft_sim_server *s = &sim->servers[i];
	struct raft_core_status st = raft_core_status(s->core, raft_sim_now(sim));

	if (st.leader)
		leader_check(sim, i, &st);
	if (st.applied > st.commit || st.commit > st.last)
		raft_sim_fail(sim, "%zu: applied %" PRIu64 " committed %" PRIu64 " last %" PRIu64,
		    i, st.applied, st.commit, st.last);
	if (st.commit < s->seen_commit || st.term < s->seen_term || st.applied < s->seen_applied)
		raft_sim_fail(sim,
		    "%zu: goes back: commit %" PRIu64 " from %" PRIu64 ", term %" PRIu64
		    " from %" PRIu64,
		    i, st.commit, s->seen_commit, st.term, s->seen_term);
	if (st.applied != fsm_raft_index(s->fsm))
		raft_sim_fail(sim, "%zu: the state is at %" PRIu64 ", not %" PRIu64, i,
		    fsm_raft_index(s->fsm), st.applied);
	s->seen_commit = st.commit;
	s->seen_term = st.term;
	applied_check(sim, i, st.applied);
}

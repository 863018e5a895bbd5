/* tests/sim/raft_sim.c -- the lives of servers, what they want done, and time; see raft_sim.h.
 *
 * Parts: telling; actions; a server's life; time.
 */
#include "tests/sim/raft_sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/sim/raft_sim_priv.h"

#define EPOCH (1000 * NSEC_SEC)

/* Telling. */

void
raft_sim_say(struct raft_sim *sim, const char *fmt, ...)
{
	va_list args;

	if (!sim->config.trace)
		return;
	fprintf(stderr, "%9.3f ", (double)(sim->now - EPOCH) / NSEC_SEC);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

void
raft_sim_fail(struct raft_sim *sim, const char *fmt, ...)
{
	va_list args;

	if (sim->broken[0] != '\0')
		return;
	va_start(args, fmt);
	vsnprintf(sim->broken, sizeof sim->broken, fmt, args);
	va_end(args);
	raft_sim_say(sim, "BROKEN %s", sim->broken);
}

struct now
raft_sim_now(const struct raft_sim *sim)
{
	return (struct now){ sim->now, 1600000000000 + sim->now / NSEC_MS };
}

nsec
raft_sim_between(struct raft_sim *sim, nsec min, nsec max)
{
	return min >= max ? min : min + (nsec)(rng_u64(&sim->rng) % (uint64_t)(max - min));
}

bool
raft_sim_chance(struct raft_sim *sim, unsigned of_1000)
{
	return of_1000 > 0 && rng_below(&sim->rng, 1000) < of_1000;
}

/* Actions. */

static void
snapshot_take(struct raft_sim *sim, size_t i, const struct raft_core_action *a)
{
	struct raft_sim_server *s = &sim->servers[i];
	struct fsm_snapshot *snapshot = fsm_snapshot_new(s->fsm);

	if (s->stored_at != 0)
		raft_sim_fail(sim, "%zu: a snapshot while another is being stored", i);
	raft_sim_snapshot_done(&s->storing);
	buf_add(&s->storing.config, a->meta.config);
	s->storing.meta = a->meta;
	s->storing.meta.config = buf_str(&s->storing.config);
	while (fsm_snapshot_next(snapshot, 4096, &s->storing.data))
		;
	fsm_snapshot_free(snapshot);
	s->stored_at =
	    sim->now + 1 + 3 * raft_sim_between(sim, sim->config.sync_min, sim->config.sync_max);
	sim->seen.snapshots++;
	raft_sim_check_state(sim, a->meta.index, buf_str(&s->storing.data));
}

static void
answer(struct raft_sim *sim, size_t i, const struct raft_core_action *a)
{
	struct raft_sim_request *r;

	if (a->request == 0 || a->request > sim->request_count ||
	    !sim->requests[a->request - 1].open) {
		raft_sim_fail(sim, "%zu: an answer to request %" PRIu64, i, a->request);
		return;
	}
	r = &sim->requests[a->request - 1];
	r->open = false;
	r->code = a->code;
	r->index = a->index;
	raft_sim_say(sim,
	    "%zu: answer to request %" PRIu64 " kind %d key %" PRIu64 ": %d index %" PRIu64, i,
	    a->request, (int)r->kind, r->key, a->code, a->index);
	if (a->code != 0)
		return;
	if (r->kind == SIM_READ && a->index < r->floor)
		raft_sim_fail(sim,
		    "%zu: a read of entry %" PRIu64 " after entry %" PRIu64 " was acknowledged", i,
		    a->index, r->floor);
	if (r->kind == SIM_WAIT && fsm_raft_index(sim->servers[i].fsm) < r->floor)
		raft_sim_fail(sim, "%zu: a wait for entry %" PRIu64 " ended early", i, r->floor);
	if (r->kind == SIM_WRITE && (a->bytes.n == 0 || a->bytes.p[0] != FSM_TRUE))
		raft_sim_fail(sim, "%zu: a strange result", i);
	if ((r->kind == SIM_WRITE || r->kind == SIM_CHANGE) && a->index > sim->acknowledged)
		sim->acknowledged = a->index;
	if (r->kind == SIM_CHANGE)
		sim->seen.changes++;
}

static void
carry_out(struct raft_sim *sim, size_t i, const struct raft_core_action *a)
{
	struct raft_sim_server *s = &sim->servers[i];
	struct raft_sim_disk_op op = {
		.index = a->index, .term = a->term, .voted_for = a->voted_for
	};

	switch (a->kind) {
	case RAFT_CORE_VOTE:
		op.kind = SIM_VOTE;
		raft_sim_say(sim, "%zu: term %" PRIu64 " vote %" PRIx64, i, a->term, a->voted_for);
		raft_sim_disk_queue(sim, s, &op, STR_NONE);
		break;
	case RAFT_CORE_TRUNCATE:
		op.kind = SIM_TRUNCATE;
		sim->seen.truncates++;
		raft_sim_say(sim, "%zu: truncate %" PRIu64, i, a->index);
		raft_sim_disk_queue(sim, s, &op, STR_NONE);
		break;
	case RAFT_CORE_APPEND:
		op = (struct raft_sim_disk_op){ .kind = SIM_SET,
			.index = a->entry.index,
			.term = a->entry.term,
			.type = a->entry.type };
		if (a->entry.index != s->view.first + s->view.count) {
			raft_sim_fail(sim, "%zu: entry %" PRIu64 " is not the next", i, op.index);
			break;
		}
		raft_sim_disk_queue(sim, s, &op, a->entry.bytes);
		break;
	case RAFT_CORE_SEND:
	case RAFT_CORE_SEND_SNAPSHOT:
		raft_sim_outbox_put(sim, i, a, a->kind == RAFT_CORE_SEND_SNAPSHOT);
		break;
	case RAFT_CORE_SNAPSHOT:
		raft_sim_say(sim, "%zu: takes snapshot %" PRIu64, i, a->meta.index);
		snapshot_take(sim, i, a);
		break;
	case RAFT_CORE_INSTALLED:
		op.kind = SIM_RESET;
		op.index = a->meta.index + 1;
		raft_sim_say(sim, "%zu: installed %" PRIu64, i, a->meta.index);
		if (s->snapshot.meta.index != a->meta.index)
			raft_sim_fail(sim, "%zu: installed what is not on the disk", i);
		raft_sim_disk_queue(sim, s, &op, STR_NONE);
		break;
	case RAFT_CORE_DROP:
		op.kind = SIM_DROP;
		if (s->snapshot.meta.index < a->index)
			raft_sim_fail(sim, "%zu: drops what is in no snapshot", i);
		raft_sim_disk_queue(sim, s, &op, STR_NONE);
		break;
	case RAFT_CORE_ANSWER:
		answer(sim, i, a);
		break;
	case RAFT_CORE_STOPPED:
		raft_sim_fail(sim, "%zu: stopped: " STR_FMT, i, STR_ARG(a->text));
		break;
	case RAFT_CORE_NOTE:
		raft_sim_say(sim, "%zu:     " STR_FMT, i, STR_ARG(a->text));
		break;
	case RAFT_CORE_CHANGED:
	case RAFT_CORE_APPLIED:
		break;
	}
}

void
raft_sim_drain(struct raft_sim *sim, size_t i)
{
	struct raft_core_action a;

	while (raft_core_action_next(sim->servers[i].core, &a))
		carry_out(sim, i, &a);
	raft_sim_check(sim, i);
}

/* A server's life. */

struct raft_sim *
raft_sim_new(const struct raft_sim_config *config)
{
	struct raft_sim *sim = mem_new(struct raft_sim);

	sim->config = *config;
	sim->now = EPOCH;
	sim->next_id = 100;
	rng_init(&sim->rng, config->seed);
	memset(sim->cluster.b, 0xc1, sizeof sim->cluster.b);
	for (size_t i = 0; i < RAFT_SIM_SERVERS; i++) {
		struct raft_sim_server *s = &sim->servers[i];

		s->id = sim->next_id++;
		memset(s->agent.b, 0xa0 + (int)i, sizeof s->agent.b);
		s->log.first = s->view.first = 1;
		raft_sim_snapshot_done(&s->snapshot);
		raft_sim_snapshot_done(&s->storing);
	}
	return sim;
}

static struct raft_core_config
core_config(const struct raft_sim *sim, size_t i)
{
	const struct raft_sim_server *s = &sim->servers[i];

	return (struct raft_core_config){ .id = s->id,
		.agent = s->agent,
		.cluster = sim->cluster,
		.fsm = s->fsm,
		.snapshot_entries = sim->config.snapshot_entries,
		.trail = sim->config.trail,
		.notes = sim->config.trace };
}

void
raft_sim_found(struct raft_sim *sim, size_t i)
{
	struct raft_sim_server *s = &sim->servers[i];
	struct raft_core_config config = core_config(sim, i);
	struct raft_sim_disk_op op = { .kind = SIM_SET, .index = 1, .term = 1 };
	struct raft_log_entry e;

	buf_init(&op.bytes, DATA_MAX);
	e = raft_core_first_entry(&config, &op.bytes);
	op.type = e.type;
	raft_sim_check_entry(sim, i, &e);
	raft_sim_log_add(&s->log, &op);
	buf_done(&op.bytes);
}

static void
snapshot_restore(struct raft_sim *sim, struct raft_sim_server *s)
{
	struct fsm_load *load = fsm_load_new(sim->now);
	struct err err = { 0 };

	if (fsm_load_feed(load, buf_str(&s->snapshot.data), &err) != 0 ||
	    fsm_load_finish(load, s->fsm, &err) != 0)
		raft_sim_fail(sim, "a snapshot does not load: %s", err.text);
	fsm_load_free(load);
}

void
raft_sim_start(struct raft_sim *sim, size_t i)
{
	struct raft_sim_server *s = &sim->servers[i];
	struct raft_core_found found = { .term = s->term, .voted_for = s->voted_for };
	struct raft_log_entry *entries;
	struct raft_core_config config;
	const struct raft_snapshot_meta *meta = &s->snapshot.meta;
	struct err err = { 0 };

	assert(s->core == NULL);
	s->fsm = fsm_new(NULL);
	if (meta->index != 0) {
		snapshot_restore(sim, s);
		found.snapshot = meta;
		/* As raft_log_open(): what contradicts the snapshot or ends before it is none. */
		if (s->log.count == 0 || raft_sim_log_last(&s->log) < meta->index ||
		    s->log.first > meta->index + 1 ||
		    (meta->index >= s->log.first &&
			s->log.entries[meta->index - s->log.first].term != meta->term))
			raft_sim_log_reset(&s->log, meta->index + 1);
	}
	entries = mem_zalloc((s->log.count + 1) * sizeof *entries);
	for (size_t k = 0; k < s->log.count; k++) {
		const struct raft_sim_disk_op *op = &s->log.entries[k];

		entries[k] =
		    (struct raft_log_entry){ op->index, op->term, op->type, buf_str(&op->bytes) };
	}
	found.entries = entries;
	found.count = s->log.count;
	raft_sim_log_copy(&s->view, &s->log);
	s->seen_applied = meta->index;
	s->seen_commit = s->seen_term = 0;
	s->ticket = s->done = 0;
	config = core_config(sim, i);
	s->core = raft_core_new(&config, rng_u64(&sim->rng), raft_sim_now(sim));
	raft_sim_say(sim,
	    "%zu: starts as %" PRIu64 " term %" PRIu64 " log %" PRIu64 "-%" PRIu64
	    " snapshot %" PRIu64,
	    i, s->id, s->term, s->log.first, raft_sim_log_last(&s->log), meta->index);
	if (raft_core_start(s->core, raft_sim_now(sim), &found, &err) != 0)
		raft_sim_fail(sim, "%zu: does not start: %s", i, err.text);
	free(entries);
	raft_sim_drain(sim, i);
}

static void
requests_lost(struct raft_sim *sim, size_t i)
{
	for (size_t k = 0; k < sim->request_count; k++)
		if (sim->requests[k].open && sim->requests[k].server == i) {
			sim->requests[k].open = false;
			sim->requests[k].code = ERR_STATE;
		}
}

void
raft_sim_crash(struct raft_sim *sim, size_t i)
{
	struct raft_sim_server *s = &sim->servers[i];

	if (s->core == NULL)
		return;
	raft_sim_say(sim, "%zu: crashes", i);
	sim->seen.crashes++;
	raft_core_free(s->core);
	fsm_free(s->fsm);
	s->core = NULL;
	s->fsm = NULL;
	raft_sim_disk_lost(sim, s);
	for (size_t k = 0; k < s->out; k++)
		raft_sim_message_done(&s->outbox[k]);
	s->out = 0;
	requests_lost(sim, i);
}

void
raft_sim_wipe(struct raft_sim *sim, size_t i)
{
	struct raft_sim_server *s = &sim->servers[i];

	assert(s->core == NULL);
	raft_sim_log_reset(&s->log, 1);
	raft_sim_snapshot_done(&s->snapshot);
	s->term = s->voted_for = 0;
	s->id = sim->next_id++;
}

void
raft_sim_free(struct raft_sim *sim)
{
	for (size_t i = 0; i < RAFT_SIM_SERVERS; i++) {
		struct raft_sim_server *s = &sim->servers[i];

		raft_sim_crash(sim, i);
		raft_sim_log_done(&s->log);
		raft_sim_log_done(&s->view);
		buf_done(&s->snapshot.config);
		buf_done(&s->snapshot.data);
		buf_done(&s->storing.config);
		buf_done(&s->storing.data);
		free(s->queue);
		free(s->outbox);
	}
	while (sim->wired > 0)
		raft_sim_message_done(&sim->wire[--sim->wired]);
	free(sim->wire);
	free(sim->requests);
	free(sim->committed);
	free(sim->entries);
	free(sim->leaders);
	free(sim->votes);
	free(sim->states);
	free(sim);
}

/* Time. */

static nsec
server_next(const struct raft_sim_server *s)
{
	nsec at;

	if (s->core == NULL)
		return NSEC_NEVER;
	at = raft_core_deadline(s->core);
	if (s->batch > 0)
		at = nsec_min(at, s->synced_at);
	if (s->stored_at != 0)
		at = nsec_min(at, s->stored_at);
	return at;
}

static void
server_due(struct raft_sim *sim, size_t i)
{
	struct raft_sim_server *s = &sim->servers[i];

	if (s->core != NULL && s->batch > 0 && s->synced_at <= sim->now)
		raft_sim_disk_synced(sim, i);
	if (s->core != NULL && s->stored_at != 0 && s->stored_at <= sim->now)
		raft_sim_disk_stored(sim, i);
	if (s->core != NULL && raft_core_deadline(s->core) <= sim->now) {
		raft_core_tick(s->core, raft_sim_now(sim));
		raft_sim_drain(sim, i);
	}
}

static bool
step(struct raft_sim *sim, nsec until)
{
	nsec at = until;

	for (size_t i = 0; i < RAFT_SIM_SERVERS; i++)
		at = nsec_min(at, server_next(&sim->servers[i]));
	for (size_t k = 0; k < sim->wired; k++)
		at = nsec_min(at, sim->wire[k].at);
	if (at > sim->now)
		sim->now = at;
	for (size_t i = 0; i < RAFT_SIM_SERVERS; i++)
		server_due(sim, i);
	for (size_t k = 0; k < sim->wired; k++)
		if (sim->wire[k].at <= sim->now) {
			raft_sim_deliver(sim, k);
			break;
		}
	return sim->broken[0] == '\0' && sim->now < until;
}

void
raft_sim_run(struct raft_sim *sim, nsec span)
{
	nsec until = sim->now + span;

	while (step(sim, until))
		;
}

bool
raft_sim_until(struct raft_sim *sim, nsec span, bool (*holds)(struct raft_sim *, void *), void *arg)
{
	nsec until = sim->now + span;

	while (!holds(sim, arg))
		if (!step(sim, until))
			return sim->broken[0] == '\0' && holds(sim, arg);
	return true;
}

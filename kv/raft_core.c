/* kv/raft_core.c -- the life of a server's Raft core, its actions, what it tells of itself.
 *
 * Parts: new, start, free; what was said; ending; calls that feed; status.
 */
#include "kv/raft_core.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kv/raft_core_priv.h"

#define ELECTION_TIMEOUT NSEC_SEC
#define HEARTBEAT (100 * NSEC_MS)

/* Life. */

static void
note(struct raft_tracer *t, int type, const void *info)
{
	struct raft_core *c = t->impl;
	const struct raft_tracer_info *i = info;
	struct raft_core_action *a;
	char *text;

	if (type != RAFT_TRACER_DIAGNOSTIC || i->diagnostic.level > 3)
		return;
	a = core_say(c, RAFT_CORE_NOTE);
	text = str_dup(str_trim(str_of(i->diagnostic.message)));
	a->text = str_of(text);
	core_own(c, text);
}

struct raft_core *
raft_core_new(const struct raft_core_config *config, uint64_t seed, struct now now)
{
	struct raft_core *c = mem_new(struct raft_core);
	char address[CORE_ADDRESS_SIZE];
	struct rng rng;

	c->config = *config;
	if (c->config.election_timeout == 0)
		c->config.election_timeout = ELECTION_TIMEOUT;
	if (c->config.heartbeat == 0)
		c->config.heartbeat = HEARTBEAT;
	if (c->config.snapshot_entries == 0)
		c->config.snapshot_entries = CORE_SNAPSHOT_ENTRIES;
	if (c->config.snapshot_bytes == 0)
		c->config.snapshot_bytes = CORE_SNAPSHOT_BYTES;
	if (c->config.trail == 0)
		c->config.trail = RAFT_CORE_ENTRY_TRAIL;
	core_log_init(&c->log, 1);
	spare_init(&c->spare_waiters, sizeof(struct core_waiter), CORE_WAITERS_KEPT);
	buf_init(&c->config_bytes, CORE_CONFIG_MAX);
	buf_init(&c->result, FSM_RESULT_MAX + 1);
	buf_init(&c->send, 2 * RAFT_CORE_MESSAGE_MAX);
	RB_INIT(&c->requests);
	RB_INIT(&c->applied_waits);
	TAILQ_INIT(&c->ops);
	TAILQ_INIT(&c->reads);
	TAILQ_INIT(&c->asked);
	/* Without an error: only memory can fail, and then the process has ended. */
	if (raft_init(&c->raft, NULL, NULL, config->id,
		core_address(&config->agent, config->id, address)) != 0)
		abort();
	c->tracer = (struct raft_tracer){ c, 2, note };
	c->raft.tracer = config->notes ? &c->tracer : NULL; /* else it prints for nobody */
	rng_init(&rng, seed);
	raft_seed(&c->raft, rng_u32(&rng));
	raft_set_election_timeout(&c->raft, (unsigned)(c->config.election_timeout / NSEC_MS));
	raft_set_heartbeat_timeout(&c->raft, (unsigned)(c->config.heartbeat / NSEC_MS));
	raft_set_install_snapshot_timeout(&c->raft, (unsigned)(CORE_INSTALL_TIMEOUT / NSEC_MS));
	raft_set_pre_vote(&c->raft, true);
	raft_set_max_inflight_entries(&c->raft, CORE_INFLIGHT_MAX);
	core_begin(c, now);
	return c;
}

static void
actions_free(struct raft_core *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->actions[i].owned);
	c->head = c->count = 0;
	for (size_t i = 0; i < c->graves; i++)
		free(c->grave[i]);
	c->graves = 0;
}

void
raft_core_free(struct raft_core *c)
{
	if (c == NULL)
		return;
	core_waiters_free(c);
	actions_free(c);
	free(c->actions);
	free(c->grave);
	core_log_done(&c->log);
	core_meta_clear(&c->snapshot);
	core_meta_clear(&c->taking);
	if (c->installing.index != 0)
		raft_configuration_close(&c->install_config);
	core_meta_clear(&c->installing);
	buf_done(&c->config_bytes);
	buf_done(&c->result);
	buf_done(&c->send);
	free(c->batch);
	c->raft.tracer = NULL;
	raft_close(&c->raft, NULL);
	free(c);
}

/* What was found on the disk, looked at before libraft takes it for granted. */
static int
found_check(struct raft_core *c, const struct raft_core_found *f, struct err *err)
{
	const struct raft_snapshot_meta *s = f->snapshot;
	uint64_t applied = fsm_raft_index(c->config.fsm), index, term = 0;

	if (s != NULL && (s->index == 0 || s->term == 0 || !core_config_valid(s->config)))
		return err_set(err, ERR_INPUT,
		    "the snapshot of entry %" PRIu64 " does not say which servers there are",
		    s->index);
	if (s != NULL && !uuid_eq(&s->cluster_id, &c->config.cluster))
		return err_set(err, ERR_CONFLICT, "the snapshot is another cluster's");
	if (applied != (s == NULL ? 0 : s->index))
		return err_set(err, ERR_STATE,
		    "the state is that of entry %" PRIu64 ", the snapshot of entry %" PRIu64,
		    applied, s == NULL ? 0 : s->index);
	if (f->count == 0)
		return 0;
	index = f->entries[0].index;
	if (index == 0 || index > (s == NULL ? 1 : s->index + 1) ||
	    (s == NULL && f->entries[0].type != RAFT_CHANGE))
		return err_set(err, ERR_INPUT,
		    "the log begins with entry %" PRIu64
		    " of type %u and the snapshot ends with entry %" PRIu64,
		    index, f->entries[0].type, s == NULL ? 0 : s->index);
	for (size_t i = 0; i < f->count; i++) {
		const struct raft_log_entry *e = &f->entries[i];

		if (e->index != index + i || e->term < term || e->term == 0 ||
		    e->type < RAFT_COMMAND || e->type > RAFT_CHANGE ||
		    (e->type == RAFT_CHANGE && !core_config_valid(e->bytes)))
			return err_set(
			    err, ERR_INPUT, "entry %" PRIu64 " of the log is broken", index + i);
		term = e->term;
	}
	return 0;
}

/* The entries as libraft wants them: one array and one batch of raft_malloc(), which it frees
 * itself only when it fails. */
static struct raft_entry *
found_entries(struct raft_core *c, const struct raft_core_found *f)
{
	struct raft_entry *entries = raft_malloc(f->count * sizeof *entries);
	void *batch = raft_malloc(1);

	if (entries == NULL || batch == NULL)
		abort();
	for (size_t i = 0; i < f->count; i++) {
		const struct raft_log_entry *e = &f->entries[i];
		struct core_entry own = { e->term, e->type, (uint32_t)e->bytes.n, NULL };

		own.bytes = mem_alloc(e->bytes.n + 1);
		if (e->bytes.n > 0)
			memcpy(own.bytes, e->bytes.p, e->bytes.n);
		core_log_add(&c->log, own);
		entries[i] =
		    (struct raft_entry){ e->term, e->type, { own.bytes, e->bytes.n }, batch };
	}
	return entries;
}

/* Whether a configuration has us as its only voter; notes whether it has us at all. */
static bool
found_config(struct raft_core *c, struct str config)
{
	struct raft_configuration servers;
	bool others = false, ours = false;

	if (core_config_decode(config, &servers) != 0)
		return false;
	for (unsigned i = 0; i < servers.n; i++) {
		if (servers.servers[i].id == c->config.id)
			c->was_server = true;
		if (servers.servers[i].role != RAFT_VOTER)
			continue;
		if (servers.servers[i].id == c->config.id)
			ours = true;
		else
			others = true;
	}
	raft_configuration_close(&servers);
	return ours && !others;
}

/* Whether the newest one there is does. */
static bool
found_sole(struct raft_core *c, const struct raft_core_found *f)
{
	bool sole = f->snapshot != NULL && found_config(c, f->snapshot->config);

	for (size_t i = 0; i < f->count; i++)
		if (f->entries[i].type == RAFT_CHANGE)
			sole = found_config(c, f->entries[i].bytes);
	return sole;
}

int
raft_core_start(
    struct raft_core *c, struct now now, const struct raft_core_found *found, struct err *err)
{
	struct raft_core_found f = *found;
	struct raft_event ev = { .type = RAFT_START };
	struct raft_snapshot_metadata meta;
	struct raft_core_action *a;
	uint64_t newest;
	int code;

	assert(!c->started);
	core_begin(c, now);
	if ((code = found_check(c, &f, err)) != 0)
		return code;
	if (f.snapshot != NULL && f.count > 0 && f.entries[f.count - 1].index < f.snapshot->index)
		f.count = 0; /* all is in the snapshot */
	newest = f.count > 0 ? f.entries[f.count - 1].term : 0;
	if (f.snapshot != NULL && f.snapshot->term > newest)
		newest = f.snapshot->term;
	ev.start.term = f.term;
	ev.start.voted_for = f.voted_for;
	if (newest > f.term) { /* no vote of that term was sent: it would be on the disk */
		ev.start.term = newest;
		ev.start.voted_for = 0;
	}
	/* A sole voter becomes leader without an election, and libraft leaves it in the term it
	 * had: entries that a non-voter got before a crash, and that the disk here did not, would
	 * have twins of the same index and term. So it begins a term of its own. */
	if (found_sole(c, &f)) {
		ev.start.term++;
		ev.start.voted_for = c->config.id;
	}
	if (ev.start.term != f.term || ev.start.voted_for != f.voted_for) {
		a = core_say(c, RAFT_CORE_VOTE);
		a->term = ev.start.term;
		a->voted_for = ev.start.voted_for;
	}
	c->started = true;
	ev.start.start_index = f.snapshot != NULL ? f.snapshot->index + 1 : 1;
	if (f.snapshot != NULL) {
		const struct raft_snapshot_meta *s = f.snapshot;

		core_meta_set(&c->snapshot, s->index, s->term, s->config_index, s->config);
		buf_add(&c->config_bytes, s->config);
		c->config_index = s->config_index;
		c->applied = s->index;
		c->applied_term = s->term;
		meta = (struct raft_snapshot_metadata){
			.index = s->index, .term = s->term, .configuration_index = s->config_index
		};
		if (core_config_decode(s->config, &meta.configuration) != 0)
			abort();
		ev.start.metadata = &meta; /* takes the configuration */
	}
	if (f.count > 0) {
		ev.start.start_index = f.entries[0].index;
		core_log_init(&c->log, f.entries[0].index);
		ev.start.entries = found_entries(c, &f);
		ev.start.n_entries = (unsigned)f.count;
	} else {
		core_log_init(&c->log, ev.start.start_index);
	}
	code = core_step(c, &ev);
	if (code == 0 && f.count > 0) {
		raft_free(ev.start.entries[0].batch);
		raft_free(ev.start.entries);
	}
	core_settle(c);
	return c->stopped ? err_set(err, ERR_STATE, "Raft does not start: %s", raft_strerror(code))
			  : 0;
}

/* What was said. */

void
core_begin(struct raft_core *c, struct now now)
{
	if (c->head == c->count)
		actions_free(c);
	if (now.mono > c->now)
		c->now = now.mono;
	c->ms = (raft_time)(c->now / NSEC_MS);
}

struct raft_core_action *
core_say(struct raft_core *c, enum raft_core_action_kind kind)
{
	struct core_queued *q;

	c->actions = mem_grow(c->actions, c->count, &c->action_cap, sizeof *c->actions);
	q = &c->actions[c->count++];
	*q = (struct core_queued){ .action = { .kind = kind } };
	return &q->action;
}

void
core_own(struct raft_core *c, char *bytes)
{
	c->actions[c->count - 1].owned = bytes;
}

void
core_bury(struct raft_core *c, char *bytes)
{
	c->grave = mem_grow(c->grave, c->graves, &c->grave_cap, sizeof *c->grave);
	c->grave[c->graves++] = bytes;
}

bool
raft_core_action_next(struct raft_core *c, struct raft_core_action *out)
{
	if (c->head == c->count && c->started)
		core_flush(c);
	if (c->head == c->count)
		return false;
	*out = c->actions[c->head++].action;
	if (out->kind == RAFT_CORE_SNAPSHOT)
		core_snapshot_now(c, out);
	return true;
}

void
core_send(struct raft_core *c, struct raft_wire *m, uint64_t to)
{
	struct raft_core_action *a;
	char *bytes;

	m->cluster = c->config.cluster;
	m->from = c->config.id;
	m->to = to;
	buf_clear(&c->send);
	raft_wire_write(&c->send, m);
	bytes = str_dup(buf_str(&c->send));
	a = core_say(c, RAFT_CORE_SEND);
	a->peer = to;
	a->bytes = str_mem(bytes, c->send.n);
	core_own(c, bytes);
}

void
core_meta_clear(struct core_meta *m)
{
	free(m->config);
	*m = (struct core_meta){ 0 };
}

void
core_meta_set(
    struct core_meta *m, uint64_t index, uint64_t term, uint64_t config_index, struct str config)
{
	char *copy = str_dup(config);

	core_meta_clear(m);
	*m = (struct core_meta){ index, term, config_index, copy, config.n };
}

struct raft_snapshot_meta
core_meta_of(const struct raft_core *c, const struct core_meta *m)
{
	return (struct raft_snapshot_meta){ m->index, m->term, m->config_index, c->config.cluster,
		str_mem(m->config, m->config_size) };
}

/* Ending. */

void
core_stop(struct raft_core *c, const char *fmt, ...)
{
	struct raft_core_action *a;
	char text[ERR_TEXT_MAX];
	char *own;
	va_list args;

	if (c->stopped)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	c->stopped = true;
	sessions_follow(fsm_sessions(c->config.fsm));
	core_waiters_fail(c);
	own = str_dup(str_of(text));
	a = core_say(c, RAFT_CORE_STOPPED);
	a->text = str_of(own);
	core_own(c, own);
}

/* Calls that feed. */

void
raft_core_durable(struct raft_core *c, struct now now, uint64_t index)
{
	struct raft_event ev = { .type = RAFT_PERSISTED_ENTRIES };

	if (!c->started || c->stopped)
		return;
	core_begin(c, now);
	core_flush(c);
	/* While a snapshot is being installed the log has begun anew; nothing was appended. */
	if (c->installing.index == 0 && index > c->raft.last_stored && index <= c->log.last) {
		ev.persisted_entries.index = index;
		core_step(c, &ev);
		core_stand(c);
	}
	core_settle(c);
}

/* Sole voters elect themselves without a vote, and libraft would leave them in the term in which
 * another may just have led: see raft_core_start(). */
static void
sole_voter_term(struct raft_core *c)
{
	struct raft_core_action *a;

	if (c->raft.state != RAFT_FOLLOWER || !core_sole_voter(c) || c->installing.index != 0 ||
	    c->raft.last_stored < c->log.last)
		return;
	c->raft.current_term++;
	c->raft.voted_for = c->config.id;
	a = core_say(c, RAFT_CORE_VOTE);
	a->term = c->raft.current_term;
	a->voted_for = c->config.id;
}

void
raft_core_tick(struct raft_core *c, struct now now)
{
	struct raft_event ev = { .type = RAFT_TIMEOUT };

	if (!c->started || c->stopped)
		return;
	core_begin(c, now);
	core_flush(c);
	if (c->ms >= raft_timeout(&c->raft)) {
		sole_voter_term(c);
		core_leader_forget(c);
		core_step(c, &ev);
		core_who(c);
	}
	core_read_tick(c);
	core_tell_tick(c);
	core_settle(c);
}

nsec
raft_core_deadline(const struct raft_core *c)
{
	nsec at;

	if (!c->started || c->stopped)
		return NSEC_NEVER;
	at = (nsec)raft_timeout(&c->raft) * NSEC_MS;
	if (c->asking)
		at = nsec_min(at, c->ask_again);
	if (c->tell_due != 0)
		at = nsec_min(at, c->tell_due);
	return nsec_min(at, core_snapshot_deadline(c));
}

int
raft_core_transfer(struct raft_core *c, struct now now, uint64_t id, struct err *err)
{
	struct raft_event ev = { .type = RAFT_TRANSFER };
	int code = 0;

	if (!core_leads(c))
		return err_set(err, ERR_REFUSED, "not the leader");
	core_begin(c, now);
	core_flush(c);
	if (id != 0 && (id == c->config.id || !core_is_voter(c, id)))
		return err_set(err, ERR_NOT_FOUND, "%016" PRIx64 " is no other voter", id);
	if (raft_transferee(&c->raft) != 0)
		return err_set(err, ERR_CONFLICT, "leadership is being handed over already");
	if (c->change_index != 0 || c->promotee != 0)
		return err_set(err, ERR_CONFLICT, "the servers are being changed");
	ev.transfer.server_id = id;
	if (core_step(c, &ev) != 0)
		code = err_set(err, ERR_NOT_FOUND, "there is no other voter");
	core_settle(c);
	return code;
}

/* Status. */

struct core_peer *
core_peer(struct raft_core *c, uint64_t id)
{
	for (size_t i = 0; i < c->peer_count; i++)
		if (c->peers[i].id == id)
			return &c->peers[i];
	if (c->peer_count == RAFT_CORE_SERVERS_MAX) { /* make room: who is no server any more */
		size_t kept = 0;

		for (size_t i = 0; i < c->peer_count; i++)
			if (core_server(c, c->peers[i].id) != NULL)
				c->peers[kept++] = c->peers[i];
		c->peer_count = kept;
	}
	if (c->peer_count == RAFT_CORE_SERVERS_MAX)
		return NULL;
	c->peers[c->peer_count] = (struct core_peer){ .id = id };
	return &c->peers[c->peer_count++];
}

struct raft_core_status
raft_core_status(const struct raft_core *c, struct now now)
{
	struct raft_core_status s = { .stopped = c->stopped };

	s.removed = c->removed;
	s.leader = core_leads(c);
	s.candidate = !c->stopped && c->raft.state == RAFT_CANDIDATE;
	s.led_long = s.leader && c->led_long;
	s.term = c->raft.current_term;
	if (s.leader)
		s.leader_id = c->config.id;
	else if (!c->stopped && c->raft.state == RAFT_FOLLOWER)
		s.leader_id = c->raft.follower_state.current_leader.id;
	s.in_step = s.led_long || (c->led_by && c->applied >= c->led_first &&
				      c->applied_term == c->raft.current_term);
	s.last = c->log.last;
	s.applied = c->applied;
	/* What a snapshot brought is committed, before libraft is told that it is on the disk. */
	s.commit = c->raft.commit_index > c->applied ? c->raft.commit_index : c->applied;
	s.snapshot = c->snapshot.index;
	s.contact = s.leader ? now.mono : c->contact;
	s.dropped = c->dropped;
	s.waiting = c->waiting;
	return s;
}

bool
raft_core_progress(const struct raft_core *c, uint64_t id, uint64_t *match, nsec *heard)
{
	raft_index index;

	if (!core_leads(c) || raft_match_index(&c->raft, id, &index) != 0)
		return false;
	*match = index;
	*heard = id == c->config.id ? c->now : 0;
	for (size_t i = 0; i < c->peer_count; i++)
		if (c->peers[i].id == id)
			*heard = c->peers[i].heard;
	return true;
}

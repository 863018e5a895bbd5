/* kv/raft_core_snapshot.c -- snapshots taken here, and those that a leader sends.
 *
 * One that a leader sends goes three steps: its data is in the state machine (all or nothing),
 * libraft has forgotten the log and waits; SNAPSHOT asks for it on the disk; once there,
 * INSTALLED begins the log anew and the leader is told. A crash before leaves what was on the
 * disk, of which nothing was taken back.
 *
 * Facts of libraft 0.22: a SNAPSHOT event must be of an entry still in the log and newer than
 * the snapshot before; entries are counted behind it (`trailing`). While one is being installed
 * no entry counts as durable, and another INSTALL SNAPSHOT would leak what it carries.
 */
#include <assert.h>
#include <inttypes.h>

#include "kv/raft_core_priv.h"

static void
snapshot_say(struct raft_core *c, const struct core_meta *m)
{
	struct raft_core_action *a = core_say(c, RAFT_CORE_SNAPSHOT);

	a->index = m->index;
	a->meta = core_meta_of(c, m);
}

void
core_snapshot_settle(struct raft_core *c)
{
	if (c->taking.index != 0 || c->now < c->snapshot_retry)
		return; /* one at a time */
	if (c->installing.index != 0) {
		if (!c->install_asked)
			snapshot_say(c, &c->installing);
		c->install_asked = true;
		return;
	}
	if (c->applied <= c->snapshot.index || c->config_index == 0 ||
	    (c->since_entries < c->config.snapshot_entries &&
		c->since_bytes < c->config.snapshot_bytes))
		return;
	core_meta_set(
	    &c->taking, c->applied, c->applied_term, c->config_index, buf_str(&c->config_bytes));
	c->since_entries = c->since_bytes = 0;
	snapshot_say(c, &c->taking);
}

/* It is handed out to be taken: of the state as it is by now, of which more may have been applied
 * since it was said. While one is being installed nothing is applied. */
void
core_snapshot_now(struct raft_core *c, struct raft_core_action *a)
{
	if (c->taking.index == 0 || a->index != c->taking.index || c->applied <= a->index)
		return;
	core_meta_clear(&c->taking);
	core_meta_set(
	    &c->taking, c->applied, c->applied_term, c->config_index, buf_str(&c->config_bytes));
	a->index = c->taking.index;
	a->meta = core_meta_of(c, &c->taking);
}

nsec
core_snapshot_deadline(const struct raft_core *c)
{
	bool wanted = c->taking.index == 0 && ((c->installing.index != 0 && !c->install_asked) ||
						  c->since_entries >= c->config.snapshot_entries ||
						  c->since_bytes >= c->config.snapshot_bytes);

	return wanted && c->snapshot_retry > c->now ? c->snapshot_retry : NSEC_NEVER;
}

/* One that was taken here is durable. */
static void
taken(struct raft_core *c)
{
	struct core_meta *m = &c->taking;
	struct raft_event ev = { .type = RAFT_SNAPSHOT };
	struct raft_event durable = { .type = RAFT_PERSISTED_ENTRIES };
	unsigned trailing = core_log_trailing(&c->log, m->index, c->config.trail);
	uint64_t first = c->log.first;

	if (c->installing.index != 0 || m->index <= c->snapshot.index ||
	    core_log_at(&c->log, m->index) == NULL)
		return; /* a newer one came from the leader meanwhile */
	/* The log on the disk may be behind: what is in the snapshot is durable all the same, and
	 * libraft counts from entries that it still knows. */
	durable.persisted_entries.index = m->index;
	if (c->raft.last_stored < m->index && core_step(c, &durable) != 0)
		return;
	ev.snapshot.metadata.index = m->index;
	ev.snapshot.metadata.term = m->term;
	ev.snapshot.metadata.configuration_index = m->config_index;
	ev.snapshot.trailing = trailing;
	if (core_config_decode(
		str_mem(m->config, m->config_size), &ev.snapshot.metadata.configuration) != 0) {
		core_stop(c, "the configuration of the snapshot is broken");
		return;
	}
	core_meta_clear(&c->snapshot);
	c->snapshot = *m;
	*m = (struct core_meta){ 0 };
	core_step(c, &ev);
	core_log_drop(&c->log, c->raft.trail.offset);
	if (c->log.first > first) {
		struct raft_core_action *a = core_say(c, RAFT_CORE_DROP);

		a->index = c->log.first - 1;
	}
}

/* One that came from the leader is durable. */
static void
installed(struct raft_core *c)
{
	struct raft_event ev = { .type = RAFT_PERSISTED_SNAPSHOT };
	struct raft_core_action *a;

	core_meta_clear(&c->snapshot);
	c->snapshot = c->installing;
	c->installing = (struct core_meta){ 0 };
	a = core_say(c, RAFT_CORE_INSTALLED);
	a->index = c->snapshot.index;
	a->meta = core_meta_of(c, &c->snapshot);
	ev.persisted_snapshot.metadata.index = c->snapshot.index;
	ev.persisted_snapshot.metadata.term = c->snapshot.term;
	ev.persisted_snapshot.metadata.configuration_index = c->snapshot.config_index;
	ev.persisted_snapshot.metadata.configuration = c->install_config;
	ev.persisted_snapshot.last = true;
	core_step(c, &ev);
}

void
raft_core_snapshot_stored(struct raft_core *c, struct now now, uint64_t index)
{
	if (!c->started || c->stopped)
		return;
	core_begin(c, now);
	core_flush(c);
	if (c->taking.index != 0 && (index == 0 || index == c->taking.index)) {
		if (index != 0) {
			taken(c);
		} else {
			c->since_entries = c->config.snapshot_entries; /* wanted still */
			c->snapshot_retry = c->now + CORE_SNAPSHOT_RETRY;
		}
		core_meta_clear(&c->taking);
	} else if (c->installing.index != 0 && c->install_asked) {
		if (index == c->installing.index) {
			installed(c);
		} else if (index == 0) {
			c->install_asked = false;
			c->snapshot_retry = c->now + CORE_SNAPSHOT_RETRY;
		}
	}
	core_settle(c);
}

/* Libraft's answer to a snapshot it takes: the log is forgotten, the data is in place. */
void
core_installing(struct raft_core *c, const struct raft_snapshot_metadata *meta)
{
	c->install_config = meta->configuration;
	while (c->log.last >= c->log.first)
		core_bury(c, core_log_pop(&c->log).bytes);
	c->log.first = meta->index + 1;
	c->log.last = meta->index;
	c->applied = meta->index;
	c->applied_term = meta->term;
	c->applied_some = true;
	c->since_entries = c->since_bytes = 0;
	c->install_asked = false;
	c->snapshot_retry = 0;
	core_applied_answer(c);
}

/* Whether libraft would take it; else it only answers. */
static bool
wanted(const struct raft_core *c, const struct raft_wire *m)
{
	const struct core_entry *e = core_log_at(&c->log, m->index);

	return m->index > c->snapshot.index && (e == NULL || e->term != m->index_term);
}

static int
data_load(struct raft_core *c, const struct raft_wire *m,
    int (*read)(void *arg, size_t want, struct buf *, struct err *), void *arg, struct err *err)
{
	struct fsm_load *load = fsm_load_new(c->now);
	struct buf piece;
	int code;

	buf_init(&piece, 4 * CORE_CHUNK);
	do {
		buf_clear(&piece);
		code = read(arg, CORE_CHUNK, &piece, err);
		if (code == 0)
			code = fsm_load_feed(load, buf_str(&piece), err);
	} while (code == 0 && piece.n > 0);
	if (code == 0)
		code = fsm_load_finish(load, c->config.fsm, err);
	buf_done(&piece);
	fsm_load_free(load);
	if (code == 0 && fsm_raft_index(c->config.fsm) != m->index) {
		core_stop(c, "a snapshot of entry %" PRIu64 " came as that of entry %" PRIu64,
		    fsm_raft_index(c->config.fsm), m->index);
		code = err_set(err, ERR_INPUT, "the snapshot is of another entry");
	}
	return code;
}

static int
install_check(const struct raft_core *c, const struct raft_wire *m, struct err *err)
{
	if (m->kind != RAFT_WIRE_SNAPSHOT || !core_config_valid(m->config))
		return err_set(err, ERR_INPUT, "what comes with a snapshot is broken");
	if (m->term < c->raft.current_term ||
	    (m->term == c->raft.current_term && c->raft.state == RAFT_LEADER))
		return err_set(err, ERR_REFUSED, "a snapshot of an old term");
	if (c->installing.index != 0)
		return err_set(err, ERR_STATE, "a snapshot is being installed already");
	if (wanted(c, m) && m->index <= c->applied)
		return err_set(err, ERR_CONFLICT,
		    "a snapshot of entry %" PRIu64 " contradicts what is applied", m->index);
	return 0;
}

int
raft_core_install(struct raft_core *c, struct now now, uint64_t from, struct str bytes,
    int (*read)(void *arg, size_t want, struct buf *, struct err *), void *arg, struct err *err)
{
	struct raft_event ev = { .type = RAFT_RECEIVE };
	struct raft_message message = { .type = RAFT_INSTALL_SNAPSHOT };
	struct raft_install_snapshot *args = &message.install_snapshot;
	char address[CORE_ADDRESS_SIZE];
	struct raft_wire m;
	int code;

	if (!c->started || c->stopped)
		return err_set(err, ERR_STATE, "Raft has stopped here");
	core_begin(c, now);
	core_flush(c);
	code = core_wire_read(c, from, bytes, &m, err);
	if (code == 0)
		code = install_check(c, &m, err);
	if (code != 0) {
		c->dropped++;
		return code;
	}
	if (wanted(c, &m) && (code = data_load(c, &m, read, arg, err)) != 0)
		return code;
	/* The configuration is libraft's from here, whatever it decides. */
	if (core_config_decode(m.config, &args->conf) != 0)
		return err_set(err, ERR_INPUT, "the configuration of a snapshot is broken");
	message.server_id = m.from;
	message.server_address = core_sender(c, m.from, address);
	args->term = m.term;
	args->last_index = m.index;
	args->last_term = m.index_term;
	args->conf_index = m.config_index;
	ev.receive.message = &message;
	c->contact = c->now;
	if (wanted(c, &m)) {
		core_meta_set(&c->installing, m.index, m.index_term, m.config_index, m.config);
		buf_clear(&c->config_bytes);
		buf_add(&c->config_bytes, m.config);
		c->config_index = m.config_index;
		core_step(c, &ev);
		if (!c->raft.snapshot.installing)
			core_stop(
			    c, "libraft did not take the snapshot of entry %" PRIu64, m.index);
	} else {
		core_step(c, &ev);
	}
	core_settle(c);
	return 0;
}

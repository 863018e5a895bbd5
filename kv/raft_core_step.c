/* kv/raft_core_step.c -- the one caller of raft_step(), and what its update says.
 *
 * Facts of libraft 0.22 that this file is built on (its raft.c, replication.c, client.c, recv.c):
 *
 * - The update's pointers are good until the next raft_step(). Messages are only outlines: an
 *   APPEND ENTRIES has no entries, an INSTALL SNAPSHOT no configuration and no data; whoever
 *   sends fills them in from its own log. Addresses in them may be stale: we use ids.
 * - SUBMIT: the entries' terms are the caller's to set; the update's batch is the caller's own
 *   array again, and all memory stays the caller's. `batch` of the first must not be NULL.
 * - When it becomes leader it may add a barrier entry, whose raft_malloc()ed bytes are ours then.
 *   It adds none if all is committed or nobody else votes: then we do, for reads (RULES 11) wait
 *   for an entry of the own term.
 * - RECEIVE of APPEND ENTRIES: it frees entries[0].batch, once, when there is nothing to store
 *   or it failed; else the batch is ours. The array is always ours. To one of an older term it
 *   answers with a last index that it never set.
 * - A configuration in CONFIGURATION, SNAPSHOT and PERSISTED SNAPSHOT events becomes its own.
 *
 * Parts: what is to be stored; what is to be sent; a step; an entry of our own; settling.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kv/raft_core_priv.h"

/* What is to be stored. */

static void
store(struct raft_core *c, const struct raft_update *u)
{
	uint64_t index = u->entries.index;
	struct raft_core_action *a;

	if (index <= c->log.last) {
		while (c->log.last >= index && c->log.last >= c->log.first)
			core_bury(c, core_log_pop(&c->log).bytes);
		a = core_say(c, RAFT_CORE_TRUNCATE);
		a->index = index;
	}
	assert(index == c->log.last + 1);
	for (unsigned i = 0; i < u->entries.n; i++) {
		const struct raft_entry *e = &u->entries.batch[i];
		struct core_entry own = { e->term, (uint16_t)e->type, (uint32_t)e->buf.len, NULL };

		if (u->entries.batch == c->batch) { /* of core_flush(): it is ours already */
			own.bytes = e->buf.base;
		} else {
			own.bytes = mem_alloc(e->buf.len + 1);
			if (e->buf.len > 0)
				memcpy(own.bytes, e->buf.base, e->buf.len);
		}
		core_log_add(&c->log, own);
		a = core_say(c, RAFT_CORE_APPEND);
		a->index = c->log.last;
		a->entry = core_log_entry(&c->log, c->log.last);
	}
	if (u->entries.batch == &c->raft.barrier)
		raft_free(c->raft.barrier.batch);
	else if (c->received != NULL)
		c->batch_taken = true;
}

/* What is to be sent. */

/* Libraft counts entries on their way, not bytes. */
static void
inflight_set(struct raft_core *c)
{
	size_t count = (size_t)(c->log.last + 1 - c->log.first);
	size_t n =
	    count == 0 ? CORE_INFLIGHT_MAX : CORE_INFLIGHT_BYTES / (c->log.bytes / count + 1);

	if (n > CORE_INFLIGHT_MAX)
		n = CORE_INFLIGHT_MAX;
	raft_set_max_inflight_entries(
	    &c->raft, n < CORE_INFLIGHT_MIN ? CORE_INFLIGHT_MIN : (unsigned)n);
}

/* To a server that does not answer libraft sends the same entries anew at every heartbeat, and
 * expects nothing of them but an answer: the first piece does. Once it answers, what is sent
 * is counted as on its way, and all of it must be. */
static bool
sent_again(struct raft_core *c, const struct raft_message *m)
{
	struct core_peer *peer = core_peer(c, m->server_id);
	uint64_t index = m->append_entries.prev_log_index;
	bool again = peer != NULL && peer->sent && peer->sent_index == index;

	if (peer != NULL && m->append_entries.n_entries > 0) {
		peer->sent = true;
		peer->sent_index = index;
	}
	return again;
}

/* One message of libraft's may become several: each a whole APPEND, next to the one before. */
static void
send_append(struct raft_core *c, const struct raft_message *m)
{
	const struct raft_append_entries *args = &m->append_entries;
	struct raft_wire w = { .kind = RAFT_WIRE_APPEND,
		.term = args->term,
		.index = args->prev_log_index,
		.index_term = args->prev_log_term,
		.commit = args->leader_commit };
	unsigned left = args->n_entries;
	bool again = sent_again(c, m);

	do {
		struct buf *out = &c->send;
		struct raft_core_action *a;
		uint64_t next = w.index + 1;
		size_t bytes = 0;
		char *own;

		for (w.count = 0; w.count < left && w.count < RAFT_WIRE_ENTRIES_MAX; w.count++) {
			struct raft_log_entry e = core_log_entry(&c->log, next + w.count);

			if (w.count > 0 && bytes + raft_wire_entry_size(&e) > CORE_CHUNK)
				break;
			bytes += raft_wire_entry_size(&e);
		}
		left -= (unsigned)w.count;
		core_told(c, m->server_id, args->leader_commit);
		w.cluster = c->config.cluster;
		w.from = c->config.id;
		w.to = m->server_id;
		buf_clear(out);
		raft_wire_write(out, &w);
		for (size_t i = 0; i < w.count; i++) {
			struct raft_log_entry e = core_log_entry(&c->log, next + i);

			raft_wire_entry_write(out, &e);
			w.index = e.index;
			w.index_term = e.term;
		}
		assert(!out->full);
		own = str_dup(buf_str(out));
		a = core_say(c, RAFT_CORE_SEND);
		a->peer = m->server_id;
		a->bytes = str_mem(own, out->n);
		core_own(c, own);
	} while (left > 0 && !again);
}

static void
send_snapshot(struct raft_core *c, const struct raft_message *m)
{
	const struct raft_install_snapshot *args = &m->install_snapshot;
	struct raft_wire w = { .kind = RAFT_WIRE_SNAPSHOT,
		.term = args->term,
		.index = args->last_index,
		.index_term = args->last_term,
		.config_index = c->snapshot.config_index,
		.config = str_mem(c->snapshot.config, c->snapshot.config_size) };
	struct core_peer *peer = core_peer(c, m->server_id);
	struct raft_core_action *a;

	assert(args->last_index == c->snapshot.index);
	if (peer != NULL) {
		peer->snapshot_index = args->last_index;
		peer->snapshot_until = c->now + CORE_INSTALL_TIMEOUT;
	}
	core_send(c, &w, m->server_id);
	a = &c->actions[c->count - 1].action;
	a->kind = RAFT_CORE_SEND_SNAPSHOT;
	a->index = args->last_index;
}

static void
send_one(struct raft_core *c, const struct raft_message *m)
{
	struct raft_wire w = { 0 };

	if (m->server_id == 0 || m->server_id == c->config.id)
		return;
	switch (m->type) {
	case RAFT_APPEND_ENTRIES:
		send_append(c, m);
		return;
	case RAFT_INSTALL_SNAPSHOT:
		send_snapshot(c, m);
		return;
	case RAFT_APPEND_ENTRIES_RESULT:
		w.kind = RAFT_WIRE_APPENDED;
		w.term = m->append_entries_result.term;
		w.rejected = m->append_entries_result.rejected;
		w.index = c->outdated ? 0 : m->append_entries_result.last_log_index;
		break;
	case RAFT_REQUEST_VOTE:
		w.kind = RAFT_WIRE_VOTE;
		w.term = m->request_vote.term;
		w.index = m->request_vote.last_log_index;
		w.index_term = m->request_vote.last_log_term;
		w.disrupt = m->request_vote.disrupt_leader;
		w.pre_vote = m->request_vote.pre_vote;
		break;
	case RAFT_REQUEST_VOTE_RESULT:
		w.kind = RAFT_WIRE_VOTED;
		w.term = m->request_vote_result.term;
		w.granted = m->request_vote_result.vote_granted;
		w.pre_vote = m->request_vote_result.pre_vote;
		/* Libraft echoes the term that a pre-vote asked for. Who has the longer log but
		 * an older term would never learn why it is turned down, and nobody could win. */
		if (w.pre_vote && !w.granted && w.term < c->raft.current_term)
			w.term = c->raft.current_term;
		break;
	case RAFT_TIMEOUT_NOW:
		w.kind = RAFT_WIRE_TIMEOUT_NOW;
		w.term = m->timeout_now.term;
		w.index = m->timeout_now.last_log_index;
		w.index_term = m->timeout_now.last_log_term;
		break;
	}
	core_send(c, &w, m->server_id);
}

/* A step. */

/* A follower whose time is over has no leader, whether it may stand or not (it has no vote, its
 * disk is slow), and none of an older term; libraft would have it turn down everybody who asks
 * for its vote. */
void
core_leader_forget(struct raft_core *c)
{
	if (c->raft.state != RAFT_FOLLOWER)
		return;
	raft_free(c->raft.follower_state.current_leader.address);
	c->raft.follower_state.current_leader.address = NULL;
	c->raft.follower_state.current_leader.id = 0;
}

static bool
from_leader(const struct raft_event *ev)
{
	return ev->type == RAFT_RECEIVE && (ev->receive.message->type == RAFT_APPEND_ENTRIES ||
					       ev->receive.message->type == RAFT_INSTALL_SNAPSHOT);
}

int
core_step(struct raft_core *c, struct raft_event *ev)
{
	struct raft_update u = { 0 };
	struct raft_core_action *a;
	uint64_t term = c->raft.current_term;
	int code;

	if (c->stopped)
		return RAFT_SHUTDOWN;
	ev->time = c->ms;
	ev->capacity = 0;
	inflight_set(c);
	code = raft_step(&c->raft, ev, &u);
	if (c->raft.current_term != term && !from_leader(ev))
		core_leader_forget(c);
	if (u.flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR)) {
		a = core_say(c, RAFT_CORE_VOTE);
		a->term = c->raft.current_term;
		a->voted_for = c->raft.voted_for;
	}
	switch (code) {
	case 0:
		break;
	case RAFT_NOTLEADER:
	case RAFT_CANTCHANGE:
	case RAFT_NOTFOUND:
	case RAFT_BADID:
		return code; /* of a request: nothing has changed */
	default:
		core_stop(c, "%s at entry %" PRIu64, raft_strerror(code), c->log.last);
		return code;
	}
	if (u.flags & RAFT_UPDATE_ENTRIES)
		store(c, &u);
	if (u.flags & RAFT_UPDATE_SNAPSHOT)
		core_installing(c, &u.snapshot.metadata);
	if (u.flags & RAFT_UPDATE_MESSAGES)
		for (unsigned i = 0; i < u.messages.n; i++)
			send_one(c, &u.messages.batch[i]);
	core_apply(c);
	return 0;
}

/* An entry of our own: a barrier or a configuration, whose bytes stay the caller's. */
int
core_submit_entry(struct raft_core *c, unsigned short type, char *bytes, size_t n)
{
	struct raft_entry e = { c->raft.current_term, (enum raft_entry_type)type, { bytes, n },
		bytes };
	struct raft_event ev = { .type = RAFT_SUBMIT };

	ev.submit.entries = &e;
	ev.submit.n = 1;
	return core_step(c, &ev);
}

/* Settling: what changed, and what follows from it. */

static void
leadership_lost(struct raft_core *c)
{
	c->led_long = false;
	sessions_follow(fsm_sessions(c->config.fsm));
	core_waiters_fail(c);
}

static void
leadership_begun(struct raft_core *c)
{
	char zero[8] = { 0 };

	c->led_long = c->doubts = false;
	c->forgetful = 0;
	c->peer_count = 0;
	if (c->log.last < c->log.first ||
	    core_log_at(&c->log, c->log.last)->term != c->raft.current_term)
		core_submit_entry(c, RAFT_BARRIER, zero, sizeof zero);
}

static void
led_long(struct raft_core *c)
{
	if (c->led_long || !core_leads(c) || c->applied_term != c->raft.current_term)
		return;
	c->led_long = true;
	sessions_lead(fsm_sessions(c->config.fsm), c->now);
}

static uint64_t
leader_known(const struct raft_core *c)
{
	if (c->raft.state == RAFT_LEADER)
		return c->config.id;
	return c->raft.state == RAFT_FOLLOWER ? c->raft.follower_state.current_leader.id : 0;
}

void
core_settle(struct raft_core *c)
{
	uint64_t config;

	while (!c->stopped &&
	       (c->seen_state != c->raft.state ||
		   (c->raft.state == RAFT_LEADER && c->seen_term != c->raft.current_term))) {
		bool led = c->seen_state == RAFT_LEADER;

		c->seen_state = c->raft.state;
		c->seen_term = c->raft.current_term;
		c->changed = true;
		if (led)
			leadership_lost(c);
		if (c->raft.state == RAFT_LEADER)
			leadership_begun(c);
	}
	if (c->stopped)
		return;
	led_long(c);
	core_change_settle(c);
	core_read_flush(c);
	core_tell_settle(c);
	config = c->raft.configuration_uncommitted_index != 0
		     ? c->raft.configuration_uncommitted_index
		     : c->raft.configuration_committed_index;
	core_config_seen(c, config);
	if (c->seen_term != c->raft.current_term || c->seen_leader != leader_known(c) ||
	    c->seen_config != config)
		c->changed = true;
	c->seen_term = c->raft.current_term;
	c->seen_leader = leader_known(c);
	c->seen_config = config;
	if (c->applied_some)
		core_say(c, RAFT_CORE_APPLIED);
	c->applied_some = false;
	core_snapshot_settle(c);
	if (c->changed)
		core_say(c, RAFT_CORE_CHANGED);
	c->changed = false;
}

/* kv/raft_core_input.c -- messages from other servers, looked at before libraft sees them.
 *
 * Libraft 0.22 trusts its peers: built with assertions it would end the process, without them it
 * would go on with a broken state. What it takes for granted is made sure of here:
 *
 * - An APPEND that starts before the oldest entry kept here (a late copy, say) would be appended
 *   at the wrong place. It is made to start at our snapshot: all up to there is committed, so
 *   every leader has it.
 * - A configuration must be the first new entry of an APPEND, for libraft takes the index of the
 *   first new entry for that of the configuration; and what comes before it must be applied,
 *   for it rolls back to the last configuration it knows to be committed. So an APPEND is fed in
 *   pieces, one up to each configuration.
 * - An APPEND that ends below what is committed here would take the commit index back.
 * - An APPENDED that rejects what the same server acknowledged would turn the leader's book
 *   round. It is an old message, or the server lost its disk: see raft_core_read.c.
 * - Heartbeats to who gets a snapshot name its last entry, and are rejected until it is there;
 *   each rejection would send the snapshot again. Till it is due anew they only say "I live".
 * - Only voters of the own configuration vote: see vote().
 * - Nobody else leads in our own term; a vote only counts for a candidate; a granted pre-vote is
 *   for the next term at most.
 * - A sole voter told to stand for election at once would lead in the term of who told it.
 *
 * Parts: who says it; APPEND; the others.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kv/raft_core_priv.h"

#define VOTE_VERSION 2 /* libraft's own numbers of its messages' layouts */
#define APPENDED_VERSION 2
#define TERM_JUMP ((uint64_t)1 << 32) /* RULES 18 */

/* Who says it. */

int
core_wire_read(
    struct raft_core *c, uint64_t from, struct str bytes, struct raft_wire *m, struct err *err)
{
	int code = raft_wire_read(bytes, m, err);

	if (code != 0)
		return code;
	if (!uuid_eq(&m->cluster, &c->config.cluster))
		return err_set(err, ERR_REFUSED, "a Raft message of another cluster");
	if (m->from != from || m->to != c->config.id)
		return err_set(err, ERR_REFUSED,
		    "a Raft message from %016" PRIx64 " to %016" PRIx64 " came from %016" PRIx64,
		    m->from, m->to, from);
	if (m->term > c->raft.current_term + TERM_JUMP && c->raft.current_term > 0)
		return err_set(err, ERR_LIMIT, "a Raft term that jumps to %" PRIu64, m->term);
	return 0;
}

/* Libraft wants an address to remember a leader by; we only ever use the id. */
const char *
core_sender(const struct raft_core *c, uint64_t id, char out[CORE_ADDRESS_SIZE])
{
	const struct raft_server *s = core_server(c, id);

	if (s == NULL || strlen(s->address) >= CORE_ADDRESS_SIZE)
		return core_address(&(struct uuid){ 0 }, id, out);
	return strcpy(out, s->address);
}

static int
receive(struct raft_core *c, uint64_t from, struct raft_message *message)
{
	struct raft_event ev = { .type = RAFT_RECEIVE };
	char address[CORE_ADDRESS_SIZE];

	message->server_id = from;
	message->server_address = core_sender(c, from, address);
	ev.receive.message = message;
	return core_step(c, &ev);
}

/* APPEND. */

struct append { /* what is left of one */
	const struct raft_wire *m;
	uint64_t index, term; /* of the entry before the next */
	struct reader entries;
	size_t left;
};

/* Moves over the entries up to `index`. */
static void
append_skip(struct append *a, uint64_t index)
{
	uint64_t next = a->index + 1;
	struct raft_log_entry e;

	while (a->index < index && a->left > 0 && raft_wire_entry(&a->entries, &next, &e)) {
		a->index = e.index;
		a->term = e.term;
		a->left--;
	}
}

/* The next entry, without taking it. */
static bool
append_peek(const struct append *a, struct raft_log_entry *e)
{
	struct reader r = a->entries;
	uint64_t next = a->index + 1;

	return a->left > 0 && raft_wire_entry(&r, &next, e);
}

/* Feeds entries up to the next configuration but for the first, which may be one. */
static int
append_feed(struct raft_core *c, struct append *a, bool config_first)
{
	struct raft_message message = { .type = RAFT_APPEND_ENTRIES };
	struct raft_append_entries *args = &message.append_entries;
	struct raft_entry *entries = mem_alloc((a->left + 1) * sizeof *entries);
	struct raft_log_entry e;
	int code;

	args->term = a->m->term;
	args->prev_log_index = a->index;
	args->prev_log_term = a->term;
	args->leader_commit = a->m->commit;
	args->entries = entries;
	while (append_peek(a, &e)) {
		bool config = e.type == RAFT_CHANGE;

		if (config && !(config_first && args->n_entries == 0))
			break;
		/* Only looked at during the step: what is stored is copied. */
		entries[args->n_entries++] =
		    (struct raft_entry){ e.term, (enum raft_entry_type)e.type,
			    { (void *)(uintptr_t)e.bytes.p, e.bytes.n }, NULL };
		append_skip(a, e.index);
	}
	if (args->prev_log_index + args->n_entries < c->raft.commit_index &&
	    args->leader_commit > c->raft.commit_index)
		args->leader_commit = c->raft.commit_index;
	c->batch_taken = false;
	if (args->n_entries > 0 && (entries[0].batch = raft_malloc(1)) == NULL)
		abort();
	c->received = entries;
	c->outdated = a->m->term < c->raft.current_term;
	code = receive(c, a->m->from, &message);
	c->outdated = false;
	c->received = NULL;
	if (args->n_entries > 0 && c->batch_taken)
		raft_free(entries[0].batch);
	free(entries);
	return code;
}

static bool
append_valid(const struct raft_core *c, const struct raft_wire *m)
{
	struct reader r = rd_of(m->entries);
	uint64_t next = m->index + 1;
	struct raft_log_entry e;
	uint64_t leader =
	    c->raft.state == RAFT_FOLLOWER ? c->raft.follower_state.current_leader.id : 0;

	if (m->term == c->raft.current_term &&
	    (c->raft.state == RAFT_LEADER || (leader != 0 && leader != m->from)))
		return false;
	while (raft_wire_entry(&r, &next, &e)) {
		if (e.type < RAFT_COMMAND || e.type > RAFT_CHANGE ||
		    (e.type == RAFT_CHANGE && !core_config_valid(e.bytes)))
			return false;
	}
	return true;
}

static bool
append(struct raft_core *c, const struct raft_wire *m)
{
	struct append a = { m, m->index, m->index_term, rd_of(m->entries), m->count };
	struct raft_log_entry e;

	if (!append_valid(c, m))
		return false;
	if (m->term >= c->raft.current_term)
		c->contact = c->now;
	if (a.index < c->snapshot.index && core_log_at(&c->log, a.index) == NULL &&
	    m->term >= c->raft.current_term) {
		append_skip(&a, c->snapshot.index);
		if (a.index < c->snapshot.index) { /* nothing new in it */
			a.index = c->snapshot.index;
			a.term = c->snapshot.term;
			a.left = 0;
		}
	}
	do {
		uint64_t term = m->term;

		if (append_peek(&a, &e) && e.type == RAFT_CHANGE) {
			if (append_feed(c, &a, false) != 0)
				break;
			/* Refused, or not now: the rest would be too. */
			if (c->stopped || c->raft.current_term != term ||
			    c->raft.snapshot.installing || c->log.last < a.index)
				break;
		}
		if (append_feed(c, &a, true) != 0)
			break;
	} while (a.left > 0 && !c->stopped && c->log.last >= a.index);
	if (!c->led_by && m->term == c->raft.current_term) {
		c->led_by = true;
		c->led_first = m->commit;
	}
	return true;
}

/* The others. */

static bool
appended(struct raft_core *c, const struct raft_wire *m)
{
	struct raft_message message = { .type = RAFT_APPEND_ENTRIES_RESULT };
	struct raft_append_entries_result *args = &message.append_entries_result;
	struct core_peer *peer;
	raft_index match = 0;
	bool waits = false;

	if (core_server(c, m->from) == NULL)
		return false;
	if (core_leads(c) && m->term == c->raft.current_term) {
		if ((peer = core_peer(c, m->from)) != NULL) {
			peer->heard = c->now;
			peer->sent = false;
		}
		if (m->rejected > 0 && raft_match_index(&c->raft, m->from, &match) == 0 &&
		    m->rejected <= match) {
			if (peer != NULL)
				core_doubt(c, peer);
			return true;
		}
		waits = m->rejected > 0 && peer != NULL && m->rejected == peer->snapshot_index &&
			c->now < peer->snapshot_until;
	}
	args->version = APPENDED_VERSION;
	args->term = m->term;
	args->rejected = waits ? 0 : m->rejected;
	args->last_log_index = waits ? match : m->index;
	receive(c, m->from, &message);
	return true;
}

/* Whoever asks counts us by its own configuration, which may be newer than ours, or ours may be
 * one that never came to be: we vote whether it has us as a voter or not (Ongaro 2014, 4.2.2).
 * Else a leader that crashes when it has just made the second voter, and nobody else knows, would
 * never be elected again. For this one step, which looks for nobody else, ours is us alone. */
static bool
vote(struct raft_core *c, const struct raft_wire *m)
{
	struct raft_message message = { .type = RAFT_REQUEST_VOTE };
	struct raft_request_vote *args = &message.request_vote;
	struct raft_configuration saved = c->raft.configuration;
	struct raft_server self = { c->config.id, c->raft.address, RAFT_VOTER };
	bool alone = c->raft.state == RAFT_FOLLOWER && saved.n > 0;

	core_who_asks(c, m);
	args->version = VOTE_VERSION;
	args->term = m->term;
	args->candidate_id = m->from;
	args->last_log_index = m->index;
	args->last_log_term = m->index_term;
	args->disrupt_leader = m->disrupt;
	args->pre_vote = m->pre_vote;
	if (alone)
		c->raft.configuration = (struct raft_configuration){ &self, 1 };
	receive(c, m->from, &message);
	if (alone)
		c->raft.configuration = saved;
	return true;
}

static bool
voted(struct raft_core *c, const struct raft_wire *m)
{
	struct raft_message message = { .type = RAFT_REQUEST_VOTE_RESULT };
	struct raft_request_vote_result *args = &message.request_vote_result;

	if (core_server(c, m->from) == NULL)
		return false;
	if (c->raft.state != RAFT_CANDIDATE)
		return true;
	if (m->pre_vote && m->granted && m->term > c->raft.current_term + 1)
		return false;
	args->version = VOTE_VERSION;
	args->term = m->term;
	args->vote_granted = m->granted;
	args->pre_vote = m->pre_vote;
	receive(c, m->from, &message);
	return true;
}

/* Libraft passes over one that comes while entries are being persisted, and no leader says it
 * twice: it waits until they are. */
void
core_stand(struct raft_core *c)
{
	struct raft_message message = { .type = RAFT_TIMEOUT_NOW };
	struct core_stand told = c->stand;

	if (told.from == 0 || c->raft.last_stored < c->log.last)
		return;
	c->stand.from = 0;
	message.timeout_now.term = told.term;
	message.timeout_now.last_log_index = told.index;
	message.timeout_now.last_log_term = told.index_term;
	receive(c, told.from, &message);
}

static bool
timeout_now(struct raft_core *c, const struct raft_wire *m)
{
	if (core_sole_voter(c))
		return false;
	c->stand = (struct core_stand){ m->from, m->term, m->index, m->index_term };
	core_stand(c);
	return true;
}

static bool
take(struct raft_core *c, const struct raft_wire *m)
{
	switch (m->kind) {
	case RAFT_WIRE_APPEND:
		return append(c, m);
	case RAFT_WIRE_APPENDED:
		return appended(c, m);
	case RAFT_WIRE_VOTE:
		return vote(c, m);
	case RAFT_WIRE_VOTED:
		return voted(c, m);
	case RAFT_WIRE_TIMEOUT_NOW:
		return timeout_now(c, m);
	case RAFT_WIRE_ASK:
		core_asked(c, m);
		return true;
	case RAFT_WIRE_YES:
		core_said_yes(c, m);
		return true;
	case RAFT_WIRE_WHO:
		core_who_asks(c, m);
		return true;
	case RAFT_WIRE_GONE:
		core_gone(c, m);
		return true;
	case RAFT_WIRE_SNAPSHOT: /* comes with data: raft_core_install() */
		break;
	}
	return false;
}

int
raft_core_input(
    struct raft_core *c, struct now now, uint64_t from, struct str bytes, struct err *err)
{
	struct raft_wire m;
	int code;

	if (!c->started || c->stopped)
		return err_set(err, ERR_STATE, "Raft has stopped here");
	core_begin(c, now);
	core_flush(c);
	code = core_wire_read(c, from, bytes, &m, err);
	if (code == 0 && !take(c, &m))
		code = err_set(err, ERR_REFUSED,
		    "a Raft message of kind %u from %016" PRIx64 " that cannot be", m.kind, from);
	if (code != 0)
		c->dropped++;
	core_settle(c);
	return code;
}

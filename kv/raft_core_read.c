/* kv/raft_core_read.c -- reads that see every write acknowledged before they were asked
 * (RULES 11).
 *
 * The leader asks every voter "is your term still T?", with a number. When a majority of the
 * voters, itself one of them, has said yes to that number, no later leader existed when the
 * first of them answered; so all that was acknowledged before the question is committed and
 * applied here, once an entry of the own term is. One question at a time, for all reads that
 * came before it; reads that come meanwhile share the next.
 *
 * Yes also says how far the log of who answers is durable. A server that rejects what it had
 * acknowledged is asked: if its log ends below what was known when the question was put, it lost
 * its disk or got an older one back (RULES 9); else the rejection was an old message.
 */
#include "kv/raft_core_priv.h"

static bool
majority(const struct raft_core *c)
{
	size_t yes = 0;

	for (unsigned i = 0; i < c->raft.configuration.n; i++) {
		const struct raft_server *s = &c->raft.configuration.servers[i];

		if (s->role != RAFT_VOTER)
			continue;
		if (s->id == c->config.id)
			yes++;
		for (size_t k = 0; k < c->peer_count; k++)
			if (c->peers[k].id == s->id && c->peers[k].yes == c->question)
				yes++;
	}
	return yes > core_voters(c) / 2;
}

static void
ask(struct raft_core *c)
{
	for (unsigned i = 0; i < c->raft.configuration.n; i++) {
		const struct raft_server *s = &c->raft.configuration.servers[i];
		struct core_peer *peer = s->id == c->config.id ? NULL : core_peer(c, s->id);
		struct raft_wire w = { .kind = RAFT_WIRE_ASK, .term = c->raft.current_term };
		raft_index match = 0;

		if (peer == NULL || peer->yes == c->question ||
		    (s->role != RAFT_VOTER && !peer->doubted))
			continue;
		if (peer->asked != c->question) {
			raft_match_index(&c->raft, s->id, &match);
			peer->asked = c->question;
			peer->asked_match = match;
		}
		w.question = c->question;
		core_send(c, &w, s->id);
	}
	c->ask_again = c->now + c->config.heartbeat;
}

static void
answered(struct raft_core *c)
{
	struct core_waiter *w;

	if (!c->asking || !majority(c))
		return;
	c->asking = false;
	while ((w = TAILQ_FIRST(&c->asked)) != NULL)
		core_wait_end(c, w, 0, STR_NONE);
}

void
core_read_flush(struct raft_core *c)
{
	struct core_waiter *w;

	while (
	    core_leads(c) && c->led_long && !c->asking && (c->doubts || !TAILQ_EMPTY(&c->reads))) {
		c->doubts = false;
		while ((w = TAILQ_FIRST(&c->reads)) != NULL) {
			TAILQ_REMOVE(&c->reads, w, entry);
			TAILQ_INSERT_TAIL(&c->asked, w, entry);
			w->list = &c->asked;
		}
		c->read_index = c->applied;
		c->question++;
		c->asking = true;
		ask(c);
		answered(c); /* nobody else votes */
	}
}

void
core_read_tick(struct raft_core *c)
{
	if (!c->asking || c->now < c->ask_again)
		return;
	ask(c);
	answered(c); /* others may have stopped voting */
}

void
core_asked(struct raft_core *c, const struct raft_wire *m)
{
	struct raft_wire w = { .kind = RAFT_WIRE_YES, .term = c->raft.current_term };

	w.question = m->question;
	w.index = c->raft.last_stored;
	if (c->installing.index != 0)
		w.index = c->installing.index; /* until then the disk has what it had */
	if (m->term == c->raft.current_term && c->raft.state != RAFT_LEADER)
		core_send(c, &w, m->from);
}

void
core_said_yes(struct raft_core *c, const struct raft_wire *m)
{
	struct core_peer *peer;

	if (!core_leads(c) || m->term != c->raft.current_term || m->question > c->question ||
	    (peer = core_peer(c, m->from)) == NULL)
		return;
	peer->heard = c->now;
	if (m->question == peer->asked && m->question > peer->yes) {
		if (m->index < peer->asked_match && c->forgetful != m->from) {
			c->forgetful = m->from;
			c->changed = true;
		}
		peer->doubted = false;
	}
	if (m->question > peer->yes)
		peer->yes = m->question;
	answered(c);
}

/* Asks, unless that is known already. */
void
core_doubt(struct raft_core *c, struct core_peer *peer)
{
	if (c->forgetful == peer->id || peer->doubted)
		return;
	peer->doubted = true;
	c->doubts = true;
}

uint64_t
raft_core_forgetful(const struct raft_core *c)
{
	return core_leads(c) && core_server(c, c->forgetful) != NULL ? c->forgetful : 0;
}

int
raft_core_read(struct raft_core *c, struct now now, uint64_t request, struct err *err)
{
	struct core_waiter *w;
	int code;

	if (!core_leads(c))
		return err_set(err, ERR_REFUSED, "not the leader");
	core_begin(c, now);
	if ((code = core_wait_new(c, CORE_WAIT_READ, request, &w, err)) != 0)
		return code;
	w->list = &c->reads;
	TAILQ_INSERT_TAIL(&c->reads, w, entry);
	return 0;
}

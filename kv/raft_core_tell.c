/* kv/raft_core_tell.c -- what is committed, told to the others ahead of the next heartbeat.
 *
 * Libraft tells a follower how far the log is committed with the next entries or the next
 * heartbeat. Until then a write that came through that follower has no answer there, and who waits
 * there for a key is not woken. So a server that somebody waits at is told at once, the others
 * CORE_TELL later when nothing has told them by then: under load the entries themselves do.
 *
 * The message is an APPEND without entries behind what the server has acknowledged, as a heartbeat
 * is; libraft's own books know nothing of it and need not.
 */
#include "kv/raft_core_priv.h"

/* It has not been told, and may be. */
static bool
tellable(const struct raft_core *c, const struct core_peer *p, uint64_t *match)
{
	raft_index acknowledged = 0;

	if (p->told >= c->raft.commit_index || core_server(c, p->id) == NULL ||
	    raft_match_index(&c->raft, p->id, &acknowledged) != 0 ||
	    acknowledged < c->raft.commit_index)
		return false;
	*match = acknowledged;
	return core_log_at(&c->log, acknowledged) != NULL;
}

static void
tell(struct raft_core *c, struct core_peer *p)
{
	struct raft_wire w = {
		.kind = RAFT_WIRE_APPEND,
		.term = c->raft.current_term,
		.commit = c->raft.commit_index,
	};
	uint64_t match;

	if (!tellable(c, p, &match))
		return;
	w.index = match;
	w.index_term = core_log_at(&c->log, match)->term;
	core_send(c, &w, p->id);
	p->told = c->raft.commit_index;
	p->hasten = false;
}

void
core_told(struct raft_core *c, uint64_t id, uint64_t commit)
{
	struct core_peer *p = core_peer(c, id);

	if (p == NULL)
		return;
	p->told = commit;
	p->hasten = p->hasten && commit < c->raft.commit_index;
}

void
core_tell_settle(struct raft_core *c)
{
	bool wanted = false;
	uint64_t match;

	for (size_t i = 0; core_leads(c) && i < c->peer_count; i++) {
		struct core_peer *p = &c->peers[i];

		if (p->hasten)
			tell(c, p);
		wanted = wanted || (p->id != c->config.id && tellable(c, p, &match));
	}
	if (!wanted)
		c->tell_due = 0;
	else if (c->tell_due == 0)
		c->tell_due = c->now + CORE_TELL;
}

void
core_tell_tick(struct raft_core *c)
{
	if (c->tell_due == 0 || c->now < c->tell_due)
		return;
	c->tell_due = 0;
	for (size_t i = 0; core_leads(c) && i < c->peer_count; i++)
		if (c->peers[i].id != c->config.id)
			tell(c, &c->peers[i]);
}

void
raft_core_hasten(struct raft_core *c, uint64_t id)
{
	struct core_peer *p;

	if (!core_leads(c) || id == c->config.id || core_server(c, id) == NULL)
		return;
	p = core_peer(c, id);
	if (p == NULL || p->told >= c->raft.commit_index)
		return;
	p->hasten = true;
	tell(c, p);
}

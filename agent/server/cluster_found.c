/* agent/server/cluster_found.c -- whose log this is: founding a cluster, being taken into one, letting go
 * of one that never came to be (RULES 8, 9).
 *
 * A server without a log has a Raft id to be added by, and no cluster. It gets one in one of two
 * ways: it founds it, or a leader that has added its Raft id sends it a Raft message. FORMED: it
 * has held a configuration of N voters, and stays with this cluster for ever. OPEN: a leader
 * has seen all N hold it; from then on writes are taken. An operation in the log says so too: a
 * leader that has one behind it needs no other word.
 *
 * Parts: the log; founding; being taken in; letting go; restoring.
 */
#include <stdlib.h>

#include "agent/server/cluster_priv.h"
#include "base/mem.h"

/* A follower stands after one to two of these without a leader. When two stand one after the other
 * it takes two rounds, which shall be over within 3 s. */
#define FOUND_ELECTION (700 * NSEC_MS)
#define FOUND_SETTLE (500 * NSEC_MS)   /* with expect: nobody new was seen for so long */
#define FOUND_JOIN (10 * NSEC_SEC)     /* a place to join that does not answer: then alone */
#define FOUND_PATIENCE (30 * NSEC_SEC) /* with an unformed cluster that takes us not in */

/* The log. */

static struct raft_core_config
raft_config(const struct cluster *c)
{
	return (struct raft_core_config){
		.id = c->vote.raft_id,
		.agent = c->config.self,
		.cluster = c->vote.cluster_id,
		.fsm = c->fsm,
		.election_timeout = FOUND_ELECTION,
		.snapshot_entries = c->config.snapshot_entries,
		.snapshot_bytes = c->config.snapshot_bytes,
		.notes = c->config.notes,
	};
}

static int
raft_begin(struct cluster *c, const struct raft_core_found *found, struct err *err)
{
	struct raft_core_config config = raft_config(c);
	int code;

	c->leaderless_at = c->turn.mono;
	c->raft = raft_core_new(&config, rng_u64(&c->rng), c->turn);
	code = raft_core_start(c->raft, c->turn, found, err);
	if (code < 0) {
		raft_core_free(c->raft);
		c->raft = NULL;
		return code;
	}
	cluster_changed(c);
	return 0;
}

static uint64_t
raft_id_new(struct cluster *c)
{
	uint64_t id;

	do
		id = rng_u64(&c->rng);
	while (id == 0);
	return id;
}

void
cluster_found_tags(struct cluster *c)
{
	bool formed = (c->vote.flags & CLUSTER_FORMED) != 0;
	struct cluster_note *n;

	if (uuid_eq(&c->told_cluster, &c->vote.cluster_id) && c->told_raft_id == c->vote.raft_id &&
	    c->told_formed == formed)
		return;
	c->told_cluster = c->vote.cluster_id;
	c->told_raft_id = c->vote.raft_id;
	c->told_formed = formed;
	n = cluster_note(c, CLUSTER_TAGS);
	n->act.cluster = c->vote.cluster_id;
	n->act.raft_id = c->vote.raft_id;
	n->act.formed = formed;
}

/* Kept with the vote. */
void
cluster_found_flags(struct cluster *c, uint32_t add)
{
	struct cluster_note *n;

	if ((c->vote.flags & add) == add)
		return;
	if ((add & ~c->vote.flags & CLUSTER_OPEN) != 0)
		cluster_say(c, LOG_LEVEL_INFO, "the cluster is formed");
	c->vote.flags |= add;
	n = cluster_note(c, CLUSTER_RAFT);
	n->act.raft = (struct raft_core_action){
		.kind = RAFT_CORE_VOTE,
		.term = c->vote.term,
		.voted_for = c->vote.voted_for,
	};
	n->act.vote = c->vote;
	cluster_found_tags(c);
}

static void
identity_begin(struct cluster *c, const struct uuid *cluster, uint32_t flags, uint64_t term)
{
	c->vote.cluster_id = *cluster;
	c->vote.flags = flags;
	c->vote.term = term;
	c->vote.voted_for = 0;
	cluster_note(c, CLUSTER_FOUNDED)->act.vote = c->vote;
	cluster_found_tags(c);
}

/* Founding. */

static void
found(struct cluster *c)
{
	char text[UUID_TEXT_LEN + 1];
	bool alone = c->config.bootstrap || c->config.expect <= 1;
	struct raft_core_config config;
	struct raft_log_entry entry;
	struct cluster_note *n;
	struct uuid id;

	for (size_t i = 0; i < sizeof id.b; i++)
		id.b[i] = (uint8_t)rng_u32(&c->rng);
	id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x40);
	id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
	identity_begin(c, &id, CLUSTER_FOUNDER | (alone ? CLUSTER_FORMED | CLUSTER_OPEN : 0), 1);
	cluster_say(c, LOG_LEVEL_INFO, "founding cluster=%s expect=%u", uuid_format(&id, text),
	    alone ? 1 : c->config.expect);
	config = raft_config(c);
	buf_clear(&c->first);
	entry = raft_core_first_entry(&config, &c->first);
	c->founding = true;
	n = cluster_note(c, CLUSTER_RAFT);
	n->act.raft.kind = RAFT_CORE_APPEND;
	n->act.raft.entry = entry;
	buf_add(&n->bytes, entry.bytes);
}

void
cluster_found_durable(struct cluster *c, uint64_t index)
{
	struct raft_core_config config = raft_config(c);
	struct raft_core_found begun = { .term = 1, .count = 1 };
	struct raft_log_entry entry;
	struct err err = { 0 };

	if (index < 1)
		return;
	c->founding = false;
	buf_clear(&c->first);
	entry = raft_core_first_entry(&config, &c->first);
	begun.entries = &entry;
	if (raft_begin(c, &begun, &err) < 0)
		cluster_say(c, LOG_LEVEL_ERROR, "a new log does not start: %s", err.text);
	buf_done(&c->first);
	buf_init(&c->first, RAFT_SNAPSHOT_CONFIG_MAX);
}

struct sight {            /* what there is among the servers */
	size_t stateless; /* with our expect, ourselves too */
	bool lowest;      /* of those we have the lowest id */
	bool formed, unformed, lower;
};

static struct sight
sight(const struct cluster *c)
{
	struct sight s = { .stateless = 1, .lowest = true };
	struct cluster_peer *p;

	RB_FOREACH (p, cluster_peers, (struct cluster_peers *)(uintptr_t)&c->peers) {
		const struct cluster_member *m = &p->m;

		if (!cluster_server_usable(p) || uuid_eq(&m->agent, &c->config.self))
			continue;
		if (uuid_zero(&m->cluster)) {
			if (m->expect != c->config.expect)
				continue;
			s.stateless++;
			s.lowest = s.lowest && uuid_cmp(&c->config.self, &m->agent) < 0;
			continue;
		}
		if (uuid_eq(&m->cluster, &c->vote.cluster_id))
			continue;
		s.formed = s.formed || m->formed;
		s.unformed = s.unformed || !m->formed;
		s.lower = s.lower || uuid_cmp(&m->cluster, &c->vote.cluster_id) < 0;
	}
	return s;
}

/* When we may found, as far as time is concerned. */
static nsec
found_moment(const struct cluster *c, const struct sight *s)
{
	bool alone = c->config.bootstrap || c->config.expect == 1;
	nsec at = c->config.joins && !c->synced ? c->started + FOUND_JOIN : c->started;

	if (s->formed ||
	    (!alone && (c->config.expect == 0 || s->stateless < c->config.expect || !s->lowest)))
		return NSEC_NEVER;
	if (alone)
		return at;
	if (at < c->settle_at + FOUND_SETTLE)
		at = c->settle_at + FOUND_SETTLE;
	if (s->unformed && at < c->stateless_at + FOUND_PATIENCE)
		at = c->stateless_at + FOUND_PATIENCE;
	return at;
}

static bool
stateless(const struct cluster *c)
{
	return c->config.server && !c->stopping && !c->stopped && uuid_zero(&c->vote.cluster_id);
}

/* In a cluster that is not formed and has no leader: its founder may have lost its disk. */
static nsec
give_up_moment(const struct cluster *c)
{
	if (c->raft == NULL || c->stopping || c->leader_known ||
	    (c->vote.flags & CLUSTER_FORMED) != 0)
		return NSEC_NEVER;
	return c->leaderless_at + FOUND_PATIENCE;
}

nsec
cluster_found_deadline(const struct cluster *c)
{
	struct sight s;

	if (!c->config.server)
		return NSEC_NEVER;
	if (!stateless(c))
		return give_up_moment(c);
	s = sight(c);
	return found_moment(c, &s);
}

/* Being taken in. */

bool
cluster_found_adopt(struct cluster *c, const struct cluster_wire *m)
{
	struct raft_core_found nothing = { 0 };
	char text[UUID_TEXT_LEN + 1];
	struct err err = { 0 };

	if (!stateless(c) || uuid_zero(&m->cluster))
		return false;
	identity_begin(c, &m->cluster, 0, 0);
	cluster_say(c, LOG_LEVEL_INFO, "taken into cluster=%s", uuid_format(&m->cluster, text));
	if (raft_begin(c, &nothing, &err) < 0) {
		cluster_say(c, LOG_LEVEL_ERROR, "an empty log does not start: %s", err.text);
		return false;
	}
	return true;
}

/* Letting go. */

/* The log and its state are no more; a new log will be a new server. */
static void
log_end(struct cluster *c)
{
	raft_core_free(c->raft);
	c->raft = NULL;
	cluster_gone(c);
	fsm_free(c->fsm);
	c->fsm = fsm_new(c->config.watches);
	c->vote.raft_id = raft_id_new(c);
}

/* Nothing was ever written: no client has been served. */
static void
let_go(struct cluster *c, const char *why)
{
	char text[UUID_TEXT_LEN + 1];

	cluster_say(c, LOG_LEVEL_INFO, "%s; unformed cluster=%s is given up", why,
	    uuid_format(&c->vote.cluster_id, text));
	log_end(c);
	c->stateless_at = c->turn.mono;
	identity_begin(c, &(struct uuid){ { 0 } }, 0, 0);
}

/* Still of this cluster, so nothing is founded; its leader takes the new log in (RULES 17). */
void
cluster_found_anew(struct cluster *c)
{
	struct raft_core_found nothing = { 0 };
	struct uuid cluster = c->vote.cluster_id;
	struct err err = { 0 };

	c->removed = false;
	cluster_say(c, LOG_LEVEL_WARN, "this server was taken out; it comes back with a new log");
	log_end(c);
	identity_begin(c, &cluster, CLUSTER_FORMED | CLUSTER_OPEN, 0);
	if (raft_begin(c, &nothing, &err) < 0)
		cluster_say(c, LOG_LEVEL_ERROR, "an empty log does not start: %s", err.text);
}

void
cluster_found_look(struct cluster *c)
{
	struct sight s;

	if (!c->config.server || c->stopping || c->stopped || (c->vote.flags & CLUSTER_FORMED) != 0)
		return;
	s = sight(c);
	if (uuid_zero(&c->vote.cluster_id)) {
		if (found_moment(c, &s) <= c->turn.mono)
			found(c);
	} else if (!c->founding && (s.formed || s.lower))
		let_go(c, "another cluster is there");
	else if (give_up_moment(c) <= c->turn.mono)
		let_go(c, "nobody leads");
}

/* Restoring. */

int
cluster_found_restore(struct cluster *c, const struct cluster_disk *disk, struct err *err)
{
	bool empty = disk == NULL || uuid_zero(&disk->vote.cluster_id);
	/* The process ended between the identity and the first entry. */
	bool unborn = !empty && (disk->vote.flags & CLUSTER_FOUNDER) != 0 &&
		      disk->found.count == 0 && disk->found.snapshot == NULL;

	c->stateless_at = c->started;
	if (disk != NULL)
		c->vote = disk->vote;
	if (c->vote.raft_id == 0 || unborn)
		c->vote.raft_id = raft_id_new(c);
	c->fsm = disk == NULL ? NULL : disk->fsm;
	if (c->fsm == NULL)
		c->fsm = fsm_new(c->config.watches);
	if (empty || unborn) {
		if (unborn)
			identity_begin(c, &(struct uuid){ { 0 } }, 0, 0);
		cluster_found_tags(c);
		cluster_found_look(c);
		return 0;
	}
	cluster_found_tags(c);
	return raft_begin(c, &disk->found, err);
}

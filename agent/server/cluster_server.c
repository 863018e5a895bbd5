/* agent/server/cluster_server.c -- members as the cluster sees them, and who of them is in the
 * configuration: autopilot (RULES 9, 17).
 *
 * The leader makes one change at a time: what can never answer goes, who is new comes in as a
 * non-voter, who has caught up gets a vote, who is dead for long loses it. Until the cluster is
 * formed no more servers are taken in than were asked for, and none gets a vote before all of them
 * are there, so that founding hangs on none of them.
 *
 * Parts: members; the configuration; forming; what is wrong with a server; changes; time.
 */
#include <stdlib.h>

#include "agent/server/cluster_priv.h"
#include "base/mem.h"

#define SERVER_VERSION 1
#define AUTOPILOT_EVERY (500 * NSEC_MS)
#define AUTOPILOT_CHANGE_MAX (30 * NSEC_SEC) /* a change without an answer is forgotten */
#define SERVER_DEAD (10 * NSEC_MIN)          /* failed and silent for so long (RULES 17) */
#define SERVER_HEALTHY (10 * NSEC_SEC)       /* heard within */
#define SERVERS_LEFT_MIN 3u                  /* the dead are not removed below */

/* Members. */

static int
peer_cmp(const struct cluster_peer *a, const struct cluster_peer *b)
{
	return uuid_cmp(&a->m.agent, &b->m.agent);
}

RB_GENERATE(cluster_peers, cluster_peer, link, peer_cmp)

struct cluster_peer *
cluster_peer_find(const struct cluster *c, const struct uuid *agent)
{
	struct cluster_peer *p = RB_ROOT(&c->peers);

	while (p != NULL) {
		int order = uuid_cmp(agent, &p->m.agent);

		if (order == 0)
			break;
		p = order < 0 ? RB_LEFT(p, link) : RB_RIGHT(p, link);
	}
	return p;
}

bool
cluster_server_usable(const struct cluster_peer *p)
{
	return p != NULL && p->m.server && p->m.alive && !p->m.left;
}

static void
peer_count(struct cluster *c, const struct cluster_member *m, size_t by)
{
	c->there_count += m->left ? 0 : by;
	c->failed_count += !m->left && !m->alive ? by : 0;
}

static void
foreign_warn(struct cluster *c, struct cluster_peer *p)
{
	char theirs[UUID_TEXT_LEN + 1], ours[UUID_TEXT_LEN + 1];

	if (p->warned || !p->m.formed || !p->m.alive || (c->vote.flags & CLUSTER_FORMED) == 0 ||
	    uuid_zero(&p->m.cluster) || uuid_eq(&p->m.cluster, &c->vote.cluster_id))
		return;
	p->warned = true;
	cluster_say(c, LOG_LEVEL_ERROR,
	    "two clusters in one pool: ours is %s, a server belongs to %s; keys stay apart",
	    uuid_format(&c->vote.cluster_id, ours), uuid_format(&p->m.cluster, theirs));
}

/* One Raft id on two agents: the disk was copied. The configuration says whose it is. */
static bool
copied(const struct cluster *c, const struct cluster_member *m)
{
	if (c->raft == NULL || !m->alive || m->raft_id != c->vote.raft_id ||
	    uuid_eq(&m->agent, &c->config.self))
		return false;
	for (size_t i = 0; i < c->server_count; i++)
		if (c->servers[i].id == m->raft_id)
			return uuid_eq(&c->servers[i].agent, &m->agent);
	return false;
}

void
cluster_member_set(struct cluster *c, struct now now, const struct cluster_member *m)
{
	struct cluster_peer *p = cluster_peer_find(c, &m->agent);
	bool was = cluster_server_usable(p), settled;

	c->turn = now;
	if (p == NULL) {
		p = mem_new(struct cluster_peer);
		p->m.agent = m->agent;
		RB_INSERT(cluster_peers, &c->peers, p);
		c->peer_count++;
	} else
		peer_count(c, &p->m, (size_t)-1);
	settled = was && m->alive && !m->left && uuid_eq(&p->m.cluster, &m->cluster);
	p->m = *m;
	peer_count(c, m, 1);
	c->sessions_dirty = true;
	if (m->server && !settled) {
		c->settle_at = now.mono;
		c->autopilot_at = now.mono;
		c->pump = true;
	}
	if (was && !cluster_server_usable(p))
		cluster_ask_lost(c, &m->agent);
	foreign_warn(c, p);
	if (copied(c, m)) {
		cluster_say(c, LOG_LEVEL_ERROR,
		    "this agent's Raft log is a copy of another "
		    "agent's; it takes no part in Raft");
		c->stopped = true;
		raft_core_free(c->raft);
		c->raft = NULL;
		cluster_gone(c);
	}
	cluster_found_look(c);
}

void
cluster_member_gone(struct cluster *c, struct now now, const struct uuid *agent)
{
	struct cluster_peer *p = cluster_peer_find(c, agent);

	c->turn = now;
	if (p == NULL)
		return;
	peer_count(c, &p->m, (size_t)-1);
	cluster_ask_lost(c, agent);
	cluster_serve_lost(c, agent);
	RB_REMOVE(cluster_peers, &c->peers, p);
	c->peer_count--;
	free(p);
	c->sessions_dirty = true;
	cluster_found_look(c);
}

/* The configuration. */

static size_t
servers_get(const struct cluster *c, struct raft_core_server out[RAFT_CORE_SERVERS_MAX])
{
	return c->raft == NULL ? 0 : raft_core_servers(c->raft, out);
}

static const struct raft_core_server *
server_find(const struct raft_core_server *servers, size_t count, uint64_t raft_id)
{
	for (size_t i = 0; i < count; i++)
		if (servers[i].id == raft_id)
			return &servers[i];
	return NULL;
}

/* Says this member that it has this log? Who says nothing yet may. */
static bool
peer_has(const struct cluster_peer *p, uint64_t raft_id)
{
	return cluster_server_usable(p) && (p->m.raft_id == raft_id || p->m.raft_id == 0);
}

static struct cluster_peer *
peer_with(const struct cluster *c, uint64_t raft_id)
{
	struct cluster_peer *p;

	RB_FOREACH (p, cluster_peers, (struct cluster_peers *)(uintptr_t)&c->peers)
		if (p->m.raft_id == raft_id && cluster_server_usable(p) &&
		    !uuid_eq(&p->m.agent, &c->config.self))
			return p;
	return NULL;
}

/* Whose a Raft id is. The configuration says so, unless that agent is not there and another one
 * has the log: its agent was given a new id (RULES 9: neither follows from the other). */
bool
cluster_server_agent(const struct cluster *c, uint64_t raft_id, struct uuid *agent)
{
	const struct raft_core_server *s = server_find(c->servers, c->server_count, raft_id);
	const struct cluster_peer *p;

	if (raft_id == c->vote.raft_id) {
		*agent = c->config.self;
		return true;
	}
	if (s == NULL || !peer_has(cluster_peer_find(c, &s->agent), raft_id)) {
		p = peer_with(c, raft_id);
		if (p != NULL) {
			*agent = p->m.agent;
			return true;
		}
	}
	if (s == NULL)
		return false;
	*agent = s->agent;
	return true;
}

bool
cluster_server_is(const struct cluster *c, uint64_t raft_id, const struct uuid *agent)
{
	const struct raft_core_server *s = server_find(c->servers, c->server_count, raft_id);
	const struct cluster_peer *p = cluster_peer_find(c, agent);

	if (s != NULL && !uuid_eq(&s->agent, agent))
		return p != NULL && p->m.raft_id == raft_id &&
		       !peer_has(cluster_peer_find(c, &s->agent), raft_id);
	return s != NULL || p == NULL || p->m.raft_id == 0 ||
	       p->m.raft_id == raft_id; /* gossip may be behind */
}

static size_t
voter_count(const struct raft_core_server *servers, size_t count)
{
	size_t voters = 0;

	for (size_t i = 0; i < count; i++)
		voters += servers[i].role == RAFT_CORE_VOTER;
	return voters;
}

bool
cluster_server_votes(const struct cluster *c)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	const struct raft_core_server *s =
	    server_find(servers, servers_get(c, servers), c->vote.raft_id);

	return s != NULL && s->role == RAFT_CORE_VOTER;
}

/* Forming. */

/* Nobody else has a vote. */
bool
cluster_server_alone(const struct cluster *c)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];

	return voter_count(servers, raft_core_servers(c->raft, servers)) < 2;
}

/* A server that is not heard of may come back and be an old one; but one that nobody remembers must
 * not keep all from moving on. */
unsigned
cluster_server_level(const struct cluster *c)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	size_t count = servers_get(c, servers);
	unsigned level = FSM_LEVEL;

	for (size_t i = 0; i < count; i++) {
		const struct cluster_peer *p = cluster_peer_find(c, &servers[i].agent);

		if (servers[i].id != c->vote.raft_id && p != NULL && p->m.version > 0 &&
		    p->m.version < level)
			level = p->m.version;
	}
	return level;
}

/* All voters hold what the log ended with when there first were N. */
static bool
formed_everywhere(struct cluster *c, const struct raft_core_server *servers, size_t count)
{
	struct raft_core_status s = cluster_raft_status(c);
	uint64_t match;
	nsec heard;

	if (c->form_term != s.term || c->form_target == 0) {
		c->form_term = s.term;
		c->form_target = s.last;
	}
	if (s.commit < c->form_target)
		return false;
	for (size_t i = 0; i < count; i++)
		if (servers[i].role == RAFT_CORE_VOTER && servers[i].id != c->vote.raft_id &&
		    (!raft_core_progress(c->raft, servers[i].id, &match, &heard) ||
			match < c->form_target))
			return false;
	return true;
}

void
cluster_server_formed(struct cluster *c)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	size_t count, voters;
	struct raft_core_status s;

	if (c->raft == NULL || (c->vote.flags & CLUSTER_OPEN) != 0)
		return;
	count = servers_get(c, servers);
	voters = voter_count(servers, count);
	s = cluster_raft_status(c);
	if (c->config.expect > 0 && voters >= c->config.expect)
		cluster_found_flags(c, CLUSTER_FORMED);
	if (fsm_used(c->fsm)) /* somebody's write was taken */
		cluster_found_flags(c, CLUSTER_FORMED | CLUSTER_OPEN);
	else if (s.leader && s.led_long && voters >= c->config.expect && voters > 0 &&
		 formed_everywhere(c, servers, count))
		cluster_found_flags(c, CLUSTER_FORMED | CLUSTER_OPEN);
}

/* What is wrong with a server. */

enum server_fault {
	SERVER_FINE,
	SERVER_AWAY, /* not heard, not dead for long */
	SERVER_DEAD_LONG,
	SERVER_LEFT,      /* it said so */
	SERVER_REPLACED,  /* its agent has another log now, or its log another agent */
	SERVER_FORGETFUL, /* its log ends below what it acknowledged */
};

static const char *const fault_words[] = {
	[SERVER_FINE] = "nothing",
	[SERVER_AWAY] = "away",
	[SERVER_DEAD_LONG] = "dead for 10 minutes",
	[SERVER_LEFT] = "left",
	[SERVER_REPLACED] = "its agent has another log",
	[SERVER_FORGETFUL] = "its log ends below what it acknowledged",
};

static struct server_seen *
seen_of(struct cluster *c, uint64_t raft_id)
{
	struct server_seen *s;

	for (size_t i = 0; i < c->seen_count; i++)
		if (c->seen[i].id == raft_id)
			return &c->seen[i];
	if (c->seen_count == RAFT_CORE_SERVERS_MAX)
		c->seen_count = 0; /* of many that came and went; the clocks begin anew */
	s = &c->seen[c->seen_count++];
	*s = (struct server_seen){ .id = raft_id, .heard = c->turn.mono };
	return s;
}

void
cluster_server_led(struct cluster *c)
{
	c->seen_count = 0;
	c->gone_count = 0;
	c->change = 0;
	c->form_target = 0;
	c->autopilot_at = c->turn.mono;
}

static enum server_fault
server_fault(struct cluster *c, const struct raft_core_server *s)
{
	struct uuid agent = s->agent;
	bool known = cluster_server_agent(c, s->id, &agent);
	const struct cluster_peer *p = known ? cluster_peer_find(c, &agent) : NULL;
	struct server_seen *seen = seen_of(c, s->id);
	bool usable = cluster_server_usable(p);
	uint64_t match;
	nsec heard, now = c->turn.mono;

	if (s->id == c->vote.raft_id)
		return SERVER_FINE;
	if (raft_core_progress(c->raft, s->id, &match, &heard)) {
		seen->match = match;
		if (heard > seen->heard)
			seen->heard = heard;
	}
	if (p != NULL && p->m.left)
		return SERVER_LEFT;
	if (usable && p->m.raft_id != 0 && p->m.raft_id != s->id)
		return SERVER_REPLACED;
	if (raft_core_forgetful(c->raft) == s->id)
		return SERVER_FORGETFUL;
	if (usable && now - seen->heard < SERVER_HEALTHY)
		return SERVER_FINE;
	if (!usable && now - seen->heard >= SERVER_DEAD &&
	    (p == NULL || now - p->m.since >= SERVER_DEAD))
		return SERVER_DEAD_LONG;
	return SERVER_AWAY;
}

/* Changes. */

struct council { /* the configuration, judged */
	struct raft_core_server all[RAFT_CORE_SERVERS_MAX];
	enum server_fault faults[RAFT_CORE_SERVERS_MAX];
	size_t count, voters, healthy; /* voters that are fine */
	size_t sound;                  /* that may come back as they are */
	bool open;
};

static struct council
council(struct cluster *c)
{
	struct council k = { .open = (c->vote.flags & CLUSTER_OPEN) != 0 };

	k.count = servers_get(c, k.all);
	k.voters = voter_count(k.all, k.count);
	for (size_t i = 0; i < k.count; i++) {
		k.faults[i] = server_fault(c, &k.all[i]);
		k.sound += k.faults[i] <= SERVER_AWAY;
		k.healthy += k.all[i].role == RAFT_CORE_VOTER && k.faults[i] == SERVER_FINE;
	}
	return k;
}

int
cluster_server_remove(struct cluster *c, uint64_t number, uint64_t raft_id, struct err *err)
{
	int code = raft_core_remove(c->raft, c->turn, number, raft_id, err);

	if (code == 0)
		c->gone[c->gone_count++ % CLUSTER_GONE] = raft_id;
	return code;
}

static bool
change_begun(struct cluster *c, int code, uint64_t number, const char *what,
    const struct raft_core_server *s, const char *why)
{
	char text[UUID_TEXT_LEN + 1];

	if (code < 0)
		return false;
	c->change = number;
	c->change_at = c->turn.mono;
	cluster_say(c, LOG_LEVEL_INFO, "%s server id=%016llx agent=%s%s%s", what,
	    (unsigned long long)s->id, uuid_format(&s->agent, text), why == NULL ? "" : ": ",
	    why == NULL ? "" : why);
	return true;
}

static bool
change_remove(struct cluster *c, const struct council *k, size_t i)
{
	uint64_t number = ++c->numbers;
	int code = cluster_server_remove(c, number, k->all[i].id, NULL);

	return change_begun(c, code, number, "removing", &k->all[i], fault_words[k->faults[i]]);
}

/* How many servers remain, whatever is dead. */
static size_t
servers_least(const struct cluster *c)
{
	uint64_t least = fsm_autopilot(c->fsm)->min_quorum;

	if (least < c->config.expect)
		least = c->config.expect;
	if (least > RAFT_CORE_SERVERS_MAX)
		least = RAFT_CORE_SERVERS_MAX;
	return least > SERVERS_LEFT_MIN ? (size_t)least : SERVERS_LEFT_MIN;
}

/* Most of those that remain must be well, or the change could not be decided. */
static bool
may_go(const struct cluster *c, const struct council *k, size_t i)
{
	bool cleanup = fsm_autopilot(c->fsm)->cleanup_dead_servers;
	size_t rest = k->voters - 1, least = servers_least(c);

	if (k->healthy * 2 <= rest)
		return false;
	switch (k->faults[i]) {
	case SERVER_FINE:
	case SERVER_AWAY:
		return false;
	case SERVER_LEFT:
	case SERVER_FORGETFUL:
		return true;
	case SERVER_REPLACED: /* once the log that takes its place votes */
		for (size_t j = 0; j < k->count; j++)
			if (j != i && uuid_eq(&k->all[j].agent, &k->all[i].agent) &&
			    k->all[j].role == RAFT_CORE_VOTER)
				return true;
		return cleanup && rest >= least;
	case SERVER_DEAD_LONG:
		return cleanup && rest >= least;
	}
	return false;
}

static bool
non_voters_go(struct cluster *c, const struct council *k)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->all[i].role == RAFT_CORE_NON_VOTER && k->faults[i] > SERVER_AWAY &&
		    change_remove(c, k, i))
			return true;
	return false;
}

static bool
voters_go(struct cluster *c, const struct council *k)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->all[i].role == RAFT_CORE_VOTER && may_go(c, k, i) && change_remove(c, k, i))
			return true;
	return false;
}

/* It was taken out a while ago, will learn so, and comes back with a new log. */
static bool
gone(const struct cluster *c, uint64_t raft_id)
{
	for (size_t i = 0; i < c->gone_count && i < CLUSTER_GONE; i++)
		if (c->gone[i] == raft_id)
			return true;
	return false;
}

static bool
fits(const struct cluster *c, const struct council *k, const struct cluster_peer *p)
{
	bool new = uuid_zero(&p->m.cluster);

	if (!cluster_server_usable(p) || p->m.raft_id == 0 || p->m.version < SERVER_VERSION ||
	    uuid_eq(&p->m.agent, &c->config.self) || p->m.raft_id == c->vote.raft_id ||
	    (!new && !uuid_eq(&p->m.cluster, &c->vote.cluster_id)) ||
	    server_find(k->all, k->count, p->m.raft_id) != NULL || gone(c, p->m.raft_id))
		return false;
	return k->open || (p->m.expect == c->config.expect && k->sound < c->config.expect);
}

static bool
servers_come(struct cluster *c, const struct council *k)
{
	struct cluster_peer *p;

	if (k->count == RAFT_CORE_SERVERS_MAX)
		return false;
	RB_FOREACH (p, cluster_peers, &c->peers) {
		struct raft_core_server s = { .id = p->m.raft_id, .agent = p->m.agent };
		uint64_t number;

		if (!fits(c, k, p))
			continue;
		number = ++c->numbers;
		return change_begun(c,
		    raft_core_add(c->raft, c->turn, number, s.id, &s.agent, NULL), number, "adding",
		    &s, NULL);
	}
	return false;
}

static bool
ready(struct cluster *c, const struct council *k, size_t i)
{
	return k->all[i].role == RAFT_CORE_NON_VOTER && k->faults[i] == SERVER_FINE &&
	       seen_of(c, k->all[i].id)->match > 0;
}

static bool
servers_rise(struct cluster *c, const struct council *k)
{
	size_t able = k->voters, first = SIZE_MAX;
	uint64_t number;

	for (size_t i = k->count; i-- > 0;)
		if (ready(c, k, i)) {
			able++;
			first = i;
		}
	if (first == SIZE_MAX || (!k->open && able < c->config.expect))
		return false;
	number = ++c->numbers;
	return change_begun(c, raft_core_promote(c->raft, c->turn, number, k->all[first].id, NULL),
	    number, "giving a vote to", &k->all[first], NULL);
}

bool
cluster_server_answer(struct cluster *c, const struct raft_core_action *a)
{
	if (a->request != c->change || c->change == 0)
		return false;
	c->change = 0;
	c->autopilot_at = c->turn.mono + (a->code == 0 ? 0 : AUTOPILOT_EVERY);
	if (a->code != 0)
		cluster_say(
		    c, LOG_LEVEL_DEBUG, "a change of servers failed: " STR_FMT, STR_ARG(a->bytes));
	return true;
}

/* Time. */

static void
autopilot(struct cluster *c)
{
	struct council k = council(c);

	if (c->change != 0)
		return;
	if (non_voters_go(c, &k) || servers_come(c, &k) || servers_rise(c, &k))
		return;
	voters_go(c, &k);
}

static void
reap(struct cluster *c)
{
	struct buf b;

	c->reap_at = c->turn.mono + NSEC_MIN;
	if (!c->leading || !fsm_reap_wanted(c->fsm, c->turn.mono, c->scratch))
		return;
	buf_init(&b, FSM_RESULT_MAX);
	if (fsm_op_write(&b, c->scratch, NULL) == 0)
		raft_core_submit(c->raft, c->turn, ++c->numbers, buf_str(&b), NULL);
	buf_done(&b);
}

void
cluster_server_tick(struct cluster *c)
{
	if (!c->led || c->stopping)
		return;
	if (c->turn.mono >= c->reap_at)
		reap(c);
	if (c->turn.mono < c->autopilot_at)
		return;
	c->autopilot_at = c->turn.mono + AUTOPILOT_EVERY;
	if (c->change != 0 && c->turn.mono - c->change_at > AUTOPILOT_CHANGE_MAX)
		c->change = 0;
	if (!c->leading)
		cluster_changed(c); /* have all N got it by now? */
	autopilot(c);
}

nsec
cluster_server_deadline(const struct cluster *c)
{
	if (!c->led || c->stopping)
		return NSEC_NEVER;
	return nsec_min(c->autopilot_at, c->reap_at);
}

/* agent/server/cluster_session.c -- what ends a session (RULES 7).
 *
 * Every server keeps, for each session, whose node it is tied to and which of its checks it has
 * seen, so that a new leader knows a deregistration from something not heard of yet. The leader
 * alone proposes ends. TTLs run out in kv/session.h; the rest is evidence: a check that is critical
 * or was seen and is deregistered, a node that left, a death that lasted. Absence is none, unless
 * it lasted 10 minutes.
 *
 * A session is met as soon as it is applied: what it depends on is there then, so that what happens
 * right after its creation is seen.
 *
 * Parts: tracks; evidence; ends; time.
 */
#include <stdlib.h>

#include "agent/server/cluster_priv.h"
#include "base/cursor.h"
#include "base/mem.h"

#define SESSION_LOOK (100 * NSEC_MS)     /* between two looks at all sessions, at least */
#define SESSION_LOOK_EACH (50 * NSEC_US) /* and so much for each, so that looking stays cheap */
#define SESSION_WATCH (5 * NSEC_SEC)     /* a look for the sake of time alone */
#define SESSION_YOUNG NSEC_SEC           /* its checks may be news that is on its way to us */
#define SESSION_DEATH (15 * NSEC_SEC)    /* beyond the ordinary suspicion */
#define SESSION_UNKNOWN (10 * NSEC_MIN)
#define SESSION_OVERSLEPT (500 * NSEC_MS) /* a tick that is so late */
#define SESSION_PROPOSE NSEC_SEC          /* an end that did not come is proposed again */

/* Tracks. */

struct cluster_track {
	RB_ENTRY(cluster_track) link;
	struct uuid id;
	struct uuid owner;  /* of its node, once that was known */
	bool tied, agent;   /* owner is set; it is an agent */
	bool met;           /* the owner has been a member here */
	bool marked;        /* met in this look */
	nsec since;         /* first seen here */
	nsec unknown_since; /* its node, or a check; 0: known */
	nsec proposed;      /* its end; 0: not */
	size_t checks;
	enum {
		CHECK_SEEN = 1,
		CHECK_GOOD = 2
	} seen[]; /* by check: the node's, then the services' */
};

static int
track_cmp(const struct cluster_track *a, const struct cluster_track *b)
{
	return uuid_cmp(&a->id, &b->id);
}

RB_GENERATE_INTERNAL(cluster_tracks, cluster_track, link, track_cmp, static __attribute__((unused)))

static struct cluster_track *
track_of(struct cluster *c, const struct session_info *s)
{
	struct cluster_track key = { .id = s->id }, *t;
	size_t checks = s->node_checks.count + s->service_checks.count;

	t = RB_FIND(cluster_tracks, &c->tracks, &key);
	if (t != NULL)
		return t;
	t = mem_zalloc(sizeof *t + checks * sizeof t->seen[0]);
	t->id = s->id;
	t->since = c->turn.mono;
	t->checks = checks;
	RB_INSERT(cluster_tracks, &c->tracks, t);
	c->track_count++;
	return t;
}

static void
track_free(struct cluster *c, struct cluster_track *t)
{
	RB_REMOVE(cluster_tracks, &c->tracks, t);
	c->track_count--;
	free(t);
}

/* Evidence. */

static bool
node_tie(struct cluster *c, struct cluster_track *t, const struct catalog_node *node)
{
	if (node != NULL && !t->tied) {
		t->tied = true;
		t->agent = node->agent;
		t->owner = node->owner;
	}
	if (t->tied && t->agent && cluster_peer_find(c, &t->owner) != NULL)
		t->met = true;
	return node != NULL && t->agent == node->agent && uuid_eq(&t->owner, &node->owner);
}

/* There is nobody else, of whom something could be news that is on its way. */
static bool
alone(const struct cluster *c)
{
	return c->peer_count == 0 ||
	       (c->peer_count == 1 && cluster_peer_find(c, &c->config.self) != NULL);
}

/* Whole for the longest suspicion. */
static bool
settled(const struct cluster *c)
{
	return c->synced && c->turn.mono - c->synced_at >= c->config.suspicion_max;
}

/* One check: gone after it was there, or critical after it was not; while the session is young,
 * or we are, a better state may be on its way: checks of a new start begin critical. *unknown:
 * never seen. */
static bool
check_bad(struct cluster_track *t, const struct catalog_node *node, struct str id, size_t i,
    bool young, bool *unknown)
{
	const struct catalog_check *check = catalog_check_find(node, id);

	if (node->agent && str_eq(id, STR(CATALOG_SERF_CHECK)))
		return false; /* what membership says: death has its own rule */
	if (check == NULL) {
		*unknown = *unknown || t->seen[i] == 0;
		return t->seen[i] != 0;
	}
	if (check_status_of(check->info.status) != CHECK_CRITICAL) {
		t->seen[i] = CHECK_GOOD;
		return false;
	}
	if (t->seen[i] == 0)
		t->seen[i] = CHECK_SEEN;
	return t->seen[i] == CHECK_GOOD || !young;
}

static bool
checks_bad(struct cluster *c, struct cluster_track *t, const struct session_info *s,
    const struct catalog_node *node, bool *unknown)
{
	bool young = c->turn.mono - t->since < SESSION_YOUNG || !settled(c);
	const struct session_checks *lists[] = { &s->node_checks, &s->service_checks };
	bool bad = false;
	size_t i = 0;
	struct str id;

	for (size_t k = 0; k < 2; k++) {
		struct reader r = rd_of(lists[k]->bytes);

		while (session_check_next(&r, &id) && i < t->checks)
			bad |= check_bad(t, node, id, i++, young, unknown);
	}
	return bad;
}

static bool
watches_serf(const struct session_info *s)
{
	struct reader r = rd_of(s->node_checks.bytes);
	struct str id;

	while (session_check_next(&r, &id))
		if (str_eq(id, STR(CATALOG_SERF_CHECK)))
			return true;
	return false;
}

/* The agent of its node. As in Consul only who watches serfHealth minds a death; a leave ends all.
 */
static bool
agent_ended(struct cluster *c, const struct cluster_track *t, const struct session_info *s,
    enum fsm_cause *cause)
{
	const struct cluster_peer *p = cluster_peer_find(c, &t->owner);

	if (p == NULL || p->m.left) { /* reaped counts as left; never heard of as nothing */
		*cause = FSM_NODE_LEFT;
		return t->met;
	}
	*cause = FSM_NODE_FAILED;
	return !p->m.alive && watches_serf(s) &&
	       c->turn.mono - p->m.since >= c->config.suspicion_max + SESSION_DEATH;
}

static bool
evidence(
    struct cluster *c, struct cluster_track *t, const struct session_info *s, enum fsm_cause *cause)
{
	const struct catalog_node *node =
	    catalog_node_find(store_catalog(c->config.store), s->node);
	bool ours = node_tie(c, t, node), unknown = node == NULL;

	if (ours && checks_bad(c, t, s, node, &unknown)) {
		*cause = FSM_CHECK;
		return true;
	}
	if (t->tied && t->agent && agent_ended(c, t, s, cause))
		return true;
	if (t->tied && !t->agent && node == NULL) { /* deregistered */
		*cause = FSM_NODE_LEFT;
		return true;
	}
	if (!unknown || !c->synced)
		t->unknown_since = 0;
	else if (t->unknown_since == 0)
		t->unknown_since = c->turn.mono;
	*cause = FSM_NODE_UNKNOWN;
	return t->unknown_since != 0 && c->turn.mono - t->unknown_since >= SESSION_UNKNOWN;
}

/* Not before we have been whole for the longest suspicion, nor while most others seem dead: then
 * it is rather we who are cut off. Who is alone waits for nobody's news: what goes bad before its
 * eyes ends a session at once; what was bad when it started (checks_bad()) waits as everywhere. */
static bool
may_end(const struct cluster *c)
{
	return c->leading && c->synced && (settled(c) || alone(c)) &&
	       c->failed_count * 2 <= c->there_count;
}

/* Ends. */

static void
end(struct cluster *c, const struct uuid *id, enum fsm_cause cause)
{
	static const char *const causes[FSM_CAUSES] = { "destroyed", "ttl", "check", "node left",
		"node failed", "node unknown" };
	struct fsm_op *op = c->scratch;
	char text[UUID_TEXT_LEN + 1];
	struct buf b;

	fsm_op_init(op, FSM_SESSION_END);
	op->cause = cause;
	op->session.id = *id;
	op->agent = c->config.self;
	op->epoch = c->config.epoch;
	buf_init(&b, FSM_RESULT_MAX);
	if (fsm_op_write(&b, op, NULL) == 0 &&
	    raft_core_submit(c->raft, c->turn, ++c->numbers, buf_str(&b), NULL) == 0)
		cluster_say(c, LOG_LEVEL_INFO, "session ends id=%s cause=%s", uuid_format(id, text),
		    causes[cause]);
	buf_done(&b);
}

static void
look(struct cluster *c)
{
	struct sessions *all = fsm_sessions(c->fsm);
	bool may = may_end(c);
	struct cluster_track *t, *next;
	enum fsm_cause cause;

	for (struct session *s = session_first(all); s != NULL; s = session_next(all, s)) {
		t = track_of(c, &s->info);
		t->marked = true;
		if (!evidence(c, t, &s->info, &cause) || !may ||
		    (t->proposed != 0 && c->turn.mono - t->proposed < SESSION_PROPOSE))
			continue;
		t->proposed = c->turn.mono;
		end(c, &s->info.id, cause);
	}
	RB_FOREACH_SAFE (t, cluster_tracks, &c->tracks, next) {
		if (!t->marked)
			track_free(c, t);
		else
			t->marked = false;
	}
}

/* Sessions were created or ended: what the new ones depend on is looked up now. */
void
cluster_session_met(struct cluster *c)
{
	struct sessions *all = fsm_sessions(c->fsm);
	size_t known = c->track_count;
	struct cluster_track *t;
	enum fsm_cause unused;

	if (sessions_index(all) == c->sessions_index ||
	    c->turn.mono - c->sessions_met < (nsec)known * SESSION_LOOK_EACH)
		return;
	c->sessions_index = sessions_index(all);
	c->sessions_met = c->turn.mono;
	for (struct session *s = session_first(all); s != NULL; s = session_next(all, s)) {
		known = c->track_count;
		t = track_of(c, &s->info);
		if (c->track_count > known)
			evidence(c, t, &s->info, &unused);
	}
}

/* Time. */

/* This process was stopped for a while, and renewals that came in time wait behind this tick. */
static void
overslept(struct cluster *c)
{
	struct sessions *all = fsm_sessions(c->fsm);

	for (struct session *s = session_first(all); s != NULL; s = session_next(all, s))
		session_renew(all, &s->info.id, c->turn.mono);
}

static nsec
look_moment(const struct cluster *c)
{
	nsec pause = SESSION_LOOK + (nsec)c->track_count * SESSION_LOOK_EACH;

	if (c->fsm == NULL || (!c->sessions_dirty && c->track_count == 0))
		return NSEC_NEVER;
	return c->sessions_at + (c->sessions_dirty ? pause : SESSION_WATCH);
}

void
cluster_session_tick(struct cluster *c)
{
	struct uuid id;

	if (c->leading &&
	    c->turn.mono - SESSION_OVERSLEPT > sessions_deadline(fsm_sessions(c->fsm)))
		overslept(c);
	if (c->leading)
		while (session_expired_next(fsm_sessions(c->fsm), c->turn.mono, &id))
			end(c, &id, FSM_EXPIRED);
	if (look_moment(c) > c->turn.mono)
		return;
	c->sessions_at = c->turn.mono;
	c->sessions_dirty = false;
	look(c);
}

nsec
cluster_session_deadline(const struct cluster *c)
{
	nsec due = look_moment(c);

	return c->leading ? nsec_min(due, sessions_deadline(fsm_sessions(c->fsm))) : due;
}

void
cluster_session_free(struct cluster *c)
{
	struct cluster_track *t;

	while ((t = RB_MIN(cluster_tracks, &c->tracks)) != NULL)
		track_free(c, t);
}

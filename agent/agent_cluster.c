/* agent/agent_cluster.c -- what the cluster wants, carried out: to the disk, to other agents, to
 * the API.
 *
 * What goes to other agents behind a vote waits until that vote is durable, and all that follows
 * waits behind it. A step ends when neither the cluster nor the disk has anything more: in memory
 * all is durable at once, which feeds the cluster again.
 */
#include "agent/agent_priv.h"

#include <stdlib.h>

#include "agent/http/api_cluster.h"
#include "base/log.h"
#include "base/mem.h"

struct cluster_sent { /* on its way, behind a vote */
	TAILQ_ENTRY(cluster_sent) link;
	uint64_t votes; /* that have to be durable */
	struct uuid agent;
	bool snapshot;
	uint64_t index; /* of the snapshot */
	struct buf bytes;
};

/* ---- to other agents ---- */

static void
agent_cluster_go(
    struct agent *a, const struct uuid *to, bool snapshot, uint64_t index, struct str bytes)
{
	if (snapshot)
		server_net_snapshot(a->net, to, bytes, index);
	else
		server_net_send(a->net, to, bytes);
}

static void
agent_cluster_send(
    struct agent *a, const struct uuid *to, bool snapshot, uint64_t index, struct str bytes)
{
	struct cluster_sent *s;

	if (a->disk == NULL || (TAILQ_EMPTY(&a->sent) &&
				   raft_disk_votes_durable(a->disk) >= raft_disk_votes(a->disk))) {
		agent_cluster_go(a, to, snapshot, index, bytes);
		return;
	}
	s = mem_new(struct cluster_sent);
	s->votes = raft_disk_votes(a->disk);
	s->agent = *to;
	s->snapshot = snapshot;
	s->index = index;
	buf_init(&s->bytes, bytes.n);
	buf_add(&s->bytes, bytes);
	TAILQ_INSERT_TAIL(&a->sent, s, link);
}

static void
agent_cluster_sent_drop(struct agent *a, struct cluster_sent *s)
{
	TAILQ_REMOVE(&a->sent, s, link);
	buf_done(&s->bytes);
	free(s);
}

void
agent_cluster_voted(void *arg)
{
	struct agent *a = arg;
	struct cluster_sent *s;

	while (
	    (s = TAILQ_FIRST(&a->sent)) != NULL && s->votes <= raft_disk_votes_durable(a->disk)) {
		agent_cluster_go(a, &s->agent, s->snapshot, s->index, buf_str(&s->bytes));
		agent_cluster_sent_drop(a, s);
	}
}

/* ---- to the disk ---- */

static void
agent_cluster_disk(struct agent *a, const struct cluster_action *act)
{
	switch (act->raft.kind) {
	case RAFT_CORE_SEND_SNAPSHOT:
		agent_cluster_send(a, &act->agent, true, act->raft.index, act->raft.bytes);
		break;
	case RAFT_CORE_VOTE:
		raft_disk_vote(a->disk, &act->vote);
		break;
	default:
		raft_disk_act(a->disk, cluster_fsm(a->cluster), &act->raft);
		break;
	}
}

/* Something came that the cluster was fed with: its actions are due. */
static void
agent_cluster_fed(struct agent *a)
{
	a->cluster_fed = true;
	if (!a->cluster_stepping)
		agent_api_changed(a);
}

void
agent_cluster_durable(void *arg, uint64_t index)
{
	struct agent *a = arg;

	cluster_durable(a->cluster, loop_now(), index);
	agent_cluster_fed(a);
}

void
agent_cluster_stored(void *arg, uint64_t index)
{
	struct agent *a = arg;

	cluster_snapshot_stored(a->cluster, loop_now(), index);
	agent_cluster_fed(a);
}

void
agent_cluster_failing(void *arg, struct str why)
{
	struct agent *a = arg;

	cluster_disk_failing(a->cluster, loop_now(), why);
	agent_cluster_fed(a);
}

/* ---- from other agents ---- */

/* While the disk takes nothing, what other servers want written is left to be sent again. */
static bool
agent_cluster_crowded(const struct agent *a, struct str bytes)
{
	struct cluster_wire m;

	return a->disk != NULL && raft_disk_crowded(a->disk) &&
	       cluster_wire_read(bytes, &m, NULL) == 0 && m.kind == WIRE_RAFT;
}

void
agent_cluster_message(void *arg, const struct uuid *from, struct str bytes)
{
	struct agent *a = arg;
	char id[UUID_TEXT_LEN + 1];
	struct err err = { 0 };

	if (agent_cluster_crowded(a, bytes))
		return;
	if (cluster_input(a->cluster, loop_now(), from, bytes, &err) < 0)
		log_debug(
		    "raft", "a message is dropped from=%s: %s", uuid_format(from, id), err.text);
	agent_cluster_fed(a);
}

void
agent_cluster_snapshot(
    void *arg, const struct uuid *from, struct str bytes, struct raft_disk_sink *sink)
{
	struct agent *a = arg;
	struct err err = { 0 };

	if (cluster_install(a->cluster, loop_now(), from, bytes, raft_disk_sink_read, sink, &err) <
	    0)
		log_warn("raft", "a snapshot is not taken: %s", err.text);
	agent_cluster_fed(a);
}

void
agent_cluster_lost(void *arg, const struct uuid *agent)
{
	struct agent *a = arg;

	cluster_lost(a->cluster, loop_now(), agent);
	agent_cluster_fed(a);
}

/* ---- a step ---- */

/* Of a write, perhaps: its client reads what it has written. Answers come in batches, of which all
 * is applied: *taken is how far the store has followed in this step. */
static void
agent_cluster_answer(
    struct agent *a, struct now now, const struct cluster_action *act, uint64_t *taken)
{
	struct fsm *fsm = cluster_fsm(a->cluster);

	if (fsm != NULL && fsm_index(fsm) != *taken) {
		agent_external_take(a, now);
		*taken = fsm_index(fsm);
	}
	if (!agent_external_answer(a, now, act) && !agent_query_answer(a, now, act))
		api_cluster_answer(&a->api, now, act);
}

static void
agent_cluster_act(
    struct agent *a, struct now now, const struct cluster_action *act, uint64_t *taken)
{
	switch (act->kind) {
	case CLUSTER_SEND:
		agent_cluster_send(a, &act->agent, false, 0, act->bytes);
		break;
	case CLUSTER_RAFT:
		agent_cluster_disk(a, act);
		break;
	case CLUSTER_FOUNDED:
		raft_disk_founded(a->disk, &act->vote);
		break;
	case CLUSTER_TAGS:
		agent_server_tags(a, now, act);
		break;
	case CLUSTER_ANSWER:
		agent_cluster_answer(a, now, act, taken);
		break;
	case CLUSTER_ASKED:
		api_cluster_asked(&a->api, now, act);
		break;
	case CLUSTER_DROPPED:
		api_cluster_dropped(&a->api, act);
		break;
	case CLUSTER_LOG:
		log_at((enum log_level)act->level, "raft", STR_FMT, STR_ARG(act->text));
		break;
	case CLUSTER_APPLIED:
	case CLUSTER_LEADER:
		break; /* blocked readers are woken by their watches, and the leader is asked for */
	}
}

/* The catalog may have changed, and with it what sessions depend on. */
void
agent_cluster_look(struct agent *a, struct now now)
{
	uint64_t last = store_index(a->store)->last;

	if (last == a->store_seen)
		return;
	a->store_seen = last;
	cluster_store_changed(a->cluster, now);
}

/* Carries out what the cluster wants, and arms its timer. After every step that fed it. */
void
agent_cluster_step(struct agent *a, struct now now)
{
	struct cluster_action act;
	uint64_t taken = 0;

	a->cluster_stepping = true;
	do {
		a->cluster_fed = false;
		while (cluster_action_next(a->cluster, &act))
			agent_cluster_act(a, now, &act, &taken);
		if (a->disk != NULL)
			raft_disk_turn(a->disk);
		agent_external_take(a, now);
		agent_external_look(a, now);
	} while (a->cluster_fed);
	a->cluster_stepping = false;
	loop_timer_arm(a->cluster_timer, cluster_deadline(a->cluster));
}

void
agent_cluster_due(void *arg)
{
	struct agent *a = arg;
	struct now now = loop_now();

	cluster_tick(a->cluster, now);
	agent_changed(a, now);
}

/* True: leadership is elsewhere, or nobody can take it, and all that we had to say to the others is
 * said: our vote for the next leader, above all. */
bool
agent_cluster_stopped(struct agent *a, struct now now)
{
	struct cluster_status s;

	if (!a->cluster_stopping) {
		a->cluster_led = cluster_status(a->cluster, now).leader;
		a->cluster_patience = now.mono + AGENT_HANDOVER_MAX;
		cluster_stop(a->cluster, now);
	}
	a->cluster_stopping = true;
	cluster_tick(a->cluster, now);
	agent_cluster_step(a, now);
	s = cluster_status(a->cluster, now);
	if (now.mono >= a->cluster_patience)
		return true;
	return cluster_may_stop(a->cluster) && TAILQ_EMPTY(&a->sent) && server_net_idle(a->net) &&
	       (!a->cluster_led || s.known_leader);
}

void
agent_cluster_close(struct agent *a)
{
	struct cluster_sent *s;

	agent_server_close(a);
	cluster_free(a->cluster);
	while ((s = TAILQ_FIRST(&a->sent)) != NULL)
		agent_cluster_sent_drop(a, s);
}

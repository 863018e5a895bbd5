/* agent/server/cluster.c -- life, actions, time; what comes in is given to the file whose matter it is.
 *
 * Raft's actions are handed through one by one as they are asked for, so that a snapshot is taken
 * of the very state it names and entries are not copied. Our own wait as notes and go first.
 *
 * Parts: notes; who leads; Raft's actions; input; time; life.
 */
#include "agent/server/cluster_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

/* Notes. */

struct cluster_note *
cluster_note(struct cluster *c, enum cluster_action_kind kind)
{
	struct cluster_note *n = spare_take(&c->spare_notes);

	*n = (struct cluster_note){ .act = { .kind = kind } };
	buf_init_spare(&n->bytes, CLUSTER_HTTP_MAX + FSM_RESULT_MAX, &c->spare_rooms);
	TAILQ_INSERT_TAIL(&c->notes, n, link);
	return n;
}

static void
note_free(struct cluster *c, struct cluster_note *n)
{
	if (n != NULL)
		buf_done_spare(&n->bytes, &c->spare_rooms);
	spare_give(&c->spare_notes, n);
}

void
cluster_note_drop(struct cluster *c, struct cluster_note *n)
{
	TAILQ_REMOVE(&c->notes, n, link);
	note_free(c, n);
}

void
cluster_say(struct cluster *c, enum log_level level, const char *fmt, ...)
{
	struct cluster_note *n = cluster_note(c, CLUSTER_LOG);
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	n->act.level = (int)level;
	buf_add(&n->bytes, str_of(text));
}

void
cluster_send(struct cluster *c, const struct uuid *to, const struct cluster_wire *m)
{
	struct cluster_note *n = cluster_note(c, CLUSTER_SEND);

	n->act.agent = *to;
	cluster_wire_write(&n->bytes, m);
}

/* Who leads, and how far we have followed. */

#define STEP_PATIENCE (10 * NSEC_SEC) /* of a start without a leader (RULES 13) */

struct raft_core_status
cluster_raft_status(const struct cluster *c)
{
	if (c->raft == NULL)
		return (struct raft_core_status){ 0 };
	return raft_core_status(c->raft, c->turn);
}

void
cluster_leader_set(struct cluster *c, bool known, const struct uuid *agent)
{
	char text[UUID_TEXT_LEN + 1];
	struct uuid who = known ? *agent : (struct uuid){ { 0 } };
	enum log_level level = c->config.server ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;

	if (known == c->leader_known && uuid_eq(&who, &c->leader))
		return;
	if (c->leader_known && !known)
		c->leaderless_at = c->turn.mono;
	c->leader_known = known;
	c->leader = who;
	cluster_note(c, CLUSTER_LEADER)->act.agent = who;
	if (known)
		cluster_say(c, level, "leader agent=%s term=%llu", uuid_format(&who, text),
		    (unsigned long long)c->leader_term);
	else
		cluster_say(c, level, "no leader");
	cluster_ask_led(c);
}

/* Deadlines of sessions run where an entry of the own term is applied: the state is the newest
 * then. Before, ends of sessions may be in the log that are not applied. */
static void
cluster_led_set(struct cluster *c, bool led)
{
	if (led == c->led)
		return;
	c->led = led;
	if (led) {
		sessions_lead(fsm_sessions(c->fsm), c->turn.mono);
		cluster_server_led(c);
		c->sessions_dirty = true;
		return;
	}
	sessions_follow(fsm_sessions(c->fsm));
	c->change = 0;
}

/* After a start the copy may lack much that was acknowledged long ago. */
static void
step_look(struct cluster *c)
{
	struct raft_core_status s;

	if (c->in_step || c->raft == NULL)
		return;
	s = cluster_raft_status(c);
	c->in_step = s.in_step;
	if (c->in_step)
		cluster_say(c, LOG_LEVEL_INFO, "the copy is in step index=%llu",
		    (unsigned long long)s.applied);
}

bool
cluster_in_step(const struct cluster *c, struct now now)
{
	return c->in_step || c->raft == NULL || now.mono - c->started >= STEP_PATIENCE;
}

void
cluster_gone(struct cluster *c)
{
	c->in_step = false;
	c->leading = false;
	c->server_count = 0;
	cluster_led_set(c, false);
	cluster_ask_local_lost(c);
	cluster_serve_local_lost(c);
	cluster_leader_set(c, false, NULL);
}

void
cluster_changed(struct cluster *c)
{
	struct raft_core_status s = cluster_raft_status(c);
	struct uuid agent = { { 0 } };
	bool known;

	if (c->raft == NULL)
		return;
	c->server_count = raft_core_servers(c->raft, c->servers);
	known = s.leader_id != 0 && cluster_server_agent(c, s.leader_id, &agent);
	cluster_server_formed(c);
	cluster_led_set(c, s.leader && s.led_long && !s.stopped);
	c->leading = c->led && (c->vote.flags & CLUSTER_OPEN) != 0;
	c->leader_term = s.term;
	c->leader_cluster = c->vote.cluster_id;
	cluster_leader_set(c, known, &agent);
	c->removed = s.removed && !s.stopped;
	c->pump = true;
	step_look(c);
}

/* Raft's actions. */

static void
raft_answered(struct cluster *c, const struct raft_core_action *a)
{
	if (!cluster_ask_answer(c, a) && !cluster_serve_answer(c, a))
		cluster_server_answer(c, a);
}

static void
raft_stopped(struct cluster *c, struct str why)
{
	c->stopped = true;
	cluster_say(c, LOG_LEVEL_ERROR,
	    "the log cannot go on here: " STR_FMT "; this agent takes no part in Raft",
	    STR_ARG(why));
	cluster_changed(c);
}

/* Raft's bytes for another server, inside a message of ours. */
static bool
raft_wrap(struct cluster *c, const struct raft_core_action *a, struct cluster_action *out)
{
	struct cluster_note *n;

	*out = (struct cluster_action){ .kind = CLUSTER_SEND };
	if (!cluster_server_agent(c, a->peer, &out->agent) ||
	    uuid_eq(&out->agent, &c->config.self)) /* an older log of ours, which is no more */
		return false;
	n = cluster_note(c, CLUSTER_SEND);
	TAILQ_REMOVE(&c->notes, n, link);
	cluster_wire_write(&n->bytes, &(struct cluster_wire){
					  .kind = WIRE_RAFT,
					  .cluster = c->vote.cluster_id,
					  .from = c->vote.raft_id,
					  .to = a->peer,
					  .open = (c->vote.flags & CLUSTER_OPEN) != 0,
					  .rest = a->bytes,
				      });
	note_free(c, c->told);
	c->told = n;
	out->bytes = buf_str(&n->bytes);
	if (a->kind != RAFT_CORE_SEND_SNAPSHOT)
		return true;
	out->kind = CLUSTER_RAFT;
	out->raft = *a;
	out->raft.bytes = out->bytes;
	return true;
}

/* True: *out is for the caller. */
static bool
raft_action(struct cluster *c, const struct raft_core_action *a, struct cluster_action *out)
{
	*out = (struct cluster_action){ .kind = CLUSTER_RAFT, .raft = *a };
	switch (a->kind) {
	case RAFT_CORE_VOTE:
		c->vote.term = a->term;
		c->vote.voted_for = a->voted_for;
		out->vote = c->vote;
		return true;
	case RAFT_CORE_TRUNCATE:
	case RAFT_CORE_APPEND:
	case RAFT_CORE_SNAPSHOT:
	case RAFT_CORE_INSTALLED:
	case RAFT_CORE_DROP:
		return true;
	case RAFT_CORE_SEND:
	case RAFT_CORE_SEND_SNAPSHOT:
		return raft_wrap(c, a, out);
	case RAFT_CORE_ANSWER:
		raft_answered(c, a);
		return false;
	case RAFT_CORE_CHANGED:
		cluster_changed(c);
		return false;
	case RAFT_CORE_APPLIED:
		c->sessions_dirty = true;
		step_look(c);
		cluster_session_met(c);
		if (!c->leading && cluster_raft_status(c).leader) /* of our term, the first? */
			cluster_changed(c);
		cluster_ask_applied(c);
		cluster_serve_applied(c);
		*out = (struct cluster_action){ .kind = CLUSTER_APPLIED };
		return true;
	case RAFT_CORE_STOPPED:
		raft_stopped(c, a->text);
		return false;
	case RAFT_CORE_NOTE:
		*out = (struct cluster_action){
			.kind = CLUSTER_LOG,
			.level = LOG_LEVEL_DEBUG,
			.text = a->text,
		};
		return true;
	}
	return false;
}

static void
note_give(struct cluster *c, struct cluster_note *n, struct cluster_action *out)
{
	TAILQ_REMOVE(&c->notes, n, link);
	note_free(c, c->told);
	c->told = n;
	if (n == c->round_note)
		c->round_note = NULL;
	*out = n->act;
	if (n->act.kind == CLUSTER_LOG || (n->act.kind == CLUSTER_ANSWER && n->act.code != 0))
		out->text = buf_str(&n->bytes);
	else
		out->bytes = buf_str(&n->bytes);
	if (n->act.kind == CLUSTER_RAFT)
		out->raft.entry.bytes = buf_str(&n->bytes);
}

bool
cluster_action_next(struct cluster *c, struct cluster_action *out)
{
	struct raft_core_action a;

	for (;;) {
		struct cluster_note *n = TAILQ_FIRST(&c->notes);

		if (n != NULL) {
			note_give(c, n, out);
			return true;
		}
		if (c->raft != NULL && raft_core_action_next(c->raft, &a)) {
			if (raft_action(c, &a, out))
				return true;
			continue;
		}
		if (c->removed)
			cluster_found_anew(c);
		else if (c->pump)
			cluster_ask_pump(c);
		else
			break;
	}
	note_free(c, c->told);
	c->told = NULL;
	return false;
}

/* Input. */

/* The sender's Raft id must be the one by which the configuration, or its tag, knows it. */
static int
raft_message(struct cluster *c, const struct uuid *from, struct cluster_wire *m, struct err *err)
{
	if (!c->config.server || m->to != c->vote.raft_id || m->from == 0)
		return err_set(err, ERR_REFUSED, "a Raft message for another server");
	if (uuid_zero(&c->vote.cluster_id) && !cluster_found_adopt(c, m))
		return err_set(err, ERR_REFUSED, "a Raft message while a cluster is being founded");
	if (!uuid_eq(&m->cluster, &c->vote.cluster_id) || c->raft == NULL)
		return err_set(err, ERR_REFUSED, "a Raft message of another cluster");
	if (!cluster_server_is(c, m->from, from))
		return err_set(err, ERR_REFUSED, "a Raft message of an unknown server");
	if (m->open && (c->vote.flags & CLUSTER_FORMED) == 0) {
		struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];

		if (raft_core_servers(c->raft, servers) > 0)
			cluster_found_flags(c, CLUSTER_FORMED | CLUSTER_OPEN);
	} else if (m->open)
		cluster_found_flags(c, CLUSTER_OPEN);
	return 0;
}

static void
leader_told(struct cluster *c, const struct cluster_wire *m)
{
	bool same = uuid_eq(&m->cluster, &c->leader_cluster);

	if (c->config.server || uuid_zero(&m->cluster))
		return; /* a server knows by itself */
	if (same && m->term < c->leader_term && (c->leader_known || uuid_zero(&m->leader)))
		return; /* old news; better than none, when a newer term came to nothing */
	if (!same && c->leader_known)
		return; /* two clusters: the first one stays, while it has a leader */
	if (same && m->term == c->leader_term && uuid_zero(&m->leader))
		return; /* who does not know says nothing about who does */
	c->leader_cluster = m->cluster;
	c->leader_term = m->term;
	cluster_leader_set(c, !uuid_zero(&m->leader), &m->leader);
	c->pump = true;
}

static void
who_asked(struct cluster *c, const struct uuid *from)
{
	cluster_send(c, from,
	    &(struct cluster_wire){
		.kind = WIRE_LEADER,
		.cluster = c->leader_cluster,
		.term = c->leader_term,
		.leader = c->leader,
	    });
}

static int
message(struct cluster *c, const struct uuid *from, struct str bytes, struct err *err)
{
	struct cluster_wire m;
	int code = cluster_wire_read(bytes, &m, err);

	if (code < 0)
		return code;
	switch (m.kind) {
	case WIRE_RAFT:
		code = raft_message(c, from, &m, err);
		if (code == 0)
			code = raft_core_input(c->raft, c->turn, m.from, m.rest, err);
		step_look(c);
		return code;
	case WIRE_CALL:
		cluster_serve_call(c, from, &m);
		return 0;
	case WIRE_REPLY:
		cluster_ask_reply(c, from, &m);
		leader_told(c, &m);
		return 0;
	case WIRE_CANCEL:
		cluster_serve_cancel(c, from, m.number);
		return 0;
	case WIRE_WHO:
		who_asked(c, from);
		return 0;
	case WIRE_LEADER:
		leader_told(c, &m);
		return 0;
	}
	return 0;
}

int
cluster_input(
    struct cluster *c, struct now now, const struct uuid *from, struct str bytes, struct err *err)
{
	int code;

	c->turn = now;
	code = message(c, from, bytes, err);
	if (code < 0)
		c->dropped++;
	return code;
}

int
cluster_install(struct cluster *c, struct now now, const struct uuid *from, struct str bytes,
    int (*read)(void *arg, size_t want, struct buf *, struct err *), void *arg, struct err *err)
{
	struct cluster_wire m;
	int code = cluster_wire_read(bytes, &m, err);

	c->turn = now;
	if (code == 0 && m.kind != WIRE_RAFT)
		code = err_set(err, ERR_INPUT, "a snapshot without its message");
	if (code == 0)
		code = raft_message(c, from, &m, err);
	if (code == 0)
		code = raft_core_install(c->raft, now, m.from, m.rest, read, arg, err);
	if (code < 0)
		c->dropped++;
	return code;
}

void
cluster_lost(struct cluster *c, struct now now, const struct uuid *agent)
{
	c->turn = now;
	cluster_ask_lost(c, agent);
	cluster_serve_lost(c, agent);
}

void
cluster_durable(struct cluster *c, struct now now, uint64_t raft_index)
{
	c->turn = now;
	if (c->founding)
		cluster_found_durable(c, raft_index);
	else if (c->raft != NULL)
		raft_core_durable(c->raft, now, raft_index);
}

void
cluster_snapshot_stored(struct cluster *c, struct now now, uint64_t raft_index)
{
	c->turn = now;
	if (c->raft != NULL)
		raft_core_snapshot_stored(c->raft, now, raft_index);
}

void
cluster_synced(struct cluster *c, struct now now)
{
	c->turn = now;
	if (c->synced)
		return;
	c->synced = true;
	c->synced_at = now.mono;
	c->sessions_dirty = true;
	cluster_found_look(c);
}

void
cluster_store_changed(struct cluster *c, struct now now)
{
	c->turn = now;
	c->sessions_dirty = true;
}

/* The disk. */

#define DISK_PATIENCE NSEC_SEC /* of writes on their way to a disk that takes nothing */

void
cluster_disk_text(const struct cluster *c, char *out, size_t cap)
{
	snprintf(out, cap, "raft apply failed: " STR_FMT "; it may be done once that is over",
	    STR_ARG(buf_str(&c->disk_why)));
}

void
cluster_disk_failing(struct cluster *c, struct now now, struct str why)
{
	c->turn = now;
	buf_clear(&c->disk_why);
	buf_add(&c->disk_why, why);
	c->disk_at = why.n > 0 ? now.mono + DISK_PATIENCE : NSEC_NEVER;
	if (why.n > 0 && cluster_raft_status(c).leader)
		raft_core_transfer(c->raft, now, 0, NULL); /* refused: there is nobody */
}

/* No other disk can take what waits for ours: those who asked are told why. */
static void
disk_tick(struct cluster *c)
{
	char text[ERR_TEXT_MAX + 64];

	if (c->disk_at > c->turn.mono)
		return;
	c->disk_at = NSEC_NEVER;
	if (!c->leading || !cluster_server_alone(c))
		return;
	cluster_disk_text(c, text, sizeof text);
	cluster_ask_local_fail(c, str_of(text));
	cluster_serve_local_fail(c, str_of(text));
}

/* Time. */

void
cluster_tick(struct cluster *c, struct now now)
{
	c->turn = now;
	if (c->raft != NULL && raft_core_deadline(c->raft) <= now.mono)
		raft_core_tick(c->raft, now);
	cluster_found_look(c);
	cluster_server_tick(c);
	cluster_session_tick(c);
	disk_tick(c);
	cluster_ask_tick(c);
	cluster_serve_tick(c);
}

nsec
cluster_deadline(const struct cluster *c)
{
	nsec due = c->raft == NULL ? NSEC_NEVER : raft_core_deadline(c->raft);

	due = nsec_min(due, cluster_found_deadline(c));
	due = nsec_min(due, cluster_server_deadline(c));
	due = nsec_min(due, cluster_session_deadline(c));
	due = nsec_min(due, c->disk_at);
	due = nsec_min(due, cluster_ask_deadline(c));
	return nsec_min(due, cluster_serve_deadline(c));
}

/* Life. */

#define STOP_PATIENCE (3 * NSEC_SEC)

void
cluster_stop(struct cluster *c, struct now now)
{
	c->turn = now;
	c->stopping = true;
	c->stop_at = now.mono + STOP_PATIENCE;
	if (cluster_raft_status(c).leader)
		raft_core_transfer(c->raft, now, 0, NULL); /* refused: there is nobody */
}

bool
cluster_may_stop(const struct cluster *c)
{
	if (c->raft == NULL || !raft_core_status(c->raft, c->turn).leader)
		return true;
	return cluster_server_alone(c) || c->turn.mono >= c->stop_at;
}

struct fsm *
cluster_fsm(struct cluster *c)
{
	return c->fsm;
}

struct cluster_status
cluster_status(const struct cluster *c, struct now now)
{
	struct cluster_status s = {
		.server = c->config.server,
		.leader = c->leading,
		.known_leader = c->leader_known,
		.in_step = cluster_in_step(c, now),
		.cluster = c->config.server ? c->vote.cluster_id : c->leader_cluster,
		.formed = (c->vote.flags & CLUSTER_FORMED) != 0,
		.leader_agent = c->leader,
	};

	if (c->raft == NULL)
		return s;
	s.raft = raft_core_status(c->raft, now);
	s.last_contact = s.raft.leader ? 0 : now.mono - s.raft.contact;
	return s;
}

size_t
cluster_servers(const struct cluster *c, struct raft_core_server out[RAFT_CORE_SERVERS_MAX])
{
	return c->raft == NULL ? 0 : raft_core_servers(c->raft, out);
}

bool
cluster_progress(
    const struct cluster *c, struct now now, uint64_t raft_id, uint64_t *match, nsec *heard)
{
	(void)now;
	return c->raft != NULL && raft_core_progress(c->raft, raft_id, match, heard);
}

int
cluster_new(const struct cluster_config *config, const struct cluster_disk *disk, uint64_t seed,
    struct now now, struct cluster **out, struct err *err)
{
	struct cluster *c = mem_new(struct cluster);
	int code = 0;

	c->config = *config;
	c->turn = now;
	c->started = now.mono;
	c->disk_at = NSEC_NEVER;
	c->scratch = mem_new(struct fsm_op);
	rng_init(&c->rng, seed);
	c->numbers = rng_u64(&c->rng) >> 1 | 1;
	RB_INIT(&c->peers);
	RB_INIT(&c->asks);
	RB_INIT(&c->dues);
	RB_INIT(&c->calls);
	RB_INIT(&c->serves);
	RB_INIT(&c->tracks);
	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->local);
	TAILQ_INIT(&c->sent);
	TAILQ_INIT(&c->carried);
	TAILQ_INIT(&c->applying);
	TAILQ_INIT(&c->writes);
	TAILQ_INIT(&c->behind);
	TAILQ_INIT(&c->notes);
	spare_init(&c->spare_asks, sizeof(struct cluster_ask), CLUSTER_KEPT);
	spare_init(&c->spare_notes, sizeof(struct cluster_note), CLUSTER_KEPT);
	spare_init(&c->spare_rooms, CLUSTER_ROOM, 2 * CLUSTER_KEPT);
	buf_init(&c->first, RAFT_SNAPSHOT_CONFIG_MAX);
	buf_init(&c->disk_why, ERR_TEXT_MAX);
	if (config->server)
		code = cluster_found_restore(c, disk, err);
	else if (disk != NULL)
		fsm_free(disk->fsm);
	if (code < 0) {
		cluster_free(c);
		return code;
	}
	*out = c;
	return 0;
}

static void
peers_free(struct cluster *c)
{
	struct cluster_peer *p;

	while ((p = RB_MIN(cluster_peers, &c->peers)) != NULL) {
		RB_REMOVE(cluster_peers, &c->peers, p);
		free(p);
	}
}

void
cluster_free(struct cluster *c)
{
	struct cluster_note *n;

	if (c == NULL)
		return;
	cluster_ask_free(c);
	cluster_serve_free(c);
	cluster_session_free(c);
	peers_free(c);
	while ((n = TAILQ_FIRST(&c->notes)) != NULL) {
		TAILQ_REMOVE(&c->notes, n, link);
		note_free(c, n);
	}
	note_free(c, c->told);
	spare_done(&c->spare_asks);
	spare_done(&c->spare_notes);
	spare_done(&c->spare_rooms);
	raft_core_free(c->raft);
	fsm_free(c->fsm);
	buf_done(&c->first);
	buf_done(&c->disk_why);
	free(c->scratch);
	free(c);
}

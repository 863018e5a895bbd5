/* tests/unit/cluster_fake.c -- see cluster_fake.h: all of cluster.h that the API calls. */
#include "tests/unit/cluster_fake.h"

#include <stdlib.h>

#include "base/mem.h"

struct cluster_fake cluster_fake;

struct said {
	TAILQ_ENTRY(said) link;
	uint64_t request, index;
	int code;
	struct str text;
	struct buf bytes;
};

struct cluster {
	struct fsm *fsm;
	uint64_t raft, requests;
	TAILQ_HEAD(, said) said;
	struct said *last; /* what the action given points to */
};

static void
said_free(struct said *a)
{
	if (a != NULL)
		buf_done(&a->bytes);
	free(a);
}

static struct said *
say(struct cluster *c)
{
	struct said *a = mem_new(struct said);

	a->request = ++c->requests;
	a->code = cluster_fake.error == NULL ? 0 : cluster_fake.code;
	a->text = str_of(cluster_fake.error);
	buf_init(&a->bytes, FSM_RESULT_MAX);
	TAILQ_INSERT_TAIL(&c->said, a, link);
	return a;
}

struct cluster *
cluster_fake_new(struct watches *watches)
{
	struct cluster *c = mem_new(struct cluster);

	buf_done(&cluster_fake.asked);
	buf_done(&cluster_fake.served);
	cluster_fake = (struct cluster_fake){ .status = { .server = true, .known_leader = true } };
	buf_init(&cluster_fake.asked, CLUSTER_HTTP_MAX);
	buf_init(&cluster_fake.served, CLUSTER_HTTP_MAX);
	TAILQ_INIT(&c->said);
	c->fsm = fsm_new(watches);
	return c;
}

void
cluster_free(struct cluster *c)
{
	struct said *a;

	if (c == NULL)
		return;
	while ((a = TAILQ_FIRST(&c->said)) != NULL) {
		TAILQ_REMOVE(&c->said, a, link);
		said_free(a);
	}
	said_free(c->last);
	fsm_free(c->fsm);
	free(c);
	buf_done(&cluster_fake.asked);
	buf_done(&cluster_fake.served);
}

bool
cluster_action_next(struct cluster *c, struct cluster_action *out)
{
	struct said *a = TAILQ_FIRST(&c->said);

	said_free(c->last);
	c->last = a;
	if (a == NULL)
		return false;
	TAILQ_REMOVE(&c->said, a, link);
	*out = (struct cluster_action){
		.kind = CLUSTER_ANSWER,
		.request = a->request,
		.code = a->code,
		.text = a->text,
		.index = a->index,
		.bytes = buf_str(&a->bytes),
	};
	return true;
}

uint64_t
cluster_write(struct cluster *c, struct now now, const struct fsm_op *op)
{
	struct said *a = say(c);
	struct buf bytes;
	struct err err = { 0 };

	cluster_fake.writes++;
	if (a->code == 0 && op->command == FSM_SESSION_END && op->cause != FSM_DESTROYED)
		a->code = ERR_INPUT; /* the other causes are the leader's to find */
	if (a->code != 0)
		return a->request;
	buf_init(&bytes, FSM_RESULT_MAX);
	if (fsm_op_write(&bytes, op, &err) != 0 || !fsm_stamp(c->fsm, now.mono, bytes.p, bytes.n) ||
	    fsm_apply(c->fsm, now.mono, ++c->raft, buf_str(&bytes), &a->bytes, &err) != 0)
		a->code = ERR_INPUT;
	a->index = fsm_index(c->fsm);
	buf_done(&bytes);
	return a->request;
}

uint64_t
cluster_read(struct cluster *c, struct now now, enum cluster_read mode)
{
	(void)now;
	(void)mode;
	cluster_fake.reads++;
	return say(c)->request;
}

bool
cluster_readable(const struct cluster *c, struct now now, enum cluster_read mode)
{
	(void)c;
	(void)now;
	return mode == CLUSTER_STALE || !cluster_fake.must_ask;
}

uint64_t
cluster_renew(struct cluster *c, struct now now, const struct uuid *session)
{
	struct said *a = say(c);
	bool found = session_renew(fsm_sessions(c->fsm), session, now.mono) != NULL ||
		     cluster_fake.renew_only_at_leader;

	cluster_fake.renewals++;
	buf_addc(&a->bytes, found);
	return a->request;
}

uint64_t
cluster_ask_http(struct cluster *c, struct now now, struct str request)
{
	struct said *a = say(c);

	(void)now;
	cluster_fake.asks++;
	buf_clear(&cluster_fake.asked);
	buf_add(&cluster_fake.asked, request);
	buf_add(&a->bytes, cluster_fake.http_answer);
	return a->request;
}

uint64_t
cluster_remove(struct cluster *c, struct now now, uint64_t raft_id)
{
	(void)now;
	(void)raft_id;
	return say(c)->request;
}

void
cluster_repeatable(struct cluster *c, uint64_t request)
{
	(void)c;
	(void)request;
	cluster_fake.repeatable++;
}

bool
cluster_progress(
    const struct cluster *c, struct now now, uint64_t raft_id, uint64_t *match, nsec *heard)
{
	(void)c;
	(void)now;
	(void)raft_id;
	(void)match;
	(void)heard;
	return false;
}

void
cluster_served(struct cluster *c, struct now now, uint64_t request, struct str answer)
{
	(void)c;
	(void)now;
	cluster_fake.serves++;
	cluster_fake.served_request = request;
	buf_clear(&cluster_fake.served);
	buf_add(&cluster_fake.served, answer);
}

void
cluster_cancel(struct cluster *c, uint64_t request)
{
	struct said *a;

	cluster_fake.cancels++;
	TAILQ_FOREACH (a, &c->said, link)
		if (a->request == request) {
			TAILQ_REMOVE(&c->said, a, link);
			said_free(a);
			return;
		}
}

struct fsm *
cluster_fsm(struct cluster *c)
{
	return cluster_fake.no_copy ? NULL : c->fsm;
}

struct cluster_status
cluster_status(const struct cluster *c, struct now now)
{
	(void)c;
	(void)now;
	return cluster_fake.status;
}

size_t
cluster_servers(const struct cluster *c, struct raft_core_server out[RAFT_CORE_SERVERS_MAX])
{
	static const struct uuid nobody;

	(void)c;
	out[0] = cluster_fake.server;
	return uuid_eq(&out[0].agent, &nobody) ? 0 : 1;
}

/* watcher/docker_remote.c -- tasks of a swarm on nodes that have no agent of their own.
 *
 * Who does it: the agent beside the swarm's leader, which registers such tasks as services of
 * its own, at the address of the node that runs them. So every record has one owner, writing
 * needs no quorum of ours, and who hears of the leader's death hides them (DESIGN.md). Ids are
 * those that an agent on that node would give.
 *
 * How: no event tells of tasks, so the lists are asked for again and again, one after the other:
 *
 *     /info       which node are we? (once per connection)
 *     /nodes      are we the leader? which nodes have no agent?   none: no more questions
 *     /services   what are tasks called, labelled, published as?
 *     /tasks      what runs there?
 *
 * A task that has ended goes at once. One that another is to tell of from now on (an agent came
 * to its node, or another manager leads) stays for DOCKER_REMOTE_GRACE, so that it is rather
 * twice there than not at all. A list that fails changes nothing.
 */
#include "watcher/docker_core.h"

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "watcher/docker_record.h"
#include "watcher/swarm_task.h"

#define DOCKER_REMOTE_WAIT (2 * NSEC_SEC)  /* between two rounds, while there are such tasks */
#define DOCKER_REMOTE_IDLE (5 * NSEC_SEC) /* else; events about nodes come in between */
#define DOCKER_REMOTE_GRACE (10 * NSEC_SEC)
#define DOCKER_REMOTE_BYTES_MAX (64 * 1024 * 1024) /* one list */
#define DOCKER_REMOTE_ARENA_MAX (256 * 1024 * 1024)
#define DOCKER_REMOTE_RECORDS_MAX (16 * 1024 * 1024) /* bytes of one task's services */
#define DOCKER_REMOTE_TASKS \
	"%s/tasks?filters=%%7B%%22desired-state%%22%%3A%%5B%%22running%%22%%5D%%7D"

void
docker_remote_init(struct docker_remote *r)
{
	*r = (struct docker_remote){ .next = NSEC_NEVER };
	track_init(&r->track);
	arena_init(&r->lists, DOCKER_REMOTE_ARENA_MAX);
	arena_init(&r->agent_texts, DOCKER_REMOTE_ARENA_MAX);
}

void
docker_remote_done(struct docker_remote *r)
{
	track_done(&r->track);
	arena_done(&r->lists);
	arena_done(&r->agent_texts);
}

void
docker_remote_lost(struct docker *d)
{
	struct docker_remote *r = &d->remote;

	r->request = (struct docker_request){ ASKS_NOTHING, 0, NULL };
	r->next = NSEC_NEVER;
	r->again = false;
	r->node[0] = '\0';
	arena_reset(&r->lists);
}

/* One round. */

static void
docker_remote_ask(struct docker *d, enum docker_asks asks, struct docker_todo *get)
{
	docker_ask(d, &d->remote.request, asks, NULL, get, DOCKER_REMOTE_BYTES_MAX);
}

/* The round is over; the next begins after `wait`. */
static void
docker_remote_over(struct docker *d, struct now now, nsec wait)
{
	struct docker_remote *r = &d->remote;

	arena_reset(&r->lists);
	r->next = r->again ? now.mono : now.mono + wait;
	r->again = false;
	r->done = true;
}

static void
docker_remote_begin(struct docker *d)
{
	struct docker_remote *r = &d->remote;

	r->next = NSEC_NEVER;
	if (r->node[0] == '\0')
		docker_remote_ask(d, ASKS_SELF, docker_do(d, DOCKER_GET, "%s/info", d->version));
	else
		docker_remote_ask(d, ASKS_NODES, docker_do(d, DOCKER_GET, "%s/nodes", d->version));
}

/* Tasks that this round did not name go: at once, or when their time is over. */
static void
docker_remote_sweep(struct docker *d, struct now now, bool ended)
{
	struct tracked *t, *next;

	RB_FOREACH_SAFE (t, tracked_tree, &d->remote.track.containers, next) {
		if (t->touched == d->remote.round)
			continue;
		if (t->retry_at == NSEC_NEVER)
			t->retry_at = ended ? now.mono : now.mono + DOCKER_REMOTE_GRACE;
		if (t->retry_at <= now.mono)
			track_drop(&d->remote.track, t, 0);
	}
}

static void
docker_remote_has_info(struct docker *d, struct now now, int status, struct str body)
{
	json_t *root = NULL;
	struct str node;

	if (status == 200 && json_read(body, &root, NULL) == 0) {
		node = json_member_str(json_object_get(root, "Swarm"), "NodeID");
		if (swarm_id_valid(node))
			snprintf(d->remote.node, sizeof d->remote.node, STR_FMT, STR_ARG(node));
	}
	json_decref(root);
	if (d->remote.node[0] == '\0')
		docker_remote_over(d, now, DOCKER_REMOTE_IDLE); /* in no swarm */
	else
		docker_remote_begin(d);
}

static bool
docker_agent_at(const struct docker_remote *r, struct str addr)
{
	for (size_t i = 0; addr.n > 0 && i < r->agent_count; i++)
		if (str_eq(r->agents[i].address, addr))
			return true;
	return false;
}

static bool
docker_node_at(const struct docker_remote *r, struct str addr)
{
	for (size_t i = 0; i < r->node_count; i++)
		if (str_eq(r->nodes[i].addr, addr))
			return true;
	return false;
}

/* Does an agent run on this node? It is at its address, or has its name and is at an address that
 * is no node's: hosts have several addresses, and names that are not unique. */
static bool
docker_node_covered(const struct docker_remote *r, const struct swarm_node *node)
{
	if (str_eq(node->id, str_of(r->node)) || docker_agent_at(r, node->addr))
		return true;
	for (size_t i = 0; i < r->agent_count; i++)
		if (str_eq(r->agents[i].name, node->name) &&
		    !docker_node_at(r, r->agents[i].address))
			return true;
	return false;
}

static const struct swarm_node *
docker_remote_node(const struct docker_remote *r, struct str id)
{
	for (size_t i = 0; i < r->node_count; i++)
		if (str_eq(r->nodes[i].id, id))
			return &r->nodes[i];
	return NULL;
}

static void
docker_remote_has_nodes(struct docker *d, struct now now, int status, struct str body)
{
	struct docker_remote *r = &d->remote;
	const struct swarm_node *self;
	bool wanted = false;

	if (status != 200 ||
	    swarm_nodes_read(&r->lists, body, &r->nodes, &r->node_count, NULL) < 0) {
		/* A worker, or a manager without a leader: another tells, or nobody can. */
		if (body.n > 0 && memmem(body.p, body.n, "not a swarm manager", 19) != NULL) {
			r->round++;
			docker_remote_sweep(d, now, false);
		}
		docker_remote_over(d, now, DOCKER_REMOTE_IDLE);
		return;
	}
	self = docker_remote_node(r, str_of(r->node));
	for (size_t i = 0; self != NULL && self->leader && i < r->node_count; i++)
		wanted |= r->nodes[i].addr.n > 0 && !docker_node_covered(r, &r->nodes[i]);
	if (wanted) {
		docker_remote_ask(
		    d, ASKS_SERVICES, docker_do(d, DOCKER_GET, "%s/services", d->version));
		return;
	}
	r->round++;
	docker_remote_sweep(d, now, false);
	docker_remote_over(
	    d, now, r->track.container_count > 0 ? DOCKER_REMOTE_WAIT : DOCKER_REMOTE_IDLE);
}

static void
docker_remote_has_services(struct docker *d, struct now now, int status, struct str body)
{
	struct docker_remote *r = &d->remote;

	if (status == 200 &&
	    swarm_services_read(&r->lists, body, &r->services, &r->service_count, NULL) == 0)
		docker_remote_ask(
		    d, ASKS_TASKS, docker_do(d, DOCKER_GET, DOCKER_REMOTE_TASKS, d->version));
	else
		docker_remote_over(d, now, DOCKER_REMOTE_WAIT);
}

static const struct swarm_service *
docker_remote_service(const struct docker_remote *r, struct str id)
{
	for (size_t i = 0; i < r->service_count; i++)
		if (str_eq(r->services[i].id, id))
			return &r->services[i];
	return NULL;
}

static void
docker_remote_warn(struct docker *d, struct tracked *t, const char *why)
{
	if (!t->warned)
		track_say(&d->remote.track, DOCKER_NEWS_WARN,
		    "task of another node left as it is container=%.12s why=%s", t->id, why);
	t->warned = true;
}

/* A task that runs on a node without an agent. */
static void
docker_remote_take(struct docker *d, struct now now, struct swarm_remote_task *task,
    const struct swarm_node *node, const struct swarm_service *service)
{
	struct docker_remote *r = &d->remote;
	struct rules_config rules = d->config.rules;
	struct rules_service *all;
	struct container view;
	struct tracked *t;
	struct arena arena;
	struct err err;
	char id[DOCKER_ID_MAX + 1] = "";
	size_t count, bytes = 0;

	memcpy(id, task->container.id.p, task->container.id.n);
	t = track_get(&r->track, id);
	t->touched = r->round;
	t->retry_at = NSEC_NEVER;
	arena_init(&arena, DOCKER_REMOTE_RECORDS_MAX);
	swarm_task_name_it(&r->lists, task, service->name);
	swarm_task_view(&arena, &task->container, service, &view);
	rules.host = node->name;
	rules.ip = node->addr;
	rules.ip_other = STR_NONE; /* -docker-ip is our own node's */
	rules.ip_forced = false;
	if (memmem(rules.tags.p, rules.tags.n, "{{", 2) != NULL)
		rules.tags = STR_NONE; /* templates need what only the node's engine tells */
	if (rules_apply(&rules, &arena, &view, NULL, &all, &count, &err) < 0) {
		docker_remote_warn(d, t, err.text);
	} else {
		for (size_t i = 0; i < count; i++)
			bytes += docker_record_size(&all[i]);
		if (bytes > DOCKER_REMOTE_RECORDS_MAX)
			docker_remote_warn(d, t, "its services are too long");
		else
			track_running(&r->track, t, now, &view, all, count, d->config.drain, 0);
	}
	arena_done(&arena);
}

static void
docker_remote_has_tasks(struct docker *d, struct now now, int status, struct str body)
{
	struct docker_remote *r = &d->remote;
	struct swarm_remote_task *tasks;
	size_t count;

	if (status != 200 || swarm_tasks_read(&r->lists, body, &tasks, &count, NULL) < 0) {
		docker_remote_over(d, now, DOCKER_REMOTE_WAIT);
		return;
	}
	r->round++;
	for (size_t i = 0; i < count; i++) {
		const struct swarm_node *node = docker_remote_node(r, tasks[i].node);
		const struct swarm_service *service = docker_remote_service(r, tasks[i].service);
		char id[DOCKER_ID_MAX + 1] = "";
		struct tracked *t;

		if (!tasks[i].running || node == NULL || service == NULL || node->addr.n == 0)
			continue;
		memcpy(id, tasks[i].container.id.p, tasks[i].container.id.n);
		t = track_find(&r->track, id);
		if (!node->ready)
			continue; /* nobody knows; swarm starts others elsewhere */
		if (!docker_node_covered(r, node))
			docker_remote_take(d, now, &tasks[i], node, service);
		else if (t != NULL && t->retry_at == NSEC_NEVER)
			t->retry_at = now.mono + DOCKER_REMOTE_GRACE;
	}
	docker_remote_sweep(d, now, true);
	docker_remote_over(d, now, DOCKER_REMOTE_WAIT);
}

void
docker_remote_answer(struct docker *d, struct now now, int status, struct str body)
{
	enum docker_asks asks = d->remote.request.asks;

	d->remote.request.asks = ASKS_NOTHING;
	switch (asks) {
	case ASKS_SELF:
		docker_remote_has_info(d, now, status, body);
		break;
	case ASKS_NODES:
		docker_remote_has_nodes(d, now, status, body);
		break;
	case ASKS_SERVICES:
		docker_remote_has_services(d, now, status, body);
		break;
	default:
		docker_remote_has_tasks(d, now, status, body);
		break;
	}
}

void
docker_remote_tick(struct docker *d, struct now now)
{
	if (now.mono >= docker_remote_deadline(d))
		docker_remote_begin(d);
}

nsec
docker_remote_deadline(const struct docker *d)
{
	const struct docker_remote *r = &d->remote;

	return r->agents_known && r->request.asks == ASKS_NOTHING ? r->next : NSEC_NEVER;
}

void
docker_remote_soon(struct docker *d, struct now now)
{
	struct docker_remote *r = &d->remote;
	struct tracked *t;

	if (!d->config.remote) {
		while ((t = RB_MIN(tracked_tree, &r->track.containers)) != NULL)
			track_drop(&r->track, t, 0);
		r->next = NSEC_NEVER;
	} else if (r->request.asks != ASKS_NOTHING) {
		r->again = true; /* what it is told may be older */
	} else if (d->phase >= PHASE_SETTLING) {
		r->next = now.mono;
	}
}

void
docker_agents(struct docker *d, struct now now, const struct docker_agent *agents, size_t count)
{
	struct docker_remote *r = &d->remote;

	docker_fed(d);
	arena_reset(&r->agent_texts);
	r->agents_known = true;
	r->agent_count = 0;
	r->agents = arena_array(&r->agent_texts, struct docker_agent, count);
	for (size_t i = 0; r->agents != NULL && i < count; i++)
		r->agents[r->agent_count++] =
		    (struct docker_agent){ arena_dup(&r->agent_texts, agents[i].name),
			    arena_dup(&r->agent_texts, agents[i].address) };
	docker_remote_soon(d, now);
}

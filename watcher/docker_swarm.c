/* watcher/docker_swarm.c -- tasks of a swarm among the containers of an engine.
 *
 * Parts in order: asking for a task's service before the task is taken in, the answers, events
 * about services, and the stop signal that waits.
 *
 * Asking: a task whose service is not known, or has changed, is held back (docker_sync.c) until
 * its service was asked for. Whoever is no manager is refused that, and asks the ingress
 * network instead, which learns of a task only some time after it has begun: hence tries.
 *
 * Waiting: in a rolling update that starts first, the engine says "the new one runs" (or is
 * healthy) and then "the old one is told to stop". The first needs an inspect before it counts
 * and the second does not, so the second would overtake it, and for a few milliseconds the
 * service would have no instance. A task that is the last good one of its service here is
 * therefore taken out only when the others have been heard of, at most DOCKER_HOLD_MAX later.
 */
#include "watcher/docker_core.h"

#include <stdio.h>

#include "watcher/swarm_task.h"

#define DOCKER_SERVICE_BYTES_MAX (4 * 1024 * 1024)
#define DOCKER_INGRESS_BYTES_MAX (16 * 1024 * 1024)
#define DOCKER_SWARM_ARENA_MAX (64 * 1024 * 1024)
#define DOCKER_MESH_WAIT (500 * NSEC_MS) /* the ingress network does not know the task yet */
#define DOCKER_MESH_TRIES_MAX 20
#define DOCKER_SERVICE_WAIT (5 * NSEC_SEC) /* managers do not answer: they have no leader, say */
#define DOCKER_HOLD_MAX (200 * NSEC_MS)

/* Asking. */

static bool
docker_is_worker(const struct docker *d, struct now now)
{
	return now.mono < d->swarm.worker_until;
}

static void
docker_try_later(struct docker *d, struct now now, struct tracked *t, nsec wait)
{
	t->retry_at = now.mono + wait;
	d->retry_next = nsec_min(d->retry_next, t->retry_at);
}

static void
docker_hold_body(struct tracked *t, struct str body)
{
	t->asked = true;
	t->held = str_dup(body);
	t->held_n = body.n;
}

static bool
docker_ask_ingress(struct docker *d, struct tracked *t, struct str body)
{
	struct docker_request *r = docker_inspect_room(d);

	if (r == NULL)
		return false;
	docker_hold_body(t, body);
	docker_ask(d, r, ASKS_INGRESS, t,
	    docker_do(d, DOCKER_GET, "%s/networks/" SWARM_INGRESS "?verbose=true", d->version),
	    DOCKER_INGRESS_BYTES_MAX);
	return true;
}

static bool
docker_ask_service(struct docker *d, struct tracked *t, struct str body)
{
	struct docker_request *r = docker_inspect_room(d);

	if (r == NULL)
		return false;
	docker_hold_body(t, body);
	docker_ask(d, r, ASKS_SERVICE, t,
	    docker_do(d, DOCKER_GET, "%s/services/%s", d->version, t->service),
	    DOCKER_SERVICE_BYTES_MAX);
	return true;
}

/* The description of a task, in the arena; t->service is set. False: it is no running task. */
static bool
docker_read_task(struct tracked *t, struct str body, struct arena *arena, struct container *out)
{
	struct str id = STR_NONE;

	if (body.n > 0 && memmem(body.p, body.n, "com.docker.swarm.", 17) != NULL &&
	    container_read(arena, body, out, NULL) == 0 && out->running && !out->restarting)
		id = swarm_task_service_id(out);
	snprintf(t->service, sizeof t->service, STR_FMT, STR_ARG(id));
	return id.n > 0;
}

bool
docker_swarm_ask(struct docker *d, struct now now, struct tracked *t, struct str body)
{
	struct arena arena;
	struct container c;
	bool asked = false;

	arena_init(&arena, DOCKER_SWARM_ARENA_MAX);
	if (docker_read_task(t, body, &arena, &c) && !swarm_fresh(&d->swarm, str_of(t->service))) {
		if (!docker_is_worker(d, now))
			asked = docker_ask_service(d, t, body);
		else if (swarm_task_in_ingress(&c))
			asked = docker_ask_ingress(d, t, body);
	}
	arena_done(&arena);
	return asked;
}

static void
docker_swarm_warn(struct docker *d, struct tracked *t, const char *what)
{
	if (!t->warned)
		track_say(&d->track, DOCKER_NEWS_WARN,
		    "swarm service of a task not known, going on without id=%s container=%.12s "
		    "why=%s",
		    t->service, t->id, what);
	t->warned = true;
}

/* The service's answer. True: something else is asked for first. */
static bool
docker_has_service(struct docker *d, struct now now, struct tracked *t, int status, struct str body,
    struct str task)
{
	struct str id = str_of(t->service);
	struct arena arena;
	struct container c;
	struct err err;
	bool asked = false;

	if (status == 200) {
		if (swarm_put(&d->swarm, id, body, &err) < 0)
			docker_swarm_warn(d, t, err.text);
		return false;
	}
	if (status == 404)
		return false; /* removed; its tasks will be told to stop */
	if (body.n > 0 && memmem(body.p, body.n, "not a swarm manager", 19) != NULL)
		d->swarm.worker_until = now.mono + SWARM_WORKER_WAIT;
	else
		docker_try_later(d, now, t, DOCKER_SERVICE_WAIT);
	if (swarm_find(&d->swarm, id) != NULL && !docker_is_worker(d, now))
		return false; /* what was known holds until a manager can tell more */
	arena_init(&arena, DOCKER_SWARM_ARENA_MAX);
	if (docker_read_task(t, task, &arena, &c) && swarm_task_in_ingress(&c))
		asked = docker_ask_ingress(d, t, task);
	arena_done(&arena);
	return asked;
}

static void
docker_has_ingress(struct docker *d, struct now now, struct tracked *t, int status, struct str body,
    struct str task)
{
	struct arena arena;
	struct container c;
	struct err err;
	int rc = 0;

	arena_init(&arena, DOCKER_SWARM_ARENA_MAX);
	if (docker_read_task(t, task, &arena, &c)) {
		if (status == 200)
			rc = swarm_put_network(
			    &d->swarm, str_of(t->service), swarm_task_service_name(&c), body, &err);
		else
			rc = err_set(&err, ERR_NOT_FOUND, "the ingress network: status %d", status);
	}
	arena_done(&arena);
	if (rc == 0)
		t->mesh_tries = 0;
	else if (t->mesh_tries++ < DOCKER_MESH_TRIES_MAX)
		docker_try_later(d, now, t, DOCKER_MESH_WAIT);
	else
		docker_swarm_warn(d, t, err.text);
}

bool
docker_swarm_answer(struct docker *d, struct now now, struct docker_request r, int status,
    struct str body, struct str task)
{
	if (r.asks == ASKS_SERVICE)
		return docker_has_service(d, now, r.about, status, body, task);
	if (r.asks == ASKS_INGRESS)
		docker_has_ingress(d, now, r.about, status, body, task);
	return false;
}

/* Events, and what is not needed any more. */

void
docker_swarm_event(struct docker *d, struct now now, const struct docker_event *ev)
{
	bool promoted = d->swarm.worker_until != 0; /* only managers hear of such */
	struct tracked *t;

	d->swarm.worker_until = 0;
	docker_remote_soon(d, now);
	if (ev->kind == EVENT_SERVICE_CHANGED)
		swarm_stale(&d->swarm, str_of(ev->service));
	if (promoted)
		swarm_stale(&d->swarm, STR_NONE);
	RB_FOREACH (t, tracked_tree, &d->track.containers)
		if (t->service[0] != '\0' && !t->ended &&
		    (promoted || strcmp(t->service, ev->service) == 0))
			docker_wish(d, t, true);
}

static bool
docker_swarm_used(void *arg, struct str service)
{
	struct docker *d = arg;
	struct tracked *t;

	RB_FOREACH (t, tracked_tree, &d->track.containers)
		if (str_eq(str_of(t->service), service))
			return true;
	return false;
}

void
docker_swarm_listed(struct docker *d)
{
	swarm_sweep(&d->swarm, docker_swarm_used, d);
	swarm_stale(&d->swarm, STR_NONE);
}

/* Waiting. */

static bool
tracked_good(const struct tracked *t)
{
	return t->known && !t->ended && !t->paused && t->drain_until == 0 && t->kill_held == 0 &&
	       (t->health == HEALTH_NONE || t->health == HEALTH_HEALTHY);
}

/* Is it the last good one of its service, while news of another is on its way? */
static bool
docker_last_of_service(struct docker *d, const struct tracked *t)
{
	struct tracked *other;
	bool coming = false;

	if (t->service[0] == '\0')
		return false;
	RB_FOREACH (other, tracked_tree, &d->track.containers) {
		if (other == t || strcmp(other->service, t->service) != 0)
			continue;
		if (tracked_good(other))
			return false;
		coming |= other->wanted || other->asked;
	}
	return coming;
}

bool
docker_swarm_holds(
    struct docker *d, struct now now, struct tracked *t, const struct docker_event *ev)
{
	if (d->catching_up || !t->known || !docker_last_of_service(d, t))
		return false;
	if (ev->kind == EVENT_KILL && t->kill_held == 0) {
		t->kill_held = ev->signal;
		t->kill_held_ns = ev->time_ns;
		t->kill_held_at = now.mono;
	}
	if (d->hold_until == NSEC_NEVER)
		d->hold_until = now.mono + DOCKER_HOLD_MAX;
	return true;
}

void
docker_swarm_release(struct docker *d, struct now now, bool all)
{
	struct tracked *t;
	bool left = false;

	if (d->hold_until == NSEC_NEVER)
		return;
	all |= now.mono >= d->hold_until;
	RB_FOREACH (t, tracked_tree, &d->track.containers) {
		int signal = t->kill_held;

		if (signal == 0)
			continue;
		if (!all && docker_last_of_service(d, t)) {
			left = true;
			continue;
		}
		t->kill_held = 0;
		track_killed(
		    &d->track, t, now, signal, now.mono - t->kill_held_at, t->kill_held_ns);
	}
	if (!left)
		d->hold_until = NSEC_NEVER;
}

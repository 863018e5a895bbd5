/* watcher/docker_ask.c -- what the shell is to do, and which containers wait to be inspected. */
#include "watcher/docker_core.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void
docker_todo_clear(struct docker_todo_list *list)
{
	struct docker_todo *todo;

	while ((todo = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, todo, link);
		free(todo);
	}
}

void
docker_fed(struct docker *d)
{
	docker_todo_clear(&d->given);
	track_news_release(&d->track);
	track_news_release(&d->remote.track);
}

struct docker_todo *
docker_do(struct docker *d, enum docker_action_kind kind, const char *fmt, ...)
{
	struct docker_todo *todo = mem_new(struct docker_todo);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(todo->path, sizeof todo->path, fmt, ap);
	va_end(ap);
	todo->action.kind = kind;
	todo->action.path = str_of(todo->path);
	TAILQ_INSERT_TAIL(&d->todo, todo, link);
	return todo;
}

void
docker_ask(struct docker *d, struct docker_request *r, enum docker_asks asks, struct tracked *about,
    struct docker_todo *get, size_t body_max)
{
	*r = (struct docker_request){ asks, ++d->request_next, about };
	get->action.request = r->id;
	get->action.body_max = body_max;
}

struct docker_request *
docker_inspect_room(struct docker *d)
{
	size_t max = d->config.workers;

	if (max == 0 || max > DOCKER_INSPECTS_MAX)
		max = DOCKER_INSPECTS_MAX;
	for (size_t i = 0; i < max; i++)
		if (d->inspects[i].asks == ASKS_NOTHING)
			return &d->inspects[i];
	return NULL;
}

void
docker_pump(struct docker *d)
{
	struct docker_request *r;
	struct tracked *t;

	while (d->phase >= PHASE_LISTING && (t = TAILQ_FIRST(&d->wishes)) != NULL &&
	       (r = docker_inspect_room(d)) != NULL) {
		TAILQ_REMOVE(&d->wishes, t, queue);
		t->wanted = false;
		t->again = false;
		t->asked = true;
		d->stats.inspects++;
		docker_ask(d, r, ASKS_INSPECT, t,
		    docker_do(d, DOCKER_GET, "%s/containers/%s/json", d->version, t->id),
		    DOCKER_INSPECT_BYTES_MAX);
	}
}

void
docker_wish(struct docker *d, struct tracked *t, bool urgent)
{
	t->retry_at = NSEC_NEVER;
	if (t->asked) {
		t->again = true;
	} else if (!t->wanted) {
		t->wanted = true;
		if (urgent)
			TAILQ_INSERT_HEAD(&d->wishes, t, queue);
		else
			TAILQ_INSERT_TAIL(&d->wishes, t, queue);
	}
}

void
docker_synced(struct docker *d, struct tracked *t)
{
	if (t->sync) {
		t->sync = false;
		d->sync_count--;
	}
}

void
docker_drop(struct docker *d, struct tracked *t, int64_t event_ns)
{
	docker_synced(d, t);
	if (t->wanted)
		TAILQ_REMOVE(&d->wishes, t, queue);
	for (size_t i = 0; i < DOCKER_INSPECTS_MAX; i++)
		if (d->inspects[i].about == t)
			d->inspects[i].about = NULL;
	track_drop(&d->track, t, event_ns);
}

/* watcher/swarm.c -- a tree of services by id; each lives in an arena of its own. */
#include "watcher/swarm.h"

#include <stdlib.h>

#include "base/mem.h"

struct swarm_entry {
	RB_ENTRY(swarm_entry) link;
	struct str id; /* in id_text */
	char id_text[SWARM_ID_MAX + 1];
	bool stale;
	struct arena arena; /* of the service */
	struct swarm_service service;
};

static int
swarm_entry_cmp(const struct swarm_entry *a, const struct swarm_entry *b)
{
	return str_cmp(a->id, b->id);
}

RB_PROTOTYPE(swarm_tree, swarm_entry, link, swarm_entry_cmp)
RB_GENERATE(swarm_tree, swarm_entry, link, swarm_entry_cmp)

void
swarm_init(struct swarm *w)
{
	*w = (struct swarm){ .count = 0 };
	RB_INIT(&w->services);
}

static void
swarm_drop(struct swarm *w, struct swarm_entry *e)
{
	RB_REMOVE(swarm_tree, &w->services, e);
	w->count--;
	arena_done(&e->arena);
	free(e);
}

void
swarm_done(struct swarm *w)
{
	struct swarm_entry *e;

	while ((e = RB_MIN(swarm_tree, &w->services)) != NULL)
		swarm_drop(w, e);
}

static struct swarm_entry *
swarm_entry(const struct swarm *w, struct str id)
{
	struct swarm_entry key = { .id = id };
	struct swarm_tree tree = w->services; /* RB_FIND does not know const */

	return RB_FIND(swarm_tree, &tree, &key);
}

const struct swarm_service *
swarm_find(const struct swarm *w, struct str id)
{
	struct swarm_entry *e = swarm_entry(w, id);

	return e == NULL ? NULL : &e->service;
}

bool
swarm_fresh(const struct swarm *w, struct str id)
{
	struct swarm_entry *e = swarm_entry(w, id);

	return e != NULL && !e->stale;
}

/* Takes the arena, in which the service lives. */
static int
swarm_keep(struct swarm *w, struct str id, struct arena *arena, const struct swarm_service *s,
    struct err *err)
{
	struct swarm_entry *e = swarm_entry(w, id);

	if (e == NULL && w->count >= SWARM_SERVICES_MAX) {
		arena_done(arena);
		return err_set(
		    err, ERR_LIMIT, "swarm services over the limit of %d", SWARM_SERVICES_MAX);
	}
	if (e == NULL) {
		e = mem_new(struct swarm_entry);
		memcpy(e->id_text, id.p, id.n);
		e->id = str_mem(e->id_text, id.n);
		RB_INSERT(swarm_tree, &w->services, e);
		w->count++;
	} else {
		arena_done(&e->arena);
	}
	e->arena = *arena;
	e->service = *s;
	e->stale = false;
	return 0;
}

int
swarm_put(struct swarm *w, struct str id, struct str json, struct err *err)
{
	struct arena arena;
	struct swarm_service s;
	int rc;

	if (!swarm_id_valid(id))
		return err_set(err, ERR_INPUT, "swarm service: no id");
	arena_init(&arena, SWARM_SERVICE_BYTES_MAX);
	rc = swarm_service_read(&arena, json, &s, err);
	if (rc == 0)
		return swarm_keep(w, id, &arena, &s, err);
	arena_done(&arena);
	return rc;
}

int
swarm_put_network(struct swarm *w, struct str id, struct str name, struct str json, struct err *err)
{
	struct arena arena;
	struct swarm_service s;
	int rc;

	if (!swarm_id_valid(id))
		return err_set(err, ERR_INPUT, "swarm service: no id");
	arena_init(&arena, SWARM_SERVICE_BYTES_MAX);
	rc = swarm_service_from_network(&arena, json, name, &s, err);
	if (rc == 0)
		return swarm_keep(w, id, &arena, &s, err);
	arena_done(&arena);
	return rc;
}

void
swarm_stale(struct swarm *w, struct str id)
{
	struct swarm_entry *e;

	RB_FOREACH (e, swarm_tree, &w->services)
		if (id.n == 0 || str_eq(e->id, id))
			e->stale = true;
}

void
swarm_forget(struct swarm *w, struct str id)
{
	struct swarm_entry *e = swarm_entry(w, id);

	if (e != NULL)
		swarm_drop(w, e);
}

void
swarm_sweep(struct swarm *w, bool (*used)(void *, struct str), void *arg)
{
	struct swarm_entry *e, *next;

	RB_FOREACH_SAFE (e, swarm_tree, &w->services, next)
		if (!used(arg, e->id))
			swarm_drop(w, e);
}

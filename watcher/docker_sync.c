/* watcher/docker_sync.c -- answers of the engine, taken into what is known.
 *
 * Parts in order: one container's description (and that of the container whose network it
 * shares), the list and the reconcile it begins.
 */
#include "watcher/docker_core.h"

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "watcher/docker_record.h"
#include "watcher/swarm_task.h"

#define DOCKER_RETRY_WAIT NSEC_SEC /* after an inspect that failed */
#define DOCKER_REPEATS_MAX 5
#define DOCKER_PEER_HOPS_MAX 4 /* containers that share a network with one that shares … */
#define DOCKER_ARENA_MAX (64 * 1024 * 1024)   /* one description and its services */
#define DOCKER_RECORDS_MAX (16 * 1024 * 1024) /* bytes of one container's services */

static void
docker_warn_of(struct docker *d, struct tracked *t, const char *what)
{
	if (!t->warned)
		track_say(&d->track, DOCKER_NEWS_WARN, "container left as it is id=%.12s why=%s",
		    t->id, what);
	t->warned = true;
}

static bool
docker_stays(const struct docker *d, const struct tracked *t, int exit_code)
{
	return d->config.deregister == DOCKER_DEREGISTER_ON_SUCCESS && exit_code >= 1 &&
	       exit_code <= 127 && t->known && !LIST_EMPTY(&t->claims);
}

void
docker_ended(struct docker *d, struct tracked *t, int exit_code, int64_t event_ns)
{
	if (docker_stays(d, t, exit_code))
		track_ended(&d->track, t, exit_code, event_ns);
	else
		docker_drop(d, t, event_ns);
}

static int
docker_services(struct docker *d, struct arena *arena, const struct container *c,
    const struct container *peer, struct rules_service **all, size_t *count, struct err *err)
{
	struct rules_config rules = d->config.rules;
	struct container view;
	size_t bytes = 0;
	int rc;

	rules.host = docker_host(d);
	swarm_task_view(arena, c, swarm_find(&d->swarm, swarm_task_service_id(c)), &view);
	rc = rules_apply(&rules, arena, &view, peer, all, count, err);
	for (size_t i = 0; rc == 0 && i < *count; i++)
		bytes += docker_record_size(&(*all)[i]);
	if (bytes > DOCKER_RECORDS_MAX)
		rc = err_set(
		    err, ERR_LIMIT, "its services have more than %d bytes", DOCKER_RECORDS_MAX);
	return rc;
}

/* One line for a container's life: descriptions come with every event. */
static void
docker_note(struct docker *d, struct tracked *t, struct str note)
{
	if (note.n == 0 || t->noted)
		return;
	t->noted = true;
	track_say(&d->track, DOCKER_NEWS_WARN, STR_FMT " id=%.12s", STR_ARG(note), t->id);
}

/* A whole description, and its peer's where it has one. */
static void
docker_apply(
    struct docker *d, struct now now, struct tracked *t, struct str body, struct str peer_body)
{
	struct arena arena;
	struct container c, peer;
	struct rules_service *all;
	struct err err;
	size_t count;
	int64_t event_ns = t->event_ns;
	bool has_peer;

	arena_init(&arena, DOCKER_ARENA_MAX);
	t->event_ns = 0;
	has_peer = peer_body.n > 0 && container_read(&arena, peer_body, &peer, NULL) == 0;
	if (container_read(&arena, body, &c, &err) < 0) {
		docker_warn_of(d, t, err.text);
	} else if (!c.running || c.restarting) {
		docker_ended(d, t, c.exit_code, event_ns);
	} else if (docker_services(d, &arena, &c, has_peer ? &peer : NULL, &all, &count, &err) <
		   0) {
		docker_warn_of(d, t, err.text);
	} else {
		t->warned = false;
		docker_note(d, t, count > 0 ? all[0].note : STR_NONE);
		track_running(&d->track, t, now, &c, all, count, d->config.drain, event_ns);
	}
	arena_done(&arena);
}

/* The id of the container whose network the described one shares, to be freed; NULL: none. */
static char *
docker_peer_of(struct str body)
{
	struct arena arena;
	struct container c;
	char *id = NULL;

	if (body.n == 0 || memmem(body.p, body.n, "\"container:", strlen("\"container:")) == NULL)
		return NULL;
	arena_init(&arena, DOCKER_ARENA_MAX);
	if (container_read(&arena, body, &c, NULL) == 0 && c.running && !c.restarting &&
	    docker_id_valid(rules_peer(&c)))
		id = str_dup(rules_peer(&c));
	arena_done(&arena);
	return id;
}

/* Asks for the container whose network it shares, and for that one's likewise: Docker allows such
 * chains. False: body is the last. Takes held, its own description, which may be body's copy. */
static bool
docker_ask_peer(struct docker *d, struct tracked *t, struct str body, char *held, size_t held_n)
{
	char *peer = t->peer_hops < DOCKER_PEER_HOPS_MAX ? docker_peer_of(body) : NULL;
	struct docker_request *room = peer == NULL ? NULL : docker_inspect_room(d);

	if (room == NULL) {
		free(peer);
		return false;
	}
	free(t->peer);
	t->peer = peer;
	t->peer_hops++;
	t->asked = true;
	t->held = held == NULL ? str_dup(body) : held;
	t->held_n = held == NULL ? body.n : held_n;
	docker_ask(d, room, ASKS_PEER, t,
	    docker_do(d, DOCKER_GET, "%s/containers/%s/json", d->version, t->peer),
	    DOCKER_INSPECT_BYTES_MAX);
	return true;
}

/* True: the container's answer may be used; else it was dealt with. */
static bool
docker_answer_usable(struct docker *d, struct now now, struct tracked *t, int status)
{
	if (status == 404) {
		docker_drop(d, t, t->event_ns); /* ended between event and inspect */
		return false;
	}
	if (t->again && t->repeats < DOCKER_REPEATS_MAX) {
		t->repeats++;
		docker_wish(d, t, true);
		return false;
	}
	if (status == 200) {
		t->repeats = 0;
		return true;
	}
	docker_warn_of(
	    d, t, status == 413 ? "its description is too long" : "the engine cannot describe it");
	docker_synced(d, t);
	if (status != 413 && t->repeats++ < DOCKER_REPEATS_MAX) {
		t->retry_at = now.mono + DOCKER_RETRY_WAIT;
		d->retry_next = nsec_min(d->retry_next, t->retry_at);
	} else if (!t->known) {
		docker_drop(d, t, 0);
	}
	return false;
}

void
docker_has_inspect(
    struct docker *d, struct now now, struct docker_request r, int status, struct str body)
{
	struct tracked *t = r.about;
	char *held;
	char id[DOCKER_ID_MAX + 1];

	t->asked = false;
	held = t->held;
	t->held = NULL;
	if (r.asks == ASKS_INSPECT) {
		if (!docker_answer_usable(d, now, t, status) || docker_swarm_ask(d, now, t, body))
			return;
		free(t->peer);
		t->peer = NULL;
		t->peer_hops = 0;
	} else if (r.asks != ASKS_PEER &&
		   docker_swarm_answer(d, now, r, status, body, str_mem(held, t->held_n))) {
		free(held);
		return;
	}
	if (status == 200 && (r.asks == ASKS_INSPECT || r.asks == ASKS_PEER) &&
	    docker_ask_peer(d, t, body, held, t->held_n))
		return;
	memcpy(id, t->id, sizeof id);
	if (t->again) /* during the second question */
		docker_wish(d, t, true);
	if (r.asks == ASKS_INSPECT)
		docker_apply(d, now, t, body, STR_NONE);
	else
		docker_apply(d, now, t, str_mem(held, t->held_n),
		    r.asks == ASKS_PEER && status == 200 ? body : STR_NONE);
	free(held);
	t = track_find(&d->track, id); /* it may have been dropped */
	if (t != NULL && !t->wanted)
		docker_synced(d, t);
	if (t != NULL && !t->known && !t->wanted)
		docker_drop(d, t, 0);
}

/* The list. */

void
docker_check_synced(struct docker *d)
{
	if (d->phase != PHASE_SETTLING || d->sync_count > 0 ||
	    (d->config.remote && !d->remote.done))
		return;
	d->phase = PHASE_FOLLOWING;
	d->catching_up = false;
	d->away_told = false;
	d->backoff = DOCKER_BACKOFF_MIN;
	track_say(&d->track, DOCKER_NEWS_SYNCED, "%s", "");
}

void
docker_list(struct docker *d, struct now now)
{
	bool ended_too = d->config.deregister == DOCKER_DEREGISTER_ON_SUCCESS;

	docker_swarm_listed(d);
	d->phase = PHASE_LISTING;
	d->relist_at = NSEC_NEVER;
	d->listed_at = now.mono;
	d->list_round++;
	d->stats.lists++;
	docker_ask(d, &d->control, ASKS_LIST, NULL,
	    docker_do(d, DOCKER_GET, "%s/containers/json%s", d->version, ended_too ? "?all=1" : ""),
	    DOCKER_LIST_BYTES_MAX);
}

static void
docker_sync(struct docker *d, struct tracked *t)
{
	if (!t->sync) {
		t->sync = true;
		d->sync_count++;
	}
	if (!t->asked)
		docker_wish(d, t, false);
}

/* One entry of the list; what runs, and what we thought ran, is inspected. */
static void
docker_listed(struct docker *d, json_t *entry, uint64_t *over)
{
	struct str id = json_member_str(entry, "Id"), state = json_member_str(entry, "State");
	char name[DOCKER_ID_MAX + 1] = "";
	struct tracked *t;
	bool runs = str_eq(state, STR("running")) || str_eq(state, STR("paused")) || state.n == 0;

	if (!docker_id_valid(id)) {
		d->stats.events_bad++;
		return;
	}
	memcpy(name, id.p, id.n);
	t = track_find(&d->track, name);
	if (t == NULL && !runs)
		return;
	if (t == NULL &&
	    d->track.container_count + d->track.stranger_count >= DOCKER_CONTAINERS_MAX) {
		(*over)++;
		return;
	}
	t = track_get(&d->track, name);
	t->listed = d->list_round;
	if (runs || !t->ended)
		docker_sync(d, t);
}

void
docker_has_list(struct docker *d, struct now now, int status, struct str body)
{
	json_t *root = NULL, *entry;
	struct tracked *t, *next;
	struct err err;
	uint64_t over = 0;
	size_t i;

	if (status != 200 || json_read(body, &root, &err) < 0 || !json_is_array(root)) {
		json_decref(root);
		docker_fail(d, now, STR("the engine does not list its containers"));
		return;
	}
	json_array_foreach (root, i, entry)
		docker_listed(d, entry, &over);
	json_decref(root);
	if (over > 0)
		track_say(&d->track, DOCKER_NEWS_WARN, "containers over the limit of %d left=%llu",
		    DOCKER_CONTAINERS_MAX, (unsigned long long)over);
	RB_FOREACH_SAFE (t, tracked_tree, &d->track.containers, next) {
		if (t->listed == d->list_round)
			continue;
		if (t->touched == d->list_round || t->asked || t->wanted)
			docker_sync(d, t); /* newer than the list, perhaps */
		else
			docker_drop(d, t, 0);
	}
	d->phase = PHASE_SETTLING;
	docker_remote_soon(d, now);
	docker_check_synced(d);
}

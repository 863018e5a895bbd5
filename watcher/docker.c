/* watcher/docker.c -- one engine: reach it, then follow its events.
 *
 * Parts in order: the phases of a connection, events, the public face. See docker_core.h for
 * how order is kept.
 */
#include "watcher/docker_core.h"

#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/json.h"
#include "base/mem.h"

#define DOCKER_API_MAJOR 1
#define DOCKER_API_MINOR 41 /* the newest version whose answers we know */
#define DOCKER_STREAM_WAIT (30 * NSEC_SEC)
#define DOCKER_LIST_GAP NSEC_SEC /* between two lists that mishaps ask for */
#define DOCKER_INFO_BYTES_MAX (4 * 1024 * 1024)

static void
docker_connect(struct docker *d)
{
	d->phase = PHASE_VERSION;
	d->catching_up = true;
	docker_ask(d, &d->control, ASKS_VERSION, NULL, docker_do(d, DOCKER_GET, "/version"),
	    DOCKER_INFO_BYTES_MAX);
}

void
docker_fail(struct docker *d, struct now now, struct str why)
{
	struct tracked *t, *next;

	if (d->phase == PHASE_AWAY)
		return;
	docker_swarm_release(d, now, true);
	docker_remote_lost(d);
	docker_todo_clear(&d->todo);
	docker_do(d, DOCKER_STREAM_CLOSE, "%s", "");
	d->control = (struct docker_request){ ASKS_NOTHING, 0, NULL };
	memset(d->inspects, 0, sizeof d->inspects);
	TAILQ_INIT(&d->wishes);
	RB_FOREACH_SAFE (t, tracked_tree, &d->track.containers, next) {
		t->wanted = t->asked = t->again = t->sync = false;
		t->retry_at = NSEC_NEVER;
		free(t->held);
		t->held = NULL;
		if (!t->known)
			track_drop(&d->track, t, 0);
	}
	d->sync_count = 0;
	d->retry_next = d->relist_at = NSEC_NEVER;
	docker_split_done(&d->split);
	docker_split_init(&d->split);
	d->phase = PHASE_AWAY;
	d->reconnect_at = now.mono + d->backoff;
	d->backoff = nsec_min(d->backoff * 2, DOCKER_BACKOFF_MAX);
	d->stats.reconnects++;
	if (!d->away_told)
		track_say(&d->track, DOCKER_NEWS_AWAY, STR_FMT, STR_ARG(why));
	d->away_told = true;
}

static void
docker_open(struct docker *d, struct now now)
{
	char since[48] = "";

	if (d->last_event_ns > 0)
		snprintf(since, sizeof since, "since=%lld.%09lld&",
		    (long long)(d->last_event_ns / NSEC_SEC),
		    (long long)(d->last_event_ns % NSEC_SEC));
	d->phase = PHASE_OPENING;
	d->open_until = now.mono + DOCKER_STREAM_WAIT;
	docker_do(
	    d, DOCKER_STREAM, "%s/events?%sfilters=%s", d->version, since, docker_event_filters);
}

/* "1.41" */
static bool
docker_version_parse(struct str s, unsigned *major, unsigned *minor)
{
	struct str rest = s, head = str_cut(&rest, '.');
	uint64_t a, b;

	if (!str_u64(head, 999, &a) || !str_u64(rest, 9999, &b))
		return false;
	*major = (unsigned)a;
	*minor = (unsigned)b;
	return true;
}

/* The newest version that both sides know; the engine's oldest when that is newer still. */
static void
docker_negotiate(struct docker *d, struct str api, struct str api_min)
{
	unsigned major = DOCKER_API_MAJOR, minor = DOCKER_API_MINOR, a, b;

	d->version[0] = '\0';
	if (!docker_version_parse(api, &a, &b))
		return; /* without a version in the path the engine takes its own */
	if (a < major || (a == major && b < minor)) {
		major = a;
		minor = b;
	}
	if (docker_version_parse(api_min, &a, &b) && (a > major || (a == major && b > minor))) {
		major = a;
		minor = b;
	}
	snprintf(d->version, sizeof d->version, "/v%u.%u", major, minor);
}

static void
docker_has_version(struct docker *d, struct now now, int status, struct str body)
{
	json_t *root = NULL;
	struct err err;

	if (status != 200 || json_read(body, &root, &err) < 0) {
		docker_fail(d, now, STR("the engine does not tell its version"));
		return;
	}
	docker_negotiate(
	    d, json_member_str(root, "ApiVersion"), json_member_str(root, "MinAPIVersion"));
	json_decref(root);
	if (!d->config.host_from_engine) {
		docker_open(d, now);
		return;
	}
	d->phase = PHASE_INFO;
	docker_ask(d, &d->control, ASKS_INFO, NULL, docker_do(d, DOCKER_GET, "%s/info", d->version),
	    DOCKER_INFO_BYTES_MAX);
}

static void
docker_has_info(struct docker *d, struct now now, int status, struct str body)
{
	json_t *root = NULL;
	struct err err;

	if (status == 200 && json_read(body, &root, &err) == 0 &&
	    json_member_str(root, "Name").n > 0) {
		free(d->engine_name);
		d->engine_name = str_dup(json_member_str(root, "Name"));
	} else {
		track_say(&d->track, DOCKER_NEWS_WARN,
		    "the engine does not tell its name, taking " STR_FMT,
		    STR_ARG(d->config.rules.host));
	}
	json_decref(root);
	docker_open(d, now);
}

/* Something was missed: list again, but not in a row. */
static void
docker_relist(struct docker *d, struct now now)
{
	nsec at = d->listed_at + DOCKER_LIST_GAP;

	d->relist_at = nsec_min(d->relist_at, at > now.mono ? at : now.mono);
}

/* Events. */

/* The network of a container that others share may have another address now. */
static void
docker_wish_sharers(struct docker *d, const char *id)
{
	struct tracked *t;

	RB_FOREACH (t, tracked_tree, &d->track.containers)
		if (t->peer != NULL && strcmp(t->peer, id) == 0)
			docker_wish(d, t, true);
}

/* The container an event is about; strangers are only let in by a start, or by a stop signal
 * before the first list. NULL: the event means nothing to us. */
static struct tracked *
docker_event_container(struct docker *d, struct now now, const struct docker_event *ev)
{
	struct tracked *t = track_find(&d->track, ev->id);

	if (t != NULL)
		return t;
	if (ev->kind != EVENT_START && (ev->kind != EVENT_KILL || !d->catching_up))
		return NULL;
	if (d->track.stranger_count >= DOCKER_EVENTS_QUEUED_MAX) {
		d->stats.overflows++;
		docker_relist(d, now);
		return NULL;
	}
	return track_get(&d->track, ev->id);
}

static void
docker_event_kill(
    struct docker *d, struct now now, struct tracked *t, const struct docker_event *ev)
{
	nsec age = 0;

	if (docker_swarm_holds(d, now, t, ev))
		return;
	/* Told again after a reconnect: part of the wait is over. Else the engine's clock,
	 * which may not be ours, does not count. */
	if (d->catching_up && ev->time_ns > 0)
		age = now.wall_ms * NSEC_MS - ev->time_ns;
	track_killed(&d->track, t, now, ev->signal, age > 0 ? age : 0, ev->time_ns);
}

/* May the event change the container without an inspect? */
static bool
docker_event_direct(const struct docker *d, const struct tracked *t, const struct docker_event *ev)
{
	return !d->catching_up && !t->asked && !t->wanted && t->known && !t->ended &&
	       (ev->time_ns == 0 || ev->time_ns >= t->started_ns); /* of this run */
}

static void
docker_event_take(struct docker *d, struct now now, const struct docker_event *ev)
{
	struct tracked *t = docker_event_container(d, now, ev);
	bool direct;

	if (t == NULL)
		return;
	t->touched = d->list_round;
	if (ev->service[0] != '\0')
		memcpy(t->service, ev->service, sizeof t->service);
	direct = docker_event_direct(d, t, ev) &&
		 (ev->kind != EVENT_DIE || !docker_swarm_holds(d, now, t, ev));
	if (ev->kind == EVENT_KILL) {
		docker_event_kill(d, now, t, ev);
	} else if (ev->kind == EVENT_DESTROY) {
		docker_drop(d, t, ev->time_ns);
	} else if (ev->kind == EVENT_DIE && direct &&
		   (ev->exit_code >= 0 || d->config.deregister == DOCKER_DEREGISTER_ALWAYS)) {
		docker_ended(d, t, ev->exit_code, ev->time_ns);
	} else if ((ev->kind == EVENT_PAUSE || ev->kind == EVENT_UNPAUSE) && direct) {
		track_paused(&d->track, t, ev->kind == EVENT_PAUSE, ev->time_ns);
	} else if (!t->ended || ev->kind == EVENT_START) {
		t->event_ns = ev->time_ns;
		docker_wish(d, t, true);
	}
	if (ev->kind == EVENT_START || ev->kind == EVENT_CHANGED)
		docker_wish_sharers(d, ev->id);
}

static void
docker_event_object(struct docker *d, struct now now, struct str json)
{
	struct docker_event ev;
	uint64_t hash = XXH3_64bits(json.p, json.n);

	if (docker_event_read(json, &ev, NULL) < 0) {
		d->stats.events_bad++;
		docker_relist(d, now);
		return;
	}
	d->stats.events++;
	if (ev.time_ns == d->last_event_ns && hash == d->last_event_hash)
		return; /* `since` includes the moment it names */
	if (ev.time_ns >= d->last_event_ns) {
		d->last_event_ns = ev.time_ns;
		d->last_event_hash = hash;
	}
	if (ev.kind == EVENT_SERVICE_CHANGED || ev.kind == EVENT_NODE_CHANGED)
		docker_swarm_event(d, now, &ev);
	else if (ev.kind != EVENT_OTHER)
		docker_event_take(d, now, &ev);
}

/* The public face. */

static void
docker_config_copy(struct docker *d, const struct docker_config *config)
{
	struct rules_config *r = &d->config.rules;

	arena_done(&d->texts);
	arena_init(&d->texts, SIZE_MAX / 2);
	d->config = *config;
	r->host = arena_dup(&d->texts, r->host);
	r->ip = arena_dup(&d->texts, r->ip);
	r->tags = arena_dup(&d->texts, r->tags);
	r->ip_other = arena_dup(&d->texts, r->ip_other);
	r->ip_from_label = arena_dup(&d->texts, r->ip_from_label);
	r->networks = arena_dup(&d->texts, r->networks);
}

struct docker *
docker_new(const struct docker_config *config, struct now now)
{
	struct docker *d = mem_new(struct docker);

	(void)now;
	docker_config_copy(d, config);
	d->backoff = DOCKER_BACKOFF_MIN;
	d->reconnect_at = d->relist_at = d->retry_next = NSEC_NEVER;
	TAILQ_INIT(&d->wishes);
	TAILQ_INIT(&d->todo);
	TAILQ_INIT(&d->given);
	docker_split_init(&d->split);
	track_init(&d->track);
	swarm_init(&d->swarm);
	docker_remote_init(&d->remote);
	d->hold_until = NSEC_NEVER;
	docker_connect(d);
	return d;
}

void
docker_free(struct docker *d)
{
	if (d == NULL)
		return;
	docker_todo_clear(&d->todo);
	docker_todo_clear(&d->given);
	docker_split_done(&d->split);
	track_done(&d->track);
	swarm_done(&d->swarm);
	docker_remote_done(&d->remote);
	arena_done(&d->texts);
	free(d->engine_name);
	free(d);
}

void
docker_lost(struct docker *d, struct now now, struct str why)
{
	docker_fed(d);
	docker_fail(d, now, why);
}

void
docker_connected(struct docker *d, struct now now)
{
	docker_fed(d);
	if (d->phase == PHASE_OPENING)
		docker_list(d, now);
}

void
docker_event_bytes(struct docker *d, struct now now, struct str bytes)
{
	enum docker_split_result result;
	struct str object;

	docker_fed(d);
	if (d->phase < PHASE_LISTING)
		return; /* of a stream that was given up */
	while ((result = docker_split_next(&d->split, &bytes, &object)) != SPLIT_MORE) {
		if (result == SPLIT_OBJECT) {
			docker_event_object(d, now, object);
			continue;
		}
		d->stats.events_bad++;
		docker_relist(d, now);
	}
	docker_swarm_release(d, now, false);
	docker_pump(d);
	docker_check_synced(d);
}

static void
docker_control_answer(struct docker *d, struct now now, int status, struct str body)
{
	enum docker_asks asks = d->control.asks;

	d->control.asks = ASKS_NOTHING;
	if (asks == ASKS_VERSION)
		docker_has_version(d, now, status, body);
	else if (asks == ASKS_INFO)
		docker_has_info(d, now, status, body);
	else
		docker_has_list(d, now, status, body);
}

void
docker_answer(struct docker *d, struct now now, uint64_t request, int status, struct str body)
{
	docker_fed(d);
	if (d->control.asks != ASKS_NOTHING && d->control.id == request) {
		if (status == 0)
			docker_fail(d, now, body);
		else
			docker_control_answer(d, now, status, body);
	}
	if (d->remote.request.asks != ASKS_NOTHING && d->remote.request.id == request) {
		if (status == 0)
			docker_fail(d, now, body);
		else
			docker_remote_answer(d, now, status, body);
	}
	for (size_t i = 0; i < DOCKER_INSPECTS_MAX; i++) {
		struct docker_request r = d->inspects[i];

		if (r.asks == ASKS_NOTHING || r.id != request)
			continue;
		d->inspects[i].asks = ASKS_NOTHING;
		d->inspects[i].about = NULL;
		if (status == 0)
			docker_fail(d, now, body);
		else if (r.about != NULL)
			docker_has_inspect(d, now, r, status, body);
		break;
	}
	docker_swarm_release(d, now, false);
	docker_pump(d);
	docker_check_synced(d);
}

/* Inspects that failed are tried again. */
static void
docker_retry(struct docker *d, struct now now)
{
	struct tracked *t;

	if (now.mono < d->retry_next)
		return;
	d->retry_next = NSEC_NEVER;
	RB_FOREACH (t, tracked_tree, &d->track.containers) {
		if (t->retry_at <= now.mono)
			docker_wish(d, t, false);
		d->retry_next = nsec_min(d->retry_next, t->retry_at);
	}
}

void
docker_tick(struct docker *d, struct now now)
{
	docker_fed(d);
	if (d->phase == PHASE_AWAY && now.mono >= d->reconnect_at)
		docker_connect(d);
	else if (d->phase == PHASE_OPENING && now.mono >= d->open_until)
		docker_fail(d, now, STR("the engine does not begin its event stream"));
	if (d->phase < PHASE_LISTING)
		return;
	docker_retry(d, now);
	docker_remote_tick(d, now);
	docker_swarm_release(d, now, false);
	if (!d->catching_up)
		track_tick(&d->track, now);
	if (d->phase == PHASE_FOLLOWING && now.mono >= d->relist_at)
		docker_list(d, now);
	docker_pump(d);
	docker_check_synced(d);
}

nsec
docker_deadline(const struct docker *d)
{
	nsec at = NSEC_NEVER;

	if (d->phase == PHASE_AWAY)
		return d->reconnect_at;
	if (d->phase == PHASE_OPENING)
		return d->open_until;
	if (d->phase < PHASE_LISTING)
		return at;
	at = nsec_min(nsec_min(d->retry_next, d->hold_until), docker_remote_deadline(d));
	if (!d->catching_up)
		at = nsec_min(at, d->track.next);
	if (d->phase == PHASE_FOLLOWING)
		at = nsec_min(at, d->relist_at);
	return at;
}

bool
docker_action_next(struct docker *d, struct docker_action *out)
{
	struct docker_todo *todo = TAILQ_FIRST(&d->todo);

	if (todo == NULL)
		return false;
	TAILQ_REMOVE(&d->todo, todo, link);
	TAILQ_INSERT_TAIL(&d->given, todo, link);
	*out = todo->action;
	return true;
}

bool
docker_news_next(struct docker *d, struct docker_news *out)
{
	/* SYNCED comes behind all that it speaks of. */
	return track_news_next(&d->remote.track, out) || track_news_next(&d->track, out);
}

static void
docker_list_soon(struct docker *d, struct now now)
{
	docker_fed(d);
	if (d->phase == PHASE_AWAY)
		d->reconnect_at = now.mono;
	else if (d->phase == PHASE_FOLLOWING)
		docker_list(d, now);
	else if (d->phase >= PHASE_LISTING)
		d->relist_at = now.mono; /* once this one is reconciled */
}

void
docker_reconfigure(struct docker *d, struct now now, const struct docker_config *config)
{
	docker_config_copy(d, config);
	if (d->config.host_from_engine && d->engine_name == NULL && d->phase > PHASE_VERSION)
		docker_lost(d, now, STR("the engine's name is needed"));
	docker_list_soon(d, now);
}

void
docker_resync(struct docker *d, struct now now)
{
	track_doubt(&d->track);
	track_doubt(&d->remote.track);
	docker_list_soon(d, now);
}

struct str
docker_host(const struct docker *d)
{
	if (d->config.host_from_engine && d->engine_name != NULL)
		return str_of(d->engine_name);
	return d->config.rules.host;
}

struct docker_stats
docker_stats(const struct docker *d)
{
	struct docker_stats s = d->stats;

	s.containers = d->track.container_count;
	s.services = d->track.slot_count + d->remote.track.slot_count;
	return s;
}

/* watcher/registrar.c -- see registrar.h.
 *
 * In order: entries and their queue, what the shell is to do, sending, answers about one id, the
 * list, the backend's coming and going, time, the public calls. Invariants: an entry that differs
 * from the backend is queued, or under way, or waits for retry_at, or was refused; a list is asked
 * for alone, so that it is neither older nor newer than what is known.
 */
#include "watcher/registrar.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "watcher/docker_record.h"
#include "watcher/registration.h"

#define REGISTRAR_TEXTS_MAX (64 * 1024)
#define REGISTRAR_BODY_MAX (64 * 1024 * 1024)
#define REGISTRAR_WHY_MAX 300 /* bytes of an answer that are shown */
#define SLOT_CONTROL REGISTRAR_REQUESTS_MAX

struct entry {
	RB_ENTRY(entry) by_id;
	TAILQ_ENTRY(entry) link; /* while queued */
	bool queued, asked;
	bool known;                   /* the backend has it as it is wanted */
	bool refused;                 /* as it is wanted now */
	struct docker_record *wanted; /* NULL: it is to be gone */
	struct docker_record *asking; /* while asked: what is put; NULL: it is removed */
	char *key; /* under which the backend has it, or may have it; NULL: it has not */
	unsigned failures;
	nsec retry_at; /* NSEC_NEVER: no */
	char id[];
};

RB_HEAD(registrar_tree, entry);
TAILQ_HEAD(entry_queue, entry);

struct todo {
	TAILQ_ENTRY(todo) link;
	struct registrar_action action;
	struct buf name, body;
};

TAILQ_HEAD(todo_list, todo);

enum registrar_phase { PHASE_PINGING, PHASE_AWAY, PHASE_UP };

struct registrar {
	struct registrar_config config; /* slices live in `texts` */
	struct arena texts;
	struct registrar_tree entries;
	struct entry_queue queue;
	size_t count;

	enum registrar_phase phase;
	enum registrar_action_kind control; /* while control_asked: PING or LIST */
	bool control_asked;
	nsec control_at; /* when it is asked next */
	int attempts;
	nsec backoff; /* 0: the backend was there */
	bool list_warned;
	bool synced, cleanup_due;

	struct entry *slots[REGISTRAR_REQUESTS_MAX];
	size_t busy;
	nsec retry_next; /* no retry_at is before */
	uint64_t dropped;
	struct todo_list todo, given;
};

/* ---- entries ---- */

static int
entry_cmp(const struct entry *a, const struct entry *b)
{
	return strcmp(a->id, b->id);
}

RB_GENERATE_INTERNAL(registrar_tree, entry, by_id, entry_cmp, static __attribute__((unused)))

static struct entry *
entry_find(const struct registrar *r, struct str id)
{
	struct entry *e = RB_ROOT(&r->entries);
	int order;

	while (e != NULL && (order = str_cmp(id, str_of(e->id))) != 0)
		e = order < 0 ? RB_LEFT(e, by_id) : RB_RIGHT(e, by_id);
	return e;
}

static struct entry *
entry_new(struct registrar *r, struct str id)
{
	struct entry *e;

	if (r->count >= REGISTRAR_SERVICES_MAX) {
		r->dropped++;
		return NULL;
	}
	e = mem_zalloc(sizeof *e + id.n + 1);
	memcpy(e->id, id.p, id.n);
	e->retry_at = NSEC_NEVER;
	RB_INSERT(registrar_tree, &r->entries, e);
	r->count++;
	return e;
}

static void
entry_free(struct registrar *r, struct entry *e)
{
	if (e->queued)
		TAILQ_REMOVE(&r->queue, e, link);
	RB_REMOVE(registrar_tree, &r->entries, e);
	r->count--;
	docker_record_unref(e->wanted);
	docker_record_unref(e->asking);
	free(e->key);
	free(e);
}

/* Something about it has changed: queued, forgotten, or left alone. */
static void
entry_settle(struct registrar *r, struct entry *e)
{
	bool differs = e->wanted == NULL ? e->key != NULL : !e->known && !e->refused;

	if (e->asked)
		return; /* once more when the answer is there */
	if (e->wanted == NULL && e->key == NULL) {
		entry_free(r, e);
		return;
	}
	if (differs && e->retry_at == NSEC_NEVER && !e->queued) {
		TAILQ_INSERT_TAIL(&r->queue, e, link);
		e->queued = true;
	}
}

static void
entry_want(struct registrar *r, struct entry *e, struct docker_record *record)
{
	docker_record_unref(e->wanted);
	e->wanted = record;
	e->known = e->refused = false;
	e->failures = 0;
	e->retry_at = NSEC_NEVER;
	entry_settle(r, e);
}

/* ---- what the shell is to do ---- */

static void
todo_clear(struct todo_list *list)
{
	struct todo *t;

	while ((t = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, t, link);
		buf_done(&t->name);
		buf_done(&t->body);
		free(t);
	}
}

static struct todo *
registrar_do(struct registrar *r, enum registrar_action_kind kind, size_t slot)
{
	struct todo *t = mem_new(struct todo);

	t->action.kind = kind;
	t->action.slot = slot;
	buf_init(&t->name, REGISTRAR_BODY_MAX);
	buf_init(&t->body, REGISTRAR_BODY_MAX);
	TAILQ_INSERT_TAIL(&r->todo, t, link);
	return t;
}

static void registrar_say(struct registrar *, enum registrar_action_kind, enum log_level,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void
registrar_say(struct registrar *r, enum registrar_action_kind kind, enum log_level level,
    const char *fmt, ...)
{
	struct todo *t = registrar_do(r, kind, 0);
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	buf_add(&t->body, str_of(text));
	t->action.level = level;
}

#define SAY(r, level, ...) registrar_say(r, REGISTRAR_SAY, LOG_LEVEL_##level, __VA_ARGS__)

static struct str
why_of(struct str body)
{
	body = str_trim(body);
	while (body.n > 0 && body.p[body.n - 1] == '\n')
		body.n--;
	return str_head(body, body.n < REGISTRAR_WHY_MAX ? body.n : REGISTRAR_WHY_MAX);
}

/* ---- sending ---- */

static void
key_add(const struct registrar *r, struct buf *out, const struct rules_service *s)
{
	if (r->config.keys)
		registration_key(out, r->config.prefix, s);
	else
		buf_add(out, s->id);
}

static char *
key_of(const struct registrar *r, const struct rules_service *s)
{
	struct buf b;
	char *key;

	buf_init(&b, REGISTRAR_BODY_MAX);
	key_add(r, &b, s);
	key = str_dup(buf_str(&b));
	buf_done(&b);
	return key;
}

/* The backend has it under another key (its name has changed): that one goes first. */
static bool
entry_moves(const struct registrar *r, const struct entry *e)
{
	char *key;
	bool moves;

	if (!r->config.keys || e->key == NULL || e->wanted == NULL)
		return false;
	key = key_of(r, &e->wanted->service);
	moves = strcmp(key, e->key) != 0;
	free(key);
	return moves;
}

static void
entry_send(struct registrar *r, struct entry *e, size_t slot)
{
	struct todo *t;

	if (e->wanted == NULL || entry_moves(r, e)) {
		t = registrar_do(r, REGISTRAR_REMOVE, slot);
		buf_add(&t->name, str_of(e->key));
		e->asking = NULL;
	} else {
		t = registrar_do(r, REGISTRAR_PUT, slot);
		key_add(r, &t->name, &e->wanted->service);
		if (r->config.keys)
			registration_value(&t->body, &e->wanted->service);
		else
			registration_write(&t->body, &e->wanted->service);
		e->asking = docker_record_ref(e->wanted);
	}
	e->asked = true;
	r->slots[slot] = e;
	r->busy++;
}

static void
registrar_pump(struct registrar *r, nsec now)
{
	struct entry *e;
	struct todo *t;

	if (r->control_asked)
		return;
	if (now >= r->control_at) {
		if (r->busy > 0)
			return; /* the list is asked for alone */
		r->control = r->phase == PHASE_PINGING ? REGISTRAR_PING : REGISTRAR_LIST;
		r->control_asked = true;
		t = registrar_do(r, r->control, SLOT_CONTROL);
		buf_add(&t->name, r->config.prefix);
		return;
	}
	for (size_t i = 0; r->phase == PHASE_UP && i < REGISTRAR_REQUESTS_MAX; i++) {
		if (r->slots[i] != NULL)
			continue;
		e = TAILQ_FIRST(&r->queue);
		if (e == NULL)
			return;
		TAILQ_REMOVE(&r->queue, e, link);
		e->queued = false;
		entry_send(r, e, i);
	}
}

/* ---- the backend's coming and going ---- */

static bool
means_away(const struct registrar *r, int status)
{
	return status == 0 || status == 429 || (status >= 502 && status <= 504) ||
	       (r->config.keys && status == 500); /* no leader */
}

static void
registrar_away(struct registrar *r, nsec now, int status, struct str why)
{
	if (r->backoff == 0)
		SAY(r, WARN, "backend away, what is registered stays status=%d: " STR_FMT, status,
		    STR_ARG(why_of(why)));
	r->backoff = r->backoff == 0 ? REGISTRAR_BACKOFF_MIN
				     : nsec_min(2 * r->backoff, REGISTRAR_BACKOFF_MAX);
	r->phase = PHASE_AWAY;
	r->control_at = now + r->backoff;
}

static void
registrar_up(struct registrar *r, nsec now)
{
	if (r->backoff > 0)
		SAY(r, INFO, "backend back services=%zu", r->count);
	r->backoff = 0;
	r->phase = PHASE_UP;
	r->control_at = now + REGISTRAR_LOOK_EVERY;
}

static void
registrar_pinged(struct registrar *r, nsec now, int status, struct str body)
{
	if (status > 0 && status < 500) {
		r->phase = PHASE_AWAY; /* until the first list */
		r->control_at = now;
		return;
	}
	if (r->config.retry_attempts >= 0 && r->attempts >= r->config.retry_attempts) {
		r->control_at = NSEC_NEVER;
		registrar_say(r, REGISTRAR_GIVE_UP, LOG_LEVEL_ERROR,
		    "no backend after %d attempts: status %d " STR_FMT, r->attempts + 1, status,
		    STR_ARG(why_of(body)));
		return;
	}
	r->attempts++;
	SAY(r, WARN, "no backend yet attempt=%d status=%d: " STR_FMT, r->attempts, status,
	    STR_ARG(why_of(body)));
	r->control_at = now + r->config.retry_interval;
}

/* ---- the list ---- */

/* What the agent shows of a service is not what we said of it: somebody else has registered it. */
static bool
listed_differs(const json_t *listed, const struct rules_service *s)
{
	return !str_eq(json_member_str(listed, "Service"), s->name) ||
	       !str_eq(json_member_str(listed, "Address"), s->address) ||
	       json_member_int(listed, "Port", 0) != s->port;
}

/* Ids that begin with our host and that nothing here offers. Those of others are left alone. */
static void
list_cleanup(struct registrar *r, json_t *list)
{
	const char *id;
	json_t *value;

	json_object_foreach (list, id, value) {
		struct entry *e;

		if (!registration_id_is_of(str_of(id), r->config.host) ||
		    entry_find(r, str_of(id)) != NULL || (e = entry_new(r, str_of(id))) == NULL)
			continue;
		SAY(r, INFO, "dangling service id=%s", id);
		e->key = str_dup(str_of(id));
		entry_settle(r, e);
	}
}

static void
list_compare(struct registrar *r, const json_t *list)
{
	struct entry *e, *next;

	RB_FOREACH_SAFE (e, registrar_tree, &r->entries, next) {
		const json_t *listed = e->key == NULL ? NULL : json_object_get(list, e->key);
		bool lost = e->key != NULL && listed == NULL;

		if (lost) {
			free(e->key);
			e->key = NULL;
		}
		if (lost || (listed != NULL && e->known && !r->config.keys &&
				listed_differs(listed, &e->wanted->service))) {
			if (e->known)
				SAY(r, INFO, "not as registered any more id=%s", e->id);
			e->known = false;
			entry_settle(r, e);
		}
	}
}

/* As an object whose keys are what is there; NULL: it cannot be read. */
static json_t *
list_read(const struct registrar *r, int status, struct str body)
{
	struct err err = { 0 };
	json_t *list = NULL, *name, *out;
	size_t i;

	if (r->config.keys && status == 404) /* no key at all */
		return json_object();
	if (status != 200 || json_read(body, &list, &err) < 0)
		return NULL;
	if (r->config.keys && json_is_array(list)) {
		out = json_object();
		json_array_foreach (list, i, name)
			if (json_is_string(name))
				json_object_set_new(out, json_string_value(name), json_true());
		json_decref(list);
		return out;
	}
	if (!r->config.keys && json_is_object(list))
		return list;
	json_decref(list);
	return NULL;
}

static void
registrar_listed(struct registrar *r, nsec now, int status, struct str body)
{
	json_t *list;

	if (status == 500 || means_away(r, status)) {
		registrar_away(r, now, status, body);
		return;
	}
	list = list_read(r, status, body);
	registrar_up(r, now);
	if (list == NULL) {
		if (!r->list_warned)
			SAY(r, WARN, "the backend's list cannot be read status=%d: " STR_FMT,
			    status, STR_ARG(why_of(body)));
		r->list_warned = true;
		return;
	}
	r->list_warned = false;
	list_compare(r, list);
	if (r->config.cleanup && !r->config.keys && r->cleanup_due && r->synced) {
		r->cleanup_due = false;
		list_cleanup(r, list);
	}
	json_decref(list);
}

/* ---- answers about one id ---- */

static void
entry_retry(struct registrar *r, struct entry *e, nsec now, int status, struct str body)
{
	unsigned doublings = e->failures < 6 ? e->failures : 6;

	if (e->failures++ == 0)
		SAY(r, WARN, "cannot %s, will try again id=%s status=%d: " STR_FMT,
		    e->asking != NULL ? "register" : "deregister", e->id, status,
		    STR_ARG(why_of(body)));
	e->retry_at = now + nsec_min(REGISTRAR_RETRY_MIN << doublings, REGISTRAR_RETRY_MAX);
	r->retry_next = nsec_min(r->retry_next, e->retry_at);
}

static void
entry_put(struct registrar *r, struct entry *e, nsec now, int status, struct str body)
{
	const struct rules_service *s = &e->asking->service;

	if (status == 200 || means_away(r, status)) { /* it may have arrived, too */
		free(e->key);
		e->key = key_of(r, s);
	}
	if (status == 200) {
		e->known = e->asking == e->wanted;
		e->failures = 0;
		SAY(r, INFO,
		    "service registered id=%s name=" STR_FMT " address=" STR_FMT " port=%u", e->id,
		    STR_ARG(s->name), STR_ARG(s->address), s->port);
	} else if (means_away(r, status)) {
		return;
	} else if (e->asking != e->wanted) {
		return; /* whatever that was: there is something newer to say */
	} else if (status >= 400 && status < 500 && status != 403 && status != 408) {
		e->refused = true;
		SAY(r, WARN, "service refused id=%s status=%d: " STR_FMT, e->id, status,
		    STR_ARG(why_of(body)));
	} else {
		entry_retry(r, e, now, status, body);
	}
}

static void
entry_removed(struct registrar *r, struct entry *e, nsec now, int status, struct str body)
{
	if (status == 200 || status == 404) {
		free(e->key);
		e->key = NULL;
		e->failures = 0;
		SAY(r, INFO, "service deregistered id=%s", e->id);
	} else if (!means_away(r, status)) {
		entry_retry(r, e, now, status, body);
	}
}

static void
registrar_answered(struct registrar *r, nsec now, size_t slot, int status, struct str body)
{
	struct entry *e = r->slots[slot];

	r->slots[slot] = NULL;
	r->busy--;
	if (means_away(r, status) && r->phase == PHASE_UP)
		registrar_away(r, now, status, body);
	e->asked = false;
	if (e->asking != NULL)
		entry_put(r, e, now, status, body);
	else
		entry_removed(r, e, now, status, body);
	docker_record_unref(e->asking);
	e->asking = NULL;
	entry_settle(r, e);
}

/* ---- the public calls ---- */

struct registrar *
registrar_new(const struct registrar_config *config, nsec now)
{
	struct registrar *r = mem_new(struct registrar);

	arena_init(&r->texts, REGISTRAR_TEXTS_MAX);
	r->config = *config;
	r->config.host = arena_dup(&r->texts, config->host);
	r->config.prefix = arena_dup(&r->texts, config->prefix);
	RB_INIT(&r->entries);
	TAILQ_INIT(&r->queue);
	TAILQ_INIT(&r->todo);
	TAILQ_INIT(&r->given);
	r->control_at = now;
	r->retry_next = NSEC_NEVER;
	r->cleanup_due = true;
	return r;
}

void
registrar_free(struct registrar *r)
{
	struct entry *e;

	if (r == NULL)
		return;
	while ((e = RB_MIN(registrar_tree, &r->entries)) != NULL)
		entry_free(r, e);
	todo_clear(&r->todo);
	todo_clear(&r->given);
	arena_done(&r->texts);
	free(r);
}

static void
registrar_service(struct registrar *r, const struct rules_service *s)
{
	struct entry *e = entry_find(r, s->id);

	if (e == NULL)
		e = entry_new(r, s->id);
	if (e == NULL) {
		SAY(r, WARN, "too many services, one is left out id=" STR_FMT, STR_ARG(s->id));
		return;
	}
	if (e->wanted == NULL || e->wanted->hash != docker_record_hash(s))
		entry_want(r, e, docker_record_new(s));
}

void
registrar_news(struct registrar *r, nsec now, const struct docker_news *news)
{
	struct entry *e;

	todo_clear(&r->given);
	switch (news->kind) {
	case DOCKER_NEWS_SERVICE:
		registrar_service(r, &news->service);
		break;
	case DOCKER_NEWS_REMOVE:
		e = entry_find(r, news->service.id);
		if (e != NULL && e->wanted != NULL)
			entry_want(r, e, NULL);
		break;
	case DOCKER_NEWS_SYNCED:
		r->synced = true;
		if (r->config.cleanup && r->cleanup_due && r->phase == PHASE_UP)
			r->control_at = now;
		break;
	case DOCKER_NEWS_CHECK:
	case DOCKER_NEWS_CHECK_REMOVE:
	case DOCKER_NEWS_AWAY:
	case DOCKER_NEWS_WARN:
		break;
	}
	registrar_pump(r, now);
}

void
registrar_answer(struct registrar *r, nsec now, size_t slot, int status, struct str body)
{
	todo_clear(&r->given);
	if (slot < REGISTRAR_REQUESTS_MAX && r->slots[slot] != NULL) {
		registrar_answered(r, now, slot, status, body);
	} else if (slot == SLOT_CONTROL && r->control_asked) {
		r->control_asked = false;
		if (r->control == REGISTRAR_PING)
			registrar_pinged(r, now, status, body);
		else
			registrar_listed(r, now, status, body);
	}
	registrar_pump(r, now);
}

void
registrar_resync(struct registrar *r, nsec now)
{
	struct entry *e, *next;

	todo_clear(&r->given);
	RB_FOREACH_SAFE (e, registrar_tree, &r->entries, next) {
		e->known = e->refused = false;
		entry_settle(r, e);
	}
	r->cleanup_due = true;
	if (r->phase == PHASE_UP)
		r->control_at = now;
	registrar_pump(r, now);
}

void
registrar_tick(struct registrar *r, nsec now)
{
	struct entry *e, *next;

	todo_clear(&r->given);
	if (now >= r->retry_next) {
		r->retry_next = NSEC_NEVER;
		RB_FOREACH_SAFE (e, registrar_tree, &r->entries, next) {
			if (e->retry_at <= now) {
				e->retry_at = NSEC_NEVER;
				entry_settle(r, e);
			} else {
				r->retry_next = nsec_min(r->retry_next, e->retry_at);
			}
		}
	}
	registrar_pump(r, now);
}

nsec
registrar_deadline(const struct registrar *r)
{
	/* With something under way the answer is what sets off the list. */
	nsec control = r->control_asked || r->busy > 0 ? NSEC_NEVER : r->control_at;

	return nsec_min(control, r->retry_next);
}

bool
registrar_action_next(struct registrar *r, struct registrar_action *out)
{
	struct todo *t = TAILQ_FIRST(&r->todo);

	if (t == NULL)
		return false;
	TAILQ_REMOVE(&r->todo, t, link);
	TAILQ_INSERT_TAIL(&r->given, t, link);
	*out = t->action;
	out->name = buf_str(&t->name);
	if (t->action.kind == REGISTRAR_SAY || t->action.kind == REGISTRAR_GIVE_UP)
		out->text = buf_str(&t->body);
	else
		out->body = buf_str(&t->body);
	return true;
}

struct registrar_stats
registrar_stats(const struct registrar *r)
{
	struct registrar_stats s = { .dropped = r->dropped };
	struct registrar *all = (struct registrar *)(uintptr_t)r;
	struct entry *e;

	RB_FOREACH (e, registrar_tree, &all->entries) {
		s.services += e->wanted != NULL;
		s.waiting += e->queued || e->asked || e->retry_at != NSEC_NEVER;
	}
	return s;
}

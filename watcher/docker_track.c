/* watcher/docker_track.c -- containers, claims, slots, news.
 *
 * Parts in order: news, slots and their settling, claims, the life of a container, drains.
 * Invariants: a slot exists while it is claimed; every change of a container ends with its
 * slots settled; a slot's `shown` fields are what the agent was last told.
 */
#include "watcher/docker_track.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "watcher/docker_record.h"
#include "watcher/signame.h"

#define DOCKER_SAY_MAX 1024
#define DOCKER_OUTPUT_MAX 4096 /* of a health probe; the engine keeps no more */

enum { CHECK_PASSING = 0, CHECK_CRITICAL = 2 };

struct claim {
	LIST_ENTRY(claim) of_container;
	TAILQ_ENTRY(claim) of_slot;
	struct tracked *owner;
	struct slot *slot;
	struct docker_record *record;
	bool fresh; /* rules still give it, in the update under way */
};

/* A check as the agent was told of it. */
struct shown_check {
	bool there;
	int status;
	uint64_t text_hash;
};

struct slot {
	RB_ENTRY(slot) by_id;
	TAILQ_HEAD(, claim) claims;
	struct docker_record *shown; /* NULL: nothing yet. Its id is the slot's key */
	struct shown_check state, health;
	bool doubted; /* what was shown may have been changed by others */
	char id[];
};

struct news {
	TAILQ_ENTRY(news) link;
	enum docker_news_kind kind;
	struct docker_record *record;
	char container[DOCKER_ID_MAX + 1];
	const char *check_prefix; /* "docker-state", with the service's id behind it */
	const char *check_name;
	int check_status;
	int64_t event_ns;
	char *check_id, *text;
};

static int
tracked_cmp(const struct tracked *a, const struct tracked *b)
{
	return strcmp(a->id, b->id);
}

static int
slot_cmp(const struct slot *a, const struct slot *b)
{
	return strcmp(a->id, b->id);
}

RB_GENERATE(tracked_tree, tracked, by_id, tracked_cmp)
RB_PROTOTYPE(slot_tree, slot, by_id, slot_cmp)
RB_GENERATE(slot_tree, slot, by_id, slot_cmp)

/* News. */

static struct news *
news_add(
    struct track *k, enum docker_news_kind kind, struct docker_record *record, int64_t event_ns)
{
	struct news *n = mem_new(struct news);

	n->kind = kind;
	n->record = record == NULL ? NULL : docker_record_ref(record);
	n->event_ns = event_ns;
	TAILQ_INSERT_TAIL(&k->news, n, link);
	return n;
}

static void
news_free(struct news *n)
{
	docker_record_unref(n->record);
	free(n->check_id);
	free(n->text);
	free(n);
}

void
track_say(struct track *k, enum docker_news_kind kind, const char *fmt, ...)
{
	char text[DOCKER_SAY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	news_add(k, kind, NULL, 0)->text = str_dup(str_of(text));
}

bool
track_news_next(struct track *k, struct docker_news *out)
{
	struct news *n = TAILQ_FIRST(&k->news);

	if (n == NULL)
		return false;
	TAILQ_REMOVE(&k->news, n, link);
	TAILQ_INSERT_TAIL(&k->given, n, link);
	*out = (struct docker_news){
		.kind = n->kind,
		.container = str_of(n->container),
		.check_id = str_of(n->check_id),
		.check_name = str_of(n->check_name),
		.check_status = n->check_status,
		.text = str_of(n->text),
		.event_ns = n->event_ns,
	};
	if (n->record != NULL && n->kind == DOCKER_NEWS_SERVICE) {
		out->service = n->record->service;
	} else if (n->record != NULL) {
		out->service.id = n->record->service.id;
		out->service.name = n->record->service.name;
	}
	return true;
}

static void
news_clear(struct news_list *list)
{
	struct news *n;

	while ((n = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, n, link);
		news_free(n);
	}
}

void
track_news_release(struct track *k)
{
	news_clear(&k->given);
}

/* Slots. */

static struct slot *
slot_get(struct track *k, struct str id)
{
	struct slot *s = mem_zalloc(sizeof *s + id.n + 1), *there;

	memcpy(s->id, id.p, id.n);
	there = RB_INSERT(slot_tree, &k->slots, s);
	if (there != NULL) {
		free(s);
		return there;
	}
	TAILQ_INIT(&s->claims);
	k->slot_count++;
	return s;
}

/* Does a's claim go before b's? What runs beats what has ended, then the newest wins; ids
 * decide between equals. */
static bool
claim_beats(const struct claim *a, const struct claim *b)
{
	if (a->owner->ended != b->owner->ended)
		return b->owner->ended;
	if (a->owner->started_ns != b->owner->started_ns)
		return a->owner->started_ns > b->owner->started_ns;
	return strcmp(a->owner->id, b->owner->id) > 0;
}

static struct claim *
slot_winner(struct slot *s)
{
	struct claim *best = NULL, *c;

	TAILQ_FOREACH (c, &s->claims, of_slot)
		if (best == NULL || claim_beats(c, best))
			best = c;
	return best;
}

/* A check as it should be; `text` NULL: not at all. */
struct wanted_check {
	const char *prefix, *name, *text;
	int status;
};

static struct wanted_check
tracked_state_check(const struct tracked *t, char room[64])
{
	struct wanted_check w = { "docker-state", "Docker container state", NULL, CHECK_CRITICAL };

	if (t->ended) {
		snprintf(room, 64, "exited with code %d", t->exit_code);
		w.text = room;
	} else if (t->paused) {
		w.text = "container is paused";
	} else if (t->drain_until != 0) {
		w.text = "container is draining: it was told to stop";
	}
	return w;
}

static struct wanted_check
tracked_health_check(const struct tracked *t)
{
	struct wanted_check w = { "docker-health", "Docker container health", NULL,
		CHECK_CRITICAL };

	if (t->ended || t->health == HEALTH_NONE)
		return w;
	if (t->health == HEALTH_HEALTHY)
		w.status = CHECK_PASSING;
	w.text = t->health_output;
	if (w.text == NULL)
		w.text = t->health == HEALTH_STARTING ? "container is starting" : "";
	return w;
}

static uint64_t
text_hash(const char *text) /* FNV-1a: texts are short */
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	return h;
}

static void
slot_settle_check(struct track *k, struct slot *s, struct shown_check *shown,
    const struct wanted_check *want, const struct tracked *owner, int64_t event_ns)
{
	uint64_t hash = want->text == NULL ? 0 : text_hash(want->text);
	struct news *n;
	size_t room;

	if (want->text == NULL && !shown->there)
		return;
	if (want->text != NULL && shown->there && shown->status == want->status &&
	    shown->text_hash == hash && !s->doubted)
		return;
	n = news_add(k, want->text == NULL ? DOCKER_NEWS_CHECK_REMOVE : DOCKER_NEWS_CHECK, s->shown,
	    event_ns);
	memcpy(n->container, owner->id, sizeof n->container);
	room = strlen(want->prefix) + 1 + strlen(s->id) + 1;
	n->check_id = mem_alloc(room);
	snprintf(n->check_id, room, "%s:%s", want->prefix, s->id);
	n->check_name = want->name;
	n->check_status = want->status;
	n->text = str_dup(str_of(want->text));
	*shown = (struct shown_check){ want->text != NULL, want->status, hash };
}

/* Tells the agent what has changed; frees the slot when nobody claims it. */
static void
slot_settle(struct track *k, struct slot *s, int64_t event_ns)
{
	struct claim *c = slot_winner(s);
	struct wanted_check state, health;
	char room[64];

	if (c == NULL) {
		if (s->shown != NULL)
			news_add(k, DOCKER_NEWS_REMOVE, s->shown, event_ns);
		docker_record_unref(s->shown);
		RB_REMOVE(slot_tree, &k->slots, s);
		k->slot_count--;
		free(s);
		return;
	}
	if (s->shown == NULL || s->shown->hash != c->record->hash || s->doubted) {
		struct news *n = news_add(k, DOCKER_NEWS_SERVICE, c->record, event_ns);

		memcpy(n->container, c->owner->id, sizeof n->container);
		docker_record_unref(s->shown);
		s->shown = docker_record_ref(c->record);
	}
	state = tracked_state_check(c->owner, room);
	health = tracked_health_check(c->owner);
	slot_settle_check(k, s, &s->state, &state, c->owner, event_ns);
	slot_settle_check(k, s, &s->health, &health, c->owner, event_ns);
	s->doubted = false;
}

/* Claims. */

static void
claim_free(struct claim *c)
{
	TAILQ_REMOVE(&c->slot->claims, c, of_slot);
	LIST_REMOVE(c, of_container);
	docker_record_unref(c->record);
	free(c);
}

static struct claim *
claim_find(struct slot *s, const struct tracked *owner)
{
	struct claim *c;

	TAILQ_FOREACH (c, &s->claims, of_slot)
		if (c->owner == owner)
			return c;
	return NULL;
}

static void
claim_put(struct track *k, struct tracked *t, const struct rules_service *service)
{
	struct slot *s = slot_get(k, service->id);
	struct claim *c = claim_find(s, t), *other;

	if (c == NULL) {
		other = slot_winner(s);
		c = mem_new(struct claim);
		c->owner = t;
		c->slot = s;
		TAILQ_INSERT_TAIL(&s->claims, c, of_slot);
		LIST_INSERT_HEAD(&t->claims, c, of_container);
		if (other != NULL)
			track_say(k, DOCKER_NEWS_WARN,
			    "two containers offer one service, the newest wins id=%s "
			    "winner=%.12s other=%.12s",
			    s->id, slot_winner(s)->owner->id,
			    slot_winner(s) == c ? other->owner->id : t->id);
	}
	c->fresh = true;
	if (c->record != NULL && c->record->hash == docker_record_hash(service))
		return;
	docker_record_unref(c->record);
	c->record = docker_record_new(service);
}

/* Takes back the claims that are not fresh, and settles all slots. */
static void
claims_settle(struct track *k, struct tracked *t, int64_t event_ns)
{
	struct claim *c, *next;

	LIST_FOREACH (c, &t->claims, of_container)
		if (c->fresh)
			slot_settle(k, c->slot, event_ns);
	for (c = LIST_FIRST(&t->claims); c != NULL; c = next) {
		struct slot *s = c->slot;

		next = LIST_NEXT(c, of_container);
		if (c->fresh) {
			c->fresh = false;
			continue;
		}
		claim_free(c);
		slot_settle(k, s, event_ns);
	}
}

static void
tracked_settle(struct track *k, struct tracked *t, int64_t event_ns)
{
	struct claim *c;

	LIST_FOREACH (c, &t->claims, of_container)
		slot_settle(k, c->slot, event_ns);
}

/* Containers. */

void
track_init(struct track *k)
{
	*k = (struct track){ .next = NSEC_NEVER };
	RB_INIT(&k->containers);
	RB_INIT(&k->slots);
	TAILQ_INIT(&k->news);
	TAILQ_INIT(&k->given);
}

static void
tracked_free(struct track *k, struct tracked *t)
{
	RB_REMOVE(tracked_tree, &k->containers, t);
	k->container_count -= t->known;
	k->stranger_count -= !t->known;
	free(t->held);
	free(t->peer);
	free(t->health_output);
	free(t);
}

void
track_done(struct track *k)
{
	struct tracked *t;

	while ((t = RB_MIN(tracked_tree, &k->containers)) != NULL)
		track_drop(k, t, 0);
	news_clear(&k->news);
	news_clear(&k->given);
}

struct tracked *
track_find(struct track *k, const char *id)
{
	struct tracked key;

	snprintf(key.id, sizeof key.id, "%s", id);
	return RB_FIND(tracked_tree, &k->containers, &key);
}

struct tracked *
track_get(struct track *k, const char *id)
{
	struct tracked *t = track_find(k, id);

	if (t != NULL)
		return t;
	t = mem_new(struct tracked);
	snprintf(t->id, sizeof t->id, "%s", id);
	t->retry_at = NSEC_NEVER;
	LIST_INIT(&t->claims);
	RB_INSERT(tracked_tree, &k->containers, t);
	k->stranger_count++;
	return t;
}

void
track_drop(struct track *k, struct tracked *t, int64_t event_ns)
{
	claims_settle(k, t, event_ns); /* none is fresh: all go */
	tracked_free(k, t);
}

/* Digits of s at *at, `n` of them, as a number; steps over them and the character behind. */
static int64_t
digits(struct str s, size_t *at, size_t n)
{
	int64_t v = 0;

	for (size_t i = 0; i < n && *at < s.n; i++, (*at)++)
		v = v * 10 + (chr_digit(s.p[*at]) ? s.p[*at] - '0' : 0);
	(*at)++;
	return v;
}

/* "2026-11-21T00:54:15.331293177Z" in nanoseconds since 1970; the year 1 ("never") is 0. */
static int64_t
rfc3339_ns(struct str s)
{
	size_t at = 0;
	int64_t year = digits(s, &at, 4), month = digits(s, &at, 2), day = digits(s, &at, 2);
	int64_t seconds = digits(s, &at, 2) * 3600, ns = 0, days, era_year;

	seconds += digits(s, &at, 2) * 60;
	seconds += digits(s, &at, 2);
	if (s.n < 20 || year < 1970 || year > 2200)
		return 0;
	for (int64_t unit = 100000000; at < s.n && chr_digit(s.p[at]) && unit > 0; at++, unit /= 10)
		ns += unit * (s.p[at] - '0');
	/* Days since 1 March of year 0, then since 1970: years that begin in March end in the
	 * leap day. */
	era_year = month <= 2 ? year - 1 : year;
	month = month <= 2 ? month + 9 : month - 3;
	days = era_year * 365 + era_year / 4 - era_year / 100 + era_year / 400 +
	       (month * 153 + 2) / 5 + day - 1 - 719468;
	return (days * 86400 + seconds) * NSEC_SEC + ns;
}

static bool
tracked_stops(const struct tracked *t, int signal)
{
	return signal == SIGNAME_TERM || signal == SIGNAME_KILL ||
	       (signal != 0 && signal == t->stop_signal);
}

static void
tracked_drain(struct track *k, struct tracked *t, nsec from)
{
	t->drain_until = t->stop_wait > NSEC_NEVER - from ? NSEC_NEVER : from + t->stop_wait;
	if (t->drain_until == 0)
		t->drain_until = 1; /* 0 means none */
	k->next = nsec_min(k->next, t->drain_until);
}

/* Signals that came before it was known what they mean to this container. */
static void
tracked_apply_kills(struct track *k, struct tracked *t, struct now now)
{
	bool stops = false;

	for (int signal = 1; signal <= SIGNAME_MAX; signal++)
		if (t->kills & UINT64_C(1) << (signal - 1))
			stops |= tracked_stops(t, signal);
	if (stops && (t->kill_ns == 0 || t->kill_ns >= t->started_ns)) {
		tracked_drain(k, t, t->kill_at);
		if (t->drain_until <= now.mono)
			t->drain_until = 0;
	}
	t->kills = 0;
}

void
track_running(struct track *k, struct tracked *t, struct now now, const struct container *c,
    const struct rules_service *services, size_t count, nsec drain, int64_t event_ns)
{
	int64_t started_ns = rfc3339_ns(c->started_at);
	struct str output = c->health_output;

	if (!t->known) {
		t->known = true;
		k->container_count++;
		k->stranger_count--;
	}
	if (started_ns != t->started_ns)
		t->drain_until = 0; /* another run: told nothing yet */
	t->started_ns = started_ns;
	t->ended = false;
	t->paused = c->paused;
	t->stop_signal = signame_number(c->stop_signal);
	t->stop_wait = c->stop_timeout > drain ? c->stop_timeout : drain;
	t->health = c->health;
	free(t->health_output);
	t->health_output = NULL;
	if (output.n > DOCKER_OUTPUT_MAX)
		output.n = DOCKER_OUTPUT_MAX;
	if (output.n > 0)
		t->health_output = str_dup(output);
	tracked_apply_kills(k, t, now);
	for (size_t i = 0; i < count; i++)
		claim_put(k, t, &services[i]);
	claims_settle(k, t, event_ns);
}

void
track_ended(struct track *k, struct tracked *t, int exit_code, int64_t event_ns)
{
	t->ended = true;
	t->paused = false;
	t->drain_until = 0;
	t->kills = 0;
	t->exit_code = exit_code;
	tracked_settle(k, t, event_ns);
}

void
track_paused(struct track *k, struct tracked *t, bool paused, int64_t event_ns)
{
	t->paused = paused;
	tracked_settle(k, t, event_ns);
}

void
track_killed(
    struct track *k, struct tracked *t, struct now now, int signal, nsec age, int64_t event_ns)
{
	if (signal < 1 || signal > SIGNAME_MAX || t->ended)
		return;
	if (!t->known) {
		t->kills |= UINT64_C(1) << (signal - 1);
		t->kill_ns = event_ns;
		t->kill_at = now.mono - age;
		return;
	}
	if (!tracked_stops(t, signal) || (event_ns != 0 && event_ns < t->started_ns))
		return; /* no stop signal, or one for an earlier run */
	tracked_drain(k, t, now.mono - age);
	if (t->drain_until <= now.mono)
		t->drain_until = 0;
	tracked_settle(k, t, event_ns);
}

void
track_doubt(struct track *k)
{
	struct slot *s;

	RB_FOREACH (s, slot_tree, &k->slots)
		s->doubted = true;
}

void
track_tick(struct track *k, struct now now)
{
	struct tracked *t;

	if (now.mono < k->next)
		return;
	k->next = NSEC_NEVER;
	RB_FOREACH (t, tracked_tree, &k->containers) {
		if (t->drain_until != 0 && t->drain_until <= now.mono) {
			t->drain_until = 0;
			tracked_settle(k, t, 0);
		} else if (t->drain_until != 0) {
			k->next = nsec_min(k->next, t->drain_until);
		}
	}
}

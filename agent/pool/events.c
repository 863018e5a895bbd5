/* agent/pool/events.c -- see events.h: the form on the wire, the filters, the list. */
#include "agent/pool/events.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/regexp.h"
#include "base/mem.h"
#include "gossip/pack.h"

#define EVENT_VERSION 1
#define EVENT_ARENA_MAX (256 * 1024) /* to read one, and for its compiled filters */

/* --- on the wire --- */

struct event_body {
	struct str id, name, node, payload, service, tag;
	bool payload_nil;
	int64_t version;
};

static const struct pack_field body_fields[] = {
	{ PACK_KEY("ID"), .kind = PACK_TEXT, .at = offsetof(struct event_body, id) },
	{ PACK_KEY("n"), .kind = PACK_TEXT, .at = offsetof(struct event_body, name) },
	{ PACK_KEY("nf"), .kind = PACK_TEXT, .omit = true,
	    .at = offsetof(struct event_body, node) },
	{ PACK_KEY("p"), .kind = PACK_BYTES, .omit = true,
	    .at = offsetof(struct event_body, payload),
	    .more = offsetof(struct event_body, payload_nil) },
	{ PACK_KEY("sf"), .kind = PACK_TEXT, .omit = true,
	    .at = offsetof(struct event_body, service) },
	{ PACK_KEY("tf"), .kind = PACK_TEXT, .omit = true, .at = offsetof(struct event_body, tag) },
	{ PACK_KEY("v"), .kind = PACK_I64, .at = offsetof(struct event_body, version) },
};

int
user_event_write(struct writer *w, const struct user_event *e, struct err *err)
{
	char id[UUID_TEXT_LEN + 1];
	struct event_body body = {
		.id = str_of(uuid_format(&e->id, id)),
		.name = e->name,
		.node = e->node_filter,
		.payload = e->payload,
		.payload_nil = e->payload.n == 0,
		.service = e->service_filter,
		.tag = e->tag_filter,
		.version = e->version,
	};

	pack_put_fields(w, PACK_TABLE(body_fields), &body);
	return w->full ? err_set(err, ERR_LIMIT, "no room for the event") : 0;
}

/* The same on every agent that heard of the event. */
static struct uuid
id_derive(const struct serf_event *e)
{
	XXH3_state_t state;
	XXH128_canonical_t hash;
	struct uuid id;
	uint64_t head[2] = { e->ltime, e->name.n };
	uint8_t bytes[16];
	struct writer w = wr_of(bytes, sizeof bytes);

	wr_be64(&w, head[0]);
	wr_be64(&w, head[1]);
	XXH3_128bits_reset(&state);
	XXH3_128bits_update(&state, bytes, sizeof bytes);
	XXH3_128bits_update(&state, e->name.n == 0 ? "" : e->name.p, e->name.n);
	XXH3_128bits_update(&state, e->payload.n == 0 ? "" : e->payload.p, e->payload.n);
	XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(&state));
	memcpy(id.b, hash.digest, sizeof id.b);
	id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x80); /* version 8: made by rules of our own */
	id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80); /* (RFC 9562 5.8) */
	return id;
}

/* False: malformed. Slices point into the event or the arena. */
static bool
event_read(struct arena *arena, const struct serf_event *from, struct user_event *out)
{
	struct event_body body = { 0 };
	struct reader r = rd_of(from->payload);

	out->ltime = from->ltime;
	out->id = id_derive(from);
	if (!str_starts(from->name, STR(EVENTS_NAME_PREFIX))) {
		out->name = from->name;
		out->payload = from->payload;
		out->version = EVENT_VERSION;
		return true;
	}
	pack_take_fields(&r, arena, PACK_TABLE(body_fields), &body);
	if (!rd_ok(&r) || body.name.n == 0)
		return false;
	uuid_parse(body.id, &out->id); /* else the one that was derived */
	out->name = body.name;
	out->payload = body.payload;
	out->node_filter = body.node;
	out->service_filter = body.service;
	out->tag_filter = body.tag;
	out->version = body.version;
	return true;
}

/* --- filters --- */

static int
filter_check(struct str pattern, const char *what, struct err *err)
{
	struct arena arena;
	struct regexp *re;
	int rc = 0;

	if (pattern.n == 0)
		return 0;
	arena_init(&arena, EVENT_ARENA_MAX);
	rc = regexp_new(&arena, pattern, &re, err);
	arena_done(&arena);
	if (rc < 0) {
		err_wrap(err, "Invalid %s filter", what);
		return ERR_REFUSED;
	}
	return 0;
}

int
user_event_check(const struct user_event *e, struct err *err)
{
	int rc;

	if (e->name.n == 0)
		return err_set(err, ERR_REFUSED, "User event missing name");
	if (e->tag_filter.n > 0 && e->service_filter.n == 0)
		return err_set(
		    err, ERR_REFUSED, "Cannot provide tag filter without service filter");
	rc = filter_check(e->node_filter, "node", err);
	if (rc == 0)
		rc = filter_check(e->service_filter, "service", err);
	return rc == 0 ? filter_check(e->tag_filter, "tag", err) : rc;
}

struct filters {
	struct regexp *node, *service, *tag; /* NULL: any */
	uint64_t steps;
};

static bool
filter_compile(struct arena *arena, struct str pattern, struct regexp **out)
{
	return pattern.n == 0 || regexp_new(arena, pattern, out, NULL) == 0;
}

static bool
filter_matches(struct filters *f, struct regexp *re, struct str text)
{
	return re == NULL || regexp_match(re, text, &f->steps) == REGEXP_YES;
}

/* Consul looks at the id only, and calls it the name: either will do here. */
static bool
service_matches(struct filters *f, const struct local_service *s)
{
	if (!filter_matches(f, f->service, s->info.id) &&
	    !filter_matches(f, f->service, s->info.name))
		return false;
	if (f->tag == NULL)
		return true;
	for (size_t i = 0; i < s->info.tag_count; i++)
		if (filter_matches(f, f->tag, s->info.tags[i]))
			return true;
	return false;
}

static bool
event_is_ours(struct arena *arena, const struct events_config *here, const struct user_event *e)
{
	struct filters f = { .steps = EVENTS_STEPS_MAX };
	const struct local_service *s = NULL;

	if (!filter_compile(arena, e->node_filter, &f.node) ||
	    !filter_compile(arena, e->service_filter, &f.service) ||
	    !filter_compile(arena, e->tag_filter, &f.tag))
		return false;
	if (!filter_matches(&f, f.node, here->node))
		return false;
	if (f.service == NULL)
		return true;
	if (here->local == NULL)
		return false;
	while ((s = local_service_next(here->local, s)) != NULL && f.steps > 0)
		if (service_matches(&f, s))
			return true;
	return false;
}

/* --- the list --- */

struct kept {
	struct user_event event; /* slices point behind the struct */
};

struct events {
	struct events_config config;
	struct kept *ring[EVENTS_KEPT_MAX]; /* owned */
	size_t first, count;
	struct events_stats stats;
};

struct events *
events_new(const struct events_config *config)
{
	struct events *es = mem_new(struct events);

	es->config = *config;
	return es;
}

void
events_free(struct events *es)
{
	if (es == NULL)
		return;
	for (size_t i = 0; i < EVENTS_KEPT_MAX; i++)
		free(es->ring[i]);
	free(es);
}

static struct str
kept_put(char **at, struct str s)
{
	struct str copy = str_mem(*at, s.n);

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static void
events_keep(struct events *es, const struct user_event *e)
{
	size_t n =
	    e->name.n + e->payload.n + e->node_filter.n + e->service_filter.n + e->tag_filter.n;
	struct kept *k = mem_zalloc(sizeof *k + n);
	char *at = (char *)(k + 1);
	size_t slot = (es->first + es->count) % EVENTS_KEPT_MAX;

	k->event = *e;
	k->event.name = kept_put(&at, e->name);
	k->event.payload = kept_put(&at, e->payload);
	k->event.node_filter = kept_put(&at, e->node_filter);
	k->event.service_filter = kept_put(&at, e->service_filter);
	k->event.tag_filter = kept_put(&at, e->tag_filter);
	free(es->ring[slot]);
	es->ring[slot] = k;
	if (es->count < EVENTS_KEPT_MAX)
		es->count++;
	else
		es->first = (es->first + 1) % EVENTS_KEPT_MAX;
}

/* Consul's own business: its leader's, and its remote execution, which muster has not. */
static bool
event_means_nothing(const struct serf_event *e)
{
	return str_eq(e->name, STR(EVENTS_NAME_PREFIX "_rexec")) ||
	       (str_starts(e->name, STR("consul:")) &&
		   !str_starts(e->name, STR(EVENTS_NAME_PREFIX)));
}

bool
events_input(struct events *es, const struct serf_event *from)
{
	struct user_event e = { 0 };
	struct arena arena;
	bool ours = false;

	if (event_means_nothing(from)) {
		es->stats.filtered++;
		return false;
	}
	arena_init(&arena, EVENT_ARENA_MAX);
	if (!event_read(&arena, from, &e)) {
		es->stats.malformed++;
	} else if (!event_is_ours(&arena, &es->config, &e)) {
		es->stats.filtered++;
	} else {
		events_keep(es, &e);
		es->stats.kept++;
		ours = true;
	}
	arena_done(&arena);
	return ours;
}

size_t
events_count(const struct events *es)
{
	return es->count;
}

const struct user_event *
events_at(const struct events *es, size_t i)
{
	return &es->ring[(es->first + i) % EVENTS_KEPT_MAX]->event;
}

static uint64_t
half_read(const uint8_t *p)
{
	struct reader r = rd_of(str_mem(p, 8));

	return rd_be64(&r);
}

/* Both halves of the id over each other, as Consul makes it. */
uint64_t
user_event_index(const struct user_event *e)
{
	return half_read(e->id.b) ^ half_read(e->id.b + 8);
}

struct events_stats
events_stats(const struct events *es)
{
	return es->stats;
}

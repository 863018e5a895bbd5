/* agent/local/local_stage.c -- carries a registration out: store, then journal, then memory.
 *
 * The store may refuse (limits), the journal may (disk); both can be taken back, and what is in
 * memory changes last, when nothing can fail any more. Records and journal entries that would be
 * equal are not written, so an equal registration passes through here without a trace.
 */
#include "agent/local/local_private.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

void
stage_init(struct stage *s, struct local *l, struct now now, enum local_source source)
{
	*s = (struct stage){ .local = l, .now = now, .source = source };
	arena_init(&s->arena, STAGE_ARENA_MAX);
	buf_init(&s->body, RECORD_BODY_MAX);
}

void
stage_done(struct stage *s)
{
	arena_done(&s->arena);
	buf_done(&s->body);
	free(s->old_memory);
	blob_unref(s->old_body);
}

/* ---- what differs ---- */

static bool
defs_equal(const struct check_def *a, const struct check_def *b)
{
	struct buf x, y;
	bool same;

	buf_init(&x, RECORD_BODY_MAX);
	buf_init(&y, RECORD_BODY_MAX);
	check_def_pack(&x, a);
	check_def_pack(&y, b);
	same = !x.full && str_eq(buf_str(&x), buf_str(&y));
	buf_done(&x);
	buf_done(&y);
	return same;
}

static void
stage_compare(struct stage *s)
{
	if (s->info != NULL) {
		service_pack(&s->body, s->info);
		s->service_same = s->service != NULL && s->service->source == s->source &&
				  str_eq(buf_str(&s->body), blob_str(s->service->body));
	}
	for (size_t i = 0; i < s->check_count; i++) {
		struct staged_check *c = &s->checks[i];
		const struct local_check *old = c->old;

		for (size_t k = i + 1; k < s->check_count && !c->skip; k++)
			c->skip = str_eq(c->def.id, s->checks[k].def.id);
		c->def_same = old != NULL && defs_equal(&old->def, &c->def);
		c->same = c->def_same && old->source == s->source &&
			  (s->info == NULL || s->service != NULL) && old->service == s->service &&
			  old->with_service == c->with_service && old->status == c->status &&
			  str_eq(old->output, c->output);
		if (old != NULL)
			c->old->named = true;
	}
}

static bool
stage_removes(const struct stage *s, const struct local_check *c)
{
	return s->replace_checks && !c->named && c->source == s->source &&
	       (c->with_service || s->source != LOCAL_CONFIG); /* files name the others, too */
}

/* ---- the store ---- */

static int
stage_publish_check(struct change *change, const struct staged_check *c, struct err *err)
{
	struct buf body;
	int rc;

	buf_init(&body, RECORD_BODY_MAX);
	state_pack(&body, &c->def, c->with_service, c->status, c->output);
	rc = change_put(change, RECORD_CHECK, c->def.id, &body, err);
	buf_done(&body);
	return rc;
}

static int
stage_publish(struct stage *s, struct change *change, struct err *err)
{
	struct local_check *c;
	int rc = 0;

	if (s->info != NULL)
		rc = change_put(change, RECORD_SERVICE, s->info->id, &s->body, err);
	for (size_t i = 0; i < s->check_count && rc >= 0; i++)
		if (!s->checks[i].same && !s->checks[i].skip)
			rc = stage_publish_check(change, &s->checks[i], err);
	if (rc < 0 || s->info == NULL || s->service == NULL)
		return rc;
	LIST_FOREACH (c, &s->service->checks, of_service)
		if (stage_removes(s, c))
			change_remove(change, RECORD_CHECK, c->def.id);
	return rc;
}

/* ---- the journal ---- */

/* Of a check that is told anew after a restart only what it reported. */
static int
stage_keep_state(struct stage *s, const struct staged_check *k, struct err *err)
{
	int rc = keep_nothing(s->local, JOURNAL_CHECK, k->def.id, err);

	if (rc < 0 || k->same)
		return rc;
	if (k->reported)
		return remember_keep(s->local, &k->def, k->status, k->output, err);
	return keep_nothing(s->local, JOURNAL_STATE, k->def.id, err);
}

static int
stage_keep_all(struct stage *s, struct err *err)
{
	struct local *l = s->local;
	struct local_check *c;
	int rc = s->info == NULL ? 0 : keep_service(s, err);

	for (size_t i = 0; i < s->check_count && rc >= 0; i++) {
		const struct staged_check *k = &s->checks[i];

		if (k->skip)
			continue;
		if (s->source == LOCAL_API)
			rc = keep_check(
			    l, &k->def, k->status, k->output, k->with_service, k->reported, err);
		else
			rc = stage_keep_state(s, k, err);
	}
	if (s->info == NULL || s->service == NULL)
		return rc;
	LIST_FOREACH (c, &s->service->checks, of_service)
		if (rc >= 0 && stage_removes(s, c))
			rc = keep_no_check(l, c->def.id, err);
	return rc;
}

static int
stage_keep(struct stage *s, struct err *err)
{
	struct journal *j = s->local->config.journal;
	int rc;

	if (j == NULL)
		return 0;
	journal_begin(j);
	rc = stage_keep_all(s, err);
	if (rc >= 0)
		return journal_commit(j, err);
	journal_abort(j);
	return rc;
}

/* ---- memory ---- */

static void
stage_touch(struct stage *s, struct str id)
{
	struct watch_key key = { WATCH_AGENT_SERVICE, id };

	watch_touch(store_watches(s->local->config.store), key,
	    index_next(store_index(s->local->config.store), s->now.wall_ms), true);
}

static void
stage_take_service(struct stage *s)
{
	struct local_service *svc = s->service;
	struct err err;

	if (s->info == NULL || s->service_same)
		return;
	if (svc == NULL)
		svc = mem_new(struct local_service);
	s->old_memory = svc->memory; /* info may be a slice of it */
	s->old_body = svc->body;
	svc->memory = NULL;
	svc->body = blob_new(buf_str(&s->body));
	/* What was packed a moment ago unpacks. */
	(void)service_unpack_owned(&svc->memory, blob_str(svc->body), &svc->info, &err);
	svc->source = s->source;
	svc->hash = XXH3_64bits(svc->body->bytes, svc->body->n);
	if (s->service == NULL) {
		LIST_INIT(&svc->checks);
		RB_INSERT(local_services, &s->local->services, svc);
		s->local->service_count++;
		s->service = svc;
	}
	stage_touch(s, svc->info.id);
}

static void
stage_take_check(struct stage *s, struct staged_check *k)
{
	struct local *l = s->local;
	struct local_check *c = k->old;
	bool was_run = c != NULL && check_type_runs(c->def.type);
	void *old_memory = NULL;
	char *text;

	if (c == NULL) {
		c = mem_new(struct local_check);
		c->due = c->publish_until = c->critical_since = NSEC_NEVER;
	} else {
		state_due_clear(l, c);
		old_memory = c->memory;
		if (c->service != NULL)
			LIST_REMOVE(c, of_service);
	}
	check_def_copy(&c->def, &c->memory, &k->def);
	if (k->output.p != c->output.p || k->output.n != c->output.n) {
		text = str_dup(k->output);
		free((char *)(uintptr_t)c->output.p);
		c->output = str_mem(text, k->output.n);
	}
	c->source = s->source;
	c->status = k->status;
	c->with_service = k->with_service;
	c->reported = k->reported;
	if (!k->same) {
		c->published = s->now.mono;
		c->publish_until = NSEC_NEVER;
		c->output_fresh = true;
	}
	c->service = s->service;
	if (c->service != NULL)
		LIST_INSERT_HEAD(&c->service->checks, c, of_service);
	remember_taken(l, c->def.id);
	if (k->old == NULL)
		RB_INSERT(local_checks, &l->checks, c);
	free(old_memory);
	c->named = true;
	k->old = c;
	if (!k->def_same && (was_run || check_type_runs(c->def.type)))
		local_news_add(l, c);
	state_begin(l, c, s->now);
}

static void
stage_take(struct stage *s)
{
	struct local_check *c, *next;

	stage_take_service(s);
	for (size_t i = 0; i < s->check_count; i++)
		if (!s->checks[i].skip)
			stage_take_check(s, &s->checks[i]);
	if (s->service == NULL)
		return;
	for (c = LIST_FIRST(&s->service->checks); c != NULL; c = next) {
		next = LIST_NEXT(c, of_service);
		if (s->info != NULL && stage_removes(s, c))
			local_check_drop(s->local, c);
	}
}

static void
stage_unname(struct stage *s)
{
	for (size_t i = 0; i < s->check_count; i++)
		if (s->checks[i].old != NULL)
			s->checks[i].old->named = false;
}

/* Whether anything is not as it was. */
static bool
stage_differs(const struct stage *s, const struct change *change)
{
	bool differs = change->count > 0 || (s->info != NULL && !s->service_same);

	for (size_t i = 0; i < s->check_count; i++)
		differs = differs || (!s->checks[i].same && !s->checks[i].skip);
	return differs;
}

int
stage_carry_out(struct stage *s, struct err *err)
{
	struct change change;
	int rc;

	stage_compare(s);
	change_begin(&change, s->local->config.store, &s->local->config.self, s->now);
	rc = stage_publish(s, &change, err);
	if (rc >= 0)
		rc = stage_keep(s, err);
	if (rc < 0) {
		change_undo(&change);
	} else {
		rc = stage_differs(s, &change);
		stage_take(s);
	}
	stage_unname(s);
	change_done(&change);
	return rc;
}

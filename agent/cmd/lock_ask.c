/* agent/cmd/lock_ask.c -- words, requests, and what the agent's answers say. */
#include "agent/cmd/lock_priv.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/cmd/pair.h"

bool
lock_is_semaphore(const struct lock *l)
{
	return l->limit > 1;
}

void
lock_act(struct lock *l, struct lock_action a)
{
	if (l->action_count < LOCK_ACTIONS_MAX)
		l->actions[l->action_count++] = a;
}

void __attribute__((format(printf, 3, 4)))
lock_say(struct lock *l, bool error, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	if (!error && !l->verbose)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	lock_act(
	    l, (struct lock_action){
		   .kind = LOCK_SAY, .error = error, .text = arena_dup(&l->step, str_of(text)) });
}

void
lock_ask(struct lock *l, enum lock_slot slot, const char *method, struct buf *path, struct str body,
    nsec time)
{
	l->asked[slot] = true;
	lock_act(l, (struct lock_action){
			.kind = LOCK_ASK,
			.slot = slot,
			.method = method,
			.path = arena_dup(&l->step, buf_str(path)),
			.body = arena_dup(&l->step, body),
			.time = time,
		    });
	buf_done(path);
}

void
lock_drop(struct lock *l, enum lock_slot slot)
{
	if (l->asked[slot])
		lock_act(l, (struct lock_action){ .kind = LOCK_DROP, .slot = slot });
	l->asked[slot] = false;
}

void
lock_kv_path(struct buf *path, struct str key)
{
	buf_init(path, PATH_URL_MAX);
	buf_add(path, STR("/v1/kv/"));
	path_add_key(path, key);
}

/* The key of a lock, or all keys of a semaphore. */
void
lock_read_path(const struct lock *l, struct buf *path)
{
	if (!lock_is_semaphore(l)) {
		lock_kv_path(path, l->key);
		return;
	}
	lock_kv_path(path, l->prefix);
	buf_addc(path, '/');
	path_add_query(path, "recurse", STR_NONE);
}

/* PREFIX/<session>: what a contender holds. */
void
lock_contender_path(const struct lock *l, struct buf *path)
{
	lock_kv_path(path, l->prefix);
	buf_addc(path, '/');
	path_add(path, str_of(l->session));
}

void
lock_add_wait(struct buf *path, uint64_t index, nsec wait)
{
	char text[32];

	if (index == 0)
		return;
	snprintf(text, sizeof text, "%lldms", (long long)(wait / NSEC_MS));
	path_add_number(path, "index", index);
	path_add_query(path, "wait", str_of(text));
}

/* What an answer says that is none of the good ones. */
struct str
lock_answer_why(struct lock *l, const struct lock_answer *a)
{
	struct str body = str_trim(a->body);

	while (body.n > 0 && body.p[body.n - 1] == '\n')
		body.n--;
	if (a->status == 0)
		return body;
	return arena_fmt(
	    &l->step, "Unexpected response code: %d (" STR_FMT ")", a->status, STR_ARG(body));
}

bool
lock_answer_true(const struct lock_answer *a)
{
	return a->status == 200 && str_starts(a->body, STR("true"));
}

/* Of a lock: the key itself. */
static int
key_state(struct lock *l, const json_t *list, struct lock_state *s, struct err *err)
{
	struct pair_entry p;
	int rc;

	s->free = true;
	if (json_array_size(list) == 0)
		return 0;
	rc = pair_read(&l->step, json_array_get(list, 0), &p, err);
	if (rc == 0 && p.flags != LOCK_FLAGS)
		rc = err_set(err, ERR_CONFLICT, "Existing key does not match lock use");
	if (rc < 0)
		return rc;
	s->there = true;
	s->modify = p.modify;
	s->ours = str_eq(p.session, str_of(l->session));
	s->free = p.session.n == 0;
	return 0;
}

/* Of a semaphore: the list of holders. */
static int
slots_state(struct lock *l, const json_t *list, struct lock_state *s, struct err *err)
{
	struct holders *h = &s->holders;
	int rc = holders_read(&l->step, list, l->key, l->limit, h, err);

	if (rc < 0)
		return rc;
	if (h->flags != SEMAPHORE_FLAGS)
		return err_set(err, ERR_CONFLICT, "Existing key does not match semaphore use");
	if (h->limit != (int64_t)l->limit)
		return err_set(err, ERR_CONFLICT,
		    "semaphore limit conflict (lock: %lld, local: %u)", (long long)h->limit,
		    l->limit);
	s->modify = h->modify;
	s->there = h->modify != 0;
	s->ours = holders_have(h, str_of(l->session));
	s->free = h->count < l->limit;
	return 0;
}

/* False: *why says what is wrong. */
bool
lock_state_read(
    struct lock *l, const struct lock_answer *a, struct lock_state *out, struct str *why)
{
	struct err err = { 0 };
	json_t *list = NULL;
	int rc = 0;

	*out = (struct lock_state){ .there = false };
	if (a->status == 200)
		rc = json_read_wide(a->body, &list, &err);
	else if (a->status != 404)
		rc = err_set(
		    &err, ERR_IO, "failed to read lock: " STR_FMT, STR_ARG(lock_answer_why(l, a)));
	if (rc == 0)
		rc = lock_is_semaphore(l) ? slots_state(l, list, out, &err)
					  : key_state(l, list, out, &err);
	json_decref(list);
	*why = rc < 0 ? arena_dup(&l->step, str_of(err.text)) : STR_NONE;
	return rc == 0;
}

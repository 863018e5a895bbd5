/* agent/cmd/lock_give.c -- giving it back: release, cleaning up, the session's end. */
#include "agent/cmd/lock_priv.h"

void
lock_done(struct lock *l)
{
	lock_drop(l, LOCK_RENEW);
	l->phase = PHASE_DONE;
	lock_act(l, (struct lock_action){ .kind = LOCK_DONE, .ok = l->ok });
}

void
lock_session_destroy(struct lock *l)
{
	struct buf path;

	lock_drop(l, LOCK_MAIN);
	lock_drop(l, LOCK_RENEW);
	if (l->session[0] == '\0' || l->gone) {
		lock_done(l);
		return;
	}
	buf_init(&path, PATH_URL_MAX);
	buf_add(&path, STR("/v1/session/destroy/"));
	path_add(&path, str_of(l->session));
	l->phase = PHASE_DESTROY;
	lock_ask(l, LOCK_MAIN, "PUT", &path, STR_NONE, LOCK_ANSWER_TIME);
}

static void
clean_ask(struct lock *l)
{
	struct buf path;

	l->phase = PHASE_CLEAN_READ;
	lock_read_path(l, &path);
	lock_ask(l, LOCK_MAIN, "GET", &path, STR_NONE, LOCK_ANSWER_TIME);
}

static void
release_failed(struct lock *l, struct str why)
{
	l->ok = false;
	lock_say(l, true, "Lock release failed: " STR_FMT, STR_ARG(why));
	lock_session_destroy(l);
}

void
lock_release_ask(struct lock *l)
{
	struct buf path;

	if (lock_is_semaphore(l)) {
		l->phase = PHASE_RELEASE_READ;
		lock_read_path(l, &path);
		lock_ask(l, LOCK_MAIN, "GET", &path, STR_NONE, LOCK_ANSWER_TIME);
		return;
	}
	l->phase = PHASE_RELEASE;
	lock_kv_path(&path, l->key);
	path_add_number(&path, "flags", LOCK_FLAGS);
	path_add_query(&path, "release", str_of(l->session));
	lock_ask(l, LOCK_MAIN, "PUT", &path, STR_NONE, LOCK_ANSWER_TIME);
}

static void
release_key_ask(struct lock *l)
{
	struct buf path;

	l->phase = PHASE_RELEASE_KEY;
	lock_contender_path(l, &path);
	lock_ask(l, LOCK_MAIN, "DELETE", &path, STR_NONE, LOCK_ANSWER_TIME);
}

/* A semaphore: out of the list, if we still are in it. */
void
lock_release_was_read(struct lock *l, const struct lock_answer *a)
{
	struct lock_state s;
	struct buf path, body;
	struct str why;

	if (!lock_state_read(l, a, &s, &why)) {
		release_failed(l, why);
		return;
	}
	if (!s.ours) {
		release_key_ask(l);
		return;
	}
	l->phase = PHASE_RELEASE;
	buf_init(&body, LOCK_STEP_BYTES_MAX / 4);
	holders_write(&s.holders, STR_NONE, str_of(l->session), &body);
	lock_kv_path(&path, l->key);
	path_add_number(&path, "flags", SEMAPHORE_FLAGS);
	path_add_number(&path, "cas", s.modify);
	lock_ask(l, LOCK_MAIN, "PUT", &path, buf_str(&body), LOCK_ANSWER_TIME);
	buf_done(&body);
}

void
lock_was_released(struct lock *l, const struct lock_answer *a)
{
	if (a->status != 200)
		release_failed(l, lock_answer_why(l, a));
	else if (!lock_is_semaphore(l) || l->phase == PHASE_RELEASE_KEY)
		clean_ask(l);
	else if (lock_answer_true(a))
		release_key_ask(l);
	else
		lock_release_ask(l); /* somebody else has written the list */
}

static void
clean_over(struct lock *l, bool cleaned)
{
	lock_say(l, false, cleaned ? "Cleanup succeeded" : "Cleanup aborted, lock in use");
	lock_session_destroy(l);
}

static void
clean_failed(struct lock *l, struct str why)
{
	l->ok = false;
	lock_say(l, true, "Lock cleanup failed: " STR_FMT, STR_ARG(why));
	lock_session_destroy(l);
}

void
lock_clean_was_read(struct lock *l, const struct lock_answer *a)
{
	struct lock_state s;
	struct buf path;
	struct str why;

	if (!lock_state_read(l, a, &s, &why)) {
		clean_failed(l, why);
	} else if (!s.there) {
		clean_over(l, true);
	} else if (lock_is_semaphore(l) ? s.holders.count > 0 : !s.free) {
		clean_over(l, false);
	} else {
		l->phase = PHASE_CLEAN;
		lock_kv_path(&path, l->key);
		path_add_number(&path, "cas", s.modify);
		lock_ask(l, LOCK_MAIN, "DELETE", &path, STR_NONE, LOCK_ANSWER_TIME);
	}
}

void
lock_was_cleaned(struct lock *l, const struct lock_answer *a)
{
	if (a->status == 200)
		clean_over(l, lock_answer_true(a));
	else
		clean_failed(l, lock_answer_why(l, a));
}

/* agent/cmd/lock_take.c -- getting a lock or a slot: session, contender, reading, taking. */
#include "agent/cmd/lock_priv.h"

void
lock_session_ask(struct lock *l, nsec now)
{
	struct buf path, body;
	struct jw w;

	buf_init(&path, PATH_URL_MAX);
	buf_init(&body, PATH_URL_MAX);
	buf_add(&path, STR("/v1/session/create"));
	jw_init(&w, &body, false);
	jw_object(&w);
	jw_kstr(&w, "Name", l->name);
	jw_kstr(&w, "TTL", STR("15s"));
	if (lock_is_semaphore(l))
		jw_kstr(&w, "Behavior", STR("delete"));
	jw_object_end(&w);
	l->phase = PHASE_SESSION;
	l->renew_asked = now;
	lock_ask(l, LOCK_MAIN, "PUT", &path, buf_str(&body), LOCK_ANSWER_TIME);
	buf_done(&body);
}

void
lock_acquire_failed(struct lock *l, struct str why)
{
	l->ok = false;
	lock_say(l, true, "Lock acquisition failed: " STR_FMT, STR_ARG(why));
	lock_session_destroy(l);
}

void
lock_acquire_over(struct lock *l)
{
	l->ok = false;
	lock_say(l, true, "Shutdown triggered or timeout during lock acquisition");
	lock_session_destroy(l);
}

void
lock_read_ask(struct lock *l, nsec now, uint64_t index)
{
	nsec wait = LOCK_WAIT;
	struct buf path;

	if (l->timeout > 0 && l->reads > 0) {
		nsec left = l->begun + l->timeout - now;

		if (left <= 0) {
			lock_acquire_over(l);
			return;
		}
		wait = nsec_min(wait, left);
	}
	l->reads++;
	l->phase = PHASE_READ;
	lock_read_path(l, &path);
	lock_add_wait(&path, index, wait);
	lock_ask(l, LOCK_MAIN, "GET", &path, STR_NONE, wait + LOCK_ANSWER_TIME);
}

static void
contend_ask(struct lock *l)
{
	struct buf path;

	l->phase = PHASE_CONTEND;
	lock_contender_path(l, &path);
	path_add_number(&path, "flags", SEMAPHORE_FLAGS);
	path_add_query(&path, "acquire", str_of(l->session));
	lock_ask(l, LOCK_MAIN, "PUT", &path, STR_NONE, LOCK_ANSWER_TIME);
}

void
lock_session_made(struct lock *l, nsec now, const struct lock_answer *a)
{
	json_t *made = NULL;
	struct str id = STR_NONE;

	if (a->status == 200 && json_read(a->body, &made, NULL) == 0)
		id = json_member_str(made, "ID");
	if (id.n == 0 || id.n > LOCK_SESSION_ID_MAX) {
		json_decref(made);
		lock_acquire_failed(l, arena_fmt(&l->step, "failed to create session: " STR_FMT,
					   STR_ARG(lock_answer_why(l, a))));
		return;
	}
	memcpy(l->session, id.p, id.n);
	json_decref(made);
	l->ttl = LOCK_TTL;
	l->renewed = l->renew_asked;
	l->renew_at = l->renewed + l->ttl / 2;
	if (l->stopping)
		lock_acquire_over(l);
	else if (lock_is_semaphore(l))
		contend_ask(l);
	else
		lock_read_ask(l, now, 0);
}

static void
take_ask(struct lock *l, const struct holders *h)
{
	struct buf path, body;

	l->phase = PHASE_TAKE;
	buf_init(&body, LOCK_STEP_BYTES_MAX / 4);
	lock_kv_path(&path, l->key);
	if (h == NULL) {
		path_add_number(&path, "flags", LOCK_FLAGS);
		path_add_query(&path, "acquire", str_of(l->session));
	} else {
		holders_write(h, str_of(l->session), STR_NONE, &body);
		path_add_number(&path, "flags", SEMAPHORE_FLAGS);
		path_add_number(&path, "cas", h->modify);
	}
	lock_ask(l, LOCK_MAIN, "PUT", &path, buf_str(&body), LOCK_ANSWER_TIME);
	buf_done(&body);
}

static void
acquired(struct lock *l)
{
	lock_say(l, false, "Starting handler");
	lock_act(l, (struct lock_action){ .kind = LOCK_RUN });
	l->retries = l->monitor_retries;
	lock_monitor_ask(l, 0);
}

void
lock_was_read(struct lock *l, nsec now, const struct lock_answer *a)
{
	struct lock_state s;
	struct str why;
	bool refused = l->refused;

	l->refused = false;
	if (!lock_state_read(l, a, &s, &why)) {
		lock_acquire_failed(l, why);
	} else if (s.ours) {
		acquired(l);
	} else if (!s.free) {
		lock_read_ask(l, now, a->index);
	} else if (refused && !lock_is_semaphore(l)) { /* a lock delay: only time helps */
		l->phase = PHASE_DELAY;
		l->until = now + LOCK_DELAY_RETRY;
		if (l->timeout > 0)
			l->until = nsec_min(l->until, l->begun + l->timeout);
	} else {
		take_ask(l, lock_is_semaphore(l) ? &s.holders : NULL);
	}
}

void
lock_was_taken(struct lock *l, nsec now, const struct lock_answer *a)
{
	if (lock_answer_true(a)) {
		acquired(l);
	} else if (a->status == 200) {
		l->refused = true;
		lock_read_ask(l, now, 0);
	} else {
		lock_acquire_failed(l, arena_fmt(&l->step, "failed to acquire lock: " STR_FMT,
					   STR_ARG(lock_answer_why(l, a))));
	}
}

void
lock_has_contended(struct lock *l, nsec now, const struct lock_answer *a)
{
	if (lock_answer_true(a))
		lock_read_ask(l, now, 0);
	else
		lock_acquire_failed(
		    l, arena_fmt(&l->step, "failed to make contender entry: " STR_FMT,
			   STR_ARG(a->status == 200 ? STR("it is held") : lock_answer_why(l, a))));
}

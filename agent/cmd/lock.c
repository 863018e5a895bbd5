/* agent/cmd/lock.c -- see lock.h.
 *
 *     SESSION -> (CONTEND ->) READ -> TAKE -> HELD -> KILL -> RELEASE -> CLEAN -> DESTROY -> DONE
 *                              ^  <- DELAY                        an error leads to DESTROY
 *
 * Parts: holding it, and keeping the session; what comes in. lock_take.c gets it, lock_give.c gives
 * it back. While the session lives it is renewed in a slot of its own. Who cannot renew it for a
 * whole TTL must believe that it has ended, and with it the lock.
 */
#include <signal.h>

#include "agent/cmd/lock_priv.h"
#include "agent/duration.h"
#include "base/mem.h"

#define MONITOR_WAIT (60 * NSEC_SEC)

/* --- holding it --- */

static void
renew_ask(struct lock *l, nsec now)
{
	struct buf path;

	buf_init(&path, PATH_URL_MAX);
	buf_add(&path, STR("/v1/session/renew/"));
	path_add(&path, str_of(l->session));
	l->renew_asked = now;
	lock_ask(l, LOCK_RENEW, "PUT", &path, STR_NONE, l->ttl / 2);
}

void
lock_monitor_ask(struct lock *l, uint64_t index)
{
	struct buf path;

	l->phase = PHASE_HELD;
	lock_read_path(l, &path);
	path_add_query(&path, "consistent", STR_NONE);
	lock_add_wait(&path, index, MONITOR_WAIT);
	lock_ask(l, LOCK_MAIN, "GET", &path, STR_NONE, MONITOR_WAIT + LOCK_ANSWER_TIME);
}

static void
child_kill(struct lock *l, nsec now)
{
	lock_drop(l, LOCK_MAIN);
	l->phase = PHASE_KILL;
	l->until = now + LOCK_KILL_GRACE;
	l->killed = false;
	lock_act(l, (struct lock_action){ .kind = LOCK_KILL, .signal = SIGTERM });
}

static void
child_kill_hard(struct lock *l)
{
	if (l->killed)
		return;
	l->killed = true;
	lock_say(l, false, "Child did not exit after its grace period: killing it");
	lock_act(l, (struct lock_action){ .kind = LOCK_KILL, .signal = SIGKILL });
}

static void
lost(struct lock *l, nsec now, struct str why)
{
	l->ok = false;
	lock_say(l, true, "Lock lost, killing child: " STR_FMT, STR_ARG(why));
	child_kill(l, now);
}

static void
was_seen(struct lock *l, nsec now, const struct lock_answer *a)
{
	struct lock_state s;
	struct str why;

	if ((a->status == 0 || a->status == 500) && l->retries > 0) {
		l->retries--;
		l->phase = PHASE_PAUSE;
		l->until = now + LOCK_MONITOR_RETRY;
		return;
	}
	if (!lock_state_read(l, a, &s, &why)) {
		lost(l, now, why);
	} else if (!s.ours) {
		lost(l, now, STR("the session does not hold it any more"));
	} else {
		l->retries = l->monitor_retries;
		l->index = a->index;
		lock_monitor_ask(l, a->index);
	}
}

static void
session_ended(struct lock *l, nsec now)
{
	static const struct str why = STR("the session has ended");

	l->gone = true;
	l->renew_at = NSEC_NEVER;
	if (l->phase < PHASE_HELD) {
		lock_acquire_failed(l, why);
	} else if (l->phase <= PHASE_PAUSE) {
		lost(l, now, why);
	}
}

static void
was_renewed(struct lock *l, nsec now, const struct lock_answer *a)
{
	json_t *list = NULL;
	struct str ttl;
	nsec n = 0;

	if (a->status == 404) {
		session_ended(l, now);
		return;
	}
	if (a->status != 200 || json_read(a->body, &list, NULL) < 0) {
		l->renew_at = now + NSEC_SEC;
		return;
	}
	ttl = json_member_str(json_array_get(list, 0), "TTL");
	if (duration_parse(ttl, &n, NULL) == 0 && n > 0) /* the servers may have raised it */
		l->ttl = n;
	json_decref(list);
	l->renewed = l->renew_asked;
	l->renew_at = l->renewed + l->ttl / 2;
}

/* --- what comes in --- */

static void
step_begin(struct lock *l)
{
	arena_reset(&l->step);
	l->action_count = l->action_at = 0;
}

static void
main_answer(struct lock *l, nsec now, const struct lock_answer *a)
{
	switch (l->phase) {
	case PHASE_SESSION:
		lock_session_made(l, now, a);
		break;
	case PHASE_CONTEND:
		lock_has_contended(l, now, a);
		break;
	case PHASE_READ:
		lock_was_read(l, now, a);
		break;
	case PHASE_TAKE:
		lock_was_taken(l, now, a);
		break;
	case PHASE_HELD:
		was_seen(l, now, a);
		break;
	case PHASE_RELEASE_READ:
		lock_release_was_read(l, a);
		break;
	case PHASE_RELEASE:
	case PHASE_RELEASE_KEY:
		lock_was_released(l, a);
		break;
	case PHASE_CLEAN_READ:
		lock_clean_was_read(l, a);
		break;
	case PHASE_CLEAN:
		lock_was_cleaned(l, a);
		break;
	case PHASE_DESTROY:
		lock_done(l);
		break;
	case PHASE_DELAY:
	case PHASE_PAUSE:
	case PHASE_KILL:
	case PHASE_DONE:
		break; /* nothing is asked there */
	}
}

void
lock_answer(struct lock *l, nsec now, enum lock_slot slot, const struct lock_answer *a)
{
	if (!l->asked[slot])
		return;
	step_begin(l);
	l->asked[slot] = false;
	if (slot == LOCK_RENEW)
		was_renewed(l, now, a);
	else
		main_answer(l, now, a);
}

void
lock_child_ended(struct lock *l, nsec now)
{
	(void)now;
	step_begin(l);
	if (l->phase != PHASE_HELD && l->phase != PHASE_PAUSE && l->phase != PHASE_KILL)
		return;
	lock_say(l, false,
	    l->phase == PHASE_KILL ? "Child terminated" : "Child terminated, releasing lock");
	lock_drop(l, LOCK_MAIN);
	if (l->gone)
		lock_done(l);
	else
		lock_release_ask(l);
}

void
lock_stop(struct lock *l, nsec now)
{
	step_begin(l);
	if (l->phase == PHASE_SESSION) {
		l->stopping = true; /* once we know which one, it can be destroyed */
	} else if (l->phase < PHASE_HELD) {
		lock_acquire_over(l);
	} else if (l->phase <= PHASE_PAUSE) {
		lock_say(l, false, "Shutdown triggered, killing child");
		child_kill(l, now);
	} else if (l->phase == PHASE_KILL) {
		child_kill_hard(l);
	}
}

static void
phase_tick(struct lock *l, nsec now)
{
	switch (l->phase) {
	case PHASE_DELAY:
		lock_read_ask(l, now, 0);
		break;
	case PHASE_PAUSE:
		lock_monitor_ask(l, 0);
		break;
	case PHASE_KILL:
		child_kill_hard(l);
		break;
	default:
		break;
	}
}

static nsec
phase_deadline(const struct lock *l)
{
	switch (l->phase) {
	case PHASE_DELAY:
	case PHASE_PAUSE:
		return l->until;
	case PHASE_KILL:
		return l->killed ? NSEC_NEVER : l->until;
	default:
		return NSEC_NEVER;
	}
}

static bool
session_kept(const struct lock *l)
{
	return l->session[0] != '\0' && l->renew_at != NSEC_NEVER && l->phase < PHASE_DESTROY;
}

void
lock_tick(struct lock *l, nsec now)
{
	step_begin(l);
	if (session_kept(l) && now >= l->renewed + l->ttl) {
		lock_drop(l, LOCK_RENEW);
		session_ended(l, now);
	} else if (session_kept(l) && !l->asked[LOCK_RENEW] && now >= l->renew_at) {
		renew_ask(l, now);
	}
	if (now >= phase_deadline(l))
		phase_tick(l, now);
}

nsec
lock_deadline(const struct lock *l)
{
	nsec due = phase_deadline(l);

	if (session_kept(l)) {
		due = nsec_min(due, l->renewed + l->ttl);
		if (!l->asked[LOCK_RENEW])
			due = nsec_min(due, l->renew_at);
	}
	return due;
}

bool
lock_action_next(struct lock *l, struct lock_action *out)
{
	if (l->action_at == l->action_count)
		return false;
	*out = l->actions[l->action_at++];
	return true;
}

static struct str
text_own(struct str text)
{
	return str_of(str_dup(text));
}

struct lock *
lock_new(const struct lock_config *c, nsec now)
{
	struct lock *l = mem_new(struct lock);
	struct str prefix = c->prefix;
	struct buf key;

	while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	buf_init(&key, PATH_URL_MAX);
	buf_add(&key, prefix);
	buf_add(&key, prefix.n > 0 ? STR("/.lock") : STR(".lock"));
	l->prefix = text_own(prefix);
	l->key = text_own(buf_str(&key));
	l->name = text_own(c->name);
	buf_done(&key);
	l->limit = c->limit;
	l->timeout = c->timeout;
	l->monitor_retries = c->monitor_retries;
	l->verbose = c->verbose;
	l->begun = now;
	l->ok = true;
	l->renew_at = NSEC_NEVER;
	arena_init(&l->step, LOCK_STEP_BYTES_MAX);
	if (lock_is_semaphore(l))
		lock_say(l, false, "Setting up semaphore (limit %u) at prefix: " STR_FMT, l->limit,
		    STR_ARG(l->prefix));
	else
		lock_say(l, false, "Setting up lock at path: " STR_FMT, STR_ARG(l->key));
	lock_say(l, false, "Attempting lock acquisition");
	lock_session_ask(l, now);
	return l;
}

void
lock_free(struct lock *l)
{
	if (l == NULL)
		return;
	arena_done(&l->step);
	free((void *)(uintptr_t)l->prefix.p);
	free((void *)(uintptr_t)l->key.p);
	free((void *)(uintptr_t)l->name.p);
	free(l);
}

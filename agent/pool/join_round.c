/* agent/pool/join_round.c -- rounds of tries, each try a name to resolve or an address to greet.
 *
 *     target --(a name: JOIN_RESOLVE)--> addresses --JOIN_TRY--> answered, or not
 *
 * In order: what goes out; known addresses; a round and its tries; what a round's end means. A
 * round is one go at some targets: all its tries are made, and then it is judged. Tries run in
 * three lanes, so that a thousand hosts that are gone do not keep a person waiting. In one round an
 * address is tried once.
 *
 * Where Consul's agent reaches itself and calls that joined, we skip it: a list that names only
 * ourselves is no failure, and with others in it we go on until one of them answers.
 */
#include "agent/pool/join_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/duration.h"
#include "base/mem.h"

#define JOIN_RETRY_FIRST NSEC_SEC /* hosts that start together: 1, 2, 4 … s, then the interval */
#define JOIN_ANSWER_MAX (60 * NSEC_SEC) /* a shell that does not answer in time has lost it */
#define JOIN_ROUND_ADDRS_MAX (JOIN_TARGETS_MAX * JOIN_ADDRS_MAX)

/* d, give or take a sixteenth: agents that began together do not stay in step. */
nsec
join_spread(struct join *j, nsec d)
{
	nsec eighth = d / 8;

	if (eighth <= 0)
		return d;
	return d - eighth / 2 + (nsec)(rng_u64(&j->rng) % (uint64_t)eighth);
}

/* ---- what goes out ---- */

struct join_action *
join_put(struct join *j, enum join_action_kind kind, uint64_t id, struct str bytes)
{
	struct out *o = mem_new(struct out);

	o->bytes = str_dup(bytes);
	o->action = (struct join_action){ .kind = kind, .id = id, .level = LOG_LEVEL_INFO };
	if (kind == JOIN_RESOLVE)
		o->action.host = str_mem(o->bytes, bytes.n);
	else
		o->action.text = str_mem(o->bytes, bytes.n);
	TAILQ_INSERT_TAIL(&j->out, o, link);
	return &o->action;
}

void __attribute__((format(printf, 3, 4)))
join_log(struct join *j, enum log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	join_put(j, JOIN_LOG, 0, str_of(text))->level = level;
}

/* ---- known addresses ---- */

struct known *
join_known_find(const struct join *j, const struct addr *a)
{
	for (size_t i = 0; i < j->known_count; i++)
		if (join_addr_eq(&j->known[i].addr, a))
			return &j->known[i];
	return NULL;
}

void
join_known_add(struct join *j, const struct addr *a, bool live)
{
	struct known *k = join_known_find(j, a);

	if (a->family == ADDR_NONE || join_addr_eq(a, &j->self))
		return;
	if (k == NULL && j->known_count < JOIN_KNOWN_MAX) {
		j->known = mem_grow(j->known, j->known_count, &j->known_cap, sizeof *k);
		k = &j->known[j->known_count++];
	} else if (k == NULL) { /* full: the oldest goes */
		k = &j->known[j->known_next];
		j->known_next = (j->known_next + 1) % JOIN_KNOWN_MAX;
	}
	*k = (struct known){ *a, live };
}

static bool
known_live(const struct join *j, const struct addr *a)
{
	const struct known *k = join_known_find(j, a);

	return k != NULL && k->live;
}

/* ---- a round and its tries ---- */

struct round *
join_round_new(struct join *j, enum round_kind kind)
{
	struct round *r = mem_new(struct round);

	r->kind = kind;
	r->id = kind == ROUND_REQUEST ? ++j->last_id : 0;
	r->open = 1;
	buf_init(&r->why, JOIN_WHY_MAX);
	return r;
}

void
join_round_free(struct round *r)
{
	buf_done(&r->why);
	free(r->seen);
	free(r);
}

static struct lane *
round_lane(struct join *j, const struct round *r)
{
	switch (r->kind) {
	case ROUND_ONCE:
	case ROUND_RETRY:
		return &j->lanes[LANE_CONFIG];
	case ROUND_REQUEST:
		return &j->lanes[LANE_REQUEST];
	default:
		return &j->lanes[LANE_KNOWN];
	}
}

void
join_round_reason(struct round *r, struct str line)
{
	r->failures++;
	if (line.n > JOIN_REASON_MAX)
		line.n = JOIN_REASON_MAX;
	if (r->why.n + line.n + 1 > JOIN_WHY_MAX)
		return; /* counted all the same */
	buf_add(&r->why, line);
	buf_addc(&r->why, '\n');
}

static struct attempt *
attempt_new(struct join *j, struct round *r)
{
	struct attempt *t = mem_new(struct attempt);

	t->round = r;
	r->open++;
	TAILQ_INSERT_TAIL(&round_lane(j, r)->waiting, t, link);
	return t;
}

void
join_attempt_free(struct attempt *t)
{
	free(t->host);
	free(t);
}

/* One more address of the round, unless it is ourselves or was there already. */
void
join_round_add(struct join *j, struct round *r, const struct addr *a)
{
	if (join_addr_eq(a, &j->self)) {
		r->self = true;
		return;
	}
	if (r->kind == ROUND_SLOW && known_live(j, a))
		return;
	for (size_t i = 0; i < r->seen_count; i++)
		if (join_addr_eq(&r->seen[i], a))
			return;
	if (r->seen_count == JOIN_ROUND_ADDRS_MAX)
		return;
	r->seen = mem_grow(r->seen, r->seen_count, &r->seen_cap, sizeof *r->seen);
	r->seen[r->seen_count++] = *a;
	attempt_new(j, r)->addr = *a;
}

void
join_round_add_target(struct join *j, struct round *r, const struct join_target *t)
{
	if (t->addr.family != ADDR_NONE) {
		join_round_add(j, r, &t->addr);
	} else {
		struct attempt *a = attempt_new(j, r);

		a->host = str_dup(t->host);
		a->addr.port = t->port;
	}
}

/* Starts what waits, as far as the lanes are wide. */
void
join_run(struct join *j, nsec now)
{
	for (size_t i = 0; i < LANE_COUNT; i++) {
		struct lane *l = &j->lanes[i];
		struct attempt *t;

		while (l->now < l->width && (t = TAILQ_FIRST(&l->waiting)) != NULL) {
			TAILQ_REMOVE(&l->waiting, t, link);
			TAILQ_INSERT_TAIL(&l->under_way, t, link);
			l->now++;
			t->id = ++j->last_id;
			t->until = now + JOIN_ANSWER_MAX;
			if (t->host != NULL)
				join_put(j, JOIN_RESOLVE, t->id, str_of(t->host));
			else
				join_put(j, JOIN_TRY, t->id, STR_NONE)->addr = t->addr;
		}
	}
}

/* ---- what a round's end means ---- */

/* Its reasons in one line. */
static const char *
round_why(const struct round *r, char *out, size_t room)
{
	struct buf b;

	buf_over(&b, out, room - 1);
	for (struct str rest = buf_str(&r->why); rest.n > 0;) {
		struct str line = str_cut(&rest, '\n');

		buf_add(&b, b.n > 0 ? STR("; ") : STR_NONE);
		buf_add(&b, line);
	}
	if (r->failures == 0)
		buf_add(&b, STR("No servers to join"));
	out[b.n] = '\0';
	return out;
}

/* As Go's multierror lists them, for clients that know Consul's answer. */
static void
round_why_list(const struct round *r, struct buf *out)
{
	buf_addf(out, "%u error%s occurred:\n", r->failures, r->failures == 1 ? "" : "s");
	for (struct str rest = buf_str(&r->why); rest.n > 0;) {
		struct str line = str_cut(&rest, '\n');

		buf_add(out, STR("\t* "));
		buf_add(out, line);
		buf_addc(out, '\n');
	}
	buf_addc(out, '\n');
}

static void
round_end_once(struct join *j, const struct round *r)
{
	char why[JOIN_WHY_MAX + 64];

	if (r->joined > 0)
		join_log(j, LOG_LEVEL_INFO, "join completed agents=%u", r->joined);
	else if (r->self)
		join_log(j, LOG_LEVEL_INFO, "join completed: -join reaches only this agent itself");
	else
		join_put(j, JOIN_FAILED, 0, str_of(round_why(r, why, sizeof why)));
}

/* Waits grow up to the interval; only rounds after a full interval count for -retry-max. */
static void
round_end_retry(struct join *j, nsec now, const struct round *r)
{
	char why[JOIN_WHY_MAX + 64], wait[DURATION_TEXT_MAX];
	bool counts = j->retry_attempts == 0 || j->retry_wait == j->retry_interval;

	if (r->joined > 0 || (r->self && r->failures == 0)) {
		j->retry_done = true;
		join_log(j, LOG_LEVEL_INFO, "retry-join completed agents=%u%s", r->joined,
		    r->joined > 0 ? "" : ": it names only this agent itself");
		return;
	}
	j->retry_attempts += counts;
	round_why(r, why, sizeof why);
	if (j->retry_max > 0 && j->retry_attempts > j->retry_max) {
		j->retry_done = true;
		if (r->self)
			join_log(j, LOG_LEVEL_WARN,
			    "retry-join reached only this agent itself, -retry-max is used up: %s",
			    why);
		else
			join_put(j, JOIN_FAILED, 0, STR("max join LAN retry exhausted, exiting"));
		return;
	}
	j->retry_wait = j->retry_wait == 0 ? JOIN_RETRY_FIRST : 2 * j->retry_wait;
	j->retry_wait = nsec_min(j->retry_wait, j->retry_interval);
	j->retry_at = now + join_spread(j, j->retry_wait);
	join_log(j, counts ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "retry-join failed, again in %s: %s",
	    duration_format(j->retry_wait, wait), why);
}

static void
round_end_known(struct join *j, const struct round *r)
{
	if (r->joined > 0)
		join_log(j, LOG_LEVEL_INFO, "rejoined agents known from before agents=%u of=%zu",
		    r->joined, r->seen_count);
	else if (r->failures > 0 && j->alone)
		join_log(j, LOG_LEVEL_WARN,
		    "none of %zu agents known from before answers, trying on slowly",
		    r->seen_count);
}

static void
round_end_slow(struct join *j, const struct round *r)
{
	char why[JOIN_WHY_MAX + 64];

	j->slow_running = false;
	if (r->joined > 0)
		join_log(j, LOG_LEVEL_INFO, "found agents again agents=%u", r->joined);
	else if (r->failures > 0)
		join_log(j, LOG_LEVEL_DEBUG, "nobody found: %s", round_why(r, why, sizeof why));
}

/* Oneself counts here: `muster join` with one list on every host succeeds on each, as Consul's. */
static void
round_end_request(struct join *j, const struct round *r)
{
	unsigned joined = r->joined + (r->self ? 1 : 0);
	struct buf text;

	buf_init(&text, 2 * JOIN_WHY_MAX + 64);
	if (joined == 0)
		round_why_list(r, &text);
	join_put(j, JOIN_ANSWER, r->id, buf_str(&text))->joined = joined;
	buf_done(&text);
	j->requests--;
}

/* One try less; after the last one the round is judged. */
void
join_round_less(struct join *j, nsec now, struct round *r)
{
	if (--r->open > 0)
		return;
	switch (r->kind) {
	case ROUND_ONCE:
		round_end_once(j, r);
		break;
	case ROUND_RETRY:
		round_end_retry(j, now, r);
		break;
	case ROUND_KNOWN:
		round_end_known(j, r);
		break;
	case ROUND_SLOW:
		round_end_slow(j, r);
		break;
	case ROUND_REQUEST:
		round_end_request(j, r);
		break;
	}
	join_round_free(r);
}

/* agent/pool/join.c -- when which round of tries begins, and what comes in for them.
 *
 * In order: starting rounds; making and freeing; what comes in; time; actions. What a round is and
 * means stands in join_round.c.
 */
#include "agent/pool/join_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define JOIN_RETRY_INTERVAL (30 * NSEC_SEC)
#define JOIN_SLOW_KNOWN 4 /* known addresses in one slow round */

static const size_t lane_width[LANE_COUNT] = { 4, 16, 16 }; /* tries under way at once */

/* ---- starting rounds ---- */

static void
join_start_targets(
    struct join *j, nsec now, enum round_kind kind, const struct target *targets, size_t count)
{
	struct round *r = join_round_new(j, kind);

	for (size_t i = 0; i < count; i++)
		join_round_add_target(j, r, &targets[i].at);
	join_round_less(j, now, r);
}

static void
join_start_known(struct join *j, nsec now)
{
	struct round *r = join_round_new(j, ROUND_KNOWN);

	for (size_t i = 0; i < j->known_count; i++)
		join_round_add(j, r, &j->known[i].addr);
	join_round_less(j, now, r);
}

/* Alone: everybody named, and the next few that are known. */
static void
join_slow_all(struct join *j, struct round *r)
{
	for (size_t i = 0; i < j->once_count; i++)
		join_round_add_target(j, r, &j->once[i].at);
	for (size_t i = 0; j->retry_done && i < j->retry_count; i++)
		join_round_add_target(j, r, &j->retry[i].at);
	for (size_t i = 0; i < JOIN_SLOW_KNOWN && i < j->known_count; i++) {
		j->known_cursor = (j->known_cursor + 1) % j->known_count;
		join_round_add(j, r, &j->known[j->known_cursor].addr);
	}
}

/* Not alone: the next one that is known, and no member now. */
static void
join_slow_lost(struct join *j, struct round *r)
{
	size_t named = j->once_count + (j->retry_done ? j->retry_count : 0);
	size_t all = named + j->known_count;

	for (size_t i = 0; i < all && r->open == 1; i++) {
		size_t at = j->lost_cursor++ % all;

		if (at < j->once_count)
			join_round_add_target(j, r, &j->once[at].at);
		else if (at < named)
			join_round_add_target(j, r, &j->retry[at - j->once_count].at);
		else
			join_round_add(j, r, &j->known[at - named].addr);
	}
}

static void
join_start_slow(struct join *j, nsec now)
{
	struct round *r;

	j->slow_at = now + join_spread(j, j->alone ? JOIN_SLOW : JOIN_SLOWER);
	if (j->slow_running)
		return;
	j->slow_running = true;
	r = join_round_new(j, ROUND_SLOW);
	if (j->alone)
		join_slow_all(j, r);
	else
		join_slow_lost(j, r);
	join_round_less(j, now, r);
}

/* Copies; what does not read is told and left out. */
static struct target *
join_targets(struct join *j, const struct str *texts, size_t count, size_t *out_count)
{
	struct target *targets = mem_zalloc((count + 1) * sizeof *targets);
	size_t n = 0;

	for (size_t i = 0; i < count && n < JOIN_TARGETS_MAX; i++) {
		char *text = str_dup(texts[i]);
		struct err err = { 0 };

		if (join_target_parse(str_mem(text, texts[i].n), j->port, &targets[n].at, &err) <
		    0) {
			join_log(j, LOG_LEVEL_ERROR, "not joined: %s", err.text);
			free(text);
			continue;
		}
		targets[n].text = text;
		if (targets[n].at.addr.family == ADDR_NONE ||
		    !join_addr_eq(&targets[n].at.addr, &j->self))
			j->awaits = true;
		n++;
	}
	if (count > n && n == JOIN_TARGETS_MAX)
		join_log(j, LOG_LEVEL_ERROR, "more than %d targets, the rest is not joined",
		    JOIN_TARGETS_MAX);
	*out_count = n;
	return targets;
}

struct join *
join_new(const struct join_config *c, uint64_t seed, nsec now)
{
	struct join *j = mem_new(struct join);

	TAILQ_INIT(&j->out);
	for (size_t i = 0; i < LANE_COUNT; i++) {
		TAILQ_INIT(&j->lanes[i].waiting);
		TAILQ_INIT(&j->lanes[i].under_way);
		j->lanes[i].width = lane_width[i];
	}
	rng_init(&j->rng, seed);
	j->port = c->port;
	j->self = c->self;
	j->retry_interval = c->retry_interval > 0 ? c->retry_interval : JOIN_RETRY_INTERVAL;
	j->retry_max = c->retry_max;
	j->retry_at = NSEC_NEVER;
	j->alone = true;
	j->once = join_targets(j, c->once, c->once_count, &j->once_count);
	j->retry = join_targets(j, c->retry, c->retry_count, &j->retry_count);
	for (size_t i = c->known_count < JOIN_KNOWN_MAX ? c->known_count : JOIN_KNOWN_MAX; i > 0;
	     i--)
		join_known_add(j, &c->known[i - 1], false);
	j->awaits = j->awaits || j->known_count > 0;
	j->slow_at = now + join_spread(j, JOIN_SLOW);
	if (c->once_count > 0)
		join_start_targets(j, now, ROUND_ONCE, j->once, j->once_count);
	if (j->retry_count > 0)
		join_start_targets(j, now, ROUND_RETRY, j->retry, j->retry_count);
	else
		j->retry_done = true;
	if (j->known_count > 0)
		join_start_known(j, now);
	join_run(j, now);
	return j;
}

static void
join_targets_free(struct target *targets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(targets[i].text);
	free(targets);
}

static void
join_attempts_free(struct attempt_list *list)
{
	struct attempt *t;

	while ((t = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, t, link);
		if (--t->round->open == 0)
			join_round_free(t->round);
		join_attempt_free(t);
	}
}

static void
out_free(struct out *o)
{
	if (o == NULL)
		return;
	free(o->bytes);
	free(o);
}

void
join_free(struct join *j)
{
	struct out *o;

	if (j == NULL)
		return;
	for (size_t i = 0; i < LANE_COUNT; i++) {
		join_attempts_free(&j->lanes[i].waiting);
		join_attempts_free(&j->lanes[i].under_way);
	}
	while ((o = TAILQ_FIRST(&j->out)) != NULL) {
		TAILQ_REMOVE(&j->out, o, link);
		out_free(o);
	}
	out_free(j->given);
	join_targets_free(j->once, j->once_count);
	join_targets_free(j->retry, j->retry_count);
	free(j->known);
	free(j);
}

bool
join_awaits(const struct join *j)
{
	return j->awaits;
}

/* ---- what comes in ---- */

static struct attempt *
join_under_way(struct join *j, uint64_t id, struct lane **lane)
{
	for (size_t i = 0; i < LANE_COUNT; i++) {
		struct attempt *t;

		*lane = &j->lanes[i];
		TAILQ_FOREACH (t, &j->lanes[i].under_way, link)
			if (t->id == id)
				return t;
	}
	return NULL;
}

static void
attempt_end(struct join *j, nsec now, struct lane *lane, struct attempt *t)
{
	TAILQ_REMOVE(&lane->under_way, t, link);
	lane->now--;
	join_round_less(j, now, t->round);
	join_attempt_free(t);
}

/* Reasons may begin with the address: it is there already. */
static struct str
attempt_reason(struct str why, struct str what)
{
	if (str_starts(why, what) && str_starts(str_skip(why, what.n), STR(": ")))
		return str_skip(why, what.n + 2);
	return why;
}

static void
attempt_failed(struct join *j, nsec now, struct lane *lane, struct attempt *t, struct str why)
{
	char line[JOIN_REASON_MAX + 256], addr[ADDR_TEXT_MAX];
	const char *what = t->host != NULL ? t->host : addr_format(&t->addr, addr);

	why = attempt_reason(why, str_of(what));
	snprintf(line, sizeof line, "Failed to %s %s: " STR_FMT,
	    t->host != NULL ? "resolve" : "join", what, STR_ARG(why));
	for (char *p = line; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
	join_round_reason(t->round, str_of(line));
	attempt_end(j, now, lane, t);
}

void
join_resolved(
    struct join *j, nsec now, uint64_t id, const struct addr *addrs, size_t count, const char *why)
{
	struct lane *lane;
	struct attempt *t = join_under_way(j, id, &lane);

	if (t == NULL || t->host == NULL)
		return;
	for (size_t i = 0; i < count && i < JOIN_ADDRS_MAX; i++) {
		struct addr a = addrs[i];

		a.port = t->addr.port;
		join_round_add(j, t->round, &a);
	}
	if (count == 0)
		attempt_failed(j, now, lane, t, str_of(why == NULL ? "no such host" : why));
	else
		attempt_end(j, now, lane, t);
	join_run(j, now);
}

void
join_tried(struct join *j, nsec now, uint64_t id, bool ok, struct str why)
{
	struct lane *lane;
	struct attempt *t = join_under_way(j, id, &lane);

	if (t == NULL || t->host != NULL)
		return;
	if (ok) {
		t->round->joined++;
		attempt_end(j, now, lane, t);
	} else {
		attempt_failed(j, now, lane, t, why.n > 0 ? why : STR("no answer"));
	}
	join_run(j, now);
}

uint64_t
join_request(struct join *j, nsec now, struct str text)
{
	struct join_target target;
	struct round *r;
	struct err err = { 0 };
	uint64_t id;

	if (j->requests == JOIN_REQUESTS_MAX ||
	    join_target_parse(text, j->port, &target, &err) < 0) {
		id = ++j->last_id;
		join_put(j, JOIN_ANSWER, id,
		    err.code < 0 ? str_of(err.text)
				 : STR("too many joins under way, try again later"));
		return id;
	}
	j->requests++;
	r = join_round_new(j, ROUND_REQUEST);
	id = r->id;
	join_round_add_target(j, r, &target);
	join_round_less(j, now, r);
	join_run(j, now);
	return id;
}

void
join_others(struct join *j, nsec now, size_t alive)
{
	bool alone = alive == 0;

	if (alone == j->alone)
		return;
	j->alone = alone;
	for (size_t i = 0; alone && i < j->known_count; i++)
		j->known[i].live = false;
	j->slow_at = now + join_spread(j, alone ? JOIN_SLOW : JOIN_SLOWER);
}

/* Who is a member now need not be tried for being one before. */
static void
join_skip_known(struct join *j, nsec now, const struct addr *a)
{
	struct attempt *t, *next;

	for (t = TAILQ_FIRST(&j->lanes[LANE_KNOWN].waiting); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->host != NULL || !join_addr_eq(&t->addr, a))
			continue;
		TAILQ_REMOVE(&j->lanes[LANE_KNOWN].waiting, t, link);
		join_round_less(j, now, t->round);
		join_attempt_free(t);
	}
}

void
join_known(struct join *j, nsec now, const struct addr *a)
{
	join_known_add(j, a, true);
	join_skip_known(j, now, a);
}

void
join_lost(struct join *j, nsec now, const struct addr *a)
{
	struct known *k = join_known_find(j, a);

	(void)now;
	if (k != NULL)
		k->live = false;
}

/* ---- time ---- */

void
join_tick(struct join *j, nsec now)
{
	for (size_t i = 0; i < LANE_COUNT; i++) {
		struct lane *l = &j->lanes[i];
		struct attempt *t;

		while ((t = TAILQ_FIRST(&l->under_way)) != NULL && t->until <= now)
			attempt_failed(j, now, l, t, STR("no answer"));
	}
	if (j->retry_at <= now) {
		j->retry_at = NSEC_NEVER;
		join_start_targets(j, now, ROUND_RETRY, j->retry, j->retry_count);
	}
	if (j->slow_at <= now)
		join_start_slow(j, now);
	join_run(j, now);
}

nsec
join_deadline(const struct join *j)
{
	nsec at = nsec_min(j->retry_at, j->slow_at);

	for (size_t i = 0; i < LANE_COUNT; i++) /* under way in the order of their ends */
		if (!TAILQ_EMPTY(&j->lanes[i].under_way))
			at = nsec_min(at, TAILQ_FIRST(&j->lanes[i].under_way)->until);
	return at;
}

bool
join_action_next(struct join *j, struct join_action *out)
{
	struct out *o = TAILQ_FIRST(&j->out);

	out_free(j->given);
	j->given = o;
	if (o == NULL)
		return false;
	TAILQ_REMOVE(&j->out, o, link);
	*out = o->action;
	return true;
}

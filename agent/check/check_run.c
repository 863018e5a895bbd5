/* agent/check/check_run.c -- one entry per active check: waiting, queued in its lane, or running.
 *
 * In order: the entries and their lists, spreading, lanes and starts, results, time.
 *
 *     WAITING --its moment--> QUEUED --room in the lane--> RUNNING --result--> WAITING
 *
 * An entry is in `by_due` while time alone can move it: WAITING for its moment, RUNNING until
 * its time is up. A run has a number of its own, so a result that comes after its check was
 * changed is told apart. `todo` holds entries with an action that was not handed out yet.
 */
#include "agent/check/check_run.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "base/mem.h"

enum entry_state { ENTRY_WAITING, ENTRY_QUEUED, ENTRY_RUNNING };

struct entry {
	RB_ENTRY(entry) by_id, by_due;
	TAILQ_ENTRY(entry) queued, todo;
	enum entry_state state;
	bool has_todo;
	enum check_run_kind todo_kind; /* START or EXPIRE */
	nsec due;                      /* NSEC_NEVER: not in by_due */
	nsec moment;                   /* the run to come, or under way, was meant for then */
	uint64_t run;                  /* under way; 0: none */
	struct check_plan plan;
	int64_t successes, failures; /* in a row */
	size_t id_len;
	char id[];
};

RB_HEAD(entry_ids, entry);
RB_HEAD(entry_dues, entry);
TAILQ_HEAD(entry_list, entry);

struct lane {
	unsigned running, max;
	struct entry_list queue;
};

struct check_run {
	struct entry_ids ids;
	struct entry_dues dues;
	struct entry_list todo;
	struct lane lanes[CHECK_LANES];
	uint64_t *stops; /* numbers of runs to be stopped */
	size_t stop_count, stop_room;
	uint64_t last_run;
	nsec spread; /* the next first run's turn, when they come in a crowd */
	struct check_run_stats stats;
};

/* ---- entries ---- */

static struct str
entry_id(const struct entry *e)
{
	return str_mem(e->id, e->id_len);
}

static int
entry_id_cmp(const struct entry *a, const struct entry *b)
{
	return str_cmp(entry_id(a), entry_id(b));
}

static int
entry_due_cmp(const struct entry *a, const struct entry *b)
{
	if (a->due != b->due)
		return a->due < b->due ? -1 : 1;
	return a < b ? -1 : a > b;
}

RB_GENERATE_INTERNAL(entry_ids, entry, by_id, entry_id_cmp, static __attribute__((unused)))
RB_GENERATE_INTERNAL(entry_dues, entry, by_due, entry_due_cmp, static __attribute__((unused)))

/* Not by RB_FIND: that wants a whole entry with the id behind it. */
static struct entry *
entry_find(const struct check_run *r, struct str id)
{
	struct entry *e = RB_ROOT(&r->ids);

	while (e != NULL) {
		int order = str_cmp(id, entry_id(e));

		if (order == 0)
			break;
		e = order < 0 ? RB_LEFT(e, by_id) : RB_RIGHT(e, by_id);
	}
	return e;
}

static void
entry_due_set(struct check_run *r, struct entry *e, nsec due)
{
	if (e->due != NSEC_NEVER)
		RB_REMOVE(entry_dues, &r->dues, e);
	e->due = due;
	if (due != NSEC_NEVER)
		RB_INSERT(entry_dues, &r->dues, e);
}

static void
entry_todo_clear(struct check_run *r, struct entry *e)
{
	if (e->has_todo)
		TAILQ_REMOVE(&r->todo, e, todo);
	e->has_todo = false;
}

static void
entry_todo_set(struct check_run *r, struct entry *e, enum check_run_kind kind)
{
	entry_todo_clear(r, e);
	e->has_todo = true;
	e->todo_kind = kind;
	TAILQ_INSERT_TAIL(&r->todo, e, todo);
}

struct check_run *
check_run_new(const unsigned lane_max[CHECK_LANES])
{
	struct check_run *r = mem_new(struct check_run);

	RB_INIT(&r->ids);
	RB_INIT(&r->dues);
	TAILQ_INIT(&r->todo);
	for (size_t i = 0; i < CHECK_LANES; i++) {
		r->lanes[i].max = lane_max[i] > 0 ? lane_max[i] : 1;
		TAILQ_INIT(&r->lanes[i].queue);
	}
	return r;
}

void
check_run_free(struct check_run *r)
{
	struct entry *e;

	if (r == NULL)
		return;
	while ((e = RB_ROOT(&r->ids)) != NULL) {
		RB_REMOVE(entry_ids, &r->ids, e);
		free(e);
	}
	free(r->stops);
	free(r);
}

bool
check_run_knows(const struct check_run *r, struct str id)
{
	return entry_find(r, id) != NULL;
}

/* ---- spreading ---- */

/* When a first run may be: at once, as long as no more than a burst of them come together. */
static nsec
run_first_moment(struct check_run *r, nsec now)
{
	nsec turn = r->spread > now ? r->spread : now;
	nsec early = turn - CHECK_FIRST_BURST * CHECK_FIRST_STEP;

	r->spread = turn + CHECK_FIRST_STEP;
	return (early > now ? early : now) + CHECK_FIRST_WAIT;
}

/* The next moment of its phase that is still to come. */
static nsec
entry_next_moment(const struct entry *e, nsec now)
{
	nsec interval = e->plan.interval, past = now - e->moment;
	nsec steps = past < 0 ? 0 : past / interval;

	if (interval > (NSEC_NEVER - now) / 2)
		return NSEC_NEVER; /* not in anybody's lifetime */
	return e->moment + (steps + 1) * interval;
}

/* ---- lanes and starts ---- */

static nsec
nsec_after(nsec now, nsec span)
{
	return span > NSEC_NEVER - now ? NSEC_NEVER : now + span;
}

static void
entry_start(struct check_run *r, struct entry *e, nsec now)
{
	r->lanes[e->plan.lane].running++;
	r->stats.runs++;
	r->stats.late += now - e->moment >= NSEC_SEC;
	e->state = ENTRY_RUNNING;
	e->run = ++r->last_run;
	entry_due_set(r, e, nsec_after(now, e->plan.timeout));
	entry_todo_set(r, e, CHECK_RUN_START);
}

static void
lane_pull(struct check_run *r, struct lane *lane, nsec now)
{
	struct entry *e;

	while (lane->running < lane->max && (e = TAILQ_FIRST(&lane->queue)) != NULL) {
		TAILQ_REMOVE(&lane->queue, e, queued);
		entry_start(r, e, now);
	}
}

static void
entry_enter(struct check_run *r, struct entry *e, nsec now)
{
	struct lane *lane = &r->lanes[e->plan.lane];

	entry_due_set(r, e, NSEC_NEVER);
	e->state = ENTRY_QUEUED;
	TAILQ_INSERT_TAIL(&lane->queue, e, queued);
	lane_pull(r, lane, now);
}

/* Out of its lane, whatever it does there. `stop`: who runs it is told to stop. */
static void
entry_leave(struct check_run *r, struct entry *e, nsec now, bool stop)
{
	struct lane *lane = &r->lanes[e->plan.lane];

	if (e->state == ENTRY_QUEUED)
		TAILQ_REMOVE(&lane->queue, e, queued);
	if (e->state == ENTRY_RUNNING) {
		/* A start that was not handed out needs no stop. */
		if (stop && !(e->has_todo && e->todo_kind == CHECK_RUN_START)) {
			r->stops =
			    mem_grow(r->stops, r->stop_count, &r->stop_room, sizeof *r->stops);
			r->stops[r->stop_count++] = e->run;
		}
		entry_todo_clear(r, e);
		e->run = 0;
		lane->running--;
	}
	e->state = ENTRY_WAITING;
	entry_due_set(r, e, NSEC_NEVER);
	lane_pull(r, lane, now);
}

void
check_run_put(struct check_run *r, nsec now, struct str id, const struct check_plan *plan)
{
	struct entry *e = entry_find(r, id);
	nsec moment = run_first_moment(r, now);

	if (e == NULL) {
		e = mem_zalloc(sizeof *e + id.n);
		e->id_len = id.n;
		memcpy(e->id, id.p, id.n);
		e->due = NSEC_NEVER;
		RB_INSERT(entry_ids, &r->ids, e);
		r->stats.checks++;
	} else {
		/* Changed again and again, it still has its run. */
		if (e->state != ENTRY_RUNNING && e->moment < moment)
			moment = e->moment;
		entry_leave(r, e, now, true);
	}
	e->plan = *plan;
	if (e->plan.interval < CHECK_INTERVAL_MIN)
		e->plan.interval = CHECK_INTERVAL_MIN;
	e->moment = moment;
	entry_due_set(r, e, moment);
}

void
check_run_remove(struct check_run *r, nsec now, struct str id)
{
	struct entry *e = entry_find(r, id);

	if (e == NULL)
		return;
	entry_leave(r, e, now, true);
	RB_REMOVE(entry_ids, &r->ids, e);
	r->stats.checks--;
	free(e);
}

/* ---- results ---- */

/* Thresholds as Consul counts: the very first result counts at once, and so do those like it
 * that follow; after that a turn of mind needs so many in a row. */
static bool
entry_result_counts(struct entry *e, enum check_status status)
{
	bool good = status != CHECK_CRITICAL;
	int64_t needed = good ? e->plan.success_before_passing : e->plan.failures_before_critical;
	int64_t *in_a_row = good ? &e->successes : &e->failures;

	*(good ? &e->failures : &e->successes) = 0;
	if (e->plan.fresh)
		*in_a_row = needed;
	else if (*in_a_row < needed)
		++*in_a_row;
	e->plan.fresh = false;
	return *in_a_row >= needed;
}

bool
check_run_input(
    struct check_run *r, nsec now, struct str id, uint64_t run, enum check_status status)
{
	struct entry *e = entry_find(r, id);

	if (e == NULL || e->run == 0 || e->run != run)
		return false;
	entry_leave(r, e, now, false);
	e->moment = entry_next_moment(e, now);
	entry_due_set(r, e, e->moment);
	return entry_result_counts(e, status);
}

/* ---- time ---- */

void
check_run_tick(struct check_run *r, nsec now)
{
	struct entry *e;

	while ((e = RB_MIN(entry_dues, &r->dues)) != NULL && e->due <= now) {
		if (e->state == ENTRY_WAITING) {
			entry_enter(r, e, now);
		} else {
			entry_due_set(r, e, NSEC_NEVER);
			entry_todo_set(r, e, CHECK_RUN_EXPIRE);
		}
	}
}

nsec
check_run_deadline(const struct check_run *r)
{
	const struct entry *e = RB_MIN(entry_dues, (struct entry_dues *)(uintptr_t)&r->dues);

	return e == NULL ? NSEC_NEVER : e->due;
}

bool
check_run_action_next(struct check_run *r, struct check_run_action *out)
{
	struct entry *e;

	if (r->stop_count > 0) { /* first: what stops makes room for what starts */
		*out = (struct check_run_action){ CHECK_RUN_STOP, r->stops[--r->stop_count],
			STR_NONE };
		return true;
	}
	e = TAILQ_FIRST(&r->todo);
	if (e == NULL)
		return false;
	entry_todo_clear(r, e);
	*out = (struct check_run_action){ e->todo_kind, e->run, entry_id(e) };
	return true;
}

struct check_run_stats
check_run_stats(const struct check_run *r)
{
	struct check_run_stats s = r->stats;
	const struct entry *e;

	for (size_t i = 0; i < CHECK_LANES; i++) {
		s.running += r->lanes[i].running;
		TAILQ_FOREACH (e, &r->lanes[i].queue, queued)
			s.queued++;
	}
	return s;
}

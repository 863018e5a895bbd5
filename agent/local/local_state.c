/* agent/local/local_state.c -- status and output of checks, and everything that time does to them.
 *
 * Each check has one place in a tree by its earliest deadline: its TTL, an output that waits to be
 * published, the end of its service's patience. What is published lags behind what is known only
 * in output (RULES 15): a change of status goes out at once, and so does the first output after
 * it; then outputs are paced, spread by a hash of the check's id so that they do not come together.
 */
#include "agent/local/local_private.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "base/mem.h"

#define OUTPUT_PASSING_MAX 256 /* bytes published */
#define OUTPUT_OTHER_MAX 1024
#define UPDATE_INTERVAL (5 * NSEC_MIN)

#define TTL_EXPIRED "TTL expired"

/* ---- as others see it ---- */

static struct check_info
state_info(const struct check_def *def, bool with_service, enum check_status status,
    struct str output, char interval[DURATION_TEXT_MAX], char timeout[DURATION_TEXT_MAX])
{
	struct check_info info = {
		.id = def->id,
		.name = def->name,
		.status = check_status_text(status),
		.notes = def->notes,
		.output = output,
		.service_id = def->service_id,
		.type = check_def_type_text(def),
	};

	/* Consul shows times only of checks that were registered by themselves. */
	if (!with_service && def->type != CHECK_STATE) {
		info.interval = str_of(duration_format(def->interval, interval));
		info.timeout = str_of(duration_format(def->timeout, timeout));
	}
	return info;
}

struct check_info
local_check_info(
    const struct local_check *c, char interval[DURATION_TEXT_MAX], char timeout[DURATION_TEXT_MAX])
{
	struct check_info info =
	    state_info(&c->def, c->with_service, c->status, c->output, interval, timeout);

	if (c->service != NULL) {
		info.service_name = c->service->info.name;
		info.service_tags = c->service->info.tags;
		info.service_tag_count = c->service->info.tag_count;
	}
	return info;
}

void
state_pack(struct buf *out, const struct check_def *def, bool with_service,
    enum check_status status, struct str output)
{
	size_t max = status == CHECK_PASSING ? OUTPUT_PASSING_MAX : OUTPUT_OTHER_MAX;
	char interval[DURATION_TEXT_MAX], timeout[DURATION_TEXT_MAX];
	struct check_info info = state_info(
	    def, with_service, status, check_output_head(output, max), interval, timeout);

	check_pack(out, &info);
}

/* ---- deadlines ---- */

int
local_due_cmp(const struct local_check *a, const struct local_check *b)
{
	if (a->due != b->due)
		return a->due < b->due ? -1 : 1;
	return local_check_cmp(a, b);
}

RB_GENERATE(local_due, local_check, by_due, local_due_cmp)

static nsec
state_reap_until(const struct local *l, const struct local_check *c)
{
	nsec patience = c->def.deregister_after;

	if (patience <= 0 || c->service == NULL || c->critical_since == NSEC_NEVER)
		return NSEC_NEVER;
	if (patience < l->config.deregister_min)
		patience = l->config.deregister_min;
	return patience > NSEC_NEVER - c->critical_since ? NSEC_NEVER
							 : c->critical_since + patience;
}

void
state_due_clear(struct local *l, struct local_check *c)
{
	if (c->due != NSEC_NEVER)
		RB_REMOVE(local_due, &l->due, c);
	c->due = NSEC_NEVER;
}

void
state_due_set(struct local *l, struct local_check *c)
{
	nsec due = nsec_min(nsec_min(c->ttl_until, c->publish_until), state_reap_until(l, c));

	if (due == c->due)
		return;
	state_due_clear(l, c);
	c->due = due;
	if (due != NSEC_NEVER)
		RB_INSERT(local_due, &l->due, c);
}

static void
state_ttl_restart(struct local_check *c, struct now now)
{
	c->ttl_until = NSEC_NEVER;
	if (c->def.type == CHECK_TTL && c->def.ttl < NSEC_NEVER - now.mono)
		c->ttl_until = now.mono + c->def.ttl;
}

static void
state_critical_note(struct local_check *c, struct now now)
{
	if (c->status != CHECK_CRITICAL)
		c->critical_since = NSEC_NEVER;
	else if (c->critical_since == NSEC_NEVER)
		c->critical_since = now.mono;
}

void
state_begin(struct local *l, struct local_check *c, struct now now)
{
	state_ttl_restart(c, now);
	state_critical_note(c, now);
	state_due_set(l, c);
}

nsec
local_deadline(const struct local *l)
{
	const struct local_check *c = RB_MIN(local_due, (struct local_due *)(uintptr_t)&l->due);
	nsec waiting = LIST_EMPTY(&l->waiting) ? NSEC_NEVER : l->waiting_until;

	waiting = nsec_min(waiting, remember_deadline(l));
	return c == NULL ? waiting : nsec_min(waiting, c->due);
}

/* ---- changes ---- */

static nsec
state_update_interval(const struct local *l)
{
	nsec interval = l->config.check_update_interval;

	return interval > 0 ? interval : UPDATE_INTERVAL;
}

/* Up to a quarter of the interval, the same for ever for one check of one agent. */
static nsec
state_spread(const struct local *l, const struct local_check *c)
{
	uint64_t seed = XXH3_64bits(l->config.self.b, sizeof l->config.self.b);
	uint64_t hash = XXH3_64bits_withSeed(c->def.id.p, c->def.id.n, seed);

	return (nsec)(hash % ((uint64_t)state_update_interval(l) / 4 + 1));
}

static void
state_publish(struct local *l, struct local_check *c, struct now now)
{
	struct err err = { 0 };
	struct buf body;
	int rc;

	buf_init(&body, RECORD_BODY_MAX);
	state_pack(&body, &c->def, c->with_service, c->status, c->output);
	rc = store_put(
	    l->config.store, now, &l->config.self, RECORD_CHECK, c->def.id, buf_str(&body), &err);
	if (rc < 0) {
		/* No room for the output: the status is what matters. */
		buf_clear(&body);
		state_pack(&body, &c->def, c->with_service, c->status, STR_NONE);
		rc = store_put(l->config.store, now, &l->config.self, RECORD_CHECK, c->def.id,
		    buf_str(&body), &err);
	}
	if (rc < 0)
		log_error("local", "cannot publish check=" STR_FMT " status=%s error=%s",
		    STR_ARG(c->def.id), check_status_text(c->status).p, err.text);
	buf_done(&body);
	c->published = now.mono;
	c->publish_until = NSEC_NEVER;
}

static void
state_output_publish(struct local *l, struct local_check *c, struct now now)
{
	nsec wait = state_update_interval(l) + state_spread(l, c);

	if (c->output_fresh || c->published <= now.mono - wait) {
		c->output_fresh = false;
		state_publish(l, c, now);
	} else if (c->publish_until == NSEC_NEVER) {
		c->publish_until = c->published + wait;
	}
}

static void
state_keep(struct local *l, const struct local_check *c)
{
	struct err err = { 0 };
	int rc;

	if (c->source == LOCAL_API)
		rc = keep_check(
		    l, &c->def, c->status, c->output, c->with_service, c->reported, &err);
	else if (c->def.type == CHECK_STATE)
		return;
	else if (c->reported)
		rc = remember_keep(l, &c->def, c->status, c->output, &err);
	else
		rc = keep_nothing(l, JOURNAL_STATE, c->def.id, &err);
	/* A report counts even when the disk is full: refusing it would make the service
	 * critical. */
	if (rc < 0 && !l->journal_failing)
		log_warn("local", "check states are not kept, a restart shows older ones error=%s",
		    err.text);
	l->journal_failing = rc < 0;
}

/* What is kept follows what is published: a text that differs at each run (a date, a duration)
 * is not written at each run. A TTL check's note is, since nobody will say it again. */
static bool
state_is_worth_keeping(const struct local_check *c, struct now now)
{
	return c->def.type == CHECK_TTL || c->published == now.mono;
}

/* `told`: also kept when it is equal. 1: changed. */
static int
state_change(struct local *l, struct local_check *c, struct now now, enum check_status status,
    struct str output, bool told)
{
	bool status_changed = status != c->status;
	bool output_changed = !str_eq(output, c->output);
	char *text;

	if (output_changed) {
		text = str_dup(output);
		free((char *)(uintptr_t)c->output.p);
		c->output = str_mem(text, output.n);
	}
	c->status = status;
	state_critical_note(c, now);
	told = told || status_changed;
	if (status_changed) {
		c->output_fresh = true;
		state_publish(l, c, now);
	} else if (output_changed) {
		state_output_publish(l, c, now);
	}
	state_due_set(l, c);
	if (told || (output_changed && state_is_worth_keeping(c, now)))
		state_keep(l, c);
	return status_changed || output_changed;
}

static int
state_report(struct local *l, struct local_check *c, struct now now, enum check_status status,
    struct str output)
{
	bool first = !c->reported;

	state_ttl_restart(c, now);
	c->reported = true;
	return state_change(l, c, now, status, output, first);
}

static int
state_unknown(struct str id, bool ttl_only, int code, struct err *err)
{
	if (ttl_only)
		return err_set(
		    err, code, "CheckID \"" STR_FMT "\" does not have associated TTL", STR_ARG(id));
	return err_set(err, code,
	    "Unknown check ID \"" STR_FMT
	    "\". Ensure that the check ID is passed, not the check name.",
	    STR_ARG(id));
}

int
local_check_set(struct local *l, struct now now, struct str id, enum check_status status,
    struct str output, bool ttl_only, struct err *err)
{
	struct local_check *c =
	    RB_FIND(local_checks, &l->checks, &(struct local_check){ .def.id = id });
	struct buf kept;
	int rc;

	if (c == NULL)
		return state_unknown(id, ttl_only, ERR_NOT_FOUND, err);
	if (ttl_only && c->def.type != CHECK_TTL)
		return state_unknown(id, ttl_only, ERR_REFUSED, err);
	buf_init(&kept, CHECK_OUTPUT_MAX + 64);
	check_output_keep(&kept, output, check_output_max(&c->def));
	rc = state_report(l, c, now, status, buf_str(&kept));
	buf_done(&kept);
	return rc;
}

int
local_check_report(struct local *l, struct now now, struct str id, enum check_status status,
    struct str output, struct err *err)
{
	struct local_check *c =
	    RB_FIND(local_checks, &l->checks, &(struct local_check){ .def.id = id });

	if (c == NULL)
		return state_unknown(id, false, ERR_NOT_FOUND, err);
	return state_report(l, c, now, status, check_output_head(output, LOCAL_OUTPUT_MAX));
}

/* ---- time ---- */

static void
state_expire(struct local *l, struct local_check *c, struct now now)
{
	struct buf text;

	buf_init(&text, CHECK_OUTPUT_MAX * 2);
	buf_addf(&text, TTL_EXPIRED);
	if (c->reported && c->output.n > 0) {
		buf_addf(&text, " (last output before timeout follows): ");
		buf_add(&text, c->output);
	}
	log_warn(
	    "local", "check missed its TTL, is now critical check=" STR_FMT, STR_ARG(c->def.id));
	c->reported = false;
	c->ttl_until = NSEC_NEVER;
	state_change(l, c, now, CHECK_CRITICAL, buf_str(&text), true);
	buf_done(&text);
}

static void
state_reap(struct local *l, struct local_check *c, struct now now)
{
	struct err err = { 0 };
	char *id = str_dup(c->service->info.id);

	log_info("local", "service removed, it was critical for too long service=%s check=" STR_FMT,
	    id, STR_ARG(c->def.id));
	if (local_service_remove(l, now, str_of(id), &err) < 0) {
		log_warn("local", "cannot remove service=%s error=%s", id, err.text);
		c->critical_since = now.mono; /* try again after as long a wait */
		state_due_set(l, c);
	}
	free(id);
}

void
local_tick(struct local *l, struct now now)
{
	struct local_check *c;

	restore_waiting_expire(l, now);
	remember_expire(l, now);
	while ((c = RB_MIN(local_due, &l->due)) != NULL && c->due <= now.mono) {
		if (c->ttl_until <= now.mono) {
			state_expire(l, c, now);
		} else if (c->publish_until <= now.mono) {
			state_publish(l, c, now);
			state_due_set(l, c);
			state_keep(l, c);
		} else {
			state_reap(l, c, now);
		}
	}
}

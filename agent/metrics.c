/* agent/metrics.c -- taking figures, intervals, and which names are shown (see metrics.h). */
#include "agent/metrics_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

/* ---- settings ---- */

static void
settings_free(struct metrics *m)
{
	for (size_t i = 0; i < m->rule_count; i++)
		free((void *)(uintptr_t)m->rules[i].prefix.p);
	free(m->rules);
	free(m->prefix);
	free(m->host);
}

int
metrics_configure(struct metrics *m, const struct metrics_config *c, struct err *err)
{
	if (c->rule_count > METRICS_RULES_MAX)
		return err_set(err, ERR_LIMIT, "telemetry.prefix_filter: more than %d rules",
		    METRICS_RULES_MAX);
	for (size_t i = 0; i < c->rule_count; i++)
		if (!str_starts(c->rules[i], STR("+")) && !str_starts(c->rules[i], STR("-")))
			return err_set(err, ERR_INPUT,
			    "telemetry.prefix_filter: \"" STR_FMT "\" begins with neither + nor -",
			    STR_ARG(c->rules[i]));
	settings_free(m);
	m->prefix = str_dup(c->prefix);
	m->host = str_dup(c->host);
	m->keep_others = c->keep_others;
	m->rules = mem_zalloc((c->rule_count + 1) * sizeof *m->rules);
	m->rule_count = c->rule_count;
	for (size_t i = 0; i < c->rule_count; i++) {
		struct str prefix = str_skip(c->rules[i], 1);

		m->rules[i].prefix = str_mem(str_dup(prefix), prefix.n);
		m->rules[i].keep = c->rules[i].p[0] == '+';
	}
	return 0;
}

int
metrics_new(const struct metrics_config *c, struct now now, struct metrics **out, struct err *err)
{
	struct metrics *m = mem_new(struct metrics);
	int rc = metrics_configure(m, c, err);

	if (rc < 0) {
		metrics_free(m);
		return rc;
	}
	m->timers = mem_zalloc(METRICS_TIMERS_MAX * sizeof *m->timers);
	m->begun = now.mono;
	m->begun_ms = m->last_begun_ms = now.wall_ms;
	*out = m;
	return 0;
}

void
metrics_free(struct metrics *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->timer_count; i++) {
		free(m->timers[i].labels[0].value);
		free(m->timers[i].labels[1].value);
	}
	free(m->timers);
	settings_free(m);
	free(m);
}

/* ---- names ---- */

size_t
metric_name(
    const struct metrics *m, const char *name, bool ours, bool gauge, char out[METRIC_NAME_MAX])
{
	const char *prefix = ours ? "muster" : m->prefix;
	int n = snprintf(out, METRIC_NAME_MAX, "%s%s%s%s%s", prefix, prefix[0] == '\0' ? "" : ".",
	    gauge ? m->host : "", gauge && m->host[0] != '\0' ? "." : "", name);

	return n < METRIC_NAME_MAX ? (size_t)n : METRIC_NAME_MAX - 1;
}

bool
metric_kept(const struct metrics *m, struct str name)
{
	size_t longest = 0;
	bool keep = m->keep_others;

	for (size_t i = 0; i < m->rule_count; i++) {
		const struct metric_rule *r = &m->rules[i];

		if (r->prefix.n < longest || !str_starts(name, r->prefix))
			continue;
		longest = r->prefix.n;
		keep = r->keep;
	}
	return keep;
}

/* ---- taking figures ---- */

static uint64_t
member_read(const struct metric_row *row, const void *stats)
{
	const char *p = (const char *)stats + row->offset;
	uint64_t u64;
	uint32_t u32;
	uint8_t u8;

	switch (row->size) {
	case sizeof u64:
		memcpy(&u64, p, sizeof u64);
		return u64;
	case sizeof u32:
		memcpy(&u32, p, sizeof u32);
		return u32;
	default:
		assert(row->size == sizeof u8);
		memcpy(&u8, p, sizeof u8);
		return u8;
	}
}

void
metrics_begin(struct metrics *m)
{
	m->taken = 0;
}

void
metrics_take(struct metrics *m, const struct metric_row *table, const void *stats)
{
	for (const struct metric_row *row = table; row->name != NULL; row++) {
		struct metric_value *v = &m->values[m->taken];

		assert(m->taken < METRICS_MAX);
		if (m->taken == m->value_count) {
			*v = (struct metric_value){ .row = row };
			m->value_count++;
		}
		assert(v->row == row); /* the same tables at every turn */
		v->now = member_read(row, stats);
		m->taken++;
	}
}

size_t
metrics_timer(struct metrics *m, const char *name, const char *help, const char *label1,
    struct str value1, const char *label2, struct str value2)
{
	struct metric_timer *t = &m->timers[m->timer_count];

	assert(m->timer_count < METRICS_TIMERS_MAX);
	t->name = name;
	t->help = help;
	t->labels[0] = (struct metric_label){ label1, str_dup(value1) };
	t->labels[1] = (struct metric_label){ label2, str_dup(value2) };
	return m->timer_count++;
}

static void
span_add(struct metric_span *s, double ms)
{
	s->least = s->count == 0 || ms < s->least ? ms : s->least;
	s->most = s->count == 0 || ms > s->most ? ms : s->most;
	s->count++;
	s->sum += ms;
	s->squares += ms * ms;
}

void
metrics_time(struct metrics *m, size_t timer, nsec took)
{
	struct metric_timer *t;

	assert(timer < m->timer_count);
	t = &m->timers[timer];
	span_add(&t->now, (double)took / (double)NSEC_MS);
	t->count++;
	t->sum += (double)took / (double)NSEC_MS;
}

void
metrics_roll(struct metrics *m, struct now now)
{
	for (size_t i = 0; i < m->value_count; i++) {
		struct metric_value *v = &m->values[i];

		/* a part that was built anew begins at zero again */
		v->last = v->now >= v->begun ? v->now - v->begun : v->now;
		v->begun = v->now;
	}
	for (size_t i = 0; i < m->timer_count; i++) {
		m->timers[i].last = m->timers[i].now;
		m->timers[i].now = (struct metric_span){ 0 };
	}
	m->last_begun_ms = m->begun_ms;
	m->last_took = now.mono - m->begun;
	m->begun_ms = now.wall_ms;
	m->begun = now.mono;
	m->rolled = true;
}

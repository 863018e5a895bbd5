/* agent/metrics_write.c -- figures as Consul's JSON, and as Prometheus' text.
 *
 * JSON: GET /v1/agent/metrics of Consul, which shows go-metrics' summary of an interval.
 * Text: Prometheus exposition format 0.0.4.
 */
#include "agent/metrics_priv.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

/* ---- JSON ---- */

static void
json_labels(struct jw *w, const struct metric_label *labels, size_t count)
{
	jw_key(w, STR("Labels"));
	jw_object(w);
	for (size_t i = 0; i < count; i++)
		if (labels[i].name != NULL)
			jw_kstr(w, labels[i].name, str_of(labels[i].value));
	jw_object_end(w);
}

static void
json_row_labels(struct jw *w, const struct metric_row *row)
{
	jw_key(w, STR("Labels"));
	jw_object(w);
	if (row->label != NULL)
		jw_kstr(w, row->label, str_of(row->value));
	jw_object_end(w);
}

static void
json_number(struct jw *w, const char *key, double v)
{
	jw_key(w, str_of(key));
	jw_f64(w, v);
}

/* What go-metrics makes of additions. */
static void
json_summary(struct jw *w, struct str name, const struct metric_span *s, nsec took)
{
	double n = (double)s->count, seconds = (double)(took > 0 ? took : 1) / (double)NSEC_SEC;
	double spread = s->count > 1 ? (s->squares - s->sum * s->sum / n) / (n - 1) : 0;

	jw_kstr(w, "Name", name);
	jw_ku64(w, "Count", s->count);
	json_number(w, "Rate", s->sum / seconds);
	json_number(w, "Sum", s->sum);
	json_number(w, "Min", s->least);
	json_number(w, "Max", s->most);
	json_number(w, "Mean", s->count > 0 ? s->sum / n : 0);
	json_number(w, "Stddev", spread > 0 ? sqrt(spread) : 0);
}

static void
json_gauges(const struct metrics *m, struct jw *w)
{
	char name[METRIC_NAME_MAX];

	jw_key(w, STR("Gauges"));
	jw_array(w);
	for (size_t i = 0; i < m->value_count; i++) {
		const struct metric_value *v = &m->values[i];
		size_t n = metric_name(m, v->row->name, v->row->ours, true, name);

		if (v->row->kind != METRIC_GAUGE || !metric_kept(m, str_mem(name, n)))
			continue;
		jw_object(w);
		jw_kstr(w, "Name", str_mem(name, n));
		jw_ku64(w, "Value", v->now);
		json_row_labels(w, v->row);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static uint64_t
value_grown(const struct metrics *m, const struct metric_value *v)
{
	return m->rolled ? v->last : v->now - v->begun;
}

static void
json_counters(const struct metrics *m, struct jw *w, nsec took)
{
	char name[METRIC_NAME_MAX];

	jw_key(w, STR("Counters"));
	jw_array(w);
	for (size_t i = 0; i < m->value_count; i++) {
		const struct metric_value *v = &m->values[i];
		size_t n = metric_name(m, v->row->name, v->row->ours, false, name);
		uint64_t grown = value_grown(m, v);
		double d = (double)grown;
		/* of amounts only their sum is known */
		struct metric_span span = v->row->kind != METRIC_AMOUNT
					      ? (struct metric_span){ grown, d, d, 1, 1 }
					      : (struct metric_span){ 1, d, d * d, d, d };

		if (v->row->kind == METRIC_GAUGE || v->row->kind == METRIC_SPENT || grown == 0 ||
		    !metric_kept(m, str_mem(name, n)))
			continue;
		jw_object(w);
		json_summary(w, str_mem(name, n), &span, took);
		json_row_labels(w, v->row);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void
json_samples(const struct metrics *m, struct jw *w, nsec took)
{
	char name[METRIC_NAME_MAX];

	jw_key(w, STR("Samples"));
	jw_array(w);
	for (size_t i = 0; i < m->timer_count; i++) {
		const struct metric_timer *t = &m->timers[i];
		const struct metric_span *span = m->rolled ? &t->last : &t->now;
		size_t n = metric_name(m, t->name, false, false, name);

		if (span->count == 0 || !metric_kept(m, str_mem(name, n)))
			continue;
		jw_object(w);
		json_summary(w, str_mem(name, n), span, took);
		json_labels(w, t->labels, 2);
		jw_object_end(w);
	}
	jw_array_end(w);
}

void
metrics_write_json(const struct metrics *m, struct now now, struct jw *w)
{
	time_t begun = (time_t)(m->last_begun_ms / 1000);
	nsec took = m->rolled ? m->last_took : now.mono - m->begun;
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&begun, &tm) != NULL)
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +0000 UTC", &tm);
	jw_object(w);
	jw_kstr(w, "Timestamp", str_of(text));
	json_gauges(m, w);
	jw_key(w, STR("Points"));
	jw_array(w);
	jw_array_end(w);
	json_counters(m, w, took);
	json_samples(m, w, took);
	jw_object_end(w);
}

/* ---- Prometheus ---- */

/* "raft.leader.lastContact" to "raft_leader_last_contact". */
static void
text_name(struct buf *out, struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c >= 'A' && c <= 'Z') {
			if (i > 0 && name.p[i - 1] >= 'a' && name.p[i - 1] <= 'z')
				buf_addc(out, '_');
			buf_addc(out, chr_lower(c));
		} else {
			buf_addc(out, chr_digit(c) || (c >= 'a' && c <= 'z') ? c : '_');
		}
	}
}

static void
text_escaped(struct buf *out, struct str s, bool quoted)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n')
			buf_add(out, STR("\\n"));
		else if (s.p[i] == '\\' || (quoted && s.p[i] == '"'))
			buf_addf(out, "\\%c", s.p[i]);
		else
			buf_addc(out, s.p[i]);
	}
}

static void
text_head(struct buf *out, struct str name, const char *help, const char *type)
{
	buf_add(out, STR("# HELP "));
	buf_add(out, name);
	buf_addc(out, ' ');
	text_escaped(out, str_of(help), false);
	buf_add(out, STR("\n# TYPE "));
	buf_add(out, name);
	buf_addf(out, " %s\n", type);
}

static void
text_label(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, "%s=\"", name);
	text_escaped(out, str_of(value), true);
	buf_addc(out, '"');
}

static const char *
row_type(const struct metric_row *row)
{
	if (row->kind == METRIC_GAUGE)
		return "gauge";
	if (row->kind == METRIC_BUCKET)
		return "histogram";
	return row->ours ? "counter" : "untyped";
}

/* Of a histogram: each bucket has what the ones before it have, too. */
static void
text_bucket(struct buf *out, struct str name, const struct metric_row *row, uint64_t so_far)
{
	buf_add(out, name);
	buf_add(out, STR("_bucket{"));
	text_label(out, row->label, row->value);
	buf_add(out, STR("} "));
	buf_add_u64(out, so_far);
	buf_addc(out, '\n');
}

static void
text_spent(struct buf *out, struct str name, uint64_t microseconds, uint64_t count)
{
	buf_add(out, name);
	buf_addf(out, "_sum %.15g\n", (double)microseconds / 1e6);
	buf_add(out, name);
	buf_add(out, STR("_count "));
	buf_add_u64(out, count);
	buf_addc(out, '\n');
}

static void
text_value(struct buf *out, struct str name, const struct metric_row *row, uint64_t value)
{
	buf_add(out, name);
	if (row->label != NULL) {
		buf_addc(out, '{');
		text_label(out, row->label, row->value);
		buf_addc(out, '}');
	}
	buf_addc(out, ' ');
	buf_add_u64(out, value);
	buf_addc(out, '\n');
}

static bool
row_counts(const struct metric_row *row)
{
	return row->kind == METRIC_COUNTER || row->kind == METRIC_AMOUNT;
}

static void
text_values(const struct metrics *m, struct buf *out)
{
	char whole[METRIC_NAME_MAX];
	const struct metric_row *before = NULL;
	uint64_t so_far = 0;
	struct buf name;

	buf_init(&name, 2 * METRIC_NAME_MAX + 16);
	for (size_t i = 0; i < m->value_count; i++) {
		const struct metric_row *row = m->values[i].row;
		size_t n = metric_name(m, row->name, row->ours, row->kind == METRIC_GAUGE, whole);

		if (!metric_kept(m, str_mem(whole, n)))
			continue;
		buf_clear(&name);
		text_name(&name, str_mem(whole, n));
		if (row_counts(row) && row->ours)
			buf_add(&name, STR("_total"));
		if (before == NULL || strcmp(before->name, row->name) != 0) {
			text_head(out, buf_str(&name), row->help, row_type(row));
			so_far = 0;
		}
		so_far += m->values[i].now;
		if (row->kind == METRIC_BUCKET)
			text_bucket(out, buf_str(&name), row, so_far);
		else if (row->kind == METRIC_SPENT)
			text_spent(out, buf_str(&name), m->values[i].now, so_far - m->values[i].now);
		else
			text_value(out, buf_str(&name), row, m->values[i].now);
		before = row;
	}
	buf_done(&name);
}

static void
text_timer_line(
    struct buf *out, struct str name, const struct metric_timer *t, const char *part, double value)
{
	buf_add(out, name);
	buf_addf(out, "%s{", part);
	for (size_t i = 0; i < 2; i++) {
		if (t->labels[i].name == NULL)
			continue;
		if (i > 0)
			buf_addc(out, ',');
		text_label(out, t->labels[i].name, t->labels[i].value);
	}
	buf_addf(out, "} %.15g\n", value);
}

static void
text_timers(const struct metrics *m, struct buf *out)
{
	char whole[METRIC_NAME_MAX];
	const char *before = NULL;
	struct buf name;

	buf_init(&name, 2 * METRIC_NAME_MAX + 16);
	for (size_t i = 0; i < m->timer_count; i++) {
		const struct metric_timer *t = &m->timers[i];
		size_t n = metric_name(m, t->name, false, false, whole);

		if (t->count == 0 || !metric_kept(m, str_mem(whole, n)))
			continue;
		buf_clear(&name);
		text_name(&name, str_mem(whole, n));
		if (before == NULL || strcmp(before, t->name) != 0)
			text_head(out, buf_str(&name), t->help, "summary");
		text_timer_line(out, buf_str(&name), t, "_sum", t->sum);
		text_timer_line(out, buf_str(&name), t, "_count", (double)t->count);
		before = t->name;
	}
	buf_done(&name);
}

void
metrics_write_prometheus(const struct metrics *m, struct buf *out)
{
	text_values(m, out);
	text_timers(m, out);
}

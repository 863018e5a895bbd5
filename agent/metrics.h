/* agent/metrics.h -- the figures of all parts of the agent, in one place.
 *
 * Each part counts in a struct of its own and knows nothing of this. A table of rows says what the
 * members of such a struct are called (name, kind, offset); who puts the agent together shows
 * struct and table side by side: metrics_take(). Spans of time (of HTTP requests) are told one by
 * one: metrics_time().
 *
 * Two forms, as Consul has them. JSON: gauges as they stand, counters and spans of the last whole
 * interval of METRICS_INTERVAL. Prometheus: everything since the start. Names are parts between
 * dots; rows with Consul's name get the prefix (telemetry.metrics_prefix), ours begin with
 * "muster" instead. In Prometheus' form what is camelCase in Consul is snake_case, and Consul's
 * counters, whose names do not end in _total, are untyped: promtool objects to them otherwise.
 *
 * A turn: metrics_begin(), metrics_take() for every part, then metrics_write_*(). A tick is a turn
 * too: metrics_begin(), metrics_take()..., metrics_roll().
 */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include "base/buf.h"
#include "base/json.h"
#include "base/nsec.h"

#define METRICS_INTERVAL (10 * NSEC_SEC) /* as go-metrics has it */
#define METRICS_MAX 512                  /* rows of all tables together */
#define METRICS_TIMERS_MAX 512
#define METRICS_RULES_MAX 256 /* of telemetry.prefix_filter */

enum metric_kind {
	METRIC_GAUGE,
	METRIC_COUNTER, /* grows by one */
	METRIC_AMOUNT,  /* grows by more: bytes */
	METRIC_BUCKET,  /* what took up to the label "le"'s seconds and more than the row before says */
	METRIC_SPENT,   /* behind its buckets, of the same name: microseconds of all of them */
};

struct metric_row {
	const char *name; /* "memberlist.udp.sent"; of Prometheus' counters without "_total" */
	enum metric_kind kind;
	size_t offset, size;       /* of the member: a bool, or an unsigned integer */
	const char *help;          /* one sentence */
	const char *label, *value; /* NULL: none. Rows of one name stand together */
	bool ours;
};

/* What a row of a table says of a member. */
#define METRIC(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

struct metrics_config {
	struct str prefix;       /* "consul" */
	struct str host;         /* goes before the names of gauges; empty: nothing does */
	const struct str *rules; /* "+prefix" and "-prefix": the longest that matches counts */
	size_t rule_count;
	bool keep_others; /* what no rule matches */
};

struct metrics;

/* Everything in the config is copied. ERR_INPUT: a rule begins with neither + nor -. */
int metrics_new(const struct metrics_config *, struct now, struct metrics **out, struct err *);
void metrics_free(struct metrics *); /* NULL is fine */

/* Other settings, from now on; what was counted stays. Refused as a whole. */
int metrics_configure(struct metrics *, const struct metrics_config *, struct err *);

/* Something that takes time; the labels are borrowed for good. Its number, for metrics_time(). */
struct metric_label {
	const char *name;
	char *value; /* owned by metrics */
};
size_t metrics_timer(struct metrics *, const char *name, const char *help, const char *label1,
    struct str value1, const char *label2, struct str value2);
void metrics_time(struct metrics *, size_t timer, nsec took);

void metrics_begin(struct metrics *);
/* One struct by its table, which ends with a row of zeros and lives as long as the metrics. The
 * same tables in the same order at every turn. */
void metrics_take(struct metrics *, const struct metric_row *table, const void *stats);
/* An interval is over: its counters and spans are what JSON shows next. */
void metrics_roll(struct metrics *, struct now);

void metrics_write_json(const struct metrics *, struct now, struct jw *);
void metrics_write_prometheus(const struct metrics *, struct buf *);

#endif

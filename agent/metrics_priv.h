/* agent/metrics_priv.h -- the inside of metrics, for metrics.c and metrics_write.c. */
#ifndef AGENT_METRICS_PRIV_H
#define AGENT_METRICS_PRIV_H

#include "agent/metrics.h"

#define METRIC_NAME_MAX 256 /* bytes, with prefix and host; longer ones are cut */

struct metric_rule {
	struct str prefix; /* without its sign; owned */
	bool keep;
};

struct metric_value {
	const struct metric_row *row;
	uint64_t now;   /* as it was taken last */
	uint64_t begun; /* when this interval began */
	uint64_t last;  /* counters: grown by in the last whole interval */
};

struct metric_span { /* milliseconds */
	uint64_t count;
	double sum, squares, least, most;
};

struct metric_timer {
	const char *name, *help;
	struct metric_label labels[2];
	struct metric_span now, last; /* this interval and the last whole one */
	uint64_t count;               /* since the start */
	double sum;
};

struct metrics {
	char *prefix, *host;
	struct metric_rule *rules;
	size_t rule_count;
	bool keep_others;
	struct metric_value values[METRICS_MAX];
	size_t value_count, taken; /* taken: in this turn */
	struct metric_timer *timers;
	size_t timer_count;
	bool rolled;           /* there was a whole interval */
	int64_t begun_ms;      /* of this interval */
	int64_t last_begun_ms; /* of the last whole one */
	nsec begun, last_took;
};

/* The whole name of a row or timer, parts between dots. */
size_t metric_name(
    const struct metrics *, const char *name, bool ours, bool gauge, char out[METRIC_NAME_MAX]);
/* Whether prefix_filter lets it through; `name` is the whole one. */
bool metric_kept(const struct metrics *, struct str name);

#endif

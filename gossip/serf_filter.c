/* gossip/serf_filter.c -- does a query mean us: all its filters must match.
 *
 * A filter names nodes, or is an expression over the value of one of our tags, unanchored. serf
 * takes RE2's syntax, we POSIX extended: what both know means the same, the rest does not match.
 * Expressions come from the network, and regcomp() copies what is repeated: what would grow beyond
 * a few thousand states is not compiled, nor are references back, which take forever.
 */
#include <regex.h>

#include "gossip/serf_private.h"

#define EXPR_COST_MAX 16384

/* How often the operator at `at` copies what stands before it; *next: where it ends. */
static size_t
repeat_cost(struct str e, size_t at, size_t *next)
{
	size_t most = 0, number = 0;

	*next = at + 1;
	if (e.p[at] == '+')
		return 2;
	if (e.p[at] != '{')
		return 1;
	for (; *next < e.n && e.p[*next] != '}'; (*next)++) {
		char c = e.p[*next];

		number =
		    chr_digit(c) && number < EXPR_COST_MAX ? number * 10 + (size_t)(c - '0') : 0;
		most = number > most ? number : most;
	}
	return most + 1;
}

static bool
expr_affordable(struct str e)
{
	size_t cost = e.n, next;

	if (e.n > SERF_EXPR_MAX || str_find(e, '\0') < e.n)
		return false;
	for (size_t at = 0; at < e.n && cost <= EXPR_COST_MAX; at = next) {
		if (e.p[at] == '\\' && at + 1 < e.n) {
			if (chr_digit(e.p[at + 1]))
				return false;
			next = at + 2;
			continue;
		}
		cost *= repeat_cost(e, at, &next);
	}
	return cost <= EXPR_COST_MAX;
}

static bool
expr_matches(struct str expr, struct str value)
{
	char pattern[SERF_EXPR_MAX + 1], subject[WIRE_META_MAX + 1];
	regex_t compiled;
	bool matches;

	if (!expr_affordable(expr) || value.n > WIRE_META_MAX || str_find(value, '\0') < value.n)
		return false;
	memcpy(pattern, expr.n > 0 ? expr.p : "", expr.n);
	pattern[expr.n] = '\0';
	memcpy(subject, value.n > 0 ? value.p : "", value.n);
	subject[value.n] = '\0';
	if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	matches = regexec(&compiled, subject, 0, NULL, 0) == 0;
	regfree(&compiled);
	return matches;
}

static bool
filter_matches(const struct serf *s, struct arena *arena, const struct serf_filter *f)
{
	struct serf_tag *tags = NULL;
	struct str value = STR("");
	size_t count = 0;

	if (!f->tag) {
		for (size_t i = 0; i < f->node_count; i++)
			if (str_eq(f->nodes[i], s->self->m.name))
				return true;
		return false;
	}
	if (serf_tags_read(arena, s->self->m.meta, &tags, &count, NULL) < 0)
		count = 0;
	for (size_t i = 0; i < count; i++)
		if (str_eq(tags[i].key, f->tag_name))
			value = tags[i].value;
	return expr_matches(f->expr, value);
}

bool
serf_filters_match(const struct serf *s, struct arena *arena, const struct serf_query *q)
{
	for (size_t i = 0; i < q->filter_count; i++) {
		struct serf_filter f;

		if (i >= 64 || serf_filter_read(arena, q->filters[i], &f, NULL) < 0 ||
		    !filter_matches(s, arena, &f))
			return false;
	}
	return true;
}

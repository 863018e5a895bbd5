/* tests/linear/check.c -- operations by key, with the sessions' ends that touch it; the report. */
#include "tests/linear/check.h"

#include "base/mem.h"

#define TAIL 12 /* operations of the order that are shown */
#define NEXT 12 /* of what does not fit */

/* One key's operations. */
struct part {
	const struct history *h;
	uint32_t key;
	const struct op **ops; /* owned */
	unsigned *places;      /* owned; of their sessions */
	size_t count, ops_room, places_room;
	uint32_t sessions[KEY_SESSIONS_MAX];
	unsigned sessions_n;
};

static unsigned
session_place(const struct part *p, uint32_t session)
{
	unsigned i = 0;

	while (i < p->sessions_n && p->sessions[i] != session)
		i++;
	return i;
}

static void
part_add(struct part *p, const struct op *op)
{
	p->ops = mem_grow((void *)(uintptr_t)p->ops, p->count, &p->ops_room, sizeof *p->ops);
	p->places = mem_grow(p->places, p->count, &p->places_room, sizeof *p->places);
	p->ops[p->count] = op;
	p->places[p->count++] = op->session == 0 ? 0 : session_place(p, op->session);
}

static int
part_fill(struct part *p, const struct op *const *ops, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t session = ops[i]->session;

		if (session == 0 || session_place(p, session) < p->sessions_n)
			continue;
		if (p->sessions_n == KEY_SESSIONS_MAX)
			return err_set(err, ERR_LIMIT, "key %s: more than %d sessions",
			    p->h->words[p->key], KEY_SESSIONS_MAX);
		p->sessions[p->sessions_n++] = session;
	}
	for (size_t i = 0; i < count; i++)
		part_add(p, ops[i]);
	for (size_t i = 0; i < p->h->count; i++) {
		const struct op *op = &p->h->ops[i];

		if (op->verb == VERB_END && session_place(p, op->session) < p->sessions_n)
			part_add(p, op);
	}
	return 0;
}

static void
part_done(struct part *p)
{
	free((void *)(uintptr_t)p->ops);
	free(p->places);
}

/* The report. */

static void
write_time(struct buf *b, int64_t ns, int64_t zero)
{
	if (ns == HISTORY_UNKNOWN)
		buf_add(b, STR("        ? "));
	else
		buf_addf(b, "%10.6f", (double)(ns - zero) / 1e9);
}

static void
write_op(struct buf *b, const struct part *p, const struct op *op, int64_t zero, const char *note)
{
	buf_addf(b, "  %-6s ", p->h->words[op->client]);
	write_time(b, op->invoke, zero);
	buf_add(b, STR(" .. "));
	write_time(b, op->ret, zero);
	buf_add(b, STR("  "));
	key_model_write_op(b, p->h, op);
	if (note != NULL)
		buf_addf(b, "   <- %s", note);
	buf_addc(b, '\n');
}

/* What could come next, after the longest order, and why it cannot. */
static void
write_next(struct buf *b, const struct part *p, const struct search_result *r, int64_t zero)
{
	bool *ordered = mem_zalloc((p->count + 1) * sizeof *ordered);
	int64_t first_return = INT64_MAX;
	unsigned shown = 0;

	for (size_t i = 0; i < r->order_n; i++)
		ordered[r->order[i]] = true;
	for (size_t i = 0; i < p->count; i++)
		if (!ordered[i] && p->ops[i]->ret < first_return)
			first_return = p->ops[i]->ret;
	for (size_t i = 0; i < p->count && shown < NEXT; i++) {
		struct key_state state = r->state;
		const char *why = "then nothing explains the rest";

		if (ordered[i] || p->ops[i]->invoke > first_return)
			continue;
		key_model_step(&state, p->ops[i], p->places[i], &why);
		write_op(b, p, p->ops[i], zero, why);
		shown++;
	}
	free(ordered);
}

static void
write_violation(struct buf *b, const struct part *p, const struct search_result *r, int64_t zero)
{
	size_t from = r->order_n > TAIL ? r->order_n - TAIL : 0;

	buf_addf(b, "key %s: %s (%zu operations, %zu of them in order)\n", p->h->words[p->key],
	    r->verdict == SEARCH_VIOLATION ? "no order explains the answers"
					   : "too many orders to try them all",
	    p->count, r->order_n);
	if (r->verdict == SEARCH_UNDECIDED)
		return;
	buf_addf(b, " the longest order that does%s\n", from > 0 ? " ends with" : "");
	for (size_t i = from; i < r->order_n; i++)
		write_op(b, p, p->ops[r->order[i]], zero, NULL);
	buf_add(b, STR(" then "));
	key_model_write(b, p->h, &r->state);
	buf_add(b, STR("; what may come next\n"));
	write_next(b, p, r, zero);
}

/* All keys. */

static int
by_key(const void *a, const void *b)
{
	const struct op *x = *(const struct op *const *)a, *y = *(const struct op *const *)b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x > y) - (x < y);
}

static int
check_key(const struct history *h, const struct op *const *ops, size_t count, int64_t zero,
    struct check_result *out, struct buf *report, struct err *err)
{
	struct part p = { .h = h, .key = ops[0]->key };
	struct search_result r = { 0 };
	int rc = part_fill(&p, ops, count, err);

	if (rc < 0)
		goto out;
	r = search_key(p.ops, p.places, p.count);
	out->steps += r.steps;
	out->keys++;
	if (r.verdict != SEARCH_LINEAR && report != NULL)
		write_violation(report, &p, &r, zero);
	if (out->verdict != SEARCH_VIOLATION && r.verdict != SEARCH_LINEAR)
		out->verdict = r.verdict;
out:
	search_result_done(&r);
	part_done(&p);
	return rc;
}

static void
count_all(const struct history *h, struct check_result *out, int64_t *zero)
{
	bool *seen = mem_zalloc(h->words_n * sizeof *seen);

	*zero = h->count == 0 ? 0 : INT64_MAX;
	for (size_t i = 0; i < h->count; i++) {
		const struct op *op = &h->ops[i];

		out->operations++;
		out->unknown += op->ret == HISTORY_UNKNOWN;
		out->clients += !seen[op->client];
		seen[op->client] = true;
		if (op->invoke < *zero)
			*zero = op->invoke;
	}
	free(seen);
}

int
check_history(
    const struct history *h, struct check_result *out, struct buf *report, struct err *err)
{
	const struct op **ops = mem_zalloc((h->count + 1) * sizeof *ops);
	size_t count = 0;
	int64_t zero;
	int rc = 0;

	*out = (struct check_result){ 0 };
	count_all(h, out, &zero);
	for (size_t i = 0; i < h->count; i++)
		if (h->ops[i].key != HISTORY_EVERY_KEY)
			ops[count++] = &h->ops[i];
	qsort(ops, count, sizeof *ops, by_key);
	for (size_t i = 0, end; i < count && rc == 0; i = end) {
		for (end = i; end < count && ops[end]->key == ops[i]->key; end++)
			;
		rc = check_key(h, ops + i, end - i, zero, out, report, err);
	}
	free((void *)(uintptr_t)ops);
	return rc;
}

/* tests/linear/search.c -- the search, step by step: what may come next; a memory of what was
 * tried; forward and back.
 *
 * Invariants: the operations not in the order are a list by invoke; a frame's candidates are those
 * of the list that nobody waits behind, when the frame was made.
 */
#include "tests/linear/search.h"

#include <assert.h>

#include "base/mem.h"

#define NONE SIZE_MAX

struct value { /* that is written or read */
	uint32_t word;
	unsigned writers, reads_left; /* reads_left: gets that told it, not in the order */
	uint64_t index_most;          /* the lowest index that it was read with */
};

struct frame {
	struct key_state before;
	size_t op;        /* that led here; NONE at the first */
	size_t next, end; /* candidates not tried yet, in search.candidates */
};

struct tried { /* followed by the set, as bits */
	struct tried *next;
	uint64_t hash;
	struct key_state state;
	uint64_t set[];
};

struct search {
	size_t count, words; /* words: of 64 bits, of a set of operations */
	bool plain;          /* without the rules about values, for the report */
	size_t left;         /* of known outcome, not in the order */

	struct op *ops;         /* by rank: the order of their invokes */
	unsigned *places;       /* by rank */
	size_t *by_invoke;      /* rank to operation */
	size_t *alike;          /* rank to that of the one before it that is the same; or NONE */
	size_t *after, *before; /* the list, by rank; [count] is its head and end */
	uint64_t *set;          /* of what is in the order, by rank */
	uint64_t *certain;      /* of what is of known outcome */
	struct key_state state;

	struct value *values; /* by word */
	size_t values_n;

	struct frame *frames;
	size_t frames_n, frames_room;
	size_t *candidates;
	size_t candidates_n, candidates_room;

	struct tried **table;
	size_t table_n, tried_n, bytes;

	uint64_t steps;
	size_t best_left;
	size_t best_frames; /* so many of the frames are better than best; 0: none */
	size_t *best;
	size_t best_n;
	struct key_state best_state;
};

static bool
known(const struct op *op)
{
	return op->ret != HISTORY_UNKNOWN;
}

static const struct op *
op_at(const struct search *s, size_t rank)
{
	return &s->ops[rank];
}

static bool
state_eq(const struct key_state *a, const struct key_state *b)
{
	return memcmp(a, b, sizeof *a) == 0; /* it has no gaps */
}

static bool
in_order(const struct search *s, size_t rank)
{
	return (s->set[rank / 64] >> rank % 64 & 1) != 0;
}

/* Values. */

static int
by_word(const void *a, const void *b)
{
	const struct value *x = a, *y = b;

	return (x->word > y->word) - (x->word < y->word);
}

static struct value *
value_find(const struct search *s, uint32_t word)
{
	struct value key = { .word = word };

	return bsearch(&key, s->values, s->values_n, sizeof key, by_word);
}

static bool
tells_value(const struct op *op)
{
	return op->verb == VERB_GET && op->answer == ANSWER_YES;
}

static void
values_collect(struct search *s)
{
	size_t n = 0;

	s->values = mem_zalloc((s->count + 1) * sizeof *s->values);
	for (size_t i = 0; i < s->count; i++)
		if (s->ops[i].value != 0)
			s->values[n++] = (struct value){ s->ops[i].value, 0, 0, UINT64_MAX };
	qsort(s->values, n, sizeof *s->values, by_word);
	for (size_t i = 0; i < n; i++)
		if (s->values_n == 0 || s->values[s->values_n - 1].word != s->values[i].word)
			s->values[s->values_n++] = s->values[i];
	for (size_t i = 0; i < s->count; i++) {
		const struct op *op = &s->ops[i];
		struct value *v = value_find(s, op->value);

		if (v != NULL && tells_value(op)) {
			v->reads_left++;
			if (op->index < v->index_most)
				v->index_most = op->index;
		} else if (v != NULL) {
			v->writers++;
		}
	}
	for (size_t i = 0; i < s->count; i++) {
		const struct value *v = value_find(s, s->ops[i].value);

		if (v != NULL && v->writers == 1 && v->reads_left == 0 && !s->plain)
			s->ops[i].value = KEY_VALUE_UNREAD;
	}
}

/* A step that fits, but after which something that was read cannot be read any more. */
static bool
hopeless(const struct search *s, const struct key_state *from, const struct key_state *to)
{
	const struct value *v;
	uint64_t index = from->index != 0 ? from->index : from->floor;

	if (from->there == to->there && from->value == to->value)
		return false;
	v = from->there ? value_find(s, from->value) : NULL;
	if (v != NULL && v->writers == 1 && v->reads_left > 0)
		return true;
	v = to->there ? value_find(s, to->value) : NULL;
	return v != NULL && v->writers == 1 && index >= v->index_most;
}

/* The list. */

static bool
same_but_invoke(const struct op *a, const struct op *b)
{
	return !known(a) && !known(b) && a->verb == b->verb && a->value == b->value &&
	       a->session == b->session && a->index == b->index && a->delay == b->delay &&
	       a->deletes == b->deletes;
}

static void
alike_find(struct search *s)
{
	for (size_t i = 0; i < s->count; i++) {
		size_t j = known(&s->ops[i]) ? 0 : i;

		while (j > 0 && !same_but_invoke(&s->ops[i], &s->ops[j - 1]))
			j--;
		s->alike[i] = j == 0 ? NONE : j - 1;
	}
}

static int
by_invoke(const void *a, const void *b, void *arg)
{
	const struct op *const *ops = arg;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	if (ops[x]->invoke != ops[y]->invoke)
		return ops[x]->invoke < ops[y]->invoke ? -1 : 1;
	return (x > y) - (x < y);
}

static void
list_remove(struct search *s, size_t rank)
{
	s->after[s->before[rank]] = s->after[rank];
	s->before[s->after[rank]] = s->before[rank];
	s->set[rank / 64] |= UINT64_C(1) << rank % 64;
	s->left -= known(op_at(s, rank));
	if (tells_value(op_at(s, rank)))
		value_find(s, op_at(s, rank)->value)->reads_left--;
}

static void
list_restore(struct search *s, size_t rank) /* the one removed last */
{
	s->after[s->before[rank]] = rank;
	s->before[s->after[rank]] = rank;
	s->set[rank / 64] &= ~(UINT64_C(1) << rank % 64);
	s->left += known(op_at(s, rank));
	if (tells_value(op_at(s, rank)))
		value_find(s, op_at(s, rank)->value)->reads_left++;
}

/* What was tried. */

static uint64_t
mix(uint64_t h, uint64_t v) /* the finisher of SplitMix64 (Steele 2014) */
{
	h = (h ^ v) + UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

static uint64_t
hash_of(const struct search *s)
{
	uint64_t h = 0, state[sizeof s->state / 8];

	memcpy(state, &s->state, sizeof state);
	for (size_t i = 0; i < s->words; i++)
		h = mix(h, s->set[i] & s->certain[i]);
	for (size_t i = 0; i < sizeof state / sizeof state[0]; i++)
		h = mix(h, state[i]);
	return h;
}

static void
table_double(struct search *s)
{
	size_t n = s->table_n * 2;
	struct tried **table = mem_zalloc(n * sizeof *table);

	for (size_t i = 0; i < s->table_n; i++) {
		for (struct tried *t = s->table[i], *next; t != NULL; t = next) {
			next = t->next;
			t->next = table[t->hash & (n - 1)];
			table[t->hash & (n - 1)] = t;
		}
	}
	free(s->table);
	s->table = table;
	s->table_n = n;
}

/* The same was tried with no more of what is uncertain spent: what helps here helped there. */
static bool
tried_covers(const struct search *s, const struct tried *t)
{
	for (size_t i = 0; i < s->words; i++)
		if ((t->set[i] & ~s->set[i]) != 0 || (s->set[i] & ~t->set[i] & s->certain[i]) != 0)
			return false;
	return state_eq(&t->state, &s->state);
}

/* True: set and state are new; they are not any more. */
static bool
tried_add(struct search *s)
{
	uint64_t hash = hash_of(s);
	size_t size = sizeof(struct tried) + s->words * sizeof(uint64_t);
	struct tried *t;

	for (t = s->table[hash & (s->table_n - 1)]; t != NULL; t = t->next)
		if (t->hash == hash && tried_covers(s, t))
			return false;
	if (s->tried_n == s->table_n)
		table_double(s);
	t = mem_alloc(size);
	t->hash = hash;
	t->state = s->state;
	memcpy(t->set, s->set, s->words * sizeof(uint64_t));
	t->next = s->table[hash & (s->table_n - 1)];
	s->table[hash & (s->table_n - 1)] = t;
	s->tried_n++;
	s->bytes += size;
	return true;
}

/* Forward and back. */

static void
candidate_add(struct search *s, size_t rank)
{
	s->candidates =
	    mem_grow(s->candidates, s->candidates_n, &s->candidates_room, sizeof *s->candidates);
	s->candidates[s->candidates_n++] = rank;
}

static bool
changes_nothing(const struct op *op) /* wherever it stands */
{
	return op->verb == VERB_GET || op->answer == ANSWER_NO || op->answer == ANSWER_INVALID;
}

/* The candidates that fit here, those of known outcome first: of them something is certain. When
 * there is one that only looks it is the only one. */
static void
candidates_find(struct search *s)
{
	size_t begin = s->candidates_n;
	int64_t first_return = INT64_MAX;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t r = s->after[s->count]; r != s->count; r = s->after[r]) {
			const struct op *op = op_at(s, r);
			struct key_state state = s->state;

			if (op->invoke > first_return)
				break; /* it, and all behind it, came after somebody's return */
			if (op->ret < first_return)
				first_return = op->ret;
			if (known(op) != (pass == 0) ||
			    (s->alike[r] != NONE && !in_order(s, s->alike[r])))
				continue;
			s->steps++;
			if (!key_model_step(&state, op, s->places[r], NULL) ||
			    (!s->plain && hopeless(s, &s->state, &state)))
				continue;
			if (state_eq(&state, &s->state)) {
				if (!known(op))
					continue; /* as good as never */
				if (changes_nothing(op)) {
					s->candidates_n = begin;
					candidate_add(s, r);
					return;
				}
			}
			candidate_add(s, r);
		}
	}
}

static void
best_keep(struct search *s) /* before the last frame goes */
{
	size_t n = s->best_frames;

	if (n == 0)
		return;
	s->best_state = n < s->frames_n ? s->frames[n].before : s->state;
	s->best_n = 0;
	for (size_t i = 1; i < n; i++)
		s->best[s->best_n++] = s->by_invoke[s->frames[i].op];
	s->best_frames = 0;
}

static void
frame_push(struct search *s, struct key_state before, size_t op)
{
	s->frames = mem_grow(s->frames, s->frames_n, &s->frames_room, sizeof *s->frames);
	s->frames[s->frames_n] = (struct frame){ before, op, s->candidates_n, s->candidates_n };
	s->frames_n++;
	if (s->left < s->best_left) {
		s->best_left = s->left;
		s->best_frames = s->frames_n;
	}
	if (s->left == 0 || !tried_add(s))
		return;
	candidates_find(s);
	s->frames[s->frames_n - 1].end = s->candidates_n;
}

static void
frame_pop(struct search *s)
{
	struct frame *f;

	best_keep(s);
	f = &s->frames[--s->frames_n];
	if (f->op == NONE)
		return;
	list_restore(s, f->op);
	s->state = f->before;
	s->candidates_n = s->frames[s->frames_n - 1].end;
}

static enum search_verdict
search_run(struct search *s)
{
	frame_push(s, s->state, NONE);
	while (s->left > 0) {
		struct frame *f = &s->frames[s->frames_n - 1];
		struct key_state before = s->state;
		size_t rank;
		bool fits;

		if (s->steps > (s->plain ? SEARCH_PLAIN_MAX : SEARCH_STEPS_MAX) ||
		    s->bytes > SEARCH_MEMORY_MAX)
			return SEARCH_UNDECIDED;
		if (f->next == f->end) {
			frame_pop(s);
			if (s->frames_n == 0)
				return SEARCH_VIOLATION;
			continue;
		}
		rank = s->candidates[f->next++];
		fits = key_model_step(&s->state, op_at(s, rank), s->places[rank], NULL);
		assert(fits);
		list_remove(s, rank);
		frame_push(s, before, rank);
	}
	return SEARCH_LINEAR;
}

static void
search_init(struct search *s, const struct op *const *ops, const unsigned *places)
{
	s->words = s->count / 64 + 1;
	s->by_invoke = mem_zalloc((s->count + 1) * sizeof *s->by_invoke);
	s->after = mem_zalloc((s->count + 1) * sizeof *s->after);
	s->before = mem_zalloc((s->count + 1) * sizeof *s->before);
	s->best = mem_zalloc((s->count + 1) * sizeof *s->best);
	s->set = mem_zalloc(s->words * sizeof *s->set);
	s->certain = mem_zalloc(s->words * sizeof *s->certain);
	s->table_n = 1024;
	s->table = mem_zalloc(s->table_n * sizeof(struct tried *));
	s->best_left = SIZE_MAX;
	s->ops = mem_zalloc((s->count + 1) * sizeof *s->ops);
	s->places = mem_zalloc((s->count + 1) * sizeof *s->places);
	s->alike = mem_zalloc((s->count + 1) * sizeof *s->alike);
	for (size_t i = 0; i < s->count; i++)
		s->by_invoke[i] = i;
	qsort_r(s->by_invoke, s->count, sizeof *s->by_invoke, by_invoke, (void *)(uintptr_t)ops);
	for (size_t i = 0; i < s->count; i++) {
		s->ops[i] = *ops[s->by_invoke[i]];
		s->places[i] = places[s->by_invoke[i]];
		s->left += known(&s->ops[i]);
		if (known(&s->ops[i]))
			s->certain[i / 64] |= UINT64_C(1) << i % 64;
	}
	values_collect(s);
	alike_find(s);
	for (size_t i = 0; i <= s->count; i++) {
		s->after[i] = i == s->count ? 0 : i + 1;
		s->before[i] = i == 0 ? s->count : i - 1;
	}
}

static void
search_done(struct search *s)
{
	for (size_t i = 0; i < s->table_n; i++) {
		for (struct tried *t = s->table[i], *next; t != NULL; t = next) {
			next = t->next;
			free(t);
		}
	}
	free(s->table);
	free(s->ops);
	free(s->places);
	free(s->alike);
	free(s->values);
	free(s->by_invoke);
	free(s->after);
	free(s->before);
	free(s->set);
	free(s->certain);
	free(s->frames);
	free(s->candidates);
	free(s->best);
}

static struct search_result
search_once(const struct op *const *ops, const unsigned *places, size_t count, bool plain)
{
	struct search s = { .count = count, .plain = plain };
	struct search_result result = { 0 };

	search_init(&s, ops, places);
	result.verdict = search_run(&s);
	best_keep(&s);
	result.steps = s.steps;
	result.order = s.best;
	result.order_n = s.best_n;
	result.state = s.best_state;
	s.best = NULL;
	search_done(&s);
	return result;
}

struct search_result
search_key(const struct op *const *ops, const unsigned *places, size_t count)
{
	struct search_result r = search_once(ops, places, count, false);

	if (r.verdict ==
	    SEARCH_VIOLATION) { /* a person wants the longest order, not the cleverest */
		search_result_done(&r);
		r = search_once(ops, places, count, true);
		assert(r.verdict != SEARCH_LINEAR);
		r.verdict = SEARCH_VIOLATION;
	}
	return r;
}

void
search_result_done(struct search_result *r)
{
	free(r->order);
	r->order = NULL;
}

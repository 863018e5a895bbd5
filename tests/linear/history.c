/* tests/linear/history.c -- reading the text: words to numbers, lines to operations. */
#include "tests/linear/history.h"

#include <inttypes.h>

#include "base/mem.h"

#define SLOTS_FIRST 1024

static const char *const verb_names[] = { "get", "put", "cas", "delete", "delete-cas", "acquire",
	"release", "end" };
#define VERBS (sizeof verb_names / sizeof verb_names[0])

void
history_init(struct history *h)
{
	*h = (struct history){ 0 };
	h->words = mem_grow(h->words, 0, &h->words_room, sizeof *h->words);
	h->words[0] = str_dup(STR("-"));
	h->words_n = 1;
	h->slots_n = SLOTS_FIRST;
	h->slots = mem_zalloc(h->slots_n * sizeof *h->slots);
}

void
history_done(struct history *h)
{
	for (size_t i = 0; i < h->words_n; i++)
		free(h->words[i]);
	free(h->words);
	free(h->slots);
	free(h->ops);
	*h = (struct history){ 0 };
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static size_t
slot_first(const struct history *h, struct str s)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s.n; i++)
		hash = (hash ^ (uint8_t)s.p[i]) * UINT64_C(0x100000001b3);
	return (size_t)(hash ^ hash >> 32) & (h->slots_n - 1);
}

static uint32_t *
slot_of(const struct history *h, struct str s)
{
	size_t i = slot_first(h, s);

	while (h->slots[i] != 0 && !str_eq(str_of(h->words[h->slots[i]]), s))
		i = (i + 1) & (h->slots_n - 1);
	return &h->slots[i];
}

static void
slots_double(struct history *h)
{
	free(h->slots);
	h->slots_n *= 2;
	h->slots = mem_zalloc(h->slots_n * sizeof *h->slots);
	for (size_t i = 1; i < h->words_n; i++)
		*slot_of(h, str_of(h->words[i])) = (uint32_t)i;
}

uint32_t
history_word(struct history *h, struct str s)
{
	uint32_t *slot = slot_of(h, s);

	if (*slot != 0)
		return *slot;
	*slot = (uint32_t)h->words_n;
	h->words = mem_grow(h->words, h->words_n, &h->words_room, sizeof *h->words);
	h->words[h->words_n++] = str_dup(s);
	if (h->words_n > h->slots_n / 2)
		slots_double(h);
	return (uint32_t)(h->words_n - 1);
}

/* A line is read word by word; the first that does not fit makes all of it bad. */
struct line {
	struct history *h;
	struct str rest;
	bool bad;
};

static struct str
line_word(struct line *l)
{
	struct str w = l->rest.p == NULL ? STR_NONE : str_cut(&l->rest, ' ');

	if (w.n == 0)
		l->bad = true;
	return w;
}

static uint32_t
line_name(struct line *l)
{
	struct str w = line_word(l);

	return l->bad ? 0 : history_word(l->h, w);
}

static uint64_t
line_number(struct line *l)
{
	uint64_t n = 0;

	if (!str_u64(line_word(l), INT64_MAX - 1, &n))
		l->bad = true;
	return n;
}

static enum verb
line_verb(struct line *l)
{
	struct str w = line_word(l);

	for (size_t i = 0; i < VERBS; i++)
		if (str_eq(w, str_of(verb_names[i])))
			return (enum verb)i;
	l->bad = true;
	return VERB_GET;
}

static void
line_arguments(struct line *l, struct op *op)
{
	struct str behaviour;

	if (op->verb == VERB_ACQUIRE || op->verb == VERB_RELEASE || op->verb == VERB_END)
		op->session = line_name(l);
	if (op->verb == VERB_CAS || op->verb == VERB_DELETE_CAS)
		op->index = line_number(l);
	if (op->verb == VERB_PUT || op->verb == VERB_CAS || op->verb == VERB_ACQUIRE ||
	    op->verb == VERB_RELEASE)
		op->value = line_name(l);
	if (op->verb != VERB_END)
		return;
	behaviour = line_word(l);
	op->deletes = str_eq(behaviour, STR("delete"));
	l->bad = l->bad || (!op->deletes && !str_eq(behaviour, STR("release")));
	op->delay = (int64_t)line_number(l);
}

static void
line_got(struct line *l, struct op *op) /* what a get was told */
{
	struct str s;

	if (l->rest.p != NULL && str_eq(l->rest, STR("none"))) {
		l->rest = STR_NONE;
		op->answer = ANSWER_NO;
		return;
	}
	op->answer = ANSWER_YES;
	op->value = line_name(l);
	op->index = line_number(l);
	op->lock_index = line_number(l);
	s = line_word(l);
	if (!l->bad && !str_eq(s, STR("-")))
		op->session = history_word(l->h, s);
	l->bad = l->bad || op->index == 0;
}

static void
line_answer(struct line *l, struct op *op)
{
	struct str w;

	if (!str_eq(line_word(l), STR("="))) {
		l->bad = true;
		return;
	}
	if (op->verb == VERB_GET) {
		line_got(l, op);
		return;
	}
	w = line_word(l);
	if (str_eq(w, STR("ok")) || str_eq(w, STR("yes")))
		op->answer = ANSWER_YES;
	else if (str_eq(w, STR("no")))
		op->answer = ANSWER_NO;
	else if (str_eq(w, STR("invalid")) && op->verb == VERB_ACQUIRE)
		op->answer = ANSWER_INVALID;
	else
		l->bad = true;
}

static bool
line_read(struct line *l, struct op *op)
{
	struct str key, ret;
	uint64_t at = 0;

	op->client = line_name(l);
	key = line_word(l);
	op->invoke = (int64_t)line_number(l);
	ret = line_word(l);
	if (str_eq(ret, STR("?")))
		op->ret = HISTORY_UNKNOWN;
	else if (str_u64(ret, INT64_MAX - 1, &at))
		op->ret = (int64_t)at;
	else
		l->bad = true;
	op->verb = line_verb(l);
	l->bad = l->bad || op->ret < op->invoke || (op->verb == VERB_END) != str_eq(key, STR("*"));
	if (!l->bad)
		op->key = op->verb == VERB_END ? HISTORY_EVERY_KEY : history_word(l->h, key);
	line_arguments(l, op);
	if (op->ret != HISTORY_UNKNOWN)
		line_answer(l, op);
	return !l->bad && l->rest.p == NULL;
}

int
history_read(struct history *h, struct str text, struct err *err)
{
	for (unsigned number = 1; text.p != NULL; number++) {
		struct str whole = str_cut(&text, '\n');
		struct line l = { .h = h, .rest = whole };
		struct op op = { 0 };

		if (whole.n == 0 || whole.p[0] == '#')
			continue;
		if (!line_read(&l, &op))
			return err_set(err, ERR_INPUT, "line %u: no operation: " STR_FMT, number,
			    STR_ARG(whole));
		if (h->count == HISTORY_OPS_MAX)
			return err_set(err, ERR_LIMIT, "line %u: more than %d operations", number,
			    HISTORY_OPS_MAX);
		h->ops = mem_grow(h->ops, h->count, &h->room, sizeof *h->ops);
		h->ops[h->count++] = op;
	}
	return 0;
}

/* The checker against random histories: of a key that is right, of one that is broken in ways that
 * real stores were, and beside a search that simply tries every order.
 *
 * SEED=n runs one seed, SEEDS=n that many.
 */
#include "tests/unit/test.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tests/linear/check.h"

#define OPS_MAX 400
#define CLIENTS_MAX 8
#define LASTS_MAX 100 /* from an invoke to its return */
#define SEEDS 200
#define REPORT_MAX 65536

enum fault { FAULT_NONE, FAULT_STALE_READ, FAULT_LOST_WRITE, FAULT_TWO_CAS, FAULT_TWO_SESSIONS };

/* A key that answers at one moment between invoke and return, and clients that ask at random. */
struct world {
	struct rng rng;
	struct history h;
	struct key_state real, old; /* old: as it was some time ago */
	uint64_t index, seen;       /* seen: the last index a get told */
	int64_t now, old_gone;      /* old_gone: when its value had been overwritten, or 0 */
	enum fault fault;
	bool planted; /* the fault has happened, where it shows */
	unsigned clients, unknown_percent;
	struct client {
		bool asking, done;
		int64_t effect, ret;
		struct op op;
	} client[CLIENTS_MAX];
};

static uint32_t
word_of(struct world *w, const char *prefix, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof text, "%s%" PRIu64, prefix, n);
	return history_word(&w->h, str_of(text));
}

static void
ask(struct world *w, unsigned i)
{
	struct client *c = &w->client[i];
	uint32_t session = word_of(w, "s", i);

	*c = (struct client){ .asking = true };
	c->op = (struct op){ .invoke = w->now,
		.client = word_of(w, "c", i),
		.key = word_of(w, "k", 1),
		.verb = rng_below(&w->rng, 2) == 0 ? VERB_GET
						   : (enum verb)rng_below(&w->rng, VERB_END) };
	c->effect = w->now + 1 + rng_below(&w->rng, LASTS_MAX / 2);
	c->ret = c->effect + rng_below(&w->rng, LASTS_MAX / 2);
	if (c->op.verb == VERB_CAS || c->op.verb == VERB_DELETE_CAS)
		c->op.index = rng_below(&w->rng, 8) == 0 ? 0 : w->seen;
	if (c->op.verb == VERB_DELETE_CAS && c->op.index == 0)
		c->op.index = 1;
	if (c->op.verb == VERB_ACQUIRE || c->op.verb == VERB_RELEASE)
		c->op.session = session;
	if (c->op.verb == VERB_PUT || c->op.verb == VERB_CAS || c->op.session != 0)
		c->op.value = word_of(w, "v", (uint64_t)w->now * CLIENTS_MAX + i);
}

/* What the real key says: the answer that the model takes, with indexes that a log would give. */
static void
decide(struct world *w, struct client *c, unsigned place)
{
	static const enum answer answers[] = { ANSWER_YES, ANSWER_NO, ANSWER_INVALID };
	struct key_state *s = &w->real, state;
	struct op *op = &c->op;

	w->index++;
	c->done = true;
	if (op->verb == VERB_GET) {
		if (w->fault == FAULT_STALE_READ && w->old.there && w->old_gone != 0 &&
		    w->now - w->old_gone > LASTS_MAX && !w->planted) {
			w->planted = true;
			s = &w->old;
		}
		op->answer = s->there ? ANSWER_YES : ANSWER_NO;
		op->value = s->value;
		op->session = s->session;
		op->index = s->there ? s->index : 0;
		op->lock_index = s->there ? s->lock_index : 0;
		w->seen = op->index != 0 ? op->index : w->seen;
		return;
	}
	for (unsigned i = 0; i < 3; i++) {
		state = *s;
		op->answer = answers[i];
		if (key_model_step(&state, op, place, NULL))
			break;
	}
	if (w->fault == FAULT_TWO_CAS && op->verb == VERB_CAS && op->answer == ANSWER_NO &&
	    op->index != 0 && !w->planted) {
		op->answer = ANSWER_YES; /* and so it writes */
		w->planted = true;
		state.there = true;
		state.value = op->value;
		state.lock_index = 0;
		state.index = 0;
	}
	if (w->fault == FAULT_TWO_SESSIONS && op->verb == VERB_ACQUIRE && op->answer == ANSWER_NO &&
	    !w->planted) {
		op->answer = ANSWER_YES;
		w->planted = true;
		return;
	}
	if (w->fault == FAULT_LOST_WRITE && op->verb == VERB_PUT && rng_below(&w->rng, 4) == 0) {
		w->planted = true;
		return;
	}
	if (state.there && state.index == 0) {
		state.index = w->index;
		state.floor = 0;
	}
	*s = state;
}

static void
record(struct world *w, struct client *c, bool unknown)
{
	c->asking = false;
	if (unknown) {
		if (c->op.verb == VERB_GET)
			return;
		c->op.answer = ANSWER_UNKNOWN;
		c->op.ret = HISTORY_UNKNOWN;
	} else {
		c->op.ret = c->ret;
	}
	w->h.ops = mem_grow(w->h.ops, w->h.count, &w->h.room, sizeof *w->h.ops);
	w->h.ops[w->h.count++] = c->op;
}

static void
world_run(struct world *w, uint64_t seed, enum fault fault, size_t ops, unsigned unknown_percent)
{
	*w = (struct world){ .fault = fault, .now = 1, .unknown_percent = unknown_percent };
	rng_init(&w->rng, seed);
	history_init(&w->h);
	w->clients = 2 + rng_below(&w->rng, CLIENTS_MAX - 1);
	while (w->h.count < ops) {
		if (rng_below(&w->rng, 1000) == 0) {
			w->old = w->real;
			w->old_gone = 0;
		}
		if (w->old_gone == 0 && w->old.value != w->real.value)
			w->old_gone = w->now;
		for (unsigned i = 0; i < w->clients; i++) {
			struct client *c = &w->client[i];

			if (!c->asking && rng_below(&w->rng, 20) == 0)
				ask(w, i);
			if (c->asking && !c->done && c->effect == w->now) {
				bool unknown = rng_below(&w->rng, 100) < w->unknown_percent;

				if (!unknown || rng_below(&w->rng, 2) == 0)
					decide(w, c, i);
				if (unknown)
					record(w, c, true);
			}
			if (c->asking && c->done && c->ret <= w->now)
				record(w, c, false);
		}
		w->now++;
	}
	for (unsigned i = 0; i < w->clients; i++) /* the clients stop without an answer */
		if (w->client[i].asking && w->client[i].done)
			record(w, &w->client[i], true);
}

static enum search_verdict
world_verdict(struct world *w, struct buf *report)
{
	struct check_result r;
	struct err err;

	assert_int_equal(check_history(&w->h, &r, report, &err), 0);
	return r.verdict;
}

static uint64_t
number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void
seeds_of_run(uint64_t *seed, uint64_t *end)
{
	uint64_t one = number_from("SEED", 0);

	*seed = one == 0 ? 1 : one;
	*end = one == 0 ? 1 + number_from("SEEDS", SEEDS) : one + 1;
}

static void
right_ones_are_taken(void **unused)
{
	struct buf report;
	(void)unused;

	buf_init(&report, REPORT_MAX);
	for (unsigned unknown_percent = 0; unknown_percent <= 10; unknown_percent += 5) {
		uint64_t seed, end;

		for (seeds_of_run(&seed, &end); seed < end; seed++) {
			static struct world w;

			world_run(&w, seed, FAULT_NONE, OPS_MAX, unknown_percent);
			if (world_verdict(&w, &report) != SEARCH_LINEAR) {
				print_error("SEED=%" PRIu64 ", %u %% unknown\n" STR_FMT, seed,
				    unknown_percent, STR_ARG(buf_str(&report)));
				fail();
			}
			history_done(&w.h);
		}
	}
	buf_done(&report);
}

/* A fault may stay without a witness: a write that is lost beside another, a stale read of what was
 * there a moment ago. */
static void
broken_ones_are_found(void **unused)
{
	static const char *const names[] = { "none", "stale read", "lost write", "two cas",
		"two sessions" };
	(void)unused;

	for (enum fault fault = FAULT_STALE_READ; fault <= FAULT_TWO_SESSIONS; fault++) {
		unsigned planted = 0, found = 0;
		uint64_t seed, end;

		for (seeds_of_run(&seed, &end); seed < end; seed++) {
			static struct world w;

			world_run(&w, seed, fault, OPS_MAX / 2, 5);
			planted += w.planted;
			found += world_verdict(&w, NULL) == SEARCH_VIOLATION;
			history_done(&w.h);
		}
		print_message("%s: %u planted, %u found\n", names[fault], planted, found);
		assert_true(found <= planted);
		if (planted > 50)
			assert_true(found * 2 >= planted);
	}
}

/* Every order of every subset of what is unknown: for a handful of operations. */
static bool
tried_by_hand(
    const struct op *ops, const unsigned *places, size_t n, unsigned used, struct key_state state)
{
	int64_t first_return = INT64_MAX;
	bool left = false;

	for (size_t i = 0; i < n; i++) {
		if ((used >> i & 1) == 0 && ops[i].ret < first_return)
			first_return = ops[i].ret;
		left = left || ((used >> i & 1) == 0 && ops[i].ret != HISTORY_UNKNOWN);
	}
	if (!left)
		return true;
	for (size_t i = 0; i < n; i++) {
		struct key_state next = state;

		if ((used >> i & 1) == 0 && ops[i].invoke <= first_return &&
		    key_model_step(&next, &ops[i], places[i], NULL) &&
		    tried_by_hand(ops, places, n, used | 1u << i, next))
			return true;
	}
	return false;
}

/* Any operation with any answer, from few values and indexes: right by chance, or not. */
static struct op
op_random(struct rng *rng, uint32_t words)
{
	struct op op = { .verb = (enum verb)rng_below(rng, VERB_END + 1),
		.invoke = rng_below(rng, 20),
		.client = 1,
		.key = 1,
		.answer = ANSWER_YES };

	op.ret = rng_below(rng, 4) == 0 && op.verb != VERB_GET ? HISTORY_UNKNOWN
							       : op.invoke + rng_below(rng, 12);
	if (rng_below(rng, 3) == 0 && op.verb != VERB_PUT && op.verb != VERB_DELETE &&
	    op.verb != VERB_END)
		op.answer = ANSWER_NO;
	if (op.ret == HISTORY_UNKNOWN)
		op.answer = ANSWER_UNKNOWN;
	op.index = rng_below(rng, 4) + (op.verb == VERB_GET);
	op.value = 1 + rng_below(rng, words);
	if (op.verb >= VERB_ACQUIRE || (op.verb == VERB_GET && rng_below(rng, 3) == 0))
		op.session = 1 + rng_below(rng, 2);
	if (op.verb == VERB_GET && op.answer == ANSWER_YES)
		op.lock_index = rng_below(rng, 4) == 0;
	op.deletes = op.verb == VERB_END && rng_below(rng, 2) == 0;
	return op;
}

static void
as_a_search_that_tries_every_order(void **unused)
{
	unsigned good = 0;
	uint64_t seed, end;
	(void)unused;

	for (seeds_of_run(&seed, &end), end *= 50; seed < end; seed++) {
		struct op ops[7];
		const struct op *list[7];
		unsigned places[7];
		struct key_state empty = { 0 };
		struct search_result r;
		struct rng rng;
		size_t n;
		bool want;

		rng_init(&rng, seed);
		n = 1 + rng_below(&rng, 7);
		for (size_t i = 0; i < n; i++) {
			ops[i] = op_random(&rng, 3);
			list[i] = &ops[i];
			places[i] = ops[i].session;
		}
		want = tried_by_hand(ops, places, n, 0, empty);
		good += want;
		r = search_key(list, places, n);
		if (r.verdict != (want ? SEARCH_LINEAR : SEARCH_VIOLATION)) {
			print_error(
			    "SEED=%" PRIu64 ": %d, by hand %d\n", seed, (int)r.verdict, want);
			fail();
		}
		search_result_done(&r);
	}
	print_message("%u were linearizable\n", good);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_ones_are_taken),
		cmocka_unit_test(broken_ones_are_found),
		cmocka_unit_test(as_a_search_that_tries_every_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Random runs: a writer that restarts, three replicas, and a network that loses, doubles and
 * reorders pushes, ranges and announcements; floors rise anywhere at any time.
 *
 * After every step the touched replica is held against the writer's history: where it says
 * `exact`, its hash is the writer's at that (epoch, number) (RULES 20); nothing that it holds is
 * older than the last change it claims to have, or back from a removal; and what its changes told
 * adds up to what it holds. Once the network heals, all are equal. A failure prints its seed;
 * SEED=n runs that one.
 */
#include "base/rng.h"
#include "kv/delta.h"
#include "tests/unit/owner_story.h"

#define KEYS 12
#define REPLICAS 3
#define AGENTS (REPLICAS + 1) /* the last one is the writer */
#define WRITER REPLICAS
#define STEPS 400
#define SEEDS 400
#define EPOCHS_MAX 64
#define POST_MAX 48 /* messages under way */

enum message_kind { PUSH, RANGE, ASK, BASELINE };

struct message {
	enum message_kind kind;
	int from, to;
	struct epoch epoch;
	uint64_t number; /* ASK: after; BASELINE: the hash */
	struct buf bytes;
};

struct change { /* one entry of the writer's history */
	int key;
	bool gone;
	uint64_t number;
};

struct history { /* of one epoch */
	struct change changes[STEPS + KEYS];
	size_t count;
	uint64_t hash_at[STEPS + KEYS];
};

struct run {
	uint64_t seed;
	struct rng rng;
	struct owner *agents[AGENTS];
	struct blob *told[REPLICAS][KEYS]; /* what a replica's changes add up to */
	struct message post[POST_MAX];
	size_t post_count;
	struct history history[EPOCHS_MAX];
	uint64_t epoch;
	unsigned swaps, relabels, gaps, pieces; /* that the run reached what it is for */
};

static const struct uuid id = { { 9 } };
static const struct owner_limits limits = {
	.records_max = 1000, .bytes_max = 100000, .tombstones_max = 5
};

#define run_assert(run, what)                                                        \
	do {                                                                         \
		if (!(what)) {                                                       \
			print_error("seed %llu\n", (unsigned long long)(run)->seed); \
			assert_true(what);                                           \
		}                                                                    \
	} while (0)

static bool
chance(struct run *run, uint32_t percent)
{
	return rng_below(&run->rng, 100) < percent;
}

static struct str
key_name(int key, char room[4])
{
	snprintf(room, 4, "k%d", key);
	return str_of(room);
}

/* The network. */

static struct message *
post_new(struct run *run, enum message_kind kind, int from, int to)
{
	struct message *m;

	if (run->post_count == POST_MAX) { /* a full queue loses any one */
		size_t lost = rng_below(&run->rng, POST_MAX);

		buf_done(&run->post[lost].bytes);
		run->post[lost] = run->post[--run->post_count];
	}
	m = &run->post[run->post_count++];
	*m = (struct message){ .kind = kind, .from = from, .to = to };
	buf_init(&m->bytes, 1 << 16);
	return m;
}

static void
post_ask(struct run *run, int from, int to, uint64_t after)
{
	post_new(run, ASK, from, to)->number = after;
}

static void
post_range(struct run *run, int from, int to, uint64_t after)
{
	struct message *m = post_new(run, RANGE, from, to);
	size_t bytes_max = chance(run, 50) ? rng_below(&run->rng, 60) : 4096;

	if (delta_range(run->agents[from], after, bytes_max, &m->bytes) <
	    owner_digest(run->agents[from]).number)
		run->pieces++;
	if (m->bytes.n == 0)
		run->post_count--;
}

static void
post_push(struct run *run, int to, const struct record *r)
{
	struct message *m = post_new(run, PUSH, WRITER, to);
	char *room = buf_reserve(&m->bytes, record_size(r));
	struct writer w = wr_of(room, record_size(r));

	record_write(&w, r);
	buf_commit(&m->bytes, w.pos);
	m->epoch = owner_digest(run->agents[WRITER]).epoch;
}

/* The writer and its history. */

static void
history_note(struct run *run, int key, bool gone, uint64_t number)
{
	struct history *h = &run->history[run->epoch];

	h->changes[h->count++] = (struct change){ key, gone, number };
	h->hash_at[number] = owner_digest(run->agents[WRITER]).hash;
}

static void
writer_restart(struct run *run)
{
	struct owner *old = run->agents[WRITER], *new = owner_new(&id, &limits);
	bool same = chance(run, 50);

	if (run->epoch + 1 == EPOCHS_MAX)
		return;
	run->epoch++;
	owner_epoch_begin(new, (struct epoch){ run->epoch, rng_u64(&run->rng) });
	for (int key = 0; key < KEYS; key++) {
		char room[4];
		struct owner_record r;
		struct str name = key_name(key, room);

		if (old == NULL || !owner_find(old, K, name, &r) || r.gone)
			continue;
		if (!same && chance(run, 30))
			continue;
		owner_put(new, K, name, !same && chance(run, 30) ? STR("n") : blob_str(r.body),
		    NULL, NULL);
	}
	owner_baseline_end(new);
	owner_free(old);
	run->agents[WRITER] = new;
	run->history[run->epoch].hash_at[1] = owner_digest(new).hash;
	for (int key = 0; key < KEYS; key++) {
		char room[4];
		struct owner_record r;

		if (owner_find(new, K, key_name(key, room), &r))
			history_note(run, key, false, 1);
	}
	for (int to = 0; to < REPLICAS; to++) {
		struct message *m = post_new(run, BASELINE, WRITER, to);

		m->epoch = owner_digest(new).epoch;
		m->number = owner_digest(new).hash;
	}
}

static void
writer_change(struct run *run)
{
	static const char *const bodies[] = { "", "1", "2", "some longer body" };
	struct owner *w = run->agents[WRITER];
	int key = (int)rng_below(&run->rng, KEYS);
	struct owner_change c = { 0 };
	struct record r = { .kind = K };
	char room[4];

	r.key = key_name(key, room);
	if (chance(run, 35))
		owner_remove(w, K, r.key, &c);
	else if (chance(run, 10))
		owner_assert(w, K, r.key, &c);
	else
		owner_put(w, K, r.key, str_of(bodies[rng_below(&run->rng, 4)]), &c, NULL);
	if (c.number == 0)
		return;
	r.number = c.number;
	r.gone = c.after == NULL;
	r.body = blob_str(c.after);
	history_note(run, key, r.gone, r.number);
	for (int to = 0; to < REPLICAS; to++)
		post_push(run, to, &r);
	owner_change_done(&c);
}

/* The replicas. */

static void
replica_tell(struct run *run, int at, struct owner_change *c)
{
	if (c->before != NULL || c->after != NULL) {
		int key = atoi(c->key.p + 1);
		struct blob **told = &run->told[at][key];

		run_assert(run, *told == c->before);
		*told = c->after;
	}
	/* The blobs are not kept: pointers of what is held stay valid as long as it is held. */
	owner_change_done(c);
}

static void
replica_restart(struct run *run, int at)
{
	owner_free(run->agents[at]);
	run->agents[at] = owner_new(&id, &limits);
	memset(run->told[at], 0, sizeof run->told[at]);
}

static void
replica_push(struct run *run, const struct message *m)
{
	struct owner *o = run->agents[m->to];
	struct reader r = rd_of(buf_str(&m->bytes));
	struct owner_change c;
	struct record record;
	bool changed;
	enum owner_pushed as;

	run_assert(run, record_read(&r, &record));
	as = owner_push(o, m->epoch, &record, &c, &changed);
	run_assert(run, changed == (c.before != NULL || c.after != NULL));
	replica_tell(run, m->to, &c);
	if (as == OWNER_GAP || as == OWNER_OTHER_EPOCH)
		post_ask(run, m->to, m->from, owner_wanted(o, m->epoch));
	run->gaps += as == OWNER_GAP;
}

static enum owner_ranged
replica_range(struct run *run, int at, struct str bytes)
{
	struct owner *o = run->agents[at];
	struct reader r = rd_of(bytes);
	struct owner_range range;
	struct owner_change c;
	struct record record;
	struct uuid from;
	enum owner_ranged as;

	run_assert(run, delta_range_head(&r, &from, &range));
	as = owner_range_begin(o, &range);
	while (record_read(&r, &record)) {
		if (as == OWNER_RANGE_APPLY) {
			owner_range_apply(o, &record, &c);
			replica_tell(run, at, &c);
		} else if (as == OWNER_RANGE_STAGE) {
			run_assert(run, owner_stage_add(o, &record, NULL) == 0);
			if (chance(run, 3))
				return as; /* the connection breaks */
		}
	}
	if (as == OWNER_RANGE_APPLY)
		owner_range_end(o, &range);
	if (as != OWNER_RANGE_STAGE)
		return as;
	run->swaps++;
	owner_stage_swap(o, &range);
	while (owner_stage_change(o, &c))
		replica_tell(run, at, &c);
	return as;
}

static void
deliver(struct run *run, const struct message *m)
{
	struct owner *o = run->agents[m->to];

	switch (m->kind) {
	case ASK:
		post_range(run, m->to, m->from, m->number);
		break;
	case PUSH:
		replica_push(run, m);
		break;
	case RANGE:
		if (m->to != WRITER &&
		    replica_range(run, m->to, buf_str(&m->bytes)) == OWNER_RANGE_REFUSE)
			post_ask(run, m->to, m->from, owner_digest(o).number);
		break;
	case BASELINE:
		if (owner_relabel(o, m->epoch, m->number))
			run->relabels++;
		else
			post_ask(run, m->to, m->from, 0);
		break;
	}
}

/* Any message, perhaps never, perhaps again. Returns whom it went to, or -1. */
static int
post_one(struct run *run)
{
	size_t at = run->post_count == 0 ? 0 : rng_below(&run->rng, (uint32_t)run->post_count);
	struct message m;

	if (run->post_count == 0)
		return -1;
	m = run->post[at];
	if (chance(run, 25)) { /* lost */
		run->post[at] = run->post[--run->post_count];
		buf_done(&m.bytes);
		return -1;
	}
	if (chance(run, 15)) { /* doubled */
		struct message copy = m;

		buf_init(&copy.bytes, 1 << 16);
		buf_add(&copy.bytes, buf_str(&m.bytes));
		m = copy;
	} else {
		run->post[at] = run->post[--run->post_count];
	}
	deliver(run, &m);
	buf_done(&m.bytes);
	return m.to;
}

/* What must hold at every moment. */

static const struct change *
history_last(const struct history *h, int key, uint64_t upto)
{
	for (size_t i = h->count; i-- > 0;)
		if (h->changes[i].key == key && h->changes[i].number <= upto)
			return &h->changes[i];
	return NULL;
}

static void
replica_check(struct run *run, int at)
{
	const struct owner *o = run->agents[at];
	struct digest d = owner_digest(o);
	const struct history *h = &run->history[d.epoch.counter];
	size_t live = 0;

	run_assert(run, owner_floor(o) <= d.number);
	if (d.exact && d.number > 0)
		run_assert(run, d.hash == h->hash_at[d.number]);
	for (int key = 0; key < KEYS; key++) {
		const struct change *last = history_last(h, key, d.number);
		struct owner_record r;
		char room[4];
		bool held = owner_find(o, K, key_name(key, room), &r);

		live += held && !r.gone;
		run_assert(run, run->told[at][key] == (held ? r.body : NULL));
		if (last == NULL || (!d.exact && history_last(h, key, UINT64_MAX) != last))
			continue; /* a first piece leaves out what a later one has anew */
		if (!held)
			run_assert(run, last->gone && last->number <= owner_floor(o));
		else
			run_assert(run, r.number >= last->number);
		if (held && r.number == last->number)
			run_assert(run, r.gone == last->gone);
	}
	run_assert(run, live == owner_count(o));
}

static void
step(struct run *run)
{
	int at = (int)rng_below(&run->rng, REPLICAS), peer = (int)rng_below(&run->rng, AGENTS);
	uint32_t what = rng_below(&run->rng, 100);

	if (what < 30) {
		writer_change(run);
	} else if (what < 75) {
		at = post_one(run);
		if (at < 0 || at == WRITER)
			return;
	} else if (what < 88) { /* anti-entropy: shows its number to somebody */
		if (peer != at)
			post_range(run, peer, at,
			    owner_wanted(run->agents[at], owner_digest(run->agents[peer]).epoch));
	} else if (what < 96) {
		struct owner *o = run->agents[peer];

		owner_floor_raise(o, rng_below(&run->rng, (uint32_t)owner_digest(o).number + 1));
	} else if (what < 98) {
		replica_restart(run, at);
	} else {
		writer_restart(run);
	}
	replica_check(run, at);
}

/* The network is whole again: a few exchanges with the writer, in pieces, and all are equal. */
static void
heal(struct run *run, int at)
{
	struct owner *o = run->agents[at], *w = run->agents[WRITER];
	struct buf bytes;

	buf_init(&bytes, 1 << 16);
	for (int round = 0; round < 500; round++) {
		struct digest d = owner_digest(o), want = owner_digest(w);
		uint64_t after = owner_wanted(o, want.epoch);

		if (d.number == want.number && d.exact && epoch_cmp(&d.epoch, &want.epoch) == 0)
			break;
		buf_clear(&bytes);
		delta_range(w, after, rng_below(&run->rng, 100), &bytes);
		replica_range(run, at, buf_str(&bytes));
		replica_check(run, at);
	}
	buf_done(&bytes);
}

static void
assert_equal_live(struct run *run, const struct owner *a, const struct owner *b)
{
	run_assert(run, owner_count(a) == owner_count(b));
	run_assert(run, owner_bytes(a) == owner_bytes(b));
	for (int key = 0; key < KEYS; key++) {
		struct owner_record x, y;
		char room[4];
		struct str name = key_name(key, room);
		bool in_a = owner_find(a, K, name, &x) && !x.gone;
		bool in_b = owner_find(b, K, name, &y) && !y.gone;

		run_assert(run, in_a == in_b);
		if (in_a) {
			run_assert(run, x.number == y.number);
			run_assert(run, str_eq(blob_str(x.body), blob_str(y.body)));
		}
	}
}

static struct run *
run_one(uint64_t seed)
{
	struct run *run = calloc(1, sizeof *run);

	run->seed = seed;
	rng_init(&run->rng, seed);
	for (int at = 0; at < REPLICAS; at++)
		run->agents[at] = owner_new(&id, &limits);
	writer_restart(run);
	for (int i = 0; i < STEPS; i++)
		step(run);
	for (int at = 0; at < REPLICAS; at++) {
		struct digest d, w = owner_digest(run->agents[WRITER]);

		heal(run, at);
		d = owner_digest(run->agents[at]);
		run_assert(run, epoch_cmp(&d.epoch, &w.epoch) == 0 && d.number == w.number);
		run_assert(run, d.hash == w.hash && d.exact);
		assert_equal_live(run, run->agents[at], run->agents[WRITER]);
		owner_free(run->agents[at]);
	}
	owner_free(run->agents[WRITER]);
	while (run->post_count > 0)
		buf_done(&run->post[--run->post_count].bytes);
	return run;
}

static void
replicas_agree_whatever_the_network_does(void **unused)
{
	const char *one = getenv("SEED");
	uint64_t first = one == NULL ? 1 : strtoull(one, NULL, 10);
	unsigned swaps = 0, relabels = 0, gaps = 0, pieces = 0;

	(void)unused;
	for (uint64_t seed = first; seed < first + (one == NULL ? SEEDS : 1); seed++) {
		struct run *run = run_one(seed);

		swaps += run->swaps;
		relabels += run->relabels;
		gaps += run->gaps;
		pieces += run->pieces;
		free(run);
	}
	print_message("%u swaps, %u relabels, %u gaps, %u pieces\n", swaps, relabels, gaps, pieces);
	if (one == NULL)
		assert_true(swaps > SEEDS && relabels > SEEDS && gaps > SEEDS && pieces > SEEDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replicas_agree_whatever_the_network_does),
	};

	return cmocka_run_group_tests_name("owner runs", tests, NULL, NULL);
}

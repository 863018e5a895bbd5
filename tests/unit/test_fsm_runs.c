/* Random runs against a naive model: an array of keys, gone over from end to end for everything.
 *
 * After each operation: its result, every key, every prefix with its index, and who woke. A
 * snapshot and restore in the middle must be invisible. A failure prints its seed.
 */
#include "base/rng.h"
#include "tests/unit/fsm_fixture.h"

enum { KEYS = 10, SESSIONS = 3, PREFIXES = 7, STEPS = 400, SEEDS = 60 };

static const char *const key_names[KEYS] = { "a", "a/", "a/b", "a/b/c", "a/bc", "b", "b/a", "",
	"ab", "b/a/\001\xff" };
static const char *const prefixes[PREFIXES] = { "", "a", "a/", "a/b", "b", "b/a/", "none" };
static const char *const values[] = { "", "1", "two" };

struct model_key {
	bool there;
	const char *value;
	uint64_t create, modify, lock_index, flags;
	int session;           /* -1: none */
	uint64_t deleted;      /* index; 0: not since the last reap */
	nsec open_at;          /* lock delay */
	bool closed;
};

struct model {
	struct model_key keys[KEYS];
	struct {
		bool there;
		nsec delay;
		bool deletes;
	} sessions[SESSIONS];
	uint64_t floor;
	bool touched[KEYS];
};

static void
uuid_text(int session, char *out)
{
	memcpy(out, "00000001-0000-4000-8000-000000000000", UUID_TEXT_LEN + 1);
	out[7] = (char)('1' + session);
}

static void
model_put(struct model *m, size_t k, uint64_t index, const char *value, uint64_t flags,
    uint64_t lock_index, int session)
{
	struct model_key *e = &m->keys[k];

	if (e->there && strcmp(e->value, value) == 0 && e->flags == flags &&
	    e->lock_index == lock_index && e->session == session)
		return;
	if (!e->there)
		e->create = index;
	e->there = true;
	e->value = value;
	e->flags = flags;
	e->lock_index = lock_index;
	e->session = session;
	e->modify = index;
	e->deleted = 0;
	if (session >= 0)
		e->closed = false;
	m->touched[k] = true;
}

static void
model_delete(struct model *m, size_t k, uint64_t index)
{
	if (!m->keys[k].there)
		return;
	m->keys[k].there = false;
	m->keys[k].deleted = index;
	m->touched[k] = true;
}

static int
model_kv(struct model *m, nsec now, uint64_t index, const struct kv_op *op, size_t k, int session,
    const char *value)
{
	struct model_key *e = &m->keys[k];
	int holder = e->there ? e->session : -1;

	switch (op->verb) {
	case KV_SET:
		model_put(m, k, index, value, op->flags, 0, holder);
		return FSM_TRUE;
	case KV_CAS:
		if (op->index != (e->there ? e->modify : 0))
			return FSM_FALSE;
		model_put(m, k, index, value, op->flags, 0, holder);
		return FSM_TRUE;
	case KV_LOCK:
		if (e->closed && e->open_at > now)
			return FSM_FALSE;
		if (!m->sessions[session].there)
			return FSM_ERROR;
		if (holder >= 0 && holder != session)
			return FSM_FALSE;
		model_put(m, k, index, value, op->flags,
		    !e->there ? 1 : holder == session ? e->lock_index : e->lock_index + 1, session);
		return FSM_TRUE;
	case KV_UNLOCK:
		if (!e->there || holder != session)
			return FSM_FALSE;
		model_put(m, k, index, value, op->flags, e->lock_index, -1);
		return FSM_TRUE;
	case KV_DELETE_CAS:
		if (e->there && op->index != e->modify)
			return FSM_FALSE;
		model_delete(m, k, index);
		return FSM_TRUE;
	case KV_DELETE_TREE:
		for (size_t i = 0; i < KEYS; i++)
			if (str_starts(str_of(key_names[i]), op->key))
				model_delete(m, i, index);
		return FSM_TRUE;
	default:
		model_delete(m, k, index);
		return FSM_TRUE;
	}
}

static void
model_end(struct model *m, nsec now, uint64_t index, int s)
{
	for (size_t k = 0; k < KEYS && m->sessions[s].there; k++) {
		struct model_key *e = &m->keys[k];

		if (!e->there || e->session != s)
			continue;
		if (m->sessions[s].delay > 0) {
			e->closed = true;
			e->open_at = now + m->sessions[s].delay;
		}
		if (m->sessions[s].deletes)
			model_delete(m, k, index);
		else
			model_put(m, k, index, e->value, e->flags, e->lock_index, -1);
	}
	m->sessions[s].there = false;
}

/* Up to four changes at once, that fail together when one of them does. */
static void
random_kv(struct run *r, struct model *m, struct rng *rng, bool together)
{
	static const enum kv_verb verbs[] = { KV_SET, KV_CAS, KV_LOCK, KV_UNLOCK, KV_DELETE,
		KV_DELETE_TREE, KV_DELETE_CAS, KV_LOCK };
	struct fsm_op *op = mem_new(struct fsm_op);
	struct model *trial = mem_new(struct model);
	char ids[4][37];
	int want = FSM_TRUE, got;

	*trial = *m;
	op->command = together ? FSM_TXN : FSM_KV;
	op->kv_count = together ? 1 + rng_below(rng, 4) : 1;
	for (size_t i = 0; i < op->kv_count; i++) {
		size_t k = rng_below(rng, KEYS);
		int session = (int)rng_below(rng, SESSIONS), one;
		const char *value = values[rng_below(rng, 3)];
		struct kv_op *kv = &op->kv[i];

		uuid_text(session, ids[i]);
		*kv = (struct kv_op){ verbs[rng_below(rng, 8)], str_of(key_names[k]),
			str_of(value), rng_below(rng, 2), 0, str_of(ids[i]) };
		if (rng_below(rng, 3) > 0)
			kv->index = trial->keys[k].there ? trial->keys[k].modify : 0;
		one = model_kv(trial, r->now, r->raft + 1, kv, k, session, value);
		if (one != FSM_TRUE)
			want = one;
	}
	got = run_op(r, op);
	if (together)
		assert_int_equal(got, want == FSM_TRUE ? FSM_RESULTS : FSM_ERRORS);
	else
		assert_int_equal(got, want);
	if (want == FSM_TRUE)
		*m = *trial;
	free(trial);
	free(op);
}

static void
random_session(struct run *r, struct model *m, struct rng *rng)
{
	int s = (int)rng_below(rng, SESSIONS);
	char id[37];

	uuid_text(s, id);
	if (m->sessions[s].there) {
		run_end(r, id);
		model_end(m, r->now, r->raft, s);
		return;
	}
	m->sessions[s].there = true;
	m->sessions[s].delay = (nsec)rng_below(rng, 2) * 3 * NSEC_SEC;
	m->sessions[s].deletes = rng_below(rng, 2) == 0;
	run_session(r, id, 0, m->sessions[s].delay,
	    m->sessions[s].deletes ? SESSION_DELETE : SESSION_RELEASE);
}

static void
random_reap(struct run *r, struct model *m, struct rng *rng)
{
	struct fsm_op *op = mem_new(struct fsm_op);

	op->command = FSM_REAP;
	op->reap_tombstones = rng_below(rng, (uint32_t)r->raft + 1);
	op->reap_delays = keys_delays_over(r->keys, r->now, fsm_index(r->fsm));
	run_op(r, op);
	for (size_t k = 0; k < KEYS; k++) {
		struct model_key *e = &m->keys[k];

		if (e->there || e->deleted == 0 || e->deleted > op->reap_tombstones)
			continue;
		m->floor = e->deleted > m->floor ? e->deleted : m->floor;
		e->deleted = 0;
	}
	free(op);
}

static void
check_keys(struct run *r, const struct model *m)
{
	for (size_t k = 0; k < KEYS; k++) {
		const struct model_key *e = &m->keys[k];
		struct key_entry *got = run_key(r, key_names[k]);

		assert_int_equal(got != NULL, e->there);
		if (got == NULL)
			continue;
		assert_str(blob_str(got->value), e->value);
		assert_true(got->create == e->create && got->modify == e->modify);
		assert_true(got->lock_index == e->lock_index && got->flags == e->flags);
		assert_int_equal(got->held, e->session >= 0);
		if (got->held)
			assert_int_equal(got->session.b[3], e->session + 1);
		assert_true(key_index(r->keys, str_of(key_names[k])) == e->modify);
	}
}

static void
check_prefixes(struct run *r, const struct model *m, uint64_t said[PREFIXES])
{
	for (size_t p = 0; p < PREFIXES; p++) {
		struct str prefix = str_of(prefixes[p]);
		uint64_t want = m->floor > 1 ? m->floor : 1, most = 0, got;
		size_t there = 0, seen = 0;

		for (size_t k = 0; k < KEYS; k++) {
			const struct model_key *e = &m->keys[k];
			uint64_t own = e->there ? e->modify : e->deleted;

			if (!str_starts(str_of(key_names[k]), prefix))
				continue;
			there += e->there;
			want = own > want ? own : want;
		}
		for (struct key_entry *e = key_prefix_first(r->keys, prefix); e != NULL;
		     e = key_prefix_next(r->keys, prefix, e), seen++)
			most = e->modify > most ? e->modify : most;
		got = key_prefix_index(r->keys, prefix, most);
		assert_int_equal(seen, there);
		assert_true(got == want && got >= said[p]);
		said[p] = got;
	}
}

struct waits {
	struct waiter keys[KEYS], below[PREFIXES];
};

static void
wait_for_all(struct run *r, struct waits *w)
{
	for (size_t k = 0; k < KEYS; k++) {
		struct watch_key key = { WATCH_KEY, str_of(key_names[k]) };

		watch_cancel(r->watches, &w->keys[k]);
		watch_wait(r->watches, &w->keys[k], &key, 1);
	}
	for (size_t p = 0; p < PREFIXES; p++) {
		struct watch_key key = { WATCH_KEY_PREFIX, str_of(prefixes[p]) };

		watch_cancel(r->watches, &w->below[p]);
		watch_wait(r->watches, &w->below[p], &key, 1);
	}
}

static void
check_woken(struct run *r, const struct model *m, struct waits *w)
{
	while (watch_ready_next(r->watches) != NULL)
		;
	for (size_t k = 0; k < KEYS; k++)
		assert_int_equal(w->keys[k].link_count == 0, m->touched[k]);
	for (size_t p = 0; p < PREFIXES; p++) {
		bool touched = false;

		for (size_t k = 0; k < KEYS; k++)
			touched |= m->touched[k] &&
			           str_starts(str_of(key_names[k]), str_of(prefixes[p]));
		assert_int_equal(w->below[p].link_count == 0, touched);
	}
}

/* Another server that gets the state as it is now and goes on in its place. */
static void
change_server(struct run *r, struct rng *rng)
{
	struct buf a, b;

	buf_init(&a, FSM_RUN_MAX);
	buf_init(&b, FSM_RUN_MAX);
	run_snapshot(r, 1 + rng_below(rng, 300), &a);
	fsm_free(r->fsm);
	r->fsm = fsm_new(r->watches);
	assert_int_equal(run_load(r, buf_str(&a), 1 + rng_below(rng, 300)), 0);
	run_snapshot(r, 1 + rng_below(rng, 300), &b);
	assert_true(str_eq(buf_str(&a), buf_str(&b)));
	buf_done(&a);
	buf_done(&b);
}

static void
one_run(uint64_t seed)
{
	struct run r;
	struct model m;
	struct waits w = { 0 };
	struct rng rng;
	uint64_t said[PREFIXES] = { 0 };

	memset(&m, 0, sizeof m);
	rng_init(&rng, seed);
	run_init(&r);
	for (size_t k = 0; k < KEYS; k++)
		m.keys[k].session = -1;
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t what = rng_below(&rng, 20);

		/* time stands still between the snapshot and what it says about delays */
		if (step % 97 == 96 && keys_closed_count(r.keys) == 0)
			change_server(&r, &rng);
		wait_for_all(&r, &w);
		memset(m.touched, 0, sizeof m.touched);
		if (what < 10)
			random_kv(&r, &m, &rng, false);
		else if (what < 15)
			random_kv(&r, &m, &rng, true);
		else if (what < 19)
			random_session(&r, &m, &rng);
		else
			random_reap(&r, &m, &rng);
		r.now += (nsec)rng_below(&rng, 2) * NSEC_SEC;
		check_keys(&r, &m);
		check_prefixes(&r, &m, said);
		check_woken(&r, &m, &w);
	}
	for (size_t k = 0; k < KEYS; k++)
		watch_cancel(r.watches, &w.keys[k]);
	for (size_t p = 0; p < PREFIXES; p++)
		watch_cancel(r.watches, &w.below[p]);
	run_done(&r);
}

static uint64_t running; /* the seed, for who reads a failure */

static int
tell_seed(void **unused)
{
	(void)unused;
	if (running != 0)
		print_error("the last seed was %llu\n", (unsigned long long)running);
	return 0;
}

static void
random_runs(void **unused)
{
	(void)unused;
	for (running = 1; running <= SEEDS; running++)
		one_run(running);
	running = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(random_runs, tell_seed),
	};

	return cmocka_run_group_tests_name("fsm_runs", tests, NULL, NULL);
}

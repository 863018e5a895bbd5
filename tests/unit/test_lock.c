/* muster lock against a store of keys, over a network that delays, loses and fails: never more of
 * the programs than may hold the lock run unasked to end, and all come to an end.
 *
 * Time is data. `SEED=n` repeats one run, `SEEDS=n` makes many.
 */
#include <signal.h>
#include <stdio.h>

#include "agent/cmd/holders.h"
#include "agent/cmd/lock.h"
#include "base/json.h"
#include "base/rng.h"
#include "tests/unit/fsm_fixture.h"

#define LOCKS 5
#define STEP (5 * NSEC_MS)
#define RUN_MAX (30 * NSEC_MIN)

struct flight { /* a request under way */
	bool used, lost;
	char method[8], path[512], body[2048];
	nsec serve_at, until, answer_at; /* answer_at: 0 until it is served */
	int status;
	uint64_t index;
	struct buf answer;
};

struct locker {
	struct lock *lock;
	struct flight flights[LOCK_SLOTS];
	nsec cut_until;   /* nothing gets through */
	nsec child_until; /* 0: no program runs */
	bool asked_to_end, deaf, done, ok, ran;
};

struct world {
	struct run run;
	struct rng rng;
	nsec now;
	unsigned limit;
	bool faults;
	struct locker lockers[LOCKS];
	unsigned sessions, most;
};

/* --- the agent's side --- */

static struct str
param(struct str query, const char *name)
{
	while (query.p != NULL) {
		struct str part = str_cut(&query, '&'), key = str_cut(&part, '=');

		if (str_eq(key, str_of(name)))
			return part.p == NULL ? STR("") : part;
	}
	return STR_NONE;
}

static uint64_t
param_number(struct str query, const char *name)
{
	uint64_t n = 0;

	str_u64(param(query, name), UINT64_MAX, &n);
	return n;
}

static void
serve_session(struct world *w, struct flight *f, struct str what)
{
	struct uuid id;
	char text[64];

	if (str_eq(what, STR("create"))) {
		bool delete = strstr(f->body, "\"Behavior\":\"delete\"") != NULL;

		snprintf(text, sizeof text, "00000000-0000-4000-8000-%012x", ++w->sessions);
		run_session(&w->run, text, LOCK_TTL, 0, delete ? SESSION_DELETE : SESSION_RELEASE);
		buf_addf(&f->answer, "{\"ID\":\"%s\"}", text);
	} else if (str_starts(what, STR("renew/"))) {
		assert_true(uuid_parse(str_skip(what, 6), &id));
		if (session_renew(fsm_sessions(w->run.fsm), &id, w->now) == NULL)
			f->status = 404;
		else
			buf_add(&f->answer, STR("[{\"TTL\":\"15s\"}]"));
	} else {
		assert_true(str_starts(what, STR("destroy/")));
		snprintf(text, sizeof text, STR_FMT, STR_ARG(str_skip(what, 8)));
		run_end(&w->run, text);
		buf_add(&f->answer, STR("true"));
	}
}

static void
serve_read(struct world *w, struct flight *f, struct str key, bool all)
{
	struct key_entry *e = key_prefix_first(w->run.keys, key);
	char id[UUID_TEXT_LEN + 1];
	struct jw j;

	f->index = fsm_index(w->run.fsm);
	jw_init(&j, &f->answer, false);
	jw_array(&j);
	f->status = 404;
	for (; e != NULL; e = key_prefix_next(w->run.keys, key, e)) {
		if (!all && !str_eq(key_name(e), key))
			continue;
		f->status = 200;
		jw_object(&j);
		jw_ku64(&j, "LockIndex", e->lock_index);
		jw_kstr(&j, "Key", key_name(e));
		jw_ku64(&j, "Flags", e->flags);
		jw_key(&j, STR("Value"));
		jw_base64(&j, e->value == NULL ? STR_NONE : blob_str(e->value));
		if (e->held)
			jw_kstr(&j, "Session", str_of(uuid_format(&e->session, id)));
		jw_ku64(&j, "CreateIndex", e->create);
		jw_ku64(&j, "ModifyIndex", e->modify);
		jw_object_end(&j);
	}
	jw_array_end(&j);
	if (f->status == 404)
		buf_clear(&f->answer);
}

static void
serve_write(struct world *w, struct flight *f, struct str key, struct str query)
{
	bool delete = strcmp(f->method, "DELETE") == 0, cas = param(query, "cas").p != NULL;
	struct kv_op op = { .verb = delete ? KV_DELETE : KV_SET,
		.key = key,
		.value = str_of(f->body),
		.flags = param_number(query, "flags"),
		.index = param_number(query, "cas") };
	int status;

	if (param(query, "acquire").p != NULL) {
		op.verb = KV_LOCK;
		op.session = param(query, "acquire");
	} else if (param(query, "release").p != NULL) {
		op.verb = KV_UNLOCK;
		op.session = param(query, "release");
	} else if (cas) {
		op.verb = delete ? KV_DELETE_CAS : KV_CAS;
	}
	status = run_kv(&w->run, op);
	if (status == FSM_ERROR)
		f->status = 500;
	else
		buf_add(&f->answer, status == FSM_TRUE ? STR("true") : STR("false"));
}

/* False: it blocks, and nothing has changed yet. */
static bool
serve(struct world *w, struct flight *f)
{
	struct str query = str_of(f->path), path = str_cut(&query, '?'), key;
	uint64_t index = param_number(query, "index");
	bool read = strcmp(f->method, "GET") == 0;

	if (read && index != 0 && fsm_index(w->run.fsm) == index && w->now < f->until)
		return false;
	f->status = 200;
	buf_clear(&f->answer);
	if (w->faults && rng_below(&w->rng, 40) == 0) {
		f->status = 500;
		buf_add(&f->answer, STR("No cluster leader"));
	} else if (str_starts(path, STR("/v1/session/"))) {
		serve_session(w, f, str_skip(path, 12));
	} else {
		assert_true(str_starts(path, STR("/v1/kv/")));
		key = str_skip(path, 7);
		if (read)
			serve_read(w, f, key, param(query, "recurse").p != NULL);
		else
			serve_write(w, f, key, query);
	}
	f->answer_at = w->now + rng_below(&w->rng, 30) * NSEC_MS;
	return true;
}

/* --- the shell's side --- */

static void
ask(struct world *w, struct locker *l, const struct lock_action *a)
{
	struct flight *f = &l->flights[a->slot];

	assert_false(f->used);
	f->used = true;
	f->lost = w->faults && rng_below(&w->rng, 30) == 0;
	snprintf(f->method, sizeof f->method, "%s", a->method);
	snprintf(f->path, sizeof f->path, STR_FMT, STR_ARG(a->path));
	snprintf(f->body, sizeof f->body, STR_FMT, STR_ARG(a->body));
	f->serve_at = w->now + rng_below(&w->rng, 30) * NSEC_MS;
	f->answer_at = 0;
	if (w->now < l->cut_until) {
		f->lost = true;
		if (rng_below(&w->rng, 2) == 0) { /* already on its way there */
			f->serve_at = NSEC_NEVER;
			f->answer_at = w->now + NSEC_SEC;
		}
	}
	f->until = w->now + nsec_min(a->time, 20 * NSEC_SEC);
}

static void
carry_out(struct world *w, struct locker *l)
{
	struct lock_action a;

	while (lock_action_next(l->lock, &a)) {
		switch (a.kind) {
		case LOCK_ASK:
			ask(w, l, &a);
			break;
		case LOCK_DROP:
			assert_true(l->flights[a.slot].used);
			l->flights[a.slot].used = false;
			break;
		case LOCK_RUN:
			assert_true(l->child_until == 0 && !l->ran);
			l->ran = true;
			l->deaf = rng_below(&w->rng, 4) == 0;
			l->child_until = w->now + rng_below(&w->rng, 40000) * NSEC_MS;
			break;
		case LOCK_KILL:
			assert_true(l->child_until != 0);
			l->asked_to_end = true;
			if (a.signal == SIGKILL || !l->deaf)
				l->child_until = w->now + 20 * NSEC_MS;
			else
				l->child_until = w->now + NSEC_HOUR;
			break;
		case LOCK_SAY:
			if (getenv("TRACE") != NULL)
				printf("%8.3f %td: " STR_FMT "\n", (double)w->now / 1e9,
				    l - w->lockers, STR_ARG(a.text));
			break;
		case LOCK_DONE:
			l->done = true;
			l->ok = a.ok;
			break;
		}
	}
}

static void
answer(struct world *w, struct locker *l, enum lock_slot slot)
{
	struct flight *f = &l->flights[slot];
	struct lock_answer a = { f->status, f->index, buf_str(&f->answer) };

	if (f->lost)
		a = (struct lock_answer){ .status = 0, .body = STR("it is lost") };
	f->used = false;
	lock_answer(l->lock, w->now, slot, &a);
	carry_out(w, l);
}

static void
locker_step(struct world *w, struct locker *l)
{
	for (int slot = 0; slot < LOCK_SLOTS && !l->done; slot++) {
		struct flight *f = &l->flights[slot];

		if (f->used && f->answer_at == 0 && w->now >= f->serve_at)
			serve(w, f);
		if (f->used && f->answer_at != 0 && w->now >= f->answer_at)
			answer(w, l, (enum lock_slot)slot);
	}
	if (l->child_until != 0 && w->now >= l->child_until) {
		l->child_until = 0;
		lock_child_ended(l->lock, w->now);
		carry_out(w, l);
	}
	if (!l->done && w->now >= lock_deadline(l->lock)) {
		lock_tick(l->lock, w->now);
		carry_out(w, l);
	}
}

static void
sessions_step(struct world *w)
{
	char id[UUID_TEXT_LEN + 1];
	struct uuid ended;

	w->run.now = w->now;
	while (session_expired_next(fsm_sessions(w->run.fsm), w->now, &ended))
		run_end(&w->run, uuid_format(&ended, id));
}

static void
world_begin(struct world *w, uint64_t seed, unsigned limit, bool faults)
{
	*w = (struct world){ .limit = limit, .faults = faults, .now = NSEC_SEC };
	rng_init(&w->rng, seed);
	run_init(&w->run);
	w->run.now = w->now;
	sessions_lead(fsm_sessions(w->run.fsm), w->now);
	for (size_t i = 0; i < LOCKS; i++) {
		struct lock_config config = { .prefix = STR("p"),
			.name = STR("n"),
			.limit = limit,
			.monitor_retries = 3,
			.verbose = true };

		if (faults && rng_below(&w->rng, 3) == 0)
			config.timeout = rng_below(&w->rng, 60) * NSEC_SEC;
		for (int slot = 0; slot < LOCK_SLOTS; slot++)
			buf_init(&w->lockers[i].flights[slot].answer, 1 << 20);
		w->lockers[i].lock = lock_new(&config, w->now);
		carry_out(w, &w->lockers[i]);
	}
}

static void
world_end(struct world *w)
{
	for (size_t i = 0; i < LOCKS; i++) {
		lock_free(w->lockers[i].lock);
		for (int slot = 0; slot < LOCK_SLOTS; slot++)
			buf_done(&w->lockers[i].flights[slot].answer);
	}
	run_done(&w->run);
}

static unsigned
holding(const struct world *w)
{
	unsigned n = 0;

	for (size_t i = 0; i < LOCKS; i++)
		n += w->lockers[i].child_until != 0 && !w->lockers[i].asked_to_end;
	return n;
}

static bool
all_done(const struct world *w)
{
	for (size_t i = 0; i < LOCKS; i++)
		if (!w->lockers[i].done)
			return false;
	return true;
}

static void
world_run(struct world *w)
{
	while (!all_done(w)) {
		w->now += STEP;
		assert_true(w->now < RUN_MAX);
		sessions_step(w);
		for (size_t i = 0; i < LOCKS; i++)
			if (!w->lockers[i].done)
				locker_step(w, &w->lockers[i]);
		if (holding(w) > w->most)
			w->most = holding(w);
		assert_true(holding(w) <= w->limit);
		if (w->faults && rng_below(&w->rng, 20000) == 0)
			lock_stop(w->lockers[rng_below(&w->rng, LOCKS)].lock, w->now);
		if (w->faults && rng_below(&w->rng, 2000) == 0)
			w->lockers[rng_below(&w->rng, LOCKS)].cut_until =
			    w->now + rng_below(&w->rng, 60) * NSEC_SEC;
		for (size_t i = 0; i < LOCKS; i++)
			carry_out(w, &w->lockers[i]);
	}
}

static void
everybody_has_it_once_and_nothing_is_left(void **unused)
{
	(void)unused;
	for (unsigned limit = 1; limit <= 3; limit++) {
		struct world w;

		world_begin(&w, limit, limit, false);
		world_run(&w);
		for (size_t i = 0; i < LOCKS; i++)
			assert_true(w.lockers[i].ok && w.lockers[i].ran);
		assert_int_equal(w.most, limit); /* and so many at once, where they may */
		assert_int_equal(keys_count(w.run.keys), 0);
		assert_int_equal(session_count(fsm_sessions(w.run.fsm)), 0);
		world_end(&w);
	}
}

static void
random_runs(void **unused)
{
	const char *seeds = getenv("SEEDS"), *one = getenv("SEED");
	uint64_t first = one == NULL ? 1 : strtoull(one, NULL, 10);
	uint64_t count = one != NULL ? 1 : seeds == NULL ? 40 : strtoull(seeds, NULL, 10);

	(void)unused;
	for (uint64_t seed = first; seed < first + count; seed++) {
		struct world w;

		print_message("seed %llu\n", (unsigned long long)seed);
		world_begin(&w, seed, 1 + (unsigned)seed % 3, true);
		world_run(&w);
		world_end(&w);
	}
}

/* The agent is not heard any more: before the session can end there, the program is told. */
static void
silence_ends_it_before_the_session_can_end(void **unused)
{
	struct lock_config config = {
		.prefix = STR("p"), .name = STR("n"), .limit = 1, .monitor_retries = 1000
	};
	struct lock *l = lock_new(&config, NSEC_SEC);
	struct lock_answer id = { .status = 200, .body = STR("{\"ID\":\"s\"}") };
	struct lock_answer none = { .status = 404 }, yes = { .status = 200, .body = STR("true") };
	struct lock_action a;
	bool killed = false;
	nsec now = NSEC_SEC;

	(void)unused;
	lock_answer(l, now, LOCK_MAIN, &id);
	lock_answer(l, now, LOCK_MAIN, &none);
	lock_answer(l, now, LOCK_MAIN, &yes);
	for (int turns = 0; !killed; turns++) {
		now = lock_deadline(l);
		assert_true(now <= NSEC_SEC + LOCK_TTL && turns < 100);
		lock_tick(l, now);
		while (lock_action_next(l, &a))
			killed = killed || a.kind == LOCK_KILL;
	}
	assert_true(now == NSEC_SEC + LOCK_TTL);
	lock_free(l);
}

static void
holders_are_told_as_go_tells_them(void **unused)
{
	static const char *const broken[] = { "[]", "{", "1", "{\"Holders\":[]}" };
	struct holders h = { .limit = 2 };
	struct arena arena;
	struct buf b, list;
	json_t *v = NULL;

	(void)unused;
	arena_init(&arena, 1 << 20);
	buf_init(&b, 4096);
	buf_init(&list, 4096);
	h.ids = arena_array(&arena, struct str, 3);
	holders_write(&h, STR("b"), STR_NONE, &b);
	assert_str(buf_str(&b), "{\"Limit\":2,\"Holders\":{\"b\":true}}");
	h.ids[0] = STR("a");
	h.ids[1] = STR("c");
	h.count = 2;
	buf_clear(&b);
	holders_write(&h, STR("b"), STR("c"), &b);
	assert_str(buf_str(&b), "{\"Limit\":2,\"Holders\":{\"a\":true,\"b\":true}}");
	buf_clear(&b);
	holders_write(&h, STR("d"), STR_NONE, &b);
	assert_str(buf_str(&b), "{\"Limit\":2,\"Holders\":{\"a\":true,\"c\":true,\"d\":true}}");
	/* dead ones do not count */
	buf_addf(&list,
	    "[{\"Key\":\"p/.lock\",\"Flags\":%llu,\"LockIndex\":0,\"CreateIndex\":1,"
	    "\"ModifyIndex\":9,\"Value\":",
	    (unsigned long long)SEMAPHORE_FLAGS);
	{
		struct jw w;

		jw_init(&w, &list, false);
		jw_base64(&w, buf_str(&b));
	}
	buf_add(&list, STR("},{\"Key\":\"p/c\",\"Session\":\"c\"}]"));
	assert_int_equal(json_read_wide(buf_str(&list), &v, NULL), 0);
	assert_int_equal(holders_read(&arena, v, STR("p/.lock"), 2, &h, NULL), 0);
	assert_int_equal(h.count, 1);
	assert_true(holders_have(&h, STR("c")) && !holders_have(&h, STR("a")));
	assert_true(h.modify == 9 && h.limit == 2 && h.flags == SEMAPHORE_FLAGS);
	json_decref(v);
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		struct jw w;
		int rc;

		buf_clear(&list);
		buf_addf(&list,
		    "[{\"Key\":\"k\",\"Flags\":%llu,\"LockIndex\":0,\"CreateIndex\":1,"
		    "\"ModifyIndex\":9,\"Value\":",
		    (unsigned long long)SEMAPHORE_FLAGS);
		jw_init(&w, &list, false);
		jw_base64(&w, str_of(broken[i]));
		buf_add(&list, STR("}]"));
		assert_int_equal(json_read_wide(buf_str(&list), &v, NULL), 0);
		rc = holders_read(&arena, v, STR("k"), 2, &h, NULL);
		assert_true(rc == ERR_INPUT || (rc == 0 && h.count == 0));
		json_decref(v);
	}
	buf_done(&list);
	buf_done(&b);
	arena_done(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holders_are_told_as_go_tells_them),
		cmocka_unit_test(silence_ends_it_before_the_session_can_end),
		cmocka_unit_test(everybody_has_it_once_and_nothing_is_left),
		cmocka_unit_test(random_runs),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}

/* What is held back for a while: flaps, a service that would lose too much; and random words. */
#include "tests/unit/presence_fixture.h"

#include "base/rng.h"

static void
a_third_flap_within_a_minute_waits(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	for (int i = 0; i < 3; i++) {
		tale_at(&t, 10 + 15 * i);
		tale_word(&t, "a", PRESENCE_FAILED);
		tale_at(&t, 12 + 15 * i);
		if (i < 2)
			tale_word(&t, "a", PRESENCE_ALIVE);
	}
	tale_told(&t, "10 a failed\n12 a alive\n25 a failed\n27 a alive\n40 a kept\n");
	tale_at(&t, 65);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 66);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 300);
	tale_told(&t, "65 a alive\n66 a kept\n70 a failed\n");
	assert_int_equal(presence_stats(t.p).damped, 2);
	presence_free(t.p);
}

static void
how_many_flaps_are_fine_is_set(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	presence_configure(t.p, 0, 1);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 1);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 2);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 100);
	tale_told(&t, "0 a failed\n1 a alive\n2 a kept\n60 a failed\n");
	presence_free(t.p);
}

static void
hiding_holds_back_for_a_services_sake(void **unused)
{
	struct fix f = fix_new();
	struct tale t = share_tale(&f, 40, "abcde");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 20);
	tale_word(&t, "b", PRESENCE_FAILED);
	tale_at(&t, 40);
	tale_word(&t, "c", PRESENCE_FAILED); /* would be three of five */
	tale_told(&t, "0 a failed\n20 b failed\n40 c kept\n");
	assert_int_equal(presence_stats(t.p).held, 1);
	tale_at(&t, 50);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 60); /* two of five is fine, and noticed within a second */
	tale_told(&t, "50 a alive\n51 c failed\n");
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 400); /* until c has been hidden for so long that it counts no more */
	tale_told(&t, "60 a kept\n171 a failed\n");
	assert_int_equal(presence_stats(t.p).held, 2);
	presence_free(t.p);
	store_free(f.store);
}

static void
what_one_node_takes_away_is_never_held_back(void **unused)
{
	struct fix f = fix_new();
	struct tale t = share_tale(&f, 10, "ab");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n");
	presence_free(t.p);
	store_free(f.store);
}

static void
without_the_option_nothing_is_held_back(void **unused)
{
	struct fix f = fix_new();
	struct tale t = share_tale(&f, 0, "abcdef");

	(void)unused;
	tale_word(&t, "abc", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n0 b failed\n0 c failed\n");
	presence_free(t.p);
	store_free(f.store);
}

/* Random words about a few members, with and without silence: a sign of life is shown at once, what
 * left is gone, no timer spins, and every wait ends. */
#define RUN_MEMBERS 6

struct run {
	uint64_t seed;
	struct presence *p;
	struct rng rng;
	nsec now;
	enum { RUN_NONE, RUN_ALIVE, RUN_FAILED, RUN_LEFT } word[RUN_MEMBERS]; /* the last */
	enum store_member_state told[RUN_MEMBERS];
	nsec grace_until[RUN_MEMBERS]; /* no grace is longer */
};

#define run_holds(r, condition)                                                    \
	do {                                                                       \
		if (!(condition))                                                  \
			print_error("seed %llu\n", (unsigned long long)(r)->seed); \
		assert_true(condition);                                            \
	} while (0)

static void
run_word(struct run *r, uint32_t i)
{
	struct uuid id = tale_id((char)('a' + i));
	uint32_t what = rng_below(&r->rng, 20);

	if (what < 8) {
		presence_member(r->p, r->now, &id, PRESENCE_ALIVE);
		r->word[i] = RUN_ALIVE;
	} else if (what < 15) {
		presence_member(r->p, r->now, &id, PRESENCE_FAILED);
		r->word[i] = RUN_FAILED;
	} else if (what == 15) {
		presence_member(r->p, r->now, &id, PRESENCE_LEFT);
		r->word[i] = RUN_LEFT;
	} else if (what == 16) {
		presence_restarts(r->p, r->now, &id, rng_below(&r->rng, 60) * NSEC_SEC);
		r->grace_until[i] = r->now + 60 * NSEC_SEC;
	} else if (what == 17) {
		presence_refused(r->p, r->now, &id);
	} else if (what == 18) {
		presence_heard(r->p, r->now);
	} else {
		presence_configure(r->p, rng_below(&r->rng, 101), rng_below(&r->rng, 12));
	}
}

static void
run_told(struct run *r)
{
	struct presence_show show;

	while (presence_next(r->p, &show))
		r->told[show.id.b[0] - 'a'] = show.state;
	for (int m = 0; m < RUN_MEMBERS; m++) {
		run_holds(r, r->word[m] != RUN_ALIVE || r->told[m] == STORE_MEMBER_ALIVE);
		run_holds(r, r->word[m] != RUN_LEFT || r->told[m] == STORE_MEMBER_GONE ||
				 r->grace_until[m] > r->now);
	}
}

static void
run_until(struct run *r, nsec until)
{
	nsec at;

	run_told(r);
	while ((at = presence_deadline(r->p)) <= until) {
		run_holds(r, at > r->now);
		r->now = at;
		presence_tick(r->p, r->now);
		run_told(r);
	}
	r->now = until;
}

static void
run_one(uint64_t seed)
{
	struct run r = { .seed = seed, .now = 1000 * NSEC_SEC };
	struct presence_config config = tale_config;
	struct fix f = fix_new();

	rng_init(&r.rng, seed);
	config.store = f.store;
	for (char name = 'a'; name < 'a' + RUN_MEMBERS; name++)
		share_put(&f, name);
	config.hold_share = rng_below(&r.rng, 2) * 50;
	r.p = presence_new(&config, r.now);
	for (int step = 0; step < 400; step++) {
		bool soon = rng_below(&r.rng, 3) > 0;

		run_word(&r, rng_below(&r.rng, RUN_MEMBERS));
		run_until(&r, r.now + rng_below(&r.rng, 40) * (soon ? 25 * NSEC_MS : NSEC_SEC));
	}
	run_until(&r, r.now + NSEC_HOUR); /* nothing more is said */
	for (int m = 0; m < RUN_MEMBERS; m++)
		run_holds(&r, r.word[m] != RUN_FAILED || r.told[m] == STORE_MEMBER_FAILED);
	run_holds(&r, !presence_cut_off(r.p));
	run_holds(&r, presence_deadline(r.p) == NSEC_NEVER);
	run_holds(&r, presence_stats(r.p).kept == 0);
	presence_free(r.p);
	store_free(f.store);
}

static void
whatever_is_said_life_shows_at_once_and_waits_end(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 300; seed++)
		run_one(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_third_flap_within_a_minute_waits),
		cmocka_unit_test(how_many_flaps_are_fine_is_set),
		cmocka_unit_test(hiding_holds_back_for_a_services_sake),
		cmocka_unit_test(what_one_node_takes_away_is_never_held_back),
		cmocka_unit_test(without_the_option_nothing_is_held_back),
		cmocka_unit_test(whatever_is_said_life_shows_at_once_and_waits_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

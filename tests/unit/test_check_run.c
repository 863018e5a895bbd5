/* tests/unit/test_check_run.c -- schedules, lanes and thresholds, with time as a number. */
#include "agent/check/check_run.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tests/unit/test.h"

#define S NSEC_SEC
#define MS NSEC_MS
#define START 1000 * S

static const unsigned lanes[CHECK_LANES] = { 4, 2 };
static const struct check_plan every_10 = { .interval = 10 * S, .timeout = 3 * S, .fresh = true };

/* What is to be done, in words: "start a 1", "expire a 1", "stop 1"; "" for nothing. */
static const char *
next(struct check_run *r)
{
	static const char *const words[] = { "start", "expire", "stop" };
	static char text[128];
	struct check_run_action a;

	if (!check_run_action_next(r, &a))
		return "";
	if (a.kind == CHECK_RUN_STOP)
		snprintf(text, sizeof text, "stop %d", (int)a.run);
	else
		snprintf(text, sizeof text, "%s " STR_FMT " %d", words[a.kind], STR_ARG(a.id),
		    (int)a.run);
	return text;
}

#define assert_next(r, text) assert_string_equal(next(r), text)

/* On to the next deadline, which is at `at`. */
#define assert_then(r, at)                                           \
	do {                                                         \
		assert_int_equal(check_run_deadline(r) - START, at); \
		check_run_tick(r, START + (at));                     \
	} while (0)

static void
a_check_runs_soon_and_then_at_its_phase(void **unused)
{
	struct check_run *r = check_run_new(lanes);

	(void)unused;
	assert_true(check_run_deadline(r) == NSEC_NEVER);
	check_run_put(r, START, STR("a"), &every_10);
	assert_true(check_run_knows(r, STR("a")));
	assert_next(r, "");
	assert_then(r, 200 * MS);
	assert_next(r, "start a 1");
	assert_next(r, "");
	assert_true(check_run_input(r, START + 1 * S, STR("a"), 1, CHECK_PASSING));
	assert_then(r, 10 * S + 200 * MS); /* the phase of the start, not of the end */
	assert_next(r, "start a 2");
	assert_false(check_run_input(r, START + 11 * S, STR("a"), 1, CHECK_PASSING)); /* old */
	assert_false(check_run_input(r, START + 11 * S, STR("b"), 2, CHECK_PASSING));
	assert_true(check_run_input(r, START + 11 * S, STR("a"), 2, CHECK_PASSING));
	assert_false(check_run_input(r, START + 11 * S, STR("a"), 2, CHECK_PASSING)); /* twice */
	/* asleep for half a minute: one run, then the phase again */
	check_run_tick(r, START + 45 * S);
	assert_next(r, "start a 3");
	assert_next(r, "");
	assert_true(check_run_input(r, START + 45 * S, STR("a"), 3, CHECK_PASSING));
	assert_then(r, 50 * S + 200 * MS);
	assert_int_equal(check_run_stats(r).runs, 4);
	assert_int_equal(check_run_stats(r).late, 1);
	check_run_free(r);
}

static void
short_intervals_are_lengthened(void **unused)
{
	const struct check_plan fast = { .interval = 10 * MS, .timeout = S, .fresh = true };
	const struct check_plan slow = { .interval = NSEC_NEVER, .timeout = NSEC_NEVER };
	struct check_run *r = check_run_new(lanes);

	(void)unused;
	check_run_put(r, START, STR("a"), &fast);
	assert_then(r, 200 * MS);
	assert_next(r, "start a 1");
	assert_true(check_run_input(r, START + 210 * MS, STR("a"), 1, CHECK_PASSING));
	assert_then(r, 1200 * MS);
	check_run_remove(r, START, STR("a"));
	check_run_put(r, START, STR("b"), &slow); /* absurd, but no overflow */
	check_run_tick(r, START + 200 * MS);
	assert_next(r, "start b 3");
	assert_true(check_run_deadline(r) == NSEC_NEVER);
	assert_true(check_run_input(r, START + S, STR("b"), 3, CHECK_PASSING));
	assert_true(check_run_deadline(r) == NSEC_NEVER);
	check_run_free(r);
}

static void
a_run_has_its_time(void **unused)
{
	const struct check_plan long_run = { .interval = S, .timeout = 3 * S, .fresh = true };
	struct check_run *r = check_run_new(lanes);

	(void)unused;
	check_run_put(r, START, STR("a"), &long_run);
	assert_then(r, 200 * MS);
	assert_next(r, "start a 1");
	assert_then(r, 3200 * MS);
	assert_next(r, "expire a 1");
	assert_next(r, "");
	assert_true(check_run_deadline(r) == NSEC_NEVER); /* until the result is handed in */
	assert_true(check_run_input(r, START + 3300 * MS, STR("a"), 1, CHECK_CRITICAL));
	assert_then(r, 4200 * MS); /* moments that passed meanwhile are skipped */
	assert_next(r, "start a 2");
	/* the result and the end of its time in one turn: the result is there */
	check_run_tick(r, START + 7200 * MS);
	assert_true(check_run_input(r, START + 7200 * MS, STR("a"), 2, CHECK_PASSING));
	assert_next(r, "");
	check_run_free(r);
}

static void
a_changed_check_runs_anew(void **unused)
{
	struct check_run *r = check_run_new(lanes);

	(void)unused;
	check_run_put(r, START, STR("a"), &every_10);
	assert_then(r, 200 * MS);
	check_run_put(r, START + 300 * MS, STR("a"), &every_10); /* was not even handed out */
	assert_next(r, "");
	assert_then(r, 500 * MS);
	assert_next(r, "start a 2");
	check_run_put(r, START + 600 * MS, STR("a"), &every_10);
	assert_next(r, "stop 2");
	assert_next(r, "");
	assert_false(check_run_input(r, START + 600 * MS, STR("a"), 2, CHECK_PASSING));
	/* changed again before it ran: that does not put it off */
	check_run_put(r, START + 700 * MS, STR("a"), &every_10);
	check_run_put(r, START + 790 * MS, STR("a"), &every_10);
	assert_then(r, 800 * MS);
	assert_next(r, "start a 3");
	check_run_remove(r, START + S, STR("a"));
	check_run_remove(r, START + S, STR("a"));
	assert_next(r, "stop 3");
	assert_next(r, "");
	assert_false(check_run_knows(r, STR("a")));
	assert_true(check_run_deadline(r) == NSEC_NEVER);
	assert_int_equal(check_run_stats(r).running, 0);
	check_run_free(r);
}

static void
only_so_many_run_at_a_time(void **unused)
{
	struct check_plan p = { .interval = 10 * S, .timeout = 3 * S, .lane = CHECK_LANE_PROCESS };
	struct check_run *r = check_run_new(lanes);

	(void)unused;
	check_run_put(r, START, STR("a"), &p);
	check_run_put(r, START, STR("b"), &p);
	check_run_put(r, START, STR("c"), &p);
	check_run_put(r, START, STR("d"), &p);
	check_run_put(r, START, STR("e"), &p);
	check_run_put(r, START, STR("net"), &every_10); /* another lane: not kept waiting */
	check_run_tick(r, START + 200 * MS);
	assert_int_equal(check_run_stats(r).running, 3);
	assert_int_equal(check_run_stats(r).queued, 3);
	next(r), next(r), next(r);
	assert_next(r, "");
	assert_true(check_run_input(r, START + 500 * MS, STR("b"), 2, CHECK_PASSING) ||
		    check_run_input(r, START + 500 * MS, STR("b"), 1, CHECK_PASSING) ||
		    check_run_stats(r).queued == 3);
	check_run_remove(r, START + 600 * MS, STR("a"));
	check_run_remove(r, START + 600 * MS, STR("b"));
	check_run_remove(r, START + 600 * MS, STR("c"));
	for (const char *n = next(r); *n != '\0'; n = next(r))
		;
	assert_int_equal(check_run_stats(r).running, 3); /* d, e and net */
	assert_int_equal(check_run_stats(r).queued, 0);
	check_run_free(r);
}

static void
a_crowd_is_spread_few_are_not(void **unused)
{
	struct check_run *r = check_run_new((const unsigned[]){ 100000, 1 });
	nsec first = NSEC_NEVER, last = 0;
	char id[16];

	(void)unused;
	for (int i = 0; i < 10000; i++) {
		snprintf(id, sizeof id, "c%d", i);
		check_run_put(r, START, str_of(id), &every_10);
		if (i == 63) { /* a burst: all at once */
			check_run_tick(r, START + 200 * MS);
			assert_int_equal(check_run_stats(r).running, 64);
		}
	}
	for (size_t n = check_run_stats(r).running; n < 10000; n = check_run_stats(r).running) {
		nsec at = check_run_deadline(r);

		check_run_tick(r, at);
		/* never more than a few in a millisecond */
		assert_true(check_run_stats(r).running - n <= 2);
		first = nsec_min(first, at);
		last = at;
		if (at > START + 3 * S)
			break; /* from here on the first ones' time is up */
	}
	assert_true(first <= START + 202 * MS);
	assert_true(last > START + 3 * S);
	check_run_free(r);
}

#define assert_result(r, status, counts)                                                    \
	do {                                                                                \
		check_run_tick(r, check_run_deadline(r));                                   \
		assert_true(check_run_action_next(r, &a));                                  \
		assert_int_equal(                                                           \
		    check_run_input(r, check_run_deadline(r) - 2 * S, a.id, a.run, status), \
		    counts);                                                                \
	} while (0)

static void
thresholds_hold_back_a_turn(void **unused)
{
	struct check_plan p = { .interval = 10 * S,
		.timeout = 3 * S,
		.success_before_passing = 2,
		.failures_before_critical = 3,
		.fresh = true };
	struct check_run *r = check_run_new(lanes);
	struct check_run_action a;

	(void)unused;
	check_run_put(r, START, STR("a"), &p);
	assert_result(r, CHECK_CRITICAL, true); /* the very first counts */
	assert_result(r, CHECK_CRITICAL, true);
	assert_result(r, CHECK_PASSING, false);
	assert_result(r, CHECK_CRITICAL, false); /* no turn: back to nought */
	assert_result(r, CHECK_WARNING, false);  /* a warning is a success */
	assert_result(r, CHECK_PASSING, true);
	assert_result(r, CHECK_PASSING, true);
	assert_result(r, CHECK_CRITICAL, false);
	assert_result(r, CHECK_CRITICAL, false);
	assert_result(r, CHECK_CRITICAL, true);
	/* what has a state already (out of the journal) does not turn at its first result */
	p.fresh = false;
	check_run_put(r, START, STR("b"), &p);
	check_run_remove(r, START, STR("a"));
	assert_result(r, CHECK_CRITICAL, false);
	assert_result(r, CHECK_CRITICAL, false);
	assert_result(r, CHECK_CRITICAL, true);
	check_run_free(r);
}

/* Whatever happens in whatever order: no check runs twice at a time, lanes keep their limit, and
 * with results handed in each check goes on running. */
static void
random_days(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct check_run *r = check_run_new(lanes);
		uint64_t under_way[8] = { 0 };
		nsec now = START, seen[8] = { 0 };
		struct check_run_action a;
		struct rng rng;

		rng_init(&rng, seed);
		for (int step = 0; step < 2000; step++) {
			uint32_t n = rng_below(&rng, 8), running = 0;
			char name[2] = { (char)('a' + n), '\0' };
			struct check_plan p = { .interval = (1 + rng_below(&rng, 5)) * S,
				.timeout = (1 + rng_below(&rng, 5)) * S,
				.lane = n < 5 ? CHECK_LANE_NET : CHECK_LANE_PROCESS };
			uint32_t what = rng_below(&rng, 20);

			if (what == 0) {
				if (!check_run_knows(r, str_of(name)))
					seen[n] = now;
				check_run_put(r, now, str_of(name), &p);
			} else if (what == 1) {
				check_run_remove(r, now, str_of(name));
			} else if (what < 12 && under_way[n] != 0) {
				check_run_input(r, now, str_of(name), under_way[n], CHECK_PASSING);
				under_way[n] = 0;
			} else {
				now += rng_below(&rng, 800) * MS;
			}
			if (check_run_deadline(r) <= now)
				check_run_tick(r, now);
			while (check_run_action_next(r, &a)) {
				if (a.kind == CHECK_RUN_STOP) {
					for (int i = 0; i < 8; i++)
						if (under_way[i] == a.run)
							under_way[i] = 0;
					continue;
				}
				n = (uint32_t)(a.id.p[0] - 'a');
				if (a.kind == CHECK_RUN_EXPIRE) {
					assert_int_equal(under_way[n], a.run);
					check_run_input(r, now, a.id, a.run, CHECK_CRITICAL);
					under_way[n] = 0;
				} else {
					if (under_way[n] != 0)
						fail_msg("seed %d: two at a time", (int)seed);
					under_way[n] = a.run;
					seen[n] = now;
				}
			}
			for (int i = 0; i < 8; i++)
				running += under_way[i] != 0;
			assert_int_equal(running, check_run_stats(r).running);
			assert_true(running <= 6);
		}
		for (int i = 0; i < 8; i++)
			if (check_run_knows(r, str_mem(&"abcdefgh"[i], 1)))
				assert_true(now - seen[i] < 60 * S);
		check_run_free(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_check_runs_soon_and_then_at_its_phase),
		cmocka_unit_test(short_intervals_are_lengthened),
		cmocka_unit_test(a_run_has_its_time),
		cmocka_unit_test(a_changed_check_runs_anew),
		cmocka_unit_test(only_so_many_run_at_a_time),
		cmocka_unit_test(a_crowd_is_spread_few_are_not),
		cmocka_unit_test(thresholds_hold_back_a_turn),
		cmocka_unit_test(random_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

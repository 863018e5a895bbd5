/* Watch sets: who waits for a scope wakes when it changes, and only then. */
#include "tests/unit/test.h"

#include "base/rng.h"
#include "kv/watch.h"

static struct watch_key
service(const char *name)
{
	return (struct watch_key){ WATCH_SERVICE, str_of(name) };
}

static void
a_touch_wakes_who_waits_for_that_scope(void **unused)
{
	struct watches *w = watches_new();
	struct watch_key web = service("web"), db = service("db");
	struct waiter a = { 0 }, b = { 0 };

	(void)unused;
	watch_wait(w, &a, &web, 1);
	watch_wait(w, &b, &db, 1);
	assert_int_equal(watch_waiter_count(w), 2);
	watch_touch(w, web, 7, true);
	assert_ptr_equal(watch_ready_next(w), &a);
	assert_null(watch_ready_next(w));
	assert_int_equal(watch_waiter_count(w), 1);
	assert_true(watch_index(w, web) == 7);
	assert_true(watch_index(w, db) == 0);
	watch_cancel(w, &b);
	assert_int_equal(watch_scope_count(w), 1); /* db names nothing and nobody waits */
	watches_free(w);
}

static void
kinds_of_one_name_are_apart(void **unused)
{
	struct watches *w = watches_new();
	struct watch_key health = { WATCH_SERVICE_HEALTH, STR("web") };
	struct waiter a = { 0 };

	(void)unused;
	watch_wait(w, &a, &health, 1);
	watch_touch(w, service("web"), 3, true);
	assert_null(watch_ready_next(w));
	watch_cancel(w, &a);
	watches_free(w);
}

static void
a_waiter_on_several_scopes_wakes_once(void **unused)
{
	struct watches *w = watches_new();
	struct watch_key keys[] = { service("web"), service("db"), service("web") };
	struct waiter a = { 0 };

	(void)unused;
	watch_wait(w, &a, keys, 3);
	watch_touch(w, keys[1], 1, true);
	watch_touch(w, keys[0], 2, true);
	assert_ptr_equal(watch_ready_next(w), &a);
	assert_null(watch_ready_next(w));
	watch_wait(w, &a, keys, 3); /* it may wait again */
	watch_cancel(w, &a);
	watch_cancel(w, &a); /* idle: nothing happens */
	assert_int_equal(watch_waiter_count(w), 0);
	watches_free(w);
}

static void
a_ready_waiter_can_be_cancelled(void **unused)
{
	struct watches *w = watches_new();
	struct watch_key web = service("web");
	struct waiter a = { 0 }, b = { 0 };

	(void)unused;
	watch_wait(w, &a, &web, 1);
	watch_wait(w, &b, &web, 1);
	watch_touch(w, web, 1, true);
	watch_cancel(w, &a);
	assert_ptr_equal(watch_ready_next(w), &b);
	assert_null(watch_ready_next(w));
	watches_free(w);
}

static void
forgotten_scopes_raise_the_floor_of_their_kind(void **unused)
{
	struct watches *w = watches_new();

	(void)unused;
	watch_touch(w, service("a"), 5, true);
	watch_touch(w, service("b"), 9, true);
	watch_touch(w, service("b"), 10, false);
	assert_int_equal(watch_scope_count(w), 1);
	assert_true(watch_index(w, service("b")) == 10);
	assert_true(watch_index(w, service("never")) == 10);
	assert_true(watch_index(w, service("a")) == 5); /* what lives has its own */
	assert_true(watch_index(w, (struct watch_key){ WATCH_NODE, STR("b") }) == 0);
	watch_floor_raise(w, 20);
	assert_true(watch_index(w, service("b")) == 20);
	assert_true(watch_index(w, service("a")) == 5);
	watches_free(w);
}

static void
a_watched_scope_that_names_nothing_keeps_its_index(void **unused)
{
	struct watches *w = watches_new();
	struct watch_key ghost = service("ghost");
	struct waiter a = { 0 };

	(void)unused;
	watch_touch(w, service("x"), 4, false);
	watch_wait(w, &a, &ghost, 1);
	watch_touch(w, service("y"), 6, false);
	assert_true(watch_index(w, ghost) == 4);
	assert_null(watch_ready_next(w));
	watch_cancel(w, &a);
	assert_true(watch_index(w, ghost) == 6); /* forgotten: the floor, never lower */
	watches_free(w);
}

/* Random touches, waits and cancels: indexes never run backwards, and exactly those wake whose
 * scope was touched. */
static void
random_runs(void **unused)
{
	enum { NAMES = 6, WAITERS = 12 };
	static const char *const names[NAMES] = { "", "a", "b", "c", "d", "e" };

	(void)unused;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct watches *w = watches_new();
		struct waiter waiters[WAITERS] = { 0 };
		unsigned waits[WAITERS] = { 0 }; /* bits: names waited for; 0: idle */
		uint64_t said[NAMES] = { 0 }, index = 1;
		struct rng rng;

		rng_init(&rng, seed);
		for (int step = 0; step < 300; step++) {
			size_t i = rng_below(&rng, WAITERS), n = rng_below(&rng, NAMES);

			switch (rng_below(&rng, 3)) {
			case 0:
				if (waits[i] == 0) {
					struct watch_key keys[2] = { service(names[n]),
						service(names[(n + 1) % NAMES]) };

					watch_wait(w, &waiters[i], keys, 2);
					waits[i] = 1u << n | 1u << (n + 1) % NAMES;
				}
				break;
			case 1:
				watch_cancel(w, &waiters[i]);
				waits[i] = 0;
				break;
			default:
				watch_touch(w, service(names[n]), ++index, rng_below(&rng, 2) == 0);
				assert_true(watch_index(w, service(names[n])) == index);
				for (struct waiter *r; (r = watch_ready_next(w)) != NULL;) {
					size_t at = (size_t)(r - waiters);

					assert_true((waits[at] & 1u << n) != 0);
					waits[at] = 0;
				}
				for (i = 0; i < WAITERS; i++)
					assert_true((waits[i] & 1u << n) == 0);
			}
			for (n = 0; n < NAMES; n++) {
				uint64_t now = watch_index(w, service(names[n]));

				assert_true(now >= said[n]);
				said[n] = now;
			}
		}
		for (size_t i = 0; i < WAITERS; i++)
			watch_cancel(w, &waiters[i]);
		assert_int_equal(watch_waiter_count(w), 0);
		watches_free(w);
	}
}

/* Every set of watched prefixes and every name over two letters, against str_starts(). */
static void
a_name_wakes_all_its_prefixes_and_nothing_else(void **unused)
{
	static const char *const names[] = { "", "a", "b", "aa", "ab", "ba", "aab", "abb", "aaaa",
		"abab", "a/", "a/b" };
	enum { N = sizeof names / sizeof names[0] };

	(void)unused;
	for (unsigned set = 0; set < 1u << N; set += 7) {
		struct watches *w = watches_new();
		struct waiter waiters[N] = { 0 };

		for (size_t at = 0; at < N; at++) {
			unsigned woken = 0;

			for (size_t i = 0; i < N; i++) {
				struct watch_key key = { WATCH_KEY_PREFIX, str_of(names[i]) };

				watch_cancel(w, &waiters[i]);
				if ((set >> i & 1) != 0)
					watch_wait(w, &waiters[i], &key, 1);
			}
			watch_touch_prefixes(w, WATCH_KEY_PREFIX, str_of(names[at]), 5);
			for (struct waiter *r; (r = watch_ready_next(w)) != NULL;)
				woken |= 1u << (r - waiters);
			for (size_t i = 0; i < N; i++)
				assert_int_equal(woken >> i & 1,
				    (set >> i & 1) != 0 &&
				        str_starts(str_of(names[at]), str_of(names[i])));
		}
		for (size_t i = 0; i < N; i++)
			watch_cancel(w, &waiters[i]);
		watches_free(w);
	}
}

static void
a_kind_is_touched_as_a_whole(void **unused)
{
	struct watches *w = watches_new();
	struct watch_key both[] = { { WATCH_KEY, STR("a") }, { WATCH_KEY, STR("b") } };
	struct watch_key other = { WATCH_KEY_PREFIX, STR("a") };
	struct waiter a = { 0 }, b = { 0 };

	(void)unused;
	watch_wait(w, &a, both, 2); /* waking it by the first frees nothing that comes next */
	watch_wait(w, &b, &other, 1);
	watch_touch_kind(w, WATCH_KEY, 9);
	assert_ptr_equal(watch_ready_next(w), &a);
	assert_null(watch_ready_next(w));
	assert_true(watch_index(w, both[1]) == 9);
	watch_cancel(w, &b);
	watches_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_touch_wakes_who_waits_for_that_scope),
		cmocka_unit_test(kinds_of_one_name_are_apart),
		cmocka_unit_test(a_waiter_on_several_scopes_wakes_once),
		cmocka_unit_test(a_ready_waiter_can_be_cancelled),
		cmocka_unit_test(forgotten_scopes_raise_the_floor_of_their_kind),
		cmocka_unit_test(a_watched_scope_that_names_nothing_keeps_its_index),
		cmocka_unit_test(a_name_wakes_all_its_prefixes_and_nothing_else),
		cmocka_unit_test(a_kind_is_touched_as_a_whole),
		cmocka_unit_test(random_runs),
	};

	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}

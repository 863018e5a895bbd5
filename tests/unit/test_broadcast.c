/* The queue: order of turns, replacement, retransmit limit, who is told, limits. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/rng.h"
#include "gossip/broadcast.h"
#include "tests/unit/test.h"

/* What the next packet of so many bytes takes, in order, as one line. */
static void
packet(struct broadcast *b, size_t room, unsigned limit, const char *want)
{
	struct str parts[8];
	size_t count = broadcast_take(b, &room, parts, 8);
	struct buf line;

	buf_init(&line, 4096);
	for (size_t i = 0; i < count; i++) {
		buf_add(&line, i > 0 ? STR(" ") : STR_NONE);
		buf_add(&line, parts[i]);
	}
	assert_str(buf_str(&line), want);
	buf_done(&line);
	broadcast_sent(b, limit);
}

static void
add(struct broadcast *b, const char *name, const char *bytes, uint64_t id)
{
	broadcast_add(b, str_of(name), str_of(bytes), id);
}

static void
limit_grows_with_the_pool(void **unused)
{
	(void)unused;
	assert_int_equal(broadcast_limit(4, 1), 4);
	assert_int_equal(broadcast_limit(4, 9), 4);
	assert_int_equal(broadcast_limit(4, 10), 8);
	assert_int_equal(broadcast_limit(4, 99), 8);
	assert_int_equal(broadcast_limit(4, 100), 12);
	assert_int_equal(broadcast_limit(2, 1000), 8);
	assert_int_equal(broadcast_limit(4, 0), 0);
	assert_int_equal(broadcast_limit(1, SIZE_MAX - 1), 19);
}

static void
fewest_sends_first_then_longest_then_newest(void **unused)
{
	(void)unused;
	struct broadcast *b = broadcast_new(100);

	add(b, "", "old", 0);
	add(b, "", "longest", 0);
	add(b, "", "new", 0);
	packet(b, 12, 10, "longest"); /* 9 bytes; 3 are left, "new" wants 5 */
	packet(b, 11, 10, "new old"); /* sent less often than the longest */
	packet(b, 100, 10, "longest new old");
	add(b, "", "x", 0);
	packet(b, 100, 10, "x longest new old");
	broadcast_free(b);
}

static void
what_does_not_fit_is_passed_over(void **unused)
{
	(void)unused;
	struct broadcast *b = broadcast_new(100);

	add(b, "", "0123456789", 0);
	add(b, "", "small", 0);
	packet(b, 8, 10, "small");
	packet(b, 8, 10, "small"); /* the long one is still first in turn */
	packet(b, 1, 10, "");
	packet(b, 0, 10, "");
	packet(b, 12, 10, "0123456789");
	packet(b, 12, 10, "0123456789");
	packet(b, 19, 10, "0123456789 small");
	broadcast_free(b);
}

static void
ends_at_the_limit_and_says_so(void **unused)
{
	(void)unused;
	struct broadcast *b = broadcast_new(100);
	uint64_t id = 0;

	add(b, "", "m", 7);
	packet(b, 100, 2, "m");
	assert_false(broadcast_done_next(b, &id));
	packet(b, 100, 2, "m");
	packet(b, 100, 2, "");
	assert_true(broadcast_done_next(b, &id));
	assert_int_equal(id, 7);
	assert_false(broadcast_done_next(b, &id));
	assert_int_equal(broadcast_count(b), 0);
	assert_int_equal(broadcast_bytes(b), 0);
	broadcast_free(b);
}

static void
newer_about_a_name_replaces_older(void **unused)
{
	(void)unused;
	struct broadcast *b = broadcast_new(100);
	uint64_t id = 0;

	add(b, "n", "suspect", 3);
	add(b, "o", "other", 0);
	packet(b, 100, 10, "suspect other");
	add(b, "n", "alive", 0);
	assert_true(broadcast_done_next(b, &id));
	assert_int_equal(id, 3);
	packet(b, 100, 10, "alive other"); /* and its count starts anew */
	broadcast_forget(b, STR("n"));
	broadcast_forget(b, STR("nobody"));
	packet(b, 100, 10, "other");
	broadcast_free(b);
}

static void
full_queue_ends_the_most_sent_early(void **unused)
{
	(void)unused;
	struct broadcast *b = broadcast_new(2);
	uint64_t id = 0;

	add(b, "", "one", 1);
	add(b, "", "three", 2);
	packet(b, 5, 10, "one");
	add(b, "", "x", 0);
	assert_int_equal(broadcast_count(b), 2);
	assert_true(broadcast_done_next(b, &id));
	assert_int_equal(id, 1);
	packet(b, 100, 10, "three x");
	broadcast_free(b);
}

static void
at_most_so_many_parts(void **unused)
{
	(void)unused;
	struct broadcast *b = broadcast_new(100);

	for (int i = 0; i < 20; i++)
		add(b, "", "m", 0);
	packet(b, 1000, 10, "m m m m m m m m");
	broadcast_free(b);
}

/* Against a plain model: each message is sent exactly `limit` times or replaced, no packet is
 * overfull, sums fit. */
static void
random_runs_send_each_exactly_so_often(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct broadcast *b = broadcast_new(1000);
		unsigned sent[200] = { 0 }, limit = 5;
		struct rng rng;
		uint64_t done, told = 0;
		size_t added = 0;

		rng_init(&rng, seed);
		while (added < 200 || broadcast_count(b) > 0) {
			struct str parts[16];
			size_t room = 20 + rng_below(&rng, 200), left = room, used = 0, count;
			char bytes[32];

			if (added < 200 && rng_below(&rng, 2) == 0) {
				int n = snprintf(bytes, sizeof bytes, "%zu%.*s", added,
				    1 + (int)rng_below(&rng, 10), "..........");

				broadcast_add(b, STR_NONE, str_mem(bytes, (size_t)n), ++added);
			}
			count = broadcast_take(b, &left, parts, 16);
			for (size_t i = 0; i < count; i++) {
				used += parts[i].n + BROADCAST_PART;
				sent[strtoul(parts[i].p, NULL, 10)]++;
			}
			assert_int_equal(left, room - used);
			broadcast_sent(b, limit);
		}
		while (broadcast_done_next(b, &done))
			told++;
		assert_int_equal(told, 200);
		for (size_t i = 0; i < 200; i++)
			assert_int_equal(sent[i], limit);
		broadcast_free(b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_grows_with_the_pool),
		cmocka_unit_test(fewest_sends_first_then_longest_then_newest),
		cmocka_unit_test(what_does_not_fit_is_passed_over),
		cmocka_unit_test(ends_at_the_limit_and_says_so),
		cmocka_unit_test(newer_about_a_name_replaces_older),
		cmocka_unit_test(full_queue_ends_the_most_sent_early),
		cmocka_unit_test(at_most_so_many_parts),
		cmocka_unit_test(random_runs_send_each_exactly_so_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

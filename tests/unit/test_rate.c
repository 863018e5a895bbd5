/* tests/unit/test_rate.c -- answers for networks: so many a second, then so many again. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "dns/rate.h"

static struct addr
from(const char *text)
{
	struct addr out;

	assert_true(addr_parse_ip(str_of(text), &out));
	return out;
}

/* How many of `asked` at one moment are answered; the others by what is said. */
struct counts {
	unsigned answered, slipped, silent;
};

static struct counts
take(struct rate *r, nsec now, const char *text, unsigned asked)
{
	struct addr client = from(text);
	struct counts out = { 0 };

	for (unsigned i = 0; i < asked; i++) {
		enum rate_verdict verdict = rate_take(r, now, &client);

		out.answered += verdict == RATE_ANSWER;
		out.slipped += verdict == RATE_SLIP;
		out.silent += verdict == RATE_SILENCE;
	}
	return out;
}

static void
a_second_s_answers_at_once_then_by_time(void **state)
{
	struct rate *r = rate_new(100, 2, 1);
	struct counts got = take(r, NSEC_SEC, "10.0.0.1", 120);

	(void)state;
	assert_int_equal(got.answered, 100);
	assert_int_equal(got.slipped, 10); /* every second one over the limit */
	assert_int_equal(got.silent, 10);
	assert_int_equal(take(r, NSEC_SEC + 50 * NSEC_MS, "10.0.0.1", 50).answered, 5);
	assert_int_equal(take(r, 9 * NSEC_SEC, "10.0.0.1", 500).answered, 100); /* never more */
	rate_free(r);
}

static void
no_slip_is_silence(void **state)
{
	struct rate *r = rate_new(1, 0, 1);
	struct counts got = take(r, NSEC_SEC, "10.0.0.1", 10);

	(void)state;
	assert_int_equal(got.answered, 1);
	assert_int_equal(got.silent, 9);
	rate_free(r);
}

static void
networks_do_not_share(void **state)
{
	struct rate *r = rate_new(10, 2, 7);
	nsec now = NSEC_SEC;

	(void)state;
	assert_int_equal(take(r, now, "10.0.0.1", 20).answered, 10);
	assert_int_equal(take(r, now, "10.0.0.200", 20).answered, 0); /* the same /24 */
	assert_int_equal(take(r, now, "::ffff:10.0.0.3", 20).answered, 0);
	assert_int_equal(take(r, now, "10.0.1.1", 20).answered, 10);
	assert_int_equal(take(r, now, "2001:db8:0:1100::1", 20).answered, 10);
	assert_int_equal(take(r, now, "2001:db8:0:11ff::2", 20).answered, 0); /* the same /56 */
	assert_int_equal(take(r, now, "2001:db8:0:1200::1", 20).answered, 10);
	rate_free(r);
}

/* Ten times as many networks as there is room for: each is answered, and one that goes on asking is
 * limited all the same. */
static void
more_networks_than_room(void **state)
{
	struct rate *r = rate_new(5, 2, 3);
	unsigned refused = 0, busy = 0;

	(void)state;
	for (unsigned i = 0; i < 10 * RATE_NETWORKS; i++) {
		char text[24];

		(void)snprintf(
		    text, sizeof text, "%u.%u.%u.1", 11 + i / 65536, i >> 8 & 255, i & 255);
		refused += take(r, NSEC_SEC + i * NSEC_US, text, 1).answered == 0;
		if (i % 16 == 0)
			busy += take(r, NSEC_SEC + i * NSEC_US, "10.0.0.1", 1).answered;
	}
	assert_int_equal(refused, 0);
	assert_true(busy < 200);
	rate_free(r);
}

struct shared {
	struct rate *rate;
	atomic_uint answered;
};

static void *
take_many(void *arg)
{
	struct shared *s = arg;

	atomic_fetch_add(&s->answered, take(s->rate, NSEC_SEC, "10.0.0.1", 5000).answered);
	return NULL;
}

/* Threads together have no more than one would have, but for what collides too often. */
static void
threads_share(void **state)
{
	struct shared s = { .rate = rate_new(1000, 2, 1) };
	pthread_t threads[3];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_many, &s), 0);
	for (size_t i = 0; i < 3; i++)
		(void)pthread_join(threads[i], NULL);
	assert_in_range(s.answered, 1000, 1010);
	rate_free(s.rate);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_s_answers_at_once_then_by_time),
		cmocka_unit_test(no_slip_is_silence),
		cmocka_unit_test(networks_do_not_share),
		cmocka_unit_test(more_networks_than_room),
		cmocka_unit_test(threads_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

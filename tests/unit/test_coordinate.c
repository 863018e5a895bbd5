/* Coordinates: the algorithm by hand-reckoned steps, and pools of simulated agents whose real
 * latencies are known. */
#include "gossip/coordinate.h"

#include <math.h>

#include "base/rng.h"
#include "tests/unit/test.h"

#define MS(x) ((nsec)((x) * (double)NSEC_MS))

static const struct serf_coordinate fresh = { .error = 1.5, .height = 1e-5 };

static void
assert_near(double got, double want, double within)
{
	if (!(fabs(got - want) <= within))
		print_error("got %.12g, want %.12g\n", got, want);
	assert_true(fabs(got - want) <= within);
}

static void
a_fresh_one_is_at_the_origin(void **unused)
{
	struct coordinates *c = coordinates_new(1);
	const struct serf_coordinate *ours = coordinates_ours(c);

	(void)unused;
	for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		assert_true(ours->vec[i] == 0);
	assert_true(ours->error == 1.5 && ours->adjustment == 0 && ours->height == 1e-5);
	assert_null(coordinates_of(c, STR("a")));
	coordinates_free(c);
	coordinates_free(NULL);
}

/* From (0 …) to a peer at (0.1 0 …) with a time of 200 ms, both as unsure as can be: the weight is
 * 1/2; we are 0.1 + 2e-5 away, so 0.09998 too near; the force is 1/8 of that. */
static void
one_sample_moves_us_as_the_paper_says(void **unused)
{
	struct coordinates *c = coordinates_new(1);
	const struct serf_coordinate *ours = coordinates_ours(c);
	struct serf_coordinate there = fresh;
	double too_near = 0.2 - (0.1 + 2e-5), force = 0.125 * too_near;
	double height = 1e-5 + 2e-5 * force / 0.1;

	(void)unused;
	there.vec[0] = 0.1;
	assert_true(coordinates_observe(c, STR("a"), MS(200), &there));
	assert_near(ours->vec[0], -force, 1e-7); /* gravity is some 1e-9 */
	assert_near(ours->height, height, 1e-8);
	assert_near(ours->error, 0.125 * (too_near / 0.2) + 1.5 * 0.875, 1e-9);
	assert_near(ours->adjustment, (0.2 - (0.1 + force + height + 1e-5)) / 40, 1e-8);
	assert_true(coordinates_of(c, STR("a"))->vec[0] == 0.1);
	coordinates_free(c);
}

static void
a_single_late_answer_is_filtered(void **unused)
{
	struct coordinates *c = coordinates_new(1), *d = coordinates_new(1);
	struct serf_coordinate there = fresh;

	(void)unused;
	there.vec[0] = 0.1;
	for (int i = 0; i < 3; i++) {
		coordinates_observe(c, STR("a"), MS(100), &there);
		coordinates_observe(d, STR("a"), MS(100), &there);
	}
	coordinates_observe(c, STR("a"), MS(9000), &there);
	coordinates_observe(d, STR("a"), MS(100), &there);
	assert_memory_equal(coordinates_ours(c), coordinates_ours(d), sizeof fresh);
	coordinates_observe(c, STR("b"), MS(9000), &there); /* another's times are its own */
	coordinates_observe(d, STR("b"), MS(100), &there);
	assert_memory_not_equal(coordinates_ours(c), coordinates_ours(d), sizeof fresh);
	coordinates_free(c);
	coordinates_free(d);
}

static void
distance_counts_adjustments_unless_nothing_is_left(void **unused)
{
	struct serf_coordinate a = { .height = 0.01 },
			       b = { .height = 0.02, .vec = { 0.03, 0.04 } };

	(void)unused;
	assert_near((double)coordinate_distance(&a, &b), 80e6, 2);
	a.adjustment = 0.01;
	b.adjustment = -0.03;
	assert_near((double)coordinate_distance(&a, &b), 60e6, 2);
	assert_true(coordinate_distance(&b, &a) == coordinate_distance(&a, &b));
	b.adjustment = -1;
	assert_near((double)coordinate_distance(&a, &b), 80e6, 2);
}

static void
refused(struct coordinates *c, nsec rtt, const struct serf_coordinate *theirs)
{
	struct serf_coordinate before = *coordinates_ours(c);
	size_t count = coordinates_count(c);

	assert_false(coordinates_observe(c, STR("x"), rtt, theirs));
	assert_memory_equal(coordinates_ours(c), &before, sizeof before);
	assert_int_equal(coordinates_count(c), count);
}

static void
what_is_no_number_or_out_of_range_is_refused(void **unused)
{
	static const double bad[] = { NAN, INFINITY, -INFINITY, 1e5, -1e5, 1e308 };
	struct coordinates *c = coordinates_new(1);

	(void)unused;
	refused(c, 0, &fresh);
	refused(c, -1, &fresh);
	refused(c, COORDINATE_RTT_MAX + 1, &fresh);
	refused(c, INT64_MAX, &fresh);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		for (size_t field = 0; field < 3 + SERF_COORDINATE_DIMENSIONS; field++) {
			struct serf_coordinate at = fresh;

			*(field == 0     ? &at.adjustment
			    : field == 1 ? &at.error
			    : field == 2 ? &at.height
					 : &at.vec[field - 3]) = bad[i];
			assert_false(coordinate_valid(&at));
			refused(c, MS(10), &at);
			coordinates_learn(c, STR("x"), &at);
			assert_null(coordinates_of(c, STR("x")));
		}
	}
	assert_true(coordinates_observe(c, STR("x"), COORDINATE_RTT_MAX, &fresh));
	assert_true(coordinates_observe(c, STR("x"), 1, &fresh));
	coordinates_free(c);
}

/* Peers that lie within what is let in: ours stays a number, or begins anew. */
static void
liars_do_not_break_us(void **unused)
{
	struct coordinates *c = coordinates_new(1);
	struct rng rng;

	(void)unused;
	rng_init(&rng, 7);
	for (int n = 0; n < 20000; n++) {
		struct serf_coordinate at = { .error = rng_below(&rng, 2) ? 0 : 1e4 };

		at.height = rng_below(&rng, 2) ? 0 : 1e4;
		at.adjustment = (double)rng_below(&rng, 20001) - 1e4;
		for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
			at.vec[i] =
			    rng_below(&rng, 3) == 0 ? 0 : (double)rng_below(&rng, 20001) - 1e4;
		assert_true(coordinates_observe(
		    c, STR("x"), rng_below(&rng, 2) ? 1 : COORDINATE_RTT_MAX, &at));
		assert_true(coordinate_valid(coordinates_ours(c)));
	}
	coordinates_free(c);
}

static void
what_others_say_is_kept_and_forgotten(void **unused)
{
	struct coordinates *c = coordinates_new(1);
	struct serf_coordinate there = fresh;
	char name[COORDINATE_NAME_MAX + 1];

	(void)unused;
	there.vec[3] = 0.5;
	coordinates_learn(c, STR("a"), &there);
	assert_true(coordinates_of(c, STR("a"))->vec[3] == 0.5);
	assert_memory_equal(coordinates_ours(c), &fresh, sizeof fresh);
	coordinates_observe(c, STR("a"), MS(10), &fresh);
	assert_true(coordinates_of(c, STR("a"))->vec[3] == 0);
	coordinates_forget(c, STR("a"));
	coordinates_forget(c, STR("a"));
	assert_null(coordinates_of(c, STR("a")));
	memset(name, 'n', sizeof name);
	coordinates_learn(c, str_mem(name, sizeof name), &there);
	coordinates_learn(c, STR_NONE, &there);
	assert_int_equal(coordinates_count(c), 0);
	coordinates_learn(c, str_mem(name, COORDINATE_NAME_MAX), &there);
	assert_int_equal(coordinates_count(c), 1);
	coordinates_free(c);
}

static void
peers_have_a_limit(void **unused)
{
	struct coordinates *c = coordinates_new(1);

	(void)unused;
	for (uint32_t i = 0; i < COORDINATE_PEERS_MAX + 5; i++)
		coordinates_learn(c, str_mem(&i, sizeof i), &fresh);
	assert_int_equal(coordinates_count(c), COORDINATE_PEERS_MAX);
	assert_true(coordinates_observe(c, STR("one more"), MS(10), &fresh)); /* moves us */
	assert_memory_not_equal(coordinates_ours(c), &fresh, sizeof fresh);
	assert_int_equal(coordinates_count(c), COORDINATE_PEERS_MAX);
	coordinates_free(c);
}

/* Pools. */

#define POOL_MAX 64

struct pool {
	struct coordinates *nodes[POOL_MAX];
	double seconds[POOL_MAX][POOL_MAX]; /* real round-trip times */
	int count;
	struct rng rng;
};

/* Everybody probes somebody, `rounds` times; times are late by up to `jitter` of theirs. */
static void
pool_run(struct pool *p, int rounds, double jitter)
{
	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < p->count; i++) {
			int j = (int)rng_below(&p->rng, (uint32_t)p->count);
			double late = 1 + jitter * rng_u32(&p->rng) / UINT32_MAX;

			if (i != j)
				assert_true(coordinates_observe(p->nodes[i], str_mem(&j, sizeof j),
				    (nsec)(p->seconds[i][j] * late * 1e9),
				    coordinates_ours(p->nodes[j])));
		}
}

/* The mean and the worst relative error over all pairs. */
static void
pool_errors(const struct pool *p, double *mean, double *worst)
{
	int n = 0;

	*mean = *worst = 0;
	for (int i = 0; i < p->count; i++)
		for (int j = 0; j < p->count; j++) {
			double real = p->seconds[i][j], got, wrong;

			if (i == j)
				continue;
			got = (double)coordinate_distance(
				  coordinates_ours(p->nodes[i]), coordinates_ours(p->nodes[j])) /
			      1e9;
			wrong = fabs(got - real) / real;
			*mean += wrong;
			*worst = fmax(*worst, wrong);
			n++;
		}
	*mean /= n;
}

static void
pool_begin(struct pool *p, int count)
{
	p->count = count;
	rng_init(&p->rng, 42);
	for (int i = 0; i < count; i++)
		p->nodes[i] = coordinates_new((uint64_t)i + 1);
}

static void
pool_end(struct pool *p)
{
	for (int i = 0; i < p->count; i++) {
		assert_int_equal(coordinates_resets(p->nodes[i]), 0);
		coordinates_free(p->nodes[i]);
	}
}

static void
a_grid_converges_to_its_latencies(void **unused)
{
	static struct pool p;
	double mean, worst;

	(void)unused;
	pool_begin(&p, 25);
	for (int i = 0; i < 25; i++)
		for (int j = 0; j < 25; j++)
			p.seconds[i][j] = 0.01 * hypot(i / 5 - j / 5, i % 5 - j % 5);
	pool_run(&p, 1000, 0);
	pool_errors(&p, &mean, &worst);
	assert_true(mean < 0.02 && worst < 0.15);
	pool_end(&p);
}

/* Two sites of a rack each, 80 ms apart, with jitter: near is near and far is far. */
static void
two_sites_are_told_apart(void **unused)
{
	static struct pool p;
	double mean, worst;

	(void)unused;
	pool_begin(&p, 20);
	for (int i = 0; i < 20; i++)
		for (int j = 0; j < 20; j++)
			p.seconds[i][j] = i / 10 == j / 10 ? 0.0005 : 0.08;
	pool_run(&p, 1000, 0.2);
	for (int i = 0; i < 20; i++)
		for (int j = 0; j < 20; j++) {
			nsec d = coordinate_distance(
			    coordinates_ours(p.nodes[i]), coordinates_ours(p.nodes[j]));

			if (i / 10 == j / 10)
				assert_true(d < MS(10));
			else
				assert_true(d > MS(70) && d < MS(110));
		}
	pool_errors(&p, &mean, &worst);
	pool_end(&p);
}

/* A hub with spokes of different lengths has no flat map: that is what heights are for. */
static void
a_star_converges_by_its_heights(void **unused)
{
	static struct pool p;
	double mean, worst;

	(void)unused;
	pool_begin(&p, 16);
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 16; j++)
			p.seconds[i][j] = 0.002 * (i + 1) + 0.002 * (j + 1);
	pool_run(&p, 2000, 0);
	pool_errors(&p, &mean, &worst);
	assert_true(mean < 0.1);
	pool_end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fresh_one_is_at_the_origin),
		cmocka_unit_test(one_sample_moves_us_as_the_paper_says),
		cmocka_unit_test(a_single_late_answer_is_filtered),
		cmocka_unit_test(distance_counts_adjustments_unless_nothing_is_left),
		cmocka_unit_test(what_is_no_number_or_out_of_range_is_refused),
		cmocka_unit_test(liars_do_not_break_us),
		cmocka_unit_test(what_others_say_is_kept_and_forgotten),
		cmocka_unit_test(peers_have_a_limit),
		cmocka_unit_test(a_grid_converges_to_its_latencies),
		cmocka_unit_test(two_sites_are_told_apart),
		cmocka_unit_test(a_star_converges_by_its_heights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

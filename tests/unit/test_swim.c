/* Stories of small pools in the simulator: who says what of whom, and when.
 *
 * Lines are "seconds name: what"; the moment a story begins at is 0.000. Notes of the core ("no ack
 * from", "refute") stand between the news.
 */
#include "tests/sim/sim.h"
#include "tests/unit/test.h"

enum { A, B, C, D, E };

/* n agents that know each other and have nothing left to tell. The trace begins here. */
static struct sim *
story_begin(size_t n, bool silent_hosts)
{
	struct sim_config config = sim_lan;
	struct sim *sim;

	config.agents = n;
	config.seed = 42;
	config.trace = config.notes = true;
	config.silent_hosts = silent_hosts;
	sim = sim_new(&config);
	sim_start_all(sim);
	sim_run(sim, 40 * NSEC_SEC);
	assert_true(sim_agreed(sim));
	sim_trace_begin(sim);
	return sim;
}

#define story_end(sim, want)                             \
	do {                                             \
		assert_str(sim_trace(sim), want);        \
		assert_int_equal((sim)->over_budget, 0); \
		sim_free(sim);                           \
	} while (0)

static void
cut_from_one_peer_is_helped_by_another(void **unused)
{
	(void)unused;
	struct sim *sim = story_begin(3, false);

	net_cut_both(&sim->net, A, C, true); /* both hear b */
	sim_run(sim, 60 * NSEC_SEC);
	story_end(sim, "");
}

static void
cut_from_all_but_one_way_refutes(void **unused)
{
	(void)unused;
	struct sim *sim = story_begin(3, false);

	net_cut(&sim->net, A, B, true); /* a hears everybody; nobody hears its acks */
	net_cut(&sim->net, A, C, true);
	sim_run(sim, 3 * NSEC_SEC);
	net_cut(&sim->net, A, B, false);
	sim_run(sim, 5 * NSEC_SEC);
	story_end(sim, "  1.139 a: no ack from b\n"
		       "  1.139 a: b is suspect\n"
		       "  1.395 b: no ack from a\n"
		       "  1.395 b: a is suspect\n"
		       "  1.397 c: a is suspect\n"
		       "  1.399 a: refute b, incarnation 2\n"
		       "  2.077 c: no ack from a\n"
		       "  3.139 a: no ack from c\n"
		       "  3.139 a: c is suspect\n"
		       "  3.141 b: c is suspect\n"
		       "  3.143 c: refute a, incarnation 2\n"
		       "  3.144 a: c is alive\n"
		       "  3.145 b: c is alive\n"
		       "  3.147 b: a is alive\n"
		       "  3.232 c: a is alive\n"
		       "  3.586 b: refute a, incarnation 2\n"
		       "  3.589 a: b is alive\n");
}

static void
crash_is_refused_confirmed_and_known_after_one_round(void **unused)
{
	(void)unused;
	struct sim *sim = story_begin(4, false);

	sim_crash(sim, D);
	sim_run(sim, 5 * NSEC_SEC);
	story_end(sim, "  0.016 c: no ack from d, refused\n"
		       "  0.016 c: d is suspect\n"
		       "  0.019 a: d refused and accused: one more round\n"
		       "  0.019 a: d is suspect\n"
		       "  0.020 b: d refused and accused: one more round\n"
		       "  0.020 b: d is suspect\n"
		       "  0.021 c: d refused and accused: one more round\n"
		       "  1.019 a: no ack from d, refused\n"
		       "  1.019 a: d is dead\n"
		       "  1.020 b: no ack from d, refused\n"
		       "  1.020 b: d is dead\n"
		       "  1.021 c: d is dead\n");
}

static void
silent_crash_takes_the_ordinary_time(void **unused)
{
	(void)unused;
	struct sim *sim = story_begin(4, true);

	sim_crash(sim, D);
	sim_run(sim, 15 * NSEC_SEC);
	story_end(sim, "  1.077 c: no ack from d\n"
		       "  1.077 c: d is suspect\n"
		       "  1.079 b: d is suspect\n"
		       "  1.081 a: d is suspect\n"
		       "  1.139 a: no ack from d\n"
		       "  2.395 b: no ack from d\n"
		       "  4.139 a: no ack from d\n"
		       "  5.077 c: no ack from d\n"
		       "  5.077 c: d is dead\n"
		       "  5.079 a: d is dead\n"
		       "  5.079 b: d is dead\n");
}

static void
leave_is_known_at_once(void **unused)
{
	(void)unused;
	struct sim *sim = story_begin(4, false);

	sim_leave(sim, D);
	sim_run(sim, 10 * NSEC_SEC);
	story_end(sim, "  0.000 d: d left\n"
		       "  0.001 b: d left\n"
		       "  0.002 a: d left\n"
		       "  0.003 c: d left\n");
}

static void
restart_is_back_at_once(void **unused)
{
	(void)unused;
	struct sim *sim = story_begin(3, false);

	sim_crash(sim, C);
	sim_run(sim, 5 * NSEC_SEC);
	sim_start(sim, C);
	sim_run(sim, 5 * NSEC_SEC);
	story_end(sim, "  0.011 a: no ack from c, refused\n"
		       "  0.011 a: c is suspect\n"
		       "  0.012 b: c refused and accused: one more round\n"
		       "  0.012 b: c is suspect\n"
		       "  0.015 a: c refused and accused: one more round\n"
		       "  1.012 b: no ack from c, refused\n"
		       "  1.012 b: c is dead\n"
		       "  1.015 a: no ack from c, refused\n"
		       "  1.015 a: c is dead\n"
		       "  5.005 c: refute b, incarnation 2\n"
		       "  5.005 c: a joined\n"
		       "  5.005 c: b joined\n"
		       "  5.008 b: c is alive\n"
		       "  5.009 a: c is alive\n");
}

static void
restart_elsewhere_is_the_same_node(void **unused)
{
	(void)unused;
	struct sim *sim = story_begin(3, false);

	sim_crash(sim, C);
	sim_move(sim, C);
	sim_start(sim, C);
	sim_run(sim, 5 * NSEC_SEC);
	story_end(sim, "  0.005 b: c is claimed from elsewhere\n"
		       "  0.007 c: a joined\n"
		       "  0.007 c: b joined\n"
		       "  0.007 c: c is claimed from elsewhere\n"
		       "  0.008 c: refute b, incarnation 2\n"
		       "  0.010 b: c changed\n"
		       "  0.013 a: c is claimed from elsewhere\n"
		       "  0.013 a: c changed\n");
}

/* For 20 seconds c hears nobody. */
static void
blip_is_over_within_a_second_of_the_links_return(void **unused)
{
	(void)unused;
	struct sim *sim = story_begin(3, false);

	net_cut_both(&sim->net, A, C, true);
	net_cut_both(&sim->net, B, C, true);
	sim_run(sim, 20 * NSEC_SEC);
	sim_heal(sim);
	sim_run(sim, 10 * NSEC_SEC);
	story_end(sim, "  1.077 c: no ack from b\n"
		       "  1.077 c: b is suspect\n"
		       "  2.139 a: no ack from c\n"
		       "  2.139 a: c is suspect\n"
		       "  2.142 b: c is suspect\n"
		       "  2.395 b: no ack from c\n"
		       "  3.077 c: no ack from a\n"
		       "  3.077 c: a is suspect\n"
		       "  4.139 a: no ack from c\n"
		       "  4.395 b: no ack from c\n"
		       "  5.077 c: b is dead\n"
		       "  6.139 a: c is dead\n"
		       "  6.142 b: c is dead\n"
		       "  7.077 c: a is dead\n"
		       " 20.007 a: b is suspect\n"
		       " 20.007 a: refute a, incarnation 2\n"
		       " 20.010 b: refute a, incarnation 2\n"
		       " 20.011 c: a is alive\n"
		       " 20.011 c: refute a, incarnation 2\n"
		       " 20.011 a: b is alive\n"
		       " 20.014 c: b is alive\n"
		       " 20.016 b: c is alive\n"
		       " 20.016 a: c is alive\n");
}

static void
halves_find_each_other_after_an_hour(void **unused)
{
	(void)unused;
	struct sim *sim = story_begin(5, false);

	for (size_t i = A; i <= B; i++)
		for (size_t j = C; j <= E; j++)
			net_cut_both(&sim->net, i, j, true);
	sim->no_rejoin = true; /* by touches alone */
	sim_run(sim, NSEC_HOUR);
	assert_int_equal(swim_count(sim->agents[A].swim), 2);
	assert_int_equal(swim_count(sim->agents[E].swim), 3);
	sim_heal(sim);
	sim_run(sim, 5 * NSEC_SEC);
	assert_true(sim_agreed(sim));
	sim_free(sim);
}

static void
pause_condemns_nobody_and_is_refuted(void **unused)
{
	(void)unused;
	struct sim *sim = story_begin(3, false);

	sim_pause(sim, C);
	sim_run(sim, 3 * NSEC_SEC);
	sim_resume(sim, C);
	sim_run(sim, 5 * NSEC_SEC);
	story_end(sim, "  2.139 a: no ack from c\n"
		       "  2.139 a: c is suspect\n"
		       "  2.143 b: c is suspect\n"
		       "  2.395 b: no ack from c\n"
		       "  3.000 c: stood still for 2922 ms\n"
		       "  3.000 c: refute a, incarnation 2\n"
		       "  3.001 a: c is alive\n"
		       "  3.001 b: c is alive\n");
}

static void
twenty_blips_in_a_row(void **unused)
{
	(void)unused;
	struct sim_config config = sim_lan;
	struct sim *sim;

	config.agents = 30;
	config.seed = 3;
	sim = sim_new(&config);
	sim_start_all(sim);
	sim_run(sim, 40 * NSEC_SEC);
	for (int i = 0; i < 20; i++) {
		for (size_t j = 1; j < 30; j++)
			net_cut_both(&sim->net, 0, j, true);
		sim_run(sim, 20 * NSEC_SEC);
		sim_heal(sim);
		sim_run(sim, 5 * NSEC_SEC);
		assert_true(sim_agreed(sim));
	}
	sim_free(sim);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_from_one_peer_is_helped_by_another),
		cmocka_unit_test(cut_from_all_but_one_way_refutes),
		cmocka_unit_test(crash_is_refused_confirmed_and_known_after_one_round),
		cmocka_unit_test(silent_crash_takes_the_ordinary_time),
		cmocka_unit_test(leave_is_known_at_once),
		cmocka_unit_test(restart_is_back_at_once),
		cmocka_unit_test(restart_elsewhere_is_the_same_node),
		cmocka_unit_test(blip_is_over_within_a_second_of_the_links_return),
		cmocka_unit_test(halves_find_each_other_after_an_hour),
		cmocka_unit_test(pause_condemns_nobody_and_is_refuted),
		cmocka_unit_test(twenty_blips_in_a_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

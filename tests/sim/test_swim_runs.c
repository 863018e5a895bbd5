/* Random runs: pools under a mix of faults from one seed, then healed.
 *
 * Checked all the time: packets keep the budget, a message is sent no more often than its limit,
 * nobody who left is shown alive again by who saw it leave, tables do not outgrow the pool. After
 * the network has healed: within HEALED_MAX every live agent shows every other as alive, whatever
 * it had declared; within AGREED_MAX who is gone is gone from all, and it stays so.
 *
 * A failure prints its seed; SEED=n runs that one, with its trace when TRACE is set; SEEDS=n runs
 * so many.
 */
#include <stdlib.h>
#include <string.h>

#include "gossip/broadcast.h"
#include "tests/sim/sim.h"
#include "tests/unit/test.h"

#define AGENTS 30
#ifdef __SANITIZE_ADDRESS__
#define SEEDS 60 /* each takes four times as long */
#else
#define SEEDS 200
#endif
#define FAULTS (60 * NSEC_SEC)
#define HEALED_MAX (AGENTS * NSEC_SEC) /* a round of probes: all that finds who missed gossip */
#define AGREED_MAX (60 * NSEC_SEC)
#define STAYS (45 * NSEC_SEC)
#define MARKS_MAX 256

struct run {
	uint64_t seed;
	struct sim *sim;
	struct rng rng; /* of the faults */
	nsec resume_at[AGENTS];
	unsigned mark_sent[MARKS_MAX]; /* of user messages, by number */
	size_t marks;
};

/* Who shows whom otherwise than it is: the first few. */
static void
run_explain(const struct run *run)
{
	static const char *const states[] = { "alive", "suspect", "dead", "left" };
	const struct sim *sim = run->sim;
	int lines = 0;

	fprintf(stderr, STR_FMT, STR_ARG(sim_trace(sim)));
	for (size_t i = 0; i < sim->config.agents; i++)
		for (size_t j = 0; sim_live(sim, i) && j < sim->config.agents; j++) {
			struct swim_member m = { 0 };
			bool known =
			    swim_member_find(sim->agents[i].swim, str_of(sim->agents[j].name), &m);

			if (known && m.state <= SWIM_SUSPECT && sim_live(sim, j) &&
			    !addr_eq_ip(&m.addr, &sim->agents[j].addr))
				print_error("%s shows %s at a former address, incarnation %u\n",
				    sim->agents[i].name, sim->agents[j].name, m.incarnation);
			if ((known && m.state <= SWIM_SUSPECT) == sim_live(sim, j) || lines++ >= 10)
				continue;
			print_error("%s shows %s as %s, incarnation %u; it %s\n",
			    sim->agents[i].name, sim->agents[j].name,
			    known ? states[m.state] : "unknown", m.incarnation,
			    sim_live(sim, j) ? "lives" : "is gone");
		}
}

#define run_assert(run, what)                                                                 \
	do {                                                                                  \
		if (!(what)) {                                                                \
			print_error("SEED=%llu at %.3f s\n", (unsigned long long)(run)->seed, \
			    (double)((run)->sim->net.now - SIM_EPOCH) / NSEC_SEC);            \
			run_explain(run);                                                     \
			assert_true(what);                                                    \
		}                                                                             \
	} while (0)

/* User messages: "MARK" and a number; nobody but their sender sends them in this simulator. */

static void
run_count_marks(struct sim *sim, size_t from, struct str datagram)
{
	struct run *run = sim->arg;
	struct str rest = datagram;
	const char *p;

	(void)from;
	while ((p = memmem(rest.p, rest.n, "MARK", 4)) != NULL) {
		run->mark_sent[(uint8_t)p[4]]++;
		rest = str_skip(rest, (size_t)(p + 5 - rest.p));
	}
}

static void
run_mark(struct run *run, size_t i)
{
	char bytes[200] = "MARK";
	struct sim_agent *agent = &run->sim->agents[i];

	if (!sim_live(run->sim, i) || agent->paused || run->marks == MARKS_MAX)
		return;
	bytes[4] = (char)run->marks++;
	swim_broadcast(
	    agent->swim, run->sim->net.now, str_mem(bytes, 5 + rng_below(&run->rng, 190)), 0, NULL);
}

/* Faults. */

static size_t
run_any(struct run *run)
{
	return rng_below(&run->rng, (uint32_t)run->sim->config.agents);
}

static size_t
run_live_count(const struct run *run)
{
	size_t count = 0;

	for (size_t i = 0; i < run->sim->config.agents; i++)
		count += sim_live(run->sim, i);
	return count;
}

static void
run_stop_one(struct run *run, bool leave)
{
	size_t i = run_any(run);

	if (run_live_count(run) * 2 < run->sim->config.agents)
		return;
	if (leave) {
		sim_leave(run->sim, i);
		return;
	}
	sim_crash(run->sim, i);
	run->sim->agents[i].host_down = rng_below(&run->rng, 2) == 0;
}

static void
run_start_one(struct run *run)
{
	size_t i = run_any(run);

	if (run->sim->agents[i].swim != NULL)
		return;
	run->sim->agents[i].host_down = false;
	if (rng_below(&run->rng, 3) == 0)
		sim_move(run->sim, i);
	sim_start(run->sim, i);
}

static void
run_pause_one(struct run *run)
{
	size_t i = run_any(run);
	uint32_t ms = rng_below(&run->rng, 3) == 0 ? 40000 : 3000;

	if (!sim_live(run->sim, i))
		return;
	sim_pause(run->sim, i);
	run->resume_at[i] = run->sim->net.now + (1 + (nsec)rng_below(&run->rng, ms)) * NSEC_MS;
}

static void
run_cut_some(struct run *run)
{
	size_t n = run->sim->config.agents, i = run_any(run), j = run_any(run);

	switch (rng_below(&run->rng, 4)) {
	case 0:
		net_cut(&run->sim->net, i, j, true);
		break;
	case 1:
		net_cut_both(&run->sim->net, i, j, true);
		break;
	case 2: /* one alone */
		for (j = 0; j < n; j++)
			net_cut_both(&run->sim->net, i, j, j != i);
		break;
	case 3: /* two halves */
		for (size_t a = 0; a < n; a++)
			for (size_t b = 0; b < n; b++)
				net_cut(&run->sim->net, a, b, (a < i) != (b < i));
		break;
	}
}

static void
run_uncut(struct run *run)
{
	net_uncut(&run->sim->net);
}

static void
run_weather(struct run *run)
{
	struct net *c = &run->sim->net;

	c->loss = rng_below(&run->rng, 4) == 0 ? rng_below(&run->rng, 300) : 0;
	c->twice = rng_below(&run->rng, 4) == 0 ? rng_below(&run->rng, 200) : 0;
	c->latency_max = c->latency_min + 1 + (nsec)rng_below(&run->rng, 200) * NSEC_MS;
}

static void
run_fault(struct run *run)
{
	char meta[8];

	switch (rng_below(&run->rng, 12)) {
	case 0:
	case 1:
		run_stop_one(run, false);
		break;
	case 2:
		run_stop_one(run, true);
		break;
	case 3:
	case 4:
		run_start_one(run);
		break;
	case 5:
	case 6:
		run_pause_one(run);
		break;
	case 7:
		run_cut_some(run);
		break;
	case 8:
		run_uncut(run);
		break;
	case 9:
		run_weather(run);
		break;
	case 10:
		snprintf(meta, sizeof meta, "%u", rng_below(&run->rng, 1000));
		sim_meta(run->sim, run_any(run), str_of(meta));
		break;
	case 11:
		run_mark(run, run_any(run));
		break;
	}
}

/* Invariants. */

static void
run_check(const struct run *run)
{
	const struct sim *sim = run->sim;
	size_t n = sim->config.agents;

	run_assert(run, sim->over_budget == 0);
	run_assert(run, sim->merge_refused == 0);
	run_assert(run, sim->resurrected == 0);
	for (size_t i = 0; i < run->marks; i++)
		run_assert(run, run->mark_sent[i] <= broadcast_limit(4, 2 * n));
	for (size_t i = 0; i < n; i++)
		if (sim->agents[i].swim != NULL)
			run_assert(run,
			    swim_count(sim->agents[i].swim) + swim_buried(sim->agents[i].swim) <=
				n);
}

/* Whether each live agent shows each other live one as alive, or at worst suspect. */
static bool
run_live_shown(const struct run *run)
{
	const struct sim *sim = run->sim;
	struct swim_member m;

	for (size_t i = 0; i < sim->config.agents; i++)
		for (size_t j = 0; sim_live(sim, i) && j < sim->config.agents; j++)
			if (sim_live(sim, j) && (!swim_member_find(sim->agents[i].swim,
						     str_of(sim->agents[j].name), &m) ||
						    m.state > SWIM_SUSPECT ||
						    !addr_eq_ip(&m.addr, &sim->agents[j].addr)))
				return false;
	return true;
}

static nsec
run_until(struct run *run, bool (*holds)(const struct run *), nsec max)
{
	nsec start = run->sim->net.now;

	while (!holds(run) && run->sim->net.now - start < max)
		sim_run(run->sim, 50 * NSEC_MS);
	run_check(run);
	run_assert(run, holds(run));
	return run->sim->net.now - start;
}

static bool
run_agreed(const struct run *run)
{
	return sim_agreed(run->sim);
}

static void
run_faults(struct run *run)
{
	nsec end = run->sim->net.now + FAULTS;

	while (run->sim->net.now < end) {
		sim_run(run->sim, (1 + (nsec)rng_below(&run->rng, 1000)) * NSEC_MS);
		for (size_t i = 0; i < run->sim->config.agents; i++)
			if (run->sim->agents[i].paused && run->resume_at[i] <= run->sim->net.now)
				sim_resume(run->sim, i);
		run_fault(run);
		run_check(run);
	}
}

struct figures {
	nsec healed_max, agreed_max;
};

static void
run_seed(uint64_t seed, struct figures *f)
{
	struct run run = { .seed = seed };
	struct sim_config config = sim_lan;
	nsec took;

	rng_init(&run.rng, seed * 2 + 1);
	config.agents = rng_below(&run.rng, 4) == 0 ? 2 + rng_below(&run.rng, AGENTS - 1) : AGENTS;
	config.seed = seed;
	config.silent_hosts = rng_below(&run.rng, 3) == 0;
	config.overhead = rng_below(&run.rng, 2) == 0 ? 29 : 0;
	config.trace = config.notes = getenv("TRACE") != NULL;
	run.sim = sim_new(&config);
	run.sim->arg = &run;
	run.sim->on_sent = run_count_marks;
	sim_start_all(run.sim);
	run_until(&run, run_agreed, 30 * NSEC_SEC);
	run_faults(&run);
	sim_heal(run.sim);
	run.sim->net.loss = run.sim->net.twice = 0;
	run.sim->net.latency_max = 5 * NSEC_MS;
	if (config.trace)
		fprintf(stderr, STR_FMT "healed\n", STR_ARG(sim_trace(run.sim)));
	buf_clear(&run.sim->trace);
	took = run_until(&run, run_live_shown, HEALED_MAX);
	f->healed_max = took > f->healed_max ? took : f->healed_max;
	took += run_until(&run, run_agreed, AGREED_MAX);
	f->agreed_max = took > f->agreed_max ? took : f->agreed_max;
	sim_run(run.sim, STAYS); /* a last rumour of who is gone may have been under way */
	run_until(&run, run_agreed, 0);
	if (config.trace)
		fprintf(stderr, STR_FMT, STR_ARG(sim_trace(run.sim)));
	sim_free(run.sim);
}

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void
every_fault_heals(void **unused)
{
	(void)unused;
	uint64_t only = number_of("SEED", 0), seeds = number_of("SEEDS", SEEDS);
	struct figures f = { 0 };

	if (only != 0) {
		run_seed(only, &f);
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++)
		run_seed(seed, &f);
	print_message(
	    "%llu seeds: the living shown after %.2f s, all agreed after %.2f s at most\n",
	    (unsigned long long)seeds, (double)f.healed_max / NSEC_SEC,
	    (double)f.agreed_max / NSEC_SEC);
}

/* Loss and delay alone are no reason to declare anybody dead. */
static void
bad_weather_kills_nobody(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct sim_config config = sim_lan;
		struct run run = { .seed = seed };

		config.agents = AGENTS;
		config.seed = seed;
		config.loss = 50;
		config.twice = 50;
		config.latency_max = 200 * NSEC_MS;
		run.sim = sim_new(&config);
		sim_start_all(run.sim);
		run_until(&run, run_agreed, 30 * NSEC_SEC);
		sim_run(run.sim, 120 * NSEC_SEC);
		for (size_t i = 0; i < AGENTS; i++)
			run_assert(&run, swim_stats(run.sim->agents[i].swim).deaths == 0);
		run_until(&run, run_agreed, 0);
		sim_free(run.sim);
	}
}

static void
one_seed_gives_one_run(void **unused)
{
	(void)unused;
	struct buf trace;

	buf_init(&trace, 1 << 24);
	for (int i = 0; i < 2; i++) {
		struct sim_config config = sim_lan;
		struct sim *sim;

		config.agents = AGENTS;
		config.seed = 7;
		config.loss = 100;
		config.twice = 100;
		config.trace = config.notes = true;
		sim = sim_new(&config);
		sim_start_all(sim);
		sim_run(sim, 10 * NSEC_SEC);
		sim_crash(sim, 3);
		sim_run(sim, 10 * NSEC_SEC);
		if (i == 0)
			buf_add(&trace, sim_trace(sim));
		assert_true(trace.n > 1000);
		assert_true(str_eq(buf_str(&trace), sim_trace(sim)));
		sim_free(sim);
	}
	buf_done(&trace);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_heals),
		cmocka_unit_test(bad_weather_kills_nobody),
		cmocka_unit_test(one_seed_gives_one_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

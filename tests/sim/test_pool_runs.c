/* Random runs of whole agents: pools under the mix of faults of RULES 20 from one seed, then
 * healed.
 *
 * What must hold all the time and in the end is pool_check.h's. After the network has healed:
 * within SHOWN_MAX every live agent shows every other as alive, within AGREED_MAX all hold what
 * live owners registered, and it stays so while little is sent.
 *
 * A failure prints its seed; SEED=n runs that one, with its trace when TRACE is set; SEEDS=n runs
 * so many, FROM=n from there on.
 *
 * Parts: a run; registrations; processes; disks; the network; the mix; one seed.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/pool_check.h"
#include "tests/unit/test.h"

#define AGENTS 30
#ifdef __SANITIZE_ADDRESS__
#define SEEDS 3 /* each takes many times as long */
#else
#define SEEDS 12
#endif
#define FAULTS (100 * NSEC_SEC)
#define SHOWN_MAX (15 * NSEC_SEC)
#define AGREED_MAX (75 * NSEC_SEC)
#define STAYS (30 * NSEC_SEC)
#define THINGS 6               /* services of a host that come and go */
#define HEAP_MAX (1024 * 1024) /* bytes of each host, agent or none, when all is said */
#define CALM_BYTES_MAX 1500.0  /* per agent and second, when all is said */

struct run {
	uint64_t seed;
	struct pool_sim *sim;
	struct pool_check check;
	struct rng rng;                           /* of the faults */
	nsec resume_at[AGENTS], start_at[AGENTS]; /* 0: not */
	nsec weather_until, calm_until;
	size_t heap;                 /* in use before it began */
	bool bad_weather, namesakes; /* namesakes: two are configured with one name */
};

/* A run. */

static void
run_fail(const struct run *run, const char *what)
{
	struct buf why;

	buf_init(&why, 1 << 20);
	if (run->sim->config.trace)
		fprintf(stderr, STR_FMT, STR_ARG(pool_sim_trace(run->sim)));
	if (run->check.broken[0] == '\0')
		pool_check_agreed(&run->check, &why);
	print_error("SEED=%llu at %.3f s: %s %s\n", (unsigned long long)run->seed,
	    (double)(run->sim->net.now - POOL_SIM_EPOCH) / NSEC_SEC, what, run->check.broken);
	print_error(STR_FMT "\n", STR_ARG(str_head(buf_str(&why), why.n < 2000 ? why.n : 2000)));
	buf_done(&why);
	fail();
}

static size_t
run_any(struct run *run)
{
	return rng_below(&run->rng, (uint32_t)run->sim->config.hosts);
}

static nsec
run_ms(struct run *run, uint32_t max)
{
	return (1 + (nsec)rng_below(&run->rng, max)) * NSEC_MS;
}

static size_t
run_live_count(const struct run *run)
{
	size_t count = 0;

	for (size_t i = 0; i < run->sim->config.hosts; i++)
		count += pool_sim_live(run->sim, i);
	return count;
}

static bool
one_in(struct run *run, uint32_t n)
{
	return rng_below(&run->rng, n) == 0;
}

/* Registrations: containers come and go, whether an agent looks or not. */

static void
run_register(struct run *run, size_t i)
{
	struct pool_host *host = &run->sim->hosts[i];
	bool runs = pool_sim_awake(run->sim, i);
	struct model_ids ids = {
		.store = runs ? host->store : NULL,
		.self = &host->disk.id,
	};
	struct now now = pool_sim_now(run->sim, i);
	size_t thing = rng_below(&run->rng, THINGS);

	if (host->pool != NULL && !runs)
		return; /* a paused agent would have to catch up: local sources' affair, not ours */
	switch (rng_below(&run->rng, 4)) {
	case 0:
	case 1:
		model_service(&host->model, &ids, now, thing, !one_in(run, 3));
		break;
	case 2:
		model_check(&host->model, &ids, now, thing, !one_in(run, 4));
		break;
	case 3:
		model_note(&host->model, &ids, now, thing, !one_in(run, 3));
		break;
	}
	pool_check_written(&run->check, i);
	if (runs && !one_in(run, 8)) /* sometimes together with what comes next */
		pool_sim_changed(run->sim, i);
}

static void
run_churn(struct run *run)
{
	size_t i = run_any(run);

	for (uint32_t k = 1 + rng_below(&run->rng, 4); k > 0; k--)
		run_register(run, i);
	pool_sim_changed(run->sim, i);
}

/* One push is lost on all its ways, and nothing follows it. */
static void
run_lost_push(struct run *run)
{
	size_t i = run_any(run);

	if (!pool_sim_awake(run->sim, i))
		return;
	run->sim->dry_from = i;
	run->sim->dry_count = 40;
	run_register(run, i);
	pool_sim_changed(run->sim, i);
	run->sim->dry_count = 0;
}

/* Processes. */

static bool
run_may_stop(const struct run *run)
{
	return run_live_count(run) * 3 > run->sim->config.hosts * 2;
}

static void
run_crash(struct run *run)
{
	size_t i = run_any(run);

	if (!run_may_stop(run) || run->sim->hosts[i].pool == NULL)
		return;
	pool_check_disturbed(&run->check, i);
	pool_sim_crash(run->sim, i);
	run->resume_at[i] = 0;
	run->sim->hosts[i].host_down = one_in(run, 2);
	if (one_in(run, 2))
		run->start_at[i] = run->sim->net.now + run_ms(run, 20000);
}

static void
run_leave(struct run *run)
{
	size_t i = run_any(run);

	if (!run_may_stop(run))
		return;
	pool_check_disturbed(&run->check, i);
	pool_sim_leave(run->sim, i);
}

static void
run_upgrade(struct run *run)
{
	size_t i = run_any(run);

	if (!pool_sim_awake(run->sim, i) || !run->sim->hosts[i].ready ||
	    !run->sim->hosts[i].baseline)
		return;
	pool_check_disturbed(&run->check, i);
	/* While it is down, its name on the wire may be another's, and then it is replaced. */
	if (!run->bad_weather && net_whole(&run->sim->net) &&
	    !(run->namesakes && (i == 1 || i == 2)))
		pool_check_upgrade(&run->check, i);
	pool_sim_stop(run->sim, i);
	run->start_at[i] = run->sim->net.now + run_ms(run, 10000);
}

static void
run_start(struct run *run, size_t i)
{
	struct pool_host *host = &run->sim->hosts[i];

	run->start_at[i] = 0;
	if (host->pool != NULL)
		return;
	host->host_down = false;
	if (!run->check.upgrades[i].on)
		pool_check_disturbed(&run->check, i);
	run->check.disturbed[i] = run->sim->net.now;
	pool_check_revived(&run->check, &host->disk.id);
	pool_sim_start(run->sim, i, one_in(run, 2) ? 0 : run_ms(run, 3000));
}

static void
run_pause(struct run *run)
{
	size_t i = run_any(run);

	if (!pool_sim_awake(run->sim, i))
		return;
	pool_check_disturbed(&run->check, i);
	pool_sim_pause(run->sim, i);
	run->resume_at[i] = run->sim->net.now + run_ms(run, one_in(run, 3) ? 40000 : 3000);
}

static void
run_force_leave(struct run *run)
{
	size_t i = run_any(run);
	struct pool_member m;
	struct str after = STR_NONE;
	bool prune = one_in(run, 2), found = false, lives = false;
	size_t disks = 0; /* with that id: a copy is a member of its own, by another name */

	if (!pool_sim_awake(run->sim, i))
		return;
	while (!found && pool_member_next(run->sim->hosts[i].pool, after, &m)) {
		found = m.state == SERF_FAILED || (prune && m.state == SERF_LEFT);
		after = m.wire_name;
	}
	if (!found)
		return;
	for (size_t j = 0; j < run->sim->config.hosts; j++)
		if (uuid_eq(&run->sim->hosts[j].disk.id, &m.id)) {
			pool_check_disturbed(&run->check, j);
			lives = lives || run->sim->hosts[j].pool != NULL;
			disks++;
		}
	if (prune && !lives && disks <= 1)
		pool_check_pruned(&run->check, &m.id);
	pool_sim_force_leave(run->sim, i, m.wire_name, prune);
}

/* Disks, of an agent that does not run; then it starts. */

static void
run_revive(struct run *run)
{
	size_t i = run_any(run), from = run_any(run);
	struct pool_host *host = &run->sim->hosts[i];

	if (host->pool != NULL || run->start_at[i] != 0)
		return;
	switch (rng_below(&run->rng, 8)) {
	case 0: /* a new id at an old address */
	case 1:
		pool_sim_wipe(run->sim, i);
		break;
	case 2:
	case 3:
		pool_sim_move(run->sim, i);
		break;
	case 4:
		pool_sim_restore(run->sim, i);
		break;
	case 5:
		if (from == i || !one_in(run, 2))
			break;
		pool_check_mixed(&run->check, i);
		pool_check_mixed(&run->check, from);
		pool_check_disturbed(&run->check, from);
		pool_sim_clone(run->sim, from, i);
		break;
	}
	run_start(run, i);
}

/* The network. */

static void
run_cut(struct run *run)
{
	struct net *net = &run->sim->net;
	size_t n = net->hosts, i = run_any(run), j = run_any(run);

	pool_check_weather(&run->check);
	switch (rng_below(&run->rng, 5)) {
	case 0:
		net_cut(net, i, j, true);
		break;
	case 1:
		net_cut_both(net, i, j, true);
		break;
	case 2: /* one alone */
		for (j = 0; j < n; j++)
			net_cut_both(net, i, j, j != i);
		break;
	case 3: /* one deaf, or dumb */
		for (j = 0; j < n; j++)
			net_cut(net, one_in(run, 2) ? i : j, one_in(run, 2) ? j : i, j != i);
		break;
	case 4: /* two halves */
		for (size_t a = 0; a < n; a++)
			for (size_t b = 0; b < n; b++)
				net_cut(net, a, b, (a < i) != (b < i));
		break;
	}
}

static void
run_uncut(struct run *run)
{
	pool_check_weather(&run->check);
	net_uncut(&run->sim->net);
}

static void
run_weather(struct run *run)
{
	struct net *net = &run->sim->net;

	pool_check_weather(&run->check);
	run->bad_weather = one_in(run, 2);
	net->loss = run->bad_weather && one_in(run, 2) ? rng_below(&run->rng, 300) : 0;
	net->twice = run->bad_weather && one_in(run, 2) ? rng_below(&run->rng, 200) : 0;
	net->latency_max = net->latency_min + 1;
	net->latency_max += run->bad_weather ? run_ms(run, 200) : 5 * NSEC_MS;
}

/* Nothing happens for a while, on a network that is whole: what is left over must go. */
static void
run_lull(struct run *run)
{
	struct net *net = &run->sim->net;

	pool_check_weather(&run->check);
	net_uncut(net);
	net->loss = net->twice = 0;
	net->latency_max = net->latency_min + 5 * NSEC_MS;
	run->bad_weather = false;
	run->calm_until = net->now + POOL_CALM + 10 * NSEC_SEC;
}

/* The mix. */

static void
run_clock(struct run *run)
{
	run->sim->hosts[run_any(run)].wall_ahead_ms =
	    (int64_t)rng_below(&run->rng, 200000000) - 100000000;
}

static void
run_fault(struct run *run)
{
	static void (*const faults[])(struct run *) = { run_churn, run_churn, run_churn, run_churn,
		run_lost_push, run_crash, run_crash, run_leave, run_upgrade, run_upgrade, run_pause,
		run_force_leave, run_revive, run_revive, run_revive, run_revive, run_cut, run_uncut,
		run_weather, run_clock };

	if (one_in(run, 120))
		run_lull(run);
	if (one_in(run, 40))
		pool_sim_backup(run->sim, run_any(run));
	faults[rng_below(&run->rng, sizeof faults / sizeof faults[0])](run);
}

static void
run_due(struct run *run)
{
	for (size_t i = 0; i < run->sim->config.hosts; i++) {
		if (run->resume_at[i] != 0 && run->resume_at[i] <= run->sim->net.now) {
			run->resume_at[i] = 0;
			pool_check_disturbed(&run->check, i);
			pool_sim_resume(run->sim, i);
		}
		if (run->start_at[i] != 0 && run->start_at[i] <= run->sim->net.now)
			run_start(run, i);
	}
}

static void
run_step(struct run *run, nsec span)
{
	pool_sim_run(run->sim, span);
	run_due(run);
	if (!pool_check_now(&run->check))
		run_fail(run, "");
}

static void
run_faults(struct run *run)
{
	nsec end = run->sim->net.now + FAULTS;

	while (run->sim->net.now < end) {
		run_step(run, run_ms(run, 800));
		if (run->sim->net.now >= run->calm_until)
			run_fault(run);
	}
}

static bool
run_shown(const struct run *run)
{
	return pool_check_shown(&run->check, NULL);
}

static bool
run_agreed(const struct run *run)
{
	return pool_check_agreed(&run->check, NULL);
}

static nsec
run_until(struct run *run, bool (*holds)(const struct run *), nsec max, const char *what)
{
	nsec start = run->sim->net.now;

	while (!holds(run) && run->sim->net.now - start < max)
		run_step(run, 100 * NSEC_MS);
	if (!holds(run))
		run_fail(run, what);
	return run->sim->net.now - start;
}

/* One seed. */

struct figures {
	nsec shown_max, agreed_max;
	double bytes_max; /* per agent and second, in the calm after */
	uint64_t epochs, clones;
	size_t heap_max;
};

static void
run_config(struct run *run, struct pool_sim_config *config)
{
	*config = pool_sim_lan;
	config->seed = run->seed;
	config->hosts = one_in(run, 4) ? 2 + rng_below(&run->rng, AGENTS - 1) : AGENTS;
	config->silent_hosts = one_in(run, 3);
	config->overhead = one_in(run, 2) ? 29 : 0;
	config->framed = one_in(run, 8);
	config->reap = one_in(run, 3) ? 15 * NSEC_SEC : 0;
	config->tombstones_max = one_in(run, 2) ? 2 : 0;
	config->trace = config->notes = getenv("TRACE") != NULL;
}

static void
run_heal(struct run *run)
{
	struct net *net = &run->sim->net;

	for (size_t i = 0; i < run->sim->config.hosts; i++) {
		if (run->start_at[i] != 0)
			run_start(run, i);
		run->resume_at[i] = 0;
		pool_check_disturbed(&run->check, i);
	}
	pool_check_weather(&run->check);
	net->loss = net->twice = 0;
	net->latency_max = 5 * NSEC_MS;
	pool_sim_heal(run->sim);
	for (size_t i = 0; i < run->sim->config.hosts; i++)
		pool_sim_changed(run->sim, i);
	pool_sim_tell(run->sim, 0, "HEALED");
}

static size_t
heap_used(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void
run_calm(struct run *run, struct figures *f)
{
	size_t heap;
	uint64_t bytes;
	double rate;
	nsec end = run->sim->net.now + STAYS, half = run->sim->net.now + STAYS / 2;

	while (run->sim->net.now < half)
		run_step(run, NSEC_SEC);
	bytes = run->sim->datagram_bytes + run->sim->stream_bytes;
	while (run->sim->net.now < end)
		run_step(run, NSEC_SEC);
	rate = (double)(run->sim->datagram_bytes + run->sim->stream_bytes - bytes) /
	       (double)(STAYS / 2 / NSEC_SEC) / (double)run_live_count(run);
	f->bytes_max = rate > f->bytes_max ? rate : f->bytes_max;
	if (rate > CALM_BYTES_MAX) {
		print_error("%.0f bytes per agent and second\n", rate);
		run_fail(run, "the pool does not come to rest");
	}
	heap = (heap_used() - run->heap) / run->sim->config.hosts;
	f->heap_max = heap > f->heap_max ? heap : f->heap_max;
	if (heap > HEAP_MAX && !run->sim->config.trace) {
		print_error("%zu bytes per agent\n", heap);
		run_fail(run, "something grows");
	}
}

static void
run_seed(uint64_t seed, struct figures *f)
{
	struct run run = { .seed = seed };
	struct pool_sim_config config;
	nsec took;

	run.heap = heap_used();
	rng_init(&run.rng, seed * 2 + 1);
	run_config(&run, &config);
	run.sim = pool_sim_new(&config);
	pool_check_init(&run.check, run.sim);
	run.namesakes = config.hosts > 2 && one_in(&run, 8);
	if (run.namesakes)
		memcpy(run.sim->hosts[1].display, run.sim->hosts[2].display,
		    sizeof run.sim->hosts[1].display);
	for (size_t i = 0; i < config.hosts; i++)
		for (int k = 0; k < 4; k++)
			run_register(&run, i);
	pool_sim_start_all(run.sim);
	run_until(&run, run_agreed, 40 * NSEC_SEC, "not agreed at first:");
	run_faults(&run);
	run_heal(&run);
	took = run_until(&run, run_shown, SHOWN_MAX, "not shown:");
	f->shown_max = took > f->shown_max ? took : f->shown_max;
	took += run_until(&run, run_agreed, AGREED_MAX, "not agreed:");
	f->agreed_max = took > f->agreed_max ? took : f->agreed_max;
	run_calm(&run, f);
	run_until(&run, run_agreed, 0, "it did not stay so:");
	if (!pool_check_catalogs(&run.check))
		run_fail(&run, "");
	f->epochs += run.sim->epochs;
	f->clones += run.sim->clones;
	if (config.trace)
		fprintf(stderr, STR_FMT, STR_ARG(pool_sim_trace(run.sim)));
	pool_check_done(&run.check);
	pool_sim_free(run.sim);
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
	uint64_t only = number_of("SEED", 0), from = number_of("FROM", 1),
		 seeds = number_of("SEEDS", SEEDS);
	struct figures f = { 0 };

	if (only != 0) {
		from = only;
		seeds = 1;
	}
	for (uint64_t seed = from; seed < from + seeds; seed++)
		run_seed(seed, &f);
	print_message("%llu seeds: the living shown after %.2f s, all agreed after %.2f s at most; "
		      "then %.0f bytes per agent and second at most\n",
	    (unsigned long long)seeds, (double)f.shown_max / NSEC_SEC,
	    (double)f.agreed_max / NSEC_SEC, f.bytes_max);
	print_message("%llu new epochs, %llu new ids; %zu kB of heap per host at most\n",
	    (unsigned long long)f.epochs, (unsigned long long)f.clones, f.heap_max / 1000);
}

static void
one_seed_gives_one_run(void **unused)
{
	(void)unused;
	struct buf trace;

	if (number_of("SEED", 0) != 0)
		return; /* that one run is wanted */
	buf_init(&trace, 1 << 26);
	for (int k = 0; k < 2; k++) {
		struct pool_sim_config config = pool_sim_lan;
		struct run run = { .seed = 7 };

		config.hosts = 12;
		config.seed = 7;
		config.loss = 100;
		config.twice = 100;
		config.trace = config.notes = true;
		rng_init(&run.rng, 7);
		run.sim = pool_sim_new(&config);
		pool_check_init(&run.check, run.sim);
		pool_sim_start_all(run.sim);
		while (run.sim->net.now < POOL_SIM_EPOCH + 20 * NSEC_SEC) {
			run_step(&run, 500 * NSEC_MS);
			run_churn(&run);
		}
		pool_sim_crash(run.sim, 3);
		run_step(&run, 10 * NSEC_SEC);
		if (k == 0)
			buf_add(&trace, pool_sim_trace(run.sim));
		assert_true(trace.n > 1000);
		assert_true(str_eq(buf_str(&trace), pool_sim_trace(run.sim)));
		pool_check_done(&run.check);
		pool_sim_free(run.sim);
	}
	buf_done(&trace);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_heals),
		cmocka_unit_test(one_seed_gives_one_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

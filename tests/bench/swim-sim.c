/* How long until everybody knows that an agent is gone, and what an idle pool sends: the
 * simulator's figures.
 *
 *     swim-sim [AGENTS [SEEDS]]      30 agents, 200 seeds
 *
 * Per seed one crash at a random moment of an idle pool, measured until the last one knows; once
 * with hosts that refuse packets for a dead process, once with hosts that are silent.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

#define STEP (10 * NSEC_MS)
#define GIVE_UP (120 * NSEC_SEC)

static int
nsec_cmp(const void *a, const void *b)
{
	nsec x = *(const nsec *)a, y = *(const nsec *)b;

	return x < y ? -1 : x > y;
}

static double
seconds(nsec d)
{
	return (double)d / NSEC_SEC;
}

static struct sim *
pool(size_t agents, uint64_t seed, bool silent)
{
	struct sim_config config = sim_lan;
	struct sim *sim;

	config.agents = agents;
	config.seed = seed;
	config.silent_hosts = silent;
	sim = sim_new(&config);
	sim_start_all(sim);
	for (int i = 0; i < 600 && !sim_agreed(sim); i++)
		sim_run(sim, 100 * NSEC_MS);
	sim_run(sim, 5 * NSEC_SEC);
	return sim;
}

static nsec
crash(size_t agents, uint64_t seed, bool silent, bool leave)
{
	struct sim *sim = pool(agents, seed, silent);
	size_t victim = rng_below(&sim->net.rng, (uint32_t)agents);
	nsec start;

	sim_run(sim, (nsec)rng_below(&sim->net.rng, 5000) * NSEC_MS);
	start = sim->net.now;
	if (leave)
		sim_leave(sim, victim);
	else
		sim_crash(sim, victim);
	while (!sim_all_know_gone(sim, victim) && sim->net.now - start < GIVE_UP)
		sim_run(sim, STEP);
	start = sim->net.now - start;
	sim_free(sim);
	return start;
}

static void
crashes(size_t agents, size_t seeds, const char *what, bool silent, bool leave)
{
	nsec *took = calloc(seeds, sizeof *took);

	if (took == NULL)
		exit(1);
	for (size_t i = 0; i < seeds; i++)
		took[i] = crash(agents, i + 1, silent, leave);
	qsort(took, seeds, sizeof *took, nsec_cmp);
	printf("%-34s p50 %6.2f s  p90 %6.2f s  max %6.2f s\n", what, seconds(took[seeds / 2]),
	    seconds(took[seeds * 9 / 10]), seconds(took[seeds - 1]));
	free(took);
}

static void
idle(size_t agents)
{
	struct sim *sim = pool(agents, 1, false);
	uint64_t packets, bytes, streams;
	double span = (double)agents * 300;

	sim_run(sim, 60 * NSEC_SEC);
	packets = sim->datagrams;
	bytes = sim->datagram_bytes;
	streams = sim->stream_bytes;
	sim_run(sim, 300 * NSEC_SEC);
	printf("idle, per agent: %.1f datagrams/s, %.0f B/s in datagrams, %.0f B/s in streams\n",
	    (double)(sim->datagrams - packets) / span, (double)(sim->datagram_bytes - bytes) / span,
	    (double)(sim->stream_bytes - streams) / span);
	sim_free(sim);
}

int
main(int argc, char **argv)
{
	size_t agents = argc > 1 ? strtoul(argv[1], NULL, 10) : 30;
	size_t seeds = argc > 2 ? strtoul(argv[2], NULL, 10) : 200;

	if (agents < 2 || agents > SIM_AGENTS_MAX || seeds < 1 || seeds > 100000) {
		fprintf(stderr, "usage: swim-sim [AGENTS [SEEDS]]\n");
		return 2;
	}
	printf("%zu agents, %zu seeds: until everybody knows\n", agents, seeds);
	crashes(agents, seeds, "crash, the host refuses", false, false);
	crashes(agents, seeds, "crash, silence", true, false);
	crashes(agents, seeds, "leave", false, true);
	idle(agents);
	return 0;
}

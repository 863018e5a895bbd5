/* How fast a change of the catalog spreads, and what it costs: spreads and stores alone, over a
 * network in memory (0.2 to 1 ms one way, nothing lost unless told).
 *
 *     spread-sim [LOSS_PER_MILLE]      0
 *
 * Per size of pool: one change at a time, from random agents, until it is everywhere; payloads
 * that each agent received per change; bytes that each sends per second when nothing happens. The
 * tree, and beside it gossip to peers at random as memberlist does it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/spread_net.h"

#define CHANGES 60

static int
nsec_cmp(const void *a, const void *b)
{
	nsec x = *(const nsec *)a, y = *(const nsec *)b;

	return x < y ? -1 : x > y;
}

static bool
has(const struct net *net, size_t node, size_t owner, uint64_t number)
{
	const struct owner *o = store_owner(net->nodes[node].store, &net->nodes[owner].id);

	return o != NULL && owner_digest(o).number >= number;
}

/* When each agent has it, in `took`, which grows. */
static void
one_change(struct net *net, size_t owner, nsec *took, size_t *took_count)
{
	uint64_t number =
	    owner_digest(store_owner(net->nodes[owner].store, &net->nodes[owner].id)).number + 1;
	size_t left = net->count - 1;
	bool *had = calloc(net->count, sizeof *had);
	nsec start = net->now.mono;
	char body[200];

	snprintf(body, sizeof body, "%0180llu", (unsigned long long)number);
	net_put(net, owner, "service", body);
	net_changed(net, owner);
	while (left > 0 && net->now.mono - start < 30 * NSEC_SEC) {
		net_run(net, net->now.mono - start < 5 * NSEC_MS ? NSEC_MS / 10 : 5 * NSEC_MS);
		for (size_t i = 0; i < net->count; i++) {
			if (i == owner || had[i] || !has(net, i, owner, number))
				continue;
			had[i] = true;
			left--;
			took[(*took_count)++] = net->now.mono - start;
		}
	}
	free(had);
	net_run(net, 500 * NSEC_MS); /* what is sent about it later is part of its cost */
}

static uint64_t
sum_bytes(const struct net *net)
{
	uint64_t n = 0;

	for (size_t i = 0; i < net->count; i++)
		n += net->nodes[i].bytes_out + net->nodes[i].stream_bytes;
	return n;
}

static uint64_t
sum_payloads(const struct net *net)
{
	uint64_t n = 0;

	for (size_t i = 0; i < net->count; i++)
		n += net->nodes[i].payloads;
	return n;
}

static void
row(size_t agents, bool plain, unsigned loss)
{
	struct net *net = net_new(agents, 1);
	nsec *took = calloc(agents * CHANGES, sizeof *took), joined;
	double per_agent = (double)agents;
	size_t count = 0;
	uint64_t bytes, idle, payloads;

	net->loss = loss;
	net->spread.plain = plain;
	net->spread.fanout = plain ? 4 : 0;
	net_start_all(net);
	bool equal = net_run_until_equal(net, 120 * NSEC_SEC, &joined);
	net_run(net, 30 * NSEC_SEC);
	bytes = sum_bytes(net);
	net_run(net, 60 * NSEC_SEC);
	idle = sum_bytes(net) - bytes;
	payloads = sum_payloads(net);
	bytes = sum_bytes(net);
	for (int i = 0; i < CHANGES; i++)
		one_change(net, rng_below(&net->rng, (uint32_t)agents), took, &count);
	bytes = sum_bytes(net) - bytes;
	payloads = sum_payloads(net) - payloads;
	qsort(took, count, sizeof *took, nsec_cmp);
	printf("%6zu  %-5s  %8.1f  %6.2f  %6.2f  %7.2f  %6.2f%%  %6.2f  %8.0f  %8.1f%s\n", agents,
	    plain ? "plain" : "tree", (double)joined / NSEC_MS, (double)took[count / 2] / NSEC_MS,
	    (double)took[count * 99 / 100] / NSEC_MS, (double)took[count - 1] / NSEC_MS,
	    100.0 * (double)count / ((per_agent - 1) * CHANGES),
	    (double)payloads / ((per_agent - 1) * CHANGES), (double)bytes / (per_agent * CHANGES),
	    (double)idle / per_agent / 60, equal ? "" : "  (had not converged)");
	fflush(stdout);
	free(took);
	net_free(net);
}

int
main(int argc, char **argv)
{
	static const size_t sizes[] = { 30, 300, 1000 };
	unsigned loss = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;

	printf(
	    "one change of 200 bytes, %u of 1000 datagrams lost; all times in virtual ms\n", loss);
	printf("agents  how     all met   p50     p99     max   reached  copies  B/change  "
	       "idle B/s\n");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		row(sizes[i], false, loss);
		row(sizes[i], true, loss);
	}
	return 0;
}

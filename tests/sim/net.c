/* tests/sim/net.c -- see net.h. Parts: life; the heap of events; weather; ways. */
#include "tests/sim/net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Life. */

void
net_init(struct net *net, size_t hosts, uint64_t seed, nsec now)
{
	*net = (struct net){ .hosts = hosts, .now = now };
	rng_init(&net->rng, seed);
	net->cut = mem_zalloc(hosts * hosts * sizeof *net->cut);
}

void
net_done(struct net *net)
{
	assert(net->heap_count == 0);
	free(net->heap);
	free(net->cut);
}

/* The heap of events. */

static bool
net_before(const struct net_event *a, const struct net_event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void
net_post(struct net *net, struct net_event *e, nsec at)
{
	size_t i = net->heap_count;

	e->at = at;
	e->seq = net->event_seq++;
	net->heap = mem_grow(net->heap, net->heap_count, &net->heap_cap, sizeof e);
	net->heap_count++;
	for (; i > 0 && net_before(e, net->heap[(i - 1) / 2]); i = (i - 1) / 2)
		net->heap[i] = net->heap[(i - 1) / 2];
	net->heap[i] = e;
}

static struct net_event *
net_pop(struct net *net)
{
	struct net_event *top = net->heap[0], *last = net->heap[--net->heap_count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < net->heap_count) {
		if (child + 1 < net->heap_count &&
		    net_before(net->heap[child + 1], net->heap[child]))
			child++;
		if (!net_before(net->heap[child], last))
			break;
		net->heap[i] = net->heap[child];
		i = child;
	}
	if (net->heap_count > 0)
		net->heap[i] = last;
	return top;
}

struct net_event *
net_next(struct net *net, nsec end)
{
	struct net_event *e;

	if (net->heap_count == 0 || net->heap[0]->at > end) {
		net->now = end;
		return NULL;
	}
	e = net_pop(net);
	net->now = e->at;
	return e;
}

/* Weather. */

nsec
net_latency(struct net *net)
{
	uint64_t spread = (uint64_t)(net->latency_max - net->latency_min) + 1;

	return net->latency_min + (nsec)(rng_u64(&net->rng) % spread);
}

bool
net_chance(struct net *net, unsigned per_mille)
{
	return rng_below(&net->rng, 1000) < per_mille;
}

/* Ways. */

bool
net_open(const struct net *net, size_t from, size_t to)
{
	return !net->cut[from * net->hosts + to];
}

void
net_cut(struct net *net, size_t from, size_t to, bool cut)
{
	net->cut[from * net->hosts + to] = cut;
}

void
net_cut_both(struct net *net, size_t a, size_t b, bool cut)
{
	net_cut(net, a, b, cut);
	net_cut(net, b, a, cut);
}

void
net_uncut(struct net *net)
{
	memset(net->cut, 0, net->hosts * net->hosts * sizeof *net->cut);
}

bool
net_whole(const struct net *net)
{
	return memchr(net->cut, 1, net->hosts * net->hosts * sizeof *net->cut) == NULL;
}

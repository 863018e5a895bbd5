/* Random runs of a small pool that loses, doubles and reorders messages, is cut in two, and whose
 * agents stop and come back, with the same records or others. At every moment: nothing that was
 * seen to be gone comes back, nothing goes back to an older state, and no owner is seen empty.
 * When the network has healed, all hold what the owners hold.
 *
 *     SEED=n test_spread_runs     one run; SEEDS=n: so many
 */
#include <stdio.h>
#include <stdlib.h>

#include "kv/delta.h"
#include "tests/unit/spread_net.h"
#include "tests/unit/test.h"

enum { AGENTS = 6, KEYS = 8, STEPS = 150 }; /* key 0 is never removed */

struct seen {
	uint64_t version; /* the highest that was shown */
	bool gone;        /* and that one was seen to go */
};

struct run {
	struct net *net;
	struct rng rng;
	uint64_t last;                /* version */
	uint64_t model[AGENTS][KEYS]; /* 0: not there */
	bool large[AGENTS][KEYS];
	struct seen seen[AGENTS][AGENTS][KEYS];
	bool half[AGENTS]; /* on which side of the cut */
	bool is_cut, parted;
	nsec cut_until, part_at, baseline_at[AGENTS];
};

static void
key_name(char *out, int key)
{
	out[0] = 'k';
	out[1] = (char)('0' + key);
	out[2] = '\0';
}

/* A body: the version, then padding. */
static void
write_key(struct run *r, size_t agent, int key)
{
	static char body[40000];
	char name[3];
	size_t n = r->large[agent][key] ? sizeof body - 1 : 40;
	int head = snprintf(body, sizeof body, "%llu ", (unsigned long long)r->model[agent][key]);

	memset(body + head, 'x', n - (size_t)head);
	body[n] = '\0';
	key_name(name, key);
	if (r->model[agent][key] == 0)
		net_remove(r->net, agent, name);
	else
		net_put(r->net, agent, name, body);
}

static uint64_t
shown(const struct run *r, size_t at, size_t owner, int key)
{
	char name[3];

	key_name(name, key);
	return strtoull(net_get(r->net, at, owner, name), NULL, 10);
}

static void
check(struct run *r)
{
	for (size_t at = 0; at < AGENTS; at++)
		for (size_t owner = 0; owner < AGENTS && r->net->nodes[at].store != NULL; owner++)
			for (int key = 0; key < KEYS && owner != at; key++) {
				struct seen *seen = &r->seen[at][owner][key];
				uint64_t now = shown(r, at, owner, key);

				if (now > 0 &&
				    (now < seen->version || (now == seen->version && seen->gone)))
					fail_msg("%zu shows version %llu of %zu's %d after %llu",
					    at, (unsigned long long)now, owner, key,
					    (unsigned long long)seen->version);
				if (now == 0 && seen->version > 0 && key == 0)
					fail_msg("%zu sees %zu empty", at, owner);
				if (now > 0)
					*seen = (struct seen){ now, false };
				else
					seen->gone = seen->version > 0;
			}
}

static void
run_for(struct run *r, nsec span)
{
	for (nsec done = 0; done < span; done += 20 * NSEC_MS) {
		net_run(r->net, 20 * NSEC_MS);
		for (size_t i = 0; i < AGENTS; i++)
			if (r->net->nodes[i].store != NULL &&
			    r->baseline_at[i] <= r->net->now.mono) {
				store_baseline_end(r->net->nodes[i].store, r->net->now);
				r->baseline_at[i] = NSEC_NEVER;
				net_changed(r->net, i);
			}
		check(r);
	}
}

/* Steps. */

static void
change(struct run *r, size_t agent)
{
	int n = 1 + (int)rng_below(&r->rng, 4);

	while (n-- > 0) {
		int key = (int)rng_below(&r->rng, KEYS);

		r->model[agent][key] = ++r->last;
		r->large[agent][key] = rng_below(&r->rng, 20) == 0;
		if (key > 0 && rng_below(&r->rng, 3) == 0)
			r->model[agent][key] = 0;
		write_key(r, agent, key);
	}
	net_changed(r->net, agent);
}

static bool
apart(const struct run *r, size_t a, size_t b)
{
	return r->is_cut && r->half[a] != r->half[b];
}

static void
restart(struct run *r, size_t agent)
{
	net_stop(r->net, agent);
	memset(r->seen[agent], 0, sizeof r->seen[agent]);
	if (rng_below(&r->rng, 2) == 0)
		run_for(r, (nsec)rng_below(&r->rng, 500) * NSEC_MS);
	net_start(r->net, agent);
	if (rng_below(&r->rng, 2) == 0) /* other records than before */
		r->model[agent][1 + rng_below(&r->rng, KEYS - 1)] = 0;
	if (rng_below(&r->rng, 2) == 0)
		r->model[agent][rng_below(&r->rng, KEYS)] = ++r->last;
	for (int key = 0; key < KEYS; key++)
		write_key(r, agent, key);
	r->baseline_at[agent] = r->net->now.mono + (nsec)rng_below(&r->rng, 300) * NSEC_MS;
	for (size_t i = 0; i < AGENTS; i++)
		if (i != agent && !apart(r, agent, i))
			net_meet(r->net, agent, i);
}

static void
cut(struct run *r)
{
	bool one_way = rng_below(&r->rng, 4) == 0;

	if (r->is_cut)
		return;
	for (size_t i = 0; i < AGENTS; i++)
		r->half[i] = rng_below(&r->rng, 2);
	for (size_t a = 0; a < AGENTS; a++)
		for (size_t b = 0; b < AGENTS; b++)
			if (r->half[a] && !r->half[b]) {
				r->net->cut[a * AGENTS + b] = true;
				r->net->cut[b * AGENTS + a] = !one_way;
			}
	r->is_cut = true;
	r->parted = false;
	r->cut_until = r->net->now.mono + (nsec)rng_below(&r->rng, 8000) * NSEC_MS;
	r->part_at = r->net->now.mono + 3 * NSEC_SEC;
}

static void
heal(struct run *r)
{
	memset(r->net->cut, 0, AGENTS * AGENTS);
	r->is_cut = false;
	for (size_t a = 0; a < AGENTS; a++)
		for (size_t b = 0; b < a; b++)
			net_meet(r->net, a, b);
}

static void
cut_follow(struct run *r)
{
	if (r->is_cut && r->net->now.mono >= r->cut_until)
		heal(r);
	if (!r->is_cut || r->parted || r->net->now.mono < r->part_at)
		return;
	r->parted = true;
	for (size_t a = 0; a < AGENTS; a++)
		for (size_t b = 0; b < a; b++)
			if (apart(r, a, b))
				net_part(r->net, a, b, STORE_MEMBER_FAILED);
}

static void
step(struct run *r)
{
	size_t agent = rng_below(&r->rng, AGENTS);

	switch (rng_below(&r->rng, 20)) {
	case 0:
		restart(r, agent);
		break;
	case 1:
		cut(r);
		break;
	case 2:
		run_for(r, (nsec)rng_below(&r->rng, 3000) * NSEC_MS);
		break;
	default:
		change(r, agent);
	}
	run_for(r, (nsec)rng_below(&r->rng, 60) * NSEC_MS);
	cut_follow(r);
}

static void
run_end(struct run *r)
{
	heal(r);
	run_for(r, NSEC_SEC);
	if (!net_run_until_equal(r->net, 60 * NSEC_SEC, NULL))
		fail_msg("not equal after a minute");
	check(r);
	for (size_t at = 0; at < AGENTS; at++)
		for (size_t owner = 0; owner < AGENTS; owner++)
			for (int key = 0; key < KEYS; key++)
				assert_int_equal(shown(r, at, owner, key), r->model[owner][key]);
}

static void
run_seed(uint64_t seed)
{
	struct run r = { 0 };

	rng_init(&r.rng, seed);
	r.net = net_new(AGENTS, seed);
	r.net->loss = rng_below(&r.rng, 3) * 100;
	r.net->twice = 50;
	r.net->stream_fails = 100;
	r.net->straggle = 50;
	r.net->delay_max = (nsec)(1 + rng_below(&r.rng, 30)) * NSEC_MS;
	r.net->limits.tombstones_max = rng_below(&r.rng, 2) == 0 ? 2 : 1000;
	r.net->spread.direct_max = rng_below(&r.rng, 2) == 0 ? 2 : 0;
	r.net->spread.fanout = 2;
	for (size_t i = 0; i < AGENTS; i++) {
		r.model[i][0] = ++r.last;
		r.baseline_at[i] = 0;
		net_start(r.net, i);
		write_key(&r, i, 0);
		for (size_t j = 0; j < i; j++)
			net_meet(r.net, i, j);
	}
	for (int i = 0; i < STEPS; i++)
		step(&r);
	run_end(&r);
	net_free(r.net);
}

static void
random_runs(void **unused)
{
	const char *one = getenv("SEED"), *many = getenv("SEEDS");
	uint64_t first = one == NULL ? 1 : strtoull(one, NULL, 10);
	uint64_t count = one != NULL ? 1 : many == NULL ? 30 : strtoull(many, NULL, 10);

	(void)unused;
	for (uint64_t seed = first; seed < first + count; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		run_seed(seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_runs),
	};

	return cmocka_run_group_tests_name("spread, random runs", tests, NULL, NULL);
}

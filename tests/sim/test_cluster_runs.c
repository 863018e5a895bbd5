/* Clusters that keep keys: stories of founding and of lost leaders, and random runs under faults
 * (RULES 7-11, 17, 20).
 *
 * A failure prints its seed; SEED=n runs that one, with its trace when TRACE is set; SEEDS=n runs
 * so many, FROM=n from there on.
 *
 * Parts: helpers; founding; leaders; random runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/cluster_sim.h"
#include "tests/unit/test.h"

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 4
#define ORDERS 6
#else
#define SEEDS 20
#define ORDERS 24
#endif
#define FAULTS (60 * NSEC_SEC)
#define SETTLED_MAX (60 * NSEC_SEC)
#define FORMED_MAX (15 * NSEC_SEC) /* from the last server's start */

/* Helpers. */

static uint64_t
env_u64(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* How many seeds each story is told with. */
static uint64_t
orders(void)
{
	return env_u64("ORDERS", ORDERS);
}

static struct cluster_sim_config
config(uint64_t seed, size_t servers, size_t hosts)
{
	return (struct cluster_sim_config){ .seed = seed,
		.servers = servers,
		.hosts = hosts,
		.expect = (unsigned)servers,
		.clients = 0,
		.sync_min = NSEC_MS / 5,
		.sync_max = 4 * NSEC_MS,
		.learn_max = 800 * NSEC_MS,
		.trace = getenv("TRACE") != NULL };
}

static void
whole(const struct cluster_sim *sim)
{
	if (sim->broken[0] == '\0')
		return;
	print_error("SEED=%llu at %.3f s: %s\n", (unsigned long long)sim->config.seed,
	    (double)(sim->net.now - CLUSTER_SIM_START) / NSEC_SEC, sim->broken);
	fail();
}

/* Runs until all is settled; fails when it is not in time. */
static void
settle(struct cluster_sim *sim, nsec within)
{
	nsec end = sim->net.now + within;
	char why[200] = "";

	while (sim->net.now < end && sim->broken[0] == '\0') {
		cluster_sim_run(sim, 500 * NSEC_MS);
		if (sim->broken[0] == '\0' && cluster_sim_settled(sim, why, sizeof why))
			return;
	}
	if (sim->broken[0] == '\0')
		cluster_sim_fail(sim, "not settled: %s", why);
	whole(sim);
}

static size_t
voters(const struct cluster_sim *sim)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	size_t leader = cluster_sim_leader(sim), count = 0;

	if (leader == SIZE_MAX)
		return 0;
	for (size_t i = 0, n = cluster_servers(sim->hosts[leader].cluster, servers); i < n; i++)
		count += servers[i].role == RAFT_CORE_VOTER;
	return count;
}

/* The logs that vote are those that there are. */
static bool
all_vote(const struct cluster_sim *sim)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	size_t leader = cluster_sim_leader(sim), found = 0, n;

	if (leader == SIZE_MAX)
		return false;
	n = cluster_servers(sim->hosts[leader].cluster, servers);
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < sim->config.servers; i++)
			found += servers[k].id == sim->hosts[i].tags.raft_id &&
				 servers[k].role == RAFT_CORE_VOTER && cluster_sim_up(sim, i);
	return found == n && n == sim->config.servers;
}

/* Founding. */

/* Every order of starts, each with other pauses between them. */
static void
founded(unsigned expect, size_t servers, uint64_t seed)
{
	struct cluster_sim_config c = config(seed, servers, servers);
	struct cluster_sim *sim;
	size_t order[CLUSTER_SIM_HOSTS], left = servers;
	struct rng rng;
	nsec end;

	c.expect = expect;
	sim = cluster_sim_new(&c);
	rng_init(&rng, seed);
	for (size_t i = 0; i < servers; i++)
		order[i] = i;
	while (left > 0) {
		size_t k = rng_below(&rng, (uint32_t)left);

		cluster_sim_start(sim, order[k]);
		order[k] = order[--left];
		if (rng_below(&rng, 3) > 0)
			cluster_sim_run(sim, (nsec)rng_below(&rng, 3000) * NSEC_MS);
	}
	end = sim->net.now + FORMED_MAX;
	while (sim->net.now < end && sim->broken[0] == '\0' && voters(sim) < servers)
		cluster_sim_run(sim, 100 * NSEC_MS);
	if (voters(sim) != servers)
		cluster_sim_fail(sim, "%zu of %zu servers vote", voters(sim), servers);
	settle(sim, FORMED_MAX);
	whole(sim);
	cluster_sim_free(sim);
}

static void
three_found_one_cluster_in_any_order(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= orders(); seed++)
		founded(3, 3, seed);
}

static void
four_that_expect_three_found_one_cluster(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= orders(); seed++)
		founded(3, 4, seed);
}

static void
five_found_one_cluster(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= orders() / 2; seed++)
		founded(5, 5, seed);
}

static void
three_more_join_what_is_there(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= orders() / 2; seed++) {
		struct cluster_sim_config c = config(seed, 6, 6);
		struct cluster_sim *sim;

		c.expect = 3;
		sim = cluster_sim_new(&c);
		for (size_t i = 3; i < 6; i++)
			cluster_sim_start(sim, i);
		cluster_sim_run(sim, FORMED_MAX);
		assert_int_equal(voters(sim), 3);
		for (size_t i = 0; i < 3; i++)
			cluster_sim_start(sim, i);
		cluster_sim_run(sim, FORMED_MAX);
		settle(sim, FORMED_MAX);
		assert_int_equal(voters(sim), 6);
		cluster_sim_free(sim);
	}
}

/* Servers die, and lose what they had, before the cluster is formed. */
static void
founding_survives_crashes(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= orders(); seed++) {
		struct cluster_sim_config c = config(seed, 4, 4);
		struct cluster_sim *sim;
		struct rng rng;

		c.expect = 3;
		sim = cluster_sim_new(&c);
		rng_init(&rng, seed);
		for (unsigned k = 0; k < 12; k++) {
			size_t i = rng_below(&rng, 4);

			if (!cluster_sim_up(sim, i))
				cluster_sim_start(sim, i);
			else if (rng_below(&rng, 2) == 0) {
				cluster_sim_crash(sim, i);
				if (uuid_eq(&sim->formed, &(struct uuid){ { 0 } }) &&
				    rng_below(&rng, 2) == 0)
					cluster_sim_wipe(sim, i);
			}
			cluster_sim_run(sim, (nsec)rng_below(&rng, 900) * NSEC_MS);
		}
		cluster_sim_heal(sim);
		settle(sim, 2 * NSEC_MIN);
		cluster_sim_run(sim, 20 * NSEC_SEC);
		settle(sim, SETTLED_MAX);
		assert_int_equal(voters(sim), 4);
		cluster_sim_free(sim);
	}
}

/* Leaders. */

static nsec
write_again(struct cluster_sim *sim)
{
	nsec from = sim->net.now;
	uint64_t before = sim->acked;

	while (sim->acked == before && sim->net.now - from < NSEC_MIN && sim->broken[0] == '\0')
		cluster_sim_run(sim, 50 * NSEC_MS);
	return sim->net.now - from;
}

static struct cluster_sim *
running(uint64_t seed, size_t servers, size_t hosts, size_t clients)
{
	struct cluster_sim_config c = config(seed, servers, hosts);
	struct cluster_sim *sim;

	c.clients = clients;
	sim = cluster_sim_new(&c);
	for (size_t i = 0; i < hosts; i++)
		cluster_sim_start(sim, i);
	write_again(sim);
	return sim;
}

static void
a_dead_leader_is_followed_within_three_seconds(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= orders(); seed++) {
		struct cluster_sim *sim = running(seed, 3, 4, 12);
		size_t leader;
		nsec took;

		cluster_sim_run(sim, 5 * NSEC_SEC);
		whole(sim);
		leader = cluster_sim_leader(sim);
		assert_true(leader != SIZE_MAX);
		cluster_sim_crash(sim, leader);
		cluster_sim_run(sim, 50 * NSEC_MS);
		took = write_again(sim);
		if (took > 3 * NSEC_SEC)
			cluster_sim_fail(sim, "writes again after %.2f s", (double)took / NSEC_SEC);
		whole(sim);
		cluster_sim_free(sim);
	}
}

static void
a_stopped_leader_comes_back_as_a_follower(void **unused)
{
	struct cluster_sim *sim = running(3, 3, 4, 12);
	size_t leader;

	(void)unused;
	cluster_sim_run(sim, 5 * NSEC_SEC);
	leader = cluster_sim_leader(sim);
	cluster_sim_pause(sim, leader);
	cluster_sim_run(sim, 20 * NSEC_SEC);
	assert_true(cluster_sim_leader(sim) != SIZE_MAX);
	assert_true(cluster_sim_leader(sim) != leader);
	cluster_sim_resume(sim, leader);
	cluster_sim_run(sim, 5 * NSEC_SEC);
	sim->calm = true;
	settle(sim, SETTLED_MAX);
	assert_true(sim->failed == 0);
	cluster_sim_free(sim);
}

static void
all_are_killed_and_come_back(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= orders() / 2; seed++) {
		struct cluster_sim *sim = running(seed, 3, 4, 12);

		cluster_sim_run(sim, 3 * NSEC_SEC);
		for (size_t i = 0; i < 4; i++)
			cluster_sim_crash(sim, i);
		cluster_sim_heal(sim);
		cluster_sim_run(sim, 5 * NSEC_SEC);
		sim->calm = true;
		settle(sim, SETTLED_MAX);
		cluster_sim_free(sim);
	}
}

static void
all_come_back_under_new_agent_ids(void **unused)
{
	struct cluster_sim *sim = running(4, 3, 4, 12);

	(void)unused;
	cluster_sim_run(sim, 5 * NSEC_SEC);
	for (size_t i = 0; i < 4; i++) {
		cluster_sim_crash(sim, i);
		cluster_sim_rename(sim, i);
	}
	cluster_sim_heal(sim);
	cluster_sim_run(sim, 10 * NSEC_SEC);
	sim->calm = true;
	settle(sim, SETTLED_MAX);
	assert_int_equal(voters(sim), 3);
	cluster_sim_free(sim);
}

static void
an_empty_raft_folder_is_a_new_server(void **unused)
{
	struct cluster_sim *sim = running(5, 3, 3, 6);
	size_t victim;
	uint64_t before;

	(void)unused;
	cluster_sim_run(sim, 5 * NSEC_SEC);
	victim = (cluster_sim_leader(sim) + 1) % 3;
	before = sim->hosts[victim].tags.raft_id;
	cluster_sim_crash(sim, victim);
	cluster_sim_wipe(sim, victim);
	cluster_sim_run(sim, NSEC_SEC);
	cluster_sim_start(sim, victim);
	cluster_sim_run(sim, 20 * NSEC_SEC);
	assert_true(sim->hosts[victim].tags.raft_id != before);
	assert_int_equal(voters(sim), 3); /* the old one is gone, the new one votes */
	sim->calm = true;
	settle(sim, SETTLED_MAX);
	cluster_sim_free(sim);
}

static void
who_left_votes_no_more(void **unused)
{
	struct cluster_sim *sim = running(6, 4, 4, 6);
	size_t victim;

	(void)unused;
	cluster_sim_run(sim, 5 * NSEC_SEC);
	victim = (cluster_sim_leader(sim) + 1) % 4;
	cluster_sim_leave(sim, victim);
	cluster_sim_run(sim, 20 * NSEC_SEC);
	assert_int_equal(voters(sim), 3);
	sim->calm = true;
	settle(sim, SETTLED_MAX);
	cluster_sim_free(sim);
}

static void
who_is_taken_out_comes_back_with_a_new_log(void **unused)
{
	struct cluster_sim *sim = running(7, 3, 3, 6);
	size_t victim;
	uint64_t before;

	(void)unused;
	cluster_sim_run(sim, 5 * NSEC_SEC);
	victim = (cluster_sim_leader(sim) + 1) % 3;
	before = sim->hosts[victim].tags.raft_id;
	cluster_sim_take_out(sim, cluster_sim_leader(sim), before);
	cluster_sim_run(sim, 20 * NSEC_SEC);
	assert_true(sim->hosts[victim].tags.raft_id != before);
	assert_int_equal(voters(sim), 3);
	sim->calm = true;
	settle(sim, SETTLED_MAX);
	cluster_sim_free(sim);
}

static void
the_dead_are_taken_out_after_ten_minutes_where_enough_remain(void **unused)
{
	struct cluster_sim_config c = config(8, 4, 4);
	struct cluster_sim *sim;
	size_t victim;

	(void)unused;
	c.expect = 3;
	sim = cluster_sim_new(&c);
	for (size_t i = 0; i < 4; i++)
		cluster_sim_start(sim, i);
	cluster_sim_run(sim, 10 * NSEC_SEC);
	assert_int_equal(voters(sim), 4);
	victim = (cluster_sim_leader(sim) + 1) % 4;
	cluster_sim_crash(sim, victim);
	cluster_sim_run(sim, 9 * NSEC_MIN);
	assert_int_equal(voters(sim), 4);
	cluster_sim_run(sim, 2 * NSEC_MIN);
	assert_int_equal(voters(sim), 3);
	/* below three nobody is taken out */
	cluster_sim_crash(sim, (victim + 1) % 4);
	cluster_sim_run(sim, 15 * NSEC_MIN);
	assert_int_equal(voters(sim), 3);
	cluster_sim_heal(sim);
	cluster_sim_run(sim, 30 * NSEC_SEC);
	assert_int_equal(voters(sim), 4);
	settle(sim, SETTLED_MAX);
	cluster_sim_free(sim);
}

static void
a_leader_asked_to_stop_hands_over(void **unused)
{
	struct cluster_sim *sim = running(9, 3, 4, 12);
	size_t leader;
	nsec from;

	(void)unused;
	cluster_sim_run(sim, 5 * NSEC_SEC);
	leader = cluster_sim_leader(sim);
	cluster_sim_stop(sim, leader);
	from = sim->net.now;
	while (sim->broken[0] == '\0' && !cluster_may_stop(sim->hosts[leader].cluster) &&
	       sim->net.now < from + NSEC_SEC)
		cluster_sim_run(sim, 10 * NSEC_MS);
	assert_true(sim->net.now - from < 500 * NSEC_MS);
	cluster_sim_crash(sim, leader);
	assert_true(write_again(sim) < 500 * NSEC_MS);
	whole(sim);
	assert_true(sim->failed == 0);
	cluster_sim_free(sim);
}

/* Random runs. */

struct run {
	struct cluster_sim *sim;
	struct rng rng;
	nsec wiped;                   /* when a Raft folder was lost last */
	nsec back[CLUSTER_SIM_HOSTS]; /* when it goes on, or starts again; 0: it runs */
};

static size_t
servers_out(const struct run *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->sim->config.servers; i++)
		n += r->back[i] != 0;
	return n;
}

static nsec
some_time(struct run *r, uint32_t ms)
{
	return r->sim->net.now + (nsec)(1 + rng_below(&r->rng, ms)) * NSEC_MS;
}

static void
fault(struct run *r)
{
	struct cluster_sim *sim = r->sim;
	size_t n = sim->config.hosts, i = rng_below(&r->rng, (uint32_t)n);
	size_t j = rng_below(&r->rng, (uint32_t)n), leader = cluster_sim_leader(sim);

	if (rng_below(&r->rng, 3) == 0 && leader != SIZE_MAX)
		i = leader;
	switch (rng_below(&r->rng, 10)) {
	case 0:
	case 1:
		if (r->back[i] != 0)
			break;
		cluster_sim_crash(sim, i);
		r->back[i] = some_time(r, 6000);
		break;
	case 2:
		if (r->back[i] != 0)
			break;
		cluster_sim_pause(sim, i);
		r->back[i] = some_time(r, 8000);
		break;
	case 3: /* one is cut off, whole or one way only */
		for (size_t k = 0; k < n; k++)
			if (k != i) {
				net_cut(&sim->net, i, k, true);
				if (rng_below(&r->rng, 4) > 0)
					net_cut(&sim->net, k, i, true);
			}
		break;
	case 4: /* two halves */
		for (size_t a = 0; a < n; a++)
			for (size_t b = 0; b < n; b++)
				if (a % 2 != b % 2)
					net_cut(&sim->net, a, b, true);
		break;
	case 5:
		if (i != j)
			net_cut(&sim->net, i, j, true);
		break;
	case 6:
	case 7:
		net_uncut(&sim->net);
		break;
	case 8:
		if (i != j)
			cluster_sim_reset(sim, i, j);
		break;
	case 9:
		if (rng_below(&r->rng, 3) == 0)
			cluster_sim_check_set(sim, i, !sim->hosts[i].critical);
		else if (r->back[i] == 0 && i < sim->config.servers && servers_out(r) == 0 &&
			 net_whole(&sim->net) && all_vote(sim) &&
			 sim->net.now > r->wiped + 10 * NSEC_SEC) {
			r->wiped = sim->net.now;
			/* never a second one before the first is replaced: that may lose writes */
			cluster_sim_crash(sim, i);
			cluster_sim_wipe(sim, i);
			r->back[i] = some_time(r, 2000);
		}
		break;
	}
}

static void
back(struct run *r)
{
	for (size_t i = 0; i < r->sim->config.hosts; i++) {
		if (r->back[i] == 0 || r->back[i] > r->sim->net.now)
			continue;
		r->back[i] = 0;
		if (cluster_sim_up(r->sim, i))
			cluster_sim_resume(r->sim, i);
		else
			cluster_sim_start(r->sim, i);
	}
}

static void
run_one(uint64_t seed)
{
	struct cluster_sim_config c = config(seed, 3, 6);
	struct run r = { 0 };
	nsec until;

	rng_init(&r.rng, seed ^ 0x5eed);
	c.servers = rng_below(&r.rng, 3) == 0 ? 5 : 3;
	c.hosts = c.servers + 3;
	c.expect = (unsigned)c.servers;
	c.clients = 18;
	c.snapshot_entries = rng_below(&r.rng, 2) == 0 ? 40 : 0;
	r.sim = cluster_sim_new(&c);
	for (size_t i = 0; i < c.hosts; i++) {
		cluster_sim_start(r.sim, i);
		cluster_sim_run(r.sim, (nsec)rng_below(&r.rng, 400) * NSEC_MS);
	}
	cluster_sim_run(r.sim, 5 * NSEC_SEC);
	until = r.sim->net.now + FAULTS;
	while (r.sim->net.now < until && r.sim->broken[0] == '\0') {
		cluster_sim_run(r.sim, (nsec)rng_below(&r.rng, 1500) * NSEC_MS);
		back(&r);
		fault(&r);
	}
	cluster_sim_heal(r.sim);
	cluster_sim_run(r.sim, 15 * NSEC_SEC);
	r.sim->calm = true;
	settle(r.sim, SETTLED_MAX);
	/* no client renews any more: in the end every session with a TTL is over */
	cluster_sim_run(r.sim, 25 * NSEC_SEC);
	whole(r.sim);
	if (getenv("FIGURES") != NULL)
		print_message("seed %llu: %llu acked, %llu failed, %llu read back, %llu sessions, "
			      "%llu ended (%llu by TTL), %llu carried, %llu installs\n",
		    (unsigned long long)seed, (unsigned long long)r.sim->acked,
		    (unsigned long long)r.sim->failed, (unsigned long long)r.sim->read_back,
		    (unsigned long long)r.sim->sessions, (unsigned long long)r.sim->ended,
		    (unsigned long long)r.sim->expired, (unsigned long long)r.sim->carried,
		    (unsigned long long)r.sim->installs);
	assert_true(r.sim->acked > 50);
	cluster_sim_free(r.sim);
}

static void
random_runs_keep_their_promises(void **unused)
{
	uint64_t from = env_u64("FROM", 1), count = env_u64("SEEDS", SEEDS);

	(void)unused;
	if (getenv("SEED") != NULL) {
		run_one(env_u64("SEED", 1));
		return;
	}
	for (uint64_t seed = from; seed < from + count; seed++)
		run_one(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_found_one_cluster_in_any_order),
		cmocka_unit_test(four_that_expect_three_found_one_cluster),
		cmocka_unit_test(five_found_one_cluster),
		cmocka_unit_test(three_more_join_what_is_there),
		cmocka_unit_test(founding_survives_crashes),
		cmocka_unit_test(a_dead_leader_is_followed_within_three_seconds),
		cmocka_unit_test(a_stopped_leader_comes_back_as_a_follower),
		cmocka_unit_test(all_are_killed_and_come_back),
		cmocka_unit_test(all_come_back_under_new_agent_ids),
		cmocka_unit_test(an_empty_raft_folder_is_a_new_server),
		cmocka_unit_test(who_left_votes_no_more),
		cmocka_unit_test(who_is_taken_out_comes_back_with_a_new_log),
		cmocka_unit_test(the_dead_are_taken_out_after_ten_minutes_where_enough_remain),
		cmocka_unit_test(a_leader_asked_to_stop_hands_over),
		cmocka_unit_test(random_runs_keep_their_promises),
	};
	if (getenv("ONLY") != NULL)
		cmocka_set_test_filter(getenv("ONLY"));
	const struct CMUnitTest runs[] = {
		cmocka_unit_test(random_runs_keep_their_promises),
	};

	if (getenv("SEED") != NULL || getenv("SEEDS") != NULL)
		return cmocka_run_group_tests(runs, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

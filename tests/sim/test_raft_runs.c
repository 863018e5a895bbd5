/* Random runs of Raft servers: from one seed a mix of faults, then all is healed.
 *
 * While it runs raft_sim.h's checker looks at every action. Clients write keys, each once, and
 * repeat what may have been lost; they read; servers are added, made voters and taken out. In the
 * end everybody agrees within AGREED_MAX, every acknowledged write is there, once, and what was
 * refused as never done is not.
 *
 * A failure prints its seed; SEED=n runs that one, with its trace when TRACE is set; SEEDS=n runs
 * so many, FROM=n from there on; COUNT=1 tells what the runs met.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/raft_sim.h"
#include "tests/unit/test.h"

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 30
#else
#define SEEDS 200
#endif
#define FAULTS (40 * NSEC_SEC)
#define AGREED_MAX (60 * NSEC_SEC)
#define KEYS_MAX 4096

struct key {
	uint64_t request; /* the last one for it; 0: refused at once */
	bool acknowledged, maybe;
};

struct run {
	uint64_t seed;
	struct raft_sim *sim;
	struct rng rng; /* of the faults */
	size_t servers;
	struct key keys[KEYS_MAX];
	uint64_t key_count;
	uint64_t change; /* the one under way; 0: none */
	size_t leaving;  /* slot of who is being taken out; RAFT_SIM_SERVERS: nobody */
	nsec start_at[RAFT_SIM_SERVERS], wipe_at[RAFT_SIM_SERVERS], weather_until;
	bool members; /* servers come and go */
};

static void
run_fail(struct run *run, const char *what)
{
	print_error("SEED=%llu: %s %s\n", (unsigned long long)run->seed, what, run->sim->broken);
	fail();
}

static bool
one_in(struct run *run, uint32_t n)
{
	return rng_below(&run->rng, n) == 0;
}

static nsec
up_to(struct run *run, nsec max)
{
	return (nsec)(rng_u64(&run->rng) % (uint64_t)max);
}

/* Clients. */

static size_t
any_server(struct run *run)
{
	size_t i = raft_sim_leading(run->sim);

	if (i == RAFT_SIM_SERVERS || one_in(run, 8))
		i = rng_below(&run->rng, (uint32_t)run->servers);
	return i;
}

/* What became of the last try. */
static void
key_look(struct run *run, struct key *k)
{
	struct raft_sim_request *r;

	if (k->request == 0)
		return;
	r = &run->sim->requests[k->request - 1];
	if (r->open)
		return;
	if (r->code == 0)
		k->acknowledged = true;
	else if (r->code != ERR_REFUSED)
		k->maybe = true;
	k->request = 0;
}

static void
client_write(struct run *run)
{
	size_t i = any_server(run);
	uint64_t key = run->key_count;
	struct key *k;
	struct err err;

	if (run->sim->servers[i].core == NULL)
		return;
	if (key > 0 && one_in(run, 3)) { /* again */
		key = rng_below(&run->rng, (uint32_t)key);
		key_look(run, &run->keys[key]);
		if (run->keys[key].request != 0 || (run->keys[key].acknowledged && !one_in(run, 4)))
			return;
	} else if (key == KEYS_MAX) {
		return;
	} else {
		run->key_count++;
	}
	k = &run->keys[key];
	k->request = raft_sim_write(run->sim, i, key, &err);
}

/* Of whoever may believe that it leads: an old leader that nobody told. */
static void
client_read(struct run *run)
{
	size_t i = one_in(run, 2) ? any_server(run) : rng_below(&run->rng, (uint32_t)run->servers);
	struct err err;

	if (run->sim->servers[i].core == NULL)
		return;
	if (one_in(run, 4))
		raft_sim_wait(run->sim, i, &err);
	else
		raft_sim_read(run->sim, i, &err);
	if (one_in(run, 10)) /* somebody hangs up */
		raft_sim_forget(
		    run->sim, 1 + rng_below(&run->rng, (uint32_t)run->sim->request_count));
}

/* Servers come and go. */

static bool
serves(const struct run *run, size_t leader, size_t i, bool *voter)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	size_t n = raft_core_servers(run->sim->servers[leader].core, servers);

	for (size_t k = 0; k < n; k++)
		if (servers[k].id == run->sim->servers[i].id) {
			*voter = servers[k].role == RAFT_CORE_VOTER;
			return true;
		}
	return false;
}

static void
change_look(struct run *run)
{
	struct raft_sim_request *r;

	if (run->change == 0)
		return;
	r = &run->sim->requests[run->change - 1];
	if (r->open)
		return;
	if (r->code == 0 && run->leaving < RAFT_SIM_SERVERS) /* it may go on asking for a while */
		run->wipe_at[run->leaving] = run->sim->now + 1 + up_to(run, 5 * NSEC_SEC);
	run->change = 0;
	run->leaving = RAFT_SIM_SERVERS;
}

static void
change(struct run *run, bool may_remove)
{
	size_t leader = raft_sim_leading(run->sim);
	struct err err;
	bool voter = false;

	change_look(run);
	if (leader == RAFT_SIM_SERVERS || run->change != 0)
		return;
	for (size_t i = 0; i < run->servers; i++) {
		if (run->wipe_at[i] != 0)
			continue;
		if (!serves(run, leader, i, &voter)) {
			run->change = raft_sim_change(run->sim, leader, SIM_ADD, i, &err);
			return;
		}
		if (!voter && !one_in(run, 4)) {
			run->change = raft_sim_change(run->sim, leader, SIM_PROMOTE, i, &err);
			return;
		}
	}
	if (may_remove && run->members && one_in(run, 6)) {
		size_t i = rng_below(&run->rng, (uint32_t)run->servers);

		run->change = raft_sim_change(run->sim, leader, SIM_REMOVE, i, &err);
		if (run->change != 0)
			run->leaving = i;
	} else if (may_remove && one_in(run, 12)) {
		raft_core_transfer(run->sim->servers[leader].core, raft_sim_now(run->sim), 0, &err);
		raft_sim_drain(run->sim, leader);
	}
}

/* Faults. */

static void
crash(struct run *run, size_t i)
{
	raft_sim_crash(run->sim, i);
	run->start_at[i] =
	    run->sim->now + 1 + up_to(run, one_in(run, 4) ? 10 * NSEC_SEC : NSEC_SEC);
}

static void
cut(struct run *run)
{
	bool both = one_in(run, 2);
	uint32_t side = rng_below(&run->rng, 1u << run->servers);

	for (size_t i = 0; i < run->servers; i++)
		for (size_t j = 0; j < run->servers; j++)
			if ((side >> i & 1) != (side >> j & 1) && (both || (side >> i & 1)))
				run->sim->cut[i][j] = true;
}

static void
weather(struct run *run)
{
	struct raft_sim_config *c = &run->sim->config;
	bool bad = one_in(run, 2);

	run->weather_until = run->sim->now + up_to(run, 6 * NSEC_SEC);
	c->loss = bad ? rng_below(&run->rng, 300) : 0;
	c->twice = bad ? rng_below(&run->rng, 300) : 0;
	c->delay_max = one_in(run, 3) ? 150 * NSEC_MS : 5 * NSEC_MS;
	c->sync_max = one_in(run, 3) ? 300 * NSEC_MS : 4 * NSEC_MS;
	c->sync_fails = one_in(run, 3) ? 300 : 0;
	memset(run->sim->cut, 0, sizeof run->sim->cut);
	if (one_in(run, 2))
		cut(run);
}

static void
faults(struct run *run)
{
	if (run->sim->now >= run->weather_until)
		weather(run);
	if (one_in(run, 150))
		crash(run, rng_below(&run->rng, (uint32_t)run->servers));
	if (one_in(run, 900))
		for (size_t i = 0; i < run->servers; i++)
			crash(run, i);
}

static bool
removed(const struct run *run, size_t i)
{
	struct raft_core *core = run->sim->servers[i].core;

	return core != NULL && raft_core_status(core, raft_sim_now(run->sim)).removed;
}

static void
lives(struct run *run)
{
	for (size_t i = 0; i < run->servers; i++) {
		if (removed(run, i) && one_in(run, 20)) { /* as an agent would */
			raft_sim_say(run->sim, "%zu: was taken out", i);
			run->wipe_at[i] = run->sim->now;
		}
		if (run->wipe_at[i] != 0 && run->wipe_at[i] <= run->sim->now) {
			raft_sim_crash(run->sim, i);
			raft_sim_wipe(run->sim, i);
			run->wipe_at[i] = 0;
			run->start_at[i] = run->sim->now;
		}
		if (run->sim->servers[i].core == NULL && run->start_at[i] <= run->sim->now)
			raft_sim_start(run->sim, i);
	}
}

/* The end. */

static void
healed(struct run *run)
{
	struct raft_sim_config *c = &run->sim->config;
	nsec until = run->sim->now + AGREED_MAX;
	bool agreed = false;

	raft_sim_say(run->sim, "healed");
	memset(run->sim->cut, 0, sizeof run->sim->cut);
	c->loss = c->twice = c->sync_fails = 0;
	c->delay_max = c->sync_max = 5 * NSEC_MS;
	run->members = false;
	while (run->sim->now < until && !agreed && run->sim->broken[0] == '\0') {
		size_t leader, in = 0;
		bool voter = false;

		memset(run->start_at, 0, sizeof run->start_at);
		lives(run);
		change(run, false);
		raft_sim_run(run->sim, 200 * NSEC_MS);
		leader = raft_sim_leading(run->sim);
		for (size_t i = 0; i < run->servers && leader < RAFT_SIM_SERVERS; i++)
			in += serves(run, leader, i, &voter) && voter;
		agreed = in == run->servers && raft_sim_agreed(run->sim, NULL);
	}
	if (run->sim->broken[0] != '\0' || !agreed)
		run_fail(run, "no agreement in the end");
}

static void
promises(struct run *run)
{
	char what[64];

	for (uint64_t n = 0; n < run->key_count; n++) {
		struct key *k = &run->keys[n];

		key_look(run, k);
		for (size_t i = 0; i < run->servers; i++) {
			bool has = raft_sim_has(run->sim, i, n);

			snprintf(what, sizeof what, "key %llu at %zu", (unsigned long long)n, i);

			if (k->acknowledged && !has)
				run_fail(run, strcat(what, " was acknowledged and is not there"));
			if (has && !k->acknowledged && !k->maybe && k->request == 0)
				run_fail(run, strcat(what, " was refused and is there"));
			if (has && !raft_sim_set_once(run->sim, i, n))
				run_fail(run, strcat(what, " was set twice"));
		}
	}
}

static void
run_seed(uint64_t seed)
{
	struct run *run = mem_new(struct run);
	struct raft_sim_config config = { .seed = seed,
		.trace = getenv("TRACE") != NULL,
		.delay_min = NSEC_MS / 2,
		.delay_max = 5 * NSEC_MS,
		.sync_min = NSEC_MS / 2,
		.sync_max = 4 * NSEC_MS };
	nsec until;

	run->seed = seed;
	rng_init(&run->rng, seed + 1000000007);
	run->servers = 3 + rng_below(&run->rng, RAFT_SIM_SERVERS - 2);
	run->members = one_in(run, 2);
	run->leaving = RAFT_SIM_SERVERS;
	config.snapshot_entries = 5 + rng_below(&run->rng, one_in(run, 2) ? 20 : 500);
	config.trail = 1 + rng_below(&run->rng, one_in(run, 2) ? 10 : 200);
	run->sim = raft_sim_new(&config);
	raft_sim_found(run->sim, 0);
	until = run->sim->now + FAULTS;
	while (run->sim->now < until && run->sim->broken[0] == '\0') {
		lives(run);
		faults(run);
		if (one_in(run, 4))
			change(run, true);
		for (uint32_t k = rng_below(&run->rng, 4); k > 0; k--)
			client_write(run);
		if (one_in(run, 2))
			client_read(run);
		raft_sim_run(run->sim, 1 + up_to(run, 60 * NSEC_MS));
	}
	if (run->sim->broken[0] != '\0')
		run_fail(run, "");
	healed(run);
	promises(run);
	if (getenv("COUNT") != NULL)
		print_message(
		    "SEED=%llu servers=%zu keys=%llu committed=%zu messages=%llu elections=%llu "
		    "installs=%llu snapshots=%llu crashes=%llu truncates=%llu changes=%llu\n",
		    (unsigned long long)seed, run->servers, (unsigned long long)run->key_count,
		    run->sim->committed_count, (unsigned long long)run->sim->seen.messages,
		    (unsigned long long)run->sim->seen.elections,
		    (unsigned long long)run->sim->seen.installs,
		    (unsigned long long)run->sim->seen.snapshots,
		    (unsigned long long)run->sim->seen.crashes,
		    (unsigned long long)run->sim->seen.truncates,
		    (unsigned long long)run->sim->seen.changes);
	raft_sim_free(run->sim);
	free(run);
}

static void
random_runs(void **unused)
{
	const char *one = getenv("SEED"), *many = getenv("SEEDS"), *from = getenv("FROM");
	uint64_t first = from == NULL ? 1 : strtoull(from, NULL, 10);
	uint64_t count = many == NULL ? SEEDS : strtoull(many, NULL, 10);

	(void)unused;
	if (one != NULL) {
		first = strtoull(one, NULL, 10);
		count = 1;
	}
	for (uint64_t seed = first; seed < first + count; seed++)
		run_seed(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

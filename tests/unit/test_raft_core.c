/* The Raft core: one server, three in memory, snapshots, servers that come and go, bad bytes. */
#include "kv/raft_core.h"

#include <stdlib.h>
#include <string.h>

#include "kv/raft_wire.h"
#include "tests/sim/raft_sim.h"
#include "tests/unit/test.h"

static struct raft_sim_config
calm(void)
{
	return (struct raft_sim_config){ .seed = 1,
		.trace = getenv("TRACE") != NULL,
		.delay_min = NSEC_MS,
		.delay_max = 2 * NSEC_MS,
		.sync_min = NSEC_MS,
		.sync_max = 2 * NSEC_MS,
		.snapshot_entries = 1000 };
}

static void
whole(struct raft_sim *sim)
{
	if (sim->broken[0] != '\0') {
		print_error("%s\n", sim->broken);
		fail();
	}
}

static bool
has_leader(struct raft_sim *sim, void *arg)
{
	size_t leader = raft_sim_leading(sim);

	(void)arg;
	return leader < RAFT_SIM_SERVERS &&
	       raft_core_status(sim->servers[leader].core, raft_sim_now(sim)).led_long;
}

static bool
is_done(struct raft_sim *sim, void *arg)
{
	return !sim->requests[*(uint64_t *)arg - 1].open;
}

static size_t
leader(struct raft_sim *sim)
{
	if (!raft_sim_until(sim, 20 * NSEC_SEC, has_leader, NULL)) {
		whole(sim);
		fail_msg("no leader");
	}
	return raft_sim_leading(sim);
}

static struct raft_sim_request
done(struct raft_sim *sim, uint64_t request)
{
	assert_true(request > 0);
	if (!raft_sim_until(sim, 10 * NSEC_SEC, is_done, &request)) {
		whole(sim);
		fail_msg("no answer");
	}
	return sim->requests[request - 1];
}

static void
put(struct raft_sim *sim, uint64_t key)
{
	struct err err = { 0 };

	assert_int_equal(done(sim, raft_sim_write(sim, leader(sim), key, &err)).code, 0);
}

/* Servers 0 … n-1, all voters. */
static struct raft_sim *
cluster(const struct raft_sim_config *config, size_t n)
{
	struct raft_sim *sim = raft_sim_new(config);
	struct err err = { 0 };

	raft_sim_found(sim, 0);
	for (size_t i = 0; i < n; i++) {
		raft_sim_start(sim, i);
		if (i == 0)
			continue;
		assert_int_equal(
		    done(sim, raft_sim_change(sim, leader(sim), SIM_ADD, i, &err)).code, 0);
		assert_int_equal(
		    done(sim, raft_sim_change(sim, leader(sim), SIM_PROMOTE, i, &err)).code, 0);
	}
	whole(sim);
	return sim;
}

static void
one_server_commits_when_its_disk_has_it(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 1);
	struct err err = { 0 };
	uint64_t request;

	(void)unused;
	leader(sim);
	request = raft_sim_write(sim, 0, 1, &err);
	assert_true(request > 0);
	assert_true(sim->requests[request - 1].open);
	assert_false(raft_sim_has(sim, 0, 1));
	assert_int_equal(done(sim, request).code, 0);
	assert_true(raft_sim_has(sim, 0, 1));
	whole(sim);
	raft_sim_free(sim);
}

static void
one_server_has_everything_after_a_crash(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 1);

	(void)unused;
	for (uint64_t key = 0; key < 50; key++)
		put(sim, key);
	raft_sim_crash(sim, 0);
	raft_sim_start(sim, 0);
	leader(sim);
	for (uint64_t key = 0; key < 50; key++)
		assert_true(raft_sim_has(sim, 0, key));
	whole(sim);
	raft_sim_free(sim);
}

static void
three_servers_agree(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);

	(void)unused;
	for (uint64_t key = 0; key < 20; key++)
		put(sim, key);
	raft_sim_run(sim, NSEC_SEC);
	whole(sim);
	for (size_t i = 0; i < 3; i++)
		for (uint64_t key = 0; key < 20; key++)
			assert_true(raft_sim_has(sim, i, key));
	assert_true(raft_sim_agreed(sim, NULL));
	raft_sim_free(sim);
}

static bool
has_it(struct raft_sim *sim, void *arg)
{
	const uint64_t *at = arg;

	return raft_sim_has(sim, at[0], at[1]);
}

static void
followers_hear_of_a_commit_ahead_of_the_heartbeat(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);

	(void)unused;
	for (uint64_t key = 0; key < 30; key++) { /* at any moment between two heartbeats */
		size_t leading = leader(sim);
		bool hasten = key % 2 == 0;

		raft_sim_run(sim, 7 * NSEC_MS);
		put(sim, key);
		for (size_t i = 0; i < 3; i++) {
			uint64_t at[] = { i, key };

			if (hasten && i != leading) {
				raft_core_hasten(sim->servers[leading].core, sim->servers[i].id);
				raft_sim_drain(sim, leading);
			}
			/* its sync and answer, and ours; else a wait before ours */
			assert_true(raft_sim_until(sim, (hasten ? 6 : 11) * NSEC_MS, has_it, at));
		}
	}
	whole(sim);
	raft_sim_free(sim);
}

static void
another_leads_when_the_leader_is_gone(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	size_t first = leader(sim);

	(void)unused;
	put(sim, 1);
	raft_sim_crash(sim, first);
	put(sim, 2);
	assert_int_not_equal(leader(sim), first);
	raft_sim_start(sim, first);
	put(sim, 3);
	raft_sim_run(sim, NSEC_SEC);
	for (uint64_t key = 1; key <= 3; key++)
		assert_true(raft_sim_has(sim, first, key));
	whole(sim);
	raft_sim_free(sim);
}

/* A server that does not answer gets the first piece of what it lacks, again and again; one that
 * does gets all, in pieces. */
static void
large_entries_go_in_pieces(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	size_t first = leader(sim), away = (first + 1) % 3;
	uint64_t bytes = 0;

	(void)unused;
	sim->config.value_size = 400 * 1024;
	sim->cut[away][first] = true; /* it hears, and is not heard */
	for (uint64_t key = 0; key < 20; key++)
		put(sim, key);
	raft_sim_run(sim, 3 * NSEC_SEC); /* the leader does not count on it any more */
	for (int ms = 0; ms < 1000; ms++) {
		raft_sim_run(sim, NSEC_MS);
		for (size_t k = 0; k < sim->wired; k++)
			if (sim->wire[k].to == away && sim->wire[k].at > sim->now) {
				bytes += sim->wire[k].bytes.n;
				assert_true(sim->wire[k].bytes.n < 3 * 512 * 1024);
				sim->wire[k].at = sim->now; /* counted once */
			}
	}
	assert_in_range(bytes, 1024 * 1024, 15 * 1024 * 1024);
	sim->cut[away][first] = false;
	raft_sim_run(sim, 2 * NSEC_SEC);
	assert_true(raft_sim_agreed(sim, NULL));
	for (uint64_t key = 0; key < 20; key++)
		assert_true(raft_sim_has(sim, away, key));
	whole(sim);
	raft_sim_free(sim);
}

/* Snapshots. */

static void
old_entries_go_when_a_snapshot_has_them(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim;

	(void)unused;
	config.snapshot_entries = 20;
	config.trail = 5;
	sim = cluster(&config, 1);
	for (uint64_t key = 0; key < 50; key++)
		put(sim, key);
	raft_sim_run(sim, NSEC_SEC);
	whole(sim);
	assert_true(sim->servers[0].snapshot.meta.index >= 40);
	assert_int_equal(sim->servers[0].log.first, sim->servers[0].snapshot.meta.index - 4);
	raft_sim_crash(sim, 0);
	raft_sim_start(sim, 0);
	leader(sim);
	for (uint64_t key = 0; key < 50; key++)
		assert_true(raft_sim_has(sim, 0, key));
	put(sim, 50);
	whole(sim);
	raft_sim_free(sim);
}

static void
who_was_away_too_long_gets_a_snapshot(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim;
	size_t away;

	(void)unused;
	config.snapshot_entries = 20;
	config.trail = 5;
	sim = cluster(&config, 3);
	away = (leader(sim) + 1) % 3;
	put(sim, 1);
	raft_sim_crash(sim, away);
	for (uint64_t key = 2; key < 60; key++)
		put(sim, key);
	raft_sim_start(sim, away);
	raft_sim_run(sim, 3 * NSEC_SEC);
	whole(sim);
	assert_int_equal(sim->seen.installs, 1);
	assert_true(raft_sim_agreed(sim, NULL));
	for (uint64_t key = 1; key < 60; key++)
		assert_true(raft_sim_has(sim, away, key));
	raft_sim_crash(sim, away); /* its disk has it */
	raft_sim_start(sim, away);
	raft_sim_run(sim, NSEC_SEC);
	assert_int_equal(sim->seen.installs, 1);
	assert_true(raft_sim_agreed(sim, NULL));
	whole(sim);
	raft_sim_free(sim);
}

static void
a_disk_that_cannot_keep_a_snapshot_is_asked_again(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim;
	size_t away;

	(void)unused;
	config.snapshot_entries = 20;
	config.trail = 5;
	sim = cluster(&config, 3);
	away = (leader(sim) + 1) % 3;
	raft_sim_crash(sim, away);
	for (uint64_t key = 2; key < 60; key++)
		put(sim, key);
	sim->config.sync_fails = 1000;
	raft_sim_start(sim, away);
	raft_sim_run(sim, 3 * NSEC_SEC);
	assert_int_equal(sim->servers[away].snapshot.meta.index, 0);
	assert_true(raft_core_status(sim->servers[away].core, raft_sim_now(sim)).applied > 40);
	sim->config.sync_fails = 0;
	raft_sim_run(sim, 3 * NSEC_SEC);
	assert_true(sim->servers[away].snapshot.meta.index > 40);
	assert_true(raft_sim_agreed(sim, NULL));
	whole(sim);
	raft_sim_free(sim);
}

static void
a_snapshot_on_its_way_is_sent_once(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim;
	size_t away;
	unsigned sent = 0;

	(void)unused;
	config.snapshot_entries = 20;
	config.trail = 5;
	sim = cluster(&config, 3);
	away = (leader(sim) + 1) % 3;
	raft_sim_crash(sim, away);
	for (uint64_t key = 2; key < 60; key++)
		put(sim, key);
	raft_sim_start(sim, away);
	for (int ms = 0; ms < 3500; ms++) { /* it comes late: with heartbeats all the time */
		raft_sim_run(sim, NSEC_MS);
		for (size_t k = 0; k < sim->wired; k++)
			if (sim->wire[k].with_data && sim->wire[k].at < sim->now + NSEC_SEC) {
				sim->wire[k].at = sim->now + 5 * NSEC_SEC;
				sent++;
			}
	}
	assert_int_equal(sent, 1);
	raft_sim_run(sim, 6 * NSEC_SEC);
	assert_true(raft_sim_agreed(sim, NULL));
	whole(sim);
	raft_sim_free(sim);
}

/* Reads. */

static void
a_read_waits_for_a_majority(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	size_t first = leader(sim);
	uint64_t read, index;
	struct err err = { 0 };

	(void)unused;
	put(sim, 1);
	index = sim->acknowledged;
	read = raft_sim_read(sim, first, &err);
	assert_true(sim->requests[read - 1].open);
	assert_int_equal(done(sim, read).code, 0);
	assert_true(sim->requests[read - 1].index >= index);
	for (size_t i = 0; i < 3; i++)
		sim->cut[i][first] = i != first; /* it is not heard any more */
	read = raft_sim_read(sim, first, &err);
	raft_sim_run(sim, 500 * NSEC_MS);
	assert_true(sim->requests[read - 1].open);
	assert_int_equal(done(sim, read).code, ERR_REFUSED);
	whole(sim);
	raft_sim_free(sim);
}

static void
reads_that_wait_share_a_question(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	size_t first = leader(sim);
	uint64_t reads[50], before;
	struct err err = { 0 };

	(void)unused;
	raft_sim_run(sim, NSEC_SEC);
	before = sim->seen.messages;
	for (size_t i = 0; i < 50; i++)
		reads[i] = raft_sim_read(sim, first, &err);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(done(sim, reads[i]).code, 0);
	assert_in_range(sim->seen.messages - before, 1, 12); /* two questions, some heartbeats */
	whole(sim);
	raft_sim_free(sim);
}

static void
only_the_leader_takes_writes_and_reads(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	size_t other = (leader(sim) + 1) % 3;
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(raft_sim_write(sim, other, 1, &err), 0);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_int_equal(raft_sim_read(sim, other, &err), 0);
	assert_int_equal(err.code, ERR_REFUSED);
	raft_sim_free(sim);
}

static void
a_leader_that_is_none_any_more_says_so(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	size_t first = leader(sim);
	uint64_t write;
	struct err err = { 0 };

	(void)unused;
	for (size_t i = 0; i < 3; i++)
		sim->cut[i][first] = sim->cut[first][i] = i != first;
	write = raft_sim_write(sim, first, 1, &err);
	assert_int_equal(done(sim, write).code, ERR_STATE); /* it may be done later */
	memset(sim->cut, 0, sizeof sim->cut);
	put(sim, 1); /* again: once */
	raft_sim_run(sim, 3 * NSEC_SEC);
	for (size_t i = 0; i < 3; i++)
		assert_true(raft_sim_set_once(sim, i, 1));
	whole(sim);
	raft_sim_free(sim);
}

static void
a_repeat_is_answered_and_not_done(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);

	(void)unused;
	put(sim, 7);
	put(sim, 7);
	raft_sim_run(sim, NSEC_SEC);
	for (size_t i = 0; i < 3; i++)
		assert_true(raft_sim_set_once(sim, i, 7));
	whole(sim);
	raft_sim_free(sim);
}

/* Servers come and go. */

static bool
is_voter(struct raft_sim *sim, size_t at, size_t of, bool *in)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	size_t n = raft_core_servers(sim->servers[at].core, servers);

	*in = false;
	for (size_t i = 0; i < n; i++) {
		assert_true(i == 0 || servers[i - 1].id < servers[i].id);
		if (servers[i].id != sim->servers[of].id)
			continue;
		assert_true(uuid_eq(&servers[i].agent, &sim->servers[of].agent));
		*in = true;
		return servers[i].role == RAFT_CORE_VOTER;
	}
	return false;
}

static void
a_new_server_has_no_vote_at_first(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 1);
	struct err err = { 0 };
	bool in;

	(void)unused;
	put(sim, 1);
	raft_sim_start(sim, 1);
	assert_int_equal(done(sim, raft_sim_change(sim, 0, SIM_ADD, 1, &err)).code, 0);
	assert_false(is_voter(sim, 0, 1, &in));
	assert_true(in);
	put(sim, 2); /* without it too */
	raft_sim_run(sim, NSEC_SEC);
	assert_true(raft_sim_has(sim, 1, 1) && raft_sim_has(sim, 1, 2));
	assert_int_equal(done(sim, raft_sim_change(sim, 0, SIM_PROMOTE, 1, &err)).code, 0);
	assert_true(is_voter(sim, 0, 1, &in));
	raft_sim_crash(sim, 1);
	assert_int_not_equal(raft_sim_write(sim, 0, 3, &err), 0);
	raft_sim_run(sim, 500 * NSEC_MS);
	assert_false(raft_sim_has(sim, 0, 3)); /* now it counts */
	whole(sim);
	raft_sim_free(sim);
}

static void
who_does_not_catch_up_gets_no_vote(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	struct err err = { 0 };
	size_t first = leader(sim);
	uint64_t change;
	bool in;

	(void)unused;
	assert_int_equal(done(sim, raft_sim_change(sim, first, SIM_ADD, 3, &err)).code, 0);
	change = raft_sim_change(sim, first, SIM_PROMOTE, 3, &err); /* it does not even run */
	assert_int_equal(raft_sim_change(sim, first, SIM_REMOVE, 3, &err), 0);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(done(sim, change).code, ERR_STATE);
	assert_false(is_voter(sim, first, 3, &in));
	assert_int_equal(done(sim, raft_sim_change(sim, first, SIM_REMOVE, 3, &err)).code, 0);
	assert_false(is_voter(sim, first, 3, &in));
	assert_false(in);
	whole(sim);
	raft_sim_free(sim);
}

static void
one_catches_up_under_load(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 1);
	struct err err = { 0 };
	uint64_t change;
	bool in;

	(void)unused;
	for (uint64_t key = 0; key < 100; key++)
		put(sim, key);
	raft_sim_start(sim, 1);
	assert_int_equal(done(sim, raft_sim_change(sim, 0, SIM_ADD, 1, &err)).code, 0);
	raft_sim_write(sim, 0, 100, &err);
	change = raft_sim_change(sim, 0, SIM_PROMOTE, 1, &err);
	for (uint64_t key = 101; key < 200; key++) {
		raft_sim_write(sim, 0, key, &err);
		raft_sim_run(sim, NSEC_MS);
	}
	assert_int_equal(done(sim, change).code, 0);
	assert_true(is_voter(sim, 0, 1, &in));
	whole(sim);
	raft_sim_free(sim);
}

static void
what_cannot_be_changed_is_refused(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 2);
	struct err err = { 0 };
	size_t first = leader(sim), other = 1 - first;

	(void)unused;
	assert_int_equal(raft_sim_change(sim, other, SIM_ADD, 3, &err), 0);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_int_equal(raft_sim_change(sim, first, SIM_ADD, other, &err), 0);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(raft_sim_change(sim, first, SIM_PROMOTE, other, &err), 0);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(raft_sim_change(sim, first, SIM_PROMOTE, 3, &err), 0);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(raft_sim_change(sim, first, SIM_REMOVE, first, &err), 0);
	assert_int_equal(err.code, ERR_REFUSED); /* one of two: hand over before */
	assert_int_equal(done(sim, raft_sim_change(sim, first, SIM_REMOVE, other, &err)).code, 0);
	assert_int_equal(raft_sim_change(sim, first, SIM_REMOVE, first, &err), 0);
	assert_int_equal(err.code, ERR_REFUSED); /* the only voter */
	put(sim, 1);
	whole(sim);
	raft_sim_free(sim);
}

static void
leadership_goes_where_it_is_sent(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	struct err err = { 0 };
	size_t first = leader(sim), next = (first + 2) % 3;

	(void)unused;
	put(sim, 1);
	assert_int_equal(raft_core_transfer(sim->servers[first].core, raft_sim_now(sim),
			     sim->servers[next].id, &err),
	    0);
	raft_sim_drain(sim, first);
	raft_sim_run(sim, 200 * NSEC_MS);
	assert_int_equal(leader(sim), next);
	put(sim, 2);
	assert_int_equal(done(sim, raft_sim_change(sim, next, SIM_REMOVE, first, &err)).code, 0);
	whole(sim);
	raft_sim_free(sim);
}

/* More may be applied between the moment that a snapshot is due and its being taken. */
static void
a_snapshot_is_of_the_state_that_it_is_taken_of(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim;
	struct raft_sim_server *s;
	struct raft_core_action a;
	struct err err = { 0 };
	uint64_t applied = 0, taken = 0;

	(void)unused;
	config.snapshot_entries = 4;
	sim = cluster(&config, 1);
	s = &sim->servers[0];
	for (uint64_t key = 0; taken == 0; key += 2) { /* due after every second round or so */
		applied = fsm_raft_index(s->fsm);
		assert_true(key < 20);
		assert_int_not_equal(raft_sim_write(sim, 0, key, &err), 0);
		assert_int_not_equal(raft_sim_write(sim, 0, key + 1, &err), 0);
		raft_core_durable(s->core, raft_sim_now(sim), applied + 1);
		raft_core_durable(s->core, raft_sim_now(sim), applied + 2);
		assert_int_equal(fsm_raft_index(s->fsm), applied + 2);
		while (raft_core_action_next(s->core, &a))
			if (a.kind == RAFT_CORE_SNAPSHOT)
				taken = a.meta.index;
	}
	assert_int_equal(taken, applied + 2);
	raft_sim_free(sim);
}

/* Its disk is still writing what came before it is told to stand: libraft would pass over that, and
 * nobody would say it again. */
static void
leadership_goes_to_one_whose_disk_is_behind(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim;
	struct err err = { 0 };
	size_t first, next;

	(void)unused;
	config.sync_min = config.sync_max = 30 * NSEC_MS;
	sim = cluster(&config, 3);
	first = leader(sim);
	next = (first + 2) % 3;
	put(sim, 1);
	raft_sim_run(sim, 200 * NSEC_MS);
	assert_int_not_equal(raft_sim_write(sim, first, 2, &err), 0);
	raft_sim_run(sim, 10 * NSEC_MS);
	assert_int_not_equal(raft_sim_write(sim, first, 3, &err), 0);
	assert_int_equal(raft_core_transfer(sim->servers[first].core, raft_sim_now(sim),
			     sim->servers[next].id, &err),
	    0);
	raft_sim_drain(sim, first);
	raft_sim_run(sim, 300 * NSEC_MS);
	assert_int_equal(raft_sim_leading(sim), next);
	put(sim, 4);
	whole(sim);
	raft_sim_free(sim);
}

/* The promotion is on the leader's disk alone when it crashes: the second server's own
 * configuration gives it no vote, the first's needs it. */
static void
a_vote_that_only_the_leader_knew_of_counts(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 1);
	struct err err = { 0 };

	(void)unused;
	put(sim, 0);
	raft_sim_start(sim, 1);
	assert_int_equal(done(sim, raft_sim_change(sim, 0, SIM_ADD, 1, &err)).code, 0);
	raft_sim_run(sim, NSEC_SEC);
	sim->cut[0][1] = true;
	assert_int_not_equal(raft_sim_change(sim, 0, SIM_PROMOTE, 1, &err), 0);
	raft_sim_run(sim, 100 * NSEC_MS);
	raft_sim_crash(sim, 0);
	sim->cut[0][1] = false;
	raft_sim_start(sim, 0);
	put(sim, 1);
	whole(sim);
	raft_sim_free(sim);
}

static bool
is_removed(struct raft_sim *sim, size_t i)
{
	return raft_core_status(sim->servers[i].core, raft_sim_now(sim)).removed;
}

static void
who_was_taken_out_learns_it(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	struct err err = { 0 };
	size_t first = leader(sim), out = (first + 1) % 3, away = (first + 2) % 3;

	(void)unused;
	raft_sim_start(sim, 3);
	assert_int_equal(done(sim, raft_sim_change(sim, first, SIM_ADD, 3, &err)).code, 0);
	raft_sim_run(sim, NSEC_SEC);
	for (size_t i = 0; i < 4; i++)
		assert_false(is_removed(sim, i));
	assert_int_equal(done(sim, raft_sim_change(sim, first, SIM_REMOVE, out, &err)).code, 0);
	assert_int_equal(done(sim, raft_sim_change(sim, first, SIM_REMOVE, 3, &err)).code, 0);
	raft_sim_run(sim, 5 * NSEC_SEC);
	assert_true(is_removed(sim, out)); /* it asked for votes */
	assert_true(is_removed(sim, 3));   /* it has none to ask for */
	assert_false(is_removed(sim, first));
	assert_false(is_removed(sim, away));
	raft_sim_crash(sim, out);
	raft_sim_wipe(sim, out);
	raft_sim_start(sim, out);
	assert_int_equal(done(sim, raft_sim_change(sim, first, SIM_ADD, out, &err)).code, 0);
	assert_int_equal(done(sim, raft_sim_change(sim, first, SIM_PROMOTE, out, &err)).code, 0);
	raft_sim_run(sim, 5 * NSEC_SEC);
	assert_false(is_removed(sim, out));
	whole(sim);
	raft_sim_free(sim);
}

static void
a_disk_that_forgot_is_found_out(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	struct err err = { 0 };
	size_t first = leader(sim), other = (first + 1) % 3;
	struct raft_sim_server *s = &sim->servers[other];

	(void)unused;
	for (uint64_t key = 0; key < 20; key++)
		put(sim, key);
	raft_sim_run(sim, NSEC_SEC);
	raft_sim_crash(sim, other); /* and gets an older copy of its disk back */
	while (s->log.count > 10)
		buf_done(&s->log.entries[--s->log.count].bytes);
	raft_sim_start(sim, other);
	assert_int_equal(raft_core_forgetful(sim->servers[first].core), 0);
	raft_sim_run(sim, 3 * NSEC_SEC);
	assert_int_equal(raft_core_forgetful(sim->servers[first].core), s->id);
	assert_int_equal(leader(sim), first);
	put(sim, 21);
	assert_int_equal(done(sim, raft_sim_change(sim, first, SIM_REMOVE, other, &err)).code, 0);
	assert_int_equal(raft_core_forgetful(sim->servers[first].core), 0);
	raft_sim_run(sim, 3 * NSEC_SEC);
	assert_true(is_removed(sim, other));
	whole(sim);
	raft_sim_free(sim);
}

/* Bytes that are not what they should be. */

static void
input_all(struct raft_sim *sim, size_t to, uint64_t from, struct str bytes)
{
	struct err err;

	raft_core_input(sim->servers[to].core, raft_sim_now(sim), from, bytes, &err);
	raft_sim_drain(sim, to);
}

static uint64_t
dropped(struct raft_sim *sim, size_t i)
{
	return raft_core_status(sim->servers[i].core, raft_sim_now(sim)).dropped;
}

static void
another_clusters_messages_are_dropped(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim = cluster(&config, 3);
	size_t other = (leader(sim) + 1) % 3;
	struct raft_wire m = { .kind = RAFT_WIRE_VOTE,
		.from = sim->servers[leader(sim)].id,
		.to = sim->servers[other].id,
		.term = 50,
		.index = 5,
		.index_term = 2,
		.disrupt = true,
		.cluster = sim->cluster };
	struct buf b;

	(void)unused;
	m.cluster.b[3] ^= 1;
	buf_init(&b, 1000);
	raft_wire_write(&b, &m);
	input_all(sim, other, m.from, buf_str(&b));
	assert_int_equal(dropped(sim, other), 1);
	assert_true(raft_core_status(sim->servers[other].core, raft_sim_now(sim)).term < 50);
	buf_clear(&b);
	m.cluster = sim->cluster;
	raft_wire_write(&b, &m);
	input_all(sim, other, m.from + 1, buf_str(&b)); /* not who it says */
	assert_int_equal(dropped(sim, other), 2);
	m.term = (uint64_t)1 << 40;
	buf_clear(&b);
	raft_wire_write(&b, &m);
	input_all(sim, other, m.from, buf_str(&b)); /* a jump */
	assert_int_equal(dropped(sim, other), 3);
	buf_done(&b);
	raft_sim_free(sim);
}

/* Every byte of messages that were really sent, flipped and cut; nothing crashes. */
static void
broken_bytes_do_no_harm(void **unused)
{
	struct raft_sim_config config = calm();
	struct raft_sim *sim;
	struct rng rng;

	(void)unused;
	config.snapshot_entries = 20;
	config.trail = 5;
	sim = cluster(&config, 3);
	rng_init(&rng, 1);
	for (uint64_t key = 0; key < 300; key++) {
		struct err err;
		size_t first = raft_sim_leading(sim);

		if (first < RAFT_SIM_SERVERS)
			raft_sim_write(sim, first, key, &err);
		raft_sim_run(sim, 3 * NSEC_MS);
		for (size_t k = 0; k < sim->wired; k++) {
			struct raft_sim_message *m = &sim->wire[k];

			/* Behind the head: what has the right ids and the right cluster. */
			for (uint32_t n = 1 + rng_below(&rng, 3); n > 0 && m->bytes.n > 34; n--)
				m->bytes.p[34 + rng_below(&rng, (uint32_t)m->bytes.n - 34)] ^=
				    (char)(1u << rng_below(&rng, 8));
			if (rng_below(&rng, 4) == 0)
				m->bytes.n -= rng_below(&rng, (uint32_t)m->bytes.n);
		}
	}
	raft_sim_free(sim); /* what they believe now is another matter: keys guard the wire */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_server_commits_when_its_disk_has_it),
		cmocka_unit_test(one_server_has_everything_after_a_crash),
		cmocka_unit_test(three_servers_agree),
		cmocka_unit_test(followers_hear_of_a_commit_ahead_of_the_heartbeat),
		cmocka_unit_test(another_leads_when_the_leader_is_gone),
		cmocka_unit_test(large_entries_go_in_pieces),
		cmocka_unit_test(old_entries_go_when_a_snapshot_has_them),
		cmocka_unit_test(who_was_away_too_long_gets_a_snapshot),
		cmocka_unit_test(a_disk_that_cannot_keep_a_snapshot_is_asked_again),
		cmocka_unit_test(a_snapshot_on_its_way_is_sent_once),
		cmocka_unit_test(a_read_waits_for_a_majority),
		cmocka_unit_test(reads_that_wait_share_a_question),
		cmocka_unit_test(only_the_leader_takes_writes_and_reads),
		cmocka_unit_test(a_leader_that_is_none_any_more_says_so),
		cmocka_unit_test(a_repeat_is_answered_and_not_done),
		cmocka_unit_test(a_new_server_has_no_vote_at_first),
		cmocka_unit_test(who_does_not_catch_up_gets_no_vote),
		cmocka_unit_test(one_catches_up_under_load),
		cmocka_unit_test(what_cannot_be_changed_is_refused),
		cmocka_unit_test(a_snapshot_is_of_the_state_that_it_is_taken_of),
		cmocka_unit_test(leadership_goes_where_it_is_sent),
		cmocka_unit_test(leadership_goes_to_one_whose_disk_is_behind),
		cmocka_unit_test(a_vote_that_only_the_leader_knew_of_counts),
		cmocka_unit_test(who_was_taken_out_learns_it),
		cmocka_unit_test(a_disk_that_forgot_is_found_out),
		cmocka_unit_test(another_clusters_messages_are_dropped),
		cmocka_unit_test(broken_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

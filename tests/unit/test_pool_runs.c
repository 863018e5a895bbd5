/* tests/unit/test_pool_runs.c -- random lives of a small pool, each from its seed.
 *
 * Agents are killed, restarted (also at another address, also with a lost disk), leave, come back,
 * take each other's names, and are cut from each other; services come and go; in some runs packets
 * are lost. When all is well again for a while, all know each other and all catalogs are alike.
 * SEED=n runs one, SEEDS=n so many; TRACE=1 tells.
 */
#include "tests/unit/pool_fixture.h"

#include <stdlib.h>

#include "base/rng.h"

struct run {
	struct world *w;
	struct rng rng;
	unsigned services[WORLD_MAX]; /* registered so far */
	unsigned next_addr, next_id;
	unsigned long seed;
};

static unsigned
any(struct run *r, unsigned n)
{
	return rng_below(&r->rng, n);
}

static bool
alive(const struct run *r, unsigned i)
{
	return r->w->nodes[i].pool != NULL && !r->w->nodes[i].left;
}

static void
join_somebody(struct run *r, unsigned i)
{
	unsigned to = any(r, WORLD_MAX);

	if (to != i && alive(r, i))
		pool_join(r->w->nodes[i].pool, r->w->now, &r->w->nodes[to].addr);
	world_drain(r->w, i);
}

static void
service_comes(struct run *r, unsigned i)
{
	char id[32];

	snprintf(id, sizeof id, "s%u-%u", i, r->services[i]++);
	world_service(r->w, i, id);
}

static void
service_goes(struct run *r, unsigned i)
{
	struct world_node *n = &r->w->nodes[i];
	char id[32];

	if (r->services[i] == 0)
		return;
	snprintf(id, sizeof id, "s%u-%u", i, any(r, r->services[i]));
	store_remove_service(n->store, r->w->now, &n->id, STR_NONE, str_of(id));
	pool_changed(n->pool, r->w->now);
	world_drain(r->w, i);
}

static void
start(struct run *r, unsigned i)
{
	struct world_node *n = &r->w->nodes[i];

	if (any(r, 4) == 0)
		n->addr.bytes[3] = (uint8_t)r->next_addr++;
	if (any(r, 8) == 0) { /* its disk is lost */
		n->id.b[15] = (uint8_t)++r->next_id;
		n->id.b[0] = (uint8_t)any(r, 256);
		n->cluster.b[15] = (uint8_t)r->next_id;
	}
	world_start(r->w, i);
	service_comes(r, i);
	join_somebody(r, i);
}

static void
stop(struct run *r, unsigned i)
{
	struct world_node *n = &r->w->nodes[i];

	n->silent = any(r, 2) == 0;
	if (any(r, 3) == 0)
		pool_restarting(n->pool, r->w->now);
	world_drain(r->w, i);
	world_kill(r->w, i);
}

static void
step(struct run *r)
{
	unsigned i = any(r, WORLD_MAX), k = any(r, WORLD_MAX);

	if (r->w->nodes[i].pool != NULL && r->w->nodes[i].left)
		world_kill(r->w, i);
	if (r->w->nodes[i].pool == NULL) {
		start(r, i);
		return;
	}
	switch (any(r, 12)) {
	case 0:
		stop(r, i);
		break;
	case 1:
		if (any(r, 3) == 0)
			pool_leave(r->w->nodes[i].pool, r->w->now);
		break;
	case 2:
		world_cut(r->w, i, k, i != k);
		break;
	case 3:
	case 4:
		world_cut(r->w, i, k, false);
		break;
	case 5:
		join_somebody(r, i);
		break;
	case 6:
		service_goes(r, i);
		break;
	case 7:
		pool_force_leave(r->w->nodes[i].pool, r->w->now, str_of(r->w->nodes[k].name),
		    any(r, 3) == 0, NULL);
		break;
	default:
		service_comes(r, i);
		break;
	}
	world_drain(r->w, i);
}

static void
heal(struct run *r)
{
	memset(r->w->cut, 0, sizeof r->w->cut);
	for (unsigned i = 0; i < WORLD_MAX; i++) {
		if (r->w->nodes[i].left && r->w->nodes[i].pool != NULL)
			world_kill(r->w, i);
		if (r->w->nodes[i].pool == NULL)
			start(r, i);
		r->w->nodes[i].silent = false;
	}
	for (unsigned k = 0; k < 60; k++) { /* as an agent with -retry-join */
		for (unsigned i = 0; i < WORLD_MAX; i++)
			if (any(r, 10) == 0 ||
			    pool_member_count(r->w->nodes[i].pool, SERF_ALIVE) < 2)
				join_somebody(r, i);
		world_run(r->w, 2 * NSEC_SEC);
		for (unsigned i = 0; i < WORLD_MAX; i++) /* it had left when all was healed */
			if (r->w->nodes[i].left) {
				world_kill(r->w, i);
				start(r, i);
			}
	}
}

static void
alike(struct run *r, unsigned i, unsigned k)
{
	const struct owner *here = store_owner(r->w->nodes[i].store, &r->w->nodes[k].id);
	const struct owner *there = store_owner(r->w->nodes[k].store, &r->w->nodes[k].id);
	struct digest a, b;

	if (strcmp(world_state(r->w, i, k), "alive") != 0)
		fail_msg("seed %lu: %s has %s as %s", r->seed, r->w->nodes[i].name,
		    r->w->nodes[k].name, world_state(r->w, i, k));
	if (here == NULL)
		fail_msg("seed %lu: %s has no records of %s", r->seed, r->w->nodes[i].name,
		    r->w->nodes[k].name);
	a = owner_digest(here);
	b = owner_digest(there);
	if (a.hash != b.hash || a.number != b.number || epoch_cmp(&a.epoch, &b.epoch) != 0)
		fail_msg("seed %lu: %s has %s at %llu.%llu, it is at %llu.%llu", r->seed,
		    r->w->nodes[i].name, r->w->nodes[k].name, (unsigned long long)a.epoch.counter,
		    (unsigned long long)a.number, (unsigned long long)b.epoch.counter,
		    (unsigned long long)b.number);
}

/* Nobody's services are hidden; names that several want are their own affair. */
static void
shown(struct run *r, unsigned i, unsigned k)
{
	const struct world_node *about = &r->w->nodes[k];
	struct catalog_node *n =
	    catalog_node_find(store_catalog(r->w->nodes[i].store), str_of(about->name));
	const struct catalog_check *serf =
	    n == NULL ? NULL : catalog_check_find(n, STR(CATALOG_SERF_CHECK));

	if (strcmp(about->name, "x") == 0)
		return;
	if (n == NULL || !uuid_eq(&n->owner, &about->id))
		fail_msg(
		    "seed %lu: %s does not show %s", r->seed, r->w->nodes[i].name, about->name);
	if (serf != NULL && serf->status != CHECK_PASSING)
		fail_msg("seed %lu: %s hides %s", r->seed, r->w->nodes[i].name, about->name);
}

static void
run(unsigned long seed)
{
	struct run r = { .w = world_new(), .seed = seed, .next_addr = 50 };

	rng_init(&r.rng, seed);
	for (unsigned i = 0; i < WORLD_MAX; i++)
		if (any(&r, 3) == 0) /* some want one name */
			snprintf(r.w->nodes[i].name, sizeof r.w->nodes[i].name, "x");
	rng_init(&r.w->rng, seed);
	r.w->loss = seed % 2 == 0 ? 0 : 20 * any(&r, 6);
	for (unsigned k = 0; k < 150; k++) {
		step(&r);
		world_run(r.w, (nsec)any(&r, 3000) * NSEC_MS);
	}
	heal(&r);
	for (unsigned i = 0; i < WORLD_MAX; i++)
		for (unsigned k = 0; k < WORLD_MAX; k++) {
			alike(&r, i, k);
			shown(&r, i, k);
		}
	world_free(r.w);
}

static void
all_is_well_in_the_end(void **unused)
{
	const char *one = getenv("SEED"), *many = getenv("SEEDS");
	unsigned long from = one == NULL ? 1 : strtoul(one, NULL, 10);
	unsigned long count = one != NULL ? 1 : many == NULL ? 8 : strtoul(many, NULL, 10);

	(void)unused;
	for (unsigned long seed = from; seed < from + count; seed++)
		run(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_well_in_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/sim/story.c -- see story.h. */
#include "tests/sim/story.h"

#include <stdlib.h>

#include "tests/unit/test.h"

void
story_fail(struct story *s, const char *what)
{
	struct buf why;

	buf_init(&why, 1 << 20);
	if (s->sim->config.trace)
		fprintf(stderr, STR_FMT, STR_ARG(pool_sim_trace(s->sim)));
	pool_check_agreed(&s->check, &why);
	print_error("%s at %.3f s: %s\n" STR_FMT "\n", what,
	    (double)(s->sim->net.now - POOL_SIM_EPOCH) / NSEC_SEC, s->check.broken,
	    STR_ARG(str_head(buf_str(&why), why.n < 2000 ? why.n : 2000)));
	buf_done(&why);
	fail();
}

void
story_run(struct story *s, nsec span)
{
	pool_sim_run(s->sim, span);
	if (!pool_check_now(&s->check))
		story_fail(s, "broken");
}

void
story_runs(struct story *s, nsec span)
{
	nsec end = s->sim->net.now + span;

	while (s->sim->net.now < end)
		story_run(s, nsec_min(100 * NSEC_MS, end - s->sim->net.now));
}

/* Until all agree; the time it took. */
nsec
story_agree(struct story *s, nsec max)
{
	nsec start = s->sim->net.now;

	while (!pool_check_agreed(&s->check, NULL)) {
		if (s->sim->net.now - start >= max)
			story_fail(s, "not agreed");
		story_run(s, 10 * NSEC_MS);
	}
	if (!pool_check_catalogs(&s->check))
		story_fail(s, "wrong");
	return s->sim->net.now - start;
}

static struct model_ids
ids_of(struct story *s, size_t i)
{
	return (struct model_ids){
		.store = s->sim->hosts[i].store,
		.self = &s->sim->hosts[i].disk.id,
	};
}

void
story_service(struct story *s, size_t i, size_t service, bool there)
{
	struct model_ids ids = ids_of(s, i);

	model_service(&s->sim->hosts[i].model, &ids, pool_sim_now(s->sim, i), service, there);
	pool_sim_changed(s->sim, i);
}

struct pool_sim_config
story_config(size_t hosts, uint64_t seed)
{
	struct pool_sim_config config = pool_sim_lan;

	config.hosts = hosts;
	config.seed = seed;
	config.trace = config.notes = getenv("TRACE") != NULL;
	return config;
}

struct story *
story_begin_with(const struct pool_sim_config *config)
{
	struct story *s = test_calloc(1, sizeof *s);

	s->sim = pool_sim_new(config);
	pool_check_init(&s->check, s->sim);
	for (size_t i = 0; i < config->hosts; i++)
		for (size_t k = 0; k < 3; k++)
			story_service(s, i, k, true);
	pool_sim_start_all(s->sim);
	story_agree(s, 40 * NSEC_SEC);
	story_runs(s, 5 * NSEC_SEC);
	pool_sim_trace_begin(s->sim);
	return s;
}

struct story *
story_begin(size_t hosts, uint64_t seed)
{
	struct pool_sim_config config = story_config(hosts, seed);

	return story_begin_with(&config);
}

void
story_end(struct story *s)
{
	if (s->sim->config.trace)
		fprintf(stderr, STR_FMT, STR_ARG(pool_sim_trace(s->sim)));
	pool_check_done(&s->check);
	pool_sim_free(s->sim);
	test_free(s);
}

void
story_cut_off(struct story *s, size_t i, bool cut)
{
	pool_check_weather(&s->check);
	for (size_t j = 0; j < s->sim->config.hosts; j++)
		if (j != i)
			net_cut_both(&s->sim->net, i, j, cut);
}

void
story_crash(struct story *s, size_t i)
{
	pool_check_disturbed(&s->check, i);
	pool_sim_crash(s->sim, i);
	story_runs(s, 4 * NSEC_SEC);
}

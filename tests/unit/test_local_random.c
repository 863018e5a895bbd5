/* Services and checks of this agent beside a naive model, step by step, over restarts. */
#include "tests/unit/local_bench.h"

#define MODEL_SERVICES 6
#define MODEL_CHECKS 12

struct model {
	struct {
		bool there;
		int port, name;
	} services[MODEL_SERVICES];
	struct {
		bool there, reported;
		int service; /* -1: of the node */
		enum check_status status;
		int output; /* -1: none, -2: expired, else a number told */
		int expired_output;
		nsec ttl, until;
	} checks[MODEL_CHECKS];
};

static void
model_compare(struct bench *b, const struct model *m, uint64_t seed, int step)
{
	struct catalog_counts counts = catalog_counts(store_catalog(b->store));
	size_t services = 0, checks = 0;

	for (int i = 0; i < MODEL_SERVICES; i++) {
		char id[16], name[16];
		const struct catalog_service *s;

		snprintf(id, sizeof id, "s%d", i);
		snprintf(name, sizeof name, "n%d", m->services[i].name);
		s = seen_service(b, id);
		services += m->services[i].there;
		if ((s != NULL) != m->services[i].there ||
		    (s != NULL && (s->info.port != m->services[i].port ||
				      !str_eq(s->info.name, str_of(name)))))
			fail_msg("seed %lu step %d: service %s", (unsigned long)seed, step, id);
	}
	for (int i = 0; i < MODEL_CHECKS; i++) {
		char id[16], output[96] = "";
		const struct catalog_check *seen;
		const struct local_check *own;

		snprintf(id, sizeof id, "c%d", i);
		if (m->checks[i].output >= 0)
			snprintf(output, sizeof output, "o%d", m->checks[i].output);
		else if (m->checks[i].output == -2 && m->checks[i].expired_output < 0)
			snprintf(output, sizeof output, "TTL expired");
		else if (m->checks[i].output == -2)
			snprintf(output, sizeof output,
			    "TTL expired (last output before timeout follows): o%d",
			    m->checks[i].expired_output);
		seen = seen_check(b, id);
		own = local_check_find(b->local, str_of(id));
		checks += m->checks[i].there;
		if ((seen != NULL) != m->checks[i].there || (own != NULL) != m->checks[i].there)
			fail_msg("seed %lu step %d: check %s", (unsigned long)seed, step, id);
		if (own == NULL)
			continue;
		if (own->status != m->checks[i].status || seen->status != m->checks[i].status ||
		    !str_eq(own->output, str_of(output)))
			fail_msg("seed %lu step %d: check %s is " STR_FMT "/" STR_FMT
				 " instead of " STR_FMT "/%s",
			    (unsigned long)seed, step, id, STR_ARG(check_status_text(own->status)),
			    STR_ARG(own->output), STR_ARG(check_status_text(m->checks[i].status)),
			    output);
	}
	if (counts.services != services || counts.checks != checks + 1 /* serfHealth */)
		fail_msg("seed %lu step %d: %zu services, %zu checks", (unsigned long)seed, step,
		    counts.services, counts.checks);
}

static void
model_drop_checks(struct model *m, int service, const bool *keep)
{
	for (int i = 0; i < MODEL_CHECKS; i++)
		if (m->checks[i].there && m->checks[i].service == service &&
		    (keep == NULL || !keep[i]))
			m->checks[i].there = false;
}

static void
model_put_check(struct model *m, int c, int service, bool with_service, nsec ttl, nsec now)
{
	bool keep = m->checks[c].there && (with_service || m->checks[c].reported);

	if (!keep) {
		m->checks[c].status = CHECK_CRITICAL;
		m->checks[c].output = -1;
		m->checks[c].reported = false;
	}
	m->checks[c].there = true;
	m->checks[c].service = service;
	m->checks[c].ttl = ttl;
	m->checks[c].until = now + ttl;
}

static void
random_service_put(struct bench *b, struct model *m, struct rng *rng)
{
	int i = (int)rng_below(rng, MODEL_SERVICES), port = (int)rng_below(rng, 3);
	int name = (int)rng_below(rng, 3);
	size_t n = rng_below(rng, 4);
	struct check_def defs[3];
	bool named[MODEL_CHECKS] = { false }, replace = rng_below(rng, 2) == 0;
	char id[16], name_text[16], ids[3][16];
	struct service_info info;

	snprintf(id, sizeof id, "s%d", i);
	snprintf(name_text, sizeof name_text, "n%d", name);
	info = (struct service_info){ .id = str_of(id), .name = str_of(name_text), .port = port };
	m->services[i].there = true;
	m->services[i].port = port;
	m->services[i].name = name;
	for (size_t k = 0; k < n; k++) {
		int c = (int)rng_below(rng, MODEL_CHECKS);

		snprintf(ids[k], sizeof ids[k], "c%d", c);
		defs[k] = (struct check_def){ .id = str_of(ids[k]),
			.ttl = (1 + rng_below(rng, 20)) * NSEC_SEC };
		model_put_check(m, c, i, true, defs[k].ttl, b->now.mono);
		named[c] = true;
	}
	if (replace)
		model_drop_checks(m, i, named);
	assert_in_range(
	    local_service_put(b->local, b->now, &info, defs, n, replace, LOCAL_API, &b->err), 0, 1);
}

static void
random_check_put(struct bench *b, struct model *m, struct rng *rng)
{
	int c = (int)rng_below(rng, MODEL_CHECKS);
	int service = (int)rng_below(rng, MODEL_SERVICES + 1) - 1;
	nsec ttl = (1 + rng_below(rng, 20)) * NSEC_SEC;
	char id[16], sid[16];
	struct check_def def;
	int rc;

	snprintf(id, sizeof id, "c%d", c);
	snprintf(sid, sizeof sid, "s%d", service);
	def = (struct check_def){ .id = str_of(id),
		.name = str_of(id),
		.ttl = ttl,
		.service_id = service < 0 ? STR_NONE : str_of(sid) };
	rc = put_check(b, &def);
	if (service >= 0 && !m->services[service].there) {
		assert_int_equal(rc, ERR_REFUSED);
		return;
	}
	assert_in_range(rc, 0, 1);
	model_put_check(m, c, service, false, ttl, b->now.mono);
}

static void
random_report(struct bench *b, struct model *m, struct rng *rng)
{
	int c = (int)rng_below(rng, MODEL_CHECKS), output = (int)rng_below(rng, 5) - 1;
	enum check_status status = (enum check_status)rng_below(rng, 3);
	char id[16], text[16] = "";
	int rc;

	snprintf(id, sizeof id, "c%d", c);
	if (output >= 0)
		snprintf(text, sizeof text, "o%d", output);
	rc = report(b, id, status, text);
	if (!m->checks[c].there) {
		assert_int_equal(rc, ERR_NOT_FOUND);
		return;
	}
	assert_in_range(rc, 0, 1);
	m->checks[c].status = status;
	m->checks[c].output = output;
	m->checks[c].reported = true;
	m->checks[c].until = b->now.mono + m->checks[c].ttl;
}

static void
random_removal(struct bench *b, struct model *m, struct rng *rng)
{
	char id[16];
	int i, rc;

	if (rng_below(rng, 2) == 0) {
		i = (int)rng_below(rng, MODEL_SERVICES);
		snprintf(id, sizeof id, "s%d", i);
		rc = local_service_remove(b->local, b->now, str_of(id), &b->err);
		assert_int_equal(rc, m->services[i].there ? 1 : ERR_NOT_FOUND);
		m->services[i].there = false;
		model_drop_checks(m, i, NULL);
	} else {
		i = (int)rng_below(rng, MODEL_CHECKS);
		snprintf(id, sizeof id, "c%d", i);
		rc = local_check_remove(b->local, b->now, str_of(id), &b->err);
		assert_int_equal(rc, m->checks[i].there ? 1 : ERR_NOT_FOUND);
		m->checks[i].there = false;
	}
}

static void
random_wait(struct bench *b, struct model *m, struct rng *rng)
{
	nsec end = b->now.mono + rng_below(rng, 8) * NSEC_SEC;

	/* As a shell would: at each deadline. */
	while (local_deadline(b->local) <= end) {
		later(b, local_deadline(b->local) - b->now.mono);
		local_tick(b->local, b->now);
	}
	later(b, end - b->now.mono);
	for (int i = 0; i < MODEL_CHECKS; i++) {
		if (!m->checks[i].there || m->checks[i].until > end)
			continue;
		m->checks[i].until = NSEC_NEVER;
		m->checks[i].expired_output = m->checks[i].reported ? m->checks[i].output : -1;
		m->checks[i].output = -2;
		m->checks[i].reported = false;
		m->checks[i].status = CHECK_CRITICAL;
	}
}

static void
random_restart(struct bench *b, struct model *m)
{
	bench_restart(b);
	for (int i = 0; i < MODEL_CHECKS; i++)
		m->checks[i].until = b->now.mono + m->checks[i].ttl;
}

static void
random_runs_agree_with_a_model(void **state)
{
	struct bench *b = *state;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct model m = { 0 };
		struct rng rng;

		rng_init(&rng, seed);
		bench_stop(b);
		unlink(b->file);
		bench_start(b, 1);
		for (int step = 0; step < 150; step++) {
			uint32_t what = rng_below(&rng, 40);

			if (what == 0)
				random_restart(b, &m);
			else if (what < 10)
				random_service_put(b, &m, &rng);
			else if (what < 18)
				random_check_put(b, &m, &rng);
			else if (what < 28)
				random_report(b, &m, &rng);
			else if (what < 34)
				random_removal(b, &m, &rng);
			else
				random_wait(b, &m, &rng);
			model_compare(b, &m, seed, step);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		local_test(random_runs_agree_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/local_bench.h -- an agent's own services over a real store and a real journal. */
#ifndef TESTS_UNIT_LOCAL_BENCH_H
#define TESTS_UNIT_LOCAL_BENCH_H

#include "agent/local/local.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/unit/test.h"

#define BENCH static __attribute__((unused)) /* not every test needs every helper */

struct bench {
	struct store *store;
	struct journal *journal;
	struct local *local;
	struct local_config config;
	struct now now;
	char folder[64], file[96];
	struct err err;
};

BENCH struct uuid
uuid_of(uint8_t n)
{
	struct uuid u = { { 0 } };

	u.b[0] = n;
	return u;
}

BENCH void
bench_start(struct bench *b, uint64_t epoch)
{
	const struct store_config config = {
		.self = uuid_of(1),
		.epoch = { epoch, epoch },
		.limits = { .records_max = 1000, .bytes_max = 1 << 20, .tombstones_max = 1000 },
		.index_ceiling = 1,
		.unknown_bytes_max = 1 << 16,
	};
	const struct node_info node = { .id = STR("01000000-0000-0000-0000-000000000000"),
		.name = STR("n1"),
		.address = STR("10.0.0.1"),
		.datacenter = STR("dc1") };

	b->store = store_new(&config, b->now);
	if (journal_open(NULL, str_of(b->file), &b->journal, &b->err) != 0)
		fail_msg("%s", b->err.text);
	b->config = (struct local_config){
		.store = b->store,
		.journal = b->journal,
		.self = config.self,
		.services_max = 100,
		.deregister_min = NSEC_MIN,
	};
	b->local = local_new(&b->config);
	assert_int_equal(local_node_set(b->local, b->now, &node, &b->err), 1);
	assert_int_equal(local_node_set(b->local, b->now, &node, &b->err), 0);
	assert_int_equal(local_restore(b->local, b->now, &b->err), 0);
	store_baseline_end(b->store, b->now);
}

BENCH void
bench_stop(struct bench *b)
{
	local_free(b->local);
	journal_close(b->journal);
	store_free(b->store);
}

BENCH void
bench_restart(struct bench *b)
{
	bench_stop(b);
	bench_start(b, 2);
}

BENCH int
setup(void **state)
{
	struct bench *b = mem_new(struct bench);

	log_level_set(LOG_LEVEL_ERROR);
	snprintf(b->folder, sizeof b->folder, "/tmp/muster-local-XXXXXX");
	if (mkdtemp(b->folder) == NULL)
		return -1;
	snprintf(b->file, sizeof b->file, "%s/journal", b->folder);
	b->now = (struct now){ 1000 * NSEC_SEC, 1800000000000 };
	bench_start(b, 1);
	*state = b;
	return 0;
}

BENCH int
teardown(void **state)
{
	struct bench *b = *state;

	bench_stop(b);
	unlink(b->file);
	rmdir(b->folder);
	free(b);
	return 0;
}

BENCH void
later(struct bench *b, nsec span)
{
	b->now.mono += span;
	b->now.wall_ms += span / NSEC_MS;
}

BENCH int
put_service(struct bench *b, const char *id, const char *name, int port, const struct check_def *c,
    size_t n)
{
	const struct service_info info = { .id = str_of(id), .name = str_of(name), .port = port };

	return local_service_put(b->local, b->now, &info, c, n, false, LOCAL_API, &b->err);
}

BENCH int
put_check(struct bench *b, const struct check_def *def)
{
	return local_check_put(b->local, b->now, def, LOCAL_API, &b->err);
}

BENCH int
report(struct bench *b, const char *id, enum check_status status, const char *output)
{
	return local_check_set(b->local, b->now, str_of(id), status, str_of(output), true, &b->err);
}

BENCH const struct catalog_service *
seen_service(const struct bench *b, const char *id)
{
	const struct catalog_node *n = catalog_node_find(store_catalog(b->store), STR("n1"));

	return n == NULL ? NULL : catalog_service_find(n, str_of(id));
}

BENCH const struct catalog_check *
seen_check(const struct bench *b, const char *id)
{
	const struct catalog_node *n = catalog_node_find(store_catalog(b->store), STR("n1"));

	return n == NULL ? NULL : catalog_check_find(n, str_of(id));
}

BENCH const struct local_check *
own_check(const struct bench *b, const char *id)
{
	const struct local_check *c = local_check_find(b->local, str_of(id));

	assert_non_null(c);
	return c;
}

/* "status|output" of a check as this agent has it. */
#define assert_check(b, id, status_, output_)                       \
	do {                                                        \
		const struct local_check *c_ = own_check(b, id);    \
		assert_str(check_status_text(c_->status), status_); \
		assert_str(c_->output, output_);                    \
	} while (0)

/* The same as the catalog has it. */
#define assert_seen(b, id, status_, output_)                        \
	do {                                                        \
		const struct catalog_check *c_ = seen_check(b, id); \
		assert_non_null(c_);                                \
		assert_str(c_->info.status, status_);               \
		assert_str(c_->info.output, output_);               \
	} while (0)

BENCH const struct check_def ttl_60 = { .ttl = 60 * NSEC_SEC };

#define local_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif

/* tests/unit/store_fixture.h -- a store with one moment, and short words for what is put in. */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include "kv/store.h"
#include "tests/unit/test.h"

static const struct uuid fix_self = { { 1 } }, fix_cluster = { { 9 } };
static const struct uuid fix_peer = { { 2 } }, fix_other = { { 3 } };

#define FIX_WALL (INDEX_EPOCH_MS + 1000000)

struct fix {
	struct store *store;
	struct catalog *catalog;
	struct now now;
};

static inline struct fix
fix_new(void)
{
	struct store_config config = {
		.self = fix_self,
		.cluster = fix_cluster,
		.epoch = { 1, 77 },
		.limits = owner_limits_default,
		.unknown_bytes_max = 64 * 1024,
	};
	struct fix f = { .now = { NSEC_SEC, FIX_WALL } };

	f.store = store_new(&config, f.now);
	f.catalog = store_catalog(f.store);
	index_ceiling_set(store_index(f.store), UINT32_MAX);
	return f;
}

static inline int
fix_node(struct fix *f, const struct uuid *owner, const char *name, const char *address)
{
	struct node_info info = { .name = str_of(name), .address = str_of(address) };

	return store_put_node(f->store, f->now, owner, &info, NULL);
}

/* A node name on external records, NULL on own ones; `tag` may be NULL. */
static inline int
fix_service(struct fix *f, const char *node, const char *id, const char *name, const char *tag)
{
	struct str tags[] = { str_of(tag) };
	struct service_info info = {
		.node = str_of(node),
		.id = str_of(id),
		.name = str_of(name),
		.tags = tags,
		.tag_count = tag != NULL,
		.weight_passing = 1,
		.weight_warning = 1,
	};

	return store_put_service(
	    f->store, f->now, node == NULL ? &fix_self : &fix_cluster, &info, NULL);
}

static inline int
fix_check(struct fix *f, const char *node, const char *id, const char *service, const char *status)
{
	struct check_info info = {
		.node = str_of(node),
		.id = str_of(id),
		.service_id = str_of(service),
		.status = str_of(status),
	};

	return store_put_check(
	    f->store, f->now, node == NULL ? &fix_self : &fix_cluster, &info, NULL);
}

static inline struct catalog_service *
fix_find(struct fix *f, const char *node, const char *id)
{
	struct catalog_node *n = catalog_node_find(f->catalog, str_of(node));

	return n == NULL ? NULL : catalog_service_find(n, str_of(id));
}

static inline struct catalog_check *
fix_find_check(struct fix *f, const char *node, const char *id)
{
	struct catalog_node *n = catalog_node_find(f->catalog, str_of(node));

	return n == NULL ? NULL : catalog_check_find(n, str_of(id));
}

static inline uint64_t
fix_index(struct fix *f, enum watch_kind kind, const char *name)
{
	return watch_index(store_watches(f->store), (struct watch_key){ kind, str_of(name) });
}

#endif

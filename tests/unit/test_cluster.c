/* Virtual owners of other clusters: their external records, and their masks (RULES 4, 5, 8). */
#include "kv/delta.h"
#include "tests/unit/store_fixture.h"

static const struct uuid low = { { 4 } }, high = { { 200 } }; /* fix_cluster lies between */

/* Another server, which writes as the virtual owner of a cluster of its own. */
static struct store *
server_new(const struct fix *f, const struct uuid *cluster)
{
	struct store_config config = {
		.self = { { 100, cluster->b[0] } },
		.cluster = *cluster,
		.epoch = { 1, 5 },
		.limits = owner_limits_default,
	};
	struct store *s = store_new(&config, f->now);

	store_baseline_end(s, f->now);
	return s;
}

static void
server_put(
    const struct fix *f, struct store *s, const struct uuid *cluster, const char *name, int port)
{
	struct node_info node = { .name = str_of(name), .address = STR("10.0.0.9") };
	struct service_info service = { .node = str_of(name),
		.id = STR("print"),
		.name = STR("print"),
		.port = port,
		.weight_passing = 1,
		.weight_warning = 1 };

	store_put_node(s, f->now, cluster, &node, NULL);
	store_put_service(s, f->now, cluster, &service, NULL);
}

/* Everything that it has of a cluster, on its way to the first store. */
static void
server_sends(struct fix *f, const struct store *s, const struct uuid *cluster)
{
	struct store_needs needs;
	struct buf b;

	buf_init(&b, 1024 * 1024);
	delta_range(store_owner(s, cluster), 0, 1000000, &b);
	assert_int_equal(store_range(f->store, f->now, buf_str(&b), &needs, NULL), 0);
	buf_done(&b);
}

static int
port_of(struct fix *f, const char *node)
{
	const struct catalog_service *s = fix_find(f, node, "print");

	return s == NULL ? 0 : s->info.port;
}

/* What we registered once, deregistered since, and others still hold. */
static void
our_own_external_records_do_not_come_back(void **unused)
{
	struct fix f = fix_new();
	struct store *before = server_new(&f, &high);
	struct store_config config = {
		.self = { { 100, high.b[0] } },
		.cluster = high,
		.cluster_writer = true,
		.epoch = { 2, 6 },
		.limits = owner_limits_default,
	};
	struct store *after = store_new(&config, f.now);
	struct store_needs needs;
	struct buf b;

	(void)unused;
	store_baseline_end(after, f.now);
	server_put(&f, before, &high, "printer", 631);
	buf_init(&b, 1024 * 1024);
	delta_range(store_owner(before, &high), 0, 1000000, &b);
	store_range(after, f.now, buf_str(&b), &needs, NULL);
	assert_false(needs.range);
	assert_null(catalog_node_find(store_catalog(after), STR("printer")));
	store_epoch_begin(after, f.now, (struct epoch){ 9, 9 });
	assert_int_equal(owner_digest(store_owner(after, &high)).epoch.counter, 9);
	assert_int_equal(owner_digest(store_owner(after, &high)).number, 1);
	buf_done(&b);
	store_free(after);
	store_free(before);
	store_free(f.store);
}

static void
records_of_another_cluster_show_while_somebody_speaks_of_it(void **unused)
{
	struct fix f = fix_new();
	struct store *s = server_new(&f, &high);
	struct catalog_node *node;

	(void)unused;
	server_put(&f, s, &high, "printer", 631);
	server_sends(&f, s, &high);
	assert_int_equal(port_of(&f, "printer"), 0); /* waits, as an unknown owner's */
	store_cluster(f.store, f.now, &high, true);
	assert_int_equal(port_of(&f, "printer"), 631);
	node = catalog_node_find(f.catalog, STR("printer"));
	assert_false(node->agent);
	assert_true(uuid_eq(&node->owner, &high));

	server_put(&f, s, &high, "printer", 632); /* and what comes later */
	server_sends(&f, s, &high);
	assert_int_equal(port_of(&f, "printer"), 632);
	assert_true(fix_find(&f, "printer", "print")->external);

	store_cluster(f.store, f.now, &high, false);
	assert_null(catalog_node_find(f.catalog, STR("printer")));
	assert_int_equal(catalog_counts(f.catalog).services, 0);
	store_free(s);
	store_free(f.store);
}

static void
of_two_clusters_the_lower_id_shows(void **unused)
{
	struct fix f = fix_new();
	struct store *s = server_new(&f, &low), *t = server_new(&f, &high);

	(void)unused;
	fix_node(&f, &fix_cluster, "printer", "10.0.0.9");
	fix_service(&f, "printer", "print", "print", NULL); /* ours: port 0 */
	assert_non_null(fix_find(&f, "printer", "print"));
	server_put(&f, s, &low, "printer", 4);
	server_put(&f, t, &high, "printer", 200);
	store_cluster(f.store, f.now, &high, true);
	server_sends(&f, t, &high);
	assert_int_equal(port_of(&f, "printer"), 0); /* ours is lower */
	store_cluster(f.store, f.now, &low, true);
	server_sends(&f, s, &low);
	assert_int_equal(port_of(&f, "printer"), 4);

	store_cluster(f.store, f.now, &low, false);
	assert_non_null(fix_find(&f, "printer", "print"));
	assert_int_equal(port_of(&f, "printer"), 0);
	store_remove_node(f.store, f.now, STR("printer"));
	assert_int_equal(port_of(&f, "printer"), 200);
	store_free(t);
	store_free(s);
	store_free(f.store);
}

static void
external_records_on_an_agents_node(void **unused)
{
	struct fix f = fix_new();
	struct store *s = server_new(&f, &high);

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	server_put(&f, s, &high, "n1", 631);
	server_sends(&f, s, &high);
	store_cluster(f.store, f.now, &high, true);
	assert_true(catalog_node_find(f.catalog, STR("n1"))->agent);
	assert_int_equal(port_of(&f, "n1"), 631);
	fix_service(&f, NULL, "print", "print", NULL); /* the agent's own comes first */
	assert_int_equal(port_of(&f, "n1"), 0);
	assert_false(fix_find(&f, "n1", "print")->external);
	store_free(s);
	store_free(f.store);
}

/* A server deregisters what an agent owns: all hide it, and the agent asserts it again. */
static void
masks_of_another_cluster_hide(void **unused)
{
	struct fix f = fix_new();
	struct store *s = server_new(&f, &high);
	struct store_needs needs;
	struct buf b;

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, NULL, "web", "web", NULL);
	store_baseline_end(f.store, f.now);
	store_member(s, f.now, &fix_self, STORE_MEMBER_ALIVE, 0);
	buf_init(&b, 1024 * 1024);
	delta_range(store_owner(f.store, &fix_self), 0, 1000000, &b);
	store_range(s, f.now, buf_str(&b), &needs, NULL);
	buf_done(&b);
	assert_int_equal(store_mask(s, f.now, &fix_self, RECORD_SERVICE, STR("web"), NULL), 1);

	store_cluster(f.store, f.now, &high, true);
	assert_non_null(fix_find(&f, "n1", "web"));
	server_sends(&f, s, &high);
	assert_null(fix_find(&f, "n1", "web"));
	assert_int_equal(store_assert_masked(f.store, f.now), 1);
	assert_non_null(fix_find(&f, "n1", "web"));
	store_free(s);
	store_free(f.store);
}

static void
clusters_have_a_limit(void **unused)
{
	struct fix f = fix_new();

	(void)unused;
	for (uint8_t i = 0; i < 200; i++) {
		struct uuid id = { { 50, i } };

		store_cluster(f.store, f.now, &id, true);
	}
	fix_node(&f, &fix_cluster, "printer", "10.0.0.9"); /* ours is among them all the same */
	assert_non_null(catalog_node_find(f.catalog, STR("printer")));
	store_cluster(f.store, f.now, &fix_cluster, false); /* of which nobody else decides */
	assert_non_null(catalog_node_find(f.catalog, STR("printer")));
	store_free(f.store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_external_records_do_not_come_back),
		cmocka_unit_test(records_of_another_cluster_show_while_somebody_speaks_of_it),
		cmocka_unit_test(of_two_clusters_the_lower_id_shows),
		cmocka_unit_test(external_records_on_an_agents_node),
		cmocka_unit_test(masks_of_another_cluster_hide),
		cmocka_unit_test(clusters_have_a_limit),
	};

	return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}

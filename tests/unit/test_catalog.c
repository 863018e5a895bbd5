/* The catalog, fed through a store: what shows, its order, health, and which scopes change. */
#include "tests/unit/store_fixture.h"

static void
a_service_on_ones_own_node_shows(void **unused)
{
	struct fix f = fix_new();
	struct catalog_service *s;
	struct catalog_name *name;
	struct catalog_counts n;

	(void)unused;
	assert_int_equal(fix_service(&f, NULL, "web-1", "web", "blue"), 1); /* before its node */
	assert_null(catalog_name_find(f.catalog, STR("web")));
	assert_int_equal(fix_node(&f, &fix_self, "n1", "10.0.0.1"), 1);
	name = catalog_name_find(f.catalog, STR("web"));
	assert_non_null(name);
	assert_int_equal(name->count, 1);
	s = catalog_instance_next(name, NULL);
	assert_str(s->info.id, "web-1");
	assert_str(s->info.tags[0], "blue");
	assert_str(s->node->info.address, "10.0.0.1");
	assert_true(s->node->agent && uuid_eq(&s->node->owner, &fix_self));
	assert_false(s->external);
	assert_int_equal(s->health, CHECK_PASSING);
	assert_null(catalog_instance_next(name, s));
	n = catalog_counts(f.catalog);
	assert_int_equal(n.nodes, 1);
	assert_int_equal(n.names, 1);
	assert_int_equal(n.services, 1);
	assert_int_equal(n.checks, 1);
	assert_int_equal(store_remove_service(f.store, f.now, &fix_self, STR(""), STR("web-1")), 1);
	assert_null(catalog_name_find(f.catalog, STR("web")));
	assert_int_equal(catalog_counts(f.catalog).names, 0);
	store_free(f.store);
}

static void
an_agents_node_has_its_serf_check(void **unused)
{
	struct fix f = fix_new();
	struct catalog_check *c;

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	c = fix_find_check(&f, "n1", "serfHealth");
	assert_non_null(c);
	assert_str(c->info.name, "Serf Health Status");
	assert_str(c->info.status, "passing");
	assert_str(c->info.output, "Agent alive and reachable");
	fix_check(&f, NULL, "serfHealth", NULL, "critical"); /* nobody else speaks for it */
	assert_str(fix_find_check(&f, "n1", "serfHealth")->info.status, "passing");
	fix_node(&f, &fix_cluster, "ext", "10.0.0.9");
	assert_null(fix_find_check(&f, "ext", "serfHealth"));
	store_free(f.store);
}

static void
health_is_the_worst_of_all_checks(void **unused)
{
	struct fix f = fix_new();
	struct catalog_service *s;

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, NULL, "web-1", "web", NULL);
	fix_service(&f, NULL, "db-1", "db", NULL);
	s = fix_find(&f, "n1", "web-1");
	fix_check(&f, NULL, "c1", "web-1", "warning");
	assert_int_equal(s->health, CHECK_WARNING);
	assert_int_equal(fix_find(&f, "n1", "db-1")->health, CHECK_PASSING);
	fix_check(&f, NULL, "c2", "web-1", "strange");
	assert_int_equal(s->health, CHECK_CRITICAL);
	fix_check(&f, NULL, "c2", "web-1", "passing");
	assert_int_equal(s->health, CHECK_WARNING);
	fix_check(&f, NULL, "disk", NULL, "critical");
	assert_int_equal(s->node->health, CHECK_CRITICAL);
	assert_int_equal(s->health, CHECK_CRITICAL);
	assert_int_equal(fix_find(&f, "n1", "db-1")->health, CHECK_CRITICAL);
	store_remove_check(f.store, f.now, &fix_self, STR(""), STR("disk"));
	assert_int_equal(s->health, CHECK_WARNING);
	fix_check(&f, NULL, "_service_maintenance:web-1", "web-1", "critical");
	assert_int_equal(s->health, CHECK_MAINT);
	store_free(f.store);
}

static void
a_check_shows_its_services_name_and_tags(void **unused)
{
	struct fix f = fix_new();
	struct catalog_check *c;
	uint64_t modified;

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_check(&f, NULL, "c1", "web-1", "critical"); /* before its service */
	c = fix_find_check(&f, "n1", "c1");
	assert_null(c->service);
	assert_str(c->info.service_name, "");
	modified = c->modify_index;
	fix_service(&f, NULL, "web-1", "web", "blue");
	assert_ptr_equal(c->service, fix_find(&f, "n1", "web-1"));
	assert_int_equal(c->service->health, CHECK_CRITICAL);
	assert_str(c->info.service_name, "web");
	assert_str(c->info.service_tags[0], "blue");
	fix_service(&f, NULL, "web-1", "www", "green");
	assert_str(c->info.service_name, "www");
	assert_str(c->info.service_tags[0], "green");
	assert_true(c->modify_index == modified);
	assert_ptr_equal(catalog_service_check_next(c->service, NULL), c);
	store_remove_service(f.store, f.now, &fix_self, STR(""), STR("web-1"));
	assert_null(c->service);
	assert_str(c->info.service_name, "");
	assert_int_equal(c->node->health, CHECK_PASSING);
	store_free(f.store);
}

static void
create_index_stays_and_modify_index_moves(void **unused)
{
	struct fix f = fix_new();
	struct catalog_service *s;
	uint64_t created, modified;

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, NULL, "web-1", "web", NULL);
	s = fix_find(&f, "n1", "web-1");
	created = s->create_index;
	assert_true(created > 0 && s->modify_index == created);
	assert_int_equal(fix_service(&f, NULL, "web-1", "web", NULL), 0);
	assert_true(s->modify_index == created);
	fix_service(&f, NULL, "web-1", "www", NULL); /* another name, the same object */
	s = fix_find(&f, "n1", "web-1");
	modified = s->modify_index;
	assert_true(s->create_index == created && modified > created);
	fix_check(&f, NULL, "c", "web-1", "passing");
	fix_node(&f, &fix_self, "n1", "10.0.0.2");
	assert_true(s->modify_index == modified);
	assert_str(s->node->info.address, "10.0.0.2");
	store_free(f.store);
}

/* Touched scopes, by comparing indexes before and after. */
struct scope {
	enum watch_kind kind;
	const char *name;
};
static const struct scope scopes[] = {
	{ WATCH_NODES, "" },
	{ WATCH_SERVICES, "" },
	{ WATCH_INSTANCES, "" },
	{ WATCH_SERVICE, "web" },
	{ WATCH_SERVICE, "db" },
	{ WATCH_SERVICE_HEALTH, "web" },
	{ WATCH_SERVICE_HEALTH, "db" },
	{ WATCH_SERVICE_CHECKS, "web" },
	{ WATCH_SERVICE_CHECKS, "db" },
	{ WATCH_NODE, "n1" },
	{ WATCH_NODE, "n2" },
	{ WATCH_NODE_CHECKS, "n1" },
	{ WATCH_NODE_CHECKS, "n2" },
	{ WATCH_STATE, "any" },
	{ WATCH_STATE, "passing" },
	{ WATCH_STATE, "critical" },
};
enum { SCOPES = sizeof scopes / sizeof scopes[0] };
static const char scope_letters[] = "NSiwdWDxyabABupc";

/* The letters of the scopes whose index has moved since the last call. */
static const char *
moved(struct fix *f)
{
	static uint64_t seen[SCOPES];
	static char out[SCOPES + 1];
	size_t n = 0;

	for (size_t i = 0; i < SCOPES; i++) {
		uint64_t now = fix_index(f, scopes[i].kind, scopes[i].name);

		if (now != seen[i])
			out[n++] = scope_letters[i];
		seen[i] = now;
	}
	out[n] = '\0';
	return out;
}

static void
a_change_touches_its_scopes_and_no_others(void **unused)
{
	struct fix f = fix_new();

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_node(&f, &fix_cluster, "n2", "10.0.0.2");
	fix_service(&f, NULL, "db-1", "db", NULL);
	fix_service(&f, NULL, "web-1", "web", NULL);
	fix_check(&f, NULL, "c1", "web-1", "passing");
	fix_check(&f, NULL, "c2", "db-1", "critical");
	fix_check(&f, "n2", "c3", NULL, "critical");
	(void)moved(&f);
	assert_string_equal(moved(&f), "");
	fix_service(&f, NULL, "web-1", "web", NULL); /* equal */
	assert_string_equal(moved(&f), "");
	fix_service(&f, NULL, "web-2", "web", NULL); /* one more, without checks */
	assert_string_equal(moved(&f), "SiwWa");
	fix_service(&f, NULL, "web-1", "web", "blue"); /* tags: its checks show them */
	assert_string_equal(moved(&f), "SiwWxaAup");
	fix_check(&f, NULL, "c1", "web-1", "critical");
	assert_string_equal(moved(&f), "WxAupc");
	fix_check(&f, NULL, "disk", NULL, "passing"); /* of the node: all its services */
	assert_string_equal(moved(&f), "WDAup");
	fix_node(&f, &fix_self, "n1", "10.0.0.3");
	assert_string_equal(moved(&f), "NwdWDa");
	fix_service(&f, "n2", "web-3", "web", NULL);
	assert_string_equal(moved(&f), "SiwWb");
	fix_service(&f, "n2", "web-3", "db", NULL); /* renamed */
	assert_string_equal(moved(&f), "SiwdWDb");
	store_remove_node(f.store, f.now, STR("n2"));
	assert_string_equal(moved(&f), "NSidDbBuc");
	store_free(f.store);
}

static void
indexes_of_what_went_never_run_backwards(void **unused)
{
	struct fix f = fix_new();
	uint64_t first = fix_index(&f, WATCH_SERVICE, "web"), before;

	(void)unused;
	assert_true(first > 0);
	assert_true(fix_index(&f, WATCH_STATE, "any") == first);
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, NULL, "web-1", "web", NULL);
	before = fix_index(&f, WATCH_SERVICE, "web");
	assert_true(before > first);
	store_remove_service(f.store, f.now, &fix_self, STR(""), STR("web-1"));
	assert_true(fix_index(&f, WATCH_SERVICE, "web") > before);
	before = fix_index(&f, WATCH_SERVICE, "web");
	fix_service(&f, NULL, "web-1", "web", NULL);
	assert_true(fix_index(&f, WATCH_SERVICE, "web") > before);
	store_free(f.store);
}

static void
the_agents_service_beats_the_external_one(void **unused)
{
	struct fix f = fix_new();
	struct catalog_service *s;
	uint64_t created;

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, "n1", "x", "outside", NULL);
	s = fix_find(&f, "n1", "x");
	assert_true(s->external);
	created = s->create_index;
	fix_service(&f, NULL, "x", "inside", NULL);
	s = fix_find(&f, "n1", "x");
	assert_false(s->external);
	assert_str(s->info.name, "inside");
	assert_true(s->create_index == created);
	assert_null(catalog_name_find(f.catalog, STR("outside")));
	fix_service(&f, "n1", "x", "outside2", NULL); /* the loser changes unseen */
	assert_str(fix_find(&f, "n1", "x")->info.name, "inside");
	store_remove_service(f.store, f.now, &fix_self, STR(""), STR("x"));
	assert_str(fix_find(&f, "n1", "x")->info.name, "outside2");
	store_free(f.store);
}

static void
external_records_wait_for_their_node(void **unused)
{
	struct fix f = fix_new();

	(void)unused;
	fix_service(&f, "later", "x", "x", NULL);
	fix_check(&f, "later", "c", "x", "warning");
	fix_service(&f, "gone", "y", "y", NULL);
	assert_int_equal(catalog_counts(f.catalog).services, 0);
	fix_node(&f, &fix_self, "later", "10.0.0.1"); /* an agent's node will do */
	assert_int_equal(fix_find(&f, "later", "x")->health, CHECK_WARNING);
	assert_int_equal(catalog_counts(f.catalog).services, 1);
	fix_node(&f, &fix_self, "moved", "10.0.0.1"); /* the agent takes another name */
	assert_null(catalog_node_find(f.catalog, STR("later")));
	assert_int_equal(catalog_counts(f.catalog).services, 0);
	fix_node(&f, &fix_cluster, "later", "10.0.0.9");
	assert_int_equal(fix_find(&f, "later", "x")->health, CHECK_WARNING);
	assert_int_equal(store_remove_node(f.store, f.now, STR("later")), 1);
	assert_int_equal(store_remove_node(f.store, f.now, STR("gone")), 1); /* unseen ones too */
	fix_node(&f, &fix_cluster, "later", "10.0.0.9");
	fix_node(&f, &fix_cluster, "gone", "10.0.0.9");
	assert_int_equal(catalog_counts(f.catalog).services, 0);
	assert_int_equal(catalog_counts(f.catalog).checks, 1); /* serfHealth of "moved" */
	store_free(f.store);
}

static void
an_agent_takes_a_node_name_from_an_external_one(void **unused)
{
	struct fix f = fix_new();
	struct catalog_node *n;
	uint64_t created;

	(void)unused;
	fix_node(&f, &fix_cluster, "n1", "10.0.0.9");
	fix_service(&f, "n1", "x", "x", NULL);
	fix_check(&f, "n1", "serfHealth", NULL, "critical");
	fix_service(&f, NULL, "own", "own", NULL);
	n = catalog_node_find(f.catalog, STR("n1"));
	created = n->create_index;
	assert_false(n->agent);
	assert_int_equal(fix_find(&f, "n1", "x")->health, CHECK_CRITICAL);
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	n = catalog_node_find(f.catalog, STR("n1"));
	assert_true(n->agent && n->create_index == created);
	assert_str(n->info.address, "10.0.0.1");
	assert_non_null(fix_find(&f, "n1", "own"));
	assert_non_null(fix_find(&f, "n1", "x"));
	assert_int_equal(fix_find(&f, "n1", "x")->health, CHECK_PASSING);
	fix_node(&f, &fix_self, "n2", "10.0.0.1");
	n = catalog_node_find(f.catalog, STR("n1"));
	assert_false(n->agent);
	assert_str(n->info.address, "10.0.0.9");
	assert_null(fix_find(&f, "n1", "own"));
	assert_non_null(fix_find(&f, "n2", "own"));
	assert_int_equal(
	    fix_find(&f, "n1", "x")->health, CHECK_CRITICAL); /* its serfHealth again */
	store_free(f.store);
}

static void
lookups_with_and_without_case(void **unused)
{
	struct fix f = fix_new();
	struct catalog_node *n;
	struct catalog_name *s;

	(void)unused;
	fix_node(&f, &fix_self, "Host", "10.0.0.1");
	fix_node(&f, &fix_cluster, "alpha", "10.0.0.2");
	fix_node(&f, &fix_cluster, "host", "10.0.0.3");
	fix_service(&f, NULL, "w1", "web", NULL);
	fix_service(&f, NULL, "w2", "Web", NULL);
	fix_service(&f, NULL, "z", "Zed", NULL);
	assert_null(catalog_node_find(f.catalog, STR("HOST")));
	assert_str(catalog_node_find_nocase(f.catalog, STR("HOST"))->info.name, "Host");
	assert_str(catalog_node_find(f.catalog, STR("host"))->info.address, "10.0.0.3");
	n = catalog_node_next(f.catalog, NULL);
	assert_str(n->info.name, "alpha");
	n = catalog_node_next(f.catalog, n);
	assert_str(n->info.name, "Host");
	n = catalog_node_next(f.catalog, n);
	assert_str(n->info.name, "host");
	assert_null(catalog_node_next(f.catalog, n));
	assert_null(catalog_name_find(f.catalog, STR("zed")));
	assert_str(catalog_name_find_nocase(f.catalog, STR("zed"))->name, "Zed");
	s = catalog_name_next(f.catalog, NULL);
	assert_str(s->name, "Web");
	s = catalog_name_next(f.catalog, s);
	assert_str(s->name, "Zed");
	s = catalog_name_next(f.catalog, s);
	assert_str(s->name, "web");
	assert_null(catalog_name_next(f.catalog, s));
	store_free(f.store);
}

static void
lookups_by_address_and_id(void **unused)
{
	struct fix f = fix_new();
	struct node_info node = { .id = STR("AB-1"), .name = STR("b"), .address = STR("10.0.0.1") };
	struct service_info s = { .node = STR("b"),
		.id = STR("1"),
		.name = STR("y"),
		.address = STR("10.1.1.1"),
		.weight_passing = 1,
		.weight_warning = 1 };

	(void)unused;
	store_put_node(f.store, f.now, &fix_cluster, &node, NULL);
	fix_node(&f, &fix_cluster, "a", "10.0.0.1");
	assert_str(catalog_node_by_address(f.catalog, STR("10.0.0.1"))->info.name, "a");
	assert_str(catalog_node_find_id(f.catalog, STR("ab-1"))->info.name, "b");
	assert_null(catalog_node_find_id(f.catalog, STR("")));
	assert_null(catalog_service_by_address(f.catalog, STR("10.1.1.1")));
	store_put_service(f.store, f.now, &fix_cluster, &s, NULL);
	assert_str(catalog_service_by_address(f.catalog, STR("10.1.1.1"))->info.name, "y");
	s.address = STR("10.1.1.2");
	store_put_service(f.store, f.now, &fix_cluster, &s, NULL);
	assert_null(catalog_service_by_address(f.catalog, STR("10.1.1.1")));
	assert_non_null(catalog_service_by_address(f.catalog, STR("10.1.1.2")));
	store_remove_node(f.store, f.now, STR("a"));
	assert_str(catalog_node_by_address(f.catalog, STR("10.0.0.1"))->info.name, "b");
	store_remove_node(f.store, f.now, STR("b"));
	assert_null(catalog_node_by_address(f.catalog, STR("10.0.0.1")));
	assert_null(catalog_service_by_address(f.catalog, STR("10.1.1.2")));
	store_free(f.store);
}

static void
listings_are_in_order(void **unused)
{
	struct fix f = fix_new();
	struct catalog_name *name;
	struct catalog_service *s;
	struct catalog_node *n;
	struct catalog_check *c;

	(void)unused;
	fix_node(&f, &fix_cluster, "n2", "10.0.0.2");
	fix_node(&f, &fix_cluster, "n1", "10.0.0.1");
	fix_service(&f, "n2", "w1", "web", NULL);
	fix_service(&f, "n1", "w3", "web", NULL);
	fix_service(&f, "n1", "w2", "web", NULL);
	fix_check(&f, "n1", "b", "w2", "passing");
	fix_check(&f, "n1", "a", "w2", "passing");
	fix_check(&f, "n1", "d", NULL, "passing");
	fix_check(&f, "n1", "c", NULL, "passing");
	name = catalog_name_find(f.catalog, STR("web"));
	s = catalog_instance_next(name, NULL);
	assert_str(s->info.id, "w2");
	c = catalog_service_check_next(s, NULL);
	assert_str(c->info.id, "a");
	c = catalog_service_check_next(s, c);
	assert_str(c->info.id, "b");
	assert_null(catalog_service_check_next(s, c));
	s = catalog_instance_next(name, s);
	assert_str(s->info.id, "w3");
	assert_null(catalog_service_check_next(s, NULL));
	s = catalog_instance_next(name, s);
	assert_str(s->info.id, "w1");
	assert_null(catalog_instance_next(name, s));
	n = catalog_node_find(f.catalog, STR("n1"));
	c = catalog_node_check_next(n, NULL);
	assert_str(c->info.id, "c");
	c = catalog_node_check_next(n, c);
	assert_str(c->info.id, "d");
	assert_null(catalog_node_check_next(n, c));
	c = catalog_check_next(n, NULL);
	assert_str(c->info.id, "a");
	store_free(f.store);
}

static void
removing_an_external_service_takes_its_checks(void **unused)
{
	struct fix f = fix_new();

	(void)unused;
	fix_node(&f, &fix_cluster, "n1", "10.0.0.1");
	fix_service(&f, "n1", "w", "web", NULL);
	fix_check(&f, "n1", "of-it", "w", "passing");
	fix_check(&f, "n1", "of-node", NULL, "passing");
	assert_int_equal(
	    store_remove_service(f.store, f.now, &fix_cluster, STR("n1"), STR("w")), 1);
	assert_null(fix_find_check(&f, "n1", "of-it"));
	assert_non_null(fix_find_check(&f, "n1", "of-node"));
	assert_int_equal(
	    store_remove_service(f.store, f.now, &fix_cluster, STR("n1"), STR("w")), 0);
	store_free(f.store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_on_ones_own_node_shows),
		cmocka_unit_test(an_agents_node_has_its_serf_check),
		cmocka_unit_test(health_is_the_worst_of_all_checks),
		cmocka_unit_test(a_check_shows_its_services_name_and_tags),
		cmocka_unit_test(create_index_stays_and_modify_index_moves),
		cmocka_unit_test(a_change_touches_its_scopes_and_no_others),
		cmocka_unit_test(indexes_of_what_went_never_run_backwards),
		cmocka_unit_test(the_agents_service_beats_the_external_one),
		cmocka_unit_test(external_records_wait_for_their_node),
		cmocka_unit_test(an_agent_takes_a_node_name_from_an_external_one),
		cmocka_unit_test(lookups_with_and_without_case),
		cmocka_unit_test(lookups_by_address_and_id),
		cmocka_unit_test(listings_are_in_order),
		cmocka_unit_test(removing_an_external_service_takes_its_checks),
	};

	return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}

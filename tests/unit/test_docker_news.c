/* tests/unit/test_docker_news.c -- what the watcher says becomes services and checks. */
#include "tests/unit/test.h"

#include "agent/docker_news.h"
#include "base/log.h"
#include "base/uuid.h"

struct fixture {
	struct store *store;
	struct local *local;
	struct now now;
};

static int
setup(void **state)
{
	static struct fixture f;
	struct store_config sc = { .epoch = { 1, 7 }, .limits = owner_limits_default,
		.index_ceiling = 0, .unknown_bytes_max = 1 << 20 };
	struct local_config lc = { .services_max = 100 };
	struct node_info node = { .name = STR("n1"), .address = STR("10.0.0.1"),
		.datacenter = STR("dc1") };
	struct err err = { 0 };

	log_level_set(LOG_LEVEL_ERROR);
	sc.self = lc.self = uuid_random();
	sc.cluster = uuid_random();
	f.now = (struct now){ 5 * NSEC_SEC, 1800000000000 };
	f.store = store_new(&sc, f.now);
	store_member(f.store, f.now, &sc.self, STORE_MEMBER_ALIVE, 0);
	lc.store = f.store;
	f.local = local_new(&lc);
	*state = &f;
	return local_node_set(f.local, f.now, &node, &err) < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	local_free(f->local);
	store_free(f->store);
	return 0;
}

static struct docker_news
web(void)
{
	static struct str tags[] = { { "b", 1 }, { "a", 1 } };
	static struct rules_pair meta[] = { { { "k", 1 }, { "v", 1 } } };

	return (struct docker_news){
		.kind = DOCKER_NEWS_SERVICE,
		.container = STR("0123456789abcdef"),
		.service = { .id = STR("h:web:80"), .name = STR("web"), .address = STR("10.0.0.1"),
		    .port = 8080, .tags = tags, .tag_count = 2, .meta = meta, .meta_count = 1 },
	};
}

static void
a_container_comes_and_goes(void **state)
{
	struct fixture *f = *state;
	struct docker_news news = web();
	const struct local_service *s;
	struct catalog_name *name;

	docker_news_apply(f->local, f->now, &news);
	s = local_service_find(f->local, STR("h:web:80"));
	assert_non_null(s);
	assert_int_equal(s->source, LOCAL_DOCKER);
	assert_str(s->info.name, "web");
	assert_int_equal(s->info.port, 8080);
	assert_int_equal(s->info.tag_count, 2);
	assert_str(s->info.tags[0], "b");
	assert_str(s->info.meta[0].value, "v");
	name = catalog_name_find(store_catalog(f->store), STR("web"));
	assert_non_null(name);
	assert_int_equal(catalog_instance_next(name, NULL)->health, CHECK_PASSING);
	news.kind = DOCKER_NEWS_REMOVE;
	docker_news_apply(f->local, f->now, &news);
	assert_null(local_service_find(f->local, STR("h:web:80")));
	assert_null(catalog_name_find(store_catalog(f->store), STR("web")));
	docker_news_apply(f->local, f->now, &news); /* once more: nothing */
}

static void
states_make_it_critical_and_back(void **state)
{
	struct fixture *f = *state;
	struct docker_news news = web();
	struct docker_news check = { .kind = DOCKER_NEWS_CHECK, .check_status = 2,
		.check_id = STR("docker-state:h:web:80"), .check_name = STR("State"),
		.text = STR("draining"), .service.id = STR("h:web:80") };
	const struct local_check *c;
	struct catalog_name *name;

	docker_news_apply(f->local, f->now, &check); /* of a service that is not there */
	assert_null(local_check_find(f->local, STR("docker-state:h:web:80")));
	docker_news_apply(f->local, f->now, &news);
	docker_news_apply(f->local, f->now, &check);
	c = local_check_find(f->local, STR("docker-state:h:web:80"));
	assert_non_null(c);
	assert_int_equal(c->status, CHECK_CRITICAL);
	assert_str(c->output, "draining");
	assert_str(c->def.name, "State");
	name = catalog_name_find(store_catalog(f->store), STR("web"));
	assert_int_equal(catalog_instance_next(name, NULL)->health, CHECK_CRITICAL);
	check.check_status = 0;
	check.text = STR("running");
	docker_news_apply(f->local, f->now, &check);
	assert_int_equal(local_check_find(f->local, STR("docker-state:h:web:80"))->status,
	    CHECK_PASSING);
	check.kind = DOCKER_NEWS_CHECK_REMOVE;
	docker_news_apply(f->local, f->now, &check);
	assert_null(local_check_find(f->local, STR("docker-state:h:web:80")));
	assert_int_equal(catalog_instance_next(name, NULL)->health, CHECK_PASSING);
}

static void
checks_are_registered_in_the_terms_of_consul(void **state)
{
	static const struct {
		struct rules_check check;
		enum check_type type;
		enum check_status status;
	} rows[] = {
		{ { .http = STR("http://10.0.0.1:8080/h"), .interval = STR("10s"),
		      .timeout = STR("2s"), .status = STR("warning") }, CHECK_HTTP, CHECK_WARNING },
		{ { .tcp = STR("10.0.0.1:8080"), .interval = STR("10s") }, CHECK_TCP,
		    CHECK_CRITICAL },
		{ { .ttl = STR("30s"), .status = STR("passing") }, CHECK_TTL, CHECK_PASSING },
		{ { .grpc = STR("10.0.0.1:8080"), .interval = STR("600s") }, CHECK_GRPC,
		    CHECK_CRITICAL },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct docker_news news = web();
		const struct local_check *c;

		news.service.check = rows[i].check;
		news.service.check.present = true;
		docker_news_apply(f->local, f->now, &news);
		c = local_check_find(f->local, STR("service:h:web:80"));
		assert_non_null(c);
		assert_int_equal(check_def_type(&c->def), rows[i].type);
		assert_int_equal(c->status, rows[i].status);
		assert_str(c->def.name, "Service 'web' check");
		news.service.check.present = false;
		docker_news_apply(f->local, f->now, &news);
		assert_null(local_check_find(f->local, STR("service:h:web:80")));
		news.kind = DOCKER_NEWS_REMOVE;
		docker_news_apply(f->local, f->now, &news);
	}
}

static void
what_is_refused_is_not_there(void **state)
{
	static const struct rules_check rows[] = {
		{ .tcp = STR("10.0.0.1:8080"), .interval = STR("often") },
		{ .ttl = STR("30") },
		{ .script = STR("nc -z 10.0.0.1 8080"), .interval = STR("10s") },
		{ .http = STR("http://10.0.0.1:8080/"), .interval = STR("10s"),
		    .deregister_after = STR("soon") },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct docker_news news = web();

		news.service.check = rows[i];
		news.service.check.present = true;
		docker_news_apply(f->local, f->now, &news);
		assert_null(local_service_find(f->local, STR("h:web:80")));
	}
}

static void
what_others_registered_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct docker_news news = web();
	struct service_info info = { .id = STR("h:web:80"), .name = STR("mine"),
		.weight_passing = 1, .weight_warning = 1 };
	struct err err = { 0 };

	assert_int_equal(
	    local_service_put(f->local, f->now, &info, NULL, 0, false, LOCAL_API, &err), 1);
	news.kind = DOCKER_NEWS_REMOVE;
	docker_news_apply(f->local, f->now, &news);
	assert_non_null(local_service_find(f->local, STR("h:web:80")));
}

static void
both_families_are_registered(void **state)
{
	struct fixture *f = *state;
	struct docker_news news = web();
	const struct local_service *s;

	news.service.address_other = STR("fd00::1");
	news.service.port_other = 8081;
	docker_news_apply(f->local, f->now, &news);
	s = local_service_find(f->local, STR("h:web:80"));
	assert_non_null(s);
	assert_int_equal(s->info.tagged_count, 4);
	assert_str(s->info.tagged[0].tag, "lan_ipv4");
	assert_str(s->info.tagged[0].address, "10.0.0.1");
	assert_int_equal(s->info.tagged[0].port, 8080);
	assert_str(s->info.tagged[1].tag, "lan_ipv6");
	assert_str(s->info.tagged[1].address, "fd00::1");
	assert_int_equal(s->info.tagged[1].port, 8081);
	assert_str(s->info.tagged[2].tag, "wan_ipv4");
	assert_str(s->info.tagged[3].tag, "wan_ipv6");
	news.service.address_other = STR_NONE;
	docker_news_apply(f->local, f->now, &news);
	assert_int_equal(local_service_find(f->local, STR("h:web:80"))->info.tagged_count, 2);
}

static void
put_api(struct fixture *f, struct str id)
{
	struct service_info info = { .id = id, .name = STR("left"), .weight_passing = 1,
		.weight_warning = 1 };
	struct err err = { 0 };

	assert_int_equal(
	    local_service_put(f->local, f->now, &info, NULL, 0, false, LOCAL_API, &err), 1);
}

static void
a_cleanup_takes_out_what_no_container_offers(void **state)
{
	static const char *const gone[] = { "h:old:80", "h:old:53:udp", "h:web-2:443" };
	static const char *const kept[] = { "h:web:443", "other:old:80", "h:old", "h:old:http",
		"h:old:80:sctp", "h::80", "hh:old:80", "plain" };
	struct fixture *f = *state;
	struct docker_news news = web();

	docker_news_apply(f->local, f->now, &news); /* h:web:80 runs */
	for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
		put_api(f, str_of(gone[i]));
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		put_api(f, str_of(kept[i]));
	docker_news_cleanup(f->local, f->now, STR("h"));
	for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
		assert_null(local_service_find(f->local, str_of(gone[i])));
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		assert_non_null(local_service_find(f->local, str_of(kept[i])));
	assert_non_null(local_service_find(f->local, STR("h:web:80")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_container_comes_and_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(states_make_it_critical_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(checks_are_registered_in_the_terms_of_consul, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(what_is_refused_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(what_others_registered_is_left_alone, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(both_families_are_registered, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_cleanup_takes_out_what_no_container_offers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

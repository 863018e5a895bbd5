/* Registering at this agent: Consul's rules and words, seen through the catalog. */
#include "tests/unit/local_bench.h"

static void
a_name_is_all_it_takes(void **state)
{
	struct bench *b = *state;
	const struct catalog_service *s;

	assert_int_equal(put_service(b, "", "web", 80, NULL, 0), 1);
	s = seen_service(b, "web");
	assert_non_null(s);
	assert_str(s->info.name, "web");
	assert_int_equal(s->info.weight_passing, 1);
	assert_int_equal(s->info.weight_warning, 1);
	assert_int_equal(s->info.tagged_count, 0);
	assert_false(s->external);
	/* The node as Consul shows it. */
	assert_int_equal(s->node->info.tagged_count, 4);
	assert_str(s->node->info.tagged[1].key, "lan_ipv4");
	assert_true(s->node->info.meta_set);
}

static void
an_equal_registration_changes_nothing(void **state)
{
	struct bench *b = *state;
	struct check_def checks[2] = { ttl_60, { .tcp = STR("a:1"), .interval = NSEC_SEC } };
	uint64_t modified;

	assert_int_equal(put_service(b, "w1", "web", 80, checks, 2), 1);
	modified = seen_service(b, "w1")->modify_index;
	assert_int_equal(put_service(b, "w1", "web", 80, checks, 2), 0);
	assert_int_equal(seen_service(b, "w1")->modify_index, modified);
	assert_int_equal(put_service(b, "w1", "web", 80, NULL, 0), 0);
	assert_int_equal(put_service(b, "w1", "web", 81, NULL, 0), 1);
	assert_true(seen_service(b, "w1")->modify_index > modified);
	/* what is not shown counts too */
	checks[0].ttl++;
	assert_int_equal(put_service(b, "w1", "web", 81, checks, 2), 1);
	assert_int_equal(own_check(b, "service:w1:1")->def.ttl, checks[0].ttl);
}

static void
an_address_becomes_tagged_addresses(void **state)
{
	struct bench *b = *state;
	struct tagged_address tagged[] = { { STR("lan"), STR("10.9.1.1"), 8080 },
		{ STR("wan"), STR("192.0.2.1"), 80 } };
	struct service_info info = { .name = STR("web"),
		.address = STR("10.9.1.1"),
		.port = 8080,
		.tagged = tagged,
		.tagged_count = 2,
		.tagged_set = true };
	const struct service_info *seen;

	local_service_put(b->local, b->now, &info, NULL, 0, false, LOCAL_API, &b->err);
	seen = &seen_service(b, "web")->info;
	assert_int_equal(seen->tagged_count, 4);
	assert_str(seen->tagged[1].tag, "lan_ipv4");
	assert_str(seen->tagged[3].tag, "wan_ipv4");
	assert_str(seen->tagged[3].address, "10.9.1.1");
	assert_int_equal(seen->tagged[3].port, 8080);
	info.address = STR("2001:db8::5");
	info.tagged_count = 0;
	local_service_put(b->local, b->now, &info, NULL, 0, false, LOCAL_API, &b->err);
	seen = &seen_service(b, "web")->info;
	assert_int_equal(seen->tagged_count, 2);
	assert_str(seen->tagged[0].tag, "lan_ipv6");
	assert_str(seen->tagged[1].tag, "wan_ipv6");
	info.address = STR("db.example.com");
	local_service_put(b->local, b->now, &info, NULL, 0, false, LOCAL_API, &b->err);
	assert_int_equal(seen_service(b, "web")->info.tagged_count, 0);
}

static void
services_are_refused_in_consuls_words(void **state)
{
	struct bench *b = *state;
	static char long_key[130], long_value[514];
	struct pair blank = { STR("a b"), STR("1") }, reserved = { STR("consul-x"), STR("1") },
		    key = { { long_key, 129 }, STR("v") },
		    value = { STR("k"), { long_value, 513 } }, empty = { STR(""), STR("v") };
	struct tagged_address bad4 = { STR("lan_ipv4"), STR("::1"), 1 },
			      bad6 = { STR("wan_ipv6"), STR("10.0.0.1"), 1 };
	const struct {
		struct service_info info;
		int code;
		const char *text;
	} cases[] = {
		{ { .port = 1 }, ERR_INPUT, "Missing service name" },
		{ { .id = STR("x") }, ERR_INPUT, "Missing service name" },
		{ { .name = STR("w"), .address = STR("::") }, ERR_INPUT,
		    "Invalid service address" },
		{ { .name = STR("w"), .address = STR("0.0.0.0") }, ERR_INPUT,
		    "Invalid service address" },
		{ { .name = STR("w"), .weight_passing = -1, .weight_warning = 1 }, ERR_INPUT,
		    "Invalid Weights: Passing must be greater than 0" },
		{ { .name = STR("w"), .weight_passing = 1, .weight_warning = -1 }, ERR_INPUT,
		    "Invalid Weights: Warning must be greater or equal than 0" },
		{ { .name = STR("w"), .weight_passing = 65536 }, ERR_INPUT,
		    "Invalid Weights: DNS Weight must be between 0 and 65535" },
		{ { .name = STR("w"), .meta = &blank, .meta_count = 1 }, ERR_INPUT,
		    "Invalid Service Meta: Couldn't load metadata pair ('a b', '1'): Key contains "
		    "invalid characters" },
		{ { .name = STR("w"), .meta = &empty, .meta_count = 1 }, ERR_INPUT,
		    "Invalid Service Meta: Couldn't load metadata pair ('', 'v'): Key cannot be "
		    "blank" },
		{ { .name = STR("w"), .meta = &reserved, .meta_count = 1 }, ERR_INPUT,
		    "Invalid Service Meta: Couldn't load metadata pair ('consul-x', '1'): Key "
		    "prefix 'consul-' is reserved for internal use" },
		{ { .name = STR("w"), .meta = &key, .meta_count = 1 }, ERR_INPUT,
		    "', 'v'): Key is too long (limit: 128 characters)" },
		{ { .name = STR("w"), .meta = &value, .meta_count = 1 }, ERR_INPUT,
		    "'): Value is too long (limit: 512 characters)" },
		{ { .name = STR("w"), .meta = &key, .meta_count = 65 }, ERR_INPUT,
		    "Invalid Service Meta: Node metadata cannot contain more than 64 key/value "
		    "pairs" },
		{ { .name = STR("w"), .tagged = &bad4, .tagged_count = 1 }, ERR_REFUSED,
		    "Service tagged address \"lan_ipv4\" must be a valid ipv4 address" },
		{ { .name = STR("w"), .tagged = &bad6, .tagged_count = 1 }, ERR_REFUSED,
		    "Service tagged address \"wan_ipv6\" must be a valid ipv6 address" },
	};

	memset(long_key, 'k', 129);
	memset(long_value, 'v', 513);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int rc = local_service_put(
		    b->local, b->now, &cases[i].info, NULL, 0, false, LOCAL_API, &b->err);
		struct str text = str_of(b->err.text);

		assert_int_equal(rc, cases[i].code);
		assert_true(str_ends(text, str_of(cases[i].text)));
		assert_true(str_starts(text, STR("'")) || cases[i].text[0] == '\'' ||
			    str_eq(text, str_of(cases[i].text)));
	}
	assert_null(local_service_next(b->local, NULL));
}

static void
a_bad_check_leaves_no_service(void **state)
{
	struct bench *b = *state;
	struct check_def checks[2] = { ttl_60, { .name = STR("x") } };

	assert_int_equal(put_service(b, "w1", "web", 80, checks, 2), ERR_INPUT);
	assert_string_equal(b->err.text, "Invalid check: TTL must be > 0 for TTL checks");
	assert_null(local_service_next(b->local, NULL));
	assert_null(local_check_next(b->local, NULL));
	assert_null(seen_service(b, "w1"));
	checks[1] = (struct check_def){ .ttl = 1, .status = STR("sunny") };
	assert_int_equal(put_service(b, "w1", "web", 80, checks, 2), ERR_INPUT);
	assert_string_equal(b->err.text, "Status for checks must 'passing', 'warning', 'critical'");
	checks[1] = (struct check_def){ .status = STR("sunny"), .name = STR("x") };
	assert_int_equal(put_check(b, &checks[1]), ERR_INPUT);
	assert_string_equal(b->err.text, "Bad check status");
	assert_int_equal(put_check(b, &ttl_60), ERR_INPUT);
	assert_string_equal(b->err.text, "Missing check name");
	checks[1] = (struct check_def){ .ttl = 1, .name = STR("x"), .service_id = STR("none") };
	assert_int_equal(put_check(b, &checks[1]), ERR_REFUSED);
	assert_string_equal(b->err.text, "ServiceID \"none\" does not exist");
}

static void
checks_get_consuls_ids_and_names(void **state)
{
	struct bench *b = *state;
	struct str tags[] = { STR("t"), STR("t") };
	struct service_info info = {
		.name = STR("web"), .id = STR("77"), .tags = tags, .tag_count = 2
	};
	struct check_def checks[3] = { ttl_60, { .ttl = 1, .status = STR("warning") },
		{ .tcp = STR("127.0.0.1:1"),
		    .interval = 60 * NSEC_SEC,
		    .id = STR("own"),
		    .name = STR("mine") } };
	char interval[DURATION_TEXT_MAX], timeout[DURATION_TEXT_MAX];
	struct check_info view;
	const struct catalog_check *c;

	local_service_put(b->local, b->now, &info, checks, 1, false, LOCAL_API, &b->err);
	c = seen_check(b, "service:77");
	assert_non_null(c);
	assert_str(c->info.name, "Service 'web' check");
	assert_str(c->info.service_id, "77");
	assert_str(c->info.service_name, "web");
	assert_int_equal(c->info.service_tag_count, 2);
	assert_str(c->info.status, "critical");
	assert_str(c->info.type, "ttl");
	assert_str(c->info.interval, "");
	local_service_put(b->local, b->now, &info, checks, 3, true, LOCAL_API, &b->err);
	assert_null(seen_check(b, "service:77"));
	assert_seen(b, "service:77:1", "critical", "");
	assert_seen(b, "service:77:2", "warning", "");
	assert_str(seen_check(b, "own")->info.name, "mine");
	assert_str(seen_check(b, "own")->info.type, "tcp");
	/* A check by itself shows its times. */
	checks[2].service_id = STR("77");
	assert_int_equal(put_check(b, &checks[2]), 1);
	assert_str(seen_check(b, "own")->info.interval, "1m0s");
	assert_str(seen_check(b, "own")->info.timeout, "0s");
	view = local_check_info(own_check(b, "own"), interval, timeout);
	assert_str(view.interval, "1m0s");
	assert_str(view.service_name, "web");
	assert_str(view.service_tags[1], "t");
	assert_int_equal(put_check(b, &(struct check_def){ .name = STR("n"), .ttl = 1 }), 1);
	assert_str(seen_check(b, "n")->info.interval, "0s");
	assert_str(seen_check(b, "n")->info.service_id, "");
}

static void
the_last_of_two_equal_ids_counts(void **state)
{
	struct bench *b = *state;
	struct check_def checks[2] = { { .id = STR("c"), .ttl = 1, .status = STR("passing") },
		{ .id = STR("c"), .ttl = 2, .status = STR("warning") } };

	assert_int_equal(put_service(b, "w", "web", 0, checks, 2), 1);
	assert_seen(b, "c", "warning", "");
	assert_int_equal(put_service(b, "w", "web", 0, checks, 2), 0);
	assert_int_equal(own_check(b, "c")->def.ttl, 2);
}

static void
registering_again_keeps_status_and_checks(void **state)
{
	struct bench *b = *state;
	struct check_def one = { .id = STR("c"), .name = STR("one"), .ttl = 60 * NSEC_SEC };

	put_service(b, "w", "web", 0, &ttl_60, 1);
	assert_int_equal(report(b, "service:w", CHECK_PASSING, "up"), 1);
	assert_int_equal(put_service(b, "w", "web", 5, &ttl_60, 1), 1);
	assert_check(b, "service:w", "passing", "up");
	assert_int_equal(put_service(b, "w", "web", 6, NULL, 0), 1);
	assert_check(b, "service:w", "passing", "up");
	/* a check by itself keeps what was reported, under a new name too */
	put_check(b, &one);
	report(b, "c", CHECK_PASSING, "good");
	one.name = STR("two");
	assert_int_equal(put_check(b, &one), 1);
	assert_check(b, "c", "passing", "good");
	assert_str(seen_check(b, "c")->info.name, "two");
	/* but not a first status nobody has confirmed */
	one.status = STR("passing");
	one.id = STR("d");
	put_check(b, &one);
	one.status = STR("");
	put_check(b, &one);
	assert_check(b, "d", "critical", "");
}

static void
a_service_moves_to_another_name(void **state)
{
	struct bench *b = *state;
	uint64_t hash;

	put_service(b, "w", "web", 1, &ttl_60, 1);
	hash = local_service_find(b->local, STR("w"))->hash;
	put_service(b, "w", "db", 2, NULL, 0);
	assert_null(catalog_name_find(store_catalog(b->store), STR("web")));
	assert_non_null(catalog_name_find(store_catalog(b->store), STR("db")));
	assert_str(seen_check(b, "service:w")->info.service_name, "db");
	assert_true(local_service_find(b->local, STR("w"))->hash != hash);
	put_service(b, "w", "web", 1, NULL, 0);
	assert_true(local_service_find(b->local, STR("w"))->hash == hash);
}

static void
removing_takes_the_checks_along(void **state)
{
	struct bench *b = *state;

	put_service(b, "w", "web", 1, &ttl_60, 1);
	put_check(b, &(struct check_def){ .name = STR("node"), .ttl = 1 });
	assert_int_equal(local_service_remove(b->local, b->now, STR("w"), &b->err), 1);
	assert_null(seen_service(b, "w"));
	assert_null(seen_check(b, "service:w"));
	assert_null(local_check_find(b->local, STR("service:w")));
	assert_non_null(seen_check(b, "node"));
	assert_int_equal(local_service_remove(b->local, b->now, STR("w"), &b->err), ERR_NOT_FOUND);
	assert_string_equal(b->err.text, "Unknown service ID \"w\". Ensure that the service ID is "
					 "passed, not the service name.");
	assert_int_equal(local_service_remove(b->local, b->now, STR(""), &b->err), ERR_REFUSED);
	assert_string_equal(b->err.text, "ServiceID missing");
	assert_int_equal(local_check_remove(b->local, b->now, STR("node"), &b->err), 1);
	assert_null(seen_check(b, "node"));
	assert_int_equal(local_check_remove(b->local, b->now, STR("node"), &b->err), ERR_NOT_FOUND);
	assert_string_equal(b->err.text, "Unknown check ID \"node\". Ensure that the check ID is "
					 "passed, not the check name.");
	assert_int_equal(local_check_remove(b->local, b->now, STR(""), &b->err), ERR_REFUSED);
	assert_string_equal(b->err.text, "CheckID missing");
}

static void
limits_refuse_the_whole_registration(void **state)
{
	struct bench *b = *state;
	static struct check_def many[LOCAL_CHECKS_MAX + 1];
	static char notes[400 * 1024];
	struct check_def big[3] = { ttl_60, ttl_60, ttl_60 };
	size_t records;

	for (size_t i = 0; i <= LOCAL_CHECKS_MAX; i++)
		many[i] = ttl_60;
	assert_int_equal(put_service(b, "w", "web", 1, many, LOCAL_CHECKS_MAX + 1), ERR_LIMIT);
	/* The third check passes what the owner may hold: the service was put before it. */
	memset(notes, 'n', sizeof notes);
	put_service(b, "w", "web", 1, NULL, 0);
	records = owner_count(store_owner(b->store, &b->config.self));
	for (size_t i = 0; i < 3; i++)
		big[i].notes = str_mem(notes, sizeof notes);
	assert_int_equal(put_service(b, "w", "web", 2, big, 3), ERR_LIMIT);
	assert_int_equal(owner_count(store_owner(b->store, &b->config.self)), records);
	assert_int_equal(seen_service(b, "w")->info.port, 1);
	assert_int_equal(local_service_find(b->local, STR("w"))->info.port, 1);
	assert_null(local_check_next(b->local, NULL));
	for (int i = 0; i < 99; i++) {
		char id[16];

		snprintf(id, sizeof id, "s%d", i);
		assert_int_equal(put_service(b, id, "web", 1, NULL, 0), 1);
	}
	assert_int_equal(put_service(b, "one-more", "web", 1, NULL, 0), ERR_LIMIT);
	assert_int_equal(put_service(b, "s1", "web", 2, NULL, 0), 1);
}

static void
replacing_touches_only_the_same_source(void **state)
{
	struct bench *b = *state;
	const struct service_info info = { .id = STR("w"), .name = STR("web") };
	struct check_def health = { .id = STR("docker-health:w"),
		.name = STR("h"),
		.type = CHECK_STATE,
		.status = STR("passing"),
		.output = STR("fine") };

	local_service_put(b->local, b->now, &info, &health, 1, true, LOCAL_DOCKER, &b->err);
	assert_seen(b, "docker-health:w", "passing", "fine");
	assert_str(seen_check(b, "docker-health:w")->info.type, "");
	put_check(b, &(struct check_def){ .name = STR("mine"), .ttl = 1, .service_id = STR("w") });
	assert_int_equal(
	    local_service_put(b->local, b->now, &info, &health, 1, true, LOCAL_DOCKER, &b->err), 0);
	health.status = STR("critical");
	health.output = STR("ill");
	local_service_put(b->local, b->now, &info, &health, 1, true, LOCAL_DOCKER, &b->err);
	assert_seen(b, "docker-health:w", "critical", "ill");
	local_service_put(b->local, b->now, &info, NULL, 0, true, LOCAL_DOCKER, &b->err);
	assert_null(seen_check(b, "docker-health:w"));
	assert_non_null(seen_check(b, "mine"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		local_test(a_name_is_all_it_takes),
		local_test(an_equal_registration_changes_nothing),
		local_test(an_address_becomes_tagged_addresses),
		local_test(services_are_refused_in_consuls_words),
		local_test(a_bad_check_leaves_no_service),
		local_test(checks_get_consuls_ids_and_names),
		local_test(the_last_of_two_equal_ids_counts),
		local_test(registering_again_keeps_status_and_checks),
		local_test(a_service_moves_to_another_name),
		local_test(removing_takes_the_checks_along),
		local_test(limits_refuse_the_whole_registration),
		local_test(replacing_touches_only_the_same_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

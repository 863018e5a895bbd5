/* Rules beyond the recorded cases of test_registrator.c: our own options, odd input, limits. */
#include "tests/unit/test.h"
#include "watcher/rules.h"

static struct arena arena;
static struct rules_config config;
static struct rules_service *all;
static size_t count;
static struct err err;

static int
setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 4 << 20);
	config = (struct rules_config){ .host = STR("h"), .ip = STR("10.0.0.1") };
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	arena_done(&arena);
	return 0;
}

/* A container with port 80 published on 8080, and these variables and labels. */
static int
apply(const char *env, const char *labels)
{
	struct container c;
	char json[8192];

	snprintf(json, sizeof json,
	    "{\"Id\":\"0123456789abcdef\",\"Name\":\"/"
	    "web-1\",\"Config\":{\"Image\":\"web\",\"Env\":[%s],"
	    "\"Labels\":{%s}},\"HostConfig\":{\"NetworkMode\":\"default\"},\"NetworkSettings\":{"
	    "\"Ports\":{\"80/tcp\":[{\"HostIp\":\"::\",\"HostPort\":\"8080\"},"
	    "{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8081\"}]}}}",
	    env, labels);
	assert_int_equal(container_read(&arena, str_of(json), &c, &err), 0);
	return rules_apply(&config, &arena, &c, NULL, &all, &count, &err);
}

static struct str
meta(const char *key)
{
	for (size_t i = 0; i < all[0].meta_count; i++)
		if (str_eq(all[0].meta[i].key, str_of(key)))
			return all[0].meta[i].value;
	return STR("(none)");
}

static void
one_service_for_two_bindings_of_a_port(void **unused)
{
	(void)unused;
	assert_int_equal(apply("", ""), 0);
	assert_int_equal(count, 1);
	assert_str(all[0].id, "h:web-1:80");
	assert_str(all[0].name, "web");
	assert_int_equal(all[0].port, 8081); /* the binding of the address's family */
	assert_str(all[0].address, "10.0.0.1"); /* "::" is every address, as 0.0.0.0 is */
}

static void
docker_meta_on_request(void **unused)
{
	(void)unused;
	config.meta = true;
	assert_int_equal(apply("\"SERVICE_ZONE=z\",\"SERVICE_CONTAINER_NAME=own\"", ""), 0);
	assert_int_equal(all[0].meta_count, 4);
	assert_str(all[0].meta[0].key, "container_id");
	assert_str(meta("container_id"), "0123456789abcdef");
	assert_str(meta("container_image"), "web");
	assert_str(meta("container_name"), "own");
	assert_str(meta("zone"), "z");
}

static void
later_and_nearer_keys_win(void **unused)
{
	(void)unused;
	assert_int_equal(
	    apply("\"SERVICE_A=1\",\"SERVICE_a=2\",\"SERVICE_80_B=port\",\"SERVICE_=x\"",
		"\"SERVICE_B\":\"label\",\"SERVICE_81_C\":\"other\""),
	    0);
	assert_int_equal(all[0].meta_count, 2);
	assert_str(meta("a"), "2");
	assert_str(meta("b"), "port");
}

static void
every_kind_of_check(void **unused)
{
	(void)unused;
	apply("\"SERVICE_CHECK_HTTPS=/h\",\"SERVICE_CHECK_HTTPS_METHOD=HEAD\"", "");
	assert_str(all[0].check.http, "https://10.0.0.1:8081/h");
	assert_str(all[0].check.method, "HEAD");
	apply("\"SERVICE_CHECK_CMD=/bin/x y\",\"SERVICE_CHECK_TIMEOUT=1s\"", "");
	assert_str(all[0].check.script, "check-cmd 0123456789ab 80 /bin/x y");
	assert_str(all[0].check.interval, "10s");
	assert_str(all[0].check.timeout, "");
	apply("\"SERVICE_CHECK_GRPC=1\",\"SERVICE_CHECK_GRPC_USE_TLS=1\","
	      "\"SERVICE_CHECK_TLS_SKIP_VERIFY=1\"",
	    "");
	assert_str(all[0].check.grpc, "10.0.0.1:8081");
	assert_true(all[0].check.grpc_use_tls && all[0].check.tls_skip_verify);
	apply("\"SERVICE_CHECK_TTL=3s\",\"SERVICE_CHECK_TCP=1\"", "");
	assert_str(all[0].check.ttl, "3s"); /* the first kind in order, and only it */
	assert_str(all[0].check.tcp, "");
	apply("\"SERVICE_CHECK_INTERVAL=3s\"", "");
	assert_false(all[0].check.present);
}

static void
tags_with_commas_and_templates(void **unused)
{
	(void)unused;
	config.tags = STR("{{.Name}},all");
	assert_int_equal(apply("\"SERVICE_TAGS=\\\\,a,b\\\\,\"", ""), 0);
	assert_int_equal(all[0].tag_count, 4);
	assert_str(all[0].tags[0], "b,");
	assert_str(all[0].tags[1], ",a");
	assert_str(all[0].tags[2], "all");
	assert_str(all[0].tags[3], "/web-1");
	config.tags = STR("{{.Name");
	assert_int_equal(rules_config_check(&config, &err), ERR_INPUT);
	assert_non_null(strstr(err.text, "-docker-tags"));
	assert_int_equal(apply("", ""), ERR_INPUT);
}

static void
one_id_for_two_ports_is_one_service(void **unused)
{
	struct container c;

	(void)unused;
	assert_int_equal(container_read(&arena,
			     STR("{\"Id\":\"a\",\"Name\":\"/"
				 "x\",\"Config\":{\"Image\":\"i\",\"Env\":[\"SERVICE_ID=one\"],"
				 "\"ExposedPorts\":{\"1/tcp\":{},\"2/tcp\":{}}},"
				 "\"HostConfig\":{\"NetworkMode\":\"host\"}}"),
			     &c, &err),
	    0);
	assert_int_equal(rules_apply(&config, &arena, &c, NULL, &all, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(all[0].port, 1);
	assert_str(all[0].name, "i-1");
}

static void
a_container_without_known_address_has_none(void **unused)
{
	struct container c, peer = { .network_count = 0 };

	(void)unused;
	assert_int_equal(container_read(&arena,
			     STR("{\"Id\":\"a\",\"Name\":\"/"
				 "x\",\"Config\":{\"Image\":\"i\",\"ExposedPorts\":{\"1/tcp\":{}}},"
				 "\"HostConfig\":{\"NetworkMode\":\"container:ffff\"}}"),
			     &c, &err),
	    0);
	assert_str(rules_peer(&c), "ffff");
	assert_int_equal(rules_apply(&config, &arena, &c, NULL, &all, &count, &err), 0);
	assert_str(all[0].address, "");
	peer.networks = &(struct container_network){ .name = STR("n"), .ip = STR("10.9.0.1") };
	peer.network_count = 1;
	assert_int_equal(rules_apply(&config, &arena, &c, &peer, &all, &count, &err), 0);
	assert_str(all[0].address, "10.9.0.1");
}

static void
too_much_is_refused(void **unused)
{
	struct arena small;
	struct container c;

	(void)unused;
	arena_init(&small, 1000);
	assert_int_equal(
	    container_read(&arena,
		STR("{\"Id\":\"a\",\"Name\":\"/x\",\"Config\":{\"Image\":\"i\",\"ExposedPorts\":"
		    "{\"1/tcp\":{},\"2/tcp\":{},\"3/tcp\":{},\"4/tcp\":{}}},"
		    "\"HostConfig\":{\"NetworkMode\":\"host\"}}"),
		&c, &err),
	    0);
	assert_int_equal(rules_apply(&config, &small, &c, NULL, &all, &count, &err), ERR_MEMORY);
	arena_done(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    one_service_for_two_bindings_of_a_port, setup, teardown),
		cmocka_unit_test_setup_teardown(docker_meta_on_request, setup, teardown),
		cmocka_unit_test_setup_teardown(later_and_nearer_keys_win, setup, teardown),
		cmocka_unit_test_setup_teardown(every_kind_of_check, setup, teardown),
		cmocka_unit_test_setup_teardown(tags_with_commas_and_templates, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    one_id_for_two_ports_is_one_service, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_container_without_known_address_has_none, setup, teardown),
		cmocka_unit_test_setup_teardown(too_much_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}

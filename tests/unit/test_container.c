/* Container descriptions: what is read, what is bounded, what is refused; signal names. */
#include "base/buf.h"
#include "tests/unit/test.h"
#include "watcher/container.h"
#include "watcher/signame.h"

static struct arena arena;
static struct container c;
static struct err err;

static int
setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 64 << 20);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	arena_done(&arena);
	return 0;
}

static void
a_whole_description(void **unused)
{
	(void)unused;
	assert_int_equal(
	    container_read(&arena,
		STR("{\"Id\":\"ab12\",\"Name\":\"/"
		    "web\",\"Image\":\"sha256:1\",\"Created\":\"2026-01-01T0\","
		    "\"State\":{\"Running\":true,\"Paused\":true,\"ExitCode\":3,\"StartedAt\":"
		    "\"2026-01-02\","
		    "\"Health\":{\"Status\":\"unhealthy\",\"Log\":[{\"Output\":\"old\"},{"
		    "\"Output\":\"new\"}]}},"
		    "\"Config\":{\"Image\":\"web:1\",\"Hostname\":\"h\",\"Env\":[\"A=1=2\",\"B\","
		    "\"=x\",\"C=\"],"
		    "\"Labels\":{\"z\":\"1\",\"a\":\"2\"},\"StopSignal\":\"SIGINT\","
		    "\"StopTimeout\":90,"
		    "\"ExposedPorts\":{\"443/tcp\":{},\"9/udp\":{}}},"
		    "\"HostConfig\":{\"NetworkMode\":\"own\"},\"NetworkSettings\":{\"IPAddress\":"
		    "\"\","
		    "\"Networks\":{\"own\":{\"IPAddress\":\"10.0.0.2\"},\"b\":{\"IPAddress\":\"10."
		    "1.0.2\"}},"
		    "\"Ports\":{\"443/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8443\"},"
		    "{\"HostIp\":\"::\",\"HostPort\":\"8443\"}],\"80/tcp\":null}}}"),
		&c, &err),
	    0);
	assert_str(c.id, "ab12");
	assert_str(c.name, "/web");
	assert_str(c.image_id, "sha256:1");
	assert_true(c.running && c.paused && !c.restarting);
	assert_int_equal(c.exit_code, 3);
	assert_int_equal(c.health, HEALTH_UNHEALTHY);
	assert_str(c.health_output, "new");
	assert_int_equal(c.env_count, 2); /* "B" and "=x" are none */
	assert_str(c.env[0].value, "1=2");
	assert_str(c.labels[0].key, "a");
	assert_str(c.networks[0].name, "b");
	assert_str(c.stop_signal, "SIGINT");
	assert_true(c.stop_timeout == 90 * NSEC_SEC);
	assert_int_equal(c.port_count, 4);
	assert_int_equal(c.ports[0].port, 9);
	assert_true(c.ports[0].unmapped); /* not known to NetworkSettings.Ports */
	assert_int_equal(c.ports[1].host_port, 0);
	assert_false(c.ports[1].unmapped);
	assert_int_equal(c.ports[2].host_port, 8443);
	assert_str(c.ports[3].host_ip, "::");
	assert_int_equal(c.cut, 0);
}

static void
missing_and_mistyped_members_are_empty(void **unused)
{
	(void)unused;
	assert_int_equal(container_read(&arena, STR("{\"Id\":\"a\"}"), &c, &err), 0);
	assert_true(c.stop_timeout == 10 * NSEC_SEC);
	assert_int_equal(
	    container_read(&arena,
		STR("{\"Id\":\"a\",\"Name\":7,\"Config\":[],\"State\":\"x\",\"HostConfig\":null,"
		    "\"NetworkSettings\":{\"Ports\":[1],\"Networks\":7},\"Unknown\":{\"x\":[]}}"),
		&c, &err),
	    0);
	assert_int_equal(container_read(&arena,
			     STR("{\"Id\":\"a\",\"Config\":{\"Env\":{\"a\":1},\"Labels\":[\"x\"],"
				 "\"ExposedPorts\":[],"
				 "\"StopTimeout\":-1}}"),
			     &c, &err),
	    0);
	assert_true(c.stop_timeout == NSEC_NEVER);
	assert_int_equal(container_read(&arena, STR("{\"Name\":\"/x\"}"), &c, &err), ERR_INPUT);
	assert_int_equal(container_read(&arena, STR("[]"), &c, &err), ERR_INPUT);
	assert_int_equal(container_read(&arena, STR("{\"Id\":\"a\""), &c, &err), ERR_INPUT);
}

static void
ports_out_of_range_are_counted(void **unused)
{
	(void)unused;
	assert_int_equal(container_read(&arena,
			     STR("{\"Id\":\"a\",\"Config\":{\"ExposedPorts\":{\"0/tcp\":{},\"65536/"
				 "tcp\":{},\"x\":{},"
				 "\"65535\":{}}},\"NetworkSettings\":{\"Ports\":{\"80/"
				 "tcp\":[{\"HostPort\":\"65536\"},"
				 "{\"HostPort\":\"-1\"},{\"HostPort\":\"81\"}]}}}"),
			     &c, &err),
	    0);
	assert_int_equal(c.cut, 5);
	assert_int_equal(c.port_count, 2);
	assert_int_equal(c.ports[0].host_port, 81);
	assert_int_equal(c.ports[1].port, 65535);
	assert_str(c.ports[1].proto, "tcp");
}

/* 5,000 labels and one of 64 KiB are kept; what is over the limits is cut and counted. */
static void
labels_have_limits(void **unused)
{
	struct buf b;

	(void)unused;
	buf_init(&b, 4 << 20);
	buf_add(&b, STR("{\"Id\":\"a\",\"Config\":{\"Labels\":{"));
	for (int i = 0; i < CONTAINER_LABELS_MAX + 3; i++)
		buf_addf(&b, "\"k%05d\":\"v\",", i);
	buf_add(&b, STR("\"l\":\"x\"},\"Env\":[\"SMALL="));
	for (int i = 0; i < 64 * 1024; i++)
		buf_addc(&b, 's');
	buf_add(&b, STR("\",\"BIG="));
	for (int i = 0; i < CONTAINER_VALUE_MAX / 2; i++)
		buf_add(&b, STR("\xc3\xa4"));
	buf_add(&b, STR("x\"]}}"));
	assert_int_equal(container_read(&arena, buf_str(&b), &c, &err), 0);
	assert_int_equal(c.label_count, CONTAINER_LABELS_MAX);
	assert_int_equal(c.env[0].value.n, 64 * 1024);
	assert_int_equal(c.env[1].value.n, CONTAINER_VALUE_MAX);
	assert_int_equal(c.cut, 5);
	arena_done(&arena);
	arena_init(&arena, 100000);
	assert_int_equal(container_read(&arena, buf_str(&b), &c, &err), ERR_MEMORY);
	buf_done(&b);
}

static void
signals_by_name_and_number(void **unused)
{
	(void)unused;
	assert_int_equal(signame_number(STR("15")), 15);
	assert_int_equal(signame_number(STR("SIGTERM")), 15);
	assert_int_equal(signame_number(STR("term")), 15);
	assert_int_equal(signame_number(STR("SIGRTMIN+3")), 37);
	assert_int_equal(signame_number(STR("RTMIN")), 34);
	assert_int_equal(signame_number(STR("RTMAX-1")), 63);
	assert_int_equal(signame_number(STR("HUP")), 1);
	assert_int_equal(signame_number(STR("")), 0);
	assert_int_equal(signame_number(STR("65")), 0);
	assert_int_equal(signame_number(STR("RTMIN-3")), 0);
	assert_int_equal(signame_number(STR("NOSUCH")), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_whole_description, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    missing_and_mistyped_members_are_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(ports_out_of_range_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(labels_have_limits, setup, teardown),
		cmocka_unit_test(signals_by_name_and_number),
	};

	return cmocka_run_group_tests_name("container", tests, NULL, NULL);
}

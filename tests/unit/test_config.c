/* tests/unit/test_config.c -- config files in Consul's shape, and mistakes in them. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/options.h"

static int
read_text(struct options *o, const char *text, struct err *err)
{
	int rc = options_init(o, err);

	return rc < 0 ? rc : config_text_read(o, STR("a.json"), str_of(text), err);
}

static void
a_file_for_tuning_dns(void **unused)
{
	struct options o;
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(read_text(&o,
	    "{ \"enable_script_checks\": true, \"disable_update_check\": true,"
	    "  \"leave_on_terminate\": true, \"alt_domain\": \"alt.example\","
	    "  \"node_meta\": {\"rack\": \"r1\"},"
	    "  \"dns_config\": {\"node_ttl\": \"12s\", \"service_ttl\": {\"*\": \"9s\","
	    "    \"web*\": \"1m30s\"}, \"only_passing\": true, \"enable_truncate\": true,"
	    "    \"udp_answer_limit\": 2,"
	    "    \"soa\": {\"min_ttl\": 15, \"refresh\": 1800, \"retry\": 300,"
	    "      \"expire\": 43200}}}",
	    &err), 0);
	assert_true(o.enable_script_checks);
	assert_true(o.leave_on_terminate);
	assert_str(o.alt_domain, "alt.example");
	assert_int_equal(o.node_meta_count, 1);
	assert_str(o.node_meta[0].value, "r1");
	assert_int_equal(o.dns_node_ttl, 12 * NSEC_SEC);
	assert_int_equal(o.dns_service_ttl_count, 2);
	assert_str(o.dns_service_ttl[0].name, "*");
	assert_int_equal(o.dns_service_ttl[0].seconds, 9);
	assert_str(o.dns_service_ttl[1].name, "web*");
	assert_int_equal(o.dns_service_ttl[1].seconds, 90);
	assert_true(o.dns_only_passing);
	assert_true(o.dns_enable_truncate);
	assert_int_equal(o.dns_udp_answer_limit, 2);
	assert_int_equal(o.dns_soa_min_ttl, 15);
	assert_int_equal(o.dns_soa_refresh, 1800);
	assert_int_equal(o.dns_soa_retry, 300);
	assert_int_equal(o.dns_soa_expire, 43200);
	assert_int_equal(o.unused_count, 1);
	assert_str(o.unused[0].name, "disable_update_check");
	options_done(&o);
}

static void
a_reload_takes_the_tuning_of_dns(void **unused)
{
	struct options o, fresh;
	struct err err = { 0 };
	char changed[256];

	(void)unused;
	assert_int_equal(read_text(&o,
	    "{\"dns_config\": {\"service_ttl\": {\"a\": \"1s\", \"b\": \"2s\"}}}", &err), 0);
	assert_int_equal(read_text(&fresh,
	    "{\"dns_config\": {\"service_ttl\": {\"c\": \"3s\"}, \"node_ttl\": \"9s\"}}", &err), 0);
	assert_int_equal(options_reload(&o, &fresh, changed, sizeof changed, &err), 0);
	options_done(&fresh);
	assert_string_equal(changed, "");
	assert_int_equal(o.dns_node_ttl, 9 * NSEC_SEC);
	assert_int_equal(o.dns_service_ttl_count, 1);
	assert_str(o.dns_service_ttl[0].name, "c");
	assert_int_equal(o.dns_service_ttl[0].seconds, 3);
	options_done(&o);
}

static void
a_file_with_ports_and_limits(void **unused)
{
	static const char *const unused_names[] = { "disable_update_check", "ports.serf_wan",
		"ports.grpc", "limits.rpc_max_conns_per_client", "performance" };
	struct options o;
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(read_text(&o,
	    "{\"datacenter\": \"dc2\", \"log_level\": \"warn\", \"disable_update_check\": true,"
	    " \"ports\": {\"server\": 19003, \"http\": 19001, \"dns\": -1, \"serf_lan\": 19002,"
	    "   \"serf_wan\": -1, \"https\": -1, \"grpc\": -1},"
	    " \"limits\": {\"http_max_conns_per_client\": 100000,"
	    "   \"rpc_max_conns_per_client\": 100000},"
	    " \"performance\": {\"raft_multiplier\": 1}, \"node_name\": \"n\", \"server\": true,"
	    " \"bootstrap\": true, \"data_dir\": \"/d\", \"client_addr\": \"10.0.0.1\","
	    " \"addresses\": {\"http\": \"10.0.0.2\", \"dns\": \"10.0.0.3\"},"
	    " \"recursors\": [\"10.0.0.7\"], \"bind_addr\": \"10.0.0.4\"}",
	    &err), 0);
	assert_int_equal(options_finish(&o, &err), 0);
	assert_int_equal(o.server_port, 19003);
	assert_int_equal(o.http_port, 19001);
	assert_int_equal(o.dns_port, -1);
	assert_int_equal(o.serf_port, 19002);
	assert_int_equal(o.http_max_conns_per_client, 100000);
	assert_int_equal(o.level, LOG_LEVEL_WARN);
	assert_str(o.node_name, "n");
	assert_int_equal(o.http_listen_count, 1);
	assert_int_equal(o.http_listen[0].addr.bytes[3], 2);
	assert_int_equal(o.dns_listen_count, 0);
	assert_int_equal(o.advertise_addr.bytes[3], 4);
	assert_int_equal(o.unused_count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_str(o.unused[i].name, unused_names[i]);
	assert_int_equal(o.unused[4].row->type, OPTION_IGNORED);
	assert_int_equal(o.recursor_count, 1);
	options_done(&o);
}

static void
a_file_about_joining_and_gossip(void **unused)
{
	struct options o;
	struct err err = { 0 };
	char text[ADDR_TEXT_MAX];

	(void)unused;
	assert_int_equal(read_text(&o,
	    "{\"data_dir\": \"/d\", \"bind_addr\": \"10.0.0.4\", \"serf_lan\": \"10.0.0.5\","
	    " \"start_join\": [\"10.0.0.1\", \"s2\"], \"retry_join\": \"s3:8311\","
	    " \"retry_interval\": \"5s\", \"retry_max\": 3, \"rejoin_after_leave\": true,"
	    " \"encrypt\": \"MDEyMzQ1Njc4OWFiY2RlZg==\", \"encrypt_verify_incoming\": false,"
	    " \"encrypt_verify_outgoing\": false, \"disable_keyring_file\": true,"
	    " \"gossip_lan\": {\"gossip_interval\": \"100ms\", \"gossip_nodes\": 4,"
	    "   \"probe_interval\": \"2s\", \"probe_timeout\": \"600ms\", \"retransmit_mult\": 5,"
	    "   \"suspicion_mult\": 6}, \"reconnect_timeout\": \"8h\", \"restart_grace\": \"1m\","
	    " \"hold_share\": 50, \"damp_flaps\": 3}",
	    &err), 0);
	if (options_finish(&o, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(o.unused_count, 0);
	assert_string_equal(addr_format(&o.gossip_bind, text), "10.0.0.5:8301");
	assert_string_equal(addr_format(&o.advertise_addr, text), "10.0.0.4:8301");
	assert_int_equal(o.start_join_count, 2);
	assert_str(o.start_join[1], "s2");
	assert_int_equal(o.retry_join_count, 1);
	assert_str(o.retry_join[0], "s3:8311");
	assert_int_equal(o.retry_interval, 5 * NSEC_SEC);
	assert_int_equal(o.retry_max, 3);
	assert_true(o.rejoin_after_leave);
	assert_int_equal(o.encrypt_key_len, 16);
	assert_memory_equal(o.encrypt_key, "0123456789abcdef", 16);
	assert_false(o.encrypt_verify_incoming);
	assert_false(o.encrypt_verify_outgoing);
	assert_true(o.disable_keyring_file);
	assert_int_equal(o.gossip_profile.gossip_interval, 100 * NSEC_MS);
	assert_int_equal(o.gossip_profile.gossip_nodes, 4);
	assert_int_equal(o.gossip_profile.probe_interval, 2 * NSEC_SEC);
	assert_int_equal(o.gossip_profile.probe_timeout, 600 * NSEC_MS);
	assert_int_equal(o.gossip_profile.retransmit_mult, 5);
	assert_int_equal(o.gossip_profile.suspicion_mult, 6);
	assert_int_equal(o.gossip_profile.indirect_checks, swim_lan.indirect_checks);
	assert_int_equal(o.reconnect_timeout, 8 * NSEC_HOUR);
	assert_int_equal(o.restart_grace, NSEC_MIN);
	assert_int_equal(o.hold_share, 50);
	assert_int_equal(o.damp_flaps, 3);
	options_done(&o);
}

static void
what_is_not_there_may_be_off(void **unused)
{
	static const struct {
		const char *text;
		size_t count;
	} rows[] = {
		{ "{\"enable_syslog\": false}", 0 },
		{ "{\"enable_syslog\": \"false\"}", 0 },
		{ "{\"enable_syslog\": true}", 1 },
		{ "{\"log_file\": \"\", \"log_json\": false, \"acl\": {}, \"key_file\": null}", 0 },
		{ "{\"log_file\": \"x\", \"log_json\": true, \"acl\": {\"enabled\": false}}", 3 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct options o;
		struct err err = { 0 };

		assert_int_equal(read_text(&o, rows[i].text, &err), 0);
		assert_int_equal(o.unused_count, rows[i].count);
		options_done(&o);
	}
}

static void
habits_of_consul_are_kept(void **unused)
{
	struct options o;
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(read_text(&o,
	    " {\"ports\": [{\"http\": \"1234\"}], \"Node_Name\": \"x\", \"server\": \"true\","
	    "  \"node_id\": null, \"dns_config\": null, \"domain\": \"a\", \"acl\": {\"enabled\":"
	    "  true}, \"performance\": {\"deep\": [{\"er\": 1}]}} \n",
	    &err), 0);
	assert_int_equal(o.http_port, 1234);
	assert_str(o.node, "x");
	assert_true(o.server);
	assert_str(o.domain, "a");
	options_done(&o);
}

static void
mistakes_name_file_and_key(void **unused)
{
	static const char *const rows[][2] = {
		{ "{\"nosuch\": 1}", "a.json: unknown key \"nosuch\"" },
		{ "{\"ports\": {\"htp\": 1}}", "a.json: unknown key \"ports.htp\"" },
		{ "{\"dns_config\": {\"soa\": {\"x\": 1}}}", "a.json: unknown key \"dns_config.soa.x\"" },
		{ "{\"nosuch\": null}", "a.json: unknown key \"nosuch\"" },
		{ "{\"ports\": 5}", "a.json: ports: must be an object, not a number" },
		{ "{\"ports\": {\"dns\": 99999}}",
		    "a.json: ports.dns: 99999 is not in the range -1 to 65535" },
		{ "{\"ports\": {\"dns\": 1.5}}", "a.json: ports.dns: \"1.5\" is not a whole number" },
		{ "{\"ports\": {\"dns\": [1]}}", "a.json: ports.dns: must be a number, not a list" },
		{ "{\"server\": \"maybe\"}", "a.json: server: \"maybe\" is not true or false" },
		{ "{\"server\": {}}", "a.json: server: must be true or false, not an object" },
		{ "{\"node_name\": [\"a\"]}", "a.json: node_name: must be a text, not a list" },
		{ "{\"node_meta\": [\"a\"]}", "a.json: node_meta: must be an object, not a list" },
		{ "{\"node_meta\": {\"a\": {}}}",
		    "a.json: node_meta: \"a\" must be a text, not an object" },
		{ "{\"dns_config\": {\"node_ttl\": 12}}",
		    "a.json: dns_config.node_ttl: \"12\" is not a time such as 90s or 1h30m" },
		{ "{\"dns_config\": {\"service_ttl\": {\"web\": \"soon\"}}}",
		    "a.json: dns_config.service_ttl: \"web\": \"soon\" is not a time such as 90s or "
		    "1h30m" },
		{ "[]", "a.json: must hold one JSON object, not a list" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct options o;
		struct err err = { 0 };

		assert_int_equal(read_text(&o, rows[i][0], &err), ERR_INPUT);
		assert_string_equal(err.text, rows[i][1]);
		options_done(&o);
	}
}

static void
every_truncation_is_an_error(void **unused)
{
	static const char text[] = "{\"ports\": {\"http\": 1}, \"node_meta\": {\"a\": \"b\"}}";

	(void)unused;
	for (size_t n = 0; n + 1 < sizeof text - 1; n++) {
		struct options o;
		struct err err = { 0 };

		assert_int_equal(options_init(&o, &err), 0);
		assert_true(config_text_read(&o, STR("t"), str_mem(text, n), &err) < 0);
		assert_true(strncmp(err.text, "t: ", 3) == 0);
		options_done(&o);
	}
}

static void
write_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
remove_file(const char *folder, const char *name)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	assert_int_equal(remove(path), 0);
}

/* Files before flags, files in the order given, a folder in order of name. */
static void
the_later_word_counts(void **unused)
{
	char folder[] = "/tmp/muster-config-XXXXXX", file[64];
	char *argv[] = { "-http-port", "3", "-config-file", file, "-config-dir", folder, "-dev" };
	struct options o;
	struct err err = { 0 };
	bool help;

	(void)unused;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/b.json", folder);
	write_file(folder, "b.json", "{\"ports\": {\"http\": 1, \"dns\": 1}, \"node_name\": \"b\"}");
	write_file(folder, "a.json", "{\"ports\": {\"dns\": 2}, \"node_name\": \"a\"}");
	write_file(folder, "a.txt", "no JSON");
	assert_int_equal(options_read(&o, 7, argv, &help, &err), 0);
	assert_int_equal(o.http_port, 3);
	assert_int_equal(o.dns_port, 1);
	assert_str(o.node_name, "b");
	options_done(&o);
	write_file(folder, "aa.hcl", "ports { http = 7, dns = 7 } alt_domain = \"x\"");
	assert_int_equal(options_read(&o, 7, argv, &help, &err), 0);
	assert_int_equal(o.dns_port, 1); /* b.json comes after aa.hcl */
	assert_str(o.alt_domain, "x");
	options_done(&o);
	write_file(folder, "c.hcl", "server = true\na = 1");
	assert_int_equal(options_read(&o, 7, argv, &help, &err), ERR_INPUT);
	assert_non_null(strstr(err.text, "c.hcl: unknown key \"a\""));
	options_done(&o);
	write_file(folder, "c.hcl", "server = true\na = x");
	assert_int_equal(options_read(&o, 7, argv, &help, &err), ERR_INPUT);
	assert_non_null(strstr(err.text, "c.hcl:2: a text must stand in quotes"));
	options_done(&o);
	remove_file(folder, "a.json");
	remove_file(folder, "b.json");
	remove_file(folder, "a.txt");
	remove_file(folder, "c.hcl");
	remove_file(folder, "aa.hcl");
	assert_int_equal(rmdir(folder), 0);
}

static void
a_format_counts_more_than_names(void **unused)
{
	char folder[] = "/tmp/muster-config-XXXXXX", flag[64], inner[64];
	char *argv[] = { "-dev", "-config-dir", folder, flag };
	struct options o;
	struct err err = { 0 };
	bool help;

	(void)unused;
	assert_non_null(mkdtemp(folder));
	snprintf(inner, sizeof inner, "%s/inner", folder);
	assert_int_equal(mkdir(inner, 0700), 0); /* is not gone into */
	write_file(folder, "a", "node_name = \"one\"");
	write_file(folder, "b.json", "datacenter = \"two\"");
	assert_true(options_read(&o, 3, argv, &help, &err) < 0); /* the second is no JSON */
	options_done(&o);
	snprintf(flag, sizeof flag, "-config-format=hcl"); /* behind what it is about */
	assert_int_equal(options_read(&o, 4, argv, &help, &err), 0);
	assert_str(o.node_name, "one");
	assert_str(o.datacenter, "two");
	options_done(&o);
	snprintf(flag, sizeof flag, "-config-format=json");
	assert_true(options_read(&o, 4, argv, &help, &err) < 0);
	options_done(&o);
	write_file(folder, "a", "{\"node_name\": \"three\"}");
	write_file(folder, "b.json", "{\"datacenter\": \"four\"}");
	assert_int_equal(options_read(&o, 4, argv, &help, &err), 0);
	assert_str(o.node_name, "three");
	assert_str(o.datacenter, "four");
	options_done(&o);
	assert_int_equal(options_read(&o, 3, argv, &help, &err), 0);
	assert_false(str_eq(o.node_name, STR("three"))); /* "a" is no name of a config file */
	assert_str(o.datacenter, "four");
	options_done(&o);
	remove_file(folder, "a");
	remove_file(folder, "b.json");
	remove_file(folder, "inner");
	assert_int_equal(rmdir(folder), 0);
}

static void
services_and_checks_are_defined(void **unused)
{
	struct options o;
	struct err err = { 0 };
	const struct definition *d;

	(void)unused;
	assert_int_equal(options_init(&o, &err), 0);
	assert_int_equal(config_text_read(&o, STR("a.hcl"),
	    STR("service { name = \"web\" meta { a_b = \"1\" } check { ttl = \"9s\" "
		"deregister_critical_service_after = \"1m\" } } service { name = \"db\" "
		"checks = [ { tcp = \"x:1\" interval = \"2s\" } ] }"), &err), 0);
	assert_int_equal(config_text_read(&o, STR("b.json"),
	    STR("{\"Checks\": [{\"id\": \"c\", \"name\": \"n\", \"ttl\": \"1s\"}], "
		"\"services\": null}"), &err), 0);
	assert_int_equal(o.definitions.count, 3);
	d = o.definitions.first;
	assert_str(d->where, "a.hcl: service \"web\"");
	assert_str(d->service.service.meta[0].key, "a_b");
	assert_int_equal(d->service.check_count, 1);
	assert_int_equal(d->service.checks[0].deregister_after, 60 * NSEC_SEC);
	d = d->next;
	assert_str(d->service.service.name, "db");
	assert_str(d->service.checks[0].tcp, "x:1");
	d = d->next;
	assert_true(d->is_check);
	assert_str(d->check.id, "c");
	assert_null(d->next);
	assert_int_equal(config_text_read(&o, STR("c.json"),
	    STR("{\"service\": {\"name\": \"x\", \"check\": {\"interval\": \"1s\"}}}"), &err),
	    ERR_INPUT);
	assert_memory_equal(err.text, "c.json: service \"x\": ", 21);
	options_done(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_for_tuning_dns),
		cmocka_unit_test(a_reload_takes_the_tuning_of_dns),
		cmocka_unit_test(a_file_with_ports_and_limits),
		cmocka_unit_test(a_file_about_joining_and_gossip),
		cmocka_unit_test(what_is_not_there_may_be_off),
		cmocka_unit_test(habits_of_consul_are_kept),
		cmocka_unit_test(mistakes_name_file_and_key),
		cmocka_unit_test(every_truncation_is_an_error),
		cmocka_unit_test(the_later_word_counts),
		cmocka_unit_test(a_format_counts_more_than_names),
		cmocka_unit_test(services_and_checks_are_defined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_options.c -- flags, their values, and what follows from them. */
#include "tests/unit/test.h"

#include "agent/describe.h"
#include "agent/options.h"
#include "dns/recurse_io.h"

#define ARGS_MAX 32

/* Reads "-dev -node a" into o; words are cut at blanks. */
static int
read_line(struct options *o, const char *line, bool *help, struct err *err)
{
	static char text[512];
	char *argv[ARGS_MAX];
	int argc = 0;

	snprintf(text, sizeof text, "%s", line);
	for (char *p = strtok(text, " "); p != NULL && argc < ARGS_MAX; p = strtok(NULL, " "))
		argv[argc++] = p;
	return options_read(o, argc, argv, help, err);
}

static void
flags_take_every_form(void **unused)
{
	static const char *const lines[] = {
		"-dev -node a -http-port 1234 -server",
		"--dev --node a --http-port 1234",
		"-dev=true -node=a -http-port=1234",
		"--dev=1 --node=a --http-port=1234 --server=T",
		"-http-port 1 -node b -dev=false -node a -http-port 1234 -dev",
	};

	(void)unused;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct options o;
		struct err err = { 0 };
		bool help;

		if (read_line(&o, lines[i], &help, &err) != 0)
			fail_msg("%s: %s", lines[i], err.text);
		assert_false(help);
		assert_true(o.dev);
		assert_true(o.server);
		assert_str(o.node, "a");
		assert_str(o.node_name, "a");
		assert_int_equal(o.http_port, 1234);
		options_done(&o);
	}
}

static void
defaults_are_those_of_the_design(void **unused)
{
	struct options o;
	struct err err = { 0 };
	bool help;
	char text[ADDR_TEXT_MAX];

	(void)unused;
	assert_int_equal(read_line(&o, "-dev", &help, &err), 0);
	assert_str(o.datacenter, "dc1");
	assert_str(o.domain, "consul.");
	assert_int_equal(o.http_port, 8500);
	assert_int_equal(o.dns_port, 8600);
	assert_int_equal(o.serf_port, 8301);
	assert_int_equal(o.server_port, 8300);
	assert_int_equal(o.level, LOG_LEVEL_INFO);
	assert_int_equal(o.check_update_interval, 5 * NSEC_MIN);
	assert_int_equal(o.docker_drain, NSEC_MIN);
	assert_int_equal(o.dns_udp_answer_limit, 3);
	assert_true(o.skip_leave_on_interrupt);
	assert_false(o.leave_on_terminate);
	assert_int_equal(o.http_listen_count, 1);
	assert_string_equal(addr_format(&o.http_listen[0].addr, text), "127.0.0.1:8500");
	assert_string_equal(addr_format(&o.dns_listen[0], text), "127.0.0.1:8600");
	assert_string_equal(addr_format(&o.advertise_addr, text), "127.0.0.1:8301");
	assert_string_equal(addr_format(&o.bind_addr, text), "127.0.0.1:8301");
	assert_string_equal(addr_format(&o.gossip_bind, text), "127.0.0.1:8301");
	assert_int_equal(o.start_join_count + o.retry_join_count, 0);
	assert_int_equal(o.retry_interval, 30 * NSEC_SEC);
	assert_int_equal(o.retry_max, 0);
	assert_false(o.rejoin_after_leave);
	assert_true(o.encrypt_verify_incoming);
	assert_true(o.encrypt_verify_outgoing);
	assert_false(o.disable_keyring_file);
	assert_int_equal(o.encrypt_key_len, 0);
	assert_memory_equal(&o.gossip_profile, &swim_lan, sizeof swim_lan);
	assert_int_equal(o.reconnect_timeout, 72 * NSEC_HOUR);
	assert_int_equal(o.restart_grace, 30 * NSEC_SEC);
	assert_int_equal(o.hold_share, 0);
	assert_int_equal(o.damp_flaps, 2);
	assert_true(o.node_name.n > 0);
	assert_int_equal(o.unused_count, 0);
	options_done(&o);
}

static void
addresses_follow_consul(void **unused)
{
	static const struct {
		const char *line, *http, *dns, *advertise, *gossip;
	} rows[] = {
		{ "-data-dir /x -bind 10.1.2.3", "127.0.0.1:8500", "127.0.0.1:8600",
		    "10.1.2.3:8301", "10.1.2.3:8301" },
		{ "-data-dir /x -advertise 10.1.2.3 -serf-lan-port 9", "127.0.0.1:8500",
		    "127.0.0.1:8600", "10.1.2.3:9", "0.0.0.0:9" },
		{ "-dev -client 0.0.0.0", "0.0.0.0:8500", "0.0.0.0:8600", "127.0.0.1:8301",
		    "127.0.0.1:8301" },
		{ "-dev -client ::1 -bind fd00::1", "[::1]:8500", "[::1]:8600", "[fd00::1]:8301",
		    "[fd00::1]:8301" },
		{ "-dev -http-port -1 -dns-port -1", NULL, NULL, "127.0.0.1:8301",
		    "127.0.0.1:8301" },
		{ "-data-dir /x -bind 10.1.2.3 -serf-lan-bind 10.1.2.4", "127.0.0.1:8500",
		    "127.0.0.1:8600", "10.1.2.3:8301", "10.1.2.4:8301" },
		{ "-data-dir /x -bind 0.0.0.0 -serf-lan-bind 10.1.2.4", "127.0.0.1:8500",
		    "127.0.0.1:8600", "10.1.2.4:8301", "10.1.2.4:8301" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct options o;
		struct err err = { 0 };
		bool help;
		char text[ADDR_TEXT_MAX];

		if (read_line(&o, rows[i].line, &help, &err) != 0)
			fail_msg("%s: %s", rows[i].line, err.text);
		assert_int_equal(o.http_listen_count, rows[i].http != NULL);
		assert_int_equal(o.dns_listen_count, rows[i].dns != NULL);
		if (rows[i].http != NULL) {
			assert_string_equal(addr_format(&o.http_listen[0].addr, text), rows[i].http);
			assert_string_equal(addr_format(&o.dns_listen[0], text), rows[i].dns);
		}
		assert_string_equal(addr_format(&o.advertise_addr, text), rows[i].advertise);
		assert_string_equal(addr_format(&o.gossip_bind, text), rows[i].gossip);
		options_done(&o);
	}
}

static void
client_may_name_several_addresses(void **unused)
{
	char *argv[] = { "-dev", "-client", " 127.0.0.1  ::1 10.0.0.1" };
	struct options o;
	struct err err = { 0 };
	bool help;
	char text[ADDR_TEXT_MAX];

	(void)unused;
	assert_int_equal(options_read(&o, 3, argv, &help, &err), 0);
	assert_int_equal(o.http_listen_count, 3);
	assert_int_equal(o.dns_listen_count, 3);
	assert_string_equal(addr_format(&o.dns_listen[1], text), "[::1]:8600");
	assert_string_equal(addr_format(&o.http_listen[2].addr, text), "10.0.0.1:8500");
	options_done(&o);
}

static int
read_file(struct options *o, const char *text, struct err *err)
{
	int rc = options_init(o, err);

	if (rc == 0)
		rc = config_text_read(o, STR("f.json"), str_of(text), err);
	return rc == 0 ? options_finish(o, err) : rc;
}

static void
http_listens_with_tls_and_on_unix_sockets(void **unused)
{
	struct options o;
	struct err err = { 0 };
	char text[ADDR_TEXT_MAX];

	(void)unused;
	assert_int_equal(
	    read_file(&o,
		"{\"data_dir\": \"/x\", \"bind_addr\": \"10.0.0.1\", \"ports\": {\"https\": 8501},"
		" \"cert_file\": \"/c\", \"key_file\": \"/k\","
		" \"addresses\": {\"http\": \"unix:///run/m.sock 127.0.0.1\", \"https\": \"10.0.0.1\"},"
		" \"unix_sockets\": {\"user\": \"root\", \"group\": \"12\", \"mode\": \"0660\"},"
		" \"tls_cipher_suites\": \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,"
		"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305\", \"tls_min_version\": \"tls13\"}",
		&err),
	    0);
	assert_int_equal(o.http_listen_count, 3);
	assert_str(o.http_listen[0].path, "/run/m.sock");
	assert_false(o.http_listen[0].tls);
	assert_string_equal(addr_format(&o.http_listen[1].addr, text), "127.0.0.1:8500");
	assert_string_equal(addr_format(&o.http_listen[2].addr, text), "10.0.0.1:8501");
	assert_true(o.http_listen[2].tls);
	assert_int_equal(o.http_unix_mode.user, 0);
	assert_int_equal(o.http_unix_mode.group, 12);
	assert_int_equal(o.http_unix_mode.mode, 0660);
	options_done(&o);
}

static void
what_http_cannot_be_is_told(void **unused)
{
	static const char *const rows[][2] = {
		{ "\"ports\": {\"https\": 8501}", "-https-port needs cert_file and key_file" },
		{ "\"cert_file\": \"/c\"", "cert_file and key_file belong together" },
		{ "\"verify_incoming\": true", "verify_incoming needs ca_file or ca_path" },
		{ "\"verify_incoming_https\": true", "verify_incoming needs ca_file or ca_path" },
		{ "\"tls_min_version\": \"ssl3\"",
		    "tls_min_version: \"ssl3\" is not tls10, tls11, tls12 or tls13" },
		{ "\"tls_cipher_suites\": \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,ROT13\"",
		    "tls_cipher_suites: \"ROT13\" is no cipher suite that is known" },
		{ "\"unix_sockets\": {\"user\": \"no-such-user-here\"}",
		    "unix_sockets.user: \"no-such-user-here\" is not known on this host" },
		{ "\"unix_sockets\": {\"mode\": \"rw\"}",
		    "unix_sockets.mode: \"rw\" is not octal, as \"0660\" is" },
		{ "\"client_addr\": \"unix:///x\"",
		    "-client: DNS cannot listen on a unix socket; addresses.dns says where else" },
		{ "\"http_config\": {\"allow_write_http_from\": [\"10.0.0.1\"]}",
		    "-allow-write-http-from: \"10.0.0.1\" is not a network such as 10.0.0.0/8" },
		{ "\"http_config\": {\"response_headers\": {\"A\": \"b\\nc\"}}",
		    "http_config.response_headers: \"A\" has a value of more than one line" },
		{ "\"http_config\": {\"response_headers\": {\"A:\": \"b\"}}",
		    "http_config.response_headers: \"A:\" is no name of a header" },
		{ "\"addresses\": {\"http\": \"unix://\"}",
		    "addresses.http: the path of \"unix://\" must have 1 to 107 bytes" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct options o;
		struct err err = { 0 };
		char text[512];

		snprintf(text, sizeof text,
		    "{\"data_dir\": \"/x\", \"bind_addr\": \"10.0.0.1\", %s}", rows[i][0]);
		assert_int_equal(read_file(&o, text, &err), ERR_INPUT);
		assert_string_equal(err.text, rows[i][1]);
		options_done(&o);
	}
}

static void
the_one_private_address_is_advertised(void **unused)
{
	static const struct {
		const char *found[4], *want, *error;
	} rows[] = {
		{ { "127.0.0.1", "10.0.0.5", "8.8.8.8" }, "10.0.0.5", NULL },
		{ { "127.0.0.1", "fd00::5", "192.168.1.9", "fe80::1" }, "192.168.1.9", NULL },
		{ { "127.0.0.1", "8.8.8.8" }, NULL,
		    "this host has no private IPv4 address; say which to use with -advertise or "
		    "-bind" },
		{ { "10.0.0.5", "172.17.0.1", "127.0.0.1" }, NULL,
		    "this host has several private IPv4 addresses (10.0.0.5, 172.17.0.1); say which "
		    "to use with -advertise or -bind" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct addr found[4], got;
		struct err err = { 0 };
		char text[ADDR_TEXT_MAX];
		size_t n = 0;

		for (; n < 4 && rows[i].found[n] != NULL; n++)
			assert_true(addr_parse_ip(str_of(rows[i].found[n]), &found[n]));
		if (rows[i].want != NULL) {
			assert_int_equal(options_advertise_choose(found, n, &got, &err), 0);
			assert_string_equal(addr_format_ip(&got, text), rows[i].want);
		} else {
			assert_int_equal(options_advertise_choose(found, n, &got, &err), ERR_INPUT);
			assert_string_equal(err.text, rows[i].error);
		}
	}
}

static void
bootstrap_implies_a_server(void **unused)
{
	static const char *const lines[] = { "-data-dir /x -bind 127.0.0.1 -bootstrap",
		"-data-dir /x -bind 127.0.0.1 -bootstrap-expect 3" };

	(void)unused;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct options o;
		struct err err = { 0 };
		bool help;

		assert_int_equal(read_line(&o, lines[i], &help, &err), 0);
		assert_true(o.server);
		options_done(&o);
	}
}

static void
dns_has_a_second_port_on_every_address(void **unused)
{
	static const struct {
		const char *line, *listen;
		size_t must;
	} rows[] = {
		{ "-dev -dns-second-port 53", "127.0.0.1:8600 127.0.0.1:53 ", 1 },
		{ "-dev -dns-second-port 8600", "127.0.0.1:8600 ", 1 },
		{ "-dev -dns-second-port 53 -dns-port -1", "", 0 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct options o;
		struct err err = { 0 };
		bool help;
		char got[256] = "", text[ADDR_TEXT_MAX];

		assert_int_equal(read_line(&o, rows[i].line, &help, &err), 0);
		for (size_t k = 0; k < o.dns_listen_count; k++) {
			strcat(got, addr_format(&o.dns_listen[k], text));
			strcat(got, " ");
		}
		assert_string_equal(got, rows[i].listen);
		assert_int_equal(o.dns_listen_must, rows[i].must);
		options_done(&o);
	}
}

static void
mistakes_are_named_in_one_line(void **unused)
{
	static const char *const rows[][2] = {
		{ "-nosuch", "unknown flag -nosuch (muster agent --help lists them)" },
		{ "--nosuch=1", "unknown flag -nosuch (muster agent --help lists them)" },
		{ "-dev extra", "unexpected argument \"extra\"" },
		{ "-dev -", "unexpected argument \"-\"" },
		{ "-dev -node", "-node needs a value (NAME)" },
		{ "-dev=perhaps", "-dev: \"perhaps\" is not true or false" },
		{ "-dev -http-port x", "-http-port: \"x\" is not a whole number" },
		{ "-dev -http-port 65536",
		    "-http-port: 65536 is not in the range -1 to 65535" },
		{ "-dev -http-port -2", "-http-port: -2 is not in the range -1 to 65535" },
		{ "-dev -server-port 0", "-server-port: 0 is not in the range 1 to 65535" },
		{ "-dev -http-port 99999999999999999999",
		    "-http-port: \"99999999999999999999\" is not a whole number" },
		{ "-dev -docker-drain 30",
		    "-docker-drain: \"30\" is not a time such as 90s or 1h30m" },
		{ "-dev -docker-drain -3s",
		    "-docker-drain: \"-3s\" is not a time such as 90s or 1h30m" },
		{ "-dev -node-meta a", "-node-meta: \"a\" is not of the form KEY:VALUE" },
		{ "-dev -log-level loud", "-log-level: \"loud\" is not debug, info, warn or error" },
		{ "-dev -client nowhere", "-client: \"nowhere\" is not an IP address" },
		{ "-dev -bind nowhere", "-bind: \"nowhere\" is not an IP address" },
		{ "-dev -advertise 0.0.0.0", "-advertise: others cannot reach 0.0.0.0" },
		{ "-dev -datacenter a.b",
		    "-datacenter: \"a.b\" must be letters, digits, dashes and underscores" },
		{ "-dev -domain .", "-domain must not be empty" },
		{ "-dev -node-id 7", "-node-id: \"7\" is not a UUID" },
		{ "-dev -docker-deregister never",
		    "-docker-deregister: \"never\" is not always or on-success" },
		{ "-dev -docker-ip x", "-docker-ip: \"x\" is not an IP address" },
		{ "-bind 10.0.0.1",
		    "-data-dir is needed (or -dev, which keeps everything in memory)" },
		{ "-data-dir /x -bootstrap -bootstrap-expect 3",
		    "-bootstrap and -bootstrap-expect exclude each other" },
		{ "-dev -join 10.0.0.1:x",
		    "-join: \"10.0.0.1:x\" is not an address or a host name, with or without a "
		    "port (1-65535)" },
		{ "-dev -retry-join provider=aws",
		    "-retry-join: muster does not ask cloud providers for hosts (provider=...); "
		    "name hosts or addresses" },
		{ "-dev -retry-interval 0s", "-retry-interval must be 1ms or longer" },
		{ "-dev -retry-max -1", "-retry-max: -1 is not in the range 0 to 2147483647" },
		{ "-dev -encrypt xyz",
		    "-encrypt: the key must be 16, 24 or 32 bytes in base64, as muster keygen "
		    "prints them" },
		{ "-dev -encrypt MDEyMzQ1Njc4OWFiY2RlZmc=",
		    "-encrypt: the key must be 16, 24 or 32 bytes in base64, as muster keygen "
		    "prints them" },
		{ "-dev -encrypt MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm",
		    "-encrypt: the key must be 16, 24 or 32 bytes in base64, as muster keygen "
		    "prints them" },
		{ "-dev -gossip-profile wan", "-gossip-profile: \"wan\" is not lan or local" },
		{ "-dev -serf-lan-bind eth0", "-serf-lan-bind: \"eth0\" is not an IP address" },
		{ "-dev -restart-grace 11m", "-restart-grace must not be longer than 10m" },
		{ "-dev -hold-share 101", "-hold-share: 101 is not in the range 0 to 100" },
		{ "-dev -damp-flaps 0", "-damp-flaps: 0 is not in the range 1 to 8" },
		{ "-dev -config-file /nonexistent.json",
		    "cannot read /nonexistent.json: No such file or directory" },
		{ "-dev -config-dir /nonexistent",
		    "cannot read the folder /nonexistent: No such file or directory" },
		{ "-dev -config-file /nonexistent.hcl",
		    "cannot read /nonexistent.hcl: No such file or directory" },
		{ "-dev -config-format toml", "-config-format: \"toml\" is not json or hcl" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct options o;
		struct err err = { 0 };
		bool help;
		int rc = read_line(&o, rows[i][0], &help, &err);

		assert_true(rc < 0);
		assert_string_equal(err.text, rows[i][1]);
		options_done(&o);
	}
}

static void
help_wins_over_mistakes(void **unused)
{
	static const char *const lines[] = { "-h", "--help", "-help", "-nosuch --help" };

	(void)unused;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct options o;
		struct err err = { 0 };
		bool help = false;

		assert_int_equal(read_line(&o, lines[i], &help, &err), 0);
		assert_true(help);
		options_done(&o);
	}
}

static void
lists_and_maps_grow(void **unused)
{
	struct options o;
	struct err err = { 0 };
	char text[32];

	(void)unused;
	assert_int_equal(options_init(&o, &err), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "k%d:%d:x", i % 50, i);
		assert_int_equal(
		    option_set_text(&o, option_by_flag(STR("node-meta")), str_of(text), &err), 0);
		assert_int_equal(
		    option_set_text(&o, option_by_flag(STR("config-file")), str_of(text), &err), 0);
	}
	assert_int_equal(o.node_meta_count, 50);
	assert_str(o.node_meta[7].key, "k7");
	assert_str(o.node_meta[7].value, "57:x");
	assert_int_equal(o.config_file_count, 100);
	assert_str(o.config_files[99], "k49:99:x");
	options_done(&o);
}

static void
recursors_are_addresses(void **unused)
{
	static const struct {
		const char *line, *wrong; /* NULL: it is right */
	} rows[] = {
		{ "-dev -recursor 10.0.0.1 -recursor [fd00::1]:5353", NULL },
		{ "-dev -recursor dns.example.com", "is not an IP address" },
		{ "-dev -recursor 10.0.0.1:0x", "is not an IP address" },
		{ "-dev -recursor 127.0.0.1:8600", "would ask itself" },
		{ "-dev -client 0.0.0.0 -recursor 127.0.0.1:8600", "would ask itself" },
		{ "-dev -dns-port 53 -recursor 127.0.0.1", "would ask itself" },
		{ "-dev -dns-port -1 -recursor 127.0.0.1:8600", NULL },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct recurse_config config;
		struct options o;
		struct err err = { 0 };
		bool help;
		int rc = read_line(&o, rows[i].line, &help, &err);

		assert_int_equal(rc == 0, rows[i].wrong == NULL);
		if (rc != 0)
			assert_non_null(strstr(err.text, rows[i].wrong));
		if (i == 0) {
			assert_int_equal(options_recursors(&o, &config, &err), 0);
			assert_int_equal(config.count, 2);
			assert_int_equal(config.recursors[0].port, 53);
			assert_int_equal(config.recursors[1].port, 5353);
			assert_int_equal(config.timeout, 2 * NSEC_SEC);
			assert_false(config.random);
		}
		options_done(&o);
	}
}

static void
flags_of_consul_are_accepted(void **unused)
{
	static const char *const lines[] = {
		"-ui", "-ui-dir /ui", "-serf-wan-port 8302", "-grpc-port 8502",
		"-disable-host-node-id", "-disable-host-node-id=false", "-raft-protocol 3", "-atlas x",
		"-advertise-wan 1.2.3.4", "-log-json",
	};

	(void)unused;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		char line[256];
		struct options o;
		struct err err = { 0 };
		bool help;

		snprintf(line, sizeof line, "-dev %s %s -node after", lines[i], lines[i]);
		if (read_line(&o, line, &help, &err) != 0)
			fail_msg("%s: %s", line, err.text);
		assert_int_equal(o.unused_count, 1);
		assert_true(o.unused[0].name.n > 1 && o.unused[0].name.p[0] == '-');
		assert_int_equal(o.unused[0].row->type == OPTION_LATER, i == 9);
		assert_str(o.node, "after");
		options_done(&o);
	}
}

static void
flags_about_joining_are_lists(void **unused)
{
	struct options o;
	struct err err = { 0 };
	bool help;

	(void)unused;
	assert_int_equal(read_line(&o,
	    "-dev -join 10.0.0.1 -join=s2:8311 -retry-join [fd00::1]:9 -retry-join fd00::2 -rejoin "
	    "-encrypt MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= -gossip-profile local", &help,
	    &err), 0);
	assert_int_equal(o.start_join_count, 2);
	assert_str(o.start_join[0], "10.0.0.1");
	assert_str(o.start_join[1], "s2:8311");
	assert_int_equal(o.retry_join_count, 2);
	assert_str(o.retry_join[1], "fd00::2");
	assert_true(o.rejoin_after_leave);
	assert_int_equal(o.encrypt_key_len, 32);
	assert_memory_equal(o.encrypt_key, "0123456789abcdef0123456789abcdef", 32);
	assert_memory_equal(&o.gossip_profile, &swim_local, sizeof swim_local);
	assert_int_equal(o.unused_count, 0);
	options_done(&o);
}

/* What files can say and flags cannot. */
static void
gossip_may_not_be_tuned_to_death(void **unused)
{
	static const char *const rows[][2] = {
		{ "{\"gossip_lan\": {\"probe_interval\": \"1ms\"}}",
		    "gossip_lan: times must be 10ms or longer" },
		{ "{\"gossip_lan\": {\"probe_timeout\": \"2s\"}}",
		    "gossip_lan.probe_timeout must not be longer than gossip_lan.probe_interval" },
		{ "{\"reconnect_timeout\": \"4h\"}", "reconnect_timeout must be 8h or longer" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct options o;
		struct err err = { 0 };

		assert_int_equal(options_init(&o, &err), 0);
		assert_int_equal(config_text_read(&o, STR("f.json"), str_of(rows[i][0]), &err), 0);
		o.dev = true;
		assert_int_equal(options_finish(&o, &err), ERR_INPUT);
		assert_string_equal(err.text, rows[i][1]);
		options_done(&o);
	}
}

static void
reload_takes_only_what_may_change(void **unused)
{
	struct options o, fresh;
	struct err err = { 0 };
	bool help;
	char changed[256];

	(void)unused;
	assert_int_equal(read_line(&o,
	    "-dev -node a -http-port 1 -node-meta x:1 -node-meta y:2", &help, &err), 0);
	assert_int_equal(read_line(&fresh,
	    "-dev -node b -http-port 2 -node-meta z:3 -log-level debug -docker-explicit "
	    "-docker-ip 10.0.0.9 -docker-drain 5s -hold-share 40 -damp-flaps 4", &help, &err), 0);
	assert_int_equal(options_reload(&o, &fresh, changed, sizeof changed, &err), 0);
	options_done(&fresh);
	assert_string_equal(changed, "node_name,ports.http");
	assert_str(o.node, "a");
	assert_int_equal(o.http_port, 1);
	assert_int_equal(o.node_meta_count, 1);
	assert_str(o.node_meta[0].key, "z");
	assert_str(o.node_meta[0].value, "3");
	assert_int_equal(o.level, LOG_LEVEL_DEBUG);
	assert_str(o.log_level, "debug");
	assert_true(o.docker_explicit);
	assert_true(o.docker_ip_forced);
	assert_str(o.docker_ip, "10.0.0.9");
	assert_int_equal(o.docker_drain, 5 * NSEC_SEC);
	assert_int_equal(o.hold_share, 40);
	assert_int_equal(o.damp_flaps, 4);
	options_done(&o);
}

static void
registrators_options(void **unused)
{
	static const struct {
		const char *line, *error;
	} bad[] = {
		{ "-dev -docker-ip 10.0.0.1,10.0.0.2", "two families" },
		{ "-dev -docker-ip 10.0.0.1,x", "not an IP address" },
		{ "-dev -docker-compose labels", "not tags, meta or off" },
		{ "-dev -docker-deregister never", "not always or on-success" },
		{ "-dev -docker-ttl 30", "go together" },
		{ "-dev -docker-ttl 30 -docker-ttl-refresh 30", "longer" },
		{ "-dev -docker-workers 0", "docker-workers" },
		{ "-dev -docker-resync often", "docker-resync" },
	};
	struct options o;
	struct err err = { 0 };
	bool help;

	(void)unused;
	assert_int_equal(read_line(&o,
	    "-dev -docker-ip 10.0.0.1,fd00::1 -docker-compose meta -docker-network back,10.0.0.0/8 "
	    "-docker-resync 600 -docker-cleanup -docker-workers 4 -docker-ttl 30 "
	    "-docker-ttl-refresh 15s -docker-retry-attempts -1 -docker-retry-interval 2000",
	    &help, &err), 0);
	assert_str(o.docker_ip, "10.0.0.1,fd00::1");
	assert_str(o.docker_compose, "meta");
	assert_str(o.docker_network, "back,10.0.0.0/8");
	assert_int_equal(o.docker_resync, 600 * NSEC_SEC);
	assert_int_equal(o.docker_ttl_refresh, 15 * NSEC_SEC);
	assert_int_equal(o.docker_workers, 4);
	assert_true(o.docker_cleanup);
	options_done(&o);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(read_line(&o, bad[i].line, &help, &err), ERR_INPUT);
		assert_non_null(strstr(err.text, bad[i].error));
		options_done(&o);
	}
}

/* What every row must have, so that reading, help and man can rely on it. */
static void
every_row_is_whole(void **unused)
{
	(void)unused;
	for (const struct option *r = options_table; r->flag != NULL || r->key != NULL; r++) {
		const char *name = r->flag != NULL ? r->flag : r->key;
		bool acts = r->type != OPTION_IGNORED && r->type != OPTION_LATER;

		if ((acts && r->type != OPTION_DEFINITION) != (r->offset != 0))
			fail_msg("%s: offset", name);
		if (acts && ((r->type == OPTION_BOOL) != (r->value == NULL)))
			fail_msg("%s: value", name);
		if ((r->type == OPTION_LIST || r->type == OPTION_MAP || r->type == OPTION_TTLS) !=
		    (r->count_offset != 0))
			fail_msg("%s: count_offset", name);
		if (r->type != OPTION_IGNORED && (r->help == NULL || r->group == NULL))
			fail_msg("%s: help or group", name);
		if (r->help != NULL && r->help[strlen(r->help) - 1] != '.')
			fail_msg("%s: help is no sentence", name);
		if (r->flag != NULL && option_by_flag(str_of(r->flag)) != r)
			fail_msg("%s: flag twice", name);
		if (r->key != NULL && option_by_key(str_of(r->key)) != r)
			fail_msg("%s: key twice", name);
	}
}

static void
help_is_aligned_and_wrapped(void **unused)
{
	struct buf b;
	struct str rest, all;

	(void)unused;
	buf_init(&b, 1024 * 1024);
	describe_help(&b, options_table);
	all = rest = buf_str(&b);
	while (rest.p != NULL) {
		struct str line = str_cut(&rest, '\n');

		if (line.n > DESCRIBE_WIDTH || (line.n > 0 && line.p[line.n - 1] == ' '))
			fail_msg("bad line: " STR_FMT, STR_ARG(line));
	}
	buf_addc(&b, '\0');
	all = buf_str(&b);
	assert_non_null(strstr(all.p,
	    "\n  -http-port PORT             Port of the HTTP API; -1: off. (default 8500)\n"));
	assert_non_null(strstr(all.p, "\nDocker:\n  -docker WHERE"));
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_take_every_form),
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(addresses_follow_consul),
		cmocka_unit_test(client_may_name_several_addresses),
		cmocka_unit_test(http_listens_with_tls_and_on_unix_sockets),
		cmocka_unit_test(what_http_cannot_be_is_told),
		cmocka_unit_test(the_one_private_address_is_advertised),
		cmocka_unit_test(bootstrap_implies_a_server),
		cmocka_unit_test(dns_has_a_second_port_on_every_address),
		cmocka_unit_test(mistakes_are_named_in_one_line),
		cmocka_unit_test(help_wins_over_mistakes),
		cmocka_unit_test(lists_and_maps_grow),
		cmocka_unit_test(recursors_are_addresses),
		cmocka_unit_test(flags_of_consul_are_accepted),
		cmocka_unit_test(flags_about_joining_are_lists),
		cmocka_unit_test(gossip_may_not_be_tuned_to_death),
		cmocka_unit_test(reload_takes_only_what_may_change),
		cmocka_unit_test(registrators_options),
		cmocka_unit_test(every_row_is_whole),
		cmocka_unit_test(help_is_aligned_and_wrapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Check definitions: Consul's texts, what is shown, and the way to bytes and back. */
#include "agent/check/check.h"

#include <stdlib.h>

#include "tests/unit/test.h"

static struct str arg_list[] = { { "/bin/true", 9 }, { "-x", 2 } };

static void
definitions_are_refused_in_consuls_words(void **unused)
{
	const struct {
		struct check_def def;
		int code;
		const char *text;
	} cases[] = {
		{ { .name = STR("x") }, ERR_INPUT,
		    "Invalid check: TTL must be > 0 for TTL checks" },
		{ { .ttl = -1 }, ERR_INPUT, "Invalid check: TTL must be > 0 for TTL checks" },
		{ { .http = STR("http://a/"), .ttl = 1, .interval = 1 }, ERR_INPUT,
		    "Invalid check: Interval and TTL cannot both be specified" },
		{ { .tcp = STR("a:1") }, ERR_INPUT,
		    "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, or TCP checks" },
		{ { .tcp = STR("a:1"), .interval = 1, .alias_service = STR("b") }, ERR_INPUT,
		    "Invalid check: Interval cannot be set for Alias checks" },
		{ { .alias_node = STR("n"), .ttl = 1 }, ERR_INPUT,
		    "Invalid check: TTL must be not be set for Alias checks" },
		{ { .ttl = 1, .output_max_size = -1 }, ERR_INPUT,
		    "Invalid check: MaxOutputMaxSize must be positive" },
		{ { .args = arg_list, .arg_count = 2, .interval = 1 }, ERR_REFUSED,
		    "Scripts are disabled on this agent from remote calls; to enable, configure "
		    "'enable_script_checks' to true" },
		{ { .args = arg_list, .arg_count = CHECK_ARGS_MAX + 1, .interval = 1 }, ERR_LIMIT,
		    "Invalid check: more than 256 values in a list" },
		{ { .ttl = 1 }, 0, "" },
		{ { .http = STR("http://a/"), .interval = 1 }, 0, "" },
		{ { .alias_service = STR("b") }, 0, "" },
		{ { .type = CHECK_STATE }, 0, "" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err err = { 0 };

		assert_int_equal(check_def_validate(&cases[i].def, false, &err), cases[i].code);
		assert_string_equal(err.text, cases[i].text);
	}
	assert_int_equal(
	    check_def_validate(
		&(struct check_def){ .args = arg_list, .arg_count = 2, .interval = 1 }, true, NULL),
	    0);
}

static void
what_is_given_decides_the_kind(void **unused)
{
	const struct {
		struct check_def def;
		const char *text;
	} cases[] = {
		{ { .ttl = 1 }, "ttl" },
		{ { .http = STR("u"), .tcp = STR("t") }, "http" },
		{ { .tcp = STR("t") }, "tcp" },
		{ { .udp = STR("t") }, "udp" },
		{ { .grpc = STR("t"), .http = STR("u") }, "grpc" },
		{ { .alias_service = STR("t") }, "alias" },
		{ { .args = arg_list, .arg_count = 1 }, "script" },
		{ { .args = arg_list, .arg_count = 1, .docker_container_id = STR("c") }, "docker" },
		{ { .type = CHECK_STATE, .id = STR("docker-health:web") }, "" },
		{ { .type = CHECK_STATE, .id = STR("_node_maintenance") }, "maintenance" },
		{ { .type = CHECK_STATE, .id = STR("_service_maintenance:web") }, "maintenance" },
		{ { .ttl = 1, .id = STR("_node_maintenance") }, "ttl" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_str(check_def_type_text(&cases[i].def), cases[i].text);
	assert_str(check_type_text((enum check_type)99), "");
}

static void
long_output_keeps_its_head(void **unused)
{
	static char text[5000];
	struct buf b;

	(void)unused;
	memset(text, 'x', sizeof text);
	buf_init(&b, 8192);
	check_output_keep(&b, str_mem(text, 4096), CHECK_OUTPUT_MAX);
	assert_int_equal(b.n, 4096);
	buf_clear(&b);
	check_output_keep(&b, str_mem(text, 5000), CHECK_OUTPUT_MAX);
	assert_str(str_skip(buf_str(&b), 4095), "x ... (captured 4096 of 5000 bytes)");
	buf_clear(&b);
	check_output_keep(&b, STR("0123456789"), 8);
	assert_str(buf_str(&b), "01234567 ... (captured 8 of 10 bytes)");
	buf_clear(&b);
	check_output_tail(&b, STR("0123456789abcdef\n"), 8, 17);
	assert_str(buf_str(&b), "Captured 8 of 17 bytes\n...\n9abcdef\n");
	buf_clear(&b);
	check_output_tail(&b, STR("whole"), 8, 5);
	assert_str(buf_str(&b), "whole");
	buf_done(&b);
	assert_int_equal(check_output_max(&(struct check_def){ 0 }), 4096);
	assert_int_equal(check_output_max(&(struct check_def){ .output_max_size = 10 }), 10);
	assert_int_equal(check_output_max(&(struct check_def){ .output_max_size = 9999 }), 4096);
	/* not within a character, but binary is cut where told */
	assert_str(check_output_head(STR("abc"), 3), "abc");
	assert_str(check_output_head(STR("ab\xc3\xa9"), 3), "ab");
	assert_str(check_output_head(STR("ab\xf0\x9f\x98\x80"), 5), "ab");
	assert_int_equal(check_output_head(STR("\x80\x80\x80\x80\x80\x80\x80"), 5).n, 5);
}

static struct pair header_list[] = { { STR("A"), STR("1") }, { STR("A"), STR("") },
	{ STR("B"), STR("2") } };

static struct check_def
full_def(void)
{
	return (struct check_def){
		.id = STR("id"),
		.name = STR("name"),
		.notes = STR("notes"),
		.service_id = STR("svc"),
		.type = CHECK_GRPC,
		.status = STR("passing"),
		.output = STR("o\0o"),
		.http = STR("http://h/"),
		.method = STR("PUT"),
		.body = STR("body"),
		.tcp = STR("t:1"),
		.udp = STR("u:1"),
		.grpc = STR("g:1/s"),
		.docker_container_id = STR("c"),
		.shell = STR("/bin/sh"),
		.alias_node = STR("an"),
		.alias_service = STR("as"),
		.args = arg_list,
		.arg_count = 2,
		.headers = header_list,
		.header_count = 3,
		.grpc_use_tls = true,
		.tls_skip_verify = true,
		.tls_server_name = STR("sn"),
		.ttl = INT64_MAX,
		.interval = INT64_MIN,
		.timeout = -1,
		.deregister_after = 90 * NSEC_MIN,
		.success_before_passing = 3,
		.failures_before_critical = 4,
		.output_max_size = 5,
	};
}

static void
assert_same_bytes(const struct check_def *a, const struct check_def *b)
{
	struct buf x, y;

	buf_init(&x, 4096);
	buf_init(&y, 4096);
	check_def_pack(&x, a);
	check_def_pack(&y, b);
	assert_int_equal(x.n, y.n);
	assert_memory_equal(x.p, y.p, x.n);
	buf_done(&x);
	buf_done(&y);
}

static void
a_definition_goes_to_bytes_and_back(void **unused)
{
	struct check_def def = full_def(), back;
	struct arena arena;
	struct buf b;
	struct err err = { 0 };
	void *memory;

	(void)unused;
	arena_init(&arena, 1 << 20);
	buf_init(&b, 4096);
	check_def_pack(&b, &def);
	assert_int_equal(check_def_unpack(&arena, buf_str(&b), &back, &err), 0);
	assert_same_bytes(&def, &back);
	assert_str(back.tls_server_name, "sn");
	assert_int_equal(back.output.n, 3);
	assert_int_equal(back.ttl, INT64_MAX);
	assert_int_equal(back.interval, INT64_MIN);
	assert_int_equal(back.timeout, -1);
	assert_int_equal(back.type, CHECK_GRPC);
	assert_str(back.args[1], "-x");
	assert_str(back.headers[2].key, "B");
	assert_str(back.headers[1].value, "");
	check_def_copy(&back, &memory, &def);
	assert_same_bytes(&def, &back);
	assert_ptr_not_equal(back.args, def.args);
	assert_ptr_not_equal(back.id.p, def.id.p);
	free(memory);
	/* Cut short it is refused or a smaller definition, and nothing is read past the end. */
	for (size_t n = 0; n < b.n; n++) {
		char *copy = malloc(n + 1);

		assert_non_null(copy);
		memcpy(copy, b.p, n);
		(void)check_def_unpack(&arena, str_mem(copy, n), &back, NULL);
		free(copy);
	}
	/* A field of a newer version is stepped over. */
	buf_add(&b, STR("\x7f\x02hi"));
	assert_int_equal(check_def_unpack(&arena, buf_str(&b), &back, &err), 0);
	assert_same_bytes(&def, &back);
	buf_done(&b);
	arena_done(&arena);
}

static void
malformed_bytes_are_refused(void **unused)
{
	const struct str bad[] = { STR("\x01"),
		STR("\x01\x05"
		    "ab"),
		STR("\x05\x01\x63"), STR("\x14\x01\x01"), STR("\x17\x02\x00\x00"),
		STR("\x13\x02\x05"
		    "a"),
		STR("\x17\x00") };
	struct arena arena;
	struct check_def def;
	struct buf b;
	struct err err;

	(void)unused;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(check_def_unpack(&arena, bad[i], &def, &err), ERR_INPUT);
	buf_init(&b, 4096);
	for (int i = 0; i <= CHECK_ARGS_MAX; i++)
		buf_add(&b, STR("\x12\x01x"));
	assert_int_equal(check_def_unpack(&arena, buf_str(&b), &def, &err), ERR_INPUT);
	buf_done(&b);
	arena_done(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(definitions_are_refused_in_consuls_words),
		cmocka_unit_test(what_is_given_decides_the_kind),
		cmocka_unit_test(long_output_keeps_its_head),
		cmocka_unit_test(a_definition_goes_to_bytes_and_back),
		cmocka_unit_test(malformed_bytes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

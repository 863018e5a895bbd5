/* Bodies of the register calls: Go's rules of reading JSON, Consul's names and error texts. */
#include "agent/http/decode.h"
#include "tests/unit/test.h"

static struct arena arena;
static struct err err;

static int
setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 1 << 20);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	arena_done(&arena);
	return 0;
}

static struct service_registration
service(const char *body)
{
	struct service_registration r;
	int rc = decode_service(&arena, str_of(body), &r, &err);

	if (rc != 0)
		print_error("%s\n", err.text);
	assert_int_equal(rc, 0);
	return r;
}

static void
assert_service_error(const char *body, const char *text)
{
	struct service_registration r;

	assert_int_equal(decode_service(&arena, str_of(body), &r, &err), ERR_INPUT);
	assert_str(str_of(err.text), text);
}

static void
every_ordinary_field_is_read(void **unused)
{
	struct service_registration r = service(
	    "{\"Name\":\"web\",\"ID\":\"w1\",\"Tags\":[\"a\",\"b\",\"a\"],\"Address\":\"10.9.1.1\","
	    "\"Port\":8080,\"Meta\":{\"v\":\"1\",\"a\":\"\"},\"EnableTagOverride\":true,"
	    "\"Weights\":{\"Passing\":10,\"Warning\":3},"
	    "\"TaggedAddresses\":{\"wan\":{\"Address\":\"192.0.2.1\",\"Port\":80},"
	    "\"lan\":{\"Address\":\"10.9.1.1\",\"Port\":8080}},"
	    "\"Kind\":\"\",\"Proxy\":{\"Mode\":\"x\"},\"Connect\":{},\"Check\":null,\"Checks\":"
	    "null}");

	(void)unused;
	assert_str(r.service.name, "web");
	assert_str(r.service.id, "w1");
	assert_int_equal(r.service.tag_count, 3);
	assert_str(r.service.tags[2], "a");
	assert_int_equal(r.service.port, 8080);
	assert_int_equal(r.service.meta_count, 2);
	assert_str(r.service.meta[0].key, "a");
	assert_str(r.service.meta[1].value, "1");
	assert_int_equal(r.service.weight_passing, 10);
	assert_int_equal(r.service.weight_warning, 3);
	assert_int_equal(r.service.tagged_count, 2);
	assert_str(r.service.tagged[0].tag, "lan");
	assert_str(r.service.tagged[1].address, "192.0.2.1");
	assert_true(r.service.enable_tag_override && r.service.tags_set && r.service.meta_set);
	assert_str(r.service.proxy_json, "{\"Mode\":\"x\"}");
	assert_str(r.service.connect_json, "");
	assert_int_equal(r.check_count, 0);
}

static void
null_is_not_given(void **unused)
{
	struct service_registration r =
	    service("{\"Name\":\"web\",\"Tags\":null,\"Meta\":null,\"Port\":null,\"Weights\":null,"
		    "\"Check\":{},\"Checks\":[null]}");

	(void)unused;
	assert_false(r.service.tags_set || r.service.meta_set || r.service.tagged_set);
	assert_int_equal(r.service.weight_passing, 1);
	assert_int_equal(r.service.weight_warning, 1);
	assert_int_equal(r.check_count, 0);
	assert_str(service("null").service.name, "");
}

static void
keys_match_in_any_case_and_in_snake_case(void **unused)
{
	struct service_registration r =
	    service("{\"name\":\"web\",\"enable_tag_override\":true,"
		    "\"tagged_addresses\":{\"lan\":{\"address\":\"10.9.0.4\",\"port\":4}},"
		    "\"check\":{\"ttl\":\"60s\",\"deregister_critical_service_after\":\"90m\"}}");

	(void)unused;
	assert_true(r.service.enable_tag_override);
	assert_str(r.service.tagged[0].address, "10.9.0.4");
	assert_int_equal(r.check_count, 1);
	assert_int_equal(r.checks[0].ttl, 60 * NSEC_SEC);
	assert_int_equal(r.checks[0].deregister_after, 90 * NSEC_MIN);
	assert_true(
	    service("{\"NAME\":\"x\",\"enabletagoverride\":true}").service.enable_tag_override);
}

static void
one_weight_alone_makes_the_other_zero(void **unused)
{
	struct service_registration r = service("{\"Name\":\"w\",\"Weights\":{\"Passing\":5}}");

	(void)unused;
	assert_int_equal(r.service.weight_passing, 5);
	assert_int_equal(r.service.weight_warning, 0);
}

static void
what_follows_the_first_value_is_ignored(void **unused)
{
	(void)unused;
	assert_str(service(" \n{\"Name\":\"a\"}{\"Name\":\"b\"").service.name, "a");
	assert_service_error("", "EOF");
	assert_service_error("{\"Name\": \"x\",", "unexpected EOF");
}

static void
unknown_fields_and_wrong_types_are_named(void **unused)
{
	(void)unused;
	assert_service_error(
	    "{\"Name\":\"w\",\"Colour\":\"red\"}", "json: unknown field \"Colour\"");
	assert_service_error(
	    "{\"Name\":\"w\",\"Check\":{\"Script\":\"x\"}}", "json: unknown field \"Script\"");
	assert_service_error("{\"Name\":\"w\",\"Port\":\"80\"}",
	    "json: cannot unmarshal string into field Port of type int");
	assert_service_error(
	    "{\"Port\":80.5}", "json: cannot unmarshal number into field Port of type int");
	assert_service_error(
	    "{\"Port\":8e1}", "json: cannot unmarshal number into field Port of type int");
	assert_service_error(
	    "{\"Port\":99999999999}", "json: cannot unmarshal number into field Port of type int");
	assert_service_error("{\"Tags\":\"a\"}",
	    "json: cannot unmarshal string into field Tags of type list of strings");
	assert_service_error(
	    "{\"Tags\":[1]}", "json: cannot unmarshal number into field Tags of type string");
	assert_service_error(
	    "{\"Meta\":{\"a\":[]}}", "json: cannot unmarshal array into field Meta of type string");
	assert_service_error(
	    "[]", "json: cannot unmarshal array into field service of type object");
}

static void
spans_are_text_or_nanoseconds(void **unused)
{
	struct service_registration r =
	    service("{\"Checks\":[{\"TTL\":\"1m30s\"},{\"TTL\":5000000000},{\"TTL\":1.5e9,"
		    "\"Interval\":true}]}");

	(void)unused;
	assert_int_equal(r.check_count, 3);
	assert_int_equal(r.checks[0].ttl, 90 * NSEC_SEC);
	assert_int_equal(r.checks[1].ttl, 5 * NSEC_SEC);
	assert_int_equal(r.checks[2].ttl, 1500 * NSEC_MS);
	assert_int_equal(r.checks[2].interval, 0);
	assert_service_error("{\"Check\":{\"TTL\":\"ten\"}}", "time: invalid duration \"ten\"");
}

static void
a_check_with_only_empty_members_is_none(void **unused)
{
	(void)unused;
	assert_int_equal(
	    service("{\"Check\":{\"Name\":\"\",\"TTL\":\"\\u0030\",\"Status\":\"\"}}").check_count,
	    0);
	assert_int_equal(service("{\"Checks\":[{}]}").check_count, 1);
	assert_int_equal(
	    service("{\"Check\":{\"TTL\":\"1s\"},\"Checks\":[{\"TCP\":\"a:1\"}]}").check_count, 2);
}

static void
headers_come_in_order_of_key(void **unused)
{
	struct service_registration r =
	    service("{\"Check\":{\"HTTP\":\"http://x/\",\"Interval\":\"1s\",\"Args\":[\"a\",\"b\"],"
		    "\"Header\":{\"X-B\":[\"2\",\"1\"],\"X-A\":[\"3\"],\"X-C\":null}}}");
	const struct check_def *c = &r.checks[0];

	(void)unused;
	assert_int_equal(c->header_count, 3);
	assert_str(c->headers[0].key, "X-A");
	assert_str(c->headers[1].value, "2");
	assert_str(c->headers[2].value, "1");
	assert_int_equal(c->arg_count, 2);
}

static void
check_register_has_id_and_service_id_but_no_check_id(void **unused)
{
	struct check_def c;

	(void)unused;
	assert_int_equal(
	    decode_check(
		&arena, STR("{\"Name\":\"n\",\"service_id\":\"s\",\"Timeout\":\"2s\"}"), &c, &err),
	    0);
	assert_str(c.id, "n");
	assert_str(c.service_id, "s");
	assert_int_equal(c.timeout, 2 * NSEC_SEC);
	assert_int_equal(decode_check(&arena, STR("{\"CheckID\":\"x\"}"), &c, &err), ERR_INPUT);
	assert_str(str_of(err.text), "json: unknown field \"CheckID\"");
}

static struct catalog_registration
registration(const char *body)
{
	struct catalog_registration r;
	int rc = decode_catalog_register(&arena, str_of(body), &r, &err);

	if (rc != 0)
		print_error("%s\n", err.text);
	assert_int_equal(rc, 0);
	return r;
}

static void
catalog_registrations_are_read_as_given(void **unused)
{
	struct catalog_registration r = registration(
	    "{\"node\":\"a\",\"address\":\"10.9.0.9\",\"NodeMeta\":{\"rack\":\"r7\"},"
	    "\"service\":{\"service\":\"web\",\"port\":5},"
	    "\"Checks\":[{\"Name\":\"y\"}],\"Check\":{\"CheckID\":\"c\",\"ServiceID\":\"web\","
	    "\"Status\":\"sunny\"}}");

	(void)unused;
	assert_true(r.what.has_service);
	assert_int_equal(r.what.service.weight_passing, 1);
	assert_true(r.what.node.meta_set && !r.what.node.tagged_set);
	assert_int_equal(r.what.check_count, 2);
	assert_str(r.what.service.name, "web");
	assert_str(r.what.checks[0].name, "y");
	assert_str(r.what.checks[1].status, "sunny");
	assert_false(registration("{\"Node\":\"a\",\"Service\":null}").what.has_service);
}

static void
definitions_are_kept_as_answers_show_them(void **unused)
{
	struct catalog_registration r = registration(
	    "{\"Node\":\"a\",\"Check\":{\"Name\":\"x\",\"Definition\":{\"HTTP\":\"http://h/\","
	    "\"Interval\":\"10s\",\"Timeout\":5000000000,\"Header\":{\"B\":[\"1\",\"2\"],\"A\":["
	    "\"0\"]},"
	    "\"DeregisterCriticalServiceAfter\":\"90m\",\"TLSSkipVerify\":false},\"Type\":\"\"}}");

	(void)unused;
	assert_str(r.what.checks[0].definition_json,
	    "{\"Interval\":\"10s\",\"Timeout\":\"5s\",\"DeregisterCriticalServiceAfter\":"
	    "\"1h30m0s\","
	    "\"HTTP\":\"http://h/\",\"Header\":{\"A\":[\"0\"],\"B\":[\"1\",\"2\"]}}");

	/* what Go's client sends when nothing is defined */
	r = registration(
	    "{\"Node\":\"a\",\"Check\":{\"Node\":\"a\",\"CheckID\":\"c\",\"Name\":\"x\",\"Status\":"
	    "\"\","
	    "\"Notes\":\"\",\"Output\":\"\",\"ServiceID\":\"\",\"ServiceName\":\"\",\"Type\":\"\","
	    "\"Definition\":{\"Interval\":\"0s\",\"Timeout\":\"0s\","
	    "\"DeregisterCriticalServiceAfter\":\"0s\",\"HTTP\":\"\",\"Header\":null,\"Method\":"
	    "\"\","
	    "\"Body\":\"\",\"TLSServerName\":\"\",\"TLSSkipVerify\":false,\"TCP\":\"\",\"GRPC\":"
	    "\"\","
	    "\"GRPCUseTLS\":false}}}");
	assert_str(r.what.checks[0].definition_json, "");
}

static void
the_catalog_knows_no_snake_case(void **unused)
{
	struct catalog_registration r;
	struct catalog_deregistration gone;

	(void)unused;
	assert_int_equal(decode_catalog_register(&arena,
			     STR("{\"Node\":\"a\",\"Service\":{\"Service\":\"w\",\"enable_tag_"
				 "override\":true}}"),
			     &r, &err),
	    ERR_INPUT);
	assert_str(str_of(err.text), "json: unknown field \"enable_tag_override\"");
	assert_int_equal(decode_catalog_deregister(&arena,
			     STR("{\"node\":\"a\",\"serviceid\":\"s\",\"checkid\":\"c\","
				 "\"Datacenter\":\"dc1\"}"),
			     &gone, &err),
	    0);
	assert_str(gone.what.node, "a");
	assert_str(gone.what.service_id, "s");
	assert_str(gone.what.check_id, "c");
	assert_str(gone.datacenter, "dc1");
}

static void
reports_have_status_and_output(void **unused)
{
	struct check_update u;

	(void)unused;
	assert_int_equal(decode_check_update(&arena,
			     STR("{\"Status\":\"warning\",\"Output\":\"so so\"}"), &u, &err),
	    0);
	assert_str(u.status, "warning");
	assert_str(u.output, "so so");
	assert_int_equal(decode_check_update(&arena, STR("{\"Note\":1}"), &u, &err), ERR_INPUT);
}

/* Every truncation of every kind of body is an error and nothing worse; so is any cap. */
static void
truncations_and_small_arenas_are_errors(void **unused)
{
	const struct str body =
	    STR("{\"Name\":\"web\",\"Tags\":[\"a\"],\"Meta\":{\"k\":\"v\"},"
		"\"TaggedAddresses\":{\"lan\":{\"Address\":\"a\",\"Port\":1}},"
		"\"Proxy\":{\"a\":1},\"Checks\":[{\"HTTP\":\"h\",\"Header\":{\"A\":[\"b\"]},"
		"\"Args\":[\"x\"]}]}");
	struct service_registration r;
	struct arena small;

	(void)unused;
	for (size_t n = 0; n < body.n; n++)
		assert_int_equal(decode_service(&arena, str_head(body, n), &r, &err), ERR_INPUT);
	for (size_t cap = 0; cap < 4096; cap += 64) {
		int rc;

		arena_init(&small, cap);
		rc = decode_service(&small, body, &r, NULL);
		assert_true(rc == 0 || rc == ERR_MEMORY);
		arena_done(&small);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_ordinary_field_is_read),
		cmocka_unit_test(null_is_not_given),
		cmocka_unit_test(keys_match_in_any_case_and_in_snake_case),
		cmocka_unit_test(one_weight_alone_makes_the_other_zero),
		cmocka_unit_test(what_follows_the_first_value_is_ignored),
		cmocka_unit_test(unknown_fields_and_wrong_types_are_named),
		cmocka_unit_test(spans_are_text_or_nanoseconds),
		cmocka_unit_test(a_check_with_only_empty_members_is_none),
		cmocka_unit_test(headers_come_in_order_of_key),
		cmocka_unit_test(check_register_has_id_and_service_id_but_no_check_id),
		cmocka_unit_test(catalog_registrations_are_read_as_given),
		cmocka_unit_test(definitions_are_kept_as_answers_show_them),
		cmocka_unit_test(the_catalog_knows_no_snake_case),
		cmocka_unit_test(reports_have_status_and_output),
		cmocka_unit_test(truncations_and_small_arenas_are_errors),
	};

	return cmocka_run_group_tests_name("decode", tests, setup, teardown);
}

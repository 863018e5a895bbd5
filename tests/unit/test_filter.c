/* Filters: what is true of one entry, which expressions are refused and in which words, and the
 * limits. The endpoints with their filters are in test_api.c.
 */
#include "agent/http/filter_fields.h"
#include "tests/unit/test.h"

static struct arena arena;

static struct pair tagged[] = { { { "lan", 3 }, { "10.0.0.1", 8 } } };
static struct pair node_meta[] = { { { "os", 2 }, { "linux", 5 } },
	{ { "rack-1", 6 }, { "", 0 } } };
static struct node_info node = {
	.id = { "1b4e28ba", 8 },
	.name = { "web-1", 5 },
	.address = { "10.0.0.1", 8 },
	.datacenter = { "dc1", 3 },
	.tagged = tagged,
	.tagged_count = 1,
	.meta = node_meta,
	.meta_count = 2,
};

static struct str tags[] = { { "blue", 4 }, { "v2", 2 } };
static struct pair service_meta[] = { { { "version", 7 }, { "2", 1 } } };
static struct tagged_address service_tagged[] = { { { "lan", 3 }, { "10.9.9.9", 8 }, 81 } };
static struct service_info service = {
	.id = { "s1", 2 },
	.name = { "shop", 4 },
	.tags = tags,
	.tag_count = 2,
	.address = { "", 0 },
	.port = 80,
	.meta = service_meta,
	.meta_count = 1,
	.tagged = service_tagged,
	.tagged_count = 1,
	.weight_passing = 1,
	.weight_warning = 3,
	.enable_tag_override = true,
};

static struct str check_tags[] = { { "t", 1 } };
static struct check_info check = {
	.node = { "web-1", 5 },
	.id = { "c1", 2 },
	.name = { "a \"name\"", 8 },
	.status = { "critical", 8 },
	.output = { "line 1\nline 2", 13 },
	.service_tags = check_tags,
	.service_tag_count = 1,
	.type = { "http", 4 },
	.interval = { "10s", 3 },
};

static int
setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 8 << 20);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	arena_done(&arena);
	service.proxy_json = service.connect_json = STR_NONE;
	return 0;
}

static bool
holds(const struct filter_schema *schema, const char *text)
{
	struct filter_entry e = { .node = &node, .service = &service, .check = &check };
	struct filter *f;
	struct err err;

	if (filter_new(&arena, schema, str_of(text), &f, &err) != 0) {
		print_error("%s\n%s\n", text, err.text);
		fail();
	}
	return filter_holds(f, &e);
}

static void
assert_holds(const struct filter_schema *schema, bool want, const char *text)
{
	if (holds(schema, text) != want) {
		print_error("%s: %s\n", text, want ? "does not hold" : "holds");
		fail();
	}
}

static void
assert_all(const struct filter_schema *schema, bool want, const char *const *texts)
{
	for (; *texts != NULL; texts++)
		assert_holds(schema, want, *texts);
}

static void
assert_refused(const struct filter_schema *schema, const char *text, const char *want)
{
	struct filter *f = NULL;
	struct err err;

	if (filter_new(&arena, schema, str_of(text), &f, &err) == 0) {
		print_error("%s was taken\n", text);
		fail();
	}
	assert_str(str_of(err.text), want);
	assert_null(f);
}

static void
every_operator_has_its_opposite(void **unused)
{
	static const char *const true_ones[] = { "Node == \"web-1\"", "Node==`web-1`",
		"Datacenter == dc1", "Address != 10", "\"eb\" in Node", "eb in Node",
		"Node contains eb", "Node not contains \"x\"", "x not in Node",
		"Node matches `^web-\\d+$`", "Node not matches \"^db\"", "Meta is not empty",
		"os in Meta", "Meta contains os", "linux not in Meta", "Meta.os == linux",
		"Meta[\"rack-1\"] == \"\"", "Meta[ `rack-1` ] != x",
		"TaggedAddresses.lan contains 10", "Meta.os matches \"i.*x\"", "\"\" in Node",
		NULL };
	char text[120];

	(void)unused;
	assert_all(&filter_nodes, true, true_ones);
	for (const char *const *t = true_ones; *t != NULL; t++) {
		snprintf(text, sizeof text, "not %s", *t);
		assert_holds(&filter_nodes, false, text);
		snprintf(text, sizeof text, "not not ( %s )", *t);
		assert_holds(&filter_nodes, true, text);
	}
}

static void
a_missing_key_equals_nothing(void **unused)
{
	static const char *const true_ones[] = { "Meta.no != x", "x not in Meta.no",
		"Meta.no matches x", "Meta.no not matches x", NULL };
	static const char *const false_ones[] = { "Meta.no == \"\"", "x in Meta.no", "no in Meta",
		NULL };

	(void)unused;
	assert_all(&filter_nodes, true, true_ones);
	assert_all(&filter_nodes, false, false_ones);
	assert_holds(&filter_services, false, "TaggedAddresses.wan.Port == 0");
	assert_holds(&filter_services, true, "TaggedAddresses.wan.Port != 0");
}

static void
services_have_all_types(void **unused)
{
	static const char *const true_ones[] = { "Service == shop", "ID == s1", "Kind == \"\"",
		"blue in Tags", "Tags contains v2", "Tags is not empty", "\"blu\" not in Tags",
		"Port == 80", "Port == \"80\"", "Port == \"0x50\"", "Port != -80",
		"Port == \"8_0\" or ID==s1", "Port == \"+80\"", "Port == \"0b1010000\"",
		"Port == \"0120\"", "Port == \"0o12_0\"", "Weights.Warning == 3",
		"EnableTagOverride == true", "EnableTagOverride != F", "Meta.version == 2",
		"TaggedAddresses.lan.Address == `10.9.9.9`", "TaggedAddresses[\"lan\"].Port == 81",
		"lan in TaggedAddresses", "TaggedAddresses is not empty", "SocketPath == \"\"",
		NULL };

	(void)unused;
	assert_all(&filter_services, true, true_ones);
	assert_holds(&filter_instances, true,
	    "ServiceName == shop and ServicePort == 80 and ServiceMeta.version == 2 and "
	    "Node == `web-1` and NodeMeta.os == linux and ID == `1b4e28ba` and ServiceID == s1 and "
	    "ServiceTaggedAddresses.lan.Port == 81 and blue in ServiceTags");
}

static void
checks_are_shown_as_they_are(void **unused)
{
	static const char *const true_ones[] = { "CheckID == c1 and Node == `web-1`",
		"Name == `a \"name\"`", "Name == \"a \\x22name\\u0022\"", "Status != passing",
		"Output matches \"(?m)^line 2$\"", "Output contains \"1\\nline\"",
		"t in ServiceTags", "ServiceName == \"\"", "Type == http", "Interval == \"10s\"",
		"Timeout == \"\"", "ExposedPort == 0", "Notes not contains x", NULL };

	(void)unused;
	assert_all(&filter_checks, true, true_ones);
}

static void
proxies_are_looked_into(void **unused)
{
	static const char *const true_ones[] = { "Proxy.DestinationServiceName == db",
		"Proxy.LocalServicePort == 99", "Proxy.Mode == \"\"", "Connect.Native == true",
		"Proxy.Upstreams is not empty", "Proxy.Upstreams.DestinationName == b",
		"Proxy.Upstreams.DestinationName != b", "Proxy.Upstreams.LocalBindPort == 2",
		"Proxy.Upstreams.MeshGateway.Mode == local", NULL };
	static const char *const false_ones[] = { "Proxy.DestinationServiceName == db",
		"Connect.Native == true", "Proxy.Upstreams is not empty",
		"Proxy.Upstreams.Datacenter == \"\"", "Proxy.Upstreams.Datacenter != \"\"",
		"Proxy.TransparentProxy.DialedDirectly == true", NULL };

	(void)unused;
	assert_all(&filter_services, false, false_ones);
	service.proxy_json = STR("not json");
	assert_all(&filter_services, false, false_ones);
	service.connect_json = STR("{\"Native\":true}");
	service.proxy_json = STR("{\"DestinationServiceName\":\"db\",\"LocalServicePort\":99,"
				 "\"Upstreams\":[{\"DestinationName\":\"a\",\"LocalBindPort\":1},"
				 "{\"DestinationName\":\"b\",\"LocalBindPort\":2,"
				 "\"MeshGateway\":{\"Mode\":\"local\"}}]}");
	assert_all(&filter_services, true, true_ones);
}

static void
and_binds_closer_than_or_and_not_closest(void **unused)
{
	static const char *const true_ones[] = { "Node == a and Node == b or Node == `web-1`",
		"Node == `web-1` or Node == a and Node == b", "not Node == a and Node == `web-1`",
		"not (Node == `web-1` and Node == a)", "\t\r\n ( ( Node == `web-1` ) )\n",
		"(Node==`web-1`) and (Meta.os==linux)", NULL };

	(void)unused;
	assert_all(&filter_nodes, true, true_ones);
	assert_holds(&filter_nodes, false, "(Node == `web-1` or Node == a) and Node == b");
	assert_refused(&filter_nodes, "not(Node == x)",
	    "1:4 (3): no match found, expected: \"!=\", \"==\", \"contains\", \"in\", \"is\", "
	    "\"matches\" or \"not\"");
}

/* No word is reserved. */
static void
operators_may_be_values_and_keys(void **unused)
{
	(void)unused;
	assert_holds(&filter_nodes, false, "not in Node");
	assert_holds(&filter_nodes, true, "not not in Node");
	assert_holds(&filter_nodes, false, "in in Node");
	assert_holds(&filter_nodes, true, "Meta.in != in");
	assert_holds(&filter_nodes, true, "Node != and and Node != or");
	assert_holds(&filter_nodes, false, "Node == Meta.os[\"x\"]"); /* a value: Meta.os.x */
	assert_refused(&filter_nodes, "not == x", "Selector \"not\" is not valid");
	assert_refused(&filter_nodes, "not is empty", "Selector \"not\" is not valid");
}

static void
syntax_errors_tell_where(void **unused)
{
	static const char *const operators = "no match found, expected: \"!=\", \"==\", "
					     "\"contains\", \"in\", \"is\", \"matches\" or "
					     "\"not\"";
	static const char *const start =
	    "no match found, expected: \"(\", \"not\", a selector, a number or a string";
	static const char *const end = "no match found, expected: \"and\", \"or\" or EOF";
	const struct {
		const char *text, *where, *why;
	} cases[] = {
		{ "==", "1:1 (0)", start },
		{ " ", "1:2 (1)", start },
		{ "foo", "1:4 (3)", operators },
		{ "foo ", "1:5 (4)", operators },
		{ "foo.", "1:4 (3)", operators },
		{ "foo .bar == 1", "1:5 (4)", operators },
		{ "foo = 1", "1:5 (4)", operators },
		{ "foo contains\"a\"", "1:5 (4)", operators },
		{ "foo is", "1:7 (6)", "no match found, expected: \"empty\" or \"not empty\"" },
		{ "foo == ", "1:8 (7)",
		    "no match found, expected: a selector, a number or a string" },
		{ "foo == \"12x", "1:12 (11)", "rule \"string\": Unterminated string literal" },
		{ "foo == `12x", "1:12 (11)", "rule \"string\": Unterminated string literal" },
		{ "foo == \"\\q\"", "1:8 (7)", "rule \"string\": invalid syntax" },
		{ "foo == \"a\\\"b\"", "1:8 (7)", "rule \"string\": invalid syntax" },
		{ "foo == 3x", "1:9 (8)", "rule \"number\": Invalid number literal" },
		{ "foo == 010", "1:9 (8)", "rule \"number\": Invalid number literal" },
		{ "foo == 10.0.0.1", "1:12 (11)", "rule \"number\": Invalid number literal" },
		{ "foo[3] == abc", "1:5 (4)", "rule \"index\": Invalid index" },
		{ "x in foo[\"abc\"", "1:15 (14)", "rule \"index\": Unclosed index expression" },
		{ "foo[\"abc\" == 3", "1:11 (10)", "rule \"index\": Unclosed index expression" },
		{ "x in 32", "1:6 (5)", "rule \"match\": Invalid selector" },
		{ "32 == 32", "1:4 (3)", "no match found, expected: \"in\" or \"not in\"" },
		{ "x in foo abc", "1:10 (9)", end },
		{ "x in foo and ", "1:14 (13)", start },
		{ "x in foo or(y in foo)", "1:10 (9)", end },
		{ "(foo == 4", "1:10 (9)", "rule \"grouping\": Unmatched parentheses" },
		{ "(foo == 4 x", "1:11 (10)", "rule \"grouping\": Unmatched parentheses" },
		{ "foo == 4)", "1:9 (8)", end },
		{ "foo ==\n \"\xc3\xa9\" x", "2:6 (13)", end },
	};
	char want[240];

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(want, sizeof want, "%s: %s", cases[i].where, cases[i].why);
		assert_refused(&filter_nodes, cases[i].text, want);
	}
}

static void
selectors_and_values_are_checked(void **unused)
{
	(void)unused;
	assert_refused(&filter_nodes, "Nope == x", "Selector \"Nope\" is not valid");
	assert_refused(&filter_nodes, "node == x", "Selector \"node\" is not valid");
	assert_refused(&filter_nodes, "Node.x.y == x", "Selector \"Node.x\" is not valid");
	assert_refused(&filter_nodes, "Meta.a.b == x", "Selector \"Meta.a.b\" is not valid");
	assert_refused(&filter_nodes, "Meta[\"a\\\\ \\n\\x01\"].b == x",
	    "Selector \"Meta.a\\\\ \\n\\x01.b\" is not valid");
	assert_refused(&filter_entries, "Service == x",
	    "Invalid match operator \"Equal\" for selector \"Service\"");
	assert_refused(
	    &filter_entries, "Service.Nope == x", "Selector \"Service.Nope\" is not valid");
	assert_refused(&filter_entries, "Name == x", "Selector \"Name\" is not valid");
	assert_refused(&filter_entries, "x in Checks",
	    "Invalid match operator \"In\" for selector \"Checks\"");
	assert_refused(&filter_services, "Weights is empty",
	    "Invalid match operator \"Is Empty\" for selector \"Weights\"");
	assert_refused(&filter_services, "TaggedAddresses.lan is not empty",
	    "Invalid match operator \"Is Not Empty\" for selector \"TaggedAddresses.lan\"");
	assert_refused(&filter_services, "Tags == x",
	    "Invalid match operator \"Equal\" for selector \"Tags\"");
	assert_refused(&filter_services, "Port matches x",
	    "Invalid match operator \"Matches\" for selector \"Port\"");
	assert_refused(&filter_services, "80 not in Port",
	    "Invalid match operator \"Not In\" for selector \"Port\"");
	assert_refused(&filter_services, "Port == x",
	    "Failed to coerce value \"x\" for selector \"Port\": strconv.ParseInt: parsing \"x\": "
	    "invalid syntax");
	assert_refused(&filter_services, "Port == 1.5",
	    "Failed to coerce value \"1.5\" for selector \"Port\": strconv.ParseInt: parsing "
	    "\"1.5\": invalid syntax");
	assert_refused(&filter_services, "Port == 9223372036854775808",
	    "Failed to coerce value \"9223372036854775808\" for selector \"Port\": "
	    "strconv.ParseInt: parsing \"9223372036854775808\": value out of range");
	assert_holds(&filter_services, false, "Port == -9223372036854775808");
	assert_refused(&filter_services, "EnableTagOverride == yes",
	    "Failed to coerce value \"yes\" for selector \"EnableTagOverride\": "
	    "strconv.ParseBool: parsing \"yes\": invalid syntax");
	assert_refused(&filter_nodes, "Node matches \"(\"",
	    "Failed to compile regular expression \"(\": error parsing regexp: missing closing ): "
	    "`(`");
}

static void
numbers_in_other_bases_are_gos(void **unused)
{
	static const char *const bad[] = { "", "+", "-", "0x", "_1", "1_", "1__0", "0_", "08",
		"0b2", "0xg", "1 ", "0x_" };
	char text[60];
	struct filter *f;

	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "Port == \"%s\"", bad[i]);
		assert_int_equal(
		    filter_new(&arena, &filter_services, str_of(text), &f, NULL), ERR_INPUT);
	}
}

/* `count` times a part with `between` between. */
static struct str
repeated(const char *part, const char *between, size_t count)
{
	struct str text = STR_NONE;
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < count; i++) {
		buf_add(&b, str_of(i > 0 ? between : ""));
		buf_add(&b, str_of(part));
	}
	text = arena_dup(&arena, buf_str(&b));
	buf_done(&b);
	return text;
}

static void
everything_has_a_limit(void **unused)
{
	struct filter_entry e = { .node = &node };
	struct str text = repeated("Node!=a", " and ", FILTER_MATCHES_MAX);
	struct filter *f;
	struct arena small;

	(void)unused;
	assert_int_equal(filter_new(&arena, &filter_nodes, text, &f, NULL), 0);
	assert_true(filter_holds(f, &e));
	assert_refused(&filter_nodes, repeated("Node!=a", " or ", FILTER_MATCHES_MAX + 1).p,
	    "Number of match expressions (33) exceeds the limit (32)");
	text = arena_fmt(&arena, "%sNode!=a%s", repeated("(", "", FILTER_DEPTH_MAX).p,
	    repeated(")", "", FILTER_DEPTH_MAX).p);
	assert_int_equal(filter_new(&arena, &filter_nodes, text, &f, NULL), 0);
	assert_refused(&filter_nodes, arena_fmt(&arena, "(%s)", text.p).p,
	    "1:66 (65): the expression is nested too deep");
	assert_refused(&filter_nodes, repeated("not", " ", 1000).p,
	    "1:261 (260): the expression is nested too deep");
	assert_refused(&filter_nodes, arena_fmt(&arena, "a%s==1", repeated(".a", "", 16).p).p,
	    "1:32 (31): a selector has too many parts");
	text = arena_fmt(&arena, "Node==`%s`", repeated("x", "", FILTER_VALUE_MAX + 1).p);
	assert_refused(&filter_nodes, text.p,
	    "Value in expression with length 513 for selector \"Node\" exceeds maximum length of "
	    "512");
	text = repeated("x", "", FILTER_BYTES_MAX + 1);
	assert_int_equal(filter_new(&arena, &filter_nodes, text, &f, NULL), ERR_LIMIT);
	for (size_t cap = 0; cap < 3000; cap += 16) {
		int rc;

		arena_init(&small, cap);
		rc = filter_new(&small, &filter_nodes, STR("Meta.x==a or Node==\"b\""), &f, NULL);
		assert_true(rc == 0 || rc == ERR_MEMORY);
		arena_done(&small);
	}
}

static void
regular_expressions_share_their_steps(void **unused)
{
	struct filter_entry e = { .node = &node };
	struct http_reply reply;
	struct filter *f;
	struct buf body;
	struct str name = node.name;

	(void)unused;
	buf_init(&body, 4096);
	reply_init(&reply, &body, false);
	assert_int_equal(
	    filter_new(&arena, &filter_nodes, STR("Node matches `^(a|aa)+$`"), &f, NULL), 0);
	assert_false(filter_holds(f, &e));
	assert_true(filter_done(f, &reply));
	node.name = repeated("a", "", 100);
	assert_true(filter_holds(f, &e));
	node.name = arena_fmt(&arena, "%sb", node.name.p);
	assert_false(filter_holds(f, &e));
	node.name = STR("a");
	assert_false(filter_holds(f, &e)); /* all of it is given up */
	assert_false(filter_done(f, &reply));
	assert_int_equal(reply.status, 429);
	assert_true(filter_done(NULL, &reply));
	node.name = name;
	buf_done(&body);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_operator_has_its_opposite),
		TEST(a_missing_key_equals_nothing),
		TEST(services_have_all_types),
		TEST(checks_are_shown_as_they_are),
		TEST(proxies_are_looked_into),
		TEST(and_binds_closer_than_or_and_not_closest),
		TEST(operators_may_be_values_and_keys),
		TEST(syntax_errors_tell_where),
		TEST(selectors_and_values_are_checked),
		TEST(numbers_in_other_bases_are_gos),
		TEST(everything_has_a_limit),
		TEST(regular_expressions_share_their_steps),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}

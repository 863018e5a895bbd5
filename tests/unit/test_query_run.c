/* Prepared queries carried out: templates rendered, instances in the order of their distance. */
#include "agent/query_run.h"
#include "agent/query_template.h"
#include "agent/regexp.h"
#include "kv/delta.h"
#include "tests/unit/store_fixture.h"

static struct arena arena;

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
	return 0;
}

static struct query_info
template_of(const char *name, const char *regexp, const char *service)
{
	return (struct query_info){ .name = str_of(name),
		.template_type = STR("name_prefix_match"),
		.regexp = str_of(regexp),
		.service = str_of(service) };
}

static void
texts_are_rendered(void **unused)
{
	static const struct {
		const char *regexp, *service, *name, *want;
	} rows[] = {
		{ "", "plain", "pre-x", "plain" },
		{ "", "${name.full}", "pre-x", "pre-x" },
		{ "", "${ name.prefix }/${name.suffix}", "pre-x", "pre-/x" },
		{ "", "${name.suffix}", "PRE-x", "PRE-x" }, /* as Consul: only the very prefix */
		{ "", "${name.suffix}", "pre-", "" },
		{ "", "a${agent.segment}b", "pre-x", "ab" },
		{ "", "$${name.full} $ $x $", "pre-x", "${name.full} $ $x $" },
		{ "", "${\"quoted\"}", "pre-x", "quoted" },
		{ "", "${match(0)}${match(1)}", "pre-x", "" }, /* no expression, no groups */
		{ "^pre-(.*?)-([^-]+?)$", "${match(2)}.${match(1)}", "pre-a-b-c", "c.a-b" },
		{ "^pre-(?P<one>.)(?:.)(.)?$", "${match(1)}+${match(2)}+${match(3)}", "pre-ab",
		    "a++" },
		{ "(.)$", "${match(0)}${match(-1)}${match(7)}", "pre-x", "x" },
		{ "^nothing$", "${match(0)}", "pre-x", "" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct query_info q = template_of("pre-", rows[i].regexp, rows[i].service), out;
		struct err err = { 0 };

		if (query_render(&arena, &q, str_of(rows[i].name), &out, &err) != 0)
			fail_msg("%s: %s", rows[i].service, err.text);
		assert_str(out.service, rows[i].want);
	}
}

static void
broken_texts_are_refused(void **unused)
{
	static const struct {
		const char *service, *why;
	} rows[] = {
		{ "${", "Bad format '${' in Service.Service: At column 3, line 1: expected "
			"expression but found " },
		{ "${}", "Bad format '${}' in Service.Service: At column 3, line 1: expected "
			 "expression but found }" },
		{ "a${name.full", "Bad format 'a${name.full' in Service.Service: At column 13, "
				  "line 1: expected \"}\"" },
		{ "${name.ful}", "Bad evaluation for '${name.ful}' in Service.Service: At column "
				 "3, line 1: unknown variable accessed: name.ful" },
		{ "${file(\"x\")}", "Bad evaluation for '${file(\"x\")}' in Service.Service: At "
				    "column 3, line 1: unknown function called: file" },
		{ "${match(x)}", "Bad evaluation for '${match(x)}' in Service.Service: At column "
				 "10, line 1: match wants the number of a group: x" },
		{ "${match(1}", "Bad format '${match(1}' in Service.Service: At column 10, line "
				"1: expected \")\"" },
		{ "${\"x}", "Bad format '${\"x}' in Service.Service: At column 4, line 1: literal "
			    "not terminated" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct query_info q = template_of("", "", rows[i].service), out;
		struct err err = { 0 };

		assert_int_equal(query_render(&arena, &q, STR("x"), &out, &err), ERR_INPUT);
		assert_str(str_of(err.text), rows[i].why);
	}
}

static void
every_text_of_the_service_is_rendered(void **unused)
{
	struct str full[] = { STR("x"), STR("${name.full}") }, empty[] = { STR(""), STR("t") };
	struct pair pairs[] = { { STR("${name.full}"), STR("${name.full}") } };
	struct query_info q = template_of("", "", "${name.full}"), out;
	struct err err = { 0 };

	(void)unused;
	q.datacenters = q.ignore_checks = q.tags = (struct query_strs){ full, 2, true };
	q.node_meta = q.service_meta = (struct query_pairs){ pairs, 1, true };
	q.near = STR("${name.full}");
	assert_int_equal(query_render(&arena, &q, STR("n"), &out, &err), 0);
	assert_str(out.near, "n");
	assert_str(out.datacenters.of[1], "n");
	assert_str(out.ignore_checks.of[1], "n");
	assert_str(out.tags.of[0], "x");
	assert_str(out.tags.of[1], "n");
	assert_str(out.node_meta.of[0].value, "n");
	assert_str(out.service_meta.of[0].value, "n");
	assert_str(out.node_meta.of[0].key, "${name.full}"); /* keys stay */
	assert_str(full[1], "${name.full}");                 /* and so does the template */
	full[1] = STR("${x}");
	assert_int_equal(query_render(&arena, &q, STR("n"), &out, &err), ERR_INPUT);
	assert_str(str_head(str_of(err.text), 62),
	    "Bad evaluation for '${x}' in Service.Failover.Datacenters[1]: ");
	q = template_of("", "", "s");
	q.tags = (struct query_strs){ empty, 2, true };
	assert_int_equal(query_render(&arena, &q, STR("n"), &out, &err), 0);
	assert_int_equal(out.tags.count, 2);
	q.remove_empty_tags = true;
	assert_int_equal(query_render(&arena, &q, STR("n"), &out, &err), 0);
	assert_int_equal(out.tags.count, 1);
	assert_str(out.tags.of[0], "t");
}

/* A long name that stands in many places at once. */
static void
what_grows_too_large_is_refused(void **unused)
{
	struct str many[64];
	char name[4096];
	struct query_info q = template_of("", "", "s"), out;
	struct err err = { 0 };

	(void)unused;
	memset(name, 'x', sizeof name);
	for (size_t i = 0; i < 64; i++)
		many[i] = STR("${name.full}${name.full}");
	q.tags = (struct query_strs){ many, 64, true };
	assert_int_equal(
	    query_render(&arena, &q, str_mem(name, sizeof name), &out, &err), ERR_LIMIT);
	assert_int_equal(query_render(&arena, &q, str_mem(name, 500), &out, &err), 0);
	q = template_of("", "^(x*)*(x*)*[yz]$", "s");
	assert_int_equal(
	    query_render(&arena, &q, str_mem(name, sizeof name), &out, &err), ERR_LIMIT);
}

static void
groups_of_a_regular_expression(void **unused)
{
	struct str groups[REGEXP_GROUPS_MAX];
	uint64_t steps = 10000;
	struct regexp *re;
	size_t count = 0;

	(void)unused;
	assert_int_equal(regexp_new_groups(&arena, STR("(a)|(b(c)?)"), &re, NULL), 0);
	assert_int_equal(regexp_groups(re, STR("xbc"), &steps, groups, &count), REGEXP_YES);
	assert_int_equal(count, 4);
	assert_str(groups[0], "bc");
	assert_str(groups[1], "");
	assert_str(groups[2], "bc");
	assert_str(groups[3], "c");
	assert_int_equal(regexp_groups(re, STR("x"), &steps, groups, &count), REGEXP_NO);
	steps = 1;
	assert_int_equal(regexp_groups(re, STR("xbc"), &steps, groups, &count), REGEXP_GIVEN_UP);
}

/* --- order --- */

/* An agent of its own with one instance of "web", `ms` milliseconds from the middle of the network
 * (below zero: it has not told). */
static void
agent_add(struct fix *f, uint8_t number, const char *name, const char *address, double ms)
{
	struct uuid id = { { number, 7 } };
	struct store_config config = { .self = id,
		.cluster = fix_cluster,
		.epoch = { 1, 5 },
		.limits = owner_limits_default };
	struct node_info node = { .name = str_of(name), .address = str_of(address) };
	struct service_info web = { .id = STR("web"), .name = STR("web") };
	struct coordinate_info at = { .vec = { ms / 1000 }, .error = 0.5, .height = 1e-5 };
	struct store *s = store_new(&config, f->now);
	struct store_needs needs;
	struct buf b;

	buf_init(&b, 65536);
	store_put_node(s, f->now, &id, &node, NULL);
	store_put_service(s, f->now, &id, &web, NULL);
	coordinate_pack(&b, &at);
	if (ms >= 0)
		store_put(s, f->now, &id, RECORD_COORDINATE, STR_NONE, buf_str(&b), NULL);
	store_baseline_end(s, f->now);
	buf_clear(&b);
	delta_range(store_owner(s, &id), 0, 65536, &b);
	store_member(f->store, f->now, &id, STORE_MEMBER_ALIVE, 0);
	assert_int_equal(store_range(f->store, f->now, buf_str(&b), &needs, NULL), 0);
	buf_done(&b);
	store_free(s);
}

static struct fix
network(void)
{
	struct fix f = fix_new();

	agent_add(&f, 1, "far", "10.0.0.1", 90);
	agent_add(&f, 2, "beside", "10.0.0.2", 2);
	agent_add(&f, 3, "dumb", "10.0.0.3", -1);
	agent_add(&f, 4, "here", "10.0.0.4", 0);
	return f;
}

/* The nodes of what is found, in order. */
static const char *
nodes(struct fix *f, struct rng *rng, const struct query_info *q, struct query_source source)
{
	static char out[256];
	struct query_found found;
	size_t n = 0;

	assert_int_equal(query_run(&arena, rng, f->catalog, q, &source, &found, NULL), 0);
	out[0] = '\0';
	for (size_t i = 0; i < found.count; i++)
		n += (size_t)snprintf(out + n, sizeof out - n, "%s" STR_FMT, i > 0 ? " " : "",
		    STR_ARG(found.of[i]->node->info.name));
	return out;
}

static void
near_comes_first(void **unused)
{
	struct query_info q = { .service = STR("WEB"), .near = STR("_agent") };
	struct fix f = network();
	struct rng rng;

	(void)unused;
	rng_init(&rng, 1);
	assert_string_equal(nodes(&f, &rng, &q, (struct query_source){ .agent = STR("here") }),
	    "here beside far dumb");
	assert_string_equal(nodes(&f, &rng, &q, (struct query_source){ .agent = STR("far") }),
	    "far beside here dumb");
	/* the client's wish comes before the query's */
	assert_string_equal(
	    nodes(
		&f, &rng, &q, (struct query_source){ .agent = STR("far"), .near = STR("BESIDE") }),
	    "beside here far dumb");
	q.near = STR("_ip");
	assert_string_equal(
	    nodes(&f, &rng, &q,
		(struct query_source){ .agent = STR("x"), .address = STR("10.0.0.1") }),
	    "far beside here dumb");
	store_free(f.store);
}

static void
without_near_the_order_is_random(void **unused)
{
	struct query_info q = { .service = STR("web") };
	struct fix f = network();
	unsigned first[4] = { 0 };
	struct rng rng;

	(void)unused;
	rng_init(&rng, 7);
	for (int i = 0; i < 400; i++) {
		static const char *const names[4] = { "far", "beside", "dumb", "here" };
		const char *got =
		    nodes(&f, &rng, &q, (struct query_source){ .agent = STR("here") });

		assert_int_equal(strlen(got), strlen("far beside dumb here"));
		for (int k = 0; k < 4; k++)
			first[k] += strncmp(got, names[k], strlen(names[k])) == 0;
	}
	for (int k = 0; k < 4; k++)
		assert_in_range(first[k], 60, 140);
	store_free(f.store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(texts_are_rendered, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_texts_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    every_text_of_the_service_is_rendered, setup, teardown),
		cmocka_unit_test_setup_teardown(what_grows_too_large_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_of_a_regular_expression, setup, teardown),
		cmocka_unit_test_setup_teardown(near_comes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(without_near_the_order_is_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

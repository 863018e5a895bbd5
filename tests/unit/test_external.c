/* External nodes, services and checks: what /v1/catalog/register and deregister do. */
#include "agent/external.h"

#include "kv/fsm.h"

#include "tests/unit/local_bench.h"

struct xbench {
	struct bench b;
	struct fsm *fsm; /* the log's end: what is planned is decided at once */
	uint64_t raft;
	struct buf steps; /* of the last plan */
};

static int
x_setup(void **state)
{
	struct xbench *t = mem_new(struct xbench);
	void *bench;

	if (setup(&bench) != 0)
		return -1;
	memcpy(&t->b, bench, sizeof t->b);
	free(bench);
	t->fsm = fsm_new(NULL);
	t->raft = 1;
	buf_init(&t->steps, FSM_STEPS_BYTES_MAX);
	*state = t;
	return 0;
}

static int
x_teardown(void **state)
{
	struct xbench *t = *state;
	void *bench = &t->b;

	fsm_free(t->fsm);
	buf_done(&t->steps);
	return teardown(&bench); /* frees t: the bench is its first member */
}

static void
x_show(struct xbench *t)
{
	const struct uuid cluster = uuid_of(2);

	store_cluster_take(t->b.store, t->b.now, &cluster, fsm_external_epoch(t->fsm),
	    fsm_external(t->fsm), true);
}

static void
x_restart(struct xbench *t)
{
	bench_restart(&t->b);
	x_show(t);
}

/* The log takes the plan: 1 when it changed something, 0 when not; -1: a condition does not hold. */
static int
x_decide(struct xbench *t)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	uint64_t before = owner_digest(fsm_external(t->fsm)).number;
	struct buf bytes, result;
	int status;

	op->command = FSM_EXTERNAL;
	op->steps = buf_str(&t->steps);
	buf_init(&bytes, 2 * FSM_STEPS_BYTES_MAX);
	buf_init(&result, 1000);
	assert_int_equal(fsm_op_write(&bytes, op, &t->b.err), 0);
	assert_int_equal(fsm_apply(t->fsm, t->b.now.mono, ++t->raft, buf_str(&bytes), &result,
			     &t->b.err),
	    0);
	status = result.p[0];
	buf_done(&bytes);
	buf_done(&result);
	free(op);
	x_show(t);
	assert_true(status == FSM_TRUE || status == FSM_FALSE);
	if (status == FSM_FALSE)
		return -1;
	return owner_digest(fsm_external(t->fsm)).number > before;
}

static int
x_register(struct xbench *t, const struct external_register *r)
{
	int rc;

	buf_clear(&t->steps);
	rc = external_register(t->b.store, r, &t->steps, &t->b.err);
	return rc < 0 ? rc : x_decide(t);
}

static int
x_deregister(struct xbench *t, const struct external_deregister *d)
{
	int rc;

	buf_clear(&t->steps);
	rc = external_deregister(t->b.store, d, &t->steps, &t->b.err);
	return rc < 0 ? rc : x_decide(t);
}

static struct external_register
a_node(const char *name, const char *address)
{
	return (struct external_register){ .node = { .name = str_of(name),
					       .address = str_of(address),
					       .datacenter = STR("dc1") } };
}

static int
put(struct xbench *t, const struct external_register *r)
{
	return x_register(t, r);
}

static int
put_on(struct xbench *t, const char *node, const char *service, const char *id)
{
	struct external_register r = a_node(node, "10.9.0.1");

	r.has_service = service[0] != '\0';
	r.service = (struct service_info){ .name = str_of(service), .id = str_of(id) };
	return put(t, &r);
}

static int
put_check_on(struct xbench *t, const char *node, const char *id, const char *service_id)
{
	struct external_register r = a_node(node, "10.9.0.1");
	struct check_info check = {
		.id = str_of(id), .name = STR("x"), .service_id = str_of(service_id)
	};

	r.checks = &check;
	r.check_count = 1;
	return put(t, &r);
}

static int
drop(struct xbench *t, const char *node, const char *service_id, const char *check_id)
{
	const struct external_deregister d = { str_of(node), str_of(service_id), str_of(check_id) };

	return x_deregister(t, &d);
}

static const struct catalog_node *
node_of(const struct xbench *t, const char *name)
{
	return catalog_node_find(store_catalog(t->b.store), str_of(name));
}

/* "s:ID c:ID …" of a node, in order; "-": there is no such node. */
static void
assert_node(const struct xbench *t, const char *name, const char *want)
{
	const struct catalog_node *n = node_of(t, name);
	const struct catalog_service *s = NULL;
	const struct catalog_check *c = NULL;
	struct buf b;

	buf_init(&b, 4096);
	if (n == NULL)
		buf_addc(&b, '-');
	while (n != NULL && (s = catalog_service_next(n, s)) != NULL)
		buf_addf(&b, "s:" STR_FMT " ", STR_ARG(s->info.id));
	while (n != NULL && (c = catalog_check_next(n, c)) != NULL)
		buf_addf(&b, "c:" STR_FMT " ", STR_ARG(c->info.id));
	assert_str(str_trim(buf_str(&b)), want);
	buf_done(&b);
}

static void
registrations_are_refused_in_consuls_words(void **state)
{
	struct xbench *t = *state;
	struct check_info orphan = { .id = STR("c1"), .name = STR("x"), .service_id = STR("nope") },
			  stray = { .id = STR("c1"), .node = STR("other") }, nameless = { 0 };
	const struct {
		struct external_register r;
		const char *text;
	} cases[] = {
		{ { .node = { .address = STR("10.9.0.1") } }, "Must provide node" },
		{ { .node = { .name = STR("a"), .address = STR("1"), .id = STR("x") } },
		    "Bad node ID: uuid string is wrong length" },
		{ { .node = { .name = STR("a"),
			.address = STR("1"),
			.id = STR("zzzzzzzz-2222-3333-4444-555555555555") } },
		    "Bad node ID: uuid is improperly formatted" },
		{ { .node = { .name = STR("a") } },
		    "Must provide address if SkipNodeUpdate is not set" },
		{ { .node = { .name = STR("a"), .address = STR("1") },
		      .has_service = true,
		      .service = { .id = STR("x") } },
		    "Must provide service name with ID" },
		{ { .node = { .name = STR("a"), .address = STR("1") },
		      .has_service = true,
		      .service = { .name = STR("x"), .address = STR("::") } },
		    "Invalid service address" },
		{ { .node = { .name = STR("a"), .address = STR("1") },
		      .checks = &orphan,
		      .check_count = 1 },
		    "failed inserting check: Missing service registration on node \"a\"" },
		{ { .node = { .name = STR("a"), .address = STR("1") },
		      .checks = &stray,
		      .check_count = 1 },
		    "check node \"other\" does not match node \"a\"" },
		{ { .node = { .name = STR("a"), .address = STR("1") },
		      .checks = &nameless,
		      .check_count = 1 },
		    "Must provide check ID or name" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(put(t, &cases[i].r), ERR_INPUT);
		assert_string_equal(t->b.err.text, cases[i].text);
		assert_node(t, "a", "-");
	}
	assert_int_equal(drop(t, "", "x", ""), ERR_INPUT);
	assert_string_equal(t->b.err.text, "Must provide node");
}

static void
defaults_are_filled_in(void **state)
{
	struct xbench *t = *state;
	struct external_register r = a_node("a", "10.9.0.1");
	struct check_info checks[2] = { { .name = STR("named"),
					    .service_id = STR("web"),
					    .definition_json = STR("{\"HTTP\":\"http://x/\"}") },
		{ .id = STR("c"), .status = STR("sunny") } };
	const struct catalog_service *s;
	const struct catalog_check *c;

	r.has_service = true;
	r.service.name = STR("web");
	r.checks = checks;
	r.check_count = 2;
	assert_int_equal(put(t, &r), 1);
	assert_int_equal(put(t, &r), 0);
	assert_node(t, "a", "s:web c:c c:named");
	s = catalog_service_find(node_of(t, "a"), STR("web"));
	assert_int_equal(s->info.weight_passing, 1);
	assert_true(s->external);
	assert_false(s->info.meta_set);
	c = catalog_check_find(node_of(t, "a"), STR("named"));
	assert_str(c->info.status, "critical");
	assert_str(c->info.type, "http");
	assert_str(c->info.service_name, "web");
	assert_str(c->info.definition_json, "{\"HTTP\":\"http://x/\"}");
	c = catalog_check_find(node_of(t, "a"), STR("c"));
	assert_str(c->info.status, "sunny");
	assert_int_equal(c->status, CHECK_CRITICAL);
	assert_str(c->info.type, "");
	/* a check of a service that was registered before */
	assert_int_equal(put_check_on(t, "a", "later", "web"), 1);
	assert_str(catalog_check_find(node_of(t, "a"), STR("later"))->info.service_name, "web");
}

static void
skip_node_update_leaves_the_node(void **state)
{
	struct xbench *t = *state;
	struct external_register r = a_node("a", "10.9.0.1");

	put(t, &r);
	r.node.address = STR("10.9.0.2");
	r.skip_node_update = true;
	assert_int_equal(put(t, &r), 0);
	assert_str(node_of(t, "a")->info.address, "10.9.0.1");
	r.skip_node_update = false;
	assert_int_equal(put(t, &r), 1);
	assert_str(node_of(t, "a")->info.address, "10.9.0.2");
}

static void
an_id_moves_to_another_name(void **state)
{
	struct xbench *t = *state;
	struct external_register a = a_node("a", "10.9.0.1"), b = a_node("b", "10.9.0.1");
	const char *id = "11111111-2222-3333-4444-000100000000";

	a.node.id = b.node.id = str_of(id);
	put(t, &a);
	put_on(t, "a2", "web", "w");
	a.has_service = true;
	a.service.name = STR("web");
	put(t, &a);
	assert_int_equal(put(t, &b), 1);
	assert_node(t, "a", "-");
	assert_node(t, "b", "");
	assert_node(t, "a2", "s:w");
	/* the name of another id is taken, in any case of letters */
	a.node.id = STR("22222222-2222-3333-4444-000100000000");
	a.node.name = STR("B");
	assert_int_equal(put(t, &a), ERR_CONFLICT);
	assert_string_equal(t->b.err.text,
	    "Error while renaming Node ID: \"22222222-2222-3333-4444-000100000000\": Node name B "
	    "is reserved by node 11111111-2222-3333-4444-000100000000 with name b (10.9.0.1)");
	/* and an agent neither lends its id nor its name */
	a.node.id = STR("01000000-0000-0000-0000-000000000000");
	a.node.name = STR("c");
	assert_int_equal(put(t, &a), ERR_CONFLICT);
	a.node.id = STR("22222222-2222-3333-4444-000100000000");
	a.node.name = STR("n1");
	assert_int_equal(put(t, &a), ERR_CONFLICT);
}

static void
deregistering_takes_what_hangs_on_it(void **state)
{
	struct xbench *t = *state;

	put_on(t, "a", "web", "w1");
	put_on(t, "a", "web", "w2");
	put_on(t, "ab", "web", "w1");
	put_check_on(t, "a", "c1", "w1");
	put_check_on(t, "a", "c2", "w2");
	put_check_on(t, "a", "c3", "");
	assert_node(t, "a", "s:w1 s:w2 c:c1 c:c2 c:c3");
	assert_int_equal(drop(t, "a", "w1", ""), 1);
	assert_node(t, "a", "s:w2 c:c2 c:c3");
	assert_int_equal(drop(t, "a", "w1", ""), 0);
	assert_int_equal(drop(t, "a", "", "c3"), 1);
	assert_node(t, "a", "s:w2 c:c2");
	assert_int_equal(drop(t, "a", "", ""), 1);
	assert_node(t, "a", "-");
	assert_node(t, "ab", "s:w1");
	assert_int_equal(drop(t, "a", "", ""), 0);
	assert_int_equal(drop(t, "never", "x", ""), 0);
	assert_int_equal(owner_count(store_owner(t->b.store, &(struct uuid){ { 2 } })), 2);
}

static void
an_agents_node_takes_external_services(void **state)
{
	struct xbench *t = *state;
	struct external_register r = a_node("n1", "192.0.2.99");
	struct owner_record record;

	r.has_service = true;
	r.service.name = STR("ext");
	assert_int_equal(put(t, &r), 1);
	assert_str(node_of(t, "n1")->info.address, "10.0.0.1");
	assert_true(node_of(t, "n1")->agent);
	assert_false(owner_find(
	    store_owner(t->b.store, &(struct uuid){ { 2 } }), RECORD_NODE, STR("n1"), &record));
	assert_node(t, "n1", "s:ext c:serfHealth");
	/* on the same id the agent's own wins, and leaves the other in peace */
	put_service(&t->b, "ext", "own", 7, NULL, 0);
	assert_str(catalog_service_find(node_of(t, "n1"), STR("ext"))->info.name, "own");
	local_service_remove(t->b.local, t->b.now, STR("ext"), &t->b.err);
	assert_str(catalog_service_find(node_of(t, "n1"), STR("ext"))->info.name, "ext");
	assert_int_equal(drop(t, "n1", "ext", ""), 1);
	assert_node(t, "n1", "c:serfHealth");
}

static void
what_an_agent_owns_is_only_masked(void **state)
{
	struct xbench *t = *state;

	put_service(&t->b, "w", "web", 1, &ttl_60, 1);
	put_check(&t->b, &(struct check_def){ .name = STR("own"), .ttl = 1 });
	assert_int_equal(drop(t, "n1", "w", ""), 1);
	assert_node(t, "n1", "c:own c:serfHealth");
	assert_int_equal(store_assert_masked(t->b.store, t->b.now), 2);
	assert_node(t, "n1", "s:w c:own c:serfHealth c:service:w");
	assert_int_equal(drop(t, "n1", "", "own"), 1);
	assert_node(t, "n1", "s:w c:serfHealth c:service:w");
	store_assert_masked(t->b.store, t->b.now);
	put_on(t, "n1", "ext", "ext");
	assert_int_equal(drop(t, "n1", "", ""), 1);
	assert_node(t, "n1", "-");
	assert_true(store_assert_masked(t->b.store, t->b.now) > 0);
	assert_node(t, "n1", "s:w c:own c:serfHealth c:service:w");
	/* a change of the owner's ends a mask as well */
	drop(t, "n1", "w", "");
	assert_node(t, "n1", "c:own c:serfHealth");
	put_service(&t->b, "w", "web", 2, NULL, 0);
	assert_non_null(catalog_service_find(node_of(t, "n1"), STR("w")));
	/* and so does a restart */
	drop(t, "n1", "w", "");
	x_restart(t);
	assert_non_null(catalog_service_find(node_of(t, "n1"), STR("w")));
}

static void
what_was_registered_is_back(void **state)
{
	struct xbench *t = *state;

	put_on(t, "a", "web", "w1");
	put_on(t, "a", "web", "w2");
	put_check_on(t, "a", "c1", "w1");
	put_on(t, "b", "web", "w1");
	put_on(t, "n1", "web", "ext");
	drop(t, "b", "", "");
	drop(t, "a", "w2", "");
	x_restart(t);
	assert_node(t, "a", "s:w1 c:c1");
	assert_node(t, "b", "-");
	assert_node(t, "n1", "s:ext c:serfHealth");
	assert_int_equal(drop(t, "a", "", ""), 1);
	assert_int_equal(drop(t, "n1", "ext", ""), 1);
	x_restart(t);
	assert_node(t, "a", "-");
	assert_node(t, "n1", "c:serfHealth");
}

static void
a_registration_over_the_limit_leaves_nothing(void **state)
{
	struct xbench *t = *state;
	static char notes[400 * 1024];
	struct check_info checks[12]; /* more than FSM_STEPS_BYTES_MAX in all */
	struct external_register r = a_node("a", "10.9.0.1");

	memset(notes, 'n', sizeof notes);
	for (size_t i = 0; i < 12; i++)
		checks[i] = (struct check_info){ .id = str_mem(&"123456789abc"[i], 1),
			.notes = str_mem(notes, sizeof notes) };
	r.checks = checks;
	r.check_count = 12;
	assert_int_equal(put(t, &r), ERR_LIMIT);
	assert_node(t, "a", "-");
	x_restart(t);
	assert_node(t, "a", "-");
}

/* "X.XXX" of a node's coordinate, "-": it has none. */
static void
assert_place(const struct xbench *t, const char *name, const char *want)
{
	const struct catalog_node *n = node_of(t, name);
	struct coordinate_info at;
	char got[32] = "-";

	if (n != NULL && catalog_node_coordinate(store_catalog(t->b.store), n, &at))
		snprintf(got, sizeof got, "%.3f", at.vec[7]);
	assert_string_equal(got, want);
}

static int
place(struct xbench *t, const char *name, double at)
{
	struct coordinate_info info = { .vec = { [7] = at }, .error = 1 };
	int rc;

	buf_clear(&t->steps);
	rc = external_coordinate(str_of(name), &info, &t->steps, &t->b.err);
	return rc < 0 ? rc : x_decide(t);
}

static void
a_coordinate_is_of_a_node_that_is_there(void **state)
{
	struct xbench *t = *state;
	const struct watch_key key = { WATCH_COORDINATES, STR_NONE };
	struct external_register r = a_node("b", "10.9.0.2");
	uint64_t index;

	assert_int_equal(place(t, "a", 0.5), -1); /* a condition does not hold */
	put_on(t, "a", "web", "w1");
	assert_place(t, "a", "-");
	index = watch_index(store_watches(t->b.store), key);
	assert_int_equal(place(t, "a", 0.5), 1);
	assert_true(watch_index(store_watches(t->b.store), key) > index);
	index = watch_index(store_watches(t->b.store), key);
	assert_int_equal(place(t, "a", 0.5), 0);
	assert_true(watch_index(store_watches(t->b.store), key) == index);
	x_restart(t);
	assert_place(t, "a", "0.500");
	assert_int_equal(place(t, "n1", 0.5), -1); /* an agent's: it speaks for itself */
	assert_place(t, "n1", "-");
	/* it goes with its node, and does not wait for the next of that name */
	drop(t, "a", "w1", "");
	assert_place(t, "a", "0.500");
	drop(t, "a", "", "");
	put_on(t, "a", "web", "w1");
	assert_place(t, "a", "-");
	/* also with one that gives way to another name */
	r.node.id = STR("0c7bd0f5-0fb6-4ee7-9e0e-0f1f6c1c2c3d");
	put(t, &r);
	assert_int_equal(place(t, "b", 0.25), 1);
	r.node.name = STR("c");
	put(t, &r);
	assert_node(t, "b", "-");
	r.node = a_node("b", "10.9.0.3").node;
	put(t, &r);
	assert_place(t, "b", "-");
}

#define x_test(f) cmocka_unit_test_setup_teardown(f, x_setup, x_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		x_test(registrations_are_refused_in_consuls_words),
		x_test(defaults_are_filled_in),
		x_test(skip_node_update_leaves_the_node),
		x_test(an_id_moves_to_another_name),
		x_test(deregistering_takes_what_hangs_on_it),
		x_test(an_agents_node_takes_external_services),
		x_test(what_an_agent_owns_is_only_masked),
		x_test(what_was_registered_is_back),
		x_test(a_registration_over_the_limit_leaves_nothing),
		x_test(a_coordinate_is_of_a_node_that_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

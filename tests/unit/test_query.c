/* Prepared queries in the state machine: names, sessions, indexes, snapshots; and which instances a
 * definition takes. */
#include "kv/query.h"
#include "tests/unit/fsm_fixture.h"
#include "tests/unit/store_fixture.h"

#define Q1 "aaaaaaaa-0000-4000-8000-000000000001"
#define Q2 "bbbbbbbb-0000-4000-8000-000000000002"
#define Q3 "cccccccc-0000-4000-8000-000000000003"

static struct run r;

static int
setup(void **unused)
{
	(void)unused;
	run_init(&r);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	run_done(&r);
	return 0;
}

static struct uuid
id_of(const char *text)
{
	struct uuid id = { { 0 } };

	assert_true(uuid_parse(str_of(text), &id));
	return id;
}

static int
run_query(enum fsm_query_verb verb, const char *id, const struct query_info *info)
{
	struct fsm_op *op = mem_new(struct fsm_op);
	struct buf b;
	int status;

	buf_init(&b, QUERY_BODY_MAX);
	if (info != NULL)
		query_pack(&b, info);
	op->command = FSM_QUERY;
	op->query_verb = verb;
	op->query_id = id_of(id);
	op->query = buf_str(&b);
	status = run_op(&r, op);
	buf_done(&b);
	free(op);
	return status;
}

static int
create(const char *id, const char *name)
{
	struct query_info q = { .name = str_of(name), .service = STR("web") };

	return run_query(FSM_QUERY_CREATE, id, &q);
}

static int
create_template(const char *id, const char *name)
{
	struct query_info q = { .name = str_of(name),
		.template_type = STR("name_prefix_match"),
		.service = STR("${name.full}") };

	return run_query(FSM_QUERY_CREATE, id, &q);
}

static const struct query_info *
found(const char *id_or_name)
{
	bool by_id;
	struct query *q = query_resolve(fsm_queries(r.fsm), str_of(id_or_name), &by_id);

	return q == NULL ? NULL : &q->info;
}

static void
assert_refused(int status, const char *why)
{
	assert_int_equal(status, FSM_ERROR);
	assert_str(str_skip(buf_str(&r.result), 1), why);
}

static void
a_definition_is_found_by_id_and_by_name_in_any_case(void **unused)
{
	(void)unused;
	assert_int_equal(create(Q1, "Near-Web"), FSM_TRUE);
	assert_str(found(Q1)->name, "Near-Web");
	assert_ptr_equal(found("near-WEB"), found(Q1));
	assert_null(found("near-web-2"));
	assert_null(found(""));
	assert_null(found(Q2));
	assert_int_equal(run_query(FSM_QUERY_DELETE, Q1, NULL), FSM_TRUE);
	assert_null(found("near-web"));
	assert_int_equal(query_count(fsm_queries(r.fsm)), 0);
	assert_refused(run_query(FSM_QUERY_DELETE, Q1, NULL),
	    "Cannot modify non-existent prepared query: '" Q1 "'");
}

static void
an_update_keeps_the_id_and_moves_the_index(void **unused)
{
	struct query_info q = { .name = STR("other"), .service = STR("db"), .ttl = STR("3s") };

	(void)unused;
	assert_refused(run_query(FSM_QUERY_UPDATE, Q1, &q),
	    "Cannot modify non-existent prepared query: '" Q1 "'");
	create(Q1, "one");
	assert_int_equal(run_query(FSM_QUERY_UPDATE, Q1, &q), FSM_TRUE);
	assert_null(found("one"));
	assert_str(found("other")->service, "db");
	assert_int_equal(found(Q1)->create, 2);
	assert_int_equal(found(Q1)->modify, 3);
	assert_int_equal(queries_index(fsm_queries(r.fsm)), 3);
	assert_int_equal(run_query(FSM_QUERY_UPDATE, Q1, &q), FSM_TRUE); /* its own name */
}

static void
names_are_given_once_in_consuls_words(void **unused)
{
	(void)unused;
	create(Q1, "one");
	assert_refused(create(Q2, "ONE"), "name 'ONE' aliases an existing query name");
	assert_refused(create(Q2, Q1), "name '" Q1 "' aliases an existing query ID");
	assert_refused(create_template(Q2, "one"), "name 'one' aliases an existing query name");
	assert_int_equal(create_template(Q2, ""), FSM_TRUE);
	assert_refused(
	    create_template(Q3, ""), "a query template with an empty name already exists");
	assert_refused(create(Q1, "three"), "the id of the query is taken");
	assert_int_equal(query_count(fsm_queries(r.fsm)), 2);
}

static void
the_longest_template_answers(void **unused)
{
	(void)unused;
	create_template(Q1, "geo-");
	create_template(Q2, "geo-db-");
	create(Q3, "geo-db-x");
	assert_str(found("geo-web")->name, "geo-");
	assert_str(found("GEO-DB-1")->name, "geo-db-");
	assert_str(found("geo-db-")->name, "geo-db-");
	assert_str(found("geo-db-x")->name, "geo-db-x"); /* no template: the whole name */
	assert_str(found("geo-db-xy")->name, "geo-db-");
	assert_null(found("ge"));
	run_query(FSM_QUERY_DELETE, Q3, NULL);
	create_template(Q3, "");
	assert_str(found("ge")->name, "");
	run_query(FSM_QUERY_DELETE, Q3, NULL);
	assert_null(found("ge"));
}

static void
a_query_goes_with_its_session(void **unused)
{
	struct query_info q = { .session = STR(S1), .service = STR("web") };
	struct query_info none = { .session = STR("x"), .service = STR("web") };

	(void)unused;
	assert_refused(run_query(FSM_QUERY_CREATE, Q1, &q), "invalid session \"" S1 "\"");
	assert_refused(run_query(FSM_QUERY_CREATE, Q1, &none),
	    "invalid session: index error: UUID must be 36 characters");
	run_session(&r, S1, 0, 0, SESSION_RELEASE);
	run_session(&r, S2, 0, 0, SESSION_RELEASE);
	assert_int_equal(run_query(FSM_QUERY_CREATE, Q1, &q), FSM_TRUE);
	q.name = STR("named");
	assert_int_equal(run_query(FSM_QUERY_CREATE, Q2, &q), FSM_TRUE);
	q.name = STR("stays");
	q.session = STR(S2);
	assert_int_equal(run_query(FSM_QUERY_CREATE, Q3, &q), FSM_TRUE);
	run_end(&r, S1);
	assert_null(found(Q1));
	assert_null(found("named"));
	assert_non_null(found("stays"));
	assert_int_equal(queries_index(fsm_queries(r.fsm)), r.raft);
}

static void
every_change_wakes_who_waits(void **unused)
{
	struct watch_key key = { WATCH_QUERIES, STR_NONE };
	struct waiter w = { .ready = false };

	(void)unused;
	watch_wait(r.watches, &w, &key, 1);
	create(Q1, "one");
	assert_ptr_equal(watch_ready_next(r.watches), &w);
	watch_wait(r.watches, &w, &key, 1);
	run_put(&r, "a", "b");
	assert_null(watch_ready_next(r.watches));
	run_query(FSM_QUERY_DELETE, Q1, NULL);
	assert_ptr_equal(watch_ready_next(r.watches), &w);
}

/* Every member, and every list that was given or not. */
static struct query_info
whole(void)
{
	static struct str two[] = { STR("a"), STR("!b") };
	static struct pair pairs[] = { { STR("k"), STR("v") }, { STR("l"), STR("") } };

	return (struct query_info){ .name = STR("n"),
		.session = STR(S1),
		.token = STR("t"),
		.template_type = STR("name_prefix_match"),
		.regexp = STR("^(.*)$"),
		.remove_empty_tags = true,
		.service = STR("s"),
		.nearest_n = 3,
		.datacenters = { two, 2, true },
		.only_passing = true,
		.ignore_checks = { two, 1, true },
		.near = STR("_agent"),
		.tags = { two, 2, true },
		.node_meta = { pairs, 2, true },
		.service_meta = { NULL, 0, true },
		.connect = true,
		.ttl = STR("10s") };
}

static void
snapshots_hold_them_with_their_index(void **unused)
{
	struct query_info q = whole();
	struct uuid id = id_of(Q1);
	struct buf first, second;
	struct fsm_load *load;
	struct err err;

	(void)unused;
	run_session(&r, S1, 0, 0, SESSION_RELEASE);
	run_query(FSM_QUERY_CREATE, Q1, &q);
	create(Q2, "gone");
	create_template(Q3, "");
	run_query(FSM_QUERY_DELETE, Q2, NULL);
	buf_init(&first, FSM_RUN_MAX);
	buf_init(&second, FSM_RUN_MAX);
	run_snapshot(&r, 64, &first);
	run_done(&r);
	run_init(&r);
	load = fsm_load_new(0);
	assert_int_equal(fsm_load_feed(load, buf_str(&first), &err), 0);
	assert_int_equal(fsm_load_finish(load, r.fsm, &err), 0);
	fsm_load_free(load);
	r.raft = fsm_raft_index(r.fsm);
	assert_int_equal(queries_index(fsm_queries(r.fsm)), 5);
	assert_int_equal(found(Q1)->create, 2);
	assert_int_equal(found(Q1)->nearest_n, 3);
	assert_true(found(Q1)->service_meta.set);
	assert_str(found("unheard of")->service, "${name.full}");
	run_snapshot(&r, 64, &second);
	assert_true(str_eq(buf_str(&first), buf_str(&second)));
	run_end(&r, S1);
	assert_null(query_find(fsm_queries(r.fsm), &id));
	buf_done(&first);
	buf_done(&second);
}

static void
a_restore_wakes_and_raises_the_index(void **unused)
{
	struct watch_key key = { WATCH_QUERIES, STR_NONE };
	struct fsm_op *op = mem_new(struct fsm_op);
	struct waiter w = { .ready = false };
	struct buf bytes;

	(void)unused;
	create(Q1, "one");
	buf_init(&bytes, FSM_RUN_MAX);
	run_snapshot(&r, 64, &bytes);
	run_query(FSM_QUERY_DELETE, Q1, NULL);
	watch_wait(r.watches, &w, &key, 1);
	op->command = FSM_RESTORE;
	op->snapshot = buf_str(&bytes);
	assert_int_equal(run_op(&r, op), FSM_TRUE);
	assert_ptr_equal(watch_ready_next(r.watches), &w);
	assert_non_null(found("one"));
	assert_true(queries_index(fsm_queries(r.fsm)) > 2);
	watch_wait(r.watches, &w, &key, 1);
	create(Q2, "two"); /* the new table has the watches, too */
	assert_ptr_equal(watch_ready_next(r.watches), &w);
	buf_done(&bytes);
	free(op);
}

static void
broken_bytes_are_refused(void **unused)
{
	struct query_info q = whole(), back;
	struct buf b, again;
	struct arena arena;

	(void)unused;
	arena_init(&arena, 1 << 20);
	buf_init(&b, QUERY_BODY_MAX);
	buf_init(&again, QUERY_BODY_MAX);
	query_pack(&b, &q);
	assert_int_equal(query_unpack(&arena, buf_str(&b), &back, NULL), 0);
	query_pack(&again, &back);
	assert_true(str_eq(buf_str(&b), buf_str(&again)));
	for (size_t n = 0; n < b.n; n++) {
		char *cut = malloc(n + 1); /* so that a sanitizer sees its end */

		memcpy(cut, b.p, n);
		assert_int_equal(query_unpack(&arena, str_mem(cut, n), &back, NULL), ERR_INPUT);
		free(cut);
	}
	buf_addc(&b, 0);
	assert_int_equal(query_unpack(&arena, buf_str(&b), &back, NULL), ERR_INPUT);
	buf_done(&b);
	buf_done(&again);
	arena_done(&arena);
}

static void
lists_have_a_limit(void **unused)
{
	struct str *many = mem_zalloc((QUERY_LIST_MAX + 1) * sizeof *many);
	struct query_info q = { .name = STR("n"), .tags = { many, QUERY_LIST_MAX, true } }, back;
	struct arena arena;
	struct buf b;

	(void)unused;
	arena_init(&arena, 1 << 20);
	buf_init(&b, QUERY_BODY_MAX);
	query_pack(&b, &q);
	assert_int_equal(query_unpack(&arena, buf_str(&b), &back, NULL), 0);
	buf_clear(&b);
	q.tags.count++;
	query_pack(&b, &q);
	assert_int_equal(query_unpack(&arena, buf_str(&b), &back, NULL), ERR_INPUT);
	buf_done(&b);
	arena_done(&arena);
	free(many);
}

/* --- which instances --- */

static bool
takes(struct fix *f, const char *id, struct query_info q)
{
	return query_takes(&q, fix_find(f, "n1", id));
}

static struct query_strs
list_of(struct str *of, size_t count)
{
	return (struct query_strs){ of, count, true };
}

static void
tags_are_wanted_or_not(void **unused)
{
	struct fix f = fix_new();
	struct str blue[] = { STR("BLUE") }, not_blue[] = { STR("!blue") };
	struct str both[] = { STR("blue"), STR("!blue") };

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, NULL, "w1", "web", "blue");
	fix_service(&f, NULL, "w2", "web", NULL);
	assert_true(takes(&f, "w1", (struct query_info){ .tags = list_of(blue, 1) }));
	assert_false(takes(&f, "w2", (struct query_info){ .tags = list_of(blue, 1) }));
	assert_false(takes(&f, "w1", (struct query_info){ .tags = list_of(not_blue, 1) }));
	assert_true(takes(&f, "w2", (struct query_info){ .tags = list_of(not_blue, 1) }));
	assert_false(takes(&f, "w1", (struct query_info){ .tags = list_of(both, 2) }));
	store_free(f.store);
}

static void
checks_decide_unless_they_are_ignored(void **unused)
{
	struct fix f = fix_new();
	struct str c1[] = { STR("c1") }, both[] = { STR("c1"), STR("of-node") };

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, NULL, "w1", "web", NULL);
	fix_check(&f, NULL, "c1", "w1", "warning");
	assert_true(takes(&f, "w1", (struct query_info){ .only_passing = false }));
	assert_false(takes(&f, "w1", (struct query_info){ .only_passing = true }));
	assert_true(takes(&f, "w1",
	    (struct query_info){ .only_passing = true, .ignore_checks = list_of(c1, 1) }));
	fix_check(&f, NULL, "c1", "w1", "critical");
	assert_false(takes(&f, "w1", (struct query_info){ .only_passing = false }));
	assert_true(takes(&f, "w1", (struct query_info){ .ignore_checks = list_of(c1, 1) }));
	fix_check(&f, NULL, "of-node", "", "critical");
	assert_false(takes(&f, "w1", (struct query_info){ .ignore_checks = list_of(c1, 1) }));
	assert_true(takes(&f, "w1", (struct query_info){ .ignore_checks = list_of(both, 2) }));
	store_free(f.store);
}

static void
meta_of_node_and_service_must_match(void **unused)
{
	struct fix f = fix_new();
	struct pair rack[] = { { STR("rack"), STR("7") } }, app[] = { { STR("app"), STR("x") } };
	struct pair wrong[] = { { STR("app"), STR("y") } };
	struct node_info node = {
		.name = STR("n1"), .address = STR("10.0.0.1"), .meta = rack, .meta_count = 1
	};
	struct service_info service = {
		.id = STR("w1"), .name = STR("web"), .meta = app, .meta_count = 1
	};
	struct query_pairs of_rack = { rack, 1, true }, of_app = { app, 1, true };

	(void)unused;
	store_put_node(f.store, f.now, &fix_self, &node, NULL);
	store_put_service(f.store, f.now, &fix_self, &service, NULL);
	assert_true(takes(&f, "w1", (struct query_info){ .node_meta = of_rack }));
	assert_false(takes(&f, "w1", (struct query_info){ .node_meta = of_app }));
	assert_true(takes(&f, "w1", (struct query_info){ .service_meta = of_app }));
	assert_false(takes(&f, "w1", (struct query_info){ .service_meta = of_rack }));
	assert_false(takes(&f, "w1", (struct query_info){ .service_meta = { wrong, 1, true } }));
	store_free(f.store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_definition_is_found_by_id_and_by_name_in_any_case, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    an_update_keeps_the_id_and_moves_the_index, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    names_are_given_once_in_consuls_words, setup, teardown),
		cmocka_unit_test_setup_teardown(the_longest_template_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(a_query_goes_with_its_session, setup, teardown),
		cmocka_unit_test_setup_teardown(every_change_wakes_who_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    snapshots_hold_them_with_their_index, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_restore_wakes_and_raises_the_index, setup, teardown),
		cmocka_unit_test(broken_bytes_are_refused),
		cmocka_unit_test(lists_have_a_limit),
		cmocka_unit_test(tags_are_wanted_or_not),
		cmocka_unit_test(checks_decide_unless_they_are_ignored),
		cmocka_unit_test(meta_of_node_and_service_must_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

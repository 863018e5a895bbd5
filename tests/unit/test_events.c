/* User events: whom they are for, which are kept, and how they travel. */
#include "agent/pool/events.h"
#include "tests/unit/test.h"

static struct store *store;
static struct local *local;
static struct events *events;
static const struct now now = { 1000 * NSEC_SEC, 1800000000000 };

static int
setup(void **unused)
{
	struct str tags[] = { STR("blue"), STR("v2") };
	struct service_info web = { .id = STR("web-1"),
		.name = STR("frontend"),
		.tags = tags,
		.tag_count = 2,
		.port = 80,
		.weight_passing = 1,
		.weight_warning = 1 };
	struct store_config config = { .limits = owner_limits_default,
		.self = { { 1 } },
		.cluster = { { 2 } },
		.epoch = { 1, 1 } };
	struct local_config lc = { .self = { { 1 } } };
	struct events_config ec = { .node = STR("host-7") };

	(void)unused;
	store = store_new(&config, now);
	lc.store = store;
	local = local_new(&lc);
	assert_true(local_service_put(local, now, &web, NULL, 0, true, LOCAL_API, NULL) >= 0);
	ec.local = local;
	events = events_new(&ec);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	events_free(events);
	local_free(local);
	store_free(store);
	return 0;
}

/* Over the wire and in. */
static bool
deliver(const struct user_event *e, uint64_t ltime)
{
	char name[64];
	uint8_t room[1024];
	struct writer w = wr_of(room, sizeof room);
	struct serf_event from = { .ltime = ltime };

	snprintf(name, sizeof name, EVENTS_NAME_PREFIX STR_FMT, STR_ARG(e->name));
	assert_int_equal(user_event_write(&w, e, NULL), 0);
	from.name = str_of(name);
	from.payload = wr_done(&w);
	return events_input(events, &from);
}

static bool
is_ours(const char *node, const char *service, const char *tag)
{
	struct user_event e = { .id = { { 9 } },
		.name = STR("x"),
		.node_filter = str_of(node),
		.service_filter = str_of(service),
		.tag_filter = str_of(tag),
		.version = 1 };

	return deliver(&e, 1);
}

static void
an_event_comes_as_it_was_sent(void **unused)
{
	struct user_event sent = { .id = { { 1, 2, 3, 4, 5, 6, 7, 8, 9 } },
		.name = STR("deploy"),
		.payload = STR("v2\0bin"),
		.node_filter = STR("^host"),
		.service_filter = STR("web"),
		.tag_filter = STR("blue"),
		.version = 1 };
	const struct user_event *got;

	(void)unused;
	assert_true(deliver(&sent, 77));
	assert_int_equal(events_count(events), 1);
	got = events_at(events, 0);
	assert_true(uuid_eq(&got->id, &sent.id));
	assert_str(got->name, "deploy");
	assert_true(str_eq(got->payload, sent.payload));
	assert_str(got->node_filter, "^host");
	assert_str(got->service_filter, "web");
	assert_str(got->tag_filter, "blue");
	assert_int_equal(got->version, 1);
	assert_int_equal(got->ltime, 77);
	assert_true(user_event_index(got) == (UINT64_C(0x0102030405060708) ^ UINT64_C(0x09) << 56));
}

/* As a Go agent encodes {ID, n, p, v}: keys in order, raw strings, filters left out. */
static void
the_wire_form_is_consuls(void **unused)
{
	struct user_event e = {
		.id = { { 0 } }, .name = STR("ab"), .payload = STR("c"), .version = 1
	};
	uint8_t room[256];
	struct writer w = wr_of(room, sizeof room);
	static const char want[] = "\x84\xa2ID\xda\x00\x24"
				   "00000000-0000-0000-0000-000000000000"
				   "\xa1n\xa2"
				   "ab\xa1p\xa1"
				   "c\xa1v\x01";

	(void)unused;
	assert_int_equal(user_event_write(&w, &e, NULL), 0);
	assert_int_equal(w.pos, sizeof want - 1);
	assert_memory_equal(room, want, sizeof want - 1);
	w = wr_of(room, 20);
	assert_int_equal(user_event_write(&w, &e, NULL), ERR_LIMIT);
}

static void
filters_say_whom_it_is_for(void **unused)
{
	(void)unused;
	assert_true(is_ours("", "", ""));
	assert_true(is_ours("^host-\\d$", "", ""));
	assert_false(is_ours("^other", "", ""));
	assert_true(is_ours("", "^web-1$", ""));
	assert_true(is_ours("", "^frontend$", "")); /* the name will do, too */
	assert_false(is_ours("", "^db", ""));
	assert_true(is_ours("host", "web", "^v\\d+$"));
	assert_false(is_ours("host", "web", "^green$"));
	assert_false(is_ours("(", "", "")); /* who compiles it not is not meant */
	assert_int_equal(events_stats(events).filtered, 4);
	assert_int_equal(events_stats(events).kept, events_count(events));
}

static void
a_costly_filter_is_given_up(void **unused)
{
	struct user_event e = {
		.name = STR("x"), .service_filter = STR("^(([a-z])+.)+[A-Z]([a-z])+$"), .version = 1
	};
	struct service_info s = { .id =
				      STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
		.name = STR("a"),
		.weight_passing = 1,
		.weight_warning = 1 };

	(void)unused;
	assert_true(local_service_put(local, now, &s, NULL, 0, true, LOCAL_API, NULL) >= 0);
	assert_false(deliver(&e, 1));
}

static void
the_last_ones_are_kept(void **unused)
{
	char name[16];
	struct user_event e = { .version = 1 };

	(void)unused;
	for (unsigned i = 0; i < EVENTS_KEPT_MAX + 10; i++) {
		snprintf(name, sizeof name, "e%u", i);
		e.name = str_of(name);
		assert_true(deliver(&e, i + 1));
	}
	assert_int_equal(events_count(events), EVENTS_KEPT_MAX);
	assert_str(events_at(events, 0)->name, "e10");
	assert_str(events_at(events, EVENTS_KEPT_MAX - 1)->name, "e265");
	for (size_t i = 1; i < EVENTS_KEPT_MAX; i++)
		assert_int_equal(events_at(events, i)->ltime, events_at(events, i - 1)->ltime + 1);
}

static void
events_of_serf_have_one_id_everywhere(void **unused)
{
	struct serf_event e = { .ltime = 5, .name = STR("deploy"), .payload = STR("x") };
	struct uuid first;

	(void)unused;
	assert_true(events_input(events, &e));
	assert_true(events_input(events, &e));
	assert_str(events_at(events, 0)->name, "deploy");
	assert_str(events_at(events, 0)->payload, "x");
	first = events_at(events, 0)->id;
	assert_true(uuid_eq(&first, &events_at(events, 1)->id));
	assert_int_equal(first.b[6] >> 4, 8);
	e.ltime = 6;
	events_input(events, &e);
	assert_false(uuid_eq(&first, &events_at(events, 2)->id));
	e = (struct serf_event){ .ltime = 5, .name = STR("deployx") };
	events_input(events, &e);
	assert_false(uuid_eq(&first, &events_at(events, 3)->id)); /* not name and payload in one */
}

static void
consuls_own_events_mean_nothing(void **unused)
{
	struct serf_event leader = { .name = STR("consul:new-leader"), .payload = STR("n1") };
	struct user_event exec = { .name = STR("_rexec"), .version = 1 };

	(void)unused;
	assert_false(events_input(events, &leader));
	assert_false(deliver(&exec, 1));
	assert_int_equal(events_stats(events).filtered, 2);
}

static void
malformed_events_are_dropped(void **unused)
{
	struct user_event e = { .id = { { 3 } },
		.name = STR("deploy"),
		.payload = STR("payload"),
		.node_filter = STR("host"),
		.version = 1 };
	uint8_t room[256];
	struct writer w = wr_of(room, sizeof room);
	struct serf_event from = { .ltime = 1, .name = STR(EVENTS_NAME_PREFIX "deploy") };

	(void)unused;
	user_event_write(&w, &e, NULL);
	for (size_t n = 0; n < w.pos; n++) {
		from.payload = str_mem(room, n);
		assert_false(events_input(events, &from));
	}
	assert_int_equal(events_stats(events).malformed, w.pos);
	from.payload = STR("\x81\xa2ID\xa1x"); /* no name */
	assert_false(events_input(events, &from));
	from.payload = STR("\x82\xa2ID\xa1x\xa1n\xa1y"); /* an id that is none: one is made */
	assert_true(events_input(events, &from));
	assert_str(events_at(events, 0)->name, "y");
	assert_int_not_equal(user_event_index(events_at(events, 0)), 0);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(an_event_comes_as_it_was_sent),
		test(the_wire_form_is_consuls),
		test(filters_say_whom_it_is_for),
		test(a_costly_filter_is_given_up),
		test(the_last_ones_are_kept),
		test(events_of_serf_have_one_id_everywhere),
		test(consuls_own_events_mean_nothing),
		test(malformed_events_are_dropped),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}

/* Figures: tables onto structs, intervals, what is shown, and both forms. */
#include "agent/metrics.h"
#include "tests/unit/test.h"

struct figures {
	uint64_t sent, bad;
	unsigned score;
	bool ready;
	size_t held;
};

static const struct metric_row table[] = {
	{ "memberlist.udp.sent", METRIC_AMOUNT, METRIC(struct figures, sent), "Bytes \\ sent." },
	{ "server.isLeader", METRIC_GAUGE, METRIC(struct figures, ready), "Ready." },
	{ "memberlist.health.score", METRIC_GAUGE, METRIC(struct figures, score), "Score." },
	{ "dropped", METRIC_COUNTER, METRIC(struct figures, bad), "Dropped.", "reason", "a\"b",
	    true },
	{ "dropped", METRIC_COUNTER, METRIC(struct figures, held), "Dropped.", "reason", "held",
	    true },
	{ 0 },
};

static struct metrics *metrics;
static struct figures figures;
static struct buf text;
static struct now now = { 100 * NSEC_SEC, 1800000000000 };

static struct metrics_config
plain(void)
{
	return (struct metrics_config){ .prefix = STR("consul"), .keep_others = true };
}

static int
setup(void **unused)
{
	struct metrics_config config = plain();

	(void)unused;
	figures = (struct figures){ .sent = 100, .bad = 3, .score = 2, .ready = true, .held = 1 };
	buf_init(&text, 1 << 20);
	return metrics_new(&config, now, &metrics, NULL);
}

static int
teardown(void **unused)
{
	(void)unused;
	metrics_free(metrics);
	buf_done(&text);
	return 0;
}

static void
take(void)
{
	metrics_begin(metrics);
	metrics_take(metrics, table, &figures);
}

static json_t *
shown(void)
{
	json_t *out = NULL;
	struct jw w;

	take();
	buf_clear(&text);
	jw_init(&w, &text, false);
	metrics_write_json(metrics, now, &w);
	assert_int_equal(json_read(buf_str(&text), &out, NULL), 0);
	return out;
}

/* The entry of a list by its name; the nth. */
static json_t *
entry(json_t *all, const char *list, const char *name, int nth)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(all, list), i, item)
		if (str_eq(json_member_str(item, "Name"), str_of(name)) && nth-- == 0)
			return item;
	return NULL;
}

static double
number(json_t *item, const char *key)
{
	assert_non_null(item);
	return json_number_value(json_object_get(item, key));
}

static void
json_is_consuls(void **unused)
{
	json_t *all = shown();

	(void)unused;
	assert_str(json_member_str(all, "Timestamp"), "2027-01-15 08:00:00 +0000 UTC");
	assert_true(json_is_array(json_object_get(all, "Points")));
	assert_true(
	    number(entry(all, "Gauges", "consul.memberlist.health.score", 0), "Value") == 2);
	assert_true(number(entry(all, "Gauges", "consul.server.isLeader", 0), "Value") == 1);
	assert_true(number(entry(all, "Counters", "consul.memberlist.udp.sent", 0), "Sum") == 100);
	assert_true(number(entry(all, "Counters", "muster.dropped", 0), "Count") == 3);
	assert_str(
	    json_member_str(
		json_object_get(entry(all, "Counters", "muster.dropped", 0), "Labels"), "reason"),
	    "a\"b");
	json_decref(all);
}

static void
counters_are_those_of_the_last_whole_interval(void **unused)
{
	json_t *all;

	(void)unused;
	take();
	now.mono += METRICS_INTERVAL;
	metrics_roll(metrics, now);
	figures.sent += 50; /* is in the interval that is not over */
	all = shown();
	assert_true(number(entry(all, "Counters", "consul.memberlist.udp.sent", 0), "Sum") == 100);
	assert_true(number(entry(all, "Counters", "consul.memberlist.udp.sent", 0), "Rate") == 10);
	json_decref(all);
	now.mono += METRICS_INTERVAL;
	metrics_roll(metrics, now);
	all = shown();
	assert_true(number(entry(all, "Counters", "consul.memberlist.udp.sent", 0), "Sum") == 50);
	assert_null(entry(all, "Counters", "muster.dropped", 0)); /* it did not grow */
	json_decref(all);
}

static void
spans_have_mean_and_spread(void **unused)
{
	size_t timer = metrics_timer(
	    metrics, "api.http", "Time.", "method", STR("GET"), "path", STR("v1_kv_"));
	json_t *all, *item;

	(void)unused;
	metrics_time(metrics, timer, 2 * NSEC_MS);
	metrics_time(metrics, timer, 4 * NSEC_MS);
	all = shown();
	item = entry(all, "Samples", "consul.api.http", 0);
	assert_true(number(item, "Count") == 2 && number(item, "Sum") == 6);
	assert_true(number(item, "Min") == 2 && number(item, "Max") == 4);
	assert_true(number(item, "Mean") == 3);
	assert_true(number(item, "Stddev") > 1.41 && number(item, "Stddev") < 1.42);
	assert_str(json_member_str(json_object_get(item, "Labels"), "path"), "v1_kv_");
	json_decref(all);
	metrics_roll(metrics, now);
	metrics_roll(metrics, now);
	all = shown();
	assert_null(entry(all, "Samples", "consul.api.http", 0));
	json_decref(all);
	buf_clear(&text);
	metrics_write_prometheus(metrics, &text); /* there it stays */
	buf_addc(&text, '\0');
	assert_non_null(
	    strstr(text.p, "consul_api_http_sum{method=\"GET\",path=\"v1_kv_\"} 6\n"
			   "consul_api_http_count{method=\"GET\",path=\"v1_kv_\"} 2\n"));
}

static void
prometheus_has_one_head_for_a_name(void **unused)
{
	(void)unused;
	take();
	metrics_write_prometheus(metrics, &text);
	assert_str(buf_str(&text), "# HELP consul_memberlist_udp_sent Bytes \\\\ sent.\n"
				   "# TYPE consul_memberlist_udp_sent untyped\n"
				   "consul_memberlist_udp_sent 100\n"
				   "# HELP consul_server_is_leader Ready.\n"
				   "# TYPE consul_server_is_leader gauge\n"
				   "consul_server_is_leader 1\n"
				   "# HELP consul_memberlist_health_score Score.\n"
				   "# TYPE consul_memberlist_health_score gauge\n"
				   "consul_memberlist_health_score 2\n"
				   "# HELP muster_dropped_total Dropped.\n"
				   "# TYPE muster_dropped_total counter\n"
				   "muster_dropped_total{reason=\"a\\\"b\"} 3\n"
				   "muster_dropped_total{reason=\"held\"} 1\n");
}

static void
the_longest_rule_decides(void **unused)
{
	const struct str rules[] = { STR("-consul.memberlist"), STR("+consul.memberlist.udp"),
		STR("-muster") };
	struct metrics_config config = plain();
	json_t *all;

	(void)unused;
	config.rules = rules;
	config.rule_count = 3;
	assert_int_equal(metrics_configure(metrics, &config, NULL), 0);
	all = shown();
	assert_non_null(entry(all, "Counters", "consul.memberlist.udp.sent", 0));
	assert_null(entry(all, "Gauges", "consul.memberlist.health.score", 0));
	assert_null(entry(all, "Counters", "muster.dropped", 0));
	assert_non_null(entry(all, "Gauges", "consul.server.isLeader", 0));
	json_decref(all);
	config.keep_others = false;
	assert_int_equal(metrics_configure(metrics, &config, NULL), 0);
	all = shown();
	assert_null(entry(all, "Gauges", "consul.server.isLeader", 0));
	json_decref(all);
}

static void
a_rule_without_a_sign_is_refused_and_nothing_changes(void **unused)
{
	const struct str rules[] = { STR("consul") };
	struct metrics_config config = plain();
	struct err err = { 0 };

	(void)unused;
	config.prefix = STR("other");
	config.rules = rules;
	config.rule_count = 1;
	assert_int_equal(metrics_configure(metrics, &config, &err), ERR_INPUT);
	assert_non_null(strstr(err.text, "\"consul\" begins with neither + nor -"));
	prometheus_has_one_head_for_a_name(NULL);
}

static void
the_host_stands_before_gauges_only(void **unused)
{
	struct metrics_config config = plain();
	json_t *all;

	(void)unused;
	config.host = STR("web-1");
	config.prefix = STR("c");
	assert_int_equal(metrics_configure(metrics, &config, NULL), 0);
	all = shown();
	assert_non_null(entry(all, "Gauges", "c.web-1.server.isLeader", 0));
	assert_non_null(entry(all, "Counters", "c.memberlist.udp.sent", 0));
	json_decref(all);
	buf_clear(&text);
	metrics_write_prometheus(metrics, &text);
	buf_addc(&text, '\0');
	assert_non_null(strstr(text.p, "\nc_web_1_server_is_leader 1\n"));
}

static void
a_part_built_anew_begins_at_zero(void **unused)
{
	json_t *all;

	(void)unused;
	take();
	metrics_roll(metrics, now);
	figures.sent = 7;
	take();
	metrics_roll(metrics, now);
	all = shown();
	assert_true(number(entry(all, "Counters", "consul.memberlist.udp.sent", 0), "Sum") == 7);
	json_decref(all);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(json_is_consuls),
		TEST(counters_are_those_of_the_last_whole_interval),
		TEST(spans_have_mean_and_spread),
		TEST(prometheus_has_one_head_for_a_name),
		TEST(the_longest_rule_decides),
		TEST(a_rule_without_a_sign_is_refused_and_nothing_changes),
		TEST(the_host_stands_before_gauges_only),
		TEST(a_part_built_anew_begins_at_zero),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}

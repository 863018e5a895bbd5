/* What reports, time and restarts do to this agent's checks. */
#include "agent/local/local_private.h"
#include "tests/unit/local_bench.h"

/* ---- status and time ---- */

static void
reports_go_only_to_ttl_checks(void **state)
{
	struct bench *b = *state;
	const struct check_def tcp = { .name = STR("t"), .tcp = STR("a:1"), .interval = NSEC_SEC };
	const struct check_def maint = { .id = STR("_node_maintenance"),
		.type = CHECK_STATE,
		.name = STR("Node Maintenance Mode"),
		.notes = STR("why") };

	put_check(b, &tcp);
	assert_int_equal(report(b, "t", CHECK_PASSING, ""), ERR_REFUSED);
	assert_string_equal(b->err.text, "CheckID \"t\" does not have associated TTL");
	assert_int_equal(report(b, "none", CHECK_PASSING, ""), ERR_NOT_FOUND);
	assert_string_equal(b->err.text, "CheckID \"none\" does not have associated TTL");
	assert_int_equal(
	    local_check_set(b->local, b->now, STR("t"), CHECK_PASSING, STR("ok"), false, &b->err),
	    1);
	assert_seen(b, "t", "passing", "ok");
	assert_int_equal(
	    local_check_set(b->local, b->now, STR("t"), CHECK_PASSING, STR("ok"), false, &b->err),
	    0);
	assert_int_equal(put_check(b, &maint), 1);
	assert_str(seen_check(b, "_node_maintenance")->info.type, "maintenance");
	assert_str(seen_check(b, "_node_maintenance")->info.interval, "");
	assert_int_equal(report(b, "_node_maintenance", CHECK_PASSING, ""), ERR_REFUSED);
}

static void
a_ttl_runs_out(void **state)
{
	struct bench *b = *state;
	const struct check_def def = {
		.name = STR("c"), .ttl = NSEC_SEC, .status = STR("passing")
	};

	put_check(b, &def);
	assert_true(local_deadline(b->local) == b->now.mono + NSEC_SEC);
	later(b, NSEC_SEC - 1);
	local_tick(b->local, b->now);
	assert_check(b, "c", "passing", "");
	later(b, 1);
	local_tick(b->local, b->now);
	assert_seen(b, "c", "critical", "TTL expired");
	assert_true(local_deadline(b->local) == NSEC_NEVER);
	report(b, "c", CHECK_PASSING, "fresh");
	later(b, NSEC_SEC / 2);
	report(b, "c", CHECK_PASSING, "fresh");
	later(b, NSEC_SEC / 2 + 1);
	local_tick(b->local, b->now);
	assert_check(b, "c", "passing", "fresh");
	later(b, NSEC_SEC / 2);
	local_tick(b->local, b->now);
	assert_seen(b, "c", "critical", "TTL expired (last output before timeout follows): fresh");
	/* registered again it has its time anew, and the old note is not told twice */
	put_check(b, &def);
	assert_check(b, "c", "passing", "");
	later(b, NSEC_SEC);
	local_tick(b->local, b->now);
	assert_check(b, "c", "critical", "TTL expired");
}

static void
long_output_is_cut(void **state)
{
	struct bench *b = *state;
	static char text[5001];

	memset(text, 'x', 5000);
	put_check(b, &(struct check_def){ .name = STR("c"), .ttl = 60 * NSEC_SEC });
	report(b, "c", CHECK_PASSING, text);
	assert_int_equal(own_check(b, "c")->output.n, 4130);
	assert_true(str_ends(own_check(b, "c")->output, STR(" ... (captured 4096 of 5000 bytes)")));
	assert_int_equal(seen_check(b, "c")->info.output.n, 256);
	report(b, "c", CHECK_WARNING, text);
	assert_int_equal(seen_check(b, "c")->info.output.n, 1024);
}

static void
output_alone_is_no_news(void **state)
{
	struct bench *b = *state;
	nsec due;

	put_check(b, &(struct check_def){ .name = STR("c"), .ttl = NSEC_HOUR });
	report(b, "c", CHECK_PASSING, "1"); /* status: at once */
	assert_seen(b, "c", "passing", "1");
	report(b, "c", CHECK_PASSING, "2"); /* the first after it: at once */
	assert_seen(b, "c", "passing", "2");
	report(b, "c", CHECK_PASSING, "3");
	assert_seen(b, "c", "passing", "2");
	assert_check(b, "c", "passing", "3");
	due = local_deadline(b->local);
	assert_true(due >= b->now.mono + 5 * NSEC_MIN);
	assert_true(due <= b->now.mono + 5 * NSEC_MIN + 75 * NSEC_SEC);
	later(b, NSEC_MIN);
	report(b, "c", CHECK_PASSING, "4"); /* does not put it off */
	assert_true(local_deadline(b->local) == due);
	b->now.mono = due;
	local_tick(b->local, b->now);
	assert_seen(b, "c", "passing", "4");
	report(b, "c", CHECK_PASSING, "5");
	assert_seen(b, "c", "passing", "4");
	report(b, "c", CHECK_WARNING, "6"); /* status: at once, nothing waits any more */
	assert_seen(b, "c", "warning", "6");
	assert_true(local_deadline(b->local) == b->now.mono + NSEC_HOUR);
	report(b, "c", CHECK_WARNING, "7"); /* and the first after it */
	report(b, "c", CHECK_WARNING, "8");
	assert_seen(b, "c", "warning", "7");
	later(b, 10 * NSEC_MIN); /* long quiet (nobody ticked): at once */
	report(b, "c", CHECK_WARNING, "9");
	assert_seen(b, "c", "warning", "9");
}

static void
a_service_critical_for_too_long_goes(void **state)
{
	struct bench *b = *state;
	struct check_def def = { .ttl = NSEC_SEC, .deregister_after = NSEC_SEC };

	put_service(b, "w", "web", 0, &def, 1);
	later(b, 45 * NSEC_SEC);
	local_tick(b->local, b->now);
	assert_non_null(seen_service(b, "w"));
	later(b, 15 * NSEC_SEC); /* no patience is shorter than a minute */
	local_tick(b->local, b->now);
	assert_null(seen_service(b, "w"));
	assert_null(local_check_next(b->local, NULL));
	def.deregister_after = 2 * NSEC_MIN;
	put_service(b, "w", "web", 0, &def, 1);
	later(b, NSEC_MIN);
	local_tick(b->local, b->now);
	report(b, "service:w", CHECK_PASSING, "");
	later(b, NSEC_SEC);
	local_tick(b->local, b->now); /* critical from here */
	later(b, 2 * NSEC_MIN - 1);
	local_tick(b->local, b->now);
	assert_non_null(seen_service(b, "w"));
	later(b, 1);
	local_tick(b->local, b->now);
	assert_null(seen_service(b, "w"));
}

static void
patience_begins_anew_with_a_restart(void **state)
{
	struct bench *b = *state;
	struct check_def def = { .ttl = NSEC_SEC, .deregister_after = 90 * NSEC_SEC };

	put_service(b, "w", "web", 0, &def, 1);
	later(b, 80 * NSEC_SEC);
	local_tick(b->local, b->now);
	bench_restart(b);
	assert_seen(b, "service:w", "critical", "TTL expired");
	later(b, 90 * NSEC_SEC - 1);
	local_tick(b->local, b->now);
	assert_non_null(seen_service(b, "w"));
	later(b, 1);
	local_tick(b->local, b->now);
	assert_null(seen_service(b, "w"));
	bench_restart(b);
	assert_null(seen_service(b, "w"));
	assert_null(local_check_next(b->local, NULL));
}

static void
the_least_patience_is_an_option(void **state)
{
	struct bench *b = *state;
	struct check_def def = { .ttl = NSEC_SEC, .deregister_after = 2 * NSEC_SEC };

	local_free(b->local);
	b->config.deregister_min = 0;
	b->local = local_new(&b->config);
	put_service(b, "w", "web", 0, &def, 1); /* critical from here */
	later(b, 2 * NSEC_SEC - 1);
	local_tick(b->local, b->now);
	assert_non_null(seen_service(b, "w"));
	assert_true(local_deadline(b->local) == b->now.mono + 1);
	later(b, 1);
	local_tick(b->local, b->now);
	assert_null(seen_service(b, "w"));
}

static void
a_changed_service_wakes_who_waits_for_its_hash(void **state)
{
	struct bench *b = *state;
	struct watch_key key = { WATCH_AGENT_SERVICE, STR("w") };
	struct waiter waiter = { 0 };

	put_service(b, "w", "web", 1, NULL, 0);
	watch_wait(store_watches(b->store), &waiter, &key, 1);
	put_service(b, "other", "web", 1, NULL, 0);
	put_service(b, "w", "web", 1, NULL, 0);
	assert_null(watch_ready_next(store_watches(b->store)));
	put_service(b, "w", "web", 2, NULL, 0);
	assert_ptr_equal(watch_ready_next(store_watches(b->store)), &waiter);
	watch_wait(store_watches(b->store), &waiter, &key, 1);
	local_service_remove(b->local, b->now, STR("w"), &b->err);
	assert_ptr_equal(watch_ready_next(store_watches(b->store)), &waiter);
}

/* ---- restarts ---- */

static void
what_the_api_registered_is_back(void **state)
{
	struct bench *b = *state;
	const struct service_info docker = { .id = STR("d"), .name = STR("docker") };
	struct check_def checks[2] = { { .ttl = 10 * NSEC_SEC },
		{ .http = STR("http://x/"), .interval = NSEC_SEC } };

	put_service(b, "w", "web", 80, checks, 2);
	put_service(b, "gone", "web", 80, checks, 2);
	local_service_put(b->local, b->now, &docker, NULL, 0, false, LOCAL_DOCKER, &b->err);
	put_check(b, &(struct check_def){
			 .name = STR("of-docker"), .ttl = NSEC_MIN, .service_id = STR("d") });
	put_check(b, &(struct check_def){ .name = STR("node"), .ttl = NSEC_MIN });
	report(b, "service:w:1", CHECK_PASSING, "up");
	report(b, "of-docker", CHECK_WARNING, "hm");
	local_service_remove(b->local, b->now, STR("gone"), &b->err);
	later(b, NSEC_HOUR);
	bench_restart(b);
	assert_int_equal(seen_service(b, "w")->info.port, 80);
	assert_null(seen_service(b, "gone"));
	assert_null(seen_service(b, "d"));
	assert_seen(b, "service:w:1", "passing", "up");
	assert_str(own_check(b, "service:w:2")->def.http, "http://x/");
	assert_seen(b, "node", "critical", "");
	/* its time runs afresh */
	assert_true(local_deadline(b->local) == b->now.mono + 10 * NSEC_SEC);
	later(b, 10 * NSEC_SEC);
	local_tick(b->local, b->now);
	assert_check(
	    b, "service:w:1", "critical", "TTL expired (last output before timeout follows): up");
	assert_str(seen_check(b, "service:w:1")->info.interval, "");
	assert_str(seen_check(b, "node")->info.interval, "0s");
	/* Docker tells its services later; what was registered for them comes with them */
	assert_null(seen_check(b, "of-docker"));
	local_service_put(b->local, b->now, &docker, NULL, 0, true, LOCAL_DOCKER, &b->err);
	assert_seen(b, "of-docker", "warning", "hm");
	bench_restart(b);
	later(b, 10 * NSEC_MIN);
	local_tick(b->local, b->now);
	local_service_put(b->local, b->now, &docker, NULL, 0, true, LOCAL_DOCKER, &b->err);
	assert_null(seen_check(b, "of-docker")); /* but not for ever */
	bench_restart(b);
	local_service_put(b->local, b->now, &docker, NULL, 0, true, LOCAL_DOCKER, &b->err);
	assert_null(seen_check(b, "of-docker"));
}

static void
what_docker_takes_over_is_not_kept(void **state)
{
	struct bench *b = *state;
	const struct service_info info = { .id = STR("w"), .name = STR("web"), .port = 1 };

	put_service(b, "w", "web", 1, &ttl_60, 1);
	local_service_put(b->local, b->now, &info, &ttl_60, 1, true, LOCAL_DOCKER, &b->err);
	bench_restart(b);
	assert_null(local_service_next(b->local, NULL));
	assert_null(local_check_next(b->local, NULL));
}

/* ---- for whoever runs checks ---- */

static const char *
next_news(struct bench *b)
{
	static char text[64];
	struct str id;

	if (!local_check_news_next(b->local, &id))
		return "";
	snprintf(text, sizeof text, STR_FMT, STR_ARG(id));
	return text;
}

static void
news_names_checks_that_are_defined_otherwise(void **state)
{
	struct bench *b = *state;
	struct check_def http = {
		.name = STR("h"), .http = STR("http://a/"), .interval = NSEC_SEC
	};

	assert_string_equal(next_news(b), "");
	put_check(b, &http);
	put_check(b, &(struct check_def){ .name = STR("t"), .ttl = NSEC_SEC });
	assert_string_equal(next_news(b), "h");
	assert_string_equal(next_news(b), ""); /* nobody runs a TTL check */
	put_check(b, &http);
	assert_string_equal(next_news(b), "");
	http.http = STR("http://b/");
	put_check(b, &http);
	http.http = STR("http://c/");
	put_check(b, &http);
	assert_string_equal(next_news(b), "h"); /* once for both */
	assert_string_equal(next_news(b), "");
	put_check(b, &(struct check_def){ .name = STR("h"), .ttl = NSEC_SEC });
	assert_string_equal(next_news(b), "h"); /* it is to be run no more */
	put_check(b, &http);
	assert_string_equal(next_news(b), "h");
	local_check_remove(b->local, b->now, STR("h"), &b->err);
	assert_string_equal(next_news(b), "h");
	assert_string_equal(next_news(b), "");
	put_service(b, "web", "web", 80, &http, 1);
	assert_string_equal(next_news(b), "service:web");
	local_service_remove(b->local, b->now, STR("web"), &b->err);
	assert_string_equal(next_news(b), "service:web");
	put_check(b, &http); /* left in the queue at the end */
}

static int
ran(struct bench *b, const char *id, enum check_status status, const char *output)
{
	return local_check_report(b->local, b->now, str_of(id), status, str_of(output), &b->err);
}

static void
what_ran_keeps_its_state(void **state)
{
	struct bench *b = *state;
	struct check_def http = {
		.name = STR("h"), .http = STR("http://a/"), .interval = NSEC_SEC
	};

	put_check(b, &http);
	assert_int_equal(ran(b, "h", CHECK_PASSING, "fine"), 1);
	assert_int_equal(ran(b, "h", CHECK_PASSING, "fine"), 0);
	assert_int_equal(ran(b, "none", CHECK_PASSING, "fine"), ERR_NOT_FOUND);
	assert_seen(b, "h", "passing", "fine");
	put_check(b, &http);
	assert_check(b, "h", "passing", "fine");
	assert_true(own_check(b, "h")->reported);
	/* A text that differs each time is kept when it is published, not at each run. */
	later(b, NSEC_SEC);
	ran(b, "h", CHECK_PASSING, "at 1");
	later(b, NSEC_SEC);
	ran(b, "h", CHECK_PASSING, "at 2");
	assert_check(b, "h", "passing", "at 2");
	bench_restart(b);
	assert_seen(b, "h", "passing", "at 1");
	assert_true(own_check(b, "h")->reported);
	put_check(b, &(struct check_def){ .name = STR("h"), .ttl = NSEC_HOUR });
	assert_check(b, "h", "critical", ""); /* another kind begins anew */
}

static void
output_of_a_run_is_not_cut_again(void **state)
{
	struct bench *b = *state;
	struct check_def http = { .name = STR("h"),
		.http = STR("http://a/"),
		.interval = NSEC_SEC,
		.output_max_size = 4 };
	char text[LOCAL_OUTPUT_MAX + 2];

	put_check(b, &http);
	ran(b, "h", CHECK_PASSING, "Captured 4 of 9 bytes\n...\n6789");
	assert_seen(b, "h", "passing", "Captured 4 of 9 bytes\n...\n6789");
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	ran(b, "h", CHECK_WARNING, text);
	assert_int_equal(own_check(b, "h")->output.n, LOCAL_OUTPUT_MAX);
}

static int
docker_puts(struct bench *b, const struct check_def *check)
{
	const struct service_info info = { .id = STR("d"), .name = STR("d"), .port = 1 };

	return local_service_put(b->local, b->now, &info, check, 1, false, LOCAL_DOCKER, &b->err);
}

static void
what_dockers_checks_reported_is_remembered(void **state)
{
	struct bench *b = *state;
	struct check_def http = { .http = STR("http://a/"), .interval = NSEC_SEC };

	docker_puts(b, &http);
	bench_restart(b); /* nothing was reported: nothing to remember */
	docker_puts(b, &http);
	assert_check(b, "service:d", "critical", "");
	ran(b, "service:d", CHECK_PASSING, "fine");
	bench_restart(b);
	assert_null(local_check_find(b->local, STR("service:d")));
	docker_puts(b, &http);
	assert_seen(b, "service:d", "passing", "fine"); /* never critical in between */
	assert_true(own_check(b, "service:d")->reported);
	/* only as it was defined */
	bench_restart(b);
	http.http = STR("http://b/");
	docker_puts(b, &http);
	assert_check(b, "service:d", "critical", "");
	ran(b, "service:d", CHECK_WARNING, "hm");
	/* changed without a new report: the state goes with it */
	http.interval = 2 * NSEC_SEC;
	docker_puts(b, &http);
	bench_restart(b);
	docker_puts(b, &http);
	assert_seen(b, "service:d", "warning", "hm");
	/* not what was removed */
	local_service_remove(b->local, b->now, STR("d"), &b->err);
	docker_puts(b, &http);
	assert_check(b, "service:d", "critical", "");
	ran(b, "service:d", CHECK_PASSING, "fine");
	local_service_remove(b->local, b->now, STR("d"), &b->err);
	bench_restart(b);
	docker_puts(b, &http);
	assert_check(b, "service:d", "critical", "");
	/* and not for ever */
	ran(b, "service:d", CHECK_PASSING, "fine");
	bench_restart(b);
	assert_true(local_deadline(b->local) == b->now.mono + 10 * NSEC_MIN);
	later(b, 10 * NSEC_MIN);
	local_tick(b->local, b->now);
	assert_true(local_deadline(b->local) == NSEC_NEVER);
	bench_restart(b);
	docker_puts(b, &http);
	assert_check(b, "service:d", "critical", "");
}

/* So a node that restarts says what it said before, and nobody has to fetch anything. */
static void
the_coordinate_is_back(void **state)
{
	const struct coordinate_info at = { .vec = { 0.5 }, .error = 0.25, .height = 0.001 };
	struct bench *b = *state;
	struct coordinate_info out;
	uint64_t hash;

	assert_false(local_coordinate(b->local, &out));
	assert_int_equal(local_coordinate_put(b->local, b->now, &at, &b->err), 1);
	assert_int_equal(local_coordinate_put(b->local, b->now, &at, &b->err), 0);
	hash = owner_digest(store_owner(b->store, &b->config.self)).hash;
	bench_restart(b);
	assert_true(local_coordinate(b->local, &out));
	assert_true(out.vec[0] == 0.5 && out.error == 0.25 && out.height == 0.001);
	assert_true(owner_digest(store_owner(b->store, &b->config.self)).hash == hash);
	assert_int_equal(local_coordinate_put(b->local, b->now, &at, &b->err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		local_test(reports_go_only_to_ttl_checks),
		local_test(a_ttl_runs_out),
		local_test(long_output_is_cut),
		local_test(output_alone_is_no_news),
		local_test(a_service_critical_for_too_long_goes),
		local_test(patience_begins_anew_with_a_restart),
		local_test(the_least_patience_is_an_option),
		local_test(a_changed_service_wakes_who_waits_for_its_hash),
		local_test(what_the_api_registered_is_back),
		local_test(what_docker_takes_over_is_not_kept),
		local_test(news_names_checks_that_are_defined_otherwise),
		local_test(what_ran_keeps_its_state),
		local_test(output_of_a_run_is_not_cut_again),
		local_test(what_dockers_checks_reported_is_remembered),
		local_test(the_coordinate_is_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

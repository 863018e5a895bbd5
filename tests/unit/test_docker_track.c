/* The life of a container, as its services show it: draining, pause, end, health, rivals. */
#include "tests/unit/docker_story.h"

static void
a_stop_signal_drains_until_the_end(void **unused)
{
	(void)unused;
	reach_one("", "");
	event("kill", "aa", ",\"signal\":\"15\"");
	story("check docker-state:h:web:80 2 container is draining: it was told to stop\n");
	event("die", "aa", ",\"exitCode\":\"0\"");
	story("remove h:web:80\n");
	event("destroy", "aa", "");
	story("");
}

static void
other_signals_change_nothing(void **unused)
{
	(void)unused;
	reach_one("", "");
	event("kill", "aa", ",\"signal\":\"1\"");
	event("kill", "aa", ",\"signal\":\"\"");
	event("kill", "aa", "");
	event("kill", "aa", ",\"signal\":\"2\"");
	wait_for(100 * NSEC_SEC);
	story("");
}

static void
its_own_stop_signal_by_any_name(void **unused)
{
	(void)unused;
	reach_one(",\"StopSignal\":\"SIGRTMIN+3\"", "");
	event("kill", "aa", ",\"signal\":\"36\"");
	story("");
	event("kill", "aa", ",\"signal\":\"37\"");
	story("check docker-state:h:web:80 2 container is draining: it was told to stop\n");
}

static void
back_after_the_wait_which_each_stop_signal_begins_anew(void **unused)
{
	(void)unused;
	reach_one("", "");
	event("kill", "aa", ",\"signal\":\"15\"");
	forget();
	wait_for(50 * NSEC_SEC);
	event("kill", "aa", ",\"signal\":\"1\""); /* not this one */
	event("kill", "aa", ",\"signal\":\"SIGKILL\"");
	wait_for(59 * NSEC_SEC);
	story("");
	wait_for(2 * NSEC_SEC);
	story("uncheck docker-state:h:web:80\n");
}

static void
a_longer_stop_timeout_counts(void **unused)
{
	(void)unused;
	reach_one(",\"StopTimeout\":90", "");
	event("kill", "aa", ",\"signal\":\"15\"");
	forget();
	wait_for(89 * NSEC_SEC);
	story("");
	wait_for(2 * NSEC_SEC);
	story("uncheck docker-state:h:web:80\n");
}

static void
a_stop_signal_before_the_inspect_is_not_lost(void **unused)
{
	(void)unused;
	reach("[]");
	event("start", "bb", "");
	event("kill", "bb", ",\"signal\":\"3\"");
	event("kill", "bb", ",\"signal\":\"10\"");
	forget();
	answer("/bb/json", 200, running("bb", "b", 81, 0, ",\"StopSignal\":\"QUIT\"", ""));
	story("service h:b:80 10.0.0.1:81\n"); /* started at .5 s, told at .002: an earlier run */
	wait_for(NSEC_SEC);
	event("kill", "bb", ",\"signal\":\"3\"");
	story("check docker-state:h:b:80 2 container is draining: it was told to stop\n");

	event("die", "bb", ",\"exitCode\":\"0\"");
	event("start", "bb", "");
	event("kill", "bb", ",\"signal\":\"3\"");
	forget();
	answer("/bb/json", 200, running("bb", "b", 81, 0, ",\"StopSignal\":\"QUIT\"", ""));
	story("service h:b:80 10.0.0.1:81\n"
	      "check docker-state:h:b:80 2 container is draining: it was told to stop\n");
}

static void
a_new_run_is_not_draining(void **unused)
{
	(void)unused;
	reach_one("", "");
	event("kill", "aa", ",\"signal\":\"15\"");
	event("start", "aa", ""); /* its end was not seen */
	forget();
	answer("/aa/json", 200, running("aa", "web", 8080, 21, "", ""));
	story("uncheck docker-state:h:web:80\n");
}

static void
paused_is_critical_and_outlives_a_drain(void **unused)
{
	(void)unused;
	reach_one("", "");
	event("pause", "aa", "");
	story("check docker-state:h:web:80 2 container is paused\n");
	event("kill", "aa", ",\"signal\":\"15\"");
	story("");
	wait_for(61 * NSEC_SEC);
	story("");
	event("unpause", "aa", "");
	story("uncheck docker-state:h:web:80\n");
	event("kill", "aa", ",\"signal\":\"15\"");
	event("pause", "aa", "");
	event("unpause", "aa", "");
	story("check docker-state:h:web:80 2 container is draining: it was told to stop\n"
	      "check docker-state:h:web:80 2 container is paused\n"
	      "check docker-state:h:web:80 2 container is draining: it was told to stop\n");
}

static void
a_paused_container_is_found_paused(void **unused)
{
	(void)unused;
	reach("[{\"Id\":\"aa\",\"State\":\"paused\"}]");
	forget();
	answer("/aa/json", 200, running("aa", "web", 8080, 1, "", ",\"Paused\":true"));
	story("service h:web:80 10.0.0.1:8080\n"
	      "check docker-state:h:web:80 2 container is paused\n"
	      "synced\n");
}

static void
on_success_keeps_what_failed(void **unused)
{
	(void)unused;
	teardown(NULL);
	config.deregister = DOCKER_DEREGISTER_ON_SUCCESS;
	begin();
	for (int code = 0; code < 5; code++) {
		static const int codes[] = { 0, 128, 137, 1, 127 };
		char attribute[64];

		wait_for(20 * NSEC_SEC);
		if (code == 0)
			reach("[]");
		event("start", "aa", "");
		answer("/aa/json", 200, running("aa", "web", 8080, 1, "", ""));
		forget();
		snprintf(attribute, sizeof attribute, ",\"exitCode\":\"%d\"", codes[code]);
		event("die", "aa", attribute);
		if (codes[code] == 0 || codes[code] >= 128)
			story("remove h:web:80\n");
	}
	story("check docker-state:h:web:80 2 exited with code 127\n");
	event("kill", "aa", ",\"signal\":\"15\"");
	event("die", "aa", ",\"exitCode\":\"0\""); /* nothing that died dies again */
	story("");

	event("start", "aa", "");
	forget();
	answer("/aa/json", 200, running("aa", "web", 8080, 200, "", ""));
	story("uncheck docker-state:h:web:80\n");
	wait_for(200 * NSEC_SEC);
	event("die", "aa", ",\"exitCode\":\"3\"");
	event("destroy", "aa", "");
	story("check docker-state:h:web:80 2 exited with code 3\n"
	      "remove h:web:80\n");
}

static void
on_success_at_a_reconcile(void **unused)
{
	(void)unused;
	teardown(NULL);
	config.deregister = DOCKER_DEREGISTER_ON_SUCCESS;
	begin();
	reach_one("", "");
	event("die", "aa", ",\"exitCode\":\"3\"");
	forget();
	docker_resync(docker, now);
	drain();
	story("> /v1.41/containers/json?all=1\n");
	answer("?all=1", 200,
	    "[{\"Id\":\"aa\",\"State\":\"exited\"},{\"Id\":\"bb\",\"State\":\"exited\"}]");
	story("synced\n"); /* aa is still there; bb was never seen running */

	docker_resync(docker, now);
	drain();
	forget();
	answer("?all=1", 200, "[]");
	story("remove h:web:80\nsynced\n");

	/* Ended while nobody looked: its code comes from the inspect. */
	event("start", "aa", "");
	answer("/aa/json", 200, running("aa", "web", 8080, 10, "", ""));
	docker_resync(docker, now);
	drain();
	answer("?all=1", 200, "[{\"Id\":\"aa\",\"State\":\"exited\"}]");
	forget();
	answer("/aa/json", 200, ended("aa", 5));
	story("service h:web:80 10.0.0.1:8080\ncheck docker-state:h:web:80 2 exited with code 5\nsynced\n");
}

static void
health_is_a_check_with_the_probes_output(void **unused)
{
	(void)unused;
	reach("[{\"Id\":\"aa\",\"State\":\"running\"}]");
	forget();
	answer("/aa/json", 200,
	    running("aa", "web", 8080, 1, "", ",\"Health\":{\"Status\":\"starting\",\"Log\":[]}"));
	story("service h:web:80 10.0.0.1:8080\n"
	      "check docker-health:h:web:80 2 container is starting\n"
	      "synced\n");
	event("health_status: healthy", "aa", "");
	answer("/aa/json", 200,
	    running("aa", "web", 8080, 1, "",
		",\"Health\":{\"Status\":\"healthy\",\"Log\":[{\"Output\":\"fine\"}]}"));
	story("> /v1.41/containers/aa/json\ncheck docker-health:h:web:80 0 fine\n");
	event("health_status: unhealthy", "aa", "");
	answer("/aa/json", 200,
	    running("aa", "web", 8080, 1, "",
		",\"Health\":{\"Status\":\"unhealthy\",\"Log\":[{\"Output\":\"fine\"},{\"Output\":"
		"\"no\"}]}"));
	story("> /v1.41/containers/aa/json\ncheck docker-health:h:web:80 2 no\n");
	event("update", "aa", "");
	answer("/aa/json", 200, running("aa", "web", 8080, 1, "", ""));
	story("> /v1.41/containers/aa/json\nuncheck docker-health:h:web:80\n");
}

static void
of_two_with_one_id_the_newest_wins(void **unused)
{
	const char *same = ",\"Env\":[\"SERVICE_ID=one\"]";

	(void)unused;
	wait_for(100 * NSEC_SEC);
	reach("[{\"Id\":\"aa\",\"State\":\"running\"},{\"Id\":\"bb\",\"State\":\"running\"}]");
	forget();
	answer("/bb/json", 200, running("bb", "new", 82, 20, same, ""));
	answer("/aa/json", 200, running("aa", "old", 81, 10, same, ",\"Paused\":true"));
	story("service one 10.0.0.1:82\n"
	      "warn two containers offer one service, the newest wins id=one winner=bb other=aa\n"
	      "synced\n");
	event("start", "cc", "");
	forget();
	answer("/cc/json", 200, running("cc", "newer", 83, 100, same, ""));
	story("warn two containers offer one service, the newest wins id=one winner=cc other=bb\n"
	      "service one 10.0.0.1:83\n");
	wait_for(NSEC_SEC);
	event("die", "cc", ",\"exitCode\":\"0\"");
	story("service one 10.0.0.1:82\n");
	event("die", "bb", ",\"exitCode\":\"0\"");
	story("service one 10.0.0.1:81\ncheck docker-state:one 2 container is paused\n");
	event("die", "aa", ",\"exitCode\":\"0\"");
	story("remove one\n");
	assert_int_equal(docker_stats(docker).services, 0);
	assert_int_equal(docker_stats(docker).containers, 0);
}

static void
what_runs_beats_a_newer_one_that_failed(void **unused)
{
	const char *same = ",\"Env\":[\"SERVICE_ID=one\"]";

	(void)unused;
	teardown(NULL);
	config.deregister = DOCKER_DEREGISTER_ON_SUCCESS;
	begin();
	wait_for(100 * NSEC_SEC);
	reach("[{\"Id\":\"aa\",\"State\":\"running\"},{\"Id\":\"bb\",\"State\":\"running\"}]");
	answer("/bb/json", 200, running("bb", "new", 82, 20, same, ""));
	answer("/aa/json", 200, running("aa", "old", 81, 10, same, ""));
	forget();
	event("die", "bb", ",\"exitCode\":\"1\"");
	story("service one 10.0.0.1:81\n");
	event("die", "aa", ",\"exitCode\":\"1\"");
	story("service one 10.0.0.1:82\ncheck docker-state:one 2 exited with code 1\n");
}

static void
a_rename_makes_before_it_breaks(void **unused)
{
	(void)unused;
	reach_one("", "");
	event("kill", "aa", ",\"signal\":\"15\"");
	event("rename", "aa", ",\"oldName\":\"/web\"");
	forget();
	answer("/aa/json", 200, running("aa", "shop", 8080, 10, "", ""));
	story("service h:shop:80 10.0.0.1:8080\n"
	      "check docker-state:h:shop:80 2 container is draining: it was told to stop\n"
	      "remove h:web:80\n");
}

static void
equal_is_no_news_and_any_difference_is(void **unused)
{
	static const char *const more[] = { "", ",\"Env\":[\"SERVICE_TAGS=a\"]",
		",\"Env\":[\"SERVICE_TAGS=b\"]", ",\"Env\":[\"SERVICE_TAGS=b\",\"SERVICE_X=\"]",
		",\"Env\":[\"SERVICE_TAGS=b\",\"SERVICE_X=1\"]",
		",\"Env\":[\"SERVICE_CHECK_TTL=1s\"]", ",\"Env\":[\"SERVICE_NAME=n\"]" };

	(void)unused;
	reach_one("", "");
	for (size_t i = 0; i < 2 * sizeof more / sizeof more[0]; i++) {
		event("update", "aa", "");
		forget();
		answer("/aa/json", 200, running("aa", "web", 8080, 10, more[i / 2], ""));
		story(i % 2 == 0 && i > 0 ? "service h:web:80 10.0.0.1:8080\n" : "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(a_stop_signal_drains_until_the_end),
		story_test(other_signals_change_nothing),
		story_test(its_own_stop_signal_by_any_name),
		story_test(back_after_the_wait_which_each_stop_signal_begins_anew),
		story_test(a_longer_stop_timeout_counts),
		story_test(a_stop_signal_before_the_inspect_is_not_lost),
		story_test(a_new_run_is_not_draining),
		story_test(paused_is_critical_and_outlives_a_drain),
		story_test(a_paused_container_is_found_paused),
		story_test(on_success_keeps_what_failed),
		story_test(on_success_at_a_reconcile),
		story_test(health_is_a_check_with_the_probes_output),
		story_test(of_two_with_one_id_the_newest_wins),
		story_test(what_runs_beats_a_newer_one_that_failed),
		story_test(a_rename_makes_before_it_breaks),
		story_test(equal_is_no_news_and_any_difference_is),
	};

	return cmocka_run_group_tests_name("docker_track", tests, NULL, NULL);
}

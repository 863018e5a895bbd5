/* Tasks of a swarm among the containers: asking for services, workers, changes, the last good
 * instance. */
#include "tests/unit/docker_story.h"
#include "watcher/docker_event.h"
#include "watcher/swarm.h"

#define OF_WEB "\"com.docker.swarm.service.id\":\"s1\""
#define LABELS OF_WEB ",\"com.docker.swarm.service.name\":\"web\""

/* Task `slot` of web, on the ingress network, with port 80 exposed. */
static const char *
task(const char *id, int slot, const char *state_more)
{
	static char text[4096];

	snprintf(text, sizeof text,
	    "{\"Id\":\"%s\",\"Name\":\"/"
	    "web.%d.t%d\",\"Config\":{\"Image\":\"img\",\"Labels\":{" LABELS
	    "},\"ExposedPorts\":{\"80/tcp\":{}}},\"State\":{\"Running\":true,\"StartedAt\":"
	    "\"1970-01-01T00:16:30.%dZ\"%s},\"HostConfig\":{\"NetworkMode\":\"default\"},"
	    "\"NetworkSettings\":{\"Ports\":{\"80/tcp\":null},\"Networks\":{\"ingress\":{"
	    "\"IPAddress\":\"10.0.0.%d\"}}}}",
	    id, slot, slot, slot, state_more, 10 + slot);
	return text;
}

/* The service, published at `port`. */
static const char *
service(int port)
{
	static char text[2048];

	snprintf(text, sizeof text,
	    "{\"ID\":\"s1\",\"Spec\":{\"Name\":\"web\",\"Labels\":{},\"EndpointSpec\":{\"Mode\":"
	    "\"vip\""
	    "}},\"Endpoint\":{\"Spec\":{\"Mode\":\"vip\"},\"Ports\":[{\"Protocol\":\"tcp\","
	    "\"TargetPort\":80,\"PublishedPort\":%d,\"PublishMode\":\"ingress\"}]}}",
	    port);
	return text;
}

static const char no_manager[] =
    "{\"message\":\"This node is not a swarm manager. Worker nodes can't be used to view or "
    "modify cluster state.\"}";
static const char no_leader[] =
    "{\"message\":\"rpc error: code = Unknown desc = The swarm does not have a leader.\"}";

static void
reach_empty(void)
{
	reach("[]");
	forget();
}

static void
swarm_event(const char *type, const char *id)
{
	static char text[512];

	wait_for(NSEC_MS);
	snprintf(text, sizeof text,
	    "{\"Type\":\"%s\",\"Action\":\"update\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":{}},"
	    "\"timeNano\":%lld}\n",
	    type, id, (long long)now.wall_ms * 1000000);
	bytes(text);
}

/* A manager that follows tasks 1 (aa) and, with `both`, 2 (bb). */
static void
reach_web(bool both)
{
	reach_empty();
	event("start", "aa", "," OF_WEB);
	answer("/aa/json", 200, task("aa", 1, ""));
	answer("/services/s1", 200, service(8080));
	if (both) {
		event("start", "bb", "," OF_WEB);
		answer("/bb/json", 200, task("bb", 2, ""));
	}
	forget();
}

static void
a_service_is_asked_for_once(void **unused)
{
	(void)unused;
	reach_empty();
	event("start", "aa", "," OF_WEB);
	answer("/aa/json", 200, task("aa", 1, ""));
	story("> /v1.41/containers/aa/json\n> /v1.41/services/s1\n");
	answer("/services/s1", 200, service(8080));
	story("service h:web.1.t1:80 10.0.0.1:8080\n");
	event("start", "bb", "," OF_WEB);
	answer("/bb/json", 200, task("bb", 2, ""));
	story("> /v1.41/containers/bb/json\nservice h:web.2.t2:80 10.0.0.1:8080\n");
	event("destroy", "bb", "," OF_WEB);
	story("remove h:web.2.t2:80\n");
}

static void
a_changed_service_changes_its_tasks(void **unused)
{
	(void)unused;
	reach_web(false);
	swarm_event("service", "another");
	story("");
	swarm_event("service", "s1");
	story("> /v1.41/containers/aa/json\n");
	answer("/aa/json", 200, task("aa", 1, ""));
	answer("/services/s1", 200, service(9090));
	story("> /v1.41/services/s1\nservice h:web.1.t1:80 10.0.0.1:9090\n");
}

static void
an_end_while_its_service_is_asked_for(void **unused)
{
	(void)unused;
	reach_empty();
	event("start", "aa", "," OF_WEB);
	answer("/aa/json", 200, task("aa", 1, ""));
	event("destroy", "aa", "," OF_WEB);
	forget();
	answer("/services/s1", 200, service(8080));
	story("");
	assert_int_equal(docker_stats(docker).containers, 0);
}

static void
without_a_leader_what_was_known_holds(void **unused)
{
	(void)unused;
	reach_web(false);
	swarm_event("service", "s1");
	answer("/aa/json", 200, task("aa", 1, ""));
	answer("/services/s1", 503, no_leader);
	story("> /v1.41/containers/aa/json\n> /v1.41/services/s1\n");
	wait_for(5 * NSEC_SEC); /* asked again */
	answer("/aa/json", 200, task("aa", 1, ""));
	answer("/services/s1", 200, service(9090));
	story("> /v1.41/containers/aa/json\n> /v1.41/services/s1\n"
	      "service h:web.1.t1:80 10.0.0.1:9090\n");
}

static void
a_worker_asks_the_network(void **unused)
{
	(void)unused;
	reach_empty();
	event("start", "aa", "," OF_WEB);
	answer("/aa/json", 200, task("aa", 1, ""));
	answer("/services/s1", 503, no_manager);
	story("> /v1.41/containers/aa/json\n> /v1.41/services/s1\n"
	      "> /v1.41/networks/ingress?verbose=true\n");
	answer("verbose=true", 200, "{\"Name\":\"ingress\",\"Services\":{}}");
	story(""); /* not known there yet */
	wait_for(NSEC_SEC / 2);
	answer("/aa/json", 200, task("aa", 1, ""));
	story("> /v1.41/containers/aa/json\n> /v1.41/networks/ingress?verbose=true\n");
	answer("verbose=true", 200,
	    "{\"Services\":{\"web\":{\"Ports\":[\"Target: 80, Publish: 8080\"]}}}");
	story("service h:web.1.t1:80 10.0.0.1:8080\n");
	event("start", "bb", "," OF_WEB);
	answer("/bb/json", 200, task("bb", 2, ""));
	story("> /v1.41/containers/bb/json\nservice h:web.2.t2:80 10.0.0.1:8080\n");

	/* Promoted: managers hear of nodes, and may ask. */
	swarm_event("node", "n1");
	story("> /v1.41/containers/bb/json\n> /v1.41/containers/aa/json\n");
	answer("/aa/json", 200, task("aa", 1, ""));
	answer("/services/s1", 200, service(7070));
	answer("/bb/json", 200, task("bb", 2, ""));
	story("> /v1.41/services/s1\nservice h:web.1.t1:80 10.0.0.1:7070\n"
	      "service h:web.2.t2:80 10.0.0.1:7070\n");
}

static void
the_network_that_knows_nothing_is_not_asked_for_ever(void **unused)
{
	unsigned asked_for = 0;

	(void)unused;
	reach_empty();
	event("start", "aa", "," OF_WEB);
	answer("/aa/json", 200, task("aa", 1, ""));
	answer("/services/s1", 503, no_manager);
	for (; asked_count > 0 && asked_for < 100; asked_for++) {
		answer("verbose=true", 404, "{}");
		wait_for(NSEC_SEC / 2);
		if (asked_count > 0)
			answer("/aa/json", 200, task("aa", 1, ""));
		if (asked_count > 0 && strstr(asked[0].path, "services") != NULL)
			answer("/services/s1", 503, no_manager);
	}
	assert_in_range(asked_for, 10, 50);
	assert_non_null(strstr(told, "warn swarm service of a task not known"));
}

static void
the_last_one_goes_when_the_next_is_known(void **unused)
{
	(void)unused;
	reach_web(false);
	event("start", "bb", "," OF_WEB);
	event("kill", "aa", ",\"signal\":\"15\"," OF_WEB);
	story("> /v1.41/containers/bb/json\n"); /* not yet: nobody would be left */
	answer("/bb/json", 200, task("bb", 2, ""));
	story("service h:web.2.t2:80 10.0.0.1:8080\n"
	      "check docker-state:h:web.1.t1:80 2 container is draining: it was told to stop\n");
	event("die", "aa", ",\"exitCode\":\"0\"," OF_WEB);
	story("remove h:web.1.t1:80\n");
}

static void
the_end_of_the_last_one_waits_too(void **unused)
{
	(void)unused;
	reach_web(false);
	event("start", "bb", "," OF_WEB);
	event("kill", "aa", ",\"signal\":\"15\"," OF_WEB);
	event("die", "aa", ",\"exitCode\":\"0\"," OF_WEB);
	story("> /v1.41/containers/bb/json\n> /v1.41/containers/aa/json\n");
	answer("/bb/json", 200, task("bb", 2, ""));
	answer("/aa/json", 200, ended("aa", 0));
	story("service h:web.2.t2:80 10.0.0.1:8080\n"
	      "check docker-state:h:web.1.t1:80 2 container is draining: it was told to stop\n"
	      "remove h:web.1.t1:80\n");
}

static void
a_signal_does_not_wait_for_long(void **unused)
{
	(void)unused;
	reach_web(false);
	event("start", "bb", "," OF_WEB);
	event("kill", "aa", ",\"signal\":\"15\"," OF_WEB);
	forget();
	wait_for(199 * NSEC_MS);
	story("");
	wait_for(2 * NSEC_MS);
	story("check docker-state:h:web.1.t1:80 2 container is draining: it was told to stop\n");
}

static void
a_signal_waits_for_nobody_while_another_is_good(void **unused)
{
	(void)unused;
	reach_web(true);
	event("start", "cc", "," OF_WEB);
	forget();
	event("kill", "aa", ",\"signal\":\"15\"," OF_WEB);
	story("check docker-state:h:web.1.t1:80 2 container is draining: it was told to stop\n");
}

static void
a_signal_that_waits_survives_the_engine(void **unused)
{
	(void)unused;
	reach_web(false);
	event("start", "bb", "," OF_WEB);
	event("kill", "aa", ",\"signal\":\"15\"," OF_WEB);
	forget();
	docker_lost(docker, now, STR("gone"));
	drain();
	story("> close\n"
	      "check docker-state:h:web.1.t1:80 2 container is draining: it was told to stop\n"
	      "away gone\n");
}

static void
health_counts(void **unused)
{
	(void)unused;
	reach_web(false);
	event("start", "bb", "," OF_WEB);
	answer("/bb/json", 200, task("bb", 2, ",\"Health\":{\"Status\":\"starting\"}"));
	event("health_status: healthy", "bb", "," OF_WEB);
	forget();
	event("kill", "aa", ",\"signal\":\"15\"," OF_WEB);
	story(""); /* bb is not known to be healthy */
	answer("/bb/json", 200, task("bb", 2, ",\"Health\":{\"Status\":\"healthy\"}"));
	story("check docker-health:h:web.2.t2:80 0 \n"
	      "check docker-state:h:web.1.t1:80 2 container is draining: it was told to stop\n");
}

static void
who_is_no_task_asks_for_nothing(void **unused)
{
	(void)unused;
	reach_one("", "");
	swarm_event("service", "s1");
	swarm_event("node", "n1");
	story("");
	event("kill", "aa", ",\"signal\":\"15\"");
	story("check docker-state:h:web:80 2 container is draining: it was told to stop\n");
}

static void
events_of_the_swarm(void **unused)
{
	struct docker_event ev;

	(void)unused;
	assert_int_equal(
	    docker_event_read(STR("{\"Type\":\"service\",\"Action\":\"remove\",\"Actor\":"
				  "{\"ID\":\"abc\"}}"),
		&ev, NULL),
	    0);
	assert_int_equal(ev.kind, EVENT_SERVICE_CHANGED);
	assert_string_equal(ev.service, "abc");
	assert_int_equal(
	    docker_event_read(
		STR("{\"Type\":\"service\",\"Action\":\"update\",\"Actor\":{\"ID\":\"../x\"}}"),
		&ev, NULL),
	    0);
	assert_string_equal(ev.service, "");
	assert_int_equal(
	    docker_event_read(STR("{\"Type\":\"node\",\"Action\":\"update\"}"), &ev, NULL), 0);
	assert_int_equal(ev.kind, EVENT_NODE_CHANGED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(a_service_is_asked_for_once),
		story_test(a_changed_service_changes_its_tasks),
		story_test(an_end_while_its_service_is_asked_for),
		story_test(without_a_leader_what_was_known_holds),
		story_test(a_worker_asks_the_network),
		story_test(the_network_that_knows_nothing_is_not_asked_for_ever),
		story_test(the_last_one_goes_when_the_next_is_known),
		story_test(the_end_of_the_last_one_waits_too),
		story_test(a_signal_does_not_wait_for_long),
		story_test(a_signal_waits_for_nobody_while_another_is_good),
		story_test(a_signal_that_waits_survives_the_engine),
		story_test(health_counts),
		story_test(who_is_no_task_asks_for_nothing),
		cmocka_unit_test(events_of_the_swarm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

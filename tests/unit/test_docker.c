/* One engine: reached, listed, followed, lost; order, limits and bad input. */
#include "base/buf.h"
#include "tests/unit/docker_story.h"
#include "watcher/docker_event.h"

static void
first_contact(void **unused)
{
	(void)unused;
	story("> /version\n");
	answer("/version", 200, "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}");
	story("> stream /v1.41/events?\n");
	docker_connected(docker, now);
	drain();
	story("> /v1.41/containers/json\n");
	answer("/json", 200,
	    "[{\"Id\":\"aa\",\"State\":\"running\"},{\"Id\":\"bb\",\"State\":\"restarting\"},"
	    "{\"Id\":\"cc\",\"State\":\"created\"}]");
	story("> /v1.41/containers/aa/json\n");
	answer("/aa/json", 200, running("aa", "web", 8080, 1, "", ""));
	story("service h:web:80 10.0.0.1:8080\nsynced\n");
	assert_int_equal(docker_stats(docker).containers, 1);
	assert_int_equal(docker_stats(docker).services, 1);
	assert_true(docker_deadline(docker) == NSEC_NEVER); /* idle means idle */
}

static void
versions_are_negotiated(void **unused)
{
	static const struct {
		const char *answer, *story;
	} table[] = {
		{ "{\"ApiVersion\":\"1.24\",\"MinAPIVersion\":\"1.12\"}",
		    "> stream /v1.24/events?\n" },
		{ "{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.24\"}",
		    "> stream /v1.41/events?\n" },
		{ "{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}",
		    "> stream /v1.44/events?\n" },
		{ "{\"ApiVersion\":\"2.0\"}", "> stream /v1.41/events?\n" },
		{ "{}", "> stream /events?\n" },
		{ "{\"ApiVersion\":\"1.x/../\"}", "> stream /events?\n" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		teardown(NULL);
		begin();
		forget();
		answer("/version", 200, table[i].answer);
		story(table[i].story);
	}
}

static void
the_engines_name_on_request(void **unused)
{
	(void)unused;
	teardown(NULL);
	config.host_from_engine = true;
	begin();
	answer("/version", 200, "{\"ApiVersion\":\"1.41\"}");
	answer("/info", 200, "{\"Name\":\"node-7\"}");
	docker_connected(docker, now);
	drain();
	answer("/json", 200, "[{\"Id\":\"aa\",\"State\":\"running\"}]");
	forget();
	answer("/aa/json", 200, running("aa", "web", 8080, 1, "", ""));
	story("service node-7:web:80 10.0.0.1:8080\nsynced\n");
}

static void
what_happens_during_the_list_is_not_missed(void **unused)
{
	(void)unused;
	answer("/version", 200, "{\"ApiVersion\":\"1.41\"}");
	docker_connected(docker, now);
	drain();
	forget();
	event("start", "bb", ""); /* newer than the list, which knows nothing of it */
	event("start", "dd", ""); /* in the list, too */
	event("die", "cc", "");   /* older than the list: cc runs again in it */
	story("> /v1.41/containers/bb/json\n> /v1.41/containers/dd/json\n");
	answer("/containers/json", 200,
	    "[{\"Id\":\"cc\",\"State\":\"running\"},{\"Id\":\"dd\",\"State\":\"running\"}]");
	story("> /v1.41/containers/cc/json\n"); /* and dd is not asked for twice */
	answer("/bb/json", 200, running("bb", "b", 82, 1, "", ""));
	answer("/cc/json", 200, running("cc", "c", 83, 1, "", ""));
	answer("/dd/json", 200, running("dd", "d", 84, 1, "", ""));
	story("service h:b:80 10.0.0.1:82\nservice h:c:80 10.0.0.1:83\n"
	      "service h:d:80 10.0.0.1:84\nsynced\n");
}

static void
an_old_run_does_not_end_the_new_one(void **unused)
{
	(void)unused;
	reach_one("", ""); /* started at second 10.5 */
	wait_for(NSEC_SEC);
	bytes("{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"aa\",\"Attributes\":{"
	      "\"exitCode\":\"0\"}},\"timeNano\":1010400000000}");
	story("> /v1.41/containers/aa/json\n"); /* asks, instead of believing */
	answer("/aa/json", 200, running("aa", "web", 8080, 10, "", ""));
	story("");
}

static void
an_answer_older_than_an_event_is_put_aside(void **unused)
{
	(void)unused;
	reach("[]");
	event("start", "aa", "");
	forget();
	event("pause", "aa", "");
	answer("/aa/json", 200, running("aa", "web", 8080, 1, "", ""));
	story("> /v1.41/containers/aa/json\n");
	answer("/aa/json", 200, running("aa", "web", 8080, 1, "", ",\"Paused\":true"));
	story("service h:web:80 10.0.0.1:8080\n"
	      "check docker-state:h:web:80 2 container is paused\n");

	/* But not for ever: who is renamed all the time is shown as last seen. */
	for (int i = 0; i < 6; i++) {
		event("rename", "aa", "");
		event("rename", "aa", "");
		forget();
		answer("/aa/json", 200, running("aa", "new", 8080, 1, "", ""));
	}
	story("> /v1.41/containers/aa/json\n"
	      "service h:new:80 10.0.0.1:8080\n"
	      "remove h:web:80\n");
}

static void
gone_between_event_and_inspect(void **unused)
{
	(void)unused;
	reach("[{\"Id\":\"aa\",\"State\":\"running\"},{\"Id\":\"bb\",\"State\":\"running\"}]");
	forget();
	answer("/aa/json", 404, "{\"message\":\"No such container: aa\"}");
	answer("/bb/json", 200, ended("bb", 0));
	story("synced\n");
	event("start", "cc", "");
	event("destroy", "cc", "");
	forget();
	answer("/cc/json", 404, "");
	story("");
	assert_int_equal(docker_stats(docker).containers, 0);
}

static void
lost_and_found_again(void **unused)
{
	(void)unused;
	reach_one("", "");
	event("start", "bb", "");
	answer("/bb/json", 200, running("bb", "b", 82, 1, "", ""));
	event("kill", "aa", ",\"signal\":\"15\"");
	forget();
	docker_lost(docker, now, STR("the event stream ended"));
	drain();
	docker_lost(docker, now, STR("again"));
	drain();
	story("> close\naway the event stream ended\n");
	wait_for(250 * NSEC_MS);
	story("> /version\n");
	answer("/version", 0, "connection refused");
	story("> close\n"); /* told once */
	wait_for(499 * NSEC_MS);
	story("");
	wait_for(2 * NSEC_MS);
	story("> /version\n");
	for (int i = 0; i < 10; i++) {
		answer("/version", 0, "connection refused");
		wait_for(DOCKER_BACKOFF_MAX);
	}
	assert_int_equal(docker_stats(docker).reconnects, 12);
	forget();
	answer("/version", 200, "{\"ApiVersion\":\"1.41\"}");
	story("> stream /v1.41/events?since=1020.002000000&\n");
	docker_connected(docker, now);
	drain();
	bytes("{\"status\":\"kill\",\"id\":\"aa\",\"Type\":\"container\",\"Action\":\"kill\","
	      "\"Actor\":{"
	      "\"ID\":\"aa\",\"Attributes\":{\"image\":\"web\",\"signal\":\"15\"}},"
	      "\"timeNano\":1020002000000}\n"); /* the one that `since` names */
	answer("/containers/json", 200, "[{\"Id\":\"aa\",\"State\":\"running\"}]");
	story("> /v1.41/containers/json\n> /v1.41/containers/aa/json\nremove h:b:80\n");
	answer("/aa/json", 200, running("aa", "web", 8080, 10, "", ""));
	story("synced\n");
	wait_for(0); /* its wait was over while the engine was away; it counts only now */
	story("uncheck docker-state:h:web:80\n");
	docker_lost(docker, now, STR("the second time"));
	drain();
	story("> close\naway the second time\n");
	wait_for(250 * NSEC_MS);
	story("> /version\n"); /* the waits begin anew */
}

static void
a_stop_signal_told_late_drains_for_the_rest(void **unused)
{
	(void)unused;
	reach_one("", "");
	docker_lost(docker, now, STR("x"));
	drain();
	wait_for(50 * NSEC_SEC); /* second 70 */
	answer("/version", 200, "{\"ApiVersion\":\"1.41\"}");
	docker_connected(docker, now);
	drain();
	forget();
	bytes(
	    "{\"Type\":\"container\",\"Action\":\"kill\",\"Actor\":{\"ID\":\"aa\",\"Attributes\":{"
	    "\"signal\":\"15\"}},\"timeNano\":1025000000000}\n"); /* second 25 */
	answer("/containers/json", 200, "[{\"Id\":\"aa\",\"State\":\"running\"}]");
	answer("/aa/json", 200, running("aa", "web", 8080, 10, "", ""));
	story("check docker-state:h:web:80 2 container is draining: it was told to stop\n"
	      "> /v1.41/containers/aa/json\nsynced\n");
	wait_for(16 * NSEC_SEC);
	story("uncheck docker-state:h:web:80\n");
}

static void
never_there(void **unused)
{
	(void)unused;
	forget();
	answer("/version", 0, "no such file");
	story("> close\naway no such file\n");
	assert_true(docker_deadline(docker) == now.mono + DOCKER_BACKOFF_MIN);
	docker_resync(docker, now); /* the operator need not wait */
	wait_for(0);
	story("> /version\n");
	answer("/version", 500, "oops");
	wait_for(NSEC_SEC);
	answer("/version", 200, "not JSON");
	wait_for(NSEC_SEC);
	answer("/version", 200, "{\"ApiVersion\":\"1.41\"}");
	forget();
	wait_for(33 * NSEC_SEC); /* the stream is not answered */
	story("> close\n> /version\n");
	answer("/version", 200, "{\"ApiVersion\":\"1.41\"}");
	docker_connected(docker, now);
	drain();
	forget();
	answer("/json", 500, "{\"message\":\"no\"}");
	story("> close\n");
}

static void
at_most_so_many_inspects_at_once(void **unused)
{
	char list[8192] = "[";

	(void)unused;
	for (int i = 0; i < 40; i++)
		snprintf(list + strlen(list), sizeof list - strlen(list),
		    "%s{\"Id\":\"%02x\",\"State\":\"running\"}", i == 0 ? "" : ",", i + 16);
	strcat(list, "]");
	reach(list);
	assert_int_equal(asked_count, DOCKER_INSPECTS_MAX);
	event("start", "ff", ""); /* goes before those that wait */
	answer("/10/json", 404, "");
	assert_int_equal(asked_count, DOCKER_INSPECTS_MAX);
	assert_string_equal(asked[asked_count - 1].path, "/v1.41/containers/ff/json");
	while (asked_count > 0)
		answer("/json", 404, "");
	assert_non_null(strstr(told, "synced\n"));
	assert_int_equal(docker_stats(docker).inspects, 41);
}

static void
an_engine_that_cannot_describe(void **unused)
{
	(void)unused;
	reach("[{\"Id\":\"aa\",\"State\":\"running\"},{\"Id\":\"bb\",\"State\":\"running\"},"
	      "{\"Id\":\"cc\",\"State\":\"running\"}]");
	forget();
	answer("/aa/json", 500, "{\"message\":\"layer does not exist\"}");
	answer("/bb/json", 413, "");
	answer("/cc/json", 200, "{\"Id\":");
	story("warn container left as it is id=aa why=the engine cannot describe it\n"
	      "warn container left as it is id=bb why=its description is too long\n"
	      "warn container left as it is id=cc why=container description: line 1 column 6: "
	      "unexpected token near end of file\n"
	      "synced\n");
	wait_for(NSEC_SEC);
	story("> /v1.41/containers/aa/json\n");
	answer("/aa/json", 200, running("aa", "web", 8080, 1, "", ""));
	story("service h:web:80 10.0.0.1:8080\n");
	event("update", "aa", "");
	for (int i = 0; i < 20; i++) {
		if (asked_count > 0)
			answer("/aa/json", 500, "");
		wait_for(NSEC_SEC);
	}
	assert_int_equal(docker_stats(docker).inspects, 3 + 1 + 6); /* then it gives up */
	assert_int_equal(docker_stats(docker).services, 1);
	assert_true(docker_deadline(docker) == NSEC_NEVER);
}

static void
events_may_be_cut_anywhere(void **unused)
{
	char text[4096] = "\n";

	(void)unused;
	reach_one("", "");
	wait_for(NSEC_SEC);
	strcat(text, event_text("pause", "aa", ",\"l{]}\":\"a\\\"}{\\\\\""));
	strcat(text, event_text("unpause", "aa", ""));
	for (size_t cut = 0; cut < strlen(text); cut++) {
		docker_event_bytes(docker, now, str_head(str_of(text), cut));
		drain();
		docker_event_bytes(docker, now, str_skip(str_of(text), cut));
		drain();
		story("check docker-state:h:web:80 2 container is paused\n"
		      "uncheck docker-state:h:web:80\n");
	}
	for (const char *p = text; *p != '\0'; p++) {
		docker_event_bytes(docker, now, str_mem(p, 1));
		drain();
	}
	story("check docker-state:h:web:80 2 container is paused\n"
	      "uncheck docker-state:h:web:80\n");
	assert_int_equal(docker_stats(docker).events_bad, 0);
	docker_event_bytes(docker, now, str_head(str_of(text), 40));
	docker_lost(docker, now, STR("cut in the middle"));
	drain();
	wait_for(NSEC_SEC);
	reach("[]");
	bytes(event_text("start", "bb", "")); /* the half before is forgotten */
	assert_int_equal(docker_stats(docker).events_bad, 0);
	assert_non_null(strstr(told, "containers/bb/json"));
}

static void
what_cannot_be_read_asks_for_a_list(void **unused)
{
	struct buf big;

	(void)unused;
	reach_one("", "");
	wait_for(NSEC_SEC);
	bytes("{\"Action\":\"start\",\"Actor\":{\"ID\":\"../x\"}}");
	wait_for(0);
	story("> /v1.41/containers/json\n");
	bytes("garbage garbage{\"Action\":}");
	assert_int_equal(docker_stats(docker).events_bad, 3);
	wait_for(0);
	story(""); /* one list at a time, and not in a row */
	answer("/containers/json", 200, "[{\"Id\":\"aa\",\"State\":\"running\"}]");
	answer("/aa/json", 200, running("aa", "web", 8080, 10, "", ""));
	story("> /v1.41/containers/aa/json\nsynced\n"); /* equal: no news */
	wait_for(NSEC_SEC);
	story("> /v1.41/containers/json\n");
	answer("/containers/json", 200, "[]");
	forget();

	buf_init(&big, 4 << 20);
	buf_add(
	    &big, STR("{\"Action\":\"start\",\"Actor\":{\"ID\":\"bb\",\"Attributes\":{\"a\":\""));
	while (big.n < DOCKER_EVENT_BYTES_MAX)
		buf_addc(&big, 'x');
	buf_add(&big, STR("\"}}}"));
	for (size_t i = 0; i < big.n; i += 10000) {
		struct str rest = str_skip(buf_str(&big), i);

		docker_event_bytes(docker, now, str_head(rest, rest.n < 10000 ? rest.n : 10000));
		drain();
	}
	docker_event_bytes(docker, now, buf_str(&big)); /* in one piece, too */
	drain();
	assert_int_equal(docker_stats(docker).events_bad, 5);
	assert_int_equal(asked_count, 0);
	wait_for(NSEC_SEC);
	story("> /v1.41/containers/json\n");
	buf_done(&big);
}

static void
too_many_strangers_fall_back_to_a_list(void **unused)
{
	char id[16];

	(void)unused;
	reach("[]");
	wait_for(NSEC_SEC);
	for (int i = 0; i < DOCKER_EVENTS_QUEUED_MAX + 10; i++) {
		snprintf(id, sizeof id, "%06x", i);
		docker_event_bytes(docker, now, str_of(event_text("start", id, "")));
		drain();
	}
	assert_int_equal(docker_stats(docker).overflows, 10);
	assert_int_equal(asked_count, DOCKER_INSPECTS_MAX);
	wait_for(NSEC_SEC);
	assert_non_null(strstr(told, "00000f/json\n> /v1.41/containers/json\n"));
	docker_lost(docker, now, STR("x")); /* and all of them are forgotten */
	assert_int_equal(docker_stats(docker).containers, 0);
}

static void
a_shared_network_has_the_others_address(void **unused)
{
	const char *shares = "{\"Id\":\"aa\",\"Name\":\"/side\",\"Config\":{\"Image\":\"web\","
			     "\"ExposedPorts\":{\"80/tcp\":{}}},\"State\":{\"Running\":true},"
			     "\"HostConfig\":{\"NetworkMode\":\"container:bb\"}}";

	(void)unused;
	reach("[{\"Id\":\"aa\",\"State\":\"running\"}]");
	forget();
	answer("/aa/json", 200, shares);
	story("> /v1.41/containers/bb/json\n");
	answer("/bb/json", 200, running("bb", "b", 82, 1, "", ""));
	story("service h:side:80 172.17.0.2:80\nsynced\n");
	event("start", "bb", ""); /* with another address, perhaps */
	story("> /v1.41/containers/aa/json\n> /v1.41/containers/bb/json\n");
	answer("/aa/json", 200, shares);
	answer("/bb/json", 404, "");
	answer("/bb/json", 404, "");
	story("> /v1.41/containers/bb/json\nservice h:side:80 :80\n");
	event("destroy", "aa", "");
	story("remove h:side:80\n");
}

/* A container that shares the network of `with`, and exposes port 80. */
static const char *
sharing(const char *id, const char *with)
{
	static char text[1024];

	snprintf(text, sizeof text,
	    "{\"Id\":\"%s\",\"Name\":\"/side\",\"Config\":{\"Image\":\"web\",\"ExposedPorts\":{"
	    "\"80/tcp\":{}}},\"State\":{\"Running\":true},\"HostConfig\":{\"NetworkMode\":"
	    "\"container:%s\"}}",
	    id, with);
	return text;
}

static void
a_chain_of_shared_networks_is_followed(void **unused)
{
	(void)unused;
	reach("[{\"Id\":\"aa\",\"State\":\"running\"}]");
	answer("/aa/json", 200, sharing("aa", "bb"));
	answer("/bb/json", 200, sharing("bb", "cc"));
	forget();
	answer("/cc/json", 200, running("cc", "c", 82, 1, "", ""));
	story("service h:side:80 172.17.0.2:80\nsynced\n");
	event("start", "cc", "");
	answer("/aa/json", 200, sharing("aa", "cc"));
	answer("/cc/json", 200, running("cc", "c", 82, 1, "", ""));
	answer("/cc/json", 200, running("cc", "c", 82, 1, "", ""));
	forget();
	bytes("{\"Type\":\"network\",\"Action\":\"disconnect\",\"Actor\":{\"ID\":\"ee\","
	      "\"Attributes\":{\"container\":\"cc\"}},\"timeNano\":1020001000000}\n");
	story("> /v1.41/containers/aa/json\n> /v1.41/containers/cc/json\n");
	answer("/aa/json", 200, sharing("aa", "cc"));
	answer("/cc/json", 200, running("cc", "c", 82, 1, "", ""));
	answer("/cc/json", 200, running("cc", "c", 82, 1, "", ""));
	/* one that goes round in a circle ends */
	event("start", "dd", "");
	answer("/dd/json", 200, sharing("dd", "ee"));
	for (int i = 0; i < 2; i++) {
		answer("/ee/json", 200, sharing("ee", "dd"));
		answer("/dd/json", 200, sharing("dd", "ee"));
	}
	forget();
	assert_int_equal(asked_count, 0);
}

static void
a_choice_of_network_is_told_once(void **unused)
{
	const char *two = "{\"Id\":\"bb\",\"Name\":\"/two\",\"Config\":{\"Image\":\"web\","
			  "\"ExposedPorts\":{\"80/tcp\":{}}},\"State\":{\"Running\":true},"
			  "\"HostConfig\":{\"NetworkMode\":\"one\"},\"NetworkSettings\":{"
			  "\"Networks\":{\"one\":{\"IPAddress\":\"10.1.0.2\"},"
			  "\"two\":{\"IPAddress\":\"10.2.0.2\"}},\"Ports\":{\"80/tcp\":null}}}";

	(void)unused;
	config.rules.internal = true;
	docker_free(docker);
	begin();
	reach("[{\"Id\":\"bb\",\"State\":\"running\"}]");
	forget();
	answer("/bb/json", 200, two);
	story("warn container in several networks, SERVICE_NETWORK or -docker-network chooses "
	      "taken=one others=1 id=bb\nservice h:two:80 10.1.0.2:80\nsynced\n");
	event("rename", "bb", "");
	forget();
	answer("/bb/json", 200, two);
	story("");
}

static void
a_resync_tells_all_again(void **unused)
{
	(void)unused;
	reach_one("", ",\"Health\":{\"Status\":\"healthy\"}");
	docker_resync(docker, now);
	drain();
	answer("/containers/json", 200, "[{\"Id\":\"aa\",\"State\":\"running\"}]");
	forget();
	answer("/aa/json", 200,
	    running("aa", "web", 8080, 10, "", ",\"Health\":{\"Status\":\"healthy\"}"));
	story("service h:web:80 10.0.0.1:8080\ncheck docker-health:h:web:80 0 \nsynced\n");
	event("rename", "aa", ""); /* and once only */
	forget();
	answer("/aa/json", 200,
	    running("aa", "web", 8080, 10, "", ",\"Health\":{\"Status\":\"healthy\"}"));
	story("");
}

static void
so_many_workers_as_are_asked_for(void **unused)
{
	(void)unused;
	config.workers = 2;
	docker_free(docker);
	begin();
	reach("[{\"Id\":\"aa\",\"State\":\"running\"},{\"Id\":\"bb\",\"State\":\"running\"},"
	      "{\"Id\":\"cc\",\"State\":\"running\"}]");
	assert_int_equal(asked_count, 2);
	answer("/aa/json", 404, "");
	assert_int_equal(asked_count, 2);
	answer("/bb/json", 404, "");
	forget();
	answer("/cc/json", 404, "");
	story("synced\n");
}

static void
networks_and_strangers(void **unused)
{
	(void)unused;
	reach_one("", "");
	bytes(
	    "{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"ee\",\"Attributes\":{"
	    "\"container\":\"aa\"}},\"timeNano\":1}");
	story("> /v1.41/containers/aa/json\n");
	answer("/aa/json", 200, running("aa", "web", 8080, 10, "", ""));
	bytes(
	    "{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"ee\",\"Attributes\":{"
	    "\"container\":\"bb\"}},\"timeNano\":1}");
	event("pause", "bb", "");
	event("kill", "bb", ",\"signal\":\"15\"");
	event("rename", "bb", "");
	event("die", "bb", "");
	event("destroy", "bb", "");
	event("exec_start: x", "aa", "");
	bytes("{\"Type\":\"image\",\"Action\":\"start\"}{\"Type\":\"x\",\"Action\":\"pull\"}");
	story("");
	assert_int_equal(docker_stats(docker).events_bad, 1); /* a start without an id */
}

static void
other_rules_make_only_differences(void **unused)
{
	(void)unused;
	reach_one("", "");
	docker_reconfigure(docker, now, &config);
	drain();
	answer("/containers/json", 200, "[{\"Id\":\"aa\",\"State\":\"running\"}]");
	forget();
	answer("/aa/json", 200, running("aa", "web", 8080, 10, "", ""));
	story("synced\n");
	config.rules.tags = STR("x");
	docker_reconfigure(docker, now, &config);
	drain();
	answer("/containers/json", 200, "[{\"Id\":\"aa\",\"State\":\"running\"}]");
	forget();
	answer("/aa/json", 200, running("aa", "web", 8080, 10, "", ""));
	story("service h:web:80 10.0.0.1:8080\nsynced\n");
	config.rules.host = STR("other");
	docker_reconfigure(docker, now, &config);
	drain();
	answer("/containers/json", 200, "[{\"Id\":\"aa\",\"State\":\"running\"}]");
	docker_resync(docker, now); /* during one: after it, once more */
	forget();
	answer("/aa/json", 200, running("aa", "web", 8080, 10, "", ""));
	wait_for(0);
	story("service other:web:80 10.0.0.1:8080\nremove h:web:80\nsynced\n"
	      "> /v1.41/containers/json\n");
}

static void
news_carry_the_time_of_their_event(void **unused)
{
	struct docker_news n;

	(void)unused;
	reach_one("", "");
	docker_event_bytes(docker, now, str_of(event_text("kill", "aa", ",\"signal\":\"15\"")));
	assert_true(docker_news_next(docker, &n));
	assert_true(n.event_ns == now.wall_ms * NSEC_MS);
	assert_str(n.service.name, "web");
	assert_str(n.container, "aa");
	assert_str(n.check_name, "Docker container state");
	assert_false(docker_news_next(docker, &n));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(first_contact),
		story_test(versions_are_negotiated),
		story_test(the_engines_name_on_request),
		story_test(what_happens_during_the_list_is_not_missed),
		story_test(an_old_run_does_not_end_the_new_one),
		story_test(an_answer_older_than_an_event_is_put_aside),
		story_test(gone_between_event_and_inspect),
		story_test(lost_and_found_again),
		story_test(a_stop_signal_told_late_drains_for_the_rest),
		story_test(never_there),
		story_test(at_most_so_many_inspects_at_once),
		story_test(an_engine_that_cannot_describe),
		story_test(events_may_be_cut_anywhere),
		story_test(what_cannot_be_read_asks_for_a_list),
		story_test(too_many_strangers_fall_back_to_a_list),
		story_test(a_shared_network_has_the_others_address),
		story_test(a_chain_of_shared_networks_is_followed),
		story_test(a_choice_of_network_is_told_once),
		story_test(a_resync_tells_all_again),
		story_test(so_many_workers_as_are_asked_for),
		story_test(networks_and_strangers),
		story_test(other_rules_make_only_differences),
		story_test(news_carry_the_time_of_their_event),
	};

	return cmocka_run_group_tests_name("docker", tests, NULL, NULL);
}

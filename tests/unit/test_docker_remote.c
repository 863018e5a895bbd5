/* Tasks on nodes without an agent: who tells of them, for how long, and what is said. The lists are
 * those of tests/swarm: a manager (10.83.17.1) and a worker (10.83.17.2), both called "vm". */
#include "base/buf.h"
#include "tests/unit/docker_story.h"
#include "watcher/swarm_remote.h"

#define MANAGER "hqoh4wyfm7rkkpamus3g7kmj6"
#define WORKER "ytvcuxzjv944n41a3ia0jkxb8"
#define INFO(id) "{\"Name\":\"vm\",\"Swarm\":{\"NodeID\":\"" id "\",\"ControlAvailable\":true}}"
#define ASKED "> /v1.41/nodes\n> /v1.41/services\n> /v1.41/tasks?\n"

static struct arena arena;

static const char *
recorded(const char *name)
{
	const char *top = getenv("MUSTER_SRC");
	char path[512];
	struct str text;
	struct buf b;
	FILE *f;
	int c;

	snprintf(path, sizeof path, "%s/tests/swarm/%s", top == NULL ? ".." : top, name);
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("no %s", path);
	buf_init(&b, 1 << 20);
	while ((c = fgetc(f)) != EOF)
		buf_addc(&b, (char)c);
	fclose(f);
	text = arena_dup(&arena, buf_str(&b));
	buf_done(&b);
	return text.p;
}

static const char *
services(void)
{
	return arena_fmt(&arena, "[%s,%s,%s]", recorded("service-web.json"),
	    recorded("service-direct.json"), recorded("service-rr.json"))
	    .p;
}

static const char *const here[] = { "10.83.17.1" }, *const both[] = { "10.83.17.1", "10.83.17.2" };

static void
agents_at(const char *const *addresses, size_t count)
{
	struct docker_agent agents[4];

	for (size_t i = 0; i < count; i++)
		agents[i] = (struct docker_agent){ STR("n"), str_of(addresses[i]) };
	docker_agents(docker, now, agents, count);
	drain();
	wait_for(0);
}

static int
remote_setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 64 << 20);
	config = (struct docker_config){ .rules = { .host = STR("h"), .ip = STR("10.83.17.1") },
		.drain = 60 * NSEC_SEC,
		.remote = true };
	begin();
	return 0;
}

static int
remote_teardown(void **unused)
{
	docker_free(docker);
	arena_done(&arena);
	(void)unused;
	return 0;
}

/* The round's answers, as the leader has them. */
static void
round_of(const char *nodes, const char *tasks)
{
	answer("/nodes", 200, nodes);
	answer("/services", 200, services());
	answer("/tasks?", 200, tasks);
}

/* An engine without containers of its own, whose node is the leader; only it has an agent. */
static void
reach_leader(void)
{
	reach("[]");
	agents_at(here, 1);
	answer("/info", 200, INFO(MANAGER));
	forget();
}

static void
what_runs_elsewhere(void **unused)
{
	(void)unused;
	reach("[]");
	story("> /version\n> stream /v1.41/events?\n> /v1.41/containers/json\n");
	wait_for(NSEC_MIN);
	story(""); /* nothing before it is known where agents are */
	agents_at(here, 1);
	story("> /v1.41/info\n");
	answer("/info", 200, INFO(MANAGER));
	round_of(recorded("nodes.json"), recorded("tasks.json"));
	story(ASKED "service vm:web.3.d4vova7bffo2eds5bz7gbkrhi:80 10.83.17.2:8080\n"
		    "service vm:direct.ytvcuxzjv944n41a3ia0jkxb8.hbz1igoj86hyssoiretvm1p3q:80 "
		    "10.83.17.2:8082\n"
		    "service vm:web.1.rlu64xiklbmnd53kesx78mt21:80 10.83.17.2:8080\nsynced\n");
	assert_int_equal(docker_stats(docker).services, 3);
	wait_for(2 * NSEC_SEC); /* and again: nothing has changed */
	round_of(recorded("nodes.json"), recorded("tasks.json"));
	story(ASKED);
	wait_for(2 * NSEC_SEC);
	round_of(recorded("nodes.json"), "[]"); /* ended */
	story(ASKED "remove vm:web.3.d4vova7bffo2eds5bz7gbkrhi:80\n"
		    "remove vm:direct.ytvcuxzjv944n41a3ia0jkxb8.hbz1igoj86hyssoiretvm1p3q:80\n"
		    "remove vm:web.1.rlu64xiklbmnd53kesx78mt21:80\n");
}

static void
an_agent_comes_to_the_node(void **unused)
{
	(void)unused;
	reach_leader();
	round_of(recorded("nodes.json"), recorded("tasks.json"));
	forget();
	agents_at(both, 2);
	answer("/nodes", 200, recorded("nodes.json"));
	story("> /v1.41/nodes\n"); /* for some time both tell of them */
	for (int i = 0; i < 4; i++) {
		wait_for(2 * NSEC_SEC);
		answer("/nodes", 200, recorded("nodes.json"));
	}
	forget();
	wait_for(2 * NSEC_SEC);
	answer("/nodes", 200, recorded("nodes.json"));
	assert_non_null(strstr(told, "remove vm:web.1.rlu64xiklbmnd53kesx78mt21:80\n"));
	assert_int_equal(docker_stats(docker).services, 0);
}

static void
only_the_leader_tells(void **unused)
{
	(void)unused;
	reach("[]");
	agents_at(here, 1);
	answer("/info", 200, INFO(WORKER)); /* no leader in the list */
	forget();
	answer("/nodes", 200, recorded("nodes.json"));
	story("synced\n");
	wait_for(10 * NSEC_SEC);
	story("> /v1.41/nodes\n");
	answer("/nodes", 503, recorded("not-a-manager.json"));
	story("");
}

static void
lists_that_fail_change_nothing(void **unused)
{
	(void)unused;
	reach_leader();
	round_of(recorded("nodes.json"), recorded("tasks.json"));
	forget();
	wait_for(2 * NSEC_SEC);
	answer("/nodes", 500, "{\"message\":\"the swarm does not have a leader\"}");
	wait_for(10 * NSEC_SEC);
	answer("/nodes", 200, recorded("nodes.json"));
	answer("/services", 500, "{}");
	wait_for(2 * NSEC_SEC);
	answer("/nodes", 200, recorded("nodes.json"));
	answer("/services", 200, services());
	answer("/tasks?", 200, "{");
	wait_for(2 * NSEC_SEC);
	assert_null(strstr(told, "remove"));
	docker_lost(docker, now, STR("gone"));
	drain();
	assert_null(strstr(told, "remove"));
	assert_int_equal(docker_stats(docker).services, 3);
}

static void
in_no_swarm(void **unused)
{
	(void)unused;
	reach("[]");
	agents_at(here, 1);
	forget();
	answer("/info", 200, "{\"Name\":\"vm\",\"Swarm\":{\"NodeID\":\"\"}}");
	story("synced\n");
	wait_for(10 * NSEC_SEC);
	story("> /v1.41/info\n");
}

static void
switched_off(void **unused)
{
	(void)unused;
	reach_leader();
	round_of(recorded("nodes.json"), recorded("tasks.json"));
	config.remote = false;
	docker_reconfigure(docker, now, &config);
	drain();
	answer("/containers/json", 200, "[]");
	assert_int_equal(docker_stats(docker).services, 0);
	forget();
	wait_for(NSEC_MIN);
	story("");
}

static void
a_change_during_a_round_makes_another(void **unused)
{
	(void)unused;
	reach_leader();
	agents_at(both, 2); /* the nodes are being asked for */
	story("");
	answer("/nodes", 200, recorded("nodes.json"));
	wait_for(0);
	story("synced\n> /v1.41/nodes\n");
}

static void
bad_lists(void **unused)
{
	static const char *const bad[] = { "", "{}", "7", "[", "null" };
	struct swarm_node *nodes;
	struct swarm_remote_task *tasks;
	struct err err;
	size_t count;

	(void)unused;
	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(
		    swarm_nodes_read(&arena, str_of(bad[i]), &nodes, &count, &err), ERR_INPUT);
		assert_int_equal(
		    swarm_tasks_read(&arena, str_of(bad[i]), &tasks, &count, &err), ERR_INPUT);
	}
	assert_int_equal(
	    swarm_nodes_read(&arena, STR("[7,{},{\"ID\":\"A/..\"},{\"ID\":\"n1\",\"Status\":7}]"),
		&nodes, &count, &err),
	    0);
	assert_int_equal(count, 1);
	assert_int_equal(nodes[0].addr.n, 0);
	assert_int_equal(
	    swarm_tasks_read(&arena,
		STR("[{},{\"ID\":\"t\",\"NodeID\":\"n\",\"ServiceID\":\"s\"},{\"ID\":\"t\","
		    "\"NodeID\":"
		    "\"n\",\"ServiceID\":\"s\",\"Status\":{\"State\":\"running\",\"PortStatus\":{"
		    "\"Ports\":[{\"TargetPort\":99999}]},\"ContainerStatus\":{\"ContainerID\":"
		    "\"ab\"}}"
		    "}]"),
		&tasks, &count, &err),
	    0);
	assert_int_equal(count, 1);
	assert_true(tasks[0].running);
	assert_int_equal(tasks[0].container.port_count, 0);
	swarm_task_name_it(&arena, &tasks[0], STR("web"));
	assert_str(tasks[0].container.name, "/web.n.t");
	arena_done(&arena);
}

#define remote_test(f) cmocka_unit_test_setup_teardown(f, remote_setup, remote_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		remote_test(what_runs_elsewhere),
		remote_test(an_agent_comes_to_the_node),
		remote_test(only_the_leader_tells),
		remote_test(lists_that_fail_change_nothing),
		remote_test(in_no_swarm),
		remote_test(switched_off),
		remote_test(a_change_during_a_round_makes_another),
		cmocka_unit_test(bad_lists),
	};
	/* for stories of other files */
	(void)setup;
	(void)teardown;
	(void)bytes;
	(void)event;
	(void)running;
	(void)ended;
	(void)reach_one;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Services as a real manager and a real worker's network describe them (tests/swarm: recorded from
 * dockerd 20.10.24, a manager and a worker), every truncation of them, and the table that holds
 * them. */
#include <stdlib.h>

#include "base/buf.h"
#include "tests/unit/test.h"
#include "watcher/rules.h"
#include "watcher/swarm.h"
#include "watcher/swarm_task.h"

static struct arena arena;
static struct swarm_service s;
static struct err err;

static int
setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 16 << 20);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	arena_done(&arena);
	return 0;
}

static struct str
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
	return text;
}

static void
a_service_of_a_manager(void **unused)
{
	(void)unused;
	assert_int_equal(swarm_service_read(&arena, recorded("service-web.json"), &s, &err), 0);
	assert_str(s.id, "4bl2g3b8t5esus69234aac8hs");
	assert_str(s.name, "web");
	assert_false(s.dnsrr);
	assert_int_equal(s.label_count, 1);
	assert_str(s.labels[0].key, "SERVICE_TAGS");
	assert_str(s.labels[0].value, "blue");
	assert_int_equal(s.port_count, 1);
	assert_int_equal(s.ports[0].target, 80);
	assert_int_equal(s.ports[0].published, 8080);
	assert_str(s.ports[0].proto, "tcp");
	assert_false(s.ports[0].host);
	assert_str(s.vip, "10.0.1.2"); /* not that of the ingress network */
	assert_int_equal(s.cut, 0);

	assert_int_equal(swarm_service_read(&arena, recorded("service-direct.json"), &s, &err), 0);
	assert_true(s.port_count > 0 && s.ports[0].host);
	assert_int_equal(s.vip.n, 0);
	assert_int_equal(swarm_service_read(&arena, recorded("service-rr.json"), &s, &err), 0);
	assert_true(s.dnsrr);
	assert_int_equal(s.vip.n, 0);
}

static void
a_service_of_the_ingress_network(void **unused)
{
	struct str json = recorded("network-ingress.json");

	(void)unused;
	assert_int_equal(swarm_service_from_network(&arena, json, STR("web"), &s, &err), 0);
	assert_str(s.name, "web");
	assert_int_equal(s.port_count, 1);
	assert_int_equal(s.ports[0].target, 80);
	assert_int_equal(s.ports[0].published, 8080);
	assert_int_equal(s.ports[0].proto.n, 0);
	assert_int_equal(
	    swarm_service_from_network(&arena, json, STR("other"), &s, &err), ERR_NOT_FOUND);
}

/* What rules make of the recorded tasks. */
static struct rules_service *
offered(const char *container, const struct swarm_service *service, size_t want)
{
	struct rules_config config = { .host = STR("h"), .ip = STR("10.83.17.1") };
	struct container c, v;
	struct rules_service *all;
	size_t count;

	assert_int_equal(container_read(&arena, recorded(container), &c, &err), 0);
	swarm_task_view(&arena, &c, service, &v);
	assert_int_equal(rules_apply(&config, &arena, &v, NULL, &all, &count, &err), 0);
	assert_int_equal(count, want);
	return all;
}

static void
recorded_tasks(void **unused)
{
	struct rules_service *o;

	(void)unused;
	assert_int_equal(swarm_service_read(&arena, recorded("service-web.json"), &s, &err), 0);
	o = offered("container-web-manager.json", &s, 1);
	assert_str(o->id, "h:web.2.7xbfnvhv25kc61k5v9i5srw8m:80");
	assert_str(o->name, "web");
	assert_str(o->address, "10.83.17.1");
	assert_int_equal(o->port, 8080);
	assert_str(o->tags[0], "blue");
	offered("container-web-manager.json", NULL, 0); /* its port is in no container */

	assert_int_equal(swarm_service_from_network(
			     &arena, recorded("network-ingress.json"), STR("web"), &s, &err),
	    0);
	o = offered("container-web-worker.json", &s, 1);
	assert_int_equal(o->port, 8080);
	assert_int_equal(o->tag_count, 0);

	o = offered("container-direct.json", NULL, 1); /* host mode needs nobody */
	assert_str(o->id, "h:direct.hqoh4wyfm7rkkpamus3g7kmj6.iuq9idsduxrtn42wnw047os0d:80");
	assert_int_equal(o->port, 8082);
}

static void
whatever_is_cut_off(void **unused)
{
	static const char *const names[] = { "service-web.json", "network-ingress.json" };

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		struct str json = str_trim(recorded(names[i]));

		while (json.n > 0 && json.p[json.n - 1] != '}')
			json.n--;
		for (size_t n = 0; n < json.n; n++) {
			char *copy = malloc(n + 1); /* to the byte, for the sanitizers */

			if (n > 0)
				memcpy(copy, json.p, n);
			assert_int_not_equal(
			    swarm_service_read(&arena, str_mem(copy, n), &s, &err), 0);
			assert_int_not_equal(swarm_service_from_network(
						 &arena, str_mem(copy, n), STR("web"), &s, &err),
			    0);
			free(copy);
		}
	}
}

static void
bad_input(void **unused)
{
	static const char *const bad[] = { "{}", "[]", "null", "7",
		"{\"ID\":\"../../x\",\"Spec\":{\"Name\":\"web\"}}",
		"{\"ID\":\"UPPER\",\"Spec\":{\"Name\":\"web\"}}", "{\"ID\":\"s1\",\"Spec\":[]}" };
	const char odd[] =
	    "{\"ID\":\"s1\",\"Spec\":{\"Name\":\"web\",\"Labels\":[1],\"EndpointSpec\":7},"
	    "\"Endpoint\":{\"Ports\":[7,{\"TargetPort\":-1,\"PublishedPort\":80},{\"TargetPort\":"
	    "80,"
	    "\"PublishedPort\":65536},{\"TargetPort\":80}],\"VirtualIPs\":{}}}";
	const char ports[] =
	    "{\"Services\":{\"web\":{\"Ports\":[7,\"Target: 80\",\"Target: 80, Publish: "
	    "70000\",\"Target: 0, Publish: 1\",\"Target: 53, Publish: 53\"]}}}";

	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(swarm_service_read(&arena, str_of(bad[i]), &s, &err), ERR_INPUT);
	assert_int_equal(swarm_service_read(&arena, str_of(odd), &s, &err), 0);
	assert_int_equal(s.port_count, 0);
	assert_int_equal(s.label_count, 0);
	assert_int_equal(
	    swarm_service_from_network(&arena, str_of(ports), STR("web"), &s, &err), 0);
	assert_int_equal(s.port_count, 1);
	assert_int_equal(s.ports[0].published, 53);
}

static void
limits(void **unused)
{
	struct buf b;

	(void)unused;
	buf_init(&b, 1 << 20);
	buf_add(&b, STR("{\"ID\":\"s1\",\"Spec\":{\"Name\":\"web\"},\"Endpoint\":{\"Ports\":[0"));
	for (int i = 0; i < 2 * SWARM_PORTS_MAX; i++)
		buf_add(&b, STR(",{\"TargetPort\":80,\"PublishedPort\":80}"));
	buf_add(&b, STR("]}}"));
	assert_int_equal(swarm_service_read(&arena, buf_str(&b), &s, &err), 0);
	assert_int_equal(s.port_count, SWARM_PORTS_MAX - 1);
	assert_int_equal(s.cut, SWARM_PORTS_MAX + 1);
	arena_done(&arena);
	arena_init(&arena, 4096);
	assert_int_equal(swarm_service_read(&arena, buf_str(&b), &s, &err), ERR_MEMORY);
	buf_done(&b);
}

/* The table. */

static bool
is_two(void *arg, struct str id)
{
	(void)arg;
	return str_eq(id, STR("two"));
}

static void
known_stale_forgotten(void **unused)
{
	const char json[] = "{\"ID\":\"one\",\"Spec\":{\"Name\":\"web\"}}";
	const char network[] = "{\"Services\":{\"web\":{\"Ports\":[\"Target: 80, Publish: 81\"]}}}";
	struct swarm w;

	(void)unused;
	swarm_init(&w);
	assert_null(swarm_find(&w, STR("one")));
	assert_false(swarm_fresh(&w, STR("one")));
	assert_int_equal(swarm_put(&w, STR("one"), str_of(json), &err), 0);
	assert_int_equal(swarm_put(&w, STR("two"), str_of(json), &err), 0);
	assert_int_equal(swarm_put(&w, STR("not an id"), str_of(json), &err), ERR_INPUT);
	assert_true(swarm_fresh(&w, STR("one")));
	swarm_stale(&w, STR("one"));
	assert_false(swarm_fresh(&w, STR("one")));
	assert_true(swarm_fresh(&w, STR("two")));
	assert_int_equal(swarm_put(&w, STR("one"), STR("{"), &err), ERR_INPUT);
	assert_str(swarm_find(&w, STR("one"))->name, "web"); /* what was known stays */
	assert_int_equal(swarm_put_network(&w, STR("one"), STR("web"), str_of(network), &err), 0);
	assert_true(swarm_fresh(&w, STR("one")));
	assert_int_equal(swarm_find(&w, STR("one"))->ports[0].published, 81);
	swarm_stale(&w, STR_NONE);
	assert_false(swarm_fresh(&w, STR("two")));
	swarm_sweep(&w, is_two, NULL);
	assert_null(swarm_find(&w, STR("one")));
	swarm_forget(&w, STR("two"));
	swarm_forget(&w, STR("two"));
	assert_int_equal(w.count, 0);
	assert_int_equal(swarm_put(&w, STR("one"), str_of(json), &err), 0);
	swarm_done(&w);
}

#define service_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		service_test(a_service_of_a_manager),
		service_test(a_service_of_the_ingress_network),
		service_test(recorded_tasks),
		service_test(whatever_is_cut_off),
		service_test(bad_input),
		service_test(limits),
		cmocka_unit_test(known_stale_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

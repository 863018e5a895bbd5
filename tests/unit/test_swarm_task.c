/* What a swarm adds to a task's container, and what rules make of it. */
#include "tests/unit/test.h"
#include "watcher/rules.h"
#include "watcher/swarm_task.h"

static struct arena arena;
static struct container_var labels[8];
static struct container_port ports[4];
static struct container_network networks[4];
static struct container_var service_labels[4];
static struct swarm_port service_ports[4];
static struct container c;
static struct swarm_service service;

static int
setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 1 << 20);
	c = (struct container){
		.id = STR("abcdef0123456789"),
		.name = STR("/web.2.task7"),
		.image = STR("registry/img:1"),
		.network_mode = STR("default"),
		.labels = labels,
		.label_count = 2,
		.ports = ports,
		.networks = networks,
		.running = true,
	};
	labels[0] = (struct container_var){ STR("com.docker.swarm.service.id"), STR("s1") };
	labels[1] = (struct container_var){ STR("com.docker.swarm.service.name"), STR("web") };
	service = (struct swarm_service){
		.id = STR("s1"),
		.name = STR("web"),
		.labels = service_labels,
		.ports = service_ports,
	};
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	arena_done(&arena);
	return 0;
}

/* Before the engine's: by key, as container_read() sorts them. */
static void
add_label(const char *key, const char *value)
{
	memmove(labels + 1, labels, c.label_count++ * sizeof *labels);
	labels[0] = (struct container_var){ str_of(key), str_of(value) };
}

static void
add_service_label(const char *key, const char *value)
{
	service_labels[service.label_count++] =
	    (struct container_var){ str_of(key), str_of(value) };
}

static void
add_port(uint16_t port, uint16_t host_port)
{
	ports[c.port_count++] =
	    (struct container_port){ .port = port, .proto = STR("tcp"), .host_port = host_port };
}

static void
add_service_port(uint16_t target, uint16_t published, bool host)
{
	service_ports[service.port_count++] = (struct swarm_port){
		.target = target, .published = published, .proto = STR("tcp"), .host = host
	};
}

static struct container
view(void)
{
	struct container v;

	swarm_task_view(&arena, &c, &service, &v);
	return v;
}

static const char *
label(const struct container *v, const char *key)
{
	static char text[256];

	for (size_t i = 0; i < v->label_count; i++) {
		assert_true(i == 0 || str_cmp(v->labels[i - 1].key, v->labels[i].key) < 0);
		if (str_eq(v->labels[i].key, str_of(key))) {
			snprintf(text, sizeof text, STR_FMT, STR_ARG(v->labels[i].value));
			return text;
		}
	}
	return "";
}

static struct rules_service *
services(const struct container *v, size_t want)
{
	struct rules_config config = { .host = STR("h"), .ip = STR("10.0.0.1") };
	struct rules_service *all;
	size_t count;

	assert_int_equal(rules_apply(&config, &arena, v, NULL, &all, &count, NULL), 0);
	assert_int_equal(count, want);
	return all;
}

static void
what_is_no_task_stays_as_it_is(void **unused)
{
	struct container v;

	(void)unused;
	c.label_count = 0;
	add_label("com.docker.swarm.service.id", "Not/An-Id");
	add_service_label("SERVICE_NAME", "x");
	v = view();
	assert_ptr_equal(v.labels, c.labels);
	assert_int_equal(v.service.n, 0);
}

static void
named_after_the_service(void **unused)
{
	struct container v;
	struct rules_service *s;

	(void)unused;
	add_port(80, 0);
	add_service_port(80, 8080, false);
	v = view();
	s = services(&v, 1);
	assert_str(s->name, "web");
	assert_str(s->id, "h:web.2.task7:80");
	assert_str(s->address, "10.0.0.1");
	assert_int_equal(s->port, 8080);
}

static void
what_the_service_says_the_container_overrules(void **unused)
{
	struct container v;
	struct rules_service *s;

	(void)unused;
	add_label("SERVICE_TAGS", "mine");
	add_service_label("SERVICE_NAME", "shop");
	add_service_label("SERVICE_TAGS", "ours");
	add_service_port(80, 8080, false);
	v = view();
	s = services(&v, 1);
	assert_str(s->name, "shop");
	assert_int_equal(s->tag_count, 1);
	assert_str(s->tags[0], "mine");
}

static void
an_id_for_all_tasks_is_told_apart(void **unused)
{
	struct container v;

	(void)unused;
	add_service_label("SERVICE_ID", "one");
	add_service_port(80, 8080, false);
	v = view();
	assert_str(services(&v, 1)->id, "one.2.task7");
	c.name = STR("/renamed");
	v = view();
	assert_str(services(&v, 1)->id, "one.abcdef012345");
}

static void
ports_of_the_mesh_and_of_the_host(void **unused)
{
	struct container v;
	struct rules_service *s;

	(void)unused;
	add_port(80, 32768); /* host mode */
	add_port(443, 0);
	add_service_port(9000, 9001, false); /* not exposed by the image */
	add_service_port(443, 8443, false);
	add_service_port(80, 7070, true);
	v = view();
	s = services(&v, 3);
	assert_int_equal(s[0].port, 32768);
	assert_str(s[0].name, "web-80");
	assert_int_equal(s[1].port, 8443);
	assert_int_equal(s[2].port, 9001);
	assert_int_equal(c.port_count, 2); /* the container itself is as it was */
	assert_int_equal(ports[1].host_port, 0);
}

static void
exposed_alone_is_not_published(void **unused)
{
	struct container v;

	(void)unused;
	add_port(80, 0);
	ports[0].unmapped = true; /* a network that maps no ports, as an overlay */
	v = view();
	services(&v, 0);
	c.network_mode = STR("host");
	v = view();
	assert_int_equal(services(&v, 1)->port, 80);
}

static void
dnsrr_is_reached_at_its_own_address(void **unused)
{
	struct container v;

	(void)unused;
	add_port(80, 0);
	service.dnsrr = true;
	v = view();
	assert_string_equal(label(&v, "SERVICE_INTERNAL"), "true");
	ports[0].host_port = 8080; /* published in host mode */
	v = view();
	assert_string_equal(label(&v, "SERVICE_INTERNAL"), "");
	ports[0].host_port = 0;
	add_service_label("SERVICE_INTERNAL", "false");
	v = view();
	assert_string_equal(label(&v, "SERVICE_INTERNAL"), "false");
}

static void
the_virtual_address_on_request(void **unused)
{
	struct container v;

	(void)unused;
	add_port(80, 0);
	service.vip = STR("10.0.1.2");
	v = view();
	assert_string_equal(label(&v, "SERVICE_IP"), "");
	add_service_label("SERVICE_VIP", "yes");
	v = view();
	assert_string_equal(label(&v, "SERVICE_IP"), "10.0.1.2");
	assert_string_equal(label(&v, "SERVICE_INTERNAL"), "true");
	service.vip = STR_NONE; /* dnsrr, or a worker */
	v = view();
	assert_string_equal(label(&v, "SERVICE_IP"), "");
}

static void
the_ingress_network_is_nobodys_address(void **unused)
{
	struct container v;

	(void)unused;
	networks[0] = (struct container_network){ .name = STR("ingress"), .ip = STR("10.0.0.9") };
	networks[1] = (struct container_network){ .name = STR("own"), .ip = STR("10.0.1.9") };
	c.network_count = 2;
	assert_true(swarm_task_in_ingress(&c));
	swarm_task_view(&arena, &c, NULL, &v); /* on a worker, too */
	assert_int_equal(v.network_count, 1);
	assert_str(v.networks[0].name, "own");
	assert_str(v.service, "web");
	c.network_count = 0;
	assert_false(swarm_task_in_ingress(&c));
}

static void
too_many_labels_are_refused(void **unused)
{
	struct container v;
	struct rules_config config = { .host = STR("h") };
	struct rules_service *all;
	size_t count;

	(void)unused;
	arena_done(&arena);
	arena_init(&arena, 64);
	v = view();
	assert_int_equal(rules_apply(&config, &arena, &v, NULL, &all, &count, NULL), ERR_MEMORY);
}

#define task_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		task_test(what_is_no_task_stays_as_it_is),
		task_test(named_after_the_service),
		task_test(what_the_service_says_the_container_overrules),
		task_test(an_id_for_all_tasks_is_told_apart),
		task_test(ports_of_the_mesh_and_of_the_host),
		task_test(exposed_alone_is_not_published),
		task_test(dnsrr_is_reached_at_its_own_address),
		task_test(the_virtual_address_on_request),
		task_test(the_ingress_network_is_nobodys_address),
		task_test(too_many_labels_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

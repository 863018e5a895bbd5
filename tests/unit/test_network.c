/* Where a service is reached: networks by rule and by name, both families, labels, notes. */
#include "tests/unit/test.h"
#include "watcher/network_pick.h"
#include "watcher/registration.h"
#include "watcher/rules.h"

static struct arena arena;
static struct rules_config config;
static struct rules_service *all;
static size_t count;
static struct err err;

static int
setup(void **unused)
{
	(void)unused;
	arena_init(&arena, 4 << 20);
	config = (struct rules_config){ .host = STR("h"), .ip = STR("10.0.0.1") };
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	arena_done(&arena);
	return 0;
}

/* A container started in `mode`, in these networks, with these labels and ports. */
static struct container
made(const char *mode, const char *networks, const char *labels, const char *ports)
{
	struct container c;
	char json[8192];

	snprintf(json, sizeof json,
	    "{\"Id\":\"c1\",\"Name\":\"/web\",\"Config\":{\"Image\":\"web\",\"Labels\":{%s},"
	    "\"ExposedPorts\":{\"80/tcp\":{}}},\"HostConfig\":{\"NetworkMode\":\"%s\"},"
	    "\"NetworkSettings\":{\"Networks\":{%s},\"Ports\":{%s}}}",
	    labels, mode, networks, ports);
	assert_int_equal(container_read(&arena, str_of(json), &c, &err), 0);
	return c;
}

static void
apply(const struct container *c, const struct container *peer)
{
	assert_int_equal(rules_apply(&config, &arena, c, peer, &all, &count, &err), 0);
}

#define EXPOSED "\"80/tcp\":null"
#define PUBLISHED "\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"}]"
#define TWICE                                                         \
	"\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"}," \
	"{\"HostIp\":\"::\",\"HostPort\":\"8081\"}]"
#define BRIDGE "\"bridge\":{\"NetworkID\":\"b0\",\"IPAddress\":\"172.17.0.2\"}"
#define FRONT                                                         \
	"\"front\":{\"NetworkID\":\"f0\",\"IPAddress\":\"10.1.0.2\"," \
	"\"GlobalIPv6Address\":\"fd01::2\"}"
#define BACK "\"back\":{\"NetworkID\":\"ba\",\"IPAddress\":\"10.2.0.2\"}"
#define ONLY6 "\"six\":{\"NetworkID\":\"s6\",\"IPAddress\":\"\",\"GlobalIPv6Address\":\"fd06::2\"}"
#define INGRESS "\"ingress\":{\"NetworkID\":\"i0\",\"IPAddress\":\"10.255.0.5\"}"
#define EMPTY "\"aaa\":{\"NetworkID\":\"a0\",\"IPAddress\":\"\"}"

/* The one service, as "address:port other:port". */
static const char *
place_of(struct container c)
{
	static char text[256];
	size_t n;

	apply(&c, NULL);
	if (count == 0)
		return "none";
	assert_int_equal(count, 1);
	n = (size_t)snprintf(
	    text, sizeof text, STR_FMT ":%u", STR_ARG(all[0].address), all[0].port);
	if (all[0].address_other.n > 0)
		snprintf(text + n, sizeof text - n, " " STR_FMT ":%u",
		    STR_ARG(all[0].address_other), all[0].port_other);
	return text;
}

static bool
noted(const char *part)
{
	return memmem(all[0].note.p, all[0].note.n, part, strlen(part)) != NULL;
}

static void
the_default_network_is_always_the_same(void **unused)
{
	(void)unused;
	config.internal = true;
	/* the default bridge, then the one it was started in, then the first by name */
	assert_string_equal(
	    place_of(made("front", BACK "," FRONT "," BRIDGE, "", EXPOSED)), "172.17.0.2:80");
	assert_true(noted("taken=bridge others=2"));
	assert_string_equal(
	    place_of(made("front", BACK "," FRONT, "", EXPOSED)), "10.1.0.2:80 fd01::2:80");
	assert_true(noted("taken=front others=1"));
	assert_string_equal(
	    place_of(made("f0", FRONT "," BACK, "", EXPOSED)), "10.1.0.2:80 fd01::2:80");
	assert_string_equal(
	    place_of(made("default", FRONT "," BACK "," EMPTY, "", EXPOSED)), "10.2.0.2:80");
	/* ingress is no place to be reached at, unless there is no other */
	assert_string_equal(
	    place_of(made("default", INGRESS "," ONLY6, "", EXPOSED)), "fd06::2:80");
	assert_str(all[0].note, "");
	assert_string_equal(place_of(made("default", INGRESS, "", EXPOSED)), "10.255.0.5:80");
	/* an engine that lists no networks */
	assert_string_equal(place_of(made("default", "", "", EXPOSED)), ":80");
}

static void
a_label_or_the_option_chooses(void **unused)
{
	(void)unused;
	config.internal = true;
	config.networks = STR("no-such, 10.2.0.0/16");
	assert_string_equal(
	    place_of(made("front", BRIDGE "," FRONT "," BACK, "", EXPOSED)), "10.2.0.2:80");
	assert_str(all[0].note, "");
	assert_string_equal(place_of(made("front", BRIDGE "," FRONT "," BACK,
				"\"SERVICE_NETWORK\":\"front\"", EXPOSED)),
	    "10.1.0.2:80 fd01::2:80");
	assert_str(all[0].note, "");
	assert_string_equal(place_of(made("front", BRIDGE "," FRONT "," BACK,
				"\"SERVICE_NETWORK\":\"front\","
				"\"SERVICE_80_NETWORK\":\"bridge\"",
				EXPOSED)),
	    "172.17.0.2:80");
	assert_string_equal(
	    place_of(made("x", FRONT "," BACK, "\"SERVICE_NETWORK\":\"fd01::/64,back\"", EXPOSED)),
	    "10.1.0.2:80 fd01::2:80");
	assert_string_equal(
	    place_of(made("x", FRONT "," BACK, "\"SERVICE_NETWORK\":\"f0\"", EXPOSED)),
	    "10.1.0.2:80 fd01::2:80");
	config.networks = STR_NONE;
	assert_string_equal(
	    place_of(made("x", FRONT "," BACK, "\"SERVICE_NETWORK\":\"frnt\"", EXPOSED)),
	    "10.2.0.2:80");
	assert_true(noted("names no network of the container value=frnt taken=back"));
	/* a network is named for the container's address there: internal, but for a plain no */
	config.internal = false;
	assert_string_equal(
	    place_of(made("front", FRONT "," BACK, "\"SERVICE_NETWORK\":\"back\"", PUBLISHED)),
	    "10.2.0.2:80");
	assert_string_equal(
	    place_of(made("front", FRONT "," BACK,
		"\"SERVICE_NETWORK\":\"back\",\"SERVICE_INTERNAL\":\"no\"", PUBLISHED)),
	    "10.0.0.1:8080");
}

/* As Docker 20.10 describes a task of a swarm that publishes through the mesh, and a container that
 * was attached to the same overlay network by hand. */
#define OVERLAY                                                                  \
	"\"mesh\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.1.5\"},\"NetworkID\":" \
	"\"tqneoy6midct1fsd1j5fb7pc7\",\"IPAddress\":\"10.0.1.5\",\"GlobalIPv6Address\":\"\"}"
#define MESH_INGRESS                                                                \
	"\"ingress\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.7\"},\"NetworkID\":" \
	"\"izx1w0tjuo2ognmhez4nwgzub\",\"IPAddress\":\"10.0.0.7\",\"GlobalIPv6Address\":\"\"}"

static void
an_overlay_network(void **unused)
{
	(void)unused;
	assert_string_equal(place_of(made("mesh", OVERLAY, "", PUBLISHED)), "10.0.1.5:8080");
	assert_string_equal(
	    place_of(made("mesh", OVERLAY, "\"SERVICE_INTERNAL\":\"false\"", PUBLISHED)),
	    "10.0.0.1:8080");
	config.internal = true;
	assert_string_equal(
	    place_of(made("default", MESH_INGRESS "," OVERLAY, "", EXPOSED)), "10.0.1.5:80");
	assert_str(all[0].note, "");
	assert_string_equal(place_of(made("default", MESH_INGRESS "," OVERLAY,
				"\"SERVICE_NETWORK\":\"10.0.0.0/24\"", EXPOSED)),
	    "10.0.0.7:80");
}

static void
internal_by_label(void **unused)
{
	struct container c;

	(void)unused;
	assert_string_equal(
	    place_of(made("default", BRIDGE, "\"SERVICE_INTERNAL\":\"true\"", EXPOSED)),
	    "172.17.0.2:80");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "\"SERVICE_80_INTERNAL\":\"1\"", PUBLISHED)),
	    "172.17.0.2:80");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "\"SERVICE_81_INTERNAL\":\"1\"", PUBLISHED)),
	    "10.0.0.1:8080");
	config.internal = true;
	assert_string_equal(
	    place_of(made("default", BRIDGE, "\"SERVICE_INTERNAL\":\"False\"", PUBLISHED)),
	    "10.0.0.1:8080");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "\"SERVICE_INTERNAL\":\"off\"", EXPOSED)), "none");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "\"SERVICE_INTERNAL\":\"maybe\"", PUBLISHED)),
	    "172.17.0.2:80");
	assert_true(noted("SERVICE_INTERNAL is neither true nor false"));
	/* one port of two: names tell how many count */
	config.internal = false;
	c = made("default", BRIDGE, "\"SERVICE_443_INTERNAL\":\"yes\"",
	    PUBLISHED ",\"443/tcp\":null,\"9/tcp\":null");
	apply(&c, NULL);
	assert_int_equal(count, 2);
	assert_str(all[0].name, "web-80");
	assert_int_equal(all[0].port, 8080);
	assert_str(all[1].name, "web-443");
	assert_str(all[1].address, "172.17.0.2");
}

static void
an_address_by_label(void **unused)
{
	(void)unused;
	assert_string_equal(
	    place_of(made("default", BRIDGE, "\"SERVICE_IP\":\"192.0.2.7/24\"", PUBLISHED)),
	    "192.0.2.7:8080");
	assert_string_equal(
	    place_of(made("default", BRIDGE,
		"\"SERVICE_IP\":\"fd00::7, 192.0.2.7\",\"SERVICE_INTERNAL\":\"1\"", PUBLISHED)),
	    "fd00::7:80 192.0.2.7:80");
	assert_string_equal(
	    place_of(made("default", BRIDGE,
		"\"SERVICE_IP\":\"1.1.1.1\",\"SERVICE_80_IP\":\"2.2.2.2\"", PUBLISHED)),
	    "2.2.2.2:8080");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "\"SERVICE_IP\":\"1.1.1.1,2.2.2.2\"", PUBLISHED)),
	    "10.0.0.1:8080");
	assert_true(noted("SERVICE_IP is no address"));
	assert_string_equal(
	    place_of(made("default", BRIDGE, "\"SERVICE_IP\":\"web.example\"", PUBLISHED)),
	    "10.0.0.1:8080");
	/* the option's label, as registrator has it; SERVICE_IP goes before */
	config.ip_from_label = STR("addr");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "\"addr\":\"10.9.8.7/24\"", PUBLISHED)),
	    "10.9.8.7:8080");
	assert_string_equal(place_of(made("default", BRIDGE,
				"\"addr\":\"10.9.8.7/24\",\"SERVICE_IP\":\"1.1.1.1\"", PUBLISHED)),
	    "1.1.1.1:8080");
}

static void
a_check_of_an_ipv6_address_has_brackets(void **unused)
{
	struct container c = made("default", BRIDGE,
	    "\"SERVICE_IP\":\"fd00::7\",\"SERVICE_CHECK_HTTP\":\"/h\"", PUBLISHED);

	(void)unused;
	apply(&c, NULL);
	assert_str(all[0].check.http, "http://[fd00::7]:8080/h");
}

static void
a_consul_elsewhere_hears_of_both_families(void **unused)
{
	struct container c = made("front", FRONT, "\"SERVICE_INTERNAL\":\"1\"", EXPOSED);
	struct buf b;

	(void)unused;
	apply(&c, NULL);
	buf_init(&b, 4096);
	registration_write(&b, &all[0]);
	buf_addc(&b, '\0');
	assert_non_null(strstr(buf_str(&b).p,
	    "\"Port\":80,\"Address\":\"10.1.0.2\","
	    "\"TaggedAddresses\":{\"lan_ipv6\":{\"Address\":\"fd01::2\",\"Port\":80},"
	    "\"wan_ipv6\":{\"Address\":\"fd01::2\",\"Port\":80}}"));
	buf_done(&b);
}

static void
both_families_of_the_host(void **unused)
{
	(void)unused;
	assert_string_equal(place_of(made("default", BRIDGE, "", TWICE)), "10.0.0.1:8080");
	config.ip_other = STR("fd00::1");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "", TWICE)), "10.0.0.1:8080 fd00::1:8081");
	assert_string_equal(place_of(made("default", BRIDGE, "", PUBLISHED)), "10.0.0.1:8080");
	config.ip = STR("fd00::1");
	config.ip_other = STR("10.0.0.1");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "", TWICE)), "fd00::1:8081 10.0.0.1:8080");
	assert_string_equal(place_of(made("host", "\"host\":{\"IPAddress\":\"\"}", "", "")),
	    "fd00::1:80 10.0.0.1:80");
}

#define AT(ip, port) "{\"HostIp\":\"" ip "\",\"HostPort\":\"" port "\"}"

static void
a_bound_address_is_respected(void **unused)
{
	(void)unused;
	assert_string_equal(
	    place_of(made("default", BRIDGE, "", "\"80/tcp\":[" AT("127.0.0.1", "8080") "]")),
	    "127.0.0.1:8080");
	assert_string_equal(place_of(made("default", BRIDGE, "",
				"\"80/tcp\":[" AT("127.0.0.1", "8080") "," AT("::1", "8081") "]")),
	    "127.0.0.1:8080 ::1:8081");
	assert_string_equal(place_of(made("default", BRIDGE, "",
				"\"80/tcp\":[" AT("::1", "8081") "," AT("127.0.0.1", "8080") "]")),
	    "127.0.0.1:8080 ::1:8081");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "", "\"80/tcp\":[" AT("fd00::9", "8080") "]")),
	    "fd00::9:8080");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "", "\"80/tcp\":[" AT("::", "8080") "]")),
	    "10.0.0.1:8080");
	assert_string_equal(
	    place_of(made("default", BRIDGE, "", "\"80/tcp\":[" AT("", "8080") "]")),
	    "10.0.0.1:8080");
	/* but for an address that was given for all */
	config.ip_forced = true;
	config.ip_other = STR("fd00::1");
	assert_string_equal(place_of(made("default", BRIDGE, "",
				"\"80/tcp\":[" AT("127.0.0.1", "8080") "," AT("::1", "8081") "]")),
	    "10.0.0.1:8080 fd00::1:8081");
}

static void
published_in_a_network_of_its_own(void **unused)
{
	(void)unused;
	/* registrator's: the container's address and the host's port; told once */
	assert_string_equal(place_of(made("back", BACK, "", PUBLISHED)), "10.2.0.2:8080");
	assert_true(noted("registrator"));
	assert_string_equal(place_of(made("ba", BACK "," FRONT, "", PUBLISHED)), "10.2.0.2:8080");
	assert_string_equal(place_of(made("gone", BACK, "", PUBLISHED)), "10.2.0.2:8080");
	assert_string_equal(
	    place_of(made("back", BACK, "\"SERVICE_INTERNAL\":\"0\"", PUBLISHED)), "10.0.0.1:8080");
	assert_str(all[0].note, "");
	/* macvlan, ipvlan: no ports are mapped */
	assert_string_equal(place_of(made("back", BACK, "", "")), "10.2.0.2:80");
	assert_str(all[0].note, "");
	assert_string_equal(
	    place_of(made("back", BACK, "\"SERVICE_INTERNAL\":\"0\"", "")), "10.2.0.2:80");
	config.ip_forced = true;
	assert_string_equal(place_of(made("back", BACK, "", PUBLISHED)), "10.0.0.1:8080");
}

static const char *
place_beside(struct container c, struct container peer)
{
	static char text[256];

	apply(&c, &peer);
	assert_int_equal(count, 1);
	snprintf(text, sizeof text, STR_FMT ":%u " STR_FMT, STR_ARG(all[0].address), all[0].port,
	    STR_ARG(all[0].address_other));
	return text;
}

static void
in_the_network_of_another_container(void **unused)
{
	struct container c = made("container:p1", "", "", "");
	struct container named = made("container:p1", "", "\"SERVICE_80_NETWORK\":\"back\"", "");
	struct container out = made("container:p1", "", "\"SERVICE_INTERNAL\":\"false\"", "");

	(void)unused;
	assert_string_equal(
	    place_beside(c, made("default", BRIDGE, "", PUBLISHED)), "172.17.0.2:80 ");
	assert_string_equal(
	    place_beside(c, made("front", FRONT "," BACK, "", "")), "10.1.0.2:80 fd01::2");
	assert_true(noted("others=1"));
	assert_string_equal(
	    place_beside(named, made("front", FRONT "," BACK, "", "")), "10.2.0.2:80 ");
	assert_string_equal(
	    place_beside(c, made("host", "\"host\":{\"IPAddress\":\"\"}", "", "")), "10.0.0.1:80 ");
	assert_string_equal(
	    place_beside(out, made("front", FRONT, "", PUBLISHED)), "10.0.0.1:8080 ");
	assert_string_equal(
	    place_beside(out, made("front", FRONT, "", EXPOSED)), "10.1.0.2:80 fd01::2");
}

static void
compose_into_tags_or_meta(void **unused)
{
	const char *labels = "\"com.docker.compose.project\":\"shop\","
			     "\"com.docker.compose.service\":\"web\",\"SERVICE_TAGS\":\"web,a\"";
	struct container c = made("default", BRIDGE, labels, PUBLISHED);

	(void)unused;
	apply(&c, NULL);
	assert_int_equal(all[0].tag_count, 2);
	assert_int_equal(all[0].meta_count, 0);
	config.compose = RULES_COMPOSE_TAGS;
	apply(&c, NULL);
	assert_int_equal(all[0].tag_count, 3); /* web is there already */
	assert_str(all[0].tags[2], "shop");
	config.compose = RULES_COMPOSE_META;
	apply(&c, NULL);
	assert_int_equal(all[0].tag_count, 2);
	assert_int_equal(all[0].meta_count, 2);
	assert_str(all[0].meta[0].key, "compose_project");
	assert_str(all[0].meta[0].value, "shop");
	assert_str(all[0].meta[1].key, "compose_service");
	assert_str(all[0].meta[1].value, "web");
	c = made("default", BRIDGE, "", PUBLISHED); /* not of Compose */
	apply(&c, NULL);
	assert_int_equal(all[0].meta_count, 0);
}

static void
lists_are_checked_at_start(void **unused)
{
	(void)unused;
	assert_int_equal(network_list_check(STR(""), &err), 0);
	assert_int_equal(network_list_check(STR("back, 10.0.0.0/8,fd00::/8"), &err), 0);
	config.networks = STR("back,10.0.0.0/40");
	assert_int_equal(rules_config_check(&config, &err), ERR_INPUT);
	assert_string_equal(err.text, "-docker-network: \"10.0.0.0/40\" is not a network's name or "
				      "a subnet such as 10.1.0.0/16");
	assert_int_equal(network_list_check(STR("a,,b"), &err), ERR_INPUT);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_default_network_is_always_the_same),
		TEST(a_label_or_the_option_chooses),
		TEST(an_overlay_network),
		TEST(internal_by_label),
		TEST(an_address_by_label),
		TEST(a_check_of_an_ipv6_address_has_brackets),
		TEST(a_consul_elsewhere_hears_of_both_families),
		TEST(both_families_of_the_host),
		TEST(a_bound_address_is_respected),
		TEST(published_in_a_network_of_its_own),
		TEST(in_the_network_of_another_container),
		TEST(compose_into_tags_or_meta),
		TEST(lists_are_checked_at_start),
	};

	return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}

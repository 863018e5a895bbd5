/* tests/unit/test_answer.c -- questions about a catalog filled by hand.
 *
 * In the order of the answer*.c files. The expectations are what was recorded from Consul, but
 * where the comment says otherwise.
 */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "tests/unit/dns_room.h"

static int
setup(void **state)
{
	static struct dns_room f;

	dns_room_init(&f);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	dns_room_done(*state);
	return 0;
}

static const char *
ask(struct dns_room *f, const char *name, uint16_t type)
{
	return dns_room_ask(f, (struct dns_ask){ .name = name, .type = type });
}

#define NXDOMAIN "NXDOMAIN aa rd\nau " DNS_ROOM_SOA
#define NODATA "NOERROR aa rd\nau " DNS_ROOM_SOA
#define EMPTY "NOERROR aa rd\n"

static void
services_by_address(void **state)
{
	struct dns_room *f = *state;

	dns_room_node(f, "a", "10.9.1.1");
	dns_room_node(f, "b", "10.9.1.2");
	dns_room_service(f, "a", "w1", "web", "", 80, "blue");
	dns_room_service(f, "b", "w1", "web", "10.9.7.7", 81, "Green v1.2");
	static const char both[] = "NOERROR aa rd\n"
				   "an web.service.consul. 0 A 10.9.1.1\n"
				   "an web.service.consul. 0 A 10.9.7.7\n";

	assert_string_equal(ask(f, "web.service.consul", RR_A), both);
	assert_string_equal(ask(f, "web.service.consul", RR_ANY), both);
	assert_string_equal(ask(f, "web.service.consul", RR_TXT), both);
	assert_string_equal(ask(f, "web.service.consul", RR_AAAA), NODATA);
	assert_string_equal(ask(f, "web.service.consul", 15 /* MX */), NODATA);
	assert_string_equal(ask(f, "WEB.Service.DC1.Consul", RR_A),
	    "NOERROR aa rd\n"
	    "an WEB.Service.DC1.Consul. 0 A 10.9.1.1\n"
	    "an WEB.Service.DC1.Consul. 0 A 10.9.7.7\n");
	assert_string_equal(ask(f, "blue.web.service.consul", RR_A),
	    "NOERROR aa rd\nan blue.web.service.consul. 0 A 10.9.1.1\n");
	assert_string_equal(ask(f, "v1.2.web.service.consul", RR_A),
	    "NOERROR aa rd\nan v1.2.web.service.consul. 0 A 10.9.7.7\n");
	assert_string_equal(ask(f, "GREEN.web.service.dc1.consul", RR_A),
	    "NOERROR aa rd\nan GREEN.web.service.dc1.consul. 0 A 10.9.7.7\n");
	assert_string_equal(ask(f, "red.web.service.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "no.service.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "web.service.dc2.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "web.service.dc1.dc1.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "service.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "web.query.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "web.consul", RR_A), NXDOMAIN);
}

static void
health_decides(void **state)
{
	struct dns_room *f = *state;

	dns_room_node(f, "a", "10.9.1.1");
	dns_room_node(f, "b", "10.9.1.2");
	dns_room_service(f, "a", "w1", "web", "", 80, "blue");
	dns_room_service(f, "b", "w1", "web", "", 81, "");
	dns_room_check(f, "a", "w1", "critical");
	assert_string_equal(ask(f, "web.service.consul", RR_SRV),
	    "NOERROR aa rd\n"
	    "an web.service.consul. 0 SRV 1 1 81 b.node.dc1.consul.\n"
	    "ad b.node.dc1.consul. 0 A 10.9.1.2\n");
	assert_string_equal(ask(f, "blue.web.service.consul", RR_A), NXDOMAIN);
	dns_room_check(f, "b", "", "critical");
	assert_string_equal(ask(f, "web.service.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "web.service.consul", RR_SRV), NXDOMAIN);
	dns_room_check(f, "a", "w1", "warning");
	assert_string_equal(ask(f, "web.service.consul", RR_A),
	    "NOERROR aa rd\nan web.service.consul. 0 A 10.9.1.1\n");
	f->config.only_passing = true;
	assert_string_equal(ask(f, "web.service.consul", RR_A), NXDOMAIN);
}

static void
addresses_are_given_once(void **state)
{
	struct dns_room *f = *state;

	dns_room_node(f, "a", "10.9.1.1");
	dns_room_node(f, "b", "10.9.1.2");
	dns_room_service(f, "a", "w1", "web", "10.9.8.8", 80, "");
	dns_room_service(f, "a", "w2", "web", "10.9.8.8", 80, "");
	dns_room_service(f, "b", "w1", "web", "10.9.8.8", 80, "");
	assert_string_equal(ask(f, "web.service.consul", RR_A),
	    "NOERROR aa rd\nan web.service.consul. 0 A 10.9.8.8\n");
	/* an SRV record is the same on one node only */
	assert_string_equal(ask(f, "web.service.consul", RR_SRV),
	    "NOERROR aa rd\n"
	    "an web.service.consul. 0 SRV 1 1 80 0a090808.addr.dc1.consul.\n"
	    "an web.service.consul. 0 SRV 1 1 80 0a090808.addr.dc1.consul.\n"
	    "ad 0a090808.addr.dc1.consul. 0 A 10.9.8.8\n"
	    "ad 0a090808.addr.dc1.consul. 0 A 10.9.8.8\n");
	/* more than are compared one by one */
	for (unsigned i = 0; i < 100; i++) {
		char id[16];

		(void)snprintf(id, sizeof id, "x%u", i);
		dns_room_service(
		    f, "a", id, "many", i % 2 ? "10.9.8.8" : "10.9.8.9", (int)(i % 5), "");
	}
	(void)dns_room_ask(f, (struct dns_ask){ "many.service.consul", RR_A, 0, true });
	assert_int_equal(dns_room_count(f->text, "an "), 2);
	(void)dns_room_ask(f, (struct dns_ask){ "many.service.consul", RR_SRV, 0, true });
	assert_int_equal(dns_room_count(f->text, "an "), 10);
}

static void
srv_records(void **state)
{
	struct dns_room *f = *state;
	struct service_info weighted = { .node = STR("a"),
		.id = STR("h"),
		.name = STR("heavy"),
		.port = 70000,
		.weight_passing = 70000,
		.weight_warning = 3 };

	dns_room_node(f, "a", "10.9.1.1");
	dns_room_node(f, "B", "2001:db8::a");
	dns_room_service(f, "a", "w1", "web", "10.9.7.7", 8080, "");
	dns_room_service(f, "B", "w1", "web", "", 0, "udp");
	dns_room_service(f, "B", "w2", "web", "2001:db8::9", 82, "");
	assert_string_equal(ask(f, "web.service.consul", RR_SRV),
	    "NOERROR aa rd\n"
	    "an web.service.consul. 0 SRV 1 1 0 B.node.dc1.consul.\n"
	    "an web.service.consul. 0 SRV 1 1 80"
	    "80 0a090707.addr.dc1.consul.\n"
	    "an web.service.consul. 0 SRV 1 1 82 "
	    "20010db8000000000000000000000009.addr.dc1.consul.\n"
	    "ad 0a090707.addr.dc1.consul. 0 A 10.9.7.7\n"
	    "ad 20010db8000000000000000000000009.addr.dc1.consul. 0 AAAA 2001:db8::9\n"
	    "ad B.node.dc1.consul. 0 AAAA 2001:db8::a\n");
	assert_string_equal(ask(f, "_web._udp.service.consul", RR_SRV),
	    "NOERROR aa rd\n"
	    "an _web._udp.service.consul. 0 SRV 1 1 0 B.node.dc1.consul.\n"
	    "ad B.node.dc1.consul. 0 AAAA 2001:db8::a\n");
	(void)ask(f, "_WEB._TCP.service.dc1.consul", RR_SRV);
	assert_int_equal(dns_room_count(f->text, "an _WEB._TCP.service.dc1.consul. 0 SRV"), 3);
	(void)ask(f, "_web._tcp.consul", RR_SRV);
	assert_int_equal(dns_room_count(f->text, "an "), 3);
	(void)ask(f, "_web._tcp.dc1.consul", RR_SRV);
	assert_int_equal(dns_room_count(f->text, "an "), 3);
	assert_string_equal(ask(f, "_web._tcp.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "_web._amqp.service.consul", RR_SRV), NXDOMAIN);

	dns_room_put(f, &weighted);
	assert_string_equal(ask(f, "heavy.service.consul", RR_SRV),
	    "NOERROR aa rd\n"
	    "an heavy.service.consul. 0 SRV 1 65535 4464 a.node.dc1.consul.\n"
	    "ad a.node.dc1.consul. 0 A 10.9.1.1\n");
	dns_room_check(f, "a", "h", "warning");
	(void)ask(f, "heavy.service.consul", RR_SRV);
	assert_int_equal(dns_room_count(f->text, "an heavy.service.consul. 0 SRV 1 3 4464"), 1);
}

/* Not in the recordings: a node whose name cannot stand in DNS is reached by its address. */
static void
nodes_with_odd_names(void **state)
{
	struct dns_room *f = *state;

	dns_room_node(f, "two..dots", "10.9.1.1");
	dns_room_service(f, "two..dots", "w1", "web", "", 80, "");
	assert_string_equal(ask(f, "web.service.consul", RR_SRV),
	    "NOERROR aa rd\n"
	    "an web.service.consul. 0 SRV 1 1 80 0a090101.addr.dc1.consul.\n"
	    "ad 0a090101.addr.dc1.consul. 0 A 10.9.1.1\n");
}

static void
host_names_as_addresses(void **state)
{
	struct dns_room *f = *state;

	dns_room_node(f, "a", "10.9.1.1");
	dns_room_node(f, "h", "host.example.com");
	dns_room_service(f, "a", "db", "db", "db.example.com", 5432, "");
	dns_room_service(f, "h", "x", "x", "", 1, "");
	dns_room_service(f, "a", "near", "near", "a.node.consul", 2, "");
	dns_room_service(f, "a", "far", "far", "near.service.consul", 3, "");
	dns_room_service(f, "a", "lost", "lost", "none.node.consul", 4, "");
	dns_room_service(f, "a", "loop", "loop", "pool.service.consul", 5, "");
	dns_room_service(f, "a", "pool", "pool", "loop.service.consul", 6, "");
	dns_room_service(f, "a", "self", "self", "self.service.consul", 7, "");
	static const char cname[] =
	    "NOERROR aa rd\nan db.service.consul. 0 CNAME db.example.com.\n";

	assert_string_equal(ask(f, "db.service.consul", RR_A), cname);
	assert_string_equal(ask(f, "db.service.consul", RR_AAAA), cname);
	assert_string_equal(ask(f, "db.service.consul", RR_CNAME), cname);
	assert_string_equal(ask(f, "db.service.consul", RR_SRV),
	    "NOERROR aa rd\nan db.service.consul. 0 SRV 1 1 5432 db.example.com.\n");
	assert_string_equal(ask(f, "x.service.consul", RR_SRV),
	    "NOERROR aa rd\nan x.service.consul. 0 SRV 1 1 1 host.example.com.\n");
	assert_string_equal(ask(f, "h.node.consul", RR_ANY),
	    "NOERROR aa rd\nan h.node.consul. 0 CNAME host.example.com.\n");
	assert_string_equal(ask(f, "near.service.consul", RR_A),
	    "NOERROR aa rd\n"
	    "an a.node.consul. 0 A 10.9.1.1\n"
	    "an near.service.consul. 0 CNAME a.node.consul.\n");
	assert_string_equal(ask(f, "near.service.consul", RR_SRV),
	    "NOERROR aa rd\n"
	    "an near.service.consul. 0 SRV 1 1 2 a.node.consul.\n"
	    "ad a.node.consul. 0 A 10.9.1.1\n");
	assert_string_equal(ask(f, "far.service.consul", RR_A),
	    "NOERROR aa rd\n"
	    "an a.node.consul. 0 A 10.9.1.1\n"
	    "an far.service.consul. 0 CNAME near.service.consul.\n"
	    "an near.service.consul. 0 CNAME a.node.consul.\n");
	assert_string_equal(ask(f, "lost.service.consul", RR_A),
	    "NOERROR aa rd\nan lost.service.consul. 0 CNAME none.node.consul.\n");
	/* a ring ends; an instance under the name that was asked stands under its node's address */
	(void)dns_room_ask(f, (struct dns_ask){ "loop.service.consul", RR_A, 0, true });
	assert_int_equal(dns_room_count(f->text, "an "), 4);
	assert_string_equal(ask(f, "self.service.consul", RR_SRV),
	    "NOERROR aa rd\n"
	    "an self.service.consul. 0 SRV 1 1 7 a.node.dc1.consul.\n"
	    "ad a.node.dc1.consul. 0 A 10.9.1.1\n");
	/* a CNAME stands alone: where there are addresses they are the answer */
	dns_room_service(f, "a", "db2", "db", "10.9.3.3", 5432, "");
	assert_string_equal(ask(f, "db.service.consul", RR_A),
	    "NOERROR aa rd\nan db.service.consul. 0 A 10.9.3.3\n");
}

static void
families_by_tagged_address(void **state)
{
	struct dns_room *f = *state;
	struct tagged_address tagged[2] = { { STR("lan_ipv4"), STR("10.9.5.5"), 80 },
		{ STR("lan_ipv6"), STR("2001:db8::5"), 80 } };
	struct service_info service = { .node = STR("a"),
		.id = STR("w"),
		.name = STR("web"),
		.address = STR("10.9.5.5"),
		.tagged = tagged,
		.tagged_count = 2,
		.tagged_set = true };

	dns_room_node(f, "a", "10.9.1.1");
	dns_room_put(f, &service);
	assert_string_equal(ask(f, "web.service.consul", RR_A),
	    "NOERROR aa rd\nan web.service.consul. 0 A 10.9.5.5\n");
	assert_string_equal(ask(f, "web.service.consul", RR_AAAA),
	    "NOERROR aa rd\nan web.service.consul. 0 AAAA 2001:db8::5\n");
}

static void
times_to_live(void **state)
{
	struct dns_room *f = *state;
	struct dns_service_ttl rows[] = { { STR("web"), 7 }, { STR("we*"), 30 }, { STR("*"), 9 },
		{ STR("w*"), 20 } };

	f->config.service_ttl = rows;
	f->config.service_ttl_count = 4;
	f->config.node_ttl = 12;
	f->config.soa_min_ttl = 15;
	dns_room_node(f, "a", "10.9.1.1");
	dns_room_service(f, "a", "1", "web", "", 80, "");
	dns_room_service(f, "a", "2", "webs", "", 80, "");
	dns_room_service(f, "a", "3", "w", "", 80, "");
	dns_room_service(f, "a", "4", "other", "", 80, "");
	assert_string_equal(ask(f, "WEB.service.consul", RR_SRV),
	    "NOERROR aa rd\n"
	    "an WEB.service.consul. 7 SRV 1 1 80 a.node.dc1.consul.\n"
	    "ad a.node.dc1.consul. 7 A 10.9.1.1\n");
	(void)ask(f, "webs.service.consul", RR_A);
	assert_int_equal(dns_room_count(f->text, "an webs.service.consul. 30 A"), 1);
	(void)ask(f, "w.service.consul", RR_A);
	assert_int_equal(dns_room_count(f->text, "an w.service.consul. 20 A"), 1);
	(void)ask(f, "other.service.consul", RR_A);
	assert_int_equal(dns_room_count(f->text, "an other.service.consul. 9 A"), 1);
	(void)ask(f, "a.node.consul", RR_A);
	assert_int_equal(dns_room_count(f->text, "an a.node.consul. 12 A"), 1);
	(void)ask(f, "no.node.consul", RR_A);
	assert_int_equal(dns_room_count(f->text, "au consul. 15 SOA"), 1);
	(void)ask(f, "1.1.9.10.in-addr.arpa", RR_PTR);
	assert_int_equal(dns_room_count(f->text, "an 1.1.9.10.in-addr.arpa. 0 PTR"), 1);
}

static void
nodes(void **state)
{
	struct dns_room *f = *state;

	dns_room_node(f, "Web-1.sub", "10.9.1.1");
	dns_room_check(f, "Web-1.sub", "", "critical"); /* does not matter */
	assert_string_equal(ask(f, "web-1.SUB.node.consul", RR_A),
	    "NOERROR aa rd\nan web-1.SUB.node.consul. 0 A 10.9.1.1\n");
	assert_string_equal(ask(f, "web-1.sub.node.dc1.consul", RR_A),
	    "NOERROR aa rd\nan web-1.sub.node.dc1.consul. 0 A 10.9.1.1\n");
	assert_string_equal(ask(f, "web-1.sub.node.consul", RR_AAAA), EMPTY);
	assert_string_equal(ask(f, "web-1.sub.node.consul", RR_SRV), EMPTY);
	assert_string_equal(ask(f, "web-1.sub.node.consul", 65), EMPTY);
	assert_string_equal(ask(f, "none.node.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "node.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "web-1.sub.node.dc2.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "n1.node.consul", RR_A),
	    "NOERROR aa rd\n"
	    "an n1.node.consul. 0 A 127.0.0.1\n"
	    "ad n1.node.consul. 0 TXT \"rack=r1\"\n");
	assert_string_equal(ask(f, "n1.node.consul", RR_TXT),
	    "NOERROR aa rd\nan n1.node.consul. 0 TXT \"rack=r1\"\n");
	assert_string_equal(ask(f, "n1.node.consul", RR_ANY),
	    "NOERROR aa rd\n"
	    "an n1.node.consul. 0 A 127.0.0.1\n"
	    "an n1.node.consul. 0 TXT \"rack=r1\"\n");
	assert_string_equal(ask(f, "n1.node.consul", RR_AAAA),
	    "NOERROR aa rd\nad n1.node.consul. 0 TXT \"rack=r1\"\n");
	f->config.node_meta_asked_only = true;
	assert_string_equal(ask(f, "n1.node.consul", RR_A),
	    "NOERROR aa rd\nan n1.node.consul. 0 A 127.0.0.1\n");
	assert_string_equal(ask(f, "n1.node.consul", RR_TXT),
	    "NOERROR aa rd\nan n1.node.consul. 0 TXT \"rack=r1\"\n");
}

static void
node_meta_as_text(void **state)
{
	struct dns_room *f = *state;
	const struct uuid cluster = { { 2 } };
	struct pair meta[] = { { STR(" a=b`"), STR("c=d`") }, { STR("RFC1035-note"), STR("as is") },
		{ STR("empty"), STR("") } };
	struct node_info node = { .name = STR("m"),
		.address = STR("10.9.1.1"),
		.meta = meta,
		.meta_count = 3,
		.meta_set = true };

	assert_true(store_put_node(f->store, dns_room_now, &cluster, &node, NULL) >= 0);
	assert_string_equal(ask(f, "m.node.consul", RR_TXT),
	    "NOERROR aa rd\n"
	    "an m.node.consul. 0 TXT \"` a`=b``=c=d``\"\n"
	    "an m.node.consul. 0 TXT \"as is\"\n"
	    "an m.node.consul. 0 TXT \"empty=\"\n");
}

static void
srv_brings_the_meta_of_nodes(void **state)
{
	struct dns_room *f = *state;
	const struct uuid cluster = { { 2 } };
	char text[401] = { 0 };
	struct pair meta[] = { { STR("rack"), STR("r7") }, { STR("rfc1035-x"), { text, 400 } } };
	struct node_info node = { .name = STR("m"),
		.address = STR("10.9.1.1"),
		.meta = meta,
		.meta_count = 1,
		.meta_set = true };

	assert_true(store_put_node(f->store, dns_room_now, &cluster, &node, NULL) >= 0);
	dns_room_node(f, "plain", "10.9.1.2");
	dns_room_service(f, "m", "w1", "web", "", 80, "");
	dns_room_service(f, "m", "w2", "web", "", 81, "");
	dns_room_service(f, "plain", "w3", "web", "", 82, "");
	assert_string_equal(ask(f, "web.service.consul", RR_SRV),
	    "NOERROR aa rd\n"
	    "an web.service.consul. 0 SRV 1 1 80 m.node.dc1.consul.\n"
	    "an web.service.consul. 0 SRV 1 1 81 m.node.dc1.consul.\n"
	    "an web.service.consul. 0 SRV 1 1 82 plain.node.dc1.consul.\n"
	    "ad m.node.dc1.consul. 0 A 10.9.1.1\n"
	    "ad m.node.dc1.consul. 0 A 10.9.1.1\n"
	    "ad m.node.dc1.consul. 0 TXT \"rack=r7\"\n"
	    "ad plain.node.dc1.consul. 0 A 10.9.1.2\n");
	(void)ask(f, "web.service.consul", RR_A);
	assert_int_equal(dns_room_count(f->text, "ad "), 0);
	/* one that does not fit is left out, and nothing says so: all that was asked for is there */
	memset(text, 'x', 400);
	node.meta_count = 2;
	assert_true(store_put_node(f->store, dns_room_now, &cluster, &node, NULL) >= 0);
	(void)ask(f, "web.service.consul", RR_SRV);
	assert_int_equal(dns_room_count(f->text, "NOERROR aa rd"), 1);
	assert_int_equal(dns_room_count(f->text, "an "), 3);
	assert_int_equal(dns_room_count(f->text, "ad m.node.dc1.consul. 0 TXT"), 1);
	f->config.node_meta_asked_only = true;
	(void)ask(f, "web.service.consul", RR_SRV);
	assert_int_equal(dns_room_count(f->text, "ad m.node.dc1.consul. 0 TXT"), 0);
}

static void
addresses_in_hex(void **state)
{
	struct dns_room *f = *state;

	assert_string_equal(ask(f, "C0A80A0B.addr.DC1.consul", RR_A),
	    "NOERROR aa rd\nan c0a80a0b.addr.dc1.consul. 0 A 192.168.10.11\n");
	assert_string_equal(ask(f, "c0000201.addr.consul", RR_AAAA),
	    "NOERROR aa rd\nan c0000201.addr.consul. 0 A 192.0.2.1\n");
	assert_string_equal(ask(f, "20010db8000000000000000000000005.addr.consul", RR_A),
	    "NOERROR aa rd\n"
	    "an 20010db8000000000000000000000005.addr.consul. 0 AAAA 2001:db8::5\n");
	assert_string_equal(ask(f, "c00002.addr.consul", RR_A), EMPTY);
	assert_string_equal(ask(f, "c000020x.addr.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "a.c0000201.addr.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "addr.consul", RR_A), NXDOMAIN);
}

static void
reverse_names(void **state)
{
	struct dns_room *f = *state;
	static const char nobody[] = "SERVFAIL rd ra\n";

	dns_room_node(f, "a", "10.219.31.1");
	dns_room_node(f, "b", "2001:db8::77");
	dns_room_service(f, "a", "w", "web", "10.219.31.3", 1, "");
	assert_string_equal(ask(f, "1.31.219.10.IN-ADDR.arpa", RR_PTR),
	    "NOERROR aa rd\nan 1.31.219.10.IN-ADDR.arpa. 0 PTR a.node.dc1.consul.\n");
	assert_string_equal(ask(f, "3.31.219.10.in-addr.arpa", RR_A),
	    "NOERROR aa rd\nan 3.31.219.10.in-addr.arpa. 0 PTR web.service.dc1.consul.\n");
	(void)ask(
	    f, "7.7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", RR_PTR);
	assert_non_null(strstr(f->text, " PTR b.node.dc1.consul."));
	assert_string_equal(ask(f, "250.31.219.10.in-addr.arpa", RR_PTR), nobody);
	assert_string_equal(ask(f, "01.31.219.10.in-addr.arpa", RR_PTR), nobody);
	assert_string_equal(ask(f, "256.31.219.10.in-addr.arpa", RR_PTR), nobody);
	assert_string_equal(ask(f, "10.in-addr.arpa", RR_PTR), nobody);
	assert_string_equal(ask(f, "arpa", RR_PTR), nobody);
}

static void
the_domain_itself(void **state)
{
	struct dns_room *f = *state;
	static const char soa[] = "NOERROR aa rd\n"
				  "an " DNS_ROOM_SOA "au consul. 0 NS n1.node.dc1.consul.\n"
				  "ad n1.node.dc1.consul. 0 A 127.0.0.1\n";
	static const char ns[] = "NOERROR aa rd\n"
				 "an consul. 0 NS n1.node.dc1.consul.\n"
				 "ad n1.node.dc1.consul. 0 A 127.0.0.1\n";

	assert_string_equal(ask(f, "consul", RR_SOA), soa);
	assert_string_equal(ask(f, "CONSUL", RR_SOA), soa);
	assert_string_equal(ask(f, "whatever.consul", RR_SOA), soa);
	assert_string_equal(ask(f, "consul", RR_NS), ns);
	assert_string_equal(ask(f, "web.service.consul", RR_NS), ns);
	assert_string_equal(ask(f, "consul", RR_AXFR), "NOTIMP aa rd\n");
	assert_string_equal(ask(f, "ns.consul", RR_A), NXDOMAIN);
	assert_string_equal(ask(f, "consul", RR_A), NODATA); /* our own: it does exist */
	assert_string_equal(ask(f, "www.example.com", RR_A), "REFUSED rd\n");
	assert_string_equal(ask(f, ".", RR_NS), "REFUSED rd\n");
	assert_string_equal(ask(f, "notconsul", RR_A), "REFUSED rd\n");
	(void)ask(f, "consul.service.consul", RR_A);
	assert_int_equal(dns_room_count(f->text, "an consul.service.consul. 0 A 127.0.0.1"), 1);
}

static void
at_most_three_name_servers(void **state)
{
	struct dns_room *f = *state;

	dns_room_many(f, "consul", 8);
	(void)ask(f, "consul", RR_NS);
	assert_int_equal(dns_room_count(f->text, "an consul. 0 NS "), 3);
	assert_int_equal(dns_room_count(f->text, "ad "), 3);
}

static void
another_domain_beside(void **state)
{
	struct dns_room *f = *state;

	f->config.domain = STR("dc.example.");
	f->config.alt_domain = STR("sub.dc.example");
	dns_room_node(f, "a", "10.9.1.1");
	dns_room_service(f, "a", "w1", "web", "", 80, "");
	assert_string_equal(ask(f, "web.service.sub.dc.example", RR_SRV),
	    "NOERROR aa rd\n"
	    "an web.service.sub.dc.example. 0 SRV 1 1 80 a.node.dc1.dc.example.\n"
	    "ad a.node.dc1.dc.example. 0 A 10.9.1.1\n");
	assert_string_equal(ask(f, "web.service.dc.example", RR_A),
	    "NOERROR aa rd\nan web.service.dc.example. 0 A 10.9.1.1\n");
	(void)ask(f, "sub.dc.example", RR_SOA);
	assert_int_equal(dns_room_count(f->text, "an dc.example. 0 SOA ns.dc.example."), 1);
	assert_string_equal(ask(f, "web.service.consul", RR_A), "REFUSED rd\n");
}

static void
limits_of_udp(void **state)
{
	struct dns_room *f = *state;

	dns_room_many(f, "web", 90);
	(void)ask(f, "web.service.consul", RR_A);
	assert_int_equal(dns_room_count(f->text, "an "), 3);
	assert_int_equal(dns_room_count(f->text, "NOERROR aa rd"), 1);
	(void)ask(f, "web.service.consul", RR_ANY);
	assert_int_equal(dns_room_count(f->text, "an "), 3);
	(void)ask(f, "web.service.consul", RR_SRV);
	assert_int_equal(dns_room_count(f->text, "an "), 3);
	assert_int_equal(dns_room_count(f->text, "ad "), 3);
	assert_true(f->size <= 512);
	(void)dns_room_ask(f, (struct dns_ask){ "web.service.consul", RR_A, 512, false });
	assert_int_equal(dns_room_count(f->text, "an "), 3);
	assert_int_equal(dns_room_count(f->text, "opt"), 0); /* a cut answer has none */
	(void)dns_room_ask(f, (struct dns_ask){ "web.service.consul", RR_A, 1232, false });
	assert_int_equal(dns_room_count(f->text, "an "), 74); /* 36 bytes, then 16 for each */
	assert_int_equal(f->size, 36 + 74 * 16);
	assert_int_equal(dns_room_count(f->text, "opt"), 0);
	(void)dns_room_ask(f, (struct dns_ask){ "web.service.consul", RR_A, 4096, false });
	assert_int_equal(dns_room_count(f->text, "an "), 90);
	assert_int_equal(dns_room_count(f->text, "opt 4096"), 1);
	(void)dns_room_ask(f, (struct dns_ask){ "web.service.consul", RR_SRV, 0, true });
	assert_int_equal(dns_room_count(f->text, "an "), 90);
	assert_int_equal(dns_room_count(f->text, "ad "), 90);
}

/* Answers come first: the recorded peer gives fewer instances so as to have all addresses. */
static void
additionals_give_way(void **state)
{
	struct dns_room *f = *state;

	dns_room_many(f, "web", 25);
	(void)dns_room_ask(f, (struct dns_ask){ "web.service.consul", RR_SRV, 1232, false });
	assert_int_equal(dns_room_count(f->text, "an "), 25);
	assert_int_equal(dns_room_count(f->text, "ad "), 9);
	assert_int_equal(dns_room_count(f->text, "opt 1232"), 1);
	assert_true(f->size <= 1232);
}

static void
tc_when_wanted(void **state)
{
	struct dns_room *f = *state;

	f->config.enable_truncate = true;
	f->config.udp_answer_limit = 2;
	dns_room_many(f, "web", 5);
	(void)ask(f, "web.service.consul", RR_SRV);
	assert_int_equal(dns_room_count(f->text, "NOERROR aa tc rd"), 1);
	assert_int_equal(dns_room_count(f->text, "an "), 2);
	assert_int_equal(dns_room_count(f->text, "ad "), 2);
	(void)dns_room_ask(f, (struct dns_ask){ "web.service.consul", RR_SRV, 0, true });
	assert_int_equal(dns_room_count(f->text, "NOERROR aa rd"), 1);
	assert_int_equal(dns_room_count(f->text, "an "), 5);
}

/* Names so long that not even one record stays below 512 bytes: it is given all the same. */
static void
one_answer_always(void **state)
{
	struct dns_room *f = *state;
	char name[64], node[64], tag[256], question[512];

	memset(name, 'n', 63);
	name[63] = '\0';
	memset(node, 'x', 63);
	node[63] = '\0';
	(void)snprintf(tag, sizeof tag, "%s.%s", node, node);
	(void)snprintf(question, sizeof question, "%s.%s.service.consul", tag, name);
	f->config.datacenter = str_of(name);
	f->config.disable_compression = true;
	dns_room_node(f, node, "10.9.1.1");
	dns_room_service(f, node, "1", name, "", 80, tag);
	dns_room_service(f, node, "2", name, "", 81, tag);
	(void)ask(f, question, RR_SRV);
	assert_int_equal(dns_room_count(f->text, "an "), 1);
	assert_int_equal(dns_room_count(f->text, "ad "), 0);
}

static void
a_records_may_be_limited(void **state)
{
	struct dns_room *f = *state;

	f->config.a_record_limit = 1;
	dns_room_many(f, "web", 5);
	(void)ask(f, "web.service.consul", RR_A);
	assert_int_equal(dns_room_count(f->text, "an "), 1);
	(void)ask(f, "web.service.consul", RR_SRV);
	assert_int_equal(dns_room_count(f->text, "an "), 3);
}

/* The owner of the first record, as it stands in the message. */
static uint8_t
first_ip_byte(struct dns_room *f, uint8_t *room, size_t cap)
{
	uint8_t packet_room[512];
	struct dns_ask ask = { "web.service.consul", RR_A, 0, false };
	struct str packet = dns_room_packet(&ask, packet_room);
	size_t n = dns_answer(f->responder, dns_room_now, packet, false, room, cap);

	assert_true(n > 36 + 16);
	return room[36 + 15];
}

static void
addresses_rotate(void **state)
{
	struct dns_room *f = *state;
	unsigned first[11] = { 0 };
	uint8_t room[512];

	dns_room_many(f, "web", 10);
	(void)ask(f, "web.service.consul", RR_A);
	for (unsigned i = 0; i < 1000; i++)
		first[first_ip_byte(f, room, sizeof room)]++;
	for (unsigned i = 1; i <= 10; i++)
		assert_in_range(first[i], 50, 200);
}

static void
srv_order_is_stable_until_cut(void **state)
{
	struct dns_room *f = *state;
	struct dns_ask whole = { "web.service.consul", RR_SRV, 4096, false };
	uint8_t packet_room[512], a[4096], b[4096];
	char seen[11] = { 0 };
	size_t n;

	dns_room_many(f, "web", 10);
	(void)dns_room_ask(f, whole);
	struct str packet = dns_room_packet(&whole, packet_room);

	n = dns_answer(f->responder, dns_room_now, packet, false, a, sizeof a);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(
		    dns_answer(f->responder, dns_room_now, packet, false, b, sizeof b), n);
		assert_memory_equal(a, b, n);
	}
	for (unsigned i = 0; i < 200; i++) {
		const char *text = ask(f, "web.service.consul", RR_SRV);

		for (const char *at = text; (at = strstr(at, "SRV 1 1 80")) != NULL; at++)
			seen[atoi(at + 10)] = 1;
	}
	for (unsigned i = 1; i <= 10; i++)
		assert_int_equal(seen[i], 1);
}

static void
edns_is_echoed(void **state)
{
	struct dns_room *f = *state;

	assert_string_equal(dns_room_ask(f, (struct dns_ask){ "no.node.consul", RR_A, 100, false }),
	    NXDOMAIN "opt 100\n");
	assert_string_equal(
	    dns_room_ask(f, (struct dns_ask){ "www.example.com", RR_A, 1232, false }),
	    "REFUSED rd\n");
	assert_string_equal(dns_room_ask(f, (struct dns_ask){ "consul", RR_SOA, 4096, true }),
	    "NOERROR aa rd\n"
	    "an " DNS_ROOM_SOA "au consul. 0 NS n1.node.dc1.consul.\n"
	    "ad n1.node.dc1.consul. 0 A 127.0.0.1\nopt 4096\n");
	assert_string_equal(
	    dns_room_ask(f, (struct dns_ask){ "9.9.9.9.in-addr.arpa", RR_PTR, 1232, false }),
	    "SERVFAIL rd ra\nopt 1232\n");
}

static void
send_is(struct dns_room *f, const char *bytes, size_t n, const char *want)
{
	assert_string_equal(dns_room_send(f, str_mem(bytes, n), false), want);
}
#define SEND_IS(f, literal, want) send_is(f, "" literal, sizeof(literal) - 1, want)

static void
packets_that_are_no_questions(void **state)
{
	struct dns_room *f = *state;

	SEND_IS(f, "", "");
	SEND_IS(f, "\1\2\1\0\0\1\0\0\0\0\0", "");
	SEND_IS(f, "\1\2\201\0\0\1\0\0\0\0\0\0\6consul\0\0\6\0\1", ""); /* an answer */
	SEND_IS(f, "\1\2\1\0\0\0\0\0\0\0\0\0", "FORMERR rd\n");
	SEND_IS(f, "\1\2\1\0\0\1\0\0\0\0\0\0", "REFUSED rd\n");
	SEND_IS(f, "\1\2\1\0\0\1\0\0\0\0\0\0\6con", "FORMERR rd\n");
	SEND_IS(f, "\1\2\1\0\0\1\0\0\0\0\0\0\300\14\0\1\0\1", "FORMERR rd\n");
	SEND_IS(f, "\1\2\21\0\0\1\0\0\0\0\0\0\6consul\0\0\6\0\1", "NOTIMP rd\n"); /* STATUS */
	/* NOTIFY is answered, RD is not repeated; CD is, and the class does not matter */
	(void)dns_room_send(f, str_mem("\1\2\41\0\0\1\0\0\0\0\0\0\6consul\0\0\6\0\3", 24), false);
	assert_int_equal(dns_room_count(f->text, "an consul. 0 SOA"), 1);
	assert_memory_equal(f->text, "NOERROR aa\n", 11);
	const struct dns_stats *stats = dns_responder_stats(f->responder);

	assert_int_equal(stats->dropped, 3);
	assert_int_equal(stats->formerr, 3);
	assert_int_equal(stats->queries, 1);
}

static void
not_ready_is_servfail(void **state)
{
	struct dns_room *f = *state;

	(void)ask(f, "n1.node.consul", RR_A);
	dns_responder_ready(f->responder, false);
	assert_string_equal(ask(f, "n1.node.consul", RR_A), "SERVFAIL rd\n");
	assert_string_equal(ask(f, "1.0.0.127.in-addr.arpa", RR_PTR), "SERVFAIL rd ra\n");
	assert_string_equal(ask(f, "www.example.com", RR_A), "REFUSED rd\n");
	dns_responder_ready(f->responder, true);
	assert_int_equal(dns_room_count(ask(f, "n1.node.consul", RR_A), "an "), 1);
}

/* Whatever the room, an answer is well-formed and stays inside; or there is none. */
static void
small_rooms(void **state)
{
	struct dns_room *f = *state;
	struct dns_ask ask = { "web.service.consul", RR_SRV, 4096, true };
	uint8_t packet_room[512];
	char text[8192];

	dns_room_many(f, "web", 10);
	(void)dns_room_ask(f, ask);
	struct str packet = dns_room_packet(&ask, packet_room);

	for (size_t cap = 0; cap < 900; cap++) {
		uint8_t *room = malloc(cap + 1);
		size_t n = dns_answer(f->responder, dns_room_now, packet, true, room, cap);

		assert_true(n <= cap);
		assert_true(n == 0 || dns_room_show(str_mem(room, n), text, sizeof text));
		free(room);
	}
}

static void
thousands_of_instances(void **state)
{
	struct dns_room *f = *state;

	dns_room_many(f, "web", 5000);
	(void)dns_room_ask(f, (struct dns_ask){ "web.service.consul", RR_A, 0, true });
	assert_true(f->size > 65000);
	(void)dns_room_ask(f, (struct dns_ask){ "web.service.consul", RR_SRV, 0, true });
	assert_true(f->size > 65000);
	(void)ask(f, "web.service.consul", RR_A);
	assert_int_equal(dns_room_count(f->text, "an "), 3);
}

#define answer_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		answer_test(services_by_address),
		answer_test(health_decides),
		answer_test(addresses_are_given_once),
		answer_test(srv_records),
		answer_test(nodes_with_odd_names),
		answer_test(host_names_as_addresses),
		answer_test(families_by_tagged_address),
		answer_test(times_to_live),
		answer_test(nodes),
		answer_test(node_meta_as_text),
		answer_test(srv_brings_the_meta_of_nodes),
		answer_test(addresses_in_hex),
		answer_test(reverse_names),
		answer_test(the_domain_itself),
		answer_test(at_most_three_name_servers),
		answer_test(another_domain_beside),
		answer_test(limits_of_udp),
		answer_test(additionals_give_way),
		answer_test(tc_when_wanted),
		answer_test(one_answer_always),
		answer_test(a_records_may_be_limited),
		answer_test(addresses_rotate),
		answer_test(srv_order_is_stable_until_cut),
		answer_test(edns_is_echoed),
		answer_test(packets_that_are_no_questions),
		answer_test(not_ready_is_servfail),
		answer_test(small_rooms),
		answer_test(thousands_of_instances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

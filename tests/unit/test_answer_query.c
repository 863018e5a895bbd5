/* NAME.query: what a name stands for is somebody else's word here, how it is answered is not. */
#include "tests/unit/test.h"

#include "tests/unit/dns_room.h"

static struct dns_room room;
static const struct catalog_service *said[64];
static struct dns_query_found found;
static enum dns_query_known known;
static char asked[256];

static enum dns_query_known
say(void *arg, struct str name, struct dns_query_found *out)
{
	assert_ptr_equal(arg, &room);
	snprintf(asked, sizeof asked, STR_FMT, STR_ARG(name));
	*out = found;
	return known;
}

/* All instances of a service in the opposite of the catalog's order. */
static void
find(const char *service)
{
	const struct catalog_name *name =
	    catalog_name_find(store_catalog(room.store), str_of(service));
	const struct catalog_service *s = NULL;
	size_t n = name->count;

	assert_true(n <= sizeof said / sizeof said[0]);
	found = (struct dns_query_found){ .of = said, .count = n, .service = name->name };
	while ((s = catalog_instance_next(name, s)) != NULL)
		said[--n] = s;
	known = DNS_QUERY_KNOWN;
}

static int
setup(void **unused)
{
	(void)unused;
	dns_room_init(&room);
	found = (struct dns_query_found){ .count = 0 };
	known = DNS_QUERY_UNKNOWN;
	asked[0] = '\0';
	(void)dns_room_ask(&room, (struct dns_ask){ .name = "consul", .type = RR_SOA });
	dns_responder_queries(
	    room.responder, say, &room); /* it is there from the first question on */
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	dns_room_done(&room);
	return 0;
}

static const char *
ask(const char *name, uint16_t type)
{
	return dns_room_ask(&room, (struct dns_ask){ .name = name, .type = type });
}

#define NXDOMAIN "NXDOMAIN aa rd\nau " DNS_ROOM_SOA

static void
names_are_taken_apart(void **unused)
{
	static const struct {
		const char *name, *asked;
	} rows[] = {
		{ "q.query.consul", "q" },
		{ "A.B.c.QUERY.consul", "a.b.c" },
		{ "q.query.dc1.consul", "q" },
		{ "_q._tcp.query.consul", "_q._tcp" },
		{ "q.service.query.consul", "q.service" },
		{ "q.query.dc2.consul", "" },
		{ "query.consul", "" },
		{ "q.query.dc1.dc1.consul", "" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		asked[0] = '\0';
		assert_string_equal(ask(rows[i].name, RR_A), NXDOMAIN);
		assert_string_equal(asked, rows[i].asked);
		asked[0] = '\0';
		assert_string_equal(ask(rows[i].name, RR_SRV), NXDOMAIN);
		assert_string_equal(asked, rows[i].asked);
	}
}

static void
every_type_is_answered(void **unused)
{
	(void)unused;
	dns_room_node(&room, "a", "10.9.1.1");
	dns_room_node(&room, "b", "10.9.1.2");
	dns_room_service(&room, "a", "w1", "web", "", 80, "");
	dns_room_service(&room, "b", "w1", "web", "fd00::7", 81, "");
	find("web");
	found.has_ttl = true;
	found.ttl = 17;
	assert_string_equal(
	    ask("Q.query.consul", RR_A), "NOERROR aa rd\nan Q.query.consul. 17 A 10.9.1.1\n");
	assert_string_equal(
	    ask("q.query.consul", RR_AAAA), "NOERROR aa rd\nan q.query.consul. 17 AAAA fd00::7\n");
	assert_string_equal(ask("q.query.consul", RR_ANY), "NOERROR aa rd\n"
							   "an q.query.consul. 17 A 10.9.1.1\n"
							   "an q.query.consul. 17 AAAA fd00::7\n");
	(void)ask("q.query.consul", RR_SRV);
	assert_int_equal(dns_room_count(room.text, "an q.query.consul. 17 SRV 1 1 8"), 2);
	assert_int_equal(dns_room_count(room.text, "ad "), 2);
	assert_string_equal(ask("q.query.consul", 15 /* MX */), "NOERROR aa rd\nau " DNS_ROOM_SOA);
}

static void
the_ttl_is_the_services_unless_the_query_has_one(void **unused)
{
	static struct dns_service_ttl ttl[] = { { STR("web"), 33 } };

	(void)unused;
	room.config.service_ttl = ttl;
	room.config.service_ttl_count = 1;
	dns_room_node(&room, "a", "10.9.1.1");
	dns_room_service(&room, "a", "w1", "web", "", 80, "");
	find("web");
	assert_string_equal(
	    ask("q.query.consul", RR_A), "NOERROR aa rd\nan q.query.consul. 33 A 10.9.1.1\n");
	found.has_ttl = true;
	assert_string_equal(
	    ask("q.query.consul", RR_A), "NOERROR aa rd\nan q.query.consul. 0 A 10.9.1.1\n");
}

static void
finding_nothing_and_failing(void **unused)
{
	(void)unused;
	known = DNS_QUERY_KNOWN;
	assert_string_equal(ask("q.query.consul", RR_A), NXDOMAIN);
	known = DNS_QUERY_FAILED;
	assert_string_equal(ask("q.query.consul", RR_A), "SERVFAIL aa rd\n");
	dns_responder_queries(room.responder, NULL, NULL);
	assert_string_equal(ask("q.query.consul", RR_A), NXDOMAIN);
}

/* The nearest come first, also when not all fit: always the same three. */
static void
the_order_is_kept(void **unused)
{
	(void)unused;
	dns_room_many(&room, "many", 20);
	find("many");
	for (int i = 0; i < 20; i++) {
		(void)ask("q.query.consul", RR_A);
		assert_int_equal(dns_room_count(room.text, "an "), 3);
		assert_int_equal(dns_room_count(room.text, "an q.query.consul. 0 A 10.9.20.20"), 1);
		assert_int_equal(dns_room_count(room.text, "an q.query.consul. 0 A 10.9.20.19"), 1);
		assert_int_equal(dns_room_count(room.text, "an q.query.consul. 0 A 10.9.20.18"), 1);
		(void)ask("q.query.consul", RR_SRV);
		assert_int_equal(dns_room_count(room.text, "an "), 3);
		assert_int_equal(dns_room_count(room.text, "an q.query.consul. 0 SRV 1 1 8020"), 1);
		assert_int_equal(dns_room_count(room.text, "an q.query.consul. 0 SRV 1 1 8018"), 1);
	}
}

/* An address that is the name of a query, and one whose query finds itself. */
static void
queries_as_addresses_are_followed(void **unused)
{
	(void)unused;
	dns_room_node(&room, "a", "10.9.1.1");
	dns_room_service(&room, "a", "w1", "web", "", 80, "");
	dns_room_service(&room, "a", "p", "proxy", "q.query.consul", 80, "");
	find("web");
	assert_string_equal(ask("proxy.service.consul", RR_A),
	    "NOERROR aa rd\n"
	    "an proxy.service.consul. 0 CNAME q.query.consul.\n"
	    "an q.query.consul. 0 A 10.9.1.1\n");
	find("proxy");
	(void)ask("proxy.service.consul", RR_A); /* it ends */
	assert_true(dns_room_count(room.text, "an ") >= 1);
	assert_string_equal(ask("q.query.consul", RR_A),
	    "NOERROR aa rd\nan q.query.consul. 0 A 10.9.1.1\n"); /* itself: its node's */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_are_taken_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(every_type_is_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    the_ttl_is_the_services_unless_the_query_has_one, setup, teardown),
		cmocka_unit_test_setup_teardown(finding_nothing_and_failing, setup, teardown),
		cmocka_unit_test_setup_teardown(the_order_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(queries_as_addresses_are_followed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

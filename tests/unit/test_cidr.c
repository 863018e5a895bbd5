/* tests/unit/test_cidr.c -- networks from text, and what is in them. */
#include "base/cidr.h"
#include "tests/unit/test.h"

static void
networks_hold_their_addresses(void **unused)
{
	static const struct {
		const char *net, *addr;
		bool in;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.1.2", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.1.2.3/8", "10.9.9.9", true }, /* the rest of the address does not count */
		{ "192.168.4.0/22", "192.168.7.255", true },
		{ "192.168.4.0/22", "192.168.8.0", false },
		{ "127.0.0.1/32", "127.0.0.1", true },
		{ "127.0.0.1/32", "127.0.0.2", false },
		{ "0.0.0.0/0", "8.8.8.8", true },
		{ "0.0.0.0/0", "::1", false },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
		{ "fd00::/8", "fd12::1", true },
		{ "fd00::/8", "fe80::1", false },
		{ "::1/128", "::1", true },
		{ "::/0", "fd12::1", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct cidr net;
		struct addr addr;

		assert_true(cidr_parse(str_of(rows[i].net), &net));
		assert_true(addr_parse_ip(str_of(rows[i].addr), &addr));
		if (cidr_has(&net, &addr) != rows[i].in)
			fail_msg("%s in %s", rows[i].addr, rows[i].net);
	}
}

static void
who_has_no_address_is_in_no_network(void **unused)
{
	struct cidr net;
	struct addr none = { 0 };

	(void)unused;
	assert_true(cidr_parse(STR("0.0.0.0/0"), &net));
	assert_false(cidr_has(&net, &none));
}

static void
what_is_no_network_is_refused(void **unused)
{
	static const char *const texts[] = { "", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33",
		"10.0.0.0/-1", "10.0.0.0/8x", "/8", "host/8", "::/129", "10.0.0/8", "10.0.0.0/8/8" };
	struct cidr net;

	(void)unused;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (cidr_parse(str_of(texts[i]), &net))
			fail_msg("%s", texts[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_hold_their_addresses),
		cmocka_unit_test(who_has_no_address_is_in_no_network),
		cmocka_unit_test(what_is_no_network_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

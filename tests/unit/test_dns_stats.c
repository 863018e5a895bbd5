/* tests/unit/test_dns_stats.c -- counters by type, code and time. */
#include "tests/unit/test.h"

#include "dns/dns_stats.h"
#include "dns/message.h"

static void
spans_by_powers_of_two(void **state)
{
	static const struct {
		nsec took;
		unsigned span;
	} rows[] = { { -5, 0 }, { 0, 0 }, { 16 * NSEC_US, 0 }, { 17 * NSEC_US, 1 },
		{ 32 * NSEC_US, 1 }, { 33 * NSEC_US, 2 }, { NSEC_MS, 6 }, { 1025 * NSEC_US, 7 },
		{ 131072 * NSEC_US, 13 }, { 131073 * NSEC_US, 14 }, { NSEC_HOUR, 14 } };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct dns_stats stats = { 0 };

		dns_stats_time(&stats, rows[i].took);
		assert_int_equal(stats.spans[rows[i].span], 1);
		assert_int_equal(stats.spans_us, rows[i].took < 0 ? 0 : rows[i].took / NSEC_US);
	}
}

static void
types_and_codes(void **state)
{
	struct dns_stats stats = { 0 }, sum = { 0 };

	(void)state;
	dns_stats_count(&stats, RR_A, DNS_NOERROR, true);
	dns_stats_count(&stats, RR_SRV, DNS_NXDOMAIN, false);
	dns_stats_count(&stats, 999, DNS_REFUSED, false);
	stats.late = 3;
	dns_stats_add(&sum, &stats);
	dns_stats_add(&sum, &stats);
	assert_int_equal(sum.by_type[DNS_COUNT_A], 2);
	assert_int_equal(sum.by_type[DNS_COUNT_SRV], 2);
	assert_int_equal(sum.by_type[DNS_COUNT_OTHER], 2);
	assert_int_equal(sum.noerror, 2);
	assert_int_equal(sum.nxdomain, 2);
	assert_int_equal(sum.refused, 2);
	assert_int_equal(sum.truncated, 2);
	assert_int_equal(sum.late, 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_by_powers_of_two),
		cmocka_unit_test(types_and_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

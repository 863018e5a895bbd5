/* Addresses and ids: text forms in and out. */
#include "base/addr.h"
#include "base/uuid.h"
#include "tests/unit/test.h"

static void
addresses_come_back_as_text(void **unused)
{
	const char *same[] = { "10.0.0.1:53", "[fd00::1]:8500" };
	char text[ADDR_TEXT_MAX];
	struct addr a;

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		assert_true(addr_parse(str_of(same[i]), 0, &a));
		assert_string_equal(addr_format(&a, text), same[i]);
	}
	assert_true(addr_parse(STR("fd00::1"), 53, &a));
	assert_int_equal(a.port, 53);
	assert_true(addr_parse(STR("[::1]"), 9, &a));
	assert_true(addr_is_loopback(&a));
}

static void
what_is_no_address_is_refused(void **unused)
{
	const char *bad[] = { "", "web", "1.2.3", "10.0.0.1:65536", "10.0.0.1:", "[::1", "1.2.3.4:x" };
	struct addr a;

	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(addr_parse(str_of(bad[i]), 1, &a));
}

static void
ids_come_back_as_text(void **unused)
{
	const char *text = "0123abcd-4567-89ab-cdef-0123456789ab";
	char out[UUID_TEXT_LEN + 1];
	struct uuid u, v = uuid_random();

	(void)unused;
	assert_true(uuid_parse(str_of(text), &u));
	assert_string_equal(uuid_format(&u, out), text);
	assert_false(uuid_eq(&u, &v));
	assert_int_equal(v.b[6] >> 4, 4);
	assert_false(uuid_parse(STR("0123abcd-4567-89ab-cdef-0123456789a"), &u));
	assert_false(uuid_parse(STR("0123abcd+4567-89ab-cdef-0123456789ab"), &u));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_come_back_as_text),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(ids_come_back_as_text),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}

/* tests/unit/test_api_place.c -- where an agent's API is, told through its data folder. */
#include "tests/unit/folder_fixture.h"

#include "agent/api_place_io.h"

static void
what_is_written_is_read(void **unused)
{
	char place[API_PLACE_MAX];

	(void)unused;
	assert_false(api_place_read(folder, place));
	api_place_write(folder, STR("127.0.0.1:8500"));
	assert_true(api_place_read(folder, place));
	assert_string_equal(place, "127.0.0.1:8500");
	api_place_write(folder, STR("unix:///run/muster.sock"));
	assert_true(api_place_read(folder, place));
	assert_string_equal(place, "unix:///run/muster.sock");
	assert_false(folder_has("api.new"));
}

static void
no_place_leaves_no_file(void **unused)
{
	char place[API_PLACE_MAX], longer[API_PLACE_MAX];

	(void)unused;
	api_place_write(folder, STR("127.0.0.1:8500"));
	api_place_write(folder, STR_NONE);
	assert_false(api_place_read(folder, place));
	memset(longer, 'a', sizeof longer);
	api_place_write(folder, str_mem(longer, sizeof longer));
	assert_false(folder_has("api"));
	api_place_write(folder, str_mem(longer, sizeof longer - 1));
	assert_true(api_place_read(folder, place));
	assert_int_equal(strlen(place), sizeof longer - 1);
}

static void
what_makes_no_sense_is_no_place(void **unused)
{
	char place[API_PLACE_MAX];

	(void)unused;
	folder_write("api", STR(""));
	assert_false(api_place_read(folder, place));
	folder_write("api", STR("\n"));
	assert_false(api_place_read(folder, place));
	assert_false(api_place_read("/nowhere/at/all", place));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(no_place_leaves_no_file, folder_make, folder_drop),
		cmocka_unit_test_setup_teardown(
		    what_makes_no_sense_is_no_place, folder_make, folder_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

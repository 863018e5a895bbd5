/* tests/unit/test_durable_io.c -- whole or not there. */
#include "agent/durable_io.h"
#include "tests/unit/folder_fixture.h"

static void
what_was_stored_is_loaded(void **unused)
{
	static char large[300000];
	struct err err = { 0 };
	struct buf text;

	(void)unused;
	memset(large, 'x', sizeof large);
	buf_init(&text, sizeof large);
	assert_int_equal(durable_load(folder, "file", &text, &err), ERR_NOT_FOUND);
	assert_int_equal(durable_store(folder, "file", 0600, STR("first"), &err), 0);
	assert_int_equal(folder_mode("file"), 0600);
	assert_int_equal(durable_load(folder, "file", &text, &err), 0);
	assert_str(buf_str(&text), "first");
	assert_int_equal(
	    durable_store(folder, "file", 0644, str_mem(large, sizeof large), &err), 0);
	assert_int_equal(folder_mode("file"), 0644);
	buf_clear(&text);
	assert_int_equal(durable_load(folder, "file", &text, &err), 0);
	assert_int_equal(text.n, sizeof large);
	assert_int_equal(durable_store(folder, "file", 0644, STR_NONE, &err), 0);
	assert_int_equal(folder_read("file").n, 0);
	assert_false(folder_has("file.new"));
	buf_done(&text);
}

static void
what_was_left_aside_is_in_nobodys_way(void **unused)
{
	struct err err = { 0 };

	(void)unused;
	folder_write("file.new", STR("half a fi"));
	assert_int_equal(chmod(folder_path("file.new"), 0666), 0);
	assert_int_equal(durable_store(folder, "file", 0600, STR("whole"), &err), 0);
	assert_str(folder_read("file"), "whole");
	assert_int_equal(folder_mode("file"), 0600);
	assert_false(folder_has("file.new"));
}

static void
a_failure_leaves_the_old_text(void **unused)
{
	struct err err = { 0 };

	(void)unused;
	folder_write("file", STR("old"));
	assert_int_equal(mkdir(folder_path("file.new"), 0755), 0);
	assert_int_equal(durable_store(folder, "file", 0600, STR("new"), &err), ERR_IO);
	assert_non_null(strstr(err.text, "cannot write /tmp/muster-folder-"));
	assert_str(folder_read("file"), "old");
	assert_int_equal(durable_store("/nonexistent", "file", 0600, STR("new"), &err), ERR_IO);
}

static void
a_failed_rename_leaves_nothing_aside(void **unused)
{
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(mkdir(folder_path("target"), 0755), 0);
	assert_int_equal(mkdir(folder_path("target/x"), 0755), 0);
	assert_int_equal(durable_store(folder, "target", 0600, STR("new"), &err), ERR_IO);
	assert_non_null(strstr(err.text, "cannot rename"));
	assert_false(folder_has("target.new"));
}

static void
what_is_too_much_is_refused(void **unused)
{
	static char name[DURABLE_PATH_MAX];
	char room[4];
	struct err err = { 0 };
	struct buf text;

	(void)unused;
	folder_write("file", STR("12345"));
	buf_over(&text, room, sizeof room);
	assert_int_equal(durable_load(folder, "file", &text, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "is larger than 4 bytes"));
	buf_clear(&text);
	folder_write("file", STR("1234"));
	assert_int_equal(durable_load(folder, "file", &text, &err), 0);
	memset(name, 'n', sizeof name - 1);
	assert_int_equal(durable_store(folder, name, 0600, STR("x"), &err), ERR_INPUT);
	assert_int_equal(durable_load(folder, name, &text, &err), ERR_INPUT);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_drop)
	const struct CMUnitTest tests[] = {
		T(what_was_stored_is_loaded),
		T(what_was_left_aside_is_in_nobodys_way),
		T(a_failure_leaves_the_old_text),
		T(a_failed_rename_leaves_nothing_aside),
		T(what_is_too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_identity.c -- the same id and a new epoch at each start; damage is named. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/identity.h"

static char folder[64];

static int
setup(void **unused)
{
	(void)unused;
	snprintf(folder, sizeof folder, "/tmp/muster-identity-XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
teardown(void **unused)
{
	static const char *const names[] = { "a/b/identity", "a/b/index", "a/b/lock",
		"a/b/identity.new", "a/b/index.new", "a/b", "a", "" };
	char path[128];

	(void)unused;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		if (remove(path) < 0 && i + 1 == sizeof names / sizeof names[0])
			return -1;
	}
	return 0;
}

static struct str
data_dir(void)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/a/b", folder);
	return str_of(path);
}

static void
overwrite(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", data_dir().p, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
a_restart_is_the_same_agent_in_a_new_epoch(void **unused)
{
	struct identity first, second;
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(identity_open(&first, data_dir(), &err), 0);
	assert_int_equal(first.epoch.counter, 1);
	assert_int_equal(first.index_ceiling, 0);
	assert_int_equal(identity_ceiling_save(&first, 123456789012, &err), 0);
	assert_int_equal(first.index_ceiling, 123456789012);
	identity_close(&first);
	assert_int_equal(identity_open(&second, data_dir(), &err), 0);
	assert_true(uuid_eq(&first.id, &second.id));
	assert_true(uuid_eq(&first.cluster, &second.cluster));
	assert_false(uuid_eq(&second.id, &second.cluster));
	assert_int_equal(second.epoch.counter, 2);
	assert_true(first.epoch.nonce != second.epoch.nonce);
	assert_int_equal(second.index_ceiling, 123456789012);
	identity_close(&second);
}

static void
a_running_agent_can_begin_an_epoch_above_what_it_heard(void **unused)
{
	struct identity i = { .lock = -1 }, again = { .lock = -1 };
	struct epoch first;
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(identity_open(&i, data_dir(), &err), 0);
	first = i.epoch;
	assert_int_equal(identity_epoch_begin(&i, 0, &err), 0);
	assert_int_equal(i.epoch.counter, first.counter + 1);
	assert_true(i.epoch.nonce != first.nonce);
	assert_int_equal(identity_epoch_begin(&i, 70, &err), 0);
	assert_int_equal(i.epoch.counter, 71);
	identity_close(&i);
	assert_int_equal(identity_open(&again, data_dir(), &err), 0); /* it was on the disk */
	assert_int_equal(again.epoch.counter, 72);
	identity_close(&again);
}

static void
a_cloned_disk_takes_a_new_id_and_keeps_it(void **unused)
{
	struct identity i = { .lock = -1 }, again = { .lock = -1 };
	struct uuid old;
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(identity_open(&i, data_dir(), &err), 0);
	old = i.id;
	assert_int_equal(identity_renew(&i, &err), 0);
	assert_false(uuid_eq(&i.id, &old));
	assert_int_equal(i.epoch.counter, 1);
	old = i.id;
	identity_close(&i);
	assert_int_equal(identity_open(&again, data_dir(), &err), 0);
	assert_true(uuid_eq(&again.id, &old));
	identity_close(&again);
}

static void
in_memory_everything_is_new(void **unused)
{
	struct identity first, second;
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(identity_open(&first, STR_NONE, &err), 0);
	assert_int_equal(identity_open(&second, STR_NONE, &err), 0);
	assert_false(uuid_eq(&first.id, &second.id));
	assert_int_equal(first.epoch.counter, 1);
	assert_int_equal(identity_ceiling_save(&first, 5, &err), 0);
	identity_close(&first);
	identity_close(&second);
}

static void
a_second_agent_is_kept_out(void **unused)
{
	struct identity first, second = { .lock = -1 };
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(identity_open(&first, data_dir(), &err), 0);
	assert_int_equal(identity_open(&second, data_dir(), &err), ERR_CONFLICT);
	assert_non_null(strstr(err.text, "in use by another agent (process "));
	assert_int_equal(second.lock, -1);
	identity_close(&first);
	assert_int_equal(identity_open(&second, data_dir(), &err), 0);
	identity_close(&second);
}

static void
damage_is_an_error_and_not_a_new_agent(void **unused)
{
	static const char *const damaged[] = {
		"id 1\n",
		"\n",
		"",
		"id 2f0c3a52-6d3c-4a3e-9d0e-4b8a3ac80f11\ncluster x\nepoch 3\n",
		("id 2f0c3a52-6d3c-4a3e-9d0e-4b8a3ac80f11\n"
		 "cluster 3f0c3a52-6d3c-4a3e-9d0e-4b8a3ac80f11\nepoch -3\n"),
	};
	struct identity i = { .lock = -1 };
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(identity_open(&i, data_dir(), &err), 0);
	identity_close(&i);
	for (size_t n = 0; n < sizeof damaged / sizeof damaged[0]; n++) {
		overwrite("identity", damaged[n]);
		assert_int_equal(identity_open(&i, data_dir(), &err), ERR_INPUT);
		assert_non_null(strstr(err.text, "identity is damaged"));
	}
	overwrite("identity", "id 2f0c3a52-6d3c-4a3e-9d0e-4b8a3ac80f11\n"
			      "cluster 3f0c3a52-6d3c-4a3e-9d0e-4b8a3ac80f11\nepoch 41\n");
	overwrite("index", "ceiling many\n");
	assert_int_equal(identity_open(&i, data_dir(), &err), ERR_INPUT);
	assert_non_null(strstr(err.text, "index is damaged"));
	overwrite("index", "ceiling 17\n");
	assert_int_equal(identity_open(&i, data_dir(), &err), 0);
	assert_int_equal(i.epoch.counter, 42);
	assert_int_equal(i.index_ceiling, 17);
	identity_close(&i);
}

static void
a_folder_that_cannot_be_made_is_named(void **unused)
{
	struct identity i;
	struct err err = { 0 };

	(void)unused;
	assert_int_equal(identity_open(&i, STR("/proc/nowhere/x"), &err), ERR_IO);
	assert_non_null(strstr(err.text, "cannot make the data folder /proc/nowhere"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_restart_is_the_same_agent_in_a_new_epoch, setup, teardown),
		cmocka_unit_test(a_running_agent_can_begin_an_epoch_above_what_it_heard),
		cmocka_unit_test(a_cloned_disk_takes_a_new_id_and_keeps_it),
		cmocka_unit_test(in_memory_everything_is_new),
		cmocka_unit_test_setup_teardown(a_second_agent_is_kept_out, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    damage_is_an_error_and_not_a_new_agent, setup, teardown),
		cmocka_unit_test(a_folder_that_cannot_be_made_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

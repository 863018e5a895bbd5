/* tests/unit/test_keyring_io.c -- where the keys come from, and what becomes of the file. */
#include "agent/pool/keyring_io.h"
#include "tests/unit/folder_fixture.h"

#define KEY_A "0123456789abcdef"
#define KEY_B "fedcba9876543210fedcba9876543210"
#define TEXT_A "MDEyMzQ1Njc4OWFiY2RlZg=="
#define TEXT_B "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="

static struct keyring *ring;
static enum keyring_source source;
static struct err err;

static int
done(void **unused)
{
	keyring_free(ring);
	ring = NULL;
	return folder_drop(unused);
}

static int
load(const char *where, const char *key)
{
	keyring_free(ring);
	ring = NULL;
	memset(&err, 0, sizeof err);
	return keyring_io_load(where, str_of(key), &ring, &source, &err);
}

static void
without_key_and_file_nothing_is_encrypted(void **unused)
{
	(void)unused;
	assert_int_equal(load(folder, ""), 0);
	assert_null(ring);
	assert_int_equal(source, KEYRING_NONE);
	assert_false(folder_has("keyring"));
}

static void
a_given_key_founds_the_file(void **unused)
{
	(void)unused;
	assert_int_equal(load(folder, KEY_A), 0);
	assert_int_equal(source, KEYRING_GIVEN);
	assert_int_equal(keyring_count(ring), 1);
	assert_str(folder_read("keyring"), "[\n  \"" TEXT_A "\"\n]\n");
	assert_int_equal(folder_mode("keyring"), 0600);
	assert_int_equal(load(folder, KEY_A), 0);
	assert_int_equal(source, KEYRING_FILE);
	assert_int_equal(load(folder, ""), 0); /* -encrypt may go from the configuration */
	assert_int_equal(source, KEYRING_FILE);
	assert_str(keyring_key(ring, 0), KEY_A);
}

static void
the_file_wins_over_another_key(void **unused)
{
	(void)unused;
	assert_int_equal(load(folder, KEY_A), 0);
	assert_int_equal(keyring_install(ring, STR(KEY_B), &err), 0);
	assert_int_equal(keyring_use(ring, STR(KEY_B), &err), 0);
	assert_int_equal(keyring_io_save(folder, ring, &err), 0);
	assert_str(folder_read("keyring"), "[\n  \"" TEXT_B "\",\n  \"" TEXT_A "\"\n]\n");
	assert_int_equal(load(folder, KEY_A), 0);
	assert_int_equal(source, KEYRING_CONFLICT);
	assert_int_equal(keyring_count(ring), 2);
	assert_str(keyring_key(ring, 0), KEY_B);
	assert_str(keyring_key(ring, 1), KEY_A);
	assert_int_equal(load(folder, KEY_B), 0);
	assert_int_equal(source, KEYRING_FILE);
}

static void
in_memory_nothing_is_written(void **unused)
{
	(void)unused;
	folder_write("keyring", STR("[\"" TEXT_B "\"]"));
	assert_int_equal(load(NULL, KEY_A), 0);
	assert_int_equal(source, KEYRING_GIVEN);
	assert_str(keyring_key(ring, 0), KEY_A);
	assert_int_equal(keyring_io_save(NULL, ring, &err), 0);
	assert_str(folder_read("keyring"), "[\"" TEXT_B "\"]");
	assert_int_equal(load(NULL, ""), 0);
	assert_null(ring);
}

static void
files_of_serf_and_consul_are_read(void **unused)
{
	(void)unused;
	folder_write("keyring", STR("[\"" TEXT_A "\",\"" TEXT_B "\",\"" TEXT_A "\"]"));
	assert_int_equal(load(folder, ""), 0);
	assert_int_equal(keyring_count(ring), 2);
	assert_int_equal(unlink(folder_path("keyring")), 0);
	assert_int_equal(mkdir(folder_path("serf"), 0755), 0);
	folder_write("serf/local.keyring", STR("[\"" TEXT_B "\",\"" TEXT_A "\"]"));
	assert_int_equal(load(folder, KEY_A), 0);
	assert_int_equal(source, KEYRING_CONSUL);
	assert_str(keyring_key(ring, 0), KEY_B);
	assert_str(folder_read("keyring"), "[\n  \"" TEXT_B "\",\n  \"" TEXT_A "\"\n]\n");
	folder_write("serf/local.keyring", STR("[]"));
	assert_int_equal(load(folder, KEY_B), 0);
	assert_int_equal(source, KEYRING_FILE);
}

static void
a_full_ring_is_kept_whole(void **unused)
{
	char key[33];

	(void)unused;
	assert_int_equal(load(folder, KEY_A), 0);
	for (int i = 1; i < KEYRING_KEYS_MAX; i++) {
		snprintf(key, sizeof key, "%032d", i);
		assert_int_equal(keyring_install(ring, str_of(key), &err), 0);
	}
	assert_int_equal(keyring_io_save(folder, ring, &err), 0);
	assert_int_equal(load(folder, ""), 0);
	assert_int_equal(keyring_count(ring), KEYRING_KEYS_MAX);
	assert_str(keyring_key(ring, KEYRING_KEYS_MAX - 1), key);
}

/* Every key is checked before any counts; the start ends, and the file stays as it is. */
static void
a_damaged_file_ends_the_start(void **unused)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "[]", "must hold a list of keys" },
		{ "{}", "must hold a list of keys" },
		{ "[\"" TEXT_A "\"", "" },
		{ "[\"" TEXT_A "\", 7]", "key 2: a key has 16, 24 or 32 bytes, not 0" },
		{ "[\"" TEXT_A "\", \"\"]", "key 2: a key has 16, 24 or 32 bytes, not 0" },
		{ "[\"secret\"]", "key 1 is not base64 of 16, 24 or 32 bytes" },
		{ "[\"c2VjcmV0\"]", "key 1: a key has 16, 24 or 32 bytes, not 6" },
		{ "[\"" TEXT_B "AAAA\"]", "key 1 is not base64 of 16, 24 or 32 bytes" },
		{ "[[\"" TEXT_A "\"]]", "key 1: a key has 16, 24 or 32 bytes, not 0" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		folder_write("keyring", str_of(rows[i].text));
		assert_int_equal(load(folder, KEY_A), ERR_INPUT);
		assert_null(ring);
		assert_non_null(strstr(err.text, "/keyring is damaged: "));
		assert_non_null(strstr(err.text, rows[i].want));
		assert_null(strstr(err.text, "secret"));
		assert_str(folder_read("keyring"), rows[i].text);
	}
}

static void
what_cannot_be_written_does_not_count(void **unused)
{
	char text[9000];

	(void)unused;
	assert_int_equal(mkdir(folder_path("keyring.new"), 0755), 0);
	assert_int_equal(load(folder, KEY_A), ERR_IO);
	assert_null(ring);
	assert_int_equal(rmdir(folder_path("keyring.new")), 0);
	assert_int_equal(load(folder, "short"), ERR_INPUT);
	assert_string_equal(err.text, "-encrypt: a key has 16, 24 or 32 bytes, not 5");
	memset(text, ' ', sizeof text);
	folder_write("keyring", str_mem(text, sizeof text));
	assert_int_equal(load(folder, KEY_A), ERR_LIMIT);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, folder_make, done)
	const struct CMUnitTest tests[] = {
		T(without_key_and_file_nothing_is_encrypted),
		T(a_given_key_founds_the_file),
		T(the_file_wins_over_another_key),
		T(in_memory_nothing_is_written),
		T(files_of_serf_and_consul_are_read),
		T(a_full_ring_is_kept_whole),
		T(a_damaged_file_ends_the_start),
		T(what_cannot_be_written_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

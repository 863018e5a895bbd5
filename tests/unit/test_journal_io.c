/* The journal: what was acknowledged is there again, whatever the file went through. */
#include "agent/local/journal_io.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/unit/test.h"

static char folder[64], file[96], copy[96];

static int
folder_make(void **unused)
{
	(void)unused;
	log_level_set(LOG_LEVEL_ERROR + 1); /* damage is on purpose here */
	snprintf(folder, sizeof folder, "/tmp/muster-journal-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(file, sizeof file, "%s/journal", folder);
	snprintf(copy, sizeof copy, "%s/copy", folder);
	return 0;
}

static int
folder_drop(void **unused)
{
	const char *tails[] = { "", ".new", ".damaged", ".damaged.1", ".damaged.2" };
	char name[128];

	(void)unused;
	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
		snprintf(name, sizeof name, "%s%s", file, tails[i]);
		unlink(name);
		snprintf(name, sizeof name, "%s%s", copy, tails[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static struct journal *
opened(const char *path)
{
	struct journal *j = NULL;
	struct err err = { 0 };

	if (journal_open(NULL, str_of(path), &j, &err) != 0)
		fail_msg("%s", err.text);
	return j;
}

/* Everything that is there, as "kind key=value\n" lines. */
static void
journal_text(const struct journal *j, struct buf *out)
{
	size_t cursor = 0;
	uint16_t kind;
	struct str key, value;

	buf_clear(out);
	while (journal_next(j, &cursor, &kind, &key, &value))
		buf_addf(out, "%u " STR_FMT "=" STR_FMT "\n", kind, STR_ARG(key), STR_ARG(value));
}

static void
assert_holds(const struct journal *j, const char *want)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	journal_text(j, &b);
	assert_str(buf_str(&b), want);
	buf_done(&b);
}

static void
file_read(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "r");
	char room[4096];
	size_t n;

	assert_non_null(f);
	buf_clear(out);
	while ((n = fread(room, 1, sizeof room, f)) > 0)
		buf_add(out, str_mem(room, n));
	fclose(f);
}

static void
file_write(const char *path, struct str s)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(s.p, 1, s.n, f), s.n);
	fclose(f);
}

static size_t
file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

static bool
file_exists(const char *path, const char *tail)
{
	char name[128];

	snprintf(name, sizeof name, "%s%s", path, tail);
	return access(name, F_OK) == 0;
}

static void
what_was_put_is_back(void **unused)
{
	struct journal *j = opened(file);
	struct err err;

	(void)unused;
	assert_int_equal(journal_put(j, 2, STR("b"), STR("2"), &err), 0);
	assert_int_equal(journal_put(j, 1, STR("z"), STR("1"), &err), 0);
	assert_int_equal(journal_put(j, 1, STR("a"), STR(""), &err), 0);
	assert_int_equal(journal_put(j, 1, STR("gone"), STR("x"), &err), 0);
	assert_int_equal(journal_delete(j, 1, STR("gone"), &err), 0);
	assert_int_equal(journal_delete(j, 1, STR("never"), &err), 0);
	assert_holds(j, "1 a=\n1 z=1\n2 b=2\n");
	journal_close(j);
	j = opened(file);
	assert_holds(j, "1 a=\n1 z=1\n2 b=2\n");
	journal_close(j);
}

static void
equal_values_write_nothing(void **unused)
{
	struct journal *j = opened(file);
	struct err err;
	size_t size;

	(void)unused;
	assert_int_equal(journal_put(j, 1, STR("a"), STR("1"), &err), 0);
	size = file_size(file);
	assert_int_equal(journal_put(j, 1, STR("a"), STR("1"), &err), 0);
	assert_int_equal(journal_delete(j, 1, STR("b"), &err), 0);
	assert_int_equal(file_size(file), size);
	assert_int_equal(journal_put(j, 1, STR("a"), STR("2"), &err), 0);
	assert_true(file_size(file) > size);
	journal_close(j);
}

static void
a_batch_is_there_whole_or_not(void **unused)
{
	struct journal *j = opened(file);
	struct err err;

	(void)unused;
	journal_put(j, 1, STR("old"), STR("1"), &err);
	journal_begin(j);
	journal_put(j, 1, STR("a"), STR("1"), &err);
	journal_delete(j, 1, STR("old"), &err);
	assert_holds(j, "1 old=1\n");
	journal_abort(j);
	journal_begin(j);
	journal_put(j, 1, STR("a"), STR("1"), &err);
	journal_delete(j, 1, STR("old"), &err);
	assert_int_equal(journal_commit(j, &err), 0);
	assert_holds(j, "1 a=1\n");
	journal_close(j);
	/* Its last byte is missing: nothing of it happened. */
	assert_int_equal(truncate(file, (off_t)file_size(file) - 1), 0);
	j = opened(file);
	assert_holds(j, "1 old=1\n");
	journal_close(j);
}

static void
keys_and_values_have_limits(void **unused)
{
	struct journal *j = opened(file);
	char *big = mem_zalloc(JOURNAL_VALUE_MAX + 1);
	struct err err;

	(void)unused;
	assert_int_equal(
	    journal_put(j, 1, str_mem(big, JOURNAL_KEY_MAX + 1), STR("v"), &err), ERR_LIMIT);
	assert_int_equal(
	    journal_put(j, 1, STR("k"), str_mem(big, JOURNAL_VALUE_MAX + 1), &err), ERR_LIMIT);
	assert_int_equal(journal_put(j, 1, STR("k"), str_mem(big, JOURNAL_VALUE_MAX), &err), 0);
	journal_begin(j);
	for (int i = 0; i < 20; i++) {
		char key[16];

		snprintf(key, sizeof key, "%d", i);
		journal_put(j, 2, str_of(key), str_mem(big, JOURNAL_VALUE_MAX), &err);
	}
	assert_int_equal(journal_commit(j, &err), ERR_LIMIT);
	assert_int_equal(journal_put(j, 2, STR("x"), STR("y"), &err), 0);
	journal_close(j);
	free(big);
}

/* Some changes, each a frame; states[i] is the text after i of them, ends[i] the file's size. */
#define CHANGES 24

static void
changes_make(struct buf states[CHANGES + 1], size_t ends[CHANGES + 1])
{
	struct journal *j = opened(file);
	struct rng rng;
	struct err err;

	rng_init(&rng, 7);
	for (int i = 0; i <= CHANGES; i++) {
		buf_init(&states[i], 1 << 16);
		journal_text(j, &states[i]);
		ends[i] = file_size(file);
		for (size_t before = ends[i]; i < CHANGES && file_size(file) == before;) {
			char key[16], value[32];

			snprintf(key, sizeof key, "k%u", rng_below(&rng, 5));
			snprintf(value, sizeof value, "v%u", rng_u32(&rng));
			if (rng_below(&rng, 3) == 0)
				journal_delete(j, 1, str_of(key), &err);
			else
				journal_put(j, 1, str_of(key), str_of(value), &err);
		}
	}
	journal_close(j);
}

static void
changes_done(struct buf states[CHANGES + 1])
{
	for (int i = 0; i <= CHANGES; i++)
		buf_done(&states[i]);
}

static void
cut_anywhere_it_is_a_state_that_was(void **unused)
{
	struct buf states[CHANGES + 1], whole;
	size_t ends[CHANGES + 1];

	(void)unused;
	changes_make(states, ends);
	buf_init(&whole, 1 << 20);
	file_read(file, &whole);
	for (size_t n = 0, i = 0; n <= whole.n; n++) {
		struct journal *j;
		struct err err;

		while (i < CHANGES && ends[i + 1] <= n)
			i++;
		file_write(copy, str_head(buf_str(&whole), n));
		j = opened(copy);
		buf_addc(&states[i], '\0');
		assert_holds(j, states[i].p);
		/* and it goes on from there */
		assert_int_equal(journal_put(j, 9, STR("more"), STR("1"), &err), 0);
		journal_close(j);
		j = opened(copy);
		states[i].n--;
		buf_addf(&states[i], "9 more=1\n");
		buf_addc(&states[i], '\0');
		assert_holds(j, states[i].p);
		states[i].n -= strlen("9 more=1\n") + 1;
		journal_close(j);
		assert_false(file_exists(copy, ".damaged"));
	}
	buf_done(&whole);
	changes_done(states);
}

static void
damage_in_the_middle_sets_the_file_aside(void **unused)
{
	struct buf states[CHANGES + 1], whole, aside;
	size_t ends[CHANGES + 1];
	char name[128];

	(void)unused;
	changes_make(states, ends);
	buf_init(&whole, 1 << 20);
	buf_init(&aside, 1 << 20);
	file_read(file, &whole);
	snprintf(name, sizeof name, "%s.damaged", copy);
	for (size_t n = 0, i = 0; n < whole.n; n++) {
		char was = whole.p[n];
		struct journal *j = NULL;
		struct err err;
		int rc;

		while (i < CHANGES && ends[i + 1] <= n)
			i++;
		whole.p[n] = (char)~was;
		file_write(copy, buf_str(&whole));
		rc = journal_open(NULL, str_of(copy), &j, &err);
		assert_int_equal(rc, 0);
		buf_addc(&states[i], '\0');
		assert_holds(j, states[i].p);
		states[i].n--;
		journal_close(j);
		/* Only the last frame may look like one that was being written. */
		assert_int_equal(file_exists(copy, ".damaged"), n < ends[CHANGES - 1]);
		if (n < ends[CHANGES - 1]) {
			file_read(name, &aside);
			assert_true(str_eq(buf_str(&aside), buf_str(&whole)));
			unlink(name);
		}
		whole.p[n] = was;
	}
	buf_done(&aside);
	buf_done(&whole);
	changes_done(states);
}

static void
a_file_of_another_version_is_refused(void **unused)
{
	struct journal *j = NULL;
	struct err err;

	(void)unused;
	file_write(file, STR("muster journal 2\nwhatever"));
	assert_int_equal(journal_open(NULL, str_of(file), &j, &err), ERR_INPUT);
	assert_null(j);
	assert_non_null(strstr(err.text, "another version"));
	assert_int_equal(file_size(file), 25);
	assert_int_equal(journal_open(NULL, str_of(folder), &j, &err), ERR_IO);
}

static void
stale_frames_are_dropped(void **unused)
{
	struct journal *j = opened(file);
	struct err err;
	char value[600];
	size_t most = 0;

	(void)unused;
	memset(value, 'v', sizeof value);
	journal_put(j, 1, STR("stays"), STR("here"), &err);
	for (int i = 0; i < 3000; i++) {
		snprintf(value, sizeof value - 1, "%d", i);
		assert_int_equal(
		    journal_put(j, 2, STR("same"), str_mem(value, sizeof value), &err), 0);
		if (file_size(file) > most)
			most = file_size(file);
	}
	assert_in_range(most, 63 * 1024, 66 * 1024);
	journal_delete(j, 2, STR("same"), &err);
	assert_holds(j, "1 stays=here\n");
	journal_close(j);
	j = opened(file);
	assert_holds(j, "1 stays=here\n");
	journal_close(j);
	assert_false(file_exists(file, ".new"));
}

static void
a_full_disk_refuses_and_leaves_no_trace(void **unused)
{
	struct journal *j = opened(file);
	struct rlimit was, small;
	struct err err;
	size_t size;
	char big[300];

	(void)unused;
	memset(big, 'x', sizeof big);
	journal_put(j, 1, STR("a"), STR("1"), &err);
	size = file_size(file);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	small = (struct rlimit){ size + 100, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(journal_put(j, 1, STR("b"), str_mem(big, sizeof big), &err), ERR_IO);
	assert_non_null(strstr(err.text, strerror(EFBIG)));
	assert_int_equal(file_size(file), size);
	assert_holds(j, "1 a=1\n");
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(journal_put(j, 1, STR("c"), STR("3"), &err), 0);
	journal_close(j);
	j = opened(file);
	assert_holds(j, "1 a=1\n1 c=3\n");
	journal_close(j);
}

static void
a_leftover_of_writing_anew_does_not_matter(void **unused)
{
	struct journal *j = opened(file);
	struct err err;
	char name[128];

	(void)unused;
	journal_put(j, 1, STR("a"), STR("1"), &err);
	journal_close(j);
	snprintf(name, sizeof name, "%s.new", file);
	file_write(name, STR("muster journal 1\nhalf"));
	j = opened(file);
	assert_holds(j, "1 a=1\n");
	assert_false(file_exists(file, ".new"));
	journal_close(j);
}

static void
with_a_loop_one_sync_serves_many_writes(void **unused)
{
	struct event_base *base = event_base_new();
	struct journal *j = NULL;
	struct err err;

	(void)unused;
	assert_int_equal(journal_open(base, str_of(file), &j, &err), 0);
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	for (int i = 0; i < 50; i++) {
		char key[16];

		snprintf(key, sizeof key, "%d", i);
		journal_put(j, 1, str_of(key), STR("v"), &err);
		assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	}
	/* The timer fires once and nothing is left to wait for. */
	assert_int_equal(event_base_dispatch(base), 1);
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	journal_put(j, 1, STR("0"), STR("v"), &err); /* equal */
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	journal_close(j);
	event_base_free(base);
}

#define journal_test(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_drop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		journal_test(what_was_put_is_back),
		journal_test(equal_values_write_nothing),
		journal_test(a_batch_is_there_whole_or_not),
		journal_test(keys_and_values_have_limits),
		journal_test(cut_anywhere_it_is_a_state_that_was),
		journal_test(damage_in_the_middle_sets_the_file_aside),
		journal_test(a_file_of_another_version_is_refused),
		journal_test(stale_frames_are_dropped),
		journal_test(a_full_disk_refuses_and_leaves_no_trace),
		journal_test(a_leftover_of_writing_anew_does_not_matter),
		journal_test(with_a_loop_one_sync_serves_many_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_roster_io.c -- who was there, over restarts, stops and damage. */
#include "agent/pool/roster_io.h"
#include "tests/unit/folder_fixture.h"

#define T0 (50 * NSEC_SEC)

static struct roster *roster;
static struct err err;

static int
done(void **unused)
{
	roster_close(roster, NULL);
	roster = NULL;
	return folder_drop(unused);
}

static struct roster_member
member(unsigned id, const char *name, const char *addr)
{
	struct roster_member m = { .name = str_of(name) };

	m.id.b[14] = (uint8_t)(id >> 8);
	m.id.b[15] = (uint8_t)id;
	assert_true(addr_parse(str_of(addr), 8301, &m.addr));
	return m;
}

static void
seen(unsigned id, const char *name, const char *addr)
{
	struct roster_member m = member(id, name, addr);

	roster_seen(roster, T0, &m);
}

static void
start(bool after_leave)
{
	memset(&err, 0, sizeof err);
	roster = roster_open(folder, after_leave, &err);
}

static void
restart(bool after_leave)
{
	assert_int_equal(roster_close(roster, &err), 0);
	start(after_leave);
}

/* "name address name address", newest first */
static void
holds(const char *want)
{
	char got[4096] = "", text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < roster_count(roster); i++) {
		struct roster_member m = roster_at(roster, i);

		snprintf(got + strlen(got), sizeof got - strlen(got), "%s" STR_FMT " %s",
		    i > 0 ? " " : "", STR_ARG(m.name), addr_format(&m.addr, text));
	}
	assert_string_equal(got, want);
}

static void
members_and_clocks_come_back(void **unused)
{
	struct serf_clocks clocks = { 7, 1ull << 61, 0 };
	struct roster_member m, got;

	(void)unused;
	start(false);
	assert_int_equal(roster_count(roster), 0);
	seen(1, "a", "10.0.0.1");
	seen(2, "b \"\\\n\xc3\xa4", "[fd00::2]:9301");
	seen(0, "serf", "10.0.0.3");
	roster_clocks_set(roster, T0, clocks);
	restart(false);
	assert_int_equal(err.code, 0);
	holds("serf 10.0.0.3:8301 b \"\\\n\xc3\xa4 [fd00::2]:9301 a 10.0.0.1:8301");
	m = member(1, "", "10.0.0.1");
	got = roster_at(roster, 2);
	assert_true(uuid_eq(&got.id, &m.id));
	assert_int_equal(roster_clocks(roster).member, 7);
	assert_int_equal(roster_clocks(roster).event, 1ull << 61);
	assert_int_equal(roster_clocks(roster).query, 0);
}

static void
the_newest_come_first_and_nobody_twice(void **unused)
{
	struct addr addrs[2];
	char text[ADDR_TEXT_MAX];

	(void)unused;
	start(false);
	seen(1, "a", "10.0.0.1");
	seen(2, "b", "10.0.0.2");
	seen(3, "c", "10.0.0.3");
	seen(1, "a", "10.0.0.1");
	holds("a 10.0.0.1:8301 c 10.0.0.3:8301 b 10.0.0.2:8301");
	seen(3, "c", "10.0.0.9"); /* moved */
	holds("c 10.0.0.9:8301 a 10.0.0.1:8301 b 10.0.0.2:8301");
	seen(1, "renamed", "10.0.0.1");
	seen(4, "d", "10.0.0.2"); /* in b's place */
	holds("d 10.0.0.2:8301 renamed 10.0.0.1:8301 c 10.0.0.9:8301");
	seen(0, "serf", "10.0.0.5");
	seen(0, "serf", "10.0.0.6");
	seen(5, "serf", "10.0.0.6"); /* it became a muster agent */
	holds("serf 10.0.0.6:8301 d 10.0.0.2:8301 renamed 10.0.0.1:8301 c 10.0.0.9:8301");
	assert_int_equal(roster_addrs(roster, addrs, 2), 2);
	assert_string_equal(addr_format(&addrs[1], text), "10.0.0.2:8301");
}

static void
who_left_is_forgotten(void **unused)
{
	struct roster_member m = member(1, "a", "10.0.0.1");

	(void)unused;
	start(false);
	seen(1, "a", "10.0.0.1");
	seen(2, "b", "10.0.0.2");
	roster_forget(roster, T0, &m);
	restart(false);
	holds("b 10.0.0.2:8301");
	roster_forget(roster, T0, &m);
	assert_int_equal(roster_deadline(roster), NSEC_NEVER);
}

static void
after_a_leave_only_rejoin_knows_them(void **unused)
{
	struct serf_clocks clocks = { 9, 8, 7 };

	(void)unused;
	start(false);
	seen(1, "a", "10.0.0.1");
	roster_clocks_set(roster, T0, clocks);
	roster_leaving(roster);
	restart(true);
	holds("a 10.0.0.1:8301");
	restart(false); /* that life did not leave */
	holds("a 10.0.0.1:8301");
	roster_leaving(roster);
	restart(false);
	holds("");
	assert_int_equal(roster_clocks(roster).member, 9);
	restart(true);
	holds("");
}

static void
it_is_written_at_most_every_ten_seconds(void **unused)
{
	struct serf_clocks clocks = { 1, 0, 0 };
	nsec now = T0;
	unsigned writes = 0;
	struct stat st;
	ino_t last = 0;

	(void)unused;
	start(false);
	assert_int_equal(roster_deadline(roster), NSEC_NEVER);
	for (; now < T0 + 100 * NSEC_SEC; now += NSEC_SEC / 10) {
		clocks.member++;
		roster_clocks_set(roster, now, clocks);
		assert_int_equal(roster_tick(roster, now, &err), 0);
		if (stat(folder_path("roster"), &st) == 0 && st.st_ino != last) {
			last = st.st_ino;
			writes++;
		}
	}
	assert_in_range(writes, 9, 11);
	now += 20 * NSEC_SEC;
	assert_int_equal(roster_tick(roster, now, &err), 0);
	assert_int_equal(roster_deadline(roster), NSEC_NEVER);
	roster_clocks_set(roster, now, clocks); /* nothing new */
	assert_int_equal(roster_deadline(roster), NSEC_NEVER);
}

static void
what_cannot_be_written_is_tried_again(void **unused)
{
	(void)unused;
	start(false);
	assert_int_equal(mkdir(folder_path("roster.new"), 0755), 0);
	seen(1, "a", "10.0.0.1");
	assert_int_equal(roster_tick(roster, T0 + NSEC_SEC, &err), ERR_IO);
	assert_int_equal(roster_deadline(roster), T0 + NSEC_SEC + ROSTER_INTERVAL);
	assert_int_equal(rmdir(folder_path("roster.new")), 0);
	assert_int_equal(roster_tick(roster, T0 + 20 * NSEC_SEC, &err), 0);
	assert_true(folder_has("roster"));
	assert_int_equal(roster_deadline(roster), NSEC_NEVER);
}

static void
it_is_bounded(void **unused)
{
	static char name[ROSTER_NAME_MAX + 2];
	char addr[32];

	(void)unused;
	start(false);
	memset(name, 1, ROSTER_NAME_MAX); /* the longest in JSON: six bytes for each */
	for (unsigned i = 1; i <= ROSTER_MEMBERS_MAX + 10; i++) {
		snprintf(addr, sizeof addr, "10.0.%u.%u", i / 256, i % 256);
		seen(i, name, addr);
	}
	assert_int_equal(roster_count(roster), ROSTER_MEMBERS_MAX);
	restart(false);
	assert_int_equal(err.code, 0);
	assert_int_equal(roster_count(roster), ROSTER_MEMBERS_MAX);
	assert_int_equal(roster_at(roster, 0).addr.bytes[3], (ROSTER_MEMBERS_MAX + 10) % 256);
	assert_int_equal(roster_at(roster, ROSTER_MEMBERS_MAX - 1).addr.bytes[3], 11);
	memset(name, 'n', sizeof name - 1);
	seen(1, name, "10.9.9.9");
	assert_int_equal(roster_at(roster, 0).addr.bytes[3], (ROSTER_MEMBERS_MAX + 10) % 256);
}

static void
a_damaged_file_is_told_and_ignored(void **unused)
{
	static const char *const damaged[] = { "", "{", "[]", "{}", "null", "{\"members\": []}",
		"{\"clocks\": {\"member\": 1, \"event\": 2, \"query\": 3}}",
		"{\"clocks\": {\"member\": -1, \"event\": 2, \"query\": 3}, \"members\": []}",
		("{\"clocks\": {\"member\": 9223372036854775807, \"event\": 2, \"query\": 3},"
		 " \"members\": []}"),
		("{\"clocks\": {\"member\": 1, \"event\": 2, \"query\": 3}, \"left\": true,"
		 " \"members\": [{\"name\": \"a\", \"address\": \"10.0.0.1:8301\"}, 7]}"),
		("{\"clocks\": {\"member\": 1, \"event\": 2, \"query\": 3},"
		 " \"members\": [{\"name\": \"a\", \"address\": \"10.0.0.1\"}]}"),
		("{\"clocks\": {\"member\": 1, \"event\": 2, \"query\": 3},"
		 " \"members\": [{\"id\": \"x\", \"name\": \"a\", \"address\": "
		 "\"10.0.0.1:1\"}]}") };

	(void)unused;
	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
		folder_write("roster", str_of(damaged[i]));
		start(true);
		assert_int_equal(err.code, ERR_INPUT);
		assert_non_null(strstr(err.text, "/roster is damaged: "));
		assert_int_equal(roster_count(roster), 0);
		assert_int_equal(roster_clocks(roster).member, 0);
		assert_int_equal(roster_clocks(roster).query, 0);
		seen(1, "a", "10.0.0.1");
		restart(false); /* and replaced by what is right */
		assert_int_equal(err.code, 0);
		holds("a 10.0.0.1:8301");
		assert_int_equal(roster_close(roster, &err), 0);
		roster = NULL;
	}
}

/* Every truncation of a file is damage, or the whole. */
static void
a_cut_file_is_never_half_believed(void **unused)
{
	static char whole[4096];
	struct str text;

	(void)unused;
	start(false);
	seen(1, "a", "10.0.0.1");
	seen(2, "b", "10.0.0.2");
	assert_int_equal(roster_close(roster, &err), 0);
	text = folder_read("roster");
	memcpy(whole, text.p, text.n);
	for (size_t n = 0; n <= text.n; n++) {
		folder_write("roster", str_mem(whole, n));
		start(false);
		assert_int_equal(roster_count(roster), err.code == 0 ? 2 : 0);
		assert_int_equal(err.code == 0, n + 1 >= text.n);
		roster_close(roster, NULL);
	}
	roster = NULL;
}

static void
in_memory_nothing_is_written(void **unused)
{
	(void)unused;
	roster = roster_open(NULL, false, &err);
	seen(1, "a", "10.0.0.1");
	roster_leaving(roster);
	assert_int_equal(roster_deadline(roster), NSEC_NEVER);
	assert_int_equal(roster_tick(roster, T0 + NSEC_HOUR, &err), 0);
	holds("a 10.0.0.1:8301");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, folder_make, done)
	const struct CMUnitTest tests[] = {
		T(members_and_clocks_come_back),
		T(the_newest_come_first_and_nobody_twice),
		T(who_left_is_forgotten),
		T(after_a_leave_only_rejoin_knows_them),
		T(it_is_written_at_most_every_ten_seconds),
		T(what_cannot_be_written_is_tried_again),
		T(it_is_bounded),
		T(a_damaged_file_is_told_and_ignored),
		T(a_cut_file_is_never_half_believed),
		T(in_memory_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The log for clients: levels, forms, slow readers, and the loop that is woken. */
#include "agent/monitor_io.h"
#include "agent/loop.h"
#include "tests/unit/test.h"

static struct event_base *base;
static struct monitor *monitor;
static struct buf text;
static struct http_stream *kicked;
static unsigned kicks;

static void
kick(void *arg, struct http_stream *stream)
{
	(void)arg;
	kicked = stream;
	kicks++;
}

static int
setup(void **unused)
{
	(void)unused;
	base = loop_base_new(NULL);
	monitor = monitor_new(base, kick, NULL);
	buf_init(&text, 1 << 20);
	log_level_set(LOG_LEVEL_ERROR); /* what the tests log is not for the terminal */
	kicked = NULL;
	kicks = 0;
	return base == NULL;
}

static int
teardown(void **unused)
{
	(void)unused;
	monitor_free(monitor);
	event_base_free(base);
	buf_done(&text);
	return 0;
}

static struct http_stream *
reader(enum log_level least, bool json)
{
	struct http_stream *s = NULL;

	assert_int_equal(monitor_open(monitor, least, json, &s, NULL), 0);
	assert_true(s->live);
	return s;
}

static const char *
read_all(struct http_stream *s)
{
	buf_clear(&text);
	assert_true(s->next(s, HTTP_STREAM_WANT, &text));
	buf_addc(&text, '\0');
	return text.p;
}

static void
each_reader_has_its_level(void **unused)
{
	struct http_stream *all = reader(LOG_LEVEL_DEBUG, false);
	struct http_stream *few = reader(LOG_LEVEL_WARN, false);

	(void)unused;
	log_debug("a", "one n=%d", 1);
	log_warn("a", "two\n");
	assert_non_null(strstr(read_all(all), "Z debug a: one n=1\n"));
	assert_non_null(strstr(text.p, "Z warn  a: two\\x0a\n"));
	assert_null(strstr(read_all(few), "one"));
	assert_non_null(strstr(text.p, "two"));
	assert_string_equal(read_all(few), "");
	all->free(all);
	few->free(few);
	assert_false(log_level_shown(LOG_LEVEL_WARN)); /* nobody listens any more */
}

static void
json_has_consuls_members(void **unused)
{
	struct http_stream *s = reader(LOG_LEVEL_INFO, true);

	(void)unused;
	log_info("agent", "a \"b\"");
	assert_non_null(strstr(read_all(s),
	    "{\"@level\":\"info\",\"@message\":\"a \\\"b\\\"\",\"@module\":\"agent\",\"@"
	    "timestamp\":\"20"));
	s->free(s);
}

static void
the_loop_is_woken_for_who_has_something(void **unused)
{
	struct http_stream *all = reader(LOG_LEVEL_INFO, false);
	struct http_stream *few = reader(LOG_LEVEL_WARN, false);

	(void)unused;
	log_info("a", "x");
	event_base_loop(base, EVLOOP_ONCE);
	assert_ptr_equal(kicked, all);
	assert_int_equal(kicks, 1);
	all->free(all);
	few->free(few);
}

static void
a_slow_reader_loses_lines_and_is_told(void **unused)
{
	struct http_stream *slow = reader(LOG_LEVEL_INFO, false);
	struct http_stream *quick;
	unsigned lines = 0, lost;
	const char *sorry;

	(void)unused;
	for (int i = 0; i < 5000; i++)
		log_info("a", "%0100d", i);
	quick = reader(LOG_LEVEL_INFO, false);
	log_info("a", "later");
	assert_non_null(strstr(read_all(quick), "later"));
	read_all(slow);
	assert_true(text.n <= MONITOR_BYTES_MAX + 256);
	sorry = strstr(text.p, "reader too slow, lines lost=");
	assert_non_null(sorry);
	lost = (unsigned)strtoul(strchr(sorry, '=') + 1, NULL, 10);
	for (const char *p = text.p; *p != '\0'; p++)
		lines += *p == '\n';
	assert_int_equal(lines - 1 + lost, 5001); /* every one is there or counted */
	assert_int_equal(monitor_stats(monitor).lost, lost);
	log_info("a", "again");
	assert_null(strstr(read_all(slow), "lost"));
	assert_non_null(strstr(text.p, "again"));
	slow->free(slow);
	quick->free(quick);
}

static void
there_is_a_limit_of_readers(void **unused)
{
	struct http_stream *all[MONITOR_READERS_MAX], *more = NULL;
	struct err err = { 0 };

	(void)unused;
	for (size_t i = 0; i < MONITOR_READERS_MAX; i++)
		all[i] = reader(LOG_LEVEL_INFO, false);
	assert_int_equal(monitor_open(monitor, LOG_LEVEL_INFO, false, &more, &err), ERR_LIMIT);
	assert_null(more);
	for (size_t i = 0; i < MONITOR_READERS_MAX; i++)
		all[i]->free(all[i]);
	assert_int_equal(monitor_stats(monitor).readers, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_reader_has_its_level),
		TEST(json_has_consuls_members),
		TEST(the_loop_is_woken_for_who_has_something),
		TEST(a_slow_reader_loses_lines_and_is_told),
		TEST(there_is_a_limit_of_readers),
	};

	return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}

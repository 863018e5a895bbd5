/* Rows in aligned columns. */
#include "agent/cmd/columns.h"
#include "tests/unit/test.h"

static struct columns table;
static struct buf out;

static int
setup(void **unused)
{
	(void)unused;
	columns_init(&table, 3);
	buf_init(&out, 4096);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	columns_done(&table);
	buf_done(&out);
	return 0;
}

static void
row(const char *a, const char *b, const char *c)
{
	struct str cells[3] = { str_of(a), str_of(b), str_of(c) };

	columns_add(&table, cells);
}

static void
columns_are_as_wide_as_their_widest(void **unused)
{
	(void)unused;
	row("Node", "Address", "Status");
	row("a-long-name", "10.0.0.1:8301", "alive");
	row("b", "", "left");
	columns_write(&table, &out);
	assert_str(buf_str(&out), "Node         Address        Status\n"
				  "a-long-name  10.0.0.1:8301  alive\n"
				  "b                           left\n");
}

static void
characters_count_and_nothing_trails(void **unused)
{
	(void)unused;
	row("\xc3\xa4\xc3\xb6", "x", "");
	row("abc", "", "");
	columns_write(&table, &out);
	assert_str(buf_str(&out), "\xc3\xa4\xc3\xb6   x\nabc\n");
}

static void
many_rows_are_kept(void **unused)
{
	(void)unused;
	for (int i = 0; i < 300; i++)
		row("a", "b", "c");
	columns_write(&table, &out);
	assert_int_equal(out.n, 300 * strlen("a  b  c\n"));
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(columns_are_as_wide_as_their_widest),
		test(characters_count_and_nothing_trails),
		test(many_rows_are_kept),
	};

	return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}

/* The command line of the small commands. */
#include "agent/cmd/client.h"
#include "agent/cmd/flags.h"
#include "tests/unit/test.h"

struct try_flags {
	bool loud;
	const char *name;
};

static const struct flag try_table[] = {
	{ "loud", NULL, offsetof(struct try_flags, loud), "Say it aloud." },
	{ "name", "NAME", offsetof(struct try_flags, name), "Whom to call." },
	{ 0 },
};

static struct try_flags got;
static char words[64]; /* joined by ',' */
static int runs;

static int
try_run(const struct call *call)
{
	got = *(const struct try_flags *)call->flags;
	words[0] = '\0';
	for (int i = 0; i < call->count; i++)
		snprintf(
		    words + strlen(words), sizeof words - strlen(words), "%s,", call->words[i]);
	assert_null(call->client);
	runs++;
	return 7;
}

static const struct usage try_usage = {
	.name = "try",
	.takes = "[-loud] WORD",
	.text = "Tries.",
	.flags = try_table,
	.size = sizeof(struct try_flags),
	.words_min = 1,
	.words_max = 2,
	.words_wrong = "one word or two",
	.run = try_run,
};

static const struct try_flags last_initial = { .loud = true, .name = "nobody" };

static const struct usage last_usage = {
	.name = "box try last",
	.takes = "[-loud] WORD...",
	.text = "Tries too. And says more.",
	.flags = try_table,
	.size = sizeof(struct try_flags),
	.initial = &last_initial,
	.words_last = true,
	.words_max = -1,
	.run = try_run,
};

const struct usage *const usages[] = { &try_usage, &last_usage, NULL };

/* The words of one line, parted by blanks; of a group's when there is no usage. */
static int
run(const struct usage *u, const char *line)
{
	static char copy[256];
	char *argv[16], *save = NULL;
	int argc = 0;

	snprintf(copy, sizeof copy, "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	runs = 0;
	return u == NULL ? usage_group("box", argc, argv) : usage_run(u, argc, argv);
}

static void
flags_stand_anywhere_in_every_form(void **unused)
{
	(void)unused;
	assert_int_equal(run(&try_usage, "a -loud --name=x b"), 7);
	assert_true(got.loud);
	assert_string_equal(got.name, "x");
	assert_string_equal(words, "a,b,");
	assert_int_equal(run(&try_usage, "-name x a"), 7);
	assert_false(got.loud);
	assert_string_equal(got.name, "x");
	assert_int_equal(run(&try_usage, "-loud=false -name= a"), 7);
	assert_false(got.loud);
	assert_string_equal(got.name, "");
	assert_int_equal(run(&try_usage, "-name -x - "), 7); /* a value may begin with a dash */
	assert_string_equal(got.name, "-x");
	assert_string_equal(words, "-,");
	assert_int_equal(run(&try_usage, "-- -loud"), 7);
	assert_false(got.loud);
	assert_string_equal(words, "-loud,");
}

static void
what_makes_no_sense_is_told(void **unused)
{
	static const char *const lines[] = { "", "a b c", "-quiet a", "a -name", "-loud=perhaps a",
		"-lou a", "-loudx a" };

	(void)unused;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		assert_int_equal(run(&try_usage, lines[i]), 1);
		assert_int_equal(runs, 0);
	}
	assert_int_equal(run(&try_usage, "-name x --help"), 0);
	assert_int_equal(runs, 0);
}

static void
words_may_end_the_flags(void **unused)
{
	(void)unused;
	assert_int_equal(run(&last_usage, "-name=x key -name y --help"), 7);
	assert_string_equal(got.name, "x");
	assert_string_equal(words, "key,-name,y,--help,");
	assert_int_equal(run(&last_usage, "-"), 7);
	assert_true(got.loud);
	assert_string_equal(got.name, "nobody");
	assert_int_equal(run(&last_usage, "-loud=false"), 7);
	assert_false(got.loud);
}

static void
a_group_finds_its_command(void **unused)
{
	(void)unused;
	assert_int_equal(run(NULL, "try last -loud a"), 7);
	assert_string_equal(words, "a,");
	assert_int_equal(run(NULL, "try --help"), 0);
	assert_int_equal(run(NULL, "--help"), 0);
	assert_int_equal(run(NULL, ""), 1);
	assert_int_equal(run(NULL, "try"), 1);
	assert_int_equal(run(NULL, "tr last"), 1);
	assert_int_equal(run(NULL, "try lasting"), 1);
	assert_int_equal(run(NULL, "-loud try last"), 1);
	assert_int_equal(runs, 0);
	assert_int_equal(run(NULL, "try last --help"), 0);
	assert_int_equal(runs, 0);
}

static void
an_address_that_is_none_is_told(void **unused)
{
	struct usage u = try_usage;
	static const struct flag none[] = { { 0 } };

	(void)unused;
	u.flags = none;
	u.size = sizeof(struct client_flags);
	u.client = true;
	assert_int_equal(run(&u, "-http-addr ftp://x a"), 1);
	assert_int_equal(runs, 0);
}

static void
the_manual_shows_every_flag(void **unused)
{
	struct buf b;

	(void)unused;
	buf_init(&b, 4096);
	usage_man(&b, &try_usage);
	assert_str(buf_str(&b), ".SS muster try [\\-loud] WORD\nTries.\n"
				".TP\n.B \\-loud\nSay it aloud.\n"
				".TP\n.B \\-name \\fINAME\\fR\nWhom to call.\n");
	buf_done(&b);
}

static void
path_parts_are_escaped(void **unused)
{
	struct buf b;

	(void)unused;
	buf_init(&b, 4096);
	path_add(&b, STR("a/b c-1.x_~:[%?&=\xc3"));
	assert_str(buf_str(&b), "a%2Fb%20c-1.x_~%3A%5B%25%3F%26%3D%C3");
	buf_clear(&b);
	path_add_key(&b, STR("a/b.c/../.d//e ?/"));
	assert_str(buf_str(&b), "a/b.c/../.d//e%20%3F/");
	buf_clear(&b);
	buf_add(&b, STR("/v1/x"));
	path_add_query(&b, "stale", STR_NONE);
	path_add_query(&b, "cas", STR("1"));
	path_add_query(&b, "dc", STR(""));
	assert_str(buf_str(&b), "/v1/x?stale&cas=1&dc=");
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_stand_anywhere_in_every_form),
		cmocka_unit_test(what_makes_no_sense_is_told),
		cmocka_unit_test(words_may_end_the_flags),
		cmocka_unit_test(a_group_finds_its_command),
		cmocka_unit_test(an_address_that_is_none_is_told),
		cmocka_unit_test(the_manual_shows_every_flag),
		cmocka_unit_test(path_parts_are_escaped),
	};

	return cmocka_run_group_tests_name("flags", tests, NULL, NULL);
}

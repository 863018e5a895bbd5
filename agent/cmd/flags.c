/* agent/cmd/flags.c -- see flags.h. */
#include "agent/cmd/flags.h"

#include <stdio.h>
#include <string.h>

#include "agent/cmd/client.h"
#include "agent/describe.h"
#include "base/mem.h"

#define COLUMN 30
#define GROUP_COLUMN 26

static const struct flag *
flag_find(const struct flag *table, struct str name)
{
	for (const struct flag *f = table; f->name != NULL; f++)
		if (str_eq(name, str_of(f->name)))
			return f;
	return NULL;
}

static const struct flag *
usage_flag(const struct usage *u, struct str name)
{
	const struct flag *f = flag_find(u->flags, name);

	return f == NULL && u->client ? flag_find(client_flags_table, name) : f;
}

static void
usage_rows(struct buf *b, const struct flag *table)
{
	char name[80];

	for (const struct flag *f = table; f->name != NULL; f++) {
		snprintf(name, sizeof name, "-%s%s%s", f->name, f->value == NULL ? "" : " ",
		    f->value == NULL ? "" : f->value);
		describe_row(b, str_of(name), str_of(f->help), COLUMN);
	}
}

static void
usage_print(const struct usage *u)
{
	struct buf b;

	buf_init(&b, 64 * 1024);
	buf_addf(&b, "Usage: muster %s%s%s\n\n", u->name, u->takes[0] == '\0' ? "" : " ", u->takes);
	describe_text(&b, str_of(u->text));
	if (u->flags->name != NULL) {
		buf_add(&b, STR("\nFlags:\n"));
		usage_rows(&b, u->flags);
	}
	if (u->client) {
		buf_add(&b, STR("\nOf every command that asks an agent:\n"));
		usage_rows(&b, client_flags_table);
	}
	fwrite(b.p, 1, b.n, stdout);
	buf_done(&b);
}

int
usage_wrong(const struct usage *u, const char *why)
{
	fprintf(stderr, "muster %s: %s (muster %s --help tells how it is used)\n", u->name, why,
	    u->name);
	return 1;
}

static bool
flag_bool(struct str text, bool *out)
{
	*out = str_eq(text, STR("true")) || str_eq(text, STR("1"));
	return *out || str_eq(text, STR("false")) || str_eq(text, STR("0"));
}

static bool
flag_repeats(const struct flag *f)
{
	return str_ends(str_of(f->value), STR("..."));
}

/* Sets what `word` (without dashes) says; *next is the word after it, taken when it is the value.
 */
static bool
flag_take(const struct usage *u, const char *word, char *next, void *into, bool *next_taken)
{
	size_t n = strcspn(word, "=");
	const char *value = word[n] == '=' ? word + n + 1 : NULL;
	const struct flag *f = usage_flag(u, str_mem(word, n));
	struct flag_list *list;
	char why[160];
	void *at;

	if (f == NULL) {
		snprintf(why, sizeof why, "there is no flag -%.*s", (int)n, word);
		return usage_wrong(u, why), false;
	}
	at = (char *)into + f->offset;
	if (f->value == NULL) {
		*(bool *)at = true;
		if (value == NULL || flag_bool(str_of(value), at))
			return true;
		snprintf(why, sizeof why, "-%s is true or false", f->name);
		return usage_wrong(u, why), false;
	}
	if (value == NULL && next == NULL) {
		snprintf(why, sizeof why, "-%s needs a value: %s", f->name, f->value);
		return usage_wrong(u, why), false;
	}
	*next_taken = value == NULL;
	value = value == NULL ? next : value;
	if (!flag_repeats(f)) {
		*(const char **)at = value;
		return true;
	}
	list = at;
	if (list->count < FLAG_LIST_MAX) {
		list->words[list->count++] = value;
		return true;
	}
	snprintf(why, sizeof why, "-%s stands more than %d times", f->name, FLAG_LIST_MAX);
	return usage_wrong(u, why), false;
}

enum flags_read { FLAGS_GO, FLAGS_HELP, FLAGS_WRONG };

/* Fills *into; what is left of argv are the other words, *count of them. */
static enum flags_read
flags_read(const struct usage *u, int argc, char **argv, void *into, int *count)
{
	bool ended = false;

	*count = 0;
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		bool next_taken = false;

		if (ended || word[0] != '-' || word[1] == '\0') {
			ended = ended || u->words_last;
			argv[(*count)++] = argv[i];
			continue;
		}
		word += word[1] == '-' ? 2 : 1;
		ended = word[0] == '\0';
		if (ended)
			continue;
		if (strcmp(word, "h") == 0 || strcmp(word, "help") == 0) {
			usage_print(u);
			return FLAGS_HELP;
		}
		if (!flag_take(u, word, i + 1 < argc ? argv[i + 1] : NULL, into, &next_taken))
			return FLAGS_WRONG;
		i += next_taken;
	}
	if (*count < argc)
		argv[*count] = NULL; /* what stood there has moved */
	return FLAGS_GO;
}

static int
usage_call(const struct usage *u, struct call *call)
{
	struct err err = { 0 };
	int code;

	if (u->client && http_client_new(call->flags, &call->client, &err) < 0)
		return usage_wrong(u, err.text);
	code = u->run(call);
	http_client_free(call->client);
	return code;
}

int
usage_run(const struct usage *u, int argc, char **argv)
{
	void *flags = mem_zalloc(u->size);
	struct call call = { .flags = flags, .words = argv };
	enum flags_read read;
	int code;

	if (u->initial != NULL)
		memcpy(flags, u->initial, u->size);
	read = flags_read(u, argc, argv, flags, &call.count);
	code = read == FLAGS_HELP ? 0 : 1;
	if (read == FLAGS_GO &&
	    (call.count < u->words_min || (u->words_max >= 0 && call.count > u->words_max)))
		code = usage_wrong(u, u->words_wrong);
	else if (read == FLAGS_GO)
		code = usage_call(u, &call);
	free(flags);
	return code;
}

/* The commands whose names begin with `name` and a blank, each with the first sentence of its text.
 */
static void
group_print(struct str name, FILE *to)
{
	struct buf b;

	buf_init(&b, 64 * 1024);
	buf_addf(&b, "Usage: muster " STR_FMT " COMMAND [FLAG...]\n\nCommands:\n", STR_ARG(name));
	for (size_t i = 0; usages[i] != NULL; i++) {
		struct str full = str_of(usages[i]->name), text = str_of(usages[i]->text);

		if (full.n <= name.n || !str_starts(full, name) || full.p[name.n] != ' ')
			continue;
		describe_row(&b, str_skip(full, name.n + 1),
		    str_head(text, str_find(text, '.') + 1), GROUP_COLUMN);
	}
	buf_addf(&b, "\nmuster " STR_FMT " COMMAND --help tells how it is used.\n", STR_ARG(name));
	fwrite(b.p, 1, b.n, to);
	buf_done(&b);
}

static bool
group_is(struct str name)
{
	for (size_t i = 0; usages[i] != NULL; i++)
		if (str_starts(str_of(usages[i]->name), name) && usages[i]->name[name.n] == ' ')
			return true;
	return false;
}

static const struct usage *
usage_find(struct str name)
{
	for (size_t i = 0; usages[i] != NULL; i++)
		if (str_eq(str_of(usages[i]->name), name))
			return usages[i];
	return NULL;
}

static bool
word_asks_for_help(const char *word)
{
	return strcmp(word, "-h") == 0 || strcmp(word, "-help") == 0 || strcmp(word, "--help") == 0;
}

int
usage_group(const char *group, int argc, char **argv)
{
	const struct usage *u = NULL;
	struct buf name;
	int i = 0, code;

	buf_init(&name, 1024);
	buf_add(&name, str_of(group));
	while (u == NULL && i < argc && !word_asks_for_help(argv[i]) && group_is(buf_str(&name))) {
		buf_addf(&name, " %s", argv[i++]);
		u = usage_find(buf_str(&name));
	}
	if (u != NULL) {
		code = usage_run(u, argc - i, argv + i);
	} else if (group_is(buf_str(&name))) {
		code = i < argc ? 0 : 1;
		group_print(buf_str(&name), code == 0 ? stdout : stderr);
	} else {
		fprintf(stderr,
		    "muster: unknown command \"" STR_FMT "\" (muster %s --help lists them)\n",
		    STR_ARG(buf_str(&name)), group);
		code = 1;
	}
	buf_done(&name);
	return code;
}

void
flags_man(struct buf *b, const struct flag *table)
{
	for (const struct flag *f = table; f->name != NULL; f++) {
		buf_add(b, STR(".TP\n.B \\-"));
		describe_man_text(b, str_of(f->name));
		if (f->value != NULL)
			buf_addf(b, " \\fI%s\\fR", f->value);
		buf_addc(b, '\n');
		describe_man_text(b, str_of(f->help));
		buf_addc(b, '\n');
	}
}

void
usage_man(struct buf *b, const struct usage *u)
{
	buf_add(b, STR(".SS muster "));
	describe_man_text(b, str_of(u->name));
	if (u->takes[0] != '\0')
		buf_addc(b, ' ');
	describe_man_text(b, str_of(u->takes));
	buf_addc(b, '\n');
	describe_man_text(b, str_of(u->text));
	buf_addc(b, '\n');
	flags_man(b, u->flags);
}

/* agent/describe.c -- every table printed: rows for people at a terminal, then rows for man.
 *
 * The groups of options come in the order in which the table first names them.
 */
#include "agent/describe.h"

#include <stdio.h>

#define HELP_COLUMN 30

static bool
describe_ends(const struct option *row)
{
	return row->flag == NULL && row->key == NULL;
}

static void
describe_pad(struct buf *b, size_t from, size_t to)
{
	for (; from < to; from++)
		buf_addc(b, ' ');
}

/* Words between blanks, the first at column `at`, later lines beginning at `column`. */
static void
describe_wrap(struct buf *b, struct str text, size_t at, size_t column)
{
	bool first = true;

	for (struct str rest = text; rest.p != NULL;) {
		struct str word = str_cut(&rest, ' ');

		if (!first && at + 1 + word.n > DESCRIBE_WIDTH) {
			buf_addc(b, '\n');
			describe_pad(b, 0, column);
			at = column;
		} else if (!first) {
			buf_addc(b, ' ');
			at++;
		}
		buf_add(b, word);
		at += word.n;
		first = false;
	}
	buf_addc(b, '\n');
}

void
describe_text(struct buf *b, struct str text)
{
	describe_wrap(b, text, 0, 0);
}

void
describe_row(struct buf *b, struct str name, struct str text, size_t column)
{
	size_t at = 2 + name.n;

	buf_add(b, STR("  "));
	buf_add(b, name);
	if (at + 1 > column) {
		buf_addc(b, '\n');
		at = 0;
	}
	describe_pad(b, at, column);
	describe_wrap(b, text, column, column);
}

static bool
describe_new_group(const struct option *table, const struct option *row)
{
	for (const struct option *r = table; r != row; r++)
		if (r->group != NULL && strcmp(r->group, row->group) == 0)
			return false;
	return true;
}

static bool
describe_acts(const struct option *row)
{
	return row->type != OPTION_IGNORED && row->type != OPTION_LATER;
}

static void
describe_help_row(struct buf *b, const struct option *row)
{
	char name[80], text[512];

	snprintf(name, sizeof name, "-%s%s%s", row->flag, row->value == NULL ? "" : " ",
	    row->value == NULL ? "" : row->value);
	if (row->initial != NULL)
		snprintf(text, sizeof text, "%s (default %s)", row->help, row->initial);
	else
		snprintf(text, sizeof text, "%s", row->help);
	describe_row(b, str_of(name), str_of(text), HELP_COLUMN);
}

/* The flags of one type as a paragraph: "-ui, -ui-dir, …". */
static void
describe_help_names(struct buf *b, const struct option *table, enum option_type type)
{
	struct buf names;
	const char *comma = "";

	buf_init(&names, 64 * 1024);
	for (const struct option *row = table; !describe_ends(row); row++) {
		if (row->type != type || row->flag == NULL)
			continue;
		buf_addf(&names, "%s-%s", comma, row->flag);
		comma = ", ";
	}
	buf_add(b, STR("  "));
	describe_wrap(b, buf_str(&names), 2, 2);
	buf_done(&names);
}

void
describe_help(struct buf *b, const struct option *table)
{
	for (const struct option *row = table; !describe_ends(row); row++) {
		if (!describe_acts(row) || !describe_new_group(table, row))
			continue;
		size_t rows = 0;
		for (const struct option *r = row; !describe_ends(r); r++) {
			if (!describe_acts(r) || r->flag == NULL ||
			    strcmp(r->group, row->group) != 0)
				continue;
			if (rows++ == 0)
				buf_addf(b, "\n%s:\n", row->group);
			describe_help_row(b, r);
		}
	}
	buf_add(b, STR("\nAccepted with a warning, not in this version:\n"));
	describe_help_names(b, table, OPTION_LATER);
	buf_add(b, STR("\nAccepted as Consul's, without meaning here:\n"));
	describe_help_names(b, table, OPTION_IGNORED);
}

/* Text for man: a dash that stays one, a backslash that stays one. A line of ours never begins
 * with a dot or a quote but by a macro. */
void
describe_man_text(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '-')
			buf_add(b, STR("\\-"));
		else if (s.p[i] == '\\')
			buf_add(b, STR("\\e"));
		else
			buf_addc(b, s.p[i]);
	}
}

static void
describe_man_help(struct buf *b, const struct option *row)
{
	describe_man_text(b, str_of(row->help));
	buf_addc(b, '\n');
	if (row->initial != NULL) {
		buf_add(b, STR("Default: "));
		describe_man_text(b, str_of(row->initial));
		buf_add(b, str_ends(str_of(row->initial), STR(".")) ? STR("\n") : STR(".\n"));
	}
	if (row->type == OPTION_INT && row->max > 0 && row->max < 1000000)
		buf_addf(b, "Range: %s%lld to %lld.\n", row->min < 0 ? "\\" : "",
		    (long long)row->min, (long long)row->max);
	if (row->reloads)
		buf_add(b, STR("SIGHUP takes a new value over.\n"));
}

static void
describe_man_flag(struct buf *b, const struct option *row)
{
	buf_add(b, STR(".TP\n.B \\-"));
	describe_man_text(b, str_of(row->flag));
	if (row->value != NULL) {
		buf_add(b, STR(" \\fI"));
		describe_man_text(b, str_of(row->value));
		buf_add(b, STR("\\fR"));
	}
	buf_addc(b, '\n');
	describe_man_help(b, row);
	if (row->key != NULL) {
		buf_add(b, STR("In config files: "));
		describe_man_text(b, str_of(row->key));
		buf_add(b, STR(".\n"));
	}
}

void
describe_man_flags(struct buf *b, const struct option *table, const char *only, const char *except)
{
	for (const struct option *row = table; !describe_ends(row); row++) {
		size_t rows = 0;

		if (row->group == NULL || !describe_new_group(table, row) ||
		    (only != NULL && strcmp(only, row->group) != 0) ||
		    (except != NULL && strcmp(except, row->group) == 0))
			continue;
		for (const struct option *r = row; !describe_ends(r); r++) {
			if (r->group == NULL || r->flag == NULL ||
			    strcmp(r->group, row->group) != 0)
				continue;
			if (rows++ == 0 && only == NULL)
				buf_addf(b, ".SS %s\n", row->group);
			describe_man_flag(b, r);
		}
	}
}

static const char *
describe_key_type(const struct option *row)
{
	switch (row->type) {
	case OPTION_BOOL:
		return "true or false";
	case OPTION_INT:
		return "number";
	case OPTION_DURATION:
		return "time, as a text";
	case OPTION_SECONDS:
		return "time, as a text, or seconds";
	case OPTION_LIST:
		return "list of texts";
	case OPTION_MAP:
		return "object of texts";
	case OPTION_TTLS:
		return "object of times";
	case OPTION_DEFINITION:
		return "object or list of objects";
	default:
		return "text";
	}
}

void
describe_man_keys(struct buf *b, const struct option *table)
{
	for (const struct option *row = table; !describe_ends(row); row++) {
		size_t rows = 0;

		if (row->group == NULL || !describe_new_group(table, row))
			continue;
		for (const struct option *r = row; !describe_ends(r); r++) {
			if (r->group == NULL || r->key == NULL || strcmp(r->group, row->group) != 0)
				continue;
			if (rows++ == 0)
				buf_addf(b, ".SS %s\n", row->group);
			buf_add(b, STR(".TP\n.BR "));
			describe_man_text(b, str_of(r->key));
			if (describe_acts(r))
				buf_addf(b, " \" (%s)\"", describe_key_type(r));
			buf_addc(b, '\n');
			describe_man_help(b, r);
		}
	}
}

void
describe_man_ignored(struct buf *b, const struct option *table, bool keys)
{
	const char *comma = "";

	for (const struct option *row = table; !describe_ends(row); row++) {
		const char *name = keys ? row->key : row->flag;

		if (row->type != OPTION_IGNORED || name == NULL)
			continue;
		buf_addf(b, "%s%s", comma, keys ? "" : "\\-");
		describe_man_text(b, str_of(name));
		comma = ",\n";
	}
	buf_add(b, STR(".\n"));
}

static const char *
describe_method(enum http_method m)
{
	switch (m) {
	case HTTP_GET:
		return "GET";
	case HTTP_PUT:
		return "PUT";
	case HTTP_POST:
		return "POST";
	case HTTP_DELETE:
		return "DELETE";
	case HTTP_HEAD:
		return "HEAD";
	case HTTP_OPTIONS:
		return "OPTIONS";
	case HTTP_OTHER:
		break;
	}
	return "";
}

void
describe_man_routes(struct buf *b, const struct route *table)
{
	for (const struct route *r = table; r->path.p != NULL; r++) {
		buf_addf(b, ".TP\n.B %s ", describe_method(r->method));
		describe_man_text(b, r->path);
		buf_addc(b, '\n');
		describe_man_text(b, str_of(r->help));
		buf_addc(b, '\n');
		if (r->flags & ROUTE_BLOCKS)
			buf_add(b, STR("May block.\n"));
	}
}

/* agent/cmd/cmd_tables.c -- muster tables NAME: one table as source for man(1).
 *
 * And for the completion of bash. Not in the help: man/refresh.sh calls it, and make check through
 * it.
 */
#include <stdio.h>
#include <string.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "agent/describe.h"

static void
tables_flags(struct buf *b)
{
	describe_man_flags(b, options_table, NULL, "Docker");
}

static void
tables_docker(struct buf *b)
{
	describe_man_flags(b, options_table, "Docker", NULL);
}

static void
tables_keys(struct buf *b)
{
	describe_man_keys(b, options_table);
}

static void
tables_ignored_flags(struct buf *b)
{
	describe_man_ignored(b, options_table, false);
}

static void
tables_ignored_keys(struct buf *b)
{
	describe_man_ignored(b, options_table, true);
}

static void
tables_routes(struct buf *b)
{
	describe_man_routes(b, http_routes);
}

static void
tables_commands(struct buf *b)
{
	for (const struct command *c = commands; c->name != NULL; c++)
		if (c->help != NULL)
			buf_addf(b, ".TP\n.B %s\n%s\n", c->name, c->help);
}

static void
tables_command_flags(struct buf *b)
{
	for (size_t i = 0; usages[i] != NULL; i++)
		usage_man(b, usages[i]);
}

static void
tables_client_flags(struct buf *b)
{
	flags_man(b, client_flags_table);
}

/* ---- for the completion of the shell: one line of a case for each command ---- */

static void
tables_bash_flag(struct buf *b, const char *name, const char *value)
{
	struct str kind = str_of(value);

	/* "FILE|FOLDER..." and the like: the first word says enough */
	for (size_t i = 0; i < kind.n; i++)
		if (kind.p[i] < 'A' || kind.p[i] > 'Z')
			kind.n = i;
	buf_addf(b, " -%s", name);
	if (value != NULL)
		buf_addf(b, ":" STR_FMT, STR_ARG(kind.n > 0 ? kind : STR("VALUE")));
}

static void
tables_bash_agent(struct buf *b)
{
	buf_add(b, STR("\tagent) echo '-help"));
	for (const struct option *o = options_table; o->flag != NULL || o->key != NULL; o++)
		if (o->flag != NULL && o->type != OPTION_IGNORED)
			tables_bash_flag(b, o->flag, o->value);
	buf_add(b, STR("' ;;\n"));
}

static void
tables_bash_usage(struct buf *b, const struct usage *u)
{
	buf_addf(b, "\t'%s') echo '-help", u->name);
	for (const struct flag *f = u->flags; f->name != NULL; f++)
		tables_bash_flag(b, f->name, f->value);
	for (const struct flag *f = client_flags_table; u->client && f->name != NULL; f++)
		tables_bash_flag(b, f->name, f->value);
	buf_add(b, STR("' ;;\n"));
}

/* Whether an earlier usage has the same words before its last one. */
static bool
tables_bash_seen(size_t i, struct str group)
{
	for (size_t k = 0; k < i; k++)
		if (str_starts(str_of(usages[k]->name), group) && usages[k]->name[group.n] == ' ')
			return true;
	return false;
}

/* "kv": the words that may follow; "operator raft" is a group in a group. */
static void
tables_bash_group(struct buf *b, struct str group)
{
	struct str last = STR_NONE;

	buf_addf(b, "\t'" STR_FMT "') echo '-help", STR_ARG(group));
	for (size_t i = 0; usages[i] != NULL; i++) {
		struct str rest = str_of(usages[i]->name), word;

		if (!str_starts(rest, group) || rest.p[group.n] != ' ')
			continue;
		rest = str_skip(rest, group.n + 1);
		word = str_cut(&rest, ' ');
		if (!str_eq(word, last)) /* those of one group stand together */
			buf_addf(b, " " STR_FMT, STR_ARG(word));
		last = word;
	}
	buf_add(b, STR("' ;;\n"));
}

static void
tables_bash(struct buf *b)
{
	buf_add(b, STR("\t'') echo '-help -version"));
	for (const struct command *c = commands; c->name != NULL; c++)
		if (c->help != NULL)
			buf_addf(b, " %s", c->name);
	buf_add(b, STR("' ;;\n"));
	tables_bash_agent(b);
	for (size_t i = 0; usages[i] != NULL; i++) {
		struct str name = str_of(usages[i]->name);

		for (size_t n = 0; n < name.n; n++)
			if (name.p[n] == ' ' && !tables_bash_seen(i, str_head(name, n)))
				tables_bash_group(b, str_head(name, n));
		tables_bash_usage(b, usages[i]);
	}
}

static const struct {
	const char *name;
	void (*print)(struct buf *);
} tables[] = {
	{ "bash", tables_bash },
	{ "commands", tables_commands },
	{ "command-flags", tables_command_flags },
	{ "client-flags", tables_client_flags },
	{ "flags", tables_flags },
	{ "docker", tables_docker },
	{ "ignored-flags", tables_ignored_flags },
	{ "keys", tables_keys },
	{ "ignored-keys", tables_ignored_keys },
	{ "routes", tables_routes },
};

int
cmd_tables(int argc, char **argv)
{
	for (size_t i = 0; argc == 1 && i < sizeof tables / sizeof tables[0]; i++) {
		struct buf b;

		if (strcmp(argv[0], tables[i].name) != 0)
			continue;
		buf_init(&b, 4 * 1024 * 1024);
		tables[i].print(&b);
		fwrite(b.p, 1, b.n, stdout);
		buf_done(&b);
		return 0;
	}
	fprintf(stderr, "muster: tables needs the name of one table:");
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		fprintf(stderr, " %s", tables[i].name);
	fprintf(stderr, "\n");
	return 1;
}

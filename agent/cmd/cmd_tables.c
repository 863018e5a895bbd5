/* agent/cmd/cmd_tables.c -- muster tables NAME: one table as source for man(1).
 *
 * Not in the help: man/refresh.sh calls it, and make check through it.
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

static const struct {
	const char *name;
	void (*print)(struct buf *);
} tables[] = {
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

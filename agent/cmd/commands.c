/* agent/cmd/commands.c -- TABLE of sub-commands, and the help that comes from it. */
#include "agent/cmd/commands.h"

#include <stdio.h>
#include <string.h>

#include "agent/cmd/flags.h"
#include "agent/describe.h"

const struct command commands[] = {
	{ "agent", cmd_agent, "Run the agent: watch Docker, answer DNS and HTTP." },
	{ "event", cmd_event, "Send a user event to all agents, or to some of them." },
	{ "force-leave", cmd_force_leave, "Say of a failed member that it has left for good." },
	{ "help", cmd_help, "Show this text, or that of one command." },
	{ "info", cmd_info, "Show the counters of an agent." },
	{ "join", cmd_join, "Make an agent join the pool of others." },
	{ "keygen", cmd_keygen, "Print a new key for -encrypt." },
	{ "keyring", cmd_keyring, "List and change the keys that agents encrypt with." },
	{ "leave", cmd_leave, "Make an agent leave the pool in good order, and end." },
	{ "members", cmd_members, "List the members of the pool." },
	{ "rtt", cmd_rtt, "Estimate the round-trip time between two nodes." },
	{ "tables", cmd_tables, NULL },
	{ "validate", cmd_validate,
	    "Read config files and folders, and say what is wrong in them." },
	{ "version", cmd_version, "Show the version, and those of the libraries in use." },
	{ 0 },
};

const struct usage *const usages[] = {
	&event_usage,
	&force_leave_usage,
	&info_usage,
	&join_usage,
	&keyring_usage,
	&leave_usage,
	&members_usage,
	&rtt_usage,
	NULL,
};

const struct command *
command_find(const char *name)
{
	for (const struct command *c = commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

int
cmd_help(int argc, char **argv)
{
	struct buf b;

	if (argc > 0) {
		const struct command *c = command_find(argv[0]);
		char *words[] = { "--help", NULL };

		if (c != NULL && c->run != cmd_help)
			return c->run(1, words);
	}
	buf_init(&b, 64 * 1024);
	buf_add(&b, STR("Usage: muster COMMAND [FLAG...]\n\nCommands:\n"));
	for (const struct command *c = commands; c->name != NULL; c++)
		if (c->help != NULL)
			describe_row(&b, str_of(c->name), str_of(c->help), 14);
	buf_add(&b, STR("\nmuster agent -dev tries it out; man muster tells the rest.\n"));
	fwrite(b.p, 1, b.n, stdout);
	buf_done(&b);
	return 0;
}

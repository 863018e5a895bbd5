/* agent/main.c -- finds the sub-command and runs it. */
#include <stdio.h>
#include <string.h>

#include "agent/cmd/commands.h"

int
main(int argc, char **argv)
{
	const struct command *c;
	const char *name = argc < 2 ? "" : argv[1];

	if (strcmp(name, "-h") == 0 || strcmp(name, "-help") == 0 || strcmp(name, "--help") == 0)
		name = "help";
	else if (strcmp(name, "-v") == 0 || strcmp(name, "-version") == 0 ||
		 strcmp(name, "--version") == 0)
		name = "version";
	else if (name[0] == '\0') {
		cmd_help(0, NULL);
		return 1;
	}
	c = command_find(name);
	if (c == NULL) {
		fprintf(stderr, "muster: unknown command \"%s\" (muster help lists them)\n", name);
		return 1;
	}
	return c->run(argc - 2, argv + 2);
}

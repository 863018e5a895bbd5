/* agent/cmd/cmd_agent.c -- muster agent: options, then the agent; errors as one line. */
#include <stdio.h>

#include "agent/agent.h"
#include "agent/cmd/commands.h"
#include "agent/describe.h"

static void
cmd_agent_help(void)
{
	struct buf b;

	buf_init(&b, 1024 * 1024);
	buf_add(&b, STR("Usage: muster agent [FLAG...]\n\n"
			"Runs the agent in the foreground until SIGINT or SIGTERM. Flags take one "
			"dash or two, a value\nafter a blank or '='; they beat what config files "
			"say.\n"));
	describe_help(&b, options_table);
	fwrite(b.p, 1, b.n, stdout);
	buf_done(&b);
}

int
cmd_agent(int argc, char **argv)
{
	struct options options;
	struct err err = { 0 };
	bool help = false;
	int rc = options_read(&options, argc, argv, &help, &err);

	if (rc == 0 && help)
		cmd_agent_help();
	else if (rc == 0)
		rc = agent_run(&options, argc, argv, &err);
	if (rc < 0)
		fprintf(stderr, "muster: %s\n", err.text);
	options_done(&options);
	return rc < 0 ? 1 : 0;
}

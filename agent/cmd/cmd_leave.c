/* agent/cmd/cmd_leave.c -- muster leave: an agent leaves the pool in good order, and ends. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"

struct leave_flags {
	struct client_flags client;
};

static const struct flag leave_flags[] = { { 0 } };

static int
leave_run(const struct call *call)
{
	struct err err = { 0 };

	if (http_client_ask(call->client, "PUT", STR("/v1/agent/leave"), STR_NONE, NULL, &err) <
	    0) {
		fprintf(stderr, "Error leaving: %s\n", err.text);
		return 1;
	}
	printf("Graceful leave complete\n");
	return 0;
}

const struct usage leave_usage = {
	.name = "leave",
	.takes = "",
	.text =
	    "Makes the agent leave the pool in good order, so that the others do not take it for "
	    "failed, and then end. Exit status: 0: it has left; 1: not.",
	.flags = leave_flags,
	.size = sizeof(struct leave_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = leave_run,
};

int
cmd_leave(int argc, char **argv)
{
	return usage_run(&leave_usage, argc, argv);
}

/* agent/cmd/cmd_reload.c -- muster reload: an agent reads its config files again. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"

struct reload_flags {
	struct client_flags client;
};

static const struct flag reload_flags[] = { { 0 } };

static int
reload_run(const struct call *call)
{
	struct err err = { 0 };

	if (http_client_ask(call->client, "PUT", STR("/v1/agent/reload"), STR_NONE, NULL, &err) <
	    0) {
		fprintf(stderr, "Error reloading: %s\n", err.text);
		return 1;
	}
	printf("Configuration reload triggered\n");
	return 0;
}

const struct usage reload_usage = {
	.name = "reload",
	.takes = "",
	.text =
	    "Makes the agent read its config files again, as SIGHUP does. Exit status: 0: all is "
	    "taken over; 1: not, and it goes on as before.",
	.flags = reload_flags,
	.size = sizeof(struct reload_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = reload_run,
};

int
cmd_reload(int argc, char **argv)
{
	return usage_run(&reload_usage, argc, argv);
}

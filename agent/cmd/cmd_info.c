/* agent/cmd/cmd_info.c -- muster info: the counters of an agent, by section. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "base/json.h"

struct info_flags {
	struct client_flags client;
};

static const struct flag info_flags[] = { { 0 } };

static int
info_run(const struct call *call)
{
	struct err err = { 0 };
	json_t *self = NULL, *section, *value;
	const char *name, *key;

	if (http_client_get_json(call->client, STR("/v1/agent/self"), &self, &err) < 0) {
		fprintf(stderr, "Error querying agent: %s\n", err.text);
		return 1;
	}
	json_object_foreach (json_object_get(self, "Stats"), name, section) {
		printf("%s:\n", name);
		json_object_foreach (section, key, value)
			printf("\t%s = " STR_FMT "\n", key, STR_ARG(json_text(value)));
	}
	json_decref(self);
	return 0;
}

const struct usage info_usage = {
	.name = "info",
	.takes = "",
	.text =
	    "Shows the counters of the agent, each section under its name. Exit status: 0; 1: the "
	    "agent could not be asked.",
	.flags = info_flags,
	.size = sizeof(struct info_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = info_run,
};

int
cmd_info(int argc, char **argv)
{
	return usage_run(&info_usage, argc, argv);
}

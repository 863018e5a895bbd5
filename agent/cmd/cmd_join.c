/* agent/cmd/cmd_join.c -- muster join: an agent joins the pool of others. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"

struct join_flags {
	struct client_flags client;
	bool wan;
};

static const struct flag join_flags[] = {
	{ "wan", NULL, offsetof(struct join_flags, wan), "Refused: there is no federation." },
	{ 0 },
};

static int
join_one(struct http_client *client, const char *address, bool wan, struct err *err)
{
	struct buf path;
	int rc;

	buf_init(&path, 4096);
	buf_add(&path, STR("/v1/agent/join/"));
	path_add(&path, str_of(address));
	if (wan)
		buf_add(&path, STR("?wan=1"));
	rc = http_client_ask(client, "PUT", buf_str(&path), STR_NONE, NULL, err);
	buf_done(&path);
	return rc;
}

static int
join_run(const struct call *call)
{
	const struct join_flags *flags = call->flags;
	struct err err = { 0 };
	int joined = 0;

	for (int i = 0; i < call->count; i++) {
		if (join_one(call->client, call->words[i], flags->wan, &err) == 0)
			joined++;
		else
			fprintf(
			    stderr, "Error joining address '%s': %s\n", call->words[i], err.text);
	}
	if (joined == 0) {
		fprintf(stderr, "Failed to join any nodes.\n");
		return 1;
	}
	printf("Successfully joined cluster by contacting %d nodes.\n", joined);
	return 0;
}

const struct usage join_usage = {
	.name = "join",
	.takes = "ADDRESS...",
	.text =
	    "Makes the agent join the pool of the agents at these addresses: HOST, HOST:PORT, "
	    "[IPV6]:PORT. Every address is tried. Exit status: 0: at least one answered; 1: none.",
	.flags = join_flags,
	.size = sizeof(struct join_flags),
	.words_min = 1,
	.words_max = -1,
	.words_wrong = "at least one address to join must be specified",
	.client = true,
	.run = join_run,
};

int
cmd_join(int argc, char **argv)
{
	return usage_run(&join_usage, argc, argv);
}

/* agent/cmd/cmd_ready.c -- muster ready: does an agent answer for its cluster yet? For HEALTHCHECK.
 *
 * An agent that keeps a data folder writes where its API is into it, so that one who shares its
 * disk needs to know nothing else of it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/api_place_io.h"
#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"

struct ready_flags {
	struct client_flags client;
	const char *data_dir;
};

static const struct flag ready_flags[] = {
	{ "data-dir", "FOLDER", offsetof(struct ready_flags, data_dir),
	    "The agent's: it says there where it listens, which counts unless -http-addr or the "
	    "environment says so." },
	{ 0 },
};

static int
ready_ask(struct http_client *client, struct err *err)
{
	/* a small part of what is not answered before the agent is ready (RULES 13) */
	return http_client_ask(
	    client, "GET", STR("/v1/catalog/service/consul?stale"), STR_NONE, NULL, err);
}

/* The client that the data folder leads to. ERR_NOT_FOUND: to none. */
static int
ready_client(const struct ready_flags *f, struct http_client **out, struct err *err)
{
	struct client_flags flags = f->client;
	char place[API_PLACE_MAX];

	if (f->data_dir == NULL || flags.http_addr != NULL || getenv("MUSTER_HTTP_ADDR") != NULL ||
	    getenv("CONSUL_HTTP_ADDR") != NULL || !api_place_read(f->data_dir, place))
		return ERR_NOT_FOUND;
	flags.http_addr = place;
	return http_client_new(&flags, out, err);
}

static int
ready_run(const struct call *call)
{
	struct http_client *found = NULL;
	struct err err = { 0 };
	int rc = ready_client(call->flags, &found, &err);

	if (rc == 0 || rc == ERR_NOT_FOUND)
		rc = ready_ask(found != NULL ? found : call->client, &err);
	http_client_free(found);
	if (rc < 0) {
		fprintf(stderr, "Not ready: %s\n", err.text);
		return 1;
	}
	printf("ready\n");
	return 0;
}

const struct usage ready_usage = {
	.name = "ready",
	.takes = "[-data-dir FOLDER]",
	.text = "Tells whether an agent answers for its cluster: after its start it does so once "
		"it knows "
		"what runs on its host, and has heard from other agents where there are any. Exit "
		"status: "
		"0: it does; 1: not yet, or nobody is there.",
	.flags = ready_flags,
	.size = sizeof(struct ready_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = ready_run,
};

int
cmd_ready(int argc, char **argv)
{
	return usage_run(&ready_usage, argc, argv);
}

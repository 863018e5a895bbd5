/* agent/cmd/cmd_event.c -- muster event: a user event to all agents, or to some. */
#include <stdio.h>
#include <string.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "base/json.h"

struct event_flags {
	struct client_flags client;
	const char *name, *node, *service, *tag;
};

static const struct flag event_flags[] = {
	{ "name", "NAME", offsetof(struct event_flags, name), "Name of the event; needed." },
	{ "node", "REGEXP", offsetof(struct event_flags, node),
	    "Only for nodes whose name matches." },
	{ "service", "REGEXP", offsetof(struct event_flags, service),
	    "Only for agents with a service that matches." },
	{ "tag", "REGEXP", offsetof(struct event_flags, tag),
	    "Only for agents where that service has a tag that matches; needs -service." },
	{ 0 },
};

static void
query_add(struct buf *path, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		path_add_query(path, name, str_of(value));
}

static int
event_send(const struct call *call, json_t **out, struct err *err)
{
	const struct event_flags *flags = call->flags;
	struct str payload = str_of(call->count == 1 ? call->words[0] : NULL);
	struct buf path, answer;
	int rc;

	buf_init(&path, 16 * 1024);
	buf_init(&answer, CLIENT_BYTES_MAX);
	buf_add(&path, STR("/v1/event/fire/"));
	path_add(&path, str_of(flags->name));
	query_add(&path, "node", flags->node);
	query_add(&path, "service", flags->service);
	query_add(&path, "tag", flags->tag);
	rc = http_client_ask(call->client, "PUT", buf_str(&path), payload, &answer, err);
	if (rc == 0)
		rc = json_read(buf_str(&answer), out, err);
	buf_done(&answer);
	buf_done(&path);
	return rc;
}

static int
event_run(const struct call *call)
{
	const struct event_flags *flags = call->flags;
	struct err err = { 0 };
	json_t *event = NULL;

	if (flags->name == NULL || flags->name[0] == '\0')
		return usage_wrong(&event_usage, "the event's -name must be specified");
	if (flags->tag != NULL && flags->service == NULL)
		return usage_wrong(&event_usage, "-tag needs -service");
	if (event_send(call, &event, &err) < 0) {
		fprintf(stderr, "Error firing event: %s\n", err.text);
		return 1;
	}
	printf("Event ID: " STR_FMT "\n", STR_ARG(json_member_str(event, "ID")));
	json_decref(event);
	return 0;
}

const struct usage event_usage = {
	.name = "event",
	.takes = "-name NAME [-node REGEXP] [-service REGEXP [-tag REGEXP]] [PAYLOAD]",
	.text =
	    "Sends a user event to all agents, or to those that the filters name, and prints its "
	    "id. Name and payload together take some 400 bytes. Exit status: 0; 1: it was not "
	    "sent.",
	.flags = event_flags,
	.size = sizeof(struct event_flags),
	.words_max = 1,
	.words_wrong = "there is one payload at most",
	.client = true,
	.run = event_run,
};

int
cmd_event(int argc, char **argv)
{
	return usage_run(&event_usage, argc, argv);
}

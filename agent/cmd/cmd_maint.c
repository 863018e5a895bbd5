/* agent/cmd/cmd_maint.c -- muster maint: a node or a service out of answers, and back. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "base/json.h"

struct maint_flags {
	struct client_flags client;
	bool enable, disable;
	const char *reason, *service;
};

static const struct flag maint_flags[] = {
	{ "disable", NULL, offsetof(struct maint_flags, disable), .help = "End it." },
	{ "enable", NULL, offsetof(struct maint_flags, enable), .help = "Begin it." },
	{ "reason", "TEXT", offsetof(struct maint_flags, reason),
	    .help = "Why, for people; only with -enable." },
	{ "service", "ID", offsetof(struct maint_flags, service),
	    .help = "Of this service instead of the whole node." },
	{ 0 },
};

static void
maint_print(const json_t *check)
{
	struct str id = json_member_str(check, "CheckID");
	struct str reason = json_member_str(check, "Notes");

	if (str_eq(id, STR("_node_maintenance")))
		printf("Node:\n  Name:   " STR_FMT "\n  Reason: " STR_FMT "\n\n",
		    STR_ARG(json_member_str(check, "Node")), STR_ARG(reason));
	else if (str_starts(id, STR("_service_maintenance:")))
		printf("Service:\n  ID:     " STR_FMT "\n  Reason: " STR_FMT "\n\n",
		    STR_ARG(json_member_str(check, "ServiceID")), STR_ARG(reason));
}

static int
maint_list(const struct call *call)
{
	struct err err = { 0 };
	json_t *checks = NULL, *check;
	const char *id;

	if (http_client_get_json(call->client, STR("/v1/agent/checks"), &checks, &err) < 0) {
		fprintf(stderr, "Error getting checks: %s\n", err.text);
		return 1;
	}
	json_object_foreach (checks, id, check)
		maint_print(check);
	json_decref(checks);
	return 0;
}

static int
maint_set(const struct call *call)
{
	const struct maint_flags *f = call->flags;
	const char *word = f->enable ? "enabled" : "disabled";
	struct err err = { 0 };
	struct buf path;
	int rc;

	buf_init(&path, 64 * 1024);
	buf_add(&path, STR("/v1/agent/"));
	if (f->service != NULL) {
		buf_add(&path, STR("service/maintenance/"));
		path_add(&path, str_of(f->service));
	} else {
		buf_add(&path, STR("maintenance"));
	}
	path_add_query(&path, "enable", f->enable ? STR("true") : STR("false"));
	if (f->reason != NULL)
		path_add_query(&path, "reason", str_of(f->reason));
	rc = http_client_ask(call->client, "PUT", buf_str(&path), STR_NONE, NULL, &err);
	buf_done(&path);
	if (rc < 0) {
		fprintf(stderr, "Error setting maintenance mode: %s\n", err.text);
		return 1;
	}
	if (f->service != NULL)
		printf("Service maintenance is now %s for \"%s\"\n", word, f->service);
	else
		printf("Node maintenance is now %s\n", word);
	return 0;
}

static int
maint_run(const struct call *call)
{
	const struct maint_flags *f = call->flags;

	if (f->enable && f->disable)
		return usage_wrong(&maint_usage, "only one of -enable or -disable may be provided");
	if (f->reason != NULL && !f->enable)
		return usage_wrong(&maint_usage, "-reason may only be provided with -enable");
	if (f->service != NULL && !f->enable && !f->disable)
		return usage_wrong(&maint_usage, "-service requires either -enable or -disable");
	return f->enable || f->disable ? maint_set(call) : maint_list(call);
}

const struct usage maint_usage = {
	.name = "maint",
	.takes = "[-enable [-reason TEXT] | -disable] [-service ID]",
	.text =
	    "Takes the node, or one service of the agent, out of answers, and back. Without flags "
	    "lists what is out, and why. It stays so over restarts. Exit status: 0; 1: the agent "
	    "refused, or could not be asked.",
	.flags = maint_flags,
	.size = sizeof(struct maint_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = maint_run,
};

int
cmd_maint(int argc, char **argv)
{
	return usage_run(&maint_usage, argc, argv);
}

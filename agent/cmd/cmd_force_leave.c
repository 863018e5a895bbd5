/* agent/cmd/cmd_force_leave.c -- muster force-leave: a failed member has left for good. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"

struct force_leave_flags {
	struct client_flags client;
	bool prune;
};

static const struct flag force_leave_flags[] = {
	{ "prune", NULL, offsetof(struct force_leave_flags, prune),
	    "Forget the member at once: it is not listed any more." },
	{ 0 },
};

static int
force_leave_run(const struct call *call)
{
	const struct force_leave_flags *flags = call->flags;
	struct err err = { 0 };
	struct buf path;
	int rc;

	buf_init(&path, 4096);
	buf_add(&path, STR("/v1/agent/force-leave/"));
	path_add(&path, str_of(call->words[0]));
	if (flags->prune)
		buf_add(&path, STR("?prune=1"));
	rc = http_client_ask(call->client, "PUT", buf_str(&path), STR_NONE, NULL, &err);
	buf_done(&path);
	if (rc < 0)
		fprintf(stderr, "Error force leaving: %s\n", err.text);
	return rc < 0 ? 1 : 0;
}

const struct usage force_leave_usage = {
	.name = "force-leave",
	.takes = "[-prune] NAME",
	.text = "Says of a failed member that it has left for good. A member that is alive shows "
		"itself again at once. Exit status: 0; 1: there is no such member, or the agent "
		"could not be asked.",
	.flags = force_leave_flags,
	.size = sizeof(struct force_leave_flags),
	.words_min = 1,
	.words_max = 1,
	.words_wrong = "a single node name must be specified to force leave",
	.client = true,
	.run = force_leave_run,
};

int
cmd_force_leave(int argc, char **argv)
{
	return usage_run(&force_leave_usage, argc, argv);
}

/* agent/cmd/cmd_monitor.c -- muster monitor: the log of an agent while it is written. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"

struct monitor_flags {
	struct client_flags client;
	const char *log_level;
	bool log_json;
};

static const struct monitor_flags monitor_initial = { .log_level = "info" };

static const struct flag monitor_flags[] = {
	{ "log-json", NULL, offsetof(struct monitor_flags, log_json),
	    .help = "One JSON object for each line." },
	{ "log-level", "LEVEL", offsetof(struct monitor_flags, log_level),
	    .help = "The least that is shown: debug, info, warn or error. Default: info." },
	{ 0 },
};

static void
monitor_stop(int number)
{
	(void)number;
	_exit(0); /* as it is meant to be ended; lines were written as they came */
}

static int
monitor_run(const struct call *call)
{
	const struct monitor_flags *f = call->flags;
	struct err err = { 0 };
	struct buf path;
	int rc;

	signal(SIGINT, monitor_stop);
	signal(SIGTERM, monitor_stop);
	setvbuf(stdout, NULL, _IOLBF, 0);
	buf_init(&path, 4096);
	buf_add(&path, STR("/v1/agent/monitor"));
	path_add_query(&path, "loglevel", str_of(f->log_level));
	if (f->log_json)
		path_add_query(&path, "logjson", STR_NONE);
	rc = http_client_follow(call->client, buf_str(&path), stdout, &err);
	buf_done(&path);
	if (rc == 0)
		fprintf(stderr, "Remote side ended the monitor! This usually means that the\n"
				"remote side has exited or crashed.\n");
	else
		fprintf(stderr, "Error starting monitor: %s\n", err.text);
	return 1;
}

const struct usage monitor_usage = {
	.name = "monitor",
	.takes = "[-log-level LEVEL] [-log-json]",
	.text =
	    "Shows the log of the agent while it is written, until it is interrupted. Who reads "
	    "too slowly loses lines and is told how many. Exit status: 0: it was interrupted; 1: "
	    "the agent refused, or went away.",
	.flags = monitor_flags,
	.size = sizeof(struct monitor_flags),
	.initial = &monitor_initial,
	.words_wrong = "it takes no words",
	.client = true,
	.run = monitor_run,
};

int
cmd_monitor(int argc, char **argv)
{
	return usage_run(&monitor_usage, argc, argv);
}

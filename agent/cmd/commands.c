/* agent/cmd/commands.c -- TABLE of sub-commands, and the help that comes from it. */
#include "agent/cmd/commands.h"

#include <stdio.h>
#include <string.h>

#include "agent/cmd/flags.h"
#include "agent/describe.h"

#define HELP_WORDS_MAX 4

const struct command commands[] = {
	{ "agent", cmd_agent, "Run the agent: watch Docker, answer DNS and HTTP." },
	{ "catalog", cmd_catalog, "Look into the catalog of nodes and services." },
	{ "event", cmd_event, "Send a user event to all agents, or to some of them." },
	{ "force-leave", cmd_force_leave, "Say of a failed member that it has left for good." },
	{ "help", cmd_help, "Show this text, or that of one command." },
	{ "info", cmd_info, "Show the counters of an agent." },
	{ "join", cmd_join, "Make an agent join the pool of others." },
	{ "keygen", cmd_keygen, "Print a new key for -encrypt." },
	{ "keyring", cmd_keyring, "List and change the keys that agents encrypt with." },
	{ "kv", cmd_kv, "Read and write keys." },
	{ "leave", cmd_leave, "Make an agent leave the pool in good order, and end." },
	{ "lock", cmd_lock, "Run a program while it holds a lock." },
	{ "maint", cmd_maint, "Take a node or a service out of answers, and back." },
	{ "members", cmd_members, "List the members of the pool." },
	{ "monitor", cmd_monitor, "Show the log of an agent while it is written." },
	{ "operator", cmd_operator, "Look after the servers: Raft and its autopilot." },
	{ "ready", cmd_ready, "Tell whether an agent answers for its cluster yet." },
	{ "registrator", cmd_registrator,
	    "Register the containers of this host in somebody else's Consul, as registrator does." },
	{ "reload", cmd_reload, "Make an agent read its config files again." },
	{ "rtt", cmd_rtt, "Estimate the round-trip time between two nodes." },
	{ "services", cmd_services, "Register services with an agent, and take them out." },
	{ "session", cmd_session, "List, make, keep alive and end sessions." },
	{ "snapshot", cmd_snapshot, "Save all keys and sessions to a file, and restore them." },
	{ "tables", cmd_tables, NULL },
	{ "validate", cmd_validate,
	    "Read config files and folders, and say what is wrong in them." },
	{ "version", cmd_version, "Show the version, and those of the libraries in use." },
	{ "watch", cmd_watch, "Wait for changes, and run a program for each." },
	{ 0 },
};

const struct usage *const usages[] = {
	&catalog_datacenters_usage,
	&catalog_nodes_usage,
	&catalog_services_usage,
	&event_usage,
	&force_leave_usage,
	&info_usage,
	&join_usage,
	&keyring_usage,
	&kv_delete_usage,
	&kv_export_usage,
	&kv_get_usage,
	&kv_import_usage,
	&kv_list_usage,
	&kv_put_usage,
	&leave_usage,
	&lock_usage,
	&maint_usage,
	&members_usage,
	&monitor_usage,
	&get_config_usage,
	&set_config_usage,
	&list_peers_usage,
	&remove_peer_usage,
	&ready_usage,
	&registrator_usage,
	&reload_usage,
	&rtt_usage,
	&services_deregister_usage,
	&services_register_usage,
	&session_create_usage,
	&session_destroy_usage,
	&session_info_usage,
	&session_list_usage,
	&session_node_usage,
	&session_renew_usage,
	&snapshot_inspect_usage,
	&snapshot_restore_usage,
	&snapshot_save_usage,
	&watch_usage,
	NULL,
};

int
cmd_catalog(int argc, char **argv)
{
	return usage_group("catalog", argc, argv);
}

int
cmd_services(int argc, char **argv)
{
	return usage_group("services", argc, argv);
}

int
cmd_kv(int argc, char **argv)
{
	return usage_group("kv", argc, argv);
}

int
cmd_operator(int argc, char **argv)
{
	return usage_group("operator", argc, argv);
}

int
cmd_snapshot(int argc, char **argv)
{
	return usage_group("snapshot", argc, argv);
}

int
cmd_session(int argc, char **argv)
{
	return usage_group("session", argc, argv);
}

const struct command *
command_find(const char *name)
{
	for (const struct command *c = commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

int
cmd_help(int argc, char **argv)
{
	struct buf b;

	if (argc > 0) {
		const struct command *c = command_find(argv[0]);
		char *words[HELP_WORDS_MAX + 1];
		int n = 0;

		/* "help kv get": the words of a group's command come first */
		for (int i = 1; i < argc && n < HELP_WORDS_MAX; i++)
			words[n++] = argv[i];
		words[n++] = "--help";
		if (c != NULL && c->run != cmd_help)
			return c->run(n, words);
	}
	buf_init(&b, 64 * 1024);
	buf_add(&b, STR("Usage: muster COMMAND [FLAG...]\n\nCommands:\n"));
	for (const struct command *c = commands; c->name != NULL; c++)
		if (c->help != NULL)
			describe_row(&b, str_of(c->name), str_of(c->help), 14);
	buf_add(&b, STR("\nmuster agent -dev tries it out; man muster tells the rest.\n"));
	fwrite(b.p, 1, b.n, stdout);
	buf_done(&b);
	return 0;
}

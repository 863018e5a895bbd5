/* agent/cmd/commands.h -- the sub-commands of the program, in one table. */
#ifndef AGENT_CMD_COMMANDS_H
#define AGENT_CMD_COMMANDS_H

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* arguments after the name; returns the exit status */
	const char *help;                  /* one sentence; NULL: for the build, not shown */
};
extern const struct command commands[]; /* ends with a row of zeros */

const struct command *command_find(const char *name); /* NULL: none */

int cmd_agent(int argc, char **argv);
int cmd_catalog(int argc, char **argv);
int cmd_event(int argc, char **argv);
int cmd_force_leave(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_join(int argc, char **argv);
int cmd_keygen(int argc, char **argv);
int cmd_keyring(int argc, char **argv);
int cmd_kv(int argc, char **argv);
int cmd_leave(int argc, char **argv);
int cmd_lock(int argc, char **argv);
int cmd_maint(int argc, char **argv);
int cmd_members(int argc, char **argv);
int cmd_monitor(int argc, char **argv);
int cmd_operator(int argc, char **argv);
int cmd_ready(int argc, char **argv);
int cmd_registrator(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_rtt(int argc, char **argv);
int cmd_services(int argc, char **argv);
int cmd_session(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_tables(int argc, char **argv);
int cmd_validate(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_help(int argc, char **argv); /* of the program, or of one sub-command */

/* How the small commands are used (flags.h). */
struct usage;
extern const struct usage catalog_datacenters_usage, catalog_nodes_usage, catalog_services_usage,
    maint_usage, monitor_usage, ready_usage, reload_usage, services_deregister_usage, services_register_usage,
    watch_usage, event_usage, force_leave_usage, info_usage, join_usage, keyring_usage,
    kv_delete_usage, kv_export_usage, kv_get_usage, kv_import_usage, kv_list_usage, kv_put_usage,
    leave_usage, list_peers_usage, lock_usage, members_usage, get_config_usage, remove_peer_usage,
    registrator_usage, rtt_usage, session_create_usage, session_destroy_usage, session_info_usage,
    session_list_usage, session_node_usage, session_renew_usage, set_config_usage,
    snapshot_inspect_usage, snapshot_restore_usage, snapshot_save_usage;

#endif

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
int cmd_event(int argc, char **argv);
int cmd_force_leave(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_join(int argc, char **argv);
int cmd_keygen(int argc, char **argv);
int cmd_keyring(int argc, char **argv);
int cmd_leave(int argc, char **argv);
int cmd_members(int argc, char **argv);
int cmd_rtt(int argc, char **argv);
int cmd_tables(int argc, char **argv);
int cmd_validate(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_help(int argc, char **argv); /* of the program, or of one sub-command */

/* How the small commands are used (flags.h). */
struct usage;
extern const struct usage event_usage, force_leave_usage, info_usage, join_usage, keyring_usage,
    leave_usage, members_usage, rtt_usage;

#endif

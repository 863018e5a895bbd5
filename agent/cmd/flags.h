/* agent/cmd/flags.h -- flags of the small commands, each command's in one table.
 *
 * Flags take one dash or two; a value comes after a blank or '='; "--" ends them; they may stand
 * among the other words, unless those are another command's (words_last). --help and the manual
 * come from the same table.
 */
#ifndef AGENT_CMD_FLAGS_H
#define AGENT_CMD_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct flag {
	const char *name;  /* without dashes */
	/* how --help names the value, "ADDRESS"; "TAG...": it may be repeated; NULL: takes none */
	const char *value;
	/* in the command's struct: of a bool, of a const char * (value), of a flag_list ("...") */
	size_t offset;
	const char *help;  /* one sentence */
};

#define FLAG_LIST_MAX 64

struct flag_list { /* values of a flag that may be repeated */
	const char *words[FLAG_LIST_MAX];
	size_t count;
};

struct http_client;

struct call {              /* of a command, as it was understood */
	const void *flags; /* its struct */
	char **words; /* behind the last: NULL, if it is there in argv */
	int count;
	struct http_client *client; /* NULL: the command asks no agent */
};

struct usage {
	const char *name;         /* of the command; of one in a group with it: "kv get" */
	const char *takes;        /* "[-flag] ADDRESS..." */
	const char *text;         /* what it does, and what its exit status means */
	const struct flag *flags; /* ends with a row of zeros */
	size_t size;              /* of the struct that they fill */
	const void *initial;      /* what it holds when nothing is said; NULL: zeros */
	bool words_last;          /* the first other word ends the flags */
	int words_min, words_max; /* how many other words; max -1: any number */
	const char *words_wrong;  /* what to say of another number */
	/* asks an agent: client_flags_table is for it too, and its struct begins with struct
	 * client_flags */
	bool client;
	int (*run)(const struct call *); /* returns the exit status */
};

/* Every command that has one; ends with NULL. */
extern const struct usage *const usages[];

/* Reads the words of the command line and runs the command: the exit status. --help is answered
 * here, and what makes no sense is told here. */
int usage_run(const struct usage *, int argc, char **argv);

/* `muster GROUP WORD...`: runs the command of usages whose name these words begin with; without one
 * tells which there are. */
int usage_group(const char *group, int argc, char **argv);

/* For flags that make no sense together: says why, and how to read more. Returns 1. */
int usage_wrong(const struct usage *, const char *why);

/* Parts of man(1). */
void usage_man(struct buf *, const struct usage *);
void flags_man(struct buf *, const struct flag *table);

#endif

/* agent/check/check_probe.h -- one run of one active check, as check_io.c and the shells share it.
 *
 * A shell is a row of three functions. start() begins and returns; when the result is there the
 * shell calls probe->done(), once, as the last thing it does with the probe: it may be freed
 * within. That may happen inside start(). expire() is asked when its time is up: status and text
 * of that; stop() ends the run without a word, and is safe when nothing is under way.
 */
#ifndef AGENT_CHECK_PROBE_H
#define AGENT_CHECK_PROBE_H

#include <bsd/sys/tree.h>

#include "agent/check/check.h"

#define PROBE_TEXT_MAX 2048 /* bytes of output besides those that were captured */

struct probe;

struct probe_kind {
	void (*start)(void *shell, struct probe *);
	enum check_status (*expire)(struct probe *, struct buf *out);
	void (*stop)(struct probe *);
};

struct probe {
	const struct check_def *def; /* lives as long as the probe */
	nsec timeout;
	void *state; /* the shell's; NULL: nothing is under way */
	/* of programs: what they read, instead of nothing (0), and one more variable (NULL) */
	int input;
	char *variable; /* "NAME=value" */
	void (*done)(struct probe *, enum check_status, struct str output);
};

#endif

/* agent/check/check_io.h -- runs this agent's active checks: local.h tells which, results go back there.
 *
 * Ties the core (check_run.h) to the shells for each kind. Call check_io_step() after every change
 * of local or of the store; what it finds it writes into local at once. Results of runs come
 * later, from the loop, and are announced by `changed`.
 */
#ifndef AGENT_CHECK_IO_H
#define AGENT_CHECK_IO_H

#include <event2/event.h>

#include "agent/check/check_run.h"
#include "agent/local/local.h"

struct check_io;

struct check_io_config {
	struct event_base *base;  /* borrowed, like all below */
	struct local *local;
	const struct store *store;
	struct str node;          /* this agent's own */
	struct str docker_url;    /* the engine's for checks in containers; empty: none */
	size_t files_max;         /* descriptors of this process; checks take a part of them */
	void (*changed)(void *);  /* local has changed; never within check_io_step() */
	void *arg;
};

struct check_io *check_io_new(const struct check_io_config *);
void check_io_free(struct check_io *); /* ends what runs. NULL is fine */

void check_io_step(struct check_io *, struct now);

/* Its shells, for others who run programs and ask URLs: there is one waiter for all children of the
 * process. Nothing of theirs may be under way when the checks are freed. */
struct fetcher *check_io_fetcher(const struct check_io *);
struct check_exec_io *check_io_exec(const struct check_io *);

struct check_run_stats check_io_stats(const struct check_io *);

#endif

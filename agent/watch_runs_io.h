/* agent/watch_runs_io.h -- shell: the watches of config files.
 *
 * Each asks our own HTTP API and waits there for a change (watch_plan.h says what for and what is
 * news), runs its handler, and asks again when that has ended: so there are never two of one
 * handler, and what changes meanwhile is seen then. As in Consul, handlers are not subject to
 * enable_script_checks: whoever writes config files is trusted with them.
 */
#ifndef AGENT_WATCH_RUNS_IO_H
#define AGENT_WATCH_RUNS_IO_H

#include <event2/event.h>

#include "agent/check/check_exec_io.h"
#include "agent/fetch_io.h"

#define WATCHES_MAX 1024 /* in all config files */

struct watch_runs;

struct watch_runs_config { /* borrowed, for as long as the watches live */
	struct event_base *base;
	struct fetcher *fetcher;
	struct check_exec_io *exec;
};

struct watch_runs *watch_runs_new(const struct watch_runs_config *);
void watch_runs_free(struct watch_runs *); /* handlers that run are ended; NULL is fine */

/* Texts of JSON, which watch_plan_read() has taken before. Those that run already go on, those that
 * are not named any more end. `address`: of our HTTP API, "127.0.0.1:8500" or "unix:///path". */
void watch_runs_apply(
    struct watch_runs *, struct str address, const struct str *texts, size_t count);

struct watch_runs_stats {
	uint64_t runs, failed; /* of handlers; failed: ended with an error, or not begun */
	size_t watches;
};
struct watch_runs_stats watch_runs_stats(const struct watch_runs *);

#endif

/* agent/check/check_run.h -- when active checks run, and which of their results count.
 *
 * A state machine without I/O. It knows ids, spans and numbers, not what a check does: that is
 * the shells' part (check_io.h). After every check_run_put(), _remove(), _input() or _tick():
 * drain check_run_action_next(), then re-arm the one timer with check_run_deadline().
 *
 * A check runs at a fixed phase: its first run, then every interval; a run that takes longer
 * skips moments, so a check never runs twice at a time. The first run comes a moment
 * (CHECK_FIRST_WAIT) after the check does. First runs of very many checks are spread, and with
 * them all later ones; of each lane only so many run at a time, the others wait in order.
 */
#ifndef AGENT_CHECK_RUN_H
#define AGENT_CHECK_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/nsec.h"
#include "base/str.h"
#include "kv/entity.h"

#define CHECK_INTERVAL_MIN NSEC_SEC           /* shorter ones are lengthened, as Consul does */
#define CHECK_FIRST_WAIT   (200 * NSEC_MS)    /* what registers itself is about to listen */
#define CHECK_FIRST_BURST  64                 /* first runs that need not be spread */
#define CHECK_FIRST_STEP   (1 * NSEC_MS)      /* between the first runs of more than that */

enum check_lane { CHECK_LANE_NET, CHECK_LANE_PROCESS, CHECK_LANES };

struct check_plan {
	nsec interval, timeout; /* timeout > 0 */
	int64_t success_before_passing, failures_before_critical;
	enum check_lane lane;
	bool fresh; /* nothing is known of it: its very first result counts at once */
};

enum check_run_kind {
	CHECK_RUN_START,  /* run the check `id`, and hand the result in under `run` */
	CHECK_RUN_EXPIRE, /* its time is up: end it and hand in the result of that */
	CHECK_RUN_STOP,   /* nobody wants the result any more: end it */
};

struct check_run_action {
	enum check_run_kind kind;
	uint64_t run;
	struct str id; /* not of STOP; borrowed until the next call */
};

struct check_run;

struct check_run *check_run_new(const unsigned lane_max[CHECK_LANES]);
void check_run_free(struct check_run *); /* NULL is fine */

/* A check is new, or defined otherwise: it runs soon; a run of its old form is stopped. */
void check_run_put(struct check_run *, nsec now, struct str id, const struct check_plan *);
void check_run_remove(struct check_run *, nsec now, struct str id); /* unknown is fine */
bool check_run_knows(const struct check_run *, struct str id);

/* A run has ended. True: its result counts, by success_before_passing and
 * failures_before_critical; a warning is a success there. False: it does not (yet), or the run
 * is not known any more. */
bool check_run_input(struct check_run *, nsec now, struct str id, uint64_t run, enum check_status);

void check_run_tick(struct check_run *, nsec now);
nsec check_run_deadline(const struct check_run *);
bool check_run_action_next(struct check_run *, struct check_run_action *out);

struct check_run_stats {
	size_t checks, running, queued;
	uint64_t runs, late; /* late: started a second or more after their moment */
};
struct check_run_stats check_run_stats(const struct check_run *);

#endif

/* base/nsec.h -- time as a value.
 *
 * Cores never ask for the time: whoever drives them reads the clocks once per turn and passes
 * the result down. `nsec` is a span, or a moment of the monotonic clock, in nanoseconds.
 */
#ifndef BASE_NSEC_H
#define BASE_NSEC_H

#include <stdint.h>

typedef int64_t nsec;

#define NSEC_US   ((nsec)1000)
#define NSEC_MS   ((nsec)1000000)
#define NSEC_SEC  ((nsec)1000000000)
#define NSEC_MIN  (60 * NSEC_SEC)
#define NSEC_HOUR (60 * NSEC_MIN)
#define NSEC_NEVER INT64_MAX /* a deadline that does not come */

/* One moment as both clocks show it. Deadlines use `mono`; `wall_ms` (milliseconds since
 * 1970, UTC, may jump) is only for what people or other hosts see. */
struct now {
	nsec mono;
	int64_t wall_ms;
};

static inline nsec
nsec_min(nsec a, nsec b)
{
	return a < b ? a : b;
}

#endif

/* agent/loop.h -- libevent's base, the clocks, signals, and a timer for each core. */
#ifndef AGENT_LOOP_H
#define AGENT_LOOP_H

#include <event2/event.h>

#include "base/err.h"
#include "base/nsec.h"

struct loop_timer;

struct event_base *loop_base_new(struct err *);
struct now loop_now(void); /* reads both clocks */
nsec loop_mono(void);      /* the monotonic one */

struct loop_timer *loop_timer_new(struct event_base *, void (*fire)(void *), void *arg);
void loop_timer_arm(struct loop_timer *, nsec deadline); /* NSEC_NEVER disarms */
void loop_timer_free(struct loop_timer *);

#endif

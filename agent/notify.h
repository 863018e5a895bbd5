/* agent/notify.h -- what the service manager is told, as a state machine without I/O.
 *
 * systemd's protocol (sd_notify(3)): datagrams of lines NAME=VALUE. READY=1 is said once answers
 * are whole (RULES 13), RELOADING=1 and READY=1 again around a reload, STOPPING=1 at the end, and
 * WATCHDOG=1 twice within the time after which the manager takes us for hung.
 *
 * After every call: drain notify_message_next(), then re-arm one timer with notify_deadline().
 */
#ifndef AGENT_NOTIFY_H
#define AGENT_NOTIFY_H

#include <stdbool.h>

#include "base/nsec.h"
#include "base/str.h"

#define NOTIFY_MESSAGE_MAX 160 /* bytes of one datagram */
#define NOTIFY_QUEUE_MAX 8     /* messages; more are dropped, they would be out of date */

struct notify;

/* watchdog: how long the manager waits for a sign of life; 0: it does not. */
struct notify *notify_new(nsec now, nsec watchdog);
void notify_free(struct notify *); /* NULL is fine */

/* What happened to the agent. Each may be said again; what has been told is not repeated. */
void notify_ready(struct notify *, size_t members);
void notify_reloading(struct notify *, nsec now);
void notify_reloaded(struct notify *);
void notify_stopping(struct notify *);

void notify_tick(struct notify *, nsec now);
nsec notify_deadline(const struct notify *); /* NSEC_NEVER: none */

/* One datagram to send; it is borrowed until the next call. */
bool notify_message_next(struct notify *, struct str *out);

#endif

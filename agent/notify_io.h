/* agent/notify_io.h -- the shell around notify.h: datagrams to the socket that NOTIFY_SOCKET names.
 *
 * Our own few lines rather than libsystemd, which would be a library more in every process and
 * image for one sendto().
 */
#ifndef AGENT_NOTIFY_IO_H
#define AGENT_NOTIFY_IO_H

#include <event2/event.h>

#include "base/nsec.h"

struct notify_io;

/* From the environment: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. NULL: nobody listens; every
 * function below accepts that. A socket that cannot be written to is told in the log, once. */
struct notify_io *notify_io_new(struct event_base *, nsec now);
void notify_io_free(struct notify_io *);

void notify_io_ready(struct notify_io *, size_t members);
void notify_io_reloading(struct notify_io *, nsec now);
void notify_io_reloaded(struct notify_io *);
void notify_io_stopping(struct notify_io *);

#endif

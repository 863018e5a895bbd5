/* agent/check/check_exec_io.h -- shell: checks that run a program.
 *
 * Exit status 0 is passing, 1 warning, all else critical; the output is what it wrote to stdout
 * and stderr, its tail when that is much. Each run is a process group of its own, killed as a
 * whole when its time is up. The program gets no input and none of our descriptors.
 */
#ifndef AGENT_CHECK_EXEC_IO_H
#define AGENT_CHECK_EXEC_IO_H

#include <event2/event.h>

#include "agent/check/check_probe.h"

struct check_exec_io;

struct check_exec_io *check_exec_io_new(struct event_base *);
void check_exec_io_free(struct check_exec_io *); /* no probe may be under way */

extern const struct probe_kind check_exec_kind;

/* Of an exit status. */
enum check_status check_exit_status(int code);

#endif

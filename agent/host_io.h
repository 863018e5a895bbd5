/* agent/host_io.h -- what the agent's host is and has, as Consul's /v1/agent/host shows it.
 *
 * Read from /proc, uname(2) and statvfs(3) when it is asked for. What cannot be read is zero or
 * empty.
 */
#ifndef AGENT_HOST_IO_H
#define AGENT_HOST_IO_H

#include "base/json.h"

/* One object: Memory, CPU, Host, Disk (of that folder; NULL: of /), CollectionTime, Errors. */
void host_write(struct jw *, const char *folder);

#endif

/* agent/listen.h -- where a server of streams listens, as a value. */
#ifndef AGENT_LISTEN_H
#define AGENT_LISTEN_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/str.h"

#define LISTEN_PATH_MAX 107 /* bytes of a unix socket's path: sun_path with its NUL */

struct listen_at {
	struct addr addr; /* with its port */
	struct str path;  /* of a unix socket, terminated; empty: `addr` counts */
	bool tls;
};

/* Who may use the unix sockets; -1: as the system makes them. */
struct listen_mode {
	int64_t user, group, mode;
};

#endif

/* agent/resolve_io.h -- host names to addresses, by c-ares in the event loop.
 *
 * /etc/hosts, then the name servers of /etc/resolv.conf, which is read again when it changes.
 * Nothing is opened before the first name is asked for. No thread, nothing blocks: libcurl's own
 * resolver would, when a transfer is given up.
 */
#ifndef AGENT_RESOLVE_IO_H
#define AGENT_RESOLVE_IO_H

#include <event2/event.h>

#include "base/addr.h"
#include "base/str.h"

#define RESOLVE_ADDRS_MAX 16

struct resolver;
struct resolve; /* one question */

struct resolver *resolver_new(struct event_base *);
void resolver_free(struct resolver *); /* questions under way are forgotten, unanswered */

/* Calls done() once: addresses (port 0) in order of preference, borrowed for the call; or none
 * and why ("no such host"). That may be before this returns: then it returns NULL. */
typedef void resolve_done(void *arg, const struct addr *, size_t count, const char *why);
struct resolve *resolve_start(struct resolver *, struct str host, resolve_done *, void *arg);
void resolve_cancel(struct resolve *); /* done() will not be called. NULL is fine */

#endif

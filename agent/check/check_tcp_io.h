/* agent/check/check_tcp_io.h -- shell: TCP and UDP checks. Passing: something listens there.
 *
 * TCP: a connection can be made (to any address of the name). UDP: an empty datagram is not
 * refused by the host, within a second; an answer is not needed.
 */
#ifndef AGENT_CHECK_TCP_IO_H
#define AGENT_CHECK_TCP_IO_H

#include <event2/event.h>

#include "agent/check/check_probe.h"
#include "agent/resolve_io.h"

/* What the kinds below take as their `shell`. */
struct check_tcp_io {
	struct event_base *base;   /* borrowed */
	struct resolver *resolver; /* borrowed */
};

extern const struct probe_kind check_tcp_kind, check_udp_kind;

/* "HOST:PORT", "[ADDRESS]:PORT"; ":PORT" is this host. False: neither. */
bool check_target_parse(struct str target, struct str *host, uint16_t *port);

/* What the system says about an error, as Consul's answers have it: in lower case. */
struct str check_errno_text(int number, char *out, size_t cap);

#endif

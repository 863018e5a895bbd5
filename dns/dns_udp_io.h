/* dns/dns_udp_io.h -- DNS over UDP; part of dns_io. */
#ifndef DNS_DNS_UDP_IO_H
#define DNS_DNS_UDP_IO_H

#include <event2/event.h>

#include "base/err.h"
#include "dns/dns_shared.h"

struct dns_udp;

/* What they share is borrowed. */
struct dns_udp *dns_udp_new(struct event_base *, struct dns_responder *, const struct dns_shared *);
void dns_udp_free(struct dns_udp *); /* closes its sockets; NULL is fine */

/* Takes a bound socket, also when it fails. */
int dns_udp_add(struct dns_udp *, int fd, const struct addr *at, struct err *);

/* Adds what the responder does not know of. */
void dns_udp_stats(const struct dns_udp *, struct dns_stats *);

#endif

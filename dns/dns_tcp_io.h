/* dns/dns_tcp_io.h -- DNS over TCP (RFC 7766); part of dns_io. */
#ifndef DNS_DNS_TCP_IO_H
#define DNS_DNS_TCP_IO_H

#include <event2/event.h>

#include "base/err.h"
#include "dns/dns_shared.h"

struct dns_tcp;

/* What they share is borrowed. */
struct dns_tcp *dns_tcp_new(struct event_base *, struct dns_responder *, const struct dns_shared *);
void dns_tcp_free(struct dns_tcp *); /* closes everything; NULL is fine */

/* Takes a bound socket, also when it fails, and listens on it. */
int dns_tcp_add(struct dns_tcp *, int fd, struct err *);

void dns_tcp_idle(struct dns_tcp *, nsec idle);

#endif

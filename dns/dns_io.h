/* dns/dns_io.h -- the DNS listeners: UDP and TCP on the same port, in libevent's loop.
 *
 * UDP replies leave from the address that was asked (IP_PKTINFO, IPV6_RECVPKTINFO). TCP has
 * limits: connections in all and per client, idle time, time to deliver one message or to take
 * the answers, and bytes held. At a limit the connection that was quiet for the longest time
 * makes room.
 */
#ifndef DNS_DNS_IO_H
#define DNS_DNS_IO_H

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"
#include "dns/answer.h"

#define DNS_TCP_CONNECTIONS_MAX 1024
#define DNS_TCP_PER_CLIENT_MAX 512
#define DNS_TCP_IDLE (10 * NSEC_SEC) /* without a whole message, or with answers not taken */
#define DNS_TCP_BYTES_MAX ((size_t)16 << 20) /* held for all connections */

struct dns_io;

/* Binds UDP and TCP on each address. The responder is borrowed. ERR_IO names address and port. */
int dns_io_new(struct event_base *, struct dns_responder *, const struct addr *listen, size_t count,
    struct dns_io **out, struct err *);
void dns_io_free(struct dns_io *); /* closes everything; NULL is fine */

/* Another time than DNS_TCP_IDLE, for connections from now on. */
void dns_io_tcp_idle(struct dns_io *, nsec idle);

/* Where it listens: the port the system chose when 0 was asked. i < count. */
struct addr dns_io_address(const struct dns_io *, size_t i);

#endif

/* dns/dns_io.h -- the DNS listeners: UDP and TCP on the same port.
 *
 * TCP is in libevent's loop; UDP too, or in threads that keep answers (dns_crew_io.h). UDP replies
 * leave from the address that was asked (IP_PKTINFO, IPV6_RECVPKTINFO); who has waited for DNS_LATE
 * is not answered any more. TCP has limits: connections in all and per client, idle time, time to
 * deliver one message or to take the answers, and bytes held. At a limit the connection that was
 * quiet for the longest time makes room.
 */
#ifndef DNS_DNS_IO_H
#define DNS_DNS_IO_H

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"
#include "dns/answer.h"
#include "dns/recurse_io.h"

#define DNS_TCP_CONNECTIONS_MAX 1024
#define DNS_TCP_PER_CLIENT_MAX 512
#define DNS_TCP_IDLE (10 * NSEC_SEC) /* without a whole message, or with answers not taken */
#define DNS_TCP_BYTES_MAX ((size_t)16 << 20) /* held for all connections */

struct dns_io;

#define DNS_THREADS_MAX 64

struct dns_io_config {
	const struct addr *listen;
	size_t count;
	unsigned threads;   /* for UDP; 0: none */
	uint32_t rate;      /* answers a second over UDP to one network (rate.h); 0: no limit */
	uint32_t rate_slip; /* of so many answers over it one is given, cut */
};

/* Binds UDP and TCP on each address. The responder is borrowed; its catalog must outlive this.
 * ERR_IO names address and port. */
int dns_io_new(struct event_base *, struct dns_responder *, const struct dns_io_config *,
    struct dns_io **out, struct err *);
void dns_io_free(struct dns_io *); /* closes everything; NULL is fine */

/* Another time than DNS_TCP_IDLE, for connections from now on. */
void dns_io_tcp_idle(struct dns_io *, nsec idle);

/* For questions from now on: whom to ask about names elsewhere (recurse_io.h; the responder's
 * configuration says whether at all), and whether each answer is logged. */
void dns_io_recursors(struct dns_io *, const struct recurse_config *);
void dns_io_logs(struct dns_io *, bool on);
struct recurse_stats dns_io_recurse_stats(const struct dns_io *);

/* What was answered, by whomever. */
struct dns_stats dns_io_stats(const struct dns_io *);

/* Where it listens: the port the system chose when 0 was asked. i < count. */
struct addr dns_io_address(const struct dns_io *, size_t i);

#endif

/* dns/dns_thread_io.h -- a thread that answers from what it keeps, from sockets of its own.
 *
 * Between dns_thread_start() and dns_thread_stop() everything here but the counters is the
 * thread's.
 */
#ifndef DNS_DNS_THREAD_IO_H
#define DNS_DNS_THREAD_IO_H

#include "base/err.h"
#include "dns/answer.h"
#include "dns/dns_handover.h"
#include "dns/dns_shared.h"

struct dns_thread;

/* All but the seed is borrowed. */
struct dns_thread *dns_thread_new(
    const struct marks *, struct handover *, const struct dns_shared *, uint64_t seed);
void dns_thread_free(struct dns_thread *); /* stops it, closes its sockets; NULL is fine */

/* Takes a bound socket; before the start. */
void dns_thread_add(struct dns_thread *, int fd);

int dns_thread_start(struct dns_thread *, struct err *);
void dns_thread_stop(struct dns_thread *); /* waits; its sockets stay open */

/* Adds what it has answered by itself. */
void dns_thread_stats(const struct dns_thread *, struct dns_stats *);

#endif

/* dns/dns_crew_io.h -- DNS over UDP by threads; part of dns_io.
 *
 * Each thread has a socket of its own for each address, among which the kernel spreads askers
 * (SO_REUSEPORT), and answers by itself what it has been asked before (prepared.h). The rest is
 * answered here, in the loop.
 */
#ifndef DNS_DNS_CREW_IO_H
#define DNS_DNS_CREW_IO_H

#include <event2/event.h>

#include "base/err.h"
#include "dns/dns_shared.h"

struct dns_crew;

/* Marks are the catalog's, which outlive it. What they share is borrowed. */
struct dns_crew *dns_crew_new(
    struct event_base *, struct dns_responder *, const struct dns_shared *, unsigned threads);
void dns_crew_free(struct dns_crew *); /* ends the threads, closes their sockets; NULL is fine */

/* Takes a bound socket for thread i, also when it fails; before the start. */
int dns_crew_add(struct dns_crew *, unsigned i, int fd, const struct addr *at, struct err *);

int dns_crew_start(struct dns_crew *, struct err *);

/* Adds what the threads have answered by themselves, and what came too late. */
void dns_crew_stats(const struct dns_crew *, struct dns_stats *);

#endif

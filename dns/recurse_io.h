/* dns/recurse_io.h -- other name servers are asked, by c-ares in the loop.
 *
 * For each question one channel of c-ares, made for it: its sockets are new, so the port is the
 * kernel's random one, and the id comes from the kernel's generator, too. c-ares asks the servers
 * in the order given to it, each by UDP, by TCP when the answer was cut there, for the time given,
 * and goes on to the next after SERVFAIL, NOTIMP and REFUSED. Packets from elsewhere and of other
 * questions do not count. The same question of several askers is asked once; when one comes back
 * to us with the id that we gave it, recursors lead in a circle, and it is answered SERVFAIL.
 */
#ifndef DNS_RECURSE_IO_H
#define DNS_RECURSE_IO_H

#include <event2/event.h>

#include "dns/answer.h"

#define RECURSORS_MAX 16
#define RECURSE_FLIGHT_MAX 256 /* different questions under way */
#define RECURSE_ASKS_MAX 1024  /* askers that wait for them */
#define RECURSE_NAMES_MAX 4    /* names elsewhere that are asked for one answer */

struct recurse_config {
	struct addr recursors[RECURSORS_MAX]; /* with ports */
	size_t count;
	bool random;  /* order: any; else as they stand */
	nsec timeout; /* of each */
};

struct recurse_stats {
	uint64_t asked;   /* questions to recursors */
	uint64_t failed;  /* of these nobody answered */
	uint64_t refused; /* beyond a limit */
	uint64_t loops;   /* came back to us */
	uint64_t foreign; /* answers that did not belong to the question */
	uint64_t under_way;
};

struct recurse;
struct recurse_ask; /* one asker that waits */

struct recurse *recurse_new(struct event_base *, struct dns_responder *);
void recurse_free(struct recurse *); /* who waits is forgotten; NULL is fine */
void recurse_configure(struct recurse *, const struct recurse_config *); /* for new questions */

/* After dns_answer() was silent: whether there is somebody to ask about it. */
bool recurse_wanted(const struct recurse *);

/* For that query, before another one is answered. Either *out waits and done() will be called
 * once, later; or the bytes of an answer in room: over a limit, or a circle. */
typedef void recurse_done(void *arg, struct str answer); /* borrowed; empty: silence */
size_t recurse_ask(struct recurse *, struct str packet, bool tcp, void *room, size_t cap,
    recurse_done *, void *arg, struct recurse_ask **out);
void recurse_cancel(struct recurse_ask *); /* done() will not be called; NULL is fine */

/* Adds the answers of others to the counters. */
void recurse_count(const struct recurse *, struct dns_stats *);
struct recurse_stats recurse_stats(const struct recurse *);

#endif

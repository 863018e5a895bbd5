/* dns/dns_handover.h -- between a DNS thread and the loop that may read the catalog.
 *
 * One way go queries that the thread has no answer for, the other way answers for it to keep. Both
 * sides hold the lock for as long as it takes to copy a query or to swap two pointers. What is
 * asked is bounded by HANDOVER_MAX; what is given, by what was asked.
 */
#ifndef DNS_DNS_HANDOVER_H
#define DNS_DNS_HANDOVER_H

#include "dns/dns_batch_io.h"
#include "dns/prepared.h"

#define HANDOVER_MAX 512

struct handed {
	struct batch_peer peer;
	int fd;        /* the socket the reply leaves through */
	nsec came;     /* batch_came() */
	unsigned variant;
	bool keeps;    /* the thread wants the answer to keep it */
	size_t n;
	uint8_t packet[BATCH_QUERY_MAX];
};

struct handover;

/* `wake`: an eventfd of the loop's, which outlives it. */
struct handover *handover_new(int wake);
void handover_free(struct handover *); /* NULL is fine. Nobody may use it any more */

/* For the thread. Ask: false when too many queries wait; the loop hears of them by Wake, once for a
 * batch, when what could be answered at once is answered. */
bool handover_ask(
    struct handover *, const struct batch *, unsigned i, int fd, unsigned variant, bool keeps);
void handover_wake(struct handover *);
void handover_keep(struct handover *, struct prepared *); /* what was given */

/* For the loop. Take: the queries that wait, borrowed until the next call. Give: takes the answer.
 */
unsigned handover_take(struct handover *, struct handed **out);
void handover_give(struct handover *, struct prepared_answer *);

#endif

/* dns/prepare.h -- an answer made of the catalog in such a way that it can be kept (prepared.h).
 *
 * For the thread that may read the catalog. What it hands out belongs to whoever keeps it.
 */
#ifndef DNS_PREPARE_H
#define DNS_PREPARE_H

#include "dns/answer.h"
#include "dns/prepared.h"

/* As dns_answer() for a datagram; *out is the answer to be kept by the one who asks, NULL: it is
 * not for keeping. `variant` as prepared_answer() said. */
size_t dns_prepare(struct dns_responder *, struct now, struct str packet, unsigned variant,
    void *room, size_t cap, struct prepared_answer **out);

#endif

/* dns/dns_later_io.h -- who asked over UDP and waits for other name servers; part of dns_io. */
#ifndef DNS_DNS_LATER_IO_H
#define DNS_DNS_LATER_IO_H

#include "dns/dns_batch_io.h"
#include "dns/recurse_io.h"

struct later;

/* Replies leave through the batch, at once. Both are borrowed. */
struct later *later_new(struct recurse *, struct batch *);
void later_free(struct later *); /* who waits is forgotten; NULL is fine */

/* Right after the responder was silent about this packet, which came through fd: its answer comes
 * later, if there is somebody to ask; or it is in room now, of this many bytes. */
size_t later_ask(struct later *, const struct batch_peer *, int fd, nsec came, struct str packet,
    void *room, size_t cap);

#endif

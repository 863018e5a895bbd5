/* agent/http/gzip.h -- answers made smaller for clients that ask for it (RFC 1952, RFC 9110 8.4).
 *
 * Small ones fit into one packet as they are; the largest would keep everybody else waiting. As
 * fast as zlib can: the network that it saves is a local one.
 */
#ifndef AGENT_HTTP_GZIP_H
#define AGENT_HTTP_GZIP_H

#include "agent/http/http.h"

#define GZIP_BYTES_MIN 1400
#define GZIP_BYTES_MAX (4 * 1024 * 1024) /* some 20 ms */

struct gzip; /* what zlib needs: some 260 KiB, used again each time */

struct gzip *gzip_new(void);
void gzip_free(struct gzip *); /* NULL is fine */

/* Whether the client takes it: Accept-Encoding names gzip, with a weight above 0. */
bool gzip_accepted(const struct http_request *);
/* Replaces what is in *out. False: it would not be smaller. */
bool gzip_pack(struct gzip *, struct str, struct buf *out);

#endif

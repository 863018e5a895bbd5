/* dns/dns_batch_io.h -- datagrams in batches: one recvmmsg(), one sendmmsg().
 *
 * Each reply leaves from the address its query came to: a socket that is bound to all addresses
 * receives that address as a control message and hands it back with the reply. Another one says when
 * a query came, so that who has waited too long is not answered any more.
 */
#ifndef DNS_DNS_BATCH_IO_H
#define DNS_DNS_BATCH_IO_H

#include <netinet/in.h>
#include <stdalign.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/nsec.h"
#include "base/str.h"
#include "dns/dns_stats.h"
#include "dns/rate.h"

#define BATCH 32
#define BATCH_QUERY_MAX 2048  /* bytes of one query; what is longer is cut, hence malformed */
#define BATCH_REPLY_MAX 65507 /* what one IPv4 datagram holds */

#define DNS_LATE (2 * NSEC_SEC) /* who asked longer ago than that does not wait any more */

/* As received: the time, and the address where one is asked for. */
#define BATCH_STAMP_BYTES CMSG_SPACE(sizeof(struct timespec))
union batch_control {
	alignas(struct cmsghdr) char v4[BATCH_STAMP_BYTES + CMSG_SPACE(sizeof(struct in_pktinfo))];
	char v6[BATCH_STAMP_BYTES + CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* Whom a reply goes to, and from where. */
struct batch_peer {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
	socklen_t address_n;
	size_t control_n;
	union batch_control control;
};

struct batch;

/* Room for replies: at least BATCH_REPLY_MAX or what one reply takes at most. How long replies took
 * is counted in the stats; `logs` says whether each is logged. Both are borrowed. */
struct batch *batch_new(size_t replies_room, struct dns_stats *, const _Atomic bool *logs);
void batch_free(struct batch *); /* NULL is fine */

/* The number of queries that have come, at most BATCH; 0 or less: none. */
int batch_receive(struct batch *, int fd);
int batch_wait(struct batch *, int fd); /* the same, but waits for the first; fd is blocking */
struct str batch_query(const struct batch *, unsigned i); /* borrowed until the next receive */
void batch_peer(const struct batch *, unsigned i, struct batch_peer *out);
nsec batch_came(const struct batch *, unsigned i); /* when, in time of batch_wall() */

/* What to do with query i before anything else, counted where it is not to be answered. rate: NULL:
 * no limit. */
enum batch_verdict { BATCH_ANSWER, BATCH_SLIP, BATCH_DROP };
enum batch_verdict batch_verdict(struct batch *, unsigned i, nsec wall, struct rate *);

/* Room for one reply of at most `most` bytes; replies that wait leave through `fd` when there is
 * none otherwise. Then: the reply, n bytes of it, to the asker of query i, or to a peer kept
 * meanwhile, which is borrowed until it has left. */
void *batch_reply_room(struct batch *, int fd, size_t most);
void batch_reply(struct batch *, unsigned i, size_t n);
void batch_reply_to(struct batch *, struct batch_peer *, nsec came, size_t n);
bool batch_is_full(const struct batch *); /* BATCH replies wait */
void batch_send(struct batch *, int fd);  /* all that wait; what cannot leave is dropped */

/* Options of a socket bound there: the control messages, its buffer, fragments. */
int batch_socket_tune(int fd, const struct addr *at, struct err *);

struct now batch_now(void);
/* The kernel's time for packets: since 1970, may jump. */
nsec batch_wall(void);

#endif

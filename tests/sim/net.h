/* tests/sim/net.h -- virtual time and a bad network between numbered hosts, from one seed.
 *
 * What happens is an event of the user's, with a struct net_event as its first member, posted for a
 * later moment; net_next() hands them out in order and moves the time. Ways between hosts can be
 * cut one way; the weather says how long a datagram takes and how many get lost or doubled (and
 * thereby overtake each other).
 */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/nsec.h"
#include "base/rng.h"

struct net_event { /* the user's begins with one */
	nsec at;
	uint64_t seq; /* equal moments keep the order of posting */
};

struct net {
	struct rng rng;
	nsec now;
	size_t hosts;
	nsec latency_min, latency_max; /* of one datagram, one way */
	unsigned loss, twice;          /* per mille of datagrams */
	bool *cut;                     /* [from * hosts + to]; owned */
	/* private */
	struct net_event **heap;
	size_t heap_count, heap_cap;
	uint64_t event_seq;
};

void net_init(struct net *, size_t hosts, uint64_t seed, nsec now);
void net_done(struct net *); /* all events were taken out with net_next() */

void net_post(struct net *, struct net_event *, nsec at); /* keeps it */
/* The next event at or before `end`, and its moment is now; NULL: none, and now is `end`. */
struct net_event *net_next(struct net *, nsec end);

nsec net_latency(struct net *);
bool net_chance(struct net *, unsigned per_mille);
bool net_open(const struct net *, size_t from, size_t to);
void net_cut(struct net *, size_t from, size_t to, bool cut); /* one way */
void net_cut_both(struct net *, size_t a, size_t b, bool cut);
void net_uncut(struct net *);
bool net_whole(const struct net *); /* no way is cut */

#endif

/* gossip/coordinate.h -- where this agent is in the network, by round-trip times (Vivaldi, Dabek
 * et al. 2004, with the height, adjustment window and latency filter that serf uses).
 *
 * A pure core: each ack of a probe brings a round-trip time and the other's coordinate. Figures as
 * serf's: 8 dimensions, error at most 1.5, ce = cc = 0.25, adjustment window of 20, smallest height
 * 1e-5 s, median of the last 3 times of a peer, gravity rho 150.
 */
#ifndef GOSSIP_COORDINATE_H
#define GOSSIP_COORDINATE_H

#include <stdbool.h>

#include "base/nsec.h"
#include "base/str.h"
#include "gossip/serf_wire.h"

#define COORDINATE_RTT_MAX (10 * NSEC_SEC)
#define COORDINATE_PEERS_MAX 65536 /* further ones move us, but are not kept */
#define COORDINATE_NAME_MAX 255    /* bytes of a peer's name, likewise */
#define COORDINATE_VALUE_MAX 10000 /* seconds; a coordinate with more in it is refused */

struct coordinates; /* ours, and what others said of theirs */

struct coordinates *coordinates_new(uint64_t seed);
void coordinates_free(struct coordinates *); /* NULL is fine */

/* Where we were in our last life: we go on from there. Refused when it is not valid. */
bool coordinates_begin(struct coordinates *, const struct serf_coordinate *);
const struct serf_coordinate *coordinates_ours(const struct coordinates *);
/* A peer answered after rtt (0 < rtt <= COORDINATE_RTT_MAX) and is at `theirs`. False: refused
 * (not finite, out of range), nothing changed. */
bool coordinates_observe(
    struct coordinates *, struct str peer, nsec rtt, const struct serf_coordinate *theirs);
/* The last coordinate that a peer told; NULL: none. */
const struct serf_coordinate *coordinates_of(const struct coordinates *, struct str peer);
/* Takes what came by another way (the catalog) without a round-trip time; what would be refused
 * above changes nothing. */
void coordinates_learn(struct coordinates *, struct str peer, const struct serf_coordinate *);
void coordinates_forget(struct coordinates *, struct str peer); /* it left */

size_t coordinates_count(const struct coordinates *);     /* peers that are kept */
uint64_t coordinates_samples(const struct coordinates *); /* observed, ever */
uint64_t coordinates_resets(const struct coordinates *);  /* ours was no number any more, and began
							   * anew; never seen with honest peers */

/* Whether all is finite and in range: what may be kept and reckoned with. */
bool coordinate_valid(const struct serf_coordinate *);
/* Estimated round-trip time between two valid ones. */
nsec coordinate_distance(const struct serf_coordinate *, const struct serf_coordinate *);

#endif

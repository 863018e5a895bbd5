/* gossip/suspicion.h -- how long a suspect has to refute (Lifeguard; memberlist's figures).
 *
 * The wait begins at its longest and shrinks with each further accuser towards its shortest, after
 * k of them. Beyond memberlist: when the suspect's host refused our packets and somebody else
 * accuses it too, the wait ends with one more round of probing (`hurry`); an answer in that round
 * takes the hurry back and leaves the ordinary wait.
 */
#ifndef GOSSIP_SUSPICION_H
#define GOSSIP_SUSPICION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/nsec.h"
#include "base/str.h"

#define SUSPICION_ACCUSERS_MAX 8 /* that shorten the wait; more profiles than ours do not ask */

struct suspicion {
	nsec start, min, max; /* when it began; the shortest and the longest wait */
	nsec hurry;           /* a moment, or NSEC_NEVER */
	unsigned k, count;    /* confirmations that count; that came */
	uint64_t accusers[SUSPICION_ACCUSERS_MAX + 1]; /* hashes of names; the first began it */
};

/* Shortest wait and k for a pool of n nodes; `mult` is the profile's suspicion multiplier. */
nsec suspicion_min(unsigned mult, size_t n, nsec probe_interval);
unsigned suspicion_k(unsigned mult, size_t n);

void suspicion_start(
    struct suspicion *, nsec now, struct str from, unsigned k, nsec min, unsigned max_mult);
/* True when this accuser is new and counts: the wait is shorter now. */
bool suspicion_confirm(struct suspicion *, struct str from);
nsec suspicion_deadline(const struct suspicion *);

void suspicion_hurry(struct suspicion *, nsec until);
void suspicion_calm(struct suspicion *);
void suspicion_shift(struct suspicion *, nsec by); /* time that passed while we did not run */

#endif

/* gossip/awareness.h -- how well this agent itself seems to be doing (Lifeguard, Dadgar et al.
 * 2017).
 *
 * A score from 0 (well) to max - 1. Whoever scores badly asks more slowly, and so accuses others
 * less.
 */
#ifndef GOSSIP_AWARENESS_H
#define GOSSIP_AWARENESS_H

#include "base/nsec.h"

struct awareness {
	unsigned score, max; /* score < max; max 0 counts as 1 */
};

static inline void
awareness_add(struct awareness *a, int delta)
{
	int64_t score = (int64_t)a->score + delta, top = a->max == 0 ? 0 : (int64_t)a->max - 1;

	a->score = (unsigned)(score < 0 ? 0 : score > top ? top : score);
}

static inline nsec /* a span of the protocol, stretched by the score */
awareness_scale(const struct awareness *a, nsec span)
{
	return span * ((nsec)a->score + 1);
}

#endif

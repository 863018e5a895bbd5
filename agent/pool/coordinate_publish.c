/* agent/pool/coordinate_publish.c -- when this agent's coordinate is worth telling everybody.
 *
 * Moved notably: by half a millisecond, or a twentieth of how far out we are where that is more.
 * Less would not change an order that matters to anybody. Moments are spread by a quarter, so that
 * agents that were started together do not speak together.
 */
#include "agent/pool/coordinate_publish.h"

#include <math.h>

#define NOTABLE_LEAST 0.0005 /* seconds */
#define NOTABLE_SHARE 20

_Static_assert(COORDINATE_DIMENSIONS == SERF_COORDINATE_DIMENSIONS, "both rooms mean the same");

struct serf_coordinate
coordinate_of_info(const struct coordinate_info *info)
{
	struct serf_coordinate c = {
		.adjustment = info->adjustment, .error = info->error, .height = info->height
	};

	memcpy(c.vec, info->vec, sizeof c.vec);
	return c;
}

struct coordinate_info
coordinate_to_info(const struct serf_coordinate *c)
{
	struct coordinate_info info = {
		.adjustment = c->adjustment, .error = c->error, .height = c->height
	};

	memcpy(info.vec, c->vec, sizeof info.vec);
	return info;
}

/* span, give or take a quarter. */
static nsec
spread(struct rng *rng, nsec span)
{
	return span - span / 4 + (nsec)(rng_u64(rng) % (uint64_t)(span / 2 + 1));
}

static double
moved(const struct serf_coordinate *a, const struct serf_coordinate *b)
{
	double sum = 0;

	for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		sum += (a->vec[i] - b->vec[i]) * (a->vec[i] - b->vec[i]);
	return sqrt(sum) + fabs(a->height - b->height) + fabs(a->adjustment - b->adjustment);
}

static bool
is_notable(const struct serf_coordinate *last, const struct serf_coordinate *ours)
{
	static const struct serf_coordinate origin;

	return moved(last, ours) > fmax(NOTABLE_LEAST, moved(&origin, ours) / NOTABLE_SHARE);
}

void
coordinate_publish_init(
    struct coordinate_publish *p, uint64_t seed, nsec now, const struct coordinate_info *last)
{
	*p = (struct coordinate_publish){ .told = last != NULL };
	if (last != NULL)
		p->last = coordinate_of_info(last);
	rng_init(&p->rng, seed);
	p->at = now + spread(&p->rng, COORDINATE_PUBLISH_FIRST);
}

bool
coordinate_publish(struct coordinate_publish *p, nsec now, const struct coordinates *c,
    size_t members, struct coordinate_info *out)
{
	const struct serf_coordinate *ours = coordinates_ours(c);
	nsec share = (nsec)(members / COORDINATE_PUBLISH_RATE) * NSEC_SEC;

	if (now < p->at)
		return false;
	if (coordinates_samples(c) == p->samples || (p->told && !is_notable(&p->last, ours))) {
		p->at = now + spread(&p->rng, COORDINATE_PUBLISH_LOOK);
		return false;
	}
	p->told = true;
	p->last = *ours;
	p->samples = coordinates_samples(c);
	p->at =
	    now + spread(&p->rng,
		      share > COORDINATE_PUBLISH_INTERVAL ? share : COORDINATE_PUBLISH_INTERVAL);
	*out = coordinate_to_info(ours);
	return true;
}

nsec
coordinate_publish_deadline(const struct coordinate_publish *p)
{
	return p->at;
}

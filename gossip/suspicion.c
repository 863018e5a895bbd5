/* gossip/suspicion.c -- the length of a suspicion; see suspicion.h. */
#include "gossip/suspicion.h"

#include <math.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

nsec
suspicion_min(unsigned mult, size_t n, nsec probe_interval)
{
	double scale =
	    floor(log10(n < 1 ? 1.0 : (double)n) * 1000) / 1000; /* as memberlist cuts it */

	if (scale < 1)
		scale = 1;
	return (nsec)(scale * 1000 + 0.5) * mult * probe_interval / 1000;
}

unsigned
suspicion_k(unsigned mult, size_t n)
{
	unsigned k = mult < 2 ? 0 : mult - 2;

	if (n < (size_t)k + 2)
		return 0;
	return k < SUSPICION_ACCUSERS_MAX ? k : SUSPICION_ACCUSERS_MAX;
}

static uint64_t
suspicion_hash(struct str name)
{
	return XXH3_64bits(name.n == 0 ? "" : name.p, name.n);
}

void
suspicion_start(
    struct suspicion *s, nsec now, struct str from, unsigned k, nsec min, unsigned max_mult)
{
	*s = (struct suspicion){
		.start = now,
		.min = min,
		.max = min * (max_mult < 1 ? 1 : max_mult),
		.hurry = NSEC_NEVER,
		.k = k < SUSPICION_ACCUSERS_MAX ? k : SUSPICION_ACCUSERS_MAX,
		.accusers = { suspicion_hash(from) },
	};
}

bool
suspicion_confirm(struct suspicion *s, struct str from)
{
	uint64_t hash = suspicion_hash(from);

	if (s->count >= s->k)
		return false;
	for (unsigned i = 0; i <= s->count; i++)
		if (s->accusers[i] == hash)
			return false;
	s->accusers[++s->count] = hash;
	return true;
}

/* To the millisecond, as memberlist computes it. */
static nsec
suspicion_wait(const struct suspicion *s)
{
	double part;
	nsec wait;

	if (s->k == 0)
		return s->min;
	part = log((double)s->count + 1) / log((double)s->k + 1);
	wait = s->max - (nsec)((double)(s->max - s->min) * part);
	wait = wait / NSEC_MS * NSEC_MS;
	return wait < s->min ? s->min : wait;
}

nsec
suspicion_deadline(const struct suspicion *s)
{
	return nsec_min(s->start + suspicion_wait(s), s->hurry);
}

void
suspicion_hurry(struct suspicion *s, nsec until)
{
	s->hurry = nsec_min(s->hurry, until);
}

void
suspicion_calm(struct suspicion *s)
{
	s->hurry = NSEC_NEVER;
}

void
suspicion_shift(struct suspicion *s, nsec by)
{
	s->start += by;
	if (s->hurry != NSEC_NEVER)
		s->hurry += by;
}

/* base/rng.c -- PCG32 and the kernel's generator. */
#include "base/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void
rng_init(struct rng *r, uint64_t seed)
{
	r->stream = seed << 1 | 1;
	r->state = seed * 6364136223846793005u + r->stream;
	rng_u32(r);
}

uint32_t
rng_u32(struct rng *r)
{
	uint64_t old = r->state;
	uint32_t x = (uint32_t)((old >> 18 ^ old) >> 27);
	uint32_t turn = (uint32_t)(old >> 59);

	r->state = old * 6364136223846793005u + (r->stream | 1); /* even one never seeded moves */
	return x >> turn | x << (-turn & 31);
}

uint64_t
rng_u64(struct rng *r)
{
	uint64_t high = rng_u32(r);

	return high << 32 | rng_u32(r);
}

uint32_t
rng_below(struct rng *r, uint32_t n)
{
	uint32_t least = -n % n; /* values below this would favour small results */

	for (;;) {
		uint32_t v = rng_u32(r);

		if (v >= least)
			return v % n;
	}
}

void
os_random(void *out, size_t n)
{
	char *p = out;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort(); /* a kernel without getrandom(2) is none we run on */
		p += got;
		n -= (size_t)got;
	}
}

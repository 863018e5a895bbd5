/* base/rng.h -- seeded randomness, injected like time.
 *
 * PCG32 (O'Neill 2014, pcg-random.org): small state, good enough for rotation, spreading and
 * simulation, repeatable from its seed. Not for secrets: ids come from os_random().
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state, stream;
};

void rng_init(struct rng *, uint64_t seed);
uint32_t rng_u32(struct rng *);
uint64_t rng_u64(struct rng *);
uint32_t rng_below(struct rng *, uint32_t n); /* 0 … n-1 without bias; n > 0 */

/* n bytes from the kernel's generator (getrandom(2)); never fails, may block at boot. */
void os_random(void *out, size_t n);

#endif

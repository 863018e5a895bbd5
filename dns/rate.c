/* dns/rate.c -- moments by network, in sets of a few.
 *
 * An entry is one word: a tag of 16 bits of the network's hash, and the moment in microseconds
 * (48 bits: nine years of uptime). A moment that has passed means a full bucket, so an entry of
 * zeros is one that nobody uses.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdatomic.h>

#include "base/mem.h"
#include "dns/rate.h"

#define WAYS 4 /* entries of a set */
#define SETS (RATE_NETWORKS / WAYS)
#define MOMENT_BITS 48
#define MOMENT_MASK (((uint64_t)1 << MOMENT_BITS) - 1)
#define BUCKET_US ((uint64_t)1000000)
#define TRIES 8 /* against other threads; then they have progressed, and this one may answer */

struct rate {
	uint64_t seed;
	uint64_t step; /* microseconds of one answer */
	uint32_t slip;
	atomic_uint_fast32_t over;
	_Atomic uint64_t entries[SETS][WAYS];
};

struct rate *
rate_new(uint32_t per_second, uint32_t slip, uint64_t seed)
{
	struct rate *r = mem_new(struct rate);

	r->seed = seed;
	r->step = per_second == 0 ? BUCKET_US : BUCKET_US / per_second;
	r->slip = slip;
	return r;
}

void
rate_free(struct rate *r)
{
	free(r);
}

/* IPv4 in IPv6 (::ffff:10.0.0.1), as sockets for both have it, is that IPv4 address. */
static uint64_t
network_hash(const struct rate *r, const struct addr *from)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool v4 = from->family == ADDR_V4, in_v6 = !v4 && memcmp(from->bytes, mapped, 12) == 0;
	uint8_t network[1 + RATE_V6_BITS / 8] = { v4 || in_v6 };

	if (v4 || in_v6)
		memcpy(network + 1, from->bytes + (in_v6 ? 12 : 0), RATE_V4_BITS / 8);
	else
		memcpy(network + 1, from->bytes, RATE_V6_BITS / 8);
	return XXH3_64bits_withSeed(network, sizeof network, r->seed);
}

/* The network's own entry, else the one with the least debt. */
static _Atomic uint64_t *
entry_find(_Atomic uint64_t set[WAYS], uint64_t tag, uint64_t *held)
{
	_Atomic uint64_t *least = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t v = atomic_load_explicit(&set[i], memory_order_relaxed);

		if (v >> MOMENT_BITS == tag && v != 0) {
			*held = v;
			return &set[i];
		}
		if (least == NULL || (v & MOMENT_MASK) < (*held & MOMENT_MASK)) {
			least = &set[i];
			*held = v;
		}
	}
	return least;
}

static enum rate_verdict
over_limit(struct rate *r)
{
	uint_fast32_t n = atomic_fetch_add_explicit(&r->over, 1, memory_order_relaxed);

	return r->slip > 0 && n % r->slip == r->slip - 1 ? RATE_SLIP : RATE_SILENCE;
}

enum rate_verdict
rate_take(struct rate *r, nsec now, const struct addr *from)
{
	uint64_t hash = network_hash(r, from), tag = hash >> MOMENT_BITS;
	uint64_t now_us = (uint64_t)(now / NSEC_US) & MOMENT_MASK;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t held, full = now_us;
		_Atomic uint64_t *entry = entry_find(r->entries[hash % SETS], tag, &held);

		if (held >> MOMENT_BITS == tag && (held & MOMENT_MASK) > full)
			full = held & MOMENT_MASK;
		if (full - now_us + r->step > BUCKET_US)
			return over_limit(r);
		if (atomic_compare_exchange_weak_explicit(entry, &held,
			tag << MOMENT_BITS | ((full + r->step) & MOMENT_MASK), memory_order_relaxed,
			memory_order_relaxed))
			return RATE_ANSWER;
	}
	return RATE_ANSWER;
}

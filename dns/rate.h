/* dns/rate.h -- how many answers the networks of clients may have; no I/O, no clock.
 *
 * One table for all threads, without a lock. Networks are an IPv4 address' first 24 bits and an IPv6
 * address' first 56. Each has a bucket of one second's answers, which fills again as time passes
 * (GCRA: what is kept is the moment at which it will be full). The table has a fixed size; who does
 * not fit takes the place of the network with the least debt, which costs that one nothing or some
 * of what it owes.
 */
#ifndef DNS_RATE_H
#define DNS_RATE_H

#include "base/addr.h"
#include "base/nsec.h"

#define RATE_NETWORKS 16384
#define RATE_V4_BITS 24
#define RATE_V6_BITS 56
#define RATE_PER_SECOND_MAX 100000

struct rate;

/* slip: of so many answers over the limit one is given, empty and cut, so that an honest client
 * asks again by TCP; 0: none. The seed is for places in the table. */
struct rate *rate_new(uint32_t per_second, uint32_t slip, uint64_t seed);
void rate_free(struct rate *); /* NULL is fine */

enum rate_verdict { RATE_ANSWER, RATE_SLIP, RATE_SILENCE };

/* One more answer is wanted from there; the time is monotonic. By any thread. */
enum rate_verdict rate_take(struct rate *, nsec now, const struct addr *from);

#endif

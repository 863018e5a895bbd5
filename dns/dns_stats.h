/* dns/dns_stats.h -- what DNS counts, for metrics. Each who answers has one, which only that thread
 * writes and any thread may read; they are added up. */
#ifndef DNS_DNS_STATS_H
#define DNS_DNS_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/nsec.h"

enum dns_count { /* types of questions that are counted one by one */
	DNS_COUNT_A, DNS_COUNT_AAAA, DNS_COUNT_ANY, DNS_COUNT_NS, DNS_COUNT_PTR, DNS_COUNT_SOA,
	DNS_COUNT_SRV, DNS_COUNT_TXT, DNS_COUNT_OTHER, DNS_COUNTS,
};

/* Spans of time by powers of two: the first takes up to 16 us, each next one twice as much, the
 * last all above 131 ms. */
#define DNS_SPANS 15
#define DNS_SPAN_FIRST_LOG2 4

/* Nothing but counters of 64 bits. */
struct dns_stats {
	uint64_t queries, dropped, noerror, formerr, nxdomain, notimp, refused, servfail, truncated;
	uint64_t by_type[DNS_COUNTS];
	uint64_t late;             /* had waited too long already (DNS_LATE) */
	uint64_t limited, slipped; /* over the rate limit: silence, an empty answer that was cut */
	uint64_t spans[DNS_SPANS]; /* answers over UDP by time from the network card to the reply */
	uint64_t spans_us;         /* all these times together */
};

/* By the thread that has them; in no order with anything else. */
static inline void
dns_stats_up(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

/* One more question of this type was answered so; records were left out. */
void dns_stats_count(struct dns_stats *, uint16_t type, unsigned rcode, bool cut);
/* One more answer took so long. */
void dns_stats_time(struct dns_stats *, nsec took);

void dns_stats_add(struct dns_stats *to, const struct dns_stats *more);

#endif

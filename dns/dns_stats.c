/* dns/dns_stats.c -- counters by type, by code and by time. */
#include "dns/dns_stats.h"

#include <assert.h>
#include <stddef.h>

#include "dns/message.h"

static_assert(sizeof(struct dns_stats) % sizeof(uint64_t) == 0, "nothing but counters");

static enum dns_count
stats_type(uint16_t type)
{
	switch (type) {
	case RR_A:
		return DNS_COUNT_A;
	case RR_AAAA:
		return DNS_COUNT_AAAA;
	case RR_ANY:
		return DNS_COUNT_ANY;
	case RR_NS:
		return DNS_COUNT_NS;
	case RR_PTR:
		return DNS_COUNT_PTR;
	case RR_SOA:
		return DNS_COUNT_SOA;
	case RR_SRV:
		return DNS_COUNT_SRV;
	case RR_TXT:
		return DNS_COUNT_TXT;
	default:
		return DNS_COUNT_OTHER;
	}
}

void
dns_stats_count(struct dns_stats *stats, uint16_t type, unsigned rcode, bool cut)
{
	dns_stats_up(&stats->by_type[stats_type(type)], 1);
	switch (rcode) {
	case DNS_NOERROR:
		dns_stats_up(&stats->noerror, 1);
		break;
	case DNS_NXDOMAIN:
		dns_stats_up(&stats->nxdomain, 1);
		break;
	case DNS_SERVFAIL:
		dns_stats_up(&stats->servfail, 1);
		break;
	case DNS_REFUSED:
		dns_stats_up(&stats->refused, 1);
		break;
	default:
		break;
	}
	if (cut)
		dns_stats_up(&stats->truncated, 1);
}

void
dns_stats_time(struct dns_stats *stats, nsec took)
{
	uint64_t us = took > 0 ? (uint64_t)took / NSEC_US : 0;
	unsigned bits = us <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(us - 1); /* us <= 2^bits */
	unsigned at = bits < DNS_SPAN_FIRST_LOG2 ? 0 : bits - DNS_SPAN_FIRST_LOG2;

	dns_stats_up(&stats->spans[at < DNS_SPANS ? at : DNS_SPANS - 1], 1);
	dns_stats_up(&stats->spans_us, us);
}

void
dns_stats_add(struct dns_stats *to, const struct dns_stats *more)
{
	uint64_t *sum = (uint64_t *)to;
	const uint64_t *from = (const uint64_t *)more;

	for (size_t i = 0; i < sizeof *to / sizeof *sum; i++)
		sum[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

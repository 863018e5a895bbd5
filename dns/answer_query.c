/* dns/answer_query.c -- prepared queries: NAME.query as A, AAAA and SRV records.
 *
 * Somebody else knows what the name stands for (dns_responder_queries) and in which order it is to
 * be answered; the limits of an answer are those of services. As Consul: a query that finds nothing
 * does not exist, and only_passing is the query's own.
 */
#include "dns/answer_impl.h"

static void
answer_found(struct answering *a, const struct ask *ask, const struct dns_query_found *found)
{
	struct picks *set = &a->r->picks;
	uint32_t ttl = found->has_ttl ? found->ttl : service_ttl(a->r->config, found->service);

	if (found->count == 0) {
		answer_nxdomain(a);
		return;
	}
	picks_fill_found(
	    set, found, ask, a->q->type, a->q->type == RR_SRV ? PICK_TARGETS : PICK_ADDRESSES);
	answer_picks(a, set, ttl, true);
}

void
answer_query(struct answering *a, const struct ask *ask)
{
	struct dns_query_found found = { .count = 0 };
	enum dns_query_known known = DNS_QUERY_UNKNOWN;

	if (a->r->query != NULL)
		known = a->r->query(a->r->query_arg, ask->query, &found);
	switch (known) {
	case DNS_QUERY_UNKNOWN:
		answer_nxdomain(a);
		break;
	case DNS_QUERY_KNOWN:
		answer_found(a, ask, &found);
		break;
	case DNS_QUERY_FAILED:
		a->w.rcode = DNS_SERVFAIL;
		break;
	}
}

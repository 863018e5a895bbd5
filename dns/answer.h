/* dns/answer.h -- from a question and the catalog to an answer; pure.
 *
 * The names that are answered, under the domain and its alternative:
 *     [TAG.]NAME.service[.DC]   _NAME._TAG[.service][.DC] (RFC 2782)   NODE.node[.DC]
 *     HEX.addr[.DC]   the domain itself (SOA, NS)   and reverse names of known addresses
 * What Consul 1.10 answers is the model, recorded in tests/conformance/dns.
 */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/nsec.h"
#include "base/rng.h"
#include "base/str.h"
#include "kv/catalog.h"

struct dns_service_ttl {
	struct str name; /* exact, or ending in '*': a prefix; "*" alone: every service */
	uint32_t ttl;    /* seconds */
};

/* Slices are borrowed for the life of the config. */
struct dns_config {
	struct str domain;     /* "consul." -- with or without the final dot */
	struct str alt_domain; /* empty: none */
	struct str datacenter;
	struct str node;       /* this agent's node name: the name server in NS and SOA */
	uint32_t node_ttl;     /* seconds */
	struct dns_service_ttl *service_ttl;
	size_t service_ttl_count;
	bool only_passing;      /* warning is left out too */
	bool enable_truncate;   /* set TC on cut answers */
	bool disable_compression;
	unsigned udp_answer_limit; /* 3 */
	unsigned a_record_limit;   /* 0: none */
	uint32_t soa_refresh, soa_retry, soa_expire, soa_min_ttl; /* 3600 600 86400 0 */
	bool recursors;         /* some are configured: RA is set */
};

/* Numbers for metrics, kept by the shell that owns the responder. */
struct dns_stats {
	uint64_t queries, dropped, formerr, nxdomain, refused, servfail, truncated;
};

struct dns_responder;

/* The catalog and the config must outlive it. `seed` is for rotation. */
struct dns_responder *dns_responder_new(const struct dns_config *, const struct catalog *,
    uint64_t seed);
void dns_responder_free(struct dns_responder *);

/* Not ready (RULES 13): the domain answers SERVFAIL. Ready at first. */
void dns_responder_ready(struct dns_responder *, bool ready);

/* Answers one packet into room (DNS_MESSAGE_MAX bytes for TCP, at least 4096 for UDP). Returns
 * the answer's length, 0: stay silent. */
size_t dns_answer(struct dns_responder *, struct now, struct str packet, bool tcp, void *room,
    size_t cap);

const struct dns_stats *dns_responder_stats(const struct dns_responder *);

#endif

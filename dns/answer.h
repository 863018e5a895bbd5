/* dns/answer.h -- from a question and the catalog to an answer; pure.
 *
 * The names that are answered, under the domain and its alternative:
 *     [TAG.]NAME.service[.DC]   _NAME._TAG[.service][.DC] (RFC 2782)   NODE.node[.DC]
 *     HEX.addr[.DC]   NAME.query[.DC]   the domain itself (SOA, NS)   and reverse names of known
 *     addresses
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
#include "dns/dns_stats.h"
#include "dns/forward.h"
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
	bool node_meta_asked_only; /* not as additional records */
	unsigned udp_answer_limit; /* 3 */
	unsigned a_record_limit;   /* 0: none */
	uint32_t soa_refresh, soa_retry, soa_expire, soa_min_ttl; /* 3600 600 86400 0 */
	bool recursors;         /* some are configured: RA is set, other names are asked for */
};

struct dns_responder;

/* The catalog and the config must outlive it. `seed` is for rotation. */
struct dns_responder *dns_responder_new(const struct dns_config *, const struct catalog *,
    uint64_t seed);
void dns_responder_free(struct dns_responder *);

/* Prepared queries are kept and carried out elsewhere: what a name stands for is asked here. */
enum dns_query_known { DNS_QUERY_UNKNOWN, DNS_QUERY_KNOWN, DNS_QUERY_FAILED };
struct dns_query_found {
	const struct catalog_service **of; /* in the order of the answer; borrowed until the next */
	size_t count;
	struct str service; /* whose TTL the answer has, unless */
	bool has_ttl;       /* the query says one itself */
	uint32_t ttl;       /* seconds */
};
/* The name is in lower case: NAME of NAME.query.consul, dots and all. */
typedef enum dns_query_known dns_query_run(void *arg, struct str name, struct dns_query_found *out);
/* Before it there are none. `run` may not come back into the responder. */
void dns_responder_queries(struct dns_responder *, dns_query_run *run, void *arg);

/* Not ready (RULES 13): the domain answers SERVFAIL. Ready at first. */
void dns_responder_ready(struct dns_responder *, bool ready);

/* Answers one packet into room (DNS_MESSAGE_MAX bytes for TCP, at least 4096 for UDP). Returns
 * the answer's length, 0: stay silent. */
size_t dns_answer(struct dns_responder *, struct now, struct str packet, bool tcp, void *room,
    size_t cap);

/* dns_answer() was silent because other name servers have to be asked first (only when the
 * configuration has recursors): for the query itself, or for a name that stands in its answer. Of
 * the last call; false: it is not so. */
struct dns_wanted {
	bool whole;
	struct name name; /* else */
	uint16_t type;    /* A or AAAA */
};
bool dns_responder_wanted(const struct dns_responder *, struct dns_wanted *out);
/* The same again, with what was found. `more`: it may want another name; else what is not known is
 * left out. */
size_t dns_answer_chased(struct dns_responder *, struct now, struct str packet, bool tcp,
    void *room, size_t cap, const struct chased *, size_t count, bool more);

/* To who has had too many answers: the question alone, cut, so that it is asked again by TCP. */
size_t dns_answer_slip(struct str packet, void *room, size_t cap);

/* The configuration is another now. */
void dns_responder_reloaded(struct dns_responder *);

/* The catalog's marks (kv/marks.h): what answers that are kept depend on. */
const struct marks *dns_responder_marks(const struct dns_responder *);

/* Numbers for metrics: of what was answered here. */
const struct dns_stats *dns_responder_stats(const struct dns_responder *);

#endif

/* dns/message.h -- DNS messages in and out (RFC 1035 4, EDNS0: RFC 6891).
 *
 * Reading takes a query apart. Writing builds an answer in one buffer, section by section, with
 * name compression (RFC 1035 4.1.4; SRV targets are written in full, RFC 2782, but later names
 * may point to them), and can take the message back to an earlier mark when a record set does
 * not fit. Names are compressed only against equal spelling, so what was asked in mixed case
 * and what is registered in mixed case both come out as they went in.
 */
#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cursor.h"
#include "dns/name.h"
#include "dns/rrtype.h"

enum dns_rcode {
	DNS_NOERROR = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
};

#define DNS_FLAG_QR 0x8000
#define DNS_FLAG_AA 0x0400
#define DNS_FLAG_TC 0x0200
#define DNS_FLAG_RD 0x0100
#define DNS_FLAG_RA 0x0080
#define DNS_FLAG_CD 0x0010
#define DNS_OPCODE_MASK 0x7800

#define DNS_OPCODE_QUERY  0
#define DNS_OPCODE_NOTIFY 4

#define DNS_HEADER_BYTES 12
#define DNS_UDP_PLAIN_MAX 512  /* RFC 1035 4.2.1 */
#define DNS_MESSAGE_MAX 65535
#define DNS_OPT_BYTES 11       /* an OPT record without options */

#define DNS_ECS_BYTES 20       /* a client subnet option with an IPv6 address (RFC 7871 6) */

struct dns_query {
	uint16_t id, flags;
	unsigned opcode;
	uint16_t qdcount;
	struct name name;    /* of the first question */
	uint16_t type, class;
	bool edns;
	uint16_t edns_size;  /* as sent; values below 512 count as 512 */
	uint8_t edns_version;
	bool edns_do;
	struct str edns_options; /* raw, borrowed; every option in it is whole */
};

/* What to do with a packet. DROP: nothing to answer (too short for a header, or a response).
 * BAD: answer FORMERR; OPCODE: answer NOTIMP; EMPTY: it ends after a header that promises a
 * question: answer REFUSED. For these only id, flags and opcode are set. */
enum dns_read { DNS_READ_OK, DNS_READ_BAD, DNS_READ_OPCODE, DNS_READ_EMPTY, DNS_READ_DROP };
enum dns_read dns_query_read(struct str packet, struct dns_query *out);

/* The client subnet option as an answer carries it, scope 0 (RFC 7871 7.2.1); empty when the query
 * has none. */
struct str dns_query_subnet(const struct dns_query *, uint8_t room[DNS_ECS_BYTES]);

enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

#define DNS_OFFSETS_MAX 64

struct dns_writer {
	struct writer w;         /* over the caller's room */
	uint16_t flags;          /* as dns_end() writes them, but for TC; without the rcode */
	enum dns_rcode rcode;    /* both may be changed until then */
	uint16_t counts[3];
	bool compress;
	/* offsets of names written so far, for compression */
	uint16_t offsets[DNS_OFFSETS_MAX];
	unsigned offset_count;
	unsigned char section;
	uint16_t target_at; /* where the last SRV target stands, 0: out of a pointer's reach */
};

/* Header and the question as asked. The room is at most DNS_MESSAGE_MAX and holds both. */
void dns_begin(struct dns_writer *, void *room, size_t cap, const struct dns_query *, uint16_t flags,
    enum dns_rcode, bool compress);

/* A whole message of 12 bytes, for a query whose question cannot be repeated. */
size_t dns_bare_answer(void *room, size_t cap, uint16_t id, uint16_t flags, enum dns_rcode);

/* One record each; false when it does not fit (nothing is written then). TTL in seconds. Sections
 * are written in order. */
bool dns_put_a(struct dns_writer *, enum dns_section, const struct name *owner, uint32_t ttl,
    const uint8_t ip[4]);
bool dns_put_aaaa(struct dns_writer *, enum dns_section, const struct name *owner, uint32_t ttl,
    const uint8_t ip[16]);
bool dns_put_ip(struct dns_writer *, enum dns_section, const struct name *owner, uint32_t ttl,
    const struct addr *ip); /* A or AAAA */
/* As dns_put_ip, for an owner that is an SRV target written before at `at` (target_at). */
bool dns_put_ip_at(struct dns_writer *, enum dns_section, uint16_t at, uint32_t ttl,
    const struct addr *ip);
bool dns_put_srv(struct dns_writer *, enum dns_section, const struct name *owner, uint32_t ttl,
    uint16_t priority, uint16_t weight, uint16_t port, const struct name *target);
bool dns_put_name(struct dns_writer *, enum dns_section, const struct name *owner, uint16_t type,
    uint32_t ttl, const struct name *target); /* CNAME, NS, PTR */
bool dns_put_txt(struct dns_writer *, enum dns_section, const struct name *owner, uint32_t ttl,
    struct str text); /* cut into strings of 255 bytes */
bool dns_put_soa(struct dns_writer *, enum dns_section, const struct name *owner, uint32_t ttl,
    const struct name *mname, const struct name *rname, const uint32_t numbers[5]);
bool dns_put_opt(struct dns_writer *, uint16_t size, uint16_t flags, struct str options);

struct dns_mark {
	size_t pos;
	uint16_t counts[3];
	unsigned offset_count;
	unsigned char section;
};
struct dns_mark dns_mark(const struct dns_writer *);
void dns_rewind(struct dns_writer *, struct dns_mark);

/* Sets counts and flags; returns the message, borrowed from the room. */
struct str dns_end(struct dns_writer *, bool truncated);

#endif

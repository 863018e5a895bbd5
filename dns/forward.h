/* dns/forward.h -- questions as they are put to other name servers, and what comes back; pure.
 *
 * A query for a name that is not ours is put anew: its question, RD, AD and CD, and EDNS when the
 * asker has it, with a size that passes everywhere and without what is only between neighbours
 * (cookies, RFC 7873; keepalive, RFC 7828). The answer goes back whole, with the asker's id and
 * letters and with RA, or cut when he takes less. An address of ours that is a host name elsewhere
 * ("db.example.com") is asked for likewise; of that answer a few records are used.
 */
#ifndef DNS_FORWARD_H
#define DNS_FORWARD_H

#include "base/addr.h"
#include "dns/message.h"

#define FORWARD_QUERY_MAX 1232
#define FORWARD_EDNS_SIZE 1232 /* dnsflagday.net/2020: never in fragments */

/* Class IN, no zone transfer, no NOTIFY. */
bool forward_takes(const struct dns_query *);
/* Such a query with another id. 0: its options are too long. */
size_t forward_query(const struct dns_query *, uint16_t id, uint8_t room[FORWARD_QUERY_MAX]);
/* A question of our own. */
size_t forward_question(
    const struct name *, uint16_t type, uint16_t id, uint8_t room[FORWARD_QUERY_MAX]);

/* Whether this is a whole answer to that query: its id, its question. */
bool forward_matches(struct str query, struct str answer);

/* The answer for who asked; `tcp`: no size is too large. 0: it cannot be made. */
size_t forward_answer(
    const struct dns_query *, struct str answer, bool tcp, void *room, size_t cap);
/* Nobody has answered: SERVFAIL. */
size_t forward_failed(const struct dns_query *, void *room, size_t cap);

/* Addresses of a name elsewhere. */
#define CHASED_RECORDS_MAX 5 /* as the recorded peer */
struct chased {
	struct name asked;
	uint16_t type;
	unsigned count; /* 0: there are none */
	struct chased_record {
		struct name owner;
		uint16_t type; /* A, AAAA or CNAME */
		struct addr ip;
		struct name target; /* of a CNAME */
	} of[CHASED_RECORDS_MAX];
};
/* What an answer has of them; `asked` and `type` are set before. */
void chased_read(struct chased *, struct str answer);

#endif

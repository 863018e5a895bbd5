/* tests/unit/dns_room.h -- a small catalog filled by hand, questions, and answers as text.
 *
 * Everything of one test lives in a struct dns_room. An answer reads
 *
 *     NOERROR aa rd
 *     an web.service.consul. 0 A 10.9.1.1
 *     au …
 *     ad …
 *     opt 1232
 *
 * with the records of each section sorted. The wall clock stands at 1234 s: the SOA's serial.
 */
#ifndef TESTS_UNIT_DNS_ROOM_H
#define TESTS_UNIT_DNS_ROOM_H

#include "dns/answer.h"
#include "dns/message.h"
#include "kv/store.h"

#define DNS_ROOM_SOA "consul. 0 SOA ns.consul. hostmaster.consul. 1234 3600 600 86400 0\n"

struct dns_room {
	struct store *store;
	struct dns_config config; /* may be changed before the first question */
	struct dns_responder *responder;
	char text[64 * 1024]; /* the last answer */
	size_t size;          /* its bytes on the wire */
	bool kept;            /* it can be given again (dns/prepared.h) */
};

extern const struct now dns_room_now;

/* With this agent's node "n1" at 127.0.0.1, meta rack=r1, and the service "consul" on it. */
void dns_room_init(struct dns_room *);
void dns_room_done(struct dns_room *);

void dns_room_node(struct dns_room *, const char *name, const char *address);
/* As in a catalog registration; a NULL or "" leaves out. Tags are separated by blanks. */
void dns_room_service(struct dns_room *, const char *node, const char *id, const char *name,
    const char *address, int port, const char *tags);
void dns_room_put(struct dns_room *, const struct service_info *);
/* On a service, or with "" on the node. */
void dns_room_check(struct dns_room *, const char *node, const char *service_id,
    const char *status);
/* Node n01 … with 10.9.20.1 …, each with one instance of `service` on port 8001 …. */
void dns_room_many(struct dns_room *, const char *service, unsigned count);

struct dns_ask {
	const char *name;
	uint16_t type;
	uint16_t edns; /* a size; 0: none */
	bool tcp;
};
struct str dns_room_packet(const struct dns_ask *, uint8_t room[512]);
/* The answer as text, also compared with what would be kept of it; until the next question; "" is silence. */
const char *dns_room_ask(struct dns_room *, struct dns_ask);
const char *dns_room_send(struct dns_room *, struct str packet, bool tcp);

/* How many lines of a text begin with `head`. */
unsigned dns_room_count(const char *text, const char *head);

/* A whole message as the text above. False: not well-formed. */
bool dns_room_show(struct str message, char *out, size_t cap);

#endif

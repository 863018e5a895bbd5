/* dns/answer_impl.h -- what the answer*.c files share; private to them.
 *
 *     answer.c          a packet in, an answer out: header, zones, the domain's own records
 *     answer_question.c a name below the domain taken apart
 *     answer_pick.c     which instances, and under which address
 *     answer_service.c  services: A, AAAA, SRV
 *     answer_query.c    prepared queries, likewise
 *     answer_node.c     nodes, addresses in hex, reverse names
 *     answer_servers.c  the name servers of the domain
 *     answer_inside.c   addresses that are names, inside the domain and elsewhere
 */
#ifndef DNS_ANSWER_IMPL_H
#define DNS_ANSWER_IMPL_H

#include "dns/answer.h"
#include "dns/message.h"

#define DNS_UDP_SLACK 7       /* bytes left free below a UDP limit, as the recorded peer does */
#define DNS_UDP_ANSWERS_MAX 8 /* above this udp_answer_limit has no effect */
#define DNS_CHAIN_MAX 3       /* names inside the domain followed one after the other */
#define DNS_INSIDE_MAX 32     /* SRV targets inside the domain resolved for one answer */
#define DNS_NAMESERVERS_MAX 3
#define DNS_SRV_PRIORITY 1

/* One instance that may be answered: where it is, and what stands for that in the answer. */
struct pick {
	const struct catalog_service *of;
	struct str host; /* a host name instead of an address; else empty */
	struct addr ip;
	bool own;           /* not simply the node's address: an SRV target in hex */
	bool written;       /* its SRV record is in the answer */
	uint16_t target_at; /* where its SRV target was written */
};

/* Instances without duplicates. Grows to what an answer needs and is used again. */
struct picks {
	struct pick *items; /* owned */
	size_t count, cap;
	uint32_t *slots;             /* owned: hash table of indexes into items, + 1; 0: free */
	size_t slot_count, slot_cap; /* in use, a power of two, or 0: no table; there */
};

/* What must be known of an answer by those who keep it to be given again (prepare.h). Set while it
 * is made. */
struct answer_facts {
	bool keeps;      /* made of nothing but the catalog, by marks_slot below, and the configuration */
	unsigned slot;   /* of kv/marks.h; MARKS: none */
	bool turns;      /* addresses: they begin at any of the instances */
	size_t cut_from; /* SRV records of so many, cut: they begin at any of them; else 0 */
	bool cut;         /* records were left out */
	size_t serial_at; /* where the SOA's serial number is, 0: nowhere */
};
#define ANSWER_TURNS_MAX 64 /* of more instances each beginning is a random one */
#define ANSWER_ANYWHERE SIZE_MAX /* where a cut answer begins: at random */

struct dns_responder {
	const struct dns_config *config;
	const struct catalog *catalog;
	struct rng rng;
	bool ready;
	struct dns_stats stats;
	struct name domain, alt_domain; /* the latter of 0 bytes: none */
	struct name arpa, in_addr, ip6;
	struct name mname, rname;                        /* of the SOA */
	struct name of_nodes, of_services, of_addresses; /* "node.dc1.consul." … */
	struct picks picks;                              /* of the question */
	struct picks inner;                              /* of a name met on the way */
	struct answer_facts facts;                       /* of the last answer */
	size_t begin;                                    /* where a cut SRV answer begins */
	enum { WANTS_NOTHING, WANTS_ANSWER, WANTS_NAME } wants; /* of recursors, for this answer */
	struct dns_wanted wanted;
	const struct chased *chased; /* what they have said */
	size_t chased_count;
	bool wants_no_more;
	dns_query_run *query; /* NULL: there are no prepared queries */
	void *query_arg;
};

/* One query being answered. */
struct answering {
	struct dns_responder *r;
	const struct dns_query *q;
	struct dns_writer w;
	size_t room;      /* the whole message's limit */
	size_t soft;      /* an answer with records left out ends here */
	size_t opt_bytes; /* what OPT will take; 0: the query had none */
	size_t count_max; /* records in the answer of a service; 0: no limit */
	uint32_t serial;
	enum { FIT_WITH_OPT, FIT_WITHOUT_OPT, FIT_ONE } fit; /* ONE: a single record fills it */
	bool cut;                                            /* answers were left out */
};

/* Answer records are written as
 *
 *     if (!answer_open(a))
 *             return;
 *     while (!dns_put_…(&a->w, …))
 *             if (!answer_make_room(a))
 *                     return;
 *
 * Whether one more may come; false cuts the answer. */
bool answer_open(struct answering *);
/* After a record did not fit: whether there is a reason to try again. First OPT gives up its
 * place; the very first record may take the whole room. False cuts the answer. */
bool answer_make_room(struct answering *);

void answer_soa(struct answering *, enum dns_section);
void answer_nodata(struct answering *);
void answer_nxdomain(struct answering *);

/* A name below the domain. */
enum ask_kind { ASK_NONE, ASK_SERVICE, ASK_NODE, ASK_ADDR, ASK_QUERY };
struct ask {
	enum ask_kind kind;                 /* NONE: nothing can stand there */
	struct str service, tag, node, hex, query; /* into text, or into the name */
	const struct name *self;            /* the whole name, NULL: not known */
	char text[NAME_MAX_BYTES];          /* labels joined by dots */
};
/* Borrows the name. `srv`: "_web._tcp" needs no "service". False: not below the domain or its
 * alternative (the kind is NONE then). */
bool ask_read(const struct dns_responder *, const struct name *, bool srv, struct ask *out);

/* answer_pick.c */
enum pick_by { PICK_ADDRESSES, PICK_TARGETS }; /* what makes two instances the same */
/* Fills with the instances of ask->service that are to be answered for a type; `known` becomes
 * true when there is a healthy one at all, also when none has an address of that type. */
void picks_fill(struct picks *, const struct dns_responder *, const struct ask *, uint16_t type,
    enum pick_by, bool *known);
/* The same with these instances, in their order. */
void picks_fill_found(struct picks *, const struct dns_query_found *, const struct ask *,
    uint16_t type, enum pick_by);
void picks_done(struct picks *);
/* Whether `name` as a whole is the host name `text`. */
bool host_is_name(struct str text, const struct name *name);
/* The address of a node for a type: its own, or one tagged with the family. STR_NONE: none. */
struct str node_address(const struct node_info *, uint16_t type);
/* Whether a record of this address may answer a question of this type. */
bool type_takes(uint16_t type, const struct addr *ip);

void answer_service(struct answering *, const struct ask *);
void answer_query(struct answering *, const struct ask *);
/* What the picks say as addresses, or as SRV records. `ordered`: as they stand; else the first is
 * any of them (addresses), or any of them when not all fit (SRV). */
void answer_picks(struct answering *, struct picks *, uint32_t ttl, bool ordered);
uint32_t service_ttl(const struct dns_config *, struct str name);

void answer_node(struct answering *, const struct ask *);
void answer_addr(struct answering *, const struct ask *);
bool answer_ptr(struct answering *); /* false: nobody has that address */
/* An address spelled in hex digits. 1, or 0: no such number of digits, or -1: not in hex. */
int hex_address(struct str hex, struct addr *out);
struct str address_hex(const struct addr *, char room[32]);

/* The domain's name servers with their addresses. */
struct nameservers {
	size_t count;
	struct nameserver {
		struct name name;
		struct addr ip; /* family NONE: unknown */
	} of[DNS_NAMESERVERS_MAX];
};
void nameservers_fill(struct dns_responder *, struct nameservers *);
void answer_ns(struct answering *, const struct nameservers *, enum dns_section);
void answer_glue(struct answering *, const struct nameservers *);

/* A node's meta as additional TXT records of `owner`, as many as fit; none where it is set so. */
void answer_meta_beside(
    struct answering *, const struct name *owner, const struct node_info *, uint32_t ttl);

/* What is known about `name`: its CNAMEs and addresses of the families that `type` takes, with one
 * TTL. Outside the domain recursors know. */
void answer_inside(
    struct answering *, enum dns_section, const struct name *name, uint16_t type, uint32_t ttl);

#endif

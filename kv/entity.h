/* kv/entity.h -- what nodes, services and checks are made of, and how they are packed.
 *
 * Plain values, shared by everybody: local registrations, the HTTP API, Docker's containers
 * and the catalog. A packed entity is the body of a record: a row of (tag, length, bytes) fields
 * in rising order of tag, written only when not at its default, so equal values give equal
 * bytes ("an equal re-registration changes nothing"). Unknown tags are skipped by readers.
 * Field meaning: Consul's, by the name of its JSON member.
 */
#ifndef KV_ENTITY_H
#define KV_ENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/nsec.h"
#include "base/str.h"

enum check_status { CHECK_PASSING, CHECK_WARNING, CHECK_CRITICAL, CHECK_MAINT };

struct pair { /* of Meta and of a node's TaggedAddresses; sorted by key, keys unique */
	struct str key, value;
};

struct tagged_address { /* of a service's TaggedAddresses; sorted by tag */
	struct str tag, address;
	int32_t port;
};

struct node_info {
	struct str id;      /* uuid text; external nodes may have none */
	struct str name;
	struct str address;
	struct str datacenter;
	struct pair *tagged; /* TaggedAddresses */
	size_t tagged_count;
	struct pair *meta;
	size_t meta_count;
	bool tagged_set, meta_set; /* given at all: {} and null are two things in answers */
};

struct service_info {
	struct str node; /* external: the node it is on; empty: the owner's own node */
	struct str id, name;
	struct str kind;       /* "", "connect-proxy" … kept, not acted on */
	struct str proxy_json; /* Proxy member as given, raw JSON; empty: none */
	struct str connect_json; /* Connect member, likewise */
	struct str *tags;
	size_t tag_count;
	struct str address;
	int32_t port;
	struct pair *meta;
	size_t meta_count;
	struct tagged_address *tagged;
	size_t tagged_count;
	int32_t weight_passing, weight_warning; /* default 1 and 1 */
	bool enable_tag_override;
	bool tags_set, meta_set, tagged_set; /* given at all (not null) */
};

struct check_info {
	struct str node; /* as in service_info */
	struct str id, name;
	struct str status; /* any word: external checks may hold others than passing … critical */
	struct str notes, output;
	struct str service_id, service_name; /* empty: a check of the node */
	struct str *service_tags;
	size_t service_tag_count;
	struct str type;              /* "ttl", "http", "tcp" …; empty for external ones */
	struct str interval, timeout; /* as answers show them */
	struct str definition_json;   /* Definition as answers show it, raw JSON; empty: {} */
};

#define COORDINATE_DIMENSIONS 8
struct coordinate_info { /* of an agent; seconds, error without a unit. Packed in billionths */
	double vec[COORDINATE_DIMENSIONS], error, adjustment, height;
};

/* Text of the four states as Consul spells them: "passing", "warning", "critical",
 * "maintenance". */
struct str check_status_text(enum check_status);
/* The three that a client may set; false for other words. */
bool check_status_parse(struct str, enum check_status *out);
/* How a stored status counts: an unknown word counts as critical. */
enum check_status check_status_of(struct str word);

/* Packing: appends the body to b (whose cap is the limit). */
void node_pack(struct buf *b, const struct node_info *);
void service_pack(struct buf *b, const struct service_info *);
void check_pack(struct buf *b, const struct check_info *);
void coordinate_pack(struct buf *b, const struct coordinate_info *); /* no value above 10^9 */

/* Unpacking: strings point into body, arrays come from the arena. ERR_INPUT when malformed,
 * ERR_MEMORY when the arena is full. */
int node_unpack(struct arena *, struct str body, struct node_info *out, struct err *);
int service_unpack(struct arena *, struct str body, struct service_info *out, struct err *);
int check_unpack(struct arena *, struct str body, struct check_info *out, struct err *);

int coordinate_unpack(struct str body, struct coordinate_info *out, struct err *err);

/* The same for a long life: all arrays lie in one allocation that the caller frees (NULL: none). */
int node_unpack_owned(void **arrays, struct str body, struct node_info *out, struct err *err);
int service_unpack_owned(void **arrays, struct str body, struct service_info *out, struct err *err);
int check_unpack_owned(void **arrays, struct str body, struct check_info *out, struct err *err);

/* Sorts pairs by key; of equal keys the last one given stays. Returns the new count. */
size_t pairs_sort(struct pair *, size_t count);

#endif

/* gossip/serf_wire.h -- serf's messages, inside memberlist's user messages; and tags.
 *
 * A serf message is a type byte and one msgpack map. Tags are a member's meta: byte 255 and a map
 * of strings, at most 512 bytes.
 */
#ifndef GOSSIP_SERF_WIRE_H
#define GOSSIP_SERF_WIRE_H

#include "base/addr.h"
#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"
#include "gossip/wire.h"

enum serf_type {
	SERF_LEAVE = 0,
	SERF_JOIN = 1,
	SERF_PUSH_PULL = 2,
	SERF_USER_EVENT = 3,
	SERF_QUERY = 4,
	SERF_QUERY_RESPONSE = 5,
	SERF_CONFLICT_RESPONSE = 6,
	SERF_KEY_REQUEST = 7,
	SERF_KEY_RESPONSE = 8,
	SERF_RELAY = 9,
	SERF_MUSTER = 0xc5, /* ours: catalog deltas, only to members whose tags announce them */
};

struct serf_tag {
	struct str key, value;
};

struct serf_intent { /* LEAVE, JOIN */
	uint64_t ltime;
	struct str node;
	bool prune;
};

struct serf_event {
	uint64_t ltime;
	struct str name, payload;
	bool payload_nil, cc;
};

struct serf_event_slot { /* of a push/pull: all events of one Lamport time */
	uint64_t ltime;
	struct serf_event *events; /* name and payload only */
	size_t count;
};

struct serf_status { /* of a push/pull: status time of one member */
	struct str node;
	uint64_t ltime;
};

struct serf_push_pull {
	uint64_t ltime, event_ltime, query_ltime;
	struct serf_status *status;
	size_t status_count;
	struct str *left;
	size_t left_count;
	struct serf_event_slot *slots; /* only the filled ones, by ltime % ring ascending */
	size_t slot_count, ring;       /* ring: how many slots the sender has; 0: nil */
	struct str muster;             /* our own extra key "mu", opaque; empty: not there */
};

#define SERF_MEMBERS_MAX (1u << 17) /* status times, left names of one push/pull */
#define SERF_RING_MAX    (1u << 16) /* slots, and events, of one push/pull; real ones: 512 */
#define SERF_FILTERS_MAX 1024       /* of a query; nodes of a filter; keys of an answer */

struct serf_filter {
	bool tag;              /* else nodes */
	struct str *nodes;
	size_t node_count;
	struct str tag_name, expr;
};

struct serf_query {
	uint64_t ltime;
	uint32_t id, flags; /* 1: ack wanted, 2: do not pass on */
	struct addr source;
	struct str source_node, name, payload;
	bool payload_nil;
	struct str *filters; /* encoded: serf_filter_read() */
	size_t filter_count;
	uint8_t relay_factor;
	int64_t timeout_ns;
};

struct serf_response {
	uint64_t ltime;
	uint32_t id, flags; /* 1: an ack */
	struct str from, payload;
	bool payload_nil;
};

struct serf_key_response {
	bool result;
	struct str message, primary;
	struct str *keys; /* base64 */
	size_t key_count;
};

struct serf_member_map { /* of a conflict response */
	struct str name;
	struct addr addr;
	struct serf_tag *tags;
	size_t tag_count;
	int status;
	struct wire_vsn vsn;
};

struct serf_relay {
	struct addr dest;
	struct str dest_name, inner; /* inner: a whole serf message */
};

struct serf_message {
	enum serf_type type;
	union {
		struct serf_intent intent;
		struct serf_event event;
		struct serf_push_pull push_pull;
		struct serf_query query;
		struct serf_response response;
		struct str key; /* KEY_REQUEST */
		struct serf_key_response key_response;
		struct serf_member_map conflict;
		struct serf_relay relay;
		struct str muster; /* what follows the type byte */
	} u;
	bool nil; /* CONFLICT_RESPONSE: the member is not known */
};

/* Slices point into bytes or the arena, whose cap bounds what a message may hold. ERR_INPUT:
 * malformed, unknown type. ERR_LIMIT: the arena is full. */
int serf_read(struct arena *, struct str bytes, struct serf_message *out, struct err *);
void serf_write(struct writer *, const struct serf_message *);

int serf_filter_read(struct arena *, struct str bytes, struct serf_filter *out, struct err *);
void serf_filter_write(struct writer *, const struct serf_filter *);

/* Tags in and out of a meta. A meta without the leading 255 is the single tag "role". ERR_LIMIT:
 * over WIRE_META_MAX bytes. Written sorted by key, whatever order they come in; a key that stands
 * twice makes the writer full. */
int serf_tags_read(struct arena *, struct str meta, struct serf_tag **out, size_t *count,
    struct err *);
void serf_tags_write(struct writer *, const struct serf_tag *, size_t count);

/* The bare map of strings. */
int serf_tag_map_read(struct arena *, struct reader *, struct serf_tag **out, size_t *count,
    struct err *);
void serf_tag_map_write(struct writer *, const struct serf_tag *, size_t count);

/* A coordinate, as the payload of an ack (Vivaldi): a version byte, 1, and a map. */
#define SERF_COORDINATE_DIMENSIONS 8
struct serf_coordinate {
	double adjustment, error, height, vec[SERF_COORDINATE_DIMENSIONS]; /* seconds; error: none */
};
/* ERR_INPUT: another version or dimension, or numbers that are not finite. */
int serf_coordinate_read(struct str payload, struct serf_coordinate *out, struct err *);
void serf_coordinate_write(struct writer *, const struct serf_coordinate *);

#endif

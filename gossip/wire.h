/* gossip/wire.h -- memberlist's messages, in and out.
 *
 * One struct per message of the protocol, read from and written to the bytes that real agents
 * use. A message is a type byte and one msgpack map (gossip/pack.h); compound, user and error
 * messages have layouts of their own. Layers around messages (compression, CRC, encryption,
 * labels) are frame.h's; streams are stream.h's; what serf puts into user messages is
 * serf_wire.h's. Source: memberlist's behaviour, tests/gossip/vectors.
 *
 * Readers take any order of keys, skip unknown ones and leave zero for missing ones; writers emit
 * keys in ascending order, raw strings and shortest integers, byte for byte as memberlist does.
 */
#ifndef GOSSIP_WIRE_H
#define GOSSIP_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"

enum wire_type {
	WIRE_PING = 0,
	WIRE_INDIRECT_PING = 1,
	WIRE_ACK = 2,
	WIRE_SUSPECT = 3,
	WIRE_ALIVE = 4,
	WIRE_DEAD = 5,
	WIRE_PUSH_PULL = 6, /* streams only */
	WIRE_COMPOUND = 7,
	WIRE_USER = 8,
	WIRE_COMPRESSED = 9,
	WIRE_ENCRYPTED = 10, /* streams only */
	WIRE_NACK = 11,
	WIRE_CRC = 12,
	WIRE_ERROR = 13,     /* streams only */
	WIRE_LABEL = 244,
};

#define WIRE_META_MAX 512         /* bytes of an alive's meta */
#define WIRE_PACKET_BUDGET 1400   /* bytes of one datagram that we send, before compression */
#define WIRE_PACKET_MAX 65535     /* bytes of one datagram that we take */
#define WIRE_NAME_MAX 512         /* bytes of a node's name that we take */

struct wire_vsn { /* protocol and delegate versions */
	uint8_t pmin, pmax, pcur, dmin, dmax, dcur;
};
extern const struct wire_vsn wire_vsn_ours; /* 1 5 2 2 5 4 */

struct wire_ping {
	uint32_t seq;
	struct str node;         /* meant for; empty: for anybody */
	struct addr source;      /* where the ack goes; family NONE: not given */
	struct str source_node;
};

struct wire_indirect_ping {
	uint32_t seq;
	struct str node;
	struct addr target; /* always an address */
	bool nack;
	struct addr source;
	struct str source_node;
};

struct wire_ack {
	uint32_t seq;
	struct str payload;
	bool payload_nil; /* nil and empty are two things on the wire */
};

struct wire_nack {
	uint32_t seq;
};

struct wire_claim { /* suspect and dead; dead with from == node means left */
	uint32_t incarnation;
	struct str node, from;
};

struct wire_alive {
	uint32_t incarnation;
	struct str node;
	struct addr addr;
	struct str meta;
	bool meta_nil;
	struct wire_vsn vsn;
	bool vsn_whole;      /* all six bytes were there; writers: all zero and not whole is nil */
	bool addr_ok;        /* 4 or 16 bytes */
};

struct wire_message {
	enum wire_type type;
	union {
		struct wire_ping ping;
		struct wire_indirect_ping indirect;
		struct wire_ack ack;
		struct wire_nack nack;
		struct wire_claim claim; /* SUSPECT, DEAD */
		struct wire_alive alive;
		struct str user;         /* the application's bytes */
		struct str error;        /* text */
	} u;
};

/* Reads one unframed message (types above but PUSH_PULL, COMPOUND, COMPRESSED, ENCRYPTED, CRC,
 * LABEL, which other readers take). Slices point into `bytes` or the arena. ERR_INPUT:
 * malformed or unknown, with a sentence. */
int wire_read(struct arena *, struct str bytes, struct wire_message *out, struct err *);

/* Writes one; the writer is full when it does not fit. */
void wire_write(struct writer *, const struct wire_message *);

/* Compound: splits into parts; parts that are cut off at the end are counted in *truncated.
 * Calls nothing: fills `parts` (at most `max`) and returns how many. ERR_INPUT when even the
 * table of lengths is cut. `bytes` begins with the type byte. */
int wire_compound_read(struct str bytes, struct str *parts, size_t max, size_t *count,
    size_t *truncated, struct err *);
#define WIRE_COMPOUND_MAX 255      /* that we take */
#define WIRE_COMPOUND_SEND_MAX 127 /* that we send: old peers mishandle more */
void wire_compound_write(struct writer *, const struct str *parts, size_t count);

/* One node of a push/pull. State: 0 alive, 1 suspect, 2 dead, 3 left. */
struct wire_node_state {
	struct str name;
	struct addr addr;
	struct str meta;
	bool meta_nil, vsn_whole, addr_ok;
	uint32_t incarnation;
	unsigned state;
	struct wire_vsn vsn;
};

/* Reads one where it stands in a push/pull; RD_SHORT when it is not all there yet. */
void wire_node_read(struct reader *, struct arena *, struct wire_node_state *out);
void wire_node_write(struct writer *, const struct wire_node_state *);
#define WIRE_NODE_ROOM(node) ((node)->name.n + (node)->meta.n + 128) /* bytes enough for it */

/* What precedes a push/pull's nodes and a stream's user message: the map after the type byte. */
struct wire_push_pull_head {
	bool join;
	uint32_t nodes, user_state_n;
};
void wire_push_pull_head_read(struct reader *, struct wire_push_pull_head *out);
void wire_push_pull_head_write(struct writer *, const struct wire_push_pull_head *);
uint32_t wire_user_head_read(struct reader *); /* bytes that follow */
void wire_user_head_write(struct writer *, uint32_t n);
#define WIRE_HEAD_ROOM 64 /* bytes enough for either */

/* A compressed message after its type byte: the LZW bytes. Fails for other algorithms. */
struct str wire_compressed_read(struct reader *);
/* With the type byte. */
void wire_compressed_write(struct writer *, struct str lzw);
#define WIRE_COMPRESSED_ROOM(lzw_n) ((lzw_n) + 20)

#endif

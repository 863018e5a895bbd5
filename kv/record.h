/* kv/record.h -- one record of the replicated catalog: (kind, key, owner, number, body).
 *
 * A record is what travels, is stored and is hashed. Its body is opaque here: kinds and fields
 * that this version does not know are kept and passed on byte for byte (RULES 14). What the
 * bodies of known kinds hold is entity.h's business.
 */
#ifndef KV_RECORD_H
#define KV_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/str.h"

enum record_kind {
	RECORD_NODE = 1,    /* key: empty for an agent's own node, the node's name for an external */
	RECORD_SERVICE = 2, /* key: service id; external: node name, NUL, service id */
	RECORD_CHECK = 3,   /* key: check id; external: node name, NUL, check id */
	RECORD_MASK = 4,    /* key: owner id (16 bytes), kind (be16), key; hides one version (RULES 5) */
	RECORD_COORDINATE = 5, /* key: empty, of an external node its name. Where it is in the network;
				* opaque to old agents */
};

#define RECORD_KEY_MAX  2048           /* bytes */
#define RECORD_BODY_MAX (512 * 1024)   /* bytes */

struct record {
	uint16_t kind;    /* enum record_kind, or one of a newer version */
	bool gone;        /* a tombstone: the key was deleted; the body is empty */
	uint64_t number;  /* the owner's number for this change */
	struct str key;   /* borrowed */
	struct str body;  /* borrowed */
};

/* Wire form: kind and flags as varint, number as varint, key and body each with a varint length. */
void record_write(struct writer *, const struct record *);
size_t record_size(const struct record *); /* bytes that record_write() makes */

/* False at the end of input, on malformed input or beyond the limits above (the reader's state
 * tells which). Slices point into the reader's bytes. */
bool record_read(struct reader *, struct record *out);

/* A 64-bit hash of (kind, key, body), equal on every machine (XXH3). The number does not count,
 * so that a baseline of a new epoch with equal content has an equal hash (RULES 1). */
uint64_t record_hash(const struct record *);

#endif

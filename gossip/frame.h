/* gossip/frame.h -- the layers around a message in a datagram.
 *
 *     [label header] [encryption] [crc] [compression] message or compound
 *
 * Opening peels them off, with bounds on depth and unpacked size; sealing puts on what the pool
 * uses. LZW is lzw.h's, AES-GCM keyring.h's.
 */
#ifndef GOSSIP_FRAME_H
#define GOSSIP_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "gossip/keyring.h"

#define FRAME_DEPTH_MAX 8
#define FRAME_UNPACKED_MAX (64 * 1024) /* bytes, of one datagram in all */

struct frame_config {
	struct keyring *keys;   /* NULL: no encryption; borrowed */
	bool verify_incoming;   /* plain packets are refused when there are keys */
	bool verify_outgoing;   /* what we send is encrypted when there are keys */
	struct str label;       /* empty: none */
	bool compress;          /* we compress when it makes shorter */
};

/* Opens one datagram down to a message or compound; frame_walk_next() goes on from there. The
 * result is in the arena or points into packet. ERR_INPUT malformed, ERR_REFUSED wrong key or
 * label, or plain where encryption is due, ERR_LIMIT too deep or too large. */
int frame_open(const struct frame_config *, struct arena *, struct str packet, struct str *out,
    struct err *);

/* Seals a message for sending; `crc`: the target understands the CRC header. Appends to out. */
int frame_seal(const struct frame_config *, struct str message, bool crc, struct buf *out,
    struct err *);

/* Whether what we send is encrypted. */
bool frame_encrypts(const struct frame_config *);

/* Bytes that sealing adds at most, CRC (5) apart: memberlist's budget of 1400 does not count it
 * either, and who counted it could not pass on the largest messages of others. */
size_t frame_overhead(const struct frame_config *);

/* The label header alone, at the start of a packet or stream: cut from *bytes, or appended.
 * ERR_REFUSED: not ours. ERR_INPUT: cut or empty. */
int frame_label_open(struct str label, struct str *bytes, struct err *);
int frame_label_write(struct str label, struct buf *out, struct err *);

/* The single messages of what frame_open() gave, in their order. Parts of a compound may be
 * compressed or compounds again: they are opened too, FRAME_DEPTH_MAX deep, and all that one
 * datagram unpacks to stays below FRAME_UNPACKED_MAX. A part that does not open is counted in
 * `refused` and passed over. */
struct frame_walk {
	struct arena *arena; /* borrowed */
	size_t budget;       /* bytes that may still be unpacked */
	unsigned depth;      /* levels in use */
	size_t truncated;    /* parts that compounds announced and did not carry */
	size_t refused;
	struct frame_level {
		struct str lengths, bodies; /* what is left of both */
	} level[FRAME_DEPTH_MAX];
	struct str single; /* when it is no compound at all */
};

void frame_walk_init(struct frame_walk *, struct arena *, struct str opened);
bool frame_walk_next(struct frame_walk *, struct str *message);

#endif

/* gossip/frame.h -- the layers around a message in a datagram.
 *
 *     [label header] [encryption] [crc] [compression] message or compound
 *
 * Opening peels them off, with bounds on depth and unpacked size; sealing puts on what the pool
 * uses. LZW is lzw.h's, AES-GCM keyring.h's.
 */
#ifndef GOSSIP_FRAME_H
#define GOSSIP_FRAME_H

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

/* Opens one datagram down to a message or compound. The result is in the arena or points into
 * packet. ERR_INPUT malformed, ERR_REFUSED wrong key, label or plain where encrypted is due,
 * ERR_LIMIT too deep or too large. */
int frame_open(const struct frame_config *, struct arena *, struct str packet, struct str *out,
    struct err *);

/* Seals a message for sending; `crc`: the target understands the CRC header. Appends to out. */
int frame_seal(const struct frame_config *, struct str message, bool crc, struct buf *out,
    struct err *);

/* Bytes that sealing adds at most. */
size_t frame_overhead(const struct frame_config *);

#endif

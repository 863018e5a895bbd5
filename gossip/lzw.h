/* gossip/lzw.h -- LZW as memberlist uses it: GIF's flavour, least significant bit first, 8-bit
 * literals, codes of 9 to 12 bits (Go's compress/lzw; Welch 1984).
 *
 * A few bytes can unpack to gigabytes: lzw_length() walks the codes without producing anything,
 * so that a caller can refuse, or make room exactly, before a byte is kept. */
#ifndef GOSSIP_LZW_H
#define GOSSIP_LZW_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define LZW_PACKED_MAX(n) ((n) + (n) / 2 + 16) /* bytes that lzw_pack() makes of n at most */

/* Appends the packed bytes, equal byte for byte to memberlist's. */
void lzw_pack(struct str in, struct buf *out);
/* Appends the unpacked bytes; ERR_LIMIT when they pass out's cap, ERR_INPUT when malformed. */
int lzw_unpack(struct str in, struct buf *out, struct err *);
/* How long the unpacked bytes are; ERR_LIMIT above `max`, ERR_INPUT when malformed. */
int lzw_length(struct str in, size_t max, size_t *length, struct err *);

#endif

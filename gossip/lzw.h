/* gossip/lzw.h -- LZW as memberlist uses it: GIF's flavour, least significant bit first, 8-bit
 * literals, codes of 9 to 12 bits (Go's compress/lzw; Welch 1984). */
#ifndef GOSSIP_LZW_H
#define GOSSIP_LZW_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Appends the packed bytes, equal byte for byte to memberlist's. */
void lzw_pack(struct str in, struct buf *out);
/* Appends the unpacked bytes; ERR_LIMIT when they pass out's cap, ERR_INPUT when malformed. */
int lzw_unpack(struct str in, struct buf *out, struct err *);

#endif

/* base/base64.h -- bytes as text (RFC 4648 section 4, with padding), as Go's StdEncoding. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

#define BASE64_LEN(n) (((n) + 2) / 3 * 4) /* of n bytes as text */

void base64_encode(struct buf *, struct str bytes);

/* Line ends are passed over; anything else that is not the one right form is refused: false, and
 * then *n and the buffer's content mean nothing. */
bool base64_decode(struct str text, void *out, size_t cap, size_t *n);

#endif

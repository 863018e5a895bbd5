/* base/base64.h -- bytes as text and back (RFC 4648 section 4, with padding). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

#define BASE64_LEN(n) (((n) + 2) / 3 * 4) /* of n bytes as text */

void base64_put(struct buf *, struct str bytes);

/* Appends the bytes; false for anything but whole groups with right padding and no stray bits.
 * As Go's decoder, it passes over line ends. */
bool base64_get(struct buf *, struct str text);

#endif

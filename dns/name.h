/* dns/name.h -- domain names on the wire (RFC 1035 3.1, 4.1.4).
 *
 * A name is kept in wire form without compression: length-prefixed labels, ending with the root's
 * zero, at most 255 bytes. Spelling is kept as asked; comparing ignores ASCII case (RFC 4343).
 */
#ifndef DNS_NAME_H
#define DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/str.h"

#define NAME_LABEL_MAX 63 /* bytes */
#define NAME_MAX_BYTES 255
#define LABEL_MAX 63
#define NAME_LABELS_MAX 128

struct name {
	uint8_t bytes[NAME_MAX_BYTES];
	uint8_t n; /* bytes in use, the root's zero included; at least 1 once valid */
};

/* Reads a possibly compressed name at the reader's place; pointers may only go backwards, so
 * loops end. `message` is the whole packet. On failure the reader has failed. */
bool name_read(struct reader *r, struct str message, struct name *out);

/* From text with dots, "web.service.consul" with or without the final dot; "\." is a dot inside
 * a label, "\DDD" a byte. False: too long, empty label. */
bool name_from_text(struct str text, struct name *out);

/* To text with a final dot, escaped as RFC 1035 5.1 does; terminated. Returns its length. */
#define NAME_TEXT_MAX 1024
size_t name_to_text(const struct name *, char out[NAME_TEXT_MAX]);

size_t name_labels(const struct name *, struct str labels[NAME_LABELS_MAX]); /* without the root */
bool name_eq(const struct name *, const struct name *);
bool name_ends(const struct name *, const struct name *suffix); /* equal counts */

/* Puts one label in front; false when the name would be too long. */
bool name_prepend(struct name *, struct str label);

/* The labels of `text` (split at dots, no escapes) in front of a suffix: "web", "node.dc1.consul."
 * False, with *out spoilt: an empty or long label, or a name too long. */
bool name_under(struct str text, const struct name *suffix, struct name *out);

void name_lower(struct name *); /* ASCII letters to lower case */
/* The same of n bytes of labels, while copying; true: there were capitals. Lengths of labels are
 * below any letter. */
bool name_lower_copy(uint8_t *to, const uint8_t *from, size_t n);

#endif

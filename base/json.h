/* base/json.h -- reading JSON with the tolerance of Go's decoder and none of the risk.
 *
 * The only caller of jansson's parser. It bounds size and depth before the library sees a
 * byte, and repairs what Go's encoding/json accepts and jansson does not: bytes that are not
 * UTF-8 and lone surrogate escapes become U+FFFD. Values are then read by jansson's accessors.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define JSON_DEPTH_MAX 64

/* Parses one value that fills all of `text` (white space around it is fine). The caller owns
 * *out (json_decref). ERR_INPUT: malformed, with position; ERR_LIMIT: nested too deep. */
int json_read(struct str text, json_t **out, struct err *);

/* The same where numbers may need all 64 bits, which jansson's have not: to be read by json_u64().
 * Larger ones than INT64_MAX are objects of a form of their own. */
int json_read_wide(struct str text, json_t **out, struct err *);
bool json_u64(const json_t *, uint64_t *out); /* false: no whole number from 0 to 2^64 - 1 */

/* Where the first value of `text` ends, as Go's json.Decoder sees it: what follows is left alone.
 * ERR_INPUT with Go's own text ("EOF", "unexpected EOF", "invalid character 'x' looking for
 * beginning of value" …), which clients know; ERR_LIMIT: nested too deep. */
int json_scan(struct str text, struct str *first, struct err *);

/* Accessors that accept a missing or mistyped member: the default is returned instead. */
struct str json_member_str(const json_t *object, const char *key);           /* else empty */
int64_t json_member_int(const json_t *object, const char *key, int64_t none);
bool json_member_bool(const json_t *object, const char *key);                /* else false */

/* The text of a JSON string as a slice, borrowed from the value; empty for other types. */
struct str json_text(const json_t *value);

/* Writing. Strings are escaped as Go's encoder does (<, >, & and U+2028/9 as \u escapes,
 * bytes that are not UTF-8 as \ufffd), so that answers are equal byte for byte. */
void json_put_str(struct buf *, struct str);            /* with quotes */
bool utf8_valid(struct str);

/* A small stateful writer for objects and arrays: commas and indentation are its business.
 * Compact by default; with `pretty` as Consul's ?pretty prints (4 blanks). */
struct jw {
	struct buf *out; /* borrowed */
	bool pretty;
	bool comma;      /* the next value in this level needs one before it */
	bool keyed;      /* a key was written, its value comes next */
	unsigned depth;
};

void jw_init(struct jw *, struct buf *out, bool pretty);
void jw_object(struct jw *);     /* { */
void jw_object_end(struct jw *); /* } */
void jw_array(struct jw *);
void jw_array_end(struct jw *);
void jw_key(struct jw *, struct str key);
void jw_str(struct jw *, struct str);
void jw_u64(struct jw *, uint64_t);
void jw_i64(struct jw *, int64_t);
void jw_f64(struct jw *, double); /* the shortest text of this value, as Go writes it; else null */
void jw_bool(struct jw *, bool);
void jw_null(struct jw *);
void jw_base64(struct jw *, struct str bytes); /* a string of base64 */
void jw_json(struct jw *, const json_t *);
/* A value that is JSON already; laid out anew when pretty. */
void jw_raw(struct jw *, struct str json);

/* key and value in one call; the key is a terminated literal */
void jw_kstr(struct jw *, const char *key, struct str);
void jw_ku64(struct jw *, const char *key, uint64_t);
void jw_ki64(struct jw *, const char *key, int64_t);
void jw_kbool(struct jw *, const char *key, bool);
void jw_knull(struct jw *, const char *key);

#endif

/* gossip/pack.h -- msgpack in the dialect that memberlist and serf speak, through the cursor.
 *
 * Written: the old raw family only (fixraw, raw16, raw32; never str8 or bin), shortest integers,
 * float64, keys in the order of the table. Read: any width and signedness that is in range, raw,
 * str8, bin and arrays of small integers for a string, nil for anything.
 *
 * Nothing is allocated by what a header announces: a value is read where it stands, lists go into
 * the caller's arena only when as many elements can follow. A failure sticks in the reader
 * (base/cursor.h): RD_SHORT when more bytes could help, RD_BAD when none could.
 *
 * A message is a table of fields: one row says key, kind and place in the struct, for both ways.
 */
#ifndef GOSSIP_PACK_H
#define GOSSIP_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cursor.h"
#include "base/str.h"

#define PACK_DEPTH_MAX 16 /* of nested values that are skipped */
#define PACK_SMALL_MAX 64 /* bytes taken for a field of fixed length, an IP address */
#define PACK_HEAD_MAX  5  /* bytes in front of a string's or a container's content */

/* Single values. Readers give zero after a failure and for nil. */
uint64_t pack_take_uint(struct reader *, uint64_t max);
int64_t pack_take_int(struct reader *, int64_t min, int64_t max);
bool pack_take_bool(struct reader *);
double pack_take_float(struct reader *);
bool pack_take_nil(struct reader *); /* only looks when it is something else */
size_t pack_take_array(struct reader *); /* count; RD_SHORT when so many cannot follow */
size_t pack_take_map(struct reader *);   /* count of pairs */
/* At most `max` bytes. An array of small integers is copied into the arena; without an arena it is
 * refused. */
struct str pack_take_bytes(struct reader *, struct arena *, size_t max, bool *nil);
/* Passes over a value of any kind, of at most `max` bytes. */
void pack_skip(struct reader *, size_t max);

void pack_put_nil(struct writer *);
void pack_put_bool(struct writer *, bool);
void pack_put_uint(struct writer *, uint64_t);
void pack_put_int(struct writer *, int64_t);
void pack_put_float(struct writer *, double);
void pack_put_bytes(struct writer *, struct str);
void pack_put_array(struct writer *, size_t count);
void pack_put_map(struct writer *, size_t count);

enum pack_kind {
	PACK_BOOL,  /* bool */
	PACK_U8,    /* uint8_t */
	PACK_U16,   /* uint16_t */
	PACK_U32,   /* uint32_t */
	PACK_U64,   /* uint64_t */
	PACK_I64,   /* int64_t */
	PACK_F64,   /* double */
	PACK_TEXT,  /* struct str */
	PACK_BYTES, /* struct str; the bool at `more` says nil */
	PACK_FIXED, /* `max` bytes; the bool at `more`: all were there. All zero and not: nil */
	PACK_IP,    /* struct addr without port; the bool at `more` (0: none): 4 or 16 bytes */
	PACK_LIST,  /* struct str *; the size_t at `more` counts; nil when 0 */
	PACK_VALUE, /* struct str: any value, undecoded. In writing the last row: only its key */
};

struct pack_field {
	const char *key;
	uint8_t key_n;
	enum pack_kind kind;
	bool omit;         /* not written when zero or empty */
	uint16_t at, more; /* offsets in the struct */
	size_t max;        /* bytes of a string or value, count of a list, highest number;
	                    * 0: what the type holds */
};

#define PACK_KEY(text) .key = (text), .key_n = sizeof(text) - 1

struct pack_table {
	const struct pack_field *fields; /* keys ascending */
	size_t count;
};
#define PACK_TABLE(rows) ((struct pack_table){ (rows), sizeof(rows) / sizeof(rows)[0] })

/* Reads a map into *out, which the caller has zeroed. Unknown keys are skipped. */
void pack_take_fields(struct reader *, struct arena *, struct pack_table, void *out);
/* Writes a map. After a last row of PACK_VALUE the caller goes on with that value. */
void pack_put_fields(struct writer *, struct pack_table, const void *in);

#endif

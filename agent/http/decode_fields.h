/* agent/http/decode_fields.h -- JSON objects against tables of members, Go's way.
 *
 * A table has a row per member: its name, the reader of its type, and where the value goes. Rows
 * may share a place (two spellings of one name). Used by decode*.c only.
 */
#ifndef AGENT_HTTP_DECODE_FIELDS_H
#define AGENT_HTTP_DECODE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

struct decoder {
	struct arena *arena;
	struct err *err; /* may be NULL */
};

struct field;
/* Reads value into the member at `at`. Never called with null. */
typedef int field_reader(struct decoder *, const json_t *value, const struct field *, char *at);

struct field {
	const char *name;
	field_reader *read; /* NULL: known, not kept */
	size_t offset;      /* of the member in the object */
	size_t count;       /* lists and maps: offset of the number of elements */
	size_t set;         /* FIELD_NO_OFFSET, or offset of a bool that becomes true */
};

#define FIELD_NO_OFFSET ((size_t)-1)

#define FIELD(name, reader, type, member)                                              \
	{                                                                              \
		name, reader, offsetof(type, member), FIELD_NO_OFFSET, FIELD_NO_OFFSET \
	}
#define FIELD_LIST(name, reader, type, member, count)                                        \
	{                                                                                    \
		name, reader, offsetof(type, member), offsetof(type, count), FIELD_NO_OFFSET \
	}
#define FIELD_LIST_SET(name, reader, type, member, count, set)                                   \
	{                                                                                        \
		name, reader, offsetof(type, member), offsetof(type, count), offsetof(type, set) \
	}
#define FIELD_UNUSED(name)                                      \
	{                                                       \
		name, NULL, 0, FIELD_NO_OFFSET, FIELD_NO_OFFSET \
	}
#define FIELDS_END                                              \
	{                                                       \
		NULL, NULL, 0, FIELD_NO_OFFSET, FIELD_NO_OFFSET \
	}

/* The first value of a body, parsed; the caller ends it with json_decref(). */
int decode_body(struct str body, json_t **out, struct err *);
/* A whole body that is one object, named for errors. What went wrong may be half in `object`. */
int decode_whole(struct arena *, struct str body, const char *name, const struct field *,
    void *object, struct err *);

/* Fills `object` from an object or null; `name` is the member that holds it, for errors. */
int decode_object(
    struct decoder *, const json_t *, const char *name, const struct field *, void *object);

/* For readers: a value of the wrong type; the arena is full; a copy in the arena; the count that
 * goes with a list or map at `at`. */
int decode_mismatch(struct decoder *, const json_t *, const char *name, const char *wanted);
int decode_full(struct decoder *);
int decode_str(struct decoder *, const json_t *, struct str *out);
size_t *field_count(const struct field *, char *at);

/* decode_catalog.c: as a transaction holds them. */
struct check_info;
struct service_info;
int decode_txn_check(struct decoder *, const json_t *, struct check_info *);
int decode_txn_service(struct decoder *, const json_t *, struct service_info *);

field_reader read_str, read_bool, read_i64, read_i32, read_u64;
field_reader read_span;    /* nsec: text, or a number of nanoseconds */
field_reader read_strs;    /* struct str * */
field_reader read_pairs;   /* struct pair *: an object of strings, sorted by key */
field_reader read_headers; /* struct pair *: an object of lists of strings, one pair per value */
field_reader read_raw;     /* struct str: an object kept as compact JSON, {} as nothing */
field_reader read_weights; /* weight_passing and weight_warning of a service_info */
field_reader read_tagged;  /* struct tagged_address *, sorted by tag */

#endif

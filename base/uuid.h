/* base/uuid.h -- 128-bit ids in the usual 8-4-4-4-12 form (RFC 4122 section 3). */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

#define UUID_TEXT_LEN 36

struct uuid {
	uint8_t b[16];
};

/* A random one (version 4) from the kernel's generator. */
struct uuid uuid_random(void);

/* Hex digits in either case; false (and *out untouched) for any other form. */
bool uuid_parse(struct str, struct uuid *out);

/* Lower case, terminated: out holds UUID_TEXT_LEN + 1 bytes. Returns out. */
char *uuid_format(const struct uuid *, char *out);

static inline int
uuid_cmp(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->b, b->b, sizeof a->b);
}

static inline bool
uuid_eq(const struct uuid *a, const struct uuid *b)
{
	return uuid_cmp(a, b) == 0;
}

/* The nil UUID (RFC 4122 section 4.1.7): no id is known. */
static inline bool
uuid_zero(const struct uuid *id)
{
	static const struct uuid nil;

	return uuid_eq(id, &nil);
}

#endif

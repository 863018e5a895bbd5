/* base/blob.h -- immutable bytes with a count of users.
 *
 * For bytes that several holders keep without copying: a record's body in store and catalog,
 * one rendered answer sent to ten thousand watchers. One thread only.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include <stddef.h>

#include "base/str.h"

struct blob {
	size_t refs;
	size_t n;
	char bytes[]; /* n of them, then a NUL */
};

struct blob *blob_new(struct str); /* a copy with one user; never NULL */
struct blob *blob_ref(struct blob *); /* one more user; returns its argument */
void blob_unref(struct blob *);       /* one less; frees at none. NULL is fine */

static inline struct str
blob_str(const struct blob *b) /* borrowed; NULL gives the empty slice */
{
	return b == NULL ? STR_NONE : str_mem(b->bytes, b->n);
}

#endif

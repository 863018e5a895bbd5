/* base/blob.c -- counted immutable bytes. */
#include "base/blob.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct blob *
blob_new(struct str s)
{
	struct blob *b = mem_alloc(sizeof *b + s.n + 1);

	b->refs = 1;
	b->n = s.n;
	if (s.n > 0)
		memcpy(b->bytes, s.p, s.n);
	b->bytes[s.n] = '\0';
	return b;
}

struct blob *
blob_ref(struct blob *b)
{
	b->refs++;
	return b;
}

void
blob_unref(struct blob *b)
{
	if (b == NULL)
		return;
	assert(b->refs > 0);
	if (--b->refs == 0)
		free(b);
}

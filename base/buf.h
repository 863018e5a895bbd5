/* base/buf.h -- growing bytes under a cap.
 *
 * Appending past the cap (or past memory) sets `full` and changes nothing more, so a long
 * series of appends is checked once, at the end. Not terminated.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct buf {
	char *p; /* owned */
	size_t n, room, cap;
	bool full; /* something did not fit; sticks until buf_clear() */
};

void buf_init(struct buf *, size_t cap); /* empty, holds no memory yet; cap in bytes */
/* Over n bytes of somebody else's (an arena, the stack): never grows; without buf_done(). */
void buf_over(struct buf *, void *room, size_t n);
void buf_done(struct buf *);             /* frees; fit for buf_init() again */
void buf_clear(struct buf *);            /* empty again, keeps the memory */

void buf_add(struct buf *, struct str);
void buf_addc(struct buf *, char);
void buf_addf(struct buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_add_u64(struct buf *, uint64_t); /* decimal */
void buf_add_i64(struct buf *, int64_t);

/* Room for n more bytes at the end, or NULL; then buf_commit() what was really written. */
char *buf_reserve(struct buf *, size_t n);
void buf_commit(struct buf *, size_t n);

void buf_drop_front(struct buf *, size_t n); /* forget the first n bytes (n <= b->n) */

static inline struct str
buf_str(const struct buf *b) /* borrowed until the next change */
{
	return str_mem(b->p, b->n);
}

#endif

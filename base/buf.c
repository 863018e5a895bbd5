/* base/buf.c -- growing bytes under a cap. Invariant: n <= room <= cap. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buf_init(struct buf *b, size_t cap)
{
	*b = (struct buf){ .cap = cap };
}

void
buf_over(struct buf *b, void *room, size_t n)
{
	*b = (struct buf){ .p = room, .room = n, .cap = n };
}

void
buf_done(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .cap = b->cap };
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->full = false;
}

char *
buf_reserve(struct buf *b, size_t n)
{
	size_t room;
	char *p;

	if (b->full || n > b->cap - b->n) {
		b->full = true;
		return NULL;
	}
	if (n <= b->room - b->n)
		return b->p + b->n;
	room = b->room < 64 ? 64 : b->room;
	while (room < b->n + n)
		room = room > b->cap / 2 ? b->cap : room * 2;
	if (room > b->cap)
		room = b->cap;
	p = realloc(b->p, room);
	if (p == NULL) {
		b->full = true;
		return NULL;
	}
	b->p = p;
	b->room = room;
	return b->p + b->n;
}

void
buf_commit(struct buf *b, size_t n)
{
	if (!b->full)
		b->n += n;
}

void
buf_add(struct buf *b, struct str s)
{
	char *p;

	if (s.n == 0)
		return;
	if (s.n <= b->room - b->n && !b->full) /* mostly */
		p = b->p + b->n;
	else if ((p = buf_reserve(b, s.n)) == NULL)
		return;
	memcpy(p, s.p, s.n);
	b->n += s.n;
}

void
buf_addc(struct buf *b, char c)
{
	if (b->n < b->room && !b->full)
		b->p[b->n++] = c;
	else
		buf_add(b, str_mem(&c, 1));
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	char small[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof small, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->full = true;
	} else if ((size_t)n < sizeof small) {
		buf_add(b, str_mem(small, (size_t)n));
	} else if (b->cap - b->n <= (size_t)n) { /* vsnprintf wants one byte more */
		b->full = true;
	} else if (buf_reserve(b, (size_t)n + 1) != NULL) {
		va_start(ap, fmt);
		vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
		va_end(ap);
		b->n += (size_t)n;
	}
}

void
buf_add_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof digits;

	do
		digits[--at] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	buf_add(b, str_mem(digits + at, sizeof digits - at));
}

void
buf_add_i64(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_addc(b, '-');
	buf_add_u64(b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void
buf_drop_front(struct buf *b, size_t n)
{
	b->n -= n;
	if (b->n > 0 && n > 0)
		memmove(b->p, b->p + n, b->n);
}

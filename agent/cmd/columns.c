/* agent/cmd/columns.c -- see columns.h. */
#include "agent/cmd/columns.h"

#include <stdlib.h>

#include "base/mem.h"

#define CELLS_BYTES_MAX (256 * 1024 * 1024)

void
columns_init(struct columns *c, size_t width)
{
	*c = (struct columns){ .width = width };
	arena_init(&c->arena, CELLS_BYTES_MAX);
}

void
columns_done(struct columns *c)
{
	arena_done(&c->arena);
	free(c->rows);
}

void
columns_add(struct columns *c, const struct str *cells)
{
	c->rows = mem_grow(c->rows, c->count, &c->room, sizeof c->rows[0]);
	for (size_t i = 0; i < c->width; i++)
		c->rows[c->count][i] = arena_dup(&c->arena, cells[i]);
	c->count++;
}

/* Characters, not bytes: what follows the first byte of one in UTF-8 takes no place. */
static size_t
cell_width(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

void
columns_write(const struct columns *c, struct buf *out)
{
	size_t widths[COLUMNS_MAX] = { 0 };

	for (size_t r = 0; r < c->count; r++)
		for (size_t i = 0; i < c->width; i++)
			if (cell_width(c->rows[r][i]) > widths[i])
				widths[i] = cell_width(c->rows[r][i]);
	for (size_t r = 0; r < c->count; r++) {
		for (size_t i = 0; i < c->width; i++) {
			buf_add(out, c->rows[r][i]);
			if (i + 1 == c->width)
				break;
			for (size_t n = cell_width(c->rows[r][i]); n < widths[i] + 2; n++)
				buf_addc(out, ' ');
		}
		while (out->n > 0 && out->p[out->n - 1] == ' ')
			out->n--;
		buf_addc(out, '\n');
	}
}

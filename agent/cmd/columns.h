/* agent/cmd/columns.h -- rows of texts, printed in aligned columns.
 *
 * Two blanks stand between columns, none at the end of a line; an empty cell stays empty, so that
 * awk and cut see what a person sees.
 */
#ifndef AGENT_CMD_COLUMNS_H
#define AGENT_CMD_COLUMNS_H

#include "base/arena.h"
#include "base/buf.h"

#define COLUMNS_MAX 8

struct columns {
	struct arena arena; /* the cells */
	struct str (*rows)[COLUMNS_MAX];
	size_t count, room, width; /* width: columns of a row */
};

void columns_init(struct columns *, size_t width);
void columns_done(struct columns *);
/* A row of `width` texts, copied. */
void columns_add(struct columns *, const struct str *cells);
void columns_write(const struct columns *, struct buf *out);

#endif

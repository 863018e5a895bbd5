/* agent/describe.h -- the tables as text: --help and the generated parts of the manual pages.
 */
#ifndef AGENT_DESCRIBE_H
#define AGENT_DESCRIBE_H

#include "agent/http/http.h"
#include "agent/options.h"
#include "base/buf.h"

#define DESCRIBE_WIDTH 100 /* columns of --help */

/* --help: flags by group, aligned and wrapped. */
void describe_help(struct buf *, const struct option *table);

/* Man sources. Flags and config keys of one group, or of all but `except` (either may be NULL);
 * names only for what is accepted without effect. */
void describe_man_flags(
    struct buf *, const struct option *table, const char *only, const char *except);
void describe_man_keys(struct buf *, const struct option *table);
void describe_man_ignored(struct buf *, const struct option *table, bool keys);
void describe_man_routes(struct buf *, const struct route *table);

/* A paragraph, wrapped. */
void describe_text(struct buf *, struct str text);

/* Text as it stands in a man source. */
void describe_man_text(struct buf *, struct str text);

/* A row "  NAME   text", wrapped; column: where texts begin. */
void describe_row(struct buf *, struct str name, struct str text, size_t column);

#endif

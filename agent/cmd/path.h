/* agent/cmd/path.h -- paths and queries of requests, with %XX where it is needed. */
#ifndef AGENT_CMD_PATH_H
#define AGENT_CMD_PATH_H

#include "base/buf.h"

#define PATH_URL_MAX (64 * 1024) /* bytes of a URL */

void path_add(struct buf *, struct str part);    /* a part of a path, or a value of a query */
void path_add_key(struct buf *, struct str key); /* slashes stay */
/* "?name=value" or "&name=value"; without a value (p NULL) the name alone. */
void path_add_query(struct buf *, const char *name, struct str value);
void path_add_number(struct buf *, const char *name, uint64_t value);

#endif

/* agent/http/decode_query.h -- definitions of prepared queries in JSON, in and out. */
#ifndef AGENT_HTTP_DECODE_QUERY_H
#define AGENT_HTTP_DECODE_QUERY_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "kv/query.h"

/* POST /v1/query, PUT /v1/query/ID. */
struct query_request {
	struct query_info info; /* without id; indexes as given */
	struct str id;          /* as given */
};
int decode_query(struct arena *, struct str body, struct query_request *out, struct err *);

/* What GET /v1/query says: a list of whole definitions, with ids and indexes. */
int decode_queries(
    struct arena *, struct str body, struct query_info **out, size_t *count, struct err *);

void render_query(struct jw *, const struct query_info *);

#endif

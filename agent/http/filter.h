/* agent/http/filter.h -- ?filter=: which entries of a list a client wants, as an expression.
 *
 * Consul's language (go-bexpr 0.1, as Consul 1.10 ships it):
 *
 *     Service.Meta.version != "2" and (Node.Node matches `^web-` or "blue" in Service.Tags)
 *
 * An expression is read and tied to the fields of one kind of entry (filter_fields.h) when the
 * request begins, so all errors show before the first entry, also when the list is empty. It
 * lives in the request's arena.
 */
#ifndef AGENT_HTTP_FILTER_H
#define AGENT_HTTP_FILTER_H

#include "agent/http/http.h"
#include "kv/catalog.h"

#define FILTER_BYTES_MAX (16 * 1024) /* of an expression */
#define FILTER_DEPTH_MAX 64          /* of parentheses and nots */
#define FILTER_MATCHES_MAX 32        /* comparisons; Consul's limit, as is the next */
#define FILTER_VALUE_MAX 512         /* bytes of a value */
#define FILTER_PATH_MAX 16           /* parts of a selector */
#define FILTER_STEPS_MAX 4000000     /* of regular expressions, over all entries of an answer */

struct filter;
struct filter_schema; /* which fields there are: filter_fields.h */

/* One entry; what its kind does not have is NULL. */
struct filter_entry {
	const struct node_info *node;
	const struct service_info *service;
	const struct check_info *check;
	const struct catalog_service *instance; /* whose checks, and its node's, "Checks" means */
};

/* ERR_INPUT, ERR_LIMIT: with Consul's text; ERR_MEMORY: the arena is full. */
int filter_new(struct arena *, const struct filter_schema *, struct str text, struct filter **out,
    struct err *);
bool filter_holds(struct filter *, const struct filter_entry *);

/* The request's ?filter=; *out is NULL when there is none. False: an error reply was made. */
bool filter_read(const struct http_request *, const struct filter_schema *, struct filter **out,
    struct http_reply *);
/* After the last entry. False with an error reply: the steps for regular expressions were used
 * up, so that what was written is not the answer. NULL is fine. */
bool filter_done(const struct filter *, struct http_reply *);

#endif

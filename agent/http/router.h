/* agent/http/router.h -- from method and path to a row of the table of routes.
 *
 * Consul's behaviour: an unknown path is 404; a path that is known under other methods is 405
 * with Allow, 200 for OPTIONS; "//" and ".." in a path are a 301 to the clean one.
 */
#ifndef AGENT_HTTP_ROUTER_H
#define AGENT_HTTP_ROUTER_H

#include "agent/http/http.h"

enum routed { ROUTED, ROUTED_NOT_FOUND, ROUTED_METHOD, ROUTED_OPTIONS, ROUTED_MOVED };

/* ROUTED: request->route and ->tail are set. METHOD and OPTIONS: *out is the Allow header's
 * value; MOVED: the new location. Memory from the request's arena. */
enum routed router_find(const struct route *table, struct http_request *, struct str *out);

/* A request that is run again, whose row was found the first time. */
enum routed router_again(const struct route *row, struct http_request *);

#endif

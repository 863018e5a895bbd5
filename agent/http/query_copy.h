/* agent/http/query_copy.h -- prepared queries at an agent that holds no keys: a copy that is kept
 * fresh, as a core without I/O.
 *
 * DNS answers at once, so it cannot ask a server for each question. The agent asks one for all
 * definitions and then for the next change, as a blocking query that is carried as any other
 * (carry.h): a change is here one way after it is there, and between changes there is one request
 * in five minutes. Without servers the last copy stays.
 *
 *     at query_copy_deadline(): while query_copy_asks(&request): give the request to the cluster,
 *     query_copy_asked(); its answer to query_copy_answer().
 */
#ifndef AGENT_HTTP_QUERY_COPY_H
#define AGENT_HTTP_QUERY_COPY_H

#include "agent/server/cluster.h"
#include "base/buf.h"
#include "base/nsec.h"
#include "kv/query.h"

#define QUERY_COPY_PAUSE (50 * NSEC_MS) /* between two requests, however often there are changes */
#define QUERY_COPY_RETRY (2 * NSEC_SEC) /* after an error; doubles up to */
#define QUERY_COPY_RETRY_MAX NSEC_MIN

struct query_copy;

struct query_copy *query_copy_new(struct now); /* empty; asks at once */
void query_copy_free(struct query_copy *);     /* NULL is fine */
const struct queries *query_copy_queries(const struct query_copy *); /* until the next answer */

nsec query_copy_deadline(const struct query_copy *);
/* Whether a request is due; its bytes, as for cluster_ask_http(), are added. */
bool query_copy_asks(struct query_copy *, struct now, struct str node, struct buf *request);
void query_copy_asked(struct query_copy *, uint64_t request);
/* False: it is the answer to another's request. */
bool query_copy_answer(struct query_copy *, struct now, const struct cluster_action *);

#endif

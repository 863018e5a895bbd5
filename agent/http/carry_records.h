/* agent/http/carry_records.h -- what a writer's agent lacks of the external records, along with the
 * answer to what was carried (carry.h).
 *
 * Gossip brings the records too, only later than the client's next request can come.
 */
#ifndef AGENT_HTTP_CARRY_RECORDS_H
#define AGENT_HTTP_CARRY_RECORDS_H

#include "agent/http/http.h"
#include "kv/store.h"

#define CARRY_RECORDS_MAX (4 * 1024 * 1024) /* bytes; who lacks more asks for them by gossip */

/* How far the records of an owner have come here; zeros behind the id: there are none. */
struct http_position carry_position(const struct store *, const struct uuid *owner);

/* At the server: a range for store_range() of what it holds and the asker lacks, by the request's
 * `sees`: all, where that names no cluster or another one. Borrowed from `out`, which holds
 * CARRY_RECORDS_MAX and some more. p NULL: it did not ask. */
struct str carry_records_for(const struct store *, const struct http_request *, struct buf *out);

/* At the asker: they show from now on, as those of the cluster that its leader is of, also where
 * gossip has not told of that cluster yet. False: they are broken. */
bool carry_records_take(struct store *, struct now, const struct uuid *cluster, struct str records);

#endif

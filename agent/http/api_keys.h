/* agent/http/api_keys.h -- what the handlers of keys, sessions and transactions share.
 *
 * They run on a server's own copy (ROUTE_KEYS). What only the cluster can decide is asked of it:
 * the reply is put off, and when the answer is there the handler runs again with req->answer,
 * which is a good one then: dispatch() has told the client of any other.
 */
#ifndef AGENT_HTTP_API_KEYS_H
#define AGENT_HTTP_API_KEYS_H

#include "agent/http/api.h"

/* Whether the copy may be read now. False: the cluster is asked, or has refused. By default and
 * with ?consistent once the leader has been asked, with ?stale at once; a blocked query that is
 * woken goes on with what is here (RULES 11). */
bool keys_readable(struct api *, const struct http_request *, struct http_reply *);

/* Ends a read: its index and the scope that it waits for; who leads, and how old that is. */
void reply_key_reads(struct api *, const struct http_request *, struct http_reply *,
    enum watch_kind, struct str name, uint64_t index);
/* The latter alone. */
void reply_contact(struct api *, const struct http_request *, struct http_reply *);

/* Puts an operation to the cluster; the result comes with the answer. */
void keys_write(
    struct api *, const struct http_request *, struct http_reply *, const struct fsm_op *);
/* Of a ticket that the cluster has given out. */
void reply_asks(struct api *, const struct http_request *, struct http_reply *, uint64_t request);

/* The result in an answer to keys_write(): FSM_TRUE, FSM_FALSE, FSM_RESULTS or FSM_ERRORS, and
 * what follows. Anything else becomes an error reply with `failed` before Consul's text: false. */
bool keys_result(const struct http_request *, struct http_reply *, const char *failed,
    enum fsm_status *status, struct str *rest);

/* Ends the sessions of a node that was deregistered, one after the other: true while there are any
 * and the cluster is asked. For as long as it cannot be, the leader will see to it. */
bool node_sessions_end(
    struct api *, const struct http_request *, struct http_reply *, struct str node);

/* Of a parameter that holds a number, as Go reads one; a bad one is an error reply (500, with
 * Go's text, as in Consul): false. */
bool reply_number(struct http_reply *, struct str text, uint64_t *out);

struct txn_entry entry_of(const struct key_entry *); /* borrowed */
void render_entry(struct jw *, const struct txn_entry *);
void render_session(struct jw *, const struct session_info *);

#endif

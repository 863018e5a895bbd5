/* agent/http/decode.h -- JSON bodies of requests, read as Consul's own decoder does.
 *
 * The first value of the body counts, what follows it is ignored. Keys match in any case, and
 * where Consul takes them in snake case too. null is "not given". A key that is not known is an
 * error. Spans of time are text ("10s") or nanoseconds. Strings and arrays of the result live in
 * the arena. Errors: ERR_INPUT with the words that follow "Request decode failed: ";
 * ERR_LIMIT, ERR_MEMORY: too deep, too large.
 */
#ifndef AGENT_HTTP_DECODE_H
#define AGENT_HTTP_DECODE_H

#include "agent/check/check.h"
#include "agent/external.h"
#include "base/arena.h"
#include "base/err.h"
#include "kv/autopilot.h"
#include "kv/entity.h"
#include "kv/txn.h"

/* PUT /v1/agent/service/register */
struct service_registration {
	struct service_info service; /* as given: no defaults but the weights of 1 and 1 */
	struct check_def *checks;    /* Check, unless empty, then Checks */
	size_t check_count;
};
int decode_service(struct arena *, struct str body, struct service_registration *out, struct err *);

/* PUT /v1/agent/check/register */
int decode_check(struct arena *, struct str body, struct check_def *out, struct err *);

/* PUT /v1/agent/check/update/ID */
struct check_update {
	struct str status, output;
};
int decode_check_update(struct arena *, struct str body, struct check_update *out, struct err *);

/* POST, PUT, DELETE /v1/operator/keyring: the key, as it is given. */
int decode_key(struct arena *, struct str body, struct str *out, struct err *);

/* PUT /v1/catalog/register. As given, but for weights of 1 and 1; the single Check is the last of
 * the checks. */
struct catalog_registration {
	struct str datacenter;
	struct external_register what;
};
int decode_catalog_register(
    struct arena *, struct str body, struct catalog_registration *out, struct err *);

/* PUT /v1/catalog/deregister */
struct catalog_deregistration {
	struct str datacenter;
	struct external_deregister what;
};
int decode_catalog_deregister(
    struct arena *, struct str body, struct catalog_deregistration *out, struct err *);

/* PUT /v1/coordinate/update */
struct coordinate_update {
	struct str datacenter, node, segment;
	struct coordinate_info at;
	size_t dimensions; /* that were given: of another number than ours it is of no use */
};
int decode_coordinate(
    struct arena *, struct str body, struct coordinate_update *out, struct err *);

/* PUT /v1/session/create. What the body does not name stays as it is in *out. */
struct session_request {
	struct str name, node, behavior, ttl;
	nsec lock_delay;
	struct str *checks, *node_checks, *service_checks; /* ids */
	size_t check_count, node_check_count, service_check_count;
	bool checks_set, node_checks_set, service_checks_set; /* named, be it an empty list */
};
/* Members that are not named keep Consul's defaults. */
int decode_autopilot(struct arena *, struct str body, struct autopilot *out, struct err *);
int decode_session(struct arena *, struct str body, struct session_request *out, struct err *);

/* PUT /v1/txn. An operation of which no part is given is left out, as Consul does. */
enum txn_kind { TXN_KV, TXN_NODE, TXN_SERVICE, TXN_CHECK };
struct txn_op {
	enum txn_kind kind;
	struct str verb;             /* as given */
	struct kv_op kv;             /* KV: a verb that is not known is KV_UNKNOWN */
	struct node_info node;       /* NODE; SERVICE: its name */
	struct service_info service; /* as given: no defaults */
	struct check_info check;
	uint64_t index;              /* ModifyIndex: of all but KV */
};
/* *count may be above TXN_OPS_MAX: then *out is NULL. */
int decode_txn(
    struct arena *, struct str body, struct txn_op **out, size_t *count, struct err *);

#endif

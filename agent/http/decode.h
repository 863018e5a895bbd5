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

#include "agent/check.h"
#include "agent/external.h"
#include "base/arena.h"
#include "base/err.h"
#include "kv/entity.h"

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

#endif

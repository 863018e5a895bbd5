/* agent/http/maintenance.h -- taking a node or a service out of answers by hand.
 *
 * Maintenance is a critical check with an id of its own, whose notes are the reason. It is kept
 * over restarts like any other check.
 */
#ifndef AGENT_HTTP_MAINTENANCE_H
#define AGENT_HTTP_MAINTENANCE_H

#include "agent/http/api.h"

#define MAINTENANCE_NODE_ID STR("_node_maintenance")
#define MAINTENANCE_SERVICE_PREFIX "_service_maintenance:"

/* Whether a check's id is one of maintenance. */
bool maintenance_is(struct str check_id);

/* ?enable=; false with Consul's error reply. */
bool maintenance_read(const struct http_request *, bool *enable, struct http_reply *);

/* Sets or removes the check. `def` has id, name, service and the default reason, which ?reason=
 * replaces. */
void maintenance_set(struct api *, const struct http_request *, bool enable, struct check_def *def,
    struct http_reply *);

#endif

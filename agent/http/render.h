/* agent/http/render.h -- the objects of Consul's answers, written straight to bytes.
 *
 * One function per shape, members in Consul's order. What is null, [], "" or absent is as
 * recorded from Consul (tests/conformance/SURPRISES.md 4, 9, 10). Each writes one value.
 */
#ifndef AGENT_HTTP_RENDER_H
#define AGENT_HTTP_RENDER_H

#include "agent/local/local.h"
#include "base/json.h"
#include "gossip/serf_wire.h"
#include "kv/catalog.h"

/* Node of catalog/nodes, catalog/node, health/service. */
void render_node(struct jw *, const struct catalog_node *);
/* One entry of catalog/service: node and service side by side. */
void render_instance(struct jw *, const struct catalog_service *);
/* Service of catalog/node, catalog/node-services, health/service. */
void render_service(struct jw *, const struct catalog_service *);
/* Service of txn: tags that were not given are null. */
void render_txn_service(struct jw *, const struct catalog_service *);
/* One entry of health/node, health/checks, health/state. */
void render_check(struct jw *, const struct catalog_check *);
/* One entry of health/service, and of what a prepared query finds. */
void render_health_entry(struct jw *, const struct catalog_service *);

/* Of the agent's own: agent/services (hash empty), agent/service/ID. */
void render_agent_service(
    struct jw *, const struct local_service *, struct str datacenter, struct str hash);
/* Of agent/checks. */
void render_agent_check(struct jw *, const struct local_check *, struct str node);
/* Of agent/health/service, whose checks have a shape of their own. */
void render_agent_health_check(struct jw *, const struct local_check *, struct str node);

/* Coord of coordinate/nodes and agent/self. */
void render_coordinate(struct jw *, const struct serf_coordinate *);

#endif

/* agent/check/check_alias.h -- what an alias check says: how another service, or a node, is.
 *
 * Read from the catalog, so it may be on any node. Critical or warning as the worst of the
 * service's checks and of its node's; with Consul's texts.
 */
#ifndef AGENT_CHECK_ALIAS_H
#define AGENT_CHECK_ALIAS_H

#include "agent/check/check.h"
#include "kv/catalog.h"

/* `self` and the check's own id: the node is ours when the definition names none, and the check
 * does not follow itself. Appends the output to out. */
enum check_status check_alias_eval(
    const struct catalog *, const struct check_def *, struct str self, struct buf *out);

#endif

/* agent/http/api_txn_catalog.h -- nodes, services and checks of a transaction.
 *
 * A transaction is tried first: every operation on the catalog is looked at with what the ones
 * before it will have done, and those on keys are run. Only when none of them fails it is put to the
 * log, with what the catalog's operations mean as steps (agent/external.h) and what they found as
 * conditions: all of it is done there, or nothing.
 */
#ifndef AGENT_HTTP_API_TXN_CATALOG_H
#define AGENT_HTTP_API_TXN_CATALOG_H

#include "agent/http/api.h"
#include "agent/http/decode.h"

bool txn_op_writes(const struct txn_op *); /* of any kind */

/* Whether operation i of these would succeed after those before it; else says in `why` what
 * Consul says. True for operations on keys. */
bool txn_catalog_try(const struct api *, const struct txn_op *ops, size_t i, struct buf *why);

/* Adds the steps of what it changes; negative: refused, err says what Consul says. */
int txn_catalog_plan(const struct api *, const struct txn_op *, struct buf *steps, struct err *);
/* What it answers, if it does. */
void txn_catalog_render(const struct api *, const struct txn_op *, struct jw *);

#endif

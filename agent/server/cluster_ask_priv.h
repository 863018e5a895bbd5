/* agent/server/cluster_ask_priv.h -- what cluster_ask*.c share about one request of this agent. */
#ifndef AGENT_CLUSTER_ASK_PRIV_H
#define AGENT_CLUSTER_ASK_PRIV_H

#include "agent/server/cluster_priv.h"

#define ASK_RETRY (100 * NSEC_MS)

/* cluster_ask_table.c */
struct cluster_ask *ask_new(struct cluster *, struct now, enum cluster_call, struct str bytes);
struct cluster_ask *ask_find(const struct cluster *, uint64_t number); /* NULL: none */
struct cluster_ask *ask_first_due(const struct cluster *); /* whose time ends first; NULL: none */
void ask_move(struct cluster *, struct cluster_ask *, enum ask_state); /* with its time to live */
void ask_again(struct cluster *, struct cluster_ask *, bool unsure);   /* of the next leader */
void ask_unsure(struct cluster *, struct cluster_ask *); /* who it was sent to is lost */
bool ask_stale_readable(const struct cluster *);

/* The ends; the request is gone after each but ask_decided(), which may wait for the copy here. */
void ask_end(struct cluster *, struct cluster_ask *, int code, uint64_t index, struct str bytes);
void ask_fail(struct cluster *, struct cluster_ask *);
void ask_read_stale(struct cluster *, struct cluster_ask *);
void ask_decided(struct cluster *, struct cluster_ask *, uint64_t index, struct str result);
void ask_free(struct cluster *, struct cluster_ask *); /* without an answer */

/* cluster_ask_way.c */
void ask_dispatch(struct cluster *, struct cluster_ask *);

#endif

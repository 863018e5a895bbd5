/* watcher/swarm.h -- the swarm services whose tasks run here, as far as this engine tells of them.
 *
 * Filled on demand: a task's container names its service, which is then asked for once. A
 * service that changed is stale: still the best that is known, but to be asked for again.
 * Nothing goes stale by time; events, a new connection and a new list make it so.
 */
#ifndef WATCHER_SWARM_H
#define WATCHER_SWARM_H

#include <bsd/sys/tree.h>

#include "base/nsec.h"
#include "watcher/swarm_service.h"

#define SWARM_SERVICE_BYTES_MAX (4 * 1024 * 1024) /* one service, kept */
#define SWARM_WORKER_WAIT (30 * NSEC_SEC)         /* a worker is asked again: it may be promoted */

struct swarm_entry;
RB_HEAD(swarm_tree, swarm_entry);

struct swarm {
	struct swarm_tree services;
	size_t count;
	nsec worker_until; /* this engine said that it is no manager; ask again then */
};

void swarm_init(struct swarm *);
void swarm_done(struct swarm *);

/* NULL: not known. Stays until the service is put or forgotten. */
const struct swarm_service *swarm_find(const struct swarm *, struct str id);
bool swarm_fresh(const struct swarm *, struct str id); /* known, and not stale */

/* Takes a manager's answer, or what the ingress network says of `name`. What was known stays
 * when it cannot be read (ERR_INPUT, ERR_NOT_FOUND, ERR_MEMORY, ERR_LIMIT). */
int swarm_put(struct swarm *, struct str id, struct str json, struct err *);
int swarm_put_network(struct swarm *, struct str id, struct str name, struct str json,
    struct err *);

void swarm_stale(struct swarm *, struct str id); /* one service; empty: all */
void swarm_forget(struct swarm *, struct str id);

/* Forgets those for which `used` is false. */
void swarm_sweep(struct swarm *, bool (*used)(void *arg, struct str id), void *arg);

#endif

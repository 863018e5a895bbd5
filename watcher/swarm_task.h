/* watcher/swarm_task.h -- a container that is a task of a swarm service, as rules are to see it.
 *
 * The engine labels such a container with com.docker.swarm.service.id and .name, and calls it
 * NAME.SLOT.TASKID (NAME.NODEID.TASKID for a global service), so ids that hold its name are
 * never used twice. Its view adds what only the service knows:
 *
 *   default name     that of the service
 *   labels           of the service; the container's own win
 *   ports            published through the mesh: on this node, at the published number
 *   dnsrr            nothing published: SERVICE_INTERNAL, unless something is said about it
 *   SERVICE_VIP      (any value) SERVICE_INTERNAL at the service's virtual address
 *
 * The ingress network is taken out of its networks: it belongs to the mesh, and nobody reaches
 * a container by its address there. What a task publishes is on its host, whatever networks it
 * is in, so its network mode is the default's.
 */
#ifndef WATCHER_SWARM_TASK_H
#define WATCHER_SWARM_TASK_H

#include "watcher/container.h"
#include "watcher/swarm_service.h"

#define SWARM_LABEL_SERVICE_ID "com.docker.swarm.service.id"
#define SWARM_LABEL_SERVICE_NAME "com.docker.swarm.service.name"
#define SWARM_INGRESS "ingress" /* its name, unless an operator made another */

/* Id and name of the service whose task it is; empty: it is none. */
struct str swarm_task_service_id(const struct container *);
struct str swarm_task_service_name(const struct container *);

/* Is it in the ingress network: published through the mesh? */
bool swarm_task_in_ingress(const struct container *);

/* The view; slices are shared with the container and the service, new arrays are the arena's.
 * `service` NULL: not known. A container that is no task is copied as it is. */
void swarm_task_view(struct arena *, const struct container *, const struct swarm_service *service,
    struct container *out);

#endif

/* watcher/swarm_remote.h -- nodes and tasks of a swarm, as a manager's API lists them.
 *
 * Source: Docker Engine API, GET /nodes and GET /tasks. A task is made into the container that
 * its own engine would describe, as far as a manager knows it: no exposed ports but those that
 * are published, no HEALTHCHECK (a task that has one is not "running" before it is healthy).
 */
#ifndef WATCHER_SWARM_REMOTE_H
#define WATCHER_SWARM_REMOTE_H

#include "watcher/container.h"
#include "watcher/swarm_service.h"

#define SWARM_NODES_MAX 16384
#define SWARM_TASKS_MAX 65536

struct swarm_node {
	struct str id, name, addr;
	bool ready;
	bool leader; /* of the managers */
};

struct swarm_remote_task {
	struct str node;    /* id */
	struct str service; /* id */
	bool running;
	struct container container; /* nameless until swarm_task_name_it() */
	struct str id;
	int64_t slot; /* 0: of a global service */
};

/* What can be read of a list, in its order, in the arena; what has no id is left out. ERR_INPUT:
 * no list; ERR_MEMORY: over the arena's cap. */
int swarm_nodes_read(struct arena *, struct str json, struct swarm_node **out, size_t *count,
    struct err *);
int swarm_tasks_read(struct arena *, struct str json, struct swarm_remote_task **out,
    size_t *count, struct err *);

/* Gives it the name and the labels that the engine on its node gives to its container. */
void swarm_task_name_it(struct arena *, struct swarm_remote_task *, struct str service_name);

#endif

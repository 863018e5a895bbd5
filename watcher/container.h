/* watcher/container.h -- one container as Docker describes it, reduced to what rules need.
 *
 * Source: Docker Engine API, GET /containers/{id}/json. Unknown fields are ignored, missing
 * ones are empty; limits cut what is out of all proportion (counted in `cut`).
 */
#ifndef WATCHER_CONTAINER_H
#define WATCHER_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/nsec.h"
#include "base/str.h"

#define CONTAINER_LABELS_MAX 8192
#define CONTAINER_VALUE_MAX (128 * 1024) /* bytes of one label or variable; longer ones are cut */
#define CONTAINER_PORTS_MAX 4096

struct container_var { /* of Config.Env and Config.Labels */
	struct str key, value;
};

struct container_port {
	uint16_t port;          /* inside the container */
	struct str proto;       /* "tcp", "udp", "sctp" */
	uint16_t host_port;     /* 0: exposed, not published */
	struct str host_ip;     /* of the binding; "0.0.0.0", "::" and "" mean all */
	bool unmapped;          /* exposed, but NetworkSettings.Ports does not know it: the network
	                         * maps no ports (host, none, that of another container) */
};

struct container_network {
	struct str name, id;
	struct str ip, ip6; /* empty: none in that family */
};

enum container_health { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

/* Slices live in the arena the container was read into. */
struct container {
	struct str id;         /* 64 hex digits */
	struct str name;       /* with Docker's leading slash */
	struct str image;      /* Config.Image: as given at start */
	struct str image_id;   /* Image: sha256:… */
	struct str hostname;
	struct str network_mode; /* HostConfig.NetworkMode */
	struct str ip, ip6;    /* NetworkSettings.IPAddress, GlobalIPv6Address: on the default
	                        * bridge; newer engines have them in `networks` alone */
	struct container_var *env, *labels; /* in Docker's order; labels sorted by key */
	size_t env_count, label_count;
	struct container_port *ports; /* one per binding, and one per port that is only exposed */
	size_t port_count;      /* sorted by port, then protocol; bindings in Docker's order */
	struct container_network *networks; /* sorted by name */
	size_t network_count;
	bool running, paused, restarting;
	int exit_code;
	struct str started_at;   /* RFC 3339 text, sorts by time: "newest wins" */
	struct str created;
	struct str stop_signal;  /* Config.StopSignal: "SIGTERM", "15"; empty: SIGTERM */
	nsec stop_timeout;       /* Config.StopTimeout; default 10 s; below 0: NSEC_NEVER */
	enum container_health health;
	struct str health_output; /* of the last probe */
	struct str json;         /* the whole description, for -docker-tags templates; may be empty.
	                          * Not a copy: it is the text that was read */
	size_t cut;              /* values or entries dropped by the limits */

	/* Not Docker's words: set by swarm_task_view() on a task of a swarm service. */
	struct str service;      /* its name: the default name of what the task offers */
	struct str task;         /* "2.TASKID": tells the tasks of a service apart */
};

/* Reads an inspect answer. ERR_INPUT: not JSON or no id; ERR_MEMORY: over the arena's cap. */
int container_read(struct arena *, struct str json, struct container *out, struct err *);

#endif

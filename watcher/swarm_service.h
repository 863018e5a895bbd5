/* watcher/swarm_service.h -- a service of a swarm, reduced to what its tasks' records need.
 *
 * Two sources. A manager describes the service itself (Docker Engine API, GET /services/{id}):
 * labels, endpoint mode, ports, virtual addresses. A worker is refused that, but its network
 * "ingress" knows which ports are published through the mesh, by the service's name
 * (GET /networks/ingress?verbose=true, libnetwork's ServiceInfo): no protocols, no labels.
 */
#ifndef WATCHER_SWARM_SERVICE_H
#define WATCHER_SWARM_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "watcher/container.h"

#define SWARM_ID_MAX 32 /* the engine's have 25 letters and digits */
#define SWARM_SERVICES_MAX 16384
#define SWARM_PORTS_MAX 1024
#define SWARM_LABELS_MAX 8192
#define SWARM_NETWORKS_MAX 256

struct swarm_port {
	uint16_t target;    /* inside the container */
	uint16_t published; /* never 0: what has no number yet is left out */
	struct str proto;   /* "tcp", "udp", "sctp"; empty: not known */
	bool host;          /* on the task's own host, else through the ingress mesh */
};

struct swarm_service {
	struct str id, name;        /* id empty: from a network */
	bool dnsrr;                 /* no virtual address: its tasks' own are answered */
	struct container_var *labels; /* of the service, not of its containers; sorted by key */
	size_t label_count;
	struct swarm_port *ports;   /* in the engine's order */
	size_t port_count;
	struct str vip;             /* in the first network that it names; empty: none */
	size_t cut;                 /* values or entries dropped by the limits */
};

/* Only such ids go into paths: 1 to SWARM_ID_MAX lower-case letters and digits. */
bool swarm_id_valid(struct str);

/* Everything in the arena. ERR_INPUT: not JSON, or no id and name in it; ERR_MEMORY: over the
 * arena's cap. */
int swarm_service_read(struct arena *, struct str json, struct swarm_service *out, struct err *);
/* GET /services: those that can be read, at most SWARM_SERVICES_MAX. */
int swarm_services_read(struct arena *, struct str json, struct swarm_service **out,
    size_t *count, struct err *);

/* What a verbose description of the ingress network says about the service of that name.
 * ERR_NOT_FOUND: nothing, yet. */
int swarm_service_from_network(struct arena *, struct str json, struct str name,
    struct swarm_service *out, struct err *);

#endif

/* watcher/rules.h -- from a container to the services it offers, by registrator's rules.
 *
 * Source: behaviour of gliderlabs/registrator 7, recorded in tests/registrator. SERVICE_* keys
 * come from variables and labels (a label beats a variable; SERVICE_<port>_KEY beats
 * SERVICE_KEY). Ids are host:container:port[:udp]. Tags come in registrator's order.
 *
 * What SERVICE_<key> means; every other key goes into the service's Meta, in lower case:
 *   NAME  TAGS  ID  IGNORE
 *   INTERNAL  NETWORK  IP  (where it is reached: rules_address.c; these into Meta too)
 *   CHECK_HTTP  CHECK_HTTPS  CHECK_TCP  CHECK_GRPC  CHECK_TTL  CHECK_SCRIPT  CHECK_CMD
 *   CHECK_INTERVAL  CHECK_TIMEOUT  CHECK_HTTP_METHOD  CHECK_HTTPS_METHOD  CHECK_INITIAL_STATUS
 *   CHECK_DEREGISTER_AFTER  CHECK_GRPC_USE_TLS  CHECK_TLS_SKIP_VERIFY  (these into Meta too)
 */
#ifndef WATCHER_RULES_H
#define WATCHER_RULES_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "watcher/container.h"

/* -docker-compose: what becomes of the labels com.docker.compose.project and .service. */
enum rules_compose { RULES_COMPOSE_OFF, RULES_COMPOSE_TAGS, RULES_COMPOSE_META };

struct rules_config {
	struct str host;        /* first part of ids: the node name */
	struct str ip;          /* -docker-ip, else the advertise address */
	struct str ip_other;    /* the host's address in the other family; empty: unknown */
	bool ip_forced;         /* -docker-ip was given: it beats a binding's own address */
	bool internal;          /* -docker-internal: the container's address and port */
	bool explicit_only;     /* -docker-explicit: only containers with a SERVICE_NAME */
	bool meta;              /* -docker-meta: container_id, container_name, container_image into
	                         * Meta, unless SERVICE_CONTAINER_… says otherwise */
	struct str tags;        /* -docker-tags: comma list, with templates */
	struct str ip_from_label; /* -docker-use-ip-from-label: name of the label */
	struct str networks;    /* -docker-network: comma list of names and subnets */
	enum rules_compose compose;
};

struct rules_pair {
	struct str key, value;
};

/* A check asked for by SERVICE_CHECK_* keys, in Consul's terms; empty strings: not given. */
struct rules_check {
	bool present;
	struct str http, tcp, grpc, ttl, script, method, status, interval, timeout, deregister_after;
	bool grpc_use_tls, tls_skip_verify;
};

struct rules_service {
	struct str id, name;
	struct str address;
	uint16_t port;
	struct str address_other; /* the same in the other family, for TaggedAddresses */
	uint16_t port_other;
	struct str *tags;
	size_t tag_count;
	struct rules_pair *meta; /* sorted by key */
	size_t meta_count;
	struct rules_check check;
	struct str note; /* of the container's first service: a line for the log where its address
	                  * could have been another. No part of the service */
};

/* Services of one container, possibly none; all memory from the arena. `peer` is the container
 * whose network this one shares (network_mode container:ID), or NULL. ERR_MEMORY: over the
 * arena's cap; ERR_INPUT: a bad template in -docker-tags. */
int rules_apply(const struct rules_config *, struct arena *, const struct container *,
    const struct container *peer, struct rules_service **out, size_t *count, struct err *);

/* Can -docker-tags and -docker-network be read? ERR_INPUT with the place; for a clear line at
 * start. */
int rules_config_check(const struct rules_config *, struct err *);

/* The id of the container whose network is shared, or empty. */
struct str rules_peer(const struct container *);

#endif

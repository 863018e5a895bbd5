/* agent/local.h -- the services and checks that this agent owns.
 *
 * From the HTTP API (kept over restarts), from Docker and from config files. It validates,
 * remembers, and publishes every change to the store as records of this agent's own. An equal
 * registration changes nothing. Consul: the agent's local state.
 */
#ifndef AGENT_LOCAL_H
#define AGENT_LOCAL_H

#include <bsd/sys/tree.h>

#include "agent/check.h"
#include "agent/journal_io.h"
#include "base/err.h"
#include "base/nsec.h"
#include "kv/store.h"

enum local_source { LOCAL_API, LOCAL_DOCKER, LOCAL_CONFIG, LOCAL_SELF };

struct local_check {
	struct check_def def; /* owned copy */
	enum local_source source;
	enum check_status status;
	struct str output;    /* owned */
	nsec ttl_until;       /* NSEC_NEVER: does not expire */
	struct local_service *service; /* NULL: of the node */
	RB_ENTRY(local_check) link;
	void *memory;
};

struct local_service {
	struct service_info info; /* owned copy; node empty */
	enum local_source source;
	uint64_t hash;            /* of its content, for ?hash= */
	RB_ENTRY(local_service) link;
	void *memory;
};

struct local;

struct local_config {
	struct store *store;        /* borrowed */
	struct journal *journal;    /* borrowed; NULL: nothing is kept */
	struct uuid self;
	bool scripts_enabled;
	size_t services_max;
};

struct local *local_new(const struct local_config *);
void local_free(struct local *);

/* Takes back what the journal holds; says how much in the log. */
int local_restore(struct local *, struct now, struct err *);

/* This node itself: name, address, meta, serf health; published as the NODE record. */
int local_node_set(struct local *, struct now, const struct node_info *, struct err *);

/* A service with its checks, all or nothing. Checks that were there and are not named stay,
 * unless `replace_checks`. Check ids and names get Consul's defaults (service:ID, service:ID:N).
 * 1: something changed, 0: equal; ERR_INPUT with Consul's text. */
int local_service_put(struct local *, struct now, const struct service_info *,
    const struct check_def *checks, size_t check_count, bool replace_checks, enum local_source,
    struct err *);
/* With its checks. ERR_NOT_FOUND. */
int local_service_remove(struct local *, struct now, struct str id, struct err *);

int local_check_put(struct local *, struct now, const struct check_def *, enum local_source,
    struct err *);
int local_check_remove(struct local *, struct now, struct str id, struct err *);

/* TTL reports and states set from inside. Output is cut to the check's limit. ERR_NOT_FOUND;
 * ERR_REFUSED: not a TTL check (`ttl_only`). */
int local_check_set(struct local *, struct now, struct str id, enum check_status, struct str output,
    bool ttl_only, struct err *);

const struct local_service *local_service_find(const struct local *, struct str id);
const struct local_check *local_check_find(const struct local *, struct str id);
/* In order of id; NULL starts and ends. */
const struct local_service *local_service_next(const struct local *, const struct local_service *);
const struct local_check *local_check_next(const struct local *, const struct local_check *);

/* TTLs that ran out turn critical. */
void local_tick(struct local *, struct now);
nsec local_deadline(const struct local *);

#endif

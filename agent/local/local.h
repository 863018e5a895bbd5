/* agent/local/local.h -- the services and checks that this agent owns.
 *
 * From the HTTP API (kept over restarts), from Docker and from config files. It validates,
 * remembers, and publishes every change to the store as records of this agent's own. An equal
 * registration changes nothing. Consul: the agent's local state.
 */
#ifndef AGENT_LOCAL_H
#define AGENT_LOCAL_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "agent/check/check.h"
#include "agent/duration.h"
#include "agent/local/journal_io.h"
#include "base/err.h"
#include "base/nsec.h"
#include "kv/store.h"

enum local_source { LOCAL_API, LOCAL_DOCKER, LOCAL_CONFIG, LOCAL_SELF };

#define LOCAL_CHECKS_MAX 256 /* checks in one registration */

/* Read-only outside local*.c. */
struct local_check {
	struct check_def def; /* owned copy; type as it counts; status and output empty */
	enum local_source source;
	enum check_status status;
	struct str output;             /* owned; whole, up to the check's limit */
	nsec ttl_until;                /* NSEC_NEVER: does not expire */
	struct local_service *service; /* NULL: of the node */
	RB_ENTRY(local_check) link;
	void *memory;
	/* private to local*.c */
	LIST_ENTRY(local_check) of_service;
	RB_ENTRY(local_check) by_due;
	nsec due;            /* place in by_due: the earliest of the deadlines below */
	nsec publish_until;  /* an output waits to be published then (RULES 15) */
	nsec published;      /* when it was last */
	nsec critical_since; /* NSEC_NEVER: is not */
	bool with_service;   /* came inside a service's registration */
	bool reported;       /* has heard a report since it was registered or expired */
	bool output_fresh;   /* the next output goes out at once */
	bool named;          /* in the registration at hand */
	bool told;           /* its id waits in the news */
};

struct local_service {
	struct service_info info; /* owned copy; node empty */
	enum local_source source;
	uint64_t hash; /* of its content, for ?hash= */
	RB_ENTRY(local_service) link;
	void *memory;
	struct blob *body; /* packed info; its slices point here */
	LIST_HEAD(, local_check) checks;
};

struct local;

struct local_config {
	struct store *store;     /* borrowed */
	struct journal *journal; /* borrowed; NULL: nothing is kept */
	struct uuid self;
	bool scripts_enabled;
	bool local_scripts_enabled; /* in config files, even when not elsewhere */
	size_t services_max;        /* 0: no limit but the store's */
	nsec check_update_interval; /* between changes of output alone; 0: 5 minutes */
	nsec deregister_min; /* no patience with a critical service is shorter */
};

struct local *local_new(const struct local_config *);
void local_free(struct local *);

/* Takes back what the journal holds; says how much in the log. */
int local_restore(struct local *, struct now, struct err *);

/* This node itself: name, address, meta, serf health; published as the NODE record. */
int local_node_set(struct local *, struct now, const struct node_info *, struct err *);

/* Where this node is in the network; back after a restart, so that a restart is no change. */
int local_coordinate_put(struct local *, struct now, const struct coordinate_info *, struct err *);
bool local_coordinate(const struct local *, struct coordinate_info *out); /* false: never put */

/* A service with its checks, all or nothing. Checks that were there and are not named stay,
 * unless `replace_checks`: then those from the same source go. Check ids and names get Consul's
 * defaults (service:ID, service:ID:N), weights of 0 and 0 become 1 and 1. A check that was there
 * keeps its status and output; a CHECK_STATE takes the status that is given.
 * 1: something changed, 0: equal; with Consul's text: ERR_INPUT where Consul answers 400,
 * ERR_REFUSED where it answers 500; ERR_LIMIT, ERR_IO: ours. */
int local_service_put(struct local *, struct now, const struct service_info *,
    const struct check_def *checks, size_t check_count, bool replace_checks, enum local_source,
    struct err *);
/* With its checks. ERR_NOT_FOUND; ERR_REFUSED: no id. */
int local_service_remove(struct local *, struct now, struct str id, struct err *);

/* A check of the node, or of the service that service_id names. Results as above; a check that
 * has reported (or run), and is of the same kind, keeps its status and output. */
int local_check_put(
    struct local *, struct now, const struct check_def *, enum local_source, struct err *);
int local_check_remove(struct local *, struct now, struct str id, struct err *);

/* TTL reports, results of active checks and states set from inside. Output is cut to the check's
 * limit. A change of status is published at once, and so is the first output after it; later
 * changes of output alone wait for check_update_interval (RULES 15). 1: changed, 0: equal;
 * ERR_NOT_FOUND; ERR_REFUSED: not a TTL check (`ttl_only`). */
int local_check_set(struct local *, struct now, struct str id, enum check_status, struct str output,
    bool ttl_only, struct err *);

/* What a run of an active check found: as above, but the output comes cut to size already
 * (check_output_tail()), since each kind has a form of its own for that. */
int local_check_report(
    struct local *, struct now, struct str id, enum check_status, struct str output, struct err *);

/* For whoever runs checks: the id of one that is new, is defined otherwise or is gone; look it up to
 * see which. Each change is told once. False: no more. Borrowed until the next call. */
bool local_check_news_next(struct local *, struct str *id);

const struct local_service *local_service_find(const struct local *, struct str id);
const struct local_check *local_check_find(const struct local *, struct str id);
/* In order of id; NULL starts and ends. */
const struct local_service *local_service_next(const struct local *, const struct local_service *);
const struct local_check *local_check_next(const struct local *, const struct local_check *);

/* How the agent's own endpoints show a check: with its output whole, and with the service's name
 * and tags (which its record leaves out: the catalog adds those of the service).
 * Slices point into the check and into the two texts. */
struct check_info local_check_info(
    const struct local_check *, char interval[DURATION_TEXT_MAX], char timeout[DURATION_TEXT_MAX]);

/* TTLs that ran out turn critical, outputs that waited are published, services that were
 * critical for longer than deregister_after go. */
void local_tick(struct local *, struct now);
nsec local_deadline(const struct local *);

#endif

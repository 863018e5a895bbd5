/* watcher/docker.h -- following one Docker engine, as a state machine without I/O.
 *
 * At start and after each reconnect: subscribe to events, list the running containers, inspect
 * and reconcile, then follow the events newer than the list, in order per container. Events are
 * taken into a bounded queue; when it overflows the core falls back to a list. Only the container
 * an event names is inspected.
 *
 * What becomes of a running container's services:
 *   stop signal (TERM, KILL, its own)   critical by docker-state:ID until it ends, or runs on
 *                                       after the larger of its StopTimeout and `drain`
 *   pause                               critical by docker-state:ID until unpause
 *   end                                 removed; with on-success and a code of 1-127 critical
 *                                       by docker-state:ID until the container is destroyed
 *   HEALTHCHECK                         docker-health:ID, with the last probe's output
 * A task of a swarm is a container with what its service says (swarm_task.h); with `remote` those on
 * nodes without an agent are there too, by the lists of a manager.
 * A SERVICE that changes leaves the docker-… checks of its id alone; they have news of their own.
 *
 * Usage: feed what happened (docker_connected(), docker_event_bytes(), docker_answer(),
 * docker_lost()), call docker_tick() when docker_deadline() comes, then drain
 * docker_action_next() and docker_news_next() until false. What actions and news point to is
 * borrowed until the next call that feeds something.
 */
#ifndef WATCHER_DOCKER_H
#define WATCHER_DOCKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/nsec.h"
#include "base/str.h"
#include "watcher/rules.h"

#define DOCKER_EVENTS_QUEUED_MAX 4096
#define DOCKER_EVENT_BYTES_MAX (1024 * 1024) /* one event's JSON */
#define DOCKER_INSPECTS_MAX 16               /* under way at once */
#define DOCKER_BACKOFF_MIN (250 * NSEC_MS)
#define DOCKER_BACKOFF_MAX (15 * NSEC_SEC)
#define DOCKER_LIST_BYTES_MAX (64 * 1024 * 1024)
#define DOCKER_INSPECT_BYTES_MAX (16 * 1024 * 1024)
#define DOCKER_CONTAINERS_MAX 65536

enum docker_deregister { DOCKER_DEREGISTER_ALWAYS, DOCKER_DEREGISTER_ON_SUCCESS };

struct docker_config {
	struct rules_config rules;
	enum docker_deregister deregister;
	nsec drain;              /* -docker-drain, 60 s */
	bool host_from_engine;   /* rules.host is our own container id: take the engine's Name */
	unsigned workers;        /* -docker-workers: inspects under way at once; 0: as many as may be */
	bool remote;             /* -docker-swarm-nodes: tasks on nodes without an agent too */
};

enum docker_action_kind {
	DOCKER_GET,          /* request `path` (with the API version in it), answer to docker_answer() */
	DOCKER_STREAM,       /* open the event stream at `path`; bytes to docker_event_bytes() */
	DOCKER_STREAM_CLOSE, /* give the stream up, and every request under way */
};

struct docker_action {
	enum docker_action_kind kind;
	uint64_t request; /* GET: names the request in docker_answer() */
	size_t body_max;  /* GET: a longer body is given up, and answered with status 413 */
	struct str path;  /* "/v1.41/containers/json?…" */
};

enum docker_news_kind {
	DOCKER_NEWS_SERVICE,    /* service (with its rules_check) is to be registered, or changed */
	DOCKER_NEWS_REMOVE,     /* service.id is to be deregistered, with all its checks */
	DOCKER_NEWS_CHECK,      /* check_id of service.id has this status and output */
	DOCKER_NEWS_CHECK_REMOVE,
	DOCKER_NEWS_SYNCED,     /* the list is reconciled: what runs is registered, once each */
	DOCKER_NEWS_AWAY,       /* the engine cannot be reached; what is registered stays. text: why */
	DOCKER_NEWS_WARN,       /* a line for the log: text */
};

struct docker_news {
	enum docker_news_kind kind;
	struct rules_service service; /* SERVICE: whole; REMOVE, CHECK…: only id and name */
	struct str container;         /* id */
	struct str check_id;          /* docker-health:<service id>, docker-state:<service id> */
	struct str check_name;
	int check_status;             /* 0 passing, 1 warning, 2 critical */
	struct str text;              /* output of the check; sentence of AWAY and WARN */
	int64_t event_ns;             /* time of the event that led here (Docker's timeNano), or 0 */
};

struct docker_stats {
	uint64_t events, events_bad, overflows, inspects, reconnects, lists;
	size_t containers, services;
};

struct docker;

/* Slices in the config are copied. */
struct docker *docker_new(const struct docker_config *, struct now);
void docker_free(struct docker *);

/* The shell could (not) reach the engine. docker_lost() at any failure of the stream or of a
 * connection; requests under way are forgotten. */
void docker_lost(struct docker *, struct now, struct str why);
/* The stream's answer has begun with status 200. */
void docker_connected(struct docker *, struct now);
void docker_event_bytes(struct docker *, struct now, struct str bytes);
/* An answer, with its HTTP status; 0: the request failed without one, body says why. */
void docker_answer(struct docker *, struct now, uint64_t request, int status, struct str body);

void docker_tick(struct docker *, struct now);
nsec docker_deadline(const struct docker *);

bool docker_action_next(struct docker *, struct docker_action *out);
bool docker_news_next(struct docker *, struct docker_news *out);

/* SIGHUP: other rules; everything is derived again, only differences become news. */
void docker_reconfigure(struct docker *, struct now, const struct docker_config *);
/* For `remote`: where agents are, this one with them. Slices are copied. */
struct docker_agent {
	struct str name, address; /* as members of the pool; the address without a port */
};
void docker_agents(struct docker *, struct now, const struct docker_agent *, size_t count);

/* -docker-resync: list and reconcile now, and tell all services and checks again, since the
 * agent's may have been changed by others. */
void docker_resync(struct docker *, struct now);

/* What ids begin with: the node's name, or the engine's. Borrowed until the next call. */
struct str docker_host(const struct docker *);

struct docker_stats docker_stats(const struct docker *);

#endif

/* watcher/docker_core.h -- the inside of docker.h; shared by docker.c, docker_ask.c,
 * docker_sync.c, docker_swarm.c and docker_remote.c alone.
 *
 * Order: events are taken as they come and queue nothing but the wish for an inspect, once
 * per container. An inspect tells the state at a moment after it was asked for, so every
 * event that came before is contained in its answer; one that comes while it is under way
 * sets `again`, and the answer is put aside for a newer one. Only with no inspect wished for
 * or under way does an event change a container directly (die, pause, unpause): the short
 * way out of DNS. A stop signal is in no inspect and is taken at once, always.
 */
#ifndef WATCHER_DOCKER_CORE_H
#define WATCHER_DOCKER_CORE_H

#include "watcher/docker.h"
#include "watcher/docker_track.h"
#include "watcher/swarm.h"
#include "watcher/swarm_remote.h"

#define DOCKER_PATH_MAX 1024

enum docker_phase {
	PHASE_AWAY,    /* until reconnect_at */
	PHASE_VERSION, /* GET /version */
	PHASE_INFO,    /* GET /info */
	PHASE_OPENING, /* the stream is asked for, until open_until */
	PHASE_LISTING, /* the stream runs, GET /containers/json */
	PHASE_SETTLING, /* inspects of what was listed */
	PHASE_FOLLOWING,
};

enum docker_asks {
	ASKS_NOTHING,
	ASKS_VERSION,
	ASKS_INFO,
	ASKS_LIST,
	ASKS_INSPECT,
	ASKS_PEER,    /* the container whose network another shares */
	ASKS_SERVICE, /* the swarm service of a task */
	ASKS_INGRESS, /* the network that publishes it, where services may not be asked for */
	ASKS_SELF,    /* from here on: docker_remote.c */
	ASKS_NODES,
	ASKS_SERVICES,
	ASKS_TASKS,
};

struct docker_request {
	enum docker_asks asks;
	uint64_t id;
	struct tracked *about; /* from INSPECT on; NULL: gone meanwhile */
};

struct docker_todo { /* an action to be handed out */
	TAILQ_ENTRY(docker_todo) link;
	struct docker_action action;
	char path[DOCKER_PATH_MAX];
};

struct docker_remote { /* tasks on nodes without an agent */
	struct track track;
	struct docker_request request;
	nsec next;      /* the next round begins; NSEC_NEVER: none is wanted */
	bool again;     /* at once after the round under way */
	unsigned round; /* tracked.touched: the last round that named a task */
	bool done;      /* one round is over */
	char node[SWARM_ID_MAX + 1]; /* our own, or "" */
	struct arena lists;          /* of the round under way */
	struct swarm_node *nodes;
	struct swarm_service *services;
	size_t node_count, service_count;
	bool agents_known; /* nothing is asked before */
	struct arena agent_texts;
	struct docker_agent *agents;
	size_t agent_count;
};

TAILQ_HEAD(docker_todo_list, docker_todo);
TAILQ_HEAD(docker_wish_list, tracked);

struct docker {
	struct docker_config config; /* slices live in `texts` */
	struct arena texts;
	char *engine_name;           /* from /info; NULL: unknown */
	char version[24];            /* "/v1.41", or "" */

	enum docker_phase phase;
	bool catching_up; /* not reconciled since the connection: events may be old ones */
	bool away_told;
	nsec backoff, reconnect_at, open_until, relist_at, listed_at;
	int64_t last_event_ns;
	uint64_t last_event_hash;
	unsigned list_round;
	size_t sync_count; /* containers that the reconcile waits for */

	struct docker_request control;
	struct docker_request inspects[DOCKER_INSPECTS_MAX];
	uint64_t request_next;
	struct docker_wish_list wishes;
	struct docker_todo_list todo, given;

	struct docker_split split;
	struct track track;
	struct swarm swarm;
	struct docker_remote remote;
	nsec hold_until; /* stop signals that wait are taken then; NSEC_NEVER: none waits */
	struct docker_stats stats;
	nsec retry_next; /* no retry_at is before */
};

/* docker_ask.c: what the shell is to do. */

void docker_fed(struct docker *); /* what was handed out before may go */
void docker_todo_clear(struct docker_todo_list *);
struct docker_todo *docker_do(struct docker *, enum docker_action_kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Fills r for a DOCKER_GET that was made by docker_do(). */
void docker_ask(struct docker *, struct docker_request *r, enum docker_asks,
    struct tracked *about, struct docker_todo *get, size_t body_max);
struct docker_request *docker_inspect_room(struct docker *); /* NULL: as many as may be */
void docker_pump(struct docker *); /* asks for inspects while there is room for more */
/* Wishes for an inspect that is newer than this moment. */
void docker_wish(struct docker *, struct tracked *, bool urgent);
void docker_synced(struct docker *, struct tracked *); /* the reconcile need not wait for it */
/* Takes a container out of everything that points to it, then lets go of it. */
void docker_drop(struct docker *, struct tracked *, int64_t event_ns);

/* docker_sync.c: answers that bring what is known up to date. */

void docker_list(struct docker *, struct now);
void docker_has_list(struct docker *, struct now, int status, struct str body);
void docker_has_inspect(struct docker *, struct now, struct docker_request, int status,
    struct str body);
/* It has ended: its services go, or stay critical by the rule of on-success. */
void docker_ended(struct docker *, struct tracked *, int exit_code, int64_t event_ns);
void docker_check_synced(struct docker *); /* is the reconcile over? */

/* docker_swarm.c: tasks of a swarm. */

/* Asks for the service of a task so described, when it should be; the task is held meanwhile. */
bool docker_swarm_ask(struct docker *, struct now, struct tracked *, struct str body);
/* The answer, about a task that is described by `task`. True: something else was asked for. */
bool docker_swarm_answer(struct docker *, struct now, struct docker_request, int status,
    struct str body, struct str task);
void docker_swarm_event(struct docker *, struct now, const struct docker_event *);
void docker_swarm_listed(struct docker *); /* everything is to be asked for anew */
/* Must this stop signal or end wait for news of other tasks? A signal is kept. */
bool docker_swarm_holds(struct docker *, struct now, struct tracked *,
    const struct docker_event *);
/* Takes the signals that need not wait any more, or all. */
void docker_swarm_release(struct docker *, struct now, bool all);

/* docker_remote.c: tasks on nodes without an agent. */

void docker_remote_init(struct docker_remote *);
void docker_remote_done(struct docker_remote *);
void docker_remote_lost(struct docker *);
void docker_remote_answer(struct docker *, struct now, int status, struct str body);
void docker_remote_tick(struct docker *, struct now);
nsec docker_remote_deadline(const struct docker *);
void docker_remote_soon(struct docker *, struct now); /* a round is due at the next tick */

/* docker.c */

void docker_fail(struct docker *, struct now, struct str why);

#endif

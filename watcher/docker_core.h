/* watcher/docker_core.h -- the inside of docker.h; shared by docker.c, docker_ask.c and
 * docker_sync.c alone.
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

enum docker_asks { ASKS_NOTHING, ASKS_VERSION, ASKS_INFO, ASKS_LIST, ASKS_INSPECT, ASKS_PEER };

struct docker_request {
	enum docker_asks asks;
	uint64_t id;
	struct tracked *about; /* INSPECT, PEER; NULL: gone meanwhile */
};

struct docker_todo { /* an action to be handed out */
	TAILQ_ENTRY(docker_todo) link;
	struct docker_action action;
	char path[DOCKER_PATH_MAX];
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

/* docker.c */

void docker_fail(struct docker *, struct now, struct str why);

#endif

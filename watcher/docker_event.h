/* watcher/docker_event.h -- Docker's event stream: bytes to objects, objects to events.
 *
 * Source: Docker Engine API, GET /events: JSON objects one after the other, cut anywhere by
 * the transport.
 */
#ifndef WATCHER_DOCKER_EVENT_H
#define WATCHER_DOCKER_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "watcher/swarm_service.h"

#define DOCKER_ID_MAX 64 /* hex digits of a container's id */

/* The events that are asked for, as a value of the query parameter `filters`. */
extern const char docker_event_filters[];

enum docker_event_kind {
	EVENT_OTHER,
	EVENT_START,
	EVENT_DIE,
	EVENT_KILL,
	EVENT_PAUSE,
	EVENT_UNPAUSE,
	EVENT_CHANGED, /* renamed, updated, other health, network connected or disconnected */
	EVENT_DESTROY,
	EVENT_SERVICE_CHANGED, /* of a swarm, as its managers hear it; or was removed */
	EVENT_NODE_CHANGED,
};

struct docker_event {
	enum docker_event_kind kind;
	char id[DOCKER_ID_MAX + 1]; /* the container's; empty for the swarm's events */
	char service[SWARM_ID_MAX + 1]; /* that changed, or whose task the container is; or "" */
	int signal;                 /* KILL; 0: unknown */
	int exit_code;              /* DIE; -1: unknown */
	int64_t time_ns;            /* Docker's timeNano; 0: unknown */
};

/* Is it a container's id: 1 to 64 lower-case hex digits? Only such go into paths. */
bool docker_id_valid(struct str);

/* ERR_INPUT: no event that can be understood. */
int docker_event_read(struct str json, struct docker_event *out, struct err *);

struct docker_split {
	struct buf piece; /* the beginning of an object whose end has not come */
	unsigned depth;
	bool in_string, escaped;
	bool garbage;     /* between objects: something that begins none */
};

enum docker_split_result { SPLIT_MORE, SPLIT_OBJECT, SPLIT_BAD };

void docker_split_init(struct docker_split *);
void docker_split_done(struct docker_split *);

/* Takes from the front of *bytes. OBJECT: *object is one, borrowed until the next call; BAD:
 * garbage, or an object over DOCKER_EVENT_BYTES_MAX, was dropped (said once); MORE: *bytes is
 * empty. */
enum docker_split_result docker_split_next(struct docker_split *, struct str *bytes,
    struct str *object);

#endif

/* kv/watch.h -- change indexes per scope, and who waits for them.
 *
 * A scope is what one query reads: the instances of service "web", the checks of node "n1",
 * the list of nodes. Each has the index of its last change, also when what it names does not
 * exist. A blocked query waits on the scopes it has read and on nothing else. State machine:
 * a change moves waiters to a ready list, whoever runs the queries drains it.
 *
 * Memory: a scope that names nothing and for which nobody waits is forgotten; its index is
 * answered from a floor per kind of scope (the highest index forgotten), which never is lower
 * than what was said before.
 */
#ifndef KV_WATCH_H
#define KV_WATCH_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum watch_kind {
	WATCH_NODES,          /* name empty. /v1/catalog/nodes */
	WATCH_COORDINATES,    /* name empty. /v1/coordinate/nodes */
	WATCH_SERVICES,       /* name empty. /v1/catalog/services: names and tags */
	WATCH_INSTANCES,      /* name empty. /v1/catalog/services?filter=: all that services say */
	WATCH_SERVICE,        /* name of a service. /v1/catalog/service/X */
	WATCH_SERVICE_HEALTH, /* /v1/health/service/X: instances with nodes and checks */
	WATCH_SERVICE_CHECKS, /* /v1/health/checks/X */
	WATCH_NODE,           /* name of a node. /v1/catalog/node/X, /node-services/X */
	WATCH_NODE_CHECKS,    /* /v1/health/node/X */
	WATCH_STATE,          /* "any" or a status. /v1/health/state/X */
	WATCH_AGENT_SERVICE,  /* id of a local service. /v1/agent/service/ID?hash= */
	WATCH_EVENTS,         /* name empty. /v1/event/list */
	WATCH_KEY,            /* a key. /v1/kv/X */
	WATCH_KEY_PREFIX,     /* what keys begin with, also empty. /v1/kv/X?recurse, ?keys */
	WATCH_SESSIONS,       /* name empty. /v1/session/list */
	WATCH_SESSION,        /* the 16 bytes of an id. /v1/session/info/X */
	WATCH_SESSION_NODE,   /* name of a node. /v1/session/node/X */
	WATCH_QUERIES,        /* name empty. /v1/query */
	WATCH_KINDS
};

struct watch_key {
	enum watch_kind kind;
	struct str name;
};

struct watch_scope; /* opaque: one key with its index and its waiters */

#define WATCH_KEYS_MAX 4 /* scopes one query may read */

/* One blocked query; embedded in its owner. Zeroed before first use. */
struct waiter {
	TAILQ_ENTRY(waiter) ready_link;
	struct watch_link {
		LIST_ENTRY(watch_link) link;
		struct watch_scope *scope;
		struct waiter *waiter;
	} links[WATCH_KEYS_MAX];
	size_t link_count;
	bool ready; /* on the ready list */
};

struct watches;

struct watches *watches_new(void);
void watches_free(struct watches *); /* no waiter may be left */

/* The index of the last change in a scope; the floor of its kind when it is not known.
 * 0 only when nothing ever changed. */
uint64_t watch_index(const struct watches *, struct watch_key);

/* Something in the scope changed: its index becomes `index`, its waiters become ready.
 * `lives` says that the scope still names something; else it is forgotten when unwatched. */
void watch_touch(struct watches *, struct watch_key, uint64_t index, bool lives);

/* As watch_touch for every known scope of `kind` whose name `name` begins with, itself and the
 * empty one too. Costs O(log scopes) for each one found, at most one more look-up for each byte
 * of `name`; who waits elsewhere costs nothing. Scopes touched so live only while watched. */
void watch_touch_prefixes(struct watches *, enum watch_kind, struct str name, uint64_t index);

/* As watch_touch for every known scope of a kind; none of them lives on unwatched. */
void watch_touch_kind(struct watches *, enum watch_kind, uint64_t index);

/* Nothing is older than this: the index of everything that is not known, from now on. */
void watch_floor_raise(struct watches *, uint64_t index);

/* The scope names nothing any more, but that is no change: nobody wakes, no index moves. */
void watch_forget(struct watches *, struct watch_key);

/* Waits for any of the keys (count <= WATCH_KEYS_MAX). The waiter must not be waiting. */
void watch_wait(struct watches *, struct waiter *, const struct watch_key *keys, size_t count);
void watch_cancel(struct watches *, struct waiter *); /* also when ready, also when idle */

/* The next waiter that has become ready, taken off all its scopes; NULL: none. */
struct waiter *watch_ready_next(struct watches *);

/* Grows with every change of any index, and with nothing else. */
uint64_t watch_changes(const struct watches *);

size_t watch_scope_count(const struct watches *);  /* for metrics */
size_t watch_waiter_count(const struct watches *); /* waiting, not ready */

#endif

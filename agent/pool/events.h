/* agent/pool/events.h -- user events: the last ones that were meant for this agent.
 *
 * A user event travels as a serf event. Consul's is called "consul:event:NAME" and its payload is a
 * msgpack map (ID, n name, p payload, nf sf tf filters, v version); its filters, regular
 * expressions on the node's name and on local services and their tags, are looked at by each
 * receiver. Serf's own events, of any other name, are taken too: they are for all, and their id
 * comes from (Lamport time, name, payload), so that all agents list the same one.
 *
 * A core without I/O. What was not meant for us, or is malformed, is dropped and counted.
 */
#ifndef AGENT_EVENTS_H
#define AGENT_EVENTS_H

#include "agent/local/local.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/uuid.h"
#include "gossip/serf_wire.h"

#define EVENTS_KEPT_MAX 256 /* older ones are forgotten, as in Consul */
#define EVENTS_NAME_PREFIX "consul:event:"
#define EVENTS_STEPS_MAX 1000000 /* of matching one event's filters; over it: not for us */

struct user_event {
	struct uuid id;
	struct str name, payload;
	struct str node_filter, service_filter, tag_filter; /* empty: any */
	int64_t version;
	uint64_t ltime; /* 0 before it was sent */
};

/* A new one is to be fired: with Consul's words, ERR_REFUSED where Consul answers 500. */
int user_event_check(const struct user_event *, struct err *);
/* What travels as a serf event's payload, and as its name. ERR_LIMIT: no room. */
int user_event_write(struct writer *, const struct user_event *, struct err *);

/* The list's index, from its last event's id: X-Consul-Index, without any order. */
uint64_t user_event_index(const struct user_event *);

struct events_config {
	struct str node;           /* borrowed */
	const struct local *local; /* borrowed; NULL: no service is here */
};

struct events;

struct events *events_new(const struct events_config *);
void events_free(struct events *); /* NULL is fine */

/* An event was delivered here: true when it is for us, and is the last of the list now. */
bool events_input(struct events *, const struct serf_event *);

size_t events_count(const struct events *);
/* From the oldest, 0. Borrowed until the next input. */
const struct user_event *events_at(const struct events *, size_t i);

struct events_stats {
	uint64_t kept, filtered, malformed; /* filtered: for others, or of no meaning here */
};
struct events_stats events_stats(const struct events *);

#endif

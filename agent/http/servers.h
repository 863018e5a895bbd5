/* agent/http/servers.h -- the servers that decide on keys, with name, place and state as gossip has
 * them. Raft knows numbers and agents' ids only (RULES 9).
 */
#ifndef AGENT_HTTP_SERVERS_H
#define AGENT_HTTP_SERVERS_H

#include "agent/http/api.h"

struct server_view {
	struct uuid agent;
	uint64_t raft_id;
	bool voter, leader, self;
	bool known;         /* gossip knows it; else the rest is empty */
	struct str name;    /* node name */
	struct str address; /* "ADDRESS:PORT" of its server port */
	struct str version;
	enum serf_state state; /* SERF_NONE: not known */
	nsec since;            /* monotonic: of this state */
};

/* Name and place of an agent; texts live in the arena. */
void server_place(
    const struct api *, struct arena *, const struct uuid *agent, struct server_view *);

/* Of the newest configuration, in the order of names; 0: there is none here. */
size_t servers_view(
    const struct api *, struct arena *, struct now, struct server_view out[RAFT_CORE_SERVERS_MAX]);

#endif

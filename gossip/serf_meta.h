/* gossip/serf_meta.h -- muster's tags: what an agent says of itself beside name and address.
 *
 * The names are Consul's, so that what lists members shows them alike: a server has
 * role=consul and the port of its RPC, a client role=node. "mu" is ours: the version of the
 * catalog's protocol, and with it the mark of a muster agent.
 */
#ifndef GOSSIP_SERF_META_H
#define GOSSIP_SERF_META_H

#include "base/uuid.h"
#include "gossip/serf_wire.h"
#include "gossip/swim.h"

#define SERF_MUSTER_VERSION 1

/* Of a server: its part in Raft, in one tag "raft": version, id in hex, cluster, 1 when that is
 * formed, with dots between them. */
struct serf_raft {
	unsigned version;    /* of the protocol between servers; 0: no such tag */
	uint64_t id;         /* 0: it has no log */
	struct uuid cluster; /* zero: none yet */
	bool formed;
};

struct serf_meta {
	bool server;
	unsigned muster; /* protocol of the catalog; 0: not a muster agent */
	unsigned expect; /* servers: 0: not given */
	uint16_t port;   /* servers: RPC */
	bool bootstrap;  /* servers */
	struct str dc, id, build;
	struct str cluster; /* id of the owner of the external records it writes; empty: none */
	struct serf_raft raft;
	struct str name;    /* to be shown, where another has it on the wire; empty: the wire's */
	const struct serf_tag *more; /* others; written as they stand, not read */
	size_t more_count;
};

/* ERR_LIMIT: over WIRE_META_MAX bytes, or a tag stands twice. */
int serf_meta_write(struct writer *, const struct serf_meta *, struct err *);
/* Slices point into `meta` or the arena. Tags that are missing or no number are zero. */
int serf_meta_read(struct arena *, struct str meta, struct serf_meta *out, struct err *);

/* May this member be in our pool? ERR_REFUSED, with a sentence: a Consul agent, or muster of
 * another dc. Real serf agents are welcome. */
int serf_meta_check(const struct swim_member *, struct str dc, struct err *);

#endif

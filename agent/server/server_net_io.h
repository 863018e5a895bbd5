/* agent/server/server_net_io.h -- shell: the server port. Messages between agents over TCP.
 *
 * Who wants to say something to an agent and has no connection to it opens one, when that agent is
 * a server; it is kept, and used by both. Who each side is the handshake shows (server_stream.h);
 * without a keyring a member's address and the id that it names must do (RULES 18). Two sides that
 * call each other at once have two connections, and each speaks on its own.
 *
 * What waits for a peer is bounded, and lost with the connection: whoever sends repeats. Messages
 * over SERVER_NET_SMALL may be overtaken by others, and a snapshot by both, so that a long answer
 * holds up no heartbeat.
 *
 * Functions given are called from the loop, never from inside a call of this header.
 */
#ifndef AGENT_SERVER_NET_IO_H
#define AGENT_SERVER_NET_IO_H

#include <event2/event.h>

#include "agent/server/cluster.h"
#include "base/addr.h"
#include "gossip/keyring.h"
#include "kv/raft_disk_io.h"

#define SERVER_NET_MESSAGE_MAX (CLUSTER_HTTP_MAX + 1024 * 1024) /* bytes */
#define SERVER_NET_SMALL (2 * 1024 * 1024)         /* bytes; longer ones may be overtaken */
#define SERVER_NET_WAITING_MAX (96 * 1024 * 1024)  /* bytes that wait for one peer */
#define SERVER_NET_WAITING_ALL (512 * 1024 * 1024) /* for all */
#define SERVER_NET_CONNECTIONS_MAX 8192
#define SERVER_NET_STRANGERS_MAX 128         /* connections before the handshake is done */
#define SERVER_NET_STRANGERS_PER_HOST_MAX 16 /* of them, of one address */
#define SERVER_NET_HANDSHAKE_TIME (5 * NSEC_SEC)
#define SERVER_NET_SILENCE_MAX (15 * NSEC_SEC) /* of the peer's TCP, then it is gone */
#define SERVER_NET_BACKOFF_MIN (50 * NSEC_MS)  /* before the next try; doubles */
#define SERVER_NET_BACKOFF_MAX (2 * NSEC_SEC)

struct server_net;
struct ssl_ctx_st;

/* TLS around the connections; the handshake of server_stream.h runs within it. */
struct server_net_tls {
	struct ssl_ctx_st *in;  /* for who calls; plain calls are taken too. NULL: TLS is not spoken */
	struct ssl_ctx_st *out; /* calls are made over TLS; NULL: plain */
	bool required; /* who calls must speak TLS, and `in` verifies it: that is trust, as a key is */
	struct str name; /* that must be in the certificate of whom we call, terminated; or empty */
};

struct server_net_config {
	struct event_base *base;
	bool listen;      /* we are a server */
	struct addr bind; /* with port; calls leave from this address too, unless it is any */
	struct uuid self;
	const struct keyring *keys; /* borrowed; may change between calls. NULL: plain */
	struct raft_disk *disk;     /* borrowed, for snapshots; NULL: none are taken in */
	void *arg;
	/* Where an agent's server port is. False: not known, or no server. */
	bool (*address)(void *arg, const struct uuid *agent, struct addr *out);
	/* Without keys: is `from` the address of this member; agent NULL: of any? */
	bool (*member)(void *arg, const struct addr *from, const struct uuid *agent);
	void (*message)(void *arg, const struct uuid *from, struct str);
	/* A whole one: raft_disk_sink_read() gives its data, during the call. */
	void (*snapshot)(
	    void *arg, const struct uuid *from, struct str bytes, struct raft_disk_sink *);
	/* Its connection is gone, or could not be made, and with it all that waited. */
	void (*lost)(void *arg, const struct uuid *agent);
};

/* ERR_IO: the port cannot be had; the text says which. */
int server_net_new(const struct server_net_config *, struct server_net **out, struct err *);
/* For connections from now on; takes references, `name` is borrowed. */
void server_net_tls(struct server_net *, const struct server_net_tls *);
void server_net_free(struct server_net *); /* not from a function given; NULL is fine */
struct addr server_net_address(const struct server_net *); /* where it listens */

/* Of Raft, for handshakes from now on; connections of another one are cut. */
void server_net_cluster_set(struct server_net *, const struct uuid *cluster);
/* Copies. False: dropped: there is no way to it, or too much waits. */
bool server_net_send(struct server_net *, const struct uuid *agent, struct str);
bool server_net_snapshot(
    struct server_net *, const struct uuid *agent, struct str bytes, uint64_t index);
/* It is there (again): no reason to wait for the next try. */
void server_net_kick(struct server_net *, const struct uuid *agent);
bool server_net_idle(const struct server_net *); /* all is with the kernel */
void server_net_cut(struct server_net *); /* all connections: keys were taken away */

struct server_net_stats {
	size_t peers, connections, strangers, waiting; /* waiting: bytes */
	uint64_t messages_in, messages_out, bytes_in, bytes_out;
	uint64_t dropped; /* messages that there was no way or no room for */
	uint64_t refused; /* connections of strangers */
	uint64_t failed;  /* calls */
};
struct server_net_stats server_net_stats(const struct server_net *);

#endif

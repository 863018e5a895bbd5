/* agent/server/server_net_priv.h -- the inside of the server port.
 *
 *     server_net_io.c     peers: what waits for them, calls and their repeats
 *     server_conn_io.c    a connection: bytes in and out, records to messages and back
 *     server_tls_conn_io.c  TLS below it
 *     server_snap_io.c    snapshots on a connection
 *     server_listen_io.c  who is let in
 */
#ifndef AGENT_SERVER_NET_PRIV_H
#define AGENT_SERVER_NET_PRIV_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <event2/bufferevent.h>

#include "agent/server/server_net_io.h"
#include "agent/server/server_stream.h"
#include "base/buf.h"
#include "base/rng.h"

#define NET_OUT_HIGH (256 * 1024) /* bytes handed to the kernel's side at a time */
#define NET_OUT_LOW (64 * 1024)

struct net_message {
	STAILQ_ENTRY(net_message) link;
	size_t at; /* sent so far */
	struct buf bytes;
};
STAILQ_HEAD(net_messages, net_message);

enum net_lane { LANE_SMALL, LANE_BULK, LANE_SNAPSHOT, LANE_COUNT };

struct net_snap_out {                    /* at most one for a peer */
	struct raft_disk_source *source; /* NULL: none is under way */
	uint64_t index;
	struct buf announce; /* until it is sent */
	size_t announced;
	struct str piece; /* the source's, until the next */
	bool last, ready; /* ready: a piece is there */
	bool retry;       /* no thread could be had for the next piece */
};

struct net_conn {
	TAILQ_ENTRY(net_conn) link;
	struct server_net *net;
	struct net_peer *peer; /* NULL: a stranger */
	struct addr from;
	struct bufferevent *bev;
	struct server_stream *stream;
	struct event *timer; /* until READY */
	struct event *sniff; /* until its first byte shows whether it speaks TLS; else NULL */
	bool caller, ready, dead, paused, pumping;
	bool verified; /* by its certificate */
	struct buf parts[2]; /* of messages that are not whole: LANE_SMALL, LANE_BULK */
	struct buf announce; /* of a snapshot that comes in */
	struct raft_disk_sink *sink;
	bool sink_ended, announced;
	enum net_lane lane; /* whose turn it is */
};

struct net_peer {
	RB_ENTRY(net_peer) link;
	struct server_net *net;
	struct uuid id;
	struct net_conn *called, *taken; /* by us; from them */
	struct net_conn *speaker;        /* the one of them that we send on; NULL: none is ready */
	struct net_messages waiting[2];
	size_t waiting_bytes;
	struct net_snap_out snap;
	nsec backoff, next_try;
	struct event *retry;
	bool lost;    /* to be told */
	bool failing; /* said so */
};
RB_HEAD(net_peers, net_peer);

struct server_net {
	struct server_net_config config;
	struct uuid cluster;
	struct server_net_tls tls;
	struct addr bound;
	int fd;
	struct event *accept, *resume, *reap;
	struct net_peers peers;
	TAILQ_HEAD(net_conns, net_conn) conns, dead;
	struct rng rng;
	nsec complained;
	uint64_t complaints; /* since then, untold */
	struct server_net_stats stats;
};

nsec net_now(void);
void net_complain(struct server_net *, const struct addr *, const char *why);

/* server_net_io.c */
struct net_peer *net_peer_for(struct server_net *, const struct uuid *);
void net_peer_ready(struct net_peer *, struct net_conn *);
void net_peer_ended(struct net_peer *, struct net_conn *, const char *why); /* its connection */
struct net_message *net_waiting(struct net_peer *, enum net_lane);
void net_sent(struct net_peer *, enum net_lane); /* the first one, whole */
void net_reap_later(struct server_net *);

/* server_conn_io.c */
struct net_conn *conn_new(
    struct server_net *, int fd, const struct addr *, const struct uuid *call); /* call: whom */
bool conn_connect(struct net_conn *);
void conn_fill(struct net_conn *);
bool conn_idle(const struct net_conn *); /* nothing waits to be written */
void conn_end(struct net_conn *, const char *why);
void conn_free(struct net_conn *); /* from the reaper */
void conn_resume(struct net_conn *);

void conn_listen_to(struct net_conn *); /* its stream is there: bytes may come */

/* server_tls_conn_io.c */
struct bufferevent *conn_tls_new(struct net_conn *, int fd); /* NULL: no memory */
const char *conn_tls_why(const struct net_conn *); /* a call came to nothing */
void conn_sniff(struct net_conn *); /* one that was taken: waits for its first byte */

/* server_snap_io.c */
bool snap_record(struct net_conn *, const struct server_stream_said *, struct err *);
int snap_send(struct net_conn *, struct err *); /* 1: a record was made; 0: nothing to send now */
void snap_next(struct net_peer *);              /* the next piece */
void snap_out_done(struct net_peer *);
void snap_in_done(struct net_conn *);

/* server_listen_io.c */
int listen_open(struct server_net *, struct err *);
void listen_close(struct server_net *);

#endif

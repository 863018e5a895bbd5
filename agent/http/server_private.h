/* agent/http/server_private.h -- what server_io.c, server_client_io.c, server_accept_io.c,
 * server_tls_io.c, server_listen_io.c, server_park.c and server_carry.c share.
 *
 * Everything runs in turns: an event comes in, its connection is served, and before the turn
 * ends the queries that it has woken run, and the answers that were put off and have come are
 * given. server_turn_begin() and _end() enclose each one.
 */
#ifndef AGENT_HTTP_SERVER_PRIVATE_H
#define AGENT_HTTP_SERVER_PRIVATE_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <event2/event_struct.h>

#include "agent/http/server_io.h"
#include "agent/loop.h"
#include "base/spare.h"

#define READ_BYTES (64 * 1024)
#define PARKED_KEPT 128 /* blocks of memory, for the next that wait */

struct peer { /* how many connections one address has */
	RB_ENTRY(peer) link;
	struct addr addr;
	unsigned count;
};
RB_HEAD(peer_tree, peer);

struct parked { /* a blocked query, or a request whose answer was put off */
	struct waiter waiter;
	struct client *client;   /* whose it is: a connection's, */
	struct carried *carried; /* or another agent's */
	nsec until;
	uint64_t ticket; /* 0: a blocked query */
	uint64_t seen;   /* of a blocked query: the hash of the answer it would have had */
	struct http_keep keep;
	RB_ENTRY(parked) ticket_link;
};
RB_HEAD(ticket_tree, parked);

struct finished { /* an answer that was put off and now is there */
	STAILQ_ENTRY(finished) link;
	uint64_t ticket;
	int status;
	const char *content_type;
	size_t n;
	char body[];
};

struct client_tls; /* server_tls_io.c */

struct client {
	struct event event;
	short mask; /* what `event` is added for */
	bool shut;  /* our side of the socket is closed */
	bool refused;
	bool timed; /* in the tree of deadlines */
	int fd;
	struct http_server *server;
	struct http_conn *conn; /* owned */
	struct client_tls *tls; /* owned; NULL: plain */
	struct parked *parked;  /* owned; NULL: nothing waits here */
	struct peer *peer;      /* NULL: refused */
	nsec due;               /* never later than its real deadline */
	RB_ENTRY(client) due_link;
	LIST_ENTRY(client) link;
};
RB_HEAD(client_tree, client);

struct carried {               /* a request that another agent has sent (carry.h) */
	uint64_t request;      /* the cluster's number for it */
	struct parked *parked; /* owned; NULL only while it runs */
	RB_ENTRY(carried) link, due_link;
	nsec due;
	bool timed;
	size_t n;
	char bytes[];
};
RB_HEAD(carried_tree, carried);
RB_HEAD(carried_due_tree, carried);

struct listener {
	struct event event;
	int fd;
	struct listen_at at; /* with the real port */
	uint64_t device, inode; /* of the unix socket's file */
	struct http_server *server;
};

/* The bytes of the last reply made in this wake: ten thousand watchers of one service send the
 * same target and get the same answer, or none of them gets one. Valid until the next handler
 * runs. */
struct answer_share {
	bool valid;
	struct buf target, names; /* `names`: of the scopes in the reply */
	struct http_reply reply;  /* its body is the server's */
	uint64_t hash;            /* answer_hash() of it */
	struct blob *blob;        /* for large bodies, from the second use on */
	struct blob *packed;      /* as gzip, from the first use on */
};

struct http_server {
	struct event_base *base;
	struct api *api;
	struct http_server_config config;
	struct http_work *work;
	struct listener *listeners;
	size_t listener_count;
	int spare_fd; /* given up to refuse a client when there are no descriptors left */
	struct loop_timer *timer, *resume;
	struct ssl_ctx_st *tls;                   /* of the next connection; NULL: none */
	struct loop_timer *handshake_timer;
	TAILQ_HEAD(, client_tls) handshakes;      /* all, the longest first */
	TAILQ_HEAD(, client_tls) handshakes_ready; /* of these, for which something has come */
	LIST_HEAD(, client) clients;
	struct client_tree due;
	struct peer_tree peers;
	struct ticket_tree tickets;          /* of held requests */
	struct carried_tree carried;         /* by request */
	struct carried_due_tree carried_due; /* by deadline */
	struct carry_room *carry_room; /* what a carried request is read into; NULL: none yet */
	STAILQ_HEAD(, finished) finished;
	struct spare spare_parked;
	struct buf body;   /* the reply that is being made */
	struct gzip *gzip; /* NULL: nobody has asked for it yet */
	struct buf packed; /* the reply as gzip */
	struct answer_share share;
	struct http_server_stats stats;
	size_t refused_now;
	bool early_close; /* the kernel tells of a close without a read */
	bool in_turn, in_wake, wake_wanted, stopping;
	char read_bytes[READ_BYTES];
};

/* server_io.c */
void server_turn_begin(struct http_server *);
void server_turn_end(struct http_server *);
void server_due_set(struct client *, nsec deadline);
void server_due_clear(struct client *);
/* Bytes of the reply made last are not to be given to anybody else. */
void server_share_forget(struct http_server *);

/* server_park.c. All take the place where the owner keeps it. */
/* A query that was answered "nothing new": waits on the scopes its handler has read. */
void server_park(struct http_server *, struct parked **, const struct http_reply *, nsec until);
/* A request whose answer comes under a ticket. */
void server_hold(struct http_server *, struct parked **, const struct http_reply *, struct now);
/* The hash of an answer's status and bytes. */
uint64_t answer_hash(const struct http_reply *);
/* A blocked query is run again, and its answer is what it was: it goes on waiting. */
bool server_nothing_new(const struct parked *, const struct http_reply *, uint64_t hash);
/* Whether one more may be held. */
bool server_may_hold(const struct http_server *, const struct http_reply *);
/* Nothing is waited for any more; what the cluster was asked is cancelled. */
void server_unpark(struct http_server *, struct parked **);
/* The answer of the cluster is there: the same without cancelling; gives what was kept. */
struct http_keep server_unhold(struct http_server *, struct parked **);
struct parked *server_ticket_find(struct http_server *, uint64_t ticket); /* NULL: nobody's */

/* server_carry.c */
void carried_rerun(struct http_server *, struct carried *, struct now, bool ended);
void carried_resume(
    struct http_server *, struct carried *, struct now, const struct cluster_action *);
nsec server_carried_deadline(const struct http_server *);
void server_carried_due(struct http_server *, struct now);
/* What waits is answered as it stands. */
void server_carried_stop(struct http_server *, struct now);
void server_carried_free(struct http_server *);

/* server_tls_io.c. Bytes as recv() and sendmsg() give and take them. */
void client_tls_begin(struct client *, struct now);
void client_tls_free(struct client *); /* says goodbye when TLS was agreed on */
void client_tls_shut(struct client *); /* we have said all */
bool client_tls_handshaking(const struct client *);
nsec client_tls_deadline(const struct client *); /* of the handshake */
/* Something came for the handshake: it goes on when its turn is there. */
void client_tls_ready(struct client *);
ssize_t client_tls_read(struct client *, char *, size_t);
ssize_t client_tls_write(struct client *, const struct str *slices, size_t count);
/* Events that TLS waits for: in a handshake all, else those that a read needs besides. */
short client_tls_mask(const struct client *);
void server_handshakes(void *server);

/* server_gzip.c. A reply about to be given, as gzip if its client takes it. */
void server_gzip(struct http_server *, const struct http_request *, struct http_reply *);

/* server_client_io.c */
void client_watch(struct client *);
struct client *client_new(struct http_server *, int fd, const struct addr *peer, struct now);
void client_free(struct client *);
/* Answers what is there, sends what it can, waits for the rest; may free the client. */
void client_go_on(struct client *, struct now);
/* Runs a parked query again; `ended`: it is answered as it stands. */
void client_rerun(struct client *, struct now, bool ended);
/* The answer of a held request. */
void client_finish(
    struct client *, struct now, int status, const char *content_type, struct str body);
/* What a held request asked of the cluster is answered: it is run again. */
void client_resume(struct client *, struct now, const struct cluster_action *);
/* A parked query is answered as it stands, a held request with an error that says why. */
void client_end_wait(struct client *, struct now, struct str why);
void client_expired(struct client *, struct now);

/* server_listen_io.c */
int server_listen(struct http_server *, const struct listen_at *, size_t count, struct err *);
void server_accept_pause(struct http_server *);
void server_accept_resume(void *server);
void server_listeners_close(struct http_server *);

/* server_accept_io.c */
void server_accept_event(evutil_socket_t fd, short what, void *listener);
void peer_leave(struct http_server *, struct peer *);

#endif

/* agent/http/server_private.h -- what server_io.c, server_client_io.c and server_accept_io.c
 * share.
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

#define READ_BYTES (64 * 1024)

struct peer { /* how many connections one address has */
	RB_ENTRY(peer) link;
	struct addr addr;
	unsigned count;
};
RB_HEAD(peer_tree, peer);

struct parked { /* a blocked query, or a request whose answer was put off */
	struct waiter waiter;
	struct client *client;
	nsec until;
	uint64_t ticket; /* 0: a blocked query */
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

struct client {
	struct event event;
	short mask; /* what `event` is added for */
	bool shut;  /* our side of the socket is closed */
	bool refused;
	bool timed; /* in the tree of deadlines */
	int fd;
	struct http_server *server;
	struct http_conn *conn; /* owned */
	struct parked *parked;  /* owned; NULL: nothing waits here */
	struct peer *peer;      /* NULL: refused */
	nsec due;               /* never later than its real deadline */
	RB_ENTRY(client) due_link;
	LIST_ENTRY(client) link;
};
RB_HEAD(client_tree, client);

struct listener {
	struct event event;
	int fd;
	struct addr addr;
	struct http_server *server;
};

/* The bytes of the last reply made in this wake: ten thousand watchers of one service send the
 * same target and get the same answer. Valid until the next handler runs. */
struct answer_share {
	bool valid;
	struct buf target;
	struct http_reply reply; /* its body is the server's */
	struct blob *blob;       /* for large bodies, from the second use on */
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
	LIST_HEAD(, client) clients;
	struct client_tree due;
	struct peer_tree peers;
	struct ticket_tree tickets; /* of held requests */
	STAILQ_HEAD(, finished) finished;
	struct buf body; /* the reply that is being made */
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
void server_ticket_put(struct http_server *, struct parked *);
void server_ticket_drop(struct http_server *, struct parked *);

/* server_client_io.c */
struct client *client_new(struct http_server *, int fd, const struct addr *peer, struct now);
void client_free(struct client *);
/* Answers what is there, sends what it can, waits for the rest; may free the client. */
void client_go_on(struct client *, struct now);
/* Runs a parked query again; `ended`: it is answered as it stands. */
void client_rerun(struct client *, struct now, bool ended);
/* The answer of a held request. */
void client_finish(
    struct client *, struct now, int status, const char *content_type, struct str body);
/* A parked query is answered as it stands, a held request with an error that says why. */
void client_end_wait(struct client *, struct now, struct str why);
void client_expired(struct client *, struct now);

/* server_accept_io.c */
int server_listen(struct http_server *, const struct addr *, size_t count, struct err *);
void server_accept_pause(struct http_server *);
void server_accept_resume(void *server);
void server_listeners_close(struct http_server *);
void peer_leave(struct http_server *, struct peer *);

#endif

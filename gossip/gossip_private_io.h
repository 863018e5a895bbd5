/* gossip/gossip_private_io.h -- what the files of the shell share.
 *
 *     gossip_io.c         life, addresses, the log's patience, the room for reading
 *     gossip_udp_io.c     datagrams
 *     gossip_stream_io.c  what all streams have in common: time, bytes, reading and writing
 *     gossip_accept_io.c  streams of others       gossip_open_io.c  streams of ours
 */
#ifndef GOSSIP_GOSSIP_PRIVATE_IO_H
#define GOSSIP_GOSSIP_PRIVATE_IO_H

#include <bsd/sys/queue.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "gossip/gossip_io.h"

/* Room to read into: mapped, so that what was never touched costs nothing, and given back after
 * large pieces. Of one datagram a slot each; of streams all of it. */
#define GOSSIP_SLOT (64 * 1024)
#define GOSSIP_SLOTS 16
#define GOSSIP_ROOM ((size_t)GOSSIP_SLOTS * GOSSIP_SLOT)
#define GOSSIP_PIECE_SMALL 4096 /* larger ones leave pages that are given back */

#define GOSSIP_QUIET NSEC_MIN /* between two lines about one source */
#define GOSSIP_SOURCES_MAX 64 /* sources that get a line in this time */

struct gossip_udp;
struct gossip_stream;
TAILQ_HEAD(gossip_stream_list, gossip_stream);

struct gossip_source {
	struct addr from;
	nsec quiet_until;
	uint64_t more; /* complaints since, without a line */
};

struct gossip_io {
	struct gossip_io_config config;
	struct gossip_io_stats stats; /* the _now fields too */
	struct addr bound;
	char *room;      /* owned: GOSSIP_ROOM */
	bool room_large; /* a large piece was in it */
	struct gossip_source sources[GOSSIP_SOURCES_MAX];
	struct gossip_udp *udp;
	/* streams */
	int listener; /* -1: none */
	struct event *accept, *accept_again, *start;
	struct gossip_stream_list streams; /* under way, of both sides */
	struct gossip_stream_list waiting; /* ours that were not started */
	size_t waiting_count;
};

/* gossip_io.c */
nsec gossip_now(void);
/* In the socket's family, which takes IPv4 in IPv6 where it is "::"; 0: it cannot go there. */
socklen_t gossip_sockaddr(const struct gossip_io *, const struct addr *, struct sockaddr_storage *);
bool gossip_peer(const struct sockaddr_storage *, struct addr *out); /* the way back */
void gossip_room_trim(struct gossip_io *);
/* One line about a source, unless it had one a minute ago. */
void gossip_complain(
    struct gossip_io *, const struct addr *from, const char *what, const char *why);

/* gossip_udp_io.c: takes the bound socket. */
int gossip_udp_new(struct gossip_io *, int fd, struct err *);
void gossip_udp_free(struct gossip_udp *);

/* gossip_stream_io.c */
enum gossip_stage {
	STREAM_WAITING,    /* ours: for its turn */
	STREAM_CONNECTING, /* ours */
	STREAM_READING,    /* of others: the request */
	STREAM_WRITING,    /* the request or the answer; ours is read meanwhile */
	STREAM_ENDING,     /* all is written: what is still read, or the peer's end */
};

struct gossip_stream {
	TAILQ_ENTRY(gossip_stream) link;
	struct gossip_io *io;
	struct addr peer;
	int fd; /* -1: none yet */
	struct event *readable, *writable, *timer;
	enum gossip_stage stage;
	bool ours, want_answer;
	uint64_t id;
	enum gossip_why late; /* what it means when its time is up */
	uint64_t bytes_in;
	struct stream_in *in; /* NULL: nothing to be read, or it is through */
	struct buf out;
	size_t sent; /* of out */
	size_t held; /* bytes, as counted in the stats */
};

struct gossip_stream *gossip_stream_new(
    struct gossip_io *, const struct addr *peer, bool ours, nsec time_max);
/* Its socket is there. Takes fd. False: the loop cannot watch it. */
bool gossip_stream_attach(struct gossip_stream *, int fd, event_callback_fn on_readable,
    event_callback_fn on_writable);
void gossip_stream_time(struct gossip_stream *, nsec time_max); /* from now */
void gossip_stream_free(struct gossip_stream *);
/* Ends it with what belongs to that: counters, the log, closed(). */
void gossip_stream_end(struct gossip_stream *, enum gossip_why, const char *why);

/* > 0: *bytes until the next read; 0: the peer's end; < 0 broken, or errno is EAGAIN. */
int gossip_stream_read(struct gossip_stream *, struct str *bytes);
/* 1: all is written; 0: wait for writable; < 0: broken. */
int gossip_stream_flush(struct gossip_stream *);
/* Counts what it holds. Past the limit the largest stream goes; false: it was this one, and it is
 * gone. */
bool gossip_stream_weigh(struct gossip_stream *);

/* gossip_accept_io.c: takes the bound socket. */
int gossip_accept_new(struct gossip_io *, int fd, struct err *);
void gossip_accept_done(struct gossip_io *);

/* gossip_open_io.c */
int gossip_open_new(struct gossip_io *, struct err *);
void gossip_open_done(struct gossip_io *);
void gossip_open_ended(struct gossip_stream *, enum gossip_why, const struct stream_request *);

#endif

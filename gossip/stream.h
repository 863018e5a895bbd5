/* gossip/stream.h -- what travels over one TCP connection: a request and its answer.
 *
 *     [label header] ( encrypted frame | compressed map | plain request )
 *
 * A plain request has no outer length, so reading is incremental: feed bytes, ask whether it is
 * whole. Limits are checked before anything is kept: a header that announces more than the
 * limits, or than follows, is refused.
 */
#ifndef GOSSIP_STREAM_H
#define GOSSIP_STREAM_H

#include "gossip/frame.h"
#include "gossip/wire.h"

#define STREAM_BLOB_MAX (20 * 1024 * 1024)     /* encrypted frame, user state, user message */
#define STREAM_UNPACKED_MAX (40 * 1024 * 1024)
#define STREAM_HEAD_MAX (64 * 1024)   /* any one map of a plain request */
#define STREAM_NODES_MAX (1u << 17)   /* twice what a pool may have; memberlist: 2^20 */

struct stream_push_pull {
	bool join;
	struct wire_node_state *nodes;
	size_t node_count;
	struct str user_state;
};

struct stream_request {
	enum wire_type type; /* PUSH_PULL, PING, ACK, USER, ERROR */
	union {
		struct stream_push_pull push_pull;
		struct wire_ping ping;
		struct wire_ack ack;
		struct str user;
		struct str error;
	} u;
};

struct stream_in;

/* `answer`: reads the other side's answer on a connection that we opened (no label header). */
struct stream_in *stream_in_new(const struct frame_config *, bool answer);
void stream_in_free(struct stream_in *);

/* Feeds bytes. 1: *out is whole (borrowed until freed), what follows it is not read; 0: more is
 * needed; < 0 as frame_open(), ERR_STATE when it was whole before. A stream that failed has no more
 * to say: close it. */
int stream_in_feed(struct stream_in *, struct str bytes, struct stream_request *out, struct err *);

/* Bytes that it keeps in memory, for limits over many streams. */
size_t stream_in_held(const struct stream_in *);

/* Appends a whole request or answer, framed. */
int stream_write(const struct frame_config *, const struct stream_request *, bool answer,
    struct buf *out, struct err *);

#endif

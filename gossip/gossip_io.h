/* gossip/gossip_io.h -- shell: the pool's datagrams and streams, framed and unframed.
 *
 * One UDP socket and one TCP listener on the same address and port. Datagrams are opened
 * (frame.h) before they are handed in, and sealed on their way out; all leave from the bound socket.
 * A refused datagram (ICMP port unreachable) and a refused connection are told: they are evidence
 * (swim_refused()). Streams carry one request and at most one answer each (stream.h). Everything
 * has a limit; what passes it is counted and dropped or closed, and logged once a minute and
 * source at most.
 */
#ifndef GOSSIP_GOSSIP_IO_H
#define GOSSIP_GOSSIP_IO_H

#include <event2/event.h>

#include "base/nsec.h"
#include "gossip/frame.h"
#include "gossip/stream.h"

#define GOSSIP_STREAMS_MAX 128         /* that others opened and that are not finished */
#define GOSSIP_STREAMS_PER_HOST_MAX 32 /* of them, of one address */
#define GOSSIP_OPEN_MAX 64             /* that we opened; further ones wait their turn */
#define GOSSIP_OPEN_WAIT_MAX 1024      /* who wait; past it closed() says GOSSIP_BROKEN */
#define GOSSIP_STREAM_TIME (10 * NSEC_SEC) /* for a stream of others, from accept to close */
#define GOSSIP_LINGER_TIME NSEC_SEC        /* of it, to take our ERROR away */
#define GOSSIP_BYTES_MAX (256 * 1024 * 1024) /* held by all streams together */
#define GOSSIP_READ_TURN 64            /* datagrams read before timers have their turn */

struct gossip_io;

enum gossip_why { GOSSIP_DONE, GOSSIP_REFUSED, GOSSIP_TIMEOUT, GOSSIP_BROKEN };

struct gossip_io_config {
	struct event_base *base;
	struct addr bind;                 /* with port; any address is fine */
	const struct frame_config *frame; /* borrowed; may change between calls, but keys and label
	                                   * that were in it live as long as we do */
	nsec stream_time;                 /* 0: GOSSIP_STREAM_TIME */
	size_t bytes_max;                 /* 0: GOSSIP_BYTES_MAX */
	void *arg;
	/* A datagram, unframed down to single messages (walked out of compounds): called for each
	 * message in its order, then turn_done() once after a turn's reading, so that cores are
	 * drained once. Bytes are borrowed for the call. refused() comes in turns of its own, from
	 * the loop, never from inside gossip_io_send(). */
	void (*message)(void *arg, const struct addr *from, struct str message);
	void (*turn_done)(void *arg);
	void (*refused)(void *arg, const struct addr *peer); /* nobody listens there */
	/* A request that somebody else sent is whole. Returns true and fills *answer (its slices in
	 * the arena, or borrowed until the next call) when there is one. `from` is only good for
	 * limits and the log: ports and addresses of streams identify nobody. */
	bool (*request)(void *arg, const struct addr *from, const struct stream_request *,
	    struct arena *, struct stream_request *answer);
	/* Our stream `id` is connected: what to send. False: close it. */
	bool (*opened)(void *arg, uint64_t id, struct arena *, struct stream_request *out);
	/* Our stream is over. GOSSIP_DONE: the answer, or NULL where none came before the end; a
	 * peer that refuses what we sent may answer with WIRE_ERROR. GOSSIP_REFUSED: nobody
	 * listens there; a connection that is cut later is GOSSIP_BROKEN. */
	void (*closed)(
	    void *arg, uint64_t id, enum gossip_why, const struct stream_request *answer);
};

int gossip_io_new(const struct gossip_io_config *, struct gossip_io **out, struct err *);
struct addr gossip_io_address(const struct gossip_io *); /* bound; the port that was free for 0 */
/* Not from a callback. Streams under way are dropped without a word. */
void gossip_io_free(struct gossip_io *);

/* One datagram: sealed and sent, or counted when the socket is full. `crc`: the peer knows it. */
void gossip_io_send(struct gossip_io *, const struct addr *peer, struct str message, bool crc);
/* Opens a stream; `want_answer`: reads one before it closes. closed() follows once, at most
 * `time_max` from now, never from inside this call. */
void gossip_io_open(struct gossip_io *, uint64_t id, const struct addr *peer, bool want_answer,
    nsec time_max);

struct gossip_io_stats {
	uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out, stream_bytes_in, stream_bytes_out;
	uint64_t unopened;    /* datagrams that did not open: wrong key, malformed, too deep */
	uint64_t truncated;   /* parts that a compound announced and did not carry, or refused */
	uint64_t send_full;   /* datagrams that found the socket's buffer full */
	uint64_t send_failed; /* that had no way, or were too long */
	uint64_t refused;     /* ICMP said that nobody listens */
	uint64_t streams_in, streams_out;
	uint64_t streams_refused; /* of others, closed because of a limit */
	uint64_t streams_broken;  /* of either side: malformed, cut, or too slow */
	size_t streams_now, opens_now, bytes_now;
};
struct gossip_io_stats gossip_io_stats(const struct gossip_io *);

#endif

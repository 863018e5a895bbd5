/* kv/spread.h -- how the catalog's changes reach every other agent: a core without I/O.
 *
 * Peers are known by their ids; what reaches them, and how, is the caller's affair (agent/pool/pool.h).
 * Three ways, each making up for the one before (RULES 1, 2, 6):
 *
 *     push      the moment something changes, in datagrams along a tree over the ring of peer ids:
 *               each peer gets the payload once, and passes it on at once to the stretch of the
 *               ring that came with it. In a small pool: one datagram to each.
 *     announce  a moment later, to a few peers at random: (owner, epoch, number) of what was new.
 *               Whoever is behind asks. So is what was too large, or too much, to be pushed.
 *     repair    now and then, and whenever a peer comes (back): a hash over all digests; where it
 *               differs, hashes of buckets of owners; then the digests of what differs; then
 *               ranges. Small ones in datagrams, the rest on a stream of request and answer.
 *
 * After every call that feeds it: drain spread_action_next(), then re-arm the one timer with
 * spread_deadline(). Bytes in an action are borrowed until the next call that feeds. Every message
 * names its sender's id; nothing else about it is trusted but what RULES allow any agent to say.
 *
 * Sources: scuttlebutt reconciliation (van Renesse et al., 2008); eager and lazy push as Plumtree
 * (Leitao et al., 2007), with the tree computed instead of learned.
 */
#ifndef KV_SPREAD_H
#define KV_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/nsec.h"
#include "base/uuid.h"
#include "kv/store.h"

#define SPREAD_DATAGRAM_MAX 1300           /* bytes of one message, unless the config says less */
#define SPREAD_STREAM_MAX (4 * 1024 * 1024) /* bytes of a stream's request or answer, about; a
                                             * whole state is never cut and may pass it */
#define SPREAD_PEERS_MAX 65536

struct spread_config {
	struct store *store; /* borrowed */
	struct uuid self;
	size_t datagram_max;   /* 0: SPREAD_DATAGRAM_MAX; at least 700 */
	unsigned direct_max;   /* up to so many peers: one datagram to each; 0: 32 */
	unsigned fanout;       /* in larger pools: branches of the tree; 0: 8 */
	unsigned announce_to;  /* peers that an announcement goes to; 0: 3 */
	nsec announce_after;   /* 0: 100 ms */
	nsec repair_interval;  /* 0: 5 s, spread by a quarter; the first soon after a peer is there */
	uint64_t push_rate;    /* bytes per second, all copies counted; 0: 8 MiB */
	uint64_t push_burst;   /* bytes; 0: 1 MiB */
	bool plain;            /* for measuring only: gossip to fanout peers at random, no tree */
};

enum spread_action_kind {
	SPREAD_SEND,     /* one datagram message to peer */
	SPREAD_ASK,      /* a stream's request to peer; its answer, or that there is none, comes to
	                  * spread_answer() with the same ask number. At most a few at once */
	SPREAD_SYNCED,   /* one whole digest exchange with peer is done (RULES 13); each time */
	SPREAD_RESTARTS, /* peer says that it stops and will be back within `span` (RULES 17); the
	                  * life that it ends has this `epoch` */
	SPREAD_BURIED,   /* somebody holds a certificate of our own death at or above our epoch, or
	                  * records of an epoch of ours above it (an older disk was put back): begin
	                  * a new one above `epoch` (RULES 1, 6); said once for each */
	SPREAD_CLONED,   /* somebody writes, or wrote, under our id and epoch counter: the disk was
	                  * copied or restored (RULES 1). Once for each counter: `epoch` */
};

struct spread_action {
	enum spread_action_kind kind;
	struct uuid peer;
	struct str bytes;
	uint64_t ask;
	nsec span;
	uint64_t epoch; /* counter */
};

struct spread;

struct spread *spread_new(const struct spread_config *, uint64_t seed, struct now);
void spread_free(struct spread *); /* NULL is fine */

/* Members that speak this protocol. UP: pushed to, passed through, asked. DOUBTFUL (suspect):
 * still told, but nobody is reached through it. DOWN: forgotten. Coming UP starts a comparison
 * with it; with the first one by stream, whole (SPREAD_SYNCED). */
enum spread_peer_state { SPREAD_DOWN, SPREAD_DOUBTFUL, SPREAD_UP };
void spread_peer(struct spread *, struct now, const struct uuid *id, enum spread_peer_state);
/* Compares with this peer now, by stream, all digests: joining, or contact after a break. */
void spread_sync(struct spread *, struct now, const struct uuid *peer);

/* This peer has newer records of its own: asks for them now, by stream. */
void spread_pull(struct spread *, struct now, const struct uuid *peer);

/* The store has news (store_news_next(), the baseline, certificates): tells it. Call after every
 * change of the store that did not come through here. */
void spread_changed(struct spread *, struct now);
/* We stop and will be back within `span`: to every peer, at once. */
void spread_restarting(struct spread *, struct now, nsec span);

/* A datagram's message. Malformed ones are counted and dropped. */
void spread_input(struct spread *, struct now, struct str bytes);
/* A stream's request; what is appended to `answer` goes back on the same stream. ERR_INPUT. */
int spread_request(
    struct spread *, struct now, struct str bytes, struct buf *answer, struct err *);
/* To SPREAD_ASK. failed: there was no answer (bytes empty). */
void spread_answer(struct spread *, struct now, uint64_t ask, struct str bytes, bool failed);

/* What rides in membership's push/pull beside its own state (small: hashes of buckets and the
 * certificates); and a peer's. */
void spread_digest_write(struct spread *, struct now, struct buf *out);
void spread_digest_read(struct spread *, struct now, struct str bytes);

void spread_tick(struct spread *, struct now);
nsec spread_deadline(const struct spread *);
bool spread_action_next(struct spread *, struct spread_action *out);

struct spread_stats {
	uint64_t malformed;              /* messages dropped */
	uint64_t pushed, passed, announced, wanted, ranges, asks, repairs, held_back;
	uint64_t bytes_out;              /* datagrams, all copies */
	uint64_t applied_push, applied_repair; /* records */
};
struct spread_stats spread_stats(const struct spread *);

#endif

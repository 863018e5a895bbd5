/* kv/spread_priv.h -- the inside of spread*.c.
 *
 * Who does what: spread.c life, peers, actions, timers; spread_wire.c the messages' shapes and
 * their table; spread_push.c changes down the tree; spread_want.c who announces and who asks;
 * spread_repair.c hashes and digests; spread_stream.c requests and answers of streams.
 */
#ifndef KV_SPREAD_PRIV_H
#define KV_SPREAD_PRIV_H

#include <bsd/sys/queue.h>

#include "base/cursor.h"
#include "base/rng.h"
#include "kv/delta.h"
#include "kv/spread.h"

#define SPREAD_OUT_MAX ((size_t)64 * 1024 * 1024) /* bytes of actions that wait to be fetched */
#define SPREAD_STREAM_CAP (19 * 1024 * 1024) /* a whole state within one message of a stream */
#define SPREAD_RUMORS_MAX 512   /* owners to be announced */
#define SPREAD_RUMOR_ROUNDS 2   /* how often each */
#define SPREAD_WANTS_MAX 1024   /* owners asked for and not yet had */
#define SPREAD_WANTS_STREAM 64  /* wanted of one peer at once: beyond it by stream */
#define SPREAD_WANT_TRIES 4
#define SPREAD_WANT_RETRY (250 * NSEC_MS) /* doubled each time */
#define SPREAD_RANGES_MAX 8     /* datagrams that answer one message */
#define SPREAD_ASKS_MAX 64      /* streams under way and waiting */
#define SPREAD_ASKS_RUNNING 4
#define SPREAD_ASK_OWNERS 64    /* named in one request; beyond it all */
#define SPREAD_ASK_SPAN (2 * NSEC_MIN)
#define SPREAD_ASK_ROUNDS 10000
#define SPREAD_CERTIFICATES 128 /* in one message */
#define SPREAD_CERTIFICATE_LEFT_MIN NSEC_MIN /* one near its end travels no more: none is renewed */
#define SPREAD_COMPARE_STEP (10 * NSEC_MS) /* per peer: how newcomers' greetings are spread */
#define SPREAD_SOON NSEC_SEC    /* the next repair after one that brought news */
#define SPREAD_RESTART_MAX (10 * NSEC_MIN)
#define SPREAD_SAID_MAX 32 /* words about restarts that are remembered */
#define SPREAD_SAID_KEEP (2 * NSEC_SEC)

struct spread_peer {
	struct uuid id;
	enum spread_peer_state state; /* UP or DOUBTFUL */
	nsec compare_at;              /* NSEC_NEVER: no comparison is due */
};

struct spread_out {
	STAILQ_ENTRY(spread_out) link;
	struct spread_action action;
	char bytes[];
};
STAILQ_HEAD(spread_outs, spread_out);

struct spread_rumor {
	struct uuid owner;
	unsigned left; /* rounds */
	bool urgent;   /* was not pushed: at the end of this call, to all */
};

struct spread_want {
	struct uuid owner, peer;
	struct epoch epoch; /* what is to be had */
	uint64_t number;
	bool whole;         /* equal number, other hash */
	bool due;           /* to be asked for at the end of this call */
	unsigned tries;
	nsec retry_at;
};

enum spread_phase { SPREAD_QUEUED, SPREAD_SYNCING, SPREAD_GIVING };
struct spread_ask {
	TAILQ_ENTRY(spread_ask) link;
	uint64_t id; /* 0 while it waits */
	struct uuid peer;
	enum spread_phase phase;
	struct delta_scope scope;
	struct uuid owners[SPREAD_ASK_OWNERS]; /* listed */
	size_t owner_count;
	struct buf lacks; /* digests of what the peer lacks */
	size_t lacks_pos;
	uint64_t lacks_after; /* of the one there: how far it was given; 0: not begun */
	bool more;            /* the peer has more for us */
	unsigned rounds;
	nsec until;
};

struct spread_sums {
	bool valid;
	uint64_t version; /* store_version() then */
	uint64_t bucket[DELTA_BUCKETS];
	uint64_t all;
	size_t bytes; /* of all digests */
};

struct spread {
	struct spread_config config; /* no zeros left in it */
	struct store *store;
	struct rng rng;
	uint8_t *room; /* one datagram being written */

	struct spread_peer *peers; /* sorted by id */
	size_t peer_count, peer_cap, up_count;
	nsec compare_next; /* no peer's compare_at is before it */

	struct spread_outs out, given; /* given: fetched, borrowed until the next call */
	size_t out_bytes;

	uint64_t tokens; /* bytes that may be pushed now */
	nsec tokens_at;

	struct spread_rumor rumors[SPREAD_RUMORS_MAX];
	size_t rumor_count;
	nsec announce_at;

	struct spread_want *wants;
	size_t want_count, want_cap;

	TAILQ_HEAD(spread_asks, spread_ask) asks;
	size_t ask_count, ask_running;
	uint64_t ask_last;
	bool synced;      /* a whole exchange was done */
	bool sync_owed;   /* one was asked for and failed */
	unsigned sync_failures;
	nsec sync_at;

	struct spread_sums sums;
	nsec repair_at;

	struct spread_said {
		struct uuid by;
		uint64_t ms, epoch;
		nsec until;
	} said[SPREAD_SAID_MAX];

	uint64_t cloned; /* the last counter of ours that was told so */
	uint64_t buried; /* told up to this counter */
	struct spread_stats stats;
};

/* spread.c */
void spread_step_begin(struct spread *);            /* every call that feeds starts so */
void spread_step_end(struct spread *, struct now); /* and ends so */
void spread_send(struct spread *, const struct uuid *to, struct str bytes);
struct spread_action *spread_emit(struct spread *, enum spread_action_kind,
    const struct uuid *peer, struct str bytes); /* NULL: too much waits already */
size_t spread_peer_at(const struct spread *, const struct uuid *); /* first not below it */
struct spread_peer *spread_peer_find(struct spread *, const struct uuid *);
struct spread_peer *spread_peer_random(struct spread *, const struct uuid *but); /* UP, or NULL */
void spread_compare_at(struct spread *, struct spread_peer *, nsec);
/* True when the owner is ourselves; then also what this epoch and number mean for us is told. */
bool spread_is_self(struct spread *, const struct uuid *owner, struct epoch, uint64_t number);
struct digest spread_held(const struct spread *, const struct uuid *owner); /* zeros: nothing */
/* The owner's records were touched: when that was news here, it will be announced. */
bool spread_noted(struct spread *, struct now, const struct digest *before, bool announce);

/* spread_wire.c: the shapes. */
enum spread_message {
	SPREAD_M_PUSH = 1,       /* stretch's end (16), groups */
	SPREAD_M_BASELINE = 2,   /* stretch's end (16), owner (16), epoch, be64 hash */
	SPREAD_M_ANNOUNCE = 3,   /* digests */
	SPREAD_M_WANT = 4,       /* digests of what is held; number: what follows it is wanted */
	SPREAD_M_RANGE = 5,      /* ranges, each with a varint length before it */
	SPREAD_M_TOO_MUCH = 6,   /* owners (16): ask for them by stream */
	SPREAD_M_SUMMARY = 7,    /* be64 hash over all digests */
	SPREAD_M_BUCKETS = 8,    /* 64 times be64 */
	SPREAD_M_DIGESTS = 9,    /* be64 buckets, digests of all owners in them */
	SPREAD_M_RESTARTING = 10, /* varint milliseconds, varint counter of our epoch */
	SPREAD_M_SYNC = 32,      /* stream: be64 buckets, flags (1: listed), certificates, digests */
	SPREAD_M_ANSWER = 33,    /* flags (1: more), certificates, varint count, digests held of what
	                          * we lack, ranges */
	SPREAD_M_GIVE = 34,      /* ranges */
	SPREAD_M_GIVEN = 35,     /* nothing */
	SPREAD_M_STATE = 48,     /* push/pull: 64 times be64, certificates */
	SPREAD_M_CERTIFICATES = 11, /* datagram: certificates */
};
#define SPREAD_HEAD 17          /* kind and sender's id */
#define SPREAD_STOP SPREAD_HEAD /* where the stretch's end stands */

struct spread_kind {
	enum spread_message kind;
	/* The reader stands behind the head. False: malformed, and nothing was done. */
	bool (*take)(struct spread *, struct now, const struct uuid *sender, struct reader *,
	    struct str message);
};
const struct spread_kind *spread_kind_find(uint8_t kind); /* datagrams; NULL: unknown */

void spread_head_write(const struct spread *, struct writer *, enum spread_message);
bool spread_head_read(struct reader *, uint8_t *kind, struct uuid *sender);
struct writer spread_begin(struct spread *, enum spread_message); /* in s->room */
void spread_id_write(struct writer *, const struct uuid *);
struct uuid spread_id_read(struct reader *);
void spread_epoch_write(struct writer *, const struct epoch *);
struct epoch spread_epoch_read(struct reader *);

/* A group of a PUSH: owner, epoch, varint after, be16 length of records, records. */
struct spread_group {
	struct uuid owner;
	struct epoch epoch;
	uint64_t after, last;
	struct str records;
};
#define SPREAD_GROUP_HEAD_MAX (16 + 10 + 8 + 10 + 2)
bool spread_group_read(struct reader *, struct spread_group *out);
bool spread_digests_ok(struct reader, bool sorted); /* all the rest; the reader is a copy */
bool spread_ranges_ok(struct reader);
bool spread_range_next(struct reader *, struct str *out);
/* varint count; each id, epoch, varint seconds left. */
void spread_certificates_write(struct spread *, struct now, struct buf *);
bool spread_certificates_ok(struct reader *); /* passes over them */
void spread_certificates_take(struct spread *, struct now, struct reader *);
/* Somebody spoke of what a certificate keeps away: tells the owner, when it is there, or them. */
void spread_certify(struct spread *, struct now, const struct uuid *to, const struct uuid *owner,
    struct epoch);
/* Into a buf, by the largest size it may have. */
void spread_digest_add(struct buf *, const struct digest *);

/* spread_push.c */
bool spread_push_take(struct spread *, struct now, const struct uuid *sender, struct reader *,
    struct str message);
bool spread_baseline_take(struct spread *, struct now, const struct uuid *sender, struct reader *,
    struct str message);

/* spread_want.c */
void spread_rumor(struct spread *, struct now, const struct uuid *owner);
/* It could not be pushed: announced at the end of the call. */
void spread_announce_now(struct spread *, struct now, const struct uuid *owner);
void spread_announce_urgent(struct spread *, struct now);
void spread_announce_tick(struct spread *, struct now);
void spread_want(struct spread *, struct now, const struct uuid *peer, const struct digest *what,
    bool whole);
void spread_want_drop(struct spread *, const struct uuid *owner);
void spread_wants_flush(struct spread *, struct now);
void spread_wants_tick(struct spread *, struct now);
nsec spread_wants_deadline(const struct spread *);
/* Another's digest: what it has more of is wanted of it. */
enum delta_verdict spread_digest_take(
    struct spread *, struct now, const struct uuid *sender, const struct digest *);
/* A range came in. False: malformed. By datagram what is missing is asked for at once; a stream
 * goes on by itself. What we learn first, being new here, is no news to others. */
enum spread_via { SPREAD_DATAGRAM, SPREAD_STREAM, SPREAD_FIRST };
bool spread_range_take(struct spread *, struct now, const struct uuid *sender, struct str range,
    enum spread_via);

/* Ranges out, as few datagrams as hold them. */
struct spread_giving {
	const struct uuid *to;
	struct buf out;      /* the RANGE being filled */
	struct buf too_much; /* the TOO_MUCH */
	unsigned sent;
};
void spread_giving_begin(struct spread *, struct spread_giving *, const struct uuid *to);
void spread_giving_owner(struct spread *, struct spread_giving *, const struct digest *theirs);
void spread_giving_end(struct spread *, struct spread_giving *);

bool spread_announce_take(struct spread *, struct now, const struct uuid *sender, struct reader *,
    struct str message);
bool spread_want_take(struct spread *, struct now, const struct uuid *sender, struct reader *,
    struct str message);
bool spread_ranges_take(struct spread *, struct now, const struct uuid *sender, struct reader *,
    struct str message);
bool spread_too_much_take(struct spread *, struct now, const struct uuid *sender, struct reader *,
    struct str message);

/* spread_repair.c */
const struct spread_sums *spread_sums(struct spread *);
void spread_compare(struct spread *, const struct uuid *peer); /* a SUMMARY to it */
void spread_repair_soon(struct spread *, struct now);
void spread_repair_tick(struct spread *, struct now);
nsec spread_repair_pause(struct spread *);
bool spread_summary_take(struct spread *, struct now, const struct uuid *sender, struct reader *,
    struct str message);
bool spread_buckets_take(struct spread *, struct now, const struct uuid *sender, struct reader *,
    struct str message);
bool spread_digests_take(struct spread *, struct now, const struct uuid *sender, struct reader *,
    struct str message);

/* spread_stream.c */
void spread_ask_all(struct spread *, const struct uuid *peer);
void spread_ask_buckets(struct spread *, const struct uuid *peer, uint64_t buckets);
void spread_ask_owner(struct spread *, const struct uuid *peer, const struct uuid *owner);
bool spread_ask_all_pending(const struct spread *);
void spread_asks_start(struct spread *, struct now);
void spread_asks_tick(struct spread *, struct now);
nsec spread_asks_deadline(const struct spread *);
void spread_asks_forget(struct spread *, const struct uuid *peer); /* that wait for it */
void spread_ask_free(struct spread *, struct spread_ask *);

#endif

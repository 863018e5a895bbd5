/* agent/pool/join_private.h -- what join.c and join_round.c share. */
#ifndef AGENT_JOIN_PRIVATE_H
#define AGENT_JOIN_PRIVATE_H

#include <bsd/sys/queue.h>

#include "agent/pool/join.h"
#include "base/buf.h"
#include "base/rng.h"

#define JOIN_WHY_MAX 2048   /* bytes of reasons that a round keeps */
#define JOIN_REASON_MAX 256 /* bytes of one */

enum lane_kind { LANE_KNOWN, LANE_CONFIG, LANE_REQUEST, LANE_COUNT };

enum round_kind { ROUND_ONCE, ROUND_RETRY, ROUND_KNOWN, ROUND_SLOW, ROUND_REQUEST };

struct round {
	enum round_kind kind;
	uint64_t id; /* REQUEST: whom to answer */
	size_t open; /* tries that are not over, and one while it is being filled */
	unsigned joined, failures;
	bool self;         /* a target was ourselves */
	struct addr *seen; /* owned: each is tried once */
	size_t seen_count, seen_cap;
	struct buf why; /* reasons, each ended by a newline */
};

struct attempt {
	TAILQ_ENTRY(attempt) link;
	struct round *round;
	uint64_t id;
	nsec until;       /* under way: the latest answer */
	char *host;       /* owned; NULL: addr */
	struct addr addr; /* of a name only the port counts */
};
TAILQ_HEAD(attempt_list, attempt);

struct lane {
	struct attempt_list waiting, under_way;
	size_t width, now; /* under way at most, and now */
};

struct target {
	char *text; /* owned */
	struct join_target at;
};

struct known {
	struct addr addr;
	bool live; /* a member there is alive, as far as we were told */
};

struct out {
	TAILQ_ENTRY(out) link;
	struct join_action action;
	char *bytes; /* owned: host or text */
};
TAILQ_HEAD(out_list, out);

struct join {
	struct target *once, *retry; /* owned */
	size_t once_count, retry_count;
	uint16_t port;
	struct addr self;
	nsec retry_interval, retry_wait;
	unsigned retry_max, retry_attempts;
	bool retry_done, awaits, alone, slow_running;
	struct known *known; /* oldest first, up to the maximum; then a ring */
	size_t known_count, known_cap, known_next, known_cursor, lost_cursor;
	size_t requests; /* rounds of `muster join` under way */
	struct lane lanes[LANE_COUNT];
	nsec retry_at, slow_at;
	uint64_t last_id;
	struct rng rng;
	struct out_list out;
	struct out *given; /* lent to the caller by the last join_action_next() */
};

static inline bool
join_addr_eq(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_eq_ip(a, b);
}

nsec join_spread(struct join *, nsec); /* give or take a sixteenth */
struct join_action *join_put(struct join *, enum join_action_kind, uint64_t id, struct str);
void join_log(struct join *, enum log_level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct known *join_known_find(const struct join *, const struct addr *);
void join_known_add(struct join *, const struct addr *, bool live);

/* A new round is held open until the first join_round_less(); it may be gone after each. */
struct round *join_round_new(struct join *, enum round_kind);
void join_round_add(struct join *, struct round *, const struct addr *);
void join_round_add_target(struct join *, struct round *, const struct join_target *);
void join_round_reason(struct round *, struct str line);
void join_round_less(struct join *, nsec now, struct round *);
void join_round_free(struct round *);
void join_attempt_free(struct attempt *);
void join_run(struct join *, nsec now); /* starts what waits, as far as the lanes are wide */

#endif

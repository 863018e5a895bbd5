/* agent/pool/join.h -- whom to join, when, and when again: a core without I/O.
 *
 * Targets are -join (once, all tried; none reached is an error that ends the start, as in Consul),
 * -retry-join (for ever, every retry interval, until one answers), what `muster join` asks
 * for, and the members known from our last life. A name has all its addresses tried. While
 * nobody is there all targets and the last known addresses are tried again slowly, for ever; while
 * somebody is, those of reaped members, slower still: a pool that was cut for longer than members
 * are remembered finds itself again (RULES 6).
 *
 * After every call that feeds it: drain join_action_next(), re-arm with join_deadline(). What an
 * action points to is borrowed until the next call.
 */
#ifndef AGENT_JOIN_H
#define AGENT_JOIN_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "base/nsec.h"
#include "base/str.h"

#define JOIN_TARGETS_MAX 256  /* of one kind */
#define JOIN_TARGET_LEN_MAX 512 /* bytes of one */
#define JOIN_KNOWN_MAX 1024   /* last known addresses */
#define JOIN_ADDRS_MAX 16     /* of one name */
#define JOIN_REQUESTS_MAX 64  /* of `muster join`, under way at once */
#define JOIN_SLOW (60 * NSEC_SEC) /* alone: between one try of everybody and the next */
#define JOIN_SLOWER (10 * NSEC_MIN) /* not alone: between two tries of somebody lost */

struct join_config {
	const struct str *once, *retry; /* HOST, HOST:PORT, ADDRESS, [V6]:PORT; copied */
	size_t once_count, retry_count;
	uint16_t port;        /* where a target names none */
	struct addr self;     /* never joined */
	nsec retry_interval;  /* 0: 30 s */
	unsigned retry_max;   /* 0: no end */
	const struct addr *known; /* of our last life, newest first; copied */
	size_t known_count;
};

enum join_action_kind {
	JOIN_RESOLVE, /* host: join_resolved() with this id */
	JOIN_TRY,     /* addr: join_tried() with this id */
	JOIN_ANSWER,  /* to join_request() `id`: `joined` peers, or 0 and text */
	JOIN_FAILED,  /* -join reached nobody, or -retry-join gave up: text. The start fails */
	JOIN_LOG,     /* level, text: a line for the log */
};
struct join_action {
	enum join_action_kind kind;
	uint64_t id;
	struct str host, text;
	struct addr addr;
	unsigned joined;
	enum log_level level;
};

/* One target taken apart: *addr with its port, or *host (a part of the text) and *port. ERR_INPUT
 * with a sentence. */
struct join_target {
	struct addr addr; /* family ADDR_NONE: a name */
	struct str host;
	uint16_t port;
};
int join_target_parse(
    struct str text, uint16_t port_default, struct join_target *out, struct err *);

struct join;

struct join *join_new(const struct join_config *, uint64_t seed, nsec now);
void join_free(struct join *); /* NULL is fine */

bool join_awaits(const struct join *); /* there is, or was, somebody to join (RULES 13) */
/* addresses (their ports do not count), or none and why */
void join_resolved(
    struct join *, nsec now, uint64_t id, const struct addr *, size_t count, const char *why);
void join_tried(struct join *, nsec now, uint64_t id, bool ok, struct str why);
uint64_t join_request(struct join *, nsec now, struct str target); /* JOIN_ANSWER follows */
/* How many others are alive in the pool now. */
void join_others(struct join *, nsec now, size_t alive);
/* A member is alive there: the address is kept. And: it died, or was reaped. */
void join_known(struct join *, nsec now, const struct addr *);
void join_lost(struct join *, nsec now, const struct addr *);
void join_tick(struct join *, nsec now);
nsec join_deadline(const struct join *);
bool join_action_next(struct join *, struct join_action *out);

#endif

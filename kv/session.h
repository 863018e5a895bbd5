/* kv/session.h -- sessions: what a lock is held by.
 *
 * The table is part of the replicated state: creation and end come in as operations of the log.
 * What is evidence enough to end a session is decided outside (RULES 7). The deadlines are not
 * replicated: they belong to the leader, begin in full with sessions_lead() and are renewed
 * without a log entry, as in Consul. A session never ends before its TTL has passed without a
 * renewal; the end is due SESSION_GRACE before twice the TTL, so that it is in the log by then.
 *
 * After sessions_lead(), session_renew() or a session's creation: re-arm the one timer with
 * sessions_deadline(); when it fires, propose the end of each session_expired_next().
 */
#ifndef KV_SESSION_H
#define KV_SESSION_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/nsec.h"
#include "base/str.h"
#include "base/uuid.h"
#include "kv/watch.h"

#define SESSION_TTL_MIN (10 * NSEC_SEC)
#define SESSION_TTL_MAX (86400 * NSEC_SEC)
#define SESSION_GRACE NSEC_SEC       /* of a TTL of 10 s or more; a tenth of a shorter one */
#define SESSION_END_RETRY NSEC_SEC   /* an end that was proposed and did not come */
#define SESSION_TEXT_MAX 1024        /* bytes of a name, node, TTL or check id */
#define SESSION_CHECKS_MAX 256       /* of either kind */

enum session_behavior { SESSION_RELEASE, SESSION_DELETE };

/* Ids of checks as they are encoded: varint length and bytes, one after the other. */
struct session_checks {
	bool null;        /* null in JSON, not [] */
	size_t count;
	struct str bytes; /* read with session_check_next() */
};

/* What a client sees. Slices are borrowed from whoever filled it. */
struct session_info {
	struct uuid id;
	struct str name, node;
	struct str ttl_text; /* as it was sent: "10.0s" */
	nsec ttl;            /* 0: none */
	nsec lock_delay;     /* as sent, uncapped; >= 0 */
	enum session_behavior behavior;
	struct session_checks node_checks, service_checks;
	uint64_t create, modify; /* set by the table */
};

struct key_entry;
struct session {
	struct session_info info;           /* slices point behind the struct */
	LIST_HEAD(, key_entry) keys;        /* what it holds; keys.c links them */
	RB_ENTRY(session) by_id, by_node;
	RB_ENTRY(session) by_due;           /* only with a TTL and a leader */
	nsec due;
	bool timed, ending;                 /* in by_due; its end has been proposed */
};

struct sessions;

struct sessions *sessions_new(struct watches *); /* watches: borrowed, may be NULL */
void sessions_free(struct sessions *);
void sessions_watches_set(struct sessions *, struct watches *);

/* A new session from a log entry. False: the id is taken. `now` only starts its deadline. */
bool session_add(struct sessions *, nsec now, uint64_t index, const struct session_info *);
/* Takes it out and frees it; it must hold no key. Wakes who waits. */
void session_remove(struct sessions *, uint64_t index, struct session *);
/* As session_add, from a snapshot: keeps create and modify, wakes nobody. */
bool session_load(struct sessions *, const struct session_info *);

struct session *session_find(const struct sessions *, const struct uuid *); /* NULL: none */
/* All in the order of their ids; those of one node likewise. NULL ends. */
struct session *session_first(const struct sessions *);
struct session *session_next(const struct sessions *, struct session *);
struct session *session_node_first(const struct sessions *, struct str node);
struct session *session_node_next(const struct sessions *, struct session *);
size_t session_count(const struct sessions *);

/* The index of the last change in the table: for lists and for what is not there. A session
 * that is there answers its own, by session_index(). */
uint64_t sessions_index(const struct sessions *);
void sessions_index_raise(struct sessions *, uint64_t index);
uint64_t session_index(const struct sessions *, const struct uuid *);

/* Deadlines, on the leader only. */
void sessions_lead(struct sessions *, nsec now); /* all TTLs begin in full */
void sessions_follow(struct sessions *);         /* no deadlines any more */
bool sessions_leading(const struct sessions *);
struct session *session_renew(struct sessions *, const struct uuid *, nsec now); /* NULL: gone
                                                                                     or ending */
nsec sessions_deadline(const struct sessions *);
/* A session whose time is over; until its end comes it cannot be renewed, and it is named again
 * after SESSION_END_RETRY. False: none. */
bool session_expired_next(struct sessions *, nsec now, struct uuid *out);

/* From the creation or last renewal to the proposed end: more than the TTL, less than twice. */
nsec session_span(nsec ttl);

bool session_check_next(struct reader *, struct str *id); /* of rd_of(checks.bytes) */

/* The wire form, without indexes. Reading refuses what is over a limit: state RD_BAD. */
void session_write(struct writer *, const struct session_info *);
size_t session_write_len(const struct session_info *);
void session_read(struct reader *, struct session_info *);

#endif

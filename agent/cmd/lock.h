/* agent/cmd/lock.h -- muster lock as a state machine without I/O: a session, a lock or a slot of a
 * semaphore, and a program that runs while it is held.
 *
 * The recipes are those of Consul's Go client, so both may contend for one lock: PREFIX/.lock with
 * flags LOCK_FLAGS is a lock, held by the session in the key; with SEMAPHORE_FLAGS it lists the
 * holders of a semaphore in JSON, and each contender holds the key PREFIX/<its session>.
 *
 * After every call that feeds it: drain lock_action_next(), re-arm with lock_deadline(). What an
 * action points to is borrowed until the next call that feeds. Two requests may be under way, one
 * in each slot.
 */
#ifndef AGENT_CMD_LOCK_H
#define AGENT_CMD_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/nsec.h"
#include "base/str.h"

#define LOCK_FLAGS UINT64_C(0x2ddccbc058a50c18)
#define SEMAPHORE_FLAGS UINT64_C(0xe0f69a2baa414de0)
#define LOCK_TTL (15 * NSEC_SEC)         /* of the session */
#define LOCK_WAIT (15 * NSEC_SEC)        /* of one blocking query */
#define LOCK_DELAY_RETRY (5 * NSEC_SEC)  /* after it was refused though nobody holds it */
#define LOCK_MONITOR_RETRY NSEC_SEC      /* between two tries to see it again */
#define LOCK_KILL_GRACE (5 * NSEC_SEC)   /* from SIGTERM to SIGKILL */
#define LOCK_ANSWER_TIME (30 * NSEC_SEC) /* for an answer that does not block */
#define LOCK_LIMIT_MAX 65536             /* holders of a semaphore */

struct lock_config {
	struct str prefix; /* without a slash before it; borrowed for lock_new() */
	struct str name;   /* of the session; likewise */
	unsigned limit;    /* 1: a lock; more: a semaphore with so many holders */
	nsec timeout;      /* for getting it; 0: none */
	unsigned monitor_retries;
	bool verbose;
};

enum lock_slot { LOCK_MAIN, LOCK_RENEW, LOCK_SLOTS };

enum lock_action_kind {
	LOCK_ASK,  /* slot, method, path, body, seconds: a request; lock_answer() follows */
	LOCK_DROP, /* slot: the request under way there is given up; no answer follows */
	LOCK_RUN,  /* starts the program; lock_child_ended() follows */
	LOCK_KILL, /* signal: to the program */
	LOCK_SAY,  /* text; error: to standard error */
	LOCK_DONE, /* ok: all went well; nothing happens any more */
};

struct lock_action {
	enum lock_action_kind kind;
	enum lock_slot slot;
	const char *method;
	struct str path, body, text;
	nsec time; /* ASK: the longest the answer may take */
	int signal;
	bool error, ok;
};

struct lock_answer {
	int status;      /* of HTTP; 0: nobody has answered */
	uint64_t index;  /* X-Consul-Index */
	struct str body; /* status 0: why */
};

struct lock;

struct lock *lock_new(const struct lock_config *, nsec now);
void lock_free(struct lock *); /* NULL is fine */
void lock_answer(struct lock *, nsec now, enum lock_slot, const struct lock_answer *);
void lock_child_ended(struct lock *, nsec now);
void lock_stop(struct lock *, nsec now); /* a signal asks us to end */
void lock_tick(struct lock *, nsec now);
nsec lock_deadline(const struct lock *);
bool lock_action_next(struct lock *, struct lock_action *out);

#endif

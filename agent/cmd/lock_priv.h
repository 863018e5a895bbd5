/* agent/cmd/lock_priv.h -- what lock.c, lock_ask.c, lock_take.c and lock_give.c share. */
#ifndef AGENT_CMD_LOCK_PRIV_H
#define AGENT_CMD_LOCK_PRIV_H

#include "agent/cmd/holders.h"
#include "agent/cmd/lock.h"
#include "agent/cmd/path.h"
#include "base/arena.h"
#include "base/json.h"

#define LOCK_ACTIONS_MAX 16 /* of one step */
#define LOCK_STEP_BYTES_MAX (64 * 1024 * 1024)
#define LOCK_SESSION_ID_MAX 64

enum lock_phase {
	PHASE_SESSION,
	PHASE_CONTEND,
	PHASE_READ,
	PHASE_TAKE,
	PHASE_DELAY,
	PHASE_HELD,  /* the program runs, and we ask whether it still is ours */
	PHASE_PAUSE, /* the same, between two tries */
	PHASE_KILL,
	PHASE_RELEASE_READ,
	PHASE_RELEASE,
	PHASE_RELEASE_KEY,
	PHASE_CLEAN_READ,
	PHASE_CLEAN,
	PHASE_DESTROY,
	PHASE_DONE,
};

struct lock {
	struct str prefix, name; /* owned */
	struct str key;          /* owned: PREFIX/.lock */
	unsigned limit, monitor_retries;
	nsec timeout;
	bool verbose;

	struct arena step; /* what this step's actions point to */
	struct lock_action actions[LOCK_ACTIONS_MAX];
	size_t action_count, action_at;

	enum lock_phase phase;
	bool asked[LOCK_SLOTS];
	char session[LOCK_SESSION_ID_MAX + 1];
	nsec ttl, renewed, renew_at; /* renewed: when that was last asked for with success */
	nsec renew_asked;
	nsec begun; /* getting it */
	unsigned reads;
	bool refused; /* by the last try to take it */
	nsec until;   /* of DELAY, PAUSE and KILL */
	uint64_t index;
	unsigned retries;
	bool stopping, killed, ok;
	bool gone; /* the session has ended, and whatever it held is free */
};

/* What stands in the key, as far as we need it. */
struct lock_state {
	bool there, ours, free;
	uint64_t modify;
	struct holders holders; /* of a semaphore */
};

/* lock_ask.c: words, requests, and what an answer says. */
bool lock_is_semaphore(const struct lock *);
void lock_act(struct lock *, struct lock_action);
void lock_say(struct lock *, bool error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The path is done with. */
void lock_ask(struct lock *, enum lock_slot, const char *method, struct buf *path, struct str body,
    nsec time);
void lock_drop(struct lock *, enum lock_slot);
void lock_kv_path(struct buf *, struct str key);        /* begins the path */
void lock_read_path(const struct lock *, struct buf *); /* of all that decides */
void lock_contender_path(const struct lock *, struct buf *);
void lock_add_wait(struct buf *, uint64_t index, nsec wait);
struct str lock_answer_why(struct lock *, const struct lock_answer *);
bool lock_answer_true(const struct lock_answer *);
/* False: *why says what is wrong. */
bool lock_state_read(
    struct lock *, const struct lock_answer *, struct lock_state *out, struct str *why);

/* lock_take.c: from the session to the program's start. */
void lock_session_ask(struct lock *, nsec now);
void lock_session_made(struct lock *, nsec now, const struct lock_answer *);
void lock_has_contended(struct lock *, nsec now, const struct lock_answer *);
void lock_read_ask(struct lock *, nsec now, uint64_t index);
void lock_was_read(struct lock *, nsec now, const struct lock_answer *);
void lock_was_taken(struct lock *, nsec now, const struct lock_answer *);
void lock_acquire_failed(struct lock *, struct str why);
void lock_acquire_over(struct lock *); /* no time is left, or we are asked to end */

/* lock.c */
void lock_monitor_ask(struct lock *, uint64_t index);

/* lock_give.c: from the program's end to the session's. */
void lock_release_ask(struct lock *);
void lock_release_was_read(struct lock *, const struct lock_answer *);
void lock_was_released(struct lock *, const struct lock_answer *);
void lock_clean_was_read(struct lock *, const struct lock_answer *);
void lock_was_cleaned(struct lock *, const struct lock_answer *);
void lock_session_destroy(struct lock *);
void lock_done(struct lock *);

#endif

/* agent/local/local_private.h -- what the files of local share.
 *
 *     local.c           the public calls, and memory
 *     local_input.c     what a registration may say, and Consul's defaults
 *     local_stage.c     a registration being carried out: store, journal, then memory
 *     local_state.c     status, output and time
 *     local_restore.c   to the journal and back
 *     local_remember.c  states of checks that others define, over a restart
 *
 * Only these include it.
 */
#ifndef AGENT_LOCAL_PRIVATE_H
#define AGENT_LOCAL_PRIVATE_H

#include "agent/local/change.h"
#include "agent/local/local.h"

#define STAGE_ARENA_MAX (4 * 1024 * 1024) /* bytes one registration may need */

enum local_journal_kind {
	JOURNAL_SERVICE = 1,
	JOURNAL_CHECK = 2,
	JOURNAL_STATE = 3,
	JOURNAL_COORDINATE = 4, /* key: empty; value: the record's body */
};

#define LOCAL_OUTPUT_MAX (CHECK_OUTPUT_MAX + 1024) /* with what is said around the kept bytes */

/* A check that whoever runs checks has to look at. */
struct local_news {
	STAILQ_ENTRY(local_news) link;
	size_t n;
	char id[];
};

RB_HEAD(local_services, local_service);
RB_HEAD(local_checks, local_check);
RB_HEAD(local_due, local_check);

/* A check out of the journal whose service is not there yet (Docker's come later). */
struct local_waiting {
	LIST_ENTRY(local_waiting) link;
	struct str id, service_id, value; /* in bytes */
	char bytes[];
};

/* What a check of Docker's or of a config file reported before the restart. */
struct local_remembered {
	RB_ENTRY(local_remembered) link;
	struct str id, output; /* in bytes */
	enum check_status status;
	uint64_t hash; /* of its definition */
	char bytes[];
};

RB_HEAD(local_remembered_tree, local_remembered);

struct local {
	struct local_config config;
	struct local_services services;
	struct local_checks checks;
	struct local_due due;
	size_t service_count;
	LIST_HEAD(, local_waiting) waiting;
	nsec waiting_until;   /* then they are forgotten */
	struct local_remembered_tree remembered;
	nsec remembered_until; /* then what is left is forgotten */
	bool journal_failing;  /* said in the log */
	STAILQ_HEAD(, local_news) news;
	struct local_news *told; /* handed out last */
};

int local_service_cmp(const struct local_service *, const struct local_service *);
int local_check_cmp(const struct local_check *, const struct local_check *);
int local_due_cmp(const struct local_check *, const struct local_check *);
RB_PROTOTYPE(local_services, local_service, link, local_service_cmp)
RB_PROTOTYPE(local_checks, local_check, link, local_check_cmp)
RB_PROTOTYPE(local_due, local_check, by_due, local_due_cmp)

/* ---- a registration being carried out (local_stage.c) ---- */

struct staged_check {
	struct check_def def;    /* defaults filled in; status and output empty */
	struct local_check *old; /* NULL: new */
	enum check_status status;
	struct str output;
	bool with_service, reported;
	bool def_same; /* what is checked is as it was */
	bool same;     /* that, and all that is shown */
	bool skip; /* named again later in the same registration */
};

struct stage {
	struct local *local;
	struct now now;
	enum local_source source;
	const struct service_info *info; /* NULL: only checks */
	struct local_service *service;   /* the one that is there; NULL: none */
	struct buf body;                 /* packed info */
	bool service_same;
	struct staged_check *checks;
	size_t check_count;
	bool replace_checks;
	struct arena arena;
	void *old_memory; /* of the service, until the stage is done */
	struct blob *old_body;
};

void stage_init(struct stage *, struct local *, struct now, enum local_source);
/* Then the caller sets info, checks and replace_checks. */
int stage_carry_out(struct stage *, struct err *); /* 1, 0 or an error: then nothing happened */
void stage_done(struct stage *);

/* Leaves news about a check that is `old` now, or was before it is dropped. */
void local_news_add(struct local *, struct local_check *);
/* Out of memory, lists and timers. */
void local_check_drop(struct local *, struct local_check *);
void local_service_drop(struct local *, struct local_service *);

/* ---- what a registration may say (local_input.c) ---- */

/* The service with defaults in *out, from the stage's arena. */
int input_service(
    struct stage *, const struct service_info *, struct service_info *out, struct err *);
/* One check of a service's registration (number `i` of `count`) or alone (service NULL). */
int input_check(struct stage *, const struct check_def *, const struct service_info *service,
    size_t i, size_t count, struct staged_check *out, struct err *);

/* ---- status and time (local_state.c) ---- */

/* The check as the store shall have it. */
void state_pack(struct buf *out, const struct check_def *, bool with_service, enum check_status,
    struct str output);
/* Deadlines of a check that was put: a new TTL, how long it has been critical. */
void state_begin(struct local *, struct local_check *, struct now);
void state_due_set(struct local *, struct local_check *);
void state_due_clear(struct local *, struct local_check *);

/* ---- the journal (local_restore.c); nothing to do without one ---- */

int keep_service(struct stage *, struct err *);
int keep_check(struct local *, const struct check_def *, enum check_status, struct str output,
    bool with_service, bool reported, struct err *);
int keep_coordinate(struct local *, struct str body, struct err *);
int keep_nothing(struct local *, enum local_journal_kind, struct str id, struct err *);
int keep_no_check(struct local *, struct str id, struct err *); /* nor its state */
/* Checks that waited for this service are put. */
void restore_waiting(struct local *, struct now, struct str service_id);
/* Those of a service, or the one with this id, are forgotten. */
void restore_waiting_drop(struct local *, struct str service_id, struct str check_id);
void restore_waiting_expire(struct local *, struct now);

/* ---- states of checks that are told anew after a start (local_remember.c) ---- */

int remember_keep(
    struct local *, const struct check_def *, enum check_status, struct str output, struct err *);
void remember_restore(struct local *, struct now); /* out of the journal, at the start */
/* The state of a check that is defined exactly so; NULL: none. */
const struct local_remembered *remember_of(struct local *, const struct check_def *);
void remember_taken(struct local *, struct str id); /* it has a check again */
nsec remember_deadline(const struct local *);
void remember_expire(struct local *, struct now);
void remember_done(struct local *);

#endif

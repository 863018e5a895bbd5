/* watcher/registrar.h -- keeps somebody else's Consul agent in step with the containers of this
 * host, as a state machine without I/O. What registrator does.
 *
 * Two tables side by side: which services there should be (the news of docker.h), and what the
 * backend is known to have (the answers to what was asked, and its list). Whatever happens is a
 * change of one of the two; what differs is asked for, at most one request for an id at a time. So
 * nothing is lost while the backend is away, however long, and what waits is bounded by the number
 * of ids.
 *
 *   no answer, or 429, 502-504   the backend is away: the list is asked for again and again, with
 *                                longer waits; what was under way counts as not done
 *   400-499 but 403, 408         refused: one warning; not sent again before it changes
 *   other errors                 sent again, with longer waits for this id
 *   the list                     asked for at first, after each absence, and from time to time:
 *                                what should be there and is not is registered again (an agent that
 *                                lost its memory); with `cleanup` ids of this host that nothing
 *                                here offers are deregistered
 *
 * Health of containers (DOCKER_NEWS_CHECK) is no business of registrator's and is left out.
 *
 * Usage: feed registrar_news(), registrar_answer(), registrar_tick(); after each of them drain
 * registrar_action_next(). What an action points to is borrowed until the next call that feeds.
 */
#ifndef WATCHER_REGISTRAR_H
#define WATCHER_REGISTRAR_H

#include "base/buf.h"
#include "base/log.h"
#include "base/nsec.h"
#include "watcher/docker.h"

#define REGISTRAR_SERVICES_MAX 65536
#define REGISTRAR_REQUESTS_MAX 8 /* under way at once */
#define REGISTRAR_BACKOFF_MIN (250 * NSEC_MS)
#define REGISTRAR_BACKOFF_MAX (15 * NSEC_SEC)
#define REGISTRAR_RETRY_MIN NSEC_SEC /* of one id */
#define REGISTRAR_RETRY_MAX (60 * NSEC_SEC)
#define REGISTRAR_LOOK_EVERY (10 * NSEC_SEC) /* the list, while all is well */
#define REGISTRAR_LIST_BYTES_MAX (64 * 1024 * 1024)

struct registrar_config {
	struct str host;    /* first part of our ids */
	bool cleanup;       /* -cleanup */
	bool keys;          /* consulkv://: keys instead of services */
	struct str prefix;  /* of the keys, without slashes around it */
	int retry_attempts; /* -retry-attempts: at start; below 0: for ever */
	nsec retry_interval;
};

enum registrar_action_kind {
	REGISTRAR_PING,    /* is there a backend? Any answer below 500 will do */
	REGISTRAR_LIST,    /* all services of the agent, or the names of all keys below name */
	REGISTRAR_PUT,     /* name: id or key; body: what to say of it */
	REGISTRAR_REMOVE,  /* name: id or key */
	REGISTRAR_SAY,     /* a line for the log */
	REGISTRAR_GIVE_UP, /* no backend in as many attempts as there may be: text says why */
};

struct registrar_action {
	enum registrar_action_kind kind;
	size_t slot; /* names the request in registrar_answer() */
	struct str name, body;
	enum log_level level; /* SAY */
	struct str text;      /* SAY, GIVE_UP */
};

struct registrar_stats {
	size_t services, waiting; /* that should be there; ids with something still to be done */
	uint64_t dropped;         /* over REGISTRAR_SERVICES_MAX */
};

struct registrar;

/* Slices in the config are copied. */
struct registrar *registrar_new(const struct registrar_config *, nsec now);
void registrar_free(struct registrar *); /* NULL is fine */

/* SERVICE, REMOVE and SYNCED count. */
void registrar_news(struct registrar *, nsec now, const struct docker_news *);
/* With its HTTP status; 0: none came, the body says why. */
void registrar_answer(struct registrar *, nsec now, size_t slot, int status, struct str body);
/* -resync: everything is registered again, and cleaned up. */
void registrar_resync(struct registrar *, nsec now);

void registrar_tick(struct registrar *, nsec now);
nsec registrar_deadline(const struct registrar *);
bool registrar_action_next(struct registrar *, struct registrar_action *out);

struct registrar_stats registrar_stats(const struct registrar *);

#endif

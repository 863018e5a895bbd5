/* watcher/docker_track.h -- the containers of one engine, and what their states mean for
 * their services; used by docker.c alone.
 *
 * A container claims the service ids that rules gave it. Each id has a slot; of the claims on
 * it that of the newest running container is shown to the agent, so that an older container
 * is back when the newer one ends. Whatever changes, the slot is settled: what it should show is compared
 * with what it has shown, and differences become news. Hence equal records make none.
 */
#ifndef WATCHER_DOCKER_TRACK_H
#define WATCHER_DOCKER_TRACK_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "watcher/container.h"
#include "watcher/docker.h"
#include "watcher/docker_event.h"
#include "watcher/rules.h"
#include "watcher/swarm_service.h"

struct claim;
struct slot;
struct news;

struct tracked {
	RB_ENTRY(tracked) by_id;
	char id[DOCKER_ID_MAX + 1];

	/* What docker.c is asking the engine about it. */
	TAILQ_ENTRY(tracked) queue; /* while wanted */
	bool wanted;      /* in the queue for an inspect */
	bool asked;       /* an inspect is under way */
	bool again;       /* something happened since that one was asked */
	bool sync;        /* the reconcile under way waits for it */
	bool warned;      /* about its description, already */
	bool noted;       /* how its address was chosen, likewise */
	unsigned repeats; /* answers put aside because of `again`, or that failed */
	unsigned touched; /* number of the last list when an event named it last */
	unsigned listed;  /* number of the last list that had it */
	nsec retry_at;    /* ask again then; NSEC_NEVER: no */
	char *held;       /* its description, while that of its peer is asked for */
	size_t held_n;
	char *peer;       /* container whose network it shares, the last of a chain, or NULL */
	unsigned peer_hops; /* how long the chain is */
	int64_t event_ns; /* time of the event that asks for the inspect */
	char service[SWARM_ID_MAX + 1]; /* id of the swarm service whose task it is, or "" */
	unsigned mesh_tries; /* questions to the ingress network in vain */
	int kill_held;       /* a stop signal that waits (docker_swarm.c); 0: none */
	int64_t kill_held_ns;
	nsec kill_held_at;

	/* What it is. */
	bool known;        /* was seen running, or is an ended one that stays */
	bool ended;        /* on-success: stays with exit_code until it is destroyed */
	bool paused;
	int exit_code;
	int64_t started_ns;
	int stop_signal;
	nsec stop_wait;    /* how long a stop signal takes it out */
	nsec drain_until;  /* 0: not draining */
	uint64_t kills;    /* signals (bit n - 1) heard before it was known */
	int64_t kill_ns;
	nsec kill_at;      /* moment from which stop_wait counts for them */
	enum container_health health;
	char *health_output; /* NULL: none */
	LIST_HEAD(, claim) claims;
};

RB_HEAD(tracked_tree, tracked);
RB_HEAD(slot_tree, slot);
TAILQ_HEAD(news_list, news);

struct track {
	struct tracked_tree containers;
	struct slot_tree slots;
	struct news_list news, given; /* to be handed out; handed out, kept until the next feed */
	size_t container_count, stranger_count, slot_count; /* strangers: not known yet */
	nsec next; /* no drain ends before */
};

RB_PROTOTYPE(tracked_tree, tracked, by_id, tracked_cmp)

void track_init(struct track *);
void track_done(struct track *);

struct tracked *track_find(struct track *, const char *id);
struct tracked *track_get(struct track *, const char *id); /* made when it is not there */
/* It is no more: its services go, and so does it. */
void track_drop(struct track *, struct tracked *, int64_t event_ns);

/* It runs, is so described and offers these services. */
void track_running(struct track *, struct tracked *, struct now, const struct container *,
    const struct rules_service *, size_t count, nsec drain, int64_t event_ns);
/* It has ended. With `stay` its services stay, critical; else use track_drop(). */
void track_ended(struct track *, struct tracked *, int exit_code, int64_t event_ns);
void track_paused(struct track *, struct tracked *, bool paused, int64_t event_ns);
/* A signal was sent to it `age` ago. */
void track_killed(struct track *, struct tracked *, struct now, int signal, nsec age,
    int64_t event_ns);

/* Others may have changed what the agent was told: when next settled, all is told again. */
void track_doubt(struct track *);

/* Ends the drains whose time is over. */
void track_tick(struct track *, struct now);

void track_say(struct track *, enum docker_news_kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool track_news_next(struct track *, struct docker_news *out);
void track_news_release(struct track *); /* what was handed out may go */

#endif

/* agent/pool/presence_private.h -- the inside of presence, for presence*.c. */
#ifndef AGENT_PRESENCE_PRIVATE_H
#define AGENT_PRESENCE_PRIVATE_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "agent/pool/presence.h"

enum presence_shown { /* what the store was told last, or is about to be told */
	SHOWN_NOT,    /* nothing yet */
	SHOWN_ALIVE,
	SHOWN_KEPT,
	SHOWN_HIDDEN,
};

struct presence_member {
	RB_ENTRY(presence_member) link; /* by id */
	struct uuid id;
	bool failed;
	bool left; /* failed, and gone when its announced restart does not come about */
	enum presence_shown shown;
	const char *why;
	bool pending, gone; /* in the list of what is to be told; out of the tree */
	bool waiting;       /* in the list of those whose hiding waits */
	bool recent;        /* in the list of those that failed within one suspicion time */
	bool episode;       /* lost while we presume to be cut off */
	nsec known_since, failed_at, hidden_at;
	nsec wait_until;    /* waiting: when it is looked at again */
	nsec refused_at;    /* its host refused a packet; 0: not since it was alive */
	nsec restart_until; /* the grace of an announced restart; 0: none */
	nsec restart_next;  /* announced while it was failed: maybe by a life not seen yet, whose
	                     * grace this is */
	nsec hold_until;    /* held back for its services' sake since this failure; 0: not */
	bool damped;        /* it was counted so since this failure */
	nsec hides[PRESENCE_FLAPS_MAX]; /* moments of the last hides, newest first; 0: none */
	nsec certificate_until;         /* gone */
	TAILQ_ENTRY(presence_member) in_pending, in_waiting, in_recent;
};
RB_HEAD(presence_members, presence_member);
RB_PROTOTYPE(presence_members, presence_member, link, presence_member_cmp)
TAILQ_HEAD(presence_list, presence_member);

struct presence {
	struct presence_config config;
	struct presence_members members;
	struct presence_list pending, waiting, recent; /* recent: in order of failed_at */
	size_t count, failed, episode;
	/* Being cut off, as we presume. */
	bool cut_off;
	bool silent;  /* since nobody was heard; ends with the first that is */
	bool contact; /* there was contact with somebody, or some host, outside the episode */
	nsec cut_off_since, cut_off_until;
	nsec heard_at;   /* 0: nobody tells us */
	size_t returned; /* of the episode, alive now */
	struct presence_stats stats;
};

struct presence_member *presence_find(const struct presence *, const struct uuid *);
/* presence_share.c: hiding this one too would take away too much of some service. */
bool presence_share_exceeded(const struct presence *, nsec now, const struct presence_member *);

#endif

/* agent/pool/presence.h -- whose services are shown: from what membership says to what the store does.
 *
 * A core without I/O. Membership's word is not always the last (RULES 6, 16, 17): a node that
 * announced its restart is hidden only after its grace; who loses more than half of the members at
 * once is likely cut off itself and keeps showing them; the third flap within a minute waits; and
 * an option holds back from hiding more than a share of a service at once.
 *
 *     presence_member() / presence_restarts() / presence_tick()
 *     while (presence_next(p, &show)) store_member(…)
 *     the one timer at presence_deadline()
 *
 * A sign of life shows at once, always; only hiding ever waits, and every wait has an end. Words
 * may come in any order, about ids that were never heard of, and more than once.
 */
#ifndef AGENT_PRESENCE_H
#define AGENT_PRESENCE_H

#include <stdbool.h>

#include "base/nsec.h"
#include "base/str.h"
#include "base/uuid.h"
#include "kv/store.h"

#define PRESENCE_CUT_OFF_MAX (10 * NSEC_MIN) /* how long we presume to be the one cut off */
#define PRESENCE_SILENCE (5 * NSEC_SEC)      /* from everybody: who fails then is not to blame */
#define PRESENCE_FLAP_WINDOW (60 * NSEC_SEC)
#define PRESENCE_FLAPS_MAX 8       /* damp_flaps is at most this */
#define PRESENCE_MEMBERS_MAX 65536 /* more are not shown, and counted */

struct presence_config {
	struct uuid self;
	/* The time within which losing more than half counts as being cut off; one more passes
	 * between the first of them that is back and the hiding of those that are not. 0: 10 s. */
	nsec suspicion;
	nsec restart_max; /* longest grace that is granted to who restarts; 0: 10 min */
	nsec certificate; /* life of a certificate: twice the reap time */
	/* Percent of a service's instances hidden at once; 0: no limit. What one node alone takes
	 * away is never held back, and who has been hidden for hold_max counts no more. */
	unsigned hold_share;
	nsec hold_max;       /* holding back ends by itself; 0: 5 min */
	unsigned damp_flaps; /* more hides than this within the window wait for its end; 0: 2 */
	const struct store *store; /* borrowed; read for hold_share only; may be NULL without it */
};

enum presence_word {    /* membership's */
	PRESENCE_ALIVE, /* also suspect */
	PRESENCE_FAILED,
	PRESENCE_LEFT,   /* left, forced out, or replaced */
	PRESENCE_REAPED, /* or pruned */
};

struct presence_show { /* for store_member() */
	struct uuid id;
	enum store_member_state state;
	nsec certificate_until; /* with GONE */
	const char *why;        /* for the log: "failed", "held back: …"; static */
};

struct presence;

struct presence *presence_new(const struct presence_config *, nsec now);
void presence_free(struct presence *);

void presence_member(struct presence *, nsec now, const struct uuid *id, enum presence_word);
/* It said that it stops and comes back (RULES 17): hidden only when the grace is over. The grace
 * begins now, or when it failed if that came first; it is used up by coming back. Word that it left
 * waits for the same moment. */
void presence_restarts(struct presence *, nsec now, const struct uuid *id, nsec grace);
/* Somebody of the pool was heard, whoever it was: cheap, for every packet. Once it has been called,
 * a pool of more than two that falls silent means being cut off from the first failure on (who is
 * alone finds one after the other dead, too slowly for the rule of the half), until somebody is
 * heard. */
void presence_heard(struct presence *, nsec now);
/* A member's host refused a packet: the process may be dead, but we reach its host. Its failure is
 * no loss of contact, and hides also while we presume to be cut off. */
void presence_refused(struct presence *, nsec now, const struct uuid *id);
/* It came back so soon that it was never missed: its grace is used up. */
void presence_returned(struct presence *, const struct uuid *id);
void presence_configure(struct presence *, unsigned hold_share, unsigned damp_flaps);
void presence_tick(struct presence *, nsec now);
nsec presence_deadline(const struct presence *);
bool presence_next(struct presence *, struct presence_show *out);

bool presence_cut_off(const struct presence *); /* we presume so now */
struct presence_stats {
	size_t members, failed, kept;              /* kept: failed, and shown all the same */
	uint64_t cut_offs, restarts, damped, held; /* how often */
	uint64_t refused;                          /* members beyond PRESENCE_MEMBERS_MAX */
};
struct presence_stats presence_stats(const struct presence *);

#endif

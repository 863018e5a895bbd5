/* tests/sim/pool_check.h -- what must hold in a simulated pool, always or in the end (RULES 20).
 *
 * All the time (pool_check_now()): equal (owner, epoch, number) means equal hash; no agent goes
 * back to an older version of a thing; datagrams keep the budget and tables their size; what a
 * host that is being upgraded offers misses from no catalog; in calm weather an agent becomes
 * ready, and one that lives is hidden by nobody. When the network has healed: pool_check_agreed()
 * within a bound, and then pool_check_catalogs(): every catalog is the union of what runs on live
 * hosts.
 *
 * A broken invariant is told in `broken`; the first one counts.
 */
#ifndef TESTS_SIM_POOL_CHECK_H
#define TESTS_SIM_POOL_CHECK_H

#include "tests/sim/pool_sim.h"

#define POOL_CALM (20 * NSEC_SEC)      /* undisturbed for so long, nobody is hidden */
#define POOL_SETTLED (3 * NSEC_SEC)    /* who is there for so long knows of stops */
#define POOL_DIP_AFTER (20 * NSEC_SEC) /* how long after its return an upgraded host is watched */

struct pool_check {
	struct pool_sim *sim;
	char broken[512]; /* empty: all is well */
	nsec *disturbed;  /* of each host: when something last happened to it */
	nsec weather;     /* when the network last lost or cut anything */
	/* private */
	struct pool_past *past; /* (owner, epoch, number) -> hash */
	size_t past_count, past_slots;
	unsigned *seen; /* [viewer][host][service]: the newest version it showed in this life */
	unsigned *seen_life;
	struct pool_upgrade {
		bool on;
		uint64_t services; /* that must stay */
		nsec until;
		bool *viewers;
		unsigned *lives; /* of the viewers, then */
	} * upgrades;
	struct uuid *pruned;
	size_t pruned_count, pruned_cap;
	bool *mixed; /* hosts whose ids were on more than one disk */
};

void pool_check_init(struct pool_check *, struct pool_sim *); /* takes the sim's on_drained */
void pool_check_done(struct pool_check *);

void pool_check_disturbed(struct pool_check *, size_t i); /* something happens to this host */
void pool_check_weather(struct pool_check *);             /* … to the network */
/* Host i is about to be stopped for an upgrade and is back within its grace. */
void pool_check_upgrade(struct pool_check *, size_t i);
void pool_check_written(struct pool_check *, size_t i); /* its store has a new number */
void pool_check_pruned(struct pool_check *, const struct uuid *);
void pool_check_revived(struct pool_check *, const struct uuid *); /* started again */
void pool_check_mixed(struct pool_check *, size_t i);

bool pool_check_now(struct pool_check *); /* false: broken */
/* Every live agent shows every live agent, and holds what it has. `why`: what is missing. */
bool pool_check_agreed(const struct pool_check *, struct buf *why);
bool pool_check_catalogs(struct pool_check *);
/* Agents that live and are shown as living by all that live. */
bool pool_check_shown(const struct pool_check *, struct buf *why);

/* Whether viewer i's answers hold host j's services: node there, not critical. */
bool pool_check_answers(const struct pool_sim *, size_t i, size_t j);
bool pool_check_hidden(const struct pool_sim *, size_t j); /* … in nobody's answers */

#endif

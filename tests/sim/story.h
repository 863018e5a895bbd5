/* tests/sim/story.h -- a simulated pool with what must hold in it, for tests that tell a story.
 *
 * Every step is checked (pool_check.h); what breaks ends the test, with who shows what, and with
 * all that happened when TRACE is set.
 */
#ifndef TESTS_SIM_STORY_H
#define TESTS_SIM_STORY_H

#include "tests/sim/pool_check.h"

enum { A, B, C, D, E };

struct story {
	struct pool_sim *sim;
	struct pool_check check;
};

struct pool_sim_config story_config(size_t hosts, uint64_t seed);
/* Three services on each; all have started, agree, and are idle. */
struct story *story_begin(size_t hosts, uint64_t seed);
struct story *story_begin_with(const struct pool_sim_config *);
void story_end(struct story *);
void story_fail(struct story *, const char *what);

void story_run(struct story *, nsec span);  /* one step, then looks */
void story_runs(struct story *, nsec span); /* looks ten times a second */
nsec story_agree(struct story *, nsec max); /* until all agree; the time it took */
void story_service(struct story *, size_t i, size_t service, bool there);
void story_cut_off(struct story *, size_t i, bool cut);
void story_crash(struct story *, size_t i); /* and four seconds */

#endif

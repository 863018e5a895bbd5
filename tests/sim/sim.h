/* tests/sim/sim.h -- many agents and a bad network in one process, on virtual time, from one seed.
 *
 * Agents are named "a", "b", … (beyond 26: "n26", …) and know nothing of each other until they
 * have joined over a push/pull. The network delays, loses, doubles and thereby reorders datagrams;
 * links can be cut one way; hosts refuse packets for a process that is gone, or are silent; a
 * process can be paused (its packets wait, up to a socket's worth), crash, start again, move
 * to another address, and leave. What happens is told in trace lines: "  1.520 b: a is suspect".
 *
 * Everything is checked against the packet budget on the way. One seed gives one run.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/nsec.h"
#include "gossip/swim.h"
#include "tests/sim/net.h"

#define SIM_EPOCH (1000 * NSEC_SEC) /* sim_new()'s moment; traces count from here at first */
#define SIM_AGENTS_MAX 4096
#define SIM_NEVER_SEEN 255

struct sim_config {
	size_t agents;
	uint64_t seed;
	nsec latency_min, latency_max; /* at first; what counts is net.h's */
	unsigned loss, twice;
	bool silent_hosts; /* a dead process is met with silence, not refusal */
	bool trace, notes;
	size_t overhead;
	struct swim_profile profile;
};
extern const struct sim_config sim_lan; /* 1 to 5 ms, nothing lost */

struct sim_agent {
	char name[16];
	struct addr addr;
	struct swim *swim;                     /* NULL: not running */
	unsigned life;                         /* how often it was started */
	bool paused, host_down, leaving, gone; /* gone: it left, and was not started since */
	uint32_t left_incarnation;             /* with which it last left */
	uint8_t *view; /* enum swim_state of every other as this one tells it */
	uint32_t *view_incarnation;
	/* private */
	nsec tick_at;
	uint64_t rng_salt;
	struct sim_event *inbox, *inbox_last;
	size_t inbox_bytes;
};

struct sim {
	struct sim_config config;
	struct net net;
	struct sim_agent *agents;
	struct buf trace;
	nsec trace_from;
	bool no_rejoin; /* nobody tries addresses of its own accord any more */
	uint64_t datagrams, datagram_bytes, stream_bytes, streams, lost, refused, resurrected;
	uint64_t over_budget, merge_refused, conflicts, user_bytes;
	/* Called for each user message before the core sees it; may be NULL. */
	void (*on_sent)(struct sim *, size_t from, struct str datagram);
	void *arg;
};

struct sim *sim_new(const struct sim_config *); /* nobody runs yet */
void sim_free(struct sim *);
void sim_run(struct sim *, nsec span);

void sim_start(struct sim *, size_t i); /* a fresh process; joins anybody who runs, retrying */
void sim_start_all(struct sim *);
void sim_crash(struct sim *, size_t i); /* kill -9 */
void sim_leave(struct sim *, size_t i); /* in good order; the process ends 3 s later */
void sim_move(struct sim *, size_t i);  /* only while it is not running: another address */
void sim_pause(struct sim *, size_t i);
void sim_resume(struct sim *, size_t i);
void sim_heal(struct sim *); /* no cuts, all hosts up, everybody resumed */
void sim_meta(struct sim *, size_t i, struct str meta);
/* A datagram from nowhere (source: an address nobody has) or from agent `as`. */
void sim_inject(struct sim *, size_t to, const struct addr *from, struct str bytes);

size_t sim_index(const struct sim *, struct str name); /* SIZE_MAX: unknown */
bool sim_live(const struct sim *, size_t i);           /* runs, and is not leaving */
/* Whether every live agent's table shows exactly the live ones as alive or suspect. */
bool sim_agreed(const struct sim *);
/* Whether every live agent shows j as dead, left or not at all. */
bool sim_all_know_gone(const struct sim *, size_t j);
struct str sim_trace(const struct sim *);
void sim_trace_begin(struct sim *); /* empty, and this moment is 0.000 */

#endif

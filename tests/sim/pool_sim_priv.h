/* tests/sim/pool_sim_priv.h -- what pool_sim*.c share. For nobody else. */
#ifndef TESTS_SIM_POOL_SIM_PRIV_H
#define TESTS_SIM_POOL_SIM_PRIV_H

#include "tests/sim/pool_sim.h"

enum pool_event_kind {
	POOL_EVENT_TICK,
	POOL_EVENT_DATAGRAM,  /* addr: source */
	POOL_EVENT_REFUSED,   /* addr: whose host refused */
	POOL_EVENT_CONNECT,   /* at the peer */
	POOL_EVENT_CONNECTED, /* back at the opener */
	POOL_EVENT_UNCONNECTED,
	POOL_EVENT_REQUEST, /* at the peer: bytes */
	POOL_EVENT_ANSWER,  /* at the opener: bytes; empty: closed without one */
	POOL_EVENT_EXPIRED, /* at the opener */
	POOL_EVENT_SECOND,  /* once a second: joining, disks */
	POOL_EVENT_BASELINE,
};

struct pool_event {
	struct net_event due;
	enum pool_event_kind kind;
	size_t from, to;
	unsigned life, from_life; /* of the process it is for; of the one it comes from */
	struct addr addr;
	uint64_t stream;
	bool want_answer;
	struct str bytes;        /* owned */
	struct pool_event *next; /* in an inbox */
};

struct pool_stream { /* that a host's agent opened */
	uint64_t id;
	bool want_answer, broken;
};

struct pool_event *pool_event_new(
    struct pool_sim *, enum pool_event_kind, size_t from, size_t to, nsec delay);
void pool_event_post(struct pool_sim *, struct pool_event *);
void pool_event_free(struct pool_event *);

size_t pool_sim_at(const struct pool_sim *, const struct addr *); /* SIZE_MAX: nobody */

/* An agent's network actions, and what arrives for it. */
void pool_sim_send(struct pool_sim *, size_t from, const struct pool_action *);
void pool_sim_open(struct pool_sim *, size_t from, const struct pool_action *);
void pool_sim_net_event(struct pool_sim *, struct pool_event *); /* its process runs */
void pool_sim_refuse(struct pool_sim *, const struct pool_event *);

/* An agent in time. */
void pool_sim_drain(struct pool_sim *, size_t i);
void pool_host_join(struct pool_sim *, size_t i);                  /* somebody, when it is time */
void pool_host_epoch(struct pool_sim *, size_t i, uint64_t above); /* the next one, on its disk */
void pool_inbox_clear(struct pool_host *);

#endif

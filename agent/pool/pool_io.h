/* agent/pool/pool_io.h -- shell: the pool's core on sockets, timers and names.
 *
 * It carries what pool.h and join.h want done to gossip_io.h and resolve_io.h, and what comes
 * back to them. Whoever owns it hears of what concerns the agent.
 */
#ifndef AGENT_POOL_IO_H
#define AGENT_POOL_IO_H

#include <event2/event.h>

#include "agent/pool/join.h"
#include "agent/pool/pool.h"
#include "gossip/gossip_io.h"

struct pool_io;

struct pool_io_config {
	struct event_base *base;
	struct pool *pool;                /* borrowed */
	struct addr bind;                 /* with port */
	const struct frame_config *frame; /* borrowed */
	struct join_config join;          /* borrowed for the call */
	void *arg;
	/* The cores were fed: the store may have changed, and pool_io_step() is due. */
	void (*fed)(void *arg);
	/* What concerns the agent: all kinds but SEND, OPEN, JOINED and LOG. From inside a step. */
	void (*told)(void *arg, const struct pool_action *);
	/* pool_io_join() with this ticket is over. From inside a step. */
	void (*joined)(void *arg, uint64_t ticket, unsigned joined, struct str why);
	/* -join reached nobody, or -retry-join gave up. From inside a step. */
	void (*failed)(void *arg, struct str why);
};

int pool_io_new(const struct pool_io_config *, struct pool_io **out, struct err *);
void pool_io_free(struct pool_io *); /* NULL is fine */

/* Carries out all that the cores want, and arms the timer. After every step that fed them. */
void pool_io_step(struct pool_io *);

/* A user wants to join `target`; config.joined() follows with this ticket. */
void pool_io_join(struct pool_io *, struct str target, uint64_t ticket);

struct gossip_io_stats pool_io_stats(const struct pool_io *);

#endif

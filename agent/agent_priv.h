/* agent/agent_priv.h -- the agent's inside, for agent*.c.
 *
 *     agent.c         what a change sets off, time, signals, the loop
 *     agent_build.c   from the disk up to the listeners, and down again
 *     agent_node.c    what this node says of itself; DNS's settings
 *     agent_docker.c  Docker's news into local services
 *     agent_pool.c    the pool's news, joining, leaving, what is kept of it
 */
#ifndef AGENT_AGENT_PRIV_H
#define AGENT_AGENT_PRIV_H

#include "agent/agent.h"
#include "agent/check_io.h"
#include "agent/coordinate_publish.h"
#include "agent/docker_news.h"
#include "agent/events.h"
#include "agent/external.h"
#include "agent/http/server_io.h"
#include "agent/identity.h"
#include "agent/local.h"
#include "agent/loop.h"
#include "agent/pool_io.h"
#include "agent/roster_io.h"
#include "dns/dns_io.h"
#include "kv/store.h"
#include "watcher/docker_io.h"

#define AGENT_BASELINE_MAX (10 * NSEC_SEC) /* the latest end of the baseline (RULES 1) */

enum agent_signal { SIGNAL_INT, SIGNAL_TERM, SIGNAL_HUP, SIGNAL_COUNT };

struct agent {
	struct options *options; /* borrowed */
	int argc;
	char **argv;
	struct arena arena;          /* paths and the engine's address */
	char address[ADDR_TEXT_MAX]; /* the advertised one */

	struct event_base *base;
	struct identity identity;
	struct store *store;
	struct journal *local_journal, *external_journal;
	struct local *local;
	struct check_io *checks;
	struct external *external;
	struct api api;
	struct http_server *http;
	struct dns_config dns_config;
	struct dns_responder *responder;
	struct dns_io *dns;
	struct docker *docker; /* NULL: off */
	struct docker_io *docker_io;
	struct docker_endpoint docker_endpoint;

	struct keyring *keys; /* NULL: gossip is plain */
	struct frame_config frame;
	struct pool *pool;
	struct pool_io *pool_io;
	struct roster *roster;
	struct events *events;
	struct coordinate_publish coordinate;
	char id_text[UUID_TEXT_LEN + 1], cluster_text[UUID_TEXT_LEN + 1];

	struct event *signals[SIGNAL_COUNT], *changed;
	struct loop_timer *local_timer, *store_timer, *minute_timer, *baseline_timer, *resync_timer,
	    *stop_timer, *leave_timer, *coordinate_timer, *roster_timer;
	nsec ceiling_retry; /* not before this */
	nsec stop_until;
	uint64_t leave_ticket; /* of the client that waits for it; 0: none */
	struct err failure;    /* why the loop ended, when it should not have */
	bool baseline_done, docker_away, leaving, stopping, pid_written;
	bool again; /* everything is to be built anew: under another id */
};

/* agent.c */
void agent_changed(struct agent *, struct now); /* after every step that changed something */
void agent_api_changed(void *arg);              /* the same, once for many, after the step */
void agent_baseline_end(struct agent *, struct now);
void agent_ready_check(struct agent *); /* something that readiness waits for may be there now */
void agent_ceiling(struct agent *, struct now);
int agent_timers(struct agent *, struct now);
int agent_signals(struct agent *, struct err *);
void agent_signals_free(struct agent *);
void agent_leave(struct agent *, struct now); /* the pool, in good order; then stop */
void agent_left(struct agent *);

/* agent_build.c */
int agent_build(struct agent *, struct err *);
void agent_free(struct agent *);

/* agent_node.c */
int agent_node_publish(struct agent *, struct now, struct err *);
int agent_self_publish(struct agent *, struct now, struct err *);
void agent_dns_configure(struct agent *);

/* agent_docker.c */
struct docker_config agent_docker_config(struct agent *);
int agent_docker_start(struct agent *, struct now, struct err *);
void agent_resync_due(void *arg);

/* agent_pool.c */
int agent_pool_open(struct agent *, struct now, struct err *);
void agent_pool_close(struct agent *);
struct api_ops agent_pool_ops(struct agent *);
void agent_coordinate_due(void *arg);
void agent_roster_due(void *arg);

#endif

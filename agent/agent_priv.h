/* agent/agent_priv.h -- the agent's inside, for agent*.c.
 *
 *     agent.c         what a change sets off, time, signals, the loop
 *     agent_build.c   from the disk up to the listeners, and down again
 *     agent_node.c    what this node says of itself; DNS's settings
 *     agent_docker.c  Docker's news into local services
 *     agent_cluster.c what the cluster wants, carried out: disk, other agents, answers
 *     agent_external.c external records from the log into the store
 *     agent_server.c  Raft's folder, the server port; members as the cluster sees them
 *     agent_metrics.c TABLES of figures, and taking them
 *     agent_tls.c     certificates for the HTTP API and the server port
 *     agent_query.c   prepared queries for DNS
 *     agent_pool.c    the pool's news, joining, leaving, what is kept of it
 */
#ifndef AGENT_AGENT_PRIV_H
#define AGENT_AGENT_PRIV_H

#include "agent/agent.h"
#include "agent/check/check_io.h"
#include "agent/server/cluster.h"
#include "agent/server/cluster_wire.h"
#include "agent/pool/coordinate_publish.h"
#include "agent/docker_news.h"
#include "agent/pool/events.h"
#include "agent/http/query_copy.h"
#include "agent/http/server_io.h"
#include "agent/identity.h"
#include "agent/local/local.h"
#include "agent/loop.h"
#include "agent/monitor_io.h"
#include "agent/notify_io.h"
#include "agent/pool/pool_io.h"
#include "agent/pool/roster_io.h"
#include "agent/server/server_net_io.h"
#include "agent/watch_runs_io.h"
#include "dns/dns_io.h"
#include "kv/raft_disk_io.h"
#include "kv/store.h"
#include "watcher/docker_io.h"

#define AGENT_HANDOVER_MAX (3 * NSEC_SEC)  /* for another server to lead, before we stop */
#define AGENT_BASELINE_MAX (10 * NSEC_SEC) /* the latest end of the baseline (RULES 1) */

#define AGENT_RELOADS_MAX 16               /* clients that wait for one */

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
	struct watch_runs *watches;
	struct api api;
	struct metrics *metrics;
	struct monitor *monitor;
	struct notify_io *notify; /* NULL: no service manager asks */
	struct http_server *http;
	struct dns_config dns_config;
	struct dns_responder *responder;
	struct dns_io *dns;
	struct query_copy *query_copy; /* of a server: not used */
	struct arena query_memory;     /* for one question about a query */
	struct docker *docker; /* NULL: off */
	struct docker_io *docker_io;
	struct docker_endpoint docker_endpoint;

	struct cluster *cluster;
	struct files *raft_files; /* NULL: in memory */
	struct raft_disk *disk;   /* NULL: no server, or it takes no part */
	struct server_net *net;
	struct serf_raft raft_tag;          /* what our tags say of it */
	TAILQ_HEAD(, cluster_sent) sent;    /* what waits for a vote to be durable */
	bool cluster_stepping, cluster_fed; /* fed: there may be more to carry out */
	bool cluster_stopping, cluster_led; /* led: when the stop began */
	nsec cluster_patience;              /* then it stops in any case */
	uint64_t external_request; /* a part of the external journal on its way into the log */
	nsec external_retry;
	uint64_t store_seen; /* last index of the catalog that the cluster was told of */

	struct keyring *keys; /* NULL: gossip is plain */
	size_t key_count;
	struct frame_config frame;
	struct pool *pool;
	struct pool_io *pool_io;
	struct roster *roster;
	struct events *events;
	struct coordinate_publish coordinate;
	char id_text[UUID_TEXT_LEN + 1], cluster_text[UUID_TEXT_LEN + 1];

	struct event *signals[SIGNAL_COUNT], *changed, *reload;
	struct loop_timer *local_timer, *store_timer, *minute_timer, *baseline_timer, *resync_timer,
	    *stop_timer, *leave_timer, *coordinate_timer, *roster_timer, *cluster_timer,
	    *metrics_timer, *query_timer, *members_timer;
	nsec ceiling_retry; /* not before this */
	nsec stop_until;
	uint64_t leave_ticket; /* of the client that waits for it; 0: none */
	uint64_t reload_tickets[AGENT_RELOADS_MAX];
	size_t reload_count;
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
void agent_reload_ask(void *agent, uint64_t ticket); /* after this turn */

/* agent_build.c */
int agent_build(struct agent *, struct err *);
void agent_free(struct agent *);
void agent_watches_apply(struct agent *, const struct options *); /* those of the config files */

/* agent_tls.c */
/* What HTTPS is spoken with; *out NULL: there is no certificate. The caller owns it. */
int agent_tls_https(const struct options *, struct ssl_ctx_st **out, struct err *);
/* The same for the server port; the caller owns in and out. */
int agent_tls_servers(const struct options *, struct server_net_tls *out, struct err *);
/* For connections from now on; on failure everything stays. */
int agent_tls_reload(struct agent *, const struct options *fresh, struct err *);

/* agent_node.c */
int agent_node_publish(struct agent *, struct now, struct err *);
int agent_self_publish(struct agent *, struct now, struct err *);
void agent_dns_configure(struct agent *);
void agent_dns_io_configure(struct agent *);

/* agent_docker.c */
struct docker_config agent_docker_config(struct agent *);
int agent_docker_start(struct agent *, struct now, struct err *);
void agent_resync_due(void *arg);
void agent_docker_members(struct agent *, struct now); /* soon: who is there has changed */
void agent_members_due(void *arg);

/* agent_metrics.c */
int agent_metrics_open(struct agent *, struct now, struct err *);
int agent_metrics_configure(struct agent *, struct err *); /* after a reload */
void agent_measure(struct agent *, struct now);
void agent_metrics_due(void *arg);

/* agent_cluster.c */
void agent_cluster_close(struct agent *);
void agent_cluster_step(struct agent *, struct now);
void agent_cluster_look(struct agent *, struct now); /* has the catalog changed? */
void agent_cluster_due(void *arg);
bool agent_cluster_stopped(struct agent *, struct now); /* leadership is given away first */
void agent_cluster_voted(void *arg);
void agent_cluster_durable(void *arg, uint64_t index);
void agent_cluster_stored(void *arg, uint64_t index);
void agent_cluster_failing(void *arg, struct str why);
void agent_cluster_message(void *arg, const struct uuid *from, struct str);
void agent_cluster_snapshot(
    void *arg, const struct uuid *from, struct str, struct raft_disk_sink *);
void agent_cluster_lost(void *arg, const struct uuid *agent);

/* agent_external.c */
void agent_external_take(struct agent *, struct now);
int agent_external_open(struct agent *, struct err *);
void agent_external_close(struct agent *);
void agent_external_look(struct agent *, struct now);
bool agent_external_answer(struct agent *, struct now, const struct cluster_action *); /* ours */

/* agent_server.c */
int agent_cluster_open(struct agent *, struct now, struct err *);
void agent_server_close(struct agent *);
void agent_server_members(struct agent *, struct now); /* all that are known */
void agent_server_member(struct agent *, struct now, const struct pool_member *, bool gone);
void agent_server_tags(struct agent *, struct now, const struct cluster_action *);

/* agent_query.c */
void agent_query_open(struct agent *, struct now); /* after DNS */
void agent_query_close(struct agent *);
/* An answer of the cluster; false: it is another's. */
bool agent_query_answer(struct agent *, struct now, const struct cluster_action *);

/* agent_pool.c */
int agent_roster_open(struct agent *, struct err *);
int agent_keys_open(struct agent *, struct err *);
int agent_pool_open(struct agent *, struct now, struct err *);
struct serf_meta agent_meta(struct agent *); /* our tags; slices are the agent's */
void agent_pool_close(struct agent *);
struct api_ops agent_pool_ops(struct agent *);
void agent_coordinate_due(void *arg);
void agent_roster_due(void *arg);

#endif

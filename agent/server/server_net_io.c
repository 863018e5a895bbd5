/* agent/server/server_net_io.c -- peers: what waits for them, calls and their repeats.
 *
 * A peer is there as long as something waits for it, a connection stands, or a call that failed has
 * to wait for its next try. Connections that end are freed, and losses told, by an event of their
 * own: whoever is in the middle of a call finds all it holds still there.
 */
#include "agent/server/server_net_priv.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/tls_io.h"
#include "base/log.h"
#include "base/mem.h"

#define COMPLAIN_EVERY (10 * NSEC_SEC)
#define PEER_MEMORY (60 * NSEC_SEC) /* of one that failed and that nobody asks for */

static int
peer_cmp(const struct net_peer *a, const struct net_peer *b)
{
	return uuid_cmp(&a->id, &b->id);
}

RB_GENERATE_INTERNAL(net_peers, net_peer, link, peer_cmp, static __attribute__((unused)))

nsec
net_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_SEC + t.tv_nsec;
}

void
net_complain(struct server_net *n, const struct addr *who, const char *why)
{
	char text[ADDR_TEXT_MAX];
	nsec now = net_now();

	n->stats.refused++;
	if (n->complained != 0 && now - n->complained < COMPLAIN_EVERY) {
		n->complaints++;
		return;
	}
	log_warn("raft", "server port: refused from=%s: %s; untold_since=%" PRIu64,
	    addr_format(who, text), why, n->complaints);
	n->complained = now;
	n->complaints = 0;
}

/* ---- what waits ---- */

static void
message_free(struct net_message *m)
{
	buf_done(&m->bytes);
	free(m);
}

struct net_message *
net_waiting(struct net_peer *p, enum net_lane lane)
{
	return STAILQ_FIRST(&p->waiting[lane]);
}

void
net_sent(struct net_peer *p, enum net_lane lane)
{
	struct net_message *m = STAILQ_FIRST(&p->waiting[lane]);

	STAILQ_REMOVE_HEAD(&p->waiting[lane], link);
	p->waiting_bytes -= m->bytes.n;
	p->net->stats.waiting -= m->bytes.n;
	p->net->stats.messages_out++;
	message_free(m);
}

static bool
peer_waits(const struct net_peer *p)
{
	return !STAILQ_EMPTY(&p->waiting[LANE_SMALL]) || !STAILQ_EMPTY(&p->waiting[LANE_BULK]) ||
	       p->snap.source != NULL;
}

/* All of it; whether there was any. */
static bool
peer_drop(struct net_peer *p)
{
	bool any = peer_waits(p);
	struct net_message *m;

	for (enum net_lane lane = LANE_SMALL; lane <= LANE_BULK; lane++)
		while ((m = STAILQ_FIRST(&p->waiting[lane])) != NULL) {
			STAILQ_REMOVE_HEAD(&p->waiting[lane], link);
			p->net->stats.dropped++;
			message_free(m);
		}
	p->net->stats.waiting -= p->waiting_bytes;
	p->waiting_bytes = 0;
	snap_out_done(p);
	return any;
}

/* ---- peers ---- */

static void peer_call(struct net_peer *);

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct net_peer *p = arg;

	(void)fd;
	(void)what;
	if (p->snap.retry)
		snap_next(p);
	if (p->speaker != NULL || p->called != NULL)
		return;
	if (peer_waits(p)) {
		peer_call(p);
	} else if (net_now() < p->next_try + PEER_MEMORY) {
		const struct timeval memory = { .tv_sec = PEER_MEMORY / NSEC_SEC };

		evtimer_add(p->retry, &memory);
	} else {
		net_reap_later(p->net);
	}
}

struct net_peer *
net_peer_for(struct server_net *n, const struct uuid *id)
{
	struct net_peer probe = { .id = *id }, *p = RB_FIND(net_peers, &n->peers, &probe);

	if (p != NULL)
		return p;
	p = mem_new(struct net_peer);
	p->net = n;
	p->id = *id;
	p->retry = evtimer_new(n->config.base, on_retry, p);
	if (p->retry == NULL)
		abort();
	STAILQ_INIT(&p->waiting[LANE_SMALL]);
	STAILQ_INIT(&p->waiting[LANE_BULK]);
	buf_init(&p->snap.announce, RAFT_CORE_MESSAGE_MAX);
	RB_INSERT(net_peers, &n->peers, p);
	n->stats.peers++;
	return p;
}

static void
peer_free(struct net_peer *p)
{
	peer_drop(p);
	event_free(p->retry);
	buf_done(&p->snap.announce);
	RB_REMOVE(net_peers, &p->net->peers, p);
	p->net->stats.peers--;
	free(p);
}

static bool
peer_idle(const struct net_peer *p, nsec now)
{
	return p->called == NULL && p->taken == NULL && !peer_waits(p) && !p->lost &&
	       (p->next_try == 0 || now >= p->next_try + PEER_MEMORY);
}

/* ---- the reaper ---- */

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct server_net *n = arg;
	struct net_peer *p, *next;
	struct net_conn *c;
	nsec now = net_now();

	(void)fd;
	(void)what;
	while ((c = TAILQ_FIRST(&n->dead)) != NULL)
		conn_free(c);
	for (p = RB_MIN(net_peers, &n->peers); p != NULL; p = next) {
		bool lost = p->lost;

		p->lost = false;
		if (lost)
			n->config.lost(n->config.arg, &p->id);
		next = RB_NEXT(net_peers, &n->peers, p);
		if (peer_idle(p, now))
			peer_free(p);
	}
}

void
net_reap_later(struct server_net *n)
{
	event_active(n->reap, EV_TIMEOUT, 0);
}

/* ---- calls ---- */

static void
peer_failed(struct net_peer *p, const char *why)
{
	struct server_net *n = p->net;
	struct timeval after;
	char id[UUID_TEXT_LEN + 1];
	nsec wait;

	if (!p->failing)
		log_warn("raft", "a server cannot be reached, trying again id=%s: %s",
		    uuid_format(&p->id, id), why);
	p->failing = true;
	n->stats.failed++;
	p->backoff = p->backoff == 0 ? SERVER_NET_BACKOFF_MIN
				     : nsec_min(2 * p->backoff, SERVER_NET_BACKOFF_MAX);
	wait = p->backoff / 2 + rng_below(&n->rng, (uint32_t)(p->backoff / 2 / NSEC_US)) * NSEC_US;
	p->next_try = net_now() + wait;
	after.tv_sec = wait / NSEC_SEC;
	after.tv_usec = wait % NSEC_SEC / NSEC_US;
	evtimer_add(p->retry, &after);
}

static int
call_socket(const struct server_net *n, const struct addr *to)
{
	struct addr local = n->config.bind;
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	local.port = 0;
	len = addr_to_sockaddr(&local, &sa);
	fd = socket(to->family == ADDR_V6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && local.family == to->family && !addr_is_any(&local) &&
	    bind(fd, (const struct sockaddr *)&sa, len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
peer_call(struct net_peer *p)
{
	struct server_net *n = p->net;
	struct addr to;
	int fd = -1;

	if (!n->config.address(n->config.arg, &p->id, &to)) {
		p->lost = peer_drop(p) || p->lost;
		net_reap_later(n);
		return;
	}
	if (n->stats.connections < SERVER_NET_CONNECTIONS_MAX)
		fd = call_socket(n, &to);
	if (fd >= 0) {
		p->called = conn_new(n, fd, &to, &p->id);
		p->called->peer = p;
		if (conn_connect(p->called))
			return;
		conn_end(p->called, "cannot connect");
		return;
	}
	p->lost = peer_drop(p) || p->lost;
	peer_failed(p, "no socket");
	net_reap_later(n);
}

void
net_peer_ready(struct net_peer *p, struct net_conn *c)
{
	char id[UUID_TEXT_LEN + 1];

	if (p->failing)
		log_info("raft", "a server can be reached again id=%s", uuid_format(&p->id, id));
	p->failing = false;
	p->backoff = p->next_try = 0;
	evtimer_del(p->retry);
	if (p->speaker == NULL)
		p->speaker = c;
}

/* Half of a message is no use to another connection, nor half of a snapshot. */
static void
peer_respeak(struct net_peer *p)
{
	struct net_message *m;

	p->speaker = NULL;
	if (p->called != NULL && p->called->ready)
		p->speaker = p->called;
	else if (p->taken != NULL && p->taken->ready)
		p->speaker = p->taken;
	for (enum net_lane lane = LANE_SMALL; lane <= LANE_BULK; lane++)
		if ((m = net_waiting(p, lane)) != NULL)
			m->at = 0;
	snap_out_done(p);
	if (p->speaker != NULL)
		conn_fill(p->speaker);
}

/* What was on its way on it may be lost, in both directions. */
void
net_peer_ended(struct net_peer *p, struct net_conn *c, const char *why)
{
	if (p->called == c)
		p->called = NULL;
	if (p->taken == c)
		p->taken = NULL;
	if (p->speaker == c)
		peer_respeak(p);
	if (c->caller && !c->ready)
		peer_failed(p, why);
	p->lost = p->lost || c->ready;
	if (p->speaker == NULL && p->called == NULL)
		p->lost = peer_drop(p) || p->lost;
	net_reap_later(p->net);
}

/* Something waits for it. */
static void
peer_go(struct net_peer *p)
{
	if (p->speaker != NULL)
		conn_fill(p->speaker);
	else if (p->called == NULL && net_now() >= p->next_try)
		peer_call(p);
}

/* ---- for the agent ---- */

static bool
peer_reachable(struct server_net *n, const struct uuid *id)
{
	struct net_peer probe = { .id = *id }, *p = RB_FIND(net_peers, &n->peers, &probe);
	struct addr to;

	return (p != NULL && (p->called != NULL || p->taken != NULL)) ||
	       n->config.address(n->config.arg, id, &to);
}

bool
server_net_send(struct server_net *n, const struct uuid *agent, struct str bytes)
{
	enum net_lane lane = bytes.n > SERVER_NET_SMALL ? LANE_BULK : LANE_SMALL;
	struct net_message *m;
	struct net_peer *p;

	if (bytes.n > SERVER_NET_MESSAGE_MAX || uuid_eq(agent, &n->config.self) ||
	    bytes.n > SERVER_NET_WAITING_ALL - n->stats.waiting || !peer_reachable(n, agent)) {
		n->stats.dropped++;
		return false;
	}
	p = net_peer_for(n, agent);
	if (bytes.n > SERVER_NET_WAITING_MAX - p->waiting_bytes) {
		n->stats.dropped++;
		return false;
	}
	m = mem_new(struct net_message);
	buf_init(&m->bytes, bytes.n);
	buf_add(&m->bytes, bytes);
	STAILQ_INSERT_TAIL(&p->waiting[lane], m, link);
	p->waiting_bytes += bytes.n;
	n->stats.waiting += bytes.n;
	peer_go(p);
	return true;
}

static void on_piece(void *arg, struct str piece, bool last, const struct err *err);

bool
server_net_snapshot(
    struct server_net *n, const struct uuid *agent, struct str bytes, uint64_t index)
{
	struct net_peer *p;
	struct raft_disk_source *source;

	if (n->config.disk == NULL || bytes.n > RAFT_CORE_MESSAGE_MAX || !peer_reachable(n, agent))
		return false;
	p = net_peer_for(n, agent);
	if (p->snap.source != NULL)
		return p->snap.index == index; /* under way; another has to wait for its turn */
	source = raft_disk_source_new(n->config.disk, index, on_piece, p);
	if (source == NULL) {
		net_reap_later(n);
		return false;
	}
	p->snap.source = source;
	p->snap.index = index;
	buf_add(&p->snap.announce, bytes);
	peer_go(p);
	return true;
}

static void
on_piece(void *arg, struct str piece, bool last, const struct err *err)
{
	struct net_peer *p = arg;

	if (err != NULL) {
		log_error("raft", "a snapshot cannot be sent: %s", err->text);
		if (p->speaker != NULL)
			conn_end(p->speaker, "the snapshot cannot be read");
		return;
	}
	p->snap.piece = piece;
	p->snap.last = last;
	p->snap.ready = true;
	if (p->speaker != NULL)
		conn_fill(p->speaker);
}

void
server_net_kick(struct server_net *n, const struct uuid *agent)
{
	struct net_peer probe = { .id = *agent }, *p = RB_FIND(net_peers, &n->peers, &probe);

	if (p == NULL || p->next_try == 0)
		return;
	p->backoff = p->next_try = 0;
	if (peer_waits(p))
		peer_go(p);
}

void
server_net_cut(struct server_net *n)
{
	struct net_conn *c;

	/* the end of one can be that of the next: a peer's messages move to its other connection */
	while ((c = TAILQ_FIRST(&n->conns)) != NULL)
		conn_end(c, "connections begin anew");
}

static bool
conn_of_another(const struct net_conn *c)
{
	static const struct uuid none;
	const struct uuid *theirs = server_stream_cluster(c->stream);

	return c->ready && !uuid_eq(theirs, &none) && !uuid_eq(theirs, &c->net->cluster);
}

void
server_net_cluster_set(struct server_net *n, const struct uuid *cluster)
{
	static const struct uuid none;
	struct net_conn *c;

	n->cluster = *cluster;
	if (uuid_eq(cluster, &none))
		return;
	do { /* from the first again, see server_net_cut() */
		TAILQ_FOREACH (c, &n->conns, link)
			if (conn_of_another(c))
				break;
		if (c != NULL)
			conn_end(c, "it is of another Raft cluster");
	} while (c != NULL);
}

bool
server_net_idle(const struct server_net *n)
{
	const struct net_conn *c;

	TAILQ_FOREACH (c, &n->conns, link)
		if (!conn_idle(c))
			return false;
	return n->stats.waiting == 0;
}

struct server_net_stats
server_net_stats(const struct server_net *n)
{
	return n->stats;
}

struct addr
server_net_address(const struct server_net *n)
{
	return n->bound;
}

/* ---- life ---- */

int
server_net_new(const struct server_net_config *config, struct server_net **out, struct err *err)
{
	struct server_net *n = mem_new(struct server_net);
	uint64_t seed;
	int rc = 0;

	os_random(&seed, sizeof seed);
	rng_init(&n->rng, seed);
	n->config = *config;
	n->fd = -1;
	RB_INIT(&n->peers);
	TAILQ_INIT(&n->conns);
	TAILQ_INIT(&n->dead);
	n->reap = event_new(config->base, -1, 0, on_reap, n);
	if (n->reap == NULL)
		rc = err_set(err, ERR_IO, "no event");
	if (rc == 0 && config->listen)
		rc = listen_open(n, err);
	if (rc < 0) {
		server_net_free(n);
		return rc;
	}
	*out = n;
	return 0;
}

void
server_net_tls(struct server_net *n, const struct server_net_tls *tls)
{
	struct server_net_tls old = n->tls;

	n->tls = *tls;
	tls_ref(tls->in);
	tls_ref(tls->out);
	tls_unref(old.in);
	tls_unref(old.out);
}

void
server_net_free(struct server_net *n)
{
	struct net_peer *p;
	struct net_conn *c;

	if (n == NULL)
		return;
	listen_close(n);
	server_net_cut(n);
	while ((c = TAILQ_FIRST(&n->dead)) != NULL)
		conn_free(c);
	while ((p = RB_MIN(net_peers, &n->peers)) != NULL)
		peer_free(p);
	if (n->reap != NULL)
		event_free(n->reap);
	tls_unref(n->tls.in);
	tls_unref(n->tls.out);
	free(n);
}

/* agent/http/server_accept_io.c -- accepting, and refusing in so many words.
 *
 * Over a limit a client is answered 429 and told why; a descriptor is held in reserve so that
 * this works even when there are none left.
 */
#include "agent/http/server_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define ACCEPT_BATCH 64 /* connections taken in one turn */
#define REFUSED_MAX 128 /* refused clients that are given time to read why */
#define ACCEPT_PAUSE (100 * NSEC_MS)

static int
peer_cmp(const struct peer *a, const struct peer *b)
{
	if (a->addr.family != b->addr.family)
		return a->addr.family < b->addr.family ? -1 : 1;
	return memcmp(a->addr.bytes, b->addr.bytes, sizeof a->addr.bytes);
}

RB_GENERATE_INTERNAL(peer_tree, peer, link, peer_cmp, static __attribute__((unused)))

static struct peer *
peer_of(struct http_server *s, const struct addr *addr)
{
	struct peer probe = { .addr = *addr }, *p = RB_FIND(peer_tree, &s->peers, &probe);

	if (p != NULL)
		return p;
	p = mem_new(struct peer);
	p->addr = *addr;
	RB_INSERT(peer_tree, &s->peers, p);
	return p;
}

void
peer_leave(struct http_server *s, struct peer *p)
{
	if (--p->count > 0)
		return;
	RB_REMOVE(peer_tree, &s->peers, p);
	free(p);
}

/* Without a connection object: what can be sent at once, and goodbye. With TLS nothing can. */
static void
refuse_bare(struct listener *l, int fd)
{
	struct http_server *s = l->server;
	const struct str text =
	    STR("HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Connection: close\r\n\r\nThe agent has no room for more connections");
	ssize_t n = l->at.tls ? 0 : send(fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0) /* what is left unread would turn the close into a reset */
		n = recv(fd, s->read_bytes, sizeof s->read_bytes, MSG_DONTWAIT);
	(void)n;
	s->stats.refused++;
	close(fd);
}

static struct client *
client_begin(struct listener *l, int fd, const struct addr *addr, struct now now)
{
	struct client *c = client_new(l->server, fd, addr, now);

	if (l->at.tls)
		client_tls_begin(c, now);
	return c;
}

static void
client_refuse(
    struct listener *l, int fd, const struct addr *addr, struct now now, struct str why)
{
	struct http_server *s = l->server;
	struct client *c;

	if (s->refused_now >= REFUSED_MAX) {
		refuse_bare(l, fd);
		return;
	}
	c = client_begin(l, fd, addr, now);
	c->refused = true;
	s->refused_now++;
	s->stats.refused++;
	http_conn_refuse(c->conn, now, 429, why);
	client_go_on(c, now);
}

/* Who connects to a unix socket is let in by its permissions, and has no address to be counted by. */
static void
client_accept(struct listener *l, int fd, const struct addr *addr, struct now now)
{
	struct http_server *s = l->server;
	const struct http_server_config *cfg = &s->config;
	struct peer *peer = addr->family == ADDR_NONE ? NULL : peer_of(s, addr);
	struct client *c;
	int on = 1;

	if (cfg->connections_max > 0 &&
	    s->stats.connections - s->refused_now >= cfg->connections_max) {
		client_refuse(l, fd, addr, now, STR("Too many connections to this agent"));
	} else if (peer != NULL && cfg->connections_per_client_max > 0 &&
		   peer->count >= cfg->connections_per_client_max) {
		client_refuse(l, fd, addr, now, STR("Too many connections from your address"));
	} else {
		if (peer != NULL)
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		c = client_begin(l, fd, addr, now);
		c->peer = peer;
		if (peer != NULL)
			peer->count++;
		client_go_on(c, now);
		return;
	}
	if (peer != NULL && peer->count == 0) {
		peer->count = 1;
		peer_leave(s, peer);
	}
}

static int
accept_one(struct listener *l, struct addr *addr)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	int fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 && !addr_from_sockaddr((const struct sockaddr *)&ss, addr))
		*addr = (struct addr){ 0 };
	return fd;
}

/* No descriptor left: the spare one takes the client for as long as it takes to say so. */
static void
accept_without_room(struct listener *l)
{
	struct http_server *s = l->server;
	struct addr addr;
	int fd;

	if (s->spare_fd >= 0)
		close(s->spare_fd);
	fd = s->spare_fd < 0 ? -1 : accept_one(l, &addr);
	if (fd >= 0)
		refuse_bare(l, fd);
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || s->spare_fd < 0)
		server_accept_pause(s);
}

void
server_accept_event(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct http_server *s = l->server;
	struct now now = loop_now();

	(void)fd;
	(void)what;
	server_turn_begin(s);
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct addr addr;
		int got = accept_one(l, &addr);

		if (got >= 0) {
			client_accept(l, got, &addr, now);
		} else if (errno == EMFILE || errno == ENFILE) {
			accept_without_room(l);
			break;
		} else if (errno == ENOBUFS || errno == ENOMEM) {
			server_accept_pause(s);
			break;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			break;
		}
	}
	server_turn_end(s);
}

/* agent/server/server_listen_io.c -- who is let in to the server port.
 *
 * Strangers have few places and little time, those of one address fewer; without keys whoever does
 * not come from a member's address has none.
 */
#include "agent/server/server_net_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bind_io.h"

#define BACKLOG 256
#define ACCEPTS_A_TURN 32
#define ACCEPT_PAUSE_MS 100 /* when the process has no descriptors left */

/* Why not, or NULL. */
static const char *
refusal(const struct server_net *n, const struct addr *from)
{
	const struct net_conn *c;
	size_t same = 0;

	if (n->config.keys == NULL && !n->tls.required && !n->config.member(n->config.arg, from, NULL))
		return "without a key only members may call, and this is no member's address";
	if (n->stats.strangers >= SERVER_NET_STRANGERS_MAX ||
	    n->stats.connections >= SERVER_NET_CONNECTIONS_MAX)
		return "too many connections";
	TAILQ_FOREACH (c, &n->conns, link)
		same += !c->caller && !c->ready && addr_eq_ip(&c->from, from);
	return same >= SERVER_NET_STRANGERS_PER_HOST_MAX ? "too many connections of one host"
							 : NULL;
}

static void
accepted(struct server_net *n, int fd, const struct sockaddr_storage *sa)
{
	const char *why = "of an unknown family";
	struct addr from = { 0 };

	if (addr_from_sockaddr((const struct sockaddr *)sa, &from))
		why = refusal(n, &from);
	if (why == NULL) {
		conn_new(n, fd, &from, NULL);
		return;
	}
	net_complain(n, &from, why);
	close(fd);
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct server_net *n = arg;

	(void)fd;
	(void)what;
	event_add(n->accept, NULL);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval pause = { .tv_usec = ACCEPT_PAUSE_MS * 1000 };
	struct server_net *n = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof sa;
		int got = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got >= 0) {
			accepted(n, got, &sa);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			event_del(n->accept);
			evtimer_add(n->resume, &pause);
		}
		return;
	}
}

int
listen_open(struct server_net *n, struct err *err)
{
	char text[ADDR_TEXT_MAX];

	if (bind_stream(&n->config.bind, &n->bound, &n->fd, err) < 0)
		return err_wrap(err, "server port");
	if (listen(n->fd, BACKLOG) < 0)
		return err_errno(
		    err, "server port: cannot listen on %s", addr_format(&n->bound, text));
	n->accept = event_new(n->config.base, n->fd, EV_READ | EV_PERSIST, on_accept, n);
	n->resume = evtimer_new(n->config.base, on_resume, n);
	if (n->accept == NULL || n->resume == NULL || event_add(n->accept, NULL) < 0)
		return err_set(err, ERR_IO, "server port: no event");
	return 0;
}

void
listen_close(struct server_net *n)
{
	if (n->accept != NULL)
		event_free(n->accept);
	if (n->resume != NULL)
		event_free(n->resume);
	if (n->fd >= 0)
		close(n->fd);
}

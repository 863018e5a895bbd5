/* dns/dns_io.c -- sockets for both transports, on each address. */
#include "dns/dns_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "dns/dns_tcp_io.h"
#include "dns/dns_udp_io.h"

#define BIND_TRIES 16 /* for a port that the system chooses and that must be free twice */

struct dns_io {
	struct dns_udp *udp;    /* owned */
	struct dns_tcp *tcp;    /* owned */
	struct addr *addresses; /* owned */
	size_t count;
};

/* "::" takes IPv4 too unless 0.0.0.0 is asked for as well. */
static bool
wants_v6_only(const struct addr *at, const struct addr *all, size_t count)
{
	if (!addr_is_any(at))
		return true;
	for (size_t i = 0; i < count; i++)
		if (all[i].family == ADDR_V4 && all[i].port == at->port)
			return true;
	return false;
}

/* A bound socket, or -1 with errno set. */
static int
bound_socket(int type, const struct addr *at, bool v6_only)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(at, &sa);
	int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, only = v6_only, saved;

	if (fd < 0)
		return -1;
	if ((type == SOCK_STREAM &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) ||
	    (at->family == ADDR_V6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) ||
	    bind(fd, (const struct sockaddr *)&sa, len) != 0) {
		saved = errno;
		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static bool
socket_address(int fd, struct addr *out)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
	       addr_from_sockaddr((const struct sockaddr *)&sa, out);
}

/* Both sockets on one port; with port 0 on one that happens to be free for both. */
static int
bind_pair(const struct addr *wanted, bool v6_only, struct addr *got, int fds[2], struct err *err)
{
	char text[ADDR_TEXT_MAX];
	const char *what = "UDP";

	for (int try = 0; try < BIND_TRIES; try++) {
		*got = *wanted;
		what = "UDP";
		fds[0] = bound_socket(SOCK_DGRAM, got, v6_only);
		if (fds[0] < 0)
			break;
		if (!socket_address(fds[0], got)) {
			(void)close(fds[0]);
			break;
		}
		what = "TCP";
		fds[1] = bound_socket(SOCK_STREAM, got, v6_only);
		if (fds[1] >= 0)
			return 0;
		int saved = errno;

		(void)close(fds[0]);
		errno = saved;
		if (wanted->port != 0 || errno != EADDRINUSE)
			break;
	}
	return err_errno(err, "dns: cannot listen on %s %s", what, addr_format(wanted, text));
}

static int
listen_on(struct dns_io *io, const struct addr *wanted, bool v6_only, struct err *err)
{
	struct addr *got = &io->addresses[io->count];
	int fds[2] = { -1, -1 };
	int rc = bind_pair(wanted, v6_only, got, fds, err);

	if (rc != 0)
		return rc;
	rc = dns_udp_add(io->udp, fds[0], got->family, err);
	if (rc != 0) {
		(void)close(fds[1]);
		return rc;
	}
	rc = dns_tcp_add(io->tcp, fds[1], err);
	if (rc != 0)
		return rc;
	io->count++;
	return 0;
}

int
dns_io_new(struct event_base *base, struct dns_responder *responder, const struct addr *listen,
    size_t count, struct dns_io **out, struct err *err)
{
	struct dns_io *io = mem_new(struct dns_io);
	int rc = 0;

	io->udp = dns_udp_new(base, responder);
	io->tcp = dns_tcp_new(base, responder);
	io->addresses = mem_zalloc((count + 1) * sizeof io->addresses[0]);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = listen_on(io, &listen[i], wants_v6_only(&listen[i], listen, count), err);
	if (rc != 0) {
		dns_io_free(io);
		return rc;
	}
	*out = io;
	return 0;
}

void
dns_io_free(struct dns_io *io)
{
	if (io == NULL)
		return;
	dns_udp_free(io->udp);
	dns_tcp_free(io->tcp);
	free(io->addresses);
	free(io);
}

void
dns_io_tcp_idle(struct dns_io *io, nsec idle)
{
	dns_tcp_idle(io->tcp, idle);
}

struct addr
dns_io_address(const struct dns_io *io, size_t i)
{
	return io->addresses[i];
}

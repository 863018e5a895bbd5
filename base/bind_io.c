/* base/bind_io.c -- a socket, bound; and two of them on one port. */
#include "base/bind_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#define BIND_TRIES 16 /* for a port that the system chooses and that must be free twice */

static void
close_keeping_errno(int fd)
{
	int saved = errno;

	(void)close(fd);
	errno = saved;
}

/* -1 with errno set. */
static int
bound_socket(int type, const struct addr *at, bool v6_only, bool beside)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(at, &sa);
	int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, only = v6_only;

	if (fd < 0)
		return -1;
	if ((beside && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
	    (type == SOCK_STREAM &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) ||
	    (at->family == ADDR_V6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) ||
	    bind(fd, (const struct sockaddr *)&sa, len) != 0) {
		close_keeping_errno(fd);
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

int
bind_pair(const struct addr *wanted, bool v6_only, struct addr *got, int fds[BIND_SOCKETS],
    struct err *err)
{
	char text[ADDR_TEXT_MAX];
	const char *what = "UDP";

	for (int try = 0; try < BIND_TRIES; try++) {
		*got = *wanted;
		what = "UDP";
		fds[BIND_UDP] = bound_socket(SOCK_DGRAM, got, v6_only, false);
		if (fds[BIND_UDP] < 0)
			break;
		if (socket_address(fds[BIND_UDP], got)) {
			what = "TCP";
			fds[BIND_TCP] = bound_socket(SOCK_STREAM, got, v6_only, false);
			if (fds[BIND_TCP] >= 0)
				return 0;
		}
		close_keeping_errno(fds[BIND_UDP]);
		if (wanted->port != 0 || errno != EADDRINUSE)
			break;
	}
	fds[BIND_UDP] = fds[BIND_TCP] = -1;
	return err_errno(err, "cannot bind %s %s", what, addr_format(wanted, text));
}

int
bind_beside(int first, const struct addr *at, bool v6_only, int *fd, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	int on = 1, bound = -1;

	if (setsockopt(first, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0)
		bound = bound_socket(SOCK_DGRAM, at, v6_only, true);
	if (bound < 0)
		return err_errno(err, "cannot share UDP %s", addr_format(at, text));
	*fd = bound;
	return 0;
}

int
bind_stream(const struct addr *wanted, struct addr *got, int *fd, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	int bound = bound_socket(SOCK_STREAM, wanted, true, false);

	if (bound < 0)
		return err_errno(err, "cannot bind TCP %s", addr_format(wanted, text));
	if (!socket_address(bound, got))
		*got = *wanted;
	*fd = bound;
	return 0;
}

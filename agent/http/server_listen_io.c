/* agent/http/server_listen_io.c -- where clients come in: addresses and unix sockets.
 *
 * A unix socket is a file: one that was left behind is replaced, one that somebody answers at is
 * not, and ours is taken away again when we stop, unless another has taken its place.
 */
#include "agent/http/server_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define ACCEPT_PAUSE (100 * NSEC_MS)

static void
place_text(const struct listen_at *at, char *out, size_t cap)
{
	char text[ADDR_TEXT_MAX];

	if (at->path.n > 0)
		snprintf(out, cap, "unix://" STR_FMT, STR_ARG(at->path));
	else
		snprintf(out, cap, "%s", addr_format(&at->addr, text));
}

static int
address_bind(struct listener *l, const char *name, struct err *err)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&l->at.addr, &ss);
	int on = 1;

	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (ss.ss_family == AF_INET6)
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(l->fd, (struct sockaddr *)&ss, len) != 0 || listen(l->fd, SOMAXCONN) != 0)
		return err_errno(err, "http: cannot listen on %s", name);
	len = sizeof ss;
	if (getsockname(l->fd, (struct sockaddr *)&ss, &len) != 0 ||
	    !addr_from_sockaddr((const struct sockaddr *)&ss, &l->at.addr))
		return err_errno(err, "http: address of %s", name);
	return 0;
}

/* What is in the way of a unix socket goes, if it is one and nobody answers. */
static int
unix_clear(const struct sockaddr_un *un, const char *name, struct err *err)
{
	struct stat st;
	int fd, rc;

	if (lstat(un->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "http: cannot listen on %s", name);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_IO, "http: cannot listen on %s: there is a file", name);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)un, sizeof *un);
	if (rc == 0 || errno == EAGAIN)
		rc = err_set(err, ERR_IO, "http: cannot listen on %s: somebody does", name);
	else if (unlink(un->sun_path) < 0)
		rc = err_errno(err, "http: cannot replace %s", name);
	else
		rc = 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Nobody gets in before owner and permissions are as they shall be. */
static int
unix_bind(struct listener *l, const char *name, struct err *err)
{
	const struct listen_mode *mode = &l->server->config.unix_mode;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	uid_t user = mode->user < 0 ? (uid_t)-1 : (uid_t)mode->user;
	gid_t group = mode->group < 0 ? (gid_t)-1 : (gid_t)mode->group;
	struct stat st;
	int rc;

	memcpy(un.sun_path, l->at.path.p, l->at.path.n); /* the options have looked at its length */
	rc = unix_clear(&un, name, err);
	if (rc < 0)
		return rc;
	if (bind(l->fd, (struct sockaddr *)&un, sizeof un) != 0)
		return err_errno(err, "http: cannot listen on %s", name);
	if (stat(un.sun_path, &st) == 0) {
		l->device = (uint64_t)st.st_dev;
		l->inode = (uint64_t)st.st_ino;
	}
	if ((user != (uid_t)-1 || group != (gid_t)-1) && chown(un.sun_path, user, group) < 0)
		return err_errno(err, "http: cannot give %s its owner", name);
	if (mode->mode >= 0 && chmod(un.sun_path, (mode_t)mode->mode) < 0)
		return err_errno(err, "http: cannot give %s its permissions", name);
	if (listen(l->fd, SOMAXCONN) != 0)
		return err_errno(err, "http: cannot listen on %s", name);
	return 0;
}

static int
listener_open(struct listener *l, struct err *err)
{
	bool unix_socket = l->at.path.n > 0;
	int family = unix_socket ? AF_UNIX : l->at.addr.family == ADDR_V6 ? AF_INET6 : AF_INET;
	char name[LISTEN_PATH_MAX + ADDR_TEXT_MAX];
	int rc;

	place_text(&l->at, name, sizeof name);
	l->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return err_errno(err, "http: socket for %s", name);
	if (unix_socket && l->at.path.n > LISTEN_PATH_MAX)
		return err_set(err, ERR_INPUT, "http: the path of %s is too long", name);
	rc = unix_socket ? unix_bind(l, name, err) : address_bind(l, name, err);
	if (rc < 0)
		return rc;
	event_assign(
	    &l->event, l->server->base, l->fd, EV_READ | EV_PERSIST, server_accept_event, l);
	event_add(&l->event, NULL);
	return 0;
}

int
server_listen(struct http_server *s, const struct listen_at *places, size_t count, struct err *err)
{
	s->listeners = mem_zalloc((count + 1) * sizeof *s->listeners);
	for (size_t i = 0; i < count; i++) {
		struct listener *l = &s->listeners[s->listener_count++];
		int rc;

		l->server = s;
		l->fd = -1;
		l->at = places[i];
		event_assign(&l->event, s->base, -1, EV_PERSIST, server_accept_event, l);
		rc = listener_open(l, err);
		if (rc != 0)
			return rc;
	}
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

void
server_accept_pause(struct http_server *s)
{
	log_warn("http", "out of descriptors or memory, accepting paused connections=%zu",
	    s->stats.connections);
	for (size_t i = 0; i < s->listener_count; i++)
		event_del(&s->listeners[i].event);
	loop_timer_arm(s->resume, loop_now().mono + ACCEPT_PAUSE);
}

void
server_accept_resume(void *arg)
{
	struct http_server *s = arg;

	if (s->spare_fd < 0)
		s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < s->listener_count; i++)
		event_add(&s->listeners[i].event, NULL);
}

static void
listener_close(struct listener *l)
{
	struct stat st;

	event_del(&l->event);
	if (l->fd >= 0)
		close(l->fd);
	if (l->inode != 0 && stat(l->at.path.p, &st) == 0 && (uint64_t)st.st_ino == l->inode &&
	    (uint64_t)st.st_dev == l->device)
		unlink(l->at.path.p);
}

void
server_listeners_close(struct http_server *s)
{
	for (size_t i = 0; i < s->listener_count; i++)
		listener_close(&s->listeners[i]);
	s->listener_count = 0;
	loop_timer_arm(s->resume, NSEC_NEVER);
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	s->spare_fd = -1;
}

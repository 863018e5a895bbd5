/* agent/notify_io.c -- see notify_io.h. */
#include "agent/notify_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/loop.h"
#include "agent/notify.h"
#include "base/log.h"
#include "base/mem.h"

#define WATCHDOG_USEC_MAX ((uint64_t)24 * 3600 * 1000000) /* more is as good as never */

struct notify_io {
	struct notify *core; /* owned */
	struct loop_timer *timer;
	int fd;
	struct sockaddr_un to;
	socklen_t to_len;
	bool failed; /* told in the log */
};

/* "/path", or "@name" for a name that is in no folder. */
static bool
notify_io_address(struct notify_io *io, struct str name)
{
	if (name.n < 2 || name.n >= sizeof io->to.sun_path ||
	    (name.p[0] != '/' && name.p[0] != '@'))
		return false;
	io->to.sun_family = AF_UNIX;
	memcpy(io->to.sun_path, name.p, name.n);
	if (name.p[0] == '@')
		io->to.sun_path[0] = '\0';
	io->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.n);
	return true;
}

/* Zero: no sign of life is asked of us. */
static nsec
notify_io_watchdog(void)
{
	struct str usec = str_of(getenv("WATCHDOG_USEC")), pid = str_of(getenv("WATCHDOG_PID"));
	uint64_t n, whose;

	if (!str_u64(usec, WATCHDOG_USEC_MAX, &n))
		return 0;
	if (pid.n > 0 && (!str_u64(pid, INT32_MAX, &whose) || whose != (uint64_t)getpid()))
		return 0;
	return (nsec)n * NSEC_US;
}

static void
notify_io_step(struct notify_io *io)
{
	struct str text;

	while (notify_message_next(io->core, &text)) {
		if (sendto(io->fd, text.p, text.n, MSG_NOSIGNAL, (const struct sockaddr *)&io->to,
			io->to_len) >= 0 ||
		    io->failed)
			continue;
		io->failed = true;
		log_warn("agent", "the service manager cannot be told: %s", strerror(errno));
	}
	loop_timer_arm(io->timer, notify_deadline(io->core));
}

static void
notify_io_due(void *arg)
{
	struct notify_io *io = arg;

	notify_tick(io->core, loop_now().mono);
	notify_io_step(io);
}

struct notify_io *
notify_io_new(struct event_base *base, nsec now)
{
	struct str name = str_of(getenv("NOTIFY_SOCKET"));
	struct notify_io *io;

	if (name.n == 0)
		return NULL;
	io = mem_new(struct notify_io);
	io->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (io->fd < 0 || !notify_io_address(io, name)) {
		log_warn(
		    "agent", "NOTIFY_SOCKET is no socket to write to: " STR_FMT, STR_ARG(name));
		notify_io_free(io);
		return NULL;
	}
	io->core = notify_new(now, notify_io_watchdog());
	io->timer = loop_timer_new(base, notify_io_due, io);
	notify_io_step(io);
	return io;
}

void
notify_io_free(struct notify_io *io)
{
	if (io == NULL)
		return;
	loop_timer_free(io->timer);
	notify_free(io->core);
	if (io->fd >= 0)
		(void)close(io->fd);
	free(io);
}

void
notify_io_ready(struct notify_io *io, size_t members)
{
	if (io == NULL)
		return;
	notify_ready(io->core, members);
	notify_io_step(io);
}

void
notify_io_reloading(struct notify_io *io, nsec now)
{
	if (io == NULL)
		return;
	notify_reloading(io->core, now);
	notify_io_step(io);
}

void
notify_io_reloaded(struct notify_io *io)
{
	if (io == NULL)
		return;
	notify_reloaded(io->core);
	notify_io_step(io);
}

void
notify_io_stopping(struct notify_io *io)
{
	if (io == NULL)
		return;
	notify_stopping(io->core);
	notify_io_step(io);
}

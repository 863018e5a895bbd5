/* base/ares_io.c -- what c-ares wants to know of its sockets, from libevent. */
#include "base/ares_io.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/mem.h"

struct ares_socket {
	LIST_ENTRY(ares_socket) link;
	struct ares_io *io;
	ares_socket_t fd;
	struct event *event;
};

struct ares_io {
	struct event_base *base;
	ares_channel channel;
	struct event *timer;
	LIST_HEAD(, ares_socket) sockets;
};

void
ares_io_arm(struct ares_io *io)
{
	struct timeval tv, *wait = ares_timeout(io->channel, NULL, &tv);

	if (wait == NULL)
		evtimer_del(io->timer);
	else
		evtimer_add(io->timer, wait);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ares_io *io = arg;

	(void)fd;
	(void)what;
	ares_process_fd(io->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	ares_io_arm(io);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct ares_socket *s = arg;
	struct ares_io *io = s->io;

	ares_process_fd(io->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	ares_io_arm(io); /* s may be gone */
}

static void
on_interest(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct ares_io *io = arg;
	struct ares_socket *s;
	int events = EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);

	LIST_FOREACH (s, &io->sockets, link)
		if (s->fd == fd)
			break;
	if (s != NULL) {
		event_free(s->event);
		s->event = NULL;
	}
	if (!readable && !writable) {
		if (s != NULL) {
			LIST_REMOVE(s, link);
			free(s);
		}
		return;
	}
	if (s == NULL) {
		s = mem_new(struct ares_socket);
		s->io = io;
		s->fd = fd;
		LIST_INSERT_HEAD(&io->sockets, s, link);
	}
	s->event = event_new(io->base, fd, (short)events, on_socket, s);
	event_add(s->event, NULL);
}

struct ares_io *
ares_io_new(struct event_base *base, struct ares_options *options, int optmask)
{
	struct ares_io *io = mem_new(struct ares_io);

	io->base = base;
	LIST_INIT(&io->sockets);
	options->sock_state_cb = on_interest;
	options->sock_state_cb_data = io;
	if (ares_init_options(&io->channel, options, optmask | ARES_OPT_SOCK_STATE_CB) !=
	    ARES_SUCCESS) {
		free(io);
		return NULL;
	}
	io->timer = evtimer_new(base, on_timer, io);
	return io;
}

void
ares_io_free(struct ares_io *io)
{
	if (io == NULL)
		return;
	ares_destroy(io->channel); /* closes all sockets */
	event_free(io->timer);
	free(io);
}

ares_channel
ares_io_channel(struct ares_io *io)
{
	return io->channel;
}

/* base/curl_io.c -- sockets and the timer that libcurl asks for, as events. */
#include "base/curl_io.h"

#include <stdlib.h>

#include "base/mem.h"

struct curl_io {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	void (*stepped)(void *arg);
	void *arg;
};

static void
curl_io_on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct curl_io *io = arg;
	int mask =
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	curl_multi_socket_action(io->multi, fd, mask, &running);
	io->stepped(io->arg);
}

/* `socket_data` is the event that watches the socket; we own it. */
static int
curl_io_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_data)
{
	struct curl_io *io = arg;
	struct event *ev = socket_data;
	int events = EV_PERSIST;

	(void)easy;
	if (ev != NULL)
		event_free(ev);
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(io->multi, fd, NULL);
		return 0;
	}
	events |= what & CURL_POLL_IN ? EV_READ : 0;
	events |= what & CURL_POLL_OUT ? EV_WRITE : 0;
	ev = event_new(io->base, fd, (short)events, curl_io_on_socket, io);
	if (ev != NULL)
		event_add(ev, NULL);
	curl_multi_assign(io->multi, fd, ev);
	return 0;
}

static void
curl_io_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct curl_io *io = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(io->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	io->stepped(io->arg);
}

static int
curl_io_set_timer(CURLM *multi, long wait_ms, void *arg)
{
	struct curl_io *io = arg;
	const struct timeval tv = { wait_ms / 1000, wait_ms % 1000 * 1000 };

	(void)multi;
	if (wait_ms < 0)
		evtimer_del(io->timer);
	else
		evtimer_add(io->timer, &tv);
	return 0;
}

struct curl_io *
curl_io_new(struct event_base *base, long flags, void (*stepped)(void *arg), void *arg)
{
	struct curl_io *io = mem_alloc(sizeof *io);

	*io = (struct curl_io){ .base = base, .stepped = stepped, .arg = arg };
	curl_global_init(flags);
	io->multi = curl_multi_init();
	io->timer = evtimer_new(base, curl_io_on_timer, io);
	if (io->multi == NULL || io->timer == NULL) {
		curl_io_free(io);
		return NULL;
	}
	curl_multi_setopt(io->multi, CURLMOPT_SOCKETFUNCTION, curl_io_watch);
	curl_multi_setopt(io->multi, CURLMOPT_SOCKETDATA, io);
	curl_multi_setopt(io->multi, CURLMOPT_TIMERFUNCTION, curl_io_set_timer);
	curl_multi_setopt(io->multi, CURLMOPT_TIMERDATA, io);
	return io;
}

void
curl_io_free(struct curl_io *io)
{
	if (io == NULL)
		return;
	if (io->multi != NULL)
		curl_multi_cleanup(io->multi); /* takes back its sockets' events */
	if (io->timer != NULL)
		event_free(io->timer);
	curl_global_cleanup();
	free(io);
}

CURLM *
curl_io_multi(const struct curl_io *io)
{
	return io->multi;
}

/* gossip/gossip_stream_io.c -- what the streams of both sides share.
 *
 * In order: life, time, bytes in and out, what they may hold together.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/mem.h"
#include "gossip/gossip_private_io.h"

#define READ_BYTES (256 * 1024) /* at once, at most GOSSIP_ROOM */

/* A whole request in a plain stream; encrypted frames are smaller. */
#define OUT_MAX (STREAM_UNPACKED_MAX + 1024 * 1024)

_Static_assert(READ_BYTES <= GOSSIP_ROOM, "streams are read into the room");

/* --- life --- */

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct gossip_stream *s = arg;

	(void)fd;
	(void)what;
	gossip_stream_end(s, s->late, "its time is up");
}

struct gossip_stream *
gossip_stream_new(struct gossip_io *io, const struct addr *peer, bool ours, nsec time_max)
{
	struct gossip_stream *s = mem_new(struct gossip_stream);

	s->io = io;
	s->peer = *peer;
	s->fd = -1;
	s->ours = ours;
	s->stage = ours ? STREAM_WAITING : STREAM_READING;
	s->late = GOSSIP_TIMEOUT;
	buf_init(&s->out, OUT_MAX);
	s->timer = evtimer_new(io->config.base, on_time, s);
	if (s->timer == NULL)
		abort(); /* no memory for an event: as mem_new() */
	gossip_stream_time(s, time_max);
	if (ours) {
		TAILQ_INSERT_TAIL(&io->waiting, s, link);
		io->waiting_count++;
	} else {
		TAILQ_INSERT_TAIL(&io->streams, s, link);
		io->stats.streams_now++;
	}
	return s;
}

bool
gossip_stream_attach(
    struct gossip_stream *s, int fd, event_callback_fn on_readable, event_callback_fn on_writable)
{
	struct event_base *base = s->io->config.base;
	int on = 1;

	s->fd = fd;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	s->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, s);
	s->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, s);
	return s->readable != NULL && s->writable != NULL;
}

void
gossip_stream_free(struct gossip_stream *s)
{
	struct gossip_io *io = s->io;

	if (s->stage == STREAM_WAITING) {
		TAILQ_REMOVE(&io->waiting, s, link);
		io->waiting_count--;
	} else {
		TAILQ_REMOVE(&io->streams, s, link);
		if (s->ours)
			io->stats.opens_now--;
		else
			io->stats.streams_now--;
	}
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->writable != NULL)
		event_free(s->writable);
	event_free(s->timer);
	if (s->fd >= 0)
		(void)close(s->fd);
	io->stats.bytes_now -= s->held;
	stream_in_free(s->in);
	buf_done(&s->out);
	free(s);
	gossip_room_trim(io);
}

void
gossip_stream_end(struct gossip_stream *s, enum gossip_why why, const char *text)
{
	struct gossip_io *io = s->io;

	if (why == GOSSIP_BROKEN || why == GOSSIP_TIMEOUT)
		io->stats.streams_broken++;
	/* Of who does not take our call closed() tells; who calls and says nothing looks whether
	 * the port is open, as health checks do. */
	if (s->ours ? why == GOSSIP_BROKEN : why != GOSSIP_DONE && s->bytes_in > 0)
		gossip_complain(
		    io, &s->peer, s->ours ? "stream to a peer broken" : "stream broken", text);
	if (s->ours)
		gossip_open_ended(s, why, NULL);
	else
		gossip_stream_free(s);
}

/* --- time --- */

void
gossip_stream_time(struct gossip_stream *s, nsec time_max)
{
	struct timeval tv;

	if (time_max < 0)
		time_max = 0;
	tv.tv_sec = time_max / NSEC_SEC;
	tv.tv_usec = time_max % NSEC_SEC / NSEC_US;
	(void)event_add(s->timer, &tv);
}

/* --- bytes in and out --- */

int
gossip_stream_read(struct gossip_stream *s, struct str *bytes)
{
	ssize_t n = recv(s->fd, s->io->room, READ_BYTES, MSG_DONTWAIT);

	if (n < 0) {
		if (errno == EWOULDBLOCK || errno == EINTR)
			errno = EAGAIN;
		return -1;
	}
	s->bytes_in += (uint64_t)n;
	s->io->stats.stream_bytes_in += (uint64_t)n;
	s->io->room_large |= n > GOSSIP_PIECE_SMALL;
	*bytes = str_mem(s->io->room, (size_t)n);
	return n > 0;
}

int
gossip_stream_flush(struct gossip_stream *s)
{
	while (s->sent < s->out.n) {
		ssize_t n = send(
		    s->fd, s->out.p + s->sent, s->out.n - s->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
		s->sent += (size_t)n;
		s->io->stats.stream_bytes_out += (uint64_t)n;
	}
	buf_done(&s->out);
	s->sent = 0;
	return 1;
}

/* --- what they hold together --- */

bool
gossip_stream_weigh(struct gossip_stream *s)
{
	struct gossip_io *io = s->io;
	size_t held = s->out.room + (s->in != NULL ? stream_in_held(s->in) : 0);
	struct gossip_stream *largest = s, *other;

	io->stats.bytes_now += held - s->held;
	s->held = held;
	if (io->stats.bytes_now <= io->config.bytes_max)
		return true;
	TAILQ_FOREACH (other, &io->streams, link)
		if (other->held > largest->held)
			largest = other;
	gossip_stream_end(largest, GOSSIP_BROKEN, "all streams together hold too many bytes");
	return largest != s;
}

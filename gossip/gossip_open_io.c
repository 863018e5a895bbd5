/* gossip/gossip_open_io.c -- streams that we open: a request goes, at most one answer comes.
 *
 *     WAITING -> CONNECTING --opened()--> WRITING -> ENDING --answer, or peer's end--> closed()
 *
 * Nothing is started from inside gossip_io_open(): the event `start` does it, so that closed()
 * always comes from the loop. An answer may come while we still write (a peer that refuses). Where
 * none is wanted, the peer's end is waited for: it tells that all of it was taken.
 */
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/mem.h"
#include "gossip/gossip_private_io.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define READS_A_TURN 4 /* then others in the loop have their turn */
#define REQUEST_ROOM (64 * 1024 * 1024)

/* --- ends --- */

void
gossip_open_ended(struct gossip_stream *s, enum gossip_why why, const struct stream_request *answer)
{
	struct gossip_io *io = s->io;

	io->config.closed(io->config.arg, s->id, why, answer);
	gossip_stream_free(s);
	if (io->waiting_count > 0)
		event_active(io->start, EV_TIMEOUT, 0);
}

static void
out_fail(struct gossip_stream *s, int number)
{
	enum gossip_why why = number == ECONNREFUSED ? GOSSIP_REFUSED
			      : number == ETIMEDOUT  ? GOSSIP_TIMEOUT
						     : GOSSIP_BROKEN;

	gossip_stream_end(s, why, strerror(number));
}

/* --- writing --- */

static void
out_write(struct gossip_stream *s)
{
	int rc = gossip_stream_flush(s);

	if (rc < 0) {
		gossip_stream_end(s, GOSSIP_BROKEN, strerror(errno));
		return;
	}
	if (!gossip_stream_weigh(s))
		return;
	if (rc == 0) {
		(void)event_add(s->writable, NULL);
		return;
	}
	(void)event_del(s->writable);
	if (!s->want_answer)
		(void)shutdown(s->fd, SHUT_WR);
	s->stage = STREAM_ENDING;
}

static void
out_connected(struct gossip_stream *s)
{
	const struct gossip_io_config *c = &s->io->config;
	struct stream_request request;
	struct arena arena;
	struct err err = { 0 };
	bool wanted;
	int rc = 0;

	arena_init(&arena, REQUEST_ROOM);
	wanted = c->opened(c->arg, s->id, &arena, &request);
	if (wanted)
		rc = stream_write(c->frame, &request, false, &s->out, &err);
	arena_done(&arena);
	if (!wanted) {
		gossip_stream_end(s, GOSSIP_DONE, "");
	} else if (rc < 0) {
		gossip_stream_end(s, GOSSIP_BROKEN, err.text);
	} else {
		s->stage = STREAM_WRITING;
		if (s->want_answer)
			s->in = stream_in_new(c->frame, true);
		(void)event_add(s->readable, NULL);
		out_write(s);
	}
}

static void
on_out_writable(evutil_socket_t fd, short what, void *arg)
{
	struct gossip_stream *s = arg;
	int number = 0;
	socklen_t len = sizeof number;

	(void)what;
	if (s->stage != STREAM_CONNECTING)
		out_write(s);
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &len) != 0)
		out_fail(s, errno);
	else if (number != 0)
		out_fail(s, number);
	else
		out_connected(s);
}

/* --- the answer --- */

/* True: go on reading. */
static bool
out_feed(struct gossip_stream *s, struct str bytes)
{
	struct stream_request answer;
	struct err err = { 0 };
	int rc;

	if (s->in == NULL)
		return true; /* no answer is wanted */
	rc = stream_in_feed(s->in, bytes, &answer, &err);
	if (rc < 0)
		gossip_stream_end(s, GOSSIP_BROKEN, err.text);
	else if (rc > 0)
		gossip_open_ended(s, GOSSIP_DONE, &answer);
	else
		return gossip_stream_weigh(s);
	return false;
}

/* The peer's end: in good order when we have said all and it has said nothing, or all of it. */
static void
out_end(struct gossip_stream *s)
{
	if (s->stage == STREAM_WRITING)
		gossip_stream_end(s, GOSSIP_BROKEN, "closed before the request was taken");
	else if (s->want_answer && s->bytes_in > 0)
		gossip_stream_end(s, GOSSIP_BROKEN, "closed in the middle of the answer");
	else
		gossip_stream_end(s, GOSSIP_DONE, "");
}

static void
on_out_readable(evutil_socket_t fd, short what, void *arg)
{
	struct gossip_stream *s = arg;
	bool more = true;

	(void)fd;
	(void)what;
	for (int turn = 0; turn < READS_A_TURN && more; turn++) {
		struct str bytes;
		int rc = gossip_stream_read(s, &bytes);

		if (rc < 0 && errno == EAGAIN)
			return;
		if (rc < 0) {
			gossip_stream_end(s, GOSSIP_BROKEN, strerror(errno));
			return;
		}
		if (rc == 0) {
			out_end(s);
			return;
		}
		more = out_feed(s, bytes);
	}
}

/* --- connecting --- */

/* An agent that is bound to one address is known by it: its streams come from there too. */
static bool
bind_source(const struct gossip_io *io, int fd, const struct addr *peer)
{
	struct addr from = io->bound;
	struct sockaddr_storage sa;
	int on = 1;

	if (addr_is_any(&from) || from.family != peer->family)
		return true;
	from.port = 0;
	/* A port is chosen when the peer is known, so there are enough of them. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	socklen_t len = addr_to_sockaddr(&from, &sa);

	return bind(fd, (const struct sockaddr *)&sa, len) == 0;
}

static void
out_start(struct gossip_stream *s)
{
	struct gossip_io *io = s->io;
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&s->peer, &sa);
	int fd;

	TAILQ_REMOVE(&io->waiting, s, link);
	io->waiting_count--;
	TAILQ_INSERT_TAIL(&io->streams, s, link);
	io->stats.opens_now++;
	io->stats.streams_out++;
	s->stage = STREAM_CONNECTING;
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		out_fail(s, errno);
	else if (!gossip_stream_attach(s, fd, on_out_readable, on_out_writable))
		out_fail(s, ENOMEM);
	else if (!bind_source(io, fd, &s->peer) ||
		 (connect(fd, (const struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS))
		out_fail(s, errno);
	else
		(void)event_add(s->writable, NULL);
}

static void
on_start(evutil_socket_t fd, short what, void *arg)
{
	struct gossip_io *io = arg;
	struct gossip_stream *s;

	(void)fd;
	(void)what;
	while (io->stats.opens_now < GOSSIP_OPEN_MAX && (s = TAILQ_FIRST(&io->waiting)) != NULL)
		out_start(s);
}

void
gossip_io_open(
    struct gossip_io *io, uint64_t id, const struct addr *peer, bool want_answer, nsec time_max)
{
	bool full = io->waiting_count >= GOSSIP_OPEN_WAIT_MAX;
	struct gossip_stream *s = gossip_stream_new(io, peer, true, full ? 0 : time_max);

	s->id = id;
	s->want_answer = want_answer;
	if (full)
		s->late = GOSSIP_BROKEN;
	event_active(io->start, EV_TIMEOUT, 0);
}

int
gossip_open_new(struct gossip_io *io, struct err *err)
{
	io->start = event_new(io->config.base, -1, 0, on_start, io);
	return io->start != NULL ? 0 : err_set(err, ERR_IO, "gossip: cannot have an event");
}

void
gossip_open_done(struct gossip_io *io)
{
	if (io->start != NULL)
		event_free(io->start);
}

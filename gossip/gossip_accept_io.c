/* gossip/gossip_accept_io.c -- streams of others: a request comes, its answer goes.
 *
 *     READING --whole--> request() --answer--> WRITING --written--> ENDING --peer's end--> closed
 *        \--malformed or refused--> ERROR ------^
 *
 * After the answer the peer's end is waited for: closing while its bytes are unread would reset
 * the connection and could take the answer away from it. What a peer goes on sending is
 * thrown away, until its time is up. A newcomer over a limit is closed at once; those under way
 * are left alone, or whoever opens many could cut others off.
 */
#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "gossip/gossip_private_io.h"

#define BACKLOG 256
#define ACCEPTS_A_TURN 32
#define READS_A_TURN 4      /* then others in the loop have their turn */
#define ACCEPT_PAUSE_MS 100 /* when the process has no descriptors left */
#define ANSWER_ROOM (64 * 1024 * 1024)

/* --- the answer --- */

static void
in_write(struct gossip_stream *s)
{
	int rc = gossip_stream_flush(s);

	if (rc < 0) {
		gossip_stream_end(s, GOSSIP_BROKEN, "cut before the answer was taken");
		return;
	}
	if (!gossip_stream_weigh(s))
		return;
	if (rc == 0) {
		(void)event_del(s->readable);
		(void)event_add(s->writable, NULL);
		return;
	}
	(void)event_del(s->writable);
	(void)shutdown(s->fd, SHUT_WR);
	s->stage = STREAM_ENDING;
	s->late = GOSSIP_DONE; /* it has got what there was */
	(void)event_add(s->readable, NULL);
}

static void
on_in_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	in_write(arg);
}

/* What memberlist says to a stream that it cannot read, as it says it: in our mode. */
static void
in_refuse(struct gossip_stream *s, const char *why)
{
	struct stream_request error = { .type = WIRE_ERROR, .u.error = str_of(why) };

	s->io->stats.streams_broken++;
	gossip_complain(s->io, &s->peer, "stream refused", why);
	stream_in_free(s->in);
	s->in = NULL;
	if (stream_write(s->io->config.frame, &error, true, &s->out, NULL) < 0) {
		gossip_stream_free(s);
		return;
	}
	s->stage = STREAM_WRITING;
	s->late = GOSSIP_DONE;
	gossip_stream_time(s, GOSSIP_LINGER_TIME);
	in_write(s);
}

static void
in_answer(struct gossip_stream *s, const struct stream_request *request)
{
	const struct gossip_io_config *c = &s->io->config;
	struct stream_request answer;
	struct arena arena;
	struct err err = { 0 };
	bool has;
	int rc = 0;

	arena_init(&arena, ANSWER_ROOM);
	has = c->request(c->arg, &s->peer, request, &arena, &answer);
	stream_in_free(s->in); /* before room is made for the answer */
	s->in = NULL;
	if (has)
		rc = stream_write(c->frame, &answer, true, &s->out, &err);
	arena_done(&arena);
	if (rc < 0) {
		gossip_stream_end(s, GOSSIP_BROKEN, err.text);
	} else if (!has) {
		gossip_stream_free(s);
	} else {
		s->stage = STREAM_WRITING;
		in_write(s);
	}
}

/* --- the request --- */

/* True: go on reading. */
static bool
in_feed(struct gossip_stream *s, struct str bytes)
{
	struct stream_request request;
	struct err err = { 0 };
	int rc = stream_in_feed(s->in, bytes, &request, &err);

	if (rc < 0)
		in_refuse(s, err.text);
	else if (rc > 0)
		in_answer(s, &request);
	else
		return gossip_stream_weigh(s);
	return false;
}

static void
on_in_readable(evutil_socket_t fd, short what, void *arg)
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
		if (s->stage == STREAM_READING && rc <= 0) {
			gossip_stream_end(s, GOSSIP_BROKEN,
			    rc < 0 ? "reset by the peer" : "closed before its request was whole");
			return;
		}
		if (rc <= 0) {
			gossip_stream_free(s);
			return;
		}
		more = s->stage == STREAM_READING ? in_feed(s, bytes) : true;
	}
}

/* --- accepting --- */

static bool
over_limits(const struct gossip_io *io, const struct addr *peer)
{
	const struct gossip_stream *s;
	size_t of_host = 0;

	TAILQ_FOREACH (s, &io->streams, link)
		of_host += !s->ours && addr_eq_ip(&s->peer, peer);
	return io->stats.streams_now >= GOSSIP_STREAMS_MAX ||
	       of_host >= GOSSIP_STREAMS_PER_HOST_MAX;
}

static void
in_new(struct gossip_io *io, int fd, const struct addr *peer)
{
	struct gossip_stream *s;

	if (over_limits(io, peer)) {
		io->stats.streams_refused++;
		gossip_complain(io, peer, "stream refused", "too many are open");
		(void)close(fd);
		return;
	}
	io->stats.streams_in++;
	s = gossip_stream_new(io, peer, false, io->config.stream_time);
	s->in = stream_in_new(io->config.frame, false);
	if (!gossip_stream_attach(s, fd, on_in_readable, on_in_writable) ||
	    event_add(s->readable, NULL) != 0)
		gossip_stream_end(s, GOSSIP_BROKEN, "the loop cannot watch it");
}

/* Without descriptors the listener rests, or the loop would spin on what cannot be accepted. */
static void
accept_pause(struct gossip_io *io)
{
	const struct timeval pause = { 0, ACCEPT_PAUSE_MS * 1000 };

	(void)event_del(io->accept);
	(void)event_add(io->accept_again, &pause);
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct gossip_io *io = arg;

	(void)fd;
	(void)what;
	(void)event_add(io->accept, NULL);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct gossip_io *io = arg;

	(void)what;
	for (int turn = 0; turn < ACCEPTS_A_TURN; turn++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof sa;
		struct addr peer;
		int got = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			accept_pause(io);
			return;
		}
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (got < 0)
			continue; /* that connection is gone already: the next */
		if (gossip_peer(&sa, &peer))
			in_new(io, got, &peer);
		else
			(void)close(got);
	}
}

int
gossip_accept_new(struct gossip_io *io, int fd, struct err *err)
{
	io->listener = fd;
	if (listen(fd, BACKLOG) != 0)
		return err_errno(err, "gossip: listen");
	io->accept_again = evtimer_new(io->config.base, on_accept_again, io);
	io->accept = event_new(io->config.base, fd, EV_READ | EV_PERSIST, on_accept, io);
	if (io->accept_again == NULL || io->accept == NULL || event_add(io->accept, NULL) != 0)
		return err_set(err, ERR_IO, "gossip: cannot watch the TCP socket");
	return 0;
}

void
gossip_accept_done(struct gossip_io *io)
{
	if (io->accept != NULL)
		event_free(io->accept);
	if (io->accept_again != NULL)
		event_free(io->accept_again);
	if (io->listener >= 0)
		(void)close(io->listener);
}

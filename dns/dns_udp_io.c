/* dns/dns_udp_io.c -- datagrams answered in the loop, in batches. */
#include "dns/dns_udp_io.h"

#include <unistd.h>

#include "base/mem.h"
#include "dns/dns_batch_io.h"
#include "dns/dns_later_io.h"

#define BATCHES_A_TURN 8                 /* then others in the loop have their turn */
#define REPLIES_ROOM (4 * (size_t)65536) /* for the answers of one batch; sent early when full */

struct udp_socket {
	struct dns_udp *udp;
	int fd;
	struct event *readable; /* owned */
};

struct dns_udp {
	struct event_base *base;
	struct dns_responder *responder;
	struct udp_socket **sockets; /* owned */
	size_t count, cap;
	struct batch *batch; /* owned */
	struct later *later; /* owned */
	struct recurse *recurse;
	struct rate *rate;
	struct dns_stats stats;
};

struct dns_udp *
dns_udp_new(
    struct event_base *base, struct dns_responder *responder, const struct dns_shared *shared)
{
	struct dns_udp *udp = mem_new(struct dns_udp);

	udp->base = base;
	udp->responder = responder;
	udp->rate = shared->rate;
	udp->recurse = shared->recurse;
	udp->batch = batch_new(REPLIES_ROOM, &udp->stats, shared->logs);
	udp->later = later_new(shared->recurse, udp->batch);
	return udp;
}

void
dns_udp_free(struct dns_udp *udp)
{
	if (udp == NULL)
		return;
	for (size_t i = 0; i < udp->count; i++) {
		if (udp->sockets[i]->readable != NULL)
			event_free(udp->sockets[i]->readable);
		(void)close(udp->sockets[i]->fd);
		free(udp->sockets[i]);
	}
	free(udp->sockets);
	later_free(udp->later);
	batch_free(udp->batch);
	free(udp);
}

static size_t
query_answer(struct dns_udp *udp, int fd, unsigned i, struct now now, void *room)
{
	struct str query = batch_query(udp->batch, i);
	size_t n = dns_answer(udp->responder, now, query, false, room, BATCH_REPLY_MAX);
	struct batch_peer peer;

	if (n > 0 || !recurse_wanted(udp->recurse))
		return n;
	batch_peer(udp->batch, i, &peer);
	return later_ask(
	    udp->later, &peer, fd, batch_came(udp->batch, i), query, room, BATCH_REPLY_MAX);
}

static void
batch_answer(struct dns_udp *udp, int fd, unsigned count)
{
	struct now now = batch_now();
	nsec wall = batch_wall();

	for (unsigned i = 0; i < count; i++) {
		void *room = batch_reply_room(udp->batch, fd, BATCH_REPLY_MAX);
		size_t n = 0;

		switch (batch_verdict(udp->batch, i, wall, udp->rate)) {
		case BATCH_ANSWER:
			n = query_answer(udp, fd, i, now, room);
			break;
		case BATCH_SLIP:
			n = dns_answer_slip(batch_query(udp->batch, i), room, BATCH_REPLY_MAX);
			break;
		case BATCH_DROP:
			break;
		}
		if (n > 0)
			batch_reply(udp->batch, i, n);
	}
	batch_send(udp->batch, fd);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct udp_socket *socket = arg;

	(void)what;
	for (int turn = 0; turn < BATCHES_A_TURN; turn++) {
		int n = batch_receive(socket->udp->batch, fd);

		if (n <= 0)
			return;
		batch_answer(socket->udp, fd, (unsigned)n);
		if (n < BATCH)
			return;
	}
}

int
dns_udp_add(struct dns_udp *udp, int fd, const struct addr *at, struct err *err)
{
	struct udp_socket *socket = mem_new(struct udp_socket);
	int rc;

	socket->udp = udp;
	socket->fd = fd;
	udp->sockets = mem_grow(udp->sockets, udp->count, &udp->cap, sizeof udp->sockets[0]);
	udp->sockets[udp->count++] = socket;
	rc = batch_socket_tune(fd, at, err);
	if (rc != 0)
		return rc;
	socket->readable = event_new(udp->base, fd, EV_READ | EV_PERSIST, on_readable, socket);
	if (socket->readable == NULL || event_add(socket->readable, NULL) != 0)
		return err_set(err, ERR_IO, "dns: cannot watch the UDP socket");
	return 0;
}

void
dns_udp_stats(const struct dns_udp *udp, struct dns_stats *stats)
{
	dns_stats_add(stats, &udp->stats);
}

/* gossip/gossip_udp_io.c -- datagrams in batches, one at a time out, and what ICMP says of them.
 *
 * In order: refusals, what comes in, what goes out, life.
 *
 * With IP_RECVERR an ICMP error is queued with the address that it is about, and the next call on
 * the socket fails with it, whomever that call was for. So a call that fails takes the queue away
 * and tries again. Who refused is told later, from the loop: a send is often made while a core is
 * being drained.
 */
#include <time.h> /* errqueue.h wants it */

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/mem.h"
#include "gossip/gossip_private_io.h"
#include "gossip/wire.h"

#define REFUSED_MAX 64 /* peers to be told of; more are found again by their next packet */
#define ERRORS_A_TURN 64
/* Decrypted, unpacked, parts unpacked; and the blocks' heads. */
#define ARENA_MAX (4 * FRAME_UNPACKED_MAX)
#define OUT_MAX (WIRE_PACKET_MAX + 1024) /* a label, and what encryption adds */

struct gossip_udp {
	struct gossip_io *io;
	int fd;
	struct event *readable, *tell; /* owned */
	struct arena arena;            /* of the datagram in work */
	struct buf out;
	struct addr refused[REFUSED_MAX];
	size_t refused_count;
	/* of the batch in work */
	struct mmsghdr in[GOSSIP_SLOTS];
	struct iovec iov[GOSSIP_SLOTS];
	struct sockaddr_storage peers[GOSSIP_SLOTS];
};

/* --- refusals --- */

static void
refused_add(struct gossip_udp *u, const struct addr *peer)
{
	u->io->stats.refused++;
	for (size_t i = 0; i < u->refused_count; i++)
		if (u->refused[i].port == peer->port && addr_eq_ip(&u->refused[i], peer))
			return;
	if (u->refused_count == REFUSED_MAX)
		return;
	u->refused[u->refused_count++] = *peer;
	event_active(u->tell, EV_TIMEOUT, 0);
}

/* Port unreachable, told by a host or router; whatever else says no proves nothing. */
static bool
is_refusal(struct msghdr *hdr)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c != NULL; c = CMSG_NXTHDR(hdr, c)) {
		struct sock_extended_err e;

		if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
		    !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			continue;
		memcpy(&e, CMSG_DATA(c), sizeof e);
		return e.ee_errno == ECONNREFUSED &&
		       (e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6);
	}
	return false;
}

static void
errors_take(struct gossip_udp *u)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(
		    sizeof(struct sock_extended_err) + sizeof(struct sockaddr_storage))];
	} control;

	for (int turn = 0; turn < ERRORS_A_TURN; turn++) {
		struct sockaddr_storage sa;
		struct msghdr hdr = { .msg_name = &sa,
			.msg_namelen = sizeof sa,
			.msg_control = &control,
			.msg_controllen = sizeof control };
		struct addr peer;

		if (recvmsg(u->fd, &hdr, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return;
		if (hdr.msg_namelen > 0 && gossip_peer(&sa, &peer) && is_refusal(&hdr))
			refused_add(u, &peer);
	}
}

static void
on_tell(evutil_socket_t fd, short what, void *arg)
{
	struct gossip_udp *u = arg;
	const struct gossip_io_config *c = &u->io->config;
	struct addr refused[REFUSED_MAX];
	size_t count = u->refused_count;

	(void)fd;
	(void)what;
	memcpy(refused, u->refused, count * sizeof refused[0]);
	u->refused_count = 0; /* what is sent meanwhile may be refused again: in the next turn */
	for (size_t i = 0; i < count; i++)
		c->refused(c->arg, &refused[i]);
	c->turn_done(c->arg);
}

/* --- in --- */

/* The messages of one datagram; how many there were. */
static size_t
deliver(struct gossip_udp *u, const struct addr *from, struct str packet)
{
	struct gossip_io *io = u->io;
	struct str opened, message;
	struct frame_walk walk;
	struct err err = { 0 };
	size_t count = 0;

	arena_reset(&u->arena);
	if (frame_open(io->config.frame, &u->arena, packet, &opened, &err) < 0) {
		io->stats.unopened++;
		gossip_complain(io, from, "datagram dropped", err.text);
		return 0;
	}
	frame_walk_init(&walk, &u->arena, opened);
	for (; frame_walk_next(&walk, &message); count++)
		io->config.message(io->config.arg, from, message);
	if (walk.truncated + walk.refused > 0) {
		io->stats.truncated += walk.truncated + walk.refused;
		gossip_complain(io, from, "parts of a datagram dropped", "cut or malformed");
	}
	return count;
}

static int
batch_receive(struct gossip_udp *u)
{
	for (size_t i = 0; i < GOSSIP_SLOTS; i++) {
		u->iov[i] = (struct iovec){ u->io->room + i * GOSSIP_SLOT, GOSSIP_SLOT };
		u->in[i].msg_hdr = (struct msghdr){
			.msg_name = &u->peers[i],
			.msg_namelen = sizeof u->peers[i],
			.msg_iov = &u->iov[i],
			.msg_iovlen = 1,
		};
	}
	return recvmmsg(u->fd, u->in, GOSSIP_SLOTS, MSG_DONTWAIT, NULL);
}

static size_t
batch_deliver(struct gossip_udp *u, size_t count)
{
	size_t messages = 0;

	for (size_t i = 0; i < count; i++) {
		struct str packet = str_mem(u->iov[i].iov_base, u->in[i].msg_len);
		struct addr from;

		u->io->stats.datagrams_in++;
		u->io->stats.bytes_in += packet.n;
		u->io->room_large |= packet.n > GOSSIP_PIECE_SMALL;
		if (gossip_peer(&u->peers[i], &from))
			messages += deliver(u, &from, packet);
	}
	return messages;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct gossip_udp *u = arg;
	size_t messages = 0;

	(void)fd;
	(void)what;
	for (size_t taken = 0; taken < GOSSIP_READ_TURN;) {
		int n = batch_receive(u);

		if (n < 0) { /* an error of an earlier packet, or nothing left */
			bool none = errno == EAGAIN || errno == EWOULDBLOCK;

			errors_take(u);
			if (none)
				break;
			taken++;
			continue;
		}
		messages += batch_deliver(u, (size_t)n);
		taken += (size_t)n;
		if (n < GOSSIP_SLOTS)
			break;
	}
	arena_reset(&u->arena);
	gossip_room_trim(u->io);
	if (messages > 0)
		u->io->config.turn_done(u->io->config.arg);
}

/* --- out --- */

void
gossip_io_send(struct gossip_io *io, const struct addr *peer, struct str message, bool crc)
{
	struct gossip_udp *u = io->udp;
	struct sockaddr_storage sa;
	socklen_t len = gossip_sockaddr(io, peer, &sa);
	bool full = false, sent = false;

	buf_clear(&u->out);
	if (len == 0 || frame_seal(io->config.frame, message, crc, &u->out, NULL) < 0) {
		io->stats.send_failed++;
		return;
	}
	/* Twice: the first may fail of what another peer's host said. */
	for (int try = 0; try < 2 && !sent && !full; try++) {
		sent = sendto(u->fd, u->out.p, u->out.n, MSG_DONTWAIT | MSG_NOSIGNAL,
			   (const struct sockaddr *)&sa, len) >= 0;
		full = !sent && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS);
		if (!sent && !full)
			errors_take(u);
	}
	if (sent) {
		io->stats.datagrams_out++;
		io->stats.bytes_out += u->out.n;
	} else if (full) {
		io->stats.send_full++;
	} else {
		io->stats.send_failed++;
	}
	if (u->out.room > GOSSIP_PIECE_SMALL)
		buf_done(&u->out);
}

/* --- life --- */

int
gossip_udp_new(struct gossip_io *io, int fd, struct err *err)
{
	struct gossip_udp *u = mem_new(struct gossip_udp);

	io->udp = u;
	u->io = io;
	u->fd = fd;
	arena_init(&u->arena, ARENA_MAX);
	buf_init(&u->out, OUT_MAX);
	u->tell = event_new(io->config.base, -1, 0, on_tell, u);
	u->readable = event_new(io->config.base, fd, EV_READ | EV_PERSIST, on_readable, u);
	if (u->tell == NULL || u->readable == NULL || event_add(u->readable, NULL) != 0)
		return err_set(err, ERR_IO, "gossip: cannot watch the UDP socket");
	return 0;
}

void
gossip_udp_free(struct gossip_udp *u)
{
	if (u == NULL)
		return;
	if (u->readable != NULL)
		event_free(u->readable);
	if (u->tell != NULL)
		event_free(u->tell);
	(void)close(u->fd);
	arena_done(&u->arena);
	buf_done(&u->out);
	free(u);
}

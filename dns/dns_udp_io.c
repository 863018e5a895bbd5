/* dns/dns_udp_io.c -- datagrams in batches.
 *
 * One recvmmsg() takes what has come, each query is answered into one long room, one sendmmsg()
 * carries the answers away. Each reply leaves from the address its query came to: that address
 * is received as a control message and handed back with the reply.
 */
#include "dns/dns_udp_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "dns/message.h"

#define BATCH 32
#define BATCHES_A_TURN 8         /* then others in the loop have their turn */
#define QUERY_MAX 2048           /* bytes of one query; what is longer is cut, hence malformed */
#define REPLY_MAX 65507          /* what one IPv4 datagram holds */
#define REPLIES_ROOM (4 * 65536) /* for the answers of one batch; sent early when full */
#define RECEIVE_BUFFER (1024 * 1024)

union control {
	struct cmsghdr align;
	char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

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
	/* of the batch in work */
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	struct sockaddr_storage peers[BATCH];
	union control controls[BATCH];
	uint8_t *queries; /* owned: BATCH of QUERY_MAX */
	uint8_t *replies; /* owned: REPLIES_ROOM */
};

struct dns_udp *
dns_udp_new(struct event_base *base, struct dns_responder *responder)
{
	struct dns_udp *udp = mem_new(struct dns_udp);

	udp->base = base;
	udp->responder = responder;
	udp->queries = mem_alloc((size_t)BATCH * QUERY_MAX);
	udp->replies = mem_alloc(REPLIES_ROOM);
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
	free(udp->queries);
	free(udp->replies);
	free(udp);
}

static struct now
now_read(void)
{
	struct timespec mono, wall;

	(void)clock_gettime(CLOCK_MONOTONIC, &mono);
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	return (struct now){ .mono = mono.tv_sec * NSEC_SEC + mono.tv_nsec,
		.wall_ms = wall.tv_sec * 1000 + wall.tv_nsec / NSEC_MS };
}

static int
batch_receive(struct dns_udp *udp, int fd)
{
	for (size_t i = 0; i < BATCH; i++) {
		udp->in_iov[i] = (struct iovec){ udp->queries + i * QUERY_MAX, QUERY_MAX };
		udp->in[i].msg_hdr = (struct msghdr){
			.msg_name = &udp->peers[i],
			.msg_namelen = sizeof udp->peers[i],
			.msg_iov = &udp->in_iov[i],
			.msg_iovlen = 1,
			.msg_control = &udp->controls[i],
			.msg_controllen = sizeof udp->controls[i],
		};
	}
	return recvmmsg(fd, udp->in, BATCH, MSG_DONTWAIT, NULL);
}

/* Turns the address a query came to into the one the reply leaves from. The interface is left to
 * routing, but for link-local addresses, which mean nothing without it. */
static void
control_turn(struct msghdr *hdr)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(hdr);

	if (c != NULL && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		info.ipi_ifindex = 0;
		memcpy(CMSG_DATA(c), &info, sizeof info);
	} else if (c != NULL && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof info);
		if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
			info.ipi6_ifindex = 0;
		memcpy(CMSG_DATA(c), &info, sizeof info);
	} else {
		hdr->msg_control = NULL;
		hdr->msg_controllen = 0;
	}
}

/* A reply that cannot leave is dropped: the asker will ask again. */
static void
batch_send(struct dns_udp *udp, int fd, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		int n = sendmmsg(fd, udp->out + done, count - done, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
			return;
		done += n > 0 ? (unsigned)n : 1; /* the first one is at fault: go on behind it */
	}
}

static void
batch_answer(struct dns_udp *udp, int fd, unsigned count)
{
	struct now now = now_read();
	size_t used = 0;
	unsigned out = 0;

	for (unsigned i = 0; i < count; i++) {
		struct str query = str_mem(udp->in_iov[i].iov_base, udp->in[i].msg_len);
		size_t n;

		if (REPLIES_ROOM - used < REPLY_MAX) {
			batch_send(udp, fd, out);
			used = out = 0;
		}
		n = dns_answer(udp->responder, now, query, false, udp->replies + used, REPLY_MAX);
		if (n == 0)
			continue;
		udp->out_iov[out] = (struct iovec){ udp->replies + used, n };
		udp->out[out].msg_hdr = udp->in[i].msg_hdr;
		udp->out[out].msg_hdr.msg_iov = &udp->out_iov[out];
		udp->out[out].msg_hdr.msg_flags = 0;
		control_turn(&udp->out[out].msg_hdr);
		used += n;
		out++;
	}
	batch_send(udp, fd, out);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct udp_socket *socket = arg;

	(void)what;
	for (int turn = 0; turn < BATCHES_A_TURN; turn++) {
		int n = batch_receive(socket->udp, fd);

		if (n <= 0)
			return;
		batch_answer(socket->udp, fd, (unsigned)n);
		if (n < BATCH)
			return;
	}
}

/* Whether fragments may be made of large answers, and never by what strangers claim about the path
 * (draft-ietf-dnsop-avoid-fragmentation): asked for, not insisted upon. */
static void
socket_tune(int fd, enum addr_family family)
{
	int size = RECEIVE_BUFFER;
	int omit4 = IP_PMTUDISC_OMIT, omit6 = IPV6_PMTUDISC_OMIT;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (family == ADDR_V4)
		(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit4, sizeof omit4);
	else
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit6, sizeof omit6);
}

int
dns_udp_add(struct dns_udp *udp, int fd, enum addr_family family, struct err *err)
{
	struct udp_socket *socket = mem_new(struct udp_socket);
	int on = 1;

	socket->udp = udp;
	socket->fd = fd;
	udp->sockets = mem_grow(udp->sockets, udp->count, &udp->cap, sizeof udp->sockets[0]);
	udp->sockets[udp->count++] = socket;
	if (setsockopt(fd, family == ADDR_V6 ? IPPROTO_IPV6 : IPPROTO_IP,
		family == ADDR_V6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on) != 0)
		return err_errno(err, "dns: UDP packet information");
	socket_tune(fd, family);
	socket->readable = event_new(udp->base, fd, EV_READ | EV_PERSIST, on_readable, socket);
	if (socket->readable == NULL || event_add(socket->readable, NULL) != 0)
		return err_set(err, ERR_IO, "dns: cannot watch the UDP socket");
	return 0;
}

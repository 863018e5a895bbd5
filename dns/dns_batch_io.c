/* dns/dns_batch_io.c -- arrays for recvmmsg() and sendmmsg(), and whom replies go to. */
#include "dns/dns_batch_io.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include "base/mem.h"
#include "dns/dns_query_log.h"

#define RECEIVE_BUFFER (1024 * 1024)

struct batch {
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	struct sockaddr_in6 peers[BATCH]; /* the longest there is */
	union batch_control controls[BATCH];
	nsec came[BATCH], out_came[BATCH]; /* when the queries came, of both */
	struct dns_stats *stats;
	const _Atomic bool *logs;
	uint8_t *queries; /* owned: BATCH of BATCH_QUERY_MAX */
	uint8_t *replies; /* owned */
	size_t room, used;
	unsigned waiting; /* replies */
};

struct batch *
batch_new(size_t replies_room, struct dns_stats *stats, const _Atomic bool *logs)
{
	struct batch *b = mem_new(struct batch);

	b->stats = stats;
	b->logs = logs;
	b->queries = mem_alloc((size_t)BATCH * BATCH_QUERY_MAX);
	b->replies = mem_alloc(replies_room);
	b->room = replies_room;
	for (size_t i = 0; i < BATCH; i++) {
		b->in_iov[i] = (struct iovec){ b->queries + i * BATCH_QUERY_MAX, BATCH_QUERY_MAX };
		b->in[i].msg_hdr = (struct msghdr){
			.msg_name = &b->peers[i],
			.msg_iov = &b->in_iov[i],
			.msg_iovlen = 1,
			.msg_control = &b->controls[i],
		};
		b->out[i].msg_hdr = (struct msghdr){ .msg_iov = &b->out_iov[i], .msg_iovlen = 1 };
	}
	return b;
}

void
batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	free(b->queries);
	free(b->replies);
	free(b);
}

/* Without a stamp, which does not happen, it came just now. */
static nsec
came_read(struct msghdr *hdr)
{
	struct timespec at;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c != NULL; c = CMSG_NXTHDR(hdr, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&at, CMSG_DATA(c), sizeof at);
		return at.tv_sec * NSEC_SEC + at.tv_nsec;
	}
	return batch_wall();
}

static int
receive(struct batch *b, int fd, int flags)
{
	int n;

	for (size_t i = 0; i < BATCH; i++) {
		b->in[i].msg_hdr.msg_namelen = sizeof b->peers[i];
		b->in[i].msg_hdr.msg_controllen = sizeof b->controls[i];
	}
	n = recvmmsg(fd, b->in, BATCH, flags, NULL);
	for (int i = 0; i < n; i++)
		b->came[i] = came_read(&b->in[i].msg_hdr);
	return n;
}

int
batch_receive(struct batch *b, int fd)
{
	return receive(b, fd, MSG_DONTWAIT);
}

int
batch_wait(struct batch *b, int fd)
{
	return receive(b, fd, MSG_WAITFORONE);
}

struct str
batch_query(const struct batch *b, unsigned i)
{
	return str_mem(b->in_iov[i].iov_base, b->in[i].msg_len);
}

void
batch_peer(const struct batch *b, unsigned i, struct batch_peer *out)
{
	const struct msghdr *hdr = &b->in[i].msg_hdr;

	memcpy(&out->address, &b->peers[i], sizeof b->peers[i]);
	out->address_n = hdr->msg_namelen;
	out->control_n = hdr->msg_controllen;
	out->control = b->controls[i];
}

nsec
batch_came(const struct batch *b, unsigned i)
{
	return b->came[i];
}

enum batch_verdict
batch_verdict(struct batch *b, unsigned i, nsec wall, struct rate *rate)
{
	struct addr from;

	if (wall - b->came[i] > DNS_LATE) {
		dns_stats_up(&b->stats->late, 1);
		return BATCH_DROP;
	}
	if (rate == NULL || !addr_from_sockaddr((const struct sockaddr *)&b->peers[i], &from))
		return BATCH_ANSWER;
	switch (rate_take(rate, batch_now().mono, &from)) {
	case RATE_ANSWER:
		return BATCH_ANSWER;
	case RATE_SLIP:
		dns_stats_up(&b->stats->slipped, 1);
		return BATCH_SLIP;
	case RATE_SILENCE:
		break;
	}
	dns_stats_up(&b->stats->limited, 1);
	return BATCH_DROP;
}

/* Turns the address a query came to into the one the reply leaves from; all else that came with it
 * stays behind. The interface is left to routing, but for link-local addresses, which mean nothing
 * without it. */
static void
control_turn(struct msghdr *hdr)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(hdr); c != NULL; c = CMSG_NXTHDR(hdr, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof info);
			info.ipi_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof info);
			break;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof info);
			if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				info.ipi6_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof info);
			break;
		}
	}
	hdr->msg_control = c;
	hdr->msg_controllen = c == NULL ? 0 : CMSG_ALIGN(c->cmsg_len);
}

void *
batch_reply_room(struct batch *b, int fd, size_t most)
{
	if (b->room - b->used < most || batch_is_full(b))
		batch_send(b, fd);
	assert(b->room >= most);
	return b->replies + b->used;
}

static struct msghdr *
reply_add(struct batch *b, nsec came, size_t n)
{
	unsigned at = b->waiting++;

	assert(at < BATCH && n <= b->room - b->used);
	b->out_iov[at] = (struct iovec){ b->replies + b->used, n };
	b->out_came[at] = came;
	b->used += n;
	return &b->out[at].msg_hdr;
}

void
batch_reply(struct batch *b, unsigned i, size_t n)
{
	struct msghdr *hdr = reply_add(b, b->came[i], n);

	hdr->msg_name = &b->peers[i];
	hdr->msg_namelen = b->in[i].msg_hdr.msg_namelen;
	hdr->msg_control = &b->controls[i];
	hdr->msg_controllen = b->in[i].msg_hdr.msg_controllen;
	control_turn(hdr);
}

void
batch_reply_to(struct batch *b, struct batch_peer *peer, nsec came, size_t n)
{
	struct msghdr *hdr = reply_add(b, came, n);

	hdr->msg_name = &peer->address;
	hdr->msg_namelen = peer->address_n;
	hdr->msg_control = &peer->control;
	hdr->msg_controllen = peer->control_n;
	control_turn(hdr);
}

bool
batch_is_full(const struct batch *b)
{
	return b->waiting == BATCH;
}

static void
replies_log(const struct batch *b, unsigned count, nsec left)
{
	for (unsigned i = 0; i < count; i++) {
		struct str answer = str_mem(b->out_iov[i].iov_base, b->out_iov[i].iov_len);
		struct addr to;

		if (addr_from_sockaddr(b->out[i].msg_hdr.msg_name, &to))
			dns_query_log(answer, &to, "udp", left - b->out_came[i]);
	}
}

/* A reply that cannot leave is dropped: the asker will ask again. */
void
batch_send(struct batch *b, int fd)
{
	unsigned done = 0;
	nsec left;

	if (b->waiting == 0)
		return;
	while (done < b->waiting) {
		int n = sendmmsg(fd, b->out + done, b->waiting - done, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
			break;
		done += n > 0 ? (unsigned)n : 1; /* the first one is at fault: go on behind it */
	}
	left = batch_wall();
	for (unsigned i = 0; i < done; i++)
		dns_stats_time(b->stats, left - b->out_came[i]);
	if (atomic_load_explicit(b->logs, memory_order_relaxed))
		replies_log(b, done, left);
	b->waiting = 0;
	b->used = 0;
}

/* Where a socket is bound to one address, replies leave from that one anyway. */
static int
socket_ask_address(int fd, const struct addr *at)
{
	int on = 1;

	if (!addr_is_any(at))
		return 0;
	if (at->family == ADDR_V6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
	return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
}

/* Whether fragments may be made of large answers, and never by what strangers claim about the path
 * (draft-ietf-dnsop-avoid-fragmentation): asked for, not insisted upon. */
int
batch_socket_tune(int fd, const struct addr *at, struct err *err)
{
	int size = RECEIVE_BUFFER, on = 1;
	int omit4 = IP_PMTUDISC_OMIT, omit6 = IPV6_PMTUDISC_OMIT;

	if (socket_ask_address(fd, at) != 0)
		return err_errno(err, "dns: UDP packet information");
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0)
		return err_errno(err, "dns: times of packets");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (at->family == ADDR_V4)
		(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit4, sizeof omit4);
	else
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit6, sizeof omit6);
	return 0;
}

struct now
batch_now(void)
{
	struct timespec mono, wall;

	(void)clock_gettime(CLOCK_MONOTONIC, &mono);
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	return (struct now){ .mono = mono.tv_sec * NSEC_SEC + mono.tv_nsec,
		.wall_ms = wall.tv_sec * 1000 + wall.tv_nsec / NSEC_MS };
}

nsec
batch_wall(void)
{
	struct timespec wall;

	(void)clock_gettime(CLOCK_REALTIME, &wall);
	return wall.tv_sec * NSEC_SEC + wall.tv_nsec;
}

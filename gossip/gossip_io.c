/* gossip/gossip_io.c -- the pool's sockets: life, addresses, the log's patience.
 *
 * In order: time and addresses, the room for reading, the log, binding, life. What travels is in
 * gossip_udp_io.c and gossip_stream_io.c.
 */
#include "gossip/gossip_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/bind_io.h"
#include "base/mem.h"
#include "gossip/gossip_private_io.h"

#define RECEIVE_BUFFER (2 * 1024 * 1024) /* as real agents: a burst overruns the default */

/* --- time and addresses --- */

nsec
gossip_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_SEC + t.tv_nsec;
}

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

socklen_t
gossip_sockaddr(const struct gossip_io *io, const struct addr *a, struct sockaddr_storage *out)
{
	struct addr mapped = { .family = ADDR_V6, .port = a->port };

	if (a->port == 0 || a->family == ADDR_NONE)
		return 0;
	if (a->family == io->bound.family)
		return addr_to_sockaddr(a, out);
	if (a->family != ADDR_V4 || !addr_is_any(&io->bound))
		return 0;
	memcpy(mapped.bytes, v4_mapped, sizeof v4_mapped);
	memcpy(mapped.bytes + sizeof v4_mapped, a->bytes, 4);
	return addr_to_sockaddr(&mapped, out);
}

bool
gossip_peer(const struct sockaddr_storage *sa, struct addr *out)
{
	struct addr a;

	if (!addr_from_sockaddr((const struct sockaddr *)sa, &a))
		return false;
	if (a.family == ADDR_V6 && memcmp(a.bytes, v4_mapped, sizeof v4_mapped) == 0) {
		struct addr v4 = { .family = ADDR_V4, .port = a.port };

		memcpy(v4.bytes, a.bytes + sizeof v4_mapped, 4);
		a = v4;
	}
	*out = a;
	return true;
}

/* --- the room for reading --- */

static char *
room_new(void)
{
	char *room =
	    mmap(NULL, GOSSIP_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return NULL;
	(void)madvise(room, GOSSIP_ROOM, MADV_NOHUGEPAGE); /* one page a slot is the point of it */
	return room;
}

void
gossip_room_trim(struct gossip_io *io)
{
	if (io->room_large)
		(void)madvise(io->room, GOSSIP_ROOM, MADV_DONTNEED);
	io->room_large = false;
}

/* --- the log --- */

/* The place of a source that may have a line now; NULL: be quiet. */
static struct gossip_source *
source_for(struct gossip_io *io, const struct addr *from, nsec now)
{
	struct gossip_source *free_one = NULL;

	for (size_t i = 0; i < GOSSIP_SOURCES_MAX; i++) {
		struct gossip_source *s = &io->sources[i];

		if (s->from.family != ADDR_NONE && addr_eq_ip(&s->from, from)) {
			if (s->quiet_until <= now)
				return s;
			s->more++;
			return NULL;
		}
		if (free_one == NULL && s->quiet_until <= now)
			free_one = s;
	}
	if (free_one != NULL)
		free_one->more = 0;
	return free_one;
}

void
gossip_complain(struct gossip_io *io, const struct addr *from, const char *what, const char *why)
{
	nsec now = gossip_now();
	struct gossip_source *s = source_for(io, from, now);
	char text[ADDR_TEXT_MAX];

	if (s == NULL)
		return;
	log_warn("gossip", "%s from=%s why=\"%s\" more_before=%llu", what, addr_format(from, text),
	    why, (unsigned long long)s->more);
	*s = (struct gossip_source){ .from = *from, .quiet_until = now + GOSSIP_QUIET };
}

/* --- sockets --- */

/* Errors of packets sent earlier are asked for: a refusal is evidence. Fragments may be made on
 * the way, and never by what strangers claim about the path. */
static int
udp_tune(int fd, enum addr_family family, struct err *err)
{
	int on = 1, size = RECEIVE_BUFFER, omit4 = IP_PMTUDISC_OMIT, omit6 = IPV6_PMTUDISC_OMIT;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit4, sizeof omit4);
	if (family == ADDR_V6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit6, sizeof omit6);
	/* For IPv4 also where "::" takes it. */
	if (setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) != 0 && family == ADDR_V4)
		return err_errno(err, "gossip: IP_RECVERR");
	if (family == ADDR_V6 && setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) != 0)
		return err_errno(err, "gossip: IPV6_RECVERR");
	return 0;
}

/* --- life --- */

int
gossip_io_new(const struct gossip_io_config *config, struct gossip_io **out, struct err *err)
{
	struct gossip_io *io = mem_new(struct gossip_io);
	int fds[BIND_SOCKETS] = { -1, -1 };
	int rc;

	io->config = *config;
	if (config->stream_time == 0)
		io->config.stream_time = GOSSIP_STREAM_TIME;
	if (config->bytes_max == 0)
		io->config.bytes_max = GOSSIP_BYTES_MAX;
	io->listener = -1;
	TAILQ_INIT(&io->streams);
	TAILQ_INIT(&io->waiting);
	io->room = room_new();
	rc = io->room == NULL ? err_errno(err, "gossip: room for reading") : 0;
	if (rc == 0 &&
	    bind_pair(&config->bind, !addr_is_any(&config->bind), &io->bound, fds, err) < 0)
		rc = err_wrap(err, "gossip");
	if (rc != 0)
		goto out;
	rc = udp_tune(fds[BIND_UDP], io->bound.family, err);
	if (rc == 0) {
		rc = gossip_udp_new(io, fds[BIND_UDP], err);
		fds[BIND_UDP] = -1;
	}
	if (rc == 0) {
		rc = gossip_accept_new(io, fds[BIND_TCP], err);
		fds[BIND_TCP] = -1;
	}
	if (rc == 0)
		rc = gossip_open_new(io, err);
	if (rc != 0)
		goto out;
	*out = io;
	io = NULL;
out:
	if (fds[BIND_UDP] >= 0)
		(void)close(fds[BIND_UDP]);
	if (fds[BIND_TCP] >= 0)
		(void)close(fds[BIND_TCP]);
	gossip_io_free(io);
	return rc;
}

void
gossip_io_free(struct gossip_io *io)
{
	struct gossip_stream *s;

	if (io == NULL)
		return;
	while ((s = TAILQ_FIRST(&io->streams)) != NULL || (s = TAILQ_FIRST(&io->waiting)) != NULL)
		gossip_stream_free(s);
	gossip_open_done(io);
	gossip_accept_done(io);
	gossip_udp_free(io->udp);
	if (io->room != NULL)
		(void)munmap(io->room, GOSSIP_ROOM);
	free(io);
}

struct addr
gossip_io_address(const struct gossip_io *io)
{
	return io->bound;
}

struct gossip_io_stats
gossip_io_stats(const struct gossip_io *io)
{
	return io->stats;
}

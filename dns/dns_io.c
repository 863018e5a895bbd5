/* dns/dns_io.c -- sockets for both transports, on each address. */
#include "dns/dns_io.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/bind_io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "dns/dns_crew_io.h"
#include "dns/dns_tcp_io.h"
#include "dns/dns_udp_io.h"

struct dns_io {
	const struct dns_responder *responder;
	struct dns_udp *udp;   /* owned; NULL: */
	struct dns_crew *crew; /* owned, of so many */
	unsigned threads;
	struct dns_shared shared; /* owned, too */
	_Atomic bool logs;
	struct dns_tcp *tcp;    /* owned */
	struct addr *addresses; /* owned */
	size_t count;
};

/* "::" takes IPv4 too unless 0.0.0.0 is asked for as well. */
static bool
wants_v6_only(const struct addr *at, const struct addr *all, size_t count)
{
	if (!addr_is_any(at))
		return true;
	for (size_t i = 0; i < count; i++)
		if (all[i].family == ADDR_V4 && all[i].port == at->port)
			return true;
	return false;
}

/* Takes the socket, also when it fails. */
static int
udp_add(struct dns_io *io, int fd, const struct addr *at, bool v6_only, struct err *err)
{
	int rc, more;

	if (io->crew == NULL)
		return dns_udp_add(io->udp, fd, at, err);
	rc = dns_crew_add(io->crew, 0, fd, at, err);
	for (unsigned i = 1; i < io->threads && rc == 0; i++) {
		rc = bind_beside(fd, at, v6_only, &more, err);
		if (rc != 0)
			return err_wrap(err, "dns");
		rc = dns_crew_add(io->crew, i, more, at, err);
	}
	return rc;
}

static int
listen_on(struct dns_io *io, const struct addr *wanted, bool v6_only, struct err *err)
{
	struct addr *got = &io->addresses[io->count];
	int fds[BIND_SOCKETS];
	int rc = bind_pair(wanted, v6_only, got, fds, err);

	if (rc != 0)
		return err_wrap(err, "dns");
	rc = udp_add(io, fds[BIND_UDP], got, v6_only, err);
	if (rc != 0) {
		(void)close(fds[BIND_TCP]);
		return rc;
	}
	rc = dns_tcp_add(io->tcp, fds[BIND_TCP], err);
	if (rc != 0)
		return rc;
	io->count++;
	return 0;
}

int
dns_io_new(struct event_base *base, struct dns_responder *responder, const struct dns_io_config *c,
    struct dns_io **out, struct err *err)
{
	struct dns_io *io = mem_new(struct dns_io);
	uint64_t seed;
	int rc = 0;

	os_random(&seed, sizeof seed);
	io->responder = responder;
	io->threads = c->threads;
	io->shared.logs = &io->logs;
	io->shared.recurse = recurse_new(base, responder);
	if (c->rate > 0)
		io->shared.rate = rate_new(c->rate, c->rate_slip, seed);
	if (c->threads > 0)
		io->crew = dns_crew_new(base, responder, &io->shared, c->threads);
	else
		io->udp = dns_udp_new(base, responder, &io->shared);
	io->tcp = dns_tcp_new(base, responder, &io->shared);
	io->addresses = mem_zalloc((c->count + 1) * sizeof io->addresses[0]);
	for (size_t i = 0; i < c->count && rc == 0; i++)
		rc = listen_on(
		    io, &c->listen[i], wants_v6_only(&c->listen[i], c->listen, c->count), err);
	if (rc == 0 && io->crew != NULL)
		rc = dns_crew_start(io->crew, err);
	if (rc != 0) {
		dns_io_free(io);
		return rc;
	}
	*out = io;
	return 0;
}

void
dns_io_free(struct dns_io *io)
{
	if (io == NULL)
		return;
	dns_crew_free(io->crew);
	dns_udp_free(io->udp);
	dns_tcp_free(io->tcp);
	recurse_free(io->shared.recurse);
	rate_free(io->shared.rate);
	free(io->addresses);
	free(io);
}

void
dns_io_tcp_idle(struct dns_io *io, nsec idle)
{
	dns_tcp_idle(io->tcp, idle);
}

struct dns_stats
dns_io_stats(const struct dns_io *io)
{
	struct dns_stats stats = *dns_responder_stats(io->responder);

	if (io->crew != NULL)
		dns_crew_stats(io->crew, &stats);
	else
		dns_udp_stats(io->udp, &stats);
	recurse_count(io->shared.recurse, &stats);
	return stats;
}

void
dns_io_recursors(struct dns_io *io, const struct recurse_config *config)
{
	recurse_configure(io->shared.recurse, config);
}

void
dns_io_logs(struct dns_io *io, bool on)
{
	atomic_store(&io->logs, on);
}

struct recurse_stats
dns_io_recurse_stats(const struct dns_io *io)
{
	return recurse_stats(io->shared.recurse);
}

struct addr
dns_io_address(const struct dns_io *io, size_t i)
{
	return io->addresses[i];
}

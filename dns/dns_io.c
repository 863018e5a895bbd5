/* dns/dns_io.c -- sockets for both transports, on each address. */
#include "dns/dns_io.h"

#include <unistd.h>

#include "base/bind_io.h"
#include "base/mem.h"
#include "dns/dns_tcp_io.h"
#include "dns/dns_udp_io.h"

struct dns_io {
	struct dns_udp *udp;    /* owned */
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

static int
listen_on(struct dns_io *io, const struct addr *wanted, bool v6_only, struct err *err)
{
	struct addr *got = &io->addresses[io->count];
	int fds[BIND_SOCKETS];
	int rc = bind_pair(wanted, v6_only, got, fds, err);

	if (rc != 0)
		return err_wrap(err, "dns");
	rc = dns_udp_add(io->udp, fds[BIND_UDP], got->family, err);
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
dns_io_new(struct event_base *base, struct dns_responder *responder, const struct addr *listen,
    size_t count, struct dns_io **out, struct err *err)
{
	struct dns_io *io = mem_new(struct dns_io);
	int rc = 0;

	io->udp = dns_udp_new(base, responder);
	io->tcp = dns_tcp_new(base, responder);
	io->addresses = mem_zalloc((count + 1) * sizeof io->addresses[0]);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = listen_on(io, &listen[i], wants_v6_only(&listen[i], listen, count), err);
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
	dns_udp_free(io->udp);
	dns_tcp_free(io->tcp);
	free(io->addresses);
	free(io);
}

void
dns_io_tcp_idle(struct dns_io *io, nsec idle)
{
	dns_tcp_idle(io->tcp, idle);
}

struct addr
dns_io_address(const struct dns_io *io, size_t i)
{
	return io->addresses[i];
}

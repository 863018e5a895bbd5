/* base/bind_io.h -- UDP and TCP on one address and port, as DNS and gossip listen; TCP alone. */
#ifndef BASE_BIND_IO_H
#define BASE_BIND_IO_H

#include "base/addr.h"
#include "base/err.h"

enum bind_socket { BIND_UDP, BIND_TCP, BIND_SOCKETS };

/* Two sockets, non-blocking, bound and the caller's; port 0: one that happens to be free for both,
 * *got says which. v6_only: "::" does not take IPv4 too. ERR_IO, with the errno left as it was. */
int bind_pair(const struct addr *wanted, bool v6_only, struct addr *got, int fds[BIND_SOCKETS],
    struct err *err);

/* One more UDP socket at `at`, where `first` is bound; the kernel spreads senders among them
 * (SO_REUSEPORT). `first` was bound alone, so nobody else is there. */
int bind_beside(int first, const struct addr *at, bool v6_only, int *fd, struct err *err);

/* TCP alone; "::" takes IPv6 only. */
int bind_stream(const struct addr *wanted, struct addr *got, int *fd, struct err *err);

#endif

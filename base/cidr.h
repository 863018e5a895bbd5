/* base/cidr.h -- a network: an address and how many of its bits count ("10.0.0.0/8", "fd00::/8").
 */
#ifndef BASE_CIDR_H
#define BASE_CIDR_H

#include "base/addr.h"

struct cidr {
	struct addr addr;
	unsigned bits;
};

/* False: the text is none. As Go's net.ParseCIDR: the bits have to be given. */
bool cidr_parse(struct str, struct cidr *out);

/* IPv4 in IPv6 (::ffff:10.0.0.1) is that IPv4 address. The port does not count. */
bool cidr_has(const struct cidr *, const struct addr *);

#endif

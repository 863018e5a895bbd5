/* watcher/network_pick.h -- which of a container's networks its address is taken from.
 *
 * Of the networks in which it has an address, the first that
 *   1  SERVICE_NETWORK names (a comma list of names, ids and subnets; its order counts)
 *   2  -docker-network names (likewise)
 *   3  is the default bridge: registrator takes that one
 *   4  is the network that it was started in (HostConfig.NetworkMode)
 *   5  comes first by name; of all the last: "ingress", where only Docker's own balancer speaks
 * Equal descriptions give equal choices, whatever the order in them.
 */
#ifndef WATCHER_NETWORK_PICK_H
#define WATCHER_NETWORK_PICK_H

#include "base/err.h"
#include "watcher/container.h"

struct network_pick {
	struct container_network network; /* no address in it: the container has none */
	bool named;                       /* by 1 or 2 */
	size_t others; /* networks that might have been meant as well; 0 if named */
};

struct network_pick network_pick(
    const struct container *, struct str label_list, struct str option_list);

/* Is it the one that a network mode names, by name or by id? */
bool network_is(const struct container_network *, struct str mode);

/* Does the list name one in which the container has an address? */
bool network_named(const struct container *, struct str list);

/* ERR_INPUT: an entry that can be no name and is no subnet. */
int network_list_check(struct str list, struct err *);

#endif

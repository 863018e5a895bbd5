/* dns/dns_shared.h -- what all listeners of dns_io have together; part of dns_io. */
#ifndef DNS_DNS_SHARED_H
#define DNS_DNS_SHARED_H

#include <stdbool.h>

#include "dns/rate.h"
#include "dns/recurse_io.h"

struct dns_shared {
	struct rate *rate;             /* NULL: no limit */
	const _Atomic bool *logs;      /* answers are logged */
	struct recurse *recurse;       /* the loop's */
};

#endif

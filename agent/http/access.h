/* agent/http/access.h -- what http_config takes away from clients of the HTTP API. */
#ifndef AGENT_HTTP_ACCESS_H
#define AGENT_HTTP_ACCESS_H

#include "base/cidr.h"

struct http_access {               /* all zeros: nothing is taken away */
	const struct str *blocked; /* paths that begin so are not served */
	size_t blocked_count;
	const struct cidr
	    *writers; /* only from these networks may be written; none: from anywhere */
	size_t writer_count;
};

struct http_request;

/* Whether a path is blocked; `path` with its escapes. */
bool access_blocks(const struct http_access *, const struct http_request *);
/* Who came by a unix socket has no address, and so is in no network. */
bool access_may_write(const struct http_access *, const struct addr *peer);

#endif

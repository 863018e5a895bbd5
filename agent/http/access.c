/* agent/http/access.c -- see access.h. */
#include "agent/http/access.h"

#include "agent/http/http.h"

bool
access_blocks(const struct http_access *a, const struct http_request *rq)
{
	struct str path;

	if (a->blocked_count == 0)
		return false;
	if (!percent_decode(rq->arena, rq->path, false, &path))
		return false; /* the router refuses it */
	for (size_t i = 0; i < a->blocked_count; i++)
		if (str_starts(path, a->blocked[i]))
			return true;
	return false;
}

bool
access_may_write(const struct http_access *a, const struct addr *peer)
{
	for (size_t i = 0; i < a->writer_count; i++)
		if (cidr_has(&a->writers[i], peer))
			return true;
	return a->writer_count == 0;
}

/* tests/unit/records_stub.h -- external records along with answers, where there is no store to
 * speak of: there are none. */
#ifndef TESTS_UNIT_RECORDS_STUB_H
#define TESTS_UNIT_RECORDS_STUB_H

#include "agent/http/carry_records.h"

struct http_position
carry_position(const struct store *store, const struct uuid *owner)
{
	(void)store;
	return (struct http_position){ .agent = *owner };
}

struct str
carry_records_for(const struct store *store, const struct http_request *rq, struct buf *out)
{
	(void)store;
	(void)out;
	return rq->wants_records ? STR("") : STR_NONE;
}

bool
carry_records_take(
    struct store *store, struct now now, const struct uuid *cluster, struct str records)
{
	(void)store;
	(void)now;
	(void)cluster;
	(void)records;
	return true;
}

#endif

/* tests/unit/pool_fake.h -- a pool that does what a test says, for the handlers of the API. */
#ifndef TESTS_UNIT_POOL_FAKE_H
#define TESTS_UNIT_POOL_FAKE_H

#include "agent/pool/pool.h"

#define POOL_FAKE_MEMBERS 8

struct pool {
	struct pool_member members[POOL_FAKE_MEMBERS]; /* in order of wire name; the first is us */
	size_t count;
	/* what was asked of it last */
	char name[128];
	char payload[1024];
	size_t payload_n;
	bool prune;
	enum serf_key_op op;
	uint64_t id;         /* of the last request */
	struct coordinates *coordinates; /* NULL: a test that does not look */
	const char *refusal; /* the next request is refused with it; NULL: done */
};

#endif

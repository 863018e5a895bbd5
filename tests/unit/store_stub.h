/* tests/unit/store_stub.h -- what carrying a request asks of a store, where there is none to speak of. */
#ifndef TESTS_UNIT_STORE_STUB_H
#define TESTS_UNIT_STORE_STUB_H

#include "kv/store.h"

bool
store_digest_of(const struct store *s, const struct uuid *id, struct digest *out)
{
	(void)s;
	(void)id;
	(void)out;
	return false;
}

const struct owner *
store_cluster_owner(const struct store *s)
{
	(void)s;
	return NULL;
}

int
store_range(
    struct store *s, struct now now, struct str bytes, struct store_needs *needs, struct err *err)
{
	(void)s;
	(void)now;
	(void)bytes;
	(void)needs;
	(void)err;
	return 0;
}

#endif

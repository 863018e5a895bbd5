/* tests/linear/check.h -- a whole history: key by key, with a report that a person can follow. */
#ifndef TESTS_LINEAR_CHECK_H
#define TESTS_LINEAR_CHECK_H

#include "base/buf.h"
#include "tests/linear/search.h"

struct check_result {
	enum search_verdict verdict; /* the worst of all keys */
	size_t operations, unknown, clients, keys;
	uint64_t steps; /* of the search */
};

/* The report (may be NULL) receives each key that is not linear. 0, or ERR_INPUT with a history
 * that cannot be checked. */
int check_history(
    const struct history *, struct check_result *out, struct buf *report, struct err *);

#endif

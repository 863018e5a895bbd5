/* tests/unit/owner_story.h -- owners told as one line: "e2 n7 f3 a=1@4 b=2@7 -c@6".
 *
 * e epoch counter, n number, f floor (left out when 0), then the records in order of key: body
 * and number; a leading "-" is a tombstone. "?" behind the number: not exact.
 */
#ifndef TESTS_UNIT_OWNER_STORY_H
#define TESTS_UNIT_OWNER_STORY_H

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "kv/owner.h"
#include "tests/unit/test.h"

#define K RECORD_SERVICE

static inline int
story_record_cmp(const void *a, const void *b)
{
	const struct owner_record *x = a, *y = b;

	return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : str_cmp(x->key, y->key);
}

/* Everything an owner holds, those numbered above its number too, into b. */
static inline void
owner_tell(const struct owner *o, struct buf *b)
{
	struct digest d = owner_digest(o);
	struct owner_range all = { .epoch = d.epoch, .upto = UINT64_MAX };
	struct owner_record records[512];
	uint64_t cursor = 0;
	size_t count = 0;

	while (count < 512 && owner_range_next(o, &all, &cursor, &records[count]))
		count++;
	qsort(records, count, sizeof records[0], story_record_cmp);
	buf_addf(b, "e%llu n%llu%s", (unsigned long long)d.epoch.counter,
	    (unsigned long long)d.number, d.exact ? "" : "?");
	if (owner_floor(o) > 0)
		buf_addf(b, " f%llu", (unsigned long long)owner_floor(o));
	for (size_t i = 0; i < count; i++) {
		struct str body = blob_str(records[i].body);

		buf_addf(b, records[i].gone ? " -" STR_FMT : " " STR_FMT, STR_ARG(records[i].key));
		if (!records[i].gone)
			buf_addf(b, "=" STR_FMT, STR_ARG(body));
		buf_addf(b, "@%llu", (unsigned long long)records[i].number);
	}
}

#define assert_story(o, want)                      \
	do {                                       \
		struct buf told_;                  \
		buf_init(&told_, 1 << 20);         \
		owner_tell(o, &told_);             \
		assert_str(buf_str(&told_), want); \
		buf_done(&told_);                  \
	} while (0)

#endif

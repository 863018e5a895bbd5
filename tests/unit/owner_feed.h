/* tests/unit/owner_feed.h -- owners that write, push and feed each other without any bytes. */
#ifndef TESTS_UNIT_OWNER_FEED_H
#define TESTS_UNIT_OWNER_FEED_H

#include "kv/owner.h"
#include "tests/unit/owner_story.h"

static const struct uuid web1 = { { 1 } };
static const struct epoch first = { 1, 11 }, second = { 2, 22 };

static inline struct owner *
owner_empty(void)
{
	return owner_new(&web1, &owner_limits_default);
}

static inline struct owner *
writer_new(void) /* past its baseline of no records */
{
	struct owner *o = owner_empty();

	owner_epoch_begin(o, first);
	owner_baseline_end(o);
	return o;
}

static inline int
put(struct owner *o, const char *key, const char *body)
{
	return owner_put(o, K, str_of(key), str_of(body), NULL, NULL);
}

static inline int
del(struct owner *o, const char *key)
{
	return owner_remove(o, K, str_of(key), NULL);
}

/* The record as it stands at the writer, as a push carries it. */
static inline enum owner_pushed
push(struct owner *to, const struct owner *from, const char *key, bool *changed)
{
	struct owner_record held;
	struct record r;

	assert_true(owner_find(from, K, str_of(key), &held));
	r = (struct record){ .kind = K,
		.gone = held.gone,
		.number = held.number,
		.key = held.key,
		.body = blob_str(held.body) };
	return owner_push(to, owner_digest(from).epoch, &r, NULL, changed);
}

/* Everything `from` has after `after`, into `to`; how it was taken. */
static inline enum owner_ranged
feed(struct owner *to, const struct owner *from, uint64_t after)
{
	struct owner_range range = owner_range_for(from, after);
	enum owner_ranged as = owner_range_begin(to, &range);
	struct owner_record held;
	uint64_t cursor = 0;

	while (owner_range_next(from, &range, &cursor, &held)) {
		struct record r = { .kind = held.kind,
			.gone = held.gone,
			.number = held.number,
			.key = held.key,
			.body = blob_str(held.body) };

		if (as == OWNER_RANGE_APPLY)
			owner_range_apply(to, &r, NULL);
		else if (as == OWNER_RANGE_STAGE)
			assert_int_equal(owner_stage_add(to, &r, NULL), 0);
	}
	if (as == OWNER_RANGE_APPLY)
		owner_range_end(to, &range);
	if (as == OWNER_RANGE_STAGE)
		owner_stage_swap(to, &range);
	return as;
}

static inline void
drain(struct owner *o)
{
	while (owner_stage_change(o, NULL))
		;
}

static inline void
sync_up(struct owner *to, const struct owner *from)
{
	if (feed(to, from, owner_wanted(to, owner_digest(from).epoch)) == OWNER_RANGE_STAGE)
		drain(to);
}

#endif

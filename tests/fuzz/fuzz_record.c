/* Arbitrary bytes as a range of records, as digests and as single records. What is accepted must
 * come out again byte for byte, and taking it in must leave an owner in order. */
#include <stdlib.h>

#include "kv/delta.h"
#include "tests/fuzz/fuzz.h"

static const struct uuid id = { { 7 } };

static void
fuzz_digests(struct str in)
{
	struct reader r = rd_of(in);
	struct digest d;

	while (rd_left(&r) > 0 && digest_read(&r, &d)) {
		uint8_t room[DIGEST_SIZE_MAX];
		struct writer w = wr_of(room, sizeof room);
		struct reader again;
		struct digest same;

		digest_write(&w, &d);
		again = rd_of(wr_done(&w));
		FUZZ_ASSERT(!w.full && digest_read(&again, &same) && same.number == d.number);
	}
}

/* An owner that already holds something, at number 3 of epoch 1 with floor 1. */
static struct owner *
fuzz_owner(void)
{
	struct owner *o = owner_new(&id, &owner_limits_default);
	bool changed;

	owner_relabel(o, (struct epoch){ 1, 0 }, 0);
	owner_push(o, (struct epoch){ 1, 0 },
	    &(struct record){ .kind = 2, .number = 2, .key = STR("a"), .body = STR("1") }, NULL,
	    &changed);
	owner_push(o, (struct epoch){ 1, 0 },
	    &(struct record){ .kind = 2, .number = 3, .key = STR("b"), .gone = true }, NULL,
	    &changed);
	owner_push(o, (struct epoch){ 1, 0 },
	    &(struct record){ .kind = 2, .number = 6, .key = STR("c"), .body = STR("2") }, NULL,
	    &changed);
	return o;
}

static void
fuzz_take(struct owner *o, struct reader r, const struct owner_range *range)
{
	enum owner_ranged as = owner_range_begin(o, range);
	struct owner_change change;
	struct record record;

	while (record_read(&r, &record)) {
		if (as == OWNER_RANGE_APPLY) {
			owner_range_apply(o, &record, &change);
			owner_change_done(&change);
		} else if (as == OWNER_RANGE_STAGE) {
			FUZZ_ASSERT(owner_stage_add(o, &record, NULL) == 0);
		}
	}
	if (as == OWNER_RANGE_APPLY)
		owner_range_end(o, range);
	if (as == OWNER_RANGE_STAGE)
		owner_stage_swap(o, range);
	while (as == OWNER_RANGE_STAGE && owner_stage_change(o, &change))
		owner_change_done(&change);
	FUZZ_ASSERT(owner_floor(o) <= owner_digest(o).number);
	if (as == OWNER_RANGE_APPLY || as == OWNER_RANGE_STAGE)
		FUZZ_ASSERT(owner_digest(o).number >= range->upto);
}

static void
fuzz_range(struct str in)
{
	struct reader r = rd_of(in);
	struct owner_range range;
	struct record record;
	struct owner *o;
	struct writer w;
	struct uuid from;
	uint64_t count = 0;
	char *room;

	if (!delta_range_head(&r, &from, &range))
		return;
	o = fuzz_owner();
	fuzz_take(o, r, &range);
	owner_free(o);
	room = malloc(in.n);
	w = wr_of(room, in.n);
	delta_range_head_write(&w, &from, &range);
	for (; record_read(&r, &record); count++)
		record_write(&w, &record);
	FUZZ_ASSERT(count == range.count && rd_ok(&r));
	FUZZ_ASSERT(!w.full && str_eq(wr_done(&w), in));
	free(room);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_mem(data, size);
	struct reader r = rd_of(in);
	struct record record;

	while (record_read(&r, &record))
		record_hash(&record);
	fuzz_digests(in);
	fuzz_range(in);
	return 0;
}

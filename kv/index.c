/* kv/index.c -- the 41-bit part rises by the clock, or by one where the clock does not help.
 *
 * Until the first ceiling of this start is on disk, indexes count up by one from the old
 * ceiling; nobody may be shown one of them before index_ceiling_set().
 */
#include "kv/index.h"

#define INDEX_TAG_MASK ((1u << INDEX_TAG_BITS) - 1)
/* The clock's part ends a little before 41 bits, so that counting by one still has room. */
#define INDEX_MS_MAX (((int64_t)1 << 41) - ((int64_t)1 << 36))

static uint64_t
index_ms(int64_t wall_ms)
{
	if (wall_ms <= INDEX_EPOCH_MS)
		return 0;
	wall_ms -= INDEX_EPOCH_MS;
	return (uint64_t)(wall_ms > INDEX_MS_MAX ? INDEX_MS_MAX : wall_ms);
}

void
index_init(struct index_clock *c, uint16_t tag, uint64_t ceiling)
{
	*c = (struct index_clock){
		.last = ceiling, .ceiling = ceiling, .tag = (uint16_t)(tag & INDEX_TAG_MASK)
	};
}

uint64_t
index_next(struct index_clock *c, int64_t wall_ms)
{
	uint64_t ms = index_ms(wall_ms);

	c->last = ms > c->last && ms <= c->ceiling ? ms : c->last + 1;
	return c->last << INDEX_TAG_BITS | c->tag;
}

uint64_t
index_ceiling_wanted(const struct index_clock *c, int64_t wall_ms)
{
	uint64_t ms = index_ms(wall_ms), at = ms > c->last ? ms : c->last;

	return at + INDEX_RESERVE_MS / 2 > c->ceiling ? at + INDEX_RESERVE_MS : 0;
}

void
index_ceiling_set(struct index_clock *c, uint64_t ceiling)
{
	if (ceiling > c->ceiling)
		c->ceiling = ceiling;
}

bool
index_is_ours(const struct index_clock *c, uint64_t index)
{
	return (index & INDEX_TAG_MASK) == c->tag;
}

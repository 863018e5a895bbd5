/* kv/delta.c -- digests and ranges as bytes.
 *
 * Digest: id (16 bytes), varint counter, be64 nonce, varint number, be64 hash, flags (bit 0:
 * exact). Range: id (16 bytes), varint counter, be64 nonce, varints after, upto, floor and head,
 * be64 hash, varint count, then that many records in order of number. Which of them another agent
 * lacks is in delta_answer.c.
 */
#include "kv/delta.h"

#define DIGEST_EXACT 1

/* Digests. */

static void
delta_id_write(struct writer *w, const struct uuid *id, const struct epoch *epoch)
{
	wr_bytes(w, str_mem(id->b, sizeof id->b));
	wr_varint(w, epoch->counter);
	wr_be64(w, epoch->nonce);
}

static void
delta_id_read(struct reader *r, struct uuid *id, struct epoch *epoch)
{
	const uint8_t *b = rd_take(r, sizeof id->b);

	if (b != NULL)
		memcpy(id->b, b, sizeof id->b);
	epoch->counter = rd_varint(r);
	epoch->nonce = rd_be64(r);
}

void
digest_write(struct writer *w, const struct digest *d)
{
	delta_id_write(w, &d->owner, &d->epoch);
	wr_varint(w, d->number);
	wr_be64(w, d->hash);
	wr_u8(w, d->exact ? DIGEST_EXACT : 0);
}

bool
digest_read(struct reader *r, struct digest *out)
{
	struct digest d;

	delta_id_read(r, &d.owner, &d.epoch);
	d.number = rd_varint(r);
	d.hash = rd_be64(r);
	d.exact = rd_u8(r) & DIGEST_EXACT;
	if (!rd_ok(r))
		return false;
	*out = d;
	return true;
}

/* Ranges out: planned first, since the head counts what follows and the frame its length. */

struct delta_plan {
	struct owner_range range;
	size_t bytes; /* head and records */
};

static struct record
delta_record(const struct owner_record *held)
{
	return (struct record){
		.kind = held->kind,
		.gone = held->gone,
		.number = held->number,
		.key = held->key,
		.body = blob_str(held->body),
	};
}

static size_t
delta_range_head_size(const struct uuid *owner, const struct owner_range *range)
{
	uint8_t room[DELTA_RANGE_HEAD_MAX];
	struct writer w = wr_of(room, sizeof room);

	delta_range_head_write(&w, owner, range);
	return w.pos;
}

/* A piece ends between two numbers, never within a run of equal ones. `strict`: with its head it
 * stays within the budget, or there is no plan. */
static bool
delta_plan(const struct owner *o, uint64_t after, size_t budget, bool strict, struct delta_plan *p)
{
	struct owner_record held;
	struct delta_plan safe = { 0 }; /* as it was at the end of the last number */
	uint64_t cursor = 0, last = 0;
	bool whole;

	*p = (struct delta_plan){ .range = owner_range_for(o, after) };
	whole = p->range.after == 0;
	if (p->range.upto <= p->range.after || p->range.epoch.counter == 0)
		return false;
	if (whole && p->range.upto != p->range.head)
		return false;
	while (owner_range_next(o, &p->range, &cursor, &held)) {
		struct record r = delta_record(&held);

		if (r.number != last && last > 0) {
			safe = *p;
			safe.range.upto = last;
		}
		if (!whole && p->bytes > budget && r.number != last) {
			*p = safe;
			break;
		}
		if (strict && DELTA_RANGE_HEAD_MAX + p->bytes + record_size(&r) > budget) {
			if (whole || safe.range.upto == 0)
				return false;
			*p = safe;
			break;
		}
		last = r.number;
		p->range.count++;
		p->bytes += record_size(&r);
	}
	p->bytes += delta_range_head_size(owner_id(o), &p->range);
	return true;
}

static void
delta_plan_write(const struct owner *o, const struct delta_plan *p, struct writer *w)
{
	struct owner_record held;
	uint64_t cursor = 0;

	delta_range_head_write(w, owner_id(o), &p->range);
	while (owner_range_next(o, &p->range, &cursor, &held)) {
		struct record r = delta_record(&held);

		record_write(w, &r);
	}
}

static uint64_t
delta_range_out(const struct owner *o, uint64_t after, size_t bytes_max, bool framed, bool strict,
    struct buf *out)
{
	size_t budget = bytes_max > out->n ? bytes_max - out->n : 0, size;
	struct delta_plan plan;
	struct writer w;
	char *room;

	if (!delta_plan(o, after, budget, strict, &plan))
		return after;
	size = plan.bytes + (framed ? varint_len(plan.bytes) : 0);
	room = buf_reserve(out, size);
	if (room == NULL)
		return after;
	w = wr_of(room, size);
	if (framed)
		wr_varint(&w, plan.bytes);
	delta_plan_write(o, &plan, &w);
	buf_commit(out, w.pos);
	return plan.range.upto;
}

uint64_t
delta_range(const struct owner *o, uint64_t after, size_t bytes_max, struct buf *out)
{
	return delta_range_out(o, after, bytes_max, false, false, out);
}

uint64_t
delta_range_framed(const struct owner *o, uint64_t after, size_t bytes_max, struct buf *out)
{
	return delta_range_out(o, after, bytes_max, true, false, out);
}

uint64_t
delta_range_within(const struct owner *o, uint64_t after, size_t bytes_max, struct buf *out)
{
	return delta_range_out(o, after, bytes_max, true, true, out);
}

void
delta_range_head_write(struct writer *w, const struct uuid *owner, const struct owner_range *range)
{
	delta_id_write(w, owner, &range->epoch);
	wr_varint(w, range->after);
	wr_varint(w, range->upto);
	wr_varint(w, range->floor);
	wr_varint(w, range->head);
	wr_be64(w, range->hash);
	wr_varint(w, range->count);
}

/* Ranges in. */

/* Looks ahead over the records; r stays where it is unless they are wrong. */
static void
delta_range_check(struct reader *r, const struct owner_range *range)
{
	struct reader ahead = *r;
	struct record record;

	for (uint64_t n = 0; n < range->count; n++) {
		if (!record_read(&ahead, &record)) {
			r->state = ahead.state == RD_OK ? RD_SHORT : ahead.state;
			return;
		}
		if (record.number <= range->after || record.number > range->upto) {
			rd_fail(r);
			return;
		}
	}
	if (rd_left(&ahead) > 0)
		rd_fail(r);
}

bool
delta_range_head(struct reader *r, struct uuid *owner, struct owner_range *out)
{
	struct owner_range range;
	struct uuid id;

	delta_id_read(r, &id, &range.epoch);
	range.after = rd_varint(r);
	range.upto = rd_varint(r);
	range.floor = rd_varint(r);
	range.head = rd_varint(r);
	range.hash = rd_be64(r);
	range.count = rd_varint(r);
	if (!rd_ok(r))
		return false;
	if (range.epoch.counter == 0 || range.after >= range.upto || range.upto > range.head ||
	    range.floor > range.upto)
		rd_fail(r);
	else
		delta_range_check(r, &range);
	if (!rd_ok(r))
		return false;
	*owner = id;
	*out = range;
	return true;
}

/* A segment's bytes: what goes in comes out; a torn tail and damage are told apart. */
#include <stdlib.h>
#include <string.h>

#include "kv/segment.h"
#include "tests/unit/test.h"

#define NONCE 0x1234567890abcdefu
#define SIZE 8192

struct file {
	char bytes[SIZE];
	size_t end, last; /* of all records; where the last batch begins */
};

static void
add(struct file *f, uint64_t index, size_t batch, size_t n)
{
	char body[2048];
	struct writer w = wr_of(f->bytes + f->end, SIZE - f->end);
	struct segment_record r = { SEGMENT_ENTRY, 7, 3, index, (uint32_t)batch, { body, n } };

	memset(body, 'a' + (int)(index % 20), sizeof body);
	segment_record_write(&w, NONCE, f->end, &r);
	assert_int_equal(w.pos, segment_record_size(n));
	f->end += w.pos;
	f->last = batch;
}

static void
file_make(struct file *f)
{
	memset(f, 0, sizeof *f);
	f->end = SEGMENT_HEAD;
	add(f, 1, f->end, 100);
	add(f, 2, f->last, 0);
	add(f, 3, f->end, 13);
	add(f, 4, f->end, 900);
	add(f, 5, f->last, 1000);
}

static enum segment_verdict
scan(const struct file *f, uint64_t sealed, uint64_t *records, uint64_t *at)
{
	enum segment_verdict v;
	struct segment_record r;
	struct segment_scan s;

	*records = 0;
	segment_scan_init(&s, str_mem(f->bytes, SIZE), NONCE, sealed);
	while ((v = segment_next(&s, &r)) == SEGMENT_OK) {
		assert_int_equal(r.index, ++*records);
		assert_int_equal(r.type, 7);
		assert_int_equal(r.term, 3);
	}
	*at = s.at;
	return v;
}

static void
heads_come_back_and_any_damage_is_seen(void **unused)
{
	struct segment_head h = { 1, 2, 3, 4, 5, 6, 7, 8 }, got;
	uint8_t b[SEGMENT_HEAD];

	(void)unused;
	segment_head_write(b, &h);
	assert_true(segment_head_read(str_mem(b, sizeof b), &got));
	assert_memory_equal(&h, &got, sizeof h);
	for (size_t i = 0; i < sizeof b; i++) {
		b[i] ^= 0x10;
		assert_false(segment_head_read(str_mem(b, sizeof b), &got));
		b[i] ^= 0x10;
		assert_false(segment_head_read(str_mem(b, i), &got));
	}
}

static void
records_come_back_until_the_zeros(void **unused)
{
	struct file f;
	uint64_t n, at;

	(void)unused;
	file_make(&f);
	assert_int_equal(scan(&f, 0, &n, &at), SEGMENT_END);
	assert_int_equal(n, 5);
	assert_int_equal(at, f.end);
	assert_int_equal(scan(&f, f.end, &n, &at), SEGMENT_END);
	assert_int_equal(n, 5);
	assert_int_equal(scan(&f, SIZE + 8, &n, &at), SEGMENT_DAMAGED);
}

/* Any set of sectors of the last batch may be missing: cut, at or after its beginning. */
static void
a_lost_sector_of_the_last_batch_is_a_torn_tail(void **unused)
{
	struct file whole, f;
	uint64_t n, at;

	(void)unused;
	file_make(&whole);
	for (unsigned lost = 1; lost < 1u << (SIZE / 512); lost = lost * 2 + (lost % 3 == 0)) {
		f = whole;
		for (size_t i = f.last; i < f.end; i++)
			if (lost >> i / 512 & 1)
				f.bytes[i] = 0;
		if (memcmp(f.bytes, whole.bytes, SIZE) == 0)
			continue;
		assert_in_range(scan(&f, 0, &n, &at), SEGMENT_END, SEGMENT_TORN);
		assert_in_range(n, 3, 4);
		assert_true(at >= f.last);
	}
}

static void
every_other_change_is_damage(void **unused)
{
	struct file f;
	uint64_t n, at;

	(void)unused;
	file_make(&f);
	for (size_t i = SEGMENT_HEAD; i < f.end; i++) {
		for (int bit = 0; bit < 8; bit++) {
			f.bytes[i] ^= (char)(1 << bit);
			assert_int_equal(scan(&f, 0, &n, &at), SEGMENT_DAMAGED);
			assert_true(at <= i && n < 5);
			assert_int_equal(scan(&f, f.end, &n, &at), SEGMENT_DAMAGED);
			f.bytes[i] ^= (char)(1 << bit);
		}
	}
	/* Even a lost sector, once a later batch says that this one was synced. */
	memset(f.bytes + SEGMENT_HEAD, 0, 512);
	assert_int_equal(scan(&f, 0, &n, &at), SEGMENT_DAMAGED);
	assert_int_equal(at, SEGMENT_HEAD);
}

/* A record is good only in its place. */
static void
a_record_elsewhere_is_no_record(void **unused)
{
	struct file f;
	uint64_t n, at;

	(void)unused;
	file_make(&f);
	memmove(f.bytes + SEGMENT_HEAD + 8, f.bytes + SEGMENT_HEAD, SIZE - SEGMENT_HEAD - 8);
	assert_int_not_equal(scan(&f, 0, &n, &at), SEGMENT_END);
	assert_int_equal(n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_come_back_and_any_damage_is_seen),
		cmocka_unit_test(records_come_back_until_the_zeros),
		cmocka_unit_test(a_lost_sector_of_the_last_batch_is_a_torn_tail),
		cmocka_unit_test(every_other_change_is_damage),
		cmocka_unit_test(a_record_elsewhere_is_no_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A record's wire form: what goes in comes out, what is cut short or out of bounds is refused. */
#include <stdlib.h>
#include <string.h>

#include "kv/record.h"
#include "tests/unit/test.h"

static const struct record samples[] = {
	{ .kind = RECORD_NODE, .number = 1, .body = { "\x01\x02\x00\x03", 4 } },
	{ .kind = RECORD_SERVICE, .number = 127, .key = { "web", 3 }, .body = { "{}", 2 } },
	{ .kind = RECORD_CHECK, .number = 128, .key = { "node\0check", 10 } },
	{ .kind = RECORD_SERVICE, .number = 70000, .key = { "web", 3 }, .gone = true },
	{ .kind = UINT16_MAX, .number = UINT64_MAX, .key = { "x", 1 }, .body = { "new", 3 } },
	{ .kind = 0, .number = 5 },
};
#define SAMPLES (sizeof samples / sizeof samples[0])

static void
assert_record(const struct record *got, const struct record *want)
{
	assert_int_equal(got->kind, want->kind);
	assert_int_equal(got->gone, want->gone);
	assert_true(got->number == want->number);
	assert_true(str_eq(got->key, want->key));
	assert_true(str_eq(got->body, want->body));
}

static void
records_come_back_and_know_their_size(void **unused)
{
	uint8_t room[256];
	struct writer w = wr_of(room, sizeof room);
	struct record got;
	struct reader r;
	size_t size = 0;

	(void)unused;
	for (size_t i = 0; i < SAMPLES; i++) {
		record_write(&w, &samples[i]);
		size += record_size(&samples[i]);
		assert_int_equal(w.pos, size);
	}
	assert_false(w.full);
	r = rd_of(wr_done(&w));
	for (size_t i = 0; i < SAMPLES; i++) {
		assert_true(record_read(&r, &got));
		assert_record(&got, &samples[i]);
	}
	assert_false(record_read(&r, &got));
	assert_int_equal(r.state, RD_OK); /* the end, not an error */
}

static void
every_truncation_is_short(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < SAMPLES; i++) {
		uint8_t room[64];
		struct writer w = wr_of(room, sizeof room);

		record_write(&w, &samples[i]);
		for (size_t n = 1; n < w.pos; n++) {
			char *exact = malloc(n); /* so that a sanitizer sees one byte too far */
			struct record got = { .number = 42 };
			struct reader r;

			memcpy(exact, room, n);
			r = rd_of(str_mem(exact, n));
			assert_false(record_read(&r, &got));
			assert_int_equal(r.state, RD_SHORT);
			assert_int_equal(got.number, 42);
			free(exact);
		}
	}
}

static void
what_no_writer_makes_is_bad(void **unused)
{
	const struct str bad[] = {
		STR("\x80\x80\x08\x01\x00\x00"), /* kind 65536 */
		STR("\x02\x00\x00\x00"),         /* number 0 */
		STR("\x03\x01\x01k\x01"),        /* a tombstone with a body */
		STR("\x02\x01\x81\x10"),         /* a key of 2049 bytes */
		STR("\x02\x01\x00\x81\x80\x20"), /* a body of 512 KiB and one byte */
		STR("\x82\x00\x01\x00\x00"),     /* a longer form than needed */
		STR("\x02\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	};

	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct reader r = rd_of(bad[i]);
		struct record got;

		assert_false(record_read(&r, &got));
		assert_int_equal(r.state, RD_BAD);
	}
}

static void
the_largest_fits(void **unused)
{
	char *key = calloc(1, RECORD_KEY_MAX), *body = calloc(1, RECORD_BODY_MAX);
	struct record in = { .kind = 7,
		.number = 9,
		.key = { key, RECORD_KEY_MAX },
		.body = { body, RECORD_BODY_MAX } };
	size_t size = record_size(&in);
	char *room = malloc(size);
	struct writer w = wr_of(room, size);
	struct record got;
	struct reader r;

	(void)unused;
	record_write(&w, &in);
	assert_false(w.full);
	r = rd_of(wr_done(&w));
	assert_true(record_read(&r, &got));
	assert_record(&got, &in);
	free(key);
	free(body);
	free(room);
}

static void
the_hash_is_of_kind_key_and_body(void **unused)
{
	struct record a = { .kind = 2, .number = 1, .key = STR("ab"), .body = STR("cd") };
	struct record b = a;
	uint64_t hash = record_hash(&a);

	(void)unused;
	b.number = 99;
	assert_true(record_hash(&b) == hash);
	b.kind = 3;
	assert_true(record_hash(&b) != hash);
	b = a;
	b.key = STR("abc");
	b.body = STR("d");
	assert_true(record_hash(&b) != hash);
	b = a;
	b.body = STR_NONE;
	assert_true(record_hash(&b) != hash);
	/* Other agents compute it too: a change of it is a change of the protocol. */
	assert_true(hash == 0xeb50e6984032b7d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_back_and_know_their_size),
		cmocka_unit_test(every_truncation_is_short),
		cmocka_unit_test(what_no_writer_makes_is_bad),
		cmocka_unit_test(the_largest_fits),
		cmocka_unit_test(the_hash_is_of_kind_key_and_body),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}

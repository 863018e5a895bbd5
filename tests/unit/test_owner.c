/* An owner's records told as stories: the writer, and single pushes from elsewhere. */
#include "tests/unit/owner_feed.h"

/* The writer. */

static void
a_put_is_numbered_an_equal_one_is_not(void **unused)
{
	struct owner *o = writer_new();
	struct owner_change c;

	(void)unused;
	assert_int_equal(put(o, "a", "1"), 1);
	assert_int_equal(put(o, "b", ""), 1);
	assert_story(o, "e1 n3 f1 a=1@2 b=@3");
	assert_int_equal(owner_put(o, K, STR("a"), STR("1"), &c, NULL), 0);
	assert_null(c.before);
	assert_null(c.after);
	assert_int_equal(put(o, "b", ""), 0); /* no bytes are bytes too */
	assert_story(o, "e1 n3 f1 a=1@2 b=@3");
	assert_int_equal(owner_put(o, K, STR("a"), STR("2"), &c, NULL), 1);
	assert_str(blob_str(c.before), "1");
	assert_str(blob_str(c.after), "2");
	assert_str(c.key, "a");
	assert_int_equal(c.number, 4);
	owner_change_done(&c);
	assert_story(o, "e1 n4 f1 a=2@4 b=@3");
	assert_int_equal(owner_count(o), 2);
	assert_int_equal(owner_bytes(o), 3);
	owner_free(o);
}

static void
a_removal_leaves_a_tombstone_until_the_floor_rises(void **unused)
{
	struct owner *o = writer_new();
	struct owner_change c;

	(void)unused;
	put(o, "a", "1");
	put(o, "b", "1");
	assert_int_equal(owner_remove(o, K, STR("a"), &c), 1);
	assert_str(blob_str(c.before), "1");
	assert_null(c.after);
	owner_change_done(&c);
	assert_int_equal(del(o, "a"), 0);
	assert_int_equal(del(o, "never"), 0);
	assert_story(o, "e1 n4 f1 -a@4 b=1@3");
	assert_int_equal(owner_count(o), 1);
	owner_floor_raise(o, 3);
	assert_story(o, "e1 n4 f3 -a@4 b=1@3");
	owner_floor_raise(o, 99); /* never above the number */
	assert_story(o, "e1 n4 f4 b=1@3");
	assert_int_equal(put(o, "a", "2"), 1);
	assert_story(o, "e1 n5 f4 a=2@5 b=1@3");
	owner_free(o);
}

static void
a_baseline_is_all_of_number_one(void **unused)
{
	struct owner *o = owner_empty();
	struct owner_change c;

	(void)unused;
	owner_epoch_begin(o, first);
	put(o, "a", "1");
	put(o, "b", "1");
	assert_int_equal(del(o, "b"), 1); /* nobody has heard of it: no tombstone */
	put(o, "a", "2");
	assert_story(o, "e1 n0 a=2@1");
	owner_baseline_end(o);
	put(o, "c", "1");
	del(o, "a");
	assert_story(o, "e1 n3 f1 -a@3 c=1@2");
	owner_epoch_begin(o, second); /* starts anew with what there is */
	assert_story(o, "e2 n0 c=1@1");
	assert_int_equal(put(o, "c", "1"), 0);
	assert_int_equal(owner_assert(o, K, STR("c"), &c), 1);
	assert_int_equal(c.number, 1);
	owner_change_done(&c);
	owner_baseline_end(o);
	assert_story(o, "e2 n1 f1 c=1@1");
	owner_free(o);
}

static void
an_assertion_takes_a_number_for_the_same_bytes(void **unused)
{
	struct owner *w = writer_new(), *r = owner_empty();
	struct owner_change c;
	bool changed;

	(void)unused;
	put(w, "a", "1");
	sync_up(r, w);
	assert_int_equal(owner_assert(w, K, STR("a"), &c), 1);
	assert_ptr_equal(c.before, c.after);
	assert_int_equal(c.number, 3);
	owner_change_done(&c);
	assert_int_equal(owner_assert(w, K, STR("b"), &c), 0);
	assert_int_equal(push(r, w, "a", &changed), OWNER_APPLIED);
	assert_true(changed); /* whoever masks version 2 must know of version 3 */
	assert_story(r, "e1 n3 f1 a=1@3");
	owner_free(w);
	owner_free(r);
}

/* Of equal bytes the blob stays, which indexes point into. */
static void
equal_bytes_from_elsewhere_stay_one_blob(void **unused)
{
	struct owner *r = owner_empty();
	struct record a = { .kind = K, .number = 2, .key = STR("a"), .body = STR("1") };
	struct owner_change c;
	bool changed;

	(void)unused;
	owner_relabel(r, first, 0);
	owner_push(r, first, &a, &c, &changed);
	assert_null(c.before);
	owner_change_done(&c);
	a.number = 3;
	assert_int_equal(owner_push(r, first, &a, &c, &changed), OWNER_APPLIED);
	assert_ptr_equal(c.before, c.after);
	assert_int_equal(c.number, 3);
	owner_change_done(&c);
	owner_free(r);
}

static void
limits_refuse_at_the_writer_only(void **unused)
{
	const struct owner_limits tight = {
		.records_max = 2, .bytes_max = 10, .tombstones_max = 4
	};
	struct owner *w = owner_new(&web1, &tight), *big = writer_new();
	struct owner *r = owner_new(&web1, &tight);
	char *long_key = calloc(1, RECORD_KEY_MAX + 1);
	struct err err;

	(void)unused;
	owner_epoch_begin(w, first);
	owner_baseline_end(w);
	assert_int_equal(put(w, "a", "1234"), 1);
	assert_int_equal(owner_put(w, K, STR("b"), STR("12345"), NULL, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "limit is 10"));
	assert_int_equal(put(w, "b", "1234"), 1);
	assert_int_equal(owner_put(w, K, STR("c"), STR(""), NULL, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "limit is 2"));
	assert_int_equal(put(w, "a", "12345"), ERR_LIMIT);
	assert_int_equal(put(w, "a", "4321"), 1); /* the same size fits */
	assert_story(w, "e1 n4 f1 a=4321@4 b=1234@3");
	del(w, "a");
	assert_int_equal(put(w, "c", "1234"), 1);
	assert_int_equal(put(w, "a", ""), ERR_LIMIT); /* back from a tombstone: a record again */
	assert_int_equal(
	    owner_put(w, K, str_mem(long_key, RECORD_KEY_MAX + 1), STR(""), NULL, &err), ERR_LIMIT);
	put(big, "one", "0123456789");
	put(big, "two", "0123456789");
	put(big, "three", "0123456789");
	sync_up(r, big);
	assert_int_equal(owner_count(r), 3);
	put(big, "four", "0123456789");
	sync_up(r, big);
	assert_int_equal(owner_count(r), 4);
	free(long_key);
	owner_free(w);
	owner_free(big);
	owner_free(r);
}

static void
too_many_tombstones_raise_the_floor(void **unused)
{
	const struct owner_limits tight = {
		.records_max = 100, .bytes_max = 1000, .tombstones_max = 4
	};
	struct owner *o = owner_new(&web1, &tight);
	char key[2] = "a";

	(void)unused;
	owner_epoch_begin(o, first);
	owner_baseline_end(o);
	put(o, "z", "1");
	for (; key[0] < 'f'; key[0]++)
		put(o, key, "1");
	for (key[0] = 'a'; key[0] < 'f'; key[0]++)
		del(o, key); /* the fifth is one too many: the newer half stays */
	assert_story(o, "e1 n12 f10 -d@11 -e@12 z=1@2");
	owner_free(o);
}

static void
given_numbers_count_nothing_up(void **unused)
{
	struct owner *o = writer_new();
	struct owner *r = owner_empty();

	(void)unused;
	owner_number_set(o, 50);
	put(o, "a", "1");
	put(o, "b", "1");
	owner_number_set(o, 57);
	del(o, "a");
	put(o, "c", "1");
	assert_story(o, "e1 n57 f1 -a@57 b=1@50 c=1@57");
	sync_up(r, o);
	assert_story(r, "e1 n57 f1 -a@57 b=1@50 c=1@57");
	owner_free(o);
	owner_free(r);
}

/* Single records from elsewhere. */

static void
a_push_over_a_gap_is_used_but_moves_nothing(void **unused)
{
	struct owner *w = writer_new(), *r = owner_empty();
	bool changed;

	(void)unused;
	put(w, "a", "1");
	sync_up(r, w);
	assert_story(r, "e1 n2 f1 a=1@2");
	put(w, "b", "1"); /* this push is lost */
	put(w, "c", "1");
	assert_int_equal(push(r, w, "c", &changed), OWNER_GAP);
	assert_true(changed);
	assert_story(r, "e1 n2? f1 a=1@2 c=1@4");
	assert_int_equal(push(r, w, "c", &changed), OWNER_GAP); /* doubled: still asks */
	assert_false(changed);
	assert_int_equal(feed(r, w, 2), OWNER_RANGE_APPLY);
	assert_story(r, "e1 n4 f1 a=1@2 b=1@3 c=1@4");
	assert_int_equal(push(r, w, "c", &changed), OWNER_STALE);
	owner_free(w);
	owner_free(r);
}

static void
a_late_push_closes_its_gap_by_itself(void **unused)
{
	struct owner *w = writer_new(), *late = owner_empty(), *r = owner_empty();
	bool changed;

	(void)unused;
	sync_up(r, w);
	put(w, "a", "1");
	sync_up(late, w);
	put(w, "b", "1");
	put(w, "c", "1");
	assert_int_equal(push(r, w, "b", &changed), OWNER_GAP);
	assert_int_equal(push(r, w, "c", &changed), OWNER_GAP);
	assert_int_equal(push(r, late, "a", &changed), OWNER_APPLIED);
	assert_story(r, "e1 n4 f1 a=1@2 b=1@3 c=1@4");
	owner_free(w);
	owner_free(late);
	owner_free(r);
}

static void
an_older_push_never_wins(void **unused)
{
	struct owner *w = writer_new(), *old = owner_empty(), *r = owner_empty();
	bool changed;

	(void)unused;
	sync_up(r, w);
	put(w, "a", "1");
	sync_up(old, w);
	del(w, "a");
	assert_int_equal(push(r, w, "a", &changed), OWNER_GAP);
	assert_false(changed); /* a tombstone for what was not there */
	assert_story(r, "e1 n1? f1 -a@3");
	assert_int_equal(push(r, old, "a", &changed), OWNER_APPLIED); /* known to have happened */
	assert_false(changed);
	assert_story(r, "e1 n3 f1 -a@3");
	owner_floor_raise(r, 3);
	assert_int_equal(push(r, old, "a", &changed), OWNER_STALE);
	assert_story(r, "e1 n3 f3");
	owner_free(w);
	owner_free(old);
	owner_free(r);
}

static void
many_records_are_found_again(void **unused)
{
	struct owner *o = writer_new();
	struct owner_record held;
	char key[32];

	(void)unused;
	for (int i = 0; i < 20000; i++) {
		snprintf(key, sizeof key, "service-%d", i);
		put(o, key, key);
		if (i % 3 == 0) {
			snprintf(key, sizeof key, "service-%d", i / 2);
			del(o, key);
			owner_floor_raise(o, UINT64_MAX);
		}
	}
	for (int i = 0; i < 20000; i++) {
		bool gone = i < 10000 && (i % 3 == 0 || i % 3 == 1);

		snprintf(key, sizeof key, "service-%d", i);
		assert_int_equal(owner_find(o, K, str_of(key), &held), !gone);
		if (!gone)
			assert_str(blob_str(held.body), key);
	}
	assert_int_equal(owner_count(o), 20000 - 6667);
	owner_free(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_put_is_numbered_an_equal_one_is_not),
		cmocka_unit_test(a_removal_leaves_a_tombstone_until_the_floor_rises),
		cmocka_unit_test(a_baseline_is_all_of_number_one),
		cmocka_unit_test(an_assertion_takes_a_number_for_the_same_bytes),
		cmocka_unit_test(equal_bytes_from_elsewhere_stay_one_blob),
		cmocka_unit_test(limits_refuse_at_the_writer_only),
		cmocka_unit_test(too_many_tombstones_raise_the_floor),
		cmocka_unit_test(given_numbers_count_nothing_up),
		cmocka_unit_test(a_push_over_a_gap_is_used_but_moves_nothing),
		cmocka_unit_test(a_late_push_closes_its_gap_by_itself),
		cmocka_unit_test(an_older_push_never_wins),
		cmocka_unit_test(many_records_are_found_again),
	};

	return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}

/* Stories of ranges, whole states and epochs: what a replica shows, and when. */
#include "tests/unit/owner_feed.h"

/* Ranges. */

static void
a_range_from_beyond_is_refused_an_old_one_ignored(void **unused)
{
	struct owner *w = writer_new(), *r = owner_empty();

	(void)unused;
	put(w, "a", "1");
	sync_up(r, w);
	put(w, "b", "1");
	put(w, "c", "1");
	assert_int_equal(feed(r, w, 3), OWNER_RANGE_REFUSE);
	assert_int_equal(owner_wanted(r, first), 2);
	assert_story(r, "e1 n2 f1 a=1@2");
	assert_int_equal(feed(r, w, 1), OWNER_RANGE_APPLY); /* may begin earlier than needed */
	assert_story(r, "e1 n4 f1 a=1@2 b=1@3 c=1@4");
	assert_int_equal(feed(r, w, 1), OWNER_RANGE_OLD);
	assert_int_equal(feed(r, w, 0), OWNER_RANGE_OLD);
	owner_free(w);
	owner_free(r);
}

static void
from_below_the_floor_the_whole_state_is_swapped(void **unused)
{
	struct owner *w = writer_new(), *r = owner_empty();
	struct owner_change c;
	bool changed;

	(void)unused;
	put(w, "a", "1");
	put(w, "b", "1");
	put(w, "c", "1");
	sync_up(r, w);
	del(w, "a");
	put(w, "b", "2");
	owner_floor_raise(w, 6); /* a's tombstone is gone */
	put(w, "d", "1");
	put(w, "e", "1");
	assert_int_equal(push(r, w, "e", &changed), OWNER_GAP); /* ahead: stays */
	put(w, "f", "1");
	assert_int_equal(push(r, w, "f", &changed), OWNER_GAP);
	del(w, "f");
	owner_floor_raise(w, 10); /* pushed, removed and forgotten: goes */
	assert_int_equal(feed(r, w, 4), OWNER_RANGE_STAGE);
	assert_true(owner_stage_change(r, &c));
	assert_str(c.key, "a");
	assert_str(blob_str(c.before), "1");
	assert_null(c.after);
	owner_change_done(&c);
	assert_true(owner_stage_change(r, &c));
	assert_str(c.key, "b");
	assert_str(blob_str(c.before), "1");
	assert_str(blob_str(c.after), "2");
	owner_change_done(&c);
	assert_true(owner_stage_change(r, &c)); /* c and e are as they were */
	assert_str(c.key, "f");
	assert_null(c.after);
	owner_change_done(&c);
	assert_true(owner_stage_change(r, &c));
	assert_str(c.key, "d");
	assert_null(c.before);
	owner_change_done(&c);
	assert_false(owner_stage_change(r, &c));
	assert_story(r, "e1 n10 f10 b=2@6 c=1@4 d=1@7 e=1@8");
	owner_free(w);
	owner_free(r);
}

static void
what_was_pushed_ahead_outlives_a_swap(void **unused)
{
	struct owner *w = writer_new(), *behind = owner_empty(), *r = owner_empty();
	bool changed;

	(void)unused;
	put(w, "a", "1");
	put(w, "b", "1");
	sync_up(r, w);
	del(w, "b");
	owner_floor_raise(w, 4);
	sync_up(behind, w);
	put(w, "x", "1"); /* lost */
	put(w, "a", "2");
	put(w, "c", "1");
	assert_int_equal(push(r, w, "a", &changed), OWNER_GAP);
	assert_int_equal(push(r, w, "c", &changed), OWNER_GAP);
	assert_int_equal(feed(r, behind, 3), OWNER_RANGE_STAGE);
	drain(r);
	assert_story(r, "e1 n4? f4 a=2@6 c=1@7");
	assert_int_equal(feed(r, behind, 0), OWNER_RANGE_OLD); /* another hash, and rightly so */
	sync_up(r, w);
	assert_story(r, "e1 n7 f4 a=2@6 c=1@7 x=1@5");
	assert_true(owner_digest(r).hash == owner_digest(w).hash);
	owner_free(w);
	owner_free(behind);
	owner_free(r);
}

static void
an_inexact_replica_gives_no_whole_state(void **unused)
{
	struct owner *w = writer_new(), *half = owner_empty(), *r = owner_empty();
	bool changed;

	(void)unused;
	put(w, "a", "1");
	sync_up(half, w);
	put(w, "b", "1"); /* lost */
	put(w, "a", "2");
	push(half, w, "a", &changed);
	assert_false(owner_digest(half).exact);
	assert_int_equal(feed(r, half, 0), OWNER_RANGE_REFUSE); /* it would lack a */
	assert_int_equal(owner_wanted(r, first), 0);
	assert_story(r, "e0 n0");
	sync_up(r, w);
	assert_story(r, "e1 n4 f1 a=2@4 b=1@3");
	owner_free(w);
	owner_free(half);
	owner_free(r);
}

static void
an_equal_number_with_another_hash_is_replaced(void **unused)
{
	struct owner *w = writer_new(), *other = writer_new(), *r = owner_empty();

	(void)unused;
	put(w, "a", "1");
	put(other, "a", "wrong");
	sync_up(r, other);
	assert_int_equal(feed(r, w, 0), OWNER_RANGE_STAGE);
	drain(r);
	assert_story(r, "e1 n2 f1 a=1@2");
	assert_int_equal(feed(w, other, 0), OWNER_RANGE_OLD); /* never its writer */
	owner_free(w);
	owner_free(other);
	owner_free(r);
}

/* Epochs. */

static void
another_epoch_is_staged_until_whole_and_shown_in_one_step(void **unused)
{
	struct owner *w = writer_new(), *again = owner_empty(), *r = owner_empty();
	struct owner_range range;
	struct owner_change c;
	struct owner_record held;
	bool changed;

	(void)unused;
	put(w, "a", "1");
	put(w, "b", "1");
	put(w, "c", "1");
	sync_up(r, w);
	owner_epoch_begin(again, second);
	put(again, "a", "1");
	put(again, "b", "2");
	owner_baseline_end(again);
	put(again, "d", "1");
	assert_int_equal(push(r, again, "d", &changed), OWNER_OTHER_EPOCH);
	assert_false(changed);
	assert_int_equal(owner_wanted(r, second), 0);
	assert_int_equal(feed(r, again, 1), OWNER_RANGE_REFUSE); /* not from the middle */

	range = owner_range_for(again, 0);
	assert_int_equal(owner_range_begin(r, &range), OWNER_RANGE_STAGE);
	owner_stage_add(r, &(struct record){ .kind = K, .number = 2, .key = STR("d") }, NULL);
	assert_story(r, "e1 n4 f1 a=1@2 b=1@3 c=1@4"); /* half collected, then broken off */

	assert_true(owner_find(r, K, STR("a"), &held));
	assert_int_equal(feed(r, again, 0), OWNER_RANGE_STAGE);
	assert_story(r, "e2 n2 f1 a=1@1 b=2@1 d=1@2");
	assert_true(owner_stage_change(r, &c));
	assert_str(c.key, "a"); /* only its number is new: the very bytes that were there */
	assert_ptr_equal(c.before, held.body);
	assert_ptr_equal(c.after, held.body);
	owner_change_done(&c);
	drain(r);
	assert_int_equal(push(r, w, "c", &changed), OWNER_STALE); /* of the epoch before */
	assert_int_equal(feed(r, w, 0), OWNER_RANGE_OLD);
	assert_story(r, "e2 n2 f1 a=1@1 b=2@1 d=1@2");
	owner_free(w);
	owner_free(again);
	owner_free(r);
}

/* A mask names the epoch too: whoever keeps it must hear of a new one. */
static void
a_new_epoch_tells_of_records_under_their_old_number_too(void **unused)
{
	struct owner *w = owner_empty(), *r = owner_empty();
	struct owner_change c;

	(void)unused;
	owner_epoch_begin(w, first);
	put(w, "a", "1");
	owner_baseline_end(w);
	sync_up(r, w);
	owner_epoch_begin(w, second);
	owner_baseline_end(w);
	feed(r, w, 0);
	assert_true(owner_stage_change(r, &c));
	assert_ptr_equal(c.before, c.after);
	assert_int_equal(c.number, 1);
	owner_change_done(&c);
	assert_false(owner_stage_change(r, &c));
	owner_free(w);
	owner_free(r);
}

static void
of_two_versions_in_a_whole_state_the_newer_stays(void **unused)
{
	struct owner *r = owner_empty();
	struct owner_range range = { .epoch = { 1, 11 }, .upto = 5, .floor = 1, .head = 5 };
	struct record a = { .kind = K, .number = 5, .key = STR("a"), .body = STR("new") };

	(void)unused;
	assert_int_equal(owner_stage_add(r, &a, NULL), ERR_STATE); /* nothing begun */
	assert_int_equal(owner_range_begin(r, &range), OWNER_RANGE_STAGE);
	assert_int_equal(owner_stage_add(r, &a, NULL), 0);
	a.number = 4;
	a.body = STR("old");
	assert_int_equal(owner_stage_add(r, &a, NULL), 0);
	owner_stage_swap(r, &range);
	drain(r);
	assert_story(r, "e1 n5 f1 a=new@5");
	owner_free(r);
}

static void
who_holds_the_same_hash_only_takes_the_label(void **unused)
{
	struct owner *w = writer_new(), *again = owner_empty(), *r = owner_empty();
	struct owner_record held;
	bool changed;

	(void)unused;
	put(w, "a", "1");
	put(w, "b", "1");
	put(w, "c", "1");
	del(w, "c");
	sync_up(r, w);
	owner_epoch_begin(again, second);
	put(again, "b", "1");
	assert_false(owner_relabel(r, second, owner_digest(again).hash));
	put(again, "a", "1");
	owner_baseline_end(again);
	assert_true(owner_find(r, K, STR("a"), &held));
	assert_true(owner_relabel(r, second, owner_digest(again).hash));
	assert_story(r, "e2 n1 f1 a=1@1 b=1@1");
	assert_true(owner_relabel(r, second, owner_digest(again).hash)); /* heard twice */
	assert_true(owner_relabel(r, first, 0));                         /* heard late */
	put(again, "c", "1");
	assert_int_equal(push(r, again, "c", &changed), OWNER_APPLIED);
	assert_story(r, "e2 n2 f1 a=1@1 b=1@1 c=1@2");
	owner_free(w);
	owner_free(again);
	owner_free(r);
}

static void
of_two_nonces_all_show_the_same(void **unused)
{
	struct owner *x = owner_empty(), *y = owner_empty();
	struct owner *r = owner_empty(), *q = owner_empty();

	(void)unused;
	owner_epoch_begin(x, (struct epoch){ 3, 5 });
	put(x, "a", "x");
	owner_baseline_end(x);
	owner_epoch_begin(y, (struct epoch){ 3, 9 });
	put(y, "a", "y");
	owner_baseline_end(y);
	sync_up(r, x);
	sync_up(r, y);
	sync_up(q, y);
	sync_up(q, x);
	assert_story(r, "e3 n1 f1 a=y@1");
	assert_story(q, "e3 n1 f1 a=y@1");
	owner_free(x);
	owner_free(y);
	owner_free(r);
	owner_free(q);
}

static void
unknown_kinds_pass_through_and_are_hashed(void **unused)
{
	struct owner *w = writer_new(), *relay = owner_empty(), *r = owner_empty();
	const struct str body = STR("\x00\xff any bytes \x00");
	struct owner_record held;

	(void)unused;
	put(w, "a", "1");
	assert_int_equal(owner_put(w, 4711, STR("a"), body, NULL, NULL), 1);
	sync_up(relay, w);
	sync_up(r, relay);
	assert_true(owner_find(r, 4711, STR("a"), &held));
	assert_true(str_eq(blob_str(held.body), body));
	assert_true(owner_find(r, K, STR("a"), &held));
	assert_str(blob_str(held.body), "1");
	assert_true(owner_digest(r).hash == owner_digest(w).hash);
	owner_remove(w, 4711, STR("a"), NULL);
	assert_true(owner_digest(r).hash != owner_digest(w).hash);
	sync_up(relay, w);
	sync_up(r, relay);
	assert_true(owner_digest(r).hash == owner_digest(w).hash);
	assert_int_equal(owner_bytes(r), 2);
	owner_free(w);
	owner_free(relay);
	owner_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_from_beyond_is_refused_an_old_one_ignored),
		cmocka_unit_test(from_below_the_floor_the_whole_state_is_swapped),
		cmocka_unit_test(what_was_pushed_ahead_outlives_a_swap),
		cmocka_unit_test(an_inexact_replica_gives_no_whole_state),
		cmocka_unit_test(an_equal_number_with_another_hash_is_replaced),
		cmocka_unit_test(another_epoch_is_staged_until_whole_and_shown_in_one_step),
		cmocka_unit_test(a_new_epoch_tells_of_records_under_their_old_number_too),
		cmocka_unit_test(of_two_versions_in_a_whole_state_the_newer_stays),
		cmocka_unit_test(who_holds_the_same_hash_only_takes_the_label),
		cmocka_unit_test(of_two_nonces_all_show_the_same),
		cmocka_unit_test(unknown_kinds_pass_through_and_are_hashed),
	};

	return cmocka_run_group_tests_name("owner ranges", tests, NULL, NULL);
}

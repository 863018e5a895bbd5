/* An owner's records told as stories: the writer, single pushes, ranges, whole states, epochs. */
#include "kv/owner.h"
#include "tests/unit/owner_story.h"

static const struct uuid web1 = { { 1 } };
static const struct epoch first = { 1, 11 }, second = { 2, 22 };

static struct owner *
owner_empty(void)
{
	return owner_new(&web1, &owner_limits_default);
}

static struct owner *
writer_new(void) /* past its baseline of no records */
{
	struct owner *o = owner_empty();

	owner_epoch_begin(o, first);
	owner_baseline_end(o);
	return o;
}

static int
put(struct owner *o, const char *key, const char *body)
{
	return owner_put(o, K, str_of(key), str_of(body), NULL, NULL);
}

static int
del(struct owner *o, const char *key)
{
	return owner_remove(o, K, str_of(key), NULL);
}

/* The record as it stands at the writer, as a push carries it. */
static enum owner_pushed
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
static enum owner_ranged
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

static void
drain(struct owner *o)
{
	while (owner_stage_change(o, NULL))
		;
}

static void
sync_up(struct owner *to, const struct owner *from)
{
	if (feed(to, from, owner_wanted(to, owner_digest(from).epoch)) == OWNER_RANGE_STAGE)
		drain(to);
}

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
		cmocka_unit_test(many_records_are_found_again),
	};

	return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}

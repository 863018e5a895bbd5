/* Digests and ranges as bytes, and the answer to another agent's digests. The store is a row of
 * owners here: all that delta_answer() asks of it. */
#include "kv/delta.h"
#include "tests/unit/owner_story.h"

struct store {
	struct owner *owners[8]; /* sorted by id */
	size_t count;
};

bool
store_digest_next(const struct store *s, size_t *cursor, struct digest *out)
{
	if (*cursor >= s->count)
		return false;
	*out = owner_digest(s->owners[(*cursor)++]);
	return true;
}

const struct owner *
store_owner(const struct store *s, const struct uuid *id)
{
	for (size_t i = 0; i < s->count; i++)
		if (uuid_eq(owner_id(s->owners[i]), id))
			return s->owners[i];
	return NULL;
}

bool
store_digest_of(const struct store *s, const struct uuid *id, struct digest *out)
{
	const struct owner *o = store_owner(s, id);

	if (o == NULL || owner_digest(o).number == 0)
		return false;
	*out = owner_digest(o);
	return true;
}

bool
store_cluster_is_taken(const struct store *s, const struct uuid *id)
{
	(void)s;
	(void)id;
	return false;
}

bool
store_takes(const struct store *s, const struct uuid *id, struct epoch epoch, uint64_t number)
{
	(void)s;
	(void)id;
	return epoch.counter > 0 && number > 0;
}

static const struct epoch first = { 1, 11 }, second = { 2, 22 };

static struct owner *
replica_of(uint8_t id)
{
	return owner_new(&(struct uuid){ { id } }, &owner_limits_default);
}

static struct owner *
writer_of(uint8_t id, struct epoch epoch)
{
	struct owner *o = replica_of(id);

	owner_epoch_begin(o, epoch);
	owner_baseline_end(o);
	return o;
}

static void
put(struct owner *o, const char *key, const char *body)
{
	assert_int_equal(owner_put(o, K, str_of(key), str_of(body), NULL, NULL), 1);
}

/* What an agent does with the bytes of a range. */
static enum owner_ranged
take(struct owner *o, struct str bytes)
{
	struct reader r = rd_of(bytes);
	struct owner_range range;
	struct record record;
	struct uuid id;
	enum owner_ranged as;

	assert_true(delta_range_head(&r, &id, &range));
	assert_true(uuid_eq(&id, owner_id(o)));
	as = owner_range_begin(o, &range);
	while (record_read(&r, &record)) {
		if (as == OWNER_RANGE_APPLY)
			owner_range_apply(o, &record, NULL);
		if (as == OWNER_RANGE_STAGE)
			owner_stage_add(o, &record, NULL);
	}
	if (as == OWNER_RANGE_APPLY)
		owner_range_end(o, &range);
	if (as == OWNER_RANGE_STAGE)
		owner_stage_swap(o, &range);
	while (as == OWNER_RANGE_STAGE && owner_stage_change(o, NULL))
		;
	return as;
}

static void
digests_come_back_and_are_short_when_cut(void **unused)
{
	const struct digest in[] = {
		{ { { 1, 2, 3 } }, { 1, 2 }, 3, 4, true },
		{ { { 0xff } }, { UINT64_MAX, UINT64_MAX }, UINT64_MAX, UINT64_MAX, false },
	};

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		uint8_t room[DIGEST_SIZE_MAX];
		struct writer w = wr_of(room, sizeof room);
		struct digest out;
		struct reader r;

		digest_write(&w, &in[i]);
		assert_false(w.full);
		for (size_t n = 0; n < w.pos; n++) {
			r = rd_of(str_mem(room, n));
			assert_false(digest_read(&r, &out));
			assert_int_equal(r.state, RD_SHORT);
		}
		r = rd_of(wr_done(&w));
		assert_true(digest_read(&r, &out));
		assert_true(uuid_eq(&out.owner, &in[i].owner));
		assert_int_equal(epoch_cmp(&out.epoch, &in[i].epoch), 0);
		assert_true(out.number == in[i].number && out.hash == in[i].hash);
		assert_int_equal(out.exact, in[i].exact);
	}
}

static void
every_cut_or_changed_range_is_refused(void **unused)
{
	struct owner *w = writer_of(1, first);
	struct buf b;
	struct owner_range range;
	struct uuid id;
	struct reader r;

	(void)unused;
	buf_init(&b, 4096);
	put(w, "a", "1");
	put(w, "b", "2");
	owner_remove(w, K, STR("a"), NULL);
	for (uint64_t after = 0; after < 4; after++) {
		buf_clear(&b);
		assert_int_equal(delta_range(w, after, 4096, &b), 4);
		for (size_t n = 0; n < b.n; n++) {
			char *exact = malloc(n > 0 ? n : 1);

			memcpy(exact, b.p, n);
			r = rd_of(str_mem(exact, n));
			assert_false(delta_range_head(&r, &id, &range));
			assert_int_equal(r.state, RD_SHORT);
			free(exact);
		}
		r = rd_of(buf_str(&b));
		assert_true(delta_range_head(&r, &id, &range));
		buf_addc(&b, 0);
		r = rd_of(buf_str(&b));
		assert_false(delta_range_head(&r, &id, &range));
		assert_int_equal(r.state, RD_BAD);
	}
	owner_free(w);
	buf_done(&b);
}

static void
ranges_that_contradict_themselves_are_bad(void **unused)
{
	const struct record five = { .kind = K, .number = 5, .key = STR("a") };
	const struct owner_range bad[] = {
		{ .epoch = { 0, 1 }, .after = 4, .upto = 5, .head = 5, .count = 1 },
		{ .epoch = { 1, 1 }, .after = 5, .upto = 5, .head = 5, .count = 0 },
		{ .epoch = { 1, 1 }, .after = 6, .upto = 5, .head = 6, .count = 0 },
		{ .epoch = { 1, 1 }, .after = 5, .upto = 6, .head = 6, .count = 1 },
		{ .epoch = { 1, 1 }, .after = 3, .upto = 4, .head = 4, .count = 1 },
		{ .epoch = { 1, 1 }, .after = 4, .upto = 5, .head = 4, .count = 1 },
		{ .epoch = { 1, 1 }, .after = 4, .upto = 5, .head = 5, .floor = 6, .count = 1 },
		{ .epoch = { 1, 1 }, .after = 4, .upto = 5, .head = 5, .count = 2 },
		{ .epoch = { 1, 1 }, .after = 4, .upto = 5, .head = 5, .count = UINT64_MAX },
		{ .epoch = { 1, 1 }, .after = 4, .upto = 5, .head = 5, .count = 0 },
	};
	struct owner_range good = {
		.epoch = { 1, 1 }, .after = 4, .upto = 5, .head = 5, .count = 1
	};
	struct owner_range out;
	struct uuid id = { { 1 } };
	uint8_t room[128];

	(void)unused;
	for (size_t i = 0; i <= sizeof bad / sizeof bad[0]; i++) {
		bool wrong = i < sizeof bad / sizeof bad[0];
		struct writer w = wr_of(room, sizeof room);
		struct reader r;

		delta_range_head_write(&w, &id, wrong ? &bad[i] : &good);
		if (!wrong || bad[i].count > 0 || i == sizeof bad / sizeof bad[0] - 1)
			record_write(&w, &five);
		r = rd_of(wr_done(&w));
		assert_int_equal(delta_range_head(&r, &id, &out), !wrong);
		assert_int_equal(rd_ok(&r), !wrong);
	}
}

static void
a_long_range_goes_in_pieces_a_whole_state_does_not(void **unused)
{
	struct owner *w = writer_of(1, first), *r = replica_of(1);
	uint64_t at;
	int pieces = 0;
	struct buf b;

	(void)unused;
	buf_init(&b, 1 << 20);
	put(w, "a", "1");
	delta_range(w, 0, 1, &b);
	assert_int_equal(take(r, buf_str(&b)), OWNER_RANGE_STAGE);
	assert_story(r, "e1 n2 f1 a=1@2");
	for (int i = 0; i < 100; i++) {
		char key[16];

		snprintf(key, sizeof key, "k%d", i);
		put(w, key, "some body");
	}
	put(w, "a", "2");
	for (at = 2; at < 103; pieces++) {
		assert_int_equal(owner_digest(r).exact, at == 2);
		buf_clear(&b);
		at = delta_range(w, at, 300, &b);
		assert_true(b.n > 300 || at == 103);
		assert_true(b.n < 420);
		assert_int_equal(take(r, buf_str(&b)), OWNER_RANGE_APPLY);
		assert_int_equal(owner_digest(r).number, at);
	}
	assert_true(pieces > 5);
	assert_true(owner_digest(r).exact);
	assert_true(owner_digest(r).hash == owner_digest(w).hash);

	owner_free(r);
	r = replica_of(1);
	buf_clear(&b);
	assert_int_equal(delta_range(w, 0, 1, &b), 103);
	assert_int_equal(take(r, buf_str(&b)), OWNER_RANGE_STAGE);
	assert_true(owner_digest(r).hash == owner_digest(w).hash);
	owner_free(w);
	owner_free(r);
	buf_done(&b);
}

/* Several records of one number: a piece does not end among them. */
static void
a_piece_never_ends_within_a_number(void **unused)
{
	struct owner *w = writer_of(1, first), *r = replica_of(1);
	struct buf b;

	(void)unused;
	buf_init(&b, 4096);
	delta_range(w, 0, 4096, &b);
	take(r, buf_str(&b));
	owner_number_set(w, 5);
	put(w, "a", "1");
	put(w, "b", "1");
	put(w, "c", "1");
	owner_number_set(w, 6);
	put(w, "d", "1");
	buf_clear(&b);
	assert_int_equal(delta_range(w, 1, 1, &b), 5);
	take(r, buf_str(&b));
	assert_story(r, "e1 n5? f1 a=1@5 b=1@5 c=1@5");
	owner_free(w);
	owner_free(r);
	buf_done(&b);
}

static void
nothing_is_written_where_there_is_nothing_to_give(void **unused)
{
	struct owner *w = writer_of(1, first), *r = replica_of(1);
	struct record ahead = { .kind = K, .number = 9, .key = STR("x") };
	struct buf b, small;
	bool changed;

	(void)unused;
	buf_init(&b, 4096);
	buf_init(&small, 60);
	assert_int_equal(delta_range(r, 0, 4096, &b), 0);
	assert_int_equal(delta_range(w, 1, 4096, &b), 1);
	assert_int_equal(delta_range(w, 7, 4096, &b), 7);
	assert_int_equal(b.n, 0);
	put(w, "a", "1");
	assert_int_equal(delta_range(w, 0, 4096, &b), 2);
	take(r, buf_str(&b));
	assert_int_equal(owner_push(r, first, &ahead, NULL, &changed), OWNER_GAP);
	buf_clear(&b);
	assert_int_equal(delta_range(r, 0, 4096, &b), 0); /* inexact: no whole state */
	assert_int_equal(b.n, 0);
	assert_int_equal(delta_range(r, 1, 4096, &b), 2); /* but what it has for sure */
	put(w, "b", "a body that does not fit");
	assert_int_equal(delta_range(w, 1, 4096, &small), 1);
	assert_true(small.full);
	assert_int_equal(small.n, 0);
	owner_free(w);
	owner_free(r);
	buf_done(&b);
	buf_done(&small);
}

/* Gives `theirs` what `ours` answers to its digests; how many ranges that were. */
static size_t
exchange(struct store *theirs, const struct store *ours, size_t *behind)
{
	struct buf digests, answer;
	struct reader r;
	size_t ranges = 0;

	buf_init(&digests, 4096);
	buf_init(&answer, 65536);
	delta_digests(theirs, &digests);
	assert_int_equal(delta_answer(ours, buf_str(&digests), 65536, &answer, behind, NULL), 0);
	for (r = rd_of(buf_str(&answer)); rd_left(&r) > 0; ranges++) {
		struct str range = rd_str(&r, (size_t)rd_varint(&r));
		struct uuid id;

		assert_true(rd_ok(&r));
		assert_true(range.n > sizeof id.b);
		memcpy(id.b, range.p, sizeof id.b);
		for (size_t i = 0; i < theirs->count; i++)
			if (uuid_eq(owner_id(theirs->owners[i]), &id))
				take(theirs->owners[i], range);
	}
	buf_done(&digests);
	buf_done(&answer);
	return ranges;
}

static void
store_done(struct store *s)
{
	for (size_t i = 0; i < s->count; i++)
		owner_free(s->owners[i]);
}

static void
an_answer_holds_what_the_other_lacks(void **unused)
{
	struct store ours = { { writer_of(2, first), replica_of(3), replica_of(4) }, 3 };
	struct store theirs = { { replica_of(1), replica_of(2), writer_of(3, first) }, 3 };
	size_t behind;

	(void)unused;
	put(ours.owners[0], "a", "1");
	put(theirs.owners[2], "c", "1");
	owner_relabel(theirs.owners[0], first, 0); /* known, without records */
	assert_int_equal(exchange(&theirs, &ours, &behind), 1);
	assert_int_equal(behind, 2); /* 1 is unheard of here, of 3 nothing is held */
	assert_story(theirs.owners[1], "e1 n2 f1 a=1@2");
	assert_int_equal(exchange(&ours, &theirs, &behind), 2); /* 1, dropped, and 3 */
	assert_story(ours.owners[1], "e1 n2 f1 c=1@2");
	assert_int_equal(exchange(&theirs, &ours, &behind), 0);
	assert_int_equal(behind, 1);

	put(ours.owners[0], "b", "1");
	owner_remove(ours.owners[0], K, STR("a"), NULL);
	assert_int_equal(exchange(&theirs, &ours, &behind), 1);
	assert_story(theirs.owners[1], "e1 n4 f1 -a@4 b=1@3");
	assert_int_equal(exchange(&theirs, &ours, &behind), 0);

	/* A new epoch: nothing while its baseline is not complete, then the whole of it. */
	owner_epoch_begin(ours.owners[0], second);
	put(ours.owners[0], "d", "1");
	assert_int_equal(exchange(&theirs, &ours, &behind), 0);
	assert_int_equal(exchange(&ours, &theirs, &behind), 1);
	assert_int_equal(behind, 0);
	owner_baseline_end(ours.owners[0]);
	assert_int_equal(exchange(&ours, &theirs, &behind), 1);
	assert_int_equal(behind, 1);
	assert_int_equal(exchange(&theirs, &ours, &behind), 1);
	assert_story(theirs.owners[1], "e2 n1 f1 b=1@1 d=1@1");
	store_done(&ours);
	store_done(&theirs);
}

static void
unequal_hashes_are_settled_by_the_writer(void **unused)
{
	struct store writer = { { writer_of(1, first) }, 1 };
	struct store twin = { { writer_of(1, first) }, 1 };
	struct store wrong = { { replica_of(1) }, 1 }, right = { { replica_of(1) }, 1 };
	struct record ahead;
	size_t behind;
	bool changed;

	(void)unused;
	put(writer.owners[0], "a", "1");
	put(twin.owners[0], "a", "x");
	exchange(&wrong, &twin, &behind);
	exchange(&right, &writer, &behind);
	assert_int_equal(exchange(&right, &wrong, &behind), 0);
	assert_int_equal(exchange(&wrong, &right, &behind), 0);
	assert_int_equal(exchange(&writer, &wrong, &behind), 0);
	assert_int_equal(exchange(&wrong, &writer, &behind), 1);
	assert_story(wrong.owners[0], "e1 n2 f1 a=1@2");

	/* One that is between two states has another hash and nothing wrong. */
	ahead = (struct record){ .kind = K, .number = 4, .key = STR("b") };
	assert_int_equal(owner_push(right.owners[0], first, &ahead, NULL, &changed), OWNER_GAP);
	assert_int_equal(exchange(&right, &writer, &behind), 0);

	/* What others say beyond the writer is nothing for it to take. */
	put(twin.owners[0], "b", "1");
	assert_int_equal(exchange(&twin, &writer, &behind), 0);
	assert_int_equal(behind, 0);
	owner_epoch_begin(twin.owners[0], second);
	owner_baseline_end(twin.owners[0]);
	assert_int_equal(exchange(&twin, &writer, &behind), 0);
	assert_int_equal(behind, 0);
	store_done(&writer);
	store_done(&twin);
	store_done(&wrong);
	store_done(&right);
}

static void
an_answer_stays_within_its_bytes(void **unused)
{
	struct store ours = { { writer_of(1, first), writer_of(2, first) }, 2 };
	struct buf answer, small;
	struct reader r;
	size_t behind;

	(void)unused;
	buf_init(&answer, 4096);
	buf_init(&small, 20);
	assert_int_equal(delta_answer(&ours, STR_NONE, 0, &answer, &behind, NULL), 0);
	r = rd_of(buf_str(&answer)); /* the first range passes 0 bytes, so it is the last */
	rd_str(&r, (size_t)rd_varint(&r));
	assert_true(rd_ok(&r));
	assert_int_equal(rd_left(&r), 0);
	buf_clear(&answer);
	assert_int_equal(delta_answer(&ours, STR_NONE, 4096, &answer, &behind, NULL), 0);
	r = rd_of(buf_str(&answer));
	rd_str(&r, (size_t)rd_varint(&r));
	rd_str(&r, (size_t)rd_varint(&r));
	assert_true(rd_ok(&r));
	assert_int_equal(rd_left(&r), 0);
	assert_int_equal(delta_answer(&ours, STR_NONE, 4096, &small, &behind, NULL), ERR_LIMIT);
	buf_done(&answer);
	buf_done(&small);
	store_done(&ours);
}

static void
malformed_digests_are_refused_whole(void **unused)
{
	struct store ours = { { writer_of(1, first), writer_of(2, first) }, 2 },
		     none = { { NULL }, 0 };
	struct buf digests, answer, twisted;
	size_t behind = 99, one;

	(void)unused;
	buf_init(&digests, 4096);
	buf_init(&answer, 4096);
	buf_init(&twisted, 4096);
	delta_digests(&ours, &digests);
	one = digests.n / 2;
	for (size_t n = 1; n < digests.n; n++)
		if (n != one) {
			struct str cut = str_mem(digests.p, n);

			assert_int_equal(
			    delta_answer(&ours, cut, 4096, &answer, &behind, NULL), ERR_INPUT);
		}
	buf_add(&twisted, str_mem(digests.p + one, one));
	buf_add(&twisted, str_mem(digests.p, one));
	assert_int_equal(
	    delta_answer(&ours, buf_str(&twisted), 4096, &answer, &behind, NULL), ERR_INPUT);
	buf_clear(&twisted);
	buf_add(&twisted, str_mem(digests.p, one));
	buf_add(&twisted, str_mem(digests.p, one));
	assert_int_equal(
	    delta_answer(&ours, buf_str(&twisted), 4096, &answer, &behind, NULL), ERR_INPUT);
	assert_int_equal(answer.n, 0);
	assert_int_equal(behind, 99);
	assert_int_equal(delta_answer(&none, buf_str(&digests), 0, &answer, &behind, NULL), 0);
	assert_int_equal(behind, 2);
	buf_done(&digests);
	buf_done(&answer);
	buf_done(&twisted);
	store_done(&ours);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_come_back_and_are_short_when_cut),
		cmocka_unit_test(every_cut_or_changed_range_is_refused),
		cmocka_unit_test(ranges_that_contradict_themselves_are_bad),
		cmocka_unit_test(a_long_range_goes_in_pieces_a_whole_state_does_not),
		cmocka_unit_test(a_piece_never_ends_within_a_number),
		cmocka_unit_test(nothing_is_written_where_there_is_nothing_to_give),
		cmocka_unit_test(an_answer_holds_what_the_other_lacks),
		cmocka_unit_test(unequal_hashes_are_settled_by_the_writer),
		cmocka_unit_test(an_answer_stays_within_its_bytes),
		cmocka_unit_test(malformed_digests_are_refused_whole),
	};

	return cmocka_run_group_tests_name("delta", tests, NULL, NULL);
}

/* What spreading asks of the store: runs of pushed records, certificates, new epochs while
 * running, what others are told of; and ranges that fit a datagram. */
#include "kv/delta.h"
#include "tests/unit/store_fixture.h"

static const struct epoch first = { 1, 9 }, second = { 2, 5 };

struct peer {
	struct fix f;
	char room[4096];
	struct writer run;
};

/* A store that holds the peer's empty baseline of its first epoch. */
static void
begin(struct peer *p)
{
	struct store_needs needs;

	p->f = fix_new();
	p->run = wr_of(p->room, sizeof p->room);
	store_member(p->f.store, p->f.now, &fix_peer, STORE_MEMBER_ALIVE, 0);
	store_baseline(p->f.store, p->f.now, &fix_peer, first, 0, &needs);
	assert_false(needs.range);
}

static void
add(struct peer *p, uint64_t number, const char *key, const char *body)
{
	struct record r = { 200, body == NULL, number, str_of(key), str_of(body) };

	record_write(&p->run, &r);
}

static struct store_needs
push(struct peer *p, struct epoch epoch, uint64_t after)
{
	struct store_needs needs;

	store_push_run(p->f.store, p->f.now, &fix_peer, epoch, after, wr_done(&p->run), &needs);
	p->run.pos = 0;
	return needs;
}

static uint64_t
number(const struct peer *p)
{
	return owner_digest(store_owner(p->f.store, &fix_peer)).number;
}

static void
a_run_moves_the_number_over_what_was_overwritten(void **unused)
{
	struct peer p;

	(void)unused;
	begin(&p);
	add(&p, 4, "a", "1");
	add(&p, 9, "b", "1");
	add(&p, 9, "c", "1");
	assert_false(push(&p, first, 1).range);
	assert_int_equal(number(&p), 9);
	add(&p, 5, "late", "1"); /* a copy that was late: nothing but its own key */
	assert_false(push(&p, first, 4).range);
	assert_int_equal(number(&p), 9);
	store_free(p.f.store);
}

static void
a_run_over_a_gap_is_used_and_the_gap_asked_for(void **unused)
{
	struct peer p;
	struct store_needs needs;
	struct owner_record r;

	(void)unused;
	begin(&p);
	add(&p, 5, "a", "1");
	add(&p, 6, "b", "1");
	needs = push(&p, first, 4);
	assert_true(needs.range && !needs.whole);
	assert_int_equal(needs.after, 1);
	assert_int_equal(number(&p), 1);
	assert_true(owner_find(store_owner(p.f.store, &fix_peer), 200, STR("b"), &r));
	add(&p, 4, "c", "1"); /* what was missing */
	assert_false(push(&p, first, 1).range);
	assert_int_equal(number(&p), 6);
	store_free(p.f.store);
}

static void
a_run_of_another_epoch_asks_for_the_whole(void **unused)
{
	struct peer p;
	struct store_needs needs;

	(void)unused;
	begin(&p);
	add(&p, 2, "a", "1");
	needs = push(&p, second, 1);
	assert_true(needs.range && needs.whole);
	assert_int_equal(needs.after, 0);
	assert_int_equal(number(&p), 1);
	store_free(p.f.store);
}

static void
an_equal_counter_with_another_nonce_is_another_baseline(void **unused)
{
	struct peer p;
	struct store_needs needs;
	struct epoch other = { 1, 10 };

	(void)unused;
	begin(&p);
	store_baseline(p.f.store, p.f.now, &fix_peer, other, 0, &needs);
	assert_false(needs.range); /* the same content: it takes the label */
	assert_int_equal(owner_digest(store_owner(p.f.store, &fix_peer)).epoch.nonce, 10);
	store_baseline(p.f.store, p.f.now, &fix_peer, second, 77, &needs);
	assert_true(needs.whole);
	store_free(p.f.store);
}

static void
news_say_what_was_given_before(void **unused)
{
	struct fix f = fix_new();
	struct owner_record r;
	struct epoch epoch;
	struct uuid owner;
	uint64_t after, hash;

	(void)unused;
	assert_false(store_baseline_next(f.store, &owner, &epoch, &hash));
	fix_service(&f, NULL, "a", "a", NULL);
	store_baseline_end(f.store, f.now);
	assert_true(store_baseline_next(f.store, &owner, &epoch, &hash));
	assert_true(uuid_eq(&owner, &fix_self) && epoch.nonce == 77);
	assert_true(hash == owner_digest(store_owner(f.store, &fix_self)).hash);
	assert_false(store_baseline_next(f.store, &owner, &epoch, &hash));
	assert_false(store_news_next(f.store, &owner, &after, &r));
	fix_service(&f, NULL, "b", "b", NULL); /* 2 */
	fix_service(&f, NULL, "c", "c", NULL); /* 3 */
	fix_service(&f, NULL, "b", "b", "x");  /* 4 */
	assert_true(store_news_next(f.store, &owner, &after, &r));
	assert_int_equal(r.number, 3);
	assert_int_equal(after, 1);
	assert_true(store_news_next(f.store, &owner, &after, &r));
	assert_int_equal(r.number, 4);
	assert_int_equal(after, 3);
	store_free(f.store);
}

/* A tombstone dropped before it was told: what follows must not claim to be all. */
static void
news_begin_above_the_floor(void **unused)
{
	struct store_config config = {
		.self = fix_self,
		.cluster = fix_cluster,
		.epoch = { 1, 77 },
		.limits = { 100, 100000, 2 },
	};
	struct now now = { NSEC_SEC, FIX_WALL };
	struct store *s = store_new(&config, now);
	struct owner_record r;
	struct uuid owner;
	uint64_t after;

	(void)unused;
	store_put(s, now, &fix_self, 200, STR("a"), STR("1"), NULL);
	store_put(s, now, &fix_self, 200, STR("b"), STR("1"), NULL);
	store_put(s, now, &fix_self, 200, STR("c"), STR("1"), NULL);
	store_baseline_end(s, now);
	store_remove(s, now, &fix_self, 200, STR("a")); /* 2 */
	store_remove(s, now, &fix_self, 200, STR("b")); /* 3 */
	store_remove(s, now, &fix_self, 200, STR("c")); /* 4: 2 and 3 are dropped */
	assert_int_equal(owner_floor(store_owner(s, &fix_self)), 3);
	assert_true(store_news_next(s, &owner, &after, &r));
	assert_int_equal(r.number, 4);
	assert_int_equal(after, 3);
	store_free(s);
}

static void
a_new_epoch_keeps_the_records_and_tells_its_baseline(void **unused)
{
	struct fix f = fix_new();
	struct epoch epoch;
	struct uuid owner;
	uint64_t hash;
	struct digest d;

	(void)unused;
	fix_node(&f, &fix_self, "n1", "10.0.0.1");
	fix_service(&f, NULL, "a", "a", NULL);
	store_baseline_end(f.store, f.now);
	while (store_baseline_next(f.store, &owner, &epoch, &hash))
		;
	fix_service(&f, NULL, "b", "b", NULL);
	store_epoch_begin(f.store, f.now, second);
	assert_non_null(fix_find(&f, "n1", "b"));
	d = owner_digest(store_owner(f.store, &fix_self));
	assert_int_equal(d.epoch.counter, 2);
	assert_int_equal(d.number, 1);
	assert_true(store_baseline_next(f.store, &owner, &epoch, &hash));
	assert_true(hash == d.hash && epoch.counter == 2);
	store_free(f.store);
}

static struct store_certificate
certificate(const struct uuid *id, uint64_t counter, nsec left)
{
	return (struct store_certificate){ *id, { counter, 1 }, left };
}

static void
a_certificate_keeps_away_and_ends(void **unused)
{
	struct peer p;
	struct store_certificate c = certificate(&fix_other, 3, NSEC_HOUR);
	struct store_needs needs;
	size_t cursor = 0;

	(void)unused;
	begin(&p);
	assert_true(store_takes(p.f.store, &fix_other, (struct epoch){ 3, 1 }, 1));
	assert_false(store_certificate(p.f.store, p.f.now, &c));
	assert_false(store_takes(p.f.store, &fix_other, (struct epoch){ 3, 1 }, 1));
	assert_true(store_takes(p.f.store, &fix_other, (struct epoch){ 4, 1 }, 1));
	store_baseline(p.f.store, p.f.now, &fix_other, (struct epoch){ 3, 1 }, 0, &needs);
	assert_null(store_owner(p.f.store, &fix_other));
	assert_true(store_certificate_next(p.f.store, p.f.now, &cursor, &c));
	assert_true(uuid_eq(&c.id, &fix_other) && c.left == NSEC_HOUR && c.epoch.counter == 3);
	assert_false(store_certificate_next(p.f.store, p.f.now, &cursor, &c));
	c.left = 20 * NSEC_HOUR; /* the end that is known stays */
	store_certificate(p.f.store, p.f.now, &c);
	assert_int_equal(store_deadline(p.f.store), p.f.now.mono + NSEC_HOUR);
	p.f.now.mono += NSEC_HOUR;
	store_tick(p.f.store, p.f.now);
	assert_true(store_takes(p.f.store, &fix_other, (struct epoch){ 3, 1 }, 1));
	store_free(p.f.store);
}

static void
our_own_certificate_is_told(void **unused)
{
	struct peer p;
	struct store_certificate c = certificate(&fix_self, 1, NSEC_HOUR);

	(void)unused;
	begin(&p);
	assert_true(store_certificate(p.f.store, p.f.now, &c));
	store_epoch_begin(p.f.store, p.f.now, second);
	assert_false(store_certificate(p.f.store, p.f.now, &c));
	c.epoch.counter = UINT64_MAX; /* nobody could begin above it */
	assert_false(store_certificate(p.f.store, p.f.now, &c));
	store_free(p.f.store);
}

/* A member's records stay while membership says that it lives; nobody else is told of them. */
static void
a_certified_member_shows_and_is_not_told_of(void **unused)
{
	struct peer p;
	struct store_certificate c = certificate(&fix_peer, 1, NSEC_HOUR);
	struct digest d;
	uint64_t version;

	(void)unused;
	begin(&p);
	assert_true(store_digest_of(p.f.store, &fix_peer, &d));
	version = store_version(p.f.store);
	store_certificate(p.f.store, p.f.now, &c);
	assert_true(store_version(p.f.store) > version);
	assert_non_null(store_owner(p.f.store, &fix_peer));
	assert_false(store_digest_of(p.f.store, &fix_peer, &d));
	assert_int_equal(
	    delta_compare(p.f.store, &(struct digest){ fix_peer, first, 9, 1, true }), DELTA_EVEN);
	store_free(p.f.store);
}

/* Who goes may have begun a life whose records have not come yet. */
static void
a_certificate_covers_what_was_heard_of(void **unused)
{
	struct peer p;
	struct store_certificate c;

	(void)unused;
	begin(&p);
	store_heard(p.f.store, &fix_peer, (struct epoch){ first.counter + 1, 5 });
	store_heard(p.f.store, &fix_peer, (struct epoch){ UINT64_MAX, 5 }); /* no news: an error */
	store_member(p.f.store, p.f.now, &fix_peer, STORE_MEMBER_GONE, p.f.now.mono + NSEC_HOUR);
	assert_true(store_certificate_of(p.f.store, p.f.now, &fix_peer, &c));
	assert_int_equal(c.epoch.counter, first.counter + 1);
	store_free(p.f.store);
}

static void
certificates_are_bounded(void **unused)
{
	struct peer p;
	struct store_certificate c = certificate(&fix_other, 1, NSEC_HOUR);
	size_t cursor = 0, count = 0;

	(void)unused;
	begin(&p);
	for (int i = 0; i < STORE_CERTIFICATES_MAX + 100; i++) {
		c.id.b[3] = (uint8_t)(i >> 8);
		c.id.b[4] = (uint8_t)i;
		store_certificate(p.f.store, p.f.now, &c);
	}
	while (store_certificate_next(p.f.store, p.f.now, &cursor, &c))
		count++;
	assert_int_equal(count, STORE_CERTIFICATES_MAX);
	assert_int_equal(store_stats(p.f.store).refused, 100);
	p.f.now.mono += NSEC_HOUR;
	store_tick(p.f.store, p.f.now);
	c.left = NSEC_HOUR;
	store_certificate(p.f.store, p.f.now, &c);
	cursor = 0;
	assert_true(store_certificate_next(p.f.store, p.f.now, &cursor, &c));
	store_free(p.f.store);
}

/* Ranges for datagrams never pass the limit, and together give all. */
static void
strict_ranges_fit(void **unused)
{
	struct fix f = fix_new();
	const struct owner *o = store_owner(f.store, &fix_self);
	char body[300];
	struct buf b;
	uint64_t after = 1, upto;
	size_t pieces = 0;

	(void)unused;
	memset(body, 'x', sizeof body);
	store_baseline_end(f.store, f.now);
	for (int i = 0; i < 50; i++) {
		char key = (char)('A' + i);

		store_put(f.store, f.now, &fix_self, 200, str_mem(&key, 1),
		    str_mem(body, (size_t)(i * 37 % 300)), NULL);
	}
	for (; after < owner_digest(o).number; after = upto, pieces++) {
		buf_init(&b, 800);
		upto = delta_range_within(o, after, 700, &b);
		assert_true(upto > after && b.n <= 700 && b.n > 0);
		buf_done(&b);
	}
	assert_in_range(pieces, 10, 20);
	buf_init(&b, 800);
	assert_int_equal(delta_range_within(o, 0, 700, &b), 0); /* a whole state is never cut */
	assert_int_equal(b.n, 0);
	assert_int_equal(delta_range_within(o, 1, 110, &b), 2);
	assert_int_equal(delta_range_within(o, 8, 110 + b.n, &b), 8); /* one record is too large */
	buf_done(&b);
	store_free(f.store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_moves_the_number_over_what_was_overwritten),
		cmocka_unit_test(a_run_over_a_gap_is_used_and_the_gap_asked_for),
		cmocka_unit_test(a_run_of_another_epoch_asks_for_the_whole),
		cmocka_unit_test(an_equal_counter_with_another_nonce_is_another_baseline),
		cmocka_unit_test(news_say_what_was_given_before),
		cmocka_unit_test(news_begin_above_the_floor),
		cmocka_unit_test(a_new_epoch_keeps_the_records_and_tells_its_baseline),
		cmocka_unit_test(a_certificate_keeps_away_and_ends),
		cmocka_unit_test(our_own_certificate_is_told),
		cmocka_unit_test(a_certified_member_shows_and_is_not_told_of),
		cmocka_unit_test(a_certificate_covers_what_was_heard_of),
		cmocka_unit_test(certificates_are_bounded),
		cmocka_unit_test(strict_ranges_fit),
	};

	return cmocka_run_group_tests_name("store for spreading", tests, NULL, NULL);
}

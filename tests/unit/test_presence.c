/* Whose services are shown: told as a story of words about members a, b, c … and of what the store
 * hears. Each change is a line "seconds id state"; the same moment may have several. */
#include "agent/pool/presence.h"

#include "base/rng.h"
#include "kv/delta.h"
#include "tests/unit/store_fixture.h"

#define SUSPICION (5 * NSEC_SEC)
#define CERTIFICATE (144 * NSEC_HOUR)

struct tale {
	struct presence *p;
	nsec now;
	char told[4096];
	size_t n;
	nsec certificate_until;
	const char *why;
};

static const struct presence_config tale_config = {
	.self = { { 's' } },
	.suspicion = SUSPICION,
	.certificate = CERTIFICATE,
};

static struct tale
tale_new(const struct presence_config *config)
{
	struct tale t = { .now = 1000 * NSEC_SEC };

	t.p = presence_new(config != NULL ? config : &tale_config, t.now);
	return t;
}

static struct uuid
tale_id(char name)
{
	return (struct uuid){ { (uint8_t)name } };
}

/* Writes down what the store is told now. */
static void
tale_drain(struct tale *t)
{
	static const char *const states[] = {
		[STORE_MEMBER_ALIVE] = "alive",
		[STORE_MEMBER_FAILED] = "failed",
		[STORE_MEMBER_GONE] = "gone",
		[STORE_MEMBER_KEPT] = "kept",
	};
	struct presence_show show;

	while (presence_next(t->p, &show)) {
		int n = snprintf(t->told + t->n, sizeof t->told - t->n, "%g %c %s\n",
		    (double)t->now / (double)NSEC_SEC - 1000, show.id.b[0], states[show.state]);

		assert_true(n > 0 && t->n + (size_t)n < sizeof t->told);
		t->n += (size_t)n;
		t->certificate_until = show.certificate_until;
		t->why = show.why;
		assert_non_null(show.why);
	}
}

/* Lets time pass, ticking at each deadline and nowhere else. */
static void
tale_at(struct tale *t, double seconds)
{
	nsec end = (nsec)((seconds + 1000) * (double)NSEC_SEC), at;

	while ((at = presence_deadline(t->p)) <= end) {
		t->now = at > t->now ? at : t->now;
		presence_tick(t->p, t->now);
		tale_drain(t);
		assert_true(presence_deadline(t->p) > t->now);
	}
	t->now = end;
}

/* One word about each of the names. */
static void
tale_word(struct tale *t, const char *names, enum presence_word word)
{
	for (; *names != '\0'; names++) {
		struct uuid id = tale_id(*names);

		presence_member(t->p, t->now, &id, word);
		tale_drain(t);
	}
}

static void
tale_restarts(struct tale *t, char name, nsec grace)
{
	struct uuid id = tale_id(name);

	presence_restarts(t->p, t->now, &id, grace);
	tale_drain(t);
}

#define tale_told(t, want)                            \
	do {                                          \
		assert_string_equal((t)->told, want); \
		(t)->n = 0;                           \
		(t)->told[0] = '\0';                  \
	} while (0)

/* The same with members that have been there for long. */
static struct tale
tale_of(const struct presence_config *config, const char *names)
{
	struct tale t = tale_new(config);

	t.now -= 100 * NSEC_SEC;
	tale_word(&t, names, PRESENCE_ALIVE);
	t.now += 100 * NSEC_SEC;
	t.n = 0;
	t.told[0] = '\0';
	return t;
}

static void
life_and_death_show_at_once(void **unused)
{
	struct tale t = tale_new(NULL);

	(void)unused;
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_told(&t, "0 a alive\n");
	tale_at(&t, 10);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "10 a failed\n");
	assert_true(presence_deadline(t.p) == NSEC_NEVER);
	tale_at(&t, 11);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_told(&t, "11 a alive\n");
	tale_word(&t, "a", PRESENCE_LEFT);
	tale_told(&t, "11 a gone\n");
	assert_true(t.certificate_until == t.now + CERTIFICATE);
	assert_string_equal(t.why, "left");
	assert_int_equal(presence_stats(t.p).members, 0);
	presence_free(t.p);
}

static void
words_about_us_say_nothing(void **unused)
{
	struct tale t = tale_new(NULL);

	(void)unused;
	tale_word(&t, "s", PRESENCE_FAILED);
	tale_word(&t, "s", PRESENCE_LEFT);
	tale_told(&t, "");
	presence_free(t.p);
}

static void
words_may_come_in_any_order(void **unused)
{
	struct tale t = tale_new(NULL);

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC); /* nobody knows it */
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_word(&t, "b", PRESENCE_LEFT);
	tale_word(&t, "b", PRESENCE_REAPED);
	tale_word(&t, "a", PRESENCE_REAPED);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_told(&t, "0 a failed\n0 b gone\n0 b gone\n0 a gone\n0 a alive\n");
	presence_free(t.p);
}

static void
what_was_not_fetched_yet_keeps_its_order(void **unused)
{
	struct tale t = tale_new(NULL);
	struct uuid a = tale_id('a'), b = tale_id('b');

	(void)unused;
	presence_member(t.p, t.now, &a, PRESENCE_ALIVE);
	presence_member(t.p, t.now, &b, PRESENCE_ALIVE);
	presence_member(t.p, t.now, &a, PRESENCE_LEFT);
	presence_member(t.p, t.now, &a, PRESENCE_ALIVE);
	presence_member(t.p, t.now, &b, PRESENCE_FAILED);
	tale_drain(&t);
	tale_told(&t, "0 a gone\n0 b failed\n0 a alive\n");
	presence_member(t.p, t.now, &a, PRESENCE_LEFT); /* never fetched: freed all the same */
	presence_free(t.p);
}

static void
an_announced_restart_hides_nothing(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_at(&t, 3);
	tale_word(&t, "a", PRESENCE_FAILED);
	assert_int_equal(presence_stats(t.p).kept, 1);
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 100);
	tale_told(&t, "");
	assert_int_equal(presence_stats(t.p).restarts, 1);
	assert_int_equal(presence_stats(t.p).kept, 0);
	presence_free(t.p);
}

static void
a_restart_that_does_not_end_hides_after_its_grace(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_at(&t, 3);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 40);
	tale_told(&t, "30 a failed\n");
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 41);
	tale_word(&t, "a", PRESENCE_FAILED); /* the grace is used up */
	tale_told(&t, "40 a alive\n41 a failed\n");
	presence_free(t.p);
}

static void
who_announced_a_restart_has_not_left(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_at(&t, 3);
	tale_word(&t, "aa", PRESENCE_LEFT); /* of its former life, and late */
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_told(&t, "");
	tale_word(&t, "a", PRESENCE_LEFT); /* back, and leaves in good order */
	tale_told(&t, "20 a gone\n");
	tale_restarts(&t, 'b', 30 * NSEC_SEC);
	tale_word(&t, "b", PRESENCE_LEFT);
	tale_restarts(&t, 'c', 30 * NSEC_SEC);
	tale_word(&t, "c", PRESENCE_FAILED);
	tale_word(&t, "c", PRESENCE_LEFT);
	tale_word(&t, "d", PRESENCE_FAILED);
	tale_restarts(&t, 'd', 30 * NSEC_SEC);
	tale_word(&t, "d", PRESENCE_LEFT);
	tale_word(&t, "d", PRESENCE_REAPED); /* pruned */
	tale_told(&t, "20 d failed\n20 d alive\n20 d gone\n");
	tale_at(&t, 40);
	t.now += 60 * NSEC_SEC; /* we stood still, and the first word after it is of life */
	tale_word(&t, "b", PRESENCE_ALIVE);
	tale_told(&t, "100 b gone\n100 c gone\n100 b alive\n");
	assert_int_equal(presence_stats(t.p).members, 1);
	presence_free(t.p);
}

/* It came back and stops again before we have seen that it was back. */
static void
a_second_restart_may_come_before_the_end_of_the_first_is_seen(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");
	struct uuid b = tale_id('b');

	(void)unused;
	for (const char *name = "ab"; *name != '\0'; name++) {
		tale_restarts(&t, *name, 30 * NSEC_SEC);
		tale_at(&t, name[0] == 'a' ? 3 : 103);
		tale_word(&t, (char[]){ *name, '\0' }, PRESENCE_FAILED);
		tale_at(&t, name[0] == 'a' ? 10 : 110);
		tale_restarts(&t, *name, 30 * NSEC_SEC);
		tale_at(&t, name[0] == 'a' ? 12 : 112);
		tale_word(&t, (char[]){ *name, '\0' }, PRESENCE_ALIVE);
		if (*name == 'b')
			presence_returned(t.p, &b); /* a life after that */
		tale_at(&t, name[0] == 'a' ? 13 : 113);
		tale_word(&t, (char[]){ *name, '\0' }, PRESENCE_FAILED);
		tale_at(&t, name[0] == 'a' ? 100 : 200);
	}
	tale_told(&t, "40 a failed\n113 b failed\n");
	presence_free(t.p);
}

static void
a_grace_is_used_up_by_coming_back(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_at(&t, 3);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 5);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 10);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "10 a failed\n");
	presence_free(t.p);
}

static void
an_announcement_may_come_after_the_failure(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 1);
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_told(&t, "0 a failed\n1 a alive\n");
	tale_at(&t, 40);
	tale_told(&t, "30 a failed\n");
	tale_restarts(&t, 'a', 30 * NSEC_SEC); /* said again, long after */
	tale_told(&t, "");
	presence_free(t.p);
}

static void
a_grace_has_a_longest(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 48 * NSEC_HOUR);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_restarts(&t, 'b', INT64_MAX);
	tale_word(&t, "b", PRESENCE_FAILED);
	tale_at(&t, 3600);
	tale_told(&t, "600 a failed\n600 b failed\n");
	presence_free(t.p);
}

static void
losing_more_than_half_at_once_is_our_own_fault(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 2);
	tale_word(&t, "b", PRESENCE_FAILED);
	assert_false(presence_cut_off(t.p));
	tale_at(&t, 4);
	tale_word(&t, "c", PRESENCE_FAILED);
	assert_true(presence_cut_off(t.p));
	tale_at(&t, 30);
	tale_word(&t, "d", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n2 b failed\n4 a kept\n4 b kept\n4 c kept\n30 d kept\n");
	assert_int_equal(presence_stats(t.p).kept, 4);
	assert_int_equal(presence_stats(t.p).cut_offs, 1);
	tale_at(&t, 100); /* contact: two of four */
	tale_word(&t, "ad", PRESENCE_ALIVE);
	tale_told(&t, "100 a alive\n100 d alive\n");
	tale_at(&t, 200);
	tale_told(&t, "105 b failed\n105 c failed\n");
	assert_false(presence_cut_off(t.p));
	assert_true(presence_deadline(t.p) == NSEC_NEVER);
	presence_free(t.p);
}

static void
presuming_to_be_cut_off_ends_by_itself(void **unused)
{
	struct tale t = tale_of(NULL, "abc");

	(void)unused;
	tale_word(&t, "abc", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n0 b failed\n0 a kept\n0 b kept\n0 c kept\n");
	tale_at(&t, 1000);
	tale_told(&t, "600 a failed\n600 b failed\n600 c failed\n");
	presence_free(t.p);
}

static void
half_is_not_more_than_half(void **unused)
{
	struct tale t = tale_of(NULL, "abc");

	(void)unused;
	tale_word(&t, "ab", PRESENCE_FAILED); /* we and c are left: two of four */
	tale_told(&t, "0 a failed\n0 b failed\n");
	presence_free(t.p);
}

static void
one_of_two_is_simply_dead(void **unused)
{
	struct tale t = tale_of(NULL, "a");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n");
	presence_free(t.p);
}

static void
losing_them_slowly_is_no_cut(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 3);
	tale_word(&t, "b", PRESENCE_FAILED);
	tale_at(&t, 6);
	tale_word(&t, "c", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n3 b failed\n6 c failed\n");
	presence_free(t.p);
}

static void
announced_restarts_are_no_loss_of_contact(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_restarts(&t, 'a', 30 * NSEC_SEC);
	tale_restarts(&t, 'b', 30 * NSEC_SEC);
	tale_word(&t, "abc", PRESENCE_FAILED);
	assert_false(presence_cut_off(t.p));
	tale_told(&t, "0 c failed\n");
	presence_free(t.p);
}

static void
contact_that_is_lost_again_was_none(void **unused)
{
	struct tale t = tale_of(NULL, "ab");

	(void)unused;
	tale_word(&t, "ab", PRESENCE_FAILED);
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 22);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n0 a kept\n0 b kept\n20 a alive\n22 a kept\n");
	tale_at(&t, 500);
	tale_told(&t, "");
	tale_word(&t, "ab", PRESENCE_ALIVE);
	tale_at(&t, 599);
	assert_false(presence_cut_off(t.p));
	tale_told(&t, "500 a alive\n500 b alive\n");
	presence_free(t.p);
}

static void
who_is_cut_off_still_hears_of_leaves(void **unused)
{
	struct tale t = tale_of(NULL, "ab");

	(void)unused;
	tale_word(&t, "ab", PRESENCE_FAILED);
	tale_word(&t, "ab", PRESENCE_REAPED);
	tale_told(&t, "0 a failed\n0 a kept\n0 b kept\n0 a gone\n0 b gone\n");
	assert_false(presence_cut_off(t.p));
	presence_free(t.p);
}

static void
what_was_never_seen_alive_is_not_lost(void **unused)
{
	struct tale t = tale_of(NULL, "a");

	(void)unused;
	tale_word(&t, "xyz", PRESENCE_FAILED);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "0 x failed\n0 y failed\n0 z failed\n0 a failed\n");
	presence_free(t.p);
}

static void
tale_refused(struct tale *t, char name)
{
	struct uuid id = tale_id(name);

	presence_refused(t->p, t->now, &id);
	tale_drain(t);
}

static void
who_is_refused_is_dead_and_no_sign_of_a_cut(void **unused)
{
	struct tale t = tale_of(NULL, "ab");

	(void)unused;
	tale_refused(&t, 'a');
	tale_refused(&t, 'x');                /* nobody knows it */
	tale_word(&t, "ab", PRESENCE_FAILED); /* b alone is not enough */
	tale_told(&t, "0 a failed\n0 b failed\n");
	assert_false(presence_cut_off(t.p));
	presence_free(t.p);
}

static void
a_refusal_ends_being_cut_off(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	tale_word(&t, "bcd", PRESENCE_FAILED);
	tale_told(&t, "0 b failed\n0 c failed\n0 b kept\n0 c kept\n0 d kept\n");
	tale_at(&t, 10);
	tale_refused(&t, 'c');
	tale_refused(&t, 'a');
	tale_word(&t, "a", PRESENCE_FAILED); /* dead, whatever else is */
	tale_at(&t, 100);
	tale_told(&t, "10 c failed\n10 a failed\n15 b failed\n15 d failed\n");
	presence_free(t.p);
}

static void
a_refusal_of_its_last_life_does_not_count(void **unused)
{
	struct tale t = tale_of(NULL, "ab");

	(void)unused;
	tale_refused(&t, 'a');
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_word(&t, "ab", PRESENCE_FAILED);
	assert_true(presence_cut_off(t.p));
	presence_free(t.p);
}

static void
silence_is_being_cut_off_from_the_first_failure_on(void **unused)
{
	struct tale t = tale_of(NULL, "abcdefgh");

	(void)unused;
	presence_heard(t.p, t.now);
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 28);
	tale_word(&t, "b", PRESENCE_FAILED);
	tale_told(&t, "20 a kept\n28 b kept\n");
	tale_at(&t, 60);
	presence_heard(t.p, t.now);
	tale_at(&t, 61);
	presence_heard(t.p, t.now);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "61 a alive\n61 a kept\n");
	tale_at(&t, 100);
	tale_told(&t, "65 a failed\n65 b failed\n");
	presence_heard(t.p, t.now);
	tale_word(&t, "c", PRESENCE_FAILED); /* others are heard: it is dead */
	tale_told(&t, "100 c failed\n");
	presence_free(t.p);
}

static void
being_cut_off_ends_when_all_are_back(void **unused)
{
	struct tale t = tale_of(NULL, "ab");

	(void)unused;
	tale_word(&t, "ab", PRESENCE_FAILED);
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_ALIVE);
	assert_true(presence_cut_off(t.p));
	tale_word(&t, "b", PRESENCE_ALIVE);
	assert_false(presence_cut_off(t.p));
	assert_true(presence_deadline(t.p) == NSEC_NEVER);
	presence_free(t.p);
}

static void
the_silence_of_the_only_other_says_nothing(void **unused)
{
	struct tale t = tale_of(NULL, "a");

	(void)unused;
	presence_heard(t.p, t.now);
	tale_at(&t, 20);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "20 a failed\n");
	presence_free(t.p);
}

static void
silence_says_nothing_of_who_is_refused_or_was_never_there(void **unused)
{
	struct tale t = tale_of(NULL, "abc");

	(void)unused;
	presence_heard(t.p, t.now);
	tale_at(&t, 20);
	tale_word(&t, "x", PRESENCE_FAILED);
	tale_refused(&t, 'a');
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "20 x failed\n20 a failed\n");
	assert_false(presence_cut_off(t.p));
	presence_free(t.p);
}

static void
a_third_flap_within_a_minute_waits(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	for (int i = 0; i < 3; i++) {
		tale_at(&t, 10 + 15 * i);
		tale_word(&t, "a", PRESENCE_FAILED);
		tale_at(&t, 12 + 15 * i);
		if (i < 2)
			tale_word(&t, "a", PRESENCE_ALIVE);
	}
	tale_told(&t, "10 a failed\n12 a alive\n25 a failed\n27 a alive\n40 a kept\n");
	tale_at(&t, 65);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 66);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 300);
	tale_told(&t, "65 a alive\n66 a kept\n70 a failed\n");
	assert_int_equal(presence_stats(t.p).damped, 2);
	presence_free(t.p);
}

static void
how_many_flaps_are_fine_is_set(void **unused)
{
	struct tale t = tale_of(NULL, "abcd");

	(void)unused;
	presence_configure(t.p, 0, 1);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 1);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 2);
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 100);
	tale_told(&t, "0 a failed\n1 a alive\n2 a kept\n60 a failed\n");
	presence_free(t.p);
}

/* The agent of this name has a node and one instance of "web", as its own store says. */
static void
share_put(struct fix *f, char name)
{
	char id_text[UUID_TEXT_LEN + 1], node_name[] = { name, '\0' };
	struct uuid id = tale_id(name);
	struct store_config config = { .self = id,
		.cluster = fix_cluster,
		.epoch = { 1, 5 },
		.limits = owner_limits_default };
	struct node_info node = { .id = str_of(uuid_format(&id, id_text)),
		.name = str_of(node_name),
		.address = STR("10.0.0.1") };
	struct service_info web = { .id = STR("web-1"), .name = STR("web") };
	struct store *s = store_new(&config, f->now);
	struct store_needs needs;
	struct buf b;

	buf_init(&b, 65536);
	store_put_node(s, f->now, &id, &node, NULL);
	store_put_service(s, f->now, &id, &web, NULL);
	store_baseline_end(s, f->now);
	delta_range(store_owner(s, &id), 0, 65536, &b);
	store_member(f->store, f->now, &id, STORE_MEMBER_ALIVE, 0);
	assert_int_equal(store_range(f->store, f->now, buf_str(&b), &needs, NULL), 0);
	buf_done(&b);
	store_free(s);
}

static struct tale
share_tale(struct fix *f, unsigned share, const char *names)
{
	struct presence_config config = tale_config;

	for (const char *at = names; *at != '\0'; at++)
		share_put(f, *at);
	assert_int_equal(catalog_name_find(f->catalog, STR("web"))->count, strlen(names));
	config.store = f->store;
	config.hold_share = share;
	config.hold_max = 2 * NSEC_MIN;
	return tale_of(&config, names);
}

static void
hiding_holds_back_for_a_services_sake(void **unused)
{
	struct fix f = fix_new();
	struct tale t = share_tale(&f, 40, "abcde");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 20);
	tale_word(&t, "b", PRESENCE_FAILED);
	tale_at(&t, 40);
	tale_word(&t, "c", PRESENCE_FAILED); /* would be three of five */
	tale_told(&t, "0 a failed\n20 b failed\n40 c kept\n");
	assert_int_equal(presence_stats(t.p).held, 1);
	tale_at(&t, 50);
	tale_word(&t, "a", PRESENCE_ALIVE);
	tale_at(&t, 60); /* two of five is fine, and noticed within a second */
	tale_told(&t, "50 a alive\n51 c failed\n");
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_at(&t, 400); /* until c has been hidden for so long that it counts no more */
	tale_told(&t, "60 a kept\n171 a failed\n");
	assert_int_equal(presence_stats(t.p).held, 2);
	presence_free(t.p);
	store_free(f.store);
}

static void
what_one_node_takes_away_is_never_held_back(void **unused)
{
	struct fix f = fix_new();
	struct tale t = share_tale(&f, 10, "ab");

	(void)unused;
	tale_word(&t, "a", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n");
	presence_free(t.p);
	store_free(f.store);
}

static void
without_the_option_nothing_is_held_back(void **unused)
{
	struct fix f = fix_new();
	struct tale t = share_tale(&f, 0, "abcdef");

	(void)unused;
	tale_word(&t, "abc", PRESENCE_FAILED);
	tale_told(&t, "0 a failed\n0 b failed\n0 c failed\n");
	presence_free(t.p);
	store_free(f.store);
}

static void
members_have_a_limit(void **unused)
{
	struct tale t = tale_new(NULL);
	struct presence_show show;

	(void)unused;
	for (uint32_t i = 0; i < PRESENCE_MEMBERS_MAX + 3; i++) {
		struct uuid id = { { 0 } };

		memcpy(id.b + 4, &i, sizeof i);
		presence_member(t.p, t.now, &id, PRESENCE_ALIVE);
		assert_int_equal(presence_next(t.p, &show), i < PRESENCE_MEMBERS_MAX);
	}
	assert_int_equal(presence_stats(t.p).members, PRESENCE_MEMBERS_MAX);
	assert_int_equal(presence_stats(t.p).refused, 3);
	presence_free(t.p);
}

/* Random words about a few members, with and without silence: a sign of life is shown at once, what
 * left is gone, no timer spins, and every wait ends. */
#define RUN_MEMBERS 6

struct run {
	uint64_t seed;
	struct presence *p;
	struct rng rng;
	nsec now;
	enum { RUN_NONE, RUN_ALIVE, RUN_FAILED, RUN_LEFT } word[RUN_MEMBERS]; /* the last */
	enum store_member_state told[RUN_MEMBERS];
	nsec grace_until[RUN_MEMBERS]; /* no grace is longer */
};

#define run_holds(r, condition)                                                    \
	do {                                                                       \
		if (!(condition))                                                  \
			print_error("seed %llu\n", (unsigned long long)(r)->seed); \
		assert_true(condition);                                            \
	} while (0)

static void
run_word(struct run *r, uint32_t i)
{
	struct uuid id = tale_id((char)('a' + i));
	uint32_t what = rng_below(&r->rng, 20);

	if (what < 8) {
		presence_member(r->p, r->now, &id, PRESENCE_ALIVE);
		r->word[i] = RUN_ALIVE;
	} else if (what < 15) {
		presence_member(r->p, r->now, &id, PRESENCE_FAILED);
		r->word[i] = RUN_FAILED;
	} else if (what == 15) {
		presence_member(r->p, r->now, &id, PRESENCE_LEFT);
		r->word[i] = RUN_LEFT;
	} else if (what == 16) {
		presence_restarts(r->p, r->now, &id, rng_below(&r->rng, 60) * NSEC_SEC);
		r->grace_until[i] = r->now + 60 * NSEC_SEC;
	} else if (what == 17) {
		presence_refused(r->p, r->now, &id);
	} else if (what == 18) {
		presence_heard(r->p, r->now);
	} else {
		presence_configure(r->p, rng_below(&r->rng, 101), rng_below(&r->rng, 12));
	}
}

static void
run_told(struct run *r)
{
	struct presence_show show;

	while (presence_next(r->p, &show))
		r->told[show.id.b[0] - 'a'] = show.state;
	for (int m = 0; m < RUN_MEMBERS; m++) {
		run_holds(r, r->word[m] != RUN_ALIVE || r->told[m] == STORE_MEMBER_ALIVE);
		run_holds(r, r->word[m] != RUN_LEFT || r->told[m] == STORE_MEMBER_GONE ||
				 r->grace_until[m] > r->now);
	}
}

static void
run_until(struct run *r, nsec until)
{
	nsec at;

	run_told(r);
	while ((at = presence_deadline(r->p)) <= until) {
		run_holds(r, at > r->now);
		r->now = at;
		presence_tick(r->p, r->now);
		run_told(r);
	}
	r->now = until;
}

static void
run_one(uint64_t seed)
{
	struct run r = { .seed = seed, .now = 1000 * NSEC_SEC };
	struct presence_config config = tale_config;
	struct fix f = fix_new();

	rng_init(&r.rng, seed);
	config.store = f.store;
	for (char name = 'a'; name < 'a' + RUN_MEMBERS; name++)
		share_put(&f, name);
	config.hold_share = rng_below(&r.rng, 2) * 50;
	r.p = presence_new(&config, r.now);
	for (int step = 0; step < 400; step++) {
		bool soon = rng_below(&r.rng, 3) > 0;

		run_word(&r, rng_below(&r.rng, RUN_MEMBERS));
		run_until(&r, r.now + rng_below(&r.rng, 40) * (soon ? 25 * NSEC_MS : NSEC_SEC));
	}
	run_until(&r, r.now + NSEC_HOUR); /* nothing more is said */
	for (int m = 0; m < RUN_MEMBERS; m++)
		run_holds(&r, r.word[m] != RUN_FAILED || r.told[m] == STORE_MEMBER_FAILED);
	run_holds(&r, !presence_cut_off(r.p));
	run_holds(&r, presence_deadline(r.p) == NSEC_NEVER);
	run_holds(&r, presence_stats(r.p).kept == 0);
	presence_free(r.p);
	store_free(f.store);
}

static void
whatever_is_said_life_shows_at_once_and_waits_end(void **unused)
{
	(void)unused;
	for (uint64_t seed = 1; seed <= 300; seed++)
		run_one(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life_and_death_show_at_once),
		cmocka_unit_test(words_about_us_say_nothing),
		cmocka_unit_test(words_may_come_in_any_order),
		cmocka_unit_test(what_was_not_fetched_yet_keeps_its_order),
		cmocka_unit_test(an_announced_restart_hides_nothing),
		cmocka_unit_test(a_restart_that_does_not_end_hides_after_its_grace),
		cmocka_unit_test(who_announced_a_restart_has_not_left),
		cmocka_unit_test(a_second_restart_may_come_before_the_end_of_the_first_is_seen),
		cmocka_unit_test(a_grace_is_used_up_by_coming_back),
		cmocka_unit_test(an_announcement_may_come_after_the_failure),
		cmocka_unit_test(a_grace_has_a_longest),
		cmocka_unit_test(losing_more_than_half_at_once_is_our_own_fault),
		cmocka_unit_test(presuming_to_be_cut_off_ends_by_itself),
		cmocka_unit_test(half_is_not_more_than_half),
		cmocka_unit_test(one_of_two_is_simply_dead),
		cmocka_unit_test(losing_them_slowly_is_no_cut),
		cmocka_unit_test(announced_restarts_are_no_loss_of_contact),
		cmocka_unit_test(contact_that_is_lost_again_was_none),
		cmocka_unit_test(who_is_cut_off_still_hears_of_leaves),
		cmocka_unit_test(what_was_never_seen_alive_is_not_lost),
		cmocka_unit_test(who_is_refused_is_dead_and_no_sign_of_a_cut),
		cmocka_unit_test(a_refusal_ends_being_cut_off),
		cmocka_unit_test(a_refusal_of_its_last_life_does_not_count),
		cmocka_unit_test(silence_is_being_cut_off_from_the_first_failure_on),
		cmocka_unit_test(being_cut_off_ends_when_all_are_back),
		cmocka_unit_test(the_silence_of_the_only_other_says_nothing),
		cmocka_unit_test(silence_says_nothing_of_who_is_refused_or_was_never_there),
		cmocka_unit_test(a_third_flap_within_a_minute_waits),
		cmocka_unit_test(how_many_flaps_are_fine_is_set),
		cmocka_unit_test(hiding_holds_back_for_a_services_sake),
		cmocka_unit_test(what_one_node_takes_away_is_never_held_back),
		cmocka_unit_test(without_the_option_nothing_is_held_back),
		cmocka_unit_test(members_have_a_limit),
		cmocka_unit_test(whatever_is_said_life_shows_at_once_and_waits_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

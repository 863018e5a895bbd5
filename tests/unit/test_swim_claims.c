/* What claims do to the table, one core fed by hand: WIRE rules on alive, suspect, dead, push/pull,
 * leaving.
 */
#include "tests/unit/swim_fixture.h"

/* Alive. */

static void
alive_introduces_and_updates(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_alive b = alive_of("b", 2);

	one_alive(o, "b", 0); /* as memberlist: not above the implicit 0 */
	one_state(o, "b", "unknown");
	one_alive(o, "b", 1);
	one_told(o, "news b joined alive 1\n");
	one_alive(o, "b", 1);
	one_told(o, "");
	b.meta = STR("other tags");
	one_alive_as(o, b);
	one_told(o, "news b still alive 2\n");
	b.incarnation = 1;
	b.meta = STR("old tags");
	one_alive_as(o, b);
	one_told(o, "");
	one_alive(o, "b", 3); /* the first tags again: a change */
	one_told(o, "news b still alive 3\n");
	one_alive(o, "b", 4); /* nothing but the incarnation */
	one_told(o, "");
	one_state(o, "b", "alive 4");
	one_free(o);
}

static void
alive_that_makes_no_sense_is_dropped(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_alive b = alive_of("b", 1);

	b.vsn.pmin = 0;
	one_alive_as(o, b);
	b.vsn = wire_vsn_ours;
	b.vsn.pmax = 0;
	one_alive_as(o, b);
	b.vsn = wire_vsn_ours;
	b.vsn.pmin = 6;
	one_alive_as(o, b);
	b = alive_of("b", 1);
	b.addr.port = 0;
	one_alive_as(o, b);
	b = alive_of("", 1);
	one_alive_as(o, b);
	one_told(o, "");
	assert_int_equal(swim_count(o->swim), 1);
	assert_int_equal(swim_stats(o->swim).dropped, 5);
	one_free(o);
}

static void
name_at_two_addresses_is_a_conflict(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_alive b = alive_of("b", 9);
	struct swim_member m;

	one_alive(o, "b", 1);
	one_hush(o);
	b.addr = at_host(77);
	one_alive_as(o, b);
	one_told(o, "conflict about b, also at 77\n");
	one_alive_as(o, b);
	one_told(o, ""); /* said a moment ago */
	one_state(o, "b", "alive 1");
	one_pass(o, 2 * NSEC_SEC);
	one_alive_as(o, b);
	one_told(o, "conflict about b, also at 77\n");
	assert_true(swim_member_find(o->swim, STR("b"), &m));
	assert_true(m.addr.bytes[3] == 'b');
	one_free(o);
}

static void
names_of_the_gone_are_taken_with_a_higher_incarnation(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_alive b = alive_of("b", 5);

	b.addr = at_host(77);
	one_alive(o, "b", 5);
	one_dead(o, "b", 5, "b");
	one_pass(o, 2 * NSEC_SEC);
	one_hush(o);
	one_alive_as(o, b); /* old gossip, or a fresh process: it is told, and will refute */
	one_told(o, "77: dead b 5 by b\n");
	one_state(o, "b", "left 5");
	b.incarnation = 6;
	one_alive_as(o, b);
	one_told(o, "news b alive 6\n");
	one_dead(o, "b", 6, "c");
	one_hush(o);
	b.addr = at_host(78);
	b.incarnation = 7;
	one_pass(o, 20 * NSEC_SEC);
	one_alive_as(o, b); /* dead, not left, and for less than dead_reclaim */
	one_told(o, "conflict about b, also at 78\n");
	one_pass(o, 11 * NSEC_SEC);
	one_alive_as(o, b);
	one_told(o, "news b alive 7\n78: push/pull\n");
	one_free(o);
}

static void
the_name_of_whom_we_suspect_ourselves_is_taken(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_alive b = alive_of("b", 6);

	b.addr = at_host(77);
	one_alive(o, "c", 1);
	one_alive(o, "b", 4);
	one_suspect(o, "b", 4, "c");
	one_hush(o);
	one_alive_as(o, b); /* others say so: it may refute */
	one_told(o, "conflict about b, also at 77\n");
	one_suspect(o, "b", 4, "me");
	one_hush(o);
	b.incarnation = 4;
	one_alive_as(o, b); /* old gossip */
	one_state(o, "b", "suspect 4");
	b.incarnation = 6;
	one_alive_as(o, b);
	one_state(o, "b", "alive 6");
	one_free(o);
}

static void
one_node_that_moved_is_taken_over(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_alive b = alive_of("b", 1);
	struct swim_action a;

	one_alive(o, "b", 4);
	one_hush(o);
	b.addr = at_host(77);
	o->quiet = true;
	one_alive_as(o, b);
	/* the upper layer knows that both are one */
	one_pass(o, 2 * NSEC_SEC);
	o->quiet = false;
	{
		uint8_t room[512];
		struct writer w = wr_of(room, sizeof room);
		struct wire_message m = { .type = WIRE_ALIVE };
		struct addr from = at_host(77);

		m.u.alive = b;
		wire_write(&w, &m);
		swim_input(o->swim, o->now, &from, wr_done(&w));
	}
	assert_true(swim_action_next(o->swim, &a));
	assert_int_equal(a.kind, SWIM_CONFLICT);
	assert_str(a.other.meta, "tags");
	swim_take_over(o->swim, o->now, &a.other); /* with what the action points to */
	one_told(o, "77: suspect b 4 by me\n");    /* so that it counts from 5 */
	b.incarnation = 5;
	one_alive_as(o, b);
	one_told(o, "news b still alive 5\n");
	one_free(o);
}

/* Suspect and dead. */

static void
suspicion_needs_a_living_member(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);

	one_suspect(o, "b", 1, "c");
	one_state(o, "b", "unknown");
	one_alive(o, "b", 3);
	one_alive(o, "d", 3);
	one_hush(o);
	one_suspect(o, "b", 2, "c"); /* refuted long ago: who says so is told */
	one_told(o, "200: alive b 3\n");
	one_suspect(o, "b", 2, "c");
	one_told(o, "");             /* a moment ago */
	one_suspect(o, "b", 3, "c"); /* nobody has heard of c: no reason to look */
	one_told(o, "news b suspect 3\n");
	one_dead(o, "d", 3, "c");
	one_hush(o);
	one_suspect(o, "d", 4, "c");
	one_state(o, "d", "dead 3");
	one_free(o);
}

static void
suspect_is_looked_at_and_may_refute(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);

	one_alive(o, "b", 1);
	one_alive(o, "c", 1);
	one_hush(o);
	one_suspect(o, "b", 1, "c");
	one_told(o, "b: ping b, suspect b 1 by me\nnews b suspect 1\n");
	one_alive(o, "b", 1); /* no refutation */
	one_state(o, "b", "suspect 1");
	one_alive(o, "b", 2);
	one_told(o, "news b alive 2\n");
	one_free(o);
}

static void
dead_and_left(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);

	one_dead(o, "b", 1, "c");
	one_state(o, "b", "unknown");
	one_alive(o, "b", 2);
	one_alive(o, "c", 2);
	one_hush(o);
	one_dead(o, "b", 1, "c");
	one_told(o, "200: alive b 2\n");
	one_dead(o, "b", 2, "c");
	one_told(o, "news b dead 2\n");
	one_dead(o, "b", 2, "b"); /* already dead */
	one_told(o, "");
	one_dead(o, "c", 2, "c");
	one_told(o, "news c left 2\n");
	one_free(o);
}

static void
what_is_said_of_us_is_refuted(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_alive me = alive_of("me", 1);

	one_suspect(o, "me", 1, "c");
	one_told(o, "200: alive me 2\n");
	one_dead(o, "me", 5, "c");
	one_told(o, "200: alive me 6\n");
	one_dead(o, "me", 6, "me"); /* we did not say that */
	one_told(o, "200: alive me 7\n");
	one_suspect(o, "me", 3, "c"); /* refuted before */
	one_told(o, "200: alive me 7\n");
	one_alive_as(o, me); /* our last life */
	one_state(o, "me", "alive 7");
	me.incarnation = 7;
	me.meta = STR("my tags");
	one_alive_as(o, me); /* just what we say */
	one_state(o, "me", "alive 7");
	me.meta = STR("others");
	one_alive_as(o, me);
	one_state(o, "me", "alive 8");
	assert_int_equal(swim_stats(o->swim).refutations, 4);
	assert_int_equal(swim_awareness(o->swim), 4);
	one_free(o);
}

/* Push/pull. */

static struct wire_node_state
state_of(const char *name, uint32_t incarnation, enum swim_state state)
{
	return (struct wire_node_state){
		.name = str_of(name),
		.addr = at(name),
		.meta = STR("tags"),
		.vsn_whole = true,
		.addr_ok = true,
		.incarnation = incarnation,
		.state = state,
		.vsn = wire_vsn_ours,
	};
}

static void
merge_suspects_whom_the_other_holds_for_dead(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_node_state states[] = {
		state_of("b", 1, SWIM_DEAD),
		state_of("c", 1, SWIM_LEFT),
		state_of("d", 1, SWIM_SUSPECT),
		state_of("e", 1, SWIM_ALIVE),
		state_of("u", 1, SWIM_DEAD),
		state_of("me", 3, SWIM_DEAD),
		state_of("f", 1, 9),
	};

	one_alive(o, "b", 1);
	one_alive(o, "c", 1);
	one_alive(o, "d", 1);
	one_alive(o, "f", 1);
	one_hush(o);
	assert_int_equal(swim_merge_check(o->swim, states, 7, NULL), 0);
	swim_merge(o->swim, o->now, states, 7);
	one_told(o, "news b suspect 1\n"
		    "news c left 1\n"
		    "news d suspect 1\n"
		    "news e joined alive 1\n");
	one_state(o, "u", "unknown");
	one_state(o, "f", "alive 1");
	one_state(o, "me", "alive 4");
	one_free(o);
}

static void
merge_shows_the_buried_too(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_node_state n;
	size_t cursor = 0, count = 0;

	one_alive(o, "b", 4);
	one_alive(o, "c", 1);
	swim_forget(o->swim, o->now, STR("b"));
	one_state(o, "b", "unknown");
	while (swim_state_next(o->swim, &cursor, &n)) {
		count++;
		if (str_eq(n.name, STR("b"))) {
			assert_int_equal(n.state, SWIM_LEFT);
			assert_int_equal(n.incarnation, 4);
		}
	}
	assert_int_equal(count, 3);
	assert_int_equal(swim_buried(o->swim), 1);
	one_free(o);
}

static void
versions_must_fit_all(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);
	struct wire_node_state b = state_of("b", 1, SWIM_ALIVE), two[2];
	struct err err;

	assert_int_equal(swim_merge_check(o->swim, &b, 1, &err), 0);
	b.vsn = (struct wire_vsn){ 1, 5, 2, 0, 0, 0 }; /* plain memberlist */
	assert_int_equal(swim_merge_check(o->swim, &b, 1, &err), ERR_REFUSED);
	assert_non_null(strstr(err.text, "delegate protocol"));
	b.vsn = (struct wire_vsn){ 3, 5, 3, 2, 5, 4 }; /* we speak 2 */
	assert_int_equal(swim_merge_check(o->swim, &b, 1, &err), ERR_REFUSED);
	b.state = SWIM_DEAD; /* narrows nothing, and speaks what we can */
	assert_int_equal(swim_merge_check(o->swim, &b, 1, &err), 0);
	b.vsn = (struct wire_vsn){ 1, 9, 9, 2, 5, 4 };
	assert_int_equal(swim_merge_check(o->swim, &b, 1, &err), ERR_REFUSED);
	two[0] = state_of("b", 1, SWIM_ALIVE);
	two[1] = state_of("c", 1, SWIM_ALIVE);
	two[1].vsn_whole = false; /* skipped for the range, then counts as 0 */
	assert_int_equal(swim_merge_check(o->swim, two, 2, &err), ERR_REFUSED);
	one_free(o);
}

static void
push_pull_is_rarer_in_larger_pools(void **unused)
{
	(void)unused;
	static const struct {
		unsigned members;
		nsec interval;
	} rows[] = { { 32, 30 }, { 33, 60 }, { 64, 60 }, { 65, 90 }, { 128, 90 }, { 129, 120 } };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct swim_profile p = calm_profile();
		struct one *o;
		nsec count = 0;

		p.pushpull_interval = 30 * NSEC_SEC;
		o = one_new(&p);
		o->quiet = true;
		for (unsigned n = 1; n < rows[i].members; n++) {
			char name[16];
			struct wire_alive a = alive_of("b", 1);

			snprintf(name, sizeof name, "x%u", n);
			a.node = str_of(name);
			a.addr.bytes[2] = (uint8_t)(1 + n / 200);
			a.addr.bytes[3] = (uint8_t)(n % 200);
			one_alive_as(o, a);
		}
		one_pass(o, 600 * NSEC_SEC); /* it takes a while to be regular */
		o->quiet = false;
		one_pass(o, 3600 * NSEC_SEC);
		for (struct str rest = buf_str(&o->told); rest.p != NULL;)
			count += str_ends(str_cut(&rest, '\n'), STR("push/pull"));
		assert_int_equal(count, 3600 / rows[i].interval);
		one_free(o);
	}
}

/* Forgetting and leaving. */

static void
forgotten_comes_back_only_by_itself(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);

	one_alive(o, "b", 4);
	swim_forget(o->swim, o->now, STR("b"));
	swim_forget(o->swim, o->now, STR("b"));
	swim_forget(o->swim, o->now, STR("nobody"));
	swim_forget(o->swim, o->now, STR("me"));
	assert_int_equal(swim_count(o->swim), 1);
	one_pass(o, NSEC_HOUR);
	one_hush(o);
	one_alive(o, "b", 4);
	one_suspect(o, "b", 5, "c");
	one_dead(o, "b", 5, "c");
	one_told(o, "b: dead b 4 by b\n"); /* if it lives it hears that it must count higher */
	one_state(o, "b", "unknown");
	one_alive(o, "b", 5);
	one_told(o, "news b alive 5\n");
	one_free(o);
}

static void
leaving_spreads_and_stays_put(void **unused)
{
	(void)unused;
	struct swim_profile p = calm_profile();
	struct one *o;

	p.gossip_interval = 200 * NSEC_MS;
	o = one_new(&p);
	one_alive(o, "b", 1);
	one_pass(o, NSEC_SEC);
	one_hush(o);
	swim_leave(o->swim, o->now);
	assert_false(swim_leave_done(o->swim));
	one_pass(o, NSEC_SEC);
	one_told(o, "news me left 1\n"
		    "b: dead me 1 by me\n" /* directly, then by gossip */
		    "b: dead me 1 by me\n"
		    "b: dead me 1 by me\n"
		    "b: dead me 1 by me\n"
		    "b: dead me 1 by me\n");
	assert_true(swim_leave_done(o->swim));
	one_dead(o, "me", 1, "b");
	one_alive(o, "me", 9);
	one_suspect(o, "me", 1, "b");
	one_pass(o, NSEC_SEC);
	one_told(o, ""); /* no refutation any more */
	one_state(o, "me", "left 1");
	one_free(o);
}

static void
leaving_alone_is_done_at_once(void **unused)
{
	(void)unused;
	struct one *o = one_new(NULL);

	one_alive(o, "b", 1);
	one_dead(o, "b", 1, "b");
	swim_leave(o->swim, o->now);
	assert_true(swim_leave_done(o->swim));
	one_free(o);
}

static void
new_tags_are_a_new_incarnation(void **unused)
{
	(void)unused;
	struct swim_profile p = calm_profile();
	struct one *o;

	p.gossip_interval = 200 * NSEC_MS;
	o = one_new(&p);
	one_alive(o, "b", 1);
	one_pass(o, 2 * NSEC_SEC);
	one_hush(o);
	swim_meta_set(o->swim, o->now, STR("my tags")); /* the same */
	one_pass(o, 100 * NSEC_MS);
	one_told(o, "");
	swim_meta_set(o->swim, o->now, STR("new"));
	one_pass(o, 1);
	one_told(o, "b: alive me 2\n");
	one_free(o);
}

static void
new_name_is_a_new_member_and_frees_the_old(void **unused)
{
	(void)unused;
	struct swim_profile p = calm_profile();
	struct one *o;
	struct wire_alive me = alive_of("me", 5);
	struct swim_member m;

	p.gossip_interval = 200 * NSEC_MS;
	o = one_new(&p);
	one_alive(o, "b", 1);
	one_alive(o, "me2", 7); /* our former life under that name */
	me.addr = at("c");
	one_alive_as(o, me); /* somebody else claims ours */
	one_pass(o, 2 * NSEC_SEC);
	one_hush(o);
	swim_rename(o->swim, o->now, STR("me2"));
	assert_int_equal(swim_count(o->swim), 2);
	assert_true(swim_member_find(o->swim, STR("me2"), &m));
	assert_int_equal(m.incarnation, 8);
	assert_false(swim_member_find(o->swim, STR("me"), &m));
	one_pass(o, 1);
	one_told(o, "b: alive me2 8\n");
	one_alive_as(o, me);
	assert_true(swim_member_find(o->swim, STR("me"), &m));
	one_free(o);
}

static bool
not_c(void *arg, const struct wire_alive *a)
{
	++*(unsigned *)arg;
	return !str_eq(a->meta, STR("c's tags"));
}

static void
who_is_not_welcome_is_not_taken(void **unused)
{
	(void)unused;
	unsigned asked = 0;
	struct swim_config config = {
		.name = STR("me"),
		.advertise = at("me"),
		.profile = calm_profile(),
		.welcome = not_c,
		.welcome_arg = &asked,
	};
	struct swim *swim = swim_new(&config, 1, EPOCH);
	struct wire_node_state states[] = {
		{ .name = STR("b"),
		    .addr = at("b"),
		    .vsn = wire_vsn_ours,
		    .vsn_whole = true,
		    .addr_ok = true,
		    .incarnation = 1,
		    .meta = STR("b's tags") },
		{ .name = STR("c"),
		    .addr = at("c"),
		    .vsn = wire_vsn_ours,
		    .vsn_whole = true,
		    .addr_ok = true,
		    .incarnation = 1,
		    .meta = STR("c's tags") },
	};

	swim_merge(swim, EPOCH, states, 2);
	assert_int_equal(swim_count(swim), 2);
	assert_int_equal(asked, 2);
	states[0].incarnation = 2;
	swim_merge(swim, EPOCH, states, 1); /* nothing new in it: not asked again */
	assert_int_equal(asked, 2);
	states[0].incarnation = 3;
	states[0].meta = STR("c's tags");
	swim_merge(swim, EPOCH, states, 1);
	assert_int_equal(asked, 3);
	swim_free(swim);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alive_introduces_and_updates),
		cmocka_unit_test(alive_that_makes_no_sense_is_dropped),
		cmocka_unit_test(name_at_two_addresses_is_a_conflict),
		cmocka_unit_test(names_of_the_gone_are_taken_with_a_higher_incarnation),
		cmocka_unit_test(the_name_of_whom_we_suspect_ourselves_is_taken),
		cmocka_unit_test(one_node_that_moved_is_taken_over),
		cmocka_unit_test(suspicion_needs_a_living_member),
		cmocka_unit_test(suspect_is_looked_at_and_may_refute),
		cmocka_unit_test(dead_and_left),
		cmocka_unit_test(what_is_said_of_us_is_refuted),
		cmocka_unit_test(merge_suspects_whom_the_other_holds_for_dead),
		cmocka_unit_test(merge_shows_the_buried_too),
		cmocka_unit_test(versions_must_fit_all),
		cmocka_unit_test(push_pull_is_rarer_in_larger_pools),
		cmocka_unit_test(forgotten_comes_back_only_by_itself),
		cmocka_unit_test(leaving_spreads_and_stays_put),
		cmocka_unit_test(leaving_alone_is_done_at_once),
		cmocka_unit_test(new_tags_are_a_new_incarnation),
		cmocka_unit_test(new_name_is_a_new_member_and_frees_the_old),
		cmocka_unit_test(who_is_not_welcome_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* User events as stories of a few agents. */
#include <stdlib.h>

#include "tests/unit/serf_net.h"

static struct net *net;

static int
three(void **unused)
{
	(void)unused;
	net = net_new();
	for (unsigned i = A; i <= C; i++)
		net_start(net, i, "node");
	net_join(net, B, A);
	net_join(net, C, B);
	net_forget_story(net);
	return 0;
}

static int
done(void **unused)
{
	(void)unused;
	net_free(net);
	return 0;
}

static void
fire(unsigned node, struct str name, struct str payload)
{
	assert_int_equal(
	    serf_event_fire(net->nodes[node].serf, net->now, name, payload, false, NULL), 0);
	net_drain(net, node);
}

static void
an_event_is_delivered_once_everywhere(void **unused)
{
	(void)unused;
	fire(A, STR("deploy"), STR("v1"));
	net_run(net, NSEC_SEC);
	net_story(net, "a: event deploy v1\nb: event deploy v1\nc: event deploy v1\n");
	fire(B, STR("deploy"), STR("v1")); /* the same again is another, by its time */
	net_run(net, NSEC_SEC);
	net_story(net, "b: event deploy v1\na: event deploy v1\nc: event deploy v1\n");
	assert_int_equal(serf_clocks(net->nodes[C].serf).event, 3);
	for (unsigned i = A; i <= C; i++)
		net_push_pull(net, i, (i + 1) % 3, false);
	net_story(net, "");
}

static void
one_time_holds_several_events(void **unused)
{
	struct serf_message m = { .type = SERF_USER_EVENT,
		.u.event = { .ltime = 7, .name = STR("one"), .payload = STR("x") } };

	(void)unused;
	net_give(net, A, &m);
	m.u.event.name = STR("two");
	net_give(net, A, &m);
	net_give(net, A, &m);
	net_run(net, NSEC_SEC);
	net_story(net, "a: event one x\na: event two x\n"
		       "b: event one x\nc: event one x\nb: event two x\nc: event two x\n");
}

static void
who_missed_an_event_gets_it_by_push_pull(void **unused)
{
	(void)unused;
	net->cut[A][C] = net->cut[B][C] = true;
	fire(A, STR("deploy"), STR("v1"));
	net_run(net, NSEC_SEC);
	net_forget_story(net);
	net_push_pull(net, C, B, false);
	net_story(net, "c: event deploy v1\n");
}

static void
who_joins_is_spared_the_past(void **unused)
{
	(void)unused;
	fire(A, STR("deploy"), STR("v1"));
	net_run(net, NSEC_SEC);
	net_start(net, D, "node");
	net_forget_story(net);
	net_join(net, D, A);
	net_push_pull(net, B, D, false);
	net_story(net, "a: member-join d\nd: member-join a\nb: member-join d\nd: member-join b\n"
		       "c: member-join d\nd: member-join c\n");
	fire(A, STR("deploy"), STR("v2"));
	net_run(net, NSEC_SEC);
	net_story(net,
	    "a: event deploy v2\nb: event deploy v2\nc: event deploy v2\nd: event deploy v2\n");
}

/* A life that knows its clocks neither delivers again what the last one did nor repeats times. */
static void
clocks_survive_a_restart(void **unused)
{
	struct serf_config config = { .name = STR("x"), .advertise = { .family = ADDR_V4 } };
	struct serf_clocks clocks;
	struct serf_action a;
	struct addr from = { .family = ADDR_V4 };
	struct serf *s;
	struct buf out;
	size_t events = 0;

	(void)unused;
	fire(A, STR("deploy"), STR("v1"));
	clocks = serf_clocks(net->nodes[A].serf);
	buf_init(&out, 1024 * 1024);
	serf_state_write(net->nodes[A].serf, STR_NONE, &out);
	config.clocks = clocks;
	config.replay = true;
	s = serf_new(&config, 1, net->now);
	assert_int_equal(serf_state_merge(s, net->now, &from, true, buf_str(&out), NULL), 0);
	while (serf_action_next(s, &a))
		events += a.kind == SERF_TELL_EVENT;
	assert_int_equal(events, 0);
	assert_true(serf_clocks(s).event >= clocks.event);
	serf_free(s);
	buf_done(&out);
}

static void
old_events_are_dropped(void **unused)
{
	struct serf_message m = { .type = SERF_USER_EVENT,
		.u.event = { .ltime = 1000, .name = STR("new"), .payload = STR("") } };

	(void)unused;
	net_give(net, A, &m);
	m.u.event.ltime = 489;
	m.u.event.name = STR("edge");
	net_give(net, A, &m);
	m.u.event.ltime = 488;
	m.u.event.name = STR("old");
	net_give(net, A, &m);
	net_story(net, "a: event new \na: event edge \n");
	assert_int_equal(serf_stats(net->nodes[A].serf).stale, 1);
	m.u.event.ltime = UINT64_MAX;
	net_give(net, A, &m);
	net_story(net, "");
	assert_int_equal(serf_clocks(net->nodes[A].serf).event, 1001);
}

static void
events_have_limits(void **unused)
{
	static char big[16 * 1024];
	struct serf_message m = { .type = SERF_USER_EVENT, .u.event = { .name = STR("big") } };
	unsigned before = net->nodes[A].broadcasts;
	struct buf out;
	struct err err;

	(void)unused;
	assert_int_equal(serf_event_fire(net->nodes[A].serf, net->now, STR("n"),
			     str_mem(big, SERF_EVENT_SIZE_MAX), false, &err),
	    ERR_LIMIT);
	assert_int_equal(serf_event_fire(net->nodes[A].serf, net->now, STR("n"),
			     str_mem(big, SERF_EVENT_SIZE_MAX - 1), false, &err),
	    0);
	net_drain(net, A);
	assert_int_equal(net->nodes[A].broadcasts - before, 1);
	for (unsigned i = 0; i < 500; i++) { /* larger than a packet: kept, not passed on */
		m.u.event.ltime = i + 2;
		m.u.event.payload = str_mem(big, sizeof big);
		net_give(net, A, &m);
	}
	assert_int_equal(net->nodes[A].broadcasts - before, 1);
	buf_init(&out, 64 * 1024 * 1024);
	serf_state_write(net->nodes[A].serf, STR_NONE, &out);
	assert_in_range(out.n, 3 * 1024 * 1024, 5 * 1024 * 1024);
	buf_done(&out);
	m.u.event.ltime = 600; /* many at one time */
	for (unsigned i = 0; i < 1000; i++) {
		char name[16];

		snprintf(name, sizeof name, "e%u", i);
		m.u.event.name = str_of(name);
		m.u.event.payload = STR("");
		net_give(net, A, &m);
	}
	assert_int_equal(net->nodes[A].broadcasts - before, 1 + 256);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, three, done)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(an_event_is_delivered_once_everywhere),
		STORY(one_time_holds_several_events),
		STORY(who_missed_an_event_gets_it_by_push_pull),
		STORY(who_joins_is_spared_the_past),
		STORY(clocks_survive_a_restart),
		STORY(old_events_are_dropped),
		STORY(events_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

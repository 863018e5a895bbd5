/* Queries as stories of a few agents: answers, filters, relays, keys. */
#include <stdlib.h>

#include "tests/unit/serf_net.h"

static struct net *net;
static const struct str key_one = { "0123456789abcdef", 16 }, key_two = { "fedcba9876543210", 16 };

static void
three(bool encrypted)
{
	net = net_new();
	for (unsigned i = A; i <= C; i++) {
		if (encrypted && i != C) {
			net->nodes[i].keys = keyring_new();
			keyring_install(net->nodes[i].keys, key_one, NULL);
		}
		net->nodes[i].auto_answer = true;
		net_start(net, i, i == C ? "db-main" : "web");
	}
	net_join(net, B, A);
	net_join(net, C, B);
	net_forget_story(net);
}

static int
plain(void **unused)
{
	(void)unused;
	three(false);
	return 0;
}

static int
secret(void **unused)
{
	(void)unused;
	three(true);
	return 0;
}

static int
done(void **unused)
{
	(void)unused;
	net_free(net);
	return 0;
}

static uint64_t
start(unsigned node, const struct serf_ask *ask)
{
	uint64_t id = 0;

	assert_int_equal(serf_query_start(net->nodes[node].serf, net->now, ask, &id, NULL), 0);
	assert_int_not_equal(id, 0);
	net_drain(net, node);
	net_run(net, 5 * NSEC_SEC);
	return id;
}

static void
all_answer_and_are_counted(void **unused)
{
	struct serf_ask ask = { .name = STR("uptime"), .ack = true };

	(void)unused;
	start(A, &ask);
	net_story(net, "a: ack of a\n"
		       "a: asked uptime by a\n"
		       "a: answer of a: a\n"
		       "b: asked uptime by a\n"
		       "c: asked uptime by a\n"
		       "a: ack of b\n"
		       "a: answer of b: b\n"
		       "a: ack of c\n"
		       "a: answer of c: c\n"
		       "a: over: 3 acks, 3 answers of 3\n");
	assert_int_equal(serf_clocks(net->nodes[C].serf).query, 2);
	assert_int_equal(
	    net->nodes[B].broadcasts, net->nodes[C].broadcasts); /* both passed it on */
}

static void
ask_tag(const char *tag, const char *expr, const char *want)
{
	struct serf_filter f = { .tag = true, .tag_name = str_of(tag), .expr = str_of(expr) };
	struct serf_ask ask = { .name = STR("q"), .filters = &f, .filter_count = 1 };

	start(A, &ask);
	net_story(net, want);
}

#define NOBODY "a: over: 0 acks, 0 answers of 3\n"
#define ONLY_C "c: asked q by a\na: answer of c: c\na: over: 0 acks, 1 answers of 3\n"

static void
filters_choose_who_answers(void **unused)
{
	struct str names[] = { STR("x"), STR("b") };
	struct serf_filter f[] = { { .nodes = names, .node_count = 2 },
		{ .tag = true, .tag_name = STR("role"), .expr = STR("^we?b*$") } };
	struct serf_ask ask = { .name = STR("q"), .filters = f, .filter_count = 2 };

	(void)unused;
	start(A, &ask);
	net_story(net, "b: asked q by a\na: answer of b: b\na: over: 0 acks, 1 answers of 3\n");
	f[1].expr = STR("db"); /* all must match */
	start(A, &ask);
	net_story(net, NOBODY);
	ask_tag("role", "db", ONLY_C);
	ask_tag("role", "^(db|sql)-[a-z]{4}$", ONLY_C);
	ask_tag("role", "^db$", NOBODY);
	ask_tag("none", "x", NOBODY);
	ask_tag("role", "(", NOBODY);
}

static void
expressions_that_would_explode_do_not_match(void **unused)
{
	(void)unused;
	ask_tag("role", "db((((((((((((((((x+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)*", NOBODY);
	ask_tag("role", "db(((x{255}){255}){255}){0,1}", NOBODY);
	ask_tag("role", "(d)(b)\\1*", NOBODY);
	ask_tag("role", "db(((x{2}){2}){2})*", ONLY_C);
}

static void
relays_find_a_way_around(void **unused)
{
	struct serf_ask ask = { .name = STR("q"), .relay_factor = 2 };

	(void)unused;
	net->cut[C][A] = true; /* c hears a, a does not hear c */
	start(A, &ask);
	net_story(net, "a: asked q by a\n"
		       "a: answer of a: a\n"
		       "b: asked q by a\n"
		       "c: asked q by a\n"
		       "a: answer of b: b\n"
		       "a: answer of c: c\n"
		       "a: over: 0 acks, 3 answers of 3\n");
	assert_true(serf_stats(net->nodes[B].serf).relayed > 0);
	assert_true(serf_stats(net->nodes[A].serf).repeated > 0); /* copies do not count */
}

static void
only_answers_are_relayed(void **unused)
{
	struct addr d = { .family = ADDR_V4, .port = 7946, .bytes = { 10, 0, 0, 3 } };
	struct serf_message m = { .type = SERF_RELAY,
		.u.relay = { .dest = d, .dest_name = STR("c"), .inner = STR("\x09\x80") } };
	unsigned before = net->nodes[A].sends;

	(void)unused;
	net_give(net, A, &m);
	m.u.relay.inner = STR("");
	net_give(net, A, &m);
	assert_int_equal(net->nodes[A].sends, before);
	m.u.relay.inner = STR("\x05\x80");
	net_give(net, A, &m);
	assert_int_equal(net->nodes[A].sends, before + 1);
}

static void
an_answer_is_given_once_and_in_time(void **unused)
{
	struct serf_message m = { .type = SERF_QUERY,
		.u.query = { .ltime = 5,
		    .id = 9,
		    .flags = 2,
		    .source = { .family = ADDR_V4, .port = 7946, .bytes = { 10, 0, 0, 2 } },
		    .source_node = STR("b"),
		    .name = STR("q"),
		    .timeout_ns = NSEC_SEC } };
	static char big[2000];
	unsigned broadcasts = net->nodes[A].broadcasts;
	struct serf *s = net->nodes[A].serf;
	uint64_t id;

	(void)unused;
	net->nodes[A].auto_answer = false;
	net_give(net, A, &m);
	net_give(net, A, &m); /* seen */
	net_story(net, "a: asked q by b\n");
	assert_int_equal(net->nodes[A].broadcasts, broadcasts); /* its flag says: not passed on */
	for (id = 1; id < 100; id++) /* nobody else gave out ids here but joins */
		if (serf_respond(s, net->now, id, str_mem(big, sizeof big), NULL) == ERR_LIMIT)
			break;
	assert_true(id < 100);
	assert_int_equal(serf_respond(s, net->now, id, STR("yes"), NULL), 0);
	assert_int_equal(serf_respond(s, net->now, id, STR("yes"), NULL), ERR_NOT_FOUND);
	m.u.query.id = 10;
	m.u.query.timeout_ns = INT64_MAX;
	net_give(net, A, &m);
	net_run(net, SERF_TIMEOUT_MAX);
	assert_int_equal(serf_respond(s, net->now, id + 1, STR("yes"), NULL), ERR_NOT_FOUND);
	assert_true(serf_stats(net->nodes[B].serf).stale > 0); /* b never asked */
}

static void
queries_have_limits(void **unused)
{
	struct serf_ask ask = { .name = STR("_serf_ping") };
	static char big[2000];
	struct serf *s = net->nodes[A].serf;
	uint64_t id;

	(void)unused;
	assert_int_equal(serf_query_start(s, net->now, &ask, &id, NULL), ERR_REFUSED);
	ask = (struct serf_ask){ .name = STR("q"), .payload = { big, sizeof big } };
	assert_int_equal(serf_query_start(s, net->now, &ask, &id, NULL), ERR_LIMIT);
	ask.payload.n = 10;
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(serf_query_start(s, net->now, &ask, &id, NULL), 0);
		net_drain(net, A);
	}
	assert_int_equal(serf_query_start(s, net->now, &ask, &id, NULL), ERR_LIMIT);
	net_run(net, 5 * NSEC_SEC);
	assert_int_equal(serf_query_start(s, net->now, &ask, &id, NULL), 0);
	net_drain(net, A);
}

static void
keys(enum serf_key_op op, struct str key, const char *want)
{
	uint64_t id;

	assert_int_equal(serf_key_start(net->nodes[A].serf, net->now, op, key, &id, NULL), 0);
	net_drain(net, A);
	net_run(net, 100 * NSEC_MS); /* does not wait for its end */
	net_story(net, want);
}

#define KEYS(a, b)                                                  \
	"a: keys of a: " a "\na: keys of b: " b "\n"                \
	"a: keys of c: not done, 0, this agent has no keyring: it " \
	"does not encrypt\na: over: 0 acks, 3 answers of 3\n"

static void
a_key_is_rotated(void **unused)
{
	uint64_t id;

	(void)unused;
	keys(SERF_KEY_LIST, STR(""), KEYS("done, 1, ", "done, 1, "));
	keys(SERF_KEY_INSTALL, key_two, KEYS("done, 0, ", "done, 0, "));
	assert_int_equal(keyring_count(net->nodes[B].keys), 2);
	keys(SERF_KEY_USE, key_two, KEYS("done, 0, ", "done, 0, "));
	assert_true(str_eq(keyring_key(net->nodes[B].keys, 0), key_two));
	keys(SERF_KEY_REMOVE, key_one, KEYS("done, 0, ", "done, 0, "));
	assert_int_equal(keyring_count(net->nodes[B].keys), 1);
	assert_int_equal(net->nodes[A].key_saves, 3);
	assert_int_equal(net->nodes[B].key_saves, 3);
	assert_int_equal(
	    serf_key_start(net->nodes[A].serf, net->now, SERF_KEY_USE, STR("x"), &id, NULL),
	    ERR_INPUT);
}

static void
many_keys_are_cut_to_a_packet(void **unused)
{
	struct serf_action a;
	uint8_t key[32] = { 0 };
	uint64_t id;
	bool seen = false;

	(void)unused;
	for (uint8_t i = 0; i < 63; i++) {
		key[0] = i;
		keyring_install(net->nodes[A].keys, str_mem(key, sizeof key), NULL);
	}
	assert_int_equal(
	    serf_key_start(net->nodes[A].serf, net->now, SERF_KEY_LIST, STR(""), &id, NULL), 0);
	while (serf_action_next(net->nodes[A].serf, &a))
		if (a.kind == SERF_TELL_KEYS) {
			seen = true;
			assert_true(a.keys.result);
			assert_in_range(a.keys.key_count, 10, 30);
			assert_true(str_ends(a.keys.message, STR(" of 64 keys fit here")));
			assert_str(a.keys.primary, "MDEyMzQ1Njc4OWFiY2RlZg==");
			assert_str(a.keys.keys[1], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
		}
	assert_true(seen);
}

#define STORY(test, set_up) cmocka_unit_test_setup_teardown(test, set_up, done)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(all_answer_and_are_counted, plain),
		STORY(filters_choose_who_answers, plain),
		STORY(expressions_that_would_explode_do_not_match, plain),
		STORY(relays_find_a_way_around, plain),
		STORY(only_answers_are_relayed, plain),
		STORY(an_answer_is_given_once_and_in_time, plain),
		STORY(queries_have_limits, plain),
		STORY(a_key_is_rotated, secret),
		STORY(many_keys_are_cut_to_a_packet, secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tests/unit/test_join.c -- whom to join, when, and when again; in virtual time.
 *
 * A small world answers: names have addresses, some addresses have an agent. What the core wants is
 * written down as lines, "resolve host", "try address", "log …".
 */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "agent/pool/join.h"
#include "base/buf.h"
#include "base/rng.h"

#define JOIN_ANSWER_MAX_TEST (61 * NSEC_SEC) /* longer than a try may take */
#define STEP_MAX 100000                      /* actions in one drain; more is a loop */

static struct world {
	struct join *join;
	nsec now;
	const char *names[4][5]; /* a name, then its addresses */
	const char *alive[8];    /* addresses with an agent */
	bool mute;               /* nothing is answered */
	struct buf story;
	size_t tries, resolves, most; /* most: tries under way at once */
	uint64_t pending[64];         /* with mute: what was asked */
	size_t pending_count;
	unsigned answers, joined, failed;
	uint64_t answer_id;
	char answer[4096], failure[4096];
} w;

static int
setup(void **unused)
{
	(void)unused;
	memset(&w, 0, sizeof w);
	w.now = 1000 * NSEC_SEC;
	buf_init(&w.story, 1024 * 1024);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	join_free(w.join);
	buf_done(&w.story);
	return 0;
}

static void
answer_resolve(const struct join_action *a)
{
	struct addr addrs[8];
	size_t n = 0;

	for (size_t i = 0; i < 4 && w.names[i][0] != NULL; i++) {
		if (!str_eq(a->host, str_of(w.names[i][0])))
			continue;
		for (size_t k = 1; k < 5 && w.names[i][k] != NULL; k++)
			assert_true(addr_parse_ip(str_of(w.names[i][k]), &addrs[n++]));
	}
	join_resolved(w.join, w.now, a->id, addrs, n, n == 0 ? "no such host" : NULL);
}

static void
answer_try(const struct join_action *a)
{
	char text[ADDR_TEXT_MAX];
	bool ok = false;

	addr_format(&a->addr, text);
	for (size_t i = 0; i < 8 && w.alive[i] != NULL; i++)
		ok = ok || strcmp(w.alive[i], text) == 0;
	join_tried(w.join, w.now, a->id, ok, ok ? STR_NONE : STR("connection refused"));
}

static void
take(const struct join_action *a)
{
	char text[ADDR_TEXT_MAX];

	switch (a->kind) {
	case JOIN_RESOLVE:
		w.resolves++;
		buf_addf(&w.story, "resolve " STR_FMT "\n", STR_ARG(a->host));
		break;
	case JOIN_TRY:
		w.tries++;
		buf_addf(&w.story, "try %s\n", addr_format(&a->addr, text));
		break;
	case JOIN_ANSWER:
		w.answers++;
		w.joined = a->joined;
		w.answer_id = a->id;
		snprintf(w.answer, sizeof w.answer, STR_FMT, STR_ARG(a->text));
		break;
	case JOIN_FAILED:
		w.failed++;
		snprintf(w.failure, sizeof w.failure, STR_FMT, STR_ARG(a->text));
		break;
	case JOIN_LOG:
		if (a->level != LOG_LEVEL_DEBUG)
			buf_addf(&w.story, "log " STR_FMT "\n", STR_ARG(a->text));
		break;
	}
}

static void
drain(void)
{
	struct join_action a;

	for (size_t n = 0; join_action_next(w.join, &a); n++) {
		assert_true(n < STEP_MAX);
		take(&a);
		if (a.kind != JOIN_RESOLVE && a.kind != JOIN_TRY)
			continue;
		if (w.mute) {
			assert_true(w.pending_count < 64);
			w.pending[w.pending_count++] = a.id;
		} else if (a.kind == JOIN_RESOLVE) {
			answer_resolve(&a);
		} else {
			answer_try(&a);
		}
	}
}

/* Lets time pass, from deadline to deadline. */
static void
pass(nsec d)
{
	nsec until = w.now + d;

	while (join_deadline(w.join) <= until) {
		nsec at = join_deadline(w.join);

		w.now = at > w.now ? at : w.now;
		join_tick(w.join, w.now);
		assert_true(join_deadline(w.join) > w.now);
		drain();
	}
	w.now = until;
}

/* What happened since the last look. */
static void
story(const char *want)
{
	assert_str(buf_str(&w.story), want);
	buf_clear(&w.story);
}

static struct addr
addr_of(const char *text)
{
	struct addr a;

	assert_true(addr_parse(str_of(text), 8301, &a));
	return a;
}

/* Lists are texts between blanks. */
static size_t
words(const char *list, struct str out[300])
{
	size_t n = 0;

	for (struct str rest = str_of(list); rest.n > 0;)
		out[n++] = str_cut(&rest, ' ');
	return n;
}

static void
begin(const char *once, const char *retry, const char *known, unsigned retry_max)
{
	static struct str a[300], b[300], c[300];
	static struct addr addrs[300];
	struct join_config config = { .once = a,
		.retry = b,
		.known = addrs,
		.port = 8301,
		.self = addr_of("10.0.0.9"),
		.retry_max = retry_max };

	config.once_count = words(once, a);
	config.retry_count = words(retry, b);
	config.known_count = words(known, c);
	for (size_t i = 0; i < config.known_count; i++)
		assert_true(addr_parse(c[i], 8301, &addrs[i]));
	w.join = join_new(&config, 7, w.now);
	drain();
}

static void
every_address_of_every_target_is_tried(void **unused)
{
	(void)unused;
	w.names[0][0] = "servers";
	w.names[0][1] = "10.0.0.1";
	w.names[0][2] = "10.0.0.2";
	w.names[0][3] = "fd00::2";
	w.alive[0] = "10.0.0.1:8301";
	w.alive[1] = "[fd00::2]:8301";
	w.alive[2] = "10.0.0.3:9301";
	begin("servers 10.0.0.3:9301 10.0.0.1", "", "", 0);
	story("resolve servers\ntry 10.0.0.3:9301\ntry 10.0.0.1:8301\ntry 10.0.0.2:8301\n"
	      "try [fd00::2]:8301\nlog join completed agents=3\n");
	assert_int_equal(w.failed, 0);
	assert_true(join_awaits(w.join));
}

static void
nobody_reached_ends_the_start_with_the_reasons(void **unused)
{
	(void)unused;
	begin("nowhere 10.0.0.3:9301 fd00::3", "", "", 0);
	story("resolve nowhere\ntry 10.0.0.3:9301\ntry [fd00::3]:8301\n");
	assert_int_equal(w.failed, 1);
	assert_string_equal(w.failure, "Failed to resolve nowhere: no such host; Failed to join "
				       "10.0.0.3:9301: connection refused; Failed to join "
				       "[fd00::3]:8301: connection refused");
}

static void
one_reached_is_enough(void **unused)
{
	(void)unused;
	w.alive[0] = "10.0.0.1:8301";
	begin("nowhere 10.0.0.1 10.0.0.3", "", "", 0);
	assert_int_equal(w.failed, 0);
	story(
	    "resolve nowhere\ntry 10.0.0.1:8301\ntry 10.0.0.3:8301\nlog join completed agents=1\n");
}

static void
every_form_of_a_target_is_read(void **unused)
{
	static const struct {
		const char *text, *addr, *host;
		unsigned port;
	} good[] = {
		{ "10.0.0.1", "10.0.0.1:8301", "", 8301 },
		{ "10.0.0.1:1", "10.0.0.1:1", "", 1 },
		{ "fd00::1", "[fd00::1]:8301", "", 8301 },
		{ "::1", "[::1]:8301", "", 8301 },
		{ "[fd00::1]", "[fd00::1]:8301", "", 8301 },
		{ "[fd00::1]:65535", "[fd00::1]:65535", "", 65535 },
		{ "consul-1.example.org", NULL, "consul-1.example.org", 8301 },
		{ "a_b.c:9", NULL, "a_b.c", 9 },
		{ "tasks.consul", NULL, "tasks.consul", 8301 },
		{ "10.0.0", NULL, "10.0.0", 8301 },
	};
	static const char *const bad[] = { "", ":8301", "host:", "host:0", "host:65536", "host:x",
		"10.0.0.1:0", "[fd00::1]:0", "[fd00::1]:x", "[fd00::1", "fd00:::1", "a b", "-x",
		"host:1:2", "http://host", "h\xc3\xb6st", "host/1" };
	struct join_target t;
	struct err err = { 0 };
	char text[ADDR_TEXT_MAX], longer[JOIN_TARGET_LEN_MAX + 2];

	(void)unused;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (join_target_parse(str_of(good[i].text), 8301, &t, &err) != 0)
			fail_msg("%s: %s", good[i].text, err.text);
		assert_int_equal(t.port, good[i].port);
		assert_str(t.host, good[i].host);
		if (good[i].addr != NULL)
			assert_string_equal(addr_format(&t.addr, text), good[i].addr);
		else
			assert_int_equal(t.addr.family, ADDR_NONE);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (join_target_parse(str_of(bad[i]), 8301, &t, &err) != ERR_INPUT)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_string_equal(err.text, "\"host/1\" is not an address or a host name, with or "
				      "without a port (1-65535)");
	memset(longer, 'a', sizeof longer);
	assert_int_equal(
	    join_target_parse(str_mem(longer, sizeof longer), 8301, &t, &err), ERR_INPUT);
	assert_int_equal(
	    join_target_parse(STR("provider=aws secret_access_key=hidden"), 8301, &t, &err),
	    ERR_INPUT);
	assert_string_equal(err.text, "muster does not ask cloud providers for hosts "
				      "(provider=...); name hosts or addresses");
}

static void
oneself_is_skipped_and_is_no_failure(void **unused)
{
	(void)unused;
	w.names[0][0] = "me";
	w.names[0][1] = "10.0.0.9";
	begin("10.0.0.9 me", "", "10.0.0.9", 0);
	story("resolve me\nlog join completed: -join reaches only this agent itself\n");
	assert_int_equal(w.failed, 0);
	assert_true(join_awaits(w.join)); /* a name could have been anybody */
	join_free(w.join);
	begin("10.0.0.9:8301", "10.0.0.9", "10.0.0.9", 1);
	story("log join completed: -join reaches only this agent itself\n"
	      "log retry-join completed agents=0: it names only this agent itself\n");
	assert_false(join_awaits(w.join));
	pass(NSEC_HOUR);
	assert_int_equal(w.tries, 0);
	assert_int_equal(w.failed, 0);
}

static void
another_port_of_our_address_is_another_agent(void **unused)
{
	(void)unused;
	w.alive[0] = "10.0.0.9:8311";
	begin("10.0.0.9:8311", "", "", 0);
	story("try 10.0.0.9:8311\nlog join completed agents=1\n");
}

static void
retry_goes_on_until_somebody_answers(void **unused)
{
	(void)unused;
	begin("", "10.0.0.1 10.0.0.9", "", 0);
	assert_int_equal(w.tries, 1);
	story(
	    "try 10.0.0.1:8301\nlog retry-join failed, again in 1s: Failed to join 10.0.0.1:8301: "
	    "connection refused\n");
	pass(33 * NSEC_SEC); /* after 1, 3, 7 and 15 s, and one more within a sixteenth of 31 s */
	assert_in_range(w.tries, 5, 6);
	w.tries = 0;
	pass(3000 * NSEC_SEC);
	assert_in_range(w.tries, 94, 107); /* 30 s, give or take a sixteenth */
	w.alive[0] = "10.0.0.1:8301";
	buf_clear(&w.story);
	pass(32 * NSEC_SEC);
	story("try 10.0.0.1:8301\nlog retry-join completed agents=1\n");
	join_others(w.join, w.now, 1);
	w.tries = 0;
	pass(NSEC_HOUR);
	assert_int_equal(w.failed, 0);
}

static void
retry_goes_on_though_others_found_us(void **unused)
{
	(void)unused;
	begin("", "10.0.0.1", "", 0);
	join_others(w.join, w.now, 3);
	w.tries = 0;
	pass(300 * NSEC_SEC);
	assert_in_range(w.tries, 12, 14);
}

static void
retry_max_ends_the_start(void **unused)
{
	(void)unused;
	begin("", "10.0.0.1", "", 3);
	pass(92 * NSEC_SEC); /* 1 2 4 8 16 do not count; then 30, 30, 30 */
	assert_int_equal(w.failed, 0);
	pass(40 * NSEC_SEC);
	assert_int_equal(w.failed, 1);
	assert_string_equal(w.failure, "max join LAN retry exhausted, exiting");
	pass(NSEC_HOUR);
	assert_int_equal(w.failed, 1);
}

static void
retry_interval_is_kept_and_a_new_address_of_a_name_is_found(void **unused)
{
	struct str target = STR("moving");
	struct join_config config = { .retry = &target,
		.retry_count = 1,
		.port = 8301,
		.self = addr_of("10.0.0.9"),
		.retry_interval = NSEC_SEC / 2,
		.retry_max = 4 };

	(void)unused;
	w.join = join_new(&config, 1, w.now);
	drain();
	assert_int_equal(w.resolves, 1);
	pass(6 * NSEC_SEC / 4);
	assert_in_range(w.resolves, 3, 4);
	assert_int_equal(w.failed, 0);
	buf_clear(&w.story);
	w.names[0][0] = "moving";
	w.names[0][1] = "10.0.0.4";
	w.alive[0] = "10.0.0.4:8301";
	pass(NSEC_SEC);
	story("resolve moving\ntry 10.0.0.4:8301\nlog retry-join completed agents=1\n");
	assert_int_equal(w.failed, 0);
}

static void
known_members_are_tried_few_at_once(void **unused)
{
	struct addr a;

	(void)unused;
	w.mute = true;
	begin("", "", "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.9", 0);
	assert_true(join_awaits(w.join));
	assert_int_equal(w.tries, 4);
	join_tried(w.join, w.now, w.pending[0], true, STR_NONE);
	drain();
	assert_int_equal(w.tries, 5);
	a = addr_of("10.0.0.1"); /* the list was newest first: the sixth is the first */
	join_known(w.join, w.now, &a);
	for (size_t i = 1; i < 5; i++)
		join_tried(w.join, w.now, w.pending[i], false, STR("timed out"));
	drain();
	assert_int_equal(w.tries, 5); /* 10.0.0.1 is a member already */
	story("try 10.0.0.6:8301\ntry 10.0.0.5:8301\ntry 10.0.0.4:8301\ntry 10.0.0.3:8301\n"
	      "try 10.0.0.2:8301\nlog rejoined agents known from before agents=1 of=6\n");
}

static void
alone_everybody_is_tried_slowly_for_ever(void **unused)
{
	struct addr back = addr_of("10.0.0.2");

	(void)unused;
	w.alive[0] = "10.0.0.1:8301";
	begin("10.0.0.1", "", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7", 0);
	w.alive[0] = NULL;
	w.tries = 0;
	pass(24 * NSEC_HOUR); /* each minute the target and four that are known */
	assert_in_range(w.tries, 5 * 24 * 56, 5 * 24 * 64);
	w.alive[0] = "10.0.0.2:8301";
	buf_clear(&w.story);
	pass(5 * NSEC_MIN);
	assert_non_null(memmem(w.story.p, w.story.n, "log found agents again agents=1\n", 31));
	join_known(w.join, w.now, &back);
	join_others(w.join, w.now, 1);
	w.alive[0] = NULL;
	w.tries = 0;
	pass(NSEC_HOUR); /* not alone: one lost one at a time, ten minutes apart */
	assert_in_range(w.tries, 5, 7);
}

static void
lost_members_are_looked_for_though_others_are_there(void **unused)
{
	struct addr a = addr_of("10.0.0.1"), b = addr_of("10.0.0.2");

	(void)unused;
	begin("", "", "", 0);
	assert_false(join_awaits(w.join));
	join_known(w.join, w.now, &a);
	join_known(w.join, w.now, &b);
	join_others(w.join, w.now, 2);
	pass(24 * NSEC_HOUR);
	assert_int_equal(w.tries, 0); /* both are members */
	join_lost(w.join, w.now, &b);
	join_others(w.join, w.now, 1);
	pass(NSEC_HOUR);
	assert_in_range(w.tries, 5, 7);
	assert_null(memmem(w.story.p, w.story.n, "10.0.0.1", 8));
	w.alive[0] = "10.0.0.2:8301";
	pass(11 * NSEC_MIN);
	join_known(w.join, w.now, &b);
	join_others(w.join, w.now, 2);
	w.tries = 0;
	pass(24 * NSEC_HOUR);
	assert_int_equal(w.tries, 0);
	join_others(w.join, w.now, 0); /* all at once gone: both are looked for */
	pass(64 * NSEC_SEC);
	assert_int_equal(w.tries, 2);
}

static void
requests_are_answered(void **unused)
{
	uint64_t id;

	(void)unused;
	w.names[0][0] = "two";
	w.names[0][1] = "10.0.0.1";
	w.names[0][2] = "10.0.0.2";
	w.names[0][3] = "10.0.0.9";
	w.alive[0] = "10.0.0.1:8301";
	begin("", "", "", 0);
	id = join_request(w.join, w.now, STR("two"));
	drain();
	assert_int_equal(w.answers, 1);
	assert_int_equal(w.answer_id, id);
	assert_int_equal(w.joined, 2); /* one that answered, and ourselves */
	join_request(w.join, w.now, STR("10.0.0.3"));
	drain();
	assert_int_equal(w.answers, 2);
	assert_int_equal(w.joined, 0);
	assert_string_equal(w.answer, "1 error occurred:\n\t* Failed to join 10.0.0.3:8301: "
				      "connection refused\n\n");
	join_request(w.join, w.now, STR("no where"));
	drain();
	assert_int_equal(w.answers, 3);
	assert_int_equal(w.joined, 0);
	assert_string_equal(w.answer, "\"no where\" is not an address or a host name, with or "
				      "without a port (1-65535)");
	join_request(w.join, w.now, STR("10.0.0.9"));
	drain();
	assert_int_equal(w.answers, 4);
	assert_int_equal(w.joined, 1);
}

static void
a_request_does_not_wait_for_dead_hosts(void **unused)
{
	uint64_t id;

	(void)unused;
	w.mute = true;
	begin("", "10.0.1.1 10.0.1.2 10.0.1.3", "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5", 0);
	assert_int_equal(w.tries, 7);
	id = join_request(w.join, w.now, STR("10.0.0.7"));
	drain();
	assert_int_equal(w.tries, 8);
	join_tried(w.join, w.now, w.pending[7], true, STR_NONE);
	drain();
	assert_int_equal(w.answer_id, id);
	assert_int_equal(w.joined, 1);
}

static void
everything_is_bounded(void **unused)
{
	static struct str targets[300];
	static char texts[300][16];
	struct join_config config = {
		.retry = targets, .retry_count = 300, .port = 8301, .self = addr_of("10.0.0.9")
	};

	(void)unused;
	for (size_t i = 0; i < 300; i++) {
		snprintf(texts[i], sizeof texts[i], "10.1.%zu.%zu", i / 200, i % 200);
		targets[i] = str_of(texts[i]);
	}
	w.mute = true;
	w.join = join_new(&config, 1, w.now);
	drain();
	assert_non_null(memmem(w.story.p, w.story.n, "more than 256 targets", 21));
	assert_int_equal(w.tries, 16);
	for (uint32_t i = 0; i < 3 * JOIN_KNOWN_MAX; i++) {
		struct addr a = addr_of("10.2.0.0:1");

		a.port = (uint16_t)(i + 1);
		join_known(w.join, w.now, &a);
	}
	w.answers = 0;
	for (size_t i = 0; i < JOIN_REQUESTS_MAX + 5; i++)
		join_request(w.join, w.now, STR("10.3.0.1"));
	drain();
	assert_int_equal(w.answers, 5);
	assert_string_equal(w.answer, "too many joins under way, try again later");
	assert_int_equal(w.tries, 32);
}

/* Whatever comes back, late, twice or for nothing, changes nothing. */
static void
answers_to_nothing_are_ignored(void **unused)
{
	struct addr a = addr_of("10.0.0.5");
	uint64_t resolve, try;

	(void)unused;
	w.mute = true;
	begin("name 10.0.0.1", "", "", 0);
	resolve = w.pending[0];
	try = w.pending[1];
	join_tried(w.join, w.now, resolve, true, STR_NONE);
	join_resolved(w.join, w.now, try, &a, 1, NULL);
	join_tried(w.join, w.now, 999, true, STR_NONE);
	join_resolved(w.join, w.now, 999, &a, 1, NULL);
	join_tried(w.join, w.now, try, false, STR("10.0.0.1:8301: a\nb"));
	join_tried(w.join, w.now, try, true, STR_NONE);
	drain();
	assert_int_equal(w.failed, 0);
	pass(61 * NSEC_SEC); /* the resolver never answers */
	join_resolved(w.join, w.now, resolve, &a, 1, NULL);
	drain();
	assert_int_equal(w.failed, 1);
	assert_string_equal(w.failure, "Failed to join 10.0.0.1:8301: a b; Failed to resolve name: "
				       "no answer");
}

/* Answers late, in any order, right and wrong, members that come and go: the limits hold, each
 * request is answered once, and time always moves on. */
static void
any_order_of_answers_is_survived(uint64_t seed)
{
	static const char *const hosts[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "x",
		"y", "10.0.0.9", "not a host" };
	struct join_action a;
	struct rng rng;
	size_t asked = 0;

	rng_init(&rng, seed);
	w.mute = true;
	begin(
	    "x 10.0.0.1 10.0.0.2", "y 10.0.0.3 10.0.0.9", "10.0.0.2 10.0.0.4 10.0.0.5 10.0.0.6", 0);
	for (size_t step = 0; step < 2000; step++) {
		struct addr addrs[2] = { addr_of(hosts[rng_below(&rng, 4)]),
			addr_of(hosts[rng_below(&rng, 4)]) };
		uint64_t id = w.pending_count == 0
				  ? 0
				  : w.pending[rng_below(&rng, (uint32_t)w.pending_count)];

		switch (rng_below(&rng, 9)) {
		case 0:
		case 1:
			join_tried(w.join, w.now, id, rng_below(&rng, 4) == 0, STR("no"));
			break;
		case 2:
		case 3:
			join_resolved(w.join, w.now, id, addrs, rng_below(&rng, 3), "no");
			break;
		case 4:
			asked += w.pending_count < 32;
			if (w.pending_count < 32)
				join_request(w.join, w.now, str_of(hosts[rng_below(&rng, 8)]));
			break;
		case 5:
			join_others(w.join, w.now, rng_below(&rng, 2));
			break;
		case 6:
			join_known(w.join, w.now, &addrs[0]);
			join_lost(w.join, w.now, &addrs[1]);
			break;
		default:
			w.now += (nsec)(rng_u64(&rng) % (uint64_t)(20 * NSEC_SEC));
			while (join_deadline(w.join) <= w.now)
				join_tick(w.join, w.now);
			break;
		}
		while (join_action_next(w.join, &a)) {
			take(&a);
			if (a.kind == JOIN_RESOLVE || a.kind == JOIN_TRY)
				w.pending[w.pending_count++ % 36] = a.id;
		}
		if (w.pending_count > 36)
			w.pending_count = 36;
		buf_clear(&w.story);
	}
	w.now += JOIN_ANSWER_MAX_TEST;
	for (int i = 0; i < 20; i++, w.now += JOIN_ANSWER_MAX_TEST) {
		join_tick(w.join, w.now);
		while (join_action_next(w.join, &a))
			take(&a);
	}
	if (w.answers != asked)
		fail_msg("seed %llu: %u answers to %zu requests", (unsigned long long)seed,
		    w.answers, asked);
}

static void
many_orders_of_answers_are_survived(void **unused)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		any_order_of_answers_is_survived(seed);
		teardown(unused);
		setup(unused);
	}
}

static void
long_reasons_are_cut(void **unused)
{
	static char why[5000];
	char many[2000] = "";

	(void)unused;
	memset(why, 'x', sizeof why);
	for (size_t i = 1; i < 40; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), "%s10.0.3.%zu",
		    i > 1 ? " " : "", i);
	w.mute = true;
	begin(many, "", "", 0);
	for (size_t i = 0; i < w.pending_count; i++) {
		join_tried(w.join, w.now, w.pending[i], false, str_mem(why, sizeof why));
		drain();
	}
	assert_int_equal(w.failed, 1);
	assert_in_range(strlen(w.failure), 1500, 2200);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_address_of_every_target_is_tried),
		T(nobody_reached_ends_the_start_with_the_reasons),
		T(one_reached_is_enough),
		T(every_form_of_a_target_is_read),
		T(oneself_is_skipped_and_is_no_failure),
		T(another_port_of_our_address_is_another_agent),
		T(retry_goes_on_until_somebody_answers),
		T(retry_goes_on_though_others_found_us),
		T(retry_max_ends_the_start),
		T(retry_interval_is_kept_and_a_new_address_of_a_name_is_found),
		T(known_members_are_tried_few_at_once),
		T(alone_everybody_is_tried_slowly_for_ever),
		T(lost_members_are_looked_for_though_others_are_there),
		T(requests_are_answered),
		T(a_request_does_not_wait_for_dead_hosts),
		T(everything_is_bounded),
		T(answers_to_nothing_are_ignored),
		T(many_orders_of_answers_are_survived),
		T(long_reasons_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Kept answers: never another than the one that would be made now, and within their bounds.
 */
#include "agent/http/answers.h"
#include "base/blob.h"
#include "base/rng.h"
#include "tests/unit/api_fixture.h"

static int
with_answers(void **unused)
{
	int rc = setup(unused);

	api.answers = answers_new();
	return rc;
}

static int
without_answers(void **unused)
{
	answers_free(api.answers);
	return teardown(unused);
}

static struct str
reply_text(void)
{
	return reply.shared != NULL ? blob_str(reply.shared) : buf_str(&body);
}

static bool
reply_has(const char *text)
{
	return memmem(reply_text().p, reply_text().n, text, strlen(text)) != NULL;
}

#define WEB "{\"Node\":\"x%u\",\"Address\":\"10.0.0.9\",\"NodeMeta\":{\"rack\":\"%u\"},"

static void
add_web(unsigned node, unsigned port, const char *status, const char *output)
{
	assert_status("PUT /v1/catalog/register",
	    line_of(WEB "\"Service\":{\"ID\":\"web-%u\",\"Service\":\"web\",\"Port\":%u,"
			"\"Tags\":[\"t%u\"]},\"Check\":{\"CheckID\":\"c\",\"Name\":\"c\","
			"\"ServiceID\":\"web-%u\",\"Status\":\"%s\",\"Output\":\"%s\"}}",
		node, port % 2, node, port, port % 3, node, status, output),
	    200);
}

static void
the_same_question_gets_the_same_bytes(void **unused)
{
	struct blob *first;
	uint64_t index;

	(void)unused;
	add_web(1, 80, "passing", "fine");
	assert_status("GET /v1/health/service/web?passing", "", 200);
	assert_int_equal(answers_stats(api.answers).hits, 0);
	assert_int_equal(answers_stats(api.answers).count, 1);
	first = reply.shared;
	index = reply.index;
	assert_status("GET /v1/health/service/web?passing", "", 200);
	assert_int_equal(answers_stats(api.answers).hits, 1);
	assert_ptr_equal(reply.shared, first);
	assert_true(reply.index == index && reply.indexed);
	assert_string_equal(reply.content_type, "application/json");
	/* one that would wait if nothing had changed since another index is the same question */
	assert_status("GET /v1/health/service/web?index=1&passing&wait=5s", "", 200);
	assert_ptr_equal(reply.shared, first);
	assert_false(dispatched.hold);
	assert_status(line_of("GET /v1/health/service/web?wait=5s&passing&index=%llu",
			  (unsigned long long)index),
	    "", 200);
	assert_ptr_equal(reply.shared, first);
	assert_true(dispatched.hold);
	assert_int_equal(answers_stats(api.answers).count, 1);
}

static void
a_change_makes_it_anew(void **unused)
{
	uint64_t index;

	(void)unused;
	add_web(1, 80, "passing", "fine");
	assert_status("GET /v1/health/service/web?passing", "", 200);
	index = reply.index;
	add_web(2, 81, "passing", "fine");
	assert_status("GET /v1/health/service/web?passing", "", 200);
	assert_true(reply.index > index);
	assert_true(reply_has("web-2"));
	assert_int_equal(answers_stats(api.answers).hits, 0);
	assert_int_equal(answers_stats(api.answers).count, 1); /* the old one is gone */
}

static void
what_may_change_unseen_is_not_kept(void **unused)
{
	static const char *const lines[] = {
		"GET /v1/health/service/none",
		"GET /v1/health/service/WEB", /* another spelling may come */
		"GET /v1/health/service/web?near=_agent",
		"GET /v1/health/service/web?cached", /* has headers of its own */
		"GET /v1/health/service/web?passing=what",
		"GET /v1/catalog/services?filter=ServicePort==80",
		"GET /v1/agent/services",
		"GET /v1/kv/a",
	};

	(void)unused;
	add_web(1, 80, "passing", "fine");
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		ask(lines[i], "");
	assert_int_equal(answers_stats(api.answers).count, 0);
	assert_status("GET /v1/health/service/web", "", 200);
	assert_int_equal(answers_stats(api.answers).count, 1);
	api.ready = false;
	assert_status("GET /v1/health/service/web", "", 500);
}

static void
keys_leave_out_how_to_wait(void **unused)
{
	static const struct {
		const char *target, *key;
	} cases[] = {
		{ "/a", "/a" },
		{ "/a?", "/a?" },
		{ "/a?index=5", "/a" },
		{ "/a?index=5&wait=1s", "/a" },
		{ "/a?passing&index=5", "/a?passing" },
		{ "/a?index=5&passing", "/a?passing" },
		{ "/a?tag=x&wait=1s&tag=y&", "/a?tag=x&tag=y&" },
		{ "/a?index=5;passing", "/a?index=5;passing" }, /* two in Go's eyes */
		{ "/a?indexes=5", "/a?indexes=5" },
		{ "/a?&&", "/a?&&" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct str rest = str_of(cases[i].target);
		struct http_request req = { .target = rest, .arena = &arena };

		req.path = str_cut(&rest, '?');
		req.query = rest;
		assert_str(answers_key(&req), cases[i].key);
	}
}

static void
they_stay_within_their_bounds(void **unused)
{
	char output[700];

	(void)unused;
	memset(output, 'o', sizeof output - 1);
	output[sizeof output - 1] = '\0';
	for (unsigned n = 0; n < 8; n++)
		add_web(n, 80, "passing", output);
	for (unsigned n = 0; n < 3 * ANSWERS_MAX / 2; n++)
		assert_status(line_of("GET /v1/health/service/web?x=%u", n), "", 200);
	assert_true(answers_stats(api.answers).bytes <= ANSWERS_BYTES_MAX);
	assert_true(answers_stats(api.answers).bytes > ANSWERS_BYTES_MAX / 2);
	for (unsigned n = 0; n < 3 * ANSWERS_MAX / 2; n++)
		assert_status(line_of("GET /v1/catalog/services?x=%u", n), "", 200);
	assert_int_equal(answers_stats(api.answers).count, ANSWERS_MAX);
	assert_true(answers_stats(api.answers).bytes <= ANSWERS_BYTES_MAX);
}

/* Beside an agent that keeps nothing: the same questions after any change. */

static void
random_change(struct rng *rng)
{
	static const char *const states[] = { "passing", "warning", "critical" };
	unsigned node = rng_below(rng, 4);

	switch (rng_below(rng, 6)) {
	case 0:
		ask("PUT /v1/catalog/deregister",
		    line_of("{\"Node\":\"x%u\",\"ServiceID\":\"web-%u\"}", node, node));
		break;
	case 1:
		ask("PUT /v1/catalog/deregister", line_of("{\"Node\":\"x%u\"}", node));
		break;
	case 2:
		ask("PUT /v1/catalog/register",
		    line_of(WEB "\"SkipNodeUpdate\":false}", node, rng_below(rng, 2)));
		break;
	case 3:
		ask("PUT /v1/catalog/register",
		    line_of(WEB "\"Service\":{\"Service\":\"%s\",\"Port\":%u}}", node,
			rng_below(rng, 2), rng_below(rng, 2) ? "Web" : "db", rng_below(rng, 3)));
		break;
	case 4:
		ask("PUT /v1/catalog/register",
		    line_of(WEB "\"Check\":{\"CheckID\":\"n\",\"Name\":\"n\",\"Status\":\"%s\"}}",
			node, rng_below(rng, 2), states[rng_below(rng, 3)]));
		break;
	default:
		add_web(node, rng_below(rng, 4), states[rng_below(rng, 3)],
		    rng_below(rng, 2) ? "a" : "b");
	}
}

static void
they_are_never_stale(void **unused)
{
	static const char *const lines[] = {
		"GET /v1/health/service/web",
		"GET /v1/health/service/web?passing",
		"GET /v1/health/service/WEB?passing",
		"GET /v1/health/service/Web",
		"GET /v1/health/service/web?tag=t1&passing=1&pretty",
		"GET /v1/health/service/web?node-meta=rack:1",
		"GET /v1/health/service/db",
		"GET /v1/health/service/web?filter=Service.Port==2",
		"GET /v1/catalog/service/web",
		"GET /v1/catalog/service/web?tag=t2",
		"GET /v1/catalog/service/web?filter=NodeMeta.rack==1",
		"GET /v1/catalog/services",
		"GET /v1/catalog/services?node-meta=rack:1",
		"GET /v1/catalog/services?filter=ServicePort==2",
		"GET /v1/catalog/nodes",
		"GET /v1/catalog/nodes?filter=Meta.rack==0",
		"GET /v1/catalog/node/x1",
		"GET /v1/health/state/critical",
	};
	struct answers *kept = api.answers;
	struct rng rng;

	(void)unused;
	rng_init(&rng, 7);
	for (unsigned round = 0; round < 3000; round++) {
		now.mono += NSEC_MS;
		now.wall_ms++;
		if (rng_below(&rng, 3) > 0)
			random_change(&rng);
		for (unsigned n = 0; n < 3; n++) {
			const char *line = lines[rng_below(&rng, sizeof lines / sizeof lines[0])];
			struct buf with;
			uint64_t index;
			int status;

			buf_init(&with, 1 << 20);
			ask(line, "");
			buf_add(&with, reply_text());
			index = reply.index;
			status = reply.status;
			api.answers = NULL;
			ask(line, "");
			api.answers = kept;
			assert_int_equal(status, reply.status);
			assert_true(index == reply.index);
			if (!str_eq(buf_str(&with), buf_str(&body)))
				fail_msg("round %u: %s", round, line);
			buf_done(&with);
		}
	}
	assert_true(answers_stats(kept).hits > 1000);
	assert_true(answers_stats(kept).misses > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_same_question_gets_the_same_bytes, with_answers, without_answers),
		cmocka_unit_test_setup_teardown(
		    a_change_makes_it_anew, with_answers, without_answers),
		cmocka_unit_test_setup_teardown(
		    what_may_change_unseen_is_not_kept, with_answers, without_answers),
		cmocka_unit_test_setup_teardown(
		    keys_leave_out_how_to_wait, with_answers, without_answers),
		cmocka_unit_test_setup_teardown(
		    they_stay_within_their_bounds, with_answers, without_answers),
		cmocka_unit_test_setup_teardown(
		    they_are_never_stale, with_answers, without_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

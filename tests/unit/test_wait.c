/* Blocking queries: which wait, for how long, and which are answered at once. */
#include "agent/http/wait.h"
#include "tests/unit/test.h"

static struct arena arena;
static struct http_header params[HTTP_QUERY_PARAMS_MAX];
static struct http_request rq;
static struct http_reply rp;
static struct buf body;
static struct rng rng;
static struct wait_terms terms;

static void
query(const char *text)
{
	arena_reset(&arena);
	rq = (struct http_request){ .query = str_of(text),
		.params = params,
		.arena = &arena,
		.now = { .mono = 1000 * NSEC_SEC } };
	assert_true(request_params_read(&rq));
	reply_init(&rp, &body, false);
}

static bool
read_terms(const char *text)
{
	query(text);
	return wait_terms_read(&rq, &rng, &terms, &rp);
}

static void
refused(const char *text, const char *why)
{
	assert_false(read_terms(text));
	assert_int_equal(rp.status, 400);
	assert_str(buf_str(&body), why);
}

static void
waits_between(const char *text, nsec least, nsec most)
{
	for (int i = 0; i < 100; i++) {
		assert_true(read_terms(text));
		assert_true(terms.blocks);
		assert_in_range(terms.until - rq.now.mono, least, most);
	}
}

static void
terms_follow_the_parameters(void **unused)
{
	(void)unused;
	assert_true(read_terms("wait=5s"));
	assert_false(terms.blocks);
	assert_true(read_terms("index=0&wait=10s"));
	assert_false(terms.blocks);
	assert_true(read_terms("index=&wait="));
	assert_false(terms.blocks);
	waits_between("index=7", 5 * NSEC_MIN, 5 * NSEC_MIN + 5 * NSEC_MIN / 16);
	waits_between("index=7&wait=0s", 5 * NSEC_MIN, 5 * NSEC_MIN + 5 * NSEC_MIN / 16);
	waits_between("index=7&wait=20h", 10 * NSEC_MIN, 10 * NSEC_MIN + 10 * NSEC_MIN / 16);
	waits_between("index=7&wait=1.9843s", 1984 * NSEC_MS, 2109 * NSEC_MS);
	waits_between("index=7&wait=1ms", NSEC_MS, NSEC_MS + NSEC_MS / 16);
	waits_between("index=7&wait=1ns", 1, 1);
	waits_between("hash=abc&wait=1s", NSEC_SEC, NSEC_SEC + NSEC_SEC / 16);
}

static void
malformed_terms_are_refused(void **unused)
{
	(void)unused;
	refused("index=abc", "Invalid index");
	refused("index=-1", "Invalid index");
	refused("index=18446744073709551616", "Invalid index");
	refused("index=1&wait=5", "Invalid wait time");
	refused("index=x&wait=5", "Invalid wait time");
}

static void
consistency_must_be_one(void **unused)
{
	(void)unused;
	query("stale&consistent");
	assert_false(wait_consistency_read(&rq, &rp));
	assert_str(
	    buf_str(&body), "Cannot specify ?stale with ?consistent, conflicting semantics.");
	query("max_stale=ten");
	assert_false(wait_consistency_read(&rq, &rp));
	assert_str(buf_str(&body), "Invalid max_stale value \"ten\"");
	query("max_stale=10s&consistent");
	assert_false(wait_consistency_read(&rq, &rp));
	query("max_stale=10s&stale");
	assert_true(wait_consistency_read(&rq, &rp));
}

/* Whether a client with this index waits at an answer with that one; we are agent 5. */
static bool
holds(uint64_t asked, uint64_t index)
{
	struct index_clock clock;

	index_init(&clock, 5, 1000);
	terms = (struct wait_terms){ .blocks = asked > 0, .index = asked };
	rp = (struct http_reply){ .indexed = true, .index = index };
	return wait_holds(&terms, &rp, &clock);
}

#define INDEX(ms, tag) ((uint64_t)(ms) << INDEX_TAG_BITS | (tag))

static void
only_our_own_index_is_waited_for(void **unused)
{
	(void)unused;
	assert_false(holds(0, INDEX(10, 5)));
	assert_false(holds(INDEX(9, 5), INDEX(10, 5)));
	assert_true(holds(INDEX(10, 5), INDEX(10, 5)));
	assert_true(holds(INDEX(999, 5), INDEX(10, 5))); /* from the future */
	assert_false(holds(INDEX(10, 6), INDEX(10, 5)));
	assert_false(holds(INDEX(999, 6), INDEX(10, 5)));
	assert_true(holds(1, 0)); /* nothing has ever changed: no spinning */
	assert_false(holds(1, INDEX(10, 5)));
}

static void
a_hash_is_waited_for_until_it_differs(void **unused)
{
	struct index_clock clock;

	(void)unused;
	index_init(&clock, 5, 1000);
	terms = (struct wait_terms){ .blocks = true, .hash = STR("ab") };
	rp = (struct http_reply){ .hash_blocking = true, .hash = STR("ab") };
	assert_true(wait_holds(&terms, &rp, &clock));
	rp.hash = STR("ac");
	assert_false(wait_holds(&terms, &rp, &clock));
	rp = (struct http_reply){ .indexed = true, .index = 7 };
	assert_false(wait_holds(&terms, &rp, &clock)); /* this route knows no hash */
}

static void
an_index_without_order_is_waited_for_while_it_is_the_same(void **unused)
{
	struct index_clock clock;

	(void)unused;
	index_init(&clock, 5, 1000);
	terms = (struct wait_terms){ .blocks = true, .index = UINT64_MAX - 6 };
	rp = (struct http_reply){ .index_exact = true, .index = UINT64_MAX - 6 };
	assert_true(wait_holds(&terms, &rp, &clock));
	rp.index--;
	assert_false(wait_holds(&terms, &rp, &clock));
	terms.blocks = false;
	assert_false(wait_holds(&terms, &rp, &clock));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(terms_follow_the_parameters),
		cmocka_unit_test(malformed_terms_are_refused),
		cmocka_unit_test(consistency_must_be_one),
		cmocka_unit_test(only_our_own_index_is_waited_for),
		cmocka_unit_test(a_hash_is_waited_for_until_it_differs),
		cmocka_unit_test(an_index_without_order_is_waited_for_while_it_is_the_same),
	};
	int rc;

	arena_init(&arena, 64 * 1024);
	buf_init(&body, 4096);
	rng_init(&rng, 42);
	rc = cmocka_run_group_tests_name("wait", tests, NULL, NULL);
	arena_done(&arena);
	buf_done(&body);
	return rc;
}

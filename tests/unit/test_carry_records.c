/* External records along with an answer: from a server's store into that of an agent which has, has
 * not, or has only in part heard of them by gossip. */
#include "agent/http/carry.h"
#include "agent/http/carry_records.h"
#include "kv/delta.h"
#include "kv/entity.h"
#include "tests/unit/test.h"

static const struct uuid cluster = { { 9 } }, nobody;
static const struct now now = { 1000 * NSEC_SEC, 1800000000000 };
static struct store *server, *asker;
static struct owner *decided; /* by the log */
static struct buf bytes, room;

static struct store *
store_of(uint8_t id)
{
	struct store_config config = {
		.limits = owner_limits_default, .self = { { id } }, .epoch = { 1, id }
	};

	return store_new(&config, now);
}

static void
node_put(const char *name)
{
	struct node_info node = {
		.name = str_of(name), .address = STR("10.0.0.1"), .datacenter = STR("dc1")
	};
	struct owner_change change;

	buf_clear(&room);
	node_pack(&room, &node);
	assert_int_equal(
	    owner_put(decided, RECORD_NODE, node.name, buf_str(&room), &change, NULL), 1);
	owner_change_done(&change);
	store_cluster_take(server, now, &cluster, owner_digest(decided).epoch, decided, true);
}

static int
setup(void **unused)
{
	(void)unused;
	buf_init(&bytes, 1 << 20);
	buf_init(&room, CARRY_RECORDS_MAX + 4096);
	server = store_of(1);
	asker = store_of(2);
	decided = owner_new(&cluster, &owner_limits_default);
	owner_epoch_begin(decided, (struct epoch){ 1, 5 });
	owner_baseline_end(decided);
	node_put("x1");
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	store_free(server);
	store_free(asker);
	owner_free(decided);
	buf_done(&bytes);
	buf_done(&room);
	return 0;
}

/* What a request brings back that knows of `seen`; the count of bytes of records. */
static size_t
carried(const struct uuid *seen)
{
	struct http_request sent = { .method = HTTP_PUT, .path = STR("/v1/catalog/register") };
	struct http_position asks = { .agent = { { 2 } } }, sees = carry_position(asker, seen);
	struct http_request got = { 0 };
	struct str records;

	buf_clear(&bytes);
	carry_request_write(&bytes, &sent, STR("n2"), &asks, &sees);
	assert_int_equal(carry_request_read(buf_str(&bytes), &got, NULL), 0);
	assert_true(got.wants_records);
	buf_clear(&room);
	records = carry_records_for(server, &got, &room);
	assert_non_null(records.p);
	assert_true(carry_records_take(asker, now, &cluster, records));
	return records.n;
}

static bool
shows(const char *name)
{
	return catalog_node_find(store_catalog(asker), str_of(name)) != NULL;
}

static void
who_knows_no_cluster_yet_gets_and_shows_all(void **unused)
{
	(void)unused;
	assert_false(shows("x1"));
	carried(&nobody);
	assert_true(shows("x1"));
}

static void
who_knows_the_cluster_gets_what_it_lacks(void **unused)
{
	size_t first, second;

	(void)unused;
	first = carried(&cluster);
	assert_true(shows("x1"));
	node_put("x2");
	second = carried(&cluster);
	assert_true(shows("x2"));
	assert_true(second <= first); /* one record each */
	node_put("x3");
	assert_true(carried(&nobody) > second); /* not knowing is no harm */
	assert_true(shows("x1") && shows("x2") && shows("x3"));
}

static void
who_does_not_ask_gets_none(void **unused)
{
	struct http_request sent = { .method = HTTP_PUT, .path = STR("/v1/kv/a") }, got = { 0 };
	struct http_position asks = { .agent = { { 2 } } };

	(void)unused;
	carry_request_write(&bytes, &sent, STR("n2"), &asks, NULL);
	assert_int_equal(carry_request_read(buf_str(&bytes), &got, NULL), 0);
	assert_false(got.wants_records);
	assert_null(carry_records_for(server, &got, &room).p);
}

static void
a_server_without_records_answers_with_none(void **unused)
{
	struct http_request rq = { .wants_records = true };
	struct store *empty = store_of(3);
	struct str records = carry_records_for(empty, &rq, &bytes);

	(void)unused;
	assert_non_null(records.p);
	assert_int_equal(records.n, 0);
	store_free(empty);
}

static void
broken_ones_are_refused(void **unused)
{
	(void)unused;
	assert_false(carry_records_take(asker, now, &cluster, STR("\x01\x02")));
	assert_false(shows("x1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(who_knows_no_cluster_yet_gets_and_shows_all),
		T(who_knows_the_cluster_gets_what_it_lacks),
		T(who_does_not_ask_gets_none),
		T(a_server_without_records_answers_with_none),
		T(broken_ones_are_refused),
#undef T
	};

	return cmocka_run_group_tests_name("carry_records", tests, NULL, NULL);
}

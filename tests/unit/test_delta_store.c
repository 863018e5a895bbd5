/* Two agents' stores that hear of each other through digests and ranges alone. */
#include "kv/catalog.h"
#include "kv/delta.h"
#include "tests/unit/test.h"

static const struct now now = { NSEC_SEC, 1800000000000 };
static const struct uuid web1 = { { 1 } }, web2 = { { 2 } }, cluster = { { 3 } };

static struct store *
store_of(const struct uuid *self, uint64_t epoch)
{
	const struct store_config config = {
		.self = *self,
		.cluster = cluster,
		.epoch = { epoch, 7 },
		.limits = owner_limits_default,
		.unknown_bytes_max = 65536,
	};
	struct store *s = store_new(&config, now);

	store_member(s, now, &web1, STORE_MEMBER_ALIVE, 0);
	store_member(s, now, &web2, STORE_MEMBER_ALIVE, 0);
	return s;
}

static void
node(struct store *s, const struct uuid *id, const char *name)
{
	char text[UUID_TEXT_LEN + 1];
	struct node_info info = {
		.id = str_of(uuid_format(id, text)),
		.name = str_of(name),
		.address = STR("10.0.0.1"),
		.datacenter = STR("dc1"),
	};

	assert_int_equal(store_put_node(s, now, id, &info, NULL), 1);
}

static void
service(struct store *s, const struct uuid *owner, const char *name, int32_t port)
{
	struct service_info info = {
		.id = str_of(name),
		.name = str_of(name),
		.port = port,
		.weight_passing = 1,
		.weight_warning = 1,
	};

	assert_int_equal(store_put_service(s, now, owner, &info, NULL), 1);
}

/* `to` shows its digests to `from` and takes what it gets; how many ranges that were. */
static size_t
pull(struct store *to, const struct store *from, size_t *behind)
{
	struct buf digests, answer;
	struct reader r;
	size_t ranges = 0;

	buf_init(&digests, 65536);
	buf_init(&answer, 1 << 20);
	delta_digests(to, &digests);
	assert_int_equal(delta_answer(from, buf_str(&digests), 65536, &answer, behind, NULL), 0);
	for (r = rd_of(buf_str(&answer)); rd_left(&r) > 0; ranges++) {
		struct str range = rd_str(&r, (size_t)rd_varint(&r));
		struct store_needs needs;

		assert_true(rd_ok(&r));
		for (size_t n = 0; n < range.n; n++)
			assert_int_equal(
			    store_range(to, now, str_head(range, n), &needs, NULL), ERR_INPUT);
		assert_int_equal(store_range(to, now, range, &needs, NULL), 0);
		assert_false(needs.range);
	}
	buf_done(&digests);
	buf_done(&answer);
	return ranges;
}

/* "web:80 db:5432" in order of name. */
static void
assert_services(const struct store *s, const char *want)
{
	struct catalog_name *name = NULL;
	struct buf b;

	buf_init(&b, 4096);
	while ((name = catalog_name_next(store_catalog(s), name)) != NULL) {
		struct catalog_service *i = catalog_instance_next(name, NULL);

		buf_addf(&b, b.n > 0 ? " " STR_FMT ":%d" : STR_FMT ":%d", STR_ARG(name->name),
		    (int)i->info.port);
	}
	assert_str(buf_str(&b), want);
	buf_done(&b);
}

static void
two_stores_come_to_show_the_same(void **unused)
{
	struct store *a = store_of(&web1, 1), *b = store_of(&web2, 1);
	struct buf x, y;
	size_t behind;

	(void)unused;
	node(a, &web1, "web-1");
	node(b, &web2, "web-2");
	service(a, &web1, "web", 80);
	store_baseline_end(a, now);
	store_baseline_end(b, now);
	service(b, &web2, "db", 5432);
	assert_int_equal(pull(a, b, &behind), 1);
	assert_int_equal(behind, 1);
	assert_int_equal(pull(b, a, &behind), 1);
	assert_int_equal(behind, 0);
	assert_services(a, "db:5432 web:80");
	assert_services(b, "db:5432 web:80");
	assert_int_equal(store_remove_service(a, now, &web1, STR_NONE, STR("web")), 1);
	assert_int_equal(pull(b, a, &behind), 1);
	assert_services(b, "db:5432");
	assert_int_equal(pull(a, b, &behind) + pull(b, a, &behind), 0);

	buf_init(&x, 4096);
	buf_init(&y, 4096);
	delta_digests(a, &x);
	delta_digests(b, &y);
	assert_true(x.n > 0 && str_eq(buf_str(&x), buf_str(&y)));
	buf_done(&x);
	buf_done(&y);
	store_free(a);
	store_free(b);
}

static void
a_restarted_agent_never_vanishes_elsewhere(void **unused)
{
	struct store *a = store_of(&web1, 1), *b = store_of(&web2, 1);
	size_t behind;

	(void)unused;
	node(a, &web1, "web-1");
	service(a, &web1, "web", 80);
	service(a, &web1, "old", 1);
	store_baseline_end(a, now);
	store_baseline_end(b, now);
	pull(b, a, &behind);
	store_free(a);

	a = store_of(&web1, 2);
	assert_int_equal(pull(b, a, &behind), 0);
	node(a, &web1, "web-1");
	assert_int_equal(pull(b, a, &behind), 0);
	assert_services(b, "old:1 web:80");
	service(a, &web1, "web", 8080);
	pull(a, b, &behind); /* what others still hold of us changes nothing */
	assert_services(a, "web:8080");
	store_baseline_end(a, now);
	assert_int_equal(pull(b, a, &behind), 1);
	assert_services(b, "web:8080");
	store_free(a);
	store_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_stores_come_to_show_the_same),
		cmocka_unit_test(a_restarted_agent_never_vanishes_elsewhere),
	};

	return cmocka_run_group_tests_name("delta with stores", tests, NULL, NULL);
}

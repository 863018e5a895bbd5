/* Entities: what is packed comes back, equal values give equal bytes, bad bytes are refused. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "base/rng.h"
#include "kv/entity.h"

static struct str tags[] = { { "blue", 4 }, { "", 0 }, { "v1", 2 } };
static struct pair meta[] = { { { "a", 1 }, { "1", 1 } }, { { "b", 1 }, { "", 0 } } };
static struct tagged_address tagged[] = {
	{ { "lan", 3 }, { "10.0.0.1", 8 }, 80 },
	{ { "wan", 3 }, { "", 0 }, -1 },
};

static struct service_info
full_service(void)
{
	return (struct service_info){
		.node = STR("n1"),
		.id = STR("web-1"),
		.name = STR("web"),
		.kind = STR("connect-proxy"),
		.proxy_json = STR("{\"Mode\":\"\"}"),
		.connect_json = STR("{}"),
		.tags = tags,
		.tag_count = 3,
		.address = STR("10.0.0.7"),
		.port = -1,
		.meta = meta,
		.meta_count = 2,
		.tagged = tagged,
		.tagged_count = 2,
		.weight_passing = 10,
		.weight_warning = INT32_MIN,
		.enable_tag_override = true,
		.tags_set = true,
		.meta_set = true,
		.tagged_set = true,
	};
}

static void
assert_full_service(const struct service_info *s)
{
	assert_str(s->node, "n1");
	assert_str(s->id, "web-1");
	assert_str(s->name, "web");
	assert_str(s->kind, "connect-proxy");
	assert_str(s->proxy_json, "{\"Mode\":\"\"}");
	assert_str(s->connect_json, "{}");
	assert_int_equal(s->tag_count, 3);
	assert_str(s->tags[0], "blue");
	assert_str(s->tags[1], "");
	assert_str(s->tags[2], "v1");
	assert_str(s->address, "10.0.0.7");
	assert_int_equal(s->port, -1);
	assert_int_equal(s->meta_count, 2);
	assert_str(s->meta[0].key, "a");
	assert_str(s->meta[0].value, "1");
	assert_str(s->meta[1].key, "b");
	assert_str(s->meta[1].value, "");
	assert_int_equal(s->tagged_count, 2);
	assert_str(s->tagged[0].tag, "lan");
	assert_str(s->tagged[0].address, "10.0.0.1");
	assert_int_equal(s->tagged[0].port, 80);
	assert_str(s->tagged[1].tag, "wan");
	assert_int_equal(s->tagged[1].port, -1);
	assert_int_equal(s->weight_passing, 10);
	assert_int_equal(s->weight_warning, INT32_MIN);
	assert_true(s->enable_tag_override && s->tags_set && s->meta_set && s->tagged_set);
}

static void
service_comes_back_whole(void **unused)
{
	struct service_info in = full_service(), out;
	struct arena a;
	struct buf b;
	void *arrays;

	(void)unused;
	buf_init(&b, 4096);
	arena_init(&a, 4096);
	service_pack(&b, &in);
	assert_int_equal(service_unpack(&a, buf_str(&b), &out, NULL), 0);
	assert_full_service(&out);
	assert_int_equal(service_unpack_owned(&arrays, buf_str(&b), &out, NULL), 0);
	assert_full_service(&out);
	free(arrays);
	arena_done(&a);
	buf_done(&b);
}

static void
defaults_take_no_bytes(void **unused)
{
	struct service_info in = { .weight_passing = 1, .weight_warning = 1 }, out;
	struct buf b;
	void *arrays;

	(void)unused;
	buf_init(&b, 4096);
	service_pack(&b, &in);
	assert_int_equal(b.n, 0);
	assert_int_equal(service_unpack_owned(&arrays, STR_NONE, &out, NULL), 0);
	assert_null(arrays);
	assert_int_equal(out.weight_passing, 1);
	assert_int_equal(out.weight_warning, 1);
	assert_false(out.tags_set || out.meta_set || out.tagged_set);
	buf_done(&b);
}

static void
empty_and_null_are_two_things(void **unused)
{
	struct node_info in = { .name = STR("n"), .meta_set = true }, out;
	struct buf b;
	void *arrays;

	(void)unused;
	buf_init(&b, 4096);
	node_pack(&b, &in);
	assert_int_equal(node_unpack_owned(&arrays, buf_str(&b), &out, NULL), 0);
	assert_true(out.meta_set);
	assert_false(out.tagged_set);
	assert_int_equal(out.meta_count, 0);
	free(arrays);
	/* Values that are there imply "given", however the flag was. */
	in = (struct node_info){ .meta = meta, .meta_count = 2 };
	buf_clear(&b);
	node_pack(&b, &in);
	assert_int_equal(node_unpack_owned(&arrays, buf_str(&b), &out, NULL), 0);
	assert_true(out.meta_set);
	free(arrays);
	buf_done(&b);
}

static void
check_and_node_come_back(void **unused)
{
	struct check_info in = { .node = STR("n"),
		.id = STR("c"),
		.name = STR("C"),
		.status = STR("odd"),
		.notes = STR("note"),
		.output = STR("out\0put"),
		.service_id = STR("s"),
		.service_name = STR("S"),
		.service_tags = tags,
		.service_tag_count = 1,
		.type = STR("ttl"),
		.interval = STR("1s"),
		.timeout = STR("0s"),
		.definition_json = STR("{}") };
	struct node_info node = { .id = STR("i"),
		.name = STR("n"),
		.address = STR("a"),
		.datacenter = STR("dc1"),
		.tagged = meta,
		.tagged_count = 2 };
	struct check_info out;
	struct arena a;
	struct buf b;

	(void)unused;
	buf_init(&b, 4096);
	arena_init(&a, 4096);
	check_pack(&b, &in);
	assert_int_equal(check_unpack(&a, buf_str(&b), &out, NULL), 0);
	assert_str(out.node, "n");
	assert_str(out.id, "c");
	assert_str(out.name, "C");
	assert_str(out.status, "odd");
	assert_str(out.notes, "note");
	assert_true(str_eq(out.output, STR("out\0put")));
	assert_str(out.service_id, "s");
	assert_str(out.service_name, "S");
	assert_int_equal(out.service_tag_count, 1);
	assert_str(out.service_tags[0], "blue");
	assert_str(out.type, "ttl");
	assert_str(out.interval, "1s");
	assert_str(out.timeout, "0s");
	assert_str(out.definition_json, "{}");
	buf_clear(&b);
	node_pack(&b, &node);
	assert_int_equal(node_unpack(&a, buf_str(&b), &node, NULL), 0);
	assert_str(node.id, "i");
	assert_str(node.name, "n");
	assert_str(node.address, "a");
	assert_str(node.datacenter, "dc1");
	assert_str(node.tagged[1].key, "b");
	arena_done(&a);
	buf_done(&b);
}

static void
unknown_fields_are_skipped(void **unused)
{
	struct check_info out;
	void *arrays;

	(void)unused;
	assert_int_equal(check_unpack_owned(&arrays, STR("\2\1c\x20\3abc\x21\0"), &out, NULL), 0);
	assert_str(out.id, "c");
	assert_null(arrays);
}

static void
malformed_bytes_are_refused(void **unused)
{
	const struct str bad[] = {
		STR("\2"),                         /* no length */
		STR("\2\5abc"),                    /* too short */
		STR("\3\1x\2\1y"),                 /* tags fall */
		STR("\2\1x\2\1y"),                 /* a scalar twice */
		STR("\0\1x"),                      /* tag 0 */
		STR("\6\1\x80"),                   /* a varint without its end */
		STR("\6\2\1\1"),                   /* bytes left over */
		STR("\6\6\x80\x80\x80\x80\x80\1"), /* more than 32 bits */
		STR("\x0f\1x"),                    /* a flag with bytes */
		STR("\x0a\2\5a"),                  /* a key longer than its pair */
		STR("\x0c\2\1a"),                  /* an address without its port */
		STR("\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"),
	};
	struct service_info out;
	struct err err;
	void *arrays;

	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(service_unpack_owned(&arrays, bad[i], &out, &err), ERR_INPUT);
}

static void
every_truncation_and_noise_is_survived(void **unused)
{
	struct service_info in = full_service(), out;
	struct rng rng;
	struct buf b;

	(void)unused;
	buf_init(&b, 4096);
	service_pack(&b, &in);
	rng_init(&rng, 7);
	for (size_t n = 0; n < b.n; n++) {
		char *copy = malloc(n + 1); /* its own allocation: a step beyond is seen */
		void *arrays = NULL;

		memcpy(copy, b.p, n);
		if (service_unpack_owned(&arrays, str_mem(copy, n), &out, NULL) == 0)
			free(arrays);
		for (size_t i = 0; i < 50 && n > 0; i++) {
			copy[rng_below(&rng, (uint32_t)n)] ^= (char)(1 << rng_below(&rng, 8));
			if (service_unpack_owned(&arrays, str_mem(copy, n), &out, NULL) == 0)
				free(arrays);
		}
		free(copy);
	}
	buf_done(&b);
}

static void
arena_that_is_full_is_an_error(void **unused)
{
	struct service_info in = full_service(), out;
	struct arena a;
	struct buf b;

	(void)unused;
	buf_init(&b, 4096);
	arena_init(&a, 16);
	service_pack(&b, &in);
	assert_int_equal(service_unpack(&a, buf_str(&b), &out, NULL), ERR_MEMORY);
	arena_done(&a);
	buf_done(&b);
}

static void
pairs_are_sorted_and_the_last_given_stays(void **unused)
{
	struct pair p[] = {
		{ STR("b"), STR("1") },
		{ STR("a"), STR("2") },
		{ STR("b"), STR("3") },
		{ STR("c"), STR("4") },
		{ STR("a"), STR("5") },
	};

	(void)unused;
	assert_int_equal(pairs_sort(p, 5), 3);
	assert_str(p[0].key, "a");
	assert_str(p[0].value, "5");
	assert_str(p[1].key, "b");
	assert_str(p[1].value, "3");
	assert_str(p[2].key, "c");
	assert_int_equal(pairs_sort(NULL, 0), 0);
}

static void
status_words(void **unused)
{
	enum check_status s = CHECK_MAINT;

	(void)unused;
	assert_true(check_status_parse(STR("warning"), &s));
	assert_int_equal(s, CHECK_WARNING);
	assert_false(check_status_parse(STR("maintenance"), &s));
	assert_false(check_status_parse(STR("Passing"), &s));
	assert_int_equal(s, CHECK_WARNING);
	assert_int_equal(check_status_of(STR("passing")), CHECK_PASSING);
	assert_int_equal(check_status_of(STR("fine")), CHECK_CRITICAL);
	assert_str(check_status_text(CHECK_MAINT), "maintenance");
}

static void
a_coordinate_comes_back_to_the_billionth(void **unused)
{
	struct coordinate_info in = {
		.vec = { 0.0123456789, -0.5, 0, 1e-9, -3, 4, 100, -9999.999999999 },
		.error = 1.5,
		.adjustment = -0.000012345,
		.height = 1e-5,
	}, none = { 0 }, out;
	struct buf b;

	(void)unused;
	buf_init(&b, 1000);
	coordinate_pack(&b, &in);
	assert_true(b.n < 60);
	assert_int_equal(coordinate_unpack(buf_str(&b), &out, NULL), 0);
	for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
		assert_true(out.vec[i] - in.vec[i] < 1e-9 && in.vec[i] - out.vec[i] < 1e-9);
	assert_true(out.error == 1.5 && out.adjustment == -0.000012345 && out.height == 1e-5);
	for (size_t n = 0; n < b.n; n++) /* a cut body is refused, or ends between two fields */
		if (coordinate_unpack(str_head(buf_str(&b), n), &out, NULL) == 0)
			assert_true(out.height == 0);
	buf_clear(&b);
	coordinate_pack(&b, &none);
	assert_int_equal(b.n, 0);
	in = (struct coordinate_info){ .vec = { 1e300, -1e300 }, .error = 0.0 / none.height };
	coordinate_pack(&b, &in);
	assert_int_equal(b.n, 0); /* what is no number is not carried */
	buf_clear(&b);
	buf_add(&b, STR("\x02\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
	assert_int_equal(coordinate_unpack(buf_str(&b), &out, NULL), ERR_INPUT);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(service_comes_back_whole),
		cmocka_unit_test(defaults_take_no_bytes),
		cmocka_unit_test(empty_and_null_are_two_things),
		cmocka_unit_test(check_and_node_come_back),
		cmocka_unit_test(unknown_fields_are_skipped),
		cmocka_unit_test(malformed_bytes_are_refused),
		cmocka_unit_test(every_truncation_and_noise_is_survived),
		cmocka_unit_test(arena_that_is_full_is_an_error),
		cmocka_unit_test(pairs_are_sorted_and_the_last_given_stays),
		cmocka_unit_test(status_words),
		cmocka_unit_test(a_coordinate_comes_back_to_the_billionth),
	};

	return cmocka_run_group_tests_name("entity", tests, NULL, NULL);
}

/* tests/fuzz/fuzz_filter.c -- any filter, over one entry of every kind.
 *
 * Input: the expression. One that is taken either holds for an entry or its negation does, unless
 * the steps for regular expressions were used up.
 */
#include <string.h>

#include "agent/http/filter_fields.h"
#include "tests/fuzz/fuzz.h"

static struct pair meta[] = { { { "a", 1 }, { "1", 1 } }, { { "b-c", 3 }, { "aaaaaaaaab", 10 } } };
static struct tagged_address tagged[] = { { { "lan", 3 }, { "10.0.0.1", 8 }, 80 } };
static struct str tags[] = { { "red", 3 }, { "", 0 } };

/* 1 or 0: whether it holds; -1: refused or given up. */
static int
holds(struct arena *arena, const struct filter_schema *schema, struct str text)
{
	const struct node_info node = { .name = STR("web-1"),
		.tagged = meta,
		.tagged_count = 1,
		.meta = meta,
		.meta_count = 2 };
	const struct service_info service = { .name = STR("shop"),
		.tags = tags,
		.tag_count = 2,
		.port = 80,
		.meta = meta,
		.meta_count = 2,
		.tagged = tagged,
		.tagged_count = 1,
		.proxy_json = STR("{\"Upstreams\":[{\"LocalBindPort\":1},{}],\"Mode\":7}") };
	const struct check_info check = { .id = STR("c"),
		.output = STR("line\xff\n\0 two"),
		.service_tags = tags,
		.service_tag_count = 1 };
	const struct filter_entry entry = { .node = &node, .service = &service, .check = &check };
	struct http_reply reply;
	struct filter *f;
	struct buf body;
	struct err err;
	bool held, done;

	if (filter_new(arena, schema, text, &f, &err) != 0) {
		FUZZ_ASSERT(strlen(err.text) > 0);
		return -1;
	}
	held = filter_holds(f, &entry);
	buf_init(&body, 1024);
	reply_init(&reply, &body, false);
	done = filter_done(f, &reply);
	buf_done(&body);
	return done ? held : -1;
}

static void
try_schema(const struct filter_schema *schema, struct str text)
{
	struct buf opposite;
	struct arena arena;
	int one, other;

	arena_init(&arena, 8 << 20);
	buf_init(&opposite, text.n + 6);
	buf_add(&opposite, STR("not ("));
	buf_add(&opposite, text);
	buf_addc(&opposite, ')');
	one = holds(&arena, schema, text);
	other = holds(&arena, schema, buf_str(&opposite));
	FUZZ_ASSERT(one < 0 || other < 0 || one != other);
	buf_done(&opposite);
	arena_done(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_mem(data, size);

	try_schema(&filter_nodes, text);
	try_schema(&filter_instances, text);
	try_schema(&filter_services, text);
	try_schema(&filter_checks, text);
	return 0;
}

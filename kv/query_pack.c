/* kv/query_pack.c -- a definition as bytes, and which instances it takes.
 *
 * Version, flags, then every text and list in the order of struct query_info: texts with their
 * length, lists with the number of their elements.
 */
#include "kv/fsm_priv.h"
#include "kv/query.h"

#define PACK_VERSION 1

enum pack_flags {
	PACK_REMOVE_EMPTY_TAGS = 1,
	PACK_ONLY_PASSING = 2,
	PACK_CONNECT = 4,
	PACK_DATACENTERS = 8, /* this and those below: the list was given */
	PACK_IGNORE_CHECKS = 16,
	PACK_TAGS = 32,
	PACK_NODE_META = 64,
	PACK_SERVICE_META = 128,
	PACK_ALL = 255,
};

static void
add_text(struct buf *b, struct str s)
{
	fsm_add_varint(b, s.n);
	buf_add(b, s);
}

static void
add_strs(struct buf *b, const struct query_strs *list)
{
	fsm_add_varint(b, list->count);
	for (size_t i = 0; i < list->count; i++)
		add_text(b, list->of[i]);
}

static void
add_pairs(struct buf *b, const struct query_pairs *list)
{
	fsm_add_varint(b, list->count);
	for (size_t i = 0; i < list->count; i++) {
		add_text(b, list->of[i].key);
		add_text(b, list->of[i].value);
	}
}

static unsigned
flags_of(const struct query_info *q)
{
	return (q->remove_empty_tags ? PACK_REMOVE_EMPTY_TAGS : 0u) |
	       (q->only_passing ? PACK_ONLY_PASSING : 0u) | (q->connect ? PACK_CONNECT : 0u) |
	       (q->datacenters.set ? PACK_DATACENTERS : 0u) |
	       (q->ignore_checks.set ? PACK_IGNORE_CHECKS : 0u) | (q->tags.set ? PACK_TAGS : 0u) |
	       (q->node_meta.set ? PACK_NODE_META : 0u) |
	       (q->service_meta.set ? PACK_SERVICE_META : 0u);
}

void
query_pack(struct buf *b, const struct query_info *q)
{
	buf_addc(b, PACK_VERSION);
	fsm_add_varint(b, flags_of(q));
	add_text(b, q->name);
	add_text(b, q->session);
	add_text(b, q->token);
	add_text(b, q->template_type);
	add_text(b, q->regexp);
	add_text(b, q->service);
	fsm_add_varint(b, (uint64_t)q->nearest_n);
	add_strs(b, &q->datacenters);
	add_strs(b, &q->ignore_checks);
	add_text(b, q->near);
	add_strs(b, &q->tags);
	add_pairs(b, &q->node_meta);
	add_pairs(b, &q->service_meta);
	add_text(b, q->ttl);
}

static struct str
read_text(struct reader *r)
{
	return fsm_read_text(r, QUERY_BODY_MAX);
}

/* The number of elements of a list, which has room for them in the arena. */
static size_t
read_count(struct reader *r, bool set)
{
	uint64_t n = rd_varint(r);

	if (n > QUERY_LIST_MAX || (!set && n > 0))
		rd_fail(r);
	return rd_ok(r) ? (size_t)n : 0;
}

static void
read_strs(struct reader *r, struct arena *arena, bool set, struct query_strs *out)
{
	size_t n = read_count(r, set);
	struct str *of = arena_array(arena, struct str, n + 1);

	if (of == NULL)
		rd_fail(r);
	for (size_t i = 0; i < n && rd_ok(r); i++)
		of[i] = read_text(r);
	*out = (struct query_strs){ of, n, set };
}

static void
read_pairs(struct reader *r, struct arena *arena, bool set, struct query_pairs *out)
{
	size_t n = read_count(r, set);
	struct pair *of = arena_array(arena, struct pair, n + 1);

	if (of == NULL)
		rd_fail(r);
	for (size_t i = 0; i < n && rd_ok(r); i++) {
		of[i].key = read_text(r);
		of[i].value = read_text(r);
	}
	*out = (struct query_pairs){ of, n, set };
}

int
query_unpack(struct arena *arena, struct str body, struct query_info *out, struct err *err)
{
	struct reader r = rd_of(body);
	uint8_t version = rd_u8(&r);
	uint64_t flags = rd_varint(&r), nearest;
	struct query_info q = {
		.remove_empty_tags = (flags & PACK_REMOVE_EMPTY_TAGS) != 0,
		.only_passing = (flags & PACK_ONLY_PASSING) != 0,
		.connect = (flags & PACK_CONNECT) != 0,
	};

	if (version != PACK_VERSION || flags > PACK_ALL)
		rd_fail(&r);
	q.name = read_text(&r);
	q.session = read_text(&r);
	q.token = read_text(&r);
	q.template_type = read_text(&r);
	q.regexp = read_text(&r);
	q.service = read_text(&r);
	nearest = rd_varint(&r);
	read_strs(&r, arena, (flags & PACK_DATACENTERS) != 0, &q.datacenters);
	read_strs(&r, arena, (flags & PACK_IGNORE_CHECKS) != 0, &q.ignore_checks);
	q.near = read_text(&r);
	read_strs(&r, arena, (flags & PACK_TAGS) != 0, &q.tags);
	read_pairs(&r, arena, (flags & PACK_NODE_META) != 0, &q.node_meta);
	read_pairs(&r, arena, (flags & PACK_SERVICE_META) != 0, &q.service_meta);
	q.ttl = read_text(&r);
	if (nearest > INT64_MAX)
		rd_fail(&r);
	if (!rd_ok(&r) || rd_left(&r) > 0)
		return err_set(err, ERR_INPUT, "the definition of a query is broken");
	q.nearest_n = (int64_t)nearest;
	*out = q;
	return 0;
}

/* --- which instances --- */

static bool
check_counts(const struct query_info *q, const struct catalog_check *c)
{
	for (size_t i = 0; i < q->ignore_checks.count; i++)
		if (str_eq(q->ignore_checks.of[i], c->info.id))
			return false;
	return true;
}

static bool
check_lets(const struct query_info *q, const struct catalog_check *c)
{
	if (c->status <= (q->only_passing ? CHECK_PASSING : CHECK_WARNING))
		return true;
	return !check_counts(q, c);
}

static bool
healthy(const struct query_info *q, const struct catalog_service *s)
{
	const struct catalog_check *c = NULL;

	if (s->health <= (q->only_passing ? CHECK_PASSING : CHECK_WARNING))
		return true;
	if (q->ignore_checks.count == 0)
		return false;
	while ((c = catalog_node_check_next(s->node, c)) != NULL)
		if (!check_lets(q, c))
			return false;
	while ((c = catalog_service_check_next(s, c)) != NULL)
		if (!check_lets(q, c))
			return false;
	return true;
}

static bool
tag_there(const struct service_info *s, struct str tag)
{
	for (size_t i = 0; i < s->tag_count; i++)
		if (str_eq_nocase(s->tags[i], tag))
			return true;
	return false;
}

static bool
tags_fit(const struct query_strs *wanted, const struct service_info *s)
{
	for (size_t i = 0; i < wanted->count; i++) {
		struct str tag = wanted->of[i];
		bool must = tag.n == 0 || tag.p[0] != '!';

		if (tag_there(s, must ? tag : str_skip(tag, 1)) != must)
			return false;
	}
	return true;
}

static bool
meta_fits(const struct query_pairs *wanted, const struct pair *meta, size_t count)
{
	for (size_t i = 0; i < wanted->count; i++) {
		bool found = false;

		for (size_t k = 0; k < count && !found; k++)
			found = str_eq(wanted->of[i].key, meta[k].key) &&
				str_eq(wanted->of[i].value, meta[k].value);
		if (!found)
			return false;
	}
	return true;
}

bool
query_takes(const struct query_info *q, const struct catalog_service *s)
{
	return healthy(q, s) && tags_fit(&q->tags, &s->info) &&
	       meta_fits(&q->node_meta, s->node->info.meta, s->node->info.meta_count) &&
	       meta_fits(&q->service_meta, s->info.meta, s->info.meta_count);
}

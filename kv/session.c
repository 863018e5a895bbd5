/* kv/session.c -- the table of sessions in three orders: id, node, deadline.
 *
 * A session never changes after its creation but for its deadline, so one block of memory holds
 * it with its texts. Invariant: by_due holds exactly the sessions with `timed`.
 */
#include "kv/session.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

RB_HEAD(session_ids, session);
RB_HEAD(session_nodes, session);
RB_HEAD(session_dues, session);

struct sessions {
	struct session_ids ids;
	struct session_nodes nodes;
	struct session_dues dues;
	struct watches *watches; /* borrowed; may be NULL */
	uint64_t index;
	size_t count;
	bool leading;
};

static int
id_cmp(const struct session *a, const struct session *b)
{
	return uuid_cmp(&a->info.id, &b->info.id);
}

static int
node_cmp(const struct session *a, const struct session *b)
{
	int c = str_cmp(a->info.node, b->info.node);

	return c != 0 ? c : id_cmp(a, b);
}

static int
due_cmp(const struct session *a, const struct session *b)
{
	if (a->due != b->due)
		return a->due < b->due ? -1 : 1;
	return id_cmp(a, b);
}

RB_GENERATE_INTERNAL(session_ids, session, by_id, id_cmp, static __attribute__((unused)))
RB_GENERATE_INTERNAL(session_nodes, session, by_node, node_cmp, static __attribute__((unused)))
RB_GENERATE_INTERNAL(session_dues, session, by_due, due_cmp, static __attribute__((unused)))

struct sessions *
sessions_new(struct watches *watches)
{
	struct sessions *s = mem_new(struct sessions);

	RB_INIT(&s->ids);
	RB_INIT(&s->nodes);
	RB_INIT(&s->dues);
	s->watches = watches;
	return s;
}

void
sessions_free(struct sessions *s)
{
	struct session *one;

	if (s == NULL)
		return;
	while ((one = RB_MIN(session_ids, &s->ids)) != NULL) {
		RB_REMOVE(session_ids, &s->ids, one);
		free(one);
	}
	free(s);
}

void
sessions_watches_set(struct sessions *s, struct watches *watches)
{
	s->watches = watches;
}

bool
sessions_leading(const struct sessions *s)
{
	return s->leading;
}

nsec
session_span(nsec ttl)
{
	return 2 * ttl - nsec_min(SESSION_GRACE, ttl / 10);
}

static void
due_clear(struct sessions *s, struct session *one)
{
	if (one->timed)
		RB_REMOVE(session_dues, &s->dues, one);
	one->timed = false;
}

static void
due_set(struct sessions *s, struct session *one, nsec due)
{
	due_clear(s, one);
	one->due = due;
	one->timed = true;
	RB_INSERT(session_dues, &s->dues, one);
}

static struct str
text_keep(char **at, struct str s)
{
	char *p = *at;

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return str_mem(p, s.n);
}

static struct session *
session_insert(struct sessions *s, const struct session_info *info)
{
	struct session *one;
	char *at;

	if (session_find(s, &info->id) != NULL)
		return NULL;
	one = mem_zalloc(sizeof *one + info->name.n + info->node.n + info->ttl_text.n +
	                 info->node_checks.bytes.n + info->service_checks.bytes.n);
	at = (char *)(one + 1);
	one->info = *info;
	one->info.name = text_keep(&at, info->name);
	one->info.node = text_keep(&at, info->node);
	one->info.ttl_text = text_keep(&at, info->ttl_text);
	one->info.node_checks.bytes = text_keep(&at, info->node_checks.bytes);
	one->info.service_checks.bytes = text_keep(&at, info->service_checks.bytes);
	LIST_INIT(&one->keys);
	RB_INSERT(session_ids, &s->ids, one);
	RB_INSERT(session_nodes, &s->nodes, one);
	s->count++;
	return one;
}

static void
session_touch(struct sessions *s, const struct session *one, uint64_t index)
{
	struct str id = str_mem(one->info.id.b, sizeof one->info.id.b);

	sessions_index_raise(s, index);
	if (s->watches == NULL)
		return;
	/* none lives on unwatched: indexes are answered from the table */
	watch_touch(s->watches, (struct watch_key){ WATCH_SESSIONS, STR_NONE }, index, false);
	watch_touch(s->watches, (struct watch_key){ WATCH_SESSION, id }, index, false);
	watch_touch(s->watches, (struct watch_key){ WATCH_SESSION_NODE, one->info.node }, index,
	    false);
}

bool
session_add(struct sessions *s, nsec now, uint64_t index, const struct session_info *info)
{
	struct session *one = session_insert(s, info);

	if (one == NULL)
		return false;
	one->info.create = one->info.modify = index;
	if (s->leading && one->info.ttl > 0)
		due_set(s, one, now + session_span(one->info.ttl));
	session_touch(s, one, index);
	return true;
}

bool
session_load(struct sessions *s, const struct session_info *info)
{
	return session_insert(s, info) != NULL;
}

void
session_remove(struct sessions *s, uint64_t index, struct session *one)
{
	assert(LIST_EMPTY(&one->keys));
	due_clear(s, one);
	RB_REMOVE(session_ids, &s->ids, one);
	RB_REMOVE(session_nodes, &s->nodes, one);
	s->count--;
	session_touch(s, one, index);
	free(one);
}

struct session *
session_find(const struct sessions *s, const struct uuid *id)
{
	struct session *one = RB_ROOT(&s->ids);

	while (one != NULL) {
		int c = uuid_cmp(id, &one->info.id);

		if (c == 0)
			break;
		one = c < 0 ? RB_LEFT(one, by_id) : RB_RIGHT(one, by_id);
	}
	return one;
}

struct session *
session_first(const struct sessions *s)
{
	struct session *one = RB_ROOT(&s->ids);

	while (one != NULL && RB_LEFT(one, by_id) != NULL)
		one = RB_LEFT(one, by_id);
	return one;
}

struct session *
session_next(const struct sessions *s, struct session *one)
{
	(void)s;
	return session_ids_RB_NEXT(one);
}

struct session *
session_node_first(const struct sessions *s, struct str node)
{
	struct session *one = RB_ROOT(&s->nodes), *best = NULL;

	while (one != NULL) {
		int c = str_cmp(node, one->info.node);

		if (c == 0)
			best = one;
		one = c <= 0 ? RB_LEFT(one, by_node) : RB_RIGHT(one, by_node);
	}
	return best;
}

struct session *
session_node_next(const struct sessions *s, struct session *one)
{
	struct session *next = session_nodes_RB_NEXT(one);

	(void)s;
	return next != NULL && str_eq(next->info.node, one->info.node) ? next : NULL;
}

size_t
session_count(const struct sessions *s)
{
	return s->count;
}

uint64_t
sessions_index(const struct sessions *s)
{
	return s->index;
}

void
sessions_index_raise(struct sessions *s, uint64_t index)
{
	if (index > s->index)
		s->index = index;
}

uint64_t
session_index(const struct sessions *s, const struct uuid *id)
{
	const struct session *one = session_find(s, id);

	return one != NULL ? one->info.modify : s->index;
}

void
sessions_lead(struct sessions *s, nsec now)
{
	struct session *one;

	s->leading = true;
	RB_FOREACH(one, session_ids, &s->ids) {
		one->ending = false;
		if (one->info.ttl > 0)
			due_set(s, one, now + session_span(one->info.ttl));
	}
}

void
sessions_follow(struct sessions *s)
{
	struct session *one;

	s->leading = false;
	while ((one = RB_MIN(session_dues, &s->dues)) != NULL)
		due_clear(s, one);
}

struct session *
session_renew(struct sessions *s, const struct uuid *id, nsec now)
{
	struct session *one = session_find(s, id);

	if (one == NULL || one->ending)
		return NULL;
	if (s->leading && one->info.ttl > 0)
		due_set(s, one, now + session_span(one->info.ttl));
	return one;
}

nsec
sessions_deadline(const struct sessions *s)
{
	const struct session *one = RB_ROOT(&s->dues);

	while (one != NULL && RB_LEFT(one, by_due) != NULL)
		one = RB_LEFT(one, by_due);
	return one == NULL ? NSEC_NEVER : one->due;
}

bool
session_expired_next(struct sessions *s, nsec now, struct uuid *out)
{
	struct session *one = RB_MIN(session_dues, &s->dues);

	if (one == NULL || one->due > now)
		return false;
	one->ending = true;
	due_set(s, one, now + SESSION_END_RETRY);
	*out = one->info.id;
	return true;
}

bool
session_check_next(struct reader *r, struct str *id)
{
	uint64_t n;

	if (rd_left(r) == 0)
		return false;
	n = rd_varint(r);
	if (n > SESSION_TEXT_MAX)
		rd_fail(r);
	*id = rd_str(r, (size_t)n);
	return rd_ok(r);
}

static void
text_write(struct writer *w, struct str s)
{
	wr_varint(w, s.n);
	wr_bytes(w, s);
}

static struct str
text_read(struct reader *r)
{
	uint64_t n = rd_varint(r);

	if (n > SESSION_TEXT_MAX)
		rd_fail(r);
	return rd_str(r, (size_t)n);
}

static void
checks_write(struct writer *w, const struct session_checks *c)
{
	wr_u8(w, c->null);
	wr_varint(w, c->count);
	wr_bytes(w, c->bytes);
}

static void
checks_read(struct reader *r, struct session_checks *c)
{
	uint8_t null = rd_u8(r);
	uint64_t count = rd_varint(r);
	size_t from = r->pos;

	if (null > 1 || count > SESSION_CHECKS_MAX || (null == 1 && count > 0))
		rd_fail(r);
	for (uint64_t i = 0; i < count && rd_ok(r); i++)
		text_read(r);
	*c = (struct session_checks){ null == 1, (size_t)count, STR_NONE };
	if (rd_ok(r))
		c->bytes = str_mem(r->base + from, r->pos - from);
}

void
session_write(struct writer *w, const struct session_info *s)
{
	wr_bytes(w, str_mem(s->id.b, sizeof s->id.b));
	text_write(w, s->name);
	text_write(w, s->node);
	text_write(w, s->ttl_text);
	wr_varint(w, (uint64_t)s->ttl);
	wr_varint(w, (uint64_t)s->lock_delay);
	wr_u8(w, (uint8_t)s->behavior);
	checks_write(w, &s->node_checks);
	checks_write(w, &s->service_checks);
}

size_t
session_write_len(const struct session_info *s)
{
	return 80 + s->name.n + s->node.n + s->ttl_text.n + s->node_checks.bytes.n +
	       s->service_checks.bytes.n;
}

void
session_read(struct reader *r, struct session_info *out)
{
	struct session_info s = { 0 };
	const uint8_t *id = rd_take(r, sizeof s.id.b);
	uint64_t ttl, delay;
	uint8_t behavior;

	if (id != NULL)
		memcpy(s.id.b, id, sizeof s.id.b);
	s.name = text_read(r);
	s.node = text_read(r);
	s.ttl_text = text_read(r);
	ttl = rd_varint(r);
	delay = rd_varint(r);
	behavior = rd_u8(r);
	checks_read(r, &s.node_checks);
	checks_read(r, &s.service_checks);
	if (ttl > (uint64_t)SESSION_TTL_MAX || delay > INT64_MAX / 4 || behavior > SESSION_DELETE)
		rd_fail(r);
	if (!rd_ok(r))
		return;
	s.ttl = (nsec)ttl;
	s.lock_delay = (nsec)delay;
	s.behavior = (enum session_behavior)behavior;
	*out = s;
}

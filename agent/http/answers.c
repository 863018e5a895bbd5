/* agent/http/answers.c -- a table of answers by their key, in order of use (see answers.h).
 *
 * One that is found untrue is dropped at once, so the table never holds two of a key. When
 * nothing at all has changed since an answer was last looked at, the indexes of its scopes are
 * not asked for.
 */
#include "agent/http/answers.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>

#include "base/blob.h"
#include "base/mem.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct answer {
	LIST_ENTRY(answer) same; /* of one bucket */
	TAILQ_ENTRY(answer) use; /* the one asked for last comes first */
	uint64_t hash;           /* of the key */
	uint64_t changes;        /* true when watch_changes() was this */
	struct blob *body, *packed; /* packed: as gzip; NULL until somebody has asked for it */
	uint64_t body_hash, index;
	const char *content_type;
	const struct route *route;
	struct str key; /* it and the names of scopes are behind the struct */
	size_t bytes, read_count;
	struct {
		struct watch_key key;
		uint64_t index;
	} reads[WATCH_KEYS_MAX];
};
LIST_HEAD(answer_bucket, answer);

struct answers {
	TAILQ_HEAD(answers_by_use, answer) by_use; /* never empty of what was kept last */
	struct answers_stats stats;
	struct answer_bucket buckets[ANSWERS_MAX];
};

struct answers *
answers_new(void)
{
	struct answers *a = mem_new(struct answers);

	TAILQ_INIT(&a->by_use);
	return a;
}

static void
answer_drop(struct answers *a, struct answer *one)
{
	LIST_REMOVE(one, same);
	TAILQ_REMOVE(&a->by_use, one, use);
	a->stats.count--;
	a->stats.bytes -= one->bytes;
	blob_unref(one->body);
	blob_unref(one->packed);
	free(one);
}

void
answers_free(struct answers *a)
{
	struct answer *one;

	if (a == NULL)
		return;
	while ((one = TAILQ_FIRST(&a->by_use)) != NULL)
		answer_drop(a, one);
	free(a);
}

static bool
answer_true(struct answer *one, const struct watches *watches)
{
	uint64_t changes = watch_changes(watches);

	if (one->changes == changes)
		return true;
	for (size_t i = 0; i < one->read_count; i++)
		if (watch_index(watches, one->reads[i].key) != one->reads[i].index)
			return false;
	one->changes = changes;
	return true;
}

static struct answer *
answer_of(struct answers *a, uint64_t hash, struct str key)
{
	struct answer *one;

	LIST_FOREACH (one, &a->buckets[hash & (ANSWERS_MAX - 1)], same)
		if (one->hash == hash && str_eq(one->key, key))
			return one;
	return NULL;
}

static void
answer_give(const struct answer *one, struct http_reply *rp)
{
	rp->content_type = one->content_type;
	rp->keep.route = one->route;
	rp->shared = one->body;
	rp->packed = one->packed;
	rp->body_hash = one->body_hash;
	rp->indexed = true;
	rp->index = one->index;
	rp->read_count = one->read_count;
	for (size_t i = 0; i < one->read_count; i++)
		rp->reads[i] = one->reads[i].key;
}

bool
answers_find(
    struct answers *a, const struct watches *watches, struct str key, struct http_reply *rp)
{
	struct answer *one = answer_of(a, XXH3_64bits(key.p, key.n), key);

	if (one != NULL && !answer_true(one, watches)) {
		answer_drop(a, one);
		one = NULL;
	}
	if (one == NULL) {
		a->stats.misses++;
		return false;
	}
	a->stats.hits++;
	if (one != TAILQ_FIRST(&a->by_use)) {
		TAILQ_REMOVE(&a->by_use, one, use);
		TAILQ_INSERT_HEAD(&a->by_use, one, use);
	}
	answer_give(one, rp);
	return true;
}

/* Everything of a reply that is not in an answer must be as reply_init() has left it. */
static bool
may_keep(const struct http_reply *rp, struct str key)
{
	return rp->lasting && rp->status == 200 && rp->indexed && rp->read_count > 0 &&
	       rp->extra_count == 0 && rp->stream == NULL && rp->later == 0 &&
	       rp->wait_until == 0 && !rp->index_exact && !rp->index_keys && !rp->leaderless &&
	       rp->contact_ms == 0 && !rp->hash_blocking && !rp->body->full &&
	       rp->body->n <= ANSWERS_ONE_MAX && key.n > 0 && key.n <= HTTP_HEAD_BYTES_MAX;
}

static struct str
copy_behind(char **at, struct str s)
{
	struct str copy = str_mem(*at, s.n);

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static struct answer *
answer_new(const struct watches *watches, struct str key, const struct http_reply *rp)
{
	size_t n = sizeof(struct answer) + key.n;
	struct answer *one;
	char *at;

	for (size_t i = 0; i < rp->read_count; i++)
		n += rp->reads[i].name.n;
	one = mem_zalloc(n);
	at = (char *)(one + 1);
	one->hash = XXH3_64bits(key.p, key.n);
	one->changes = watch_changes(watches);
	one->body = blob_new(buf_str(rp->body));
	one->body_hash = XXH3_64bits(rp->body->p, rp->body->n);
	one->index = rp->index;
	one->content_type = rp->content_type;
	one->route = rp->keep.route;
	one->key = copy_behind(&at, key);
	one->bytes = n + sizeof *one->body + rp->body->n;
	one->read_count = rp->read_count;
	for (size_t i = 0; i < rp->read_count; i++) {
		one->reads[i].key.kind = rp->reads[i].kind;
		one->reads[i].key.name = copy_behind(&at, rp->reads[i].name);
		one->reads[i].index = watch_index(watches, rp->reads[i]);
	}
	return one;
}

void
answers_keep(
    struct answers *a, const struct watches *watches, struct str key, struct http_reply *rp)
{
	struct answer *one;

	if (!may_keep(rp, key))
		return;
	one = answer_of(a, XXH3_64bits(key.p, key.n), key);
	if (one != NULL)
		answer_drop(a, one);
	one = answer_new(watches, key, rp);
	LIST_INSERT_HEAD(&a->buckets[one->hash & (ANSWERS_MAX - 1)], one, same);
	TAILQ_INSERT_HEAD(&a->by_use, one, use);
	a->stats.count++;
	a->stats.bytes += one->bytes;
	while (a->stats.count > ANSWERS_MAX || a->stats.bytes > ANSWERS_BYTES_MAX)
		answer_drop(a, TAILQ_LAST(&a->by_use, answers_by_use));
	answer_give(one, rp);
}

void
answers_pack(struct answers *a, const struct blob *given, struct blob *packed)
{
	struct answer *one = TAILQ_FIRST(&a->by_use);

	if (one == NULL || one->body != given || one->packed != NULL)
		return;
	one->packed = blob_ref(packed);
	one->bytes += sizeof *packed + packed->n;
	a->stats.bytes += sizeof *packed + packed->n;
	while (a->stats.bytes > ANSWERS_BYTES_MAX && TAILQ_NEXT(one, use) != NULL)
		answer_drop(a, TAILQ_LAST(&a->by_use, answers_by_use));
}

static bool
says_how_to_wait(struct str param)
{
	struct str whole = param, name = str_cut(&param, '=');

	if (str_find(whole, ';') < whole.n)
		return false; /* it is more than one */
	return str_eq(name, STR("index")) || str_eq(name, STR("wait"));
}

struct str
answers_key(const struct http_request *rq)
{
	size_t n = rq->target.n - rq->query.n;
	struct str rest = rq->query;
	char *p;

	if (rq->query.n == 0)
		return rq->target;
	p = arena_alloc(rq->arena, rq->target.n + 1);
	if (p == NULL)
		return STR_NONE;
	memcpy(p, rq->target.p, n); /* with its '?' */
	while (rest.p != NULL) {
		struct str param = str_cut(&rest, '&');

		if (says_how_to_wait(param))
			continue;
		memcpy(p + n, param.p, param.n);
		n += param.n;
		p[n++] = '&';
	}
	return str_mem(p, n - 1); /* without the last '&', or the '?' */
}

struct answers_stats
answers_stats(const struct answers *a)
{
	return a->stats;
}

/* kv/query.c -- the table of definitions: by id, and by name in any case.
 *
 * A definition never changes in place: another one takes its place, with lists and bytes of its
 * own. Rules for names are Consul's (agent/consul/state/prepared_query.go): a name is one query's,
 * only one template has none, and no name is spelled like an id that is there.
 */
#include "kv/query.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"

#define LISTS_MAX (QUERY_BODY_MAX * 16) /* bytes of memory for the lists of one */

RB_HEAD(query_ids, query);
RB_HEAD(query_names, query);

struct queries {
	struct query_ids ids;
	struct query_names names;
	struct query *nameless;  /* the template without a name */
	struct watches *watches; /* borrowed; may be NULL */
	uint64_t index;
	size_t count;
};

static int
id_cmp(const struct query *a, const struct query *b)
{
	return uuid_cmp(&a->info.id, &b->info.id);
}

static int
name_cmp(const struct query *a, const struct query *b)
{
	return str_cmp_nocase(a->info.name, b->info.name);
}

RB_GENERATE_INTERNAL(query_ids, query, by_id, id_cmp, static __attribute__((unused)))
RB_GENERATE_INTERNAL(query_names, query, by_name, name_cmp, static __attribute__((unused)))

struct queries *
queries_new(struct watches *watches)
{
	struct queries *q = mem_new(struct queries);

	RB_INIT(&q->ids);
	RB_INIT(&q->names);
	q->watches = watches;
	return q;
}

static void
one_free(struct query *one)
{
	arena_done(&one->lists);
	free(one);
}

void
queries_free(struct queries *q)
{
	struct query *one;

	if (q == NULL)
		return;
	while ((one = RB_MIN(query_ids, &q->ids)) != NULL) {
		RB_REMOVE(query_ids, &q->ids, one);
		one_free(one);
	}
	free(q);
}

void
queries_watches_set(struct queries *q, struct watches *watches)
{
	q->watches = watches;
}

/* --- reading --- */

struct query *
query_find(const struct queries *q, const struct uuid *id)
{
	struct query *one = RB_ROOT(&q->ids);

	while (one != NULL) {
		int c = uuid_cmp(id, &one->info.id);

		if (c == 0)
			break;
		one = c < 0 ? RB_LEFT(one, by_id) : RB_RIGHT(one, by_id);
	}
	return one;
}

static struct query *
name_find(const struct queries *q, struct str name)
{
	struct query *one = RB_ROOT(&q->names);

	while (one != NULL) {
		int c = str_cmp_nocase(name, one->info.name);

		if (c == 0)
			break;
		one = c < 0 ? RB_LEFT(one, by_name) : RB_RIGHT(one, by_name);
	}
	return one;
}

struct query *
query_first(const struct queries *q)
{
	struct query *one = RB_ROOT(&q->ids);

	while (one != NULL && RB_LEFT(one, by_id) != NULL)
		one = RB_LEFT(one, by_id);
	return one;
}

struct query *
query_next(const struct queries *q, struct query *one)
{
	(void)q;
	return query_ids_RB_NEXT(one);
}

size_t
query_count(const struct queries *q)
{
	return q->count;
}

/* The name is cut at its end, a byte at a time, until what is left is a template's. */
static struct query *
template_find(const struct queries *q, struct str name)
{
	for (size_t n = name.n; n > 0; n--) {
		struct query *one = name_find(q, str_head(name, n));

		if (one != NULL && query_is_template(&one->info))
			return one;
	}
	return q->nameless;
}

struct query *
query_resolve(const struct queries *q, struct str id_or_name, bool *by_id)
{
	struct query *one = NULL;
	struct uuid id;

	*by_id = false;
	if (id_or_name.n == 0)
		return NULL;
	if (uuid_parse(id_or_name, &id))
		one = query_find(q, &id);
	if (one != NULL) {
		*by_id = true;
		return one;
	}
	one = name_find(q, id_or_name);
	return one != NULL ? one : template_find(q, id_or_name);
}

uint64_t
queries_index(const struct queries *q)
{
	return q->index;
}

void
queries_index_raise(struct queries *q, uint64_t index)
{
	if (index > q->index)
		q->index = index;
}

/* --- changing --- */

static void
table_touch(struct queries *q, uint64_t index)
{
	queries_index_raise(q, index);
	if (q->watches != NULL) /* lives not on unwatched: the index is answered from the table */
		watch_touch(
		    q->watches, (struct watch_key){ WATCH_QUERIES, STR_NONE }, index, false);
}

static struct query *
one_new(const struct uuid *id, struct str body, struct err *err)
{
	struct query *one;

	if (body.n > QUERY_BODY_MAX) {
		err_set(err, ERR_LIMIT, "a query has at most %d bytes", QUERY_BODY_MAX);
		return NULL;
	}
	one = mem_zalloc(sizeof *one + body.n);
	if (body.n > 0)
		memcpy(one + 1, body.p, body.n);
	one->body = str_mem(one + 1, body.n);
	arena_init(&one->lists, LISTS_MAX);
	if (query_unpack(&one->lists, one->body, &one->info, err) != 0) {
		one_free(one);
		return NULL;
	}
	one->info.id = *id;
	return one;
}

static void
one_insert(struct queries *q, struct query *one)
{
	RB_INSERT(query_ids, &q->ids, one);
	if (one->info.name.n > 0)
		RB_INSERT(query_names, &q->names, one);
	else if (query_is_template(&one->info))
		q->nameless = one;
	q->count++;
}

static void
one_take_out(struct queries *q, struct query *one)
{
	RB_REMOVE(query_ids, &q->ids, one);
	if (one->info.name.n > 0)
		RB_REMOVE(query_names, &q->names, one);
	else if (q->nameless == one)
		q->nameless = NULL;
	q->count--;
}

/* Another query that stands where this one would be found. */
static bool
name_taken(
    const struct queries *q, const struct query *new, const struct query *old, struct err *err)
{
	struct str name = new->info.name;
	const struct query *other = NULL;
	struct uuid id;

	if (name.n > 0)
		other = name_find(q, name);
	else if (query_is_template(&new->info))
		other = q->nameless;
	if (other != NULL && other != old) {
		if (name.n > 0)
			err_set(err, ERR_CONFLICT,
			    "name '" STR_FMT "' aliases an existing query name", STR_ARG(name));
		else
			err_set(err, ERR_CONFLICT,
			    "a query template with an empty name already exists");
		return true;
	}
	if (!uuid_parse(name, &id) || query_find(q, &id) == NULL)
		return false;
	err_set(
	    err, ERR_CONFLICT, "name '" STR_FMT "' aliases an existing query ID", STR_ARG(name));
	return true;
}

static bool
session_there(const struct sessions *sessions, struct str text, struct err *err)
{
	struct uuid id;

	if (text.n == 0)
		return true;
	if (!uuid_parse(text, &id))
		err_set(err, ERR_INPUT, "invalid session: index error: UUID must be 36 characters");
	else if (session_find(sessions, &id) == NULL)
		err_set(err, ERR_NOT_FOUND, "invalid session \"" STR_FMT "\"", STR_ARG(text));
	else
		return true;
	return false;
}

static bool
absent(const struct uuid *id, struct err *err)
{
	char text[UUID_TEXT_LEN + 1];

	err_set(err, ERR_NOT_FOUND, "Cannot modify non-existent prepared query: '%s'",
	    uuid_format(id, text));
	return false;
}

bool
query_set(struct queries *q, const struct sessions *sessions, uint64_t index, bool create,
    const struct uuid *id, struct str body, struct err *err)
{
	struct query *old = query_find(q, id), *new;

	if (create && old != NULL) {
		err_set(err, ERR_CONFLICT, "the id of the query is taken");
		return false;
	}
	if (!create && old == NULL)
		return absent(id, err);
	if (create && q->count >= QUERIES_MAX) {
		err_set(err, ERR_LIMIT, "there are %d prepared queries, more are not kept",
		    QUERIES_MAX);
		return false;
	}
	new = one_new(id, body, err);
	if (new == NULL)
		return false;
	if (name_taken(q, new, old, err) || !session_there(sessions, new->info.session, err)) {
		one_free(new);
		return false;
	}
	new->info.create = old != NULL ? old->info.create : index;
	new->info.modify = index;
	if (old != NULL) {
		one_take_out(q, old);
		one_free(old);
	}
	one_insert(q, new);
	table_touch(q, index);
	return true;
}

bool
query_remove(struct queries *q, uint64_t index, const struct uuid *id, struct err *err)
{
	struct query *one = query_find(q, id);

	if (one == NULL)
		return absent(id, err);
	one_take_out(q, one);
	one_free(one);
	table_touch(q, index);
	return true;
}

/* Sessions end seldom and queries are few: all of them are looked at. */
void
queries_session_end(struct queries *q, uint64_t index, const struct uuid *session)
{
	struct query *one, *next;

	for (one = query_first(q); one != NULL; one = next) {
		struct uuid id = one->info.id, bound;

		next = query_next(q, one);
		if (uuid_parse(one->info.session, &bound) && uuid_eq(&bound, session))
			(void)query_remove(q, index, &id, NULL);
	}
}

bool
query_load(
    struct queries *q, const struct uuid *id, uint64_t create, uint64_t modify, struct str body)
{
	struct query *one = one_new(id, body, NULL);

	if (one == NULL)
		return false;
	if (query_find(q, id) != NULL || name_taken(q, one, NULL, NULL) ||
	    q->count >= QUERIES_MAX) {
		one_free(one);
		return false;
	}
	one->info.create = create;
	one->info.modify = modify;
	one_insert(q, one);
	return true;
}

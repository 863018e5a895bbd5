/* kv/query.h -- prepared queries, as part of the replicated state machine: what to look for, under
 * an id and perhaps a name. Looking itself is agent/query_run.h's.
 *
 * A definition is found by its id, by its name in any case of letters, or, when it is a template,
 * by the longest name that begins the name asked for. One that is tied to a session goes when that
 * ends. The same table, fed by queries_load(), is the copy that agents without keys keep.
 */
#ifndef KV_QUERY_H
#define KV_QUERY_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"
#include "kv/catalog.h"
#include "kv/session.h"
#include "kv/watch.h"

#define QUERIES_MAX 16384           /* definitions in all */
#define QUERY_BODY_MAX (64 * 1024)  /* bytes of one, packed */
#define QUERY_LIST_MAX 1024         /* elements of one of its lists */

struct query_strs {
	struct str *of;
	size_t count;
	bool set; /* given at all: [] and null are two things */
};

struct query_pairs {
	struct pair *of; /* sorted by key */
	size_t count;
	bool set;
};

/* The members of Consul's definition, by their names there. */
struct query_info {
	struct uuid id;
	struct str name, session, token;
	struct str template_type; /* empty: no template */
	struct str regexp;
	bool remove_empty_tags;
	/* Service */
	struct str service;
	int64_t nearest_n; /* kept, not acted on: there is one datacenter */
	struct query_strs datacenters; /* likewise */
	bool only_passing;
	struct query_strs ignore_checks;
	struct str near;
	struct query_strs tags; /* "!tag": must not be there */
	struct query_pairs node_meta, service_meta;
	bool connect; /* kept, not acted on */
	struct str ttl; /* DNS: a span as text; empty: none of its own */
	uint64_t create, modify; /* set by the table */
};

static inline bool
query_is_template(const struct query_info *q)
{
	return q->template_type.n > 0;
}

/* As bytes, without id and indexes. Equal values give equal bytes. */
void query_pack(struct buf *, const struct query_info *);
/* Strings point into the body, lists come from the arena. ERR_INPUT: broken, or over a limit. */
int query_unpack(struct arena *, struct str body, struct query_info *out, struct err *);

/* One definition in the table: borrowed until the next change. */
struct query {
	struct query_info info;
	struct str body; /* packed */
	RB_ENTRY(query) by_id;
	RB_ENTRY(query) by_name; /* without regard to case; not when it has none */
	struct arena lists;
};

struct queries;

struct queries *queries_new(struct watches *); /* borrowed, may be NULL */
void queries_free(struct queries *);           /* NULL is fine */
void queries_watches_set(struct queries *, struct watches *);

/* Changes, from log entries. A new definition under this id, or another in its place (`create`
 * false). False: refused, in Consul's words; nothing changed. */
bool query_set(struct queries *, const struct sessions *, uint64_t index, bool create,
    const struct uuid *id, struct str body, struct err *);
bool query_remove(struct queries *, uint64_t index, const struct uuid *id, struct err *);
/* A session ends: so do its queries. */
void queries_session_end(struct queries *, uint64_t index, const struct uuid *session);

/* From a snapshot or another's table: keeps the indexes, wakes nobody. False: the bytes are broken,
 * or id or name are taken. */
bool query_load(struct queries *, const struct uuid *id, uint64_t create, uint64_t modify,
    struct str body);

/* Reading. NULL: none; all in the order of their ids. */
struct query *query_find(const struct queries *, const struct uuid *);
struct query *query_first(const struct queries *);
struct query *query_next(const struct queries *, struct query *);
size_t query_count(const struct queries *);
/* What an id or a name stands for: the query of that id, else of that name, else the template whose
 * name is the longest that begins it. */
struct query *query_resolve(const struct queries *, struct str id_or_name, bool *by_id);

/* Of the last change in the table, for every read of it. */
uint64_t queries_index(const struct queries *);
void queries_index_raise(struct queries *, uint64_t index);

/* Whether an instance of the service is one that the query asks for: its health, its tags, its and
 * its node's meta. */
bool query_takes(const struct query_info *, const struct catalog_service *);

#endif

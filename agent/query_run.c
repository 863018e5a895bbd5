/* agent/query_run.c -- see query_run.h. Rules and texts are Consul's
 * (agent/consul/prepared_query_endpoint.go).
 */
#include "agent/query_run.h"

#include <stdlib.h>

#include "agent/duration.h"
#include "agent/meta.h"
#include "agent/pool/nearness.h"
#include "agent/query_template.h"

#define INVALID "Invalid prepared query: "

/* --- definitions --- */

static int
ttl_valid(struct str text, struct err *err)
{
	struct err why = { 0 };
	nsec ttl = 0;

	if (text.n == 0)
		return 0;
	if (duration_parse(text, &ttl, &why) != 0)
		return err_set(err, ERR_INPUT, INVALID "Bad DNS TTL '" STR_FMT "': %s",
		    STR_ARG(text), why.text);
	if (ttl < 0)
		return err_set(
		    err, ERR_INPUT, INVALID "DNS TTL '%lld', must be >=0", (long long)ttl);
	return 0;
}

static int
node_meta_valid(const struct query_pairs *meta, struct err *err)
{
	if (meta->count > META_PAIRS_MAX)
		return err_set(err, ERR_INPUT,
		    INVALID "Node metadata cannot contain more than %d key/value pairs",
		    META_PAIRS_MAX);
	for (size_t i = 0; i < meta->count; i++) {
		const struct pair *p = &meta->of[i];
		const char *fault = meta_fault(p->key, p->value, true);

		if (fault != NULL)
			return err_set(err, ERR_INPUT,
			    INVALID "Couldn't load metadata pair ('" STR_FMT "', '" STR_FMT
				    "'): %s",
			    STR_ARG(p->key), STR_ARG(p->value), fault);
	}
	return 0;
}

/* A template must render for the shortest name that it is used for, which is its own. */
static int
template_valid(struct arena *arena, const struct query_info *q, struct err *err)
{
	struct query_info made;
	int rc;

	if (!query_is_template(q))
		return 0;
	rc = query_render(arena, q, q->name, &made, err);
	return rc == 0 ? 0 : err_wrap(err, "failed compiling template");
}

int
query_valid(struct arena *arena, const struct query_info *q, struct err *err)
{
	int rc = 0;

	if (q->name.n == 0 && !query_is_template(q) && q->session.n == 0)
		return err_set(err, ERR_INPUT, INVALID "Must be bound to a session");
	if (str_eq(q->token, STR("<hidden>")))
		return err_set(err, ERR_INPUT,
		    INVALID "Bad Token '<hidden>', it looks like a query definition with a "
			    "redacted token was submitted");
	if (q->service.n == 0)
		return err_set(err, ERR_INPUT, INVALID "Must provide a Service name to query");
	if (q->nearest_n < 0)
		return err_set(err, ERR_INPUT, INVALID "Bad NearestN '%lld', must be >= 0",
		    (long long)q->nearest_n);
	rc = node_meta_valid(&q->node_meta, err);
	if (rc == 0)
		rc = ttl_valid(q->ttl, err);
	if (rc == 0)
		rc = template_valid(arena, q, err);
	return rc;
}

int
query_get(struct arena *arena, const struct queries *queries, struct str id_or_name,
    struct query_info *out, struct err *err)
{
	bool by_id;
	const struct query *q = query_resolve(queries, id_or_name, &by_id);

	if (q == NULL)
		return err_set(err, ERR_NOT_FOUND, QUERY_NOT_FOUND);
	if (!query_is_template(&q->info)) {
		*out = q->info;
		return 0;
	}
	if (by_id)
		return err_set(err, ERR_STATE,
		    "prepared query templates can only be resolved up by name, not by ID");
	return query_render(arena, &q->info, id_or_name, out, err);
}

bool
query_ttl(const struct query_info *q, nsec *out)
{
	return q->ttl.n > 0 && duration_parse(q->ttl, out, NULL) == 0;
}

/* --- instances --- */

struct candidate {
	nsec distance;
	size_t place; /* in the shuffled order */
	const struct catalog_service *of;
};

static int
candidate_order(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

static void
shuffle(struct rng *rng, struct candidate *all, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t k = rng_below(rng, (uint32_t)i);
		struct candidate last = all[i - 1];

		all[i - 1] = all[k];
		all[k] = last;
	}
}

/* The node that is to be near; empty: none. */
static struct str
near_node(
    const struct catalog *catalog, const struct query_info *q, const struct query_source *source)
{
	struct str near = source->near.n > 0 ? source->near : q->near;
	const struct catalog_node *node;

	if (str_eq(near, STR("_agent")))
		return source->agent;
	if (!str_eq(near, STR("_ip")))
		return near;
	node = source->address.n > 0 ? catalog_node_by_address(catalog, source->address) : NULL;
	return node == NULL ? STR_NONE : node->info.name;
}

static void
sort(const struct catalog *catalog, struct str near, struct candidate *all, size_t count)
{
	struct nearness from;

	if (near.n == 0 || count < 2)
		return;
	from = nearness_from(catalog, near);
	for (size_t i = 0; i < count; i++) {
		all[i].place = i;
		all[i].distance = nearness_to(&from, all[i].of->node);
	}
	qsort(all, count, sizeof *all, candidate_order);
}

int
query_run(struct arena *arena, struct rng *rng, const struct catalog *catalog,
    const struct query_info *q, const struct query_source *source, struct query_found *out,
    struct err *err)
{
	const struct catalog_name *name = catalog_name_find(catalog, q->service);
	const struct catalog_service *s = NULL, **of;
	struct candidate *all;
	size_t count = 0;

	if (name == NULL)
		name = catalog_name_find_nocase(catalog, q->service);
	*out = (struct query_found){ NULL, 0 };
	if (name == NULL)
		return 0;
	all = arena_array(arena, struct candidate, name->count + 1);
	of = arena_alloc(arena, (name->count + 1) * sizeof *of);
	if (all == NULL || of == NULL)
		return err_set(err, ERR_MEMORY, "The answer is too large");
	while ((s = catalog_instance_next(name, s)) != NULL && count < name->count)
		if (query_takes(q, s))
			all[count++].of = s;
	shuffle(rng, all, count);
	sort(catalog, near_node(catalog, q, source), all, count);
	for (size_t i = 0; i < count; i++)
		of[i] = all[i].of;
	*out = (struct query_found){ of, count };
	return 0;
}

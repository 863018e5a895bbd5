/* agent/http/api_catalog.c -- /v1/catalog: nodes, services, and registering for others.
 *
 * Reads are answered from this agent's copy of the catalog. Names match in any case, as in
 * Consul; a query waits on the name as the catalog has it. Writes concern nodes without an
 * agent: they are planned here (external.h) and decided by the cluster, as keys are.
 */
#include <stdlib.h>

#include "agent/external.h"
#include "agent/http/api_handlers.h"
#include "agent/http/api_keys.h"
#include "agent/http/decode.h"
#include "agent/http/filter_fields.h"
#include "agent/http/render.h"

void
api_catalog_datacenters(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct jw *w = reply_json(reply);

	(void)req;
	jw_array(w);
	jw_str(w, api->options->datacenter);
	jw_array_end(w);
}

void
api_catalog_nodes(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct catalog *catalog = store_catalog(api->store);
	const struct catalog_node *n = NULL;
	struct selection sel;
	struct filter *filter;
	struct jw *w;

	if (reply_wrong_dc(api, req, reply) || !selection_read(api, req, &sel, reply) ||
	    !filter_read(req, &filter_nodes, &filter, reply) ||
	    !selection_sort_nodes(api, req, &sel, reply))
		return;
	w = reply_json(reply);
	jw_array(w);
	while ((n = selection_node_next(&sel, catalog, n)) != NULL)
		if (selection_has_node(&sel, &n->info) && filter_has_node(filter, n))
			render_node(w, n);
	jw_array_end(w);
	if (!filter_done(filter, reply))
		return;
	reply_reads(api, req, reply, WATCH_NODES, STR_NONE);
	reply->lasting = sel.near.n == 0;
}

static int
tag_order(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* "NAME": [every tag of the selected instances, once]; nothing when none is selected. `tags` has
 * room for all tags of the name. */
static void
services_entry(struct jw *w, const struct catalog_name *name, const struct selection *sel,
    struct filter *filter, struct str *tags)
{
	struct catalog_service *s = NULL;
	size_t count = 0;
	bool any = false;

	while ((s = catalog_instance_next(name, s)) != NULL) {
		if (!selection_has_node(sel, &s->node->info) || !filter_has_instance(filter, s))
			continue;
		any = true;
		for (size_t i = 0; i < s->info.tag_count; i++)
			tags[count++] = s->info.tags[i];
	}
	if (!any)
		return;
	if (count > 1)
		qsort(tags, count, sizeof *tags, tag_order);
	jw_key(w, name->name);
	jw_array(w);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || !str_eq(tags[i], tags[i - 1]))
			jw_str(w, tags[i]);
	jw_array_end(w);
}

/* The most tags, repeated ones included, that the instances of one name have. */
static size_t
services_tags_max(const struct catalog *catalog)
{
	struct catalog_name *name = NULL;
	size_t max = 0;

	while ((name = catalog_name_next(catalog, name)) != NULL) {
		struct catalog_service *s = NULL;
		size_t count = 0;

		while ((s = catalog_instance_next(name, s)) != NULL)
			count += s->info.tag_count;
		if (count > max)
			max = count;
	}
	return max;
}

/* A filter chooses among the instances, as in Consul from 1.12 on (1.10 ignores it here). */
void
api_catalog_services(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct catalog *catalog = store_catalog(api->store);
	struct catalog_name *name = NULL;
	struct selection sel;
	struct filter *filter;
	struct str *tags;
	struct jw *w;

	if (reply_wrong_dc(api, req, reply) || !selection_read(api, req, &sel, reply) ||
	    !filter_read(req, &filter_instances, &filter, reply))
		return;
	tags = arena_array(req->arena, struct str, services_tags_max(catalog) + 1);
	if (tags == NULL) {
		reply_error(reply, 429, "The answer is too large");
		return;
	}
	w = reply_json(reply);
	jw_object(w);
	while ((name = catalog_name_next(catalog, name)) != NULL)
		services_entry(w, name, &sel, filter, tags);
	jw_object_end(w);
	if (!filter_done(filter, reply))
		return;
	reply_cached(api, req, reply);
	reply_reads(
	    api, req, reply, filter == NULL ? WATCH_SERVICES : WATCH_INSTANCES, STR_NONE);
	reply->lasting = filter == NULL; /* filters are many, and asked for by few */
	if (sel.meta_count > 0 || filter != NULL)
		reply_reads(api, req, reply, WATCH_NODES, STR_NONE);
}

void
api_catalog_service(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct catalog_service *s = NULL;
	struct catalog_name *name;
	struct selection sel;
	struct filter *filter;
	struct jw *w;

	if (req->tail.n == 0) {
		reply_error(reply, 400, "Missing service name");
		return;
	}
	if (reply_wrong_dc(api, req, reply) || !selection_read(api, req, &sel, reply) ||
	    !filter_read(req, &filter_instances, &filter, reply))
		return;
	name = api_name_find(api, req->tail);
	if (!selection_sort_instances(api, req, &sel, name, reply))
		return;
	w = reply_json(reply);
	jw_array(w);
	while ((s = selection_instance_next(&sel, name, s)) != NULL)
		if (selection_has_node(&sel, &s->node->info) &&
		    selection_has_tags(&sel, &s->info) && filter_has_instance(filter, s))
			render_instance(w, s);
	jw_array_end(w);
	if (!filter_done(filter, reply))
		return;
	reply_cached(api, req, reply);
	reply_reads(api, req, reply, WATCH_SERVICE, name != NULL ? name->name : req->tail);
	reply->lasting = answer_lasts(req, &sel, name);
}

/* What both forms of a node's services begin with. *out NULL: there is no such node. */
static bool
node_read(struct api *api, const struct http_request *req, struct http_reply *reply,
    struct catalog_node **out, struct filter **filter)
{
	if (req->tail.n == 0) {
		reply_error(reply, 400, "Missing node name");
		return false;
	}
	if (reply_wrong_dc(api, req, reply) || !filter_read(req, &filter_services, filter, reply))
		return false;
	*out = catalog_node_find_nocase(store_catalog(api->store), req->tail);
	reply_reads(api, req, reply, WATCH_NODE, *out != NULL ? (*out)->info.name : req->tail);
	return true;
}

void
api_catalog_node(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct catalog_service *s = NULL;
	struct catalog_node *n;
	struct filter *filter;
	struct jw *w;

	if (!node_read(api, req, reply, &n, &filter))
		return;
	w = reply_json(reply);
	if (n == NULL) {
		jw_null(w);
		return;
	}
	jw_object(w);
	jw_key(w, STR("Node"));
	render_node(w, n);
	jw_key(w, STR("Services"));
	jw_object(w);
	while ((s = catalog_service_next(n, s)) != NULL) {
		if (!filter_has_instance(filter, s))
			continue;
		jw_key(w, s->info.id);
		render_service(w, s);
	}
	jw_object_end(w);
	jw_object_end(w);
	filter_done(filter, reply);
}

void
api_catalog_node_services(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct catalog_service *s = NULL;
	struct catalog_node *n;
	struct filter *filter;
	struct jw *w;

	if (!node_read(api, req, reply, &n, &filter))
		return;
	w = reply_json(reply);
	jw_object(w);
	jw_key(w, STR("Node"));
	if (n != NULL)
		render_node(w, n);
	else
		jw_null(w);
	jw_key(w, STR("Services"));
	if (n != NULL && (n->service_count > 0 || filter != NULL)) {
		jw_array(w);
		while ((s = catalog_service_next(n, s)) != NULL)
			if (filter_has_instance(filter, s))
				render_service(w, s);
		jw_array_end(w);
	} else {
		jw_null(w);
	}
	jw_object_end(w);
	filter_done(filter, reply);
}

bool
api_external_dc(const struct api *api, struct str datacenter, struct http_reply *reply)
{
	if (datacenter.n == 0 || str_eq(datacenter, api->options->datacenter))
		return true;
	reply_error(reply, 500, "No path to datacenter");
	return false;
}

void
reply_external_refused(struct http_reply *reply, const struct err *err)
{
	reply_error(reply, err->code == ERR_LIMIT ? 429 : 500, "%s", err->text);
}

bool
api_external_again(const struct http_request *req, struct http_reply *reply)
{
	if (req->keep.stage < API_PLANS_MAX)
		return true;
	reply_error(reply, 500, "Others change the same registrations all the time");
	return false;
}

/* True: it is done. False: an answer is there or on its way; a plan that has become wrong is to be
 * made anew. */
static bool
external_done(const struct http_request *req, struct http_reply *reply, bool *again)
{
	enum fsm_status status;
	struct str rest;

	*again = req->answer == NULL;
	if (req->answer == NULL || !keys_result(req, reply, "raft apply failed: ", &status, &rest))
		return false;
	*again = status == FSM_FALSE && api_external_again(req, reply);
	return status == FSM_TRUE;
}

void
api_external_write(struct api *api, const struct http_request *req, const struct buf *steps, int rc,
    const struct err *err, struct http_reply *reply)
{
	struct fsm_op op;

	if (rc < 0) {
		reply_external_refused(reply, err);
		return;
	}
	fsm_op_init(&op, FSM_EXTERNAL);
	op.steps = buf_str(steps);
	keys_write(api, req, reply, &op);
}

/* Consul answers 500 to whatever is wrong with a registration. What is done is not read again: it
 * was without fault when it was planned. */
void
api_catalog_register(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct catalog_registration r;
	struct buf steps;
	struct err err;
	bool again;
	int rc;

	if (external_done(req, reply, &again))
		reply_true(reply);
	if (!again)
		return;
	if (decode_catalog_register(req->arena, req->body, &r, &err) != 0) {
		reply_decode_failed(reply, &err);
		return;
	}
	if (reply_wrong_dc(api, req, reply) || !api_external_dc(api, r.datacenter, reply))
		return;
	r.what.node.datacenter = api->options->datacenter;
	buf_init(&steps, FSM_STEPS_BYTES_MAX);
	rc = external_register(api->store, &r.what, &steps, &err);
	api_external_write(api, req, &steps, rc, &err, reply);
	buf_done(&steps);
}

/* The agent that carries this here may have registered a moment ago what is to go (RULES 11). True:
 * its word is waited for. */
static bool
news_awaited(const struct api *api, const struct http_request *req, struct str node,
    struct http_reply *reply)
{
	struct digest here;
	int newer;

	if (req->node.n == 0 || req->woken || req->answer != NULL)
		return false;
	if (store_digest_of(api->store, &req->asks.agent, &here)) {
		newer = epoch_cmp(&here.epoch, &req->asks.epoch);
		if (newer > 0 || (newer == 0 && here.number >= req->asks.number))
			return false;
	}
	reply_true(reply);
	reply->wait_until = req->now.mono + API_NEWS_MAX;
	reply->reads[0] = (struct watch_key){ WATCH_NODE, node };
	reply->reads[1] = (struct watch_key){ WATCH_NODE_CHECKS, node };
	reply->read_count = 2;
	return true;
}

/* A whole node, none of its services or checks alone. */
static bool
is_whole(const struct external_deregister *d)
{
	return d->service_id.n == 0 && d->check_id.n == 0;
}

/* Of a node that is no agent's the sessions end with it. */
static bool
takes_sessions(const struct api *api, const struct external_deregister *d)
{
	const struct catalog_node *node = catalog_node_find(store_catalog(api->store), d->node);

	return (node == NULL || !node->agent) && is_whole(d);
}

/* Run again while sessions of the node end: it is deregistered then. Of what has no sessions the
 * body is not read again. */
void
api_catalog_deregister(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct catalog_deregistration r;
	struct buf steps;
	struct err err;
	bool again, done = external_done(req, reply, &again);
	int rc;

	if (done && !req->keep.whole)
		reply_true(reply);
	if (!again && !(done && req->keep.whole))
		return;
	if (decode_catalog_deregister(req->arena, req->body, &r, &err) != 0) {
		reply_decode_failed(reply, &err);
		return;
	}
	if (reply_wrong_dc(api, req, reply) || !api_external_dc(api, r.datacenter, reply) ||
	    news_awaited(api, req, r.what.node, reply))
		return;
	if (done) {
		if (!takes_sessions(api, &r.what) ||
		    !node_sessions_end(api, req, reply, r.what.node))
			reply_true(reply);
	} else {
		buf_init(&steps, FSM_STEPS_BYTES_MAX);
		rc = external_deregister(api->store, &r.what, &steps, &err);
		api_external_write(api, req, &steps, rc, &err, reply);
		buf_done(&steps);
	}
	reply->keep.whole = is_whole(&r.what);
}

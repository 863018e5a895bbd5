/* agent/http/api_health.c -- /v1/health: checks by node, by service and by state, and instances
 * with all that decides about them.
 */
#include "agent/http/api_handlers.h"
#include "agent/http/filter_fields.h"
#include "agent/http/render.h"

/* What every endpoint here begins with; false: an error reply was made. */
static bool
health_begin(struct api *api, const struct http_request *req, struct http_reply *reply,
    const char *missing, const struct filter_schema *schema, struct selection *sel,
    struct filter **filter)
{
	if (req->tail.n == 0) {
		reply_error(reply, 400, "%s", missing);
		return false;
	}
	return !reply_wrong_dc(api, req, reply) && selection_read(api, req, sel, reply) &&
	       filter_read(req, schema, filter, reply);
}

void
api_health_node(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct catalog_check *c = NULL;
	struct catalog_node *n;
	struct selection sel;
	struct filter *filter;
	struct jw *w;

	if (!health_begin(api, req, reply, "Missing node name", &filter_checks, &sel, &filter))
		return;
	n = catalog_node_find_nocase(store_catalog(api->store), req->tail);
	w = reply_json(reply);
	jw_array(w);
	while (n != NULL && (c = catalog_check_next(n, c)) != NULL)
		if (filter_has_check(filter, c))
			render_check(w, c);
	jw_array_end(w);
	if (!filter_done(filter, reply))
		return;
	reply_reads(api, req, reply, WATCH_NODE_CHECKS, n != NULL ? n->info.name : req->tail);
}

void
api_health_checks(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct catalog_service *s = NULL;
	struct catalog_name *name;
	struct selection sel;
	struct filter *filter;
	struct jw *w;

	if (!health_begin(api, req, reply, "Missing service name", &filter_checks, &sel, &filter))
		return;
	name = api_name_find(api, req->tail);
	if (!selection_sort_instances(api, req, &sel, name, reply))
		return;
	w = reply_json(reply);
	jw_array(w);
	while ((s = selection_instance_next(&sel, name, s)) != NULL) {
		struct catalog_check *c = NULL;

		if (!selection_has_node(&sel, &s->node->info))
			continue;
		while ((c = catalog_service_check_next(s, c)) != NULL)
			if (filter_has_check(filter, c))
				render_check(w, c);
	}
	jw_array_end(w);
	if (!filter_done(filter, reply))
		return;
	reply_reads(api, req, reply, WATCH_SERVICE_CHECKS, name != NULL ? name->name : req->tail);
	selection_reads(api, req, reply, &sel);
}

/* ?passing, ?passing=1 …: only instances whose every check is passing. False with an error
 * reply for what is no boolean. */
static bool
passing_read(const struct http_request *req, bool *out, struct http_reply *reply)
{
	struct str value = request_param(req, STR("passing"));

	*out = request_has(req, STR("passing"));
	if (value.n == 0 || bool_parse(value, out))
		return true;
	reply_error(reply, 400, "Invalid value for ?passing");
	return false;
}

void
api_health_service(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct catalog_service *s = NULL;
	struct catalog_name *name;
	struct selection sel;
	struct filter *filter;
	struct jw *w;
	bool passing;

	if (!health_begin(
		api, req, reply, "Missing service name", &filter_entries, &sel, &filter) ||
	    !passing_read(req, &passing, reply))
		return;
	name = api_name_find(api, req->tail);
	if (!selection_sort_instances(api, req, &sel, name, reply))
		return;
	w = reply_json(reply);
	jw_array(w);
	while ((s = selection_instance_next(&sel, name, s)) != NULL)
		if ((!passing || s->health == CHECK_PASSING) &&
		    selection_has_node(&sel, &s->node->info) &&
		    selection_has_tags(&sel, &s->info) && filter_has_instance(filter, s))
			render_health_entry(w, s);
	jw_array_end(w);
	if (!filter_done(filter, reply))
		return;
	reply_cached(api, req, reply);
	reply_reads(api, req, reply, WATCH_SERVICE_HEALTH, name != NULL ? name->name : req->tail);
	reply->lasting = answer_lasts(req, &sel, name);
}

void
api_health_state(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct catalog *catalog = store_catalog(api->store);
	const struct catalog_node *n = NULL;
	struct selection sel;
	struct filter *filter;
	struct jw *w;
	bool any;

	if (!health_begin(api, req, reply, "Missing check state", &filter_checks, &sel, &filter) ||
	    !selection_sort_nodes(api, req, &sel, reply))
		return;
	any = str_eq(req->tail, STR("any"));
	w = reply_json(reply);
	jw_array(w);
	while ((n = selection_node_next(&sel, catalog, n)) != NULL) {
		struct catalog_check *c = NULL;

		if (!selection_has_node(&sel, &n->info))
			continue;
		while ((c = catalog_check_next(n, c)) != NULL)
			if ((any || str_eq(c->info.status, req->tail)) &&
			    filter_has_check(filter, c))
				render_check(w, c);
	}
	jw_array_end(w);
	if (!filter_done(filter, reply))
		return;
	reply_reads(api, req, reply, WATCH_STATE, req->tail);
	selection_reads(api, req, reply, &sel);
}

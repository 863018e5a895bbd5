/* agent/http/api_coordinate.c -- /v1/coordinate: where the nodes are in the network.
 *
 * Each agent has told its own as a record of the catalog; nodes without an agent have none. There
 * is one segment, named "", and one datacenter.
 */
#include "agent/http/api_handlers.h"
#include "agent/http/render.h"

static void
coordinate_write(struct jw *w, struct str node, const struct serf_coordinate *c)
{
	jw_object(w);
	jw_kstr(w, "Node", node);
	jw_kstr(w, "Segment", STR_NONE);
	jw_key(w, STR("Coord"));
	render_coordinate(w, c);
	jw_object_end(w);
}

/* ?segment=: there is none but "". */
static bool
segment_is_ours(const struct http_request *req)
{
	return request_param(req, STR("segment")).n == 0;
}

void
api_coordinate_nodes(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct catalog *catalog = store_catalog(api->store);
	struct catalog_node *n = NULL;
	struct serf_coordinate c;
	struct jw *w;

	if (reply_wrong_dc(api, req, reply))
		return;
	w = reply_json(reply);
	jw_array(w);
	while (segment_is_ours(req) && (n = catalog_node_next(catalog, n)) != NULL)
		if (near_coordinate(n, &c))
			coordinate_write(w, n->info.name, &c);
	jw_array_end(w);
	reply_reads(api, req, reply, WATCH_COORDINATES, STR_NONE);
	reply_reads(api, req, reply, WATCH_NODES, STR_NONE);
}

/* Consul's 404 has neither a body nor an index. */
void
api_coordinate_node(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct catalog_node *n;
	struct serf_coordinate c;
	struct jw *w;

	if (reply_wrong_dc(api, req, reply))
		return;
	n = catalog_node_find_nocase(store_catalog(api->store), req->tail);
	if (n == NULL || !segment_is_ours(req) || !near_coordinate(n, &c)) {
		reply->status = 404;
		return;
	}
	w = reply_json(reply);
	jw_array(w);
	coordinate_write(w, n->info.name, &c);
	jw_array_end(w);
	reply_reads(api, req, reply, WATCH_COORDINATES, STR_NONE);
	reply_reads(api, req, reply, WATCH_NODES, STR_NONE);
}

/* The servers, which Consul would have in its pool of datacenters as NODE.DATACENTER. */
void
api_coordinate_datacenters(
    struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct catalog_name *servers = api_name_find(api, STR("consul"));
	const struct catalog_service *s = NULL;
	const struct catalog_node *before = NULL;
	struct serf_coordinate c;
	struct jw *w = reply_json(reply);
	struct buf name;

	buf_init(&name, HTTP_HEAD_BYTES_MAX);
	jw_array(w);
	jw_object(w);
	jw_kstr(w, "Datacenter", api->options->datacenter);
	jw_kstr(w, "AreaID", STR("wan"));
	jw_key(w, STR("Coordinates"));
	jw_array(w);
	while (servers != NULL && (s = catalog_instance_next(servers, s)) != NULL) {
		if (s->node == before || !near_coordinate(s->node, &c))
			continue;
		before = s->node;
		buf_clear(&name);
		buf_addf(&name, STR_FMT "." STR_FMT, STR_ARG(before->info.name),
		    STR_ARG(api->options->datacenter));
		coordinate_write(w, buf_str(&name), &c);
	}
	jw_array_end(w);
	jw_object_end(w);
	jw_array_end(w);
	buf_done(&name);
	(void)req;
}

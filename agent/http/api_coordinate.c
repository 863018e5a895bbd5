/* agent/http/api_coordinate.c -- /v1/coordinate: where the nodes are in the network.
 *
 * Each agent has told its own as a record of the catalog; others may tell that of a node without an
 * agent. There is one segment, named "", and one datacenter.
 */
#include "agent/pool/coordinate_publish.h"
#include "agent/external.h"
#include "agent/http/api_handlers.h"
#include "agent/http/api_keys.h"
#include "agent/http/decode.h"
#include "agent/http/render.h"
#include "agent/pool/nearness.h"

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
		if (nearness_coordinate(catalog, n, &c))
			coordinate_write(w, n->info.name, &c);
	jw_array_end(w);
	reply_reads(api, req, reply, WATCH_COORDINATES, STR_NONE);
	reply_reads(api, req, reply, WATCH_NODES, STR_NONE);
}

/* Consul's 404 has neither a body nor an index. */
void
api_coordinate_node(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct catalog *catalog = store_catalog(api->store);
	const struct catalog_node *n;
	struct serf_coordinate c;
	struct jw *w;

	if (reply_wrong_dc(api, req, reply))
		return;
	n = catalog_node_find_nocase(catalog, req->tail);
	if (n == NULL || !segment_is_ours(req) || !nearness_coordinate(catalog, n, &c)) {
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
		if (s->node == before ||
		    !nearness_coordinate(store_catalog(api->store), s->node, &c))
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

/* Consul's texts. */
static bool
update_fits(const struct coordinate_update *u, struct http_reply *reply)
{
	struct serf_coordinate c = coordinate_of_info(&u->at);

	if (!coordinate_valid(&c))
		reply_error(reply, 500, "invalid coordinate");
	else if (u->dimensions != COORDINATE_DIMENSIONS)
		reply_error(reply, 500, "incompatible coordinate");
	else
		return true;
	return false;
}

/* As in Consul an unknown node is no error, and an agent's own word comes to count again: here at
 * once, so of an agent's node nothing is kept. */
void
api_coordinate_update(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct coordinate_update u;
	enum fsm_status status;
	struct str rest;
	struct buf steps;
	struct err err;
	int rc;

	if (decode_coordinate(req->arena, req->body, &u, &err) != 0) {
		reply_decode_failed(reply, &err);
		return;
	}
	if (reply_wrong_dc(api, req, reply) || !api_external_dc(api, u.datacenter, reply) ||
	    !update_fits(&u, reply))
		return;
	if (req->answer != NULL) {
		(void)keys_result(req, reply, "raft apply failed: ", &status, &rest);
		return;
	}
	if (u.node.n == 0 || u.segment.n > 0)
		return;
	buf_init(&steps, FSM_STEPS_BYTES_MAX);
	rc = external_coordinate(u.node, &u.at, &steps, &err);
	api_external_write(api, req, &steps, rc, &err, reply);
	buf_done(&steps);
}

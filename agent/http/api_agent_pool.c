/* agent/http/api_agent_pool.c -- /v1/agent: who is in the pool, joining it, leaving it. */
#include "agent/http/api_handlers.h"
#include "agent/http/member.h"

/* The members of the federation: a server knows itself, an agent that is none knows nobody. */
static void
render_members_wan(struct jw *w, const struct api *api, struct arena *arena)
{
	if (api_is_server(api->options))
		render_member_self(w, api, arena);
}

void
api_agent_members(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct str segment = request_param(req, STR("segment"));
	struct pool_member m = { 0 };
	struct jw *w;

	if (segment.n > 0 && !str_eq(segment, STR("_all"))) {
		reply_error(reply, 500, "Network segments are not supported");
		return;
	}
	w = reply_json(reply);
	jw_array(w);
	if (request_has(req, STR("wan")))
		render_members_wan(w, api, req->arena);
	else if (api->pool == NULL)
		render_member_self(w, api, req->arena);
	else
		while (pool_member_next(api->pool, m.wire_name, &m))
			render_member(w, req->arena, &m);
	jw_array_end(w);
}

static void
reply_alone(struct http_reply *reply)
{
	reply_error(reply, 500, "This agent is in no pool");
}

void
api_agent_join(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	if (request_has(req, STR("wan")))
		reply_error(reply, 500, "WAN federation is not supported");
	else if (req->tail.n == 0)
		reply_error(reply, 400, "Missing address");
	else if (api->ops.join == NULL)
		reply_alone(reply);
	else
		api->ops.join(api->ops.arg, req->now, req->tail, api_later(api, reply));
}

void
api_agent_leave(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	if (api->ops.leave == NULL)
		reply_alone(reply);
	else
		api->ops.leave(api->ops.arg, req->now, api_later(api, reply));
}

void
api_agent_force_leave(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct pool_member m;
	struct err err = { 0 };

	if (api->pool == NULL)
		reply_alone(reply);
	else if (!pool_member_find(api->pool, req->tail, &m))
		reply_error(
		    reply, 500, "agent: No node found with name '" STR_FMT "'", STR_ARG(req->tail));
	else if (pool_force_leave(
		     api->pool, req->now, req->tail, request_has(req, STR("prune")), &err) < 0)
		reply_error(reply, 500, "%s", err.text);
	else
		api_changed(api);
}

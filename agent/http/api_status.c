/* agent/http/api_status.c -- /v1/status: who leads, and who takes part. */
#include "agent/http/api_handlers.h"
#include "agent/http/servers.h"

void
api_status_leader(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	if (!reply_wrong_dc(api, req, reply))
		jw_str(reply_json(reply), api_leader(api, req->arena, req->now));
}

/* An agent that holds no configuration tells of the servers that gossip knows. */
static void
render_members(struct jw *w, const struct api *api, const struct http_request *req)
{
	struct pool_member m;

	for (struct str after = STR_NONE;
	     api->pool != NULL && pool_member_next(api->pool, after, &m); after = m.wire_name) {
		struct server_view v = { .state = SERF_NONE };

		if (!m.server || m.state != SERF_ALIVE)
			continue;
		server_place(api, req->arena, &m.id, &v);
		if (v.address.n > 0)
			jw_str(w, v.address);
	}
}

void
api_status_peers(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct server_view servers[RAFT_CORE_SERVERS_MAX];
	size_t n = servers_view(api, req->arena, req->now, servers);
	struct jw *w;

	if (reply_wrong_dc(api, req, reply))
		return;
	w = reply_json(reply);
	jw_array(w);
	for (size_t i = 0; i < n; i++)
		if (servers[i].voter && servers[i].address.n > 0)
			jw_str(w, servers[i].address);
	if (n == 0)
		render_members(w, api, req);
	jw_array_end(w);
}

/* GET /: there is no web interface, but somebody answers. */
void
api_root(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	(void)api;
	(void)req;
	reply->content_type = "text/plain; charset=utf-8";
	buf_add(reply->body, STR("muster agent: the HTTP API is under /v1/\n"));
}

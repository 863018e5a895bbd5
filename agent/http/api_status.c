/* agent/http/api_status.c -- /v1/status: who leads, and who takes part. */
#include "agent/http/api_handlers.h"

void
api_status_leader(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	if (!reply_wrong_dc(api, req, reply))
		jw_str(reply_json(reply), api_leader(api, req->arena));
}

void
api_status_peers(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct str leader = api_leader(api, req->arena);
	struct jw *w;

	if (reply_wrong_dc(api, req, reply))
		return;
	w = reply_json(reply);
	jw_array(w);
	if (leader.n > 0)
		jw_str(w, leader);
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

/* agent/http/api_agent_host.c -- /v1/agent: the agent as a process, and the host it runs on.
 *
 * What has to be read from the system is asked of the agent around the API (api_ops).
 */
#include "agent/http/api_handlers.h"
#include "config.h"

static void
reply_missing(struct http_reply *reply)
{
	reply_error(reply, 500, "This agent cannot tell");
}

void
api_agent_version(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct jw *w = reply_json(reply);

	(void)api;
	(void)req;
	jw_object(w);
	jw_kstr(w, "SHA", STR_NONE);
	jw_kstr(w, "BuildDate", STR_NONE);
	jw_kstr(w, "HumanVersion", STR(PACKAGE_VERSION));
	jw_kstr(w, "FIPS", STR_NONE);
	jw_object_end(w);
}

void
api_agent_host(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	(void)req;
	if (api->ops.host == NULL)
		reply_missing(reply);
	else
		api->ops.host(api->ops.arg, reply_json(reply));
}

void
api_agent_metrics(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	if (api->metrics == NULL || api->ops.measure == NULL) {
		reply_missing(reply);
		return;
	}
	api->ops.measure(api->ops.arg, req->now);
	if (!str_eq(request_param(req, STR("format")), STR("prometheus"))) {
		metrics_write_json(api->metrics, req->now, reply_json(reply));
		return;
	}
	reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write_prometheus(api->metrics, reply->body);
}

void
api_agent_monitor(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct str text = request_param(req, STR("loglevel"));
	enum log_level level = LOG_LEVEL_INFO;
	struct err err = { 0 };

	if (text.n > 0 && !log_level_parse(text, &level)) {
		reply_error(reply, 400, "Unknown log level: " STR_FMT, STR_ARG(text));
		return;
	}
	if (api->ops.monitor == NULL) {
		reply_missing(reply);
		return;
	}
	reply->stream =
	    api->ops.monitor(api->ops.arg, level, request_has(req, STR("logjson")), &err);
	if (reply->stream == NULL)
		reply_err(reply, &err);
	else
		reply->content_type = "text/plain; charset=utf-8";
}

void
api_agent_reload(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	(void)req;
	if (api->ops.reload == NULL)
		reply_missing(reply);
	else
		api->ops.reload(api->ops.arg, api_later(api, reply));
}

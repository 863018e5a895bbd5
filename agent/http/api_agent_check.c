/* agent/http/api_agent_check.c -- /v1/agent/check(s): the checks of this agent, and the reports
 * that TTL checks live on.
 */
#include "agent/http/api_handlers.h"
#include "agent/http/decode.h"
#include "agent/http/filter_fields.h"
#include "agent/http/render.h"

void
api_agent_checks(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct local_check *c = NULL;
	struct filter *filter;
	struct jw *w;

	if (!filter_read(req, &filter_checks, &filter, reply))
		return;
	w = reply_json(reply);
	jw_object(w);
	while ((c = local_check_next(api->local, c)) != NULL) {
		if (!filter_has_agent_check(filter, c, api->options->node_name))
			continue;
		jw_key(w, c->def.id);
		render_agent_check(w, c, api->options->node_name);
	}
	jw_object_end(w);
	filter_done(filter, reply);
}

void
api_agent_check_register(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct check_def def;
	struct err err;

	if (decode_check(req->arena, req->body, &def, &err) != 0)
		reply_decode_failed(reply, &err);
	else if (local_check_put(api->local, req->now, &def, LOCAL_API, &err) < 0)
		reply_err(reply, &err);
	else
		api_changed(api);
}

void
api_agent_check_deregister(
    struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct err err;
	int rc = local_check_remove(api->local, req->now, req->tail, &err);

	if (rc < 0 && rc != ERR_NOT_FOUND) /* gone already is as good */
		reply_err(reply, &err);
	else
		api_changed(api);
}

/* A report on a TTL check. */
static void
check_report(struct api *api, const struct http_request *req, enum check_status status,
    struct str output, struct http_reply *reply)
{
	struct err err;
	int rc = local_check_set(api->local, req->now, req->tail, status, output, true, &err);

	if (rc == ERR_NOT_FOUND || rc == ERR_REFUSED)
		reply_error(reply, 500, "CheckID \"" STR_FMT "\" does not have associated TTL",
		    STR_ARG(req->tail));
	else if (rc < 0)
		reply_err(reply, &err);
	else
		api_changed(api);
}

void
api_agent_check_pass(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	check_report(api, req, CHECK_PASSING, request_param(req, STR("note")), reply);
}

void
api_agent_check_warn(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	check_report(api, req, CHECK_WARNING, request_param(req, STR("note")), reply);
}

void
api_agent_check_fail(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	check_report(api, req, CHECK_CRITICAL, request_param(req, STR("note")), reply);
}

void
api_agent_check_update(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	enum check_status status;
	struct check_update update;
	struct err err;

	if (decode_check_update(req->arena, req->body, &update, &err) != 0)
		reply_decode_failed(reply, &err);
	else if (!check_status_parse(update.status, &status))
		reply_error(
		    reply, 400, "Invalid check status: '" STR_FMT "'", STR_ARG(update.status));
	else
		check_report(api, req, status, update.output, reply);
}

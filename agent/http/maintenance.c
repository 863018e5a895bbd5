/* agent/http/maintenance.c -- the check that says so (see maintenance.h). */
#include "agent/http/maintenance.h"

bool
maintenance_is(struct str id)
{
	return str_eq(id, MAINTENANCE_NODE_ID) || str_starts(id, STR(MAINTENANCE_SERVICE_PREFIX));
}

bool
maintenance_read(const struct http_request *req, bool *enable, struct http_reply *reply)
{
	struct str value = request_param(req, STR("enable"));

	if (!request_has(req, STR("enable")))
		reply_error(reply, 400, "Missing value for enable");
	else if (!bool_parse(value, enable))
		reply_error(
		    reply, 400, "Invalid value for enable: \"" STR_FMT "\"", STR_ARG(value));
	else
		return true;
	return false;
}

void
maintenance_set(struct api *api, const struct http_request *req, bool enable, struct check_def *def,
    struct http_reply *reply)
{
	bool is_on = local_check_find(api->local, def->id) != NULL;
	struct err err;
	int rc;

	if (enable == is_on)
		return; /* a reason given later does not replace the first, as in Consul */
	if (request_param(req, STR("reason")).n > 0)
		def->notes = request_param(req, STR("reason"));
	def->type = CHECK_STATE;
	def->status = check_status_text(CHECK_CRITICAL);
	rc = enable ? local_check_put(api->local, req->now, def, LOCAL_API, &err)
		    : local_check_remove(api->local, req->now, def->id, &err);
	if (rc < 0)
		reply_err(reply, &err);
	else
		api_changed(api);
}

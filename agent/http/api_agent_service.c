/* agent/http/api_agent_service.c -- /v1/agent/service(s): what this agent offers.
 *
 * The agent's own entry (the service "consul" of a server) is not among its services here: it
 * is neither listed nor to be removed, as in Consul.
 */
#include "agent/http/api_handlers.h"
#include "agent/http/decode.h"
#include "agent/http/filter_fields.h"
#include "agent/http/maintenance.h"
#include "agent/http/render.h"

static const struct local_service * /* NULL also for the agent's own entry */
service_find(const struct api *api, struct str id)
{
	const struct local_service *s = local_service_find(api->local, id);

	return s != NULL && s->source != LOCAL_SELF ? s : NULL;
}

void
api_agent_services(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct local_service *s = NULL;
	struct filter *filter;
	struct jw *w;

	if (!filter_read(req, &filter_services, &filter, reply))
		return;
	w = reply_json(reply);
	jw_object(w);
	while ((s = local_service_next(api->local, s)) != NULL) {
		if (s->source == LOCAL_SELF || !filter_has_agent_service(filter, s))
			continue;
		jw_key(w, s->info.id);
		render_agent_service(w, s, api->options->datacenter, STR_NONE);
	}
	jw_object_end(w);
	filter_done(filter, reply);
}

/* ?hash= waits for another content: the scope is read, but no index belongs to it. */
void
api_agent_service(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct local_service *s = service_find(api, req->tail);
	struct str hash;

	if (req->tail.n == 0) {
		reply_error(reply, 400, "Missing service ID");
		return;
	}
	if (s == NULL) {
		reply_error(reply, 404, "unknown service ID: " STR_FMT, STR_ARG(req->tail));
		return;
	}
	hash = arena_fmt(req->arena, "%llx", (unsigned long long)s->hash);
	render_agent_service(reply_json(reply), s, api->options->datacenter, hash);
	reply_header(reply, STR("X-Consul-ContentHash"), hash);
	reply->hash_blocking = true;
	reply->hash = hash;
	reply->reads[reply->read_count++] =
	    (struct watch_key){ WATCH_AGENT_SERVICE, arena_dup(req->arena, req->tail) };
}

/* ?replace-existing-checks, alone or =true: checks that the registration does not name go. */
static bool
replaces_checks(const struct http_request *req)
{
	struct str value = request_param(req, STR("replace-existing-checks"));

	return request_has(req, STR("replace-existing-checks")) &&
	       (value.n == 0 || str_eq(value, STR("true")));
}

/* Whether that id is the agent's own entry; then an error reply was made. */
static bool
reply_own_entry(const struct api *api, struct str id, struct http_reply *reply)
{
	const struct local_service *s = local_service_find(api->local, id);

	if (s == NULL || s->source != LOCAL_SELF)
		return false;
	reply_error(reply, 400, "The service \"" STR_FMT "\" is the agent's own", STR_ARG(id));
	return true;
}

void
api_agent_service_register(
    struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct service_registration r;
	struct err err;

	if (decode_service(req->arena, req->body, &r, &err) != 0) {
		reply_decode_failed(reply, &err);
		return;
	}
	if (reply_own_entry(api, r.service.id.n > 0 ? r.service.id : r.service.name, reply))
		return;
	if (local_service_put(api->local, req->now, &r.service, r.checks, r.check_count,
		replaces_checks(req), LOCAL_API, &err) < 0)
		reply_err(reply, &err);
	else
		api_changed(api);
}

void
api_agent_service_deregister(
    struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct err err;
	int rc;

	if (reply_own_entry(api, req->tail, reply))
		return;
	rc = local_service_remove(api->local, req->now, req->tail, &err);
	if (rc < 0 && rc != ERR_NOT_FOUND) /* gone already is as good */
		reply_err(reply, &err);
	else
		api_changed(api);
}

void
api_agent_service_maintenance(
    struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct check_def def = {
		.name = STR("Service Maintenance Mode"),
		.notes = STR("Maintenance mode is enabled for this service, but no reason was "
			     "provided. This is a default message."),
		.service_id = req->tail,
	};
	bool enable;

	if (req->tail.n == 0) {
		reply_error(reply, 400, "Missing service ID");
		return;
	}
	if (!maintenance_read(req, &enable, reply))
		return;
	if (service_find(api, req->tail) == NULL) {
		reply_error(reply, 404, "No service registered with ID \"" STR_FMT "\"",
		    STR_ARG(req->tail));
		return;
	}
	def.id =
	    arena_fmt(req->arena, "%s" STR_FMT, MAINTENANCE_SERVICE_PREFIX, STR_ARG(req->tail));
	maintenance_set(api, req, enable, &def, reply);
}

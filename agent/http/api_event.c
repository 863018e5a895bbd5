/* agent/http/api_event.c -- /v1/event: firing user events, and the last ones. */
#include <inttypes.h>

#include "agent/http/api_handlers.h"
#include "base/base64.h"

#define EVENT_ROOM (4 * SERF_EVENT_SIZE_MAX) /* what is larger is refused for its size anyway */

static void
render_payload(struct jw *w, struct str payload)
{
	char text[BASE64_LEN(SERF_MESSAGE_MAX)];
	struct buf b;

	jw_key(w, STR("Payload"));
	if (payload.n == 0) {
		jw_null(w);
		return;
	}
	buf_over(&b, text, sizeof text);
	base64_encode(&b, payload);
	jw_str(w, buf_str(&b));
}

static void
render_event(struct jw *w, const struct user_event *e)
{
	char id[UUID_TEXT_LEN + 1];

	jw_object(w);
	jw_kstr(w, "ID", str_of(uuid_format(&e->id, id)));
	jw_kstr(w, "Name", e->name);
	render_payload(w, e->payload);
	jw_kstr(w, "NodeFilter", e->node_filter);
	jw_kstr(w, "ServiceFilter", e->service_filter);
	jw_kstr(w, "TagFilter", e->tag_filter);
	jw_ki64(w, "Version", e->version);
	jw_ku64(w, "LTime", e->ltime);
	jw_object_end(w);
}

/* Into the pool; ours comes back as every other's. */
static int
event_send(
    struct api *api, const struct http_request *req, const struct user_event *e, struct err *err)
{
	struct str name = arena_fmt(req->arena, EVENTS_NAME_PREFIX STR_FMT, STR_ARG(e->name));
	uint8_t room[EVENT_ROOM];
	struct writer w = wr_of(room, sizeof room);

	if (user_event_write(&w, e, NULL) < 0 || name.n + w.pos > SERF_EVENT_SIZE_MAX)
		return err_set(err, ERR_LIMIT,
		    "user event exceeds configured limit of %d bytes before encoding",
		    SERF_EVENT_SIZE_MAX);
	return pool_event_fire(api->pool, req->now, name, wr_done(&w), err);
}

void
api_event_fire(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct user_event e = {
		.id = uuid_random(),
		.name = req->tail,
		.payload = req->body,
		.node_filter = request_param(req, STR("node")),
		.service_filter = request_param(req, STR("service")),
		.tag_filter = request_param(req, STR("tag")),
		.version = 1,
	};
	struct err err = { 0 };

	if (e.name.n == 0) {
		reply_error(reply, 400, "Missing name");
		return;
	}
	if (user_event_check(&e, &err) < 0) {
		reply_error(reply, 500, "%s", err.text);
		return;
	}
	if (reply_wrong_dc(api, req, reply))
		return;
	if (api->pool == NULL) {
		reply_error(reply, 500, "This agent is in no pool");
		return;
	}
	if (event_send(api, req, &e, &err) < 0) {
		reply_error(reply, 500, "%s", err.text);
		return;
	}
	render_event(reply_json(reply), &e);
	api_changed(api);
}

/* The index is that of the last event listed, which has no order: it waits while it is the same
 * (Consul does so too). Nobody looks for an agent's tag in it. */
void
api_event_list(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct str name = request_param(req, STR("name"));
	struct jw *w = reply_json(reply);
	size_t count = api->events == NULL ? 0 : events_count(api->events);

	reply->index = 1; /* 0 would make watchers spin */
	jw_array(w);
	for (size_t i = 0; i < count; i++) {
		const struct user_event *e = events_at(api->events, i);

		if (name.n > 0 && !str_eq(name, e->name))
			continue;
		render_event(w, e);
		reply->index = user_event_index(e);
	}
	jw_array_end(w);
	reply->index_exact = true;
	reply->reads[0] = (struct watch_key){ WATCH_EVENTS, STR_NONE };
	reply->read_count = 1;
	reply_header(reply, STR("X-Consul-Index"), arena_fmt(req->arena, "%" PRIu64, reply->index));
}

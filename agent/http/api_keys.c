/* agent/http/api_keys.c -- reads, writes and their outcome (see api_keys.h). */
#include "agent/http/api_keys.h"

#include "agent/duration.h"

static bool
reads_stale(struct api *api, const struct http_request *req)
{
	struct str text;
	nsec most = 0;

	if (req->param_count == 0)
		return false;
	if (request_has(req, STR("stale")))
		return true;
	text = request_param(req, STR("max_stale"));
	return text.n > 0 && duration_parse(text, &most, NULL) == 0 && most > 0 &&
	       cluster_status(api->cluster, req->now).last_contact <= most;
}

static enum cluster_read
read_mode(struct api *api, const struct http_request *req)
{
	if (reads_stale(api, req))
		return CLUSTER_STALE;
	return req->param_count > 0 && request_has(req, STR("consistent")) ? CLUSTER_CONSISTENT
									   : CLUSTER_DEFAULT;
}

void
reply_asks(
    struct api *api, const struct http_request *req, struct http_reply *reply, uint64_t request)
{
	reply->later = request | HTTP_TICKET_CLUSTER;
	reply->keep.stage = req->keep.stage + 1;
	api_changed(api);
}

bool
keys_readable(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	enum cluster_read mode;

	if (req->woken || req->answer != NULL)
		return true;
	mode = read_mode(api, req);
	if (cluster_readable(api->cluster, req->now, mode))
		return true;
	reply_asks(api, req, reply, cluster_read(api->cluster, req->now, mode));
	return false;
}

/* A read for which the leader was asked is as fresh as the leader's own. */
void
reply_contact(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct cluster_status status;

	if (req->answer != NULL || (!req->woken && !reads_stale(api, req)))
		return;
	status = cluster_status(api->cluster, req->now);
	reply->leaderless = !status.known_leader;
	if (reply->leaderless || reads_stale(api, req))
		reply->contact_ms = (uint64_t)(status.last_contact / NSEC_MS);
}

void
reply_key_reads(struct api *api, const struct http_request *req, struct http_reply *reply,
    enum watch_kind kind, struct str name, uint64_t index)
{
	reply->indexed = reply->index_keys = true;
	reply->index = index == 0 ? 1 : index; /* 0 would make watchers spin */
	reply->reads[0] = (struct watch_key){ kind, arena_dup(req->arena, name) };
	reply->read_count = 1;
	reply_contact(api, req, reply);
}

void
keys_write(struct api *api, const struct http_request *req, struct http_reply *reply,
    const struct fsm_op *op)
{
	reply_asks(api, req, reply, cluster_write(api->cluster, req->now, op));
}

bool
keys_result(const struct http_request *req, struct http_reply *reply, const char *failed,
    enum fsm_status *status, struct str *rest)
{
	struct str bytes = req->answer->bytes;
	unsigned what = bytes.n == 0 ? FSM_PAST : (unsigned char)bytes.p[0];

	*rest = str_skip(bytes, 1);
	switch (what) {
	case FSM_TRUE:
	case FSM_FALSE:
	case FSM_RESULTS:
	case FSM_ERRORS:
		*status = (enum fsm_status)what;
		return true;
	case FSM_ERROR:
		reply_error(reply, 500, "%s" STR_FMT, failed, STR_ARG(*rest));
		return false;
	case FSM_LOST:
		reply_error(reply, 500, "The write is done, but its result is not known any more");
		return false;
	default:
		reply_error(reply, 500, "It is not known whether the write is done");
		return false;
	}
}

bool
node_sessions_end(
    struct api *api, const struct http_request *req, struct http_reply *reply, struct str node)
{
	struct fsm_op op = { .command = FSM_SESSION_END, .cause = FSM_DESTROYED };
	const struct session *s;

	if (api->cluster == NULL || cluster_fsm(api->cluster) == NULL ||
	    (req->answer != NULL && req->answer->code != 0))
		return false;
	s = session_node_first(fsm_sessions(cluster_fsm(api->cluster)), node);
	if (s == NULL || (req->answer != NULL && uuid_eq(&s->info.id, &req->keep.id)))
		return false;
	op.session.id = s->info.id;
	keys_write(api, req, reply, &op);
	reply->keep.id = op.session.id;
	return true;
}

bool
reply_number(struct http_reply *reply, struct str text, uint64_t *out)
{
	bool digits = text.n > 0;

	for (size_t i = 0; i < text.n; i++)
		digits = digits && chr_digit(text.p[i]);
	if (digits && str_u64(text, UINT64_MAX, out))
		return true;
	reply_error(reply, 500, "strconv.ParseUint: parsing ");
	txn_quote(reply->body, text);
	buf_add(reply->body, digits ? STR(": value out of range") : STR(": invalid syntax"));
	return false;
}

struct txn_entry
entry_of(const struct key_entry *e)
{
	return (struct txn_entry){
		.key = key_name(e),
		.value = blob_str(e->value),
		.create = e->create,
		.modify = e->modify,
		.lock_index = e->lock_index,
		.flags = e->flags,
		.held = e->held,
		.session = e->session,
	};
}

void
render_entry(struct jw *w, const struct txn_entry *e)
{
	char id[UUID_TEXT_LEN + 1];

	jw_object(w);
	jw_ku64(w, "LockIndex", e->lock_index);
	jw_kstr(w, "Key", e->key);
	jw_ku64(w, "Flags", e->flags);
	jw_key(w, STR("Value"));
	if (e->value.n > 0)
		jw_base64(w, e->value);
	else
		jw_null(w);
	if (e->held)
		jw_kstr(w, "Session", str_of(uuid_format(&e->session, id)));
	jw_ku64(w, "CreateIndex", e->create);
	jw_ku64(w, "ModifyIndex", e->modify);
	jw_object_end(w);
}

static void
render_checks(struct jw *w, const char *key, const struct session_checks *checks, bool services)
{
	struct reader r = rd_of(checks->bytes);
	struct str id;

	jw_key(w, str_of(key));
	if (checks->null) {
		jw_null(w);
		return;
	}
	jw_array(w);
	while (session_check_next(&r, &id)) {
		if (!services) {
			jw_str(w, id);
			continue;
		}
		jw_object(w);
		jw_kstr(w, "ID", id);
		jw_kstr(w, "Namespace", STR_NONE);
		jw_object_end(w);
	}
	jw_array_end(w);
}

void
render_session(struct jw *w, const struct session_info *s)
{
	char id[UUID_TEXT_LEN + 1];

	jw_object(w);
	jw_kstr(w, "ID", str_of(uuid_format(&s->id, id)));
	jw_kstr(w, "Name", s->name);
	jw_kstr(w, "Node", s->node);
	jw_ki64(w, "LockDelay", s->lock_delay);
	jw_kstr(w, "Behavior", s->behavior == SESSION_DELETE ? STR("delete") : STR("release"));
	jw_kstr(w, "TTL", s->ttl_text);
	render_checks(w, "NodeChecks", &s->node_checks, false);
	render_checks(w, "ServiceChecks", &s->service_checks, true);
	jw_ku64(w, "CreateIndex", s->create);
	jw_ku64(w, "ModifyIndex", s->modify);
	jw_object_end(w);
}

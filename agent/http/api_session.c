/* agent/http/api_session.c -- /v1/session: what locks are held by.
 *
 * Parts: reading; creating; ending and renewing. A session is checked against this server's
 * catalog before the cluster is asked: its node must be there, and its checks, none critical.
 */
#include "agent/duration.h"
#include "agent/http/api_handlers.h"
#include "agent/http/api_keys.h"
#include "agent/http/decode.h"

#define LOCK_DELAY_DEFAULT (15 * NSEC_SEC)
#define SESSION_NEWS_MAX NSEC_SEC /* for another agent's records to come here */
#define SESSION_ID_BAD "failed session lookup: index error: UUID must be 36 characters"

static struct sessions *
api_sessions(const struct api *api)
{
	return fsm_sessions(cluster_fsm(api->cluster));
}

/* --- reading --- */

void
api_session_list(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct sessions *sessions;
	struct session *s;
	struct jw *w;

	if (reply_wrong_dc(api, req, reply) || !keys_readable(api, req, reply))
		return;
	sessions = api_sessions(api);
	w = reply_json(reply);
	jw_array(w);
	for (s = session_first(sessions); s != NULL; s = session_next(sessions, s))
		render_session(w, &s->info);
	jw_array_end(w);
	reply_key_reads(api, req, reply, WATCH_SESSIONS, STR_NONE, sessions_index(sessions));
}

/* A node by its name in any case; a name that is not known stays as it is. */
static struct str
node_name(const struct api *api, struct str name)
{
	const struct catalog *catalog = store_catalog(api->store);
	const struct catalog_node *node = catalog_node_find(catalog, name);

	if (node == NULL)
		node = catalog_node_find_nocase(catalog, name);
	return node == NULL ? name : node->info.name;
}

void
api_session_node(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct str name = node_name(api, req->tail);
	struct sessions *sessions;
	struct session *s;
	struct jw *w;

	if (req->tail.n == 0) {
		reply_error(reply, 400, "Missing node name");
		return;
	}
	if (reply_wrong_dc(api, req, reply) || !keys_readable(api, req, reply))
		return;
	sessions = api_sessions(api);
	w = reply_json(reply);
	jw_array(w);
	for (s = session_node_first(sessions, name); s != NULL; s = session_node_next(sessions, s))
		render_session(w, &s->info);
	jw_array_end(w);
	reply_key_reads(api, req, reply, WATCH_SESSION_NODE, name, sessions_index(sessions));
}

/* The id in the path. False with an error reply, the text after `failed`. */
static bool
session_id(
    const struct http_request *req, struct http_reply *reply, const char *failed, struct uuid *id)
{
	if (req->tail.n == 0)
		reply_error(reply, 400, "Missing session");
	else if (!uuid_parse(req->tail, id))
		reply_error(reply, 500, "%s" SESSION_ID_BAD, failed);
	else
		return true;
	return false;
}

void
api_session_info(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct sessions *sessions;
	struct session *s;
	struct uuid id;
	struct jw *w;

	if (!session_id(req, reply, "", &id) || reply_wrong_dc(api, req, reply) ||
	    !keys_readable(api, req, reply))
		return;
	sessions = api_sessions(api);
	s = session_find(sessions, &id);
	w = reply_json(reply);
	jw_array(w);
	if (s != NULL)
		render_session(w, &s->info);
	jw_array_end(w);
	reply_key_reads(api, req, reply, WATCH_SESSION, str_mem(id.b, sizeof id.b),
	    session_index(sessions, &id));
}

/* --- creating --- */

static bool
ids_have(const struct str *ids, size_t count, struct str id)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(ids[i], id))
			return true;
	return false;
}

/* Checks is the older name of NodeChecks: an empty one means none at all, serfHealth alone means
 * whatever NodeChecks says, and others are added to those. */
static bool
node_checks(struct arena *arena, const struct session_request *r, struct str **out, size_t *count)
{
	static const struct str serf = STR("serfHealth");
	const struct str *given = r->node_checks_set ? r->node_checks : &serf;
	size_t given_count = r->node_checks_set ? r->node_check_count : 1;
	bool more = r->checks_set && !(r->check_count == 1 && str_eq(r->checks[0], serf));
	struct str *all = arena_array(arena, struct str, given_count + r->check_count + 1);
	size_t n = 0;

	if (all == NULL)
		return false;
	if (more && r->check_count == 0)
		given_count = 0;
	for (size_t i = 0; i < given_count; i++)
		all[n++] = given[i];
	for (size_t i = 0; i < r->check_count && more && given_count > 0; i++)
		if (!ids_have(all, n, r->checks[i]))
			all[n++] = r->checks[i];
	*out = all;
	*count = n;
	return true;
}

static bool
checks_pack(
    struct arena *arena, const struct str *ids, size_t count, bool null, struct session_checks *out)
{
	size_t room = 1;
	uint8_t *bytes;
	struct writer w;

	for (size_t i = 0; i < count; i++)
		room += ids[i].n + 10;
	bytes = arena_alloc(arena, room);
	if (bytes == NULL)
		return false;
	w = wr_of(bytes, room);
	for (size_t i = 0; i < count; i++) {
		wr_varint(&w, ids[i].n);
		wr_bytes(&w, ids[i]);
	}
	*out = (struct session_checks){ null, count, wr_done(&w) };
	return true;
}

/* Each check must be there and not be critical, as Consul's state store wants it. */
static bool
checks_passing(
    const struct catalog_node *node, const struct str *ids, size_t count, struct http_reply *reply)
{
	for (size_t i = 0; i < count; i++) {
		const struct catalog_check *check = catalog_check_find(node, ids[i]);

		if (check == NULL)
			reply_error(reply, 500,
			    "apply failed: Missing check '" STR_FMT "' registration",
			    STR_ARG(ids[i]));
		else if (check->status == CHECK_CRITICAL)
			reply_error(reply, 500,
			    "apply failed: Check '" STR_FMT "' is in critical state",
			    STR_ARG(ids[i]));
		else
			continue;
		return false;
	}
	return true;
}

static bool
session_ttl(
    const struct api *api, const struct session_request *r, nsec *ttl, struct http_reply *reply)
{
	nsec least =
	    api->options->session_ttl_min > 0 ? api->options->session_ttl_min : SESSION_TTL_MIN;
	char from[DURATION_TEXT_MAX], to[DURATION_TEXT_MAX];
	struct err err = { 0 };

	*ttl = 0;
	if (r->ttl.n > 0 && duration_parse(r->ttl, ttl, &err) != 0)
		reply_error(
		    reply, 500, "Session TTL '" STR_FMT "' invalid: %s", STR_ARG(r->ttl), err.text);
	else if (*ttl != 0 && (*ttl < least || *ttl > SESSION_TTL_MAX))
		reply_error(reply, 500, "Invalid Session TTL '%lld', must be between [%s=%s]",
		    (long long)*ttl, duration_format(least, from),
		    duration_format(SESSION_TTL_MAX, to));
	else
		return true;
	return false;
}

static bool
session_limits(const struct session_request *r, size_t checks, struct http_reply *reply)
{
	if (r->name.n <= SESSION_TEXT_MAX && r->node.n <= SESSION_TEXT_MAX &&
	    r->ttl.n <= SESSION_TEXT_MAX && checks <= SESSION_CHECKS_MAX &&
	    r->service_check_count <= SESSION_CHECKS_MAX)
		return true;
	reply_error(reply, 429, "A session has at most %d checks, and names of at most %d bytes",
	    SESSION_CHECKS_MAX, SESSION_TEXT_MAX);
	return false;
}

/* The whole request into what the log holds; false with an error reply. */
static bool
session_make(const struct api *api, const struct http_request *req, const struct session_request *r,
    struct session_info *s, struct http_reply *reply)
{
	const struct catalog_node *node;
	struct str *checks;
	size_t count;

	if (r->behavior.n > 0 && !str_eq(r->behavior, STR("release")) &&
	    !str_eq(r->behavior, STR("delete"))) {
		reply_error(
		    reply, 500, "Invalid Behavior setting '" STR_FMT "'", STR_ARG(r->behavior));
		return false;
	}
	if (!session_ttl(api, r, &s->ttl, reply))
		return false;
	if (!node_checks(req->arena, r, &checks, &count) ||
	    !checks_pack(req->arena, checks, count, false, &s->node_checks) ||
	    !checks_pack(req->arena, r->service_checks, r->service_check_count,
		!r->service_checks_set, &s->service_checks)) {
		reply_error(reply, 429, "The request is too large");
		return false;
	}
	if (!session_limits(r, count, reply))
		return false;
	s->name = r->name;
	s->node = node_name(api, r->node);
	s->ttl_text = r->ttl;
	s->lock_delay = r->lock_delay;
	s->behavior = str_eq(r->behavior, STR("delete")) ? SESSION_DELETE : SESSION_RELEASE;
	node = catalog_node_find(store_catalog(api->store), s->node);
	if (node == NULL) {
		reply_error(reply, 500, "apply failed: Missing node registration");
		return false;
	}
	return checks_passing(node, checks, count, reply) &&
	       checks_passing(node, r->service_checks, r->service_check_count, reply);
}

/* An agent that carries a request here may have registered what the session depends on a moment
 * ago: unless all that it then had is here, it is asked for it, and the error waits (RULES 11). */
static void
news_awaited(const struct api *api, const struct http_request *req, struct http_reply *reply,
    struct str node)
{
	struct digest here;
	int newer;

	if (req->node.n == 0)
		return;
	if (store_digest_of(api->store, &req->asks.agent, &here)) {
		newer = epoch_cmp(&here.epoch, &req->asks.epoch);
		if (newer > 0 || (newer == 0 && here.number >= req->asks.number))
			return;
	}
	if (!req->woken && api->ops.pull != NULL)
		api->ops.pull(api->ops.arg, req->now, &req->asks.agent);
	reply->wait_until = req->now.mono + SESSION_NEWS_MAX;
	reply->reads[0] = (struct watch_key){ WATCH_NODE, node };
	reply->reads[1] = (struct watch_key){ WATCH_NODE_CHECKS, node };
	reply->read_count = 2;
}

static void
session_created(const struct http_request *req, struct http_reply *reply)
{
	char id[UUID_TEXT_LEN + 1];
	enum fsm_status status;
	struct str rest;
	struct jw *w;

	if (!keys_result(req, reply, "apply failed: ", &status, &rest))
		return;
	w = reply_json(reply);
	jw_object(w);
	jw_kstr(w, "ID", str_of(uuid_format(&req->keep.id, id)));
	jw_object_end(w);
}

void
api_session_create(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct session_request r = { .lock_delay = LOCK_DELAY_DEFAULT };
	struct fsm_op op = { .command = FSM_SESSION_CREATE };
	struct err err = { 0 };

	if (req->answer != NULL) {
		session_created(req, reply);
		return;
	}
	if (req->body.n > 0 && decode_session(req->arena, req->body, &r, &err) != 0) {
		reply_decode_failed(reply, &err);
		return;
	}
	if (reply_wrong_dc(api, req, reply))
		return;
	if (!api->ready) { /* nothing is known of nodes and checks yet (RULES 13) */
		reply_error(reply, 500, CLUSTER_NO_LEADER);
		return;
	}
	if (r.node.n == 0)
		r.node = req->node.n > 0 ? req->node : api->options->node_name;
	if (!session_make(api, req, &r, &op.session, reply)) {
		news_awaited(api, req, reply, r.node);
		return;
	}
	op.session.id = uuid_random();
	keys_write(api, req, reply, &op);
	reply->keep.id = op.session.id;
}

/* --- ending and renewing --- */

void
api_session_destroy(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct fsm_op op = { .command = FSM_SESSION_END, .cause = FSM_DESTROYED };
	enum fsm_status status;
	struct str rest;

	if (req->answer != NULL) {
		if (keys_result(req, reply, "apply failed: ", &status, &rest))
			reply_true(reply);
		return;
	}
	if (session_id(req, reply, "apply failed: ", &op.session.id) &&
	    !reply_wrong_dc(api, req, reply))
		keys_write(api, req, reply, &op);
}

/* The leader keeps the time. It may know a session that has not come here yet: then the copy is
 * waited for. */
void
api_session_renew(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct session *s;
	struct uuid id;
	struct jw *w;

	if (!session_id(req, reply, "", &id) || reply_wrong_dc(api, req, reply))
		return;
	if (req->keep.stage == 0) {
		reply_asks(api, req, reply, cluster_renew(api->cluster, req->now, &id));
		return;
	}
	s = session_find(api_sessions(api), &id);
	if (req->keep.stage == 1 && s == NULL && str_eq(req->answer->bytes, STR("\1"))) {
		reply_asks(api, req, reply, cluster_read(api->cluster, req->now, CLUSTER_DEFAULT));
		return;
	}
	if (s == NULL || (req->keep.stage == 1 && !str_eq(req->answer->bytes, STR("\1")))) {
		reply_error(reply, 404, "Session id '" STR_FMT "' not found", STR_ARG(req->tail));
		return;
	}
	w = reply_json(reply);
	jw_array(w);
	render_session(w, &s->info);
	jw_array_end(w);
}

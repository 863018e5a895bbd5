/* agent/http/api_query.c -- /v1/query: prepared queries.
 *
 * Parts: reading, writing, executing. Definitions are the cluster's, as keys are; instances come
 * from the catalog of the server that answers. A definition is judged here before it is written;
 * what other definitions and sessions decide, the state machine does.
 */
#include "agent/http/api_handlers.h"
#include "agent/http/api_keys.h"
#include "agent/http/decode_query.h"
#include "agent/http/render.h"
#include "agent/query_run.h"

#define QUERY_ID_BAD "failed prepared query lookup: index error: UUID must be 36 characters"
#define QUERY_NEWS_MAX NSEC_SEC /* for another agent's records to come here (RULES 11) */

static const struct queries *
api_queries(const struct api *api)
{
	return fsm_queries(cluster_fsm(api->cluster));
}

/* --- reading --- */

void
api_query_list(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct queries *queries;
	struct jw *w;

	if (reply_wrong_dc(api, req, reply) || !keys_readable(api, req, reply))
		return;
	queries = api_queries(api);
	w = reply_json(reply);
	jw_array(w);
	for (struct query *q = query_first(queries); q != NULL; q = query_next(queries, q))
		render_query(w, &q->info);
	jw_array_end(w);
	reply_key_reads(api, req, reply, WATCH_QUERIES, STR_NONE, queries_index(queries));
}

static void
query_read(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct queries *queries;
	const struct query *q;
	struct uuid id;
	struct jw *w;

	if (!uuid_parse(req->tail, &id)) {
		reply_error(reply, 500, QUERY_ID_BAD);
		return;
	}
	if (reply_wrong_dc(api, req, reply) || !keys_readable(api, req, reply))
		return;
	queries = api_queries(api);
	q = query_find(queries, &id);
	if (q == NULL) {
		reply_error(reply, 404, QUERY_NOT_FOUND);
		return;
	}
	w = reply_json(reply);
	jw_array(w);
	render_query(w, &q->info);
	jw_array_end(w);
	reply_key_reads(api, req, reply, WATCH_QUERIES, STR_NONE, queries_index(queries));
}

/* --- writing --- */

/* Packed, and within the limits that the state machine keeps; false with an error reply. */
static bool
query_packed(const struct http_request *req, const struct query_info *info, struct buf *body,
    struct http_reply *reply)
{
	struct query_info check;

	query_pack(body, info);
	if (!body->full && query_unpack(req->arena, buf_str(body), &check, NULL) == 0)
		return true;
	reply_error(reply, 429, "A prepared query has at most %d bytes, and %d elements in a list",
	    QUERY_BODY_MAX, QUERY_LIST_MAX);
	return false;
}

static void
query_write(struct api *api, const struct http_request *req, struct http_reply *reply,
    enum fsm_query_verb verb, const struct uuid *id, const struct query_info *info)
{
	struct fsm_op op = { .command = FSM_QUERY, .query_verb = verb, .query_id = *id };
	struct buf body;

	buf_init(&body, QUERY_BODY_MAX);
	if (info == NULL || query_packed(req, info, &body, reply)) {
		op.query = buf_str(&body);
		keys_write(api, req, reply, &op);
		reply->keep.id = *id;
	}
	buf_done(&body);
}

/* The definition in the body; false with an error reply. */
static bool
query_body(const struct http_request *req, struct query_request *out, struct http_reply *reply)
{
	struct err err = { 0 };

	if (decode_query(req->arena, req->body, out, &err) == 0)
		return true;
	reply_decode_failed(reply, &err);
	return false;
}

static bool
query_fits(const struct http_request *req, const struct query_info *info, struct http_reply *reply)
{
	struct err err = { 0 };

	if (query_valid(req->arena, info, &err) == 0)
		return true;
	reply_error(reply, 500, "%s", err.text);
	return false;
}

static bool
query_written(const struct http_request *req, struct http_reply *reply)
{
	enum fsm_status status;
	struct str rest;

	return keys_result(req, reply, "", &status, &rest);
}

void
api_query_create(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct query_request r = { .id = STR_NONE };
	char text[UUID_TEXT_LEN + 1];
	struct uuid id;
	struct jw *w;

	if (req->answer == NULL) {
		if (!query_body(req, &r, reply) || reply_wrong_dc(api, req, reply))
			return;
		id = uuid_random();
		if (r.id.n > 0)
			reply_error(
			    reply, 500, "ID must be empty when creating a new prepared query");
		else if (query_fits(req, &r.info, reply))
			query_write(api, req, reply, FSM_QUERY_CREATE, &id, &r.info);
		return;
	}
	if (!query_written(req, reply))
		return;
	w = reply_json(reply);
	jw_object(w);
	jw_kstr(w, "ID", str_of(uuid_format(&req->keep.id, text)));
	jw_object_end(w);
}

/* "ID/execute" and "ID/explain" can only be read. */
static bool
query_read_only(const struct http_request *req, struct http_reply *reply)
{
	if (!str_ends(req->tail, STR("/execute")) && !str_ends(req->tail, STR("/explain")))
		return false;
	reply_error(reply, 405, "method " STR_FMT " not allowed", STR_ARG(req->method_text));
	reply_header(reply, STR("Allow"), STR("OPTIONS,GET"));
	return true;
}

/* The id in the path; false with an error reply. */
static bool
query_id(const struct http_request *req, struct http_reply *reply, struct uuid *id)
{
	if (uuid_parse(req->tail, id))
		return true;
	reply_error(reply, 500, "Prepared Query lookup failed: " QUERY_ID_BAD);
	return false;
}

void
api_query_update(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct query_request r = { .id = STR_NONE };
	struct uuid id;

	if (req->answer != NULL) {
		(void)query_written(req, reply);
		return;
	}
	if (query_read_only(req, reply) || (req->body.n > 0 && !query_body(req, &r, reply)) ||
	    reply_wrong_dc(api, req, reply) || !query_id(req, reply, &id) ||
	    !query_fits(req, &r.info, reply))
		return;
	query_write(api, req, reply, FSM_QUERY_UPDATE, &id, &r.info);
}

void
api_query_delete(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct uuid id;

	if (req->answer != NULL) {
		(void)query_written(req, reply);
		return;
	}
	if (!query_read_only(req, reply) && !reply_wrong_dc(api, req, reply) &&
	    query_id(req, reply, &id))
		query_write(api, req, reply, FSM_QUERY_DELETE, &id, NULL);
}

/* --- executing --- */

/* ?limit=, as Go's Atoi reads it; none or below 1: no limit. False with an error reply. */
static bool
limit_read(const struct http_request *req, uint64_t *out, struct http_reply *reply)
{
	struct str text = request_param(req, STR("limit")), digits = text;
	bool minus = text.n > 0 && text.p[0] == '-';

	*out = 0;
	if (text.n == 0)
		return true;
	if (minus || text.p[0] == '+')
		digits = str_skip(text, 1);
	if (str_u64(digits, INT64_MAX, out)) {
		*out = minus ? 0 : *out;
		return true;
	}
	reply_error(reply, 500, "Bad limit: strconv.Atoi: parsing ");
	txn_quote(reply->body, text);
	buf_add(reply->body, STR(": invalid syntax"));
	return false;
}

/* The definition that is asked for; false with an error reply, or the cluster is asked. */
static bool
query_resolved(struct api *api, const struct http_request *req, const char *verb,
    struct query_info *out, struct http_reply *reply)
{
	struct str name = str_head(req->tail, req->tail.n - strlen(verb));
	struct err err = { 0 };

	if (reply_wrong_dc(api, req, reply) || !keys_readable(api, req, reply))
		return false;
	if (name.n == 0)
		reply_error(reply, 500, "Missing Query ID");
	else if (query_get(req->arena, api_queries(api), name, out, &err) == 0)
		return true;
	else
		reply_error(reply, err.code == ERR_NOT_FOUND ? 404 : 500, "%s", err.text);
	return false;
}

/* What Consul says of its answer, in headers and, strangely, in the body too. Nothing can be waited
 * for here: the index is always the same. */
static void
query_meta(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct jw *w = &reply->json;

	reply_contact(api, req, reply);
	reply_header(reply, STR("X-Consul-Index"), STR("1"));
	reply_header(
	    reply, STR("X-Consul-KnownLeader"), reply->leaderless ? STR("false") : STR("true"));
	reply_header(reply, STR("X-Consul-LastContact"),
	    arena_fmt(req->arena, "%llu", (unsigned long long)reply->contact_ms));
	reply_header(reply, STR("X-Consul-Effective-Consistency"), request_consistency(req));
	jw_ku64(w, "Index", 0);
	jw_ku64(w, "LastContact", reply->contact_ms * (uint64_t)NSEC_MS);
	jw_kbool(w, "KnownLeader", !reply->leaderless);
	jw_kstr(w, "ConsistencyLevel", request_consistency(req));
	jw_kbool(w, "NotModified", false);
}

static void
query_explain(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct query_info q;
	uint64_t limit;
	struct jw *w;

	if (!limit_read(req, &limit, reply) || !query_resolved(api, req, "/explain", &q, reply))
		return;
	w = reply_json(reply);
	jw_object(w);
	jw_key(w, STR("Query"));
	render_query(w, &q);
	query_meta(api, req, reply);
	jw_object_end(w);
}

/* An agent that carries a request here may have registered a moment ago what it now looks for: what
 * is empty waits a little until all that it then had is here. */
static void
news_awaited(const struct api *api, const struct http_request *req, struct http_reply *reply,
    const struct query_info *q)
{
	struct digest here;
	int newer;

	if (req->node.n == 0 || req->woken)
		return;
	if (store_digest_of(api->store, &req->asks.agent, &here)) {
		newer = epoch_cmp(&here.epoch, &req->asks.epoch);
		if (newer > 0 || (newer == 0 && here.number >= req->asks.number))
			return;
	}
	reply->wait_until = req->now.mono + QUERY_NEWS_MAX;
	reply->reads[0] =
	    (struct watch_key){ WATCH_SERVICE_HEALTH, arena_dup(req->arena, q->service) };
	reply->read_count = 1;
}

static void
render_found(struct api *api, const struct http_request *req, const struct query_info *q,
    const struct query_found *found, uint64_t limit, struct http_reply *reply)
{
	struct jw *w = reply_json(reply);

	jw_object(w);
	jw_kstr(w, "Service", q->service);
	jw_key(w, STR("Nodes"));
	jw_array(w);
	for (size_t i = 0; i < found->count && (limit == 0 || i < limit); i++)
		render_health_entry(w, found->of[i]);
	jw_array_end(w);
	jw_key(w, STR("DNS"));
	jw_object(w);
	jw_kstr(w, "TTL", q->ttl);
	jw_object_end(w);
	jw_kstr(w, "Datacenter", api->options->datacenter);
	jw_ki64(w, "Failovers", 0);
	query_meta(api, req, reply);
	jw_object_end(w);
}

static void
query_execute(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct str own = api->pool != NULL ? pool_wire_name(api->pool) : api->options->node_name;
	struct query_source source = { .agent = req->node.n > 0 ? req->node : own,
		.near = request_param(req, STR("near")),
		.address = request_asker(req) };
	struct query_found found;
	struct err err = { 0 };
	struct query_info q;
	uint64_t limit;

	if (!limit_read(req, &limit, reply) || !query_resolved(api, req, "/execute", &q, reply))
		return;
	if (!api->ready) { /* nothing is known of instances yet (RULES 13) */
		reply_error(reply, 500, CLUSTER_NO_LEADER);
		return;
	}
	if (query_run(
		req->arena, &api->rng, store_catalog(api->store), &q, &source, &found, &err) != 0) {
		reply_err(reply, &err);
		return;
	}
	render_found(api, req, &q, &found, limit, reply);
	if (found.count == 0)
		news_awaited(api, req, reply, &q);
}

void
api_query_get(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	if (str_ends(req->tail, STR("/execute")))
		query_execute(api, req, reply);
	else if (str_ends(req->tail, STR("/explain")))
		query_explain(api, req, reply);
	else
		query_read(api, req, reply);
}

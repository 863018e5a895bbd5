/* agent/http/api_kv.c -- /v1/kv: one key, a prefix, names only; writes and their conditions.
 *
 * Parts: reading; writing. Tests and texts in Consul's order.
 */
#include <stdlib.h>

#include "agent/http/api_handlers.h"
#include "agent/http/api_keys.h"

/* --- reading --- */

/* Not there: Consul answers without a body. */
static void
reply_none(struct http_reply *reply)
{
	buf_clear(reply->body);
	reply->status = 404;
	reply->content_type = NULL;
}

static void
kv_one(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct keys *keys = fsm_keys(cluster_fsm(api->cluster));
	const struct key_entry *e = key_find(keys, req->tail);
	struct txn_entry entry;
	struct jw *w;

	reply_key_reads(api, req, reply, WATCH_KEY, req->tail, key_index(keys, req->tail));
	if (e == NULL) {
		reply_none(reply);
		return;
	}
	if (request_has(req, STR("raw"))) {
		reply->content_type = "text/plain";
		reply_header(reply, STR("X-Content-Type-Options"), STR("nosniff"));
		reply_header(reply, STR("Content-Security-Policy"), STR("sandbox"));
		buf_add(reply->body, blob_str(e->value));
		return;
	}
	w = reply_json(reply);
	entry = entry_of(e);
	jw_array(w);
	render_entry(w, &entry);
	jw_array_end(w);
}

static void
kv_tree(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct keys *keys = fsm_keys(cluster_fsm(api->cluster));
	struct key_entry *e = key_prefix_first(keys, req->tail);
	struct jw *w = reply_json(reply);
	bool none = e == NULL;
	uint64_t most = 0;

	jw_array(w);
	for (; e != NULL && !reply->body->full; e = key_prefix_next(keys, req->tail, e)) {
		struct txn_entry entry = entry_of(e);

		most = e->modify > most ? e->modify : most;
		render_entry(w, &entry);
	}
	jw_array_end(w);
	reply_key_reads(
	    api, req, reply, WATCH_KEY_PREFIX, req->tail, key_prefix_index(keys, req->tail, most));
	if (none)
		reply_none(reply);
}

/* How much of a key stands for all keys below it: up to the first separator behind the prefix. */
static struct str
key_fold(struct str key, struct str prefix, struct str separator)
{
	const char *found;

	if (separator.n == 0 || key.n == prefix.n)
		return key;
	found = memmem(key.p + prefix.n, key.n - prefix.n, separator.p, separator.n);
	return found == NULL ? key : str_head(key, (size_t)(found - key.p) + separator.n);
}

/* The older spelling, "seperator", is taken too, as in Consul. */
static void
kv_names(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	const struct keys *keys = fsm_keys(cluster_fsm(api->cluster));
	struct key_entry *e = key_prefix_first(keys, req->tail);
	struct str separator = request_param(
	    req, request_has(req, STR("separator")) ? STR("separator") : STR("seperator"));
	struct jw *w = reply_json(reply);
	bool none = e == NULL && req->tail.n > 0;
	uint64_t most = 0;

	jw_array(w);
	while (e != NULL && !reply->body->full) {
		struct str name = key_fold(key_name(e), req->tail, separator);

		most = e->modify > most ? e->modify : most;
		jw_str(w, name);
		e = name.n < e->key_n ? key_prefix_skip(keys, req->tail, name)
				      : key_prefix_next(keys, req->tail, e);
	}
	jw_array_end(w);
	reply_key_reads(
	    api, req, reply, WATCH_KEY_PREFIX, req->tail, key_prefix_index(keys, req->tail, most));
	if (none)
		reply_none(reply);
}

void
api_kv_get(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	bool names = req->param_count > 0 && request_has(req, STR("keys"));
	bool tree = req->param_count > 0 && request_has(req, STR("recurse"));

	if (req->tail.n == 0 && !names && !tree) {
		reply_error(reply, 400, "Missing key name");
		return;
	}
	if (reply_wrong_dc(api, req, reply) || !keys_readable(api, req, reply))
		return;
	if (names)
		kv_names(api, req, reply);
	else if (tree)
		kv_tree(api, req, reply);
	else
		kv_one(api, req, reply);
}

/* --- writing --- */

static int
param_order(const void *a, const void *b)
{
	const struct http_header *x = *(const struct http_header *const *)a;
	const struct http_header *y = *(const struct http_header *const *)b;
	int order = str_cmp(x->name, y->name);

	return order != 0 ? order : (x < y ? -1 : 1);
}

/* As Go's url.QueryEscape. */
static void
query_escape(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], lower = chr_lower(c);

		if (chr_digit(c) || (lower >= 'a' && lower <= 'z') ||
		    (c != '\0' && strchr("-_.~", c) != NULL))
			buf_addc(out, c);
		else if (c == ' ')
			buf_addc(out, '+');
		else
			buf_addf(out, "%%%02X", (unsigned char)c);
	}
}

/* Two of these at once: an error reply with all parameters, in order; true. */
static bool
reply_conflicting(
    const struct http_request *req, struct http_reply *reply, const struct str *names, size_t count)
{
	const struct http_header *sorted[HTTP_QUERY_PARAMS_MAX];
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += request_has(req, names[i]);
	if (found < 2)
		return false;
	for (size_t i = 0; i < req->param_count; i++)
		sorted[i] = &req->params[i];
	qsort(sorted, req->param_count, sizeof sorted[0], param_order);
	reply_error(reply, 400, "Conflicting flags: ");
	for (size_t i = 0; i < req->param_count; i++) {
		if (i > 0)
			buf_addc(reply->body, '&');
		query_escape(reply->body, sorted[i]->name);
		buf_addc(reply->body, '=');
		query_escape(reply->body, sorted[i]->value);
	}
	return true;
}

static bool
reply_key_bad(const struct http_request *req, struct http_reply *reply)
{
	if (req->tail.n == 0)
		reply_error(reply, 400, "Missing key name");
	else if (req->tail.n > KEYS_KEY_MAX)
		reply_error(reply, 400, "Key name of %zu bytes is too long, max size: %d bytes",
		    req->tail.n, KEYS_KEY_MAX);
	else
		return false;
	return true;
}

/* The session of ?acquire and ?release. What is far too long for one is none either. */
static struct str
session_param(const struct http_request *req, struct str name)
{
	struct str id = request_param(req, name);

	return id.n > UUID_TEXT_LEN ? str_head(id, UUID_TEXT_LEN + 1) : id;
}

static bool
kv_put_op(const struct http_request *req, struct kv_op *op, struct http_reply *reply)
{
	*op = (struct kv_op){ .verb = KV_SET, .key = req->tail, .value = req->body };
	if (req->param_count == 0)
		return true;
	if (request_has(req, STR("flags")) &&
	    !reply_number(reply, request_param(req, STR("flags")), &op->flags))
		return false;
	if (request_has(req, STR("cas"))) {
		op->verb = KV_CAS;
		if (!reply_number(reply, request_param(req, STR("cas")), &op->index))
			return false;
	}
	if (request_has(req, STR("acquire"))) {
		op->verb = KV_LOCK;
		op->session = session_param(req, STR("acquire"));
	}
	if (request_has(req, STR("release"))) {
		op->verb = KV_UNLOCK;
		op->session = session_param(req, STR("release"));
	}
	return true;
}

/* What became of it: true, or false where a condition did not hold. */
static void
kv_written(const struct http_request *req, struct http_reply *reply)
{
	enum fsm_status status;
	struct str rest;

	if (keys_result(req, reply, "raft apply failed: ", &status, &rest))
		jw_bool(reply_json(reply), status == FSM_TRUE);
}

void
api_kv_put(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	static const struct str conditions[] = { STR("cas"), STR("acquire"), STR("release") };
	struct fsm_op op;

	if (req->answer != NULL) {
		kv_written(req, reply);
		return;
	}
	fsm_op_init(&op, FSM_KV);
	op.kv_count = 1;
	if (reply_key_bad(req, reply) || reply_conflicting(req, reply, conditions, 3) ||
	    !kv_put_op(req, &op.kv[0], reply))
		return;
	if (req->body.n > KEYS_VALUE_MAX) {
		reply_error(reply, 413,
		    "Request body(%zu bytes) too large, max size: %d bytes. See "
		    "https://www.consul.io/docs/agent/options.html#kv_max_value_size.",
		    req->body.n, KEYS_VALUE_MAX);
		return;
	}
	if (!reply_wrong_dc(api, req, reply))
		keys_write(api, req, reply, &op);
}

void
api_kv_delete(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	static const struct str conditions[] = { STR("recurse"), STR("cas") };
	struct fsm_op op;
	struct kv_op *kv = &op.kv[0];

	if (req->answer != NULL) {
		kv_written(req, reply);
		return;
	}
	fsm_op_init(&op, FSM_KV);
	op.kv_count = 1;
	*kv = (struct kv_op){ .verb = KV_DELETE, .key = req->tail };
	if (reply_conflicting(req, reply, conditions, 2))
		return;
	if (request_has(req, STR("recurse")))
		kv->verb = KV_DELETE_TREE;
	else if (reply_key_bad(req, reply))
		return;
	if (request_has(req, STR("cas"))) {
		kv->verb = KV_DELETE_CAS;
		if (!reply_number(reply, request_param(req, STR("cas")), &kv->index))
			return;
	}
	if (!reply_wrong_dc(api, req, reply))
		keys_write(api, req, reply, &op);
}

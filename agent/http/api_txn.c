/* agent/http/api_txn.c -- /v1/txn: several operations, all or none.
 *
 * Parts: the request; errors; results; reading; writing. All of a transaction is one entry of the
 * log: operations on keys as they are, those on the catalog as steps (api_txn_catalog.h). Among the
 * former an operation of another kind is KV_NONE, so that numbers of operations agree.
 */
#include "agent/http/api_handlers.h"
#include "agent/http/api_keys.h"
#include "agent/http/api_txn_catalog.h"

#define TXN_BODY_MAX (512 * 1024)
#define TXN_WHY_MAX (KEYS_KEY_MAX * 8)

struct txn {
	struct txn_op *ops;
	size_t count;
	bool writes, catalog_writes;
	struct str *why; /* for each operation: what is wrong with it; empty: nothing */
};

/* --- the request --- */

static bool
kv_fits(const struct kv_op *kv, struct http_reply *reply)
{
	if (kv->key.n > KEYS_KEY_MAX || kv->session.n > SESSION_TEXT_MAX) {
		reply_error(reply, 413, "A key of %zu bytes or a session of %zu is too large",
		    kv->key.n, kv->session.n);
		return false;
	}
	if (kv->value.n <= KEYS_VALUE_MAX)
		return true;
	reply_error(reply, 413, "Value for key ");
	txn_quote(reply->body, kv->key);
	buf_addf(reply->body, " is too large (%zu > %d bytes)", kv->value.n, KEYS_VALUE_MAX);
	return false;
}

/* False with an error reply. */
static bool
txn_read(const struct http_request *req, struct txn *t, struct http_reply *reply)
{
	struct err err = { 0 };

	*t = (struct txn){ 0 };
	if (req->body.n > TXN_BODY_MAX) {
		reply_error(reply, 413,
		    "Request body(%zu bytes) too large, max size: %d bytes. See "
		    "https://www.consul.io/docs/agent/options.html#txn_max_req_len.",
		    req->body.n, TXN_BODY_MAX);
		return false;
	}
	if (decode_txn(req->arena, req->body, &t->ops, &t->count, &err) != 0) {
		reply_error(reply, 400, "Failed to parse body: %s", err.text);
		return false;
	}
	if (t->count > TXN_OPS_MAX) {
		reply_error(reply, 413, "Transaction contains too many operations (%zu > %d)",
		    t->count, TXN_OPS_MAX);
		return false;
	}
	t->why = arena_array(req->arena, struct str, TXN_OPS_MAX);
	if (t->why == NULL) {
		reply_error(reply, 429, "The request is too large");
		return false;
	}
	for (size_t i = 0; i < t->count; i++) {
		bool writes = txn_op_writes(&t->ops[i]);

		if (t->ops[i].kind == TXN_KV && !kv_fits(&t->ops[i].kv, reply))
			return false;
		t->writes = t->writes || writes;
		t->catalog_writes = t->catalog_writes || (writes && t->ops[i].kind != TXN_KV);
	}
	return true;
}

/* The operations on keys, each at its place. The number of them. */
static size_t
txn_keys(const struct txn *t, struct kv_op kv[TXN_OPS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < t->count; i++) {
		kv[i] = (struct kv_op){ .verb = KV_NONE };
		if (t->ops[i].kind == TXN_KV) {
			kv[i] = t->ops[i].kv;
			n++;
		}
	}
	return n;
}

/* --- errors --- */

/* From the bytes of a transaction on keys that has failed. */
static void
keys_errors(struct txn *t, struct arena *arena, struct str bytes)
{
	struct reader r = rd_of(bytes);
	uint32_t count = rd_be32(&r);
	struct txn_error e;

	while (count-- > 0 && txn_error_read(&r, &e))
		if (e.op_index < t->count)
			t->why[e.op_index] = arena_dup(arena, e.what);
}

/* Tries the operations on the catalog; false: there are errors. */
static bool
catalog_errors(const struct api *api, struct txn *t, struct arena *arena)
{
	bool fine = true;

	for (size_t i = 0; i < t->count; i++) {
		struct buf why;

		buf_init(&why, TXN_WHY_MAX);
		if (!txn_catalog_try(api, t->ops, i, &why)) {
			t->why[i] = arena_dup(arena, buf_str(&why));
			fine = false;
		}
		buf_done(&why);
	}
	return fine;
}

/* Read-only answers tell what reads tell. */
static void
render_meta(struct jw *w, struct api *api, const struct http_reply *reply)
{
	uint64_t index = fsm_index(cluster_fsm(api->cluster));

	jw_ku64(w, "Index", index == 0 ? 1 : index);
	jw_ku64(w, "LastContact", reply->contact_ms * (uint64_t)NSEC_MS);
	jw_kbool(w, "KnownLeader", !reply->leaderless);
}

static void
reply_conflict(struct api *api, const struct txn *t, struct http_reply *reply)
{
	struct jw *w = reply_json(reply);

	reply->status = 409;
	jw_object(w);
	jw_knull(w, "Results");
	jw_key(w, STR("Errors"));
	jw_array(w);
	for (size_t i = 0; i < t->count; i++) {
		if (t->why[i].n == 0)
			continue;
		jw_object(w);
		jw_ku64(w, "OpIndex", i);
		jw_kstr(w, "What", t->why[i]);
		jw_object_end(w);
	}
	jw_array_end(w);
	if (!t->writes)
		render_meta(w, api, reply);
	jw_object_end(w);
}

/* --- results --- */

struct results { /* of the keys, read in the order of the operations */
	struct reader bytes;
	uint32_t left;
	struct txn_entry next;
	bool has_next;
};

static void
results_step(struct results *r)
{
	r->has_next = r->left > 0 && txn_entry_read(&r->bytes, &r->next);
	r->left -= r->has_next;
}

static void
render_key(struct jw *w, const struct txn_entry *e)
{
	jw_object(w);
	jw_key(w, STR("KV"));
	render_entry(w, e);
	jw_object_end(w);
}

/* Entries of a tree come with values, in order of their keys; one that does not go on so is the
 * next operation's. */
static void
render_tree(struct jw *w, struct results *r, struct str prefix)
{
	struct str last = STR_NONE;

	while (r->has_next && r->next.has_value && str_starts(r->next.key, prefix) &&
	       (last.p == NULL || str_cmp(last, r->next.key) < 0)) {
		last = r->next.key;
		render_key(w, &r->next);
		results_step(r);
	}
}

static void
render_kv_result(struct jw *w, struct results *r, const struct kv_op *kv)
{
	switch (kv->verb) {
	case KV_GET_TREE:
		render_tree(w, r, kv->key);
		break;
	case KV_SET:
	case KV_CAS:
	case KV_LOCK:
	case KV_UNLOCK:
	case KV_GET:
	case KV_CHECK_INDEX:
	case KV_CHECK_SESSION:
		if (r->has_next)
			render_key(w, &r->next);
		results_step(r);
		break;
	case KV_NONE:
	case KV_CHECK_NOT_EXISTS:
	case KV_DELETE:
	case KV_DELETE_TREE:
	case KV_DELETE_CAS:
	case KV_UNKNOWN:
	case KV_VERBS:
		break;
	}
}

/* `bytes`: the results of the keys, or nothing. The catalog answers as it is now. */
static void
reply_results(struct api *api, const struct txn *t, struct str bytes, struct http_reply *reply)
{
	struct results r = { .bytes = rd_of(bytes) };
	struct jw *w = reply_json(reply);

	r.left = bytes.n == 0 ? 0 : rd_be32(&r.bytes);
	results_step(&r);
	jw_object(w);
	jw_key(w, STR("Results"));
	jw_array(w);
	for (size_t i = 0; i < t->count; i++) {
		if (t->ops[i].kind == TXN_KV) {
			render_kv_result(w, &r, &t->ops[i].kv);
			continue;
		}
		txn_catalog_render(api, &t->ops[i], w);
	}
	jw_array_end(w);
	jw_knull(w, "Errors");
	if (!t->writes)
		render_meta(w, api, reply);
	jw_object_end(w);
}

/* --- reading --- */

/* Runs the operations on keys here; false: they have errors. Nothing changes: what does so in a
 * transaction that fails anyway is taken back. */
static bool
keys_try(struct api *api, const struct http_request *req, struct txn *t, struct buf *results)
{
	struct fsm *fsm = cluster_fsm(api->cluster);
	struct keys *keys = fsm_keys(fsm);
	struct kv_op kv[TXN_OPS_MAX];
	bool fine;

	txn_keys(t, kv);
	keys_begin(keys, fsm_index(fsm) + 1);
	fine = txn_run(
	    keys, kv, t->count, keys_delays_over(keys, req->now.mono, fsm_index(fsm)), results);
	keys_rollback(keys);
	if (!fine)
		keys_errors(t, req->arena, buf_str(results));
	return fine;
}

static void
txn_reads(struct api *api, const struct http_request *req, struct txn *t, struct http_reply *reply)
{
	struct buf results;
	bool fine;

	buf_init(&results, FSM_RESULT_MAX);
	reply_contact(api, req, reply);
	reply_header(
	    reply, STR("X-Consul-KnownLeader"), reply->leaderless ? STR("false") : STR("true"));
	reply_header(reply, STR("X-Consul-LastContact"),
	    arena_fmt(req->arena, "%llu", (unsigned long long)reply->contact_ms));
	fine = catalog_errors(api, t, req->arena);
	fine = keys_try(api, req, t, &results) && fine;
	if (results.full)
		reply_error(reply, 429, "the results of the transaction are too large");
	else if (fine)
		reply_results(api, t, buf_str(&results), reply);
	else
		reply_conflict(api, t, reply);
	buf_done(&results);
}

/* --- writing --- */

/* The keys are not written: all errors are told, those of the keys as far as this server knows. */
static void
reply_refused(
    struct api *api, const struct http_request *req, struct txn *t, struct http_reply *reply)
{
	struct buf results;

	buf_init(&results, FSM_RESULT_MAX);
	keys_try(api, req, t, &results);
	buf_done(&results);
	reply_conflict(api, t, reply);
}

/* Where a plan fails that was tried well, what an operation says is its error. */
static bool
txn_plan(struct api *api, const struct http_request *req, struct txn *t, struct buf *steps,
    struct http_reply *reply)
{
	struct err err = { 0 };

	for (size_t i = 0; i < t->count; i++) {
		int rc = txn_catalog_plan(api, &t->ops[i], steps, &err);

		if (rc == ERR_LIMIT) {
			reply_external_refused(reply, &err);
			return false;
		}
		if (rc < 0) {
			t->why[i] = arena_dup(req->arena, str_of(err.text));
			reply_refused(api, req, t, reply);
			return false;
		}
	}
	return true;
}

static void
txn_begin(struct api *api, const struct http_request *req, struct txn *t, struct http_reply *reply)
{
	struct fsm_op op = { .command = FSM_TXN, .kv_count = t->count };
	struct buf steps;

	if (!catalog_errors(api, t, req->arena)) {
		reply_refused(api, req, t, reply);
		return;
	}
	buf_init(&steps, FSM_STEPS_BYTES_MAX);
	if (txn_plan(api, req, t, &steps, reply)) {
		txn_keys(t, op.kv);
		op.steps = buf_str(&steps);
		if (t->catalog_writes)
			op.command = FSM_EXTERNAL_TXN;
		keys_write(api, req, reply, &op);
	}
	buf_done(&steps);
}

/* It is decided. */
static void
txn_written(
    struct api *api, const struct http_request *req, struct txn *t, struct http_reply *reply)
{
	enum fsm_status status;
	struct str rest;

	if (!keys_result(req, reply, "raft apply failed: ", &status, &rest))
		return;
	if (status == FSM_ERRORS) {
		keys_errors(t, req->arena, rest);
		reply_conflict(api, t, reply);
	} else if (status == FSM_FALSE) { /* the catalog has changed since it was tried */
		if (api_external_again(req, reply))
			txn_begin(api, req, t, reply);
	} else {
		reply_results(api, t, rest, reply);
		api_changed(api);
	}
}

void
api_txn(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct txn t;

	if (!txn_read(req, &t, reply) || reply_wrong_dc(api, req, reply))
		return;
	if (t.writes && req->answer != NULL)
		txn_written(api, req, &t, reply);
	else if (t.writes)
		txn_begin(api, req, &t, reply);
	else if (keys_readable(api, req, reply))
		txn_reads(api, req, &t, reply);
}

/* agent/http/api_snapshot.c -- /v1/snapshot: the whole state of the keys as a file, and back.
 *
 * A save costs the loop one walk over the keys and then a piece in each turn, as fast as the client
 * takes them; the entries themselves are shared with the store. A restore goes into the log in
 * parts, of which the last one changes all at once (RULES 19), after every byte of the file has
 * been checked.
 */
#include "agent/http/api_handlers.h"
#include "agent/http/api_keys.h"
#include "base/mem.h"
#include "config.h"
#include "kv/snapshot_file.h"

#define HEAD_BYTES (8 * 1024) /* more than the head of a file takes */

struct snapshot_stream {
	struct http_stream stream;
	struct buf head; /* until it is sent */
	struct fsm_snapshot *snapshot;
};

static bool
snapshot_stream_next(struct http_stream *stream, size_t want, struct buf *out)
{
	struct snapshot_stream *s = (struct snapshot_stream *)stream;

	buf_add(out, buf_str(&s->head));
	buf_clear(&s->head);
	return fsm_snapshot_next(s->snapshot, want, out);
}

static void
snapshot_stream_free(struct http_stream *stream)
{
	struct snapshot_stream *s = (struct snapshot_stream *)stream;

	buf_done(&s->head);
	fsm_snapshot_free(s->snapshot);
	free(s);
}

static struct http_stream *
snapshot_stream_new(struct api *api, struct now now)
{
	struct snapshot_stream *s = mem_new(struct snapshot_stream);
	struct fsm *fsm = cluster_fsm(api->cluster);
	struct snapshot_head head = {
		.index = fsm_index(fsm),
		.raft_index = fsm_raft_index(fsm),
		.wall_ms = now.wall_ms,
		.cluster = cluster_status(api->cluster, now).cluster,
		.node = api->options->node_name,
		.datacenter = api->options->datacenter,
		.build = STR(PACKAGE_VERSION),
	};

	s->stream = (struct http_stream){
		.next = snapshot_stream_next, .free = snapshot_stream_free
	};
	s->snapshot = fsm_snapshot_new(fsm);
	buf_init(&s->head, 64 * 1024);
	snapshot_head_write(&s->head, &head);
	return &s->stream;
}

void
api_snapshot_get(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	if (reply_wrong_dc(api, req, reply) || !keys_readable(api, req, reply))
		return;
	reply->content_type = "application/octet-stream";
	reply->indexed = true;
	reply->index = fsm_index(cluster_fsm(api->cluster));
	reply_contact(api, req, reply);
	reply->stream = snapshot_stream_new(api, req->now);
}

static struct uuid
restore_id(struct api *api)
{
	uint64_t n = rng_u64(&api->rng);
	struct uuid id = { { 0 } };

	memcpy(id.b, &n, sizeof n);
	return id;
}

/* The next part, for which the answer to the one before has come. */
static void
snapshot_part(struct api *api, const struct http_request *req, struct http_reply *reply,
    struct str state, struct uuid id)
{
	struct fsm_op *op = arena_alloc(req->arena, sizeof *op);
	size_t at = (size_t)req->keep.stage * FSM_RESTORE_PART;

	if (op == NULL) {
		reply_error(reply, 500, "No memory for this request");
		return;
	}
	op->command = FSM_RESTORE;
	memcpy(&op->restore_id, id.b, sizeof op->restore_id);
	op->restore_at = at;
	op->restore_total = state.n;
	op->snapshot = str_skip(state, at);
	if (op->snapshot.n > FSM_RESTORE_PART)
		op->snapshot.n = FSM_RESTORE_PART;
	reply->keep.id = id;
	keys_write(api, req, reply, op);
}

/* The whole file is checked at first; in later runs only its head, to know where the state begins.
 */
static int
snapshot_state(const struct http_request *req, struct str *out, struct err *err)
{
	struct snapshot_scan *scan;
	int rc = 0;

	if (req->answer == NULL)
		return snapshot_file_check(req->body, out, err);
	scan = snapshot_scan_new();
	snapshot_scan_feed(
	    scan, str_head(req->body, req->body.n < HEAD_BYTES ? req->body.n : HEAD_BYTES));
	if (snapshot_scan_head(scan) != NULL)
		*out = str_skip(req->body, snapshot_scan_head_bytes(scan));
	else
		rc = snapshot_scan_finish(scan, err);
	snapshot_scan_free(scan);
	return rc;
}

void
api_snapshot_put(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct uuid id = req->keep.id;
	enum fsm_status status = FSM_TRUE;
	struct str state = STR_NONE, rest;
	struct err err = { 0 };

	if (req->answer != NULL && !keys_result(req, reply, "", &status, &rest))
		return;
	if (status != FSM_TRUE) {
		reply_error(
		    reply, 500, "Another restore has begun meanwhile: this one is not done");
	} else if (snapshot_state(req, &state, &err) < 0) {
		reply_error(reply, 400, "%s", err.text);
	} else if (req->answer == NULL && reply_wrong_dc(api, req, reply)) {
		return;
	} else if ((size_t)req->keep.stage * FSM_RESTORE_PART < state.n) {
		if (req->answer == NULL)
			id = restore_id(api);
		snapshot_part(api, req, reply, state, id);
	}
}

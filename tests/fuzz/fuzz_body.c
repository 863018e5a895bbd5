/* tests/fuzz/fuzz_body.c -- requests with bodies, through the table of routes, to every handler.
 *
 * Input: up to REQUESTS_MAX requests, parted by a byte 0x1e: "METHOD TARGET\nBODY". They are
 * carried out on a store, local services and a cluster of keys; then all that they may have left
 * is read. Every answer in JSON is JSON, and whatever is refused says why.
 */
#include <string.h>

#include "agent/http/answers.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/api_room.h"

#define REQUESTS_MAX 8
#define RUNS_MAX 64 /* of one request: once more for each answer of the cluster */

static void
check_reply(struct http_reply *rp)
{
	struct str text = rp->shared != NULL ? blob_str(rp->shared) : buf_str(rp->body);
	json_t *v;

	FUZZ_ASSERT(rp->status >= 200 && rp->status < 600);
	if (rp->stream != NULL) {
		rp->stream->free(rp->stream);
		return;
	}
	if (rp->status >= 400 && rp->status != 404)
		FUZZ_ASSERT(text.n > 0);
	if (rp->content_type == NULL || strcmp(rp->content_type, "application/json") != 0)
		return;
	/* as reals: flags of 64 bits are more than jansson's integers hold */
	v = json_loadb(
	    text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	FUZZ_ASSERT(v != NULL);
	json_decref(v);
}

/* The next answer of the cluster to a ticket; false: it has none. */
static bool
cluster_says(uint64_t ticket, struct cluster_action *out)
{
	while (cluster_action_next(api.cluster, out)) {
		if (out->kind != CLUSTER_ANSWER || (out->request | HTTP_TICKET_CLUSTER) != ticket)
			continue;
		external_take();
		return true;
	}
	return false;
}

static void
request(struct str line, struct str sent)
{
	struct cluster_action act;
	struct http_keep keep = { 0 };
	bool answered = false;

	for (unsigned run = 0; run < RUNS_MAX; run++) {
		struct http_request req = { .answer = answered ? &act : NULL, .keep = keep };
		struct http_reply reply;
		struct dispatched dispatched;

		arena_reset(&arena);
		if (!request_of_line(&req, line, sent))
			return;
		dispatch(http_routes, &api, &req, &body, &reply, &dispatched);
		if (reply.later == 0) {
			check_reply(&reply);
			return;
		}
		keep = reply.keep;
		answered = cluster_says(reply.later, &act);
		if (!answered)
			return; /* it waits for something that is not here */
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const reads[] = {
		"GET /v1/agent/services",
		"GET /v1/agent/checks",
		"GET /v1/catalog/nodes",
		"GET /v1/catalog/services",
		"GET /v1/catalog/node/n1",
		"GET /v1/health/state/any",
		"GET /v1/health/service/web",
		"GET /v1/health/service/web?passing&pretty",
		"GET /v1/kv/?recurse",
		"GET /v1/session/list",
	};
	struct str rest = str_mem(data, size);

	api_room_open(16, true);
	api.answers = answers_new();
	for (unsigned n = 0; n < REQUESTS_MAX && rest.p != NULL; n++) {
		struct str sent = str_cut(&rest, '\x1e'), line = str_cut(&sent, '\n');

		request(line, sent);
		now.mono += NSEC_SEC;
		now.wall_ms += 1000;
		local_tick(api.local, now);
	}
	for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++)
		request(str_of(reads[i]), STR_NONE);
	answers_free(api.answers);
	api_room_close();
	return 0;
}

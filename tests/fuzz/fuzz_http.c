/* Arbitrary bytes as what a client sends on one connection. However they are cut into reads, the
 * same requests come out and the same replies go back; each request's route, parameters and
 * terms are looked at too. The first byte says how long the pieces are. */
#include <string.h>

#include "agent/http/conn.h"
#include "agent/http/router.h"
#include "agent/http/wait.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"

static void
handler(struct api *api, const struct http_request *rq, struct http_reply *rp)
{
	(void)api;
	(void)rq;
	(void)rp;
}

static const struct route routes[] = {
	{ HTTP_GET, STR("/v1/catalog/nodes"), handler, ROUTE_BLOCKS, "" },
	{ HTTP_GET, STR("/v1/kv/*"), handler, ROUTE_BLOCKS, "" },
	{ HTTP_PUT, STR("/v1/kv/*"), handler, 0, "" },
	{ HTTP_PUT, STR("/v1/snapshot"), handler, ROUTE_LARGE, "" },
	{ 0 },
};

static const struct http_limits limits = {
	.head_max = 2000,
	.body_max = 3000,
	.body_large_max = 6000,
	.head_time = NSEC_SEC,
	.body_time = NSEC_SEC,
	.idle_time = NSEC_SEC,
	.write_time = NSEC_SEC,
};
static const struct now now = { .mono = NSEC_SEC, .wall_ms = 1000 };

/* Answers with all that was understood of the request. */
static void
answer(struct http_conn *c, struct http_request *rq, struct buf *body)
{
	struct wait_terms terms;
	struct http_reply rp;
	struct str to = STR_NONE;
	struct rng rng;

	rng_init(&rng, 1);
	reply_init(&rp, body, false);
	FUZZ_ASSERT(rq->body.n <= limits.body_large_max);
	if (router_find(routes, rq, &to) == ROUTED && wait_consistency_read(rq, &rp) &&
	    wait_terms_read(rq, &rng, &terms, &rp))
		buf_addf(body, "%d %lld ", terms.blocks, (long long)terms.until);
	for (size_t i = 0; i < rq->header_count; i++)
		buf_addf(body, STR_FMT "=" STR_FMT ";", STR_ARG(rq->headers[i].name),
		    STR_ARG(rq->headers[i].value));
	for (size_t i = 0; i < rq->param_count; i++)
		buf_addf(body, STR_FMT "=" STR_FMT "&", STR_ARG(rq->params[i].name),
		    STR_ARG(rq->params[i].value));
	buf_addf(body, STR_FMT " " STR_FMT " ", STR_ARG(rq->method_text), STR_ARG(rq->tail));
	buf_add(body, rq->body);
	reply_header(&rp, STR("Location"), to);
	http_conn_reply(c, now, &rp, NULL);
}

static void
converse(struct str in, size_t piece, struct buf *out)
{
	struct http_work *work = http_work_new(&limits, routes, NULL, 0);
	struct http_conn *c = http_conn_new(work, &(struct addr){ 0 }, now);
	struct buf body;
	bool more = true;

	buf_init(&body, 1 << 20);
	while (more && !http_conn_closed(c)) {
		struct http_request *rq;
		struct str slices[4];
		size_t n = in.n < piece ? in.n : piece, sent = 0, count;
		char *copy = str_dup(str_head(in, n));

		if (n > 0 && http_conn_wants_input(c)) {
			http_conn_input(c, now, str_mem(copy, n));
			in = str_skip(in, n);
		} else if (n == 0) {
			http_conn_eof(c, now);
			more = false;
		}
		do {
			while ((rq = http_conn_request(c, now)) != NULL)
				answer(c, rq, &body);
			count = http_conn_output(c, slices, 4);
			sent = 0;
			for (size_t i = 0; i < count; i++) {
				buf_add(out, slices[i]);
				sent += slices[i].n;
			}
			http_conn_sent(c, now, sent);
		} while (sent > 0);
		http_conn_settle(c);
		FUZZ_ASSERT(http_conn_memory(c) < 64 * 1024);
		free(copy);
	}
	FUZZ_ASSERT(http_conn_closed(c));
	http_conn_free(c);
	http_work_free(work);
	buf_done(&body);
}

/* Whether a client is told to go on with its body depends on what has come with the head. */
static void
without_continue(struct buf *b)
{
	const struct str line = STR("HTTP/1.1 100 Continue\r\n\r\n");
	char *at;

	while (b->n > 0 && (at = memmem(b->p, b->n, line.p, line.n)) != NULL) {
		memmove(at, at + line.n, (size_t)(b->p + b->n - at) - line.n);
		b->n -= line.n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;

	if (size < 1 || size > 20000)
		return 0;
	buf_init(&whole, 1 << 24);
	buf_init(&pieces, 1 << 24);
	converse(str_mem(data + 1, size - 1), size, &whole);
	converse(str_mem(data + 1, size - 1), data[0] + 1u, &pieces);
	without_continue(&whole);
	without_continue(&pieces);
	FUZZ_ASSERT(str_eq(buf_str(&whole), buf_str(&pieces)));
	buf_done(&whole);
	buf_done(&pieces);
	return 0;
}

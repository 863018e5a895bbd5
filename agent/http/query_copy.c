/* agent/http/query_copy.c -- see query_copy.h. */
#include "agent/http/query_copy.h"

#include <inttypes.h>

#include "agent/http/carry.h"
#include "agent/http/decode_query.h"
#include "base/mem.h"

#define COPY_BYTES_MAX (256u * 1024 * 1024) /* of one answer, taken apart */
#define COPY_WAIT "5m"

struct query_copy {
	struct queries *queries;
	uint64_t index;   /* of the copy; 0: there is none yet */
	uint64_t request; /* under way; 0: none */
	nsec due, retry;
};

struct query_copy *
query_copy_new(struct now now)
{
	struct query_copy *c = mem_new(struct query_copy);

	c->queries = queries_new(NULL);
	c->due = now.mono;
	c->retry = QUERY_COPY_RETRY;
	return c;
}

void
query_copy_free(struct query_copy *c)
{
	if (c == NULL)
		return;
	queries_free(c->queries);
	free(c);
}

const struct queries *
query_copy_queries(const struct query_copy *c)
{
	return c->queries;
}

nsec
query_copy_deadline(const struct query_copy *c)
{
	return c->request != 0 ? NSEC_NEVER : c->due;
}

bool
query_copy_asks(struct query_copy *c, struct now now, struct str node, struct buf *request)
{
	struct http_position nothing = { .number = 0 };
	struct http_request rq = { .method = HTTP_GET, .path = STR("/v1/query") };
	char query[64];
	int n;

	if (c->request != 0 || now.mono < c->due)
		return false;
	n = c->index == 0 ? snprintf(query, sizeof query, "stale")
			  : snprintf(query, sizeof query, "stale&wait=" COPY_WAIT "&index=%" PRIu64,
				c->index);
	rq.query = str_mem(query, (size_t)n);
	carry_request_write(request, &rq, node, &nothing, NULL);
	return true;
}

void
query_copy_asked(struct query_copy *c, uint64_t request)
{
	c->request = request;
}

/* The whole list in the place of the copy. */
static int
copy_take(struct query_copy *c, struct arena *arena, struct str body, struct err *err)
{
	struct queries *fresh = queries_new(NULL);
	struct query_info *all = NULL;
	size_t count = 0;
	struct buf packed;
	int rc = decode_queries(arena, body, &all, &count, err);

	buf_init(&packed, QUERY_BODY_MAX);
	for (size_t i = 0; i < count && rc == 0; i++) {
		buf_clear(&packed);
		query_pack(&packed, &all[i]);
		if (!query_load(fresh, &all[i].id, all[i].create, all[i].modify, buf_str(&packed)))
			rc = err_set(err, ERR_INPUT, "a prepared query cannot be taken over");
	}
	buf_done(&packed);
	if (rc == 0) {
		struct queries *old = c->queries;

		c->queries = fresh;
		fresh = old;
	}
	queries_free(fresh);
	return rc;
}

static int
answer_take(struct query_copy *c, struct arena *arena, struct str bytes, struct err *err)
{
	struct http_reply reply;
	struct str unused;
	struct buf body;
	int rc;

	buf_init(&body, CLUSTER_HTTP_MAX);
	reply_init(&reply, &body, false);
	rc = carry_answer_read(bytes, arena, &reply, &unused, err);
	if (rc == 0 && reply.status != 200)
		rc = err_set(err, ERR_STATE, "status %d", reply.status);
	if (rc == 0 && reply.index != c->index)
		rc = copy_take(c, arena, buf_str(&body), err);
	if (rc == 0)
		c->index = reply.index;
	buf_done(&body);
	return rc;
}

bool
query_copy_answer(struct query_copy *c, struct now now, const struct cluster_action *act)
{
	struct err err;
	struct arena arena;
	int rc = act->code;

	if (c->request == 0 || act->request != c->request)
		return false;
	err_none(&err);
	c->request = 0;
	arena_init(&arena, COPY_BYTES_MAX);
	if (rc == 0)
		rc = answer_take(c, &arena, act->bytes, &err);
	arena_done(&arena);
	if (rc == 0) {
		c->retry = QUERY_COPY_RETRY;
		c->due = now.mono + QUERY_COPY_PAUSE;
	} else {
		c->due = now.mono + c->retry;
		c->retry = nsec_min(2 * c->retry, QUERY_COPY_RETRY_MAX);
	}
	return true;
}

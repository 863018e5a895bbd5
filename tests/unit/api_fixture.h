/* tests/unit/api_fixture.h -- the endpoints of keys as a client meets them: routes, handlers, store
 * and a cluster that decides at once, without sockets. A request that waits for the cluster is run
 * again when its answer is there, as the server does it.
 */
#ifndef TESTS_UNIT_API_FIXTURE_H
#define TESTS_UNIT_API_FIXTURE_H

#include "tests/unit/api_room.h"
#include "tests/unit/test.h"

static struct http_reply reply;
static struct dispatched dispatched;
static unsigned runs;           /* of the handler, for the last request */
static struct http_position carried_asks;
static struct str carried_from; /* node of an agent that carries; empty: a client's own request */

static inline int
setup(void **unused)
{
	(void)unused;
	api_room_open(4, false);
	carried_from = STR_NONE;
	carried_asks = (struct http_position){ 0 };
	return 0;
}

static inline int
teardown(void **unused)
{
	(void)unused;
	api_room_close();
	return 0;
}

static inline void
run(struct http_request *req, struct str line, struct str sent)
{
	req->node = carried_from;
	req->asks = carried_asks;
	assert_true(request_of_line(req, line, sent));
	dispatch(http_routes, &api, req, &body, &reply, &dispatched);
	runs++;
}

/* The cluster's answer to a request that waits; asserts that there is one. */
static inline struct cluster_action
cluster_says(uint64_t ticket)
{
	struct cluster_action act;

	while (cluster_action_next(api.cluster, &act))
		if (act.kind == CLUSTER_ANSWER && (act.request | HTTP_TICKET_CLUSTER) == ticket)
			return act;
	fail_msg("the cluster does not answer");
	return act;
}

/* "GET /v1/…" and the request's body. The answer is left in `reply` and `body`. */
static inline void
ask_bytes(struct str line, struct str sent)
{
	struct http_request req = { 0 };

	runs = 0;
	arena_reset(&arena);
	run(&req, line, sent);
	while (reply.later != 0) {
		struct cluster_action act = cluster_says(reply.later);
		struct http_request again = { .answer = &act, .keep = reply.keep };

		if (!cluster_fake.no_copy)
			external_take();
		assert_true(runs < 5);
		run(&again, line, sent);
	}
}

static inline void
ask(const char *line, const char *sent)
{
	ask_bytes(str_of(line), str_of(sent));
}

static inline void
assert_status(const char *line, const char *sent, int status)
{
	ask(line, sent);
	if (reply.status != status)
		print_error("%s: " STR_FMT "\n", line, STR_ARG(buf_str(&body)));
	assert_int_equal(reply.status, status);
}

static inline void
assert_answer(const char *line, const char *sent, int status, const char *text)
{
	assert_status(line, sent, status);
	assert_str(buf_str(&body), text);
}

/* A new session's id, terminated; in the arena no longer than the next request. */
static inline const char *
new_session(const char *sent)
{
	static char ids[8][UUID_TEXT_LEN + 1];
	static unsigned at;
	char *id = ids[at++ % 8];

	assert_status("PUT /v1/session/create", sent, 200);
	assert_int_equal(body.n, strlen("{\"ID\":\"\"}") + UUID_TEXT_LEN);
	memcpy(id, body.p + strlen("{\"ID\":\""), UUID_TEXT_LEN);
	id[UUID_TEXT_LEN] = '\0';
	return id;
}

/* printf into one of a few static lines. */
static inline const char *line_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline const char *
line_of(const char *fmt, ...)
{
	static char lines[8][1024];
	static unsigned at;
	char *line = lines[at++ % 8];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof lines[0], fmt, ap);
	va_end(ap);
	return line;
}

#endif

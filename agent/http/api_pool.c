/* agent/http/api_pool.c -- see api_pool.h; the keyring's part is in api_keyring.c. */
#include "agent/http/api_pool.h"

#define ANSWER_BYTES_MAX (16 * 1024)

void
api_joined(struct api *api, uint64_t ticket, unsigned joined, struct str why)
{
	struct http_reply reply;
	struct buf body;

	buf_init(&body, ANSWER_BYTES_MAX);
	reply_init(&reply, &body, false);
	if (joined == 0)
		reply_error(&reply, 500, STR_FMT, STR_ARG(why));
	api->ops.finish(api->ops.arg, ticket, &reply);
	buf_done(&body);
}

void
api_left(struct api *api, uint64_t ticket)
{
	struct http_reply reply;
	struct buf body;

	buf_init(&body, ANSWER_BYTES_MAX);
	reply_init(&reply, &body, false);
	api->ops.finish(api->ops.arg, ticket, &reply);
	buf_done(&body);
}

void
api_reloaded(struct api *api, uint64_t ticket, struct str why)
{
	struct http_reply reply;
	struct buf body;

	buf_init(&body, ANSWER_BYTES_MAX);
	reply_init(&reply, &body, false);
	if (why.n > 0)
		reply_error(&reply, 500, STR_FMT, STR_ARG(why));
	api->ops.finish(api->ops.arg, ticket, &reply);
	buf_done(&body);
}

void
api_event(struct api *api, struct now now, const struct serf_event *e)
{
	const struct watch_key key = { WATCH_EVENTS, STR_NONE };

	if (api->events == NULL || !events_input(api->events, e))
		return;
	/* only that it moves counts: clients see the last event's own index */
	watch_touch(
	    store_watches(api->store), key, index_next(store_index(api->store), now.wall_ms), true);
	api_changed(api);
}

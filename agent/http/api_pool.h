/* agent/http/api_pool.h -- what comes from the pool to the API: answers that clients wait for, and
 * user events. Called by whoever carries the pool's actions out.
 */
#ifndef AGENT_HTTP_API_POOL_H
#define AGENT_HTTP_API_POOL_H

#include "agent/http/api.h"

/* What came of api->ops.join(): so many peers, or none and why. */
void api_joined(struct api *, uint64_t ticket, unsigned joined, struct str why);
/* api->ops.leave() is through. */
void api_left(struct api *, uint64_t ticket);
/* api->ops.reload() is through; `why` empty: all is taken over. */
void api_reloaded(struct api *, uint64_t ticket, struct str why);

/* POOL_EVENT; woken queries run when api->changed() says so, which is called if need be. */
void api_event(struct api *, struct now, const struct serf_event *);

/* POOL_KEYS and POOL_KEYS_DONE. An id that no client waits for is passed over. */
void api_keys(struct api *, uint64_t id, struct str from, const struct serf_key_response *);
void api_keys_done(struct api *, uint64_t id, size_t expected);

/* Frees what was still under way. */
void api_pool_done(struct api *);

#endif

/* agent/http/wait.c -- the terms of a blocking query (see wait.h).
 *
 * As Consul reads them: consistency first, then wait, then index; an empty value counts as not
 * given; a wait of zero or less is the default one; wait without index does not block.
 */
#include "agent/http/wait.h"

#include "agent/duration.h"

bool
wait_consistency_read(const struct http_request *rq, struct http_reply *rp)
{
	struct str max_stale;
	bool stale, consistent;
	nsec most = 0;

	if (rq->param_count == 0)
		return true;
	stale = request_has(rq, STR("stale"));
	consistent = request_has(rq, STR("consistent"));
	max_stale = request_param(rq, STR("max_stale"));
	if (max_stale.n > 0 && duration_parse(max_stale, &most, NULL) != 0) {
		reply_error(rp, 400, "Invalid max_stale value \"" STR_FMT "\"", STR_ARG(max_stale));
		return false;
	}
	if ((stale || most > 0) && consistent) {
		reply_error(
		    rp, 400, "Cannot specify ?stale with ?consistent, conflicting semantics.");
		return false;
	}
	if (request_has(rq, STR("cached")) && consistent) {
		reply_error(
		    rp, 400, "Cannot specify ?cached with ?consistent, conflicting semantics.");
		return false;
	}
	return true;
}

/* Up to 1/16 of the wait more, so that clients that began together do not end together. */
static nsec
wait_jitter(nsec wait, struct rng *rng)
{
	nsec most_us = wait / 16 / NSEC_US; /* of 10 minutes: fits 32 bits */

	return most_us <= 0 ? 0 : (nsec)rng_below(rng, (uint32_t)most_us) * NSEC_US;
}

bool
wait_terms_read(
    const struct http_request *rq, struct rng *rng, struct wait_terms *out, struct http_reply *rp)
{
	struct str wait_text, index_text;
	uint64_t index = 0;
	nsec wait = 0;

	*out = (struct wait_terms){ .until = rq->now.mono };
	if (rq->param_count == 0)
		return true;
	wait_text = request_param(rq, STR("wait"));
	index_text = request_param(rq, STR("index"));
	if (wait_text.n > 0 && duration_parse(wait_text, &wait, NULL) != 0) {
		reply_error(rp, 400, "Invalid wait time");
		return false;
	}
	if (index_text.n > 0 && !str_u64(index_text, UINT64_MAX, &index)) {
		reply_error(rp, 400, "Invalid index");
		return false;
	}
	if (wait <= 0)
		wait = HTTP_WAIT_DEFAULT;
	wait = nsec_min(wait, HTTP_WAIT_MAX);
	out->index = index;
	out->hash = request_param(rq, STR("hash"));
	out->blocks = index > 0 || out->hash.n > 0;
	if (out->blocks)
		out->until = rq->now.mono + wait + wait_jitter(wait, rng);
	return true;
}

bool
wait_holds(const struct wait_terms *t, const struct http_reply *rp, const struct index_clock *clock)
{
	if (!t->blocks)
		return false;
	if (rp->hash_blocking)
		return t->hash.n > 0 && str_eq(t->hash, rp->hash);
	if (rp->index_exact)
		return t->index > 0 && rp->index == t->index;
	if (!rp->indexed || t->index == 0)
		return false;
	/* 1 is what we say when nothing has ever changed; no agent's tag is looked for in it. */
	if (!rp->index_keys && t->index > 1 && !index_is_ours(clock, t->index))
		return false;
	return rp->index <= t->index;
}

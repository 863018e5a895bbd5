/* agent/http/server_gzip.c -- replies made smaller, once for all who get the same. */
#include "agent/http/server_private.h"

#include "agent/http/gzip.h"
#include "base/blob.h"

static bool
is_worth_it(const struct http_request *rq, const struct http_reply *rp)
{
	size_t n = rp->shared != NULL ? rp->shared->n : rp->body->n;

	return n >= GZIP_BYTES_MIN && n <= GZIP_BYTES_MAX && rp->stream == NULL &&
	       rp->extra_count < sizeof rp->extra / sizeof rp->extra[0] && gzip_accepted(rq);
}

/* What others get, too, is packed once. */
static void
keep(struct http_server *s, const struct http_reply *rp)
{
	struct answer_share *share = &s->share;
	struct blob *packed;

	if (!share->valid && rp->shared == NULL)
		return;
	packed = blob_new(buf_str(&s->packed));
	if (share->valid) {
		blob_unref(share->packed);
		share->packed = blob_ref(packed);
	}
	if (rp->shared != NULL && s->api->answers != NULL)
		answers_pack(s->api->answers, rp->shared, packed);
	blob_unref(packed);
}

void
server_gzip(struct http_server *s, const struct http_request *rq, struct http_reply *rp)
{
	if (!is_worth_it(rq, rp))
		return;
	if (rp->packed == NULL) {
		if (s->gzip == NULL)
			s->gzip = gzip_new();
		if (!gzip_pack(s->gzip,
			rp->shared != NULL ? blob_str(rp->shared) : buf_str(rp->body), &s->packed))
			return;
		keep(s, rp);
		rp->body = &s->packed;
	}
	rp->shared = rp->packed;
	reply_header(rp, STR("Content-Encoding"), STR("gzip"));
}

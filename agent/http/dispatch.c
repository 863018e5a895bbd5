/* agent/http/dispatch.c -- see dispatch.h. */
#include "agent/http/dispatch.h"

#include "agent/http/router.h"

/* As Go's server writes it into the page of a redirect. */
static void
html_add(struct buf *out, struct str s)
{
	static const struct {
		char c;
		const char *text;
	} escapes[] = {
		{ '&', "&amp;" },
		{ '<', "&lt;" },
		{ '>', "&gt;" },
		{ '"', "&#34;" },
		{ '\'', "&#39;" },
	};

	for (size_t i = 0; i < s.n; i++) {
		const char *text = NULL;

		for (size_t k = 0; k < sizeof escapes / sizeof escapes[0]; k++)
			if (s.p[i] == escapes[k].c)
				text = escapes[k].text;
		if (text == NULL)
			buf_addc(out, s.p[i]);
		else
			buf_add(out, str_of(text));
	}
}

static void
reply_moved(const struct http_request *rq, struct http_reply *rp, struct str location)
{
	rp->status = 301;
	reply_header(rp, STR("Location"), location);
	if (rq->method == HTTP_GET || rq->method == HTTP_HEAD)
		rp->content_type = "text/html; charset=utf-8";
	if (rq->method != HTTP_GET)
		return;
	buf_add(rp->body, STR("<a href=\""));
	html_add(rp->body, location);
	buf_add(rp->body, STR("\">Moved Permanently</a>.\n\n"));
}

/* False with an error reply: the handler is not to be asked. */
static bool
preconditions(
    struct api *api, const struct http_request *rq, struct http_reply *rp, struct wait_terms *terms)
{
	unsigned flags = rq->route->flags;

	if ((flags & (ROUTE_BLOCKS | ROUTE_CATALOG)) != 0 && rq->method == HTTP_GET &&
	    !wait_consistency_read(rq, rp))
		return false;
	if ((flags & ROUTE_BLOCKS) != 0 && !wait_terms_read(rq, &api->rng, terms, rp))
		return false;
	if ((flags & ROUTE_CATALOG) != 0 && !api->ready) {
		reply_error(rp, 500, "No cluster leader");
		return false;
	}
	return true;
}

static void
run(struct api *api, const struct http_request *rq, struct http_reply *rp, struct dispatched *d)
{
	if (!preconditions(api, rq, rp, &d->terms))
		return;
	d->changes = rq->method != HTTP_GET;
	rq->route->handler(api, rq, rp);
	if (rp->json.pretty && rp->content_type != NULL &&
	    strcmp(rp->content_type, "application/json") == 0)
		buf_addc(rp->body, '\n');
	if (rp->body->full || rq->arena->full) {
		reply_error(rp, 500, "The answer needs more memory than one request may use");
		return;
	}
	d->hold = (rq->route->flags & ROUTE_BLOCKS) != 0 &&
		  wait_holds(&d->terms, rp, store_index(api->store));
	rp->park = d->hold;
}

void
dispatch(const struct route *table, struct api *api, struct http_request *rq, struct buf *body,
    struct http_reply *rp, struct dispatched *out)
{
	struct str text = STR_NONE;

	*out = (struct dispatched){ 0 };
	reply_init(rp, body, rq->param_count > 0 && request_has(rq, STR("pretty")));
	switch (router_find(table, rq, &text)) {
	case ROUTED:
		run(api, rq, rp, out);
		break;
	case ROUTED_NOT_FOUND:
		rp->status = 404;
		break;
	case ROUTED_METHOD:
		reply_error(rp, 405, "method " STR_FMT " not allowed", STR_ARG(rq->method_text));
		reply_header(rp, STR("Allow"), text);
		break;
	case ROUTED_OPTIONS:
		reply_header(rp, STR("Allow"), text);
		break;
	case ROUTED_MOVED:
		reply_moved(rq, rp, text);
		break;
	}
}

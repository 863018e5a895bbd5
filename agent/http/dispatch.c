/* agent/http/dispatch.c -- see dispatch.h. */
#include "agent/http/dispatch.h"

#include "agent/http/carry.h"
#include "agent/http/carry_records.h"
#include "agent/http/router.h"
#include "agent/identity.h"

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

/* What the cluster says when it does not do what it was asked. */
static void
reply_cluster_failed(struct http_reply *rp, const struct cluster_action *answer)
{
	int status = answer->code == ERR_LIMIT ? 429 : answer->code == ERR_INPUT ? 400 : 500;

	if (answer->text.n > 0)
		reply_error(rp, status, STR_FMT, STR_ARG(answer->text));
	else if (status == 500)
		reply_error(rp, status, CLUSTER_NO_LEADER);
	else
		reply_error(rp, status,
		    status == 429 ? "Too many requests wait for the cluster"
				  : "The cluster does not take this request");
}

static bool
keys_preconditions(struct api *api, const struct http_request *rq, struct http_reply *rp)
{
	bool carried = rq->node.n > 0;

	if (api->cluster == NULL || (carried && cluster_fsm(api->cluster) == NULL))
		reply_error(rp, 500, CLUSTER_NO_LEADER);
	else if (rq->answer != NULL && rq->answer->code != 0)
		reply_cluster_failed(rp, rq->answer);
	else
		return true;
	return false;
}

/* False with an error reply: the handler is not to be asked. */
static bool
preconditions(
    struct api *api, const struct http_request *rq, struct http_reply *rp, struct wait_terms *terms)
{
	unsigned flags = rq->route->flags;

	if (rq->node.n > 0 && (flags & ROUTE_KEYS) == 0) {
		reply_error(rp, 400, "This is not to be asked of another agent");
		return false;
	}
	if ((flags & (ROUTE_BLOCKS | ROUTE_CATALOG)) != 0 && rq->method == HTTP_GET &&
	    !wait_consistency_read(rq, rp))
		return false;
	if ((flags & ROUTE_BLOCKS) != 0 && !wait_terms_read(rq, &api->rng, terms, rp))
		return false;
	if ((flags & ROUTE_CATALOG) != 0 && !api->ready) {
		reply_error(rp, 500, CLUSTER_NO_LEADER);
		return false;
	}
	return (flags & ROUTE_KEYS) == 0 || keys_preconditions(api, rq, rp);
}

static bool
wants_records(const struct http_request *rq)
{
	return (rq->route->flags & ROUTE_WRITES_CATALOG) != 0;
}

/* The client will look for what it has written. */
static void
carried_records_take(struct api *api, const struct http_request *rq, struct str records)
{
	struct uuid cluster = cluster_status(api->cluster, rq->now).cluster;

	if (carry_records_take(api->store, rq->now, &cluster, records) && api->changed != NULL)
		api->changed(api->changed_arg);
}

/* Where it matters to the answer who asks, the server that is asked instead is told. */
static struct str
carried_query(const struct http_request *rq)
{
	struct str asker;

	if (!str_starts(rq->path, STR("/v1/query/")) || !str_ends(rq->path, STR("/execute")))
		return rq->query;
	asker = request_asker(rq);
	return arena_fmt(rq->arena, HTTP_ASKER_PARAM "=" STR_FMT "%s" STR_FMT, STR_ARG(asker),
	    rq->query.n > 0 ? "&" : "", STR_ARG(rq->query));
}

/* Keys are not held here: who holds them is asked, then says what that one has said. It may take as
 * long there as the client wants to wait. */
static void
carry(struct api *api, const struct http_request *rq, struct http_reply *rp,
    const struct wait_terms *terms)
{
	struct http_position asks, sees;
	struct http_request carried = *rq;
	struct str records;
	struct cluster_status status;
	struct buf bytes;
	struct err err = { 0 };

	if (rq->answer != NULL) {
		if (carry_answer_read(rq->answer->bytes, rq->arena, rp, &records, &err) != 0)
			reply_error(rp, 500, "%s", err.text);
		else if (records.n > 0)
			carried_records_take(api, rq, records);
		return;
	}
	rp->keep.carried = true;
	buf_init(&bytes, CLUSTER_HTTP_MAX);
	asks = carry_position(api->store, &api->identity->id);
	status = cluster_status(api->cluster, rq->now);
	sees = carry_position(api->store, &status.cluster);
	carried.query = carried_query(rq);
	carry_request_write(
	    &bytes, &carried, api->options->node_name, &asks, wants_records(rq) ? &sees : NULL);
	if (bytes.full) {
		reply_error(rp, 413, "The request is too large to be carried to a server");
	} else {
		rp->later =
		    cluster_ask_http(api->cluster, rq->now, buf_str(&bytes)) | HTTP_TICKET_CLUSTER;
		if (rq->method == HTTP_GET || rq->method == HTTP_HEAD)
			cluster_repeatable(api->cluster, rp->later & ~HTTP_TICKET_CLUSTER);
		rp->later_until = (terms->blocks ? terms->until : rq->now.mono) + HTTP_LATER_MAX;
		if (api->changed != NULL)
			api->changed(api->changed_arg);
	}
	buf_done(&bytes);
}

/* Whether another agent has the answer: there is no copy here, or this is not the leader. */
static bool
is_elsewhere(struct api *api, const struct http_request *rq)
{
	unsigned flags = rq->route->flags;

	if ((flags & ROUTE_KEYS) == 0)
		return false;
	if (rq->keep.carried || cluster_fsm(api->cluster) == NULL)
		return true;
	return (flags & ROUTE_LEADER) != 0 && rq->answer == NULL && rq->node.n == 0 &&
	       !request_has(rq, STR("stale")) && !cluster_status(api->cluster, rq->now).leader;
}

/* Whether a kept answer may be looked for, or this one be kept. */
static bool
answers_used(const struct api *api, const struct http_request *rq)
{
	return api->answers != NULL && api->ready && rq->method == HTTP_GET && rq->node.n == 0 &&
	       rq->answer == NULL;
}

static void
render(struct api *api, const struct http_request *rq, struct http_reply *rp)
{
	rq->route->handler(api, rq, rp);
	if (rp->json.pretty && rp->content_type != NULL &&
	    strcmp(rp->content_type, "application/json") == 0)
		buf_addc(rp->body, '\n');
}

/* The handler's answer; one it gave before where that is still true. */
static void
handle(struct api *api, const struct http_request *rq, struct http_reply *rp, bool blocks)
{
	struct watches *watches;
	struct str key;

	if (!answers_used(api, rq)) {
		render(api, rq, rp);
		return;
	}
	watches = store_watches(api->store);
	key = blocks ? answers_key(rq) : rq->target;
	if (blocks && answers_find(api->answers, watches, key, rp))
		return;
	render(api, rq, rp);
	if (!rq->arena->full)
		answers_keep(api->answers, watches, key, rp);
}

static void
run(struct api *api, const struct http_request *rq, struct http_reply *rp, struct dispatched *d)
{
	if (rq->method != HTTP_GET && rq->node.n == 0 &&
	    !access_may_write(&api->access, &rq->peer)) {
		reply_error(rp, 403, "Access is restricted");
		return;
	}
	if (!preconditions(api, rq, rp, &d->terms))
		return;
	if (is_elsewhere(api, rq)) {
		carry(api, rq, rp, &d->terms);
		return;
	}
	d->changes = rq->method != HTTP_GET;
	rp->keep.route = rq->route;
	handle(api, rq, rp, d->terms.blocks);
	if (rp->body->full || rq->arena->full) {
		reply_error(rp, 500, "The answer needs more memory than one request may use");
		return;
	}
	d->hold = (rq->route->flags & ROUTE_BLOCKS) != 0 &&
		  wait_holds(&d->terms, rp, store_index(api->store));
	if (rp->wait_until > rq->now.mono) {
		d->hold = true;
		d->terms.until = rp->wait_until;
	}
	rp->park = d->hold;
}

void
dispatch(const struct route *table, struct api *api, struct http_request *rq, struct buf *body,
    struct http_reply *rp, struct dispatched *out)
{
	const struct route *known = rq->answer != NULL ? rq->keep.route : NULL;
	struct str text = STR_NONE;

	*out = (struct dispatched){ 0 };
	reply_init(rp, body, rq->param_count > 0 && request_has(rq, STR("pretty")));
	if (access_blocks(&api->access, rq)) {
		reply_error(rp, 403, "Endpoint is blocked by agent configuration");
		return;
	}
	if (answers_used(api, rq) &&
	    answers_find(api->answers, store_watches(api->store), rq->target, rp))
		return; /* it was routed, and found without fault, when it was kept */
	switch (known != NULL ? router_again(known, rq) : router_find(table, rq, &text)) {
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

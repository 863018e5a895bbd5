/* agent/http/api.c -- what the handlers share: parameters, selections, common replies. */
#include "agent/http/api.h"

#include "agent/http/servers.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

void
reply_reads(struct api *api, const struct http_request *req, struct http_reply *reply,
    enum watch_kind kind, struct str name)
{
	struct watch_key key = { kind, arena_dup(req->arena, name) };
	uint64_t index = watch_index(store_watches(api->store), key);

	reply->indexed = true;
	if (index > reply->index)
		reply->index = index;
	if (reply->index == 0)
		reply->index = 1; /* 0 would make watchers spin */
	if (reply->read_count < WATCH_KEYS_MAX)
		reply->reads[reply->read_count++] = key;
}

bool
reply_wrong_dc(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	struct str dc = request_param(req, STR("dc"));

	if (dc.n == 0 || str_eq(dc, api->options->datacenter))
		return false;
	reply_error(reply, 500, "No path to datacenter");
	return true;
}

void
reply_err(struct http_reply *reply, const struct err *err)
{
	int status = 500;

	if (err->code == ERR_INPUT)
		status = 400;
	else if (err->code == ERR_LIMIT || err->code == ERR_MEMORY)
		status = 429;
	reply_error(reply, status, "%s", err->text);
}

void
reply_decode_failed(struct http_reply *reply, const struct err *err)
{
	reply_error(reply, 400, "Request decode failed: %s", err->text);
}

void
reply_true(struct http_reply *reply)
{
	jw_bool(reply_json(reply), true);
}

uint64_t
api_later(struct api *api, struct http_reply *reply)
{
	reply->later = ++api->tickets;
	return reply->later;
}

void
api_changed(struct api *api)
{
	if (api->changed != NULL)
		api->changed(api->changed_arg);
}

void
reply_cached(struct api *api, const struct http_request *req, struct http_reply *reply)
{
	uint64_t hash, *seen;

	if (!request_has(req, STR("cached")))
		return;
	hash = XXH3_64bits(req->target.p, req->target.n) | 1;
	seen = &api->cached_seen[hash >> 1 & (API_CACHED_SEEN_MAX - 1)];
	reply_header(reply, STR("X-Cache"), *seen == hash ? STR("HIT") : STR("MISS"));
	if (*seen == hash)
		reply_header(reply, STR("Age"), STR("0"));
	*seen = hash;
}

bool
bool_parse(struct str s, bool *out)
{
	static const char *const words[2][6] = {
		{ "0", "f", "F", "FALSE", "false", "False" },
		{ "1", "t", "T", "TRUE", "true", "True" },
	};

	for (int v = 0; v < 2; v++)
		for (int i = 0; i < 6; i++)
			if (str_eq(s, str_of(words[v][i]))) {
				*out = v == 1;
				return true;
			}
	return false;
}

static size_t
param_count(const struct http_request *req, struct str name)
{
	struct str value;
	size_t n = 0;

	while (request_param_nth(req, name, n, &value))
		n++;
	return n;
}

bool
selection_read(const struct api *api, const struct http_request *req, struct selection *out,
    struct http_reply *reply)
{
	size_t tags = param_count(req, STR("tag")), metas = param_count(req, STR("node-meta"));
	struct selection s = { .near = request_param(req, STR("near")) };

	s.tags = arena_array(req->arena, struct str, tags + 1);
	s.meta = arena_array(req->arena, struct pair, metas + 1);
	if (s.tags == NULL || s.meta == NULL) {
		reply_error(reply, 429, "The request is too large");
		return false;
	}
	while (s.tag_count < tags) {
		request_param_nth(req, STR("tag"), s.tag_count, &s.tags[s.tag_count]);
		s.tag_count++;
	}
	while (s.meta_count < metas) {
		struct pair *p = &s.meta[s.meta_count];

		request_param_nth(req, STR("node-meta"), s.meta_count++, &p->value);
		p->key = str_cut(&p->value, ':');
	}
	if (str_eq(s.near, STR("_agent")))
		s.near = api->pool != NULL ? pool_wire_name(api->pool) : api->options->node_name;
	*out = s;
	return true;
}

static bool
meta_has(const struct node_info *n, const struct pair *wanted)
{
	for (size_t i = 0; i < n->meta_count; i++)
		if (str_eq(n->meta[i].key, wanted->key))
			return str_eq(n->meta[i].value, wanted->value);
	return false;
}

bool
selection_has_node(const struct selection *s, const struct node_info *n)
{
	for (size_t i = 0; i < s->meta_count; i++)
		if (!meta_has(n, &s->meta[i]))
			return false;
	return true;
}

static bool
tags_have(const struct service_info *s, struct str wanted) /* in any case, as in Consul */
{
	for (size_t i = 0; i < s->tag_count; i++)
		if (str_eq_nocase(s->tags[i], wanted))
			return true;
	return false;
}

bool
selection_has_tags(const struct selection *sel, const struct service_info *s)
{
	for (size_t i = 0; i < sel->tag_count; i++)
		if (sel->tags[i].n > 0 && !tags_have(s, sel->tags[i]))
			return false;
	return true;
}

void
selection_reads(struct api *api, const struct http_request *req, struct http_reply *reply,
    const struct selection *s)
{
	if (s->meta_count > 0)
		reply_reads(api, req, reply, WATCH_NODES, STR_NONE);
}

bool
answer_lasts(const struct http_request *req, const struct selection *sel,
    const struct catalog_name *name)
{
	return name != NULL && str_eq(name->name, req->tail) && sel->near.n == 0;
}

struct catalog_name *
api_name_find(const struct api *api, struct str name)
{
	const struct catalog *catalog = store_catalog(api->store);
	struct catalog_name *found = catalog_name_find(catalog, name);

	return found != NULL ? found : catalog_name_find_nocase(catalog, name);
}

struct str
api_leader(const struct api *api, struct arena *arena, struct now now)
{
	struct server_view leader = { .state = SERF_NONE };
	struct cluster_status status;

	if (api->cluster == NULL)
		return STR_NONE;
	status = cluster_status(api->cluster, now);
	if (status.known_leader)
		server_place(api, arena, &status.leader_agent, &leader);
	return leader.address;
}

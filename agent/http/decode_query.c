/* agent/http/decode_query.c -- see decode_query.h. Members are those of Consul's PreparedQuery. */
#include "agent/http/decode_query.h"

#include "agent/http/decode_fields.h"

/* A part of the definition that is an object of its own; its members lie in the whole. */
#define PART(name, reader)                                        \
	{                                                         \
		name, reader, 0, FIELD_NO_OFFSET, FIELD_NO_OFFSET \
	}

#define MEMBER(name, reader, member) FIELD(name, reader, struct query_request, info.member)
#define MEMBERS(name, reader, list) \
	FIELD_LIST_SET(             \
	    name, reader, struct query_request, info.list.of, info.list.count, info.list.set)

static const struct field failover_fields[] = {
	MEMBER("NearestN", read_i64, nearest_n),
	MEMBERS("Datacenters", read_strs, datacenters),
	FIELDS_END,
};

static int
read_failover(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, failover_fields, at);
}

static const struct field service_fields[] = {
	MEMBER("Service", read_str, service),
	PART("Failover", read_failover),
	MEMBER("OnlyPassing", read_bool, only_passing),
	MEMBERS("IgnoreCheckIDs", read_strs, ignore_checks),
	MEMBER("Near", read_str, near),
	MEMBERS("Tags", read_strs, tags),
	MEMBERS("NodeMeta", read_pairs, node_meta),
	MEMBERS("ServiceMeta", read_pairs, service_meta),
	MEMBER("Connect", read_bool, connect),
	FIELDS_END,
};

static int
read_service(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, service_fields, at);
}

static const struct field template_fields[] = {
	MEMBER("Type", read_str, template_type),
	MEMBER("Regexp", read_str, regexp),
	MEMBER("RemoveEmptyTags", read_bool, remove_empty_tags),
	FIELDS_END,
};

static int
read_template(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, template_fields, at);
}

static const struct field dns_fields[] = {
	MEMBER("TTL", read_str, ttl),
	FIELDS_END,
};

static int
read_dns(struct decoder *d, const json_t *v, const struct field *f, char *at)
{
	return decode_object(d, v, f->name, dns_fields, at);
}

static const struct field query_fields[] = {
	FIELD("ID", read_str, struct query_request, id),
	MEMBER("Name", read_str, name),
	MEMBER("Session", read_str, session),
	MEMBER("Token", read_str, token),
	PART("Template", read_template),
	PART("Service", read_service),
	PART("DNS", read_dns),
	MEMBER("CreateIndex", read_u64, create),
	MEMBER("ModifyIndex", read_u64, modify),
	FIELDS_END,
};

int
decode_query(struct arena *arena, struct str body, struct query_request *out, struct err *err)
{
	struct query_request q = { .id = STR_NONE };
	int rc = decode_whole(arena, body, "query", query_fields, &q, err);

	if (rc == 0)
		*out = q;
	return rc;
}

static int
read_listed(struct decoder *d, const json_t *v, struct query_info *out)
{
	struct query_request q = { .id = STR_NONE };
	int rc = decode_object(d, v, "query", query_fields, &q);

	if (rc == 0 && !uuid_parse(q.id, &q.info.id))
		rc = err_set(d->err, ERR_INPUT, "a query without an id");
	if (rc == 0)
		*out = q.info;
	return rc;
}

int
decode_queries(
    struct arena *arena, struct str body, struct query_info **out, size_t *count, struct err *err)
{
	struct decoder d = { arena, err };
	struct query_info *all = NULL;
	json_t *v = NULL, *element;
	int rc = decode_body(body, &v, err);
	size_t i;

	if (rc == 0 && !json_is_array(v))
		rc = decode_mismatch(&d, v, "queries", "list");
	if (rc == 0) {
		all = arena_array(arena, struct query_info, json_array_size(v) + 1);
		rc = all == NULL ? decode_full(&d) : 0;
	}
	for (i = 0; rc == 0 && (element = json_array_get(v, i)) != NULL; i++)
		rc = read_listed(&d, element, &all[i]);
	json_decref(v);
	if (rc != 0)
		return rc;
	*out = all;
	*count = i;
	return 0;
}

/* --- out --- */

static void
render_strs(struct jw *w, const char *key, const struct query_strs *list)
{
	jw_key(w, str_of(key));
	if (!list->set) {
		jw_null(w);
		return;
	}
	jw_array(w);
	for (size_t i = 0; i < list->count; i++)
		jw_str(w, list->of[i]);
	jw_array_end(w);
}

static void
render_pairs(struct jw *w, const char *key, const struct query_pairs *list)
{
	jw_key(w, str_of(key));
	if (!list->set) {
		jw_null(w);
		return;
	}
	jw_object(w);
	for (size_t i = 0; i < list->count; i++) {
		jw_key(w, list->of[i].key);
		jw_str(w, list->of[i].value);
	}
	jw_object_end(w);
}

static void
render_service_part(struct jw *w, const struct query_info *q)
{
	jw_key(w, STR("Service"));
	jw_object(w);
	jw_kstr(w, "Service", q->service);
	jw_key(w, STR("Failover"));
	jw_object(w);
	jw_ki64(w, "NearestN", q->nearest_n);
	render_strs(w, "Datacenters", &q->datacenters);
	jw_object_end(w);
	jw_kbool(w, "OnlyPassing", q->only_passing);
	render_strs(w, "IgnoreCheckIDs", &q->ignore_checks);
	jw_kstr(w, "Near", q->near);
	render_strs(w, "Tags", &q->tags);
	render_pairs(w, "NodeMeta", &q->node_meta);
	render_pairs(w, "ServiceMeta", &q->service_meta);
	jw_kbool(w, "Connect", q->connect);
	jw_object_end(w);
}

void
render_query(struct jw *w, const struct query_info *q)
{
	char id[UUID_TEXT_LEN + 1];

	jw_object(w);
	jw_kstr(w, "ID", str_of(uuid_format(&q->id, id)));
	jw_kstr(w, "Name", q->name);
	jw_kstr(w, "Session", q->session);
	jw_kstr(w, "Token", q->token);
	jw_key(w, STR("Template"));
	jw_object(w);
	jw_kstr(w, "Type", q->template_type);
	jw_kstr(w, "Regexp", q->regexp);
	jw_kbool(w, "RemoveEmptyTags", q->remove_empty_tags);
	jw_object_end(w);
	render_service_part(w, q);
	jw_key(w, STR("DNS"));
	jw_object(w);
	jw_kstr(w, "TTL", q->ttl);
	jw_object_end(w);
	jw_ku64(w, "CreateIndex", q->create);
	jw_ku64(w, "ModifyIndex", q->modify);
	jw_object_end(w);
}

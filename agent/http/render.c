/* agent/http/render.c -- nodes, services and checks as JSON (see render.h).
 *
 * Parts: lists and maps, the catalog's objects, the agent's own. Fields of the service mesh are
 * there with the values of a service outside of one, since clients decode them.
 */
#include "agent/http/render.h"

static void
render_strs(struct jw *w, const char *key, const struct str *list, size_t count)
{
	jw_key(w, str_of(key));
	jw_array(w);
	for (size_t i = 0; i < count; i++)
		jw_str(w, list[i]);
	jw_array_end(w);
}

enum empty_map { EMPTY_OBJECT, EMPTY_NULL };

static void
render_pairs(
    struct jw *w, const char *key, const struct pair *pairs, size_t count, enum empty_map empty)
{
	if (count == 0 && empty == EMPTY_NULL) {
		jw_knull(w, key);
		return;
	}
	jw_key(w, str_of(key));
	jw_object(w);
	for (size_t i = 0; i < count; i++) {
		jw_key(w, pairs[i].key);
		jw_str(w, pairs[i].value);
	}
	jw_object_end(w);
}

static void
render_tagged(struct jw *w, const char *key, const struct service_info *s)
{
	if (s->tagged_count == 0)
		return;
	jw_key(w, str_of(key));
	jw_object(w);
	for (size_t i = 0; i < s->tagged_count; i++) {
		jw_key(w, s->tagged[i].tag);
		jw_object(w);
		jw_kstr(w, "Address", s->tagged[i].address);
		jw_ki64(w, "Port", s->tagged[i].port);
		jw_object_end(w);
	}
	jw_object_end(w);
}

static void
render_weights(struct jw *w, const char *key, const struct service_info *s)
{
	jw_key(w, str_of(key));
	jw_object(w);
	jw_ki64(w, "Passing", s->weight_passing);
	jw_ki64(w, "Warning", s->weight_warning);
	jw_object_end(w);
}

static void
render_raw(struct jw *w, const char *key, struct str json, struct str otherwise)
{
	jw_key(w, str_of(key));
	jw_raw(w, json.n > 0 ? json : otherwise);
}

static const struct str no_proxy = { "{\"Mode\":\"\",\"MeshGateway\":{},\"Expose\":{}}", 40 };
static const struct str no_object = { "{}", 2 };

static void
render_indexes(struct jw *w, uint64_t create_index, uint64_t modify_index)
{
	jw_ku64(w, "CreateIndex", create_index);
	jw_ku64(w, "ModifyIndex", modify_index);
}

/* ID, Node, Address, Datacenter, TaggedAddresses and Meta under the name given. */
static void
render_node_members(struct jw *w, const struct node_info *n, const char *meta)
{
	jw_kstr(w, "ID", n->id);
	jw_kstr(w, "Node", n->name);
	jw_kstr(w, "Address", n->address);
	jw_kstr(w, "Datacenter", n->datacenter);
	render_pairs(w, "TaggedAddresses", n->tagged, n->tagged_count,
	    n->tagged_set ? EMPTY_OBJECT : EMPTY_NULL);
	render_pairs(w, meta, n->meta, n->meta_count, n->meta_set ? EMPTY_OBJECT : EMPTY_NULL);
}

void
render_node(struct jw *w, const struct catalog_node *n)
{
	jw_object(w);
	render_node_members(w, &n->info, "Meta");
	render_indexes(w, n->create_index, n->modify_index);
	jw_object_end(w);
}

void
render_instance(struct jw *w, const struct catalog_service *s)
{
	const struct service_info *i = &s->info;

	jw_object(w);
	render_node_members(w, &s->node->info, "NodeMeta");
	jw_kstr(w, "ServiceKind", i->kind);
	jw_kstr(w, "ServiceID", i->id);
	jw_kstr(w, "ServiceName", i->name);
	render_strs(w, "ServiceTags", i->tags, i->tag_count);
	jw_kstr(w, "ServiceAddress", i->address);
	render_tagged(w, "ServiceTaggedAddresses", i);
	render_weights(w, "ServiceWeights", i);
	render_pairs(w, "ServiceMeta", i->meta, i->meta_count, EMPTY_OBJECT);
	jw_ki64(w, "ServicePort", i->port);
	jw_kstr(w, "ServiceSocketPath", STR_NONE);
	jw_kbool(w, "ServiceEnableTagOverride", i->enable_tag_override);
	render_raw(w, "ServiceProxy", i->proxy_json, no_proxy);
	render_raw(w, "ServiceConnect", i->connect_json, no_object);
	render_indexes(w, s->create_index, s->modify_index);
	jw_object_end(w);
}

static void
render_service_with(struct jw *w, const struct catalog_service *s, bool null_tags)
{
	const struct service_info *i = &s->info;

	jw_object(w);
	if (i->kind.n > 0)
		jw_kstr(w, "Kind", i->kind);
	jw_kstr(w, "ID", i->id);
	jw_kstr(w, "Service", i->name);
	if (null_tags)
		jw_knull(w, "Tags");
	else
		render_strs(w, "Tags", i->tags, i->tag_count);
	jw_kstr(w, "Address", i->address);
	render_tagged(w, "TaggedAddresses", i);
	render_pairs(w, "Meta", i->meta, i->meta_count, EMPTY_NULL);
	if (i->port != 0)
		jw_ki64(w, "Port", i->port);
	render_weights(w, "Weights", i);
	jw_kbool(w, "EnableTagOverride", i->enable_tag_override);
	render_raw(w, "Proxy", i->proxy_json, no_proxy);
	render_raw(w, "Connect", i->connect_json, no_object);
	render_indexes(w, s->create_index, s->modify_index);
	jw_object_end(w);
}

void
render_service(struct jw *w, const struct catalog_service *s)
{
	render_service_with(w, s, false);
}

void
render_txn_service(struct jw *w, const struct catalog_service *s)
{
	render_service_with(w, s, !s->info.tags_set);
}

/* Name and tags of the service are those it has now, when it is there. */
void
render_check(struct jw *w, const struct catalog_check *c)
{
	const struct check_info *i = &c->info;
	const struct service_info *s = c->service == NULL ? NULL : &c->service->info;

	jw_object(w);
	jw_kstr(w, "Node", c->node->info.name);
	jw_kstr(w, "CheckID", i->id);
	jw_kstr(w, "Name", i->name);
	jw_kstr(w, "Status", i->status);
	jw_kstr(w, "Notes", i->notes);
	jw_kstr(w, "Output", i->output);
	jw_kstr(w, "ServiceID", i->service_id);
	jw_kstr(w, "ServiceName", s != NULL ? s->name : i->service_name);
	render_strs(w, "ServiceTags", s != NULL ? s->tags : i->service_tags,
	    s != NULL ? s->tag_count : i->service_tag_count);
	jw_kstr(w, "Type", i->type);
	jw_kstr(w, "Interval", i->interval);
	jw_kstr(w, "Timeout", i->timeout);
	jw_ku64(w, "ExposedPort", 0);
	render_raw(w, "Definition", i->definition_json, no_object);
	render_indexes(w, c->create_index, c->modify_index);
	jw_object_end(w);
}

/* One entry of health/service: checks of the node first, then those of the service. */
void
render_health_entry(struct jw *w, const struct catalog_service *s)
{
	struct catalog_check *c = NULL;

	jw_object(w);
	jw_key(w, STR("Node"));
	render_node(w, s->node);
	jw_key(w, STR("Service"));
	render_service(w, s);
	jw_key(w, STR("Checks"));
	jw_array(w);
	while ((c = catalog_node_check_next(s->node, c)) != NULL)
		render_check(w, c);
	while ((c = catalog_service_check_next(s, c)) != NULL)
		render_check(w, c);
	jw_array_end(w);
	jw_object_end(w);
}

void
render_agent_service(
    struct jw *w, const struct local_service *s, struct str datacenter, struct str hash)
{
	const struct service_info *i = &s->info;

	jw_object(w);
	if (i->kind.n > 0)
		jw_kstr(w, "Kind", i->kind);
	jw_kstr(w, "ID", i->id);
	jw_kstr(w, "Service", i->name);
	render_strs(w, "Tags", i->tags, i->tag_count);
	render_pairs(w, "Meta", i->meta, i->meta_count, EMPTY_OBJECT);
	jw_ki64(w, "Port", i->port);
	jw_kstr(w, "Address", i->address);
	render_tagged(w, "TaggedAddresses", i);
	render_weights(w, "Weights", i);
	jw_kbool(w, "EnableTagOverride", i->enable_tag_override);
	if (hash.n > 0)
		jw_kstr(w, "ContentHash", hash);
	if (i->proxy_json.n > 0)
		render_raw(w, "Proxy", i->proxy_json, no_object);
	if (i->connect_json.n > 0)
		render_raw(w, "Connect", i->connect_json, no_object);
	jw_kstr(w, "Datacenter", datacenter);
	jw_object_end(w);
}

/* Node to ServiceName: what both shapes of an agent's check begin with. */
static void
render_own_check(struct jw *w, const struct check_info *i, struct str node)
{
	jw_kstr(w, "Node", node);
	jw_kstr(w, "CheckID", i->id);
	jw_kstr(w, "Name", i->name);
	jw_kstr(w, "Status", i->status);
	jw_kstr(w, "Notes", i->notes);
	jw_kstr(w, "Output", i->output);
	jw_kstr(w, "ServiceID", i->service_id);
	jw_kstr(w, "ServiceName", i->service_name);
}

void
render_agent_check(struct jw *w, const struct local_check *c, struct str node)
{
	char interval[DURATION_TEXT_MAX], timeout[DURATION_TEXT_MAX];
	struct check_info i = local_check_info(c, interval, timeout);

	jw_object(w);
	render_own_check(w, &i, node);
	render_strs(w, "ServiceTags", i.service_tags, i.service_tag_count);
	jw_kstr(w, "Type", i.type);
	jw_kstr(w, "Interval", i.interval);
	jw_kstr(w, "Timeout", i.timeout);
	jw_ku64(w, "ExposedPort", 0);
	render_raw(w, "Definition", i.definition_json, no_object);
	render_indexes(w, 0, 0);
	jw_object_end(w);
}

void
render_agent_health_check(struct jw *w, const struct local_check *c, struct str node)
{
	char interval[DURATION_TEXT_MAX], timeout[DURATION_TEXT_MAX];
	struct check_info i = local_check_info(c, interval, timeout);

	jw_object(w);
	render_own_check(w, &i, node);
	jw_knull(w, "ServiceTags");
	jw_kstr(w, "Type", STR_NONE);
	jw_key(w, STR("Definition"));
	jw_raw(w, STR("{\"Interval\":\"0s\",\"Timeout\":\"0s\","
		      "\"DeregisterCriticalServiceAfter\":\"0s\",\"HTTP\":\"\",\"Header\":null,"
		      "\"Method\":\"\",\"Body\":\"\",\"TLSServerName\":\"\","
		      "\"TLSSkipVerify\":false,\"TCP\":\"\",\"GRPC\":\"\",\"GRPCUseTLS\":false}"));
	render_indexes(w, 0, 0);
	jw_object_end(w);
}

void
render_coordinate(struct jw *w, const struct serf_coordinate *c)
{
	jw_object(w);
	jw_key(w, STR("Vec"));
	jw_array(w);
	for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		jw_f64(w, c->vec[i]);
	jw_array_end(w);
	jw_key(w, STR("Error"));
	jw_f64(w, c->error);
	jw_key(w, STR("Adjustment"));
	jw_f64(w, c->adjustment);
	jw_key(w, STR("Height"));
	jw_f64(w, c->height);
	jw_object_end(w);
}

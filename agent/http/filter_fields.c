/* agent/http/filter_fields.c -- the tables of selectors, and entries of the catalog and of the
 * agent as filters see them (see filter_fields.h).
 */
#include "agent/http/filter_fields.h"

#include <stddef.h>

#define NODE(member) FILTER_OF_NODE, KEPT_STR, offsetof(struct node_info, member), 0
#define SERVICE(member) FILTER_OF_SERVICE, KEPT_STR, offsetof(struct service_info, member), 0
#define CHECK(member) FILTER_OF_CHECK, KEPT_STR, offsetof(struct check_info, member), 0

#define COUNTED(of, kept, type, list, count) \
	of, kept, offsetof(struct type, list), offsetof(struct type, count)
#define PLAIN(kept, member) FILTER_OF_SERVICE, kept, offsetof(struct service_info, member), 0
#define NOT_KEPT(of) of, KEPT_NOT, 0, 0

#define PAIRS(name, of, type, list, count)                                            \
	{ name, FILTER_MAP, COUNTED(of, KEPT_PAIRS, type, list, count) },             \
	{                                                                             \
		name ".<any>", FILTER_TEXT, COUNTED(of, KEPT_PAIR, type, list, count) \
	}

#define NODE_PAIRS(name, list, count) PAIRS(name, FILTER_OF_NODE, node_info, list, count)

#define SERVICE_TAGGED(kept) COUNTED(FILTER_OF_SERVICE, kept, service_info, tagged, tagged_count)

/* A service's fields; in entries of catalog/service their names begin with "Service". */
#define SERVICE_FIELDS(begin)                                                                   \
	{ begin "Kind", FILTER_TEXT, SERVICE(kind) }, { begin "ID", FILTER_TEXT, SERVICE(id) }, \
	    { begin "Tags", FILTER_LIST,                                                        \
		    COUNTED(FILTER_OF_SERVICE, KEPT_STRS, service_info, tags, tag_count) },     \
	    { begin "Address", FILTER_TEXT, SERVICE(address) },                                 \
	    { begin "TaggedAddresses", FILTER_MAP, SERVICE_TAGGED(KEPT_TAGGED) },               \
	    { begin "TaggedAddresses.<any>.Address", FILTER_TEXT,                               \
		    SERVICE_TAGGED(KEPT_TAGGED_ADDRESS) },                                      \
	    { begin "TaggedAddresses.<any>.Port", FILTER_NUMBER,                                \
		    SERVICE_TAGGED(KEPT_TAGGED_PORT) },                                         \
	    PAIRS(begin "Meta", FILTER_OF_SERVICE, service_info, meta, meta_count),             \
	    { begin "Port", FILTER_NUMBER, PLAIN(KEPT_I32, port) },                             \
	    { begin "SocketPath", FILTER_TEXT, NOT_KEPT(FILTER_OF_SERVICE) },                   \
	    { begin "Weights.Passing", FILTER_NUMBER, PLAIN(KEPT_I32, weight_passing) },        \
	    { begin "Weights.Warning", FILTER_NUMBER, PLAIN(KEPT_I32, weight_warning) },        \
	    { begin "EnableTagOverride", FILTER_FLAG, PLAIN(KEPT_BOOL, enable_tag_override) },  \
	    PROXY(begin, "DestinationServiceName", FILTER_TEXT),                                \
	    PROXY(begin, "DestinationServiceID", FILTER_TEXT),                                  \
	    PROXY(begin, "LocalServiceAddress", FILTER_TEXT),                                   \
	    PROXY(begin, "LocalServicePort", FILTER_NUMBER),                                    \
	    PROXY(begin, "LocalServiceSocketPath", FILTER_TEXT),                                \
	    PROXY(begin, "Mode", FILTER_TEXT), PROXY(begin, "MeshGateway.Mode", FILTER_TEXT),   \
	    PROXY(begin, "TransparentProxy.OutboundListenerPort", FILTER_NUMBER),               \
	    PROXY(begin, "TransparentProxy.DialedDirectly", FILTER_FLAG),                       \
	    PROXY(begin, "Upstreams", FILTER_EACH),                                             \
	    PROXY(begin, "Upstreams.DestinationType", FILTER_TEXT),                             \
	    PROXY(begin, "Upstreams.DestinationNamespace", FILTER_TEXT),                        \
	    PROXY(begin, "Upstreams.DestinationName", FILTER_TEXT),                             \
	    PROXY(begin, "Upstreams.Datacenter", FILTER_TEXT),                                  \
	    PROXY(begin, "Upstreams.LocalBindAddress", FILTER_TEXT),                            \
	    PROXY(begin, "Upstreams.LocalBindPort", FILTER_NUMBER),                             \
	    PROXY(begin, "Upstreams.LocalBindSocketPath", FILTER_TEXT),                         \
	    PROXY(begin, "Upstreams.LocalBindSocketMode", FILTER_TEXT),                         \
	    PROXY(begin, "Upstreams.MeshGateway.Mode", FILTER_TEXT),                            \
	{                                                                                       \
		begin "Connect.Native", FILTER_FLAG, PLAIN(KEPT_JSON, connect_json)             \
	}

#define PROXY(begin, name, type)                                        \
	{                                                               \
		begin "Proxy." name, type, PLAIN(KEPT_JSON, proxy_json) \
	}

static const struct filter_field node_fields[] = {
	{ "ID", FILTER_TEXT, NODE(id) },
	{ "Node", FILTER_TEXT, NODE(name) },
	{ "Address", FILTER_TEXT, NODE(address) },
	{ "Datacenter", FILTER_TEXT, NODE(datacenter) },
	NODE_PAIRS("TaggedAddresses", tagged, tagged_count),
	NODE_PAIRS("Meta", meta, meta_count),
	{ 0 },
};

static const struct filter_field service_fields[] = {
	{ "Service", FILTER_TEXT, SERVICE(name) },
	SERVICE_FIELDS(""),
	{ 0 },
};

static const struct filter_field instance_fields[] = {
	{ "ID", FILTER_TEXT, NODE(id) },
	{ "Node", FILTER_TEXT, NODE(name) },
	{ "Address", FILTER_TEXT, NODE(address) },
	{ "Datacenter", FILTER_TEXT, NODE(datacenter) },
	NODE_PAIRS("TaggedAddresses", tagged, tagged_count),
	NODE_PAIRS("NodeMeta", meta, meta_count),
	{ "ServiceName", FILTER_TEXT, SERVICE(name) },
	SERVICE_FIELDS("Service"),
	{ 0 },
};

static const struct filter_field check_fields[] = {
	{ "Node", FILTER_TEXT, CHECK(node) },
	{ "CheckID", FILTER_TEXT, CHECK(id) },
	{ "Name", FILTER_TEXT, CHECK(name) },
	{ "Status", FILTER_TEXT, CHECK(status) },
	{ "Notes", FILTER_TEXT, CHECK(notes) },
	{ "Output", FILTER_TEXT, CHECK(output) },
	{ "ServiceID", FILTER_TEXT, CHECK(service_id) },
	{ "ServiceName", FILTER_TEXT, CHECK(service_name) },
	{ "ServiceTags", FILTER_LIST,
	    COUNTED(FILTER_OF_CHECK, KEPT_STRS, check_info, service_tags, service_tag_count) },
	{ "Type", FILTER_TEXT, CHECK(type) },
	{ "Interval", FILTER_TEXT, CHECK(interval) },
	{ "Timeout", FILTER_TEXT, CHECK(timeout) },
	{ "ExposedPort", FILTER_NUMBER, NOT_KEPT(FILTER_OF_CHECK) },
	{ 0 },
};

const struct filter_schema filter_nodes = { { { NULL, node_fields, false } } };
const struct filter_schema filter_instances = { { { NULL, instance_fields, false } } };
const struct filter_schema filter_services = { { { NULL, service_fields, false } } };
const struct filter_schema filter_checks = { { { NULL, check_fields, false } } };
const struct filter_schema filter_entries = { {
    { "Node", node_fields, false },
    { "Service", service_fields, false },
    { "Checks", check_fields, true },
} };

bool
filter_has_node(struct filter *f, const struct catalog_node *n)
{
	struct filter_entry e = { .node = &n->info };

	return f == NULL || filter_holds(f, &e);
}

bool
filter_has_instance(struct filter *f, const struct catalog_service *s)
{
	struct filter_entry e = { .node = &s->node->info, .service = &s->info, .instance = s };

	return f == NULL || filter_holds(f, &e);
}

struct check_info
filter_check_shown(const struct catalog_check *c)
{
	struct check_info shown = c->info;

	shown.node = c->node->info.name;
	if (c->service != NULL) {
		shown.service_name = c->service->info.name;
		shown.service_tags = c->service->info.tags;
		shown.service_tag_count = c->service->info.tag_count;
	}
	return shown;
}

const struct catalog_check *
filter_check_next(const struct catalog_service *s, const struct catalog_check *c)
{
	const struct catalog_check *next = NULL;

	if (c == NULL || c->info.service_id.n == 0)
		next = catalog_node_check_next(s->node, c);
	else
		return catalog_service_check_next(s, c);
	return next != NULL ? next : catalog_service_check_next(s, NULL);
}

bool
filter_has_check(struct filter *f, const struct catalog_check *c)
{
	struct check_info shown;
	struct filter_entry e = { .check = &shown };

	if (f == NULL)
		return true;
	shown = filter_check_shown(c);
	return filter_holds(f, &e);
}

bool
filter_has_agent_service(struct filter *f, const struct local_service *s)
{
	struct filter_entry e = { .service = &s->info };

	return f == NULL || filter_holds(f, &e);
}

bool
filter_has_agent_check(struct filter *f, const struct local_check *c, struct str node)
{
	char interval[DURATION_TEXT_MAX], timeout[DURATION_TEXT_MAX];
	struct check_info shown;
	struct filter_entry e = { .check = &shown };

	if (f == NULL)
		return true;
	shown = local_check_info(c, interval, timeout);
	shown.node = node;
	return filter_holds(f, &e);
}

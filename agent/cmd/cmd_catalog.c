/* agent/cmd/cmd_catalog.c -- muster catalog: datacenters, nodes, services. */
#include <stdio.h>

#include "agent/cmd/client.h"
#include "agent/cmd/columns.h"
#include "agent/cmd/commands.h"
#include "base/json.h"

#define PATH_BYTES_MAX (16 * 1024)
#define TABLE_BYTES_MAX (256 * 1024 * 1024)

struct catalog_flags {
	struct client_flags client;
	const char *near, *node_meta, *service, *node, *filter;
	bool detailed, tags;
};

static const struct flag datacenters_flags[] = { { 0 } };

static const struct flag nodes_flags[] = {
	{ "detailed", NULL, offsetof(struct catalog_flags, detailed),
	    "Show whole ids, tagged addresses and meta data too." },
	{ "filter", "EXPRESSION", offsetof(struct catalog_flags, filter),
	    "Only nodes that the expression is true of." },
	{ "near", "NODE", offsetof(struct catalog_flags, near),
	    "In order of the round-trip time from that node; _agent: from this one." },
	{ "node-meta", "KEY=VALUE", offsetof(struct catalog_flags, node_meta),
	    "Only nodes with this meta data." },
	{ "service", "NAME", offsetof(struct catalog_flags, service),
	    "Only nodes that offer this service." },
	{ 0 },
};

static const struct flag services_flags[] = {
	{ "node", "NODE", offsetof(struct catalog_flags, node),
	    "Only services of this node, by name or id." },
	{ "node-meta", "KEY=VALUE", offsetof(struct catalog_flags, node_meta),
	    "Only services of nodes with this meta data." },
	{ "tags", NULL, offsetof(struct catalog_flags, tags), "Show the tags too." },
	{ 0 },
};

/* "key=value" as the API has it: "key:value". */
static void
query_meta(struct buf *path, const char *text)
{
	size_t n = text == NULL ? 0 : strcspn(text, "=");
	struct buf value;

	if (text == NULL)
		return;
	buf_init(&value, PATH_BYTES_MAX);
	buf_add(&value, str_mem(text, n));
	buf_addc(&value, ':');
	if (text[n] == '=')
		buf_add(&value, str_of(text + n + 1));
	path_add_query(path, "node-meta", buf_str(&value));
	buf_done(&value);
}

static void
query_text(struct buf *path, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		path_add_query(path, name, str_of(value));
}

/* The path gets what every query of the catalog may have; the answer is the caller's. */
static int
catalog_ask(const struct call *call, struct buf *path, json_t **out)
{
	const struct catalog_flags *f = call->flags;
	struct err err = { 0 };

	query_meta(path, f->node_meta);
	query_text(path, "near", f->near);
	query_text(path, "filter", f->filter);
	if (f->client.stale)
		path_add_query(path, "stale", STR_NONE);
	if (http_client_get_json(call->client, buf_str(path), out, &err) == 0)
		return 0;
	fprintf(stderr, "Error asking the catalog: %s\n", err.text);
	return -1;
}

static int
datacenters_run(const struct call *call)
{
	struct buf path;
	json_t *list = NULL;
	int code = 1;

	buf_init(&path, PATH_BYTES_MAX);
	buf_add(&path, STR("/v1/catalog/datacenters"));
	if (catalog_ask(call, &path, &list) == 0) {
		code = 0;
		for (size_t i = 0; i < json_array_size(list); i++)
			printf(STR_FMT "\n", STR_ARG(json_text(json_array_get(list, i))));
	}
	json_decref(list);
	buf_done(&path);
	return code;
}

/* ---- nodes ---- */

/* "a=1, b=2" in order of the keys, as a column shows it. */
static struct str
map_text(const json_t *map, struct buf *into)
{
	size_t from = into->n;
	json_t *copy = json_object(), *value;
	char *text;
	const char *key;

	if (copy == NULL)
		return STR_NONE;
	json_object_update(copy, (json_t *)(uintptr_t)map);
	text = json_dumps(copy, JSON_SORT_KEYS); /* jansson keeps the order of insertion else */
	json_decref(copy);
	copy = text == NULL ? NULL : json_loads(text, 0, NULL);
	free(text);
	json_object_foreach (copy, key, value)
		buf_addf(into, "%s%s=" STR_FMT, into->n == from ? "" : ", ", key,
		    STR_ARG(json_text(value)));
	json_decref(copy);
	return str_mem(into->p + from, into->n - from);
}

static void
nodes_print(const json_t *list, bool entries, bool detailed)
{
	static const struct str head[] = { STR("Node"), STR("ID"), STR("Address"), STR("DC"),
		STR("TaggedAddresses"), STR("Meta") };
	struct columns table;
	struct buf out, maps;

	columns_init(&table, detailed ? 6 : 4);
	columns_add(&table, head);
	buf_init(&out, TABLE_BYTES_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *n = json_array_get(list, i);
		struct str id = json_member_str(n, "ID"), cells[6];

		/* an entry of a service names its node in other words */
		cells[0] = json_member_str(n, "Node");
		cells[1] = detailed ? id : str_head(id, str_find(id, '-'));
		cells[2] = json_member_str(n, "Address");
		cells[3] = json_member_str(n, "Datacenter");
		buf_init(&maps, 1024 * 1024);
		if (detailed) {
			size_t split = map_text(json_object_get(n, "TaggedAddresses"), &maps).n;

			map_text(json_object_get(n, entries ? "NodeMeta" : "Meta"), &maps);
			cells[4] = str_head(buf_str(&maps), split);
			cells[5] = str_skip(buf_str(&maps), split);
		}
		columns_add(&table, cells);
		buf_done(&maps);
	}
	columns_write(&table, &out);
	fwrite(out.p, 1, out.n, stdout);
	buf_done(&out);
	columns_done(&table);
}

/* A node that offers a service twice is one node. */
static void
nodes_unique(json_t *list)
{
	for (size_t i = json_array_size(list); i-- > 1;)
		for (size_t k = 0; k < i; k++)
			if (str_eq(json_member_str(json_array_get(list, i), "Node"),
				json_member_str(json_array_get(list, k), "Node"))) {
				json_array_remove(list, i);
				break;
			}
}

static int
nodes_run(const struct call *call)
{
	const struct catalog_flags *f = call->flags;
	bool entries = f->service != NULL && f->service[0] != '\0';
	struct buf path;
	json_t *list = NULL;
	int code = 1;

	buf_init(&path, PATH_BYTES_MAX);
	buf_add(&path, entries ? STR("/v1/catalog/service/") : STR("/v1/catalog/nodes"));
	if (entries)
		path_add(&path, str_of(f->service));
	if (catalog_ask(call, &path, &list) == 0) {
		code = 0;
		if (entries)
			nodes_unique(list);
		if (json_array_size(list) == 0)
			printf("No nodes match the given query - try expanding your search.\n");
		else
			nodes_print(list, entries, f->detailed);
	}
	json_decref(list);
	buf_done(&path);
	return code;
}

/* ---- services ---- */

static void
tags_print(struct buf *out, const json_t *tags)
{
	for (size_t i = 0; i < json_array_size(tags); i++)
		buf_addf(out, "%s" STR_FMT, i > 0 ? "," : "",
		    STR_ARG(json_text(json_array_get(tags, i))));
}

/* Of a node's services by id to tags by name, as the catalog answers elsewhere. */
static json_t *
services_by_name(const json_t *node)
{
	json_t *out = json_object(), *service, *known, *tag;
	const char *id;
	size_t i;

	json_object_foreach (json_object_get(node, "Services"), id, service) {
		struct str name = json_member_str(service, "Service");

		known = json_object_getn(out, name.p, name.n);
		if (known == NULL) {
			known = json_array();
			json_object_setn_new(out, name.p, name.n, known);
		}
		json_array_foreach (json_object_get(service, "Tags"), i, tag)
			json_array_append(known, tag);
	}
	return out;
}

static int
names_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
services_print(json_t *names, bool with_tags)
{
	size_t count = json_object_size(names), i = 0;
	const char **sorted = calloc(count + 1, sizeof *sorted), *key;
	struct columns table;
	struct buf out;
	json_t *value;

	if (sorted == NULL)
		return;
	json_object_foreach (names, key, value)
		sorted[i++] = key;
	qsort(sorted, count, sizeof *sorted, names_cmp);
	columns_init(&table, with_tags ? 2 : 1);
	for (i = 0; i < count; i++) {
		struct str cells[2] = { str_of(sorted[i]), STR_NONE };
		struct buf tags;

		buf_init(&tags, 1024 * 1024);
		tags_print(&tags, json_object_get(names, sorted[i]));
		cells[1] = buf_str(&tags);
		columns_add(&table, cells);
		buf_done(&tags);
	}
	buf_init(&out, TABLE_BYTES_MAX);
	columns_write(&table, &out);
	fwrite(out.p, 1, out.n, stdout);
	buf_done(&out);
	columns_done(&table);
	free(sorted);
}

static int
services_run(const struct call *call)
{
	const struct catalog_flags *f = call->flags;
	bool of_node = f->node != NULL && f->node[0] != '\0';
	struct buf path;
	json_t *names = NULL, *node;
	int code = 1;

	buf_init(&path, PATH_BYTES_MAX);
	buf_add(&path, of_node ? STR("/v1/catalog/node/") : STR("/v1/catalog/services"));
	if (of_node)
		path_add(&path, str_of(f->node));
	if (catalog_ask(call, &path, &names) == 0) {
		code = 0;
		if (of_node) {
			node = names;
			names = services_by_name(node);
			json_decref(node);
		}
		if (json_object_size(names) == 0)
			printf("No services match the given query - try expanding your search.\n");
		else
			services_print(names, f->tags);
	}
	json_decref(names);
	buf_done(&path);
	return code;
}

const struct usage catalog_datacenters_usage = {
	.name = "catalog datacenters",
	.takes = "",
	.text = "Lists the datacenters: this one. Exit status: 0; 1: the agent could not be asked.",
	.flags = datacenters_flags,
	.size = sizeof(struct catalog_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = datacenters_run,
};

const struct usage catalog_nodes_usage = {
	.name = "catalog nodes",
	.takes = "[FLAG...]",
	.text =
	    "Lists the nodes of the cluster with id, address and datacenter. Exit status: 0; 1: "
	    "the agent could not be asked.",
	.flags = nodes_flags,
	.size = sizeof(struct catalog_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = nodes_run,
};

const struct usage catalog_services_usage = {
	.name = "catalog services",
	.takes = "[FLAG...]",
	.text = "Lists the names of the services, with -tags their tags. Exit status: 0; 1: the "
		"agent could not be asked.",
	.flags = services_flags,
	.size = sizeof(struct catalog_flags),
	.words_wrong = "it takes no words",
	.client = true,
	.run = services_run,
};

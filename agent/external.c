/* agent/external.c -- /v1/catalog/register and deregister, carried out as the virtual owner.
 *
 * Tests, defaults and texts are Consul's (its catalog endpoint, then its state store), in its
 * order; a registration is all or nothing. Everything is found in the catalog: what is shown on a
 * node is what can be named. Records of agents are never written here, only masked.
 *
 * The journal holds the records as they are, one kind for each kind of record. Masks are not
 * kept: they name an epoch of their owner, and this agent's own ends with its process.
 */
#include "agent/external.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/change.h"
#include "base/json.h"
#include "base/mem.h"

#define JOURNAL_RECORD 2 /* added to a record's kind: 3, 4 and 5; local.c has 1 and 2 */

struct external {
	struct store *store;
	struct journal *journal; /* NULL: nothing is kept */
	struct uuid cluster;
};

struct external *
external_new(struct store *store, struct journal *journal, const struct uuid *cluster)
{
	struct external *x = mem_new(struct external);

	*x = (struct external){ store, journal, *cluster };
	return x;
}

void
external_free(struct external *x)
{
	free(x);
}

/* ---- records ---- */

/* Key of a service or check on a node. */
static void
key_make(struct buf *key, struct str node, struct str id)
{
	buf_init(key, RECORD_KEY_MAX + 1);
	buf_add(key, node);
	buf_addc(key, '\0');
	buf_add(key, id);
}

static bool
record_find(const struct external *x, const struct uuid *owner, uint16_t kind, struct str key,
    struct owner_record *out)
{
	const struct owner *o = store_owner(x->store, owner);

	return o != NULL && owner_find(o, kind, key, out) && !out->gone;
}

/* The journal learns what was changed, as it is now. */
static int
external_keep(struct external *x, const struct change *change, struct err *err)
{
	struct owner_record r;
	size_t cursor = 0;
	uint16_t kind;
	struct str key;
	int rc = 0;

	if (x->journal == NULL)
		return 0;
	journal_begin(x->journal);
	while (rc == 0 && change_next(change, &cursor, &kind, &key)) {
		uint16_t kept_as = (uint16_t)(kind + JOURNAL_RECORD);

		if (record_find(x, &x->cluster, kind, key, &r))
			rc = journal_put(x->journal, kept_as, key, blob_str(r.body), err);
		else
			rc = journal_delete(x->journal, kept_as, key, err);
	}
	if (rc == 0)
		return journal_commit(x->journal, err);
	journal_abort(x->journal);
	return rc;
}

/* Ends a change: kept, or undone. 1: changed, 0: equal. */
static int
external_finish(struct external *x, struct change *change, int rc, struct err *err)
{
	if (rc >= 0)
		rc = external_keep(x, change, err);
	if (rc < 0)
		change_undo(change);
	else
		rc = change->count > 0;
	change_done(change);
	return rc;
}

int
external_restore(struct external *x, struct now now, struct err *err)
{
	size_t cursor = 0;
	uint16_t kind;
	struct str key, value;

	if (x->journal == NULL)
		return 0;
	while (journal_next(x->journal, &cursor, &kind, &key, &value)) {
		int rc;

		if (kind < RECORD_NODE + JOURNAL_RECORD || kind > RECORD_CHECK + JOURNAL_RECORD)
			continue;
		rc = store_put(
		    x->store, now, &x->cluster, (uint16_t)(kind - JOURNAL_RECORD), key, value, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- what a registration may say ---- */

static int
register_node_input(const struct external_register *r, struct err *err)
{
	struct str id = r->node.id;
	struct uuid uuid;

	if (r->node.name.n == 0)
		return err_set(err, ERR_INPUT, "Must provide node");
	if (str_find(r->node.name, '\0') < r->node.name.n)
		return err_set(err, ERR_INPUT, "Invalid node name: it holds a NUL");
	if (id.n > 0 && id.n != UUID_TEXT_LEN)
		return err_set(err, ERR_INPUT, "Bad node ID: uuid string is wrong length");
	if (id.n > 0 && !uuid_parse(id, &uuid))
		return err_set(err, ERR_INPUT, "Bad node ID: uuid is improperly formatted");
	if (r->node.address.n == 0 && !r->skip_node_update)
		return err_set(err, ERR_INPUT, "Must provide address if SkipNodeUpdate is not set");
	return 0;
}

static int
register_service_input(struct service_info *service, struct str node, struct err *err)
{
	service->node = node;
	if (service->id.n == 0)
		service->id = service->name;
	if (service->name.n == 0)
		return err_set(err, ERR_INPUT, "Must provide service name with ID");
	if (str_eq(service->address, STR("0.0.0.0")) || str_eq(service->address, STR("::")) ||
	    str_eq(service->address, STR("[::]")))
		return err_set(err, ERR_INPUT, "Invalid service address");
	if (service->weight_passing == 0 && service->weight_warning == 0)
		service->weight_passing = service->weight_warning = 1;
	return 0;
}

static int
register_input(const struct external_register *r, struct service_info *service, struct err *err)
{
	int rc = register_node_input(r, err);

	if (rc == 0 && r->has_service)
		rc = register_service_input(service, r->node.name, err);
	if (rc == 0 && r->check_count > EXTERNAL_CHECKS_MAX)
		rc = err_set(
		    err, ERR_LIMIT, "more than %d checks in one registration", EXTERNAL_CHECKS_MAX);
	return rc;
}

/* The kind that a definition amounts to, in Consul's order. */
static struct str
definition_type(struct str definition)
{
	static const struct {
		const char *member;
		struct str type;
	} kinds[] = {
		{ "GRPC", { "grpc", 4 } },
		{ "HTTP", { "http", 4 } },
		{ "TTL", { "ttl", 3 } },
		{ "TCP", { "tcp", 3 } },
		{ "UDP", { "udp", 3 } },
		{ "AliasNode", { "alias", 5 } },
		{ "AliasService", { "alias", 5 } },
		{ "DockerContainerID", { "docker", 6 } },
		{ "ScriptArgs", { "script", 6 } },
		{ "H2PING", { "h2ping", 6 } },
	};
	struct str type = STR_NONE;
	json_t *def;

	if (definition.n == 0 || json_read(definition, &def, NULL) != 0)
		return STR_NONE;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && type.n == 0; i++) {
		const json_t *member = json_object_get(def, kinds[i].member);
		struct str text = json_text(member);

		if ((text.n > 0 && !str_eq(text, STR("0s"))) || json_array_size(member) > 0)
			type = kinds[i].type;
	}
	json_decref(def);
	return type;
}

/* ---- registering ---- */

static int
name_reserved(const struct external_register *r, const struct catalog_node *by, const char *address,
    struct err *err)
{
	char at[128] = "";

	if (address != NULL)
		snprintf(at, sizeof at, " (%s)", address);
	return err_set(err, ERR_CONFLICT,
	    "Error while renaming Node ID: \"" STR_FMT "\"%s: Node name " STR_FMT
	    " is reserved by node " STR_FMT " with name " STR_FMT " (" STR_FMT ")",
	    STR_ARG(r->node.id), at, STR_ARG(r->node.name), STR_ARG(by->info.id),
	    STR_ARG(by->info.name), STR_ARG(by->info.address));
}

static bool
node_failed(const struct catalog_node *n)
{
	const struct catalog_check *serf = catalog_check_find(n, STR("serfHealth"));

	return serf != NULL && serf->status == CHECK_CRITICAL;
}

/* Two names for one id, one name for two ids. *renamed: the node that gives way. */
static int
register_node_conflict(const struct external *x, const struct external_register *r,
    const struct catalog_node **renamed, struct err *err)
{
	const struct catalog *catalog = store_catalog(x->store);
	const struct catalog_node *same_id, *same_name;
	char address[100];

	*renamed = NULL;
	if (r->node.id.n == 0)
		return 0;
	same_id = catalog_node_find_id(catalog, r->node.id);
	if (same_id != NULL && str_eq(same_id->info.name, r->node.name))
		return 0;
	snprintf(address, sizeof address, STR_FMT, STR_ARG(r->node.address));
	if (same_id != NULL && same_id->agent)
		return name_reserved(r, same_id, address, err);
	same_name = catalog_node_find_nocase(catalog, r->node.name);
	if (same_name != NULL && !str_eq_nocase(same_name->info.id, r->node.id) &&
	    !node_failed(same_name) && (same_name->info.id.n > 0 || same_id != NULL))
		return name_reserved(r, same_name, same_id != NULL ? address : NULL, err);
	*renamed = same_id;
	return 0;
}

static void node_remove(struct external *, struct change *, struct str name);

static int
register_node(
    struct external *x, struct change *change, const struct external_register *r, struct err *err)
{
	const struct catalog_node *there = catalog_node_find(store_catalog(x->store), r->node.name);
	const struct catalog_node *renamed;
	struct owner_record record;
	struct buf body;
	int rc = register_node_conflict(x, r, &renamed, err);

	if (rc != 0)
		return rc;
	if (there != NULL && there->agent)
		return 0;
	if (r->skip_node_update && record_find(x, &x->cluster, RECORD_NODE, r->node.name, &record))
		return 0;
	if (renamed != NULL) {
		char *old = str_dup(renamed->info.name);

		node_remove(x, change, str_of(old));
		free(old);
	}
	buf_init(&body, RECORD_BODY_MAX);
	node_pack(&body, &r->node);
	rc = change_put(change, RECORD_NODE, r->node.name, &body, err);
	buf_done(&body);
	return rc;
}

static int
register_service(struct change *change, const struct service_info *service, struct err *err)
{
	struct buf key, body;
	int rc;

	key_make(&key, service->node, service->id);
	buf_init(&body, RECORD_BODY_MAX);
	service_pack(&body, service);
	rc = change_put(change, RECORD_SERVICE, buf_str(&key), &body, err);
	buf_done(&body);
	buf_done(&key);
	return rc;
}

static int
register_check(struct external *x, struct change *change, const struct external_register *r,
    const struct check_info *given, struct err *err)
{
	struct check_info check = *given;
	struct buf key, body;
	int rc;

	if (check.node.n > 0 && !str_eq(check.node, r->node.name))
		return err_set(err, ERR_INPUT,
		    "check node \"" STR_FMT "\" does not match node \"" STR_FMT "\"",
		    STR_ARG(check.node), STR_ARG(r->node.name));
	check.node = r->node.name;
	if (check.id.n == 0)
		check.id = check.name;
	if (check.id.n == 0)
		return err_set(err, ERR_INPUT, "Must provide check ID or name");
	if (check.status.n == 0)
		check.status = check_status_text(CHECK_CRITICAL);
	if (check.type.n == 0)
		check.type = definition_type(check.definition_json);
	check.service_name = STR_NONE;
	check.service_tags = NULL;
	check.service_tag_count = 0;
	if (check.service_id.n > 0) {
		const struct catalog_node *node =
		    catalog_node_find(store_catalog(x->store), r->node.name);
		const struct catalog_service *service =
		    node == NULL ? NULL : catalog_service_find(node, check.service_id);

		if (service == NULL)
			return err_set(err, ERR_INPUT,
			    "failed inserting check: Missing service registration on node "
			    "\"" STR_FMT "\"",
			    STR_ARG(r->node.name));
		check.service_name = service->info.name;
		check.service_tags = service->info.tags;
		check.service_tag_count = service->info.tag_count;
	}
	key_make(&key, check.node, check.id);
	buf_init(&body, RECORD_BODY_MAX);
	check_pack(&body, &check);
	rc = change_put(change, RECORD_CHECK, buf_str(&key), &body, err);
	buf_done(&body);
	buf_done(&key);
	return rc;
}

int
external_register(
    struct external *x, struct now now, const struct external_register *r, struct err *err)
{
	struct service_info service = r->service;
	struct change change;
	int rc = register_input(r, &service, err);

	if (rc != 0)
		return rc;
	change_begin(&change, x->store, &x->cluster, now);
	rc = register_node(x, &change, r, err);
	if (rc >= 0 && r->has_service)
		rc = register_service(&change, &service, err);
	for (size_t i = 0; i < r->check_count && rc >= 0; i++)
		rc = register_check(x, &change, r, &r->checks[i], err);
	return external_finish(x, &change, rc, err);
}

/* ---- deregistering ---- */

/* What is to go: records of the virtual owner, and records of agents to be masked. */
struct going {
	struct row {
		uint16_t kind;
		bool masked;
		struct uuid owner;
		char *key;
		size_t key_len;
	} * rows;
	size_t count, room;
};

static void
going_add(struct going *g, uint16_t kind, struct str key, const struct uuid *masked_of)
{
	g->rows = mem_grow(g->rows, g->count, &g->room, sizeof *g->rows);
	g->rows[g->count] = (struct row){ kind, masked_of != NULL, { { 0 } }, str_dup(key), key.n };
	if (masked_of != NULL)
		g->rows[g->count].owner = *masked_of;
	g->count++;
}

/* A service or check of a node: the external record of this id, and the agent's own. */
static void
going_entry(struct external *x, struct going *g, const struct catalog_node *node, struct str name,
    uint16_t kind, struct str id)
{
	struct owner_record r;
	struct buf key;

	key_make(&key, name, id);
	if (record_find(x, &x->cluster, kind, buf_str(&key), &r))
		going_add(g, kind, buf_str(&key), NULL);
	buf_done(&key);
	if (node != NULL && node->agent && record_find(x, &node->owner, kind, id, &r))
		going_add(g, kind, id, &node->owner);
}

/* External records of a node that the catalog does not show (its agent is gone). */
static void
going_unseen(struct external *x, struct going *g, struct str name)
{
	const struct owner *o = store_owner(x->store, &x->cluster);
	struct owner_record r;
	struct owner_range range;
	uint64_t cursor = 0;
	struct buf prefix;

	if (o == NULL)
		return;
	key_make(&prefix, name, STR_NONE);
	range = owner_range_for(o, 0);
	while (owner_range_next(o, &range, &cursor, &r))
		if (!r.gone && (r.kind == RECORD_SERVICE || r.kind == RECORD_CHECK) &&
		    str_starts(r.key, buf_str(&prefix)))
			going_add(g, r.kind, r.key, NULL);
	buf_done(&prefix);
}

static void
going_node(struct external *x, struct going *g, struct str name)
{
	const struct catalog_node *node = catalog_node_find(store_catalog(x->store), name);
	const struct catalog_service *service = NULL;
	const struct catalog_check *check = NULL;
	struct owner_record r;

	if (node == NULL) {
		going_unseen(x, g, name);
	} else {
		while ((check = catalog_check_next(node, check)) != NULL)
			going_entry(x, g, node, name, RECORD_CHECK, check->info.id);
		while ((service = catalog_service_next(node, service)) != NULL)
			going_entry(x, g, node, name, RECORD_SERVICE, service->info.id);
		if (node->agent)
			going_add(g, RECORD_NODE, STR_NONE, &node->owner);
	}
	if (record_find(x, &x->cluster, RECORD_NODE, name, &r))
		going_add(g, RECORD_NODE, name, NULL);
}

static void
going_service(struct external *x, struct going *g, struct str name, struct str id)
{
	const struct catalog_node *node = catalog_node_find(store_catalog(x->store), name);
	const struct catalog_check *check = NULL;

	while (node != NULL && (check = catalog_check_next(node, check)) != NULL)
		if (str_eq(check->info.service_id, id))
			going_entry(x, g, node, name, RECORD_CHECK, check->info.id);
	going_entry(x, g, node, name, RECORD_SERVICE, id);
}

static void
going_remove(const struct going *g, struct change *change)
{
	for (size_t i = 0; i < g->count; i++)
		if (!g->rows[i].masked)
			change_remove(
			    change, g->rows[i].kind, str_mem(g->rows[i].key, g->rows[i].key_len));
}

static int
going_mask(struct external *x, struct now now, const struct going *g, struct err *err)
{
	int masked = 0;

	for (size_t i = 0; i < g->count; i++) {
		const struct row *row = &g->rows[i];
		int rc = 0;

		if (row->masked)
			rc = store_mask(x->store, now, &row->owner, row->kind,
			    str_mem(row->key, row->key_len), err);
		if (rc < 0)
			return rc;
		masked |= rc;
	}
	return masked;
}

static void
going_done(struct going *g)
{
	for (size_t i = 0; i < g->count; i++)
		free(g->rows[i].key);
	free(g->rows);
}

static void
node_remove(struct external *x, struct change *change, struct str name)
{
	struct going g = { 0 };

	going_node(x, &g, name);
	going_remove(&g, change);
	going_done(&g);
}

int
external_deregister(
    struct external *x, struct now now, const struct external_deregister *d, struct err *err)
{
	struct going g = { 0 };
	struct change change;
	int rc, masked = 0;

	if (d->node.n == 0)
		return err_set(err, ERR_INPUT, "Must provide node");
	if (d->service_id.n > 0)
		going_service(x, &g, d->node, d->service_id);
	else if (d->check_id.n > 0)
		going_entry(x, &g, catalog_node_find(store_catalog(x->store), d->node), d->node,
		    RECORD_CHECK, d->check_id);
	else
		going_node(x, &g, d->node);
	change_begin(&change, x->store, &x->cluster, now);
	going_remove(&g, &change);
	rc = external_finish(x, &change, 0, err);
	if (rc >= 0)
		masked = going_mask(x, now, &g, err);
	going_done(&g);
	return rc < 0 ? rc : masked < 0 ? masked : rc | masked;
}

/* agent/external.c -- /v1/catalog/register and deregister, planned as steps for the log.
 *
 * Tests, defaults and texts are Consul's (its catalog endpoint, then its state store), in its
 * order. What is here decides what is meant; what must still be so when the log comes to it is said
 * by conditions among the steps. Records of agents are never written, only masked.
 *
 * Parts: records; what is planned already; what a registration may say; registering;
 * deregistering; coordinates.
 */
#include "agent/external.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

#define EXTERNAL_MASKS_DROPPED 64 /* masks that have ended, dropped along with one deregistration \
				   */

/* ---- records ---- */

void
external_key(struct buf *key, struct str node, struct str id)
{
	buf_init(key, RECORD_KEY_MAX + 1);
	buf_add(key, node);
	buf_addc(key, '\0');
	buf_add(key, id);
}

bool
external_find(const struct store *s, uint16_t kind, struct str key, struct owner_record *out)
{
	const struct owner *o = store_cluster_owner(s);

	return o != NULL && owner_find(o, kind, key, out) && !out->gone;
}

static int
put(struct buf *steps, uint16_t kind, struct str key, const struct buf *body, struct err *err)
{
	if (body->full)
		return err_set(
		    err, ERR_LIMIT, "more than %d bytes in one registration", RECORD_BODY_MAX);
	return fsm_step_add(steps,
	    &(struct fsm_step){ .verb = FSM_PUT, .kind = kind, .key = key, .body = buf_str(body) },
	    err);
}

static int
step(struct buf *steps, enum fsm_step_verb verb, uint16_t kind, struct str key, struct err *err)
{
	return fsm_step_add(
	    steps, &(struct fsm_step){ .verb = verb, .kind = kind, .key = key }, err);
}

/* ---- what is planned already ---- */

static bool
key_on(struct str key, struct str node)
{
	return key.n > node.n && str_starts(key, node) && key.p[node.n] == '\0';
}

static bool
step_removes(const struct fsm_step *s, uint16_t kind, struct str key)
{
	switch (s->verb) {
	case FSM_REMOVE:
	case FSM_REMOVE_SERVICE:
		return s->kind == kind && str_eq(s->key, key);
	case FSM_REMOVE_NODE:
		return kind == RECORD_NODE ? str_eq(s->key, key)
					   : kind != RECORD_MASK && key_on(key, s->key);
	case FSM_PUT:
	case FSM_IF_AT:
	case FSM_IF_LIVE:
	case FSM_STEP_VERBS:
		break;
	}
	return false;
}

enum external_planned
external_planned(const struct buf *steps, uint16_t kind, struct str key, struct str *body)
{
	struct reader r = rd_of(buf_str(steps));
	enum external_planned is = EXTERNAL_AS_IS;
	struct fsm_step s;
	unsigned unused;

	while (fsm_step_next(&r, &s, &unused)) {
		if (s.verb == FSM_PUT && s.kind == kind && str_eq(s.key, key)) {
			is = EXTERNAL_PUT;
			*body = s.body;
		} else if (step_removes(&s, kind, key)) {
			is = EXTERNAL_GONE;
		}
	}
	return is;
}

static bool
will_be(const struct store *s, const struct buf *steps, uint16_t kind, struct str key)
{
	struct owner_record r;
	struct str body;
	enum external_planned is = external_planned(steps, kind, key, &body);

	return is == EXTERNAL_PUT || (is == EXTERNAL_AS_IS && external_find(s, kind, key, &r));
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
register_node_conflict(const struct store *s, const struct external_register *r,
    const struct catalog_node **renamed, struct err *err)
{
	const struct catalog *catalog = store_catalog(s);
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

/* All that is external of it. */
static int
node_gone(struct str name, struct buf *steps, struct err *err)
{
	int rc = step(steps, FSM_REMOVE_NODE, RECORD_NODE, name, err);

	return rc < 0 ? rc : step(steps, FSM_REMOVE, RECORD_COORDINATE, name, err);
}

/* As it is now, or there is none: two that claim one name at once must not both get it. */
static int
node_unchanged(const struct store *s, struct str name, struct buf *steps, struct err *err)
{
	struct fsm_step at = { .verb = FSM_IF_AT, .kind = RECORD_NODE, .key = name };
	struct owner_record r;
	struct str body;

	if (external_planned(steps, RECORD_NODE, name, &body) != EXTERNAL_AS_IS)
		return 0;
	if (external_find(s, RECORD_NODE, name, &r))
		at.number = r.number;
	return fsm_step_add(steps, &at, err);
}

static int
register_node(
    const struct store *s, const struct external_register *r, struct buf *steps, struct err *err)
{
	const struct catalog_node *there = catalog_node_find(store_catalog(s), r->node.name);
	const struct catalog_node *renamed;
	struct buf body;
	int rc = register_node_conflict(s, r, &renamed, err);

	if (rc != 0)
		return rc;
	if (there != NULL && there->agent)
		return 0;
	if (r->skip_node_update && will_be(s, steps, RECORD_NODE, r->node.name))
		return 0;
	if (r->node.id.n > 0)
		rc = node_unchanged(s, r->node.name, steps, err);
	if (rc == 0 && renamed != NULL)
		rc = node_gone(renamed->info.name, steps, err);
	if (rc != 0)
		return rc;
	buf_init(&body, RECORD_BODY_MAX);
	node_pack(&body, &r->node);
	rc = put(steps, RECORD_NODE, r->node.name, &body, err);
	buf_done(&body);
	return rc;
}

static int
register_service(const struct service_info *service, struct buf *steps, struct err *err)
{
	struct buf key, body;
	int rc;

	external_key(&key, service->node, service->id);
	buf_init(&body, RECORD_BODY_MAX);
	service_pack(&body, service);
	rc = put(steps, RECORD_SERVICE, buf_str(&key), &body, err);
	buf_done(&body);
	buf_done(&key);
	return rc;
}

static int
service_missing(struct str node, struct err *err)
{
	return err_set(err, ERR_INPUT,
	    "failed inserting check: Missing service registration on node \"" STR_FMT "\"",
	    STR_ARG(node));
}

/* A check shows its service's name and tags; *arrays are what they lie in. The service must still
 * be there then. */
static int
check_tie(const struct store *s, struct check_info *check, void **arrays, struct buf *steps,
    struct err *err)
{
	const struct catalog_node *node = catalog_node_find(store_catalog(s), check->node);
	const struct catalog_service *service =
	    node == NULL ? NULL : catalog_service_find(node, check->service_id);
	struct service_info info = { 0 };
	struct str body;
	struct buf key;
	int rc = 0;

	external_key(&key, check->node, check->service_id);
	switch (external_planned(steps, RECORD_SERVICE, buf_str(&key), &body)) {
	case EXTERNAL_PUT:
		rc = service_unpack_owned(arrays, body, &info, err);
		break;
	case EXTERNAL_AS_IS:
		if (service != NULL && service->external)
			rc = step(steps, FSM_IF_LIVE, RECORD_SERVICE, buf_str(&key), err);
		break;
	case EXTERNAL_GONE:
		if (service != NULL && service->external)
			service = NULL;
		break;
	}
	buf_done(&key);
	if (rc != 0)
		return rc;
	if (info.name.n == 0 && service == NULL)
		return service_missing(check->node, err);
	if (info.name.n == 0)
		info = service->info;
	check->service_name = info.name;
	check->service_tags = info.tags;
	check->service_tag_count = info.tag_count;
	return 0;
}

static int
check_defaults(const struct external_register *r, struct check_info *check, struct err *err)
{
	if (check->node.n > 0 && !str_eq(check->node, r->node.name))
		return err_set(err, ERR_INPUT,
		    "check node \"" STR_FMT "\" does not match node \"" STR_FMT "\"",
		    STR_ARG(check->node), STR_ARG(r->node.name));
	check->node = r->node.name;
	if (check->id.n == 0)
		check->id = check->name;
	if (check->id.n == 0)
		return err_set(err, ERR_INPUT, "Must provide check ID or name");
	if (check->status.n == 0)
		check->status = check_status_text(CHECK_CRITICAL);
	if (check->type.n == 0)
		check->type = definition_type(check->definition_json);
	check->service_name = STR_NONE;
	check->service_tags = NULL;
	check->service_tag_count = 0;
	return 0;
}

static int
register_check(const struct store *s, const struct external_register *r,
    const struct check_info *given, struct buf *steps, struct err *err)
{
	struct check_info check = *given;
	struct buf key, body;
	void *arrays = NULL;
	int rc = check_defaults(r, &check, err);

	if (rc == 0 && check.service_id.n > 0)
		rc = check_tie(s, &check, &arrays, steps, err);
	if (rc == 0) {
		external_key(&key, check.node, check.id);
		buf_init(&body, RECORD_BODY_MAX);
		check_pack(&body, &check);
		rc = put(steps, RECORD_CHECK, buf_str(&key), &body, err);
		buf_done(&body);
		buf_done(&key);
	}
	free(arrays);
	return rc;
}

int
external_register(
    const struct store *s, const struct external_register *r, struct buf *steps, struct err *err)
{
	struct service_info service = r->service;
	int rc = register_input(r, &service, err);

	if (rc == 0)
		rc = register_node(s, r, steps, err);
	if (rc == 0 && r->has_service)
		rc = register_service(&service, steps, err);
	for (size_t i = 0; i < r->check_count && rc == 0; i++)
		rc = register_check(s, r, &r->checks[i], steps, err);
	return rc;
}

/* ---- deregistering ---- */

/* Hides what an agent has under this key, if it has it. */
static int
mask(const struct store *s, const struct catalog_node *node, uint16_t kind, struct str key,
    struct buf *steps, struct err *err)
{
	struct buf mask_key, body;
	int rc = 0;

	if (node == NULL || !node->agent)
		return 0;
	buf_init(&mask_key, RECORD_KEY_MAX);
	buf_init(&body, RECORD_BODY_MAX);
	rc = store_mask_make(s, &node->owner, kind, key, &mask_key, &body, err);
	if (rc > 0)
		rc = put(steps, RECORD_MASK, buf_str(&mask_key), &body, err);
	buf_done(&mask_key);
	buf_done(&body);
	return rc;
}

static int
masks_drop(const struct store *s, struct buf *steps, struct err *err)
{
	const void *cursor = NULL;
	struct str key, body;
	int rc = 0;

	for (unsigned n = 0; rc == 0 && n < EXTERNAL_MASKS_DROPPED; n++) {
		if (!store_mask_ended_next(s, &cursor, &key))
			break;
		if (external_planned(steps, RECORD_MASK, key, &body) == EXTERNAL_AS_IS)
			rc = step(steps, FSM_REMOVE, RECORD_MASK, key, err);
	}
	return rc;
}

static int
remove_check(const struct store *s, const struct catalog_node *node, struct str name, struct str id,
    struct buf *steps, struct err *err)
{
	struct buf key;
	int rc;

	external_key(&key, name, id);
	rc = step(steps, FSM_REMOVE, RECORD_CHECK, buf_str(&key), err);
	buf_done(&key);
	return rc < 0 ? rc : mask(s, node, RECORD_CHECK, id, steps, err);
}

/* With its checks, also those of the one kind on a service of the other. */
static int
remove_service(const struct store *s, const struct catalog_node *node, struct str name,
    struct str id, struct buf *steps, struct err *err)
{
	const struct catalog_check *check = NULL;
	struct buf key;
	int rc;

	external_key(&key, name, id);
	rc = step(steps, FSM_REMOVE_SERVICE, RECORD_SERVICE, buf_str(&key), err);
	buf_done(&key);
	while (rc == 0 && node != NULL && (check = catalog_check_next(node, check)) != NULL)
		if (str_eq(check->info.service_id, id))
			rc = mask(s, node, RECORD_CHECK, check->info.id, steps, err);
	return rc < 0 ? rc : mask(s, node, RECORD_SERVICE, id, steps, err);
}

static int
remove_node(const struct store *s, const struct catalog_node *node, struct str name,
    struct buf *steps, struct err *err)
{
	const struct catalog_service *service = NULL;
	const struct catalog_check *check = NULL;
	int rc = node_gone(name, steps, err);

	while (rc == 0 && node != NULL && (check = catalog_check_next(node, check)) != NULL)
		rc = mask(s, node, RECORD_CHECK, check->info.id, steps, err);
	while (rc == 0 && node != NULL && (service = catalog_service_next(node, service)) != NULL)
		rc = mask(s, node, RECORD_SERVICE, service->info.id, steps, err);
	return rc < 0 ? rc : mask(s, node, RECORD_NODE, STR_NONE, steps, err);
}

int
external_deregister(
    const struct store *s, const struct external_deregister *d, struct buf *steps, struct err *err)
{
	const struct catalog_node *node = catalog_node_find(store_catalog(s), d->node);
	int rc;

	if (d->node.n == 0)
		return err_set(err, ERR_INPUT, "Must provide node");
	if (d->service_id.n > 0)
		rc = remove_service(s, node, d->node, d->service_id, steps, err);
	else if (d->check_id.n > 0)
		rc = remove_check(s, node, d->node, d->check_id, steps, err);
	else
		rc = remove_node(s, node, d->node, steps, err);
	return rc < 0 ? rc : masks_drop(s, steps, err);
}

/* ---- coordinates ---- */

int
external_coordinate(
    struct str node, const struct coordinate_info *at, struct buf *steps, struct err *err)
{
	struct buf body;
	int rc = step(steps, FSM_IF_LIVE, RECORD_NODE, node, err);

	if (rc < 0)
		return rc;
	buf_init(&body, RECORD_BODY_MAX);
	coordinate_pack(&body, at);
	rc = put(steps, RECORD_COORDINATE, node, &body, err);
	buf_done(&body);
	return rc;
}

/* kv/catalog_update.c -- services and checks come, change and go; health and scopes follow.
 *
 * Parts: steps and scopes; health; names; services; checks; serfHealth. A change first alters
 * objects and trees and touches scopes then, so that "does this name still live" is asked of the
 * new state. Nothing is touched when the bytes are equal.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "kv/catalog_priv.h"

/* Steps and scopes. */

uint64_t
catalog_step_index(struct catalog_step *step)
{
	if (step->index == 0)
		step->index = index_next(step->c->index, step->wall_ms);
	return step->index;
}

uint64_t
catalog_modify_index(struct catalog_step *step, struct catalog_source source)
{
	return source.external ? source.number : catalog_step_index(step);
}

void
catalog_touch(struct catalog_step *step, enum watch_kind kind, struct str name, bool lives)
{
	watch_touch(
	    step->c->watches, (struct watch_key){ kind, name }, catalog_step_index(step), lives);
}

/* What it named is gone; that it is empty now is no change of its own. */
void
catalog_forget(struct catalog_step *step, enum watch_kind kind, struct str name)
{
	watch_forget(step->c->watches, (struct watch_key){ kind, name });
}

static void
touch_name(struct catalog_step *step, enum watch_kind kind, struct str name)
{
	struct catalog_name *n = catalog_name_find(step->c, name);

	if (n != NULL)
		n->generation = catalog_step_index(step);
	if (kind == WATCH_SERVICE_HEALTH)
		marks_move(&step->c->marks->of[marks_slot(MARKS_SERVICE, name)]);
	catalog_touch(step, kind, name, n != NULL);
}

void
catalog_touch_service(struct catalog_step *step, struct str name)
{
	touch_name(step, WATCH_SERVICE, name);
	touch_name(step, WATCH_SERVICE_HEALTH, name);
}

/* A word that is none of Consul's is not kept as a scope of its own: the floor answers for it. */
static void
touch_state(struct catalog_step *step, struct str status)
{
	enum check_status known;

	catalog_touch(step, WATCH_STATE, status, check_status_parse(status, &known));
}

/* The lists that one check stands in, seen from the check. */
static void
touch_check_lists(struct catalog_step *step, const struct catalog_check *check)
{
	catalog_touch(step, WATCH_NODE_CHECKS, check->node->info.name, true);
	catalog_touch(step, WATCH_STATE, STR("any"), true);
	touch_state(step, check->info.status);
}

/* The services whose health answers show a check: its own, or all on the node. */
static void
touch_check_services(struct catalog_step *step, const struct catalog_check *check)
{
	struct catalog_service *s = NULL;

	if (check->service != NULL) {
		touch_name(step, WATCH_SERVICE_HEALTH, check->service->info.name);
		touch_name(step, WATCH_SERVICE_CHECKS, check->service->info.name);
		return;
	}
	if (check->info.service_id.n > 0)
		return;
	while ((s = catalog_service_next(check->node, s)) != NULL)
		touch_name(step, WATCH_SERVICE_HEALTH, s->info.name);
}

/* A service's name or tags have changed, which its checks show. */
static void
touch_checks_of(struct catalog_step *step, const struct catalog_service *s, struct str name)
{
	struct catalog_check *check = NULL;

	if (catalog_service_check_next(s, NULL) == NULL)
		return;
	touch_name(step, WATCH_SERVICE_CHECKS, name);
	while ((check = catalog_service_check_next(s, check)) != NULL)
		touch_check_lists(step, check);
}

/* Health. */

static bool
check_is_maintenance(const struct check_info *info)
{
	return str_eq(info->id, STR("_node_maintenance")) ||
	       str_starts(info->id, STR("_service_maintenance:"));
}

static enum check_status
worse(enum check_status health, const struct catalog_check *check)
{
	enum check_status s = check->status;

	if (s == CHECK_CRITICAL && check_is_maintenance(&check->info))
		s = CHECK_MAINT;
	return s > health ? s : health;
}

static void
service_health_update(struct catalog_service *s)
{
	struct catalog_check *check = NULL;

	s->health = s->node->health;
	while ((check = catalog_service_check_next(s, check)) != NULL)
		s->health = worse(s->health, check);
}

static void
node_health_update(struct catalog_node *node)
{
	enum check_status health = CHECK_PASSING;
	struct catalog_service *s = NULL;
	struct catalog_check *check = NULL;

	while ((check = catalog_node_check_next(node, check)) != NULL)
		health = worse(health, check);
	if (health == node->health)
		return;
	node->health = health;
	while ((s = catalog_service_next(node, s)) != NULL)
		service_health_update(s);
}

/* Whatever the check belongs to; a check of a service that is not there counts for nothing. */
static void
check_health_update(struct catalog_node *node, struct catalog_service *s, struct str service_id)
{
	if (s != NULL)
		service_health_update(s);
	else if (service_id.n == 0)
		node_health_update(node);
}

/* Names. */

static struct catalog_name *
name_get(struct catalog *c, struct str name)
{
	struct catalog_name *n = catalog_name_find(c, name);
	char *copy;

	if (n != NULL)
		return n;
	n = mem_zalloc(sizeof *n + name.n);
	copy = (char *)(n + 1);
	if (name.n > 0)
		memcpy(copy, name.p, name.n);
	n->name = str_mem(copy, name.n);
	RB_INSERT(catalog_names, &c->names, n);
	RB_INSERT(catalog_folded, &c->folded, n);
	c->counts.names++;
	return n;
}

static void
service_name_link(struct catalog *c, struct catalog_service *s)
{
	s->of = name_get(c, s->info.name);
	s->of->count++;
	RB_INSERT(catalog_name_services, &s->of->services, s);
	if (s->info.address.n > 0)
		RB_INSERT(catalog_addresses, &c->addresses, s);
}

/* Before info changes, as long as it is what the trees are ordered by. */
static void
service_name_unlink(struct catalog *c, struct catalog_service *s)
{
	struct catalog_name *n = s->of;

	if (s->info.address.n > 0)
		RB_REMOVE(catalog_addresses, &c->addresses, s);
	RB_REMOVE(catalog_name_services, &n->services, s);
	s->of = NULL;
	if (--n->count > 0)
		return;
	RB_REMOVE(catalog_names, &c->names, n);
	RB_REMOVE(catalog_folded, &c->folded, n);
	c->counts.names--;
	free(n);
}

/* An external record whose number is another one shows that in answers. */
static bool
renumbered(uint64_t modify_index, struct catalog_source source)
{
	return source.external && source.number != modify_index;
}

/* Services. */

/* What the body holds, when it is what its key says. */
static bool
service_load(struct blob *body, struct str id, struct service_info *info, void **arrays)
{
	*arrays = NULL;
	if (body == NULL || service_unpack_owned(arrays, blob_str(body), info, NULL) < 0)
		return false;
	if (str_eq(info->id, id) && info->name.n > 0)
		return true;
	free(*arrays);
	return false;
}

static bool
check_load(struct blob *body, struct str id, struct check_info *info, void **arrays)
{
	*arrays = NULL;
	if (body == NULL || check_unpack_owned(arrays, blob_str(body), info, NULL) < 0)
		return false;
	if (str_eq(info->id, id))
		return true;
	free(*arrays);
	return false;
}

/* A check shows its service's name and tags. */
static void
check_bind(struct catalog_check *check, struct catalog_service *s)
{
	free(check->arrays);
	check->arrays = NULL;
	check->service = s;
	check->info.service_name = s->info.name;
	check->info.service_tags = s->info.tags;
	check->info.service_tag_count = s->info.tag_count;
}

/* Without the service: what the record itself says. */
static void
check_unbind(struct catalog_check *check)
{
	check->service = NULL;
	(void)check_unpack_owned(&check->arrays, blob_str(check->body), &check->info, NULL);
}

static void
service_checks_bind(struct catalog_service *s)
{
	struct catalog_check *check = NULL;

	while ((check = catalog_service_check_next(s, check)) != NULL)
		check_bind(check, s);
}

static bool
tags_eq(const struct service_info *a, const struct service_info *b)
{
	if (a->tag_count != b->tag_count)
		return false;
	for (size_t i = 0; i < a->tag_count; i++)
		if (!str_eq(a->tags[i], b->tags[i]))
			return false;
	return true;
}

static void
service_add(struct catalog_step *step, struct catalog_node *node, struct blob *body,
    const struct service_info *info, void *arrays, struct catalog_source source)
{
	struct catalog_service *s = mem_new(struct catalog_service);

	s->info = *info;
	s->arrays = arrays;
	s->body = blob_ref(body);
	s->node = node;
	s->external = source.external;
	s->create_index = s->modify_index = catalog_modify_index(step, source);
	RB_INSERT(catalog_node_services, &node->services, s);
	node->service_count++;
	step->c->counts.services++;
	service_name_link(step->c, s);
	service_checks_bind(s);
	service_health_update(s);

	catalog_touch_service(step, s->info.name);
	catalog_touch(step, WATCH_SERVICES, STR_NONE, true);
	catalog_touch(step, WATCH_INSTANCES, STR_NONE, true);
	catalog_touch(step, WATCH_NODE, node->info.name, true);
	touch_checks_of(step, s, s->info.name);
}

static void
service_replace(struct catalog_step *step, struct catalog_service *s, struct blob *body,
    const struct service_info *info, void *arrays, struct catalog_source source)
{
	bool equal = !renumbered(s->modify_index, source) &&
		     str_eq(blob_str(s->body), blob_str(body));
	bool renamed = !str_eq(s->info.name, info->name);
	bool retagged = !tags_eq(&s->info, info);
	bool relink = renamed || !str_eq(s->info.address, info->address);
	struct blob *old_body = s->body;
	void *old_arrays = s->arrays;
	struct str old_name = s->info.name;

	s->external = source.external;
	if (relink)
		service_name_unlink(step->c, s);
	s->info = *info;
	s->arrays = arrays;
	s->body = blob_ref(body);
	if (relink)
		service_name_link(step->c, s);
	service_checks_bind(s);
	if (!equal) {
		s->modify_index = catalog_modify_index(step, source);
		catalog_touch_service(step, info->name);
		catalog_touch(step, WATCH_INSTANCES, STR_NONE, true);
		if (renamed)
			catalog_touch_service(step, old_name);
		if (renamed || retagged) {
			catalog_touch(step, WATCH_SERVICES, STR_NONE, true);
			touch_checks_of(step, s, info->name);
		}
		if (renamed)
			touch_checks_of(step, s, old_name);
		if (renamed && catalog_name_find(step->c, old_name) == NULL)
			catalog_forget(step, WATCH_SERVICE_CHECKS, old_name);
		catalog_touch(step, WATCH_NODE, s->node->info.name, true);
	}
	free(old_arrays);
	blob_unref(old_body);
}

void
catalog_service_free(struct catalog_service *s)
{
	free(s->arrays);
	blob_unref(s->body);
	free(s);
}

static void
service_remove(struct catalog_step *step, struct catalog_service *s)
{
	struct catalog_node *node = s->node;
	struct catalog_check *check = NULL;

	service_name_unlink(step->c, s);
	while ((check = catalog_service_check_next(s, check)) != NULL)
		check_unbind(check);
	RB_REMOVE(catalog_node_services, &node->services, s);
	node->service_count--;
	step->c->counts.services--;

	catalog_touch_service(step, s->info.name);
	catalog_touch(step, WATCH_SERVICES, STR_NONE, true);
	catalog_touch(step, WATCH_INSTANCES, STR_NONE, true);
	catalog_touch(step, WATCH_NODE, node->info.name, true);
	touch_checks_of(step, s, s->info.name);
	if (catalog_name_find(step->c, s->info.name) == NULL)
		catalog_forget(step, WATCH_SERVICE_CHECKS, s->info.name);
	catalog_service_free(s);
}

void
catalog_service_set(struct catalog_step *step, struct catalog_node *node, struct str id,
    struct blob *body, struct catalog_source source)
{
	struct catalog_service *s = catalog_service_find(node, id);
	struct service_info info;
	void *arrays;

	if (s != NULL && s->body == body && !renumbered(s->modify_index, source)) {
		s->external = source.external;
		return;
	}
	if (!service_load(body, id, &info, &arrays)) {
		if (s != NULL)
			service_remove(step, s);
		return;
	}
	if (s == NULL)
		service_add(step, node, body, &info, arrays, source);
	else
		service_replace(step, s, body, &info, arrays, source);
}

/* Checks. */

/* Into the node's trees, to its service, and into health. */
static void
check_link(struct catalog_check *check)
{
	struct catalog_service *s = NULL;

	RB_INSERT(catalog_node_tied, &check->node->tied, check);
	check->status = check_status_of(check->info.status);
	if (check->info.service_id.n > 0)
		s = catalog_service_find(check->node, check->info.service_id);
	if (s != NULL)
		check_bind(check, s);
	check_health_update(check->node, s, check->info.service_id);
}

static void
check_unlink(struct catalog_check *check)
{
	RB_REMOVE(catalog_node_tied, &check->node->tied, check);
	check_health_update(check->node, check->service, check->info.service_id);
	check->service = NULL;
}

/* As it is shown now: before it goes, after it has come. */
static void
touch_check(struct catalog_step *step, const struct catalog_check *check)
{
	touch_check_services(step, check);
	touch_check_lists(step, check);
}

static void
check_add(struct catalog_step *step, struct catalog_node *node, struct blob *body,
    const struct check_info *info, void *arrays, struct catalog_source source)
{
	struct catalog_check *check = mem_new(struct catalog_check);

	check->info = *info;
	check->arrays = arrays;
	check->body = body == NULL ? NULL : blob_ref(body);
	check->node = node;
	check->external = source.external;
	check->create_index = check->modify_index = catalog_modify_index(step, source);
	RB_INSERT(catalog_node_checks, &node->checks, check);
	node->check_count++;
	step->c->counts.checks++;
	check_link(check);
	touch_check(step, check);
}

static void
check_replace(struct catalog_step *step, struct catalog_check *check, struct blob *body,
    const struct check_info *info, void *arrays, struct catalog_source source)
{
	bool equal = !renumbered(check->modify_index, source) &&
		     str_eq(blob_str(check->body), blob_str(body));
	struct blob *old_body = check->body;

	check->external = source.external;
	if (!equal)
		touch_check(step, check);
	check_unlink(check);
	free(check->arrays);
	check->info = *info;
	check->arrays = arrays;
	check->body = blob_ref(body);
	check_link(check);
	if (!equal) {
		check->modify_index = catalog_modify_index(step, source);
		touch_check(step, check);
	}
	blob_unref(old_body);
}

void
catalog_check_free(struct catalog_check *check)
{
	free(check->arrays);
	blob_unref(check->body);
	free(check);
}

static void
check_remove(struct catalog_step *step, struct catalog_check *check)
{
	touch_check(step, check);
	check_unlink(check);
	RB_REMOVE(catalog_node_checks, &check->node->checks, check);
	check->node->check_count--;
	step->c->counts.checks--;
	catalog_check_free(check);
}

void
catalog_check_set(struct catalog_step *step, struct catalog_node *node, struct str id,
    struct blob *body, struct catalog_source source)
{
	struct catalog_check *check = catalog_check_find(node, id);
	struct check_info info;
	void *arrays;

	if (node->agent && str_eq(id, STR(CATALOG_SERF_CHECK)))
		return; /* membership speaks, nobody else */
	if (check != NULL && check->body == body &&
	    !renumbered(check->modify_index, source)) {
		check->external = source.external;
		return;
	}
	if (!check_load(body, id, &info, &arrays)) {
		if (check != NULL)
			check_remove(step, check);
		return;
	}
	if (check == NULL)
		check_add(step, node, body, &info, arrays, source);
	else
		check_replace(step, check, body, &info, arrays, source);
}

/* serfHealth: alive or not, made here; words of Consul's, but for who is kept (RULES 16). */

static struct check_info
serf_info(enum agent_life life)
{
	static const struct str outputs[] = {
		[AGENT_ALIVE] = STR("Agent alive and reachable"),
		[AGENT_KEPT] = STR("Agent not live or unreachable, kept in answers for now"),
		[AGENT_FAILED] = STR("Agent not live or unreachable"),
	};

	return (struct check_info){
		.id = STR(CATALOG_SERF_CHECK),
		.name = STR("Serf Health Status"),
		.status = life == AGENT_FAILED ? STR("critical") : STR("passing"),
		.output = outputs[life],
	};
}

void
catalog_serf_set(struct catalog_step *step, struct catalog_node *node, enum agent_life life)
{
	struct catalog_check *check = catalog_check_find(node, STR(CATALOG_SERF_CHECK));
	struct check_info info = serf_info(life);

	if (check == NULL) {
		check_add(step, node, NULL, &info, NULL, (struct catalog_source){ 0 });
		return;
	}
	if (check->body == NULL && str_eq(check->info.output, info.output))
		return;
	touch_check(step, check);
	check_unlink(check);
	free(check->arrays);
	blob_unref(check->body);
	check->info = info;
	check->arrays = NULL;
	check->body = NULL;
	check->external = false;
	check->modify_index = catalog_step_index(step);
	check_link(check);
	touch_check(step, check);
}

void
catalog_serf_remove(struct catalog_step *step, struct catalog_node *node)
{
	struct catalog_check *check = catalog_check_find(node, STR(CATALOG_SERF_CHECK));

	if (check != NULL && check->body == NULL)
		check_remove(step, check);
}

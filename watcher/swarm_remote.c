/* watcher/swarm_remote.c -- lists of a manager. Parts: nodes; a task's labels, variables,
 * networks and ports; tasks.
 */
#include "watcher/swarm_remote.h"

#include <stdlib.h>

#include "base/json.h"
#include "watcher/docker_event.h"
#include "watcher/swarm_task.h"

#define SWARM_TASK_LABELS 2 /* that the engine adds */

/* The list, with at most `max` entries of it in *n. */
static int
swarm_list(struct str json, size_t max, json_t **root, size_t *n, struct err *err)
{
	int rc = json_read(json, root, err);

	if (rc == 0 && !json_is_array(*root))
		rc = err_set(err, ERR_INPUT, "no list");
	*n = json_array_size(*root);
	if (*n > max)
		*n = max;
	return rc;
}

int
swarm_nodes_read(
    struct arena *arena, struct str json, struct swarm_node **out, size_t *count, struct err *err)
{
	struct swarm_node *all;
	json_t *root = NULL;
	size_t n, given = 0;
	int rc = swarm_list(json, SWARM_NODES_MAX, &root, &n, err);

	if (rc < 0)
		goto out;
	all = arena_array(arena, struct swarm_node, n);
	for (size_t i = 0; all != NULL && i < n; i++) {
		const json_t *node = json_array_get(root, i);
		const json_t *status = json_object_get(node, "Status");
		struct str id = json_member_str(node, "ID");

		if (!swarm_id_valid(id))
			continue;
		all[given++] = (struct swarm_node){
			.id = arena_dup(arena, id),
			.name = arena_dup(arena,
			    json_member_str(json_object_get(node, "Description"), "Hostname")),
			.addr = arena_dup(arena, json_member_str(status, "Addr")),
			.ready = str_eq(json_member_str(status, "State"), STR("ready")),
			.leader =
			    json_member_bool(json_object_get(node, "ManagerStatus"), "Leader"),
		};
	}
	if (arena->full)
		rc = err_set(err, ERR_MEMORY, "too large");
	if (rc == 0) {
		*out = all;
		*count = given;
	}
out:
	json_decref(root);
	return rc < 0 ? err_wrap(err, "swarm nodes") : 0;
}

/* One task. */

static int
swarm_var_cmp(const void *a, const void *b)
{
	const struct container_var *x = a, *y = b;

	return str_cmp(x->key, y->key);
}

static void
swarm_task_labels(struct arena *arena, struct container *c, json_t *object)
{
	size_t n = json_object_size(object);
	const char *key;
	json_t *value;

	if (n > SWARM_LABELS_MAX)
		n = SWARM_LABELS_MAX;
	c->labels = arena_array(arena, struct container_var, n + SWARM_TASK_LABELS);
	if (c->labels == NULL)
		return;
	json_object_foreach (object, key, value) {
		if (c->label_count == n)
			break;
		c->labels[c->label_count++] = (struct container_var){ arena_dup(arena, str_of(key)),
			arena_dup(arena, json_text(value)) };
	}
}

static void
swarm_task_env(struct arena *arena, struct container *c, const json_t *list)
{
	size_t n = json_array_size(list);

	if (n > CONTAINER_LABELS_MAX)
		n = CONTAINER_LABELS_MAX;
	c->env = arena_array(arena, struct container_var, n);
	for (size_t i = 0; c->env != NULL && i < n; i++) {
		struct str value = json_text(json_array_get(list, i));
		struct str key = str_cut(&value, '=');

		if (value.p != NULL && key.n > 0)
			c->env[c->env_count++] = (struct container_var){ arena_dup(arena, key),
				arena_dup(arena, value) };
	}
}

static void
swarm_task_networks(struct arena *arena, struct container *c, const json_t *list)
{
	size_t n = json_array_size(list);

	if (n > SWARM_NETWORKS_MAX)
		n = SWARM_NETWORKS_MAX;
	c->networks = arena_array(arena, struct container_network, n);
	for (size_t i = 0; c->networks != NULL && i < n; i++) {
		const json_t *a = json_array_get(list, i);
		const json_t *spec = json_object_get(json_object_get(a, "Network"), "Spec");
		struct str ip = json_text(json_array_get(json_object_get(a, "Addresses"), 0));

		c->networks[c->network_count++] = (struct container_network){
			.name = arena_dup(arena, json_member_str(spec, "Name")),
			.ip = arena_dup(arena, str_head(ip, str_find(ip, '/'))),
		};
	}
}

/* Published in host mode; IPv4 and IPv6 are listed apart, with equal words. */
static void
swarm_task_ports(struct arena *arena, struct container *c, const json_t *list)
{
	size_t n = json_array_size(list);

	if (n > SWARM_PORTS_MAX)
		n = SWARM_PORTS_MAX;
	c->ports = arena_array(arena, struct container_port, n);
	for (size_t i = 0; c->ports != NULL && i < n; i++) {
		const json_t *p = json_array_get(list, i);
		int64_t target = json_member_int(p, "TargetPort", 0);
		int64_t published = json_member_int(p, "PublishedPort", 0);
		struct str proto = json_member_str(p, "Protocol");

		if (target > 0 && target <= UINT16_MAX && published > 0 && published <= UINT16_MAX)
			c->ports[c->port_count++] =
			    (struct container_port){ .port = (uint16_t)target,
				    .host_port = (uint16_t)published,
				    .proto = proto.n == 0 ? STR("tcp") : arena_dup(arena, proto) };
	}
}

/* Rules take ports in order. */
static int
swarm_port_cmp(const void *a, const void *b)
{
	const struct container_port *x = a, *y = b;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return str_cmp(x->proto, y->proto);
}

static bool
swarm_task_of(struct arena *arena, const json_t *task, struct swarm_remote_task *out)
{
	json_t *status = json_object_get(task, "Status");
	json_t *spec = json_object_get(json_object_get(task, "Spec"), "ContainerSpec");
	struct str id = json_member_str(task, "ID"), node = json_member_str(task, "NodeID");
	struct str service = json_member_str(task, "ServiceID");
	struct str container =
	    json_member_str(json_object_get(status, "ContainerStatus"), "ContainerID");
	struct swarm_remote_task t = { .slot = json_member_int(task, "Slot", 0) };
	struct container *c = &t.container;

	if (!swarm_id_valid(id) || !swarm_id_valid(node) || !swarm_id_valid(service) ||
	    !docker_id_valid(container))
		return false; /* not placed, or not made, yet; or no container */
	t.id = arena_dup(arena, id);
	t.node = arena_dup(arena, node);
	t.service = arena_dup(arena, service);
	t.running = str_eq(json_member_str(status, "State"), STR("running"));
	c->id = arena_dup(arena, container);
	c->image = arena_dup(arena, json_member_str(spec, "Image"));
	c->started_at = arena_dup(arena, json_member_str(status, "Timestamp"));
	c->network_mode = STR("default");
	c->running = t.running;
	swarm_task_labels(arena, c, json_object_get(spec, "Labels"));
	swarm_task_env(arena, c, json_object_get(spec, "Env"));
	swarm_task_networks(arena, c, json_object_get(task, "NetworksAttachments"));
	swarm_task_ports(arena, c, json_object_get(json_object_get(status, "PortStatus"), "Ports"));
	if (c->port_count > 0)
		qsort(c->ports, c->port_count, sizeof *c->ports, swarm_port_cmp);
	*out = t;
	return true;
}

int
swarm_tasks_read(struct arena *arena, struct str json, struct swarm_remote_task **out,
    size_t *count, struct err *err)
{
	struct swarm_remote_task *all;
	json_t *root = NULL;
	size_t n, given = 0;
	int rc = swarm_list(json, SWARM_TASKS_MAX, &root, &n, err);

	if (rc < 0)
		goto out;
	all = arena_array(arena, struct swarm_remote_task, n);
	for (size_t i = 0; all != NULL && !arena->full && i < n; i++)
		given += swarm_task_of(arena, json_array_get(root, i), &all[given]);
	if (arena->full)
		rc = err_set(err, ERR_MEMORY, "too large");
	if (rc == 0) {
		*out = all;
		*count = given;
	}
out:
	json_decref(root);
	return rc < 0 ? err_wrap(err, "swarm tasks") : 0;
}

void
swarm_task_name_it(struct arena *arena, struct swarm_remote_task *t, struct str service_name)
{
	struct container *c = &t->container;

	if (t->slot > 0)
		c->name = arena_fmt(arena, "/" STR_FMT ".%lld." STR_FMT, STR_ARG(service_name),
		    (long long)t->slot, STR_ARG(t->id));
	else
		c->name = arena_fmt(arena, "/" STR_FMT "." STR_FMT "." STR_FMT,
		    STR_ARG(service_name), STR_ARG(t->node), STR_ARG(t->id));
	if (c->labels == NULL)
		return;
	c->labels[c->label_count++] =
	    (struct container_var){ STR(SWARM_LABEL_SERVICE_ID), t->service };
	c->labels[c->label_count++] =
	    (struct container_var){ STR(SWARM_LABEL_SERVICE_NAME), service_name };
	qsort(c->labels, c->label_count, sizeof *c->labels, swarm_var_cmp);
}

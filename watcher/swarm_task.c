/* watcher/swarm_task.c -- what a swarm adds to a container. Parts: labels of the engine, ports,
 * networks, labels of the service, the view.
 */
#include "watcher/swarm_task.h"

#include <stdlib.h>

#define LABEL_INTERNAL "SERVICE_INTERNAL"
#define LABEL_IP "SERVICE_IP"
#define LABEL_VIP "SERVICE_VIP"
#define LABELS_OF_OURS 2

static const struct container_var *
swarm_var_find(const struct container_var *vars, size_t count, struct str key)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(vars[i].key, key))
			return &vars[i];
	return NULL;
}

static struct str
swarm_label(const struct container *c, struct str key)
{
	const struct container_var *label = swarm_var_find(c->labels, c->label_count, key);

	return label == NULL ? STR_NONE : label->value;
}

struct str
swarm_task_service_id(const struct container *c)
{
	struct str id = swarm_label(c, STR(SWARM_LABEL_SERVICE_ID));

	return swarm_id_valid(id) ? id : STR_NONE;
}

struct str
swarm_task_service_name(const struct container *c)
{
	return swarm_label(c, STR(SWARM_LABEL_SERVICE_NAME));
}

bool
swarm_task_in_ingress(const struct container *c)
{
	for (size_t i = 0; i < c->network_count; i++)
		if (str_eq(c->networks[i].name, STR(SWARM_INGRESS)))
			return true;
	return false;
}

/* Ports. */

static bool
swarm_port_is(const struct container_port *p, const struct swarm_port *s)
{
	return p->port == s->target && (s->proto.n == 0 || str_eq(p->proto, s->proto));
}

/* Keeps the order of container_read(): by port, then protocol. */
static void
swarm_insert_port(struct container *out, struct container_port port)
{
	size_t i = out->port_count++;

	for (; i > 0; i--) {
		const struct container_port *before = &out->ports[i - 1];

		if (before->port < port.port ||
		    (before->port == port.port && str_cmp(before->proto, port.proto) <= 0))
			break;
		out->ports[i] = *before;
	}
	out->ports[i] = port;
}

static void
swarm_publish(struct container *out, const struct swarm_port *s)
{
	struct container_port port = { .port = s->target,
		.proto = s->proto.n == 0 ? STR("tcp") : s->proto,
		.host_port = s->published };

	for (size_t i = 0; i < out->port_count; i++) {
		if (!swarm_port_is(&out->ports[i], s))
			continue;
		if (out->ports[i].host_port == 0) /* else it is on this host already */
			out->ports[i].host_port = s->published;
		return;
	}
	if (out->port_count < CONTAINER_PORTS_MAX)
		swarm_insert_port(out, port);
	else
		out->cut++;
}

static bool
swarm_own_network(const struct container *c)
{
	return !str_eq(c->network_mode, STR("host")) && !str_eq(c->network_mode, STR("none"));
}

static void
swarm_view_ports(struct arena *arena, const struct container *c, const struct swarm_service *s,
    struct container *out)
{
	size_t more = s == NULL ? 0 : s->port_count;
	struct container_port *all =
	    arena_array(arena, struct container_port, c->port_count + more);

	if (all == NULL)
		return;
	if (c->port_count > 0)
		memcpy(all, c->ports, c->port_count * sizeof *all);
	out->ports = all;
	/* In a network of its own, what is exposed and not published is not at the host. */
	for (size_t i = 0; swarm_own_network(c) && i < c->port_count; i++)
		all[i].unmapped = false;
	for (size_t i = 0; i < more; i++)
		if (!s->ports[i].host)
			swarm_publish(out, &s->ports[i]);
}

static bool
swarm_publishes(const struct container *c)
{
	for (size_t i = 0; i < c->port_count; i++)
		if (c->ports[i].host_port != 0 || c->ports[i].unmapped)
			return true;
	return false;
}

/* Networks. */

static void
swarm_view_networks(struct arena *arena, const struct container *c, struct container *out)
{
	struct container_network *all =
	    arena_array(arena, struct container_network, c->network_count);

	if (swarm_own_network(c))
		out->network_mode = STR("default");
	if (all == NULL)
		return;
	out->networks = all;
	out->network_count = 0;
	for (size_t i = 0; i < c->network_count; i++)
		if (!str_eq(c->networks[i].name, STR(SWARM_INGRESS)))
			all[out->network_count++] = c->networks[i];
}

/* Labels. */

static void
swarm_add_label(struct container *out, const struct container_var *label)
{
	out->labels[out->label_count++] = *label;
}

static int
swarm_label_cmp(const void *a, const void *b)
{
	const struct container_var *x = a, *y = b;

	return str_cmp(x->key, y->key);
}

static const struct container_var *
swarm_find_sorted(const struct container *c, const struct container_var *label)
{
	if (c->label_count == 0)
		return NULL;
	return bsearch(label, c->labels, c->label_count, sizeof *label, swarm_label_cmp);
}

/* Something about where it is reached, in the service's words or the container's. */
static bool
swarm_place_said(const struct container *c, const struct swarm_service *s)
{
	return swarm_var_find(s->labels, s->label_count, STR(LABEL_INTERNAL)) != NULL ||
	       swarm_var_find(c->labels, c->label_count, STR(LABEL_INTERNAL)) != NULL ||
	       swarm_var_find(c->env, c->env_count, STR(LABEL_INTERNAL)) != NULL;
}

static bool
swarm_vip_wished(const struct container *c, const struct swarm_service *s)
{
	return s->vip.n > 0 &&
	       (swarm_var_find(s->labels, s->label_count, STR(LABEL_VIP)) != NULL ||
		   swarm_var_find(c->labels, c->label_count, STR(LABEL_VIP)) != NULL ||
		   swarm_var_find(c->env, c->env_count, STR(LABEL_VIP)) != NULL);
}

static void
swarm_view_labels(struct arena *arena, const struct container *c, const struct swarm_service *s,
    struct container *out)
{
	const struct container_var internal = { STR(LABEL_INTERNAL), STR("true") };
	const struct container_var ip = { STR(LABEL_IP), s->vip };
	size_t max = c->label_count + s->label_count + LABELS_OF_OURS;
	bool vip = swarm_vip_wished(c, s), place_said = swarm_place_said(c, s);

	out->label_count = 0;
	out->labels = arena_array(arena, struct container_var, max);
	if (out->labels == NULL)
		return;
	for (size_t i = 0; i < c->label_count; i++)
		swarm_add_label(out, &c->labels[i]);
	for (size_t i = 0; i < s->label_count; i++)
		if (swarm_find_sorted(c, &s->labels[i]) == NULL)
			swarm_add_label(out, &s->labels[i]);
	if (!place_said && (vip || (s->dnsrr && !swarm_publishes(out))))
		swarm_add_label(out, &internal);
	if (vip && swarm_var_find(out->labels, out->label_count, STR(LABEL_IP)) == NULL)
		swarm_add_label(out, &ip);
	qsort(out->labels, out->label_count, sizeof *out->labels, swarm_label_cmp);
}

/* "web.2.8x…" without "web." */
static struct str
swarm_task_suffix(const struct container *c, struct str service)
{
	struct str name = c->name;

	if (name.n > 0 && name.p[0] == '/')
		name = str_skip(name, 1);
	if (service.n > 0 && str_starts(name, service) && name.n > service.n + 1 &&
	    name.p[service.n] == '.')
		return str_skip(name, service.n + 1);
	return str_head(c->id, c->id.n < 12 ? c->id.n : 12); /* was renamed */
}

void
swarm_task_view(struct arena *arena, const struct container *c, const struct swarm_service *s,
    struct container *out)
{
	struct container v = *c;

	if (swarm_task_service_id(c).n > 0) {
		v.service = swarm_task_service_name(c);
		v.task = swarm_task_suffix(c, v.service);
		swarm_view_ports(arena, c, s, &v);
		swarm_view_networks(arena, c, &v);
		if (s != NULL)
			swarm_view_labels(arena, c, s, &v);
	}
	*out = v;
}

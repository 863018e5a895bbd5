/* watcher/swarm_service.c -- JSON of a service, or of the ingress network, into a swarm_service.
 *
 * Parts in order: texts under a limit, labels, ports, virtual addresses, the two readers.
 */
#include "watcher/swarm_service.h"

#include <stdlib.h>

#include "base/json.h"

bool
swarm_id_valid(struct str id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!chr_digit(id.p[i]) && (id.p[i] < 'a' || id.p[i] > 'z'))
			return false;
	return id.n > 0 && id.n <= SWARM_ID_MAX;
}

static size_t
swarm_bounded(struct swarm_service *s, size_t n, size_t max)
{
	if (n <= max)
		return n;
	s->cut += n - max;
	return max;
}

static struct str
swarm_keep(struct arena *arena, struct swarm_service *s, struct str text)
{
	if (text.n > CONTAINER_VALUE_MAX) {
		s->cut++;
		return STR_NONE; /* half a label is none */
	}
	return arena_dup(arena, text);
}

static int
swarm_label_cmp(const void *a, const void *b)
{
	const struct container_var *x = a, *y = b;

	return str_cmp(x->key, y->key);
}

static void
swarm_read_labels(struct arena *arena, struct swarm_service *s, json_t *object)
{
	size_t n = swarm_bounded(s, json_object_size(object), SWARM_LABELS_MAX);
	const char *key;
	json_t *value;

	s->labels = arena_array(arena, struct container_var, n);
	if (s->labels == NULL)
		return;
	json_object_foreach (object, key, value) {
		if (s->label_count == n)
			break;
		s->labels[s->label_count++] = (struct container_var){
			swarm_keep(arena, s, str_of(key)),
			swarm_keep(arena, s, json_text(value)),
		};
	}
	qsort(s->labels, s->label_count, sizeof *s->labels, swarm_label_cmp);
}

static bool
swarm_port_number(int64_t n)
{
	return n > 0 && n <= UINT16_MAX;
}

static void
swarm_read_ports(struct arena *arena, struct swarm_service *s, const json_t *list)
{
	size_t n = swarm_bounded(s, json_array_size(list), SWARM_PORTS_MAX);

	s->ports = arena_array(arena, struct swarm_port, n);
	for (size_t i = 0; s->ports != NULL && i < n; i++) {
		const json_t *p = json_array_get(list, i);
		int64_t target = json_member_int(p, "TargetPort", 0);
		int64_t published = json_member_int(p, "PublishedPort", 0);
		struct str proto = json_member_str(p, "Protocol");

		if (!swarm_port_number(target) || !swarm_port_number(published))
			continue; /* in host mode the engine may choose: the container tells */
		s->ports[s->port_count++] = (struct swarm_port){
			.target = (uint16_t)target,
			.published = (uint16_t)published,
			.proto = proto.n == 0 ? STR("tcp") : swarm_keep(arena, s, proto),
			.host = str_eq(json_member_str(p, "PublishMode"), STR("host")),
		};
	}
}

/* "10.0.1.2/24" of the network with this id. */
static struct str
swarm_vip_in(const json_t *vips, struct str network)
{
	size_t n = json_array_size(vips);

	for (size_t i = 0; i < n && i < SWARM_NETWORKS_MAX; i++) {
		const json_t *vip = json_array_get(vips, i);
		struct str addr = json_member_str(vip, "Addr");

		if (str_eq(json_member_str(vip, "NetworkID"), network))
			return str_head(addr, str_find(addr, '/'));
	}
	return STR_NONE;
}

/* The ingress network has one too, which nobody outside reaches: only networks that the
 * service names count. */
static void
swarm_read_vip(
    struct arena *arena, struct swarm_service *s, const json_t *vips, const json_t *networks)
{
	size_t n = json_array_size(networks);

	for (size_t i = 0; s->vip.n == 0 && i < n && i < SWARM_NETWORKS_MAX; i++)
		s->vip = swarm_keep(arena, s,
		    swarm_vip_in(vips, json_member_str(json_array_get(networks, i), "Target")));
}

/* False: no id and name in it. */
static bool
swarm_service_of(struct arena *arena, json_t *root, struct swarm_service *out)
{
	struct swarm_service s = { .dnsrr = false };
	json_t *spec = json_object_get(root, "Spec");
	json_t *endpoint = json_object_get(root, "Endpoint");
	json_t *networks = json_object_get(json_object_get(spec, "TaskTemplate"), "Networks");

	if (json_array_size(networks) == 0)
		networks = json_object_get(spec, "Networks"); /* engines before API 1.25 */
	s.id = swarm_keep(arena, &s, json_member_str(root, "ID"));
	s.name = swarm_keep(arena, &s, json_member_str(spec, "Name"));
	if (!swarm_id_valid(s.id) || s.name.n == 0)
		return false;
	s.dnsrr =
	    str_eq(json_member_str(json_object_get(endpoint, "Spec"), "Mode"), STR("dnsrr")) ||
	    str_eq(json_member_str(json_object_get(spec, "EndpointSpec"), "Mode"), STR("dnsrr"));
	swarm_read_labels(arena, &s, json_object_get(spec, "Labels"));
	swarm_read_ports(arena, &s, json_object_get(endpoint, "Ports"));
	swarm_read_vip(arena, &s, json_object_get(endpoint, "VirtualIPs"), networks);
	*out = s;
	return true;
}

int
swarm_service_read(struct arena *arena, struct str json, struct swarm_service *out, struct err *err)
{
	struct swarm_service s;
	json_t *root = NULL;
	int rc = json_read(json, &root, err);

	if (rc < 0)
		return err_wrap(err, "swarm service");
	if (!swarm_service_of(arena, root, &s))
		rc = err_set(err, ERR_INPUT, "swarm service: no ID and Name in it");
	else if (arena->full)
		rc = err_set(err, ERR_MEMORY, "swarm service: too large");
	else
		*out = s;
	json_decref(root);
	return rc;
}

int
swarm_services_read(struct arena *arena, struct str json, struct swarm_service **out, size_t *count,
    struct err *err)
{
	struct swarm_service *all;
	json_t *root = NULL;
	size_t n, given = 0;
	int rc = json_read(json, &root, err);

	if (rc < 0)
		return err_wrap(err, "swarm services");
	n = json_array_size(root);
	if (n > SWARM_SERVICES_MAX)
		n = SWARM_SERVICES_MAX;
	all = arena_array(arena, struct swarm_service, n);
	for (size_t i = 0; all != NULL && i < n; i++)
		given += swarm_service_of(arena, json_array_get(root, i), &all[given]);
	if (!json_is_array(root)) {
		rc = err_set(err, ERR_INPUT, "swarm services: no list");
	} else if (arena->full) {
		rc = err_set(err, ERR_MEMORY, "swarm services: too large");
	} else {
		*out = all;
		*count = given;
	}
	json_decref(root);
	return rc;
}

/* "Target: 80, Publish: 8080" */
static bool
swarm_port_parse(struct str text, struct swarm_port *out)
{
	struct str rest = text, target = str_cut(&rest, ',');
	uint64_t t, p;

	rest = str_trim(rest);
	if (!str_starts(target, STR("Target: ")) || !str_starts(rest, STR("Publish: ")))
		return false;
	target = str_skip(target, strlen("Target: "));
	rest = str_skip(rest, strlen("Publish: "));
	if (!str_u64(target, UINT16_MAX, &t) || !str_u64(rest, UINT16_MAX, &p) || t == 0 || p == 0)
		return false;
	*out = (struct swarm_port){ .target = (uint16_t)t, .published = (uint16_t)p };
	return true;
}

int
swarm_service_from_network(struct arena *arena, struct str json, struct str name,
    struct swarm_service *out, struct err *err)
{
	struct swarm_service s = { .dnsrr = false };
	json_t *root = NULL, *ports;
	char *key;
	size_t n;
	int rc = json_read(json, &root, err);

	if (rc < 0)
		return err_wrap(err, "ingress network");
	key = str_dup(name);
	ports = json_object_get(json_object_get(json_object_get(root, "Services"), key), "Ports");
	free(key);
	if (ports == NULL) {
		rc = err_set(err, ERR_NOT_FOUND, "ingress network: no service " STR_FMT " in it",
		    STR_ARG(name));
		goto out;
	}
	n = swarm_bounded(&s, json_array_size(ports), SWARM_PORTS_MAX);
	s.name = arena_dup(arena, name);
	s.ports = arena_array(arena, struct swarm_port, n);
	for (size_t i = 0; s.ports != NULL && i < n; i++)
		s.port_count +=
		    swarm_port_parse(json_text(json_array_get(ports, i)), &s.ports[s.port_count]);
	if (arena->full) {
		rc = err_set(err, ERR_MEMORY, "ingress network: too large");
		goto out;
	}
	*out = s;
out:
	json_decref(root);
	return rc;
}

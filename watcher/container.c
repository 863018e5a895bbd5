/* watcher/container.c -- an inspect answer, read into a struct container.
 *
 * Parts in order: texts under a limit, variables and labels, networks, ports, state, the whole.
 * Docker writes null for empty lists and objects; jansson's accessors take null for empty.
 */
#include "watcher/container.h"

#include <stdlib.h>

#include "base/json.h"

#define STOP_TIMEOUT_DEFAULT (10 * NSEC_SEC)

struct container_reader {
	struct arena *arena;
	struct container *c; /* being filled */
};

static struct str
container_keep(struct container_reader *r, struct str s)
{
	if (s.n > CONTAINER_VALUE_MAX) {
		r->c->cut++;
		s.n = CONTAINER_VALUE_MAX;
		while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
			s.n--; /* never half a character */
	}
	return arena_dup(r->arena, s);
}

/* How many entries of a list or object are read. */
static size_t
container_bounded(struct container_reader *r, size_t n, size_t max)
{
	if (n <= max)
		return n;
	r->c->cut += n - max;
	return max;
}

static void
container_read_env(struct container_reader *r, const json_t *list)
{
	size_t n = container_bounded(r, json_array_size(list), CONTAINER_LABELS_MAX);
	struct container_var *vars = arena_array(r->arena, struct container_var, n);

	if (vars == NULL)
		return;
	r->c->env = vars;
	for (size_t i = 0; i < n; i++) {
		struct str value = json_text(json_array_get(list, i));
		struct str key = str_cut(&value, '=');

		if (value.p == NULL || key.n == 0)
			continue; /* no "=": a name without a value is none */
		vars[r->c->env_count++] =
		    (struct container_var){ container_keep(r, key), container_keep(r, value) };
	}
}

static int
container_var_cmp(const void *a, const void *b)
{
	const struct container_var *x = a, *y = b;

	return str_cmp(x->key, y->key);
}

static void
container_read_labels(struct container_reader *r, json_t *object)
{
	size_t n = container_bounded(r, json_object_size(object), CONTAINER_LABELS_MAX);
	struct container_var *vars = arena_array(r->arena, struct container_var, n);
	const char *key;
	json_t *value;

	if (vars == NULL)
		return;
	r->c->labels = vars;
	json_object_foreach (object, key, value) {
		if (r->c->label_count == n)
			break;
		vars[r->c->label_count++] = (struct container_var){ container_keep(r, str_of(key)),
			container_keep(r, json_text(value)) };
	}
	qsort(vars, r->c->label_count, sizeof *vars, container_var_cmp);
}

static int
container_network_cmp(const void *a, const void *b)
{
	const struct container_network *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

static void
container_read_networks(struct container_reader *r, json_t *object)
{
	size_t n = container_bounded(r, json_object_size(object), CONTAINER_PORTS_MAX);
	struct container_network *networks = arena_array(r->arena, struct container_network, n);
	const char *key;
	json_t *value;

	if (networks == NULL)
		return;
	r->c->networks = networks;
	json_object_foreach (object, key, value) {
		if (r->c->network_count == n)
			break;
		networks[r->c->network_count++] = (struct container_network){
			container_keep(r, str_of(key)),
			container_keep(r, json_member_str(value, "NetworkID")),
			container_keep(r, json_member_str(value, "IPAddress")),
			container_keep(r, json_member_str(value, "GlobalIPv6Address")),
		};
	}
	qsort(networks, r->c->network_count, sizeof *networks, container_network_cmp);
}

/* One port of the container: a key of ExposedPorts or NetworkSettings.Ports. */
struct container_exposed {
	uint16_t port;
	struct str proto;
	const json_t *bindings; /* of NetworkSettings.Ports; NULL: not named there */
};

static int
container_exposed_cmp(const void *a, const void *b)
{
	const struct container_exposed *x = a, *y = b;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return str_cmp(x->proto, y->proto);
}

/* "80/tcp"; without a protocol it is TCP. */
static bool
container_exposed_parse(struct container_reader *r, struct str key, struct container_exposed *out)
{
	struct str proto = key, port = str_cut(&proto, '/');
	uint64_t number;

	if (!str_u64(port, UINT16_MAX, &number) || number == 0) {
		r->c->cut++;
		return false;
	}
	out->port = (uint16_t)number;
	out->proto = proto.n == 0 ? STR("tcp") : container_keep(r, proto);
	return true;
}

static void
container_add_port(
    struct container_reader *r, const struct container_exposed *e, const json_t *binding)
{
	struct container_port p = { .port = e->port, .proto = e->proto };
	struct str text = json_member_str(binding, "HostPort");
	uint64_t number = 0;

	if (r->c->port_count == CONTAINER_PORTS_MAX ||
	    (text.n > 0 && !str_u64(text, UINT16_MAX, &number))) {
		r->c->cut++;
		return;
	}
	p.unmapped = e->bindings == NULL;
	p.host_port = (uint16_t)number;
	p.host_ip = container_keep(r, json_member_str(binding, "HostIp"));
	r->c->ports[r->c->port_count++] = p;
}

static void
container_read_ports(struct container_reader *r, json_t *exposed, json_t *mapped)
{
	size_t max = json_object_size(exposed) + json_object_size(mapped), n = 0, bindings = 0;
	struct container_exposed *all = arena_array(r->arena, struct container_exposed, max);
	const char *key;
	json_t *value;

	if (all == NULL)
		return;
	json_object_foreach (mapped, key, value) {
		all[n].bindings = value;
		bindings += json_array_size(value);
		if (container_exposed_parse(r, str_of(key), &all[n]))
			n++;
	}
	json_object_foreach (exposed, key, value) {
		all[n].bindings = NULL;
		if (json_object_get(mapped, key) == NULL &&
		    container_exposed_parse(r, str_of(key), &all[n]))
			n++;
	}
	qsort(all, n, sizeof *all, container_exposed_cmp);

	bindings += n;
	if (bindings > CONTAINER_PORTS_MAX)
		bindings = CONTAINER_PORTS_MAX;
	r->c->ports = arena_array(r->arena, struct container_port, bindings);
	if (r->c->ports == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		size_t count = json_array_size(all[i].bindings);

		if (count == 0)
			container_add_port(r, &all[i], NULL);
		for (size_t j = 0; j < count; j++)
			container_add_port(r, &all[i], json_array_get(all[i].bindings, j));
	}
}

static enum container_health
container_health_parse(struct str status)
{
	if (str_eq(status, STR("starting")))
		return HEALTH_STARTING;
	if (str_eq(status, STR("healthy")))
		return HEALTH_HEALTHY;
	return str_eq(status, STR("unhealthy")) ? HEALTH_UNHEALTHY : HEALTH_NONE;
}

static void
container_read_state(struct container_reader *r, const json_t *state)
{
	const json_t *health = json_object_get(state, "Health");
	const json_t *probes = json_object_get(health, "Log");
	size_t n = json_array_size(probes);

	r->c->running = json_member_bool(state, "Running");
	r->c->paused = json_member_bool(state, "Paused");
	r->c->restarting = json_member_bool(state, "Restarting");
	r->c->exit_code = (int)json_member_int(state, "ExitCode", 0);
	r->c->started_at = container_keep(r, json_member_str(state, "StartedAt"));
	r->c->health = container_health_parse(json_member_str(health, "Status"));
	if (n > 0)
		r->c->health_output =
		    container_keep(r, json_member_str(json_array_get(probes, n - 1), "Output"));
}

static void
container_read_config(struct container_reader *r, const json_t *config)
{
	int64_t seconds = json_member_int(config, "StopTimeout", STOP_TIMEOUT_DEFAULT / NSEC_SEC);

	r->c->image = container_keep(r, json_member_str(config, "Image"));
	r->c->hostname = container_keep(r, json_member_str(config, "Hostname"));
	r->c->stop_signal = container_keep(r, json_member_str(config, "StopSignal"));
	if (seconds < 0 || seconds > INT32_MAX)
		r->c->stop_timeout = NSEC_NEVER;
	else
		r->c->stop_timeout = seconds * NSEC_SEC;
	container_read_env(r, json_object_get(config, "Env"));
	container_read_labels(r, json_object_get(config, "Labels"));
}

int
container_read(struct arena *arena, struct str json, struct container *out, struct err *err)
{
	struct container c = { .json = json };
	struct container_reader r = { arena, &c };
	json_t *root = NULL, *config, *network;
	int rc;

	rc = json_read(json, &root, err);
	if (rc < 0)
		return err_wrap(err, "container description");
	c.id = container_keep(&r, json_member_str(root, "Id"));
	if (c.id.n == 0) {
		rc = err_set(err, ERR_INPUT, "container description: no Id in it");
		goto out;
	}
	c.name = container_keep(&r, json_member_str(root, "Name"));
	c.image_id = container_keep(&r, json_member_str(root, "Image"));
	c.created = container_keep(&r, json_member_str(root, "Created"));
	c.network_mode =
	    container_keep(&r, json_member_str(json_object_get(root, "HostConfig"), "NetworkMode"));
	config = json_object_get(root, "Config");
	network = json_object_get(root, "NetworkSettings");
	container_read_config(&r, config);
	container_read_state(&r, json_object_get(root, "State"));
	c.ip = container_keep(&r, json_member_str(network, "IPAddress"));
	c.ip6 = container_keep(&r, json_member_str(network, "GlobalIPv6Address"));
	container_read_networks(&r, json_object_get(network, "Networks"));
	container_read_ports(
	    &r, json_object_get(config, "ExposedPorts"), json_object_get(network, "Ports"));
	if (arena->full) {
		rc = err_set(err, ERR_MEMORY, "container description: too large");
		goto out;
	}
	*out = c;
out:
	json_decref(root);
	return rc;
}

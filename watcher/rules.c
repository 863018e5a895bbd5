/* watcher/rules.c -- registrator's rules.
 *
 * Parts in order: SERVICE_* keys collected and looked up per port, tags, checks, one service, all
 * services of a container; the address is in rules_address.c. Keys are collected once, sorted by
 * name and rank, so that each port takes the first of a name that is meant for it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "watcher/network_pick.h"
#include "watcher/rules_priv.h"
#include "watcher/template.h"

#define RULES_TAGS_MAX (64 * 1024) /* bytes of -docker-tags with templates filled in */
#define RULES_CHECK_INTERVAL "10s"
#define RULES_META_OWN 5 /* pairs that are no SERVICE_ keys */
#define RULES_COMPOSE_PROJECT "com.docker.compose.project"
#define RULES_COMPOSE_SERVICE "com.docker.compose.service"

static struct str
rules_lower(struct arena *arena, struct str s)
{
	char *p = arena_alloc(arena, s.n + 1);

	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++)
		p[i] = chr_lower(s.p[i]);
	return str_mem(p, s.n);
}

/* The digits that begin "80_name", or empty. */
static struct str
rules_port_prefix(struct str key)
{
	struct str rest = key, head = str_cut(&rest, '_');

	if (rest.p == NULL || head.n == 0)
		return STR_NONE;
	for (size_t i = 0; i < head.n; i++)
		if (!chr_digit(head.p[i]))
			return STR_NONE;
	return head;
}

static void
rules_collect_vars(struct rules *r, const struct container_var *vars, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct rules_key *k = &r->keys[r->key_count];
		struct str name;

		if (!str_starts(vars[i].key, STR("SERVICE_")))
			continue;
		name = rules_lower(r->arena, str_skip(vars[i].key, strlen("SERVICE_")));
		if (name.n == 0)
			continue;
		k->port = rules_port_prefix(name);
		k->name = k->port.n == 0 ? name : str_skip(name, k->port.n + 1);
		k->value = vars[i].value;
		/* A key for one port beats a general one; else what is read later wins. */
		k->rank = (k->port.n == 0 ? SIZE_MAX : SIZE_MAX / 2) - r->key_count;
		r->key_count++;
	}
}

static int
rules_key_cmp(const void *a, const void *b)
{
	const struct rules_key *x = a, *y = b;
	int order = str_cmp(x->name, y->name);

	if (order != 0)
		return order;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void
rules_collect(struct rules *r)
{
	size_t max = r->c->env_count + r->c->label_count;

	r->keys = arena_array(r->arena, struct rules_key, max);
	if (r->keys == NULL)
		return;
	rules_collect_vars(r, r->c->env, r->c->env_count);
	rules_collect_vars(r, r->c->labels, r->c->label_count); /* later: labels win */
	qsort(r->keys, r->key_count, sizeof *r->keys, rules_key_cmp);
}

const struct rules_key *
rules_key_of(const struct rules *r, const char *name, uint16_t port)
{
	size_t low = 0, high = r->key_count;
	char digits[8];

	while (low < high) { /* the first of that name */
		size_t mid = low + (high - low) / 2;

		if (str_cmp(r->keys[mid].name, str_of(name)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	snprintf(digits, sizeof digits, "%u", port);
	for (; low < r->key_count && str_eq(r->keys[low].name, str_of(name)); low++)
		if (r->keys[low].port.n == 0 || str_eq(r->keys[low].port, str_of(digits)))
			return &r->keys[low];
	return NULL;
}

struct str
rules_label(const struct container *c, struct str key)
{
	for (size_t i = 0; i < c->label_count; i++)
		if (str_eq(c->labels[i].key, key))
			return c->labels[i].value;
	return STR_NONE;
}

/* The keys that hold for one port, sorted by name, each name once. */
struct rules_view {
	const struct rules_key **keys;
	size_t count;
};

static struct rules_view
rules_view_of(struct rules *r, struct str port)
{
	struct rules_view v = { .keys = arena_alloc(r->arena, r->key_count * sizeof *v.keys) };

	for (size_t i = 0; v.keys != NULL && i < r->key_count; i++) {
		const struct rules_key *k = &r->keys[i];

		if (k->port.n > 0 && !str_eq(k->port, port))
			continue;
		if (v.count > 0 && str_eq(v.keys[v.count - 1]->name, k->name))
			continue;
		v.keys[v.count++] = k;
	}
	return v;
}

static const struct rules_key *
rules_find(const struct rules_view *v, const char *name)
{
	size_t low = 0, high = v->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = str_cmp(v->keys[mid]->name, str_of(name));

		if (order == 0)
			return v->keys[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static struct str
rules_get(const struct rules_view *v, const char *name)
{
	const struct rules_key *k = rules_find(v, name);

	return k == NULL ? STR_NONE : k->value;
}

/* Tags. */

/* The next tag of a comma list, written to p, with "\," as a comma of the tag; empty ones are
 * dropped. */
static bool
rules_tag_next(struct str *list, char *p, struct str *tag)
{
	size_t n = 0, i = 0;

	while (list->n > 0 && list->p[0] == ',')
		*list = str_skip(*list, 1);
	for (; i < list->n; i++) {
		if (list->p[i] != ',')
			p[n++] = list->p[i];
		else if (list->p[i - 1] == '\\')
			p[n - 1] = ',';
		else
			break;
	}
	*list = str_skip(*list, i);
	*tag = str_mem(p, n);
	return n > 0;
}

/* Appends the tags of a list, turned around among themselves as registrator has them. */
static void
rules_add_tags(struct rules *r, struct rules_service *s, struct str list)
{
	char *p = arena_alloc(r->arena, list.n);
	size_t first = s->tag_count;

	while (p != NULL && rules_tag_next(&list, p, &s->tags[s->tag_count]))
		p += s->tags[s->tag_count++].n;
	for (size_t i = first, j = s->tag_count; i + 1 < j; i++) {
		struct str t = s->tags[i];

		s->tags[i] = s->tags[--j];
		s->tags[j] = t;
	}
}

static size_t
rules_count_commas(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == ',';
	return n;
}

/* A tag that the service has not got yet. */
static void
rules_add_tag(struct rules_service *s, struct str tag)
{
	for (size_t i = 0; i < s->tag_count; i++)
		if (str_eq(s->tags[i], tag))
			return;
	if (tag.n > 0)
		s->tags[s->tag_count++] = tag;
}

static void
rules_fill_tags(struct rules *r, struct rules_service *s, struct str own, bool udp)
{
	size_t max = rules_count_commas(own) + rules_count_commas(r->forced_tags) + 6;

	s->tags = arena_array(r->arena, struct str, max);
	if (s->tags == NULL)
		return;
	rules_add_tags(r, s, own);
	rules_add_tags(r, s, r->forced_tags);
	if (udp)
		s->tags[s->tag_count++] = STR("udp");
	if (r->config->compose == RULES_COMPOSE_TAGS) {
		rules_add_tag(s, rules_label(r->c, STR(RULES_COMPOSE_PROJECT)));
		rules_add_tag(s, rules_label(r->c, STR(RULES_COMPOSE_SERVICE)));
	}
}

static int
rules_force_tags(struct rules *r, struct err *err)
{
	struct buf b;
	json_t *root = NULL;
	int rc = 0;

	r->forced_tags = r->config->tags;
	if (r->config->tags.n == 0 || memmem(r->config->tags.p, r->config->tags.n, "{{", 2) == NULL)
		return 0;
	buf_init(&b, RULES_TAGS_MAX);
	rc = json_read(r->c->json, &root, err);
	if (rc == 0)
		rc = template_render(r->config->tags, root, &b, err);
	if (rc == 0)
		r->forced_tags = arena_dup(r->arena, buf_str(&b));
	json_decref(root);
	buf_done(&b);
	return rc < 0 ? err_wrap(err, "-docker-tags") : 0;
}

/* Checks. */

/* "nc -z $SERVICE_IP $SERVICE_PORT" with address and port put in. */
static struct str
rules_script(struct rules *r, struct str script, const struct rules_service *s)
{
	struct buf b;
	struct str out;

	buf_init(&b, 2 * CONTAINER_VALUE_MAX);
	while (script.n > 0) {
		if (str_starts(script, STR("$SERVICE_IP"))) {
			buf_add(&b, s->address);
			script = str_skip(script, strlen("$SERVICE_IP"));
		} else if (str_starts(script, STR("$SERVICE_PORT"))) {
			buf_add_u64(&b, s->port);
			script = str_skip(script, strlen("$SERVICE_PORT"));
		} else {
			buf_addc(&b, script.p[0]);
			script = str_skip(script, 1);
		}
	}
	out = arena_dup(r->arena, buf_str(&b));
	buf_done(&b);
	return out;
}

/* The first kind of check that is asked for, in registrator's order. */
static void
rules_fill_check(struct rules *r, struct rules_service *s, const struct rules_view *v,
    const struct container_port *port)
{
	struct rules_check *k = &s->check;
	bool v6 = str_find(s->address, ':') < s->address.n;
	struct str at = arena_fmt(
	    r->arena, v6 ? "[" STR_FMT "]:%u" : STR_FMT ":%u", STR_ARG(s->address), s->port);
	struct str value;

	if ((value = rules_get(v, "check_http")).n > 0) {
		k->http =
		    arena_fmt(r->arena, "http://" STR_FMT STR_FMT, STR_ARG(at), STR_ARG(value));
		k->method = rules_get(v, "check_http_method");
	} else if ((value = rules_get(v, "check_https")).n > 0) {
		k->http =
		    arena_fmt(r->arena, "https://" STR_FMT STR_FMT, STR_ARG(at), STR_ARG(value));
		k->method = rules_get(v, "check_https_method");
	} else if ((value = rules_get(v, "check_cmd")).n > 0) {
		k->script = arena_fmt(r->arena, "check-cmd " STR_FMT " %u " STR_FMT,
		    STR_ARG(str_head(r->c->id, r->c->id.n < 12 ? r->c->id.n : 12)), port->port,
		    STR_ARG(value));
	} else if ((value = rules_get(v, "check_script")).n > 0) {
		k->script = rules_script(r, value, s);
	} else if ((value = rules_get(v, "check_ttl")).n > 0) {
		k->ttl = value;
	} else if (rules_get(v, "check_tcp").n > 0) {
		k->tcp = at;
	} else if (rules_get(v, "check_grpc").n > 0) {
		k->grpc = at;
		k->grpc_use_tls = rules_get(v, "check_grpc_use_tls").n > 0;
		k->tls_skip_verify = k->grpc_use_tls && rules_get(v, "check_tls_skip_verify").n > 0;
	} else {
		return;
	}
	k->present = true;
	k->status = rules_get(v, "check_initial_status");
	k->deregister_after = rules_get(v, "check_deregister_after");
	if (k->http.n > 0 || k->tcp.n > 0 || k->grpc.n > 0)
		k->timeout = rules_get(v, "check_timeout");
	if (k->ttl.n == 0) {
		k->interval = rules_get(v, "check_interval");
		if (k->interval.n == 0)
			k->interval = STR(RULES_CHECK_INTERVAL);
	}
}

struct str
rules_peer(const struct container *c)
{
	if (!str_starts(c->network_mode, STR("container:")))
		return STR_NONE;
	return str_skip(c->network_mode, strlen("container:"));
}

/* One service. */

static struct str
rules_image_name(struct str image)
{
	size_t slash = str_find_last(image, '/');

	if (slash < image.n)
		image = str_skip(image, slash + 1);
	return str_head(image, str_find(image, ':'));
}

static int
rules_pair_cmp(const void *a, const void *b)
{
	const struct rules_pair *x = a, *y = b;

	return str_cmp(x->key, y->key);
}

/* A pair of ours, unless a SERVICE_ key has its name. */
static void
rules_add_meta(
    struct rules_service *s, const struct rules_view *v, const char *key, struct str value)
{
	if (rules_find(v, key) == NULL)
		s->meta[s->meta_count++] = (struct rules_pair){ str_of(key), value };
}

static void
rules_fill_meta(struct rules *r, struct rules_service *s, const struct rules_view *v)
{
	const struct container *c = r->c;
	struct str project = rules_label(c, STR(RULES_COMPOSE_PROJECT));
	struct str service = rules_label(c, STR(RULES_COMPOSE_SERVICE));

	s->meta = arena_array(r->arena, struct rules_pair, v->count + RULES_META_OWN);
	if (s->meta == NULL)
		return;
	for (size_t i = 0; i < v->count; i++) {
		struct str name = v->keys[i]->name;

		if (!str_eq(name, STR("name")) && !str_eq(name, STR("tags")) &&
		    !str_eq(name, STR("id")) && name.n > 0)
			s->meta[s->meta_count++] = (struct rules_pair){ name, v->keys[i]->value };
	}
	if (r->config->meta) {
		rules_add_meta(s, v, "container_id", c->id);
		rules_add_meta(s, v, "container_image", c->image);
		rules_add_meta(
		    s, v, "container_name", c->name.n > 0 ? str_skip(c->name, 1) : STR_NONE);
	}
	if (r->config->compose == RULES_COMPOSE_META && project.n > 0)
		rules_add_meta(s, v, "compose_project", project);
	if (r->config->compose == RULES_COMPOSE_META && service.n > 0)
		rules_add_meta(s, v, "compose_service", service);
	qsort(s->meta, s->meta_count, sizeof *s->meta, rules_pair_cmp);
}

/* False: this port offers nothing. */
static bool
rules_service_of(struct rules *r, size_t i, bool group, struct rules_service *s)
{
	const struct container_port *port = &r->c->ports[i];
	struct str digits = arena_fmt(r->arena, "%u", port->port), name = r->c->name, own;
	struct rules_view v = rules_view_of(r, digits);
	const struct rules_key *named = rules_find(&v, "name");
	bool udp = str_eq(port->proto, STR("udp"));

	own = named == NULL ? STR_NONE : named->value;
	if (rules_get(&v, "ignore").n > 0 || (own.n == 0 && r->config->explicit_only))
		return false;
	s->name = own.n > 0             ? own
		  : r->c->service.n > 0 ? r->c->service
					: rules_image_name(r->c->image);
	if (group && (named == NULL || named->port.n == 0))
		s->name =
		    arena_fmt(r->arena, STR_FMT "-" STR_FMT, STR_ARG(s->name), STR_ARG(digits));

	s->id = rules_get(&v, "id");
	if (name.n > 0)
		name = str_skip(name, 1); /* Docker's leading slash */
	if (s->id.n == 0)
		s->id = arena_fmt(r->arena, STR_FMT ":" STR_FMT ":" STR_FMT "%s",
		    STR_ARG(r->config->host), STR_ARG(name), STR_ARG(digits), udp ? ":udp" : "");
	else if (r->c->task.n > 0) /* said once for all tasks of a service */
		s->id =
		    arena_fmt(r->arena, STR_FMT "." STR_FMT, STR_ARG(s->id), STR_ARG(r->c->task));

	rules_place(r, i, s);
	rules_fill_tags(r, s, rules_get(&v, "tags"), udp);
	rules_fill_meta(r, s, &v);
	rules_fill_check(r, s, &v, port);
	return true;
}

static bool
rules_id_taken(const struct rules_service *all, size_t count, struct str id)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(all[i].id, id))
			return true;
	return false;
}

int
rules_apply(const struct rules_config *config, struct arena *arena, const struct container *c,
    const struct container *peer, struct rules_service **out, size_t *count, struct err *err)
{
	struct rules r = { .config = config, .arena = arena, .c = c, .peer = peer };
	struct rules_service *all;
	size_t ports = 0, n = 0;
	int rc = rules_force_tags(&r, err);

	if (rc < 0)
		return rc;
	rules_collect(&r);
	for (size_t i = 0; i < c->port_count; i++)
		ports += rules_port_counts(&r, i);
	all = arena_array(arena, struct rules_service, ports);
	for (size_t i = 0; i < c->port_count && !arena->full; i++) {
		struct rules_service s = { .port = 0 };

		/* One id for two ports (a SERVICE_ID for all): the first port has it. */
		if (rules_port_counts(&r, i) && rules_service_of(&r, i, ports > 1, &s) &&
		    !rules_id_taken(all, n, s.id))
			all[n++] = s;
	}
	if (arena->full)
		return err_set(err, ERR_MEMORY, "services of container " STR_FMT ": too much text",
		    STR_ARG(c->name));
	if (n > 0)
		all[0].note = r.note;
	*out = all;
	*count = n;
	return 0;
}

int
rules_config_check(const struct rules_config *config, struct err *err)
{
	int rc = template_check(config->tags, err);

	if (rc < 0)
		return err_wrap(err, "-docker-tags");
	rc = network_list_check(config->networks, err);
	return rc < 0 ? err_wrap(err, "-docker-network") : 0;
}
